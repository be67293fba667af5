"""Weights and biases of a layer between their plain arrays and panels."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .jit import helper, kernel
from .vector import (
    I64,
    absolute,
    at,
    call,
    constant,
    constants,
    element_of,
    load,
    pointer,
    routine,
    shape,
    shift,
    smallest_normal,
    splat,
    store,
    transpose,
)

_COLUMNS = 16  # numbers of a plain row at once: whole cache lines, which stay until all rows have been taken


@intrinsic
def _transpose_block(
    typingctx: Any, target: Any, target_row: Any, source: Any, source_row: Any, least: Any
) -> Any:
    """Writes a square block of a vector's lanes, transposed; rows lie `..._row` numbers apart.

    Numbers nearer to 0 than `least` become 0; -0 stays.
    """
    element = element_of(target)
    s = shape(element)

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        target, target_row, source, source_row, least = args
        least, zero = splat(b, least, s.lanes), constant(s.vector, 0.0)
        rows = [load(b, at(b, source, b.mul(source_row, I64(r))), s.vector) for r in range(s.lanes)]
        for r, row in enumerate(transpose(b, rows)):
            size = absolute(b, row)
            is_tiny = b.and_(b.fcmp_ordered("<", size, least), b.fcmp_ordered("!=", size, zero))
            store(b, b.select(is_tiny, zero, row), at(b, target, b.mul(target_row, I64(r))))

    i, address = types.int64, element.as_pointer()
    arguments = [address, I64, address, I64, element]
    return call(
        lambda module: routine(module, f"transpose_block_{element}", arguments, emit),
        (target, i, source, i, target.dtype),
    )


@helper
def _copy(target: Any, there: int, source: Any, here: int, least: float) -> None:
    """target[there] = source[here], as a block is written."""
    number = source[here]
    target[there] = 0 if number != 0 and abs(number) < least else number


def _signature(dtype: Any) -> Any:
    element = types.float32 if dtype == np.float32 else types.float64
    i = types.int64
    return types.void(element[:, ::1], element[:, ::1], element[::1], i, i, i, types.boolean)


@kernel(_signature)
def move(w: Any, b: Any, packed: Any, weights: int, panel: int, biases: int, packs: bool) -> None:
    """Fills a layer's panels with w (n_out, n_in) and b (n_out, 1), or these with what the panels hold.

    Panels get 0 for subnormal numbers.

    `weights` and `biases` say where the layer's begin in `packed`, `panel` is the distance of two panels.
    """
    nr, lanes = constants(pointer(packed, 0))
    outputs, inputs = w.shape
    plain, bias, biases_there = pointer(w, 0), pointer(b, 0), pointer(packed, biases)
    least = smallest_normal(plain)
    if not packs:  # numbers of panels come back as they are
        least -= least
    for first in range(0, outputs, nr):
        there = pointer(packed, weights + first // nr * panel)
        here = shift(plain, first * inputs)
        columns = min(nr, outputs - first)
        blocks = columns // lanes * lanes if inputs >= lanes else 0
        for j in range(0, blocks, lanes):
            for begin in range(0, inputs, lanes):
                k = min(begin, inputs - lanes)  # the last block may overlap the one before it
                at_panel, at_rows = shift(there, k * nr + j), shift(here, j * inputs + k)
                if packs:
                    _transpose_block(at_panel, nr, at_rows, inputs, least)
                else:
                    _transpose_block(at_rows, inputs, at_panel, nr, least)
        for begin in range(0, inputs, _COLUMNS):
            for j in range(blocks, columns):
                for k in range(begin, min(begin + _COLUMNS, inputs)):
                    if packs:
                        _copy(there, k * nr + j, here, j * inputs + k, least)
                    else:
                        _copy(here, j * inputs + k, there, k * nr + j, least)
    for j in range(outputs):
        if packs:
            _copy(biases_there, j, bias, j, least)
        else:
            _copy(bias, j, biases_there, j, least)
