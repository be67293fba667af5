"""Arrays whose rows are samples: X, y, weights, labels of any kind, and what they are scaled by."""

import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from ..options import costs
from ..options.checks import nonnegative, rate
from .cells import are_numbers, numbers_of_frame, numbers_of_objects
from .sparse import Samples, SparseRows, dense

Task = Literal["labels", "binary", "multilabel", "values", "value"]

Scale = Literal["divided", "whole"]

_KEPT = (
    np.dtype(np.uint8),
    np.dtype(np.float32),
    np.dtype(np.float64),
)  # types that kernels read as they are

_LARGEST = {np.dtype(name): np.finfo(name).max for name in ("float32", "float64")}
_FEW = 1 << 12  # numbers, whose sum of squares BLAS takes without threads
_CHECKED_AT_ONCE = 1 << 20  # numbers, so that a memory-mapped array is never read whole


class Targets(NamedTuple):
    """What to learn: labels (n,) as int64, or numbers (n, outputs) as float32 or float64."""

    array: np.ndarray
    task: Task
    classes: tuple[Any, ...] | None = None  # what labels stand for, where they are not 0, 1, 2 ... themselves


def held_out(split: Any, data: Any, samples: int) -> float:
    """The share of the samples that `fit` is to hold out."""
    found = rate("validation_split", split)
    if found and data is not None:
        raise ValueError("validation_split, validation_data: expected one of them, got both")
    if found and not 0 < int(samples * found) < samples:
        raise ValueError(
            "validation_split: expected a share that leaves samples to train on and to hold out, "
            f"got {found:g} of {samples}"
        )
    return found


