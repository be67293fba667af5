"""``python -m bench.threads``: teams of threads, on a machine that is idle and on one that is not.

The first table has milliseconds per epoch beside so many processes that do nothing but count, the second
GFLOP/s and the share of the FMA peak of as many threads.  With ``--libxsmm PATH``, the program
``tests/mlp/mlp_example`` of LIBXSMM-DNN is beside them: it trains with ReLU on one batch that stays in cache,
and of several block sizes the best counts.  With ``--slow US``, the first table has rows as well for a
process that takes the last CPU half of the time, in turns of so many microseconds: a slow core.
"""

import argparse
import itertools
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from fastbp import Network

from .suite.machine import measure
from .suite.networks import DIGITS, PIXELS, Case, digits, start

SAMPLES = 20_000
COUNTS = "while True: pass"
TAKES_TURNS = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
while True:
    end = time.perf_counter() + float(sys.argv[2])
    while time.perf_counter() < end: pass
    time.sleep(float(sys.argv[2]))
"""


@contextmanager
def beside(count: int, program: str, *arguments: str) -> Iterator[None]:
    """While so many processes run a program."""
    others = [subprocess.Popen([sys.executable, "-c", program, *arguments]) for _ in range(count)]
    time.sleep(0.3)
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def epochs(case: Case, threads: int | str, seconds: float) -> list[float]:
    """Milliseconds per epoch, over about so many seconds of one training."""
    X, y = digits(SAMPLES)
    net = Network(case.sizes, dtype="float32", seed=0, **PIXELS)
    net.weights, net.biases = start(case, "float32")
    begin = time.perf_counter()
    history = net.fit(
        X,
        y,
        epochs=10**6,
        batch_size=case.batch_size,
        learning_rate=case.learning_rate,
        threads=threads,
        callbacks=[lambda net, history: time.perf_counter() - begin > seconds],
    )
    return [1e3 * second for second in history.seconds[1:]]


def compare(case: Case, rounds: int, seconds: float) -> str:
    """Times one thread, two and "auto" in alternation: medians over all epochs."""
    found: dict[int | str, list[float]] = {1: [], 2: [], "auto": []}
    for _, (threads, times) in itertools.product(range(rounds), found.items()):
        times += epochs(case, threads, seconds)
    medians = {threads: statistics.median(times) for threads, times in found.items()}
    better = min(medians[1], medians[2])
    cells = [f"{threads} {median:7.1f}" for threads, median in medians.items()]
    cells += [f"{threads} / better {medians[threads] / better:.2f}" for threads in ("auto", 2)]
    return "  ".join(cells)


def libxsmm(binary: str, case: Case, threads: int) -> float:
    """GFLOP/s of the best blocking of several."""
    m, widths = case.batch_size, [str(size) for size in case.sizes]
    hidden = case.sizes[1]
    best = 0.0
    for n, k, c in itertools.product({m, m // 2, 32, 64}, {hidden, hidden // 2, 32, 50, 64}, {784, 392, 56}):
        if m % n or hidden % k:
            continue
        turns = str(max(5, int(2e10 / (case.flops() * m))))
        command = [binary, turns, str(m), "3", "A", str(n), str(k), str(c), "0", "1", *widths]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_PROC_BIND": "true"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        best = max([best, *map(float, re.findall(r"GFLOPS\s*=\s*([\d.]+)", done.stdout))])
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, nargs="*", default=range(len(DIGITS)))
    parser.add_argument("--seconds", type=float, default=3.0, help="of each training")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--others", type=int, nargs="*", default=[0, 1, 2], help="processes beside it")
    parser.add_argument(
        "--slow", type=float, nargs="*", default=[], metavar="US", help="microseconds of a turn"
    )
    parser.add_argument("--libxsmm", metavar="PATH", help="LIBXSMM-DNN's program")
    options = parser.parse_args()
    cases = [DIGITS[number] for number in options.cases]
    print(f"ms per epoch of {SAMPLES} digits, float32, by threads")
    for case, count in itertools.product([case for case in cases if case.sizes[1] < 2048], options.others):
        with beside(count, COUNTS):
            print(
                f"{case.name:24} {count} others  {compare(case, options.rounds, options.seconds)}", flush=True
            )
    for case, turn in itertools.product([case for case in cases if case.sizes[1] < 2048], options.slow):
        with beside(1, TAKES_TURNS, str(max(os.sched_getaffinity(0))), str(1e-6 * turn)):
            print(
                f"{case.name:24} turns of {turn:g} us  {compare(case, options.rounds, options.seconds)}",
                flush=True,
            )
    print("GFLOP/s, float32 (share of the peak)")
    for case in cases:
        cells = []
        for threads in (1, 2):
            rate, share = measure(case, "float32", threads, 3 + int(options.seconds))
            peer = f"  LIBXSMM-DNN {libxsmm(options.libxsmm, case, threads):6.1f}" if options.libxsmm else ""
            cells.append(f"{threads}: {rate:6.1f} ({share:.2f}){peer}")
        print(f"{case.name:24} {'   '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
