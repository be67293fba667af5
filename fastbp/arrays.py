"""The second surface: arrays whose rows are samples."""

import math
from typing import Any

import numpy as np

from . import costs, labels, metrics, plain, validate
from .architecture import Architecture, Parameters, Parts, State, checked
from .engine import NOTHING, Data, Descent, Engine
from .kernels.records import GRADIENT
from .layout import BLOCK
from .optimizers import SGD
from .pace import is_one_chunk, sizes
from .scaling import Scaling
from .seed import COMPILED, FORWARD, Hooks, inference_engine
from .sparse import Samples
from .training import Chunks


def class_weights(
    found: validate.Targets, architecture: Architecture, class_weight: Any
) -> np.ndarray | None:
    """The weight of each class, in the order of the outputs; None where all weigh the same."""
    if class_weight is None:
        return None
    wanted, count = validate.classes_of(found), max(2, architecture.sizes[-1])
    return validate.class_weights(class_weight, wanted, found.classes or tuple(range(count)))


def weights_of(
    found: validate.Targets, sample_weight: Any, by_class: np.ndarray | None, name: str = "sample_weight"
) -> np.ndarray:
    """The weight of each sample times that of its class; none where all weigh the same."""
    rows = len(found.array)
    weights = NOTHING if sample_weight is None else validate.sample_weights(sample_weight, rows, name)
    if by_class is None:
        return weights
    each = np.asarray(by_class[validate.classes_of(found)])
    return each * weights if weights.size else each


def outputs(net: Any, hooks: Hooks, X: Any) -> np.ndarray:
    parts = checked(net)
    return _infer(net, hooks, parts, samples_of(net, parts[0], X))


def classes(net: Any) -> np.ndarray:
    """The label of each output, or of 0 and 1 where there is one."""
    found = net._fastbp.classes
    return np.arange(max(2, len(net.biases[-1]))) if found is None else labels.as_array(found)


def predict(net: Any, hooks: Hooks, X: Any) -> np.ndarray:
    parts = checked(net)
    found = _infer(net, hooks, parts, samples_of(net, parts[0], X))
    task = _task(net, parts[0])
    decided = metrics.decided(found, task)
    return labels.of_places(decided, net._fastbp.classes) if task in ("labels", "binary") else decided


def predict_proba(net: Any, hooks: Hooks, X: Any) -> np.ndarray:
    parts = checked(net)
    found, task = _infer(net, hooks, parts, samples_of(net, parts[0], X)), _task(net, parts[0])
    validate.probable(found, task, net._fastbp.output_activation)
    return metrics.probabilities(found, task)


def score(net: Any, hooks: Hooks, X: Any, y: Any, sample_weight: Any) -> float:
    parts = checked(net)
    samples, targets = scorable(net, parts[0], X, y, _task(net, parts[0]))
    weights = None if sample_weight is None else validate.sample_weights(sample_weight, len(samples))
    validate.some_weight("sample_weight", weights)
    return metrics.score(_infer(net, hooks, parts, samples), targets, weights)


class Objective:
    """The mean cost over some samples with its penalties, and its gradient, as a function of the parameters.

    Nothing is dropped.  Data are checked once, and one engine serves all calls.  `start` are the parameters
    that the network has.
    """

    def __init__(
        self,
        net: Any,
        hooks: Hooks,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        class_weight: Any = None,
        l2: float = 0.0,
        l1: float = 0.0,
        threads: int | str = "auto",
    ) -> None:
        self._l2, self._l1 = validate.nonnegative("l2", l2), validate.nonnegative("l1", l1)
        architecture, *self.start = checked(net)
        self._architecture = architecture._replace(dropout=())
        self._is_compiled = architecture.is_compiled
        self._data = _data(net, hooks, self._architecture, X, y, sample_weight, class_weight)
        n = self._samples = len(self._data.X)
        self._sizes = sizes(validate.threads_of(threads), self._architecture, n, n, epochs=1)
        self._is_short = is_one_chunk(self._architecture, n)
        self._shapes = [array.shape for pair in zip(*self.start, strict=True) for array in pair]
        self._order = np.arange(n)
        self._engine: Engine | None = None

    def __call__(self, weights: list[np.ndarray], biases: list[np.ndarray]) -> tuple[float, Parameters]:
        n, l2, l1 = self._samples, self._l2, self._l1
        if self._is_compiled:
            total, gradient = self._by_kernels(weights, biases)
        else:
            total, gradient = plain.Engine(self._architecture, weights, biases, n).all(self._data)
        value = total / n
        divisor = n if math.isfinite(total) else math.nan  # the kernels stop at a cost that is not
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
        """The same for parameters in one array, as `Network.parameters` has them; the gradient in float64."""
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
        """The sums over all samples, of the cost and of its gradient."""
        n, engine = self._samples, self._engine
        if engine is None:
            descent, most, listed = Descent(GRADIENT), self._sizes.most, self._data.is_listed
            engine = Engine(self._architecture, weights, biases, n, most, descent, listed=listed)
            self._engine = engine
        else:
            engine.pack(weights, biases)
        losses = engine.new_losses()
        if self._is_short:
            engine.train(self._data, self._order, (0, n), _NO_STEP, losses=losses)
        else:
            Chunks(engine, self._data, _no_steps, sizes=self._sizes).epoch(self._order, losses)
        return float(losses[0]), engine.gradient()


_NO_STEP = SGD().numbers(np.zeros(1), 0)


def _no_steps(first: int, count: int) -> np.ndarray:
    """The numbers of the one step that is not made."""
    return _NO_STEP


