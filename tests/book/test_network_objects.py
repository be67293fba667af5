"""`fastbp.Network` while it trains, its weights, its copies and pickles: as with the book's class."""
# ruff: noqa: NPY002  the seed draws from NumPy's global generator

import copy
import pickle
import random
import subprocess
import sys
import types

import numpy as np
import pytest

import fastbp.compat.network
import reference
from book_class import (
    BOTH,
    DATA,
    LABELS,
    OPTIONS,
    SHUFFLES,
    SIZES,
    TEST_DATA,
    Own,
    Run,
    X,
    assert_same_answers,
    assert_same_run,
    labelled,
    make_data,
    rotate,
    seeded,
    train,
    train_both,
    train_on,
)
from fastbp import Network
from reference import assert_close

# ---------------------------------------------------------------- while it trains


def test_random_numbers_drawn_by_the_user_between_epochs():
    def draw(run):
        random.gauss(0, 1)  # its second number stays in the state
        np.random.rand()

    assert_same_run(*train_both(SIZES, make_data(SIZES, 30), 4, 7, 0.5, on_epoch=draw))


@pytest.mark.parametrize("shuffle", SHUFFLES.values(), ids=SHUFFLES)
def test_replaced_shuffle(shuffle, monkeypatch):
    monkeypatch.setattr(random, "shuffle", shuffle)
    runs = []
    owner = getattr(shuffle, "__self__", None)
    state = owner.getstate() if owner else None
    for build in BOTH:
        if owner:
            owner.setstate(state)
        runs.append(train(seeded(build, SIZES), make_data(SIZES, 11), 3, 4, 0.5, TEST_DATA))
    assert_close(runs[0].net.weights, runs[1].net.weights)
    assert runs[0].stdout == runs[1].stdout
    for one, other in zip(runs[0].samples, runs[1].samples, strict=True):
        assert_close(one, other, rtol=0, atol=0)


def test_shuffle_replaced_while_it_trains(monkeypatch):
    """The shuffle is put back later: the order goes on from the list as it is then."""
    standard = random.shuffle

    def switch(run):
        random.shuffle = rotate if random.shuffle == standard else standard

    monkeypatch.setattr(random, "shuffle", standard)
    data = make_data(SIZES, 30)
    runs = [train(seeded(build, SIZES), list(data), 4, 7, 0.5, on_epoch=switch) for build in BOTH]
    assert_same_run(*runs)


def test_replaced_random_of_the_module(monkeypatch):
    """`network.random = ...`, a generator of one's own: the global one is left alone."""
    monkeypatch.setattr(fastbp.compat.network, "random", random.Random(5))
    run = train(seeded(Network, SIZES), list(DATA), 2, 4, 0.5)
    order = list(DATA)
    generator = random.Random(5)
    for _ in range(2):
        generator.shuffle(order)
    assert list(map(id, run.samples)) == list(map(id, order))
    assert random.getstate() == random.Random(0).getstate()
    assert fastbp.compat.network.random.getstate() == generator.getstate()


PATCHED_BEFORE = """
import random
original = random.shuffle
def shuffle(pairs):
    pairs.reverse()
if {method}:
    random.Random.shuffle = lambda self, pairs: shuffle(pairs)
    random.shuffle = random._inst.shuffle
else:
    random.shuffle = shuffle
from fastbp.compat import network
import numpy as np
data = [(np.full((2, 1), i), np.ones((1, 1))) for i in range(5)]
network.Network([2, 1]).SGD(data, 3, 2, 0.5)
assert [int(x[0, 0]) for x, y in data] == [4, 3, 2, 1, 0], data
"""


