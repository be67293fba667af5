"""``python -m bench.growth``: how time and memory grow with samples, width, depth, batch and threads.

Time is a sample's share of an epoch of `fit`, the best of some, and its ideal the FMA peak of the threads.
Memory is what the process needs at its peak above what it had before `fit`, with the data in place.  Both are
drawn to ``docs/growth.svg``.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastbp import Network
from fastbp.engine.machine import cpus

from .suite.machine import gflops
from .suite.networks import DIGITS, FULL, PIXELS, Case, start

PICTURE = Path(__file__).parent.parent / "docs" / "growth.svg"


class Sweep(NamedTuple):
    """Cases along one thing that grows: (its value, case, samples, threads)."""

    what: str
    points: tuple[tuple[int, Case, int, int], ...]


def sweeps() -> Iterable[Sweep]:
    usual = Case((784, 128, 10), 64)
    yield Sweep("samples", tuple((n, usual, n, 1) for n in (500, 2_000, 8_000, 32_000, 128_000)))
    widths = (8, 16, 32, 64, 128, 256, 512, 1024, 2048)
    yield Sweep("neurons of a hidden layer", tuple((w, Case((784, w, 10), 64), 4_096, 1) for w in widths))
    depths = (1, 2, 4, 8, 16, 32)
    yield Sweep("hidden layers of 128", tuple((d, Case((128, *[128] * d, 10), 64), 4_096, 1) for d in depths))
    batches = (1, 2, 4, 8, 16, 32, 64, 128, 512, 2_048)
    yield Sweep("samples of a batch", tuple((b, Case((784, 128, 10), b), 8_192, 1) for b in batches))
    yield Sweep("threads", tuple((t, DIGITS[2], 8_192, t) for t in range(1, cpus() + 1)))


def data(case: Case, samples: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.RandomState(0).randint
    return draw(0, 256, (samples, case.sizes[0]), np.uint8), draw(0, case.sizes[-1], samples)


def rate(case: Case, samples: int, threads: int, epochs: int) -> tuple[float, float]:
    """Best microseconds per sample, and the share of the peak."""
    net = Network(case.sizes, dtype="float32", seed=0, **PIXELS)
    net.weights, net.biases = start(case, "float32")
    again = max(1, 20_000_000 // (case.flops() * samples))  # an epoch too short to time is repeated
    X, y = data(case, samples)
    X, y = np.tile(X, (again, 1)), np.tile(y, again)
    history = net.fit(X, y, epochs=epochs, batch_size=case.batch_size, learning_rate=0.1, threads=threads)
    seconds = min(history.seconds) / len(X)
    peak = gflops("float32", threads, times=9)
    return 1e6 * seconds, case.flops() / seconds / 1e9 / peak


def peak_memory() -> int:
    """Bytes this process has had at most (ru_maxrss would count those of its parent before exec)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) << 10
    raise RuntimeError("/proc/self/status has no VmHWM")


def memory_of_a_fit(case: Case, samples: int) -> None:
    """Prints, as JSON, the bytes of data and weights and those that `fit` needs on top."""
    net = Network([8, 8, 2], dtype="float32", seed=0, **PIXELS)
    small = Case((8, 8, 2), 8)
    net.fit(*data(small, 64), epochs=1, batch_size=8, learning_rate=0.1)  # kernels are loaded
    X, y = data(case, samples)
    net = Network(case.sizes, dtype="float32", seed=0, **PIXELS)
    before = peak_memory()
    net.fit(X, y, epochs=1, batch_size=case.batch_size, learning_rate=0.1, threads=1)
    found = {"data": X.nbytes, "weights": sum(w.nbytes for w in net.weights), "above": peak_memory() - before}
    print(json.dumps(found))


def memory(case: Case, samples: int) -> dict[str, float]:
    """MiB of data, weights and what `fit` needs above them, in a process of its own."""
    arguments = ["--memory", str(samples), str(case.batch_size), *map(str, case.sizes)]
    command = [sys.executable, "-m", "bench.growth", *arguments]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {name: size / 2**20 for name, size in json.loads(printed).items()}


def draw(found: list[tuple[Sweep, list[tuple[float, float]]]], memories: list[tuple[str, Any]]) -> None:
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "fastbp"
    figure, axes = plt.subplots(2, 3, figsize=(11, 6), layout="constrained")
    for (sweep, rates), place in zip(found, axes.flat, strict=False):
        values = [value for value, *_ in sweep.points]
        place.plot(values, [time for time, _ in rates], marker="o", color="#1f5fa8")
        ideal = [time * share for time, share in rates]
        place.plot(values, ideal, ls=":", color="#555555", label="at the FMA peak")
        place.set(xlabel=sweep.what, ylabel="us per sample")
        if sweep.what == "threads":
            place.set_xticks(values)
        else:
            place.set_xscale("log", base=2)
        if max(time for time, _ in rates) > 8 * min(time for time, _ in rates):
            place.set_yscale("log")
        else:
            place.set_ylim(0, None)
        place.grid(alpha=0.3)
    axes.flat[0].legend(fontsize=8)
    place = axes.flat[len(found)]
    names = [name for name, _ in memories]
    place.barh(names, [64 + 4 * m["weights"] for _, m in memories], color="#dddddd", label="64 + 4 x weights")
    place.barh(names, [m["above"] for _, m in memories], height=0.5, color="#1f5fa8", label="above data")
    place.set(xlabel="MiB at the peak of fit")
    place.legend(fontsize=8)
    figure.savefig(PICTURE, metadata={"Date": None})
    print(f"drawn to {PICTURE}")


MEMORIES = (
    (DIGITS[0], 50_000),
    (DIGITS[0], 400_000),
    (DIGITS[2], 50_000),
    (DIGITS[3], 50_000),
    (FULL, 50_000),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--memory", type=int, nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        samples, batch_size, *sizes = options.memory
        memory_of_a_fit(Case(tuple(sizes), batch_size), samples)
        return
    found = []
    for sweep in sweeps():
        rates = []
        for value, case, samples, threads in sweep.points:
            rates.append(rate(case, samples, threads, options.epochs))
            print(
                f"{sweep.what} {value}: {rates[-1][0]:9.4f} us per sample, {rates[-1][1]:.2f} of the peak",
                flush=True,
            )
        found.append((sweep, rates))
    memories = []
    for case, samples in MEMORIES:
        sizes = memory(case, samples)
        allowed = 64 + 4 * sizes["weights"]
        print(
            f"{case.name}, {samples} samples: data {sizes['data']:.1f} MiB, weights {sizes['weights']:.1f}, "
            f"fit {sizes['above']:.1f} above them ({allowed:.0f} allowed)",
            flush=True,
        )
        memories.append((f"{case.name}\n{samples} samples", sizes))
    draw(found, memories)


if __name__ == "__main__":
    main()
