"""No number of training is subnormal: such numbers make some chips slow, and decay alone never ends them."""

import numpy as np
import pytest

from fastbp import ELU, Activation, AdamW, Network, load
from fastbp.data.sparse import SparseRows
from fastbp.engine.architecture import Architecture
from fastbp.engine.packed import Data, Engine, UpdateSpec
from fastbp.options.optimizers import OPTIMIZERS


def subnormal(*arrays):
    """The number of subnormal numbers in arrays."""
    return sum(int(np.sum((x != 0) & (np.abs(x) < np.finfo(x.dtype).smallest_normal))) for x in arrays)


def kept(net):
    """All numbers that a network keeps."""
    states = [
        array for pair in net._fastbp.progress.optimizer_state.values() for arrays in pair for array in arrays
    ]
    return [*net.weights, *net.biases, *states]


def network(dtype, *, hidden="relu", seed=0, **options):
    return Network(
        [40, 12, 2],
        activation=hidden,
        output_activation="softmax",
        cost="cross_entropy",
        dtype=dtype,
        seed=seed,
        **options,
    )


def active_once(dtype):
    """Samples whose inputs are active in the first alone, and later rows of zeros."""
    X = np.zeros((512, 40), dtype)
    X[0] = 1
    return X, np.arange(512) % 2


@pytest.mark.survives("subnormal number")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_states_of_inputs_that_fall_silent(dtype, optimizer):
    X, y = active_once(dtype)
    net = network(dtype)
    net.fit(X, y, epochs=1, batch_size=4, shuffle=False, optimizer=optimizer)
    for _ in range(16 if dtype == "float32" else 110):
        net.fit(X[1:], y[1:], epochs=1, batch_size=4, optimizer=optimizer)
        assert not subnormal(*kept(net))
    if optimizer in ("momentum", "nesterov", "adam", "adamw"):
        decayed = {"momentum": "velocity", "nesterov": "velocity"}.get(optimizer, "mu")
        assert not net._fastbp.progress.optimizer_state[decayed][0][0].any(), "0 in the end"


@pytest.mark.survives("subnormal number")
@pytest.mark.parametrize("options", [{"l2": 2.0}, {"optimizer": "sgd", "l2": 2.0}, {"l2": 10.0}], ids=str)
def test_weights_that_decay(dtype, options):
    """A learning rate times l2 of 1 takes all of a weight in one step."""
    X, y = np.zeros((64, 40), dtype), np.arange(64) % 2
    net = network(dtype)
    for _ in range(10 if dtype == "float32" else 80):
        net.fit(X, y, epochs=3, batch_size=4, learning_rate=0.1, **options)
        assert not subnormal(*kept(net))
    assert not net.weights[0].any()


def test_weights_that_decay_apart_from_the_gradient(dtype):
    X, y = np.zeros((64, 40), dtype), np.arange(64) % 2
    net = network(dtype)
    net.fit(X, y, epochs=1, batch_size=4, optimizer="adamw")
    for _ in range(8 if dtype == "float32" else 50):
        net.fit(X, y, epochs=4, batch_size=4, learning_rate=0.25, optimizer=AdamW(weight_decay=1.0))
        assert not subnormal(*kept(net))
    assert not net.weights[0].any()


def test_rare_words(dtype):
    """Sparse rows: half of the columns are rare, and each is met now and then."""
    random = np.random.default_rng(1)
    X = random.random((400, 40)) < np.where(np.arange(40) < 20, 0.3, 0.002)
    X, y = X.astype(dtype), random.integers(0, 2, 400)
    starts = np.concatenate([[0], np.cumsum(np.count_nonzero(X, axis=1))])
    rows, columns = np.nonzero(X)
    sparse = SparseRows(starts, columns.astype(np.int32), X[rows, columns], 40)
    for optimizer in ("momentum", "rmsprop", "adam"):
        by_kind = []
        for samples in (X, sparse):
            net = network(dtype)
            for _ in range(12):
                net.fit(samples, y, epochs=1, batch_size=1, optimizer=optimizer)
                assert not subnormal(*kept(net))
            by_kind.append(net.fingerprint())
        assert by_kind[0] == by_kind[1]


