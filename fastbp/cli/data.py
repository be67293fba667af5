"""The data that are trained on: read, checked against the network, and parts held out."""

import math
import os
from typing import TYPE_CHECKING, Any

from .failure import Failure, reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..datasets import Part
    from ..network import Network

UINT8_DIVISOR = 255.0
_HELD_OUT = 10  # one sample in so many, where the data have no test part


def load(path: str | None) -> tuple["Part", "Part | None", "Part | None"]:
    """Training, validation and test part, each sample a row of numbers."""
    if path is not None and not os.path.isdir(path) and not path.endswith(".npz"):
        what = "neither a folder of IDX files nor an .npz file" if os.path.exists(path) else "no such file"
        raise Failure(f"--data {path}: {what}")
    from ..datasets import load_idx, load_mnist, load_npz

    try:
        if path is None:
            return load_mnist()
        training, test = load_idx(path) if os.path.isdir(path) else load_npz(path)
    except (OSError, ValueError) as error:
        raise Failure(reason(error)) from error
    return _rows(training, f"{path}, training part"), None, test and _rows(test, f"{path}, test part")


def _rows(part: "Part", name: str) -> "Part":
    if not len(part.y):
        raise Failure(f"{name}: no samples")
    return part._replace(X=part.X.reshape(len(part.X), math.prod(part.X.shape[1:])))


def outputs(y: "NDArray[Any]") -> int:
    """Outputs that targets need: one a class for labels, else one a value."""
    if y.ndim > 1:
        return int(y.shape[1])
    return max(2, int(y.max()) + 1) if y.dtype.kind in "biu" else 1


def check(part: "Part", net: "Network", name: str) -> None:
    """Refuses what `Network.fit` would, by the data's own name."""
    from ..validate import samples, targets

    try:
        samples(part.X, net.sizes[0], net.dtype, f"{name}: X")
        targets(part.y, len(part.y), net.sizes[-1], net.dtype, f"{name}: y")
    except (TypeError, ValueError) as error:
        raise Failure(error) from error


def held_out(part: "Part", seed: int, name: str) -> tuple["Part", "Part"]:
    """Training and test part.  The samples are drawn, for they may be sorted by label."""
    import numpy as np

    count = len(part.y) // _HELD_OUT
    if not count:
        raise Failure(
            f"{name}: {len(part.y)} samples and no test part, expected X_test and y_test or at least "
            f"{_HELD_OUT} samples, a tenth of which is held out"
        )
    test, training = np.split(np.random.RandomState(seed).permutation(len(part.y)), [count])
    return (
        part._replace(X=part.X[training], y=part.y[training]),
        part._replace(X=part.X[test], y=part.y[test]),
    )