def input_gradient(net: Any, hooks: Hooks, X: Any, y: Any) -> np.ndarray:
    """dC/dx of each sample's own cost, (n, inputs)."""
    parts = checked(net)
    architecture = parts[0]._replace(dropout=())
    data = _data(net, hooks, architecture, X, y, None, None)
    n = len(data.X)
    if not architecture.is_compiled:
        engine = plain.Engine(architecture, *parts[1:], n)
        engine.all(data)
        return _by_inputs(np.ascontiguousarray(engine.input_delta.T), data, net._fastbp)
    found = np.empty((n, architecture.sizes[0]), architecture.dtype)
    still = architecture._replace(frozen=tuple(range(len(architecture.sizes) - 1)))
    engine_ = Engine(still, *parts[1:], max(1, min(n, BLOCK)), input_gradient=True)
    order, numbers, losses = np.arange(n), _no_steps(0, 1), engine_.new_losses()
    for first in range(0, n, engine_.block):
        last = min(n, first + engine_.block)
        engine_.begin_input_delta()
        losses[0] = 0.0
        if engine_.train(data, order, (first, last), numbers, losses=losses) < last:  # stopped by a cost
            engine_.train(data, order, (first, last), numbers)
        found[first:last] = engine_.input_delta(last - first)
        found[first:last][~np.isfinite(losses[1 : 1 + last - first])] = np.nan
    return _by_inputs(found, data, net._fastbp)


def _by_inputs(gradient: np.ndarray, data: Data, state: State) -> np.ndarray:
    """The gradient by the inputs as the user has them, from that by what the network sees."""
    units = state.input_divisor if data.inputs is None else data.inputs.deviation
    return gradient if units is None else (gradient / units).astype(gradient.dtype)


def _data(
    net: Any, hooks: Hooks, architecture: Architecture, X: Any, y: Any, sample_weight: Any, class_weight: Any
) -> Data:
    """At least one sample, of a network that is computed as it is written here."""
    validate.unreplaced([name for name in COMPILED if hooks.replaced(net, name)])
    state: State = net._fastbp
    samples, targets = scorable(net, architecture, X, y, state.task)
    weights = weights_of(targets, sample_weight, class_weights(targets, architecture, class_weight))
    X_divided = validate.divided(samples, state.input_divisor, state.dtype)
    return Data(X_divided, targets.array, state.bytes_divisor, weights, *_scalings(state))


def _infer(net: Any, hooks: Hooks, parts: Parts, samples: Samples) -> np.ndarray:
    """The raw outputs for checked samples; by the network's own feedforward where a user has replaced it."""
    state: State = net._fastbp
    validate.trained_scale("X", samples, state)
    validate.chosen_divisor("X", samples, state)
    inputs, outputs = _scalings(state)
    own = hooks.replaced(net, *FORWARD)
    engine = plain.MethodsEngine(net, *parts) if own else inference_engine(parts)
    samples = validate.divided(samples, state.input_divisor, state.dtype)
    found: np.ndarray = engine.outputs(samples, state.bytes_divisor, inputs=inputs)
    return found if outputs is None else outputs.unscaled(found)


def _scalings(state: State) -> tuple[Scaling | None, Scaling | None]:
    """Those of inputs and outputs, which must have been learnt."""
    return (
        validate.learnt(state.scale_inputs, state.input_scaling, "scale_inputs"),
        validate.learnt(state.scale_outputs, state.output_scaling, "scale_outputs"),
    )


def _task(net: Any, architecture: Architecture) -> validate.Task:
    """What the network is trained for; before any training, labels where it has several outputs."""
    task: validate.Task = net._fastbp.task or ("labels" if architecture.sizes[-1] > 1 else "values")
    return task


def samples_of(
    net: Any, architecture: Architecture, X: Any, prefix: str = "", learns: bool = False
) -> Samples:
    """X as the network reads it, whose columns are those of its training.

    Where the network `learns` from it, digits that are lost are warned of.
    """
    state: State = net._fastbp
    validate.same_features(prefix + "X", validate.feature_names(X), state.feature_names)
    inputs = architecture.sizes[0]
    return validate.samples(X, inputs, architecture.dtype, prefix + "X", state.scale_inputs, learns)


def targets_of(
    net: Any,
    architecture: Architecture,
    y: Any,
    rows: int,
    name: str = "y",
    task: validate.Task | None = None,
    classes: labels.Classes = None,
) -> validate.Targets:
    """y as the network can learn it, or as the targets of a task; `classes` are those that fit has learnt."""
    state: State = net._fastbp
    outputs = architecture.sizes[-1]
    if task not in ("value", "values", "multilabel"):
        learnt = task is not None or state.task in ("labels", "binary")
        y, classes = labels.encoded(y, state.classes or classes, outputs, name, learnt)
    cost, output = costs.row_of(architecture.cost)[0], architecture.activations[-1]
    several = cost == "cross_entropy" and output == "sigmoid"
    dtype = np.dtype(np.float64) if state.scale_outputs else architecture.dtype
    found = validate.targets(y, rows, outputs, dtype, name, task, several)
    validate.suits_cost(found, cost, output, name)
    if task is None and found.task in ("value", "values"):
        validate.lost_digits(validate.plain_numbers(y, name), dtype, name, "scale_outputs")
    if state.scale_outputs:
        validate.values_are_scaled(found.task)
    return found._replace(classes=classes)


def scorable(
    net: Any,
    architecture: Architecture,
    X: Any,
    y: Any,
    task: validate.Task | None,
    prefix: str = "",
    classes: labels.Classes = None,
) -> tuple[Samples, validate.Targets]:
    """Samples and their targets, at least one, for a network trained for `task`."""
    samples = samples_of(net, architecture, X, prefix)
    validate.count(f"rows of {prefix}X", len(samples))
    return samples, targets_of(net, architecture, y, len(samples), prefix + "y", task, classes)
