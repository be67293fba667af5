"""Many networks in the lanes of a vector, as vector IR: the microkernel, and operations entry by entry.

A *lane matrix* has one vector an entry, whose lane l belongs to the network in lane l.  No operation crosses
lanes, nothing is transposed, and each lane has the chain of operations, in the order, that the lone network
has (see `microkernel`, `panels`, `dense` and `apply`): the same bits.

A tile of the microkernel has rows x columns accumulators, and a term loads rows + columns vectors for as many
FMAs as there are accumulators.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ...options import activations, optimizers
from .elementary import Elementary
from .panels import GOLDEN, MIX_32, MIX_64, converted, mixed, row_of
from .vector import (
    F32,
    F64,
    I32,
    I64,
    at,
    call,
    constant,
    element_of,
    flushed,
    fma,
    load,
    loop,
    routine,
    shape,
    splat,
    store,
    switch,
    transpose,
    width,
)

COLUMNS = 4  # of a tile: the columns of most layers are a multiple
_i = types.int64


class Matrix(NamedTuple):
    """A lane matrix: its first number, and the numbers from a row and from a column to the next.

    A stride of 0 repeats one row or column.
    """

    first: Any
    row: int
    column: int


def entry(b: ir.IRBuilder, matrix: Any, i: Any, j: Any) -> ir.Value:
    """The place of an entry; a `matrix` has the IR values of a `Matrix`."""
    first, row, column = matrix
    i, j = (I64(number) if isinstance(number, int) else number for number in (i, j))
    return at(b, first, b.add(b.mul(i, row), b.mul(j, column)))


@contextmanager
def entries(b: ir.IRBuilder, rows: ir.Value, columns: ir.Value, *matrices: Any) -> Iterator[list[ir.Value]]:
    """A loop over the entries of matrices of one size, row by row: their places."""
    with loop(b, rows) as i:
        starts = [at(b, first, b.mul(i, row)) for first, row, _ in matrices]
        with loop(b, columns) as j:
            strides = (column for _, _, column in matrices)
            yield [at(b, start, b.mul(j, column)) for start, column in zip(starts, strides, strict=True)]


def in_parts(b: ir.IRBuilder, columns: ir.Value, *matrices: Any) -> tuple[ir.Value, list[Any]]:
    """How often the columns of a tile go into these columns, and the matrices of each first of them."""
    parts = b.sdiv(b.add(columns, I64(COLUMNS - 1)), I64(COLUMNS))
    return parts, [(first, row, b.mul(column, I64(COLUMNS))) for first, row, column in matrices]


def kept_where(b: ir.IRBuilder, mask: ir.Value, value: ir.Value, old: ir.Value) -> ir.Value:
    """`value` in the lanes whose bits in `mask` are all ones, `old` where they are zeros.

    LLVM makes a masked store of a selection between a value and what lies in its place, which is slow on some
    CPUs.
    """
    new_bits, old_bits = (b.bitcast(x, mask.type) for x in (value, old))
    return b.bitcast(b.or_(b.and_(new_bits, mask), b.and_(old_bits, b.not_(mask))), value.type)


def load_mask(b: ir.IRBuilder, place: ir.Value, vector: ir.VectorType) -> ir.Value:
    """A mask of int64s as bits of an element each."""
    lanes = load(b, place, ir.VectorType(I64, vector.count), align=8)
    integers = ir.VectorType(I32, vector.count)
    return b.trunc(lanes, integers) if vector.element == F32 else lanes


def widened(b: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """A vector as float64."""
    return b.fpext(value, ir.VectorType(F64, value.type.count)) if value.type.element == F32 else value


def narrowed(b: ir.IRBuilder, value: ir.Value, vector: ir.VectorType) -> ir.Value:
    """A vector of float64 as one of the element type."""
    return b.fptrunc(value, vector) if vector.element == F32 else value


# ---------------------------------------------------------------- the microkernel


def _most_rows(columns: int) -> int:
    """Rows of a tile: as many accumulators as leave registers for the operands of a term."""
    return min(12, (24 if width()[1] >= 32 else 12) // columns)


def _tile(module: ir.Module, element: ir.Type, rows: int, columns: int, is_shared: bool) -> ir.Function:
    """C = start + P Q; where P `is_shared` by all lanes, its entries are scalars."""
    s = shape(element)
    address = element.as_pointer()

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        c, start, p, q, terms = args[:3], args[3:6], args[6:9], args[9:12], args[12]
        slots = {(i, j): cgutils.alloca_once(b, s.vector) for i in range(rows) for j in range(columns)}
        for (i, j), slot in slots.items():
            b.store(load(b, entry(b, start, i, j), s.vector), slot)

        def p_entry(i: int, k: ir.Value) -> ir.Value:
            place = entry(b, p, i, k)
            return splat(b, b.load(place), s.lanes) if is_shared else load(b, place, s.vector)

        def add(i: int, j: int, p_i: ir.Value, q_j: ir.Value) -> None:
            b.store(fma(b, p_i, q_j, b.load(slots[i, j])), slots[i, j])

        with loop(b, terms) as k:  # registers hold the shorter side, and an entry of the other in turn
            if rows <= columns:
                p_k = [p_entry(i, k) for i in range(rows)]
                for j in range(columns):
                    q_j = load(b, entry(b, q, k, j), s.vector)
                    for i in range(rows):
                        add(i, j, p_k[i], q_j)
            else:
                q_k = [load(b, entry(b, q, k, j), s.vector) for j in range(columns)]
                for i in range(rows):
                    p_i = p_entry(i, k)
                    for j in range(columns):
                        add(i, j, p_i, q_k[j])
        for (i, j), slot in slots.items():
            store(b, b.load(slot), entry(b, c, i, j))

    arguments = [*[address, I64, I64] * 4, I64]
    name = f"lane_tile_{element}_{rows}x{columns}_{is_shared}"
    return routine(module, name, arguments, emit, inline=True, tile=True)


def _column(module: ir.Module, element: ir.Type, columns: int, is_shared: bool) -> ir.Function:
    """All rows of so few columns, in tiles."""
    address = element.as_pointer()
    most = _most_rows(columns)

    def emit(b: ir.IRBuilder, rows: ir.Value, *args: ir.Value) -> None:
        c, start, p, rest = args[:3], args[3:6], args[6:9], args[9:]

        def tile(height: int, row: ir.Value) -> None:
            here = [(entry(b, matrix, row, 0), *matrix[1:]) for matrix in (c, start, p)]
            function = _tile(module, element, height, columns, is_shared)
            b.call(function, [value for matrix in here for value in matrix] + [*rest])

        whole = b.sdiv(rows, I64(most))
        with loop(b, whole) as t:
            tile(most, b.mul(t, I64(most)))
        done = b.mul(whole, I64(most))
        switch(b, b.sub(rows, done), {height: partial(tile, height, done) for height in range(1, most)})

    arguments = [I64, *[address, I64, I64] * 4, I64]
    return routine(module, f"lane_column_{element}_{columns}_{is_shared}", arguments, emit, tile=True)


def _product(module: ir.Module, element: ir.Type, is_shared: bool) -> ir.Function:
    address = element.as_pointer()

    def emit(b: ir.IRBuilder, rows: ir.Value, columns: ir.Value, *args: ir.Value) -> None:
        c, start, p, q, terms = args[:3], args[3:6], args[6:9], args[9:12], args[12]

        def some(count: int, j: ir.Value) -> None:
            c_j, start_j, q_j = ((entry(b, matrix, 0, j), *matrix[1:]) for matrix in (c, start, q))
            b.call(_column(module, element, count, is_shared), [rows, *c_j, *start_j, *p, *q_j, terms])

        whole = b.sdiv(columns, I64(COLUMNS))
        with loop(b, whole) as t:
            some(COLUMNS, b.mul(t, I64(COLUMNS)))
        done = b.mul(whole, I64(COLUMNS))
        switch(b, b.sub(columns, done), {count: partial(some, count, done) for count in range(1, COLUMNS)})

    arguments = [I64, I64, *[address, I64, I64] * 4, I64]
    return routine(module, f"lane_product_{element}_{is_shared}", arguments, emit)


@intrinsic
def multiply(typingctx: Any, rows: Any, columns: Any, c: Any, start: Any, p: Any, q: Any, terms: Any) -> Any:
    """C[i, j] = start[i, j] + sum over k < terms of P[i, k] Q[k, j], k ascending, one FMA a term."""
    return call(lambda module: _product(module, element_of(c.types[0]), False), (_i, _i, c, start, p, q, _i))


@intrinsic
def multiply_shared(
    typingctx: Any, rows: Any, columns: Any, c: Any, start: Any, p: Any, q: Any, terms: Any
) -> Any:
    """`multiply` where all lanes have the same P, a matrix of numbers instead of vectors."""
    return call(lambda module: _product(module, element_of(c.types[0]), True), (_i, _i, c, start, p, q, _i))


# ---------------------------------------------------------------- rows of data to lanes


@intrinsic
def interleave(typingctx: Any, rows: Any, columns: Any, target: Any, source: Any) -> Any:
    """target[i, j] = the numbers j of row i of all lanes, which are panels: `source` of (row, lane) strides.

    At most one panel of columns.
    """
    element = element_of(target.types[0])
    s = shape(element)
    address = element.as_pointer()

    def emit(b: ir.IRBuilder, rows: ir.Value, columns: ir.Value, *args: ir.Value) -> None:
        target, (source, source_row, source_lane) = args[:3], args[3:]
        with loop(b, rows) as i:
            here = at(b, source, b.mul(i, source_row))
            for first in range(0, s.columns, s.lanes):
                left = b.sub(columns, I64(first))
                with b.if_then(b.icmp_signed(">", left, I64(0))):
                    places = [
                        at(b, here, b.add(b.mul(source_lane, I64(lane)), I64(first)))
                        for lane in range(s.lanes)
                    ]
                    vectors = transpose(b, [load(b, place, s.vector) for place in places])
                    for j, vector in enumerate(vectors):
                        with b.if_then(b.icmp_signed(">", left, I64(j))):
                            store(b, vector, entry(b, target, i, first + j))

    arguments = [I64, I64, *[address, I64, I64] * 2]
    return call(
        lambda module: routine(module, f"lane_interleave_{element}", arguments, emit),
        (_i, _i, target, source),
    )


@intrinsic
def spread(typingctx: Any, rows: Any, columns: Any, target: Any, source: Any) -> Any:
    """target[i, j] = the number [i, j] of `source`, in every lane."""
    element = element_of(target.types[0])
    s = shape(element)
    address = element.as_pointer()

    def emit(b: ir.IRBuilder, rows: ir.Value, columns: ir.Value, *args: ir.Value) -> None:
        with entries(b, rows, columns, args[:3], args[3:]) as (there, here):
            store(b, splat(b, b.load(here), s.lanes), there)

    arguments = [I64, I64, *[address, I64, I64] * 2]
    return call(
        lambda module: routine(module, f"lane_spread_{element}", arguments, emit), (_i, _i, target, source)
    )


# ---------------------------------------------------------------- activations and deltas


@intrinsic
def activate(typingctx: Any, formula: Any, rows: Any, columns: Any, z: Any, a: Any, d: Any) -> Any:
    """a = activation(z) and d = da/dz, by the activation's row; a user's own function is none.

    As many entries at a time as a tile has columns, so that a core has independent operations at hand while
    it waits for others.  Columns beyond the last may be computed besides.
    """
    element = element_of(z.types[0])
    s = shape(element)
    several = ir.VectorType(element, COLUMNS * s.lanes)

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        code, parameter, _, rows, columns = args[:5]
        parameter = converted(b, parameter, element)
        parts, matrices = in_parts(b, columns, args[5:8], args[8:11], args[11:])
        v = Elementary(b, several)

        def apply(row: Callable[..., Any]) -> None:
            with entries(b, rows, parts, *matrices) as (z, a, d):
                activation, derivative = row_of(row, 2, parameter)(v, v.of(load(b, z, several)))
                store(b, v.flushed(activation).value, a)
                store(b, v.flushed(derivative).value, d)

        switch(
            b, code, {activations.CODES[name]: partial(apply, row) for name, row in activations.ROWS.items()}
        )

    address = element.as_pointer()
    arguments = [I64, F64, I64, I64, I64, *[address, I64, I64] * 3]
    return call(
        lambda module: routine(module, f"lane_activate_{element}", arguments, emit),
        (formula, _i, _i, z, a, d),
    )


class Masks(NamedTuple):
    """Dropout's masks of one layer and step: for each lane a key, the word of its stream, and the rate."""

    keys: Any
    words: Any
    rates: Any


