"""The layout of a network in memory: offsets of its panels, and weights packed and unpacked.

A panel holds NR columns side by side: ``[columns / NR][rows][NR]``, the last padded with zeros.
"""

import ctypes
import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..options.optimizers import NUMBERS
from .kernels.pack import move
from .kernels.records import LAYER, PLAN

_ALIGNMENT = 64  # bytes: a cache line, and the widest vector
_PAGE = 4096
BLOCK = 512  # samples of a block, so that scratch stays in cache; bits depend on it


def aligned_zeros(size: int, dtype: npt.DTypeLike) -> np.ndarray:
    """`size` zeros from a 64-byte boundary."""
    dtype = np.dtype(dtype)
    raw = np.zeros(size + _ALIGNMENT // dtype.itemsize, dtype)
    start = -ctypes.addressof(ctypes.c_byte.from_buffer(raw.data)) % _ALIGNMENT // dtype.itemsize
    return raw[start : start + size]


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


def _panel_rows(rows: int, row_bytes: int) -> int:
    """The rows from one panel to the next; large panels fill an odd number of pages.

    A product or an update reads the same few rows of every panel.  If panels lay a power of two apart, those
    rows would share the sets of a cache.
    """
    if rows * row_bytes <= 4 * _PAGE:
        return rows
    pages = -(-rows * row_bytes // _PAGE)
    return (pages | 1) * _PAGE // row_bytes


class PanelShape(NamedTuple):
    """The shape of panels of a dtype."""

    columns: int  # of a panel
    side: int  # of the square blocks in which deltas are transposed
    multiple: int  # a panel of weights has a multiple of so many rows


class Layout(NamedTuple):
    """Offsets for one network, batch size, dtype and team, as the records that kernels read."""

    sizes: tuple[int, ...]
    dtype: np.dtype
    columns: int  # NR
    plan: np.ndarray  # one PLAN
    layers: np.ndarray  # LAYERs: the inputs, then every layer
    offsets: tuple[tuple[int, int, int], ...]  # a layer's (weights, distance of panels, biases)
    parameters: int  # numbers in all weights and biases, padding included
    scratch: int  # numbers in the scratch

    def pack(self, weights: Sequence[np.ndarray], biases: Sequence[np.ndarray]) -> np.ndarray:
        """Weights [(n_out, n_in)] and biases [(n_out, 1)] as one aligned array of panels."""
        packed = aligned_zeros(self.parameters, self.dtype)
        self.pack_into(packed, weights, biases)
        return packed

    def pack_into(
        self, packed: np.ndarray, weights: Sequence[np.ndarray], biases: Sequence[np.ndarray]
    ) -> None:
        """Packs weights and biases into `packed`, an array of panels; its padding is left as it is."""
        self._move(packed, weights, biases, True)

    def unpack(self, packed: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """New weights and biases in the shapes of the book."""
        weights = [np.empty(shape, self.dtype) for shape in zip(self.sizes[1:], self.sizes[:-1], strict=True)]
        biases = [np.empty((n_out, 1), self.dtype) for n_out in self.sizes[1:]]
        self._move(packed, weights, biases, False)
        return weights, biases

    def _move(
        self, packed: np.ndarray, weights: Sequence[np.ndarray], biases: Sequence[np.ndarray], packs: bool
    ) -> None:
        kernel = move(self.dtype)
        for w, b, offsets in zip(weights, biases, self.offsets, strict=True):
            kernel(_plain(w), _plain(b), packed, *offsets, packs)

    def unpack_rows(self, scratch: np.ndarray, offset: int, count: int, width: int) -> np.ndarray:
        """The first `count` rows, `width` numbers each, of a block of samples in the scratch."""
        rows = int(self.plan["rows"][0])
        panels = -(-width // self.columns)
        block = scratch[offset : offset + panels * rows * self.columns].reshape(panels, rows, self.columns)
        unpacked: np.ndarray = block[:, :count].swapaxes(0, 1).reshape(count, -1)[:, :width].copy()
        return unpacked


def _plain(array: np.ndarray) -> np.ndarray:
    """The array, or a copy that kernels can read: contiguous and aligned."""
    flags = array.flags
    return array if flags.c_contiguous and flags.aligned else array.copy()


@functools.lru_cache(64)
def layout(
    sizes: tuple[int, ...],
    batch_size: int,
    members: int,
    dtype: np.dtype,
    shape: PanelShape,
    cache: int,
    shared: bool = False,
    input_gradient: bool = False,
    listed: bool = False,
) -> Layout:
    """The layout of a network of `sizes` for batches of at most `batch_size`.

    `cache` has the bytes of the second-level cache.  If a block of inputs fits into a quarter of it, every
    member gathers the block for itself, which costs less than reading it from the cache of the core that
    wrote it.  `shared` asks for a second buffer of parameters even if a batch is one block, `input_gradient`
    for the delta of the inputs; `listed` samples need no dense block.
    """
    columns, side, multiple = shape
    row_bytes = columns * np.dtype(dtype).itemsize
    has_blocks = multiple > 1  # of operands, and updates read those of deltas
    block = min(batch_size, BLOCK)
    rows = _panel_rows(_up(block, side), row_bytes)  # transposes write whole square blocks
    parameters = scratch = 0

    def take(numbers: int) -> int:
        nonlocal scratch
        scratch += (numbers := _up(numbers, _ALIGNMENT))
        return scratch - numbers

    def block_of(width: int) -> int:
        return take(rows * _up(width, columns))

    plan, layers = np.zeros(1, PLAN), np.zeros(len(sizes), LAYER)
    cached = cache // 4 // np.dtype(dtype).itemsize
    plan["rows"], plan["block"] = rows, block
    plan["cached"] = cache // 4 // 2 if has_blocks else cached  # an operand's number takes two bytes there
    width = 0 if listed else sizes[0]
    plan["x"], plan["x_next"], plan["y"] = block_of(width), block_of(width), block_of(sizes[-1])
    plan["listed"] = listed
    if rows * width <= cached:
        plan["own"] = scratch
        take((members - 1) * scratch)
    private = _up(columns + columns * columns + 2 * NUMBERS, _ALIGNMENT)
    plan["private"], plan["private_size"] = take(members * private), private
    layers["delta_t"] = -1
    offsets = []
    layers[0]["outputs"] = sizes[0]
    if input_gradient:
        layers[0]["delta"] = block_of(sizes[0])
    for number, (n_in, n_out) in enumerate(itertools.pairwise(sizes), 1):
        panel = _panel_rows(_up(n_in, multiple), row_bytes) * columns
        layer = layers[number]
        layer["inputs"], layer["outputs"] = n_in, n_out
        layer["weights"], layer["panel"] = parameters, panel
        parameters += _up(n_out, columns) // columns * panel
        layer["biases"] = parameters
        offsets.append((int(layer["weights"]), panel, parameters))
        parameters += _up(n_out, columns)
        layer["a"], layer["delta"] = block_of(n_out), block_of(n_out)
        if number > 1 or input_gradient or has_blocks:
            panel = _panel_rows(_up(n_out, side), row_bytes) * columns
            layer["delta_t"], layer["delta_t_panel"] = take(_up(rows, columns) // columns * panel), panel
    plan["shared"] = take(parameters) if shared or batch_size > block else -1
    return Layout(tuple(sizes), np.dtype(dtype), columns, plan, layers, tuple(offsets), parameters, scratch)
