"""From the plans of networks that train together to their training."""

import contextlib
import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..data import per_network
from ..data.pixels import warn_of_other_scale
from ..data.validation import checked_validation_data
from ..engine.architecture import checked, schema_of
from ..engine.replaced import COMPILED, is_replaced
from ..engine.team_size import team_sizes_of_many
from ..engine.user_functions import unreplaced
from ..options import checks
from ..options.schedules import SCHEDULES
from . import ensemble_checkpoint
from .callbacks import EarlyStopping, Function, ModelCheckpoint, Monitor, ProgressBar, TimeLimit
from .ensemble_checkpoint import EnsembleCheckpoint
from .ensemble_history import EnsembleHistory
from .ensemble_run import EnsembleRun, Flops
from .evaluation import Evaluation
from .fit import (
    Start,
    arguments_of,
    begin,
    evaluation_of,
    resumed,
    start_of,
    unchanged_if_it_fails,
    validation_of,
)
from .packs import Assignment, Trainee
from .plan import Plan
from .run import Callback, alone
from .sources import ArraySource, CheckedArrays


def fit(ensemble: Any, nets: Sequence[Any], X: Any, y: Any, plans: Sequence[Plan]) -> EnsembleHistory:
    """Trains networks on samples that they share, or on the part of each; nothing changes before a check."""
    sources = _sources(nets, X, y, plans)
    size = min(plans[0].batch_size, max(1, sources[0].samples))
    plans = [replace(plan, batch_size=size) for plan in plans]
    evaluations = _evaluations(nets, sources, plans)
    callbacks, watchers = _sorted(plans[0].callbacks)
    keepers = [callback for callback in callbacks if isinstance(callback, EnsembleCheckpoint)]
    arguments = [arguments_of(*each) for each in zip(sources, plans, strict=True)] if keepers else []
    paths = [keeper.path for keeper in keepers if keeper.resume]
    if paths and plans[0].shuffle:
        _check_seeded(sources)
    saved = next((ensemble_checkpoint.read(path, arguments, nets) for path in paths), None)
    with unchanged_if_it_fails(*nets):
        if saved:
            for network, source in zip(saved.networks, sources, strict=True):
                learnt = resumed(saved.path, source.schema.learnt, network.state.learnt)
                source.schema = source.schema._replace(learnt=learnt)
            ensemble_checkpoint.adopt(nets, saved)
        assignments = [
            Assignment(*each, tuple(map(copy.deepcopy, watchers)))
            for each in zip(nets, sources, plans, evaluations, strict=True)
        ]
        run = run_of(assignments, callbacks, ensemble)
        run.arguments = {"each": arguments}
        if saved:
            ensemble_checkpoint.resume(run, saved)
    with alone(callbacks):
        return run.train()


def run_of(
    assignments: Sequence[Assignment], callbacks: Sequence[Callback] = (), ensemble: Any = None
) -> EnsembleRun:
    """Builds the run of networks whose architectures, batches and optimizers' rows are alike."""
    for one in assignments:
        replaced = [name for name in COMPILED if is_replaced(one.net, name)]
        unreplaced(replaced, "networks that train together", "train each by its own fit")
        warn_of_other_scale("X", one.source.schema.learnt.scale, one.net._fastbp.learnt.scale)
    starts = _starts(assignments)
    trainees = []
    for one, start in zip(assignments, starts, strict=True):
        net = one.net
        begin(net, one.source.schema.learnt, one.plan.recipe, start)
        trainees.append(Trainee(**vars(one), numbers=start.numbers, before=net._fastbp.progress))
        progress = replace(net._fastbp.progress, optimizer_state=start.optimizer_state)
        net._fastbp = replace(net._fastbp, progress=progress)  # from which engines take the state
    plain = [trainee.plan.recipe.is_plain for trainee in trainees]
    groups = [[i for i, it in enumerate(plain) if it is kind] for kind in (True, False)]
    flops = sum(checked(one.net).architecture.flops() for one in assignments)
    first = trainees[0]
    team = team_sizes_of_many(first.plan.threads, Flops(flops), first.source.samples, len(trainees))
    return EnsembleRun(trainees, filter(None, groups), team, flops, callbacks, ensemble)


def assignment(
    net: Any, X: Any, y: Any, plan: Plan, checked_before: CheckedArrays | None = None
) -> tuple[Assignment, CheckedArrays]:
    """A network's assignment, watched by the plan's callbacks, and its arrays, for others to share."""
    schema = schema_of(net, checked(net).architecture, plan.task)
    arrays = CheckedArrays(schema, X, y, plan, checked_before)
    source = ArraySource(schema, arrays, plan)
    plan = replace(plan, batch_size=min(plan.batch_size, max(1, source.samples)))
    return Assignment(net, source, plan, evaluation_of(source, plan, None), plan.callbacks), arrays


