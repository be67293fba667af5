"""Training that goes on: the same bits in one call or many, for any team, copied between."""
# ruff: noqa: NPY002  without a seed numbers come from NumPy's global generator

import copy
import pickle
import random

import numpy as np
import pytest

import fastbp
from fastbp import DivergenceError, Network
from fastbp.options.optimizers import OPTIMIZERS
from toy import LABELS, N, X

EPOCHS = 4
RECIPE = {
    "batch_size": 7,
    "learning_rate": 0.01,
    "schedule": fastbp.Step(every=5, factor=0.5, warmup=3),
    "l2": 0.01,
    "l1": 0.001,
    "clip_norm": 0.5,
    "sample_weight": np.linspace(0.5, 1.5, N),
    "class_weight": {0: 2.0},
}
NETWORK = {
    "activation": ["relu", "gelu", "elu"],
    "output_activation": "softmax",
    "cost": "cross_entropy",
    "dropout": [0.2, 0.1, 0.5],
    "frozen": 1,
}
optimizers = pytest.mark.parametrize("optimizer", OPTIMIZERS)
clones = pytest.mark.parametrize(
    "clone",
    [copy.deepcopy, copy.copy, lambda net: pickle.loads(pickle.dumps(net))],
    ids=["deep", "copy", "pickle"],
)


def network(seed=3, sizes=(6, 9, 8, 7, 3), **options):
    return Network(list(sizes), seed=seed, **{**NETWORK, **options})


def fit(net, epochs=EPOCHS, **options):
    net.fit(X, LABELS, epochs=epochs, **{**RECIPE, **options})
    return net


def bits(net):
    return net.parameters.tobytes()


def state(net):
    parts = net._fastbp.progress.optimizer_state.values()
    return [array.tobytes() for parameters in parts for arrays in parameters for array in arrays]


# ---------------------------------------------------------------- n calls of one epoch are one call of n


@pytest.mark.parametrize("seed", [3, None])
@optimizers
def test_many_calls_are_one(optimizer, seed, dtype):
    nets = []
    for calls in ([EPOCHS], [1] * EPOCHS, [2, 0, 2]):
        np.random.seed(8)
        net = network(seed, dtype=dtype)
        for epochs in calls:
            fit(net, epochs, optimizer=optimizer)
        nets.append(net)
    assert bits(nets[0]) == bits(nets[1]) == bits(nets[2])
    assert state(nets[0]) == state(nets[1]) == state(nets[2])
    if seed is None:
        np.random.seed(9)
        assert bits(fit(network(None, dtype=dtype), optimizer=optimizer)) != bits(nets[0])
    else:
        assert bits(fit(network(4, dtype=dtype), optimizer=optimizer)) != bits(nets[0])


def test_a_seed_takes_nothing_of_the_global_generator():
    np.random.seed(1)
    before = np.random.get_state()[1].tobytes()
    fit(network())
    assert np.random.get_state()[1].tobytes() == before


@pytest.mark.parametrize("members", [1, 2, 3, 4])
@optimizers
def test_threads_change_no_bit(optimizer, members, dtype, monkeypatch):
    monkeypatch.setattr("fastbp.engine.team_size.cpus", lambda: 4)
    net = fit(network(dtype=dtype), 2, optimizer=optimizer, threads=members)
    assert bits(net) == bits(fit(network(dtype=dtype), 2, optimizer=optimizer, threads=1))


@clones
@optimizers
def test_a_clone_goes_on_alike(clone, optimizer):
    net = fit(network(), 1, optimizer=optimizer)
    twin = clone(net)
    fit(twin, EPOCHS - 1, optimizer=optimizer)
    assert bits(twin) == bits(fit(network(), optimizer=optimizer))
    assert bits(fit(net, EPOCHS - 1, optimizer=optimizer)) == bits(twin)  # it kept a state of its own


