"""Costs: the function that training minimises, by its name or as an object with options.

The cost of a sample is a sum over its outputs, C = sum over j of c(a[j], y[j]), and the cost of a batch is
the mean over its samples.  These are the two assumptions that backpropagation makes of a cost: that it is a
mean over samples, and a function of the outputs (the targets y are constants).

A *row* is the formula of one output over an operator type `v`, as in activations.py: (v, a, y) -> (c, dc/da).
A fourth parameter is the cost's own number, with its default.  A row of *logits*, (v, z, y) -> c, takes the
weighted input z of an output activation with which dC/dz is simply a - y: stable where the output saturates.

An *object*, such as ``Huber(delta=2.0)``, stands below its row and holds that number; `Cost` holds a user's
own functions.

The *table* `DEFINITIONS`, at the end, has all that the package knows of a cost, such as the targets that it
is defined for: a cost is added by a row, an object where it has a number, and an entry there.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from . import checks

# ---------------------------------------------------------------- rows and objects


def quadratic(v, a, y):
    error = a - y
    return 0.5 * error * error, error


def huber(v, a, y, delta=1.0):
    """Quadratic up to an error of delta, linear beyond."""
    error = a - y
    size = v.abs(error)
    bounded = v.minimum(size, delta)
    return bounded * v.fma(-0.5, bounded, size), v.copysign(bounded, error)


@dataclass(frozen=True)
class Huber:
    """``error^2 / 2`` up to an error of `delta`, ``delta (|error| - delta / 2)`` beyond (Huber 1964)."""

    delta: float = 1.0

    def __post_init__(self) -> None:
        is_valid = checks.is_real(self.delta) and 0 < self.delta < math.inf
        checks.require("Huber.delta", is_valid, "a finite number above 0", self.delta)
        object.__setattr__(self, "delta", float(self.delta))


def absolute(v, a, y):
    error = a - y
    return v.abs(error), v.sign(error)


def log_cosh(v, a, y):
    """log(cosh(error)): quadratic for small errors, linear for large ones."""
    error = a - y
    size = v.abs(error)
    f = v.expm1(-2 * size)
    t = v.abs(f / (2 + f))  # tanh(size)
    return size - v.log1p(t), v.copysign(t, error)


def quantile(v, a, y, level=0.5):
    """The pinball loss."""
    error = a - y
    factor = v.where(error > 0, 1 - level, v.where(error < 0, -level, 0.0))
    return factor * error, factor


@dataclass(frozen=True)
class Quantile:
    """``level (y - a)`` where a is below y, ``(1 - level) (a - y)`` above (Koenker and Bassett 1978).

    Outputs learn the quantile of that level, so that y is below a with that probability.

    >>> Quantile(level=0.9)
    Quantile(level=0.9)
    """

    level: float = 0.5

    def __post_init__(self) -> None:
        is_valid = checks.is_real(self.level) and 0 < self.level < 1
        checks.require("Quantile.level", is_valid, "a number between 0 and 1", self.level)
        object.__setattr__(self, "level", float(self.level))


def poisson(v, a, y):
    """The negative logarithm of a Poisson probability, without log(y!)."""
    return a - v.where(y > 0, y * v.log(a), 0.0), 1 - v.where(y > 0, y / a, 0.0)  # where y is 0, a may be 0


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


@dataclass(frozen=True)
class Cost:
    """A user's own cost: a function c(a, y) of one output and its target, and its derivative by a.

    If they are compiled by ``numba.njit``, kernels call them.  Functions of NumPy arrays are accepted too;
    the network then trains in NumPy, at its speed.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import Network
    >>> quartic = Cost(lambda a, y: (a - y) ** 4, lambda a, y: 4 * (a - y) ** 3)
    >>> net = Network([1, 4, 1], output_activation="linear", cost=quartic, seed=0)
    >>> history = net.fit(np.zeros((3, 1)), np.ones((3, 1)), epochs=1, batch_size=3, learning_rate=0.1)
    >>> len(history.loss)
    1
    """

    function: Callable[[Any, Any], Any]
    derivative: Callable[[Any, Any], Any]

    def __post_init__(self) -> None:
        checks.functions(self, "function", "derivative")


# ---------------------------------------------------------------- table


Kind = str | Huber | Quantile | Cost  # a row's name, or an object


class Targets(NamedTuple):
    """The numbers that a cost allows as targets."""

    least: float
    most: float
    expected: str  # in an error


VALUES = Targets(-math.inf, math.inf, "a finite number")
PROBABILITIES = Targets(0.0, 1.0, "0 to 1")
COUNTS = Targets(0.0, math.inf, "a count of at least 0")


class Definition(NamedTuple):
    """A cost: its rows, which object or name users write for it, and what it is defined for."""

    kind: Kind | None  # None where no name stands for it
    row: Callable[..., Any] | None = None
    logits: Mapping[str, Callable[..., Any]] = MappingProxyType({})  # output activation -> row
    outputs: tuple[str, ...] = ()  # the output activations that it is defined for, or () for all
    targets: Targets = VALUES

    def takes(self, output_activation: Any) -> bool:
        """Tells whether the cost is defined for outputs of an activation."""
        return not self.outputs or output_activation in self.outputs


DEFINITIONS: dict[str, Definition] = {
    "quadratic": Definition("quadratic", quadratic),
    "cross_entropy": Definition(
        "cross_entropy",
        logits={"sigmoid": sigmoid_cross_entropy, "softmax": softmax_cross_entropy},
        outputs=("sigmoid", "softmax"),
        targets=PROBABILITIES,
    ),
    "huber": Definition(Huber(), huber),
    "absolute": Definition("absolute", absolute),
    "log_cosh": Definition("log_cosh", log_cosh),
    "quantile": Definition(Quantile(), quantile),
    "poisson": Definition(
        "poisson",
        poisson,
        logits={"exponential": exponential_poisson},
        outputs=("exponential", "softplus", "sigmoid"),
        targets=COUNTS,
    ),
    "custom": Definition(None),
}
ROWS = {name: definition.row for name, definition in DEFINITIONS.items() if definition.row}
LOGITS = {
    (name, output): row
    for name, definition in DEFINITIONS.items()
    for output, row in definition.logits.items()
}
COSTS: dict[str, Kind] = {
    name: definition.kind for name, definition in DEFINITIONS.items() if definition.kind
}

# The codes by which kernels know a cost: of ROWS, then of LOGITS, then a user's own
FIRST_OF_LOGITS = len(ROWS)
CUSTOM = len(ROWS) + len(LOGITS)


def name_and_parameter(cost: Kind) -> tuple[str, float]:
    """The name of a cost in `DEFINITIONS`, and its own number (0 where it has none)."""
    if isinstance(cost, str):
        return cost, 0.0
    if isinstance(cost, Huber):
        return "huber", cost.delta
    return ("quantile", cost.level) if isinstance(cost, Quantile) else ("custom", 0.0)


def definition_of(cost: Kind) -> Definition:
    """The record of a cost, by its name or object."""
    return DEFINITIONS[name_and_parameter(cost)[0]]


def code_of(cost: str, output_activation: str) -> int:
    """The number by which kernels know a cost together with the activation of the outputs."""
    if (cost, output_activation) in LOGITS:
        return FIRST_OF_LOGITS + list(LOGITS).index((cost, output_activation))
    return CUSTOM if cost == "custom" else list(ROWS).index(cost)


def check_network(cost: Kind, output_activation: Any, outputs: int, scale_outputs: bool) -> None:
    """Refuses outputs that the cost is not defined for, scaled or not, and a softmax of one output."""
    definition = definition_of(cost)
    if scale_outputs and definition.targets is not VALUES:
        raise ValueError(f"scale_outputs: expected a cost of any values, such as 'quadratic', got {cost!r}")
    if not definition.takes(output_activation):
        names = " or ".join(map(repr, definition.outputs))
        raise ValueError(
            f"output_activation: expected {names} for the cost {cost!r}, got {output_activation!r}"
        )
    if output_activation == "softmax" and outputs == 1:
        raise ValueError(
            "output_activation: expected at least 2 outputs for 'softmax', got 1, whose softmax is always 1"
        )
