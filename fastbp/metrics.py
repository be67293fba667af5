"""Decisions and scores, from the outputs of a network."""

from typing import Any

import numpy as np

from .validate import Targets, Task


def decided(outputs: np.ndarray, task: Task) -> np.ndarray:
    """What the outputs (samples, outputs) say: labels (samples,), or the values themselves."""
    if task == "labels":
        return np.asarray(np.argmax(outputs, axis=1))
    return (outputs[:, 0] >= 0.5).astype(np.int64) if task == "binary" else outputs


def score(outputs: np.ndarray, targets: Targets) -> float:
    """The share of right labels; for values the coefficient of determination R^2."""
    wanted = targets.array
    if targets.task == "values":
        residual = float(np.sum((outputs.astype(np.float64) - wanted) ** 2))
        spread = float(np.sum((wanted - wanted.mean(axis=0, dtype=np.float64)) ** 2))
        return 1.0 - residual / spread if spread else float(residual == 0.0)
    return float(np.mean(decided(outputs, targets.task) == wanted.reshape(-1)))


def count_correct(outputs: np.ndarray, labels: Any) -> int:
    """How many rows have their largest output at their label."""
    return int(np.count_nonzero(np.argmax(outputs, axis=1) == labels)) if len(outputs) else 0
