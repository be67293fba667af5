"""The gradients that a network lays open: against the reference and against central differences."""

import copy

import numba
import numpy as np
import pytest

from differences import HIDDEN, PAIRS, REGULARISERS, data, largest_differences, network
from fastbp import Activation, Cost, Network
from reference import one_hot
from reference_functions import gelu_tanh
from reference_training import value_and_gradient

REFERENCE = {"gelu, tanh": gelu_tanh()}
pairs = pytest.mark.parametrize(("cost", "output"), PAIRS)


def expected(net, X, y, hidden, output, cost, **options):
    """The value, the gradient laid out like ``parameters``, and that by the inputs of each sample's cost."""
    weights, biases = ([array.astype(float) for array in arrays] for arrays in (net.weights, net.biases))
    kinds = [REFERENCE.get(hidden, hidden)] * (len(weights) - 1)
    found = value_and_gradient(
        weights, biases, X.astype(float), y.astype(float), activations=kinds,
        output_activation=REFERENCE.get(output, output), cost=cost, **options,
    )  # fmt: skip
    flat = [a.ravel() for pair in zip(found.weights, found.biases, strict=True) for a in pair]
    return found.value, np.concatenate(flat), found.X * len(X)


def close(dtype, scale):
    return (
        {"rtol": 1e-4, "atol": 1e-6 * scale} if dtype == "float32" else {"rtol": 1e-9, "atol": 1e-12 * scale}
    )


@pytest.mark.survives("wrong gradient", each=len(HIDDEN))
@pytest.mark.sampled
@pairs
@pytest.mark.parametrize("regulariser", REGULARISERS)
def test_central_differences(cost, output, regulariser):
    for hidden in HIDDEN:
        found = largest_differences(hidden, output, cost, regulariser)
        assert found["float64"] < 1e-8, hidden
        assert found["float32"] < 1e-5, hidden


@pytest.mark.sampled
@pairs
def test_the_reference(cost, output, dtype):
    X, y = data(cost, output)
    for hidden in HIDDEN:
        net = network(hidden, output, cost, dtype)
        for options in (*REGULARISERS.values(), {"l2": 0.1, "l1": 0.2}):
            value, gradient, _ = expected(net, X, y, hidden, output, cost, **options)
            found = net.value_and_gradient(X, y, **options)
            np.testing.assert_allclose(found[0], value, **close(dtype, 1), err_msg=hidden)
            assert found[1].dtype == dtype
            scale = float(np.abs(gradient).max())
            np.testing.assert_allclose(found[1], gradient, **close(dtype, scale), err_msg=hidden)
        by_inputs = net.input_gradient(X, y)
        assert by_inputs.dtype == dtype
        scale = float(np.abs(by_inputs).max())
        np.testing.assert_allclose(
            by_inputs, expected(net, X, y, hidden, output, cost)[2], **close(dtype, scale)
        )


CASES = [([1, 1], 1), ([3, 17, 1], 31), ([19, 33, 16, 10], 65), ([70, 9, 3], 512), ([7, 12, 65, 3], 1100)]


@pytest.mark.parametrize(("sizes", "n"), CASES, ids=str)
def test_ragged_sizes_several_blocks_and_threads(sizes, n, dtype, monkeypatch):
    """Blocks hold 512 samples; threads change no bit."""
    monkeypatch.setattr("fastbp.engine.team_size.cpus", lambda: 4)
    rng = np.random.default_rng(n)
    net = Network(sizes, activation="silu", cost="cross_entropy", dtype=dtype, seed=0)
    X, y = rng.normal(size=(n, sizes[0])), rng.uniform(0, 1, (n, sizes[-1]))
    options = {"sample_weight": rng.uniform(0, 2, n), "l2": 0.1, "l1": 0.01}
    results = [net.value_and_gradient(X, y, threads=threads, **options) for threads in (1, 2, 3, 4, "auto")]
    value, gradient, _ = expected(net, X, y, "silu", "sigmoid", "cross_entropy", **options)
    np.testing.assert_allclose(results[0][0], value, **close(dtype, value))
    np.testing.assert_allclose(results[0][1], gradient, **close(dtype, np.abs(gradient).max()))
    for found in results[1:]:
        assert found[0] == results[0][0]
        np.testing.assert_array_equal(found[1], results[0][1])
    by_inputs = expected(net, X, y, "silu", "sigmoid", "cross_entropy")[2]
    np.testing.assert_allclose(net.input_gradient(X, y), by_inputs, **close(dtype, np.abs(by_inputs).max()))


