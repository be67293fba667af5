"""Rows of the user's data to panels, as vector IR: conversion, scaling, prefetch, one-hot targets."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .jit import helper, inlined
from .vector import (
    CACHE_LINE,
    F32,
    F64,
    I8,
    I32,
    I64,
    at,
    call,
    constant,
    element_of,
    flushed,
    fma,
    lanes_below,
    load,
    load_where,
    loop,
    prefetch,
    routine,
    shape,
    shift,
    splat,
    store,
    switch,
)

# How the numbers of a row are stored; a kernel knows it by its place here.
DTYPE_CODES = {np.dtype(np.uint8): 0, np.dtype(np.float32): 1, np.dtype(np.float64): 2}
_STORED = (I8, F32, F64)
LABELS = 3  # an int64 a row: the number of the one output whose target is 1; `SCALED` ones are smoothed
SCALED = 4  # is added to the kind of numbers that are brought to mean 0 and deviation 1


def _numbers(b: ir.IRBuilder, raw: ir.Value, wanted: ir.VectorType, scale: Any) -> ir.Value:
    """Numbers as they are stored, in the wanted element type; bytes are divided by `scale`.

    q = u r, then q + r (u - q d) with r = 1 / d is the quotient u / d, correctly rounded (Markstein), so a
    byte and the float a user would have divided himself are the same bits.
    """
    stored = raw.type.element
    if stored == I8:
        divisor, reciprocal = (splat(b, scalar, wanted.count) for scalar in scale)
        u = b.uitofp(b.zext(raw, ir.VectorType(I32, wanted.count)), wanted)
        q = b.fmul(u, reciprocal)
        remainder = fma(b, b.fsub(constant(wanted, -0.0), q), divisor, u)
        return fma(b, remainder, reciprocal, q)
    if stored == wanted.element:
        return raw
    return b.fpext(raw, wanted) if stored == F32 else b.fptrunc(raw, wanted)


def _scaled(b: ir.IRBuilder, x: ir.Value, mean: ir.Value, factor: ir.Value, wanted: ir.Type) -> ir.Value:
    """(x - mean) * factor in float64, whatever the types, for the mean may be far from 0."""
    wide = ir.VectorType(F64, wanted.count)
    x = b.fpext(x, wide) if x.type.element == F32 else x
    x = b.fmul(b.fsub(x, mean), factor)
    return b.fptrunc(x, wanted) if wanted.element == F32 else x


class Units(NamedTuple):
    """How numbers are brought to the network's units: bytes by a divisor, `SCALED` ones by (x - mean) factor.

    `mean` and `factor` point to float64s of a panel's columns.
    """

    divisor: float
    mean: Any
    factor: Any


@intrinsic
def gather(
    typingctx: Any,
    kind: Any,
    columns: Any,
    target: Any,
    count: Any,
    source: Any,
    size: Any,
    positions: Any,
    units: Any,
) -> Any:
    """Fills the first `count` rows of one panel, `columns` numbers each, with 0 for subnormal numbers.

    Row i begins positions[i] `size` bytes after `source`.  Panel by panel, the rows of a batch are read
    side by side and the panel is written in one go.
    """
    element = element_of(target)
    s = shape(element)

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        kind, columns, target, count, source, size, positions, divisor, mean, factor = args
        if element == F32:
            divisor = b.fptrunc(divisor, F32)
        scale = divisor, b.fdiv(element(1.0), divisor)
        wide = ir.VectorType(F64, s.lanes)

        def convert(stored: ir.Type, scaled: bool) -> None:
            raw = ir.VectorType(stored, s.lanes)

            def row(i: ir.Value) -> tuple[ir.Value, ir.Value]:
                start = at(b, source, b.mul(b.load(at(b, positions, i)), size))
                return b.bitcast(start, stored.as_pointer()), at(b, target, b.mul(i, I64(s.columns)))

            def rows(read: Callable[[int, ir.Value, ir.VectorType], ir.Value]) -> None:
                """Fills the panel's rows, each vector by ``read(column, pointer, type)``."""
                places = range(0, s.columns, s.lanes) if scaled else ()
                means = [(read(column, at(b, mean, column), wide)) for column in places]
                factors = [(read(column, at(b, factor, column), wide)) for column in places]
                with loop(b, count) as i:
                    here, there = row(i)
                    for k, column in enumerate(range(0, s.columns, s.lanes)):
                        found = read(column, at(b, here, column), raw)
                        if not scaled or stored == I8:
                            found = _numbers(b, found, s.vector, scale)
                        if scaled:
                            found = _scaled(b, found, means[k], factors[k], s.vector)
                        if scaled or stored != I8:
                            found = flushed(b, found)
                        store(b, found, at(b, there, column))

            def some(column: int, pointer: ir.Value, type_: ir.VectorType) -> ir.Value:
                return load_where(b, lanes_below(b, s.vector, b.sub(columns, I64(column))), pointer, type_)

            with b.if_else(b.icmp_signed("==", columns, I64(s.columns))) as (full, ragged):
                with full:
                    rows(lambda column, pointer, type_: load(b, pointer, type_, align=1))
                with ragged:
                    rows(some)

        kinds = {
            i + scaled * SCALED: partial(convert, stored, bool(scaled))
            for i, stored in enumerate(_STORED)
            for scaled in (0, 1)
        }
        switch(b, kind, kinds)

    i = types.int64
    doubles = F64.as_pointer()
    arguments = [
        *(I64, I64, element.as_pointer(), I64, I8.as_pointer(), I64, I64.as_pointer(), F64),
        *(doubles, doubles),
    ]
    return call(
        lambda module: routine(module, f"gather_{element}", arguments, emit),
        (i, i, target, i, source, i, positions, units),
    )


