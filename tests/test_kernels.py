"""The compiled kernels, through `fastbp.engine`: against the reference, against themselves, to the bit.

Letters: n samples, m batch, k inputs, j outputs of a layer.
"""

import ast
import ctypes
import hashlib
import importlib
import json
import math
import mmap
import os
import platform
import random
import subprocess
import sys
from itertools import pairwise, product
from pathlib import Path
from typing import NamedTuple

import llvmlite.binding as llvm
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numba.core.dispatcher import Dispatcher

import fastbp
import fastbp.engine
import fastbp.layout
import reference
from fastbp.engine import Architecture, Data, Engine
from fastbp.kernels import step, team, tiles
from fastbp.kernels.math import ACTIVATION_CODES
from fastbp.kernels.random import shuffle
from fastbp.layout import BLOCK
from reference import fit_reference, one_hot

DTYPES = ["float32", "float64"]
dtypes = pytest.mark.parametrize("dtype", DTYPES)
SOURCES = sorted(Path(fastbp.__file__).parent.rglob("*.py"))

# ---------------------------------------------------------------- one run, in any way it may be done


class Case(NamedTuple):
    sizes: tuple
    batch: int
    n: int
    names: tuple  # of the activations, one a layer

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
MIXED = list(all_cases(tuple(ACTIVATION_CODES)))
some = pytest.mark.parametrize("case", [Case((33, 17, 9, 10), 13, 45, ("tanh", "relu", "sigmoid"))], ids=str)


class Experiment(NamedTuple):
    weights: list
    biases: list
    X: np.ndarray
    Y: np.ndarray
    orders: list

    def engine(self, case, members=1):
        dtype = self.weights[0].dtype
        architecture = Architecture(case.sizes, case.names, dtype)
        return Engine(architecture, self.weights, self.biases, case.batch, members)


def experiment(case, dtype, epochs=2, seed=0):
    """Numbers of moderate size, so that every activation stays away from its flat ends."""
    rng = np.random.default_rng([seed, *case.sizes])
    layers = list(pairwise(case.sizes))
    weights = [(rng.normal(size=(j, k)) / math.sqrt(k)).astype(dtype) for k, j in layers]
    biases = [rng.normal(size=(j, 1)).astype(dtype) for _, j in layers]
    X, Y = (rng.uniform(-1, 1, (case.n, width)).astype(dtype) for width in (case.sizes[0], case.sizes[-1]))
    return Experiment(weights, biases, X, Y, [rng.permutation(case.n) for _ in range(epochs)])


def train(engine, data, orders, rate=0.5, batches=10**6):
    """Whole epochs, `batches` a call; the running cost after each call."""
    losses, costs = engine.new_losses(), []
    for order in orders:
        for first in range(0, len(order), batches * engine.batch_size):
            last = min(len(order), first + batches * engine.batch_size)
            assert engine.train(data, order, (first, last), rate, losses) == last
            costs.append(float(losses[0]))
    return costs


def trained(case, dtype, members=1, change=lambda engine: None, **keywords):
    """An engine after a run, and the cost of that run."""
    run = experiment(case, dtype)
    engine = run.engine(case, members)
    change(engine)
    return engine, train(engine, Data(run.X, run.Y, 255.0), run.orders, **keywords)[-1]


def poison(engine):
    engine._scratch[...] = np.nan


def bits(*arguments, **keywords):
    """What `trained` gives, comparable to the bit."""
    engine, cost = trained(*arguments, **keywords)
    return engine.parameters.tobytes(), cost


TOLERANCE = {"float32": {"rtol": 2e-5, "atol": 2e-6}, "float64": {"rtol": 1e-11, "atol": 1e-13}}


@dtypes
@pytest.mark.parametrize("case", RAGGED, ids=str)
def test_whole_run(case, dtype):
    run = experiment(case, dtype)
    engine, _ = trained(case, dtype, change=poison)
    expected = fit_reference(run.weights, run.biases, run.X, run.Y, run.orders, case.batch, 0.5, dtype)
    for found, wanted in zip(engine.unpack(), expected, strict=True):
        for a, b in zip(found, wanted, strict=True):
            assert a.dtype == b.dtype and a.shape == b.shape
            np.testing.assert_allclose(a, b, **TOLERANCE[dtype])
    again = engine._layout.pack(*engine.unpack())  # with fresh zeros between the panels
    np.testing.assert_array_equal(engine.parameters, again, "padding is no longer zero")


