"""The pace of training: how long chunks are, and the team that is found fastest."""

import itertools
import threading

import numpy as np
import pytest

import fastbp
from fastbp.engine import chunks as engine_chunks
from fastbp.engine import team_size
from fastbp.engine.architecture import Architecture
from fastbp.engine.kernels.team import WHOLE
from fastbp.engine.team_size import TeamSizes, TeamTuner, team_sizes

NET = Architecture((784, 100, 10), ("sigmoid", "sigmoid"), np.dtype(np.float32))
TINY = Architecture((2, 2, 1), ("sigmoid", "sigmoid"), np.dtype(np.float32))
X = np.random.default_rng(0).normal(size=(200, 6))
LABELS = np.arange(200) % 3
START = 1e-4  # seconds that starting a team takes


class Machine:
    """A machine with a simulated clock: samples per second by size of the team."""

    def __init__(self, first, speeds):
        self.tuner = TeamTuner(NET, TeamSizes(first, tuple(sorted(speeds))))
        self.seconds = self.samples = 0.0

    def train(self, seconds, speeds, noise=lambda: 1.0):
        """Trains for so many seconds; returns the chunks as (size, seconds)."""
        chunks, end = [], self.seconds + seconds
        while self.seconds < end:
            size, samples = self.tuner.next()
            seconds = START + max(32, samples) / (speeds[size] * noise())
            self.tuner.record(max(32, samples), seconds, np.zeros(size))
            self.seconds, self.samples = self.seconds + seconds, self.samples + max(32, samples)
            chunks.append((size, seconds))
        return chunks


@pytest.mark.parametrize("first", [1, 2])
@pytest.mark.parametrize("speeds", [{1: 1e6, 2: 1.9e6}, {1: 1e6, 2: 0.05e6}, {1: 1e6, 2: 0.9e6}], ids=str)
def test_the_fastest_team_is_found_soon_and_at_little_cost(first, speeds):
    machine, best = Machine(first, speeds), max(speeds, key=speeds.get)
    machine.train(0.4, speeds)
    assert machine.tuner.size == best
    before = machine.samples
    chunks = machine.train(20, speeds)
    assert (machine.samples - before) / 20 > 0.97 * speeds[best]
    others = sum(size != best for size, _ in chunks)
    assert 2 <= others < 0.15 * len(chunks), "it looks again, now and then"
    assert machine.tuner.speeds == pytest.approx(speeds, rel=0.2)


def test_a_team_that_falls_behind_is_left_and_taken_again():
    quiet, busy = {1: 1e6, 2: 1.9e6}, {1: 1e6, 2: 0.4e6}
    machine = Machine(2, quiet)
    machine.train(5, quiet)
    assert machine.tuner.size == 2
    machine.train(0.5, busy)
    assert machine.tuner.size == 1
    machine.train(5, quiet)
    assert machine.tuner.size == 2


def test_a_first_chunk_with_cold_caches_does_not_count():
    """It takes 100 times as long; the size of its team is left for short trials alone."""
    speeds = {1: 1e6, 2: 1.8e6}
    machine = Machine(2, speeds)
    cold = iter([0.01])
    chunks = machine.train(2, speeds, lambda: next(cold, 1.0))
    assert sum(seconds for size, seconds in chunks if size == 1) < 0.06


def test_a_pair_that_is_slow_is_left_within_a_short_training():
    """On a host whose cores are far apart, two threads may be slower than one."""
    speeds = {1: 1e6, 2: 0.6e6}
    chunks = Machine(2, speeds).train(0.08, speeds)
    assert sum(seconds for size, seconds in chunks if size == 2) < 0.01


def test_a_second_chunk_that_an_epoch_cuts_short_says_nothing_of_a_pair():
    tuner = TeamTuner(NET, TeamSizes(2, (1, 2)))
    for samples, seconds in ((630, 5e-4), (50, 3e-4)):
        assert tuner.next()[0] == 2
        tuner.record(samples, seconds, np.zeros(2))
    assert tuner.next()[0] == 2


@pytest.mark.parametrize(("cpus", "least", "most"), [(2, 4, 6), (22, 4, 6), (1, 0, 0.2)])
def test_a_trial_of_a_long_block_waits_until_it_may_cost_so_much(cpus, least, most):
    """Unless the members used a single CPU's seconds; no more than theirs count of the process's."""
    block, seconds = 512, 0.0775  # of [784, 2048, 2048, 10]
    tuner, passed = TeamTuner(NET, TeamSizes(2, (1, 2)), block), 0.0
    while tuner.next()[0] == 2 and passed < 10:
        tuner.record(block, seconds, np.zeros(2), cpus * seconds)
        passed += seconds
    assert least <= passed <= most


