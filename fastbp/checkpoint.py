"""Checkpoints: a training in progress, in a file from which it goes on to the bit."""

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import files, validate
from .history import History

if TYPE_CHECKING:
    from .run import Run

_COUNTS = ("epoch", "drawn", "segment", "before", "step", "factor", "stopped")  # of a Position
_GENERATOR = "training.generator"


class Saved(NamedTuple):
    """What a checkpoint holds, taken apart before anything is changed."""

    network: Any
    history: History
    counts: dict[str, Any]  # of a Position, with the place and the cost between two batches
    states: tuple[dict[str, Any], ...]  # of the callbacks
    generator: Any  # NumPy's, or none
    epochs: int  # of the network, before the `fit`
    batches: int


def write(run: "Run", path: str) -> None:
    """Writes the last position between two batches, durably."""
    arrays, metadata = files.described(run.kept())
    position, (done, loss) = run.position, run.between_batches()
    callbacks = []
    for number, state in enumerate(position.states):
        kept = {}
        for name, value in state.items():
            if isinstance(value, list):
                arrays |= {f"training.{number}.{name}.{i}": array for i, array in enumerate(value)}
                value = {"arrays": len(value)}
            kept[name] = value
        callbacks.append(kept)
    if position.generator is not None:
        arrays[_GENERATOR] = position.generator[1].astype(np.int64)
    metadata["training"] = {
        "arguments": run.arguments,
        "position": {name: getattr(position, name) for name in _COUNTS}
        | {"done": done, "loss": loss, "seconds": run.seconds},
        "history": {name: values[: position.epoch] for name, values in run.history.items()},
        "notes": run.history.notes[: position.notes],
        "callbacks": callbacks,
        "generator": position.generator and [position.generator[0], *position.generator[2:]],
        "epochs": run.began.epochs,
        "batches": run.began.batches,
    }
    files.write(path, arrays, metadata)


def read(path: str, arguments: dict[str, Any], net: Any) -> Saved | None:
    """The checkpoint at `path` if there is one, of a call of `fit` of `net` with those arguments."""
    if not os.path.exists(path):
        return None
    arrays, metadata = files.read(path)
    training = validate.checkpoint(path, metadata.get("training"), arguments)
    state = net._fastbp
    own = {name: getattr(state, name) for name in ("activation", "output_activation", "cost")}
    network = files.network_from(path, arrays, metadata, own)
    validate.same_network(network, net)
    with files.understood(path, "damaged: its training cannot be read"):
        return _understood(network, training, arrays)


def _understood(network: Any, training: dict[str, Any], arrays: dict[str, np.ndarray]) -> Saved:
    history = History(training["history"], training["notes"])
    counts = {name: training["position"][name] for name in (*_COUNTS, "seconds", "done", "loss")}
    states = tuple(
        {name: _value(arrays, f"training.{number}.{name}", kept[name]) for name in kept}
        for number, kept in enumerate(training["callbacks"])
    )
    generator = training["generator"]
    if generator:
        generator = (generator[0], arrays[_GENERATOR].astype(np.uint32), *generator[1:])
        np.random.RandomState().set_state(generator)  # which refuses what is none
    before = int(training["epochs"]), int(training["batches"])
    return Saved(network, history, counts, states, generator, *before)


def adopt(net: Any, saved: Saved) -> None:
    """Makes the network the one that was saved, as it was when its `fit` began to count."""
    net.weights, net.biases = saved.network.weights, saved.network.biases
    net._fastbp = replace(saved.network._fastbp, epochs=saved.epochs, batches=saved.batches)


def resume(run: "Run", saved: Saved) -> None:
    """Takes a run that is about to begin to where the checkpoint was written."""
    counts, position = dict(saved.counts), run.position
    position.reached[0], position.losses[0] = counts.pop("done"), counts.pop("loss")
    position = position._replace(**counts, notes=len(saved.history.notes), states=saved.states)
    run.resume(saved.history, position, saved.generator)


def _value(arrays: dict[str, np.ndarray], name: str, kept: Any) -> Any:
    """An entry of a callback's state: what JSON holds, or a list of arrays."""
    return [arrays[f"{name}.{i}"] for i in range(kept["arrays"])] if isinstance(kept, dict) else kept