@intrinsic
def one_hot(
    typingctx: Any, first: Any, target: Any, count: Any, source: Any, size: Any, positions: Any, ends: Any
) -> Any:
    """Fills the first `count` rows of the panel whose first column is `first`, by the two numbers of `ends`.

    All are the first number, but the second at the label.  Row i's label (int64) lies positions[i] `size`
    bytes after `source`.
    """
    element = element_of(target)
    s = shape(element)

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        first, target, count, source, size, positions, *ends = args
        off, on = (splat(b, b.fptrunc(end, F32) if element == F32 else end, s.lanes) for end in ends)
        numbers = ir.Constant(ir.VectorType(I64, s.lanes), list(range(s.lanes)))
        with loop(b, count) as i:
            start = at(b, source, b.mul(b.load(at(b, positions, i)), size))
            label = b.load(b.bitcast(start, I64.as_pointer()))
            label.align = 1
            for column in range(0, s.columns, s.lanes):
                wanted = splat(b, b.sub(label, b.add(first, I64(column))), s.lanes)
                hot = b.icmp_signed("==", numbers, wanted)
                value = b.select(hot, on, off)
                store(b, value, at(b, at(b, target, b.mul(i, I64(s.columns))), column))

    i = types.int64
    arguments = [I64, element.as_pointer(), I64, I8.as_pointer(), I64, I64.as_pointer(), F64, F64]
    return call(
        lambda module: routine(module, f"one_hot_{element}", arguments, emit),
        (i, target, i, source, i, positions, ends),
    )


class Ends(NamedTuple):
    """The targets of a label's output and of all others."""

    off: float
    on: float


@helper
def ends(kind: int, mean: Any, factor: Any) -> Ends:
    """Zero and one, or those numbers scaled by the mean and the factor of the first column."""
    if kind < SCALED:
        return Ends(0.0, 1.0)
    return Ends((0.0 - mean[0]) * factor[0], (1.0 - mean[0]) * factor[0])


@intrinsic
def prefetch_line(typingctx: Any, source: Any) -> Any:
    """Prefetches the cache line at `source`."""

    def emit(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        prefetch(b, arguments[0], near=False)  # a whole batch ahead: the first level has no room for it
        return context.get_dummy_value()

    return types.void(source), emit


class Prefetch(NamedTuple):
    """Rows to be gathered later, prefetched line by line: order[place:last], `size` bytes each.

    With a row's first line its target is prefetched.
    """

    raw: Any
    size: int
    targets: Any
    target_size: int
    order: Any
    place: int
    last: int
    offset: int  # of the next line, in the row at `place`


@inlined
def line_count(ahead: Prefetch) -> int:
    return (ahead.last - ahead.place) * ((ahead.size + CACHE_LINE - 1) // CACHE_LINE)


@inlined
def prefetch_next(ahead: Prefetch, count: int) -> Prefetch:
    """Prefetches the next `count` lines, if there are so many."""
    raw, size, targets, target_size, order, place, last, offset = ahead
    for _ in range(count):
        if place >= last:
            break
        if offset == 0:
            prefetch_line(shift(targets, order[place] * target_size))
        prefetch_line(shift(raw, order[place] * size + offset))
        offset += CACHE_LINE
        if offset >= size:
            offset = 0
            place += 1
    return Prefetch(raw, size, targets, target_size, order, place, last, offset)
