"""Checks of weights and biases, which a user may have set."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from .arrays import array, as_numbers, check_finite


def parameter_arrays(weights: Sequence[Any], biases: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The network's weights and biases as plain arrays, for a user may have set nested lists."""

    def plain(name: str, arrays: Sequence[Any]) -> list[Any]:
        return [a if type(a) is np.ndarray else array(a, f"{name}[{i}]") for i, a in enumerate(arrays)]

    return plain("weights", weights), plain("biases", biases)


def _converted(name: str, arrays: Sequence[Any], dtype: np.dtype) -> list[np.ndarray]:
    """Converts arrays to `dtype`; arrays in `dtype` are not copied."""

    def one(values: Any, i: int) -> np.ndarray:
        numbers = array(values, f"{name}[{i}]")
        if numbers.dtype.kind not in "biuf":
            raise TypeError(f"{name}[{i}]: expected numbers, got dtype {numbers.dtype}")
        return numbers.astype(dtype, copy=False)

    return [a if type(a) is np.ndarray and a.dtype == dtype else one(a, i) for i, a in enumerate(arrays)]


def check_layers(weights: Sequence[Any], biases: Sequence[Any]) -> None:
    """Refuses a network without weights."""
    if len(weights) != len(biases) or not len(weights):
        alone = "" if len(weights) or len(biases) else "; a network of one layer has nothing to train"
        raise ValueError(
            f"weights, biases: expected as many of each, at least 1, "
            f"got {len(weights)} and {len(biases)}{alone}"
        )


def checked_parameters(
    weights: Sequence[Any], biases: Sequence[Any], dtype: np.dtype
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The network's weights [(n_out, n_in)] and biases [(n_out, 1)] in `dtype`."""
    check_layers(weights, biases)
    ws, bs = _converted("weights", weights, dtype), _converted("biases", biases, dtype)
    outputs: Any = None
    for i, (w, b) in enumerate(zip(ws, bs, strict=True)):
        inputs, shape = outputs, w.shape
        if len(shape) != 2 or (i and shape[1] != inputs):
            raise ValueError(
                f"weights[{i}]: expected shape (outputs, {inputs if i else 'inputs'}), got {shape}"
            )
        outputs = shape[0]
        if b.shape != (outputs, 1):
            raise ValueError(f"biases[{i}]: expected shape ({outputs}, 1), got {b.shape}")
    return ws, bs


def initial_arrays(arrays: Any, sizes: Sequence[int], dtype: np.dtype) -> list[np.ndarray]:
    """Checks and copies a user's initial weights ``init``, [(n_out, n_in)], in `dtype`."""
    shapes = [(n_out, n_in) for n_in, n_out in itertools.pairwise(sizes)]
    several = isinstance(arrays, (list, tuple)) or np.ndim(arrays)
    if not several or len(arrays) != len(shapes):
        got = f"{len(arrays)}" if several else repr(arrays)
        raise ValueError(
            f"init: expected a name, or {len(shapes)} arrays of weights, one per layer, got {got}"
        )
    weights = []
    for i, (values, shape) in enumerate(zip(arrays, shapes, strict=True)):
        w = as_numbers(values, dtype, f"init[{i}]")
        if w.shape != shape:
            raise ValueError(f"init[{i}]: expected shape {shape}, got {w.shape}")
        check_finite(w, dtype, f"init[{i}]")
        weights.append(w.astype(dtype))
    return weights


def unflattened(
    flat: Any, weights: Sequence[Any], biases: Sequence[Any], dtype: np.dtype
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """One array of all parameters, layer by layer, in the shapes of the present ones."""
    numbers = as_numbers(flat, dtype, "parameters")
    arrays = [
        array for pair in zip(*checked_parameters(weights, biases, dtype), strict=True) for array in pair
    ]
    total = sum(array.size for array in arrays)
    if numbers.shape != (total,):
        raise ValueError(f"parameters: expected shape ({total},), got {numbers.shape}")
    pieces, start = [], 0
    for present in arrays:
        pieces.append(numbers[start : start + present.size].reshape(present.shape).astype(dtype))
        start += present.size
    return pieces[::2], pieces[1::2]


def check_sizes(sizes: Sequence[int], expected: Sequence[int]) -> None:
    """Refuses weights whose shapes were changed while they were trained."""
    if tuple(sizes) != tuple(expected):
        raise ValueError(f"weights: expected layers {list(expected)} while training, got {list(sizes)}")


def float_type(dtype: Any) -> np.dtype:
    for known in (np.dtype(np.float32), np.dtype(np.float64)):
        try:
            if known == dtype:
                return known
        except TypeError:  # NumPy's error for an unknown dtype
            break
    raise ValueError(f"dtype: expected 'float32' or 'float64', got {dtype!r}")
