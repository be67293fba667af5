"""`fit`: builds a source of samples, an engine and a `Run` from the plan, and trains."""

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..data import frames, streams
from ..data.pixels import scale_of, warn_of_other_scale
from ..data.schema import Learnt, Schema
from ..data.sparse import Samples
from ..data.validation import checked_validation_data
from ..engine import numpy_engine, user_functions
from ..engine.architecture import Parameters, Parts, Progress, changed, checked, mask_key, schema_of
from ..engine.chunks import Chunks
from ..engine.kernels.records import FUSED
from ..engine.packed import Engine, UpdateSpec
from ..engine.replaced import COMPILED, is_replaced
from ..engine.team_size import ALONE, team_sizes
from ..files import resuming
from ..files.checks import check_labels
from ..options import checks
from ..options.optimizers import state_names
from ..options.schedules import Schedule
from ..options.step_numbers import Recipe, StepNumbers
from . import checkpoint
from .blocks import Blocks
from .callbacks import Function, ModelCheckpoint, ProgressBar
from .evaluation import Evaluation
from .history import History
from .plan import Plan
from .run import Callback, Run, alone
from .sources import ArraySource, CheckedArrays


class Start(NamedTuple):
    """The start of a network's training."""

    numbers: StepNumbers
    optimizer_started_at: int  # the steps before the optimizer's state began
    optimizer_state: dict[str, Parameters]  # of earlier steps; empty where the optimizer starts anew


class Validation(NamedTuple):
    """Validation data, checked and converted for an engine.

    Networks that train together share one object where they can, because `Evaluation.shares` compares
    `targets` and `rows` by identity.
    """

    X: Samples
    targets: np.ndarray
    weights: np.ndarray
    rows: np.ndarray


_MANY = 1 << 40  # samples of an epoch, while their number is unknown and no schedule needs it


def fit(net: Any, X: Any, y: Any, plan: Plan) -> History:
    """Trains the network on arrays, or, without y, on blocks, which are closed even after an exception."""
    parts = checked(net)
    schema = schema_of(net, parts.architecture, plan.task)
    if y is not None:
        source = ArraySource(schema, CheckedArrays(schema, X, y, plan), plan)
        if plan.batch_size > (most := max(1, source.samples)):
            plan = replace(plan, batch_size=most)
        with alone(plan.callbacks):
            return _run(net, parts, source, plan).train()
    streams.suits_blocks(
        plan.sample_weight, plan.class_weight, plan.validation_split, plan.metrics, plan.validation_data
    )
    with alone(plan.callbacks), contextlib.closing(Blocks(schema, X, plan)) as blocks:
        schedule = plan.recipe.schedule
        blocks.learn(counts=isinstance(schedule, Schedule) and schedule.spans_call)
        return _run(net, parts, blocks, plan).train()


def callbacks_of(value: Any, verbose: bool) -> tuple[Callback, ...]:
    """The callbacks of a call of `fit`, with functions wrapped, and a `ProgressBar` where it is `verbose`."""
    callbacks = [
        callback if isinstance(callback, Callback) else Function(callback)
        for callback in checks.callbacks(value, Callback)
    ]
    shows = verbose and not any(isinstance(callback, ProgressBar) for callback in callbacks)
    return (ProgressBar(), *callbacks) if shows else tuple(callbacks)


def _run(net: Any, parts: Parts, source: ArraySource | Blocks, plan: Plan) -> Run:
    """Builds the run and moves the network to its first position; leaves it as it was where that fails."""
    with unchanged_if_it_fails(net):
        return _built_run(net, parts, source, plan)


@contextlib.contextmanager
def unchanged_if_it_fails(*nets: Any) -> Iterator[None]:
    """Gives networks back the attributes that they had before the block, if that raises."""
    kept = [dict(vars(net)) for net in nets]
    try:
        yield
    except BaseException:
        for net, attributes in zip(nets, kept, strict=True):
            net.__dict__ = attributes
        raise


