"""Checkpoints: files from which a training in progress resumes bit-identically."""

import os
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..engine import summary
from ..engine.architecture import changed
from ..files import container, network_file, resuming, schema
from .history import History
from .run import CallbackState, Run

_COUNTS = ("epoch", "drawn", "segment", "before", "step", "factor", "stopped")  # fields of a Position
_GENERATOR = "training.generator"


class Saved(NamedTuple):
    """The contents of a checkpoint, read before anything is changed."""

    path: str
    network: network_file.SavedNetwork
    history: History
    counts: dict[str, Any]  # the fields of a Position, with the samples done and the cost so far
    states: list[tuple[str, CallbackState]]  # callbacks' states, each with its class's name
    generator: Any  # the state of NumPy's global generator, or None
    epochs: int  # those of the network before the `fit`, like the batches
    batches: int


def write(run: Run, path: str) -> None:
    """Writes the network and the last position between two batches, durably."""
    arrays, metadata = network_file.described(run.kept())
    position, (samples_done, loss) = run.position, run.between_batches()
    callbacks: list[dict[str, Any]] = []
    for number, state in enumerate(position.states):
        callbacks.append({name: stored(value) for name, value in state.items()})
        for name, value in state.items():
            if are_arrays(value):
                arrays |= {f"training.{number}.{name}.{i}": array for i, array in enumerate(value)}
    if position.generator is not None:
        arrays[_GENERATOR] = position.generator[1].astype(np.int64)
    metadata["training"] = {
        "arguments": run.arguments,
        "position": {name: getattr(position, name) for name in _COUNTS}
        | {"done": samples_done, "loss": loss, "seconds": run.seconds, "rate": run.learning_rate}
        | {"begun": position.begun, "told": position.step_hooks_done == samples_done},
        "history": {name: values[: position.epoch] for name, values in run.history.items()},
        "notes": run.history.notes[: position.notes],
        "callbacks": callbacks,
        "kinds": [type(callback).__name__ for callback in run.callbacks[: len(callbacks)]],
        "generator": position.generator and [position.generator[0], *position.generator[2:]],
        "epochs": run.progress_before.epochs,
        "batches": run.progress_before.batches,
    }
    network_file.write_checked(run.kept(), path, arrays, metadata)


def read(path: str, arguments: dict[str, Any], net: Any) -> Saved | None:
    """Reads the checkpoint at `path`, if there is one; it must be of the same `fit` of the same network."""
    if not os.path.exists(path):
        return None
    arrays, metadata = container.read(path)
    network = network_file.network_from(path, arrays, metadata, network_file.functions_of(net))
    training = resuming.checked_training(path, metadata["training"], arguments)
    resuming.check_network(
        path,
        summary.arguments(network.sizes, network.state.options),
        summary.arguments(net.sizes, net._fastbp.options),
    )
    history = History(training["history"], training["notes"])
    counts = dict(training["position"])
    states = [
        {name: value_of(arrays, f"training.{number}.{name}", kept[name]) for name in kept}
        for number, kept in enumerate(training["callbacks"])
    ]
    generator = training["generator"]
    if generator:
        generator = (generator[0], arrays[_GENERATOR].astype(np.uint32), *generator[1:])
    by_kind = list(zip(schema.kinds_of(training), states, strict=True))
    return Saved(path, network, history, counts, by_kind, generator, training["epochs"], training["batches"])


def adopt(net: Any, saved: Saved) -> None:
    """Gives the network the saved weights and state, with the counts it had when its `fit` began."""
    net.weights, net.biases = saved.network.weights, saved.network.biases
    state = saved.network.state
    progress = replace(state.progress, epochs=saved.epochs, batches=saved.batches)
    net._fastbp = replace(state, progress=progress)


def resume(run: Run, saved: Saved) -> None:
    """Moves a run that has not begun to the position at which the checkpoint was written."""
    counts, position = dict(saved.counts), run.position
    position.samples_done[0], position.losses[0] = counts.pop("done"), counts.pop("loss")
    left, states = list(saved.states), []
    for callback in run.callbacks:  # callbacks of one class keep their order
        kind = type(callback).__name__
        index = next((i for i, (other, _) in enumerate(left) if other == kind), None)
        states.append({} if index is None else left.pop(index)[1])
    notes = len(saved.history.notes)
    done = int(position.samples_done[0])
    counts["begun"] = counts.get("begun", done > 0)  # older files lack it, the next and the rate
    counts["step_hooks_done"] = done if counts.pop("told", True) else -1
    rate = counts.pop("rate", None)
    position = changed(position, **counts, notes=notes, states=tuple(states), generator=saved.generator)
    run.resume(saved.path, saved.history, position, rate)


def are_arrays(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, np.ndarray) for item in value)


def stored(value: Any) -> Any:
    """Encodes an entry of a callback's state for JSON; `value_of` decodes it."""
    if are_arrays(value):
        return {"arrays": len(value)}
    return {"value": value} if isinstance(value, dict) else value


def value_of(arrays: dict[str, np.ndarray], name: str, kept: Any) -> Any:
    """Decodes an entry of a callback's state from JSON and the file's arrays."""
    if not isinstance(kept, dict):
        return kept
    return kept["value"] if "value" in kept else [arrays[f"{name}.{i}"] for i in range(kept["arrays"])]
