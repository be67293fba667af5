"""Weights and biases of a layer between their plain arrays and panels."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .jit import helper, kernel
from .vector import (
    I64,
    SMALLEST,
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
    store,
    transpose,
)


@intrinsic
def _transpose_block(typingctx: Any, target: Any, target_row: Any, source: Any, source_row: Any) -> Any:
    """Writes a square block of a vector's lanes, transposed; rows lie `..._row` numbers apart.

    Subnormal numbers become 0; -0 stays.
    """
    element = element_of(target)
    s = shape(element)

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        target, target_row, source, source_row = args
        least, zero = (constant(s.vector, number) for number in (SMALLEST[element], 0.0))
        rows = [load(b, at(b, source, b.mul(source_row, I64(r))), s.vector) for r in range(s.lanes)]
        for r, row in enumerate(transpose(b, rows)):
            size = absolute(b, row)
            is_subnormal = b.and_(b.fcmp_ordered("<", size, least), b.fcmp_ordered("!=", size, zero))
            store(b, b.select(is_subnormal, zero, row), at(b, target, b.mul(target_row, I64(r))))

    i, pointer = types.int64, element.as_pointer()
    arguments = [pointer, I64, pointer, I64]
    return call(
        lambda module: routine(module, f"transpose_block_{element}", arguments, emit), (target, i, source, i)
    )


@helper
def _copy(target: Any, there: int, source: Any, here: int) -> None:
    """target[there] = source[here], as a block is written."""
    number = source[here]
    target[there] = 0 if number != 0 and abs(number) < smallest_normal(source) else number


def _signature(dtype: Any) -> Any:
    element = types.float32 if dtype == np.float32 else types.float64
    i = types.int64
    return types.void(element[:, ::1], element[:, ::1], element[::1], i, i, i, types.boolean)


@kernel(_signature)
def move(w: Any, b: Any, packed: Any, weights: int, panel: int, biases: int, packs: bool) -> None:
    """Fills a layer's panels with w (n_out, n_in) and b (n_out, 1), or these with what the panels hold.

    Either gets 0 for subnormal numbers.

    `weights` and `biases` say where the layer's begin in `packed`, `panel` is the distance of two panels.
    """
    nr, lanes = constants(pointer(packed, 0))
    outputs, inputs = w.shape
    plain, bias, biases_there = pointer(w, 0), pointer(b, 0), pointer(packed, biases)
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
                    _transpose_block(at_panel, nr, at_rows, inputs)
                else:
                    _transpose_block(at_rows, inputs, at_panel, nr)
        for j in range(blocks, columns):
            for k in range(inputs):
                if packs:
                    _copy(there, k * nr + j, here, j * inputs + k)
                else:
                    _copy(here, j * inputs + k, there, k * nr + j)
    for j in range(outputs):
        if packs:
            _copy(biases_there, j, bias, j)
        else:
            _copy(bias, j, biases_there, j)
