"""A network as other runtimes compute it: layers, scaling, and what its outputs stand for."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..data.arrays import check_finite
from ..data.scaling import Scaling, learnt_scaling
from ..data.targets import Task, default_task
from ..engine.architecture import State, checked
from ..options.activations import row_of


class Layer(NamedTuple):
    """a = activation(w a' + b)."""

    weights: np.ndarray  # (n_out, n_in)
    biases: np.ndarray  # (n_out,)
    activation: str  # the name of its row, or "softmax"
    number: float  # the activation's own, where it has one


class Exported(NamedTuple):
    layers: list[Layer]
    dtype: np.dtype
    task: Task
    inputs: Scaling | None
    outputs: Scaling | None
    classes: tuple[Any, ...]  # the labels, where the network tells labels

    @property
    def sizes(self) -> list[int]:
        return [self.layers[0].weights.shape[1], *(len(layer.biases) for layer in self.layers)]

    @property
    def output_dtype(self) -> np.dtype:
        """Scaled values are brought back in float64, for their mean may be far from 0."""
        return self.dtype if self.outputs is None else np.dtype(np.float64)


def exported(net: Any) -> Exported:
    """The parts of a network of known activations and finite weights, whose scaling has been learnt."""
    architecture, weights, biases = checked(net)
    state: State = net._fastbp
    rows = [row_of(kind) for kind in architecture.activations]
    _check_activations([row for row, _ in rows])
    for name, arrays in (("weights", weights), ("biases", biases)):
        for number, array in enumerate(arrays):
            check_finite(array, architecture.dtype, f"{name}[{number}]")
    task: Task = state.learnt.task or default_task(architecture.sizes[-1])
    classes: tuple[Any, ...] = ()
    if task in ("labels", "binary"):
        classes = state.learnt.classes or tuple(range(max(2, architecture.sizes[-1])))
    return Exported(
        [Layer(w, b.ravel(), *row) for w, b, row in zip(weights, biases, rows, strict=True)],
        architecture.dtype,
        task,
        _inputs(state, architecture.sizes[0]),
        learnt_scaling(state.options.scale_outputs, state.learnt.output_scaling, "scale_outputs"),
        classes,
    )


def _check_activations(rows: Sequence[str]) -> None:
    """Refuses to write functions of a user's own in another language."""
    if "custom" in rows:
        raise ValueError(
            f"activation of layer {rows.index('custom')}: expected one that has a name, to export it, got an "
            "Activation of your own"
        )


def _inputs(state: State, columns: int) -> Scaling | None:
    """The scaling of samples before the first layer; a divisor is one as well."""
    options = state.options
    if options.input_divisor in (None, 1.0):
        scaling: Scaling | None = learnt_scaling(
            options.scale_inputs, state.learnt.input_scaling, "scale_inputs"
        )
        return scaling
    return Scaling(np.zeros(columns), np.full(columns, options.input_divisor))
