"""A part of a data set, the form in which every loader returns one."""

from typing import Any, NamedTuple

from numpy.typing import NDArray


class Part(NamedTuple):
    """Samples `X` and their targets `y`, row by row; unpacks as ``X, y = part``.

    Attributes
    ----------
    X : ndarray, shape (n, ...)
        One sample per row. IDX files, MNIST among them, give (n, pixels) in the file's own type.
    y : ndarray, shape (n, ...)
        One target per row. IDX files, MNIST among them, give labels: int64, shape (n,).

    Examples
    --------
    >>> import numpy as np
    >>> X, y = Part(X=np.zeros((3, 2)), y=np.array([0, 1, 1]))
    >>> X.shape, y.shape
    ((3, 2), (3,))
    """

    X: NDArray[Any]
    y: NDArray[Any]


def paired(X: NDArray[Any], y: NDArray[Any], X_name: str, y_name: str) -> Part:
    """Makes a Part of X and y, which must have as many rows each; their names are for the error."""
    if X.ndim == 0 or y.ndim == 0 or len(X) != len(y):
        raise ValueError(
            f"{X_name} has the shape {X.shape} and {y_name} the shape {y.shape}, "
            "expected as many rows in both, one per sample"
        )
    return Part(X, y)
