"""The loop over epochs and chunks of mini-batches: order, history, callbacks, stopping.

A chunk is one compiled call of at most about 50 ms.  Between chunks Python sees an interrupt, shows
progress and notices divergence.  How mini-batches fall into chunks never changes a bit.
"""

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from .engine import NOTHING, Data, Engine

_CHUNK_SECONDS = 0.05
_FIRST_FLOPS = 2e8  # of the first chunk, before its speed is known: 50 ms on a very slow machine

Numbers = Callable[[int, int], np.ndarray]  # those of so many steps from a first on: `Optimizer.numbers`


class DivergenceError(ArithmeticError):
    """The cost or a weight is no longer finite; the network keeps its last finite weights."""


@dataclass
class History:
    """One entry per epoch: the mean cost during training, without penalties; the seconds it took; and, with
    validation data, its mean cost and score (accuracy for labels, R^2 for values) after the epoch.
    """

    loss: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_score: list[float] = field(default_factory=list)


class Chunks:
    """Trains an engine chunk by chunk, each as many blocks of samples as fit the time."""

    def __init__(
        self,
        engine: Engine,
        data: Data,
        numbers: Numbers,
        step: int = 0,
        progress: Callable[[int], None] = lambda done: None,
    ) -> None:
        self.engine, self.data, self.step = engine, data, step
        self._numbers, self._progress = numbers, progress
        flops = engine.architecture.flops() * engine.block
        self._blocks = max(1, int(_FIRST_FLOPS / flops))

    def epoch(self, order: np.ndarray, losses: np.ndarray = NOTHING) -> int:
        """One pass over `order`; returns how many positions it trained, fewer where the cost diverged."""
        done, size, before = 0, self.engine.batch_size, self.step
        while done < len(order):
            last = min(len(order), done + self._blocks * self.engine.block)
            step = before + done // size
            numbers = self._numbers(step, 1 + (last - 1) // size - done // size)
            start = time.perf_counter()
            try:
                reached = self.engine.train(self.data, order, (done, last), numbers, step, losses)
            finally:  # an interrupt is raised when the chunk is done
                self.step = before + self.engine.reached // size
            seconds = max(time.perf_counter() - start, 1e-6)
            if reached < last:
                self.step = before + reached // size
                return reached
            if last - done == self._blocks * self.engine.block:  # a whole chunk tells the speed
                self._blocks = max(1, int(self._blocks * min(8.0, _CHUNK_SECONDS / seconds)))
            done = reached
            self._progress(done)
        self.step = before + -(-done // size)
        return done


def descend(
    chunks: Chunks,
    orders: Callable[[], np.ndarray],
    epochs: int,
    learning_rate: float,
    after_epoch: Callable[[History], bool],
) -> History:
    """Trains for `epochs`, or until `after_epoch` says to stop; a DivergenceError names the rate."""
    history = History()
    engine = chunks.engine
    losses = engine.new_losses()
    for epoch in range(epochs):
        order = orders()
        losses[0] = 0.0
        finite, step = engine.snapshot(), chunks.step
        start = time.perf_counter()
        reached = chunks.epoch(order, losses)
        history.seconds.append(time.perf_counter() - start)
        broken = not np.isfinite(engine.parameters).all()
        if broken:
            engine.restore(finite)
            chunks.step = step
        if broken or reached < len(order):
            raise DivergenceError(
                f"epoch {epoch}, sample {reached} of {len(order)}: "
                f"{'a weight' if broken else 'the cost'} is no longer finite with learning_rate "
                f"{learning_rate:g}; the last finite weights are kept. Try a smaller learning_rate"
            )
        history.loss.append(float(losses[0]) / max(1, len(order)))
        if after_epoch(history):
            break
    return history


def say(text: str, end: str = "\n") -> None:
    """Prints at once; a user's stdout may be any object with `write`."""
    print(text, end=end)
    if hasattr(sys.stdout, "flush"):
        sys.stdout.flush()


class Report:
    """Lines of progress on stdout: a bar within an epoch on a terminal, a line after it."""

    def __init__(self, epochs: int, samples: int, verbose: bool) -> None:
        self.epochs, self.samples, self.verbose = epochs, samples, verbose
        self._bar = verbose and hasattr(sys.stdout, "isatty") and sys.stdout.isatty()
        self._shown, self._epoch = 0.0, 1

    def progress(self, done: int) -> None:
        now = time.monotonic()
        if self._bar and now - self._shown > 0.1:
            self._shown = now
            filled = 30 * done // max(1, self.samples)
            say(f"\repoch {self._epoch:>3}/{self.epochs} [{'#' * filled:<30}]", end="")

    def epoch(self, history: History) -> None:
        self._epoch += 1
        if not self.verbose:
            return
        parts = [f"epoch {len(history.loss):>3}/{self.epochs}", f"loss {history.loss[-1]:.5f}"]
        if history.validation_score:
            parts.append(f"validation {history.validation_score[-1]:.4f}")
        seconds = history.seconds[-1]
        parts.append(f"{seconds:.3f} s")
        parts.append(f"{self.samples / max(seconds, 1e-9):,.0f} samples/s")
        say(("\r\x1b[K" if self._bar else "") + "  ".join(parts))


Callbacks = Callable[..., object] | Iterable[Callable[..., object]]
