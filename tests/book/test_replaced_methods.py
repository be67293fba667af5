"""Methods and functions of `fastbp.Network` that a user replaces: as with the book's class."""
# ruff: noqa: NPY002  the seed draws from NumPy's global generator

import copy
import importlib
import random
from functools import partial

import numpy as np
import pytest

import fastbp.compat.network
import fastbp.compat.network2
import reference
from book_class import (
    BOTH,
    DATA,
    LABELS,
    MODULES,
    OPTIONS,
    SIZES,
    TEST_DATA,
    Own,
    X,
    assert_same_answers,
    assert_same_run,
    in_grandparent,
    in_mixin,
    in_subclass,
    on_class,
    on_instance,
    seeded,
    tanh_prime,
    train,
    train_both,
    train_on,
)
from experiments import in_new_process
from fastbp import DivergenceError, Network
from fastbp.engine.kernels.shuffle import permute
from fastbp.engine.replaced import is_replaced
from fastbp.options.random_streams import key
from reference import assert_close

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


@pytest.mark.parametrize("size", [3, 4])
@pytest.mark.parametrize("change", [list.append, list.remove, lambda pairs, pair: pairs.reverse()])
def test_override_of_evaluate_that_changes_the_list(change, size):
    def build(cls, sizes):
        class Net(cls):
            def evaluate(self, list_):
                change(list_, list_[0])
                return 7

        return Net(sizes)

    runs = []
    for cls in BOTH:
        data = list(DATA)
        net = seeded(partial(build, cls), SIZES)
        runs.append(train(net, data, 2, size, 0.5, data))
    assert_same_run(*runs)


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


def reloaded():
    """The class's functions that count as replaced after reloads of both modules, and a `fit` by Adam."""
    before = [fastbp.Network, fastbp.compat.network2.Network]
    nets = [kind([4, 3, 2]) for kind in before]
    importlib.reload(fastbp.compat.network)
    importlib.reload(fastbp.compat.network2)
    nets += [kind([4, 3, 2]) for kind in before]
    nets[0].fit(np.eye(4), [0, 1, 0, 1], epochs=1, batch_size=4, optimizer="adam")
    return [name for net in nets for name in net._fastbp_hooks.training if is_replaced(net, name)]


def test_a_reload_of_the_module_replaces_nothing():
    assert in_new_process("test_replaced_methods.reloaded()") == []


def test_replaced_numpy_of_the_module(monkeypatch):
    """`network.np = ...` is what the seed's formulas then use."""

    class Counting:
        calls = 0

        def __getattr__(self, name):
            Counting.calls += name == "dot"
            return getattr(np, name)

    monkeypatch.setattr(fastbp.compat.network, "np", Counting())
    net = Network(SIZES, seed=0)
    net.fit(X, LABELS, **{**OPTIONS, "epochs": 1})
    assert Counting.calls == len(X) * (2 + 2 + 1 + 2)  # a forward for the loss; forward, BP2 and BP4
    net.predict(X)
    assert Counting.calls == len(X) * 9


# ---------------------------------------------------------------- fit and predict honour what was replaced

INHERITED = {name: hook for name, hook in OVERRIDES.items() if name != "evaluate"}


def column(row):
    return row[:, np.newaxis]


def fit_as_the_seed_would(build, X=X, labels=LABELS):
    """The reference trained by the mini-batches of ``fit(..., seed=3)``: its costs and its outputs, too."""
    drawn, net = Network(SIZES, seed=3), build(SIZES)
    net.biases, net.weights = drawn.biases, drawn.weights
    pairs = [(column(x), column(y)) for x, y in zip(X, np.eye(3)[labels], strict=True)]
    losses = []
    for epoch in range(OPTIONS["epochs"]):
        order, cost = np.arange(len(X)), 0.0
        permute(None)(key(3, "order", epoch), order)
        for start in range(0, len(X), 4):
            batch = [pairs[i] for i in order[start : start + 4]]
            cost += sum(np.sum((net.feedforward(x) - y) ** 2) / 2 for x, y in batch)
            net.update_mini_batch(batch, 0.5)
        losses.append(cost / len(X))
    return net, losses, np.hstack([net.feedforward(column(x)) for x in X]).T


