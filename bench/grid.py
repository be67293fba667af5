"""Many networks at once: a grid of 32 on digits, on every backend of joblib, beside scikit-learn's own.

    python -m bench.grid                          # seconds, peak memory, the best, whether bits are equal
    python -m bench.grid --ways "loky" --kill     # also: a worker of Dask is killed in the midst

Each way is a process of its own, which starts its workers, trains once to have kernels in the cache, and is
then timed.  Memory is the largest sum of its processes' proportional set sizes (PSS), so that shared pages
count once.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

WIDTHS = [(16,), (24,), (32,), (48,), (64,), (96,), (128,), (64, 32)]
RATES = [3e-4, 1e-3, 3e-3, 1e-2]
GRID = {"hidden_layer_sizes": WIDTHS, "learning_rate_init": RATES}
_KILL_AFTER = 1.0  # seconds
WAYS = ("one by one", "threading", "loky", "dask", "scikit-learn, loky")


def digits(samples: int) -> tuple[Any, Any, Any]:
    """X in float32, y, and the folds: one, of the last fifth."""
    from sklearn.model_selection import PredefinedSplit

    from fastbp.datasets import load_mnist

    training = load_mnist().training
    X = np.float32(training.X[:samples]) / np.float32(255)
    return X, training.y[:samples], PredefinedSplit(np.where(np.arange(samples) < samples * 4 // 5, -1, 0))


def scores(estimator: Any, X: Any, y: Any) -> dict[str, float]:
    """The accuracy, and 48 bits of the weights' hash."""
    import hashlib

    digest = hashlib.sha256(b"".join(w.tobytes() for w in (*estimator.coefs_, *estimator.intercepts_)))
    return {"accuracy": estimator.score(X, y), "bits": float(int(digest.hexdigest()[:12], 16))}


@contextlib.contextmanager
def backend(way: str, jobs: int) -> Iterator[int]:
    """joblib's backend; gives the number of jobs."""
    import joblib

    name = way.rpartition(", ")[2]
    if name == "one by one":
        yield 1
    elif name == "dask":
        from dask.distributed import Client, LocalCluster

        with (
            LocalCluster(n_workers=jobs, threads_per_worker=1) as cluster,
            Client(cluster),
            joblib.parallel_config("dask"),
        ):
            yield jobs
    else:
        with joblib.parallel_config(name, n_jobs=jobs):
            yield jobs


def kill_a_worker() -> None:
    """Ends a process of Dask's by SIGKILL."""
    from dask.distributed import default_client

    pid = next(iter(default_client().run(os.getpid).values()))
    os.kill(pid, signal.SIGKILL)
    print(f"killed the worker {pid}", file=sys.stderr, flush=True)


class Memory(threading.Thread):
    """Looks ten times a second at how much this process and its children hold."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most, self.over = 0, threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.1):
            self.most = max(self.most, sum(map(_pss, _family(os.getpid()))))


def _family(pid: int) -> Iterator[int]:
    """The process and all below it."""
    yield pid
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _family(int(child))


def _pss(pid: int) -> int:
    """Bytes, pages that n processes share counted as 1/n."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    return 0


def search(way: str, jobs: int, samples: int, epochs: int, kill: bool) -> dict[str, Any]:
    """Trains the grid in that way."""
    import warnings

    from sklearn.model_selection import GridSearchCV

    if way.startswith("scikit-learn"):
        from sklearn.neural_network import MLPClassifier
    else:
        from fastbp.sklearn import MLPClassifier
    os.environ["PYTHONWARNINGS"] = "ignore"  # of workers as well: no network here trains until it converges
    warnings.simplefilter("ignore")
    X, y, folds = digits(samples)

    def tried(grid: dict[str, Any], epochs: int, n_jobs: int) -> Any:
        """The results of the search; no network is trained again on all samples."""
        estimator = MLPClassifier(batch_size=64, max_iter=epochs, random_state=0)
        found = GridSearchCV(
            estimator, grid, cv=folds, scoring=scores, refit=False, n_jobs=n_jobs, error_score="raise"
        )
        return found.fit(X, y).cv_results_

    with backend(way, jobs) as n_jobs:
        tried({"alpha": [1e-4] * (2 * jobs)}, 1, n_jobs)  # workers import, and kernels are there
        memory = Memory()
        memory.start()
        if kill:
            threading.Timer(_KILL_AFTER, kill_a_worker).start()
        start = time.perf_counter()
        found = tried(GRID, epochs, n_jobs)
        seconds = time.perf_counter() - start
        memory.over.set()
    best = int(np.argmax(found["mean_test_accuracy"]))
    return {
        "seconds": seconds,
        "peak MB": memory.most / 1e6,
        "best": found["params"][best],
        "accuracy": found["mean_test_accuracy"][best],
        "bits": found["mean_test_bits"].tolist(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--kill", action="store_true", help="also kill one of Dask's workers in the midst")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        way, kill = options.one
        print(json.dumps(search(way, options.jobs, options.samples, options.epochs, kill == "kill")))
        return
    ways = [(way, "") for way in options.ways] + ([("dask", "kill")] if options.kill else [])
    bits = {}
    for way, kill in ways:
        command = [sys.executable, "-m", "bench.grid", "--one", way, kill]
        command += [f"--{name}={getattr(options, name)}" for name in ("jobs", "samples", "epochs")]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        bits[way, kill] = found.pop("bits")
        best = ", ".join(f"{name} {value}" for name, value in found["best"].items())
        print(
            f"{way + (', a worker killed' if kill else ''):<22} {found['seconds']:6.1f} s  "
            f"{found['peak MB']:5.0f} MB  {found['accuracy']:.4f}  {best}",
            flush=True,
        )
    ours = [values for (way, _), values in bits.items() if not way.startswith("scikit-learn")]
    if len(ours) > 1:
        print(f"equal bits: {'yes' if all(values == ours[0] for values in ours) else 'NO'}")


if __name__ == "__main__":
    main()
