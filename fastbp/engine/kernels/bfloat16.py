"""bfloat16: the rounding to it, the mode that flushes subnormals, and the form that computes products.

There are three forms, with the same bits: fused multiply-adds (`kernels.groups`), two at once where that is
faster (`kernels.pairs`), and the matrix unit of x86 (`kernels.tiles`), where Linux grants it.
"""

import ctypes
import functools
import itertools
import math
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from llvmlite import ir
from numba.core import cgutils

from ...options.environment import amx_variable
from .jit import target
from .vector import F32, I8, I32, I64, SMALLEST, VOID, absolute, constant, family, width

BFLOAT16 = "bfloat16"  # the key of the kernels that compute by fused multiply-adds, where others have a dtype
TILES = "bfloat16-tiles"  # and of those that compute by the matrix unit
_LEAST_FILLED = (
    0.3  # of the terms that the unit computes; near it both forms take the same, on an Emerald Rapids
)
_BY_TILES = "by the matrix unit (AMX), and by fused multiply-adds where tiles would be mostly empty"
_FLUSH_X86 = 0x8040  # flush-to-zero and denormals-are-zero, in MXCSR
_FLUSH_ARM = 1 << 24  # FZ, in FPCR


def form() -> str:
    """Describes how this process computes products of bfloat16, and why not by a matrix unit."""
    triple, *_ = target()
    if family(triple) not in ("x86", "arm"):
        return "none: expected an x86-64 or an AArch64 CPU"
    reason = why_no_tiles()
    at_once = ", two at once (AVX512-BF16)" if has_pairs() else ""
    return f"by fused multiply-adds{at_once}: {reason}" if reason else _BY_TILES


def has_pairs() -> bool:
    """Tells whether two fused multiply-adds of bfloat16 at once, in vectors of 512 bits, are faster here.

    Intel's CPUs have the instruction as well, and take longer for it than for two that make one: with it a
    step of [784, 512, 512, 10] took twice as long on an Emerald Rapids (`python -m bench.bfloat16 speed`).
    AMD's are those with SSE4a.
    """
    triple, _, features = target()
    has_it = {"+avx512bf16", "+sse4a"} <= {*features.split(",")}
    return has_it and family(triple) == "x86" and width()[0] == 64


@functools.cache
def why_no_tiles() -> str:
    """The reason why this process computes without a matrix unit, empty where it has one.

    Linux is asked once a process, when this is first called: threads and children inherit what it grants.
    """
    triple, _, features = target()
    if not {"+amx-tile", "+amx-bf16"} <= {*features.split(",")} or family(triple) != "x86":
        return "this CPU has no matrix unit (amx-bf16)"
    if not amx_variable():
        return "FASTBP_AMX=0"
    if width()[0] != 64:
        return "the matrix unit needs vectors of 512 bits"
    return permission()


def permission() -> str:
    """Asks Linux for the state of the matrix unit; the reason why it is not granted, empty where it is."""
    if sys.platform != "linux":
        return f"no matrix unit for programs on {sys.platform}"
    arch_prctl, request_permission, tile_data = 158, 0x1023, 18
    if ctypes.CDLL(None, use_errno=True).syscall(arch_prctl, request_permission, tile_data) == 0:
        return ""
    return f"Linux does not grant the matrix unit ({os.strerror(ctypes.get_errno())})"


def kernels_for(sizes: Sequence[int], batch_size: int) -> str:
    """The key of the kernels for a network: tiles, where there are and where enough of them is filled.

    A tile has 32 samples, inputs and outputs, and what is missing is padded with zeros.
    """
    if why_no_tiles():
        return BFLOAT16
    real = padded = 0
    for inputs, outputs in itertools.pairwise(sizes):
        real += inputs * outputs * batch_size
        padded += math.prod(-(-size // 32) * 32 for size in (inputs, outputs, batch_size))
    return TILES if real >= _LEAST_FILLED * padded else BFLOAT16


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
