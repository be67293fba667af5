"""Networks of an ensemble that one engine trains: their data, their orders and their chunks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..engine.architecture import Parts, Progress, checked, mask_key
from ..engine.choice import engine_of
from ..engine.chunks import end_of_chunk
from ..engine.kernels.records import FUSED
from ..engine.kernels.shuffle import permute_rows
from ..engine.lane_data import LaneData, LaneSpec, joined_data
from ..engine.packed import NOTHING
from ..options.optimizers import NUMBERS
from ..options.step_numbers import StepNumbers
from .evaluation import Evaluation
from .plan import Plan
from .run import Callback
from .sources import ArraySource, order_of


@dataclass(frozen=True)
class Assignment:
    """A network to be trained: its samples, its plan, its measurements and the callbacks that watch it."""

    net: Any
    source: ArraySource
    plan: Plan
    evaluation: Evaluation
    watchers: tuple[Callback, ...] = ()


@dataclass(frozen=True)
class Trainee(Assignment):
    """An assignment in training: with the numbers of its steps, and the network's progress before it."""

    numbers: StepNumbers = field(kw_only=True)
    before: Progress = field(kw_only=True)


class Pack(NamedTuple):
    """Networks that one engine trains, and the point that each has reached; replaced as one.

    Within an epoch the engine advances `losses` and `samples_done` together with the weights, and `active`
    ends for networks that diverge.
    """

    networks: np.ndarray  # their numbers in the ensemble
    engine: Any  # LaneEngine or OneByOne
    data: LaneData
    sets: tuple[tuple[LaneData, np.ndarray], ...]  # the data and the rows to measure on
    samples: int  # of an epoch
    has_one_order: bool  # of the same rows, in every epoch
    active: np.ndarray  # whether each trains on
    steps: np.ndarray  # of each network, where the epoch begins
    drawn: np.ndarray  # epochs of this fit whose orders each has drawn
    losses: np.ndarray  # of the epoch
    samples_done: np.ndarray  # in the epoch's order
    between: np.ndarray  # losses at the last position between two batches

    @property
    def is_between(self) -> np.ndarray:
        """Tells of each network whether it is between two batches."""
        done = self.samples_done
        return np.asarray((done % self.engine.batch_size == 0) | (done == self.samples))

    @property
    def made(self) -> np.ndarray:
        """The steps that each network has made; a batch that is not finished is none."""
        size, done = self.engine.batch_size, self.samples_done
        return np.asarray(self.steps + np.where(self.is_between, -(-done // size), done // size))

    def made_by(self, j: int) -> int:
        """The steps that one network has made."""
        size, done = int(self.engine.batch_size), int(self.samples_done[j])
        return int(self.steps[j]) + (-(-done // size) if done == self.samples else done // size)

    def begun(self) -> "Pack":
        """The same networks where an epoch begins."""
        losses, zeros = self.engine.new_losses(), np.zeros_like(self.samples_done)
        return self._replace(steps=self.made, losses=losses, samples_done=zeros, between=losses.copy())

    def behind(self) -> np.ndarray:
        """Tells of each network whether it is to train on in this epoch."""
        return np.asarray(self.active & (self.samples_done < self.samples) & np.isfinite(self.losses))


def pack_networks(trainees: Sequence[Trainee], networks: Sequence[int], drawn: np.ndarray, team: int) -> Pack:
    """Packs networks, whose options differ in numbers only, to train on from where each is.

    For a team of at most so many members.
    """
    members = [trainees[i] for i in networks]
    nets, plan, source = [member.net for member in members], members[0].plan, members[0].source
    parts = [checked(net) for net in nets]
    states = [net._fastbp.progress.optimizer_state for net in nets]
    parameters = [(part.weights, part.biases) for part in parts]
    architecture = parts[0].architecture._replace(dropout=())
    data = joined_data([member.source.data for member in members])
    spec, one_order = _spec(members, parts), _has_one_order(members)
    engine = engine_of(architecture, parameters, plan.batch_size, team, spec, states, data, not one_order)
    sets = []
    for each in zip(*(member.evaluation.sets for member in members), strict=True):
        rows = [one.rows for one in each]
        shared = all(array is rows[0] for array in rows)
        sets.append((joined_data([one.data for one in each]), rows[0] if shared else np.stack(rows)))
    losses = engine.new_losses()
    return Pack(
        networks=np.array(networks),
        engine=engine,
        data=data,
        sets=tuple(sets),
        samples=source.samples,
        has_one_order=one_order,
        active=np.ones(len(members), bool),
        steps=np.array([net._fastbp.progress.batches for net in nets], np.int64),
        drawn=drawn.copy(),
        losses=losses,
        samples_done=np.zeros(len(members), np.int64),
        between=losses.copy(),
    )


def _spec(members: Sequence[Trainee], parts: Sequence[Parts]) -> LaneSpec:
    """How the networks step; what none of them has is left out."""
    recipes = [member.plan.recipe for member in members]
    hidden = len(parts[0].weights) - 1
    dropout = np.array([part.architecture.dropout or (0.0,) * hidden for part in parts])
    clip_norms = np.array([recipe.clip_norm for recipe in recipes])
    drops = bool(dropout.any())
    return LaneSpec(
        FUSED if recipes[0].is_plain else recipes[0].optimizer.row,
        clip_norms if clip_norms.any() else NOTHING,
        np.array([mask_key(member.net) for member in members], np.uint64) if drops else NOTHING,
        dropout if drops else NOTHING,
    )


def _has_one_order(members: Sequence[Trainee]) -> bool:
    """Tells whether all networks take the same rows in the same order in every epoch."""
    rows, shuffles = members[0].source.rows, members[0].plan.shuffle
    if not all(each is rows or np.array_equal(each, rows) for each in (m.source.rows for m in members)):
        return False
    keys = {member.source.order_key(member.before.epochs) for member in members}
    return not shuffles or len(keys) == 1


def orders_of(trainees: Sequence[Trainee], pack: Pack, epoch: int) -> np.ndarray:
    """The rows of the epoch in the order of each network, (networks, n), or in that of all, (1, n)."""
    which = np.zeros(1, np.int64) if pack.has_one_order else np.flatnonzero(pack.active)
    members = [trainees[i] for i in pack.networks[which]]
    rows = [member.source.rows for member in members]
    keys = [member.source.order_key(member.before.epochs + epoch) for member in members]
    orders = np.zeros((1 if pack.has_one_order else len(pack.networks), pack.samples), np.int64)
    if None in keys or not members or not members[0].plan.shuffle:
        for j, member, key in zip(which, members, keys, strict=True):
            orders[j] = member.source.rows[order_of(pack.samples, member.plan.shuffle, key)]
        return orders
    given = rows[0][None] if all(each is rows[0] for each in rows) else np.stack(rows)
    permute_rows(None)(which, np.array(keys, np.uint64), given, orders)
    return orders


def train_chunk(
    trainees: Sequence[Trainee], pack: Pack, orders: np.ndarray, samples: int, pauses: Sequence[int]
) -> int:
    """Trains about so many samples of the networks that are farthest behind; returns how many it was.

    All networks are equally far, unless an exception has ended an earlier chunk.
    """
    behind, samples_done, engine = pack.behind(), pack.samples_done, pack.engine
    if not behind.any():
        return 0
    done = int(samples_done[behind].min())
    engine.active = behind & (samples_done == done)
    size = engine.batch_size
    steps = pack.steps + done // size
    step = int(steps[np.argmax(engine.active)])
    last = end_of_chunk(engine, done, pack.samples, samples, step, pauses)
    others = samples_done[behind & (samples_done > done)]
    last = min(last, int(others.min())) if others.size else last
    count = 1 + (last - 1) // size - done // size
    numbers = np.zeros((len(samples_done), count, NUMBERS))
    for j in np.flatnonzero(engine.active):
        numbers[j] = trainees[pack.networks[j]].numbers(int(steps[j]), count)
    engine.train(pack.data, orders, (done, last), numbers, steps, pack.losses, samples_done)
    np.copyto(pack.between, pack.losses, where=pack.is_between)
    return last - done
