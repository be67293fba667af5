"""A search for a learning rate: the costs of batches while the rate grows."""

import copy
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
        self.losses: list[float] = []
        self._before = (0, 0.0)  # samples of the epoch, and their cost, before the step

    def on_epoch_begin(self, run: Run) -> None:
        self._before = (0, 0.0)

    def on_step(self, run: Run) -> None:
        samples, cost = self._before
        self._before = run.done, run.loss * run.done
        self.rates.append(run.learning_rate)
        self.losses.append((self._before[1] - cost) / (run.done - samples))
        run.rate_factor *= self.factor
        smooth = smoothed(self.losses)
        if len(self.losses) >= self.steps or not smooth[-1] <= _WORSE * smooth.min():
            run.stop()


def smoothed(losses: list[float]) -> np.ndarray:
    """Running means whose weights fall by a factor a step, and add up to 1 from the first step on."""
    means, mean = [], 0.0
    for count, loss in enumerate(losses, 1):
        mean = _KEPT * mean + (1 - _KEPT) * loss
        means.append(mean / (1 - _KEPT**count))
    return np.array(means)


def find(net: Any, X: Any, y: Any, batch_size: int, options: dict[str, Any]) -> LearningRates:
    """`Network.find_learning_rate`, whose other arguments are `options`."""
    smallest = checks.positive("smallest", options.pop("smallest"))
    largest = checks.positive("largest", options.pop("largest"))
    steps = checks.count("steps", options.pop("steps"), 2)
    checks.require("largest", largest > smallest, f"a rate above the smallest, {smallest:g}", largest)
    growing = _Growing((largest / smallest) ** (1 / (steps - 1)), steps)
    generator = np.random.get_state()  # noqa: NPY002  the global one
    try:
        arguments = {"epochs": steps, "batch_size": batch_size, "learning_rate": smallest, **options}
        copy.deepcopy(net).fit(X, y, callbacks=growing, **arguments)
    except DivergenceError:
        pass
    finally:
        np.random.set_state(generator)  # noqa: NPY002
    finite = np.isfinite(growing.losses)
    losses = smoothed([loss for loss, good in zip(growing.losses, finite, strict=True) if good])
    rates = np.array(growing.rates)[finite]
    if not len(losses):
        raise DivergenceError(f"smallest: expected a rate at which the cost is finite, got {smallest:g}")
    return LearningRates(rates, losses, float(f"{rates[np.argmin(losses)] / 10:.1e}"))
