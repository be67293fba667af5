"""The samples and the options of networks that train together, as `LaneEngine` and `OneByOne` read them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..data.scaling import Scaling
from ..data.sparse import Samples
from .kernels.records import FUSED
from .packed import NOTHING, Data

Scalings = Scaling | tuple[Scaling, ...] | None  # one of all networks, or one of each


class LaneData(NamedTuple):
    """Samples and targets of networks that train together: each array is shared, or has one part a network.

    X is (n, inputs) or (networks, n, inputs), as uint8, float32 or float64; sparse rows are always shared.
    Targets are (n, outputs) or (networks, n, outputs), of the same types, or labels (n,) or (networks, n).
    """

    X: Samples
    targets: np.ndarray
    divisor: float  # of uint8 samples
    weights: np.ndarray = NOTHING  # of samples, (n,) or (networks, n), float64, or none
    inputs: Scalings = None  # of the samples
    outputs: Scalings = None  # of the targets, and so of what the networks answer

    @property
    def has_own_samples(self) -> bool:
        """Tells whether each network has samples of its own."""
        return len(self.X.shape) == 3

    @property
    def has_own_targets(self) -> bool:
        """Tells whether each network has targets of its own."""
        return self.targets.ndim == (2 if self.targets.dtype == np.int64 else 3)

    @property
    def has_own_scalings(self) -> bool:
        """Tells whether each network has a scaling of its samples of its own."""
        return self.inputs is not None and not isinstance(self.inputs, Scaling)

    def of(self, i: int) -> Data:
        """The data of network `i`, without copies."""
        X = self.X
        return Data(
            X[i] if isinstance(X, np.ndarray) and X.ndim == 3 else X,
            self.targets[i] if self.has_own_targets else self.targets,
            self.divisor,
            self.weights[i] if self.weights.ndim == 2 else self.weights,
            *(part if part is None or isinstance(part, Scaling) else part[i] for part in self[4:]),
        )


def joined_data(parts: Sequence[Data]) -> LaneData:
    """The data of networks that train together; what is one object in all of their parts is shared."""

    def joined(name: str) -> Any:
        arrays = [getattr(part, name) for part in parts]
        return arrays[0] if all(array is arrays[0] for array in arrays) else np.stack(arrays)

    def scalings(name: str) -> Scalings:
        each = tuple(getattr(part, name) for part in parts)
        return each[0] if all(scaling is each[0] for scaling in each) else each

    types = {part.X.dtype for part in parts}
    if len(types) > 1 and np.dtype(np.uint8) in types and parts[0].divisor != 1:
        raise ValueError(
            "X: expected uint8 of every network or of none, where networks divide pixels, got "
            f"{', '.join(sorted(map(str, types)))}; give X as an array of one type"
        )
    arrays = joined("X"), joined("targets"), parts[0].divisor, joined("weights")
    return LaneData(*arrays, scalings("inputs"), scalings("outputs"))


class LaneSpec(NamedTuple):
    """How networks that train together step, each with its own numbers."""

    optimizer: str | int = FUSED  # the row of all
    clip_norms: np.ndarray = NOTHING  # (networks,) float64, 0 for none
    keys: np.ndarray = NOTHING  # of dropout's masks, (networks,) uint64
    dropout: np.ndarray = NOTHING  # rates (networks, hidden layers), float64
