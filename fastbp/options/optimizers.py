"""Optimizers: how a step follows from the gradient, by a name or as an object with options.

A *row* is the update of one weight over an operator type `v`, as in activations.py:
(v, w, g, *state, h) -> (w, *state).  g is the gradient, the state begins as zeros, and h holds the numbers of
the step by name.  ``h.new`` and the like are 1 - rho, computed in float64 and rounded once.

An *object*, such as ``Adam(beta_1=0.8)``, has the options and computes the numbers of every step from them.
The learning rate is no option of theirs: `fit` takes it, and a schedule changes it step by step.

The *tables* are `ROWS`, below the rows, and `OPTIMIZERS`, the names of the objects.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, fields
from types import CodeType
from typing import TYPE_CHECKING, Any, ClassVar

from . import checks
from .schedules import powers

if TYPE_CHECKING:  # the command line reads the names before it imports NumPy
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]


# ---------------------------------------------------------------- rows


# Numbers of a step that every optimizer has: what gradients are multiplied by (1 / m), the factors of the
# penalties, decoupled decay, and the rate.
COMMON = ("scale", "l2", "l1", "decay", "rate")


def penalised(v: Any, w: Any, g: Any, h: Any) -> Any:
    """The mean gradient, with those of l2 w^2 / 2 and l1 |w|."""
    return v.fma(g, h.scale, v.fma(h.l2, w, h.l1 * v.sign(w)))


def sgd(v, w, g, h):
    return (v.fma(-h.rate, g, w),)


def momentum(v, w, g, velocity, h):
    velocity = v.fma(h.momentum, velocity, g)
    return v.fma(-h.rate, velocity, w), velocity


def nesterov(v, w, g, velocity, h):
    velocity = v.fma(h.momentum, velocity, g)
    return v.fma(-h.rate, v.fma(h.momentum, velocity, g), w), velocity


def rmsprop(v, w, g, nu, h):
    """Hinton 2012, lecture 6e."""
    nu = v.fma(h.new, v.square(g) - nu, nu)
    return w - h.rate * g / (v.sqrt(nu) + h.epsilon), nu


def adam(v, w, g, mu, nu, h):
    """Kingma and Ba 2015, with both corrections of bias in h; decay as Loshchilov and Hutter 2019 have it."""
    mu = v.fma(h.new_mu, g - mu, mu)
    nu = v.fma(h.new_nu, v.square(g) - nu, nu)
    w = v.fma(-h.decay, w, w)
    return w - h.rate * mu / v.fma(v.sqrt(nu), h.root, h.epsilon), mu, nu


def irprop(v, w, g, step, sign, h):
    """iRPROP-, Igel and Huesken 2000; the first step of a weight is the rate.

    Only the sign of the last gradient is kept, or 0 after a turn: products of small gradients would be
    subnormal, which is slow, or 0.
    """
    step = v.where(step > 0, step, h.rate)
    new_sign = v.sign(g)
    turned = new_sign * sign
    step = v.where(turned > 0, v.minimum(step * h.up, h.largest), step)
    step = v.where(turned < 0, v.maximum(step * h.down, h.smallest), step)
    new_sign = v.where(turned < 0, 0.0, new_sign)
    return w - new_sign * step, step, new_sign


ROWS: dict[str, tuple[Any, tuple[str, ...]]] = {  # name -> row, the names of its own numbers
    "sgd": (sgd, ()),
    "momentum": (momentum, ("momentum",)),
    "nesterov": (nesterov, ("momentum",)),
    "rmsprop": (rmsprop, ("new", "epsilon")),
    "adam": (adam, ("new_mu", "new_nu", "root", "epsilon")),
    "irprop": (irprop, ("up", "down", "smallest", "largest")),
}
NUMBERS = len(COMMON) + max(len(own) for _, own in ROWS.values())
CODES = {name: code for code, name in enumerate(ROWS)}


def state_names(name: str) -> tuple[str, ...]:
    """Names of the numbers that an optimizer keeps for each weight: its row's arguments between g and h."""
    code: CodeType = ROWS[name][0].__code__
    return code.co_varnames[3 : code.co_argcount - 1]


# ---------------------------------------------------------------- objects


@dataclass(frozen=True)
class Optimizer:
    """The base of the optimizers below."""

    row: ClassVar[str]
    usual_rate: ClassVar[float] = 0.001

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least, most = _BOUNDS[field.name]
            is_valid = checks.is_real(value) and least <= value < most
            owner = type(self).__name__
            name = field.name if owner.startswith("_") else f"{owner}.{field.name}"  # an estimator's own
            checks.require(name, is_valid, f"a number in [{least:g}, {most:g})", value)
            object.__setattr__(self, field.name, float(value))

    def numbers(self, rates: Array, first: int, l2: float = 0.0, l1: float = 0.0) -> Array:
        """The numbers that kernels need for each step, (steps, numbers): rate, penalties and the row's own.

        `first` counts the steps since the optimizer's state began.
        """
        import numpy as np

        table = np.zeros((len(rates), NUMBERS))
        columns = {"l2": l2, "l1": l1, "rate": rates, **self._own(rates, first)}
        for i, name in enumerate((*COMMON, *ROWS[self.row][1])):
            table[:, i] = columns.get(name, 0.0)
        if "penalty" in columns:
            table[:, COMMON.index("l2")] += columns["penalty"]
        return table

    def _own(self, rates: Array, first: int) -> dict[str, Array | float]:
        return {}


