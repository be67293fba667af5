"""Notes on a training that fails; there are none on one that does not."""

import re

import numpy as np
import pytest

import fastbp
from fastbp import DivergenceError, Network
from fastbp.engine.architecture import checked
from fastbp.engine.packed import NOTHING, Data
from fastbp.options import costs
from fastbp.training import diagnosis

N = 600
random = np.random.default_rng(0)
X = random.standard_normal((N, 6))
LABELS = (X[:, 0] > 0) + (X[:, 1] > 0).astype(int)
NOISE, SHUFFLED = random.standard_normal((N, 1)), random.permutation(LABELS)
VALUES = np.sin(2 * X[:, :1] + X[:, 1:2])
CLASSES = {"output_activation": "softmax", "cost": "cross_entropy"}
SUM = {"output_activation": "linear"}


def notes(net, X=X, y=LABELS, rate=0.1, epochs=6, batch_size=20, early=False, **options):
    """The notes after a `fit`."""
    losses = []
    fit = {"epochs": epochs, "batch_size": batch_size, "learning_rate": rate, **options}
    diverged = False
    try:
        net.fit(X, y, callbacks=lambda net, history: losses.append(history.loss[-1]), **fit)
    except DivergenceError:
        diverged = True
    y = np.asarray(y, None if np.ndim(y) == 1 and net.sizes[-1] > 1 else np.float64)
    data = Data(X, y if net.sizes[-1] > 1 else y.reshape(-1, 1), 255.0)
    return diagnosis.notes(checked(net), data, np.arange(len(X)), rate, losses, diverged, early)


def network(hidden=16, outputs=3, **options):
    return Network([6, hidden, outputs], **{"activation": "relu", **CLASSES, "seed": 0, **options})


def changed(net, change):
    net.weights, net.biases = zip(*map(change, net.weights, net.biases), strict=True)
    net.weights, net.biases = list(net.weights), list(net.biases)
    return net


