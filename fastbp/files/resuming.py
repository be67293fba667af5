"""Checks of a checkpoint against the call of `fit` that resumes its training."""

from collections.abc import Mapping
from typing import Any

from ..data.schema import Learnt
from .checks import file_is

_NEW = ("some samples (CRC)", "y and weights (CRC)")  # arguments that checkpoints of 0.2.0 do not have


def check_network(path: str, saved: str, resumed: str) -> None:
    """Refuses to resume the training of another network."""
    if saved != resumed:
        raise ValueError(
            f"{path}: network: expected Network({saved}), whose training the checkpoint is of, got "
            f"Network({resumed})"
        )


def check_count(path: str, saved: int, resumed: int) -> None:
    """Refuses to resume the training of an ensemble of another size."""
    file_is(path, saved == resumed, f"expected an ensemble of {resumed} networks, got one of {saved}")


def check_learnt(path: str, saved: Learnt, learnt: Learnt) -> None:
    """Refuses to resume a training if X and y have another task, other classes or another scale."""
    for name in ("task", "classes", "scale"):
        there, value = getattr(saved, name), getattr(learnt, name)
        file_is(path, there == value, f"trained.{name}: expected {value!r}, as of X and y, got {there!r}")
    there, value = saved.target_names, learnt.target_names
    same = there == value or None in (there, value)
    file_is(path, same, f"trained.target_names: expected {value!r}, as of y, got {there!r}")


def checked_training(path: str, training: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The training in a checkpoint, which must be of a call of `fit` with the same arguments."""
    if not isinstance(training, dict):
        raise ValueError(f"{path}: expected a checkpoint to resume from, got a network alone")
    there = {**{name: arguments[name] for name in _NEW if name in arguments}, **training["arguments"]}
    other = [name for name in {**arguments, **there} if there.get(name) != arguments.get(name)]
    if other:
        differences = "; ".join(
            f"{name} was {there.get(name)!r}, is {arguments.get(name)!r}" for name in other
        )
        raise ValueError(
            f"{path}: expected the arguments of the training that is resumed, got others: {differences}"
        )
    return training


def check_segment(path: str, segment: int, before: int, samples_done: int, rows: int) -> None:
    """Refuses a position in an epoch that segments of so many rows do not have."""
    first, last = (segment - 1) * rows, segment * rows
    good = before == last if samples_done or not segment else first < before <= last
    file_is(
        path,
        good,
        f"damaged, or of other data: training.position.before: expected {last} samples in {segment} "
        f"segments, each of {rows}, got {before}",
    )


def check_rows(path: str, samples_done: int, rows: int, size: int) -> None:
    """Refuses to go on beyond a segment's end, or within a batch."""
    file_is(
        path,
        samples_done <= rows and (samples_done % size == 0 or samples_done == rows),
        f"damaged, or of other data: training.position.done: expected a multiple of batch_size, {size}, up "
        f"to the {rows} samples of the segment, got {samples_done}",
    )
