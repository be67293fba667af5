"""Checkpoints: a training that was stopped, by whatever and whenever, ends with the bits of another."""

import contextlib
import datetime
import functools
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import fastbp
from command import said
from fastbp import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from fastbp.engine.team_size import TeamTuner
from fastbp.files import container, network_file
from fastbp.training import callbacks, run
from ids import named
from toy import LABELS, VALUES, X, bits, fresh

BASE = {"epochs": 6, "batch_size": 4, "learning_rate": 0.05}


def unlike_seconds(history):
    return {
        name: list(numbers) for name, numbers in history.items() if name not in ("seconds", "threads")
    }, history.notes


def generator():
    kind, words, *rest = np.random.get_state()  # noqa: NPY002
    return kind, words.tobytes(), rest


class Stop(fastbp.Callback):
    """Raises in the midst of training, as Ctrl-C does."""

    every = 1

    def __init__(self, step):
        self.at = step

    def on_step(self, run):
        if run.step == self.at:
            raise KeyboardInterrupt


def training(path, seed, extra=(), resume=True, every=3, **options):
    """A new network, as a script that is run again makes it, and its whole training."""
    np.random.seed(5)  # noqa: NPY002
    net = fresh(seed=seed, dropout=0.3, **options.pop("network", {}))
    callbacks = [
        EarlyStopping("val_loss", patience=2, restore_best_weights=True),
        ReduceLROnPlateau("loss", patience=1, factor=0.5),
        ModelCheckpoint(path, every=every, resume=resume),
        *extra,
    ]
    history = net.fit(X / 4, LABELS, callbacks=callbacks, validation_split=0.2, **{**BASE, **options})
    return net, history


