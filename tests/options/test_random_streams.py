"""Our own random numbers: the same bits on every platform, and as random as they should be."""

import ast
import hashlib
import math
from collections import Counter
from decimal import Decimal, localcontext
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

import fastbp
from fastbp.engine.kernels.shuffle import permute, permute_rows
from fastbp.options import random_streams
from fastbp.options.random_streams import Stream, key, normal, uniform, words

N = 200_000
PACKAGE = Path(fastbp.__file__).parent


def digest(array):
    """SHA-256 of the numbers, little-endian."""
    return hashlib.sha256(array.astype(array.dtype.newbyteorder("<")).tobytes()).hexdigest()[:16]


def mixed(z):
    """SplitMix64's word for the state `z`, in Python's integers."""
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


# ---------------------------------------------------------------- words and keys


def test_words_are_those_of_splitmix64():
    """The published test vector of seed 1234567."""
    assert words(1234567, 5).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


@pytest.mark.parametrize("stream", [0, 1, 0x9E3779B97F4A7C15, 2**63, 2**64 - 1])
def test_a_word_depends_on_its_position_alone(stream):
    expected = [mixed((stream + (i + 1) * 0x9E3779B97F4A7C15) % 2**64) for i in range(1000)]
    assert words(stream, 1000).tolist() == expected
    assert words(stream, 10, 990).tolist() == expected[990:]
    last = mixed(stream)  # word 2^64 - 1: the counter wraps
    assert words(stream, 2, 2**64 - 1).tolist() == [last, expected[0]]


def test_keys_are_fixed():
    assert key(0, "weights") == KEYS[0]
    assert key(0, "weights", 0) == KEYS[1]
    assert key(2**64 - 1, "mask", 2**64 - 1, 3) == KEYS[2]


KEYS = (6366592432808843449, 15614001331680715166, 5300032570698992858)


def test_no_two_uses_share_a_key():
    uses = [
        (seed, purpose, *indices)
        for seed in (0, 1, 2, 2**63, 2**64 - 1)
        for purpose in ("weights", "biases", "order", "mask")
        for indices in [(), *((i,) for i in range(50)), *((i, j) for i in range(20) for j in range(20))]
    ]
    assert len({key(*use) for use in uses}) == len(uses)


# ---------------------------------------------------------------- uniform and normal numbers


def test_uniform_numbers_are_the_upper_53_bits():
    expected = [(word >> 11) / 2**53 for word in words(5, 1000).tolist()]
    assert uniform(5, 1000).tolist() == expected
    assert uniform(5, 10, 700).tolist() == expected[700:710]


def test_normal_numbers_are_those_of_the_polar_method():
    points = iter(uniform(7, 20_000).tolist())
    expected = []
    while len(expected) < 10_000:
        x, y = 2 * next(points) - 1, 2 * next(points) - 1
        square = x * x + y * y
        if 0 < square < 1:
            scale = math.sqrt(-2 * math.log(square) / square)
            expected += [x * scale, y * scale]
    np.testing.assert_allclose(normal(7, 10_000), expected, rtol=1e-14)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 8191, 8192, 8193, 50_001])
def test_the_first_normal_numbers_are_the_same_however_many_are_drawn(n):
    assert normal(7, n).tobytes() == normal(7, 60_000)[:n].tobytes()


def test_bits_are_fixed():
    assert [number.hex() for number in normal(0, 4).tolist()] == NORMALS
    assert {name: digest(array) for name, array in digested().items()} == DIGESTS


def digested():
    return {
        "words": words(key(1, "weights", 0), N),
        "uniform": uniform(key(1, "weights", 1), N),
        "normal": normal(key(1, "weights", 2), N),
        "log": random_streams.log(uniform(key(1, "weights", 3), N) + 2.0**-54),
    }


NORMALS = ["0x1.f8140ae1026c7p-1", "-0x1.682e27f92f3d9p-3", "-0x1.6c93ef6b47edap-1", "-0x1.3fd7424aef38cp-2"]
DIGESTS = {
    "words": "f866a8a27741b22f",
    "uniform": "a48a1938c2eb0157",
    "normal": "57f5dc7179961c89",
    "log": "3d5bafc202e06626",
}


def test_moments():
    error = 5 / math.sqrt(N)  # five standard errors of a mean of N numbers of variance 1
    u, z = uniform(11, N), normal(12, N)
    assert abs(u.mean() - 1 / 2) < error * math.sqrt(1 / 12)
    assert abs(u.var() - 1 / 12) < error * math.sqrt(1 / 180)
    assert 0 <= u.min() < 1e-4 and 1 - 1e-4 < u.max() < 1
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((z**power).mean() - moment) < error * math.sqrt(variance)


def test_distributions():
    stats = pytest.importorskip("scipy.stats")
    assert stats.kstest(uniform(11, N), "uniform").pvalue > 1e-3
    assert stats.kstest(normal(12, N), "norm").pvalue > 1e-3


