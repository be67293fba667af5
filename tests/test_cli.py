"""The command line, run as a user runs it: what it prints, its exit statuses, what it leaves on the disk.

In this process where a process of its own would add nothing.
"""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import llvmlite
import numba
import numpy as np
import pytest
from fastbp.kernels.math import ACTIVATION_CODES

import fastbp
from fastbp import Network, cli, training
from fastbp.datasets import load_mnist, load_npz
from fastbp.engine import Engine
from fastbp.kernels import jit, vector
from fastbp.kernels.team import cpus

ROOT = Path(fastbp.__file__).parents[1]
MNIST = ROOT / "fastbp" / "datasets" / "mnist"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
ENVIRONMENT.pop("PYTHONUNBUFFERED", None)  # what is still buffered must not trip up the end
EPOCH = r"epoch +{}/{}  loss \d\.\d{{5}}  validation (-?\d\.\d{{4}})  \d+\.\d{{3}} s  [\d,]+ samples/s"
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


def without_compiling(text):
    return "".join(line for line in text.splitlines(True) if "compiling kernels" not in line)


def start(*arguments):
    """A process that is training: its first epoch's line has been read.  Ctrl-C reaches it."""
    process = subprocess.Popen(
        command("train", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not process.stdout.readline().startswith("epoch"):
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


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    return write(tmp_path_factory.mktemp("data") / "points.npz")


@pytest.fixture
def said(capsys):
    """Calls ``main`` and gives the exit status and the lines on stdout and on stderr."""

    def call(*arguments):
        status = cli.main(list(map(str, arguments)))
        out, err = capsys.readouterr()
        return status, out.splitlines(), without_compiling(err).splitlines()

    return call


def refused(outcome, *parts, status=2):
    """One line on stderr that holds every one of the parts."""
    found, out, err = outcome
    assert (found, out, len(err)) == (status, [], 1)
    assert err[0].startswith("fastbp: error: ")
    for part in parts:
        assert str(part) in err[0]


def network(saved):
    """The network in a file, as the help describes it."""
    with np.load(saved) as file:
        arrays = dict(file)
    net = Network(
        arrays["sizes"].tolist(),
        dtype=str(arrays["dtype"]),
        activation=str(arrays["activation"]),
        output_activation=str(arrays["output"]),
        uint8_divisor=float(arrays["uint8_divisor"]),
    )
    layers = range(len(arrays["sizes"]) - 1)
    net.weights = [arrays[f"w{layer}"] for layer in layers]
    net.biases = [arrays[f"b{layer}"] for layer in layers]
    assert len(arrays) == 5 + 2 * len(layers)
    return net


# ---------------------------------------------------------------- training


def test_without_data_it_learns_the_shipped_digits_as_the_seed_does():
    done = run("train", "--epochs", 1)
    data, about, epoch, last = done.stdout.splitlines()
    assert (done.returncode, done.stderr, "\r" in done.stdout) == (0, "", False)
    assert re.fullmatch(r"MNIST: 50,000 samples .* 10,000 for validation .* 10,000 for the test", data)
    assert about == (
        "network 784,30,10, sigmoid, output sigmoid, float64; "
        "batch size 10, learning rate 3, seed 0, threads auto"
    )
    parts = load_mnist()
    net = Network([784, 30, 10], seed=0)
    net.fit(*parts.training, epochs=1, batch_size=10, learning_rate=3.0)
    assert re.fullmatch(EPOCH.format(1, 1), epoch)[1] == f"{net.score(*parts.validation):.4f}"
    right = round(net.score(*parts.test) * 10_000)
    assert last == f"test accuracy {right / 100:.2f} % ({right} / 10000)"


def test_defaults_are_the_seeds():
    options = cli._parser().parse_args(["train"])
    assert (options.data, options.sizes, options.hidden, options.save) == (None, None, [30], None)
    assert (options.epochs, options.batch_size, options.learning_rate) == (30, 10, 3.0)
    assert (options.activation, options.output, options.dtype) == ("sigmoid", "sigmoid", "float64")
    assert (options.seed, options.threads) == (0, "auto")


def test_a_line_an_epoch_and_the_test_at_the_end(said, points):
    status, (data, about, *epochs, last), err = said("train", "--data", points, *FEW)
    assert (status, err, len(epochs)) == (0, [], 3)
    assert data == f"{points}: 200 samples to train on, 200 for validation after every epoch and for the test"
    assert about.startswith("network 5,20,3, ")
    scores = [float(re.fullmatch(EPOCH.format(i + 1, 3), line)[1]) for i, line in enumerate(epochs)]
    percent, right, of = re.fullmatch(ACCURACY, last).groups()
    assert int(of) == 200
    assert float(percent) / 100 == int(right) / 200 == scores[-1] > 0.9


def test_every_option_reaches_the_network(said, points, tmp_path):
    saved = tmp_path / "net.npz"
    options = {
        "sizes": "5,7,6,3",
        "activation": "tanh",
        "output": "linear",
        "dtype": "float32",
        "epochs": 2,
        "batch-size": 16,
        "learning-rate": 0.25,
        "seed": 5,
        "threads": 1,
        "save": saved,
        "data": points,
    }
    status, lines, err = said("train", *(word for name in options for word in (f"--{name}", options[name])))
    assert (status, err) == (0, [])
    part, test = load_npz(points)
    net = Network([5, 7, 6, 3], seed=5, activation="tanh", output_activation="linear", dtype="float32")
    net.fit(*part, epochs=2, batch_size=16, learning_rate=0.25)
    found = network(saved)
    assert [w.dtype for w in found.weights] == [np.float32] * 3
    for ours, theirs in zip(found.weights + found.biases, net.weights + net.biases, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(found.predict(test.X), net.predict(test.X))
    right = np.count_nonzero(found.predict(test.X) == test.y)
    assert lines[-2:] == [f"saved {saved}", f"test accuracy {right / 2:.2f} % ({right} / 200)"]


def test_any_number_of_threads_gives_the_same_file(said, points, tmp_path):
    for threads in (1, 2, "auto"):
        arguments = "--data", points, "--hidden", 100, 50, "--epochs", 2, "--threads", threads
        assert said("train", *arguments, "--save", tmp_path / f"{threads}.npz")[0] == 0
    assert len({file.read_bytes() for file in tmp_path.iterdir()}) == 1
    assert len(list(tmp_path.iterdir())) == 3
    assert said("train", *arguments, "--seed", 1, "--save", tmp_path / "other.npz")[0] == 0
    assert (tmp_path / "other.npz").read_bytes() != (tmp_path / "1.npz").read_bytes()


def test_without_a_test_part_a_tenth_is_held_out(said, tmp_path):
    path = write(tmp_path / "points.npz", test=False)
    status, lines, _ = said("train", "--data", path, *FEW, "--save", tmp_path / "net.npz")
    assert status == 0
    assert "180 samples to train on, 20 for validation" in lines[0]
    assert "no test part: a tenth, drawn by the seed, is held out" in lines[0]
    (X, y), _ = load_npz(path)
    out, kept = np.split(np.random.RandomState(0).permutation(200), [20])
    net = Network([5, 20, 3], seed=0)
    net.fit(X[kept], y[kept], epochs=3, batch_size=10, learning_rate=3.0)
    np.testing.assert_array_equal(network(tmp_path / "net.npz").weights[0], net.weights[0])
    assert lines[-1].endswith(f"({round(20 * net.score(X[out], y[out]))} / 20)")


def test_idx_folder(said, tmp_path):
    for kind in ("images-idx3", "labels-idx1"):
        shutil.copy(MNIST / f"t10k-{kind}-ubyte.gz", tmp_path / f"train-{kind}-ubyte.gz")
    status, lines, _ = said("train", "--data", tmp_path, "--epochs", 1)
    assert (status, lines[1].split(", ")[0]) == (0, "network 784,30,10")
    assert lines[0].startswith(f"{tmp_path}: 9,000 samples to train on, 1,000 for ")


def test_values_are_scored_by_r2(said, tmp_path):
    X = np.random.RandomState(0).rand(100, 2, 2)  # a sample is flattened
    path = write(tmp_path / "sums.npz", X=X, y=X.sum(axis=1), X_test=X, y_test=X.sum(axis=1))
    fit = "--hidden", 8, "--output", "linear", "--learning-rate", 0.1, "--epochs", 200
    status, lines, _ = said("train", "--data", path, *fit)
    assert (status, lines[1].split(", ")[0]) == (0, "network 4,8,2")
    assert float(re.fullmatch(r"test R\^2 (\d\.\d{4})", lines[-1])[1]) > 0.9


@pytest.mark.parametrize(
    ("y", "outputs"),
    [(np.zeros(100, int), 2), (np.arange(100) % 7, 7), (np.linspace(0, 1, 100), 1), (np.eye(100), 100)],
)
def test_the_data_tell_the_outputs(said, tmp_path, y, outputs):
    path = write(tmp_path / "data.npz", test=False, X=np.ones((100, 2), np.uint8), y=y)
    status, lines, _ = said("train", "--data", path, "--epochs", 1)
    assert (status, lines[1].split(", ")[0]) == (0, f"network 2,30,{outputs}")


def test_divergence_is_one_line_and_nothing_is_saved(said, points, tmp_path):
    steps = "--activation", "relu", "--output", "linear", "--learning-rate", 1e300
    status, _, err = said("train", "--data", points, *steps, "--save", tmp_path / "net.npz")
    assert (status, len(err), list(tmp_path.iterdir())) == (1, 1, [])
    assert re.match(r"fastbp: error: epoch 0, sample \d+ of 200: .* no longer finite", err[0])
    assert "nothing is saved" in err[0]


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ("", "COMMAND"),
        ("fly", "'fly'"),
        ("train --fly", "--fly"),
        ("train --epoch 3", "--epoch"),  # no abbreviations
        ("train more", "more"),
        ("train --epochs", "--epochs"),
        ("train --epochs 0", "--epochs: expected an integer of at least 1, got '0'"),
        ("train --epochs 1.5", "'1.5'"),
        ("train --batch-size -1", "--batch-size"),
        ("train --learning-rate 0", "--learning-rate: expected a finite number above 0, got '0'"),
        ("train --learning-rate nan", "'nan'"),
        ("train --learning-rate inf", "'inf'"),
        ("train --learning-rate fast", "'fast'"),
        ("train --seed -1", "--seed: expected an integer 0 .. 4294967295, got '-1'"),
        ("train --seed 4294967296", "--seed"),
        ("train --threads 0", "--threads"),
        ("train --threads many", "'many'"),
        ("train --dtype float16", "float16"),
        ("train --activation step", "step"),
        ("train --output step", "step"),
        ("train --hidden", "--hidden"),
        ("train --hidden 30 0", "--hidden"),
        ("train --sizes 784", "--sizes: expected at least two layers"),
        ("train --sizes 784,x,10", "--sizes: expected an integer of at least 1, got 'x'"),
        ("train --sizes 784,30,10 --hidden 30", "--hidden"),
        ("train --data /nowhere", "--data /nowhere: no such file"),
        (f"train --data {__file__}", "neither a folder of IDX files nor an .npz file"),
        ("train --data /nowhere.npz", "/nowhere.npz: No such file"),
        ("train --save net", "--save net: expected a name that ends in .npz"),
        ("train --save /nowhere/net.npz", "--save /nowhere/net.npz: cannot be written: No such file"),
        (f"train --save {__file__}/net.npz", "cannot be written"),
        ("train --sizes 784,30,5", "MNIST, training part: y[0]: expected a label 0 .. 4, got 5"),
        (
            "train --sizes 783,30,10",
            "shape (samples, 783) for a network of 783 inputs, got (50000, 784)",
        ),
        ("train --hidden 99999999999999", "not enough memory"),
        (f"train --hidden {10**30}", f"network 784,{10**30},10: "),
    ],
)
def test_bad_arguments(said, arguments, part):
    refused(said(*arguments.split()), part)


GOOD = np.ones((200, 5))


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ({"y": np.arange(200) % 4 - 1}, "{path}, training part: y[0]: expected a label 0 .. 2, got -1"),
        ({"y_test": np.full(200, 3)}, "{path}, test part: y[0]: expected a label 0 .. 2, got 3"),
        ({"X": np.ones((199, 5))}, "{path}[X] has the shape (199, 5)"),
        ({"X_test": np.ones((200, 4))}, "{path}, test part: X: expected shape (samples, 5)"),
        (
            {"X": np.where(np.arange(1000) == 11, np.nan, 1.0).reshape(200, 5)},
            "{path}, training part: X[2, 1]",
        ),
        ({"X": GOOD.astype(str)}, "{path}, training part: X: expected numbers"),
        ({"X": GOOD.astype(object)}, "{path}: not a readable .npz file"),
        ({"X": GOOD[:, :0]}, "network 0,30,3: "),
        ({"X": GOOD[:0], "y": np.arange(0)}, "{path}, training part: no samples"),
        ({"y": np.full(200, 2**62)}, "network 5,30,4611686018427387905: "),
        ({"test": False, "X": GOOD[:9], "y": np.arange(9)}, "{path}: 9 samples and no test part"),
    ],
)
def test_bad_data(said, tmp_path, changed, part):
    path = write(tmp_path / "bad.npz", **changed)
    refused(said("train", "--data", path), part.format(path=path))


