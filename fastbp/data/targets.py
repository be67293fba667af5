"""Checks of targets y: labels, or numbers that the cost allows."""

from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from ..options import checks, costs
from .arrays import array, as_numbers, check_finite

_ROUNDED = 1e-6  # the least error of a sum of probabilities that is not float32's but the user's

Task = Literal["labels", "binary", "multilabel", "values", "value"]


class Targets(NamedTuple):
    """Checked targets: labels (n,) as int64, or numbers (n, outputs) as float32 or float64."""

    array: np.ndarray
    task: Task
    classes: tuple[Any, ...] | None = None  # the labels, where they are not 0, 1, 2 ...
    threshold: float = 0.5  # from which on an output of two classes, or of several labels, says yes


def default_task(outputs: int, has_classes: bool = False) -> Task:
    """The task of a network of so many outputs before any training."""
    if outputs > 1:
        return "labels"
    return "binary" if has_classes else "values"


def assigned_task(task: Any, outputs: int, scales_outputs: bool) -> Task | None:
    """Returns a task that a user assigns to a network of so many outputs."""
    if task is None:
        return None
    several = outputs > 1
    choices = [
        name for name in get_args(Task) if name not in (("binary", "value") if several else ("labels",))
    ]
    chosen: Any = checks.choice("task", task, choices)
    if scales_outputs:
        check_task_of_scaling(chosen)
    return chosen  # type: ignore[no-any-return]


def required(name: str, value: Any) -> Any:
    """Returns a value that must not be None."""
    if value is None:
        raise TypeError(f"{name}: expected labels or values, one per row of X, got None")
    return value


def checked_targets(
    y: Any,
    rows: int,
    outputs: int,
    dtype: np.dtype,
    name: str = "y",
    task: Task | None = None,
    multilabel: bool = False,
) -> Targets:
    """Converts y to targets, whose task follows from shape and type if `task` is None.

    (n,) integers below `outputs` are labels; with one output, zeros and ones of an integer type are two
    classes and other numbers are values.  (n, outputs) numbers are values; if the network can learn
    `multilabel` targets, zeros and ones of an integer type are those instead.
    """
    targets = array(y, name)
    if targets.ndim not in (1, 2) or len(targets) != rows:
        raise ValueError(
            f"{name}: expected {rows} labels or shape ({rows}, {outputs}), as X has {rows} rows, "
            f"got shape {targets.shape}"
        )
    flat = targets.ndim == 1
    labels = flat and outputs > 1
    if task is not None and labels != (task == "labels"):
        hint = "; y.argmax(axis=1) makes labels of one-hot rows" if task == "labels" else ""
        shape = f"({rows},)" if task == "labels" else f"({rows}, {outputs})"
        raise ValueError(
            f"{name}: expected shape {shape}, as the network was trained for {task}, "
            f"got {targets.shape}{hint}"
        )
    if labels:
        return Targets(as_labels(targets, outputs, name), "labels")
    bits = targets.dtype.kind in "biu" and targets.size > 0 and targets.min() >= 0 and targets.max() <= 1
    if task is None and flat:
        task = "binary" if bits else "value"
    elif task is None:
        task = "multilabel" if bits and multilabel else "values"
    targets = as_numbers(targets.reshape(-1, 1) if flat else targets, dtype, name)
    if targets.shape[1] != outputs:
        raise ValueError(
            f"{name}: expected shape ({rows}, {outputs}) for a network of {outputs} outputs, "
            f"got {targets.shape}; labels have shape ({rows},)"
        )
    check_finite(targets, dtype, name)
    if task in ("binary", "multilabel"):
        _check_bits(targets, task, name)
    return Targets(targets.astype(dtype, order="C", copy=False), task)


def as_labels(array: np.ndarray, outputs: int, name: str) -> np.ndarray:
    """Checks that labels are whole numbers from 0 to outputs - 1, and returns them as int64."""
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected integer labels 0 .. {outputs - 1}, got dtype {array.dtype}")
    good = (array >= 0) & (array < outputs)
    if array.dtype.kind == "f":
        good &= np.floor(array) == array
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(f"{name}[{row}]: expected a label 0 .. {outputs - 1}, got {array[row]}")
    return np.ascontiguousarray(array, np.int64)


def suited_to_cost(targets: Targets, cost: costs.Kind, output_activation: Any, name: str) -> Targets:
    """Refuses targets that the cost is not defined for; makes probabilities of a softmax add up to 1."""
    y, allowed = targets.array, costs.definition_of(cost).targets
    if allowed is costs.SIDES and targets.task in ("value", "values"):
        raise ValueError(
            f"{name}: expected labels, as the cost is {cost!r}, got {targets.task}; make zeros and ones "
            "integers, as y.astype(int) does, and of -1 and 1 (y > 0).astype(int)"
        )
    if y.ndim == 1 or not y.size or allowed is costs.VALUES:
        return targets
    is_allowed = (y >= allowed.least) & (y <= allowed.most)
    _check_cells(y, is_allowed, name, f"{allowed.expected}, as the cost is {cost!r}")
    if allowed is not costs.PROBABILITIES or output_activation != "softmax":
        return targets
    rows = np.flatnonzero(np.abs(y.sum(axis=1, dtype=np.float64) - 1.0) > 0.5 * _ROUNDED)
    if not rows.size:
        return targets
    sums = np.cumsum(y[rows], axis=1, dtype=np.float64)[:, -1]  # in order, which NumPy's sum need not keep
    errors = np.abs(sums - 1.0)
    if errors.max() > 1e-3:
        worst = int(np.argmax(errors))
        raise ValueError(
            f"{name}[{rows[worst]}]: expected probabilities, which add up to 1, for a softmax, got a sum of "
            f"{sums[worst]:g}; sample_weight gives a row more or less weight"
        )
    rounded, array = errors > _ROUNDED, y.copy()
    array[rows[rounded]] = y[rows[rounded]] / sums[rounded, None]
    return targets._replace(array=array)


def check_task_of_scaling(task: Task) -> None:
    if task not in ("value", "values"):
        raise ValueError(f"scale_outputs: expected values as y, got {task}, which are not scaled")


def _check_bits(targets: np.ndarray, task: Task, name: str) -> None:
    good = (targets == 0) | (targets == 1)
    _check_cells(targets, good, name, f"0 or 1, as the network was trained for {task}")


def _check_cells(targets: np.ndarray, good: np.ndarray, name: str, expected: str) -> None:
    if not good.all():
        row, column = np.argwhere(~good)[0]
        raise ValueError(f"{name}[{row}, {column}]: expected {expected}, got {targets[row, column]}")
