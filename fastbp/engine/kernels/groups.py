"""Products of numbers that are rounded to bfloat16, their terms in groups of 32, as vector IR.

    c = start
    for every 32 terms, ascending:  even = odd = 0
        for k in 0 .. 15:  even = fma(p[2 k], q[2 k], even);  odd = fma(p[2 k + 1], q[2 k + 1], odd)
        c = c + (even + odd)

A group that is short has zeros for what it lacks.  Subnormal operands and results are 0.  That is what the
matrix units of x86 compute (TDPBF16PS), to the bit, and here it is computed by fused multiply-adds, two at
once where that is faster (`kernels.pairs`).

A tile has half the rows of one for single chains (`kernels.microkernel`), and keeps c in memory.  Tried on
Zen 3, and slower: all rows, first by the even terms and then by the odd ones, with their sums in memory; a
third of the rows, with c in registers; and loads in the order that LLVM prefers.
"""

from collections.abc import Callable
from functools import partial

from llvmlite import ir
from numba.core import cgutils

from .accumulators import Accumulators, heights
from .bfloat16 import flushing, has_pairs, nearest
from .pairs import QUAD, add_products, joined, pack_columns, pack_rows, row_of, row_or_zeros
from .vector import (
    CACHE_LINE,
    F32,
    I64,
    VOID,
    at,
    constant,
    flushed,
    fma,
    load,
    loop,
    prefetch,
    routine,
    shape,
    splat,
    store,
    switch,
)

GROUP = 32  # terms
TERMS_AT_ONCE = 256  # of a `dot`, so that Q of all its tiles is read from L1d; no bit depends on it
_ADDRESS = F32.as_pointer()
_ROW = TERMS_AT_ONCE // 2 + 16  # words of a row of P, packed; a power of two would share a cache's sets
_SAMPLES = 128  # the most terms of an `outer`


def rows_of_tile(rows: int) -> int:
    """The most rows of a tile, where a single chain has so many."""
    return rows // 2


def rows_of_dot(rows: int) -> int:
    """The most rows of `dot`, in the same way."""
    return 2 * rows


def _least(b: ir.IRBuilder, x: ir.Value, most: int) -> ir.Value:
    return b.select(b.icmp_signed("<", x, I64(most)), x, I64(most))


def _up(b: ir.IRBuilder, x: ir.Value, unit: int) -> ir.Value:
    """x / unit, rounded up."""
    return b.sdiv(b.add(x, I64(unit - 1)), I64(unit))


def _words(b: ir.IRBuilder, count: int) -> ir.Value:
    """Room for packed operands."""
    room = b.alloca(F32, size=count)
    room.align = CACHE_LINE
    return room


class _Chains:
    """The even and the odd chains of rows x vectors numbers; rows and terms of P lie `strides` apart."""

    def __init__(self, b: ir.IRBuilder, rows: int, vectors: int, strides: tuple[int, ...]) -> None:
        self.b, self.shape = b, shape(F32)
        self.tiles = [Accumulators(b, self.shape, rows, vectors) for _ in range(2)]
        self.row_stride, self.term_stride = strides[:2]

    def after(self, p: ir.Value, terms: ir.Value) -> ir.Value:
        """The place in P after so many terms."""
        return at(self.b, p, self.b.mul(terms, I64(self.term_stride)))

    def clear(self) -> None:
        for tile in self.tiles:
            for slot in tile.slots.values():
                self.b.store(constant(self.shape.vector, 0.0), slot)

    def _add(self, half: int, p: ir.Value, q: ir.Value) -> None:
        self.tiles[half].add_product(p, self.row_stride, q)
        self._keep_order()

    def add(self, count: ir.Value, p: ir.Value, q: ir.Value) -> None:
        """Adds `count` terms, the first of which is an even one."""
        b = self.b
        with loop(b, b.sdiv(count, I64(2))) as pair:
            for half in (0, 1):
                k = b.add(b.mul(pair, I64(2)), I64(half))
                p_here = at(b, p, b.mul(k, I64(self.term_stride)))
                self._add(half, p_here, at(b, q, b.mul(k, I64(self.shape.columns))))
        with b.if_then(b.trunc(count, ir.IntType(1))):
            last = b.sub(count, I64(1))
            p_here = at(b, p, b.mul(last, I64(self.term_stride)))
            self._add(0, p_here, at(b, q, b.mul(last, I64(self.shape.columns))))

    def _keep_order(self) -> None:
        """LLVM leaves loads on their side of this."""
        order = ir.InlineAsm(ir.FunctionType(VOID, []), "", "~{memory}", side_effect=True)
        self.b.call(order, [])

    def add_to(self, c: ir.Value, terms: ir.Value) -> None:
        """c += even + odd, of a group of so many terms."""
        b, (even, odd), vector = self.b, self.tiles, self.shape.vector
        for place, slot in even.slots.items():
            b.store(b.fadd(b.load(slot), b.load(odd.slots[place])), slot)
        with b.if_then(b.icmp_signed("<", terms, I64(GROUP))):  # a term of zeros makes 0 of -0
            for slot in even.slots.values():
                b.store(b.fadd(b.load(slot), constant(vector, 0.0)), slot)
        for (i, v), slot in even.slots.items():
            here = at(b, c, even.offset(i, v))
            store(b, b.fadd(load(b, here, vector), b.load(slot)), here)


