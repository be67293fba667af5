"""`Network.fingerprint` is the same for networks that compute the same, and differs with anything else."""

import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from command import run
from fastbp import LeakyReLU, Network, load

README = Path(__file__).parents[2] / "README.md"


def trained(**options):
    net = Network([2, 5, 3], **{"activation": "tanh", "seed": 3, **options})
    net.fit(np.eye(2), [0, 2], epochs=2, batch_size=1, optimizer="adam")
    return net


def changed_by_one_bit(net, layer, row, column):
    net.weights[layer][row, column] = np.nextafter(net.weights[layer][row, column], np.inf, dtype=net.dtype)
    return net


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_bit_of_every_weight_counts(dtype):
    first = trained(dtype=dtype).fingerprint()
    assert re.fullmatch("[0-9a-f]{64}", first)
    assert trained(dtype=dtype).fingerprint() == first
    seen = {first}
    for layer, (n_out, n_in) in enumerate([(5, 2), (3, 5)]):
        for row in range(n_out):
            for column in range(n_in):
                seen.add(changed_by_one_bit(trained(dtype=dtype), layer, row, column).fingerprint())
    assert len(seen) == 1 + 10 + 15


def test_a_changed_bias_counts():
    net = trained()
    first = net.fingerprint()
    net.biases[1][2, 0] += 1e-9
    assert net.fingerprint() != first


def test_everything_that_outputs_follow_from_counts():
    same = {"init": [np.ones((5, 2)), np.ones((3, 5))]}
    nets = [
        Network([2, 5, 3], **same, **options)
        for options in (
            {},
            {"activation": "relu"},
            {"activation": LeakyReLU(0.2)},
            {"output_activation": "linear"},
            {"cost": "cross_entropy"},
            {"dtype": "float32"},
            {"input_divisor": 3.0},
        )
    ]
    nets += [Network([2, 5, 3], **same) for _ in range(2)]
    nets[-1].classes_ = ["a", "b", "c"]
    nets[-2].classes_ = ["a", "c", "b"]
    assert len({net.fingerprint() for net in nets}) == len(nets)


def test_scaling_counts():
    nets = [Network([1, 1], seed=0, scale_inputs=True) for _ in range(2)]
    for net, X in zip(nets, ([[0.0], [1.0]], [[0.0], [2.0]]), strict=True):
        net.fit(X, [0.0, 1.0], epochs=0, batch_size=1)
    assert nets[0].fingerprint() != nets[1].fingerprint()


def test_nothing_of_training_counts():
    weights = [np.ones((5, 2)), np.ones((4, 5)), np.ones((3, 4))]
    nets = [
        Network([2, 5, 4, 3], init=weights, activation=["relu", "relu"]),
        Network([2, 5, 4, 3], init=weights, activation="relu", seed=4, dropout=0.5, frozen=0),
    ]
    assert nets[0].fingerprint() == nets[1].fingerprint()


def test_it_survives_a_file_and_a_pickle(tmp_path):
    net = trained()
    net.save(tmp_path / "net.fastbp")
    assert load(tmp_path / "net.fastbp").fingerprint() == net.fingerprint()
    assert pickle.loads(pickle.dumps(net)).fingerprint() == net.fingerprint()
    assert f"fingerprint         {net.fingerprint()}" in run("info", tmp_path / "net.fastbp").stdout


def test_the_readme_has_that_of_the_command_which_it_shows():
    shown = re.findall(r"^fingerprint ([0-9a-f]{64})$", README.read_text("utf-8"), re.MULTILINE)
    shown_by_run = run("train").stdout
    assert re.findall(r"^fingerprint (\w+)$", shown_by_run, re.MULTILINE) == shown
    assert len(shown) == 1
