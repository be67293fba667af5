"""Operations on a panel besides products, as vector IR: activation, dropout, transposition."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ...options import activations
from .elementary import Elementary
from .vector import (
    F32,
    F64,
    I32,
    I64,
    VOID,
    Shape,
    at,
    call,
    constant,
    element_of,
    flushed,
    lanes_below,
    load,
    loop,
    routine,
    shape,
    splat,
    store,
    switch,
    transpose,
)

GOLDEN = 0x9E3779B97F4A7C15  # SplitMix64: word i of a key is its mix of key + (i + 1) GOLDEN


class Formula(NamedTuple):
    """An activation or a cost: its row's code, its parameter, and the address of a user's function."""

    code: int
    parameter: float
    address: int


class Mask(NamedTuple):
    """Dropout's mask for one layer and step: a word of a stream's key, negative where nothing is dropped."""

    key: int
    word: int


def converted(b: ir.IRBuilder, scalar: ir.Value, element: ir.Type) -> ir.Value:
    """A float64 as the element type."""
    return b.fptrunc(scalar, F32) if element == F32 else scalar


def row_of(row: Callable[..., Any], arguments: int, parameter: ir.Value) -> Callable[..., Any]:
    """The row with its own parameter filled in, where it has one beyond `arguments`."""
    if row.__code__.co_argcount == arguments:
        return row
    return lambda v, *operands: row(v, *operands, v.of(parameter))


def call_address(b: ir.IRBuilder, address: ir.Value, result: ir.Type, arguments: list[ir.Value]) -> ir.Value:
    """Calls the compiled function of a user that lies at an address."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments]).as_pointer()
    return b.call(b.inttoptr(address, kind), arguments)


@intrinsic
def activate(typingctx: Any, formula: Any, rows: Any, vectors: Any, z: Any, d: Any) -> Any:
    """z becomes a = activation(z) and d its derivative da/dz, for rows x vectors of a panel."""
    element = element_of(z)
    s = shape(element)

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        code, parameter, address, rows, vectors, z, d = args
        parameter = converted(b, parameter, element)
        v = Elementary(b, s.vector)

        def apply(row: Callable[..., Any]) -> None:
            with loop(b, rows) as i, loop(b, vectors) as vector:
                offset = b.add(b.mul(i, I64(s.columns)), b.mul(vector, I64(s.lanes)))
                here = at(b, z, offset)
                a, derivative = row_of(row, 2, parameter)(v, v.of(load(b, here, s.vector)))
                # Of a selection that is stored where one side was loaded, LLVM makes a masked store, which is
                # slow on some CPUs, unless another store comes between.
                store(b, v.flushed(derivative).value, at(b, d, offset))
                store(b, v.flushed(a).value, here)

        def custom() -> None:
            with loop(b, rows) as i:
                offset = b.mul(i, I64(s.columns))
                count = b.mul(vectors, I64(s.lanes))
                call_address(b, address, VOID, [count, at(b, z, offset), at(b, d, offset)])

        cases: dict[int, Callable[[], None]] = {
            activations.CODES[name]: partial(apply, row) for name, row in activations.ROWS.items()
        }
        switch(b, code, cases | {activations.CODES["custom"]: custom})

    i = types.int64
    pointer = element.as_pointer()
    arguments = [I64, F64, I64, I64, I64, pointer, pointer]
    return call(
        lambda module: routine(module, f"activate_{element}", arguments, emit),
        (formula, i, i, z, d),
    )


def mixed(b: ir.IRBuilder, x: ir.Value, steps: tuple[tuple[int, int], ...]) -> ir.Value:
    """x ^= x >> shift, then x *= factor, step by step (factor 0: no product)."""

    def number(value: int) -> ir.Constant:
        return (
            ir.Constant(x.type, [value] * x.type.count)
            if isinstance(x.type, ir.VectorType)
            else x.type(value)
        )

    for shift, factor in steps:
        x = b.xor(x, b.lshr(x, number(shift)))
        x = b.mul(x, number(factor)) if factor else x
    return x


MIX_64 = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 0))
MIX_32 = ((16, 0x21F0AAAD), (15, 0xD35A2D97), (15, 0))


