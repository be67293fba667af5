"""`fastbp.Network` as the book's class: feedforward, backprop, one mini-batch, evaluate, long runs."""

import random
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastbp.compat.network
import fastbp.network
import reference
from book_class import (
    SIZES,
    assert_same_run,
    labelled,
    make_data,
    random_states,
    seeded,
    several_depths,
    train,
    train_both,
)
from fastbp import Network
from fastbp.compat import mnist_loader
from fastbp.data import book_pairs
from reference import assert_close, fit_reference, numerical_gradient, one_hot

# ---------------------------------------------------------------- feedforward, backprop, one mini-batch


INPUTS = {
    "column": np.ones((4, 1)),
    "matrix": np.linspace(-3, 3, 28).reshape(4, 7),
    "F matrix": np.arange(28).reshape(4, 7, order="F"),
    "strided": np.linspace(-3, 3, 56).reshape(4, 14)[:, ::2],
    "nested list": [[0], [0.5], [1], [2]],
    "float32": np.full((4, 1), 0.1, np.float32),
    "bool": np.array([[True], [False], [True], [True]]),
}


@pytest.mark.parametrize("a", INPUTS.values(), ids=INPUTS)
def test_feedforward(a):
    net, expected = seeded(Network, SIZES), seeded(reference.Network, SIZES)
    assert_close(net.feedforward(a), expected.feedforward(a), rtol=1e-12, atol=0)


def test_feedforward_without_layers_is_the_identity():
    a = np.array([[0.3], [-2.0]])
    np.testing.assert_array_equal(Network([2]).feedforward(a), a)


@pytest.mark.parametrize(
    "call",
    [
        lambda net, x: net.SGD([(x, x)], 1, 1, 0.5),
        lambda net, x: net.update_mini_batch([(x, x)], 0.5),
        lambda net, x: net.backprop(x, x),
        lambda net, x: net.fit(x.T, x.T, epochs=1, batch_size=1, learning_rate=0.5),
        lambda net, x: net.predict(x.T),
        lambda net, x: net.outputs(x.T),
        lambda net, x: net.score(x.T, [1]),
    ],
)
@pytest.mark.parametrize("own", [False, True], ids=["", "own"])
def test_a_network_of_one_layer_has_nothing_to_train(call, own):
    cls = type("Own", (Network,), {"cost_derivative": lambda self, a, y: a - y}) if own else Network
    with pytest.raises(ValueError, match=r"weights, biases.*a network of one layer has nothing to train"):
        call(cls([2]), np.ones((2, 1)))


def test_a_network_of_one_layer_is_evaluated_as_the_seeds():
    data = [(np.array([[0.3], [-2.0]]), 0), (np.array([[0.3], [2.0]]), 0)]
    assert Network([2]).evaluate(data) == reference.Network([2]).evaluate(data) == 1
    assert_same_run(*train_both([2], [], 0, 1, 0.5))


def test_feedforward_of_hugely_negative_z_is_0():
    net = Network([1, 3])
    net.weights, net.biases = [np.array([[-1e4], [-1e300], [1e4]])], [np.zeros((3, 1))]
    np.testing.assert_array_equal(net.feedforward(np.ones((1, 1))), [[0], [0], [1]])


@pytest.mark.parametrize("shape", [(4,), (3, 1), (1, 4)], ids=str)
def test_feedforward_refuses_another_shape(shape):
    with pytest.raises(ValueError, match=re.escape(str(shape))):
        Network(SIZES).feedforward(np.ones(shape))


@pytest.mark.parametrize("m", [1, 6])
@several_depths
def test_backprop(sizes, m):
    net, expected = seeded(Network, sizes), seeded(reference.Network, sizes)
    x, y = (np.hstack(columns) for columns in zip(*make_data(sizes, m), strict=True))
    gradients = net.backprop(x, y)
    assert [g.shape for g in gradients[0]] == [(j, m) for j in sizes[1:]]
    assert_close(gradients, expected.backprop(x, y), rtol=1e-12, atol=1e-15)
    for gradient in gradients[0] + gradients[1]:
        gradient[:] = 7.0  # they are the caller's
    assert_close(net.backprop(x, y), expected.backprop(x, y), rtol=1e-12, atol=1e-15)
    assert_close([net.weights, net.biases], [expected.weights, expected.biases], rtol=0, atol=0)


