"""Outputs, predictions and scores for arrays whose rows are samples."""

from typing import Any

import numpy as np

from ..data import labels, metrics
from ..data.pixels import check_scale, warn_of_bytes
from ..data.schema import Schema
from ..data.sparse import Samples
from ..data.weights import check_some_weight, sample_weights
from ..options import checks
from . import numpy_engine, user_functions
from .architecture import Parts, checked, schema_of
from .replaced import FORWARD, inference_engine, is_replaced


def outputs(net: Any, X: Any, layer: int | None = None) -> np.ndarray:
    parts, schema = opened(net)
    count = len(parts.weights)
    last = count - 1 if layer is None else checks.index("layer", layer, count)
    if last == count - 1:
        return _infer(net, parts, schema, schema.samples(X))
    user_functions.unreplaced_layers([name for name in FORWARD if is_replaced(net, name)])
    return _computed(inference_engine(_first_layers(parts, last + 1)), schema, schema.samples(X))


def _first_layers(parts: Parts, layers: int) -> Parts:
    """The first layers of a network, for their activations."""
    architecture, weights, biases = parts
    architecture = architecture._replace(
        sizes=architecture.sizes[: layers + 1],
        activations=architecture.activations[:layers],
        cost="quadratic",
        dropout=(),
        frozen=(),
    )
    return Parts(architecture, weights[:layers], biases[:layers])


def classes(net: Any) -> np.ndarray:
    """The label of each output, or the two labels of a single one."""
    known = net._fastbp.learnt.classes
    return np.arange(max(2, len(net.biases[-1]))) if known is None else labels.as_array(known)


def predict(net: Any, X: Any, return_std: bool) -> Any:
    parts, schema = opened(net)
    task = schema.trained_task
    if return_std:
        user_functions.with_deviations(schema.is_paired, schema.options.cost)
    raw = _infer(net, parts, schema, schema.samples(X))
    decided = metrics.decided(schema.values(raw), task, schema.threshold)
    if return_std:
        deviations = np.exp(0.5 * raw[:, 1::2])
        return decided, deviations[:, 0] if task == "value" else deviations
    return labels.labels_of(decided, schema.learnt.classes) if task in ("labels", "binary") else decided


def predict_proba(net: Any, X: Any) -> np.ndarray:
    parts, schema = opened(net)
    raw = _infer(net, parts, schema, schema.samples(X))
    user_functions.probable(raw, schema.trained_task, schema.options.output_activation)
    return metrics.probabilities(raw, schema.trained_task)


def score(net: Any, X: Any, y: Any, sample_weight: Any) -> float:
    parts, schema = opened(net)
    samples, targets = schema._replace(task=schema.trained_task).pairs(X, y)
    weights = None if sample_weight is None else sample_weights(sample_weight, len(samples))
    check_some_weight("sample_weight", weights)
    return metrics.score(schema.values(_infer(net, parts, schema, samples)), targets, weights)


def opened(net: Any) -> tuple[Parts, Schema]:
    """The network's checked parts, and how it reads X and y."""
    parts = checked(net)
    return parts, schema_of(net, parts.architecture)


def _infer(net: Any, parts: Parts, schema: Schema, samples: Samples) -> np.ndarray:
    """The raw outputs for checked samples; by the network's own feedforward where a user has replaced it."""
    by_methods = is_replaced(net, *FORWARD)
    engine = numpy_engine.MethodsEngine(net, *parts) if by_methods else inference_engine(parts)
    raw, (_, outputs) = _computed(engine, schema, samples), schema.scalings()
    return raw if outputs is None else outputs.unscaled(raw)


def _computed(engine: Any, schema: Schema, samples: Samples) -> np.ndarray:
    """Computes checked samples by an engine of the network, or of its first layers."""
    inputs, _ = schema.scalings()
    activations: np.ndarray = engine.outputs(
        quotients(schema, samples), schema.options.bytes_divisor, inputs=inputs
    )
    return activations


def quotients(schema: Schema, samples: Samples) -> Samples:
    """Checked samples divided for an engine; their scale must be that of the network's training."""
    options, scale = schema.options, schema.learnt.scale
    check_scale("X", samples, options, scale)
    warn_of_bytes("X", samples, options, scale)
    return schema.divided(samples)
