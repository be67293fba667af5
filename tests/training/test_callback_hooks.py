"""Callback objects: which hooks are called when, and the callbacks that the package has."""

import csv
import errno
import math
import os

import numpy as np
import pytest

import fastbp
from fastbp import CSVLogger, EarlyStopping, ReduceLROnPlateau, TimeLimit
from toy import LABELS, OPTIONS, VALUES, X, bits, fitted, fresh

EVERY_HOOK = ("on_train_begin", "on_epoch_begin", "on_step", "on_epoch_end", "on_boundary", "on_train_end")


class Recorder(fastbp.Callback):
    every = 2

    def __init__(self):
        self.calls = []

    def __getattribute__(self, name):
        if name in EVERY_HOOK:
            return lambda run: self.calls.append((name, run.epoch, run.step, run.done))
        return super().__getattribute__(name)


class Failing(fastbp.Callback):
    """Raises at the second call of a hook, or the first of one that is called once."""

    every = 2

    def __init__(self, hook, error):
        self.calls = 0
        setattr(self, hook, self.fail)
        self.last, self.error = 1 if "train" in hook else 2, error

    def fail(self, run):
        self.calls += 1
        if self.calls == self.last:
            raise self.error("here")


@pytest.mark.survives("failing callback")
@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError, SystemExit])
@pytest.mark.parametrize("hook", EVERY_HOOK)
def test_what_a_hook_raises_passes_through_and_training_resumes(hook, error, tmp_path):
    net, path = fresh(), tmp_path / "run"
    keeper = fastbp.ModelCheckpoint(path, resume=True)
    with pytest.raises(error, match="here"):
        fitted(net=net, callbacks=[Failing(hook, error), keeper], batch_size=5)
    assert all(np.isfinite(array).all() for array in (*net.weights, *net.biases))
    again = fitted(callbacks=[fastbp.ModelCheckpoint(path, resume=True)], batch_size=5)
    assert bits(again) == bits(fitted(batch_size=5))


class Told(fastbp.Callback):
    """Puts numbers of its own in place of an epoch's."""

    def __init__(self, name, numbers):
        self.name, self.numbers = name, numbers

    def on_epoch_end(self, run):
        run.history[self.name][-1] = self.numbers[run.epoch]


def test_the_order_of_hooks():
    """On a slow machine an epoch may have more chunks, and so more boundaries."""
    recorder = Recorder()
    fitted(callbacks=recorder, epochs=2, batch_size=10)  # 3 steps an epoch
    expected = [
        ("on_train_begin", 0, 0, 0),
        ("on_epoch_begin", 0, 0, 0),
        ("on_step", 0, 2, 20),
        ("on_boundary", 0, 2, 20),
        ("on_boundary", 0, 3, 25),
        ("on_epoch_end", 0, 3, 25),
        ("on_boundary", 1, 3, 0),
        ("on_epoch_begin", 1, 3, 0),
        ("on_step", 1, 4, 10),
        ("on_boundary", 1, 4, 10),
        ("on_step", 1, 6, 25),
        ("on_boundary", 1, 6, 25),
        ("on_epoch_end", 1, 6, 25),
        ("on_boundary", 2, 6, 0),
        ("on_train_end", 2, 6, 0),
    ]
    assert [call for call in recorder.calls if call in expected] == expected
    assert {call[0] for call in recorder.calls if call not in expected} <= {"on_boundary"}


def test_hooks_change_no_bit():
    assert bits(fitted(callbacks=Recorder())) == bits(fitted())


def test_a_callback_with_a_state_is_of_one_fit_at_a_time():
    """Else one network would be given the best weights of another."""
    watch, refused = EarlyStopping("loss", restore_best_weights=True), []

    def train_another(net, history):
        with pytest.raises(
            ValueError, match="expected one that no other fit is using, got EarlyStopping"
        ) as caught:
            fitted(callbacks=[watch])
        refused.append(caught)

    for _ in range(2):  # it is free again
        fitted(callbacks=[watch, train_another])
    assert len(refused) > 1
    fitted(callbacks=[watch])


@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_step", "on_epoch_end", "on_train_end"])
def test_labels_that_a_hook_assigns_are_kept(hook):
    callback = fastbp.Callback()
    callback.every = 1
    setattr(callback, hook, lambda run: setattr(run.network, "classes_", ["a", "b", "c"]))
    net = fitted(callbacks=callback)
    assert net.classes_.tolist() == ["a", "b", "c"] and bits(net) == bits(fitted())


def test_a_hook_on_steps_changes_the_weights():
    class Half(fastbp.Callback):
        every = 4

        def on_step(self, run):
            run.network.weights = [w / 2 for w in run.network.weights]

    expected = fresh()
    for _ in range(3):  # of the 4 steps of an epoch
        fitted(net=expected, epochs=1)
        expected.weights = [w / 2 for w in expected.weights]
    assert bits(fitted(callbacks=Half())) == bits(expected)


