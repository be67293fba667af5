"""Training on the book's lists of (x, y), column vectors, shuffled as the standard library shuffles."""

import operator
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..data import book_pairs
from ..data.metrics import count_correct
from ..engine import formulas, numpy_engine
from ..engine.architecture import Architecture, checked, mask_key
from ..engine.attributes import assign, surely
from ..engine.chunks import Chunks, Numbers, say
from ..engine.kernels import shuffle as mersenne
from ..engine.packed import Data, Engine, UpdateSpec
from ..engine.replaced import FORWARD, inference_engine, is_replaced, repack
from ..engine.team_size import ALONE, TeamSizes, team_sizes
from ..options import checks, costs
from ..options.optimizers import SGD as _SGD

Pairs = Iterable[tuple[Any, Any]]


# A `Begin` is called before the first epoch, with the training's chunks where kernels may evaluate as well.
# It makes a `Report`, which evaluates the network after every epoch and returns True to end the training.
Report = Callable[[int], bool]
Begin = Callable[[Chunks | None], Report]


def listed(pairs: Pairs) -> list[Any]:
    """The list itself, which training shuffles, or a list of any other iterable."""
    return pairs if isinstance(pairs, list) else list(pairs)


def SGD(
    net: Any,
    training_data: Pairs,
    epochs: int,
    mini_batch_size: int,
    eta: float,
    test_data: Pairs | None,
) -> None:
    tests = None if test_data is None else listed(test_data)
    n_tests = len(tests or ())

    def begin(chunks: Chunks | None) -> Report:
        held_out = None
        if tests and chunks:
            architecture = chunks.engine.architecture
            held_out = book_pairs.test_pairs(tests, architecture.sizes[0], architecture.dtype)

        def report(epoch: int) -> bool:
            if not tests:
                say(f"Epoch {epoch} complete")
            elif held_out and chunks:
                correct = count_correct(chunks.engine.outputs(held_out[0], 1.0), held_out[1])
                say(f"Epoch {epoch} : {correct} / {n_tests}")
            else:
                say(f"Epoch {epoch} : {net.evaluate(tests)} / {n_tests}")
            return False

        return report

    descend(net, listed(training_data), epochs, mini_batch_size, (eta,), begin)


def descend(net: Any, pairs: list[Any], epochs: int, size: int, rule: Sequence[Any], begin: Begin) -> None:
    """Epochs of ``net.update_mini_batch(mini_batch, *rule)``, in kernels where they may stand in for it."""
    epochs, size = checks.integer("epochs", epochs), checks.integer("mini_batch_size", size)
    if not is_replaced(net, "update_mini_batch"):  # a user's method may take any arguments
        for name, value in zip(("eta", "lmbda"), rule, strict=False):
            checks.number(name, value)
    by_methods = is_replaced(net, *net._fastbp_hooks.training)
    (_descend_plainly if by_methods else _descend_compiled)(net, pairs, epochs, size, rule, begin)


def update_mini_batch(
    net: Any, mini_batch: Sequence[tuple[Any, Any]], eta: float, lmbda: float = 0.0, n: int = 1
) -> None:
    if is_replaced(net, *net._fastbp_hooks.training):
        formulas.update_mini_batch(net, mini_batch, eta, lmbda, n)
        return
    if not len(mini_batch):
        raise ZeroDivisionError("update_mini_batch: expected at least one (x, y), got an empty mini-batch")
    numbers = _numbers(eta, lmbda, n)(0, 1)
    engine, data, _ = _engine_for(net, mini_batch, len(mini_batch), threads=1)
    step = net._fastbp.progress.batches
    engine.train(data, np.arange(len(mini_batch), dtype=np.int64), (0, len(mini_batch)), numbers, step)
    _keep(net, engine, step + 1)


def evaluate(net: Any, test_data: Pairs) -> int:
    tests = listed(test_data)
    if is_replaced(net, *FORWARD) or not len(net.weights):
        return sum(int(np.argmax(net.feedforward(x)) == book_pairs.one_label(y)) for x, y in tests)
    engine = inference_engine(checked(net))
    X, labels = book_pairs.test_pairs(tests, engine.architecture.sizes[0], engine.architecture.dtype)
    return count_correct(engine.outputs(X, 1.0), labels)


