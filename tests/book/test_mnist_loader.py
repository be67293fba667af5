"""The book's loader: lists, types, pixel values and independence of its samples."""

import random
from pathlib import Path

import numpy as np
import pytest

from fastbp.compat import mnist_loader
from fastbp.datasets import load_mnist

SIZES = (50_000, 10_000, 10_000)


@pytest.fixture(scope="module")
def mnist():
    return load_mnist()


@pytest.fixture(scope="module")
def data():
    return mnist_loader.load_data()


@pytest.fixture(scope="module")
def wrapped():
    return mnist_loader.load_data_wrapper()


def test_load_data(data, mnist):
    assert len(data) == len(mnist)
    for (X, y), part, n in zip(data, mnist, SIZES, strict=True):
        assert X.shape == (n, 784) and X.dtype == np.float32
        assert y.shape == (n,) and y.dtype == np.int64
        assert np.array_equal(X.astype(np.float64) * 256, part.X)  # the bytes, exactly
        assert np.array_equal(y, part.y)
        assert (X.min(), X.max()) == (0.0, 0.99609375)


def test_wrapper_returns_lists_of_pairs(wrapped):
    assert isinstance(wrapped, tuple) and [type(samples) for samples in wrapped] == [list, list, list]
    assert tuple(map(len, wrapped)) == SIZES
    for samples in wrapped:
        assert all(type(sample) is tuple for sample in samples)
        assert {(x.shape, x.dtype.name) for x, _ in samples} == {((784, 1), "float32")}


def test_wrapper_holds_every_sample_in_order(wrapped, data):
    for samples, (X, _) in zip(wrapped, data, strict=True):
        assert np.array_equal(np.hstack([x for x, _ in samples]).T, X)


def test_training_targets_are_one_hot_columns(wrapped, data):
    targets = [y for _, y in wrapped[0]]
    assert {(y.shape, y.dtype.name) for y in targets} == {((10, 1), "float64")}
    assert np.array_equal(np.hstack(targets), np.arange(10)[:, np.newaxis] == data[0][1])


def test_other_targets_are_numpy_integers(wrapped, data):
    for samples, (_, y) in zip(wrapped[1:], data[1:], strict=True):
        assert {type(label) for _, label in samples} == {np.int64}
        assert [label for _, label in samples] == y.tolist()


def test_samples_are_independent():
    training_data, validation_data, _ = mnist_loader.load_data_wrapper()
    like = next(i for i, (_, y) in enumerate(training_data) if i and np.array_equal(y, training_data[0][1]))
    for samples in training_data, validation_data:
        kept = samples[1][0].copy()
        samples[0][0][...] = 7.0
        assert np.array_equal(samples[1][0], kept)
    training_data[0][1][...] = 7.0
    assert training_data[like][1].sum() == 1.0  # the same digit, another array
    (x, y), *_ = mnist_loader.load_data_wrapper()[0]
    assert x.max() < 1.0 and y.sum() == 1.0  # and nothing is remembered between calls


def test_samples_serve_the_books_idioms(wrapped):
    training_data = list(wrapped[0])
    first = training_data[0]
    assert len(training_data[:1000]) == len(training_data[-1000:])
    random.Random(0).shuffle(training_data)
    assert any(sample is first for sample in training_data) and training_data[0] is not first
    x, y = first
    assert x.flags.c_contiguous and y.flags.c_contiguous
    assert np.dot(np.ones((30, 784)), x).shape == (30, 1)


@pytest.mark.parametrize("path", ["mnist.pkl.gz", "../data/mnist.pkl.gz", Path("no/such/mnist_py3k.pkl.gz")])
def test_path_of_the_books_file(path, data, wrapped):
    """The ports' argument; the file need not be there."""
    for (X, y), (X_too, y_too) in zip(data, mnist_loader.load_data(path), strict=True):
        assert np.array_equal(X, X_too) and np.array_equal(y, y_too)
    (x, y), *_ = mnist_loader.load_data_wrapper(path)[0]
    assert np.array_equal(x, wrapped[0][0][0]) and np.array_equal(y, wrapped[0][0][1])


@pytest.mark.parametrize("path", ["../data/mnist_expanded.pkl.gz", "fashion.pkl.gz", Path("data")])
@pytest.mark.parametrize("load", [mnist_loader.load_data, mnist_loader.load_data_wrapper])
def test_path_of_other_data_is_refused(load, path):
    with pytest.raises(ValueError, match=r"path: expected that of mnist\.pkl\.gz") as caught:
        load(path)
    assert repr(path) in str(caught.value)


@pytest.mark.parametrize("j", [*range(10), -1, -10])
def test_vectorized_result(j):
    e = mnist_loader.vectorized_result(j)
    assert e.shape == (10, 1) and e.dtype == np.float64
    assert e.ravel().tolist() == [float(row == j % 10) for row in range(10)]


@pytest.mark.parametrize("j", [10, -11])
def test_vectorized_result_out_of_range(j):
    with pytest.raises(IndexError):
        mnist_loader.vectorized_result(j)
