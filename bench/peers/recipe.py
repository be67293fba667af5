"""Recipes of a training: sizes, batch, functions, optimizer, schedule, in the words of `fastbp.Network`."""

from typing import NamedTuple

import numpy as np

from ..suite.networks import Case


class Recipe(NamedTuple):
    """A training; the default is the book's: sigmoids, the quadratic cost, plain gradient descent."""

    sizes: tuple[int, ...]
    batch_size: int
    learning_rate: float
    activation: str = "sigmoid"
    output_activation: str = "sigmoid"
    cost: str = "quadratic"
    optimizer: str = "sgd"
    schedule: str = "constant"
    epochs: int = 1  # where the schedule ends
    dropout: float = 0.0  # of hidden neurons
    weight_decay: float = 0.0  # adamw's, of weights, not of biases
    compute_dtype: str | None = None  # of products, where it is not the weights'

    @property
    def name(self) -> str:
        """The network and its batch."""
        return self.case.name

    @property
    def text(self) -> str:
        """All of it that may differ between those that are searched."""
        parts = [self.name, self.optimizer, f"rate {self.learning_rate:g}"]
        if self.weight_decay:
            parts.append(f"decay {self.weight_decay:g}")
        if self.dropout:
            parts.append(f"dropout {self.dropout:g}")
        return ", ".join([*parts, f"{self.schedule} over {self.epochs} epochs".replace("_", "-")])

    @property
    def case(self) -> Case:
        return Case(self.sizes, self.batch_size, self.learning_rate)

    @property
    def is_book(self) -> bool:
        return self == Recipe(self.sizes, self.batch_size, self.learning_rate)

    def rates(self, samples: int) -> np.ndarray:
        """The learning rate of every step of all epochs."""
        steps = self.epochs * -(-samples // self.batch_size)
        if self.schedule == "constant":
            return np.full(steps, self.learning_rate)
        if self.schedule == "one_cycle":  # fastbp.OneCycle(), which PyTorch's was the model for
            done = np.arange(steps) / steps
            up = 1 / 25 + (1 - 1 / 25) * (1 - np.cos(np.pi * done / 0.3)) / 2
            down = 1e-4 + (1 - 1e-4) * (1 + np.cos(np.pi * (done - 0.3) / 0.7)) / 2
            return self.learning_rate * np.where(done < 0.3, up, down)
        raise ValueError(f"the peers have no schedule {self.schedule!r}")


BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8  # Adam's
MOMENTUM = 0.9
