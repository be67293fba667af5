"""Networks from ONNX models."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..network import Network
from ..options.activations import ELU, GELU, LeakyReLU
from .steps import Activation, Dense, Scale, Step, network_of

_PLAIN = {  # operator -> activation
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Relu": "relu",
    "Softplus": "softplus",
    "Exp": "exponential",
    "Softmax": "softmax",
}
_PASSED = ("Identity", "Cast", "Dropout", "Flatten")  # operators that compute nothing here
_ARITHMETIC = ("Add", "Sub", "Mul", "Div")


def from_onnx(model: Any, **options: Any) -> Network:
    """A network with the weights of an ONNX model, and outputs equal to the model's first.

    Parameters
    ----------
    model : str, path-like or onnx.ModelProto
        A chain of ``Gemm`` or ``MatMul``, ``Add``, ``Sub``, ``Mul`` and ``Div`` by constants, which go into
        the weights, scikit-learn's ``Scaler``, and activations that `Network` has: ``Sigmoid``, ``Tanh``,
        ``Relu``, ``LeakyRelu``, ``Elu``, ``Gelu``, ``Softplus``, ``Exp``, ``Softmax``.  What follows the
        outputs, such as ``ArgMax``, is left out.
    **options
        Those of `Network.from_weights`, such as ``classes``.  The type is that of the model's weights.

    Raises
    ------
    ImportError
        For a path without onnx: ``pip install '.[onnx]'``.
    ValueError
        For another operator, or a graph that is no chain.

    Examples
    --------
    >>> import os, tempfile
    >>> from fastbp.interop import to_onnx
    >>> path = os.path.join(tempfile.mkdtemp(), "net.onnx")
    >>> net = Network([2, 3, 1], activation="relu", seed=0)
    >>> to_onnx(net, path)
    >>> bool((from_onnx(path).parameters == net.parameters).all())
    True
    """
    if isinstance(model, (str, os.PathLike)):
        try:
            import onnx
        except ImportError as error:
            raise ImportError(
                "from_onnx: expected onnx; pip install '.[onnx]' in fastbp's source folder"
            ) from error
        model = onnx.load(os.fspath(model))
    return network_of(_Chain(model.graph).steps(), "from_onnx", options)


class _Chain:
    """A graph whose nodes follow each other from its input to its first output."""

    def __init__(self, graph: Any) -> None:
        from onnx import numpy_helper

        self._graph = graph
        self._constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant":
                self._constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)

    def steps(self) -> Iterator[Step]:
        names = [item.name for item in self._graph.input if item.name not in self._constants]
        if len(names) != 1:
            raise ValueError(f"from_onnx: expected a graph of one input, got {names}")
        tensor = names[0]
        while (node := self._next(tensor)) is not None:
            yield from self._steps_of(node, tensor)
            tensor = node.output[0]

    def _next(self, tensor: str) -> Any:
        """The node that reads a tensor; None where it is an output of the graph."""
        outputs = {item.name for item in self._graph.output}
        nodes = [node for node in self._graph.node if tensor in node.input]
        if tensor in outputs or any(
            node.op_type == "Identity" and node.output[0] in outputs for node in nodes
        ):
            return None
        if len(nodes) != 1:
            kinds = ", ".join(node.op_type for node in nodes) or "none"
            raise ValueError(
                f"from_onnx: expected one operator after each, up to an output, got {kinds} after {tensor!r}"
            )
        return nodes[0]

    def _steps_of(self, node: Any, tensor: str) -> Iterator[Step]:
        kind, numbers = node.op_type, {item.name: item for item in node.attribute}

        def number(name: str, default: float) -> float:
            return numbers[name].f if name in numbers else default

        if kind in ("Gemm", "MatMul"):
            yield self._dense(node, tensor)
        elif kind in _ARITHMETIC:
            (other,) = (self._constant(node, name) for name in node.input if name != tensor)
            yield _scale(kind, other, node.input[0] == tensor)
        elif kind == "Scaler":
            offset, factor = (np.array(numbers[name].floats) for name in ("offset", "scale"))
            yield Scale(factor, -offset * factor)
        elif kind in _PLAIN:
            yield Activation(_PLAIN[kind])
        elif kind == "LeakyRelu":
            yield Activation(LeakyReLU(number("alpha", 0.01)))
        elif kind == "Elu":
            yield Activation(ELU(number("alpha", 1.0)))
        elif kind == "Gelu":
            is_tanh = "approximate" in numbers and numbers["approximate"].s == b"tanh"
            yield Activation(GELU("tanh" if is_tanh else "none"))
        elif kind not in _PASSED:
            known = ", ".join(["Gemm", "MatMul", *_ARITHMETIC, "Scaler", *_PLAIN, "LeakyRelu", "Elu", "Gelu"])
            raise ValueError(f"from_onnx: expected operators among {known}, got {kind}")

    def _dense(self, node: Any, tensor: str) -> Dense:
        """A matrix product, and for a Gemm its biases."""
        if node.input[0] != tensor:
            raise ValueError(f"from_onnx: expected {node.op_type} of samples by weights, got it by samples")
        w = self._constant(node, node.input[1])
        numbers = {item.name: item for item in node.attribute}
        if w.ndim != 2 or ("transA" in numbers and numbers["transA"].i):
            raise ValueError(f"from_onnx: expected weights of two axes, samples as rows, got {w.shape}")
        if "transB" not in numbers or not numbers["transB"].i:
            w = w.T
        b = np.zeros(len(w), w.dtype)
        if len(node.input) > 2:
            b = np.broadcast_to(self._constant(node, node.input[2]).ravel(), b.shape)
        alpha, beta = (
            w.dtype.type(numbers[name].f if name in numbers else 1.0) for name in ("alpha", "beta")
        )
        return Dense(np.ascontiguousarray(w * alpha), b * beta)

    def _constant(self, node: Any, name: str) -> np.ndarray:
        if name not in self._constants:
            raise ValueError(f"from_onnx: expected {node.op_type} of a tensor and a constant, got {name!r}")
        constant: np.ndarray = self._constants[name]
        return constant


def _scale(kind: str, constant: np.ndarray, is_first: bool) -> Scale:
    """A tensor, which stands first or second, and a constant, added, subtracted, multiplied or divided."""
    numbers = constant.astype(np.float64).ravel()
    if kind == "Add":
        return Scale(1.0, numbers)
    if kind == "Sub":
        return Scale(1.0, -numbers) if is_first else Scale(-1.0, numbers)
    if kind == "Mul":
        return Scale(numbers, 0.0)
    if not is_first:
        raise ValueError("from_onnx: expected Div by a constant, got a constant divided by a tensor")
    return Scale(1.0 / numbers, 0.0)
