"""`predict`, `predict_proba` and `score`: their results for each kind of outputs and targets."""

import contextlib

import numpy as np
import pytest

from fastbp.options.activations import ACTIVATIONS
from toy import LABELS, OPTIONS, VALUES, N, X, fitted, fresh

BOUNDED = [name for name in ACTIVATIONS if name != "exponential"]  # which grows beyond what fit survives


@pytest.mark.parametrize("output", BOUNDED)
@pytest.mark.parametrize("activation", BOUNDED)
def test_outputs_agree_with_feedforward(activation, output):
    net = fitted(net=fresh(activation=activation, output_activation=output), learning_rate=1e-5)
    np.testing.assert_allclose(net.outputs(X), net.feedforward(X.T).T, rtol=1e-11, atol=1e-12)


def test_labels_are_learnt():
    net = fitted(net=fresh([6, 30, 3], seed=4), epochs=400, learning_rate=2.0)
    assert net.score(X, LABELS) == 1.0
    np.testing.assert_array_equal(net.predict(X), LABELS)


def test_predictions_of_labels():
    net = fitted()
    outputs = net.outputs(X)
    assert outputs.shape == (N, 3)
    np.testing.assert_array_equal(net.predict(X), outputs.argmax(axis=1))
    assert net.score(X, LABELS) == np.mean(outputs.argmax(axis=1) == LABELS)


@pytest.mark.parametrize("kind", [int, "uint8", bool])
def test_one_output_and_zeros_and_ones_are_two_classes(kind):
    y = (LABELS == 1).astype(kind)
    net = fitted(X, y, fresh([6, 9, 1]))
    assert net.predict(X).tolist() == (net.outputs(X)[:, 0] >= 0.5).astype(int).tolist()
    assert net.score(X, y) == np.mean(net.predict(X) == y)


@pytest.mark.parametrize("y", [LABELS - 1, LABELS, LABELS / 4, (LABELS == 1).astype(float)])
def test_one_output_and_other_numbers_are_values(y):
    net = fitted(X, y, fresh([6, 9, 1], output_activation="linear"), learning_rate=0.01)
    outputs = net.outputs(X)
    np.testing.assert_array_equal(net.predict(X), outputs[:, 0])
    wanted = 1 - np.sum((outputs[:, 0] - y) ** 2) / np.sum((y - y.mean()) ** 2)
    assert net.score(X, y) == pytest.approx(wanted, rel=1e-12)
    assert net.score(X, y.reshape(-1, 1)) == net.score(X, y)


def test_values_of_several_outputs():
    net = fitted(y=VALUES)
    np.testing.assert_array_equal(net.predict(X), net.outputs(X))
    residual = np.sum((net.predict(X) - VALUES) ** 2)
    assert net.score(X, VALUES) == pytest.approx(1 - residual / np.sum((VALUES - VALUES.mean(axis=0)) ** 2))


@pytest.mark.parametrize(("error", "score"), [(0.0, 1.0), (0.5, 0.0)])
def test_score_of_values_that_are_all_the_same(error, score):
    net = fresh([1, 1], output_activation="linear")
    net.weights, net.biases = [np.zeros((1, 1))], [np.ones((1, 1))]
    assert net.score([[1.0], [2.0]], [1.0 + error, 1.0 + error]) == score


@pytest.mark.parametrize(("outputs", "shape"), [(3, (N,)), (1, (N, 1))])
def test_predictions_before_any_fit(outputs, shape):
    assert fresh([6, 9, outputs]).predict(X).shape == shape


@pytest.mark.survives("few rows or classes", each=2)
@pytest.mark.parametrize("y", [LABELS, VALUES], ids=["labels", "values"])
def test_score_of_no_rows_is_nan_or_refused(y):
    """NumPy warns of nothing."""
    net = fitted(y=y)
    with contextlib.suppress(ValueError):
        assert np.isnan(net.score(X[:0], y[:0]))
    with contextlib.suppress(ValueError):
        history = net.fit(X, y, validation_data=(X[:0], y[:0]), **OPTIONS)
        assert np.isnan(history.validation_score).all() and len(history.validation_loss) == 3