def replaced_in_both(hook, where, patch):
    """A builder of networks drawn by seed 3, and one of the reference, with the same method replaced."""
    builds = []
    for cls in BOTH:
        original = getattr(cls, hook)

        def method(self, *arguments, original=original):
            return OVERRIDES[hook](self, partial(original, self), *arguments)

        builds.append(where(cls, hook, method, patch))
    return builds


@pytest.mark.parametrize("where", [on_instance, on_class, in_subclass, in_mixin])
@pytest.mark.parametrize("hook", INHERITED)
def test_fit_by_a_replaced_method(hook, where, monkeypatch):
    build, expected_build = replaced_in_both(hook, where, monkeypatch)
    expected, losses, outputs = fit_as_the_seed_would(expected_build)
    net = build(SIZES)
    plain = Network(SIZES, seed=3)
    net.weights, net.biases, net._fastbp = plain.weights, plain.biases, plain._fastbp
    held_out = (X, LABELS)
    history = net.fit(X, LABELS, **OPTIONS, validation_data=held_out)
    assert_close([net.weights, net.biases], [expected.weights, expected.biases])
    np.testing.assert_allclose(history.loss, losses, rtol=1e-9)
    np.testing.assert_allclose(net.outputs(X), outputs, rtol=1e-9)
    np.testing.assert_array_equal(net.predict(X), outputs.argmax(axis=1))
    np.testing.assert_allclose(net.predict_proba(X), outputs / outputs.sum(axis=1, keepdims=True), rtol=1e-9)
    assert net.score(X, LABELS) == np.mean(outputs.argmax(axis=1) == LABELS) == history.validation_score[-1]


@pytest.mark.parametrize("functions", [{"sigmoid": np.tanh}, {"sigmoid_prime": tanh_prime}], ids=" and ".join)
def test_fit_by_a_replaced_function(functions, monkeypatch):
    for name, function in functions.items():
        monkeypatch.setattr(fastbp.compat.network, name, function)
        monkeypatch.setattr(reference, name, function)
    expected, losses, outputs = fit_as_the_seed_would(reference.Network)
    net = Network(SIZES, seed=3)
    history = net.fit(X, LABELS, **OPTIONS)
    assert_close([net.weights, net.biases], [expected.weights, expected.biases])
    np.testing.assert_allclose(history.loss, losses, rtol=1e-9)
    np.testing.assert_allclose(net.outputs(X), outputs, rtol=1e-9)
    np.testing.assert_array_equal(net.predict(X), outputs.argmax(axis=1))
    if "sigmoid" in functions:
        with pytest.raises(ValueError, match="no probabilities"):
            net.predict_proba(X)


ARRAYS = {
    "float64": (X, np.float64),
    "float32": (X.astype(np.float32), np.float32),
    "uint8": (np.random.default_rng(5).integers(0, 256, (11, 4), np.uint8), np.float64),
    "uint8 to float32": (np.random.default_rng(5).integers(0, 256, (11, 4), np.uint8), np.float32),
}
TARGETS = {"labels": LABELS, "values": np.random.default_rng(6).random((11, 3))}


@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("y", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("shuffle", [True, False])
def test_plain_and_compiled_fit_agree(kind, y, shuffle):
    """All options of `fit`: the order, the history, the callbacks and the stop are the same."""
    samples, dtype = ARRAYS[kind]
    found = []
    for cls in (Network, Own):
        seen = []

        def callback(net, history, seen=seen):
            seen.append(copy.deepcopy(net.weights))
            net.biases = [0.9 * b for b in net.biases]
            return len(history.loss) == 4

        divisor = 255 if samples.dtype == np.uint8 else None
        net = cls(SIZES, seed=3, dtype=dtype, activation="tanh", input_divisor=divisor)
        history = net.fit(
            samples,
            y,
            epochs=6,
            batch_size=4,
            learning_rate=0.1,
            shuffle=shuffle,
            validation_data=(samples[:5], y[:5]),
            callbacks=callback,
        )
        assert net.task == ("labels" if y.ndim == 1 else "values")
        assert {array.dtype for array in (*net.weights, *net.biases)} == {np.dtype(dtype)}
        found.append(
            [net.weights, net.biases, history.loss, history.validation_loss, history.validation_score]
        )
        found[-1] += [seen, list(net.outputs(samples))]
        assert len(history.loss) == len(seen) == 4
    tolerances = {"rtol": 1e-9, "atol": 1e-11} if dtype == np.float64 else {"rtol": 1e-3, "atol": 1e-5}
    assert_close(*found, **tolerances)


def test_plain_fit_diverges_to_the_last_finite_weights():
    net = Own(SIZES, seed=3, output_activation="linear")
    with pytest.raises(DivergenceError, match="no longer finite"):
        net.fit(X, LABELS, epochs=200, batch_size=4, learning_rate=1e3)
    assert all(np.isfinite(array).all() for array in (*net.weights, *net.biases))


def test_plain_fit_interrupted_keeps_whole_batches():
    calls = iter(range(100))

    class Interrupted(Network):
        def cost_derivative(self, output_activations, y):
            if next(calls) == 6:  # the second batch
                raise KeyboardInterrupt
            return output_activations - y

    net, expected = Interrupted(SIZES, seed=3), Own(SIZES, seed=3)
    options = {"epochs": 1, "batch_size": 4, "learning_rate": 0.5, "shuffle": False}
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, LABELS, **options)
    expected.fit(X[:4], LABELS[:4], **options)
    assert_close([net.weights, net.biases], [expected.weights, expected.biases], rtol=0, atol=0)


