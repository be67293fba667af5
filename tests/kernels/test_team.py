"""The team: shares, one call per member, and either a whole team or none, whatever is raised and wherever.

A team that is left half done waits in compiled code for ever, so that is looked for in other processes.
"""

import _thread
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numba
import numpy as np
import pytest

import fastbp
from fastbp.engine.kernels import barrier as barriers
from fastbp.engine.kernels import team
from fastbp.engine.kernels.barrier import ASLEEP, FUTEX, ROW, assembled, barrier
from fastbp.engine.kernels.team import member_of
from fastbp.engine.kernels.vector import pointer
from fastbp.engine.machine import cpus

POSIX = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers")

TESTS = Path(__file__).parent


@numba.njit("void(int64[::1], int64[:, ::1], int64, int64)", nogil=True)
def meet(flags, met, rank, size):
    """Counts this call in the member's own row, and there, after a barrier, the calls of all."""
    if not assembled(pointer(flags, 0), rank, size):
        return
    met[rank, 0] += 1
    barrier(pointer(flags, 0), rank, size)
    for other in range(size):
        met[rank, 1] += met[other, 0]
    barrier(pointer(flags, 0), rank, size)


class Work:
    """Work that meets at barriers; the caller's fails `failures` times before it gets there."""

    def __init__(self, members, failures=0, error=None):
        self.met = np.zeros((members, 2), np.int64)
        self.failures, self.error = failures, error

    def __call__(self, member, flags):
        if member.rank == 0 and self.failures:
            self.failures -= 1
            raise self.error
        meet(flags, self.met, member.rank, member.size)

    def members(self):
        """Asserts that each member took part once, with all the others; returns their number."""
        size = np.count_nonzero(self.met[:, 0])
        assert self.met.tolist() == [[1, size]] * size + [[0, 0]] * (len(self.met) - size)
        return size


OTHERS = _thread._count()  # threads of this process, such as those by which a worker of pytest-xdist reads


def wait_for_threads(others=OTHERS):
    """Waits until the threads of a team have ended; their last few bytecodes come after `run`."""
    deadline = time.monotonic() + 10
    while _thread._count() > others:
        assert time.monotonic() < deadline, "a member has not ended"
        time.sleep(1e-4)


def in_another_process(statement, seconds=120, **environment):
    """Runs a statement of this file's names under a watchdog, with `meet` compiled beforehand."""
    path = os.pathsep.join(map(str, (Path(fastbp.__file__).parents[1], TESTS, TESTS.parent / "support")))
    program = f"from test_team import *\nteam.run(2, Work(2))\n{statement}"
    environment = {**os.environ, "PYTHONPATH": path, **environment}
    subprocess.run([sys.executable, "-c", program], env=environment, timeout=seconds, check=True)


# ---------------------------------------------------------------- shares, sizes


@numba.njit
def share(units, member):
    return team.share(units, member)


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_shares_are_all_the_work_once(size):
    for units in (0, 1, 2, 3, 7, 64, 1001):
        shares = [range(*share(units, member_of(rank, size))) for rank in range(size)]
        assert [unit for units_of_one in shares for unit in units_of_one] == list(range(units))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("variable", [None, "3", "1000000000"])
