"""A network as an ONNX model."""

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import __version__
from . import durable
from .exported import Exported, Layer, exported

_OPSET, _IR = 17, 8  # of 2022, which runtimes since then read


def to_onnx(model: Any, path: str | os.PathLike[str]) -> None:
    """Writes a network as an ONNX model, which onnxruntime and many others run.

    Its input is ``X``, (samples, inputs) in the network's type and in the units that it was trained in,
    not yet divided by `input_divisor` or scaled by a pipeline; samples that `uint8_divisor` divides must be
    divided beforehand.  Its outputs are ``outputs``, those of `Network.outputs` in the network's type, and,
    but for values, ``label``, those of `Network.predict`: int64, or text if any label is not an int64.

    Runtimes add in an order of their own, so outputs agree but for rounding; those of ``gelu``, not of its
    tanh form, agree to float32 in float64 too, for onnxruntime has the error function in float32 alone.  The
    same network gives the same bytes with the same version of onnx.

    Parameters
    ----------
    model : Network, estimator of fastbp.sklearn, or Pipeline
        As for `to_c`.
    path : str or path-like

    Raises
    ------
    ImportError
        Without onnx: ``pip install '.[onnx]'``.
    ValueError
        For an activation of a user's own, weights that are not finite, scaling that `fit` has not learnt, or
        a step of a pipeline that cannot be folded in.

    Examples
    --------
    >>> import os, tempfile
    >>> from fastbp import Network
    >>> path = os.path.join(tempfile.mkdtemp(), "xor.onnx")
    >>> to_onnx(Network([2, 3, 1], seed=0), path)
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError(
            "to_onnx: expected onnx; pip install '.[onnx]' in fastbp's source folder"
        ) from error
    graph = Graph(onnx, exported(model))
    made = onnx.helper.make_model(
        graph.made(),
        producer_name="fastbp",
        producer_version=__version__,
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
        ir_version=_IR,
    )
    onnx.checker.check_model(made, full_check=True)
    with durable.writing(path) as file:
        file.write(made.SerializeToString(deterministic=True))


class Graph:
    """A graph under construction; methods return the name of the tensor that they add.

    Attributes
    ----------
    nodes, constants : list
        What ONNX calls nodes and initializers.
    """

    def __init__(self, onnx: Any, parts: Exported, unique: Callable[[str], str] | None = None) -> None:
        """`unique` makes names of tensors that the whole model has not yet, if the model has other parts."""
        self._onnx, self._parts, self._unique = onnx, parts, unique or self._numbered
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def made(self) -> Any:
        """The whole graph."""
        parts, helper = self._parts, self._onnx.helper
        self.name("outputs", self.outputs("X"))
        results = [("outputs", self.kind(parts.dtype), ["samples", parts.sizes[-1]])]
        if parts.task not in ("value", "values"):
            tensor, *kind_and_shape = self.labels("outputs")
            self.name("label", tensor)
            results.append(("label", *kind_and_shape))
        return helper.make_graph(
            self.nodes,
            "network",
            [helper.make_tensor_value_info("X", self.kind(parts.dtype), ["samples", parts.sizes[0]])],
            [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in results],
            self.constants,
        )

    def outputs(self, tensor: str) -> str:
        """The outputs of the network for samples in its type."""
        parts = self._parts
        if parts.fills is not None:
            known = self.constant(parts.fills.astype(parts.dtype))
            tensor = self.add("Where", self.add("IsNaN", tensor), known, tensor)
        if parts.inputs is not None:
            wide = self.cast(tensor, np.float64, parts.dtype)
            moved = self.add("Sub", wide, self.constant(parts.inputs.mean))
            scaled = self.add("Mul", moved, self.constant(1.0 / parts.inputs.deviation))
            tensor = self.cast(scaled, parts.dtype, np.float64)
        for layer in parts.layers:
            w, b = self.constant(layer.weights), self.constant(layer.biases)
            tensor = self._activated(self.add("Gemm", tensor, w, b, transB=1), layer)
        if parts.outputs is not None:
            wide = self.cast(tensor, np.float64, parts.dtype)
            moved = self.add("Mul", wide, self.constant(parts.outputs.deviation))
            values = self.add("Add", moved, self.constant(parts.outputs.mean))
            tensor = self.cast(values, parts.dtype, np.float64)
        return tensor

    def labels(self, outputs_tensor: str) -> tuple[str, Any, list[Any]]:
        """The decisions that follow from the outputs; their tensor, type and shape."""
        task, classes, outputs = self._parts.task, self._parts.classes, self._parts.sizes[-1]
        integers = self._onnx.TensorProto.INT64
        if task == "labels":
            tensor = self.add("ArgMax", outputs_tensor, axis=1, keepdims=0)
        else:
            threshold = self.constant(np.array(self._parts.threshold, self._parts.dtype))
            tensor = self.cast(self.add("GreaterOrEqual", outputs_tensor, threshold), np.int64, np.bool_)
            if task == "multilabel":
                return tensor, integers, ["samples", outputs]
            tensor = self.add("Squeeze", tensor, self.constant(np.array([1], np.int64)))
        is_text = not all(isinstance(label, int) and -(2**63) <= label < 2**63 for label in classes)
        if classes != tuple(range(len(classes))):
            labels = [str(label) for label in classes] if is_text else classes
            names = np.array(labels, object if is_text else np.int64)
            tensor = self.add("Gather", self.constant(names), tensor)
        return tensor, self._onnx.TensorProto.STRING if is_text else integers, ["samples"]

    def _activated(self, z: str, layer: Layer) -> str:
        """An activation by operators that runtimes have in both types; Erf they have in float32 alone."""
        add, number = self.add, self._number
        match layer.activation:
            case "linear":
                return z
            case "sigmoid" | "tanh" | "relu" | "softmax" | "exponential" as name:
                operator = {"exponential": "Exp"}.get(name, name.capitalize())
                return add(operator, z)
            case "leaky_relu":
                below = add("Mul", number(layer.number), add("Min", z, number(0.0)))
                return add("Add", add("Relu", z), below)
            case "elu":
                below = add("Sub", add("Exp", add("Min", z, number(0.0))), number(1.0))
                return add("Add", add("Relu", z), add("Mul", number(layer.number), below))
            case "silu" if self._parts.dtype == np.float64:  # runtimes replace z sigmoid(z), by float32 alone
                return add("Div", z, add("Add", number(1.0), add("Exp", add("Neg", z))))
            case "silu":
                return add("Mul", z, add("Sigmoid", z))
            case "softplus" if self._parts.dtype == np.float32:  # keeps e^z that 1 + e^z would lose
                return add("Softplus", z)
            case "softplus":
                rest = add("Log", add("Add", number(1.0), add("Exp", add("Neg", add("Abs", z)))))
                return add("Add", add("Relu", z), rest)
            case "gelu":
                narrow = self.cast(add("Mul", z, number(math.sqrt(0.5))), np.float32, self._parts.dtype)
                share = add("Add", number(1.0), self.cast(add("Erf", narrow), self._parts.dtype, np.float32))
            case "gelu_tanh":
                cube = add("Mul", add("Mul", z, z), add("Mul", z, number(0.044715)))
                share = add("Tanh", add("Mul", number(math.sqrt(2 / math.pi)), add("Add", z, cube)))
                share = add("Add", number(1.0), share)
        return add("Mul", add("Mul", number(0.5), z), share)

    def _numbered(self, name: str) -> str:
        return f"{name}_{len(self.constants if name == 'constant' else self.nodes)}"

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = self._unique(operator)
        self.nodes.append(self._onnx.helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def name(self, name: str, tensor: str) -> None:
        """Gives a tensor a name of the model's interface."""
        self.nodes.append(self._onnx.helper.make_node("Identity", [tensor], [name], name=name))

    def cast(self, tensor: str, to: Any, now: Any = None) -> str:
        """The tensor in another type than the one that it has now, which may be unknown."""
        if now is not None and np.dtype(to) == np.dtype(now):
            return tensor
        return self.add("Cast", tensor, to=self.kind(np.dtype(to)))

    def _number(self, number: float) -> str:
        return self.constant(np.array(number, self._parts.dtype))

    def constant(self, array: np.ndarray) -> str:
        name = self._unique("constant")
        self.constants.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def kind(self, dtype: np.dtype) -> Any:
        return self._onnx.helper.np_dtype_to_tensor_dtype(dtype)
