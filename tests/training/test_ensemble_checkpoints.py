"""A training of an ensemble that is killed resumes to the bits that it would have had."""

import contextlib
import datetime

import numpy as np
import pytest

import fastbp
from alone import SAME
from fastbp import DivergenceError, EarlyStopping, Ensemble, ModelCheckpoint, ReduceLROnPlateau, load_ensemble
from fastbp.engine import team_size
from fastbp.engine.lanes import LaneEngine
from fastbp.engine.packed import Engine
from fastbp.training import ensemble_run

pytestmark = pytest.mark.usefixtures("engine")
COUNT, N = 5, 40
RANDOM = np.random.default_rng(1)
X = RANDOM.standard_normal((N, 2))
Y = np.sin(X[:, :1]) + 0.3 * RANDOM.standard_normal((N, 1))
FIT = {
    "epochs": 14,
    "batch_size": 8,
    "optimizer": "adam",
    "learning_rate": [0.3, 0.001, 0.1, 0.01, 0.03],
    "validation_data": (RANDOM.standard_normal((20, 2)), RANDOM.standard_normal((20, 1))),
    "schedule": "cosine",
    "threads": 1,
}


def ensemble(**options):
    network = {
        "activation": "tanh",
        "output_activation": "linear",
        "seed": 4,
        "dropout": [0.1, 0.0, 0.2, 0.1, 0.3],
    }
    return Ensemble(COUNT, [2, 8, 1], **{**network, **options})


def watchers():
    return [EarlyStopping(patience=2, restore_best_weights=True), ReduceLROnPlateau(patience=1)]


def states(together):
    return [net._fastbp for net in together]


def assert_same(one, history, other, wanted):
    assert one.fingerprint() == other.fingerprint() and states(one) == states(other)
    for name in wanted:
        if name not in SAME:
            np.testing.assert_array_equal(history[name], wanted[name], err_msg=name)
    assert history.notes == wanted.notes
    assert history.trained_epochs.tolist() == wanted.trained_epochs.tolist()


