"""The numbers that products of bfloat16 read, as kernels see them: written where float32s are.

The type of the pointer `rounded`, to the weights that products read, tells how a kernel computes products:

    None       of the numbers themselves; what stands here emits nothing
    float32    of rounded float32s, in the places of those (`kernels.groups`)
    int32      of tiles (`kernels.tiles`), whose words are pairs of rounded numbers

So one source serves all three.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from . import tiles
from .bfloat16 import rounded as rounding
from .jit import helper
from .panels import transposed
from .vector import (
    CACHE_LINE,
    F32,
    I32,
    I64,
    at,
    call,
    element_of,
    load,
    loop,
    prefetch,
    routine,
    shape,
    splat,
    store,
)

_i64 = types.int64


class Strided(NamedTuple):
    """Rows, panels or operands that lie `stride` numbers apart, from `first` on; 0 repeats one row."""

    first: Any
    stride: int


def has_tiles(rounded: Any) -> bool:
    """Tells whether kernels with a `rounded` of this type compute by tiles."""
    return bool(rounded == types.CPointer(types.int32))


def _no_code(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
    """The code of an intrinsic that does nothing."""
    return context.get_dummy_value()


def _nothing(*kinds: Any) -> Any:
    """The signature and the code of an intrinsic that does nothing."""
    return types.void(*kinds), _no_code


def _only_tiles(emit: Callable[[ir.IRBuilder], None]) -> Callable[[Any, Any], Any]:
    """The typing of an intrinsic that emits code where there are tiles."""

    def typed(typingctx: Any, rounded: Any) -> Any:
        def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
            emit(b)
            return context.get_dummy_value()

        return types.void(rounded), generate if has_tiles(rounded) else _no_code

    return typed


begin_tiles = intrinsic(_only_tiles(tiles.configure))
end_tiles = intrinsic(_only_tiles(tiles.release))


@intrinsic
def block_rows(typingctx: Any, rounded: Any) -> Any:
    """The rows, and columns, of a block of operands; 0 where operands have no blocks."""
    rows = tiles.SIDE if has_tiles(rounded) else 0

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        return I64(rows)

    return _i64(rounded), emit


@helper
def words(rounded: Any, numbers: int) -> int:
    """The places that so many numbers of a panel's operand take: in tiles two share one."""
    return numbers // 2 if block_rows(rounded) else numbers


@helper
def second(rounded: Any, panel: int) -> int:
    """Where the second operand begins that shares a panel of so many numbers; elsewhere it is the first."""
    return panel // 2 if block_rows(rounded) else 0


@intrinsic
def pointer_if_any(typingctx: Any, array: Any) -> Any:
    """The address of an array's numbers; None where there is no array."""

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        if array == types.none:
            return context.get_dummy_value()
        return cgutils.create_struct_proxy(array)(context, builder, arguments[0]).data

    return (types.none if array == types.none else types.CPointer(array.dtype))(array), emit


