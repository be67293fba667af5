"""Costs: the function that training minimises, by its name or as an object with options.

The cost of a sample is a sum over its outputs, C = sum over j of c(a[j], y[j]), and the cost of a batch is
the mean over its samples.  These are the two assumptions that backpropagation makes of a cost: that it is a
mean over samples, and a function of the outputs (the targets y are constants).

A *row* is the formula of one output over an operator type `v`, as in activations.py: (v, a, y) -> (c, dc/da).
A fourth parameter is the cost's own number, with its default.  A form from *logits* has two rows,
(v, z, y) -> c and (v, a, y) -> dC/dz, for one output activation: stable where the output saturates.

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


def hinge(v, a, y):
    """max(0, 1 - s a) for the side s = 2 y - 1 of an output: -1 or 1."""
    side = 2 * y - 1
    margin = 1 - side * a
    return v.maximum(margin, 0.0), v.where(margin > 0, -side, 0.0)


def squared_hinge(v, a, y):
    side = 2 * y - 1
    short = v.maximum(1 - side * a, 0.0)
    return short * short, -2 * side * short


def gaussian(v, a, y):
    """The negative logarithm of a normal density, without log(2 pi) / 2, of pairs (mean, log of variance)."""
    mean, log_variance = v.pair(a)
    error, precision = mean - y, v.exp(-log_variance)
    square = error * (error * precision)
    return v.either(0.5 * square, 0.5 * log_variance), v.either(error * precision, 0.5 - 0.5 * square)


def poisson(v, a, y):
    """The negative logarithm of a Poisson probability, without log(y!)."""
    return a - v.where(y > 0, y * v.log(a), 0.0), 1 - v.where(y > 0, y / a, 0.0)  # where y is 0, a may be 0


def difference(v, a, y):
    """dC/dz of a cost and an output activation that match."""
    return a - y


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
class CrossEntropy:
    """The cross-entropy of targets that are moved towards even odds by `label_smoothing`.

    With outputs of a softmax over k classes a target y becomes ``(1 - s) y + s / k``, for s the smoothing;
    with sigmoids ``(1 - s) y + s / 2``, each output being a decision of its own (Szegedy et al. 2016).  So
    no output has to saturate, and probabilities are less sure of themselves.

    >>> CrossEntropy(label_smoothing=0.1)
    CrossEntropy(label_smoothing=0.1)
    """

    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        is_valid = checks.is_real(self.label_smoothing) and 0 <= self.label_smoothing < 1
        expected = "a number from 0 to below 1"
        checks.require("CrossEntropy.label_smoothing", is_valid, expected, self.label_smoothing)
        object.__setattr__(self, "label_smoothing", float(self.label_smoothing))


_LARGE = 1e38  # that float32 has: logarithms of 0 become finite, so that 0 times them is 0


def power(v, log, exponent):
    """x^exponent from log(x) <= 0; 1 where both x and the exponent are 0."""
    return v.exp(exponent * v.maximum(log, -_LARGE))


def sigmoid_focal(v, z, y, gamma=2.0):
    """-y (1 - a)^gamma log(a) - (1 - y) a^gamma log(1 - a)."""
    rest = v.log1p(v.exp(-v.abs(z)))
    of_one, of_zero = v.maximum(-z, 0.0) + rest, v.maximum(z, 0.0) + rest  # -log(a) and -log(1 - a)
    ones = v.where(y > 0, y * power(v, -of_zero, gamma) * of_one, 0.0)
    return ones + v.where(y < 1, (1 - y) * power(v, -of_one, gamma) * of_zero, 0.0)


def sigmoid_focal_delta(v, a, y, gamma=2.0):
    miss = 1 - a
    of_one, of_zero = v.log(a), log_of_rest(v, a)
    ones = power(v, of_zero, gamma) * (gamma * v.where(a > 0, a * of_one, 0.0) - miss)
    zeros = power(v, of_one, gamma) * (a - gamma * v.where(a < 1, miss * of_zero, 0.0))
    return y * ones + (1 - y) * zeros


def softmax_focal(v, z, y, gamma=2.0):
    """-y (1 - a)^gamma log(a), where z is log(a)."""
    miss = v.maximum(-v.expm1(v.minimum(z, 0.0)), 0.0)
    return v.where(y > 0, -y * (power(v, v.log(miss), gamma) * z), 0.0)


def softmax_focal_delta(v, a, y, gamma=2.0):
    """a dC/da of each output: dC/dz is this minus a times its sum over the outputs."""
    log_of_miss = log_of_rest(v, a)
    slope = v.where(a < 1, v.where(a > 0, a * v.log(a), 0.0) / (1 - a), -1.0)
    return y * power(v, log_of_miss, gamma) * (gamma * slope - 1)


def log_of_rest(v, a):
    """log(1 - a), with all digits also where a is small."""
    rest = 1 - a
    return v.where(a < 0.5, -v.log1p(v.minimum(a, 0.5) / v.maximum(rest, 0.5)), v.log(rest))


@dataclass(frozen=True)
class Focal:
    """The cross-entropy times ``(1 - p)^gamma``, for the probability p of the right answer (Lin et al. 2017).

    Samples that are right already count little, so that a rare class is not drowned by easy samples of the
    common one.  With gamma 0 it is the cross-entropy.  Outputs are those of sigmoids or of a softmax.  The
    paper's factor alpha is what `class_weight` does.

    >>> Focal(gamma=1.5)
    Focal(gamma=1.5)
    """

    gamma: float = 2.0

    def __post_init__(self) -> None:
        is_valid = checks.is_real(self.gamma) and 0 <= self.gamma <= 100
        checks.require("Focal.gamma", is_valid, "a number from 0 to 100", self.gamma)
        object.__setattr__(self, "gamma", float(self.gamma))


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


Kind = str | Huber | Quantile | CrossEntropy | Focal | Cost  # a row's name, or an object


class Targets(NamedTuple):
    """The numbers that a cost allows as targets."""

    least: float
    most: float
    expected: str  # in an error


VALUES = Targets(-math.inf, math.inf, "a finite number")
PROBABILITIES = Targets(0.0, 1.0, "0 to 1")
SIDES = Targets(0.0, 1.0, "0 or 1")  # of labels alone
COUNTS = Targets(0.0, math.inf, "a count of at least 0")


class Logits(NamedTuple):
    """A cost's form from the weighted inputs of one output activation."""

    cost: Callable[..., Any]  # (v, z, y) -> c; z of a softmax is log(a)
    delta: Callable[..., Any] = difference  # (v, a, y) -> dC/dz, or a dC/da where it `is_coupled`
    is_coupled: bool = False  # whether dC/dz is delta minus a times its sum over the outputs


