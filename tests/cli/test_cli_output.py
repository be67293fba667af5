"""Output to pipes and terminals, warnings, and names that cannot be printed."""

import contextlib
import errno
import io
import os
import re
import shutil
import subprocess
import warnings

import pytest

from command import (
    ACCURACY,
    ENVIRONMENT,
    EPOCH,
    FEW,
    POINTS,
    POSIX,
    command,
    network,
    run,
    said,
    start,
    without_compiling,
)
from fastbp import Network
from fastbp.cli.main import main
from terminal import shown_by


@pytest.mark.survives("closed output")
@POSIX
def test_a_reader_that_leaves_ends_training_quietly(tmp_path):
    process = start("--epochs", 100_000, "--save", tmp_path / "net.fastbp")
    process.stdout.close()
    err = without_compiling(process.stderr.read())
    process.stderr.close()
    assert (process.wait(60), err) == (141, "")
    assert os.listdir(tmp_path) == ["net.fastbp"]
    assert network(tmp_path / "net.fastbp").sizes == [784, 30, 10]


class Lost(io.StringIO):
    """A terminal that is lost after the first epoch."""

    def write(self, text):
        if text.strip() and "  loss" in self.getvalue():
            raise OSError(errno.EIO, "Input/output error")
        return super().write(text)


@pytest.mark.survives("closed output")
def test_an_output_that_is_lost_ends_training_and_what_was_learned_is_saved(tmp_path):
    with contextlib.redirect_stdout(Lost()), contextlib.redirect_stderr(io.StringIO()) as err:
        status = main(["train", "--data", POINTS, *FEW, "--save", str(tmp_path / "net.fastbp")])
    assert (status, err.getvalue()) == (1, "fastbp: error: Input/output error\n")
    assert network(tmp_path / "net.fastbp").sizes == [5, 20, 3]


@pytest.mark.survives("closed output")
@POSIX
def test_closed_and_full_output():
    closed = run("train", "--data", POINTS, *FEW, preexec_fn=lambda: os.close(1))
    assert (closed.returncode, closed.stderr) == (0, "")
    if os.path.exists("/dev/full"):
        with open("/dev/full", "w") as full:
            done = run("info", stdout=full)
            neither = subprocess.run(command("fly"), stdout=full, stderr=full, env=ENVIRONMENT)
        assert (done.returncode, done.stderr) == (1, "fastbp: error: No space left on device\n")
        assert neither.returncode == 2


@pytest.mark.parametrize("bar", [r"\repoch   1/2  \[#+ *\]  loss ", r"\repoch   1/2: +\d+%.*loss "])
def test_a_terminal_shows_a_bar(bar, tmp_path):
    environment = ENVIRONMENT
    if "#" in bar:  # as if tqdm were not installed
        (tmp_path / "tqdm.py").write_text("raise ImportError")
        environment = environment | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{environment['PYTHONPATH']}"}
    slow = "--hidden", "200", "--threads", "1"
    shown = shown_by(command("train", "--epochs", "2", *slow), environment)
    assert re.search(bar, shown.getvalue())
    *_, first, second, _, last, nothing = shown.screen()
    assert all(re.fullmatch(EPOCH.format(n, 2), line) for n, line in ((1, first), (2, second)))
    assert re.fullmatch(ACCURACY, last) and not nothing


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("verbose", [False, True])
def test_warnings_while_compiling_or_training_are_lines(monkeypatch, verbose):
    true = Network.fit

    def fit(self, *arguments, **named):
        if named.get("verbose", False) == verbose:
            warnings.warn("fastbp: compiled kernels cannot be kept", RuntimeWarning, stacklevel=1)
        return true(self, *arguments, **named)

    monkeypatch.setattr(Network, "fit", fit)
    status, _, err = said("train", "--data", POINTS, *FEW)
    assert (status, err) == (0, ["fastbp: compiled kernels cannot be kept"])


@POSIX
def test_a_file_name_that_cannot_be_printed(tmp_path):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.npz")
    shutil.copy(POINTS, name)
    done = run("train", "--data", name, *FEW)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{tmp_path}/\\udcff.npz: 180 samples")
