"""The samples of a training: the protocol that `Run` reads them by, and samples in arrays."""

import zlib
from collections.abc import Generator
from typing import Any, Protocol

import numpy as np

from ..data import frames
from ..data.pixels import Scale, divided, scale_of, warn_of_bytes, warn_of_undivided_targets
from ..data.scaling import Moments, Scaling
from ..data.schema import Learnt
from ..data.sparse import Samples, dense
from ..data.targets import Targets
from ..data.validation import checked_split
from ..engine import inference
from ..engine.architecture import Architecture
from ..engine.kernels import shuffle as orders
from ..engine.packed import Data
from ..options import random_streams
from ..options.network import Options
from .evaluation import held_out
from .plan import Plan


class Source(Protocol):
    """The samples of each epoch, in segments, and what the network learns from them.

    Attributes
    ----------
    targets : Targets
        The task and the classes, with targets of the first rows at least.
    data : Data
        The first rows at least, and the scalings of all.
    scale : Scale or None
        The scale of the samples before they are divided.
    feature_names : tuple of str or None
        The names of the columns, for frames.
    class_weights : ndarray or None
        The weight of each class.
    validation_split : float
        The share of the samples that is held out.
    seen : (Data, ndarray)
        Data and the rows of it that a failure is explained by.
    """

    targets: Targets
    data: Data
    scale: Scale | None
    feature_names: tuple[str, ...] | None
    class_weights: np.ndarray | None
    validation_split: float
    seen: tuple[Data, np.ndarray]

    @property
    def samples(self) -> int | None:
        """The number of samples of an epoch; None until an epoch has counted them."""

    @property
    def segment_rows(self) -> int:
        """The number of rows of every segment of an epoch but the last, which may have fewer."""

    def arguments(self) -> dict[str, Any]:
        """Facts about the samples that a resumed training must share."""

    def segments(self, epoch: int, first: int = 0) -> Generator[tuple[Data, np.ndarray]]:
        """(data, order) of each segment from the `first` on: rows of data at the order's positions.

        Every segment but the last has whole batches.  `epoch` counts those of the network.  Whatever a pass
        opens is closed when the generator is.
        """


def order_of(n: int, shuffle: bool, key: int | None) -> np.ndarray:
    """The order of n samples: by the key, or without one by NumPy's global generator, as in the book."""
    if not shuffle:
        return np.arange(n)
    if key is None:
        return np.random.permutation(n)  # noqa: NPY002  the global generator
    order = np.empty(n, np.int64)
    orders.permute(None)(np.uint64(key), order)
    return order


class ArraySource:
    """Samples in arrays: every epoch is one segment, in an order of its own.

    Attributes
    ----------
    rows : ndarray
        The rows of the data that are trained on.
    held_out : ndarray or None
        The rows that are held out for validation.
    """

    held_out: np.ndarray | None

    def __init__(self, net: Any, architecture: Architecture, X: Any, y: Any, plan: Plan) -> None:
        options, learnt = net._fastbp.options, net._fastbp.learnt
        samples = inference.samples_of(net, architecture, X, learns=True)
        self.feature_names = frames.same_features("X", frames.feature_names(X), learnt.feature_names)
        split = self.validation_split = checked_split(
            plan.validation_split, plan.validation_data, len(samples)
        )
        targets = inference.targets_of(net, architecture, y, len(samples), task=plan.task)
        self.class_weights = inference.class_weights(targets, architecture, plan.class_weight)
        weights = inference.weights_of(targets, plan.sample_weight, self.class_weights)
        trained, self.held_out = held_out(targets, split, options.seed) if split else (None, None)
        scalings = _scalings(options, learnt, samples, targets.array, trained)
        warn_of_bytes("X", samples, options, learnt.scale)
        warn_of_undivided_targets(targets.array, samples, options)
        quotients = divided(samples, options.input_divisor, options.dtype)
        self.data = Data(quotients, targets.array, options.bytes_divisor, weights, *scalings)
        self.targets, self.scale = targets, scale_of(samples, options)
        self._trained, self._shuffle = trained, plan.shuffle
        self.rows = np.arange(len(samples)) if trained is None else trained
        self.samples = self.segment_rows = len(self.rows)
        self.seen = self.data, self.rows
        self._key = None if options.seed is None else random_streams.key(options.seed, "order")

    def arguments(self) -> dict[str, Any]:
        """Facts about the samples that a resumed training must share."""
        X = self.data.X
        return {
            "samples": self.samples,
            "type of X": str(X.dtype),
            "first sample (CRC)": zlib.crc32(np.ascontiguousarray(dense(X[:1])).tobytes()),
        }

    def segments(self, epoch: int, first: int = 0) -> Generator[tuple[Data, np.ndarray]]:
        """The epoch's one segment, unless it has been passed."""
        if not first:
            key = None if self._key is None else random_streams.word(self._key, epoch)
            order = order_of(self.samples, self._shuffle, key)
            yield self.data, order if self._trained is None else self._trained[order]


def _scalings(
    options: Options, learnt: Learnt, X: Samples, targets: np.ndarray, rows: np.ndarray | None
) -> tuple[Scaling | None, Scaling | None]:
    """The scalings of inputs and outputs, learnt from the trained rows unless an earlier `fit` did."""
    inputs, outputs = learnt.input_scaling, learnt.output_scaling
    if options.scale_inputs and inputs is None:
        inputs = _learnt(X, options, rows, "X")
    if options.scale_outputs and outputs is None:
        outputs = _learnt(targets, options, rows, "y")
    return inputs, outputs


def _learnt(array: Samples, options: Options, rows: np.ndarray | None, name: str) -> Scaling:
    moments = Moments(array.shape[1])
    moments.add(array if rows is None else array[rows], options.bytes_divisor, options.dtype)
    return moments.scaling(name)
