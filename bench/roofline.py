"""``python -m bench.roofline``: the share of the FMA peak that whole epochs of `fit` reach.

Each epoch trains on 50,000 shuffled digits with sigmoids and the quadratic cost; with ``--odd``, on small and
uncommon networks, in numbers drawn for them.  The peak is measured before and after every epoch on as many
threads; medians are shown.  Padding does not count as work.
"""

import argparse
import statistics
from typing import Any

import numpy as np

from fastbp import Network

from .networks import DIGITS, ODD, Case, digits, start, targets
from .peak import gflops


def measure(case: Case, dtype: str, threads: Any, epochs: int, inputs: str = "uint8") -> tuple[float, float]:
    """Median GFLOP/s and share of the peak over `epochs` epochs."""
    X, y = digits() if case in DIGITS else targets(case, max(10_000, case.batch_size))
    X = X if X.dtype == inputs else (X / (255 if X.dtype == np.uint8 else 1)).astype(inputs)
    net = Network(case.sizes, dtype=dtype, seed=0)
    net.weights, net.biases = start(case, dtype)
    members = 1 if threads == "auto" else threads
    rates, shares = [], []
    peaks = [gflops(dtype, members)]

    def after_epoch(network: Network, history: Any) -> None:
        peaks.append(gflops(dtype, members))
        rates.append(case.flops() * len(X) / history.seconds[-1] / 1e9)
        shares.append(rates[-1] / statistics.mean(peaks[-2:]))

    net.fit(
        X,
        y,
        epochs=epochs + 1,
        batch_size=case.batch_size,
        learning_rate=case.learning_rate,
        threads=threads,
        callbacks=[after_epoch],
    )
    return statistics.median(rates[1:]), statistics.median(shares[1:])  # the first epoch warms up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--cases", type=int, nargs="*", default=range(len(DIGITS)))
    parser.add_argument("--dtypes", nargs="*", default=["float32", "float64"])
    parser.add_argument("--threads", nargs="*", default=["1", "2", "auto"])
    parser.add_argument("--inputs", nargs="*", default=["uint8", "float32"])
    parser.add_argument("--odd", action="store_true", help="small and uncommon networks instead")
    parser.add_argument("--phases", action="store_true", help="and where the time of a batch goes")
    options = parser.parse_args()
    for case in ODD if options.odd else [DIGITS[number] for number in options.cases]:
        for dtype in options.dtypes:
            for threads in (t if t == "auto" else int(t) for t in options.threads):
                for inputs in ["float32"] if options.odd else options.inputs:
                    rate, share = measure(case, dtype, threads, options.epochs, inputs)
                    print(
                        f"{case.name:24} {dtype} threads={threads!s:4} X {inputs:8} "
                        f"{rate:7.1f} GFLOP/s  {share:.3f} of peak  "
                        f"{case.flops() * case.batch_size / rate / 1e3:9.3f} us a step",
                        flush=True,
                    )
                    if options.phases and threads == 1:
                        from . import phases  # needs insides of the kernels that older commits have not

                        phases.measure(case, dtype, inputs)


if __name__ == "__main__":
    main()
