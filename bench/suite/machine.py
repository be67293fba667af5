"""The machine's FMA peak, by a loop that owes nothing to fastbp; and the share of it that `fit` reaches.

The loop is nothing but independent chains of vector FMAs in registers, two flops a lane each.  Its machine
code is read back: were a chain folded away, the peak would be claimed higher than it is.
"""

import functools
import re
import statistics
import threading
import time
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from fastbp import Network

from .networks import DIGITS, PIXELS, Case, digits, start, targets

CHAINS = 12  # a vector FMA takes 4 or 5 cycles and two begin in each: 8 to 10 chains keep both units busy
REGISTERS = {
    512: "zmm",
    256: "ymm",
    128: r"(xmm|\bv\d)",
}  # bits: names in assembly
I32, F64 = ir.IntType(32), ir.DoubleType()


def _loop(element: ir.Type, bits: int, lanes: int) -> Any:
    """The compiled loop over vectors of so many lanes: turns -> a number, so that none of it is left out."""
    vector = ir.VectorType(element, lanes)
    fma_type = ir.FunctionType(vector, [vector] * 3)

    def constant(number: float) -> ir.Constant:
        return ir.Constant(vector, [number] * lanes)

    def generate(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        (turns,) = arguments
        fma = cgutils.get_or_insert_function(b.module, fma_type, f"llvm.fma.v{lanes}f{bits}")
        unknown = ir.Constant(vector, ir.Undefined)  # a constant could be folded away
        for lane in range(lanes):
            unknown = b.insert_element(unknown, b.sitofp(turns, element), I32(lane))
        slots = [
            cgutils.alloca_once_value(b, b.fadd(unknown, constant(float(chain)))) for chain in range(CHAINS)
        ]
        with cgutils.for_range(b, turns):
            for slot in slots:
                b.store(b.call(fma, [b.load(slot), constant(0.5), constant(1.0)]), slot)
        total = b.load(slots[0])
        for slot in slots[1:]:
            total = b.fadd(total, b.load(slot))
        first = b.extract_element(total, I32(0))
        return first if bits == 64 else b.fpext(first, F64)

    @intrinsic
    def chains(typingctx: Any, turns: Any) -> Any:
        return types.float64(types.int64), generate

    return njit("float64(int64)", nogil=True)(lambda turns: chains(turns))


@functools.cache
def widest_loop(dtype: str) -> tuple[Any, int]:
    """The loop over the widest vectors that the machine has in one register, and their lanes."""
    element, bits = (ir.FloatType(), 32) if dtype == "float32" else (F64, 64)
    found = {}
    for width, register in REGISTERS.items():
        kernel = _loop(element, bits, width // bits)
        found[width] = fmas_in_loop("\n".join(kernel.inspect_asm().values()), register)
        if found[width] and found[width] % CHAINS == 0:
            return kernel, width // bits
    raise RuntimeError(f"no loop of a multiple of {CHAINS} FMAs; for vectors of so many bits: {found}")


def fmas_in_loop(assembly: str, register: str) -> int:
    """FMAs of such registers in the innermost loop with the most of them: from a label to the jump back."""
    most, since, seen = 0, dict[str, int](), 0
    for line in assembly.splitlines():
        if label := re.match(r"\s*(\.?L\w+):", line):
            since[label[1]] = seen
        elif re.match(rf"\s*(vfn?m(add|sub)|fml[as]|fn?madd).*{register}", line):
            seen += 1
        elif (jump := re.match(r"\s*(?:j\w+|b\S*|cbn?z\s+\w+,)\s+(\.?L\w+)", line)) and jump[1] in since:
            most = max(most, seen - since[jump[1]])
    return most


def gflops(dtype: Any, threads: int = 1, seconds: float = 0.01, times: int = 3) -> float:
    """GFLOP/s of all threads together: the best of some runs of about that time."""
    kernel, lanes = widest_loop(np.dtype(dtype).name)
    turns = int(seconds * 3e8)
    found = []
    for _ in range(times):
        others = [threading.Thread(target=kernel, args=(turns,)) for _ in range(threads - 1)]
        begin = time.perf_counter()
        for other in others:
            other.start()
        kernel(turns)
        for other in others:
            other.join()
        found.append(threads * 2 * lanes * CHAINS * turns / (time.perf_counter() - begin) / 1e9)
    return max(found)


def measure(case: Case, dtype: str, threads: Any, epochs: int, inputs: str = "uint8") -> tuple[float, float]:
    """Median GFLOP/s of epochs of `fit`, and their share of the peak, measured before and after each.

    Of the epochs of small networks several are taken as one.
    """
    if case in DIGITS:
        X, y = digits(10_240 if max(case.sizes) > 1000 else 50_000)
    else:
        X, y = targets(case, max(10_000, case.batch_size))
    at_once = 1 if case in DIGITS else 20  # epochs; a loop that finds the peak leaves the caches cold
    X = X if X.dtype == inputs else (X / (255 if X.dtype == np.uint8 else 1)).astype(inputs)
    net = Network(case.sizes, dtype=dtype, seed=0, **(PIXELS if X.dtype == np.uint8 else {}))
    net.weights, net.biases = start(case, dtype)
    members = 1 if threads == "auto" else threads
    rates, shares = [], []
    peaks = [gflops(dtype, members)]

    def after_epoch(network: Network, history: Any) -> None:
        if len(history.seconds) % at_once:
            return
        peaks.append(gflops(dtype, members))
        rates.append(case.flops() * len(X) * at_once / sum(history.seconds[-at_once:]) / 1e9)
        shares.append(rates[-1] / statistics.mean(peaks[-2:]))

    net.fit(
        X,
        y,
        epochs=(epochs + 1) * at_once,
        batch_size=case.batch_size,
        learning_rate=case.learning_rate,
        threads=threads,
        callbacks=[after_epoch],
    )
    return statistics.median(rates[1:]), statistics.median(shares[1:])  # the first warms up