def test_any_number_of_threads_may_be_asked_for(variable, monkeypatch):
    """A team takes as many as make sense; each starts one thread less, for the caller is a member."""
    if variable is None:
        monkeypatch.delenv("FASTBP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("FASTBP_NUM_THREADS", variable)
    sizes, real = [1], team._Team
    monkeypatch.setattr(team, "_Team", lambda members, *rest: sizes.append(members) or real(members, *rest))
    X, options = np.random.default_rng(0).normal(size=(50, 5)), {"epochs": 1, "batch_size": 50}
    fastbp.Network([5, 4, 2], seed=0).fit(X, X[:, :2], learning_rate=0.1, threads=10**9, **options)
    assert max(sizes) == cpus() <= 4 * os.cpu_count()


# ---------------------------------------------------------------- one call per member


@pytest.mark.parametrize("members", [1, 2, 5])
def test_every_member_is_called_once(members):
    called, work = [], Work(members)
    team.run(members, lambda member, flags: called.append((member.rank, member.size)))
    assert sorted(called) == [(rank, members) for rank in range(members)]
    team.run(members, work)
    assert work.members() == members
    wait_for_threads()


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_of_a_member_reaches_the_caller(failing):
    called = []

    def work(member, flags):
        called.append(member.rank)
        if member.rank == failing:
            raise ZeroDivisionError(f"member {failing}")

    with pytest.raises(ZeroDivisionError, match=f"member {failing}"):
        team.run(3, work)
    assert sorted(called) == [0, 1, 2]  # none again: nobody waits for the one that failed


def team_that_lacks_memory(members, times):
    work, lacks = Work(members), [MemoryError()] * times

    def begin(member, flags):
        if member.rank == 1 and lacks:
            raise lacks.pop()
        work(member, flags)

    team.run(members, begin)
    assert work.members() == (members if not lacks else 1)


def test_a_member_that_lacks_memory_at_first_begins_all_the_same():
    in_another_process("for members in (2, 3, 5): team_that_lacks_memory(members, 3)")


def test_the_caller_works_alone_where_a_member_finds_no_memory():
    in_another_process("for members in (2, 3, 5): team_that_lacks_memory(members, 10**6)")


def team_of_which_one_fails(members):
    work = Work(members)

    def begin(member, flags):
        if member.rank == 1:
            raise ZeroDivisionError
        work(member, flags)

    with pytest.raises(ZeroDivisionError):
        team.run(members, begin)
    assert not work.met.any()


def test_nobody_begins_where_a_member_fails_before_it_meets_the_others():
    in_another_process("for members in (2, 3, 5): team_of_which_one_fails(members)")


def test_work_without_a_barrier_is_not_begun_again():
    """A part of it may be done, which nobody waits for."""
    called = []

    def work(member, flags):
        called.append(member.rank)
        if member.rank == 1:
            raise MemoryError

    with pytest.raises(MemoryError):
        team.run(2, work, meets=False)
    assert sorted(called) == [0, 1]


def test_work_without_a_barrier_is_done_alone_where_a_thread_finds_no_memory(monkeypatch):
    """The caller's part is done; it does not do it again while another thread still works."""
    real, called = team._Part.__call__, []

    def lacking(part):
        if part._rank == 1:
            raise MemoryError
        time.sleep(0.1)
        real(part)

    monkeypatch.setattr(team._Part, "__call__", lacking)
    team.run(3, lambda member, flags: called.append((member.rank, member.size)), meets=False)
    assert sorted(called) == [(0, 1), (0, 3), (2, 3)]


def teams_without_memory():
    """The stacks of threads that have ended are there, and little else."""
    import resource

    for members in (2, 3):
        team.run(members, Work(members))
    wait_for_threads()
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size, -1))
    alone = 0
    for _ in range(20):
        work = Work(3)
        team.run(3, work)
        alone += work.members() == 1
    assert alone, "there was memory"


@pytest.mark.survives("little memory")
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no limit on memory")
def test_teams_without_memory_for_a_frame():
    in_another_process("teams_without_memory()")


def test_an_error_of_all_members_reaches_the_caller_once():
    def work(member, flags):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        team.run(3, work)
    assert caught.value.__context__ is None


def failing_start(number, error, begun=False):
    """Replaces `start_new_thread`; its call `number` raises, after the thread has begun or without one."""
    start, calls = _thread.start_new_thread, iter(range(10**6))

    def failing(*arguments):
        now = next(calls)
        if now != number or begun:
            start(*arguments)
        if now == number:
            raise error

    return failing


@pytest.mark.parametrize("refused", [0, 1, 2])
def test_a_team_is_smaller_where_a_thread_is_refused(refused, monkeypatch):
    refusing = failing_start(refused, RuntimeError("can't start new thread"))
    monkeypatch.setattr(team, "start_new_thread", refusing)
    work = Work(4)
    team.run(4, work)
    assert work.members() == 1 + refused


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("begun", [False, True])
def test_a_thread_that_may_have_started_is_no_member(number, begun, error, monkeypatch):
    """No member may be told of fewer members than there are: its share would lie outside the arrays."""
    monkeypatch.setattr(team, "start_new_thread", failing_start(number, error, begun))
    work = Work(3)
    with pytest.raises(error):
        team.run(3, work)
    assert work.members() == 2
    wait_for_threads()


