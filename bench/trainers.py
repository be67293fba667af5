"""What a user could train with instead: each peer a class that trains from given weights, in a given order.

Imports are inside, for peers that are not installed are skipped.  All do the same: sigmoids, the quadratic
cost, plain gradient descent on the mean of a mini-batch.  Where a peer cannot, its class says what it does.
"""

import ctypes
import ctypes.util
import itertools
import time
import warnings
from typing import Any

import numpy as np

from fastbp.engine import Architecture, Data, Engine

from .suite.networks import Case, reference, start

Weights = list[np.ndarray]


class Peer:
    """Trains an epoch at a time; ``trained`` gives weights (n_out, n_in), then biases (n_out, 1)."""

    name = ""
    quadratic = True  # else the cross-entropy, whose delta at the output is a - y
    slowest = 2e12  # flops an epoch may have, lest a round take minutes
    trials = 0  # epochs it needs to find its best number of threads

    def __init__(self, case: Case, dtype: str, X: np.ndarray, Y: np.ndarray) -> None:
        """X (n, inputs), between 0 and 1, Y (n, outputs), both of `dtype`; ImportError if not installed."""
        self.case, self.dtype, self.X, self.Y = case, dtype, X, Y
        self.weights, self.biases = start(case, dtype)

    def epoch(self, order: np.ndarray) -> None:
        raise NotImplementedError

    def trained(self) -> Weights:
        return [*self.weights, *self.biases]

    @classmethod
    def can(cls, case: Case, samples: int) -> bool:
        """Whether this case is any of the peer's business."""
        return case.flops() * samples <= cls.slowest


class Fastbp(Peer):
    """Engine calls with the order given, as `fit` makes them."""

    name = "fastbp, 1 thread"
    threads = 1

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        sigmoids = ("sigmoid",) * len(self.weights)
        architecture = Architecture(self.case.sizes, sigmoids, np.dtype(self.dtype))
        self.engine = Engine(architecture, self.weights, self.biases, self.case.batch_size, self.threads)
        self.data, self.losses = Data(self.X, self.Y, 1.0), self.engine.new_losses()

    def epoch(self, order: np.ndarray) -> None:
        self.engine.train(self.data, order, (0, len(order)), self.case.learning_rate, self.losses)

    def trained(self) -> Weights:
        weights, biases = self.engine.unpack()
        return [*weights, *biases]


class FastbpTeam(Fastbp):
    name, threads = "fastbp, 2 threads", 2


class Seed(Peer):
    """The book's class: one sample at a time, float64."""

    name = "the book's class (a sample at a time, float64)"
    slowest = 4e10

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.net = reference.Network(list(self.case.sizes))
        self.net.weights, self.net.biases = start(self.case, np.float64)
        self.pairs = [(x[:, None], y[:, None]) for x, y in zip(self.X, self.Y, strict=True)]

    def epoch(self, order: np.ndarray) -> None:
        for first in range(0, len(order), self.case.batch_size):
            batch = [self.pairs[i] for i in order[first : first + self.case.batch_size]]
            self.net.update_mini_batch(batch, self.case.learning_rate)

    def trained(self) -> Weights:
        return [*self.net.weights, *self.net.biases]


class NumPy(Peer):
    """A mini-batch at a time."""

    name = "NumPy, by mini-batch"

    def epoch(self, order: np.ndarray) -> None:
        weights, biases, size = self.weights, self.biases, self.case.batch_size
        for first in range(0, len(order), size):
            rows = order[first : first + size]
            activations = [self.X[rows]]
            for w, b in zip(weights, biases, strict=True):
                activations.append(reference.sigmoid(activations[-1] @ w.T + b.T))
            rate = self.X.dtype.type(self.case.learning_rate / len(rows))
            delta = activations[-1] - self.Y[rows]
            for layer in reversed(range(len(weights))):
                a = activations[layer + 1]
                if self.quadratic or layer < len(weights) - 1:
                    delta *= a * (1 - a)
                below = delta @ weights[layer] if layer else delta
                weights[layer] -= rate * (delta.T @ activations[layer])
                biases[layer] -= rate * delta.sum(axis=0)[:, None]
                delta = below


class CrossEntropy(NumPy):
    """What a peer with that cost is held against."""

    quadratic = False


