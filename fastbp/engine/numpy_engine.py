"""The NumPy engine, which computes over arrays what the kernels compute.

It trains where activations or costs are a user's functions of arrays; `MethodsEngine` trains through methods
that a user has replaced.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..data.parameters import check_sizes, checked_parameters
from ..data.scaling import Scaling
from ..data.sparse import Samples, dense
from ..options import optimizers
from ..options.random_streams import word
from . import user_functions
from .architecture import Architecture, Parameters
from .formulas import (
    Numpy,
    cost,
    cost_of,
    delta_by_logits,
    forward,
    has_logits_form,
    output_delta,
)

_QUIET = np.errstate(over="ignore", invalid="ignore")  # `Run` reports divergence


class Engine:
    """The interface of ``packed.Engine`` in NumPy, a mini-batch at a time."""

    members, bounds, waited = 1, (), np.zeros(1)  # of a team of one

    def __init__(
        self,
        architecture: Architecture,
        weights: Sequence[np.ndarray],
        biases: Sequence[np.ndarray],
        batch_size: int = 1,
        optimizer: str = "sgd",
        clip_norm: float = 0.0,
        key: int = 0,
        state: Mapping[str, Parameters] = {},
    ) -> None:
        user_functions.no_compute_dtype(architecture)
        self.architecture, self.batch_size = architecture, batch_size
        self._optimizer, self._clip_norm, self._key = optimizer, clip_norm, key
        self.pack(weights, biases)
        self._state_names = optimizers.state_names(optimizer)
        shape = (len(self._state_names), len(self.parameters))
        self._state = np.zeros(shape, architecture.dtype)
        if state:
            self._state[...] = [self._flat(*state[name]) for name in self._state_names]

    @staticmethod
    def _flat(weights: Sequence[np.ndarray], biases: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate([array.reshape(-1) for array in (*weights, *biases)])

    def _shaped(self, flat: np.ndarray) -> Parameters:
        """The weights and biases as views of one array."""
        sizes, start = self.architecture.sizes, 0
        arrays = []
        pairs = list(zip(sizes[1:], sizes[:-1], strict=True))
        for shape in (*pairs, *[(n_out, 1) for n_out in sizes[1:]]):
            end = start + shape[0] * shape[1]
            arrays.append(flat[start:end].reshape(shape))
            start = end
        return arrays[: len(pairs)], arrays[len(pairs) :]

    def pack(self, weights: Sequence[np.ndarray], biases: Sequence[np.ndarray]) -> None:
        self.parameters = Numpy.flushed(self._flat(weights, biases).astype(self.architecture.dtype))

    def unpack(self) -> Parameters:
        return self._shaped(self.parameters.copy())

    def unpack_state(self) -> dict[str, Parameters]:
        parts = (self._shaped(part.copy()) for part in self._state)
        return dict(zip(self._state_names, parts, strict=True))

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
        position: np.ndarray | None = None,
    ) -> int:
        first, last = positions
        position = np.zeros(1, np.int64) if position is None else position
        for step, start in enumerate(range(first, last, self.batch_size)):
            position[0] = start
            rows = order[start : start + self.batch_size]
            x, y = self._of(data.subset(rows))
            weights = data.weights[rows] if data.weights.size else np.ones(len(rows))
            loss, make_step = self._step(x, y, weights, numbers[step], first_step + step)
            counted = np.zeros(0) if losses is None else losses[:1]
            if counted.size and not np.isfinite(loss):
                counted += loss  # as in the kernels
                return start
            make_step()
            position[0] = min(start + self.batch_size, last)
            counted += loss
        return last

    def _step(self, x: Any, y: Any, weights: np.ndarray, numbers: np.ndarray, step: int) -> tuple[float, Any]:
        """The summed cost of a mini-batch, and a function that makes the step."""
        loss, gradient = self.gradient(x, y, weights, step)
        return loss, lambda: self._apply(gradient, numbers, x.shape[1])

    @_QUIET
    def gradient(
        self, x: np.ndarray, y: np.ndarray, share: np.ndarray, step: int = -1
    ) -> tuple[float, Parameters]:
        """The sum of the columns' costs times their shares, and its gradient; no dropout if `step` < 0."""
        architecture = self.architecture
        weights, biases = self._shaped(self.parameters)
        kinds = architecture.activations
        layers = list(forward(kinds, weights, biases, x, functools.partial(self._mask, step)))
        z, a, _ = layers[-1]
        signals, primes = [x, *(a for _, a, _ in layers)], [prime for _, _, prime in layers]
        each = cost_of(architecture.cost, kinds[-1], z, a, y)
        if has_logits_form(architecture.cost, kinds[-1]):
            delta = delta_by_logits(architecture.cost, kinds[-1], a, y)
        else:
            delta = output_delta(kinds[-1], z, a, cost(architecture.cost, kinds[-1], a, y)[1])
        delta = delta * share.astype(architecture.dtype)
        nabla_w: list[np.ndarray] = []
        nabla_b: list[np.ndarray] = []
        for layer in reversed(range(len(weights))):
            nabla_w.insert(0, delta @ signals[layer].T)
            nabla_b.insert(0, delta.sum(axis=1, keepdims=True))
            delta = weights[layer].T @ delta
            if layer:  # 0 for a unit that is off, even if the delta from above is infinite
                delta = np.where(primes[layer - 1] == 0, 0, delta * primes[layer - 1])
        self.input_delta = np.where(np.isfinite(np.sum(each, axis=0)), delta, np.nan)
        return float(np.sum(each * share, dtype=np.float64)), (nabla_w, nabla_b)

    def all(self, data: Any) -> tuple[float, Parameters]:
        """The cost summed over all samples, each times its weight, and its gradient."""
        weights = data.weights if data.weights.size else np.ones(len(data.X))
        return self.gradient(*self._of(data), weights)

    def _mask(self, step: int, layer: int, shape: tuple[int, int]) -> Any:
        """The factors of a layer's signals (units, samples), the same as those of kernels.panels.drop."""
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
        row, names = optimizers.ROWS[self._optimizer]
        h = SimpleNamespace(**dict(zip((*optimizers.COMMON, *names), numbers.tolist(), strict=False)))
        h.scale = 1.0 / samples
        plain = SimpleNamespace(**{**vars(h), "l2": 0.0, "l1": 0.0, "decay": 0.0})  # for biases
        # An interrupt leaves whole steps: copies are changed and take their place at the end.
        parameters, state = self.parameters.copy(), self._state.copy()
        before, states = self._shaped(parameters), [self._shaped(part) for part in state]
        steps = []
        for layer in range(len(before[0])):
            if layer not in self.architecture.frozen:
                for part, numbers_of in enumerate((h, plain)):
                    w = before[part][layer]
                    g = optimizers.penalised(Numpy, w, gradient[part][layer], numbers_of)
                    steps.append((w, g, [weight_state[part][layer] for weight_state in states], numbers_of))
        norm = math.sqrt(sum(float(np.sum(g.astype(np.float64) ** 2)) for _, g, _, _ in steps))
        factor = self._clip_norm / norm if 0 < self._clip_norm < norm else 1.0
        for w, g, weight_state, numbers_of in steps:
            for array, value in zip(
                (w, *weight_state), row(Numpy, w, g * factor, *weight_state, numbers_of), strict=True
            ):
                array[...] = Numpy.flushed(np.asarray(value))
        self.parameters, self._state = parameters, state

    @_QUIET
    def infer(
        self, data: Any, losses: np.ndarray, members: int = 0, rows: np.ndarray | None = None
    ) -> np.ndarray:
        """The outputs of all or some rows; writes each sample's cost to `losses` (n,), unless it is empty."""
        kind = self.architecture.activations[-1]
        data = data.subset(rows)
        z, a = self._forward(self._columns(data.X, data.divisor, data.inputs))
        if losses.size:
            each = cost_of(
                self.architecture.cost, kind, z, a, self._target_columns(data.targets, data.outputs)
            )
            losses[:] = np.sum(each, axis=0, dtype=np.float64)
            if data.weights.size:
                losses *= data.weights
        return np.ascontiguousarray(a.T)

    @_QUIET
    def outputs(
        self, X: Samples, divisor: float, members: int = 0, inputs: Scaling | None = None
    ) -> np.ndarray:
        return np.ascontiguousarray(self._forward(self._columns(X, divisor, inputs))[1].T)

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """z and a of the outputs for samples as columns."""
        weights, biases = self._shaped(self.parameters)
        *_, (z, a, _) = forward(self.architecture.activations, weights, biases, x)
        return z, a

    def _of(self, data: Any) -> tuple[np.ndarray, np.ndarray]:
        """Samples and targets as columns."""
        x = self._columns(data.X, data.divisor, data.inputs)
        return x, self._target_columns(data.targets, data.outputs)

    def _columns(self, X: Samples, divisor: float, scaling: Scaling | None) -> np.ndarray:
        """Samples as columns (inputs, m)."""
        X, dtype = dense(X), self.architecture.dtype
        rows = np.divide(X, divisor, dtype=dtype) if X.dtype == np.uint8 else X
        rows = np.asarray(rows if scaling is None else scaling.scaled(rows), dtype)
        return np.transpose(rows)

    def _target_columns(self, targets: np.ndarray, scaling: Scaling | None) -> np.ndarray:
        """Targets as columns (outputs, m), one-hot for labels."""
        dtype = self.architecture.dtype
        scaling = self.architecture.target_scaling(scaling)
        if scaling is not None:
            targets = scaling.scaled(targets)
        if targets.ndim == 1:
            targets = np.eye(self.architecture.sizes[-1], dtype=dtype)[targets]
        return np.transpose(np.asarray(targets, dtype))


