"""Networks that train together stop one by one, diverge one by one, and are watched as each is alone."""

import itertools

import numpy as np
import pytest

import fastbp
from alone import assert_same_bits
from fastbp import DivergenceError, EarlyStopping, Ensemble, ReduceLROnPlateau, TimeLimit
from fastbp.engine.packed import Engine
from fastbp.training import ensemble_run

pytestmark = pytest.mark.usefixtures("engine")
COUNT, N = 6, 40
RANDOM = np.random.default_rng(1)
X = RANDOM.standard_normal((N, 2))
Y = np.sin(X[:, :1]) + 0.3 * RANDOM.standard_normal((N, 1))
RATES = [0.3, 0.001, 0.1, 0.01, 0.03, 0.2]
FIT = {
    "epochs": 25,
    "batch_size": 8,
    "optimizer": "momentum",
    "validation_data": (RANDOM.standard_normal((20, 2)), RANDOM.standard_normal((20, 1))),
}


def ensemble(**options):
    network = {"activation": "tanh", "output_activation": "linear", "seed": 4}
    return Ensemble(COUNT, [2, 8, 1], **{**network, **options})


def compared(together, rates=RATES, **options):
    """Trains together and alone, and compares; returns the ensemble's history."""
    nets = list(together)
    options = {**FIT, **options}
    histories = [net.fit(X, Y, **options, learning_rate=rate) for net, rate in zip(nets, rates, strict=True)]
    history = together.fit(X, Y, **options, learning_rate=rates)
    assert_same_bits(together, history, nets, histories)
    return history


@pytest.mark.parametrize("restores", [True, False])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_networks_stop_one_by_one(restores, dropout):
    stopping = EarlyStopping(patience=3, restore_best_weights=restores)
    history = compared(ensemble(dropout=dropout), callbacks=stopping)
    trained = history.trained_epochs
    assert len({*trained.tolist()}) > 2 and trained.max() == history.epochs
    assert np.isnan(history.val_loss).sum() == (history.epochs - trained).sum()
    for i, epochs in enumerate(trained):
        assert history.last("val_loss")[i] == history.val_loss[epochs - 1, i]


def test_the_best_weights_are_restored_where_an_epoch_was_not_trained_to_its_end():
    class Stop(TimeLimit):
        every = 1

        def on_chunk(self, run):
            if run.epoch == 2 and run.done:
                run.stop()

    stopped, whole = ensemble(), ensemble()
    best = EarlyStopping("loss", restore_best_weights=True)
    history = stopped.fit(X, Y, **FIT, learning_rate=0.001, callbacks=[best, Stop(seconds=1e9)])
    assert history.epochs == 2 and (np.diff(history.loss, axis=0) < 0).all()
    whole.fit(X, Y, **{**FIT, "epochs": 2}, learning_rate=0.001)
    for one, other in zip(stopped, whole, strict=True):
        assert one.parameters.tobytes() == other.parameters.tobytes()


def test_networks_are_packed_again_when_half_of_them_have_stopped(monkeypatch):
    sizes, pack = [], ensemble_run.pack_networks
    monkeypatch.setattr(
        ensemble_run, "pack_networks", lambda t, n, d, m: sizes.append(len(n)) or pack(t, n, d, m)
    )
    compared(ensemble(), callbacks=EarlyStopping(patience=2))
    assert sizes[0] == COUNT and all(2 * b <= a for a, b in itertools.pairwise(sizes))
    assert len(sizes) > 1


def test_the_engine_is_chosen_by_what_pays(engine):
    kinds = []

    class WatcherStates(EarlyStopping):
        def on_train_begin(self, run):
            kinds.append(type(run.pack_and_index[0].engine).__name__)

    ensemble().fit(X, Y, **FIT, callbacks=WatcherStates("loss"))
    assert {*kinds} == {"LaneEngine" if engine == "lanes" else "OneByOne"}
    kinds.clear()
    own = fastbp.Activation(np.tanh, lambda z: 1 - np.tanh(z) ** 2)
    ensemble(activation=own).fit(X, Y, **FIT, callbacks=WatcherStates("loss"))
    assert {*kinds} == {"OneByOne"}


def test_rates_fall_one_by_one():
    history = compared(ensemble(), callbacks=ReduceLROnPlateau(patience=2, factor=0.5))
    factors = history.learning_rate / RATES
    assert len({*factors[-1].tolist()}) > 1


def test_several_callbacks_and_a_split_and_a_second_fit():
    together = ensemble()
    for _ in range(2):
        compared(
            together,
            callbacks=[EarlyStopping("val_r2", patience=4, restore_best_weights=True), ReduceLROnPlateau()],
            validation_data=None,
            validation_split=0.25,
            schedule="cosine",
        )


def test_networks_with_penalties_and_without_stop_one_by_one():
    l2 = [0.0, 0.1, 0.0, 0.2, 0.0, 0.0]
    together = ensemble()
    nets = list(together)
    options = {**FIT, "optimizer": "sgd", "callbacks": EarlyStopping(patience=2, restore_best_weights=True)}
    histories = [
        net.fit(X, Y, **options, learning_rate=rate, l2=own)
        for net, rate, own in zip(nets, RATES, l2, strict=True)
    ]
    history = together.fit(X, Y, **options, learning_rate=RATES, l2=l2)
    assert_same_bits(together, history, nets, histories)


