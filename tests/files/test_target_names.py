"""The names of targets, which `fastbp train` takes from a table, in files."""

from dataclasses import replace

import pytest

import fastbp
from toy import fitted, fresh


def test_names_of_targets_are_kept_where_they_fit(tmp_path):
    """They come from tables of the command line; a training on other y leaves them."""
    net = fitted()
    net._fastbp = replace(net._fastbp, learnt=replace(net._fastbp.learnt, target_names=("kind",)))
    net.save(tmp_path / "net")
    loaded = fastbp.load(tmp_path / "net")
    assert loaded._fastbp.learnt.target_names == ("kind",)
    assert loaded.fingerprint() == net.fingerprint()
    assert fitted(net=loaded)._fastbp.learnt.target_names == ("kind",)
    assert loaded[:1]._fastbp.learnt.target_names is None
    assert loaded[1:]._fastbp.learnt.target_names == ("kind",)
    net._fastbp = replace(net._fastbp, learnt=replace(net._fastbp.learnt, target_names=("a", "b")))
    with pytest.raises(ValueError, match=r"trained\.target_names: expected consistent values, got names 2"):
        net.save(tmp_path / "other")


def test_a_cost_of_two_outputs_for_each_value_has_a_name_for_both(tmp_path):
    net = fastbp.Network([1, 4], output_activation="linear", cost="gaussian", seed=0)
    net.fit([[0.0], [1.0]], [[1.0, 2.0], [3.0, 4.0]], epochs=1, batch_size=1)
    net._fastbp = replace(net._fastbp, learnt=replace(net._fastbp.learnt, target_names=("a", "b")))
    net.save(tmp_path / "net")
    assert fastbp.load(tmp_path / "net")._fastbp.learnt.target_names == ("a", "b")
    net._fastbp = replace(net._fastbp, learnt=replace(net._fastbp.learnt, target_names=tuple("abcd")))
    with pytest.raises(ValueError, match="got names 4, columns of y 2"):
        net.save(tmp_path / "other")


def test_a_training_that_is_resumed_on_arrays_keeps_the_names(tmp_path):
    net = fresh()
    net._fastbp = replace(net._fastbp, learnt=replace(net._fastbp.learnt, target_names=("kind",)))
    keep = fastbp.ModelCheckpoint(tmp_path / "run", resume=True)
    fitted(net=net, epochs=1, callbacks=keep)
    assert fitted(epochs=2, callbacks=keep)._fastbp.learnt.target_names == ("kind",)
    net._fastbp = replace(net._fastbp, learnt=replace(net._fastbp.learnt, target_names=("other",)))
    with pytest.raises(ValueError, match=r"run: trained\.target_names: expected \('other',\), as of y, got"):
        fitted(net=net, epochs=2, callbacks=keep)