@intrinsic
def drop(
    typingctx: Any, rows: Any, vectors: Any, a: Any, d: Any, mask: Any, first: Any, width: Any, rate: Any
) -> Any:
    """Dropout: a and d become 0 with probability `rate`, else are divided by 1 - rate.

    Whether unit j of row i is kept depends on a hash of its number, first + i width + j modulo 2^32, keyed by
    that `word` of the stream `key`: the same mask for any team and any vector's width.
    """
    element = element_of(a)
    s = shape(element)

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        rows, vectors, a, d, key, word, first, width, rate = args
        integers = ir.VectorType(I32, s.lanes)
        hashed = mixed(b, b.add(key, b.mul(b.add(word, I64(1)), I64(GOLDEN))), MIX_64)
        low, high = (splat(b, b.trunc(half, I32), s.lanes) for half in (hashed, b.lshr(hashed, I64(32))))
        threshold = splat(b, b.fptoui(b.fmul(rate, F64(2.0**32)), I32), s.lanes)
        scale = splat(b, converted(b, b.fdiv(F64(1.0), b.fsub(F64(1.0), rate)), element), s.lanes)
        lanes = ir.Constant(integers, list(range(s.lanes)))
        with loop(b, rows) as i, loop(b, vectors) as vector:
            column = b.mul(vector, I64(s.lanes))
            number = b.trunc(b.add(b.add(first, b.mul(i, width)), column), I32)
            x = mixed(b, b.xor(b.add(splat(b, number, s.lanes), lanes), low), MIX_32)
            x = mixed(b, b.add(x, high), MIX_32)
            kept = b.icmp_unsigned(">=", x, threshold)
            for numbers in (a, d):
                here = at(b, numbers, b.add(b.mul(i, I64(s.columns)), column))
                value = b.fmul(load(b, here, s.vector), scale)
                store(b, b.select(kept, value, constant(s.vector, 0.0)), here)

    i = types.int64
    pointer = element.as_pointer()
    arguments = [I64, I64, pointer, pointer, I64, I64, I64, I64, F64]
    return call(
        lambda module: routine(module, f"drop_{element}", arguments, emit),
        (i, i, a, d, mask, i, i, types.float64),
    )


def _transpose_blocks(
    b: ir.IRBuilder,
    s: Shape,
    blocks: tuple[ir.Value, ir.Value],
    target: ir.Value,
    source: ir.Value,
    finish: Callable[[ir.Value, list[ir.Value]], list[ir.Value]] = lambda offset, rows: rows,
) -> None:
    """Writes blocks[0] x blocks[1] square blocks of `source`, transposed, to `target` (both panels)."""
    columns = I64(s.columns)
    with loop(b, blocks[0]) as i, loop(b, blocks[1]) as j:
        i, j = b.mul(i, I64(s.lanes)), b.mul(j, I64(s.lanes))
        origin = at(b, source, b.add(b.mul(i, columns), j))
        rows = [load(b, at(b, origin, r * s.columns), s.vector) for r in range(s.lanes)]
        offset = b.add(b.mul(j, columns), i)
        for r, row in enumerate(finish(offset, transpose(b, rows))):
            store(b, row, at(b, at(b, target, offset), r * s.columns))


def _blocks(b: ir.IRBuilder, s: Shape, length: ir.Value) -> ir.Value:
    return b.sdiv(b.add(length, I64(s.lanes - 1)), I64(s.lanes))


@intrinsic
def multiply_transposed(typingctx: Any, inputs: Any, samples: Any, d: Any, g: Any) -> Any:
    """d[sample, input] *= g[input, sample], one panel; zeros beyond `inputs`.

    A derivative of 0 gives 0 also where g is infinite: a unit that is off learns nothing.
    """
    element = element_of(d)
    s = shape(element)

    def emit(b: ir.IRBuilder, inputs: ir.Value, samples: ir.Value, d: ir.Value, g: ir.Value) -> None:
        def finish(offset: ir.Value, rows: list[ir.Value]) -> list[ir.Value]:
            zero = constant(s.vector, 0.0)
            real = lanes_below(b, s.vector, b.sub(inputs, b.srem(offset, I64(s.columns))))
            for r, row in enumerate(rows):
                derivative = load(b, at(b, at(b, d, offset), r * s.columns), s.vector)
                on = b.and_(real, b.fcmp_unordered("!=", derivative, zero))
                rows[r] = b.select(on, flushed(b, b.fmul(row, derivative)), zero)
            return rows

        _transpose_blocks(b, s, (_blocks(b, s, inputs), _blocks(b, s, samples)), d, g, finish)

    i = types.int64
    arguments = [I64, I64, element.as_pointer(), element.as_pointer()]
    return call(
        lambda module: routine(module, f"multiply_transposed_{element}", arguments, emit), (i, i, d, g)
    )


def transposed(module: ir.Module, element: ir.Type) -> ir.Function:
    """target[column, row] = source[row, column] for one panel, in whole blocks of a vector's lanes."""
    s = shape(element)

    def emit(b: ir.IRBuilder, rows: ir.Value, columns: ir.Value, target: ir.Value, source: ir.Value) -> None:
        _transpose_blocks(b, s, (_blocks(b, s, rows), _blocks(b, s, columns)), target, source)

    arguments = [I64, I64, element.as_pointer(), element.as_pointer()]
    return routine(module, f"transposed_{element}", arguments, emit)
