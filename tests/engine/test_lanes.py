"""Networks in the lanes of vectors: whatever they are and learn, each has the bits of its engine alone."""

from itertools import pairwise
from typing import NamedTuple

import llvmlite.binding as llvm
import numpy as np
import pytest

from experiments import in_new_process
from fastbp.data.scaling import Scaling
from fastbp.engine.architecture import Architecture
from fastbp.engine.kernels.records import FUSED
from fastbp.engine.lane_data import LaneData, LaneSpec
from fastbp.engine.lanes import LaneEngine
from fastbp.engine.one_by_one import OneByOne
from fastbp.engine.packed import NOTHING
from fastbp.options import activations, costs
from fastbp.options.optimizers import OPTIMIZERS, state_names

HIDDEN = (*activations.ACTIVATIONS.values(), activations.GELU("tanh"), activations.ELU(0.5))
COSTS = (
    "quadratic",
    "cross_entropy",
    costs.Huber(0.7),
    "absolute",
    "poisson",
    "log_cosh",
    costs.Quantile(0.7),
    costs.CrossEntropy(0.1),
    costs.Focal(1.5),
    "hinge",
    "squared_hinge",
)
WIDTHS = (1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 16, 17, 20, 33)
EPOCHS = 2


class Setup(NamedTuple):
    """Networks, their data, and a recipe of which each has numbers of its own."""

    architecture: Architecture
    parameters: list
    data: LaneData
    orders: np.ndarray
    spec: LaneSpec
    batch_size: int
    optimizer: object
    rates: np.ndarray
    penalties: np.ndarray
    active: np.ndarray
    states: tuple = ()  # of the optimizer, one a network, or none yet

    def numbers(self, first, count):
        """Each network's numbers of so many steps."""
        columns = zip(self.rates, self.penalties, strict=True)
        return np.stack(
            [self.optimizer.numbers(np.full(count, rate), first, *penalties) for rate, penalties in columns]
        )


def setup(seed):
    """A random setup, small enough for a test."""
    random = np.random.default_rng(seed)

    def pick(options):
        return options[random.integers(len(options))]

    depth = random.integers(1, 4)
    sizes = (int(pick((*WIDTHS, 40))), *(int(pick(WIDTHS)) for _ in range(depth)))
    cost = pick(COSTS)
    allowed = costs.definition_of(cost).outputs or tuple(activations.OUTPUT_ACTIVATIONS)
    output = activations.OUTPUT_ACTIVATIONS[pick(allowed)]
    kinds = (*(pick(HIDDEN) for _ in range(depth - 1)), output)
    frozen = tuple(layer for layer in range(depth) if random.random() < 0.15)
    dtype = np.dtype(pick(("float32", "float64")))
    architecture = Architecture(sizes, kinds, dtype, cost, (), frozen)
    networks, batch_size = pick((1, 3, 8, 17)), pick((1, 5, 16, 64, 130, 300, 600, 1200))
    n = pick((7, 50) if batch_size < 64 else (90, 400, 700, 1500))
    is_plain, own_orders = random.random() < 0.3, random.random() < 0.5
    optimizer = OPTIMIZERS["sgd" if is_plain else pick(tuple(OPTIMIZERS))]
    rates = 10.0 ** random.uniform(-3, -1, networks)
    penalties = random.choice([0, 1e-3, 0.05], (networks, 2)) * [1, not is_plain]
    if random.random() < 0.15:
        rates[0] = 1e20  # whose network diverges
    elif random.random() < 0.1:
        rates[0], penalties[0, 0] = 0.125, 8.0  # plain gradient descent keeps nothing of its weights
    smallness = random.uniform(0.5, 1) if random.random() < 0.2 else 0.0
    return Setup(
        architecture,
        [parameters(sizes, dtype, random, smallness) for _ in range(networks)],
        samples(architecture, networks, n, random, pick),
        np.stack([random.permutation(n) for _ in range(networks if own_orders else 1)]),
        spec(FUSED if is_plain else optimizer.row, networks, depth - 1, random),
        batch_size,
        optimizer,
        rates,
        penalties,
        random.random(networks) < 0.8,
    )


def parameters(sizes, dtype, random, smallness):
    """Weights and biases, so small if wanted that they, or their products, are subnormal here and there."""
    scale = float(np.finfo(dtype).tiny) ** smallness
    pairs = list(zip(sizes[1:], sizes[:-1], strict=True))
    weights = [(scale * random.standard_normal(pair) / np.sqrt(pair[1])).astype(dtype) for pair in pairs]
    for array in weights:
        array[0, 0] = -0.0
    return weights, [(scale * random.standard_normal((n_out, 1))).astype(dtype) for n_out, _ in pairs]


def spec(row, networks, hidden, random):
    is_plain, drops = row == FUSED, random.random() < 0.4
    return LaneSpec(
        row,
        random.choice([0.0, 0.05, 1.0], networks) if not is_plain and random.random() < 0.4 else NOTHING,
        random.integers(0, 1 << 63, networks).astype(np.uint64) * np.uint64(2),
        random.choice([0.0, 0.2, 0.5], (networks, hidden)) if drops else np.zeros((networks, hidden)),
    )


