"""The one matrix microkernel, as LLVM vector IR.

    C[rows, NV vectors]  +=  sum over k of  P(row, k)  *  Q[k, NV vectors]
                                            (a scalar, broadcast)

``dot`` sums along the rows of P (forward: P = x, Q = W; backward: P = W, Q = transposed delta).
``outer`` sums down the columns of P (update: P = x, Q = delta) and its epilogue writes the weights.
Each number of C is one chain of fused multiply-adds in ascending k, so its bits depend on nothing
but the data.  All operands are panels; see the package's docstring.

Heights tried, GFLOP/s in float32 on one Zen 5 core, first layers of [784, 100, 10] (whose 100 outputs fill
their vectors to 0.89) and [784, 512, 512, 10] (`python -m bench.phases --cases 1 2`):
dot 8 x 2: 202, 247;  10 x 2: 215, 244;  12 x 2: 216, 241.
outer 8 x 2: 212, 244;  11 x 2: 216, 250, but 203 where 213 for [784, 30, 10]: its last panel has 16 rows.

`dot` adds four terms per turn of its loop, and each turn prefetches its share of P's next panel.  On one core
of an Emerald Rapids, two terms a turn are slower than one, and eight as fast as four; `outer` gains nothing.

Tried for `dot` of [784, 512, 512, 10] on one Zen 3 core, and slower: 256 terms at a time over eight tiles of
rows, whose Q then stays in the first-level cache; prefetches of P a block of terms or four panels ahead.
"""

from functools import partial
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from . import groups, tiles
from .accumulators import Accumulators, heights
from .operands import has_tiles
from .vector import (
    CACHE_LINE,
    I64,
    at,
    call,
    constant,
    element_of,
    flushed,
    fma,
    load,
    loop,
    prefetch,
    routine,
    shape,
    size_of,
    splat,
    store,
    switch,
)

TERMS_PER_TURN = 4  # of the loop of `dot`; divides the columns of every panel