def test_own_feedforward_of_another_shape_is_refused():
    class Flat(Network):
        def feedforward(self, a):
            return super().feedforward(a).ravel()

    with pytest.raises(ValueError, match=r"feedforward: expected to return shape \(3, 1\), got \(3,\)"):
        Flat(SIZES).predict(X)


def test_own_update_that_changes_shapes_is_refused():
    class Growing(Network):
        def update_mini_batch(self, mini_batch, eta):
            self.weights = [np.ones((7, 4)), np.ones((3, 7))]
            self.biases = [np.ones((7, 1)), np.ones((3, 1))]

    net = Growing(SIZES, seed=3)
    with pytest.raises(ValueError, match="weights: expected layers"):
        net.fit(X, LABELS, **OPTIONS)
    assert_close(net.weights, Network(SIZES, seed=3).weights, rtol=0, atol=0)


def test_only_training_goes_by_a_replaced_cost_derivative(monkeypatch):
    """The kernels still compute outputs, and no method of the network is called."""
    net = Own(SIZES, seed=3)
    expected = Network(SIZES, seed=3).outputs(X)
    monkeypatch.setattr("fastbp.engine.formulas.feedforward", None)
    assert net.outputs(X).tobytes() == expected.tobytes()
    assert net.evaluate([(column(x), 0) for x in X]) == np.count_nonzero(expected.argmax(axis=1) == 0)


# ---------------------------------------------------------------- names of a subclass's own

FORMER_NAMES = (
    *("_dtype", "_activation", "_output", "_divisor", "_task", "_random", "_engine", "_names", "_functions"),
    *(
        "_trained",
        "_repack",
        "_generator",
        "_checked",
        "_scorable",
        "_score",
        "_is_customised",
        "_has_replaced",
    ),
    *("_engine_for_pairs", "_descend_compiled", "_descend_plainly", "_update_plainly", "_hooks", "_shuffle"),
)


@pytest.mark.parametrize("kind", ["method", "attribute"])
def test_private_names_of_a_subclass_do_not_collide(kind):
    def refuse(self, *arguments):
        raise AssertionError("called")

    methods = {name: refuse for name in FORMER_NAMES} if kind == "method" else {}
    results = []
    for cls in (Network, type("Own", (Network,), methods)):
        net = cls(SIZES, seed=3)
        if cls is not Network and kind == "attribute":
            for name in FORMER_NAMES:
                setattr(net, name, "mine")
        net.fit(X, LABELS, **OPTIONS, validation_data=(X, LABELS))
        random.seed(0)
        train(net, list(DATA), 2, 4, 0.5, TEST_DATA)
        net = copy.deepcopy(net)
        results.append(
            [net.weights, net.outputs(X), net.feedforward(X.T), net.score(X, LABELS), repr(net)[-20:]]
        )
        if cls is not Network and kind == "attribute":
            assert {getattr(net, name) for name in FORMER_NAMES} == {"mine"}
    assert_close(results[0][:-1], results[1][:-1], rtol=0, atol=0)
    assert results[0][-1] == results[1][-1]


def test_a_network_of_sigmoids_has_the_seeds_attributes_and_no_other():
    net = seeded(Network, SIZES)
    train(net, list(DATA), 1, 4, 0.5)
    assert list(vars(net)) == ["num_layers", "sizes", "biases", "weights"]
