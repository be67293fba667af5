"""Random networks, data and recipes against the reference of the tests, and against themselves.

    python -m reproduce.fuzz --minutes 60
    python -m reproduce.fuzz --seed 4711  # one case, in every way

A case is trained by a few of the ways of `ways.py`, which must give the same bits: teams, chunks, stopped and
resumed, epoch by epoch, ensembles, blocks, types of X; some in a process that compiles for another CPU.  A
mismatch is printed as a script, with all left out that it does not need.  Exit status: 1 if there is one.
"""

import argparse
import hashlib
import json
import os
import platform
import random
import subprocess
import sys
import time
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..report import Report
from . import cases, reference, shrink, ways
from .cases import Case

ROOT = Path(__file__).parents[2]
_REFERENCE = "reference"
_OTHER_CPU = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": ""}
_WAYS = 3  # of a case, beside the reference
_FEW = 10  # one of so many cases is trained for another CPU as well
_REPORT = 30.0  # seconds between lines


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--first", type=int, help="the first seed (default: any)")
    parser.add_argument("--seed", type=int, help="this case alone, in every way")
    parser.add_argument("--hashes", type=int, nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ.setdefault("FASTBP_NUM_THREADS", "3")
    if options.hashes:
        print(json.dumps(hashes(options.hashes)))
        return 0
    report = Report()
    if options.seed is not None:
        print(cases.draw(options.seed).setup())
        check(options.seed, report, all_ways=True)
        other_cpu([options.seed], report)
    else:
        first = random.SystemRandom().randrange(10**9) if options.first is None else options.first
        print(f"seeds from {first} on", flush=True)
        run(first, options.minutes * 60, report)
    print(report)
    return 1 if report.wrong else 0


def run(first: int, seconds: float, report: Report) -> None:
    """Checks cases for so many seconds."""
    end = time.monotonic() + seconds
    due = time.monotonic() + _REPORT
    few = []
    seed = first
    while (now := time.monotonic()) < end:
        check(seed, report)
        if seed % _FEW == 0:
            few.append(seed)
        if now > due:
            print(f"seed {seed}: {report}", flush=True)
            due = now + _REPORT
        seed += 1
    other_cpu(few, report)


def check(seed: int, report: Report, all_ways: bool = False) -> None:
    """Checks the case of a seed, and prints the scripts of its mismatches."""
    case, chance = cases.draw(seed), random.Random(seed)
    report.cases += 1
    suited = [name for name, way in ways.WAYS.items() if name != "plain" and way.suits(case)]
    chosen = suited if all_ways else chance.sample(suited, min(_WAYS, len(suited)))
    number = chance.randrange(1000)
    others = () if "compute_dtype" in case.network else (_REFERENCE,)
    for way in (*others, *chosen):
        try:
            what = mismatch(case, way, number)
        except reference.IllConditioned:
            report.counts["ill-conditioned"] += 1
            continue
        report.counts[way] += 1
        if what:
            _tell(seed, case, way, number, what, report)


def mismatch(case: Case, way: str, number: int) -> str:
    """What is not as it should be in a case that is trained by a way; nothing where all is."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            compare = reference.difference if way == _REFERENCE else ways.WAYS[way].difference
            return compare(case, number)
        except reference.IllConditioned:
            raise
        except Exception as error:
            return f"{type(error).__name__}: {error}"


def _tell(seed: int, case: Case, way: str, number: int, what: str, report: Report) -> None:
    """Prints the smallest script of a mismatch."""

    def fails(case: Case) -> bool:
        try:
            return bool(mismatch(case, way, number)) and not mismatch(case, "plain", number)
        except reference.IllConditioned:
            return False

    if fails(case):
        case = shrink.smallest(case, fails)
        what = mismatch(case, way, number)
    if way == _REFERENCE:
        end = "from reproduce.fuzz import reference\nfrom reproduce.fuzz.cases import Case\n\n"
        script = f"{end}case = {case!r}\nprint(reference.difference(case, {number}))\n"
    else:
        script = case.setup() + "\n\n" + ways.script(way, number)
    script = f"# {way}: {what} (--seed {seed})\n{script}"
    report.tell(script)


# ---------------------------------------------------------------- another CPU


def hashes(seeds: Iterable[int]) -> dict[str, str]:
    """A hash of each case's training."""
    found = {}
    for seed in seeds:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            facts = ways.facts(cases.draw(seed), ways.plain, 0)
        found[str(seed)] = hashlib.sha256(repr(facts).encode()).hexdigest()
    return found


def other_cpu(seeds: list[int], report: Report) -> None:
    """Compares the trainings of a process that compiles for a CPU with AVX2."""
    if not seeds or platform.machine() not in ("x86_64", "AMD64"):
        return
    command = [sys.executable, "-m", "reproduce.fuzz", "--hashes", *map(str, seeds)]
    done = subprocess.run(
        command, env={**os.environ, **_OTHER_CPU}, cwd=ROOT, stdout=subprocess.PIPE, check=True
    )
    there, here = json.loads(done.stdout), hashes(seeds)
    report.counts["other CPU"] += len(seeds)
    for seed in (seed for seed in here if here[seed] != there[seed]):
        script = (
            f"# other CPU: not the same with {_OTHER_CPU} (--seed {seed})\n{cases.draw(int(seed)).setup()}"
        )
        report.tell(script)


if __name__ == "__main__":
    sys.exit(main())
