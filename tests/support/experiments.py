"""A training run on the compiled kernels, in every way it may be done.

All that the tests know of fastbp's insides stands here: `Harness`, `Guarded.install`, `compilations` and the
names imported below.

Letters: n samples, m batch, k inputs, j outputs of a layer.
"""

import functools
import json
import math
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

import fastbp
import fastbp.engine.layout
import fastbp.engine.packed
from fastbp.engine.architecture import Architecture
from fastbp.engine.kernels import step
from fastbp.engine.kernels import vector as machine
from fastbp.engine.kernels.elementary import Elementary
from fastbp.engine.layout import BLOCK
from fastbp.engine.packed import FUSED, NOTHING, Data, Engine, UpdateSpec
from fastbp.options.activations import ROWS
from fastbp.options.optimizers import SGD

__all__ = ["BLOCK", "Data"]

ACTIVATIONS = tuple(ROWS)
MASKS = 0x0123456789ABCDEF  # the key of dropout's
DTYPES = ("float32", "float64")
TOLERANCE = {"float32": {"rtol": 2e-5, "atol": 2e-6}, "float64": {"rtol": 1e-11, "atol": 1e-13}}

# ---------------------------------------------------------------- the insides


class Harness:
    """Holds an engine, its parameters packed, its scratch and its losses."""

    def __init__(self, sizes, names, weights, biases, batch=96, members=1, **recipe):
        """`names` are those of the activations, one per layer; `recipe`: the architecture's other fields, and
        optimizer, clip_norm, l2, l1.
        """
        optimizer, clip_norm, self._penalties = (
            recipe.pop("optimizer", None),
            recipe.pop("clip_norm", 0.0),
            [recipe.pop("l2", 0.0), recipe.pop("l1", 0.0)],
        )
        self._optimizer = optimizer or SGD()
        update_spec = UpdateSpec(optimizer.row if optimizer else FUSED, clip_norm, key=MASKS)
        architecture = Architecture(tuple(sizes), tuple(names), np.dtype(weights[0].dtype), **recipe)
        self._engine = Engine(architecture, weights, biases, batch, members, update_spec)
        self.epoch = 0  # steps before the order that is trained on
        self.batch = batch
        self.losses = self._engine.new_losses()  # the running cost, then one per sample of the last block

    def train(self, data, order, span, rate=0.5, losses=True):
        """Descends on order[span[0]:span[1]]; returns the position it reached."""
        size = self._engine.batch_size
        first, last = span[0] // size, -(-span[1] // size)
        step = self.epoch + first
        numbers = self._optimizer.numbers(np.full(max(1, last - first), rate), step, *self._penalties)
        return self._engine.train(data, order, span, numbers, step, self.losses if losses else NOTHING)

    def outputs(self, X, divisor=255.0, members=1):
        return self._engine.outputs(X, divisor, members)

    def unpack(self):
        """Weights and biases, in the seed's shapes."""
        return self._engine.unpack()

    @property
    def state(self):
        return self._engine._state

    @property
    def cost(self):
        """The running sum of the costs of samples."""
        return float(self.losses[0])

    @property
    def parameters(self):
        """The packed weights and biases, padding included."""
        return self._engine.parameters

    def packed_afresh(self):
        """The packed parameters again, from unpacked ones, so that there are only zeros between panels."""
        return self._engine._layout.pack(*self.unpack())

    def poison(self):
        """Fills the scratch, so that what is read before it is written shows."""
        self._engine._scratch[...] = np.nan

    def poison_unshared(self):
        """Fills the scratch but for what the blocks of a batch share."""
        start = int(self._engine._plan["shared"][0])
        for part in (slice(0, start), slice(start + self.parameters.size, None)):
            self._engine._scratch[part] = np.nan

    def move_memory(self, moved):
        """Replaces parameters and scratch by copies that `moved` makes."""
        self._engine.parameters = moved(self._engine.parameters)
        self._engine._scratch = moved(self._engine._scratch)

    def infer_into(self, out, X, first, last):
        """Writes the outputs of X[first:last] into the same rows of `out`."""
        engine = self._engine
        samples = engine._samples(Data(X, np.zeros(len(X), np.int64), 255.0), np.arange(len(X)))
        step.infer(out.dtype)(engine._net(), samples, out, NOTHING, first, last)


