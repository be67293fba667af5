"""The references themselves, against central differences and closed forms."""

import math
from itertools import pairwise

import numpy as np
import pytest

from ids import named
from reference import fit_reference, numerical_gradient, one_hot
from reference_functions import (
    ACTIVATIONS,
    MATCHED,
    Activation,
    Cost,
    cost_of,
    costs_from_logits,
    delta_by_chain,
    delta_of,
    elu,
    huber,
    leaky_relu,
    output_of,
    quantile,
    smoothed,
)
from reference_training import OPTIMIZERS, forward, train_reference, value_and_gradient

SIZES = [5, 7, 4, 3]
N = 12
VARIANTS = {
    **ACTIVATIONS,
    "leaky_relu, 0.3": leaky_relu(0.3),
    "elu, 2": elu(2.0),
    "a user's": Activation(lambda z: np.sin(z), lambda z: np.cos(z)),
}
OUTPUTS = [  # output activation, cost
    *(("linear", cost) for cost in ("quadratic", "absolute", "huber", huber(0.3), "log_cosh")),
    *(("linear", cost) for cost in ("quantile", quantile(0.9), "hinge", "squared_hinge", "gaussian")),
    *((output, "quadratic") for output in ("sigmoid", "tanh", "relu", "softplus", "softmax")),
    ("tanh", "huber"),
    ("sigmoid", "cross_entropy"),
    ("softmax", "cross_entropy"),
    ("sigmoid", "focal"),
    ("softmax", "focal"),
    ("sigmoid", smoothed(0.2, "sigmoid")),
    ("softmax", smoothed(0.2, "softmax")),
    ("exponential", "poisson"),
    ("softplus", "poisson"),
    ("linear", Cost(lambda a, y: ((a - y) ** 4).sum(axis=1), lambda a, y: 4 * (a - y) ** 3)),
]
hidden = pytest.mark.parametrize("name", VARIANTS)
outputs = pytest.mark.parametrize(("output", "cost"), OUTPUTS, ids=named)


def drawn(sizes=SIZES, n=N, seed=0):
    """Weights, biases and samples of moderate size."""
    rng = np.random.default_rng([seed, *sizes])
    weights = [rng.normal(size=(j, k)) / math.sqrt(k) for k, j in pairwise(sizes)]
    biases = [0.5 * rng.normal(size=(j, 1)) for j in sizes[1:]]
    return weights, biases, rng.uniform(-1, 1, (n, sizes[0]))


def targets_for(cost, n=N, outputs=SIZES[-1]):
    rng = np.random.default_rng(1)
    if cost in ("cross_entropy", "focal", "hinge", "squared_hinge"):
        return one_hot(rng.integers(0, outputs, n), outputs)
    if cost == "gaussian":  # two outputs for each
        outputs = 2
    return (
        rng.integers(0, 4, (n, outputs)).astype(float) if cost == "poisson" else rng.normal(size=(n, outputs))
    )


def masks_of(step=0, n=N, sizes=SIZES, rate=0.4):
    rng = np.random.default_rng([7, step])
    return [(rng.random((n, j)) >= rate) / (1 - rate) for j in sizes[1:-1]]


# ---------------------------------------------------------------- functions


