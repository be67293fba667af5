"""The second surface: arrays whose rows are samples."""

import functools
import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from . import costs, generator, metrics, plain, validate
from .architecture import Architecture, Parameters, Parts, State, checked, mask_key
from .engine import NOTHING, Data, Descent, Engine, team_size
from .kernels import random as orders_of
from .kernels.records import FUSED, GRADIENT
from .kernels.team import cpus
from .layout import BLOCK
from .optimizers import SGD, Optimizer
from .schedules import Schedule, rates_of
from .seed import COMPILED, FORWARD, Hooks, inference_engine, repack
from .training import Callbacks, Chunks, History, Report, descend


class Recipe(NamedTuple):
    """How `fit` is to step."""

    optimizer: Optimizer
    rate: float
    schedule: Any
    l2: float
    l1: float
    clip_norm: float  # 0: no clipping

    @property
    def is_plain(self) -> bool:
        """Plain gradient descent, which kernels fuse into the update."""
        return self.optimizer.row == "sgd" and not (self.l2 or self.l1 or self.clip_norm)

    def numbers(self, began: int, begin: int, end: int) -> Any:
        """Those of the batches `begin` .. `end` of a call, the optimizer's state having begun at `began`."""
        schedule = self.schedule
        if not isinstance(schedule, Schedule):  # a user's function is asked once per step
            schedule = functools.lru_cache(1)(schedule)

        def numbers(first: int, count: int) -> np.ndarray:
            rates = rates_of(schedule, self.rate, first - began, count, begin - began, end - began)
            return self.optimizer.numbers(rates, first - began, self.l2, self.l1)

        return numbers


