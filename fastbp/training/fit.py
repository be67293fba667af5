"""From the arguments of `fit` to a training: samples, what is held out of them, callbacks, an engine."""

import contextlib
import zlib
from collections.abc import Generator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..data import arrays as data_arrays
from ..data import frames, streams
from ..data.metrics import METRICS
from ..data.scaling import Moments, Scaling
from ..data.sparse import Samples, dense
from ..engine import inference, numpy_engine, user_functions
from ..engine.architecture import Architecture, Parameters, Parts, State, checked, mask_key
from ..engine.chunks import Chunks
from ..engine.kernels.records import FUSED
from ..engine.packed import Data, Descent, Engine
from ..engine.replaced import COMPILED, is_replaced
from ..engine.team_size import ALONE, sizes
from ..files import checks as files_checks
from ..options import checks, random_streams
from ..options.schedules import Schedule
from ..options.step_numbers import Numbers, Recipe
from . import checkpoint, diagnosis
from .blocks import Blocks, order_of
from .callbacks import Function, ModelCheckpoint, ProgressBar
from .evaluation import Evaluation, held_out
from .history import History
from .run import Callback, Run

_FIRST_STEPS = 1000  # by when training should have learnt something
_MANY = 1 << 40  # samples, where no rate depends on how many there are


class Rows:
    """Samples in arrays: every epoch is one segment, in an order of its own."""

    def __init__(self, data: Data, rows: np.ndarray | None, shuffle: bool, seed: int | None) -> None:
        """`rows` are those that are trained on, all of them where it is None."""
        self.data, self._rows = data, rows
        self.samples = self.segment_rows = len(data.X) if rows is None else len(rows)
        self.seen = data, np.arange(self.samples) if rows is None else rows  # by what explains a failure
        self._shuffle = shuffle
        self._key = None if seed is None else random_streams.key(seed, "order")

    def arguments(self) -> dict[str, Any]:
        """What a training that is resumed must share."""
        X = self.data.X
        return {
            "samples": self.samples,
            "type of X": str(X.dtype),
            "first sample (CRC)": zlib.crc32(np.ascontiguousarray(dense(X[:1])).tobytes()),
        }

    def segments(self, epoch: int, first: int = 0) -> Generator[tuple[Data, np.ndarray]]:
        if not first:
            key = None if self._key is None else random_streams.word(self._key, epoch)
            order = order_of(self.samples, self._shuffle, key)
            yield self.data, order if self._rows is None else self._rows[order]


def fit(net: Any, X: Any, y: Any, **arguments: Any) -> History:
    """`Network.fit`; blocks that were opened are closed, whatever happens."""
    with contextlib.ExitStack() as opened:
        return _fit(net, X, y, opened, **arguments)


