"""A network packed for the kernels, and the calls into them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .architecture import Architecture
from .kernels import step
from .kernels.gather import KINDS, LABELS
from .kernels.math import ACTIVATION_CODES
from .kernels.team import Member, cpus, run
from .kernels.vector import shape_of
from .layout import BLOCK, aligned_zeros, layout

_INFERENCE_ROWS = 96  # of a block in a forward pass: whole tiles, and activations that stay in cache
_SHARED_STEP = 4e6  # flops a step and member from which sharing it pays for the meetings
NO_LOSSES: np.ndarray = np.zeros(0)

Weights = list[np.ndarray]


def team_size(threads: int | str, architecture: Architecture, batch_size: int) -> int:
    """Members for ``threads``: as many as a step keeps busy, or a number; never more than CPUs."""
    if threads == "auto":
        threads = int(architecture.flops() * batch_size / _SHARED_STEP)
    return 1 if int(threads) <= 1 else min(cpus(), int(threads))


class Data(NamedTuple):
    """Samples X (n, inputs) as uint8, float32 or float64; targets (n, outputs) likewise or labels (n,)."""

    X: np.ndarray
    targets: np.ndarray
    divisor: float  # of uint8 samples


def _rows(array: np.ndarray, count: int, divisor: float) -> step.Rows:
    kind = LABELS if array.ndim == 1 else KINDS[array.dtype]
    width = array.itemsize * (1 if array.ndim == 1 else array.shape[1])
    raw = np.asarray(array).view(np.uint8).reshape(len(array), width)
    return step.Rows(raw, count, kind, divisor)


class Engine:
    """Packed weights, and a scratch for batches of at most `batch_size` on a team of `members`."""

    def __init__(
        self,
        architecture: Architecture,
        weights: Sequence[np.ndarray],
        biases: Sequence[np.ndarray],
        batch_size: int = _INFERENCE_ROWS,
        members: int = 1,
    ) -> None:
        self.architecture = architecture
        self.batch_size, self.members = batch_size, members
        sizes, activations, dtype = architecture
        shape = shape_of(dtype)
        codes = tuple(ACTIVATION_CODES[name] for name in activations)
        self._shape = shape.columns, shape.lanes
        self._codes = codes
        self._layout = layout(sizes, codes, batch_size, members, dtype, self._shape)
        self._scratch = aligned_zeros(self._layout.scratch, dtype)
        self.pack(weights, biases)

    def pack(self, weights: Sequence[np.ndarray], biases: Sequence[np.ndarray]) -> None:
        self.parameters = self._layout.pack(weights, biases)

    def unpack(self) -> tuple[Weights, Weights]:
        """New arrays of the weights [(n_out, n_in)] and biases [(n_out, 1)]."""
        return self._layout.unpack(self.parameters)

    def train(
        self,
        data: Data,
        order: np.ndarray,
        positions: tuple[int, int],
        learning_rate: float,
        losses: np.ndarray = NO_LOSSES,
    ) -> int:
        """Descends on the rows order[positions[0]:positions[1]]; returns the position it came to."""
        sizes, _, dtype = self.architecture
        net = step.Net(self.parameters, self._scratch, self._layout.plan)
        X = _rows(data.X, sizes[0], data.divisor)
        Y = _rows(data.targets, sizes[-1], 1.0)
        span = step.Run(*positions, self.batch_size, learning_rate)
        kernel = step.train(dtype)
        reached: list[int] = []

        def work(member: Member, flags: np.ndarray) -> None:
            reached.append(kernel(net, X, Y, order, span, losses, flags, member))

        run(self.members, work)
        return reached[0]

    def new_losses(self) -> np.ndarray:
        """Room for the running cost and one a sample of a block."""
        return np.zeros(1 + min(self.batch_size, BLOCK))

    def outputs(self, X: np.ndarray, divisor: float, members: int = 1) -> np.ndarray:
        """The network's outputs (n, outputs) for samples X (n, inputs)."""
        sizes, _, dtype = self.architecture
        out = np.empty((len(X), sizes[-1]), dtype)
        rows = _rows(X, sizes[0], divisor)
        kernel = step.infer(dtype)
        blocks = -(-len(X) // _INFERENCE_ROWS)
        members = max(1, min(members, blocks))
        plan = layout(sizes, self._codes, _INFERENCE_ROWS, 1, dtype, self._shape)

        def work(member: Member, flags: np.ndarray) -> None:
            first, last = (
                min(len(X), blocks * part // member.size * _INFERENCE_ROWS)
                for part in (member.rank, member.rank + 1)
            )
            net = step.Net(self.parameters, aligned_zeros(plan.scratch, dtype), plan.plan)
            kernel(net, rows, out, first, last)

        run(members, work)
        return out
