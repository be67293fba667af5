"""Errors about recipes: each names the argument, what was expected and what was passed."""

import copy

import numpy as np
import pytest

import fastbp
from fastbp import Adam, Cost, EarlyStopping, Network, ReduceLROnPlateau
from ids import named
from refusals import assert_refused
from toy import LABELS, OPTIONS, VALUES, N, X, bits

SIZES = [6, 9, 5, 3]
ARRAYS = [np.zeros((9, 6)), np.zeros((5, 9)), np.zeros((3, 5))]
SOFTMAX = {"output_activation": "softmax", "cost": "cross_entropy"}
COUNTS = {"output_activation": "exponential", "cost": "poisson"}


def net(sizes=SIZES, **options):
    return Network(sizes, seed=1, **options)


def fit(*, X=X, y=LABELS, sizes=SIZES, network=(), **options):
    return net(sizes, **dict(network)).fit(X, y, **{**OPTIONS, **options})


class Own(Network):
    def cost_derivative(self, output_activations, y):
        return output_activations - y


def own(network=(), **options):
    return Own(SIZES, **dict(network)).fit(X, LABELS, **{**OPTIONS, **options})


def rate_then(value):
    return lambda step: value if step == 5 else 0.1


def called(name, value=0.0):
    def metric(y, outputs):
        return value

    metric.__name__ = name
    return metric


