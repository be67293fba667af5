"""asv: the most memory a process has that trains on 50,000 digits, Python, NumPy and Numba included."""

from fastbp import Network

from .networks import DIGITS, Case, Prepared, check_training, digits
from .training import fit

CASES = {case.name: case for case in (*DIGITS[:3], Case((784, 30, 10), 10_000))}


class Fit(Prepared):
    params = list(CASES)  # noqa: RUF012
    param_names = ("network",)

    def prepare(self, name: str) -> None:
        check_training(CASES[name], "float32")

    def peakmem_fit(self, name: str) -> None:
        case = CASES[name]
        fit(Network(case.sizes, dtype="float32", seed=0), *digits(), case)
