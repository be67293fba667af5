"""A user's own activations and costs, and NumPy's path, which trains what kernels cannot call."""

import copy
import math
import pickle
from itertools import product

import numba
import numpy as np
import pytest

import fastbp
from experiments import Case, experiment
from fastbp import Activation, Cost, DivergenceError
from fastbp.activations import ACTIVATIONS, OUTPUT_ACTIVATIONS
from fastbp.costs import COSTS, OUTPUTS_OF
from fastbp.optimizers import OPTIMIZERS
from toy import LABELS, VALUES, N, X, bits, fresh

CLOSE = {"rtol": 1e-9, "atol": 1e-11}
EVERYTHING = {
    "l2": 0.01,
    "l1": 0.001,
    "clip_norm": 0.3,
    "sample_weight": np.linspace(0.5, 1.5, N),
    "class_weight": "balanced",
    "schedule": fastbp.Cosine(warmup=2),
}


def tangent(z):
    return math.tanh(z)


def tangent_prime(z):
    return 1 - math.tanh(z) ** 2


def half_square(a, y):
    return 0.5 * (a - y) ** 2


def error(a, y):
    return a - y


COMPILED = Activation(numba.njit(tangent), numba.njit(tangent_prime))
NUMPY = Activation(np.tanh, lambda z: 1 - np.tanh(z) ** 2)
OWN_COST = Cost(numba.njit(half_square), numba.njit(error))
NUMPY_COST = Cost(half_square, error)


def fitted(net, y=LABELS, **options):
    history = net.fit(X / 4, y, **{"epochs": 3, "batch_size": 7, "learning_rate": 0.05, **options})
    return net, history


@pytest.fixture
def on_numpy(monkeypatch):
    """Calls what it is given where nothing is compiled."""

    def call(function):
        with monkeypatch.context() as patched:
            patched.setattr("fastbp.architecture.Architecture.is_compiled", False)
            return function()

    return call


def assert_alike(one, other, tolerance=CLOSE):
    (net, history), (wanted, wanted_history) = one, other
    for a, b in zip(net.weights + net.biases, wanted.weights + wanted.biases, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, **tolerance)
    for name in ("loss", "validation_loss", "validation_score"):
        np.testing.assert_allclose(getattr(history, name), getattr(wanted_history, name), **tolerance)
    np.testing.assert_allclose(net.outputs(X), wanted.outputs(X), **tolerance)


# ---------------------------------------------------------------- NumPy's path equals the kernels


def assert_paths_alike(on_numpy, net, y=LABELS, **options):
    options["validation_data"] = X[:9] / 4, y[:9]
    other = copy.deepcopy(net)
    assert_alike(on_numpy(lambda: fitted(other, y, **options)), fitted(net, y, **options))
    given = X / 4, y
    value, gradient = net.value_and_gradient(*given, l2=0.1, l1=0.1)
    plain_value, plain_gradient = on_numpy(lambda: net.value_and_gradient(*given, l2=0.1, l1=0.1))
    np.testing.assert_allclose(plain_value, value, **CLOSE)
    np.testing.assert_allclose(plain_gradient, gradient, **CLOSE)
    by_inputs = on_numpy(lambda: net.input_gradient(*given))
    np.testing.assert_allclose(by_inputs, net.input_gradient(*given), **CLOSE)


@pytest.mark.parametrize(
    "name", [*ACTIVATIONS, fastbp.GELU("tanh"), fastbp.LeakyReLU(0.3), fastbp.ELU(0.7)], ids=str
)
def test_activation(name, on_numpy):
    hidden = "softplus" if name == "exponential" else name  # which overflows
    net = fresh([6, 9, 5, 3], activation=hidden, output_activation=name, init="glorot_uniform")
    assert_paths_alike(on_numpy, net, learning_rate=0.01)


