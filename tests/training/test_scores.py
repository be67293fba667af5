"""Scores of scikit-learn by name, as metrics of `fit`."""

import functools
import sys

import numpy as np
import pytest
from sklearn import metrics
from sklearn.metrics import get_scorer_names

import fastbp
from fastbp import EarlyStopping, Ensemble, Network
from fastbp.training.scores import SCORES, grows
from refusals import assert_refused

N = 120
random = np.random.default_rng(0)
X = random.standard_normal((N, 4))
LABELS = np.digitize(X[:, 0], [-0.5, 0.5])
BITS = (X[:, 0] + X[:, 1] > 0.8).astype(int)
WEIGHTS = random.uniform(0, 2, N)
SOFTMAX = {"output_activation": "softmax", "cost": "cross_entropy"}
LINEAR = {"output_activation": "linear"}


def scored(names, y, sizes, weights=None, **options):
    """A network after an epoch, and its history with those scores on validation data."""
    net = Network(sizes, activation="tanh", seed=0, **options)
    validation = (X, y) if weights is None else (X, y, weights)
    history = net.fit(
        X, y, epochs=1, batch_size=10, learning_rate=0.05, metrics=names, validation_data=validation
    )
    return net, history


def opened(net):
    """How the network reads its data."""
    return fastbp.engine.inference.opened(net)[1]


def test_names_are_scikit_learn_s():
    clusters = {
        *("adjusted_mutual_info_score", "adjusted_rand_score", "completeness_score", "fowlkes_mallows_score"),
        *("homogeneity_score", "mutual_info_score", "normalized_mutual_info_score", "rand_score"),
        "v_measure_score",
    }
    assert set(SCORES) <= set(get_scorer_names())
    others = set(get_scorer_names()) - set(SCORES) - clusters - {"accuracy", "r2"}
    assert {name for name in others if not name.startswith(("d2_", "neg_brier"))} <= {"max_error"}


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_scores_of_two_classes(weights):
    names = ["f1", "balanced_accuracy", "roc_auc", "average_precision", "neg_log_loss", "recall"]
    options = {"sample_weight": weights}
    for sizes, kinds in (([4, 8, 1], {"cost": "cross_entropy"}), ([4, 8, 2], SOFTMAX)):
        net, history = scored(names, BITS, sizes, weights, **kinds)
        predicted, p = net.predict(X), net.predict_proba(X)
        wanted = [
            metrics.f1_score(BITS, predicted, **options),
            metrics.balanced_accuracy_score(BITS, predicted, **options),
            metrics.roc_auc_score(BITS, p[:, 1], **options),
            metrics.average_precision_score(BITS, p[:, 1], **options),
            -metrics.log_loss(BITS, p, **options),
            metrics.recall_score(BITS, predicted, **options),
        ]
        found = [history[f"val_{name}"][0] for name in names]
        assert found == pytest.approx(wanted, rel=1e-12)
        assert set(history) >= {*names, *(f"val_{name}" for name in names)}


