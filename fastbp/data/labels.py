"""Labels as users have them, and the outputs that they stand for."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .arrays import array
from .cells import are_numbers, numbers_of_objects

_OTHERS = "USTOmM"  # kinds of arrays whose labels are not numbers: text, objects and times
_PLAIN = {str, int, float, bool, np.datetime64, np.timedelta64}

Classes = tuple[Any, ...] | None  # the label of each output, or None where they are 0, 1, 2 ...


def encoded(y: Any, classes: Classes, outputs: int, name: str, learnt: bool) -> tuple[Any, Classes]:
    """Replaces labels by the indices of their classes, and returns the classes too; other y is unchanged.

    Labels are text, dates, or anything that can be hashed; or numbers other than 0 .. outputs - 1, as many
    different ones as there are outputs.  If labels are `learnt` already, no new ones are.
    """
    values = labels_or_numbers(y, name)
    is_other = values.dtype.kind in _OTHERS
    if values.ndim != 1 or not len(values) or not (is_other or values.dtype.kind in "iuf" or classes):
        return values, classes
    if classes is None and learnt:
        classes = tuple(range(max(2, outputs))) if is_other else None
    elif classes is None and not is_other:
        classes = _numbers(values, outputs)
    elif classes is None:
        classes = checked_classes(_distinct(values, name), outputs, name)
    if classes is None:
        return values, None
    known: Any = classes
    if values.dtype.kind in "mM" and as_array(classes).dtype.kind == values.dtype.kind:
        # Equal times have the same hash only in the same unit.
        unit = np.promote_types(values.dtype, as_array(classes).dtype)
        values, known = values.astype(unit), as_array(classes).astype(unit)
    indices = {label: index for index, label in enumerate(known)}
    return indices_of(listed(values), indices, name), classes


def must_be_learnt(y: np.ndarray, outputs: int) -> bool:
    """Tells whether y has labels other than 0 .. outputs - 1, so that the classes follow from all of y."""
    if y.ndim != 1 or y.dtype.kind not in _OTHERS + "iuf":
        return False
    return y.dtype.kind in _OTHERS or (outputs > 1 and not 0 <= y.min() <= y.max() < outputs)


def listed(y: np.ndarray) -> list[Any]:
    """The labels of an array as Python's objects, except times, which NumPy may have in finer units."""
    return list(y) if y.dtype.kind in "mM" else y.tolist()


def _numbers(y: np.ndarray, outputs: int) -> Classes:
    """The classes of labels that are numbers; None for 0 .. outputs - 1, and for y that `targets` checks."""
    if outputs == 1 or (y.min() >= 0 and y.max() < outputs):
        return None
    distinct = np.unique(y)
    whole = np.isfinite(distinct).all() and (np.floor(distinct) == distinct).all()
    return tuple(distinct.tolist()) if whole and len(distinct) == outputs else None


def _distinct(y: np.ndarray, name: str) -> list[Any]:
    """The different labels, sorted if they can be, else in the order of their first appearance."""
    distinct = list(dict.fromkeys(hashable(listed(y), name)))
    try:
        return sorted(distinct)
    except TypeError:
        return distinct


def labels_of(indices: np.ndarray, classes: Classes) -> np.ndarray:
    """The labels of class indices."""
    return indices if classes is None else as_array(classes)[indices]


def as_array(classes: tuple[Any, ...]) -> np.ndarray:
    """An array of labels: of text, numbers or times if all have that type, else of objects."""
    objects = np.empty(len(classes), object)
    objects[:] = classes
    kinds = {type(label) for label in classes}
    return np.array(classes) if len(kinds) == 1 and kinds <= _PLAIN else objects


def labels_or_numbers(y: Any, name: str) -> np.ndarray:
    """Converts y to an array without converting labels: a mixed list stays one of objects, as tuples do."""
    are_tuples = isinstance(y, (list, tuple)) and y and all(isinstance(label, tuple) for label in y)
    if are_tuples and not all(map(are_numbers, y)):
        values = np.empty(len(y), object)
        values[:] = y
        return values
    values = array(y, name)
    if values.dtype.kind in "US" and not isinstance(y, np.ndarray):
        plain = np.asarray(y, object)
        if not all(isinstance(label, str if values.dtype.kind == "U" else bytes) for label in plain.flat):
            values = plain
    if values.dtype == object and values.size and are_numbers(values.flat):
        return numbers_of_objects(values, name)
    return values


def hashable(labels: list[Any], name: str) -> list[Any]:
    """Returns the labels; refuses missing ones, and those without a hash such as lists."""
    for row, label in enumerate(labels):
        try:
            good = hash(label) is not None and label is not None and bool(label == label)
        except (TypeError, ValueError):  # it has no hash, or is pandas.NA
            good = False
        if not good:
            raise ValueError(f"{name}[{row}]: expected a label, got {label!r}")
    return labels


def checked_classes(distinct: list[Any], outputs: int, name: str) -> tuple[Any, ...]:
    """Returns the labels; refuses any but one different label per output, or two for one output."""
    count = max(2, outputs)
    if len(distinct) != count or len(set(distinct)) < count:
        raise ValueError(
            f"{name}: expected {count} different labels for {outputs} outputs, got {len(distinct)}: "
            f"{_first_of(distinct)}"
        )
    return tuple(distinct)


def indices_of(labels: list[Any], known: Mapping[Any, int], name: str) -> np.ndarray:
    """Returns the class index of each label; raises ValueError for a label that is not a known class."""
    try:
        return np.fromiter((known[label] for label in labels), np.int64, len(labels))
    except (KeyError, TypeError):
        pass
    row, label = next((i, label) for i, label in enumerate(hashable(labels, name)) if label not in known)
    raise ValueError(f"{name}[{row}]: expected one of {_first_of([*known])}, got {label!r}")


def _first_of(labels: Sequence[Any]) -> str:
    """The first labels, as text for a message."""
    return ", ".join(map(repr, labels[:5])) + (", ..." if len(labels) > 5 else "")
