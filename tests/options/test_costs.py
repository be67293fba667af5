"""Costs that change how targets are read or answers given: hinge, focal, label smoothing, gaussian."""

import copy
import os

import numpy as np
import pytest

import fastbp
from fastbp import CrossEntropy, Ensemble, Focal, Network
from fastbp.sklearn import MLPClassifier
from ids import named
from reference_functions import binary_focal, categorical_focal, smoothed
from reference_training import train_reference
from refusals import assert_refused
from toy import LABELS, VALUES, N, X, fitted, fresh

BITS = LABELS % 2
FLAT = np.sin(X[:, 0]) + 0.1 * X[:, 1]


def one_epoch(net, y, **options):
    return net.fit(X / 4, y, epochs=1, batch_size=7, learning_rate=0.1, **options)


# ---------------------------------------------------------------- objects


@pytest.mark.parametrize(
    ("cost", "output", "reference"),
    [
        (Focal(0.5), "sigmoid", binary_focal(0.5)),
        (Focal(3), "softmax", categorical_focal(3)),
        (CrossEntropy(0.2), "sigmoid", smoothed(0.2, "sigmoid")),
        (CrossEntropy(0.2), "softmax", smoothed(0.2, "softmax")),
    ],
    ids=named,
)
@pytest.mark.parametrize("y", [LABELS, np.eye(3)[LABELS] * 0.9 + 0.1 / 3], ids=["labels", "shares"])
def test_training_is_the_reference_s(cost, output, reference, y, dtype):
    net = fresh(activation="tanh", output_activation=output, cost=cost, dtype=dtype)
    start = [[array.astype(float) for array in arrays] for arrays in (net.weights, net.biases)]
    history = net.fit(X / 4, y, epochs=2, batch_size=7, learning_rate=0.1, shuffle=False)
    rows = np.eye(3)[LABELS] if y is LABELS else y
    found = train_reference(
        *start, X / 4, rows, [np.arange(N)] * 2, batch_size=7, rates=0.1,
        activations=["tanh"], output_activation=output, cost=reference,
    )  # fmt: skip
    close = {"rtol": 1e-9, "atol": 1e-11} if dtype == "float64" else {"rtol": 1e-4, "atol": 1e-5}
    for ours, theirs in zip((*net.weights, *net.biases), (*found.weights, *found.biases), strict=True):
        np.testing.assert_allclose(ours, theirs, **close)
    np.testing.assert_allclose(history.loss, found.costs, **close)


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_without_its_number_each_is_the_cross_entropy(output, dtype):
    """Smoothing by 0 to the bit; a focal cost of gamma 0 but for rounding."""
    nets = [
        fresh(activation="tanh", output_activation=output, cost=cost, dtype=dtype)
        for cost in ("cross_entropy", CrossEntropy(), Focal(0))
    ]
    losses = [one_epoch(net, LABELS, validation_data=(X, LABELS)).val_loss[0] for net in nets]
    assert losses[0] == losses[1] and (nets[0].parameters == nets[1].parameters).all()
    close = 1e-12 if dtype == "float64" else 1e-5
    assert losses[2] == pytest.approx(losses[0], rel=close)
    np.testing.assert_allclose(nets[2].parameters, nets[0].parameters, rtol=close, atol=close)


@pytest.mark.parametrize("gamma", [0, 0.5, 2, 100])
@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_focal_of_outputs_that_saturate(gamma, output, dtype):
    """Weighted inputs of 1e4: costs and gradients are finite, 0 for the right answer, 1e4 for the wrong."""
    net = Network([1, 2], output_activation=output, cost=Focal(gamma), dtype=dtype)
    net.weights, net.biases = [np.array([[1e4], [-1e4]])], [np.zeros((2, 1))]
    for x, slope in ((1.0, 0.0), (-1.0, 1.0)):
        value, gradient = net.value_and_gradient([[x]], [0])
        assert value == pytest.approx(2e4 * slope, rel=1e-6)
        np.testing.assert_allclose(gradient[2:], [-slope, slope], atol=1e-6)


