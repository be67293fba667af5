"""Rows of the user's data to panels, as vector IR: conversion, scaling, prefetch, one-hot targets."""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .jit import inner
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
    fma,
    load,
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
KINDS = {np.dtype(np.uint8): 0, np.dtype(np.float32): 1, np.dtype(np.float64): 2}
_STORED = (I8, F32, F64)
LABELS = 3  # an int64 a row: the number of the one output whose target is 1


def _numbers(
    b: ir.IRBuilder, source: ir.Value, wanted: ir.VectorType, stored: ir.Type, scale: Any
) -> ir.Value:
    """The next numbers at `source` in the wanted element type; bytes are divided by `scale`.

    q = u r, then q + r (u - q d) with r = 1 / d is the quotient u / d, correctly rounded (Markstein), so a
    byte and the float a user would have divided himself are the same bits.
    """
    raw = load(b, source, ir.VectorType(stored, wanted.count), align=1)
    if stored == I8:
        divisor, reciprocal = (splat(b, scalar, wanted.count) for scalar in scale)
        u = b.uitofp(b.zext(raw, ir.VectorType(I32, wanted.count)), wanted)
        q = b.fmul(u, reciprocal)
        remainder = fma(b, b.fsub(constant(wanted, -0.0), q), divisor, u)
        return fma(b, remainder, reciprocal, q)
    if stored == wanted.element:
        return raw
    return b.fpext(raw, wanted) if stored == F32 else b.fptrunc(raw, wanted)


@intrinsic
def fetch(typingctx: Any, kind: Any, count: Any, target: Any, panel: Any, source: Any, divisor: Any) -> Any:
    """Writes the `count` numbers stored at `source` to a row of `target`, whose panels lie `panel` apart."""
    element = element_of(target)
    s = shape(element)
    one = ir.VectorType(element, 1)

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        kind, count, target, panel, source, divisor = args
        if element == F32:
            divisor = b.fptrunc(divisor, F32)
        scale = divisor, b.fdiv(element(1.0), divisor)

        def convert(stored: ir.Type) -> None:
            typed = b.bitcast(source, stored.as_pointer())
            panels = b.sdiv(count, I64(s.columns))
            with loop(b, panels) as group:
                here = at(b, typed, b.mul(group, I64(s.columns)))
                row = at(b, target, b.mul(group, panel))
                for v in range(s.vectors):
                    numbers = _numbers(b, at(b, here, v * s.lanes), s.vector, stored, scale)
                    store(b, numbers, at(b, row, v * s.lanes))
            done = b.mul(panels, I64(s.columns))
            row = at(b, target, b.mul(panels, panel))
            whole = b.sdiv(b.sub(count, done), I64(s.lanes))
            with loop(b, whole) as v:
                start = b.mul(v, I64(s.lanes))
                numbers = _numbers(b, at(b, typed, b.add(done, start)), s.vector, stored, scale)
                store(b, numbers, at(b, row, start))
            done = b.add(done, b.mul(whole, I64(s.lanes)))
            with loop(b, b.sub(count, done)) as k:
                k = b.add(done, k)
                row = b.add(b.mul(b.sdiv(k, I64(s.columns)), panel), b.srem(k, I64(s.columns)))
                store(b, _numbers(b, at(b, typed, k), one, stored, scale), at(b, target, row))

        switch(b, kind, {i: lambda stored=stored: convert(stored) for i, stored in enumerate(_STORED)})

    i = types.int64
    address = element.as_pointer()
    arguments = [I64, I64, address, I64, I8.as_pointer(), F64]
    return call(
        lambda module: routine(module, f"fetch_{element}", arguments, emit),
        (i, i, target, i, source, types.float64),
    )


@intrinsic
def one_hot(typingctx: Any, count: Any, target: Any, panel: Any, source: Any) -> Any:
    """Writes `count` zeros, but a one at the label (int64) stored at `source`, to a row of `target`."""
    element = element_of(target)
    s = shape(element)

    def emit(b: ir.IRBuilder, count: ir.Value, target: ir.Value, panel: ir.Value, source: ir.Value) -> None:
        numbers = ir.Constant(ir.VectorType(I64, s.lanes), list(range(s.lanes)))
        label = b.load(b.bitcast(source, I64.as_pointer()))
        label.align = 1
        with loop(b, b.sdiv(b.add(count, I64(s.lanes - 1)), I64(s.lanes))) as v:
            wanted = splat(b, b.sub(label, b.mul(v, I64(s.lanes))), s.lanes)
            hot = b.icmp_signed("==", numbers, wanted)
            group, place = b.sdiv(v, I64(s.vectors)), b.srem(v, I64(s.vectors))
            row = b.add(b.mul(group, panel), b.mul(place, I64(s.lanes)))
            store(b, b.select(hot, constant(s.vector, 1.0), constant(s.vector, 0.0)), at(b, target, row))

    i = types.int64
    arguments = [I64, element.as_pointer(), I64, I8.as_pointer()]
    return call(lambda module: routine(module, f"one_hot_{element}", arguments, emit), (i, target, i, source))


@intrinsic
def prefetch_line(typingctx: Any, source: Any) -> Any:
    """Asks for the cache line at `source` to be brought near."""

    def emit(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        prefetch(b, arguments[0], near=False)  # a whole batch ahead: the first level has no room for it
        return context.get_dummy_value()

    return types.void(source), emit


class Ahead(NamedTuple):
    """Rows that will be fetched, to be asked for line by line: order[place:last], `size` bytes each.

    With a row's first line its target is asked for.
    """

    raw: Any
    size: int
    targets: Any
    target_size: int
    order: Any
    place: int
    last: int
    offset: int  # of the next line, in the row at `place`


@inner
def lines(ahead: Ahead) -> int:
    return (ahead.last - ahead.place) * ((ahead.size + CACHE_LINE - 1) // CACHE_LINE)


@inner
def ask(ahead: Ahead, count: int) -> Ahead:
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
    return Ahead(raw, size, targets, target_size, order, place, last, offset)
