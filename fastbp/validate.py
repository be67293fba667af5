"""The border: whatever a user hands over is checked, coerced and named here, once; kernels never check.

Every input error of the package is raised in this file and says what was given, what was expected and where.
"""

import operator
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

Task = Literal["labels", "binary", "values"]

_KEPT = (
    np.dtype(np.uint8),
    np.dtype(np.float32),
    np.dtype(np.float64),
)  # types that kernels read as they are
_CHECKED_AT_ONCE = 1 << 20  # numbers, so that a memory-mapped array is never read whole


class Targets(NamedTuple):
    """What to learn: labels (n,) as int64, or values (n, outputs) as float32 or float64."""

    array: np.ndarray
    task: Task


def sizes_of(sizes: Sequence[int]) -> tuple[int, ...]:
    """The numbers of neurons as plain integers."""
    try:
        plain = tuple(operator.index(size) for size in sizes)
    except TypeError:
        raise TypeError(f"sizes: expected integers such as [784, 30, 10], got {sizes!r}") from None
    if not plain or min(plain) < 1:
        raise ValueError(f"sizes: expected at least one layer, each of at least 1 neuron, got {sizes!r}")
    return plain


def choice(name: str, value: Any, choices: Iterable[str]) -> str:
    known = list(choices)
    if value not in known:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, known))}, got {value!r}")
    return str(value)


def float_type(dtype: Any) -> np.dtype:
    for known in (np.dtype(np.float32), np.dtype(np.float64)):
        try:
            if known == dtype:
                return known
        except TypeError:  # what NumPy says of a dtype it does not know
            break
    raise ValueError(f"dtype: expected 'float32' or 'float64', got {dtype!r}")


def count(name: str, value: Any, least: int = 1) -> int:
    """An integer of at least `least`."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: expected an integer, got {value!r}") from None
    if number < least:
        raise ValueError(f"{name}: expected at least {least}, got {number}")
    return number


def positive(name: str, value: Any) -> float:
    """A finite number above zero."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name}: expected a number, got {value!r}") from None
    if not 0 < number < np.inf:
        raise ValueError(f"{name}: expected a finite number above 0, got {number}")
    return number


def pair(name: str, value: Any) -> tuple[Any, Any]:
    """(X, y)."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"{name}: expected a pair (X, y), got {type(value).__name__}")
    return value[0], value[1]


def threads_of(value: Any) -> int | Literal["auto"]:
    return "auto" if value == "auto" else count("threads", value)


# Arrays: rows are samples


def samples(X: Any, inputs: int, dtype: np.dtype, name: str = "X") -> np.ndarray:
    """X as a C-contiguous (n, inputs) array of uint8, float32 or float64, every number finite in `dtype`.

    An array that is so already is not copied.
    """
    array = _numbers(X, dtype, name)
    if array.ndim != 2 or array.shape[1] != inputs:
        hint = ""
        if array.ndim == 1:
            one = "X.reshape(-1, 1)" if inputs == 1 else "X.reshape(1, -1)"
            hint = f"; one {'feature' if inputs == 1 else 'sample'} is {one}"
        raise ValueError(
            f"{name}: expected shape (samples, {inputs}) for a network of {inputs} inputs, "
            f"got {array.shape}{hint}"
        )
    _check_finite(array, dtype, name)
    return np.ascontiguousarray(array)


def targets(y: Any, rows: int, outputs: int, dtype: np.dtype, name: str = "y") -> Targets:
    """y as labels or values, by its shape: (n,) integers below `outputs`, or (n, outputs) numbers.

    With one output, (n,) numbers are values, and zeros and ones of an integer type are two classes.
    """
    array = np.asarray(y)
    if array.ndim not in (1, 2) or len(array) != rows:
        raise ValueError(
            f"{name}: expected {rows} labels or shape ({rows}, {outputs}), as X has {rows} rows, "
            f"got shape {array.shape}"
        )
    if array.ndim == 1 and outputs > 1:
        return Targets(_labels(array, outputs, name), "labels")
    task: Task = "values"
    if array.ndim == 1:
        if array.dtype.kind in "biu" and array.size and array.min() >= 0 and array.max() <= 1:
            task = "binary"
        array = array.reshape(-1, 1)
    array = _numbers(array, dtype, name)
    if array.shape[1] != outputs:
        raise ValueError(
            f"{name}: expected shape ({rows}, {outputs}) for a network of {outputs} outputs, "
            f"got {array.shape}; labels have shape ({rows},)"
        )
    _check_finite(array, dtype, name)
    return Targets(array.astype(dtype, order="C", copy=False), task)


def _numbers(values: Any, dtype: np.dtype, name: str) -> np.ndarray:
    """An array in one of the kept types and native byte order."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected numbers, got dtype {array.dtype}")
    native = array.dtype.newbyteorder("=")
    if native in _KEPT:
        return array.astype(native, copy=False)
    return array.astype(np.float32 if native == np.float16 else dtype)


