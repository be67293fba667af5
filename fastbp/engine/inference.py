"""Outputs, predictions and scores for arrays whose rows are samples."""

from typing import Any

import numpy as np

from ..data import frames, labels, metrics
from ..data.arrays import plain_numbers, warn_of_lost_digits
from ..data.pixels import check_scale, divided, warn_of_bytes
from ..data.samples import checked_samples
from ..data.scaling import Scaling, learnt_scaling
from ..data.sparse import Samples
from ..data.targets import (
    Targets,
    Task,
    check_targets_of_cost,
    check_task_of_scaling,
    checked_targets,
    default_task,
)
from ..data.weights import check_some_weight, checked_class_weights, classes_of, sample_weights
from ..options import checks, costs
from . import numpy_engine, user_functions
from .architecture import Architecture, Parts, State, checked
from .packed import NOTHING
from .replaced import FORWARD, inference_engine, is_replaced


def class_weights(targets: Targets, architecture: Architecture, class_weight: Any) -> np.ndarray | None:
    """The weight of each class, in the order of the outputs; None where all weigh the same."""
    if class_weight is None:
        return None
    labels_of_rows, count = classes_of(targets), max(2, architecture.sizes[-1])
    return checked_class_weights(class_weight, labels_of_rows, targets.classes or tuple(range(count)))


def weights_of(
    targets: Targets, sample_weight: Any, by_class: np.ndarray | None, name: str = "sample_weight"
) -> np.ndarray:
    """The weight of each sample times that of its class; none where all weigh the same."""
    rows = len(targets.array)
    weights = NOTHING if sample_weight is None else sample_weights(sample_weight, rows, name)
    if by_class is None:
        return weights
    each = np.asarray(by_class[classes_of(targets)])
    return each * weights if weights.size else each


def outputs(net: Any, X: Any) -> np.ndarray:
    parts = checked(net)
    return _infer(net, parts, samples_of(net, parts.architecture, X))


def classes(net: Any) -> np.ndarray:
    """The label of each output, or the two labels of a single one."""
    known = net._fastbp.learnt.classes
    return np.arange(max(2, len(net.biases[-1]))) if known is None else labels.as_array(known)


def predict(net: Any, X: Any) -> np.ndarray:
    parts = checked(net)
    task = _task(net, parts.architecture)
    raw = _infer(net, parts, samples_of(net, parts.architecture, X))
    decided = metrics.decided(raw, task)
    return labels.of_places(decided, net._fastbp.learnt.classes) if task in ("labels", "binary") else decided


def predict_proba(net: Any, X: Any) -> np.ndarray:
    parts = checked(net)
    task = _task(net, parts.architecture)
    raw = _infer(net, parts, samples_of(net, parts.architecture, X))
    user_functions.probable(raw, task, net._fastbp.options.output_activation)
    return metrics.probabilities(raw, task)


def score(net: Any, X: Any, y: Any, sample_weight: Any) -> float:
    parts = checked(net)
    samples, targets = scorable(net, parts.architecture, X, y, _task(net, parts.architecture))
    weights = None if sample_weight is None else sample_weights(sample_weight, len(samples))
    check_some_weight("sample_weight", weights)
    return metrics.score(_infer(net, parts, samples), targets, weights)


def _infer(net: Any, parts: Parts, samples: Samples) -> np.ndarray:
    """The raw outputs for checked samples; by the network's own feedforward where a user has replaced it."""
    state: State = net._fastbp
    options, scale = state.options, state.learnt.scale
    check_scale("X", samples, options, scale)
    warn_of_bytes("X", samples, options, scale)
    inputs, outputs = _scalings(state)
    own = is_replaced(net, *FORWARD)
    engine = numpy_engine.MethodsEngine(net, *parts) if own else inference_engine(parts)
    samples = divided(samples, options.input_divisor, options.dtype)
    raw: np.ndarray = engine.outputs(samples, options.bytes_divisor, inputs=inputs)
    return raw if outputs is None else outputs.unscaled(raw)


def _scalings(state: State) -> tuple[Scaling | None, Scaling | None]:
    """The scalings of inputs and outputs, which must have been learnt."""
    return (
        learnt_scaling(state.options.scale_inputs, state.learnt.input_scaling, "scale_inputs"),
        learnt_scaling(state.options.scale_outputs, state.learnt.output_scaling, "scale_outputs"),
    )


def _task(net: Any, architecture: Architecture) -> Task:
    """The task the network is trained for; before any training, labels where it has several outputs."""
    task: Task = net._fastbp.learnt.task or default_task(architecture.sizes[-1])
    return task


def samples_of(
    net: Any, architecture: Architecture, X: Any, prefix: str = "", learns: bool = False
) -> Samples:
    """Checks X, whose columns must be those of the network's training, and converts it for an engine.

    With `learns`, warns of digits that the conversion loses.
    """
    state: State = net._fastbp
    frames.same_features(prefix + "X", frames.feature_names(X), state.learnt.feature_names)
    inputs = architecture.sizes[0]
    return checked_samples(X, inputs, architecture.dtype, prefix + "X", state.options.scale_inputs, learns)


def targets_of(
    net: Any,
    architecture: Architecture,
    y: Any,
    rows: int,
    name: str = "y",
    task: Task | None = None,
    classes: labels.Classes = None,
) -> Targets:
    """Checks y and encodes it as targets of the `task`, if known; `classes` are labels already learnt."""
    state: State = net._fastbp
    outputs = architecture.sizes[-1]
    if task not in ("value", "values", "multilabel"):
        learnt = task is not None or state.learnt.task in ("labels", "binary")
        y, classes = labels.encoded(y, state.learnt.classes or classes, outputs, name, learnt)
    cost, output = architecture.cost, architecture.activations[-1]
    several = output == "sigmoid" and costs.definition_of(cost).targets is costs.PROBABILITIES
    dtype = np.dtype(np.float64) if state.options.scale_outputs else architecture.dtype
    targets = checked_targets(y, rows, outputs, dtype, name, task, several)
    check_targets_of_cost(targets, cost, output, name)
    if task is None and targets.task in ("value", "values"):
        warn_of_lost_digits(plain_numbers(y, name), dtype, name, "scale_outputs")
    if state.options.scale_outputs:
        check_task_of_scaling(targets.task)
    return targets._replace(classes=classes)


def scorable(
    net: Any,
    architecture: Architecture,
    X: Any,
    y: Any,
    task: Task | None,
    prefix: str = "",
    classes: labels.Classes = None,
) -> tuple[Samples, Targets]:
    """Checks samples and their targets, at least one, for a network trained for `task`."""
    samples = samples_of(net, architecture, X, prefix)
    checks.count(f"rows of {prefix}X", len(samples))
    return samples, targets_of(net, architecture, y, len(samples), prefix + "y", task, classes)
