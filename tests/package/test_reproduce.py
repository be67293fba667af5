"""Anyone can rebuild it: the same bytes from anywhere, and requirements that are locked by their hashes."""

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from reproduce import lock, rebuild, release

ROOT = Path(__file__).parents[2]
IN_GIT = (ROOT / ".git").exists() and shutil.which("git") is not None
LOCKED = re.compile(
    r"^([\w.-]+)==([\w.!+]+)(?: ; .+?)? \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+", re.MULTILINE
)


def requires_build():
    if not IN_GIT:
        pytest.skip("no repository to build from")
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


@pytest.mark.survives("rebuilt package")
def test_the_same_bytes_from_anywhere(tmp_path, monkeypatch):
    """`python -m build` makes the wheel from the sdist, and `rebuild` from a commit or a folder."""
    requires_build()
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    here = built(tmp_path / "here", "022", TZ="UTC", LC_ALL="C.UTF-8")
    assert set(here) == {".whl", ".gz"}
    elsewhere = tmp_path / "a folder" / "élsewhere"
    assert built(elsewhere, "077", TZ="Asia/Tokyo", LC_ALL="C", PYTHONHASHSEED="7") == here
    # What rebuild must not take from those who run it
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    for name, value in [("COUNT", "1"), ("KEY_0", "core.autocrlf"), ("VALUE_0", "true")]:
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    for source, kind in [("HEAD", ".whl"), (str(elsewhere), ".gz")]:
        folder = tmp_path / kind
        folder.mkdir()
        assert rebuild.digest(rebuild.build(source, folder, wheel=kind == ".whl")) == here[kind], source


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
            if info.filename == "fastbp/engine/team_size.py":
                data = data.replace(b"_GROWTH = 8", b"_GROWTH = 9")
            elif info.filename == "fastbp/training/run.py":
                continue
            elif info.filename == "fastbp/engine/numpy_engine.py":
                info.external_attr = 0o100755 << 16
            bad.writestr(info, data)
        bad.writestr("fastbp/more.py", "")
    status, lines, _ = said(copy)
    assert status == 1
    assert lines[0] == f"fastbp/engine/numpy_engine.py: mode {0o100755}, built {0o100644}"
    assert re.fullmatch(r"fastbp/engine/team_size.py: contents differ from byte \d+ on \(.*\)", lines[1])
    changed = [line[:8] for line in lines if line[0] in "+-"]
    assert changed == ["--- given"[:8], "+++ built"[:8], "-_GROWTH", "+_GROWTH"]
    assert lines[-2:] == [
        "fastbp/more.py: only in the file given",
        "fastbp/training/run.py: only in the one built",
    ]
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


@pytest.mark.parametrize("source, message", [("no-such-ref", "git -C"), ("docs", "docs: no pyproject.toml")])
def test_sources_that_are_none(tmp_path, monkeypatch, source, message):
    requires_build()
    monkeypatch.chdir(ROOT)
    with pytest.raises(ValueError, match=message):
        rebuild.build(source, tmp_path, wheel=True)


