"""The estimators: scikit-learn's own checks, its own results where they must agree, and what it lacks."""

import copy
import inspect
import pickle
import re
import warnings

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn", "1.6")

from sklearn import neural_network as theirs  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.calibration import CalibratedClassifierCV  # noqa: E402
from sklearn.datasets import load_digits, load_iris, make_classification  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

import fastbp  # noqa: E402
from fastbp import sklearn as ours  # noqa: E402
from fastbp.sklearn.together import Task, train  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
BOTH = ("MLPClassifier", "MLPRegressor")
HAS_POISSON = "loss" in inspect.signature(theirs.MLPRegressor).parameters
NEEDS_POISSON = pytest.mark.skipif(not HAS_POISSON, reason="scikit-learn 1.6 has no poisson loss")
X, LABELS = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
BINARY = (LABELS == 1).astype(int)
VALUES = X @ [1.0, -0.5, 0.25, 0.1] + np.sin(X[:, 0])
SEVERAL = np.stack([LABELS == 1, X[:, 0] > 0, X[:, 1] > 0.5], axis=1).astype(int)


def pair(name, **options):
    """The estimators of that name, ours and theirs, with the same parameters."""
    return [getattr(module, name)(random_state=0, **options) for module in (ours, theirs)]


def target(name):
    return LABELS if name == "MLPClassifier" else VALUES


NOT_BY_BATCHES = {
    f"check_sample_weight_equivalence_on_{kind}_data": "other batches, as with scikit-learn's own"
    for kind in ("dense", "sparse")
}


@pytest.mark.survives("estimator's contract")
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [getattr(ours, name)(max_iter=20, solver=solver) for name in BOTH for solver in ("adam", "lbfgs")],
    expected_failed_checks=lambda estimator: NOT_BY_BATCHES if estimator.solver == "adam" else {},
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", BOTH)
def test_parameters_and_defaults_are_theirs(name):
    here, there = (inspect.signature(getattr(module, name)).parameters for module in (ours, theirs))
    more = {"dropout", "threads", "callbacks", "compute_dtype"}
    if name == BOTH[0]:
        more |= {"class_weight", "label_smoothing"}
    elif not HAS_POISSON:
        more |= {"loss"}
    assert set(here) - set(there) == more
    shared = [(p.name, p.default, p.kind) for p in here.values() if p.name in there]
    assert shared == [(p.name, p.default, p.kind) for p in there.values() if p.name in here]


@pytest.mark.parametrize("name", BOTH)
def test_attributes_are_theirs(name):
    for options in (
        {"max_iter": 5},
        {"max_iter": 5, "early_stopping": True},
        {"solver": "lbfgs", "max_iter": 5},
    ):
        mine, other = (estimator.fit(X, target(name)) for estimator in pair(name, **options))
        public = {attribute for attribute in vars(other) if attribute.endswith("_") and attribute[0] != "_"}
        assert all(hasattr(mine, attribute) for attribute in public), options
        for attribute in ("n_layers_", "n_outputs_", "out_activation_", "n_features_in_", "n_iter_"):
            assert getattr(mine, attribute) == getattr(other, attribute)
        for arrays in ("coefs_", "intercepts_"):
            shapes = ([array.shape for array in getattr(estimator, arrays)] for estimator in (mine, other))
            assert next(shapes) == next(shapes)


