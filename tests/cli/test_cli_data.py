"""The data of ``fastbp train``: a user's own, parts held out, what is refused."""

import argparse
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import fastbp
from command import ACCURACY, EPOCH, FEW, MNIST, POINTS, held_out, network, refused, said, write
from fastbp import Network
from fastbp.cli import data
from fastbp.datasets import load_npz


def parts(X, y, count):
    """The samples of so many parts held out, and the rest."""
    return [(X[rows], y[rows]) for rows in held_out(y, count)]


def trained(part, **options):
    net = Network([5, 20, 3], seed=0)
    history = net.fit(*part, epochs=3, batch_size=10, learning_rate=3.0, **options)
    return net, history


def test_a_tenth_is_held_out_for_validation(tmp_path):
    status, lines, _ = said("train", "--data", POINTS, *FEW, "--save", tmp_path / "net.fastbp")
    assert status == 0
    assert lines[0].endswith(
        "180 samples to train on, 20 for validation after every epoch, 200 for the test "
        "(no validation part: a tenth, drawn by the seed, is held out)"
    )
    (X, y), test = load_npz(POINTS)
    validation, kept = parts(X, y, 1)
    net, history = trained(kept, validation_data=validation)
    np.testing.assert_array_equal(network(tmp_path / "net.fastbp").weights[0], net.weights[0])
    scores = [re.fullmatch(EPOCH.format(r"\d", 3), line)[1] for line in lines[3:6]]
    assert scores == [f"{score:.4f}" for score in history.validation_score]
    assert lines[-1].endswith(f"({round(200 * net.score(*test))} / 200)")


def test_without_a_test_part_another_tenth_is_held_out(tmp_path):
    path = write(tmp_path / "points.npz", test=False)
    status, lines, _ = said("train", "--data", path, *FEW, "--save", tmp_path / "net.fastbp")
    assert status == 0
    assert lines[0].endswith(
        "160 samples to train on, 20 for validation after every epoch, 20 for the test "
        "(no test part and no validation part: a tenth for each, drawn by the seed, is held out)"
    )
    test, validation, kept = parts(*load_npz(path)[0], 2)
    net, history = trained(kept, validation_data=validation)
    np.testing.assert_array_equal(network(tmp_path / "net.fastbp").weights[0], net.weights[0])
    assert f"validation {history.validation_score[-1]:.4f}" in lines[5]
    assert lines[-1].endswith(f"({round(20 * net.score(*test))} / 20)")


def test_parts_have_the_same_share_of_each_label(tmp_path):
    y = np.repeat(["common", "few", "rare", "single"], [4897, 100, 2, 1])
    path = write(tmp_path / "rare.npz", test=False, X=np.arange(5000.0)[:, None], y=y)
    options = argparse.Namespace(
        data=path, target=(), weights=None, drop=(), test_data=None, task=None, seed=3
    )
    drawn, note = data.split(data.load(options), options, ("training", "test", "validation"))
    assert [len(part.y) for part in drawn.values()] == [4002, 499, 499]
    assert [np.count_nonzero(part.y == "few") for part in drawn.values()] == [80, 10, 10]
    assert note.splitlines()[1:] == [
        "labels too rare for the test part: rare, single",
        "labels too rare for the validation part: rare, single",
    ]
    assert sorted(np.concatenate([part.X[:, 0] for part in drawn.values()])) == [*range(5000)]


@pytest.mark.parametrize("has_test", [False, True])
def test_without_validation_nothing_is_held_out_for_it(tmp_path, has_test):
    path = write(tmp_path / "points.npz", test=has_test)
    arguments = "--validation-data", "none", "--save", tmp_path / "net.fastbp"
    status, lines, _ = said("train", "--data", path, *FEW, *arguments)
    assert status == 0
    kept, test = load_npz(path)
    if not has_test:
        test, kept = parts(*kept, 1)
    assert f"{len(kept[1])} samples to train on, none for validation after every epoch" in lines[0]
    assert ("no test part: a tenth, drawn by the seed, is held out" in lines[0]) == (not has_test)
    assert not any("validation" in line for line in lines[3:] if line.startswith("epoch"))
    net, _ = trained(kept)
    np.testing.assert_array_equal(network(tmp_path / "net.fastbp").weights[0], net.weights[0])
    assert lines[-1].endswith(f"({round(len(test[1]) * net.score(*test))} / {len(test[1])})")


def test_idx_folder(tmp_path):
    for kind in ("images-idx3", "labels-idx1"):
        shutil.copy(MNIST / f"t10k-{kind}-ubyte.gz", tmp_path / f"train-{kind}-ubyte.gz")
    status, lines, _ = said("train", "--data", tmp_path, "--epochs", 1)
    assert (status, lines[2].split(", ")[0]) == (0, "network 784,30,10")
    assert lines[0].startswith(f"{tmp_path}: 8,000 samples to train on, 1,000 for validation ")


