"""Sparse samples are read where they lie: the same bits as from an array, in the memory of what is stored."""

import math
import subprocess
import sys

import numba
import numpy as np
import pytest
from scipy import sparse

from fastbp import Activation, Adam, ModelCheckpoint, Network
from fastbp.data.samples import checked_samples
from fastbp.data.sparse import compressed
from fastbp.engine import packed
from fastbp.engine.kernels.sparse import Stored
from fastbp.engine.packed import Data

DTYPES = ("float32", "float64")
OPTIMIZERS = ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw", "irprop")


def rows_of(n, columns, density=0.04, kind=np.float64, seed=0):
    """Sparse rows, with an empty row and an empty column where there is room for them."""
    random = np.random.default_rng(seed)
    X = random.standard_normal((n, columns)) * (random.random((n, columns)) < density)
    if np.dtype(kind).kind != "f":
        X = np.abs(X) * 100 % 256
    X[n // 2 : n // 2 + (n > 2)] = 0
    X[:, columns // 3 : columns // 3 + (columns > 2)] = 0
    return sparse.csr_array(X.astype(kind))


def labels_of(n, classes, seed=1):
    return np.random.default_rng(seed).integers(0, classes, n)


def trained(X, y, sizes, network, recipe):
    """Everything that a training makes of X: parameters, the optimizer's state, costs and outputs."""
    net = Network(sizes, seed=3, **network)
    history = net.fit(X, y, **{"epochs": 2, "batch_size": 32, **recipe})
    state = [
        array for part in net._fastbp.progress.optimizer_state.values() for arrays in part for array in arrays
    ]
    found = {name: history[name] for name in history if name not in ("seconds", "threads")}
    return [net.parameters, *state, net.outputs(X), *found.values()]


def assert_same(X, y, sizes, network=None, **recipe):
    """The bits of X and of the array that it stands for."""
    network = network or {}
    given, wanted = (trained(x, y, sizes, network, recipe) for x in (X, X.toarray()))
    assert len(given) == len(wanted)
    for a, b in zip(given, wanted, strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(
    ("sizes", "n", "batch"),
    [
        ((50, 3), 40, 1),
        ((1, 4, 2), 9, 4),
        ((333, 20, 3), 130, 32),  # a short last batch
        ((97, 40, 17, 2), 150, 150),  # several groups of samples in an update
        ((210, 100, 3), 70, 7),
        ((129, 9, 2), 1200, 700),  # several blocks
    ],
)
def test_the_bits_of_an_array(sizes, n, batch, threads, dtype, monkeypatch):
    monkeypatch.setattr("fastbp.engine.team_size.cpus", lambda: threads)
    X = rows_of(n, sizes[0])
    for optimizer in ("sgd", "adam"):
        y = labels_of(n, sizes[-1])
        assert_same(X, y, sizes, {"dtype": dtype}, batch_size=batch, threads=threads, optimizer=optimizer)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    "recipe", [{}, {"l2": 0.01, "l1": 0.001}, {"clip_norm": 0.01}, {"batch_size": 600}], ids=str
)
def test_the_bits_of_every_recipe(recipe, optimizer, dtype):
    X = rows_of(640, 75)
    assert_same(X, labels_of(640, 3), (75, 18, 3), {"dtype": dtype}, optimizer=optimizer, **recipe)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "network",
    [
        {"dropout": 0.3},
        {"frozen": [0]},
        {"frozen": [1]},
        {"activation": "relu", "output_activation": "softmax", "cost": "cross_entropy"},
        {"scale_inputs": True},
    ],
    ids=str,
)
def test_the_bits_of_every_network(network, dtype):
    X = rows_of(90, 75)
    weighing = {"class_weight": "balanced", "sample_weight": np.linspace(0, 2, 90)}
    assert_same(X, labels_of(90, 3), (75, 18, 3), {"dtype": dtype, **network}, **weighing)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("density", [0.0, 0.04, 0.5])  # above a tenth, blocks are made dense
@pytest.mark.parametrize("scales", [False, True])
@pytest.mark.parametrize("kind", [np.uint8, bool, np.int64, np.float32, np.float64])
def test_the_bits_of_every_type(kind, scales, density, dtype):
    X = rows_of(60, 75, density, kind)
    for divisor in (1,) if scales else (1, 255):
        network = {"dtype": dtype} | ({"scale_inputs": True} if scales else {"input_divisor": divisor})
        assert_same(X, labels_of(60, 3), (75, 18, 3), network)


@pytest.mark.parametrize("dtype", DTYPES)
def test_validation(dtype):
    X, y = rows_of(200, 75), labels_of(200, 3)
    network = {"dtype": dtype, "output_activation": "softmax", "cost": "cross_entropy"}
    assert_same(X, y, (75, 9, 3), network, validation_split=0.3, metrics=["accuracy"])
    assert_same(X, y, (75, 9, 3), network, validation_data=(X[:50], y[:50]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("density", [0.04, 0.5])
def test_answers_and_gradients(density, dtype):
    X, y = rows_of(150, 75, density), labels_of(150, 3)
    net = Network([75, 18, 3], dtype=dtype, seed=0, output_activation="softmax", cost="cross_entropy")
    wide = X.toarray()
    for method in (net.outputs, net.predict, net.predict_proba):
        assert method(X).tobytes() == method(wide).tobytes()
    for method in (net.score, net.input_gradient, lambda *a: net.check_gradients(*a)):
        assert np.array_equal(method(X, y), method(wide, y))
    for a, b in zip(
        net.value_and_gradient(X, y, l2=0.1), net.value_and_gradient(wide, y, l2=0.1), strict=True
    ):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", [np.float64, np.uint8])
def test_blocks(kind, dtype):
    X, y = rows_of(300, 75, kind=kind), labels_of(300, 3)
    blocks = [(X[a : a + 70], y[a : a + 70]) for a in range(0, 300, 70)]
    nets = []
    for given in (blocks, [(X.toarray(), y) for X, y in blocks]):
        net = Network([75, 18, 3], dtype=dtype, seed=0, scale_inputs=True)
        net.fit(given, epochs=2, batch_size=20, buffer_bytes=100_000)
        nets.append(net.parameters.tobytes())
    assert nets[0] == nets[1]


@pytest.mark.parametrize("form", ["bsr", "coo", "csc", "dia", "dok", "lil"])
@pytest.mark.parametrize("family", ["array", "matrix"])
def test_other_formats(form, family):
    X = rows_of(60, 75)
    other = getattr(sparse, f"{form}_{family}")(X)
    net = Network([75, 4, 3], seed=0)
    assert np.array_equal(net.outputs(other), net.outputs(X.toarray()))


def messy():
    """Columns in any order, one of them three times, stored zeros, room for more, int64 indices."""
    columns = np.array([70, 3, 3, 9, 3, 11, 0, 5, 5, 60, 74, 0], np.int64)
    values = np.array([1.5, 1e16, 1.0, 0.0, -1e16, -0.0, 2.0, 0.1, 0.2, 3.0, 4.0, 7.0])
    X = sparse.csr_array((values, columns, np.array([0, 6, 6, 10, 11], np.int64)), shape=(4, 75))
    X.indices, X.indptr = columns, X.indptr.astype(np.int64)
    X.has_sorted_indices = X.has_canonical_format = False
    return X


def test_rows_in_any_order_are_read_and_left_alone():
    X = messy()
    before = [array.copy() for array in (X.data, X.indices, X.indptr)]
    assert_same(X, [0, 1, 2, 0], (75, 4, 3), batch_size=2)
    for array, wanted in zip((X.data, X.indices, X.indptr), before, strict=True):
        assert array.tobytes() == wanted.tobytes() and array.dtype == wanted.dtype


def test_a_stored_negative_zero_is_0_as_in_scipy():
    matrix = sparse.csr_matrix(([-0.0, 1.0], ([0, 1], [1, 0])))
    wanted = np.array([[0.0, 0.0], [1.0, 0.0]]).tobytes()
    assert compressed(matrix, "X").toarray().tobytes() == matrix.toarray().tobytes() == wanted


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_chain_that_ends_at_negative_zero(dtype):
    """The dense chain becomes 0 in a column where the row stores nothing; a user's function sees the sign."""
    X = sparse.csr_array(([1.0], ([0], [3])), shape=(1, 75))
    sign = Activation(numba.njit(lambda z: math.copysign(1.0, z)), numba.njit(lambda z: 0.0 * z))
    net = Network([75, 40], dtype=dtype, output_activation=sign)
    net.weights = [np.full((40, 75), -0.0, dtype)]
    net.weights[0][:33, 70] = 1.0
    net.biases = [np.full((40, 1), -0.0, dtype)]
    wanted = net.outputs(X.toarray())
    assert wanted.tolist() == [[1.0] * 33 + [-1.0] * 7]
    assert np.array_equal(net.outputs(X), wanted)


@pytest.mark.parametrize("dtype", DTYPES)
def test_chains_through_negative_zero(dtype):
    """Skipping a 0 keeps z, but for z = -0: by a bias of -0, and by products that underflow."""
    tiny = float(np.finfo(dtype).smallest_subnormal)
    X = rows_of(40, 75, kind=dtype)
    X.data[::2] *= tiny * 1e3
    results = []
    for x in (X, X.toarray()):
        net = Network([75, 18, 2], dtype=dtype, seed=0, activation="linear", output_activation="linear")
        net.biases = [np.full(b.shape, -0.0, dtype) for b in net.biases]
        net.weights = [np.where(np.abs(w) < 0.05, -0.0, w * 1e-2).astype(dtype) for w in net.weights]
        outputs = net.outputs(x)
        net.fit(x, np.zeros((40, 2)), epochs=3, batch_size=13, learning_rate=1e-3)
        results.append([outputs.tobytes(), *(a.tobytes() for a in (*net.weights, *net.biases))])
    assert results[0] == results[1]


def test_an_answer_of_weights_that_are_infinite():
    net = Network([75, 3], seed=0)
    net.weights[0][:, 5] = np.inf
    X = rows_of(6, 75)
    assert np.array_equal(net.outputs(X), net.outputs(X.toarray()), equal_nan=True)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e39])
def test_numbers_that_are_not_finite_are_named(bad):
    X = rows_of(9, 75)
    X.data[:] = 1
    place = int(X.indptr[3])
    X.data[place] = bad
    message = rf"X\[3, {X.indices[place]}\]: expected a finite float32, got {bad}"
    message += "; fill missing numbers first" if np.isnan(bad) else "$"
    with pytest.raises(ValueError, match=message.replace("+", r"\+")):
        Network([75, 2], dtype="float32", seed=0).predict(X)


def test_indices_outside_of_the_matrix_are_refused():
    for column in (-1, 75):
        X = rows_of(9, 75)
        X.indices[4] = column
        with pytest.raises(ValueError, match="X: expected a valid sparse matrix of 9 rows and 75 columns"):
            Network([75, 2], seed=0).predict(X)


def test_text_in_a_sparse_matrix_is_refused():
    X = sparse.csr_array(np.eye(3)).astype(complex)
    with pytest.raises(TypeError, match="X: expected numbers, got dtype complex128"):
        Network([3, 2], seed=0).predict(X)


def test_resumed_on_the_array_that_it_began_without(tmp_path):
    X, y = rows_of(100, 75), labels_of(100, 3)
    path = tmp_path / "net.fastbp"

    def net():
        return Network([75, 9, 3], seed=0)

    recipe = {"batch_size": 16, "optimizer": Adam()}
    whole = net()
    whole.fit(X, y, epochs=4, **recipe)
    net().fit(X, y, epochs=2, **recipe, callbacks=[ModelCheckpoint(path)])
    resumed = net()
    resumed.fit(X.toarray(), y, epochs=4, **recipe, callbacks=[ModelCheckpoint(path, resume=True)])
    assert np.array_equal(resumed.parameters, whole.parameters)


def test_functions_and_methods_of_numpy():
    X, y = rows_of(60, 75), labels_of(60, 3)
    softsign = Activation(lambda z: z / (1 + abs(z)), lambda z: 1 / (1 + abs(z)) ** 2)
    assert_same(X, y, (75, 9, 3), {"activation": softsign})

    class Own(Network):
        def feedforward(self, a):
            return super().feedforward(a)

    nets = [Own([75, 4, 3], seed=0) for _ in range(2)]
    for net, x in zip(nets, (X, X.toarray()), strict=True):
        net.fit(x, y, epochs=1, batch_size=16)
    assert np.array_equal(nets[0].outputs(X), nets[1].outputs(X.toarray()))


def test_the_same_warning_of_another_scale():
    X = rows_of(60, 75, kind=np.uint8)
    net = Network([75, 3], input_divisor=255, seed=0)
    net.fit(X, labels_of(60, 3), epochs=1, batch_size=10)
    with pytest.warns(RuntimeWarning, match="X: expected whole numbers up to 255"):
        net.predict(X / 255)


def test_few_numbers_make_lists_and_many_dense_blocks():
    for density, listed in ((0.04, True), (0.5, False)):
        X = checked_samples(rows_of(60, 75, density), 75, np.dtype("float64"))
        assert Data(X, np.zeros(60, np.int64), 255.0).is_listed == listed


_MEMORY = """
import resource
import numpy as np
from scipy import sparse
from fastbp import Network

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

def run(n, columns):
    places = np.random.default_rng(0).integers(0, columns, 40 * n, np.int32)
    X = sparse.csr_array((np.ones(40 * n, np.float32), places, 40 * np.arange(n + 1)), shape=(n, columns))
    X.sum_duplicates()
    net = Network([columns, 2], seed=0, dtype="float32")
    y = np.arange(n) % 2
    {work}

run(10, 10)
before = peak()
run(20_000, 20_000)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux alone")
@pytest.mark.parametrize(
    "work",
    [
        "net.fit(X, y, epochs=1, batch_size=min(n, 200), optimizer='adam', threads=1)",
        "net.predict(X)",
        "net.score(X, y)",
        "net.fit(X, y, epochs=1, batch_size=min(n, 200), validation_split=0.2, threads=1)",
    ],
)
def test_memory_is_that_of_the_numbers_stored(work):
    """The samples take 1,526 MB as an array, and 6 MB as sparse rows."""
    run = [sys.executable, "-c", _MEMORY.format(work=work)]
    assert int(subprocess.run(run, check=True, capture_output=True, text=True).stdout) < 100


@pytest.mark.parametrize("dtype", DTYPES)
def test_sklearn(dtype):
    from fastbp.sklearn import MLPClassifier

    X, y = rows_of(200, 75, kind=dtype), labels_of(200, 3)
    models = [
        MLPClassifier((9,), max_iter=3, random_state=0, tol=0, early_stopping=True, n_iter_no_change=10)
        for _ in range(2)
    ]
    for model, x in zip(models, (X, X.toarray()), strict=True):
        with pytest.warns(UserWarning, match="epochs are over"):
            model.fit(x, y)
    answers = [model.predict_proba(X) for model in models]
    assert np.array_equal(*answers) and np.array_equal(answers[0], models[0].predict_proba(X.toarray()))
    model = MLPClassifier((9,), solver="lbfgs", max_iter=3, random_state=0)
    with pytest.warns(UserWarning):
        assert np.array_equal(model.fit(X, y).predict_proba(X), model.fit(X.toarray(), y).predict_proba(X))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("density", [0.04, 0.5])
def test_nothing_is_read_before_it_is_written(density, dtype, monkeypatch):
    X, y = rows_of(600, 75, density), labels_of(600, 3)

    def parameters():
        net = Network([75, 18, 3], dtype=dtype, seed=0)
        net.fit(X, y, epochs=2, batch_size=550, optimizer="adam", threads=2)
        return net.parameters

    def poisoned(rows):
        room = with_room(rows)
        if isinstance(room, Stored):
            room.numbers[:], room.integers[:] = np.nan, 123456
        return room

    wanted, with_room, zeros = parameters(), packed._with_room, packed.aligned_zeros
    monkeypatch.setattr("fastbp.engine.team_size.cpus", lambda: 2)
    monkeypatch.setattr(packed, "_with_room", poisoned)

    def scratch(self):
        if "poison" not in vars(self):
            self.poison = zeros(self._layout.scratch, dtype)
            self.poison[:] = np.nan
        return self.poison

    monkeypatch.setattr(packed.Engine, "_scratch", property(scratch))
    assert np.array_equal(parameters(), wanted)


def test_subnormal_numbers_are_scaled_as_in_dense_rows(dtype):
    X = (np.random.default_rng(0).integers(0, 3, (64, 6)) * np.float32(1e-40)).astype(dtype)
    nets = [Network([6, 4, 2], dtype=dtype, scale_inputs=True, seed=0) for _ in range(2)]
    for net, given in zip(nets, (X, sparse.csr_matrix(X)), strict=True):
        net.fit(given, np.arange(64) % 2, epochs=2, batch_size=8, learning_rate=0.5)
    assert nets[0].fingerprint() == nets[1].fingerprint()
    assert np.ptp(nets[0].outputs(X), axis=0).all()
    assert (nets[1].outputs(sparse.csr_matrix(X)) == nets[0].outputs(X)).all()
