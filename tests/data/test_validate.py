"""Numbers, lists and weights of samples, and errors that name the argument."""

from fractions import Fraction

import numpy as np
import pytest

from fastbp import Network
from fastbp.data import parameters
from fastbp.data.weights import checked_class_weights, sample_weights
from fastbp.options import checks
from refusals import assert_refused

FLOAT32, FLOAT64 = np.dtype("f4"), np.dtype("f8")
X = np.random.default_rng(0).normal(size=(25, 6))
LABELS = np.arange(25) % 3


def fit(net=None, X=X, y=LABELS, **options):
    net = Network([6, 3], seed=0) if net is None else net
    return net.fit(X, y, **{"epochs": 2, "batch_size": 7, "learning_rate": 0.5, **options})


def masked(array):
    return np.ma.array(array, mask=np.zeros(np.shape(array), bool))


def with_weights(net, weights, biases=None):
    net.weights = weights
    net.biases = net.biases if biases is None else biases
    return net


COLUMN, TARGET = np.zeros((6, 1)), np.zeros((3, 1))
NET = Network([6, 3], seed=0)
OPTIONS = {"activation": ["tanh", "relu"]}

REFUSED = {  # name -> (call, error, words of its message)
    # numbers
    "number: text": (lambda: checks.number("eta", "3"), TypeError, "eta: expected a number, got '3'"),
    "number: array": (lambda: checks.number("eta", np.ones(2)), TypeError, "eta: expected a number"),
    "number: huge": (lambda: checks.number("eta", 10**400), TypeError, "eta: expected a number"),
    "positive: text": (
        lambda: fit(learning_rate="0.5"),
        TypeError,
        "learning_rate: expected a number, got '0.5'",
    ),
    "nonnegative": (
        lambda: checks.nonnegative("l2", -0.1),
        ValueError,
        "l2: expected",
        "at least 0",
        "got -0.1",
    ),
    "nonnegative: nan": (lambda: checks.nonnegative("l2", np.nan), ValueError, "l2: expected", "got nan"),
    "nonnegative: inf": (lambda: checks.nonnegative("l2", np.inf), ValueError, "l2: expected", "got inf"),
    "nonnegative: text": (lambda: checks.nonnegative("l2", "1"), TypeError, "l2: expected a number", "'1'"),
    "rate: one": (lambda: checks.rate("dropout", 1), ValueError, "dropout: expected", "below 1", "got 1.0"),
    "rate: negative": (lambda: checks.rate("dropout", -0.5), ValueError, "dropout: expected", "got -0.5"),
    "rate: nan": (lambda: checks.rate("dropout", np.nan), ValueError, "dropout: expected", "got nan"),
    "layers": (
        lambda: checks.layers("dropout", [1, 2, 3], 2),
        ValueError,
        "one value, or 2",
        "got 3: [1, 2, 3]",
    ),
    # the network
    "activation: count": (
        lambda: Network([6, 5, 3], **OPTIONS),
        ValueError,
        "activation: expected",
        "1",
        "got 2",
    ),
    "activation: name": (
        lambda: Network([6, 5, 4, 3], activation=["tanh", "step"]),
        ValueError,
        "activation: expected one of 'sigmoid'",
        "got 'step'",
    ),
    "activation: other depth": (
        lambda: with_weights(Network([6, 5, 4, 3], **OPTIONS), [np.ones((3, 6))], [np.ones((3, 1))]).predict(
            X
        ),
        ValueError,
        "activation: expected one value, or 0",
        "got 2",
    ),
    "divisor: small": (
        lambda: Network([6, 3], uint8_divisor=1e-37, dtype="float32"),
        ValueError,
        "uint8_divisor: expected 7.49e-37 to 8.51e+37 for float32, got 1e-37",
    ),
    "divisor: large": (
        lambda: Network([6, 3], uint8_divisor=1e38, dtype="float32"),
        ValueError,
        "uint8_divisor: expected",
        "got 1e+38",
    ),
    "divisor: float64": (
        lambda: Network([6, 3], uint8_divisor=1e-307),
        ValueError,
        "uint8_divisor: expected 1.42e-306 to 4.49e+307 for float64, got 1e-307",
    ),
    # masks
    "X: masked": (lambda: fit(X=masked(X)), TypeError, "X: expected an array without a mask", ".filled("),
    "y: masked labels": (lambda: fit(y=masked(LABELS)), TypeError, "y: expected an array without a mask"),
    "y: masked values": (lambda: fit(y=masked(X[:, :3])), TypeError, "y: expected an array without a mask"),
    "predict: masked": (lambda: NET.predict(masked(X)), TypeError, "X: expected an array without a mask"),
    "score: masked": (lambda: NET.score(X, masked(LABELS)), TypeError, "y: expected an array without a mask"),
    "validation: masked": (
        lambda: fit(validation_data=(masked(X), LABELS)),
        TypeError,
        "validation_X: expected an array without a mask",
    ),
    "feedforward: masked": (
        lambda: NET.feedforward(masked(COLUMN)),
        TypeError,
        "a: expected an array without",
    ),
    "weights: masked": (
        lambda: with_weights(Network([6, 3]), [masked(np.ones((3, 6)))]).predict(X),
        TypeError,
        "weights[0]: expected an array without a mask",
    ),
    "biases: masked": (
        lambda: with_weights(Network([6, 3]), [np.ones((3, 6))], [masked(TARGET)]).feedforward(COLUMN),
        TypeError,
        "biases[0]: expected an array without a mask",
    ),
    "SGD: masked x": (
        lambda: Network([6, 3]).SGD([(masked(COLUMN), TARGET)], 1, 1, 0.5),
        TypeError,
        "training_data x: expected an array without a mask",
    ),
    "SGD: masked x of pixels": (
        lambda: Network([6, 3]).SGD([(masked(COLUMN), TARGET)], 3, 1, 0.5),
        TypeError,
        "training_data x: expected an array without a mask",
    ),
    "SGD: masked y": (
        lambda: Network([6, 3]).SGD([(COLUMN, TARGET), (COLUMN, masked(TARGET))], 1, 1, 0.5),
        TypeError,
        "training_data y: expected an array without a mask",
    ),
    # arrays
    "X: ragged": (
        lambda: NET.predict([[1.0] * 6, [1.0]]),
        ValueError,
        "X: expected an array",
        "unequal lengths",
    ),
    "weights: ragged": (
        lambda: with_weights(Network([2, 2]), [[[1.0, 2.0], [3.0]]]).predict(X[:, :2]),
        ValueError,
        "weights[0]: expected an array, got lists of unequal lengths",
    ),
    "weights: text": (
        lambda: with_weights(Network([1, 1]), [[["1"]]]).predict(X[:, :1]),
        TypeError,
        "weights[0]: expected numbers, got dtype <U1",
    ),
    # callbacks
    "callbacks: number": (lambda: fit(callbacks=3), TypeError, "callbacks: expected functions", "got 3"),
    "callbacks: list": (
        lambda: fit(callbacks=[print, "x"]),
        TypeError,
        "callbacks: expected functions",
        "got 'x'",
    ),
    # weights of samples and classes
    "sample_weight: shape": (
        lambda: sample_weights(np.ones((25, 1)), 25),
        ValueError,
        "sample_weight: expected shape (25,), one per row of X, got (25, 1)",
    ),
    "sample_weight: negative": (
        lambda: sample_weights([1, 2, -3], 3),
        ValueError,
        "sample_weight[2]: expected a finite number of at least 0, got -3",
    ),
    "sample_weight: nan": (
        lambda: sample_weights([1, np.nan], 2),
        ValueError,
        "sample_weight[1]",
        "nan",
    ),
    "sample_weight: inf": (
        lambda: sample_weights([np.inf, 1], 2),
        ValueError,
        "sample_weight[0]",
        "inf",
    ),
    "sample_weight: text": (
        lambda: sample_weights(["1"], 1),
        TypeError,
        "sample_weight[0]: expected a number, got '1'",
    ),
    "sample_weight: masked": (
        lambda: sample_weights(masked([1]), 1),
        TypeError,
        "sample_weight",
        "mask",
    ),
    "class_weight: name": (
        lambda: checked_class_weights("equal", LABELS, (0, 1, 2)),
        TypeError,
        "class_weight: expected a dict of label to weight or 'balanced', got 'equal'",
    ),
    "class_weight: list": (
        lambda: checked_class_weights([1, 2, 3], LABELS, (0, 1, 2)),
        TypeError,
        "class_weight: expected",
    ),
    "class_weight: label": (
        lambda: checked_class_weights({3: 1.0}, LABELS, (0, 1, 2)),
        ValueError,
        "class_weight: expected labels 0, 1, 2, got 3",
    ),
    "class_weight: text": (
        lambda: checked_class_weights({"a": 1.0}, LABELS, (0, 1, 2)),
        ValueError,
        "class_weight: expected labels 0, 1, 2, got 'a'",
    ),
    "class_weight: negative": (
        lambda: checked_class_weights({1: -1.0}, LABELS, (0, 1, 2)),
        ValueError,
        "class_weight[1]: expected a finite number of at least 0, got -1.0",
    ),
    # first weights
    "init: no list": (
        lambda: parameters.initial_arrays(3, [6, 3], FLOAT64),
        ValueError,
        "init: expected a name, or 1 arrays",
    ),
    "init: count": (
        lambda: parameters.initial_arrays([np.ones((3, 6))], [6, 3, 2], FLOAT64),
        ValueError,
        "init: expected a name, or 2 arrays",
        "got 1",
    ),
    "init: shape": (
        lambda: parameters.initial_arrays([np.ones((6, 3))], [6, 3], FLOAT64),
        ValueError,
        "init[0]: expected shape (3, 6), got (6, 3)",
    ),
    "init: nan": (
        lambda: parameters.initial_arrays([np.ones((1, 1)), [[np.nan]]], [1, 1, 1], FLOAT64),
        ValueError,
        "init[1][0, 0]: expected a finite float64, got nan",
    ),
    "init: too large": (
        lambda: parameters.initial_arrays([[[1e39]]], [1, 1], FLOAT32),
        ValueError,
        "init[0][0, 0]: expected a finite float32, got 1e+39",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    assert_refused(*REFUSED[case])


@pytest.mark.parametrize(
    "value", [0.5, np.float32(0.5), np.array(0.5), np.array([[0.5]]), Fraction(1, 2)], ids=repr
)
def test_numbers(value):
    for check in (checks.number, checks.positive, checks.nonnegative, checks.rate):
        found = check("name", value)
        assert type(found) is float and found == 0.5


def test_bounds_of_numbers():
    assert checks.nonnegative("l2", 0) == checks.rate("dropout", 0) == 0
    assert checks.nonnegative("l2", 1e300) == 1e300
    assert checks.rate("dropout", 0.999) == 0.999
    assert checks.number("eta", -np.inf) == -np.inf


def test_layers():
    assert checks.layers("dropout", 0.5, 3) == (0.5, 0.5, 0.5)
    assert checks.layers("dropout", [0.1, 0.2], 2) == checks.layers("dropout", (0.1, 0.2), 2) == (0.1, 0.2)
    assert checks.layers("activation", "relu", 2) == ("relu", "relu")
    assert checks.layers("activation", "relu", 0) == checks.layers("activation", [], 0) == ()


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64])
def test_divisors_up_to_the_bounds_divide_to_the_last_bit(dtype):
    limits = np.finfo(dtype)
    pixels = np.arange(256, dtype=np.uint8)[:, None]
    for divisor in (256 / float(limits.max), 0.7 / float(limits.tiny), 255.0):
        net = Network([1, 1], dtype=dtype, output_activation="linear", uint8_divisor=divisor)
        net.weights, net.biases = [np.ones((1, 1))], [np.zeros((1, 1))]
        expected = np.divide(pixels, divisor, dtype=dtype)
        assert np.isfinite(expected).all() and expected[1] > 0
        assert net.outputs(pixels).tobytes() == expected.tobytes()


