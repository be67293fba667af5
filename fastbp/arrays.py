"""The second surface: arrays whose rows are samples."""

from dataclasses import replace
from typing import Any

import numpy as np

from . import metrics, validate
from .architecture import checked
from .engine import Data, Engine, team_size
from .kernels.team import cpus
from .seed import repack
from .training import Callbacks, Chunks, History, Report, descend, mean_cost


def fit(
    net: Any,
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
    X, found = _checked(net, X, y)
    validation = None
    if validation_data is not None:
        held_out = validate.pair("validation_data", validation_data)
        validation = _scorable(net, *held_out, "validation_")
    architecture, weights, biases = checked(net)
    batch_size = min(batch_size, max(1, len(X)))
    members = team_size(threads, architecture, batch_size)
    engine = Engine(architecture, weights, biases, batch_size, members)
    net._fastbp = replace(net._fastbp, task=found.task)
    divisor = net._fastbp.uint8_divisor
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


def outputs(net: Any, X: Any) -> np.ndarray:
    engine = Engine(*checked(net))
    samples = validate.samples(X, engine.architecture.sizes[0], engine.architecture.dtype)
    return engine.outputs(samples, net._fastbp.uint8_divisor, cpus())


def predict(net: Any, X: Any) -> np.ndarray:
    found = outputs(net, X)
    task: validate.Task = net._fastbp.task or ("labels" if found.shape[1] > 1 else "values")
    return metrics.decided(found, task)


def score(net: Any, X: Any, y: Any) -> float:
    samples, found = _scorable(net, X, y)
    engine = Engine(*checked(net))
    return metrics.score(engine.outputs(samples, net._fastbp.uint8_divisor, cpus()), found)


def _checked(net: Any, X: Any, y: Any, prefix: str = "") -> tuple[np.ndarray, validate.Targets]:
    architecture = checked(net)[0]
    sizes, dtype = architecture.sizes, architecture.dtype
    samples = validate.samples(X, sizes[0], dtype, prefix + "X")
    return samples, validate.targets(y, len(samples), sizes[-1], dtype, prefix + "y")


def _scorable(net: Any, X: Any, y: Any, prefix: str = "") -> tuple[np.ndarray, validate.Targets]:
    samples, found = _checked(net, X, y, prefix)
    validate.count(f"rows of {prefix}X", len(samples))
    return samples, found
