"""The number of samples in the next chunk of training, and the number of threads that train it.

No bit depends on either, so a team may grow or shrink after any chunk: measurements choose the fastest.
"""

import math
import sys
import threading
from typing import NamedTuple, Protocol

import numpy as np

from .kernels.team import WHOLE
from .machine import cpus, free_cpus

_CHUNK = 0.05  # seconds of a chunk
_FIRST_FLOPS = 2e8  # of the first chunk, before any speed is known: 50 ms on a very slow machine
_GROWTH = 8  # most times the samples of the previous chunk

# The first team of a call, from floating-point operations
_PAIR_FLOPS = 8e5  # a step of at least so many begins with two members
_MEMBER_FLOPS = 4e6  # more than two members have at least so many each, per step
_EPOCH_FLOPS = 5e7  # and so many each per epoch, which pay for starting a thread: each epoch has a new team
_STEP_FLOPS = 1e5  # a step of fewer is trained by one member, and no other size is tried

# Trials of other sizes: a probe, and if that is promising a whole chunk
_EARLY = 0.005  # seconds of a first team's second chunk, after which fewer members are tried
_PROBE = 0.002  # least seconds of a probe
_WORSE = 0.9  # a probe at less than this many times the usual speed ends the trial
_BETTER = 1.03  # a whole chunk at more than this many times the usual speed changes the size
_USUAL = 0.2  # seconds over which the usual speed is averaged
_FELL = 0.8  # other sizes are tried when the speed falls below this many times the usual one
_AGAIN = 1.0  # and, at the latest, after so many seconds
_SHARE = 0.015  # the share of the time that trials may cost
_GRACE = 0.005  # seconds that they may cost besides

# Shares of the members
_UNEVEN = 0.05  # members whose idle times differ by this share of a chunk get other shares
_MOST_IDLE = 0.8  # the largest idle time that counts, as a share of a chunk
_RETURN = 0.05  # the part of the way back to equal shares that an even chunk goes


class Work(Protocol):
    """The work of a team: to train a network, or several together."""

    def flops(self) -> int:
        """Floating-point operations to train on one sample."""


class TeamSizes(NamedTuple):
    """Sizes of a team: the first size, and all sizes that may be tried, ascending."""

    first: int
    candidates: tuple[int, ...]

    @property
    def most(self) -> int:
        return self.candidates[-1]


ALONE = TeamSizes(1, (1,))


def team_sizes(
    threads: int | str, work: Work, batch_size: int, samples: float, epochs: float = math.inf
) -> TeamSizes:
    """Team sizes for ``threads``, never more than CPUs, with so many samples per epoch.

    A number is used unchanged.  With "auto" a team begins with as many members as the work keeps busy, and
    other sizes are tried if a step is long enough and training does not end with its first chunk.  CPUs are
    counted only for more than one thread.
    """
    if threads != "auto":
        return _chosen(threads)
    flops = work.flops()
    step, epoch = flops * batch_size, flops * samples
    busy = int(min(max(step / _MEMBER_FLOPS, 2 if step >= _PAIR_FLOPS else 1), epoch / _EPOCH_FLOPS))
    tried = step >= _STEP_FLOPS and not is_one_chunk(work, samples * epochs)
    if busy < 2 and not tried:
        return ALONE
    most = free_cpus()
    size = max(1, min(most, busy))
    if not tried:
        return TeamSizes(size, (size,))
    return TeamSizes(size, tuple(sorted({size, most, *(1 << bit for bit in range(most.bit_length()))})))


def team_sizes_of_many(threads: int | str, work: Work, samples: float, networks: int) -> TeamSizes:
    """Team sizes for networks that train together, each by one member: `work` is that of all of them."""
    if threads != "auto":
        return _chosen(threads)
    busy = int(work.flops() * samples / _EPOCH_FLOPS)
    if busy < 2 or networks < 2:
        return ALONE
    most = min(free_cpus(), networks)
    candidates = {most, *(1 << bit for bit in range(most.bit_length()))}
    return TeamSizes(min(busy, most), tuple(sorted({min(busy, most), *candidates})))


