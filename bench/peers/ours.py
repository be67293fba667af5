"""fastbp, by what a user calls."""

import time
from typing import Any

import numpy as np

import fastbp

from .peer import THREADS, Peer, Score, Weights
from .recipe import BETA_1, BETA_2, EPSILON, MOMENTUM, Recipe


class Fastbp(Peer):
    """Calls of `fit`, everything that belongs to them included."""

    name = "fastbp, auto"
    threads: int | str = "auto"
    has_bfloat16 = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.labels = self.Y.argmax(axis=1)

    def reset(self, weights: Weights, biases: Weights, seed: int = 0) -> None:
        recipe = self.recipe
        self.net = fastbp.Network(
            recipe.sizes,
            activation=recipe.activation,
            output_activation=recipe.output_activation,
            cost=recipe.cost,
            dtype=self.dtype,
            compute_dtype=recipe.compute_dtype,
            dropout=recipe.dropout,
            input_divisor=255.0 if self.X.dtype == np.uint8 else None,
            seed=seed,
        )
        self.net.weights, self.net.biases = [w.copy() for w in weights], [b.copy() for b in biases]

    def epoch(self, order: np.ndarray) -> None:
        self.fit(self.X[order], self.labels[order], epochs=1, shuffle=False)

    def run(self, order: np.ndarray, epochs: int) -> None:
        self.fit(self.X, self.labels, epochs=epochs)  # in an order of its own, as its users do

    def curve(self, orders: list[np.ndarray], score: Score) -> None:
        spent, begin = 0.0, time.perf_counter()

        def after_epoch(*_: Any) -> bool:
            nonlocal spent, begin
            spent += time.perf_counter() - begin
            enough = score(spent, self.trained())
            begin = time.perf_counter()
            return enough

        self.fit(self.X, self.labels, epochs=len(orders), callbacks=[after_epoch])

    def fit(self, X: np.ndarray, labels: np.ndarray, **options: Any) -> Any:
        recipe = self.recipe
        return self.net.fit(
            X,
            labels,
            batch_size=recipe.batch_size,
            learning_rate=recipe.learning_rate,
            optimizer=optimizer(recipe),
            schedule=recipe.schedule,
            threads=self.threads,
            **options,
        )

    def trained(self) -> Weights:
        return [*self.net.weights, *self.net.biases]


def optimizer(recipe: Recipe) -> Any:
    if recipe.optimizer == "adam":
        return fastbp.Adam(BETA_1, BETA_2, EPSILON)
    if recipe.optimizer == "adamw":
        return fastbp.AdamW(BETA_1, BETA_2, EPSILON, recipe.weight_decay)
    return fastbp.Momentum(MOMENTUM) if recipe.optimizer == "momentum" else fastbp.SGD()


class FastbpOne(Fastbp):
    name, threads = "fastbp, 1 thread", 1


class FastbpTwo(Fastbp):
    name, threads = "fastbp, 2 threads", 2

    @classmethod
    def own(cls, recipe: Recipe) -> Recipe | None:
        return recipe if len(THREADS) > 1 else None
