"""How a network reads X and y."""

from dataclasses import dataclass, field
from typing import Any

from .pixels import Scale
from .scaling import Scaling
from .targets import Task


@dataclass(frozen=True)
class Learnt:
    """The facts that a network learns about its data in training."""

    task: Task | None = None
    scale: Scale | None = None  # of the samples
    classes: tuple[Any, ...] | None = None  # labels that are not 0, 1, 2 ..., by their outputs
    feature_names: tuple[str, ...] | None = None  # of the columns of the frame that it is trained on
    input_scaling: Scaling | None = field(default=None, compare=False)
    output_scaling: Scaling | None = field(default=None, compare=False)
