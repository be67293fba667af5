"""The schema of files of ensembles: what their metadata and the arrays of a training may be."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import checks, schema
from .values import anything, by_name, each, fields, optional, real, row, text, true_or_false, whole

_COUNT = whole()
_STATE = by_name(anything)
_TRAINING = fields(
    {
        "arguments": each(schema.ARGUMENTS),
        "epoch": _COUNT,
        "seconds": real(0.0),
        "stopped": true_or_false,
        "history": each(text),
        "notes": each(row(whole(-1), text)),
        "kinds": each(text),
        "callbacks": each(_STATE),
        "factors": each(real(0.0)),
        "watchers": each(text),
        "watched": each(each(_STATE)),
        "epochs": each(_COUNT),
        "batches": each(_COUNT),
    }
)
_FILE = fields({"version": text, "ensemble": each(by_name(anything)), "training": optional(_TRAINING)})
POSITION: dict[str, np.dtype] = {  # the arrays of a position, with the type of each; a number per network
    "steps": np.dtype(np.int64),
    "drawn": np.dtype(np.int64),
    "samples_done": np.dtype(np.int64),
    "losses": np.dtype(np.float64),
    "active": np.dtype(np.uint8),
    "diverged": np.dtype(np.uint8),
}


def check(metadata: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Raises a ValueError that names the first value which is not as it should be."""
    _FILE("", metadata)
    count = len(metadata["ensemble"])
    whole(1)("the length of ensemble", count)
    known = {f"training.{name}" for name in _check_training(metadata["training"], arrays, count)}
    for name in arrays:
        number, _, rest = name.partition(".")
        of_network = number.isdecimal() and str(int(number)) == number and int(number) < count and rest
        if not of_network and name not in known:
            raise ValueError(f"arrays: expected only those that the metadata name, got {name!r} as well")


def _check_training(training: Any, arrays: Mapping[str, np.ndarray], count: int) -> set[str]:
    """The names of the arrays of a training, which are checked."""
    if training is None:
        return set()
    for name in ("arguments", "epochs", "batches", "factors", "watched"):
        if name in ("factors", "watched") and not training["factors"] and not training["watched"]:
            continue  # nothing watches a network, or the training had not begun
        checks.equal(f"the length of training.{name}", len(training[name]), count, "ensemble")
    for i, states in enumerate(training["watched"]):
        equal = len(training["watchers"])
        checks.equal(f"the length of training.watched[{i}]", len(states), equal, "training.watchers")
    checks.equal(
        "the length of training.callbacks", len(training["callbacks"]), len(training["kinds"]), "kinds"
    )
    for name, dtype in POSITION.items():
        checks.stored_array(f"training.{name}", arrays.get(f"training.{name}"), dtype, (count,))
    position = {name: arrays[f"training.{name}"] for name in POSITION}
    for name in ("steps", "drawn", "samples_done"):
        if position[name].min() < 0:
            raise ValueError(f"training.{name}: expected at least 0, got {position[name].min()}")
    if not np.isfinite(position["losses"]).all():
        raise ValueError("training.losses: expected finite numbers, got others")
    for name in ("active", "diverged"):
        if position[name].max() > 1:
            raise ValueError(f"training.{name}: expected 0 or 1, got {position[name].max()}")
    for samples_done, arguments in zip(position["samples_done"], training["arguments"], strict=True):
        checks.between_batches(int(samples_done), arguments["batch_size"], arguments["samples"])
    names = {*POSITION}
    for name in training["history"]:
        shape = (training["epoch"],) if name in ("seconds", "threads") else (training["epoch"], count)
        checks.stored_array(
            f"training.history.{name}", arrays.get(f"training.history.{name}"), np.dtype(np.float64), shape
        )
        names.add(f"history.{name}")
    for i, states in enumerate(training["watched"]):
        for index, state in enumerate(states):
            names |= _check_state(f"{i}.{index}", state, arrays, i)
    return names


def _check_state(name: str, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray], i: int) -> set[str]:
    """The names of the arrays of a watcher's state: best weights, like those of its network."""
    names = set()
    for key, value in state.items():
        if isinstance(value, dict) and [*value] != ["value"]:
            schema.LIST(f"training.watched.{name}.{key}", value)
            listed = [f"training.watched.{name}.{key}.{k}" for k in range(value["arrays"])]
            checks.arrays_there(arrays, listed)
            parameters = [arrays[f"{i}.{key}.{k}"] for k in range(len(listed)) if f"{i}.{key}.{k}" in arrays]
            checks.arrays_like(f"training.watched.{name}.{key}.", [arrays[n] for n in listed], parameters)
            names |= {full.removeprefix("training.") for full in listed}
    return names
