"""Decisions and scores, from the outputs of a network."""

from typing import Any

import numpy as np

from .targets import Targets, Task

Weights = np.ndarray | None  # of the rows (n,), not all 0; None where all weigh the same


def decided(outputs: np.ndarray, task: Task, threshold: float = 0.5) -> np.ndarray:
    """Decisions by outputs (samples, outputs): labels, zeros and ones, or values, in the shape of y.

    Where an output stands for yes and no, yes begins at the threshold.
    """
    if task == "labels":
        labels: np.ndarray = outputs.argmax(axis=1)
        return labels
    if task in ("binary", "multilabel"):
        outputs = (outputs >= threshold).astype(np.int64)
    return outputs[:, 0] if task in ("binary", "value") else outputs


def probabilities(outputs: np.ndarray, task: Task) -> np.ndarray:
    """The outputs of a network of sigmoids or a softmax as probabilities.

    A row holds one per label, which add up to 1; two for two classes; or independent ones of several labels.
    """
    if task == "binary":
        return np.hstack([1 - outputs, outputs])
    if task == "multilabel":
        return outputs
    total = outputs.sum(axis=1, keepdims=True)
    even = np.full_like(outputs, 1 / outputs.shape[1])  # where every sigmoid is 0
    return np.asarray(np.divide(outputs, total, out=even, where=total > 0))


def score(outputs: np.ndarray, targets: Targets, weights: Weights = None) -> float:
    """The accuracy, or the coefficient of determination R^2 for values."""
    return (r2 if targets.task in ("value", "values") else accuracy)(outputs, targets, weights)


def accuracy(outputs: np.ndarray, targets: Targets, weights: Weights = None) -> float:
    """The share of rows in which all outputs are right."""
    if weights is None:
        return float(accuracy_of_each(outputs[None], targets)[0])
    y = targets.array
    right = decided(outputs, targets.task, targets.threshold).reshape(y.shape) == y
    return _mean(right if right.ndim == 1 else right.all(axis=1), weights)


def accuracy_of_each(outputs: np.ndarray, targets: Targets) -> np.ndarray:
    """The `accuracy` of each of many networks, of outputs (networks, samples, outputs)."""
    y = targets.array
    if targets.task == "labels":
        return np.asarray((outputs.argmax(axis=2) == y).mean(axis=1))
    decisions = (outputs >= targets.threshold) if targets.task in ("binary", "multilabel") else outputs
    return np.asarray((decisions == y).all(axis=2).mean(axis=1))


def r2(outputs: np.ndarray, targets: Targets, weights: Weights = None) -> float:
    """The coefficient of determination."""
    if weights is None:
        return float(r2_of_each(outputs[None], targets)[0])
    counted = weights > 0
    outputs, y, share = outputs[counted], targets.array[counted], weights[counted, None]
    mean = np.average(y, axis=0, weights=share[:, 0])
    with np.errstate(over="ignore", invalid="ignore"):  # outputs may be anything
        residual = float(np.sum((outputs.astype(np.float64) - y) ** 2 * share))
    spread = float(np.sum((y - mean) ** 2 * share))
    return 1.0 - residual / spread if spread else float(residual == 0.0)


def r2_of_each(outputs: np.ndarray, targets: Targets) -> np.ndarray:
    """The coefficient of each of many networks, of outputs (networks, samples, outputs)."""
    y = targets.array
    spread = float(np.sum((y - y.mean(axis=0, dtype=np.float64)) ** 2))
    with np.errstate(over="ignore", invalid="ignore"):  # outputs may be anything
        squares = (outputs.astype(np.float64) - y) ** 2
        residual = squares.reshape(len(outputs), -1).sum(axis=1)
        return np.asarray(1.0 - residual / spread if spread else (residual == 0.0).astype(np.float64))


def mse(outputs: np.ndarray, targets: Targets, weights: Weights = None) -> float:
    """The mean of the squared differences, over rows and outputs."""
    return _mean(_differences(outputs, targets) ** 2, weights)


def mae(outputs: np.ndarray, targets: Targets, weights: Weights = None) -> float:
    """The mean of the absolute differences, over rows and outputs."""
    return _mean(np.abs(_differences(outputs, targets)), weights)


def _mean(values: np.ndarray, weights: Weights) -> float:
    """The mean over rows and outputs; a row of weight 0 does not count, even where it is not finite."""
    if weights is None:
        return float(np.mean(values))
    counted = weights > 0
    rows = values[counted].reshape(np.count_nonzero(counted), -1)
    return float(np.average(rows.mean(axis=1), weights=weights[counted]))


def _differences(outputs: np.ndarray, targets: Targets) -> np.ndarray:
    differences = outputs.astype(np.float64)
    y = targets.array
    if y.ndim == 1:  # labels, as one-hot rows
        differences[np.arange(len(y)), y] -= 1.0
    else:
        differences -= y
    return differences


OF_EACH = {accuracy: accuracy_of_each, r2: r2_of_each}  # of networks that have the same targets
METRICS = {"accuracy": accuracy, "r2": r2, "mse": mse, "mae": mae}


def count_correct(outputs: np.ndarray, labels: Any) -> int:
    """The number of rows whose largest output is that of their label."""
    return int(np.count_nonzero(np.argmax(outputs, axis=1) == labels)) if len(outputs) else 0
