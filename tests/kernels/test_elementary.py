"""Activations and the functions they use, to the last place, over the whole range of both types."""

import functools
import math

import numpy as np
import pytest

from experiments import ROWS, Harness, elementwise

EXTENDED = pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 63, reason="long double is no wider than double"
)
EXACT = np.longdouble
PI = 4 * np.arctan(EXACT(1))

# ---------------------------------------------------------------- what is exact


def gaussian(x):
    """exp(-x^2 / 2) for 0 <= x <= 100, the square in two parts, of which the first is exact."""
    mantissa, exponent = np.frexp(x)
    high = np.ldexp(np.round(np.ldexp(mantissa, 30)), exponent - 30)
    low = x - high
    return np.exp(-high * high / 2) * np.exp(-low * (high + low / 2))


def upper_tail(x):
    """The normal distribution's above x >= 0: erfc(x / sqrt(2)) / 2, by a series or the trapezoidal rule.

    The rule is Matta and Reichel's (1971) with h = 0.4, whose error is exp(-(pi / h)^2) = 2e-27.
    """
    y, h = x / np.sqrt(EXACT(2)), EXACT(4) / 10
    square = np.maximum(y * y, EXACT(0.01))
    total = 1 / square
    for k in range(1, 20):
        total = total + 2 * np.exp(-((k * h) ** 2)) / ((k * h) ** 2 + square)
    rule = gaussian(x) * y * h / PI * total + 2 / (1 - np.exp(2 * PI * np.clip(y, 0.1, 9) / h)) * (y < 9)
    power = series = np.minimum(y, 1)
    for n in range(1, 40):
        power = -power * np.minimum(y, 1) ** 2 / n
        series = series + power / (2 * n + 1)
    return np.where(y < 0.5, 1 - 2 / np.sqrt(PI) * series, rule) / 2


def normal(z):
    near = np.minimum(np.abs(z), 100)
    tail = upper_tail(near)
    return np.where(z < 0, tail, 1 - tail), gaussian(near) / np.sqrt(2 * PI)


def sigmoid(z):
    """The sigmoid and its derivative."""
    e = np.exp(-np.abs(z))
    return np.where(z < 0, e, 1) / (1 + e), e / (1 + e) ** 2


def times(z, share, slope):
    """z share(z): it, its derivative, and the larger of the two terms of that."""
    term = np.clip(z, -(10**5), 10**5) * slope
    return z * share, term + share, np.maximum(np.abs(term), share)


def inner(z):
    """u and its derivative, where gelu_tanh = z sigmoid(u)."""
    c, g = 2 * np.sqrt(2 / PI), EXACT(44715) / 10**6
    x = np.clip(z, -50, 50)
    return c * x * (1 + g * x * x), c * (1 + 3 * g * x * x)


def gelu_tanh(z):
    u, slope = inner(z)
    share, derivative = sigmoid(u)
    return times(z, share, slope * derivative)


@np.errstate(all="ignore")
def exact(name, z):
    """a, da/dz, and the size that the error of da/dz is measured by, in long double."""
    z = z.astype(EXACT)
    one, below = np.ones_like(z), np.minimum(z, 0)
    slope = np.where(z > 0, 1, EXACT(1) / 100)
    found = {
        "sigmoid": lambda: (*sigmoid(z), one),
        "tanh": lambda: (np.tanh(z), 4 * sigmoid(2 * z)[1], one),
        "relu": lambda: (np.maximum(z, 0), np.where(z > 0, one, 0)),
        "leaky_relu": lambda: (slope * z, slope),
        "elu": lambda: (np.where(z > 0, z, np.expm1(below)), np.exp(below)),
        "gelu": lambda: times(z, *normal(z)),
        "gelu_tanh": lambda: gelu_tanh(z),
        "silu": lambda: times(z, *sigmoid(z)),
        "softplus": lambda: (np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))), sigmoid(z)[0]),
        "exponential": lambda: (np.exp(z), np.exp(z)),
        "linear": lambda: (z, one),
    }[name]()
    return found if len(found) == 3 else (*found, found[1])


# ---------------------------------------------------------------- errors


