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
        self.tuner = TeamTuner(engine.architecture, sizes)

    @property
    def step(self) -> int:
        begin, position, length = self._now
        samples_done, size = int(position[0]), self.engine.batch_size
        return begin + (-(-samples_done // size) if samples_done == length else samples_done // size)

    @step.setter
    def step(self, step: int) -> None:
        self._now = step, np.zeros(1, np.int64), 0  # replaced as one

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
                start = time.perf_counter()
                end = engine.train(self.data, order, (first, last), numbers, step, losses, position)
                if end < last:
                    return end
                tuner.record(last - first, time.perf_counter() - start, engine.waited)
                first = last
                if after and after(last):
                    break
        return first


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