# ---------------------------------------------------------------- how it is laid out, and what it is of

SMALL = [4, 5, 3]
X = np.random.default_rng(0).normal(size=(9, 4))
LABELS = np.arange(9) % 3


def small(**options):
    return Network(SMALL, **{"activation": "tanh", "cost": "cross_entropy", "seed": 0, **options})


def test_shapes():
    net = small(output_activation="softmax")
    value, flat = net.value_and_gradient(X, LABELS)
    weights, biases = net.gradients(X, LABELS)
    assert isinstance(value, float) and flat.shape == net.parameters.shape == (43,)
    for arrays, own in ((weights, net.weights), (biases, net.biases)):
        assert [a.shape for a in arrays] == [a.shape for a in own]
    twin = small(seed=1)
    twin.parameters = flat
    for a, b in zip(twin.weights + twin.biases, weights + biases, strict=True):
        np.testing.assert_array_equal(a, b)
    assert value == net.value_and_gradient(X, one_hot(LABELS, 3))[0]


def test_a_row_s_gradient_is_backprop_s():
    net = small()
    weights, biases = net.gradients(X[:1], LABELS[:1])
    nabla_b, nabla_w = net.backprop(X[:1].T, one_hot(LABELS[:1], 3).T)
    for a, b in zip(weights + biases, nabla_w + nabla_b, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("task", ["labels", "binary"])
def test_class_weights(task):
    net = small(output_activation="softmax") if task == "labels" else Network([4, 5, 1], cost="cross_entropy")
    y = LABELS if task == "labels" else LABELS % 2
    one = net.value_and_gradient(X, y, class_weight={1: 3.0})
    other = net.value_and_gradient(X, y, sample_weight=np.where(y == 1, 3.0, 1.0))
    assert one[0] == other[0]
    np.testing.assert_array_equal(one[1], other[1])


def test_bytes_are_divided():
    net, pixels = small(uint8_divisor=255), np.random.default_rng(1).integers(0, 256, (9, 4), np.uint8)
    divided = pixels / 255
    assert net.value_and_gradient(pixels, LABELS)[0] == net.value_and_gradient(divided, LABELS)[0]
    np.testing.assert_array_equal(net.input_gradient(pixels, LABELS), net.input_gradient(divided, LABELS))


def test_nothing_is_dropped_and_frozen_layers_have_zeros():
    whole, other = small(), small(dropout=0.5, frozen=0)
    value, gradient = other.value_and_gradient(X, LABELS, l2=0.1, l1=0.1)
    wanted = whole.value_and_gradient(X, LABELS, l2=0.1, l1=0.1)
    assert value == wanted[0]
    assert (gradient[:25] == 0).all()
    np.testing.assert_array_equal(gradient[25:], wanted[1][25:])
    np.testing.assert_array_equal(other.input_gradient(X, LABELS), whole.input_gradient(X, LABELS))
    assert not small(frozen=[0, 1]).value_and_gradient(X, LABELS)[1].any()


def test_the_network_is_left_as_it_was():
    net = small(dropout=0.5, seed=None)
    before = copy.deepcopy(vars(net))
    net.value_and_gradient(X, LABELS)
    net.input_gradient(X, LABELS)
    net.check_gradients(X, LABELS)
    assert net._fastbp == before["_fastbp"]
    np.testing.assert_array_equal(
        np.concatenate([w.ravel() for w in before["weights"]]), net.parameters[[*range(20), *range(25, 40)]]
    )


def test_a_cost_that_is_not_finite_has_no_gradient(dtype):
    """None of it is finite, so that nothing passes for a gradient."""
    net = Network([1, 2, 1], activation="linear", output_activation="linear", dtype=dtype, seed=0)
    net.parameters = np.full(7, 0.9 * float(np.finfo(dtype).max))
    with np.errstate(all="ignore"):
        value, gradient = net.value_and_gradient(np.ones((3, 1)), np.ones((3, 1)))
        assert not np.isfinite(value) and not np.isfinite(gradient).any()
        assert not np.isfinite(net.input_gradient(np.ones((3, 1)), np.ones((3, 1)))).any()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_scipy_trains_by_it(dtype):
    optimize = pytest.importorskip("scipy.optimize")
    rows = np.linspace(-1, 1, 50).reshape(-1, 1)
    net = Network([1, 8, 1], activation="tanh", output_activation="linear", dtype=dtype, seed=0)

    def objective(parameters):
        net.parameters = parameters
        return net.value_and_gradient(rows, rows**2, l2=1e-7)

    found = optimize.minimize(
        objective, net.parameters, jac=True, method="L-BFGS-B", options={"maxiter": 500}
    )
    net.parameters = found.x
    assert net.value_and_gradient(rows, rows**2)[0] < 1e-4
    assert float(np.mean((net.outputs(rows) - rows**2) ** 2)) < 1e-4


# ---------------------------------------------------------------- check_gradients


def test_a_report_of_right_gradients(dtype):
    report = small(dtype=dtype).check_gradients(X, LABELS)
    assert [(c.layer, c.array, c.compared) for c in report] == [
        (0, "weights", 20), (0, "biases", 5), (1, "weights", 15), (1, "biases", 3),
    ]  # fmt: skip
    assert 0 < report.error < 1e-7
    lines = str(report).splitlines()
    assert len(lines) == 5 and lines[0].split()[:3] == ["layer", "array", "compared"]
    assert lines[1].split()[:3] == ["0", "weights", "20"] and float(lines[1].split()[3]) < 1e-7


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("wrong", ["activation", "cost", None])
def test_a_wrong_derivative_is_found(wrong, compiled):
    def own(function):
        return numba.njit(function) if compiled else function

    slope = 1.01 if wrong == "activation" else 1.0
    factor = 1.01 if wrong == "cost" else 1.0
    softsign = Activation(own(lambda z: z / (1 + abs(z))), own(lambda z: slope / (1 + abs(z)) ** 2))
    cost = Cost(own(lambda a, y: (a - y) ** 4), own(lambda a, y: factor * 4 * (a - y) ** 3))
    report = small(activation=softsign, cost=cost, output_activation="linear").check_gradients(X, LABELS)
    if wrong is None:
        assert report.error < 1e-6
    else:
        assert report.error > 1e-3
        errors = {(c.layer, c.array): c.error for c in report}
        assert (errors[1, "weights"] < 1e-6) == (wrong == "activation")  # below it alone


def test_probabilities_that_were_rounded_add_up_to_1():
    y = np.eye(3)[LABELS] * 0.7 + [[0.1008, 0.0995, 0.1]]
    net = small(output_activation="softmax")
    assert net.check_gradients(X, y).error < 1e-7
    exact = y / y.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        net.value_and_gradient(X, y)[1], net.value_and_gradient(X, exact)[1], rtol=1e-12
    )


def test_a_report_leaves_out_frozen_layers_and_checks_any_order_of_memory():
    net = small(frozen=0)
    net.weights = [np.asfortranarray(w) for w in net.weights]
    report = net.check_gradients(X, LABELS)
    assert {c.layer for c in report} == {1}
    assert report.error < 1e-7
    assert Network(SMALL, frozen=[0, 1]).check_gradients(X, LABELS).error == 0


def test_a_report_of_a_large_array_samples_it():
    net = Network([60, 70, 3], seed=0)
    rows = np.random.default_rng(2).normal(size=(3, 60))
    report = net.check_gradients(rows, LABELS[:3])
    assert [c.compared for c in report] == [40, 40, 40, 3]
    assert report.error < 1e-5
