"""Replaced functions, interrupts, copies and files of `fastbp.compat.network2`, as with the book's module."""
# ruff: noqa: NPY002  the book draws from NumPy's global generator

import copy
import json
import pickle
import random
import sys
import types
from functools import partial

import numpy as np
import pytest
from test_network2 import (
    ALL,
    COSTS,
    DATA,
    MODULES,
    SIZES,
    TESTS,
    assert_same_run,
    train,
    train_both,
)

import reference_network2 as reference
from book_class import (
    SHUFFLES,
    in_mixin,
    in_subclass,
    make_data,
    on_class,
    on_instance,
    random_states,
    seeded,
    tanh_prime,
)
from fastbp.compat import network2
from reference import assert_close

RULE = (3, 4, 0.5, 0.3, TESTS)


def train_all(builds, *arguments, **keywords):
    return [train(seeded(build, SIZES), list(DATA), *arguments, **keywords) for build in builds]


# ---------------------------------------------------------------- overridden methods


def backprop(net, inherited, x, y):
    nabla_b, nabla_w = inherited(x, y)
    return [nabla / 2 for nabla in nabla_b], [nabla - 0.1 for nabla in nabla_w]


def update_mini_batch(net, inherited, mini_batch, eta, lmbda, n):
    net.weights = [0.9 * w for w in net.weights]
    inherited(mini_batch[1:] + mini_batch, eta / 2, lmbda, n)


def feedforward(net, inherited, a):
    return inherited(a)[::-1]


def accuracy(net, inherited, data, **convert):
    net.biases[0][:] += 0.01
    return np.int64(inherited(data, **convert) + 100)


def total_cost(net, inherited, data, lmbda, **convert):
    net.weights = [0.9 * w for w in net.weights]
    return 2 * inherited(data, lmbda, **convert)


OVERRIDES = {f.__name__: f for f in (backprop, update_mini_batch, feedforward, accuracy, total_cost)}


@pytest.mark.parametrize("where", [on_instance, on_class, in_subclass, in_mixin])
@pytest.mark.parametrize("hook", OVERRIDES)
def test_override(hook, where, monkeypatch):
    calls = {module: 0 for module in MODULES}

    def install(module):
        original = getattr(module.Network, hook)

        def method(self, *arguments, **keywords):
            calls[module] += 1
            return OVERRIDES[hook](self, partial(original, self), *arguments, **keywords)

        return where(module.Network, hook, method, monkeypatch)

    run, expected = train_all([install(module) for module in MODULES], *RULE, **ALL)
    expected.answer = [
        [number.item() if hasattr(number, "item") else number for number in numbers]
        for numbers in expected.answer
    ]
    assert_same_run(run, expected)
    assert calls[network2] == calls[reference] > 0
    json.dumps(run.answer)
    for each in (run, expected):
        each.net.update_mini_batch(DATA[:3], 0.5, 0.3, 7)
    assert_close(run.net.weights, expected.net.weights)


def test_override_that_takes_no_convert_where_the_book_gives_none():
    class Own(network2.Network):
        def total_cost(self, data, lmbda):
            return 1.5

    run = train(Own(SIZES), list(DATA), 1, 4, 0.5, monitor_training_cost=True)
    assert run.answer[2] == [1.5]


def test_override_of_update_mini_batch_may_take_anything():
    class Own(network2.Network):
        def update_mini_batch(self, mini_batch, eta, lmbda, n):
            batches.append((len(mini_batch), eta, lmbda, n))

    batches = []
    train(Own(SIZES), list(DATA), 1, 4, "fast", None)
    assert batches == [(4, "fast", None, 11), (4, "fast", None, 11), (3, "fast", None, 11)]


def test_override_of_the_initializer_that_the_constructor_calls():
    nets = []
    for module in MODULES:
        large = module.Network.large_weight_initializer
        build = type("Own", (module.Network,), {"default_weight_initializer": large})
        nets.append(seeded(build, SIZES))
    assert_close([nets[0].weights, nets[0].biases], [nets[1].weights, nets[1].biases], rtol=0, atol=0)


