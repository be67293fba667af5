"""Ensembles to and from files: each network as in a file of its own, its arrays' names after its number."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import __version__
from . import checks, ensemble_schema
from .container import read, understood, write
from .network_file import SavedNetwork, described, functions_of, network_from


def save(nets: Sequence[Any], path: str | os.PathLike[str]) -> None:
    """`Ensemble.save`."""
    for net in nets:
        checks.check_labels(os.fspath(path), net._fastbp.learnt.classes or ())
    write_checked(nets, os.fspath(path), {}, None)


def write_checked(
    nets: Sequence[Any], path: str, training_arrays: Mapping[str, np.ndarray], training: dict[str, Any] | None
) -> None:
    """Writes networks, with a training in progress or none, after making sure that they can be read again."""
    arrays, networks = dict(training_arrays), []
    for i, net in enumerate(nets):
        of_network, metadata = described(net)
        arrays |= {f"{i}.{name}": array for name, array in of_network.items()}
        networks.append(metadata)
    whole = {"version": __version__, "ensemble": networks, "training": training}
    text = checks.as_json(path, whole)
    networks_from(path, arrays, json.loads(text), functions_of(nets[0]), "not saved")
    write(path, arrays, whole)


def load(path: str, user_functions: Mapping[str, Any]) -> list[SavedNetwork]:
    """The networks of the file at `path`; see `fastbp.load_ensemble`."""
    return networks_from(path, *read(path), user_functions)


def networks_from(
    path: str,
    arrays: Mapping[str, np.ndarray],
    metadata: Mapping[str, Any],
    user_functions: Mapping[str, Any],
    otherwise: str = "damaged",
) -> list[SavedNetwork]:
    """The networks of a file, all of whose values are checked, those of a training included."""
    checks.is_ensemble(path, metadata)
    with understood(path, otherwise):
        ensemble_schema.check(metadata, arrays)
    parts: list[dict[str, np.ndarray]] = [{} for _ in metadata["ensemble"]]
    for name, array in arrays.items():
        number, _, rest = name.partition(".")
        if number != "training":
            parts[int(number)][rest] = array
    return [
        network_from(path, part, each, user_functions, otherwise)
        for part, each in zip(parts, metadata["ensemble"], strict=True)
    ]
