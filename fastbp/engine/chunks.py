"""The loop over chunks of mini-batches.

A chunk is one compiled call of at most about 50 ms.  Between chunks Python sees an interrupt, shows
progress and notices divergence.  How mini-batches fall into chunks never changes a bit.
"""

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .packed import NOTHING, Data, Engine
from .team_size import ALONE, NETWORKS, TeamSizes, TeamTuner

_AT_ONCE = 1 << 16  # samples of several epochs, whose orders and steps' numbers lie in memory together
Numbers = Callable[[int, int], np.ndarray]  # (first, count) to the numbers of steps: `Optimizer.numbers`


class DivergenceError(ArithmeticError):
    """The cost or a weight is no longer finite; the network keeps its last finite weights."""


class Chunks:
    """Trains an engine chunk by chunk; a `TeamTuner` chooses the samples and the team of each.

    `step` counts the steps that have been made.  It can be read at any moment, also after an exception.
    """

    pauses: tuple[int, ...] = ()  # a chunk ends at each step that is a multiple of one of these

    def __init__(
        self, engine: Engine, data: Data, numbers: Numbers, step: int = 0, sizes: TeamSizes = ALONE
    ) -> None:
        self.engine, self.data, self._numbers = engine, data, numbers
        self.step = step
        self.tuner = TeamTuner(engine.architecture, sizes, engine.block)

    @property
    def step(self) -> int:
        begin, position, length = self._now
        epochs, samples_done = divmod(int(position[0]), max(1, length))
        return begin + epochs * self.steps_of(length) + samples_done // self.engine.batch_size

    @step.setter
    def step(self, step: int) -> None:
        self._now = step, np.zeros(1, np.int64), 0  # replaced as one

    def steps_of(self, samples: int) -> int:
        """The steps of an epoch of so many samples."""
        return -(-samples // self.engine.batch_size)

    @property
    def is_complete(self) -> bool:
        """Tells whether the whole order has been trained on."""
        _, position, length = self._now
        return int(position[0]) == length

    def pass_over(
        self,
        order: np.ndarray,
        losses: np.ndarray = NOTHING,
        position: np.ndarray | None = None,
        after: Callable[[int], bool] | None = None,
    ) -> int:
        """Makes one pass over `order`; returns the position at its end, earlier if the cost diverged.

        It begins at position[0], whose steps `step` has counted, and advances it together with losses[0].
        ``after(last)`` is called after every chunk, with its end, and may end the pass.
        """
        position = np.zeros(1, np.int64) if position is None else position
        engine, tuner = self.engine, self.tuner
        size, n, first = engine.batch_size, len(order), int(position[0])
        begin = self.step - -(-first // size)
        self._now = begin, position, n
        with NETWORKS:
            while first < n:
                members, samples = tuner.next()
                engine.members, engine.bounds = members, tuner.bounds(members)
                step = begin + first // size
                last = end_of_chunk(engine, first, n, samples, step, self.pauses)
                numbers = self._numbers(step, 1 + (last - 1) // size - first // size)
                start = _clocks()
                end = engine.train(self.data, order, (first, last), numbers, step, losses, position)
                if end < last:
                    return end
                self._record(last - first, start)
                first = last
                if after and after(last):
                    break
        return first

    def epochs_at_once(self, samples: int) -> int:
        """The number of whole epochs of so many samples that the next chunk has room for."""
        is_steady = isinstance(self.engine, Engine) and not self.pauses
        return min(self.tuner.next()[1], _AT_ONCE) // samples if is_steady else 0

    def pass_over_epochs(self, orders: np.ndarray) -> np.ndarray:
        """Makes a pass over each of the orders (epochs, samples) in one chunk; returns the epochs' costs.

        There are none if a cost diverged.
        """
        engine, tuner = self.engine, self.tuner
        count, n = orders.shape
        begin, position, losses = self.step, np.zeros(1, np.int64), engine.new_losses(count)
        self._now = begin, position, n
        with NETWORKS:
            engine.members = tuner.next()[0]
            engine.bounds = tuner.bounds(engine.members)
            numbers = self._numbers(begin, count * self.steps_of(n))
            start = _clocks()
            end = engine.train(
                self.data, orders.reshape(-1), (0, orders.size), numbers, begin, losses, position, n
            )
            if end < orders.size:
                return NOTHING
            self._record(orders.size, start)
        return losses[-count:]

    def _record(self, samples: int, start: tuple[float, float]) -> None:
        seconds, cpu_seconds = (now - then for now, then in zip(_clocks(), start, strict=True))
        self.tuner.record(samples, seconds, self.engine.waited, cpu_seconds / NETWORKS.count)


def _clocks() -> tuple[float, float]:
    """Wall-clock seconds, and the CPU seconds of this process."""
    return time.perf_counter(), time.process_time()


def end_of_chunk(engine: Any, first: int, n: int, samples: int, step: int, pauses: Sequence[int]) -> int:
    """The end of a chunk of about so many samples: after whole batches, or within its first batch.

    The chunk begins at the position `first` of n, in the batch of that `step`; a multiple of one of the
    `pauses` ends it.
    """
    if samples >= n - first and not pauses:
        return n
    size = engine.batch_size
    last = min(n, first + max(1, samples // engine.block) * engine.block)
    for pause in pauses:
        last = min(last, first // size * size + (pause - step % pause) * size)
    return int(last // size * size if last < n and last // size * size > first else last)


def say(text: str, end: str = "\n") -> None:
    """Prints at once; a user's stdout may be any object with `write`."""
    print(text, end=end)
    if hasattr(sys.stdout, "flush"):
        sys.stdout.flush()
