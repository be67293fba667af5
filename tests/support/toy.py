"""A toy problem for the tests of the public surface, and what they need to train on it and to compare.

The samples are small integers, so that every number type holds them and no conversion rounds.
"""

import hashlib

import numpy as np

from fastbp import Network

SIZES = [6, 9, 3]
N = 25
X = np.random.default_rng(0).integers(-4, 5, (N, 6)).astype(np.float64)
LABELS = np.arange(N) % 3
VALUES = np.random.default_rng(1).integers(0, 2, (N, 3)).astype(np.float64)
CLOSE = {"rtol": 1e-9, "atol": 1e-11}  # of float64
OPTIONS = {"epochs": 3, "batch_size": 7, "learning_rate": 0.5}


def fresh(sizes=SIZES, seed=3, **options):
    return Network(sizes, seed=seed, **options)


def fitted(X=X, y=LABELS, net=None, **options):
    net = fresh() if net is None else net
    net.fit(X, y, **{**OPTIONS, **options})
    return net


def bits(net):
    return b"".join(array.tobytes() for array in (*net.weights, *net.biases))


def sha(*arrays):
    """A hash of the values, which are small; a long double has undefined padding."""
    plain = [np.ascontiguousarray(array, np.float64) for array in arrays]
    return [hashlib.sha256(array.tobytes()).hexdigest() for array in plain]


def trained(net, y=LABELS, **options):
    """The network after a `fit`, and its history."""
    history = net.fit(X / 4, y, **{"epochs": 3, "batch_size": 7, "learning_rate": 0.05, **options})
    return net, history


def assert_alike(one, other, tolerance=CLOSE):
    """Two networks and their histories, as `trained` gives them."""
    (net, history), (wanted, wanted_history) = one, other
    for a, b in zip(net.weights + net.biases, wanted.weights + wanted.biases, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, **tolerance)
    for name in ("loss", "validation_loss", "validation_score"):
        np.testing.assert_allclose(getattr(history, name), getattr(wanted_history, name), **tolerance)
    np.testing.assert_allclose(net.outputs(X), wanted.outputs(X), **tolerance)