def _starts(assignments: Sequence[Assignment]) -> list[Start]:
    """Where each network begins; those that make the same steps share their numbers."""
    starts: list[Start] = []
    known: dict[Any, Any] = {}
    for one in assignments:
        steps = one.plan.epochs * -(-one.source.samples // one.plan.batch_size)
        recipe, progress = one.plan.recipe, one.net._fastbp.progress
        start = start_of(progress, checked(one.net), recipe, steps)
        if all(type(watcher) is EarlyStopping for watcher in one.watchers):  # others may change the rates
            known_formula = type(recipe.schedule) in SCHEDULES.values()
            schedule = recipe.schedule if known_formula else id(recipe.schedule)
            key = (
                *recipe._replace(schedule=schedule),
                start.optimizer_started_at,
                progress.batches,
                steps,
            )
            start = start._replace(numbers=known.setdefault(key, start.numbers))
        starts.append(start)
    return starts


def _sources(nets: Sequence[Any], X: Any, y: Any, plans: Sequence[Plan]) -> list[ArraySource]:
    """The samples of each network; what all share is checked once."""
    architecture, count = checked(nets[0]).architecture, len(nets)
    parts = per_network.parts("", X, y, plans[0].sample_weight, count, architecture.sizes[-1])
    sources: list[ArraySource] = []
    arrays = None
    for i, (net, plan) in enumerate(zip(nets, plans, strict=True)):
        schema = schema_of(net, architecture, plan.task)
        with per_network.of_network(i) if parts else contextlib.nullcontext():
            if arrays is None or parts:
                X_here, y_here, weights = parts[i] if parts else (X, y, plan.sample_weight)
                plan_here = replace(plan, sample_weight=weights)
                arrays = CheckedArrays(schema, X_here, y_here, plan_here, arrays)
        sources.append(ArraySource(schema, arrays, plan))
    per_network.check_alike([source.schema.learnt for source in sources])
    return sources


def _evaluations(
    nets: Sequence[Any], sources: Sequence[ArraySource], plans: Sequence[Plan]
) -> list[Evaluation]:
    """The measurements of each network, on validation data that they share or on the part of each."""
    validations: list[Any] = [None] * len(nets)
    if plans[0].validation_data is not None:
        architecture, count = checked(nets[0]).architecture, len(nets)
        X, y, sample_weight = checked_validation_data(plans[0].validation_data)
        parts = per_network.parts("validation_", X, y, sample_weight, count, architecture.sizes[-1])
        if parts is None:
            known: dict[Any, Any] = {}  # by the weights of classes
            for i, source in enumerate(sources):
                weights = source.schema.class_weights
                key = None if weights is None else weights.tobytes()
                if key not in known:
                    known[key] = validation_of(source.schema, plans[0])
                validations[i] = known[key]
        for i, part in enumerate(parts or ()):
            with per_network.of_network(i):
                plan = replace(plans[i], validation_data=part)
                validations[i] = validation_of(sources[i].schema, plan)
    evaluations = []
    for i, each in enumerate(zip(sources, plans, validations, strict=True)):
        with per_network.of_network(i) if sources[i].data.weights.size else contextlib.nullcontext():
            evaluations.append(evaluation_of(*each))
    return evaluations


def _check_seeded(sources: Sequence[ArraySource]) -> None:
    """Refuses to resume orders that are drawn from NumPy's generator, whose state no checkpoint has."""
    for i, source in enumerate(sources):
        if source.order_key(0) is None:
            raise ValueError(
                f"ModelCheckpoint.resume: expected networks with seeds, got seed=None of network {i}; "
                "give it a seed, or fit data_seed="
            )


def _sorted(callbacks: Sequence[Callback]) -> tuple[list[Callback], list[Callback]]:
    """The callbacks of the whole ensemble, and those of which each network has a copy of its own."""
    of_all: list[Callback] = []
    of_each: list[Callback] = []
    for callback in callbacks:
        if isinstance(callback, Monitor):
            of_each.append(callback)
        elif isinstance(callback, ProgressBar):
            of_all.append(_EnsembleBar())
        elif isinstance(callback, ModelCheckpoint):
            checks.no_monitor(callback.monitor)
            of_all.append(EnsembleCheckpoint(callback.path, callback.when, resume=callback.resume))
        elif isinstance(callback, (TimeLimit, Function)):
            of_all.append(callback)
        else:
            raise TypeError(
                "callbacks: expected EarlyStopping, ReduceLROnPlateau, ModelCheckpoint, TimeLimit, "
                f"ProgressBar or a function of (ensemble, history), got {type(callback).__name__}"
            )
    return of_all, of_each


class _EnsembleBar(ProgressBar):
    """Shows the means over the networks."""

    def on_train_begin(self, run: Any) -> None:
        super().on_train_begin(run)
        self._means = run.history.means()

    def on_epoch_end(self, run: Any) -> None:
        self._means.append(run.history.mean(run.history.epochs - 1))
        self._progress.epoch_end(self._means)
        self._show_notes(run)
