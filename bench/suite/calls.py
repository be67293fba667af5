"""Single calls, where the way into the kernels and back counts; short ones many times, to be warm."""

import warnings
from typing import Any

import numpy as np

from fastbp import Network

from .networks import PIXELS, Prepared, difference, digits, network, not_yet, reference


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


class OneRow(Prepared):
    """`predict` of one row, as a service calls it, and of 200."""

    params = [[(784, 30, 10), (8, 32, 3)]]  # noqa: RUF012
    param_names = ("sizes",)

    def prepare(self, sizes: tuple[int, ...]) -> None:
        self.net = Network(sizes, seed=0)
        X = np.random.default_rng(0).random((200, sizes[0]))
        self.X, self.some = X[:1], X
        assert self.net.predict(self.X) == self.net.predict(X)[:1]

    def time_predict_times_100(self, sizes: tuple[int, ...]) -> None:
        for _ in range(100):
            self.net.predict(self.X)

    def time_predict_of_200_rows_times_100(self, sizes: tuple[int, ...]) -> None:
        for _ in range(100):
            self.net.predict(self.some)


class WideRows(Prepared):
    """`outputs` of rows of many columns, of which few stay in a cache together."""

    params = [[(20_000, 1), (784, 10)]]  # noqa: RUF012
    param_names = ("sizes",)

    def prepare(self, sizes: tuple[int, ...]) -> None:
        self.net = network(sizes, "float32", output_activation="linear")
        self.X = np.random.default_rng(0).standard_normal((1000, sizes[0]), dtype=np.float32)
        w, b = self.net.weights[0], self.net.biases[0]
        assert np.allclose(self.net.outputs(self.X), self.X @ w.T + b.T, rtol=1e-3, atol=1e-2)

    def time_outputs(self, sizes: tuple[int, ...]) -> None:
        self.net.outputs(self.X)


class ShortFit(Prepared):
    """`fit` of 200 samples, in calls of one epoch and of ten, whose end is looked at for a failure."""

    params = [[1, 10], [20, 200]]  # noqa: RUF012
    param_names = ("epochs", "batch_size")

    def prepare(self, epochs: int, batch_size: int) -> None:
        self.net = Network([24, 8, 2], output_activation="softmax", cost="cross_entropy", seed=0)
        self.X = np.random.default_rng(0).random((200, 24))
        self.y = (self.X[:, 0] > 0.5).astype(int)
        self.net.fit(self.X, self.y, epochs=50, batch_size=20, learning_rate=1.0)
        assert self.net.score(self.X, self.y) > 0.8

    def time_fit_times_100(self, epochs: int, batch_size: int) -> None:
        for _ in range(100):
            self.net.fit(self.X, self.y, epochs=epochs, batch_size=batch_size, learning_rate=0.1)


class Gradient(Prepared):
    """`value_and_gradient` over 150 rows, as a full-batch optimizer calls it."""

    params = ["float32", "float64"]  # noqa: RUF012
    param_names = ("dtype",)

    def prepare(self, dtype: str) -> None:
        self.X, self.y = flowers()
        options = {"output_activation": "softmax", "cost": "cross_entropy"}
        self.net = network((4, 100, 3), dtype, **options)
        with not_yet():
            gradient = getattr(self.net, "value_and_gradient", None)
            if gradient is None:
                raise ImportError("value_and_gradient")
        value, slope = gradient(self.X, self.y)
        self.net.parameters = self.net.parameters - 1e-4 * slope
        assert gradient(self.X, self.y)[0] < value

    def time_value_and_gradient_times_100(self, dtype: str) -> None:
        for _ in range(100):
            self.net.value_and_gradient(self.X, self.y)


class FullBatch(Prepared):
    """Forty iterations of L-BFGS on 150 rows, by fastbp and by scikit-learn, where that is installed."""

    params = ["fastbp", "scikit-learn"]  # noqa: RUF012
    param_names = ("package",)

    def prepare(self, package: str) -> None:
        with not_yet():
            import sklearn.neural_network

            import fastbp.sklearn
        module: Any = fastbp.sklearn if package == "fastbp" else sklearn.neural_network
        self.X, self.y = flowers()
        self.model = module.MLPClassifier((10,), solver="lbfgs", max_iter=40, random_state=0)
        self.time_fit(package)
        assert self.model.score(self.X, self.y) > 0.9

    def time_fit(self, package: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # forty are too few to converge
            self.model.fit(self.X, self.y)


def flowers() -> tuple[np.ndarray, np.ndarray]:
    """Samples with as many rows, columns and classes as the irises."""
    random, y = np.random.default_rng(0), np.arange(150) % 3
    return np.eye(3, 4)[y] + 0.3 * random.standard_normal((150, 4)), y


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
