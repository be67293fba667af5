"""Checks of samples X, whose rows are those of an array or of a sparse matrix."""

from typing import Any

import numpy as np

from .arrays import (
    check_finite,
    first_nonfinite,
    kept_numbers,
    not_finite,
    plain_numbers,
    warn_of_lost_digits,
)
from .sparse import Samples, SparseRows, compressed, is_sparse


def checked_samples(
    X: Any, inputs: int, dtype: np.dtype, name: str = "X", scaled: bool = False, learns: bool = False
) -> Samples:
    """X as (n, inputs) numbers of uint8, float32 or float64, every one finite in `dtype`.

    The result is a C-contiguous array, or sparse rows, and is not copied if X is already in that form.
    Numbers that will be `scaled` keep all digits of float64.  With `learns`, a warning names lost digits.
    """
    kept_in = np.dtype(np.float64) if scaled else dtype
    if isinstance(X, SparseRows) or is_sparse(X):
        check_columns(X, inputs, name)
        rows = X if isinstance(X, SparseRows) else compressed(X, name)
        original = plain_numbers(rows.values, name)
        values = np.require(kept_numbers(original, dtype, scaled), requirements=["C", "ALIGNED"])
        if (bad := first_nonfinite(values[:, None], dtype)) is not None:
            row, column = rows.index_of(bad[0])
            raise not_finite(f"{name}[{row}, {column}]", dtype, values[bad[0]])
        if learns and len(values):
            column = rows.columns[int(np.argmax(np.abs(values)))]
            warn_of_lost_digits(original, kept_in, f"{name}[:, {column}]", "scale_inputs")
        return SparseRows(rows.starts, rows.columns, values, inputs)
    original = plain_numbers(X, name)
    numbers = kept_numbers(original, dtype, scaled)
    check_columns(numbers, inputs, name)
    check_finite(numbers, dtype, name)
    if learns:
        warn_of_lost_digits(original, kept_in, name, "scale_inputs")
    return np.ascontiguousarray(numbers)


def check_columns(X: Any, inputs: int, name: str) -> None:
    """Refuses samples of another shape than (n, inputs)."""
    if X.ndim != 2 or X.shape[1] != inputs:
        hint = ""
        if X.ndim == 1:
            one = "X.reshape(-1, 1)" if inputs == 1 else "X.reshape(1, -1)"
            hint = f"; one {'feature' if inputs == 1 else 'sample'} is {one}"
        raise ValueError(
            f"{name}: expected shape (samples, {inputs}) for a network of {inputs} inputs, "
            f"got {X.shape}{hint}"
        )