# ---------------------------------------------------------------- replaced functions and costs


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize(
    "functions",
    [{"sigmoid": lambda z: 0.5 + 0.4 * np.tanh(z)}, {"sigmoid_prime": tanh_prime}],
    ids=" and ".join,
)
def test_replaced_functions_of_the_module(functions, cost):
    with pytest.MonkeyPatch.context() as patch:
        for name, function in functions.items():
            for module in (*MODULES, reference.reference):
                patch.setattr(module, name, function)
        runs = train_both(DATA, *RULE, cost=cost, **ALL)
        assert_same_run(*runs)
    further = []
    for run in runs:
        random.seed(5)
        further.append(train(run.net, run.samples, *RULE, **ALL))
    assert_same_run(*further)  # and put back


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("name", ["fn", "delta"])
def test_replaced_function_of_a_cost(name, cost, monkeypatch):
    for module in MODULES:
        kind = getattr(module, cost)
        original = getattr(kind, name)
        monkeypatch.setattr(kind, name, staticmethod(lambda *a, original=original: 2 * original(*a)))
    assert_same_run(*train_both(DATA, *RULE, cost=cost, **ALL))


def test_one_cost_in_the_place_of_the_other(monkeypatch):
    for name in ("fn", "delta"):
        for module in MODULES:
            function = getattr(module.CrossEntropyCost, name)
            monkeypatch.setattr(module.QuadraticCost, name, staticmethod(function))
    run, _ = runs = train_both(DATA, *RULE, cost="QuadraticCost", **ALL)
    assert_same_run(*runs)
    assert_close(run.answer, train_both(DATA, *RULE, **ALL)[0].answer)


def test_replaced_vectorized_result(monkeypatch):
    """Scripts replace it if the number of outputs is not ten."""

    def smooth(j, *_):
        return np.where(np.arange(3)[:, np.newaxis] == j, 0.8, 0.1)

    for module in MODULES:
        monkeypatch.setattr(module, "vectorized_result", smooth)
    run, _ = runs = train_both(DATA, *RULE, **ALL)
    assert_same_run(*runs)
    monkeypatch.undo()
    assert run.answer[0] != train_both(DATA, *RULE, **ALL)[0].answer[0]


class Fourth:
    """A cost of one's own, |a - y|^4 / 4, as a class or an instance."""

    @staticmethod
    def fn(a, y):
        return np.sum((a - y) ** 4) / 4

    @staticmethod
    def delta(z, a, y):
        return (a - y) ** 3 * a * (1 - a)


class Counting:
    """A cost of one's own, whose functions need the instance."""

    def __init__(self):
        self.calls = {"fn": 0, "delta": 0}

    def fn(self, a, y):
        self.calls["fn"] += 1
        return np.array([[np.sum(np.abs(a - y))]])

    def delta(self, z, a, y):
        self.calls["delta"] += 1
        return np.sign(a - y) * a * (1 - a)


@pytest.mark.parametrize("cost", [Fourth, Fourth()], ids=["class", "instance"])
def test_own_cost(cost):
    builds = [lambda sizes, module=module: module.Network(sizes, cost=cost) for module in MODULES]
    assert_same_run(*train_all(builds, *RULE, **ALL))


def test_own_cost_with_a_state():
    cost = Counting()
    run = train(network2.Network(SIZES, cost), list(DATA), *RULE, **ALL)
    assert cost.calls == {"fn": 3 * (11 + 9), "delta": 3 * 11}
    json.dumps(run.answer)


def test_cost_of_a_subclass():
    builds = []
    for module in MODULES:
        kind = type("Own", (module.CrossEntropyCost,), {"delta": staticmethod(lambda z, a, y: 2 * (a - y))})
        builds.append(lambda sizes, module=module, kind=kind: module.Network(sizes, cost=kind))
    assert_same_run(*train_all(builds, *RULE, **ALL))


@pytest.mark.parametrize("cost", COSTS)
def test_instance_and_class_of_a_cost_are_alike(cost):
    kind = getattr(network2, cost)
    builds = [lambda sizes, cost=cost: network2.Network(sizes, cost) for cost in (kind, kind())]
    assert_same_run(*train_all(builds, *RULE, **ALL), rtol=0, atol=0)


def test_cost_changed_between_calls():
    runs = train_both(DATA, *RULE, **ALL)
    for run, module in zip(runs, MODULES, strict=True):
        run.net.cost = module.QuadraticCost
    further = []
    for run in runs:
        random.seed(5)
        further.append(train(run.net, run.samples, *RULE, **ALL))
    assert_same_run(*further)


