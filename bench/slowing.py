"""``python -m bench.slowing``: milliseconds per epoch as a training goes on, and its subnormal numbers.

Each case makes states or weights decay towards 0.  Where they became subnormal instead, and stayed so, later
epochs would take longer on chips that are slow with such numbers; where none is, all epochs take the same.
Groups of epochs are compared by their medians, after the first.
"""

import argparse
import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastbp import Network

from .suite.networks import PIXELS, digits

OPTIMIZERS = ("momentum", "nesterov", "rmsprop", "adam", "adamw")
MODERN: dict[str, Any] = {
    "activation": "relu",
    "output_activation": "softmax",
    "cost": "cross_entropy",
    "seed": 0,
}


def on_digits(optimizer: str, dtype: str) -> Iterator[Any]:
    """Border pixels are always 0, and some units die."""
    X, y = digits(10_000)
    net = Network([784, 128, 10], dtype=dtype, **MODERN, **PIXELS)
    while True:
        yield net, net.fit(X, y, epochs=1, batch_size=64, optimizer=optimizer, threads=1)


def on_words(optimizer: str, dtype: str) -> Iterator[Any]:
    """A bag of words: half of 3,000 words are rare."""
    random = np.random.default_rng(0)
    shares = np.where(np.arange(3000) < 1500, 0.02, 0.0005)
    X = (random.random((2000, 3000)) < shares).astype(dtype)
    y = random.integers(0, 2, 2000)
    net = Network([3000, 32, 2], dtype=dtype, **MODERN)
    while True:
        yield net, net.fit(X, y, epochs=1, batch_size=16, optimizer=optimizer, threads=1)


def on_silence(optimizer: str, dtype: str) -> Iterator[Any]:
    """Inputs are active once, in the first epoch, and never again."""
    X = np.zeros((2000, 1000), dtype)
    X[0] = 1
    y = np.arange(2000) % 2
    net = Network([1000, 64, 2], dtype=dtype, **MODERN)
    net.fit(X[:1000], y[:1000], epochs=1, batch_size=4, optimizer=optimizer, threads=1)
    while True:
        yield net, net.fit(X[1000:], y[1000:], epochs=1, batch_size=4, optimizer=optimizer, threads=1)


def with_penalty(_: str, dtype: str) -> Iterator[Any]:
    """Plain descent with `l2`, where most inputs are always 0: their weights decay."""
    random = np.random.default_rng(0)
    X = np.zeros((4000, 1000), dtype)
    X[:, :50] = random.random((4000, 50))
    y = (X[:, 0] > 0.5).astype(int)
    net = Network([1000, 64, 2], dtype=dtype, **MODERN)
    while True:
        yield net, net.fit(X, y, epochs=1, batch_size=4, learning_rate=0.1, l2=0.05, threads=1)


def subnormal(net: Network) -> int:
    """The number of subnormal weights, biases and states."""
    states = [part for pair in net._fastbp.progress.optimizer_state.values() for part in pair]
    arrays = [array for part in (net.weights, net.biases, *states) for array in part]
    least = np.finfo(net.dtype).smallest_normal
    return sum(int(np.sum((array != 0) & (np.abs(array) < least))) for array in arrays)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=31)
    parser.add_argument("--dtypes", nargs="*", default=("float32", "float64"))
    options = parser.parse_args()
    if options.epochs < 4:
        parser.error(f"--epochs: expected at least 4, the first and three groups, got {options.epochs}")
    cases = [(case, name) for case in (on_digits, on_words, on_silence) for name in OPTIMIZERS]
    for case, optimizer in [*cases, (with_penalty, "sgd")]:
        for dtype in options.dtypes:
            milliseconds, most = [], 0
            for _, (net, history) in zip(range(options.epochs), case(optimizer, dtype), strict=False):
                milliseconds.append(1e3 * history.seconds[0])
                most = max(most, subnormal(net))
            size = max(1, (options.epochs - 1) // 3)
            parts = [statistics.median(milliseconds[1 + i * size :][:size]) for i in range(3)]
            text = ", ".join(f"{part:.2f}" for part in parts)
            ratio = parts[-1] / parts[0]
            print(
                f"{case.__name__:12} {optimizer:9} {dtype}: {text} ms, last / first {ratio:.3f}, "
                f"at most {most} subnormal numbers",
                flush=True,
            )


if __name__ == "__main__":
    main()