def _chosen(threads: int | str) -> TeamSizes:
    """The team of a number of threads, never more than CPUs; these are counted only for more than one."""
    size = 1 if threads == 1 else max(1, min(cpus(), int(threads)))
    return TeamSizes(size, (size,))


def is_one_chunk(work: Work, samples: float) -> bool:
    """Tells whether training on so many samples ends with the first chunk, on any machine."""
    return work.flops() * samples <= _FIRST_FLOPS


class _Networks:
    """Counts the networks that threads of this process train at the same time, each in a `with` block.

    There is no lock, for a child would wait for one that another thread holds; a dict needs none.  Threads
    that a child does not have do not count there.
    """

    def __init__(self) -> None:
        self._depths: dict[int, int] = {}  # of `with` blocks, by thread

    @property
    def count(self) -> int:
        alive = sys._current_frames() if len(self._depths) > 1 else self._depths
        return sum(depth for thread, depth in [*self._depths.items()] if thread in alive)

    def __enter__(self) -> None:
        thread = threading.get_ident()
        self._depths[thread] = self._depths.get(thread, 0) + 1

    def __exit__(self, *error: object) -> None:
        thread = threading.get_ident()
        if (depth := self._depths.pop(thread, 1)) > 1:
            self._depths[thread] = depth - 1


NETWORKS = _Networks()


