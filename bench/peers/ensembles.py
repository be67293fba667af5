"""Peers that train many networks at once: an epoch of JAX's vmap, and one of PyTorch's batched matrices.

Each takes a `bench.ensembles.Given` and returns a function that trains an epoch of mini-batches with Adam.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from .recipe import BETA_1, BETA_2, EPSILON

Way = Callable[[], Any]  # trains an epoch


def jax_vmap(given: Any, batch: int, threads: int) -> Way:
    """One jit of a scan over mini-batches of a vmap over networks, as JAX's users write it."""
    import jax
    from jax import numpy as jnp

    def outputs(parameters: Any, x: Any) -> Any:
        *hidden, (w, b) = parameters
        for w_hidden, b_hidden in hidden:
            x = jnp.tanh(x @ w_hidden + b_hidden)
        return x @ w + b

    def loss(parameters: Any, x: Any, y: Any) -> Any:
        return 0.5 * ((outputs(parameters, x) - y) ** 2).sum() / len(x)

    def step(state: Any, rate: Any, x: Any, y: Any) -> Any:
        parameters, mu, nu, t = state
        gradient = jax.grad(loss)(parameters, x, y)
        t = t + 1
        mu = jax.tree.map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, mu, gradient)
        nu = jax.tree.map(lambda s, g: BETA_2 * s + (1 - BETA_2) * g * g, nu, gradient)
        scale = rate / (1 - BETA_1**t)
        root = 1 / jnp.sqrt(1 - BETA_2**t)
        parameters = jax.tree.map(
            lambda w, m, s: w - scale * m / (jnp.sqrt(s) * root + EPSILON), parameters, mu, nu
        )
        return parameters, mu, nu, t

    rows = 0 if len(given.orders) > 1 else None
    every = jax.vmap(step, in_axes=(0, 0, rows, rows))
    X, Y, rates = jnp.asarray(given.X), jnp.asarray(given.Y), jnp.asarray(given.rates, given.dtype)

    def epoch(state: Any, orders: Any) -> Any:
        batches = orders.reshape(len(orders), -1, batch).swapaxes(0, 1)
        batches = batches if rows == 0 else batches[:, 0]
        return jax.lax.scan(lambda state, at: (every(state, rates, X[at], Y[at]), None), state, batches)[0]

    compiled = jax.jit(epoch, donate_argnums=0)
    parameters = [
        (jnp.array(w.swapaxes(1, 2)), jnp.array(b[:, :, 0]))
        for w, b in zip(given.weights, given.biases, strict=True)
    ]
    zeros = [jax.tree.map(jnp.zeros_like, parameters) for _ in range(2)]
    state = [(parameters, *zeros, jnp.zeros(given.networks, given.dtype))]
    orders = jnp.asarray(given.orders)

    def run() -> None:
        state[0] = jax.block_until_ready(compiled(state[0], orders))

    return run


class Batched:
    """PyTorch's batched matrices, the four equations by hand: weights are (networks, inputs, outputs).

    All parameters lie in one matrix (networks, numbers), so that Adam takes each of its operations once.
    """

    def __init__(self, given: Any, batch: int) -> None:
        import torch

        self.torch, self.batch, self.step = torch, batch, 0
        self.x, self.y, self.orders = map(torch.from_numpy, (given.X, given.Y, given.orders))
        self.rates = torch.tensor(given.rates, dtype=self.x.dtype)[:, None]
        parts, shapes = [], []
        for w, b in zip(given.weights, given.biases, strict=True):
            for array in (w.swapaxes(1, 2), b.swapaxes(1, 2)):
                parts.append(array.reshape(given.networks, -1))
                shapes.append(array.shape)
        self.flat = torch.from_numpy(np.concatenate(parts, axis=1))
        self.gradient, self.mu, self.nu = (torch.zeros_like(self.flat) for _ in range(3))
        sizes = [part.shape[1] for part in parts]
        self.parameters, self.gradients = (
            [part.view(shape) for part, shape in zip(matrix.split(sizes, dim=1), shapes, strict=True)]
            for matrix in (self.flat, self.gradient)
        )

    def differentiate(self, x: Any, y: Any) -> None:
        """Fills the gradients of all networks, given the batch of all, or one for each."""
        torch, last = self.torch, len(self.parameters) - 2
        activations = [x.expand(len(self.flat), -1, -1) if x.ndim == 2 else x]
        for i in range(0, last + 1, 2):
            z = torch.baddbmm(self.parameters[i + 1], activations[-1], self.parameters[i])
            activations.append(z.tanh_() if i < last else z)
        delta = (activations[-1] - y) / x.shape[-2]
        for i in range(last, -1, -2):
            a = activations[i // 2]
            torch.sum(delta, 1, keepdim=True, out=self.gradients[i + 1])
            torch.bmm(a.transpose(1, 2), delta, out=self.gradients[i])
            if i:
                delta = torch.bmm(delta, self.parameters[i].transpose(1, 2)).mul_(1 - a * a)

    def adam(self, scale: Any, root: float) -> None:
        self.mu.lerp_(self.gradient, 1 - BETA_1)
        self.nu.mul_(BETA_2).addcmul_(self.gradient, self.gradient, value=1 - BETA_2)
        self.flat.sub_((self.mu * scale).div_(self.nu.sqrt().mul_(root).add_(EPSILON)))

    def epoch(self) -> None:
        for begin in range(0, self.orders.shape[1], self.batch):
            rows = self.orders[:, begin : begin + self.batch]
            rows = rows[0] if len(rows) == 1 else rows
            self.step += 1
            self.differentiate(self.x[rows], self.y[rows])
            self.adam(self.rates / (1 - BETA_1**self.step), (1 - BETA_2**self.step) ** -0.5)


def pytorch_batched(given: Any, batch: int, threads: int) -> Way:
    """Training by `Batched`, with neither autograd's graph nor modules, which only take longer."""
    import torch

    torch.set_num_threads(threads)
    networks = Batched(given, batch)

    def run() -> None:
        with torch.no_grad():
            networks.epoch()

    return run