CALLBACKS = {
    "function": lambda call: call,
    "list": lambda call: [call],
    "tuple": lambda call: (call,),
    "generator": lambda call: (each for each in [call]),
    "none of them": lambda call: (),
}


@pytest.mark.parametrize("kind", CALLBACKS)
def test_callbacks(kind):
    """Each after every epoch, also where they come from a generator."""
    calls = []
    fit(callbacks=CALLBACKS[kind](lambda net, history: calls.append(len(history.loss))))
    assert calls == ([] if kind == "none of them" else [1, 2])


def test_activations_one_a_layer():
    net = Network([6, 5, 4, 3], seed=0, activation=("tanh", "relu"), output_activation="linear")
    a = np.tanh(net.weights[0] @ X.T + net.biases[0])
    a = np.maximum(net.weights[1] @ a + net.biases[1], 0)
    expected = net.weights[2] @ a + net.biases[2]
    np.testing.assert_allclose(net.feedforward(X.T), expected, rtol=1e-12)
    np.testing.assert_allclose(net.outputs(X), expected.T, rtol=1e-12)


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "int64", "uint8", "bool", ">f8"])
def test_sample_weights(kind):
    given = np.array([0, 1, 1, 3]).astype(kind)
    found = sample_weights(given, 4)
    assert found.dtype == np.float64 and found.flags.c_contiguous
    assert found.tolist() == given.astype(float).tolist()
    assert not np.shares_memory(found, given)


