"""`fastbp.compat.network2` does what the book's module does: same draws, same lines, same numbers."""

import contextlib
import io
import itertools
import json
import random
import re
import sys
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_network import GOLDEN_LABELS, GOLDEN_X, KINDS
from test_network_methods import LABELS

import reference_network2 as reference
from book_class import (
    labelled,
    make_data,
    random_states,
    seeded,
)
from fastbp.compat import mnist_loader, network2
from ids import named
from reference import assert_close, numerical_gradient

MODULES = network2, reference
SIZES = [4, 5, 3]
FLAGS = (
    "monitor_evaluation_cost",
    "monitor_evaluation_accuracy",
    "monitor_training_cost",
    "monitor_training_accuracy",
)
ALL = dict.fromkeys(FLAGS, True)
COSTS = "CrossEntropyCost", "QuadraticCost"


@dataclass
class Run:
    """A network, trained, and every trace the training left."""

    net: object
    samples: list  # the list handed to SGD, as SGD left it
    answer: object
    stdout: str
    random_states: tuple


def train(net, samples, *arguments, raises=None, **keywords):
    """SGD on the list itself."""
    stdout, answer = io.StringIO(), None
    with contextlib.redirect_stdout(stdout), pytest.raises(raises) if raises else contextlib.nullcontext():
        answer = net.SGD(samples, *arguments, **keywords)
    return Run(net, samples, answer, stdout.getvalue(), random_states())


def train_both(data, *arguments, sizes=SIZES, cost="CrossEntropyCost", change=lambda net: None, **keywords):
    """The same experiment with either module, each on its own copy of the list."""
    runs = []
    for module in MODULES:
        net = seeded(lambda sizes, module=module: module.Network(sizes, cost=getattr(module, cost)), sizes)
        change(net)
        runs.append(train(net, list(data), *arguments, **keywords))
    return runs


def rounded(text):
    return re.sub(r"\d+\.\d+(e[-+]\d+)?", lambda number: f"{float(number[0]):.9g}", text)


def assert_same_run(run, expected, rtol=1e-9, atol=1e-11):
    assert_close(run.net.weights, expected.net.weights, rtol, atol)
    assert_close(run.net.biases, expected.net.biases, rtol, atol)
    assert list(map(id, run.samples)) == list(map(id, expected.samples)), "the list is in another order"
    assert rounded(run.stdout) == rounded(expected.stdout)
    assert run.random_states == expected.random_states
    if expected.answer is not None:
        assert type(run.answer) is tuple
        for found, wanted, kind in zip(run.answer, expected.answer, (float, int, float, int), strict=True):
            assert {type(number) for number in found} <= {kind}
            np.testing.assert_allclose(found, wanted, rtol)


DATA = make_data(SIZES, 11)
TESTS = labelled(make_data(SIZES, 9, seed=2))


# ---------------------------------------------------------------- golden values (nielsen_behaviour.md, A.6)

GOLDEN_SIZES = [2, 3, 2]
GOLDEN_W1 = [
    [-0.6910398159642224, 0.6718139627591401],
    [-0.10702570836876694, -0.07298675004951398],
    [0.29033698506566086, 0.10185418595418383],
]
GOLDEN_W2_AFTER = [
    [0.05260743835130138, -0.08133933658453413, -0.5882038144726147],
    [-0.06262870998060358, -0.00919036886437806, 0.5839130785608273],
]
GOLDEN_B2_AFTER = [[1.3479684404124344], [1.5207532982560032]]
GOLDEN_LARGE_W1 = [
    [0.8644361988595057, -0.7421650204064419],
    [2.2697546239876076, -1.4543656745987648],
    [0.04575851730144607, -0.1871838500258336],
]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_golden_values(module):
    data = list(zip(GOLDEN_X, np.eye(2)[GOLDEN_LABELS][:, :, np.newaxis], strict=True))
    tests = list(zip(GOLDEN_X, GOLDEN_LABELS, strict=True))

    net = seeded(module.Network, GOLDEN_SIZES)
    np.testing.assert_allclose(net.weights[0], GOLDEN_W1, rtol=1e-9)
    run = train(
        net,
        list(data),
        *(1, 2, 0.5),
        lmbda=0.1,
        evaluation_data=tests,
        monitor_training_cost=True,
        monitor_training_accuracy=True,
        monitor_evaluation_accuracy=True,
    )
    evaluation_cost, evaluation_accuracy, training_cost, training_accuracy = run.answer
    assert (evaluation_cost, evaluation_accuracy, training_accuracy) == ([], [3], [3])
    np.testing.assert_allclose(training_cost, [1.7969537432972014], rtol=1e-9)
    np.testing.assert_allclose(net.weights[1], GOLDEN_W2_AFTER, rtol=1e-9)
    np.testing.assert_allclose(net.biases[1], GOLDEN_B2_AFTER, rtol=1e-9)

    net = seeded(lambda sizes: module.Network(sizes, cost=module.QuadraticCost), GOLDEN_SIZES)
    net.large_weight_initializer()
    np.testing.assert_allclose(net.weights[0], GOLDEN_LARGE_W1, rtol=1e-9)
    run = train(net, list(data), 1, 2, 0.5, monitor_training_cost=True)
    np.testing.assert_allclose(run.answer[2], [0.28945090220118713], rtol=1e-9)


