"""Numbers that are no durations; of each, less is better, as asv assumes."""

from fastbp import Network
from fastbp.datasets import load_mnist

from .machine import measure
from .networks import DIGITS, NAMED, PIXELS, check_training, start


class Peak:
    """The share of the FMA peak of one thread that epochs of `fit` miss."""

    params = ([case.name for case in DIGITS], ["float32", "float64"])
    param_names = ("network", "dtype")
    timeout = 300

    def track_share_missed(self, name: str, dtype: str) -> float:
        case = NAMED[name]
        check_training(case, dtype)
        return 1 - measure(case, dtype, 1, epochs=5 if case.sizes[1] < 2048 else 1)[1]

    track_share_missed.unit = "of the FMA peak"  # type: ignore[attr-defined]


def network(dtype: str) -> Network:
    net = Network([784, 100, 10], dtype=dtype, seed=0, **PIXELS)
    net.weights, net.biases = start(DIGITS[1], dtype)
    return net


class Quality:
    params = ["float32", "float64"]  # noqa: RUF012
    param_names = ("dtype",)

    def track_test_error(self, dtype: str) -> float:
        """Per cent of the test digits after three epochs, the same on every machine."""
        training, _, test = load_mnist()
        net = network(dtype)
        net.fit(training.X, training.y, epochs=3, batch_size=32, learning_rate=2.0)
        error = 100 * (1 - net.score(test.X, test.y))
        assert error < 10, error
        return error

    def track_difference(self, dtype: str) -> float:
        """Largest difference of any weight from the NumPy reference after 10,000 digits."""
        return check_training(DIGITS[1], dtype, samples=10_000)

    def track_seconds_to_95(self, dtype: str) -> float:
        """Seconds of training until 95 % of the validation digits are right."""
        training, validation, _ = load_mnist()
        net = network(dtype)
        history = net.fit(
            training.X,
            training.y,
            epochs=30,
            batch_size=32,
            learning_rate=2.0,
            validation_data=(validation.X, validation.y),
            callbacks=[lambda network, history: history.validation_score[-1] >= 0.95],
        )
        assert history.validation_score[-1] >= 0.95
        return sum(history.seconds)

    track_test_error.unit = "%"  # type: ignore[attr-defined]
    track_difference.unit = "of a weight"  # type: ignore[attr-defined]
    track_seconds_to_95.unit = "s"  # type: ignore[attr-defined]