def test_a_size_that_began_badly_is_tried_again_soon():
    """Threads of a new team may share a CPU until the system moves one."""
    speeds = {1: 1e6, 2: 1.8e6}
    machine = Machine(2, speeds)
    machine.train(0.15, {1: 1e6, 2: 0.7e6})
    assert machine.tuner.size == 1
    machine.train(0.4, speeds)
    assert machine.tuner.size == 2


@pytest.mark.parametrize("best", [1, 4, 16, 48])
@pytest.mark.parametrize("first", [1, 8, 48])
def test_teams_grow_and_shrink_as_far_as_it_pays(first, best):
    speeds = {size: 1e6 * min(size, best) / max(1.0, size / best) ** 0.5 for size in (1, 2, 4, 8, 16, 32, 48)}
    machine = Machine(first, speeds)
    machine.train(8, speeds)
    assert speeds[machine.tuner.size] >= 0.97 * max(speeds.values())


def test_noise_costs_little():
    speeds, rng = {1: 1e6, 2: 1.2e6}, np.random.default_rng(0)
    machine = Machine(1, speeds)
    machine.train(60, speeds, lambda: rng.uniform(0.5, 1.0))
    assert machine.samples / 60 > 0.93 * 1.2e6 / 1.386  # the mean of 1 / noise


def test_chunks_take_50_ms_and_grow_by_8_at_most():
    machine = Machine(1, {1: 1e7})
    chunks = [seconds for _, seconds in machine.train(1, {1: 1e7})]
    assert chunks[-1] == pytest.approx(0.05, rel=0.01)
    assert all(after <= 8 * before for before, after in itertools.pairwise(chunks))


def test_sizes(monkeypatch):
    monkeypatch.setattr(team_size, "cpus", lambda: 6)
    monkeypatch.setattr(team_size, "free_cpus", lambda: 6)
    assert team_sizes(1, NET, 32, 1e9) == TeamSizes(1, (1,))
    assert team_sizes(4, NET, 32, 1e9) == TeamSizes(4, (4,))
    assert team_sizes(100, NET, 32, 1e9) == TeamSizes(6, (6,))
    assert team_sizes("auto", NET, 400, 1e9) == TeamSizes(6, (1, 2, 4, 6))
    assert team_sizes("auto", NET, 40, 1e9) == TeamSizes(3, (1, 2, 3, 4, 6))
    assert team_sizes("auto", NET, 4, 1e9) == TeamSizes(2, (1, 2, 4, 6))
    assert team_sizes("auto", NET, 1, 1e9) == TeamSizes(1, (1, 2, 4, 6))
    assert team_sizes("auto", NET, 32, 100) == TeamSizes(1, (1, 2, 4, 6)), (
        "an epoch too short to start a thread for"
    )
    assert team_sizes("auto", TINY, 32, 1e9) == TeamSizes(1, (1,)), "no step of this can be shared"
    monkeypatch.setattr(team_size, "free_cpus", lambda: 1)
    assert team_sizes("auto", NET, 32, 1e9) == TeamSizes(1, (1,))
    assert team_sizes(3, NET, 32, 1e9) == TeamSizes(3, (3,)), "a number is taken as it is"


def test_the_work_of_a_network_is_that_of_its_products():
    """Two a weight forward, two in the update, and two for the delta below each layer but the first."""
    assert NET.flops() == 4 * (784 * 100 + 100 * 10) + 2 * 100 * 10


def test_networks_side_by_side_share_the_cpus(monkeypatch):
    monkeypatch.setattr(team_size, "NETWORKS", networks := team_size._Networks())
    speeds = {size: 1e6 * size for size in (1, 2, 4, 6)}
    machine = Machine(6, speeds)
    with networks:
        machine.train(2, speeds)
        assert machine.tuner.size == 6
        with networks:
            assert {size for size, _ in machine.train(2, speeds)} == {1, 2}
            with networks, networks:
                assert {size for size, _ in machine.train(2, speeds)} == {1}
        machine.train(4, speeds)
        assert machine.tuner.size == 6
    assert networks.count == 0
    for trial in (1, 2, 4):  # a trial that is under way when the team shrinks
        found = TeamTuner(NET, TeamSizes(6, (1, 2, 4, 6)))
        found.record(1000, 0.1, np.zeros(6))
        found._trial = trial
        with networks, networks:
            for _ in range(20):
                size, samples = found.next()
                assert size <= 3
                found.record(samples, samples / 1e6, np.zeros(size))
    fixed = TeamTuner(NET, TeamSizes(6, (6,)))
    with networks, networks:
        assert fixed.next()[0] == 6


