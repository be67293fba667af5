"""The checked arguments of a call of `fit`, besides its samples and targets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..data.targets import Task
from ..options.network import Options
from ..options.step_numbers import Recipe


@dataclass(frozen=True)
class Plan:
    """The arguments of a call of `fit`: training and measurements.

    Weights and validation data are kept as the user passed them; they are checked with the samples.
    """

    epochs: int
    batch_size: int
    recipe: Recipe
    task: Task | None = None  # the task that y must have; None where it follows from y
    sample_weight: Any = None
    class_weight: Any = None
    validation_data: Any = None
    validation_split: float = 0.0
    metrics: Mapping[str, Callable[..., float]] = field(default_factory=dict)
    shuffle: bool = True
    data_seed: int | None = None  # of orders and of held-out rows; None for the network's own
    buffer_bytes: int = 1 << 28
    threads: int | str = "auto"
    callbacks: tuple[Any, ...] = ()  # each a Callback

    def seed(self, options: Options) -> int | None:
        """The seed of the orders of samples and of held-out rows, for a network of those `options`."""
        return options.seed if self.data_seed is None else self.data_seed
