"""``python -m bench.peak``: the machine's FMA peak, and the bandwidth at which one thread reads memory."""

import time

import numpy as np

from fastbp.engine.machine import cpus

from .suite.machine import CHAINS, gflops, widest_loop


def bandwidth(megabytes: int = 256) -> float:
    """GB/s at which one thread reads memory that no cache holds."""
    block = np.ones(megabytes << 17)
    block.sum()
    start = time.perf_counter()
    block.sum()
    return block.nbytes / (time.perf_counter() - start) / 1e9


def main() -> None:
    for dtype in ("float32", "float64"):
        _, lanes = widest_loop(dtype)
        for threads in sorted({1, cpus()}):
            best = gflops(dtype, threads, 0.1, 7)
            print(
                f"{dtype} {threads} thread(s): {best:6.1f} GFLOP/s  ({CHAINS} FMAs of {lanes} lanes a turn)"
            )
    print(f"memory read, 1 thread: {max(bandwidth() for _ in range(5)):.1f} GB/s")


if __name__ == "__main__":
    main()