def test_weights_that_one_hook_changes_are_there_for_the_next():
    class Halve(fastbp.Callback):
        def on_epoch_end(self, run):
            run.network.parameters = run.network.parameters / 2

    class Read(fastbp.Callback):
        def on_epoch_end(self, run):
            self.parameters = run.kept().parameters

    read, plain = Read(), fitted(epochs=1)
    net = fitted(epochs=1, callbacks=[Halve(), read])
    assert (net.parameters == read.parameters).all()
    assert (net.parameters == plain.parameters / 2).all()


def test_what_a_hook_sees_of_the_training():
    seen = []

    class Look(fastbp.Callback):
        every = 1

        def on_step(self, run):
            seen.append((run.epochs, run.samples, run.learning_rate, run.loss > 0, run.seconds > 0))

    fitted(callbacks=Look(), epochs=1, schedule=lambda step: 0.5 / (1 + step))
    assert seen == [(1, 25, 0.5 / (1 + step), True, True) for step in range(4)]


def test_early_stopping_waits_for_its_patience():
    losses = [0.5, 0.4, 0.45, 0.39, 0.39, 0.41, 0.3, 0.2]
    history = fresh().fit(
        X,
        LABELS,
        callbacks=[Told("loss", losses), EarlyStopping("loss", patience=2)],
        **OPTIONS | {"epochs": 8},
    )
    assert history.loss == losses[:6]
    assert history.notes[-1] == "EarlyStopping: loss did not improve on 0.39 in 2 epochs"


def test_early_stopping_restores_the_best_weights():
    losses = [0.5, 0.3, 0.4, 0.35, 0.31]
    callbacks = [Told("loss", losses), EarlyStopping("loss", patience=2, restore_best_weights=True)]
    assert bits(fitted(callbacks=callbacks, epochs=9)) == bits(fitted(epochs=2))
    callbacks = [Told("loss", losses), EarlyStopping("loss", patience=99, restore_best_weights=True)]
    assert bits(fitted(callbacks=callbacks, epochs=5)) == bits(fitted(epochs=2)), "training came to its end"


@pytest.mark.parametrize(("name", "y"), [("val_accuracy", LABELS), ("val_r2", VALUES)])
def test_early_stopping_by_a_score_that_grows_and_by_a_least_gain(name, y):
    scores = [0.5, 0.6, 0.605, 0.607, 0.9]
    callbacks = [Told(name, scores), EarlyStopping(name, 2, min_delta=0.01)]
    history = fresh().fit(X, y, callbacks=callbacks, validation_split=0.4, **OPTIONS | {"epochs": 5})
    assert history[name] == scores[:4]
    assert EarlyStopping("val_accuracy", mode="min")._grows is False


def test_a_callback_that_is_used_again_begins_anew():
    stopping = EarlyStopping("loss", patience=1)
    for losses in ([0.1, 0.2], [0.9, 0.8, 0.85]):
        history = fresh().fit(
            X, LABELS, callbacks=[Told("loss", losses), stopping], **OPTIONS | {"epochs": 3}
        )
        assert history.loss == losses


@pytest.mark.parametrize("step", [8, 9], ids=["between epochs", "within one"])
def test_the_best_weights_are_restored_where_an_epoch_was_not_trained_to_its_end(step):
    class Stop(fastbp.Callback):
        every = 1

        def on_step(self, run):
            if run.step == step:
                run.stop()

    best = EarlyStopping("loss", restore_best_weights=True)
    falling = Told("loss", [0.5, 0.4, 0.3])
    found = fitted(callbacks=[falling, best, Stop()], epochs=3, batch_size=7)  # 4 steps an epoch
    assert bits(found) == bits(fitted(epochs=2, batch_size=7))


def test_a_number_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"monitor: expected .*'loss'.*got 'val_loss'; validation_data"):
        fitted(callbacks=EarlyStopping())


def test_the_rate_is_reduced_on_a_plateau():
    losses = [0.5, 0.6, 0.6, 0.4, 0.4, 0.4, 0.4]
    reduce = ReduceLROnPlateau("loss", factor=0.5, patience=2, cooldown=1, min_learning_rate=0.2)
    history = fresh().fit(X, LABELS, callbacks=[Told("loss", losses), reduce], **OPTIONS | {"epochs": 7})
    assert history.learning_rate == [0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2]


def test_epochs_of_the_cooldown_are_not_counted():
    reduce = ReduceLROnPlateau("loss", factor=0.5, patience=2, cooldown=2)
    history = fresh().fit(X, LABELS, callbacks=[Told("loss", [0.5] * 11), reduce], **OPTIONS | {"epochs": 11})
    assert history.learning_rate == [0.5] * 3 + [0.25] * 4 + [0.125] * 4


@pytest.mark.parametrize("factor", [-1.0, math.nan, math.inf])
def test_a_factor_of_the_rate_that_is_refused(factor):
    class Turned(fastbp.Callback):
        def on_epoch_end(self, run):
            run.rate_factor = factor

    with pytest.raises(ValueError, match="rate_factor: expected a finite number of at least 0"):
        fitted(callbacks=Turned())