def test_kernels_compute_where_nothing_is_replaced(monkeypatch):
    """No function and no method of the book is called, but for the cost's formula over arrays."""
    net = seeded(network2.Network, SIZES)
    monkeypatch.setattr("fastbp.engine.formulas.feedforward", None)
    monkeypatch.setattr("fastbp.engine.formulas.backprop", None)
    monkeypatch.setattr("fastbp.engine.formulas.update_mini_batch", None)
    for cost in (network2.CrossEntropyCost, network2.QuadraticCost()):
        net.cost = cost
        train(net, list(DATA), *RULE, **ALL)
        net.update_mini_batch(DATA, 0.5, 0.3, 11)
        assert net.accuracy(DATA, True) >= 0 < net.total_cost(TESTS, 0.3, True)


@pytest.mark.parametrize("shuffle", SHUFFLES.values(), ids=SHUFFLES)
def test_replaced_shuffle(shuffle, monkeypatch):
    monkeypatch.setattr(random, "shuffle", shuffle)
    owner = getattr(shuffle, "__self__", None)
    state = owner.getstate() if owner else None
    runs = []
    for module in MODULES:
        if owner:
            owner.setstate(state)
        runs.append(train(seeded(module.Network, SIZES), make_data(SIZES, 11), *RULE, **ALL))
    for one, other in zip(runs[0].samples, runs[1].samples, strict=True):
        assert_close(one, other, rtol=0, atol=0)
    runs[1].samples = runs[0].samples
    assert_same_run(*runs)


def test_replaced_random_of_the_module(monkeypatch):
    monkeypatch.setattr(network2, "random", random.Random(5))
    run = train(seeded(network2.Network, SIZES), list(DATA), 2, 4, 0.5)
    order = list(DATA)
    generator = random.Random(5)
    for _ in range(2):
        generator.shuffle(order)
    assert list(map(id, run.samples)) == list(map(id, order))
    assert random.getstate() == random.Random(0).getstate()


# ---------------------------------------------------------------- while it trains


@pytest.mark.parametrize("lines", [1, 3, 7])
@pytest.mark.parametrize("error", [KeyboardInterrupt, BrokenPipeError])
def test_interrupted_at_a_line(error, lines, monkeypatch):
    runs = []
    for module in MODULES:
        net, samples, written = seeded(module.Network, SIZES), list(DATA), []

        class Stdout:
            def write(self, text, written=written):
                written.append(text)
                if "".join(written).count("\n") == lines:
                    raise error

            def flush(self):
                pass

        monkeypatch.setattr(sys, "stdout", Stdout())
        with pytest.raises(error):
            net.SGD(samples, *RULE, **ALL)
        monkeypatch.undo()
        runs.append((net, samples, len(written)))
    assert_close(runs[0][0].weights, runs[1][0].weights)
    assert list(map(id, runs[0][1])) == list(map(id, runs[1][1]))
    assert runs[0][2] == runs[1][2]


@pytest.mark.parametrize("own", [False, True], ids=["kernels", "own"])
def test_interrupted_within_an_epoch_leaves_whole_batches(own, monkeypatch):
    from fastbp.engine import packed

    calls = iter(range(100))
    if own:

        class Interrupted(network2.Network):
            def backprop(self, x, y):
                if next(calls) == 6:  # the second batch
                    raise KeyboardInterrupt
                return super().backprop(x, y)

    else:
        Interrupted, original = network2.Network, packed.Engine.train

        def interrupted(self, data, order, positions, *rest):
            original(self, data, order, (0, 4), *rest)
            raise KeyboardInterrupt

        monkeypatch.setattr(packed.Engine, "train", interrupted)
    net, samples = seeded(Interrupted, SIZES), list(DATA)
    with pytest.raises(KeyboardInterrupt):
        net.SGD(samples, 2, 4, 0.5, 0.3)
    monkeypatch.undo()
    expected = seeded(reference.Network, SIZES)
    expected.update_mini_batch(samples[:4], 0.5, 0.3, 11)
    assert_close([net.weights, net.biases], [expected.weights, expected.biases])


