"""``fastbp predict``, ``fastbp info FILE``, and checkpoints of ``fastbp train``."""

import os
import re
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

import fastbp
from command import FEW, MNIST, POINTS, POSIX, refused, said, start
from fastbp import Network
from fastbp.cli import predict
from toy import bits


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "net.fastbp"
    assert said("train", "--data", POINTS, *FEW, "--save", path)[0] == 0
    return path


@pytest.fixture(scope="module")
def samples():
    with np.load(POINTS) as arrays:
        return arrays["X_test"][:20]


def rows(lines):
    return np.array([[float(cell) for cell in line.split(",")] for line in lines[1:]])


@pytest.mark.parametrize("kind", ["csv", "csv with a header", "npy", "npz"])
def test_tables(model, samples, tmp_path, kind):
    path = tmp_path / f"data.{kind[:3]}"
    if kind == "npy":
        np.save(path, samples)
    elif kind == "npz":
        np.savez(path, X=samples)
    else:
        header = "a,b,c,d,e" if "header" in kind else ""
        np.savetxt(path, samples, delimiter=",", header=header, comments="", fmt="%.17g")
    net = fastbp.load(model)
    status, lines, err = said("predict", model, path)
    assert (status, err, lines[0]) == (0, [], "label")
    assert rows(lines)[:, 0].tolist() == net.predict(samples).tolist()
    status, lines, _ = said("predict", model, path, "--proba")
    assert (status, lines[0]) == (0, "0,1,2")
    assert (rows(lines) == net.predict_proba(samples)).all(), "every digit is written"
    lines = said("predict", model, path, "--outputs")[1]
    assert lines[0] == "output 0,output 1,output 2"
    assert (rows(lines) == net.outputs(samples)).all()


def test_idx_files(tmp_path):
    net, digits = Network([784, 10], input_divisor=255, seed=0), MNIST / "t10k-images-idx3-ubyte.gz"
    net.save(tmp_path / "net")
    status, lines, _ = said("predict", tmp_path / "net", digits, "--output", tmp_path / "out.csv")
    assert (status, lines) == (0, [])
    found = rows((tmp_path / "out.csv").read_text().splitlines())
    assert found.shape == (10_000, 1)
    X = fastbp.datasets.read_idx(digits).reshape(10_000, 784)
    assert found[:, 0].tolist() == net.predict(X).tolist()


def test_values(tmp_path):
    X = np.arange(12.0).reshape(6, 2)
    net = Network([2, 1], output_activation="linear", seed=0)
    net.fit(X, X.sum(axis=1), epochs=1, batch_size=6, learning_rate=1e-3)
    net.save(tmp_path / "net")
    np.save(tmp_path / "X.npy", X)
    lines = said("predict", tmp_path / "net", tmp_path / "X.npy")[1]
    assert lines[0] == "value"
    assert rows(lines)[:, 0].tolist() == net.predict(X).tolist()
    outcome = said("predict", tmp_path / "net", tmp_path / "X.npy", "--proba")
    refused(outcome, "predict_proba: the network is not trained for labels")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("5,2,3,4,5\n1,2,3\n", "line 2: expected 5 numbers as above, got 3"),
        ("5,2,3,4,5\n1,2,x,4,5\n", "line 2: expected a number in column 3, got 'x'"),
        ("3,2,1\n", "X: expected shape (samples, 5) for a network of 5 inputs, got (1, 3)"),
        ("5,2,3,4,nan\n", "line 1: expected a finite number in column 5, got nan"),
        ("5,2,3,4,inf\n", "line 1: expected a finite number in column 5, got inf"),
        (
            "1,2,x,4,5\n1,2,3,4,5\n",
            "line 1: expected the names of columns or the numbers of a sample, got '1'",
        ),
        ("", "expected a table of numbers, got none"),
        ("a,b,c,d,e\n", "expected a table of numbers, got none"),
        ("1,2,3,4,\xff\n", "expected text in UTF-8"),
        ('1,2,3,4,"' + "5" * 200_000, "field larger than field limit"),
    ],
)
def test_tables_that_are_refused(model, tmp_path, text, part):
    path = tmp_path / "bad.csv"
    path.write_text(text, encoding="latin-1")
    refused(said("predict", model, path), path, part)


def test_other_files_are_refused(model, tmp_path):
    np.savez(tmp_path / "other.npz", Z=np.ones(3))
    refused(said("predict", model, tmp_path / "other.npz"), "holds the arrays Z; expected X")
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    refused(said("predict", model, tmp_path / "objects.npy"), "pickled objects")
    refused(said("predict", POINTS, model), POINTS, "expected a network saved by fastbp")
    refused(said("predict", model, POINTS, "--output", tmp_path / "none" / "out"), "No such file")
    (tmp_path / "half.npz").write_bytes(Path(POINTS).read_bytes()[:500])
    (tmp_path / "half.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00{")
    for name in ("half.npz", "half.npy"):
        part = f"not a readable {name[-4:]} file of plain arrays"
        refused(said("predict", model, tmp_path / name), tmp_path / name, part)


