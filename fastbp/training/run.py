"""A training in progress: its epochs, history and divergence, and the base class of callbacks."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np

from ..data.arrays import are_finite
from ..engine.architecture import Parameters, Parts, Progress, State, changed
from ..engine.attributes import assign, surely
from ..engine.chunks import Chunks, DivergenceError
from ..engine.numpy_engine import MethodsEngine
from ..engine.replaced import repack
from ..files import resuming
from ..options import checks
from ..options.step_numbers import StepNumbers
from . import diagnosis
from .history import History
from .plan import Plan
from .sources import Source

CallbackState = dict[str, Any]  # JSON values and lists of arrays


@dataclass
class Position:
    """The position of a training in its epochs, without the weights.

    A position is never changed but replaced, by one assignment, because an exception may come between any two
    bytecodes.  Within a segment the kernels advance ``losses[0]`` and ``samples_done`` together with the
    weights.
    """

    step: int  # the network's step at which the segment begins
    losses: np.ndarray  # losses[0] is the sum of the costs of the epoch so far
    samples_done: np.ndarray  # samples_done[0] of the segment's samples have been trained on
    epoch: int = 0  # epochs of this `fit` that have ended
    drawn: int = 0  # epochs of this `fit` whose orders have been drawn
    segment: int = 0  # segments of the epoch that have ended
    before: int = 0  # samples in those segments
    seconds: float = 0.0  # that the epoch took in an earlier process, which was interrupted
    generator: Any = None  # the state of NumPy's global generator before the segment's order is drawn
    factor: float = 1.0  # `Run.rate_factor`
    notes: int = 0  # the number of notes in the history
    stopped: bool = False  # whether a callback has ended the training
    begun: bool = False  # whether `on_epoch_begin` has been called in the epoch
    step_hooks_done: int = 0  # samples of the segment when the hooks of a step were last called
    states: tuple[CallbackState, ...] = ()  # the states of the callbacks


class Callback:
    """The base of callbacks: hooks that do nothing, each of which gets the `Run`.

    A subclass overrides those that it needs.  ``run.network`` has the present weights, which a hook may
    change, and ``run.stop()`` ends the training.

    Attributes
    ----------
    every : int
        `on_step` is called after every so many steps of the network, and never where it is 0.
    monitor : str or None
        A name of the history that the callback reads; `fit` refuses one that the history will not have.

    Examples
    --------
    >>> class Decay(Callback):
    ...     def on_epoch_end(self, run):
    ...         run.rate_factor *= 0.9
    """

    every: int = 0
    monitor: str | None = None
    keeps_position: bool = False  # whether a checkpoint of it needs the state of NumPy's generator

    def on_train_begin(self, run: "Run") -> None:
        """Called before the first epoch; a callback that is used again resets itself here."""

    def on_train_end(self, run: "Run") -> None:
        """Called after the last epoch, but not after an exception."""

    def on_epoch_begin(self, run: "Run") -> None:
        """Called before an epoch."""

    def on_epoch_end(self, run: "Run") -> None:
        """Called when the history has the epoch's numbers."""

    def on_step(self, run: "Run") -> None:
        """Called after every `every` steps."""

    def on_chunk(self, run: "Run") -> None:
        """Called about twenty times a second, sometimes within a batch."""

    def on_boundary(self, run: "Run") -> None:
        """Called after the other hooks, where training may be resumed later: between batches and epochs.

        A checkpoint of this moment has the state from before these hooks.
        """

    def on_interrupt(self, run: "Run", error: BaseException) -> None:
        """Called when an exception ends the training."""

    def state(self) -> CallbackState:
        """The state that a checkpoint keeps of the callback: JSON values and lists of arrays."""
        return {}

    def restore(self, state: CallbackState) -> None:
        """Restores what `state` returned; called after `on_train_begin`."""


