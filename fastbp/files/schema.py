"""The schema of saved files: which values their metadata may have, and which values must agree.

A new field is one row here, and a name in `LATER`, because older files lack it.
"""

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np

from ..data.pixels import Scale
from ..data.targets import Task
from ..options import activations, costs, optimizers
from . import checks
from .values import (
    anything,
    by_name,
    each,
    fields,
    label,
    number,
    one_of,
    one_or_each,
    option_of,
    optional,
    ordered,
    real,
    row,
    share,
    text,
    true_or_false,
    whole,
)

_HIDDEN = {kind.__name__: kind for kind in (activations.LeakyReLU, activations.ELU, activations.GELU)}
_COSTS = {kind.__name__: kind for kind in (costs.Huber, costs.Quantile, costs.CrossEntropy, costs.Focal)}
_OPTIMIZERS = {
    **{kind.__name__: kind for kind in map(type, optimizers.OPTIMIZERS.values())},
    "_ScikitAdam": optimizers._ScikitAdam,
    "_Adam": optimizers._ScikitAdam,  # its name in 0.2.0
}
_OBJECTS = {**_HIDDEN, **_COSTS, **_OPTIMIZERS}  # classes of the objects with options in files
_COUNT = whole()
_WORD = whole(below=1 << 64)

NETWORK = {  # the options of a network, fields of `Options`
    "activation": one_or_each(option_of(activations.ACTIVATIONS, _HIDDEN, user_defined=True)),
    "output_activation": option_of(activations.OUTPUT_ACTIVATIONS, _HIDDEN, user_defined=True),
    "cost": option_of(costs.COSTS, _COSTS, user_defined=True),
    "dropout": one_or_each(share),
    "frozen": each(_COUNT),
    "input_divisor": optional(real(0.0)),
    "uint8_divisor": optional(real(0.0)),
    "seed": optional(_WORD),
    "dtype": one_of("float32", "float64"),
    "scale_inputs": true_or_false,
    "scale_outputs": true_or_false,
    "compute_dtype": optional(one_of("bfloat16")),
}
TRAINED = {  # what training learnt and counted, fields of `Learnt` and `Progress`
    "task": optional(one_of(*get_args(Task))),
    "scale": optional(one_of(*get_args(Scale))),
    "epochs": _WORD,
    "batches": _WORD,
    "masks": optional(_WORD),
    "optimizer": optional(option_of((), _OPTIMIZERS)),
    "began": _WORD,
    "classes": optional(each(label)),
    "feature_names": optional(each(text)),
    "target_names": optional(each(text)),
}
LATER = (
    "input_divisor",
    "scale_inputs",
    "scale_outputs",
    "compute_dtype",
    "classes",
    "feature_names",
    "target_names",
)  # fields that older files lack

_CRCS = ("first sample (CRC)", "some samples (CRC)", "y and weights (CRC)")
_ARGUMENTS = {  # arguments of the `fit` that wrote the checkpoint
    **dict.fromkeys(("rate", "l2", "l1", "clip_norm"), real(0.0)),
    **dict.fromkeys(("optimizer", "schedule"), text),
    "batch_size": whole(1),
    "shuffle": true_or_false,
    "validation_split": share,
    "data_seed": _WORD,
    "samples": optional(_COUNT, "blocks"),
    "type of X": text,
    **dict.fromkeys(_CRCS, whole(below=1 << 32)),  # of arrays
    "buffer_bytes": whole(1),  # of blocks
    "callbacks": each(text),
}
_POSITION = {
    **dict.fromkeys(("epoch", "drawn", "segment", "before", "step", "done"), _COUNT),
    **dict.fromkeys(("factor", "seconds", "rate"), real(0.0)),
    **dict.fromkeys(("stopped", "begun", "told"), true_or_false),
    "loss": real(),
}
_ALWAYS = {"loss": number, "seconds": real(0.0), "learning_rate": real(0.0), "threads": whole(1)}
_GENERATOR = row(one_of("MT19937"), whole(below=625), one_of(0, 1), real())  # NumPy's, without its words
ARGUMENTS = fields(_ARGUMENTS, later=("data_seed", *_CRCS, "buffer_bytes"))
_TRAINING = {
    "arguments": ARGUMENTS,
    "position": fields(_POSITION, later=("rate", "begun", "told")),
    "history": by_name(each(number), always=_ALWAYS),
    "notes": each(text),
    "callbacks": each(by_name(anything)),
    "kinds": each(text),
    "generator": optional(_GENERATOR),
    "epochs": _COUNT,
    "batches": _COUNT,
}
_FILE = fields(
    {
        "version": text,
        "sizes": each(whole(1)),
        "network": fields(NETWORK, LATER),
        "training": optional(fields(_TRAINING, later=("kinds",))),
        "trained": fields(TRAINED, LATER),
    }
)

LIST = fields({"arrays": _COUNT})  # stands for arrays elsewhere in the file
_MONITOR = {"best": optional(ordered), "wait": _COUNT}
_STATES = {  # states of the package's callbacks, by their class
    "AverageWeights": fields({"updates": _COUNT, "weights": LIST, "biases": LIST}),
    "EarlyStopping": fields({**_MONITOR, "weights": LIST, "biases": LIST}),
    "ReduceLROnPlateau": fields({**_MONITOR, "cooling": _COUNT}),
    "ModelCheckpoint": optional(fields(_MONITOR), {}),
    "TimeLimit": fields({"spent": real(0.0)}),
}


