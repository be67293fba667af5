"""Calls that a signal interrupts."""

import contextlib
import mmap
import os
import random
import signal
import sys
import threading
import time

import numpy as np
import pytest

from children import forked, in_child, wait_for
from experiments import in_new_process
from fastbp import Callback, Ensemble, ModelCheckpoint, Network
from fastbp.engine.packed import Engine
from fastbp.training import ensemble_run, run
from toy import LABELS, N, X, bits, fitted, fresh


@contextlib.contextmanager
def interrupted_after(seconds):
    """Sends a signal to the block, and expects it to end by a KeyboardInterrupt at once."""

    def send():
        time.sleep(seconds)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    threads, sent = threading.active_count(), []
    sender = threading.Thread(target=send, daemon=True)
    with pytest.raises(KeyboardInterrupt):
        sender.start()
        yield
    assert time.monotonic() - sent[0] < 2.0  # a chunk of 50 ms, on a busy machine
    sender.join()
    assert threading.active_count() <= threads  # one of another test may have ended


signals = pytest.mark.skipif(sys.platform == "win32", reason="os.kill sends no SIGINT there")


@pytest.mark.survives("Ctrl-C")
@signals
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("seconds", [0.01, 0.03, 0.08, 0.17])
def test_interrupted_by_a_signal_between_epochs(seconds, threads):
    """Whole epochs of one batch each: the weights are those of as many as were counted, or of one more."""
    done, net = [], fresh()
    options = {"batch_size": N, "shuffle": False, "threads": threads}
    with interrupted_after(seconds):
        fitted(net=net, epochs=10**9, callbacks=[lambda *_: done.append(1)], **options)
    expected = fitted(epochs=len(done), **options)
    assert bits(net) in (bits(expected), bits(fitted(net=expected, epochs=1, **options)))


@pytest.mark.survives("Ctrl-C")
@signals
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("seconds", [0.05, 0.11, 0.23])
def test_interrupted_by_a_signal_within_a_long_epoch(seconds, threads):
    X, y = np.random.default_rng(0).normal(size=(20_000, 100)), np.arange(20_000) % 10
    net = fresh([100, 200, 10])
    before = bits(net)
    options = {"batch_size": 10, "learning_rate": 0.1, "threads": threads}
    with interrupted_after(seconds):
        net.fit(X, y, epochs=10**9, **options)
    assert bits(net) != before
    assert all(np.isfinite(array).all() for array in (*net.weights, *net.biases))
    net.fit(X[:50], y[:50], epochs=1, **options)


# ---------------------------------------------------------------- any moment: kernels, callbacks, checkpoints

INPUTS = np.random.default_rng(1).normal(size=(600, 20))
TARGETS = INPUTS[:, :3].argmax(axis=1)
OPTIMIZERS = ("sgd", "momentum", "rmsprop", "adam", "adamw")


class Told(Callback):
    """Tells in memory that another process reads that training has begun."""

    def __init__(self, begun):
        self.begun = begun

    def on_epoch_begin(self, run):
        self.begun[0] = 1


def training(path, number, begun=None):
    """A network, and its training, which begins anew or goes on from its checkpoint."""
    net = Network([20, 32, 3], activation="relu", dropout=0.1, seed=number)

    def train():
        keeper = ModelCheckpoint(path, every=(3, "epoch", 10**9)[number % 3], resume=True)
        net.fit(
            INPUTS, TARGETS, epochs=12, batch_size=(64, 5, 600)[number % 3], learning_rate=0.01,
            optimizer=OPTIMIZERS[number % 5], threads=1 + number % 2,
            callbacks=[Told(bytearray(1) if begun is None else begun), lambda *_: sum(range(10_000)), keeper],
        )  # fmt: skip
        return bits(net)

    return net, train


def interrupted(path, number, seconds):
    """Ends a training by Ctrl-C: whether no kernel is called after it, and the network predicts."""
    calls, kernels = [], Engine.train
    Engine.train = lambda *arguments: (calls.append(1), kernels(*arguments))[1]
    net, train = training(path, number)
    sent = []

    def send():
        time.sleep(seconds)
        sent.append(len(calls))  # and in the same turn of this thread
        os.kill(os.getpid(), signal.SIGINT)

    sender = threading.Thread(target=send)
    try:
        sender.start()
        train()
        sender.join()
        time.sleep(0.01)
    except KeyboardInterrupt:
        pass
    done = len(calls)
    sender.join()
    finite = all(np.isfinite(array).all() for array in (*net.weights, *net.biases, net.outputs(INPUTS)))
    return done - sent[0] <= 1 and finite


def ended(path, number, begun):
    """Trains until SIGTERM, for which it has the handler that servers have."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    training(path, number, begun)[1]()
    return True


def moments(folder, signum, times):
    """Ends trainings at so many moments, and resumes each: whether all have the bits of whole ones."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    chance, wanted = random.Random(int(signum)), {}
    for i in range(times):
        number, path = i % 15, os.path.join(folder, f"{i}.fastbp")
        if number not in wanted:
            begin = time.monotonic()
            wanted[number] = (
                training(os.path.join(folder, f"whole {number}"), number)[1](),
                time.monotonic() - begin,
            )
        whole, seconds = wanted[number]
        if signum == signal.SIGINT:
            assert in_child(interrupted, path, number, chance.uniform(0, seconds)) == 0, (i, number)
        else:
            begun = mmap.mmap(-1, 1)  # shared with the child
            pid = forked(ended, path, number, begun)
            while not begun[0]:
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.9 * seconds))
            os.kill(pid, signum)
            assert wait_for(pid, 5) in (143, 0), (i, number)
            assert os.path.exists(path), (i, number)
        assert training(path, number)[1]() == whole, (i, number)
    return times


