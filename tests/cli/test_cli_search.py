"""``fastbp train --folds`` and ``--search``: scores of recipes, and what is trained after them."""

import re
import signal
import statistics

import numpy as np
import pytest

import fastbp
from command import ACCURACY, POINTS, POSIX, held_out, refused, said, start, without_compiling, write
from fastbp import Network
from fastbp.cli import data, main, search
from fastbp.datasets import load_npz

SMALL = "--hidden", 9, "--epochs", 3
FOLD = r"fold {}/{}  accuracy (\d\.\d{{4}})"


def dataset(X, y, task="labels"):
    return data.Dataset("data", {"training": data.Rows(X, y, np.arange(len(y)) + 1.0)}, task, "as is")


def folds(dataset, count, seed=0):
    """The rows to train on and those held out, fold by fold."""
    training = dataset.training
    return [(training.without(rows), training.at(rows)) for rows in data.folds(dataset, count, seed)]


def test_folds_have_the_same_share_of_each_label():
    y = np.random.RandomState(1).permutation(np.repeat(["rare", "few", "many"], [5, 20, 80]))
    X = np.arange(105.0)[:, None]
    five = folds(dataset(X, y), 5)
    assert len(five) == 5
    held_out = np.concatenate([test.X[:, 0] for _, test in five])
    assert sorted(held_out) == [*range(105)]
    for train, test in five:
        assert [np.count_nonzero(test.y == label) for label in ("rare", "few", "many")] == [1, 4, 16]
        assert sorted([*train.X[:, 0], *test.X[:, 0]]) == [*range(105)]
        for part in (train, test):
            assert np.array_equal(part.weights, part.X[:, 0] + 1)
            assert np.array_equal(part.y, y[part.X[:, 0].astype(int)])
    assert not np.array_equal(folds(dataset(X, y), 5, seed=1)[0][1].X, five[0][1].X)
    sizes = [len(test.y) for _, test in folds(dataset(X, X[:, 0], "values"), 4)]
    assert sizes == [27, 26, 26, 26]
    rare = np.where(np.arange(105) < 8, 0.0, 1.0)
    for seed in range(5):
        assert [np.count_nonzero(test.y == 0) for _, test in folds(dataset(X, rare, "values"), 4, seed)] == [
            2,
            2,
            2,
            2,
        ]
    smallest = [[test.y.min() for _, test in folds(dataset(X, X[:, 0], "values"), 4, s)] for s in range(9)]
    assert len({fold.index(0) for fold in smallest}) > 1


def test_folds_score_networks_that_have_not_seen_the_rows(tmp_path):
    path = write(tmp_path / "points.npz", test=False)
    status, lines, err = said("train", "--data", path, *SMALL, "--folds", 4)
    assert (status, err) == (0, [])
    assert lines[0] == f"{path}: 200 samples in 4 folds"
    assert lines[1].startswith("learning labels 0 .. 2")
    scores = []
    for number, (train, test) in enumerate(folds(dataset(*load_npz(path)[0]), 4)):
        net = Network([5, 9, 3], seed=0)
        net.fit(train.X, train.y, epochs=3, batch_size=10, learning_rate=3.0)
        scores.append(net.score(test.X, test.y))
        assert re.fullmatch(FOLD.format(number + 1, 4), lines[2 + number])[1] == f"{scores[-1]:.4f}"
    mean, deviation = statistics.fmean(scores), statistics.stdev(scores)
    assert lines[6:] == [f"4 folds: accuracy {mean:.4f} +- {deviation:.4f} (mean and standard deviation)"]


def test_a_network_that_is_saved_is_trained_on_everything(tmp_path):
    path = write(tmp_path / "points.npz", test=False)
    options = "--folds", 4, "--save", tmp_path / "net"
    status, lines, _ = said("train", "--data", path, *SMALL, *options)
    assert status == 0
    assert lines[7].startswith(f"training on all: {path}: 200 samples to train on, none for validation")
    net = Network([5, 9, 3], seed=0)
    net.fit(*load_npz(path)[0], epochs=3, batch_size=10, learning_rate=3.0)
    assert fastbp.load(tmp_path / "net").fingerprint() == net.fingerprint()
    assert lines[-1] == f"fingerprint {net.fingerprint()}"
    status, lines, _ = said("train", "--data", POINTS, *SMALL, *options)
    assert lines[0] == f"{POINTS}: 200 samples in 4 folds"
    assert re.fullmatch(ACCURACY, lines[-1]), "there is a test part"
    status, lines, _ = said("train", "--data", path, *SMALL, *options, "--patience", 2, "--epochs", 99)
    assert (status, "180 samples to train on, 20 for validation" in lines[7]) == (0, True)


