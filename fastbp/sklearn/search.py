"""A grid search whose candidates and folds train together."""

import contextlib
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV, ParameterGrid, check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, check_array, indexable

from ..data.sparse import is_sparse
from . import together
from .perceptron import ahead

_TYPES = (np.float64, np.float32)


class MLPGridSearchCV(GridSearchCV):  # type: ignore[misc]  # scikit-learn has no types
    """`sklearn.model_selection.GridSearchCV` for the estimators of this module: the same results, sooner.

    The networks of all candidates and folds that differ in numbers only (rates, penalties, seeds, rows)
    train together.  The estimator may also be the last step of a `Pipeline`.  Parameters and attributes are
    those of `GridSearchCV`, except ``n_jobs`` and ``pre_dispatch``; the times in ``cv_results_`` do not
    contain the training, which `train_time_` has.

    Attributes
    ----------
    train_time_ : float
        Seconds of the training of all candidates on all folds.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastbp.sklearn import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> base = MLPClassifier((8,), max_iter=20, random_state=0)
    >>> search = MLPGridSearchCV(base, {"learning_rate_init": [1e-4, 1e-2], "alpha": [0, 1e-3]}, cv=3)
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")  # ConvergenceWarning
    ...     best = search.fit(X, y).best_params_
    >>> best["learning_rate_init"]
    0.01
    """

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        scoring: Any = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        error_score: Any = np.nan,
        return_train_score: bool = False,
    ) -> None:
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            n_jobs=1,  # in order, in this thread
            refit=refit,
            cv=cv,
            verbose=verbose,
            error_score=error_score,
            return_train_score=return_train_score,
        )

    def fit(self, X: Any, y: Any = None, **params: Any) -> "MLPGridSearchCV":
        """Trains all candidates on all folds together, then does what `GridSearchCV.fit` does.

        `params` are arguments of the estimator's `fit`; ``sample_weight`` alone goes to networks that train
        together, and others have every network train by itself.
        """
        began = time.perf_counter()
        X, y = indexable(X, y)
        cv = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        splits = list(cv.split(X, y, params.get("groups")))
        trained = self._trained(X, y, splits, params)
        self.train_time_ = time.perf_counter() - began
        cv_before: Any = self.cv
        self.cv: Any = splits  # the same, for those of a shuffled cv may be others each time
        try:
            with ahead(trained):
                super().fit(X, y, **params)
        finally:
            self.cv = cv_before
        return self

    def _trained(self, X: Any, y: Any, splits: Sequence[Any], params: dict[str, Any]) -> list[together.Task]:
        """The candidates on each fold that can be trained together, trained; none for other `params`, nor for
        those that scikit-learn's metadata routing passes on.
        """
        name = "sample_weight"
        if isinstance(self.estimator, Pipeline):
            name = f"{self.estimator.steps[-1][0]}__sample_weight"
        routed = get_config()["enable_metadata_routing"] and {*params} - {"groups"}
        if {*params} - {name, "groups"} or routed or y is None:
            return []
        weights, tasks = params.get(name), []
        folds = _Folds(X, y, splits)
        for candidate in ParameterGrid(self.param_grid):
            estimator = clone(self.estimator).set_params(**clone(candidate, safe=False))
            for fold, (train, _) in enumerate(splits):
                weights_of_fold = None if weights is None else _safe_indexing(weights, train)
                tasks.append(folds.task(clone(estimator), fold, weights_of_fold))
        together.train(alike := [task for task in tasks if task is not None])
        return alike


class _Folds:
    """The samples of each fold, which candidates share."""

    def __init__(self, X: Any, y: Any, splits: Sequence[Any]) -> None:
        self._trains = [train for train, _ in splits]
        self._parts = [(_safe_indexing(X, train), _safe_indexing(y, train)) for train in self._trains]
        self._whole = None
        if not is_sparse(X):
            with contextlib.suppress(TypeError, ValueError):  # of text, which a pipeline may encode
                self._whole = check_array(X, dtype=_TYPES, order="C", ensure_all_finite=False)
        self._transformed: dict[Any, Any] = {}

    def task(self, estimator: Any, fold: int, weights: Any) -> together.Task | None:
        """The task of an estimator, or of the last one of a pipeline; None where it has to train alone."""
        X, y = self._parts[fold]
        if not isinstance(estimator, Pipeline):
            if not together.can_be_together(estimator):
                return None
            rows = (
                None
                if self._whole is None
                else np.arange(len(self._whole), dtype=np.int64)[self._trains[fold]]
            )
            return together.Task(estimator, X, y, weights, self._whole, rows)
        if not together.can_be_together(estimator[-1]):
            return None
        steps = estimator[:-1]
        key = repr(steps.get_params()), fold
        if key not in self._transformed:
            try:
                self._transformed[key] = steps.fit_transform(X, y)
            except Exception:  # of a user's transformer, which the pipeline raises again
                self._transformed[key] = None
        if self._transformed[key] is None:
            return None
        return together.Task(estimator[-1], self._transformed[key], y, weights)
