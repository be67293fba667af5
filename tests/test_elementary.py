"""Activations, to the last place."""

import math

import numpy as np
import pytest

from experiments import ACTIVATIONS, Harness

EXTENDED = pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 63, reason="long double is no wider than double"
)


def activations_of(name, z, bias=0.0):
    """activation(z) by the kernels, in every lane of ragged panels."""
    weights, biases = np.ones((49, 1), z.dtype), np.full((49, 1), bias, z.dtype)
    engine = Harness((1, 49), (name,), [weights], [biases])
    outputs = engine.outputs(z[:, np.newaxis], members=2)
    np.testing.assert_array_equal(outputs, np.repeat(outputs[:, :1], 49, axis=1), "lanes differ")
    return outputs[:, 0]


def exact(name, z):
    z = z.astype(np.longdouble)
    e = np.exp(-np.abs(z))
    return {
        "sigmoid": lambda: np.where(z >= 0, 1, e) / (1 + e),
        "tanh": lambda: np.tanh(z),
        "relu": lambda: np.maximum(z, 0),
        "linear": lambda: z,
    }[name]()


def arguments(dtype):
    """Evenly spread where the functions bend, and in their logarithm down to the smallest number."""
    rng = np.random.default_rng(0)
    info = np.finfo(dtype)
    smallest, largest = np.log(float(info.smallest_normal)) - 15, np.log(float(info.max))
    logarithmic = np.exp(rng.uniform(smallest, largest, 20_000)) * rng.choice([-1, 1], 20_000)
    linear = [rng.uniform(-reach, reach, 20_000) for reach in (1, 20, 110, 800)]
    return np.concatenate([logarithmic, *linear]).astype(dtype)


ULPS = {"sigmoid": 2.5, "tanh": 3.0, "relu": 0.0, "linear": 0.0}


@EXTENDED
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_accuracy_of_activation(name, dtype):
    """In units of the last place; numbers too small to be normal may be 0."""
    z = arguments(dtype)
    wanted, found = exact(name, z), activations_of(name, z)
    tiny = np.finfo(dtype).smallest_normal
    ulp = np.spacing(np.maximum(np.abs(wanted), tiny).astype(dtype)).astype(np.longdouble)
    error = np.abs(found - wanted) / ulp
    normal = (np.abs(wanted) > 2 * tiny) | (name != "sigmoid")
    worst = np.argmax(np.where(normal, error, 0))
    assert error[worst] <= ULPS[name], f"{name}({z[worst]!r}) = {found[worst]!r}: {error[worst]} ULP"
    assert (found[~normal] <= 2.01 * tiny).all()
    assert (found[~normal] >= 0).all()


def test_symmetry_and_range(dtype):
    z = arguments(dtype)
    tanh, sigmoid = activations_of("tanh", z), activations_of("sigmoid", z)
    np.testing.assert_array_equal(activations_of("tanh", -z), -tanh)
    assert (np.abs(tanh) <= 1).all() and ((sigmoid >= 0) & (sigmoid <= 1)).all()
    ordered = np.sort(z)
    steps = np.diff(activations_of("sigmoid", ordered))
    assert (steps >= -4 * np.finfo(dtype).eps).all()


SPECIAL = [  # z; sigmoid, tanh, relu, linear
    (0.0, (0.5, 0.0, 0.0, 0.0)),
    (-0.0, (0.5, 0.0, 0.0, -0.0)),
    (math.inf, (1.0, 1.0, math.inf, math.inf)),
    (-math.inf, (0.0, -1.0, 0.0, -math.inf)),
    (math.nan, (math.nan,) * 4),
    (1e38, (1.0, 1.0, 1e38, 1e38)),
    (-1e38, (0.0, -1.0, 0.0, -1e38)),
    (1e-40, (0.5, 1e-40, 1e-40, 1e-40)),  # no longer normal in float32
    (-1e-40, (0.5, -1e-40, 0.0, -1e-40)),
]


@pytest.mark.parametrize(("z", "values"), SPECIAL)
def test_special_values(z, values, dtype):
    for name, wanted in zip(ACTIVATIONS, values, strict=True):
        found = activations_of(name, np.array([z], dtype), bias=-0.0)  # z + 0 would lose the sign of -0
        np.testing.assert_array_equal(found, np.array([wanted], dtype), name)
        if name == "linear" and not math.isnan(z):
            assert np.signbit(found[0]) == np.signbit(z)


def test_least_and_greatest_numbers(dtype):
    info = np.finfo(dtype)
    z = np.array([info.smallest_subnormal, info.max], dtype)
    for sign in (1, -1):
        np.testing.assert_array_equal(activations_of("tanh", sign * z), sign * np.array([z[0], 1]))
        np.testing.assert_array_equal(activations_of("sigmoid", sign * z), [0.5, sign > 0])
