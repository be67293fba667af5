"""A network as an ONNX model."""

import math
import os
from typing import Any

import numpy as np

from .. import __version__
from . import durable
from .exported import Exported, Layer, exported

_OPSET, _IR = 17, 8  # of 2022, which runtimes since then read


def to_onnx(net: Any, path: str | os.PathLike[str]) -> None:
    """Writes a network as an ONNX model, which onnxruntime and many others run.

    Its input is ``X``, (samples, inputs) in the network's type and in the units that it was trained in,
    not yet divided by `input_divisor`; what `uint8_divisor` divides, is to be divided before.  Its outputs
    are ``outputs``, those of `Network.outputs`, and, but for values, ``label``, those of `Network.predict`:
    int64, or text where a label is none.

    Runtimes add in an order of their own, so outputs agree but for rounding; those of ``gelu``, not of its
    tanh form, agree to float32 in float64 too, for onnxruntime has the error function in float32 alone.  The
    same network gives the same bytes with the same version of onnx.

    Parameters
    ----------
    net : Network
        With activations of its names; a cost may be a user's own.
    path : str or path-like

    Raises
    ------
    ImportError
        Without onnx: ``pip install '.[onnx]'``.
    ValueError
        For an activation of a user's own, weights that are not finite, or scaling that `fit` has not learnt.

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
    graph = _Graph(onnx, exported(net))
    model = onnx.helper.make_model(
        graph.made(),
        producer_name="fastbp",
        producer_version=__version__,
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
        ir_version=_IR,
    )
    onnx.checker.check_model(model, full_check=True)
    with durable.writing(path) as file:
        file.write(model.SerializeToString(deterministic=True))


class _Graph:
    """A graph under construction; each method returns the name of the tensor that it adds."""

    def __init__(self, onnx: Any, parts: Exported) -> None:
        self._onnx, self._parts = onnx, parts
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def made(self) -> Any:
        """The whole graph."""
        parts, helper = self._parts, self._onnx.helper
        tensor = "X"
        if parts.inputs is not None:
            wide = self._cast(tensor, np.float64, parts.dtype)
            moved = self._add("Sub", wide, self._constant(parts.inputs.mean))
            scaled = self._add("Mul", moved, self._constant(1.0 / parts.inputs.deviation))
            tensor = self._cast(scaled, parts.dtype, np.float64)
        for layer in parts.layers:
            w, b = self._constant(layer.weights), self._constant(layer.biases)
            tensor = self._activated(self._add("Gemm", tensor, w, b, transB=1), layer)
        if parts.outputs is not None:
            wide = self._cast(tensor, np.float64, parts.dtype)
            moved = self._add("Mul", wide, self._constant(parts.outputs.deviation))
            tensor = self._add("Add", moved, self._constant(parts.outputs.mean))
        self._name("outputs", tensor)
        results = [("outputs", self._kind(parts.output_dtype), ["samples", parts.sizes[-1]])]
        if parts.task not in ("value", "values"):
            results.append(self._labels())
        return helper.make_graph(
            self._nodes,
            "network",
            [helper.make_tensor_value_info("X", self._kind(parts.dtype), ["samples", parts.sizes[0]])],
            [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in results],
            self._constants,
        )

    def _labels(self) -> tuple[str, Any, list[Any]]:
        """Adds the decisions as ``label``; returns its name, type and shape."""
        task, classes, outputs = self._parts.task, self._parts.classes, self._parts.sizes[-1]
        integers = self._onnx.TensorProto.INT64
        if task == "labels":
            tensor = self._add("ArgMax", "outputs", axis=1, keepdims=0)
        else:
            half = self._constant(np.array(0.5, self._parts.dtype))
            tensor = self._cast(self._add("GreaterOrEqual", "outputs", half), np.int64, np.bool_)
            if task == "multilabel":
                self._name("label", tensor)
                return "label", integers, ["samples", outputs]
            tensor = self._add("Squeeze", tensor, self._constant(np.array([1])))
        is_text = not all(isinstance(label, int) and -(2**63) <= label < 2**63 for label in classes)
        if classes != tuple(range(len(classes))):
            names = np.array([str(label) for label in classes], object) if is_text else np.array(classes)
            tensor = self._add("Gather", self._constant(names), tensor)
        self._name("label", tensor)
        return "label", self._onnx.TensorProto.STRING if is_text else integers, ["samples"]

    def _activated(self, z: str, layer: Layer) -> str:
        """An activation by operators that runtimes have in both types; Erf they have in float32 alone."""
        add, number = self._add, self._number
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
            case "silu":
                return add("Mul", z, add("Sigmoid", z))
            case "softplus":
                rest = add("Log", add("Add", number(1.0), add("Exp", add("Neg", add("Abs", z)))))
                return add("Add", add("Relu", z), rest)
            case "gelu":
                narrow = self._cast(add("Mul", z, number(math.sqrt(0.5))), np.float32, self._parts.dtype)
                share = add("Add", number(1.0), self._cast(add("Erf", narrow), self._parts.dtype, np.float32))
            case "gelu_tanh":
                cube = add("Mul", add("Mul", z, z), add("Mul", z, number(0.044715)))
                share = add("Tanh", add("Mul", number(math.sqrt(2 / math.pi)), add("Add", z, cube)))
                share = add("Add", number(1.0), share)
        return add("Mul", add("Mul", number(0.5), z), share)

    def _add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"{operator}_{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def _name(self, name: str, tensor: str) -> None:
        """Gives a tensor a name of the model's interface."""
        self._nodes.append(self._onnx.helper.make_node("Identity", [tensor], [name], name=name))

    def _cast(self, tensor: str, to: Any, now: Any) -> str:
        if np.dtype(to) == np.dtype(now):
            return tensor
        return self._add("Cast", tensor, to=self._kind(np.dtype(to)))

    def _number(self, number: float) -> str:
        return self._constant(np.array(number, self._parts.dtype))

    def _constant(self, array: np.ndarray) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def _kind(self, dtype: np.dtype) -> Any:
        return self._onnx.helper.np_dtype_to_tensor_dtype(dtype)