def samples(architecture, networks, n, random, pick):
    """Data of which each part is shared, or each network's own."""
    inputs, outputs = architecture.sizes[0], architecture.sizes[-1]

    def own_or_shared(share, *shape):
        return (networks, *shape) if random.random() < share else shape

    X = random.standard_normal(own_or_shared(0.2, n, inputs))
    kind = pick(("uint8", "float32", "float64"))
    X = (50 * np.abs(X)).astype(np.uint8) if kind == "uint8" else X.astype(kind)
    has_labels = architecture.activations[-1] in ("softmax", "sigmoid") and random.random() < 0.5
    if has_labels:
        targets = random.integers(0, outputs, own_or_shared(0.3, n))
    else:
        targets = random.random(own_or_shared(0.3, n, outputs))
        targets = (np.floor(4 * targets) if architecture.cost == "poisson" else targets).astype(pick("fd"))
    weights = random.integers(0, 3, own_or_shared(0.5, n)) * 0.7 if random.random() < 0.3 else NOTHING

    def scalings(count, share):
        found = [
            Scaling(random.standard_normal(count), np.exp(random.standard_normal(count)))
            for _ in range(networks)
        ]
        return pick((found[0], tuple(found))) if random.random() < share else None

    takes_any = costs.definition_of(architecture.cost).targets is costs.VALUES
    by_outputs = 0.3 if takes_any and not has_labels else 0
    return LaneData(X, targets, 50.0, weights, scalings(inputs, 0.3), scalings(outputs, by_outputs))


