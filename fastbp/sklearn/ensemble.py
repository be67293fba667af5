"""Ensembles of perceptrons as scikit-learn's estimators."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ..data.weights import check_some_weight, sample_weights
from ..ensemble import Ensemble
from ..options import checks
from . import together
from .perceptron import _MOST_SEED, MLPClassifier, MLPRegressor


class _PerceptronEnsemble(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """The base of both ensembles, which define their estimator and how they predict."""

    _default: Any
    _y_numeric = False

    def __init__(
        self,
        estimator: Any = None,
        n_estimators: int = 16,
        *,
        bootstrap: bool = False,
        random_state: Any = None,
    ) -> None:
        self.estimator, self.n_estimators = estimator, n_estimators
        self.bootstrap, self.random_state = bootstrap, random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Trains all estimators together, each on all rows, or with `bootstrap` on rows drawn for it."""
        count = checks.count("n_estimators", self.n_estimators)
        checks.flag("bootstrap", self.bootstrap)
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            multi_output=True,
            y_numeric=self._y_numeric,
            dtype=(np.float64, np.float32),
        )
        learnt = self._learnt(y)
        random = check_random_state(self.random_state)
        seeds = random.randint(_MOST_SEED, size=count)
        base = self._default() if self.estimator is None else self.estimator
        if not isinstance(base, self._default):
            raise TypeError(f"estimator: expected {self._default.__name__}, got {base!r}")
        checked_weights = None if sample_weight is None else sample_weights(sample_weight, X.shape[0])
        check_some_weight("sample_weight", checked_weights)
        tasks = []
        for seed in seeds:
            weights = checked_weights
            if self.bootstrap:
                rows = np.random.RandomState(seed).randint(X.shape[0], size=X.shape[0])
                drawn = np.bincount(rows, minlength=X.shape[0]).astype(float)
                weights = drawn if checked_weights is None else drawn * checked_weights
            member = clone(base).set_params(random_state=int(seed))
            tasks.append(together.Task(member, X, y, weights))
        together.train(tasks)
        if error := next((task.error for task in tasks if task.error), None):
            raise error
        self.__dict__.update(learnt, estimators_=[task.estimator for task in tasks])
        return self

    def _learnt(self, y: np.ndarray) -> dict[str, Any]:
        """The attributes that follow from the targets."""
        return {}

    @property
    def ensemble_(self) -> Ensemble:
        """The networks of the estimators as an `Ensemble`, of copies that have their labels or values."""
        if not hasattr(self, "estimators_"):
            raise AttributeError(f"{type(self).__name__} has no 'ensemble_' before it is fitted")
        return Ensemble.of(estimator.to_network() for estimator in self.estimators_)

    def _checked(self, X: Any) -> Any:
        check_is_fitted(self, "estimators_")
        return validate_data(self, X, accept_sparse="csr", dtype=(np.float64, np.float32), reset=False)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class MLPEnsembleClassifier(ClassifierMixin, _PerceptronEnsemble):  # type: ignore[misc]
    """Classifiers of different seeds that train together and predict by the mean of their probabilities.

    Parameters
    ----------
    estimator : MLPClassifier, optional
        The classifier, of which each has a copy with a `random_state` of its own.
    n_estimators : int
    bootstrap : bool
        If True, each trains on as many rows as there are, drawn with replacement: as weights 0, 1, 2 ...
        Rows that `early_stopping` holds out have them as well, and `fit` raises where all of an estimator's
        are 0, which ten such rows make improbable: `validation_fraction` says how many there are.
    random_state : int, RandomState instance or None

    Attributes
    ----------
    estimators_ : list of MLPClassifier
    ensemble_ : Ensemble
    classes_ : ndarray

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> base = MLPClassifier((16,), max_iter=50, learning_rate_init=0.02)
    >>> model = MLPEnsembleClassifier(base, n_estimators=5, random_state=0)
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")  # ConvergenceWarning
    ...     score = model.fit(X, y).score(X, y)
    >>> score > 0.8
    True
    """

    _default = MLPClassifier

    def _learnt(self, y: np.ndarray) -> dict[str, Any]:
        check_classification_targets(y)
        return {"classes_": np.arange(y.shape[1]) if y.ndim == 2 and y.shape[1] > 1 else np.unique(y)}

    def predict(self, X: Any) -> np.ndarray:
        """The labels of the largest mean probability, (n_samples,); zeros and ones for several at once."""
        mean = self.predict_proba(X)
        if self.estimators_[0]._several:
            return (mean > 0.5).astype(np.int64)
        labels: np.ndarray = self.classes_[mean.argmax(axis=1)]
        return labels

    def predict_proba(self, X: Any) -> np.ndarray:
        """The mean probability of each class, (n_samples, n_classes)."""
        X = self._checked(X)
        every = np.stack([one.predict_proba(X) for one in self.estimators_])
        mean: np.ndarray = every.mean(axis=0, dtype=np.float64)
        return mean[:, : len(self.classes_)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPEnsembleRegressor(RegressorMixin, _PerceptronEnsemble):  # type: ignore[misc]
    """Regressors of different seeds that train together and predict by their mean.

    Parameters
    ----------
    estimator : MLPRegressor, optional
        The regressor, of which each has a copy with a `random_state` of its own.
    n_estimators, bootstrap, random_state
        As for `MLPEnsembleClassifier`.

    Examples
    --------
    >>> X = np.linspace(-1, 1, 60).reshape(-1, 1)
    >>> base = MLPRegressor(hidden_layer_sizes=16, activation="tanh", learning_rate_init=0.02, tol=0)
    >>> model = MLPEnsembleRegressor(base, n_estimators=5, random_state=0)
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")  # ConvergenceWarning
    ...     mean, std = model.fit(X, X[:, 0] ** 2).predict([[0.5], [3.0]], return_std=True)
    >>> bool(std[1] > std[0])
    True
    """

    _default = MLPRegressor
    _y_numeric = True

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """The mean of the estimators' values, and with `return_std` their standard deviation."""
        X = self._checked(X)
        every = np.stack([one.predict(X) for one in self.estimators_])
        mean = every.mean(axis=0, dtype=np.float64)
        return (mean, every.std(axis=0, dtype=np.float64)) if return_std else mean
