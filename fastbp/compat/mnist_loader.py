"""The book's `mnist_loader`, reading the MNIST that fastbp ships.

    from fastbp.compat import mnist_loader
    training_data, validation_data, test_data = mnist_loader.load_data_wrapper()

The pixels are those of the book's pickle, ``mnist.pkl.gz``: MNIST's bytes divided by 256, not 255,
as float32. They begin at 0 and end at 255 / 256 = 0.99609375.
"""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.compat import checks
from fastbp.datasets import Part, load_mnist

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

N_DIGITS = 10


def load_data(
    path: str | os.PathLike[str] | None = None,
) -> tuple[tuple[Float32, Int64], tuple[Float32, Int64], tuple[Float32, Int64]]:
    """Load MNIST as arrays.

    Parameters
    ----------
    path : path of ``mnist.pkl.gz``, optional
        What some ports of the book's loader take.  The file is not read and need not be there, for its digits
        are those that fastbp ships.  ``mnist.pkl`` and ``mnist_py3k.pkl.gz`` are known, too.

    Returns
    -------
    training_data, validation_data, test_data : tuple of (X, y)
        50,000, 10,000 and 10,000 samples. X is float32 of shape (n, 784), a byte u of MNIST being u / 256;
        y is int64 of shape (n,), the digits.

    Raises
    ------
    ValueError
        `path` has another name, so that it may hold other data.
    OSError, ValueError
        A file of the installed package is missing or damaged; see `fastbp.datasets.load_mnist`.

    Examples
    --------
    >>> training_data, validation_data, test_data = load_data()
    >>> X, y = training_data
    >>> X.shape, float(X.max()), y[:5].tolist()
    ((50000, 784), 0.99609375, [5, 0, 4, 1, 9])
    """
    checks.path_of_digits(path)
    training, validation, test = load_mnist()
    return _scaled(training), _scaled(validation), _scaled(test)


def load_data_wrapper(
    path: str | os.PathLike[str] | None = None,
) -> tuple[list[tuple[Float32, Float64]], list[tuple[Float32, np.int64]], list[tuple[Float32, np.int64]]]:
    """Load MNIST as lists of samples, the form `Network.SGD` takes.

    Parameters
    ----------
    path : path of ``mnist.pkl.gz``, optional
        As `load_data` takes it.

    Returns
    -------
    training_data : list of 50,000 tuples (x, y)
        x is float32 of shape (784, 1), see `load_data`; y is the digit as `vectorized_result` gives it.
    validation_data, test_data : list of 10,000 tuples (x, y) each
        x likewise; y is the digit itself, a numpy.int64.

    The arrays share no element with one another, though they are views of a few large blocks.

    Raises
    ------
    ValueError
        `path` has another name, so that it may hold other data.
    OSError, ValueError
        A file of the installed package is missing or damaged; see `fastbp.datasets.load_mnist`.

    Examples
    --------
    >>> training_data, validation_data, test_data = load_data_wrapper()
    >>> x, y = training_data[0]
    >>> x.shape, y.shape, int(y.argmax()), int(test_data[0][1])
    ((784, 1), (10, 1), 5, 7)
    """
    (X, y), validation, test = load_data(path)
    return (
        list(zip(_columns(X), _columns(np.eye(N_DIGITS)[y]), strict=True)),
        _samples(*validation),
        _samples(*test),
    )


def vectorized_result(j: int) -> Float64:
    """Return the target for digit `j`: 1.0 in row `j`, 0.0 in the others.

    Parameters
    ----------
    j : int
        From 0 to 9; as in the book, -10 to -1 count from the end.

    Returns
    -------
    ndarray of float64, shape (10, 1)

    Raises
    ------
    IndexError
        `j` is out of range.

    Examples
    --------
    >>> vectorized_result(3).ravel().tolist()
    [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    e = np.zeros((N_DIGITS, 1))
    e[j] = 1.0
    return e


def _scaled(part: Part) -> tuple[Float32, Int64]:
    return np.divide(part.X, 256.0, dtype=np.float32), part.y


def _samples(X: Float32, y: Int64) -> list[tuple[Float32, np.int64]]:
    return list(zip(_columns(X), y, strict=True))


def _columns(rows: NDArray[Any]) -> list[NDArray[Any]]:
    """Each row as a column, a view."""
    return list(rows[:, :, np.newaxis])