def test_streams_are_not_correlated():
    n = 10_000
    keys = [
        *(key(seed, "weights", 0) for seed in range(20)),
        *(key(0, "weights", layer) for layer in range(1, 20)),
        *(key(0, purpose, step) for purpose in ("order", "biases") for step in range(20)),
        *(key(0, "mask", step, layer) for step in range(10) for layer in range(4)),
    ]
    streams = np.array([normal(stream, n) for stream in keys])
    streams = np.vstack([streams, np.roll(streams[:20], 1, axis=1)])  # neighbours within a stream
    correlations = np.corrcoef(streams) - np.eye(len(streams))
    assert np.abs(correlations).max() < 5 / math.sqrt(n)


def test_logarithm():
    around_one = 1 + (uniform(3, 300) - 0.5) * 0.02
    x = np.concatenate(
        [
            uniform(1, 300),
            uniform(2, 300) * 2.0**-50,
            around_one,
            [0.5, 1.0, 2.0, 1e-300, 1e300, math.sqrt(0.5)],
        ]
    )
    with localcontext() as context:
        context.prec = 40
        for number, log in zip(x.tolist(), random_streams.log(x).tolist(), strict=True):
            expected = Decimal(number).ln()
            assert abs(Decimal(log) - expected) <= 2 * Decimal(math.ulp(float(expected))), number
    assert random_streams.log(np.array([1.0])).tolist() == [0.0]


def test_each_call_of_a_stream_draws_other_numbers():
    stream, again = Stream(9), Stream(9)
    drawn = [stream.standard_normal((3, 2)), stream.standard_normal((3, 2)), stream.random((2,))]
    assert [array.shape for array in drawn] == [(3, 2), (3, 2), (2,)]
    assert not np.isin(drawn[0], drawn[1]).any()
    assert drawn[0].tobytes() == normal(int(words(9, 1)[0]), 6).tobytes()
    assert drawn[0].tobytes() == again.standard_normal((3, 2)).tobytes()
    assert drawn[2].tobytes() == uniform(int(words(9, 3)[2]), 2).tobytes()


@pytest.mark.parametrize("name", ["random_streams.py", "initializers.py", "schedules.py"])
def test_no_operation_whose_bits_depend_on_the_platform(name):
    """libm's functions, BLAS, LAPACK and NumPy's own sums; `math.sqrt` and ``numpy.sqrt`` are exact."""
    tree = ast.parse((PACKAGE / "options" / name).read_text("utf-8"))
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, (ast.Pow, ast.MatMult))]
    called = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in ("np", "math")
    }
    assert called <= HARMLESS


HARMLESS = {
    *(
        "float64",
        "uint64",
        "int64",
        "inf",
        "pi",
        "arange",
        "empty",
        "full",
        "ones",
        "zeros",
        "zeros_like",
        "random",
        "array",
    ),
    *("sqrt", "frexp", "multiply", "minimum", "maximum", "where", "argmin", "prod", "errstate"),
}


# ---------------------------------------------------------------- orders


def permutation(stream, n):
    order, u = list(range(n)), uniform(stream, n).tolist()
    for i in range(n - 1, 0, -1):
        j = math.floor(u[i] * (i + 1))
        order[i], order[j] = order[j], order[i]
    return order


@pytest.mark.parametrize("n", [0, 1, 2, 3, 100, 50_000])
@pytest.mark.parametrize("stream", [0, key(3, "order", 8), 2**64 - 1])
def test_permute_against_the_reference(n, stream):
    order = np.full(n, -1)  # what it held is of no account
    permute(None)(stream, order)
    assert order.tolist() == permutation(stream, n)


@pytest.mark.parametrize("own", [False, True])
def test_rows_of_orders_are_permuted_as_one_is(own):
    n, which, keys = 50, np.array([3, 0]), np.array([7, 2**64 - 1], np.uint64)
    given = np.arange(100, 100 + (1 + own) * n).reshape(-1, n)
    orders = np.full((5, n), -1)
    permute_rows(None)(which, keys, given, orders)
    for k, stream in enumerate(keys.tolist()):
        assert orders[which[k]].tolist() == given[own * k][permutation(stream, n)].tolist()
    assert (orders[[1, 2, 4]] == -1).all()


def test_orders_are_fixed():
    order = np.empty(10_000, np.int64)
    permute(None)(key(0, "order", 0), order)
    assert order[:8].tolist() == ORDER
    assert digest(order) == ORDER_DIGEST


ORDER = [1962, 3286, 106, 9862, 8041, 9052, 5024, 2760]
ORDER_DIGEST = "82d9c3729f873e53"


def test_all_permutations_are_alike():
    each = 500
    order, found = np.empty(4, np.int64), Counter()
    for epoch in range(24 * each):
        permute(None)(key(1, "order", epoch), order)
        found[tuple(order.tolist())] += 1
    assert set(found) == set(permutations(range(4)))
    assert (
        sum((count - each) ** 2 / each for count in found.values()) < 55
    )  # chi-squared, 23 degrees: p = 2e-4
