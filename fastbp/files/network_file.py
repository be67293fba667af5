"""Networks to and from files."""

import hashlib
import itertools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from .. import __version__
from ..data.labels import checked_classes
from ..data.scaling import Scaling, check_scaling
from ..engine.architecture import Parameters, State, checked, options_of
from ..options import activations, costs
from ..options.checks import sizes_of
from ..options.network import OPTIONS, Options
from ..options.optimizers import Optimizer, state_names
from . import checks, schema
from .container import read, understood, write

_LISTED = 20  # names in a line
_USER_CLASSES = (activations.Activation, costs.Cost)  # classes of functions, which no file holds
_DEFAULTS = vars(Options())  # of options that older files lack
_SCALINGS = ("input_scaling", "output_scaling")
_FUNCTIONS = ("activation", "output_activation", "cost")  # options that may be a user's functions
_COMPUTED_BY = ("activation", "output_activation", "cost", "dtype")  # options that a fingerprint covers


class SavedNetwork(NamedTuple):
    """The contents of a file of a network."""

    sizes: list[int]
    weights: list[np.ndarray]
    biases: list[np.ndarray]
    state: State


def described(net: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays of a network, and its metadata, which JSON can hold."""
    state: State = net._fastbp
    weights: list[np.ndarray] = []
    biases: list[np.ndarray] = []
    sizes = [int(size) for size in net.sizes]
    if len(net.weights):
        architecture, weights, biases = checked(net)
        sizes = list(architecture.sizes)
    arrays = _named("", (weights, biases))
    for name, parameters in state.progress.optimizer_state.items():
        arrays |= _named(f"optimizer.{name}.", parameters)
    for name in _SCALINGS:
        if (scaling := getattr(state.learnt, name)) is not None:
            arrays |= {f"{name}.{part}": getattr(scaling, part) for part in Scaling._fields}
    trained = {**vars(state.learnt), **vars(state.progress)}
    metadata = {
        "version": __version__,
        "sizes": sizes,
        "network": {name: _plain(getattr(state.options, name)) for name in OPTIONS},
        "training": None,
        "trained": {name: _plain(trained[name]) for name in schema.TRAINED},
    }
    return arrays, metadata


def network_from(
    path: str,
    arrays: Mapping[str, np.ndarray],
    metadata: Mapping[str, Any],
    user_functions: Mapping[str, Any],
    otherwise: str = "damaged",
) -> SavedNetwork:
    """The network of a file, all of whose values are checked, those of a checkpoint included.

    `user_functions` has the activations and the cost that are a user's functions.
    """
    checks.is_network(path, metadata)
    with understood(path, otherwise):
        schema.check(metadata)
    options = {name: schema.object_of(value) for name, value in metadata["network"].items()}
    functions = [name for name, value in options.items() if _is_user_function(value)]
    checks.functions_passed(path, [name for name in functions if user_functions.get(name) is None])
    options |= {name: user_functions[name] for name in functions}
    with understood(path, otherwise):
        return _network(metadata, arrays, options)


def _network(
    metadata: Mapping[str, Any], arrays: Mapping[str, np.ndarray], options: dict[str, Any]
) -> SavedNetwork:
    """The network of metadata that match the schema, with its `options` as `Network` takes them."""
    sizes, dtype = metadata["sizes"], np.dtype(options["dtype"])
    trained = {name: schema.object_of(value) for name, value in metadata["trained"].items()}
    weights, biases = _listed("", arrays)
    sizes_of(sizes)
    inputs = outputs = 0
    if weights:
        checks.stored_parameters("", weights, biases, dtype)
        shapes = [weights[0].shape[1], *map(len, weights)]
        checks.equal("sizes", sizes, shapes, "the shape of weights")
        inputs, outputs = shapes[0], shapes[-1]
    prefixes = _state_prefixes(trained["optimizer"], arrays)
    optimizer_state = {name: _listed(prefix, arrays) for name, prefix in prefixes.items()}
    for name, parameters in optimizer_state.items():
        checks.stored_parameters(prefixes[name], *parameters, dtype, infinite=True)
    scalings: dict[str, Any] = {name: _scaling(name, arrays) for name in _SCALINGS}
    for name, columns in zip(_SCALINGS, (inputs, outputs), strict=True):
        check_scaling(name, scalings[name], columns)
    for flag, name in zip(("scale_inputs", "scale_outputs"), _SCALINGS, strict=True):
        learnt = scalings[name] is not None
        expected = options.get(flag, False) and (learnt or trained["task"] is not None)
        checks.equal(f"the arrays of {name}", learnt, expected, f"network.{flag}")
    if trained.get("classes") is not None:
        trained["classes"] = checked_classes(trained["classes"], outputs, "trained.classes")
    if trained.get("feature_names") is not None:
        trained["feature_names"] = tuple(trained["feature_names"])
        checks.equal("the length of trained.feature_names", len(trained["feature_names"]), inputs, "sizes")
    if trained.get("target_names") is not None:
        trained["target_names"] = tuple(trained["target_names"])
    known = {*_named("", (weights, biases)), *schema.check_arrays(metadata, arrays, (weights, biases))}
    for name, parameters in optimizer_state.items():
        known |= {*_named(prefixes[name], parameters)}
    known |= {f"{name}.{part}" for name in _SCALINGS if scalings[name] for part in Scaling._fields}
    checks.stored_arrays(arrays, known)
    widths = [1] * len(weights) + [max(1, outputs)]
    state = State.of({**trained, **scalings, "optimizer_state": optimizer_state})
    state = replace(state, options=options_of(widths, {**_DEFAULTS, **options}))
    if (targets := state.learnt.target_names) is not None:
        columns = costs.columns_of(state.options.cost, outputs)
        counts = {"names": len(targets), "columns of y": columns}
        checks.consistent("trained.target_names", len(targets) in (1, columns), counts)
    return SavedNetwork(sizes, weights, biases, state)


def _state_prefixes(optimizer: Optimizer | None, arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Maps each part of the optimizer's state to its arrays' prefix; files of 0.2.0 number the parts."""
    stored = {name.split(".")[1] for name in arrays if name.startswith("optimizer.")}
    names = () if optimizer is None else state_names(optimizer.row)
    numbers = [str(number) for number in range(len(names))]
    labels = numbers if stored and stored.isdisjoint(names) else names
    checks.optimizer_state_whole(stored, labels)
    return {name: f"optimizer.{label}." for name, label in zip(names, labels, strict=True) if stored}


def check(path: str, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> None:
    """Raises the ValueError of `load`; placeholders stand for user-defined functions."""
    function = activations.Activation(abs, abs)
    stand_ins = {**dict.fromkeys(_FUNCTIONS, function), "cost": costs.Cost(max, max)}
    network_from(path, arrays, metadata, stand_ins)


def functions_of(net: Any) -> dict[str, Any]:
    """The options of a network that are a user's functions, which no file holds."""
    options = {name: getattr(net._fastbp.options, name) for name in _FUNCTIONS}
    return {name: value for name, value in options.items() if _is_user_function(_plain(value))}


def write_checked(net: Any, path: str, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> None:
    """Writes a network, as `described` returns it, after checking that it can be read again."""
    text = checks.as_json(path, metadata)
    network_from(path, arrays, json.loads(text), functions_of(net), "not saved")
    write(path, arrays, metadata)


def fingerprint(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> str:
    """`Network.fingerprint` of a network, as `described` returns it."""
    network = metadata["network"]
    definition = {name: network[name] for name in _COMPUTED_BY}
    definition["uint8_divisor"] = network.get("input_divisor") or network.get("uint8_divisor") or 1.0
    if not isinstance(definition["activation"], list):
        definition["activation"] = [definition["activation"]] * (len(metadata["sizes"]) - 2)
    if network.get("compute_dtype"):
        definition["compute_dtype"] = network["compute_dtype"]
    definition["classes"] = metadata["trained"].get("classes")
    digest = hashlib.sha256(json.dumps(definition, sort_keys=True, default=str).encode())
    for name in sorted(arrays):
        if not name.startswith(("optimizer.", "training.")):
            array = arrays[name]
            digest.update(f"{name} {array.shape}".encode())
            digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


def in_words(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Descriptions of the network of a file, by name."""
    network, trained = metadata["network"], metadata["trained"]
    shown = {name: value for name, value in network.items() if value not in (None, 0.0, [])}
    several = {"columns": "feature_names", "targets": "target_names", "labels": "classes"}
    return {
        "sizes": ", ".join(map(str, metadata["sizes"])),
        **{name: _word(value) for name, value in shown.items()},
        **{name: _names(names) for name, key in several.items() if (names := trained.get(key))},
        "trained for": trained["task"] or "nothing yet",
        "epochs": trained["epochs"],
        "steps": trained["batches"],
        "optimizer": _word(trained["optimizer"]),
    }


def _names(names: Sequence[Any]) -> str:
    """Names or labels, those of text in quotes; the first of them where there are many."""
    more = f" ... ({len(names):,} of them)" if len(names) > _LISTED else ""
    return ", ".join(map(repr, names[:_LISTED])) + more


def _word(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_word, value))
    if isinstance(value, dict):
        return f"{value['own']} of a user's own" if "own" in value else repr(schema.object_of(value))
    return "none" if value is None else str(value)


def save(net: Any, path: str | os.PathLike[str]) -> None:
    """`Network.save`."""
    checks.check_labels(os.fspath(path), net._fastbp.learnt.classes or ())
    write_checked(net, os.fspath(path), *described(net))


def load(path: str, user_functions: Mapping[str, Any]) -> SavedNetwork:
    """The network of the file at `path`; see `fastbp.load`."""
    return network_from(path, *read(path), user_functions)


def _scaling(name: str, arrays: Mapping[str, np.ndarray]) -> Scaling | None:
    names = [f"{name}.{part}" for part in Scaling._fields]
    if names[0] not in arrays:
        return None
    checks.arrays_there(arrays, names)
    return Scaling(*(arrays[name] for name in names))


def _named(prefix: str, parameters: Parameters) -> dict[str, np.ndarray]:
    return {
        f"{prefix}{kind}.{layer}": array
        for kind, arrays in zip(("weights", "biases"), parameters, strict=True)
        for layer, array in enumerate(arrays)
    }


def _listed(prefix: str, arrays: Mapping[str, np.ndarray]) -> Parameters:
    layers = sum(name.startswith(f"{prefix}weights.") for name in arrays)
    names = [[f"{prefix}{kind}.{layer}" for layer in range(layers)] for kind in ("weights", "biases")]
    checks.arrays_there(arrays, itertools.chain(*names))
    weights, biases = ([arrays[name] for name in listed] for listed in names)
    return weights, biases


def _plain(value: Any) -> Any:
    """Encodes a field of the state for JSON; `schema.object_of` decodes it."""
    if isinstance(value, _USER_CLASSES):
        return {"own": type(value).__name__}
    if is_dataclass(value):
        options = {field.name: getattr(value, field.name) for field in fields(value)}
        return {"kind": type(value).__name__, "options": options}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, np.dtype) else value


def _is_user_function(value: Any) -> bool:
    """Tells whether an option, as a file has it, is a user's function, or contains one."""
    if isinstance(value, list):
        return any(map(_is_user_function, value))
    return isinstance(value, dict) and "own" in value
