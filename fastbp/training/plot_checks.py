"""Checks of the arguments of functions that draw."""

import math
import operator
from typing import Any

import numpy as np


def index(name: str, value: Any, count: int) -> int:
    """An index below `count`."""
    try:
        index = operator.index(value)
    except TypeError:
        index = -1
    if not 0 <= index < count:
        raise ValueError(f"{name}: expected a number from 0 to {count - 1}, got {value!r}")
    return index


def image_shape(name: str, shape: Any, inputs: int) -> tuple[int, int]:
    """Height and width of an image of so many inputs."""
    side = math.isqrt(inputs)
    if shape is None and side * side == inputs:
        return side, side
    if not (
        isinstance(shape, tuple)
        and len(shape) == 2
        and all(isinstance(side, (int, np.integer)) and side > 0 for side in shape)
        and math.prod(shape) == inputs
    ):
        raise ValueError(f"{name}: expected (height, width) of an image of {inputs} inputs, got {shape!r}")
    return int(shape[0]), int(shape[1])


def trained_for_labels(task: str | None) -> None:
    if task not in ("labels", "binary", None):
        raise ValueError(f"plot.confusion_matrix: expected a network trained for labels, got one for {task}")


def trained_for_values(task: str | None) -> None:
    if task not in ("value", "values", None):
        raise ValueError(f"plot.residuals: expected a network trained for values, got one for {task}")


def same_shape(name: str, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Returns values, which must have the shape of the predictions."""
    if values.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, as predictions have, got {values.shape}")
    return values


def in_notebook(is_notebook: bool) -> None:
    if not is_notebook:
        raise RuntimeError("LivePlot: expected a notebook to draw in; History.plot draws afterwards")


def same_rows(name: str, labels: int, rows: int) -> None:
    if labels != rows:
        raise ValueError(f"{name}: expected {rows} labels, one per row of X, got {labels}")
