"""A cost or a weight that is no longer finite ends the training, and the last finite weights are kept."""

import random
import re

import numpy as np
import pytest

import fastbp
from fastbp import DivergenceError
from toy import LABELS, VALUES, N, X, bits, fitted, fresh


def assert_usable(net):
    for array in (*net.weights, *net.biases):
        assert np.isfinite(array).all()
    assert np.isfinite(net.outputs(X / 100)).all()
    net.fit(X / 100, LABELS, epochs=1, batch_size=N, learning_rate=1e-9)


@pytest.mark.parametrize("epoch", [0, 1], ids=["before training", "by a callback"])
def test_numbers_that_a_user_spoils_are_named(epoch):
    net = fresh()
    net.weights[1][2, 0] = np.nan if epoch == 0 else 0.0
    with pytest.raises(DivergenceError, match=rf"epoch {epoch + 1}, .*: weights\[1\] had numbers before"):
        fitted(net=net, epochs=3, callbacks=lambda net, history: net.weights[1].fill(np.inf))
    with pytest.raises(DivergenceError, match=r"biases\[0\] had numbers before"):
        net = fresh()
        net.biases[0][0] = np.nan
        fastbp.Ensemble.of([net]).fit(X, LABELS, epochs=1, batch_size=N)


@pytest.mark.survives("divergence")
@pytest.mark.parametrize("rate", [1e3, 1e10, 1e30])
@pytest.mark.parametrize("batch_size", [7, N])
@pytest.mark.parametrize(
    "names", [("relu", "linear"), ("linear", "linear"), ("tanh", "linear")], ids="-".join
)
def test_divergence(names, batch_size, rate, dtype):
    net = fresh(activation=names[0], output_activation=names[1], dtype=dtype)
    with pytest.raises(DivergenceError) as caught:
        fitted(net=net, epochs=2000, batch_size=batch_size, learning_rate=rate)
    assert isinstance(caught.value, ArithmeticError)
    for words in ("epoch ", f"of {N}", "no longer finite", f"learning_rate {rate:g}"):
        assert words in str(caught.value)
    assert re.search("[Tt]ry a (tenth|smaller)", str(caught.value))
    assert all(np.isfinite(array).all() for array in (*net.weights, *net.biases))


@pytest.mark.survives("divergence")
def test_random_recipes_diverge(full, record_property):
    """Rates from 1e3 to 1e30: what optimizers bound may stay finite, and then all of it does."""
    chance, runs, diverged = random.Random(0), 170 if full else 17, 0
    for _ in range(runs):
        options = {
            "activation": chance.choice(("sigmoid", "tanh", "relu", "linear", "gelu", "softplus")),
            "output_activation": chance.choice(("linear", "relu", "softplus")),
            "cost": chance.choice(("quadratic", "huber", "absolute", "log_cosh")),
            "dtype": chance.choice(("float32", "float64")),
        }
        recipe = {
            "optimizer": chance.choice(("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw")),
            "learning_rate": 10 ** chance.uniform(3, 30),
            "batch_size": chance.randint(1, N),
            "l2": chance.choice((0.0, 0.1)),
            "threads": chance.randint(1, 3),
        }
        net = fresh([6, *[chance.randint(1, 20) for _ in range(chance.randint(1, 4))]], **options)
        y = np.resize(VALUES, (N, net.sizes[-1]))
        try:
            net.fit(X, y, epochs=30, **recipe)
        except DivergenceError as error:
            assert f"learning_rate {recipe['learning_rate']:g}" in str(error)
            diverged += 1
        assert all(np.isfinite(array).all() for array in (*net.weights, *net.biases)), (options, recipe)
    assert diverged > 0.4 * runs
    record_property("tried", runs)


@pytest.mark.survives("divergence")
def test_divergence_keeps_the_last_finite_weights(dtype):
    """The weights of the whole epochs before the one that its message names."""
    net = fresh(output_activation="linear", dtype=dtype)
    with pytest.raises(DivergenceError) as caught:
        fitted(net=net, epochs=500, batch_size=N, learning_rate=30.0)
    epochs = int(str(caught.value).split("epoch ")[1].split(",")[0]) - 1
    assert epochs > 2
    expected = fitted(
        net=fresh(output_activation="linear", dtype=dtype), epochs=epochs, batch_size=N, learning_rate=30.0
    )
    assert bits(net) == bits(expected)


def test_divergence_of_weights_alone():
    """With sigmoids the cost is finite whatever the weights are."""
    net = fresh([6, 3], dtype="float32")
    net.biases, net.weights = [b * 0 for b in net.biases], [w * 0 for w in net.weights]
    before = bits(net)
    with pytest.raises(DivergenceError, match="a weight is no longer finite"):
        fitted(1e3 * X, net=net, batch_size=N, learning_rate=1e38)
    assert bits(net) == before
    assert_usable(net)


def test_divergence_in_a_later_epoch_keeps_validation_and_callbacks():
    seen = []
    net = fresh(output_activation="linear")
    with pytest.raises(DivergenceError):
        fitted(
            net=net,
            epochs=500,
            learning_rate=3.0,
            validation_data=(X, LABELS),
            callbacks=[lambda net, history: seen.append(bits(net))],
        )
    assert seen
    assert all(np.isfinite(array).all() for array in (*net.weights, *net.biases))