# ---------------------------------------------------------------- the module and construction

NAMES = {
    *("CrossEntropyCost", "Network", "QuadraticCost", "json", "load", "np", "random", "sigmoid"),
    *("sigmoid_prime", "sys", "vectorized_result"),
}


def test_names_a_script_may_use():
    names = {}
    exec("from fastbp.compat import network2\nfrom fastbp.compat.network2 import *", names)
    assert names.keys() - {"__builtins__", "network2"} == NAMES
    module = names["network2"]
    assert all(names[name] is getattr(module, name) for name in NAMES)
    assert (module.np, module.random, module.json, module.sys) == (np, random, json, sys)


@pytest.mark.parametrize("again", ["", "default_weight_initializer", "large_weight_initializer"])
@pytest.mark.parametrize("sizes", [[784, 30, 10], [784, 10], (2, 3, 4, 1), [6]], ids=named)
def test_start_is_drawn_as_the_book_draws_it(sizes, again):
    found = []
    for module in MODULES:
        net = seeded(module.Network, sizes, seed=12345678)
        if again:
            assert getattr(net, again)() is None
        found.append(([net.biases, net.weights], random_states()))
    assert_close(found[0][0], found[1][0], rtol=1e-15, atol=0)
    assert found[0][1] == found[1][1]


def test_attributes():
    for sizes in ([2, 3, 1], (2, 3, 1), [np.int64(2), 3, np.int32(1)]):
        net = network2.Network(sizes)
        assert list(vars(net)) == ["num_layers", "sizes", "biases", "weights", "cost"]
        assert net.sizes is sizes and net.num_layers == 3
        assert net.cost is network2.CrossEntropyCost
    train(net, make_data(sizes, 3), 1, 2, 0.5, 0.1)
    assert list(vars(net)) == ["num_layers", "sizes", "biases", "weights", "cost"]


def test_initializers_read_the_sizes_of_that_moment():
    net = network2.Network([2, 3])
    net.sizes = [4, 2]
    net.large_weight_initializer()
    assert [w.shape for w in net.weights] == [(2, 4)]


@pytest.mark.parametrize("cost", ["cross_entropy", None, dict, network2.sigmoid], ids=named)
def test_what_is_no_cost_is_refused(cost):
    with pytest.raises(TypeError, match=r"cost: expected CrossEntropyCost, QuadraticCost, or a class with"):
        network2.Network([2, 3], cost)


def test_vectorized_result():
    for j in (0, 9, -1):
        assert_close(network2.vectorized_result(j), reference.vectorized_result(j), rtol=0, atol=0)
    with pytest.raises(IndexError):
        network2.vectorized_result(10)


# ---------------------------------------------------------------- costs

ENDS = [0.0, 1.0, 0.5, 1e-300, 1 - 2**-53]


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("as_instance", [False, True])
def test_functions_of_a_cost(cost, as_instance):
    found, wanted = (getattr(module, cost) for module in MODULES)
    if as_instance:
        found = found()
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(5, 1)), rng.random((5, 1))
    a = network2.sigmoid(z)
    np.testing.assert_allclose(found.fn(a, y), wanted.fn(a, y), rtol=1e-14)
    np.testing.assert_allclose(found.delta(z, a, y), wanted.delta(z, a, y), rtol=1e-14)
    for a, y in itertools.product(ENDS, [0.0, 1.0]):
        assert found.fn(np.array([[a]]), np.array([[y]])) == wanted.fn(np.array([[a]]), np.array([[y]]))


