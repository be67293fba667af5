"""``fastbp train`` on tables, and ``fastbp predict`` with the networks that it saves."""

import re
import subprocess
import sys

import numpy as np
import pytest

import fastbp
from command import ACCURACY, ENVIRONMENT, POINTS, held_out, refused, said, without_compiling, write
from fastbp import Network
from fastbp.datasets import load_npz

NAMES = ["width", "height", "the depth", "age", "mass"]
KINDS = np.array(["cat", "dog", "eel"])
ADAM = "--activation", "relu", "--optimizer", "adam", "--learning-rate", 0.01


def table(path, X, **columns):
    """Writes a table of X and other columns; returns its path."""
    lines = [",".join([*NAMES[: X.shape[1]], *columns])]
    for row, *cells in zip(
        X.tolist(), *(np.asarray(cells).tolist() for cells in columns.values()), strict=True
    ):
        lines.append(",".join(map(str, [*row, *cells])))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def points():
    (X, y), _ = load_npz(POINTS)
    return X, y


@pytest.fixture
def animals(tmp_path, points):
    X, y = points
    return table(tmp_path / "animals.csv", X, species=KINDS[y])


def test_a_table_trains_as_its_arrays_do_and_the_network_knows_its_names(tmp_path, points, animals):
    X, y = points
    plain = write(tmp_path / "plain.npz", test=False, X=X, y=KINDS[y])
    common = "--hidden", 9, "--epochs", 4
    status, lines, err = said(
        "train", "--data", animals, "--target", "species", *common, "--save", tmp_path / "a"
    )
    assert (status, err) == (0, [])
    assert lines[0].startswith(
        f"{animals}: 160 samples to train on, 20 for validation after every epoch, 20 for"
    )
    assert lines[1] == "learning labels cat, dog, eel, as species is text"
    assert said("train", "--data", plain, *common, "--save", tmp_path / "b")[0] == 0
    one, other = fastbp.load(tmp_path / "a"), fastbp.load(tmp_path / "b")
    assert one.fingerprint() == other.fingerprint()
    assert one.feature_names_in_.tolist() == NAMES
    shown = said("info", tmp_path / "a")[1]
    assert f"{'columns':<20}'width', 'height', 'the depth', 'age', 'mass'" in shown
    assert f"{'targets':<20}'species'" in shown


def test_answers_have_the_names_of_the_table(tmp_path, points, animals):
    X, _ = points
    saved = tmp_path / "net"
    assert said("train", "--data", animals, "--target", "species", "--epochs", 2, "--save", saved)[0] == 0
    wanted = fastbp.load(saved).predict(X).tolist()
    assert said("predict", saved, animals)[1] == ["species", *wanted]
    assert said("predict", saved, animals, "--proba")[1][0] == "cat,dog,eel"
    assert said("predict", saved, animals, "--outputs")[1][0] == "cat,dog,eel"
    lines = [line.split(",") for line in animals.read_text().splitlines()]
    (tmp_path / "other.csv").write_text("\n".join(";".join(["?", *reversed(line)]) for line in lines))
    assert said("predict", saved, tmp_path / "other.csv")[1] == ["species", *wanted]
    (tmp_path / "less.csv").write_text("\n".join(",".join(line[1:]) for line in lines))
    refused(
        said("predict", saved, tmp_path / "less.csv"), "line 1: expected one column 'width', as the network"
    )
    lines[1][3] = "old"
    (tmp_path / "bad.csv").write_text("\n".join(map(",".join, lines)))
    refused(
        said("predict", saved, tmp_path / "bad.csv"), "line 2: expected a number in column 'age', got 'old'"
    )


def test_several_values_and_several_labels(tmp_path, points):
    X, y = points
    values = table(tmp_path / "values.csv", X, area=X[:, 0] * 3 + 5, volume=X[:, 1] - X[:, 2])
    status, lines, _ = said(
        "train", "--data", values, "--target", "volume", "area", "--scale", *ADAM, "--save", tmp_path / "v"
    )
    assert (status, lines[1]) == (0, "learning values, as the targets are numbers")
    assert "scale inputs True, scale outputs True" in lines[2]
    assert float(re.fullmatch(r"test R\^2 (\d\.\d{4})", lines[-1])[1]) > 0.9
    net = fastbp.load(tmp_path / "v")
    assert (net.sizes, net.task) == ([5, 30, 2], "values")
    lines = said("predict", tmp_path / "v", values)[1]
    assert lines[0] == "volume,area"
    assert lines[1] == ",".join(map(repr, net.predict(X[:1])[0].tolist()))
    labels = table(tmp_path / "labels.csv", X, fast=y > 0, tall=(y == 1).astype(int))
    status, lines, _ = said(
        "train", "--data", labels, "--target", "fast", "tall", *ADAM, "--save", tmp_path / "m"
    )
    assert (status, lines[1]) == (0, "learning labels, as the targets are zeros and ones")
    for option in ([], ["--proba"], ["--outputs"]):
        assert said("predict", tmp_path / "m", labels, *option)[1][0] == "fast,tall"
    value = table(tmp_path / "value.csv", X, area=X[:, 0])
    assert (
        said("train", "--data", value, "--target", "area", "--epochs", 1, "--save", tmp_path / "one")[0] == 0
    )
    assert said("predict", tmp_path / "one", value)[1][0] == "area"
    assert said("predict", tmp_path / "one", value, "--outputs")[1][0] == "area"