@contextlib.contextmanager
def kills_after(calls):
    """The call into the kernels after so many raises what a signal does; lanes make one for all networks."""
    with pytest.MonkeyPatch.context() as patch:
        for kind, left in ((Engine, iter(range(calls))), (LaneEngine, iter(range(-(-calls // COUNT))))):
            patch.setattr(kind, "train", _interrupted(kind.train, left))
        yield


def killed_after(calls, together, **options):
    with kills_after(calls), pytest.raises(KeyboardInterrupt):
        together.fit(X, Y, **options)


def _interrupted(train, left):
    def interrupted(self, *arguments):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return train(self, *arguments)

    return interrupted


@pytest.mark.survives("resumed training")
@pytest.mark.parametrize("calls", [0, 3, 5, 12, 18, 23])
def test_killed_within_any_chunk_and_resumed(tmp_path, calls):
    path = tmp_path / "ensemble.fastbp"
    whole = ensemble()
    wanted = whole.fit(X, Y, **FIT, callbacks=watchers())
    options = {**FIT, "callbacks": [*watchers(), ModelCheckpoint(path, resume=True)]}
    killed_after(calls, ensemble(), **options)
    resumed = ensemble()
    options["callbacks"] = [*watchers(), ModelCheckpoint(path, resume=True)]
    history = resumed.fit(X, Y, **options)
    assert_same(resumed, history, whole, wanted)
    assert load_ensemble(path).fingerprint() == whole.fingerprint()


@pytest.mark.parametrize("calls", [1, 2, 4, 5])
def test_killed_within_a_batch_of_several_chunks(monkeypatch, tmp_path, calls):
    """Each chunk is a block of 512 samples: the batch that was not finished begins again, its cost too."""
    monkeypatch.setattr(team_size, "_FIRST_FLOPS", 1.0)
    monkeypatch.setattr(team_size, "_CHUNK", 0.0)
    X, path = RANDOM.standard_normal((1500, 2)), tmp_path / "ensemble.fastbp"

    def fit(together, **options):
        return together.fit(
            X, X[:, :1] ** 2, epochs=2, batch_size=1200, learning_rate=0.01, threads=1, **options
        )

    whole, resumed = ensemble(), ensemble()
    wanted = fit(whole)
    with kills_after(COUNT * calls), pytest.raises(KeyboardInterrupt):
        fit(ensemble(), callbacks=ModelCheckpoint(path))
    history = fit(resumed, callbacks=ModelCheckpoint(path, resume=True))
    assert_same(resumed, history, whole, wanted)


@pytest.mark.parametrize("every", [3, datetime.timedelta(microseconds=1)])
def test_written_within_epochs(monkeypatch, tmp_path, every):
    """The file of the last moment before a machine that went off, which wrote nothing more."""
    path = tmp_path / "ensemble.fastbp"
    whole = ensemble()
    wanted = whole.fit(X, Y, **FIT)
    monkeypatch.setattr(ModelCheckpoint, "on_interrupt", lambda *arguments: None)
    killed_after(33, ensemble(), **FIT, callbacks=ModelCheckpoint(path, every))
    written = load_ensemble(path)
    assert 0 < written[0]._fastbp.progress.batches < whole[0]._fastbp.progress.batches
    resumed = ensemble()
    history = resumed.fit(X, Y, **FIT, callbacks=ModelCheckpoint(path, resume=True))
    assert_same(resumed, history, whole, wanted)


def test_a_training_that_is_over_resumes_with_more_epochs(tmp_path):
    path = tmp_path / "ensemble.fastbp"
    options = {**FIT, "schedule": "constant"}
    ensemble().fit(X, Y, **{**options, "epochs": 3}, callbacks=ModelCheckpoint(path))
    resumed, whole = ensemble(), ensemble()
    history = resumed.fit(X, Y, **options, callbacks=ModelCheckpoint(path, resume=True))
    wanted = whole.fit(X, Y, **options)
    wanted.note(history.own_notes[0][1], history.own_notes[0][0])  # of its third epoch, which was the last
    wanted._notes.sort(key=lambda note: history.own_notes.index(note))
    assert_same(resumed, history, whole, wanted)


def late(step):
    """A rate that lets the eighth step lead too far, unless gradients are clipped."""
    return 0.1 if step < 7 else 1e200


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 8, "learning_rate": [0.1, 1e200, 0.1, 0.1, 0.1]},
        {"batch_size": N, "learning_rate": [0.1, 1e200, 0.1, 0.1, 0.1]},
        {"batch_size": 8, "clip_norm": [1e-201, None, 1e-201, 1e-201, 1e-201], "schedule": late},
    ],
)
def test_networks_that_diverged_stay_so(tmp_path, options):
    path = tmp_path / "ensemble.fastbp"
    stopping = EarlyStopping("loss", patience=9, restore_best_weights=True)
    options = {**options, "epochs": 4, "callbacks": [stopping]}
    with np.errstate(all="ignore"):
        whole = ensemble()
        wanted = whole.fit(X, Y, **options)
        options["callbacks"] = [stopping, ModelCheckpoint(path, resume=True)]
        ensemble().fit(X, Y, **{**options, "epochs": 2})
        resumed = ensemble()
        history = resumed.fit(X, Y, **options)
    assert_same(resumed, history, whole, wanted)
    assert history.diverged.tolist() == [False, True, False, False, False]


@pytest.mark.parametrize("every", ["epoch", 1])
def test_killed_after_networks_have_diverged_in_the_epoch(monkeypatch, tmp_path, every):
    """Chunks are batches; the cost of one network is not finite, and the weights of another."""
    monkeypatch.setattr(team_size, "_FIRST_FLOPS", 1.0)
    monkeypatch.setattr(team_size, "_CHUNK", 0.0)
    if every == 1:
        monkeypatch.setattr(ModelCheckpoint, "on_interrupt", lambda *arguments: None)
    path = tmp_path / "ensemble.fastbp"
    options = {"epochs": 2, "batch_size": 8, "learning_rate": [0.1, 1e200, 0.1, 1e308, 0.1], "threads": 1}
    whole, killed, resumed = ensemble(), ensemble(), ensemble()
    with np.errstate(all="ignore"):
        wanted = whole.fit(X, 1e3 * Y, **options)
        with kills_after(COUNT * 3), pytest.raises(KeyboardInterrupt):
            killed.fit(X, 1e3 * Y, **options, callbacks=ModelCheckpoint(path, every))
        history = resumed.fit(X, 1e3 * Y, **options, callbacks=ModelCheckpoint(path, resume=True))
    assert np.isfinite(killed.parameters).all()
    assert history.diverged.tolist() == [False, True, False, True, False]
    assert "a weight" in history.network(3).notes[0] and "the cost" in history.network(1).notes[0]
    assert load_ensemble(path)[0]._fastbp.progress.batches > 1
    assert_same(resumed, history, whole, wanted)


def test_killed_in_the_chunk_in_which_all_diverge(monkeypatch, tmp_path):
    """The checkpoint of the epoch before stays, and a resumed training ends with the error."""

    def killed(*arguments):
        trained = train_chunk(*arguments)
        if trained and next(chunks, None) is None:
            raise KeyboardInterrupt
        return trained

    train_chunk, chunks, path = ensemble_run.train_chunk, iter(range(1)), tmp_path / "ensemble.fastbp"
    options = {"epochs": 3, "batch_size": N, "learning_rate": 1e200}
    with np.errstate(all="ignore"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(ensemble_run, "train_chunk", killed)
            ensemble().fit(X, Y, **options, callbacks=ModelCheckpoint(path))
        assert load_ensemble(path)[0]._fastbp.progress.batches == 1
        with pytest.raises(DivergenceError, match="network 4: epoch 2, sample 0 of 40"):
            ensemble().fit(X, Y, **options, callbacks=ModelCheckpoint(path, resume=True))


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        ({}, {"learning_rate": [0.3, 0.001, 0.2, 0.01, 0.03]}, "rate was 0.1, is 0.2"),
        ({}, {"l2": 0.1}, "l2 was 0.0, is 0.1"),
        ({}, {"batch_size": 7}, "batch_size was 8, is 7"),
        ({}, {"data_seed": 7}, "data_seed was None, is 7"),
        ({"seed": 5}, {}, "network: expected Network"),
        ({"dropout": 0.0}, {}, "network: expected Network"),
    ],
)
def test_another_training_is_not_resumed(tmp_path, network, options, message):
    path = tmp_path / "ensemble.fastbp"
    ensemble().fit(X, Y, **{**FIT, "epochs": 1}, callbacks=ModelCheckpoint(path))
    other = ensemble(**network)
    before = other.fingerprint()
    with pytest.raises(ValueError, match=message):
        other.fit(X, Y, **{**FIT, **options}, callbacks=ModelCheckpoint(path, resume=True))
    assert other.fingerprint() == before


def test_networks_without_a_seed_are_not_resumed(tmp_path):
    path = tmp_path / "ensemble.fastbp"
    together = Ensemble.of([fastbp.Network([2, 1], seed=seed) for seed in (0, None)])
    options = {"epochs": 1, "batch_size": 8, "callbacks": ModelCheckpoint(path, resume=True)}
    with pytest.raises(ValueError, match=r"resume: expected networks with seeds, got seed=None of network 1"):
        together.fit(X, Y, **options)
    together.fit(X, Y, **options, data_seed=0)
    together.fit(X, Y, **{**options, "callbacks": ModelCheckpoint(path)})


def test_what_is_no_checkpoint_of_an_ensemble(tmp_path):
    path = tmp_path / "any.fastbp"
    resume = ModelCheckpoint(path, resume=True)
    ensemble().save(path)
    with pytest.raises(ValueError, match="expected a checkpoint to resume from, got a network alone"):
        ensemble().fit(X, Y, **FIT, callbacks=resume)
    ensemble()[:3].save(path)
    with pytest.raises(ValueError, match="expected an ensemble of 5 networks, got one of 3"):
        ensemble().fit(X, Y, **FIT, callbacks=resume)
    fastbp.Network([2, 1], seed=0).save(path)
    with pytest.raises(ValueError, match=r"expected an ensemble, got a network; fastbp\.load reads it"):
        ensemble().fit(X, Y, **FIT, callbacks=resume)
    with pytest.raises(
        ValueError, match=r"ModelCheckpoint\.monitor: expected None for an ensemble, got 'loss'"
    ):
        ensemble().fit(X, Y, **FIT, callbacks=ModelCheckpoint(path, monitor="loss"))
