"""The package's callbacks, which `fit` calls between epochs and steps."""

import csv
import datetime
import math
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ..engine.chunks import DivergenceError
from ..files import durable
from ..options import checks
from . import checkpoint
from .progress import Progress
from .run import Callback, CallbackState, Run
from .scores import grows


class Function(Callback):
    """Calls a function of (network, history) after every epoch; training stops when it returns True."""

    def __init__(self, function: Callable[..., object]) -> None:
        self.function = function

    def on_epoch_end(self, run: Run) -> None:
        answer = self.function(run.network, run.history)
        if isinstance(answer, (bool, np.bool_)) and answer:
            run.stop()


class Monitor(Callback):
    """The base of callbacks that follow one number of the history and keep its best."""

    monitor: str

    def __init__(self, monitor: str, patience: int, min_delta: float, mode: str) -> None:
        self.monitor, self.mode = monitor, checks.choice("mode", mode, ("auto", "min", "max"))
        self.patience = checks.count("patience", patience, 0)
        self.min_delta = checks.nonnegative("min_delta", min_delta)
        self._grows = mode == "max" or (mode == "auto" and grows(monitor))
        self._reset()

    def on_train_begin(self, run: Run) -> None:
        self._reset()

    def _reset(self) -> None:
        self.best: float | None = None
        self.wait = 0  # epochs since the best

    def is_better(self, run: Run) -> bool:
        """Reads the epoch's number; returns True when it is the best so far."""
        number = run.history[self.monitor][-1]
        gain = 0.0 if self.best is None else (number - self.best) * (1 if self._grows else -1)
        better = gain > self.min_delta or (self.best is None and not math.isnan(number))
        self.best, self.wait = (number, 0) if better else (self.best, self.wait + 1)
        return better

    def state(self) -> CallbackState:
        return {"best": self.best, "wait": self.wait}

    def restore(self, state: CallbackState) -> None:
        self.best, self.wait = state["best"], state["wait"]


class EarlyStopping(Monitor):
    """Stops training when a number has not improved for some epochs.

    Parameters
    ----------
    monitor : str
        A name of the history.
    patience : int
        Epochs without improvement before training stops.
    min_delta : float
        A change of at most this much is no improvement.
    restore_best_weights : bool
        If True, the network ends with the weights of its best epoch, unless an exception ends training.
    mode : {"auto", "min", "max"}
        Whether lower or higher is better; "auto" decides by the name: higher for names that end in accuracy,
        r2 or score and for those of scikit-learn's scorers, lower for all others.

    Examples
    --------
    >>> EarlyStopping("val_accuracy", patience=3).patience
    3
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        min_delta: float = 0.0,
        restore_best_weights: bool = False,
        mode: str = "auto",
    ) -> None:
        super().__init__(monitor, patience, min_delta, mode)
        self.restore_best_weights = restore_best_weights

    def _reset(self) -> None:
        super()._reset()
        self._weights: list[Any] = []
        self._biases: list[Any] = []

    def on_epoch_end(self, run: Run) -> None:
        if self.is_better(run):
            if self.restore_best_weights:
                net = run.kept()
                self._weights = [w.copy() for w in net.weights]
                self._biases = [b.copy() for b in net.biases]
        elif self.wait >= max(1, self.patience):
            best = "no number" if self.best is None else f"{self.best:.6g}"
            run.stop(f"EarlyStopping: {self.monitor} did not improve on {best} in {self.wait} epochs")

    def on_train_end(self, run: Run) -> None:
        if self._weights:
            run.network.weights = [w.copy() for w in self._weights]
            run.network.biases = [b.copy() for b in self._biases]

    def state(self) -> CallbackState:
        return {**super().state(), "weights": self._weights, "biases": self._biases}

    def restore(self, state: CallbackState) -> None:
        super().restore(state)
        self._weights, self._biases = state["weights"], state["biases"]


class ReduceLROnPlateau(Monitor):
    """Multiplies the learning rate by `factor` when a number has not improved for some epochs.

    Parameters
    ----------
    monitor : str
        A name of the history.
    factor : float
        Between 0 and 1.
    patience, min_delta, mode
        As for `EarlyStopping`.
    cooldown : int
        Epochs after a reduction that do not count towards `patience`.
    min_learning_rate : float
        The rate is not reduced below it.

    Examples
    --------
    >>> ReduceLROnPlateau("loss", factor=0.5).factor
    0.5
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_learning_rate: float = 0.0,
        mode: str = "auto",
    ) -> None:
        super().__init__(monitor, patience, min_delta, mode)
        self.factor = checks.rate("factor", factor)
        self.cooldown = checks.count("cooldown", cooldown, 0)
        self.min_learning_rate = checks.nonnegative("min_learning_rate", min_learning_rate)

    def _reset(self) -> None:
        super()._reset()
        self._cooling = 0

    def on_epoch_end(self, run: Run) -> None:
        better = self.is_better(run)
        if self._cooling:
            self._cooling, self.wait = self._cooling - 1, 0
        elif not better and self.wait >= max(1, self.patience):
            rate = run.learning_rate
            reduced = max(rate * self.factor, min(rate, self.min_learning_rate))
            run.rate_factor *= reduced / rate if rate else 1.0
            self._cooling, self.wait = self.cooldown, 0

    def state(self) -> CallbackState:
        return {**super().state(), "cooling": self._cooling}

    def restore(self, state: CallbackState) -> None:
        super().restore(state)
        self._cooling = state["cooling"]


