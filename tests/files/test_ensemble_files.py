"""Files of ensembles: they keep all that networks' own files keep, and damaged ones are refused."""

import json

import numpy as np
import pytest

import fastbp
from fastbp import EarlyStopping, Ensemble, ModelCheckpoint, Network, load, load_ensemble
from fastbp.files import container

X = np.random.default_rng(0).standard_normal((30, 2))
Y = np.sin(X[:, :1])
FIT = {"epochs": 4, "batch_size": 8, "optimizer": "adam", "validation_split": 0.3}


def ensemble(**options):
    network = {"activation": "tanh", "output_activation": "linear", "seed": 4, "dropout": [0.1, 0.0, 0.2]}
    return Ensemble(3, [2, 5, 1], **{**network, **options})


def test_a_loaded_ensemble_trains_on_and_predicts_alike(tmp_path):
    path, together = tmp_path / "ensemble.fastbp", ensemble(scale_inputs=True)
    together.fit(X, Y, **FIT)
    together.save(path)
    loaded = load_ensemble(path)
    assert loaded.fingerprint() == together.fingerprint() and loaded.seeds == together.seeds
    assert [net._fastbp for net in loaded] == [net._fastbp for net in together]
    assert loaded.outputs(X).tobytes() == together.outputs(X).tobytes()
    for one in (loaded, together):
        one.fit(X, Y, **FIT)
    assert loaded.fingerprint() == together.fingerprint()


def test_users_functions_are_given_again(tmp_path):
    path = tmp_path / "ensemble.fastbp"
    own = fastbp.Activation(np.tanh, lambda z: 1 - np.tanh(z) ** 2)
    together = ensemble(activation=own)
    together.save(path)
    with pytest.raises(ValueError, match="expected the network's user-defined functions"):
        load_ensemble(path)
    assert (load_ensemble(path, activation=own).outputs(X) == together.outputs(X)).all()


def test_a_file_of_one_network_and_one_of_an_ensemble(tmp_path):
    path = tmp_path / "any.fastbp"
    ensemble().save(path)
    with pytest.raises(ValueError, match=r"expected a network, got an ensemble; fastbp\.load_ensemble"):
        load(path)
    Network([2, 1], seed=0).save(path)
    with pytest.raises(ValueError, match=r"expected an ensemble, got a network; fastbp\.load reads it"):
        load_ensemble(path)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The arrays and the metadata of a checkpoint."""
    path = tmp_path_factory.mktemp("written") / "ensemble.fastbp"
    callbacks = [EarlyStopping(patience=1, restore_best_weights=True), ModelCheckpoint(path)]
    ensemble().fit(X, Y, **FIT, callbacks=callbacks)
    return container.read(path)


def changed(written, *keys, value):
    arrays, metadata = dict(written[0]), json.loads(json.dumps(written[1]))
    place = metadata
    for key in keys[:-1]:
        place = place[key]
    if value is None:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value
    return arrays, metadata


METADATA = [
    (("ensemble",), [], "the length of ensemble: expected an integer from 1"),
    (("ensemble", 1, "sizes"), [2, 4, 1], "sizes: expected"),
    (("ensemble", 2, "network", "cost"), "cubic", r"network\.cost"),
    (("training", "epoch"), -1, r"training\.epoch"),
    (("training", "epoch"), 3, r"training\.history\.loss: expected an array of float64 of shape \(3, 3\)"),
    (("training", "seconds"), None, "training"),
    (("training", "notes"), [[9]], r"training\.notes"),
    (("training", "batches"), [0], r"the length of training\.batches"),
    (("training", "watched"), [[], [], []], r"the length of training\.watched\[0\]"),
    (("training", "kinds"), [], r"the length of training\.callbacks"),
    (("training", "unknown"), 1, "needs a later version of fastbp, which knows training.unknown"),
    (("training", "arguments", 0, "batch_size"), 0, r"batch_size: expected an integer from 1"),
]


@pytest.mark.parametrize(("keys", "value", "message"), METADATA)
def test_damaged_metadata(written, tmp_path, keys, value, message):
    path = tmp_path / "damaged.fastbp"
    container.write(path, *changed(written, *keys, value=value))
    with pytest.raises(ValueError, match=message):
        load_ensemble(path)


ARRAYS = [
    ("0.weights.0", np.zeros((4, 2)), "expected"),
    ("1.biases.0", None, "expected arrays of shapes"),
    ("1.optimizer.mu.biases.0", None, "expected an array, got none"),
    ("3.weights.0", np.zeros((5, 2)), r"expected only those that the metadata name, got '3\.weights\.0'"),
    ("01.weights.0", np.zeros((5, 2)), "expected only those"),
    ("2.weights.9", np.zeros((5, 2)), r"weights\.2: expected an array, got none"),
    ("training.other", np.zeros(3), "expected only those"),
    ("training.steps", np.zeros(3), r"training\.steps: expected an array of int64 of shape \(3,\)"),
    ("training.steps", np.array([-1, 0, 0]), r"training\.steps: expected at least 0, got -1"),
    ("training.losses", np.full(3, np.nan), r"training\.losses: expected finite numbers"),
    ("training.active", np.full(3, 2, np.uint8), r"training\.active: expected 0 or 1, got 2"),
    ("training.samples_done", np.full(3, 3), r"training\.position\.done: expected a multiple of batch_size"),
    ("training.history.loss", None, r"training\.history\.loss: expected an array"),
    ("training.watched.0.0.weights.0", np.zeros((1, 1)), "expected arrays of shapes"),
    ("training.watched.0.0.weights.0", None, "expected an array, got none"),
]


@pytest.mark.parametrize(("name", "array", "message"), ARRAYS)
def test_damaged_arrays(written, tmp_path, name, array, message):
    path = tmp_path / "damaged.fastbp"
    arrays = dict(written[0])
    if array is None:
        del arrays[name]
    else:
        arrays[name] = array
    container.write(path, arrays, written[1])
    with pytest.raises(ValueError, match=message):
        load_ensemble(path)


def test_a_damaged_byte_is_found(tmp_path):
    path = tmp_path / "ensemble.fastbp"
    ensemble().save(path)
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="damaged"):
        load_ensemble(path)


def test_networks_that_differ_are_refused(written, tmp_path):
    arrays, about = changed(written, "ensemble", 1, "network", "uint8_divisor", value=7.0)
    container.write(tmp_path / "run", arrays, about)
    with pytest.raises(
        ValueError, match=r"run: damaged: networks\[1\]: expected Network\(.* got Network"
    ) as caught:
        load_ensemble(tmp_path / "run")
    assert str(caught.value).startswith(str(tmp_path / "run"))
