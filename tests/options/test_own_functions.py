"""A user's own activations and costs: called by the kernels, or by the NumPy path where they are NumPy's."""

import copy
import math
import pickle

import numba
import numpy as np
import pytest

from experiments import Case, experiment
from fastbp import Activation, Cost
from fastbp.engine import numpy_engine
from toy import CLOSE, LABELS, VALUES, N, X, assert_alike, bits, fresh, trained


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


@pytest.mark.parametrize("own", [COMPILED, NUMPY], ids=["njit", "NumPy"])
@pytest.mark.parametrize("network", [{}, {"dropout": 0.2}, {"cost": "cross_entropy"}], ids=str)
def test_own_activation_is_like_the_row(own, network, dtype):
    close = CLOSE if dtype == "float64" else {"rtol": 1e-3, "atol": 1e-4}
    one, other = (fresh(activation=kind, dtype=dtype, **network) for kind in (own, "tanh"))
    assert_alike(trained(one, optimizer="adam"), trained(other, optimizer="adam"), close)


@pytest.mark.parametrize("own", [COMPILED, NUMPY], ids=["njit", "NumPy"])
def test_own_output_activation_is_like_the_row(own):
    one, other = (fresh(activation="relu", output_activation=kind) for kind in (own, "tanh"))
    options = {"validation_data": (X / 4, LABELS)}
    assert_alike(trained(one, **options), trained(other, **options))


@pytest.mark.parametrize("own", [OWN_COST, NUMPY_COST], ids=["njit", "NumPy"])
@pytest.mark.parametrize("output", ["sigmoid", "softmax", "linear", COMPILED, NUMPY])
def test_own_cost_is_like_the_row(own, output, dtype):
    close = CLOSE if dtype == "float64" else {"rtol": 1e-3, "atol": 1e-4}
    network = {"output_activation": output, "init": "lecun_normal", "dtype": dtype}
    one, other = (fresh(cost=cost, **network) for cost in (own, "quadratic"))
    options = {"validation_data": (X / 4, VALUES), "sample_weight": np.linspace(0, 2, N)}
    assert_alike(trained(one, VALUES, **options), trained(other, VALUES, **options), close)


def test_own_among_others():
    kinds = [["relu", COMPILED, "silu"], ["relu", NUMPY, "silu"], ["relu", "tanh", "silu"]]
    one, other, wanted = (
        trained(fresh([6, 9, 8, 7, 3], activation=kind, init="he_normal")) for kind in kinds
    )
    assert_alike(one, wanted)
    assert_alike(other, wanted)


@pytest.mark.parametrize("activation", [COMPILED, NUMPY], ids=["njit", "NumPy"])
@pytest.mark.parametrize("cost", [OWN_COST, NUMPY_COST], ids=["njit", "NumPy"])
def test_the_seed_s_surface_with_own_functions(activation, cost, guarded):
    network = {"init": "glorot_uniform", "dropout": 0.3}
    nets = [fresh(activation=activation, cost=cost, **network), fresh(activation="tanh", **network)]
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
    tests = [(x, int(label)) for (x, _), label in zip(pairs, LABELS, strict=True)]
    assert nets[0].evaluate(tests) == nets[1].evaluate(tests)


def test_float64_of_an_own_function_does_not_spread():
    wide = Activation(lambda z: np.tanh(np.float64(z)), lambda z: 1 - np.tanh(np.float64(z)) ** 2)
    net, _ = trained(fresh(activation=wide, output_activation=COMPILED, dtype="float32"))
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
        trained(net)
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
        trained(net)


def test_what_an_own_function_raises_leaves_the_network_as_it_was():
    def refuse(z):
        raise LookupError("mine")

    net = fresh(activation=Activation(np.tanh, refuse))
    before = bits(net)
    with pytest.raises(LookupError, match="mine"):
        trained(net)
    assert bits(net) == before


def test_an_interrupt_within_a_step_leaves_whole_steps(monkeypatch):
    calls = []

    def interrupted(v, w, g, h):
        calls.append(w)
        if len(calls) == 7:  # of four arrays per step
            raise KeyboardInterrupt
        return (w - h.rate * g,)

    monkeypatch.setitem(numpy_engine.optimizers.ROWS, "sgd", (interrupted, ()))
    net, whole = fresh(activation=NUMPY), fresh(activation=NUMPY)
    with pytest.raises(KeyboardInterrupt):
        trained(net, shuffle=False)
    whole.fit(X[:7] / 4, LABELS[:7], epochs=1, batch_size=7, learning_rate=0.05, shuffle=False)
    np.testing.assert_array_equal(net.parameters, whole.parameters)


def test_pickles_of_own_functions():
    for kind, cost in [(COMPILED, OWN_COST), (Activation(tangent, tangent_prime), NUMPY_COST)]:
        net = fresh(activation=kind, cost=cost)
        for twin in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
            assert twin._fastbp == net._fastbp
            if kind is COMPILED:
                np.testing.assert_array_equal(twin.outputs(X), net.outputs(X))
