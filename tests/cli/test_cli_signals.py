"""Signals that would end the process, at any moment, lose nothing that was learned."""

import os
import re
import signal
import subprocess
import warnings

import numpy as np
import pytest

from command import (
    ACCURACY,
    ENVIRONMENT,
    FEW,
    POINTS,
    POSIX,
    command,
    network,
    said,
    start,
    without_compiling,
    write,
)
from fastbp import Network
from fastbp.cli import data, info, main, saving, train
from fastbp.cli.failure import Failure
from fastbp.datasets import load_mnist
from fastbp.engine.packed import Engine
from fastbp.training import progress


@POSIX
@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("SIGINT", 130, "interrupted"),
        ("SIGTERM", 143, "ended by SIGTERM"),
        ("SIGHUP", 129, "ended by SIGHUP"),
    ],
)
def test_a_signal_keeps_what_was_learned(tmp_path, name, status, words):
    process = start("--epochs", 100_000, "--save", tmp_path / "net.fastbp")
    process.send_signal(getattr(signal, name))
    process.send_signal(getattr(signal, name))  # an impatient user's second
    out, err = process.communicate(timeout=60)
    *_, ending, saved, _, last = out.splitlines()
    assert (process.returncode, without_compiling(err)) == (status, "")
    assert re.fullmatch(rf"{words} in epoch \d+ of 100000", ending)
    assert saved == f"saved {tmp_path / 'net.fastbp'}"
    test = load_mnist().test
    right = np.count_nonzero(network(tmp_path / "net.fastbp").predict(test.X) == test.y)
    assert re.fullmatch(ACCURACY, last)[2] == str(right)
    assert right > 5000


@POSIX
def test_nohup_is_heeded(tmp_path):
    process = start("--epochs", 100_000, "--save", tmp_path / "net.fastbp", ignoring=[signal.SIGHUP])
    process.send_signal(signal.SIGHUP)
    assert process.stdout.readline().startswith("epoch")
    assert process.stdout.readline().startswith("epoch")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, "ended by SIGTERM in epoch" in out) == (143, True)