@clones
def test_a_clone_made_by_a_callback_goes_on_alike(clone):
    """A checkpoint holds the optimizer's state as well."""
    kept = []
    whole = fit(network(), optimizer="adam", callbacks=lambda net, history: kept.append(clone(net)))
    for epochs, twin in enumerate(kept, 1):
        assert bits(fit(twin, EPOCHS - epochs, optimizer="adam")) == bits(whole)


def test_the_order_without_shuffling():
    one, two = network(), network()
    fit(one, shuffle=False, optimizer="adam")
    for _ in range(EPOCHS):
        fit(two, 1, shuffle=False, optimizer="adam")
    assert bits(one) == bits(two) != bits(fit(network(), optimizer="adam"))


# ---------------------------------------------------------------- what begins anew


@optimizers
def test_another_optimizer_begins_anew(optimizer):
    """Steps are those of a new network with these weights; orders and masks go on."""
    other = "momentum" if optimizer != "momentum" else "adam"
    net = fit(network(dropout=0.0), 2, optimizer=other)
    fresh = network(dropout=0.0)
    fresh.parameters = net.parameters
    options = {"optimizer": optimizer, "shuffle": False}
    assert bits(fit(net, 2, **options)) == bits(fit(fresh, 2, **options))


def test_other_options_are_another_optimizer():
    def second(first):
        net = fit(network(), 2, optimizer=first)
        net.parameters = np.linspace(-1, 1, net.parameters.size)
        return bits(fit(net, 1, optimizer=fastbp.Momentum(0.5)))

    assert second("momentum") == second("sgd") == second(fastbp.Momentum(0.8)) != second(fastbp.Momentum(0.5))


def test_another_learning_rate_goes_on():
    """The velocity stays: a step of rate 0 keeps what the next one takes."""
    net = Network([1, 1], init=[np.zeros((1, 1))], output_activation="linear")
    given = {"X": np.ones((1, 1)), "y": np.ones((1, 1)), "batch_size": 1, "optimizer": fastbp.Momentum(0.5)}
    net.fit(epochs=1, learning_rate=0.1, **given)  # velocity -1, w = b = 0.1
    net.fit(epochs=1, learning_rate=0.01, **given)  # velocity -0.5 - 0.8
    assert net.weights[0][0, 0] == pytest.approx(0.1 + 0.01 * 1.3)


def test_weights_set_between_calls_keep_the_state_and_new_shapes_begin_anew():
    net = fit(network(), 1, optimizer="adam")
    net.weights = [w + 0.0 for w in net.weights]
    assert bits(fit(net, EPOCHS - 1, optimizer="adam")) == bits(fit(network(), optimizer="adam"))
    sizes = (6, 10, 8, 7, 3)
    nets = [fit(network(dropout=0.0), 1, optimizer="adam"), network(dropout=0.0, sizes=sizes)]
    for net in nets:
        wide = network(seed=5, sizes=sizes)
        net.weights, net.biases = wide.weights, wide.biases
        fit(net, 1, optimizer="adam", shuffle=False)
    assert bits(nets[0]) == bits(nets[1])


# ---------------------------------------------------------------- the seed's surface


def columns():
    return [(x[:, np.newaxis], y[:, np.newaxis]) for x, y in zip(X / 4, np.eye(3)[LABELS], strict=True)]


def test_dropout_in_lists_of_pairs_counts_its_steps():
    nets = [network(dropout=0.4) for _ in range(3)]
    pairs = columns()
    for start in range(0, N, 7):
        nets[0].update_mini_batch(pairs[start : start + 7], 0.1)
    nets[1].fit(X / 4, LABELS, epochs=1, batch_size=7, learning_rate=0.1, shuffle=False)
    assert bits(nets[0]) == bits(nets[1])
    nets[2].update_mini_batch(pairs[:7], 0.1)
    nets[2].update_mini_batch(pairs[7:14], 0.1)
    assert bits(nets[2]) != bits(nets[0])


