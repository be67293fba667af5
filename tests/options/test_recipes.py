"""Every recipe on the compiled kernels: against the reference, and to the bit for any team and chunk."""

from itertools import product

import numpy as np
import pytest

import reference_training
from experiments import MASKS, Case, Data, experiment, train
from fastbp.options.activations import ACTIVATIONS, GELU
from fastbp.options.costs import COSTS, DEFINITIONS, Huber
from fastbp.options.optimizers import OPTIMIZERS, Adam, IRprop, Momentum, RMSprop
from reference_functions import activation_of, costs_from_logits, delta_of, gelu_tanh, huber
from reference_training import mask

SIZES = (19, 33, 17, 10)
CASE = Case(SIZES, 13, 60, ("tanh", "silu", "sigmoid"))
BLOCKS = Case((7, 12, 9, 3), 1100, 2300, ("tanh", "silu", "sigmoid"))  # batches of several blocks
RATES = {"sgd": 0.3, "momentum": 0.05, "nesterov": 0.05}
cases = pytest.mark.parametrize("case", [CASE, BLOCKS], ids=["one block", "blocks"])
optimizers = pytest.mark.parametrize("optimizer", OPTIMIZERS)


def tolerance(dtype):
    return {"rtol": 2e-3, "atol": 2e-4} if dtype == "float32" else {"rtol": 1e-8, "atol": 1e-10}


def assert_like_the_reference(case, dtype, rate, optimizer="sgd", options=None, weights=None, **recipe):
    """Two epochs by the kernels, and by the reference with the same penalties, clipping, frozen layers."""
    run = experiment(case, dtype)
    data = run.data if weights is None else run.data._replace(weights=weights)
    chosen = OPTIMIZERS[optimizer] if options is None else options[0]
    engine = run.engine(case, 2, optimizer=chosen, **recipe)
    engine.poison()
    costs = train(engine, data, run.orders, rate)
    recipe.setdefault("cost", "quadratic")
    expected = reference_training.train_reference(
        run.weights,
        run.biases,
        run.X,
        run.Y,
        run.orders,
        batch_size=case.batch,
        rates=rate,
        activations=list(case.names[:-1]),
        output_activation=case.names[-1],
        optimizer=optimizer,
        options=None if options is None else options[1],
        sample_weight=weights,
        **recipe,
    )
    for found, wanted in zip(engine.unpack(), (expected.weights, expected.biases), strict=True):
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, **tolerance(dtype))
    np.testing.assert_allclose(costs[-1] / case.n, sum(expected.costs), **tolerance(dtype))
    np.testing.assert_array_equal(engine.parameters, engine.packed_afresh(), "padding is no longer zero")


@cases
@optimizers
def test_optimizer(optimizer, case, dtype):
    if optimizer == "irprop":  # signs of rounding errors grow: only full batches, and few steps, compare
        case = case._replace(batch=case.n)
    assert_like_the_reference(case, dtype, RATES.get(optimizer, 0.003), optimizer)


@pytest.mark.parametrize(
    ("optimizer", "object_", "options"),
    [
        ("momentum", Momentum(0.5), {"momentum": 0.5}),
        ("rmsprop", RMSprop(0.8, 1e-4), {"rho": 0.8, "epsilon": 1e-4}),
        (
            "adam",
            Adam(0.8, 0.99, 1e-5, 0.1),
            {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-5, "weight_decay": 0.1},
        ),
        ("irprop", IRprop(1.5, 0.3, 1e-4, 0.1), {"grow": 1.5, "shrink": 0.3, "least": 1e-4, "most": 0.1}),
    ],
)
def test_options_of_optimizer(optimizer, object_, options):
    case = CASE._replace(batch=CASE.n) if optimizer == "irprop" else CASE
    assert_like_the_reference(case, "float64", 0.01, optimizer, (object_, options))


@cases
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize(
    "recipe",
    [
        {"l2": 0.1},
        {"l1": 0.01},
        {"clip_norm": 0.05},
        {"clip_norm": 1e3},
        {"l2": 0.1, "l1": 0.01, "clip_norm": 0.1},
        {"frozen": (0,)},
        {"frozen": (1,)},
        {"frozen": (2,)},
        {"frozen": (0, 2), "clip_norm": 0.05},
        {"frozen": (0, 1, 2)},
    ],
    ids=str,
)
def test_regularisation_and_frozen_layers(recipe, optimizer, case, dtype):
    assert_like_the_reference(case, dtype, RATES.get(optimizer, 0.003), optimizer, **recipe)