class Definition(NamedTuple):
    """A cost: its rows, which object or name users write for it, and what it is defined for."""

    kind: Kind | None  # None where no name stands for it
    row: Callable[..., Any] | None = None
    logits: Mapping[str, Logits] = MappingProxyType({})  # by output activation
    outputs: tuple[str, ...] = ()  # the output activations that it is defined for, or () for all
    targets: Targets = VALUES
    threshold: float = 0.5  # from which on an output says yes
    is_least_at_targets: bool = True  # whether no outputs cost less than the targets themselves
    is_paired: bool = False  # whether a target has two outputs in a row: a mean, and the log of a variance

    def takes(self, output_activation: Any) -> bool:
        """Tells whether the cost is defined for outputs of an activation."""
        return not self.outputs or output_activation in self.outputs


DEFINITIONS: dict[str, Definition] = {
    "quadratic": Definition("quadratic", quadratic),
    "cross_entropy": Definition(
        "cross_entropy",
        logits={"sigmoid": Logits(sigmoid_cross_entropy), "softmax": Logits(softmax_cross_entropy)},
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
        logits={"exponential": Logits(exponential_poisson)},
        outputs=("exponential", "softplus", "sigmoid"),
        targets=COUNTS,
    ),
    "hinge": Definition(
        "hinge", hinge, outputs=("linear",), targets=SIDES, threshold=0.0, is_least_at_targets=False
    ),
    "squared_hinge": Definition(
        "squared_hinge",
        squared_hinge,
        outputs=("linear",),
        targets=SIDES,
        threshold=0.0,
        is_least_at_targets=False,
    ),
    "focal": Definition(
        Focal(),
        logits={
            "sigmoid": Logits(sigmoid_focal, sigmoid_focal_delta),
            "softmax": Logits(softmax_focal, softmax_focal_delta, is_coupled=True),
        },
        outputs=("sigmoid", "softmax"),
        targets=PROBABILITIES,
        is_least_at_targets=False,
    ),
    "gaussian": Definition(
        "gaussian", gaussian, outputs=("linear",), is_least_at_targets=False, is_paired=True
    ),
    "custom": Definition(None),
}
ROWS = {name: definition.row for name, definition in DEFINITIONS.items() if definition.row}
LOGITS = {
    (name, output): form
    for name, definition in DEFINITIONS.items()
    for output, form in definition.logits.items()
}
COSTS: dict[str, Kind] = {
    name: definition.kind for name, definition in DEFINITIONS.items() if definition.kind
}

