"""Networks from ONNX models."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..engine import formulas
from ..network import Network
from ..options.activations import ELU, GELU, LeakyReLU
from .steps import Activation, Dense, Scale, Step, network_from_steps

_PLAIN = {  # operator -> activation
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Relu": "relu",
    "Softplus": "softplus",
    "Exp": "exponential",
    "Softmax": "softmax",
}
_PASSED = ("Identity", "Cast", "Dropout", "Flatten")  # operators that compute nothing here
_FLOATS = (1, 10, 11, 16)  # types of numbers: float32, float16, float64, bfloat16
_ARITHMETIC = ("Add", "Sub", "Mul", "Div")


def from_onnx(model: Any, **options: Any) -> Network:
    """A network with the weights of an ONNX model, and outputs equal to the model's first of floats.

    Parameters
    ----------
    model : str, path-like or onnx.ModelProto
        A chain of ``Gemm`` or ``MatMul``, ``Add``, ``Sub``, ``Mul`` and ``Div`` by constants, which go into
        the weights or, at the beginning, into the scaling of inputs; scikit-learn's ``Scaler``; and
        activations that `Network` has: ``Sigmoid``, ``Tanh``, ``Relu``, ``LeakyRelu``, ``Elu``, ``Gelu``,
        ``Softplus``, ``Exp``, ``Softmax``, or one of them made of several operators, as exporters write
        ``silu`` and ``gelu``.  What follows the outputs, such as ``ArgMax``, is left out.
    **options
        Those of `Network.from_weights`, such as ``classes``.  The type is that of the model's weights.

    Raises
    ------
    ImportError
        For a path without onnx: ``pip install '.[onnx]'``.
    ValueError
        For another operator, a graph that is no chain, or a file that is no model.

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
        from google.protobuf.message import DecodeError  # onnx requires it

        try:
            model = onnx.load(os.fspath(model))
        except DecodeError as error:
            raise ValueError(
                f"from_onnx: expected a file of ONNX in {os.fspath(model)}, got {error}"
            ) from error
    if not hasattr(model, "graph"):
        raise ValueError(f"from_onnx: expected a path or an onnx.ModelProto, got {type(model).__name__}")
    return network_from_steps(_Chain(model).steps(), "from_onnx", options)


