"""Random numbers whose bits are the same on every platform: SplitMix64 (Steele, Lea and Flood 2014), counted.

A stream is named by its key, and number i of it is a function of the key and of i alone, so that nothing
depends on what was drawn before, by whom or in which order.  The words of a stream are also the keys of its
substreams; `key` walks down that tree, from the seed through a purpose and its indices.  Of k streams of n
numbers, two overlap with a probability of about k^2 n / 2^64.

Nothing here but integer arithmetic and the operations that IEEE 754 rounds correctly, + - * / and the square
root: libm's functions, and with them ``numpy.log`` and ``**``, differ between platforms in the last bit.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

# A purpose always has the same number of indices, so that no key is both a stream's and its substream's.
Purpose = Literal["weights", "biases", "order", "mask", "split", "networks"]

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FACTOR_1, _FACTOR_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_MASK = (1 << 64) - 1
_STEP = 1.0 / (1 << 53)  # between uniform numbers

_PAIRS = 8192  # of uniform numbers, taken at once for normal ones; no bit depends on it
_SQRT_HALF = math.sqrt(0.5)
# The logarithm of 2 in two parts: the high one has 32 bits, so that its product with an exponent is exact.
_LN2_HIGH, _LN2_LOW = float.fromhex("0x1.62e42feep-1"), float.fromhex("0x1.a39ef35793c76p-33")


def words(key: int, n: int, first: int = 0) -> npt.NDArray[np.uint64]:
    """Words `first` .. first + n - 1 of the stream `key`: word i mixes key + (i + 1) * 0x9E3779B97F4A7C15.

    >>> [hex(word) for word in words(0, 2)]
    ['0xe220a8397b1dcdaf', '0x6e789e6aa1b965f4']
    """
    z = np.arange(1, n + 1, dtype=np.uint64)
    z += np.uint64(first)
    z *= _GAMMA
    z += np.uint64(key)
    z ^= z >> 30
    z *= _FACTOR_1
    z ^= z >> 27
    z *= _FACTOR_2
    z ^= z >> 31
    return z


def key(seed: int, purpose: Purpose, *indices: int) -> int:
    """The key of one use of `seed`, such as ``key(seed, "order", epoch)``.

    `seed` and `indices` are at least 0 and below 2^64.  Without indices it is the key whose words are the
    keys of the purpose's streams.

    >>> key(0, "order", 3) == int(words(key(0, "order"), 4)[3])
    True
    """
    derived = seed
    for index in (int.from_bytes(purpose.encode(), "little"), *indices):
        derived = word(derived, index)
    return derived


def word(key: int, index: int) -> int:
    """One word of the stream `key`, in plain integers, which is faster than an array of one.

    >>> word(0, 1) == int(words(0, 2)[1])
    True
    """
    z = (key + (index + 1) * int(_GAMMA)) & _MASK
    z = ((z ^ z >> 30) * int(_FACTOR_1)) & _MASK
    z = ((z ^ z >> 27) * int(_FACTOR_2)) & _MASK
    return z ^ z >> 31


def uniform(key: int, n: int, first: int = 0) -> npt.NDArray[np.float64]:
    """Numbers `first` .. first + n - 1 of the stream `key`, each a multiple of 2^-53 in [0, 1).

    >>> uniform(0, 3)
    array([0.88331081, 0.431528  , 0.02643377])
    """
    return (words(key, n, first) >> 11).astype(np.float64) * _STEP


def normal(key: int, n: int) -> npt.NDArray[np.float64]:
    """The first `n` standard normal numbers of the stream `key`, by Marsaglia's polar method.

    Each pair of uniform numbers that lies in the unit circle gives two normal ones.

    >>> normal(0, 3)
    array([ 0.98452791, -0.17586929, -0.71206616])
    """
    numbers = np.empty(n)
    pairs = min(_PAIRS, n)
    first = filled = 0
    while filled < n:
        points = 2.0 * uniform(key, 2 * pairs, first).reshape(-1, 2) - 1.0
        square = points[:, 0] * points[:, 0] + points[:, 1] * points[:, 1]
        inside = (square > 0.0) & (square < 1.0)
        points, square = points[inside], square[inside]
        points *= np.sqrt(-2.0 * log(square) / square)[:, None]
        pair_numbers = points.reshape(-1)[: n - filled]
        numbers[filled : filled + pair_numbers.size] = pair_numbers
        filled += pair_numbers.size
        first += 2 * pairs
    return numbers


def log(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The natural logarithm of positive numbers, within 2 ulp.

    With x = m 2^e, m from sqrt(1/2) to sqrt(2) and f = (m - 1) / (m + 1), it is
    e log 2 + 2 (f + f^3 / 3 + f^5 / 5 + ...), where |f| < 0.172.

    >>> log(np.array([0.5, 1.0]))
    array([-0.69314718,  0.        ])
    """
    m, e = np.frexp(x)
    low = m < _SQRT_HALF
    m[low] *= 2.0
    e -= low
    f = (m - 1.0) / (m + 1.0)
    square = f * f
    series = np.zeros_like(f)
    for odd in range(21, 1, -2):
        series = (series + 1.0 / odd) * square
    return e * _LN2_HIGH + (2.0 * f + (2.0 * f * series + e * _LN2_LOW))


class Stream:
    """The numbers of one key, drawn by the methods of NumPy's generators: each call has a substream.

    >>> Stream(0).random((2, 2)).shape
    (2, 2)
    """

    def __init__(self, key: int) -> None:
        self._key = key
        self._calls = 0

    def _substream(self) -> int:
        self._calls += 1
        return int(words(self._key, 1, self._calls - 1)[0])

    def random(self, size: Sequence[int]) -> npt.NDArray[np.float64]:
        """Uniform numbers in [0, 1)."""
        return uniform(self._substream(), math.prod(size)).reshape(size)

    def standard_normal(self, size: Sequence[int]) -> npt.NDArray[np.float64]:
        """Numbers of mean 0 and standard deviation 1."""
        return normal(self._substream(), math.prod(size)).reshape(size)
