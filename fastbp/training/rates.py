"""A search for a learning rate: the costs of batches while the rate grows."""

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine.chunks import DivergenceError
from ..options import checks
from . import curves
from .run import Callback, Run

_KEPT = 0.9  # the share of the smoothed cost that a step keeps
_WORSE = 4.0  # a smoothed cost of so many times the lowest ends the search


@dataclass(frozen=True, eq=False)
class LearningRates:
    """Costs of mini-batches by their learning rates, and a rate to train with.

    Attributes
    ----------
    rates : array (steps,)
        The learning rate of each step, growing by a factor.
    losses : array (steps,)
        The batches' mean costs before these steps, smoothed: a mean over about the last ten.
    suggestion : float
        A tenth of the rate at which the cost was lowest, to two digits.
    """

    rates: np.ndarray
    losses: np.ndarray
    suggestion: float

    def __repr__(self) -> str:
        return f"LearningRates(suggestion={self.suggestion:g}, {len(self.rates)} steps)"

    def plot(self, ax: Any = None) -> Any:
        """Draws the costs over the rates by matplotlib, with the suggestion; returns the axes."""
        plt = curves.pyplot("LearningRates.plot")
        axes = plt.subplots(layout="constrained")[1] if ax is None else ax
        axes.plot(self.rates, self.losses, color=curves.COLORS[0])
        label = f"suggestion {self.suggestion:g}"
        axes.axvline(self.suggestion, linestyle="--", color=curves.COLORS[1], label=label)
        axes.set_xscale("log")
        axes.set_xlabel("learning rate")
        axes.set_ylabel("loss")
        axes.legend()
        return axes


class _Growing(Callback):
    """Multiplies the learning rate after every step, and keeps the costs of the batches."""

    every = 1

    def __init__(self, factor: float, steps: int) -> None:
        self.factor, self.steps = factor, steps
        self.rates: list[float] = []
        self.losses: list[float] = []  # smoothed, and finite
        self._least = math.inf
        self._mean = 0.0  # of the costs so far, whose weights fall by a factor a step
        self._before = (0, 0.0)  # samples of the epoch, and their cost, before the step

    def on_epoch_begin(self, run: Run) -> None:
        self._before = (0, 0.0)

    def on_step(self, run: Run) -> None:
        samples, cost = self._before
        self._before = run.done, run.loss * run.done
        self._mean = _KEPT * self._mean + (1 - _KEPT) * (self._before[1] - cost) / (run.done - samples)
        smooth = self._mean / (1 - _KEPT ** (len(self.losses) + 1))  # weights add up to 1
        if math.isfinite(smooth):
            self.rates.append(run.learning_rate)
            self.losses.append(smooth)
        run.rate_factor *= self.factor
        self._least = min(self._least, smooth)
        if len(self.losses) >= self.steps or not smooth <= _WORSE * self._least:
            run.stop()


def find(net: Any, X: Any, y: Any, bounds: tuple[float, float], steps: int, options: Any) -> LearningRates:
    """`Network.find_learning_rate` between two rates; `options` are arguments of `fit`."""
    smallest, largest = map(checks.positive, ("smallest", "largest"), bounds)
    steps = checks.count("steps", steps, 2)
    if taken := {"epochs", "learning_rate", "callbacks"} & options.keys():
        raise TypeError(f"{min(taken)}: expected no such argument, which find_learning_rate sets itself")
    checks.require("largest", largest > smallest, f"a rate above the smallest, {smallest:g}", largest)
    growing = _Growing((largest / smallest) ** (1 / (steps - 1)), steps)
    generator = np.random.get_state()  # noqa: NPY002  the global one
    try:
        copy.deepcopy(net).fit(X, y, epochs=steps, learning_rate=smallest, callbacks=growing, **options)
    except DivergenceError:
        pass
    finally:
        np.random.set_state(generator)  # noqa: NPY002
    rates, losses = np.array(growing.rates), np.array(growing.losses)
    if not len(losses):
        raise DivergenceError(f"smallest: expected a rate at which the cost is finite, got {smallest:g}")
    return LearningRates(rates, losses, float(f"{rates[np.argmin(losses)] / 10:.1e}"))
