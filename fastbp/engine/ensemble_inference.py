"""Outputs, predictions and scores of many networks for the same samples, or for a part of each."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..data import labels, metrics, per_network
from ..data.targets import Targets, Task
from ..data.weights import check_some_weight, sample_weights
from ..options import activations, checks
from . import inference, user_functions
from .choice import engine_of
from .lane_data import LaneSpec, joined_data
from .machine import free_cpus
from .packed import NOTHING, Data
from .replaced import FORWARD, is_replaced

_TEAM_FLOPS = 1e7  # of a call, from which another thread pays


def outputs(nets: Sequence[Any], X: Any) -> np.ndarray:
    """The outputs (networks, n, outputs), each network's in the units of y."""
    parts, schemas = zip(*map(inference.opened, nets), strict=True)
    Xs = per_network.samples("X", X, len(nets))
    if is_replaced(nets[0], *FORWARD):
        return np.stack([inference.outputs(net, X if Xs is None else Xs[i]) for i, net in enumerate(nets)])
    data: list[Data] = []
    for i, schema in enumerate(schemas):
        if Xs is None:
            samples = data[0].X if data else inference.quotients(schema, schema.samples(X))
        else:
            with per_network.of_network(i):
                samples = inference.quotients(schema, schema.samples(Xs[i]))
        divisor, scalings = schema.options.bytes_divisor, schema.scalings()
        data.append(Data(samples, NOTHING, divisor, NOTHING, *scalings))
    flops = sum(part.architecture.flops() for part in parts) * len(data[0].X)
    members = min(len(nets), free_cpus()) if flops > _TEAM_FLOPS else 1
    architecture = parts[0].architecture._replace(dropout=())
    parameters = [(part.weights, part.biases) for part in parts]
    joined = joined_data(data)
    engine = engine_of(architecture, parameters, 1, members, LaneSpec(), (), joined, False)
    raw: np.ndarray = engine.outputs(joined)
    if data[0].outputs is None:
        return raw
    return np.stack([one.outputs.unscaled(each) for one, each in zip(data, raw, strict=True) if one.outputs])


def decided(nets: Sequence[Any], X: Any, method: str) -> np.ndarray:
    """The networks' answer together, in the shape of y: by the mean of their outputs, or by their votes."""
    checks.choice("method", method, ("mean", "vote"))
    net = nets[0]
    _, schema = inference.opened(net)
    task, threshold = schema.trained_task, schema.threshold
    raw = outputs(nets, X)
    if method == "mean":
        decisions = metrics.decided(mean_and_deviation(nets, raw)[0], task, threshold)
    else:
        if task in ("value", "values"):
            raise ValueError(f"method: expected 'mean' for a network trained for {task}, got 'vote'")
        each = np.stack([metrics.decided(one, task, threshold) for one in raw])
        decisions = _majority(each, raw.shape[-1])
    if task not in ("labels", "binary"):
        return decisions
    return labels.labels_of(decisions, net._fastbp.learnt.classes)


def mean_and_deviation(nets: Sequence[Any], raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the standard deviation over networks, in float64, of what their outputs say.

    They say probabilities where they are those of labels, which then add up to one, and else the outputs.
    """
    task, activation = _task(nets), nets[0]._fastbp.options.output_activation
    each = raw.astype(np.float64)
    if task == "labels" and activations.definition_of(activation).is_probability:
        each = np.stack([metrics.probabilities(one, task) for one in each])
    return each.mean(axis=0), each.std(axis=0)


def probabilities(nets: Sequence[Any], X: Any) -> tuple[np.ndarray, np.ndarray]:
    """The mean probabilities (n, labels) over the networks, and their standard deviations."""
    task, raw = _task(nets), outputs(nets, X)
    user_functions.probable(raw, task, nets[0]._fastbp.options.output_activation)
    each = np.stack([metrics.probabilities(one.astype(np.float64), task) for one in raw])
    return each.mean(axis=0), each.std(axis=0)


def score(nets: Sequence[Any], X: Any, y: Any, sample_weight: Any) -> float:
    """The score of the networks together, by the mean of their outputs."""
    raw = outputs(nets, X)
    if per_network.targets("y", y, len(nets), raw.shape[1], raw.shape[2]) is not None:
        raise ValueError("y: expected one array for all networks, got one per network; scores(X, y) has each")
    weights = _weights(raw, sample_weight)
    return metrics.score(mean_and_deviation(nets, raw)[0], _targets(nets[0], y, raw), weights)


def scores(nets: Sequence[Any], X: Any, y: Any, sample_weight: Any) -> np.ndarray:
    """The score of each network."""
    raw = outputs(nets, X)
    ys = per_network.targets("y", y, len(nets), raw.shape[1], raw.shape[2])
    weights, targets = _weights(raw, sample_weight), None
    by_network = np.empty(len(nets))
    for i, net in enumerate(nets):
        if ys is not None:
            with per_network.of_network(i):
                targets = _targets(net, ys[i], raw)
        else:
            targets = targets or _targets(net, y, raw)
        by_network[i] = metrics.score(raw[i], targets, weights)
    return by_network


def _targets(net: Any, y: Any, raw: np.ndarray) -> Targets:
    checks.count("rows of X", raw.shape[1])
    _, schema = inference.opened(net)
    return schema._replace(task=schema.trained_task).targets(y, raw.shape[1])


def _weights(raw: np.ndarray, sample_weight: Any) -> np.ndarray | None:
    weights = None if sample_weight is None else sample_weights(sample_weight, raw.shape[1])
    check_some_weight("sample_weight", weights)
    return weights


def _task(nets: Sequence[Any]) -> Task:
    return inference.opened(nets[0])[1].trained_task


def _majority(decisions: np.ndarray, outputs: int) -> np.ndarray:
    """The decision of most networks (n, ...); of the least label among those with as many votes."""
    votes = [(decisions == label).sum(axis=0) for label in range(max(2, outputs))]
    return np.asarray(np.argmax(votes, axis=0))
