"""Numbers rounded to bfloat16, which products read, kept as float32; and the mode that flushes subnormals.

Kernels for bfloat16 have a pointer `rounded`, to the weights as products read them.  In all other kernels it
is None, and what stands here emits nothing: one source serves both.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from .jit import kernel
from .vector import (
    CACHE_LINE,
    F32,
    I8,
    I32,
    I64,
    SMALLEST,
    VOID,
    absolute,
    at,
    call,
    constant,
    family,
    load,
    loop,
    pointer,
    prefetch,
    routine,
    shape,
    splat,
    store,
)

BFLOAT16 = "bfloat16"  # the key of its kernels, where others have a dtype
_FLUSH_X86 = 0x8040  # flush-to-zero and denormals-are-zero, in MXCSR
_FLUSH_ARM = 1 << 24  # FZ, in FPCR


def _no_code(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
    """The code of an intrinsic that does nothing."""
    return context.get_dummy_value()


def form() -> str:
    """Describes how this process computes products of bfloat16, and why not by a matrix unit."""
    triple, _, features = cpu_target.target_context.codegen().magic_tuple()
    if family(triple) not in ("x86", "arm"):
        return "none: expected an x86-64 or an AArch64 CPU"
    if "+amx-bf16" in features.split(","):
        return "by fused multiply-adds: fastbp does not use the matrix unit of this CPU yet"
    return "by fused multiply-adds: this CPU has no matrix unit (amx-bf16)"


@contextmanager
def flushing(b: ir.IRBuilder) -> Iterator[None]:
    """Reads subnormal numbers as 0 and makes 0 of subnormal results, in what is called in this block.

    The mode of the thread is as before when it ends.  LLVM does not know of the mode: so there may be no
    arithmetic in the block itself, nor in a function that LLVM inlines there.
    """
    target = family(b.module.triple)
    if target == "x86":
        bytes_ = I8.as_pointer()
        kind = ir.FunctionType(VOID, [bytes_])
        before, during = (cgutils.alloca_once(b, I32) for _ in range(2))
        read, write = (
            cgutils.get_or_insert_function(b.module, kind, f"llvm.x86.sse.{name}mxcsr")
            for name in ("st", "ld")
        )
        b.call(read, [b.bitcast(before, bytes_)])
        b.store(b.or_(b.load(before), I32(_FLUSH_X86)), during)
        b.call(write, [b.bitcast(during, bytes_)])
        yield
        b.call(write, [b.bitcast(before, bytes_)])
        return
    if target != "arm":
        raise RuntimeError("compute_dtype='bfloat16': expected an x86-64 or an AArch64 CPU; remove it")
    read = cgutils.get_or_insert_function(b.module, ir.FunctionType(I64, []), "llvm.aarch64.get.fpcr")
    write = cgutils.get_or_insert_function(b.module, ir.FunctionType(VOID, [I64]), "llvm.aarch64.set.fpcr")
    was = b.call(read, [])
    b.call(write, [b.or_(was, I64(_FLUSH_ARM))])
    yield
    b.call(write, [was])


def nearest(b: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """Flushed float32s rounded to bfloat16, to nearest even; a NaN that arithmetic made stays one."""
    vector = value.type
    integers = ir.VectorType(I32, vector.count)

    def number(n: int) -> ir.Constant:
        return ir.Constant(integers, [n] * vector.count)

    bits = b.bitcast(value, integers)
    odd = b.and_(b.lshr(bits, number(16)), number(1))
    return b.bitcast(b.and_(b.add(b.add(bits, number(0x7FFF)), odd), number(0xFFFF0000)), vector)


def rounded(b: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """The same of any float32s: a subnormal number becomes 0, a NaN stays one."""
    vector = value.type
    is_normal = b.fcmp_ordered(">=", absolute(b, value), constant(vector, SMALLEST[F32]))
    return b.select(is_normal, nearest(b, value), b.fmul(value, constant(vector, 0.0)))


# ---------------------------------------------------------------- as kernels see them


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
        return arguments[rounded != types.none]

    return parameters(parameters, rounded), emit


@intrinsic
def round_rows(
    typingctx: Any, rounded_weights: Any, rows: Any, vectors: Any, target: Any, offset: Any, source: Any
) -> Any:
    """(target + offset) = source rounded to bfloat16, for rows x vectors of a panel."""
    i = types.int64
    if rounded_weights == types.none:
        return _nothing(rounded_weights, rows, vectors, target, offset, source)
    s = shape(F32)

    def emit(b: ir.IRBuilder, *args: ir.Value) -> None:
        rows, vectors, target, offset, source = args
        target = at(b, target, offset)
        with loop(b, rows) as row:
            first = b.mul(row, I64(s.columns))
            for v in range(s.vectors):
                with b.if_then(b.icmp_signed("<", I64(v), vectors)):
                    place = b.add(first, I64(v * s.lanes))
                    value = rounded(b, load(b, at(b, source, place), s.vector))
                    store(b, value, at(b, target, place))

    address = F32.as_pointer()
    arguments = [I64, I64, address, I64, address]
    return call(
        lambda module: routine(module, "round_rows", arguments, emit),
        (rounded_weights, i, i, target, i, source),
        markers=1,
    )


@intrinsic
def rounded_beside(typingctx: Any, rounded: Any, parameters: Any, target: Any, wanted: Any) -> Any:
    """Where the rounded weights lie of those at `target`, null if they are not wanted."""
    if rounded == types.none:
        return types.none(rounded, parameters, target, wanted), _no_code

    def emit(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        rounded, parameters, target, wanted = arguments
        bytes_ = b.sub(b.ptrtoint(target, I64), b.ptrtoint(parameters, I64))
        here = b.gep(rounded, [b.sdiv(bytes_, I64(4))])
        return b.select(wanted, here, ir.Constant(rounded.type, None))

    return rounded(rounded, parameters, target, types.boolean), emit


@intrinsic
def prefetch_rounded(typingctx: Any, rounded: Any, rows: Any, offset: Any) -> Any:
    """Prefetches that many rows of a panel of rounded weights, which will be written."""
    if rounded == types.none:
        return _nothing(rounded, rows, offset)
    s = shape(F32)

    def emit(b: ir.IRBuilder, rounded: ir.Value, rows: ir.Value, offset: ir.Value) -> None:
        with loop(b, rows) as i:
            for line in range(0, s.columns, CACHE_LINE // 4):
                place = b.add(offset, b.add(b.mul(i, I64(s.columns)), I64(line)))
                prefetch(b, at(b, rounded, place), near=True)

    arguments = [F32.as_pointer(), I64, I64]
    i = types.int64
    return call(lambda module: routine(module, "prefetch_rounded", arguments, emit), (rounded, i, i))


@intrinsic
def round_all(typingctx: Any, target: Any, first: Any, last: Any, source: Any) -> Any:
    """target[first:last] = source[first:last] rounded to bfloat16."""
    if target == types.none:
        return _nothing(target, first, last, source)
    s = shape(F32)

    def emit(b: ir.IRBuilder, target: ir.Value, first: ir.Value, last: ir.Value, source: ir.Value) -> None:
        target, source, count = at(b, target, first), at(b, source, first), b.sub(last, first)
        whole = b.sdiv(count, I64(s.lanes))
        with loop(b, whole) as i:
            place = b.mul(i, I64(s.lanes))
            store(b, rounded(b, load(b, at(b, source, place), s.vector)), at(b, target, place))
        done = b.mul(whole, I64(s.lanes))
        with loop(b, b.sub(count, done)) as i:
            place = b.add(done, i)
            value = rounded(b, splat(b, b.load(at(b, source, place)), 1))
            b.store(b.extract_element(value, I32(0)), at(b, target, place))

    i = types.int64
    address = F32.as_pointer()
    arguments = [address, I64, I64, address]
    return call(lambda module: routine(module, "round_all", arguments, emit), (target, i, i, source))


def _nothing(*kinds: Any) -> Any:
    """The signature and the code of an intrinsic that does nothing."""
    return types.void(*kinds), _no_code


@kernel(lambda _: types.void(*[types.float32[::1]] * 2))
def round_parameters(target: np.ndarray, source: np.ndarray) -> None:
    """target = source rounded to bfloat16."""
    round_all(pointer(target, 0), 0, source.size, pointer(source, 0))