class _Chain:
    """A graph whose nodes follow each other from its input to its first output of floats."""

    def __init__(self, model: Any) -> None:
        from onnx import helper, numpy_helper

        self._model, self._graph = model, model.graph
        floats = [item.name for item in model.graph.output if item.type.tensor_type.elem_type in _FLOATS]
        self._outputs = set(floats[:1])
        self._constants = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
        for node in model.graph.node:
            if node.op_type == "Constant":
                value = helper.get_attribute_value(node.attribute[0])
                if node.attribute[0].name == "value":  # a tensor; others hold plain numbers
                    value = numpy_helper.to_array(value)
                self._constants[node.output[0]] = np.asarray(value)

    def steps(self) -> Iterator[Step]:
        names = [item.name for item in self._graph.input if item.name not in self._constants]
        if len(names) != 1:
            raise ValueError(f"from_onnx: expected a graph of one input, got {names}")
        tensor = names[0]
        while not self._is_last(tensor):
            nodes = self._readers(tensor)
            if len(nodes) == 1 and list(nodes[0].input).count(tensor) == 1:
                yield from self._steps_of(nodes[0], tensor)
                tensor = nodes[0].output[0]
            else:
                region, end = self._region(tensor)
                yield Activation(self._made_of(region, tensor, end))
                tensor = end

    def _readers(self, tensor: str) -> list[Any]:
        return [node for node in self._graph.node if tensor in node.input]

    def _is_last(self, tensor: str) -> bool:
        """Tells whether a tensor is an output of the graph, by its own name or another."""
        names = [node.output[0] for node in self._readers(tensor) if node.op_type == "Identity"]
        return not self._outputs.isdisjoint([tensor, *names])

    def _region(self, tensor: str) -> tuple[list[Any], str]:
        """The operators between a tensor and the first one that everything after them follows from."""
        region: list[Any] = []
        derived = {tensor}
        for node in self._graph.node:
            if derived.isdisjoint(node.input):
                continue
            region.append(node)
            derived.update(node.output)
            outside = [other for other in self._graph.node if other not in region]
            read = {name for other in outside for name in other.input} | self._outputs
            if derived & read == {node.output[0]}:
                return region, node.output[0]
        kinds = ", ".join(node.op_type for node in self._readers(tensor)) or "none"
        raise ValueError(
            f"from_onnx: expected one operator after each, up to an output, got {kinds} after {tensor!r}"
        )

    def _made_of(self, region: list[Any], start: str, end: str) -> Any:
        """The activation that several operators compute, found by its values at some z."""
        from onnx import helper, reference

        read = [self._constants[name] for node in region for name in node.input if name in self._constants]
        kind = np.result_type(np.float32, *(a.dtype for a in read if a.dtype.kind == "f"))
        z = np.array([-1000.0, *np.linspace(-6.0, 6.0, 49), 30.0, 1000.0], kind)[:, None]
        constants = [node for node in self._graph.node if node.op_type == "Constant"]
        ends = [
            [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(kind), None)]
            for name in (start, end)
        ]
        graph = helper.make_graph([*constants, *region], "activation", *ends, self._graph.initializer)
        part = helper.make_model(graph, opset_imports=self._model.opset_import)
        evaluator = reference.ReferenceEvaluator(part)
        try:
            with np.errstate(all="ignore"):
                a = evaluator.run(None, {start: z})[0]
        except Exception:  # of whatever kind: the operators are no activation
            a = np.full((1, 1), np.nan)
        at = dict(zip(z.ravel().tolist(), a.ravel(), strict=False))
        alpha, slope = (float(str(-at.get(place, np.nan))) for place in (-1000.0, -1.0))  # as it was written
        tried: list[Any] = ["silu", "softplus", GELU(), GELU("tanh")]
        tried += [kind(number) for kind, number in ((ELU, alpha), (LeakyReLU, slope)) if np.isfinite(number)]
        for activation in tried:
            wanted = formulas.activation(activation, z.astype(np.float64))[0]
            if a.shape == wanted.shape and np.allclose(a, wanted, rtol=1e-5, atol=1e-6):
                return activation
        kinds = ", ".join(node.op_type for node in region)
        raise ValueError(f"from_onnx: expected an activation that Network has, got {kinds} after {start!r}")

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
        elif kind == "Cast" and numbers["to"].i not in _FLOATS:
            raise ValueError(f"from_onnx: expected Cast to floats, got to={numbers['to'].i} after {tensor!r}")
        elif kind == "Softmax" and "axis" in numbers and numbers["axis"].i not in (1, -1):
            raise ValueError(f"from_onnx: expected Softmax over columns, got axis={numbers['axis'].i}")
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
        if len(node.input) > 2 and node.input[2]:
            b = np.broadcast_to(_row(self._constant(node, node.input[2])), b.shape)
        alpha, beta = (
            w.dtype.type(numbers[name].f if name in numbers else 1.0) for name in ("alpha", "beta")
        )
        return Dense(np.ascontiguousarray(w * alpha), b * beta)

    def _constant(self, node: Any, name: str) -> np.ndarray:
        if name not in self._constants:
            raise ValueError(f"from_onnx: expected {node.op_type} of a tensor and a constant, got {name!r}")
        constant: np.ndarray = self._constants[name]
        return constant


def _row(constant: np.ndarray) -> np.ndarray:
    """A constant that is the same for every sample, flat."""
    if constant.size > max(constant.shape[-1:], default=1):
        raise ValueError(
            f"from_onnx: expected constants of one number for each column, got shape {constant.shape}"
        )
    return constant.ravel()


def _scale(kind: str, constant: np.ndarray, is_first: bool) -> Scale:
    """A tensor, which stands first or second, and a constant, added, subtracted, multiplied or divided."""
    numbers = _row(constant).astype(np.float64)
    if kind == "Add":
        return Scale(1.0, numbers)
    if kind == "Sub":
        return Scale(1.0, -numbers) if is_first else Scale(-1.0, numbers)
    if kind == "Mul":
        return Scale(numbers, 0.0)
    if not is_first:
        raise ValueError("from_onnx: expected Div by a constant, got a constant divided by a tensor")
    return Scale(1.0 / numbers, 0.0)
