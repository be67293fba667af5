"""Seconds of whole epochs of training, for a user's arrays and for lists of tuples."""

import contextlib
import io
import random
from typing import Any

from fastbp import Network

from .networks import (
    DIGITS,
    NAMED,
    PIXELS,
    SMALL,
    Case,
    Prepared,
    check_training,
    digits,
    network,
    not_yet,
    pairs_of_digits,
    start,
    targets,
)

MONITORS = (
    "monitor_evaluation_cost",
    "monitor_evaluation_accuracy",
    "monitor_training_cost",
    "monitor_training_accuracy",
)
ACTIVATIONS = ("sigmoid", "tanh", "relu", "linear", "leaky_relu", "elu", "gelu", "silu", "softplus")


def fit(net: Network, X: Any, y: Any, case: Case, epochs: int = 1, threads: Any = 1, **options: Any) -> float:
    """Trains, and returns the last mean cost."""
    history = net.fit(
        X,
        y,
        epochs=epochs,
        batch_size=case.batch_size,
        learning_rate=case.learning_rate,
        threads=threads,
        **options,
    )
    return history.loss[-1]


class Digits(Prepared):
    """An epoch of 10,000 shuffled digits, kept as uint8; the weights it starts from do not matter."""

    params = ([case.name for case in DIGITS[:3]], ["float32", "float64"], [1, 2])
    param_names = ("network", "dtype", "threads")

    def prepare(self, name: str, dtype: str, threads: int) -> None:
        self.case, self.threads = NAMED[name], threads
        check_training(self.case, dtype, threads)
        self.X, self.y = digits(10_000)
        self.net = Network(self.case.sizes, dtype=dtype, seed=0, **PIXELS)
        self.net.weights, self.net.biases = start(self.case, dtype)
        self.time_epoch()

    def time_epoch(self, *_: Any) -> None:
        fit(self.net, self.X, self.y, self.case, threads=self.threads)


class Activations(Prepared):
    """The same for [784, 100, 10] with other hidden layers, and linear outputs but for sigmoids."""

    params = (ACTIVATIONS, ["float32", "float64"])
    param_names = ("activation", "dtype")

    def prepare(self, activation: str, dtype: str) -> None:
        self.X, self.y = digits(10_000)
        output = "sigmoid" if activation == "sigmoid" else "linear"
        self.net = network((784, 100, 10), dtype, activation=activation, output_activation=output, **PIXELS)
        self.net.weights, self.net.biases = start(DIGITS[1], dtype)
        self.case = DIGITS[1]._replace(learning_rate=0.005)
        first, last = (fit(self.net, self.X, self.y, self.case) for _ in range(2))
        assert last < first < 2, (first, last)

    def time_epoch(self, *_: Any) -> None:
        fit(self.net, self.X, self.y, self.case)


class Small(Prepared):
    """Epochs over networks that are small, a full batch, or batches of one."""

    epochs = {SMALL[0].name: (10_000, 20), SMALL[1].name: (200, 2_000), SMALL[2].name: (5_000, 2)}  # noqa: RUF012
    params = (list(epochs), ["float32", "float64"])
    param_names = ("network", "dtype")

    def prepare(self, name: str, dtype: str) -> None:
        self.case = NAMED[name]
        samples, self.count = self.epochs[name]
        check_training(self.case, dtype, samples=samples)
        self.X, self.Y = (part.astype(dtype) for part in targets(self.case, samples))
        self.net = Network(self.case.sizes, dtype=dtype, seed=0)
        self.time_epochs()

    def time_epochs(self, *_: Any) -> None:
        fit(self.net, self.X, self.Y, self.case, self.count)


class DropIn(Prepared):
    """`SGD` on a list of 10,000 tuples, as scripts call it: three epochs, conversion and shuffle included."""

    params = ["float32", "float64"]  # noqa: RUF012
    param_names = ("dtype",)

    def prepare(self, dtype: str) -> None:
        self.pairs, tests = pairs_of_digits(10_000)
        self.net = Network([784, 30, 10], dtype=dtype)
        self.net.weights, self.net.biases = start(DIGITS[0], dtype)
        random.seed(0)
        self.time_sgd()
        right = self.net.evaluate(tests)
        assert right > 8_000, f"{right} of 10000"

    def time_sgd(self, *_: Any) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            self.net.SGD(self.pairs, 3, 10, 3.0)


class DropIn2(Prepared):
    """The same by the second network of the book, with lmbda, without monitors and with all of them."""

    params = [False, True]  # noqa: RUF012
    param_names = ("monitors",)

    def prepare(self, monitors: bool) -> None:
        with not_yet():
            from fastbp.compat import network2
        self.pairs, self.tests = pairs_of_digits(10_000)
        self.net = network2.Network([784, 30, 10])
        self.monitors = dict.fromkeys(MONITORS, monitors)
        random.seed(0)
        self.time_sgd()
        right = self.net.accuracy(self.tests)
        assert right > 8_000, f"{right} of 10000"

    def time_sgd(self, *_: Any) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            self.net.SGD(self.pairs, 3, 10, 0.5, 5.0, self.tests, **self.monitors)