# ---------------------------------------------------------------- divergence


def diverging(rates, targets=Y, **options):
    """Trains together and alone: an ensemble and its history, networks and their errors."""
    together = ensemble(**options)
    nets, errors = list(together), []
    fit = {"epochs": 6, "batch_size": 8}
    for net, rate in zip(nets, rates, strict=True):
        try:
            net.fit(X, targets, **fit, learning_rate=rate)
            errors.append(None)
        except DivergenceError as error:
            errors.append(str(error))
    history = together.fit(X, targets, **fit, learning_rate=rates)
    return together, history, nets, errors


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_that_diverges_keeps_its_last_finite_weights_and_the_others_train_on(dtype):
    rates = [0.1, 1e30, 0.2, 3e3, 0.1, 1e200 if dtype == "float64" else 1e20]
    with np.errstate(all="ignore"):
        together, history, nets, errors = diverging(rates, dtype=dtype)
    assert history.diverged.tolist() == [error is not None for error in errors]
    assert 0 < history.diverged.sum() < COUNT
    for i, (net, error) in enumerate(zip(nets, errors, strict=True)):
        assert together[i].fingerprint() == net.fingerprint() and together[i]._fastbp == net._fastbp
        assert np.isfinite(together[i].parameters).all()
        if error:
            assert f"network {i}: {error}" in history.notes
            assert np.isnan(history.loss[history.trained_epochs[i] :, i]).all()


def test_all_diverged_is_an_error():
    together = ensemble()
    with np.errstate(all="ignore"), pytest.raises(DivergenceError, match="network 5: epoch 1, sample"):
        together.fit(X, Y, epochs=3, batch_size=8, learning_rate=1e200)
    assert np.isfinite(together.parameters).all()


# ---------------------------------------------------------------- callbacks of the whole ensemble


def test_a_function_sees_the_ensemble_and_ends_its_training():
    together, seen = ensemble(), []

    def watch(given, history):
        seen.append((given is together, history.epochs, given.fingerprint()))
        return history.epochs == 2

    history = together.fit(X, Y, epochs=5, batch_size=8, callbacks=watch)
    assert [epochs for _, epochs, _ in seen] == [1, 2] and history.epochs == 2
    assert seen[1][0] and seen[1][2] == together.fingerprint() != seen[0][2]
    alone = ensemble()
    alone.fit(X, Y, epochs=2, batch_size=8)
    assert alone.fingerprint() == together.fingerprint()


def test_weights_that_a_function_changes_have_no_effect():
    """Also of networks that have stopped, and are no longer packed."""

    def change(given, history):
        given.parameters = np.zeros_like(given.parameters)

    changed, wanted = ensemble(), ensemble()
    stopping = EarlyStopping(patience=2)
    history = changed.fit(X, Y, **FIT, learning_rate=RATES, callbacks=[stopping, change])
    wanted.fit(X, Y, **FIT, learning_rate=RATES, callbacks=stopping)
    assert 2 * np.isnan(history.loss[-1]).sum() >= COUNT
    assert changed.fingerprint() == wanted.fingerprint()


def test_a_time_limit_ends_all():
    together = ensemble()
    history = together.fit(X, Y, epochs=10**9, batch_size=8, callbacks=fastbp.TimeLimit(0.05))
    assert history.epochs < 10**9 and history.notes[-1].startswith("TimeLimit: 0.05 s were over")
    reached = [net._fastbp.progress.batches for net in together]
    assert len({*reached}) == 1


def test_progress_shows_means(capsys):
    history = ensemble().fit(X, Y, **{**FIT, "epochs": 2}, verbose=True)
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("note")]
    assert [line[:11] for line in lines] == ["epoch   1/2", "epoch   2/2"]
    assert f"loss {history.loss[1].mean():.5f}" in lines[1]
    assert f"validation {history.val_r2[1].mean():.4f}" in lines[1]


def test_notes_of_a_network_that_learns_nothing_name_it():
    together = ensemble()
    history = together.fit(X, Y, epochs=3, batch_size=8, learning_rate=[0.1] * 5 + [1e-9])
    own = [note for note in history.notes if note.startswith("network 5: nothing learnt")]
    assert len(own) == 1 and own[0] == f"network 5: {history.network(5).notes[-1]}"
    assert history.network(-1).notes == history.network(5).notes


@pytest.mark.parametrize("call", [1, 8, 20])
def test_an_exception_within_a_chunk_leaves_every_network_where_it_is_alone(monkeypatch, engine, call):
    """After as many calls into the kernels, which come after one another within a chunk."""
    if engine == "lanes":
        pytest.skip("a chunk is one call")
    together, train, calls = ensemble(), Engine.train, iter(range(call))
    nets = list(together)

    def interrupted(self, *arguments):
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return train(self, *arguments)

    monkeypatch.setattr(Engine, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        together.fit(X, Y, epochs=20, batch_size=8, threads=1)
    monkeypatch.undo()
    for i, net in enumerate(nets):
        epochs = call // COUNT + (i < call % COUNT)
        net.fit(X, Y, epochs=epochs, batch_size=8)
        assert together[i].fingerprint() == net.fingerprint()
        assert together[i]._fastbp.progress.batches == net._fastbp.progress.batches
