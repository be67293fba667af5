"""Costs: what may stand for one, by name or as an object with options.

The cost of a sample is a sum over its outputs, C = sum over j of c(a[j], y[j]), and the cost of a batch is
the mean over its samples.  These are the two assumptions that backpropagation makes of a cost: that it is a
mean over samples, and a function of the outputs (the targets y are constants).  So c and dc/da are all there
is to say; the formulas are the rows in ``kernels/costs.py``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any


@dataclass(frozen=True)
class Huber:
    """``error^2 / 2`` up to an error of `delta`, ``delta (|error| - delta / 2)`` beyond (Huber 1964)."""

    delta: float = 1.0

    def __post_init__(self) -> None:
        value = self.delta
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < float("inf"):
            raise ValueError(f"Huber.delta: expected a finite number above 0, got {value!r}")
        object.__setattr__(self, "delta", float(value))


@dataclass(frozen=True)
class Cost:
    """A user's own cost: a function c(a, y) of one output and its target, and its derivative by a.

    If they are compiled by ``numba.njit``, kernels call them.  Functions of NumPy arrays are accepted too;
    the network then trains in NumPy, at its speed.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import Network
    >>> log_cosh = Cost(lambda a, y: np.log(np.cosh(a - y)), lambda a, y: np.tanh(a - y))
    >>> net = Network([1, 4, 1], output_activation="linear", cost=log_cosh, seed=0)
    >>> history = net.fit(np.zeros((3, 1)), np.ones((3, 1)), epochs=1, batch_size=3, learning_rate=0.1)
    >>> len(history.loss)
    1
    """

    function: Callable[[Any, Any], Any]
    derivative: Callable[[Any, Any], Any]

    def __post_init__(self) -> None:
        for name in ("function", "derivative"):
            if not callable(getattr(self, name)):
                raise TypeError(f"Cost.{name}: expected a function, got {getattr(self, name)!r}")


# What an architecture holds for a cost: a name, or an object with options.
Kind = str | Huber | Cost

COSTS: dict[str, Kind] = {
    "quadratic": "quadratic",
    "cross_entropy": "cross_entropy",
    "huber": Huber(),
    "absolute": "absolute",
    "poisson": "poisson",
}
# The outputs that a cost is defined for, where that is not any: shares, and means of counts.
OUTPUTS_OF = {"cross_entropy": ("sigmoid", "softmax"), "poisson": ("exponential", "softplus", "sigmoid")}


def row_of(cost: Kind) -> tuple[str, float]:
    """The name by which kernels know a cost, and the number that is its own (0 where it has none)."""
    if isinstance(cost, str):
        return cost, 0.0
    return ("huber", cost.delta) if isinstance(cost, Huber) else ("custom", 0.0)
