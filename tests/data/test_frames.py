"""Frames of pandas and polars and sparse matrices of SciPy go in where arrays do, with the same bits."""

from decimal import Decimal

import numpy as np
import pandas
import polars
import pytest
from scipy import sparse

from fastbp import Network

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 3)) * (RNG.random((60, 3)) < 0.5)
LABELS = (X[:, 0] > 0).astype(np.int64)
NAMES = np.where(LABELS, "up", "down")
WEIGHTS = RNG.random(60)


def frame_of_pandas(X):
    return pandas.DataFrame(X, columns=["a", "b", "c"])


def frame_of_polars(X):
    return polars.DataFrame(dict(zip("abc", X.T, strict=True)))


def trained(make, column, dtype="float64"):
    """A network's parameters, predictions, score and gradient, of samples and columns made by those two."""
    net = Network([3, 8, 2], activation="tanh", dtype=dtype, seed=1)
    inputs, labels = make(X), column(NAMES)
    history = net.fit(
        inputs,
        labels,
        epochs=3,
        batch_size=7,
        learning_rate=0.5,
        validation_split=0.2,
        sample_weight=column(WEIGHTS),
    )
    net.partial_fit(inputs, labels, learning_rate=0.1)
    value, gradient = net.value_and_gradient(inputs, labels)
    return [
        net.parameters,
        net.predict(inputs),
        net.predict_proba(inputs),
        net.score(inputs, labels),
        history.val_loss,
        value,
        gradient,
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("make", "column"),
    [
        (frame_of_pandas, pandas.Series),
        (frame_of_polars, polars.Series),
        (sparse.csr_matrix, list),
        (sparse.coo_array, np.asarray),
        (lambda X: frame_of_pandas(X).convert_dtypes(), pandas.Series),
    ],
    ids=["pandas", "polars", "sparse matrix", "sparse array", "nullable"],
)
def test_the_same_bits_as_from_arrays(make, column, dtype):
    for given, wanted in zip(
        trained(make, column, dtype), trained(np.asarray, np.asarray, dtype), strict=True
    ):
        assert np.array_equal(given, wanted)


def test_columns_of_different_kinds_become_numbers():
    frame = pandas.DataFrame({"a": [0.5, 1.5], "b": [True, False], "c": pandas.array([3, 4], dtype="Int64")})
    net = Network([3, 2, 1], seed=0)
    assert np.array_equal(net.outputs(frame), net.outputs([[0.5, 1, 3], [1.5, 0, 4]]))


def test_sparse_columns_beside_nullable_ones_are_numbers():
    frame = pandas.DataFrame(
        {
            "a": pandas.arrays.SparseArray([0, 2, 0]),
            "b": pandas.arrays.SparseArray([0.5, 0.0, 0.0], fill_value=0.0),
            "c": pandas.arrays.SparseArray([False, True, False]),
            "d": pandas.array([1, 2, 3], dtype="Int64"),
        }
    )
    net = Network([4, 2, 1], seed=0)
    assert np.array_equal(net.outputs(frame), net.outputs([[0, 0.5, 0, 1], [2, 0, 1, 2], [0, 0, 0, 3]]))


@pytest.mark.parametrize(
    "rows",
    [
        np.array([[Decimal("1.5"), 5], [True, 6]], object),
        pandas.DataFrame({"a": pandas.Series([Decimal("1.5"), True], dtype=object), "b": [5, 6]}),
        pandas.DataFrame(
            {"a": pandas.Series([1.5, 1], dtype=object), "b": pandas.array([5, 6], dtype="Int64")}
        ),
        polars.DataFrame({"a": [Decimal("1.5"), Decimal(1)], "b": [5, 6]}),
    ],
    ids=["array", "pandas", "beside a nullable column", "polars"],
)
def test_objects_that_are_numbers_are_numbers(rows):
    net = Network([2, 2, 1], seed=0)
    assert np.array_equal(net.outputs(rows), net.outputs([[1.5, 5], [1, 6]]))


def test_a_column_of_nullable_numbers_is_values():
    y = pandas.Series(pandas.array([0.5, 1.5], dtype="Float64"))
    net = Network([1, 1], output_activation="linear", seed=0)
    net.fit([[0.0], [1.0]], y, epochs=1, batch_size=1)
    assert net.task == "value"


def test_sparse_bytes_are_divided_as_others_are():
    pixels = RNG.integers(0, 256, (5, 4), np.uint8)
    net = Network([4, 3], input_divisor=255, seed=0)
    assert np.array_equal(net.outputs(sparse.csr_matrix(pixels)), net.outputs(pixels.astype(float)))


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            pandas.DataFrame({"a": [1.0], "colour": ["red"]}),
            r"X\[(:, 'colour'\]: expected a column of numbers, got str|0, 'colour'\]: .* number, got 'red')",
        ),
        (
            pandas.DataFrame({"a": [1.0, 2.0], "b": pandas.array([1, None], dtype="Int64")}),
            r"X\[1, 'b'\]: expected a number, got a missing one; fill missing numbers first",
        ),
        (
            pandas.DataFrame({"a": [1.0, 2.0], "b": pandas.Series([3, "red"], dtype=object)}),
            r"X\[1, 'b'\]: expected a number, got 'red'",
        ),
        (
            pandas.DataFrame(
                {"a": pandas.arrays.SparseArray([0.0, np.nan]), "b": pandas.array([1, 2], "Int8")}
            ),
            r"X\[1, 'a'\]: expected a number, got a missing one",
        ),
        (
            pandas.DataFrame({"a": [1.0], "day": pandas.to_datetime(["2026-01-30"])}),
            r"X\[:, 'day'\]: expected a column of numbers, got datetime64",
        ),
        (
            pandas.DataFrame({"day": pandas.to_datetime(["2026-01-30"])}),
            r"X\[:, 'day'\]: expected a column of numbers, got datetime64",
        ),
        (np.array([[1, 2], [3, "red"]], object), r"X\[1, 1\]: expected a number, got 'red'"),
        ([[1, 2], [3, "red"]], r"X\[1, 1\]: expected a number, got 'red'"),
        (
            polars.DataFrame({"a": [1.0], "colour": ["red"]}),
            r"X\[:, 'colour'\]: expected a column of numbers, got String",
        ),
        (
            polars.DataFrame({"a": [1.0, 2.0], "b": [1, None]}),
            r"X\[1, 1\]: expected a finite float64, got nan",
        ),
        (sparse.csr_matrix(np.eye(3)), r"X: expected shape \(samples, 2\)"),
    ],
)
def test_what_is_no_number_is_named(frame, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Network([2, 1], seed=0).predict(frame)