# ---------------------------------------------------------------- the barrier


@numba.njit(nogil=True)
def meet_often(flags, met, times, rank, size):
    """Barrier after barrier, each member counts the rounds of which another had not yet come to this one."""
    for turn in range(1, times + 1):
        met[rank, 0] = turn
        barrier(pointer(flags, 0), rank, size)
        for other in range(size):
            met[rank, 1] += met[other, 0] != turn
        barrier(pointer(flags, 0), rank, size)


def barriers_on_one_cpu(members, times):
    """On one CPU no member runs while another spins, so each must sleep and be woken at every barrier."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    met = np.zeros((members, 2), np.int64)
    meet_often(np.zeros(ROW, np.int64), met, 0, 0, 1)  # compiles it
    begin = time.monotonic()
    team.run(members, lambda member, flags: meet_often(flags, met, times, member.rank, member.size))
    assert met.tolist() == [[times, 0]] * members
    print((time.monotonic() - begin) / times)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity of threads")
def test_barriers_on_one_cpu():
    in_another_process("for members in (2, 3, 5): barriers_on_one_cpu(members, 2000)")


@pytest.mark.parametrize("late", [0, 1, 2])
def test_a_member_that_comes_late_finds_the_others_waiting(late):
    """The member comes long after the others have stopped spinning."""
    work = Work(3)

    def sleepy(member, flags):
        if member.rank == late:
            time.sleep(0.05)
        work(member, flags)

    team.run(3, sleepy)
    assert work.members() == 3


@numba.njit(nogil=True)
def pass_barrier(flags, rank, size):
    barrier(pointer(flags, 0), rank, size)


@pytest.mark.skipif(FUTEX is None, reason="members do not tell")
def test_a_team_tells_who_has_waited():
    """One comes to the second barrier when it has seen the other wait there, however long that takes."""

    def work(member, flags):
        pass_barrier(flags, member.rank, member.size)
        first, second = flags.reshape(2, ROW)
        if member.rank:
            while first[0] < 4:  # twice the barriers that it has come to
                time.sleep(0)
            first[barriers._CPU] = 0
            while not first[barriers._CPU] and not second[0] & ASLEEP:  # it tells its CPU as it waits
                time.sleep(0)
        pass_barrier(flags, member.rank, member.size)

    pass_barrier(np.zeros(ROW, np.int64), 0, 1)  # compiles it
    for _ in range(20):
        waited = team.run(2, work)
        assert waited[0] > 0 == waited[1]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinity of threads")
def test_a_team_leaves_the_callers_affinity_as_it_was():
    before = os.sched_getaffinity(0)
    for _ in range(50):
        team.run(3, Work(3))
    assert os.sched_getaffinity(0) == before


# ---------------------------------------------------------------- a whole team or none


class Injected(BaseException):
    pass


class Tracer:
    """A trace function that raises at one opcode of what it traces."""

    def __init__(self, opcode, error):
        self.left, self.error = opcode, error

    def __call__(self, frame, event, arg):
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            self.left -= 1
            if self.left < 0:
                raise self.error
        return self

    def fired(self):
        return self.left < 0


def run_with(opcodes, work, error=Injected):
    """Runs a team and raises at so many opcodes: from its beginning, and from each beginning anew of its
    caller's part.  Returns whether any was reached.
    """
    tracers = [Tracer(opcode, error) for opcode in opcodes]
    again = iter([None, *tracers[1:]])

    def advance(self):
        tracer = next(again, None)
        if tracer:
            sys.settrace(tracer)
        real(self)

    failures, real, team._Team.advance = work.failures, team._Team.advance, advance
    try:
        sys.settrace(tracers[0])
        team.run(len(work.met), work)
        reached = None
    except error as caught:
        reached = caught
    finally:
        sys.settrace(None)
        team._Team.advance = real
    wait_for_threads()
    work.members()
    raised = any(tracer.fired() for tracer in tracers)
    assert (reached is not None) == (raised or work.failures < failures), "the exception is lost"
    return raised


def at_every_opcode(members, failures, error, refused=None):
    """One exception at each opcode, on top of those that the caller's work raises by itself."""
    team._LOOK = 1e-4
    opcode = reached = missed = 0
    while missed < 20:  # beyond the last; few runs are shorter than others
        if refused is not None:
            team.start_new_thread = failing_start(refused, RuntimeError("can't start new thread"))
        if run_with([opcode], Work(members, failures, error), error):
            reached, missed = reached + 1, 0
        else:
            missed += 1
        opcode += 1
    assert reached > 100


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("failures", "error"),
    [(0, "Injected"), (1, "Injected"), (2, "Injected"), (0, "RuntimeError")],
)
def test_an_exception_at_every_opcode(failures, error):
    in_another_process(f"at_every_opcode(3, {failures}, {error})")


