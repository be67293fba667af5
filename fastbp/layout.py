"""Where everything lies: the sizes of a network to offsets of panels, and weights packed and unpacked.

A panel holds NR columns side by side: ``[columns / NR][rows][NR]``, the last padded with zeros.
"""

import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .kernels.optimizers import NUMBERS
from .kernels.records import LAYER, PLAN

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


class Piece(NamedTuple):
    """One panel of a layer's weights, and of its biases: which outputs it holds, and where it begins."""

    layer: int
    inputs: int
    outputs: tuple[int, int]
    weights: int
    biases: int


class Layout(NamedTuple):
    """Offsets for one network, batch size, dtype and team, as the records that kernels read."""

    sizes: tuple[int, ...]
    dtype: np.dtype
    columns: int  # NR
    plan: np.ndarray  # one PLAN
    layers: np.ndarray  # LAYERs: the inputs, then every layer
    pieces: tuple[Piece, ...]  # of all layers
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

    def unpack_rows(self, scratch: np.ndarray, offset: int, count: int, width: int) -> np.ndarray:
        """The first `count` rows, `width` numbers each, of a block of samples in the scratch."""
        rows = int(self.plan["rows"][0])
        panels = -(-width // self.columns)
        block = scratch[offset : offset + panels * rows * self.columns].reshape(panels, rows, self.columns)
        found: np.ndarray = block[:, :count].swapaxes(0, 1).reshape(count, -1)[:, :width].copy()
        return found

    def _pairs(
        self, packed: np.ndarray, weights: Sequence[np.ndarray], biases: Sequence[np.ndarray]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """(piece of a plain array, the same piece inside its panel), for every panel."""
        pairs = []
        for piece in self.pieces:
            w, b = weights[piece.layer], biases[piece.layer]
            first, last = piece.outputs
            panel = packed[piece.weights : piece.weights + piece.inputs * self.columns]
            pairs.append((w[first:last].T, panel.reshape(-1, self.columns)[:, : last - first]))
            pairs.append((b[first:last, 0], packed[piece.biases : piece.biases + last - first]))
        return pairs


@functools.lru_cache(64)
def layout(
    sizes: tuple[int, ...],
    batch_size: int,
    members: int,
    dtype: np.dtype,
    shape: tuple[int, int],
    cache: int,
    shared: bool = False,
    input_gradient: bool = False,
    listed: bool = False,
) -> Layout:
    """The layout of a network of `sizes` for batches of at most `batch_size`.

    `shape` holds the machine's (columns of a panel, lanes of a vector) for `dtype`, `cache` the bytes of its
    second-level cache.  Where a block of inputs fits there well, every member gathers it for itself, for that
    costs less than reading from another's cache what has just been written.  `shared` asks for a second
    buffer of parameters though a batch is one block, `input_gradient` for the delta of the inputs;
    `listed` samples need no dense block.
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

    plan, layers = np.zeros(1, PLAN), np.zeros(len(sizes), LAYER)
    cached = cache // 4 // np.dtype(dtype).itemsize
    plan["rows"], plan["block"], plan["cached"] = rows, block, cached
    width = 0 if listed else sizes[0]
    plan["x"], plan["x_next"], plan["y"] = block_of(width), block_of(width), block_of(sizes[-1])
    plan["listed"] = listed
    if rows * width <= cached:
        plan["own"] = scratch
        take((members - 1) * scratch)
    private = _up(columns + columns * columns + 2 * NUMBERS, _ALIGNMENT)
    plan["private"], plan["private_size"] = take(members * private), private
    layers["delta_t"] = -1
    pieces: list[Piece] = []
    layers[0]["outputs"] = sizes[0]
    if input_gradient:
        layers[0]["delta"] = block_of(sizes[0])
    for number, (n_in, n_out) in enumerate(itertools.pairwise(sizes), 1):
        panel = _panel_rows(n_in, row_bytes) * columns
        layer = layers[number]
        layer["inputs"], layer["outputs"] = n_in, n_out
        layer["weights"], layer["panel"] = parameters, panel
        parameters += _up(n_out, columns) // columns * panel
        layer["biases"] = parameters
        pieces += [
            Piece(
                number - 1,
                n_in,
                (first, min(first + columns, n_out)),
                int(layer["weights"]) + first // columns * panel,
                parameters + first,
            )
            for first in range(0, n_out, columns)
        ]
        parameters += _up(n_out, columns)
        layer["a"], layer["delta"] = block_of(n_out), block_of(n_out)
        if number > 1 or input_gradient:
            layer["delta_t"] = take(_up(rows, columns) * _up(n_out, lanes))
    plan["shared"] = take(parameters) if shared or batch_size > block else -1
    return Layout(tuple(sizes), np.dtype(dtype), columns, plan, layers, tuple(pieces), parameters, scratch)
