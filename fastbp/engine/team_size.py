"""How many samples the next chunk of training has, and how many threads train it.

No bit depends on either, so a team may grow or shrink at any moment: the fastest is found by measuring.
"""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from .architecture import Architecture
from .kernels.team import WHOLE
from .machine import cpus, free_cpus

_CHUNK = 0.05  # seconds
_FIRST_FLOPS = 2e8  # of the first chunk, before any speed is known: 50 ms on a very slow machine
_GROWTH = 8  # times the samples of the chunk before, at most

_PAIR_FLOPS = 8e5  # of a step, from which two members begin
_MEMBER_FLOPS = 4e6  # of a step and member, for more of them to begin
_EPOCH_FLOPS = 5e7  # of an epoch and member, from which starting a thread pays: each epoch has a new team
_STEP_FLOPS = 1e5  # of a step, from which a team is tried at all

_PROBE = 0.002  # seconds of a first look at another size
_WORSE = 0.9  # times as fast at that look: not looked at again for now
_BETTER = 1.03  # times as fast in a whole chunk: chosen
_USUAL = 0.2  # seconds over which a speed is averaged
_FELL = 0.8  # of its usual speed, from which others are looked at
_AGAIN = 1.0  # seconds until they are in any case
_UNEVEN = 0.05  # of the time that one member waits and another does not: shares are not equal then
_MOST_IDLE = 0.8
_RETURN = 0.05  # of the way back to equal shares, per chunk in which they are right

_SHARE = 0.015  # of the time that looking may cost
_GRACE = 0.005  # seconds that it may cost at first


class TeamSizes(NamedTuple):
    """Sizes of a team: the first one, and all that may be tried, ascending."""

    first: int
    candidates: tuple[int, ...]

    @property
    def most(self) -> int:
        return self.candidates[-1]


ALONE = TeamSizes(1, (1,))


def sizes(
    threads: int | str, architecture: Architecture, batch_size: int, samples: float, epochs: float = math.inf
) -> TeamSizes:
    """Team sizes for ``threads``, never more than CPUs, with so many samples per epoch.

    A number is taken as it is.  With "auto" as many begin as so much work keeps busy, and others are tried
    where a step is long enough to be shared at all, and training goes on after its first chunk.  CPUs are
    counted only for more than one thread.
    """
    if threads != "auto":
        size = 1 if threads == 1 else max(1, min(cpus(), int(threads)))
        return TeamSizes(size, (size,))
    flops = architecture.flops()
    step, epoch = flops * batch_size, flops * samples
    busy = int(min(max(step / _MEMBER_FLOPS, 2 if step >= _PAIR_FLOPS else 1), epoch / _EPOCH_FLOPS))
    tried = step >= _STEP_FLOPS and not is_one_chunk(architecture, samples * epochs)
    if busy < 2 and not tried:
        return ALONE
    most = free_cpus()
    size = max(1, min(most, busy))
    if not tried:
        return TeamSizes(size, (size,))
    return TeamSizes(size, tuple(sorted({size, most, *(1 << bit for bit in range(most.bit_length()))})))


def is_one_chunk(architecture: Architecture, samples: float) -> bool:
    """Tells if training on so many samples ends with the first chunk, on any machine."""
    return architecture.flops() * samples <= _FIRST_FLOPS


