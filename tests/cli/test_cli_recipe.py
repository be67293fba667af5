"""The recipe of ``fastbp train``: every option reaches the network, and what is not given fits the data."""

import ast
import re

import numpy as np
import pytest

import fastbp
import fastbp.network
from command import ACCURACY, POINTS, network, said, write
from fastbp import Network
from fastbp.cli import data, main, recipe
from fastbp.datasets import load_npz

RATE = {"learning_rate": 3.0}  # of sigmoids with the quadratic cost and sgd, if none is given
GIVEN = [  # arguments, those of Network that they make, and those of fit
    ("", {}, RATE),
    ("--activation relu", {"activation": "relu"}, {}),
    ("--activation relu tanh", {"activation": ["relu", "tanh"]}, {}),
    ("--output-activation tanh", {"output_activation": "tanh"}, {}),
    ("--cost huber", {"cost": "huber"}, {}),
    ("--cost cross_entropy", {"cost": "cross_entropy", "output_activation": "softmax"}, {}),
    ("--init he_normal", {"init": "he_normal"}, RATE),
    ("--dropout 0.2", {"dropout": 0.2}, RATE),
    ("--dropout 0.2 0", {"dropout": [0.2, 0.0]}, RATE),
    ("--frozen 0 1", {"frozen": [0, 1]}, RATE),
    ("--optimizer sgd", {}, {"optimizer": "sgd"} | RATE),
    ("--optimizer adam", {}, {"optimizer": "adam"}),
    ("--optimizer adam --learning-rate 0.1", {}, {"optimizer": "adam", "learning_rate": 0.1}),
    ("--schedule cosine", {}, {"schedule": "cosine"} | RATE),
    ("--l2 0.01 --l1 1e-3", {}, {"l2": 0.01, "l1": 0.001} | RATE),
    ("--clip-norm 1.5", {}, {"clip_norm": 1.5} | RATE),
    ("--class-weight balanced", {}, {"class_weight": "balanced"} | RATE),
]


class Recorder:
    """Stands for Network: what reaches its fit is its error."""

    _fastbp = Network._fastbp

    def __init__(self, sizes, **options):
        self.sizes, self.dtype, self.options = sizes, np.dtype(options.pop("dtype")), options
        self.weights = self.biases = ()

    def fit(self, X, y, **recipe):
        if len(X) > 1:
            raise ValueError(repr((self.options, recipe)))


@pytest.mark.parametrize(("arguments", "of_network", "of_fit"), GIVEN)
def test_what_is_given_is_passed_on_and_nothing_else(monkeypatch, arguments, of_network, of_fit):
    monkeypatch.setattr(fastbp.network, "Network", Recorder)
    data = "--data", POINTS, "--hidden", 6, 5, "--validation-data", "none", "--threads", 1
    status, _, (line,) = said("train", *data, *arguments.split())
    callbacks = re.search(r"\[<function .*?>\]", line)[0]
    options, recipe = ast.literal_eval(line.removeprefix("fastbp: error: ").replace(callbacks, "..."))
    assert status == 2
    own = {"activation": "sigmoid", "output_activation": "sigmoid", "seed": 0, "input_divisor": 1.0}
    assert options == own | of_network
    own = {"epochs": 30, "batch_size": 10, "validation_data": None, "threads": 1, "verbose": True}
    assert recipe == own | {"callbacks": ...} | of_fit


LABELS, ROWS = np.arange(9) % 3, np.eye(3, dtype=int)[np.arange(9) % 3]


@pytest.mark.parametrize(
    ("task", "y", "outputs", "arguments", "cost", "output"),
    [
        ("labels", LABELS, 3, "", None, "sigmoid"),
        ("labels", LABELS, 3, "--cost cross_entropy", "cross_entropy", "softmax"),
        ("labels", LABELS % 2, 2, "--cost cross_entropy", "cross_entropy", "sigmoid"),
        ("labels", LABELS, 3, "--cost cross_entropy --output-activation sigmoid", "cross_entropy", "sigmoid"),
        ("labels", LABELS, 3, "--cost huber", "huber", "sigmoid"),
        ("labels", ROWS, 3, "", "cross_entropy", "sigmoid"),
        ("labels", ROWS, 3, "--cost quadratic", "quadratic", "sigmoid"),
        ("values", LABELS / 2, 1, "", None, "linear"),
        ("values", LABELS / 2, 1, "--cost absolute", "absolute", "linear"),
        ("values", LABELS / 2, 1, "--cost poisson", "poisson", "exponential"),
        ("values", LABELS / 2, 1, "--output-activation tanh", None, "tanh"),
    ],
)
def test_what_is_not_given_fits_the_data(task, y, outputs, arguments, cost, output):
    options = main._parser().parse_args(["train", *arguments.split()])
    recipe.complete(options, data.Rows(np.ones((9, 4)), y), task)
    assert (options.cost, options.output_activation) == (cost, output)
    assert (options.learning_rate == 3.0) == (cost in (None, "quadratic") and output == "sigmoid")
    assert options.sizes == [4, 30, outputs]