def test_class_weights_by_a_dict():
    found = checked_class_weights({0: 2, np.int64(2): 0.5}, LABELS, (0, 1, 2))
    assert found.dtype == np.float64
    assert found.tolist() == [2.0, 1.0, 0.5]


@pytest.mark.parametrize("classes", [3, 5])
def test_balanced_class_weights(classes):
    """Weights are n / (classes seen * samples of the class), or 1 without any, as in scikit-learn."""
    labels = np.array([0, 0, 0, 2, 2, 1])
    found = checked_class_weights("balanced", labels, range(classes))
    np.testing.assert_allclose(found, [2 / 3, 2, 1, 1, 1][:classes])
    assert found[labels].mean() == pytest.approx(1)
    assert checked_class_weights("balanced", labels[:0], range(classes)).tolist() == [1.0] * classes


def test_initial_arrays():
    given = [np.ones((3, 6), "f4"), [[1, 2, 3]]]
    found = parameters.initial_arrays(given, [6, 3, 1], FLOAT64)
    assert [w.dtype for w in found] == [FLOAT64] * 2
    assert [w.shape for w in found] == [(3, 6), (1, 3)] and found[1].tolist() == [[1, 2, 3]]
    same = np.ones((3, 6))
    assert not np.shares_memory(parameters.initial_arrays([same], [6, 3], FLOAT64)[0], same)