def _add_panel(
    b: ir.IRBuilder, tile: Accumulators, p: ir.Value, q: ir.Value, terms: ir.Value, ahead: ir.Value
) -> None:
    """C += P Q over at most one panel of terms; meanwhile P's next panel, at `ahead`, is prefetched.

    It may be far away, so a few lines at a time: all at once would take the buffers that loads of Q need.
    """
    s = tile.shape
    numbers = tile.rows * TERMS_PER_TURN  # of the next panel, in a turn

    def add(k: ir.Value) -> None:
        tile.add_product(at(b, p, k), s.columns, at(b, q, b.mul(k, I64(s.columns))))

    turns = b.sdiv(terms, I64(TERMS_PER_TURN))
    with loop(b, turns) as turn:
        here = at(b, ahead, b.mul(turn, I64(numbers)))
        for line in range(0, numbers, CACHE_LINE // size_of(s.vector.element)):
            prefetch(b, at(b, here, line), near=True)
        for term in range(TERMS_PER_TURN):
            add(b.add(b.mul(turn, I64(TERMS_PER_TURN)), I64(term)))
    added = b.mul(turns, I64(TERMS_PER_TURN))
    with loop(b, b.sub(terms, added)) as k:
        add(b.add(added, k))


def _dot_tile(module: ir.Module, element: ir.Type, rows: int, vectors: int) -> ir.Function:
    s = shape(element)
    columns = s.columns
    address = element.as_pointer()

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        c, start, start_stride, p, p_panel, q, terms = args
        tile = Accumulators(b, s, rows, vectors)
        for (i, v), slot in tile.slots.items():
            row = at(b, start, b.mul(start_stride, I64(i)))
            b.store(load(b, at(b, row, v * s.lanes), s.vector), slot)
        panels = b.sdiv(b.add(terms, I64(columns - 1)), I64(columns))
        with loop(b, panels) as panel:
            done = b.mul(panel, I64(columns))
            left = b.sub(terms, done)
            here = b.select(b.icmp_signed("<", left, I64(columns)), left, I64(columns))
            p_here = at(b, p, b.mul(panel, p_panel))
            q_here = at(b, q, b.mul(done, I64(columns)))
            _add_panel(b, tile, p_here, q_here, here, at(b, p_here, p_panel))
        for (i, v), slot in tile.slots.items():
            store(b, b.load(slot), at(b, c, tile.offset(i, v)))

    arguments = [address, address, I64, address, I64, address, I64]
    return routine(module, f"dot_{element}_{rows}x{vectors}", arguments, emit, tile=True)


def _dot(module: ir.Module, element: ir.Type) -> ir.Function:
    """Chooses the tile of that many rows and vectors."""
    s = shape(element)
    address = element.as_pointer()

    def emit(b: ir.IRBuilder, rows: ir.Value, vectors: ir.Value, *operands: ir.Value) -> None:
        cases = {
            r * s.columns + v: partial(b.call, _dot_tile(module, element, r, v), operands)
            for r in range(1, s.dot_rows + 1)
            for v in range(1, s.vectors + 1)
        }
        switch(b, b.add(b.mul(rows, I64(s.columns)), vectors), cases)

    arguments = [I64, I64, address, address, I64, address, I64, address, I64]
    return routine(module, f"dot_{element}", arguments, emit)


@intrinsic
def dot_rows(typingctx: Any, rounded: Any, base: Any) -> Any:
    """The most rows of `dot`, for the pointer's type."""
    rows = shape(element_of(base)).dot_rows
    most = rows if rounded == types.none else groups.rows_of_dot(rows)
    if has_tiles(rounded):
        most = tiles.SIDE

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        return I64(most)

    return types.int64(rounded, base), emit


@intrinsic
def dot(
    typingctx: Any,
    rounded: Any,
    rows: Any,
    vectors: Any,
    c: Any,
    start: Any,
    p: Any,
    q: Any,
    terms: Any,
) -> Any:
    """C[i] = start[i] + sum over k < terms of P[i, k] Q[k], at most `dot_rows` rows.

    `start` are `Strided` rows (a bias repeats, as zeros do), `p` are `Strided` panels.  Terms are in groups
    (kernels.groups, kernels.tiles) unless `rounded` is None.
    """
    i = types.int64

    def routine_of(module: ir.Module) -> ir.Function:
        if rounded == types.none:
            return _dot(module, element_of(c))
        return (tiles if has_tiles(rounded) else groups).dot(module)

    return call(routine_of, (rounded, i, i, c, start, p, q, i), markers=1)


def _outer_tile(module: ir.Module, element: ir.Type, rows: int, vectors: int) -> ir.Function:
    s = shape(element)
    address = element.as_pointer()

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        w, p, q, terms, scale, kept = args
        tile = Accumulators(b, s, rows, vectors)
        for slot in tile.slots.values():
            b.store(constant(s.vector, 0.0), slot)
        for i, v in tile.slots:  # needed at the end, and as far as memory
            if v * s.lanes * size_of(element) % CACHE_LINE == 0:
                prefetch(b, at(b, w, tile.offset(i, v)), near=True)
        with loop(b, terms) as k:
            row = b.mul(k, I64(s.columns))
            tile.add_product(at(b, p, row), 1, at(b, q, row))
        places = [(at(b, w, tile.offset(i, v)), slot) for (i, v), slot in tile.slots.items()]
        step = splat(b, scale, s.lanes)
        with b.if_else(b.fcmp_ordered("==", kept, element(0.0))) as (anew, added):
            with anew:
                for target, slot in places:
                    store(b, flushed(b, b.fmul(step, b.load(slot))), target)
            with added:
                for target, slot in places:
                    value = fma(b, step, b.load(slot), load(b, target, s.vector))
                    store(b, flushed(b, value), target)

    arguments = [address, address, address, I64, element, element]
    return routine(module, f"outer_{element}_{rows}x{vectors}", arguments, emit, inline=True, tile=True)


def _outer(module: ir.Module, element: ir.Type, vectors: int) -> ir.Function:
    """A panel's worth of rows in full tiles; fewer rows in full tiles and a last one of any height.

    A single vector takes twice the rows, for every row costs it one more load a term.  W is multiplied by
    `kept` before its tiles, where that changes it: one more product in each slows updates of small batches.
    """
    s = shape(element)
    most = s.outer_rows * s.vectors // vectors
    address = element.as_pointer()

    def emit(b: ir.IRBuilder, rows: ir.Value, w: ir.Value, p: ir.Value, *rest: ir.Value) -> None:
        *_, kept = rest

        def tile(height: int, row: ir.Value | int) -> None:
            offset = row * s.columns if isinstance(row, int) else b.mul(row, I64(s.columns))
            function = _outer_tile(module, element, height, vectors)
            b.call(function, [at(b, w, offset), at(b, p, row), *rest])

        def ragged() -> None:
            done = cgutils.alloca_once_value(b, I64(0))
            with loop(b, b.sdiv(b.sub(rows, I64(1)), I64(most))):
                tile(most, b.load(done))
                b.store(b.add(b.load(done), I64(most)), done)
            left = b.load(done)
            cases = {height: partial(tile, height, left) for height in range(1, most + 1)}
            switch(b, b.sub(rows, left), cases)

        changes = b.and_(*(b.fcmp_unordered("!=", kept, element(number)) for number in (0.0, 1.0)))
        with b.if_then(changes), loop(b, rows) as i:
            for v in range(vectors):
                target = at(b, w, b.add(b.mul(i, I64(s.columns)), I64(v * s.lanes)))
                store(b, b.fmul(splat(b, kept, s.lanes), load(b, target, s.vector)), target)
        if s.columns % most == 0:
            ragged()
            return
        with b.if_else(b.icmp_signed("==", rows, I64(s.columns))) as (full, otherwise):
            with full:
                row = 0
                for height in heights(s.columns, most):
                    tile(height, row)
                    row += height
            with otherwise:
                ragged()

    arguments = [I64, address, address, address, I64, element, element]
    return routine(module, f"outer_{element}_{vectors}", arguments, emit, tile=True)


def _outer_of(module: ir.Module, element: ir.Type) -> ir.Function:
    """Chooses the tiles of that many vectors."""

    def emit(b: ir.IRBuilder, rows: ir.Value, vectors: ir.Value, *operands: ir.Value) -> None:
        by_vectors = {
            v: partial(b.call, _outer(module, element, v), [rows, *operands])
            for v in range(1, shape(element).vectors + 1)
        }
        switch(b, vectors, by_vectors)

    address = element.as_pointer()
    arguments = [I64, I64, address, address, address, I64, element, element]
    return routine(module, f"outer_{element}", arguments, emit, inline=True)


@intrinsic
def outer(
    typingctx: Any,
    columns: Any,
    there: Any,
    size: Any,
    w: Any,
    p: Any,
    q: Any,
    terms: Any,
    scale: Any,
    kept: Any,
) -> Any:
    """W[i] = kept W[i] + scale (sum over k < terms of P[k, i] Q[k]), for at most one panel of rows.

    `size` has the rows and vectors.  Where `kept` is 0, W is not read.  Its subnormal numbers become 0.
    Unless `there` is None, terms are in groups (kernels.groups, kernels.tiles), and W is rounded to there as
    well, if that is not null.  `tiles` reads blocks of Q, a stride apart, and makes 0 of W from the column
    `columns` on; others read Q's first row and those after it.
    """
    rounded = there.types[0]

    def emit(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        columns, there, size, w, p, q, *rest = arguments
        there, apart = cgutils.unpack_tuple(b, there, 2)
        (q, stride), places = cgutils.unpack_tuple(b, q, 2), [*cgutils.unpack_tuple(b, size, 2), w, p]
        if rounded == types.none:
            b.call(_outer_of(b.module, element_of(signature.args[3])), [*places, q, *rest])
        elif has_tiles(rounded):
            b.call(tiles.outer(b.module), [columns, there, apart, *places, q, stride, *rest])
        else:
            b.call(groups.outer(b.module), [there, *places, q, *rest])
        return context.get_dummy_value()

    i = types.int64
    return types.void(i, there, size, w, p, q, i, w.dtype, w.dtype), emit


@intrinsic
def bias(typingctx: Any, vectors: Any, b: Any, d: Any, terms: Any, scale: Any) -> Any:
    """B += scale (sum over k < terms of D[k]): `outer` for an input that is always one."""
    i = types.int64
    element = element_of(b)
    s = shape(element)

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        vectors, target, d, terms, scale = args
        with loop(b, vectors) as v:
            column = b.mul(v, I64(s.lanes))
            total = cgutils.alloca_once_value(b, constant(s.vector, 0.0))
            with loop(b, terms) as k:
                row = at(b, d, b.add(column, b.mul(k, I64(s.columns))))
                b.store(b.fadd(b.load(total), load(b, row, s.vector)), total)
            place = at(b, target, column)
            step = splat(b, scale, s.lanes)
            store(b, flushed(b, fma(b, step, b.load(total), load(b, place, s.vector))), place)

    address = element.as_pointer()
    arguments = [I64, address, address, I64, element]
    return call(lambda module: routine(module, f"bias_{element}", arguments, emit), (i, b, d, i, b.dtype))
