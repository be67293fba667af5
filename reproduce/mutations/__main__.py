"""Applies deliberate faults to a copy of the repository, one at a time, and runs the tests that must fail.

    python -m reproduce.mutations                   # all
    python -m reproduce.mutations --only durable    # those of files with that in their path
    python -m reproduce.mutations --random 10       # others each time; --seed makes the same choice again

Exit status: 0 if every fault was caught.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .table import MUTATIONS, Mutation

ROOT = Path(__file__).parents[2]
_LEFT_OUT = shutil.ignore_patterns(
    *(".git", ".venv", ".*_cache", ".hypothesis", ".asv", "__pycache__"),
    *("_build", "auto_examples", "gen_modules", "dist"),
)
_COMPILED = ("engine/kernels/", "options/")  # whose change compiles everything once more
_SECONDS = 1200  # of the tests of one fault
_FAILED, _NO_TEST = 1, (2, 3, 4, 5)  # exit statuses of pytest


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="faults in files with this in their path")
    parser.add_argument("--random", type=int, metavar="N", help="so many of them, chosen at random")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="of that choice")
    options = parser.parse_args()
    chosen = [each for each in MUTATIONS if options.only in each.file]
    if options.random is not None:
        chosen = random.Random(options.seed).sample(chosen, min(options.random, len(chosen)))
        print(f"--seed {options.seed}")
    caught = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy")
        shutil.copytree(ROOT, copy, ignore=_LEFT_OUT)
        for mutation in chosen:
            start = time.monotonic()
            outcome = tried(mutation, copy)
            caught += outcome == "caught"
            seconds = time.monotonic() - start
            print(f"{outcome}: {mutation.file}: {mutation.why} ({seconds:.0f} s)", flush=True)
    print(f"{caught} of {len(chosen)} caught")
    return 0 if caught == len(chosen) else 1


def tried(mutation: Mutation, copy: Path) -> str:
    """Whether the tests of a fault catch it in a copy of the repository, which is left as it was."""
    path = copy / "fastbp" / mutation.file
    text = path.read_text("utf-8")
    path.write_text(mutated(text, mutation), "utf-8")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    if mutation.file.startswith(_COMPILED):
        environment["NUMBA_CACHE_DIR"] = str(copy.parent / "cache")
    try:
        done = subprocess.run(
            [*command, *(f"tests/{test}" for test in mutation.tests)],
            cwd=copy,
            env=environment,
            capture_output=True,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"not done after {_SECONDS} s"
    finally:
        path.write_text(text, "utf-8")
        shutil.rmtree(copy.parent / "cache", ignore_errors=True)
    if done.returncode in _NO_TEST:
        return "NO TEST RAN"
    return "caught" if done.returncode == _FAILED else "NOT CAUGHT"


def mutated(text: str, mutation: Mutation) -> str:
    """The text of the file with the fault in it.

    Raises
    ------
    ValueError
        If the text before does not occur just once.
    """
    times = text.count(mutation.before)
    if times != 1:
        raise ValueError(f"{mutation.file}: expected {mutation.before!r} once, found it {times} times")
    return text.replace(mutation.before, mutation.after)


if __name__ == "__main__":
    sys.exit(main())