def _check_finite(array: np.ndarray, dtype: np.dtype, name: str) -> None:
    if array.dtype.kind != "f" or not array.size:
        return
    largest = np.finfo(dtype).max
    step = max(1, _CHECKED_AT_ONCE // array.shape[1])
    for first in range(0, len(array), step):
        block = array[first : first + step]
        if not -largest <= block.min() <= block.max() <= largest:  # NaN fails every comparison
            row, column = np.argwhere(~(np.abs(block) <= largest))[0]
            raise ValueError(
                f"{name}[{first + row}, {column}]: expected a finite {dtype}, got {block[row, column]}"
            )


def _labels(array: np.ndarray, outputs: int, name: str) -> np.ndarray:
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected integer labels 0 .. {outputs - 1}, got dtype {array.dtype}")
    good = (array >= 0) & (array < outputs)
    if array.dtype.kind == "f":
        good &= np.floor(array) == array
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(f"{name}[{row}]: expected a label 0 .. {outputs - 1}, got {array[row]}")
    return np.ascontiguousarray(array, np.int64)


# The seed's data: pairs of column vectors


def training_pairs(
    pairs: Sequence[Any], inputs: int, outputs: int, dtype: np.dtype, as_bytes: bool
) -> tuple[np.ndarray, np.ndarray, float]:
    """[(x (inputs, 1), y (outputs, 1))] as X (n, inputs), Y (n, outputs) and the divisor of bytes X.

    Numbers are taken as they are; with `as_bytes`, where all x are pixels that were divided, as bytes again.
    """
    xs, ys = _unzip(pairs, "training_data")
    hint = "; mnist_loader.vectorized_result(j) makes it of j"
    y_columns = _columns(ys, outputs, "training_data", "y", hint)
    Y = _stacked(y_columns, outputs, dtype, "training_data y").astype(dtype, copy=False)
    columns = _columns(xs, inputs, "training_data", "x")
    for divisor in _DIVISORS if as_bytes else ():
        X = _as_bytes(columns, inputs, divisor, dtype)
        if X is not None:
            return X, Y, divisor
    return _stacked(columns, inputs, dtype, "training_data x"), Y, 1.0


def test_pairs(pairs: Sequence[Any], inputs: int, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """[(x (inputs, 1), label)] as X (n, inputs), labels (n,); a one-hot label counts as its largest place."""
    xs, ys = _unzip(pairs, "test_data")
    labels = [label if np.ndim(label) == 0 else _one_label(label) for label in ys]
    columns = _columns(xs, inputs, "test_data", "x")
    return _stacked(columns, inputs, dtype, "test_data x"), np.asarray(labels)


def _one_label(label: Any) -> Any:
    array = np.asarray(label)
    return array.flat[0] if array.size == 1 else np.argmax(array)


def _unzip(pairs: Sequence[Any], name: str) -> tuple[list[Any], list[Any]]:
    try:
        return [x for x, _ in pairs], [y for _, y in pairs]
    except (TypeError, ValueError):
        raise ValueError(f"{name}: expected a list of pairs (x, y), got items such as {pairs[0]!r}") from None


def _columns(columns: list[Any], size: int, name: str, letter: str, hint: str = "") -> list[np.ndarray]:
    """Arrays of shape (size, 1)."""
    arrays = [column if isinstance(column, np.ndarray) else np.asarray(column) for column in columns]
    for i, array in enumerate(arrays):
        if array.shape != (size, 1) and not (size == 1 and array.size == 1):
            raise ValueError(f"{name}[{i}]: expected {letter} of shape ({size}, 1), got {array.shape}{hint}")
    return [array.reshape(1, 1) for array in arrays] if size == 1 else arrays


def _stacked(columns: list[np.ndarray], size: int, dtype: np.dtype, name: str) -> np.ndarray:
    if not columns:
        return np.empty((0, size), dtype)
    return np.ascontiguousarray(_numbers(np.concatenate(columns).reshape(-1, size), dtype, name))


_DIVISORS = (256.0, 255.0)  # by which pixels are usually divided
_AT_ONCE = 128  # columns turned to bytes together: they stay in cache


def _as_bytes(columns: list[np.ndarray], size: int, divisor: float, dtype: np.dtype) -> np.ndarray | None:
    """Bytes (n, size) that, divided, are the very numbers of the columns in `dtype`; None if there are none.

    A byte is an eighth of a float64 to read, and is divided to the same bits.
    """
    stored = columns[0].dtype if columns else dtype
    every, wanted = (np.divide(np.arange(256), divisor, dtype=kind) for kind in (stored, dtype))
    if stored.kind != "f" or (every.astype(dtype) != wanted).any():
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


def parameters(
    weights: Sequence[Any], biases: Sequence[Any], dtype: np.dtype
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The network's weights [(n_out, n_in)] and biases [(n_out, 1)], which a user may have set."""
    if len(weights) != len(biases) or not len(weights):
        raise ValueError(
            f"weights, biases: expected as many of each, at least 1, got {len(weights)} and {len(biases)}"
        )
    ws, bs = (
        [np.asarray(array).astype(dtype, copy=False) for array in arrays] for arrays in (weights, biases)
    )
    for i, (w, b) in enumerate(zip(ws, bs, strict=True)):
        if w.ndim != 2 or (i and w.shape[1] != ws[i - 1].shape[0]):
            inputs = ws[i - 1].shape[0] if i else "inputs"
            raise ValueError(f"weights[{i}]: expected shape (outputs, {inputs}), got {w.shape}")
        if b.shape != (w.shape[0], 1):
            raise ValueError(f"biases[{i}]: expected shape ({w.shape[0]}, 1), got {b.shape}")
    return ws, bs


def same_sizes(sizes: Sequence[int], expected: Sequence[int]) -> None:
    """Refuses weights whose shapes were changed while they were trained."""
    if tuple(sizes) != tuple(expected):
        raise ValueError(f"weights: expected layers {list(expected)} while training, got {list(sizes)}")


def column_vectors(a: Any, inputs: int) -> np.ndarray:
    """a as (inputs, m): one sample a column."""
    array = np.asarray(a)
    if array.ndim != 2 or array.shape[0] != inputs:
        hint = "; a.reshape(-1, 1) makes a column of it" if array.ndim == 1 else ""
        raise ValueError(f"a: expected shape ({inputs}, 1) or ({inputs}, m), got {array.shape}{hint}")
    return array
