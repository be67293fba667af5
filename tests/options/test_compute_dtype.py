"""`compute_dtype="bfloat16"` in every place that takes a network."""

import copy
import pickle

import numpy as np
import pytest
from numba import njit
from sklearn.exceptions import ConvergenceWarning

from fastbp import Activation, Ensemble, ModelCheckpoint, Network, load
from fastbp.export import to_c
from fastbp.options.activations import ACTIVATIONS
from fastbp.options.optimizers import OPTIMIZERS
from fastbp.sklearn import MLPClassifier, MLPRegressor

RNG = np.random.default_rng(0)
X = RNG.standard_normal((150, 20)).astype(np.float32)
Y = (X[:, 0] > X[:, 1]).astype(int) + (X[:, 2] > 0)


def network(**options):
    options = {"activation": "relu", "output_activation": "softmax", "cost": "cross_entropy", **options}
    return Network([20, 33, 17, 3], **{"dtype": "float32", "compute_dtype": "bfloat16", "seed": 0, **options})


def bits(net):
    return [array.tobytes() for array in (*net.weights, *net.biases)]


def test_it_trains_to_other_bits_and_about_as_well():
    nets = [network(compute_dtype=compute_dtype) for compute_dtype in (None, "bfloat16")]
    for net in nets:
        net.fit(X, Y, epochs=60, batch_size=10, learning_rate=0.1)
    assert bits(nets[0]) != bits(nets[1])
    scores = [net.score(X, Y) for net in nets]
    assert min(scores) > 0.97


@pytest.mark.parametrize("compute_dtype", [None, "float32"])
def test_the_type_of_weights_changes_nothing(compute_dtype):
    plain = Network([20, 3], dtype="float32", seed=0)
    same = Network([20, 3], dtype="float32", seed=0, compute_dtype=compute_dtype)
    assert same._fastbp.options == plain._fastbp.options
    assert repr(same) == repr(plain)
    assert same.fingerprint() == plain.fingerprint()


@pytest.mark.parametrize(
    ("dtype", "compute_dtype", "message"),
    [
        (
            "float64",
            "bfloat16",
            "compute_dtype: expected 'float64' or None with dtype='float64', got 'bfloat16'; ",
        ),
        ("float64", "float32", "compute_dtype: expected one of 'float64', got 'float32'"),
        ("float32", "float16", "compute_dtype: expected one of 'float32', 'bfloat16', got 'float16'"),
        ("float32", 16, "compute_dtype: expected one of 'float32', 'bfloat16', got 16"),
    ],
)
def test_refused(dtype, compute_dtype, message):
    with pytest.raises(ValueError, match=message):
        network(dtype=dtype, compute_dtype=compute_dtype)


def test_functions_that_numpy_runs_are_refused():
    own = Activation(np.tanh, lambda z: 1 - np.tanh(z) ** 2)
    message = "compute_dtype: expected None with functions of arrays or overridden methods"
    net = network(activation=own)
    for call in (
        lambda: net.fit(X, Y, epochs=1, batch_size=10),
        lambda: net.outputs(X),
        lambda: net.gradients(X, Y),
    ):
        with pytest.raises(ValueError, match=message):
            call()

    class Mine(Network):
        def feedforward(self, a):
            return super().feedforward(a)

    net = Mine([20, 3], dtype="float32", compute_dtype="bfloat16")
    with pytest.raises(ValueError, match=message):
        net.fit(X, Y, epochs=1, batch_size=10)


def test_functions_that_numba_compiled():
    square = Activation(njit(lambda z: z * z), njit(lambda z: 2 * z))
    net = network(activation=square)
    net.fit(X, Y, epochs=2, batch_size=10, learning_rate=0.01)
    assert np.isfinite(net.outputs(X)).all()


@pytest.mark.sampled
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_team_and_a_stop(optimizer, threads, tmp_path, monkeypatch):
    """A training in one call by one thread, and by a team, stopped, saved and resumed."""
    monkeypatch.setenv("FASTBP_NUM_THREADS", "3")
    recipe = {"batch_size": 13, "optimizer": optimizer, "learning_rate": 0.01, "l2": 0.01}
    whole, stopped = network(dropout=0.2), network(dropout=0.2)
    whole.fit(X, Y, epochs=4, threads=1, **recipe)
    path = tmp_path / "net.ckpt"
    for epochs in (2, 4):
        stopped = network(dropout=0.2)
        saving = ModelCheckpoint(path, every=1, resume=True)
        stopped.fit(X, Y, epochs=epochs, threads=threads, callbacks=[saving], **recipe)
    assert bits(stopped) == bits(whole)
    assert load(path).fingerprint() == whole.fingerprint()


def test_partial_fit_and_blocks():
    nets = [network() for _ in range(3)]
    weights = np.linspace(0.5, 2, len(X))
    recipe = {"batch_size": 150, "learning_rate": 0.01, "optimizer": "adam", "sample_weight": weights}
    nets[0].fit(X, Y, epochs=3, **recipe)
    for _ in range(3):
        nets[1].partial_fit(X, Y, **recipe)
    assert bits(nets[0]) == bits(nets[1])
    del recipe["sample_weight"]
    whole, in_blocks = network(), network()
    whole.fit(X, Y, epochs=2, shuffle=False, **recipe | {"batch_size": 20})
    blocks = [(X[:70], Y[:70]), (X[70:], Y[70:])]
    in_blocks.fit(lambda: blocks, epochs=2, shuffle=False, **recipe | {"batch_size": 20})
    assert bits(whole) == bits(in_blocks)


