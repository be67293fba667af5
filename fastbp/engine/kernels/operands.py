"""The numbers that products of bfloat16 read, as kernels see them: written where float32s are.

The type of the pointer `rounded`, to the weights that products read, tells how a kernel computes products:

    None       of the numbers themselves; what stands here emits nothing
    float32    of rounded float32s, in the places of those (`kernels.groups`)
    int32      of tiles (`kernels.tiles`), whose words are pairs of rounded numbers

So one source serves all three.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from . import tiles
from .bfloat16 import rounded as rounding
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
    """(target + offset) = source rounded to bfloat16, for rows x vectors of a panel."""
    s = shape(F32)

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        rows, vectors, target, offset, source = args
        target = at(b, target, offset)
        with loop(b, rows) as row:
            first = b.mul(row, I64(s.columns))
            for v in range(s.vectors):
                with b.if_then(b.icmp_signed("<", I64(v), vectors)):
                    place = b.add(first, I64(v * s.lanes))
                    value = rounding(b, load(b, at(b, source, place), s.vector))
                    store(b, value, at(b, target, place))

    address = F32.as_pointer()
    return routine(module, "round_rows", [I64, I64, address, I64, address], emit)


@intrinsic
def round_rows(typingctx: Any, rounded: Any, rows: Any, vectors: Any, target: Any) -> Any:
    """Rounds float32s in their places, rows x vectors of a panel; there are no tiles of them yet."""
    if rounded == types.none:
        return _nothing(rounded, rows, vectors, target)

    def emit(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        _, rows, vectors, target = arguments
        b.call(_round_rows(b.module), [rows, vectors, target, I64(0), target])
        return context.get_dummy_value()

    return types.void(rounded, _i64, _i64, target), emit


@intrinsic
def write_signals(typingctx: Any, rounded: Any, size: Any, columns: Any, target: Any, source: Any) -> Any:
    """target = source rounded, samples or activations: rows x vectors of a panel, or a block of `columns`."""
    if rounded == types.none:
        return _nothing(rounded, size, columns, target, source)

    def emit(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        _, size, columns, target, source = arguments
        rows, vectors = cgutils.unpack_tuple(b, size, 2)
        if has_tiles(rounded):
            b.call(tiles.signals(b.module), [target, source, rows, columns])
        else:
            b.call(_round_rows(b.module), [rows, vectors, target, I64(0), source])
        return context.get_dummy_value()

    return types.void(rounded, size, _i64, target, source), emit


@intrinsic
def write_weights(typingctx: Any, rounded: Any, size: Any, offset: Any, source: Any) -> Any:
    """(rounded + offset) = source rounded, weights after a step: rows x vectors of a panel, or a block."""
    if rounded == types.none:
        return _nothing(rounded, size, offset, source)

    def emit(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        target, size, offset, source = arguments
        rows, vectors = cgutils.unpack_tuple(b, size, 2)
        if has_tiles(rounded):
            block = b.bitcast(at(b, target, offset), source.type)
            b.call(tiles.weights(b.module, True), [block, source])
        else:
            b.call(_round_rows(b.module), [rows, vectors, target, offset, source])
        return context.get_dummy_value()

    return types.void(rounded, size, _i64, source), emit


@intrinsic
def write_block(typingctx: Any, rounded: Any, offset: Any, source: Any) -> Any:
    """(rounded + offset) = a block of weights at `source`, of any numbers, where operands have blocks."""
    if not has_tiles(rounded):
        return _nothing(rounded, offset, source)

    def emit(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        target, offset, source = arguments
        b.call(tiles.weights(b.module, False), [b.bitcast(at(b, target, offset), source.type), source])
        return context.get_dummy_value()

    return types.void(rounded, _i64, source), emit


@intrinsic
def write_deltas(typingctx: Any, rounded: Any, rows: Any, columns: Any, target: Any, source: Any) -> Any:
    """target[column, row] = source[row, column], deltas of a panel that are rounded, or a block of tiles."""
    element = element_of(source)

    def emit(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        _, rows, columns, target, source = arguments
        if has_tiles(rounded):
            b.call(tiles.deltas(b.module), [target, source, rows, columns])
        else:
            b.call(transposed(b.module, element), [rows, columns, target, source])
        return context.get_dummy_value()

    return types.void(rounded, _i64, _i64, target, source), emit


@intrinsic
def rounded_beside(typingctx: Any, rounded: Any, parameters: Any, target: Any, wanted: Any) -> Any:
    """Where the rounded weights lie of those at `target`, null if a product is not to write them."""
    if rounded == types.none:
        return types.none(rounded, parameters, target, wanted), _no_code

    def emit(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        rounded_weights, parameters, target, wanted = arguments
        nothing = ir.Constant(rounded_weights.type, None)
        if has_tiles(rounded):
            return nothing
        bytes_ = b.sub(b.ptrtoint(target, I64), b.ptrtoint(parameters, I64))
        here = b.gep(rounded_weights, [b.sdiv(bytes_, I64(4))])
        return b.select(wanted, here, nothing)

    return rounded(rounded, parameters, target, types.boolean), emit


@intrinsic
def prefetch_rounded(typingctx: Any, rounded: Any, rows: Any, offset: Any) -> Any:
    """Prefetches that many rows of a panel of rounded weights, which will be written."""
    if rounded == types.none:
        return _nothing(rounded, rows, offset)
    s = shape(F32)
    address = (I32 if has_tiles(rounded) else F32).as_pointer()

    def emit(b: ir.IRBuilder, rounded: ir.Value, rows: ir.Value, offset: ir.Value) -> None:
        with loop(b, rows) as i:
            for line in range(0, s.columns, CACHE_LINE // 4):
                place = b.add(offset, b.add(b.mul(i, I64(s.columns)), I64(line)))
                prefetch(b, at(b, rounded, place), near=True)

    arguments = [address, I64, I64]
    return call(lambda module: routine(module, "prefetch_rounded", arguments, emit), (rounded, _i64, _i64))


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
