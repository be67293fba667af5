"""``python -m bench.peers``: the same training, by fastbp and by what a user would pick instead.

Every peer trains the same network on the same digits in the same order from the same weights, in turn; the
medians of their epochs are shown, and the largest difference of any weight from the reference after one.
"""

import argparse
import contextlib
import io
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from fastbp import Network
from fastbp.engine import Architecture, Data, Engine

from .networks import DIGITS, Case, digits, reference, start

Weights = list[np.ndarray]


class Peer:
    """Trains from given weights an epoch at a time, in a given order."""

    name = ""

    def __init__(self, case: Case, dtype: str, X: np.ndarray, Y: np.ndarray) -> None:
        """X (n, inputs) between 0 and 1 and Y (n, outputs), both of `dtype`."""
        self.case, self.dtype, self.X, self.Y = case, dtype, X, Y
        self.weights, self.biases = start(case, dtype)

    def epoch(self, order: np.ndarray) -> None:
        raise NotImplementedError

    def trained(self) -> Weights:
        return [*self.weights, *self.biases]


class Seed(Peer):
    """The seed's class: one sample at a time, float64."""

    name = "seed (NumPy, a sample at a time)"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.net = reference.Network(list(self.case.sizes))
        self.net.weights, self.net.biases = start(self.case, np.float64)
        self.pairs = [(x[:, None], y[:, None]) for x, y in zip(self.X, self.Y, strict=True)]

    def epoch(self, order: np.ndarray) -> None:
        size = self.case.batch_size
        for first in range(0, len(order), size):
            batch = [self.pairs[i] for i in order[first : first + size]]
            self.net.update_mini_batch(batch, self.case.learning_rate)

    def trained(self) -> Weights:
        return [*self.net.weights, *self.net.biases]


class Vectorised(Peer):
    """NumPy, a mini-batch at a time."""

    name = "NumPy (a mini-batch at a time)"

    def epoch(self, order: np.ndarray) -> None:
        case = self.case
        self.weights, self.biases = reference.fit_reference(
            self.weights,
            self.biases,
            self.X,
            self.Y,
            [order],
            case.batch_size,
            case.learning_rate,
            self.dtype,
        )


class Fastbp(Peer):
    """Engine calls with the order given, as `fit` makes them."""

    threads = 1

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        case = self.case
        sigmoids = ("sigmoid",) * (len(case.sizes) - 1)
        architecture = Architecture(case.sizes, sigmoids, np.dtype(self.dtype))
        self.engine = Engine(architecture, self.weights, self.biases, case.batch_size, self.threads)
        self.data = Data(self.X, self.Y, 255.0)

    def epoch(self, order: np.ndarray) -> None:
        losses = self.engine.new_losses()
        self.engine.train(self.data, order, (0, len(order)), self.case.learning_rate, losses)

    def trained(self) -> Weights:
        weights, biases = self.engine.unpack()
        return [*weights, *biases]


class Fastbp1(Fastbp):
    name = "fastbp, 1 thread"


class Fastbp2(Fastbp):
    name, threads = "fastbp, 2 threads", 2


PEERS: tuple[type[Peer], ...] = (Seed, Vectorised, Fastbp1, Fastbp2)


def seconds(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def compare(case: Case, dtype: str, samples: int, rounds: int, peers: tuple[type[Peer], ...]) -> None:
    X, labels = digits(samples)
    X, Y = (X / 255).astype(dtype), reference.one_hot(labels, case.sizes[-1]).astype(dtype)
    random_state = np.random.RandomState(1)
    orders = [random_state.permutation(len(X)) for _ in range(rounds)]
    first = reference.fit_reference(
        *start(case, np.float64), X, Y, orders[:1], case.batch_size, case.learning_rate, np.float64
    )
    running = [peer(case, dtype, X, Y) for peer in peers]
    times: dict[str, list[float]] = {peer.name: [] for peer in running}
    differences = {}
    for turn, order in enumerate(orders):
        for peer in running:
            times[peer.name].append(seconds(lambda peer=peer, order=order: peer.epoch(order)))
            if turn == 0:
                pairs = zip(peer.trained(), [*first[0], *first[1]], strict=True)
                differences[peer.name] = max(float(abs(a - b).max()) for a, b in pairs)
    print(f"\n{case.name}, {dtype}, {samples} samples an epoch, learning rate {case.learning_rate}")
    medians = {name: statistics.median(found) for name, found in times.items()}
    for name, found in medians.items():
        ratio = found / medians[Fastbp1.name]
        print(f"  {name:34} {found:9.4f} s  {ratio:7.1f} x fastbp  |dw| {differences[name]:.1e}", flush=True)


def drop_in(epochs: int) -> None:
    """The seed's script itself: lists of column vectors, shuffle, conversion and lines included."""
    case = DIGITS[0]
    X, labels = digits()
    X, Y = X / np.float32(256), reference.one_hot(labels, 10)
    pairs = [(x[:, None], y[:, None]) for x, y in zip(X, Y, strict=True)]

    def run(net: Any, epochs: int) -> float:
        random.seed(0)
        with contextlib.redirect_stdout(io.StringIO()):
            return seconds(lambda: net.SGD(list(pairs), epochs, case.batch_size, case.learning_rate)) / epochs

    run(Network(case.sizes), 1)
    seed = statistics.median(run(reference.Network(list(case.sizes)), 1) for _ in range(3))
    print(f"\ndrop-in SGD, {case.name}, seconds an epoch: seed {seed:.3f}")
    for dtype in ("float32", "float64"):
        for count in (1, epochs):
            found = statistics.median(run(Network(case.sizes, dtype=dtype), count) for _ in range(5))
            print(
                f"  fastbp {dtype}, {count:2} epoch(s) a call: {found:.4f}, {seed / found:.1f} times faster"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, nargs="*", default=range(len(DIGITS)))
    parser.add_argument("--dtypes", nargs="*", default=["float32", "float64"])
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--drop-in", type=int, metavar="EPOCHS", help="only the seed's script, as it is called"
    )
    options = parser.parse_args()
    if options.drop_in:
        drop_in(options.drop_in)
        return
    for number in options.cases:
        for dtype in options.dtypes:
            peers = PEERS if number == 0 else PEERS[1:]
            compare(DIGITS[number], dtype, options.samples, options.rounds, peers)


if __name__ == "__main__":
    main()
