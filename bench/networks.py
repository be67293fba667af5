"""What is measured: networks, batches and the digits they train on."""

from typing import Any, NamedTuple

import numpy as np

from fastbp.datasets import load_mnist


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


def digits(samples: int = 50_000) -> tuple[Any, Any]:
    """Training digits as uint8, and their labels."""
    training = load_mnist().training
    return training.X[:samples], training.y[:samples]


def start(case: Case, dtype: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """First weights scaled by the root of the inputs, so that wide layers do not saturate."""
    draw = np.random.RandomState(0).standard_normal
    pairs = list(zip(case.sizes, case.sizes[1:], strict=False))
    biases = [draw((n_out, 1)).astype(dtype) for _, n_out in pairs]
    return [(draw((n_out, n_in)) / np.sqrt(n_in)).astype(dtype) for n_in, n_out in pairs], biases
