"""What a network is but for its weights."""

import itertools
from typing import NamedTuple

import numpy as np

from . import activations, costs


class Architecture(NamedTuple):
    """Sizes, the activation of every layer but the inputs, and what else kernels must know of a network."""

    sizes: tuple[int, ...]
    activations: tuple[activations.Kind, ...]
    dtype: np.dtype
    cost: costs.Kind = "quadratic"
    dropout: tuple[float, ...] = ()  # the rate of each hidden layer, or nothing
    frozen: tuple[int, ...] = ()  # layers, counted as weights are, whose weights stay

    def flops(self) -> int:
        """Floating-point operations to train on one sample, padding not counted.

        4 per weight (forward, update) and 2 more where the layer's input needs a delta.
        """
        weights = [n_in * n_out for n_in, n_out in itertools.pairwise(self.sizes)]
        return 4 * sum(weights) + 2 * sum(weights[1:])
