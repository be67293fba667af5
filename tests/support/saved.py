"""Networks to save, by recipe, and files that a loader must refuse."""

import contextlib
import signal

import numpy as np
import pytest

import fastbp
from toy import LABELS, OPTIONS, X, fresh

RECIPES = {
    "plain": ({}, {}),
    "everything": (
        {
            "activation": [fastbp.LeakyReLU(0.02), "gelu"],
            "output_activation": "softmax",
            "cost": "cross_entropy",
            "dropout": [0.1, 0.2],
            "frozen": [0],
            "dtype": "float32",
            "uint8_divisor": 7.0,
        },
        {"optimizer": fastbp.AdamW(weight_decay=0.1), "learning_rate": 0.01},
    ),
    "unseeded": ({"seed": None, "dropout": 0.3}, {"optimizer": "rmsprop", "learning_rate": 0.01}),
    "huber": (
        {"cost": fastbp.Huber(0.5), "output_activation": "linear"},
        {"optimizer": "nesterov", "learning_rate": 0.01},
    ),
}


def network(recipe="everything", epochs=2):
    np.random.seed(0)  # noqa: NPY002  of the network without a seed
    options, training = RECIPES[recipe]
    net = fresh([6, 9, 8, 3], **options)
    net.fit(X, LABELS, **{**OPTIONS, **training, "epochs": epochs})
    return net


def refused(path, match=None):
    with pytest.raises(ValueError, match=match) as caught:
        fastbp.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def small_file(path):
    net = fresh([2, 2])
    net.save(path)
    return path.read_bytes()


@contextlib.contextmanager
def at_most(seconds):
    """Fails instead of waiting for ever."""

    def fail(*arguments):
        raise AssertionError("it waits")  # not a TimeoutError, which is an OSError

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
