"""Activations: what may stand for one, by name or as an object with options.

Each is a function a of a layer's weighted input z; its formula is the row of that name in
``kernels/activations.py``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

from .kernels.activations import ROWS


def _finite(owner: str, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, Real) or not abs(float(value)) < float("inf"):
        raise ValueError(f"{owner}.{name}: expected a finite number, got {value!r}")
    return float(value)


@dataclass(frozen=True)
class LeakyReLU:
    """z above 0, `slope` times z below (Maas et al. 2013).

    >>> LeakyReLU(slope=0.2)
    LeakyReLU(slope=0.2)
    """

    slope: float = 0.01

    def __post_init__(self) -> None:
        object.__setattr__(self, "slope", _finite("LeakyReLU", "slope", self.slope))


@dataclass(frozen=True)
class ELU:
    """z above 0, `alpha` (exp(z) - 1) below (Clevert et al. 2016)."""

    alpha: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", _finite("ELU", "alpha", self.alpha))


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
        for name in ("function", "derivative"):
            if not callable(getattr(self, name)):
                raise TypeError(f"Activation.{name}: expected a function, got {getattr(self, name)!r}")


# What an architecture holds for an activation: a name, or an object with options.
Kind = str | LeakyReLU | ELU | GELU | Activation

# name -> what it stands for, hidden layers and output; softmax is for outputs alone
ACTIVATIONS: dict[str, Kind] = {
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "leaky_relu": LeakyReLU(),
    "elu": ELU(),
    "gelu": GELU(),
    "silu": "silu",
    "softplus": "softplus",
    "linear": "linear",
    "exponential": "exponential",
}
OUTPUT_ACTIVATIONS: dict[str, Kind] = {**ACTIVATIONS, "softmax": "softmax"}


def row_of(activation: Kind) -> tuple[str, float]:
    """The name by which kernels know an activation, and the number that is its own (0 where it has none)."""
    if isinstance(activation, str):
        return activation, *(getattr(ROWS.get(activation), "__defaults__", None) or (0.0,))
    if isinstance(activation, LeakyReLU):
        return "leaky_relu", activation.slope
    if isinstance(activation, ELU):
        return "elu", activation.alpha
    if isinstance(activation, GELU):
        return ("gelu" if activation.approximate == "none" else "gelu_tanh"), 0.0
    return "custom", 0.0