def test_damaged_files(said, points, tmp_path):
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(Path(points).read_bytes()[:-99])
    refused(said("train", "--data", damaged), damaged, "not a readable .npz file")
    refused(said("train", "--data", tmp_path), tmp_path, "train-images-idx3-ubyte")
    for kind in ("images-idx3", "labels-idx1"):
        (tmp_path / f"train-{kind}-ubyte").write_bytes(b"no IDX file")
    refused(said("train", "--data", tmp_path), tmp_path, "expected those of an IDX file")


def test_a_place_that_cannot_be_written_is_found_before_training(said, points, tmp_path):
    folder = tmp_path / "folder.npz"
    folder.mkdir()
    refused(said("train", "--data", points, "--save", folder), folder, "cannot be written")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    if not os.access(locked, os.W_OK):  # root may write anywhere
        refused(said("train", "--data", points, "--save", locked / "net.npz"), "Permission denied")
    assert sorted(tmp_path.rglob("*")) == [folder, locked]


def test_unexpected_errors_are_not_hidden(points, monkeypatch):
    def broken(dtype, interrupt):
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "_compile", broken)
    with pytest.raises(ZeroDivisionError):
        cli.main(["train", "--data", points])


# ---------------------------------------------------------------- saving


def test_saving_replaces_the_file_whole_or_not_at_all(said, points, tmp_path, monkeypatch):
    saved = tmp_path / "net.npz"
    link = tmp_path / "link.npz"
    saved.write_bytes(b"before")
    link.symlink_to(saved)
    true = np.savez

    def full(file, **arrays):
        true(file, **arrays)
        assert saved.read_bytes() == b"before"
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    status, _, err = said("train", "--data", points, *FEW, "--save", link)
    assert (status, err) == (1, [f"fastbp: error: --save {link}: No space left on device; not saved"])
    assert (saved.read_bytes(), len(list(tmp_path.iterdir()))) == (b"before", 2)

    monkeypatch.undo()
    assert said("train", "--data", points, *FEW, "--save", link)[0] == 0
    assert network(saved).sizes == [5, 20, 3]
    assert (link.is_symlink(), len(list(tmp_path.iterdir()))) == (True, 2)
    umask = os.umask(0)
    os.umask(umask)
    assert saved.stat().st_mode & 0o777 == 0o666 & ~umask