@pytest.mark.parametrize(
    "change",
    [lambda net: net.SGD(list(DATA), *RULE, **ALL), lambda net: net.update_mini_batch(DATA, 0.5, 0.3, 11)],
    ids=["SGD", "update_mini_batch"],
)
def test_arrays_held_from_before_never_change(change, capsys):
    net = seeded(network2.Network, SIZES)
    change(net)
    lists, arrays = (net.weights, net.biases), [*net.weights, *net.biases]
    copies = copy.deepcopy(arrays)
    change(net)
    assert net.weights is not lists[0] and net.biases is not lists[1]
    assert_close(arrays, copies, rtol=0, atol=0)
    for new, old in zip(net.weights + net.biases, arrays, strict=True):
        assert not np.shares_memory(new, old) and not np.array_equal(new, old)


def assign_wider_hidden_layer(net):  # `sizes` is not read again
    net.weights = [np.full((7, 4), 0.1), np.full((3, 7), -0.2)]
    net.biases = [np.linspace(-1, 1, 7).reshape(7, 1), np.zeros((3, 1))]


def assign_fortran(net):
    net.weights = [np.asfortranarray(w) for w in net.weights]


def edit_in_place(net):
    net.weights[0][1, 2] = 7.0
    net.biases[1][:] = -1.0


@pytest.mark.parametrize("change", [assign_wider_hidden_layer, assign_fortran, edit_in_place])
def test_weights_assigned_by_the_user(change):
    assert_same_run(*train_both(DATA, *RULE, change=change, **ALL))


# ---------------------------------------------------------------- copies and pickles


def through_pickle(protocol):
    return lambda net: pickle.loads(pickle.dumps(net, protocol))


@pytest.mark.parametrize(
    "clone",
    [copy.copy, copy.deepcopy, *map(through_pickle, range(pickle.HIGHEST_PROTOCOL + 1))],
    ids=["copy", "deepcopy", *map(str, range(pickle.HIGHEST_PROTOCOL + 1))],
)
@pytest.mark.parametrize("as_instance", [False, True])
def test_clones_train_to_the_same_bits_on_their_own(clone, as_instance):
    cost = network2.QuadraticCost() if as_instance else network2.QuadraticCost
    net = train(seeded(lambda sizes: network2.Network(sizes, cost), SIZES), list(DATA), *RULE).net
    twin, start = clone(net), copy.deepcopy([net.weights, net.biases])
    runs = []
    for each in (twin, net):
        random.seed(5)
        runs.append(train(each, list(DATA), *RULE, **ALL))
        if each is twin:
            assert_close([net.weights, net.biases], start, rtol=0, atol=0)
    runs[0].samples = runs[1].samples
    assert_same_run(*runs, rtol=0, atol=0)


@pytest.mark.parametrize("protocol", [0, 2])
@pytest.mark.parametrize("as_instance", [False, True])
@pytest.mark.parametrize("cost", COSTS)
def test_pickles_of_the_book(protocol, as_instance, cost, monkeypatch):
    """They name `network2.Network` and `network2.CrossEntropyCost`, and hold five attributes."""
    old = {name: type(name, (), {"__module__": "network2"}) for name in ("Network", *COSTS)}
    expected = seeded(lambda sizes: reference.Network(sizes, getattr(reference, cost)), SIZES)
    pickled = old["Network"]()
    vars(pickled).update(vars(expected), cost=old[cost]() if as_instance else old[cost])
    monkeypatch.setitem(sys.modules, "network2", types.SimpleNamespace(**old))
    content = pickle.dumps(pickled, protocol)
    monkeypatch.setitem(sys.modules, "network2", network2)
    net = pickle.loads(content)
    assert type(net) is network2.Network and list(vars(net)) == list(vars(expected))
    runs = []
    for each in (net, expected):
        random.seed(5)
        runs.append(train(each, list(DATA), *RULE, **ALL))
    assert_same_run(*runs)


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("cost", COSTS)
def test_saved_by_either_and_loaded_by_either(cost, tmp_path):
    net = seeded(lambda sizes: network2.Network(sizes, getattr(network2, cost)), SIZES)
    net.save(tmp_path / "ours")
    expected = reference.load(tmp_path / "ours")
    assert expected.cost is getattr(reference, cost)
    expected.save(tmp_path / "theirs")
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    states, found = [], []
    for module in MODULES:
        np.random.seed(3)
        found.append(module.load(str(tmp_path / "theirs")))
        states.append(random_states())
    assert states[0] == states[1]  # a network was drawn
    assert_close([found[0].weights, found[0].biases], [net.weights, net.biases], rtol=0, atol=0)
    assert found[0].sizes == found[1].sizes == SIZES and found[0].cost is getattr(network2, cost)
    found[0].save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "ours").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"ours", "theirs", "again"}


