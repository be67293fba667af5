"""The second surface: arrays whose rows are samples."""

from dataclasses import replace
from typing import Any

import numpy as np

from . import metrics, plain, validate
from .architecture import Architecture, Parts, checked
from .engine import Data, Engine, team_size
from .kernels.team import cpus
from .seed import COMPILED, FORWARD, Hooks, repack
from .training import Callbacks, Chunks, History, Report, descend, mean_cost


def fit(
    net: Any,
    hooks: Hooks,
    X: Any,
    y: Any,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    validation_data: tuple[Any, Any] | None,
    shuffle: bool,
    threads: int | str,
    callbacks: Callbacks,
    verbose: bool,
) -> History:
    epochs = validate.count("epochs", epochs, 0)
    batch_size = validate.count("batch_size", batch_size)
    rate = validate.positive("learning_rate", learning_rate)
    threads = validate.threads_of(threads)
    callbacks = validate.callbacks(callbacks)
    architecture, weights, biases = checked(net)
    X = _samples(architecture, X)
    found = validate.targets(y, len(X), architecture.sizes[-1], architecture.dtype)
    divisor = net._fastbp.uint8_divisor
    scale = validate.scale(X, divisor)
    validate.same_scale("X", scale, net._fastbp.scale, divisor, 2)
    validation = None
    if validation_data is not None:
        held_out = validate.pair("validation_data", validation_data)
        validation = _scorable(architecture, *held_out, found.task, "validation_")
        validate.same_scale("validation_X", validate.scale(validation[0], divisor), scale, divisor, 2)
    batch_size = min(batch_size, max(1, len(X)))
    members = team_size(threads, architecture, batch_size)
    engine: Any  # either, by the few methods that training uses
    if hooks.replaced(net, *COMPILED):
        engine = plain.Engine(net, architecture, weights, biases, batch_size)
    else:
        engine = Engine(architecture, weights, biases, batch_size, members)
    net._fastbp = replace(net._fastbp, task=found.task, scale=scale)
    report = Report(epochs, len(X), verbose)
    generator = net._fastbp.random

    def orders() -> np.ndarray:
        order: np.ndarray = generator.permutation(len(X)) if shuffle else np.arange(len(X))
        return order

    def after_epoch(history: History) -> bool:
        if validation is not None:
            outputs = engine.outputs(validation[0], divisor, members)
            history.validation_loss.append(mean_cost(outputs, validation[1].array))
            history.validation_score.append(metrics.score(outputs, validation[1]))
        report.epoch(history)
        if not callbacks:
            return False
        net.weights, net.biases = engine.unpack()
        answers = [callback(net, history) for callback in callbacks]
        repack(net, engine)
        return any(isinstance(answer, (bool, np.bool_)) and answer for answer in answers)

    chunks = Chunks(engine, Data(X, found.array, divisor), report.progress)
    try:
        return descend(chunks, orders, epochs, rate, after_epoch)
    finally:
        net.weights, net.biases = engine.unpack()


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


def _infer(net: Any, hooks: Hooks, parts: Parts, samples: np.ndarray) -> np.ndarray:
    """The raw outputs for checked samples; by the network's own feedforward where a user has replaced it."""
    divisor = net._fastbp.uint8_divisor
    validate.same_scale("X", validate.scale(samples, divisor), net._fastbp.scale, divisor, 3)
    if hooks.replaced(net, *FORWARD):
        return plain.Engine(net, *parts).outputs(samples, divisor)
    return Engine(*parts).outputs(samples, divisor, cpus())


def _task(net: Any, architecture: Architecture) -> validate.Task:
    """What the network is trained for; before any training, labels where it has several outputs."""
    task: validate.Task = net._fastbp.task or ("labels" if architecture.sizes[-1] > 1 else "values")
    return task


def _samples(architecture: Architecture, X: Any, prefix: str = "") -> np.ndarray:
    return validate.samples(X, architecture.sizes[0], architecture.dtype, prefix + "X")


def _scorable(
    architecture: Architecture, X: Any, y: Any, task: validate.Task, prefix: str = ""
) -> tuple[np.ndarray, validate.Targets]:
    """Samples and their targets, at least one, for a network trained for `task`."""
    samples = _samples(architecture, X, prefix)
    validate.count(f"rows of {prefix}X", len(samples))
    return samples, validate.targets(
        y, len(samples), architecture.sizes[-1], architecture.dtype, prefix + "y", task
    )