@cases
@pytest.mark.parametrize("cost", ["quadratic", "cross_entropy"])
def test_sample_weights(cost, case, dtype):
    weights = np.random.default_rng(5).uniform(0, 2, case.n)
    weights[::7] = 0.0
    run = experiment(case, dtype)
    assert run.Y.min() < 0 or cost == "quadratic"
    assert_like_the_reference(case, dtype, 0.1, weights=weights, cost=cost)


# ---------------------------------------------------------------- costs


def goal(cost, output, rows, width, rng):
    """Targets that suit: shares that add up to one, counts, or any numbers."""
    if cost == "poisson":
        return rng.poisson(2.0, (rows, width)).astype(float)
    Y = rng.uniform(0, 1, (rows, width))
    if output == "softmax":
        Y /= Y.sum(axis=1, keepdims=True)
    Y[0], Y[0, 0] = 0.0, 1.0
    if cost in ("hinge", "squared_hinge"):
        return np.round(Y)
    Y = Y if cost in ("cross_entropy", "focal") else 3 * Y - 1
    return Y[:, ::2] if cost == "gaussian" else Y


PAIRS = [
    (cost, output)
    for cost, output in product(COSTS, (*ACTIVATIONS, "softmax"))
    if DEFINITIONS[cost].takes(output) and (cost, output) != ("quadratic", "exponential")
]


@pytest.mark.sampled
@pytest.mark.parametrize("width", [1, 3, 8, 10, 33, 70])
@pytest.mark.parametrize(("cost", "output"), PAIRS)
def test_cost_and_delta(cost, output, width, dtype):
    """One step with rate 1 from the last layer's inputs: biases move by the mean delta."""
    width += width % 2 if cost == "gaussian" else 0  # which has pairs of outputs
    rng = np.random.default_rng(width)
    case = Case((5, width), 37, 37, (ACTIVATIONS.get(output, output),))
    run = experiment(case, dtype)
    Y = goal(cost, output, case.n, width, rng).astype(dtype)
    engine = run.engine(case, 2, cost=COSTS[cost])
    engine.poison()
    engine.train(Data(run.X, Y, 1.0), np.arange(case.n), (0, case.n), 1.0)
    z = run.X.astype(float) @ run.weights[0].T.astype(float) + run.biases[0].T
    wanted = delta_of(z, Y.astype(float), output, cost).mean(axis=0)
    found = (run.biases[0] - engine.unpack()[1][0])[:, 0]
    scale = {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-9, "atol": 1e-11}
    np.testing.assert_allclose(found, wanted, **scale)
    costs = costs_from_logits(z, Y.astype(float), output, cost)
    np.testing.assert_allclose(engine.cost, costs.sum(), **scale)


def test_options_of_costs_and_activations(dtype):
    case = Case((5, 9, 4), 20, 20, (GELU("tanh"), "linear"))
    run = experiment(case, dtype)
    engine = run.engine(case, cost=Huber(0.3))
    train(engine, run.data, run.orders, 0.1)
    expected = reference_training.train_reference(
        run.weights, run.biases, run.X, run.Y, run.orders, batch_size=20, rates=0.1,
        activations=[gelu_tanh()], output_activation="linear", cost=huber(0.3),
    )  # fmt: skip
    for a, b in zip(engine.unpack()[0], expected.weights, strict=True):
        np.testing.assert_allclose(a, b, **tolerance(dtype))


# ---------------------------------------------------------------- dropout