def test_saved_instance_of_a_cost_and_sizes_of_numpy(tmp_path):
    sizes = tuple(np.array(SIZES))
    network2.Network(sizes, network2.QuadraticCost()).save(tmp_path / "net")
    content = json.loads((tmp_path / "net").read_text())
    assert list(content) == ["sizes", "weights", "biases", "cost"]
    assert content["sizes"] == SIZES and content["cost"] == "QuadraticCost"
    assert network2.load(tmp_path / "net").cost is network2.QuadraticCost


def test_keys_in_any_order(tmp_path):
    net = network2.Network(SIZES)
    net.save(tmp_path / "net")
    content = json.loads((tmp_path / "net").read_text())
    (tmp_path / "net").write_text(json.dumps(dict(reversed(content.items())), indent=1))
    assert_close(network2.load(tmp_path / "net").weights, net.weights, rtol=0, atol=0)


def test_own_cost_is_found_where_a_script_put_it(tmp_path, monkeypatch):
    network2.Network(SIZES, Fourth).save(tmp_path / "net")
    with pytest.raises(AttributeError, match=r"net: cost: expected .*, got 'Fourth'"):
        network2.load(tmp_path / "net")
    monkeypatch.setattr(network2, "Fourth", Fourth, raising=False)
    assert network2.load(tmp_path / "net").cost is Fourth


@pytest.mark.parametrize("call", ["os.replace", "os.fsync"])
def test_a_save_that_fails_leaves_the_old_file(call, tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError(28, "No space left on device")

    network2.Network(SIZES).save(tmp_path / "net")
    before = (tmp_path / "net").read_bytes()
    monkeypatch.setattr(call, fail)
    with pytest.raises(OSError, match="No space left"):
        network2.Network(SIZES).save(tmp_path / "net")
    assert [path.name for path in tmp_path.iterdir()] == ["net"]
    assert (tmp_path / "net").read_bytes() == before


def damaged(**changes):
    content = {"sizes": [2, 1], "weights": [[[0.5, 1]]], "biases": [[[0]]], "cost": "QuadraticCost"}
    return json.dumps(content | changes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected the JSON that network2 saves: Expecting value"),
        (damaged()[:-9], "expected the JSON that network2 saves: Unterminated string"),
        ("\x80\x03".encode("latin1"), "expected the JSON that network2 saves: 'utf-8' codec"),
        ("[" * 10**6, "expected the JSON that network2 saves: (maximum recursion|Stack overflow)"),
        ("[1, 2]", "expected an object with sizes, weights, biases, cost"),
        ('{"sizes": [1]}', "expected an object with sizes, weights, biases, cost"),
        (damaged(sizes=[2, -1]), "sizes: expected at least one layer"),
        (damaged(sizes=2), "sizes: expected integers"),
        (damaged(sizes=[2, 3, 1]), "weights: expected a list of 2, for the sizes"),
        (damaged(weights={}), "weights: expected a list of 1, for the sizes"),
        (damaged(weights=[[[0.5], [1]]]), r"weights\[0\]: expected shape \(1, 2\), got \(2, 1\)"),
        (damaged(weights=[[[0.5, 1], [1]]]), r"weights\[0\]: expected an array, got lists of unequal"),
        (damaged(biases=[["0"]]), r"biases\[0\]\[0\]: expected a number, got '0'"),
        (damaged(biases=[[[None]]]), r"biases\[0\]\[0, 0\]: expected a number, got None"),
        (damaged(cost="os"), "cost: expected CrossEntropyCost, QuadraticCost"),
        (damaged(cost="Network"), "cost: expected CrossEntropyCost, QuadraticCost"),
        (damaged(cost=None), "cost: expected CrossEntropyCost, QuadraticCost"),
    ],
)
def test_damaged_files_are_refused(text, message, tmp_path):
    (tmp_path / "net").write_bytes(text if isinstance(text, bytes) else text.encode())
    states = random_states()
    with pytest.raises((ValueError, TypeError, AttributeError), match=message):
        network2.load(tmp_path / "net")
    assert random_states() == states


def test_whole_numbers_become_floats(tmp_path):
    (tmp_path / "net").write_text(damaged(weights=[[[2, 1]]]))
    net = network2.load(tmp_path / "net")
    assert {array.dtype for array in (*net.weights, *net.biases)} == {np.dtype(float)}
