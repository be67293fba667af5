"""Experiments with `fastbp.Network` and the book's class; ways to replace methods and shuffles."""
# ruff: noqa: NPY002  the seed draws from NumPy's global generator

import contextlib
import io
import random
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

import fastbp.compat.network
import fastbp.network
import reference
from fastbp import Network
from reference import assert_close, one_hot

MODULES = [fastbp.network, fastbp.compat.network]
SIZES = [4, 5, 3]
several_depths = pytest.mark.parametrize("sizes", [[4, 3], [4, 5, 3], [2, 3, 4, 3, 1]], ids=str)


@dataclass
class Run:
    """A network, trained, and every trace the training left."""

    net: object
    samples: list  # the list handed to SGD, as SGD left it
    stdout: str
    random_states: tuple


class Stdout(io.StringIO):
    """Calls `on_line(text so far)` when a new line has been flushed: what somebody watching would see."""

    def __init__(self, on_line):
        super().__init__()
        self.on_line, self.lines = on_line, 0

    def flush(self):
        if self.getvalue().count("\n") > self.lines:
            self.lines = self.getvalue().count("\n")
            self.on_line(self.getvalue())


def make_data(sizes, n, seed=1):
    """n pairs of an input column and a one-hot target column."""
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(n, sizes[0])), one_hot(rng.integers(sizes[-1], size=n), sizes[-1])
    return [(x[:, np.newaxis], y[:, np.newaxis]) for x, y in zip(X, Y, strict=True)]


def labelled(data):
    return [(x, int(np.argmax(y))) for x, y in data]


def random_states():
    """State of both global generators, comparable with ==."""
    kind, keys, *rest = np.random.get_state()
    return random.getstate(), (kind, keys.tolist(), *rest)


def seeded(build, sizes, seed=0):
    random.seed(seed)
    np.random.seed(seed)
    return build(sizes)


def train(net, samples, *arguments, raises=None, on_epoch=lambda run: None, **keywords):
    """SGD on the list itself; `on_epoch(run so far)` follows each line that reaches stdout."""
    stdout = Stdout(lambda text: on_epoch(Run(net, samples, text, random_states())))
    with contextlib.redirect_stdout(stdout), pytest.raises(raises) if raises else contextlib.nullcontext():
        assert net.SGD(samples, *arguments, **keywords) is None
    return Run(net, samples, stdout.getvalue(), random_states())


def train_both(sizes, data, *arguments, builds=(Network, reference.Network), seed=0, **keywords):
    """The same experiment with `fastbp.Network` and with the reference, each on its own copy of the list."""
    return [train(seeded(build, sizes, seed), list(data), *arguments, **keywords) for build in builds]


def train_on(runs, *arguments, **keywords):
    """Trains the networks of both runs further on their lists, from equal random states."""
    further = []
    for run in runs:
        random.seed(5)
        further.append(train(run.net, run.samples, *arguments, **keywords))
    return further


def assert_same_run(run, expected, rtol=1e-9, atol=1e-11):
    assert_close(run.net.weights, expected.net.weights, rtol, atol)
    assert_close(run.net.biases, expected.net.biases, rtol, atol)
    assert list(map(id, run.samples)) == list(map(id, expected.samples)), "the list is in another order"
    assert run.stdout == expected.stdout
    assert run.random_states == expected.random_states


def assert_same_answers(net, expected, data):
    """One sample through every method that computes and changes nothing."""
    x, y = data[0]
    assert_close(net.feedforward(x), expected.feedforward(x))
    assert_close(net.backprop(x, y), expected.backprop(x, y))
    assert net.evaluate(labelled(data)) == expected.evaluate(labelled(data))


BOTH = (Network, reference.Network)
DATA = make_data(SIZES, 11)
TEST_DATA = labelled(make_data(SIZES, 9, seed=2))
X = np.random.default_rng(4).normal(size=(11, 4))
LABELS = np.arange(11) % 3
OPTIONS = {"epochs": 2, "batch_size": 4, "learning_rate": 0.5}


class Own(Network):
    """The book's class with methods that are replaced by equal ones in Python."""

    def cost_derivative(self, output_activations, y):
        return output_activations - y


# ---------------------------------------------------------------- replaced methods, functions and shuffles


def on_instance(cls, hook, method, patch):
    def build(sizes):
        net = cls(sizes)
        setattr(net, hook, partial(method, net))
        return net

    return build


def on_class(cls, hook, method, patch):
    patch.setattr(cls, hook, method)
    return cls


def in_subclass(cls, hook, method, patch):
    return type("Own", (cls,), {hook: method})


def in_grandparent(cls, hook, method, patch):
    return type("Child", (in_subclass(cls, hook, method, patch),), {})


def in_mixin(cls, hook, method, patch):
    return type("Own", (type("Mixin", (), {hook: method}), cls), {})


def tanh_prime(z):
    return 1 - np.tanh(z) ** 2


def sort_by_input(pairs):
    """Needs the list itself, and whole pairs."""
    pairs.sort(key=lambda pair: pair[0][0, 0])


def rotate(pairs):
    pairs.append(pairs.pop(0))


def replace_a_pair(pairs):
    pairs[3] = (0.5 * pairs[3][0], pairs[3][1])


class OwnRandom(random.Random):
    def random(self):
        return super().random() ** 2


SHUFFLES = {
    "needs a list": rotate,
    "sorts the pairs": sort_by_input,
    "leaves them": lambda pairs: None,
    "changes data": replace_a_pair,
    "another generator": random.Random(5).shuffle,
    "a generator of a subclass": OwnRandom(5).shuffle,
    "of the system": lambda pairs: random.SystemRandom.shuffle(random.Random(7), pairs),
}
