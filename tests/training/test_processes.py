"""Threads of the caller's, processes, and any number of threads for one `fit`."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from children import in_child
from reproduce.fuzz import cases, ways
from toy import LABELS, OPTIONS, X, bits, fitted, fresh


@pytest.mark.survives("number of threads", each=5)
def test_threads_change_no_bit(dtype, monkeypatch):
    monkeypatch.setenv("FASTBP_NUM_THREADS", "4")
    X = np.random.default_rng(0).normal(size=(700, 64))
    y = np.arange(700) % 10
    options = {"batch_size": 256, "validation_data": (X[:300], y[:300])}  # large enough for "auto" to share

    def run(threads):
        net = fresh([64, 128, 10], dtype=dtype)
        history = net.fit(X, y, **{**OPTIONS, **options}, threads=threads)
        return bits(net), history.loss, history.validation_loss, net.outputs(X).tobytes()

    expected = run(1)
    for threads in (2, 3, 4, 50, "auto"):
        assert run(threads) == expected


@pytest.mark.survives("number of threads", each=4)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.sampled
@pytest.mark.parametrize("seed", range(0, 150, 3))
def test_threads_change_no_bit_of_random_cases(seed, monkeypatch):
    monkeypatch.setenv("FASTBP_NUM_THREADS", "8")
    case = cases.draw(seed)

    def run(threads):
        return ways.facts(
            case,
            lambda X, y, network, recipe, _: [ways.trained(network(), X, y, **recipe(threads=threads))],
            0,
        )

    with np.errstate(all="ignore"):
        expected = run(1)
        for threads in (2, 3, 4, 8):
            assert run(threads) == expected


@pytest.mark.survives("fits in many threads", each=16)
def test_eight_threads_fit_at_once():
    def run(seed):
        net = fitted(net=fresh(seed=seed), epochs=40, threads=1 + seed % 2, validation_data=(X, LABELS))
        return bits(net), net.outputs(X).tobytes()

    expected = [run(seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(run, range(8))) == expected
        assert list(pool.map(run, range(8))) == expected


@pytest.mark.survives("fork after a fit", each=2)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("threads", [1, 2])
def test_fork_after_fit(threads):
    expected = bits(fitted(threads=threads))

    def same():
        return bits(fitted(threads=threads)) == expected

    assert in_child(same) == 0
    assert in_child(lambda: in_child(same) == 0) == 0
    assert same()