@pytest.mark.parametrize(
    ("cost", "output"),
    [
        pair
        for pair in product([*COSTS, fastbp.Huber(0.1)], OUTPUT_ACTIVATIONS)
        if pair[1] in OUTPUTS_OF.get(pair[0], [pair[1]])
    ],
    ids=str,
)
def test_cost(cost, output, on_numpy):
    net = fresh(activation="tanh", output_activation=output, cost=cost, init="glorot_uniform")
    y = VALUES if output != "softmax" else LABELS
    assert_paths_alike(on_numpy, net, y, learning_rate=0.01)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_with_everything(name, on_numpy):
    """Masks of dropout included."""
    net = fresh(
        [6, 9, 7, 8, 3], activation=["gelu", "relu", "elu"], output_activation="softmax",
        cost="cross_entropy", dropout=[0.2, 0.0, 0.5], frozen=1, seed=9,
    )  # fmt: skip
    batch = N if name == "irprop" else 7
    assert_paths_alike(on_numpy, net, optimizer=name, learning_rate=0.01, batch_size=batch, **EVERYTHING)


def test_a_gradient_below_the_norm_is_not_clipped(on_numpy):
    assert_paths_alike(on_numpy, fresh(), clip_norm=1e3)


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_outputs_that_saturate(output, on_numpy):
    """The cost is taken from the weighted input, where log(a) would be infinite."""
    weights = [np.full((9, 6), 0.1), np.outer([90.0, -90.0, 50.0], np.ones(9))]
    net = fresh(output_activation=output, cost="cross_entropy", init=weights)
    assert_paths_alike(on_numpy, net, np.eye(3)[LABELS], learning_rate=1e-6, epochs=1)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_divergence_is_told_and_nothing_else(optimizer, on_numpy, dtype):
    """Without a warning of NumPy's, and with the kernels' words."""
    words = []
    for path in (lambda function: function(), on_numpy):
        net = fresh(output_activation="linear", dtype=dtype)
        rate = {"sgd": 1e5, "adam": 1e300 if dtype == "float64" else 1e30}[optimizer]
        with pytest.raises(DivergenceError) as caught:
            path(lambda net=net, rate=rate: fitted(net, optimizer=optimizer, learning_rate=rate, epochs=99))
        words.append(str(caught.value))
        assert np.isfinite(net.parameters).all()
    assert words[0] == words[1]


def test_bytes_and_float32(on_numpy):
    pixels = np.abs(X * 60).astype(np.uint8)
    options = {"epochs": 2, "batch_size": 7, "learning_rate": 0.05, "sample_weight": np.linspace(0, 1, N)}
    nets = [fresh(dtype="float32", activation="tanh") for _ in range(2)]
    nets[0].fit(pixels, LABELS, **options)
    on_numpy(lambda: nets[1].fit(pixels, LABELS, **options))
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-4, atol=1e-5)
    for found in (nets[1].parameters, *on_numpy(lambda: nets[1].gradients(pixels, LABELS))[0]):
        assert found.dtype == np.float32
    assert on_numpy(lambda: nets[1].input_gradient(pixels, LABELS)).dtype == np.float32


# ---------------------------------------------------------------- own functions


@pytest.mark.parametrize("own", [COMPILED, NUMPY], ids=["njit", "NumPy"])
@pytest.mark.parametrize("network", [{}, {"dropout": 0.2}, {"cost": "cross_entropy"}], ids=str)
def test_own_activation_is_like_the_row(own, network, dtype):
    close = CLOSE if dtype == "float64" else {"rtol": 1e-3, "atol": 1e-4}
    one, other = (fresh(activation=kind, dtype=dtype, **network) for kind in (own, "tanh"))
    assert_alike(fitted(one, optimizer="adam"), fitted(other, optimizer="adam"), close)


@pytest.mark.parametrize("own", [COMPILED, NUMPY], ids=["njit", "NumPy"])
def test_own_output_activation_is_like_the_row(own):
    one, other = (fresh(activation="relu", output_activation=kind) for kind in (own, "tanh"))
    options = {"validation_data": (X / 4, LABELS)}
    assert_alike(fitted(one, **options), fitted(other, **options))


@pytest.mark.parametrize("own", [OWN_COST, NUMPY_COST], ids=["njit", "NumPy"])
@pytest.mark.parametrize("output", ["sigmoid", "softmax", "linear", COMPILED, NUMPY])
def test_own_cost_is_like_the_row(own, output, dtype):
    close = CLOSE if dtype == "float64" else {"rtol": 1e-3, "atol": 1e-4}
    network = {"output_activation": output, "init": "lecun_normal", "dtype": dtype}
    one, other = (fresh(cost=cost, **network) for cost in (own, "quadratic"))
    options = {"validation_data": (X / 4, VALUES), "sample_weight": np.linspace(0, 2, N)}
    assert_alike(fitted(one, VALUES, **options), fitted(other, VALUES, **options), close)