def test_folds_of_values_are_scored_by_r2(tmp_path):
    (X, _), _ = load_npz(POINTS)
    path = write(tmp_path / "values.npz", test=False, X=X, y=X.sum(axis=1))
    lines = said("train", "--data", path, *SMALL, "--folds", 2)[1]
    assert re.fullmatch(r"fold 1/2  R\^2 -?\d\.\d{4}", lines[2])
    assert re.fullmatch(r"2 folds: R\^2 -?\d\.\d{4} \+- \d\.\d{4} \(.*\)", lines[-1])


def ranking(lines):
    """The candidates under "best first", with their scores."""
    first = next(number for number, line in enumerate(lines) if line.startswith("best first"))
    found = {}
    for line in lines[first + 1 :]:
        if not line.startswith("  "):
            break
        score, _, words = line.strip().partition("  ")
        found[words] = score
    return found


def test_a_search_trains_by_every_combination_and_then_by_the_best(tmp_path):
    arguments = "--search", "learning_rate=0.001,3.0", "hidden=4,9/5", "--epochs", 3
    status, lines, err = said("train", "--data", POINTS, *arguments, "--save", tmp_path / "net")
    assert (status, err) == (0, [])
    found = ranking(lines)
    assert {*found} == {
        f"learning_rate={rate} hidden={hidden}" for rate in ("0.001", "3.0") for hidden in ("4", "9/5")
    }
    assert [*found.values()] == sorted(found.values(), reverse=True)
    best = next(iter(found))
    rate, hidden = re.fullmatch(r"learning_rate=(.*) hidden=(.*)", best).groups()
    alone = ["--learning-rate", rate, "--hidden", *hidden.split("/"), "--epochs", 3]
    assert said("train", "--data", POINTS, *alone, "--save", tmp_path / "alone")[0] == 0
    net = fastbp.load(tmp_path / "alone")
    assert fastbp.load(tmp_path / "net").fingerprint() == net.fingerprint()
    assert lines[-2] == f"fingerprint {net.fingerprint()}" or lines[-3] == f"fingerprint {net.fingerprint()}"
    (X, y), _ = load_npz(POINTS)
    rows, _ = held_out(y, 1)
    assert found[best] == f"{net.score(X[rows], y[rows]):.4f}"


def test_a_search_scores_by_the_number_of_the_last_epoch(tmp_path):
    y = np.repeat(["few", "many"], [50, 150])  # whatever X is
    path = write(tmp_path / "points.npz", test=False, y=y)
    arguments = "--search", "hidden=4", "--epochs", 5, "--class-weight", "balanced"
    status, lines, err = said("train", "--data", path, *arguments)
    assert (status, err) == (0, [])
    (score,) = ranking(lines).values()
    assert any(re.match(rf"epoch +5/5 .* validation {score} ", line) for line in lines), lines


def test_a_search_by_folds(tmp_path):
    arguments = "--search", "hidden=2,9 learning-rate=3", "--folds", 3, "--epochs", 2
    status, lines, _ = said("train", "--data", POINTS, *arguments)
    assert status == 0
    assert lines[4] == "best first, by accuracy (mean and standard deviation of 3 folds):"
    assert all(re.fullmatch(r"\d\.\d{4} \+- \d\.\d{4}", score) for score in ranking(lines).values())
    assert len(lines) == 7, "no network is trained after it"
    folds = said("train", "--data", POINTS, "--folds", 3, "--epochs", 2, "--hidden", 9)[1]
    assert f"{ranking(lines)['hidden=9 learning_rate=3']} (mean" in folds[-1]
    status, lines, _ = said("train", "--data", POINTS, *arguments, "--save", tmp_path / "net")
    assert (status, "saved" in lines[-3]) == (0, True)