# ---------------------------------------------------------------- Ctrl-C


@POSIX
def test_ctrl_c_keeps_what_was_learned(tmp_path):
    process = start("--epochs", 100_000, "--save", tmp_path / "net.npz")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)  # an impatient user's second
    out, err = process.communicate(timeout=60)
    *_, ending, saved, last = out.splitlines()
    assert (process.returncode, without_compiling(err)) == (130, "")
    assert re.fullmatch(r"interrupted in epoch \d+ of 100000", ending)
    assert saved == f"saved {tmp_path / 'net.npz'}"
    test = load_mnist().test
    right = np.count_nonzero(network(tmp_path / "net.npz").predict(test.X) == test.y)
    assert re.fullmatch(ACCURACY, last)[2] == str(right)
    assert right > 5000


def interrupting(monkeypatch, owner, name, when=lambda *arguments, **named: True):
    """Has Ctrl-C pressed as a function is called."""
    true = getattr(owner, name)

    def interrupted(*arguments, **named):
        if when(*arguments, **named):
            signal.raise_signal(signal.SIGINT)
        return true(*arguments, **named)

    monkeypatch.setattr(owner, name, interrupted)


@POSIX
@pytest.mark.parametrize("when", ["_parser", "_writable", "_load", "_held_out", "_compile"])
def test_ctrl_c_before_anything_is_learned(said, tmp_path, monkeypatch, when):
    path = write(tmp_path / "points.npz", test=False)
    interrupting(monkeypatch, cli, when)
    status, out, err = said("train", "--data", path, *FEW, "--save", tmp_path / "net.npz")
    assert (status, err) == (130, ["fastbp: interrupted"])
    assert not any(line.startswith(("epoch", "test")) for line in out)
    assert os.listdir(tmp_path) == ["points.npz"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@POSIX
def test_ctrl_c_before_the_first_mini_batch(said, points, tmp_path, monkeypatch):
    interrupting(monkeypatch, Network, "fit", lambda self, *arguments, **named: self.sizes[0] == 5)
    status, out, err = said("train", "--data", points, "--save", tmp_path / "net.npz")
    assert (status, len(out), err, os.listdir(tmp_path)) == (130, 2, ["fastbp: interrupted"], [])


@POSIX
def test_a_second_ctrl_c_does_not_reach_the_weights(said, points, monkeypatch):
    presses = []

    def in_training(engine):
        presses.extend([1] * (engine.architecture.sizes[0] == 5))
        return bool(presses)

    interrupting(monkeypatch, Engine, "unpack", in_training)
    status, out, err = said("train", "--data", points)
    assert (status, err, len(presses)) == (130, [], 2)  # the first ends training, the second comes after it
    assert out[2].startswith("epoch")
    assert out[3] == "interrupted in epoch 1 of 30"
    assert re.fullmatch(ACCURACY, out[4])


@POSIX
def test_ctrl_c_while_saving_or_testing(said, points, tmp_path, monkeypatch):
    saved = tmp_path / "net.npz"
    for owner, name in ((np, "savez"), (os, "replace"), (cli, "_verdict")):
        with monkeypatch.context() as patch:
            interrupting(patch, owner, name)
            status, out, err = said("train", "--data", points, *FEW, "--save", saved)
        assert (status, err, out[-2]) == (130, [], f"saved {saved}")
        assert re.fullmatch(ACCURACY, out[-1])
        assert (os.listdir(tmp_path), network(saved).sizes) == (["net.npz"], [5, 20, 3])
        saved.unlink()


class Finalized:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)


