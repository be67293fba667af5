"""Ways to train the network of a case that must end with the same bits.

Each is a function of what the case's script makes, and of a number from which its own choices follow; the
source of the functions is printed as the end of the script of a mismatch.
"""

import contextlib
import copy
import inspect
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

from fastbp import Callback, DivergenceError, Ensemble, ModelCheckpoint, load
from fastbp.engine import lanes
from fastbp.engine.team_size import TeamTuner
from fastbp.options.schedules import Schedule

from .cases import Case, made, schedule_of

IMPORTS = """\
import contextlib, copy, os, pickle, tempfile
from unittest import mock

from fastbp.engine import lanes
from fastbp.engine.team_size import TeamTuner
"""


def trained(net, X, y=None, **recipe):
    """The network, and the cost of each epoch, or nothing where it diverged."""
    try:
        return net, list(net.fit(X, y, **recipe).loss)
    except DivergenceError:
        return net, None


# ---------------------------------------------------------------- pairs of ways


def plain(X, y, network, recipe, number):
    return [trained(network(), X, y, **recipe())]


def threads(X, y, network, recipe, number):
    return [trained(network(), X, y, **recipe(threads=1 + number % 3))]


def chunks(X, y, network, recipe, number):
    """Chunks of any sizes, by teams that change."""
    rng = np.random.default_rng(number)
    most = (2, 40, 2000)[number % 3]

    def following(self):
        return int(rng.integers(1, 4)), int(rng.integers(1, most))

    with mock.patch.object(TeamTuner, "next", following):
        return [trained(network(), X, y, **recipe(threads=3))]


class Stop(Callback):
    def __init__(self, every):
        self.every = every

    def on_step(self, run):
        raise KeyboardInterrupt