X = np.random.RandomState(0).rand(100, 2, 2)  # each sample is flattened
SMALL_STEPS = "--hidden", 8, "--learning-rate", 0.1, "--epochs", 200


def test_floats_are_values_with_linear_outputs_scored_by_r2(tmp_path):
    y = 5 * X.sum(axis=1) - 3  # beyond what a sigmoid gives
    path = write(tmp_path / "sums.npz", X=X, y=y, X_test=X, y_test=y)
    status, lines, _ = said("train", "--data", path, *SMALL_STEPS, "--save", tmp_path / "net.fastbp")
    assert (status, lines[2].split(", ")[:3]) == (0, ["network 4,8,2", "sigmoid", "output linear"])
    assert lines[1] == "learning values, as y is float64 (--task labels would learn classes)"
    assert float(re.fullmatch(r"test R\^2 (\d\.\d{4})", lines[-1])[1]) > 0.9
    saved = fastbp.load(tmp_path / "net.fastbp")
    assert (saved.task, saved._fastbp.options.output_activation) == ("values", "linear")


def test_integers_are_values_where_the_user_says_so(tmp_path):
    y = np.rint(5 * X.sum(axis=(1, 2))).astype(int)
    path = write(tmp_path / "sums.npz", X=X, y=y, X_test=X, y_test=y.astype(float))
    status, lines, _ = said("train", "--data", path, *SMALL_STEPS, "--task", "values")
    assert (status, lines[2].split(", ")[:3]) == (0, ["network 4,8,1", "sigmoid", "output linear"])
    assert lines[1] == "learning values, as --task values says"
    assert float(re.fullmatch(r"test R\^2 (\d\.\d{4})", lines[-1])[1]) > 0.9


def test_whole_floats_are_labels_where_the_user_says_so(tmp_path):
    with np.load(POINTS) as arrays:
        floats = {name: arrays[name].astype(np.float32) for name in ("y", "y_test")}
    path = write(tmp_path / "points.npz", **floats)
    assert said("train", "--data", path, *FEW)[1][1].startswith("learning values, as y is float32")
    status, lines, _ = said("train", "--data", path, *FEW, "--task", "labels")
    same = said("train", "--data", POINTS, *FEW)[1]
    assert (status, lines[1]) == (0, "learning labels 0 .. 2, as --task labels says")
    assert [line.split("  ")[:3] for line in lines[2:]] == [line.split("  ")[:3] for line in same[2:]]


TYPES = ("uint8", "int64", "float32", "float64")


@pytest.mark.parametrize("divisor", [None, 1, 255])
def test_the_same_numbers_give_the_same_network_and_the_same_answers_in_any_type(tmp_path, divisor):
    numbers = np.random.RandomState(1).randint(0, 256, (200, 5))
    y, said_of_uint8 = numbers[:, 0] // 128, divisor is None
    option = [] if divisor is None else ["--input-divisor", divisor]
    fingerprints, answers = set(), set()
    np.savetxt(tmp_path / "rows.csv", numbers, fmt="%d", delimiter=",")
    for kind in TYPES:
        path = write(
            tmp_path / "rows.npz", X=numbers.astype(kind), y=y, X_test=numbers.astype(kind), y_test=y
        )
        saved = tmp_path / f"{kind}.fastbp"
        status, lines, err = said("train", "--data", path, "--epochs", 2, *option, "--save", saved)
        assert (status, err) == (0, [])
        is_said = any(line.startswith("samples are uint8 numbers, used unchanged") for line in lines)
        assert is_said == (said_of_uint8 and kind == "uint8")
        fingerprints.add(lines[-2] if lines[-2].startswith("fingerprint") else lines[-3])
        for rows in (path, tmp_path / "rows.csv"):
            answers.add("\n".join(said("predict", saved, rows, "--outputs")[1]))
    assert len(fingerprints) == len(answers) == 1


@pytest.mark.parametrize(
    ("y", "learned", "outputs"),
    [
        (np.zeros(100, int), "labels 0 .. 1, as y is int64", 2),
        (np.arange(100) % 2 == 0, "labels 0 .. 1, as y is bool", 2),
        (np.arange(100, dtype=np.uint8) % 7, "labels 0 .. 6, as y is uint8", 7),
        (np.arange(100).reshape(100, 1) % 7, "labels 0 .. 6, as y is int64", 7),
        (np.arange(200).reshape(100, 2), "values, as y has rows of int64", 2),
        (np.linspace(0, 1, 100), "values, as y is float64", 1),
        (np.eye(100, dtype=np.float32), "values, as y is float32", 100),
    ],
)
def test_the_data_tell_the_task_and_the_outputs(tmp_path, y, learned, outputs):
    path = write(tmp_path / "data.npz", test=False, X=np.ones((100, 2), np.uint8), y=y)
    status, lines, _ = said("train", "--data", path, "--epochs", 1, "--learning-rate", 1e-9)
    assert (status, lines[2].split(", ")[0]) == (0, f"network 2,30,{outputs}")
    assert lines[1].startswith(f"learning {learned}")
    assert lines[-2 if "no better" in lines[-1] else -1].startswith(
        "test accuracy" if "labels" in learned else "test R^2"
    )


