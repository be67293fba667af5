"""What only many calls or a machine at its limits show: memory that grows or is short, forks, large arrays.

``--full`` multiplies the calls.
"""

import gc
import multiprocessing
import os
import sys
import threading
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from experiments import in_new_process
from fastbp import DivergenceError, Ensemble, Network
from toy import LABELS, OPTIONS, VALUES, X, bits, fitted, fresh

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def endurance(full):
    """Skips a test that takes long by its nature."""
    if not full:
        pytest.skip("takes long: run with --full")


# ---------------------------------------------------------------- memory


def resident():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def one_fit(i):
    net = fitted(threads=1 + i % 2, optimizer=("sgd", "adam")[i % 2], validation_data=(X, LABELS))
    net.predict(X)
    net.value_and_gradient(X, LABELS)


def one_that_raises(i):
    """A fit that ends in an exception of the data's, of a callback's or of the numbers'."""
    kind = i % 3
    net = fresh(**({"activation": "relu", "output_activation": "linear"} if kind == 2 else {}))
    try:
        if kind == 0:
            net.fit(X, np.where(LABELS == 2, np.nan, LABELS), **OPTIONS)
        elif kind == 1:
            net.fit(X, LABELS, **OPTIONS, callbacks=lambda network, history: 1 / 0)
        else:
            net.fit(X, VALUES, **{**OPTIONS, "learning_rate": 1e300})
    except (ValueError, ZeroDivisionError, DivergenceError):
        return
    raise AssertionError(f"kind {kind} raised nothing")


def one_ensemble(i):
    Ensemble(3, [6, 5, 3], seed=i).fit(X, LABELS, **OPTIONS)


def growth_of(call, times):
    """Bytes by which resident memory grows in half of so many calls, after as many as warm up.

    The half that grows less tells: a table of Python's own, such as that of its names, may grow once.
    """
    call, growths = globals()[call], []
    for i in range(max(60, times // 10)):
        call(i)
    for _ in range(2):
        before = resident()
        for i in range(times // 2):
            call(i)
        growths.append(resident() - before)
    return min(growths)


@pytest.mark.survives("leak")
@linux
@pytest.mark.parametrize(("call", "times"), [("one_fit", 200), ("one_that_raises", 50), ("one_ensemble", 50)])
def test_memory_does_not_grow(call, times, full, record_property):
    times *= 50 if full else 1
    record_property("tried", times)
    assert in_new_process(f"test_endurance.growth_of({call!r}, {times})") < 1 << 19


def fits_in_little_memory(extra):
    """What a fit raises whose engine needs more than so many bytes, with no more address space than that.

    And whether its network is as before, and a small one trains with its bits afterwards.
    """
    import resource

    net = Network([6, 4000, 4000, 3])  # 128 MB of weights; an engine with Adam takes three times as much
    expected, before = bits(fitted(optimizer="adam")), [w.sum() for w in net.weights]
    with open("/proc/self/statm") as file:
        here = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (here + extra, resource.RLIM_INFINITY))
    try:
        net.fit(X, LABELS, **OPTIONS, optimizer="adam")
        raised = None
    except MemoryError:
        raised = "MemoryError"
    small = bits(fitted(optimizer="adam")) == expected
    return raised, [w.sum() for w in net.weights] == before, small


@pytest.mark.survives("little memory")
@linux
@pytest.mark.parametrize("megabytes", [16, 200])
def test_too_little_memory_is_a_memory_error(megabytes):
    found = in_new_process(f"test_endurance.fits_in_little_memory({megabytes << 20})")
    assert found == ["MemoryError", True, True]


@pytest.mark.survives("little memory")
@pytest.mark.parametrize("batch_size", [1, 3, 1000, 10**12, 2**63 - 1])
@pytest.mark.parametrize("rows", [1, 2])
def test_few_rows_and_batches_of_more(rows, batch_size):
    """A batch takes no memory for rows that are not there."""
    nets = [fitted(X[:rows], LABELS[:rows], batch_size=size) for size in (batch_size, min(batch_size, 2))]
    assert bits(nets[0]) == bits(nets[1])


def large(path):
    """Predictions of the last rows of an array of more than 2^31 numbers, and of a copy of them alone."""
    rows, columns = (1 << 31) // 1000 + 1000, 1000
    mapped = np.memmap(path, np.uint8, "w+", shape=(rows, columns))  # sparse: pages of zeros take no disk
    last = np.random.default_rng(0).integers(0, 255, (100, columns), np.uint8)
    mapped[-100:] = last
    net = Network([columns, 3, 2], seed=0, dtype="float32", input_divisor=255)
    y = np.arange(rows) % 2
    history = net.fit(mapped, y, epochs=1, batch_size=4096, learning_rate=0.1)
    assert 0 < history.loss[0] < 10
    return bool((net.outputs(mapped)[-100:] == net.outputs(last)).all())


@pytest.mark.survives("little memory")
def test_more_than_2_31_numbers(tmp_path, endurance):
    assert in_new_process(f"test_endurance.large({str(tmp_path / 'X')!r})")


# ---------------------------------------------------------------- processes and threads


def bits_of(seed):
    return bits(fitted(net=fresh(seed=seed), threads=1 + seed % 2))


@pytest.mark.survives("fork after a fit", each=2)
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_pools_of_processes_after_a_fit(method, full):
    if method != "fork" and not full:
        pytest.skip("new processes import fastbp: run with --full")
    expected = [bits_of(seed) for seed in range(4)]
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, context) as pool:
        assert list(pool.map(bits_of, range(4), timeout=120)) == expected
    with context.Pool(2) as pool:
        assert pool.map_async(bits_of, range(4)).get(120) == expected


@pytest.mark.survives("fork after a fit")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_forks_while_another_thread_trains(full, record_property):
    """Children of the moment fit with the bits of ever, and the training in the parent goes on."""
    forks = 30 if full else 2
    expected, trained = bits_of(1), bits(fitted(net=fresh(seed=5), epochs=1000, threads=2))
    net = fresh(seed=5)
    thread = threading.Thread(target=fitted, kwargs={"net": net, "epochs": 1000, "threads": 2})
    thread.start()
    context = multiprocessing.get_context("fork")
    for _ in range(forks):
        with context.Pool(1) as pool:
            assert pool.apply_async(bits_of, (1,)).get(120) == expected
    thread.join()
    assert bits(net) == trained
    record_property("tried", forks)


def threads_at_once(count, rounds):
    """Tells whether fits in so many threads of Python at once have the bits of each alone, in every round."""
    expected = [bits_of(seed) for seed in range(count)]
    for _ in range(rounds):
        found = [b""] * count

        def one(seed, found=found):
            found[seed] = bits_of(seed)

        threads = [threading.Thread(target=one, args=(seed,)) for seed in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if found != expected:
            return False
    return True


@pytest.mark.survives("fits in many threads")
@pytest.mark.parametrize("count", [2, 8, 32])
def test_fits_in_many_threads_at_once(count, full, record_property):
    rounds = 100 if full else 3
    assert in_new_process(f"test_endurance.threads_at_once({count}, {rounds})")
    record_property("tried", count * rounds)


def one_cpu():
    """Bits and the team of a fit by all that may be used, where that is one CPU."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    net = fresh()
    history = net.fit(X, LABELS, **OPTIONS)
    return bits(net).hex(), history.threads


@pytest.mark.survives("few CPUs")
@linux
def test_one_cpu_of_several():
    assert in_new_process("test_endurance.one_cpu()") == [bits(fitted()).hex(), [1, 1, 1]]