RECIPES = [
    *({"optimizer": name} for name in ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw", "irprop")),
    {"schedule": "cosine"},
    {"schedule": fastbp.OneCycle(), "optimizer": "adam", "l2": 1e-3, "clip_norm": 0.5},
    {"schedule": lambda step: 0.1 / (1 + step)},
    {"network": {"activation": "gelu", "frozen": [0], "dtype": "float32"}},
    {"batch_size": 600},
]


@pytest.mark.survives("resumed training", each=4)
@pytest.mark.sampled
@pytest.mark.parametrize("seed", [3, None])
@pytest.mark.parametrize("recipe", RECIPES, ids=named)
def test_a_training_that_was_stopped_ends_with_the_same_bits(tmp_path, recipe, seed):
    path = tmp_path / "run"
    wanted, history = training(tmp_path / "whole", seed, resume=False, **recipe)
    drawn = generator()
    steps = wanted._fastbp.progress.batches
    for stop in sorted({1, steps // 3, steps // 2 + 1, steps}):
        path.unlink(missing_ok=True)
        with pytest.raises(KeyboardInterrupt):
            training(path, seed, [Stop(stop)], **recipe)
        fresh(seed=9).fit(X, VALUES, epochs=1, batch_size=3)  # another network in between
        net, found = training(path, seed, **recipe)
        assert bits(net) == bits(wanted)
        assert unlike_seconds(found) == unlike_seconds(history)
        assert generator() == drawn
        assert net._fastbp.progress.batches == steps
        net.fit(X, LABELS, **BASE)
        after = fastbp.load(tmp_path / "whole")
        assert after._fastbp.progress.optimizer_state.keys() == wanted._fastbp.progress.optimizer_state.keys()


@pytest.mark.survives("resumed training", each=2)
@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin"])
@pytest.mark.parametrize("seed", [3, None])
def test_a_resumed_training_that_is_stopped_before_it_has_made_a_step(tmp_path, hook, seed):
    """The checkpoint that it writes then has all that the one had from which it was resumed."""

    class AtOnce(fastbp.Callback):
        pass

    def stop(self, run):
        raise KeyboardInterrupt

    setattr(AtOnce, hook, stop)
    wanted, history = training(tmp_path / "whole", seed, resume=False)
    steps = wanted._fastbp.progress.batches
    for at in (2, steps // 3 * 3 // 2):
        path = tmp_path / f"{at}"
        with pytest.raises(KeyboardInterrupt):
            training(path, seed, [Stop(at)])
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                training(path, seed, [AtOnce()])
        net, found = training(path, seed)
        assert bits(net) == bits(wanted)
        assert unlike_seconds(found) == unlike_seconds(history)


def test_a_checkpoint_of_0_2_is_resumed_with_the_same_bits(tmp_path):
    """The optimizer's state in the file has numbers instead of names."""
    path = tmp_path / "run"
    wanted, history = training(tmp_path / "whole", 3, resume=False, optimizer="adam")
    with pytest.raises(KeyboardInterrupt):
        training(path, 3, [Stop(wanted._fastbp.progress.batches // 2)], optimizer="adam")
    arrays, about = container.read(path)
    former = {name.replace(".mu.", ".0.").replace(".nu.", ".1."): array for name, array in arrays.items()}
    assert {"optimizer.0.weights.0", "optimizer.1.biases.0"} <= {*former} - {*arrays}
    container.write(path, former, about)
    net, found = training(path, 3, optimizer="adam")
    assert bits(net) == bits(wanted)
    assert unlike_seconds(found) == unlike_seconds(history)


def test_a_batch_of_several_chunks_that_is_stopped(tmp_path, monkeypatch):
    """The batch begins again, because the gradient of its first samples is in no file."""
    from fastbp.engine import team_size

    rng = np.random.default_rng(0)
    inputs, labels = rng.random((1500, 6)), rng.integers(0, 3, 1500)

    def train(path, stop, resume=True):
        class Midst(fastbp.Callback):
            calls = 0

            def on_chunk(self, run):
                self.calls += 1
                if self.calls == stop:
                    assert run.done % 1200 and run.done < 1500
                    raise KeyboardInterrupt

        net = fresh(seed=1)
        net.fit(
            inputs,
            labels,
            epochs=3,
            batch_size=1200,
            learning_rate=0.3,
            optimizer="momentum",
            callbacks=[Midst(), ModelCheckpoint(path, every=10**9, resume=resume)],
        )
        return net

    monkeypatch.setattr(team_size, "_FIRST_FLOPS", 1.0)  # chunks of a block of 512 samples
    monkeypatch.setattr(team_size, "_CHUNK", 0.0)
    wanted = train(tmp_path / "whole", -1)
    for stop in (1, 2, 4, 5):
        path = tmp_path / f"{stop}"
        with pytest.raises(KeyboardInterrupt):
            train(path, stop)
        assert bits(train(path, -1)) == bits(wanted)


def test_a_finished_training_is_not_trained_again(tmp_path):
    net, history = training(tmp_path / "run", 3)
    again, found = training(tmp_path / "run", 3)
    assert bits(again) == bits(net)
    assert dict(found) == dict(history)


def test_more_epochs_go_on_where_the_others_ended(tmp_path):
    path = tmp_path / "run"

    def train(epochs):
        net = fresh()
        history = net.fit(
            X, LABELS, callbacks=ModelCheckpoint(path, resume=True), **{**BASE, "epochs": epochs}
        )
        return net, history

    train(2)
    net, history = train(5)
    assert history.epochs == 5
    assert bits(net) == bits(train(5)[0])
    whole = fresh()
    whole.fit(X, LABELS, **{**BASE, "epochs": 5})
    assert bits(net) == bits(whole)


def test_a_checkpoint_is_a_network(tmp_path):
    path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        training(path, 3, [Stop(7)])
    net = fastbp.load(path)
    assert net._fastbp.progress.batches == 7
    assert net.predict(X / 4).shape == (25,)


def test_a_checkpoint_of_the_best_epoch(tmp_path):
    path = tmp_path / "best"
    net = fresh()
    history = net.fit(
        X,
        LABELS,
        validation_split=0.4,
        callbacks=ModelCheckpoint(path, monitor="val_accuracy"),
        **{**BASE, "learning_rate": 3.0, "epochs": 9},
    )
    best = 1 + int(np.argmax(history.val_accuracy))
    assert best < 9
    other = fresh()
    other.fit(X, LABELS, validation_split=0.4, **{**BASE, "learning_rate": 3.0, "epochs": best})
    assert bits(fastbp.load(path)) == bits(other)


@pytest.mark.parametrize(("every", "writes"), [("epoch", 2), (5, 3), (datetime.timedelta(seconds=1e-6), 16)])
def test_when_a_checkpoint_is_written(tmp_path, monkeypatch, every, writes):
    calls = []
    monkeypatch.setattr(network_file, "write", lambda *arguments: calls.append(arguments))
    net = fresh()
    net.fit(
        X,
        LABELS,
        callbacks=[Stop(-1), ModelCheckpoint(tmp_path / "run", every=every)],
        **{**BASE, "epochs": 2},
    )
    assert len(calls) == writes


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"learning_rate": 0.1}, "rate was 0.05, is 0.1"),
        ({"optimizer": "adam"}, r"optimizer was 'SGD\(\)', is 'Adam"),
        ({"batch_size": 5}, "batch_size was 4, is 5"),
        ({"extra": [EarlyStopping("loss")]}, "callbacks was .*EarlyStopping"),
        ({"network": {"activation": "relu"}}, "whose training the checkpoint is of"),
    ],
)
def test_another_training_is_not_resumed(tmp_path, changes, named):
    path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        training(path, 3, [Stop(7)])
    before = path.read_bytes()
    with pytest.raises(ValueError, match=named):
        training(path, 3, **changes)
    assert path.read_bytes() == before


def test_other_data_are_not_resumed_with(tmp_path):
    path = tmp_path / "run"
    options = {"callbacks": ModelCheckpoint(path, resume=True), **BASE}
    fresh().fit(X, LABELS, **options)
    with pytest.raises(ValueError, match=r"first sample \(CRC\) was"):
        fresh().fit(X + 1, LABELS, **options)
    with pytest.raises(ValueError, match=r"some samples \(CRC\) was"):
        fresh().fit(np.concatenate([X[:-1], X[-1:] + 1]), LABELS, **options)
    for others in ({"y": LABELS[::-1]}, {"sample_weight": np.arange(len(X))}):
        with pytest.raises(ValueError, match=r"y and weights \(CRC\) was"):
            fresh().fit(**{"X": X, "y": LABELS, **options, **others})
    with pytest.raises(ValueError, match="samples was 25, is 20"):
        fresh().fit(X[:20], LABELS[:20], **options)


def test_a_callback_that_fails_leaves_a_checkpoint(tmp_path):
    def fails(net, history):
        return 1 / 0  # an ArithmeticError, as a divergence is

    with pytest.raises(ZeroDivisionError):
        fresh().fit(X, LABELS, callbacks=[fails, ModelCheckpoint(tmp_path / "run", every=10**9)], **BASE)
    assert fastbp.load(tmp_path / "run")._fastbp.progress.batches == 7


@pytest.mark.parametrize(
    "name", ["position", "history", "notes", "callbacks", "generator", "epochs", "batches"]
)
def test_a_checkpoint_without_a_part_is_refused(tmp_path, name):
    path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        training(path, None, [Stop(7)])
    arrays, about = container.read(path)
    del about["training"][name]
    container.write(path, arrays, about)
    with pytest.raises(ValueError, match=rf"damaged: training.{name}: expected a value, got none") as caught:
        training(path, None)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_network_alone_is_not_resumed_from(tmp_path):
    path = tmp_path / "net"
    fresh().save(path)
    with pytest.raises(ValueError, match="expected a checkpoint to resume from, got a network alone"):
        fresh().fit(X, LABELS, callbacks=ModelCheckpoint(path, resume=True), **BASE)


def test_notes_outlive_two_stops(tmp_path):
    """The second comes before there is a new position to write."""

    class Noting(fastbp.Callback):
        def __init__(self, fails=False):
            self.fails = fails

        def on_train_begin(self, run):
            if self.fails:
                raise KeyboardInterrupt

        def on_epoch_end(self, run):
            run.history.notes.append(f"epoch {run.epoch}")

    path = tmp_path / "run"

    def train(*more):
        keeper = ModelCheckpoint(path, every=10**9, resume=True)
        return fresh().fit(X, LABELS, callbacks=[*more, keeper], **{**BASE, "epochs": 4})

    with pytest.raises(KeyboardInterrupt):
        train(Noting(), Stop(18))
    with pytest.raises(KeyboardInterrupt):
        train(Noting(fails=True))
    notes = [note for note in train(Noting()).notes if note.startswith("epoch")]
    assert notes == [f"epoch {epoch}" for epoch in range(4)]


class Clock(fastbp.Callback):
    """Stands for the module `time`, and is a callback by which every step takes a second."""

    every = 1

    def __init__(self, begin):
        self.now = begin

    def on_step(self, run):
        self.now += 1.0

    def monotonic(self):
        return self.now

    perf_counter = monotonic


def test_the_seconds_of_an_interrupted_epoch_and_of_a_time_limit_go_on(tmp_path, monkeypatch):
    def train(begin, *more):
        clock = Clock(begin)
        monkeypatch.setattr(callbacks, "time", clock)
        monkeypatch.setattr(run, "time", clock)
        keeper = ModelCheckpoint(tmp_path / "run", every=10**9, resume=True)
        hooks = [clock, fastbp.TimeLimit(24.0), *more, keeper]
        return fresh().fit(X, LABELS, callbacks=hooks, threads=1, **BASE)  # 7 steps an epoch

    with pytest.raises(KeyboardInterrupt):
        train(100.0, Stop(10))
    history = train(5e6)
    assert history.seconds == [7.0, 8.0, 7.0]  # the hooks of step 10 are called again
    assert history.notes[-1].startswith("TimeLimit: 24 s were over in epoch 4")


def test_the_cooldown_of_a_plateau_goes_on(tmp_path):
    class Constant(fastbp.Callback):
        def on_epoch_end(self, run):
            run.history["loss"][-1] = 0.5

    def train(name, *more):
        reduce = ReduceLROnPlateau("loss", factor=0.5, patience=2, cooldown=2)
        keeper = ModelCheckpoint(tmp_path / name, every=10**9, resume=True)
        hooks = [Constant(), reduce, *more, keeper]
        return fresh().fit(X, LABELS, callbacks=hooks, **{**BASE, "epochs": 11}).learning_rate

    wanted = train("whole")
    assert wanted == [0.05] * 3 + [0.025] * 4 + [0.0125] * 4
    for step in (16, 25, 30):
        with pytest.raises(KeyboardInterrupt):
            train(f"{step}", Stop(step))
        assert train(f"{step}") == wanted


def overflowing(step):
    """A network whose cost is finite, being of sigmoids, and whose weights are not after such a step."""
    net = fresh(dtype="float32")
    net.weights[0] = net.weights[0] / 1000
    return net, {"schedule": lambda at: 1e38 if at == step else 1e-6, **BASE}


def test_a_resumed_epoch_that_diverges_goes_back_to_where_it_was_resumed(tmp_path):
    path = tmp_path / "run"

    def train(net, *more):
        keeper = ModelCheckpoint(path, every=10**9, resume=True)
        net.fit(1e3 * X, LABELS, callbacks=[*more, keeper], **options)

    net, options = overflowing(13)  # the last step of the second epoch
    with pytest.raises(KeyboardInterrupt):
        train(net, Stop(10))
    kept, (net, _) = fastbp.load(path), overflowing(13)
    with pytest.raises(fastbp.DivergenceError, match="a weight is no longer finite"):
        train(net)
    assert bits(net) == bits(kept)
    assert net._fastbp.progress.batches == kept._fastbp.progress.batches == 10


def test_weights_that_are_not_finite_replace_no_checkpoint(tmp_path):
    """The cost of sigmoids is finite whatever the weights are, which are looked at when the epoch ends."""
    path = tmp_path / "run"

    def train(stop):
        net, options = overflowing(9)
        net.fit(1e3 * X, LABELS, callbacks=[Stop(stop), ModelCheckpoint(path, every=1)], **options)

    for stop, error in ((10, KeyboardInterrupt), (99, fastbp.DivergenceError)):
        with pytest.raises(error):
            train(stop)
        assert fastbp.load(path)._fastbp.progress.batches == 9


def test_weights_that_a_callback_has_spoiled_are_not_saved(tmp_path):
    def spoils(net, history):
        net.weights[0][0, 0] = np.nan

    path = tmp_path / "run"
    with pytest.raises(
        ValueError, match=rf"{path}: not saved: weights.0\[0, 0\]: expected finite numbers, got nan"
    ):
        fresh().fit(X, LABELS, callbacks=[spoils, ModelCheckpoint(path)], **BASE)
    assert not path.exists()


def test_callbacks_without_a_state_may_come_and_go(tmp_path):
    """`verbose` has one, before all others; a state belongs to its class."""
    wanted, history = training(tmp_path / "whole", 3, resume=False)
    path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        training(path, 3, [Stop(20)])
    net, found = training(path, 3, verbose=True)
    assert bits(net) == bits(wanted)
    assert unlike_seconds(found) == unlike_seconds(history)


class Remembering(fastbp.Callback):
    """A callback of a user's own, whose state is nothing at first."""

    kept: "dict | None" = None

    def on_epoch_end(self, run):
        self.kept = {
            "dict": {"a": {"arrays": 3}},
            "list": [1, "b", [2]],
            "none": None,
            "arrays": [np.ones(2)],
        }

    def state(self):
        return self.kept or {}

    def restore(self, state):
        self.kept = {**state, "restored": True}


def test_a_state_is_whatever_json_holds_and_lists_of_arrays(tmp_path):
    path, remembering = tmp_path / "run", Remembering()
    with pytest.raises(KeyboardInterrupt):
        training(path, 3, [remembering, Stop(8)])
    again = Remembering()
    with pytest.raises(KeyboardInterrupt):
        training(path, 3, [again, Stop(9)])
    wanted = {**remembering.kept, "restored": True}
    np.testing.assert_equal(again.kept, wanted)


def test_a_training_that_was_stopped_after_the_short_batch_of_an_epoch(tmp_path):
    wanted, wanted_history = training(tmp_path / "whole", 3, batch_size=3)
    for step in range(5, 9):
        with pytest.raises(KeyboardInterrupt):
            training(tmp_path / f"{step}", 3, [Stop(step)], batch_size=3)
        net, history = training(tmp_path / f"{step}", 3, batch_size=3)
        assert bits(net) == bits(wanted) and net._fastbp.progress == wanted._fastbp.progress, step
        assert unlike_seconds(history) == unlike_seconds(wanted_history), step


class Named(fastbp.Callback):
    def __init__(self, name):
        self.name = name

    def state(self):
        return {"name": self.name}

    def restore(self, state):
        self.name = state["name"]


def test_callbacks_of_one_class_get_their_own_states_in_order(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        training(tmp_path / "run", 3, [Named("first"), Named("second"), Stop(8)])
    again = [Named(""), Named("")]
    training(tmp_path / "run", 3, again)
    assert [callback.name for callback in again] == ["first", "second"]


def test_the_fingerprint_of_a_checkpoint_is_its_network_s(tmp_path):
    training(tmp_path / "run", None)
    _, lines, _ = said("info", tmp_path / "run")
    (line,) = (line for line in lines if line.startswith("fingerprint"))
    assert line.split()[1] == fastbp.load(tmp_path / "run").fingerprint()


def test_a_network_with_names_does_not_go_on_where_there_were_functions(tmp_path):
    def train(activation):
        net = fresh(activation=activation)
        net.fit(X, LABELS, callbacks=ModelCheckpoint(tmp_path / "run", resume=True), **BASE)

    train(fastbp.Activation(lambda z: z, lambda z: z * 0 + 1))
    with pytest.raises(ValueError, match="user-defined functions"):
        train("linear")


@pytest.mark.parametrize("seed", [3, None])
def test_blocks_that_end_before_the_place_in_a_checkpoint(tmp_path, seed):
    path = tmp_path / "run"

    def train(rows, *more):
        fresh(seed=seed).fit(
            [(X[:rows], LABELS[:rows])],
            callbacks=[*more, ModelCheckpoint(path, every=10**9, resume=True)],
            **BASE,
        )

    with pytest.raises(KeyboardInterrupt):
        train(25, Stop(10))
    with pytest.raises(
        ValueError, match=r"damaged, or of other data: .*done: expected .* 8 samples.*, got 12"
    ) as caught:
        train(8)
    assert str(caught.value).startswith(f"{path}: ")


# In processes that are stopped from outside

SCRIPT = """
import hashlib, json, signal, sys
import numpy as np
import fastbp
from fastbp import EarlyStopping, ModelCheckpoint, Network

path, number = sys.argv[1], int(sys.argv[2])
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
rng = np.random.default_rng(number)
optimizers = ["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw", "irprop"]
schedules = ["constant", "cosine", "one_cycle", "exponential", fastbp.Cosine(warmup=20)]
X = rng.random((3000, 40), dtype=np.float32)
y = (X[:, :5] @ rng.standard_normal((5, 4))).argmax(axis=1)
np.random.seed(number)
net = Network(
    [40, 64, 32, 4], activation="relu", output_activation="softmax", cost="cross_entropy",
    dropout=0.2, dtype="float32", seed=number if number % 2 else None,
)
history = net.fit(
    X, y, epochs=8, batch_size=[32, 100, 1000][number % 3], learning_rate=2e-3,
    optimizer=optimizers[number % 7], schedule=schedules[number % 5], clip_norm=None if number % 4 else 1.0,
    validation_split=0.2, threads=1 + number % 2,
    callbacks=[
        EarlyStopping("val_loss", patience=3, restore_best_weights=True),
        ModelCheckpoint(path, every=[7, "epoch"][number % 2], resume=True),
    ],
)
digest = hashlib.sha256(b"".join(a.tobytes() for a in (*net.weights, *net.biases)))
digest.update(np.random.get_state()[1].tobytes())
kept = {name: numbers for name, numbers in history.items() if name not in ("seconds", "threads")}
print(json.dumps([digest.hexdigest(), kept, history.notes]), flush=True)
"""


def finished(path, number, stop=None):
    """Runs the script until it ends, after any number of stops, and returns its output."""
    for stops in range(9):
        with subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(path), str(number)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            shall_stop = stop is not None and stops < 1 + number % 2
            if shall_stop:
                before = written(path)
                while process.poll() is None and written(path) == before:
                    time.sleep(0.001)  # it begins to train
                time.sleep(stop.uniform(0, 0.1))
                process.send_signal(stop.choice([signal.SIGINT, signal.SIGTERM, signal.SIGKILL]))
            out, error = process.communicate(timeout=120)
        if process.returncode == 0:
            return out
        assert shall_stop, error
    raise AssertionError("it never ends")


def written(path):
    return path.stat().st_mtime_ns if path.exists() else 0


@pytest.mark.survives("resumed training")
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_processes_that_are_stopped_at_random_moments(tmp_path, full, record_property):
    stop, trainings = random.Random(0), 40 if full else 2
    for number in range(trainings):
        wanted = finished(tmp_path / f"{number}-whole", number)
        assert finished(tmp_path / f"{number}", number, stop) == wanted, number
        assert {name for name in os.listdir(tmp_path) if name.endswith(".tmp")} == set()
    record_property("tried", trainings)


# ---------------------------------------------------------------- hooks at the moment of an interruption


class Halve(fastbp.Callback):
    every = 4

    def on_step(self, run):
        run.rate_factor *= 0.5


class Fall(fastbp.Callback):
    def on_epoch_begin(self, run):
        run.rate_factor *= 0.9


class Begin(fastbp.Callback):
    def on_train_begin(self, run):
        run.rate_factor *= 0.25


class Raise(fastbp.Callback):
    """Raises in a hook, at a step of the network."""

    every = 1

    def __init__(self, hook, step):
        def raises(run):
            if run.step == step:
                raise KeyboardInterrupt

        setattr(self, hook, raises)


@pytest.mark.survives("resumed training")
@pytest.mark.parametrize("hook", ["on_chunk", "on_step", "on_boundary", "on_epoch_begin", "on_epoch_end"])
@pytest.mark.parametrize("place", [0, 3])
@pytest.mark.parametrize("step", [4, 7, 8, 14])
def test_hooks_are_called_once_for_each_step_and_epoch_of_a_resumed_training(hook, place, step, tmp_path):
    """7 steps an epoch; the hooks of a step are called as one, or again where an exception came between."""

    def train(path, *more):
        plateau = ReduceLROnPlateau("loss", patience=1, min_delta=9.0, factor=0.5, min_learning_rate=1e-4)
        hooks = [Halve(), Fall(), Begin(), plateau]
        hooks[place:place] = more
        keeper = ModelCheckpoint(path, every=1, resume=True)
        net = fresh()
        return net, net.fit(X, LABELS, callbacks=[*hooks, keeper], threads=1, **BASE)

    whole, expected = train(tmp_path / "whole")
    with contextlib.suppress(KeyboardInterrupt):
        train(tmp_path / "run", Raise(hook, step))
    net, history = train(tmp_path / "run")
    assert history.learning_rate == expected.learning_rate
    assert bits(net) == bits(whole)


def test_what_fails_before_training_leaves_a_checkpoint_and_its_error(tmp_path):
    path = tmp_path / "run"
    fresh().fit(X, LABELS, callbacks=ModelCheckpoint(path), **BASE)
    before = path.read_bytes()
    for bar in (ModelCheckpoint(path), fastbp.ProgressBar()):
        with pytest.raises(FileNotFoundError):
            fresh().fit(X, LABELS, callbacks=[fastbp.CSVLogger(tmp_path / "none" / "log"), bar], **BASE)
    assert path.read_bytes() == before


@pytest.mark.parametrize("step", [5, 10, 14])
def test_a_checkpoint_has_the_end_of_a_training_that_a_callback_ended(step, tmp_path):
    class End(fastbp.Callback):
        every = step

        def on_step(self, run):
            run.stop()

    net = fresh()
    net.fit(X, LABELS, callbacks=[End(), ModelCheckpoint(tmp_path / "run")], **BASE)
    assert bits(fastbp.load(tmp_path / "run")) == bits(net)
    again = fresh()
    again.fit(X, LABELS, callbacks=[End(), ModelCheckpoint(tmp_path / "run", resume=True)], **BASE)
    assert bits(again) == bits(net), "it has ended"


class Rate:
    def __call__(self, step):
        return 0.05


def rate(factor, step):
    return 0.05 * factor


@pytest.mark.parametrize("schedule", [Rate, lambda: functools.partial(rate, 0.5)], ids=["object", "partial"])
def test_a_schedule_of_ones_own_is_known_again_in_another_process(schedule, tmp_path):
    for epochs in (1, 2):
        keeper = ModelCheckpoint(tmp_path / "run", resume=True)
        options = {**BASE, "epochs": epochs, "schedule": schedule()}  # at another address each time
        assert fresh().fit(X, LABELS, callbacks=keeper, **options).epochs == epochs
    with pytest.raises(ValueError, match="schedule was"):
        fresh().fit(X, LABELS, callbacks=keeper, **{**options, "schedule": functools.partial(rate, 0.25)})


def test_blocks_are_not_resumed_with_other_weights_of_classes(tmp_path):
    keeper = ModelCheckpoint(tmp_path / "run", resume=True)
    blocks = [(X[:12], LABELS[:12]), (X[12:], LABELS[12:])]
    fresh().fit(blocks, callbacks=keeper, class_weight={0: 2.0}, **BASE)
    for other in (None, {0: 3.0}):
        with pytest.raises(ValueError, match=r"y and weights \(CRC\) was"):
            fresh().fit(blocks, callbacks=keeper, class_weight=other, **BASE)


def test_a_training_that_ended_within_a_batch_is_not_resumed_from_averages(tmp_path, monkeypatch):
    class End(fastbp.Callback):
        def on_chunk(self, run):
            if run.epoch == 1 and run.done % 1500:
                ended.append(run.done)
                run.stop()

    monkeypatch.setattr(TeamTuner, "next", lambda self: (1, 600))  # a batch has several chunks
    ended, rows, labels = [], np.tile(X, (120, 1)), np.tile(LABELS, 120)

    def train():
        net = fresh()
        hooks = [End(), fastbp.AverageWeights(0.9), ModelCheckpoint(tmp_path / "run", resume=True)]
        options = {"epochs": 3, "batch_size": 1500, "optimizer": "adam", "threads": 1}
        return net, net.fit(rows, labels, callbacks=hooks, **options)

    net, history = train()
    assert len(ended) == 1 and history.epochs == 1
    again, resumed = train()
    assert len(ended) == 1 and resumed.epochs == 1
    assert again.fingerprint() == net.fingerprint()


def test_an_epoch_whose_last_step_ended_the_training_ends_in_a_resumed_one(tmp_path):
    class End(fastbp.Callback):
        every = 7

        def on_step(self, run):
            run.stop()

    def train(path, *more):
        hooks = [End(), ModelCheckpoint(path, every=1, resume=True), *more]
        net = fresh()
        return net, net.fit(X, LABELS, callbacks=hooks, **BASE)  # 7 steps an epoch

    net, history = train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", Raise("on_boundary", 7))
    again, resumed = train(tmp_path / "run")
    assert resumed.epochs == history.epochs == 1 and resumed.loss == history.loss
    assert bits(again) == bits(net)