@pytest.mark.survives("subnormal number")
@pytest.mark.parametrize("hidden", ["sigmoid", "softplus", "silu", "exponential", "elu"])
@pytest.mark.parametrize("update_spec", [UpdateSpec(), UpdateSpec("adam")], ids=["fused", "adam"])
def test_activations_deltas_and_gradients_of_saturated_units(dtype, hidden, update_spec):
    far = np.log(np.finfo(dtype).smallest_normal)
    random = np.random.default_rng(0)
    weights = [np.zeros((12, 40), dtype), (2 * far * random.uniform(-1, 1, (2, 12))).astype(dtype)]
    biases = [np.linspace(far - 12, far + 12, 12, dtype=dtype)[:, np.newaxis], np.zeros((2, 1), dtype)]
    weights[1][:, ::2] *= np.finfo(dtype).smallest_normal
    architecture = Architecture((40, 12, 2), (hidden, "softmax"), np.dtype(dtype), "cross_entropy")
    engine = Engine(architecture, weights, biases, 10, update_spec=update_spec)
    X, y = random.random((30, 40)).astype(dtype), np.arange(30) % 2
    numbers = OPTIMIZERS["adam"].numbers(np.full(3, 0.01), 0)
    for batch in range(3):
        engine.train(Data(X, y, 1.0), np.arange(30), (10 * batch, 10 * batch + 10), numbers[batch:], batch)
        assert np.count_nonzero(engine._scratch) > 100
        assert not subnormal(engine._scratch, engine.parameters, engine._state)


# Trainings whose numbers would be subnormal in one place of the kernels, by the smallest normal number t and
# its root r: layers (activation, weights, biases), the cost, and input, targets and weights of two samples.
PLACES = {
    "activation": lambda t, r: ([("leaky_relu", [[0], [0]], [8 * t, -8 * t])], "quadratic", 0, [1, 1], ()),
    "derivative": lambda t, r: (
        [(ELU(1e-8), [[0]], [np.log(t) + 3]), ("linear", [[1]], [0])],
        *("quadratic", 0, [1], ()),
    ),
    "delta of hidden units": lambda t, r: (
        [("linear", [[1]], [0]), ("linear", [[r]], [0])],
        *("quadratic", 0, [r / 8], ()),
    ),
    "share of a softmax": lambda t, r: (
        [("softmax", [[0], [0], [0]], [0, 0, np.log(t) + 0.1])],
        *("cross_entropy", 0, [1, 0, 0], ()),
    ),
    "delta of a softmax": lambda t, r: (
        [("softmax", [[0], [0], [0]], [0, 0, np.log(t) + 10])],
        *("quadratic", 0, [0.5, 0.5 - 2.0**-20, 0], ()),
    ),
    "delta of outputs": lambda t, r: ([("linear", [[0]], [1.5 * t])], "quadratic", 0, [t], ()),
    "delta times a weight": lambda t, r: ([("linear", [[0]], [4 * t])], "quadratic", 0, [0], [0.01, 0.01]),
    "gradient of weights": lambda t, r: ([("linear", [[0]], [0])], "quadratic", r / 8, [r], ()),
    "gradient of biases": lambda t, r: ([("linear", [[0]], [0])], "quadratic", 0, [4 * t], [1, 1 / 8 - 1]),
}


@pytest.mark.survives("subnormal number")
@pytest.mark.parametrize("update_spec", [UpdateSpec(), UpdateSpec("adam")], ids=["fused", "adam"])
@pytest.mark.parametrize("place", PLACES)
def test_each_place_that_stores_numbers(dtype, place, update_spec):
    """All that a step leaves in the scratch, the parameters and the state.

    A member's square has a tile of the gradient, but after plain descent only a sum that is no delta yet.
    """
    least = float(np.finfo(dtype).smallest_normal)
    layers, cost, x, y, sample_weight = PLACES[place](least, least**0.5)
    weights = [np.array(w, dtype) for _, w, _ in layers]
    biases = [np.array(b, dtype)[:, np.newaxis] for *_, b in layers]
    sizes = (1, *map(len, biases))
    frozen = (0,) if place == "derivative" else ()  # below it no delta takes the derivative's place
    kinds = tuple(kind for kind, *_ in layers)
    architecture = Architecture(sizes, kinds, np.dtype(dtype), cost, frozen=frozen)
    engine = Engine(architecture, weights, biases, 2, update_spec=update_spec)
    data = Data(np.full((2, 1), x, dtype), np.array([y, y], dtype), 1.0, np.array(sample_weight, float))
    engine.train(data, np.arange(2), (0, 2), OPTIMIZERS["adam"].numbers(np.full(1, 0.01), 0))
    if update_spec.optimizer != "adam":
        private = int(engine._plan["private"][0])
        engine._scratch[private : private + int(engine._plan["private_size"][0])] = 0
    assert not subnormal(engine._scratch, engine.parameters, engine._state)