STEPS = {
    "adam": {"solver": "adam", "learning_rate_init": 0.01},
    "nesterov": {"solver": "sgd", "learning_rate_init": 0.05},
    "momentum": {"solver": "sgd", "learning_rate_init": 0.05, "nesterovs_momentum": False},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.05, "momentum": 0},
    "invscaling": {"solver": "sgd", "learning_rate_init": 0.2, "learning_rate": "invscaling", "momentum": 0},
    "adaptive": {
        "solver": "sgd",
        "learning_rate_init": 0.05,
        "learning_rate": "adaptive",
        "tol": 0.5,
        "momentum": 0,
    },
    "tanh": {"activation": "tanh", "hidden_layer_sizes": (7, 5)},
    "logistic": {"activation": "logistic", "alpha": 1.0},
    "identity": {"activation": "identity", "hidden_layer_sizes": 6},
    "no layer": {"hidden_layer_sizes": ()},
}


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize("y", ["labels", "binary", "several", "values", "counts"])
def test_whole_batches_in_order_give_their_numbers(steps, y):
    """So that no order differs: the same initial weights, gradients, penalties, steps and losses."""
    options = {"max_iter": 30, "batch_size": len(X), "shuffle": False, "n_iter_no_change": 3, **STEPS[steps]}
    options.setdefault("learning_rate_init", 0.01)
    name = "MLPRegressor" if y in ("values", "counts") else "MLPClassifier"
    if y == "counts":
        options |= {"loss": "poisson", "learning_rate_init": 0.001}
        if "loss" not in inspect.signature(theirs.MLPRegressor).parameters:
            pytest.skip("this scikit-learn has no such loss")
    wanted = {
        "labels": LABELS,
        "binary": BINARY,
        "several": SEVERAL,
        "values": VALUES,
        "counts": LABELS * 1.0,
    }[y]
    mine, other = (estimator.fit(X, wanted) for estimator in pair(name, **options))
    close = {"rtol": 1e-6, "atol": 1e-8}
    assert mine.n_iter_ == other.n_iter_
    for here, there in zip(mine.coefs_ + mine.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        np.testing.assert_allclose(here, there, **close)
    np.testing.assert_allclose(mine.loss_curve_, other.loss_curve_, rtol=0.05)  # their penalty: before a step
    np.testing.assert_allclose(mine.predict(X), other.predict(X), **close)
    if name == "MLPClassifier":
        np.testing.assert_allclose(mine.predict_proba(X), other.predict_proba(X), **close)
        np.testing.assert_allclose(mine.predict_log_proba(X), other.predict_log_proba(X), rtol=1e-5)


@pytest.mark.parametrize("name", BOTH)
def test_lbfgs_finds_their_minimum(name):
    options = {"solver": "lbfgs", "alpha": 0.5, "max_iter": 2000, "max_fun": 10**5, "tol": 1e-8}
    mine, other = (estimator.fit(X, target(name)) for estimator in pair(name, activation="tanh", **options))
    assert mine.loss_ == pytest.approx(other.loss_, rel=1e-3)


@pytest.mark.parametrize("name", BOTH)
def test_stopping_early_goes_by_a_score_and_keeps_the_best(name):
    model = getattr(ours, name)(early_stopping=True, random_state=0, max_iter=500, learning_rate_init=0.02)
    model.fit(X, target(name))
    assert len(model.validation_scores_) == model.n_iter_ < 500
    assert model.best_validation_score_ == max(model.validation_scores_)
    best = int(np.argmax(model.validation_scores_)) + 1
    short = clone(model).set_params(max_iter=best).fit(X, target(name))
    np.testing.assert_array_equal(short.coefs_[0], model.coefs_[0])
    with pytest.raises(ValueError, match="expected early_stopping=True"):
        getattr(ours, name)().fit(X, target(name), validation_data=(X, target(name)))
    own = clone(model).fit(X[::2], target(name)[::2], validation_data=(X[1::2], target(name)[1::2]))
    assert own.best_validation_score_ == pytest.approx(own.score(X[1::2], target(name)[1::2]))


def test_validation_data_change_neither_loss_nor_classes():
    """The loss of counts has the training data's constant; a warm start may lack some classes."""
    counts = LABELS * 1.0
    options = {"early_stopping": True, "random_state": 0, "max_iter": 3}
    losses = [
        ours.MLPRegressor("poisson", **options).fit(
            X, counts, validation_data=(X[:9], scale * counts[:9] + 1)
        )
        for scale in (1, 100)
    ]
    assert losses[0].loss_ == losses[1].loss_
    model = ours.MLPClassifier(warm_start=True, **options)
    for _ in range(2):
        model.fit(X, LABELS, validation_data=(X[:9], LABELS[:9]))


SOME = np.where(np.arange(150) % 2, 0.0, np.random.default_rng(0).uniform(0.5, 2, 150))
EARLY = {"early_stopping": True, "random_state": 0, "max_iter": 30, "learning_rate_init": 0.02}


@pytest.mark.parametrize("validates", [False, True])
def test_rows_of_weight_0_do_not_choose_the_weights_that_are_kept(validates):
    found = []
    for bad in (0.0, 1e6):
        y = np.where(SOME == 0, bad, VALUES)
        own = {"validation_data": (X, y, SOME)} if validates else {}
        model = ours.MLPRegressor(validation_fraction=0.3, **EARLY).fit(X, y, sample_weight=SOME, **own)
        found.append((model.validation_scores_, model.best_validation_score_, model.coefs_[0].tolist()))
    assert found[0] == found[1]
    counted = SOME > 0
    assert model.score(X, y, SOME) > 0.9
    assert model.score(X, y, SOME) == pytest.approx(model.score(X[counted], y[counted], SOME[counted]))
    if validates:
        assert model.best_validation_score_ == pytest.approx(model.score(X, y, SOME))


def test_a_classifier_stops_early_by_weighted_accuracy():
    wrong = np.where(SOME == 0, 2 - LABELS, LABELS)
    model = ours.MLPClassifier(**EARLY)
    model.fit(X, LABELS, sample_weight=SOME, validation_data=(X, wrong, SOME))
    assert model.best_validation_score_ == pytest.approx(model.score(X, wrong, SOME))
    assert model.best_validation_score_ > 0.9 > model.score(X, wrong)
    weights = np.array([1.0, 5.0, 0.5])
    by_class = clone(model).set_params(class_weight=dict(enumerate(weights)))
    by_class.fit(X, LABELS, validation_data=(X[::2], wrong[::2]))
    by_sample = clone(model).fit(
        X, LABELS, sample_weight=weights[LABELS], validation_data=(X[::2], wrong[::2], weights[wrong[::2]])
    )
    assert by_class.validation_scores_ == pytest.approx(by_sample.validation_scores_)


@pytest.mark.parametrize("y", [BINARY, SEVERAL])
def test_balanced_classes_of_validation_data_weigh_as_those_trained_on(y):
    model = ours.MLPClassifier(class_weight="balanced", **EARLY)
    model.fit(X, y, validation_data=(X[50:], y[50:]))
    weights = sklearn.utils.compute_sample_weight("balanced", y)[50:]
    assert model.best_validation_score_ == pytest.approx(model.score(X[50:], y[50:], weights))


def test_weights_that_measure_nothing_are_refused():
    model = ours.MLPRegressor(**EARLY)
    with pytest.raises(ValueError, match="validation_sample_weight: expected at least one above 0, got all"):
        model.fit(X, VALUES, validation_data=(X, VALUES, np.zeros(150)))
    with pytest.raises(ValueError, match="sample_weight: expected at least one above 0, got all zero"):
        model.fit(X, VALUES, sample_weight=np.zeros(150))


@NEEDS_POISSON
def test_the_loss_of_weighted_counts_is_theirs():
    options = {"loss": "poisson", "solver": "lbfgs", "alpha": 0.5, "max_iter": 2000, "tol": 1e-8}
    mine, other = (model.fit(X, LABELS, sample_weight=SOME) for model in pair("MLPRegressor", **options))
    assert mine.loss_ == pytest.approx(other.loss_, rel=1e-3)


@pytest.mark.parametrize("name", BOTH)
def test_partial_fits_are_epochs(name):
    options = {"shuffle": False, "random_state": 0, "batch_size": 50, "max_iter": 3, "n_iter_no_change": 99}
    whole, parts = getattr(ours, name)(**options), getattr(ours, name)(**options)
    classes = {"classes": [0, 1, 2]} if name == "MLPClassifier" else {}
    whole.fit(X, target(name))
    for _ in range(3):
        parts.partial_fit(X, target(name), **classes)
    np.testing.assert_array_equal(whole.coefs_[0], parts.coefs_[0])
    assert parts.t_ == whole.t_ == 450 and parts.n_iter_ == 1 and len(parts.loss_curve_) == 3
    assert not hasattr(getattr(ours, name)(solver="lbfgs"), "partial_fit")
    with pytest.raises(ValueError, match="early_stopping"):
        getattr(ours, name)(early_stopping=True).partial_fit(X, target(name), **classes)


@pytest.mark.parametrize("rule", ["constant", "invscaling", "adaptive"])
def test_partial_fits_follow_the_rule_of_the_learning_rate(rule):
    options = {
        **{"hidden_layer_sizes": 5, "solver": "sgd", "momentum": 0, "activation": "tanh", "shuffle": False},
        **{"learning_rate": rule, "learning_rate_init": 0.5, "batch_size": 150, "n_iter_no_change": 2},
        "tol": 0.01,
    }
    mine, other = pair("MLPRegressor", **options)
    for model in (mine, other):
        for _ in range(30):
            model.partial_fit(X, VALUES)
    np.testing.assert_allclose(mine.loss_curve_, other.loss_curve_, rtol=1e-4)  # their penalty is older


def test_an_estimator_that_an_older_version_pickled_trains_on():
    model = ours.MLPRegressor(hidden_layer_sizes=5, random_state=0).partial_fit(X, VALUES)
    del model.__dict__["_rate_factor"]
    assert len(pickle.loads(pickle.dumps(model)).partial_fit(X, VALUES).loss_curve_) == 2


def test_partial_fit_wants_all_classes_first():
    refused = ours.MLPClassifier(random_state=0)
    with pytest.raises(ValueError, match=r"labels among \[0 1\], got \[2\]"):
        refused.partial_fit(X, LABELS, classes=[0, 1])
    assert refused.partial_fit(X, LABELS, classes=[0, 1, 2]).classes_.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="classes: expected all labels"):
        ours.MLPClassifier().partial_fit(X, LABELS)
    model = ours.MLPClassifier(random_state=0).partial_fit(X[:50], LABELS[:50], classes=[0, 1, 2])
    assert model.classes_.tolist() == [0, 1, 2] and model.predict_proba(X).shape == (150, 3)
    with pytest.raises(ValueError, match=r"labels among \[0 1 2\], got \[5\]"):
        model.partial_fit(X, np.full(150, 5))