def store(
    net: Any,
    before: Progress,
    parameters: Parameters,
    optimizer_state: dict[str, Parameters],
    epochs: int,
    batches: int,
) -> None:
    """Writes trained weights and state to a network, after so many epochs of a training and steps in all.

    `before` is the network's progress before the training.
    """
    state: State = net._fastbp
    progress = changed(
        before,
        epochs=before.epochs + epochs,
        batches=batches,
        optimizer_state=optimizer_state,
        masks=state.progress.masks,
    )
    assign(net, *parameters, _fastbp=changed(state, progress=progress))


_IN_USE: dict[int, object] = {}  # the fit that uses a callback, by its id


@contextlib.contextmanager
def alone(callbacks: Sequence[Callback]) -> Iterator[None]:
    """Refuses callbacks whose state another `fit`, of another thread or of a hook, keeps up to date."""
    of_state = [callback for callback in callbacks if type(callback).state is not Callback.state]
    fit = object()

    def release() -> None:
        for callback in of_state:
            if _IN_USE.get(id(callback)) is fit:
                del _IN_USE[id(callback)]

    try:
        for callback in of_state:
            if _IN_USE.setdefault(id(callback), fit) is not fit:
                raise ValueError(
                    "callbacks: expected one that no other fit is using, got "
                    f"{type(callback).__name__} that is in use; make one for each network"
                )
        yield
    finally:
        surely(release)


def interrupt(callbacks: Sequence[Callback], run: Any, error: BaseException) -> None:
    """Calls `on_interrupt` of all callbacks, of which any may raise."""
    with contextlib.ExitStack() as each:
        for callback in reversed(callbacks):
            each.callback(callback.on_interrupt, run, error)