def test_training_counts_itself(monkeypatch):
    monkeypatch.setattr(engine_chunks, "NETWORKS", networks := team_size._Networks())
    seen = []
    net = fastbp.Network([6, 40, 3], seed=0)
    net.fit(X, LABELS, epochs=1, batch_size=50, callbacks=[lambda *_: seen.append(networks.count)])
    assert (seen, networks.count) == ([0], 0)

    class Watching(fastbp.Callback):
        def on_chunk(self, run):
            seen.append(networks.count)

    net.fit(X, LABELS, epochs=1, batch_size=50, callbacks=Watching())
    assert seen[1:] == [1] * len(seen[1:]) != []
    assert networks.count == 0


# ---------------------------------------------------------------- in training


@pytest.mark.survives("number of threads")
@pytest.mark.parametrize("recipe", [{}, {"optimizer": "adam"}, {"clip_norm": 0.1}], ids=str)
@pytest.mark.parametrize("sizes_", [[6, 30, 20, 3], [6, 70, 3]], ids=str)
def test_bits_do_not_depend_on_teams_that_change(sizes_, recipe, dtype, monkeypatch):
    """Every chunk has a batch or two, and another team."""
    monkeypatch.setattr(team_size, "cpus", lambda: 4)
    monkeypatch.setattr(team_size, "free_cpus", lambda: 4)
    monkeypatch.setattr(team_size, "_STEP_FLOPS", 0)  # so that small networks may have teams
    monkeypatch.setattr(team_size, "_FIRST_FLOPS", 0)
    trained = []
    for seed in (None, 0, 1):
        rng, used = np.random.default_rng(seed), set()

        def changing(self, rng=rng, used=used):
            used.add(size := int(rng.integers(1, 5)))
            return size, int(rng.integers(1, 40))

        with monkeypatch.context() as patched:
            if seed is not None:
                patched.setattr(TeamTuner, "next", changing)
            net = fastbp.Network(sizes_, dtype=dtype, seed=0, dropout=0.1)
            net.fit(X, LABELS, epochs=3, batch_size=16, learning_rate=0.1, **recipe)
        assert seed is None or used == {1, 2, 3, 4}
        trained.append([array.tobytes() for array in (*net.weights, *net.biases)])
    assert trained[0] == trained[1] == trained[2]


def test_a_history_tells_the_teams():
    net = fastbp.Network([6, 40, 3], seed=0)
    history = net.fit(X, LABELS, epochs=3, batch_size=50, learning_rate=0.1, threads=1)
    assert history.threads == [1, 1, 1]
    assert list(history.speeds) == [1]
    assert history.speeds[1] > 0


# ---------------------------------------------------------------- members of different speed


def test_a_slow_member_gets_less_until_none_waits():
    """The members of the team take times proportional to their shares, at speeds of 1, 0.5 and 1."""
    found, speeds = TeamTuner(NET, TeamSizes(3, (3,))), np.array([1.0, 0.5, 1.0])
    taken = []
    for _ in range(30):
        bounds = found.bounds(3)
        assert bounds[0] == 0 and bounds[-1] == WHOLE
        each = np.diff(bounds) / WHOLE / speeds
        taken.append(each.max())
        found.record(1000, each.max(), each.max() - each)
    assert taken[0] == pytest.approx(1 / 3 / 0.5, rel=1e-3)
    assert np.mean(taken[-10:]) == pytest.approx(1 / speeds.sum(), rel=0.06)
    for _ in range(100):
        found.record(1000, 1.0, np.zeros(3))
    assert np.diff(found.bounds(3)) == pytest.approx(WHOLE / 3, rel=0.01), "a disturbance is forgotten"


@pytest.mark.survives("number of threads")
@pytest.mark.parametrize("members", [2, 3])
def test_bits_do_not_depend_on_shares(members, dtype, monkeypatch):
    monkeypatch.setattr(team_size, "cpus", lambda: members)
    found = set()
    for shares in ([1, 1, 1], [3, 2, 1], [1, 9, 100], [1, 0, 0], [0, 1, 1]):
        parts = [0, *np.cumsum(shares[:members])]
        bounds = [int(WHOLE * part / parts[-1]) for part in parts]
        monkeypatch.setattr(TeamTuner, "bounds", lambda self, size, bounds=bounds: bounds)
        net = fastbp.Network([6, 70, 33, 3], dtype=dtype, seed=0)
        net.fit(X, LABELS, epochs=2, batch_size=40, learning_rate=0.1, threads=members, clip_norm=1.0)
        found.add(b"".join(array.tobytes() for array in (*net.weights, *net.biases)))
    assert len(found) == 1


def test_networks_of_threads_that_have_ended_do_not_count(monkeypatch):
    monkeypatch.setattr(team_size, "NETWORKS", networks := team_size._Networks())
    entering = threading.Thread(target=networks.__enter__)
    entering.start()
    entering.join()
    with networks:
        assert networks.count == 1
