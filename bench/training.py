"""asv: seconds of whole epochs of training."""

import numpy as np

from fastbp import Network

from .networks import DIGITS, digits, start


class Fit:
    """One epoch of `fit` on shuffled digits, kept as uint8."""

    params = ([case.name for case in DIGITS[:3]], ["float32", "float64"], [1, 2])
    param_names = ("network", "dtype", "threads")
    cases = {case.name: case for case in DIGITS}  # noqa: RUF012  asv copies nothing

    def setup(self, name: str, dtype: str, threads: int) -> None:
        self.case = self.cases[name]
        self.threads = threads
        self.X, self.y = digits(10_000)
        self.net = Network(self.case.sizes, dtype=dtype, seed=0)
        self.net.weights, self.net.biases = start(self.case, dtype)
        loss = self.fit()
        assert np.isfinite(loss) and loss < 0.6, loss

    def fit(self) -> float:
        case = self.case
        history = self.net.fit(
            self.X,
            self.y,
            epochs=1,
            batch_size=case.batch_size,
            learning_rate=case.learning_rate,
            threads=self.threads,
        )
        return history.loss[-1]

    def time_epoch(self, name: str, dtype: str, threads: int) -> None:
        self.fit()
