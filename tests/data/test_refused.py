"""Errors about data, and their messages."""

import numpy as np
import pytest

from fastbp import Network
from refusals import assert_refused
from toy import LABELS, OPTIONS, SIZES, VALUES, N, X, bits, fitted, fresh


def with_cell(array, place, value):
    array = np.array(array, np.float64)
    array[place] = value
    return array


def fit_with(sizes=SIZES, dtype="float64", X=X, y=LABELS, **options):
    return fresh(sizes, dtype=dtype).fit(X, y, **{**OPTIONS, **options})


def network_of(weights, biases):
    net = fresh()
    net.weights = [np.zeros(shape) for shape in weights]
    net.biases = [np.zeros(shape) for shape in biases]
    return net


COLUMN, TARGET = np.zeros((6, 1)), np.zeros((3, 1))


def sgd(*pairs, **keywords):
    return fresh().SGD(list(pairs), 1, 2, 0.1, **keywords)


REFUSED = {
    # the network
    "sizes: floats": (lambda: Network([6, 2.5]), TypeError, "sizes: expected integers", "[6, 2.5]"),
    "sizes: number": (lambda: Network(6), TypeError, "sizes: expected integers", "got 6"),
    "sizes: none": (lambda: Network([]), ValueError, "sizes: expected at least one layer", "got []"),
    "sizes: zero": (lambda: Network([6, 0, 3]), ValueError, "at least 1 neuron", "got [6, 0, 3]"),
    "activation": (lambda: fresh(activation="step"), ValueError, "activation:", "'tanh'", "got 'step'"),
    "output": (
        lambda: fresh(output_activation=["relu"]),
        ValueError,
        "output_activation:",
        "'sigmoid'",
        "['relu']",
    ),
    "dtype: half": (lambda: fresh(dtype="float16"), ValueError, "'float32' or 'float64'", "got 'float16'"),
    "dtype: swapped": (lambda: fresh(dtype=">f8"), ValueError, "'float32' or 'float64'", "got '>f8'"),
    "dtype: no such": (lambda: fresh(dtype="real"), ValueError, "'float32' or 'float64'", "got 'real'"),
    "seed: float": (lambda: fresh(seed=1.0), TypeError, "seed: expected an integer", "got 1.0"),
    "seed: negative": (lambda: fresh(seed=-1), ValueError, "seed: expected at least 0", "got -1"),
    "divisor: zero": (lambda: fresh(uint8_divisor=0), ValueError, "uint8_divisor:", "above 0", "got 0"),
    "divisor: text": (lambda: fresh(uint8_divisor="x"), TypeError, "uint8_divisor: expected a number", "'x'"),
    "weights: none": (lambda: Network([6]).predict(X), ValueError, "weights, biases", "0 and 0"),
    "weights: count": (
        lambda: network_of([(9, 6), (3, 9)], [(9, 1)]).predict(X),
        ValueError,
        "weights, biases",
        "2 and 1",
    ),
    "weights: vector": (
        lambda: network_of([(6,)], [(6, 1)]).predict(X),
        ValueError,
        "weights[0]",
        "got (6,)",
    ),
    "weights: chain": (
        lambda: network_of([(9, 6), (3, 8)], [(9, 1), (3, 1)]).predict(X),
        ValueError,
        "weights[1]: expected shape (outputs, 9)",
        "got (3, 8)",
    ),
    "biases": (
        lambda: network_of([(9, 6), (3, 9)], [(9, 1), (4,)]).predict(X),
        ValueError,
        "biases[1]: expected shape (3, 1)",
        "got (4, 1)",
    ),
    # fit's numbers
    "epochs: float": (lambda: fit_with(epochs=1.5), TypeError, "epochs: expected an integer", "got 1.5"),
    "epochs: negative": (lambda: fit_with(epochs=-1), ValueError, "epochs: expected at least 0", "got -1"),
    "batch_size: zero": (
        lambda: fit_with(batch_size=0),
        ValueError,
        "batch_size: expected at least 1",
        "got 0",
    ),
    "batch_size: text": (lambda: fit_with(batch_size="9"), TypeError, "batch_size: expected an int", "'9'"),
    "rate: zero": (lambda: fit_with(learning_rate=0), ValueError, "learning_rate:", "above 0", "got 0"),
    "rate: negative": (lambda: fit_with(learning_rate=-1), ValueError, "learning_rate:", "got -1"),
    "rate: nan": (lambda: fit_with(learning_rate=np.nan), ValueError, "learning_rate:", "finite", "got nan"),
    "rate: inf": (lambda: fit_with(learning_rate=np.inf), ValueError, "learning_rate:", "finite", "got inf"),
    "threads: zero": (lambda: fit_with(threads=0), ValueError, "threads: expected at least 1", "got 0"),
    "threads: text": (lambda: fit_with(threads="all"), TypeError, "threads: expected an integer", "'all'"),
    # X
    "X: width": (lambda: fit_with(X=X[:, :5]), ValueError, "X: expected shape (samples, 6)", "got (25, 5)"),
    "X: one sample": (lambda: fit_with(X=X[0]), ValueError, "got (6,)", "X.reshape(1, -1)"),
    "X: one feature": (
        lambda: fit_with([1, 3], X=X[:, 0]),
        ValueError,
        "X: expected shape (samples, 1)",
        "got (25,)",
        "X.reshape(-1, 1)",
    ),
    "X: cube": (lambda: fit_with(X=X.reshape(N, 2, 3)), ValueError, "expected shape", "got (25, 2, 3)"),
    "X: number": (lambda: fit_with(X=1.0), ValueError, "X: expected shape", "got ()"),
    "X: text": (lambda: fit_with(X=X.astype(str)), TypeError, "X[0, 0]: expected a number", "got '3.0'"),
    "X: bytes": (lambda: fit_with(X=X.astype("S")), TypeError, "X[0, 0]: expected a number", "got b'3.0'"),
    "X: text in a list": (
        lambda: fit_with(X=[*X[:-1].tolist(), [0, 1, 2, "x", 4, 5]]),
        TypeError,
        f"X[{N - 1}, 3]: expected a number",
        "got 'x'",
    ),
    "X: none in a list": (
        lambda: fit_with(X=[*X[:-1].tolist(), [0, 1, 2, 3, None, 5]]),
        TypeError,
        f"X[{N - 1}, 4]: expected a number",
        "got None",
    ),
    "X: beyond float64": (
        lambda: fit_with(X=[*X[:-1].tolist(), [0, 1, 2, 3, 4, 10**400]]),
        ValueError,
        f"X[{N - 1}, 5]: expected a number within float64",
        "beyond 1e308",
    ),
    "X: objects": (
        lambda: fit_with(X=np.where(np.arange(N * 6).reshape(N, 6) == 20, "x", X.astype(object))),
        TypeError,
        "X[3, 2]: expected a number",
        "got 'x'",
    ),
    "X: complex": (lambda: fit_with(X=X + 1j), TypeError, "X: expected numbers", "dtype complex128"),
    "X: dates": (lambda: fit_with(X=X.astype("M8[s]")), TypeError, "X: expected numbers", "datetime64"),
    "X: NaN": (
        lambda: fit_with(X=with_cell(X, (4, 2), np.nan)),
        ValueError,
        "X[4, 2]: expected a finite float64, got nan; fill missing numbers first, by sklearn.impute",
    ),
    "X: inf": (
        lambda: fit_with(X=with_cell(X, (24, 5), np.inf)),
        ValueError,
        "X[24, 5]",
        "finite",
        "got inf",
    ),
    "X: -inf": (lambda: fit_with(X=with_cell(X, (0, 0), -np.inf)), ValueError, "X[0, 0]", "got -inf"),
    "X: too large": (
        lambda: fit_with(dtype="float32", X=with_cell(X, (3, 1), 1e39)),
        ValueError,
        "X[3, 1]: expected a finite float32",
        "got 1e+39",
    ),
    "predict: width": (lambda: fresh().predict(X[:, :2]), ValueError, "(samples, 6)", "got (25, 2)"),
    "predict_proba: NaN": (
        lambda: fresh().outputs(with_cell(X, (1, 1), np.nan)),
        ValueError,
        "X[1, 1]",
        "got nan",
    ),
    "score: length": (
        lambda: fresh().score(X, LABELS[1:]),
        ValueError,
        "y: expected 25 labels",
        "got shape (24,)",
    ),
    # y
    "y: length": (
        lambda: fit_with(y=LABELS[:9]),
        ValueError,
        "y: expected 25 labels or shape (25, 3)",
        "X has 25 rows",
        "got shape (9,)",
    ),
    "y: number": (lambda: fit_with(y=1), ValueError, "y: expected 25 labels", "got shape ()"),
    "y: cube": (lambda: fit_with(y=np.zeros((N, 3, 1))), ValueError, "y: expected 25", "(25, 3, 1)"),
    "y: width": (
        lambda: fit_with(y=VALUES[:, :2]),
        ValueError,
        "y: expected shape (25, 3) for a network of 3 outputs",
        "got (25, 2)",
        "labels have shape (25,)",
    ),
    "y: column of labels": (lambda: fit_with(y=LABELS[:, None]), ValueError, "got (25, 1)", "shape (25,)"),
    "y: too large a label": (
        lambda: fit_with(y=with_cell(LABELS, 5, 3).astype(int)),
        ValueError,
        "y[5]: expected a label 0 .. 2",
        "got 3",
    ),
    "y: negative": (lambda: fit_with(y=with_cell(LABELS, 24, -1).astype(int)), ValueError, "y[24]", "got -1"),
    "y: fraction": (
        lambda: fit_with(y=with_cell(LABELS, 7, 1.5)),
        ValueError,
        "y[7]: expected a label",
        "1.5",
    ),
    "y: NaN label": (lambda: fit_with(y=with_cell(LABELS, 2, np.nan)), ValueError, "y[2]: expected", "nan"),
    "y: inf label": (lambda: fit_with(y=with_cell(LABELS, 0, np.inf)), ValueError, "y[0]: expected", "inf"),
    "y: huge label": (
        lambda: fit_with(y=np.full(N, 2**64 - 1, np.uint64)),
        ValueError,
        "y[0]: expected",
        "18446744073709551615",
    ),
    "y: too many texts": (
        lambda: fit_with(y=X[:, 0].astype(str)),
        ValueError,
        "y: expected 3 different labels for 3 outputs, got ",
    ),
    "y: too many texts for two classes": (
        lambda: fit_with([6, 1], y=LABELS.astype(str)),
        ValueError,
        "y: expected 2 different labels for 1 outputs, got 3: '0', '1', '2'",
    ),
    "y: NaN value": (lambda: fit_with(y=with_cell(VALUES, (8, 1), np.nan)), ValueError, "y[8, 1]", "nan"),
    "y: NaN for one output": (
        lambda: fit_with([6, 1], y=with_cell(LABELS, 6, np.nan)),
        ValueError,
        "y[6, 0]: expected a finite float64",
        "got nan",
    ),
    "y: too large": (
        lambda: fit_with(dtype="float32", y=with_cell(VALUES, (2, 2), 1e300)),
        ValueError,
        "y[2, 2]: expected a finite float32",
        "got 1e+300",
    ),
    # validation data
    "validation: X": (
        lambda: fit_with(validation_data=(X[:, :2], LABELS)),
        ValueError,
        "validation_X: expected shape (samples, 6)",
        "got (25, 2)",
    ),
    "validation: y": (
        lambda: fit_with(validation_data=(X, LABELS + 1)),
        ValueError,
        "validation_y[2]: expected a label 0 .. 2",
        "got 3",
    ),
    "validation: not a pair": (
        lambda: fit_with(validation_data=(X,)),
        (TypeError, ValueError),
        "validation_data",
    ),
    # the seed's surface
    "feedforward: vector": (
        lambda: fresh().feedforward(np.zeros(6)),
        ValueError,
        "a: expected shape (6, 1) or (6, m)",
        "got (6,)",
        "a.reshape(-1, 1)",
    ),
    "SGD: not pairs": (lambda: sgd((COLUMN,)), ValueError, "training_data: expected a list of pairs"),
    "SGD: x": (
        lambda: sgd((COLUMN, TARGET), (COLUMN[:4], TARGET)),
        ValueError,
        "training_data[1]: expected x of shape (6, 1)",
        "got (4, 1)",
    ),
    "SGD: y": (
        lambda: sgd((COLUMN, 2)),
        ValueError,
        "training_data[0]: expected y of shape (3, 1)",
        "got ()",
        "vectorized_result",
    ),
    "SGD: text": (
        lambda: sgd((COLUMN.astype(str), TARGET)),
        TypeError,
        "training_data x[0, 0]: expected a number",
        "got '0.0'",
    ),
    "SGD: test data": (
        lambda: sgd((COLUMN, TARGET), test_data=[(COLUMN[:2], 1)]),
        ValueError,
        "test_data[0]: expected x of shape (6, 1)",
        "got (2, 1)",
    ),
    "evaluate: not pairs": (lambda: fresh().evaluate([3]), ValueError, "test_data: expected a list of pairs"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    assert_refused(*REFUSED[case])


@pytest.mark.parametrize(
    "given", [{"X": X[:, :2]}, {"y": np.arange(N) % 4}, {"validation_data": (X, LABELS + 1)}]
)
def test_refused_data_change_nothing(given):
    net = fresh()
    with pytest.raises(ValueError):
        fitted(**{"net": net, **given})
    assert bits(fitted(net=net)) == bits(fitted())


def test_bad_cell_far_down_a_large_array():
    """Finite numbers are checked in blocks."""
    large = np.zeros((300_000, 6))
    large[299_999, 3] = np.nan
    with pytest.raises(ValueError, match=r"X\[299999, 3\]"):
        fresh().predict(large)
