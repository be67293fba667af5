"""The network of an estimator, or of a pipeline whose first steps fill and scale columns."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..data import frames
from ..data.scaling import Scaling
from ..engine.architecture import State

_STEPS = "StandardScaler, MinMaxScaler, SimpleImputer"


class Folded(NamedTuple):
    """A network that reads what a model reads."""

    network: Any
    fills: np.ndarray | None = None  # (inputs,) float64, in place of NaN


def folded(model: Any) -> Folded:
    """The network of a `Network`, an estimator of fastbp.sklearn, or a scikit-learn ``Pipeline`` to one.

    Scalers become the network's scaling.  Nothing of scikit-learn is imported: its objects are known by the
    names of their classes.
    """
    if isinstance(getattr(model, "_fastbp", None), State):
        return Folded(model)
    steps = [step for _, step in getattr(model, "steps", [("", model)]) if step not in (None, "passthrough")]
    *transformers, last = steps or [None]
    if not hasattr(last, "to_network"):
        raise TypeError(
            "model: expected a Network, an MLPClassifier or MLPRegressor of fastbp.sklearn, or a Pipeline of "
            f"steps ({_STEPS}) and such an estimator, got {_name(last)}"
        )
    net = last.to_network()
    inputs = len(net.weights[0][0])
    if not transformers:
        return Folded(net)
    mean, deviation, fills = np.zeros(inputs), np.ones(inputs), None
    for number, step in enumerate(transformers):
        if _name(step) == "SimpleImputer":
            statistics = _statistics(step, inputs)
            if fills is None:  # or else no NaN has come through
                fills = statistics * deviation + mean
        else:
            moved, divided = _affine(step, number, inputs)
            mean, deviation = mean + deviation * moved, deviation * divided
    _read_as(net, model, Scaling(mean, deviation))
    return Folded(net, fills)


def network_without_fills(model: Any) -> Any:
    """The network of a model, for a file, which cannot fill what is missing."""
    net, fills = folded(model)
    if fills is not None:
        raise ValueError(
            "model: expected no SimpleImputer, for networks read no NaN; to_c and to_onnx fill them, or save "
            "model[1:] and fill X before"
        )
    return net


def _read_as(net: Any, model: Any, scaling: Scaling) -> None:
    """Has the network read what a pipeline reads: with its scaling, and its names of columns."""
    mean, deviation = scaling
    if not (np.isfinite(mean).all() and np.isfinite(deviation).all() and (deviation > 0).all()):
        raise ValueError("model: expected scalers of finite means and of scales above 0")
    state: State = net._fastbp
    learnt = replace(state.learnt, feature_names=frames.learnt_names(model))
    if mean.any() or (deviation != 1).any():
        learnt = replace(learnt, scale=None, input_scaling=scaling)
        state = replace(state, options=replace(state.options, scale_inputs=True))
    net._fastbp = replace(state, learnt=learnt)


def _affine(step: Any, number: int, inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """The number that a scaler subtracts from each column, and the one by which it divides the difference."""
    mean, deviation = np.zeros(inputs), np.ones(inputs)
    if _name(step) == "StandardScaler":
        _check_fitted(step, "scale_")
        if step.mean_ is not None and step.with_mean:
            mean = np.asarray(step.mean_, np.float64)
        if step.scale_ is not None:
            deviation = np.asarray(step.scale_, np.float64)
    elif _name(step) == "MinMaxScaler" and not step.clip:
        _check_fitted(step, "min_")
        deviation = 1.0 / np.asarray(step.scale_, np.float64)
        mean = -np.asarray(step.min_, np.float64) * deviation
    else:
        clip = " with clip" if getattr(step, "clip", False) else ""
        raise ValueError(
            f"model: step {number} of the pipeline: expected one of {_STEPS} (without clip), which can be "
            f"folded into a network, got {_name(step)}{clip}; export the estimator alone and transform X "
            "before, or convert the pipeline to ONNX by skl2onnx"
        )
    return mean, deviation


def _statistics(step: Any, inputs: int) -> np.ndarray:
    """The numbers that an imputer puts in place of NaN."""
    _check_fitted(step, "statistics_")
    plain = isinstance(step.missing_values, float) and np.isnan(step.missing_values)
    statistics = np.asarray(np.asarray(step.statistics_).tolist())  # of constants they are objects
    if not plain or step.add_indicator or len(statistics) != inputs or not _are_finite(statistics):
        raise ValueError(
            "model: expected a SimpleImputer of NaN that neither adds nor drops columns (missing_values=nan, "
            f"add_indicator=False, keep_empty_features=True), got {step!r}"
        )
    return statistics.astype(np.float64)


def _are_finite(statistics: np.ndarray) -> bool:
    return statistics.dtype.kind in "fiu" and bool(np.isfinite(statistics).all())


def _check_fitted(step: Any, attribute: str) -> None:
    if not hasattr(step, attribute):
        raise ValueError(f"model: expected a fitted pipeline, got {step!r} before fit")


def _name(step: Any) -> str:
    return type(step).__name__
