"""Frames of pandas and polars, and arrays of Python's objects, as arrays of numbers."""

from collections.abc import Iterable
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

_NUMBERS = (Real, np.bool_, Decimal)
_LARGEST = float(np.finfo(np.float64).max)


def are_numbers(cells: Iterable[Any]) -> bool:
    return all(isinstance(cell, _NUMBERS) for cell in cells)


def numbers_of_frame(values: Any, data: np.ndarray, name: str) -> np.ndarray:
    """Converts a frame to numbers, or one of its columns if that holds numbers.

    `data` is NumPy's array of it, of objects or times: pandas makes objects of columns of different kinds, of
    its nullable types, and of sparse columns beside others.
    """
    labels = getattr(values, "columns", None)
    if labels is None:
        types, cells, suffixes = [values.dtype], data[:, None], [""]
    else:
        types, cells, suffixes = list(values.dtypes), data, [f", {label!r}" for label in labels]
    for dtype, suffix in zip(types, suffixes, strict=True):
        if not _is_numeric(dtype) and labels is None:
            return data  # labels
        if not _is_numeric(dtype) and dtype != np.dtype(object):
            raise TypeError(f"{name}[:{suffix}]: expected a column of numbers, got {dtype}")
    missing = np.asarray(values.isna()).reshape(cells.shape) if hasattr(values, "isna") else np.zeros((0, 0))
    if missing.any():
        row, column = np.argwhere(missing)[0]
        where, hint = f"{name}[{row}{suffixes[column]}]", hint_if_missing(name, np.nan)
        raise ValueError(f"{where}: expected a number, got a missing one{hint}")
    kinds = []
    for dtype, suffix, column in zip(types, suffixes, cells.T, strict=True):
        # nullable columns have a numpy_dtype, sparse ones a subtype
        kind = getattr(dtype, "numpy_dtype", getattr(dtype, "subtype", dtype))
        is_plain = isinstance(kind, np.dtype) and kind != np.dtype(object)
        kinds.append(kind if is_plain else numbers_of_objects(column, name, suffix).dtype)
    return data.astype(np.result_type(*kinds))


def hint_if_missing(name: str, value: float) -> str:
    """What to do about a number of X that is missing, for the end of a message."""
    if value == value or not name.endswith("X"):
        return ""
    return "; fill missing numbers first, by sklearn.impute.SimpleImputer: docs/recipes.md, Missing numbers"


def _is_numeric(dtype: Any) -> bool:
    """Tells whether the type of a column, of NumPy, pandas or polars, is one of real numbers."""
    return getattr(dtype, "kind", "O") in "biuf" or (hasattr(dtype, "is_numeric") and dtype.is_numeric())


def numbers_of_objects(objects: np.ndarray, name: str, column: str = "") -> np.ndarray:
    """Converts Python's numbers to an integer type that holds all of them, else to float64.

    `column` names the column of a frame in messages.
    """
    cells = objects.ravel().tolist()
    for number, cell in enumerate(cells):
        good = isinstance(cell, _NUMBERS)
        if good and not (isinstance(cell, int) and abs(cell) > _LARGEST):
            continue
        where = ", ".join(map(str, np.unravel_index(number, objects.shape))) + column
        if not good:
            raise TypeError(f"{name}[{where}]: expected a number, got {cell!r}")
        raise ValueError(f"{name}[{where}]: expected a number within float64, got one beyond 1e308")
    plain = np.array(cells)
    if plain.dtype == object:
        plain = np.array([float(cell) for cell in cells])
    return plain.reshape(objects.shape)