@functools.cache
def arguments(dtype):
    """Evenly spread by their bits, with and without lower ones, and by size where rows bend."""
    rng, dtype = np.random.default_rng(0), np.dtype(dtype)
    integer, every = {4: (np.int32, 40_009), 8: (np.int64, 640_009 << 29)}[dtype.itemsize]
    by_bits = np.arange(0, np.array(np.inf, dtype).view(integer), every, integer).view(dtype)
    uneven = by_bits * rng.uniform(0.999, 1, len(by_bits)).astype(dtype)
    even = [rng.uniform(0, reach, 10_000).astype(dtype) for reach in (1, 2, 20, 110, 800)]
    info = np.finfo(dtype)
    ends = np.array([info.smallest_subnormal, info.smallest_normal, info.max], dtype)
    positive = np.concatenate([by_bits, uneven, *even, ends])
    return np.concatenate([positive, -positive])


def errors(found, wanted, size, dtype):
    """Errors in units in the last place of `size`, at least that of subnormal numbers; inf may be right."""
    info = np.finfo(dtype)
    size = np.clip(np.abs(size), EXACT(info.smallest_normal), EXACT(info.max) / 2).astype(dtype)
    with np.errstate(invalid="ignore"):
        error = np.abs(found.astype(EXACT) - wanted) / np.spacing(size).astype(EXACT)
    due = np.abs(wanted) > EXACT(info.max) * (1 + EXACT(info.eps) / 4)
    return np.where(due & np.isinf(found) & (np.sign(found) == np.sign(wanted)), 0, error)


def assert_within(most, found, wanted, size, z):
    """`most` is a number of ULP, or gives it for z.  Far from 0, what is small may be 0: `LEAST`."""
    least = np.finfo(found.dtype).smallest_normal * EXACT(LEAST)
    lost = (np.abs(wanted) < least) & (np.abs(z) > 1)
    assert (np.abs(found[lost]) <= 1.01 * least).all()
    error = np.where(lost, 0, errors(found, wanted, size, found.dtype))
    excess = error - (most(z) if callable(most) else most)
    worst = np.argmax(excess)  # a NaN, if there is one
    assert excess[worst] <= 0, f"at {z[worst]!r} {found[worst]!r} is wrong by {error[worst]} ULP"


def as_the_exponent_grows(z):
    """25, and below -4 as many as u loses before the exponential is taken."""
    return np.where(z < -4, 3 * np.abs(inner(z.astype(EXACT))[0]), 25)


# ---------------------------------------------------------------- what the docstrings state

LEAST = 2.0**12  # times the smallest normal number

ROW_ERRORS = {  # in ULP, of a and of da/dz
    "sigmoid": (2.5, 1),
    "tanh": (3, 3),
    "relu": (0, 0),
    "leaky_relu": (1, 0.5),
    "elu": (1.5, 1.5),
    "gelu": (8, 8),
    "gelu_tanh": (as_the_exponent_grows, as_the_exponent_grows),
    "silu": (4, 5),
    "softplus": (3, 2.5),
    "exponential": (1.5, 1.5),
    "linear": (0, 0),
}


@EXTENDED
@pytest.mark.parametrize("name", ROWS)
def test_rows(name, dtype):
    z = arguments(dtype)
    found, derivative = elementwise(ROWS[name])(z)
    wanted, slope, size = exact(name, z)
    most, most_of_derivative = ROW_ERRORS[name]
    assert_within(most, found, wanted, wanted, z)
    assert_within(most_of_derivative, derivative, slope, size, z)


FUNCTIONS = {  # name -> the kernels', where it is taken, what is exact, and the error in ULP
    "exp": (lambda v, x: v.exp(x), lambda x: x, np.exp, 1.5),
    "expm1": (lambda v, x: v.expm1(x), lambda x: x[x <= 0], np.expm1, 1.5),
    "log": (lambda v, x: v.log(x), lambda x: x[x > 0], np.log, 1),
    "log1p": (lambda v, x: v.log1p(x), lambda x: x[(x >= 0) & (x <= 1)], np.log1p, 2),
}


@EXTENDED
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name, dtype):
    formula, taken, function, most = FUNCTIONS[name]
    x = taken(arguments(dtype))
    with np.errstate(all="ignore"):
        wanted = function(x.astype(EXACT))
    assert_within(most, elementwise(formula)(x)[0], wanted, wanted, x)