def test_a_warm_start_goes_on_from_the_weights():
    model = ours.MLPClassifier(warm_start=True, max_iter=20, random_state=0).fit(X, LABELS)
    first = model.loss_
    model.fit(X, LABELS)
    assert model.loss_ < first and len(model.loss_curve_) == 40
    model.set_params(hidden_layer_sizes=(7, 3))
    with pytest.raises(ValueError, match=r"hidden_layer_sizes: expected \(100,\), .* got \(7, 3\)"):
        model.fit(X, LABELS)
    assert model.set_params(hidden_layer_sizes=100).score(X, LABELS) > 0.8
    with pytest.raises(ValueError, match="classes"):
        model.fit(X[LABELS > 0], LABELS[LABELS > 0])


@pytest.mark.parametrize("early", [False, True])
def test_a_warm_start_counts_on_from_the_last_fit(early):
    options = {"warm_start": True, "max_iter": 2, "early_stopping": early, "n_iter_no_change": 99}
    for model in pair("MLPClassifier", hidden_layer_sizes=5, **options):
        for _ in range(3):
            model.fit(X, LABELS)
        assert len(model.loss_curve_) == 6
        if early:
            assert len(model.validation_scores_) == 6
            assert model.best_validation_score_ == max(model.validation_scores_)
        else:
            assert model.best_loss_ == min(model.loss_curve_)
    if early:
        best = model.best_validation_score_
        mine, _ = pair("MLPClassifier", hidden_layer_sizes=5, learning_rate_init=1e-9, **options)
        first = mine.fit(X, LABELS).coefs_[0].copy()
        assert best <= 1 and (mine.fit(X, LABELS).coefs_[0] == first).all(), "no later score is better"