@cases
def test_dropout(case, dtype):
    rates = (0.25, 0.5)
    small = case._replace(n=case.batch + 30)
    run = experiment(small, dtype)
    engine = run.engine(small, 2, dropout=rates)
    engine.poison()
    train(engine, run.data, run.orders, 0.3)

    def masks(step):
        starts = range(0, small.n, small.batch)
        rows = min(small.batch, small.n - starts[step % len(starts)])
        return [
            mask(MASKS, step, layer, len(small.sizes) - 1, (rows, small.sizes[layer + 1]), rate)
            for layer, rate in enumerate(rates)
        ]

    expected = reference_training.train_reference(
        run.weights, run.biases, run.X, run.Y, run.orders, batch_size=small.batch, rates=0.3,
        activations=list(small.names[:-1]), output_activation=small.names[-1], masks=masks,
    )  # fmt: skip
    for a, b in zip(engine.unpack()[0], expected.weights, strict=True):
        np.testing.assert_allclose(a, b, **tolerance(dtype))


def test_shares_that_dropout_drops():
    found = np.concatenate([mask(MASKS, step, 0, 3, (100, 300), 0.2).ravel() > 0 for step in range(3)])
    assert abs(found.mean() - 0.8) < 0.005
    for lag in (1, 2, 300, 30_000):  # neighbours, rows, steps
        a, b = found[:-lag], found[lag:]
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.02


# ---------------------------------------------------------------- bits

EVERYTHING = {
    "cost": "cross_entropy",
    "dropout": (0.2, 0.3),
    "frozen": (1,),
    "clip_norm": 0.4,
    "l2": 0.01,
    "l1": 0.001,
}


@cases
@optimizers
@pytest.mark.parametrize("recipe", [{}, EVERYTHING], ids=["plain", "everything"])
def test_members_poison_and_chunks_change_no_bit(recipe, optimizer, case, dtype):
    case = case._replace(names=("gelu", "relu", "softmax"))
    run = experiment(case, dtype)
    data = Data(run.X, np.arange(case.n) % case.sizes[-1], 1.0, np.linspace(0.5, 1.5, case.n))

    def bits(members, batches):
        engine = run.engine(case, members, optimizer=OPTIMIZERS[optimizer], **recipe)
        engine.poison()
        train(engine, data, run.orders, 0.01, batches)
        return engine.parameters.tobytes(), engine.state.tobytes(), engine.cost

    expected = bits(1, 10**6)
    for members in (2, 3, 4):
        assert bits(members, 10**6) == expected
    assert bits(2, 1) == expected


def test_a_chunk_may_end_within_a_batch(dtype):
    run = experiment(BLOCKS, dtype)
    for recipe in ({}, {"optimizer": OPTIMIZERS["adam"]}):
        whole, parts = (run.engine(BLOCKS, 2, **recipe) for _ in range(2))
        order = run.orders[0]
        whole.train(run.data, order, (0, len(order)), 0.1)
        done = 0
        while done < len(order):
            parts.poison_unshared()
            done = parts.train(run.data, order, (done, done + 1), 0.1)  # goes on to the end of a block
        np.testing.assert_array_equal(whole.parameters, parts.parameters)
        np.testing.assert_array_equal(whole.state, parts.state)
        assert whole.cost == parts.cost


# ---------------------------------------------------------------- a user's own functions


def test_own_functions_are_called_by_the_kernels(dtype):
    from numba import njit

    from fastbp.options.activations import Activation
    from fastbp.options.costs import Cost

    softsign = Activation(njit(lambda z: z / (1 + abs(z))), njit(lambda z: 1 / (1 + abs(z)) ** 2))
    quartic = Cost(njit(lambda a, y: (a - y) ** 4), njit(lambda a, y: 4 * (a - y) ** 3))
    case = Case((19, 33, 10), 13, 60, (softsign, "linear"))
    run = experiment(case, dtype)
    engine = run.engine(case, 2, cost=quartic)
    engine.poison()
    costs = train(engine, run.data, run.orders, 0.001)
    own = reference_training.train_reference(
        run.weights, run.biases, run.X, run.Y, run.orders, batch_size=13, rates=0.001,
        activations=[type(activation_of("tanh"))(softsign.function.py_func, softsign.derivative.py_func)],
        output_activation="linear",
        cost=type(huber())(
            lambda a, y: ((a - y) ** 4).sum(axis=1), quartic.derivative.py_func
        ),
    )  # fmt: skip
    for a, b in zip(engine.unpack()[0], own.weights, strict=True):
        np.testing.assert_allclose(a, b, **tolerance(dtype))
    np.testing.assert_allclose(costs[-1] / case.n, sum(own.costs), **tolerance(dtype))
