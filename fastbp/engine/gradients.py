"""The mean cost of rows and its gradients, by weights and by inputs."""

import math
from typing import Any

import numpy as np

from ..options import checks
from ..options.network import Options
from ..options.optimizers import SGD
from . import numpy_engine, user_functions
from .architecture import Architecture, Parameters, checked, schema_of
from .chunks import Chunks
from .kernels.records import GRADIENT
from .layout import BLOCK
from .packed import Data, Engine, UpdateSpec
from .replaced import COMPILED, is_replaced
from .team_size import is_one_chunk, team_sizes


class Objective:
    """The mean cost over some samples with its penalties, and its gradient, as a function of the parameters.

    Dropout is off.  Data are checked once, and one engine serves all calls.  `start` holds the network's
    present weights and biases.
    """

    def __init__(
        self,
        net: Any,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        class_weight: Any = None,
        l2: float = 0.0,
        l1: float = 0.0,
        threads: int | str = "auto",
    ) -> None:
        self._l2, self._l1 = checks.nonnegative("l2", l2), checks.nonnegative("l1", l1)
        architecture, *self.start = checked(net)
        self._architecture = architecture._replace(dropout=())
        self._is_compiled = architecture.is_compiled
        self._data = _data(net, self._architecture, X, y, sample_weight, class_weight)
        n = self._samples = len(self._data.X)
        self._team_sizes = team_sizes(checks.threads_of(threads), self._architecture, n, n, epochs=1)
        self._is_short = is_one_chunk(self._architecture, n)
        self._shapes = [array.shape for pair in zip(*self.start, strict=True) for array in pair]
        self._order = np.arange(n, dtype=np.int64)
        self._engine: Engine | None = None

    def __call__(self, weights: list[np.ndarray], biases: list[np.ndarray]) -> tuple[float, Parameters]:
        n, l2, l1 = self._samples, self._l2, self._l1
        if self._is_compiled:
            total, gradient = self._by_kernels(weights, biases)
        else:
            total, gradient = numpy_engine.Engine(self._architecture, weights, biases, n).all(self._data)
        value = total / n
        divisor = n if math.isfinite(total) else math.nan  # the kernels stop at a cost that is not finite
        for number, w in enumerate(weights):
            nabla_w, nabla_b = gradient[0][number], gradient[1][number]
            nabla_w /= divisor
            nabla_b /= divisor
            if l2 or l1:
                wide = w.astype(np.float64, copy=False)
                penalty, pull = 0.5 * l2 * float((wide * wide).sum()), l2 * w
                if l1:
                    penalty, pull = penalty + l1 * float(np.abs(wide).sum()), pull + l1 * np.sign(w)
                value += penalty
                nabla_w += pull
            if number in self._architecture.frozen:
                nabla_w[...] = nabla_b[...] = 0.0
        return value, gradient

    def flat(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """The value and the gradient for one array of parameters, as `Network.parameters` is; float64."""
        numbers, start = parameters.astype(self._architecture.dtype, copy=False), 0
        arrays = []
        for shape in self._shapes:
            end = start + shape[0] * shape[1]
            arrays.append(numbers[start:end].reshape(shape))
            start = end
        value, (weights, biases) = self(arrays[::2], arrays[1::2])
        pairs = zip(weights, biases, strict=True)
        return value, np.concatenate(
            [array.reshape(-1) for pair in pairs for array in pair], dtype=np.float64
        )

    def _by_kernels(self, weights: list[np.ndarray], biases: list[np.ndarray]) -> tuple[float, Parameters]:
        """The cost and its gradient, summed over all samples."""
        n, engine = self._samples, self._engine
        if engine is None:
            update_spec, most, listed = UpdateSpec(GRADIENT), self._team_sizes.most, self._data.is_listed
            engine = Engine(self._architecture, weights, biases, n, most, update_spec, listed=listed)
            self._engine = engine
        else:
            engine.pack(weights, biases)
        losses = engine.new_losses()
        if self._is_short:
            engine.train(self._data, self._order, (0, n), _NO_STEP, losses=losses)
        else:
            Chunks(engine, self._data, _no_steps, sizes=self._team_sizes).pass_over(self._order, losses)
        return float(losses[0]), engine.gradient()


_NO_STEP = SGD().numbers(np.zeros(1), 0)


def _no_steps(first: int, count: int) -> np.ndarray:
    """Placeholder step numbers: gradients are summed and no step is made."""
    return _NO_STEP


def input_gradient(net: Any, X: Any, y: Any) -> np.ndarray:
    """dC/dx of the cost of each sample, (n, inputs)."""
    parts = checked(net)
    architecture = parts.architecture._replace(dropout=())
    data = _data(net, architecture, X, y)
    n = len(data.X)
    if not architecture.is_compiled:
        engine = numpy_engine.Engine(architecture, parts.weights, parts.biases, n)
        engine.all(data)
        return _by_inputs(np.ascontiguousarray(engine.input_delta.T), data, net._fastbp.options)
    gradient = np.empty((n, architecture.sizes[0]), architecture.dtype)
    still = architecture._replace(frozen=tuple(range(len(architecture.sizes) - 1)))
    block = max(1, min(n, BLOCK))
    engine_ = Engine(still, parts.weights, parts.biases, block, input_gradient=True)
    order, numbers, losses = np.arange(n, dtype=np.int64), _no_steps(0, 1), engine_.new_losses()
    for first in range(0, n, engine_.block):
        last = min(n, first + engine_.block)
        engine_.begin_input_delta()
        losses[0] = 0.0
        if engine_.train(data, order, (first, last), numbers, losses=losses) < last:  # stopped by a cost
            engine_.train(data, order, (first, last), numbers)
        gradient[first:last] = engine_.input_delta(last - first)
        gradient[first:last][~np.isfinite(losses[1 : 1 + last - first])] = np.nan
    return _by_inputs(gradient, data, net._fastbp.options)


def _by_inputs(gradient: np.ndarray, data: Data, options: Options) -> np.ndarray:
    """Converts the gradient by scaled inputs to the gradient by the user's inputs."""
    units = options.input_divisor if data.inputs is None else data.inputs.deviation
    return gradient if units is None else (gradient / units).astype(gradient.dtype)


def _data(
    net: Any, architecture: Architecture, X: Any, y: Any, sample_weight: Any = None, class_weight: Any = None
) -> Data:
    """Checks and converts samples, at least one, for a network without overridden methods."""
    replaced = [name for name in COMPILED if is_replaced(net, name)]
    hint = "backprop computes the gradient of one sample by them"
    user_functions.unreplaced(replaced, "gradients of rows", hint)
    schema = schema_of(net, architecture, net._fastbp.learnt.task)
    samples, targets = schema.pairs(X, y)
    weights = schema.trained_on(targets, class_weight).weights(targets, sample_weight)
    divisor = schema.options.bytes_divisor
    return Data(schema.divided(samples), targets.array, divisor, weights, *schema.scalings())