REFUSED = [
    # names and objects
    (lambda: net(activation="step"), "activation: expected one of 'sigmoid', 'tanh'", "got 'step'"),
    (lambda: net(activation="softmax"), "activation: expected one of", "got 'softmax'"),
    (lambda: net(activation=None), "activation: expected one of", "got None"),
    (lambda: net(activation=fastbp.LeakyReLU), "activation:", "LeakyReLU'>; write LeakyReLU()"),
    (lambda: net(activation=np.tanh), "activation:", "<ufunc 'tanh'>; fastbp.Activation"),
    (lambda: net(activation=Adam()), "activation:", "got Adam(beta_1=0.9"),
    (
        lambda: net(activation=["relu"]),
        "activation: expected one value, or 2, one per layer, got 1: ['relu']",
    ),
    (lambda: net(activation=[]), "activation: expected one value, or 2, one per layer, got 0"),
    (lambda: net([6, 3], activation=["relu"]), "activation: expected one value, or 0"),
    (lambda: net(activation=["relu", "softmax"]), "activation: expected one of", "got 'softmax'"),
    (lambda: net(output_activation="step"), "output_activation:", "'softmax', or an object", "got 'step'"),
    (lambda: net(output_activation=["softmax"]), "output_activation:", "got ['softmax']"),
    (
        lambda: net([6, 1], output_activation="softmax"),
        "output_activation: expected at least 2 outputs",
        "got 1",
    ),
    (lambda: net(cost="mse"), "cost: expected one of 'quadratic', 'cross_entropy'", "got 'mse'"),
    (lambda: net(cost=fastbp.Huber), "cost:", "; write Huber()"),
    (lambda: net(cost=fastbp.ELU()), "cost:", "got ELU(alpha=1.0)"),
    (
        lambda: net(cost="cross_entropy", output_activation="tanh"),
        "output_activation: expected 'sigmoid' or 'softmax' for the cost 'cross_entropy', got 'tanh'",
    ),
    (
        lambda: net(cost="cross_entropy", output_activation=fastbp.ELU()),
        "'cross_entropy', got ELU(alpha=1.0)",
    ),
    (lambda: net(cost="poisson", output_activation="linear"), "for the cost 'poisson', got 'linear'"),
    (lambda: fit(optimizer="lbfgs"), "optimizer: expected one of 'sgd', 'momentum'", "got 'lbfgs'"),
    (lambda: fit(optimizer=Adam), "optimizer:", "; write Adam()"),
    (lambda: fit(optimizer=None), "optimizer:", "got None"),
    (lambda: fit(optimizer=fastbp.Cosine()), "optimizer:", "got Cosine(final=0.0"),
    (lambda: fit(optimizer={}), "optimizer:", "got {}"),
    (lambda: fit(schedule="linear"), "schedule: expected one of 'constant', 'step'", "got 'linear'"),
    (lambda: fit(schedule=fastbp.Cosine), "schedule:", "; write Cosine()"),
    (lambda: fit(schedule=None), "schedule:", "got None"),
    (lambda: fit(schedule=0.1), "schedule:", "got 0.1"),
    (lambda: fit(schedule=Adam()), "schedule:", "got Adam("),
    # the network's other arguments
    (lambda: net(init="xavier"), "init: expected one of 'normal', 'lecun_normal'", "got 'xavier'"),
    (lambda: net(init=5), "init: expected a name, or 3 arrays of weights, one per layer, got 5"),
    (lambda: net(init=ARRAYS[:2]), "init: expected a name, or 3 arrays", "got 2"),
    (lambda: net(init=[*ARRAYS[:2], np.zeros((5, 3))]), "init[2]: expected shape (3, 5), got (5, 3)"),
    (lambda: net(init=[*ARRAYS[:2], np.zeros(5)]), "init[2]: expected shape (3, 5), got (5,)"),
    (lambda: net(init=[*ARRAYS[:2], "normal"]), TypeError, "init[2]: expected numbers"),
    (
        lambda: net(init=[*ARRAYS[:2], np.full((3, 5), np.nan)]),
        "init[2][0, 0]: expected a finite float64",
        "nan",
    ),
    (lambda: net(dropout=1.0), "dropout: expected a number from 0 to below 1, got 1.0"),
    (lambda: net(dropout=-0.1), "dropout:", "got -0.1"),
    (lambda: net(dropout=np.nan), "dropout:", "got nan"),
    (lambda: net(dropout="0.5"), TypeError, "dropout: expected a number, got '0.5'"),
    (lambda: net(dropout=None), TypeError, "dropout: expected a number, got None"),
    (lambda: net(dropout=[0.5]), "dropout: expected one value, or 2, one per layer, got 1: [0.5]"),
    (lambda: net(dropout=(0.1, 0.1, 0.1)), "dropout: expected one value, or 2", "got 3"),
    (lambda: net(dropout=[0.5, 1.0]), "dropout:", "got 1.0"),
    (lambda: net([6, 3], dropout=[0.5]), "dropout: expected one value, or 0", "got 1"),
    (lambda: net(frozen=3), "frozen: expected indices of weights, from 0 to 2, got 3"),
    (lambda: net(frozen=[0, -4]), "frozen:", "from 0 to 2, got -4 in [0, -4]"),
    (lambda: net(frozen=1.5), TypeError, "frozen: expected an integer, got 1.5"),
    (lambda: net(frozen=None), TypeError, "frozen: expected an integer, got None"),
    (lambda: net(frozen=True), TypeError, "frozen: expected indices of weights", "got True"),
    (
        lambda: net(frozen=[True, False, False]),
        TypeError,
        "frozen: expected indices",
        "got [True, False, False]",
    ),
    (lambda: net(frozen="0"), TypeError, "frozen: expected an integer, got '0'"),
    (lambda: Network(SIZES, seed=2**64), "seed: expected an integer below 2^64, got 18446744073709551616"),
    # options of objects
    (lambda: fastbp.LeakyReLU("a"), "LeakyReLU.slope: expected a finite number, got 'a'"),
    (lambda: fastbp.LeakyReLU(True), "LeakyReLU.slope:", "got True"),
    (lambda: fastbp.ELU(np.inf), "ELU.alpha: expected a finite number, got inf"),
    (lambda: fastbp.GELU("erf"), "GELU.approximate: expected 'none' or 'tanh', got 'erf'"),
    (
        lambda: fastbp.Activation(np.tanh, None),
        TypeError,
        "Activation.derivative: expected a function, got None",
    ),
    (
        lambda: fastbp.Activation("tanh", np.cos),
        TypeError,
        "Activation.function: expected a function, got 'tanh'",
    ),
    (lambda: Cost(1, np.cos), TypeError, "Cost.function: expected a function, got 1"),
    (lambda: fastbp.Huber(0), "Huber.delta: expected a finite number above 0, got 0"),
    (lambda: fastbp.Huber("1"), "Huber.delta:", "got '1'"),
    (lambda: fastbp.Quantile(1), "Quantile.level: expected a number between 0 and 1, got 1"),
    (lambda: fastbp.Quantile(True), "Quantile.level:", "got True"),
    (lambda: fastbp.Momentum(1.0), "Momentum.momentum: expected a number in [0, 1), got 1.0"),
    (lambda: fastbp.Nesterov(np.nan), "Nesterov.momentum:", "got nan"),
    (lambda: Adam(beta_1="x"), "Adam.beta_1:", "got 'x'"),
    (lambda: Adam(beta_2=1), "Adam.beta_2: expected a number in [0, 1), got 1"),
    (lambda: Adam(epsilon=0), "Adam.epsilon: expected a number in [1e-30, inf), got 0"),
    (lambda: fastbp.RMSprop(rho=-1), "RMSprop.rho:", "got -1"),
    (lambda: fastbp.AdamW(weight_decay=-1), "AdamW.weight_decay: expected a number in [0, inf), got -1"),
    (lambda: fastbp.IRprop(up=0.5), "IRprop.up: expected a number in [1, inf), got 0.5"),
    (lambda: fastbp.IRprop(smallest=0), "IRprop.smallest: expected a number in [1e-30, inf), got 0"),
    (lambda: fastbp.IRprop(smallest=2, largest=1), "IRprop.smallest: expected at most largest, 1, got 2"),
    # fit's numbers
    (lambda: fit(learning_rate="auto"), TypeError, "learning_rate: expected a number, got 'auto'"),
    (lambda: fit(l2=-1), "l2: expected a finite number of at least 0, got -1.0"),
    (lambda: fit(l2=None), TypeError, "l2: expected a number, got None"),
    (lambda: fit(l1=np.nan), "l1: expected a finite number of at least 0, got nan"),
    (lambda: fit(l1="0.1"), TypeError, "l1: expected a number, got '0.1'"),
    (lambda: fit(clip_norm=0), "clip_norm: expected a finite number above 0, got 0.0"),
    (lambda: fit(clip_norm=np.inf), "clip_norm:", "got inf"),
    (
        lambda: fit(schedule=rate_then(np.nan)),
        "schedule at step 5: expected a finite rate of at least 0, got nan",
    ),
    (lambda: fit(schedule=rate_then(-1)), "schedule at step 5:", "got -1.0"),
    (lambda: fit(schedule=rate_then(None)), TypeError, "schedule at step 5: expected a number, got None"),
    # weights of samples and classes
    (
        lambda: fit(sample_weight=np.ones(24)),
        "sample_weight: expected shape (25,), one per row of X, got (24,)",
    ),
    (lambda: fit(sample_weight=np.ones((N, 1))), "sample_weight:", "got (25, 1)"),
    (lambda: fit(sample_weight=2.0), "sample_weight:", "got ()"),
    (
        lambda: fit(sample_weight=[1.0] * 24 + [np.nan]),
        "sample_weight[24]: expected a finite number",
        "got nan",
    ),
    (lambda: fit(sample_weight=-np.ones(N)), "sample_weight[0]:", "of at least 0, got -1.0"),
    (lambda: fit(sample_weight="balanced"), TypeError, "sample_weight: expected numbers"),
    (
        lambda: fit(class_weight="auto"),
        TypeError,
        "class_weight: expected a dict of label to weight or 'balanced'",
    ),
    (lambda: fit(class_weight=[1, 2, 3]), TypeError, "class_weight:", "got [1, 2, 3]"),
    (lambda: fit(class_weight={3: 1}), "class_weight: expected labels 0, 1, 2, got 3"),
    (lambda: fit(class_weight={"a": 1}), "class_weight: expected labels 0, 1, 2, got 'a'"),
    (lambda: fit(class_weight={0: -1}), "class_weight[0]: expected a finite number of at least 0, got -1.0"),
    (lambda: fit(y=VALUES, class_weight="balanced"), "class_weight: expected labels as y", "got values"),
    (
        lambda: fit(y=LABELS + 0.5, sizes=[6, 1], class_weight={0: 1}),
        "class_weight: expected labels as y, (n,) integers, got value",
    ),
    # targets that the cost is not defined for
    (
        lambda: fit(y=VALUES * 2, network={"cost": "cross_entropy"}),
        "y[0, 1]: expected 0 to 1, as the cost is 'cross_entropy', got 2.0",
    ),
    (lambda: fit(y=VALUES - 1, network=SOFTMAX), "y[0, 0]: expected 0 to 1", "got -1.0"),
    (
        lambda: fit(y=VALUES, network=SOFTMAX),
        "y[7]: expected probabilities, which add up to 1",
        "got a sum of 3",
    ),
    (
        lambda: fit(y=VALUES - 1, network=COUNTS),
        "y[0, 0]: expected a count of at least 0",
        "'poisson', got -1.0",
    ),
    (
        lambda: fit(y=VALUES, validation_data=(X, VALUES * 3), network={"cost": "cross_entropy"}),
        "validation_y[0, 1]: expected 0 to 1",
    ),
    # data and numbers of the history
    (lambda: fit(X=X[:0], y=LABELS[:0]), "rows of X: expected at least 1, got 0"),
    (lambda: net().partial_fit(X[:0], LABELS[:0]), "rows of X: expected at least 1, got 0"),
    (lambda: fit(shuffle="no"), TypeError, "shuffle: expected True or False, got 'no'"),
    (lambda: fit(metrics=None), "metrics: expected one of 'accuracy'", "got None"),
    (lambda: fit(metrics=[["f1"]]), "metrics: expected one of 'accuracy'", "got ['f1']"),
    (lambda: fit(metrics="r2"), "metrics: expected those of labels, as y has labels, got 'r2'"),
    (lambda: fit(metrics=[called("loss")]), "metrics: expected functions with names that", "'loss'"),
    (lambda: fit(metrics=called("val_accuracy")), "metrics: expected functions", "'val_accuracy'"),
    (lambda: fit(metrics=[called("f"), called("f")]), "metrics: expected functions", "'f'"),
    (lambda: fit(metrics=[called("accuracy"), "accuracy"]), "metrics: expected functions", "'accuracy'"),
    (lambda: fit(metrics=["accuracy", called("accuracy")]), "metrics: expected functions", "'accuracy'"),
    (lambda: fit(metrics=called("f", None)), TypeError, "metric 'f': expected a number, got None"),
    (lambda: fit(callbacks=EarlyStopping()), "monitor: expected a name of the history", "got 'val_loss'"),
    (lambda: fit(callbacks=ReduceLROnPlateau("f"), metrics="mse"), "'threads', 'mse', got 'f'"),
    # with methods that a user has replaced
    (
        lambda: own(optimizer="adam"),
        "optimizer: cannot be combined with an overridden cost_derivative",
        "Cost",
    ),
    (lambda: own(l2=0.1, l1=0.1, clip_norm=1), "l2, l1, clip_norm: cannot be combined with an overridden"),
    (lambda: own(sample_weight=np.ones(N)), "sample_weight or class_weight: cannot be combined with"),
    (lambda: own(class_weight="balanced"), "sample_weight or class_weight: cannot be combined with"),
    (lambda: own({"dropout": 0.1, "frozen": 0}), "dropout, frozen: cannot be combined with"),
    (
        lambda: Own(SIZES).value_and_gradient(X, LABELS),
        "expected Network's own methods",
        "cost_derivative",
    ),
    (lambda: Own(SIZES).input_gradient(X, LABELS), "expected Network's own methods"),
    (lambda: Own(SIZES).check_gradients(X, LABELS), "expected Network's own methods"),
    # gradients and parameters
    (lambda: net().value_and_gradient(X[:0], LABELS[:0]), "rows of X: expected at least 1, got 0"),
    (lambda: net().value_and_gradient(X, LABELS, l2=-1), "l2: expected a finite number of at least 0"),
    (lambda: net().value_and_gradient(X, LABELS, threads=0), "threads: expected at least 1, got 0"),
    (lambda: net().input_gradient(X[:, :2], LABELS), "X: expected shape (samples, 6)", "got (25, 2)"),
    (lambda: net().gradients(X, np.arange(N) % 4), "y[3]: expected a label 0 .. 2, got 3"),
    (lambda: net().check_gradients(X, LABELS, step=0), "step: expected a finite number above 0, got 0.0"),
    (lambda: setattr(net(), "parameters", np.zeros(3)), "parameters: expected shape (131,), got (3,)"),
    (lambda: setattr(net(), "parameters", "a"), TypeError, "parameters: expected numbers"),
    (lambda: Network([6]).parameters, "a network of one layer has nothing to train"),
    (lambda: Network([6]).summary(), "a network of one layer has nothing to train"),
]


