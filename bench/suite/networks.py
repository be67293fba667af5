"""The networks, batches and digits of measurements, and a check that training is right."""

import contextlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastbp import Network
from fastbp.datasets import load_mnist

# Modules of tests/support import each other by bare names, as pytest's pythonpath lets them.
sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "support"))
import reference
import reference_network2
import reference_training

__all__ = [
    "DIGITS",
    "FULL",
    "NAMED",
    "ODD",
    "SMALL",
    "Case",
    "Prepared",
    "check_training",
    "difference",
    "digits",
    "network",
    "not_yet",
    "pairs_of_digits",
    "reference",
    "reference_network2",
    "reference_training",
    "start",
    "targets",
]


class Case(NamedTuple):
    sizes: tuple[int, ...]
    batch_size: int
    learning_rate: float = 0.5

    @property
    def name(self) -> str:
        return "-".join(map(str, self.sizes)) + f" b{self.batch_size}"

    def flops(self) -> int:
        """A training sample's: 4 a weight, and 2 more where the layer's input needs a delta."""
        weights = [a * b for a, b in zip(self.sizes, self.sizes[1:], strict=False)]
        return 4 * sum(weights) + 2 * sum(weights[1:])


DIGITS = (
    Case((784, 30, 10), 10, 3.0),
    Case((784, 100, 10), 32),
    Case((784, 512, 512, 10), 128),
    Case((784, 2048, 2048, 10), 512),
)
SMALL = (
    Case((4, 32, 16, 4), 10_000),
    Case((24, 8, 2), 200),
    Case((784, 30, 10), 1, 0.03),
)
FULL = Case((784, 30, 10), 10_000)
ODD = (
    *SMALL,
    Case((2, 2, 1), 4),
    Case((4, 32, 16, 4), 32),
    Case((13, 10, 5, 3), 1),
    Case((13, 10, 5, 3), 16),
    Case((30,) * 11, 10),
    Case((784, 10), 10),
    Case((784, 100, 1), 32),
    Case((784, 100, 1000), 32),
)
NAMED = {case.name: case for case in (*DIGITS, *SMALL, FULL)}


PIXELS = {"input_divisor": 255.0}  # of a network that takes digits as uint8
if "input_divisor" not in inspect.signature(Network).parameters:  # 0.2 divided uint8 unasked
    PIXELS = {}


def digits(samples: int = 50_000) -> tuple[Any, Any]:
    """Training digits as uint8, and their labels."""
    training = load_mnist().training
    return training.X[:samples], training.y[:samples]


def pairs_of_digits(samples: int = 50_000) -> tuple[list[Any], list[Any]]:
    """The digits as the book's loader gives them: (x, one-hot y) to train on, and (x, label)."""
    X, labels = digits(samples)
    x, y = (X / np.float32(256))[:, :, None], reference.one_hot(labels, 10)[:, :, None]
    return list(zip(x, y, strict=True)), list(zip(x, labels, strict=True))


def targets(case: Case, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """X between 0 and 1 and one-hot Y, both float64: digits, or drawn where inputs are not theirs."""
    if case.sizes[0] == 784:
        X, labels = digits(samples)
        return X / 255, reference.one_hot(labels % case.sizes[-1], case.sizes[-1])
    rng = np.random.default_rng(0)
    X = rng.random((samples, case.sizes[0]))
    return X, reference.one_hot(rng.integers(0, case.sizes[-1], samples), case.sizes[-1])


def start(case: Case, dtype: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """First weights scaled by the root of the inputs, so that wide layers do not saturate."""
    draw = np.random.RandomState(0).standard_normal
    pairs = list(zip(case.sizes, case.sizes[1:], strict=False))
    biases = [draw((n_out, 1)).astype(dtype) for _, n_out in pairs]
    return [(draw((n_out, n_in)) / np.sqrt(n_in)).astype(dtype) for n_in, n_out in pairs], biases


@contextlib.contextmanager
def not_yet() -> Iterator[None]:
    """Turns an old commit's want of an option, a name or a module into what makes asv skip the benchmark."""
    try:
        yield
    except (ImportError, TypeError, ValueError) as error:
        raise NotImplementedError(f"not at this commit: {error}") from error


def network(sizes: tuple[int, ...], dtype: str, **options: Any) -> Network:
    """A new one; where an old commit has not the options or the names given, asv skips the benchmark."""
    if "output_activation" not in inspect.signature(Network).parameters and "output_activation" in options:
        options["output"] = options.pop("output_activation")  # as 0.1 calls it
    with not_yet():
        return Network(sizes, dtype=dtype, seed=0, **options)


class Prepared:
    """Benchmarks that are prepared once per process: asv calls `setup` before every sample."""

    _prepared: tuple[Any, ...] | None = None

    def setup(self, *params: Any) -> None:
        if self._prepared != params:
            self.prepare(*params)
            self._prepared = params

    def prepare(self, *params: Any) -> None:
        raise NotImplementedError


def difference(weights: Any, others: Any) -> float:
    """The largest of any weight or bias."""
    return max(float(abs(a - b).max()) for a, b in zip(weights, others, strict=True))


def check_training(case: Case, dtype: str, threads: int = 1, samples: int = 640) -> float:
    """Largest difference of any weight from the reference after an epoch; asserts that it is rounding."""
    X, Y = targets(case, samples)
    net = Network(case.sizes, dtype=dtype, seed=0)
    net.weights, net.biases = start(case, dtype)
    net.fit(
        X.astype(dtype),
        Y.astype(dtype),
        epochs=1,
        batch_size=case.batch_size,
        learning_rate=case.learning_rate,
        shuffle=False,
        threads=threads,
    )
    wanted = reference.fit_reference(
        *start(case, np.float64), X, Y, [np.arange(samples)], case.batch_size, case.learning_rate, np.float64
    )
    found = difference([*net.weights, *net.biases], [*wanted[0], *wanted[1]])
    assert found < (5e-5 if dtype == "float32" else 1e-12), f"weights are off by {found}"
    return found