class _Pairs(_Chains):
    """The same by pairs of terms, with `strides` of the words of P: rows, quads of terms, and chains."""

    def __init__(self, b: ir.IRBuilder, rows: int, vectors: int, strides: tuple[int, ...]) -> None:
        super().__init__(b, rows, vectors, strides)
        self.half_stride = strides[2]

    def after(self, p: ir.Value, terms: ir.Value) -> ir.Value:
        return super().after(p, self.b.sdiv(terms, I64(QUAD)))

    def add(self, count: ir.Value, p: ir.Value, q: ir.Value) -> None:
        b, s = self.b, self.shape
        whole, left = b.sdiv(count, I64(QUAD)), b.srem(count, I64(QUAD))

        def add_quad(quad: ir.Value, row: Callable[[ir.Value, int, int], ir.Value]) -> None:
            p_here = at(b, p, b.mul(quad, I64(self.term_stride)))
            q_here = at(b, q, b.mul(quad, I64(QUAD * s.columns)))
            for half, tile in enumerate(self.tiles):
                words = [
                    joined(b, *(row(q_here, k, v) for k in (half, half + 2))) for v in range(tile.vectors)
                ]
                for i in range(tile.rows):
                    place = half * self.half_stride + i * self.row_stride
                    word = splat(b, b.load(at(b, p_here, place)), s.lanes)
                    for v in range(tile.vectors):
                        slot = tile.slots[i, v]
                        b.store(add_products(b, b.load(slot), word, words[v]), slot)
                self._keep_order()

        with loop(b, whole) as quad:
            add_quad(quad, partial(row_of, b))
        with b.if_then(b.icmp_signed("!=", left, I64(0))):
            add_quad(whole, lambda panel, k, v: row_or_zeros(b, panel, k, left, v))


def _chains(
    b: ir.IRBuilder, rows: int, vectors: int, strides: tuple[int, int], by_pairs: tuple[int, int, int]
) -> _Chains:
    """The chains of a tile, with the strides of P as it is, or as packed words."""
    return _Pairs(b, rows, vectors, by_pairs) if has_pairs() else _Chains(b, rows, vectors, strides)


def _over_groups(
    chains: _Chains, c: ir.Value, terms: ir.Value, add: Callable[[ir.Value, ir.Value], None]
) -> None:
    """Adds all groups to c; ``add(done, count)`` adds the `count` terms after the first `done`."""
    b = chains.b
    with loop(b, _up(b, terms, GROUP)) as group:
        done = b.mul(group, I64(GROUP))
        count = _least(b, b.sub(terms, done), GROUP)
        chains.clear()
        add(done, count)
        chains.add_to(c, count)