def pair(name: str, value: Any) -> tuple[Any, Any]:
    """(X, y)."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"{name}: expected a pair (X, y), got {type(value).__name__}")
    return value[0], value[1]


def validation_data(value: Any) -> tuple[Any, Any, Any]:
    """X, y and the weights of the samples, or None."""
    if not isinstance(value, (tuple, list)) or len(value) not in (2, 3):
        got = type(value).__name__ + (f" of {len(value)}" if isinstance(value, (tuple, list)) else "")
        raise TypeError(f"validation_data: expected (X, y) or (X, y, sample_weight), got {got}")
    X, y, *weights = value
    return X, y, weights[0] if weights else None


def given(name: str, value: Any) -> Any:
    """What is not None."""
    if value is None:
        raise TypeError(f"{name}: expected labels or values, one per row of X, got None")
    return value


def array(values: Any, name: str) -> np.ndarray:
    """A plain array, of nested lists, frames of pandas and polars, and sparse matrices of SciPy as well."""
    if type(values) is np.ndarray:
        return values
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(
            f"{name}: expected an array without a mask, got a masked array; "
            "leave out what is masked, or fill it by .filled(value)"
        )
    if hasattr(values, "toarray") and hasattr(values, "nnz"):
        return np.asarray(values.toarray())
    try:
        found = np.asarray(values)
    except ValueError:  # NumPy on lists of unequal lengths
        raise ValueError(f"{name}: expected an array, got lists of unequal lengths") from None
    if found.dtype.kind not in "biuf" and hasattr(values, "to_numpy"):
        return numbers_of_frame(values, found, name)
    return found


def is_sparse(X: Any) -> bool:
    """Whether X is a sparse matrix or array of SciPy."""
    return type(X) is not np.ndarray and hasattr(X, "tocsr") and hasattr(X, "nnz")


def compressed(X: Any, name: str) -> SparseRows:
    """The rows of a sparse matrix, which is never changed; one of CSR with sorted columns is not copied."""
    found = X.tocsr()
    rows, width = found.shape if len(found.shape) == 2 else (1, *found.shape)
    starts = np.require(found.indptr, np.int64, ["C", "ALIGNED"])
    stored = int(starts[-1])
    columns, values = np.asarray(found.indices)[:stored], np.asarray(found.data)[:stored]
    whole = starts[0] == 0 and (np.diff(starts) >= 0).all() and len(columns) == len(values) == stored
    if not whole or (stored and not 0 <= columns.min() <= columns.max() < width):
        raise ValueError(
            f"{name}: expected a valid sparse matrix of {rows} rows and {width} columns, got indices outside "
            "of them; X.check_format() says which"
        )
    columns = np.require(columns, np.int32, ["C", "ALIGNED"])
    return SparseRows(starts, columns, values, width).canonical()


def samples(
    X: Any, inputs: int, dtype: np.dtype, name: str = "X", scaled: bool = False, learns: bool = False
) -> Samples:
    """X as (n, inputs) numbers of uint8, float32 or float64, every one finite in `dtype`.

    They are the rows of a C-contiguous array, or sparse ones; what is so already is not copied.  Numbers that
    are to be `scaled` keep all digits that float64 has.  Where a network `learns` from them, a warning tells
    of digits that are lost.
    """
    kept_in = np.dtype(np.float64) if scaled else dtype
    if isinstance(X, SparseRows) or is_sparse(X):
        check_columns(X, inputs, name)
        rows = X if isinstance(X, SparseRows) else compressed(X, name)
        given = plain_numbers(rows.values, name)
        values = np.require(_kept(given, dtype, scaled), requirements=["C", "ALIGNED"])
        if (bad := _not_finite(values[:, None], dtype)) is not None:
            row, column = rows.place(bad[0])
            raise ValueError(f"{name}[{row}, {column}]: expected a finite {dtype}, got {values[bad[0]]}")
        if learns and len(values):
            column = rows.columns[int(np.argmax(np.abs(values)))]
            lost_digits(given, kept_in, f"{name}[:, {column}]", "scale_inputs")
        return SparseRows(rows.starts, rows.columns, values, inputs)
    given = plain_numbers(X, name)
    numbers = _kept(given, dtype, scaled)
    check_columns(numbers, inputs, name)
    check_finite(numbers, dtype, name)
    if learns:
        lost_digits(given, kept_in, name, "scale_inputs")
    return np.ascontiguousarray(numbers)


def check_columns(found: Any, inputs: int, name: str) -> None:
    """Refuses what is not (n, inputs)."""
    if found.ndim != 2 or found.shape[1] != inputs:
        hint = ""
        if found.ndim == 1:
            one = "X.reshape(-1, 1)" if inputs == 1 else "X.reshape(1, -1)"
            hint = f"; one {'feature' if inputs == 1 else 'sample'} is {one}"
        raise ValueError(
            f"{name}: expected shape (samples, {inputs}) for a network of {inputs} inputs, "
            f"got {found.shape}{hint}"
        )


def lost_digits(given: np.ndarray, dtype: np.dtype, name: str, option: str) -> None:
    """Warns of a column of whole numbers that `dtype` rounds; the option is what keeps their digits.

    They may be float64, of which the first rows tell: those of a frame are where any of its columns is.
    """
    most = 1 << np.finfo(dtype).nmant + 1
    columns = given[:, None] if given.ndim == 1 else given
    if not given.size:
        return
    if given.dtype.kind in "iu":
        bad = (columns.max(axis=0) > most) | (columns.min(axis=0) < -most)
    elif given.dtype == np.float64:
        seen = columns[: max(1, _SEEN_FOR_SCALE // columns.shape[1])]
        sizes = np.abs(seen).max(axis=0)
        bad = (most < sizes) & (sizes < _WHOLE_BY_CHANCE)
        bad[bad] = (np.floor(seen[:, bad]) == seen[:, bad]).all(axis=0)
    else:
        return
    if bad.any():
        name = name.rpartition(": ")[2]  # without that of a block, so that Python shows the warning once
        column = f"{name}[:, {int(np.argmax(bad))}]" if given.ndim == 2 else name
        is_wide = dtype == np.float64
        warn(
            f"{column}: expected whole numbers of at most {most:,}, got larger ones, which {dtype} rounds; "
            + ("subtract an offset first" if is_wide else f"Network(..., {option}=True) takes off their mean")
        )


def labels_or_numbers(y: Any, name: str) -> np.ndarray:
    """y as an array; a list of text and other things is not made text throughout, nor tuples rows of it."""
    are_tuples = isinstance(y, (list, tuple)) and y and all(isinstance(label, tuple) for label in y)
    if are_tuples and not all(map(are_numbers, y)):
        found = np.empty(len(y), object)
        found[:] = y
        return found
    found = array(y, name)
    if found.dtype.kind in "US" and not isinstance(y, np.ndarray):
        plain = np.asarray(y, object)
        if not all(isinstance(label, str if found.dtype.kind == "U" else bytes) for label in plain.flat):
            found = plain
    if found.dtype == object and found.size and are_numbers(found.flat):
        return numbers_of_objects(found, name)
    return found


def hashable(labels: list[Any], name: str) -> list[Any]:
    """Labels that can be told apart: no lists, no missing ones."""
    for row, label in enumerate(labels):
        try:
            good = hash(label) is not None and label is not None and bool(label == label)
        except (TypeError, ValueError):  # it has no hash, or is pandas.NA
            good = False
        if not good:
            raise ValueError(f"{name}[{row}]: expected a label, got {label!r}")
    return labels


def classes(found: list[Any], outputs: int, name: str) -> tuple[Any, ...]:
    """Different labels, one per output, or two where there is one output."""
    wanted = max(2, outputs)
    if len(found) != wanted or len(set(found)) < wanted:
        raise ValueError(
            f"{name}: expected {wanted} different labels for {outputs} outputs, got {len(found)}: "
            f"{_first_of(found)}"
        )
    return tuple(found)


def places(labels: list[Any], known: Mapping[Any, int], name: str) -> np.ndarray:
    """The place of each label."""
    try:
        return np.fromiter((known[label] for label in labels), np.int64, len(labels))
    except (KeyError, TypeError):
        pass
    row, label = next((i, label) for i, label in enumerate(hashable(labels, name)) if label not in known)
    raise ValueError(f"{name}[{row}]: expected one of {_first_of([*known])}, got {label!r}")


def _first_of(labels: Sequence[Any]) -> str:
    """The first labels of some, as an error shows them."""
    return ", ".join(map(repr, labels[:5])) + (", ..." if len(labels) > 5 else "")


def learnt(scales: bool, scaling: Any, name: str) -> Any:
    """The scaling that `fit` has learnt, where the network is to scale."""
    if scales and scaling is None:
        raise ValueError(
            f"{name}: expected a network that fit has trained, for the scaling is learnt there; "
            "fit(..., epochs=0) learns it alone"
        )
    return scaling


def finite_moments(name: str, mean: np.ndarray, deviation: np.ndarray) -> None:
    """Refuses columns, such as of numbers beyond 1e154, whose deviation is beyond float64."""
    good = np.isfinite(mean) & np.isfinite(deviation)
    if not good.all():
        column = int(np.argmin(good))
        raise ValueError(
            f"{name}[:, {column}]: expected numbers whose mean and deviation are finite, to scale them, got "
            f"mean {mean[column]:g}, deviation {deviation[column]:g}"
        )


def scaling(name: str, found: Any, columns: int) -> None:
    """Refuses a mean and a deviation that do not suit so many columns."""
    if found is None:
        return
    for what, numbers in zip(("means", "deviations"), found, strict=True):
        if numbers.shape != (columns,) or numbers.dtype != np.float64 or not np.isfinite(numbers).all():
            raise ValueError(
                f"{name}: expected {columns} finite {what} in float64, got shape {numbers.shape}"
            )
    if (found[1] <= 0).any():
        raise ValueError(f"{name}: expected deviations above 0")


def values_are_scaled(task: Task) -> None:
    if task not in ("value", "values"):
        raise ValueError(f"scale_outputs: expected values as y, got {task}, which are not scaled")


def targets(
    y: Any,
    rows: int,
    outputs: int,
    dtype: np.dtype,
    name: str = "y",
    task: Task | None = None,
    multilabel: bool = False,
) -> Targets:
    """y as what it is to be learnt as, by its shape and type, or as the targets of a `task`.

    (n,) integers below `outputs` are labels; with one output, zeros and ones of an integer type are two
    classes and other numbers are values.  (n, outputs) numbers are values; or, where the network can learn
    `multilabel` targets, zeros and ones of an integer type are that.
    """
    found = array(y, name)
    if found.ndim not in (1, 2) or len(found) != rows:
        raise ValueError(
            f"{name}: expected {rows} labels or shape ({rows}, {outputs}), as X has {rows} rows, "
            f"got shape {found.shape}"
        )
    flat = found.ndim == 1
    labels = flat and outputs > 1
    if task is not None and labels != (task == "labels"):
        hint = "; y.argmax(axis=1) makes labels of one-hot rows" if task == "labels" else ""
        shape = f"({rows},)" if task == "labels" else f"({rows}, {outputs})"
        raise ValueError(
            f"{name}: expected shape {shape}, as the network was trained for {task}, got {found.shape}{hint}"
        )
    if labels:
        return Targets(as_labels(found, outputs, name), "labels")
    bits = found.dtype.kind in "biu" and found.size > 0 and found.min() >= 0 and found.max() <= 1
    if task is None and flat:
        task = "binary" if bits else "value"
    elif task is None:
        task = "multilabel" if bits and multilabel else "values"
    found = as_numbers(found.reshape(-1, 1) if flat else found, dtype, name)
    if found.shape[1] != outputs:
        raise ValueError(
            f"{name}: expected shape ({rows}, {outputs}) for a network of {outputs} outputs, "
            f"got {found.shape}; labels have shape ({rows},)"
        )
    check_finite(found, dtype, name)
    if task in ("binary", "multilabel"):
        _check_bits(found, task, name)
    return Targets(found.astype(dtype, order="C", copy=False), task)


def suits_cost(targets: Targets, cost: costs.Kind, output_activation: Any, name: str) -> None:
    """Refuses targets that the cost is not defined for."""
    y, allowed = targets.array, costs.definition_of(cost).targets
    if y.ndim == 1 or not y.size or allowed is costs.VALUES:
        return
    is_allowed = (y >= allowed.least) & (y <= allowed.most)
    _check_cells(y, is_allowed, name, f"{allowed.expected}, as the cost is {cost!r}")
    if allowed is costs.PROBABILITIES and output_activation == "softmax":
        sums = y.sum(axis=1, dtype=np.float64)
        if not np.allclose(sums, 1.0, rtol=0, atol=1e-3):
            row = int(np.argmax(np.abs(sums - 1.0)))
            raise ValueError(
                f"{name}[{row}]: expected probabilities, which add up to 1, for a softmax, got a sum of "
                f"{sums[row]:g}; sample_weight gives a row more or less weight"
            )


def _check_cells(found: np.ndarray, good: np.ndarray, name: str, expected: str) -> None:
    if not good.all():
        row, column = np.argwhere(~good)[0]
        raise ValueError(f"{name}[{row}, {column}]: expected {expected}, got {found[row, column]}")


def classes_of(found: Targets) -> np.ndarray:
    """The label of each row, for what weighs classes."""
    if found.task not in ("labels", "binary"):
        raise ValueError(f"class_weight: expected labels as y, (n,) integers, got {found.task}")
    return found.array.reshape(-1).astype(np.int64)


def _check_bits(found: np.ndarray, task: Task, name: str) -> None:
    good = (found == 0) | (found == 1)
    _check_cells(found, good, name, f"0 or 1, as the network was trained for {task}")


def as_numbers(values: Any, dtype: np.dtype, name: str) -> np.ndarray:
    """An array in one of the kept types and native byte order."""
    return _kept(plain_numbers(values, name), dtype)


def plain_numbers(values: Any, name: str) -> np.ndarray:
    """An array of any of NumPy's types of real numbers."""
    found = array(values, name)
    if found.dtype.kind in "USO" and found.ndim:
        is_array = isinstance(values, np.ndarray) or hasattr(values, "to_numpy")
        found = numbers_of_objects(found.astype(object) if is_array else np.asarray(values, object), name)
    if found.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected numbers, got dtype {found.dtype}")
    return found


