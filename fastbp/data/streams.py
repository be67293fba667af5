"""Checks of samples in blocks, each a pair (X, y)."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ..options.checks import rate
from .arrays import array
from .labels import labels_or_numbers
from .sparse import Samples, compressed, is_sparse


def blocks(X: Any, epochs: int) -> tuple[Callable[[], Iterator[Any]], bool]:
    """A function that begins a pass over the blocks, and whether it can be called again."""
    is_iterable = isinstance(X, Iterable) and not isinstance(X, (np.ndarray, str, bytes))
    if not is_iterable and not callable(X):
        raise TypeError(
            "y: expected labels or values beside an array; without y, X is an iterable of blocks (X, y) or a "
            f"function that begins one, got {type(X).__name__}"
        )

    def begin() -> Iterator[Any]:
        iterable = X if is_iterable else X()
        if not isinstance(iterable, Iterable):
            raise TypeError(f"X: expected a function that returns an iterator of blocks, got {iterable!r}")
        return iter(iterable)

    again = not isinstance(X, Iterator)
    if not again and epochs > 1:
        raise ValueError(
            f"epochs: expected 1 for an iterator of blocks, which can be consumed only once, got {epochs}; "
            "for more, X is a function without arguments that returns a new iterator, or a list"
        )
    return begin, again


def block(name: str, value: Any) -> tuple[Samples, np.ndarray]:
    """Converts a block to X and y of the same number of rows."""
    X, y = _pair(name, value)
    X = compressed(X, f"{name}: X") if is_sparse(X) else array(X, f"{name}: X")
    y = labels_or_numbers(y, f"{name}: y")
    if not X.ndim or not y.ndim or len(X) != len(y):
        raise ValueError(f"{name}: expected as many rows of X and of y, got shapes {X.shape} and {y.shape}")
    return X, y


def suits_blocks(
    sample_weight: Any, class_weight: Any, validation_split: Any, measures: Any, validation_data: Any
) -> None:
    """Refuses arguments of `fit` that need all samples at once."""
    if sample_weight is not None:
        raise ValueError("sample_weight: expected None for blocks; class_weight takes a dict of them")
    if isinstance(class_weight, str):
        raise ValueError(
            f"class_weight: expected a dict of label to weight for blocks, got {class_weight!r}, "
            "which all samples must be counted for"
        )
    if rate("validation_split", validation_split):
        raise ValueError(
            f"validation_split: expected 0 for blocks, got {validation_split!r}; give validation_data"
        )
    if measures and validation_data is None:
        raise ValueError("metrics: expected validation_data beside them, for blocks are not measured again")


def pool_rows(most: int, batch_size: int, row_bytes: int) -> int:
    """The number of rows of a pool: the largest multiple of `batch_size` up to `most`."""
    if most < batch_size:
        raise ValueError(
            f"buffer_bytes: expected at least {batch_size * row_bytes}, two batches of {batch_size}, "
            f"got {most * row_bytes}"
        )
    return most // batch_size * batch_size


def some_samples(samples: int) -> None:
    """Refuses blocks without a row."""
    if not samples:
        raise ValueError(
            "X: expected blocks with samples in every pass, got none; an iterator can be consumed only once, "
            "and a function must return a new one"
        )


def enough_samples(missing: int) -> None:
    """Refuses to resume with fewer samples than were trained on."""
    if missing:
        raise ValueError(f"X: expected the blocks of the training that is resumed, got {missing} rows fewer")


def passes_again(again: bool, what: str) -> None:
    """Refuses an iterator where all blocks must be seen before training."""
    if not again:
        raise ValueError(
            f"X: expected a list of blocks, or a function that returns a new iterator, for {what} must be "
            "known before training; got an iterator, which can be consumed only once"
        )


def same_kind(name: str, dtype: np.dtype, first: np.dtype) -> None:
    """Refuses bytes, which are divided, among other numbers."""
    if (dtype == np.uint8) != (first == np.uint8):
        raise TypeError(f"{name}: expected {first}, as in the first block, got {dtype}")


def _pair(name: str, value: Any) -> tuple[Any, Any]:
    """(X, y)."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"{name}: expected a pair (X, y), got {type(value).__name__}")
    return value[0], value[1]
