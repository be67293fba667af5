"""``python -m bench.peak``: the machine's FMA peak, through the package's own vector IR, and read bandwidth.

The peak loop is nothing but independent chains of vector FMAs in registers, two flops a lane each.  Its
machine code is read back: were a chain folded away, the peak would be claimed higher than it is.
"""

import functools
import re
import time
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from fastbp.kernels.team import cpus, run
from fastbp.kernels.vector import F32, F64, I64, call, constant, fma, loop, routine, shape, shape_of, splat

CHAINS = 12  # a vector FMA takes 4 or 5 cycles and two begin in each: 8 to 10 chains keep both units busy


def _chains(element: ir.Type) -> Any:
    vector = shape(element).vector

    def emit(b: ir.IRBuilder, turns: ir.Value) -> ir.Value:
        half, one = constant(vector, 0.5), constant(vector, 1.0)
        unknown = splat(b, b.sitofp(turns, element), vector.count)  # a constant could be folded away
        slots = [
            cgutils.alloca_once_value(b, b.fadd(unknown, constant(vector, float(i)))) for i in range(CHAINS)
        ]
        with loop(b, turns):
            for slot in slots:
                b.store(fma(b, b.load(slot), half, one), slot)
        total = b.load(slots[0])
        for slot in slots[1:]:
            total = b.fadd(total, b.load(slot))
        first = b.extract_element(total, ir.IntType(32)(0))
        return b.fpext(first, F64) if element == F32 else first

    return lambda module: routine(module, f"peak_{element}", [I64], emit, result=F64)


@intrinsic
def _run_float32(typingctx: Any, turns: Any) -> Any:
    return call(_chains(F32), (types.int64,), types.float64)


@intrinsic
def _run_float64(typingctx: Any, turns: Any) -> Any:
    return call(_chains(F64), (types.int64,), types.float64)


@functools.cache
def _kernel(dtype: str) -> Any:
    """The compiled loop: turns -> a number, so that none of it is left out."""
    chains = _run_float32 if dtype == "float32" else _run_float64
    kernel = njit("float64(int64)", nogil=True)(lambda turns: chains(turns))
    found = fmas_in_loop("\n".join(kernel.inspect_asm().values()))
    assert found and found % CHAINS == 0, f"{found} FMAs in the loop, not a multiple of {CHAINS}"
    return kernel


def fmas_in_loop(assembly: str) -> int:
    """FMA instructions in the innermost loop with the most of them: from a label to the jump back to it."""
    most, since, seen = 0, dict[str, int](), 0
    for line in assembly.splitlines():
        if label := re.match(r"\s*(\.?L\w+):", line):
            since[label[1]] = seen
        elif re.match(r"\s*(vfn?m(add|sub)|fml[as]|fn?madd)", line):
            seen += 1
        elif (jump := re.match(r"\s*(?:j\w+|b\S*|cbn?z\s+\w+,)\s+(\.?L\w+)", line)) and jump[1] in since:
            most = max(most, seen - since[jump[1]])
    return most


def gflops(dtype: Any, threads: int = 1, seconds: float = 0.01, times: int = 3) -> float:
    """GFLOP/s of all threads together: the best of some runs of about that time."""
    dtype = np.dtype(dtype).name
    kernel, lanes = _kernel(dtype), shape_of(dtype).lanes
    turns = int(seconds * 3e8)
    found = []
    for _ in range(times):
        start = time.perf_counter()
        run(threads, lambda member, meeting: kernel(turns))
        found.append(threads * 2 * lanes * CHAINS * turns / (time.perf_counter() - start) / 1e9)
    return max(found)


def bandwidth(megabytes: int = 256) -> float:
    """GB/s at which one thread reads memory that no cache holds."""
    block = np.ones(megabytes << 17)
    block.sum()
    start = time.perf_counter()
    block.sum()
    return block.nbytes / (time.perf_counter() - start) / 1e9


def main() -> None:
    for dtype in ("float32", "float64"):
        found = fmas_in_loop("\n".join(_kernel(dtype).inspect_asm().values()))
        for threads in sorted({1, cpus()}):
            best = gflops(dtype, threads, 0.1, 7)
            loop_of = f"{found} FMAs in the loop, {CHAINS} chains"
            print(f"{dtype} {threads} thread(s): {best:6.1f} GFLOP/s  ({loop_of})")
    print(f"memory read, 1 thread: {max(bandwidth() for _ in range(5)):.1f} GB/s")


if __name__ == "__main__":
    main()