class _Networks:
    """Counts the networks that threads of this process train at the same time."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()

    @contextmanager
    def one_more(self) -> Iterator[None]:
        with self._lock:
            self.count += 1
        try:
            yield
        finally:
            with self._lock:
                self.count -= 1


NETWORKS = _Networks()


class TeamTuner:
    """Chunks of about 50 ms, by the team that has been found fastest.

    Now and then, and when that one's speed falls, a neighbour in size has a short chunk, and if it does well
    a whole one, which decides.  What this costs is kept below a share of the time.  A size that was just
    chosen has its own neighbours tried next, so a team grows or shrinks for as long as it pays.  Networks
    that other threads train beside it have their share of the CPUs.
    """

    def __init__(self, architecture: Architecture, sizes: TeamSizes) -> None:
        self.size, self._sizes = sizes
        self._allowed = self._sizes
        self.speeds: dict[int, float] = {}  # samples per second by size, as last found
        self._samples = _FIRST_FLOPS / architecture.flops()  # of the last chunk, or a first guess
        self._trial: int | None = None
        self._look = _PROBE  # seconds of a first look at it
        self._looked = False
        self._seconds = self._cost = 0.0
        self._behind = 0.0  # seconds that the present size's speed is the mean of
        self._shares: dict[int, np.ndarray] = {}  # of the members, by size
        self._bounds: dict[int, list[int]] = {}
        self._costs: dict[int, float] = {}  # of the last trial of a size
        self._due: dict[int, float] = {}

    def next(self) -> tuple[int, int]:
        """The size of the team for the next chunk, and about how many samples it shall have."""
        self._leave_room()
        size = self._trial or self.size
        seconds = self._look if self._trial and not self._looked else _CHUNK
        speed = self.speeds.get(size, self.speeds.get(self.size))
        if speed is None:
            return size, int(self._samples)
        return size, int(min(seconds * speed, _GROWTH * self._samples))

    def _leave_room(self) -> None:
        """Shrinks the team to its share of the CPUs."""
        self._allowed = self._sizes
        if len(self._sizes) > 1:
            most = max(1, self._sizes[-1] // max(1, NETWORKS.count))
            self._allowed = tuple(size for size in self._sizes if size <= most)
        if self.size not in self._allowed or (self._trial or self.size) not in self._allowed:
            self.size = min(self.size, self._allowed[-1])
            self._trial, self._looked = None, False

    def bounds(self, size: int) -> list[int]:
        """Bounds of the members' shares in a team of `size`, in parts of `WHOLE`."""
        if size == 1:
            return [0, WHOLE]
        if size not in self._bounds:
            shares = self._shares.setdefault(size, np.full(size, 1 / size))
            self._bounds[size] = [0, *np.rint(WHOLE * np.cumsum(shares)).astype(int).tolist()]
        return self._bounds[size]

    def record(self, samples: int, seconds: float, waited: np.ndarray) -> None:
        """Takes in the seconds of the last chunk, and for how many of them each member waited for others."""
        seconds = max(seconds, 1e-6)
        speed = samples / seconds
        if len(waited) > 1 and len(waited) in self._shares:  # else the system refused a thread
            self._balance(np.clip(waited / seconds, 0.0, _MOST_IDLE))
        self._seconds += seconds
        self._samples = samples
        if self._trial:
            self._judge(self._trial, samples, seconds)
            return
        fell = speed < _FELL * self.speeds.get(self.size, speed)
        self._behind = min(_USUAL, seconds + (0.0 if fell else self._behind))
        usual = self.speeds.get(self.size, speed)
        self.speeds[self.size] = usual + (speed - usual) * seconds / max(seconds, self._behind)
        if self._behind >= _CHUNK:
            self._consider(fell)

    def _balance(self, idle: np.ndarray) -> None:
        """Gives more to members that have waited more than others, for theirs is a faster core.

        Where none has, shares become a little more equal: a disturbance is over at some time.
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
        self._costs[trial] = lost + (self._costs[trial] if self._looked else 0.0)
        self.speeds[trial] = speed
        whole = self._looked or self._look == _CHUNK
        if not whole and speed > _WORSE * usual:
            self._looked = True
            return
        self._due[trial] = self._due[self.size] = self._seconds + _AGAIN
        if whole and speed > _BETTER * usual:
            self.size, self._behind = trial, seconds
        self._trial, self._looked = None, False

    def _consider(self, fell: bool) -> None:
        """Begins a trial of a neighbour, if one is due and what it may cost is allowed."""
        index = self._allowed.index(self.size)
        allowed = _GRACE + _SHARE * self._seconds - self._cost
        for other in self._allowed[max(0, index - 1) : index + 2]:
            due = fell or self._seconds >= self._due.get(other, 0.0)
            if other != self.size and due and self._costs.get(other, 0.0) <= allowed:
                self._trial, self._look = other, min(_CHUNK, max(_PROBE, allowed))
                return
