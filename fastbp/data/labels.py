"""Labels as people have them, and the outputs that stand for them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .arrays import array
from .cells import are_numbers, numbers_of_objects

_OTHERS = "USOmM"  # kinds of arrays of labels that are no numbers: text, objects and times
_PLAIN = {str, int, float, bool, np.datetime64, np.timedelta64}

Classes = tuple[Any, ...] | None  # the label of each output, or None where they are 0, 1, 2 ...


def encoded(y: Any, classes: Classes, outputs: int, name: str, learnt: bool) -> tuple[Any, Classes]:
    """y with the index of each label's class instead of the label, and the classes; other y as it is.

    Labels are text, dates, or anything that can be hashed; or numbers other than 0 .. outputs - 1, as many
    different ones as there are outputs.  Where labels are `learnt` already, no others are.
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
        unit = np.promote_types(
            values.dtype, as_array(classes).dtype
        )  # in which equal times have the same hash
        values, known = values.astype(unit), as_array(classes).astype(unit)
    indices = {label: index for index, label in enumerate(known)}
    return indices_of(listed(values), indices, name), classes


def are_other(y: np.ndarray, outputs: int) -> bool:
    """Tells whether y holds labels other than 0 .. outputs - 1, so that all of them tell the classes."""
    if y.ndim != 1 or y.dtype.kind not in _OTHERS + "iuf":
        return False
    return y.dtype.kind in _OTHERS or (outputs > 1 and not 0 <= y.min() <= y.max() < outputs)


def listed(y: np.ndarray) -> list[Any]:
    """The labels of an array: Python's objects, but NumPy's times, which may be finer than Python's."""
    return list(y) if y.dtype.kind in "mM" else y.tolist()


def _numbers(y: np.ndarray, outputs: int) -> Classes:
    """The classes that numbers are; None where they are 0 .. outputs - 1, or what only `targets` can tell."""
    if outputs == 1 or (y.min() >= 0 and y.max() < outputs):
        return None
    distinct = np.unique(y)
    whole = np.isfinite(distinct).all() and (np.floor(distinct) == distinct).all()
    return tuple(distinct.tolist()) if whole and len(distinct) == outputs else None


def _distinct(y: np.ndarray, name: str) -> list[Any]:
    """Sorted where they can be, else in the order in which they are first seen."""
    distinct = list(dict.fromkeys(hashable(listed(y), name)))
    try:
        return sorted(distinct)
    except TypeError:
        return distinct


def labels_of(indices: np.ndarray, classes: Classes) -> np.ndarray:
    """The labels of class indices."""
    return indices if classes is None else as_array(classes)[indices]


def as_array(classes: tuple[Any, ...]) -> np.ndarray:
    """An array of labels: of text, numbers or times where all are, else of objects."""
    objects = np.empty(len(classes), object)
    objects[:] = classes
    kinds = {type(label) for label in classes}
    return np.array(classes) if len(kinds) == 1 and kinds <= _PLAIN else objects


def labels_or_numbers(y: Any, name: str) -> np.ndarray:
    """y as an array; a list of text and other things is not made text throughout, nor tuples rows of it."""
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
    """Labels that can be told apart: no lists, no missing ones."""
    for row, label in enumerate(labels):
        try:
            good = hash(label) is not None and label is not None and bool(label == label)
        except (TypeError, ValueError):  # it has no hash, or is pandas.NA
            good = False
        if not good:
            raise ValueError(f"{name}[{row}]: expected a label, got {label!r}")
    return labels


def checked_classes(distinct: list[Any], outputs: int, name: str) -> tuple[Any, ...]:
    """Different labels, one per output, or two where there is one output."""
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
    """The first labels of some, as an error shows them."""
    return ", ".join(map(repr, labels[:5])) + (", ..." if len(labels) > 5 else "")