def swallow():
    Finalized()
    warnings.warn("something has gone wrong", RuntimeWarning, stacklevel=1)


def turn():
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        raise ImportError("a library that takes every error for its own") from None


@POSIX
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("press", [swallow, turn])
def test_a_ctrl_c_that_others_catch(said, points, monkeypatch, press):
    monkeypatch.setattr(Network, "fit", lambda *arguments, **named: press())
    status, out, err = said("train", "--data", points)
    assert (status, len(out), err) == (130, 2, ["fastbp: interrupted"])


@POSIX
def test_a_ctrl_c_that_is_swallowed_in_training_ends_it_with_the_epoch(said, points, monkeypatch):
    report = training.Report.epoch

    def epoch(self, history):
        report(self, history)
        if self.epochs == 5:
            Finalized()

    monkeypatch.setattr(training.Report, "epoch", epoch)
    status, out, err = said("train", "--data", points, "--epochs", 5)
    assert (status, err) == (130, [])
    assert [line.split()[0] for line in out[2:]] == ["epoch", "interrupted", "test"]
    assert out[3] == "interrupted in epoch 2 of 5"


# ---------------------------------------------------------------- where the output goes


@POSIX
def test_a_reader_that_leaves_ends_training_quietly(tmp_path):
    process = start("--epochs", 100_000, "--save", tmp_path / "net.npz")
    process.stdout.close()
    err = without_compiling(process.stderr.read())
    process.stderr.close()
    assert (process.wait(60), err) == (141, "")
    assert os.listdir(tmp_path) == ["net.npz"]
    assert network(tmp_path / "net.npz").sizes == [784, 30, 10]