def check(metadata: Mapping[str, Any]) -> None:
    """Raises a ValueError that names the first invalid value."""
    _FILE("", metadata)
    network, trained = metadata["network"], metadata["trained"]
    if trained["optimizer"] is not None:
        checks.known("trained.task", trained["task"], "trained.optimizer")
        if network["seed"] is None and network["dropout"] and np.any(network["dropout"]):
            checks.known("trained.masks", trained["masks"], "network.dropout")
    checks.at_most("trained.began", trained["began"], trained["batches"], "trained.batches")
    if metadata["training"] is not None:
        _check_training(metadata["training"], trained)


def object_of(value: Any) -> Any:
    """An option as `Network` and `fit` take it."""
    if isinstance(value, list):
        return [object_of(item) for item in value]
    return (
        _OBJECTS[value["kind"]](**value["options"]) if isinstance(value, dict) and "kind" in value else value
    )


def kinds_of(training: Mapping[str, Any]) -> list[str]:
    """The class of each callback whose state is kept; files of 0.2.0 name those alone that have a state."""
    if "kinds" in training:
        return list(training["kinds"])
    names = iter(training["arguments"]["callbacks"])
    return [next(names, "") if state else "" for state in training["callbacks"]]


def _check_training(training: Mapping[str, Any], trained: Mapping[str, Any]) -> None:
    """Checks that the values of a checkpoint agree."""
    position, history = training["position"], training["history"]
    for name, numbers in history.items():
        full = f"training.history.{name}"
        each(_ALWAYS.get(name, number))(full, numbers)
        checks.equal(f"the length of {full}", len(numbers), position["epoch"], "training.position.epoch")
    kinds = kinds_of(training)
    checks.equal("the length of training.kinds", len(kinds), len(training["callbacks"]), "callbacks")
    for index, (kind, state) in enumerate(zip(kinds, training["callbacks"], strict=True)):
        name = f"training.callbacks[{index}]"
        _STATES.get(kind, anything)(name, state)
        for key, value in state.items():
            if isinstance(value, dict) and [*value] != ["value"]:
                LIST(f"{name}.{key}", value)
    stateful = iter([kind for kind, state in zip(kinds, training["callbacks"], strict=True) if state])
    named = all(name in stateful for name in training["arguments"]["callbacks"])
    checks.consistent("training", named or not kinds, {"kinds": kinds, **training["arguments"]})
    _check_position(training, position)
    optimizer = repr(object_of(trained["optimizer"]))
    checks.equal("trained.optimizer", optimizer, training["arguments"]["optimizer"], "training.arguments")
    checks.at_most("trained.began", trained["began"], training["batches"], "training.batches")
    ahead = -(-position["done"] // training["arguments"]["batch_size"])
    for name, value, why in (
        ("epochs", training["epochs"] + position["drawn"], "training.epochs + training.position.drawn"),
        ("batches", position["step"] + ahead, "the step of training.position"),
    ):
        checks.equal(f"trained.{name}", trained[name], value, why)


def _check_position(training: Mapping[str, Any], position: Mapping[str, Any]) -> None:
    """Checks the position in an epoch: between two batches, after as many steps as lead there."""
    arguments = training["arguments"]
    size, samples = arguments["batch_size"], arguments["samples"]
    samples_done, before, segment, epoch = (position[name] for name in ("done", "before", "segment", "epoch"))
    steps = position["step"] - training["batches"] - -(-before // size)
    if samples == "blocks":
        good = (segment - 1) * size < before if segment else before == 0
        good &= steps % epoch == 0 and steps >= epoch if epoch else steps == 0
    else:
        checks.between_batches(samples_done, size, samples)
        good = (segment, before) in ((0, 0), (1, samples)) and before + samples_done <= samples
        good &= steps == epoch * -(-samples // size)
    begun = bool(samples_done or before)
    good &= position["drawn"] - epoch in ((1,) if begun else (0, 1)) and (begun or position["loss"] == 0)
    checks.consistent("training.position", good, position)


def check_arrays(
    metadata: Mapping[str, Any], arrays: Mapping[str, np.ndarray], parameters: tuple[list[Any], list[Any]]
) -> set[str]:
    """The names of a checkpoint's arrays beside the network's `parameters`, which are checked."""
    training = metadata["training"]
    names: set[str] = set()
    if training is None:
        return names
    if training["generator"] is not None:
        names.add("training.generator")
        checks.generator_words("training.generator", arrays.get("training.generator"))
    for index, (kind, state) in enumerate(zip(kinds_of(training), training["callbacks"], strict=True)):
        for key, value in state.items():
            if isinstance(value, dict) and "arrays" in value:
                start, full = f"training.{index}.{key}.", f"training.callbacks[{index}].{key}.arrays"
                stored = {name for name in arrays if name.startswith(start)}
                checks.equal(full, value["arrays"], len(stored), f"the number of {start}*")
                names |= stored
                if stored and kind == "EarlyStopping":
                    checks.known(f"training.callbacks[{index}].best", state["best"], start)
                listed = [f"{start}{number}" for number in range(len(stored))]
                checks.stored_arrays(stored, listed)
                if kind in ("EarlyStopping", "AverageWeights") and listed:
                    present = parameters[key == "biases"]
                    checks.arrays_like(start, [arrays[name] for name in listed], present)
    return names
