"""Runs of kernels that tests evaluate in processes of their own; imports no more than these need."""

import numpy as np

from fastbp.engine.kernels.shuffle import permute


def permuted():
    """The order of 700 positions by the stream 7."""
    order = np.empty(700, np.int64)
    permute(None)(7, order)
    return order.tolist()


def trained():
    """The fingerprint of a small network that has been trained."""
    import fastbp

    net = fastbp.Network([3, 4, 2], dtype="float32", seed=0)
    net.fit(np.ones((8, 3)), np.arange(8) % 2, epochs=1, batch_size=4)
    return net.fingerprint()


def trained_without_jit():
    """The error of training a network whose plain path works."""
    import fastbp

    net = fastbp.Network([2, 1], seed=0)
    assert net.feedforward(np.zeros((2, 1))).shape == (1, 1)
    try:
        net.fit(np.zeros((4, 2)), np.zeros((4, 1)), epochs=1, batch_size=2, learning_rate=0.1)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def modules_after_a_fit():
    """The modules that only a compiler needs and that a fit and a prediction have imported."""
    import sys

    import fastbp

    net = fastbp.Network([3, 4, 2], dtype="float32", seed=0)
    net.fit(np.zeros((8, 3)), np.arange(8) % 2, epochs=1, batch_size=4)
    net.predict(np.zeros((2, 3)))
    return sorted({"numba.np.arraymath", "scipy.linalg"} & set(sys.modules))
