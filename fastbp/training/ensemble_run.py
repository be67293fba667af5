"""A training of many networks together: epochs, history, divergence and what callbacks see of it."""

import time
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..engine.architecture import Parts, checked
from ..engine.attributes import surely
from ..engine.chunks import DivergenceError
from ..engine.team_size import NETWORKS, TeamSizes, TeamTuner
from ..options import checks
from . import diagnosis
from .ensemble_history import EnsembleHistory
from .history import History
from .packs import Pack, Trainee, orders_of, pack_networks, train_chunk
from .run import Callback, CallbackState, interrupt, store


class EnsemblePosition(NamedTuple):
    """The point that a training of many networks has reached; replaced by one assignment."""

    packs: tuple[Pack, ...]
    epoch: int = 0  # of this fit
    seconds: float = 0.0  # of the epoch, in a process that was interrupted
    notes: int = 0  # in the history
    stopped: bool = False
    states: tuple[CallbackState, ...] = ()  # of the callbacks
    watched: tuple["WatcherStates", ...] = ()  # of each network


class WatcherStates(NamedTuple):
    """The states of the callbacks that watch a network, and the factor of its learning rate."""

    factor: float
    states: tuple[CallbackState, ...]


class NetworkRun:
    """A network's part of a training of many, as callbacks that watch the network get it: see `Run`."""

    def __init__(self, run: "EnsembleRun", i: int) -> None:
        self._run, self._trainee, self.number = run, run.trainees[i], i
        self.history = History()
        self.epochs = run.epochs
        self.stopped = False
        self._lent = False  # whether a hook may have changed the weights

    @property
    def pack_and_index(self) -> tuple[Pack, int]:
        """The pack of this network, and its index in it."""
        return self._run.pack_of(self.number)

    @property
    def epoch(self) -> int:
        return self._run.epoch

    @property
    def samples(self) -> int:
        return self._trainee.source.samples

    @property
    def network(self) -> Any:
        """The network with its present weights, which a hook may change."""
        if not self._lent:
            self.kept()
            self._lent = True
        return self._trainee.net

    def kept(self) -> Any:
        """The network with its trained weights, for reading only."""
        net = self._trainee.net
        if not self._lent:  # else a hook may have changed them
            pack, j = self.pack_and_index
            net.weights, net.biases = pack.engine.unpack(j)
        return net

    @property
    def learning_rate(self) -> float:
        """The learning rate of the last step."""
        pack, j = self.pack_and_index
        return rate_of(self._trainee, pack.made_by(j))

    @property
    def rate_factor(self) -> float:
        """Factor of the schedule's learning rates from the next step on.  May be set."""
        return self._trainee.numbers.factor

    @rate_factor.setter
    def rate_factor(self, factor: float) -> None:
        self._trainee.numbers.factor = checks.nonnegative("rate_factor", factor)

    def stop(self, why: str = "") -> None:
        """Ends the network's training after the present hooks; `why` becomes a note on it."""
        self.stopped = True
        if why:
            self._run.history.note(why, self.number)

    def call(self, hook: str) -> None:
        """Calls a hook of every watcher, and takes over weights that it changed."""
        for watcher in self._trainee.watchers:
            getattr(watcher, hook)(self)
        if self._lent:
            _, weights, biases = checked(self._trainee.net)
            pack, j = self.pack_and_index
            pack.engine.pack(j, weights, biases)
            self._lent = False


