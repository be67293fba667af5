"""The data of ``fastbp train``: a user's own, parts held out, what is refused."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from command import FEW, MNIST, POINTS, network, refused, said, write
from fastbp import Network
from fastbp.datasets import load_npz


def test_without_a_test_part_a_tenth_is_held_out(tmp_path):
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


def test_idx_folder(tmp_path):
    for kind in ("images-idx3", "labels-idx1"):
        shutil.copy(MNIST / f"t10k-{kind}-ubyte.gz", tmp_path / f"train-{kind}-ubyte.gz")
    status, lines, _ = said("train", "--data", tmp_path, "--epochs", 1)
    assert (status, lines[1].split(", ")[0]) == (0, "network 784,30,10")
    assert lines[0].startswith(f"{tmp_path}: 9,000 samples to train on, 1,000 for ")


def test_values_are_scored_by_r2(tmp_path):
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
def test_the_data_tell_the_outputs(tmp_path, y, outputs):
    path = write(tmp_path / "data.npz", test=False, X=np.ones((100, 2), np.uint8), y=y)
    status, lines, _ = said("train", "--data", path, "--epochs", 1)
    assert (status, lines[1].split(", ")[0]) == (0, f"network 2,30,{outputs}")


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
def test_bad_data(tmp_path, changed, part):
    path = write(tmp_path / "bad.npz", **changed)
    refused(said("train", "--data", path), part.format(path=path))


def test_damaged_files(tmp_path):
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(Path(POINTS).read_bytes()[:-99])
    refused(said("train", "--data", damaged), damaged, "not a readable .npz file")
    refused(said("train", "--data", tmp_path), tmp_path, "train-images-idx3-ubyte")
    for kind in ("images-idx3", "labels-idx1"):
        (tmp_path / f"train-{kind}-ubyte").write_bytes(b"no IDX file")
    refused(said("train", "--data", tmp_path), tmp_path, "expected those of an IDX file")
