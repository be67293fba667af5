"""Backpropagation by its four equations in NumPy, for samples as columns, and rows of tables over NumPy."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..data import book_pairs
from ..data.parameters import check_layers, parameter_arrays
from ..options import activations, checks, costs
from . import user_functions


class Numpy:
    """The functions that rows of tables may use, over arrays; `kernels.elementary` has them over vectors."""

    abs, sqrt, copysign, sign, where = np.abs, np.sqrt, np.copysign, np.sign, np.where
    maximum, minimum, expm1, log1p = np.maximum, np.minimum, np.expm1, np.log1p

    @staticmethod
    def fma(x: Any, y: Any, z: Any) -> Any:
        return x * y + z

    @staticmethod
    def flushed(x: Any) -> Any:
        """x, with 0 for its numbers that are subnormal."""
        is_subnormal = (np.abs(x) < np.finfo(x.dtype).smallest_normal) & (x != 0)
        return np.where(is_subnormal, x.dtype.type(0), x)

    @staticmethod
    def square(x: Any) -> Any:
        """x x, or 0 where that is subnormal."""
        return Numpy.flushed(x * x)

    @staticmethod
    def exp(x: Any) -> Any:
        with np.errstate(over="ignore"):
            return np.exp(x)

    @staticmethod
    def log(x: Any) -> Any:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log(x)

    @staticmethod
    def pair(x: Any) -> tuple[Any, Any]:
        """The first and the second row of each pair, in both rows."""
        return np.repeat(x[::2], 2, axis=0), np.repeat(x[1::2], 2, axis=0)

    @staticmethod
    def either(x: Any, y: Any) -> Any:
        """x in the first row of each pair, y in the second."""
        return np.where(np.arange(len(x))[:, None] % 2 == 0, x, y)

    @staticmethod
    def normal(x: Any) -> tuple[Any, Any]:
        """The distribution function of the standard normal distribution, and its density."""
        tail = np.array([0.5 * math.erfc(-z / math.sqrt(2)) for z in np.ravel(x)], np.asarray(x).dtype)
        return tail.reshape(np.shape(x)), np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def activation(kind: activations.Kind, z: Any) -> tuple[Any, Any]:
    """a and da/dz of one layer but a softmax."""
    if isinstance(kind, activations.Activation):
        return _user_function(kind, "function", z), _user_function(kind, "derivative", z)
    name, parameter = activations.name_and_parameter(kind)
    row: Any = activations.ROWS[name]
    a, derivative = row(Numpy, z, parameter) if row.__code__.co_argcount > 2 else row(Numpy, z)
    return a, derivative


def softmax(z: Any) -> Any:
    """The softmax of each column."""
    e = np.exp(z - np.max(z, axis=0, keepdims=True))
    return e / np.sum(e, axis=0, keepdims=True)


def cost(kind: costs.Kind, output_activation: activations.Kind, a: Any, y: Any) -> tuple[Any, Any]:
    """C of each output and dC/da, from the outputs alone."""
    if isinstance(kind, costs.Cost):
        return _user_function(kind, "function", a, y), _user_function(kind, "derivative", a, y)
    name, parameter = costs.name_and_parameter(kind)
    y = targets_of(kind, output_activation, y)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if name == "focal":
            least = np.finfo(np.asarray(a).dtype).tiny
            z, slope = np.log(np.maximum(a, least)), a
            if output_activation == "sigmoid":
                z, slope = z - np.log(np.maximum(1 - a, least)), a * (1 - a)
            form = costs.LOGITS[_pair(kind, output_activation)]
            return form.cost(Numpy, z, y, parameter), form.delta(Numpy, a, y, parameter) / slope
        if name == "cross_entropy":
            least = np.finfo(np.asarray(a).dtype).tiny  # outputs may have been rounded to 0 and 1
            of_ones = y * np.log(np.maximum(a, least))
            if output_activation == "softmax":
                return -of_ones, np.where(y > 0, -y / a, 0.0)
            return -of_ones - (1 - y) * np.log(np.maximum(1 - a, least)), (a - y) / (a * (1 - a))
        c, derivative = _computed(costs.ROWS[name], a, y, parameter)
    return c, derivative


def _computed(row: Any, a: Any, y: Any, parameter: float) -> Any:
    """A row's result, with the parameter where it has one."""
    return row(Numpy, a, y, parameter) if row.__code__.co_argcount > 3 else row(Numpy, a, y)