@several_depths
def test_backprop_against_central_differences(sizes):
    net, (x, y) = seeded(Network, sizes), make_data(sizes, 1)[0]
    nabla_b, nabla_w = net.backprop(x, y)
    for gradient, array in zip(nabla_b + nabla_w, net.biases + net.weights, strict=True):
        numeric = numerical_gradient(lambda _: np.sum((net.feedforward(x) - y) ** 2) / 2, array, 1e-5)
        np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("m", [1, 2, 7])
def test_update_mini_batch(m):
    net, expected = seeded(Network, SIZES), seeded(reference.Network, SIZES)
    for each in (net, expected):
        assert each.update_mini_batch(make_data(SIZES, m), 3) is None
    assert_close([net.weights, net.biases], [expected.weights, expected.biases], rtol=1e-12, atol=1e-14)


ETAS = {"[1]": np.array([0.5]), "()": np.array(0.5), "[1, 1]": np.array([[0.5]])}


@pytest.mark.parametrize("own", [False, True], ids=["", "own"])
@pytest.mark.parametrize("eta", ETAS.values(), ids=ETAS)
def test_eta_in_an_array_of_one(eta, own):
    cls = type("Own", (Network,), {"cost_derivative": lambda self, a, y: a - y}) if own else Network
    runs = train_both(SIZES, make_data(SIZES, 11), 2, 4, eta, builds=[cls, reference.Network])
    assert_same_run(*runs)
    for run in runs:
        run.net.update_mini_batch(make_data(SIZES, 3), eta)
    assert_close(runs[0].net.weights, runs[1].net.weights)


@pytest.mark.parametrize("own", [False, True], ids=["", "own"])
@pytest.mark.parametrize(
    "eta", ["3.0", b"3", None, [0.5, 0.5], np.array([0.5, 0.5]), np.array(["3"]), 1j], ids=str
)
def test_eta_that_is_no_number_is_refused(eta, own):
    cls = type("Own", (Network,), {"cost_derivative": lambda self, a, y: a - y}) if own else Network
    net, data = cls(SIZES, seed=0), make_data(SIZES, 11)
    samples = list(data)
    with pytest.raises(TypeError, match="eta: expected a number, got"):
        net.SGD(samples, 2, 4, eta)
    assert list(map(id, samples)) == list(map(id, data))
    with pytest.raises(TypeError, match="eta: expected a number, got"):
        net.update_mini_batch(samples, eta)
    assert_close(net.weights, Network(SIZES, seed=0).weights, rtol=0, atol=0)


def test_eta_of_an_own_update_may_be_anything():
    class Own(Network):
        def update_mini_batch(self, mini_batch, eta):
            etas.append(eta)

    etas = []
    train(Own(SIZES), make_data(SIZES, 2), 1, 4, ["0.1", None])
    assert etas == [["0.1", None]]


@pytest.mark.parametrize(("name", "epochs", "size"), [("epochs", 1.0, 4), ("mini_batch_size", 1, 10.0)])
def test_epochs_and_mini_batch_size_are_integers(name, epochs, size):
    with pytest.raises(TypeError, match=f"{name}: expected an integer, got"):
        Network(SIZES).SGD(make_data(SIZES, 2), epochs, size, 0.5)


def test_empty_mini_batch():
    net, start = seeded(Network, SIZES), seeded(Network, SIZES)
    with pytest.raises(ZeroDivisionError):
        net.update_mini_batch([], 0.5)
    assert_close([net.weights, net.biases], [start.weights, start.biases], rtol=0, atol=0)


