"""The NumPy path: the seed's own loops, for one sample and for what a user has replaced.

`module` is the one whose ``np``, ``sigmoid`` and ``sigmoid_prime`` a script may patch.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import validate

# name -> function of z, and its derivative from z and a = function(z); sigmoids are the module's
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0.0),
    "linear": lambda z: z,
}
_PRIMES: dict[str, Callable[..., Any]] = {
    "tanh": lambda z, a: 1.0 - a * a,
    "relu": lambda z, a: np.where(a > 0, 1.0, 0.0),
    "linear": lambda z, a: 1.0,
}


def feedforward(net: Any, module: Any, a: Any) -> Any:
    """The outputs (outputs, m) for inputs `a` (inputs, m)."""
    signal = validate.column_vectors(a, net.weights[0].shape[1] if net.weights else net.sizes[0])
    for function, b, w in zip(_functions(net, module), net.biases, net.weights, strict=True):
        signal = function(np.dot(w, signal) + b)
    return signal


def backprop(net: Any, module: Any, x: Any, y: Any) -> tuple[list[Any], list[Any]]:
    """The gradient of one sample's cost, (nabla_b, nabla_w), by the four equations of backpropagation."""
    activations, zs = [x], []
    for function, b, w in zip(_functions(net, module), net.biases, net.weights, strict=True):
        zs.append(np.dot(w, activations[-1]) + b)
        activations.append(function(zs[-1]))
    primes = [
        module.sigmoid_prime(z) if name == "sigmoid" else _PRIMES[name](z, a)
        for name, z, a in zip(_names(net), zs, activations[1:], strict=True)
    ]
    delta = net.cost_derivative(activations[-1], y) * primes[-1]  # BP1: dC/da sigma'(z), at the output
    nabla_b, nabla_w = [delta], [np.dot(delta, np.transpose(activations[-2]))]
    for layer in range(len(net.weights) - 1, 0, -1):
        delta = np.dot(net.weights[layer].T, delta) * primes[layer - 1]  # BP2: (w^T delta) sigma'(z), below
        nabla_b.insert(0, delta)  # BP3: dC/db[j] = delta[j]
        nabla_w.insert(0, np.dot(delta, np.transpose(activations[layer - 1])))  # BP4: a[k] delta[j]
    return nabla_b, nabla_w


def update_mini_batch(net: Any, mini_batch: Sequence[tuple[Any, Any]], eta: float) -> None:
    """One step down the gradient averaged over the mini-batch."""
    nabla_b = [np.zeros(b.shape) for b in net.biases]
    nabla_w = [np.zeros(w.shape) for w in net.weights]
    for x, y in mini_batch:
        delta_b, delta_w = net.backprop(x, y)
        nabla_b = [total + part for total, part in zip(nabla_b, delta_b, strict=False)]
        nabla_w = [total + part for total, part in zip(nabla_w, delta_w, strict=False)]
    step = eta / len(mini_batch)
    net.weights = [w - step * nabla for w, nabla in zip(net.weights, nabla_w, strict=False)]
    net.biases = [b - step * nabla for b, nabla in zip(net.biases, nabla_b, strict=False)]


def _names(net: Any) -> tuple[str, ...]:
    names: tuple[str, ...] = net._fastbp.activations(len(net.weights))
    return names


def _functions(net: Any, module: Any) -> list[Callable[..., Any]]:
    return [module.sigmoid if name == "sigmoid" else _FUNCTIONS[name] for name in _names(net)]
