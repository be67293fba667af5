"""What a user of `fastbp.Network` may plug in, take hold of, interrupt, copy: as with the seed's class."""
# ruff: noqa: NPY002  the seed draws from NumPy's global generator

import copy
import pickle
import random
import sys
import types
from functools import partial

import numpy as np
import pytest

import fastbp.compat.network
import reference
from fastbp import Network
from reference import assert_close
from test_seed_surface import (
    MODULES,
    SIZES,
    Run,
    assert_same_answers,
    assert_same_run,
    labelled,
    make_data,
    seeded,
    train,
    train_both,
    train_on,
)

BOTH = (Network, reference.Network)
DATA = make_data(SIZES, 11)
TEST_DATA = labelled(make_data(SIZES, 9, seed=2))


# ---------------------------------------------------------------- overridden methods


def cost_derivative(net, inherited, output_activations, y):
    return 2 * inherited(output_activations, y) + 0.1


def backprop(net, inherited, x, y):
    nabla_b, nabla_w = inherited(x, y)
    return [nabla / 2 for nabla in nabla_b], [nabla - 0.1 for nabla in nabla_w]


def update_mini_batch(net, inherited, mini_batch, eta):
    net.weights = [0.9 * w for w in net.weights]
    inherited(mini_batch[1:] + mini_batch, eta / 2)


def feedforward(net, inherited, a):
    return inherited(a)[::-1]


def evaluate(net, inherited, test_data):
    return f"{inherited(test_data)}, w = {net.weights[0][0, 0]:.6f}"  # an epoch's line shows its weights


OVERRIDES = {f.__name__: f for f in (cost_derivative, backprop, update_mini_batch, feedforward, evaluate)}


def on_instance(cls, hook, method, patch):
    def build(sizes):
        net = cls(sizes)
        setattr(net, hook, partial(method, net))
        return net

    return build


def on_class(cls, hook, method, patch):
    patch.setattr(cls, hook, method)
    return cls


def in_subclass(cls, hook, method, patch):
    return type("Own", (cls,), {hook: method})


def in_grandparent(cls, hook, method, patch):
    return type("Child", (in_subclass(cls, hook, method, patch),), {})


def in_mixin(cls, hook, method, patch):
    return type("Own", (type("Mixin", (), {hook: method}), cls), {})


@pytest.mark.parametrize("where", [on_instance, on_class, in_subclass, in_grandparent, in_mixin])
@pytest.mark.parametrize("hook", OVERRIDES)
def test_override(hook, where, monkeypatch):
    calls = {cls: 0 for cls in BOTH}

    def install(cls):
        original = getattr(cls, hook)

        def method(self, *arguments):
            calls[cls] += 1
            return OVERRIDES[hook](self, partial(original, self), *arguments)

        return where(cls, hook, method, monkeypatch)

    runs = train_both(SIZES, DATA, 2, 4, 0.5, TEST_DATA, builds=[install(cls) for cls in BOTH])
    assert_same_run(*runs)
    assert calls[Network] == calls[reference.Network] > 0
    assert_same_answers(*(run.net for run in runs), DATA)
    for run in runs:
        run.net.update_mini_batch(DATA[:3], 0.5)
    assert_close(runs[0].net.weights, runs[1].net.weights)
    assert calls[Network] == calls[reference.Network]


def test_override_set_and_removed_between_calls():
    runs = train_both(SIZES, DATA, 1, 4, 0.5)
    for run in runs:
        run.net.cost_derivative = lambda output_activations, y: 3 * (output_activations - y)
    runs = train_on(runs, 1, 4, 0.5)
    assert_same_run(*runs)
    for run in runs:
        del run.net.cost_derivative
    assert_same_run(*train_on(runs, 1, 4, 0.5))


def test_override_of_update_mini_batch_is_given_slices_of_the_list():
    class Watching(Network):
        def update_mini_batch(self, mini_batch, eta):
            assert (type(mini_batch), eta) == (list, 0.5)
            batches.append(mini_batch)

    batches = []
    run = train(Watching(SIZES), list(DATA), 1, 4, 0.5)
    assert list(map(len, batches)) == [4, 4, 3]
    assert [id(pair) for batch in batches for pair in batch] == list(map(id, run.samples))


def test_override_that_draws_random_numbers():
    def noisy(net, output_activations, y):
        return output_activations - y + random.random() + np.random.rand()

    builds = [on_instance(cls, "cost_derivative", noisy, None) for cls in BOTH]
    assert_same_run(*train_both(SIZES, DATA, 3, 4, 0.5, builds=builds))


@pytest.mark.parametrize("in_place", [False, True], ids=["assigned", "in place"])
def test_override_of_evaluate_that_changes_weights(in_place):
    def evaluate_and_decay(net, test_data):
        if in_place:
            net.weights[0] *= 0.5
            net.biases[1][:] = 0.1
        else:
            net.weights = [0.5 * w for w in net.weights]
        return 7

    builds = [on_instance(cls, "evaluate", evaluate_and_decay, None) for cls in BOTH]
    assert_same_run(*train_both(SIZES, DATA, 3, 4, 0.5, TEST_DATA, builds=builds))


def test_override_that_raises_within_an_epoch():
    def build(cls):
        calls = iter(range(100))

        def fail_at_last(net, output_activations, y):
            if next(calls) == 17:  # in the second batch of the second epoch
                raise KeyboardInterrupt
            return output_activations - y

        return on_instance(cls, "cost_derivative", fail_at_last, None)

    run, expected = train_both(
        SIZES, DATA, 3, 4, 0.5, builds=[build(cls) for cls in BOTH], raises=KeyboardInterrupt
    )
    assert_same_run(run, expected)
    assert run.stdout == "Epoch 0 complete\n"


# ---------------------------------------------------------------- replaced activation functions


def tanh_prime(z):
    return 1 - np.tanh(z) ** 2


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
@pytest.mark.parametrize(
    "functions",
    [{"sigmoid": np.tanh}, {"sigmoid_prime": tanh_prime}, {"sigmoid": np.tanh, "sigmoid_prime": tanh_prime}],
    ids=" and ".join,
)
def test_replaced_functions_of_the_module(module, functions):
    builds = module.Network, reference.Network
    with pytest.MonkeyPatch.context() as patch:
        for name, function in functions.items():
            patch.setattr(module, name, function)
            patch.setattr(reference, name, function)
        runs = train_both(SIZES, DATA, 2, 4, 0.5, TEST_DATA, builds=builds)
        assert_same_run(*runs)
        assert_same_answers(*(run.net for run in runs), DATA)
    assert_same_run(*train_on(runs, 1, 4, 0.5, TEST_DATA))  # and put back


# ---------------------------------------------------------------- while it trains


def test_random_numbers_drawn_by_the_user_between_epochs():
    def draw(run):
        random.gauss(0, 1)  # its second number stays in the state
        np.random.rand()

    assert_same_run(*train_both(SIZES, make_data(SIZES, 30), 4, 7, 0.5, on_epoch=draw))


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
    """What a script's pickle is: the class `network.Network` and the four attributes."""

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
