"""A team of threads: its members, and their shares of a phase's work.

A member is a thread inside one compiled call that holds no GIL.  Members own outputs, so nothing is ever
reduced across threads and the bits do not depend on how many there are.
"""

import threading
from _thread import start_new_thread
from collections.abc import Callable, Sequence
from functools import partial
from itertools import repeat
from operator import length_hint
from typing import Any, NamedTuple

import numpy as np
from numba import types

from .barrier import ASLEEP, CALL, LOST, ROW, SPINS, WAITED, add_one, count_of, numbers_at, rest, stand_back
from .jit import helper, kernel
from .vector import pointer, shift

# In the team's row, with LOST: the threads that have begun, the members of the team once no more threads are
# started, the threads that have done their part, and the address of what wakes the caller.
_BEGUN, _SIZE, _ENDED, _WAKER = range(LOST + 1, LOST + 5)
_FRAMES = 100  # frames beyond the recursion limit that the caller's part of the work may take
WHOLE = 1 << 16  # parts into which a team divides its work
_LOOK = 0.01  # seconds between two checks by a waiting caller whether others wait for it
_TRIES = 100  # of a member to begin its work where memory is short, with a rest after each


class Member(NamedTuple):
    rank: int
    size: int  # of the team
    begin: int  # of this member's share, in parts of `WHOLE`
    end: int


