"""Products of bfloat16: the bits that matrix units make, and training by them."""

import re
from functools import partial
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir
from numba import njit

import machine_code
from fastbp import Network
from fastbp.engine.kernels import groups
from fastbp.engine.kernels.bfloat16 import BFLOAT16
from fastbp.engine.kernels.microkernel import dot, dot_rows, outer
from fastbp.engine.kernels.operands import Strided, if_wanted
from fastbp.engine.kernels.records import LAYER
from fastbp.engine.kernels.step import round_parameters
from fastbp.engine.kernels.vector import constants, pointer
from reference_bfloat16 import (
    exact_fma,
    flushed,
    forward,
    gradient,
    penalised_step,
    product,
    rounded,
    step,
)

TILES = Path(__file__).with_name("tdpbf16ps.npz")  # 80 products of TDPBF16PS, as an Emerald Rapids made them


@njit
def sizes_of(x):
    nr, lanes = constants(pointer(x, 0))
    return nr, lanes, dot_rows(pointer(x, 0), pointer(x, 0))


@njit
def dots(c, start, x, w, terms):
    """c[i] = start[i] + x[:, i] w, in tiles; x is in panels [panel, row, column]."""
    nr, lanes, most = sizes_of(c)
    mark = pointer(c, 0)
    rows = x.shape[1]
    for first in range(0, rows, most):
        height = min(most, rows - first)
        here = Strided(pointer(x, first * nr), rows * nr)
        begin = Strided(pointer(start, first * nr), nr)
        dot(mark, height, nr // lanes, pointer(c, first * nr), begin, here, pointer(w, 0), terms)


@njit
def outers(w, x, d, terms, scale, kept, rounds):
    nr, lanes, _ = sizes_of(w)
    here = Strided(if_wanted(pointer(rounds, 0), rounds.size > 1), 0)
    q = Strided(pointer(d, 0), 0)
    outer(nr, here, (nr, nr // lanes), pointer(w, 0), pointer(x, 0), q, terms, scale, kept)


def floats(x):
    return (x.astype(np.uint32) << 16).view(np.float32)


def panels(x, columns):
    """(panels, rows, columns), padded with zeros."""
    count = -(-x.shape[1] // columns)
    padded = np.zeros((len(x), count * columns), np.float32)
    padded[:, : x.shape[1]] = x
    return np.ascontiguousarray(padded.reshape(len(x), count, columns).swapaxes(0, 1))


def same(found, wanted):
    """Whether bits are equal, whatever the bits of a NaN."""
    return (found.view(np.uint32) == wanted.view(np.uint32)) | (np.isnan(found) & np.isnan(wanted))


def dotted(start, p, q):
    """start + p q by the kernel's tiles: p (rows, terms), q (terms, columns)."""
    columns, _, _ = sizes_of(np.zeros(1, np.float32))
    result = np.empty((len(p), q.shape[1]), np.float32)
    for first in range(0, q.shape[1], columns):
        here = slice(first, first + columns)
        begin, w = (np.zeros((rows, columns), np.float32) for rows in (len(p), len(q)))
        begin[:, : q[:, here].shape[1]], w[:, : q[:, here].shape[1]] = start[:, here], q[:, here]
        c = np.full((len(p), columns), np.nan, np.float32)
        dots(c, begin, panels(p, columns), w, q.shape[0])
        result[:, here] = c[:, : result[:, here].shape[1]]
    return result


def test_golden_tiles():
    """20,480 numbers that the unit made: ordinary, huge, tiny, subnormal, infinite and NaN operands."""
    tiles = np.load(TILES)
    compared = equal = 0
    for A, B, C, D in zip(*(tiles[name] for name in "ABCD"), strict=True):
        q = floats(B).reshape(16, 16, 2).swapaxes(1, 2).reshape(32, 16)
        equal += int(same(dotted(C, floats(A), q), D).sum())
        compared += D.size
    assert (equal, compared) == (20_480, 20_480)


def test_the_reference_makes_the_golden_tiles():
    tiles = np.load(TILES)
    with np.errstate(all="ignore"):
        for A, B, C, D in zip(*(tiles[name] for name in "ABCD"), strict=True):
            q = floats(B).reshape(16, 16, 2).swapaxes(1, 2).reshape(32, 16)
            assert same(product(C, floats(A), q), D).all()


def drawn(rng, *shape, decades=0.0):
    return rounded(rng.standard_normal(shape) * 10.0 ** rng.uniform(-decades, 0, shape))


@pytest.mark.parametrize("terms", [1, 2, 3, 15, 16, 17, 31, 32, 33, 34, 63, 64, 65, 100, 128, 256, 257, 600])
def test_products_of_any_length(terms):
    rng = np.random.default_rng(terms)
    columns, _, most = sizes_of(np.zeros(1, np.float32))
    for rows in range(1, most + 2):
        p, q = drawn(rng, rows, terms, decades=30), drawn(rng, terms, columns, decades=20)
        start = rng.standard_normal((rows, columns)).astype(np.float32) * np.float32(1e-30)
        assert same(dotted(start, p, q), product(start, p, q)).all()
    if terms > 128:  # samples, which `outer` is never given
        return
    x, d = drawn(rng, terms, columns), drawn(rng, terms, columns)
    zeros = np.zeros((1, columns), np.float32)
    for scale, kept in ((1.0, 0.0), (-0.25, 1.0), (-0.1, 0.75)):
        w = rng.standard_normal((columns, columns)).astype(np.float32)
        before = np.zeros_like(w) if kept == 0 else w * np.float32(kept)
        wanted = exact_fma(product(zeros, x.T, d), np.float32(scale), before)
        for rounds in (np.zeros_like(w), np.zeros((1, 1), np.float32)):
            found = w.copy()
            outers(found, x, d, terms, scale, kept, rounds)
            assert same(found, wanted).all()
            assert same(rounds, rounded(found) if rounds.size > 1 else rounds * 0).all()


def test_a_missing_term_is_a_product_of_zeros():
    """Chains of -0 become 0 where a group is short, and stay where it is whole."""
    tiny, minus = np.float32(2.0**-100), np.float32(-0.0)
    for terms, sign in ((31, False), (32, True)):
        p = np.full((1, terms), -tiny, np.float32)
        q = np.full((terms, 8), tiny, np.float32)
        found = dotted(np.full((1, 8), minus), p, q)
        assert not found.any()
        assert np.signbit(found).all() == sign
        assert same(found, product(np.full((1, 8), minus), p, q)).all()


def test_rounding():
    numbers = np.array(
        [
            0.0,
            -0.0,
            1.0,
            1.00390625,
            1.01171875,
            -1.00390625,
            3.4e38,
            np.inf,
            -np.inf,
            2.0**-126,
            1e-39,
            -1e-39,
        ]
    ).astype(np.float32)
    bits = np.random.default_rng(0).integers(0, 1 << 32, 10_000, dtype=np.uint32)
    numbers = np.concatenate([numbers, bits.view(np.float32)])
    found = np.empty_like(numbers)
    round_parameters(BFLOAT16)(found, numbers, np.zeros(1, LAYER))
    with np.errstate(all="ignore"):
        assert same(found, rounded(numbers)).all()


def test_the_mode_of_the_thread_is_as_before():
    """A subnormal sum is still one after kernels that flush."""
    net = network([5, 4, 2])
    X, y = np.ones((40, 5), np.float32), np.arange(40) % 2
    net.fit(X, y, epochs=1, batch_size=7, threads=1)
    net.outputs(X)
    half = np.float32(2.0**-127)
    assert half + half == np.float32(2.0**-126)
    assert half * np.ones(9, np.float32)[0] != 0
    assert flushed(half) == 0


@pytest.mark.parametrize(
    ("triple", "writes"),
    [("x86_64-unknown-linux-gnu", r"\bv?ldmxcsr\b"), ("aarch64-unknown-linux-gnu", r"\bmsr\s+FPCR")],
)
def test_the_mode_is_set_before_the_tiles_and_restored_after(triple, writes, monkeypatch):
    """In the assembly of what calls the tiles, which has no arithmetic of its own."""
    monkeypatch.setattr(groups, "has_pairs", lambda: False)  # as CPUs of that triple, whatever this one has
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    for maker in (groups.dot, partial(groups._sums, vectors=2)):
        module = ir.Module()
        module.triple = triple
        function = maker(module)
        function.linkage = "external"
        body = machine_code.bodies(machine_code.assembly(module))[function.name]
        events = re.findall(rf"{writes}|\b(?:callq?|blr?)\s", body, re.IGNORECASE)
        kinds = ["write" if re.match(writes, event, re.IGNORECASE) else "tile" for event in events]
        assert (kinds[0], kinds[-1]) == ("write", "write")
        assert kinds.count("write") == 2 and kinds.count("tile") >= 1
        assert not re.search(r"\b(v?(mul|add|fmadd\w*)ps|fmla|fmul|fadd)\b", body)


# ---------------------------------------------------------------- networks


def network(sizes, seed=0, **options):
    options = {"activation": "relu", "output_activation": "linear", **options}
    return Network(sizes, dtype="float32", compute_dtype="bfloat16", seed=seed, **options)


def samples(sizes, n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, sizes[0])).astype(np.float32), rng.standard_normal((n, sizes[-1])).astype(
        np.float32
    )


SHAPES = [((3, 2), 1), ((37, 50, 19, 3), 45), ((70, 33, 5), 130), ((5, 100, 64, 32), 31), ((20, 17, 4), 600)]


@pytest.mark.parametrize(("sizes", "n"), SHAPES)
def test_outputs(sizes, n):
    net, (X, _) = network(sizes), samples(sizes, n)
    assert same(net.outputs(X), forward(net.weights, net.biases, X)[1]).all()


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(("sizes", "n"), SHAPES)
def test_steps(sizes, n, threads, monkeypatch):
    """A plain step, then one with a penalty, which takes the optimizer's row; all samples are a batch."""
    monkeypatch.setenv("FASTBP_NUM_THREADS", str(threads))
    net, (X, Y) = network(sizes), samples(sizes, n)
    options = {"epochs": 1, "batch_size": n, "learning_rate": 0.05, "shuffle": False, "threads": threads}
    for l2, by_reference in ((0.0, step), (0.1, partial(penalised_step, l2=0.1))):
        wanted = by_reference(net.weights, net.biases, X, Y, 0.05)
        net.fit(X, Y, l2=l2, **options)
        for found, expected in zip([*net.weights, *net.biases], [*wanted[0], *wanted[1]], strict=True):
            assert same(found, expected).all()


@pytest.mark.parametrize(("sizes", "n"), SHAPES)
def test_gradients(sizes, n):
    net, (X, Y) = network(sizes), samples(sizes, n)
    wanted = gradient(net.weights, net.biases, X, Y)
    for arrays, expected in zip(net.gradients(X, Y), wanted, strict=True):
        for found, total in zip(arrays, expected, strict=True):
            assert same(found, total / np.float32(n)).all()


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize(("sizes", "n"), SHAPES)
def test_nothing_is_written_outside_the_memory_of_an_engine(sizes, n, optimizer, guarded):
    net, (X, Y) = network(sizes), samples(sizes, n)
    net.fit(X, Y, epochs=1, batch_size=n, optimizer=optimizer, learning_rate=0.01)
    net.outputs(X)
    guarded.check()
