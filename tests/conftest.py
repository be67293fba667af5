"""Fixtures of tests of several subjects."""

import os
import signal
import subprocess
import sys
from collections import Counter

import pytest

import faults

pytest.register_assert_rewrite(
    "alone", "book_class", "experiments", "reference", "refusals", "saved", "terminal", "toy"
)


def pytest_addoption(parser):
    parser.addoption(
        "--full", action="store_true", help="run the tests of endurance in full, for many minutes"
    )


def pytest_configure(config):
    """Takes the signals that tests send, where a shell has this process ignore them: in a background job."""
    config.addinivalue_line("markers", "sampled: every third of its cases, all with --full")
    config.addinivalue_line("markers", "survives(fault, each=1): tries a fault of tests/support/faults.py")
    config.pluginmanager.register(faults.Record(config))
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(config, items):
    """Leaves out two of three cases of each test that is marked `sampled`, but with --full or by name."""
    if config.getoption("--full") or any("[" in argument for argument in config.args):
        return
    numbers, kept, left_out = Counter(), [], []
    for item in items:
        is_sampled = item.get_closest_marker("sampled") is not None
        name = item.nodeid.partition("[")[0]
        (left_out if is_sampled and numbers[name] % 3 else kept).append(item)
        numbers[name] += 1
    config.hook.pytest_deselected(items=left_out)
    items[:] = kept


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """Runs the whole suite in as many processes as there are CPUs, at most four; chosen files in this one."""
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not hasattr(config, "workerinput")
    if whole and getattr(config.option, "numprocesses", 0) is None and not config.option.usepdb:
        cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        if cpus > 1:
            config.option.numprocesses, config.option.dist = min(4, cpus), "worksteal"


def pytest_sessionstart(session):
    """Compiles the kernels that each of several processes begins with, or else each would compile them."""
    config = session.config
    if not getattr(config.option, "numprocesses", 0) or hasattr(config, "workerinput"):
        return
    program = (
        "import sys, numpy; from fastbp.engine.kernels import lane_step, step\n"
        "of_sparse_rows = step.train_stored, step.infer_stored\n"
        "of_lanes = lane_step.train_lanes, lane_step.infer_lanes\n"
        "for kernel in (step.train, step.infer, *of_sparse_rows, *of_lanes):\n"
        "    kernel(numpy.dtype(sys.argv[1]))\n"
        "for kernel in (step.train, step.infer) if 'float32' in sys.argv else ():\n"
        "    kernel('bfloat16')"
    )
    processes = [subprocess.Popen([sys.executable, "-c", program, name]) for name in ("float32", "float64")]
    for process in processes:
        process.wait()  # where one fails, tests tell why


@pytest.fixture
def full(request):
    """Tells whether the run is one of endurance."""
    return request.config.getoption("--full")


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    """Runs the test once per dtype of a network."""
    return request.param


@pytest.fixture(params=["lanes", "one by one"])
def engine(request, monkeypatch):
    """Runs the test once per engine of networks that train together, where either can train them."""
    from fastbp.engine import lanes  # here, as below

    pays = 100.0 if request.param == "lanes" else 0.0
    monkeypatch.setattr(lanes, "_SPEEDS", ((float("inf"), pays),))
    monkeypatch.setattr(lanes, "_MOST_OWN_INPUTS", float("inf"))
    return request.param


@pytest.fixture
def guarded(monkeypatch):
    """Guards what the package allocates from here on; ``guarded.check()`` finds what was written outside."""
    from experiments import Guarded  # here, so that tests of the surface need none of the package's insides

    guard = Guarded()
    guard.install(monkeypatch)
    return guard
