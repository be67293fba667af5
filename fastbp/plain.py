"""The NumPy path: the formulas of the kernels over arrays, and the seed's own loops.

It serves single samples, what a user has replaced or written in NumPy, and anyone who wants to read how it is
done.  `module` is the one whose ``np``, ``sigmoid`` and ``sigmoid_prime`` a script may patch.
"""

import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from . import activations, costs, validate
from .architecture import Architecture, Parameters
from .generator import word
from .kernels import activations as activation_rows
from .kernels import costs as cost_rows
from .kernels import optimizers
from .scaling import Scaling
from .sparse import Samples, dense


class Numpy:
    """What rows may use besides + - * / and comparisons, over arrays; see kernels.elementary."""

    abs, sqrt, copysign, sign, where = np.abs, np.sqrt, np.copysign, np.sign, np.where
    maximum, minimum, expm1, log1p = np.maximum, np.minimum, np.expm1, np.log1p

    @staticmethod
    def fma(x: Any, y: Any, z: Any) -> Any:
        return x * y + z

    @staticmethod
    def exp(x: Any) -> Any:
        with np.errstate(over="ignore"):
            return np.exp(x)

    @staticmethod
    def log(x: Any) -> Any:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log(x)

    @staticmethod
    def normal(x: Any) -> tuple[Any, Any]:
        """The distribution function of the standard normal distribution, and its density."""
        tail = np.array([0.5 * math.erfc(-z / math.sqrt(2)) for z in np.ravel(x)], np.asarray(x).dtype)
        return tail.reshape(np.shape(x)), np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def activation(kind: activations.Kind, z: Any) -> tuple[Any, Any]:
    """a and da/dz of one layer but a softmax."""
    if isinstance(kind, activations.Activation):
        return _own(kind, "function", z), _own(kind, "derivative", z)
    name, parameter = activations.row_of(kind)
    row: Any = activation_rows.ROWS[name]
    a, derivative = row(Numpy, z, parameter) if row.__code__.co_argcount > 2 else row(Numpy, z)
    return a, derivative


def softmax(z: Any) -> Any:
    """Of each column."""
    e = np.exp(z - np.max(z, axis=0, keepdims=True))
    return e / np.sum(e, axis=0, keepdims=True)


def cost(kind: costs.Kind, output_activation: activations.Kind, a: Any, y: Any) -> tuple[Any, Any]:
    """C of each output and dC/da, from the outputs alone."""
    if isinstance(kind, costs.Cost):
        return _own(kind, "function", a, y), _own(kind, "derivative", a, y)
    name, parameter = costs.row_of(kind)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if name == "cross_entropy":
            least = np.finfo(np.asarray(a).dtype).tiny  # outputs may have been rounded to 0 and 1
            of_ones = y * np.log(np.maximum(a, least))
            if output_activation == "softmax":
                return -of_ones, np.where(y > 0, -y / a, 0.0)
            return -of_ones - (1 - y) * np.log(np.maximum(1 - a, least)), (a - y) / (a * (1 - a))
        row: Any = cost_rows.ROWS[name]
        c, derivative = row(Numpy, a, y, parameter) if row.__code__.co_argcount > 3 else row(Numpy, a, y)
    return c, derivative


def cost_of(kind: costs.Kind, output_activation: activations.Kind, z: Any, a: Any, y: Any) -> Any:
    """C of each output, in float64; from z where that is the stable form."""
    z, a, y = (np.asarray(array, np.float64) for array in (z, a, y))
    if not is_short(kind, output_activation):
        return cost(kind, output_activation, a, y)[0]
    if output_activation == "softmax":
        z = z - np.max(z, axis=0, keepdims=True)
        z = z - np.log(np.sum(np.exp(z), axis=0, keepdims=True))
    row: Any = cost_rows.LOGITS[_pair(kind, output_activation)]
    return row(Numpy, z, y)


def is_short(kind: costs.Kind, output_activation: activations.Kind) -> bool:
    """Whether dC/dz of the outputs is simply a - y."""
    return _pair(kind, output_activation) in cost_rows.LOGITS


