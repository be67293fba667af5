"""Checks of the arguments and files of `compat.network2`."""

import json
import os
from typing import Any, NamedTuple

import numpy as np

from ..data.arrays import as_numbers
from ..options.checks import integer, sizes_of


def book_cost(name: str, cost: Any) -> Any:
    """Returns a cost, a class or an object, of the book or of the user."""
    if not callable(getattr(cost, "delta", None)):
        raise (AttributeError if name.endswith(": cost") else TypeError)(
            f"{name}: expected CrossEntropyCost, QuadraticCost, or a class with functions fn(a, y) and "
            f"delta(z, a, y), got {cost!r}"
        )
    return cost


def monitored_data(evaluation_data: Any, is_on: bool) -> None:
    if is_on and evaluation_data is None:
        raise TypeError("evaluation_data: expected a list of (x, label) for its monitors, got None")


def patience(epochs: Any, by_accuracy: bool) -> int:
    """The number of epochs without a better accuracy after which training stops; 0 is never."""
    count = integer("early_stopping_n", epochs)
    if count > 0 and not by_accuracy:
        raise ValueError(
            "early_stopping_n: expected monitor_evaluation_accuracy or monitor_training_accuracy with it, "
            "which it goes by, got neither"
        )
    return count


class BookNetwork(NamedTuple):
    """The content of a file of network2."""

    sizes: list[int]
    weights: list[np.ndarray]
    biases: list[np.ndarray]
    cost: str


def book_network(path: Any, file: Any) -> BookNetwork:
    """Reads a file that network2's `save` wrote, its keys in any order."""
    keys = BookNetwork._fields
    try:
        content = json.load(file)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected the JSON that network2 saves: {error}") from None
    if not isinstance(content, dict) or not content.keys() >= set(keys):
        raise ValueError(f"{path}: expected an object with {', '.join(keys)}, as network2 saves it")
    sizes = list(sizes_of(content["sizes"]))
    arrays = {}
    for key, widths in ("weights", sizes[:-1]), ("biases", [1] * (len(sizes) - 1)):
        shapes, lists = list(zip(sizes[1:], widths, strict=True)), content[key]
        names = [f"{path}: {key}[{i}]" for i in range(len(shapes))]
        if not isinstance(lists, list) or len(lists) != len(shapes):
            raise ValueError(f"{path}: {key}: expected a list of {len(shapes)}, for the sizes {sizes}")
        arrays[key] = [
            as_numbers(each, np.dtype(np.float64), name) for name, each in zip(names, lists, strict=True)
        ]
        for name, shape, array in zip(names, shapes, arrays[key], strict=True):
            if array.shape != shape:
                raise ValueError(f"{name}: expected shape {shape}, got {array.shape}")
    return BookNetwork(sizes, **arrays, cost=str(content["cost"]))


def path_of_digits(path: Any) -> None:
    """Refuses a path whose name is not that of the digits, which are read from the package instead."""
    names = ("mnist.pkl.gz", "mnist.pkl", "mnist_py3k.pkl.gz")
    if path is not None and os.path.basename(os.fspath(path)) not in names:
        raise ValueError(
            f"path: expected that of {', '.join(names)}, whose digits fastbp ships, got {path!r}; "
            "fastbp.datasets reads other files"
        )