@intrinsic
def drop(typingctx: Any, rows: Any, columns: Any, a: Any, d: Any, masks: Any, first: Any, units: Any) -> Any:
    """Dropout, as `panels.drop`: the number of unit j of row i is first + i units + j modulo 2^32."""
    element = element_of(a.types[0])
    s = shape(element)
    integers, long = ir.VectorType(I32, s.lanes), ir.VectorType(I64, s.lanes)

    def emit(b: ir.IRBuilder, rows: ir.Value, columns: ir.Value, *args: ir.Value) -> None:
        a, d, (keys, words, rates, first, units) = args[:3], args[3:6], args[6:]
        doubles = Elementary(b, ir.VectorType(F64, s.lanes))

        def all_lanes(number: int) -> ir.Constant:
            return ir.Constant(long, [number] * s.lanes)

        key, word = (load(b, place, long, align=8) for place in (keys, words))
        hashed = mixed(b, b.add(key, b.mul(b.add(word, all_lanes(1)), all_lanes(GOLDEN))), MIX_64)
        low, high = (b.trunc(half, integers) for half in (hashed, b.lshr(hashed, all_lanes(32))))
        rate = doubles.of(load(b, rates, doubles.vector))
        threshold = b.fptoui((rate * 2.0**32).value, integers)
        factor = narrowed(b, (1.0 / (1.0 - rate)).value, s.vector)
        with loop(b, rows) as i, loop(b, columns) as j:
            number = b.trunc(b.add(b.add(first, b.mul(i, units)), j), I32)
            x = mixed(b, b.xor(splat(b, number, s.lanes), low), MIX_32)
            x = mixed(b, b.add(x, high), MIX_32)
            kept = b.icmp_unsigned(">=", x, threshold)
            for matrix in (a, d):
                here = entry(b, matrix, i, j)
                value = b.fmul(load(b, here, s.vector), factor)
                store(b, b.select(kept, value, constant(s.vector, 0.0)), here)

    address, integer = element.as_pointer(), I64.as_pointer()
    arguments = [I64, I64, *[address, I64, I64] * 2, integer, integer, F64.as_pointer(), I64, I64]
    return call(
        lambda module: routine(module, f"lane_drop_{element}", arguments, emit),
        (_i, _i, a, d, masks, _i, _i),
    )