class MethodsEngine(Engine):
    """An engine that trains by plain gradient descent through methods that a user has replaced."""

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
            weights, biases = checked_parameters(net.weights, net.biases, self.architecture.dtype)
            check_sizes([weights[0].shape[1], *map(len, weights)], self.architecture.sizes)
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
        data = data.subset(rows)
        outputs = self.outputs(data.X, data.divisor, inputs=data.inputs)
        kind = self.architecture.activations[-1]
        each, _ = cost(
            self.architecture.cost, kind, outputs.T, self._target_columns(data.targets, data.outputs)
        )
        if losses.size:
            losses[:] = np.sum(each, axis=0, dtype=np.float64)
        return outputs

    def _by_methods(self, x: np.ndarray) -> np.ndarray:
        """Outputs as rows, for samples as columns."""
        columns = [self.net.feedforward(x[:, i : i + 1]) for i in range(x.shape[1])]
        outputs = user_functions.user_outputs(columns, self.architecture.sizes[-1])
        return np.asarray(outputs, self.architecture.dtype, order="C")


def _mixed(x: Any) -> Any:
    """A hash of 32 bits."""
    for shift, factor in ((16, 0x21F0AAAD), (15, 0xD35A2D97)):
        x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
    return x ^ (x >> np.uint32(15))
