"""The book's data: lists of columns (x, y)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .arrays import array, as_numbers
from .targets import as_labels


def training_pairs(
    pairs: Sequence[Any],
    inputs: int,
    outputs: int,
    dtype: np.dtype,
    as_bytes: bool,
    name: str = "training_data",
) -> tuple[np.ndarray, np.ndarray, float]:
    """[(x (inputs, 1), y (outputs, 1))] as X (n, inputs), Y (n, outputs) and the divisor of bytes X.

    With `as_bytes`, pixels that were divided by 255 or 256 become bytes again; other numbers are unchanged.
    """
    xs, ys = _unzip(pairs, name)
    hint = "; mnist_loader.vectorized_result(j) makes it of j"
    y_columns = _columns(ys, outputs, name, "y", hint)
    Y = _stacked(y_columns, outputs, dtype, f"{name} y").astype(dtype, copy=False)
    columns = _columns(xs, inputs, name, "x")
    for divisor in _DIVISORS if as_bytes else ():
        X = _as_bytes(columns, inputs, divisor, dtype)
        if X is not None:
            return X, Y, divisor
    return _stacked(columns, inputs, dtype, f"{name} x"), Y, 1.0


def test_pairs(
    pairs: Sequence[Any], inputs: int, dtype: np.dtype, name: str = "test_data", outputs: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """[(x (inputs, 1), label)] as X (n, inputs), labels (n,); a one-hot label becomes its index.

    If `outputs` is not 0, each label must be below it.
    """
    xs, ys = _unzip(pairs, name)
    labels = np.asarray([label if np.ndim(label) == 0 else one_label(label) for label in ys])
    if outputs and len(labels):
        labels = as_labels(labels, outputs, name)
    columns = _columns(xs, inputs, name, "x")
    return _stacked(columns, inputs, dtype, f"{name} x"), labels


def label(value: Any, outputs: int, name: str) -> int:
    """The index of the output that a label stands for."""
    return int(as_labels(np.array([one_label(value)]), outputs, name)[0])


def one_label(label: Any) -> Any:
    values = np.asarray(label)
    return values.flat[0] if values.size == 1 else np.argmax(values)


def _unzip(pairs: Sequence[Any], name: str) -> tuple[list[Any], list[Any]]:
    try:
        return [x for x, _ in pairs], [y for _, y in pairs]
    except (TypeError, ValueError):
        raise ValueError(f"{name}: expected a list of pairs (x, y), got items such as {pairs[0]!r}") from None


def _columns(columns: list[Any], size: int, name: str, letter: str, hint: str = "") -> list[np.ndarray]:
    """Arrays of shape (size, 1)."""
    arrays = [
        column if type(column) is np.ndarray else array(column, f"{name} {letter}") for column in columns
    ]
    for i, column in enumerate(arrays):
        if column.shape != (size, 1) and not (size == 1 and column.size == 1):
            raise ValueError(f"{name}[{i}]: expected {letter} of shape ({size}, 1), got {column.shape}{hint}")
    return [column.reshape(1, 1) for column in arrays] if size == 1 else arrays


def _stacked(columns: list[np.ndarray], size: int, dtype: np.dtype, name: str) -> np.ndarray:
    if not columns:
        return np.empty((0, size), dtype)
    return np.ascontiguousarray(as_numbers(np.concatenate(columns).reshape(-1, size), dtype, name))


_DIVISORS = (256.0, 255.0)  # usual divisors of pixels

_AT_ONCE = 128  # columns that are turned to bytes together, so that they stay in cache


def _as_bytes(columns: list[np.ndarray], size: int, divisor: float, dtype: np.dtype) -> np.ndarray | None:
    """Bytes (n, size) whose quotients are bit-identical to the columns in `dtype`; None if there are none.

    A byte takes an eighth of the memory of a float64.
    """
    stored = columns[0].dtype if columns else dtype
    if stored.kind != "f" or not stored.isnative:
        return None
    stored_quotients, quotients = (np.divide(np.arange(256), divisor, dtype=kind) for kind in (stored, dtype))
    if (stored_quotients.astype(dtype) != quotients).any():
        return None
    X = np.empty((len(columns), size), np.uint8)
    for first in range(0, len(columns), _AT_ONCE):
        block = np.concatenate(columns[first : first + _AT_ONCE]).reshape(-1, size)
        if block.dtype != stored:
            return None
        with np.errstate(invalid="ignore", over="ignore"):
            scaled = np.multiply(block, divisor, dtype=stored)
            pixels = np.rint(scaled, out=scaled).astype(np.uint8)
        if not np.array_equal(np.divide(pixels, divisor, out=scaled, dtype=stored), block):
            return None
        X[first : first + len(block)] = pixels
    return X


def column_vectors(a: Any, inputs: int) -> np.ndarray:
    """Converts `a` to an array (inputs, m) with one sample per column."""
    columns = array(a, "a")
    if columns.ndim != 2 or columns.shape[0] != inputs:
        hint = "; a.reshape(-1, 1) makes a column of it" if columns.ndim == 1 else ""
        raise ValueError(f"a: expected shape ({inputs}, 1) or ({inputs}, m), got {columns.shape}{hint}")
    return columns
