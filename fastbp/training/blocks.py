"""Samples from an iterable of blocks: a thread reads them into two pools, in which they are shuffled.

So training and reading overlap in bounded memory.  A full pool holds whole batches; the rest of a block goes
to the next pool.
"""

import contextlib
import queue
import threading
import zlib
from collections.abc import Generator, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..data import frames, labels, streams
from ..data.arrays import warn
from ..data.labels import hashable
from ..data.pixels import scale_of, warn_of_bytes
from ..data.scaling import Moments, of_pairs
from ..data.schema import Schema
from ..data.sparse import Samples, dense
from ..data.targets import Targets
from ..engine.packed import NOTHING, Data
from ..options import checks, random_streams
from .plan import Plan
from .sources import order_of

_PIECE = 1 << 18  # numbers that are checked and copied at once, so that they stay in cache
_PATIENCE = 1.0  # seconds for which the end of a pass waits for a block that is being read
_POLL = 0.1  # seconds between checks for signals, on systems where a lock cannot be interrupted


class _Rows(NamedTuple):
    """Checked rows of a block, or a pool's arrays for them."""

    X: np.ndarray
    targets: np.ndarray
    weights: np.ndarray  # empty where all weigh the same

    def first(self, count: int) -> "_Rows":
        return _Rows(*(array[:count] for array in self))


class _Block(NamedTuple):
    name: str  # the prefix of its arrays' names in messages
    X: Samples
    y: np.ndarray