@dtypes
@pytest.mark.parametrize("case", MIXED, ids=str)
def test_members_poison_and_chunks_change_no_bit(case, dtype):
    expected = bits(case, dtype)
    for members in (2, 3, 4):
        assert bits(case, dtype, members, poison) == expected
    assert bits(case, dtype, 1, poison, batches=1) == expected


@some
@dtypes
@pytest.mark.parametrize("members", [8, 64])
def test_many_more_members_than_cores(case, dtype, members):
    assert bits(case, dtype, members) == bits(case, dtype)


@some
@dtypes
@pytest.mark.parametrize("batches", [1, 2, 3])
@pytest.mark.parametrize("members", [1, 3])
def test_chunks_of_any_length(case, dtype, batches, members):
    assert bits(case, dtype, members, batches=batches) == bits(case, dtype)


@some
@dtypes
def test_a_span_of_places_is_a_run_on_those_rows(case, dtype):
    """train(..., (first, last)) reads nothing of the order but order[first:last]."""
    run = experiment(case, dtype)
    data, order = Data(run.X, run.Y, 255.0), run.orders[0]
    part, alone = run.engine(case), run.engine(case)
    assert part.train(data, order, (11, 34), 0.5) == 34
    assert alone.train(data, order[11:34].copy(), (0, 23), 0.5) == 23
    np.testing.assert_array_equal(part.parameters, alone.parameters)
    assert part.train(data, order, (20, 20), 0.5) == 20
    np.testing.assert_array_equal(part.parameters, alone.parameters)


@dtypes
@pytest.mark.parametrize("case", RAGGED[::3], ids=str)
def test_inference_against_numpy(case, dtype):
    run = experiment(case, dtype)
    expected, _ = forward(run.weights, run.biases, case.names, run.X)
    found = run.engine(case).outputs(run.X, 255.0)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, **TOLERANCE[dtype])


@dtypes
@pytest.mark.parametrize("n", [0, 1, 2, 95, 96, 97, 191, 192, 193, 500])
def test_inference_of_a_row_depends_on_nothing_else(n, dtype):
    case = Case((17, 33, 9), 4, 500, ("tanh", "sigmoid"))
    run = experiment(case, dtype)
    engine = run.engine(case)
    one_by_one = np.concatenate([engine.outputs(x[np.newaxis], 255.0) for x in run.X])
    for members in (1, 2, 3, 7):
        found = engine.outputs(run.X[:n], 255.0, members)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, one_by_one[:n])


# ---------------------------------------------------------------- the user's rows: types, divisors, labels

SMALL = Case((19, 12, 10), 7, 30, ("sigmoid", "sigmoid"))


def run_on(X, Y, dtype, divisor=1.0):
    run = experiment(SMALL, dtype)
    engine = run.engine(SMALL)
    cost = train(engine, Data(X, Y, divisor), run.orders)[-1]
    return engine.parameters.tobytes(), cost, engine.outputs(X, divisor).tobytes()


@dtypes
def test_input_types_of_equal_values_give_equal_bits(dtype):
    X = np.random.default_rng(0).integers(0, 5, (SMALL.n, SMALL.sizes[0]))
    Y = experiment(SMALL, "float32").Y
    runs = [
        run_on(X.astype(kind), Y.astype(y_kind), dtype)
        for kind in ("uint8", "float32", "float64")
        for y_kind in DTYPES
    ]
    assert all(run == runs[0] for run in runs)


@dtypes
def test_float64_input_is_rounded_to_float32_and_float32_is_widened(dtype):
    run = experiment(SMALL, "float64")
    runs = [run_on(X, run.Y, dtype) for X in (run.X, run.X.astype("float32"))]
    wider = run_on(run.X.astype("float32").astype("float64"), run.Y, dtype)
    assert runs[1] == wider
    assert (runs[0] == runs[1]) is (dtype == "float32")


