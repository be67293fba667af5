"""A team of threads: its members, their shares of a phase's work, and the barrier that keeps them in step.

A member is a Python thread inside one compiled call that holds no GIL.  Members own outputs, so nothing
is ever reduced across threads and the bits do not depend on how many there are.
"""

import platform
import sys
import threading
import time
from _thread import start_new_thread
from collections.abc import Callable, Sequence
from itertools import count, repeat
from operator import length_hint
from queue import SimpleQueue
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .jit import helper, kernel
from .vector import I32, I64, VOID, at, call, family, pointer, routine

_SPINS = 4096  # tries before a waiting member sleeps: some 100 us, far above a phase's imbalance
_GLANCE = 64  # tries between two checks of the CPUs that it and the other run on; a power of two
_NAP = 50  # microseconds of a sleep, on systems where nobody can be woken
# Every member has a row of int64s, two cache lines that nobody else writes: a flag for each round of a
# barrier, the nanoseconds that it has waited awake, and the number of its CPU plus 1.
_ROUNDS = 14  # of a barrier, at most
_WAITED = _ROUNDS
_CPU = _ROUNDS + 1
_ROW = _ROUNDS + 2
_ASLEEP = 1  # the bit of a flag that says that its reader sleeps
# The number of Linux's futex call, by machine, and two operations of it for threads of one process.
_FUTEX = {"x86_64": 202, "aarch64": 98}.get(platform.machine()) if sys.platform == "linux" else None
_WAIT, _WAKE = 128, 129
_MASK = 16  # words in the mask of a thread's CPUs, 64 CPUs each
_FRAMES = 100  # frames beyond the recursion limit that the caller's part of the work may take
WHOLE = 1 << 16  # parts into which a team divides its work
_LOOK = 0.01  # seconds between two checks by a waiting caller whether others wait for it
_TRIES = 1000  # of a member to begin its work where memory is short, as many milliseconds


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
_UNUSED, _NO_WAITS = np.zeros(_ROW, np.int64), np.zeros(1)  # the flags of a team of one, and its waiting


