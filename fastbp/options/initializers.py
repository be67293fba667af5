"""Initial weights, by name.

An initializer takes (draw, n_out, n_in) and returns an array (n_out, n_in) of float64.  `draw` has NumPy's
methods ``standard_normal(size)`` and ``random(size)``: it is a `Stream` of our generator, whose bits are the
same on every platform, a ``numpy.random.RandomState``, or ``numpy.random`` itself.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from .activations import DEFINITIONS

if TYPE_CHECKING:  # the command line reads the names before it imports NumPy
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

_BLOCK = 1 << 16  # numbers that `orthogonal` works on at a time; no bit depends on it


class Draw(Protocol):
    """A source of random numbers: NumPy's module, or a stream of a seed."""

    def random(self, size: tuple[int, int], /) -> Array:
        """Uniform numbers in [0, 1)."""

    def standard_normal(self, size: tuple[int, int], /) -> Array:
        """Numbers of mean 0 and standard deviation 1."""


def normal(draw: Draw, n_out: int, n_in: int) -> Array:
    """Standard normal, as the book's class has them."""
    return draw.standard_normal((n_out, n_in))


def lecun_normal(draw: Draw, n_out: int, n_in: int) -> Array:
    """Normal, of variance 1 / n_in (LeCun et al. 1998): the smaller ones of the book's third chapter."""
    return draw.standard_normal((n_out, n_in)) / math.sqrt(n_in)


def glorot_uniform(draw: Draw, n_out: int, n_in: int) -> Array:
    """Uniform, of variance 2 / (n_in + n_out) (Glorot and Bengio 2010)."""
    return (2.0 * draw.random((n_out, n_in)) - 1.0) * math.sqrt(6.0 / (n_in + n_out))


def glorot_normal(draw: Draw, n_out: int, n_in: int) -> Array:
    """Normal, of variance 2 / (n_in + n_out)."""
    return draw.standard_normal((n_out, n_in)) * math.sqrt(2.0 / (n_in + n_out))


def he_uniform(draw: Draw, n_out: int, n_in: int) -> Array:
    """Uniform, of variance 2 / n_in (He et al. 2015)."""
    return (2.0 * draw.random((n_out, n_in)) - 1.0) * math.sqrt(6.0 / n_in)


def he_normal(draw: Draw, n_out: int, n_in: int) -> Array:
    """Normal, of variance 2 / n_in."""
    return draw.standard_normal((n_out, n_in)) * math.sqrt(2.0 / n_in)


def orthogonal(draw: Draw, n_out: int, n_in: int) -> Array:
    """Orthonormal rows, or columns where there are more rows than columns, of any orientation alike
    (Saxe, McClelland and Ganguli 2014).

    Standard normal numbers, made orthonormal by the modified Gram-Schmidt process, in blocks of columns that
    stay in a cache.  LAPACK's QR is faster, but adds in an order that depends on the CPU.
    """
    w = draw.standard_normal((n_out, n_in))
    columns: Array = (w if n_out >= n_in else w.T).copy(order="C")
    rows, width = len(columns), max(1, _BLOCK // len(columns))
    for first in range(0, columns.shape[1], width):
        block = columns[:, first : first + width].copy()
        room = block.copy()
        for q in columns[:, :first].T.copy():
            _subtract_projections(q.reshape(rows, 1), block, room)
        for k in range(block.shape[1]):
            q = block[:, k : k + 1]
            q /= math.sqrt(_column_sums(q * q)[0])
            rest = block[:, k + 1 :]
            rest -= q * _column_sums(q * rest)
        columns[:, first : first + width] = block
    return columns if n_out >= n_in else columns.T.copy(order="C")


def _subtract_projections(q: Array, columns: Array, room: Array) -> None:
    """Makes columns orthogonal to q, a column of norm 1; `room` of their shape is overwritten."""
    import numpy as np

    np.multiply(q, columns, out=room)
    np.multiply(q, _column_sums(room).copy(), out=room)
    columns -= room


def _column_sums(x: Array) -> Array:
    """The sum of each column of `x`, which is overwritten: the lower half is added to the upper, and so on.

    NumPy's own sums add in an order that depends on the CPU's vectors.
    """
    rows = len(x)
    while rows > 1:
        half = (rows + 1) // 2
        x[: rows - half] += x[half:rows]
        rows = half
    sums: Array = x[0]
    return sums


INITIALIZERS: dict[str, Callable[[Draw, int, int], Array]] = {
    "normal": normal,
    "lecun_normal": lecun_normal,
    "glorot_uniform": glorot_uniform,
    "glorot_normal": glorot_normal,
    "he_normal": he_normal,
    "he_uniform": he_uniform,
    "orthogonal": orthogonal,
}

WITH_BIASES = frozenset({"normal", "lecun_normal"})  # biases are standard normal, as the book's; else zero


def default_init(activations: Sequence[str], cost: str) -> list[str]:
    """The initializer of each layer by its activation, output layer last, where the user chose none.

    >>> default_init(["relu", "softmax"], "cross_entropy"), default_init(["sigmoid", "sigmoid"], "quadratic")
    (['he_normal', 'glorot_uniform'], ['normal', 'normal'])
    """
    if cost == "quadratic" and set(activations) <= {"sigmoid"}:
        return ["normal" for _ in activations]
    return [DEFINITIONS[name].init for name in activations]


def initial(sizes: Sequence[int], names: Sequence[str], seed: int | None) -> tuple[list[Array], list[Array]]:
    """First weights and biases by the initializer of each layer, in float64.

    From our own generator with a seed; else from NumPy's global one, all biases before the weights, as the
    book's class draws them.
    """
    import numpy as np

    from .random_streams import Stream, key

    pairs = list(itertools.pairwise(sizes))

    def draw(purpose: Literal["weights", "biases"], layer: int) -> Draw:
        return np.random if seed is None else Stream(key(seed, purpose, layer))

    biases = [
        draw("biases", layer).standard_normal((n_out, 1)) if name in WITH_BIASES else np.zeros((n_out, 1))
        for layer, (name, (_, n_out)) in enumerate(zip(names, pairs, strict=True))
    ]
    weights = [
        INITIALIZERS[name](draw("weights", layer), n_out, n_in)
        for layer, (name, (n_in, n_out)) in enumerate(zip(names, pairs, strict=True))
    ]
    return weights, biases