def _dot_tile(module: ir.Module, rows: int, vectors: int) -> ir.Function:
    s = shape(F32)
    columns = s.columns

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        c, start, start_stride, p, p_panel, q, terms = args
        chains = _chains(b, rows, vectors, (columns, 1), (_ROW, 2, 1))
        for i, v in chains.tiles[0].slots:
            row = at(b, start, b.mul(start_stride, I64(i)))
            value = load(b, at(b, row, v * s.lanes), s.vector)
            store(b, value, at(b, c, chains.tiles[0].offset(i, v)))

        def add(done: ir.Value, count: ir.Value) -> None:
            if has_pairs():
                chains.add(count, chains.after(p, done), at(b, q, b.mul(done, I64(columns))))
                return
            first = b.sdiv(done, I64(columns))
            with loop(b, _up(b, count, columns)) as panel:
                before = b.mul(panel, I64(columns))
                p_here = at(b, p, b.mul(b.add(first, panel), p_panel))
                for line in range(0, rows * columns, CACHE_LINE // 4):  # of the next panel, far away
                    prefetch(b, at(b, at(b, p_here, p_panel), line), near=True)
                q_here = at(b, q, b.mul(b.add(done, before), I64(columns)))
                chains.add(_least(b, b.sub(count, before), columns), p_here, q_here)

        _over_groups(chains, c, terms, add)

    arguments = [_ADDRESS, _ADDRESS, I64, _ADDRESS, I64, _ADDRESS, I64]
    return routine(module, f"grouped_dot_{rows}x{vectors}", arguments, emit, tile=True)


def dot(module: ir.Module) -> ir.Function:
    """`microkernel.dot`, in groups; its rows are those of several tiles, which share terms in L1d."""
    s = shape(F32)
    most = rows_of_tile(s.dot_rows)

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        rows, vectors, c, start, start_stride, p, p_panel, q, terms = args
        panels = TERMS_AT_ONCE // s.columns
        packed = _words(b, rows_of_dot(s.dot_rows) * _ROW) if has_pairs() else None

        def tiles(done: ir.Value, begin: ir.Value, stride: ir.Value) -> None:
            """Adds the terms from `done` on to all rows, which begin with those of `begin`."""
            p_here = at(b, p, b.mul(b.mul(b.sdiv(done, I64(TERMS_AT_ONCE)), I64(panels)), p_panel))
            q_here = at(b, q, b.mul(done, I64(s.columns)))
            count = _least(b, b.sub(terms, done), TERMS_AT_ONCE)
            if packed:
                b.call(pack_rows(module, _ROW), [rows, count, packed, p_here, p_panel])
            row = cgutils.alloca_once_value(b, I64(0))
            with loop(b, _up(b, rows, most)) as number:
                first = b.load(row)
                left = b.sub(_up(b, rows, most), number)
                height = b.sdiv(b.add(b.sub(rows, first), b.sub(left, I64(1))), left)
                offset = b.mul(first, I64(s.columns))
                p_rows = at(b, packed, b.mul(first, I64(_ROW))) if packed else at(b, p_here, offset)
                places = at(b, c, offset), at(b, begin, b.mul(first, stride)), stride, p_rows
                cases = {
                    r * s.columns + v: partial(
                        b.call, _dot_tile(module, r, v), [*places, p_panel, q_here, count]
                    )
                    for r in range(1, most + 1)
                    for v in range(1, s.vectors + 1)
                }
                switch(b, b.add(b.mul(height, I64(s.columns)), vectors), cases)
                b.store(b.add(first, height), row)

        with flushing(b):
            tiles(I64(0), start, start_stride)
            with loop(b, b.sub(_up(b, terms, TERMS_AT_ONCE), I64(1))) as block:
                tiles(b.mul(b.add(block, I64(1)), I64(TERMS_AT_ONCE)), c, I64(s.columns))

    arguments = [I64, I64, _ADDRESS, _ADDRESS, I64, _ADDRESS, I64, _ADDRESS, I64]
    return routine(module, "grouped_dot", arguments, emit)


def _outer_tile(module: ir.Module, rows: int, vectors: int) -> ir.Function:
    s = shape(F32)

    def emit(b: ir.IRBuilder, c: ir.Value, p: ir.Value, q: ir.Value, terms: ir.Value) -> None:
        chains = _chains(b, rows, vectors, (1, s.columns), (1, 2 * s.columns, s.columns))
        for i, v in chains.tiles[0].slots:
            store(b, constant(s.vector, 0.0), at(b, c, chains.tiles[0].offset(i, v)))

        def add(done: ir.Value, count: ir.Value) -> None:
            chains.add(count, chains.after(p, done), at(b, q, b.mul(done, I64(s.columns))))

        _over_groups(chains, c, terms, add)

    arguments = [_ADDRESS, _ADDRESS, _ADDRESS, I64]
    return routine(module, f"grouped_outer_{rows}x{vectors}", arguments, emit, tile=True)


def _sums(module: ir.Module, vectors: int) -> ir.Function:
    """C[i] = sum over k < terms of P[k, i] Q[k], a whole panel of rows in tiles of nearly equal heights."""
    s = shape(F32)
    most = rows_of_tile(s.dot_rows) * s.vectors // vectors

    def emit(b: ir.IRBuilder, rows: ir.Value, c: ir.Value, p: ir.Value, *rest: ir.Value) -> None:
        if has_pairs():
            packed = _words(b, _SAMPLES // 2 * s.columns)
            b.call(pack_columns(module), [rest[-1], packed, p])
            p = packed

        def tile(height: int, row: ir.Value | int) -> None:
            offset = row * s.columns if isinstance(row, int) else b.mul(row, I64(s.columns))
            b.call(_outer_tile(module, height, vectors), [at(b, c, offset), at(b, p, row), *rest])

        with flushing(b), b.if_else(b.icmp_signed("==", rows, I64(s.columns))) as (full, ragged):
            with full:
                row = 0
                for height in heights(s.columns, most):
                    tile(height, row)
                    row += height
            with ragged, loop(b, _up(b, rows, most)) as number:
                first = b.mul(number, I64(most))
                height = _least(b, b.sub(rows, first), most)
                switch(b, height, {h: partial(tile, h, first) for h in range(1, most + 1)})

    arguments = [I64, _ADDRESS, _ADDRESS, _ADDRESS, I64]
    return routine(module, f"grouped_sums_{vectors}", arguments, emit)


def _outer(module: ir.Module, vectors: int) -> ir.Function:
    s = shape(F32)

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        rows, rounds, w, p, q, terms, scale, kept = args
        is_read = b.icmp_unsigned("!=", rounds, ir.Constant(_ADDRESS, None))
        sums = b.alloca(F32, size=s.columns * s.columns)
        sums.align = CACHE_LINE
        with loop(b, rows) as i:  # needed at the end, and as far as memory
            for line in range(0, vectors * s.lanes, CACHE_LINE // 4):
                prefetch(b, at(b, at(b, w, b.mul(i, I64(s.columns))), line), near=True)
        b.call(_sums(module, vectors), [rows, sums, p, q, terms])
        step, share = splat(b, scale, s.lanes), splat(b, kept, s.lanes)

        def over(blend: Callable[[ir.Value, ir.Value], ir.Value]) -> None:
            with loop(b, rows) as i:
                row = b.mul(i, I64(s.columns))
                for column in range(0, vectors * s.lanes, s.lanes):
                    here = at(b, at(b, w, row), column)
                    total = load(b, at(b, at(b, sums, row), column), s.vector)
                    value = flushed(b, blend(here, total))
                    store(b, value, here)
                    with b.if_then(is_read):
                        store(b, nearest(b, value), at(b, at(b, rounds, row), column))

        with b.if_else(b.fcmp_ordered("==", kept, F32(0.0))) as (anew, added):
            with anew:
                over(lambda here, total: b.fmul(step, total))
            with added:
                over(lambda here, total: fma(b, step, total, b.fmul(share, load(b, here, s.vector))))

    arguments = [I64, _ADDRESS, _ADDRESS, _ADDRESS, _ADDRESS, I64, F32, F32]
    return routine(module, f"grouped_outer_{vectors}", arguments, emit)


def outer(module: ir.Module) -> ir.Function:
    """`microkernel.outer`, in groups; W is also rounded to `rounds`, unless that is null."""
    s = shape(F32)

    def emit(b: ir.IRBuilder, rounds: ir.Value, rows: ir.Value, vectors: ir.Value, *rest: ir.Value) -> None:
        cases = {
            v: partial(b.call, _outer(module, v), [rows, rounds, *rest]) for v in range(1, s.vectors + 1)
        }
        switch(b, vectors, cases)

    arguments = [_ADDRESS, I64, I64, _ADDRESS, _ADDRESS, _ADDRESS, I64, F32, F32]
    return routine(module, "grouped_outer", arguments, emit)