@signals
@pytest.mark.survives("resumed training")
@pytest.mark.parametrize(
    ("signum", "times"),
    [
        pytest.param(signal.SIGINT, 200, marks=pytest.mark.survives("Ctrl-C")),
        pytest.param(signal.SIGTERM, 50, marks=pytest.mark.survives("SIGTERM")),
    ],
)
def test_signals_at_many_moments(signum, times, tmp_path, full, record_property):
    times = times if full else times // 20
    assert in_new_process(f"test_interrupts.moments({str(tmp_path)!r}, {int(signum)}, {times})") == times
    record_property("tried", times)


# ---------------------------------------------------------------- at any bytecode


def interrupted_at(count, work, functions=("keep", "_keep", "store", "assign")):
    """Calls `work`, and raises KeyboardInterrupt at that bytecode of functions, by default of those that
    write a network; tells whether there are so many.
    """
    seen = 0

    def each(frame, event, argument):
        nonlocal seen
        if event == "opcode":
            seen += 1
            if seen == count:
                raise KeyboardInterrupt
        return each

    def begin(frame, event, argument):
        code = frame.f_code
        if code.co_name in functions and "fastbp" in code.co_filename:
            frame.f_trace, frame.f_trace_opcodes = each, True  # in this order, since Python 3.13
            return each
        return None

    before = sys.gettrace()
    sys._getframe().f_trace_opcodes = True  # somewhere before, since Python 3.12
    sys.settrace(begin)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


PAIRS = [(x[:, None], np.eye(3)[:, [label]]) for x, label in zip(X, LABELS.tolist(), strict=True)]
TRAININGS = {
    "fit": lambda net: fitted(net=net, epochs=2, optimizer="adam"),
    "SGD": lambda net: net.SGD(PAIRS[:], 1, 5, 0.5),
    "Ensemble": lambda net: net.fit(X, LABELS, epochs=2, batch_size=5, optimizer="adam"),
}


@pytest.mark.survives("Ctrl-C")
@pytest.mark.skipif(sys.gettrace() is not None, reason="a tracer, of coverage or a debugger")
def test_a_network_that_diverges_is_ended_as_a_whole_at_whatever_bytecode_a_signal_comes(monkeypatch):
    """With the same note and weights as without the signal, while the others of its ensemble train."""
    runs, train = [], ensemble_run.EnsembleRun.train
    monkeypatch.setattr(ensemble_run.EnsembleRun, "train", lambda run: (runs.append(run), train(run))[1])

    def trained(count):
        ensemble = Ensemble(2, [6, 4, 1], output_activation="linear", seed=0)
        recipe = {"epochs": 2, "batch_size": 25, "learning_rate": [0.01, 1e308]}
        came = interrupted_at(count, lambda: ensemble.fit(X, 100 * LABELS, **recipe), ("_end_one", "end"))
        notes = [note for note in runs[-1].history.notes if note.startswith("network 1")]
        return came, notes, ensemble.parameters[1].tobytes()

    _, *whole = trained(10**9)
    assert "a weight is no longer finite" in whole[0][0]
    for count in range(1, 10**9):
        came, *found = trained(count)
        assert found == whole, count
        if not came:
            break
    assert count > 50


@pytest.mark.survives("Ctrl-C")
@pytest.mark.skipif(sys.gettrace() is not None, reason="a tracer, of coverage or a debugger")
@pytest.mark.parametrize("kind", TRAININGS)
def test_a_network_is_written_as_a_whole_at_whatever_bytecode_a_signal_comes(kind):
    def new():
        random.seed(0)
        return Ensemble.of([fresh(), fresh()]) if kind == "Ensemble" else fresh()

    def state(net):
        nets = list(net) if kind == "Ensemble" else [net]
        return [(bits(one), one._fastbp.progress.batches) for one in nets]

    whole = new()
    TRAININGS[kind](whole)
    count = 0
    while True:
        count += 1
        net = new()
        if not interrupted_at(count, lambda net=net: TRAININGS[kind](net)):
            break
        assert state(net) == state(whole), count
    assert count > 20


@pytest.mark.parametrize("kind", ["network", "ensemble"])
def test_a_fit_that_fails_before_it_trains_leaves_all_as_it_was(kind, monkeypatch):
    nets = [Ensemble.of([fresh()]) if kind == "ensemble" else fresh() for _ in range(2)]
    for net in nets:
        net.fit(X, LABELS, epochs=2, batch_size=5, optimizer="adam")
    with monkeypatch.context() as patched:
        patched.setattr(run.Run, "__init__", failing)
        patched.setattr(ensemble_run.EnsembleRun, "__init__", failing)
        with pytest.raises(MemoryError):
            nets[0].fit(X, LABELS, epochs=2, batch_size=5, optimizer="adam")
    for net in nets:
        net.fit(X, LABELS, epochs=2, batch_size=5, optimizer="adam")
    assert nets[0].fingerprint() == nets[1].fingerprint()


def failing(*arguments, **options):
    raise MemoryError
