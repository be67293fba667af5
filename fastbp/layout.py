"""Where everything lies: the sizes of a network to offsets of panels, and weights packed and unpacked.

A panel holds NR columns side by side: ``[columns / NR][rows][NR]``, the last padded with zeros.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_ALIGNMENT = 64  # bytes: a cache line, and the widest vector
_PAGE = 4096
BLOCK = 512  # samples of a batch taken at once, so that scratch stays in cache; bits depend on it


def aligned_zeros(size: int, dtype: npt.DTypeLike) -> np.ndarray:
    """`size` zeros from a 64-byte boundary."""
    dtype = np.dtype(dtype)
    raw = np.zeros(size * dtype.itemsize + _ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + size * dtype.itemsize].view(dtype)


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def _panel_rows(rows: int, row_bytes: int) -> int:
    """Rows from one panel to the next: those of a large panel fill an odd number of pages.

    A product walks the same few rows of every panel; powers of two apart they would all fall into the same
    sets of a cache.
    """
    if rows * row_bytes <= 4 * _PAGE:
        return rows
    pages = -(-rows * row_bytes // _PAGE)
    return (pages | 1) * _PAGE // row_bytes


class Layout(NamedTuple):
    """Offsets for one network, batch size, dtype and team; ``plan`` is what kernels read.

    plan[0] holds offsets in the scratch: two blocks of inputs, taken in turn, the targets, the rows a block
    has room for, the first member's own memory, its size, a copy of the parameters (-1 where a batch is one
    block) and the samples of a block.  plan[l] is ``kernels.dense.Layer`` of layer l.
    """

    sizes: tuple[int, ...]
    dtype: np.dtype
    columns: int  # NR
    plan: np.ndarray
    parameters: int  # numbers in all weights and biases, padding included
    scratch: int  # numbers in the scratch

    def pack(self, weights: Sequence[np.ndarray], biases: Sequence[np.ndarray]) -> np.ndarray:
        """Weights [(n_out, n_in)] and biases [(n_out, 1)] as one aligned array of panels."""
        packed = aligned_zeros(self.parameters, self.dtype)
        for plain, panel in self._pairs(packed, weights, biases):
            panel[...] = plain
        return packed

    def unpack(self, packed: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """New weights and biases in the shapes of the seed."""
        pairs = list(zip(self.sizes[:-1], self.sizes[1:], strict=True))
        weights = [np.empty((n_out, n_in), self.dtype) for n_in, n_out in pairs]
        biases = [np.empty((n_out, 1), self.dtype) for _, n_out in pairs]
        for plain, panel in self._pairs(packed, weights, biases):
            plain[...] = panel
        return weights, biases

    def _pairs(
        self, packed: np.ndarray, weights: Sequence[np.ndarray], biases: Sequence[np.ndarray]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """(piece of a plain array, the same piece inside its panel), for every panel."""
        pairs = []
        for row, w, b in zip(self.plan[1:], weights, biases, strict=True):
            n_in, n_out = int(row[0]), int(row[1])
            for first in range(0, n_out, self.columns):
                last = min(first + self.columns, n_out)
                start = int(row[3]) + first // self.columns * int(row[4])
                panel = packed[start : start + n_in * self.columns].reshape(n_in, self.columns)
                pairs.append((w[first:last].T, panel[:, : last - first]))
                start = int(row[5]) + first
                pairs.append((b[first:last, 0], packed[start : start + last - first]))
        return pairs


@functools.lru_cache(64)
def layout(
    sizes: tuple[int, ...],
    activations: tuple[int, ...],
    batch_size: int,
    members: int,
    dtype: np.dtype,
    shape: tuple[int, int],
) -> Layout:
    """The layout of a network of `sizes` for batches of at most `batch_size`.

    `activations` holds a kernel's code for each layer, `shape` the machine's (columns of a panel, lanes of
    a vector) for `dtype`.
    """
    columns, lanes = shape
    row_bytes = columns * np.dtype(dtype).itemsize
    block = min(batch_size, BLOCK)
    rows = _panel_rows(_up(block, lanes), row_bytes)  # transposes write whole square blocks
    parameters = scratch = 0

    def take(numbers: int) -> int:
        nonlocal scratch
        scratch += (numbers := _up(numbers, _ALIGNMENT))
        return scratch - numbers

    def block_of(width: int) -> int:
        return take(rows * _up(width, columns))

    plan = np.full((len(sizes), 9), -1, np.int64)
    plan[0, :3] = block_of(sizes[0]), block_of(sizes[0]), block_of(sizes[-1])
    plan[0, 3] = rows
    private = _up(columns + columns * columns, _ALIGNMENT)
    plan[0, 4:6] = take(members * private), private
    for number, (n_in, n_out, activation) in enumerate(zip(sizes, sizes[1:], activations, strict=False), 1):
        panel = _panel_rows(n_in, row_bytes) * columns
        size = _up(n_out, columns) // columns * panel
        transposed = take(_up(rows, columns) * _up(n_out, lanes)) if number > 1 else -1
        plan[number] = (
            n_in,
            n_out,
            activation,
            parameters,
            panel,
            parameters + size,
            block_of(n_out),
            block_of(n_out),
            transposed,
        )
        parameters += size + _up(n_out, columns)
    plan[0, 6:8] = take(parameters) if batch_size > block else -1, block
    return Layout(tuple(sizes), np.dtype(dtype), columns, plan, parameters, scratch)