def test_many_calls_on_pairs_are_one():
    nets = []
    for calls in ([3], [1, 1, 1]):
        random.seed(5)
        net, pairs = network(frozen=()), columns()
        for epochs in calls:
            net.SGD(pairs, epochs, 7, 0.1)
        nets.append(net)
    assert bits(nets[0]) == bits(nets[1])
    assert nets[0]._fastbp.progress.batches == 12


def test_steps_on_pairs_are_none_of_the_optimizer_s():
    """Adam's correction of its start and a schedule's steps go on as if nothing had been between."""
    asked = []
    net = fit(network(dropout=0.2), 1, optimizer="adam")
    net.SGD(columns(), 1, 7, 0.1)
    fit(net, 1, optimizer="adam", schedule=lambda step: asked.append(step) or 0.1)
    assert asked == [4, 5, 6, 7]


# ---------------------------------------------------------------- what is left after an error


def test_a_schedule_that_breaks_off_leaves_what_was_trained(monkeypatch):
    """The state counts as many steps as were made, so the rest of the order goes on from there."""
    monkeypatch.setattr("fastbp.engine.team_size._FIRST_FLOPS", 1)  # a step per chunk
    monkeypatch.setattr("fastbp.engine.team_size._CHUNK", 0)
    net, wanted = network(dropout=0.0), network(dropout=0.0)
    options = {"optimizer": "adam", "shuffle": False, "epochs": 1}
    with pytest.raises(ValueError, match="schedule at step 2: expected a finite rate of at least 0, got nan"):
        fit(net, schedule=lambda step: 0.01 if step < 2 else float("nan"), **options)
    assert net._fastbp.progress.batches == 2
    rows = slice(0, 14)
    recipe = {**RECIPE, "schedule": lambda step: 0.01, **options}
    weights = recipe.pop("sample_weight")
    wanted.fit(X[rows], LABELS[rows], sample_weight=weights[rows], **recipe)
    assert bits(net) == bits(wanted)
    assert state(net) == state(wanted)


def test_after_a_cost_that_is_not_finite_the_state_is_that_of_the_weights():
    """Both are those of just before its batch."""
    nets = [network(cost="quadratic", output_activation="linear", dropout=0.0) for _ in range(2)]
    options = {"epochs": 1, "batch_size": 7, "optimizer": "adam", "learning_rate": 1e60, "shuffle": False}
    with pytest.raises(DivergenceError, match="epoch 1, sample 7 of 25: the cost"):
        nets[0].fit(X, LABELS, **options)
    nets[1].fit(X[:7], LABELS[:7], **options)
    assert nets[0]._fastbp.progress.batches == 1
    assert (bits(nets[0]), state(nets[0])) == (bits(nets[1]), state(nets[1]))


def test_after_a_weight_that_is_not_finite_the_state_is_of_before_the_epoch():
    net = Network([6, 3], dtype="float32", seed=0)
    options = {"epochs": 1, "batch_size": N, "optimizer": "momentum"}
    net.fit(X, LABELS, learning_rate=1e-9, **options)
    net.parameters = np.zeros(21)  # where sigmoids do not saturate
    before = copy.deepcopy(net)
    with pytest.raises(DivergenceError, match="a weight"):
        net.fit(1e3 * X, LABELS, learning_rate=1e38, **options)
    assert (bits(net), state(net)) == (bits(before), state(before))
    assert net._fastbp.progress.batches == before._fastbp.progress.batches


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_an_interrupted_fit_goes_on(optimizer):
    def interrupt(net, history):
        if len(history.loss) == 2:
            raise KeyboardInterrupt

    net = network()
    with pytest.raises(KeyboardInterrupt):
        fit(net, optimizer=optimizer, callbacks=interrupt)
    assert bits(fit(net, EPOCHS - 2, optimizer=optimizer)) == bits(fit(network(), optimizer=optimizer))
