"""Weights of samples and of classes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..options.checks import nonnegative
from .arrays import as_numbers
from .targets import Targets


def sample_weights(weights: Any, rows: int, name: str = "sample_weight") -> np.ndarray:
    """Converts the weights of samples, finite and at least 0, to (rows,) float64."""
    numbers = as_numbers(weights, np.dtype(np.float64), name)
    if numbers.shape != (rows,):
        raise ValueError(f"{name}: expected shape ({rows},), one per row of X, got {numbers.shape}")
    numbers = numbers.astype(np.float64)
    good = (numbers >= 0) & (numbers < np.inf)
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(f"{name}[{row}]: expected a finite number of at least 0, got {numbers[row]}")
    return numbers


def check_some_weight(name: str, weights: np.ndarray | None) -> None:
    """Refuses weights that are all 0, with which no mean is defined."""
    if weights is not None and not weights.any():
        raise ValueError(f"{name}: expected at least one above 0, got all zero")


def classes_of(targets: Targets) -> np.ndarray:
    """The class index of each row, for class weights."""
    if targets.task not in ("labels", "binary"):
        raise ValueError(f"class_weight: expected labels as y, (n,) integers, got {targets.task}")
    return targets.array.reshape(-1).astype(np.int64)


def checked_class_weights(spec: Any, labels: np.ndarray, classes: Sequence[Any]) -> np.ndarray:
    """The weight of each class, (classes,) float64; `labels` (n,) are checked indices into `classes`.

    `spec` maps classes to weights, by default 1; or it is "balanced": n / (classes seen * samples of the
    class), so that every class seen has the same total weight and the mean over the samples is 1.
    """
    if isinstance(spec, str) and spec == "balanced":
        samples = np.bincount(labels, minlength=len(classes))
        weights = len(labels) / (max(1, np.count_nonzero(samples)) * np.maximum(samples, 1.0))
        return np.asarray(np.where(samples > 0, weights, 1.0))
    if not isinstance(spec, Mapping):
        raise TypeError(f"class_weight: expected a dict of label to weight or 'balanced', got {spec!r}")
    weights = np.ones(len(classes))
    indices = {label: index for index, label in enumerate(classes)}
    for label, weight in spec.items():
        if label not in indices:
            raise ValueError(f"class_weight: expected labels {', '.join(map(repr, classes))}, got {label!r}")
        weights[indices[label]] = nonnegative(f"class_weight[{label!r}]", weight)
    return weights