@pytest.mark.parametrize(
    "wrong",
    [
        *({"alpha": -1}, {"learning_rate_init": 0}, {"max_iter": -1}, {"threads": 0}, {"batch_size": 0}),
        *({"beta_1": 1}, {"solver": "no"}),
    ],
    ids=str,
)
def test_what_is_refused_leaves_an_earlier_training(wrong):
    model = ours.MLPRegressor(hidden_layer_sizes=5, random_state=0).fit(X, VALUES)
    before, curve = model.predict(X), list(model.loss_curve_)
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))}: expected"):
        model.set_params(random_state=1, **wrong).fit(X, VALUES)
    assert (model.predict(X) == before).all() and model.loss_curve_ == curve


def test_several_labels_as_sparse_rows():
    sparse = pytest.importorskip("scipy.sparse")
    dense, given = (
        ours.MLPClassifier((5,), max_iter=5, random_state=0).fit(X, y)
        for y in (SEVERAL, sparse.csr_matrix(SEVERAL))
    )
    assert (dense.predict_proba(X) == given.predict_proba(X)).all()


def test_early_stopping_holds_out_as_many_as_theirs_but_at_least_two():
    options = {"hidden_layer_sizes": 3, "max_iter": 3, "early_stopping": True, "random_state": 0}
    few, named = (
        ours.MLPRegressor(validation_fraction=share, **options).fit(X[:15], VALUES[:15])
        for share in (0.1, 2.5 / 15)
    )
    assert few.validation_scores_ == named.validation_scores_ and np.isfinite(few.validation_scores_).all()
    with pytest.raises(ValueError, match="expected at least 2 samples held out, got 1 of 10"):
        ours.MLPRegressor(**options).fit(X[:10], VALUES[:10])
    with pytest.raises(ValueError, match=r"are: \['False'\] \(False is no, True is yes\)"):
        ours.MLPClassifier(**options).fit(X[:20], ["no", *["yes"] * 19])


