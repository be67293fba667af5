"""The seconds of the import and of the first `fit`, each in a new process."""

import subprocess
import sys

from .networks import Prepared

_FIT = """
import numpy as np
from fastbp import Network
history = Network([784, 30, 10], dtype="{dtype}", seed=0).fit(
    np.zeros((10, 784)), np.zeros(10, int), epochs=1, batch_size=10, learning_rate=1.0
)
assert 0 < history.loss[0] < 10
"""
_COLD = """
import os, tempfile
folder = tempfile.TemporaryDirectory()
os.environ["NUMBA_CACHE_DIR"] = folder.name
"""


def timeraw_import() -> str:
    return "import fastbp; assert fastbp.Network"


class FirstFit(Prepared):
    """The first `fit` with machine code in the cache."""

    params = ["float32", "float64"]  # noqa: RUF012
    param_names = ("dtype",)
    repeat = 5
    number = 1

    def prepare(self, dtype: str) -> None:
        subprocess.run([sys.executable, "-c", _FIT.format(dtype=dtype)], check=True, capture_output=True)

    def timeraw_cached(self, dtype: str) -> str:
        return _FIT.format(dtype=dtype)


class Compile:
    """The first `fit` with an empty cache, so that every kernel of it is compiled."""

    params = ["float32", "float64"]  # noqa: RUF012
    param_names = ("dtype",)
    repeat = 2
    number = 1

    def timeraw_first_fit(self, dtype: str) -> str:
        return _COLD + _FIT.format(dtype=dtype)