@pytest.mark.parametrize(
    "case", REFUSED, ids=[next(w for w in case if isinstance(w, str)) for case in REFUSED]
)
def test_refused(case):
    call, *words = case
    error = words.pop(0) if isinstance(words[0], type) else ValueError
    assert_refused(call, error, *words)


@pytest.mark.parametrize(
    "given",
    [
        {"sample_weight": np.ones(3)},
        {"class_weight": {9: 1}},
        {"y": VALUES * 2},
        {"optimizer": "no"},
        {"clip_norm": 0},
        {"schedule": lambda step: np.nan},
        {"metrics": "r2"},
        {"callbacks": EarlyStopping()},
    ],
    ids=named,
)
def test_what_is_refused_changes_nothing_that_was_trained(given):
    network = Network(SIZES, seed=1, cost="cross_entropy", dropout=0.1)
    network.fit(X, LABELS, optimizer="momentum", **OPTIONS)
    before = copy.deepcopy(network)
    with pytest.raises(ValueError):
        network.fit(**{"X": X, "y": LABELS, "optimizer": "momentum", **OPTIONS, **given})
    assert bits(network) == bits(before)
    for one in (network, before):
        one.fit(X, LABELS, shuffle=False, optimizer="momentum", **OPTIONS)
    assert bits(network) == bits(before)


