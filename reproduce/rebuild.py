"""Builds a wheel or an sdist again from the repository and says whether it is the same, to the byte.

    python -m reproduce.rebuild dist/fastbp-0.2.0-py3-none-any.whl
    python -m reproduce.rebuild fastbp-0.2.0.tar.gz --ref v0.2.0

Whatever is not committed has no influence.  Exit status: 0 equal, 1 different, 2 not to be compared.
"""

import argparse
import difflib
import hashlib
import importlib.metadata
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
_LINES = 20  # of a file's differences that are shown


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
    parser.add_argument("--ref", default="HEAD", help="the commit, tag or branch to build (default: HEAD)")
    options = parser.parse_args()
    try:
        given = members(options.file)
        with tempfile.TemporaryDirectory() as folder:
            built = build(options.ref, Path(folder), options.file.suffix == ".whl")
            differences = list(compare(given, members(built)))
            same = options.file.read_bytes() == built.read_bytes()
            print(f"{digest(options.file)}  {options.file}\n{digest(built)}  {built.name} of {options.ref}")
    except (OSError, ValueError) as error:
        print(f"rebuild: {error}", file=sys.stderr)
        return 2
    if options.file.name != built.name:
        differences.insert(0, f"names: {options.file.name}, {built.name} of {options.ref}")
    if not same and not differences:
        differences = ["the same files, but compressed otherwise: by Python with another zlib"]
    print("\n".join(differences or ["equal"]))
    return 1 if differences else 0


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def build(ref: str, folder: Path, wheel: bool) -> Path:
    """Builds a commit in a folder of its own; the one file that comes of it.

    Raises
    ------
    ValueError
        With what git or the build said.
    """
    source, out = folder / "source", folder / "out"
    source.mkdir()
    archive = _run("git", "-C", str(ROOT), "archive", ref)
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(source, **({"filter": "data"} if sys.version_info >= (3, 12) else {}))
    kind = "--wheel" if wheel else "--sdist"
    command = [sys.executable, "-m", "build", kind, "--outdir", str(out), str(source)]
    _run(*command, *(["--no-isolation"] if _has_backend(source) else []))
    (found,) = out.iterdir()
    return found


def _has_backend(source: Path) -> bool:
    """Whether the backend that pyproject.toml names is installed here, in that version."""
    wanted = (source / "pyproject.toml").read_text("utf-8")
    try:
        return f'requires = ["hatchling=={importlib.metadata.version("hatchling")}"]' in wanted
    except importlib.metadata.PackageNotFoundError:
        return False


def _run(*command: str) -> bytes:
    done = subprocess.run(command, capture_output=True)
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        raise ValueError(f"{' '.join(command[:3])} ...: {said[-1] if said else done.returncode}")
    return done.stdout


def members(path: Path) -> dict[str, Member]:
    """The files of a wheel or an sdist."""
    try:
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as archive:
                return {
                    info.filename: Member(archive.read(info), info.external_attr >> 16, info.date_time)
                    for info in archive.infolist()
                }
        if path.name.endswith(".tar.gz"):
            with tarfile.open(path) as files:
                return {
                    info.name: Member(
                        found.read() if (found := files.extractfile(info)) else b"",
                        info.mode,
                        info.mtime,
                        (info.uid, info.gid, info.uname, info.gname),
                    )
                    for info in files
                }
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise ValueError(f"{path}: no readable archive: {error}") from error
    raise ValueError(f"{path}: expected a wheel (.whl) or an sdist (.tar.gz)")


def compare(given: dict[str, Member], built: dict[str, Member]) -> Iterator[str]:
    """Lines about every file that is not the same in both."""
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