class ScikitLearn(Peer):
    """MLPClassifier, whose sigmoid outputs have the cross-entropy for their cost."""

    name = "scikit-learn MLPClassifier (cross-entropy)"
    quadratic = False
    slowest = 2e11

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        from sklearn.neural_network import MLPClassifier

        self.net = MLPClassifier(
            self.case.sizes[1:-1],
            activation="logistic",
            solver="sgd",
            alpha=0.0,
            batch_size=min(self.case.batch_size, len(self.X)),
            learning_rate_init=self.case.learning_rate,
            max_iter=1,
            shuffle=False,
            momentum=0.0,
            nesterovs_momentum=False,
            warm_start=True,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.net.fit(self.X[: self.net.batch_size], self.Y[: self.net.batch_size].astype(int))
        for mine, first in zip(self.net.coefs_, self.weights, strict=True):
            mine[...] = first.T
        for mine, first in zip(self.net.intercepts_, self.biases, strict=True):
            mine[...] = first[:, 0]

    def epoch(self, order: np.ndarray) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that one epoch has not converged
            self.net.fit(self.X[order], self.Y[order].astype(int))

    def trained(self) -> Weights:
        return [*(w.T for w in self.net.coefs_), *(b[:, None] for b in self.net.intercepts_)]


class Torch(Peer):
    """Modules, autograd and an optimiser, as most write it; with the best of 1 and 2 threads."""

    name = "PyTorch, autograd"
    trials = 2

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        import torch

        self.torch = torch
        self.x, self.y = torch.from_numpy(self.X), torch.from_numpy(self.Y)
        self.epochs, self.tried = 0, dict[int, float]()
        self.prepare()

    def prepare(self) -> None:
        nn = self.torch.nn
        layers = []
        for w, b in zip(self.weights, self.biases, strict=True):
            linear = nn.Linear(w.shape[1], w.shape[0], dtype=self.x.dtype)
            linear.weight.data, linear.bias.data = self.torch.tensor(w), self.torch.tensor(b[:, 0])
            layers += [linear, nn.Sigmoid()]
        self.net = nn.Sequential(*layers)
        self.optimizer = self.torch.optim.SGD(self.net.parameters(), lr=self.case.learning_rate)

    def epoch(self, order: np.ndarray) -> None:
        self.torch.set_num_threads(self.best_threads())
        begin = time.perf_counter()
        for rows in self.torch.from_numpy(order).split(self.case.batch_size):
            self.step(self.x[rows], self.y[rows])
        self.tried[self.torch.get_num_threads()] = time.perf_counter() - begin

    def best_threads(self) -> int:
        """The better of 1 and 2, once a warm epoch with each has been timed."""
        self.epochs += 1
        return (
            2 if self.epochs == 2 else 1 if self.epochs < 4 else min(self.tried, key=self.tried.__getitem__)
        )

    def step(self, x: Any, y: Any) -> None:
        self.optimizer.zero_grad()
        loss = 0.5 * ((self.net(x) - y) ** 2).sum() / len(x)
        loss.backward()
        self.optimizer.step()

    def trained(self) -> Weights:
        linears = self.net[::2]
        return [
            *(layer.weight.detach().numpy() for layer in linears),
            *(layer.bias.detach().numpy()[:, None] for layer in linears),
        ]


class TorchByHand(Torch):
    """No autograd: the four equations with products and updates in place."""

    name = "PyTorch, by hand in place"

    def prepare(self) -> None:
        self.w = [self.torch.tensor(w) for w in self.weights]
        self.b = [self.torch.tensor(b[:, 0]) for b in self.biases]
        self.step_of = self.descend

    def step(self, x: Any, y: Any) -> None:
        with self.torch.no_grad():
            self.step_of(x, y)

    def descend(self, x: Any, y: Any) -> None:
        torch, w, b = self.torch, self.w, self.b
        activations = [x]
        for weights, biases in zip(w, b, strict=True):
            activations.append(torch.addmm(biases, activations[-1], weights.t()).sigmoid_())
        rate = self.case.learning_rate / len(x)
        delta = activations[-1] - y
        for layer in range(len(w) - 1, -1, -1):
            a = activations[layer + 1]
            delta = delta * (a * (1 - a))
            below = delta @ w[layer] if layer else delta
            w[layer].addmm_(delta.t(), activations[layer], alpha=-rate)
            b[layer].sub_(delta.sum(0), alpha=rate)
            delta = below

    def trained(self) -> Weights:
        return [*(w.numpy() for w in self.w), *(b.numpy()[:, None] for b in self.b)]


class TorchCompiled(TorchByHand):
    """The same step through torch.compile, which needs a C++ compiler."""

    name = "PyTorch, torch.compile"
    slowest = 2e11

    def prepare(self) -> None:
        super().prepare()
        self.torch._dynamo.reset()
        self.torch._dynamo.config.recompile_limit = 64  # a short last batch and a number of threads count
        self.step_of = self.torch.compile(self.descend, dynamic=False)


class Jax(Peer):
    """One jit for the epoch: a scan over its mini-batches, weights donated; a short last batch by itself."""

    name = "JAX, jit of a scan"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        import jax

        jax.config.update("jax_enable_x64", True)
        jax.config.update("jax_platforms", "cpu")
        self.jax = jax
        rate = self.case.learning_rate

        def step(parameters: Any, batch: Any) -> Any:
            x, y = batch
            activations = [x]
            for w, b in parameters:
                activations.append(jax.nn.sigmoid(activations[-1] @ w + b))
            delta = activations[-1] - y
            new = []
            for (w, b), a, below in zip(
                reversed(parameters), reversed(activations[1:]), reversed(activations[:-1]), strict=True
            ):
                delta = delta * a * (1 - a)
                scale = rate / len(x)
                new.append((w - scale * (below.T @ delta), b - scale * delta.sum(0)))
                delta = delta @ w.T
            return new[::-1], None

        def epoch(parameters: Any, X: Any, Y: Any, order: Any) -> Any:
            size = min(self.case.batch_size, len(order))
            whole = len(order) // size * size
            rows = order[:whole].reshape(-1, size)
            parameters, _ = jax.lax.scan(lambda p, r: step(p, (X[r], Y[r])), parameters, rows)
            if whole < len(order):
                parameters, _ = step(parameters, (X[order[whole:]], Y[order[whole:]]))
            return parameters

        self.run = jax.jit(epoch, donate_argnums=0)
        self.x, self.y = jax.numpy.asarray(self.X), jax.numpy.asarray(self.Y)
        pairs = zip(self.weights, self.biases, strict=True)
        self.parameters = [(jax.numpy.asarray(w.T), jax.numpy.asarray(b[:, 0])) for w, b in pairs]

    def epoch(self, order: np.ndarray) -> None:
        self.parameters = self.run(self.parameters, self.x, self.y, order)
        self.jax.block_until_ready(self.parameters)

    def trained(self) -> Weights:
        weights = [np.asarray(w).T for w, _ in self.parameters]
        return [*weights, *(np.asarray(b)[:, None] for _, b in self.parameters)]


class Fann(Peer):
    """The C library FANN, which trains on one sample at a time and keeps a (1 - a) above 0.01."""

    name = "FANN (C, a sample at a time)"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        double = self.dtype == "float64"
        found = ctypes.util.find_library("doublefann" if double else "floatfann")
        if not found:
            raise ImportError("libfann is not installed")
        self.fann = fann = ctypes.CDLL(found)
        fann.fann_create_standard_array.restype = ctypes.c_void_p
        sizes = self.case.sizes
        self.net = ctypes.c_void_p(
            fann.fann_create_standard_array(len(sizes), (ctypes.c_uint * len(sizes))(*sizes))
        )
        sigmoid = 3  # a / (1 + exp(-2 s z)), s the steepness
        fann.fann_set_activation_function_hidden(self.net, sigmoid)
        fann.fann_set_activation_function_output(self.net, sigmoid)
        half = (ctypes.c_double if double else ctypes.c_float)(0.5)
        fann.fann_set_activation_steepness_hidden(self.net, half)
        fann.fann_set_activation_steepness_output(self.net, half)
        fann.fann_set_learning_rate(self.net, ctypes.c_float(self.case.learning_rate))
        fann.fann_set_train_error_function(self.net, 0)  # the difference itself, not its atanh
        number = "f8" if double else "f4"
        kind = np.dtype([("from", "u4"), ("to", "u4"), ("weight", number)], align=True)
        self.connections = np.empty(fann.fann_get_total_connections(self.net), kind)
        self.fann.fann_get_connection_array(self.net, self.connections.ctypes)
        layers = zip(self.weights, self.biases, strict=True)  # a neuron's weights lie together, its bias last
        self.connections["weight"] = np.concatenate([np.hstack([w, b]).ravel() for w, b in layers])
        self.fann.fann_set_weight_array(self.net, self.connections.ctypes, len(self.connections))
        self.inputs = np.ascontiguousarray(self.X)
        self.wanted = np.ascontiguousarray(self.Y)

    def epoch(self, order: np.ndarray) -> None:
        train, net = self.fann.fann_train, self.net
        width, count = self.inputs.strides[0], self.wanted.strides[0]
        x, y = self.inputs.ctypes.data, self.wanted.ctypes.data
        for i in order.tolist():
            train(net, ctypes.c_void_p(x + i * width), ctypes.c_void_p(y + i * count))

    def trained(self) -> Weights:
        self.fann.fann_get_connection_array(self.net, self.connections.ctypes)
        weights, biases, place = [], [], 0
        for n_in, n_out in itertools.pairwise(self.case.sizes):
            layer = self.connections["weight"][place : place + n_out * (n_in + 1)].reshape(n_out, n_in + 1)
            weights.append(layer[:, :-1])
            biases.append(layer[:, -1:])
            place += layer.size
        return [*weights, *biases]

    @classmethod
    def can(cls, case: Case, samples: int) -> bool:
        return case.batch_size == 1


PEERS: tuple[type[Peer], ...] = (
    Fastbp,
    FastbpTeam,
    Seed,
    NumPy,
    ScikitLearn,
    Torch,
    TorchByHand,
    TorchCompiled,
    Jax,
    Fann,
)
