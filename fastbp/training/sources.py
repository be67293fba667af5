"""Sources of samples: the protocol by which `Run` reads them, and the source for arrays."""

import zlib
from collections.abc import Generator
from typing import Any, Protocol

import numpy as np

from ..data import frames
from ..data.pixels import scale_of, warn_of_bytes, warn_of_undivided_targets
from ..data.scaling import Moments, Scaling
from ..data.schema import Schema
from ..data.sparse import Samples, dense
from ..data.validation import checked_split
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
    schema : Schema
        How further samples are read; with all that the network has learnt about its data.
    data : Data
        The first rows at least.
    validation_split : float
        The share of the samples that is held out.
    seen : (Data, ndarray)
        Data, and the rows of it from which `diagnosis` explains a failure.
    """

    schema: Schema
    data: Data
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

        Every segment but the last has whole batches.  `epoch` counts the network's epochs, in earlier calls
        of `fit` too.  Closing the generator closes what a pass has opened.
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

    def __init__(self, schema: Schema, X: Any, y: Any, plan: Plan) -> None:
        options, learnt = schema.options, schema.learnt
        samples = schema.samples(X, learns=True)
        split = self.validation_split = checked_split(
            plan.validation_split, plan.validation_data, len(samples)
        )
        targets = schema.targets(y, len(samples))
        schema = schema.trained_on(targets, plan.class_weight)
        weights = schema.weights(targets, plan.sample_weight)
        trained, self.held_out = held_out(targets, split, options.seed) if split else (None, None)
        inputs, outputs = _learn_scalings(schema, samples, targets.array, trained)
        warn_of_bytes("X", samples, options, learnt.scale)
        warn_of_undivided_targets(targets.array, samples, options)
        self.schema = schema.learning(
            scale=scale_of(samples, options),
            feature_names=frames.feature_names(X) or learnt.feature_names,
            input_scaling=inputs,
            output_scaling=outputs,
        )
        quotients = schema.divided(samples)
        self.data = Data(quotients, targets.array, options.bytes_divisor, weights, inputs, outputs)
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
        """The epoch's one segment; nothing if training resumes after it."""
        if not first:
            key = None if self._key is None else random_streams.word(self._key, epoch)
            order = order_of(self.samples, self._shuffle, key)
            yield self.data, order if self._trained is None else self._trained[order]


def _learn_scalings(
    schema: Schema, X: Samples, targets: np.ndarray, rows: np.ndarray | None
) -> tuple[Scaling | None, Scaling | None]:
    """The scalings of inputs and outputs, learnt from the trained rows unless an earlier `fit` did."""
    options, learnt = schema.options, schema.learnt
    inputs, outputs = learnt.input_scaling, learnt.output_scaling
    if options.scale_inputs and inputs is None:
        inputs = _scaling_of(X, options, rows, "X")
    if options.scale_outputs and outputs is None:
        outputs = _scaling_of(targets, options, rows, "y")
    return inputs, outputs


def _scaling_of(array: Samples, options: Options, rows: np.ndarray | None, name: str) -> Scaling:
    moments = Moments(array.shape[1])
    moments.add(array if rows is None else array[rows], options.bytes_divisor, options.dtype)
    return moments.scaling(name)