def targets_of(kind: costs.Kind, output_activation: activations.Kind, y: Any) -> Any:
    """A target for each output: y as columns, smoothed as the cost says, or twice for pairs of outputs."""
    if costs.definition_of(kind).is_paired:
        return np.repeat(y, 2, axis=0)
    share = costs.smoothing_of(kind)
    return (1 - share) * y + share / (len(y) if output_activation == "softmax" else 2) if share else y


def cost_of(kind: costs.Kind, output_activation: activations.Kind, z: Any, a: Any, y: Any) -> Any:
    """C of each output in float64, computed from z if the cost has a form from logits."""
    z, a, y = (np.asarray(array, np.float64) for array in (z, a, y))
    if not has_logits_form(kind, output_activation):
        return cost(kind, output_activation, a, y)[0]
    if output_activation == "softmax":
        z = z - np.max(z, axis=0, keepdims=True)
        z = z - np.log(np.sum(np.exp(z), axis=0, keepdims=True))
    y = targets_of(kind, output_activation, y)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        form = costs.LOGITS[_pair(kind, output_activation)]
        return _computed(form.cost, z, y, costs.name_and_parameter(kind)[1])


def delta_by_logits(kind: costs.Kind, output_activation: activations.Kind, a: Any, y: Any) -> Any:
    """dC/dz of the outputs, for a cost that has a form from logits."""
    form = costs.LOGITS[_pair(kind, output_activation)]
    y = targets_of(kind, output_activation, y)
    with np.errstate(divide="ignore", invalid="ignore"):
        delta = _computed(form.delta, a, y, costs.name_and_parameter(kind)[1])
    return delta - a * np.sum(delta, axis=0, keepdims=True) if form.is_coupled else delta


def has_logits_form(kind: costs.Kind, output_activation: activations.Kind) -> bool:
    """Tells whether the cost has a form from logits, so that dC/dz of the outputs follows from them."""
    return _pair(kind, output_activation) in costs.LOGITS


def _pair(kind: costs.Kind, output_activation: activations.Kind) -> tuple[str, str]:
    return costs.name_and_parameter(kind)[0], activations.name_and_parameter(output_activation)[0]


def output_delta(output_activation: activations.Kind, z: Any, a: Any, gradient: Any) -> Any:
    """dC/dz of the outputs from `gradient`, dC/da; a column is a sample."""
    if output_activation == "softmax":
        return a * (gradient - np.sum(gradient * a, axis=0, keepdims=True))
    return gradient * activation(output_activation, z)[1]


def _user_function(kind: activations.Activation | costs.Cost, name: str, *arrays: Any) -> Any:
    """Calls a user's function on arrays, element by element if Numba has compiled it."""
    function = getattr(kind, name)
    if hasattr(function, "py_func"):
        function = np.vectorize(function, otypes=[float])
    return user_functions.user_values(f"{type(kind).__name__}.{name}", function(*arrays), arrays[0])


Mask = Callable[[int, tuple[int, ...]], Any]  # (layer, shape) to the factors of its activations


def forward(
    kinds: Sequence[activations.Kind],
    weights: Sequence[Any],
    biases: Sequence[Any],
    a: Any,
    mask: Mask | None = None,
) -> Iterator[tuple[Any, Any, Any]]:
    """Yields z, a and da/dz of each layer for inputs `a` as columns; da/dz of a softmax is a placeholder, 1.

    The factors of `mask` multiply a and da/dz.
    """
    for layer, (kind, w, b) in enumerate(zip(kinds, weights, biases, strict=True)):
        z = w @ a + b
        a, derivative = (softmax(z), 1.0) if kind == "softmax" else activation(kind, z)
        if mask is not None:
            factors = mask(layer, z.shape)
            a, derivative = a * factors, derivative * factors
        yield z, a, derivative


def feedforward(net: Any, a: Any) -> Any:
    """The outputs (outputs, m) for inputs `a` (inputs, m): a = sigma(w a' + b), layer by layer."""
    module = net._fastbp_hooks.module
    weights, biases = parameter_arrays(net.weights, net.biases)
    signal = book_pairs.column_vectors(a, weights[0].shape[1] if weights else net.sizes[0])
    for kind, b, w in zip(net._fastbp.options.activations(len(weights)), biases, weights, strict=True):
        signal = _activated(kind, module, module.np.dot(w, signal) + b)
    return signal