def _fit(
    net: Any,
    X: Any,
    y: Any,
    opened: contextlib.ExitStack,
    *,
    task: data_arrays.Task | None = None,
    epochs: int,
    batch_size: int,
    recipe: Recipe,
    sample_weight: Any,
    class_weight: Any,
    validation_data: Any,
    validation_split: float,
    metrics: Any,
    shuffle: bool,
    buffer_bytes: int,
    threads: int | str,
    callbacks: Any,
    verbose: bool,
) -> History:
    epochs = checks.count("epochs", epochs, 0)
    batch_size = checks.count("batch_size", batch_size)
    threads = checks.threads_of(threads)
    hooked = _callbacks(callbacks, verbose)
    measures = checks.metrics(metrics, METRICS)
    parts = checked(net)
    architecture = parts.architecture
    state: State = net._fastbp
    if y is None:
        streams.suits_blocks(sample_weight, class_weight, validation_split, measures, validation_data)
        blocks = Blocks(net, architecture, X, epochs, class_weight, batch_size, buffer_bytes, shuffle)
        opened.callback(blocks.close)
        blocks.learn(counts=isinstance(recipe.schedule, Schedule) and recipe.schedule.spans_call)
        given = _Given(blocks, blocks.found, blocks.data, blocks.scale, feature_names=blocks.feature_names)
    else:
        weighing, holding = (sample_weight, class_weight), (validation_split, validation_data)
        given = _given(net, architecture, X, y, task, weighing, holding, shuffle)
        batch_size = min(batch_size, max(1, given.source.samples or 0))
    source, found, data = given.source, given.found, given.data
    data_arrays.same_scale("X", given.scale, state)
    by_class = inference.class_weights(found, architecture, class_weight)
    evaluation = _evaluation(net, architecture, given, measures, validation_data, by_class)
    arguments, saved = {}, None
    if keepers := [callback for callback in hooked if isinstance(callback, ModelCheckpoint)]:
        for keeper in keepers:
            files_checks.plain_labels(keeper.path, found.classes or ())
        arguments = _arguments(recipe, source, batch_size, shuffle, given.split, hooked)
        saved = next(
            (checkpoint.read(keeper.path, arguments, net) for keeper in keepers if keeper.resume), None
        )
    names = given.feature_names
    if saved:
        names = frames.same_features("X", names, saved.network.state.feature_names)
        files_checks.same_targets(saved.path, saved.network.state, found.task, found.classes, given.scale)
        checkpoint.adopt(net, saved)
        parts, state = checked(net), net._fastbp

    goes_on = state.optimizer == recipe.optimizer and _fits(state.memory, parts)
    began = state.began if goes_on else state.batches
    count = _MANY if source.samples is None else source.samples
    end = state.batches + epochs * -(-count // batch_size)
    numbers = Numbers(recipe, began, state.batches, end)
    if end > state.batches:
        numbers(state.batches, 1)  # a schedule that is refused changes nothing
    team = sizes(threads, architecture, batch_size, count)
    engine = _engine(net, parts, recipe, data, batch_size, team.most, state.memory if goes_on else ())
    net._fastbp = replace(
        net._fastbp,
        task=found.task,
        scale=given.scale,
        classes=found.classes,
        feature_names=names,
        input_scaling=data.inputs,
        output_scaling=data.outputs,
        optimizer=recipe.optimizer,
        began=began,
        memory=(),
    )
    run = Run(
        net,
        Chunks(engine, data, numbers, state.batches, team if isinstance(engine, Engine) else ALONE),
        numbers,
        source,
        epochs,
        hooked,
        lambda: evaluation(engine, team.most),
        _Explained(engine, recipe.rate, source),
        arguments,
    )
    if saved:
        checkpoint.resume(run, saved)
    return run.train()


def _scalings(
    state: State, X: Samples, targets: np.ndarray, rows: np.ndarray | None
) -> tuple[Scaling | None, Scaling | None]:
    """Those of inputs and outputs, learnt from the rows that are trained on unless an earlier `fit` did."""
    inputs, outputs = state.input_scaling, state.output_scaling
    if state.scale_inputs and inputs is None:
        inputs = _learnt(X, state, rows, "X")
    if state.scale_outputs and outputs is None:
        outputs = _learnt(targets, state, rows, "y")
    return inputs, outputs


def _learnt(array: Samples, state: State, rows: np.ndarray | None, name: str) -> Scaling:
    moments = Moments(array.shape[1])
    moments.add(array if rows is None else array[rows], state.bytes_divisor, state.dtype)
    return moments.scaling(name)


class _Explained:
    """What can be seen of a failure: where training diverged, once early, and at its end."""

    def __init__(self, engine: Any, rate: float, source: Rows | Blocks) -> None:
        self._engine, self._rate, self._source = engine, rate, source

    def __call__(self, run: Run, diverged: bool) -> list[str]:
        losses = run.history["loss"]
        last = len(losses) == run.epochs
        looks = diverged or (len(losses) > 1 and (last or _is_early(len(losses), run)))
        if not looks or isinstance(self._engine, numpy_engine.MethodsEngine):
            return []
        parts = Parts(self._engine.architecture, *self._engine.unpack())
        found = diagnosis.notes(parts, *self._source.seen, self._rate, losses, diverged, early=not last)
        return [note for note in found if note not in run.history.notes]


def _is_early(epochs: int, run: Run) -> bool:
    """Whether this is the first epoch but one by which so many steps have been made."""
    steps = run.step - run.began.batches
    return steps >= _FIRST_STEPS and (epochs == 2 or steps * (epochs - 1) < _FIRST_STEPS * epochs)


class _Given(NamedTuple):
    """What `fit` is given to train on."""

    source: Rows | Blocks
    found: data_arrays.Targets
    data: Data
    scale: data_arrays.Scale | None  # of the samples before they are divided
    rows: np.ndarray | None = None  # that are trained on, all where it is None
    others: np.ndarray | None = None  # that are held out
    split: float = 0.0  # their share
    feature_names: tuple[str, ...] | None = None


def _given(
    net: Any,
    architecture: Architecture,
    X: Any,
    y: Any,
    task: data_arrays.Task | None,
    weighing: tuple[Any, Any],
    holding: tuple[Any, Any],
    shuffle: bool,
) -> _Given:
    """Of arrays, with weights of samples and of classes, and what is to be held out or is given for it."""
    state: State = net._fastbp
    samples = inference.samples_of(net, architecture, X, learns=True)
    names = frames.same_features("X", frames.feature_names(X), state.feature_names)
    split = data_arrays.held_out(*holding, len(samples))
    found = inference.targets_of(net, architecture, y, len(samples), task=task)
    by_class = inference.class_weights(found, architecture, weighing[1])
    weights = inference.weights_of(found, weighing[0], by_class)
    rows, others = held_out(found, split, state.seed) if split else (None, None)
    scalings = _scalings(state, samples, found.array, rows)
    data_arrays.chosen_divisor("X", samples, state)
    data_arrays.undivided_targets(found.array, samples, state)
    X_divided = data_arrays.divided(samples, state.input_divisor, state.dtype)
    data = Data(X_divided, found.array, state.bytes_divisor, weights, *scalings)
    scale = data_arrays.scale(samples, state)
    return _Given(Rows(data, rows, shuffle, state.seed), found, data, scale, rows, others, split, names)


def _evaluation(
    net: Any,
    architecture: Architecture,
    given: _Given,
    measures: dict[str, Any],
    validation_data: Any,
    by_class: np.ndarray | None,
) -> Evaluation:
    """What is measured after every epoch."""
    found, data, state = given.found, given.data, net._fastbp
    evaluation = Evaluation(measures, found)
    if validation_data is not None:
        X, y, sample_weight = data_arrays.validation_data(validation_data)
        frames.same_features("validation_X", frames.feature_names(X), given.feature_names)
        X, y = inference.scorable(net, architecture, X, y, found.task, "validation_", found.classes)
        data_arrays.same_scale("validation_X", data_arrays.scale(X, state), replace(state, scale=given.scale))
        X = data_arrays.divided(X, state.input_divisor, state.dtype)
        weights = inference.weights_of(y, sample_weight, by_class, "validation_sample_weight")
        evaluation.add("val_", data._replace(X=X, targets=y.array, weights=weights), np.arange(len(X)))
    elif given.others is not None:
        evaluation.add("val_", data, given.others)
    if measures and isinstance(given.source, Rows):
        evaluation.add("", data, np.arange(len(data.X)) if given.rows is None else given.rows)
    return evaluation


def _callbacks(given: Any, verbose: bool) -> list[Callback]:
    found = checks.callbacks(given, Callback)
    hooked = [callback if isinstance(callback, Callback) else Function(callback) for callback in found]
    shows = verbose and not any(isinstance(callback, ProgressBar) for callback in hooked)
    return [ProgressBar(), *hooked] if shows else hooked


def _arguments(
    recipe: Recipe,
    source: Rows | Blocks,
    batch_size: int,
    shuffle: bool,
    split: float,
    callbacks: list[Callback],
) -> dict[str, Any]:
    """What a training that is resumed must share with the one that was interrupted.

    Not the epochs, of which there may be more.
    """
    schedule = recipe.schedule
    return {
        **{name: getattr(recipe, name) for name in ("rate", "l2", "l1", "clip_norm")},
        "optimizer": repr(recipe.optimizer),
        "schedule": getattr(schedule, "__qualname__", repr(schedule)),
        "batch_size": batch_size,
        "shuffle": bool(shuffle),
        "validation_split": split,
        **source.arguments(),
        "callbacks": [type(callback).__name__ for callback in callbacks if callback.state()],
    }


def _fits(memory: tuple[Parameters, ...], parts: Parts) -> bool:
    """Whether an optimizer's state has the shapes of the weights, which a user may have replaced."""
    return all(
        [array.shape for array in arrays] == [array.shape for array in wanted]
        for parameters in memory
        for arrays, wanted in zip(parameters, (parts.weights, parts.biases), strict=True)
    )


def _engine(
    net: Any,
    parts: Parts,
    recipe: Recipe,
    data: Data,
    batch_size: int,
    members: int,
    memory: tuple[Parameters, ...],
) -> Any:
    """Of the kernels, or of NumPy where a user's own functions or methods want that: alike for `Run`."""
    architecture = parts.architecture
    if is_replaced(net, *COMPILED):
        replaced = [name for name in COMPILED if is_replaced(net, name)]
        user_functions.plain_recipe(recipe, architecture, data.weights, replaced)
        return numpy_engine.MethodsEngine(net, *parts, batch_size)
    key = mask_key(net) if architecture.dropout else 0
    row = recipe.optimizer.row
    if not architecture.is_compiled:
        return numpy_engine.Engine(*parts, batch_size, row, recipe.clip_norm, key, memory)
    descent = Descent(FUSED if recipe.is_plain else row, recipe.clip_norm, key)
    return Engine(*parts, batch_size, members, descent, memory, listed=data.is_listed)