@intrinsic
def multiply_derivative(typingctx: Any, rows: Any, columns: Any, d: Any, g: Any) -> Any:
    """d *= g, but 0 where d is 0: a unit that is off learns nothing, also where g is infinite.

    As many entries at a time as a tile has columns, as `activate`.
    """
    element = element_of(d.types[0])
    s = shape(element)

    def emit(b: ir.IRBuilder, rows: ir.Value, columns: ir.Value, *args: ir.Value) -> None:
        parts, matrices = in_parts(b, columns, args[:3], args[3:])
        several = ir.VectorType(element, COLUMNS * s.lanes)
        zero = constant(several, 0.0)
        with entries(b, rows, parts, *matrices) as (here, there):
            derivative = load(b, here, several)
            on = b.fcmp_unordered("!=", derivative, zero)
            product = flushed(b, b.fmul(load(b, there, several), derivative))
            store(b, b.select(on, product, zero), here)

    arguments = [I64, I64, *[element.as_pointer(), I64, I64] * 2]
    return call(lambda module: routine(module, f"lane_derivative_{element}", arguments, emit), (_i, _i, d, g))


# ---------------------------------------------------------------- steps


class Weights(NamedTuple):
    """Weights or biases of a layer, and their state, in rows of one stride."""

    first: Any
    state: Any
    state_stride: int  # from one state of a weight to the next
    row: int


