"""The steps of another library's model, and the network that computes the same."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ..data.arrays import warn
from ..data.scaling import Scaling
from ..files import pipelines
from ..files.exported import Exported, exported
from ..network import Network
from ..options.activations import definition_of

_LOST = 1e-3  # of a deviation; more that weights round away is worth a warning


class Dense(NamedTuple):
    """z = w a + b."""

    weights: np.ndarray  # (n_out, n_in)
    biases: np.ndarray  # (n_out,)


class Scale(NamedTuple):
    """Each number of a, or each column, times a factor, plus a shift."""

    factor: Any
    shift: Any


def standardized(mean: Any, deviation: Any, factor: Any = 1.0, shift: Any = 0.0) -> Scale:
    """Makes a step of (a - mean) / deviation, times a factor, plus a shift."""
    factor = np.asarray(factor, np.float64) / deviation
    return Scale(factor, shift - factor * mean)


class Activation(NamedTuple):
    """a = f(z)."""

    kind: Any  # as `Network` takes it


class Dropout(NamedTuple):
    """The share of units that a training step drops."""

    rate: float


Step = Dense | Scale | Activation | Dropout


@dataclass
class _Layer:
    """A layer under construction."""

    weights: np.ndarray
    biases: np.ndarray
    activation: Any = None  # None while none is known
    dropout: float = 0.0

    def follow(self, scale: Scale) -> None:
        """Takes over a scaling of what the layer gives, before any activation."""
        factor, shift = (_columns(numbers, len(self.biases)) for numbers in scale)
        self.weights = self.weights * factor[:, None]
        self.biases = self.biases * factor + shift


def network_from_steps(steps: Iterable[Step], source: str, options: Mapping[str, Any]) -> Network:
    """The network that computes the steps; `source` names the model in errors.

    `options` are those of `Network.from_weights`; those that the steps say have them as defaults.
    """
    inputs, steps = _leading(list(steps), options)
    layers = _layers(steps, source)
    last, arrays = layers[-1], [array for step in steps if isinstance(step, Dense) for array in step]
    chosen = {
        "activation": [layer.activation or "linear" for layer in layers[:-1]] or "sigmoid",
        "output_activation": last.activation or "linear",
        "dropout": [layer.dropout for layer in layers[:-1]]
        if any(layer.dropout for layer in layers)
        else 0.0,
        "dtype": np.result_type(np.float32, *arrays),
        **options,
    }
    probable = definition_of(chosen["output_activation"]).is_probability
    chosen.setdefault("cost", "cross_entropy" if probable else "quadratic")
    net = Network.from_weights(
        [layer.weights for layer in layers], [layer.biases for layer in layers], **chosen
    )
    if inputs is not None:
        scaling = Scaling(*(_columns(numbers, net.sizes[0]) for numbers in inputs))
        state = net._fastbp
        learnt = replace(state.learnt, input_scaling=scaling)
        net._fastbp = replace(state, options=replace(state.options, scale_inputs=True), learnt=learnt)
    return net


def _leading(steps: list[Step], options: Mapping[str, Any]) -> tuple[Scaling | None, list[Step]]:
    """The first steps as the network's scaling, in float64 as it is, if they can be; and the other steps."""
    factor, shift, count = np.ones(1), np.zeros(1), 0
    for step in steps:
        if not isinstance(step, Scale):
            break
        factor, shift, count = factor * step.factor, shift * step.factor + step.shift, count + 1
    with np.errstate(all="ignore"):
        scaling = Scaling(-shift / factor, 1 / factor)
    fits = all(np.isfinite(numbers).all() for numbers in scaling) and (scaling.deviation > 0).all()
    if not count or not fits or options.get("input_divisor"):
        return None, steps
    return scaling, steps[count:]


def _columns(numbers: Any, columns: int) -> np.ndarray:
    """A number for each column, of one for each or one for all."""
    numbers = np.asarray(numbers, np.float64).ravel()
    if numbers.size not in (1, columns):
        raise ValueError(
            f"model: expected layers that scale by one number, or one for each of {columns} columns, got "
            f"{numbers.size}; a model that scales images before it flattens them cannot be read"
        )
    return np.array(np.broadcast_to(numbers, columns))