def test_a_reduced_rate_is_the_schedules_rate_times_the_factor():
    class Third(fastbp.Callback):
        def on_epoch_end(self, run):
            run.rate_factor = 0.3

    net = fitted(callbacks=Third(), epochs=2, optimizer="adam")
    expected = fitted(epochs=2, optimizer="adam", schedule=lambda step: 0.5 if step < 4 else 0.5 * 0.3)
    assert bits(net) == bits(expected)


def test_a_time_limit_ends_training_within_an_epoch():
    net = fresh([6, 400, 400, 3])
    X_long, y = np.tile(X, (4000, 1)), np.tile(LABELS, 4000)
    history = net.fit(X_long, y, epochs=1000, batch_size=50, callbacks=TimeLimit(0.2))
    assert history.epochs < 1000
    assert "TimeLimit: 0.2 s were over" in history.notes[0]
    assert bits(net) != bits(fresh([6, 400, 400, 3]))
    with pytest.raises(ValueError, match="seconds: expected a finite number above 0"):
        TimeLimit(0)


def test_a_csv_logger_writes_the_history(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("of an earlier run")
    history = fresh().fit(X, LABELS, callbacks=CSVLogger(path), validation_split=0.2, **OPTIONS)
    rows = list(csv.reader(path.read_text().splitlines()))
    assert rows[0] == ["epoch", "loss", "seconds", "learning_rate", "threads", "val_loss", "val_accuracy"]
    for epoch, row in enumerate(rows[1:]):
        assert [float(cell) for cell in row] == [epoch + 1, *(history[name][epoch] for name in history)]
    assert len(rows) == 4


def test_a_log_that_cannot_be_written_is_known_before_training(tmp_path):
    net = fresh()
    with pytest.raises(FileNotFoundError):
        net.fit(X, LABELS, callbacks=CSVLogger(tmp_path / "none" / "log.csv"), **OPTIONS)
    assert bits(net) == bits(fresh())


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_log_on_a_full_disk_is_named():
    net = fresh()
    with pytest.raises(OSError, match=r"'/dev/full'$") as caught:
        net.fit(X, LABELS, callbacks=CSVLogger("/dev/full"), **OPTIONS)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, "/dev/full")
    assert bits(net) == bits(fitted(epochs=1))


@pytest.mark.parametrize("given", [EarlyStopping, 3, ["loss"]])
def test_what_is_no_callback_is_refused(given):
    with pytest.raises(TypeError, match="callbacks: expected"):
        fitted(callbacks=given)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EarlyStopping(patience=-1), "patience: expected at least 0, got -1"),
        (lambda: EarlyStopping(min_delta=math.nan), "min_delta: expected a finite number"),
        (lambda: EarlyStopping(mode="up"), "mode: expected one of 'auto', 'min', 'max', got 'up'"),
        (lambda: ReduceLROnPlateau(factor=1.5), "factor: expected a number from 0 to below 1, got 1.5"),
        (lambda: fastbp.ModelCheckpoint("x", every=0), "every: expected at least 1, got 0"),
        (lambda: fastbp.ModelCheckpoint("x", every="day"), "every: expected 'epoch', a number of steps"),
    ],
)
def test_options_of_callbacks_are_checked(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_the_later_of_two_callbacks_that_set_weights_decides():
    average = fastbp.AverageWeights(0.9)
    best = EarlyStopping("loss", patience=9, restore_best_weights=True)
    falling = Told("loss", [0.5, 0.4, 0.3])  # the last epoch is the best
    assert bits(fitted(callbacks=[falling, average, best], epochs=3)) == bits(fitted(epochs=3))
    averaged = fitted(callbacks=fastbp.AverageWeights(0.9), epochs=3)
    assert bits(fitted(callbacks=[falling, best, average], epochs=3)) == bits(averaged)


def test_a_time_limit_that_is_over_at_an_epochs_end_has_one_note():
    history = fresh().fit(X, LABELS, callbacks=TimeLimit(1e-9), **OPTIONS)
    assert history.epochs == 1 and history.notes == ["TimeLimit: 1e-09 s were over after epoch 1"]


def test_a_log_has_the_names_that_a_resumed_training_adds(tmp_path):
    def train(epochs, **options):
        keeper = fastbp.ModelCheckpoint(tmp_path / "run", resume=True)
        hooks = [CSVLogger(tmp_path / "log"), keeper]
        return fresh().fit(X, LABELS, callbacks=hooks, **OPTIONS | {"epochs": epochs}, **options)

    train(2)
    history = train(4, metrics=["mse", "mae"])
    rows = [line.split(",") for line in (tmp_path / "log").read_text().splitlines()]
    assert rows[0] == ["epoch", *history] and {"mse", "mae"} <= {*rows[0]}
    assert {len(row) for row in rows} == {len(rows[0])} and [row[0] for row in rows[1:]] == [*"1234"]


@pytest.mark.parametrize("every", [-3, 2.5, "x"])
def test_steps_between_hooks_are_a_count(every):
    callback = fastbp.Callback()
    callback.every = every
    with pytest.raises((TypeError, ValueError), match=r"Callback\.every: expected"):
        fitted(callbacks=callback)