def at_many_opcodes(members, runs):
    team._LOOK = 1e-4
    rng = random.Random(members)
    for _ in range(runs):
        run_with([rng.randrange(200) for _ in range(rng.choice((2, 3, 10)))], Work(members))


def test_exceptions_at_many_opcodes():
    in_another_process("at_many_opcodes(3, 1000)")


def test_an_exception_at_every_opcode_as_a_thread_is_refused():
    in_another_process("at_every_opcode(3, 0, Injected, refused=1)")


def near_the_recursion_limit():
    """Recurses until a call of `work` is one call too many each time it is tried."""

    def deeper(frames):
        if frames:
            deeper(frames - 1)
        else:
            team.run(3, work)

    sizes = set()
    for frames in range(sys.getrecursionlimit()):
        work = Work(3)
        with contextlib.suppress(RecursionError):
            deeper(frames)
        sizes.add(work.members())
    assert sizes == {0, 3}
    wait_for_threads()


def test_a_team_near_the_recursion_limit():
    in_another_process("near_the_recursion_limit()")


class Alarm(Exception):
    pass


def raise_alarm(number, frame):
    """A signal handler that raises wherever a team is run, and nowhere else."""
    while frame and frame.f_code is not raise_alarm.__code__:  # of an alarm before this one
        if frame.f_code is team.run.__code__:
            raise Alarm
        frame = frame.f_back


def alarmed(runs, run):
    """So many calls of `run`, with an alarm or a burst of them at random; how many raised."""
    signal.signal(signal.SIGALRM, raise_alarm)
    rng, raised = random.Random(0), 0
    for _ in range(runs):
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-6, 4e-4), rng.choice((0, 0, 3e-5, 2e-4)))
        try:
            run()
        except Alarm:
            raised += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
    return raised


def alarmed_teams(members, runs):
    def run():
        work = Work(members)
        try:
            team.run(members, work)
        finally:
            sizes.add(work.members())

    sizes, team._LOOK = set(), 1e-4
    assert alarmed(runs, run) > runs // 10
    assert sizes <= {0, members}
    wait_for_threads()


@POSIX
def test_alarms_while_teams_are_run(full):
    in_another_process(f"alarmed_teams(3, {1500 if full else 250})")


def alarmed_fits(runs):
    X = np.random.default_rng(0).normal(size=(40, 5))
    net, team._LOOK = fastbp.Network([5, 4, 2], seed=0), 1e-4
    options = {"epochs": 2, "batch_size": 20, "learning_rate": 0.1, "threads": 2}
    net.fit(X, X[:, :2], **options)
    assert alarmed(runs, lambda: net.fit(X, X[:, :2], **options)) > runs // 10
    assert all(np.isfinite(array).all() for array in (*net.weights, *net.biases))
    wait_for_threads()


@POSIX
def test_alarms_while_networks_are_fitted(full):
    in_another_process(f"alarmed_fits({1500 if full else 250})", FASTBP_NUM_THREADS="2")


@POSIX
@pytest.mark.parametrize("signals", [1, 2, 5])
def test_signals_while_the_caller_waits(signals):
    """Until the last member is done, parameters are still being written."""
    done = []

    def work(member, flags):
        for _ in range(signals if member.rank == 1 else 0):
            time.sleep(0.03)
            os.kill(os.getpid(), signal.SIGALRM)
        time.sleep(0.1 if member.rank else 0)
        done.append(member.rank)

    before = signal.signal(signal.SIGALRM, raise_alarm)
    try:
        with pytest.raises(Alarm):
            team.run(3, work)
        assert sorted(done) == [0, 1, 2]
    finally:
        signal.signal(signal.SIGALRM, before)