def test_one_output_learns_two_classes(tmp_path):
    with np.load(POINTS) as arrays:
        two = {name: np.minimum(arrays[name], 1) for name in ("y", "y_test")}
    path = write(tmp_path / "points.npz", **two)
    arguments = "--sizes", "5,20,1", "--epochs", 3, "--save", tmp_path / "net.fastbp"
    status, lines, _ = said("train", "--data", path, *arguments)
    assert (status, lines[1].split(",")[0]) == (0, "learning labels 0 .. 1")
    assert float(re.fullmatch(ACCURACY, lines[-1])[1]) > 90
    assert fastbp.load(tmp_path / "net.fastbp").task == "binary"
    refused(
        said("train", "--data", POINTS, "--sizes", "5,20,1"),
        "training part: y: expected 2 different labels for 1 outputs, got 3: 0, 1, 2; y is read as labels",
    )


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        ([10115, 80331, 50667], "10115, 50667, 80331"),
        ([1, 2, 3], "1, 2, 3"),
        ([1, -1, 0], "-1, 0, 1"),
        ([0, 1, 3], "0, 1, 3"),
        ([-(2**63), 0, 2**63 - 1], "-9223372036854775808, 0, 9223372036854775807"),
    ],
)
def test_any_integers_are_labels_as_they_are_to_a_network(tmp_path, labels, shown):
    with np.load(POINTS) as arrays:
        y = {name: np.array(labels)[arrays[name]] for name in ("y", "y_test")}
    path, saved = write(tmp_path / "points.npz", **y), tmp_path / "net.fastbp"
    status, lines, err = said("train", "--data", path, *FEW, "--save", saved)
    assert (status, err) == (0, [])
    assert lines[1].startswith(f"learning labels {shown}, as y is int64")
    net = fastbp.load(saved)
    assert (net.sizes, net.classes_.tolist()) == ([5, 20, 3], sorted(labels))
    (X, y), test = load_npz(path)
    validation, kept = parts(X, y, 1)
    alone, _ = trained(kept, validation_data=validation)
    assert net.fingerprint() == alone.fingerprint()
    assert lines[-1].endswith(f"({round(200 * alone.score(*test))} / 200)")


def test_two_integers_are_the_classes_of_one_output(tmp_path):
    with np.load(POINTS) as arrays:
        y = {name: np.where(arrays[name] == 1, 1, -1) for name in ("y", "y_test")}
    path = write(tmp_path / "points.npz", **y)
    for sizes in ("5,20,1", "5,20,2"):
        arguments = "--sizes", sizes, "--epochs", 30, "--save", tmp_path / "net.fastbp"
        status, lines, _ = said("train", "--data", path, *arguments)
        assert (status, lines[1].split(",")[:2]) == (0, ["learning labels -1", " 1"])
        assert float(re.fullmatch(ACCURACY, lines[-1])[1]) > 90
        assert fastbp.load(tmp_path / "net.fastbp").classes_.tolist() == [-1, 1]


def test_labels_of_which_there_are_many_take_one_line(tmp_path):
    y = 7 * np.arange(5000)
    path = write(tmp_path / "many.npz", X=np.ones((5000, 2)), y=y, X_test=np.ones((9, 2)), y_test=y[:9])
    lines = said("train", "--data", path, "--hidden", 1, "--epochs", 1, "--validation-data", "none")[1]
    assert lines[1].startswith("learning labels 0, 7 ... 34993 (5,000 of them), as y is int64")
    refused(
        said("train", "--data", path, "--sizes", "2,3,10"),
        "expected 10 different labels for 10 outputs, got 5000: 0, 7, 14, 21, 28, ...; y is read as labels",
    )
    path = write(tmp_path / "many.npz", X=np.ones((5000, 2)), y=y, X_test=np.ones((9, 2)), y_test=y[:9] + 1)
    refused(said("train", "--data", path), "test part: y[0]: expected one of 0, 7, 14, 21, 28, ..., got 1;")


def test_labels_fewer_than_the_sizes_that_are_asked_for(tmp_path):
    arguments = "--sizes", "5,20,4", "--epochs", 3, "--save", tmp_path / "net.fastbp"
    status, lines, _ = said("train", "--data", POINTS, *arguments)
    assert (status, lines[1].split(",")[0]) == (0, "learning labels 0 .. 3")
    assert fastbp.load(tmp_path / "net.fastbp")._fastbp.learnt.classes is None


