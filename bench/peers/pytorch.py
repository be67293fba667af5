"""PyTorch: as most write it, by hand, and compiled."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .peer import THREADS, Peer, Weights
from .recipe import BETA_1, BETA_2, EPSILON, MOMENTUM, Recipe


class Torch(Peer):
    """Modules, autograd and an optimizer."""

    name = "PyTorch, autograd"
    has_bfloat16 = True  # by autocast

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        import torch

        self.torch = torch
        self.settings = tuple((n, kind) for n in THREADS for kind in self.kinds())
        self.use(self.settings[0])
        self.x, self.y = torch.from_numpy(self.X), torch.from_numpy(self.Y)
        self.prepare()

    def kinds(self) -> tuple[str, ...]:
        """Implementations of torch.optim's optimizers."""
        return ("foreach", "fused")

    def use(self, setting: tuple[int, str]) -> None:
        threads, self.kind = setting
        self.torch.set_num_threads(threads)

    def prepare(self) -> None:
        nn, recipe = self.torch.nn, self.recipe
        layers: list[Any] = []
        for n_in, n_out in zip(recipe.sizes, recipe.sizes[1:], strict=False):
            layers.append(nn.Linear(n_in, n_out, dtype=self.x.dtype))
            layers.append(nn.ReLU() if recipe.activation == "relu" else nn.Sigmoid())
            if recipe.dropout:
                layers.append(nn.Dropout(recipe.dropout))
        del layers[-1 - bool(recipe.dropout) :]
        if recipe.output_activation == "sigmoid":
            layers.append(nn.Sigmoid())  # softmax is part of its cross-entropy
        self.net = nn.Sequential(*layers)
        self.linears = [layer for layer in self.net if isinstance(layer, nn.Linear)]
        if recipe.cost == "quadratic":
            self.cost = lambda a, y: 0.5 * ((a - y) ** 2).sum() / len(y)
        else:
            self.y = self.y.argmax(1)
            self.cost = nn.functional.cross_entropy

    def reset(self, weights: Weights, biases: Weights, seed: int = 0) -> None:
        super().reset(weights, biases, seed)
        self.torch.manual_seed(seed)
        for layer, w, b in zip(self.linears, weights, biases, strict=True):
            layer.weight.data, layer.bias.data = self.torch.tensor(w), self.torch.tensor(b[:, 0])
        self.optimizer = optimizer(
            self.torch,
            self.recipe,
            [layer.weight for layer in self.linears],
            [layer.bias for layer in self.linears],
        )

    def epoch(self, order: np.ndarray) -> None:
        for group in self.optimizer.param_groups:
            group.update(foreach=self.kind == "foreach", fused=self.kind == "fused")
        for rows, rate in self.batches(self.torch.from_numpy(order)):
            if not self.is_constant:
                for group in self.optimizer.param_groups:
                    group["lr"] = rate
            self.step(self.x[rows], self.y[rows])

    def step(self, x: Any, y: Any) -> None:
        self.optimizer.zero_grad()
        is_mixed = self.recipe.compute_dtype == "bfloat16"
        with self.torch.autocast("cpu", self.torch.bfloat16, enabled=is_mixed):
            cost = self.cost(self.net(x), y)
        cost.backward()
        self.optimizer.step()

    def trained(self) -> Weights:
        return [
            *(layer.weight.detach().numpy() for layer in self.linears),
            *(layer.bias.detach().numpy()[:, None] for layer in self.linears),
        ]


def optimizer(torch: Any, recipe: Recipe, weights: list[Any], biases: list[Any]) -> Any:
    """torch.optim's of the recipe."""
    optim, rate = torch.optim, recipe.learning_rate
    adam = {"lr": rate, "betas": (BETA_1, BETA_2), "eps": EPSILON}
    if recipe.optimizer == "adam":
        return optim.Adam([*weights, *biases], **adam)
    if recipe.optimizer == "adamw":
        groups = [{"params": weights, "weight_decay": recipe.weight_decay}, {"params": biases}]
        return optim.AdamW(groups, weight_decay=0.0, **adam)
    momentum = MOMENTUM if recipe.optimizer == "momentum" else 0.0
    return optim.SGD([*weights, *biases], lr=rate, momentum=momentum)