def test_the_recipe_is_printed_in_a_line():
    options = main._parser().parse_args(
        [
            "train",
            "--activation",
            "relu",
            "tanh",
            "--optimizer",
            "adam",
            "--l2",
            "0.01",
            "--dropout",
            "0.2",
            "--warmup",
            "9",
        ]
    )
    recipe.complete(options, data.Rows(np.ones((9, 4)), LABELS), "labels")
    assert recipe.described(options) == (
        "network 4,30,3, relu tanh, output sigmoid, cost quadratic, float64; adam, its default learning rate"
        ", "
        "batch size 10, dropout 0.2, warmup 9, l2 0.01, seed 0, threads auto"
    )


# The whole way


@pytest.mark.parametrize(
    ("arguments", "of_network", "of_fit"),
    [
        ("--optimizer adam --activation relu", {"activation": "relu"}, {"optimizer": "adam"}),
        (
            "--cost cross_entropy --activation gelu silu --init orthogonal",
            {
                "cost": "cross_entropy",
                "activation": ["gelu", "silu"],
                "output_activation": "softmax",
                "init": "orthogonal",
            },
            {},
        ),
        (
            "--optimizer adamw --learning-rate 0.01 --schedule cosine --clip-norm 1 --l2 1e-3 --l1 1e-4 "
            "--class-weight balanced --dropout 0.1 0.2",
            {"dropout": [0.1, 0.2]},
            {
                "optimizer": "adamw",
                "learning_rate": 0.01,
                "schedule": "cosine",
                "clip_norm": 1.0,
                "l2": 1e-3,
                "l1": 1e-4,
                "class_weight": "balanced",
            },
        ),
        ("--frozen 0", {"frozen": [0]}, {"learning_rate": 3.0}),
    ],
)
def test_a_recipe_trains_as_network_does(tmp_path, arguments, of_network, of_fit):
    path = tmp_path / "net.fastbp"
    layers = "--hidden", 7, 6, "--epochs", 2, "--validation-data", "none", "--save", path
    status, _, err = said("train", "--data", POINTS, *layers, *arguments.split())
    assert (status, err) == (0, [])
    net = Network([5, 7, 6, 3], seed=0, **of_network)
    net.fit(*load_npz(POINTS)[0], epochs=2, batch_size=10, **of_fit)
    found = network(path)
    for ours, theirs in zip(found.weights + found.biases, net.weights + net.biases, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_warmup_is_of_the_schedule(tmp_path):
    path = tmp_path / "net.fastbp"
    arguments = [
        "--schedule",
        "cosine",
        "--warmup",
        "20",
        "--hidden",
        "7",
        "--epochs",
        "2",
        "--validation-data",
        "none",
        "--save",
    ]
    assert said("train", "--data", POINTS, *arguments, path)[0] == 0
    net = Network([5, 7, 3], seed=0)
    schedule = fastbp.Cosine(warmup=20)
    net.fit(*load_npz(POINTS)[0], epochs=2, batch_size=10, learning_rate=3.0, schedule=schedule)
    np.testing.assert_array_equal(network(path).weights[0], net.weights[0])


def test_rows_of_zeros_and_ones_are_several_labels(tmp_path):
    with np.load(POINTS) as arrays:
        rows = {name: np.eye(3, dtype=bool)[arrays[name]] for name in ("y", "y_test")}
    path, saved = write(tmp_path / "rows.npz", **rows), tmp_path / "net.fastbp"
    arguments = "--hidden", 20, "--epochs", 20, "--optimizer", "adam", "--learning-rate", 0.01
    status, lines, err = said("train", "--data", path, *arguments, "--save", saved)
    assert (status, err) == (0, [])
    assert lines[1].startswith("learning labels, as y is bool")
    assert float(re.fullmatch(ACCURACY, lines[-1])[1]) > 90
    net = fastbp.load(saved)
    assert (net.task, net._fastbp.options.cost) == ("multilabel", "cross_entropy")


def test_one_value_per_sample_at_the_usual_rate(tmp_path):
    X = np.random.RandomState(0).rand(200, 5)
    path = write(tmp_path / "sums.npz", X=X, y=X.sum(axis=1), X_test=X, y_test=X.sum(axis=1))
    status, lines, err = said("train", "--data", path, "--epochs", 100, "--save", tmp_path / "net.fastbp")
    assert (status, err) == (0, [])
    assert "its default learning rate" in lines[2]
    assert float(re.fullmatch(r"test R\^2 (\d\.\d{4})", lines[-1])[1]) > 0.5
    assert fastbp.load(tmp_path / "net.fastbp").task == "value"


@pytest.mark.parametrize(
    "arguments",
    [
        "--hidden 7 --activation relu tanh",
        "--output-activation relu --cost cross_entropy",
        "--frozen 7",
        "--hidden 7 --dropout 0.1 0.2",
        "--task values --class-weight balanced",
        "--schedule one_cycle --warmup 3",
    ],
)
def test_a_recipe_that_is_none_is_refused_in_a_line(arguments):
    status, _, err = said("train", "--data", POINTS, *arguments.split())
    assert (status, len(err)) == (2, 1)
    assert err[0].startswith("fastbp: error: ")
