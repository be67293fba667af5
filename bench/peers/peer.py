"""The base of all peers."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..pinned import cores
from .recipe import Recipe

Weights = list[np.ndarray]
Score = Callable[[float, Weights], bool]
THREADS = tuple(range(1, min(2, len(cores())) + 1))


class Peer:
    """Trains an epoch at a time; ``trained`` gives weights (n_out, n_in), then biases (n_out, 1).

    A package is imported by the peer that needs it: one that is not installed is skipped.
    """

    name = ""
    slowest = 2e12  # flops an epoch may have, lest a round take minutes
    has_bfloat16 = False  # products of bfloat16, and weights in float32
    settings: tuple[Any, ...] = (None,)  # what `use` takes; the fastest is found by a trial

    def __init__(self, recipe: Recipe, dtype: str, X: np.ndarray, Y: np.ndarray) -> None:
        """X (n, inputs), between 0 and 1, Y (n, outputs), both of `dtype`; ImportError if not installed."""
        self.recipe, self.dtype, self.X, self.Y = recipe, dtype, X, Y
        self.is_constant = recipe.schedule == "constant"
        self.rates: list[float] = recipe.rates(len(X)).tolist()
        self.steps = 0

    def reset(self, weights: Weights, biases: Weights, seed: int = 0) -> None:
        """Training begins anew, from these; what was compiled is kept.  The seed is dropout's."""
        self.steps = 0

    def use(self, setting: Any) -> None:
        """Trains with one of `settings` from now on."""

    def epoch(self, order: np.ndarray) -> None:
        """Trains on the samples in that order."""
        raise NotImplementedError

    def run(self, order: np.ndarray, epochs: int) -> None:
        """The training that is timed; a peer that shuffles by itself may ignore `order`."""
        for _ in range(epochs):
            self.epoch(order)

    def curve(self, orders: list[np.ndarray], score: Score) -> None:
        """Trains an epoch in each order, and calls `score` after each, until that says True.

        It is given the seconds of training so far, in which its own do not count, and what was trained.
        """
        spent = 0.0
        for order in orders:
            begin = time.perf_counter()
            self.run(order, 1)
            spent += time.perf_counter() - begin
            if score(spent, self.trained()):
                break

    def trained(self) -> Weights:
        raise NotImplementedError

    @classmethod
    def own(cls, recipe: Recipe) -> Recipe | None:
        """The recipe that the peer trains in place of `recipe`; None where it cannot train it."""
        return recipe

    @classmethod
    def can(cls, recipe: Recipe, samples: int) -> bool:
        if recipe.compute_dtype is not None and not cls.has_bfloat16:
            return False
        return cls.own(recipe) is not None and recipe.case.flops() * samples <= cls.slowest

    def batches(self, order: np.ndarray) -> Iterator[tuple[np.ndarray, float]]:
        """The rows of each batch of an epoch and the learning rate of its step; steps are counted."""
        size = self.recipe.batch_size
        for first in range(0, len(order), size):
            self.steps += 1
            yield order[first : first + size], self.rate(self.steps)

    def rate(self, step: int) -> float:
        """The learning rate of a step, the first of which is 1; a constant one has no end."""
        return self.recipe.learning_rate if self.is_constant else self.rates[step - 1]


class Blas(Peer):
    """A peer whose products are NumPy's: with as many threads of BLAS as are best for it."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        with contextlib.suppress(ImportError):
            import threadpoolctl  # it comes with scikit-learn

            self.settings = THREADS
            self.controller = threadpoolctl.ThreadpoolController()

    def use(self, setting: Any) -> None:
        if setting is not None:
            self.controller.limit(limits=setting, user_api="blas")