def _built_run(net: Any, parts: Parts, source: ArraySource | Blocks, plan: Plan) -> Run:
    learnt = source.schema.learnt
    warn_of_other_scale("X", learnt.scale, net._fastbp.learnt.scale)
    evaluation = _evaluation(source, plan)
    arguments, saved = _checkpoint(net, source, plan)
    if saved:
        learnt = resumed(saved.path, learnt, saved.network.state.learnt)
        checkpoint.adopt(net, saved)
        parts = checked(net)
    batch_size = plan.batch_size
    samples = _MANY if source.samples is None else source.samples
    progress = net._fastbp.progress
    start = start_of(progress, parts, plan.recipe, plan.epochs * -(-samples // batch_size))
    team = team_sizes(plan.threads, parts.architecture, batch_size, samples, plan.epochs)
    evaluating = 0 if plan.threads == "auto" else team.most  # members; 0 is as many as pay
    engine = _engine(net, parts, source, plan, team.most, start.optimizer_state)
    begin(net, learnt, plan.recipe, start)
    sizes = team if isinstance(engine, Engine) else ALONE
    chunks = Chunks(engine, source.data, start.numbers, progress.batches, sizes)
    run = Run(net, chunks, start.numbers, source, plan, lambda: evaluation(engine, evaluating), arguments)
    if saved:
        checkpoint.resume(run, saved)
    return run


def resumed(path: str, learnt: Learnt, former: Learnt) -> Learnt:
    """What a network learns of X and y, which must be as in the training that the checkpoint is of."""
    names = frames.same_features("X", learnt.feature_names, former.feature_names)
    resuming.check_learnt(path, former, learnt)
    return replace(learnt, feature_names=names, target_names=learnt.target_names or former.target_names)


def start_of(progress: Progress, parts: Parts, recipe: Recipe, steps: int) -> Start:
    """The start of a training of so many steps; an invalid schedule raises, before anything is changed."""
    state = progress.optimizer_state
    is_there = {*state} == {*state_names(recipe.optimizer.row)}
    goes_on = progress.optimizer == recipe.optimizer and is_there and _has_shapes(state, parts)
    started_at = progress.began if goes_on else progress.batches
    numbers = StepNumbers(recipe, started_at, progress.batches, progress.batches + steps)
    if steps:
        numbers(progress.batches, 1)
    return Start(numbers, started_at, state if goes_on else {})


def begin(net: Any, learnt: Learnt, recipe: Recipe, start: Start) -> None:
    """Gives a network the facts about its data, before it trains; all checks have passed."""
    state = net._fastbp
    progress = changed(
        state.progress, optimizer=recipe.optimizer, began=start.optimizer_started_at, optimizer_state={}
    )
    net._fastbp = changed(state, learnt=learnt, progress=progress)


def _evaluation(source: ArraySource | Blocks, plan: Plan) -> Evaluation:
    """The measurements after every epoch: of validation data, and with metrics of the training data."""
    validation = None
    if plan.validation_data is not None:
        validation = validation_of(source.schema, plan)
    return evaluation_of(source, plan, validation)


def validation_of(schema: Schema, plan: Plan) -> Validation:
    """The checked validation data of the plan, for a network that has learnt that `schema`."""
    X, y, sample_weight = checked_validation_data(plan.validation_data)
    samples, targets = schema.pairs(X, y, "validation_")
    warn_of_other_scale("validation_X", scale_of(samples, schema.options), schema.learnt.scale)
    weights = schema.weights(targets, sample_weight, "validation_sample_weight")
    return Validation(
        schema.divided(samples), targets.array, weights, np.arange(len(samples), dtype=np.int64)
    )


def evaluation_of(source: ArraySource | Blocks, plan: Plan, validation: Validation | None) -> Evaluation:
    """The measurements after every epoch, by validation data or by the rows that the source holds out."""
    evaluation = Evaluation(plan.metrics, source.schema)
    if validation is not None:
        X, targets, weights, rows = validation
        evaluation.add("val_", source.data._replace(X=X, targets=targets, weights=weights), rows)
    elif isinstance(source, ArraySource) and source.held_out is not None:
        evaluation.add("val_", source.data, source.held_out)
    if plan.metrics and isinstance(source, ArraySource):
        evaluation.add("", source.data, source.rows)
    for callback in plan.callbacks:
        if callback.monitor is not None:
            checks.monitor(callback.monitor, [*checks.OF_EVERY_HISTORY, *evaluation.names])
    return evaluation


def _checkpoint(
    net: Any, source: ArraySource | Blocks, plan: Plan
) -> tuple[dict[str, Any], checkpoint.Saved | None]:
    """The arguments that checkpoints keep, and the checkpoint to resume from, if there is one."""
    keepers = [callback for callback in plan.callbacks if isinstance(callback, ModelCheckpoint)]
    if not keepers:
        return {}, None
    for keeper in keepers:
        check_labels(keeper.path, source.schema.learnt.classes or ())
    arguments = arguments_of(source, plan)
    paths = (keeper.path for keeper in keepers if keeper.resume)
    return arguments, next((checkpoint.read(path, arguments, net) for path in paths), None)


def arguments_of(source: ArraySource | Blocks, plan: Plan) -> dict[str, Any]:
    """The arguments that a resumed training must share; not its epochs, of which there may be more."""
    recipe = plan.recipe
    return {
        **{name: getattr(recipe, name) for name in ("rate", "l2", "l1", "clip_norm")},
        "optimizer": repr(recipe.optimizer),
        "schedule": _name_of(recipe.schedule),
        "batch_size": plan.batch_size,
        "shuffle": bool(plan.shuffle),
        "validation_split": source.validation_split,
        **({} if plan.data_seed is None else {"data_seed": plan.data_seed}),
        **source.arguments(),
        "callbacks": [type(callback).__name__ for callback in plan.callbacks if callback.state()],
    }


def _name_of(schedule: Any) -> str:
    """A schedule in words that are the same in every process; of a function, its name."""
    if isinstance(schedule, Schedule):
        return repr(schedule)
    if isinstance(schedule, functools.partial):
        arguments = [
            *map(repr, schedule.args),
            *(f"{name}={value!r}" for name, value in schedule.keywords.items()),
        ]
        return f"{_name_of(schedule.func)}({', '.join(arguments)})"
    return str(getattr(schedule, "__qualname__", type(schedule).__qualname__))


def _has_shapes(optimizer_state: dict[str, Parameters], parts: Parts) -> bool:
    """Tells whether an optimizer's state has the shapes of the weights, which a user may have replaced."""
    return all(
        [array.shape for array in kept] == [array.shape for array in arrays]
        for parameters in optimizer_state.values()
        for kept, arrays in zip(parameters, (parts.weights, parts.biases), strict=True)
    )


def _engine(
    net: Any,
    parts: Parts,
    source: ArraySource | Blocks,
    plan: Plan,
    members: int,
    optimizer_state: dict[str, Parameters],
) -> Any:
    """Builds the kernel engine, or the NumPy engine when user code requires it."""
    architecture, data, recipe = parts.architecture, source.data, plan.recipe
    if is_replaced(net, *COMPILED):
        replaced = [name for name in COMPILED if is_replaced(net, name)]
        user_functions.plain_recipe(recipe, architecture, data.weights, replaced)
        return numpy_engine.MethodsEngine(net, *parts, plan.batch_size)
    key = mask_key(net) if architecture.dropout else 0
    row, clip_norm = recipe.optimizer.row, recipe.clip_norm
    if not architecture.is_compiled:
        return numpy_engine.Engine(*parts, plan.batch_size, row, clip_norm, key, optimizer_state)
    update_spec = UpdateSpec(FUSED if recipe.is_plain else row, clip_norm, key)
    return Engine(*parts, plan.batch_size, members, update_spec, optimizer_state, listed=data.is_listed)
