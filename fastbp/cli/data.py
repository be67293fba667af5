"""Training data: read, recognised as labels or values, checked, and split into parts or folds."""

import argparse
import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from . import columns
from .failure import FAILED, Failure, check_variables, reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..data.labels import Classes
    from ..network import Network

PIXELS = 255.0  # the largest number of a pixel
_HELD_OUT = 10  # one sample in so many, for each part that is missing
_LISTED = 20  # labels in a line


class Rows(NamedTuple):
    """Samples X (rows, inputs), their targets y, and their weights, if there are any."""

    X: "NDArray[Any]"
    y: "NDArray[Any]"
    weights: "NDArray[Any] | None" = None

    def at(self, rows: "NDArray[Any]") -> "Rows":
        """Returns these rows, in this order."""
        weights = None if self.weights is None else self.weights[rows]
        return Rows(self.X[rows], self.y[rows], weights)

    def without(self, rows: "NDArray[Any]") -> "Rows":
        """Returns the other rows."""
        import numpy as np

        return self.at(np.setdiff1d(np.arange(len(self.y)), rows))

    def validation(self) -> tuple[Any, ...]:
        """Returns the rows as `validation_data` of a `fit`."""
        return (self.X, self.y) if self.weights is None else (self.X, self.y, self.weights)


class Dataset(NamedTuple):
    """The parts of the data (training, validation, test), the task and why it is that, names of columns."""

    name: str
    parts: dict[str, Rows]
    task: str
    why: str
    inputs: tuple[str, ...] | None = None
    targets: tuple[str, ...] | None = None
    test_name: str | None = None  # the file of the test part, if it is another

    @property
    def training(self) -> Rows:
        return self.parts["training"]

    @property
    def are_exclusive(self) -> bool:
        """Tells whether each sample has one label."""
        return self.task == "labels" and self.training.y.ndim == 1


def load(options: argparse.Namespace) -> Dataset:
    """Reads the data of ``--data``, whose y has the type that tells a network its task."""
    name, path = options.data or "MNIST", options.data
    kinds = ", ".join(columns.ENDINGS)
    if path is not None and path.lower().endswith(columns.ENDINGS):
        return _of_table(options)
    if path is not None and not os.path.isdir(path) and not path.endswith(".npz"):
        expected = f"expected a folder of IDX files, an .npz file or a table ({kinds}), got another file"
        raise Failure(f"--data {path}: {expected if os.path.exists(path) else 'no such file'}")
    for option, value in (
        ("--target", options.target),
        ("--weights", options.weights),
        ("--drop", options.drop),
        ("--test-data", options.test_data),
    ):
        if value:
            raise Failure(
                f"{option}: expected a table ({kinds}) as --data, got {name}, which names no columns"
            )
    parts = _of_arrays(path)
    check_variables()
    task, why = task_of(parts["training"].y, options.task)
    return Dataset(
        name, {kind: typed(part, task, f"{name}, {kind} part") for kind, part in parts.items()}, task, why
    )


def _of_table(options: argparse.Namespace) -> Dataset:
    path = options.data
    roles = columns.Roles(tuple(options.target), options.weights, tuple(options.drop), options.task)
    try:
        found = columns.load(path, roles)
        rows = {"training": Rows(found.X, found.y, found.weights)}
        if options.test_data is not None:
            test = columns.load(options.test_data, roles, found)
            rows["test"] = Rows(test.X, test.y, test.weights)
    except ImportError as error:
        raise Failure(error, FAILED) from error
    except (OSError, ValueError) as error:
        raise Failure(reason(error)) from error
    check_variables()
    return Dataset(path, rows, found.task, found.why, found.inputs, roles.targets, options.test_data)