class Blocks:
    """The samples of an epoch, block by block; its segments are pools.

    Attributes
    ----------
    samples : int or None
        The number of samples of an epoch, once they have been counted.
    schema : Schema
        How rows are read, with what is known about them.
    data : Data
        The first rows.
    seen : (Data, order)
        The last pool, from which `diagnosis` explains a failure.
    """

    samples: int | None = None
    validation_split = 0.0

    def __init__(self, schema: Schema, blocks: Any, plan: Plan) -> None:
        self._begin, self._again = streams.blocks(blocks, plan.epochs)
        self.schema, self._plan = schema, plan
        self._buffer_bytes = checks.count("buffer_bytes", plan.buffer_bytes)
        self._dtype: np.dtype | None = None  # of the first samples
        self._opened: tuple[_Block, Generator[_Block]] | None = None  # the first block and its pass

    def learn(self, counts: bool) -> None:
        """Reads the first block, and all of them where their number, labels or a scaling must be known."""
        options, learnt = self.schema.options, self.schema.learnt
        block = self._first_block()
        learns_labels = learnt.classes is None and labels.must_be_learnt(block.y, self.schema.columns)
        if not learns_labels:
            self.schema = self.schema.trained_on(self._targets(block), self._plan.class_weight)
        learns = [
            options.scale_inputs and learnt.input_scaling is None,
            options.scale_outputs and learnt.output_scaling is None,
        ]
        if counts or learns_labels or any(learns):
            what = "a schedule's end" if counts else "the labels" if learns_labels else "the scaling"
            streams.passes_again(self._again, what)
            self._survey(learns_labels, learns)
            block = self._first_block()
        rows = next(self._rows_of(block))
        samples = self.schema.samples(block.X[: len(rows.X)], block.name)
        warn_of_bytes(block.name + "X", samples, options, learnt.scale)
        self.schema = self.schema.learning(scale=scale_of(samples, options))
        scalings = self.schema.scalings()
        self.data = Data(rows.X.copy(), rows.targets.copy(), options.bytes_divisor, rows.weights, *scalings)
        self.seen = self.data, np.arange(len(rows.X), dtype=np.int64)
        self._make_pools(rows)

    def arguments(self) -> dict[str, Any]:
        """Facts about the samples that a resumed training must share."""
        weights = self.schema.class_weights
        return {
            "samples": "blocks",
            "type of X": str(self.data.X.dtype),
            "buffer_bytes": self._buffer_bytes,
            "y and weights (CRC)": 0 if weights is None else zlib.crc32(weights.data),
        }

    def close(self) -> None:
        """Closes the pass that read the first block, if no other has continued it."""
        if self._opened:
            self._opened[1].close()

    @property
    def segment_rows(self) -> int:
        """Rows of a full pool."""
        return self._pool_rows

    def orders(self, epoch: int, count: int) -> None:
        """Nothing, as the order of blocks is drawn as they are read."""

    def segments(self, epoch: int, first: int = 0) -> Generator[tuple[Data, np.ndarray]]:
        segment = max(0, first - 1)  # also reads the segment before, which is `seen` if no other follows
        samples = segment * self._pool_rows
        seed = self._plan.seed(self.schema.options)
        key = None if seed is None else random_streams.key(seed, "order", epoch)
        reader = _Reader(self._pieces(samples), self._pools)
        try:
            reader.begin()
            while filled := reader.filled():
                pool, count = filled
                rows = pool.first(count)
                data = self.data._replace(X=rows.X, targets=rows.targets, weights=rows.weights)
                self.seen = data, np.arange(count, dtype=np.int64)
                if segment >= first:
                    word = None if key is None else random_streams.word(key, segment)
                    yield data, order_of(count, self._plan.shuffle, word)
                reader.give_back(pool)
                samples, segment = samples + count, segment + 1
            streams.some_samples(samples)
            self.samples = samples
        finally:
            reader.end()

    def _make_pools(self, rows: _Rows) -> None:
        """Allocates two pools, in the dtype that the network trains in or that its scaling needs."""
        options = self.schema.options
        dtype = np.dtype(np.float64) if options.scale_inputs else options.dtype
        row = rows._replace(X=rows.X if rows.X.dtype == np.uint8 else rows.X.astype(dtype)).first(1)
        size = sum(array.nbytes for array in row) + np.dtype(np.int64).itemsize  # and its index in the order
        most = self._buffer_bytes // (2 * size)
        self._pool_rows = streams.pool_rows(most, self._plan.batch_size, 2 * size)
        self._pools = [
            _Rows(*(np.empty((len(array) * self._pool_rows, *array.shape[1:]), array.dtype) for array in row))
            for _ in range(2)
        ]

    def _survey(self, learns_labels: bool, learns: list[bool]) -> None:
        """Passes over all blocks: counts samples, and learns labels and scalings that are not known yet."""
        options, columns = self.schema.options, (self.schema.inputs, self.schema.columns)
        moments = [Moments(n) if is_learnt else None for n, is_learnt in zip(columns, learns, strict=True)]
        distinct: dict[Any, None] = {}
        self.samples = 0
        for block in self._pass():
            self.samples += len(block.X)
            if learns_labels:
                distinct.update(dict.fromkeys(hashable(labels.listed(block.y), block.name + "y")))
            for rows in self._rows_of(block, checks_targets=not learns_labels) if any(learns) else ():
                if moments[0]:
                    moments[0].add(rows.X, options.bytes_divisor, options.dtype)
                if moments[1] and not learns_labels:
                    moments[1].add(rows.targets)
        if learns_labels:
            y = labels.as_array(tuple(distinct))
            targets = self.schema.targets(y, len(y))
            self.schema = self.schema.trained_on(targets, self._plan.class_weight)
        for field, name, one in zip(("input_scaling", "output_scaling"), ("X", "y"), moments, strict=True):
            if one:
                scaling = one.scaling(name)
                scaling = of_pairs(scaling) if name == "y" and self.schema.is_paired else scaling
                self.schema = self.schema.learning(**{field: scaling})

    def _first_block(self) -> _Block:
        """Reads the first block that has rows; the next pass continues from it."""
        blocks = self._blocks()
        block = next(blocks, None)
        streams.some_samples(0 if block is None else len(block.X))
        assert block is not None
        self._opened = block, blocks
        return block

    def _blocks(self) -> Generator[_Block]:
        """The blocks of a new pass that have rows."""
        blocks = self._begin()
        try:
            for number, value in enumerate(blocks):
                block = _Block(f"block {number}: ", *streams.block(f"block {number}", value))
                names, known = frames.feature_names(value[0]), self.schema.learnt.feature_names
                names = frames.same_features(block.name + "X", names, known)
                self.schema = self.schema.learning(feature_names=names)
                if len(block.X):
                    yield block
        finally:
            if hasattr(blocks, "close"):
                blocks.close()

    def _pass(self) -> Generator[_Block]:
        """A pass over blocks that have rows, which begins with the first even where it has been read."""
        opened, self._opened = self._opened, None
        blocks = opened[1] if opened else self._blocks()
        with contextlib.closing(blocks):
            if opened:
                yield opened[0]
                opened = None
            yield from blocks

    def _pieces(self, skipped: int) -> Generator[_Rows]:
        """Checked rows, without the first `skipped`."""
        with contextlib.closing(self._pass()) as blocks:
            for block in blocks:
                count = min(skipped, len(block.X))
                skipped -= count
                yield from self._rows_of(block, count)
        streams.enough_samples(skipped)

    def _rows_of(self, block: _Block, first: int = 0, checks_targets: bool = True) -> Iterator[_Rows]:
        """The checked rows of a block from row `first` on, a piece at a time.

        Without `checks_targets` they have no targets, for a block may lack some of the labels.
        """
        name, X, y = block
        step = max(1, _PIECE // max(1, X[:1].size))
        for begin in range(first, len(X), step):
            end = begin + step
            try:
                rows = self._checked(_Block(name, X[begin:end], y[begin:end]), checks_targets)
            except (TypeError, ValueError):
                self._checked(block, checks_targets)  # raises an error with the row within the block
                raise
            yield rows

    def _checked(self, block: _Block, checks_targets: bool) -> _Rows:
        samples = self.schema.samples(block.X, block.name, learns=True)
        self._dtype = self._dtype or samples.dtype
        streams.same_kind(block.name + "X", samples.dtype, self._dtype)
        samples = dense(self.schema.divided(samples))
        if not checks_targets:
            return _Rows(samples, NOTHING, NOTHING)
        targets = self._targets(block)
        return _Rows(samples, targets.array, self.schema.weights(targets, None))

    def _targets(self, block: _Block) -> Targets:
        return self.schema.targets(block.y, len(block.X), block.name + "y")


class _Reader:
    """A thread that fills pools with rows, in their order, and queues of full and of free pools.

    Results do not depend on timing.  If no thread can be started, the caller that needs the next pool fills
    it itself.
    """

    def __init__(self, pieces: Generator[_Rows], pools: list[_Rows]) -> None:
        self._pools = self._fill(pieces)  # full ones
        self._free: queue.SimpleQueue[_Rows | None] = queue.SimpleQueue()
        self._filled: queue.SimpleQueue[tuple[_Rows, int] | BaseException | None] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._unowned = threading.Lock()  # acquired once, by the thread that fills the pools
        self._is_alone = False
        self._thread = threading.Thread(target=self._run, name="fastbp blocks", daemon=True)
        for pool in pools:
            self._free.put(pool)

    def begin(self) -> None:
        try:
            self._thread.start()
        except RuntimeError as error:
            if type(error) is not RuntimeError or not self._unowned.acquire(blocking=False):
                raise  # a signal handler raised it
            self._is_alone = True
            warn(
                f"fit: cannot start a thread to read blocks ({error}); they are read between training steps: "
                "slower, same bits"
            )

    def filled(self) -> tuple[_Rows, int] | None:
        """The next pool and how many rows it holds, None after the last."""
        if self._is_alone:
            return next(self._pools, None)
        while True:
            try:
                item = self._filled.get(timeout=_POLL)
            except queue.Empty:
                continue
            if isinstance(item, BaseException):
                raise item
            return item

    def give_back(self, pool: _Rows) -> None:
        self._free.put(pool)

    def end(self) -> None:
        """Ends the thread; if it waits for a block, it ends once that block has come."""
        self._ended.set()
        self._free.put(None)
        if self._is_alone:
            self._pools.close()
        elif self._thread.is_alive():
            self._thread.join(_PATIENCE)

    def _run(self) -> None:
        if not self._unowned.acquire(blocking=False):
            return
        try:
            for filled in self._pools:
                self._filled.put(filled)
            self._filled.put(None)
        except BaseException as error:  # which `filled` raises in the main thread
            self._filled.put(error)

    def _fill(self, pieces: Generator[_Rows]) -> Generator[tuple[_Rows, int]]:
        """Full pools with their row counts, until all rows are read or the reader is ended."""
        pool: _Rows | None = None
        count = 0
        with contextlib.closing(pieces):
            for piece in pieces:
                copied = 0
                while copied < len(piece.X):
                    if pool is None:
                        pool, count = self._free.get(), 0
                    if pool is None or self._ended.is_set():
                        return
                    more = min(len(pool.X) - count, len(piece.X) - copied)
                    for room, rows in zip(pool, piece, strict=True):
                        room[count : count + more] = rows[copied : copied + more]
                    count, copied = count + more, copied + more
                    if count == len(pool.X):
                        yield pool, count
                        pool = None
            if pool is not None:
                yield pool, count