def test_predictions_never_replace_what_they_are_made_of(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(model, "net")
    np.savetxt("data.csv", np.zeros((2, 5)), delimiter=",")
    os.link("data.csv", "link")
    before = {name: Path(name).read_bytes() for name in os.listdir()}
    refused(
        said("predict", "net", "data.csv", "--output", "net"),
        "--output net: expected another file, got net, which MODEL reads",
    )
    refused(
        said("predict", "net", "data.csv", "--output", "link"),
        "--output link: expected another file, got data.csv, which DATA reads",
    )
    assert {name: Path(name).read_bytes() for name in os.listdir()} == before


def test_a_table_longer_than_what_is_written_at_once(model, tmp_path, samples, monkeypatch):
    monkeypatch.setattr(predict, "_AT_ONCE", 7)
    np.savetxt(tmp_path / "data.csv", samples, delimiter=",", fmt="%.17g")
    status, lines, _ = said("predict", model, tmp_path / "data.csv")
    assert status == 0
    assert rows(lines)[:, 0].tolist() == fastbp.load(model).predict(samples).tolist()
    assert said("predict", model, tmp_path / "data.csv", "--output", tmp_path / "out")[0] == 0
    assert (tmp_path / "out").read_text().splitlines() == lines


def test_odd_tables_are_read(model, tmp_path, samples):
    wanted = fastbp.load(model).predict(samples[:2]).tolist()
    first, second = (",".join(map(repr, row)) for row in samples[:2].tolist())
    for text in (
        f"\ufeff{first}\r\n{second}",
        f'a,b,"c ""of""",d,e\n{first}\n{second}\n',
        f"\n\n{first}\n\n{second.replace(',', ' , ')}\n\n",
    ):
        (tmp_path / "odd.csv").write_text(text, encoding="utf-8", newline="")
        status, lines, err = said("predict", model, tmp_path / "odd.csv")
        assert (status, err, rows(lines)[:, 0].tolist()) == (0, [], wanted), text


def test_info_of_a_network(model):
    status, lines, _ = said("info", model)
    told = {line[:20].rstrip(): line[20:] for line in lines}
    assert status == 0
    assert told["file"] == f"{model}, {model.stat().st_size:,} bytes, checksum good"
    assert (told["sizes"], told["trained for"], told["epochs"]) == ("5, 20, 3", "labels", "3")
    assert (told["optimizer"], told["steps"], told["arrays"]) == ("SGD()", "54", "4, 183 numbers")
    refused(said("info", POINTS), POINTS, "expected a network saved by fastbp")


# Checkpoints

LONG = ("--data", POINTS, "--hidden", 20, "--epochs", 40, "--dropout", 0.2, "--optimizer", "adam")


def trained(path):
    net = fastbp.load(path)
    return bits(net), net._fastbp.progress.batches


SLOW = ("--data", POINTS, "--epochs", 1500, "--optimizer", "adam", "--dropout", 0.2)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A training that nothing has ended."""
    path = tmp_path_factory.mktemp("whole") / "net"
    assert said("train", *SLOW, "--save", path)[0] == 0
    return trained(path)


@POSIX
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_training_that_a_signal_ends_is_resumed_to_the_bit(whole, tmp_path, signum):
    save, checkpoint = tmp_path / "net", tmp_path / "run"
    process = start(*map(str, SLOW), "--checkpoint", str(checkpoint), "--save", str(save))
    time.sleep(0.05)
    process.send_signal(signum)
    process.communicate()
    assert process.returncode == 128 + signum
    assert trained(save) != whole
    assert trained(checkpoint) == trained(save)
    assert said("train", *SLOW, "--checkpoint", checkpoint, "--resume", "--save", save)[0] == 0
    assert trained(save) == whole


def test_resuming_begins_where_there_is_no_checkpoint_yet(tmp_path):
    arguments = (*LONG, "--checkpoint", tmp_path / "run", "--resume", "--save", tmp_path / "net")
    assert said("train", *arguments)[0] == 0
    assert said("train", *LONG, "--save", tmp_path / "whole")[0] == 0
    assert trained(tmp_path / "net") == trained(tmp_path / "whole") == trained(tmp_path / "run")
    lines = said("info", tmp_path / "run")[1]
    assert re.search(r"checkpoint +epoch 40, step 720, loss 0\.\d{5}; 0 samples into", "\n".join(lines))
    status, lines, _ = said("train", *arguments)
    assert status == 0
    assert not [line for line in lines if line.startswith("epoch")], "it is done"


def test_checkpoints_that_are_refused(tmp_path):
    path = tmp_path / "run"
    path.write_bytes(b"an earlier training")
    refused(
        said("train", *LONG, "--checkpoint", path),
        "expected a new file, got an existing one; --resume continues from it",
    )
    outcome = said("train", *LONG, "--checkpoint", path, "--resume")
    assert outcome[0] == 2
    assert "expected a network saved by fastbp" in outcome[2][0]
    refused(
        said("train", *LONG, "--checkpoint", tmp_path / "x", "--save", tmp_path / "x"), "expected another"
    )
    assert said("train", *LONG, "--checkpoint", tmp_path / "x")[0] == 0
    other = said("train", *LONG, "--checkpoint", tmp_path / "x", "--resume", "--learning-rate", 0.5)
    assert other[0] == 2
    assert "rate was 0.001, is 0.5" in other[2][0]
