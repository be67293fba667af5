"""NumPy: the book's class, and a mini-batch at a time, as it is written by hand."""

from typing import Any

import numpy as np

from ..suite.networks import reference
from .peer import Blas, Weights
from .recipe import BETA_1, BETA_2, EPSILON, MOMENTUM, Recipe


class Book(Blas):
    """The book's class, which takes one sample at a time in float64."""

    name = "the book's class (a sample at a time, float64)"
    slowest = 4e10

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.net = reference.Network(list(self.recipe.sizes))
        self.pairs = [(x[:, None], y[:, None]) for x, y in zip(self.X, self.Y, strict=True)]

    def reset(self, weights: Weights, biases: Weights, seed: int = 0) -> None:
        super().reset(weights, biases, seed)
        self.net.weights = [w.astype(np.float64) for w in weights]
        self.net.biases = [b.astype(np.float64) for b in biases]

    def epoch(self, order: np.ndarray) -> None:
        for rows, rate in self.batches(order):
            self.net.update_mini_batch([self.pairs[i] for i in rows], rate)

    def trained(self) -> Weights:
        return [*self.net.weights, *self.net.biases]

    @classmethod
    def own(cls, recipe: Recipe) -> Recipe | None:
        return recipe if recipe.is_book else None


class NumPy(Blas):
    """A mini-batch at a time."""

    name = "NumPy, by mini-batch"

    def reset(self, weights: Weights, biases: Weights, seed: int = 0) -> None:
        super().reset(weights, biases, seed)
        self.weights = [w.copy() for w in weights]
        self.biases = [b[:, 0].copy() for b in biases]
        parameters = [*self.weights, *self.biases]
        self.m, self.v = ([np.zeros_like(p) for p in parameters] for _ in range(2))
        self.random = np.random.default_rng(seed)

    def epoch(self, order: np.ndarray) -> None:
        update, last = getattr(self, self.recipe.optimizer), len(self.weights) - 1
        is_relu, dropout = self.recipe.activation == "relu", self.recipe.dropout
        for rows, rate in self.batches(order):
            activations, masks = [self.X[rows]], []
            for layer, (w, b) in enumerate(zip(self.weights, self.biases, strict=True)):
                z = activations[-1] @ w.T
                z += b
                if layer == last:
                    activations.append(self.outputs(z))
                    break
                activations.append(np.maximum(z, 0, out=z) if is_relu else reference.sigmoid(z))
                if dropout:
                    kept = self.random.random(z.shape, np.float32) >= dropout
                    masks.append(kept * z.dtype.type(1 / (1 - dropout)))
                    activations[-1] *= masks[-1]
            delta = activations[-1] - self.Y[rows]
            if self.recipe.cost == "quadratic":
                delta *= activations[-1] * (1 - activations[-1])
            delta /= len(rows)
            for layer in range(last, -1, -1):
                below = delta @ self.weights[layer] if layer else delta
                update(layer, delta.T @ activations[layer], rate)
                update(layer + len(self.weights), delta.sum(axis=0), rate)
                if layer:
                    a = activations[layer]
                    below *= (a > 0) if is_relu else a * (1 - a)
                    if dropout:
                        below *= masks[layer - 1]
                    delta = below

    def outputs(self, z: np.ndarray) -> np.ndarray:
        if self.recipe.output_activation == "sigmoid":
            return reference.sigmoid(z)
        z -= z.max(axis=1, keepdims=True)
        np.exp(z, out=z)
        z /= z.sum(axis=1, keepdims=True)
        return z

    # Optimizers; a place is that of a parameter among weights and then biases

    def parameter(self, place: int) -> np.ndarray:
        return [*self.weights, *self.biases][place]

    def sgd(self, place: int, gradient: np.ndarray, rate: float) -> None:
        w = self.parameter(place)
        w -= rate * gradient

    def momentum(self, place: int, gradient: np.ndarray, rate: float) -> None:
        w, m = self.parameter(place), self.m[place]
        m *= MOMENTUM
        m += gradient
        w -= rate * m

    def adam(self, place: int, gradient: np.ndarray, rate: float, epsilon: float = EPSILON) -> None:
        w, m, v = self.parameter(place), self.m[place], self.v[place]
        m *= BETA_1
        m += (1 - BETA_1) * gradient
        v *= BETA_2
        gradient *= gradient
        gradient *= 1 - BETA_2
        v += gradient
        root = np.sqrt(v)
        root /= (1 - BETA_2**self.steps) ** 0.5
        root += epsilon
        np.divide(m, root, out=root)
        root *= rate / (1 - BETA_1**self.steps)
        w -= root

    def adam_hat(self, place: int, gradient: np.ndarray, rate: float) -> None:
        """Epsilon is added before the bias is corrected (Kingma and Ba's own shorter form)."""
        self.adam(place, gradient, rate, EPSILON / (1 - BETA_2**self.steps) ** 0.5)

    def adamw(self, place: int, gradient: np.ndarray, rate: float) -> None:
        if place < len(self.weights):
            self.weights[place] *= 1 - rate * self.recipe.weight_decay
        self.adam(place, gradient, rate)

    def trained(self) -> Weights:
        return [*self.weights, *(b[:, None] for b in self.biases)]