FAR = X * [1, 1, 1, 3000, 1, 40] + [0, 0, 0, 1e4, 0, 0]
SICK = {
    "inputs far from unit scale": (
        lambda: notes(network(), FAR),
        r"inputs: column 3 is from -1\.\d+e\+03 to 1\.\d+e\+04, median 9.*, and 1 more of 6 columns are far "
        r"from unit scale; .*scale_inputs=True",
    ),
    "inputs far from unit scale, diverged": (
        lambda: notes(network(outputs=1, **SUM, cost="quadratic"), 1e3 * X, VALUES),
        r"inputs: column \d is from .*, and 5 more of 6 columns",
    ),
    "inputs all near 0": (lambda: notes(network(), X / 1e3), r"inputs: all are from -0\.00\d+ to 0\.00\d+; "),
    "inputs all the same": (lambda: notes(network(), np.ones((N, 6))), "inputs: all samples are the same"),
    "labels constant": (lambda: notes(network(), y=np.full(N, 2)), "labels: all 2, so"),
    "one class of two": (
        lambda: notes(network(outputs=1, output_activation="sigmoid"), y=np.ones(N, int)),
        "targets: all 1, so there is nothing to learn",
    ),
    "values constant": (
        lambda: notes(network(outputs=2, **SUM, cost="quadratic"), y=np.full((N, 2), [0.25, 0.5])),
        "targets: column 1, all 0.5, so",
    ),
    "targets that sigmoids do not reach": (
        lambda: notes(Network([6, 16, 1], seed=0), y=160 + 140 * VALUES),
        r"targets: from 20 to 300, but outputs of sigmoid reach from 0 to 1; "
        "output_activation='linear', scale_outputs=True",
    ),
    "targets that a relu does not reach": (
        lambda: notes(network(outputs=1, output_activation="relu", cost="quadratic"), y=VALUES - 3),
        r"targets: from -4 to -2\.?\d*, but outputs of relu reach from 0 to inf; output_activation='linear'$",
    ),
    "counts that sigmoids do not reach": (
        lambda: notes(
            network(outputs=1, output_activation="sigmoid", cost="poisson"), y=5 + np.round(VALUES)
        ),
        "targets: from 4 to 6, but outputs of sigmoid .*='exponential'",
    ),
    "targets far from unit scale": (
        lambda: notes(network(outputs=1, **SUM, cost="quadratic"), y=2e5 + 1e5 * VALUES, optimizer="adam"),
        r"targets: from 1e\+05 to 3e\+05; scale them .*scale_outputs=True",
    ),
    "targets far from unit scale, diverged": (
        lambda: notes(network(outputs=2, **SUM, cost="quadratic"), y=VALUES * [1, 1e4], rate=0.5),
        r"targets: column 1, from -1e\+04 to 1e\+04; scale",
    ),
    "targets next to constant": (
        lambda: notes(network(outputs=1, **SUM, cost="quadratic"), y=1e-6 * VALUES),
        r"targets: from -1e-06 to 1e-06; scale",
    ),
    "equal weights": (
        lambda: notes(changed(network(), lambda w, b: (0 * w, b)), rate=0.001),
        "first layer: all units have the same weights",
    ),
    "saturated sigmoids": (
        lambda: notes(changed(network(activation="sigmoid"), lambda w, b: (w, b - 50)), rate=1e-3),
        r"first layer: 100 % of its units are saturated .* 95 % of samples; .* or smaller initial weights",
    ),
    "saturated sigmoids, most": (
        lambda: notes(
            changed(
                network(activation="sigmoid"), lambda w, b: (w, b - 50 * (np.arange(len(b)) > 5)[:, None])
            ),
            y=SHUFFLED,
            rate=1e-3,
        ),
        r"first layer: 62 % of its units are saturated",
    ),
    "dead second layer": (
        lambda: notes(
            changed(
                Network([6, 16, 8, 3], activation=["tanh", "relu"], **CLASSES, seed=0),
                lambda w, b: (w, b - 100 * (len(b) == 8)),
            )
        ),
        "layer 2: 100 % of its units are dead .* or activation='leaky_relu'",
    ),
    "saturated outputs": (
        lambda: notes(
            changed(Network([6, 16, 3], activation="tanh", seed=0), lambda w, b: (w, b - 30 * (len(b) == 3)))
        ),
        "output layer: 100 % of its units are saturated .* or another cost",
    ),
    "weights decayed to nothing": (
        lambda: notes(network(activation="tanh"), l2=5.0),
        r"first layer: its signals differ by \de-\d+ between samples; .*less l2",
    ),
    "signals that vanish": (
        lambda: notes(Network([6, *[8] * 8, 3], **CLASSES, seed=0), rate=0.01),
        r"layer [3-6]: its signals differ by 0.0\d+ between samples; .*tanh or relu",
    ),
    "rate too high, diverged at once": (
        lambda: notes(network(outputs=1, **SUM, cost="quadratic"), y=VALUES, rate=1e6),
        r"learning rate 1e\+06: its steps lead too far; try a tenth$",
    ),
    "rate too high, the cost rises": (
        lambda: notes(network(activation="tanh"), rate=50.0, optimizer="momentum"),
        r"learning rate 50: the cost rose from 141 to 233; try a tenth$",
    ),
    "rate too low": (
        lambda: notes(network(), rate=1e-6),
        r"nothing learnt: the cost is 1\.\d+, that of a constant answer 1\.0\d+; try ten times the "
        "learning rate of 1e-06,",
    ),
}


@pytest.mark.parametrize("case", SICK)
def test_the_cause_comes_first(case):
    find, expected = SICK[case]
    found = find()
    assert found and re.match(expected, found[0]), found


