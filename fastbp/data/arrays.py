"""Arrays of numbers from a user's lists, frames and arrays, and checks of every number in them."""

import math
import sys
import warnings
from typing import Any

import numpy as np

from .cells import hint_if_missing, numbers_of_frame, numbers_of_objects
from .sparse import Samples

_KEPT = tuple(map(np.dtype, ("uint8", "float32", "float64")))  # types that kernels read
_LARGEST = {np.dtype(name): np.finfo(name).max for name in ("float32", "float64")}
_FEW = 1 << 13  # most numbers whose sum of squares BLAS takes without threads
_CHECKED_AT_ONCE = 1 << 20  # numbers, so that a memory-mapped array is never in memory as a whole
_FIRST = 1 << 16  # numbers in the first rows, from which the kind of all numbers is inferred
_WHOLE_BY_CHANCE = 1 << 43  # a measured float64 of at least this size is often a whole number


def array(values: Any, name: str) -> np.ndarray:
    """Converts nested lists, frames of pandas and polars, and sparse matrices of SciPy to an array."""
    if type(values) is np.ndarray:
        return values
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(
            f"{name}: expected an array without a mask, got a masked array; "
            "remove masked values, or fill them by .filled(value)"
        )
    if hasattr(values, "toarray") and hasattr(values, "nnz"):
        return np.asarray(values.toarray())
    try:
        converted = np.asarray(values)
    except ValueError:  # NumPy on lists of unequal lengths
        raise ValueError(f"{name}: expected an array, got lists of unequal lengths") from None
    if converted.dtype.kind not in "biuf" and hasattr(values, "to_numpy"):
        return numbers_of_frame(values, converted, name)
    return converted


def plain_numbers(values: Any, name: str) -> np.ndarray:
    """An array of any of NumPy's types of real numbers."""
    numbers = array(values, name)
    if numbers.dtype.kind in "USO" and numbers.ndim:
        is_array = isinstance(values, np.ndarray) or hasattr(values, "to_numpy")
        numbers = numbers_of_objects(numbers.astype(object) if is_array else np.asarray(values, object), name)
    if numbers.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected numbers, got dtype {numbers.dtype}")
    return numbers


def as_numbers(values: Any, dtype: np.dtype, name: str) -> np.ndarray:
    """An array in one of the kept types and native byte order."""
    return kept_numbers(plain_numbers(values, name), dtype)


def kept_numbers(numbers: np.ndarray, dtype: np.dtype, scaled: bool = False) -> np.ndarray:
    """Numbers in one of the kept types: others in `dtype`, or in float64 where they will be `scaled`."""
    if numbers.dtype in _KEPT:
        return numbers
    native = numbers.dtype.newbyteorder("=")
    if native in _KEPT:
        return numbers.astype(native, copy=False)
    if native == np.float16:
        return numbers.astype(np.float32)
    return numbers.astype(np.float64 if scaled and not np.can_cast(native, np.float32) else dtype)


def check_finite(array: np.ndarray, dtype: np.dtype, name: str) -> None:
    if (bad := first_nonfinite(array, dtype)) is not None:
        raise not_finite(f"{name}[{bad[0]}, {bad[1]}]", dtype, array[bad])


def not_finite(where: str, dtype: np.dtype, value: Any) -> ValueError:
    """The error of a number that is not finite, in the place that `where` names."""
    hint = hint_if_missing(where.partition("[")[0], value)
    return ValueError(f"{where}: expected a finite {dtype}, got {value}{hint}")


def are_finite(array: np.ndarray) -> bool:
    """Tells whether all numbers of a flat array of floats are finite."""
    if array.size <= _FEW and math.isfinite(np.vdot(array, array)):  # then every square is, and it is quick
        return True
    return bool(np.isfinite(array).all())


def first_nonfinite(array: np.ndarray, dtype: np.dtype) -> tuple[int, int] | None:
    """The row and the column of the first number that is not finite in `dtype`."""
    if array.dtype.kind != "f" or not array.size:
        return None
    largest = _LARGEST[dtype]
    if array.size <= _FEW and np.vdot(array, array) <= largest:  # then so is every number
        return None
    step = max(1, _CHECKED_AT_ONCE // array.shape[1])
    for first in range(0, len(array), step):
        block = array[first : first + step]
        if not -largest <= block.min() <= block.max() <= largest:  # NaN fails every comparison
            row, column = np.argwhere(~(np.abs(block) <= largest))[0]
            return first + int(row), int(column)
    return None


def warn_of_lost_digits(numbers: np.ndarray, dtype: np.dtype, name: str, option: str) -> None:
    """Warns of a column of whole numbers that `dtype` rounds; `option` keeps their digits.

    One float column makes a whole frame float64, so whole numbers may be float64; of these, only the first
    rows are checked.
    """
    most = 1 << np.finfo(dtype).nmant + 1
    columns = numbers[:, None] if numbers.ndim == 1 else numbers
    if not numbers.size:
        return
    if numbers.dtype.kind in "iu":
        bad = (columns.max(axis=0) > most) | (columns.min(axis=0) < -most)
    elif numbers.dtype == np.float64:
        seen = columns[: max(1, _FIRST // columns.shape[1])]
        if -most <= seen.min() and seen.max() <= most:
            return
        sizes = np.abs(seen).max(axis=0)
        bad = (most < sizes) & (sizes < _WHOLE_BY_CHANCE)
        bad[bad] = (np.floor(seen[:, bad]) == seen[:, bad]).all(axis=0)
    else:
        return
    if bad.any():
        name = name.rpartition(": ")[2]  # without the block's name, so that Python shows the warning once
        column = f"{name}[:, {int(np.argmax(bad))}]" if numbers.ndim == 2 else name
        is_wide = dtype == np.float64
        warn(
            f"{column}: expected whole numbers of at most {most:,}, got larger ones, which {dtype} rounds; "
            + ("subtract an offset first" if is_wide else f"Network(..., {option}=True) takes off their mean")
        )


def first_rows(X: Samples) -> Samples:
    return X[: max(1, _FIRST // max(1, X.shape[1]))]


def warn(text: str, category: type[Warning] = RuntimeWarning) -> None:
    """Warns at the user's line, which is that of the first caller outside the package."""
    frame, depth = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("fastbp."):
        frame, depth = frame.f_back, depth + 1
    warnings.warn(text, category, stacklevel=depth)