def test_scores_of_several_classes_and_of_text():
    names = ["f1_macro", "roc_auc_ovr", "top_k_accuracy", "matthews_corrcoef"]
    text = np.array(["low", "mid", "top"])[LABELS]
    for y in (LABELS, text):
        net, history = scored(names, y, [4, 8, 3], **SOFTMAX)
        predicted, p = net.predict(X), net.predict_proba(X)
        wanted = [
            metrics.f1_score(y, predicted, average="macro"),
            metrics.roc_auc_score(y, p, multi_class="ovr"),
            metrics.top_k_accuracy_score(y, p, labels=net.classes_),
            metrics.matthews_corrcoef(y, predicted),
        ]
        assert [history[f"val_{name}"][0] for name in names] == pytest.approx(wanted, rel=1e-12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.parametrize("outputs", [2, 3])
def test_scores_of_several_labels(outputs):
    Y = X[:, :outputs] > 0.3
    names = ["f1_macro", "roc_auc", "f1_samples"]
    net, history = scored(names, Y, [4, 8, outputs], cost="cross_entropy")
    wanted = [
        metrics.f1_score(Y, net.predict(X), average="macro"),
        metrics.roc_auc_score(Y, net.predict_proba(X)),
        metrics.f1_score(Y, net.predict(X), average="samples", zero_division=0),
    ]
    assert [history[f"val_{name}"][0] for name in names] == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("outputs", [1, 2])
def test_scores_of_values(outputs):
    y = X[:, 0] if outputs == 1 else X[:, :2]
    names = ["neg_root_mean_squared_error", "explained_variance"]
    net, history = scored(names, y, [4, 8, outputs], scale_outputs=True, **LINEAR)
    wanted = [
        -metrics.root_mean_squared_error(y, net.predict(X)),
        metrics.explained_variance_score(y, net.predict(X)),
    ]
    assert [history[f"val_{name}"][0] for name in names] == pytest.approx(wanted, rel=1e-12)


def test_margins_have_scores_without_probabilities():
    net, history = scored(["roc_auc", "f1"], BITS, [4, 1], cost="hinge", **LINEAR)
    assert history["roc_auc"][0] == pytest.approx(metrics.roc_auc_score(BITS, net.outputs(X)[:, 0]))
    assert history["f1"][0] == pytest.approx(metrics.f1_score(BITS, net.outputs(X)[:, 0] >= 0))


def test_pairs_of_outputs_are_measured_by_their_means():
    names = ["mae", "neg_mean_absolute_error"]
    _, history = scored(names, X[:, :2], [4, 8, 4], cost="gaussian", scale_outputs=True, **LINEAR)
    assert history["val_neg_mean_absolute_error"][0] == pytest.approx(-history["val_mae"][0])


def test_callbacks_watch_scores_and_higher_is_better():
    assert all(
        map(grows, ("f1", "val_f1", "val_roc_auc", "val_neg_log_loss", "val_accuracy", "r2", "val_r2_score"))
    )
    assert not any(map(grows, ("loss", "val_loss", "mse", "val_mae", "f1_of_mine")))
    net = Network([4, 8, 1], activation="tanh", cost="cross_entropy", seed=0)
    watch = EarlyStopping("val_f1", patience=3, restore_best_weights=True)
    history = net.fit(
        X, BITS, epochs=200, batch_size=10, learning_rate=0.5, metrics=["f1", "accuracy"],
        validation_split=0.25, callbacks=watch,
    )  # fmt: skip
    assert history.epochs < 200 and watch.best == max(history["val_f1"])
    assert history["val_f1"][-4] == watch.best


def test_rows_of_weight_0_have_no_part_in_a_score():
    outputs, weights = np.eye(3)[(LABELS + (np.arange(N) < 9)) % 2], np.ones(N)
    weights[LABELS == 2], outputs[LABELS == 2, 0] = 0, np.nan
    schema = opened(Network([4, 3], **SOFTMAX))
    for name in ("f1_macro", "recall_macro"):
        alone = SCORES[name](schema, outputs[LABELS < 2], LABELS[LABELS < 2], None)
        assert SCORES[name](schema, outputs, LABELS, weights) == pytest.approx(alone, rel=1e-12)


def test_networks_that_train_together_have_scores_of_their_own():
    recipe = {"epochs": 2, "batch_size": 10, "learning_rate": 0.1, "metrics": "f1"}
    ensemble = Ensemble(3, [4, 8, 1], seed=[0, 1, 2], cost="cross_entropy")
    history = ensemble.fit(X, BITS, validation_split=0.25, **recipe)
    alone = Network([4, 8, 1], seed=1, cost="cross_entropy")
    found = alone.fit(X, BITS, validation_split=0.25, **recipe)
    assert history["val_f1"][:, 1].tolist() == found["val_f1"]


def test_outputs_that_are_no_numbers_have_no_score():
    net, _ = scored("f1", BITS, [4, 1], cost="cross_entropy")
    assert np.isnan(SCORES["f1"](opened(net), np.array([[np.inf], [0.5]]), np.array([0, 1]), None))


@pytest.mark.parametrize(
    ("name", "y", "sizes", "options", "words"),
    [
        ("f1", LABELS, [4, 3], SOFTMAX, ("trained for labels", "got 'f1'", "multiclass")),
        ("roc_auc", LABELS, [4, 3], SOFTMAX, ("got 'roc_auc'", "multi_class")),
        ("neg_log_loss", BITS, [4, 1], {"cost": "hinge", **LINEAR}, ("got 'neg_log_loss'", "predict_proba")),
        ("balanced_accuracy", X[:, 0], [4, 1], LINEAR, ("trained for value, got 'balanced_accuracy'",)),
        ("balanced_accuracy", LABELS + 5.0, [4, 1], LINEAR, ("trained for value, got 'balanced_accuracy'",)),
        ("neg_mean_poisson_deviance", X[:, 0], [4, 1], LINEAR, ("'neg_mean_poisson_deviance'", "negative")),
        (
            "f2",
            BITS,
            [4, 1],
            {},
            ("metrics: expected one of 'accuracy', 'r2', 'mse', 'mae', a score", "got 'f2'"),
        ),
    ],
)
def test_scores_that_do_not_suit_are_refused_before_training(name, y, sizes, options, words):
    net = Network(sizes, seed=0, **options)
    before = net.parameters
    assert_refused(lambda: net.fit(X, y, epochs=1, batch_size=10, metrics=name), ValueError, *words)
    assert (net.parameters == before).all() and net.task is None


def test_data_on_which_a_score_is_not_defined_are_refused_before_training():
    """Held-out labels that lack one, and weights that the score does not take."""
    net = Network([4, 3], seed=0, **SOFTMAX)
    few = {"metrics": "neg_log_loss", "validation_data": (X[LABELS < 2], LABELS[LABELS < 2])}
    weighted = {"metrics": "roc_auc_ovo", "sample_weight": WEIGHTS}
    for options in (few, weighted):
        call = functools.partial(net.fit, X, LABELS, epochs=1, batch_size=10, **options)
        assert_refused(call, ValueError, "metrics: expected scores that suit", options["metrics"])
        assert net.task is None


def test_without_scikit_learn_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.metrics", None)
    assert_refused(lambda: scored("f1", BITS, [4, 1]), ImportError, "'f1'", "[sklearn]")
