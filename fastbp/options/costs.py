"""Costs: what may stand for one, by name or as an object with options.

The cost of a sample is a sum over its outputs, C = sum over j of c(a[j], y[j]), and the cost of a batch is
the mean over its samples.  These are the two assumptions that backpropagation makes of a cost: that it is a
mean over samples, and a function of the outputs (the targets y are constants).  So c and dc/da are all there
is to say; the formulas are the rows in ``kernels/costs.py``.

Costs: a name, and the formula of one output, summed over a sample's outputs and averaged over samples.

That a cost is such a mean, and a function of the outputs (and of constants, the targets y), are the two
assumptions that backpropagation makes.  `ROWS` are (v, a, y) -> (C, dC/da), over an operator type `v` as in
kernels.activations.  `LOGITS` are (v, z, y) -> C, from the weighted input z of the output activation with
which dC/dz is simply a - y: stable where the output saturates.
"""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

# ---------------------------------------------------------------- rows


def quadratic(v, a, y):
    error = a - y
    return 0.5 * error * error, error


def huber(v, a, y, delta=1.0):
    """Quadratic up to an error of delta, linear beyond."""
    error = a - y
    size = v.abs(error)
    bounded = v.minimum(size, delta)
    return bounded * v.fma(-0.5, bounded, size), v.copysign(bounded, error)


def absolute(v, a, y):
    error = a - y
    return v.abs(error), v.sign(error)


def poisson(v, a, y):
    """The negative logarithm of a Poisson probability, without log(y!)."""
    return a - v.where(y > 0, y * v.log(a), 0.0), 1 - v.where(y > 0, y / a, 0.0)  # a may be 0 where y is


def sigmoid_cross_entropy(v, z, y):
    """-y log(a) - (1 - y) log(1 - a)."""
    size, miss = v.abs(z), v.where(z < 0, y, 1 - y)
    return v.where(v.abs(miss) > 0, miss * size, 0.0) + v.log1p(
        v.exp(-size)
    )  # 0 where z is infinite and right


def softmax_cross_entropy(v, z, y):
    """-y log(a), where z is the weighted input minus the logarithm of all outputs' summed exponentials."""
    return v.where(y > 0, -y * z, 0.0)


def exponential_poisson(v, z, y):
    return v.exp(z) - v.where(y > 0, y * z, 0.0)


ROWS = {row.__name__: row for row in (quadratic, huber, absolute, poisson)}
LOGITS = {
    ("cross_entropy", "sigmoid"): sigmoid_cross_entropy,
    ("cross_entropy", "softmax"): softmax_cross_entropy,
    ("poisson", "exponential"): exponential_poisson,
}
FIRST_OF_LOGITS = len(ROWS)
CUSTOM = len(ROWS) + len(LOGITS)


def code_of(cost: str, output_activation: str) -> int:
    """The number by which kernels know a cost together with the activation of the outputs."""
    if (cost, output_activation) in LOGITS:
        return FIRST_OF_LOGITS + list(LOGITS).index((cost, output_activation))
    return CUSTOM if cost == "custom" else list(ROWS).index(cost)


# ---------------------------------------------------------------- options


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
