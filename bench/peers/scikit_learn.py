"""scikit-learn's MLPClassifier."""

from typing import Any

import numpy as np

from .peer import Blas, Weights
from .recipe import BETA_1, BETA_2, EPSILON, MOMENTUM, Recipe


class ScikitLearn(Blas):
    """scikit-learn's MLP: sigmoid outputs have the cross-entropy as cost, and Adam adds epsilon elsewhere."""

    name = "scikit-learn MLPClassifier"
    slowest = 2e11

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        from sklearn.neural_network import MLPClassifier

        recipe = self.recipe
        self.net = MLPClassifier(
            recipe.sizes[1:-1],
            activation={"sigmoid": "logistic"}.get(recipe.activation, recipe.activation),
            solver="adam" if recipe.optimizer.startswith("adam") else "sgd",
            alpha=0.0,
            batch_size=min(recipe.batch_size, len(self.X)),
            learning_rate_init=recipe.learning_rate,
            momentum=MOMENTUM if recipe.optimizer == "momentum" else 0.0,
            nesterovs_momentum=False,
            beta_1=BETA_1,
            beta_2=BETA_2,
            epsilon=EPSILON,
        )
        sigmoids = recipe.output_activation == "sigmoid"
        self.y = self.Y.astype(int) if sigmoids else self.Y.argmax(axis=1)
        few = slice(self.net.batch_size)
        self.net.partial_fit(self.X[few], self.y[few], classes=np.arange(self.Y.shape[1]))

    def reset(self, weights: Weights, biases: Weights, seed: int = 0) -> None:
        super().reset(weights, biases, seed)
        self.net.random_state = np.random.RandomState(seed)
        for mine, first in zip(self.net.coefs_, weights, strict=True):
            mine[...] = first.T
        for mine, first in zip(self.net.intercepts_, biases, strict=True):
            mine[...] = first[:, 0]
        del self.net._optimizer
        if not self.is_constant or self.recipe.optimizer == "adamw":
            self.net._optimizer = scheduled(self)

    def epoch(self, order: np.ndarray) -> None:
        self.net.shuffle = False
        self.net.partial_fit(self.X[order], self.y[order])

    def run(self, order: np.ndarray, epochs: int) -> None:
        self.net.shuffle = True  # in an order of its own, as its users do
        for _ in range(epochs):
            self.net.partial_fit(self.X, self.y)

    def trained(self) -> Weights:
        return [*(w.T for w in self.net.coefs_), *(b[:, None] for b in self.net.intercepts_)]

    @classmethod
    def own(cls, recipe: Recipe) -> Recipe | None:
        if recipe.dropout:
            return None
        names = {"adam": "adam_hat"}
        optimizer = names.get(recipe.optimizer, recipe.optimizer)
        return recipe._replace(cost="cross_entropy", optimizer=optimizer)


def scheduled(peer: ScikitLearn) -> Any:
    """scikit-learn's Adam with the rates of a schedule and decoupled decay, which it has no options for."""
    from sklearn.neural_network._stochastic_optimizers import AdamOptimizer

    net = peer.net

    class Scheduled(AdamOptimizer):
        def update_params(self, params: Any, grads: Any) -> None:
            self.learning_rate_init = peer.rate(self.t + 1)
            if peer.recipe.weight_decay:
                for w in net.coefs_:
                    w *= 1 - self.learning_rate_init * peer.recipe.weight_decay
            super().update_params(params, grads)

    return Scheduled([*net.coefs_, *net.intercepts_], net.learning_rate_init, BETA_1, BETA_2, EPSILON)
