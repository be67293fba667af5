"""The seed's surface: lists of (x, y), columns, shuffled as the standard library would shuffle them."""

import operator
import random
from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np

from . import plain, validate
from .architecture import checked
from .engine import Data, Engine, team_size
from .kernels.random import shuffle as shuffle_natively
from .kernels.team import cpus
from .metrics import count_correct
from .training import Chunks

Pairs = Iterable[tuple[Any, Any]]

_COMPILED = ("feedforward", "update_mini_batch", "backprop", "cost_derivative")  # what kernels stand for
_STANDARD_SHUFFLE = random.shuffle


class Hooks:
    """What a script may replace: functions of the module, methods of its class; and what they were."""

    def __init__(self, module: Any, network: type) -> None:
        self.module = module
        self._functions = {name: getattr(module, name) for name in ("sigmoid", "sigmoid_prime")}
        self._methods = {name: getattr(network, name) for name in (*_COMPILED, "evaluate")}

    def any_replaced(self, net: Any) -> bool:
        """Whether a subclass, or a patch of class, instance or module, replaced what kernels do."""
        functions = self._functions.items()
        return any(getattr(self.module, name) is not function for name, function in functions) or any(
            self.replaced(net, name) for name in _COMPILED
        )

    def replaced(self, net: Any, name: str) -> bool:
        return name in vars(net) or getattr(type(net), name) is not self._methods[name]


def SGD(
    net: Any,
    hooks: Hooks,
    training_data: Pairs,
    epochs: int,
    mini_batch_size: int,
    eta: float,
    test_data: Pairs | None,
) -> None:
    pairs = training_data if isinstance(training_data, list) else list(training_data)
    tests = None
    if test_data is not None:
        tests = test_data if isinstance(test_data, list) else list(test_data)
    descend = _descend_plainly if hooks.any_replaced(net) else _descend_compiled
    descend(net, hooks, pairs, epochs, mini_batch_size, eta, tests)


def update_mini_batch(net: Any, hooks: Hooks, mini_batch: Sequence[tuple[Any, Any]], eta: float) -> None:
    if hooks.any_replaced(net):
        plain.update_mini_batch(net, mini_batch, eta)
        return
    if not len(mini_batch):
        raise ZeroDivisionError("update_mini_batch: expected at least one (x, y), got an empty mini-batch")
    engine, data = _engine_for(net, mini_batch, len(mini_batch), threads=1)
    engine.train(data, np.arange(len(mini_batch)), (0, len(mini_batch)), eta)
    net.weights, net.biases = engine.unpack()


def evaluate(net: Any, hooks: Hooks, test_data: Pairs) -> int:
    tests = test_data if isinstance(test_data, list) else list(test_data)
    if hooks.any_replaced(net):
        return sum(int(np.argmax(net.feedforward(x)) == validate._one_label(y)) for x, y in tests)
    engine = Engine(*checked(net))
    X, labels = validate.test_pairs(tests, engine.architecture.sizes[0], engine.architecture.dtype)
    return count_correct(engine.outputs(X, 1.0, cpus()), labels)


def _descend_compiled(
    net: Any,
    hooks: Hooks,
    pairs: list[Any],
    epochs: int,
    mini_batch_size: int,
    eta: float,
    tests: list[Any] | None,
) -> None:
    if epochs < 1:
        return
    n = len(pairs)
    seen = np.fromiter(pairs, object, n)
    order = np.arange(n)
    size = operator.index(mini_batch_size)
    engine, data = _engine_for(net, pairs, max(1, min(size, n)), "auto", epochs > 2)
    chunks = Chunks(engine, data)
    own_evaluate = hooks.replaced(net, "evaluate")
    held_out = None
    if tests and not own_evaluate:
        held_out = validate.test_pairs(tests, engine.architecture.sizes[0], engine.architecture.dtype)
    for epoch in range(epochs):
        _shuffle(order)
        pairs[:] = seen[order].tolist()
        if size == 0:
            raise ValueError("mini_batch_size: expected at least 1, got 0")
        try:
            if size > 0:
                chunks.epoch(order, eta)
        finally:
            net.weights, net.biases = engine.unpack()
        if not tests:
            print(f"Epoch {epoch} complete", flush=True)
            continue
        if held_out:
            correct = count_correct(engine.outputs(held_out[0], 1.0, cpus()), held_out[1])
        else:
            correct = net.evaluate(tests)
        if own_evaluate:  # it may have changed the weights
            repack(net, engine)
        print(f"Epoch {epoch}: {correct} / {len(tests)}", flush=True)


def _descend_plainly(
    net: Any,
    hooks: Hooks,
    pairs: list[Any],
    epochs: int,
    mini_batch_size: int,
    eta: float,
    tests: list[Any] | None,
) -> None:
    for epoch in range(epochs):
        hooks.module.random.shuffle(pairs)
        for start in range(0, len(pairs), mini_batch_size):
            net.update_mini_batch(pairs[start : start + mini_batch_size], eta)
        if tests:
            print(f"Epoch {epoch}: {net.evaluate(tests)} / {len(tests)}", flush=True)
        else:
            print(f"Epoch {epoch} complete", flush=True)


def repack(net: Any, engine: Engine) -> None:
    """Gives the weights, which a user's function may have changed, back to a training engine."""
    architecture, weights, biases = checked(net)
    validate.same_sizes(architecture.sizes, engine.architecture.sizes)
    engine.pack(weights, biases)


def _engine_for(
    net: Any, pairs: Sequence[Any], batch_size: int, threads: int | str, often: bool = False
) -> tuple[Engine, Data]:
    """`often`: whether the pairs are read so often that making bytes of pixels pays."""
    architecture, weights, biases = checked(net)
    inputs, outputs = architecture.sizes[0], architecture.sizes[-1]
    X, Y, divisor = validate.training_pairs(pairs, inputs, outputs, architecture.dtype, often)
    members = team_size(threads, architecture, batch_size)
    return Engine(architecture, weights, biases, batch_size, members), Data(X, Y, divisor)


def _shuffle(order: np.ndarray) -> None:
    """``random.shuffle(order)``: the same order, and the same state of ``random`` afterwards."""
    if random.shuffle != _STANDARD_SHUFFLE:
        random.shuffle(cast(Any, order))
        return
    version, words, gauss = random.getstate()
    state = np.array(words, np.uint32)
    shuffle_natively(None)(state, order)
    random.setstate((version, tuple(state.tolist()), gauss))
