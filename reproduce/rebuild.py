"""Builds a wheel or an sdist again from the repository and says whether it is the same, to the byte.

    python -m reproduce.rebuild dist/fastbp-0.2.0-py3-none-any.whl
    python -m reproduce.rebuild fastbp-0.2.0.tar.gz --from v0.2.0
    python -m reproduce.rebuild fastbp-0.2.0-py3-none-any.whl --from fastbp-0.2.0  # an sdist, unpacked

From a commit, whatever is not committed has no influence.  Exit status: 0 equal, 1 different, 2 not to be
compared.
"""

import argparse
import difflib
import hashlib
import importlib.metadata
import importlib.util
import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
_LINES = 20  # of a file's differences that are shown
_METADATA = re.compile(r"[^/]+\.dist-info/METADATA|[^/]+/PKG-INFO")


class Member(NamedTuple):
    """A file in an archive."""

    data: bytes
    mode: int
    time: object
    owner: object = None


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a wheel, or an sdist")
    parser.add_argument(
        "--from",
        dest="source",
        default="HEAD",
        metavar="SOURCE",
        help="a folder, or the commit, tag or branch, to build (default: HEAD)",
    )
    options = parser.parse_args()
    try:
        given = members(options.file)
        with tempfile.TemporaryDirectory() as folder:
            path = build(options.source, Path(folder), options.file.suffix == ".whl")
            built = members(path)
            if project(given) not in ("", project(built)):
                raise ValueError(
                    f"{options.file} is {project(given)}, but {options.source} gives {project(built)}; "
                    "--from names another commit or a folder"
                )
            differences = list(compare(given, built))
            same = options.file.read_bytes() == path.read_bytes()
            print(f"{digest(options.file)}  {options.file}\n{digest(path)}  {path.name} of {options.source}")
    except (OSError, ValueError) as error:
        print(f"rebuild: {error}", file=sys.stderr)
        return 2
    if options.file.name != path.name:
        differences.insert(0, f"names: {options.file.name}, {path.name} of {options.source}")
    if not same and not differences:
        differences = [
            "every file is the same; the archive is not: its compression, or data beside the files"
        ]
    print("\n".join(differences or ["equal"]))
    return 1 if differences else 0


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def build(source: str, folder: Path, wheel: bool) -> Path:
    """Builds a folder's source or a commit, writing into `folder` alone; the one file that comes of it.

    Raises
    ------
    ValueError
        With what git or the build said.
    """
    if importlib.util.find_spec("build") is None:
        raise ValueError("expected build: pip install --require-hashes -r reproduce/requirements/build.txt")
    tree, out = Path(source), folder / "out"
    if not tree.is_dir():
        tree = folder / "source"
        export(source, tree)
    if not (tree / "pyproject.toml").is_file():
        raise ValueError(f"{source}: no pyproject.toml in it")
    kind = "--wheel" if wheel else "--sdist"
    command = [sys.executable, "-m", "build", kind, "--outdir", str(out), str(tree)]
    # Other than most people's, since bytes must not depend on them; hatchling takes its times from the last
    environment = {**os.environ, "TZ": "Asia/Kathmandu", "LC_ALL": "C"}
    environment.pop("SOURCE_DATE_EPOCH", None)
    run(*command, *(["--no-isolation"] if _has_backend(tree) else []), env=environment, umask=0o077)
    (found,) = out.iterdir()
    return found


def export(commit: str, folder: Path) -> None:
    # As committed, whatever the user's git makes of the ends of lines
    archive = run("git", "-C", str(ROOT), "-c", "core.autocrlf=false", "archive", commit)
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, **({"filter": "data"} if sys.version_info >= (3, 12) else {}))


def _has_backend(source: Path) -> bool:
    """Tells whether the backend that pyproject.toml names is installed here, in that version."""
    wanted = (source / "pyproject.toml").read_text("utf-8")
    try:
        return f'requires = ["hatchling=={importlib.metadata.version("hatchling")}"]' in wanted
    except importlib.metadata.PackageNotFoundError:
        return False


def run(*command: str, **how: Any) -> bytes:
    done = subprocess.run(command, capture_output=True, **how)
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        raise ValueError("\n".join([f"{' '.join(command[:3])} ... failed:", *said[-5:]]))
    return done.stdout


def members(path: Path) -> dict[str, Member]:
    """The files of a wheel or an sdist.

    Raises
    ------
    ValueError
        If it is neither, or has two files of one name, of which installers may take either.
    """
    try:
        if path.suffix == ".whl":
            found = _of_wheel(path)
        elif path.name.endswith(".tar.gz"):
            found = _of_sdist(path)
        else:
            raise ValueError(f"{path}: expected a wheel (.whl) or an sdist (.tar.gz)")
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError) as error:
        raise ValueError(f"{path}: no readable archive: {error}") from error
    name, times = Counter(name for name, _ in found).most_common(1)[0] if found else ("", 0)
    if times > 1:
        raise ValueError(f"{path}: has {name} {times} times")
    return dict(found)


def _of_wheel(path: Path) -> list[tuple[str, Member]]:
    with zipfile.ZipFile(path) as archive:
        return [
            (info.filename, Member(archive.read(info), info.external_attr >> 16, info.date_time))
            for info in archive.infolist()
        ]


def _of_sdist(path: Path) -> list[tuple[str, Member]]:
    with tarfile.open(path) as archive:
        return [
            (info.name, Member(_data(archive, info), info.mode, info.mtime, _owner(info))) for info in archive
        ]


def _data(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(info) if info.isfile() else None
    return file.read() if file else f"no file, but a link to {info.linkname!r}".encode()


def _owner(info: tarfile.TarInfo) -> object:
    return info.uid, info.gid, info.uname, info.gname


def project(found: dict[str, Member]) -> str:
    """Name and version, as an archive's metadata have them; nothing if it has none."""
    for name, member in found.items():
        if _METADATA.fullmatch(name):
            metadata = message_from_bytes(member.data)
            return f"{metadata['Name']} {metadata['Version']}"
    return ""


def compare(given: dict[str, Member], built: dict[str, Member]) -> Iterator[str]:
    """Lines about every file that is not the same in both, and about their order."""
    for name in sorted(given.keys() | built.keys()):
        if name not in built:
            yield f"{name}: only in the file given"
        elif name not in given:
            yield f"{name}: only in the one built"
        elif given[name] != built[name]:
            for field in ("mode", "time", "owner"):
                theirs, ours = getattr(given[name], field), getattr(built[name], field)
                if theirs != ours:
                    yield f"{name}: {field} {theirs}, built {ours}"
            yield from _contents(name, given[name].data, built[name].data)
    if given.keys() == built.keys() and list(given) != list(built):
        name = next(theirs for theirs, ours in zip(given, built, strict=True) if theirs != ours)
        yield f"{name}: the first file that is not in its place"


def _contents(name: str, given: bytes, built: bytes) -> Iterator[str]:
    if given == built:
        return
    place = next(
        (i for i, pair in enumerate(zip(given, built, strict=False)) if pair[0] != pair[1]),
        min(len(given), len(built)),
    )
    yield f"{name}: contents differ from byte {place} on ({len(given)} bytes, built {len(built)})"
    try:
        texts = given.decode().splitlines(), built.decode().splitlines()
    except UnicodeDecodeError:
        return
    lines = list(difflib.unified_diff(*texts, "given", "built", n=0, lineterm=""))
    yield from lines[:_LINES]
    if len(lines) > _LINES:
        yield f"... and {len(lines) - _LINES} lines more"


if __name__ == "__main__":
    sys.exit(main())