# ---------------------------------------------------------------- weights that are set


@pytest.mark.parametrize(
    "kind", ["labels", "binary", "several", "values", pytest.param("counts", marks=NEEDS_POISSON)]
)
def test_an_estimator_of_weights_that_are_set_predicts_as_theirs(kind):
    targets = {
        "labels": LABELS,
        "binary": BINARY,
        "several": SEVERAL,
        "values": VALUES,
        "counts": LABELS * 1.0,
    }
    name = "MLPRegressor" if kind in ("values", "counts") else "MLPClassifier"
    loss = {"loss": "poisson"} if kind == "counts" else {}
    mine, other = pair(name, hidden_layer_sizes=(5, 4), activation="tanh", max_iter=3, **loss)
    other.fit(X, targets[kind])
    with pytest.raises(sklearn.exceptions.NotFittedError):
        mine.predict(X)
    mine.coefs_ = [0] * 3
    for layer, array in enumerate(other.coefs_):
        mine.coefs_[layer] = array
    mine.intercepts_ = other.intercepts_
    mine.out_activation_ = other.out_activation_
    np.testing.assert_array_equal(mine.predict(X) > 0.5, other.predict(X) > 0.5)
    if name == "MLPClassifier":
        np.testing.assert_allclose(mine.predict_proba(X), other.predict_proba(X), rtol=1e-12)
    else:
        np.testing.assert_allclose(mine.predict(X), other.predict(X), rtol=1e-12)
    assert (mine.n_features_in_, mine.n_layers_, mine.n_outputs_) == (4, 4, other.n_outputs_)


