"""Orders: the standard library's ``random.shuffle`` to the last bit, and permutations of our own generator.

The latter, a SplitMix64 that counts, is described in ``options/random_streams.py``, which has the same
numbers in NumPy.
"""

from typing import Any

import numpy as np
from numba import types

from .jit import inlined, kernel
from .vector import pointer

# The Mersenne Twister's constants (Matsumoto and Nishimura 1998)
_N, _M = 624, 397
_MATRIX = np.uint32(0x9908B0DF)
_UPPER, _LOWER = np.uint32(0x80000000), np.uint32(0x7FFFFFFF)


@inlined
def _twist(state: Any) -> None:
    for i in range(_N):
        y = (state[i] & _UPPER) | (state[(i + 1) % _N] & _LOWER)
        mixed = state[(i + _M) % _N] ^ (y >> np.uint32(1))
        state[i] = mixed ^ _MATRIX if y & np.uint32(1) else mixed


@inlined
def _draw(state: Any) -> Any:
    """The next 32 random bits; state[624] is the place of the next word."""
    if state[_N] >= _N:
        _twist(state)
        state[_N] = 0
    y = state[state[_N]]
    state[_N] += np.uint32(1)
    y ^= y >> np.uint32(11)
    y ^= (y << np.uint32(7)) & np.uint32(0x9D2C5680)
    y ^= (y << np.uint32(15)) & np.uint32(0xEFC60000)
    return y ^ (y >> np.uint32(18))


@kernel(lambda key: types.void(types.uint32[::1], types.int64[::1]))
def shuffle(state: Any, order: Any) -> None:
    """Shuffles `order` (fewer than 2^32 positions) in place and advances `state`, the 625 words of
    ``random.getstate()[1]``, as ``random.shuffle`` would: for each place from the last, an index of as
    many bits as needed is drawn until one is within the positions up to it.
    """
    for i in range(order.size - 1, 0, -1):
        bits = np.uint32(0)
        while (i + 1) >> np.int64(bits):
            bits += np.uint32(1)
        j = np.int64(_draw(state) >> (np.uint32(32) - bits))
        while j > i:
            j = np.int64(_draw(state) >> (np.uint32(32) - bits))
        order[i], order[j] = order[j], order[i]


@inlined
def word(key: Any, i: Any) -> Any:
    """Word `i` of the stream `key`, or the key of its substream `i`; all three are uint64."""
    z = key + (i + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@inlined
def _swap(key: Any, count: int, order: Any) -> None:
    """Swaps each of `count` positions, from the last, with the one at floor(u (i + 1)).

    u is uniform number `i` of the stream `key`.  That product is never rounded up to i + 1, for u is at most
    1 - 2^-53.
    """
    for i in range(count - 1, 0, -1):
        u = np.float64(np.int64(word(key, np.uint64(i)) >> np.uint64(11))) * (1.0 / (1 << 53))
        j = np.int64(u * np.float64(i + 1))
        order[i], order[j] = order[j], order[i]


@kernel(lambda _: types.void(types.uint64, types.int64[::1]))
def permute(key: Any, order: Any) -> None:
    """Fills `order` with the permutation of its positions, fewer than 2^53, that belongs to `key`.

    It is Fisher and Yates's.
    """
    for i in range(order.size):
        order[i] = i
    _swap(key, order.size, pointer(order, 0))


@kernel(lambda _: types.void(*[types.int64[::1], types.uint64[::1]], *[types.int64[:, ::1]] * 2))
def permute_rows(which: Any, keys: Any, given: Any, orders: Any) -> None:
    """Fills some rows of `orders` with the numbers `given` for all, or for each of them, in a new order.

    It is that which `permute` gives positions, by a key of its own.
    """
    n = orders.shape[1]
    for k in range(which.size):
        source = pointer(given, (k if given.shape[0] > 1 else 0) * n)
        order = pointer(orders, which[k] * n)
        for i in range(n):
            order[i] = source[i]
        _swap(keys[k], n, order)