def full_of_subnormal(dtype):
    net = network(dtype)
    net.weights[0][...] = np.finfo(dtype).smallest_normal * np.linspace(-1, 1, 480).reshape(12, 40)
    return net


def test_a_network_that_is_full_of_them(dtype, tmp_path):
    """It predicts as with 0, from a file as well, and one step of training leaves none."""
    net, zeros = full_of_subnormal(dtype), full_of_subnormal(dtype)
    zeros.weights[0][np.abs(zeros.weights[0]) < np.finfo(dtype).smallest_normal] = 0
    assert subnormal(net.weights[0]) > 400 and not subnormal(zeros.weights[0])
    X, y = np.full((8, 40), np.finfo(dtype).max / 1e3, dtype), np.arange(8) % 2
    np.testing.assert_array_equal(net.outputs(X), zeros.outputs(X))
    net.save(tmp_path / "net.fastbp")
    np.testing.assert_array_equal(load(tmp_path / "net.fastbp").outputs(X), zeros.outputs(X))
    net.fit(np.zeros_like(X), y, epochs=1, batch_size=8)
    assert not subnormal(*kept(net))


def test_samples(dtype):
    """Numbers of samples that are subnormal in the network's type count as 0, in sparse rows as well."""
    tiny = np.finfo(dtype).smallest_normal
    net = network(dtype, seed=3)
    net.weights[0][...] = 1 / float(tiny) * np.sign(net.weights[0])
    X = np.where(np.arange(40) % 2, tiny, tiny / 2).astype(dtype) * np.ones((5, 1), dtype)
    expected = net.outputs(np.where(np.abs(X) < tiny, 0, X))
    np.testing.assert_array_equal(net.outputs(X), expected)
    columns = np.tile(np.arange(40, dtype=np.int32), 5)
    sparse = SparseRows(np.arange(0, 201, 40), columns, X.ravel(), 40)
    np.testing.assert_array_equal(net.outputs(sparse), expected)


def test_sparse_rows_that_are_read_where_they_lie(dtype):
    """Stored numbers that are subnormal count as 0, and so do sums of them with deltas."""
    tiny = np.finfo(dtype).smallest_normal
    net = network(dtype)
    net.weights[0][...] = 1 / float(tiny)
    rows = [
        SparseRows(np.arange(6), np.arange(5, dtype=np.int32), np.full(5, x), 40) for x in (tiny / 2, tiny)
    ]
    assert Data(rows[0], np.zeros(5), 1.0).is_listed
    zeros, ones = (net.outputs(X) for X in rows)
    np.testing.assert_array_equal(zeros, net.outputs(np.zeros((5, 40), dtype)))
    assert not np.array_equal(zeros, ones)
    root = np.sqrt(tiny)
    linear = Network([40, 1], output_activation="linear", dtype=dtype, seed=0)
    linear.weights[0][...] = linear.biases[0][...] = 0
    X = SparseRows(np.arange(6), np.arange(5, dtype=np.int32), np.full(5, root / 8), 40)
    linear.fit(X, np.full((5, 1), root), epochs=1, batch_size=5, learning_rate=1.0)
    assert linear.biases[0].any() and not subnormal(*kept(linear))


def test_numpy_engine(dtype):
    """Where a user's functions of arrays make NumPy train."""
    relu = Activation(lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(z.dtype))
    X, y = active_once(dtype)
    for optimizer in OPTIMIZERS:
        net = network(dtype, hidden=relu)
        net.fit(X, y, epochs=1, batch_size=4, shuffle=False, optimizer=optimizer)
        for _ in range(10 if dtype == "float32" else 3):
            net.fit(X[1:], y[1:], epochs=1, batch_size=4, optimizer=optimizer)
            assert not subnormal(*kept(net))
