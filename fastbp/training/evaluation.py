"""Costs and metrics that are measured after each epoch, and the samples held out for them."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..data import labels
from ..data.metrics import METRICS, OF_EACH, Weights
from ..data.schema import Schema
from ..data.targets import Targets, Task
from ..data.weights import check_some_weight
from ..engine.packed import NOTHING, Data
from ..options import checks, random_streams
from .scores import Score

# The scores of tasks without an accuracy; "accuracy" for the others.
_SCORES: dict[Task, str] = {"value": "r2", "values": "r2"}


class EvaluationSet(NamedTuple):
    """Rows of data to measure on; names in the history begin with the prefix."""

    prefix: str
    data: Data
    rows: np.ndarray
    targets: np.ndarray  # the targets of those rows
    weights: Weights  # of those rows


class Evaluation:
    """The cost and the metrics of some sets of rows, by the names of the history.

    Weights of samples and classes hold as in training: the cost is the sum of w C over the number of rows, so
    that it compares with the training's; metrics are weighted means.
    """

    def __init__(self, metrics: Mapping[str, Callable[..., float]], schema: Schema) -> None:
        name = _SCORES.get(schema.trained_task, "accuracy")
        self._metrics = dict(metrics) or {name: METRICS[name]}
        for name, metric in self._metrics.items():
            if metric is METRICS["r2"] and schema.trained_task == "labels":
                raise ValueError(f"metrics: expected those of labels, as y has labels, got {name!r}")
        self._weighted = {
            name
            for name, metric in self._metrics.items()
            if not isinstance(metric, Score) and metric is not METRICS.get(name) and _takes_weights(metric)
        }
        self._schema = schema
        self.sets: list[EvaluationSet] = []

    def add(self, prefix: str, data: Data, rows: np.ndarray) -> None:
        """Adds a set whose names begin with the prefix; without a prefix, its cost is left out."""
        weights = data.weights[rows] if data.weights.size else None
        check_some_weight(f"weights of the {'validation' if prefix else 'training'} data", weights)
        targets = data.targets[rows]
        for metric in self._metrics.values():
            if isinstance(metric, Score):
                metric.check(self._schema, targets, weights)
        unweighted = data._replace(weights=NOTHING)
        self.sets.append(EvaluationSet(prefix, unweighted, rows, targets, weights))

    @property
    def names(self) -> list[str]:
        """The names that it adds to the history."""
        return [
            one.prefix + name
            for one in self.sets
            for name in (*(["loss"] if one.prefix else []), *self._metrics)
        ]

    def __call__(self, engine: Any, members: int) -> dict[str, float]:
        """The costs and metrics by a team of so many members; with 0, of as many as pay."""
        scores: dict[str, float] = {}
        for number, one in enumerate(self.sets):
            losses = self.new_losses(number)
            outputs = engine.infer(one.data, losses, members, one.rows)
            scores |= self.scores(number, outputs, losses)
        return scores

    def new_losses(self, number: int) -> np.ndarray:
        """Room for the costs of the rows of a set, or none where its cost is left out."""
        one = self.sets[number]
        return np.zeros(len(one.rows)) if one.prefix else NOTHING

    def scores(self, number: int, outputs: np.ndarray, losses: np.ndarray) -> dict[str, float]:
        """The cost and the metrics of a set, from its outputs and the costs of its rows."""
        prefix, data, _, targets, weights = self.sets[number]
        scores = {}
        if data.outputs is not None:
            outputs = data.outputs.unscaled(outputs)
        outputs = self._schema.values(outputs)
        if prefix:
            counted = losses if weights is None else losses[weights > 0] * weights[weights > 0]
            scores[f"{prefix}loss"] = math.fsum(counted.tolist()) / len(losses)
        for name, metric in self._metrics.items():
            if metric is METRICS.get(name):
                value = metric(outputs, self._checked(targets), weights)
            elif isinstance(metric, Score):
                value = metric(self._schema, outputs, targets, weights)
            else:
                options = {"sample_weight": weights} if name in self._weighted else {}
                value = metric(self._as_y(targets), outputs, **options)
            scores[prefix + name] = checks.number(f"metric {name!r}", value)
        return scores

    def shares(self, others: Sequence["Evaluation"], number: int) -> bool:
        """Tells whether others measure on the same targets, by metrics that measure many networks at once."""
        one = self.sets[number]
        return (
            one.weights is None
            and one.data.outputs is None
            and all(any(metric is known for known in OF_EACH) for metric in self._metrics.values())
            and all(other.sets[number].data.targets is one.data.targets for other in others)
            and all(other.sets[number].rows is one.rows for other in others)
        )

    def scores_of_each(self, number: int, outputs: np.ndarray, losses: np.ndarray) -> list[dict[str, float]]:
        """The `scores` of many networks, from outputs (networks, n, outputs) and costs (networks, n)."""
        prefix, _, _, targets, _ = self.sets[number]
        scores: list[dict[str, float]] = [{} for _ in outputs]
        if prefix:
            for score, costs in zip(scores, losses.tolist(), strict=True):
                score[f"{prefix}loss"] = math.fsum(costs) / len(costs)
        for name, metric in self._metrics.items():
            values = OF_EACH[metric](self._schema.values(outputs), self._checked(targets)).tolist()
            for score, value in zip(scores, values, strict=True):
                score[prefix + name] = value
        return scores

    def _checked(self, targets: np.ndarray) -> Targets:
        """Targets with their task, as metrics read them."""
        return Targets(targets, self._schema.trained_task, threshold=self._schema.threshold)

    def _as_y(self, targets: np.ndarray) -> np.ndarray:
        """Targets as the user passed them: in the shape of y, and with its labels."""
        task = self._schema.trained_task
        flat = targets[:, 0] if task in ("binary", "value") else targets
        if task not in ("labels", "binary"):
            return flat
        return labels.labels_of(flat.astype(np.int64), self._schema.learnt.classes)


def _takes_weights(metric: Callable[..., float]) -> bool:
    """Tells whether a user's own metric takes weights, as those of scikit-learn do."""
    try:
        return "sample_weight" in inspect.signature(metric).parameters
    except (TypeError, ValueError):  # of a function in C
        return False


def held_out(targets: Targets, share: float, seed: int | None) -> tuple[np.ndarray, np.ndarray]:
    """The rows to train on and the rows held out, in order: a share of the rows of each label.

    The same data and seed always give the same rows, so that a second `fit` does not train on those that the
    first held out.  Without a seed, the seed is 0.
    """
    n = len(targets.array)
    rows = np.argsort(random_streams.uniform(random_streams.key(seed or 0, "split"), n), kind="stable")
    if targets.task in ("labels", "binary"):
        rows = rows[np.argsort(targets.array.reshape(-1)[rows], kind="stable")]
    counts = np.floor(np.arange(n + 1) * share)  # counts[i] of the first i rows are held out
    out = np.diff(counts) > 0
    return np.sort(rows[~out]), np.sort(rows[out])
