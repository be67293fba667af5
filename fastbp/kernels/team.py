"""A team of threads: its members, their shares of a phase's work, the barrier where they meet.

A member is a Python thread inside one compiled call that holds no GIL.  Members own outputs, so nothing
is ever reduced across threads and the bits do not depend on how many there are.
"""

import os
import sys
import threading
from _thread import start_new_thread
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .jit import inlined
from .vector import I32, I64, VOID, at, call, routine

_SPINS = 4000  # before the CPU is offered to others: some 20 us, far above a phase's imbalance
_YIELDS = 50  # before it is left to them: a member that shares its CPU with another process is then moved
_NAP = 50  # us
_FLAGS = 16  # int64 numbers of one member at a barrier, one a round: two cache lines that only it writes


class Member(NamedTuple):
    rank: int
    size: int  # of the team


@inlined
def share(units: int, member: Member) -> tuple[int, int]:
    """The units of a phase that are this member's: ``range(first, last)``."""
    return units * member.rank // member.size, units * (member.rank + 1) // member.size


def _pause(b: ir.IRBuilder) -> None:
    """Tells the core that this is a spin."""
    target = b.module.triple.split("-")[0]
    if target == "x86_64":
        hint = ir.FunctionType(VOID, []), "llvm.x86.sse2.pause", []
    elif target in ("aarch64", "arm64"):
        hint = ir.FunctionType(VOID, [I32]), "llvm.aarch64.hint", [I32(1)]
    else:
        return
    declaration, name, arguments = hint
    b.call(cgutils.get_or_insert_function(b.module, declaration, name), arguments)


def _yield_cpu(b: ir.IRBuilder) -> None:
    _call_c(b, "SwitchToThread" if sys.platform == "win32" else "sched_yield")


def _call_c(b: ir.IRBuilder, name: str, *arguments: ir.Value) -> None:
    """Calls a function of the C library that returns an int."""
    declared = ir.FunctionType(I32, [argument.type for argument in arguments])
    b.call(cgutils.get_or_insert_function(b.module, declared, name), arguments)


@intrinsic
def barrier(typingctx: Any, flags: Any, rank: Any, size: Any) -> Any:
    """Returns when all members have called it; what they wrote before is then seen by all.

    A dissemination barrier: in round r a member raises a flag and waits for that of the member 2^r before
    it, so n members know of all after log2(n) rounds, each of one cache line's way from core to core.
    Flags count the meetings, so none is ever lowered.
    """

    def emit(b: ir.IRBuilder, flags: ir.Value, number: ir.Value, members: ir.Value) -> None:
        mine = at(b, flags, b.mul(number, I64(_FLAGS)))
        now = b.add(b.load(mine), I64(1))
        flag, distance = (cgutils.alloca_once_value(b, I64(first)) for first in (0, 1))
        begin, after = b.append_basic_block(), b.append_basic_block()
        b.cbranch(b.icmp_signed(">", members, I64(1)), begin, after)
        b.position_at_end(begin)
        b.store_atomic(now, at(b, mine, b.load(flag)), "release", 8)
        other = b.sub(number, b.load(distance))
        other = b.select(b.icmp_signed("<", other, I64(0)), b.add(other, members), other)
        _wait_for(b, at(b, flags, b.add(b.mul(other, I64(_FLAGS)), b.load(flag))), now)
        b.store(b.add(b.load(flag), I64(1)), flag)
        b.store(b.shl(b.load(distance), I64(1)), distance)
        b.cbranch(b.icmp_signed("<", b.load(distance), members), begin, after)
        b.position_at_end(after)

    i = types.int64
    arguments = [I64.as_pointer(), I64, I64]
    return call(lambda module: routine(module, "barrier", arguments, emit), (flags, i, i))


