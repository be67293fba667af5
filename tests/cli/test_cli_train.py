"""``fastbp train``: what it trains and what it prints."""

import re

import numpy as np
import pytest

from command import ACCURACY, EPOCH, FEW, POINTS, network, refused, run, said, write
from fastbp import Network
from fastbp.cli import data, main, train
from fastbp.datasets import load_mnist, load_npz
from fastbp.files import network_file


def test_without_data_it_learns_the_shipped_digits_as_the_seed_does():
    done = run("train", "--epochs", 1)
    data, task, about, scale, epoch, fingerprint, last = done.stdout.splitlines()
    assert (done.returncode, done.stderr, "\r" in done.stdout) == (0, "", False)
    assert re.fullmatch(r"MNIST: 50,000 samples .* 10,000 for validation .* 10,000 for the test", data)
    assert task == "learning labels 0 .. 9, as y is int64 (--task values would learn numbers)"
    assert about == (
        "network 784,30,10, sigmoid, output sigmoid, cost quadratic, float64; "
        "sgd, learning rate 3, batch size 10, seed 0, threads auto"
    )
    assert scale == "samples are pixels, divided by 255 (--input-divisor 1 leaves them unchanged)"
    parts = load_mnist()
    net = Network([784, 30, 10], input_divisor=255, seed=0)
    net.fit(*parts.training, epochs=1, batch_size=10, learning_rate=3.0)
    assert re.fullmatch(EPOCH.format(1, 1), epoch)[1] == f"{net.score(*parts.validation):.4f}"
    assert fingerprint == f"fingerprint {net.fingerprint()}"
    right = round(net.score(*parts.test) * 10_000)
    assert last == f"test accuracy {right / 100:.2f} % ({right} / 10000)"


def test_defaults_are_the_seeds():
    options = main._parser().parse_args(["train"])
    assert (options.data, options.sizes, options.hidden, options.save) == (None, None, [30], None)
    assert (options.epochs, options.batch_size) == (30, 10)
    assert (options.activation, options.output_activation, options.dtype) == (["sigmoid"], None, "float64")
    assert (options.seed, options.threads) == (0, "auto")


def test_a_line_an_epoch_and_the_test_at_the_end():
    status, (data, task, about, *epochs, _, last), err = said("train", "--data", POINTS, *FEW)
    assert (status, err, len(epochs)) == (0, [], 3)
    assert data.startswith(
        f"{POINTS}: 180 samples to train on, 20 for validation after every epoch, 200 for "
    )
    assert task.startswith("learning labels 0 .. 2, as y is int64")
    assert about.startswith("network 5,20,3, ")
    scores = [float(re.fullmatch(EPOCH.format(i + 1, 3), line)[1]) for i, line in enumerate(epochs)]
    percent, right, of = re.fullmatch(ACCURACY, last).groups()
    assert int(of) == 200
    assert float(percent) / 100 == int(right) / 200 > 0.9
    assert scores[-1] > 0.9


