"""Scores of scikit-learn by name, as metrics that are measured after each epoch."""

import warnings
from typing import Any

import numpy as np

from ..data import metrics
from ..data.schema import Schema
from ..data.targets import Task
from ..options import activations

_AVERAGED = tuple(
    f"{score}{average}"
    for score in ("f1", "jaccard", "precision", "recall")
    for average in ("", "_macro", "_micro", "_samples", "_weighted")
)
_OF_LABELS = (
    *_AVERAGED,
    *(
        "average_precision",
        "balanced_accuracy",
        "matthews_corrcoef",
        "neg_log_loss",
        "positive_likelihood_ratio",
    ),
    *("neg_negative_likelihood_ratio", "top_k_accuracy", "roc_auc"),
    *("roc_auc_ovo", "roc_auc_ovo_weighted", "roc_auc_ovr", "roc_auc_ovr_weighted"),
)
_OF_VALUES = (
    *("explained_variance", "neg_max_error", "neg_mean_absolute_error", "neg_mean_absolute_percentage_error"),
    *("neg_mean_gamma_deviance", "neg_mean_poisson_deviance", "neg_mean_squared_error"),
    *("neg_mean_squared_log_error", "neg_median_absolute_error", "neg_root_mean_squared_error"),
    "neg_root_mean_squared_log_error",
)


class Score:
    """A score of scikit-learn, measured on the outputs of a network; higher is better."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(
        self, schema: Schema, outputs: np.ndarray, y: np.ndarray, weights: np.ndarray | None
    ) -> float:
        """Measures outputs (n, outputs), or the means of pairs, against targets (n,) or (n, outputs).

        It is NaN where an output is not finite.  Two classes are 0 and 1 for it, whatever their labels, so
        that "f1" is that of the second.  Rows of weight 0 do not count.
        """
        options = {}
        if weights is not None:
            counted = weights > 0
            outputs, y, options = outputs[counted], y[counted], {"sample_weight": weights[counted]}
        if not np.isfinite(outputs).all():
            return float("nan")
        if schema.trained_task in ("binary", "value"):
            y = y.reshape(len(y))
        if schema.trained_task not in ("value", "values"):
            y = y.astype(np.int64)
        try:
            return float(_scorer(self.name)(_answers(schema), outputs, y, **options))
        except (AttributeError, TypeError, ValueError) as error:
            raise ValueError(
                f"metrics: expected scores that suit the data of a network trained for "
                f"{schema.trained_task}, got {self.name!r}: {error}"
            ) from error

    def check(self, schema: Schema, y: np.ndarray, weights: np.ndarray | None) -> None:
        """Refuses a score that is not defined for the network's task, targets or weights."""
        task = schema.trained_task
        if task == "labels":
            outputs = np.eye(schema.columns)[y]
        else:
            outputs = np.abs(y) + 0.25 if task in ("value", "values") else y.astype(np.float64)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of outputs that are all right
            self(schema, outputs, y, weights)


SCORES = {name: Score(name) for name in (*_OF_LABELS, *_OF_VALUES)}


def grows(name: str) -> bool:
    """Tells whether higher is better for a number of the history, by its name."""
    return name.endswith(("accuracy", "r2", "score")) or name.removeprefix("val_") in SCORES


def _scorer(name: str) -> Any:
    try:
        from sklearn.metrics import get_scorer
    except ImportError as error:
        raise ImportError(
            f"metrics: expected scikit-learn for {name!r}, which is not installed; "
            "pip install '.[sklearn]' in fastbp's source folder"
        ) from error
    return get_scorer(name)


def _answers(schema: Schema) -> Any:
    """An estimator as scorers ask it, whose samples are a network's outputs."""
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

    task: Task = schema.trained_task
    if task in ("value", "values"):

        class Values(RegressorMixin, BaseEstimator):  # type: ignore[misc]
            def __sklearn_is_fitted__(self) -> bool:
                return True

            def predict(self, outputs: np.ndarray) -> np.ndarray:
                return metrics.decided(outputs, task)

        return Values()

    class Labels(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        classes_ = np.arange(max(2, schema.outputs)) if task != "multilabel" else np.eye(2, schema.outputs)

        def __sklearn_is_fitted__(self) -> bool:
            return True

        def predict(self, outputs: np.ndarray) -> np.ndarray:
            return metrics.decided(outputs, task, schema.threshold)

        def decision_function(self, outputs: np.ndarray) -> np.ndarray:
            if task == "labels" and schema.outputs == 2:
                return np.asarray(outputs[:, 1] - outputs[:, 0])
            return outputs[:, 0] if task == "binary" else outputs

    class Probabilities(Labels):
        def predict_proba(self, outputs: np.ndarray) -> np.ndarray:
            return metrics.probabilities(outputs.astype(np.float64), task)

    is_probability = activations.definition_of(schema.options.output_activation).is_probability
    return Probabilities() if is_probability else Labels()