@dtypes
@pytest.mark.parametrize("outputs", [1, 2, 8, 9, 16, 17, 33, 100])
def test_labels_are_one_hot_targets(outputs, dtype):
    case = Case((5, outputs), 7, 2 * outputs + 3, ("sigmoid",))
    run = experiment(case, dtype)
    labels = np.arange(case.n) % outputs
    engines = [run.engine(case), run.engine(case)]
    costs = [
        train(engine, Data(run.X, Y, 255.0), run.orders)[-1]
        for engine, Y in zip(engines, (labels, one_hot(labels, outputs)), strict=True)
    ]
    assert costs[0] == costs[1]
    np.testing.assert_array_equal(engines[0].parameters, engines[1].parameters)


def read_through(X, divisor, dtype):
    """X as the kernels read it: outputs of the identity."""
    k = X.shape[1]
    architecture = Architecture((k, k), ("linear",), np.dtype(dtype))
    return Engine(architecture, [np.eye(k)], [np.zeros((k, 1))]).outputs(X, divisor)


EVERY_BYTE = np.arange(256, dtype=np.uint8)


@dtypes
@pytest.mark.parametrize("k", [1, 7, 32, 47, 256])
def test_bytes_divided_by_255_are_correctly_rounded(k, dtype):
    X = np.resize(EVERY_BYTE, (-(-256 // k), k))
    np.testing.assert_array_equal(read_through(X, 255.0, dtype), X.astype(dtype) / np.dtype(dtype).type(255))


def divisors(dtype):
    """Every small integer, and numbers of any size that neither they nor their reciprocals leave `dtype`."""
    sizes = 10 ** np.random.default_rng(0).uniform(-30, 30, 1500)
    return [*range(1, 1025), *(float(x) for x in sizes.astype(dtype))]


@dtypes
def test_bytes_divided_by_anything_are_correctly_rounded(dtype):
    exact = EVERY_BYTE.astype(dtype)
    for divisor in divisors(dtype):
        found = read_through(EVERY_BYTE[:, np.newaxis], float(divisor), dtype)[:, 0]
        np.testing.assert_array_equal(found, exact / np.dtype(dtype).type(divisor), f"divided by {divisor!r}")


# ---------------------------------------------------------------- memory

CANARY = -12345.0
GUARD = 1024  # numbers on either side, a whole number of cache lines


class Guarded:
    """Stands for ``layout.aligned_zeros``; every allocation lies between two guard zones."""

    def __init__(self, aligned_zeros):
        self.aligned_zeros, self.blocks = aligned_zeros, []

    def __call__(self, size, dtype):
        block = self.aligned_zeros(size + 2 * GUARD, dtype)
        block[:GUARD] = block[GUARD + size :] = CANARY
        self.blocks.append(block)
        return block[GUARD : GUARD + size]

    def check(self):
        for block in self.blocks:
            assert (block[:GUARD] == CANARY).all() and (block[-GUARD:] == CANARY).all()


@pytest.fixture
def guarded(monkeypatch):
    allocate = Guarded(fastbp.layout.aligned_zeros)
    monkeypatch.setattr(fastbp.layout, "aligned_zeros", allocate)
    monkeypatch.setattr(fastbp.engine, "aligned_zeros", allocate)
    return allocate


@dtypes
@pytest.mark.parametrize("members", [1, 3])
def test_nothing_is_written_outside_parameters_and_scratch(members, dtype, guarded):
    for case in MIXED:
        run = experiment(case, dtype)
        engine, _ = trained(case, dtype, members, poison)
        engine.outputs(run.X, 255.0, members)
        assert len(guarded.blocks) >= 3  # parameters, scratch, and a scratch to infer
        guarded.check()
        guarded.blocks.clear()


@dtypes
def test_losses_are_written_up_to_the_batch(dtype):
    case = Case((9, 17), 13, 8, ("sigmoid",))  # fewer samples than the batch has room for
    run = experiment(case, dtype)
    room = np.full(2 * GUARD, CANARY)
    losses = room[GUARD : GUARD + 1 + case.batch]
    losses[0] = 0.0
    run.engine(case, 2).train(Data(run.X, run.Y, 255.0), run.orders[0], (0, case.n), 0.5, losses)
    assert (losses[: 1 + case.n] > 0).all()
    assert (losses[1 + case.n :] == CANARY).all()
    assert (room[:GUARD] == CANARY).all() and (room[GUARD + 1 + case.batch :] == CANARY).all()


@dtypes
@pytest.mark.parametrize(("first", "last"), [(0, 0), (0, 1), (3, 50), (7, 150), (0, 200)])
def test_inference_writes_its_rows_alone(first, last, dtype):
    case = Case((9, 33), 96, 200, ("sigmoid",))
    run = experiment(case, dtype)
    engine = run.engine(case)
    out = np.full((case.n, 33), CANARY, dtype)
    net = step.Net(engine.parameters, engine._scratch, engine._layout.plan)
    step.infer(np.dtype(dtype))(net, fastbp.engine._rows(run.X, 9, 255.0), out, first, last)
    np.testing.assert_array_equal(out[first:last], engine.outputs(run.X, 255.0)[first:last])
    assert (out[:first] == CANARY).all() and (out[last:] == CANARY).all()


def before_a_forbidden_page(array):
    """A copy of `array` that ends where memory may not be read."""
    page = mmap.PAGESIZE
    room = -(-array.nbytes // page) * page
    memory = mmap.mmap(-1, room + page)
    raw = np.frombuffer(memory, np.uint8)
    forbidden = ctypes.c_void_p(raw.ctypes.data + room)
    assert ctypes.CDLL(None).mprotect(forbidden, ctypes.c_size_t(page), 0) == 0  # 0 is PROT_NONE
    copy = raw[room - array.nbytes : room].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def read_up_to_forbidden_pages():
    """Trains and infers where one byte too far ends the process."""
    for case in MIXED[::4]:
        for dtype in DTYPES:
            run = experiment(case, dtype)
            engine = run.engine(case, members=2)
            engine.parameters = before_a_forbidden_page(engine.parameters)
            engine._scratch = before_a_forbidden_page(engine._scratch)
            order = before_a_forbidden_page(run.orders[0])
            labels = np.arange(case.n) % case.sizes[-1]
            for kind in ("uint8", *DTYPES):
                X, *targets = map(before_a_forbidden_page, (run.X.astype(kind), run.Y, labels))
                for Y in targets:
                    engine.train(Data(X, Y, 255.0), order, (0, case.n), 0.5, engine.new_losses())
                engine.outputs(X, 255.0)


@pytest.mark.skipif(sys.platform == "win32", reason="mprotect")
def test_nothing_is_read_outside_the_arrays():
    in_new_process("read_up_to_forbidden_pages()")


def in_new_process(expression, **environment):
    """The value of an expression of this file's, through JSON."""
    tests = Path(__file__).parent
    code = f"import json, test_kernels; print(json.dumps(test_kernels.{expression}))"
    path = os.pathsep.join(map(str, (Path(fastbp.__file__).parents[1], tests)))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, **environment},
        cwd=tests,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# ---------------------------------------------------------------- activations

EXTENDED = pytest.mark.skipif(
    np.finfo(np.longdouble).nmant < 63, reason="long double is no wider than double"
)


def activations_of(name, z, bias=0.0):
    """activation(z) by the kernels, in every lane of ragged panels."""
    architecture = Architecture((1, 49), (name,), z.dtype)
    engine = Engine(architecture, [np.ones((49, 1))], [np.full((49, 1), bias)])
    outputs = engine.outputs(z[:, np.newaxis], 1.0, 2)
    np.testing.assert_array_equal(outputs, np.repeat(outputs[:, :1], 49, axis=1), "lanes differ")
    return outputs[:, 0]


def exact(name, z):
    z = z.astype(np.longdouble)
    e = np.exp(-np.abs(z))
    return {
        "sigmoid": lambda: np.where(z >= 0, 1, e) / (1 + e),
        "tanh": lambda: np.tanh(z),
        "relu": lambda: np.maximum(z, 0),
        "linear": lambda: z,
    }[name]()


def arguments(dtype):
    """Evenly spread where the functions bend, and in their logarithm down to the smallest number."""
    rng = np.random.default_rng(0)
    info = np.finfo(dtype)
    smallest, largest = np.log(float(info.smallest_normal)) - 15, np.log(float(info.max))
    logarithmic = np.exp(rng.uniform(smallest, largest, 20_000)) * rng.choice([-1, 1], 20_000)
    linear = [rng.uniform(-reach, reach, 20_000) for reach in (1, 20, 110, 800)]
    return np.concatenate([logarithmic, *linear]).astype(dtype)


ULPS = {"sigmoid": 2.5, "tanh": 3.0, "relu": 0.0, "linear": 0.0}


@EXTENDED
@dtypes
@pytest.mark.parametrize("name", ACTIVATION_CODES)
def test_accuracy_of_activation(name, dtype):
    """In units of the last place; numbers too small to be normal may be 0."""
    z = arguments(dtype)
    wanted, found = exact(name, z), activations_of(name, z)
    tiny = np.finfo(dtype).smallest_normal
    ulp = np.spacing(np.maximum(np.abs(wanted), tiny).astype(dtype)).astype(np.longdouble)
    error = np.abs(found - wanted) / ulp
    normal = (np.abs(wanted) > 2 * tiny) | (name != "sigmoid")
    worst = np.argmax(np.where(normal, error, 0))
    assert error[worst] <= ULPS[name], f"{name}({z[worst]!r}) = {found[worst]!r}: {error[worst]} ULP"
    assert (found[~normal] <= 2.01 * tiny).all()
    assert (found[~normal] >= 0).all()


@dtypes
def test_symmetry_and_range(dtype):
    z = arguments(dtype)
    tanh, sigmoid = activations_of("tanh", z), activations_of("sigmoid", z)
    np.testing.assert_array_equal(activations_of("tanh", -z), -tanh)
    assert (np.abs(tanh) <= 1).all() and ((sigmoid >= 0) & (sigmoid <= 1)).all()
    ordered = np.sort(z)
    steps = np.diff(activations_of("sigmoid", ordered))
    assert (steps >= -4 * np.finfo(dtype).eps).all()


SPECIAL = [  # z; sigmoid, tanh, relu, linear
    (0.0, (0.5, 0.0, 0.0, 0.0)),
    (-0.0, (0.5, 0.0, 0.0, -0.0)),
    (math.inf, (1.0, 1.0, math.inf, math.inf)),
    (-math.inf, (0.0, -1.0, 0.0, -math.inf)),
    (math.nan, (math.nan,) * 4),
    (1e38, (1.0, 1.0, 1e38, 1e38)),
    (-1e38, (0.0, -1.0, 0.0, -1e38)),
    (1e-40, (0.5, 1e-40, 1e-40, 1e-40)),  # no longer normal in float32
    (-1e-40, (0.5, -1e-40, 0.0, -1e-40)),
]


@dtypes
@pytest.mark.parametrize(("z", "values"), SPECIAL)
def test_special_values(z, values, dtype):
    for name, wanted in zip(ACTIVATION_CODES, values, strict=True):
        found = activations_of(name, np.array([z], dtype), bias=-0.0)  # z + 0 would lose the sign of -0
        np.testing.assert_array_equal(found, np.array([wanted], dtype), name)
        if name == "linear" and not math.isnan(z):
            assert np.signbit(found[0]) == np.signbit(z)


@dtypes
def test_least_and_greatest_numbers(dtype):
    info = np.finfo(dtype)
    z = np.array([info.smallest_subnormal, info.max], dtype)
    for sign in (1, -1):
        np.testing.assert_array_equal(activations_of("tanh", sign * z), sign * np.array([z[0], 1]))
        np.testing.assert_array_equal(activations_of("sigmoid", sign * z), [0.5, sign > 0])


# ---------------------------------------------------------------- gradient and cost

FUNCTIONS = {
    "sigmoid": reference.sigmoid,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "linear": lambda z: z,
}
STEP = 2e-5  # of the central differences


def forward(weights, biases, names, X):
    """Outputs, and which side of its kink every relu is on."""
    a, sides = X, []
    for w, b, name in zip(weights, biases, names, strict=True):
        z = a @ w.T + b.T
        if name == "relu":
            sides.append(z > 0)
        a = FUNCTIONS[name](z)
    return a, sides


def difference_along(run, names, array, direction):
    """The central difference of the mean cost as `array` moves in `direction`; None across a kink."""
    costs, sides = [], []
    for sign in (1, -1):
        array += sign * STEP * direction
        a, side = forward(run.weights, run.biases, names, run.X)
        array -= sign * STEP * direction
        costs.append(0.5 * np.sum((a - run.Y) ** 2) / len(a))
        sides.append(side)
    if not all(map(np.array_equal, *sides)):
        return None
    return (costs[0] - costs[1]) / (2 * STEP)


def directions(rng, shape):
    """Of length 1: all numbers at once, in two ways, and five alone."""
    yield from rng.choice([-1.0, 1.0], (2, *shape)) / math.sqrt(math.prod(shape))
    for place in rng.integers(math.prod(shape), size=5):
        alone = np.zeros(shape)
        alone.flat[place] = 1.0
        yield alone


@pytest.mark.parametrize("output", ACTIVATION_CODES)
@pytest.mark.parametrize("hidden", ACTIVATION_CODES)
@given(
    sizes=st.lists(st.integers(1, 64), min_size=2, max_size=7),
    m=st.integers(1, 37),
    members=st.integers(1, 2),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=30, deadline=None)
def test_gradient_against_central_differences(hidden, output, sizes, m, members, seed):
    names = (hidden,) * (len(sizes) - 2) + (output,)
    case = Case(tuple(sizes), m, m, names)
    run = experiment(case, "float64", 1, seed)
    engine = run.engine(case, members)
    poison(engine)
    engine.train(Data(run.X, run.Y, 255.0), run.orders[0], (0, m), 1.0)
    compared = 0
    rng = np.random.default_rng(seed)
    for arrays, after in zip((run.weights, run.biases), engine.unpack(), strict=True):
        for array, new in zip(arrays, after, strict=True):
            gradient = array - new
            atol = 1e-9 + 1e-6 * float(np.linalg.norm(gradient))
            for direction in directions(rng, array.shape):
                slope = difference_along(run, names, array, direction)
                if slope is not None:
                    compared += 1
                    np.testing.assert_allclose(np.sum(gradient * direction), slope, 1e-5, atol)
    assume(compared)


@dtypes
@pytest.mark.parametrize("case", MIXED[::2], ids=str)
def test_loss_is_the_mean_quadratic_cost(case, dtype):
    """With the weights before each batch; the kernel's own outputs, so float32 is held to float64 as well."""
    run = experiment(case, dtype)
    engine, data = run.engine(case), Data(run.X, run.Y, 255.0)
    losses, order, wanted = engine.new_losses(), run.orders[0], 0.0
    for first in range(0, case.n, case.batch):
        rows = order[first : first + case.batch]
        error = engine.outputs(run.X[rows], 255.0).astype(np.float64) - run.Y[rows]
        engine.train(data, order, (first, first + len(rows)), 0.5, losses)
        costs = 0.5 * np.sum(error**2, axis=1)
        last = costs[(len(rows) - 1) // BLOCK * BLOCK :]
        kept = losses[1 : 1 + len(last)]  # of the last block
        np.testing.assert_allclose(kept, last, 1e-14)
        for loss in [*costs[: len(rows) - len(last)], *kept]:
            wanted += loss
        if len(rows) <= BLOCK:
            assert losses[0] == wanted  # in the order of the samples, to the bit
        np.testing.assert_allclose(losses[0], wanted, 1e-13)
        wanted = losses[0]


@dtypes
@pytest.mark.parametrize("members", [1, 2])
def test_training_stops_before_the_update_of_a_batch_without_a_finite_cost(dtype, members):
    case = Case((3, 5, 2), 4, 18, ("relu", "linear"))
    run = experiment(case, dtype)
    order = np.arange(case.n)
    run.X[9, 1] = np.inf
    engine, stopped = run.engine(case, members), run.engine(case)
    losses = engine.new_losses()
    assert engine.train(Data(run.X, run.Y, 255.0), order, (0, case.n), 0.5, losses) == 8
    stopped.train(Data(run.X, run.Y, 255.0), order, (0, 8), 0.5)
    np.testing.assert_array_equal(engine.parameters, stopped.parameters)
    assert not np.isfinite(losses[0])


# ---------------------------------------------------------------- a member's walk through its share


def walked(vectors, most, others, reused, member):
    """The units (panel, other) of a member, in its order."""
    mine = tiles.share_of(vectors, most, others, reused, member)
    for number in range(tiles.PARTS):
        place = tiles.begin_of(number, mine)
        for _ in range(tiles.units(place)):
            yield place.panel, place.other
            place = tiles.after(place, mine)


@pytest.mark.parametrize("members", [1, 2, 3, 8])
@pytest.mark.parametrize("reused", [1, tiles.CACHED // 2, tiles.CACHED])
def test_walks_are_all_units_once_and_weigh_the_same(members, reused):
    for vectors, most, others in product((1, 2, 5, 7, 16), (1, 2), (1, 3, 11)):
        walks = [list(walked(vectors, most, others, reused, team.Member(n, members))) for n in range(members)]
        panels = -(-vectors // most)
        assert sorted(unit for walk in walks for unit in walk) == list(product(range(panels), range(others)))
        weights = [sum(min(most, vectors - panel * most) for panel, _ in walk) for walk in walks]
        assert max(weights) - min(weights) <= 2 * most


# ---------------------------------------------------------------- shuffle


def numbers_of_places():
    powers = {2**power + offset for power in range(1, 13) for offset in (-1, 0, 1)}
    return sorted({*range(10), *powers, 623, 624, 625, 5000})


@pytest.mark.parametrize("n", numbers_of_places())
def test_shuffle_is_that_of_the_standard_library(n):
    for seed in range(5):
        random.seed(seed)
        for _ in range(seed * 157):  # begin at different words of the generator's block
            random.random()
        version, words, gauss = random.getstate()
        state, order, expected = np.array(words, np.uint32), np.arange(n), list(range(n))
        shuffle(None)(state, order)
        random.shuffle(expected)
        assert order.tolist() == expected
        assert random.getstate() == (version, tuple(state.tolist()), gauss)


# ---------------------------------------------------------------- the same bits on every CPU


def digest(*arrays):
    """SHA-256 of the numbers, little-endian."""
    hashed = hashlib.sha256()
    for array in arrays:
        hashed.update(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes())
    return hashed.hexdigest()


def fingerprints(most=math.inf):
    """{case and dtype: hash of weights, biases and cost}, for cases of at most so many products."""
    found = {}
    for case in MIXED:
        if case.n * sum(k * j for k, j in pairwise(case.sizes)) > most:
            continue
        for dtype in DTYPES:
            engine, cost = trained(case, dtype)
            weights, biases = engine.unpack()
            found[f"{case}, {dtype}"] = digest(*weights, *biases, np.float64([cost]))
    return found


def runs_here(features):
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    available = llvm.get_host_cpu_features()
    return all(available.get(feature) for feature in features)


@pytest.mark.parametrize(
    ("cpu", "needs", "most"),
    [("haswell", ["avx2", "fma"], 10**9), ("x86-64", [], 10**6)],  # slow, without an instruction for FMA
    ids=["haswell", "x86-64"],
)
def test_other_cpus_give_the_same_bits(cpu, needs, most):
    if not runs_here(needs):
        pytest.skip(f"this machine does not run code for {cpu}")
    there = in_new_process(f"fingerprints({most})", NUMBA_CPU_NAME=cpu, NUMBA_CPU_FEATURES="")
    assert len(there) > 100
    assert there == fingerprints(most)


def dyadic(shape, seed, dtype):
    """Numbers between -1 and 1 from integers alone: exact, and the same everywhere."""
    places = np.arange(math.prod(shape), dtype=np.int64).reshape(shape)
    return (((places * 2654435761 + seed * 40503) % 4096 - 2048) / 2048).astype(dtype)


GOLDEN_CASES = {
    "sigmoid": Case((19, 33, 16, 5), 13, 60, ("sigmoid",) * 3),
    "tanh": Case((19, 33, 16, 5), 13, 60, ("tanh", "tanh", "sigmoid")),
    "relu": Case((19, 33, 16, 5), 13, 60, ("relu", "relu", "linear")),
    "linear": Case((19, 33, 16, 5), 13, 60, ("linear", "linear", "sigmoid")),
    "large": Case((150, 70, 10), 300, 330, ("tanh", "sigmoid")),
}


def golden_run(case, dtype, members):
    layers = list(enumerate(pairwise(case.sizes)))
    weights = [dyadic((j, k), seed, dtype) / 4 for seed, (k, j) in layers]
    biases = [dyadic((j, 1), seed + 10, dtype) for seed, (_, j) in layers]
    k, j = case.sizes[0], case.sizes[-1]
    X = (np.arange(case.n * k, dtype=np.int64) * 97 % 256).astype(np.uint8).reshape(case.n, k)
    orders = [(np.arange(case.n) * 7 + epoch) % case.n for epoch in range(4)]
    run = Experiment(weights, biases, X, np.arange(case.n) % j, orders)
    engine = run.engine(case, members)
    costs = train(engine, Data(run.X, run.Y, 255.0), orders, 0.25)
    weights, biases = engine.unpack()
    return digest(*weights, *biases, engine.outputs(X, 255.0), np.float64(costs))


# Hold on every machine and for every release. A change of these bits breaks the promise that a seed, data and
# a version give the same bits on any CPU; where it is meant, it is a new version and goes to the changelog.
GOLDEN = {
    "float32": {
        "sigmoid": "a758fcdd598a453add6a93d1f10f2f72168e2aa10c1e00bec04b06014c3f6fc6",
        "tanh": "b232eeebb5c4799a96627acd27333c2a409b0b849f391b8a0c4b07b265452ece",
        "relu": "86ec1240abfe0cbdd56942b067484d1c04e80f26deb6d12f4eead39fb80da82b",
        "linear": "04d671282fe56c1e152502b770cfeeb2ea53be924a666492e476a6534b3830eb",
        "large": "d24c14affad870a29db303a7542234a4bcd92ad29ad4d686ce802cef37170d31",
    },
    "float64": {
        "sigmoid": "f3f69419724f731eb152348151ac0a8f7f0b81479e7dcba9354d9a31919a33e8",
        "tanh": "9bf8a51d0098f1f4efbee4591f8cb490261814fe041ed29a6423a58f9b4d4282",
        "relu": "2fb58fb488252674a4618061b3386ddbd3d34a0bc10d3f34156cc9c28e9ad106",
        "linear": "dcadbaa4071b173043c1bcb5c1907327a73819ab8284276c0f14607f59798d8f",
        "large": "992d75ed050d2e929c512093232cc67fc921a5379be960413e2e09ba0fbaa6d4",
    },
}


@dtypes
@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("name", GOLDEN_CASES)
def test_golden_hashes(name, members, dtype):
    assert golden_run(GOLDEN_CASES[name], dtype, members) == GOLDEN[dtype][name]


# ---------------------------------------------------------------- how everything is compiled

JIT = Path("kernels", "jit.py")
COMPILERS = {"njit", "jit", "vectorize", "guvectorize", "cfunc", "stencil", "generated_jit", "jitclass"}
LOOSE = {"fast", "nnan", "ninf", "nsz", "arcp", "contract", "afn", "reassoc"}  # LLVM's fast-math flags
modules = pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)


def nodes(path, kind):
    return [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, kind)]


@modules
def test_one_place_decides_how_code_is_compiled(path):
    if path.match(str(JIT)):
        return
    imports = [alias for node in nodes(path, ast.Import) for alias in node.names]
    numba = {alias.asname or alias.name for alias in imports if alias.name == "numba"}
    used = {node.attr for node in nodes(path, ast.Attribute) if getattr(node.value, "id", None) in numba}
    for node in nodes(path, ast.ImportFrom):
        if node.module and node.module.split(".")[0] == "numba":
            used |= {alias.name for alias in node.names}
    assert not used & COMPILERS


@modules
def test_no_fastmath_anywhere(path):
    settings_ = [
        (key.value, value)
        for node in nodes(path, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant)
    ]
    settings_ += [(word.arg, word.value) for node in nodes(path, ast.Call) for word in node.keywords]
    for name, value in settings_:
        assert name != "flags", f"line {value.lineno}: flags of an LLVM instruction"
        if name == "fastmath":
            assert isinstance(value, ast.Constant) and value.value is False
    assert not LOOSE & {node.value for node in nodes(path, ast.Constant) if isinstance(node.value, str)}


def inlined_functions():
    """{where: jit function} of every module of kernels."""
    names = [path.stem for path in SOURCES if path.parent.name == "kernels" and path.stem != "__init__"]
    return {
        f"{name}.{key}": value
        for name in names
        for key, value in vars(importlib.import_module(f"fastbp.kernels.{name}")).items()
        if isinstance(value, Dispatcher)
    }


@pytest.mark.parametrize("where", INNER := inlined_functions())
def test_options_of_inlined_functions(where):
    function = INNER[where]
    options = function.targetoptions
    assert options.get("nogil") is True
    assert options.get("error_model") == "numpy"
    assert not options.get("fastmath") and not options.get("parallel")
    assert function.py_func.__defaults__ is None and function.py_func.__kwdefaults__ is None