@intrinsic
def fold(
    typingctx: Any, rows: Any, columns: Any, out: Any, chain: Any, start: Any, factors: Any, mask: Any
) -> Any:
    """out = scale chain + kept start, in the lanes of `mask`, without start where kept is 0.

    `factors` are vectors of scale and kept.  Subnormal numbers become 0, here and in all that follows.
    """
    element = element_of(out.types[0])
    s = shape(element)
    address = element.as_pointer()

    def emit(b: ir.IRBuilder, rows: ir.Value, columns: ir.Value, *args: ir.Value) -> None:
        matrices, (factors, mask) = (args[:3], args[3:6], args[6:9]), args[9:]
        scale, kept = (load(b, at(b, factors, i * s.lanes), s.vector) for i in range(2))
        is_new = b.fcmp_ordered("==", kept, constant(s.vector, 0.0))
        active = load_mask(b, mask, s.vector)
        with entries(b, rows, columns, *matrices) as (there, here, before):
            sum_of_chain = load(b, here, s.vector)
            value = fma(b, scale, sum_of_chain, b.fmul(kept, load(b, before, s.vector)))
            value = flushed(b, b.select(is_new, b.fmul(scale, sum_of_chain), value))
            store(b, kept_where(b, active, value, load(b, there, s.vector)), there)

    arguments = [I64, I64, *[address, I64, I64] * 3, address, I64.as_pointer()]
    return call(
        lambda module: routine(module, f"lane_fold_{element}", arguments, emit),
        (_i, _i, out, chain, start, factors, mask),
    )