@POSIX
def test_closed_and_full_output(points):
    closed = run("train", "--data", points, *FEW, preexec_fn=lambda: os.close(1))
    assert (closed.returncode, closed.stderr) == (0, "")
    if os.path.exists("/dev/full"):
        with open("/dev/full", "w") as full:
            done = run("info", stdout=full)
        assert (done.returncode, done.stderr) == (1, "fastbp: error: No space left on device\n")


@POSIX
def test_a_terminal_shows_a_bar():
    import pty

    ours, theirs = pty.openpty()
    with subprocess.Popen(command("train", "--epochs", "2"), stdout=theirs, env=ENVIRONMENT) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # Linux: the other side is closed
                break
            if not part:
                break
            shown += part
    os.close(ours)
    assert process.returncode == 0
    text = shown.decode()
    assert re.search(r"\repoch   1/2 \[#+ *\]", text)
    assert re.search(r"\r\x1b\[K" + EPOCH.format(1, 2), text)
    assert re.search(rf"\n{ACCURACY}\r\n$", text)


# ---------------------------------------------------------------- help, info and what is imported


@pytest.mark.filterwarnings("default")
def test_warnings_while_compiling_are_lines(said, points, monkeypatch):
    true = Network.fit

    def fit(self, *arguments, **named):
        if not named.get("verbose"):
            warnings.warn("fastbp: compiled kernels cannot be kept", RuntimeWarning, stacklevel=1)
        return true(self, *arguments, **named)

    monkeypatch.setattr(Network, "fit", fit)
    status, _, err = said("train", "--data", points, *FEW)
    assert (status, err) == (0, ["fastbp: compiled kernels cannot be kept"])


