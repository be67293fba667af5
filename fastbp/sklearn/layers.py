"""The arrays of a network as scikit-learn's estimators have them: `coefs_` and `intercepts_`."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np


class LayerArrays(list[np.ndarray]):
    """The arrays of each layer; one that is assigned to an index becomes the network's.

    Copies and pickles of it are plain lists.
    """

    def __init__(self, arrays: Iterable[np.ndarray], write: Callable[[Sequence[Any]], None]) -> None:
        super().__init__(arrays)
        self._write = write

    def __setitem__(self, index: Any, value: Any) -> None:
        arrays: list[Any] = [*self]
        arrays[index] = value
        self._write(arrays)
        super().__setitem__(index, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return list, ([*self],)


def checked_layers(name: str, arrays: Sequence[Any], shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """The arrays of numbers; refuses others than one of each shape."""
    layers = [np.asarray(array) for array in arrays]
    if len(layers) != len(shapes):
        raise ValueError(f"{name}: expected {len(shapes)} arrays, one of each layer, got {len(layers)}")
    for number, (array, shape) in enumerate(zip(layers, shapes, strict=True)):
        if array.shape != shape or array.dtype.kind not in "fiu":
            raise ValueError(
                f"{name}[{number}]: expected numbers of shape {shape}, "
                f"got {array.dtype} of shape {array.shape}"
            )
    return layers


def sizes_of(coefs: Sequence[Any]) -> list[int]:
    """The sizes of the layers that weights of shape (inputs, outputs) connect."""
    shapes = [np.shape(w) for w in coefs]
    chained = all(a[-1:] == b[:1] for a, b in itertools.pairwise(shapes))
    if not shapes or not chained or any(len(shape) != 2 or 0 in shape for shape in shapes):
        raise ValueError(
            "coefs_: expected an array (inputs, outputs) of each layer, whose inputs are the outputs of the "
            f"layer before, got the shapes {shapes}"
        )
    return [shapes[0][0], *(shape[1] for shape in shapes)]