def _descend_compiled(
    net: Any, pairs: list[Any], epochs: int, size: int, rule: Sequence[Any], begin: Begin
) -> None:
    if epochs < 1:
        return
    n = len(pairs)
    engine, data, team = _engine_for(net, pairs, max(1, min(size, n)), "auto", epochs)
    chunks = Chunks(engine, data, _numbers(*rule), net._fastbp.progress.batches, team)
    seen, order = np.fromiter(pairs, object, n), np.arange(n, dtype=np.int64)
    judged_by_methods = is_replaced(net, *net._fastbp_hooks.judging)
    report = begin(None if judged_by_methods else chunks)
    for epoch in range(epochs):
        shuffle = net._fastbp_hooks.module.random.shuffle
        is_standard = _is_standard(shuffle)
        if not is_standard:  # a user's function may do anything to the list, and so may their methods
            shuffle(pairs)
        if not is_standard or (judged_by_methods and not _are_same(pairs, seen[order])):
            seen = np.fromiter(pairs, object, len(pairs))
            order = np.arange(len(pairs), dtype=np.int64)
            chunks.data = _data(engine.architecture, pairs)
        if is_standard:
            _shuffle_natively(shuffle.__self__, order)
            pairs[:] = seen[order].tolist()
        if size == 0:
            raise ValueError("mini_batch_size: expected at least 1, got 0")
        try:
            if size > 0:
                chunks.pass_over(order[: -(-n // size) * size])
        finally:
            surely(lambda: _keep(net, engine, chunks.step))
        ended = report(epoch)
        if judged_by_methods:  # they may have changed the weights
            repack(net, engine)
        if ended:
            return


def _are_same(pairs: list[Any], others: np.ndarray) -> bool:
    return len(pairs) == len(others) and all(map(operator.is_, pairs, others))


def _descend_plainly(
    net: Any, pairs: list[Any], epochs: int, size: int, rule: Sequence[Any], begin: Begin
) -> None:
    n, report = len(pairs), begin(None)
    for epoch in range(epochs):
        net._fastbp_hooks.module.random.shuffle(pairs)
        for batch in [pairs[start : start + size] for start in range(0, n, size)]:
            net.update_mini_batch(batch, *rule)
        if report(epoch):
            return


def _keep(net: Any, engine: Any, batches: int) -> None:
    """Gives a network its trained weights, and counts batches, whose numbers dropout's masks need."""
    counted = {}
    if net._fastbp.options.dropout:
        progress = net._fastbp.progress
        # SGD on pairs makes no steps of the optimizer, whose own steps therefore count from later.
        started_at = progress.began + batches - progress.batches
        counted["_fastbp"] = replace(
            net._fastbp, progress=replace(progress, batches=batches, began=started_at)
        )
    assign(net, *engine.unpack(), **counted)


def _numbers(eta: Any, lmbda: Any = 0.0, n: int = 1) -> Numbers:
    """Step numbers of gradient descent at a constant rate, with weight decay lmbda / n."""
    rate, decay = checks.number("eta", eta), checks.number("lmbda", lmbda)
    return lambda first, count: _SGD().numbers(np.full(count, rate), first, decay / n)


def _engine_for(
    net: Any, pairs: Sequence[Any], batch_size: int, threads: int | str, epochs: int = 1
) -> tuple[Any, Data, TeamSizes]:
    architecture, weights, biases = checked(net)
    data = _data(architecture, pairs, often=epochs > 2)
    team = team_sizes(threads, architecture, batch_size, len(pairs), epochs)
    key = mask_key(net) if architecture.dropout else 0
    if not architecture.is_compiled:
        return numpy_engine.Engine(architecture, weights, biases, batch_size, key=key), data, ALONE
    return Engine(architecture, weights, biases, batch_size, team.most, UpdateSpec(key=key)), data, team


def _data(architecture: Architecture, pairs: Sequence[Any], often: bool = False) -> Data:
    """Converts pairs for an engine; `often` converts pixels to bytes, which pays if they are read often."""
    sizes, dtype = architecture.sizes, architecture.dtype
    columns = costs.columns_of(architecture.cost, sizes[-1])
    return Data(*book_pairs.training_pairs(pairs, sizes[0], columns, dtype, often))


def _is_standard(shuffle: Any) -> bool:
    """Tells whether a shuffle is the standard library's, of a generator whose state kernels can advance."""
    function = getattr(shuffle, "__func__", None)
    return (
        type(getattr(shuffle, "__self__", None)) is random.Random
        and function is random.Random.shuffle
        and function.__globals__ is vars(random)  # and not one patched in earlier
    )


def _shuffle_natively(generator: random.Random, order: np.ndarray) -> None:
    """``generator.shuffle(order)``: the same order, and the same state of the generator afterwards."""
    version, words, gauss = generator.getstate()
    state = np.array(words, np.uint32)
    mersenne.shuffle(None)(state, order)
    generator.setstate((version, tuple(state.tolist()), gauss))
