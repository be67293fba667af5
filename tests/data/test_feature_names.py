"""The names of a frame's columns: kept by the network and its file, and the same for every later frame."""

import copy
import pickle

import numpy as np
import pandas
import polars
import pytest

import fastbp
from command import said
from fastbp import Network

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 3))
Y = X[:, 0]
NAMES = ["width", "height", "depth"]


def of_pandas(X, names=NAMES):
    return pandas.DataFrame(X, columns=list(names))


def of_polars(X, names=NAMES):
    return polars.DataFrame(dict(zip(names, X.T, strict=True)))


FRAMES = pytest.mark.parametrize("frame", [of_pandas, of_polars])


def network(frame=None, **options):
    net = Network([3, 4, 1], output_activation="linear", seed=0, **options)
    net.fit(X if frame is None else frame(X), Y, epochs=1, batch_size=8)
    return net


@FRAMES
def test_names_are_kept_in_memory_copies_pickles_and_files(tmp_path, frame):
    net = network(frame)
    net.save(tmp_path / "net")
    for one in net, copy.copy(net), pickle.loads(pickle.dumps(net)), fastbp.load(tmp_path / "net"):
        assert one.feature_names_in_.tolist() == NAMES
        assert one.feature_names_in_.dtype == object
        assert np.array_equal(one.predict(frame(X)), net.predict(X))
    assert net.fingerprint() == network().fingerprint()
    lines = said("info", tmp_path / "net")[1]
    assert "columns             'width', 'height', 'depth'" in lines


@pytest.mark.parametrize(
    "given",
    [
        X,
        X.tolist(),
        pandas.DataFrame(X),
        of_pandas(X, ["a", "b", 3]),
        of_pandas(X, pandas.MultiIndex.from_tuples([("a", "b"), ("a", "c"), ("b", "c")])),
    ],
    ids=["array", "list", "numbers", "mixed", "levels"],
)
def test_other_columns_have_no_names(tmp_path, given):
    net = Network([3, 1], output_activation="linear", seed=0)
    net.fit(given, Y, epochs=1, batch_size=8)
    assert not hasattr(net, "feature_names_in_")
    with pytest.raises(
        AttributeError, match="no attribute 'feature_names_in_': it was not trained on a frame"
    ):
        net.feature_names_in_  # noqa: B018
    net.predict(of_pandas(X))
    assert not hasattr(net, "feature_names_in_"), "prediction changes nothing"
    net.save(tmp_path / "net")
    assert not hasattr(fastbp.load(tmp_path / "net"), "feature_names_in_")


USES = {
    "fit": lambda net, X: net.fit(X, Y, epochs=1, batch_size=8),
    "partial_fit": lambda net, X: net.partial_fit(X, Y),
    "predict": lambda net, X: net.predict(X),
    "outputs": lambda net, X: net.outputs(X),
    "score": lambda net, X: net.score(X, Y),
    "value_and_gradient": lambda net, X: net.value_and_gradient(X, Y),
    "gradients": lambda net, X: net.gradients(X, Y),
    "input_gradient": lambda net, X: net.input_gradient(X, Y),
    "check_gradients": lambda net, X: net.check_gradients(X, Y),
    "validation_data": lambda net, X: net.fit(
        of_pandas(X.to_numpy()), Y, epochs=1, batch_size=8, validation_data=(X, Y)
    ),
    "blocks": lambda net, X: net.fit([(of_pandas(X.to_numpy()), Y), (X, Y)], epochs=1, batch_size=8),
}


@FRAMES
@pytest.mark.parametrize("use", USES)
def test_another_order_of_columns_is_refused_and_changes_nothing(use, frame):
    net = network(of_pandas)
    before = net.parameters, net._fastbp
    name = {"validation_data": "validation_X", "blocks": "block 1: X"}.get(use, "X")
    words = f"{name}: expected the columns 'width', 'height', 'depth', as in training, got 'depth', 'height'"
    with pytest.raises(ValueError, match=words):
        USES[use](net, frame(X, NAMES[::-1]))
    if use != "blocks":  # of which the first has been trained on
        assert np.array_equal(net.parameters, before[0]) and net._fastbp == before[1]
    assert net.feature_names_in_.tolist() == NAMES


@pytest.mark.parametrize("use", ["validation_data", "blocks"])
def test_one_training_has_one_order_of_columns(use):
    net = Network([3, 4, 1], output_activation="linear", seed=0)
    hint = r"; validation_X\[list\(X.columns\)\] has" if use == "validation_data" else ""
    expected = rf"expected the columns 'width', 'height', 'depth', as in training.*{hint}"
    with pytest.raises(ValueError, match=expected):
        USES[use](net, of_pandas(X, NAMES[::-1]))


@FRAMES
def test_the_missing_column_is_named(frame):
    net = network(frame)
    with pytest.raises(ValueError, match=r"'width', 'height', 'colour'; it lacks 'depth'"):
        net.predict(frame(X, ["width", "height", "colour"]))
    with pytest.raises(ValueError, match=r"X: expected the columns .*; it lacks 'depth'"):
        net.predict(frame(X[:, :2], ["width", "height"]))
    with pytest.raises(ValueError, match=r"X\[list\(net.feature_names_in_\)\] has them in that order"):
        net.predict(frame(np.c_[X, X[:, 0]], [*NAMES, "colour"]))
    assert np.array_equal(
        net.predict(frame(X[:, ::-1], NAMES[::-1])[list(net.feature_names_in_)]), net.predict(X)
    )


def test_a_later_frame_names_the_columns_and_an_array_keeps_them():
    net = network()
    net.partial_fit(of_pandas(X), Y)
    net.partial_fit(X, Y)
    assert net.feature_names_in_.tolist() == NAMES
    net = Network([3, 4, 1], output_activation="linear", seed=0)
    net.fit([(of_polars(X), Y)], epochs=1, batch_size=8)
    assert net.feature_names_in_.tolist() == NAMES


def test_probabilities(tmp_path):
    net = Network([3, 2], seed=0)
    net.fit(of_pandas(X), Y > 0, epochs=1, batch_size=8)
    with pytest.raises(ValueError, match="expected the columns"):
        net.predict_proba(of_pandas(X, NAMES[::-1]))


def test_a_training_is_resumed_with_the_same_columns(tmp_path):
    def train(X, epochs):
        net = Network([3, 4, 1], output_activation="linear", seed=0)
        keeper = fastbp.ModelCheckpoint(tmp_path / "run", resume=True)
        net.fit(X, Y, epochs=epochs, batch_size=8, callbacks=[keeper])
        return net

    train(of_pandas(X), 2)
    with pytest.raises(
        ValueError, match="X: expected the columns 'width', 'height', 'depth', as in training"
    ):
        train(of_pandas(X, NAMES[::-1]), 4)
    assert train(of_pandas(X), 4).feature_names_in_.tolist() == NAMES


@pytest.mark.parametrize("names", [[1, 2, 3], "abc", {}, ["a", None, "c"], ["a", "b"]])
def test_files_whose_names_are_none(tmp_path, names):
    from fastbp.files import container, network_file

    arrays, metadata = network_file.described(network())
    metadata["trained"]["feature_names"] = names
    container.write(tmp_path / "net", arrays, metadata)
    with pytest.raises(ValueError, match="feature_names"):
        fastbp.load(tmp_path / "net")
