"""The team."""

import os
import signal
import sys
import threading
import time
from itertools import product

import pytest

from experiments import DTYPES, MIXED, bits
from fastbp.kernels import team, tiles

dtypes = pytest.mark.parametrize("dtype", DTYPES)

# ---------------------------------------------------------------- the team


@pytest.mark.parametrize("members", [1, 2, 3, 8])
def test_shares_are_all_the_work_once(members):
    for units in (0, 1, 2, 3, 7, 64, 1001):
        shares = [range(*team.share(units, team.Member(number, members))) for number in range(members)]
        assert [unit for share in shares for unit in share] == list(range(units))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def walked(vectors, most, others, reused, member):
    """The units (panel, other) of a member, in its order."""
    mine = tiles.share_of(vectors, most, others, reused, member)
    for number in range(tiles.PARTS):
        place = tiles.begin_of(number, mine)
        for _ in range(tiles.units(place)):
            yield place.panel, place.other
            place = tiles.after(place, mine)


@pytest.mark.parametrize("members", [1, 2, 3, 8])
@pytest.mark.parametrize("reused", [1, tiles.CACHED // 2, tiles.CACHED])
def test_walks_are_all_units_once_and_weigh_the_same(members, reused):
    for vectors, most, others in product((1, 2, 5, 7, 16), (1, 2), (1, 3, 11)):
        walks = [list(walked(vectors, most, others, reused, team.Member(n, members))) for n in range(members)]
        panels = -(-vectors // most)
        assert sorted(unit for walk in walks for unit in walk) == list(product(range(panels), range(others)))
        weights = [sum(min(most, vectors - panel * most) for panel, _ in walk) for walk in walks]
        assert max(weights) - min(weights) <= 2 * most


@pytest.mark.parametrize("members", [1, 2, 5])
def test_run_calls_every_member_once(members):
    threads, met = threading.active_count(), []
    team.run(members, lambda member, flags: met.append(tuple(member)))
    assert sorted(met) == [(number, members) for number in range(members)]
    assert threading.active_count() == threads


def test_an_error_of_a_member_reaches_the_caller():
    def work(member, flags):
        if member.rank == 1:
            raise ZeroDivisionError("member 1")

    with pytest.raises(ZeroDivisionError, match="member 1"):
        team.run(3, work)


@pytest.fixture
def failing_thread(monkeypatch):
    """``failing_thread(number, error, begun)``: starting that thread raises, before or after it begins."""
    start, count = team.start_new_thread, iter(range(100))

    def install(number, error, begun):
        def failing(*arguments):
            now = next(count)
            if now != number or begun:
                start(*arguments)
            if now == number:
                raise error

        monkeypatch.setattr(team, "start_new_thread", failing)

    return install


@pytest.mark.parametrize("refused", [0, 1, 2])
@dtypes
def test_a_team_is_smaller_where_a_thread_is_refused(refused, dtype, failing_thread):
    case = MIXED[42]
    expected = bits(case, dtype)
    failing_thread(refused, RuntimeError("can't start new thread"), begun=False)
    assert bits(case, dtype, 4) == expected


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("begun", [False, True])
def test_an_interrupt_as_threads_start_leaves_a_whole_team_or_none(number, begun, failing_thread):
    """No member may be told of fewer members than there are: its share would lie outside the arrays."""
    failing_thread(number, KeyboardInterrupt(), begun)
    met = []
    with pytest.raises(KeyboardInterrupt):
        team.run(3, lambda member, flags: met.append(member))
    time.sleep(0.05)  # for a thread that `run` left behind
    assert sorted(member.rank for member in met) == list(range(len(met)))
    assert all(member.size == len(met) for member in met)


@pytest.mark.skipif(sys.platform == "win32", reason="os.kill sends no SIGINT there")
@pytest.mark.parametrize("signals", [1, 2])
def test_an_interrupt_waits_for_every_member(signals):
    """Until the last is done the parameters are still being written."""
    done = []

    def work(member, flags):
        for _ in range(signals if member.rank == 1 else 0):
            time.sleep(0.05)
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
        done.append(member.rank)

    with pytest.raises(KeyboardInterrupt):
        team.run(3, work)
    assert sorted(done) == [0, 1, 2]
