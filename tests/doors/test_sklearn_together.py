"""scikit-learn's estimators that train together: the results that they have alone, and their own checks."""

import pickle
import warnings

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn", "1.6")

from sklearn.base import clone  # noqa: E402
from sklearn.datasets import load_iris  # noqa: E402
from sklearn.feature_extraction.text import CountVectorizer  # noqa: E402
from sklearn.model_selection import GridSearchCV, GroupKFold, ShuffleSplit  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import FunctionTransformer, StandardScaler  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

from fastbp.sklearn import (  # noqa: E402
    MLPClassifier,
    MLPEnsembleClassifier,
    MLPEnsembleRegressor,
    MLPGridSearchCV,
    MLPRegressor,
    together,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, LABELS = load_iris(return_X_y=True)
X = StandardScaler().fit_transform(X)
VALUES = X @ [1.0, -0.5, 0.25, 0.1] + np.sin(X[:, 0])
WEIGHTS = np.random.default_rng(0).uniform(0, 2, len(X))
CLASSIFIER = MLPClassifier((6,), max_iter=8, random_state=0)
REGRESSOR = MLPRegressor(hidden_layer_sizes=(6,), max_iter=8, random_state=0, batch_size=16)


def changed(estimator, **parameters):
    return clone(estimator).set_params(**parameters)


NOT_BY_BATCHES = {
    f"check_sample_weight_equivalence_on_{kind}_data": "other batches, as with scikit-learn's own"
    for kind in ("dense", "sparse")
}


@pytest.mark.survives("estimator's contract")
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [
        MLPEnsembleClassifier(MLPClassifier(max_iter=20), n_estimators=3),
        MLPEnsembleRegressor(
            MLPRegressor(max_iter=30, learning_rate_init=0.02), n_estimators=3, bootstrap=True
        ),
    ],
    expected_failed_checks=lambda estimator: NOT_BY_BATCHES,
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


# ---------------------------------------------------------------- ensembles


@pytest.mark.parametrize("bootstrap", [False, True])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_each_estimator_has_the_bits_that_it_has_alone(bootstrap, weights):
    for kind, base, y in (
        (MLPEnsembleClassifier, CLASSIFIER, LABELS),
        (MLPEnsembleRegressor, REGRESSOR, VALUES),
        (
            MLPEnsembleClassifier,
            changed(CLASSIFIER, early_stopping=True, n_iter_no_change=2),
            LABELS,
        ),
        (
            MLPEnsembleClassifier,
            changed(CLASSIFIER, class_weight="balanced", dropout=0.1),
            LABELS > 1,
        ),
    ):
        model = kind(base, n_estimators=4, bootstrap=bootstrap, random_state=3).fit(X, y, weights)
        assert len({one.random_state for one in model.estimators_}) == 4
        for one in model.estimators_:
            own = weights
            if bootstrap:
                rows = np.random.RandomState(one.random_state).randint(len(X), size=len(X))
                own = np.bincount(rows, minlength=len(X)) * (1.0 if weights is None else weights)
            alone = clone(one).fit(X, y, own)
            assert alone.network_.fingerprint() == one.network_.fingerprint()
            assert alone.loss_curve_ == one.loss_curve_ and alone.n_iter_ == one.n_iter_
            assert alone.validation_scores_ == one.validation_scores_


def test_classifiers_predict_by_their_mean_probability():
    model = MLPEnsembleClassifier(CLASSIFIER, n_estimators=3, random_state=0)
    names = np.array(["a", "b", "c"])[LABELS]
    model.fit(X, names)
    mean = np.mean([one.predict_proba(X) for one in model.estimators_], axis=0)
    np.testing.assert_allclose(model.predict_proba(X), mean)
    assert (model.predict(X) == model.classes_[mean.argmax(axis=1)]).all()
    assert model.score(X, names) == np.mean(model.predict(X) == names)
    networks = model.ensemble_
    assert [*networks.fingerprint()] == [one.to_network().fingerprint() for one in model.estimators_]
    assert networks.score(X, names) == model.score(X, names) and {*networks.predict(X)} <= {*names}
    with pytest.raises(ValueError, match="alpha"):
        clone(model).set_params(estimator__alpha=-1).fit(X, names)
    model.estimator = changed(CLASSIFIER, alpha=-1)
    with pytest.raises(ValueError, match="alpha: expected a finite number of at least 0, got -1"):
        model.fit(X, LABELS)
    assert model.classes_.tolist() == [*"abc"] and {*model.predict(X)} <= {*names}
    with pytest.raises(TypeError, match=r"estimator: expected MLPClassifier, got MLPRegressor\("):
        MLPEnsembleClassifier(REGRESSOR).fit(X, names)
    twin = pickle.loads(pickle.dumps(model))
    assert (twin.predict_proba(X) == model.predict_proba(X)).all()


def test_regressors_know_their_deviation():
    model = MLPEnsembleRegressor(REGRESSOR, n_estimators=3, random_state=0).fit(X, VALUES)
    every = np.stack([one.predict(X) for one in model.estimators_])
    mean, std = model.predict(X, return_std=True)
    np.testing.assert_array_equal((mean, std), (every.mean(axis=0), every.std(axis=0)))
    np.testing.assert_array_equal(model.predict(X), mean)
    with pytest.raises(AttributeError, match="has no 'ensemble_' before it is fitted"):
        MLPEnsembleRegressor().ensemble_  # noqa: B018


def test_what_cannot_train_together_trains_alone():
    base = changed(REGRESSOR, solver="lbfgs")
    model = MLPEnsembleRegressor(base, n_estimators=2, random_state=0).fit(X, VALUES)
    for one in model.estimators_:
        assert clone(one).fit(X, VALUES).network_.fingerprint() == one.network_.fingerprint()


# ---------------------------------------------------------------- the search

TIMES = ("mean_fit_time", "std_fit_time", "mean_score_time", "std_score_time")
GRIDS = {
    "numbers": (CLASSIFIER, {"learning_rate_init": [1e-3, 1e-2], "alpha": [0.0, 1e-3, 0.1]}, {}),
    "sizes": (CLASSIFIER, {"hidden_layer_sizes": [(4,), (6, 3)], "activation": ["tanh", "relu"]}, {}),
    "batches": (CLASSIFIER, {"batch_size": [10, 20], "solver": ["sgd", "adam", "lbfgs"]}, {}),
    "stopping": (
        changed(CLASSIFIER, early_stopping=True, n_iter_no_change=1, max_iter=40),
        {"learning_rate_init": [1e-4, 1e-2, 1e-1]},
        {},
    ),
    "rules": (
        changed(CLASSIFIER, solver="sgd"),
        {"learning_rate": ["constant", "invscaling", "adaptive"], "learning_rate_init": [0.1, 0.5]},
        {},
    ),
    "dropout": (CLASSIFIER, {"dropout": [0.0, 0.2, 0.5]}, {}),
    "seeds": (CLASSIFIER, {"random_state": [0, 1, 2]}, {}),
    "weights": (
        CLASSIFIER,
        {"class_weight": [None, "balanced"], "momentum": [0.5]},
        {"sample_weight": WEIGHTS},
    ),
    "list of grids": (CLASSIFIER, [{"alpha": [0.1]}, {"beta_1": [0.5, 0.8]}], {}),
    "values": (REGRESSOR, {"learning_rate_init": [1e-3, 1e-2]}, {}),
    "pipeline": (
        make_pipeline(StandardScaler(), CLASSIFIER),
        {"mlpclassifier__alpha": [0.0, 0.1], "standardscaler__with_mean": [True, False]},
        {},
    ),
    "pipeline, weights": (
        make_pipeline(StandardScaler(), CLASSIFIER),
        {"mlpclassifier__alpha": [0.0, 0.1]},
        {"mlpclassifier__sample_weight": WEIGHTS},
    ),
}


def assert_same_search(mine, theirs):
    assert [*mine.cv_results_] == [*theirs.cv_results_]
    for name, wanted in theirs.cv_results_.items():
        if name not in TIMES:
            np.testing.assert_array_equal(mine.cv_results_[name], wanted, err_msg=name)
    assert mine.best_params_ == theirs.best_params_ and mine.best_score_ == theirs.best_score_
    assert mine.best_index_ == theirs.best_index_ and mine.n_splits_ == theirs.n_splits_
    best, wanted = (
        search.best_estimator_[-1] if hasattr(search.best_estimator_, "steps") else search.best_estimator_
        for search in (mine, theirs)
    )
    assert best.network_.fingerprint() == wanted.network_.fingerprint()


@pytest.mark.parametrize("grid", GRIDS)
def test_results_are_those_of_grid_search_cv(grid):
    estimator, parameters, fit = GRIDS[grid]
    y = VALUES if grid == "values" else LABELS
    options = {"cv": 4, "return_train_score": True}  # folds of 112 and of 113 rows
    mine = MLPGridSearchCV(estimator, parameters, **options).fit(X, y, **fit)
    assert_same_search(mine, GridSearchCV(estimator, parameters, **options).fit(X, y, **fit))


def test_candidates_and_folds_train_together(monkeypatch):
    groups, train = [], together._train_group
    monkeypatch.setattr(together, "_train_group", lambda group: groups.append(len(group)) or train(group))
    MLPGridSearchCV(CLASSIFIER, GRIDS["numbers"][1], cv=5, refit=False).fit(X, LABELS)
    assert groups == [30]
    groups.clear()
    MLPGridSearchCV(CLASSIFIER, GRIDS["sizes"][1], cv=5, refit=False).fit(X, LABELS)
    assert groups == [5] * 4


def test_a_shuffled_cv_and_groups():
    parameters = {"alpha": [0.0, 0.1]}
    cv = ShuffleSplit(3, random_state=0)
    mine = MLPGridSearchCV(CLASSIFIER, parameters, cv=cv).fit(X, LABELS)
    assert_same_search(mine, GridSearchCV(CLASSIFIER, parameters, cv=cv).fit(X, LABELS))
    assert mine.cv is cv
    MLPGridSearchCV(CLASSIFIER, parameters, cv=ShuffleSplit(3)).fit(X, LABELS)  # of other splits each time
    groups = np.arange(len(X)) % 7
    cv = GroupKFold(3)
    mine = MLPGridSearchCV(CLASSIFIER, parameters, cv=cv).fit(X, LABELS, groups=groups)
    assert_same_search(mine, GridSearchCV(CLASSIFIER, parameters, cv=cv).fit(X, LABELS, groups=groups))


def test_frames_and_sparse_rows():
    pandas = pytest.importorskip("pandas")
    sparse = pytest.importorskip("scipy.sparse")
    frame = pandas.DataFrame(X, columns=list("abcd"))
    for given in (frame, sparse.csr_matrix(X), sparse.coo_matrix(X), X.tolist()):
        mine = MLPGridSearchCV(CLASSIFIER, {"alpha": [0.0, 0.1]}).fit(given, LABELS)
        assert_same_search(mine, GridSearchCV(CLASSIFIER, {"alpha": [0.0, 0.1]}).fit(given, LABELS))
    assert MLPGridSearchCV(CLASSIFIER, {"alpha": [0.0]}).fit(frame, LABELS).feature_names_in_.tolist() == [
        *"abcd"
    ]


def test_an_estimator_trained_ahead_is_taken_for_the_same_samples_alone():
    pandas = pytest.importorskip("pandas")
    sparse = pytest.importorskip("scipy.sparse")
    other = X + (np.arange(X.size) == 5).reshape(X.shape)
    for kind in (np.array, pandas.DataFrame, sparse.csr_matrix):
        task = together.Task(CLASSIFIER, kind(X), LABELS)
        assert task.suits(clone(CLASSIFIER), kind(X), LABELS)
        assert not task.suits(clone(CLASSIFIER), kind(other), LABELS)
        assert not task.suits(clone(CLASSIFIER), kind(X)[:9], LABELS[:9])
        assert not task.suits(clone(CLASSIFIER), X.tolist(), LABELS)


def test_text_in_a_pipeline():
    texts = np.array(["cat " * label + "dog" for label in LABELS.tolist()], object)
    pipeline = make_pipeline(CountVectorizer(), CLASSIFIER)
    parameters = {"mlpclassifier__alpha": [0.0, 0.1]}
    mine = MLPGridSearchCV(pipeline, parameters, cv=3).fit(texts, LABELS)
    assert_same_search(mine, GridSearchCV(pipeline, parameters, cv=3).fit(texts, LABELS))


@pytest.mark.filterwarnings("ignore")
def test_weights_go_where_metadata_routing_sends_them():
    weights = np.where(LABELS == 1, 10.0, 0.01)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = clone(CLASSIFIER).set_fit_request(sample_weight=False).set_score_request(sample_weight=True)
        mine, theirs = (
            search(routed, {"alpha": [0.0, 0.1]}, cv=3).fit(X, LABELS, sample_weight=weights)
            for search in (MLPGridSearchCV, GridSearchCV)
        )
    assert_same_search(mine, theirs)


@pytest.mark.filterwarnings("ignore")
def test_a_candidate_that_fails_has_the_error_score():
    base = changed(REGRESSOR, solver="sgd")
    parameters = {"learning_rate_init": [0.01, 1e200], "hidden_layer_sizes": [(6,), (0,)]}
    mine = MLPGridSearchCV(base, parameters, cv=3).fit(X, VALUES)
    theirs = GridSearchCV(base, parameters, cv=3).fit(X, VALUES)
    assert_same_search(mine, theirs)
    assert np.isnan(mine.cv_results_["mean_test_score"]).sum() == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error", sklearn.exceptions.ConvergenceWarning)
        mine, theirs = (
            search(REGRESSOR, {"max_iter": [8, 3000]}, cv=3, refit=False).fit(X, VALUES)
            for search in (MLPGridSearchCV, GridSearchCV)
        )
    scores = mine.cv_results_["mean_test_score"]
    np.testing.assert_array_equal(scores, theirs.cv_results_["mean_test_score"])
    assert np.isnan(scores).tolist() == [True, False]


@pytest.mark.filterwarnings("ignore")
def test_a_transformer_that_fails_leaves_the_others_right():
    def refuse(values, most):
        if np.abs(values).max() > most:
            raise ValueError("too large")
        return values

    pipeline = make_pipeline(FunctionTransformer(refuse, kw_args={"most": 9}), CLASSIFIER)
    parameters = {
        "functiontransformer__kw_args": [{"most": 2.9}, {"most": 9}],
        "mlpclassifier__alpha": [0, 0.1],
    }
    mine = MLPGridSearchCV(pipeline, parameters, cv=3).fit(X, LABELS)
    assert_same_search(mine, GridSearchCV(pipeline, parameters, cv=3).fit(X, LABELS))


def test_warnings_of_trainings_that_did_not_converge():
    with pytest.warns(sklearn.exceptions.ConvergenceWarning, match="max_iter=8 epochs are over"):
        MLPGridSearchCV(CLASSIFIER, {"alpha": [0.0]}, cv=2).fit(X, LABELS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        patient = changed(CLASSIFIER, max_iter=2000, tol=1e-2)
        MLPGridSearchCV(patient, {"alpha": [0.0]}, cv=2, refit=False).fit(X, LABELS)