def _of_arrays(path: str | None) -> dict[str, Rows]:
    """Reads the parts of arrays, by name, each sample a row of numbers."""
    from ..datasets import load_idx, load_mnist, load_npz

    try:
        if path is None:
            return {kind: Rows(*part) for kind, part in load_mnist()._asdict().items()}
        training, test = load_idx(path) if os.path.isdir(path) else load_npz(path)
    except (OSError, ValueError) as error:
        raise Failure(reason(error)) from error
    parts = {"training": training} | ({"test": test} if test else {})
    return {kind: _plain(Rows(*part), f"{path}, {kind} part") for kind, part in parts.items()}


def divisor_of(path: str | None, X: "NDArray[Any]", chosen: float | None) -> tuple[float, str]:
    """Returns the divisor of samples, and a line that says so where it may surprise."""
    if chosen is not None:
        return chosen, ""
    if X.dtype != "uint8" or X.max() <= 1:
        return 1.0, ""
    if path is None or os.path.isdir(path):
        return PIXELS, "samples are pixels, divided by 255 (--input-divisor 1 leaves them unchanged)"
    return 1.0, "samples are uint8 numbers, used unchanged (--input-divisor 255 scales pixels to 0 .. 1)"


def _plain(part: Rows, name: str) -> Rows:
    """Samples as rows of numbers, and labels that are bytes as text."""
    import numpy as np

    if not len(part.y):
        raise Failure(f"{name}: expected at least one sample, got none")
    part = part._replace(X=part.X.reshape(len(part.X), math.prod(part.X.shape[1:])))
    if part.y.dtype.kind != "S":
        return part
    try:
        return part._replace(y=np.char.decode(part.y, "utf-8"))
    except UnicodeDecodeError as error:
        raise Failure(f"{name}: y: expected text in UTF-8: {error}") from error


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
    return y.dtype.kind == "U"


def _is_labels(y: "NDArray[Any]") -> bool:
    """Tells whether each row of y is one label, or zeros and ones, which are several labels at once."""
    if y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1):
        return True
    return y.ndim == 2 and not is_text(y) and bool(((y == 0) | (y == 1)).all())


def typed(part: Rows, task: str, name: str) -> Rows:
    """Converts y to the dtype that tells a network its task: integer for labels, float for values."""
    import numpy as np

    y = part.y
    if task == "values":
        return part._replace(y=y.astype(np.float64)) if y.dtype.kind in "biu" else part
    if y.dtype.kind == "f":
        whole = (np.abs(y) < columns.EXACT) & (np.floor(y) == y)
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


def listed(labels: Sequence[Any]) -> str:
    """Lists labels, or the ends and their count where they are too many for a line."""
    if len(labels) > _LISTED:
        return f"{labels[0]}, {labels[1]} ... {labels[-1]} ({len(labels):,} of them)"
    return ", ".join(map(str, labels))


def check(dataset: Dataset, net: "Network") -> None:
    """Refuses data that `Network.fit` would refuse, naming the file."""
    for kind, part in dataset.parts.items():
        name = (dataset.test_name or dataset.name) if kind == "test" else dataset.name
        _check(part, net, dataset, f"{name}, {kind} part")


def _check(part: Rows, net: "Network", dataset: Dataset, name: str) -> None:
    from ..data.labels import encoded
    from ..data.samples import checked_samples
    from ..data.targets import checked_targets
    from ..options.costs import columns_of

    y, outputs, task = part.y, net.sizes[-1], dataset.task
    classes = net._fastbp.learnt.classes
    try:
        checked_samples(part.X, net.sizes[0], net.dtype, f"{name}: X")
    except (TypeError, ValueError) as error:
        raise Failure(error) from error
    try:
        if classes:
            y, _ = encoded(y, classes, outputs, f"{name}: y", learnt=True)
        columns = columns_of(net._fastbp.options.cost, outputs)
        checked_targets(y, len(y), columns, net.dtype, f"{name}: y")
        if task == "labels" and y.ndim == outputs == 1 and len(others := y[(y != 0) & (y != 1)]):
            raise ValueError(f"{name}: y: expected labels 0 and 1 for one output, got {others[0]}")
    except (TypeError, ValueError) as error:
        raise Failure(f"{error}; y is read as {task}, {dataset.why}") from error


