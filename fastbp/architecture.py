"""What a network is, but for its weights."""

import itertools
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from . import validate


class Architecture(NamedTuple):
    """What a network is, apart from its weights: activations are names, one a layer."""

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    dtype: np.dtype

    def flops(self) -> int:
        """Floating-point operations to train on one sample, padding not counted.

        4 a weight (forward, update) and 2 more where the layer's input needs a delta.
        """
        weights = [n_in * n_out for n_in, n_out in itertools.pairwise(self.sizes)]
        return 4 * sum(weights) + 2 * sum(weights[1:])


_FLOAT64 = np.dtype(np.float64)


@dataclass(frozen=True)
class State:
    """All that a network keeps beside the seed's four attributes, in one attribute, ``_fastbp``.

    So no private name of a subclass collides with one of ours.  The defaults are the class's, for a pickle of
    the seed's class holds the four attributes alone.  A state is replaced, never changed, for a shallow copy
    of the network shares it.
    """

    dtype: np.dtype = _FLOAT64
    activation: str | tuple[str, ...] = "sigmoid"  # of every hidden layer, or of each
    output_activation: str = "sigmoid"
    uint8_divisor: float = 255.0
    task: validate.Task | None = None
    generator: np.random.RandomState | None = None
    scale: validate.Scale | None = None  # of the samples it was trained on

    @property
    def random(self) -> Any:
        """What draws: the network's own generator, or NumPy's global one."""
        return np.random if self.generator is None else self.generator

    def activations(self, layers: int) -> tuple[str, ...]:
        """The activation of each of so many layers, the input not counted."""
        if not layers:
            return ()
        if isinstance(self.activation, str):
            return (*[self.activation] * (layers - 1), self.output_activation)
        return (*validate.layers("activation", self.activation, layers - 1), self.output_activation)


Parts = tuple[Architecture, list[np.ndarray], list[np.ndarray]]  # and weights and biases


def checked(net: Any) -> Parts:
    """The network as it is trained, for its weights, which a user may have set, say the sizes."""
    state: State = net._fastbp
    weights, biases = validate.parameters(net.weights, net.biases, state.dtype)
    sizes = (weights[0].shape[1], *(len(w) for w in weights))
    return Architecture(sizes, state.activations(len(weights)), state.dtype), weights, biases


_FORMER = {
    "_dtype": "dtype",
    "_activation": "activation",
    "_output": "output_activation",
    "_divisor": "uint8_divisor",
    "_task": "task",
    "_random": "generator",
}


def from_0_1(attributes: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a network that fastbp 0.1.0 pickled, with its private ones in one state."""
    kept = {name: value for name, value in attributes.items() if name not in _FORMER}
    former = {_FORMER[name]: value for name, value in attributes.items() if name in _FORMER}
    return {**kept, "_fastbp": State(**former)} if former else kept