def fit(
    net: Any,
    hooks: Hooks,
    X: Any,
    y: Any,
    *,
    epochs: int,
    batch_size: int,
    recipe: Recipe,
    sample_weight: Any,
    class_weight: Any,
    validation_data: tuple[Any, Any] | None,
    shuffle: bool,
    threads: int | str,
    callbacks: Callbacks,
    verbose: bool,
) -> History:
    epochs = validate.count("epochs", epochs, 0)
    batch_size = validate.count("batch_size", batch_size)
    threads = validate.threads_of(threads)
    callbacks = validate.callbacks(callbacks)
    parts = checked(net)
    architecture = parts[0]
    X = _samples(architecture, X)
    found = _targets(architecture, y, len(X))
    weights = _weights(found, architecture, sample_weight, class_weight)
    state: State = net._fastbp
    divisor = state.uint8_divisor
    scale = validate.scale(X, divisor)
    validate.same_scale("X", scale, state.scale, divisor, 2)
    validation = None
    if validation_data is not None:
        held_out = validate.pair("validation_data", validation_data)
        samples, targets = _scorable(architecture, *held_out, found.task, "validation_")
        validate.same_scale("validation_X", validate.scale(samples, divisor), scale, divisor, 2)
        validation = Data(samples, targets.array, divisor), targets
    batch_size = min(batch_size, max(1, len(X)))
    members = team_size(threads, architecture, batch_size)
    goes_on = state.optimizer == recipe.optimizer and _fits(state.memory, parts)
    memory = state.memory if goes_on else ()
    engine = _training_engine(net, hooks, parts, recipe, weights, batch_size, members, memory)
    state = net._fastbp
    began, end = state.began if goes_on else state.batches, state.batches + epochs * -(-len(X) // batch_size)
    numbers = recipe.numbers(began, state.batches, end)
    if end > state.batches:
        numbers(state.batches, 1)  # a schedule that is refused changes nothing
    state = net._fastbp = replace(state, task=found.task, scale=scale)
    if not goes_on:
        state = replace(state, optimizer=recipe.optimizer, began=began, memory=())
    report = Report(epochs, len(X), verbose)
    drawn = state.epochs

    def orders() -> np.ndarray:
        nonlocal drawn
        order = np.arange(len(X))
        if shuffle and state.seed is not None:
            orders_of.permute(None)(np.uint64(generator.key(state.seed, "order", drawn)), order)
        elif shuffle:
            order = np.random.permutation(len(X))  # noqa: NPY002  the global generator, as the seed's
        drawn += 1
        return order

    def after_epoch(history: History) -> bool:
        if validation is not None:
            losses = np.zeros(len(validation[0].X))
            outputs = engine.infer(validation[0], losses, members)
            history.validation_loss.append(math.fsum(losses) / len(losses))
            history.validation_score.append(metrics.score(outputs, validation[1]))
        report.epoch(history)
        if not callbacks:
            return False
        keep()
        answers = [callback(net, history) for callback in callbacks]
        repack(net, engine)
        return any(isinstance(answer, (bool, np.bool_)) and answer for answer in answers)

    def keep() -> None:
        """Gives the network all that has been trained, so that a copy of it goes on alike."""
        weights, biases = engine.unpack()
        memory, masks = tuple(engine.unpack_state()), net._fastbp.masks
        kept = replace(state, epochs=drawn, batches=chunks.step, memory=memory, masks=masks)
        net.weights, net.biases, net._fastbp = weights, biases, kept

    chunks = Chunks(engine, Data(X, found.array, divisor, weights), numbers, state.batches, report.progress)
    try:
        return descend(chunks, orders, epochs, recipe.rate, after_epoch)
    finally:
        keep()


def _fits(memory: tuple[Parameters, ...], parts: Parts) -> bool:
    """Whether an optimizer's state has the shapes of the weights, which a user may have replaced."""
    return all(
        [array.shape for array in arrays] == [array.shape for array in wanted]
        for parameters in memory
        for arrays, wanted in zip(parameters, parts[1:], strict=True)
    )


def _training_engine(
    net: Any,
    hooks: Hooks,
    parts: Parts,
    recipe: Recipe,
    weights: np.ndarray,
    batch_size: int,
    members: int,
    memory: tuple[Parameters, ...],
) -> Any:
    """Of the kernels, or of NumPy where a user's own functions or methods want that: alike for `descend`."""
    architecture = parts[0]
    if hooks.replaced(net, *COMPILED):
        replaced = [name for name in COMPILED if hooks.replaced(net, name)]
        validate.plain_recipe(recipe, architecture, weights, replaced)
        return plain.MethodsEngine(net, *parts, batch_size)
    key = mask_key(net) if architecture.dropout else 0
    row = recipe.optimizer.row
    if not architecture.is_compiled:
        return plain.Engine(*parts, batch_size, row, recipe.clip_norm, key, memory)
    descent = Descent(FUSED if recipe.is_plain else row, recipe.clip_norm, key)
    return Engine(*parts, batch_size, members, descent, memory)


def _weights(
    found: validate.Targets, architecture: Architecture, sample_weight: Any, class_weight: Any
) -> np.ndarray:
    """Those of the samples, their classes' included; none where all weigh the same."""
    rows = len(found.array)
    weights = NOTHING if sample_weight is None else validate.sample_weights(sample_weight, rows)
    if class_weight is None:
        return weights
    labels = validate.classes_of(found)
    each = validate.class_weights(class_weight, labels, max(2, architecture.sizes[-1]))
    return each * weights if weights.size else each


def outputs(net: Any, hooks: Hooks, X: Any) -> np.ndarray:
    parts = checked(net)
    return _infer(net, hooks, parts, _samples(parts[0], X))


def predict(net: Any, hooks: Hooks, X: Any) -> np.ndarray:
    parts = checked(net)
    found = _infer(net, hooks, parts, _samples(parts[0], X))
    return metrics.decided(found, _task(net, parts[0]))


def predict_proba(net: Any, hooks: Hooks, X: Any) -> np.ndarray:
    parts = checked(net)
    found, task = _infer(net, hooks, parts, _samples(parts[0], X)), _task(net, parts[0])
    validate.probable(found, task, net._fastbp.output_activation)
    return metrics.probabilities(found, task)


def score(net: Any, hooks: Hooks, X: Any, y: Any) -> float:
    parts = checked(net)
    samples, targets = _scorable(parts[0], X, y, _task(net, parts[0]))
    return metrics.score(_infer(net, hooks, parts, samples), targets)


def value_and_gradient(
    net: Any,
    hooks: Hooks,
    X: Any,
    y: Any,
    sample_weight: Any,
    class_weight: Any,
    l2: float,
    l1: float,
    threads: int | str,
) -> tuple[float, Parameters]:
    """The mean cost with its penalties, and its gradient; nothing is dropped."""
    l2, l1 = validate.nonnegative("l2", l2), validate.nonnegative("l1", l1)
    parts = checked(net)
    architecture = parts[0]._replace(dropout=())
    data = _data(net, hooks, architecture, X, y, sample_weight, class_weight)
    n = len(data.X)
    weights = parts[1]
    if architecture.is_compiled:
        members = team_size(validate.threads_of(threads), architecture, n)
        engine = Engine(architecture, *parts[1:], n, members, Descent(GRADIENT))
        losses = engine.new_losses()
        Chunks(engine, data, _no_steps).epoch(np.arange(n), losses)
        total, gradient = float(losses[0]), engine.gradient()
    else:
        total, gradient = plain.Engine(architecture, *parts[1:], n).all(data)
    value = total / n
    for number, w in enumerate(weights):
        for array in (gradient[0][number], gradient[1][number]):
            array /= n if math.isfinite(total) else math.nan  # the kernels stop at a cost that is not finite
        if l2 or l1:
            wide = w.astype(np.float64)
            value += 0.5 * l2 * float(np.sum(wide * wide)) + l1 * float(np.sum(np.abs(wide)))
            gradient[0][number] += l2 * w + l1 * np.sign(w)
        if number in architecture.frozen:
            gradient[0][number][...] = gradient[1][number][...] = 0.0
    return value, gradient


def _no_steps(first: int, count: int) -> np.ndarray:
    return SGD().numbers(np.zeros(count), first)


def input_gradient(net: Any, hooks: Hooks, X: Any, y: Any) -> np.ndarray:
    """dC/dx of each sample's own cost, (n, inputs)."""
    parts = checked(net)
    architecture = parts[0]._replace(dropout=())
    data = _data(net, hooks, architecture, X, y, None, None)
    n = len(data.X)
    if not architecture.is_compiled:
        engine = plain.Engine(architecture, *parts[1:], n)
        engine.all(data)
        return np.ascontiguousarray(engine.input_delta.T)
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
    return found


def _data(
    net: Any, hooks: Hooks, architecture: Architecture, X: Any, y: Any, sample_weight: Any, class_weight: Any
) -> Data:
    """At least one sample, of a network that is computed as it is written here."""
    validate.unreplaced([name for name in COMPILED if hooks.replaced(net, name)])
    samples, targets = _scorable(architecture, X, y, net._fastbp.task)
    weights = _weights(targets, architecture, sample_weight, class_weight)
    return Data(samples, targets.array, net._fastbp.uint8_divisor, weights)


def _infer(net: Any, hooks: Hooks, parts: Parts, samples: np.ndarray) -> np.ndarray:
    """The raw outputs for checked samples; by the network's own feedforward where a user has replaced it."""
    divisor = net._fastbp.uint8_divisor
    validate.same_scale("X", validate.scale(samples, divisor), net._fastbp.scale, divisor, 3)
    if hooks.replaced(net, *FORWARD):
        return plain.MethodsEngine(net, *parts).outputs(samples, divisor)
    found: np.ndarray = inference_engine(parts).outputs(samples, divisor, cpus())
    return found


def _task(net: Any, architecture: Architecture) -> validate.Task:
    """What the network is trained for; before any training, labels where it has several outputs."""
    task: validate.Task = net._fastbp.task or ("labels" if architecture.sizes[-1] > 1 else "values")
    return task


def _samples(architecture: Architecture, X: Any, prefix: str = "") -> np.ndarray:
    return validate.samples(X, architecture.sizes[0], architecture.dtype, prefix + "X")


def _targets(
    architecture: Architecture, y: Any, rows: int, name: str = "y", task: validate.Task | None = None
) -> validate.Targets:
    """y as the network can learn it, or as the targets of a task."""
    cost, output = costs.row_of(architecture.cost)[0], architecture.activations[-1]
    several = cost == "cross_entropy" and output == "sigmoid"
    found = validate.targets(y, rows, architecture.sizes[-1], architecture.dtype, name, task, several)
    validate.suits_cost(found, cost, output, name)
    return found


def _scorable(
    architecture: Architecture, X: Any, y: Any, task: validate.Task | None, prefix: str = ""
) -> tuple[np.ndarray, validate.Targets]:
    """Samples and their targets, at least one, for a network trained for `task`."""
    samples = _samples(architecture, X, prefix)
    validate.count(f"rows of {prefix}X", len(samples))
    return samples, _targets(architecture, y, len(samples), prefix + "y", task)
