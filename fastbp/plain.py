"""The NumPy path: the seed's own loops, for one sample and for what a user has replaced.

`module` is the one whose ``np``, ``sigmoid`` and ``sigmoid_prime`` a script may patch.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import validate
from .architecture import Architecture
from .training import mean_cost

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
    """The outputs (outputs, m) for inputs `a` (inputs, m): a = sigma(w a' + b), layer by layer."""
    weights, biases = validate.parameter_arrays(net.weights, net.biases)
    signal = validate.column_vectors(a, weights[0].shape[1] if weights else net.sizes[0])
    for name, b, w in zip(net._fastbp.activations(len(weights)), biases, weights, strict=True):
        signal = _function(name, module)(module.np.dot(w, signal) + b)
    return signal


def backprop(net: Any, module: Any, x: Any, y: Any) -> tuple[list[Any], list[Any]]:
    """The gradient of one sample's cost, (nabla_b, nabla_w), by the four equations of backpropagation.

    BP1  delta^L = dC/da * sigma'(z^L)
    BP2  delta^l = (w^(l+1)^T delta^(l+1)) * sigma'(z^l)
    BP3  dC/db^l[j] = delta^l[j]
    BP4  dC/dw^l[j, k] = a^(l-1)[k] delta^l[j]
    """
    np = module.np
    validate.some_layers(net.weights, net.biases)
    weights, biases = validate.parameter_arrays(net.weights, net.biases)
    names = net._fastbp.activations(len(weights))
    activations, zs = [x], []
    for name, b, w in zip(names, biases, weights, strict=True):
        zs.append(np.dot(w, activations[-1]) + b)
        activations.append(_function(name, module)(zs[-1]))
    primes = [
        module.sigmoid_prime(z) if name == "sigmoid" else _PRIMES[name](z, a)
        for name, z, a in zip(names, zs, activations[1:], strict=True)
    ]
    nabla_b: list[Any] = []
    nabla_w: list[Any] = []
    for layer in reversed(range(len(weights))):
        if layer == len(weights) - 1:
            delta = net.cost_derivative(activations[-1], y) * primes[-1]  # BP1
        else:
            delta = np.dot(np.transpose(weights[layer + 1]), delta) * primes[layer]  # BP2
        nabla_b.insert(0, delta)  # BP3
        nabla_w.insert(0, np.dot(delta, np.transpose(activations[layer])))  # BP4
    return nabla_b, nabla_w


def update_mini_batch(net: Any, mini_batch: Sequence[tuple[Any, Any]], eta: float) -> None:
    """One step down the gradient averaged over the mini-batch."""
    validate.number("eta", eta)
    weights, biases = validate.parameter_arrays(net.weights, net.biases)
    nabla_b, nabla_w = [np.zeros(b.shape) for b in biases], [np.zeros(w.shape) for w in weights]
    for x, y in mini_batch:
        delta_b, delta_w = net.backprop(x, y)
        nabla_b = [total + part for total, part in zip(nabla_b, delta_b, strict=False)]
        nabla_w = [total + part for total, part in zip(nabla_w, delta_w, strict=False)]
    step = eta / len(mini_batch)
    net.weights = [w - step * nabla for w, nabla in zip(weights, nabla_w, strict=False)]
    net.biases = [b - step * nabla for b, nabla in zip(biases, nabla_b, strict=False)]


class Engine:
    """What training needs of ``engine.Engine``, done by the network's own methods, a sample at a time."""

    def __init__(
        self,
        net: Any,
        architecture: Architecture,
        weights: Sequence[np.ndarray],
        biases: Sequence[np.ndarray],
        batch_size: int = 1,
    ) -> None:
        self.net, self.architecture, self.batch_size = net, architecture, batch_size
        self.pack(weights, biases)

    def pack(self, weights: Sequence[np.ndarray], biases: Sequence[np.ndarray]) -> None:
        self.parameters = np.concatenate([array.reshape(-1) for array in (*weights, *biases)])

    def unpack(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        sizes, start = self.architecture.sizes, 0
        arrays = []
        pairs = list(zip(sizes[1:], sizes[:-1], strict=True))
        for shape in (*pairs, *[(n_out, 1) for n_out in sizes[1:]]):
            end = start + shape[0] * shape[1]
            arrays.append(self.parameters[start:end].reshape(shape).copy())
            start = end
        return arrays[: len(pairs)], arrays[len(pairs) :]

    def new_losses(self) -> np.ndarray:
        return np.zeros(1)

    def train(
        self,
        data: Any,
        order: np.ndarray,
        positions: tuple[int, int],
        learning_rate: float,
        losses: np.ndarray,
    ) -> int:
        net, (first, last) = self.net, positions
        net.weights, net.biases = self.unpack()
        for start in range(first, last, self.batch_size):
            rows = order[start : min(start + self.batch_size, last)]
            X, targets = data.X[rows], data.targets[rows]
            loss = mean_cost(self.outputs(X, data.divisor), targets) * len(rows)
            if not np.isfinite(loss):
                return start
            losses[0] += loss
            pairs = zip(self._columns(X, data.divisor), self._wanted(targets), strict=True)
            net.update_mini_batch(list(pairs), learning_rate)
            net.weights, net.biases = self._checked()
            self.pack(net.weights, net.biases)  # so that an interrupt leaves whole batches
        return last

    def outputs(self, X: np.ndarray, divisor: float, members: int = 1) -> np.ndarray:
        columns = [self.net.feedforward(x) for x in self._columns(X, divisor)]
        outputs = validate.own_outputs(columns, self.architecture.sizes[-1])
        return outputs.astype(self.architecture.dtype, order="C", copy=False)

    def _columns(self, X: np.ndarray, divisor: float) -> list[np.ndarray]:
        dtype = self.architecture.dtype
        rows = np.divide(X, divisor, dtype=dtype) if X.dtype == np.uint8 else X.astype(dtype, copy=False)
        return list(rows[:, :, np.newaxis])

    def _wanted(self, targets: np.ndarray) -> list[np.ndarray]:
        dtype = self.architecture.dtype
        if targets.ndim == 1:
            targets = np.eye(self.architecture.sizes[-1], dtype=dtype)[targets]
        return list(targets.astype(dtype, copy=False)[:, :, np.newaxis])

    def _checked(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The weights, which a user's own update has set."""
        weights, biases = validate.parameters(self.net.weights, self.net.biases, self.architecture.dtype)
        validate.same_sizes([weights[0].shape[1], *map(len, weights)], self.architecture.sizes)
        return weights, biases


def _function(name: str, module: Any) -> Callable[..., Any]:
    return _FUNCTIONS[name] if name != "sigmoid" else module.sigmoid
