"""The NumPy path, which trains what kernels cannot call, equals the kernels: recipes, gradients, errors."""

import copy
from itertools import product

import numpy as np
import pytest

import fastbp
from fastbp import DivergenceError
from fastbp.options.activations import ACTIVATIONS, OUTPUT_ACTIVATIONS
from fastbp.options.costs import COSTS, definition_of
from fastbp.options.optimizers import OPTIMIZERS
from toy import CLOSE, LABELS, VALUES, N, X, assert_alike, fresh, trained

ONE_HOT = np.eye(3)[LABELS]
EVERYTHING = {
    "l2": 0.01,
    "l1": 0.001,
    "clip_norm": 0.3,
    "sample_weight": np.linspace(0.5, 1.5, N),
    "class_weight": "balanced",
    "schedule": fastbp.Cosine(warmup=2),
}


@pytest.fixture
def on_numpy(monkeypatch):
    """Calls what it is given where nothing is compiled."""

    def call(function):
        with monkeypatch.context() as patched:
            patched.setattr("fastbp.engine.architecture.Architecture.is_compiled", False)
            return function()

    return call


def assert_paths_alike(on_numpy, net, y=LABELS, **options):
    options["validation_data"] = X[:9] / 4, y[:9]
    other = copy.deepcopy(net)
    assert_alike(on_numpy(lambda: trained(other, y, **options)), trained(net, y, **options))
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
        for pair in product(
            [*COSTS, fastbp.Huber(0.1), fastbp.CrossEntropy(0.1), fastbp.Focal(0.5)], OUTPUT_ACTIVATIONS
        )
        if definition_of(pair[0]).takes(pair[1])
    ],
    ids=str,
)
def test_cost(cost, output, on_numpy):
    sizes = [[6, 9, 7, 4]] if cost == "gaussian" else []
    net = fresh(*sizes, activation="tanh", output_activation=output, cost=cost, init="glorot_uniform")
    y = LABELS if output == "softmax" or "hinge" in str(cost) else VALUES[:, : 2 if sizes else None]
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
    assert_paths_alike(on_numpy, net, ONE_HOT, learning_rate=1e-6, epochs=1)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_divergence_is_told_and_nothing_else(optimizer, on_numpy, dtype):
    """The message is that of the kernels, and NumPy warns of nothing."""
    words = []
    for path in (lambda function: function(), on_numpy):
        net = fresh(output_activation="linear", dtype=dtype)
        rate = {"sgd": 1e5, "adam": 1e300 if dtype == "float64" else 1e30}[optimizer]
        with pytest.raises(DivergenceError) as caught:
            path(lambda net=net, rate=rate: trained(net, optimizer=optimizer, learning_rate=rate, epochs=99))
        words.append(str(caught.value))
        assert np.isfinite(net.parameters).all()
    assert words[0] == words[1]


@pytest.mark.parametrize(
    ("rate", "network"),
    [
        (1e90, {"output_activation": "linear"}),  # whose squared errors are too large
        (1e200, {"output_activation": "softmax", "cost": "cross_entropy"}),
    ],
    ids=str,
)
def test_outputs_beyond_all_numbers_are_told_by_no_warning(rate, network, on_numpy):
    """Validation of a network whose weights are still finite."""
    found = []
    for path in (lambda function: function(), on_numpy):
        net = fresh(activation="linear", **network)
        options = {"epochs": 1, "batch_size": N, "learning_rate": rate, "validation_data": (X, ONE_HOT)}
        history = path(lambda net=net, options=options: net.fit(X, ONE_HOT, **options))
        found.append([history.validation_loss, history.validation_score])
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.isfinite(found[0][0])


def test_bytes_and_float32(on_numpy):
    pixels = np.abs(X * 60).astype(np.uint8)
    options = {"epochs": 2, "batch_size": 7, "learning_rate": 0.05, "sample_weight": np.linspace(0, 1, N)}
    nets = [fresh(dtype="float32", activation="tanh", input_divisor=255) for _ in range(2)]
    nets[0].fit(pixels, LABELS, **options)
    on_numpy(lambda: nets[1].fit(pixels, LABELS, **options))
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-4, atol=1e-5)
    for found in (nets[1].parameters, *on_numpy(lambda: nets[1].gradients(pixels, LABELS))[0]):
        assert found.dtype == np.float32
    assert on_numpy(lambda: nets[1].input_gradient(pixels, LABELS)).dtype == np.float32