def cuts(setup, n, random):
    """Positions between which calls of `train` train: of whole batches, or blocks of a large one."""
    block = min(setup.batch_size, 512)
    inner = [block * int(i) for i in random.integers(0, 1 + n // block, 2)]
    return sorted({0, n, *(cut for cut in inner if cut % setup.batch_size % 512 == 0)})


def trained(engine, setup, seed):
    """Everything that an engine has after some epochs, as bytes."""
    random, (_, n) = np.random.default_rng(seed), setup.orders.shape
    networks, size = len(setup.parameters), setup.batch_size
    losses, reached = engine.new_losses(), np.zeros(networks, np.int64)
    engine.active = setup.active.copy()
    places = []
    with np.errstate(all="ignore"):
        for epoch in range(EPOCHS):
            positions = cuts(setup, n, random)
            for begin, end in pairwise(positions):
                step = begin // size
                first = epoch * -(-n // size) + step
                numbers = setup.numbers(first, -(-end // size) - step)
                steps = np.arange(networks) + first
                engine.train(setup.data, setup.orders, (begin, end), numbers, steps, losses, reached)
                places.append(reached.tolist())
                engine.active = engine.active & np.isfinite(losses)
        rows = random.integers(0, n, (networks, 5)) if random.random() < 0.5 else None
        costs_of_samples = np.zeros((networks, n if rows is None else 5))
        outputs = engine.infer(setup.data, costs_of_samples, rows)
    numbers = [*map(engine.unpack, range(networks))]
    numbers += [part for i in range(networks) for part in engine.unpack_state(i).values()]
    arrays = [array for weights, biases in numbers for array in (*weights, *biases)]
    arrays += [losses, outputs, costs_of_samples]
    nan_in_one_form = [np.where(np.isnan(array), array.dtype.type(np.nan), array) for array in arrays]
    return places, [array.tobytes() for array in nan_in_one_form]


def differences(seeds):
    """The seeds of setups in which lanes differ from engines alone."""
    return [seed for seed in seeds if not is_same(seed)]


def is_same(seed):
    return both(setup(seed), seed)[0]


def both(given, seed):
    """Whether lanes have the bits of engines alone, and the arrays of these, as bytes."""
    arguments = given.architecture, given.parameters, given.batch_size
    alone = trained(OneByOne(*arguments, 1, given.spec, given.states), given, seed)
    lanes = trained(LaneEngine(*arguments, 1 + seed % 3, given.spec, given.states), given, seed)
    return alone == lanes, alone[1]


def test_bits_are_those_of_engines_alone(request):
    assert differences(range(400 if request.config.getoption("--full") else 40)) == []


@pytest.mark.parametrize(
    ("cpu", "needs", "count"),
    [("haswell", ["avx2", "fma"], 100), ("x86-64", [], 20)],  # slow, without an instruction for FMA
    ids=["haswell", "x86-64"],
)
def test_bits_on_other_cpus(cpu, needs, count, request):
    if not request.config.getoption("--full"):
        pytest.skip("compiles all kernels: run with --full")
    if not all(llvm.get_host_cpu_features().get(feature) for feature in needs):
        pytest.skip(f"this machine does not run code for {cpu}")
    call = f"test_lanes.differences(range({count}))"
    assert in_new_process(call, NUMBA_CPU_NAME=cpu, NUMBA_CPU_FEATURES="") == []


TINY_ROWS = (FUSED, *OPTIMIZERS)


def tiny_setup(seed, dtype, row):
    """Numbers that become subnormal in each place where kernels store them.

    Saturated units, outputs of a softmax that are nearly 0, silent inputs, whose weights and states of the
    optimizer decay, and small weights of samples.
    """
    random, networks, n, sizes = np.random.default_rng(seed), 5, 60, (6, 9, 5)
    least = float(np.finfo(dtype).tiny)

    def near_least(*shape):
        """Numbers that few halvings make subnormal."""
        return (random.choice([-1, 1], shape) * least * 2.0 ** random.uniform(-2, 12, shape)).astype(dtype)

    kinds = (("sigmoid", "tanh", "elu", "silu")[seed % 4], ("softmax", "sigmoid", "softmax")[seed % 3])
    architecture = Architecture(sizes, kinds, np.dtype(dtype), ("cross_entropy", "quadratic")[seed % 2])
    nets = [parameters(sizes, dtype, random, 0.0) for _ in range(networks)]
    states = []
    for weights, biases in nets:
        biases[0] *= dtype(-0.9 * np.log(least))  # exp of a unit's input may be subnormal
        biases[-1][3:, 0] = np.log(least) + random.uniform(-3, 3, sizes[-1] - 3)  # shares of a softmax too
        weights[0][:, :3] = near_least(sizes[1], 3)
        names = () if row == FUSED else state_names(OPTIMIZERS[row].row)
        shapes = [[array.shape for array in arrays] for arrays in (weights, biases)]
        states.append(
            {name: tuple([abs(near_least(*shape)) for shape in each] for each in shapes) for name in names}
        )
    X = random.standard_normal((n, sizes[0])).astype(dtype)
    X[:, :3] = 0
    X[:, 3] = near_least(n)
    targets = random.integers(0, sizes[-1], n)
    weights = random.choice([1.0, least**0.5, least], n)
    rates = 10.0 ** random.uniform(-2, -1, networks)
    return Setup(
        architecture,
        nets,
        LaneData(X, targets, 1.0, weights),
        np.stack([random.permutation(n) for _ in range(networks)]),
        LaneSpec(row if row == FUSED else OPTIMIZERS[row].row),
        (5, 60)[seed % 2],
        OPTIMIZERS["sgd" if row == FUSED else row],
        rates,
        np.stack([random.choice([0, 0.5], networks) / rates, np.zeros(networks)], axis=1),
        np.ones(networks, bool),
        tuple(states) if row != FUSED else (),
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("row", TINY_ROWS, ids=["fused", *OPTIMIZERS])
def test_subnormal_numbers_are_0_as_in_engines_alone(row, dtype):
    for seed in range(4):
        is_equal, arrays = both(tiny_setup(seed, dtype, row), seed)
        assert is_equal
        numbers = abs(np.frombuffer(b"".join(arrays[:-3]), dtype))  # weights, biases and states
        assert np.any(numbers == 0) and not np.any((numbers > 0) & (numbers < np.finfo(dtype).tiny))


def test_weights_are_given_back_as_engines_alone_have_them():
    """-0 as well; but subnormal numbers are 0."""
    architecture = architecture_of(2, 2, 1)
    weights = [np.array([[-0.0, 1e-40], [0.5, -1e-40]], np.float32), np.zeros((1, 2), np.float32)]
    biases = [-np.zeros((2, 1), np.float32), np.ones((1, 1), np.float32)]
    engines = [kind(architecture, [(weights, biases)], 1, 1, LaneSpec()) for kind in (OneByOne, LaneEngine)]
    alone, lanes = (
        [array.tobytes() for arrays in engine.unpack(0) for array in arrays] for engine in engines
    )
    assert alone == lanes and np.signbit(np.frombuffer(lanes[0], np.float32)).tolist() == [True] + [False] * 3


def architecture_of(*sizes, dtype="float32", cost="quadratic"):
    activations = (*("tanh",) * (len(sizes) - 2), "linear")
    return Architecture(sizes, activations, np.dtype(dtype), cost)


def test_lanes_are_chosen_where_they_are_faster():
    small, wide = architecture_of(8, 16, 16, 1), architecture_of(64, 256, 256, 1)
    assert LaneEngine.pays(small, 64)
    assert LaneEngine.pays(small, 64, members=2, has_own_rows=True)
    assert not LaneEngine.pays(small, 1)  # most lanes would be empty
    assert not LaneEngine.pays(wide, 64)
    assert not LaneEngine.pays(architecture_of(784, 8, 1), 64, has_own_rows=True)
    own = costs.Cost(lambda a, y: (a - y) ** 2, lambda a, y: 2 * (a - y))
    assert not LaneEngine.pays(architecture_of(8, 16, 1, cost=own), 64)


def test_a_team_that_is_refused_threads_trains_all_groups(monkeypatch):
    """Groups are taken from a queue, so none is left to a member that there is not."""

    def refused(*arguments):
        raise RuntimeError("can't start new thread")

    seed = next(seed for seed in range(100) if len(setup(seed).parameters) == 17 and seed % 3)
    monkeypatch.setattr("fastbp.engine.kernels.team.start_new_thread", refused)
    assert is_same(seed)
