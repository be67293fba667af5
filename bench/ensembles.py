"""Many small networks: ms an epoch of all, in lanes of vectors, one by one, and by JAX and PyTorch.

    python -m bench.ensembles                # networks x sizes, one order for all and own orders, threads
    python -m bench.ensembles --quick        # a few rows
    python -m bench.ensembles --widths       # by width alone: from where on lanes lose
    python -m bench.ensembles --inputs       # by inputs alone, each network with an order of its own

float32, tanh, a linear output, batches of 64, Adam, each network with a rate of its own.  The ways take turns
epoch by epoch, and the median of their times counts.  A process may use as many cores as threads are asked
for, so that peers, which are left out where they are not installed, have as many.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np

from fastbp.engine.architecture import Architecture
from fastbp.engine.lane_data import LaneData, LaneSpec
from fastbp.engine.lanes import LaneEngine
from fastbp.engine.one_by_one import OneByOne
from fastbp.options.optimizers import OPTIMIZERS

from .peers.ensembles import Way, jax_vmap, pytorch_batched
from .pinned import cores, run
from .suite.machine import gflops

SAMPLES, BATCH = 4096, 64
NETWORKS = (1, 8, 16, 64, 256)
SIZES = ((8, 8, 8, 1), (8, 32, 32, 1), (24, 8, 2), (16, 64, 64, 4), (784, 30, 10))
WIDTHS = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256)
INPUTS = (16, 32, 64, 96, 128, 192)
PEERS = {"JAX vmap": ("jax", jax_vmap), "PyTorch bmm": ("torch", pytorch_batched)}


class Given:
    """Networks, samples, orders and rates."""

    def __init__(
        self, networks: int, sizes: tuple[int, ...], own_orders: bool, dtype: str = "float32"
    ) -> None:
        random = np.random.default_rng(0)
        self.sizes, self.dtype, self.networks = sizes, np.dtype(dtype), networks
        activations = (*("tanh",) * (len(sizes) - 2), "linear")
        self.architecture = Architecture(sizes, activations, self.dtype)
        self.samples = max(
            2 * BATCH, min(SAMPLES, int(2e10 / networks / self.architecture.flops()) // BATCH * BATCH)
        )
        self.X = random.standard_normal((self.samples, sizes[0])).astype(dtype)
        self.Y = random.standard_normal((self.samples, sizes[-1])).astype(dtype)
        self.orders = np.stack(
            [random.permutation(self.samples) for _ in range(networks if own_orders else 1)]
        )
        self.rates = np.geomspace(1e-4, 1e-3, networks)
        pairs = list(zip(sizes[1:], sizes[:-1], strict=True))
        self.weights = [
            (random.standard_normal((networks, *pair)) / np.sqrt(pair[1])).astype(dtype) for pair in pairs
        ]
        self.biases = [np.zeros((networks, n_out, 1), dtype) for n_out, _ in pairs]

    @property
    def flops(self) -> int:
        return self.architecture.flops() * self.samples * self.networks

    def by_engine(self, kind: Any, threads: int) -> Way:
        """Training by an engine, in lanes or one by one."""
        parameters = [
            ([w[i] for w in self.weights], [b[i] for b in self.biases]) for i in range(self.networks)
        ]
        engine = kind(self.architecture, parameters, BATCH, threads, LaneSpec("adam"))
        data, steps = LaneData(self.X, self.Y, 1.0), self.samples // BATCH
        tables = [OPTIMIZERS["adam"].numbers(np.full(steps, rate), 0) for rate in self.rates]
        numbers, first = np.stack(tables), np.zeros(self.networks, np.int64)

        def epoch() -> None:
            losses, reached = engine.new_losses(), np.zeros(self.networks, np.int64)
            engine.train(data, self.orders, (0, self.samples), numbers, first, losses, reached)
            assert np.isfinite(losses).all() and (reached == self.samples).all()

        return epoch


def times(ways: dict[str, Way], rounds: int) -> dict[str, float]:
    """Median seconds an epoch of each way, in alternation, after one to warm up."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, epoch in ways.items():
            begin = time.perf_counter()
            epoch()
            if number:
                found[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values) for name, values in found.items()}


def ways_of(given: Given, threads: int) -> dict[str, Way]:
    """The ways to train, without peers that are not installed."""
    ways = {"lanes": given.by_engine(LaneEngine, threads), "one by one": given.by_engine(OneByOne, threads)}
    for name, (module, peer) in PEERS.items():
        if find_spec(module):
            ways[name] = peer(given, BATCH, threads)
    return ways


def cases(options: argparse.Namespace) -> Iterator[tuple[int, tuple[int, ...], bool]]:
    """Networks, sizes, and whether each network has an order of its own."""
    if options.widths:
        for width in WIDTHS:
            yield 16, (16, width, width, 1), False
        return
    if options.inputs:
        for inputs in INPUTS:
            yield 16, (inputs, 16, 1), True
        return
    for sizes in SIZES[:3] if options.quick else SIZES:
        for networks in options.networks or ((16, 64) if options.quick else NETWORKS):
            for own_orders in (False, True):
                yield networks, sizes, own_orders


def row(networks: int, sizes: tuple[int, ...], own_orders: bool, options: argparse.Namespace) -> str:
    """A row of the table, in a process that has as many cores as threads."""
    (threads,), dtype = options.threads, options.dtype
    given = Given(networks, sizes, own_orders, dtype)
    found = times(ways_of(given, threads), options.rounds)
    peak = 1e9 * gflops(dtype, threads)
    pays = LaneEngine.pays(given.architecture, networks, threads, own_orders)
    chosen = found["lanes" if pays else "one by one"]
    line = f"{networks:3} x {list(sizes)!s:16} {'own' if own_orders else 'one':4} {threads}"
    for name, seconds in found.items():
        mark = "*" if seconds == chosen else " "
        line += f"  {name} {1e3 * seconds:8.2f}{mark} ({given.flops / seconds / peak:4.0%})"
    return f"{line}  " + ", ".join(f"x{seconds / chosen:.2f}" for seconds in found.values())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--widths", action="store_true")
    parser.add_argument("--inputs", action="store_true")
    parser.add_argument("--networks", nargs="+", type=int, help="instead of 1, 8, 16, 64 and 256")
    parser.add_argument("--threads", nargs="+", type=int, default=sorted({1, min(2, len(cores()))}))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--json", action="store_true", help=argparse.SUPPRESS)  # the process that is pinned
    options = parser.parse_args()
    if options.json:
        for case in cases(options):
            print(json.dumps(row(*case, options)), flush=True)
        return
    missing = [name for name, (module, _) in PEERS.items() if not find_spec(module)]
    for name in missing:
        print(f"{name} is left out: it is not installed")
    print(
        "networks, sizes, orders, threads: ms an epoch of all (share of the FMA peak); * what Ensemble takes,"
    )
    print("and how many times as long as that each of them takes")
    for threads in options.threads:
        for line in run("bench.ensembles", [*sys.argv[1:], "--json", "--threads", str(threads)], threads):
            print(line, flush=True)


if __name__ == "__main__":
    main()