def split(
    dataset: Dataset, options: argparse.Namespace, needed: Sequence[str]
) -> tuple[dict[str, Rows], str]:
    """Holds out those parts that are `needed` and missing, each a fold of ten.

    Notes which parts those are, and the labels of which a part has no sample.
    """
    import numpy as np

    name, training = dataset.name, dataset.training
    parts = {kind: part for kind, part in dataset.parts.items() if kind in needed}
    lacking = [kind for kind in needed if kind not in parts]
    if not lacking:
        return parts, ""
    missing = f"no {' part and no '.join(lacking)} part"
    samples = len(training.y)
    if samples < _HELD_OUT:
        raise Failure(
            f"{name}: {samples} samples and {missing}, expected at least {_HELD_OUT} samples, "
            f"a tenth of which is held out; {_way_out(options)}"
        )
    folds = _fold_of(training.y, dataset.task, _HELD_OUT, options.seed)
    place = np.maximum(0, folds - (_HELD_OUT - 1 - len(lacking)))  # in the training part, or in a lacking one
    if dataset.are_exclusive:  # a label that the training part lacks could not be learnt
        _, label, counts = np.unique(training.y, return_inverse=True, return_counts=True)
        place[counts[label] <= len(lacking)] = 0
    each = " for each" if len(lacking) > 1 else ""
    note = f" ({missing}: a tenth{each}, drawn by the seed, is held out)"
    for number, kind in enumerate(["training", *lacking]):
        parts[kind] = part = training.at(np.flatnonzero(place == number))
        if part.weights is not None and not part.weights.any():
            raise Failure(f"{name}: expected weights above 0 in the {kind} part, got zeros alone")
        if dataset.are_exclusive and len(absent := np.setdiff1d(training.y, part.y)):
            note += f"\nlabels too rare for the {kind} part: {listed(absent.tolist())}"
    return parts, note


def _way_out(options: argparse.Namespace) -> str:
    if options.patience is not None:
        return "leave out --patience, which needs a validation part"
    return "--validation-data none needs no validation part"


def folds(dataset: Dataset, count: int, seed: int) -> "list[NDArray[Any]]":
    """Returns the indices of the samples that each fold holds out, drawn by the seed."""
    import numpy as np

    training = dataset.training
    samples = len(training.y)
    most = samples if dataset.task == "labels" else samples // 2  # one value has no R^2
    if count > most:
        raise Failure(f"--folds {count}: expected at most {most} folds of {samples} samples")
    fold_of = _fold_of(training.y, dataset.task, count, seed)
    if (weights := training.weights) is not None:
        for fold in range(count):
            for rows, where in ((fold_of == fold, "in"), (fold_of != fold, "outside")):
                if not weights[rows].any():
                    raise Failure(
                        f"--folds {count}: expected weights above 0 {where} fold {fold + 1}, got zeros alone"
                    )
    return [np.flatnonzero(fold_of == fold) for fold in range(count)]


def _fold_of(y: "NDArray[Any]", task: str, count: int, seed: int) -> "NDArray[Any]":
    """Draws the fold of each sample, from 0.

    Each fold has the same share of every label, where a sample has one, up to a sample; or else of small and
    large values.
    """
    import numpy as np

    samples, random = len(y), np.random.RandomState(seed)
    order, places = random.permutation(samples), np.arange(samples) % count
    y = y.reshape(samples, -1)
    if y.shape[1] == 1:
        order = order[np.argsort(y[order, 0], kind="stable")]
    if task == "values":  # no fold always has the smallest of its block of the order
        whole = samples - samples % count
        places[:whole] = random.rand(samples // count, count).argsort(axis=1).reshape(-1)
    fold_of = np.empty(samples, np.int64)
    fold_of[order] = places
    return fold_of
