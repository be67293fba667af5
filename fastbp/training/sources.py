"""Sources of samples: the protocol by which `Run` reads them, and the source for arrays."""

import copy
import zlib
from collections.abc import Generator, Sequence
from typing import Any, Protocol

import numpy as np

from ..data import frames
from ..data.pixels import scale_of, warn_of_bytes, warn_of_undivided_targets
from ..data.scaling import Moments, Scaling, of_pairs
from ..data.schema import Schema
from ..data.sparse import Samples, dense
from ..data.targets import Targets
from ..data.validation import checked_split
from ..engine.kernels import shuffle as orders
from ..engine.packed import Data
from ..options import checks, random_streams
from ..options.network import Options
from .evaluation import held_out
from .plan import Plan

_ROWS_AT_ONCE = 1 << 10  # rows that are copied to learn a scaling
_COMPARED = 1000  # samples of which a checkpoint keeps the checksum


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

    def orders(self, epoch: int, count: int) -> np.ndarray | None:
        """The orders (count, samples) of that and the next epochs; None unless they are known beforehand."""


def order_of(n: int, shuffle: bool, key: int | None) -> np.ndarray:
    """The order of n samples: by the key, or without one by NumPy's global generator, as in the book."""
    if not shuffle:
        return np.arange(n, dtype=np.int64)
    if key is None:
        drawn = np.random.permutation(n)  # noqa: NPY002  the global generator
        return drawn.astype(np.int64, copy=False)  # of 32 bits on Windows
    order = np.empty(n, np.int64)
    orders.permute(None)(np.uint64(key), order)
    return order


