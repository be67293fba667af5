"""JAX: one jit for the epoch, a scan over its mini-batches, weights donated; a short last batch by itself."""

from typing import Any

import numpy as np

from .peer import Peer, Weights
from .recipe import BETA_1, BETA_2, EPSILON, MOMENTUM


class Jax(Peer):
    """The four equations written by hand, for XLA compiles them as they stand."""

    name = "JAX, jit of a scan"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        import jax

        jax.config.update("jax_enable_x64", True)
        jax.config.update("jax_platforms", "cpu")
        self.jax = jax
        # Arrays of NumPy may be shared, not copied: those that are donated are copied in `reset`.
        self.x, self.y = jax.numpy.asarray(self.X), jax.numpy.asarray(self.Y)
        self.compiled = jax.jit(self.scan, donate_argnums=0)

    def reset(self, weights: Weights, biases: Weights, seed: int = 0) -> None:
        super().reset(weights, biases, seed)
        array, pairs = self.jax.numpy.array, zip(weights, biases, strict=True)
        parameters = [(array(w.T), array(b[:, 0])) for w, b in pairs]
        count = {"sgd": 0, "momentum": 1}.get(self.recipe.optimizer, 2)
        zeros = [self.jax.tree.map(self.jax.numpy.zeros_like, parameters) for _ in range(count)]
        self.state = parameters, *zeros
        self.key = self.jax.random.key(seed, impl="rbg")  # cheaper on a CPU than the default

    def epoch(self, order: np.ndarray) -> None:
        count = -(-len(order) // self.recipe.batch_size)
        steps = np.arange(self.steps + 1, self.steps + count + 1)
        rates = np.array([self.rate(step) for step in steps])
        rate, root, decay = rates, np.ones(count), 1 - rates * self.recipe.weight_decay
        if len(self.state) == 3:
            rate, root = rates / (1 - BETA_1**steps), (1 - BETA_2**steps) ** -0.5
        numbers = np.stack([rate, root, decay], axis=1).astype(self.dtype)
        self.steps += count
        self.key, key = self.jax.random.split(self.key)
        self.state = self.compiled(self.state, self.x, self.y, order, numbers, key)
        self.jax.block_until_ready(self.state)

    def scan(self, state: Any, X: Any, Y: Any, order: Any, numbers: Any, key: Any) -> Any:
        size = min(self.recipe.batch_size, len(order))
        count = len(order) // size
        rows = order[: count * size].reshape(count, size)
        keys = self.jax.random.split(key, count + 1)

        def step(state: Any, batch: Any) -> Any:
            rows, numbers, key = batch
            return self.step(state, X[rows], Y[rows], numbers, key), None

        state, _ = self.jax.lax.scan(step, state, (rows, numbers[:count], keys[:count]))
        if count * size < len(order):
            state, _ = step(state, (order[count * size :], numbers[-1], keys[-1]))
        return state

    def step(self, state: Any, x: Any, y: Any, numbers: Any, key: Any) -> Any:
        jax, recipe, last = self.jax, self.recipe, len(state[0]) - 1
        activations, masks = [x], []
        for layer, (w, b) in enumerate(state[0]):
            z = activations[-1] @ w + b
            if layer == last:
                soft = recipe.output_activation == "softmax"
                activations.append(jax.nn.softmax(z) if soft else jax.nn.sigmoid(z))
                break
            a = jax.nn.relu(z) if recipe.activation == "relu" else jax.nn.sigmoid(z)
            if recipe.dropout:
                kept = jax.random.bernoulli(jax.random.fold_in(key, layer), 1 - recipe.dropout, z.shape)
                masks.append(kept / z.dtype.type(1 - recipe.dropout))
                a = a * masks[-1]
            activations.append(a)
        delta = activations[-1] - y
        if recipe.cost == "quadratic":
            delta = delta * activations[-1] * (1 - activations[-1])
        delta = delta / len(x)
        gradient = []
        for layer in range(last, -1, -1):
            a = activations[layer]
            gradient.append((a.T @ delta, delta.sum(0)))
            if layer:
                slope = (a > 0) if recipe.activation == "relu" else a * (1 - a)
                delta = (delta @ state[0][layer][0].T) * slope
                if recipe.dropout:
                    delta = delta * masks[layer - 1]
        return self.update(state, gradient[::-1], numbers)

    def update(self, state: Any, gradient: Any, numbers: Any) -> Any:
        each, (rate, root, decay) = self.jax.tree.map, numbers
        w, *rest = state
        if not rest:
            return (each(lambda w, g: w - rate * g, w, gradient),)
        m, *rest = rest
        if not rest:
            m = each(lambda m, g: MOMENTUM * m + g, m, gradient)
            return each(lambda w, m: w - rate * m, w, m), m
        m = each(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, m, gradient)
        v = each(lambda v, g: BETA_2 * v + (1 - BETA_2) * g * g, rest[0], gradient)

        def adam(w: Any, m: Any, v: Any) -> Any:
            return (decay * w if w.ndim == 2 else w) - rate * m / (self.jax.numpy.sqrt(v) * root + EPSILON)

        return each(adam, w, m, v), m, v

    def trained(self) -> Weights:
        weights = [np.asarray(w).T for w, _ in self.state[0]]
        return [*weights, *(np.asarray(b)[:, None] for _, b in self.state[0])]