ARGUMENTS = {
    "feedforward": {"a": np.ones((4, 1))},
    "cost_derivative": {"output_activations": np.ones((3, 2)), "y": np.arange(6).reshape(3, 2)},
    "backprop": dict(zip("xy", make_data(SIZES, 1)[0], strict=True)),
    "update_mini_batch": {"mini_batch": make_data(SIZES, 3), "eta": 0.5},
    "evaluate": {"test_data": labelled(make_data(SIZES, 9))},
    "SGD": {
        "training_data": make_data(SIZES, 9),
        "epochs": 1,
        "mini_batch_size": 4,
        "eta": 0.5,
        "test_data": labelled(make_data(SIZES, 5)),
    },
}


@pytest.mark.parametrize("by_name", [False, True], ids=["positional", "by name"])
@pytest.mark.parametrize("method", ARGUMENTS)
def test_arguments_and_random_draws_of(method, by_name, capsys):
    answers = []
    for build in (Network, reference.Network):
        net = seeded(build, SIZES)
        arguments = {k: list(v) if isinstance(v, list) else v for k, v in ARGUMENTS[method].items()}
        call = getattr(net, method)
        answer = call(**arguments) if by_name else call(*arguments.values())
        answers.append(([answer, net.weights, net.biases], random_states(), capsys.readouterr().out))
    assert_close(answers[0][0], answers[1][0])
    assert answers[0][1:] == answers[1][1:]


def test_constructor_and_functions_take_arguments_by_name():
    assert Network(sizes=[2, 3]).sizes == [2, 3]
    assert fastbp.network.sigmoid(z=0.0) == 0.5
    assert fastbp.network.sigmoid_prime(z=0.0) == 0.25


# ---------------------------------------------------------------- evaluate


LABELS = {
    "int": int,
    "int64": np.int64,
    "uint8": np.uint8,
    "float": float,
    "()": np.array,
    "(1,)": lambda label: np.array([label]),
    "(1, 1)": lambda label: np.array([[label]]),
    "one-hot (j,)": lambda label: one_hot([label], 3)[0],
    "one-hot (j, 1)": lambda label: one_hot([label], 3).T,
}


@pytest.mark.parametrize("form", LABELS.values(), ids=LABELS)
def test_evaluate_and_the_forms_of_a_label(form):
    test_data = labelled(make_data(SIZES, 60))
    right = seeded(reference.Network, SIZES).evaluate(test_data)
    count = seeded(Network, SIZES).evaluate([(x, form(label)) for x, label in test_data])
    assert type(count) is int
    assert 0 < count == right < 60


def test_evaluate_takes_an_iterator_and_an_empty_list():
    net, test_data = seeded(Network, SIZES), labelled(make_data(SIZES, 60))
    assert net.evaluate(iter(test_data)) == net.evaluate(test_data)
    assert net.evaluate([]) == 0
    assert type(net.evaluate([])) is int


@pytest.mark.parametrize(
    "z, chosen",
    [
        ([1, np.nan, 5, np.nan], 1),
        ([np.nan, 1, np.nan, 5], 0),
        ([0, 2, 2, 1], 1),
        ([-9, 50, 60, 70], 1),  # sigmoid is 1 for all three
        ([-900, -800, -900, -850], 0),  # and 0 for these
        ([-np.inf, np.inf, 0, np.inf], 1),
        ([-3, -2, -1, -2], 2),
    ],
    ids=str,
)
def test_evaluate_takes_the_first_maximum_and_nan_for_one(z, chosen):
    net = Network([1, 4])
    net.weights, net.biases = [np.zeros((4, 1))], [np.array(z, dtype=float).reshape(4, 1)]
    assert [net.evaluate([(np.ones((1, 1)), label)]) for label in range(4)] == list(one_hot([chosen], 4)[0])


@pytest.mark.parametrize("form", [LABELS["int"], LABELS["(1, 1)"]], ids=["int", "(1, 1)"])
def test_evaluate_with_one_output_always_predicts_0(form):
    net, data = Network([2, 3, 1]), make_data([2, 3, 1], 12)
    assert net.evaluate([(x, form(i % 3 > 0)) for i, (x, _) in enumerate(data)]) == 4