def _pair(kind: costs.Kind, output_activation: activations.Kind) -> tuple[str, str]:
    return costs.row_of(kind)[0], activations.row_of(output_activation)[0]


def output_delta(output_activation: activations.Kind, z: Any, a: Any, gradient: Any) -> Any:
    """dC/dz of the outputs from `gradient`, dC/da; a column is a sample."""
    if output_activation == "softmax":
        return a * (gradient - np.sum(gradient * a, axis=0, keepdims=True))
    return gradient * activation(output_activation, z)[1]


def _own(kind: activations.Activation | costs.Cost, name: str, *arrays: Any) -> Any:
    """What a user's function makes of arrays: one of NumPy arrays, or of numbers, that Numba compiled."""
    function = getattr(kind, name)
    if hasattr(function, "py_func"):
        function = np.vectorize(function, otypes=[float])
    return validate.own_values(f"{type(kind).__name__}.{name}", function(*arrays), arrays[0])


# The seed's methods: a column is a sample


def feedforward(net: Any, module: Any, a: Any) -> Any:
    """The outputs (outputs, m) for inputs `a` (inputs, m): a = sigma(w a' + b), layer by layer."""
    weights, biases = validate.parameter_arrays(net.weights, net.biases)
    signal = validate.column_vectors(a, weights[0].shape[1] if weights else net.sizes[0])
    for kind, b, w in zip(net._fastbp.activations(len(weights)), biases, weights, strict=True):
        signal = _activated(kind, module, module.np.dot(w, signal) + b)
    return signal


Delta = Callable[[Any, Any, Any], Any]


def backprop(net: Any, module: Any, x: Any, y: Any, delta_of: Delta) -> tuple[list[Any], list[Any]]:
    """The gradient of one sample's cost, (nabla_b, nabla_w), by the four equations of backpropagation.

    BP1  delta^L = dC/da * sigma'(z^L)
    BP2  delta^l = (w^(l+1)^T delta^(l+1)) * sigma'(z^l)
    BP3  dC/db^l[j] = delta^l[j]
    BP4  dC/dw^l[j, k] = a^(l-1)[k] delta^l[j]

    ``delta_of(z, a, y)`` is BP1.
    """
    np, delta = module.np, None
    validate.some_layers(net.weights, net.biases)
    weights, biases = validate.parameter_arrays(net.weights, net.biases)
    kinds = net._fastbp.activations(len(weights))
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


def output_error(net: Any, module: Any, own_cost: bool) -> Delta:
    """BP1; a - y where cost and output activation match, unless the cost derivative is the user's own."""
    kind = net._fastbp.output_activation
    if is_short(net._fastbp.cost, kind) and not own_cost:
        return lambda z, a, y: a - y
    if kind == "softmax":
        return lambda z, a, y: output_delta(kind, z, a, net.cost_derivative(a, y))
    return lambda z, a, y: net.cost_derivative(a, y) * _prime(kind, module, z)


def cost_derivative(net: Any, a: Any, y: Any) -> Any:
    """dC/da of the network's cost."""
    kind = net._fastbp.cost
    return a - y if kind == "quadratic" else cost(kind, net._fastbp.output_activation, a, y)[1]


def update_mini_batch(
    net: Any, mini_batch: Sequence[tuple[Any, Any]], eta: float, lmbda: float = 0.0, n: int = 1
) -> None:
    """One step down the gradient averaged over the mini-batch; weights decay by lmbda in a set of n."""
    validate.number("eta", eta)
    kept = 1 - eta * (validate.number("lmbda", lmbda) / n)
    weights, biases = validate.parameter_arrays(net.weights, net.biases)
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


# Training on arrays

_QUIET = np.errstate(over="ignore", invalid="ignore")  # what is no longer finite is for `descend` to tell