@pytest.mark.parametrize("method", [False, True], ids=["function", "method"])
def test_shuffle_replaced_before_the_import(method):
    program = PATCHED_BEFORE.format(method=method)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class Writes:
    """A stdout with `write` alone."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text


@pytest.mark.parametrize("cls", [Network, Own])
def test_stdout_with_write_alone(cls, monkeypatch):
    net, stdout = cls(SIZES, seed=3), Writes()
    monkeypatch.setattr(sys, "stdout", stdout)
    net.SGD(list(DATA), 1, 4, 0.5, TEST_DATA)
    net.SGD(list(DATA), 1, 4, 0.5)
    net.fit(X, LABELS, **OPTIONS, verbose=True)
    monkeypatch.undo()
    lines = stdout.text.splitlines()
    assert lines[0].startswith("Epoch 0 : ") and lines[1] == "Epoch 0 complete" and len(lines) >= 4


@pytest.mark.survives("failing callback")
@pytest.mark.parametrize("error", [KeyboardInterrupt, BrokenPipeError])
def test_interrupted_at_a_line(error):
    def stop(run):
        if run.stdout.count("\n") == 2:
            raise error

    runs = train_both(SIZES, make_data(SIZES, 30), 5, 4, 0.5, raises=error, on_epoch=stop)
    assert_same_run(*runs)
    assert_same_run(*train_on(runs, 2, 4, 0.5))


# ---------------------------------------------------------------- weights and biases belong to the user


@pytest.mark.parametrize(
    "change",
    [
        lambda net, data: net.SGD(list(data), 2, 4, 0.5),
        lambda net, data: net.update_mini_batch(data, 0.5),
    ],
    ids=["SGD", "update_mini_batch"],
)
def test_arrays_held_from_before_never_change(change):
    net, data = seeded(Network, SIZES), make_data(SIZES, 10)
    change(net, data)  # a second change may find something kept from the first
    lists = net.weights, net.biases
    arrays = [*net.weights, *net.biases]
    copies = copy.deepcopy(arrays)
    change(net, data)
    assert net.weights is not lists[0]
    assert net.biases is not lists[1]
    assert list(map(id, arrays)) == list(map(id, lists[0] + lists[1]))
    assert_close(arrays, copies, rtol=0, atol=0)
    for new, old in zip(net.weights + net.biases, arrays, strict=True):
        assert not np.shares_memory(new, old)
        assert not np.array_equal(new, old)


def edit_in_place(net):
    net.weights[0][1, 2] = 7.0
    net.biases[1][:] = -1.0


def assign_elements(net):
    net.weights[1] = np.ones((3, 5))
    net.biases[0] = np.zeros((5, 1))


def assign_integers(net):
    net.weights = [np.arange(w.size).reshape(w.shape) % 3 - 1 for w in net.weights]


def assign_wider_hidden_layer(net):  # `sizes` is not read again
    net.weights = [np.full((7, 4), 0.1), np.full((3, 7), -0.2)]
    net.biases = [np.linspace(-1, 1, 7).reshape(7, 1), np.zeros((3, 1))]


def assign_layout(arrange):
    def assign(net):
        net.weights = [arrange(w) for w in net.weights]
        net.biases = [arrange(b) for b in net.biases]

    return assign


@pytest.mark.parametrize(
    "edit",
    [
        *[edit_in_place, assign_elements, assign_integers, assign_wider_hidden_layer],
        pytest.param(assign_layout(np.asfortranarray), id="fortran"),
        pytest.param(assign_layout(lambda a: np.repeat(a, 2, axis=1)[:, ::2]), id="strided"),
        pytest.param(assign_layout(lambda a: np.broadcast_to(a, a.shape)), id="read-only"),
    ],
)
def test_parameters_edited_by_the_user(edit):
    data = make_data(SIZES, 11)
    runs = train_both(SIZES, data, 1, 4, 0.5)
    for run in runs:
        edit(run.net)
    assert_same_answers(runs[0].net, runs[1].net, data)
    assert_same_run(*train_on(runs, 2, 4, 0.5))
    assert_same_answers(runs[0].net, runs[1].net, data)


def test_nested_lists_as_weights_and_biases():
    def nested(cls):
        net = cls(SIZES, seed=3)
        net.weights, net.biases = [w.tolist() for w in net.weights], [b.tolist() for b in net.biases]
        return net

    for cls in (Network, Own):
        plain = cls(SIZES, seed=3)
        assert_close(nested(cls).feedforward(X.T), plain.feedforward(X.T), rtol=0, atol=0)
        assert_close(nested(cls).backprop(*DATA[0]), plain.backprop(*DATA[0]), rtol=0, atol=0)
        assert_close(nested(cls).outputs(X), plain.outputs(X), rtol=0, atol=0)
        assert nested(cls).evaluate(TEST_DATA) == plain.evaluate(TEST_DATA)
        for change in (
            lambda net: net.update_mini_batch(DATA[:3], 0.5),
            lambda net: train(net, list(DATA), 1, 4, 0.5),
            lambda net: net.fit(X, LABELS, **OPTIONS),
        ):
            nets = [nested(cls), cls(SIZES, seed=3)]
            for net in nets:
                random.seed(0)
                change(net)
            assert_close(nets[0].weights, nets[1].weights, rtol=0, atol=0)
            assert_close(nets[0].biases, nets[1].biases, rtol=0, atol=0)


# ---------------------------------------------------------------- copies and pickles


def through_pickle(protocol):
    return lambda net: pickle.loads(pickle.dumps(net, protocol))


@pytest.mark.parametrize("epochs", [0, 1], ids=["new", "trained"])
@pytest.mark.parametrize(
    "clone",
    [copy.copy, copy.deepcopy, *map(through_pickle, range(pickle.HIGHEST_PROTOCOL + 1))],
    ids=["copy", "deepcopy", *map(str, range(pickle.HIGHEST_PROTOCOL + 1))],
)
def test_clones_train_to_the_same_bits_on_their_own(clone, epochs):
    data = make_data(SIZES, 11)
    net = seeded(Network, SIZES)
    train(net, list(data), epochs, 4, 0.5)
    twin, start = clone(net), copy.deepcopy([net.weights, net.biases])
    run = train_on([Run(twin, list(data), "", ())], 2, 4, 0.5)[0]
    assert_close([net.weights, net.biases], start, rtol=0, atol=0)
    assert_same_run(run, train_on([Run(net, list(data), "", ())], 2, 4, 0.5)[0], rtol=0, atol=0)


def four_attributes(net):
    return {name: getattr(net, name) for name in ("num_layers", "sizes", "biases", "weights")}


def bare(net):
    twin = Network.__new__(Network)
    vars(twin).update(four_attributes(net))
    return twin


def from_old_pickle(protocol):
    """A pickle as an old script wrote it: the class `network.Network` and the four attributes."""

    def revive(net):
        old_class = type("Network", (), {"__module__": "network"})
        old = old_class()
        vars(old).update(four_attributes(net))
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, "network", types.SimpleNamespace(Network=old_class))
            content = pickle.dumps(old, protocol)
            patch.setitem(sys.modules, "network", fastbp.compat.network)
            return pickle.loads(content)

    return revive


@pytest.mark.parametrize("revive", [bare, from_old_pickle(0), from_old_pickle(2)], ids=["bare", "0", "2"])
def test_four_attributes_are_enough(revive):
    data = make_data(SIZES, 11)
    expected = seeded(reference.Network, SIZES)
    net = revive(expected)
    assert isinstance(net, Network)
    assert_same_answers(net, expected, data)
    runs = [Run(each, list(data), "", ()) for each in (net, expected)]
    assert_same_run(*train_on(runs, 2, 4, 0.5, labelled(data)))


@pytest.mark.parametrize(
    "private",
    [
        {},
        {"_dtype": np.dtype("f4"), "_activation": "tanh", "_output": "linear", "_divisor": 2.0},
        {"_task": "binary", "_random": np.random.RandomState(1)},
    ],
    ids=["none", "options", "trained"],
)
def test_pickles_of_fastbp_0_1(private):
    """Networks of 0.1 had several private attributes."""
    old = bare(seeded(Network, SIZES))
    vars(old).update(private)
    net = pickle.loads(pickle.dumps(old))
    assert set(vars(net)) == {"num_layers", "sizes", "biases", "weights"} | (
        {"_fastbp"} if private else set()
    )
    options = net._fastbp.options
    assert (options.dtype, options.activation) == (
        private.get("_dtype", float),
        private.get("_activation", "sigmoid"),
    )
    assert (options.output_activation, options.uint8_divisor) == (
        private.get("_output", "sigmoid"),
        private.get("_divisor", 255.0 if private else None),
    )
    assert net.task == private.get("_task")
    assert options.seed is None
    assert net.predict(X).shape == ((11,))


def test_pickle_of_a_subclass_with_slots():
    net = Slotted(SIZES, seed=3)
    net.note = "mine"
    twin = pickle.loads(pickle.dumps(net))
    assert twin.note == "mine" and twin._fastbp.options.seed is not None
    assert_close(twin.weights, net.weights, rtol=0, atol=0)


class Slotted(Network):
    __slots__ = ("note",)