@intrinsic
def advance(
    typingctx: Any,
    code: Any,
    rows: Any,
    columns: Any,
    weights: Any,
    chain: Any,
    start: Any,
    h: Any,
    mask: Any,
) -> Any:
    """Applies the optimizer's row, in the lanes of `mask`, given the gradients chain + start.

    h holds vectors of the step's numbers, as the row names them.
    """
    element = element_of(h)
    s = shape(element)

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        code, rows, columns, w, state, stride, row = args[:7]
        chain, start, (h, mask) = args[7:10], args[10:13], args[13:]
        v = Elementary(b, s.vector)

        def step(name: str) -> None:
            formula, own = optimizers.ROWS[name]
            names = enumerate((*optimizers.COMMON, *own))
            numbers = SimpleNamespace(
                **{number: v.of(load(b, at(b, h, i * s.lanes), s.vector)) for i, number in names}
            )
            active = load_mask(b, mask, s.vector)
            states = [at(b, state, b.mul(stride, I64(i))) for i in range(len(optimizers.state_names(name)))]
            updated = [(place, row, I64(s.lanes)) for place in (w, *states)]

            def over(mean_gradient: Callable[[Any, Any], Any]) -> None:
                with entries(b, rows, columns, chain, start, *updated) as places:
                    terms, earlier, weight, *before = (v.of(load(b, place, s.vector)) for place in places)
                    gradient = mean_gradient(weight, v.flushed(terms + earlier))
                    after = formula(v, weight, gradient, *before, numbers)
                    for place, value, old in zip(places[2:], after, (weight, *before), strict=True):
                        value = kept_where(b, active, v.flushed(value).value, old.value)
                        store(b, value, place)

            zero = constant(s.vector, 0.0)
            penalties = (b.fcmp_ordered("==", penalty.value, zero) for penalty in (numbers.l2, numbers.l1))
            is_plain = b.and_(*penalties)
            all_plain = b.icmp_signed("==", b.bitcast(is_plain, ir.IntType(s.lanes)), ir.IntType(s.lanes)(-1))
            with b.if_else(all_plain) as (plain, penalised):
                with plain:
                    over(lambda weight, gradient: gradient * numbers.scale)
                with penalised:
                    over(
                        lambda weight, gradient: v.where(
                            is_plain,
                            gradient * numbers.scale,
                            optimizers.penalised(v, weight, gradient, numbers),
                        )
                    )

        switch(b, code, {optimizers.CODES[name]: partial(step, name) for name in optimizers.ROWS})

    address = element.as_pointer()
    arguments = [
        *(I64, I64, I64, address, address, I64, I64),
        *[address, I64, I64] * 2,
        *(address, I64.as_pointer()),
    ]
    return call(
        lambda module: routine(module, f"lane_advance_{element}", arguments, emit),
        (_i, _i, _i, weights, chain, start, h, mask),
    )


@intrinsic
def add_squares(typingctx: Any, rows: Any, columns: Any, g: Any, w: Any, factors: Any, out: Any) -> Any:
    """out[j] += the sum of the squares of scale g + l2 w + l1 sign(w), in float64, rows ascending.

    `factors` are float64 vectors of scale, l2 and l1, `out` is a row of them.
    """
    element = element_of(g.types[0])
    s = shape(element)

    def emit(b: ir.IRBuilder, rows: ir.Value, columns: ir.Value, *args: ir.Value) -> None:
        g, w, (factors, out) = args[:3], args[3:6], args[6:]
        v = Elementary(b, ir.VectorType(F64, s.lanes))
        scale, l2, l1 = (v.of(load(b, at(b, factors, i * s.lanes), v.vector)) for i in range(3))
        doubles = out, I64(0), I64(s.lanes)
        with entries(b, rows, columns, g, w, doubles) as (g_place, w_place, total):
            gradient, weight = (v.of(widened(b, load(b, x, s.vector))) for x in (g_place, w_place))
            gradient = scale * gradient + l2 * weight + l1 * v.sign(weight)
            store(b, (v.of(load(b, total, v.vector)) + gradient * gradient).value, total)

    address, doubles = element.as_pointer(), F64.as_pointer()
    arguments = [I64, I64, *[address, I64, I64] * 2, doubles, doubles]
    return call(
        lambda module: routine(module, f"lane_squares_{element}", arguments, emit),
        (_i, _i, g, w, factors, out),
    )