def test_smoothed_labels_are_smoothed_rows(dtype):
    """Labels, and the rows of shares that they become, train to the same bits but for their rounding."""
    networks = [
        fresh(output_activation="softmax", cost=cost, dtype=dtype)
        for cost in (CrossEntropy(0.25), "cross_entropy")
    ]
    one_epoch(networks[0], LABELS)
    one_epoch(networks[1], 0.75 * np.eye(3)[LABELS] + 0.25 / 3)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(networks[0].parameters, networks[1].parameters, rtol=32 * eps, atol=8 * eps)
    assert networks[0].task == "labels"


def test_networks_in_lanes_smooth_alike():
    options = {"output_activation": "softmax", "cost": CrossEntropy(0.1), "dtype": "float32"}
    ensemble = Ensemble(9, [6, 5, 3], seed=range(9), **options)
    recipe = {"epochs": 2, "batch_size": 7, "learning_rate": 0.1}
    ensemble.fit(X, LABELS, **recipe)
    for seed in (0, 8):
        alone = Network([6, 5, 3], seed=seed, **options)
        alone.fit(X, LABELS, **recipe)
        assert alone.fingerprint() == ensemble[seed].fingerprint()


@pytest.mark.parametrize(
    "cost", [CrossEntropy(0.1), Focal(1.5), "hinge", "squared_hinge", "gaussian"], ids=str
)
def test_a_file_has_the_cost(cost, tmp_path):
    output = "softmax" if isinstance(cost, CrossEntropy | Focal) else "linear"
    net = fresh([6, 4, 2], output_activation=output, cost=cost)
    one_epoch(net, FLAT if cost == "gaussian" else BITS)
    path = tmp_path / "net.fastbp"
    net.save(path)
    other = fastbp.load(path)
    assert repr(other) == repr(net) and other.fingerprint() == net.fingerprint()
    assert other.score(X, BITS) == net.score(X, BITS)
    assert eval(repr(net), vars(fastbp).copy())._fastbp.options.cost == cost


def test_the_classifier_smooths():
    options = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}
    with pytest.warns(UserWarning):
        plain, smooth = (
            MLPClassifier(**options, label_smoothing=share).fit(X, LABELS) for share in (0.0, 0.3)
        )
    assert smooth.network_._fastbp.options.cost == CrossEntropy(0.3)
    assert smooth.loss_ != plain.loss_


# ---------------------------------------------------------------- hinge


@pytest.mark.parametrize("cost", ["hinge", "squared_hinge"])
def test_the_threshold_of_a_margin_is_0(cost):
    net = Network([1, 1], output_activation="linear", cost=cost)
    net.weights, net.biases = [np.ones((1, 1))], [np.zeros((1, 1))]
    margins = np.array([[-0.3], [0.2], [0.4], [0.9]])
    y = np.array(["no", "yes", "yes", "no"])
    history = net.fit(margins, y, epochs=1, batch_size=4, learning_rate=1e-9, metrics="accuracy")
    assert net.predict(margins).tolist() == ["no", "yes", "yes", "yes"]
    assert net.score(margins, y) == history["accuracy"][0] == 0.75
    margins = 1 - np.where(y == "yes", 1, -1) * margins[:, 0]
    assert history.loss[0] == pytest.approx(np.mean(margins if cost == "hinge" else margins**2))
    with pytest.raises(ValueError, match="no probabilities"):
        net.predict_proba([[1.0]])


def test_several_labels_by_margins():
    Y = np.stack([X[:, 0] > 0, X[:, 1] > 0, X[:, 2] > 1], axis=1)
    net = fresh([6, 3], output_activation="linear", cost="squared_hinge")
    net.fit(X, Y, epochs=200, batch_size=25, learning_rate=0.01)
    assert net.task == "multilabel" and net.score(X, Y) > 0.9
    assert ((net.outputs(X) >= 0) == net.predict(X)).all()


