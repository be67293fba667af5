"""Single calls, where the way into the kernels and back counts; short ones many times, to be warm."""

from typing import Any

import numpy as np

from fastbp import Network

from .networks import PIXELS, Prepared, difference, digits, reference


class Inference(Prepared):
    """[784, 30, 10] on the digits of the test set, and on one."""

    params = ["float32", "float64"]  # noqa: RUF012
    param_names = ("dtype",)

    def prepare(self, dtype: str) -> None:
        self.X, self.y = digits(10_000)
        self.net = Network([784, 30, 10], dtype=dtype, seed=0, **PIXELS)
        self.x = (self.X[:1].T / 255).astype(dtype)
        self.pairs = [
            ((x[:, None] / 255).astype(dtype), int(label)) for x, label in zip(self.X, self.y, strict=True)
        ]
        a = self.X / 255
        for w, b in zip(self.net.weights, self.net.biases, strict=True):
            a = 1 / (1 + np.exp(-(a @ w.T + b.T)))
        outputs: Any = getattr(self.net, "outputs", self.net.predict_proba)  # as 0.1 calls it
        assert abs(outputs(self.X) - a).max() < 1e-5
        assert abs(self.net.feedforward(self.x) - a[:1].T).max() < 1e-5
        assert self.net.evaluate(self.pairs) == np.count_nonzero(a.argmax(axis=1) == self.y)

    def time_predict(self, dtype: str) -> None:
        self.net.predict(self.X)

    def time_score(self, dtype: str) -> None:
        self.net.score(self.X, self.y)

    def time_evaluate(self, dtype: str) -> None:
        self.net.evaluate(self.pairs)

    def time_feedforward_times_1000(self, dtype: str) -> None:
        for _ in range(1000):
            self.net.feedforward(self.x)


class MiniBatch(Prepared):
    """`update_mini_batch` of ten tuples, and `backprop` of one."""

    params = ["float32", "float64"]  # noqa: RUF012
    param_names = ("dtype",)

    def prepare(self, dtype: str) -> None:
        X, labels = digits(10)
        X, Y = (X / 255).astype(dtype), reference.one_hot(labels, 10).astype(dtype)
        self.batch = [(x[:, None], y[:, None]) for x, y in zip(X, Y, strict=True)]
        self.net = Network([784, 30, 10], dtype=dtype, seed=0)
        wanted: Any = reference.Network([784, 30, 10])
        wanted.weights, wanted.biases = self.net.weights, self.net.biases
        for found, right in zip(
            self.net.backprop(*self.batch[0]), wanted.backprop(*self.batch[0]), strict=True
        ):
            assert difference(found, right) < 1e-6
        wanted.update_mini_batch(self.batch, 3.0)
        self.net.update_mini_batch(self.batch, 3.0)
        assert difference(self.net.weights, wanted.weights) < 1e-5

    def time_update_mini_batch_times_100(self, dtype: str) -> None:
        for _ in range(100):
            self.net.update_mini_batch(self.batch, 0.0)

    def time_backprop_times_100(self, dtype: str) -> None:
        for _ in range(100):
            self.net.backprop(*self.batch[0])