class CheckedArrays:
    """Samples and targets in arrays, checked and converted for networks that read them alike.

    Attributes
    ----------
    schema : Schema
        As of `Source`, but for scalings.
    rows : ndarray
        The numbers of all rows.
    samples, quotients : ndarray or SparseRows
        The samples, and the same divided by the network's `input_divisor`.
    targets : Targets
    weights : ndarray
        The weights of the samples (n,), or none.
    validation_split : float
        As of `Source`.
    """

    def __init__(
        self, schema: Schema, X: Any, y: Any, plan: Plan, checked: "CheckedArrays | None" = None
    ) -> None:
        """Checks X and y, unless they are the same objects as in `checked` arrays for such a network."""
        options, learnt = schema.options, schema.learnt
        self.samples: Samples
        self.quotients: Samples
        self.targets: Targets
        self._X, self._y = X, y
        feature_names = frames.feature_names(X)
        if checked is not None and X is checked._X:
            frames.same_features("X", feature_names, learnt.feature_names)
            samples = self.samples = checked.samples
        else:
            samples = self.samples = schema.samples(X, learns=True)
            checks.count("rows of X", len(samples))
        self.validation_split = checked_split(plan.validation_split, plan.validation_data, len(samples))
        if checked is not None and y is checked._y and len(samples) == len(checked.samples):
            targets = self.targets = checked.targets
        else:
            targets = self.targets = schema.targets(y, len(samples))
        schema = schema.trained_on(targets, plan.class_weight)
        self.weights = schema.weights(targets, plan.sample_weight)
        counted = None if plan.sample_weight is None else np.asarray(plan.sample_weight) > 0
        some = counted is not None and counted.any() and not counted.all()
        self._counted = counted if some else None
        self.schema = schema.learning(
            scale=scale_of(samples, options), feature_names=feature_names or learnt.feature_names
        )
        self.rows = np.arange(len(samples), dtype=np.int64)
        self._of_seed: dict[Any, tuple[np.ndarray | None, np.ndarray | None]] = {}
        self._of_all_rows: tuple[Scaling | None, Scaling | None] | None = None
        if checked is not None and samples is checked.samples:
            self.quotients = checked.quotients
            return
        warn_of_bytes("X", samples, options, learnt.scale)
        warn_of_undivided_targets(targets.array, samples, options)
        self.quotients = schema.divided(samples)

    def split(self, seed: int | None) -> tuple[np.ndarray | None, np.ndarray | None]:
        """The rows that are trained on and those that are held out; None, None without a validation split."""
        if not self.validation_split:
            return None, None
        if seed not in self._of_seed:
            self._of_seed[seed] = held_out(self.targets, self.validation_split, seed)
        return self._of_seed[seed]

    def scalings(self, schema: Schema, rows: np.ndarray | None) -> tuple[Scaling | None, Scaling | None]:
        """The scalings of inputs and outputs, learnt from those rows unless an earlier `fit` did.

        A row whose sample weight is 0 does not count, unless all are.
        """
        if self._counted is not None and rows is not None:
            rows = rows[self._counted[rows]]
        if rows is not None or schema.learnt.input_scaling or schema.learnt.output_scaling:
            return _learn_scalings(schema, self.samples, self.targets.array, rows)
        if self._of_all_rows is None:
            rows = None if self._counted is None else np.flatnonzero(self._counted)
            self._of_all_rows = _learn_scalings(schema, self.samples, self.targets.array, rows)
        return self._of_all_rows


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

    def __init__(self, schema: Schema, arrays: CheckedArrays, plan: Plan) -> None:
        """Reads arrays that were checked for a network of that `schema`, or of one that reads them alike."""
        options, seed = schema.options, plan.seed(schema.options)
        self.validation_split = arrays.validation_split
        trained, self.held_out = arrays.split(seed)
        inputs, outputs = arrays.scalings(schema, trained)
        self.schema = arrays.schema._replace(options=options).learning(
            input_scaling=inputs, output_scaling=outputs
        )
        targets, divisor = arrays.targets.array, options.bytes_divisor
        self.data = Data(arrays.quotients, targets, divisor, arrays.weights, inputs, outputs)
        self._trained, self._shuffle = trained, plan.shuffle
        self.rows = arrays.rows if trained is None else trained
        self.samples = self.segment_rows = len(self.rows)
        self.seen = self.data, self.rows
        self._key = None if seed is None else random_streams.key(seed, "order")

    def within(self, X: Samples, rows: np.ndarray) -> "ArraySource":
        """The same samples as those `rows` of a larger X, so that others can share it."""
        source, data = copy.copy(self), self.data
        targets = np.zeros((len(X), *data.targets.shape[1:]), data.targets.dtype)
        targets[rows] = data.targets
        weights = np.zeros(len(X)) if data.weights.size else data.weights
        if weights.size:
            weights[rows] = data.weights
        source.data = data._replace(X=X, targets=targets, weights=weights)
        source.rows = source._trained = rows[self.rows]
        source.held_out = None if self.held_out is None else rows[self.held_out]
        source.seen = source.data, source.rows
        return source

    def arguments(self) -> dict[str, Any]:
        """Facts about the samples that a resumed training must share."""
        X = self.data.X
        some = np.linspace(0, len(X) - 1, min(len(X), _COMPARED)).astype(np.int64).tolist()
        return {
            "samples": self.samples,
            "type of X": str(X.dtype),
            "first sample (CRC)": _crc_of(X, [0]),
            "some samples (CRC)": _crc_of(X, some),
            "y and weights (CRC)": zlib.crc32(self.data.weights.data, zlib.crc32(self.data.targets.data)),
        }

    def segments(self, epoch: int, first: int = 0) -> Generator[tuple[Data, np.ndarray]]:
        """The epoch's one segment; nothing if training resumes after it."""
        if not first:
            order = order_of(self.samples, self._shuffle, self.order_key(epoch))
            yield self.data, order if self._trained is None else self._trained[order]

    def orders(self, epoch: int, count: int) -> np.ndarray | None:
        """The orders (count, samples) of that and the next epochs; None if they are drawn as epochs begin."""
        if self._key is None and self._shuffle:
            return None
        orders = np.stack(
            [order_of(self.samples, self._shuffle, self.order_key(epoch + i)) for i in range(count)]
        )
        return orders if self._trained is None else self._trained[orders]

    def order_key(self, epoch: int) -> int | None:
        """The key of an epoch's order; None without a seed."""
        return None if self._key is None else random_streams.word(self._key, epoch)


def _crc_of(samples: Samples, rows: Sequence[int]) -> int:
    """The checksum of some rows, one after the other, for wide sparse rows take much room when dense."""
    crc = 0
    for row in rows:
        crc = zlib.crc32(np.ascontiguousarray(dense(samples[row : row + 1])).data, crc)
    return crc


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
        outputs = of_pairs(outputs) if schema.is_paired else outputs
    return inputs, outputs


def _scaling_of(array: Samples, options: Options, rows: np.ndarray | None, name: str) -> Scaling:
    moments = Moments(array.shape[1])
    for first in range(0, len(array if rows is None else rows), _ROWS_AT_ONCE):
        piece = slice(first, first + _ROWS_AT_ONCE)
        moments.add(array[piece if rows is None else rows[piece]], options.bytes_divisor, options.dtype)
    return moments.scaling(name)