class Run:
    """A `fit` in progress, as the hooks of a `Callback` get it.

    Attributes
    ----------
    history : History
        The history of the epochs that have ended.
    epochs : int
        The number of epochs that `fit` was called with.
    """

    def __init__(
        self,
        net: Any,
        chunks: Chunks,
        numbers: StepNumbers,
        source: Source,
        plan: Plan,
        scores: Callable[[], dict[str, float]],
        arguments: dict[str, Any],
    ) -> None:
        self.history, self.epochs = History(), plan.epochs
        self.arguments = arguments  # the arguments that a resumed training must share
        self.progress_before: Progress = net._fastbp.progress  # before this `fit`
        self._net, self._engine, self._chunks, self._numbers = net, chunks.engine, chunks, numbers
        self._source, self._scores = source, scores
        self._callbacks: tuple[Callback, ...] = plan.callbacks
        self._is_kept = any(callback.keeps_position for callback in self._callbacks)
        self._one_epoch_at_a_time = bool(
            plan.callbacks or plan.metrics or plan.validation_split or plan.validation_data is not None
        )  # as each of these reads the network after an epoch
        self._short_steps = 0  # steps of an epoch, once chunks have held several epochs; else 0
        self._lent = False  # whether hooks may have changed the network's weights
        self._stopped = False
        self._resumed_from = ""  # a checkpoint's path
        self._since = 0.0  # when the present epoch began
        self._between = (0, 0.0)  # samples and cost at the last end of a chunk that lay between two batches
        self.position = Position(chunks.step, *self._zeros())
        for callback in self._callbacks:
            checks.count(f"{type(callback).__name__}.every", callback.every, 0)
        chunks.pauses = tuple(callback.every for callback in self._callbacks if callback.every)

    # The interface for hooks

    @property
    def network(self) -> Any:
        """The network with its present weights, which a hook may change."""
        if not self._lent:
            self.keep()
            self._lent = True
        return self._net

    @property
    def epoch(self) -> int:
        """The number of the present epoch of this `fit`, from 0."""
        return self.position.epoch

    @property
    def step(self) -> int:
        """The number of steps that the network has made, in earlier calls of `fit` as well."""
        return self._chunks.step

    @property
    def samples(self) -> int | None:
        """The number of samples of an epoch; None in the first epoch over blocks, which counts them."""
        return self._source.samples

    @property
    def done(self) -> int:
        """The number of samples of the present epoch that have been trained on."""
        return self.position.before + int(self.position.samples_done[0])

    @property
    def seconds(self) -> float:
        """Seconds that the present epoch has taken so far."""
        return time.perf_counter() - self._since if self.done else 0.0

    @property
    def loss(self) -> float:
        """The mean cost of the present epoch so far."""
        return float(self.position.losses[0]) / max(1, self.done)

    @property
    def learning_rate(self) -> float:
        """Learning rate of the last step, or the initial one before the first."""
        step = self.step
        made = step > self.progress_before.batches
        return self._numbers.rate(step - 1) if made else self._numbers.recipe.rate

    @property
    def rate_factor(self) -> float:
        """Factor of the schedule's learning rates from the next step on.  May be set."""
        return self._numbers.factor

    @rate_factor.setter
    def rate_factor(self, factor: float) -> None:
        self._numbers.factor = checks.nonnegative("rate_factor", factor)

    @property
    def is_over(self) -> bool:
        """True when no epoch will follow."""
        return self._stopped or self.epoch >= self.epochs

    def stop(self, why: str = "") -> None:
        """Ends the training after the present hooks; `why` becomes a note in the history."""
        self._stopped = True
        if why:
            self.history.notes.append(str(why))

    # The training

    def train(self) -> History:
        """Trains from the present position to the last epoch, or until a hook ends it."""
        has_begun = False
        try:
            self._hooks("on_train_begin")
            if self._resumed_from:  # on_train_begin may set it again; the checkpoint's includes that already
                self.rate_factor = self.position.factor
            for callback, state in zip(self._callbacks, self.position.states, strict=False):
                if state:
                    callback.restore(state)
            has_begun = True
            while self.position.epoch < self.epochs and (not self._stopped or self._is_epoch_done):
                if not self._train_short_epochs():
                    self._train_epoch()
            if self._stopped:
                self._mark()
            self._hooks("on_train_end")
        except BaseException as error:
            interrupt(self._callbacks if has_begun else (), self, error)
            raise
        finally:
            surely(self.keep)
        return self.history

    def keep(self) -> None:
        """Writes the trained weights and state to the network, so that a copy of it can continue."""
        learnt = self._engine.unpack(), self._engine.unpack_state()
        step = self._chunks.step
        ended = (step - self.position.step) // self._short_steps if self._short_steps else 0
        drawn = max(self.position.drawn, self.epoch + ended)
        store(self._net, self.progress_before, *learnt, drawn, step)

    def kept(self) -> Any:
        """The network with its trained weights and state, for reading only."""
        if not self._lent:  # else a hook may have changed its weights
            self.keep()
        return self._net

    def resume(self, path: str, history: History, position: Position, rate: float | None) -> None:
        """Begins at the position of the checkpoint `path`; `rate` is the last step's, if it is known."""
        samples_done = int(position.samples_done[0])
        resuming.check_segment(
            path, position.segment, position.before, samples_done, self._source.segment_rows
        )
        self._resumed_from, self.history, self.position = path, history, position
        self._chunks.step, self._stopped = self._step_at(position), position.stopped
        self.rate_factor = position.factor
        self._numbers.forget()
        if rate is not None:
            self._numbers.resume(self.step - 1, rate)
        if position.generator is not None:
            np.random.set_state(position.generator)  # noqa: NPY002

    def between_batches(self) -> tuple[int, float]:
        """Samples done at the segment's last position between batches, and the epoch's cost up to it.

        The present weights are those of that position, also within a batch of several chunks.
        """
        samples_done = int(self.position.samples_done[0])
        if samples_done % self._engine.batch_size == 0 or self._chunks.is_complete:
            return samples_done, float(self.position.losses[0])
        return self._between

    @property
    def callbacks(self) -> list[Callback]:
        """The callbacks of this `fit`, in order."""
        return list(self._callbacks)

    @property
    def is_finite(self) -> bool:
        """True when all of the network's present weights are finite."""
        return are_finite(self._engine.parameters)

    @property
    def _is_epoch_done(self) -> bool:
        """True when all samples of the present epoch have been trained on, which only has to end."""
        return 0 < self.done == self.samples

    def _step_at(self, position: Position) -> int:
        """The network's step at a position between batches."""
        return position.step + -(-int(position.samples_done[0]) // self._engine.batch_size)

    def _zeros(self) -> tuple[np.ndarray, np.ndarray]:
        return self._engine.new_losses(), np.zeros(1, np.int64)

    def _hooks(self, name: str, callbacks: Sequence[Callback] | None = None) -> None:
        """Calls a hook of every callback, and takes over weights that it changed."""
        for callback in self._callbacks if callbacks is None else callbacks:
            getattr(callback, name)(self)
        if self._lent:
            repack(self._net, self._engine)
            self._lent = False

    def _mark(self, **changes: Any) -> None:
        """Records a position that training can resume from."""
        if self._callbacks:
            changes["states"] = tuple(callback.state() for callback in self._callbacks)
            changes["factor"], changes["stopped"] = self.rate_factor, self._stopped
            changes["notes"] = len(self.history.notes)
        self.position = changed(self.position, **changes)

    def _train_epoch(self) -> None:
        """One epoch, or the rest of the one that was interrupted."""
        if self._callbacks and not self.position.begun:
            self._hooks("on_epoch_begin")
            self._mark(begun=True)
            if self._stopped:
                return
        self._since = time.perf_counter() - self.position.seconds
        last = int(self.position.samples_done[0])
        if last > self.position.step_hooks_done and self._call_step_hooks(last) and not self._is_epoch_done:
            return  # an exception had come between the step and its hooks
        undo, step = self._engine.snapshot(), self.step
        whole = self._train_segments()
        seconds = self.seconds
        if not self.is_finite:
            self._raise_divergence("a weight", undo, step)
        if not math.isfinite(self.position.losses[0]):
            self._raise_divergence("the cost")
        if not whole:
            return
        self._add_epoch(self.loss, seconds, self.learning_rate, self._scores())
        self.history.speeds = self._chunks.tuner.speeds
        self.history.notes.extend(self._explained(diverged=False))
        self._hooks("on_epoch_end")
        losses, samples_done = self._zeros()
        self._mark(
            epoch=self.epoch + 1,
            segment=0,
            before=0,
            step=self.step,
            seconds=0.0,
            losses=losses,
            samples_done=samples_done,
            generator=self._drawn_so_far(),
            begun=False,
            step_hooks_done=0,
        )
        self._hooks("on_boundary")

    def _add_epoch(
        self, loss: float, seconds: float, rate: float, scores: Mapping[str, float] = MappingProxyType({})
    ) -> None:
        """Adds the numbers of an epoch that has ended to the history."""
        threads = self._chunks.tuner.size
        self.history.append(
            {"loss": loss, "seconds": seconds, "learning_rate": rate, "threads": threads, **scores}
        )

    def _train_short_epochs(self) -> bool:
        """Trains several whole epochs in one chunk; returns False, and changes nothing, if that cannot be.

        Nothing may look at the network after each of them, and none may diverge.
        """
        count = self._epochs_at_once()
        orders = self._source.orders(self.progress_before.epochs + self.epoch, count) if count > 1 else None
        if orders is None:
            return False
        n, undo, step = orders.shape[1], self._engine.snapshot(), self.step
        since, self._short_steps = time.perf_counter(), self._chunks.steps_of(n)
        costs = self._chunks.pass_over_epochs(orders)
        if not costs.size or not self.is_finite:
            self._engine.restore(undo)
            self._chunks.step, self._one_epoch_at_a_time = step, True
            return False
        seconds = (time.perf_counter() - since) / count
        for cost in costs.tolist():
            step += self._short_steps
            self._add_epoch(cost / n, seconds, self._numbers.rate(step - 1))
        self.history.speeds = self._chunks.tuner.speeds
        self.history.notes.extend(self._explained(diverged=False))
        self._mark(epoch=self.epoch + count, drawn=self.epoch + count, step=step)
        return True

    def _epochs_at_once(self) -> int:
        """The number of epochs until the network is looked at, and for which a chunk has room."""
        samples = self._source.samples
        if self._one_epoch_at_a_time or not samples or not self._numbers.are_known:
            return 0
        most = min(self.epochs - self.epoch, self._chunks.epochs_at_once(samples))
        steps, ended = self.step - self.progress_before.batches, self.history.epochs
        of_each = self._chunks.steps_of(samples)
        dues = (
            count
            for count in range(1, most)
            if diagnosis.is_due(ended + count, self.epochs, steps + count * of_each)
        )
        return next(dues, most)

    def _train_segments(self) -> bool:
        """The epoch from the present position on; False if it was ended early."""
        segments = self._source.segments(self.progress_before.epochs + self.epoch, self.position.segment)
        try:
            while True:
                generator = self._drawn_so_far()
                if (segment := next(segments, None)) is None:
                    return True
                self._chunks.data, order = segment
                at = self.position = changed(self.position, drawn=self.epoch + 1, generator=generator)
                if samples_done := int(at.samples_done[0]):
                    size = self._engine.batch_size
                    resuming.check_rows(self._resumed_from, samples_done, len(order), size)
                self._between = samples_done, float(at.losses[0])
                after = self._after_chunk if self._callbacks else None
                if self._chunks.pass_over(order, at.losses, at.samples_done, after) < len(order):
                    return False
                self.position = changed(
                    self.position,
                    generator=self._drawn_so_far(),
                    step=self.step,
                    segment=at.segment + 1,
                    before=at.before + len(order),
                    samples_done=np.zeros(1, np.int64),
                    step_hooks_done=0,
                )
        finally:
            segments.close()

    def _drawn_so_far(self) -> Any:
        """The state of NumPy's global generator, where a checkpoint may need it."""
        return np.random.get_state() if self._is_kept else None  # noqa: NPY002

    def _after_chunk(self, samples_done: int) -> bool:
        """Calls the hooks after a chunk; returns True to end the training."""
        self._between = self.between_batches()
        self._hooks("on_chunk")
        return self._call_step_hooks(samples_done) if self._between[0] == samples_done else self._stopped

    def _call_step_hooks(self, samples_done: int) -> bool:
        """Calls the hooks after a step; returns True to end the training."""
        step = self.step
        self._hooks("on_step", [c for c in self._callbacks if c.every and step % c.every == 0])
        self._mark(step_hooks_done=samples_done)
        self._hooks("on_boundary")
        return self._stopped

    def _raise_divergence(self, what: str, undo: Any = None, step: int = 0) -> NoReturn:
        """Restores `undo` and its step, if given, and raises a DivergenceError with notes on the cause."""
        done, samples = self.done, self.samples or "many"
        if undo is not None:
            self._engine.restore(undo)
            self._chunks.step = step
        notes = self._explained(diverged=True)
        self.history.notes.extend(notes)
        place = f"epoch {self.epoch + 1}, sample {done} of {samples}"
        parts, rate = Parts(self._engine.architecture, *self._engine.unpack()), self._numbers.recipe.rate
        raise DivergenceError(diagnosis.divergence(parts, place, what, rate, notes))

    def _explained(self, diverged: bool) -> list[str]:
        """New notes on a failure, looked for when training has diverged, once early, and at its end."""
        losses = self.history["loss"]
        looks = diverged or diagnosis.is_due(
            len(losses), self.epochs, self.step - self.progress_before.batches
        )
        if not looks or isinstance(self._engine, MethodsEngine):
            return []
        parts = Parts(self._engine.architecture, *self._engine.unpack())
        rate = self._numbers.recipe.rate
        early = len(losses) < self.epochs
        notes = diagnosis.notes(parts, *self._source.seen, rate, losses, diverged, early)
        return [note for note in notes if note not in self.history.notes]