GOOD = np.ones((200, 5))


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        (
            {"y": 2 * (np.arange(200) % 3), "y_test": np.arange(200) % 3},
            "{path}, test part: y[1]: expected one of 0, 2, 4, got 1; y is read as labels, as",
        ),
        ({"y_test": np.full(200, 3)}, "{path}, test part: y[0]: expected a label 0 .. 2, got 3"),
        ({"X": np.ones((199, 5))}, "{path}[X] has the shape (199, 5)"),
        ({"X_test": np.ones((200, 4))}, "{path}, test part: X: expected shape (samples, 5)"),
        (
            {"X": np.where(np.arange(1000) == 11, np.nan, 1.0).reshape(200, 5)},
            "{path}, training part: X[2, 1]",
        ),
        ({"X": GOOD.astype(str)}, "{path}, training part: X[0, 0]: expected a number"),
        ({"X": GOOD.astype(object)}, "{path}: not a readable .npz file"),
        ({"X": GOOD[:, :0]}, "network 0,30,3: "),
        ({"X": GOOD[:0], "y": np.arange(0)}, "{path}, training part: expected at least one sample, got none"),
        (
            {"y": np.full(200, 2**62)},
            "expected 2 different labels for 2 outputs, got 1: 4611686018427387904;",
        ),
        ({"test": False, "X": GOOD[:9], "y": np.arange(9)}, "{path}: 9 samples and no test part and no vali"),
        (
            {"X": GOOD[:9], "y": np.arange(9)},
            "{path}: 9 samples and no validation part, expected at least 10",
        ),
    ],
)
def test_bad_data(tmp_path, changed, part):
    path = write(tmp_path / "bad.npz", **changed)
    refused(said("train", "--data", path), part.format(path=path))


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        (
            {"y": np.where(np.arange(200) == 3, 0.5, 1.0)},
            "{path}, training part: y[3]: expected a label, got",
        ),
        (
            {"y_test": np.where(np.arange(200) == 3, np.nan, 1.0)},
            "{path}, test part: y[3]: expected a label, got nan",
        ),
        ({"y": np.full(200, 1e300)}, "y[0]: expected a label, got 1e+300"),
        (
            {"y": np.arange(400).reshape(200, 2)},
            "expected a label or a row of zeros and ones per sample, got shape (200, 2)",
        ),
    ],
)
def test_what_cannot_be_labels(tmp_path, changed, part):
    path = write(tmp_path / "bad.npz", **changed)
    refused(said("train", "--data", path, "--task", "labels"), part.format(path=path))


def test_damaged_files(tmp_path):
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(Path(POINTS).read_bytes()[:-99])
    refused(said("train", "--data", damaged), damaged, "not a readable .npz file")
    refused(said("train", "--data", tmp_path), tmp_path, "train-images-idx3-ubyte")
    for kind in ("images-idx3", "labels-idx1"):
        (tmp_path / f"train-{kind}-ubyte").write_bytes(b"no IDX file")
    refused(said("train", "--data", tmp_path), tmp_path, "expected those of an IDX file")


@pytest.mark.parametrize("type_of_y", ["U3", "S3"])
def test_text_labels_are_learnt_and_columns_scaled(type_of_y, tmp_path):
    with np.load(POINTS) as arrays:
        X, X_test = (1e4 + 500 * arrays[name] for name in ("X", "X_test"))
        y, y_test = (np.array(["cat", "dog", "eel"], type_of_y)[arrays[name]] for name in ("y", "y_test"))
    path = write(tmp_path / "animals.npz", X=X, X_test=X_test, y=y, y_test=y_test)
    options = "--scale-inputs", "--epochs", 20, "--save", tmp_path / "net.fastbp"
    status, lines, err = said("train", "--data", path, *options)
    assert (status, err) == (0, [])
    assert lines[1] == "learning labels cat, dog, eel, as y is text"
    assert "scale inputs True" in lines[2]
    assert float(re.fullmatch(ACCURACY, lines[-1])[1]) > 90
    np.savez(tmp_path / "new.npz", X=X_test)
    lines = said("predict", tmp_path / "net.fastbp", tmp_path / "new.npz")[1]
    assert np.mean(np.array(lines[1:]) == y_test.astype("U3")) > 0.9
    y_test = np.where(np.arange(200) == 5, "cow", y_test)
    path = write(tmp_path / "animals.npz", X=X, X_test=X_test, y=y, y_test=y_test)
    refused(said("train", "--data", path), "test part: y[5]: expected one of 'cat', 'dog', 'eel', got 'cow'")
