"""asv: the most memory a process has that trains on 50,000 digits, Python, NumPy and Numba included."""

from fastbp import Network

from .networks import DIGITS, Case, check_training, digits
from .training import fit


class Fit:
    params = [case.name for case in (*DIGITS[:3], Case((784, 30, 10), 10_000))]  # noqa: RUF012
    param_names = ("network",)

    def setup(self, name: str) -> None:
        *sizes, batch_size = name.replace(" b", "-").split("-")
        self.case = Case(tuple(map(int, sizes)), int(batch_size))
        check_training(self.case, "float32")

    def peakmem_fit(self, name: str) -> None:
        fit(Network(self.case.sizes, dtype="float32", seed=0), *digits(), self.case)