def test_an_infinite_cross_entropy_is_the_largest_number():
    largest = 1.7976931348623157e308
    assert network2.CrossEntropyCost.fn(np.array([[0.0]]), np.array([[1.0]])) == largest
    net = network2.Network([1, 1])
    net.weights, net.biases = [np.array([[1e6]])], [np.zeros((1, 1))]
    pairs = [(np.ones((1, 1)), np.zeros((1, 1))), (-np.ones((1, 1)), np.zeros((1, 1)))]
    assert net.total_cost(pairs, 0.0) == largest / 2
    assert net.total_cost([*pairs[:1], *pairs[:1]], 0.0) == largest


# ---------------------------------------------------------------- SGD


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("lmbda", [0.0, 0, 0.7, np.array([0.7])], ids=named)
@pytest.mark.parametrize(
    ("n", "epochs", "batch"),
    [(10, 2, 5), (11, 3, 4), (7, 2, 1), (5, 2, 50), (1, 2, 1), (10, 0, 3), (0, 2, 3)],
)
def test_batches(n, epochs, batch, lmbda, cost):
    assert_same_run(*train_both(make_data(SIZES, n), epochs, batch, 0.5, lmbda, cost=cost))


@pytest.mark.parametrize("batch", [130, 600, 1100])
def test_batches_that_kernels_take_in_parts(batch):
    """Weights decay once per batch, whatever its length."""
    assert_same_run(*train_both(make_data(SIZES, 1100), 2, batch, 0.5, 700.0))


@pytest.mark.parametrize("flags", list(itertools.product([False, True], repeat=4)), ids=named)
@pytest.mark.parametrize("cost", COSTS)
def test_monitors(flags, cost, tmp_path):
    run, expected = train_both(DATA, 3, 4, 0.5, 0.3, TESTS, *flags, cost=cost)
    assert_same_run(run, expected)
    assert [len(numbers) for numbers in run.answer] == [3 * flag for flag in flags]
    evaluation_cost, evaluation_accuracy, training_cost, training_accuracy = run.answer
    lines = ""
    for epoch in range(3):
        lines += f"Epoch {epoch} training complete\n"
        if training_cost:
            lines += f"Cost on training data: {training_cost[epoch]}\n"
        if training_accuracy:
            lines += f"Accuracy on training data: {training_accuracy[epoch]} / 11\n"
        if evaluation_cost:
            lines += f"Cost on evaluation data: {evaluation_cost[epoch]}\n"
        if evaluation_accuracy:
            lines += f"Accuracy on evaluation data: {evaluation_accuracy[epoch]} / 9\n"
    assert run.stdout == lines
    with open(tmp_path / "answer", "w") as file:
        json.dump(run.answer, file)
    assert json.loads((tmp_path / "answer").read_text()) == list(run.answer)


@pytest.mark.parametrize("sizes", [[2, 3, 4], [2, 12], [3, 2, 2, 5]], ids=named)
def test_costs_for_any_number_of_outputs(sizes):
    """The book's `vectorized_result` always has ten."""
    data = make_data(sizes, 12)
    assert_same_run(*train_both(data, 2, 5, 0.5, 0.3, labelled(data), sizes=sizes, **ALL))


@given(
    sizes=st.lists(st.integers(1, 30), min_size=2, max_size=4),
    n=st.integers(1, 25),
    batch=st.integers(1, 30),
    eta=st.floats(0, 2),
    lmbda=st.floats(0, 5),
    cost=st.sampled_from(COSTS),
)
@settings(max_examples=40, deadline=None)
def test_any_network(sizes, n, batch, eta, lmbda, cost):
    data = make_data(sizes, n)
    assert_same_run(*train_both(data, 2, batch, eta, lmbda, labelled(data), sizes=sizes, cost=cost, **ALL))


def test_order_accumulates_over_calls_on_one_list():
    runs = train_both(DATA, 1, 4, 0.5)
    further = []
    for run in runs:
        random.seed(5)
        further.append(train(run.net, run.samples, 3, 5, 0.5, 0.2, TESTS, **ALL))
    assert_same_run(*further)


@pytest.mark.parametrize("form", ["positional", "by name"])
def test_arguments(form):
    names = ("training_data", "epochs", "mini_batch_size", "eta", "lmbda", "evaluation_data", *FLAGS)
    values = (2, 4, 0.5, 0.3, TESTS, True, False, True, True, 2)
    answers = []
    for module in MODULES:
        net = seeded(module.Network, SIZES)
        with contextlib.redirect_stdout(io.StringIO()):
            if form == "positional":
                answers.append(net.SGD(list(DATA), *values))
            else:
                named = dict(zip((*names, "early_stopping_n"), (list(DATA), *values), strict=True))
                answers.append(net.SGD(**named))
    for found, wanted in zip(*answers, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9)


