"""``python -m bench.sparse``: sparse samples, fastbp's MLPClassifier beside scikit-learn's.

Seconds of one epoch of `fit` and of `predict`, after both have run on a few samples, and the peak memory of
the process.  Every figure is the median over processes, which take turns.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
import warnings
from typing import Any, NamedTuple

import numpy as np

WHO = ("fastbp", "scikit-learn")


class Case(NamedTuple):
    name: str
    samples: int
    columns: int
    words: int  # a sample
    hidden: int = 16


CASES = (
    Case("10,000 texts of 40 words out of 20,000", 10_000, 20_000, 40),
    Case("20 newsgroups: 11,314 texts of 157 words out of 130,107", 11_314, 130_107, 157),
    Case("10,000 texts of 40 words out of 20,000, 100 neurons", 10_000, 20_000, 40, 100),
)


def texts(case: Case, samples: int) -> Any:
    """Random words, the frequent ones as frequent as Zipf's law has it, weighted at random."""
    from scipy import sparse

    random = np.random.default_rng(0)
    count = samples * case.words
    columns = (case.columns ** random.random(count)).astype(np.int32) - 1
    starts = case.words * np.arange(samples + 1)
    X = sparse.csr_matrix((random.random(count, np.float32), columns, starts), (samples, case.columns))
    X.sum_duplicates()
    return X


def measure(who: str, case: Case) -> dict[str, float]:
    """Measures in this process."""
    if who == "fastbp":
        from fastbp.sklearn import MLPClassifier
    else:
        from sklearn.neural_network import MLPClassifier
    warnings.simplefilter("ignore")
    first = texts(case, 20)
    MLPClassifier((2,), max_iter=1).fit(first, np.arange(20) % 2).predict(first)
    X = texts(case, case.samples)
    y = np.arange(case.samples) % 2
    start = time.perf_counter()
    model = MLPClassifier((case.hidden,), max_iter=1, random_state=0).fit(X, y)
    fitted = time.perf_counter()
    model.predict(X)
    done = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return {"fit, s": fitted - start, "predict, s": done - fitted, "peak, MB": peak}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.sparse", description=__doc__)
    parser.add_argument("--cases", type=int, nargs="+", default=range(len(CASES)), metavar="NUMBER")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--measure", choices=WHO, help=argparse.SUPPRESS)
    options = parser.parse_args()
    for number in options.cases:
        if options.measure:
            print(json.dumps(measure(options.measure, CASES[number])))
            continue
        found: dict[str, list[dict[str, float]]] = {who: [] for who in WHO}
        for _ in range(options.rounds):
            for who in WHO:
                command = [sys.executable, "-m", "bench.sparse", "--cases", str(number), "--measure", who]
                run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                found[who].append(json.loads(run.stdout))
        print(f"\n{CASES[number].name}\n{'':<14}" + "".join(f"{name:>12}" for name in found[WHO[0]][0]))
        for who in WHO:
            medians = [statistics.median(one[name] for one in found[who]) for name in found[who][0]]
            print(f"{who:<14}" + "".join(f"{value:>12.3f}" for value in medians))


if __name__ == "__main__":
    main()