@POSIX
def test_a_file_name_that_cannot_be_printed(points, tmp_path):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.npz")
    shutil.copy(points, name)
    done = run("train", "--data", name, *FEW)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{tmp_path}/\\udcff.npz: 200 samples")


def test_help_tells_every_option_and_its_default(said):
    for arguments, parts in {
        ("--help",): ("train", "info", "--version"),
        ("train", "--help"): (
            *("--data", "--hidden", "--sizes", "--save", "(default: sigmoid)", "(default: float64)"),
            *("(default: 30)", "(default: 10)", "(default: 3.0)", "(default: 0)", "exit status", "Ctrl-C"),
        ),
        ("info", "--help"): ("cache",),
    }.items():
        status, out, err = said(*arguments)
        assert (status, err) == (0, [])
        for part in parts:
            assert part in " ".join(" ".join(out).split())


def test_activations_are_those_of_networks():
    assert set(cli._ACTIVATIONS) == set(ACTIVATION_CODES)


def test_what_needs_no_numbers_imports_none(tmp_path):
    program = """
import sys
from fastbp.cli import main
for arguments in ("--version", "train --help", "train --epochs x", "train --data /nowhere",
                  "train --save /nowhere/net.npz", "fly"):
    print(main(arguments.split()), file=sys.stderr)
print("numpy" in sys.modules or "numba" in sys.modules, file=sys.stderr)
from fastbp import *
import fastbp
names = dir(fastbp)
print(Network is fastbp.network.Network, "History" in names, hasattr(fastbp, "nothing"), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], env=ENVIRONMENT, capture_output=True, text=True)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("fastbp: error: ")]
    assert lines == ["0", "0", "2", "2", "2", "2", "False", "True True False"]
    assert done.returncode == 0


def test_info(tmp_path):
    done = run("info", env={**ENVIRONMENT, "NUMBA_CACHE_DIR": str(tmp_path / "cache")})
    assert (done.returncode, done.stderr, list(tmp_path.iterdir())) == (0, "", [])  # nothing was compiled
    told = {line[:20].rstrip(): line[20:] for line in done.stdout.splitlines()}
    assert told["fastbp"] == fastbp.__version__
    assert told["Python"] == ".".join(map(str, sys.version_info[:3]))
    assert (told["NumPy"], told["Numba"], told["llvmlite"]) == (
        np.__version__,
        numba.__version__,
        llvmlite.__version__,
    )
    assert told["CPU"]
    assert re.fullmatch(r"\S+, \S+-\S+", told["compiled for"])
    assert told["vector width"] == f"{8 * vector.width()[0]} bits"
    assert told["fused multiply-add"].startswith("yes" if vector.has_fma() else "no")
    assert told["CPUs usable"] == str(cpus())
    assert told["cache folder"] == str(tmp_path / "cache" / "fastbp" / jit.cache_folder().name)
    assert told["cache"] == "0 files, 0 bytes, writable"


def test_info_about_fma_is_what_the_cpu_says():
    try:
        flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        flags = None
    if flags is None or os.environ.get("NUMBA_CPU_NAME"):
        pytest.skip("the CPU's flags are not known")
    assert vector.has_fma() == ("fma" in flags[1].split())


def test_info_about_a_cache(said, tmp_path, monkeypatch):
    monkeypatch.setattr(jit, "cache_folder", lambda: tmp_path)
    (tmp_path / "a").write_bytes(b"123")
    (tmp_path / "b").write_bytes(bytes(2000))
    assert said("info")[1][-1].split(maxsplit=1)[1] == "2 files, 2,003 bytes, writable"
    monkeypatch.setattr(jit, "cache_folder", lambda: tmp_path / "a" / "fastbp")
    assert "0 files, 0 bytes, not writable (Not a directory)" in said("info")[1][-1]

    def nobody():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(jit, "cache_folder", nobody)
    assert said("info")[1][-1].endswith("Could not determine home directory.; set NUMBA_CACHE_DIR")
