"""The most memory a process has that trains on 50,000 digits, Python, NumPy and Numba included."""

from fastbp import Network

from .networks import DIGITS, FULL, NAMED, PIXELS, Prepared, check_training, digits
from .training import fit


class Fit(Prepared):
    params = [case.name for case in (*DIGITS[:3], FULL)]  # noqa: RUF012
    param_names = ("network",)

    def prepare(self, name: str) -> None:
        check_training(NAMED[name], "float32")

    def peakmem_fit(self, name: str) -> None:
        case = NAMED[name]
        fit(Network(case.sizes, dtype="float32", seed=0, **PIXELS), *digits(), case)