class Guarded:
    """Puts every allocation of the package's between two guard zones."""

    CANARY = -12345.0
    ZONE = 1024  # numbers, a whole number of cache lines

    def __init__(self):
        self._aligned_zeros, self._blocks = fastbp.engine.layout.aligned_zeros, []

    def install(self, monkeypatch):
        for module in (fastbp.engine.layout, fastbp.engine.packed):
            monkeypatch.setattr(module, "aligned_zeros", self._allocate)

    def _allocate(self, size, dtype):
        block = self._aligned_zeros(size + 2 * self.ZONE, dtype)
        block[: self.ZONE] = block[self.ZONE + size :] = self.CANARY
        self._blocks.append(block)
        return block[self.ZONE : self.ZONE + size]

    def check(self):
        """Finds the zones as they were, and forgets the allocations."""
        assert len(self._blocks) >= 3  # parameters, scratch, and a scratch for inference
        for block in self._blocks:
            assert (block[: self.ZONE] == self.CANARY).all() and (block[-self.ZONE :] == self.CANARY).all()
        self._blocks.clear()


@functools.cache
def elementwise(formula, lanes=16):
    """`formula(v, x)`, a row or any function of operators `v`, over an array: two arrays of results."""

    @intrinsic
    def each(typingctx, count, x, a, d):
        element = machine.element_of(x)
        vector = ir.VectorType(element, lanes)

        def emit(b, count, *arrays):
            v = Elementary(b, vector)
            with machine.loop(b, count) as i:
                places = [machine.at(b, array, b.mul(i, ir.IntType(64)(lanes))) for array in arrays]
                given = formula(v, v.of(machine.load(b, places[0], vector, 4)))
                for place, value in zip(
                    places[1:], given if isinstance(given, tuple) else (given, given), strict=True
                ):
                    b.store(v.of(value).value, b.bitcast(place, vector.as_pointer())).align = 4

        arguments = [ir.IntType(64), *[element.as_pointer()] * 3]
        return machine.call(
            lambda module: machine.routine(module, f"each_{element}", arguments, emit), (types.int64, x, x, x)
        )

    @njit
    def run(x, a, d):
        each(x.size // lanes, machine.pointer(x, 0), machine.pointer(a, 0), machine.pointer(d, 0))

    def over(x):
        padded = np.zeros(-(-len(x) // lanes) * lanes, x.dtype)
        padded[: len(x)] = x
        a, d = np.empty_like(padded), np.empty_like(padded)
        run(padded, a, d)
        return a[: len(x)], d[: len(x)]

    return over


def compilations():
    """The number of training kernels that have been compiled or loaded."""
    return step.train.cache_info().misses


# ---------------------------------------------------------------- cases


class Case(NamedTuple):
    sizes: tuple
    batch: int
    n: int
    names: tuple  # of the activations, one per layer

    def __str__(self):
        return f"{'-'.join(map(str, self.sizes))}, {self.n} by {self.batch}, {self.names[0]}-{self.names[-1]}"


# Around every width that a panel or a vector has on some machine: 8, 16, 32, 64
WIDTHS = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 64, 65, 100)
BATCHES = (1, 2, 3, 5, 7, 8, 10, 13, 16, 17, 31, 33, 64)

# Panels and batches too long for a cache's ways, many panels, sums over more than a block of samples
LARGE = (
    ((300, 400, 150, 10), 150, 320),
    ((1000, 201, 5), 300, 331),
    ((130, 530, 3), 513, 520),
    ((17, 1030), 129, 258),
    ((1025, 7), 128, 150),
    ((9, 40, 5), 1100, 2300),  # a batch of several blocks, and a short last one
    ((20, 6), 1024, 1537),
)


def all_cases(names):
    """Every width as input, hidden layer and output of 1 to 5 layers; whole, short and oversized batches."""
    for i in range(len(WIDTHS)):
        for depth in range(1, 6):
            sizes = tuple(WIDTHS[(i + j * (2 * depth + 1)) % len(WIDTHS)] for j in range(depth + 1))
            batch = BATCHES[(i + 5 * depth) % len(BATCHES)]
            n = (2 * batch, 2 * batch + 1 + batch // 3, batch // 2 + 1)[(i + depth) % 3]
            yield Case(sizes, batch, n, tuple(names[(i + j) % len(names)] for j in range(depth)))
    for sizes, batch, n in LARGE:
        yield Case(sizes, batch, n, tuple(names[j % len(names)] for j in range(len(sizes) - 1)))


RAGGED = list(all_cases(("sigmoid",)))
MIXED = list(all_cases(tuple(name for name in ACTIVATIONS if name != "exponential")))
some = pytest.mark.parametrize("case", [Case((33, 17, 9, 10), 13, 45, ("tanh", "relu", "sigmoid"))], ids=str)

# ---------------------------------------------------------------- runs


class Experiment(NamedTuple):
    weights: list
    biases: list
    X: np.ndarray
    Y: np.ndarray
    orders: list

    @property
    def data(self):
        return Data(self.X, self.Y, 255.0)

    def engine(self, case, members=1, **recipe):
        return Harness(case.sizes, case.names, self.weights, self.biases, case.batch, members, **recipe)

    def gradient(self, case, members=1):
        """The gradient of the mean cost of all samples as one batch, by weights and by biases."""
        engine = self.engine(case, members)
        engine.poison()
        engine.train(self.data, self.orders[0], (0, case.n), 1.0, losses=False)
        weights, biases = engine.unpack()
        return (
            [before - after for before, after in zip(self.weights, weights, strict=True)],
            [before - after for before, after in zip(self.biases, biases, strict=True)],
        )


def experiment(case, dtype, epochs=2, seed=0):
    """Numbers of moderate size, so that every activation stays away from its flat ends."""
    rng = np.random.default_rng([seed, *case.sizes])
    layers = list(pairwise(case.sizes))
    weights = [(rng.normal(size=(j, k)) / math.sqrt(k)).astype(dtype) for k, j in layers]
    biases = [rng.normal(size=(j, 1)).astype(dtype) for _, j in layers]
    X, Y = (rng.uniform(-1, 1, (case.n, width)).astype(dtype) for width in (case.sizes[0], case.sizes[-1]))
    return Experiment(weights, biases, X, Y, [rng.permutation(case.n) for _ in range(epochs)])


def train(engine, data, orders, rate=0.5, batches=10**6):
    """Whole epochs, `batches` of them per call; the running cost after each call."""
    costs = []
    for order in orders:
        for first in range(0, len(order), batches * engine.batch):
            last = min(len(order), first + batches * engine.batch)
            assert engine.train(data, order, (first, last), rate) == last
            costs.append(engine.cost)
        engine.epoch += -(-len(order) // engine.batch)
    return costs


def trained(case, dtype, members=1, change=lambda engine: None, rate=0.5, batches=10**6, **recipe):
    """An engine after a run; `change` is called with it before."""
    run = experiment(case, dtype)
    engine = run.engine(case, members, **recipe)
    change(engine)
    train(engine, run.data, run.orders, rate, batches)
    return engine


def bits(*arguments, **keywords):
    """The result of `trained`, comparable to the bit."""
    engine = trained(*arguments, **keywords)
    return engine.parameters.tobytes(), engine.state.tobytes(), engine.cost


def in_new_process(call, **environment):
    """The value of a call such as "test_bits.fingerprints(9)" in another process, through JSON."""
    support, module = Path(__file__).parent, call.split(".")[0]
    folder = Path(sys.modules[module].__file__).parent
    code = f"import json, {module}; print(json.dumps({call}))"
    path = os.pathsep.join(map(str, (Path(fastbp.__file__).parents[1], folder, support)))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