def test_own_among_others():
    kinds = [["relu", COMPILED, "silu"], ["relu", NUMPY, "silu"], ["relu", "tanh", "silu"]]
    one, other, wanted = (fitted(fresh([6, 9, 8, 7, 3], activation=kind, init="he_normal")) for kind in kinds)
    assert_alike(one, wanted)
    assert_alike(other, wanted)


@pytest.mark.parametrize("activation", [COMPILED, NUMPY], ids=["njit", "NumPy"])
@pytest.mark.parametrize("cost", [OWN_COST, NUMPY_COST], ids=["njit", "NumPy"])
def test_the_seed_s_surface_with_own_functions(activation, cost, guarded):
    init = "glorot_uniform"
    nets = [fresh(activation=activation, cost=cost, init=init), fresh(activation="tanh", init=init)]
    pairs = [(x[:, np.newaxis], y[:, np.newaxis]) for x, y in zip(X / 4, VALUES, strict=True)]
    for net in nets:
        net.update_mini_batch(pairs, 0.3)
        net.SGD(list(pairs[:1]), 2, 1, 0.3)
        net.fit(X / 4, VALUES, epochs=1, batch_size=4, shuffle=False)
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, **CLOSE)
    found, wanted = (net.backprop(*pairs[0]) for net in nets)
    for a, b in zip(found[0] + found[1], wanted[0] + wanted[1], strict=True):
        np.testing.assert_allclose(a, b, **CLOSE)
    np.testing.assert_allclose(nets[0].feedforward(pairs[0][0]), nets[1].feedforward(pairs[0][0]), **CLOSE)


def test_float64_of_an_own_function_does_not_spread():
    wide = Activation(lambda z: np.tanh(np.float64(z)), lambda z: 1 - np.tanh(np.float64(z)) ** 2)
    net, _ = fitted(fresh(activation=wide, output_activation=COMPILED, dtype="float32"))
    arrays = [net.outputs(X), net.input_gradient(X, LABELS), *net.weights]
    for array in (*arrays, *net.gradients(X, LABELS)[0]):
        assert array.dtype == np.float32


def test_an_own_cost_that_nobody_asks_for_is_written_nowhere(dtype):
    """Training for lists of pairs takes no costs."""
    case = Case((5, 4), 9, 9, ("linear",))
    run = experiment(case, dtype)
    engine = run.engine(case, cost=OWN_COST)
    around = np.full(16, 7.0)
    engine.losses = around[:0]
    engine.train(run.data, run.orders[0], (0, 9))
    assert (around == 7.0).all()


def test_numbers_for_constant_functions(dtype):
    """A derivative such as ``lambda z: 1.0`` is one of every unit."""
    nets = [
        fresh(activation=Activation(lambda z: z, lambda z: 1.0), output_activation="linear", dtype=dtype),
        fresh(activation="linear", output_activation="linear", dtype=dtype),
    ]
    for net in nets:
        fitted(net)
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-4)


def test_functions_of_another_shape_are_refused():
    net = fresh(activation=Activation(lambda z: z[:1], lambda z: z))
    with pytest.raises(
        ValueError, match=r"Activation\.function: expected to return shape \(9, 25\).* got \(1, 25\)"
    ):
        net.predict(X)
    net = fresh(cost=Cost(lambda a, y: (a - y) ** 2, lambda a, y: (a - y).T))
    with pytest.raises(
        ValueError, match=r"Cost\.derivative: expected to return shape \(3, 7\).* got \(7, 3\)"
    ):
        fitted(net)


def test_what_an_own_function_raises_leaves_the_network_as_it_was():
    def refuse(z):
        raise LookupError("mine")

    net = fresh(activation=Activation(np.tanh, refuse))
    before = bits(net)
    with pytest.raises(LookupError, match="mine"):
        fitted(net)
    assert bits(net) == before


def test_pickles_of_own_functions():
    for kind, cost in [(COMPILED, OWN_COST), (Activation(tangent, tangent_prime), NUMPY_COST)]:
        net = fresh(activation=kind, cost=cost)
        for twin in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
            assert twin._fastbp == net._fastbp
            if kind is COMPILED:
                np.testing.assert_array_equal(twin.outputs(X), net.outputs(X))