# The codes by which kernels know a cost: of ROWS, then of LOGITS, then a user's own
FIRST_OF_LOGITS = len(ROWS)
CUSTOM = len(ROWS) + len(LOGITS)

_NUMBERS: dict[type, tuple[str, str]] = {  # the name, and the attribute that holds the number
    Huber: ("huber", "delta"),
    Quantile: ("quantile", "level"),
    CrossEntropy: ("cross_entropy", "label_smoothing"),
    Focal: ("focal", "gamma"),
}


def name_and_parameter(cost: Kind) -> tuple[str, float]:
    """The name of a cost in `DEFINITIONS`, and its own number (0 where it has none)."""
    if isinstance(cost, str):
        return cost, 0.0
    name, attribute = _NUMBERS.get(type(cost), ("custom", ""))
    return name, getattr(cost, attribute, 0.0)


def columns_of(cost: Kind, outputs: int) -> int:
    """The columns of targets for so many outputs."""
    return outputs // 2 if definition_of(cost).is_paired else outputs


def smoothing_of(cost: Kind) -> float:
    """The share by which targets are moved towards even odds."""
    return cost.label_smoothing if isinstance(cost, CrossEntropy) else 0.0


def is_least_at_targets(cost: Kind) -> bool:
    """Tells whether a cost is known to be least where the outputs are the targets."""
    return not isinstance(cost, Cost) and not smoothing_of(cost) and definition_of(cost).is_least_at_targets


def definition_of(cost: Kind) -> Definition:
    """The record of a cost, by its name or object."""
    return DEFINITIONS[name_and_parameter(cost)[0]]


def code_of(cost: str, output_activation: str) -> int:
    """The number by which kernels know a cost together with the activation of the outputs."""
    if (cost, output_activation) in LOGITS:
        return FIRST_OF_LOGITS + list(LOGITS).index((cost, output_activation))
    return CUSTOM if cost == "custom" else list(ROWS).index(cost)


(COUPLED,) = (FIRST_OF_LOGITS + number for number, form in enumerate(LOGITS.values()) if form.is_coupled)


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
    if definition.is_paired and outputs % 2:
        raise ValueError(
            f"sizes: expected an even number of outputs for the cost {cost!r}, which has two for each value, "
            f"got {outputs}"
        )
    if output_activation == "softmax" and outputs == 1:
        raise ValueError(
            "output_activation: expected at least 2 outputs for 'softmax', got 1, whose softmax is always 1"
        )
