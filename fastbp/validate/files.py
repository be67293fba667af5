"""What files and checkpoints hold."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn, get_args

import numpy as np

from .arrays import Scale, Task, hashable
from .options import choice, seed


def same_network(saved: Any, net: Any) -> None:
    """Refuses to resume the training of another network."""
    there, here = repr(saved), repr(net)
    if there.partition("(")[2] != here.partition("(")[2]:
        raise ValueError(f"network: expected {there}, whose training the checkpoint is of, got {here}")


def checkpoint(path: str, training: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint holds of a training, of a call of `fit` with the same arguments."""
    if not isinstance(training, dict):
        raise ValueError(f"{path}: expected a checkpoint to resume from, got a network alone")
    there = training["arguments"]
    other = [name for name in arguments if there.get(name) != arguments[name]]
    if other:
        differences = "; ".join(f"{name} was {there.get(name)!r}, is {arguments[name]!r}" for name in other)
        raise ValueError(
            f"{path}: expected the arguments of the training that is resumed, got others: {differences}"
        )
    return training


def plain_labels(path: str, labels: tuple[Any, ...]) -> None:
    """Refuses labels that no file of ours can hold."""
    for label in labels:
        if type(label) not in (str, int, float, bool):
            raise TypeError(f"{path}: expected labels that are text or numbers, got {label!r}")


def file_begins(path: str, found: bytes, wanted: bytes, version: bytes) -> None:
    """Refuses what another program wrote, or a later version."""
    other = {b"": "an empty file"}.get(found, "a file of another format")
    begins = found.startswith(wanted[: len(found)]) and bool(found)
    file_is(path, begins, f"no network saved by fastbp, but {other}")
    theirs = found[len(wanted) :].partition(b'"')[0]
    later = theirs.isdigit() and int(theirs) > int(version)
    file_is(
        path, not later, f"of format {theirs.decode(errors='replace')}, which needs a later version of fastbp"
    )
    file_is(path, len(found) < len(wanted) + len(version) or theirs == version, "damaged: its header differs")


def file_is(path: str, good: bool, otherwise: str) -> None:
    if not good:
        raise ValueError(f"{path}: {otherwise}")


def not_understood(path: str, otherwise: str, error: Exception) -> NoReturn:
    """Says of a file what is wrong with it, in one line that can be read."""
    why = " ".join((repr(error) if isinstance(error, LookupError) else str(error)).split())
    raise ValueError(f"{path}: {otherwise}: {why[:200]}") from error


def storable(path: str, name: str, array: np.ndarray, known: Sequence[np.dtype]) -> None:
    """Refuses an array of a type that no file of ours holds."""
    if array.dtype not in known:
        types = ", ".join(map(str, known))
        raise TypeError(f"{path}: {name}: expected an array of {types}, got {array.dtype}")


def as_json(path: str, metadata: Mapping[str, Any]) -> str:
    try:
        return json.dumps(metadata)
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"{path}: expected text, numbers, lists and dicts to write: {error}") from None


def count_of_states(found: int, wanted: int) -> None:
    """An optimizer's state is there whole, or not at all."""
    if found not in (0, wanted):
        raise ValueError(f"optimizer: expected {wanted} numbers per weight as its state, got {found}")


def functions_given(path: str, missing: Sequence[str]) -> None:
    """Refuses to load a network of a user's own functions without them."""
    if missing:
        names = ", ".join(f"{name}=" for name in missing)
        raise ValueError(
            f"{path}: its network has functions of its own, which no file holds; load takes {names}..."
        )


def trained(state: Any, found: Mapping[str, Any], memory: Any) -> Any:
    """The state of a network with what training has brought it to, which a file tells."""
    for name, known in (("task", get_args(Task)), ("scale", get_args(Scale))):
        if found[name] is not None:
            choice(name, found[name], known)
    for name in ("epochs", "batches", "began"):
        seed(name, found[name])
    if found["masks"] is not None:
        seed("masks", found["masks"])
    labels = found.get("classes")
    found = {**found, "classes": None if labels is None else tuple(hashable(labels, "classes"))}
    return replace(state, **found, memory=memory)


_C_WORDS = (
    "auto break case char const continue default do double else enum extern float for goto if inline int "
    "long main register restrict return short signed sizeof static struct switch typedef union unsigned "
    "void volatile while "
    "x outputs"  # the function's own arguments
)


def c_name(name: Any) -> str:
    """A name that C has for a function."""
    if (
        not isinstance(name, str)
        or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name)
        or name in _C_WORDS.split()
    ):
        raise ValueError(f"name: expected a name in C, such as 'predict', got {name!r}")
    return name


def known_activations(rows: Sequence[str]) -> None:
    """Refuses to write functions of a user's own in another language."""
    if "custom" in rows:
        raise ValueError(
            f"activation of layer {rows.index('custom')}: expected one that has a name, to export it, got an "
            "Activation of your own"
        )