def _layers(steps: Iterable[Step], source: str) -> list[_Layer]:
    """The layers that compute the steps, with each scaling in the weights beside it."""
    layers: list[_Layer] = []
    before: list[Scale] = []  # scalings of what the next layer reads
    for step in steps:
        open_ = layers[-1] if layers and not before and layers[-1].activation is None else None
        if isinstance(step, Dense):
            layers.append(_after(before, step))
            before = []
        elif isinstance(step, Scale) and open_ is not None and not open_.dropout:
            open_.follow(step)
        elif isinstance(step, Scale):
            before.append(step)
        elif isinstance(step, Activation) and step.kind == "linear":
            continue
        elif isinstance(step, Activation) and open_ is not None and not open_.dropout:
            open_.activation = step.kind
        elif isinstance(step, Dropout) and layers and not before:
            layers[-1].dropout = step.rate
        else:
            raise ValueError(
                f"{source}: expected layers of weights, with at most one activation after each, got {step!r}"
            )
    if not layers or before:
        got = f"{before[0]!r} after the last" if layers else "none"
        raise ValueError(
            f"{source}: expected at least one layer of weights, and the outputs after it, got {got}"
        )
    layers[-1].dropout = 0.0
    return layers


def _after(scales: Iterable[Scale], step: Dense) -> _Layer:
    """The layer whose weights hold the scalings of what it reads."""
    weights, biases = step
    for scale in reversed(list(scales)):
        factor, shift = (_columns(numbers, weights.shape[1]) for numbers in scale)
        biases = biases + weights @ shift
        weights = weights * factor
    return _Layer(weights, biases)


def with_scaling_folded(model: Any, name: str) -> Exported:
    """The parts of a model's network with the scaling of inputs and outputs in the weights, rounded once.

    `name` is that of the function that writes them, for errors.
    """
    parts = exported(pipelines.network_without_fills(model))
    layers, dtype = list(parts.layers), parts.dtype
    if parts.inputs is not None:
        _warn_of_far_means(parts.inputs, dtype, name)
        first = layers[0]
        weights = first.weights / parts.inputs.deviation
        biases = first.biases - weights @ parts.inputs.mean
        layers[0] = first._replace(weights=weights, biases=biases)
    if parts.outputs is not None:
        last = layers[-1]
        if last.activation != "linear":
            raise ValueError(
                f"{name}: expected linear outputs where they are scaled, got {last.activation!r}"
            )
        deviation = parts.outputs.deviation
        biases = last.biases * deviation + parts.outputs.mean
        layers[-1] = last._replace(weights=last.weights * deviation[:, None], biases=biases)
    with np.errstate(over="ignore"):
        rounded = [
            layer._replace(weights=layer.weights.astype(dtype), biases=layer.biases.astype(dtype))
            for layer in layers
        ]
    for number, layer in enumerate(rounded):
        if not (np.isfinite(layer.weights).all() and np.isfinite(layer.biases).all()):
            raise ValueError(
                f"{name}: expected weights of layer {number} that are finite in {dtype} with the scaling in "
                "them, got infinite ones; to_onnx and to_c keep the scaling beside them"
            )
    return parts._replace(layers=rounded, inputs=None, outputs=None)


def _warn_of_far_means(inputs: Scaling, dtype: np.dtype, name: str) -> None:
    """Warns of a column whose mean is so far from 0 that weights cannot subtract it well."""
    far = np.abs(inputs.mean) / inputs.deviation
    if (far * np.finfo(dtype).eps > _LOST).any():
        warn(
            f"{name}: the mean of column {np.argmax(far)} is {far.max():.0e} times its deviation, so weights "
            f"in {dtype} lose as many digits; subtract it before training, or take to_onnx or to_c, which "
            "subtract it exactly"
        )