FINE = {
    "labels": lambda **more: notes(network(), optimizer="adam", rate=0.01, **more),
    "two classes": lambda **more: notes(
        network(outputs=1, output_activation="sigmoid"), y=(X[:, 0] > 0).astype(int), **more
    ),
    "values": lambda **more: notes(network(outputs=1, **SUM, cost="huber"), y=VALUES, **more),
    "little in much noise": lambda **more: notes(
        network(outputs=1, **SUM, cost="quadratic"),
        y=0.3 * X[:, :1] + NOISE,
        rate=0.01,
        **more,
    ),
    "counts": lambda **more: notes(
        network(outputs=1, output_activation="exponential", cost="poisson"),
        y=np.round(9 + 5 * VALUES),
        rate=0.01,
        epochs=20,
        **more,
    ),
    "shares near one half": lambda **more: notes(
        network(outputs=1, output_activation="sigmoid"), y=0.5 + 0.05 * np.sign(X[:, :1]), epochs=20, **more
    ),
    "bytes": lambda **more: notes(
        network(input_divisor=255),
        np.clip(128 + 60 * X, 0, 255).astype(np.uint8),
        y=LABELS,
        epochs=20,
        **more,
    ),
    "many classes": lambda **more: notes(
        network(outputs=200), y=np.argsort(np.argsort(X[:, 0])) // 3, optimizer="adam", rate=0.01, **more
    ),
    "no epoch": lambda **more: notes(network(), epochs=0, **more),
    "no sample": lambda early: diagnosis.notes(
        checked(network()), Data(X[:0], LABELS[:0], 255.0), np.arange(0), 0.1, [0.0, 0.0], True, early
    ),
    "a user's own cost": lambda **more: notes(
        network(outputs=1, **SUM, cost=fastbp.Cost(lambda a, y: (a - y) ** 2, lambda a, y: 2 * (a - y))),
        y=VALUES,
        rate=1e-9,
        **more,
    ),
}


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("case", FINE)
def test_nothing_is_said_of_what_learns(case, early):
    assert FINE[case](early=early) == []


def test_a_cost_that_falls_is_given_time():
    """Three epochs do not get below a constant answer, but they get nearer to it."""
    slow = {"net": network(outputs=1, **SUM, cost="quadratic"), "y": VALUES + 3, "rate": 1e-3, "epochs": 3}
    assert notes(**slow, early=True) == []
    assert notes(**slow | {"net": network(outputs=1, **SUM, cost="quadratic")})[0].startswith(
        "nothing learnt"
    )


def test_dropout_does_not_make_a_failure():
    """The cost of training is a constant answer's, that of the weights without dropout is lower."""
    net = network()
    net.fit(X, LABELS, epochs=3, batch_size=20, learning_rate=0.1)
    data = Data(X, LABELS, 255.0)
    assert diagnosis.notes(checked(net), data, np.arange(N), 0.1, [1.2, 1.2], False) == []
    assert diagnosis.notes(checked(network()), data, np.arange(N), 0.1, [1.2, 1.2], False) != []
    assert diagnosis.notes(checked(network()), data, np.arange(N), 0.1, [1.2], False) == []  # the first epoch


def test_bytes_are_looked_at_as_they_are_divided():
    pixels = np.clip(128 + 60 * X, 0, 255).astype(np.uint8)
    for divisor, expected in ((255.0, "nothing learnt"), (1.0, "inputs: column")):
        data = Data(pixels, LABELS, divisor)
        found = diagnosis.notes(checked(network()), data, np.arange(N), 1e-3, [1.3, 1.3], False)
        assert found[0].startswith(expected)


@pytest.mark.parametrize(
    ("epochs", "batch_size", "is_explained"), [(9, N, False), (10, N, True), (5, 300, True)]
)
def test_so_few_steps_are_no_failure(epochs, batch_size, is_explained):
    history = network().fit(X, LABELS, epochs=epochs, batch_size=batch_size, learning_rate=1e-6)
    assert bool(history.notes) == is_explained


class Counting:
    """Samples that tell how many rows were read."""

    dtype = np.dtype(float)

    def __init__(self):
        self.rows = []

    def __getitem__(self, rows):
        self.rows += rows.tolist()
        return np.ones((len(rows), 6)) * rows[:, None]


