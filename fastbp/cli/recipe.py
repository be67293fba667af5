"""The recipe of a training: options that follow from the data, the network, the arguments of `fit`."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..options.costs import VALUES, CrossEntropy, definition_of
from ..options.schedules import SCHEDULES
from . import data, train_options
from .failure import Failure, reason

if TYPE_CHECKING:
    from ..network import Network

_FIT_OPTIONS = ("optimizer", "learning_rate", "l2", "l1", "clip_norm", "class_weight")  # arguments of fit
_EXTRAS = (
    *("init", "dropout", "frozen", "scale_inputs", "scale_outputs", "compute_dtype"),
    *("schedule", "warmup", "l2", "l1", "clip_norm", "class_weight", "label_smoothing", "patience"),
)


def complete(options: argparse.Namespace, training: data.Rows, task: str) -> None:
    """Fills in the options that follow from the data, and the learning rate of the book's recipe."""
    several = training.y.ndim > 1
    outputs = data.outputs(training.y, task) * (2 if options.cost == "gaussian" else 1)
    options.sizes = options.sizes or [training.X.shape[1], *options.hidden, outputs]
    for name in ("activation", "dropout"):
        if isinstance(values := getattr(options, name), list) and len(values) == 1:
            setattr(options, name, values[0])
    if task == "labels" and several:
        options.cost = options.cost or "cross_entropy"
    if not options.output_activation:
        if task == "values":
            options.output_activation = "exponential" if options.cost == "poisson" else "linear"
        elif options.cost in ("hinge", "squared_hinge"):
            options.output_activation = "linear"
        else:
            exclusive = options.cost in ("cross_entropy", "focal") and not several and options.sizes[-1] > 2
            options.output_activation = "softmax" if exclusive else "sigmoid"
    if options.scale:
        options.scale_inputs = True
        takes_any = definition_of(options.cost or "quadratic").targets is VALUES
        if task == "values" and takes_any and options.output_activation == "linear":
            options.scale_outputs = True
    is_books_recipe = (
        options.activation == options.output_activation == "sigmoid"
        and options.cost in (None, "quadratic")
        and options.optimizer in (None, "sgd")
    )
    if options.learning_rate is None and is_books_recipe:
        options.learning_rate = train_options.BOOK_LEARNING_RATE


def completed(options: argparse.Namespace, dataset: data.Dataset) -> tuple[argparse.Namespace, str]:
    """Returns a copy of the options with those that follow from the data, and a note that may surprise."""
    options, note = argparse.Namespace(**vars(options)), ""
    complete(options, dataset.training, dataset.task)
    if not options.scale_inputs:
        X = dataset.training.X
        options.input_divisor, note = data.divisor_of(options.data, X, options.input_divisor)
    return options, note


def described(options: argparse.Namespace) -> str:
    """Describes network and training in a line."""

    def words(value: Any) -> str:
        return " ".join(map(str, value)) if isinstance(value, list) else str(value)

    rate = options.learning_rate
    extras = [f"{name.replace('_', ' ')} {words(value)}" for name, value in _chosen(options, _EXTRAS).items()]
    network = [
        f"network {','.join(map(str, options.sizes))}",
        words(options.activation),
        f"output {options.output_activation}",
        f"cost {options.cost or 'quadratic'}",
        options.dtype,
    ]
    training = [
        options.optimizer or "sgd",
        "its default learning rate" if rate is None else f"learning rate {rate:g}",
        f"batch size {options.batch_size}",
        *extras,
        f"seed {options.seed}",
        f"threads {options.threads}",
    ]
    return f"{', '.join(network)}; {', '.join(training)}"


def _chosen(options: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    """Collects the options that the user has set; the callee has defaults for the rest."""
    return {name: value for name in names if (value := getattr(options, name)) is not None}


def network(options: argparse.Namespace, sizes: list[int]) -> "Network":
    """Makes a network of these sizes by the options."""
    from ..network import Network
    from ..options.network import OPTIONS

    chosen = _chosen(options, [name for name in (*OPTIONS, "init") if name in options])
    if options.label_smoothing is not None:
        if options.cost != "cross_entropy":
            raise Failure(
                f"--label-smoothing: expected --cost cross_entropy, got {options.cost or 'quadratic'}"
            )
        chosen["cost"] = CrossEntropy(options.label_smoothing)
    try:
        return Network(sizes, **chosen)
    except (MemoryError, OverflowError, TypeError, ValueError) as error:  # too large, or contradictory
        raise Failure(f"network {','.join(map(str, sizes))}: {reason(error)}") from error


def described_network(options: argparse.Namespace, dataset: data.Dataset) -> "Network":
    """Makes the network that completed options describe, which knows the labels and the names of columns."""
    net = network(options, options.sizes)
    if dataset.task == "labels":
        name = f"{dataset.name}, training part: y"
        if classes := data.classes(dataset.training.y, net.sizes[-1], name, dataset.why):
            net.classes_ = classes
    if dataset.inputs:
        learnt = net._fastbp.learnt
        learnt = replace(learnt, feature_names=dataset.inputs, target_names=dataset.targets)
        net._fastbp = replace(net._fastbp, learnt=learnt)
    return net


def steps(options: argparse.Namespace) -> dict[str, Any]:
    """Collects the arguments of `Network.fit` that say how it steps."""
    recipe = _chosen(options, _FIT_OPTIONS)
    if options.warmup is not None:
        name = options.schedule or "constant"
        try:
            kind: Any = SCHEDULES[name]
            recipe["schedule"] = kind(warmup=options.warmup)
        except TypeError as error:
            raise Failure(
                f"--warmup: expected another --schedule, got {name}, which has a warmup of its own"
            ) from error
    elif options.schedule:
        recipe["schedule"] = options.schedule
    return recipe


def arguments(options: argparse.Namespace, parts: dict[str, data.Rows]) -> dict[str, Any]:
    """Collects the arguments of `Network.fit` for a training on these parts, callbacks aside."""
    training, validation = parts["training"], parts.get("validation")
    weights = {} if training.weights is None else {"sample_weight": training.weights}
    return {
        "epochs": options.epochs,
        "batch_size": options.batch_size,
        "validation_data": validation.validation() if validation else None,
        "threads": options.threads,
        **weights,
        **steps(options),
    }


def stopping(options: argparse.Namespace) -> list[Any]:
    """Returns the callback of ``--patience``, or none."""
    if options.patience is None:
        return []
    from ..training.callbacks import EarlyStopping

    return [EarlyStopping("val_loss", patience=options.patience, restore_best_weights=True)]
