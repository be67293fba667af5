"""How a network reads X and y."""

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from ..options import checks, costs
from ..options.network import Options
from . import frames, labels, pixels
from .arrays import plain_numbers, warn_of_lost_digits
from .pixels import Scale
from .samples import checked_samples
from .scaling import Scaling, learnt_scaling
from .sparse import Samples
from .targets import (
    Targets,
    Task,
    check_task_of_scaling,
    checked_targets,
    default_task,
    suited_to_cost,
)
from .weights import checked_class_weights, classes_of, sample_weights


@dataclass(frozen=True)
class Learnt:
    """The facts that a network learns about its data in training."""

    task: Task | None = None
    scale: Scale | None = None  # of the numbers in X
    classes: tuple[Any, ...] | None = None  # the label of each output, unless labels are 0, 1, 2 ...
    feature_names: tuple[str, ...] | None = None  # names of the columns, if X was a data frame
    target_names: tuple[str, ...] | None = None  # names of the columns of y, if it came from a table
    input_scaling: Scaling | None = field(default=None, compare=False)
    output_scaling: Scaling | None = field(default=None, compare=False)


class Schema(NamedTuple):
    """How a network reads X and y: its options, and the facts it has learnt about its data."""

    inputs: int
    outputs: int
    options: Options
    learnt: Learnt
    task: Task | None = None  # the task that y must suit; None if y decides
    class_weights: np.ndarray | None = None  # one per class; None if all weigh the same

    @property
    def is_paired(self) -> bool:
        """Tells whether each column of y has two outputs in a row, a mean and the log of a variance."""
        return costs.definition_of(self.options.cost).is_paired

    @property
    def columns(self) -> int:
        """The number of columns of y, unless y holds labels."""
        return costs.columns_of(self.options.cost, self.outputs)

    def values(self, outputs: np.ndarray) -> np.ndarray:
        """The outputs to compare with y: of (mean, log variance) pairs, the means."""
        return outputs[..., ::2] if self.is_paired else outputs

    @property
    def trained_task(self) -> Task:
        """The task that the network is trained for; before any training, the default for its outputs."""
        if self.is_paired:
            return self.learnt.task or "values"
        return self.learnt.task or default_task(self.outputs, self.learnt.classes is not None)

    @property
    def threshold(self) -> float:
        """The number from which on an output of two classes, or of several labels, says yes."""
        return costs.definition_of(self.options.cost).threshold

    def samples(self, X: Any, prefix: str = "", learns: bool = False) -> Samples:
        """Checks X, whose columns must be those of the network's training, and converts it for an engine.

        With `learns`, warns of digits that the conversion loses.
        """
        name, options = prefix + "X", self.options
        frames.same_features(name, frames.feature_names(X), self.learnt.feature_names)
        return checked_samples(X, self.inputs, options.dtype, name, options.scale_inputs, learns)

    def divided(self, samples: Samples) -> Samples:
        """Divides checked samples by the network's `input_divisor`, except bytes, which kernels divide."""
        return pixels.divided(samples, self.options.input_divisor, self.options.dtype)

    def targets(self, y: Any, rows: int, name: str = "y") -> Targets:
        """Checks y, which must have `rows` rows, and encodes it as targets."""
        options, task, classes = self.options, self.task, self.learnt.classes
        if self.is_paired and task is None:
            task = "value" if np.ndim(y) == 1 else "values"
        if task not in ("value", "values", "multilabel"):
            is_known = task is not None or self.learnt.task in ("labels", "binary")
            y, classes = labels.encoded(y, classes, self.outputs, name, is_known)
        cost, output = options.cost, options.output_activation
        allowed = costs.definition_of(cost).targets
        several = allowed is costs.SIDES or (output == "sigmoid" and allowed is costs.PROBABILITIES)
        dtype = np.dtype(np.float64) if options.scale_outputs else options.dtype
        targets = checked_targets(y, rows, self.columns, dtype, name, task, several)
        targets = suited_to_cost(targets, cost, output, name)
        if self.task is None and targets.task in ("value", "values"):
            warn_of_lost_digits(plain_numbers(y, name), dtype, name, "scale_outputs")
        if options.scale_outputs:
            check_task_of_scaling(targets.task)
        return targets._replace(classes=classes, threshold=self.threshold)

    def pairs(self, X: Any, y: Any, prefix: str = "") -> tuple[Samples, Targets]:
        """Checks samples and their targets, of which there must be at least one."""
        samples = self.samples(X, prefix)
        checks.count(f"rows of {prefix}X", len(samples))
        return samples, self.targets(y, len(samples), prefix + "y")

    def weights(self, targets: Targets, sample_weight: Any, name: str = "sample_weight") -> np.ndarray:
        """The weight of each sample times that of its class; an empty array if all weigh the same."""
        weights = np.zeros(0)
        if sample_weight is not None:
            weights = sample_weights(sample_weight, len(targets.array), name)
        if self.class_weights is None:
            return weights
        of_classes = np.asarray(self.class_weights[classes_of(targets)])
        return of_classes * weights if weights.size else of_classes

    def trained_on(self, targets: Targets, class_weight: Any = None) -> "Schema":
        """The schema for a training on `targets`: with their task, their classes and the classes' weights."""
        weights = None
        if class_weight is not None:
            classes = targets.classes or tuple(range(max(2, self.outputs)))
            weights = checked_class_weights(class_weight, classes_of(targets), classes)
        schema = self.learning(task=targets.task, classes=targets.classes)
        return schema._replace(task=targets.task, class_weights=weights)

    def learning(self, **facts: Any) -> "Schema":
        """The schema with these facts about its data, which are fields of `Learnt`."""
        if all(getattr(self.learnt, name) is value for name, value in facts.items()):
            return self
        return self._replace(learnt=replace(self.learnt, **facts))

    def scalings(self) -> tuple[Scaling | None, Scaling | None]:
        """The scalings of inputs and outputs; raises if an option wants one that has not been learnt."""
        options, learnt = self.options, self.learnt
        return (
            learnt_scaling(options.scale_inputs, learnt.input_scaling, "scale_inputs"),
            learnt_scaling(options.scale_outputs, learnt.output_scaling, "scale_outputs"),
        )