@intrinsic
def read_by_products(typingctx: Any, parameters: Any, rounded: Any) -> Any:
    """The weights that products read: the rounded ones, where there are any."""

    def emit(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        weights = arguments[rounded != types.none]
        return builder.bitcast(weights, arguments[0].type) if has_tiles(rounded) else weights

    return parameters(parameters, rounded), emit


# ---------------------------------------------------------------- rounding


def _round_rows(module: ir.Module) -> ir.Function:
    """target = source rounded to bfloat16, for rows x vectors of a panel."""
    s = shape(F32)

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        rows, vectors, target, source = args
        with loop(b, rows) as row:
            first = b.mul(row, I64(s.columns))
            for v in range(s.vectors):
                with b.if_then(b.icmp_signed("<", I64(v), vectors)):
                    place = b.add(first, I64(v * s.lanes))
                    value = rounding(b, load(b, at(b, source, place), s.vector))
                    store(b, value, at(b, target, place))

    address = F32.as_pointer()
    return routine(module, "round_rows", [I64, I64, address, address], emit)


@intrinsic
def round_rows(typingctx: Any, rounded: Any, rows: Any, vectors: Any, target: Any) -> Any:
    """Rounds float32s in their places, rows x vectors of a panel; there are no tiles of them yet."""
    if rounded == types.none:
        return _nothing(rounded, rows, vectors, target)

    def emit(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        _, rows, vectors, target = arguments
        b.call(_round_rows(b.module), [rows, vectors, target, target])
        return context.get_dummy_value()

    return types.void(rounded, _i64, _i64, target), emit


@intrinsic
def write_signals(typingctx: Any, rounded: Any, size: Any, columns: Any, target: Any, source: Any) -> Any:
    """target = source rounded, activations: rows x vectors of a panel, or a block of `columns`.

    `target` is `Strided`: where the first operand goes, and how far on the second.
    """
    if rounded == types.none:
        return _nothing(rounded, size, columns, target, source)

    def emit(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        _, size, columns, target, source = arguments
        rows, vectors = cgutils.unpack_tuple(b, size, 2)
        first, apart = cgutils.unpack_tuple(b, target, 2)
        if has_tiles(rounded):
            places = [first, at(b, first, apart), source, I64(0)]
            b.call(tiles.signals(b.module), [*places, rows, columns])
        else:
            b.call(_round_rows(b.module), [rows, vectors, first, source])
        return context.get_dummy_value()

    return types.void(rounded, size, _i64, target, source), emit


@intrinsic
def round_gathered(typingctx: Any, rounded: Any, rows: Any, columns: Any, place: Any) -> Any:
    """Makes operands of samples in their places: rows x columns of a panel, or a block.

    `place` is as in `write_signals`; rows of a block from the 16th on lie where the second operand goes.
    """
    if rounded == types.none:
        return _nothing(rounded, rows, columns, place)

    def emit(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        _, rows, columns, place = arguments
        first, apart = cgutils.unpack_tuple(b, place, 2)
        if has_tiles(rounded):
            gap = b.sub(apart, I64(tiles.PAIR))
            b.call(tiles.signals(b.module), [first, at(b, first, apart), first, gap, rows, columns])
        else:
            vectors = I64(shape(F32).vectors)
            b.call(_round_rows(b.module), [rows, vectors, first, first])
        return context.get_dummy_value()

    return types.void(rounded, _i64, _i64, place), emit


@intrinsic
def write_weights(typingctx: Any, there: Any, size: Any, source: Any) -> Any:
    """There = source rounded, weights after a step: rows x vectors of a panel, or a block.

    `there` is `Strided`: where the first operand goes, and how far on the second.
    """
    rounded = there.types[0]
    if rounded == types.none:
        return _nothing(there, size, source)

    def emit(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        there, size, source = arguments
        rows, vectors = cgutils.unpack_tuple(b, size, 2)
        first, apart = cgutils.unpack_tuple(b, there, 2)
        first = b.bitcast(first, source.type)
        if has_tiles(rounded):
            b.call(tiles.weights(b.module, True), [first, at(b, first, apart), source])
        else:
            b.call(_round_rows(b.module), [rows, vectors, first, source])
        return context.get_dummy_value()

    return types.void(there, size, source), emit


@intrinsic
def write_block(typingctx: Any, there: Any, source: Any) -> Any:
    """There = a block of weights at `source`, of any numbers, where operands have blocks."""
    if not has_tiles(there.types[0]):
        return _nothing(there, source)

    def emit(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        there, source = arguments
        first, apart = cgutils.unpack_tuple(b, there, 2)
        first = b.bitcast(first, source.type)
        b.call(tiles.weights(b.module, False), [first, at(b, first, apart), source])
        return context.get_dummy_value()

    return types.void(there, source), emit


@intrinsic
def write_deltas(typingctx: Any, rounded: Any, rows: Any, columns: Any, target: Any, source: Any) -> Any:
    """target[column, row] = source[row, column], deltas of a panel that are rounded, or a block of tiles.

    `target` is as in `write_signals`.
    """
    element = element_of(source)

    def emit(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        _, rows, columns, target, source = arguments
        first, apart = cgutils.unpack_tuple(b, target, 2)
        if has_tiles(rounded):
            b.call(tiles.deltas(b.module), [first, at(b, first, apart), source, rows, columns])
        else:
            b.call(transposed(b.module, element), [rows, columns, first, source])
        return context.get_dummy_value()

    return types.void(rounded, _i64, _i64, target, source), emit


@intrinsic
def rounded_at(typingctx: Any, rounded: Any, offset: Any) -> Any:
    """The address of the rounded weight there; None where none are rounded."""
    if rounded == types.none:
        return types.none(rounded, offset), _no_code

    def emit(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        return at(b, *arguments)

    return rounded(rounded, _i64), emit


@intrinsic
def if_wanted(typingctx: Any, rounded: Any, wanted: Any) -> Any:
    """The same address if it is wanted, else null; None stays None."""
    if rounded == types.none:
        return types.none(rounded, wanted), _no_code

    def emit(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        address, wanted = arguments
        return b.select(wanted, address, ir.Constant(address.type, None))

    return rounded(rounded, types.boolean), emit


@intrinsic
def prefetch_rounded(typingctx: Any, there: Any, rows: Any) -> Any:
    """Prefetches that many rows of a panel of rounded weights, or a block, which will be written."""
    rounded = there.types[0]
    if rounded == types.none:
        return _nothing(there, rows)
    s = shape(F32)
    halves = 2 if has_tiles(rounded) else 1
    kind = (I32 if has_tiles(rounded) else F32).as_pointer()

    def emit(b: ir.IRBuilder, first: ir.Value, apart: ir.Value, rows: ir.Value) -> None:
        with loop(b, rows) as i:
            for half in range(halves):
                here = at(b, first, b.mul(apart, I64(half)))
                for line in range(0, s.columns // halves, CACHE_LINE // 4):
                    place = b.add(b.mul(i, I64(s.columns // halves)), I64(line))
                    prefetch(b, at(b, here, place), near=True)

    arguments = [kind, I64, I64]
    return call(lambda module: routine(module, "prefetch_rounded", arguments, emit), (there, _i64))


@intrinsic
def round_all(typingctx: Any, target: Any, first: Any, last: Any, source: Any) -> Any:
    """target[first:last] = source[first:last] rounded to bfloat16, where operands have no blocks."""
    if target == types.none or has_tiles(target):
        return _nothing(target, first, last, source)
    s = shape(F32)

    def emit(b: ir.IRBuilder, target: ir.Value, first: ir.Value, last: ir.Value, source: ir.Value) -> None:
        target, source, count = at(b, target, first), at(b, source, first), b.sub(last, first)
        whole = b.sdiv(count, I64(s.lanes))
        with loop(b, whole) as i:
            place = b.mul(i, I64(s.lanes))
            store(b, rounding(b, load(b, at(b, source, place), s.vector)), at(b, target, place))
        done = b.mul(whole, I64(s.lanes))
        with loop(b, b.sub(count, done)) as i:
            place = b.add(done, i)
            value = rounding(b, splat(b, b.load(at(b, source, place)), 1))
            b.store(b.extract_element(value, I32(0)), at(b, target, place))

    address = F32.as_pointer()
    arguments = [address, I64, I64, address]
    return call(lambda module: routine(module, "round_all", arguments, emit), (target, _i64, _i64, source))
