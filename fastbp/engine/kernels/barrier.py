"""The barrier that keeps the members of a team in step, made of atomics in memory that they share.

That memory is a row of int64s for the team and one for each member, two cache lines that nobody else writes
while they work: a flag for each round of a barrier, the nanoseconds that the member has waited awake, the
number of its CPU plus 1, and what `team` keeps there.  Kernels get the `flags`, the members' rows alone.
"""

import platform
import sys
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .jit import helper
from .vector import I32, I64, VOID, at, call, family, routine, shift

SPINS = 4096  # tries before one that waits sleeps: some 100 us, far above a phase's imbalance
_GLANCE = 64  # tries between two checks of the CPUs that it and the other run on; a power of two
_NAP = 50  # microseconds of a sleep where nobody can be woken
_ROUNDS = 13  # of a barrier, at most
WAITED, _CPU, CALL = _ROUNDS, _ROUNDS + 1, _ROUNDS + 2
ROW = _ROUNDS + 3
LOST = 0  # in the team's row, which lies before the others: how many members stood back
ASLEEP = 1  # the bit of a flag that says that its reader sleeps
# The number of Linux's futex call, by machine, and two operations of it for threads of one process.
FUTEX = {"x86_64": 202, "aarch64": 98}.get(platform.machine()) if sys.platform == "linux" else None
_WAIT, _WAKE = 128, 129
_MASK = 16  # words in the mask of a thread's CPUs, 64 CPUs each


@intrinsic
def barrier(typingctx: Any, flags: Any, rank: Any, size: Any) -> Any:
    """Returns once every member has called it; what any of them wrote before is then visible to all.

    The first barrier of a team is `assembled`, at which a member may stand back.

    A dissemination barrier: in round r a member raises its flag and waits for the flag of the member 2^r
    ranks below it, so a team of n is through after log2(n) rounds, each the time that one cache line takes
    from core to core.  A flag holds twice the number of barriers passed, so none is ever lowered, and one
    more while the member that waits for it is asleep.

    New threads often begin on the CPU of the one that started them; so at the first barrier a member leaves a
    CPU on which it finds another.
    """

    def emit(b: ir.IRBuilder, flags: ir.Value, rank: ir.Value, size: ir.Value) -> None:
        round_, distance = (cgutils.alloca_once_value(b, I64(first)) for first in (0, 1))
        several, begin, after = (b.append_basic_block() for _ in range(3))
        b.cbranch(b.icmp_signed(">", size, I64(1)), several, after)  # one member has no flags
        b.position_at_end(several)
        mine = at(b, flags, b.mul(rank, I64(ROW)))
        passed = b.add(b.or_(b.load_atomic(mine, "monotonic", 8), I64(ASLEEP)), I64(1))
        b.branch(begin)
        b.position_at_end(begin)
        other = b.sub(rank, b.load(distance))
        other = b.select(b.icmp_signed("<", other, I64(0)), b.add(other, size), other)
        other = at(b, flags, b.mul(other, I64(ROW)))
        if FUTEX is not None:
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
    if FUTEX is None:
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
        sleeps = b.icmp_signed(">=", now, I64(SPINS))
        if FUTEX is not None:
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
        place = at(b, mine, I64(WAITED))
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
    if FUTEX is not None:
        asleep = b.or_(seen, I64(ASLEEP))
        b.cmpxchg(flag, seen, asleep, "seq_cst")
        _futex(b, flag, _WAIT, b.and_(asleep, I64(0xFFFFFFFF)))
    else:
        _nap(b)


def _futex(b: ir.IRBuilder, flag: ir.Value, operation: int, value: ir.Value) -> None:
    """Linux's own: sleeps while the flag's lower half has a value, or wakes so many that do."""
    declared = ir.FunctionType(I64, [I64], var_arg=True)
    function = cgutils.get_or_insert_function(b.module, declared, "syscall")
    b.call(function, [I64(FUTEX), flag, I64(operation), value, I64(0), I64(0), I64(0)])


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


def _nap(b: ir.IRBuilder) -> None:
    """Leaves the CPU to others for a moment."""
    if sys.platform == "win32":
        _call_c(b, "SwitchToThread")
    else:
        _call_c(b, "usleep", I32(_NAP))


# ---------------------------------------------------------------- who takes part


@helper
def assembled(flags: Any, rank: int, size: int) -> bool:
    """Meets all members for the first time; tells whether all have come, or else nobody may begin."""
    if size == 1:
        return True
    barrier(flags, rank, size)
    return count_of(shift(flags, LOST - ROW)) == 0


@intrinsic
def stand_back(typingctx: Any, flags: Any, rank: Any) -> Any:
    """Lets the others through the first barrier, at which this member will not come."""

    def emit(b: ir.IRBuilder, flags: ir.Value, rank: ir.Value) -> None:
        for round_ in range(_ROUNDS):
            _raise(b, at(b, flags, b.add(b.mul(rank, I64(ROW)), I64(round_))), I64(2))

    arguments = [I64.as_pointer(), I64]
    return call(lambda module: routine(module, "stand_back", arguments, emit), (flags, types.int64))


@intrinsic
def add_one(typingctx: Any, counter: Any) -> Any:
    """Adds 1 to a number that threads share; returns what it was."""

    def emit(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        return b.atomic_rmw("add", arguments[0], I64(1), "seq_cst")

    return types.int64(counter), emit


@intrinsic
def count_of(typingctx: Any, counter: Any) -> Any:
    """Reads a number that threads share."""

    def emit(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        return b.load_atomic(arguments[0], "acquire", 8)

    return types.int64(counter), emit


@intrinsic
def numbers_at(typingctx: Any, address: Any) -> Any:
    """The int64s in memory at an address."""

    def emit(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        return b.inttoptr(arguments[0], I64.as_pointer())

    return types.CPointer(types.int64)(types.intp), emit


@intrinsic
def rest(typingctx: Any, tries: Any) -> Any:
    """Waits between two tries, the number of which tells whether to spin or to sleep."""

    def emit(b: ir.IRBuilder, tries: ir.Value) -> None:
        with b.if_else(b.icmp_signed("<", tries, I64(SPINS))) as (spins, sleeps):
            with spins:
                _pause(b)
            with sleeps:
                _nap(b)

    return call(lambda module: routine(module, "rest", [I64], emit), (types.int64,))