Delta = Callable[[Any, Any, Any], Any]


def backprop(net: Any, x: Any, y: Any, delta_of: Delta) -> tuple[list[Any], list[Any]]:
    """The gradient of one sample's cost, (nabla_b, nabla_w), by the four equations of backpropagation.

    BP1  delta^L = dC/da * sigma'(z^L)
    BP2  delta^l = (w^(l+1)^T delta^(l+1)) * sigma'(z^l)
    BP3  dC/db^l[j] = delta^l[j]
    BP4  dC/dw^l[j, k] = a^(l-1)[k] delta^l[j]

    ``delta_of(z, a, y)`` is BP1.
    """
    module = net._fastbp_hooks.module
    np, delta = module.np, None
    check_layers(net.weights, net.biases)
    weights, biases = parameter_arrays(net.weights, net.biases)
    kinds = net._fastbp.options.activations(len(weights))
    signals, zs = [x], []
    for kind, b, w in zip(kinds, biases, weights, strict=True):
        zs.append(np.dot(w, signals[-1]) + b)
        signals.append(_activated(kind, module, zs[-1]))
    nabla_b: list[Any] = []
    nabla_w: list[Any] = []
    for layer in reversed(range(len(weights))):
        if layer < len(weights) - 1:
            prime = _prime(kinds[layer], module, zs[layer])
            delta = np.dot(np.transpose(weights[layer + 1]), delta) * prime  # BP2
        else:
            delta = delta_of(zs[-1], signals[-1], y)  # BP1
        nabla_b.insert(0, delta)  # BP3
        nabla_w.insert(0, np.dot(delta, np.transpose(signals[layer])))  # BP4
    return nabla_b, nabla_w


def output_error(net: Any, has_user_cost: bool) -> Delta:
    """BP1: by the cost's form from logits if it has one, unless a user has overridden its derivative."""
    cost_kind, kind = net._fastbp.options.cost, net._fastbp.options.output_activation
    if has_logits_form(cost_kind, kind) and not has_user_cost:
        return lambda z, a, y: delta_by_logits(cost_kind, kind, a, y)
    if kind == "softmax":
        return lambda z, a, y: output_delta(kind, z, a, net.cost_derivative(a, y))
    module = net._fastbp_hooks.module
    return lambda z, a, y: net.cost_derivative(a, y) * _prime(kind, module, z)


def cost_derivative(net: Any, a: Any, y: Any) -> Any:
    """dC/da of the network's cost."""
    kind = net._fastbp.options.cost
    return a - y if kind == "quadratic" else cost(kind, net._fastbp.options.output_activation, a, y)[1]


def update_mini_batch(
    net: Any, mini_batch: Sequence[tuple[Any, Any]], eta: float, lmbda: float = 0.0, n: int = 1
) -> None:
    """One step down the gradient averaged over the mini-batch; weights decay by lmbda in a set of n."""
    checks.number("eta", eta)
    kept = 1 - eta * (checks.number("lmbda", lmbda) / n)
    weights, biases = parameter_arrays(net.weights, net.biases)
    nabla_b, nabla_w = [np.zeros(b.shape) for b in biases], [np.zeros(w.shape) for w in weights]
    for x, y in mini_batch:
        delta_b, delta_w = net.backprop(x, y)
        nabla_b = [total + part for total, part in zip(nabla_b, delta_b, strict=False)]
        nabla_w = [total + part for total, part in zip(nabla_w, delta_w, strict=False)]
    step = eta / len(mini_batch)
    net.weights = [kept * w - step * nabla for w, nabla in zip(weights, nabla_w, strict=False)]
    net.biases = [b - step * nabla for b, nabla in zip(biases, nabla_b, strict=False)]


def _activated(kind: activations.Kind, module: Any, z: Any) -> Any:
    if kind == "sigmoid":
        return module.sigmoid(z)
    return softmax(z) if kind == "softmax" else activation(kind, z)[0]


def _prime(kind: activations.Kind, module: Any, z: Any) -> Any:
    return module.sigmoid_prime(z) if kind == "sigmoid" else activation(kind, z)[1]