def test_a_thousand_rows_are_read_from_all_over_the_order_and_nothing_is_drawn():
    before = np.random.get_state()[1].tobytes()  # noqa: NPY002  the global one
    X, order = Counting(), np.arange(10**6)[::-2]
    data = Data(X, np.zeros(10**6, int), 255.0)
    assert diagnosis.notes(checked(network()), data, order, 0.1, [], True)
    assert len(set(X.rows)) == 1000 and set(X.rows) <= set(order.tolist())
    assert min(X.rows) == 1 and max(X.rows) == 10**6 - 1
    assert before == np.random.get_state()[1].tobytes()  # noqa: NPY002


def lowest(cost, y, weights):
    """The minimum of the cost over many constant answers, in float64."""
    tried = np.linspace(1e-6, 1 - 1e-6, 2001)
    return sum(min(np.mean(weights * cost(a, column)) for a in tried) for column in y.T)


def entropy(a, y):
    return -y * np.log(a) - (1 - y) * np.log(1 - a)


def huber(a, y):
    return np.where(abs(a - y) < 0.2, (a - y) ** 2 / 2, 0.2 * (abs(a - y) - 0.1))


def constant_cost(architecture, targets, weights=NOTHING):
    """The mean cost of the best constant answer that the outputs reach."""
    rows = np.arange(len(targets))
    data = Data(rows[:, None], targets, 1.0, weights)
    if targets.ndim == 1:
        known = diagnosis._counted(architecture, targets, weights)
    else:
        known = diagnosis._targets_of(architecture, data, rows)
    return diagnosis._total(architecture, known, diagnosis._constant(architecture, known))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("kind", "output", "formula"),
    [
        ("quadratic", "sigmoid", lambda a, y: (a - y) ** 2 / 2),
        ("quadratic", "softmax", lambda a, y: (a - y) ** 2 / 2),
        ("cross_entropy", "sigmoid", entropy),
        ("absolute", "tanh", lambda a, y: abs(a - y)),
        ("poisson", "exponential", lambda a, y: a - y * np.log(a)),
        (costs.Huber(0.2), "linear", huber),
        (costs.Quantile(0.8), "linear", lambda a, y: np.maximum(0.8 * (y - a), 0.2 * (a - y))),
    ],
)
def test_constant_cost(kind, output, formula, weighted):
    random = np.random.default_rng(1)
    y = random.beta(0.5, 1.5, (200, 3))
    y /= 1 if output != "softmax" else y.sum(axis=1, keepdims=True)
    weights = random.uniform(0, 2, 200) if weighted else NOTHING
    architecture = checked(network(output_activation=output, cost=kind))[0]
    found = constant_cost(architecture, y, weights)
    wanted = lowest(formula, y, weights if weighted else 1.0)
    assert wanted * (1 - 1e-5) <= found <= wanted * (1 + 2e-3 if isinstance(kind, costs.Huber) else 1 + 1e-5)


def test_constant_cost_of_what_outputs_reach():
    architecture = checked(network(outputs=1, output_activation="sigmoid", cost="quadratic"))[0]
    assert constant_cost(architecture, np.array([[3.0], [5.0]])) == (2**2 + 4**2) / 2 / 2


@pytest.mark.parametrize("kind", ["quadratic", "cross_entropy", "absolute"])
def test_constant_cost_of_labels_is_that_of_one_hot_rows(kind):
    random = np.random.default_rng(2)
    labels, weights = random.integers(0, 3, 90) // 2, random.uniform(0, 2, 90)
    for output in ("sigmoid", "softmax") if kind == "cross_entropy" else ("sigmoid", "softmax", "linear"):
        architecture = checked(network(output_activation=output, cost=kind))[0]
        for share in (NOTHING, weights):
            found = constant_cost(architecture, labels, share)
            assert found == pytest.approx(constant_cost(architecture, np.eye(3)[labels], share))
    frequency = np.bincount(labels, minlength=3) / 90
    entropy = -sum(p * np.log(p) for p in frequency if p)
    assert constant_cost(checked(network())[0], labels) == pytest.approx(entropy)