def _kept(found: np.ndarray, dtype: np.dtype, scaled: bool = False) -> np.ndarray:
    """Numbers in one of the kept types: others in `dtype`, or in float64 where they will be `scaled`."""
    if found.dtype in _KEPT:
        return found
    native = found.dtype.newbyteorder("=")
    if native in _KEPT:
        return found.astype(native, copy=False)
    if native == np.float16:
        return found.astype(np.float32)
    return found.astype(np.float64 if scaled and not np.can_cast(native, np.float32) else dtype)


def check_finite(array: np.ndarray, dtype: np.dtype, name: str) -> None:
    if (bad := _not_finite(array, dtype)) is not None:
        row, column = bad
        raise ValueError(f"{name}[{row}, {column}]: expected a finite {dtype}, got {array[row, column]}")


def _not_finite(array: np.ndarray, dtype: np.dtype) -> tuple[int, int] | None:
    """The row and the column of the first number that is not finite in `dtype`."""
    if array.dtype.kind != "f" or not array.size:
        return None
    largest = _LARGEST[dtype]
    if array.size <= _FEW and np.vdot(array, array) <= largest:  # then every square is, and it is quick
        return None
    step = max(1, _CHECKED_AT_ONCE // array.shape[1])
    for first in range(0, len(array), step):
        block = array[first : first + step]
        if not -largest <= block.min() <= block.max() <= largest:  # NaN fails every comparison
            row, column = np.argwhere(~(np.abs(block) <= largest))[0]
            return first + int(row), int(column)
    return None


def as_labels(array: np.ndarray, outputs: int, name: str) -> np.ndarray:
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected integer labels 0 .. {outputs - 1}, got dtype {array.dtype}")
    good = (array >= 0) & (array < outputs)
    if array.dtype.kind == "f":
        good &= np.floor(array) == array
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(f"{name}[{row}]: expected a label 0 .. {outputs - 1}, got {array[row]}")
    return np.ascontiguousarray(array, np.int64)


def divided(samples: Samples, divisor: float | None, dtype: np.dtype) -> Samples:
    """Checked samples divided by the network's `input_divisor`; kernels themselves divide those of uint8.

    The quotient is that of two numbers of `dtype`, as in the kernels.
    """
    if divisor in (None, 1.0) or samples.dtype == np.uint8:
        return samples
    if isinstance(samples, SparseRows):
        values = dense(divided(samples.values, divisor, dtype))
        return SparseRows(samples.starts, samples.columns, values, samples.shape[1])
    return np.asarray(np.divide(samples.astype(dtype, copy=False), divisor, dtype=dtype))


_SEEN_FOR_SCALE = 1 << 16  # numbers
_WHOLE_BY_CHANCE = 1 << 43  # from here on a float64 that measures something is often whole


def scale(X: Samples, state: Any) -> Scale | None:
    """Whether checked samples X, not yet divided, look like pixels: "whole" numbers up to 255, or in 0 .. 1.

    None where neither is certain.  The first rows tell.
    """
    seen = dense(_seen(X))
    if not seen.size or seen.min() < 0:
        return None
    largest = seen.max()
    whole = seen.dtype == np.uint8 or (np.floor(seen) == seen).all()
    if whole:
        divides_bytes = X.dtype == np.uint8 and state.uint8_divisor not in (None, 1.0)
        return "divided" if divides_bytes else "whole" if 1 < largest <= 255 else None
    return "divided" if largest <= 1 else None


def _seen(X: Samples) -> Samples:
    return X[: max(1, _SEEN_FOR_SCALE // max(1, X.shape[1]))]


def trained_scale(name: str, X: Samples, state: Any) -> None:
    """`same_scale` for checked samples X, where their largest number leaves any doubt."""
    if state.scale is None:
        return
    if isinstance(X, np.ndarray) and X.dtype != np.uint8 and X.size:
        largest = dense(_seen(X)).max()
        if (largest <= 1) == (state.scale == "divided"):
            return
    same_scale(name, scale(X, state), state)


def same_scale(name: str, given: Scale | None, state: Any) -> None:
    """Warns of samples in another scale than those of the training, and of pixels where nobody chose one."""
    texts = {"divided": "numbers from 0 to 1", "whole": "whole numbers up to 255"}
    if given and state.scale and given != state.scale:
        warn(
            f"{name}: expected {texts[state.scale]}, as the network was trained on, got {texts[given]}; "
            "give both as they are, with Network(..., input_divisor=255), or both divided"
        )


def chosen_divisor(name: str, X: Samples, state: Any) -> None:
    """Warns of bytes that may be pixels, before the first training, where nobody has said what they are."""
    chosen = state.scale_inputs or state.scale or state.input_divisor or state.uint8_divisor
    if X.dtype == np.uint8 and not chosen and scale(X, state) == "whole":
        warn(
            f"{name}: uint8 numbers above 1 are taken as they are; Network(..., input_divisor=255) brings "
            "pixels to 0 .. 1 as they are read, input_divisor=1 says that they are meant as they are"
        )


def undivided_targets(y: np.ndarray, X: Samples, state: Any) -> None:
    """Warns of an autoencoder's targets that are not divided as its inputs are."""
    if y.shape == X.shape and state.bytes_divisor != 1 and "whole" == scale(y, state) == scale(X, state):
        warn(
            f"y: whole numbers up to 255 are not divided, as those of X are by {state.bytes_divisor:g}; "
            f"give y / {state.bytes_divisor:g}"
        )


def warn(text: str, category: type[Warning] = RuntimeWarning) -> None:
    """Warns at the user's line: that of the first caller outside the package."""
    frame, depth = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("fastbp."):
        frame, depth = frame.f_back, depth + 1
    warnings.warn(text, category, stacklevel=depth)


def sample_weights(weights: Any, rows: int, name: str = "sample_weight") -> np.ndarray:
    """One finite weight of at least 0 a sample, (rows,) float64."""
    found = as_numbers(weights, np.dtype(np.float64), name)
    if found.shape != (rows,):
        raise ValueError(f"{name}: expected shape ({rows},), one per row of X, got {found.shape}")
    found = found.astype(np.float64)
    good = (found >= 0) & (found < np.inf)
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(f"{name}[{row}]: expected a finite number of at least 0, got {found[row]}")
    return found


def some_weight(name: str, weights: np.ndarray | None) -> None:
    """Refuses weights that are all 0, whose mean is nothing."""
    if weights is not None and not weights.any():
        raise ValueError(f"{name}: expected at least one above 0, got all zero")


def class_weights(spec: Any, labels: np.ndarray, classes: Sequence[Any]) -> np.ndarray:
    """The weight of each class, (classes,) float64; `labels` (n,) are checked places in `classes`.

    `spec` maps classes to weights, 1 where it names none; or is "balanced": n / (classes seen * samples of
    the class), so that every class seen weighs the same and the mean over the samples is 1.
    """
    if isinstance(spec, str) and spec == "balanced":
        samples = np.bincount(labels, minlength=len(classes))
        weights = len(labels) / (max(1, np.count_nonzero(samples)) * np.maximum(samples, 1.0))
        return np.asarray(np.where(samples > 0, weights, 1.0))
    if not isinstance(spec, Mapping):
        raise TypeError(f"class_weight: expected a dict of label to weight or 'balanced', got {spec!r}")
    weights = np.ones(len(classes))
    places = {label: place for place, label in enumerate(classes)}
    for label, weight in spec.items():
        if label not in places:
            raise ValueError(f"class_weight: expected labels {', '.join(map(repr, classes))}, got {label!r}")
        weights[places[label]] = nonnegative(f"class_weight[{label!r}]", weight)
    return weights