def test_weights_of_a_trained_estimator_may_be_set(dtype):
    model = ours.MLPRegressor(hidden_layer_sizes=3, max_iter=3, random_state=0).fit(X.astype(dtype), VALUES)
    kept = copy.deepcopy(model.coefs_)
    assert type(kept) is list and type(pickle.loads(pickle.dumps(model.coefs_))) is list
    model.coefs_[1] = np.ones((3, 1))
    model.coefs_[0] *= 0
    model.intercepts_ = [[1, 2, 3], [10]]
    np.testing.assert_array_equal(model.predict(X.astype(dtype)), np.full(150, 16.0))
    model.coefs_ = kept
    assert {array.dtype for array in model.coefs_ + model.intercepts_} == {np.dtype(dtype)}
    np.testing.assert_array_equal(model.coefs_[0], kept[0])
    for arrays, message in [
        (kept[:1], "coefs_: expected 2 arrays, one of each layer, got 1"),
        ([kept[0].T, kept[1]], r"coefs_\[0\]: expected numbers of shape \(4, 3\), got"),
        ([kept[0], np.array([["a"]] * 3)], r"coefs_\[1\]: expected numbers of shape \(3, 1\), got <U1"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.coefs_ = arrays
        np.testing.assert_array_equal(model.coefs_[0], kept[0])
    with pytest.raises(ValueError, match=r"intercepts_\[1\]: expected numbers of shape \(1,\)"):
        model.intercepts_[1] = [[1.0]]


def test_weights_that_are_set_first_do_not_outlive_a_fit_and_must_suit():
    model, plain = (ours.MLPRegressor(hidden_layer_sizes=3, max_iter=2, random_state=0) for _ in range(2))
    model.coefs_, model.intercepts_ = [np.ones((4, 3)), np.ones((3, 1))], [np.zeros(3), np.zeros(1)]
    np.testing.assert_array_equal(model.fit(X, VALUES).coefs_[0], plain.fit(X, VALUES).coefs_[0])
    model = ours.MLPRegressor(hidden_layer_sizes=3, warm_start=True, max_iter=0)
    model.coefs_, model.intercepts_ = [np.ones((4, 3)), np.ones((3, 1))], [np.zeros(3), np.zeros(1)]
    np.testing.assert_array_equal(model.fit(X, VALUES).coefs_[0], np.ones((4, 3)))
    other = ours.MLPRegressor()
    other.coefs_, other.intercepts_ = [np.ones((4, 3)), np.ones((2, 1))], [np.zeros(3), np.zeros(1)]
    with pytest.raises(ValueError, match="the outputs of the layer before, got the shapes"):
        other.predict(X)
    other.coefs_ = [np.ones((5, 3)), np.ones((3, 1))]
    with pytest.raises(ValueError, match="coefs_: expected arrays that suit n_features_in_ = 4"):
        other.partial_fit(X, VALUES)


# ---------------------------------------------------------------- as they do it


def test_both_types_of_numbers_learn_the_same_without_kinks():
    digits, labels = load_digits(n_class=2, return_X_y=True)
    options = {"hidden_layer_sizes": (5, 3), "activation": "tanh", "max_iter": 150, "tol": 1e-3}
    for seed in range(3):
        wide, narrow = (
            ours.MLPRegressor(random_state=seed, **options)
            .fit(digits[:300].astype(dtype), labels[:300])
            .predict(digits[300:].astype(dtype))
            for dtype in ("float64", "float32")
        )
        np.testing.assert_allclose(narrow, wide, rtol=0, atol=5e-4)  # of targets 0 and 1


@pytest.mark.parametrize(
    "options", [{}, {"learning_rate": "adaptive", "momentum": 0}, {"early_stopping": True}], ids=str
)
def test_what_is_printed_is_theirs(options, capsys):
    early = options.get("early_stopping")
    rules = {"solver": "sgd", "alpha": 0, "tol": 0.5, "n_iter_no_change": 2, "verbose": True, "max_iter": 30}
    if early:  # on other rows than theirs
        rules |= {"learning_rate_init": 1e-9}
    lines = []
    for model in pair("MLPRegressor", batch_size=150, shuffle=False, **rules, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X, VALUES)
        lines.append(capsys.readouterr().out.splitlines())
    if early:
        lines = [[re.sub(r"-?\d\.\d{5,}", "", line) for line in each] for each in lines]
    assert lines[0] == lines[1] and len(lines[0]) > 3
    assert lines[0][-1].endswith("Stopping.")


def test_lbfgs_prints_its_iterations(capsys):
    model = ours.MLPRegressor(solver="lbfgs", max_iter=3, verbose=True, random_state=0).fit(X, VALUES)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == ["Iteration 1", "Iteration 2", "Iteration 3"]
    assert lines[-1].endswith(f"{model.loss_curve_[-1]:.8f}")


DIVERGES = {"solver": "sgd", "activation": "identity", "learning_rate_init": 1, "random_state": 0}


def test_divergence_is_a_value_error_and_ours():
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights") as e:
        ours.MLPRegressor(**DIVERGES).fit(X * 10, VALUES)
    assert isinstance(e.value, fastbp.DivergenceError) and "epoch " in str(e.value)


@pytest.mark.parametrize("together", [False, True])
def test_early_stopping_has_the_best_weights_where_training_diverged(together):
    model = ours.MLPRegressor(early_stopping=True, **DIVERGES)
    with pytest.warns(ConvergenceWarning, match="fit: diverged; the weights of the best epoch are kept"):
        if together:
            task = Task(model, X * 10, VALUES)
            train([task])
            model = task.result
        else:
            model.fit(X * 10, VALUES)
    assert len(model.validation_scores_) == model.n_iter_ == len(model.loss_curve_) > 1
    assert np.isnan(model.validation_scores_[-1]) and np.isnan(model.loss_)
    assert model.best_validation_score_ == np.nanmax(model.validation_scores_)
    best = int(np.nanargmax(model.validation_scores_)) + 1
    short = ours.MLPRegressor(early_stopping=True, max_iter=best, **DIVERGES).fit(X * 10, VALUES)
    np.testing.assert_array_equal(short.coefs_[0], model.coefs_[0])


# ---------------------------------------------------------------- what scikit-learn's lack


def test_class_weights_are_sample_weights():
    options = {"random_state": 0, "max_iter": 20}
    weights = np.array([1.0, 5.0, 0.5])
    by_class = ours.MLPClassifier(class_weight=dict(enumerate(weights)), **options).fit(X, LABELS)
    by_sample = ours.MLPClassifier(**options).fit(X, LABELS, sample_weight=weights[LABELS])
    np.testing.assert_array_equal(by_class.coefs_[0], by_sample.coefs_[0])
    assert not np.array_equal(by_class.coefs_[0], ours.MLPClassifier(**options).fit(X, LABELS).coefs_[0])


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("name", BOTH)
def test_the_mean_of_sample_weights_does_not_matter(name, solver):
    weights = np.where(LABELS == 1, 3.0, 1.0)
    first, other = (
        getattr(ours, name)(random_state=0, max_iter=5, solver=solver).fit(X, target(name), factor * weights)
        for factor in (1, 64)
    )
    assert first.loss_curve_ == other.loss_curve_
    for one, another in zip(first.coefs_, other.coefs_, strict=True):
        np.testing.assert_array_equal(one, another)


@pytest.mark.parametrize("name", BOTH)
def test_its_network_is_saved(tmp_path, name):
    model = getattr(ours, name)(random_state=0, max_iter=5).fit(X, target(name))
    model.network_.save(tmp_path / "net")
    net = fastbp.load(tmp_path / "net")
    assert repr(net) == repr(model.network_) and net._fastbp == model.network_._fastbp
    np.testing.assert_array_equal(net.outputs(X), model.network_.outputs(X))


def test_activations_dropout_and_callbacks():
    stop = fastbp.TimeLimit(1e-9)
    model = ours.MLPClassifier((8, 6), ["gelu", fastbp.LeakyReLU(0.1)], dropout=[0.1, 0.2], callbacks=[stop])
    model.fit(X, LABELS)
    assert len(model.network_.weights) == 3 and model.n_iter_ <= 1
    assert "gelu" in model.network_.summary() and "0.2" in repr(model.network_)


@pytest.mark.parametrize("name", BOTH)
def test_float32_is_kept(name):
    model = getattr(ours, name)(max_iter=3).fit(X.astype(np.float32), target(name))
    assert {array.dtype for array in model.coefs_ + model.intercepts_} == {np.dtype(np.float32)}
    assert name == "MLPClassifier" or model.predict(X.astype(np.float32)).dtype == np.float32


def test_several_columns_of_values():
    y = np.stack([VALUES, -2 * VALUES], axis=1)
    model = ours.MLPRegressor(solver="lbfgs", random_state=0, max_iter=500).fit(X, y)
    assert model.predict(X).shape == (150, 2) and model.score(X, y) > 0.9


def test_threads_change_no_bit():
    digits, labels = load_digits(return_X_y=True)
    models = [
        ours.MLPClassifier(random_state=0, max_iter=3, threads=threads).fit(digits, labels)
        for threads in (1, 2, "auto")
    ]
    assert len({b"".join(array.tobytes() for array in model.coefs_) for model in models}) == 1


# ---------------------------------------------------------------- among others


def test_in_pipelines_searches_and_calibration():
    data, labels = make_classification(200, 6, random_state=0)
    model = make_pipeline(
        StandardScaler(), ours.MLPClassifier((8,), max_iter=50, learning_rate_init=0.02, random_state=0)
    )
    grid = {"mlpclassifier__alpha": [1e-4, 1e-2], "mlpclassifier__hidden_layer_sizes": [(4,), (8,)]}
    alone = GridSearchCV(model, grid, cv=3).fit(data, labels)
    with sklearn.config_context(), __import__("joblib").parallel_config("threading", n_jobs=2):
        threaded = GridSearchCV(model, grid, cv=3).fit(data, labels)
    np.testing.assert_array_equal(
        alone.cv_results_["mean_test_score"], threaded.cv_results_["mean_test_score"]
    )
    assert alone.best_params_ == threaded.best_params_
    assert cross_val_score(model, data, labels, cv=3).mean() > 0.8
    assert CalibratedClassifierCV(model, cv=3).fit(data, labels).score(data, labels) > 0.8


@pytest.mark.parametrize("name", BOTH)
def test_pickles_and_clones(name):
    model = getattr(ours, name)(max_iter=5, random_state=0).fit(X, target(name))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    np.testing.assert_array_equal(clone(model).fit(X, target(name)).predict(X), model.predict(X))


def test_what_is_said():
    with pytest.warns(ConvergenceWarning, match="max_iter=2 epochs"):
        ours.MLPClassifier(max_iter=2, random_state=0).fit(X, LABELS)
    with pytest.warns(UserWarning, match="batch_size: 1000 is more than the 150 samples"):
        ours.MLPClassifier(max_iter=2, batch_size=1000).fit(X, LABELS)
    for options, error in (({"solver": "newton"}, "solver"), ({"activation": "none"}, "activation")):
        with pytest.raises(ValueError, match=error):
            ours.MLPClassifier(**options).fit(X, LABELS)
    with pytest.raises(AttributeError, match="before it is fitted"):
        ours.MLPClassifier().coefs_  # noqa: B018
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours.MLPClassifier(max_iter=5000, random_state=0, tol=1e-2).fit(X, LABELS)


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    import importlib
    import sys

    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    with pytest.raises(ImportError, match=r"pip install '\.\[sklearn\]' in fastbp's source folder"):
        importlib.reload(ours)
    monkeypatch.undo()
    importlib.reload(ours)