def test_one_list_to_train_and_to_evaluate_on():
    """A one-hot y then counts as its label, where the book's code fails."""
    samples = list(DATA)
    run = train(seeded(network2.Network, SIZES), samples, 3, 4, 0.5, 0.3, samples, **ALL)
    expected = train_both(DATA, 3, 4, 0.5, 0.3, labelled(DATA), **ALL)[1]
    assert_same_run(run, expected)


def test_iterators_are_copied_into_lists():
    net = seeded(network2.Network, SIZES)
    run = train(net, iter(DATA), 2, 4, 0.5, 0.3, (pair for pair in TESTS), **ALL)
    expected = train_both(DATA, 2, 4, 0.5, 0.3, TESTS, **ALL)[1]
    run.samples = expected.samples
    assert_same_run(run, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_kind_of_arrays(kind):
    for epochs in (2, 3):  # from three on, pixels are kept as bytes where that loses nothing
        data = [(KINDS[kind](x), y) for x, y in DATA]
        assert_same_run(*train_both(data, epochs, 4, 0.5, 0.3, labelled(data), **ALL))
    data = [(x, KINDS[kind](y)) for x, y in DATA]
    without = ALL | {"monitor_training_cost": False}  # the book's formula takes neither bool nor uint8
    assert_same_run(*train_both(data, 2, 4, 0.1, 0.3, TESTS, **without))


@pytest.mark.parametrize("form", LABELS.values(), ids=LABELS)
def test_forms_of_a_label(form):
    tests = [(x, form(label)) for x, label in TESTS]
    run = train(seeded(network2.Network, SIZES), list(DATA), 2, 4, 0.5, 0.3, tests, **ALL)
    assert_same_run(run, train_both(DATA, 2, 4, 0.5, 0.3, TESTS, **ALL)[1])


def test_a_list_without_samples():
    for module in MODULES:
        run = train(module.Network(SIZES), [], 1, 4, 0.5, monitor_training_accuracy=True)
        assert run.stdout == "Epoch 0 training complete\nAccuracy on training data: 0 / 0\n"
        with pytest.raises(ZeroDivisionError):
            module.Network(SIZES).total_cost([], 0.1)


# ---------------------------------------------------------------- early stopping


@pytest.mark.parametrize("patience", [1, 2, 3, 100])
@pytest.mark.parametrize(
    "monitors",
    [{FLAGS[1]: True}, {FLAGS[3]: True}, {FLAGS[1]: True, FLAGS[3]: True}, ALL],
    ids=["evaluation", "training", "both", "all"],
)
def test_early_stopping(patience, monitors):
    run, expected = train_both(
        DATA, 25, 4, 2.0, 0.3, evaluation_data=TESTS, early_stopping_n=patience, **monitors
    )
    assert_same_run(run, expected)
    assert (len(run.answer[1] or run.answer[3]) < 25) == (patience < 100)


def test_early_stopping_goes_by_a_monitor_of_accuracy():
    net, samples = network2.Network(SIZES), list(DATA)
    with pytest.raises(ValueError, match=r"early_stopping_n: expected monitor_evaluation_accuracy or"):
        net.SGD(samples, 1, 4, 0.5, monitor_training_cost=True, early_stopping_n=1)
    assert list(map(id, samples)) == list(map(id, DATA))
    with pytest.raises(TypeError, match="early_stopping_n: expected an integer"):
        net.SGD(samples, 1, 4, 0.5, early_stopping_n=1.5)


@pytest.mark.parametrize("flag", FLAGS[:2])
def test_monitors_of_evaluation_need_data(flag):
    net, samples = network2.Network(SIZES), list(DATA)
    with pytest.raises(TypeError, match="evaluation_data: expected a list of"):
        net.SGD(samples, 1, 4, 0.5, **{flag: True})
    assert list(map(id, samples)) == list(map(id, DATA))


@pytest.mark.parametrize(
    ("tests", "message"),
    [
        (
            [(np.ones((4, 1)), 1), (np.ones((4, 1)), 3)],
            r"evaluation_data\[1\]: expected a label 0 .. 2, got 3",
        ),
        ([(np.ones((4, 1)), -1)], r"evaluation_data\[0\]: expected a label 0 .. 2, got -1"),
        ([(np.ones((3, 1)), 1)], r"evaluation_data\[0\]: expected x of shape \(4, 1\), got \(3, 1\)"),
        ([1, 2], r"evaluation_data: expected a list of pairs"),
    ],
)
def test_evaluation_data_are_checked_before_the_first_epoch(tests, message):
    net, samples = seeded(network2.Network, SIZES), list(DATA)
    weights = net.weights
    with pytest.raises(ValueError, match=message):
        net.SGD(samples, 1, 4, 0.5, 0.0, tests, True, True)
    assert net.weights is weights and list(map(id, samples)) == list(map(id, DATA))


@pytest.mark.parametrize("lmbda", ["0.1", None, [0.1, 0.1]], ids=named)
def test_lmbda_that_is_no_number_is_refused(lmbda):
    net = network2.Network(SIZES)
    with pytest.raises(TypeError, match="lmbda: expected a number, got"):
        net.SGD(list(DATA), 1, 4, 0.5, lmbda)
    with pytest.raises(TypeError, match="lmbda: expected a number, got"):
        net.update_mini_batch(DATA, 0.5, lmbda, 11)
    with pytest.raises(TypeError, match="lmbda: expected a number, got"):
        net.total_cost(DATA, lmbda)


# ---------------------------------------------------------------- single methods


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("sizes", [[4, 3], [4, 5, 3], [2, 3, 4, 3, 1]], ids=named)
def test_backprop(sizes, cost):
    found = []
    data = make_data(sizes, 4)
    for module in MODULES:
        net = seeded(lambda sizes, module=module: module.Network(sizes, getattr(module, cost)), sizes)
        found.append([net.backprop(*data[0]), net.feedforward(data[0][0])])
        net.update_mini_batch(data, 0.5, 0.3, 17)
        found[-1] += [net.weights, net.biases]
    assert_close(*found, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("cost", COSTS)
def test_backprop_against_central_differences(cost):
    net, (x, y) = seeded(network2.Network, SIZES), DATA[0]
    net.cost = getattr(network2, cost)
    nabla_b, nabla_w = net.backprop(x, y)
    for gradient, array in zip(nabla_b + nabla_w, net.biases + net.weights, strict=True):
        numeric = numerical_gradient(lambda _: net.total_cost([(x, y)], 0.0), array, 1e-5)
        np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-8)


def test_accuracy_and_total_cost():
    nets = [seeded(module.Network, SIZES) for module in MODULES]
    for ask in (
        lambda net: net.accuracy(TESTS),
        lambda net: net.accuracy(DATA, True),
        lambda net: net.accuracy(data=DATA, convert=True),
        lambda net: net.accuracy([]),
        lambda net: net.total_cost(DATA, 0.3),
        lambda net: net.total_cost(TESTS, 0.3, True),
        lambda net: net.total_cost(data=TESTS, lmbda=0.0, convert=True),
        lambda net: net.total_cost(TESTS[:1] * 5000, 0.3, True),
    ):
        found, wanted = map(ask, nets)
        assert type(found) is (int if isinstance(wanted, int) else float)
        np.testing.assert_allclose(found, wanted, rtol=1e-9)
    assert nets[0].accuracy(iter(TESTS)) == nets[0].accuracy(TESTS)
    assert nets[0].total_cost(iter(DATA), 0.3) == nets[0].total_cost(DATA, 0.3)


def test_refused_labels_and_targets():
    net = network2.Network(SIZES)
    with pytest.raises(ValueError, match=r"data\[0\]: expected y of shape \(3, 1\), got \(\)"):
        net.accuracy(TESTS, True)  # an integer would count as the label 0
    with pytest.raises(ValueError, match=r"data\[8\]: expected a label 0 .. 2, got 7"):
        net.total_cost([*TESTS[:8], (TESTS[0][0], 7)], 0.1, True)


def test_a_mini_batch_without_samples_or_of_no_training_set():
    for module in MODULES:
        with pytest.raises(ZeroDivisionError):
            module.Network(SIZES).update_mini_batch([], 0.5, 0.1, 5)
        with pytest.raises(ZeroDivisionError):
            module.Network(SIZES).update_mini_batch(DATA, 0.5, 0.1, 0)


def test_an_epoch_of_digits():
    training, validation, _ = mnist_loader.load_data_wrapper()
    run, expected = train_both(training[:1000], 1, 10, 0.5, 5.0, validation[:500], sizes=[784, 30, 10], **ALL)
    assert_same_run(run, expected, atol=1e-10)
    assert run.answer[3][0] > 700