def resumed(X, y, network, recipe, number):
    """Stopped after a step, and resumed from its checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        every = ("epoch", 1, 2, 10**6)[number % 4]

        def callbacks(*more):
            keeper = ModelCheckpoint(os.path.join(folder, "run"), every, resume=True)
            return [*recipe().get("callbacks", ()), *more, keeper]

        with contextlib.suppress(KeyboardInterrupt):
            trained(network(), X, y, **recipe(callbacks=callbacks(Stop(1 + number % 17))))
        return [trained(network(), X, y, **recipe(callbacks=callbacks()))]


def copied(net, number):
    """A copy, by one of the ways to make it."""
    if number % 4 == 0:
        return copy.deepcopy(net)
    if number % 4 == 1:
        return pickle.loads(pickle.dumps(net))
    if number % 4 == 2:
        return net
    with tempfile.TemporaryDirectory() as folder:
        net.save(os.path.join(folder, "net"))
        return load(os.path.join(folder, "net"), activation=net._fastbp.options.activation)


def by_epochs(X, y, network, recipe, number):
    """An epoch a call, of a copy of the network."""
    net, losses = network(), []
    for epoch in range(recipe()["epochs"]):
        net, loss = trained(copied(net, number + epoch), X, y, **recipe(epochs=1))
        if loss is None:
            return [(net, None)]
        losses += loss
    return [(net, losses)]


def by_partial_fit(X, y, network, recipe, number):
    net, losses, options = network(), [], recipe()
    epochs = options.pop("epochs")
    try:
        for _ in range(epochs):
            losses += net.partial_fit(X, y, **options).loss
    except DivergenceError:
        losses = None
    return [(net, losses)]


def rates(recipe, number):
    """The learning rates of some networks."""
    return [recipe()["learning_rate"] * 0.9**i for i in range((2, 3, 3, 9)[number % 4])]


def samples(X, count, number):
    """The samples of each network: now and then others for each."""
    is_each = isinstance(X, np.ndarray) and number % 5 == 0
    return [np.roll(X, i, axis=0) if is_each else X for i in range(count)]


def ensemble(X, y, network, recipe, number):
    """Networks in lanes, or one by one."""
    several = Ensemble.of([network(seed=seed) for seed, _ in enumerate(rates(recipe, number))])
    every_X = samples(X, len(several), number)
    pays = ((float("inf"), 100.0 if number % 3 else 0.0),)
    with mock.patch.object(lanes, "_SPEEDS", pays), mock.patch.object(lanes, "_MOST_OWN_INPUTS", 1e9):
        options = recipe(learning_rate=rates(recipe, number), threads=1 + number % 3)
        try:
            history = several.fit(X if every_X[1] is X else np.stack(every_X), y, **options)
        except DivergenceError:
            return [(net, None) for net in several]
    losses = [None if history.diverged[i] else list(history.network(i).loss) for i in range(len(several))]
    return list(zip(several, losses, strict=True))


def alone(X, y, network, recipe, number):
    every_rate = rates(recipe, number)
    return [
        trained(network(seed=seed), each, y, **recipe(learning_rate=rate))
        for seed, (each, rate) in enumerate(zip(samples(X, len(every_rate), number), every_rate, strict=True))
    ]


def blocks(X, y, network, recipe, number, size=None):
    """Blocks of any size, shuffled in a small buffer."""
    size = 1 + number % len(y) if size is None else size
    parts = [(X[i : i + size], y[i : i + size]) for i in range(0, len(y), size)]
    net = network()
    rows = recipe()["batch_size"] * (2 + number % 3)
    return [trained(net, parts, **recipe(buffer_bytes=rows * 8 * (net.sizes[0] + net.sizes[-1] + 2)))]


def one_block(X, y, network, recipe, number):
    return blocks(X, y, network, recipe, number, len(y))


def blocks_in_order(X, y, network, recipe, number):
    return blocks(X, y, network, lambda **other: recipe(shuffle=False, **other), number)


def rows_in_order(X, y, network, recipe, number):
    return plain(X, y, network, lambda **other: recipe(shuffle=False, **other), number)


def stored(X, y, network, recipe, number):
    """The same numbers in another type, order of memory or container."""
    import pandas
    import scipy.sparse

    numbers = X.toarray() if scipy.sparse.issparse(X) else np.asarray(X)
    forms = [
        np.asfortranarray,
        np.ndarray.tolist,
        lambda numbers: np.flip(numbers[::-1]).copy()[:, ::-1],
        scipy.sparse.csr_matrix,
        scipy.sparse.csc_array,
        pandas.DataFrame,
        lambda numbers: numbers.astype(np.longdouble),
        lambda numbers: numbers.astype(">f8"),
    ]
    for kind in ("uint8", "int16", "float32"):
        with np.errstate(invalid="ignore"):
            if (numbers.astype(kind) == numbers).all():
                forms.append(lambda numbers, kind=kind: numbers.astype(kind))
    return [trained(network(), forms[number % len(forms)](numbers), y, **recipe())]


def outputs(X, y, network, recipe, number):
    net, _ = trained(network(), X, y, **recipe())
    return [(net, net.outputs(X).tolist())]


def outputs_of_rows(X, y, network, recipe, number):
    """The outputs of a few rows at a time."""
    net, _ = trained(network(), X, y, **recipe())
    size = 1 + number % 5
    return [(net, [row for i in range(0, len(y), size) for row in net.outputs(X[i : i + size]).tolist()])]


# ---------------------------------------------------------------- their table


class Way(NamedTuple):
    """A way, one that must give the same, and whether a case can be trained so."""

    found: Callable[..., Any]
    wanted: Callable[..., Any] = plain
    suits: Callable[[Case], bool] = lambda case: True
    keeps: tuple[str, ...] = ()  # what is compared where both diverge, if not all

    def difference(self, case: Case, number: int) -> str:
        """What is not the same where a case is trained by both; nothing where all is."""
        pairs = zip(*(facts(case, train, number) for train in (self.found, self.wanted)), strict=True)
        for found, wanted in pairs:
            is_diverged = found["costs"] == wanted["costs"] == repr(None)
            for name in self.keeps if self.keeps and is_diverged else found:
                if found[name] != wanted[name]:
                    return name
        return ""


def _spans_call(case: Case) -> bool:
    """Tells whether the schedule depends on where a call of `fit` ends."""
    schedule = schedule_of(made(case)["recipe"]())
    return isinstance(schedule, Schedule) and schedule.spans_call


def _has(case: Case, *names: str) -> bool:
    return any(name in case.recipe for name in names)


def _by_epochs(case: Case) -> bool:
    return not _has(case, "callbacks") and not _spans_call(case)


def _by_partial_fit(case: Case) -> bool:
    others = ("shuffle", "data_seed", "validation_data", "validation_split", "metrics")
    return _by_epochs(case) and not _has(case, *others)


def _in_blocks(case: Case) -> bool:
    is_measured = _has(case, "metrics") and not _has(case, "validation_data")
    is_balanced = case.recipe.get("class_weight") == "'balanced'"
    return not (is_measured or is_balanced or _has(case, "sample_weight", "validation_split"))


def _in_other_storage(case: Case) -> bool:
    return "uint8_divisor" not in case.network


WAYS = {
    "plain": Way(plain),
    "threads": Way(threads),
    "chunks": Way(chunks),
    # Weights before the checkpoint, to which a divergence may lead back, are not in it.
    "resumed": Way(resumed, keeps=("costs",)),
    "by epochs": Way(by_epochs, suits=_by_epochs),
    "by partial_fit": Way(by_partial_fit, suits=_by_partial_fit),
    "ensemble": Way(ensemble, alone, lambda case: case.network["cost"] != "'gaussian'"),
    "blocks": Way(blocks, one_block, _in_blocks),
    "blocks in order": Way(blocks_in_order, rows_in_order, _in_blocks),
    "storage": Way(stored, suits=_in_other_storage),
    "rows": Way(
        outputs_of_rows, outputs, lambda case: "Activation(" not in case.network.get("activation", "")
    ),
}


def script(way: str, number: int) -> str:
    """The end of a mismatch's script, below that of its case."""
    functions = [WAYS[way].found, WAYS[way].wanted]
    texts = [trained, *_used(*functions), *functions]
    source = "\n\n".join(inspect.getsource(function).rstrip() + "\n" for function in dict.fromkeys(texts))
    names = ", ".join(function.__name__ for function in functions)
    return (
        f"{IMPORTS}\n{source}\n\nfor train in ({names}):\n"
        f"    for net, numbers in train(X, y, network, recipe, {number}):\n"
        "        print(train.__name__, net.fingerprint(), numbers)\n"
    )


def _used(*functions: Callable[..., Any]) -> Iterator[Any]:
    """The functions and classes of this file that the functions use."""
    for function in functions:
        for name in function.__code__.co_names:
            used = globals().get(name)
            if getattr(used, "__module__", None) == __name__ and used is not function:
                if inspect.isfunction(used):
                    yield from _used(used)
                yield used


def facts(case: Case, train: Callable[..., Any], number: int) -> list[dict[str, Any]]:
    """All that must be the same of each network that a way trains."""
    names = made(case)
    arguments = (names[name] for name in ("X", "y", "network", "recipe"))
    return [_facts(net, numbers) for net, numbers in train(*arguments, number)]


def _facts(net: Any, numbers: Any) -> dict[str, Any]:
    progress, learnt = net._fastbp.progress, net._fastbp.learnt
    states = [
        *progress.optimizer_state.values(),
        *filter(None, (learnt.input_scaling, learnt.output_scaling)),
    ]
    return {
        "weights": net.parameters.tobytes(),
        "progress": (progress.epochs, progress.batches, progress.masks, progress.optimizer, progress.began),
        "state and scaling": [array.tobytes() for state in states for part in state for array in part],
        "costs": repr(numbers),  # in which NaN is NaN
    }
