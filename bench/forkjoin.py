"""``python -m bench.forkjoin``: the package's team beside Numba's ``prange`` over the same phases.

Both do the same share of the same phase on every thread; `prange` forks and joins at every phase, where a
team has a barrier.  Each threading layer of Numba runs in a process of its own, for one cannot be changed.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numba
import numpy as np
from numba import njit, prange

from fastbp.engine.architecture import Architecture
from fastbp.engine.kernels.barrier import barrier
from fastbp.engine.kernels.dense import TileUpdate, backward, forward, update
from fastbp.engine.kernels.output import output
from fastbp.engine.kernels.panels import Mask
from fastbp.engine.kernels.step import Samples, _ahead, _gather_block, _workspace
from fastbp.engine.kernels.team import WHOLE, Member, run
from fastbp.engine.kernels.vector import pointer, shift
from fastbp.engine.packed import Data, Engine
from fastbp.options.optimizers import SGD

from .suite.networks import DIGITS, Case, digits, start

LAYERS = ("omp", "workqueue")
MEMBERS = 2


@njit
def _member(rank, size):
    return Member(rank, size, WHOLE * rank // size, WHOLE * (rank + 1) // size)


@njit(parallel=True, nogil=True)
def train(net, X, Y, weights, order, m, learning_rate, members):
    """`kernels.step.train` with a parallel loop for every phase, in batches of m."""
    rule = TileUpdate(True, False, 0, -learning_rate / m, 1.0)
    losses = np.zeros(0)
    last = net.layers.shape[0] - 1
    for begin in range(0, order.size - m + 1, m):
        for number in prange(members):
            member = _member(number, members)
            work = _workspace(net, member)
            x, y = shift(work.scratch, net.plan[0].x), shift(work.scratch, net.plan[0].y)
            _gather_block(Samples(X, Y, weights, order), net.plan[0], begin, begin + m, x, y, work, member)
        for depth in range(1, last + 1):
            for number in prange(members):
                work = _workspace(net, _member(number, members))
                signal = net.plan[0].x if depth == 1 else net.layers[depth - 1].a
                x = shift(work.scratch, signal)
                mask, hidden = Mask(0, -1), depth < last
                forward(net.layers[depth], work, x, m, hidden, mask, 0, _member(number, members))
        for number in prange(members):
            member = _member(number, members)
            work = _workspace(net, member)
            y, positions = shift(work.scratch, net.plan[0].y), pointer(order, begin)
            output(net, work, y, m, losses, weights, positions, member)
        for depth in range(last, 0, -1):
            if depth > 1:
                for number in prange(members):
                    member = _member(number, members)
                    backward(net.layers[depth], net.layers[depth - 1], _workspace(net, member), m, member)
            for number in prange(members):
                member = _member(number, members)
                work = _workspace(net, member)
                signal = net.plan[0].x if depth == 1 else net.layers[depth - 1].a
                nothing = _ahead(work.rounded, Samples(X, Y, weights, order), net.plan[0], 0, 0, member)
                update(net.layers[depth], work, shift(work.scratch, signal), m, rule, nothing, member)


@njit(nogil=True)
def pass_often(flags, number, members, times):
    for _ in range(times):
        barrier(pointer(flags, 0), number, members)


def nanoseconds_per_barrier(times: int = 100_000) -> float:
    """The median of some runs of a team that does nothing but wait at barriers."""
    found = []
    for _ in range(9):
        begin = time.perf_counter()
        run(MEMBERS, lambda member, flags: pass_often(flags, member.rank, member.size, times))
        found.append(1e9 * (time.perf_counter() - begin) / times)
    return statistics.median(found[1:])  # the first compiles


def compare(case: Case, dtype: str, samples: int, rounds: int) -> None:
    """Times both in alternation, on whole batches, and asserts that they end with the same bits."""
    X, labels = digits(samples // case.batch_size * case.batch_size)
    order = np.random.RandomState(0).permutation(len(X))
    sigmoids = ("sigmoid",) * (len(case.sizes) - 1)
    architecture = Architecture(case.sizes, sigmoids, np.dtype(dtype))
    data = Data(X, labels, 255.0)
    numbers = SGD().numbers(np.full(len(X) // case.batch_size, case.learning_rate), 0)

    def engine(members: int) -> Engine:
        return Engine(architecture, *start(case, dtype), case.batch_size, members)

    def team_of(members: int) -> tuple[Engine, Callable[[], object]]:
        own = engine(members)
        return own, lambda: own.train(data, order, (0, len(X)), numbers)

    def loops() -> tuple[Engine, Callable[[], object]]:
        own = engine(MEMBERS)
        net, samples = own._net(), own._samples(data, order)
        return own, lambda: train(net, *samples, case.batch_size, case.learning_rate, MEMBERS)

    ways: dict[str, tuple[Engine, Callable[[], object]]] = {
        "1 thread": team_of(1),
        f"team of {MEMBERS}": team_of(MEMBERS),
        f"prange, {numba.config.THREADING_LAYER}": loops(),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (_, epoch) in ways.items():
            time.sleep(0.02)  # OpenMP's threads go on spinning for a while
            begin = time.perf_counter()
            epoch()
            times[name].append(time.perf_counter() - begin)
    first, *others = (own.parameters.tobytes() for own, _ in ways.values())
    assert all(other == first for other in others), "the ways do not end with the same bits"
    steps = len(X) // case.batch_size
    found = "  ".join(f"{name} {1e6 * statistics.median(t) / steps:.2f} us" for name, t in times.items())
    print(f"{case.name} {dtype}, per step: {found}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--layer", choices=LAYERS, help="only this threading layer, in this process")
    options = parser.parse_args()
    if options.layer is None:
        print(f"a barrier of {MEMBERS} members: {nanoseconds_per_barrier():.0f} ns", flush=True)
        for layer in LAYERS:
            command = [sys.executable, "-m", "bench.forkjoin", *sys.argv[1:], "--layer", layer]
            subprocess.run(command, env={**os.environ, "NUMBA_THREADING_LAYER": layer}, check=True)
        return
    numba.set_num_threads(MEMBERS)
    for number in options.cases:
        compare(DIGITS[number], options.dtype, options.samples, options.rounds)


if __name__ == "__main__":
    main()
