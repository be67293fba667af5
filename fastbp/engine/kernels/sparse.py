"""The first layer over sparse rows: only numbers that are stored are read, and the bits are the dense ones.

A product skips the terms of an x that is 0, for fma(0, w, z) is z as long as w is finite and z is not -0.
A chain that passes through -0, which takes a bias of -0 or an underflow, differs from the dense one by the
sign of a 0 at most, and only until a term that is not -0.  So where it ends at -0, the tile is computed anew
by the dense microkernel, and nowhere else: a user's function may see that sign.  An update makes 0 of -0.

An update skips the weights of columns in which no sample of the batch has a number: their gradient is 0, and
w + s 0 is w where the step s is not above 0.  Optimizers with penalties or state step all weights.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .dense import SAMPLES_AT_ONCE, Deltas, Target, TileUpdate, Workspace, forward_by, update_by
from .gather import SCALED
from .jit import helper, inlined
from .microkernel import dot
from .operands import Strided
from .shares import ceil_div
from .vector import (
    I32,
    I64,
    VOID,
    at,
    call,
    clear,
    constants,
    element_of,
    flushed,
    fma,
    load,
    loop,
    normal_or_zero,
    pointer,
    routine,
    shape,
    shift,
    size_of,
    splat,
    store,
    switch,
)

BITS = 6  # of an entry, for its column within a panel


class Stored(NamedTuple):
    """The user's sparse rows (`data.sparse.SparseRows`), and one member's room for those of a block.

    Values lie in the one of three arrays that their kind (gather.DTYPE_CODES) tells.
    """

    starts: np.ndarray
    columns: np.ndarray
    bytes: np.ndarray
    singles: np.ndarray
    doubles: np.ndarray
    count: int  # of columns
    kind: int
    divisor: float  # of bytes
    mean: np.ndarray  # of a scaled kind, with the factor, one number a column; else one number
    factor: np.ndarray
    block: int  # samples
    most: int  # numbers that a block stores
    integers: np.ndarray  # the room
    numbers: np.ndarray


def room_of(block: int, most: int, inputs: int, columns: int) -> tuple[int, int]:
    """How many integers and numbers `Stored` needs, where a panel has so many columns."""
    panels = -(-inputs // columns)
    return block + 1 + panels + 2 * most, 1 + 2 * most + (panels + columns) * columns


class Lists(NamedTuple):
    """Pointers to the stored numbers of a block: row by row, and again panel by panel of the inputs.

    Sample i has values[starts[i]:starts[i + 1]] in `columns`.  A panel has those up to ends[panel], in
    `entries`, which are sample << BITS | column of the panel, samples ascending, and `parts`.
    """

    starts: Any
    columns: Any
    values: Any
    ends: Any
    entries: Any
    parts: Any
    row: Any  # room for a dense row
    sums: Any  # and for a square
    divisor: Any


class Entries(NamedTuple):
    """Pointers to the entries and values of a panel, and how many of them there are."""

    entries: Any
    values: Any
    count: int


class Block(NamedTuple):
    """A block of samples: dense panels, where the plan is not `listed`, or else lists."""

    panels: Any
    lists: Lists


@helper
def lists_of(rows: Stored) -> Lists:
    integers, divisor = pointer(rows.integers, 0), pointer(rows.numbers, 0)
    nr, _ = constants(divisor)
    most, panels = rows.most, ceil_div(rows.count, nr)
    divisor[0] = rows.divisor
    columns = shift(integers, rows.block + 1)
    ends = shift(columns, most)
    values = shift(divisor, 1)
    parts = shift(values, most)
    row = shift(parts, most)
    sums = shift(row, panels * nr)
    return Lists(integers, columns, values, ends, shift(ends, panels), parts, row, sums, divisor)


@inlined
def _read(rows: Stored, place: int, target: Any, i: int, divisor: Any) -> None:
    """target[i] = a stored number, or 0 where it is -0 or subnormal, as `gather` has it."""
    kind = rows.kind % SCALED
    if kind == 0:
        target[i] = np.float64(rows.bytes[place])
        target[i] = target[i] / divisor[0]
    elif kind == 1:
        target[i] = rows.singles[place]
    else:
        target[i] = rows.doubles[place]
    target[i] = normal_or_zero(target[i])


@helper
def gather_panels(rows: Stored, positions: Any, count: int, target: Any, work: Workspace) -> None:
    """`count` rows, at those positions, to the rows of dense panels that begin at `target`."""
    nr, _ = constants(work.scratch)
    divisor = pointer(rows.numbers, 0)
    divisor[0] = rows.divisor
    scaled = rows.kind >= SCALED
    for first in range(0, rows.count, nr):
        panel = shift(target, first * work.rows)
        clear(count * nr, panel)
        if scaled:
            for i in range(count):
                for k in range(min(nr, rows.count - first)):
                    panel[i * nr + k] = (0.0 - rows.mean[first + k]) * rows.factor[first + k]
                    panel[i * nr + k] = normal_or_zero(panel[i * nr + k])
    for i in range(count):
        for place in range(rows.starts[positions[i]], rows.starts[positions[i] + 1]):
            column = np.int64(rows.columns[place])
            k = (column // nr * work.rows + i) * nr + column % nr
            _read(rows, place, target, k, divisor)
            if scaled:
                number = np.float64(target[k])
                if rows.kind % SCALED == 1:  # it may be subnormal until it is scaled
                    number = np.float64(rows.singles[place])
                elif rows.kind % SCALED == 2:
                    number = rows.doubles[place]
                target[k] = (number - rows.mean[column]) * rows.factor[column]
                target[k] = normal_or_zero(target[k])


@helper
def gather_lists(rows: Stored, positions: Any, count: int, lists: Lists) -> None:
    """`count` rows, at those positions, as lists row by row."""
    stored = 0
    for i in range(count):
        lists.starts[i] = stored
        for place in range(rows.starts[positions[i]], rows.starts[positions[i] + 1]):
            lists.columns[stored] = rows.columns[place]
            _read(rows, place, lists.values, stored, lists.divisor)
            stored += 1
    lists.starts[count] = stored


@helper
def list_by_panels(inputs: int, count: int, lists: Lists) -> None:
    """Lists the numbers of a block of `count` rows panel by panel as well."""
    nr, _ = constants(lists.values)
    panels = ceil_div(inputs, nr)
    for panel in range(panels):
        lists.ends[panel] = 0
    for k in range(lists.starts[count]):
        lists.ends[lists.columns[k] // nr] += 1
    begin = 0
    for panel in range(panels):  # to where each begins, which moves on to its end
        entries = lists.ends[panel]
        lists.ends[panel] = begin
        begin += entries
    for i in range(count):
        for k in range(lists.starts[i], lists.starts[i + 1]):
            column = lists.columns[k]
            place = lists.ends[column // nr]
            lists.ends[column // nr] = place + 1
            lists.entries[place] = i << BITS | column % nr
            lists.parts[place] = lists.values[k]


# ---------------------------------------------------------------- the two products


def _have_negative_zero(b: ir.IRBuilder, vectors: list[ir.Value]) -> ir.Value:
    """Tells whether any of some vectors has a -0."""
    lanes, width = vectors[0].type.count, 8 * size_of(vectors[0].type.element)
    integers = ir.VectorType(ir.IntType(width), lanes)
    negative_zero = ir.Constant(integers, [1 << (width - 1)] * lanes)
    found = ir.Constant(ir.VectorType(ir.IntType(1), lanes), None)
    for vector in vectors:
        found = b.or_(found, b.icmp_signed("==", b.bitcast(vector, integers), negative_zero))
    return b.icmp_unsigned("!=", b.bitcast(found, ir.IntType(lanes)), ir.IntType(lanes)(0))


def _by_vectors(
    module: ir.Module,
    name: str,
    element: ir.Type,
    arguments: list[ir.Type],
    emit: Any,
    result: ir.Type = VOID,
) -> Any:
    """A routine that takes the number of vectors first, and has code for each."""

    def all_(b: ir.IRBuilder, vectors: ir.Value, *operands: ir.Value) -> ir.Value | None:
        found = None if result == VOID else cgutils.alloca_once(b, result)

        def case(v: int) -> None:
            function = routine(
                module, f"{name}_{element}_{v}", arguments, partial(emit, vectors=v), result=result, tile=True
            )
            value = b.call(function, operands)
            if found is not None:
                b.store(value, found)

        switch(b, vectors, {v: partial(case, v) for v in range(1, shape(element).vectors + 1)})
        return None if found is None else b.load(found)

    return routine(module, f"{name}_{element}", [I64, *arguments], all_, result=result)


@intrinsic
def dot_stored(
    typingctx: Any, vectors: Any, c: Any, start: Any, columns: Any, values: Any, count: Any, q: Any
) -> Any:
    """C = start + sum over k < count of values[k] Q[columns[k]]; returns whether a chain ends at -0."""
    element = element_of(c)
    s = shape(element)

    def emit(b: ir.IRBuilder, *args: ir.Value, vectors: int) -> ir.Value:
        c, start, columns, values, count, q = args
        slots = [
            cgutils.alloca_once_value(b, load(b, at(b, start, v * s.lanes), s.vector)) for v in range(vectors)
        ]
        with loop(b, count) as k:
            column = b.sext(b.load(at(b, columns, k)), I64)
            row = at(b, q, b.mul(column, I64(s.columns)))
            x = splat(b, b.load(at(b, values, k)), s.lanes)
            for v, slot in enumerate(slots):
                b.store(fma(b, x, load(b, at(b, row, v * s.lanes), s.vector), b.load(slot)), slot)
        totals = [b.load(slot) for slot in slots]
        for v, total in enumerate(totals):
            store(b, total, at(b, c, v * s.lanes))
        return b.zext(_have_negative_zero(b, totals), I64)

    address = element.as_pointer()
    arguments = [address, address, I32.as_pointer(), address, I64, address]
    i = types.int64
    return call(
        lambda module: _by_vectors(module, "dot_stored", element, arguments, emit, I64),
        (i, c, start, columns, values, i, q),
        i,
    )


@intrinsic
def outer_stored(
    typingctx: Any,
    vectors: Any,
    rows: Any,
    w: Any,
    sums: Any,
    entries: Any,
    q: Any,
    scale: Any,
    kept: Any,
) -> Any:
    """W[i] = kept W[i] + scale sums[i] for the rows that have entries, or all where `kept` is not 1.

    `sums`, a square of zeros, becomes the sums over entries of value Q[sample].  Subnormal numbers become 0.
    """
    element = element_of(w)
    s = shape(element)

    def emit(b: ir.IRBuilder, *args: ir.Value, vectors: int) -> None:
        rows, w, sums, entries, values, count, q, scale, kept = args
        every = b.select(b.fcmp_unordered("!=", kept, element(1.0)), I64(-1), I64(0))
        touched = cgutils.alloca_once_value(b, every)
        with loop(b, count) as k:
            entry = b.zext(b.load(at(b, entries, k)), I64)
            column = b.and_(entry, I64((1 << BITS) - 1))
            row = at(b, q, b.mul(b.lshr(entry, I64(BITS)), I64(s.columns)))
            x = splat(b, b.load(at(b, values, k)), s.lanes)
            b.store(b.or_(b.load(touched), b.shl(I64(1), column)), touched)
            here = at(b, sums, b.mul(column, I64(s.columns)))
            for v in range(vectors):
                place, factor = (at(b, base, v * s.lanes) for base in (here, row))
                store(b, fma(b, x, load(b, factor, s.vector), load(b, place, s.vector)), place)
        with loop(b, rows) as i, b.if_then(b.trunc(b.lshr(b.load(touched), i), ir.IntType(1))):
            offset = b.mul(i, I64(s.columns))
            for v in range(vectors):
                target, place = (at(b, at(b, base, offset), v * s.lanes) for base in (w, sums))
                before = b.fmul(splat(b, kept, s.lanes), load(b, target, s.vector))
                value = fma(b, splat(b, scale, s.lanes), load(b, place, s.vector), before)
                store(b, flushed(b, value), target)

    address = element.as_pointer()
    arguments = [I64, address, address, I32.as_pointer(), address, I64, address, element, element]
    i = types.int64
    return call(
        lambda module: _by_vectors(module, "outer_stored", element, arguments, emit),
        (i, i, w, sums, entries, q, w.dtype, w.dtype),
    )


@inlined
def _product(
    layer: Any, work: Workspace, x: Block, row: int, size: tuple[int, int], a: Any, b: Any, w: Any
) -> None:
    """a = x w + b, sample by sample."""
    rows, vectors = size
    nr, _ = constants(work.scratch)
    lists = x.lists
    for i in range(rows):
        begin, end = lists.starts[row + i], lists.starts[row + i + 1]
        columns, values = shift(lists.columns, begin), shift(lists.values, begin)
        if dot_stored(vectors, shift(a, i * nr), b, columns, values, end - begin, w):
            clear(ceil_div(layer.inputs, nr) * nr, lists.row)
            for k in range(end - begin):
                lists.row[columns[k]] = values[k]
            x_row = Strided(lists.row, nr)
            dot(work.rounded, 1, vectors, shift(a, i * nr), Strided(b, 0), x_row, w, layer.inputs)


@inlined
def _gradient(
    work: Workspace,
    x: Block,
    panel: int,
    m: int,
    size: tuple[int, int],
    g: Target,
    d: Deltas,
    rule: TileUpdate,
) -> None:
    """g = kept g + scale x^T d, for a panel of inputs, by the samples that have numbers in it."""
    rows, vectors = size
    nr, _ = constants(work.scratch)
    lists, sums = x.lists, x.lists.sums
    kept = rule.kept
    if kept == 0.0:
        clear(rows * nr, g.first)
        kept = 1.0
    begin = np.int64(lists.ends[panel - 1]) if panel > 0 else 0
    for sample in range(0, m, SAMPLES_AT_ONCE):
        terms = min(SAMPLES_AT_ONCE, m - sample)
        end = begin
        while end < lists.ends[panel] and lists.entries[end] < (sample + terms) << BITS:
            end += 1
        if end > begin or kept != 1.0:
            entries, parts = shift(lists.entries, begin), shift(lists.parts, begin)
            stored = Entries(entries, parts, end - begin)
            clear(rows * nr, sums)
            outer_stored(vectors, rows, g.first, sums, stored, d.rows, rule.scale, kept)
        begin, kept = end, 1.0


forward_listed = forward_by(_product)
update_listed = update_by(_gradient)