# ---------------------------------------------------------------- long runs


def test_many_epochs():
    sizes = [8, 12, 10, 4]
    data = make_data(sizes, 300)
    assert_same_run(*train_both(sizes, data, 10, 7, 1.0, labelled(data)))


@given(
    sizes=st.lists(st.integers(1, 40), min_size=2, max_size=5),
    n=st.integers(0, 25),
    batch=st.integers(1, 30),
    epochs=st.integers(0, 3),
    eta=st.floats(0, 5),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_any_network(sizes, n, batch, epochs, eta, seed):
    data = make_data(sizes, n, seed)
    assert_same_run(*train_both(sizes, data, epochs, batch, eta, labelled(data), seed=seed))


def test_mini_batch_reference_agrees_with_the_seed():
    data, epochs = make_data(SIZES, 23), 3
    net = seeded(reference.Network, SIZES)
    start = net.weights, net.biases
    orders, order = [], list(range(23))
    for _ in range(epochs):
        random.shuffle(order)
        orders.append(list(order))
    random.seed(0)
    train(net, list(data), epochs, 4, 0.5)
    X, Y = (np.hstack(columns).T for columns in zip(*data, strict=True))
    fitted = fit_reference(*start, X, Y, orders, 4, 0.5, np.float64)
    assert_close(fitted, (net.weights, net.biases))


@pytest.fixture(scope="module")
def mnist():
    return list(mnist_loader.load_data_wrapper()[0])[:10_000]


@pytest.mark.parametrize(
    "dtype, tolerance", [(np.float64, 1e-8), (np.float32, 1e-4)], ids=["float64", "float32"]
)
def test_an_epoch_of_digits(mnist, dtype, tolerance):
    """Summing in another order moves weights by 1e-14 (float32: 4e-6); at the book's rate of 3.0 by 0.5."""
    net = seeded(lambda sizes: Network(sizes, dtype=dtype), [784, 30, 10], seed=1)
    start = net.weights, net.biases
    run = train(net, list(mnist), 1, 10, 0.5)
    seeded(reference.Network, net.sizes, seed=1)  # for its random draws
    order = list(range(len(mnist)))
    random.shuffle(order)
    assert random_states() == run.random_states
    assert list(map(id, run.samples)) == [id(mnist[i]) for i in order]
    X, Y = (np.hstack(columns).T for columns in zip(*mnist, strict=True))
    expected = fit_reference(*start, X, Y, [order], 10, 0.5, dtype)
    assert_close((net.weights, net.biases), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("stored", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("divisor", [255, 256])
def test_divided_pixels_are_kept_as_bytes_only_where_the_numbers_are_the_same(dtype, stored, divisor):
    pixels = np.random.default_rng(0).integers(0, 256, (300, 7)).astype(stored)
    X = pixels / stored(divisor)
    pairs = [(x[:, None], np.ones((1, 1))) for x in X]
    kept, _, used = book_pairs.training_pairs(pairs, 7, 1, np.dtype(dtype), True)
    divided = kept / np.dtype(dtype).type(used) if kept.dtype == np.uint8 else kept.astype(dtype)
    assert divided.tobytes() == X.astype(dtype).tobytes()
    assert (kept.dtype == np.uint8) == (divisor == 256 or X.itemsize >= np.dtype(dtype).itemsize)


@pytest.mark.parametrize("odd", [-1 / 256, 1.0, 0.001, np.nan, np.inf, 1e30])
def test_one_number_that_is_no_divided_pixel_keeps_all_as_they_are(odd):
    X = np.random.default_rng(0).integers(0, 256, (300, 7)) / 256
    X[299, 6] = odd
    pairs = [(x[:, None], np.ones((1, 1))) for x in X]
    kept, _, divisor = book_pairs.training_pairs(pairs, 7, 1, np.dtype("f8"), True)
    assert divisor == 1.0 and kept.tobytes() == X.tobytes()