def test_means_and_variances_of_several_values(tmp_path, points):
    X, _ = points
    values = table(tmp_path / "values.csv", X, area=X[:, 0], volume=X[:, 1])
    arguments = "train", "--data", values, "--target", "area", "volume", "--cost", "gaussian", "--epochs", 2
    kept = "--checkpoint", tmp_path / "run", "--resume", "--save", tmp_path / "net"
    outcome = said(*arguments, *kept)
    assert (outcome[0], outcome[2]) == (0, [])
    page = tmp_path / "page.html"
    assert said(*arguments, *kept, "--report", page)[0] == 0, "it is done"
    text = page.read_text("utf-8")
    assert "predicted volume" in text and "2 of 2" in text
    lines = said("predict", tmp_path / "net", values, "--outputs")[1]
    assert lines[0] == "area mean,area log variance,volume mean,volume log variance"
    assert said("predict", tmp_path / "net", values)[1][0] == "area,volume"


def test_weights_of_samples_are_those_of_a_column(tmp_path, points):
    X, y = points
    weights = np.where(y == 2, 0.0, 1.0 + np.arange(200) % 3)
    path = table(tmp_path / "table.csv", X, species=KINDS[y], w=weights)
    options = "--hidden", 9, "--epochs", 4, "--validation-data", "none", "--save", tmp_path / "net"
    status, lines, err = said("train", "--data", path, "--target", "species", "--weights", "w", *options)
    assert (status, err) == (0, [])
    test, rows = held_out(y, 1)
    net = Network([5, 9, 3], seed=0)
    net.fit(X[rows], KINDS[y[rows]], sample_weight=weights[rows], epochs=4, batch_size=10, learning_rate=3.0)
    assert fastbp.load(tmp_path / "net").fingerprint() == net.fingerprint()
    score = net.score(X[test], KINDS[y[test]], sample_weight=weights[test])
    assert lines[-1].split(" (")[0] == f"test accuracy {100 * score:.2f} %"
    assert lines[-1].endswith("(weighted by w)")
    validated = said("train", "--data", path, "--target", "species", "--weights", "w", "--epochs", 2)
    assert validated[0] == 0 and "validation" in validated[1][3]
    path = table(tmp_path / "few.csv", X[:20], species=KINDS[y[:20]], w=np.arange(20) == 0)
    outcome = said("train", "--data", path, "--target", "species", "--weights", "w")
    refused(outcome, "expected weights above 0 in the test part, got zeros alone")


def test_patience_ends_training_with_the_best_weights(tmp_path, points):
    X, y = points
    noisy = np.where(np.random.RandomState(1).rand(200) < 0.4, 0, y)
    animals = table(tmp_path / "animals.csv", X, species=KINDS[noisy])
    arguments = "train", "--data", animals, "--target", "species", *ADAM, "--epochs", 500, "--patience", 3
    status, lines, _ = said(*arguments, "--save", tmp_path / "net")
    assert status == 0
    assert "patience 3" in lines[2]
    epochs = [line for line in lines if line.startswith("epoch")]
    assert len(epochs) < 500
    (note,) = (line for line in lines if "EarlyStopping: val_loss did not improve" in line)
    assert note.endswith("in 3 epochs")
    net = fastbp.load(tmp_path / "net")
    assert net._fastbp.progress.epochs == len(epochs)
    best = *arguments[:-4], "--epochs", len(epochs) - 3, "--save", tmp_path / "best"
    assert said(*best)[0] == 0
    assert fastbp.load(tmp_path / "best").fingerprint() == net.fingerprint()
    checkpoint = "--checkpoint", tmp_path / "run", "--resume", "--save", tmp_path / "again"
    assert said(*arguments, *checkpoint)[0] == 0
    assert said(*arguments, *checkpoint)[0] == 0, "it is done"
    assert fastbp.load(tmp_path / "again").fingerprint() == net.fingerprint()
    other = animals.with_name("other.csv")
    other.write_text(animals.read_text().replace("species", "kind"))
    arguments = [other if word is animals else "kind" if word == "species" else word for word in arguments]
    assert "trained.target_names" in said(*arguments, *checkpoint)[2][0]
    refused(said(*arguments, "--validation-data", "none"), "--patience: expected validation data, got")


@pytest.mark.parametrize(
    ("arguments", "inputs", "outputs"),
    [
        ("--target area", True, True),
        ("--target area --cost huber", True, True),
        ("--target area --cost poisson", True, None),
        ("--target area --output-activation sigmoid", True, None),
        ("--target area --task labels", True, None),
    ],
)
def test_scale_is_of_the_outputs_where_they_can_be(tmp_path, points, arguments, inputs, outputs):
    X, y = points
    path = table(tmp_path / "table.csv", X, area=y)
    task = [] if "--task" in arguments else ["--task", "values"]
    options = "--scale", "--epochs", 1, "--learning-rate", 1e-3, "--save", tmp_path / "net"
    status, _, err = said("train", "--data", path, *arguments.split(), *task, *options)
    assert (status, err) == (0, [])
    kept = fastbp.load(tmp_path / "net")._fastbp.options
    assert (kept.scale_inputs, kept.scale_outputs or None) == (inputs, outputs)


