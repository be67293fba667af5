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
        return _numbers(values, f"{name}[{i}]").astype(dtype, copy=False)

    return [a if type(a) is np.ndarray and a.dtype == dtype else one(a, i) for i, a in enumerate(arrays)]


def check_layers(weights: Sequence[Any], biases: Sequence[Any]) -> None:
    """Refuses a network without weights."""
    if len(weights) != len(biases) or not len(weights):
        alone = "" if len(weights) or len(biases) else "; a network of one layer has nothing to train"
        raise ValueError(
            f"weights, biases: expected as many of each, at least 1, "
            f"got {len(weights)} and {len(biases)}{alone}"
        )


def assigned_weights(weights: Any) -> Any:
    """Returns weights that a user assigns to a network, where one layer can follow the other."""
    inputs: Any = None
    for i, values in enumerate(weights if isinstance(weights, (list, tuple)) else ()):
        w = _numbers(values, f"weights[{i}]")
        if w.ndim != 2 or (i and w.shape[1] != inputs):
            raise ValueError(_wrong_weights(i, inputs, w.shape))
        inputs = len(w)
    return weights


def assigned_biases(biases: Any) -> Any:
    """Returns biases that a user assigns to a network, with flat ones as columns."""
    columns = {}
    for i, values in enumerate(biases if isinstance(biases, (list, tuple)) else ()):
        b = _numbers(values, f"biases[{i}]")
        if b.ndim == 1:
            columns[i] = b.reshape(-1, 1)
        elif b.ndim != 2 or b.shape[1] != 1:
            raise ValueError(f"biases[{i}]: expected shape (outputs, 1) or (outputs,), got {b.shape}")
    return [columns.get(i, values) for i, values in enumerate(biases)] if columns else biases


def _numbers(values: Any, name: str) -> np.ndarray:
    """An array of real numbers, or the array itself."""
    numbers = array(values, name)
    if numbers.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected numbers, got dtype {numbers.dtype}")
    return numbers


def _wrong_weights(layer: int, inputs: Any, shape: tuple[int, ...]) -> str:
    return f"weights[{layer}]: expected shape (outputs, {inputs if layer else 'inputs'}), got {shape}"


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
            raise ValueError(_wrong_weights(i, inputs, shape))
        outputs = shape[0]
        if b.shape != (outputs, 1):
            flat = b.ndim == 1 and len(b) == outputs
            hint = "; net.biases = [...], the whole list, takes flat ones" if flat else ""
            raise ValueError(f"biases[{i}]: expected shape ({outputs}, 1), got {b.shape}{hint}")
    return ws, bs


def initial_arrays(arrays: Any, sizes: Sequence[int], dtype: np.dtype) -> list[np.ndarray]:
    """Checks and copies a user's initial weights ``init``, [(n_out, n_in)], in `dtype`."""
    shapes = [(n_out, n_in) for n_in, n_out in itertools.pairwise(sizes)]
    _check_count(arrays, len(shapes), f"init: expected a name, or {len(shapes)} arrays of weights")
    weights = []
    for i, (values, shape) in enumerate(zip(arrays, shapes, strict=True)):
        w = as_numbers(values, dtype, f"init[{i}]")
        if w.shape != shape:
            raise ValueError(f"init[{i}]: expected shape {shape}, got {w.shape}")
        check_finite(w, dtype, f"init[{i}]")
        weights.append(w.astype(dtype))
    return weights


def _check_count(arrays: Any, layers: int, expected: str) -> None:
    """Refuses anything but a sequence of an array per layer."""
    several = isinstance(arrays, (list, tuple)) or np.ndim(arrays)
    if not several or len(arrays) != layers:
        got = f"{len(arrays)}" if several else repr(arrays)
        raise ValueError(f"{expected}, one per layer, got {got}")


def initial_biases(biases: Any, sizes: Sequence[int], dtype: np.dtype) -> list[np.ndarray]:
    """Checks and copies a user's biases, [(n_out,)] or [(n_out, 1)], in `dtype`, as columns."""
    _check_count(biases, len(sizes) - 1, f"biases: expected {len(sizes) - 1} arrays")
    columns = []
    for i, (values, n_out) in enumerate(zip(biases, sizes[1:], strict=True)):
        b = as_numbers(values, dtype, f"biases[{i}]")
        if b.shape not in ((n_out,), (n_out, 1)):
            raise ValueError(f"biases[{i}]: expected shape ({n_out},) or ({n_out}, 1), got {b.shape}")
        column = b.reshape(-1, 1)
        check_finite(column, dtype, f"biases[{i}]")
        columns.append(column.astype(dtype))
    return columns


def sizes_of_weights(weights: Any) -> list[int]:
    """The sizes of the layers that weights [(n_out, n_in)] lead to and from."""
    if not isinstance(weights, (list, tuple)) or not weights:
        raise ValueError(
            f"weights: expected a list of arrays (outputs, inputs), at least one, got {weights!r}"
        )
    arrays = [np.asarray(w) for w in assigned_weights(weights)]
    return [arrays[0].shape[1], *map(len, arrays)]


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