class TimeLimit(Callback):
    """Ends training after so many seconds, between two batches or within a large one.

    The epoch that it ends is not in the history, but what was learnt in it stays.

    Parameters
    ----------
    seconds : float
        Wall time of `fit`, including the time between epochs and that of an interrupted process.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = checks.positive("seconds", seconds)
        self._begin, self._spent = 0.0, 0.0

    def on_train_begin(self, run: Run) -> None:
        self._begin, self._spent = time.monotonic(), 0.0

    def on_chunk(self, run: Run) -> None:
        if self._elapsed() >= self.seconds and run.done != run.samples:  # else the epoch ends
            samples = f"{run.done:,} samples"
            run.stop(f"TimeLimit: {self.seconds:g} s were over in epoch {run.epoch + 1}, after {samples}")

    def on_epoch_end(self, run: Run) -> None:
        if self._elapsed() >= self.seconds and not run.is_over:
            run.stop(f"TimeLimit: {self.seconds:g} s were over after epoch {run.epoch + 1}")

    def _elapsed(self) -> float:
        return self._spent + time.monotonic() - self._begin

    def state(self) -> CallbackState:
        return {"spent": self._elapsed()}

    def restore(self, state: CallbackState) -> None:
        self._spent = state["spent"]


class CSVLogger(Callback):
    """Writes the history to a file, a line per epoch as it ends: ``epoch,loss,seconds,...``.

    Epochs are counted from 1, as `ProgressBar` counts them.

    Parameters
    ----------
    path : str or path-like
        The file, which is replaced when training begins.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._names: list[str] = []  # those of the header

    def on_train_begin(self, run: Run) -> None:
        self._names = []
        with open(self.path, "w", encoding="utf-8", newline=""):
            pass  # raises for a path that cannot be written, before training
        if run.history.epochs:
            self._write(run)

    def on_epoch_end(self, run: Run) -> None:
        self._write(run)

    def _write(self, run: Run) -> None:
        """Adds the last epoch, or writes all anew where the names are not those of the epochs before."""
        history = run.history
        is_new = self._names != [*history]
        self._names, first = [*history], 0 if is_new else history.epochs - 1
        mode = "w" if is_new else "a"
        with durable.naming(self.path), open(self.path, mode, encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            if is_new:
                rows.writerow(["epoch", *history])
            rows.writerows(
                [epoch + 1, *(history[name][epoch] for name in history)]
                for epoch in range(first, history.epochs)
            )


class ModelCheckpoint(Callback):
    """Writes the network and its training's state to a file, from which training resumes bit-identically.

    `fastbp.load` reads the network from it.  A file is always whole: it replaces the one before when it is on
    the disk.  It is also written when an exception such as Ctrl-C ends the training.

    Parameters
    ----------
    path : str or path-like
    every : "epoch", int or timedelta
        When to write: after every epoch, every so many steps or every so much time; and at the end.
    monitor : str, optional
        If set, the file is written only after epochs that are the best by this name of the history; such a
        file is for `load`, not for resuming.
    resume : bool
        If True, `fit` continues from the file where there is one: the same call in a new process then ends
        with the same bits as if it had never been interrupted.

    Examples
    --------
    >>> import tempfile, os
    >>> from fastbp import Network, load
    >>> path = os.path.join(tempfile.mkdtemp(), "xor.fastbp")
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> def train():
    ...     net = Network([2, 4, 2], seed=0)
    ...     return net.fit(X, y, epochs=5, batch_size=2, callbacks=ModelCheckpoint(path, resume=True))
    >>> train().epochs, load(path).num_layers
    (5, 3)
    """

    keeps_position = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        every: "str | int | datetime.timedelta" = "epoch",
        monitor: str | None = None,
        resume: bool = False,
        mode: str = "auto",
    ) -> None:
        self.path, self.resume = os.fspath(path), resume
        self.when = checks.moments("every", every)
        self.every = self.when if isinstance(self.when, int) else 0
        self.monitor = monitor
        self._best = None if monitor is None else Monitor(monitor, 0, 0.0, mode)
        self._better = False
        self._written, self._step = time.monotonic(), -1  # of the last file, or of the training's begin

    def on_train_begin(self, run: Run) -> None:
        self._written, self._step = time.monotonic(), run.step
        if self._best:
            self._best.on_train_begin(run)

    def on_epoch_end(self, run: Run) -> None:
        self._better = bool(self._best and self._best.is_better(run))

    def on_boundary(self, run: Run) -> None:
        epoch_ended = run.done == 0  # the position is already that of the next epoch
        if self._best:
            due = epoch_ended and self._better
        elif epoch_ended and run.is_over:
            due = True
        elif isinstance(self.when, datetime.timedelta):
            due = time.monotonic() - self._written >= self.when.total_seconds()
        else:
            due = epoch_ended if self.when == "epoch" else run.step % self.every == 0
        if due and (epoch_ended or run.is_finite):  # a divergence is reported at the epoch's end
            self._write(run)

    def on_train_end(self, run: Run) -> None:
        if not self._best and (run.done or run.step != self._step):  # a callback has ended it within an epoch
            self._write(run)

    def on_interrupt(self, run: Run, error: BaseException) -> None:
        if not self._best and not isinstance(error, DivergenceError) and run.is_finite:
            self._write(run)

    def _write(self, run: Run) -> None:
        self._save(run)
        self._written, self._step = time.monotonic(), run.step

    def _save(self, run: Run) -> None:
        checkpoint.write(run, self.path)

    def state(self) -> CallbackState:
        return self._best.state() if self._best else {}

    def restore(self, state: CallbackState) -> None:
        if self._best:
            self._best.restore(state)


class ProgressBar(Callback):
    """Shows training on stdout, as ``verbose=True`` does.

    Terminals and notebooks get a bar with the cost and the time left, by tqdm where it is installed; every
    output gets a line per epoch and the notes of the history.
    """

    def on_train_begin(self, run: Run) -> None:
        self._progress, self._notes = Progress(), len(run.history.notes)
        self._progress.begin(run.epochs, run.samples)

    def on_chunk(self, run: Run) -> None:
        self._progress.chunk(run.epoch, run.done, run.loss)

    def on_epoch_end(self, run: Run) -> None:
        self._progress.epoch_end(run.history)
        self._show_notes(run)

    def on_train_end(self, run: Run) -> None:
        self._show_notes(run)
        self._progress.end()

    def on_interrupt(self, run: Run, error: BaseException) -> None:
        self._progress.end()

    def _show_notes(self, run: Run) -> None:
        for note in run.history.notes[self._notes :]:
            self._progress.note(f"note: {note}")
        self._notes = len(run.history.notes)
