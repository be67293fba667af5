"""The parts of a network that other runtimes compute: layers, scaling, labels."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..data.arrays import check_finite
from ..data.scaling import Scaling
from ..data.targets import Task
from ..engine.architecture import checked, schema_of
from ..options.activations import name_and_parameter
from .pipelines import folded


class Layer(NamedTuple):
    """a = activation(w a' + b)."""

    weights: np.ndarray  # (n_out, n_in)
    biases: np.ndarray  # (n_out,)
    activation: str  # the name of its row, or "softmax"
    number: float  # the activation's parameter, if it has one


class Exported(NamedTuple):
    layers: list[Layer]
    dtype: np.dtype
    task: Task
    inputs: Scaling | None
    outputs: Scaling | None
    classes: tuple[Any, ...]  # the labels, if the network is trained for labels
    fills: np.ndarray | None = None  # in place of NaN, in the units of X
    columns: tuple[str, ...] = ()  # the names of the inputs, if they have names
    dropout: tuple[float, ...] = ()  # of the hidden layers in training, if there is any
    threshold: float = 0.5  # from which on an output says yes
    is_paired: bool = False  # whether the outputs are a mean and the log of a variance for each value

    @property
    def sizes(self) -> list[int]:
        return [self.layers[0].weights.shape[1], *(len(layer.biases) for layer in self.layers)]


def exported(model: Any) -> Exported:
    """The parts of a model's network of known activations and finite weights, whose scaling is learnt."""
    net, fills = folded(model)
    architecture, weights, biases = checked(net)
    schema = schema_of(net, architecture)
    rows = [name_and_parameter(kind) for kind in architecture.activations]
    _check_activations([row for row, _ in rows])
    for name, arrays in (("weights", weights), ("biases", biases)):
        for number, array in enumerate(arrays):
            check_finite(array, architecture.dtype, f"{name}[{number}]")
    task, divisor = schema.trained_task, schema.options.input_divisor
    classes: tuple[Any, ...] = ()
    if task in ("labels", "binary"):
        classes = schema.learnt.classes or tuple(range(max(2, schema.outputs)))
    inputs, outputs = schema.scalings()
    if divisor not in (None, 1.0):  # it is a scaling as well
        inputs = Scaling(np.zeros(schema.inputs), np.full(schema.inputs, divisor))
    layers = [Layer(w, b.ravel(), *row) for w, b, row in zip(weights, biases, rows, strict=True)]
    columns, dropout = schema.learnt.feature_names or (), architecture.dropout
    more = fills, columns, dropout, schema.threshold, schema.is_paired
    return Exported(layers, architecture.dtype, task, inputs, outputs, classes, *more)


def _check_activations(rows: Sequence[str]) -> None:
    """Refuses to export a user's functions."""
    if "custom" in rows:
        raise ValueError(
            f"activation of layer {rows.index('custom')}: expected a built-in activation, which can be "
            "exported, got a fastbp.Activation"
        )