def test_a_recipe_that_diverges_is_the_last(tmp_path):
    linear = "--activation", "relu", "--output-activation", "linear", "--epochs", 2
    status, lines, _ = said("train", "--data", POINTS, *linear, "--search", "learning_rate=1e300,0.01")
    assert status == 0
    assert [*ranking(lines)] == ["learning_rate=0.01", "learning_rate=1e300"]
    assert ranking(lines)["learning_rate=1e300"] == "diverged"
    outcome = said("train", "--data", POINTS, *linear, "--search", "learning_rate=1e300", "--folds", 2)
    assert outcome[0] == 1
    assert outcome[2][0].startswith("fastbp: error: training diverged by every recipe. Try a smaller")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ("--folds 1", "--folds: expected an integer of at least 2, got '1'"),
        ("--folds 201", "--folds 201: expected at most 200 folds of 200 samples"),
        ("--folds 101 --task values", "--folds 101: expected at most 100 folds of 200 samples"),
        ("--folds 2 --checkpoint run", "--checkpoint: expected --save beside --folds"),
        ("--folds 2 --report page", "--report: expected --save beside --folds"),
        (
            "--search speed=1",
            "--search: expected one of hidden, activation, output_activation, cost, label_smoothing, init,",
        ),
        ("--search save=1", "class_weight, got 'save'"),
        ("--search hidden", "--search: expected values, such as hidden=1,2, got 'hidden'"),
        ("--search hidden=1,,2", "--search: expected values, such as hidden=1,2, got 'hidden=1,,2'"),
        ("--search hidden=1 hidden=2", "--search: expected each option once, got 'hidden' twice"),
        ("--search hidden=1 --search hidden=2", "--search: expected each option once, got 'hidden' twice"),
        (
            "--search learning_rate=0.1/0.01,0.2",
            "--search: expected a slash in values of hidden, activation, dropout alone, got 'learning_rate",
        ),
        (
            "--search hidden=4/--epochs=50",
            "--search: expected values without a dash before them, got 'hidden",
        ),
        (
            "--search hidden=4,5 cost=quadratic,hinge --activation relu tanh",
            "--search hidden=4 cost=quadratic: network 5,4,3: activation",
        ),
        ("--folds 2 --weights w --target y --data weighted.csv", "expected weights above 0 outside fold"),
        ("--folds 3 --weights w --target y --data weighted.csv", "expected weights above 0 in fold"),
        ("--search hidden=1,x", "--search: argument --hidden: expected an integer of at least 1, got 'x'"),
        ("--search cost=median", "--search: argument --cost: invalid choice: 'median'"),
        ("--search hidden=4 --sizes 5,3", "--search: expected no hidden beside --sizes"),
        ("--search hidden=4 --validation-data none", "--search: expected validation data to score by"),
    ],
)
def test_refusals(arguments, part, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weighted.csv").write_text("a,w,y\n" + "1,0,1.5\n2,0,2.5\n" * 5 + "3,1,3.5\n")
    refused(said("train", "--data", POINTS, *arguments.split()), part)


def test_patience_needs_a_validation_part_in_every_fold(tmp_path):
    path = write(tmp_path / "few.npz", test=False, X=np.ones((10, 5)), y=np.arange(10) % 2)
    status, _, (line,) = said("train", "--data", path, "--folds", 10, "--patience", 2)
    assert (status, "few.npz without fold 1: 9 samples and no validation part" in line) == (2, True)
    assert line.endswith("leave out --patience, which needs a validation part")


def test_an_empty_search():
    refused(said("train", "--search", " "), "--search: expected options and their values")


def test_a_recipe_that_makes_no_sense_is_refused():
    status, _, err = said(
        "train", "--data", POINTS, "--search", "cost=cross_entropy", "output_activation=relu"
    )
    assert (status, len(err)) == (2, 1)
    assert "output_activation: expected" in err[0]


def test_a_base_recipe_that_a_grid_replaces_may_make_no_sense():
    grid = "--label-smoothing", 0.1, "--search", "cost=cross_entropy", "--search", "hidden=3"
    status, lines, err = said("train", "--data", POINTS, "--epochs", 1, *grid)
    assert (status, err, [*ranking(lines)]) == (0, [], ["cost=cross_entropy hidden=3"])


def test_every_name_of_a_search_is_an_option():
    options = main._parser().parse_args(["train", "--search", "dropout=0/0.2"])
    assert search.candidates(options)[0].options.dropout == [0.0, 0.2]
    from fastbp.cli.train_options import SEARCHED

    assert {*SEARCHED} <= {*vars(options)}


@POSIX
def test_a_signal_in_a_search_leaves_nothing(tmp_path):
    process = start(
        *("--data", POINTS, "--folds", 2, "--epochs", 10**6, "--save", tmp_path / "net"), until="learning"
    )
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, without_compiling(err)) == (130, "fastbp: interrupted\n")
    assert not [*tmp_path.iterdir()]