class Engine:
    """What training needs of ``engine.Engine``, in NumPy, a mini-batch at a time."""

    members, bounds, waited = 1, (), np.zeros(1)  # of its team

    def __init__(
        self,
        architecture: Architecture,
        weights: Sequence[np.ndarray],
        biases: Sequence[np.ndarray],
        batch_size: int = 1,
        optimizer: str = "sgd",
        clip_norm: float = 0.0,
        key: int = 0,
        state: Sequence[Parameters] = (),
    ) -> None:
        self.architecture, self.batch_size = architecture, batch_size
        self._optimizer, self._clip_norm, self._key = optimizer, clip_norm, key
        self.pack(weights, biases)
        given = [self._flat(*parameters) for parameters in state]
        shape = (optimizers.states_of(optimizer), len(self.parameters))
        self._state = np.array(given) if given else np.zeros(shape, architecture.dtype)

    @staticmethod
    def _flat(weights: Sequence[np.ndarray], biases: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate([array.reshape(-1) for array in (*weights, *biases)])

    def _shaped(self, flat: np.ndarray) -> Parameters:
        """Weights and biases, views."""
        sizes, start = self.architecture.sizes, 0
        arrays = []
        pairs = list(zip(sizes[1:], sizes[:-1], strict=True))
        for shape in (*pairs, *[(n_out, 1) for n_out in sizes[1:]]):
            end = start + shape[0] * shape[1]
            arrays.append(flat[start:end].reshape(shape))
            start = end
        return arrays[: len(pairs)], arrays[len(pairs) :]

    def pack(self, weights: Sequence[np.ndarray], biases: Sequence[np.ndarray]) -> None:
        self.parameters = self._flat(weights, biases).astype(self.architecture.dtype)

    def unpack(self) -> Parameters:
        return self._shaped(self.parameters.copy())

    def unpack_state(self) -> list[Parameters]:
        return [self._shaped(state.copy()) for state in self._state]

    def snapshot(self) -> tuple[np.ndarray, np.ndarray]:
        return self.parameters.copy(), self._state.copy()

    def restore(self, snapshot: tuple[np.ndarray, np.ndarray]) -> None:
        self.parameters[...], self._state[...] = snapshot

    @property
    def block(self) -> int:
        return self.batch_size

    def new_losses(self) -> np.ndarray:
        return np.zeros(1)

    def train(
        self,
        data: Any,
        order: np.ndarray,
        positions: tuple[int, int],
        numbers: np.ndarray,
        first_step: int,
        losses: np.ndarray | None = None,
        reached: np.ndarray | None = None,
    ) -> int:
        first, last = positions
        reached = np.zeros(1, np.int64) if reached is None else reached
        for step, start in enumerate(range(first, last, self.batch_size)):
            reached[0] = start
            rows = order[start : start + self.batch_size]
            x, y = self._of(data.taken(rows))
            weights = data.weights[rows] if data.weights.size else np.ones(len(rows))
            loss, ending = self._step(x, y, weights, numbers[step], first_step + step)
            counted = np.zeros(0) if losses is None else losses[:1]
            if counted.size and not np.isfinite(loss):
                counted += loss  # as the kernels leave it
                return start
            ending()
            reached[0] = min(start + self.batch_size, last)
            counted += loss
        return last

    def _step(self, x: Any, y: Any, weights: np.ndarray, numbers: np.ndarray, step: int) -> tuple[float, Any]:
        """The summed cost of a mini-batch, and what makes the step."""
        loss, gradient = self.gradient(x, y, weights, step)
        return loss, lambda: self._apply(gradient, numbers, x.shape[1])

    @_QUIET
    def gradient(
        self, x: np.ndarray, y: np.ndarray, share: np.ndarray, step: int = -1
    ) -> tuple[float, Parameters]:
        """The columns' cost, each times its share, and its gradient; a negative `step` drops nothing."""
        architecture = self.architecture
        weights, biases = self._shaped(self.parameters)
        kinds = architecture.activations
        signals, primes = [x], []
        for layer, (kind, w, b) in enumerate(zip(kinds, weights, biases, strict=True)):
            z = w @ signals[-1] + b
            if layer == len(weights) - 1:
                break
            a, prime = activation(kind, z)
            mask = self._mask(step, layer, z.shape)
            signals.append(a * mask)
            primes.append(prime * mask)
        a = softmax(z) if kinds[-1] == "softmax" else activation(kinds[-1], z)[0]
        each = cost_of(architecture.cost, kinds[-1], z, a, y)
        if is_short(architecture.cost, kinds[-1]):
            delta = a - y
        else:
            delta = output_delta(kinds[-1], z, a, cost(architecture.cost, kinds[-1], a, y)[1])
        delta = delta * share.astype(architecture.dtype)
        nabla_w: list[np.ndarray] = []
        nabla_b: list[np.ndarray] = []
        for layer in reversed(range(len(weights))):
            nabla_w.insert(0, delta @ signals[layer].T)
            nabla_b.insert(0, delta.sum(axis=1, keepdims=True))
            delta = weights[layer].T @ delta
            if layer:  # a unit that is off learns nothing, also where what comes from above is infinite
                delta = np.where(primes[layer - 1] == 0, 0, delta * primes[layer - 1])
        self.input_delta = np.where(np.isfinite(np.sum(each, axis=0)), delta, np.nan)
        return float(np.sum(each * share, dtype=np.float64)), (nabla_w, nabla_b)

    def all(self, data: Any) -> tuple[float, Parameters]:
        """The cost summed over all samples, each times its weight, and its gradient."""
        weights = data.weights if data.weights.size else np.ones(len(data.X))
        return self.gradient(*self._of(data), weights)

    def _mask(self, step: int, layer: int, shape: tuple[int, int]) -> Any:
        """The factors of a layer's signals (units, samples), as kernels.panels.drop has them."""
        rates = self.architecture.dropout
        if step < 0 or layer >= len(rates) or not rates[layer]:
            return 1.0
        key = word(self._key, step * (len(self.architecture.sizes) - 1) + layer)
        x = np.arange(shape[0] * shape[1], dtype=np.uint32).reshape(shape[1], shape[0]).T
        x = _mixed(_mixed(x ^ np.uint32(key & 0xFFFFFFFF)) + np.uint32(key >> 32))
        return (x >= np.uint32(rates[layer] * 2.0**32)) / self.architecture.dtype.type(1 - rates[layer])

    @_QUIET
    def _apply(self, gradient: Parameters, numbers: np.ndarray, samples: int) -> None:
        """The optimizer's step by the summed gradient of so many samples."""
        row, own = optimizers.ROWS[self._optimizer]
        h = SimpleNamespace(**dict(zip((*optimizers.COMMON, *own), numbers.tolist(), strict=False)))
        h.scale = 1.0 / samples
        plain = SimpleNamespace(**{**vars(h), "l2": 0.0, "l1": 0.0, "decay": 0.0})  # for biases
        parameters, state = self.parameters.copy(), self._state.copy()  # an interrupt leaves whole steps
        before, states = self._shaped(parameters), [self._shaped(part) for part in state]
        steps = []
        for layer in range(len(before[0])):
            if layer not in self.architecture.frozen:
                for part, numbers_of in enumerate((h, plain)):
                    w = before[part][layer]
                    g = optimizers.penalised(Numpy, w, gradient[part][layer], numbers_of)
                    steps.append((w, g, [memory[part][layer] for memory in states], numbers_of))
        norm = math.sqrt(sum(float(np.sum(g.astype(np.float64) ** 2)) for _, g, _, _ in steps))
        factor = self._clip_norm / norm if 0 < self._clip_norm < norm else 1.0
        for w, g, memory, numbers_of in steps:
            for array, value in zip(
                (w, *memory), row(Numpy, w, g * factor, *memory, numbers_of), strict=True
            ):
                array[...] = value
        self.parameters, self._state = parameters, state

    @_QUIET
    def infer(
        self, data: Any, losses: np.ndarray, members: int = 0, rows: np.ndarray | None = None
    ) -> np.ndarray:
        """The outputs, and each sample's cost where there is room for them; of all rows, or of some."""
        kind = self.architecture.activations[-1]
        data = data.taken(rows)
        z, a = self._forward(self._columns(data.X, data.divisor, data.inputs))
        if losses.size:
            each = cost_of(self.architecture.cost, kind, z, a, self._wanted(data.targets, data.outputs))
            losses[:] = np.sum(each, axis=0, dtype=np.float64)
            if data.weights.size:
                losses *= data.weights
        return np.ascontiguousarray(a.T)

    @_QUIET
    def outputs(
        self, X: Samples, divisor: float, members: int = 0, inputs: Scaling | None = None
    ) -> np.ndarray:
        return np.ascontiguousarray(self._forward(self._columns(X, divisor, inputs))[1].T)

    def _forward(self, signal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """z and a of the outputs for samples as columns."""
        weights, biases = self._shaped(self.parameters)
        for kind, w, b in zip(self.architecture.activations, weights, biases, strict=True):
            z = w @ signal + b
            signal = softmax(z) if kind == "softmax" else activation(kind, z)[0]
        return z, signal

    def _of(self, data: Any) -> tuple[np.ndarray, np.ndarray]:
        """Samples and targets as columns."""
        x = self._columns(data.X, data.divisor, data.inputs)
        return x, self._wanted(data.targets, data.outputs)

    def _columns(self, X: Samples, divisor: float, scaling: Scaling | None) -> np.ndarray:
        """Samples as columns (inputs, m)."""
        X, dtype = dense(X), self.architecture.dtype
        rows = np.divide(X, divisor, dtype=dtype) if X.dtype == np.uint8 else X
        rows = np.asarray(rows if scaling is None else scaling.scaled(rows), dtype)
        return np.transpose(rows)

    def _wanted(self, targets: np.ndarray, scaling: Scaling | None) -> np.ndarray:
        """Targets as columns (outputs, m), one-hot for labels."""
        dtype = self.architecture.dtype
        if scaling is not None:
            targets = scaling.scaled(targets)
        if targets.ndim == 1:
            targets = np.eye(self.architecture.sizes[-1], dtype=dtype)[targets]
        return np.transpose(np.asarray(targets, dtype))


class MethodsEngine(Engine):
    """Training by plain gradient descent, by the network's own methods, which a user has replaced."""

    def __init__(self, net: Any, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.net = net

    def train(self, *arguments: Any) -> int:
        self.net.weights, self.net.biases = self.unpack()
        return super().train(*arguments)

    def _step(self, x: Any, y: Any, weights: np.ndarray, numbers: np.ndarray, step: int) -> tuple[float, Any]:
        each, _ = cost(self.architecture.cost, self.architecture.activations[-1], self._by_methods(x).T, y)
        pairs = [(x[:, i : i + 1], y[:, i : i + 1]) for i in range(x.shape[1])]

        def step_by_methods() -> None:
            net = self.net
            net.update_mini_batch(pairs, float(numbers[optimizers.COMMON.index("rate")]))
            weights, biases = validate.parameters(net.weights, net.biases, self.architecture.dtype)
            validate.same_sizes([weights[0].shape[1], *map(len, weights)], self.architecture.sizes)
            net.weights, net.biases = weights, biases
            self.pack(weights, biases)  # so that an interrupt leaves whole batches

        with np.errstate(over="ignore"):
            total = float(np.sum(each, dtype=np.float64))
        return total, step_by_methods

    def outputs(
        self, X: Samples, divisor: float, members: int = 0, inputs: Scaling | None = None
    ) -> np.ndarray:
        return self._by_methods(self._columns(X, divisor, inputs))

    def infer(
        self, data: Any, losses: np.ndarray, members: int = 0, rows: np.ndarray | None = None
    ) -> np.ndarray:
        data = data.taken(rows)
        outputs = self.outputs(data.X, data.divisor, inputs=data.inputs)
        kind = self.architecture.activations[-1]
        each, _ = cost(self.architecture.cost, kind, outputs.T, self._wanted(data.targets, data.outputs))
        if losses.size:
            losses[:] = np.sum(each, axis=0, dtype=np.float64)
        return outputs

    def _by_methods(self, x: np.ndarray) -> np.ndarray:
        """Outputs as rows, for samples as columns."""
        columns = [self.net.feedforward(x[:, i : i + 1]) for i in range(x.shape[1])]
        outputs = validate.own_outputs(columns, self.architecture.sizes[-1])
        return np.asarray(outputs, self.architecture.dtype, order="C")


def _mixed(x: Any) -> Any:
    """A hash of 32 bits."""
    for shift, factor in ((16, 0x21F0AAAD), (15, 0xD35A2D97)):
        x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
    return x ^ (x >> np.uint32(15))