def member_of(rank: int, size: int, bounds: Sequence[int] = ()) -> Member:
    """With the share between ``bounds[rank]`` and the next, or an equal one."""
    begin, end = bounds[rank : rank + 2] or (WHOLE * rank // size, WHOLE * (rank + 1) // size)
    return Member(rank, size, begin, end)


_ALONE = member_of(0, 1)
_UNUSED, _NO_WAITS = np.zeros(ROW, np.int64), np.zeros(1)  # the flags of a team of one, and its waiting


@helper
def share(units: int, member: Member) -> tuple[int, int]:
    """The units of a phase that are this member's: ``range(first, last)``."""
    return (units * member.begin + WHOLE // 2) // WHOLE, (units * member.end + WHOLE // 2) // WHOLE


# ---------------------------------------------------------------- the threads


def run(members: int, work: Callable[[Member, np.ndarray], None], *, meets: bool = True) -> np.ndarray:
    """Calls ``work(member, flags)`` on every member of a new team and returns when all are done.

    Returns the seconds that each has waited for others, awake: one that is kept waiting for long sleeps, for
    then another program has the CPU of whom it waits for.

    `work` may make one compiled call that uses the barrier, where it `meets` the others, beginning with
    `assembled`; other work must be such that it may be done twice.  The caller is the member of rank 0, so
    that one core has its member already and the system places one thread less: two new threads now and then
    both began on the same core.  Where the system refuses a thread, the team is smaller, and where one finds
    no memory to begin in, the caller does all the work alone.

    Whatever is raised meanwhile, say by a signal handler, and however often: either no member has begun, or
    all have ended and an exception is raised, the caller's first one or a thread's.
    """
    if members == 1:
        work(_ALONE, _UNUSED)
        return _NO_WAITS
    team = _Team(members, work, meets)
    advance, raised = team.advance, team.raised  # kept alive here: compiled code has only their addresses
    _call_until_it_returns(None)(id(advance), id(raised), np.zeros(3, np.intp), id(MemoryError))
    raised += team.taken_errors()
    if raised:
        del raised[1:]
        raise raised.pop()
    if team.rows[LOST]:
        work(_ALONE, _UNUSED)
        return _NO_WAITS
    return 1e-9 * team.flags.reshape(members, ROW)[: team.size, WAITED]


class _Part:
    """A thread's part of the work.  Nothing interrupts it: signal handlers run in the main thread only.

    Where it raises before it has met the others, it may be called again; work that meets nobody is begun
    once, which shows in its place in the rows.
    """

    def __init__(self, work: Callable[[Member, np.ndarray], None], rows: np.ndarray, rank: int, meets: bool):
        self.error: BaseException | None = None
        self._work, self._rows, self._rank, self._meets = work, rows, rank, meets
        self._place = ROW * (1 + rank) + CALL

    def __call__(self) -> None:
        if not self._meets:
            self._rows[self._place] = 0
        try:
            self._work(member_of(self._rank, int(self._rows[_SIZE])), self._rows[ROW:])
        except BaseException as error:
            self.error = error
            raise
        self.error = None


class _Team:
    """The state of one call of `run`."""

    def __init__(self, members: int, work: Callable[[Member, np.ndarray], None], meets: bool) -> None:
        self.raised: list[BaseException] = []
        self.rows, address = _aligned_rows(1 + members)
        self.flags = self.rows[ROW:]
        self.parts = [_Part(work, self.rows, rank, meets) for rank in range(1, members)]
        self.size = 0  # of the team, once no more threads will be started
        self._work, self._meets = work, meets
        self._members = members  # wanted
        self._threads: list[int] = []
        self._begun = False
        self._wake = threading.Lock()
        self._wake.acquire()
        wake = self._wake.release
        self.rows[_WAKER] = id(wake)
        self.flags[ROW + CALL :: ROW] = list(map(id, self.parts))
        live: Any = partial(_live(None), address, id(MemoryError))
        live.kept = self.rows, self.parts, wake  # as long as a thread runs, which has only their addresses
        self._starts = repeat(live, members - 1)  # of the threads yet to be started

    def advance(self) -> None:
        """Does all that the caller has to do; called again after an exception, it goes on from there.

        An exception may come between any two bytecodes.  So what must happen once is a single C call or
        assignment that shows whether it has happened, and everything else may be repeated.
        """
        if not self.size:
            self._start()
            self.size = 1 + len(self._threads)
        self.rows[_SIZE] = self.size
        if not self._begun:
            self._begun = True
            self._work(member_of(0, self.size), self.flags)
        while self.rows[_ENDED] < self.size - 1:
            # Its own flag tells whether an exception came before the caller's compiled call or after it.
            if self._meets and self.flags[0] <= ASLEEP and self.flags[::ROW].any():
                self._work(member_of(0, self.size), self.flags)
            self._wake.acquire(timeout=_LOOK)

    def _start(self) -> None:
        try:
            self._threads.extend(map(start_new_thread, self._starts, repeat(())))
        except RuntimeError:
            if length_hint(self._starts) + len(self._threads) == self._members - 1:
                raise  # none was refused: a signal handler raised this

    def taken_errors(self) -> list[BaseException]:
        """Takes from the parts what threads have raised; not want of memory where the caller works alone."""
        alone = self._meets and self.rows[LOST] > 0
        errors = [part.error for part in self.parts]
        for part in self.parts:
            part.error = None
        return [error for error in errors if error and not (alone and isinstance(error, MemoryError))]


def _aligned_rows(count: int) -> tuple[np.ndarray, int]:
    """Makes rows of zeros that share no cache line with anything else, and tells their address."""
    room = np.zeros((count + 1) * ROW, np.int64)
    address = room.__array_interface__["data"][0]
    skipped = -(address // room.itemsize) % ROW
    return room[skipped : skipped + count * ROW], address + skipped * room.itemsize


# CPython's own functions.  An object is passed as its address and kept alive by whoever passes it.
_int, _object = types.intc, types.intp
_places = (types.CPointer(_object),) * 3  # of an exception's type, value and traceback
_leave_python = types.ExternalFunction("PyEval_SaveThread", types.intp())
_enter_python = types.ExternalFunction("PyEval_RestoreThread", types.void(types.intp))
_call = types.ExternalFunction("PyObject_CallNoArgs", _object(_object))
_decref = types.ExternalFunction("Py_DecRef", types.void(_object))  # also of NULL
_fetch = types.ExternalFunction("PyErr_Fetch", types.void(*_places))
_normalize = types.ExternalFunction("PyErr_NormalizeException", types.void(*_places))
_clear = types.ExternalFunction("PyErr_Clear", types.void())
_matches = types.ExternalFunction("PyErr_ExceptionMatches", _int(_object))
_set_traceback = types.ExternalFunction("PyException_SetTraceback", _int(_object, _object))
_limit = types.ExternalFunction("Py_GetRecursionLimit", _int())
_set_limit = types.ExternalFunction("Py_SetRecursionLimit", types.void(_int))
_len = types.ExternalFunction("PyList_Size", types.intp(_object))
_append = types.ExternalFunction("PyList_Append", _int(_object, _object))


@helper
def _rest_without_gil(tries: int) -> None:
    state = _leave_python()
    rest(tries)
    _enter_python(state)


@kernel(lambda key: types.void(_object, _object, _object[::1], _object), nogil=False)
def _call_until_it_returns(function: Any, raised: Any, error: Any, memory_error: Any) -> None:
    """Calls a Python function until it returns; appends the first exception that it raised to a list.

    No Python code can promise as much, because an exception may come between any two of its bytecodes, those
    of an exception handler included.  Here it can come out of the call alone.  The function has frames of
    its own to recurse into, for a RecursionError would come out of it each time.
    """
    _set_limit(_limit() + _FRAMES)
    result = 0
    while result == 0:
        result = _call(function)
        if result == 0:
            lacks_memory = _matches(memory_error) != 0
            _fetch(pointer(error, 0), pointer(error, 1), pointer(error, 2))
            _normalize(pointer(error, 0), pointer(error, 1), pointer(error, 2))
            if error[2] != 0:
                _set_traceback(error[1], error[2])
            if _len(raised) == 0:
                _append(raised, error[1])
            _clear()  # what these functions may have raised themselves
            for place in range(3):
                _decref(error[place])
            if lacks_memory:  # which others may free
                _rest_without_gil(SPINS)
    _decref(result)
    _set_limit(_limit() - _FRAMES)


@kernel(lambda key: types.void(types.intp, _object), nogil=False)
def _live(address: int, memory_error: Any) -> None:
    """A thread's life, told where its team's rows are: takes a rank, waits for the size, calls its part.

    No Python code can do this, because its first frame needs memory.  A thread that gets none stands back.
    A thread that `start_new_thread` has started although it raised is no member.  As it wakes the caller, it
    has the GIL and keeps it to its end; or else the caller would start the next before this one is gone.
    """
    team = numbers_at(address)
    rank = 1 + add_one(shift(team, _BEGUN))
    tries = 0
    while count_of(shift(team, _SIZE)) == 0:
        _rest_without_gil(tries)
        tries += 1
    size = count_of(shift(team, _SIZE))
    if rank >= size:
        return
    mine = shift(team, ROW * (1 + rank))
    part, waker = count_of(shift(mine, CALL)), count_of(shift(team, _WAKER))
    tries = 0
    while True:
        result = _call(part)
        has_failed = result == 0 and count_of(mine) <= ASLEEP and count_of(shift(mine, CALL)) != 0
        if not has_failed or tries == _TRIES or _matches(memory_error) == 0:
            break
        _clear()
        _rest_without_gil(SPINS)
        tries += 1
    if result == 0:
        _clear()
    _decref(result)
    if has_failed:
        add_one(shift(team, LOST))
        stand_back(shift(team, ROW), rank)
    if add_one(shift(team, _ENDED)) == size - 2:
        _decref(_call(waker))
