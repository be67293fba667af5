"""Threads of the caller's, processes, and any number of threads for one `fit`."""

import os
import signal
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from toy import LABELS, OPTIONS, X, bits, fitted, fresh


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


def test_eight_threads_fit_at_once():
    def run(seed):
        net = fitted(net=fresh(seed=seed), epochs=40, threads=1 + seed % 2, validation_data=(X, LABELS))
        return bits(net), net.outputs(X).tobytes()

    expected = [run(seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(run, range(8))) == expected
        assert list(pool.map(run, range(8))) == expected


def wait_for(pid, seconds=30):
    """The exit code of a child process; None, and its end, where it takes too long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def in_child(call):
    """The exit code of a forked process: 0 where `call()` is true."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # NumPy's BLAS keeps a thread
        pid = os.fork()
    if not pid:
        try:
            os._exit(0 if call() else 1)
        finally:
            os._exit(2)
    return wait_for(pid)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("threads", [1, 2])
def test_fork_after_fit(threads):
    expected = bits(fitted(threads=threads))

    def same():
        return bits(fitted(threads=threads)) == expected

    assert in_child(same) == 0
    assert in_child(lambda: in_child(same) == 0) == 0
    assert same()
