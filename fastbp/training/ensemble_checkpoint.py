"""Checkpoints of ensembles: files from which their training resumes bit-identically."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..engine import summary
from ..files import container, ensemble_file, resuming
from ..files.ensemble_schema import POSITION
from ..files.network_file import SavedNetwork, functions_of
from .callbacks import ModelCheckpoint
from .checkpoint import are_arrays, stored, value_of
from .ensemble_history import EnsembleHistory
from .ensemble_run import EnsemblePosition, EnsembleRun, WatcherStates

_HISTORY = "training.history."


class EnsembleCheckpoint(ModelCheckpoint):
    """A `ModelCheckpoint` of all networks together."""

    def _save(self, run: Any) -> None:
        write(run, self.path)


class SavedEnsemble(NamedTuple):
    """The contents of a checkpoint, read before anything is changed."""

    path: str
    networks: list[SavedNetwork]
    arrays: dict[str, np.ndarray]
    training: dict[str, Any]


def write(run: EnsembleRun, path: str) -> None:
    """Writes the networks and the last position of each between two batches, durably."""
    run.keep()
    position, history, count = run.position, run.history, len(run.trainees)
    nets = [trainee.net for trainee in run.trainees]
    arrays = {f"training.{name}": np.zeros(count, dtype) for name, dtype in POSITION.items()}
    for i, trainee in enumerate(run.trainees):  # those that have ended are in no pack
        progress = trainee.net._fastbp.progress
        arrays["training.steps"][i] = progress.batches
        arrays["training.drawn"][i] = progress.epochs - trainee.before.epochs
    for pack in position.packs:
        whole, size = pack.is_between, pack.engine.batch_size
        values = {
            "steps": pack.steps,
            "drawn": pack.drawn,
            "active": pack.active,
            "samples_done": np.where(whole, pack.samples_done, pack.samples_done // size * size),
            "losses": np.where(pack.active, np.where(whole, pack.losses, pack.between), 0.0),
        }
        for name, numbers in values.items():
            arrays[f"training.{name}"][pack.networks] = numbers
    arrays["training.diverged"][...] = history.diverged
    arrays |= {f"{_HISTORY}{name}": numbers[: position.epoch] for name, numbers in history.items()}
    for i, watched in enumerate(position.watched):
        for index, state in enumerate(watched.states):
            for name, value in state.items():
                if are_arrays(value):
                    start = f"training.watched.{i}.{index}.{name}"
                    arrays |= {f"{start}.{k}": array for k, array in enumerate(value)}
    callbacks = run.callbacks[: len(position.states)]
    training = {
        "arguments": run.arguments["each"],
        "epoch": position.epoch,
        "seconds": run.seconds,
        "stopped": position.stopped,
        "history": [*history],
        "notes": [list(note) for note in history.own_notes[: position.notes]],
        "kinds": [type(callback).__name__ for callback in callbacks],
        "callbacks": [_plain(state) for state in position.states],
        "factors": [watched.factor for watched in position.watched],
        "watchers": [type(watcher).__name__ for watcher in run.trainees[0].watchers],
        "watched": [[_plain(state) for state in watched.states] for watched in position.watched],
        "epochs": [trainee.before.epochs for trainee in run.trainees],
        "batches": [trainee.before.batches for trainee in run.trainees],
    }
    ensemble_file.write_checked(nets, path, arrays, training)


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    return {name: stored(value) for name, value in state.items()}


def read(path: str, arguments: Sequence[dict[str, Any]], nets: Sequence[Any]) -> SavedEnsemble | None:
    """Reads the checkpoint at `path`, if there is one; it must be of the same `fit` of the same ensemble."""
    if not os.path.exists(path):
        return None
    arrays, metadata = container.read(path)
    networks = ensemble_file.networks_from(path, arrays, metadata, functions_of(nets[0]))
    training = metadata["training"]
    resuming.check_count(path, len(networks), len(nets))
    for i, (saved, net) in enumerate(zip(networks, nets, strict=True)):
        each = None if training is None else {"arguments": training["arguments"][i]}
        resuming.checked_training(path, each, arguments[i])
        words = (
            summary.arguments(one.sizes, state.options)
            for one, state in ((saved, saved.state), (net, net._fastbp))
        )
        resuming.check_network(path, *words)
    return SavedEnsemble(path, networks, arrays, training)


def adopt(nets: Sequence[Any], saved: SavedEnsemble) -> None:
    """Gives the networks the saved weights and states, with the counts they had when their `fit` began."""
    training = saved.training
    for i, (net, one) in enumerate(zip(nets, saved.networks, strict=True)):
        net.weights, net.biases = one.weights, one.biases
        counts = {name: training[name][i] for name in ("epochs", "batches")}
        net._fastbp = replace(one.state, progress=replace(one.state.progress, **counts))


def resume(run: EnsembleRun, saved: SavedEnsemble) -> None:
    """Moves a run that has not begun to the position at which the checkpoint was written."""
    training, arrays = saved.training, saved.arrays
    history = {name: arrays[f"{_HISTORY}{name}"] for name in training["history"]}
    run.history = EnsembleHistory(len(run.trainees), history, [(i, text) for i, text in training["notes"]])
    run.history.diverged = arrays["training.diverged"].astype(bool)
    packs = []
    for pack in run.position.packs:
        at = {name: arrays[f"training.{name}"][pack.networks] for name in POSITION}
        pack.losses[...] = at["losses"]
        steps = {name: at[name] for name in ("steps", "drawn", "samples_done")}
        active = at["active"].astype(bool)
        packs.append(pack._replace(**steps, active=active, between=at["losses"].copy()))
    kinds = dict(zip(training["kinds"], training["callbacks"], strict=True))
    states = tuple(kinds.get(type(callback).__name__, {}) for callback in run.callbacks)
    watched = tuple(
        WatcherStates(
            factor, tuple(_state(arrays, f"training.watched.{i}.{k}", kept) for k, kept in enumerate(each))
        )
        for i, (factor, each) in enumerate(zip(training["factors"], training["watched"], strict=True))
    )
    run.resume(
        EnsemblePosition(
            tuple(packs),
            training["epoch"],
            training["seconds"],
            len(training["notes"]),
            training["stopped"],
            states,
            tuple(watched),
        )
    )


def _state(arrays: dict[str, np.ndarray], name: str, kept: dict[str, Any]) -> dict[str, Any]:
    return {key: value_of(arrays, f"{name}.{key}", value) for key, value in kept.items()}