def wheel_of(path, *files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files:
            archive.writestr(zipfile.ZipInfo(name), text)
    return path


RUN, PACE = ("fastbp/training/run.py", "run"), ("fastbp/engine/team_size.py", "pace")
METADATA = ("fastbp-0.1.0.dist-info/METADATA", "Name: fastbp\nVersion: 0.1.0\n\nName: not this\n")


def test_a_file_that_is_in_it_twice(tmp_path):
    """An installer may take the one that a comparison has not seen."""
    with pytest.warns(UserWarning, match="Duplicate"):
        path = wheel_of(tmp_path / "a.whl", RUN, PACE, ("fastbp/training/run.py", "other"))
    with pytest.raises(ValueError, match=re.escape("a.whl: has fastbp/training/run.py 2 times")):
        rebuild.members(path)


@pytest.mark.parametrize(
    "given, line",
    [
        ([PACE, RUN], "fastbp/engine/team_size.py: the first file that is not in its place"),
        ([RUN, PACE], "every file is the same; the archive is not: "),
    ],
)
def test_archives_of_the_same_files(tmp_path, capsys, monkeypatch, given, line):
    path = wheel_of(tmp_path / "a.whl", *given)
    path.write_bytes(b"before it" + path.read_bytes())
    (tmp_path / "built").mkdir()
    built = wheel_of(tmp_path / "built" / "a.whl", RUN, PACE)
    monkeypatch.setattr(rebuild, "build", lambda *_: built)
    monkeypatch.setattr(sys, "argv", ["rebuild", str(path)])
    assert rebuild.main() == 1
    assert capsys.readouterr().out.splitlines()[2].startswith(line)


def test_another_version(tmp_path, capsys, monkeypatch):
    path = wheel_of(tmp_path / "given.whl", METADATA)
    built = wheel_of(tmp_path / "a.whl", (METADATA[0], METADATA[1].replace("0.1.0", "0.2.0")))
    monkeypatch.setattr(rebuild, "build", lambda *_: built)
    monkeypatch.setattr(sys, "argv", ["rebuild", str(path), "--from", "v0.2.0"])
    assert rebuild.main() == 2
    assert "given.whl is fastbp 0.1.0, but v0.2.0 gives fastbp 0.2.0; --from" in capsys.readouterr().err


def test_a_link_in_an_sdist(tmp_path):
    info = tarfile.TarInfo("fastbp-0.2.0/fastbp/training/run.py")
    info.type, info.linkname = tarfile.SYMTYPE, "nowhere"
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.addfile(info)
    (member,) = rebuild.members(tmp_path / "a.tar.gz").values()
    assert member.data == b"no file, but a link to 'nowhere'"


@pytest.mark.parametrize("name", ["a.whl", "a.tar.gz"])
def test_archives_whose_data_are_corrupt(tmp_path, name):
    path = tmp_path / name
    content = bytes(range(256)) * 8
    if name == "a.whl":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a", content)
    else:
        with tarfile.open(path, "w:gz") as archive:
            info = tarfile.TarInfo("a")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    data = bytearray(path.read_bytes())
    data[31:50] = b"\xff" * 19  # of the compressed data; no such block
    path.write_bytes(data)
    with pytest.raises(ValueError, match="no readable archive"):
        rebuild.members(path)


def requirements(name):
    """{package: [versions]} of a lock file, every line of which is understood."""
    text = (lock.FOLDER / f"{name}.txt").read_text("utf-8")
    found = {}
    for package, version in LOCKED.findall(text):
        found.setdefault(package, []).append(version)
    assert LOCKED.sub("", text) == lock._HEADER  # nothing else: no option, host or path
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


@pytest.mark.parametrize(
    "version, changelog, faults",
    [
        ("0.3.0", "# Changelog\n\n## 0.3.0\n\n## 0.2.0\n", []),
        ("0.3.0rc1", "# Changelog\n\n## 0.3.0rc1\n", []),
        ("0.3.0", "# Changelog\n\n## Unreleased\n\n## 0.3.0\n", ["'## 0.3.0' as its first heading"]),
        ("0.3.0", "", ["'## 0.3.0' as its first heading, got ''"]),
        ("0.3.dev", "## 0.3.dev\n", ["expected a version such as 0.3.0"]),
    ],
)
def test_a_release_agrees_with_its_changelog(version, changelog, faults):
    found = list(release.disagreements(version, changelog))
    assert len(found) == len(faults)
    assert all(fault in line for fault, line in zip(faults, found, strict=True))
    assert release.version_of(f'x = 1\n__version__ = "{version}"\n') == version


def test_what_a_wheel_may_hold(tmp_path):
    good = [("fastbp/__init__.py", ""), ("fastbp/py.typed", ""), ("fastbp-1.0.dist-info/METADATA", "")]
    assert not list(release.contents(wheel_of(tmp_path / "a.whl", *good)))
    bad = [good[0], ("tests/conftest.py", ""), ("fastbp/__pycache__/a.pyc", "")]
    assert list(release.contents(wheel_of(tmp_path / "b.whl", *bad))) == [
        "b.whl: expected fastbp/py.typed in it",
        "b.whl: tests/conftest.py does not belong into it",
        "b.whl: fastbp/__pycache__/a.pyc does not belong into it",
    ]