class TeamTuner:
    """Chooses chunks of about 50 ms, and the team that has proved fastest.

    Now and then, and when its speed falls, the next smaller or larger size is tried: in a short chunk, and if
    that is fast enough in a whole one, which decides.  The cost of trials is kept below a share of the time.
    Neighbours of a size that was just chosen are tried next, so a team grows or shrinks as long as it pays.
    Networks that other threads train at the same time get their share of the CPUs.
    """

    def __init__(self, work: Work, sizes: TeamSizes, block: int = 1) -> None:
        self.size, self._sizes = sizes
        self._allowed = self._sizes
        self._block = block  # the least samples of a chunk
        self.speeds: dict[int, float] = {}  # samples per second by size, as last measured
        self._samples = _FIRST_FLOPS / work.flops()  # of the last chunk, at first an estimate
        self._trial: int | None = None  # the size that is being tried
        self._probe_seconds = _PROBE  # seconds of its probe
        self._probed = False  # whether it has had its probe
        self._seconds = self._cost = 0.0
        self._averaged_seconds = 0.0  # seconds over which the present size's speed has been averaged
        self._cpu_seconds = 0.0  # that a sample took in the last chunk, without waiting
        self._shares: dict[int, np.ndarray] = {}  # the members' shares, by size
        self._bounds: dict[int, list[int]] = {}
        self._costs: dict[int, float] = {}  # seconds lost in the last trial of each size
        self._due: dict[int, float] = {}  # the time of the next trial of each size

    def next(self) -> tuple[int, int]:
        """The size of the team for the next chunk, and the approximate number of its samples."""
        self._leave_room()
        size = self._trial or self.size
        speed = self.speeds.get(size, self.speeds.get(self.size))
        if speed is None:
            return size, int(self._samples)
        if self._is_untested and not self._trial:  # the speed is that of a first chunk
            return size, int(min(max(_EARLY * speed, self._samples), _GROWTH * self._samples))
        seconds = self._probe_seconds if self._trial and not self._probed else _CHUNK
        return size, int(min(seconds * speed, _GROWTH * self._samples))

    def _leave_room(self) -> None:
        """Shrinks the team to its share of the CPUs."""
        if len(self._sizes) == 1:
            return
        most = max(1, self._sizes[-1] // max(1, NETWORKS.count))
        self._allowed = tuple(size for size in self._sizes if size <= most)
        if self.size not in self._allowed or (self._trial or self.size) not in self._allowed:
            self.size = min(self.size, self._allowed[-1])
            self._trial, self._probed = None, False

    def bounds(self, size: int) -> list[int]:
        """Bounds of the members' shares in a team of `size`, in parts of `WHOLE`."""
        if size == 1:
            return [0, WHOLE]
        if size not in self._bounds:
            shares = self._shares.setdefault(size, np.full(size, 1 / size))
            self._bounds[size] = [0, *np.rint(WHOLE * np.cumsum(shares)).astype(int).tolist()]
        return self._bounds[size]

    def record(self, samples: int, seconds: float, waited: np.ndarray, cpu_seconds: float = 0.0) -> None:
        """Takes in the seconds of the last chunk, and for how many of them each member waited for others.

        `cpu_seconds` are those of all members, in which they worked or waited awake.  Without them no first
        trial is postponed.
        """
        seconds = max(seconds, 1e-6)
        speed = samples / seconds
        if len(waited) > 1 and len(waited) in self._shares:  # not if the system refused a thread
            self._balance(np.clip(waited / seconds, 0.0, _MOST_IDLE))
        self._seconds += seconds
        self._samples = samples
        if self._trial:
            self._judge(self._trial, samples, seconds)
            return
        if not self.speeds:  # the first chunk finds cold caches: the next one replaces its speed
            self.speeds[self.size] = speed
            return
        worked = min(cpu_seconds, len(waited) * seconds) - float(waited.sum())  # other threads may work, too
        self._cpu_seconds = max(0.0, worked) / samples
        usual = self.speeds.get(self.size, speed)
        fell = speed < _FELL * usual
        self._averaged_seconds = min(_USUAL, seconds + (0.0 if fell else self._averaged_seconds))
        self.speeds[self.size] = usual + (speed - usual) * seconds / max(seconds, self._averaged_seconds)
        enough = _EARLY / 2 if self._is_untested else _CHUNK
        if self._averaged_seconds >= enough and len(self._allowed) > 1:
            self._consider(fell)

    @property
    def _is_untested(self) -> bool:
        """Tells whether several members began and no other size was tried; fewer may be far faster."""
        return self.size > 1 and len(self._allowed) > 1 and not self._due

    def _balance(self, idle: np.ndarray) -> None:
        """Gives larger shares to members that have waited more than others, whose cores are faster.

        If none has, shares become a little more equal, because disturbances pass.
        """
        shares = self._shares[len(idle)]
        self._bounds.pop(len(idle), None)
        if np.ptp(idle) > _UNEVEN:
            ideal = shares / (1 - idle)
            self._shares[len(idle)] = (shares + ideal / ideal.sum()) / 2
        else:
            self._shares[len(idle)] = (1 - _RETURN) * shares + _RETURN / len(idle)

    def _judge(self, trial: int, samples: int, seconds: float) -> None:
        speed, usual = samples / seconds, self.speeds[self.size]
        lost = max(0.0, seconds - samples / usual)
        self._cost += lost
        self._costs[trial] = lost + (self._costs[trial] if self._probed else 0.0)
        self.speeds[trial] = speed
        whole = self._probed or self._probe_seconds == _CHUNK
        if not whole and speed > _WORSE * usual:
            self._probed = True
            return
        self._due[trial] = self._due[self.size] = self._seconds + min(_AGAIN, max(_USUAL, self._seconds))
        if whole and speed > _BETTER * usual:
            self.size, self._averaged_seconds = trial, seconds
        self._trial, self._probed = None, False

    def _consider(self, fell: bool) -> None:
        """Begins a trial of the next smaller or larger size, if it is due and may cost so much."""
        index = self._allowed.index(self.size)
        allowed = _GRACE + _SHARE * self._seconds - self._cost
        for other in self._allowed[max(0, index - 1) : index + 2]:
            due = fell or self._seconds >= self._due.get(other, 0.0)
            if other != self.size and due and self._cost_of(other) <= allowed:
                self._trial, self._probe_seconds = other, min(_CHUNK, max(_PROBE, allowed))
                return

    def _cost_of(self, other: int) -> float:
        """Seconds that a trial of that size may lose: those of its last one, or what its probe may cost.

        A probe trains at least a block, which may be long; fewer members have fewer CPUs for the same work.
        """
        if other in self._costs:
            return self._costs[other]
        usual = self.speeds[self.size]
        samples = max(self._block, _PROBE * usual)
        return max(0.0, samples * (self._cpu_seconds / other - 1 / usual))