def test_every_option_reaches_the_network(tmp_path):
    saved = tmp_path / "net.fastbp"
    options = {
        "sizes": "5,7,6,3",
        "activation": "tanh",
        "output-activation": "linear",
        "dtype": "float32",
        "epochs": 2,
        "batch-size": 16,
        "learning-rate": 0.25,
        "seed": 5,
        "threads": 1,
        "validation-data": "none",
        "save": saved,
        "data": POINTS,
    }
    status, lines, err = said("train", *(word for name in options for word in (f"--{name}", options[name])))
    assert (status, err) == (0, [])
    part, test = load_npz(POINTS)
    net = Network([5, 7, 6, 3], seed=5, activation="tanh", output_activation="linear", dtype="float32")
    net.fit(*part, epochs=2, batch_size=16, learning_rate=0.25)
    found = network(saved)
    assert [w.dtype for w in found.weights] == [np.float32] * 3
    for ours, theirs in zip(found.weights + found.biases, net.weights + net.biases, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(found.predict(test.X), net.predict(test.X))
    right = np.count_nonzero(found.predict(test.X) == test.y)
    assert lines[-3:-1] == [f"saved {saved}", f"fingerprint {net.fingerprint()}"]
    assert lines[-1] == f"test accuracy {right / 2:.2f} % ({right} / 200)"


def test_products_of_bfloat16(tmp_path):
    saved = tmp_path / "net.fastbp"
    arguments = "--data", POINTS, "--epochs", 2, "--compute-dtype", "bfloat16"
    status, lines, err = said("train", *arguments, "--dtype", "float32", "--save", saved)
    assert (status, err) == (0, [])
    assert "compute dtype bfloat16" in lines[2]
    assert f"{'compute_dtype':<20}bfloat16" in said("info", saved)[1]
    assert "compute_dtype='bfloat16', dtype='float32'" in repr(network(saved))
    refused(said("train", *arguments), "compute_dtype: expected 'float64' or None with dtype='float64'")


def test_costs_of_labels_and_of_values(tmp_path):
    saved = tmp_path / "net.fastbp"
    arguments = (
        "train",
        "--data",
        POINTS,
        *FEW,
        "--optimizer",
        "adam",
        "--learning-rate",
        0.05,
        "--save",
        saved,
    )
    for more, options in (
        (["cross_entropy", "--label-smoothing", 0.1], "'softmax', cost=CrossEntropy(label_smoothing=0.1)"),
        (["focal"], "'softmax', cost='focal'"),
        (["hinge"], "'linear', cost='hinge'"),
    ):
        status, lines, err = said(*arguments, "--cost", *more)
        assert (status, err) == (0, []) and float(re.fullmatch(ACCURACY, lines[-1])[1]) > 70
        assert f"output_activation={options}" in repr(network(saved))
        assert ("label smoothing 0.1" in lines[2]) == ("--label-smoothing" in more)
    refused(said(*arguments, "--label-smoothing", 0.1), "--label-smoothing: expected --cost cross_entropy")
    values = write(tmp_path / "values.npz", y=np.linspace(0, 1, 200), y_test=np.linspace(0, 1, 200))
    status, lines, err = said("train", "--data", values, *FEW, "--cost", "gaussian")
    assert (status, err) == (0, []) and "network 5,20,2, " in lines[2]


def test_any_number_of_threads_gives_the_same_file(tmp_path):
    for threads in (1, 2, "auto"):
        arguments = "--data", POINTS, "--hidden", 100, 50, "--epochs", 2, "--threads", threads
        assert said("train", *arguments, "--save", tmp_path / f"{threads}.fastbp")[0] == 0
    assert len({file.read_bytes() for file in tmp_path.iterdir()}) == 1
    assert len(list(tmp_path.iterdir())) == 3
    assert said("train", *arguments, "--seed", 1, "--save", tmp_path / "other.fastbp")[0] == 0
    assert (tmp_path / "other.fastbp").read_bytes() != (tmp_path / "1.fastbp").read_bytes()


def test_divergence_is_one_line_and_nothing_is_saved(tmp_path):
    steps = "--activation", "relu", "--output-activation", "linear", "--learning-rate", 1e300
    status, _, err = said("train", "--data", POINTS, *steps, "--save", tmp_path / "net.fastbp")
    assert (status, len(err), list(tmp_path.iterdir())) == (1, 1, [])
    assert re.match(r"fastbp: error: epoch 1, sample \d+ of 180: .* no longer finite", err[0])
    assert "nothing is saved" in err[0]


def test_a_dead_network_is_said_at_the_end(tmp_path):
    y = np.arange(200) % 3
    same = {"X": np.ones((200, 5)), "X_test": np.ones((200, 5)), "y": y, "y_test": y}
    *_, last, dead = said("train", "--data", write(tmp_path / "labels.npz", **same), *FEW)[1]
    found = re.fullmatch(ACCURACY, last)
    assert int(found[2]) in (66, 67)
    assert re.match(
        r"This is no better than always answering [012]: try --activation relu, --optimizer adam, another ",
        dead,
    )

    values = write(tmp_path / "values.npz", **same | {"y": y / 2, "y_test": y / 2})
    *_, last, dead = said("train", "--data", values, *FEW, "--learning-rate", 0.01, "--activation", "tanh")[1]
    assert float(re.fullmatch(r"test R\^2 (-?\d\.\d{4})", last)[1]) < 0.01
    assert dead.startswith("This is no better than always answering the mean: try --optimizer adam, another ")

    constant = write(tmp_path / "constant.npz", **same | {"y_test": np.ones(200, int)})
    assert said("train", "--data", constant, *FEW)[1][-1].startswith("test accuracy")


class Answering:
    """Stands for a network that always predicts the same."""

    task = "labels"

    def __init__(self, *predicted):
        self.predicted = np.array(predicted)

    def predict(self, X):
        return self.predicted


@pytest.mark.parametrize(
    ("predicted", "options", "dead"),
    [
        ([0, 0, 0, 0], "", True),
        ([1, 1, 1, 1], "", True),  # not the commonest either
        ([0, 1, 0, 1], "", True),
        ([0, 0, 0, 1], "", False),
        ([0, 1, 0, 1], "--class-weight balanced", False),  # accuracy is not all there is
        ([0, 0, 0, 0], "--class-weight balanced", True),
    ],
)
def test_what_is_dead(predicted, options, dead):
    test = data.Rows(np.ones((4, 5)), np.array([0, 0, 0, 1]))
    options = main._parser().parse_args(["train", *options.split()])
    found = train._verdict(Answering(*predicted), test, options)
    assert [line.split(":")[0] for line in found[1:]] == ["This is no better than always answering 0"] * dead


class Weighted(Answering):
    """Has a score as well."""

    def score(self, X, y, sample_weight):
        return np.average(self.predicted == y, weights=sample_weight)


def test_what_is_dead_counts_the_weights():
    test = data.Rows(np.ones((4, 5)), np.array([0, 0, 0, 1]), np.array([1.0, 1.0, 1.0, 4.0]))
    words = ["train", "--weights", "w", "--activation", "relu", "--optimizer", "adam", "--scale-inputs"]
    options = main._parser().parse_args(words)
    dead = "This is no better than always answering 1: try another --learning-rate."
    assert train._verdict(Weighted(0, 0, 0, 0), test, options)[1:] == [dead]
    assert train._verdict(Weighted(1, 1, 1, 0), test, options)[1:] == [dead]
    assert train._verdict(Weighted(1, 1, 0, 1), test, options)[1:] == []


def test_a_checkpoint_that_is_refused_is_a_line(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise ValueError("not kept")

    monkeypatch.setattr(network_file, "write_checked", refuse)
    outcome = said("train", "--data", POINTS, *FEW, "--checkpoint", tmp_path / "run")
    assert (outcome[0], outcome[2]) == (1, ["fastbp: error: not kept"])


def test_unexpected_errors_are_not_hidden(monkeypatch):
    def broken(*arguments):
        raise ZeroDivisionError

    monkeypatch.setattr(train, "_compile", broken)
    with pytest.raises(ZeroDivisionError):
        main.main(["train", "--data", POINTS])
