"""Training data: read, recognised as labels or values, checked, and split into parts."""

import math
import os
from typing import TYPE_CHECKING, Any

from .failure import Failure, reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..data.labels import Classes
    from ..datasets import Part
    from ..network import Network

PIXELS = 255.0  # the largest number of a pixel
_HELD_OUT = 10  # one sample in so many, for each part that is missing
_EXACT = 2**53  # larger floats are whole numbers whatever was meant


def load(path: str | None) -> dict[str, "Part"]:
    """Reads the parts of the data, by name (training, validation, test), each sample a row of numbers."""
    if path is not None and not os.path.isdir(path) and not path.endswith(".npz"):
        expected = "expected a folder of IDX files or an .npz file, got another file"
        raise Failure(f"--data {path}: {expected if os.path.exists(path) else 'no such file'}")
    from ..datasets import load_idx, load_mnist, load_npz

    try:
        if path is None:
            return load_mnist()._asdict()
        training, test = load_idx(path) if os.path.isdir(path) else load_npz(path)
    except (OSError, ValueError) as error:
        raise Failure(reason(error)) from error
    parts = {"training": training} | ({"test": test} if test else {})
    return {kind: _rows(part, f"{path}, {kind} part") for kind, part in parts.items()}


def divisor_of(path: str | None, X: "NDArray[Any]", chosen: float | None) -> tuple[float, str]:
    """Returns the divisor of samples, and a line that says so where it may surprise."""
    if chosen is not None:
        return chosen, ""
    if X.dtype != "uint8" or X.max() <= 1:
        return 1.0, ""
    if path is None or os.path.isdir(path):
        return PIXELS, "samples are pixels, divided by 255 (--input-divisor 1 leaves them unchanged)"
    return 1.0, "samples are uint8 numbers, used unchanged (--input-divisor 255 scales pixels to 0 .. 1)"


def _rows(part: "Part", name: str) -> "Part":
    if not len(part.y):
        raise Failure(f"{name}: expected at least one sample, got none")
    return part._replace(X=part.X.reshape(len(part.X), math.prod(part.X.shape[1:])))


def task_of(y: "NDArray[Any]", chosen: str | None) -> tuple[str, str]:
    """Decides whether y is learned as "labels" or as "values", and says why."""
    if chosen:
        return chosen, f"as --task {chosen} says"
    if is_text(y):
        return "labels", "as y is text"
    if y.dtype.kind not in "biu":
        return "values", f"as y is {y.dtype} (--task labels would learn classes)"
    if y.ndim > 1 and not _is_labels(y):
        return "values", f"as y has rows of {y.dtype}"
    return "labels", f"as y is {y.dtype} (--task values would learn numbers)"


def is_text(y: "NDArray[Any]") -> bool:
    return y.dtype.kind in "US"


def _is_labels(y: "NDArray[Any]") -> bool:
    """Tells whether each row of y is one label, or zeros and ones, which are several labels at once."""
    if y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1):
        return True
    return y.ndim == 2 and not is_text(y) and bool(((y == 0) | (y == 1)).all())


def typed(part: "Part", task: str, name: str) -> "Part":
    """Converts y to the dtype that tells a network its task: integer for labels, float for values."""
    import numpy as np

    y = part.y
    if task == "values":
        return part._replace(y=y.astype(np.float64)) if y.dtype.kind in "biu" else part
    if y.dtype.kind == "f":
        whole = (np.abs(y) < _EXACT) & (np.floor(y) == y)
        if not whole.all():
            where = np.argwhere(~whole)[0]
            raise Failure(f"{name}: y{where.tolist()}: expected a label, got {y[tuple(where)]}")
        y = y.astype(np.int64)
    if not _is_labels(y):
        raise Failure(
            f"{name}: y: expected a label or a row of zeros and ones per sample, got shape {y.shape}"
        )
    return part._replace(y=y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y)


def outputs(y: "NDArray[Any]", task: str) -> int:
    """Counts the outputs that y needs: one per different label, or one per column."""
    import numpy as np

    if y.ndim > 1:
        return int(y.shape[1])
    return max(2, len(np.unique(y))) if task == "labels" else 1


def classes(y: "NDArray[Any]", outputs: int, name: str, why: str) -> "Classes":
    """Lists the label of each output, sorted; None where labels are 0 .. outputs - 1 themselves."""
    import numpy as np

    from ..data.labels import checked_classes

    if y.ndim > 1 or not (is_text(y) or y.min() < 0 or y.max() >= max(2, outputs)):
        return None
    try:
        return checked_classes(np.unique(y).tolist(), outputs, name)
    except ValueError as error:
        raise Failure(f"{error}; y is read as labels, {why}") from error


def check(part: "Part", net: "Network", classes: "Classes", task: str, why: str, name: str) -> None:
    """Refuses data that `Network.fit` would refuse, naming the file."""
    from ..data.labels import encoded
    from ..data.samples import checked_samples
    from ..data.targets import checked_targets

    y, outputs = part.y, net.sizes[-1]
    try:
        checked_samples(part.X, net.sizes[0], net.dtype, f"{name}: X")
    except (TypeError, ValueError) as error:
        raise Failure(error) from error
    try:
        if classes:
            y, _ = encoded(y, classes, outputs, f"{name}: y", learnt=True)
        checked_targets(y, len(y), outputs, net.dtype, f"{name}: y")
        if task == "labels" and y.ndim == outputs == 1 and len(others := y[(y != 0) & (y != 1)]):
            raise ValueError(f"{name}: y: expected labels 0 and 1 for one output, got {others[0]}")
    except (TypeError, ValueError) as error:
        raise Failure(f"{error}; y is read as {task}, {why}") from error


def split(parts: dict[str, "Part"], seed: int, validate: bool, name: str) -> tuple[dict[str, "Part"], str]:
    """Holds out the missing parts from the training part; returns all parts, and a note on those held out.

    Draws the samples held out at random, because samples may be sorted by label.
    """
    import numpy as np

    needed = ["training", "test"] + ["validation"] * validate
    parts = {kind: part for kind, part in parts.items() if kind in needed}
    lacking = [kind for kind in needed if kind not in parts]
    if not lacking:
        return parts, ""
    X, y = parts["training"]
    missing = f"no {' part and no '.join(lacking)} part"
    count = len(y) // _HELD_OUT
    if not count:
        raise Failure(
            f"{name}: {len(y)} samples and {missing}, expected at least {_HELD_OUT} samples, "
            "a tenth of which is held out; --validation-data none needs no validation part"
        )
    drawn = np.split(
        np.random.RandomState(seed).permutation(len(y)), [count * (i + 1) for i in range(len(lacking))]
    )
    held_out = {
        kind: parts["training"]._replace(X=X[rows], y=y[rows])
        for kind, rows in zip([*lacking, "training"], drawn, strict=True)
    }
    each = " for each" if len(lacking) > 1 else ""
    return parts | held_out, f" ({missing}: a tenth{each}, drawn by the seed, is held out)"