@pytest.mark.parametrize("density", [0.02, 0.5])
def test_sparse_rows_have_the_bits_of_dense_ones(density, request):
    if not request.config.getoption("--full"):
        pytest.skip("compiles the kernels of sparse rows: run with --full")
    scipy_sparse = pytest.importorskip("scipy.sparse")
    sparse = scipy_sparse.random(150, 20, density, format="csr", dtype=np.float32, random_state=0)
    nets = [network() for _ in range(2)]
    for net, rows in zip(nets, (sparse, sparse.toarray()), strict=True):
        net.fit(rows, Y, epochs=2, batch_size=10)
    assert bits(nets[0]) == bits(nets[1])
    assert (nets[0].outputs(sparse) == nets[0].outputs(sparse.toarray())).all()
    pairs = zip(nets[0].gradients(sparse, Y)[0], nets[0].gradients(sparse.toarray(), Y)[0], strict=True)
    assert all((one == other).all() for one, other in pairs)


def test_copies_and_files(tmp_path):
    net = network()
    net.fit(X, Y, epochs=1, batch_size=10, optimizer="adam")
    assert "compute_dtype='bfloat16'" in repr(net)
    assert "parameters in float32, products in bfloat16" in net.summary()
    net.save(tmp_path / "net.fastbp")
    others = [copy.deepcopy(net), pickle.loads(pickle.dumps(net)), load(tmp_path / "net.fastbp")]
    for other in (net, *others):
        other.fit(X, Y, epochs=1, batch_size=10, optimizer="adam")
    for other in others:
        assert bits(other) == bits(net)
        assert other.fingerprint() == net.fingerprint()
    plain = network(compute_dtype=None)
    plain.weights, plain.biases = net.weights, net.biases
    assert plain.fingerprint() != network(compute_dtype="bfloat16").fingerprint()
    assert (plain.outputs(X) != net.outputs(X)).any()


@pytest.mark.parametrize("hidden", ACTIVATIONS)
def test_gradients_are_near_those_of_float32(hidden):
    nets = [network(activation=hidden, compute_dtype=compute_dtype) for compute_dtype in (None, "bfloat16")]
    exact, found = (net.value_and_gradient(X, Y, threads=1) for net in nets)
    assert abs(found[0] - exact[0]) < 0.02 * abs(exact[0])
    assert np.linalg.norm(found[1] - exact[1]) < 0.1 * np.linalg.norm(exact[1])
    assert np.abs(found[1] - exact[1]).max() > 0
    assert nets[1].check_gradients(X[:20], Y[:20]).error < 1e-4, "in float64"
    by_inputs = [net.input_gradient(X, Y) for net in nets]
    assert np.linalg.norm(by_inputs[1] - by_inputs[0]) < 0.1 * np.linalg.norm(by_inputs[0])


def test_an_ensemble_has_the_bits_of_its_networks_alone():
    options = {"activation": "relu", "output_activation": "softmax", "cost": "cross_entropy"}
    ensemble = Ensemble(
        3, [20, 33, 17, 3], dtype="float32", compute_dtype="bfloat16", seed=[0, 1, 2], **options
    )
    ensemble.fit(X, Y, epochs=2, batch_size=10, learning_rate=0.05)
    for seed in range(3):
        net = network(seed=seed)
        net.fit(X, Y, epochs=2, batch_size=10, learning_rate=0.05)
        assert bits(ensemble[seed]) == bits(net)
    assert (ensemble.outputs(X)[1] == ensemble[1].outputs(X)).all()
    with pytest.raises(ValueError, match="compute_dtype"):
        Ensemble.of([network(), network(compute_dtype=None)])


def test_estimators():
    model = MLPClassifier((16,), max_iter=3, random_state=0, compute_dtype="bfloat16")
    with pytest.warns(ConvergenceWarning):
        model.fit(X, Y)
    assert model.network_._fastbp.options.compute_dtype == "bfloat16"
    with pytest.raises(ValueError, match="pass dtype='float32'"):
        MLPRegressor(hidden_layer_sizes=(8,), compute_dtype="bfloat16").fit(X.astype(float), Y)


def test_the_book_s_SGD():
    net = Network([20, 9, 3], dtype="float32", compute_dtype="bfloat16", seed=0)
    pairs = [(x[:, None], np.eye(3)[y][:, None]) for x, y in zip(X, Y, strict=True)]
    before = bits(net)
    net.SGD(pairs, 1, 10, 3.0)
    assert bits(net) != before


def test_exported_code_computes_in_float32(tmp_path):
    net = network()
    to_c(net, tmp_path / "net.c")
    assert "bfloat16" not in (tmp_path / "net.c").read_text("utf-8")
