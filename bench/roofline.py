"""``python -m bench.roofline``: the share of the FMA peak that whole epochs of `fit` reach.

Each epoch trains on 50,000 shuffled digits, or 10,240 where layers are wide, with sigmoids and the quadratic
cost; with ``--odd``, on small and uncommon networks, in numbers drawn for them.  The peak is measured before
and after every epoch on as many threads; medians are shown.  Padding does not count as work.
"""

import argparse

from .suite.machine import measure
from .suite.networks import DIGITS, ODD


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
                        f"{case.flops() * case.batch_size / rate / 1e3:9.3f} us per step",
                        flush=True,
                    )
                    if options.phases and threads == 1:
                        from . import phases  # here, for it compiles kernels of its own

                        phases.measure(case, dtype, inputs)


if __name__ == "__main__":
    main()
