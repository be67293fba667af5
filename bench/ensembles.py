"""Many small networks: ms an epoch of all, in lanes of vectors and one by one, beside JAX's vmap.

    python -m bench.ensembles                # networks x sizes, one order for all and own orders, threads
    python -m bench.ensembles --quick        # a few rows
    python -m bench.ensembles --widths       # by width alone: from where on lanes lose

float32, tanh, a linear output, batches of 64, Adam, each network with a rate of its own.  The ways take turns
epoch by epoch, and the median of their times counts.  JAX is left out where it is not installed.
"""

import argparse
import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastbp.engine.architecture import Architecture
from fastbp.engine.lane_data import LaneData, LaneSpec
from fastbp.engine.lanes import LaneEngine
from fastbp.engine.one_by_one import OneByOne
from fastbp.options.optimizers import OPTIMIZERS

from .peers.recipe import BETA_1, BETA_2, EPSILON
from .pinned import cores
from .suite.machine import gflops

SAMPLES, BATCH = 4096, 64
NETWORKS = (1, 8, 16, 64, 256)
SIZES = ((8, 8, 8, 1), (8, 32, 32, 1), (24, 8, 2), (16, 64, 64, 4), (784, 30, 10))
WIDTHS = (8, 16, 24, 32, 48, 64, 96, 128, 192, 256)
Way = Callable[[], Any]  # trains an epoch


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

    def by_jax(self) -> Way:
        """One jit of a scan over mini-batches of a vmap over networks, as JAX's users write it."""
        import jax
        from jax import numpy as jnp

        def outputs(parameters: Any, x: Any) -> Any:
            *hidden, (w, b) = parameters
            for w_hidden, b_hidden in hidden:
                x = jnp.tanh(x @ w_hidden + b_hidden)
            return x @ w + b

        def loss(parameters: Any, x: Any, y: Any) -> Any:
            return 0.5 * ((outputs(parameters, x) - y) ** 2).sum() / len(x)

        def step(state: Any, rate: Any, x: Any, y: Any) -> Any:
            parameters, mu, nu, t = state
            gradient = jax.grad(loss)(parameters, x, y)
            t = t + 1
            mu = jax.tree.map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, mu, gradient)
            nu = jax.tree.map(lambda s, g: BETA_2 * s + (1 - BETA_2) * g * g, nu, gradient)
            scale = rate / (1 - BETA_1**t)
            root = 1 / jnp.sqrt(1 - BETA_2**t)
            parameters = jax.tree.map(
                lambda w, m, s: w - scale * m / (jnp.sqrt(s) * root + EPSILON), parameters, mu, nu
            )
            return parameters, mu, nu, t

        rows = 0 if len(self.orders) > 1 else None
        every = jax.vmap(step, in_axes=(0, 0, rows, rows))
        X, Y, rates = jnp.asarray(self.X), jnp.asarray(self.Y), jnp.asarray(self.rates, self.dtype)

        def epoch(state: Any, orders: Any) -> Any:
            batches = orders.reshape(len(orders), -1, BATCH).swapaxes(0, 1)
            batches = batches if rows == 0 else batches[:, 0]
            return jax.lax.scan(lambda state, at: (every(state, rates, X[at], Y[at]), None), state, batches)[
                0
            ]

        compiled = jax.jit(epoch, donate_argnums=0)
        parameters = [
            (jnp.array(w.swapaxes(1, 2)), jnp.array(b[:, :, 0]))
            for w, b in zip(self.weights, self.biases, strict=True)
        ]
        zeros = [jax.tree.map(jnp.zeros_like, parameters) for _ in range(2)]
        state = [(parameters, *zeros, jnp.zeros(self.networks, self.dtype))]
        orders = jnp.asarray(self.orders)

        def run() -> None:
            state[0] = jax.block_until_ready(compiled(state[0], orders))

        return run


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
    ways = {"lanes": given.by_engine(LaneEngine, threads), "one by one": given.by_engine(OneByOne, threads)}
    with contextlib.suppress(ImportError):
        ways["JAX vmap"] = given.by_jax()
    return ways


def rows(quick: bool) -> Iterator[tuple[int, tuple[int, ...], bool]]:
    for sizes in SIZES[:3] if quick else SIZES:
        for networks in (16, 64) if quick else NETWORKS:
            for own_orders in (False, True):
                yield networks, sizes, own_orders


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--widths", action="store_true")
    parser.add_argument("--threads", nargs="+", type=int, default=sorted({1, min(2, len(cores()))}))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dtype", default="float32")
    options = parser.parse_args()
    if options.widths:
        cases = [(16, (16, width, width, 1), False) for width in WIDTHS]
    else:
        cases = list(rows(options.quick))
    print("networks, sizes, orders, threads: ms an epoch of all, share of the FMA peak")
    for networks, sizes, own_orders in cases:
        given = Given(networks, sizes, own_orders, options.dtype)
        for threads in options.threads:
            found = times(ways_of(given, threads), options.rounds)
            peak = 1e9 * gflops(options.dtype, threads)
            line = f"{networks:3} x {list(sizes)!s:16} {'own' if own_orders else 'one':4} {threads}"
            for name, seconds in found.items():
                line += f"  {name} {1e3 * seconds:8.2f} ms ({given.flops / seconds / peak:4.0%})"
            print(f"{line}  x{found['one by one'] / found['lanes']:.2f}", flush=True)


if __name__ == "__main__":
    main()