@POSIX
def test_a_terminal_that_is_closed_loses_nothing(tmp_path):
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command("train", "--epochs", 100_000, "--save", tmp_path / "net.fastbp"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=ENVIRONMENT,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    shown = b""
    while b"epoch   1/100000  loss" not in shown:
        shown += os.read(ours, 4096)
    os.close(ours)
    assert process.wait(60) == 129
    assert network(tmp_path / "net.fastbp").sizes == [784, 30, 10]


def interrupting(monkeypatch, owner, name, when=lambda *arguments, **named: True, signum=signal.SIGINT):
    """Has Ctrl-C pressed, or another signal sent, as a function is called."""
    true = getattr(owner, name)

    def interrupted(*arguments, **named):
        if when(*arguments, **named):
            signal.raise_signal(signum)
        return true(*arguments, **named)

    monkeypatch.setattr(owner, name, interrupted)


@pytest.mark.survives("Ctrl-C")
@POSIX
@pytest.mark.parametrize(
    ("where", "when"),
    [(main, "_parser"), (saving, "writable"), (data, "load"), (data, "split"), (train, "_compile")],
)
def test_ctrl_c_before_anything_is_learned(tmp_path, monkeypatch, where, when):
    path = write(tmp_path / "points.npz", test=False)
    interrupting(monkeypatch, where, when)
    status, out, err = said("train", "--data", path, *FEW, "--save", tmp_path / "net.fastbp")
    assert (status, err) == (130, ["fastbp: interrupted"])
    assert not any(line.startswith(("epoch", "test")) for line in out)
    assert os.listdir(tmp_path) == ["points.npz"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@POSIX
@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_other_signals_before_anything_is_learned(monkeypatch, name, status):
    interrupting(monkeypatch, data, "load", signum=getattr(signal, name))
    assert said("train", "--data", POINTS) == (status, [], [f"fastbp: ended by {name}"])
    assert signal.getsignal(getattr(signal, name)) is signal.SIG_DFL


@POSIX
def test_the_callers_own_handlers_stay(monkeypatch):
    calls = []
    before = signal.signal(signal.SIGTERM, lambda signum, frame: calls.append(signum))
    try:
        interrupting(monkeypatch, data, "load", signum=signal.SIGTERM)
        assert said("train", "--data", POINTS, "--epochs", 1)[0] == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    assert calls == [signal.SIGTERM]


@POSIX
def test_ctrl_c_before_the_first_mini_batch(tmp_path, monkeypatch):
    interrupting(monkeypatch, Network, "fit", lambda self, *arguments, **named: self.sizes[0] == 5)
    status, out, err = said("train", "--data", POINTS, "--save", tmp_path / "net.fastbp")
    assert (status, len(out), err, os.listdir(tmp_path)) == (130, 3, ["fastbp: interrupted"], [])


@POSIX
def test_a_second_ctrl_c_does_not_reach_the_weights(monkeypatch):
    presses = []

    def in_training(engine):
        presses.extend([1] * (engine.architecture.sizes[0] == 5))
        return bool(presses)

    interrupting(monkeypatch, Engine, "unpack", in_training)
    status, out, err = said("train", "--data", POINTS)
    assert (status, err, len(presses)) == (130, [], 2)  # the first ends training, the second comes after it
    assert out[3].startswith("epoch")
    assert out[4] == "interrupted in epoch 1 of 30"
    assert re.fullmatch(ACCURACY, out[6])


@pytest.mark.survives("Ctrl-C", each=3)
@POSIX
def test_ctrl_c_while_saving_or_testing(tmp_path, monkeypatch):
    saved = tmp_path / "net.fastbp"
    for owner, name in ((os, "fsync"), (os, "replace"), (train, "_verdict")):
        with monkeypatch.context() as patch:
            interrupting(patch, owner, name)
            status, out, err = said("train", "--data", POINTS, *FEW, "--save", saved)
        assert (status, err, out[-3]) == (130, [], f"saved {saved}")
        assert re.fullmatch(ACCURACY, out[-1])
        assert (os.listdir(tmp_path), network(saved).sizes) == (["net.fastbp"], [5, 20, 3])
        saved.unlink()


class Finalized:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)


def swallow():
    Finalized()
    warnings.warn("something has gone wrong", RuntimeWarning, stacklevel=1)


def turn():
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        raise ImportError("a library that takes every error for its own") from None


@POSIX
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("press", [swallow, turn])
def test_a_ctrl_c_that_others_catch(monkeypatch, press):
    monkeypatch.setattr(Network, "fit", lambda *arguments, **named: press())
    status, out, err = said("train", "--data", POINTS)
    assert (status, len(out), err) == (130, 3, ["fastbp: interrupted"])


def refuse():
    Finalized()
    raise Failure("a file that is not one, as an import says that was interrupted")


@POSIX
@pytest.mark.parametrize("press", [Finalized, refuse])
def test_a_ctrl_c_that_is_swallowed_by_a_command_that_does_not_train(monkeypatch, press):
    monkeypatch.setattr(info, "_of_machine", lambda: {"pressed": press()})
    status, _, err = said("info")
    assert (status, err) == (130, ["fastbp: interrupted"])


@POSIX
def test_a_ctrl_c_that_is_swallowed_in_training_ends_it_with_the_epoch(monkeypatch):
    report = progress.Progress.epoch_end

    def epoch(self, history):
        report(self, history)
        if self.epochs == 5:
            Finalized()

    monkeypatch.setattr(progress.Progress, "epoch_end", epoch)
    status, out, err = said("train", "--data", POINTS, "--epochs", 5)
    assert (status, err) == (130, [])
    assert [line.split()[0] for line in out[3:]] == ["epoch", "interrupted", "fingerprint", "test"]
    assert out[4] == "interrupted in epoch 2 of 5"