class EnsembleRun:
    """A training of many networks in progress.

    Attributes
    ----------
    history : EnsembleHistory
        The history of the epochs that have ended.
    epochs : int
        The number of epochs that `fit` was called with.
    network : Any
        The ensemble; its networks are brought up to date when it is asked for.
    """

    def __init__(
        self,
        trainees: Sequence[Trainee],
        groups: Iterable[Sequence[int]],
        team_sizes: TeamSizes,
        flops: int,
        callbacks: Sequence[Callback] = (),
        ensemble: Any = None,
    ) -> None:
        self.trainees, self.epochs = trainees, trainees[0].plan.epochs
        self.history = EnsembleHistory(len(trainees))
        self.arguments: dict[str, Any] = {}  # those that a resumed training must share
        self.callbacks, self._ensemble = tuple(callbacks), ensemble
        self._is_kept = any(callback.keeps_position for callback in self.callbacks)
        self._pauses = tuple(callback.every for callback in self.callbacks if callback.every)
        self._tuner = TeamTuner(Flops(flops), team_sizes)
        self._baselines: dict[tuple[int, ...], diagnosis.Baseline] = {}  # by the data of networks
        self._stopped = False
        self._since = 0.0  # when the present epoch began
        self._undo: list[tuple[Any, np.ndarray]] = []  # weights, states and samples done then
        zeros = np.zeros(len(trainees), np.int64)
        self._team = team_sizes.most
        packs = tuple(pack_networks(trainees, group, zeros[list(group)], self._team) for group in groups)
        self.position = EnsemblePosition(packs)
        self._unpacked: list[tuple[Any, ...]] = []  # what `store` takes of networks that are packed no more
        self._index_networks()
        watched = any(trainee.watchers for trainee in trainees)
        self._network_runs = [NetworkRun(self, i) for i in range(len(trainees))] if watched else []

    # The interface for hooks

    @property
    def network(self) -> Any:
        self.keep()
        return self._ensemble

    @property
    def epoch(self) -> int:
        """The number of the present epoch of this `fit`, from 0."""
        return self.position.epoch

    @property
    def samples(self) -> int:
        """The number of samples of an epoch, of all networks."""
        return self.trainees[0].source.samples * len(self.trainees)

    @property
    def done(self) -> int:
        """The number of samples of the present epoch that networks have been trained on, of all networks."""
        samples_done = [
            int(pack.samples_done[pack.active].min()) for pack in self.position.packs if pack.active.any()
        ]
        return min(samples_done, default=0) * len(self.trainees)

    @property
    def step(self) -> int:
        """The number of steps that the network with the most steps has made, in earlier calls as well."""
        return max((int(pack.made.max()) for pack in self.position.packs), default=0)

    @property
    def seconds(self) -> float:
        """Seconds that the present epoch has taken so far."""
        return time.perf_counter() - self._since if self.done else 0.0

    @property
    def loss(self) -> float:
        """The mean cost of the present epoch so far, over the networks that train."""
        means = [
            (pack.losses / np.maximum(1, pack.samples_done))[pack.active & np.isfinite(pack.losses)]
            for pack in self.position.packs
        ]
        every = np.concatenate([np.zeros(0), *means])
        return float(every.mean()) if every.size else 0.0

    @property
    def is_finite(self) -> bool:
        """True when all weights of the networks that train are finite, and not every network has diverged."""
        return not self.history.diverged.all() and all(
            (pack.engine.is_finite() | ~pack.active).all() for pack in self.position.packs
        )

    @property
    def is_over(self) -> bool:
        """True when no epoch will follow."""
        return self._stopped or self.epoch >= self.epochs or not self._trains

    @property
    def _trains(self) -> bool:
        """Tells whether a network is to train on."""
        return any(pack.active.any() for pack in self.position.packs)

    def stop(self, why: str = "") -> None:
        """Ends the training of all networks after the present hooks; `why` becomes a note in the history."""
        self._stopped = True
        if why:
            self.history.note(why)

    # The networks

    def pack_of(self, i: int) -> tuple[Pack, int]:
        """The pack of network `i`, and its index in it."""
        group, j = self._indices[i]
        return self.position.packs[group], j

    def _index_networks(self) -> None:
        self._indices = {  # of the pack of each network, and of the network in it
            int(i): (group, j)
            for group, pack in enumerate(self.position.packs)
            for j, i in enumerate(pack.networks)
        }

    def keep(self) -> None:
        """Writes the trained weights and states to all networks that have not been given them."""
        for learnt in self._unpacked:
            store(*learnt)
        for pack in self.position.packs:
            for j in range(len(pack.networks)):
                store(*self._learnt(pack, j))

    def _learnt(self, pack: Pack, j: int) -> tuple[Any, ...]:
        """The arguments of `store` for a network."""
        trainee = self.trainees[pack.networks[j]]
        learnt = pack.engine.unpack(j), pack.engine.unpack_state(j)
        return trainee.net, trainee.before, *learnt, int(pack.drawn[j]), pack.made_by(j)

    # The training

    def train(self) -> EnsembleHistory:
        """Trains from the present position to the last epoch, or until callbacks have ended it."""
        has_begun = False
        try:
            self._begin()
            has_begun = True
            with NETWORKS:
                while not self.is_over:
                    self._train_epoch()
            if self._stopped:
                self._mark()
            self._end(pack.networks[pack.active] for pack in self.position.packs)
            self._hooks("on_train_end")
        except BaseException as error:
            interrupt(self.callbacks if has_begun else (), self, error)
            raise
        finally:
            surely(self.keep)
        return self.history

    def resume(self, position: EnsemblePosition) -> None:
        """Begins at a position that a checkpoint holds."""
        self.position, self._stopped = position, position.stopped

    def _begin(self) -> None:
        """Calls the first hooks, and restores the states of a checkpoint."""
        self._hooks("on_train_begin")
        for callback, state in zip(self.callbacks, self.position.states, strict=False):
            if state:
                callback.restore(state)
        for view in self._network_runs:
            view.call("on_train_begin")
            if self.history.epochs:
                view.history = self.history.network(view.number)
        for view, (factor, states) in zip(self._network_runs, self.position.watched, strict=False):
            view.rate_factor = factor
            self.trainees[view.number].numbers.forget()
            for watcher, state in zip(self.trainees[view.number].watchers, states, strict=True):
                watcher.restore(state)
        diverged = self.history.diverged
        self._end(pack.networks[~(pack.active | diverged[pack.networks])] for pack in self.position.packs)
        self._mark()

    def _end(self, ended: Iterable[np.ndarray]) -> None:
        """Calls `on_train_end` of the watchers of these networks; for one network maybe more than once."""
        for networks in ended:
            for i in networks if self._network_runs else ():
                self._network_runs[i].call("on_train_end")

    def _hooks(self, name: str) -> None:
        for callback in self.callbacks:
            getattr(callback, name)(self)

    def _mark(self, **changes: Any) -> None:
        """Records a position that training can resume from."""
        if self._is_kept:
            changes["states"] = tuple(callback.state() for callback in self.callbacks)
            changes["watched"] = tuple(
                WatcherStates(view.rate_factor, tuple(w.state() for w in self.trainees[view.number].watchers))
                for view in self._network_runs
            )
        changes["notes"], changes["stopped"] = len(self.history.own_notes), self._stopped
        self.position = self.position._replace(**changes)

    def _train_epoch(self) -> None:
        """One epoch of the networks that train, or the rest of the one that was interrupted."""
        epoch = self.epoch
        self.position = self.position._replace(
            packs=tuple(
                pack._replace(drawn=np.where(pack.active, epoch + 1, pack.drawn))
                for pack in self.position.packs
            )
        )
        self._undo = [(pack.engine.snapshot(), pack.samples_done.copy()) for pack in self.position.packs]
        self._since = time.perf_counter() - self.position.seconds
        try:
            whole, seconds = self._train_samples(), self.seconds
        finally:
            surely(self._end_diverged)
        self._mark()
        if self.history.diverged.all():
            raise DivergenceError(self.history.notes[-1])
        if not whole:
            return
        ended, trained = self.position.packs, self._trains
        if trained:
            self._record(ended, seconds)
            self._note_failures(ended)
            self._hooks("on_epoch_end")
        train_on = self._call_watchers(ended)
        packs = tuple(
            pack.begun()._replace(active=active) for pack, active in zip(ended, train_on, strict=True)
        )
        self._mark(packs=packs, epoch=epoch + trained, seconds=0.0)
        self._end(
            new.networks[old.active & ~new.active]
            for old, new in zip(ended, self.position.packs, strict=True)
        )
        self._pack_again()
        self._hooks("on_boundary")

    def _train_samples(self) -> bool:
        """Trains to the end of the epoch, chunk by chunk; False if a callback ended it earlier."""
        packs = self.position.packs
        orders = [orders_of(self.trainees, pack, self.epoch) for pack in packs]
        while True:
            members, samples = self._tuner.next()
            start, trained = time.perf_counter(), 0
            for pack, order in zip(packs, orders, strict=True):
                pack.engine.members = members
                chunk = train_chunk(self.trainees, pack, order, samples, self._pauses)
                trained = max(trained, chunk)
            if not trained:
                return True
            self._tuner.record(trained, time.perf_counter() - start, packs[0].engine.waited)
            self._end_diverged(amid_epoch=True)
            if self.callbacks and self._trains:
                self._hooks("on_chunk")
                if all((pack.is_between | ~pack.active).all() for pack in packs):
                    self._mark()
                    self._hooks("on_boundary")
            if self._stopped:
                return False

    def _end_diverged(self, amid_epoch: bool = False) -> None:
        """Ends the training of networks that have diverged, with their last finite weights.

        Amid an epoch the cost alone tells, so that no note depends on how the epoch falls into chunks.
        """
        for pack, undo in zip(self.position.packs, self._undo, strict=True):
            finite = np.isfinite(pack.losses) & (amid_epoch or pack.engine.is_finite())
            for j in np.flatnonzero(pack.active & ~finite).tolist():
                self._end_one(pack, j, undo)

    def _end_one(self, pack: Pack, j: int, undo: tuple[Any, np.ndarray]) -> None:
        """Ends the training of a network that has diverged; weights that are not finite are undone."""
        i, is_lost = int(pack.networks[j]), not pack.engine.is_finite()[j]
        what = "a weight" if is_lost else "the cost"
        place = f"epoch {self.epoch + 1}, sample {pack.samples_done[j]} of {pack.samples}"

        def end() -> None:
            if is_lost:
                weights, samples_done = undo
                pack.engine.restore(j, weights)
                pack.samples_done[j] = samples_done[j]
            notes = self._explained(pack, j, diverged=True)
            rate = self.trainees[i].plan.recipe.rate
            parts = Parts(pack.engine.architecture, *pack.engine.unpack(j))
            note = i, diagnosis.divergence(parts, place, what, rate, notes)
            if note not in self.history.own_notes:
                self.history.note(note[1], i)
            pack.active[j], self.history.diverged[i] = False, True
            self.position = self.position._replace(notes=len(self.history.own_notes))

        surely(end)

    def _record(self, ended: Sequence[Pack], seconds: float) -> None:
        """Adds the epoch to the history."""
        count = len(self.trainees)
        numbers: dict[str, np.ndarray] = {}
        for pack in ended:
            active = np.flatnonzero(pack.active).tolist()
            steps = pack.made.tolist()
            means = pack.losses / max(1, pack.samples)
            scores = self._scores(pack)
            trainees = [self.trainees[i] for i in pack.networks]
            for j in active:
                row = {"loss": means[j], "learning_rate": rate_of(trainees[j], steps[j]), **scores[j]}
                for name, number in row.items():
                    if name not in numbers:
                        numbers[name] = np.full(count, np.nan)
                    numbers[name][pack.networks[j]] = number
        of_all = {"seconds": seconds, "threads": float(self._tuner.size)}
        self.history.append(numbers, of_all)

    def _note_failures(self, ended: Sequence[Pack]) -> None:
        """Adds notes on networks that have learnt nothing, after an epoch in which that is looked for."""
        for pack in ended:
            for j, made in enumerate(pack.made.tolist()):
                i = int(pack.networks[j])
                steps = made - self.trainees[i].before.batches
                if pack.active[j] and diagnosis.is_due(self.epoch + 1, self.epochs, steps):
                    for note in self._explained(pack, j, diverged=False):
                        self.history.note(note, i)

    def _scores(self, pack: Pack) -> list[dict[str, float]]:
        """The measurements of each network."""
        scores: list[dict[str, float]] = [{} for _ in pack.networks]
        evaluations = [self.trainees[i].evaluation for i in pack.networks]
        for number, (data, rows) in enumerate(pack.sets):
            losses = np.zeros((len(evaluations), len(evaluations[0].new_losses(number))))
            outputs = pack.engine.infer(data, losses, rows)
            if evaluations[0].shares(evaluations, number):
                for score, more in zip(
                    scores, evaluations[0].scores_of_each(number, outputs, losses), strict=True
                ):
                    score |= more
                continue
            for j in np.flatnonzero(pack.active):
                scores[j] |= evaluations[j].scores(number, outputs[j], losses[j])
        return scores

    def _explained(self, pack: Pack, j: int, diverged: bool) -> list[str]:
        """Notes on the failure of a network."""
        i = int(pack.networks[j])
        trainee = self.trainees[i]
        losses = self.history.losses_of(i)
        parts = Parts(pack.engine.architecture, *pack.engine.unpack(j))
        rate, early = trainee.plan.recipe.rate, len(losses) < self.epochs
        data, order = trainee.source.seen
        key = id(data.targets), id(data.weights), id(data.outputs), id(order)
        if key not in self._baselines:
            self._baselines[key] = diagnosis.Baseline(parts.architecture, data, order)
        return diagnosis.notes(parts, data, order, rate, losses, diverged, early, self._baselines[key])

    def _call_watchers(self, ended: Sequence[Pack]) -> list[np.ndarray]:
        """Calls the watchers of the networks that have trained the epoch; returns which train on."""
        on = []
        for pack in ended:
            active = pack.active.copy()
            for j in np.flatnonzero(active) if self._network_runs else ():
                view = self._network_runs[pack.networks[j]]
                view.history.append(self.history.numbers_of(view.number))
                view.call("on_epoch_end")
                active[j] = not view.stopped
            on.append(active)
        return on

    def _pack_again(self) -> None:
        """Repacks the networks that still train, once these are at most half of those packed together."""
        packs = []
        for pack in self.position.packs:
            active = np.flatnonzero(pack.active)
            if 2 * len(active) > len(pack.active) or self.is_over:
                packs.append(pack)
                continue
            for j in range(len(pack.active)):
                store(*(learnt := self._learnt(pack, j)))
                if not pack.active[j]:
                    self._unpacked.append(learnt)
            if active.size:
                packs.append(
                    pack_networks(
                        self.trainees, pack.networks[active].tolist(), pack.drawn[active], self._team
                    )
                )
        self.position = self.position._replace(packs=tuple(packs))
        self._index_networks()


def rate_of(trainee: Trainee, step: int) -> float:
    """The learning rate of a network's last step, or the first one before any."""
    made = step > trainee.before.batches
    return trainee.numbers.rate(step - 1) if made else trainee.plan.recipe.rate


class Flops(NamedTuple):
    """The work of all networks, as a team's size is chosen by it."""

    of_all: int

    def flops(self) -> int:
        return self.of_all
