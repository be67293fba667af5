"""Anyone can rebuild it: the same bytes from anywhere, and requirements that are locked by their hashes."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from reproduce import lock, rebuild

ROOT = Path(__file__).parents[1]
IN_GIT = (ROOT / ".git").exists() and shutil.which("git") is not None
pytestmark = pytest.mark.skipif(not IN_GIT, reason="no repository to build from")
LOCKED = re.compile(
    r"^([\w.-]+)==([\w.!+]+)(?: ; .+?)? \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+", re.MULTILINE
)


def requires_build():
    pytest.importorskip("build", reason="build is of the extra dev")
    pytest.importorskip("hatchling", reason="hatchling is of the extra dev")


def built(folder, umask, **environment):
    """{kind: hash} of what a copy of the last commit is built as."""
    folder.mkdir(parents=True)
    archive = subprocess.run(["git", "-C", ROOT, "archive", "HEAD"], stdout=subprocess.PIPE, check=True)
    limit = f"umask {umask}; "
    subprocess.run(["sh", "-c", limit + "tar x"], input=archive.stdout, cwd=folder, check=True)
    (folder / "fastbp" / "__pycache__").mkdir()
    (folder / "fastbp" / "__pycache__" / "left.pyc").write_bytes(b"over")
    command = f"{limit}{sys.executable} -m build --no-isolation --outdir out ."
    done = subprocess.run(
        ["sh", "-c", command], cwd=folder, env={**os.environ, **environment}, capture_output=True
    )
    assert done.returncode == 0, done.stdout
    return {path.suffix: rebuild.digest(path) for path in (folder / "out").iterdir()}


def test_the_same_bytes_from_anywhere(tmp_path):
    """`python -m build` makes the wheel from the sdist, and `rebuild` from the repository."""
    requires_build()
    here = built(tmp_path / "here", "022", TZ="UTC", LC_ALL="C.UTF-8")
    assert set(here) == {".whl", ".gz"}
    (tmp_path / "again").mkdir()
    assert rebuild.digest(rebuild.build("HEAD", tmp_path / "again", wheel=True)) == here[".whl"]
    elsewhere = tmp_path / "a folder" / "élsewhere"
    assert built(elsewhere, "077", TZ="Asia/Tokyo", LC_ALL="C", PYTHONHASHSEED="7") == here


def test_rebuild_tells_what_is_not_the_same(tmp_path, capsys, monkeypatch):
    requires_build()
    wheel = rebuild.build("HEAD", tmp_path, wheel=True)
    monkeypatch.setattr(rebuild, "build", lambda *_: wheel)

    def said(path, *options):
        monkeypatch.setattr(sys, "argv", ["rebuild", str(path), *options])
        status = rebuild.main()
        captured = capsys.readouterr()
        return status, captured.out.splitlines()[2:], captured.err

    (tmp_path / "given").mkdir()
    copy = tmp_path / "given" / wheel.name
    shutil.copy(wheel, copy)
    assert said(copy) == (0, ["equal"], "")
    with zipfile.ZipFile(wheel) as good, zipfile.ZipFile(copy, "w") as bad:
        for info in good.infolist():
            data = good.read(info)
            if info.filename == "fastbp/pace.py":
                data = data.replace(b"_GROWTH = 8", b"_GROWTH = 9")
            elif info.filename == "fastbp/run.py":
                continue
            elif info.filename == "fastbp/plain.py":
                info.external_attr = 0o100755 << 16
            bad.writestr(info, data)
        bad.writestr("fastbp/more.py", "")
    status, lines, _ = said(copy)
    assert status == 1
    assert lines[:2] == ["fastbp/more.py: only in the file given", lines[1]]
    assert re.fullmatch(r"fastbp/pace.py: contents differ from byte \d+ on \(.*\)", lines[1])
    changed = [line[:8] for line in lines if line[0] in "+-"]
    assert changed == ["--- given"[:8], "+++ built"[:8], "-_GROWTH", "+_GROWTH"]
    assert f"fastbp/plain.py: mode {0o100755}, built {0o100644}" in lines
    assert lines[-1] == "fastbp/run.py: only in the one built"
    for name, data, message in [
        ("none.whl", None, "No such file"),
        ("text.whl", b"text", "no readable archive"),
        ("text.tar.gz", b"text", "no readable archive"),
        ("text.txt", b"text", "expected a wheel"),
    ]:
        if data is not None:
            (tmp_path / name).write_bytes(data)
        status, _, error = said(tmp_path / name)
        assert status == 2
        assert message in error


def test_a_ref_that_is_none(tmp_path):
    with pytest.raises(ValueError, match="git -C"):
        rebuild.build("no-such-ref", tmp_path, wheel=True)


def requirements(name):
    """{package: [versions]} of a lock file, every line of which is understood."""
    text = (lock.FOLDER / f"{name}.txt").read_text("utf-8")
    found = {}
    for package, version in LOCKED.findall(text):
        found.setdefault(package, []).append(version)
    rest = LOCKED.sub("", text)
    assert all(line.startswith("#") for line in rest.splitlines()), rest
    return found


@pytest.mark.parametrize("name", [*lock.EXTRAS, "build"])
def test_requirements_are_locked(name):
    packaging = pytest.importorskip("packaging.requirements")
    found = requirements(name)
    if name == "build":
        assert [f"hatchling=={version}" for version in found["hatchling"]] == [lock._backend()]
        assert "build" in found
        return
    for text in wanted(name):
        requirement = packaging.Requirement(text)
        versions = found[requirement.name.lower()]
        assert all(requirement.specifier.contains(version) for version in versions), (text, versions)


def wanted(name):
    """The requirements of pyproject.toml for an extra, and for running."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")

    def strings(key):
        inside = re.search(rf"^{key} = \[(.*?)\]$", text, re.DOTALL | re.MULTILINE)[1]
        return re.findall(r'"([^"]+)"', inside)

    names, found = ["dependencies", *([] if name == "run" else [name])], []
    while names:
        for requirement in strings(names.pop()):
            if inner := re.fullmatch(r"fastbp\[(.*)\]", requirement):
                names += inner[1].split(",")
            else:
                found.append(requirement)
    return found
