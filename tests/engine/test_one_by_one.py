"""Networks that train together: the bits of each are those of its engine alone."""

import threading

import numpy as np
import pytest

from fastbp import Adam
from fastbp.engine.architecture import Architecture
from fastbp.engine.lane_data import LaneData, LaneSpec
from fastbp.engine.one_by_one import OneByOne
from fastbp.engine.packed import Engine, UpdateSpec

NETWORKS, N, BATCH = 5, 40, 7
SIZES = (3, 5, 4, 2)
RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((NETWORKS, N, 3))
Y = RANDOM.standard_normal((NETWORKS, N, 2))
WEIGHTS = RANDOM.uniform(0.5, 1.5, (NETWORKS, N))
ORDERS = np.array([RANDOM.permutation(N) for _ in range(NETWORKS)])
STEPS = -(-N // BATCH)
SPEC = LaneSpec(
    "adam",
    np.array([0.0, 0.5, 0.1, 0.0, 2.0]),
    np.arange(NETWORKS, dtype=np.uint64) + np.uint64((1 << 64) - 9),
    RANDOM.uniform(0, 0.5, (NETWORKS, 2)),
)


def parameters(dtype):
    pairs = list(zip(SIZES[1:], SIZES[:-1], strict=True))
    return [
        (
            [RANDOM.standard_normal(pair).astype(dtype) for pair in pairs],
            [RANDOM.standard_normal((n_out, 1)).astype(dtype) for n_out, _ in pairs],
        )
        for _ in range(NETWORKS)
    ]


def numbers(i):
    return Adam(beta_1=0.8 + 0.02 * i).numbers(np.full(STEPS, 0.01 * (i + 1)), 0, l2=0.01 * i)


def shared_or_own(is_own, array):
    return array if is_own else array[0]


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("is_own", [True, False], ids=["own", "shared"])
def test_bits_are_those_of_engines_alone(dtype, is_own, members):
    architecture = Architecture(SIZES, ("tanh", "relu", "linear"), np.dtype(dtype))
    arrays = [array.astype(dtype) for array in (X, Y)]
    data = LaneData(*(shared_or_own(is_own, array) for array in arrays), 1.0, shared_or_own(is_own, WEIGHTS))
    orders = ORDERS if is_own else ORDERS[:1]
    given = parameters(dtype)
    together = OneByOne(architecture, given, BATCH, members, SPEC)
    losses, reached = together.new_losses(), np.zeros(NETWORKS, np.int64)
    table, first = np.stack([numbers(i) for i in range(NETWORKS)]), np.zeros(NETWORKS, np.int64)
    for begin, end in ((0, 21), (21, N)):
        step = begin // BATCH
        together.train(data, orders, (begin, end), table[:, step:], first + step, losses, reached)
    assert (reached == N).all()
    costs = np.zeros((NETWORKS, N))
    outputs = together.infer(data, costs)
    for i in range(NETWORKS):
        update = UpdateSpec("adam", float(SPEC.clip_norms[i]), int(SPEC.keys[i]))
        own = architecture._replace(dropout=tuple(SPEC.dropout[i]))
        alone = Engine(own, *given[i], BATCH, 1, update)
        room, one = alone.new_losses(), data.of(i)
        alone.train(one, orders[i if is_own else 0], (0, N), numbers(i), 0, room)
        assert losses[i] == room[0]
        for mine, wanted in zip(together.unpack(i), alone.unpack(), strict=True):
            assert [array.tobytes() for array in mine] == [array.tobytes() for array in wanted]
        each = np.zeros(N)
        assert outputs[i].tobytes() == alone.infer(one, each).tobytes()
        assert costs[i].tobytes() == each.tobytes()


def test_a_network_that_is_not_active_stays():
    architecture = Architecture(SIZES, ("tanh", "relu", "linear"), np.dtype("float64"))
    together = OneByOne(architecture, parameters("float64"), BATCH, 1, SPEC)
    data, before = LaneData(X, Y, 1.0), [together.unpack(i) for i in range(NETWORKS)]
    together.active[[1, 3]] = False
    losses, reached = np.zeros(NETWORKS), np.zeros(NETWORKS, np.int64)
    table = np.stack([numbers(i) for i in range(NETWORKS)])
    together.train(data, ORDERS, (0, N), table, np.zeros(NETWORKS, np.int64), losses, reached)
    for i in range(NETWORKS):
        same = all((a == b).all() for a, b in zip(together.unpack(i)[0], before[i][0], strict=True))
        assert same == (i in (1, 3)) == (reached[i] == 0) == (losses[i] == 0)


def test_a_cost_that_is_not_finite_stops_one_network_and_a_snapshot_brings_it_back():
    architecture = Architecture(SIZES, ("tanh", "relu", "linear"), np.dtype("float64"))
    together = OneByOne(architecture, parameters("float64"), BATCH, 1, SPEC)
    targets = Y.copy()
    targets[2, ORDERS[2, BATCH + 1]] = np.inf
    before, snapshot = together.unpack(2), together.snapshot()
    losses, reached = together.new_losses(), np.zeros(NETWORKS, np.int64)
    table, first = np.stack([numbers(i) for i in range(NETWORKS)]), np.zeros(NETWORKS, np.int64)
    together.train(LaneData(X, targets, 1.0), ORDERS, (0, N), table, first, losses, reached)
    assert reached.tolist() == [N, N, BATCH, N, N]
    assert np.isfinite(losses).tolist() == [True, True, False, True, True]
    assert together.is_finite().all()
    together.restore(2, snapshot)
    assert all((a == b).all() for a, b in zip(together.unpack(2)[0], before[0], strict=True))


def test_a_network_without_memory_is_not_passed_over():
    """The thread that lacks memory for its network would be called again, where others wait for it."""
    together = OneByOne(
        Architecture(SIZES, ("tanh",) * 3, np.dtype("float64")), parameters("float64"), 7, 2, SPEC
    )
    lacking, begun = threading.Event(), threading.Barrier(2, timeout=60)

    def work(i):
        if i < 2:
            begun.wait()  # both members have one
        if threading.get_ident() != threading.main_thread().ident and not lacking.is_set():
            lacking.set()
            raise MemoryError(f"network {i}")

    with pytest.raises(MemoryError, match=r"network [01]"):
        together._share(list(range(NETWORKS)), work)
