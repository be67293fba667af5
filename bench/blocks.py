"""``python -m bench.blocks``: training from blocks of a file that is larger than the memory allowed.

A file of float32 rows is written, and read once so that it lies in the page cache.  [784, 100, 10] is trained
from blocks of it in a process whose address space is limited, and on the same data in memory in another.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fastbp import Network

from .growth import peak_memory

SIZES, BATCH = (784, 100, 10), 32
ROWS = 4096  # of a block
ROW_BYTES = SIZES[0] * 4


def write(path: Path, rows: int) -> None:
    random = np.random.default_rng(0)
    with path.open("wb") as file:
        for first in range(0, rows, ROWS):
            random.random((min(ROWS, rows - first), SIZES[0]), np.float32).tofile(file)


def labels(first: int, count: int) -> np.ndarray:
    return np.arange(first, first + count) % SIZES[-1]


def blocks(path: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The blocks of the file, read one after the other."""
    with path.open("rb") as file:
        first = 0
        while len(X := np.fromfile(file, np.float32, ROWS * SIZES[0]).reshape(-1, SIZES[0])):
            yield X, labels(first, len(X))
            first += len(X)


def train(path: Path, epochs: int, threads: int | str, limit: int) -> None:
    """Prints, as JSON, the seconds of each epoch and the peak of memory; with a limit in MB from blocks."""
    if limit:
        resource.setrlimit(resource.RLIMIT_AS, (limit * 10**6, limit * 10**6))
    net = Network(SIZES, dtype="float32", seed=0)
    net.fit(np.zeros((BATCH, SIZES[0]), np.float32), labels(0, BATCH), epochs=1, batch_size=BATCH)  # compiled
    options = {"epochs": epochs, "batch_size": BATCH, "learning_rate": 0.01, "threads": threads}
    if limit:
        history = net.fit(lambda: blocks(path), **options)
    else:
        X = np.fromfile(path, np.float32).reshape(-1, SIZES[0])
        history = net.fit(X, labels(0, len(X)), **options)
    print(json.dumps({"seconds": history["seconds"], "peak": peak_memory()}))


def measured(path: Path, epochs: int, threads: str, limit: int) -> float:
    """The best seconds of an epoch in a process of its own."""
    arguments = [str(path), "--epochs", str(epochs), "--threads", threads, "--train", str(limit)]
    command = [sys.executable, "-m", "bench.blocks", *arguments]
    found = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    seconds: list[float] = found["seconds"]
    name = f"blocks, within {limit} MB of address space" if limit else "in memory"
    each = " ".join(f"{number:.3f}" for number in seconds)
    print(f"{name}: {each} s an epoch, {found['peak'] / 1e6:.0f} MB at the peak", flush=True)
    return min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", nargs="?", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--gigabytes", type=float, default=4.0)
    parser.add_argument("--limit", type=int, default=1000, help="MB of address space")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", nargs="+", default=["1", "auto"])
    parser.add_argument("--folder", help="where the file lies meanwhile")
    parser.add_argument("--train", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train is not None:
        threads = options.threads[0]
        train(options.path, options.epochs, threads if threads == "auto" else int(threads), options.train)
        return
    rows = max(1, int(options.gigabytes * 1e9 / ROW_BYTES))
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "rows"
        write(path, rows)
        print(f"{rows} rows of {SIZES[0]}, {path.stat().st_size / 1e9:.2f} GB", flush=True)
        for threads in options.threads:
            print(f"threads={threads}")
            seconds = [measured(path, options.epochs, threads, limit) for limit in (options.limit, 0)]
            print(f"ratio: {seconds[0] / seconds[1]:.3f}")


if __name__ == "__main__":
    main()
