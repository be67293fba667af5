"""Averages of weights over the last steps: their formula, and the same bits after an interruption."""

import copy
import pickle

import numpy as np
import pytest

import fastbp
from fastbp import AverageWeights, Callback, ModelCheckpoint, Network
from fastbp.engine import packed
from toy import LABELS, X, bits

FIT = {"epochs": 3, "batch_size": 7, "learning_rate": 0.5}  # 4 steps an epoch


def network(dtype="float64"):
    return Network([6, 9, 3], seed=3, dtype=dtype)


class Weights(Callback):
    """The weights after every `every` steps."""

    def __init__(self, every=1):
        self.every, self.seen = every, []

    def on_step(self, run):
        self.seen.append(copy.deepcopy([*run.network.weights, *run.network.biases]))


@pytest.mark.parametrize(("decay", "every"), [(0.9, 1), (0.2, 1), (0.0, 1), (0.3, 3)])
def test_averages_of_the_weights_of_steps(decay, every, dtype):
    net, weights = network(dtype), Weights(every)
    net.fit(X, LABELS, **FIT, callbacks=[weights, AverageWeights(decay, every)])
    assert len(weights.seen) == 12 // every
    wanted = [array.astype(float) for array in weights.seen[0]]
    for number, arrays in enumerate(weights.seen):
        kept = min(decay, (1 + number) / (10 + number))
        wanted = [kept * old + (1 - kept) * new for old, new in zip(wanted, arrays, strict=True)]
    for given, array in zip([*net.weights, *net.biases], wanted, strict=True):
        assert given.dtype == dtype
        np.testing.assert_allclose(given, array, rtol=1e-5 if dtype == "float32" else 1e-12, atol=1e-7)


def test_the_training_itself_is_unchanged():
    plain, averaged, weights = network(), network(), Weights()
    history = plain.fit(X, LABELS, **FIT)
    other = averaged.fit(X, LABELS, **FIT, callbacks=[AverageWeights(0.9), weights])
    assert history.loss == other.loss and bits(plain) != bits(averaged)
    assert all((a == b).all() for a, b in zip([*plain.weights, *plain.biases], weights.seen[-1], strict=True))


def test_a_second_training_averages_anew():
    nets, average = [network(), network()], AverageWeights(0.9)
    for net, callbacks in zip(nets, ([average, average], [average, AverageWeights(0.9)]), strict=True):
        for callback in callbacks:
            net.fit(X, LABELS, **FIT, callbacks=callback)
    assert bits(nets[0]) == bits(nets[1])


class Stop(Callback):
    """Raises KeyboardInterrupt once, in a hook of the chunk that ends with a step."""

    def __init__(self, hook, step):
        self.step = step
        setattr(self, hook, self._stop)

    def _stop(self, run):
        if run.step == self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("hook", ["on_chunk", "on_step", "on_boundary", "on_epoch_end"])
@pytest.mark.parametrize("step", [3, 4, 6])
def test_an_interrupted_training_ends_with_the_same_averages(hook, step, first, every, tmp_path):
    if hook == "on_epoch_end" and step % 4:
        return
    wanted = network()
    wanted.fit(X, LABELS, **FIT, callbacks=AverageWeights(0.7, every))
    path = tmp_path / "net.fastbp"
    stop = Stop(hook, step)
    stop.every = 1
    keep = ModelCheckpoint(path, resume=True)
    callbacks = (
        [stop, AverageWeights(0.7, every), keep] if first else [AverageWeights(0.7, every), stop, keep]
    )
    with pytest.raises(KeyboardInterrupt):
        network().fit(X, LABELS, **FIT, callbacks=callbacks)
    resumed = network()
    resumed.fit(X, LABELS, **FIT, callbacks=[AverageWeights(0.7, every), ModelCheckpoint(path, resume=True)])
    assert bits(resumed) == bits(wanted)
    again = network()  # a training that has ended already
    again.fit(X, LABELS, **FIT, callbacks=[AverageWeights(0.7, every), ModelCheckpoint(path, resume=True)])
    assert bits(again) == bits(wanted)


def test_an_interruption_before_the_first_step_of_a_second_training(tmp_path, monkeypatch):
    path, nets = tmp_path / "net.fastbp", [network() for _ in range(3)]
    for net in nets:
        net.fit(X, LABELS, **FIT)
    nets[0].fit(X, LABELS, **FIT, callbacks=AverageWeights(0.7))

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(packed.Engine, "train", interrupted)
        nets[1].fit(X, LABELS, **FIT, callbacks=[AverageWeights(0.7), ModelCheckpoint(path)])
    nets[2].fit(X, LABELS, **FIT, callbacks=[AverageWeights(0.7), ModelCheckpoint(path, resume=True)])
    assert bits(nets[2]) == bits(nets[0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((1.0,), "decay: expected a number from 0 to below 1, got 1.0"),
        ((0.9, 0), "every: expected at least 1, got 0"),
    ],
)
def test_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        fastbp.AverageWeights(*arguments)


def test_a_callback_that_was_used_can_be_pickled():
    """As estimators keep it: with the averages, and without the training."""
    average = AverageWeights(0.5)
    network().fit(X, LABELS, **FIT, callbacks=average)
    kept = pickle.loads(pickle.dumps(average)).state()
    assert all((a == b).all() for a, b in zip(kept["weights"], average.state()["weights"], strict=True))
    stopped = AverageWeights(0.5)
    with pytest.raises(ZeroDivisionError):
        network().fit(X, LABELS, **FIT, callbacks=[stopped, lambda net, history: 1 / 0])
    assert pickle.loads(pickle.dumps(stopped)).state()["updates"] == 4