def test_votes_of_an_ensemble_begin_at_the_threshold():
    nets = []
    for w in (0.1, 0.2, -0.1):
        net = Network([1, 1], output_activation="linear", cost="hinge", seed=0)
        net.weights, net.biases, net.task = [np.array([[w]])], [np.zeros((1, 1))], "binary"
        nets.append(net)
    ensemble = Ensemble.of(nets)
    for method in ("mean", "vote"):
        assert ensemble.predict([[1.0], [-1.0]], method=method).tolist() == [1, 0]


# ---------------------------------------------------------------- gaussian


def noisy(seed=0, n=600):
    random = np.random.default_rng(seed)
    x = random.uniform(-1, 1, (n, 1))
    deviation = np.where(x[:, 0] > 0, 2.0, 0.5)
    return x, 100 + 5 * x[:, 0] + deviation * random.standard_normal(n), deviation


@pytest.mark.parametrize("scale_outputs", [False, True])
def test_means_and_deviations_are_learnt(scale_outputs):
    x, y, deviation = noisy()
    if not scale_outputs:
        y = y - 100
    net = Network(
        [1, 16, 2], activation="tanh", output_activation="linear", cost="gaussian", seed=0,
        scale_outputs=scale_outputs,
    )  # fmt: skip
    history = net.fit(
        x, y, epochs=60, batch_size=30, optimizer="adam", learning_rate=0.01, validation_split=0.2,
        metrics=["r2", "mae"],
    )  # fmt: skip
    mean, std = net.predict(x, return_std=True)
    assert net.task == "value" and mean.shape == std.shape == y.shape
    assert (net.predict(x) == mean).all()
    for side in (x[:, 0] > 0.4, x[:, 0] < -0.4):
        assert std[side].mean() == pytest.approx(deviation[side].mean(), rel=0.2)
    assert net.score(x, y) == pytest.approx(1 - np.sum((mean - y) ** 2) / np.sum((y - y.mean()) ** 2))
    assert history.val_r2[-1] > 0.7 and history.val_mae[-1] < 1.5
    outputs = net.outputs(x)
    np.testing.assert_allclose(outputs, np.stack([mean, 2 * np.log(std)], axis=1), rtol=1e-12)


