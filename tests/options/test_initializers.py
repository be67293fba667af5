"""First weights: their distributions, their bits, and which initializer a layer has by default."""

import hashlib
import math
import subprocess
import sys

import numpy as np
import pytest

from fastbp.options import initializers
from fastbp.options.initializers import INITIALIZERS, WITH_BIASES, default_init
from fastbp.options.random_streams import Stream, key

N_OUT, N_IN = 300, 200

DEVIATIONS = {  # for N_OUT, N_IN
    "normal": 1.0,
    "lecun_normal": math.sqrt(1 / 200),
    "glorot_uniform": math.sqrt(2 / 500),
    "glorot_normal": math.sqrt(2 / 500),
    "he_normal": math.sqrt(2 / 200),
    "he_uniform": math.sqrt(2 / 200),
}

DIGESTS = {
    "normal": "9e744cf6efc372c2",
    "lecun_normal": "3bd7175fa07d676a",
    "glorot_uniform": "b3f4d65315b9507d",
    "glorot_normal": "672f20207504269d",
    "he_normal": "d42a7598f86f34d4",
    "he_uniform": "2955fb0c4c669764",
    "orthogonal": "29d0028492de76b1",
}


def drawn(name, n_out=N_OUT, n_in=N_IN):
    return INITIALIZERS[name](Stream(key(0, "weights", 0)), n_out, n_in)


def digest(array):
    return hashlib.sha256(array.astype("<f8").tobytes()).hexdigest()[:16]


def test_every_initializer_is_tested():
    assert INITIALIZERS.keys() == DIGESTS.keys() == DEVIATIONS.keys() | {"orthogonal"}
    assert INITIALIZERS.keys() >= WITH_BIASES


@pytest.mark.parametrize("name", INITIALIZERS)
def test_shape_and_type(name):
    for n_out, n_in in ((1, 1), (1, 5), (5, 1), (7, 3), (3, 7)):
        w = drawn(name, n_out, n_in)
        assert (w.shape, w.dtype, w.flags.c_contiguous) == ((n_out, n_in), np.float64, True)


@pytest.mark.parametrize("name", DEVIATIONS)
def test_moments(name):
    w, expected = drawn(name) / DEVIATIONS[name], 5 / math.sqrt(N_OUT * N_IN)  # five standard errors
    assert abs(w.mean()) < expected
    kurtosis = 9 / 5 if name.endswith("uniform") else 3
    assert abs((w * w).mean() - 1) < expected * math.sqrt(kurtosis - 1)
    if name.endswith("uniform"):
        assert math.sqrt(3) * 0.999 < np.abs(w).max() <= math.sqrt(3) * (1 + 1e-15)
    else:
        assert np.abs(w).max() > 3.5


@pytest.mark.parametrize("name", INITIALIZERS)
def test_bits_are_fixed(name):
    assert digest(drawn(name)) == DIGESTS[name]


@pytest.mark.parametrize(("n_out", "n_in"), [(1, 1), (1, 9), (9, 1), (40, 40), (37, 100), (100, 37)])
def test_orthogonal(n_out, n_in):
    w = drawn("orthogonal", n_out, n_in)
    product = w @ w.T if n_out <= n_in else w.T @ w
    np.testing.assert_allclose(product, np.eye(min(n_out, n_in)), atol=1e-13)
    numbers = drawn("normal", n_out, n_in)
    q, r = np.linalg.qr(numbers if n_out >= n_in else numbers.T)
    q *= np.sign(np.diag(r))  # the one factorisation whose diagonal is positive
    np.testing.assert_allclose(w, q if n_out >= n_in else q.T, atol=1e-12)


@pytest.mark.parametrize("numbers", [1, 300, 1000, 2**16])
def test_orthogonal_numbers_have_the_same_bits_in_blocks_of_any_width(monkeypatch, numbers):
    monkeypatch.setattr(initializers, "_BLOCK", numbers)
    assert digest(drawn("orthogonal")) == DIGESTS["orthogonal"]


def test_draws_of_numpy_are_the_seeds():
    """Without a seed of its own, a network draws from NumPy's global generator as the book's classes do."""
    for draw in (np.random, np.random.RandomState(5)):
        np.random.seed(5)  # noqa: NPY002
        assert np.array_equal(INITIALIZERS["normal"](draw, 4, 3), np.random.RandomState(5).randn(4, 3))
    expected = np.random.RandomState(5).randn(4, 3) / np.sqrt(3)
    assert np.array_equal(INITIALIZERS["lecun_normal"](np.random.RandomState(5), 4, 3), expected)
    expected = (2 * np.random.RandomState(5).random_sample((4, 3)) - 1) * np.sqrt(6 / 7)
    assert np.array_equal(INITIALIZERS["glorot_uniform"](np.random.RandomState(5), 4, 3), expected)


@pytest.mark.parametrize(
    ("activations", "cost", "expected"),
    [
        ([], "quadratic", []),
        (["sigmoid"], "quadratic", ["normal"]),
        (["sigmoid", "sigmoid"], "quadratic", ["normal", "normal"]),
        (["sigmoid", "sigmoid"], "cross_entropy", ["glorot_uniform", "glorot_uniform"]),
        (["sigmoid", "linear"], "quadratic", ["glorot_uniform", "glorot_uniform"]),
        (["relu", "sigmoid"], "quadratic", ["he_normal", "glorot_uniform"]),
        (["relu", "tanh", "softmax"], "cross_entropy", ["he_normal", "glorot_uniform", "glorot_uniform"]),
        (["leaky_relu", "elu", "gelu", "silu", "relu"], "huber", ["he_normal"] * 5),
        (["tanh", "softplus", "linear"], "absolute", ["glorot_uniform"] * 3),
    ],
)
def test_default(activations, cost, expected):
    assert default_init(activations, cost) == expected


def test_names_are_read_without_numpy():
    code = (
        "import sys, fastbp.options.initializers, fastbp.options.schedules; sys.exit('numpy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