@dataclass(frozen=True)
class SGD(Optimizer):
    """w -= rate g."""

    row = "sgd"
    usual_rate = 0.01


@dataclass(frozen=True)
class Momentum(Optimizer):
    """v = momentum v + g, then w -= rate v (Polyak 1964)."""

    momentum: float = 0.9
    row = "momentum"
    usual_rate = 0.01

    def _own(self, rates: Array, first: int) -> dict[str, Array | float]:
        return {"momentum": self.momentum}


@dataclass(frozen=True)
class Nesterov(Momentum):
    """v = momentum v + g, then w -= rate (g + momentum v) (Sutskever et al. 2013)."""

    row = "nesterov"


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """s = rho s + (1 - rho) g^2, then w -= rate g / (sqrt(s) + epsilon) (Hinton 2012)."""

    rho: float = 0.9
    epsilon: float = 1e-8
    row = "rmsprop"

    def _own(self, rates: Array, first: int) -> dict[str, Array | float]:
        return {"new": 1.0 - self.rho, "epsilon": self.epsilon}


@dataclass(frozen=True)
class Adam(Optimizer):
    """Steps by a running mean of g over the root of one of g^2 (Kingma and Ba 2015).

    Both are corrected for their start: m = beta_1 m + (1 - beta_1) g, s = beta_2 s + (1 - beta_2) g^2, and
    w -= rate m / (1 - beta_1^t) / (sqrt(s / (1 - beta_2^t)) + epsilon) in step t, counted from 1.

    `weight_decay` is added to the gradient, as ``l2`` of `fit` is; decay apart from it is AdamW's.

    >>> Adam(beta_1=0.8)
    Adam(beta_1=0.8, beta_2=0.999, epsilon=1e-08, weight_decay=0.0)
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    row = "adam"

    def _own(self, rates: Array, first: int) -> dict[str, Array | float]:
        import numpy as np

        count = len(rates)
        mean, square = (1.0 - _powers(beta, first, count) for beta in (self.beta_1, self.beta_2))
        return {
            "new_mu": 1.0 - self.beta_1,
            "new_nu": 1.0 - self.beta_2,
            "rate": rates / mean,
            "root": 1.0 / np.sqrt(square),
            "epsilon": self.epsilon,
            **self._decay(rates),
        }

    def _decay(self, rates: Array) -> dict[str, Array | float]:
        return {"penalty": self.weight_decay}


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam, but a step first multiplies weights by 1 - rate x weight_decay (Loshchilov and Hutter 2019)."""

    weight_decay: float = 0.01

    def _decay(self, rates: Array) -> dict[str, Array | float]:
        return {"decay": rates * self.weight_decay}


@dataclass(frozen=True)
class _ScikitAdam(Adam):
    """Adam as scikit-learn has it: epsilon is added before the mean of squares is corrected for its start."""

    def _own(self, rates: Array, first: int) -> dict[str, Array | float]:
        numbers = super()._own(rates, first)
        return {**numbers, "epsilon": self.epsilon * numbers["root"]}


@dataclass(frozen=True)
class IRprop(Optimizer):
    """iRPROP-: a weight has its own step, which grows while its gradient keeps its sign, else shrinks.

    For full batches (Igel and Huesken 2000).  The learning rate is the first step; a schedule has no effect
    after it.
    """

    up: float = 1.2
    down: float = 0.5
    smallest: float = 1e-6
    largest: float = 50.0
    row = "irprop"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.smallest > self.largest:
            raise ValueError(
                f"IRprop.smallest: expected at most largest, {self.largest:g}, got {self.smallest:g}"
            )

    def _own(self, rates: Array, first: int) -> dict[str, Array | float]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


_LEAST = 1e-30  # of what must not be 0 in float32: 0 / 0 is no step, and a step of 0 means none yet

# The values that an option may take: from the first number up to, and without, the second
_BOUNDS = {
    "momentum": (0.0, 1.0),
    "rho": (0.0, 1.0),
    "epsilon": (_LEAST, float("inf")),
    "beta_1": (0.0, 1.0),
    "beta_2": (0.0, 1.0),
    "weight_decay": (0.0, float("inf")),
    "up": (1.0, float("inf")),
    "down": (0.0, 1.0),
    "smallest": (_LEAST, float("inf")),
    "largest": (_LEAST, float("inf")),
}

OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": SGD(),
    "momentum": Momentum(),
    "nesterov": Nesterov(),
    "rmsprop": RMSprop(),
    "adam": Adam(),
    "adamw": AdamW(),
    "irprop": IRprop(),
}


@functools.lru_cache(8)  # for networks that train together ask for the same ones
def _powers(base: float, first: int, count: int) -> Array:
    """base^(t + 1) for the steps t = first .. first + count - 1, the same bits however they are asked for."""
    import numpy as np

    found = powers(base, np.arange(first + 1, first + count + 1))
    found.flags.writeable = False
    return found
