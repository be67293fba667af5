"""Calls that a signal interrupts."""

import contextlib
import os
import signal
import sys
import threading
import time

import numpy as np
import pytest

from toy import N, bits, fitted, fresh


@contextlib.contextmanager
def interrupted_after(seconds):
    """Sends a signal to the block, and expects it to end by a KeyboardInterrupt at once."""

    def send():
        time.sleep(seconds)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    threads, sent = threading.active_count(), []
    sender = threading.Thread(target=send, daemon=True)
    with pytest.raises(KeyboardInterrupt):
        sender.start()
        yield
    assert time.monotonic() - sent[0] < 2.0  # a chunk of 50 ms, on a busy machine
    sender.join()
    assert threading.active_count() == threads


signals = pytest.mark.skipif(sys.platform == "win32", reason="os.kill sends no SIGINT there")


@signals
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("seconds", [0.01, 0.03, 0.08, 0.17])
def test_interrupted_by_a_signal_between_epochs(seconds, threads):
    """Whole epochs of one batch each: the weights are those of as many as were counted, or of one more."""
    done, net = [], fresh()
    options = {"batch_size": N, "shuffle": False, "threads": threads}
    with interrupted_after(seconds):
        fitted(net=net, epochs=10**9, callbacks=[lambda *_: done.append(1)], **options)
    expected = fitted(epochs=len(done), **options)
    assert bits(net) in (bits(expected), bits(fitted(net=expected, epochs=1, **options)))


@signals
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("seconds", [0.05, 0.11, 0.23])
def test_interrupted_by_a_signal_within_a_long_epoch(seconds, threads):
    X, y = np.random.default_rng(0).normal(size=(20_000, 100)), np.arange(20_000) % 10
    net = fresh([100, 200, 10])
    before = bits(net)
    options = {"batch_size": 10, "learning_rate": 0.1, "threads": threads}
    with interrupted_after(seconds):
        net.fit(X, y, epochs=10**9, **options)
    assert bits(net) != before
    assert all(np.isfinite(array).all() for array in (*net.weights, *net.biases))
    net.fit(X[:50], y[:50], epochs=1, **options)
