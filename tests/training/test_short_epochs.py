"""Epochs that are trained many in a chunk, as nothing looks at the network after each: the usual bits."""

import signal
from typing import Any

import numpy as np
import pytest

from fastbp import Cosine, DivergenceError, History, Network
from fastbp.engine.chunks import Chunks
from fastbp.engine.team_size import TeamTuner

SOFTMAX = {"output_activation": "softmax", "cost": "cross_entropy"}
CASES: dict[str, tuple[list[int], int, dict[str, Any], dict[str, Any]]] = {
    "whole batches": ([5, 8, 2], 96, SOFTMAX, {"batch_size": 32}),
    "a short last batch": ([5, 8, 2], 101, SOFTMAX, {"batch_size": 32, "optimizer": "adam"}),
    "one batch": ([5, 3, 2], 20, {}, {"batch_size": 64}),
    "batches of one": ([5, 3, 2], 20, {}, {"batch_size": 1, "l2": 0.01, "optimizer": "momentum"}),
    "batches of two blocks": ([5, 8, 2], 1300, SOFTMAX, {"batch_size": 700}),
    "clipped": ([5, 8, 2], 101, SOFTMAX, {"batch_size": 32, "optimizer": "adam", "clip_norm": 0.1}),
    "dropout": ([5, 8, 8, 2], 101, {"dropout": 0.3, "activation": "relu"}, {"batch_size": 20}),
    "two threads": ([5, 40, 2], 300, SOFTMAX, {"batch_size": 100, "threads": 2}),
    "a schedule": ([5, 8, 2], 101, SOFTMAX, {"batch_size": 32, "schedule": Cosine(warmup=9)}),
    "no shuffling": ([5, 8, 2], 101, SOFTMAX, {"batch_size": 32, "shuffle": False}),
    "weights": ([5, 8, 2], 101, SOFTMAX, {"batch_size": 32, "sample_weight": np.linspace(0, 2, 101)}),
    "float64": ([5, 8, 2], 101, {"dtype": "float64"}, {"batch_size": 32, "optimizer": "rmsprop"}),
}


def watched(net: Any, history: History) -> bool:
    """A callback, which makes `fit` train one epoch at a time."""
    return False


def data_of(sizes: list[int], n: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(n)
    X = random.standard_normal((n, sizes[0])).astype(np.float32)
    return X, (X[:, 0] > X[:, 1]).astype(int)


def numbers_of(history: History) -> dict[str, list[float]]:
    return {name: numbers for name, numbers in history.items() if name != "seconds"}


@pytest.fixture
def chunks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of epochs that chunks had."""
    counts = []
    original = Chunks.pass_over_epochs

    def counted(self: Chunks, orders: np.ndarray) -> np.ndarray:
        counts.append(len(orders))
        return original(self, orders)

    monkeypatch.setattr(Chunks, "pass_over_epochs", counted)
    return counts


@pytest.mark.parametrize("name", CASES)
def test_the_bits_of_one_epoch_at_a_time(name: str, chunks: list[int]) -> None:
    sizes, n, options, arguments = CASES[name]
    X, y = data_of(sizes, n)
    at_once, alone = (Network(sizes, **{"dtype": "float32", "seed": 1} | options) for _ in range(2))
    for epochs in (40, 7):
        histories = [
            at_once.fit(X, y, epochs=epochs, **arguments),
            alone.fit(X, y, epochs=epochs, callbacks=[watched], **arguments),
        ]
        assert numbers_of(histories[0]) == numbers_of(histories[1])
        assert histories[0].notes == histories[1].notes
        assert at_once.fingerprint() == alone.fingerprint()
    assert max(chunks) > 1
    assert at_once._fastbp.progress.epochs == 47
    assert at_once._fastbp.progress.batches == alone._fastbp.progress.batches


def test_a_chunk_has_a_bounded_number_of_samples(chunks: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TeamTuner, "next", lambda self: (1, 10**9))
    Network([1, 1], seed=0).fit([[0.0], [1.0]], [0, 1], epochs=40_000, batch_size=2)
    assert max(chunks) == 1 << 15


def test_notes_are_those_of_their_epoch(chunks: list[int]) -> None:
    X, y = data_of([5, 3, 2], 60)
    histories = [
        Network([5, 3, 2], dtype="float32", seed=0).fit(
            0 * X, y, epochs=300, batch_size=10, callbacks=callbacks
        )
        for callbacks in ([], [watched])
    ]
    assert histories[0].notes == histories[1].notes != []
    assert chunks[0] == 167  # epochs until 1,000 steps were made


@pytest.mark.parametrize("what", ["cost", "weight"])
def test_divergence_is_found_in_its_epoch(what: str, chunks: list[int]) -> None:
    X, y = data_of([5, 8, 1], 101)
    nets = [Network([5, 8, 1], activation="relu", output_activation="linear", seed=0) for _ in range(2)]
    arguments: dict[str, Any] = {
        "epochs": 400,
        "batch_size": 32,
        "learning_rate": 0.9 if what == "cost" else 1e30,
    }
    messages = []
    for net, callbacks in zip(nets, ([], [watched]), strict=True):
        with pytest.raises(DivergenceError) as error:
            net.fit(X, (10.0 * y), callbacks=callbacks, **arguments)
        messages.append(str(error.value))
    assert messages[0] == messages[1]
    assert nets[0].fingerprint() == nets[1].fingerprint()
    assert len(chunks) == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupt_leaves_whole_epochs(
    when: str, chunks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = data_of([5, 8, 2], 101)
    net, counted = Network([5, 8, 2], dtype="float32", seed=0), Chunks.pass_over_epochs

    def interrupted(self: Chunks, orders: np.ndarray) -> np.ndarray:
        if when == "before" and len(chunks) == 2:
            signal.raise_signal(signal.SIGINT)
        costs = counted(self, orders)
        if when == "after" and len(chunks) == 2:
            signal.raise_signal(signal.SIGINT)
        return costs

    monkeypatch.setattr(Chunks, "pass_over_epochs", interrupted)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y, epochs=10**7, batch_size=32)
    monkeypatch.undo()
    epochs = sum(chunks)
    assert (net._fastbp.progress.epochs, net._fastbp.progress.batches) == (epochs, 4 * epochs)
    again = Network([5, 8, 2], dtype="float32", seed=0)
    again.fit(X, y, epochs=epochs, batch_size=32, callbacks=[watched])
    for both in (net, again):
        both.fit(X, y, epochs=3, batch_size=32)
    assert net.fingerprint() == again.fingerprint()


def test_what_is_drawn_or_asked_as_epochs_begin_is_not_asked_ahead(chunks: list[int]) -> None:
    X, y = data_of([5, 8, 2], 101)
    asked = []

    def schedule(step: int) -> float:
        asked.append(step)
        return 0.1

    Network([5, 8, 2], seed=0).fit(X, y, epochs=3, batch_size=32, schedule=schedule)
    Network([5, 8, 2]).fit(X, y, epochs=3, batch_size=32)
    assert chunks == []
    assert asked == list(range(12))