def test_scaled_deviations_are_in_the_units_of_y():
    """A network that scales y and one of scaled y are the same but for the units."""
    x, y, _ = noisy()
    Y = np.stack([y, -3 * y], axis=1)
    options = {"activation": "tanh", "output_activation": "linear", "cost": "gaussian", "seed": 0}
    ours, plain = (Network([1, 8, 4], scale_outputs=scales, **options) for scales in (True, False))
    recipe = {"epochs": 2, "batch_size": 60, "optimizer": "adam"}
    ours.fit(x, Y, **recipe)
    plain.fit(x, (Y - Y.mean(axis=0)) / Y.std(axis=0), **recipe)
    (mean, std), (scaled_mean, scaled_std) = (net.predict(x, return_std=True) for net in (ours, plain))
    np.testing.assert_allclose(mean, scaled_mean * Y.std(axis=0) + Y.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(std, scaled_std * Y.std(axis=0), rtol=1e-9)
    assert ours.task == "values"


def test_blocks_and_resumed_files_are_those_of_arrays(tmp_path):
    x, y, _ = noisy()
    options = {"output_activation": "linear", "cost": "gaussian", "seed": 0, "scale_outputs": True}
    whole, blocks = (Network([1, 4, 2], **options) for _ in range(2))
    recipe = {"batch_size": 60, "shuffle": False, "learning_rate": 0.01}
    whole.fit(x, y, epochs=2, **recipe)
    blocks.fit(lambda: [(x[i : i + 90], y[i : i + 90]) for i in range(0, len(x), 90)], epochs=1, **recipe)
    path = tmp_path / "net.fastbp"
    blocks.save(path)
    resumed = fastbp.load(path)
    resumed.fit(x, y, epochs=1, **recipe)
    assert resumed.fingerprint() == whole.fingerprint()


def test_the_books_pairs_have_one_target_for_two_outputs():
    net = Network([6, 4, 4], output_activation="linear", cost="gaussian", seed=0)
    rows, y = X / 4, VALUES[:, :2]
    other = copy.deepcopy(net)
    pairs = [(x[:, None], wish[:, None]) for x, wish in zip(rows, y, strict=True)]
    net.SGD(tuple(pairs), 1, N, 0.1)
    other.fit(rows, y, epochs=1, batch_size=N, learning_rate=0.1, shuffle=False)
    np.testing.assert_allclose(net.parameters, other.parameters, rtol=1e-9)
    nabla_b, _ = other.backprop(*pairs[0])
    np.testing.assert_allclose(nabla_b[-1], other.gradients(rows[:1], y[:1])[1][-1], rtol=1e-9)


def test_gradients_of_a_gaussian_are_checked():
    net = Network([6, 4, 4], activation="tanh", output_activation="linear", cost="gaussian", seed=0)
    assert net.check_gradients(X / 4, VALUES[:, :2]).error < 1e-6
    assert net.input_gradient(X / 4, VALUES[:, :2]).shape == X.shape


def test_an_exported_gaussian_has_all_outputs(tmp_path):
    onnx = pytest.importorskip("onnx.reference")
    x, y, _ = noisy()
    net = Network([1, 4, 2], output_activation="linear", cost="gaussian", seed=0, scale_outputs=True)
    net.fit(x, y, epochs=1, batch_size=60)
    path = os.fspath(tmp_path / "net.onnx")
    fastbp.export.to_onnx(net, path)
    (found, *_) = onnx.ReferenceEvaluator(path).run(None, {"X": x})
    np.testing.assert_allclose(found, net.outputs(x), rtol=1e-12)


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: CrossEntropy(1),
            ("CrossEntropy.label_smoothing: expected a number from 0 to below 1", "got 1"),
        ),
        (lambda: CrossEntropy(True), ("CrossEntropy.label_smoothing", "got True")),
        (lambda: Focal(-1), ("Focal.gamma: expected a number from 0 to 100", "got -1")),
        (lambda: Focal("2"), ("Focal.gamma", "got '2'")),
        (
            lambda: fresh(cost=CrossEntropy(0.1), output_activation="linear"),
            ("output_activation: expected 'sigmoid' or 'softmax'", "got 'linear'"),
        ),
        (lambda: fresh(cost="hinge"), ("output_activation: expected 'linear' for the cost 'hinge'",)),
        (
            lambda: fresh(cost="gaussian", output_activation="linear"),
            ("sizes: expected an even number of outputs for the cost 'gaussian'", "got 3"),
        ),
        (
            lambda: fitted(y=VALUES, net=fresh(cost="hinge", output_activation="linear")),
            ("y: expected labels, as the cost is 'hinge', got values", "astype(int)"),
        ),
        (
            lambda: fresh().predict(X, return_std=True),
            ("return_std: expected a network with cost='gaussian'", "got 'quadratic'"),
        ),
        (
            lambda: fitted(y=VALUES, net=fresh([6, 4], cost="gaussian", output_activation="linear")),
            (f"y: expected shape ({N}, 2)", f"got ({N}, 3)"),
        ),
        (
            lambda: Ensemble(3, [6, 2], cost="gaussian", output_activation="linear"),
            ("cost: expected a cost with one output for each value, got 'gaussian'",),
        ),
    ],
    ids=range(11),
)
def test_refused(call, words):
    assert_refused(call, ValueError, *words)
