"""Helpers of the command line's tests: running it, and expectations on its output."""

import atexit
import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

import fastbp
from fastbp.cli.main import main

ROOT = Path(fastbp.__file__).parents[1]
MNIST = ROOT / "fastbp" / "datasets" / "mnist"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
ENVIRONMENT.pop("PYTHONUNBUFFERED", None)  # what is still buffered must not trip up the end
SPEED = r"\d+\.\d{{3}} s  [\d,]+ samples/s(?:  \d+ threads)?"
EPOCH = r"epoch +{}/{}  loss \d\.\d{{5}}  validation (-?\d\.\d{{4}})  " + SPEED
ACCURACY = r"test accuracy (\d+\.\d\d) % \((\d+) / (\d+)\)"
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals, pipes and terminals of POSIX")
FEW = "--epochs", "3", "--hidden", "20"


def command(*arguments):
    return [sys.executable, "-m", "fastbp", *map(str, arguments)]


def run(*arguments, **options):
    """The finished process; what was printed while kernels were compiled is left out."""
    options = {"env": ENVIRONMENT, "stdout": subprocess.PIPE, "timeout": 300} | options
    done = subprocess.run(command(*arguments), stderr=subprocess.PIPE, text=True, **options)
    done.stderr = without_compiling(done.stderr)
    return done


def said(*arguments):
    """Calls ``main`` here: its exit status, and the lines on stdout and on stderr."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        status = main(list(map(str, arguments)))
    return status, out.getvalue().splitlines(), without_compiling(err.getvalue()).splitlines()


def without_compiling(text):
    return "".join(line for line in text.splitlines(True) if "compiling kernels" not in line)


def start(*arguments, ignoring=(), until="epoch"):
    """A process that is training: a line that begins so has been read.  Signals reach it."""

    def prepare():
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, signal.SIG_IGN if signum in ignoring else signal.SIG_DFL)

    process = subprocess.Popen(
        command("train", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        preexec_fn=prepare,
    )
    while not process.stdout.readline().startswith(until):
        assert process.poll() is None
    return process


def write(path, *, test=True, seed=0, **changed):
    """Three classes of points around three centres, as an .npz file."""
    generator = np.random.RandomState(seed)
    y, y_test = generator.randint(3, size=(2, 200))
    X, X_test = (np.eye(3, 5)[labels] + 0.2 * generator.randn(200, 5) for labels in (y, y_test))
    arrays = {"X": X, "y": y} | ({"X_test": X_test, "y_test": y_test} if test else {}) | changed
    np.savez(path, **arrays)
    return str(path)


_FOLDER = tempfile.mkdtemp()
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)
POINTS = write(Path(_FOLDER) / "points.npz")


def refused(outcome, *parts, status=2):
    """One line on stderr that holds every one of the parts."""
    found, out, err = outcome
    assert (found, out, len(err)) == (status, [], 1)
    assert err[0].startswith("fastbp: error: ")
    for part in parts:
        assert str(part) in err[0]


def held_out(y, parts):
    """The rows of so many parts, and the rest: of the rows by label, in a random order, each tenth."""
    order = np.random.RandomState(0).permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]
    tenths = [np.sort(order[first::10]) for first in range(10)]
    return [*tenths[10 - parts :], np.sort(np.concatenate(tenths[: 10 - parts]))]


def network(saved):
    """The network in a file, which has learnt labels."""
    net = fastbp.load(saved)
    assert net.task == "labels"
    return net
