"""Activations: the function a of a layer's weighted input z, by its name or as an object with options.

A *row* is a formula over an operator type `v`: (v, z) -> (a, da/dz).  Behind `v` stands vector IR
(engine/kernels/elementary.py) or NumPy (engine/formulas.py), so one row is the kernel, the NumPy engine and
what a gradient check compares.  A third parameter is the activation's own number, with its default.

An *object*, such as ``LeakyReLU(slope=0.2)``, stands below its row and holds that number; `Activation` holds
a user's own functions.

The *table* `DEFINITIONS`, at the end, has everything about an activation except its forms in C and in ONNX
(`files/c_source.py`, `files/onnx_model.py`): an activation is added by a row, an object where it has a
number, a line there and those two forms.

Errors of the kernels in units in the last place (ULP), float32 and float64 alike, over the whole range
(tests/kernels/test_elementary.py)::

    relu, linear           0       0
    leaky_relu             1       0.5
    elu, exponential       1.5     1.5
    sigmoid                2.5     1 of the number 1
    tanh                   3       3 of the number 1
    softplus               3       2.5
    silu                   4       5 of the larger term of da/dz
    gelu                   8       8 of the larger term
    gelu_tanh              25 from z = -4 on, below 3 |u|, for u = 1.6 z + 0.071 z^3 loses digits: up to 260
                           in float32 and 2200 in float64; da/dz likewise

For ``|z| > 1``, results below 2^12 times the smallest normal number may have lost digits or be 0.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from . import checks

# ---------------------------------------------------------------- rows and objects


def sigmoid(v, z):
    e = v.exp(-v.abs(z))
    a = v.where(z < 0, e, 1.0) / (1 + e)
    return a, a * (1 - a)


def tanh(v, z):
    f = v.expm1(-2 * v.abs(z))  # keeps its digits near zero
    a = v.copysign(f / (2 + f), z)
    return a, 1 - a * a


def relu(v, z):
    return v.maximum(z, 0.0), v.where(z > 0, 1.0, 0.0)


def leaky_relu(v, z, slope=0.01):
    factor = v.where(z > 0, 1.0, slope)
    return z * factor, factor


@dataclass(frozen=True)
class LeakyReLU:
    """z above 0, `slope` times z below (Maas et al. 2013).

    >>> LeakyReLU(slope=0.2)
    LeakyReLU(slope=0.2)
    """

    slope: float = 0.01

    def __post_init__(self) -> None:
        object.__setattr__(self, "slope", checks.finite("LeakyReLU.slope", self.slope))


def elu(v, z, alpha=1.0):
    """Clevert et al. 2016."""
    x = v.minimum(z, 0.0)
    return v.where(z > 0, z, alpha * v.expm1(x)), v.where(z > 0, 1.0, alpha * v.exp(x))


@dataclass(frozen=True)
class ELU:
    """z above 0, `alpha` (exp(z) - 1) below (Clevert et al. 2016)."""

    alpha: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", checks.finite("ELU.alpha", self.alpha))


def gelu(v, z):
    """Hendrycks and Gimpel 2016: z times the normal distribution function."""
    x, near = bounded(v, z)
    p, density = v.normal(near)
    return x * p, v.fma(near, density, p)


def gelu_tanh(v, z):
    """The approximation by a tanh, with 1 + tanh(u) = 2 sigmoid(2 u)."""
    x, near = bounded(v, z)
    c = 2 * math.sqrt(2 / math.pi)
    s, rest = sigmoids(v, c * near * v.fma(0.044715 * near, near, 1.0))
    return x * s, v.fma(near * s, rest * (c * v.fma(0.134145 * near, near, 1.0)), s)


@dataclass(frozen=True)
class GELU:
    """z times the normal distribution function of z, by erf, or by a tanh that approximates it.

    Parameters
    ----------
    approximate : {"none", "tanh"}
        The tanh form is that of Hendrycks and Gimpel 2016.
    """

    approximate: str = "none"

    def __post_init__(self) -> None:
        if self.approximate not in ("none", "tanh"):
            raise ValueError(f"GELU.approximate: expected 'none' or 'tanh', got {self.approximate!r}")


def silu(v, z):
    x, near = bounded(v, z, 1000.0)
    s, rest = sigmoids(v, near)
    return x * s, v.fma(near * s, rest, s)


def softplus(v, z):
    """log(1 + exp(z))."""
    e = v.exp(-v.abs(z))
    return v.maximum(z, 0.0) + v.log1p(e), v.where(z < 0, e, 1.0) / (1 + e)


def exponential(v, z):
    a = v.exp(z)
    return a, a


def linear(v, z):
    return z, 1.0


def bounded(v, z, far=50.0):
    """z of at least -far, below which a is 0 (not 0 times infinity), and of at most far, where da/dz is 1."""
    x = v.maximum(z, -far)
    return x, v.minimum(x, far)


def sigmoids(v, z):
    """sigmoid(z) and 1 - sigmoid(z), which keeps its digits where it is small."""
    e = v.exp(-v.abs(z))
    larger = 1 / (1 + e)
    smaller = e * larger
    return v.where(z < 0, smaller, larger), v.where(z < 0, larger, smaller)


@dataclass(frozen=True)
class Activation:
    """A user's own activation: a function of z and its derivative, both of one number.

    If they are compiled by ``numba.njit``, kernels call them.  Functions of NumPy arrays are accepted too;
    the network then trains in NumPy, at its speed.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import Network
    >>> softsign = Activation(lambda z: z / (1 + abs(z)), lambda z: 1 / (1 + abs(z)) ** 2)
    >>> Network([2, 3, 1], activation=softsign, seed=0).outputs(np.zeros((1, 2))).shape
    (1, 1)
    """

    function: Callable[[Any], Any]
    derivative: Callable[[Any], Any]

    def __post_init__(self) -> None:
        checks.functions(self, "function", "derivative")


# ---------------------------------------------------------------- table


Kind = str | LeakyReLU | ELU | GELU | Activation  # a row's name, or an object


class Definition(NamedTuple):
    """An activation: its row, which object or name users write for it, and where it may stand."""

    kind: Kind | None  # None where no name stands for the row
    row: Callable[..., Any] | None  # None for a function of all outputs at once, and for a user's own
    init: str = "glorot_uniform"  # initial weights where a user chose none
    is_probability: bool = False  # outputs can be read as probabilities
    is_hidden: bool = True  # hidden layers may have it


DEFINITIONS: dict[str, Definition] = {
    "sigmoid": Definition("sigmoid", sigmoid, is_probability=True),
    "tanh": Definition("tanh", tanh),
    "relu": Definition("relu", relu, "he_normal"),
    "leaky_relu": Definition(LeakyReLU(), leaky_relu, "he_normal"),
    "elu": Definition(ELU(), elu, "he_normal"),
    "gelu": Definition(GELU(), gelu, "he_normal"),
    "gelu_tanh": Definition(None, gelu_tanh, "he_normal"),
    "silu": Definition("silu", silu, "he_normal"),
    "softplus": Definition("softplus", softplus),
    "linear": Definition("linear", linear),
    "exponential": Definition("exponential", exponential),
    "softmax": Definition("softmax", None, is_probability=True, is_hidden=False),
    "custom": Definition(None, None),
}
ROWS = {name: definition.row for name, definition in DEFINITIONS.items() if definition.row}
CODES = {name: code for code, name in enumerate(DEFINITIONS)}  # by which kernels know an activation

# The names that users write, for output layers and for hidden ones
OUTPUT_ACTIVATIONS: dict[str, Kind] = {
    name: definition.kind for name, definition in DEFINITIONS.items() if definition.kind
}
ACTIVATIONS = {name: kind for name, kind in OUTPUT_ACTIVATIONS.items() if DEFINITIONS[name].is_hidden}
# Names of scikit-learn's that are not ours
SCIKIT_LEARNS = {"identity": "linear", "logistic": "sigmoid", "exp": "exponential"}


def name_and_parameter(activation: Kind) -> tuple[str, float]:
    """The name of an activation in `DEFINITIONS`, and its own number (0 where it has none)."""
    if isinstance(activation, str):
        return activation, *(getattr(ROWS.get(activation), "__defaults__", None) or (0.0,))
    if isinstance(activation, LeakyReLU):
        return "leaky_relu", activation.slope
    if isinstance(activation, ELU):
        return "elu", activation.alpha
    if isinstance(activation, GELU):
        return ("gelu" if activation.approximate == "none" else "gelu_tanh"), 0.0
    return "custom", 0.0


def definition_of(activation: Kind) -> Definition:
    """The record of an activation, by its name or object."""
    return DEFINITIONS[name_and_parameter(activation)[0]]