def _wait_for(b: ir.IRBuilder, flag: ir.Value, number: ir.Value) -> None:
    """Until the flag is at least that number."""
    spins = cgutils.alloca_once(b, I64)
    b.store(I64(0), spins)
    look, spin, after = (b.append_basic_block() for _ in range(3))
    b.branch(look)
    b.position_at_end(look)
    b.cbranch(b.icmp_signed(">=", b.load_atomic(flag, "acquire", 8), number), after, spin)
    b.position_at_end(spin)
    b.store(b.add(b.load(spins), I64(1)), spins)
    _pause(b)
    with b.if_then(b.icmp_signed(">", b.load(spins), I64(_SPINS)), likely=False):
        _yield_cpu(b)
    if sys.platform != "win32":
        with b.if_then(b.icmp_signed(">", b.load(spins), I64(_SPINS + _YIELDS)), likely=False):
            _call_c(b, "usleep", I32(_NAP))
    b.branch(look)
    b.position_at_end(after)


def cpus() -> int:
    """CPUs this process may use: FASTBP_NUM_THREADS, else its affinity and its control group's quota."""
    wanted = os.environ.get("FASTBP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted) > 0:
        return int(wanted)
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
        if quota != "max":
            available = min(available, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass
    return available


def run(members: int, work: Callable[[Member, np.ndarray], None]) -> None:
    """Calls ``work(member, flags)`` on every member of a new team and returns when all are done.

    The caller is member 0, so that one core has its member already and the system places one thread less:
    two new threads both began on the same core of two now and then.
    Where the system refuses a thread, the team is smaller.  An interrupt is raised when all are done.
    """
    flags = np.zeros(members * _FLAGS, np.int64)
    gates: list[threading.Lock] = []  # a closed one for every other member, opened when the team is complete
    ends: list[threading.Lock] = []  # likewise, opened by the member when it is done
    done: set[int] = set()
    raised: list[BaseException] = []

    def live(number: int, gate: threading.Lock, end: threading.Lock) -> None:
        gate.acquire()
        try:
            if number <= len(ends):  # else it was called off
                work(Member(number, 1 + len(ends)), flags)
        except BaseException as error:
            raised.append(error)
        finally:
            done.add(number)
            end.release()

    try:
        for number in range(1, members):
            gate, end = _closed(), _closed()
            gates.append(gate)
            start_new_thread(live, (number, gate, end))  # Thread.start can be interrupted half-way
            ends.append(end)
    except RuntimeError:
        pass
    except BaseException:
        ends.clear()
        _open(gates)
        raise
    if not ends:
        _open(gates)
        work(Member(0, 1), flags)
        return
    _take_part(gates, lambda: work(Member(0, 1 + len(ends)), flags), flags, raised)
    _wait(ends, done, raised)
    if raised:
        raise raised[0]


def _closed() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


def _open(gates: list[threading.Lock]) -> None:
    for gate in gates:
        if gate.locked():  # perhaps by its member, on its way: once more does no harm
            gate.release()


def _take_part(
    gates: list[threading.Lock],
    work: Callable[[], None],
    flags: np.ndarray,
    raised: list[BaseException],
) -> None:
    """Lets the others begin and does the caller's part, through interrupts: they wait for it at a barrier.

    An interrupt comes before the compiled call, or after all of it: its own flag at the barrier tells.  Work
    that never meets is then done again.
    """
    while True:
        try:
            _open(gates)
            if not flags[0]:
                work()
            return
        except KeyboardInterrupt as interrupt:
            raised.append(interrupt)
        except BaseException as error:
            raised.append(error)
            return


def _wait(ends: list[threading.Lock], done: set[int], raised: list[BaseException]) -> None:
    """Waits for every member, through interrupts.

    Not by ``Thread.join``: interrupted, that of Python 3.11 takes a running thread for one that has ended.
    """
    for number, end in enumerate(ends, 1):
        while number not in done:
            try:
                end.acquire()
            except KeyboardInterrupt as interrupt:
                raised.append(interrupt)
