"""Runs tests on every Python and with the oldest and newest dependencies: ``python -m reproduce.matrix``.

Needs uv (the extra dev), which finds Pythons on the PATH, and a package index.  Every cell is an
environment of its own, made from nothing; a Python that a dependency has no wheel for is said to be refused.

    python -m reproduce.matrix                        # all tests on everything that is found
    python -m reproduce.matrix tests/book --python 3.10 3.13
    python -m reproduce.matrix tests/book --places    # odd places instead: locale, folder, home, clock
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from . import rebuild

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
# uv's resolutions: of the packages that pyproject.toml names, and with what they then allow
RESOLUTIONS = {"oldest": "lowest-direct", "newest": "highest"}
NAMED = ("numpy", "numba", "scikit-learn", "pandas")  # whose versions are shown


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tests", nargs="*", help="folders, files or options of pytest (default: all tests)")
    parser.add_argument("--python", nargs="*", default=PYTHONS, metavar="3.x")
    parser.add_argument("--resolutions", nargs="*", default=list(RESOLUTIONS), choices=RESOLUTIONS)
    parser.add_argument("--places", action="store_true", help="this Python in odd places instead")
    options = parser.parse_args()
    rows = _places(options.tests) if options.places else _cells(options)
    failed = 0
    for row, passed in rows:
        print(row, flush=True)
        failed += not passed
    return 1 if failed else 0


def _cells(options: argparse.Namespace) -> Iterator[tuple[str, bool]]:
    for python in options.python:
        for name in options.resolutions:
            with tempfile.TemporaryDirectory() as folder:
                yield _cell(python, name, Path(folder), options.tests)


def _cell(python: str, name: str, folder: Path, tests: list[str]) -> tuple[str, bool]:
    """The table's row of one Python and resolution; a cell that cannot be made is none that failed."""
    made, said = _uv("venv", "--quiet", "--no-python-downloads", "--python", python, str(folder / "venv"))
    if not made:
        return f"{python} {name}: no such Python here", True
    interpreter = folder / "venv" / "bin" / "python"
    made, said = _uv(
        *("pip", "install", "--quiet", "--python", str(interpreter), "--only-binary", ":all:"),
        *("--no-binary", "fastbp", "--resolution", RESOLUTIONS[name], f"{ROOT}[test]"),
    )
    if not made:
        has_no_wheel = re.search(r"no (usable )?wheels|no source distribution|Python>?=|current Python", said)
        return f"{python} {name}: refused: {said.strip().splitlines()[-1].strip()}", bool(has_no_wheel)
    _, listed = _uv("pip", "freeze", "--python", str(interpreter))
    versions = dict(re.findall(r"^([\w-]+)==(\S+)$", listed, re.MULTILINE))
    shown = ", ".join(f"{package} {versions[package]}" for package in NAMED if package in versions)
    ignored = ["-W", "ignore::DeprecationWarning"] if name == "oldest" else []  # old packages on a new Python
    passed, last = _pytest([str(interpreter)], [*ignored, *tests], ROOT, {})
    return f"{python} {name} ({shown}): {last}", passed


def _places(tests: list[str]) -> Iterator[tuple[str, bool]]:
    """A copy of the repository's files tried where programs often fail."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "a folder with späces"
        copy.mkdir()
        rebuild.export("HEAD", copy)
        home = Path(folder) / "home"
        home.mkdir(mode=0o500)
        places: dict[str, dict[str, str]] = {
            "a path with spaces and letters beyond ASCII": {},
            "LANG=C": {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
            "a home that is read-only": {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")},
        }
        for name, environment in places.items():
            passed, last = _pytest([sys.executable], tests, copy, environment)
            yield f"{name}: {last}", passed
        if shutil.which("faketime") is None:
            yield "a clock in the past: skipped, for faketime is not installed", True
            return
        command = ["faketime", "2001-01-01 12:00:00", sys.executable]
        passed, last = _pytest(command, tests, copy, {})
        yield f"a clock in the past: {last}", passed


def _pytest(
    interpreter: list[str], tests: list[str], where: Path, environment: dict[str, str]
) -> tuple[bool, str]:
    """Whether the tests pass there, and the last line of what pytest says, with its seconds."""
    begin = time.monotonic()
    path = {"PYTHONPATH": str(where)} if where != ROOT else {}
    done = subprocess.run(
        [*interpreter, "-m", "pytest", "-p", "no:cacheprovider", *tests],
        cwd=where,
        env={**os.environ, **path, **environment},
        capture_output=True,
        text=True,
    )
    lines = (done.stdout.strip() or done.stderr.strip() or "no word").splitlines()
    if done.returncode:
        print("\n".join(lines[-30:]))
    return done.returncode == 0, f"{lines[-1].strip()} ({time.monotonic() - begin:.0f} s)"


def _uv(*command: str) -> tuple[bool, str]:
    done = subprocess.run([sys.executable, "-m", "uv", *command], capture_output=True, text=True)
    return done.returncode == 0, done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main())
