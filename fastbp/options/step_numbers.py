"""The recipe of a `fit`, and the numbers of each step that follow from it."""

import functools
from typing import Any, NamedTuple

import numpy as np

from .optimizers import Optimizer
from .schedules import Schedule, rates_of

_AHEAD = 128, 1024  # least and most steps whose numbers are computed at once


class Recipe(NamedTuple):
    """An optimizer with its rates and penalties."""

    optimizer: Optimizer
    rate: float
    schedule: Any
    l2: float
    l1: float
    clip_norm: float  # 0: no clipping

    @property
    def is_plain(self) -> bool:
        """Plain gradient descent, which kernels fuse into the update."""
        return self.optimizer.row == "sgd" and not (self.l2 or self.l1 or self.clip_norm)


class StepNumbers:
    """Numbers of the steps `begin` .. `end` of a call of `fit`.

    `optimizer_started_at` is the step with which the optimizer's state began.
    """

    def __init__(self, recipe: Recipe, optimizer_started_at: int, begin: int, end: int) -> None:
        self.recipe, self._optimizer_started_at, self._span = recipe, optimizer_started_at, (begin, end)
        self._factor = 1.0
        schedule = recipe.schedule
        self._is_function = not isinstance(schedule, Schedule)
        self._schedule = functools.lru_cache(1)(schedule) if self._is_function else schedule  # once per step
        self._first, self._rates = begin, np.zeros(0)
        self._table = np.zeros((0, 0))

    @property
    def factor(self) -> float:
        """The factor of the schedule's rates, which a callback may set."""
        return self._factor

    @factor.setter
    def factor(self, factor: float) -> None:
        self._factor, self._table = factor, self._table[:0]

    @property
    def are_known(self) -> bool:
        """True unless a user's function makes them, which is called for the steps of one epoch at a time."""
        return not self._is_function

    def forget(self) -> None:
        """Drops all numbers that were computed, for a resumed training, whose factor may be another."""
        self._table, self._rates = self._table[:0], self._rates[:0]

    def resume(self, step: int, rate: float) -> None:
        """Takes in the rate of the last step, which another process has made."""
        self._first, self._rates = step, np.array([rate])

    def __call__(self, first: int, count: int) -> np.ndarray:
        """A row of numbers for each of so many steps; see `Optimizer.numbers`."""
        begin = first - self._first
        if begin < 0 or begin + count > len(self._table):
            self._compute(first, count)
            begin = 0
        return self._table[begin : begin + count]

    def rate(self, step: int) -> float:
        """The learning rate of a step, which another process may have made."""
        if not 0 <= step - self._first < len(self._rates):
            self._compute(step, 1)
        return float(self._rates[step - self._first])

    def _compute(self, first: int, count: int) -> None:
        recipe, start, (begin, end) = self.recipe, self._optimizer_started_at, self._span
        if not self._is_function:  # a user's function is never called for steps ahead
            least, most = _AHEAD
            count = max(count, min(max(least, 2 * len(self._rates)), most, end - first))
        since = first - start
        rates = rates_of(self._schedule, recipe.rate, since, count, begin - start, end - start)
        rates = rates * self._factor
        self._table = recipe.optimizer.numbers(rates, since, recipe.l2, recipe.l1)
        self._first, self._rates = first, rates