class TorchByHand(Torch):
    """No autograd: the four equations, and torch.optim, or for plain descent products added in place."""

    name = "PyTorch, by hand in place"
    has_bfloat16 = False

    def prepare(self) -> None:
        self.step_of: Callable[..., None] = self.descend

    def reset(self, weights: Weights, biases: Weights, seed: int = 0) -> None:
        Peer.reset(self, weights, biases, seed)
        self.w = [self.torch.tensor(w) for w in weights]
        self.b = [self.torch.tensor(b[:, 0]) for b in biases]
        self.optimizer = optimizer(self.torch, self.recipe, self.w, self.b)

    def step(self, x: Any, y: Any) -> None:
        with self.torch.no_grad():
            self.step_of(x, y)

    def descend(self, x: Any, y: Any) -> None:
        for w, b, delta, a in self.deltas(x, y):
            if self.recipe.optimizer == "sgd":
                w.addmm_(delta.t(), a, alpha=-self.recipe.learning_rate / len(x))
                b.sub_(delta.sum(0), alpha=self.recipe.learning_rate / len(x))
            else:
                w.grad, b.grad = (delta.t() @ a).div_(len(x)), delta.sum(0).div_(len(x))
        if self.recipe.optimizer != "sgd":
            self.optimizer.step()

    def deltas(self, x: Any, y: Any) -> Iterator[tuple[Any, Any, Any, Any]]:
        """Yields weights, which may be changed, biases, delta and inputs of layers, from the last on."""
        recipe, torch, last = self.recipe, self.torch, len(self.w) - 1
        activations = [x]
        for layer, (w, b) in enumerate(zip(self.w, self.b, strict=True)):
            name = recipe.activation if layer < last else recipe.output_activation
            z = torch.addmm(b, activations[-1], w.t())
            activations.append(
                z.relu_() if name == "relu" else z.softmax(1) if name == "softmax" else z.sigmoid_()
            )
        delta = activations[-1] - y
        if recipe.cost == "quadratic":
            delta = delta * (activations[-1] * (1 - activations[-1]))
        for layer in range(last, -1, -1):
            below = delta @ self.w[layer] if layer else delta
            yield self.w[layer], self.b[layer], delta, activations[layer]
            a = activations[layer]
            delta = below * ((a > 0) if recipe.activation == "relu" else a * (1 - a)) if layer else delta

    def trained(self) -> Weights:
        return [*(w.numpy() for w in self.w), *(b.numpy()[:, None] for b in self.b)]

    @classmethod
    def own(cls, recipe: Recipe) -> Recipe | None:
        return None if recipe.dropout else recipe


class TorchCompiled(TorchByHand):
    """The same step, optimizer included, through torch.compile, which needs a C++ compiler."""

    name = "PyTorch, torch.compile"
    slowest = 2e11

    def kinds(self) -> tuple[str, ...]:
        return ("",)

    def prepare(self) -> None:
        self.torch._dynamo.reset()
        self.torch._dynamo.config.recompile_limit = 64  # a short last batch and a number of threads count
        self.compiled = self.torch.compile(self.descend, dynamic=False)
        self.step_of = self.step_compiled

    def reset(self, weights: Weights, biases: Weights, seed: int = 0) -> None:
        if self.steps:  # the same tensors, lest it compile again
            Peer.reset(self, weights, biases, seed)
            for mine, first in zip([*self.w, *self.b], [*weights, *(b[:, 0] for b in biases)], strict=True):
                mine.copy_(self.torch.from_numpy(first))
        else:
            super().reset(weights, biases, seed)
            self.m, self.v = ([self.torch.zeros_like(p) for p in [*self.w, *self.b]] for _ in range(2))
        for state in [*self.m, *self.v]:
            state.zero_()

    def step_compiled(self, x: Any, y: Any) -> None:
        if self.recipe.optimizer.startswith("adam"):
            rate = self.rate(self.steps)
            numbers = [rate / (1 - BETA_1**self.steps), (1 - BETA_2**self.steps) ** -0.5]
            numbers.append(1 - rate * self.recipe.weight_decay)
        else:
            numbers = []
        # As tensors, for it compiles numbers in.
        self.compiled(x, y, *self.torch.tensor(numbers, dtype=x.dtype))

    def descend(self, x: Any, y: Any, *numbers: Any) -> None:
        if self.recipe.optimizer == "sgd":
            super().descend(x, y)
            return
        for layer, (w, b, delta, a) in zip(reversed(range(len(self.w))), self.deltas(x, y), strict=True):
            delta = delta / len(x)
            self.update(w, delta.t() @ a, layer, *numbers)
            self.update(b, delta.sum(0), layer + len(self.w), *numbers)

    def update(self, w: Any, gradient: Any, place: int, *numbers: Any) -> None:
        m, v = self.m[place], self.v[place]
        if self.recipe.optimizer == "momentum":
            m.mul_(MOMENTUM).add_(gradient)
            w.sub_(m, alpha=self.recipe.learning_rate)
            return
        rate, scale, decay = numbers
        m.mul_(BETA_1).add_(gradient, alpha=1 - BETA_1)
        v.mul_(BETA_2).addcmul_(gradient, gradient, value=1 - BETA_2)
        if place < len(self.w):
            w.mul_(decay)
        w.sub_(rate * m / (v.sqrt() * scale + EPSILON))
