"""Estimators that train together: each ends with the bits that its own `fit` gives it."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..data.sparse import is_sparse
from ..engine.chunks import DivergenceError
from ..training import ensemble_fit
from ..training.fit import evaluation_of
from ..training.packs import Assignment
from .perceptron import MLPClassifier, MLPRegressor
from .watch import Watch


@dataclass
class Task:
    """An estimator to be trained on X and y, which may be some rows of a larger X that others share."""

    estimator: Any
    X: Any
    y: Any
    sample_weight: Any = None
    whole: np.ndarray | None = None  # the larger X, of the type that the estimator reads
    rows: np.ndarray | None = None  # those of X in it
    error: Exception | None = None  # that `fit` would have raised

    @property
    def result(self) -> Any:
        """The trained estimator, or the exception."""
        return self.error or self.estimator

    def suits(self, estimator: Any, X: Any, y: Any) -> bool:
        """Tells whether it is what `fit` of that estimator would make of X and y."""
        same = repr(estimator.get_params()) == repr(self.estimator.get_params())
        return same and np.array_equal(y, self.y) and _are_equal(X, self.X)


def _are_equal(X: Any, other: Any) -> bool:
    """Tells whether samples are the same; those of a kind that is not known are not."""
    if X is other:
        return True
    if type(X) is not type(other) or np.shape(X) != np.shape(other):
        return False
    if is_sparse(X):
        return bool((other != X).nnz == 0)
    return bool(X.equals(other)) if hasattr(X, "equals") else np.array_equal(X, other)


def can_be_together(estimator: Any) -> bool:
    """Tells whether an estimator can train together with others: on mini-batches, watched by nobody."""
    return (
        type(estimator) in (MLPClassifier, MLPRegressor)
        and estimator.solver != "lbfgs"
        and not estimator.callbacks
        and not estimator.verbose
    )


def train(tasks: Sequence[Task]) -> None:
    """Trains estimators, those together whose networks differ in numbers only; errors stay in their tasks."""
    groups: dict[Any, list[tuple[Task, Watch, Assignment]]] = {}
    arrays = None
    for task in tasks:
        estimator = task.estimator
        try:
            if not can_be_together(estimator) or is_sparse(task.X):
                estimator.fit(task.X, task.y, sample_weight=task.sample_weight)
                continue
            job = estimator.prepared(task.X, task.y, task.sample_weight, None)
            plan, watch = estimator.planned(job)
            assigned, arrays = ensemble_fit.assignment(estimator.network_, job.X, job.targets, plan, arrays)
        except (ArithmeticError, TypeError, ValueError, Warning) as error:
            task.error = error
            continue
        source = assigned.source
        if task.whole is not None and task.rows is not None:
            source = source.within(task.whole, task.rows)
            assigned = replace(assigned, source=source, evaluation=evaluation_of(source, plan, None))
        groups.setdefault(_key(assigned), []).append((task, watch, assigned))
    for group in groups.values():
        _train_group(group)


def _key(assigned: Assignment) -> tuple[Any, ...]:
    """The properties that networks which train together have in common."""
    net, source, plan, evaluation = assigned.net, assigned.source, assigned.plan, assigned.evaluation
    data, options = source.data, net._fastbp.options
    return (
        *(id(data.X), source.samples, data.targets.shape, data.targets.dtype, bool(data.weights.size)),
        *(None if source.held_out is None else len(source.held_out), len(evaluation.sets)),
        *(tuple(w.shape for w in net.weights), options.dtype, options.compute_dtype, options.cost),
        *(options.activation, options.output_activation),
        *(plan.epochs, plan.batch_size, plan.recipe.optimizer.row, plan.shuffle, plan.threads),
    )


def _train_group(group: Sequence[tuple[Task, Watch, Assignment]]) -> None:
    run = ensemble_fit.run_of([assigned for *_, assigned in group])
    with contextlib.suppress(DivergenceError):  # of all of them, each of which has a note
        run.train()
    history = run.history
    for i, (task, watch, _) in enumerate(group):
        try:
            if history.diverged[i]:
                text = next(text for j, text in history.own_notes if j == i)
                task.estimator.end_diverged(watch, DivergenceError(text))
            else:
                task.estimator.finish(watch, int(history.trained_epochs[i]))
            task.estimator.check_finite()
        except (ArithmeticError, ValueError, Warning) as error:
            task.error = error