def test_divergence_is_answered_with_smaller_steps_or_scaling(tmp_path, points):
    X, _ = points
    path = table(tmp_path / "table.csv", 1e4 * X, area=X[:, 0])
    arguments = "--data", path, "--target", "area", "--activation", "relu", "--learning-rate", 10
    refused_line = said("train", *arguments)[2][-1]
    assert refused_line.endswith("Try a smaller --learning-rate, or --scale")
    assert said("train", *arguments, "--scale", "--learning-rate", 1e200)[2][-1].endswith("--learning-rate")


def test_a_constant_column_of_inputs_does_not_matter(tmp_path, points):
    X, y = points
    constant = X.copy()
    constant[:, 2] = 7.0
    path = table(tmp_path / "table.csv", constant, species=KINDS[y])
    status, lines, err = said("train", "--data", path, "--target", "species", "--scale", *ADAM)
    assert (status, err) == (0, [])
    assert float(re.fullmatch(ACCURACY, lines[-1])[1]) > 60


def test_a_column_that_counts_the_rows_is_pointed_out(tmp_path, points):
    X, y = points
    X = np.column_stack([np.arange(1, 201), X[:, 1:]])
    path = table(tmp_path / "table.csv", X, species=KINDS[y])
    lines = said("train", "--data", path, "--target", "species", "--epochs", 1)[1]
    assert lines[2] == "column 'width' counts the rows: --drop width leaves it out"
    lines = said("train", "--data", path, "--target", "species", "--epochs", 1, "--drop", "width")[1]
    assert not any("counts the rows" in line for line in lines)


def test_whole_numbers_beyond_0_are_labels(tmp_path, points):
    X, y = points
    path = table(tmp_path / "table.csv", X, grade=y * 2 + 1)
    status, lines, _ = said("train", "--data", path, "--target", "grade", *ADAM, "--save", tmp_path / "net")
    assert status == 0
    assert lines[1].startswith(
        "learning labels 1, 3, 5, as grade has 3 different whole numbers (--task values"
    )
    answers = said("predict", tmp_path / "net", path)[1]
    assert answers[0] == "grade"
    assert set(answers[1:]) <= {"1", "3", "5"}


def test_another_table_is_for_the_test(tmp_path, points, animals):
    X, y = points
    test = table(tmp_path / "test.csv", X[:30], kind=KINDS[y[:30]], species=KINDS[y[:30]])
    rows = [line.split(",") for line in test.read_text().splitlines()]
    test.write_text("\n".join(",".join(reversed(row)) for row in rows))
    arguments = "train", "--data", animals, "--target", "species", "--epochs", 3, "--test-data", test
    status, lines, err = said(*arguments, "--save", tmp_path / "net")
    assert (status, err) == (0, [])
    assert "180 samples to train on, 20 for validation after every epoch, 30 for the test" in lines[0]
    right = round(30 * fastbp.load(tmp_path / "net").score(X[:30], KINDS[y[:30]]))
    assert f"({right} / 30)" in lines[-1] + lines[-2]
    same = table(tmp_path / "same.csv", X[:9], species=["cat"] * 9)
    assert said(*arguments, "--test-data", same)[0] == 0, "one class alone may be tested"
    new = table(tmp_path / "new.csv", X[:9], species=["cow"] * 9)
    refused(
        said(*arguments, "--test-data", new),
        f"{new}, test part: y[0]: expected one of 'cat', 'dog', 'eel', got 'cow'",
    )
    less = table(tmp_path / "less.csv", X[:9, :4], species=["cat"] * 9)
    refused(
        said(*arguments, "--test-data", less),
        "less.csv, line 1: expected the columns of --data, got",
        "'mass'",
    )
    weighted = table(tmp_path / "weighted.csv", X, species=KINDS[y], w=np.arange(200))
    arguments = "train", "--data", weighted, "--target", "species", "--weights", "w", "--epochs", 1
    refused(said(*arguments, "--test-data", test), "test.csv, line 1: expected the columns of --data", "'w'")
    assert said(*arguments, "--test-data", weighted)[0] == 0
    refused(said("train", "--test-data", test), "--test-data: expected a table")
    refused(said(*arguments, "--test-data", test, "--report", test), "--report", "which --test-data reads")


def test_a_table_needs_no_other_library(animals):
    program = (
        "import sys; from fastbp.cli.main import main\n"
        "status = main(sys.argv[1:])\n"
        "others = {'pandas', 'polars', 'matplotlib', 'sklearn'} & {*sys.modules}\n"
        "print(status, others, file=sys.stderr)"
    )
    arguments = "train", "--data", animals, "--target", "species", "--epochs", 1, "--folds", 2
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    assert without_compiling(done.stderr) == "0 set()\n"