def test_numbers_of_any_kind_are_taken():
    assert fastbp.Huber(np.float32(0.5)) == fastbp.Huber(0.5)
    assert fastbp.LeakyReLU(np.int64(1)) == fastbp.LeakyReLU(1.0)
    assert fastbp.Momentum(np.float16(0.5)) == fastbp.Momentum(0.5)
    assert net(dropout=np.array(0.5))._fastbp == net(dropout=0.5)._fastbp
    assert net(dropout=np.array([0.5, 0.25]))._fastbp == net(dropout=[0.5, 0.25])._fastbp
    assert net(frozen=np.array([0, 2]))._fastbp == net(frozen=(2, 0, -1))._fastbp
    assert net([6, 3], activation=[], dropout=[]).predict(X).shape == (N,)
    assert bits(net([6, 6, 6], init=np.ones((2, 6, 6)))) == bits(net([6, 6, 6], init=[np.ones((6, 6))] * 2))


@pytest.mark.parametrize("optimizer", [Adam(epsilon=1e-30), fastbp.RMSprop(epsilon=1e-30)], ids=repr)
def test_the_least_epsilon_divides_nothing_by_zero(optimizer, dtype):
    """Inputs that are always 0, and the padding of panels, have gradients of 0."""
    network = net(dtype=dtype)
    network.fit(X * [1, 1, 1, 1, 1, 0], LABELS, optimizer=optimizer, **{**OPTIONS, "learning_rate": 0.001})
    assert np.isfinite(network.parameters).all()