@hidden
def test_derivative_of_activation(name):
    function, derivative = VARIANTS[name]
    z = np.concatenate([np.linspace(-6, 6, 40), [-30.0, 30.0]])
    eps = 1e-6
    slope = (function(z + eps) - function(z - eps)) / (2 * eps)
    np.testing.assert_allclose(derivative(z), slope, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_large_numbers(name):
    """No overflow where the result is finite."""
    with np.errstate(over="raise", invalid="raise"):
        z = np.array([-700.0, 700.0])
        for function in ACTIVATIONS[name]:
            assert np.isfinite(function(z)).all()


@outputs
def test_delta_of_output(output, cost):
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(4, 4 if cost == "gaussian" else 3)), targets_for(cost, 4)

    def total(z):
        return cost_of(cost, output).function(output_of(z, output), y).sum()

    wanted = numerical_gradient(total, z, 1e-6)
    np.testing.assert_allclose(delta_of(z, y, output, cost), wanted, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(delta_by_chain(z, y, output, cost), wanted, rtol=1e-7, atol=1e-8)
    assert costs_from_logits(z, y, output, cost).sum() == pytest.approx(total(z), rel=1e-13)


@pytest.mark.parametrize(("cost", "output"), MATCHED)
def test_costs_from_large_logits(cost, output):
    z = np.array([[-800.0, 600.0, 0.0]]) if output != "exponential" else np.array([[-800.0, 5.0, 0.0]])
    y = np.array([[1.0, 0.0, 0.0]])
    wanted = {"sigmoid": 800 + 600 + math.log(2), "softmax": 1400.0, "exponential": 800 + math.exp(5) + 1}
    assert costs_from_logits(z, y, output, cost)[0] == pytest.approx(wanted[output], rel=1e-14)
    assert np.isfinite(delta_of(z, y, output, cost)).all()


# ---------------------------------------------------------------- gradients


@pytest.mark.sampled
@outputs
@hidden
def test_gradient(name, output, cost):
    check_gradient({"activations": [VARIANTS[name]] * 2, "output_activation": output, "cost": cost})


@pytest.mark.parametrize(
    "options",
    [
        {"l2": 0.3},
        {"l1": 0.2},
        {"sample_weight": np.arange(N) / 5},
        {"masks": masks_of()},
        {"l2": 0.1, "l1": 0.05, "masks": masks_of(), "sample_weight": np.arange(N) / 3},
    ],
    ids=lambda options: "-".join(options),
)
def test_gradient_with(options):
    check_gradient(
        {"activations": ["gelu", "relu"], "output_activation": "softmax", "cost": "cross_entropy", **options}
    )


def check_gradient(options):
    weights, biases, X = drawn([*SIZES[:-1], 4] if options["cost"] == "gaussian" else SIZES)
    Y = targets_for(options["cost"])
    found = value_and_gradient(weights, biases, X, Y, **options)

    def value(_):
        return value_and_gradient(weights, biases, X, Y, **options).value

    for arrays, gradients in ((weights, found.weights), (biases, found.biases), ([X], [found.X])):
        for array, gradient in zip(arrays, gradients, strict=True):
            np.testing.assert_allclose(gradient, numerical_gradient(value, array, 1e-5), rtol=1e-5, atol=1e-7)


# ---------------------------------------------------------------- training


def test_default_recipe_is_the_book_s():
    weights, biases, X = drawn()
    Y = targets_for("quadratic")
    orders = [np.random.default_rng(epoch).permutation(N) for epoch in range(3)]
    found = train_reference(weights, biases, X, Y, orders, batch_size=5, rates=0.5)
    wanted = fit_reference(weights, biases, X, Y, orders, 5, 0.5, np.float64)
    for ours, theirs in zip((found.weights, found.biases), wanted, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


def one_step(optimizer, gradients, rate=0.1, w=1.0, **options):
    """A single weight after steps with those gradients."""
    state, w = {}, np.array([w])
    for g in gradients:
        w = OPTIMIZERS[optimizer](w, np.array([g]), state, rate, 1, **options)
    return float(w[0])


@pytest.mark.parametrize(
    ("optimizer", "gradients", "options", "wanted"),
    [
        ("sgd", (2.0, 4.0), {}, 1 - 0.2 - 0.4),
        ("momentum", (2.0, 4.0), {"momentum": 0.5}, 1 - 0.2 - 0.5),
        ("nesterov", (2.0, 4.0), {"momentum": 0.5}, 1 - 0.3 - 0.65),
        ("rmsprop", (2.0,), {"rho": 0.75, "epsilon": 0.0}, 1 - 0.2),
        ("adam", (2.0, 2.0), {"epsilon": 0.0}, 1 - 0.2),
        ("adamw", (2.0,), {"epsilon": 0.0, "weight_decay": 0.5}, 0.95 - 0.1),
        ("irprop", (2.0, 3.0, -1.0, -1.0), {}, 1 - 0.1 - 0.12 - 0.0 + 0.06),
    ],
)
def test_steps_by_hand(optimizer, gradients, options, wanted):
    assert one_step(optimizer, gradients, **options) == pytest.approx(wanted, rel=1e-12)


def test_clipping_scales_the_whole_gradient():
    weights, biases, X = drawn()
    Y = targets_for("quadratic")

    def step(**options):
        run = train_reference(weights, biases, X, Y, [range(N)], batch_size=N, rates=1.0, **options)
        pairs = zip(run.weights + run.biases, weights + biases, strict=True)
        return np.concatenate([(new - old).ravel() for new, old in pairs])

    free, held = step(), step(clip_norm=0.01)
    assert np.linalg.norm(held) == pytest.approx(0.01, rel=1e-9)
    np.testing.assert_allclose(held, free * 0.01 / np.linalg.norm(free), rtol=1e-9, atol=1e-14)
    np.testing.assert_array_equal(step(clip_norm=1e9), free)
    penalised = step(l2=0.1, l1=0.02)
    held = step(l2=0.1, l1=0.02, clip_norm=0.01)
    np.testing.assert_allclose(held, penalised * 0.01 / np.linalg.norm(penalised), rtol=1e-9, atol=1e-14)


def test_rates_masks_and_weights_belong_to_the_step_and_the_sample():
    """Three steps at once are three runs of one step."""
    weights, biases, X = drawn()
    Y, order, share = targets_for("quadratic"), np.arange(N)[::-1], np.arange(N) / 4
    options = {"batch_size": 4, "activations": ["silu", "elu"], "sample_weight": share}
    rates = [0.5, 0.1, 0.3]
    found = train_reference(
        weights, biases, X, Y, [order], rates=rates, masks=lambda step: masks_of(step, 4), **options
    )
    for step in range(3):
        one = train_reference(
            weights,
            biases,
            X,
            Y,
            [order[4 * step : 4 * step + 4]],
            rates=rates[step],
            masks=lambda _, step=step: masks_of(step, 4),
            **options,
        )
        weights, biases = one.weights, one.biases
    for one, other in zip([*weights, *biases], [*found.weights, *found.biases], strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_frozen_layer_stays_and_passes_the_gradient_on():
    weights, biases, X = drawn()
    Y = targets_for("quadratic")
    options = {"batch_size": 5, "rates": 0.5}
    free = train_reference(weights, biases, X, Y, [range(5)], **options)
    held = train_reference(weights, biases, X, Y, [range(5)], frozen=(1,), **options)
    for layer in range(3):
        expected = weights[layer] if layer == 1 else free.weights[layer]
        np.testing.assert_array_equal(held.weights[layer], expected)


def test_whole_weights_of_samples_are_repetitions():
    weights, biases, X = drawn()
    Y, repeated = targets_for("quadratic"), [0, 0, 1, 1, 1, 2]
    one = value_and_gradient(weights, biases, X[:3], Y[:3], activations=["tanh"] * 2, sample_weight=[2, 3, 1])
    other = value_and_gradient(weights, biases, X[repeated], Y[repeated], activations=["tanh"] * 2)
    assert one.value * 3 == pytest.approx(other.value * 6, rel=1e-13)
    np.testing.assert_allclose(one.weights[0] * 3, other.weights[0] * 6, rtol=1e-12)


def test_forward_gives_what_every_layer_reads():
    weights, biases, X = drawn()
    zs, inputs = forward(weights, biases, ["tanh", "relu"], X, masks_of())
    assert [z.shape for z in zs] == [(N, j) for j in SIZES[1:]]
    np.testing.assert_array_equal(inputs[2], np.maximum(zs[1], 0) * masks_of()[1])