@helper
def share(units: int, member: Member) -> tuple[int, int]:
    """The units of a phase that are this member's: ``range(first, last)``."""
    return (units * member.begin + WHOLE // 2) // WHOLE, (units * member.end + WHOLE // 2) // WHOLE


# ---------------------------------------------------------------- the barrier


@intrinsic
def barrier(typingctx: Any, flags: Any, rank: Any, size: Any) -> Any:
    """Returns once every member has called it; what any of them wrote before is then visible to all.

    A dissemination barrier: in round r a member raises its flag and waits for the flag of the member 2^r
    ranks below it, so a team of n is through after log2(n) rounds, each the time that one cache line takes
    from core to core.  A flag holds twice the number of barriers passed, so none is ever lowered, and one
    more while the member that waits for it is asleep.

    New threads often begin on the CPU of the one that started them; so at the first barrier a member leaves a
    CPU on which it finds another.
    """

    def emit(b: ir.IRBuilder, flags: ir.Value, rank: ir.Value, size: ir.Value) -> None:
        mine = at(b, flags, b.mul(rank, I64(_ROW)))
        passed = b.add(b.or_(b.load(mine), I64(_ASLEEP)), I64(1))
        round_, distance = (cgutils.alloca_once_value(b, I64(first)) for first in (0, 1))
        begin, after = b.append_basic_block(), b.append_basic_block()
        b.cbranch(b.icmp_signed(">", size, I64(1)), begin, after)
        b.position_at_end(begin)
        other = b.sub(rank, b.load(distance))
        other = b.select(b.icmp_signed("<", other, I64(0)), b.add(other, size), other)
        other = at(b, flags, b.mul(other, I64(_ROW)))
        if _FUTEX is not None:
            first = b.icmp_signed("==", passed, I64(2))
            with b.if_then(first, likely=False), b.if_then(_together(b, mine, other)):
                _leave_cpu(b, mine)
        _raise(b, at(b, mine, b.load(round_)), passed)
        _wait_for(b, at(b, other, b.load(round_)), passed, mine, other)
        b.store(b.add(b.load(round_), I64(1)), round_)
        b.store(b.shl(b.load(distance), I64(1)), distance)
        b.cbranch(b.icmp_signed("<", b.load(distance), size), begin, after)
        b.position_at_end(after)

    i = types.int64
    arguments = [I64.as_pointer(), I64, I64]
    return call(lambda module: routine(module, "barrier", arguments, emit), (flags, i, i))


def _raise(b: ir.IRBuilder, flag: ir.Value, passed: ir.Value) -> None:
    """Sets a flag, and wakes whoever sleeps until then."""
    if _FUTEX is None:
        b.store_atomic(passed, flag, "release", 8)
        return
    before = b.atomic_rmw("xchg", flag, passed, "seq_cst")
    with b.if_then(b.trunc(before, ir.IntType(1)), likely=False):
        _futex(b, flag, _WAKE, I64(1))


def _wait_for(b: ir.IRBuilder, flag: ir.Value, passed: ir.Value, mine: ir.Value, other: ir.Value) -> None:
    """Waits until a flag of a member says that so many barriers are passed: spins, then sleeps.

    A member that waits for one on its own CPU sleeps at once, for spinning would only keep it away.  To see
    that, both leave the CPU that they are on in their rows.
    """
    spins, since = (cgutils.alloca_once_value(b, I64(0)) for _ in range(2))
    look, spin, after = (b.append_basic_block() for _ in range(3))
    b.branch(look)
    b.position_at_end(look)
    seen = b.load_atomic(flag, "acquire", 8)
    b.cbranch(b.icmp_signed(">=", seen, passed), after, spin)
    b.position_at_end(spin)
    now = b.add(b.load(spins), I64(1))
    b.store(now, spins)
    _pause(b)
    with b.if_then(b.icmp_signed("==", b.and_(now, I64(_GLANCE - 1)), I64(0)), likely=False):
        sleeps = b.icmp_signed(">=", now, I64(_SPINS))
        if _FUTEX is not None:
            with b.if_then(b.icmp_signed("==", b.load(since), I64(0))):
                b.store(_nanoseconds(b), since)
            sleeps = b.or_(sleeps, _together(b, mine, other))
        with b.if_then(sleeps):
            _add_waited(b, mine, since, passed)
            _sleep(b, flag, seen)
            b.store(I64(0), since)
    b.branch(look)
    b.position_at_end(after)
    _add_waited(b, mine, since, passed)


def _add_waited(b: ir.IRBuilder, mine: ir.Value, since: ir.Value, passed: ir.Value) -> None:
    """Adds the time since the clock was read, if it was; not at the first barrier: threads are starting."""
    looked = b.icmp_signed("!=", b.load(since), I64(0))
    with b.if_then(b.and_(looked, b.icmp_signed(">", passed, I64(2))), likely=False):
        place = at(b, mine, I64(_WAITED))
        b.store(b.add(b.load(place), b.sub(_nanoseconds(b), b.load(since))), place)


def _nanoseconds(b: ir.IRBuilder) -> ir.Value:
    """Reads a clock that only advances; on Linux alone."""
    time = cgutils.alloca_once(b, I64, 2)
    declared = ir.FunctionType(I32, [I32, I64.as_pointer()])
    function = cgutils.get_or_insert_function(b.module, declared, "clock_gettime")
    b.call(function, [I32(1), time])
    return b.add(b.mul(b.load(time), I64(10**9)), b.load(at(b, time, 1)))


def _together(b: ir.IRBuilder, mine: ir.Value, other: ir.Value) -> ir.Value:
    """Tells the member's CPU in its row; whether the other, when it told its own, was there as well."""
    cpu = b.add(b.sext(_call_c(b, "sched_getcpu"), I64), I64(1))
    b.store_atomic(cpu, at(b, mine, I64(_CPU)), "monotonic", 8)
    same = b.icmp_signed("==", cpu, b.load_atomic(at(b, other, I64(_CPU)), "monotonic", 8))
    return b.and_(same, b.icmp_signed(">", cpu, I64(0)))


def _leave_cpu(b: ir.IRBuilder, mine: ir.Value) -> None:
    """Moves this thread to any other CPU that it may use; it stays free to be moved again."""
    mask = cgutils.alloca_once(b, I64, _MASK)
    declared = ir.FunctionType(I32, [I32, I64, I64.as_pointer()])
    arguments = [I32(0), I64(8 * _MASK), mask]

    def affinity(name: str) -> ir.Value:
        return b.call(cgutils.get_or_insert_function(b.module, declared, name), arguments)

    known = b.icmp_signed("==", affinity("sched_getaffinity"), I32(0))
    with b.if_then(known):
        cpu = b.sub(b.load(at(b, mine, I64(_CPU))), I64(1))
        word = at(b, mask, b.lshr(cpu, I64(6)))
        all_ = b.load(word)
        b.store(b.and_(all_, b.not_(b.shl(I64(1), b.and_(cpu, I64(63))))), word)
        affinity("sched_setaffinity")
        b.store(all_, word)
        affinity("sched_setaffinity")


def _sleep(b: ir.IRBuilder, flag: ir.Value, seen: ir.Value) -> None:
    """Leaves the CPU to others until the flag is raised, or for a while."""
    if _FUTEX is not None:
        asleep = b.or_(seen, I64(_ASLEEP))
        b.cmpxchg(flag, seen, asleep, "seq_cst")
        _futex(b, flag, _WAIT, b.and_(asleep, I64(0xFFFFFFFF)))
    elif sys.platform == "win32":
        _call_c(b, "SwitchToThread")
    else:
        _call_c(b, "usleep", I32(_NAP))


def _futex(b: ir.IRBuilder, flag: ir.Value, operation: int, value: ir.Value) -> None:
    """Linux's own: sleeps while the flag's lower half has a value, or wakes so many that do."""
    declared = ir.FunctionType(I64, [I64], var_arg=True)
    function = cgutils.get_or_insert_function(b.module, declared, "syscall")
    b.call(function, [I64(_FUTEX), flag, I64(operation), value, I64(0), I64(0), I64(0)])


def _pause(b: ir.IRBuilder) -> None:
    """Tells the core that this is a spin loop."""
    target = family(b.module.triple)
    if target == "x86":
        hint = ir.FunctionType(VOID, []), "llvm.x86.sse2.pause", []
    elif target == "arm":
        hint = ir.FunctionType(VOID, [I32]), "llvm.aarch64.hint", [I32(1)]
    else:
        return
    declaration, name, arguments = hint
    b.call(cgutils.get_or_insert_function(b.module, declaration, name), arguments)


def _call_c(b: ir.IRBuilder, name: str, *arguments: ir.Value) -> ir.Value:
    """Calls a function of the C library that returns an int."""
    declared = ir.FunctionType(I32, [argument.type for argument in arguments])
    return b.call(cgutils.get_or_insert_function(b.module, declared, name), arguments)


# ---------------------------------------------------------------- the threads


def run(members: int, work: Callable[[Member, np.ndarray], None]) -> np.ndarray:
    """Calls ``work(member, flags)`` on every member of a new team and returns when all are done.

    Returns the seconds that each has waited for others, awake: one that is kept waiting for long sleeps, for
    then another program has the CPU of whom it waits for.

    `work` may make one compiled call that uses the barrier.  The caller is the member of rank 0, so that one
    core has its member already and the system places one thread less: two new threads now and then both
    began on the same core.  Where the system refuses a thread, the team is smaller.

    Whatever is raised meanwhile, say by a signal handler, and however often: either no member has begun, or
    all have ended and the first exception is raised.
    """
    if members == 1:
        work(_ALONE, _UNUSED)
        return _NO_WAITS
    team = _Team(members, work)
    advance, raised = team.advance, team.raised  # kept alive here: compiled code has only their addresses
    _call_until_it_returns(None)(id(advance), id(raised), np.zeros(3, np.intp))
    if raised:
        raise raised.pop(0)
    return 1e-9 * team._flags.reshape(members, _ROW)[: team._size, _WAITED]


class _Team:
    """The state of one call of `run`."""

    def __init__(self, members: int, work: Callable[[Member, np.ndarray], None]) -> None:
        self.raised: list[BaseException] = []
        self._work = work
        self._flags = np.zeros(members * _ROW, np.int64)
        self._members = members  # wanted
        self._starts = repeat((), members - 1)  # arguments of the threads yet to be started
        self._threads: list[int] = []
        self._size = 0  # of the team, once no more threads will be started
        self._gate: SimpleQueue[int] = SimpleQueue()  # where members wait for that size
        self._ranks, self._ended = count(1), count(1)
        self._begun = self._done = False
        self._wake = threading.Lock()
        self._wake.acquire()

    def advance(self) -> None:
        """Does all that the caller has to do; called again after an exception, it goes on from there.

        An exception may come between any two bytecodes.  So what must happen once is a single C call or
        assignment that shows whether it has happened, and everything else may be repeated.
        """
        if not self._size:
            self._start()
            self._size = 1 + len(self._threads)
        for _ in range(self._members):
            self._gate.put(self._size)
        if not self._begun:
            self._begun = True
            self._work(member_of(0, self._size), self._flags)
        while self._size > 1 and not self._done:
            # Its own flag tells whether an exception came before the caller's compiled call or after it.
            if self._flags[0] <= _ASLEEP and self._flags.any():
                self._work(member_of(0, self._size), self._flags)
            self._wake.acquire(timeout=_LOOK)

    def _start(self) -> None:
        try:
            self._threads.extend(map(start_new_thread, repeat(self._live), self._starts))
        except RuntimeError:
            if length_hint(self._starts) + len(self._threads) == self._members - 1:
                raise  # none was refused: a signal handler raised this

    def _live(self) -> None:
        """A thread's work.  Nothing interrupts it: signal handlers run in the main thread only."""
        size, rank = self._gate.get(), next(self._ranks)
        if rank >= size:
            return  # this thread was started, but `start_new_thread` raised all the same
        member = member_of(rank, size)
        try:
            self._begin(member)
        except BaseException as error:
            self.raised.append(error)
        if next(self._ended) == member.size - 1:
            self._done = True
            self._wake.release()

    def _begin(self, member: Member) -> None:
        """Does a member's work; where memory is short it tries again, for others would wait for it."""
        for _ in range(_TRIES):
            try:
                self._work(member, self._flags)
                return
            except MemoryError:
                if self._flags[member.rank * _ROW] > _ASLEEP:  # it has met the others
                    raise
                time.sleep(0.001)
        self._work(member, self._flags)


# CPython's own functions.  An object is passed as its address and kept alive by whoever passes it.
_int, _object = types.intc, types.intp
_places = (types.CPointer(_object),) * 3  # of an exception's type, value and traceback
_gil_ensure = types.ExternalFunction("PyGILState_Ensure", _int())
_gil_release = types.ExternalFunction("PyGILState_Release", types.void(_int))
_call = types.ExternalFunction("PyObject_CallNoArgs", _object(_object))
_decref = types.ExternalFunction("Py_DecRef", types.void(_object))  # also of NULL
_fetch = types.ExternalFunction("PyErr_Fetch", types.void(*_places))
_normalize = types.ExternalFunction("PyErr_NormalizeException", types.void(*_places))
_clear = types.ExternalFunction("PyErr_Clear", types.void())
_set_traceback = types.ExternalFunction("PyException_SetTraceback", _int(_object, _object))
_limit = types.ExternalFunction("Py_GetRecursionLimit", _int())
_set_limit = types.ExternalFunction("Py_SetRecursionLimit", types.void(_int))
_len = types.ExternalFunction("PyList_Size", types.intp(_object))
_append = types.ExternalFunction("PyList_Append", _int(_object, _object))


@kernel(lambda key: types.void(_object, _object, _object[::1]))
def _call_until_it_returns(function: Any, raised: Any, error: Any) -> None:
    """Calls a Python function until it returns; appends the first exception that it raised to a list.

    No Python code can promise as much, because an exception may come between any two of its bytecodes, those
    of an exception handler included.  Here it can come out of the call alone.  The function has frames of
    its own to recurse into, for a RecursionError would come out of it each time.
    """
    gil = _gil_ensure()
    _set_limit(_limit() + _FRAMES)
    result = 0
    while result == 0:
        result = _call(function)
        if result == 0:
            _fetch(pointer(error, 0), pointer(error, 1), pointer(error, 2))
            _normalize(pointer(error, 0), pointer(error, 1), pointer(error, 2))
            if error[2] != 0:
                _set_traceback(error[1], error[2])
            if _len(raised) == 0:
                _append(raised, error[1])
            _clear()  # what these functions may have raised themselves
            for place in range(3):
                _decref(error[place])
    _decref(result)
    _set_limit(_limit() - _FRAMES)
    _gil_release(gil)