@EXTENDED
def test_normal_distribution(dtype):
    x = arguments(dtype)
    x = x[np.abs(x) <= 50]
    found = elementwise(lambda v, x: v.normal(x))(x)
    for most, one, wanted in zip((8, 3), found, normal(x.astype(EXACT)), strict=True):
        assert_within(most, one, wanted, wanted, x)


def test_squares_below_the_smallest_normal_number_are_0(dtype):
    x = arguments(dtype)
    with np.errstate(all="ignore"):
        squares = x * x
    squares[squares < np.finfo(dtype).smallest_normal] = 0
    np.testing.assert_array_equal(elementwise(lambda v, x: v.square(x))(x)[0], squares)


@pytest.mark.parametrize("name", ROWS)
def test_panels_hold_what_the_row_gives(name, dtype):
    """All lanes of ragged panels hold them, with 0 for subnormal numbers."""
    z = arguments(dtype)[::50].copy()
    weights, biases = [np.ones((49, 1), dtype)], [np.zeros((49, 1), dtype)]
    outputs = Harness((1, 49), (name,), weights, biases).outputs(z[:, np.newaxis], members=2)
    a = elementwise(ROWS[name])(z)[0]
    a = np.where(np.abs(a) < np.finfo(dtype).tiny, 0, a)
    np.testing.assert_array_equal(outputs, np.repeat(a[:, np.newaxis], 49, axis=1))


def test_symmetry_and_range(dtype):
    z = arguments(dtype)
    tanh, sigmoid = (elementwise(ROWS[name])(z)[0] for name in ("tanh", "sigmoid"))
    np.testing.assert_array_equal(elementwise(ROWS["tanh"])(-z)[0], -tanh)
    assert (np.abs(tanh) <= 1).all() and ((sigmoid >= 0) & (sigmoid <= 1)).all()
    steps = np.diff(elementwise(ROWS["sigmoid"])(np.sort(z))[0])
    assert (steps >= -4 * np.finfo(dtype).eps).all()


# ---------------------------------------------------------------- special numbers

INF = math.inf
ENDS = {  # a and da/dz at -inf, and at inf
    "sigmoid": ((0, 0), (1, 0)),
    "tanh": ((-1, 0), (1, 0)),
    "relu": ((0, 0), (INF, 1)),
    "leaky_relu": ((-INF, 0.01), (INF, 1)),
    "elu": ((-1, 0), (INF, 1)),
    "gelu": ((0, 0), (INF, 1)),
    "gelu_tanh": ((0, 0), (INF, 1)),
    "silu": ((0, 0), (INF, 1)),
    "softplus": ((0, 0), (INF, 1)),
    "exponential": ((0, 0), (INF, INF)),
    "linear": ((-INF, 1), (INF, 1)),
}


@pytest.mark.parametrize("name", ROWS)
def test_infinities_and_nan(name, dtype):
    """The limits, so that a unit which is off stays so; the largest numbers differ only where a is z."""
    largest = np.finfo(dtype).max
    found = elementwise(ROWS[name])(np.array([-INF, INF, -largest, largest], dtype))
    limits = np.array(ENDS[name], dtype).T
    np.testing.assert_array_equal([row[:2] for row in found], limits)
    finite = limits.copy()
    if name in ("leaky_relu", "linear"):
        finite[0, 0] = -largest * limits[1, 0]
    if name not in ("sigmoid", "tanh", "exponential"):
        finite[0, 1] = largest
    np.testing.assert_array_equal([row[2:] for row in found], finite)
    assert np.isnan(elementwise(ROWS[name])(np.full(1, np.nan, dtype))[0])


def test_zeros_keep_their_sign(dtype):
    zeros = np.array([0.0, -0.0], dtype)
    for name in ("tanh", "leaky_relu", "gelu", "gelu_tanh", "silu", "linear"):
        found, _ = elementwise(ROWS[name])(zeros)
        np.testing.assert_array_equal(np.signbit(found), [False, True], name)
        np.testing.assert_array_equal(found, zeros)


def test_log_of_special_numbers(dtype):
    x = np.array([0.0, -0.0, -1.0, -INF, INF, np.nan, 1.0], dtype)
    np.testing.assert_array_equal(
        elementwise(FUNCTIONS["log"][0])(x)[0], [-INF, -INF, np.nan, np.nan, INF, np.nan, 0]
    )
