"""Arrays and numbers that an ensemble is given: one of all networks, or one of each."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .schema import Learnt


def samples(name: str, X: Any, networks: int) -> list[Any] | None:
    """The samples of each network; None where X (samples, inputs) is of all."""
    return _parts(name, X, networks, "(samples, inputs)") if len(shape_of(X)) == 3 else None


def targets(name: str, y: Any, networks: int, rows: int, outputs: int) -> list[Any] | None:
    """The targets of each network; None where y, (rows,) or (rows, outputs), is of all."""
    shape = shape_of(y)
    is_own = len(shape) == 3 or (len(shape) == 2 and shape != (rows, outputs) and shape[1] == rows)
    return _parts(name, y, networks, "(samples,) or (samples, outputs)") if is_own else None


def parts(
    prefix: str, X: Any, y: Any, sample_weight: Any, networks: int, outputs: int
) -> list[tuple[Any, Any, Any]] | None:
    """Samples, targets and weights of each network; None where all three are of all networks.

    `prefix` begins their names in errors.
    """
    Xs = samples(f"{prefix}X", X, networks)
    shape = shape_of(X if Xs is None else Xs[0])
    ys = targets(f"{prefix}y", y, networks, shape[0] if shape else 0, outputs)
    has_own_weights = len(shape_of(sample_weight)) == 2
    weights = (
        _parts(f"{prefix}sample_weight", sample_weight, networks, "(samples,)") if has_own_weights else None
    )
    if Xs is None and ys is None and weights is None:
        return None
    each = ((X, Xs), (y, ys), (sample_weight, weights))
    columns = ([shared] * networks if own is None else own for shared, own in each)
    return list(zip(*columns, strict=True))


def numbers(name: str, value: Any, networks: int, check: Callable[[str, Any], Any]) -> list[Any]:
    """The checked number of each network, of one of all or a list of them."""
    shape = shape_of(value)
    if not isinstance(value, (list, tuple)) and not shape:
        return [check(name, value)] * networks
    if shape != (networks,):
        got = f"{len(value)} numbers" if len(shape) == 1 else f"shape {shape}" if shape else "uneven lists"
        raise ValueError(f"{name}: expected one number, or one per network ({networks}), got {got}")
    return [check(f"{name}[{i}]", item) for i, item in enumerate(value)]


@contextmanager
def of_network(i: int) -> Iterator[None]:
    """Names the network whose part of the data an error is about."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(f"network {i}: {error}") from error


def check_alike(networks: Sequence[Learnt]) -> None:
    """Refuses data that make networks of one ensemble learn different tasks, labels or names of columns."""
    first = networks[0]
    for i, other in enumerate(networks):
        if (other.task, other.classes) != (first.task, first.classes):
            raise ValueError(f"y[{i}]: expected {_words(first)}, as network 0 learns, got {_words(other)}")
        if None not in (names := (other.feature_names, first.feature_names)) and names[0] != names[1]:
            raise ValueError(f"X[{i}]: expected {_columns(first)}, as of network 0, got {_columns(other)}")


def check_trained_alike(networks: Sequence[Learnt]) -> None:
    """Refuses networks for one ensemble that have learnt different tasks, labels or columns, or only some."""
    for words in (_words, _columns):
        wanted = words(networks[0])
        for i, other in enumerate(networks):
            if (got := words(other)) != wanted:
                raise ValueError(
                    f"networks[{i}]: expected {wanted}, as networks[0] has learnt, got {got}; train all "
                    "networks of an ensemble on the same data, or none"
                )


def _words(learnt: Learnt) -> str:
    task = learnt.task or "nothing yet"
    return task if learnt.classes is None else f"{task} {', '.join(map(repr, learnt.classes))}"


def _columns(learnt: Learnt) -> str:
    names = learnt.feature_names
    return "columns without names" if names is None else f"the columns {', '.join(map(repr, names))}"


def _parts(name: str, value: Any, networks: int, shared: str) -> list[Any]:
    if len(value) != networks:
        raise ValueError(
            f"{name}: expected shape {shared} for all networks, or one such array per network ({networks}), "
            f"got shape {shape_of(value)}"
        )
    return list(value)


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape of an array, a frame or nested lists; () where lists are of unequal lengths."""
    if hasattr(value, "shape"):
        return tuple(value.shape)
    try:
        return np.shape(value)
    except ValueError:
        return ()
