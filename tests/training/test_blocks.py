"""More data than memory: `fit` on an iterable of blocks, and `partial_fit`."""

import functools
import signal
import threading
import time

import numpy as np
import pytest
from test_checkpoints import Stop, generator, unlike_seconds
from test_interrupts import interrupted_after, signals

import fastbp
from fastbp import ModelCheckpoint, Network
from fastbp.engine.architecture import checked, schema_of
from fastbp.engine.kernels import team
from fastbp.options.step_numbers import Recipe
from fastbp.training import blocks
from fastbp.training.plan import Plan
from toy import LABELS, VALUES, X, bits, fresh

N = 203
INPUTS = np.random.default_rng(2).random((N, 6), np.float32)
Y = np.random.default_rng(3).integers(0, 3, N)
OPTIONS = {"epochs": 3, "batch_size": 8, "learning_rate": 0.1}
SMALL = 2 * 3 * 8 * (4 * 6 + 8 + 8)  # two pools of three batches of float32 samples, labels and an order


def cut(size, X=INPUTS, y=Y):
    return [(X[i : i + size], y[i : i + size]) for i in range(0, len(X), size)]


def trained(data, y=None, net=None, **options):
    net = fresh(dtype="float32") if net is None else net
    history = net.fit(data, y, **{**OPTIONS, **options})
    return net, history


def readers():
    return [thread for thread in threading.enumerate() if thread.name == "fastbp blocks"]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    for reader in readers():  # may be about to end
        reader.join(60)
        assert not reader.is_alive()


# ---------------------------------------------------------------- the same bits


@pytest.mark.parametrize("buffer_bytes", [SMALL, 1 << 28])
@pytest.mark.parametrize("size", [1, 7, 24, 100, N])
def test_without_shuffling_blocks_train_as_their_rows_do(size, buffer_bytes):
    wanted, history = trained(INPUTS, Y, shuffle=False)
    net, found = trained(cut(size), shuffle=False, buffer_bytes=buffer_bytes)
    assert bits(net) == bits(wanted)
    assert found.loss == history.loss


@pytest.mark.parametrize("seed", [3, None])
def test_an_order_depends_neither_on_blocks_nor_on_time_nor_on_threads(seed):
    def slow():
        for block in cut(7):
            time.sleep(0.002)
            yield block

    found = set()
    for data, threads in ((cut(100), 1), (cut(7), 2), (slow, 1), (cut(1), 1)):
        net = fresh(dtype="float32", seed=3)
        net._fastbp = fastbp.Network([6, 9, 3], dtype="float32", seed=seed)._fastbp
        np.random.seed(4)  # noqa: NPY002
        found.add(bits(trained(data, net=net, buffer_bytes=SMALL, threads=threads)[0]))
    assert len(found) == 1
    assert found != {bits(trained(cut(100), shuffle=False)[0])}


def test_where_no_thread_can_be_started_the_bits_are_the_same(monkeypatch):
    """Neither the thread that reads blocks can be started, nor any of a team."""
    options = {"buffer_bytes": SMALL, "schedule": "cosine", "threads": 3, "validation_data": (INPUTS, Y)}
    wanted, history = trained(cut(7), **options)

    def refused(*arguments):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    monkeypatch.setattr(team, "start_new_thread", refused)
    passes = []

    def closing():
        try:
            yield from cut(7)
        finally:
            passes.append(threading.get_ident())

    with pytest.warns(RuntimeWarning, match=r"fit: cannot start a thread to read blocks \(can't start new"):
        net, found = trained(closing, **options)
    assert bits(net) == bits(wanted)
    assert (found.loss, found.validation_score) == (history.loss, history.validation_score)
    assert passes == [threading.get_ident()] * 4
    with (
        pytest.warns(RuntimeWarning, match="can't start new thread"),
        pytest.raises(OSError, match="the disk is gone"),
    ):
        trained(broken, buffer_bytes=SMALL)
    endless = Endless()
    with pytest.warns(RuntimeWarning, match="can't start new thread"), pytest.raises(KeyboardInterrupt):
        trained(endless, buffer_bytes=SMALL, callbacks=Stop(5))
    assert endless.closed == 1


class Late(RuntimeError):
    pass


@pytest.mark.parametrize(("begun", "error"), [(False, Late), (True, RuntimeError), (True, KeyboardInterrupt)])
def test_what_a_signal_handler_raises_as_the_thread_starts_is_not_lost(begun, error, monkeypatch):
    real, second = threading.Thread.start, threading.Event()

    def start(thread):
        if begun:
            real(thread)
            assert second.wait(60)
        raise error("by a handler")

    def watched():
        for number, block in enumerate(cut(7)):
            if number:
                second.set()  # the first is read by the main thread
            yield block

    net = fresh(dtype="float32")
    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(error, match="by a handler"):
        trained(watched, net=net, buffer_bytes=SMALL)
    assert bits(net) == bits(fresh(dtype="float32"))


def test_every_row_is_taken_once_an_epoch_in_a_new_order_within_its_pool():
    numbered = INPUTS.copy()
    numbered[:, 0] = np.arange(N)
    source = source_of(cut(10, numbered), buffer_bytes=SMALL)
    source.learn(False)
    first, second = ([data.X[order, 0] for data, order in source.segments(epoch)] for epoch in range(2))
    size = len(first[0])
    assert 0 < size < N and size % 8 == 0
    for number, (pool, again) in enumerate(zip(first, second, strict=True)):
        rows = np.arange(number * size, min(N, (number + 1) * size))
        np.testing.assert_array_equal(np.sort(pool), rows)
        np.testing.assert_array_equal(np.sort(again), rows)
        assert (pool != again).any()
    assert rows[-1] == N - 1
    assert (first[0] != first[1] - size).any()


def source_of(given, **options):
    net, recipe = fresh(), Recipe(fastbp.SGD(), 0.1, "constant", 0.0, 0.0, 0.0)
    plan = Plan(epochs=2, batch_size=8, recipe=recipe, **options)
    return blocks.Blocks(schema_of(net, checked(net).architecture), given, plan)


def pixels():
    return np.random.default_rng(0).integers(0, 256, (N, 6), np.uint8)


KINDS = {
    "bytes": (lambda: (pixels(), Y), {}),
    "float64": (lambda: (INPUTS.astype(float), Y), {}),
    "F order": (lambda: (np.asfortranarray(INPUTS), Y), {}),
    "lists": (lambda: (INPUTS.tolist(), Y.tolist()), {}),
    "integers": (lambda: (pixels().astype(int), Y), {}),
    "values": (lambda: (INPUTS, INPUTS[:, :3]), {}),
    "text": (lambda: (INPUTS, np.array(["b", "a", "c"])[Y]), {}),
    "sorted text": (lambda: (INPUTS, np.sort(np.array(["b", "a", "c"])[Y])), {}),
    "other numbers": (lambda: (INPUTS, 10 * Y), {}),
    "weights of classes": (lambda: (INPUTS, Y), {"class_weight": {0: 2.0, 2: 0.5}}),
    "validation": (lambda: (INPUTS, Y), {"validation_data": (INPUTS, Y), "metrics": ["accuracy", "mse"]}),
    "cosine": (lambda: (INPUTS, Y), {"schedule": "cosine", "optimizer": "adam"}),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_blocks_of_every_kind(kind, dtype):
    (given, y), options = KINDS[kind][0](), KINDS[kind][1]
    network = {"dtype": dtype, "input_divisor": 255 if kind in ("bytes", "integers") else None}
    wanted, history = trained(given, y, fresh(**network), shuffle=False, **options)
    data = [([], []), *cut(50, given, y), (np.zeros((0, 6)), [])]
    net, found = trained(data, net=fresh(**network), shuffle=False, **options)
    assert bits(net) == bits(wanted)
    assert net.task == wanted.task
    np.testing.assert_array_equal(net.classes_, wanted.classes_)
    for name in set(found) - {"seconds", "threads"}:
        assert found[name] == history[name]


@pytest.mark.parametrize("given", [INPUTS.astype(float) + 1e6, pixels()], ids=["float64", "bytes"])
def test_scalings_are_learnt_from_all_blocks(given, monkeypatch):
    from fastbp.data import scaling

    monkeypatch.setattr(scaling, "_AT_ONCE", 6 * 64)
    values = 1e3 * INPUTS[:, :3] + 7

    def net():
        return fresh(dtype="float32", output_activation="linear", scale_inputs=True, scale_outputs=True)

    wanted, _ = trained(given, values, net(), shuffle=False)
    found, _ = trained(cut(30, given, values), net=net(), shuffle=False)
    assert bits(found) == bits(wanted)
    np.testing.assert_allclose(
        found._fastbp.learnt.output_scaling.mean, values.astype(float).mean(axis=0), rtol=1e-12
    )
    np.testing.assert_array_equal(found.predict(given), wanted.predict(given))


def test_a_memory_map_is_one_block(tmp_path):
    INPUTS.tofile(tmp_path / "X")
    mapped = np.memmap(tmp_path / "X", np.float32, "r", shape=INPUTS.shape)
    wanted, _ = trained(INPUTS, Y, shuffle=False)
    assert bits(trained([(mapped, Y)], shuffle=False)[0]) == bits(wanted)
    assert bits(trained(cut(9, mapped), shuffle=False, buffer_bytes=SMALL)[0]) == bits(wanted)


def test_a_buffer_that_a_user_fills_anew():
    def same():
        room, labels = np.empty((10, 6), np.float32), np.empty(10, int)
        for rows, y in cut(10):
            room[: len(y)], labels[: len(y)] = rows, y
            yield room[: len(y)], labels[: len(y)]

    wanted, _ = trained(INPUTS, Y, shuffle=False)
    assert bits(trained(same, shuffle=False, buffer_bytes=SMALL)[0]) == bits(wanted)


def test_own_functions_of_arrays_and_replaced_methods_train_on_blocks():
    class Own(Network):
        def backprop(self, x, y):
            return super().backprop(x, y)

    square = fastbp.Cost(lambda a, y: (a - y) ** 2, lambda a, y: 2 * (a - y))
    for make in (lambda: Own([6, 9, 3], seed=1), lambda: fresh(cost=square)):
        wanted, _ = trained(INPUTS, Y, make(), shuffle=False, epochs=1)
        net, _ = trained(cut(30), net=make(), shuffle=False, epochs=1, buffer_bytes=2 * 24 * 8 * 8)
        np.testing.assert_allclose(net.parameters, wanted.parameters, rtol=1e-12)


# ---------------------------------------------------------------- passes


def test_samples_are_counted_by_the_first_epoch():
    seen = []

    class Watch(fastbp.Callback):
        def on_epoch_begin(self, run):
            seen.append(run.samples)

    trained(cut(10), callbacks=Watch())
    assert seen == [None, N, N]


def test_an_iterator_trains_for_one_epoch():
    wanted, _ = trained(cut(10), epochs=1)
    assert bits(trained(iter(cut(10)), epochs=1)[0]) == bits(wanted)


def test_a_pass_more_is_made_only_where_all_samples_must_be_known():
    passes = []

    def begin():
        passes.append(1)
        return iter(cut(10))

    for options, more in (
        ({}, 0),
        ({"schedule": fastbp.Step(every=3)}, 0),
        ({"schedule": fastbp.Cosine(steps=9)}, 0),
        ({"schedule": fastbp.Exponential(0.9)}, 0),
        ({"schedule": fastbp.OneCycle(steps=9)}, 0),
        ({"schedule": lambda step: 0.1}, 0),
        ({"schedule": "step"}, 1),
        ({"schedule": "exponential"}, 1),
        ({"schedule": "one_cycle"}, 1),
    ):
        passes.clear()
        trained(begin, **options)
        assert len(passes) == 3 + more, options


# ---------------------------------------------------------------- what goes wrong


def bad_cell(X, row, column, value):
    X = X.copy()
    X[row, column] = value
    return X


def broken():
    yield from cut(10)[:2]
    raise OSError("the disk is gone")


REFUSED = {
    "NaN": (
        [*cut(50)[:3], (bad_cell(INPUTS[:40], 17, 4, np.nan), Y[:40])],
        {},
        ValueError,
        r"block 3: X\[17, 4\]: expected a finite float32, got nan",
    ),
    "a label": (
        [*cut(50), (INPUTS[:2], [0, 3])],
        {},
        ValueError,
        r"block 5: y\[1\]: expected a label 0 .. 2, got 3",
    ),
    "width": ([*cut(50), (INPUTS[:, :5], Y)], {}, ValueError, "block 5: X: expected shape"),
    "rows": ([*cut(50), (INPUTS, Y[:5])], {}, ValueError, "block 5: expected as many rows of X and of y"),
    "bytes among floats": (
        [*cut(50), (pixels(), Y)],
        {},
        TypeError,
        "block 5: X: expected float32, as in the first block, got uint8",
    ),
    "another task": ([*cut(50), (INPUTS, INPUTS[:, :3])], {}, ValueError, "block 5: y: expected shape"),
    "no pair": ([*cut(50), INPUTS], {}, TypeError, r"block 5: expected a pair \(X, y\), got ndarray"),
    "arrays without y": (INPUTS, {}, TypeError, "y: expected labels or values beside an array"),
    "a number": (7, {}, TypeError, "got int"),
    "a function of nothing": (
        lambda: None,
        {},
        TypeError,
        "expected a function that returns an iterator of blocks, got None",
    ),
    "none": ([], {}, ValueError, "expected blocks with samples"),
    "once": (iter(cut(50)), {}, ValueError, "epochs: expected 1 for an iterator of blocks"),
    "the same iterator again": (
        functools.partial(iter, iter(cut(50))),
        {},
        ValueError,
        "a function must return a new one",
    ),
    "cosine of an iterator": (
        iter(cut(50)),
        {"epochs": 1, "schedule": "cosine"},
        ValueError,
        "a schedule's end must be known",
    ),
    "split": (cut(50), {"validation_split": 0.1}, ValueError, "validation_split: expected 0 for blocks"),
    "weights": (cut(50), {"sample_weight": Y}, ValueError, "sample_weight: expected None for blocks"),
    "balanced": (cut(50), {"class_weight": "balanced"}, ValueError, "class_weight: expected a dict"),
    "metrics": (cut(50), {"metrics": "mse"}, ValueError, "metrics: expected validation_data"),
    "buffer": (
        cut(50),
        {"buffer_bytes": 639},
        ValueError,
        "buffer_bytes: expected at least 640, two batches of 8",
    ),
    "their own": (broken, {}, OSError, "the disk is gone"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name, monkeypatch):
    monkeypatch.setattr(blocks, "_PIECE", 24)  # rows of X are checked four at a time
    data, options, error, words = REFUSED[name]
    with pytest.raises(error, match=words):
        trained(data, **{"buffer_bytes": SMALL, **options})


@pytest.mark.parametrize("names", [["a", "b", "c"], [3, 5, 8]])
def test_a_scaling_is_learnt_where_one_block_lacks_a_label(names):
    order = np.argsort(Y, kind="stable")  # most blocks hold one label alone
    rows, y = INPUTS[order], np.array(names)[Y[order]]
    net = fresh(scale_inputs=True)
    history = net.fit(cut(50, rows, y), **OPTIONS, shuffle=False)
    wanted = fresh(scale_inputs=True)
    assert history.loss == wanted.fit(rows, y, **OPTIONS, shuffle=False).loss
    assert bits(net) == bits(wanted)
    assert net.classes_.tolist() == names


def test_labels_that_are_learnt_are_the_only_ones():
    net, _ = trained(cut(50, INPUTS, np.array(["a", "b", "c"])[Y]))
    with pytest.raises(ValueError, match=r"block 0: y\[1\]: expected one of 'a', 'b', 'c', got 'd'"):
        trained([(INPUTS[:2], ["a", "d"])], net=net)


class Endless:
    """Blocks without an end, that know whether they were closed."""

    closed = 0

    def __call__(self):
        try:
            while True:
                yield INPUTS, Y
        finally:
            self.closed += 1


def test_an_iterator_is_closed_by_whatever_ends_training():
    class Error(fastbp.Callback):
        every = 5

        def on_step(self, run):
            raise ZeroDivisionError

    endless = Endless()
    with pytest.raises(ZeroDivisionError):
        trained(endless, callbacks=Error())
    assert endless.closed == 1
    with pytest.raises(fastbp.DivergenceError):
        net = fresh(output_activation="linear", dtype="float32")
        trained(endless, net=net, learning_rate=1e30)
    assert endless.closed == 2
    trained(endless, callbacks=fastbp.TimeLimit(0.05))
    assert endless.closed == 3
    with pytest.raises(TypeError):
        trained(endless, validation_data=7)
    assert endless.closed == 4
    with pytest.raises(ValueError, match="buffer_bytes"):
        trained(endless, buffer_bytes=1)
    assert endless.closed == 5


@signals
def test_a_signal_ends_training_and_its_thread():
    endless = Endless()
    with interrupted_after(0.2):
        trained(endless)
    assert endless.closed == 1


@signals
def test_a_signal_while_a_block_is_waited_for():
    def slow():
        yield cut(50)[0]
        time.sleep(0.7)

    with interrupted_after(0.2):
        trained(slow)


@signals
def test_a_block_that_never_comes_keeps_nobody():
    come = threading.Event()

    def never():
        yield cut(50)[0]
        come.wait(10)

    start = time.monotonic()
    main = threading.main_thread().ident
    sender = threading.Timer(0.1, signal.pthread_kill, [main, signal.SIGINT])
    sender.start()
    with pytest.raises(KeyboardInterrupt):
        trained(never)
    assert time.monotonic() - start < 3
    come.set()
    sender.join()
    while readers():
        time.sleep(0.01)


# ---------------------------------------------------------------- checkpoints


@pytest.mark.survives("resumed training")
@pytest.mark.sampled
@pytest.mark.parametrize("seed", [3, None])
@pytest.mark.parametrize("shuffle", [True, False])
def test_a_training_on_blocks_that_was_stopped_ends_with_the_same_bits(tmp_path, seed, shuffle):
    def train(path, stop=-1):
        np.random.seed(5)  # noqa: NPY002
        net = Network([6, 9, 3], seed=seed, dropout=0.3, dtype="float32")
        callbacks = [Stop(stop), ModelCheckpoint(path, every=2, resume=True)]
        options = {"shuffle": shuffle, "callbacks": callbacks, "buffer_bytes": SMALL, "optimizer": "adam"}
        return trained(lambda: cut(10), net=net, schedule="cosine", **options)

    wanted, history = train(tmp_path / "whole")
    drawn = generator()
    steps = wanted._fastbp.progress.batches
    assert steps == 3 * 26
    for stop in (1, 3, 4, 25, 26, 27, 40, 52, 77, 78):
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / f"{stop}", stop)
        net, found = train(tmp_path / f"{stop}")
        assert bits(net) == bits(wanted), stop
        assert unlike_seconds(found) == unlike_seconds(history), stop
        assert generator() == drawn, stop


def test_other_blocks_or_another_buffer_are_not_resumed_with(tmp_path):
    def train(data, **options):
        callbacks = [Stop(options.pop("stop", -1)), ModelCheckpoint(tmp_path / "run", every=1, resume=True)]
        trained(data, callbacks=callbacks, **{"buffer_bytes": SMALL, **options})

    with pytest.raises(KeyboardInterrupt):
        train(cut(10), stop=20)
    with pytest.raises(ValueError, match="buffer_bytes was"):
        train(cut(10), buffer_bytes=2 * SMALL)
    with pytest.raises(ValueError, match="samples was 'blocks', is 203"):
        net = fresh(dtype="float32")
        net.fit(INPUTS, Y, callbacks=ModelCheckpoint(tmp_path / "run", resume=True), **OPTIONS)
    with pytest.raises(ValueError, match="expected the blocks of the training that is resumed"):
        train(cut(10)[:3])


# ---------------------------------------------------------------- partial_fit


def test_partial_fit_is_an_epoch_of_fit():
    one, other = fresh(), fresh()
    for part in (X[:10], X[10:]):
        y = LABELS[: len(part)]
        one.partial_fit(part / 4, y, optimizer="adam", batch_size=4)
        other.fit(part / 4, y, epochs=1, optimizer="adam", batch_size=4)
    assert bits(one) == bits(other)
    one.partial_fit(X, LABELS)  # goes on with adam
    other.fit(X, LABELS, epochs=1, optimizer="adam", batch_size=25)
    assert bits(one) == bits(other)


def test_partial_fit_takes_batches_of_200():
    net = fresh(dtype="float32")
    net.partial_fit(np.tile(INPUTS, (2, 1)), np.tile(Y, 2))
    assert net._fastbp.progress.batches == 3
    assert repr(net._fastbp.progress.optimizer) == "SGD()"


def test_partial_fit_keeps_the_task():
    net = fresh([6, 5, 1])
    net.partial_fit(X, 2 * LABELS)
    assert net.task == "value"
    net.partial_fit(X, LABELS % 2)  # which alone were two classes
    assert net.task == "value"
    net = fresh()
    net.partial_fit(X, LABELS)
    with pytest.raises(ValueError, match="trained for labels"):
        net.partial_fit(X, VALUES)
    with pytest.raises(TypeError, match="y: expected labels or values"):
        net.partial_fit(X, None)


def test_pools_stay_within_their_bytes():
    source = source_of(cut(10), buffer_bytes=100_000, class_weight={0: 2.0})
    source.learn(False)
    room = sum(array.nbytes for pool in source._pools for array in pool)
    orders = 2 * 8 * len(source._pools[0].X)
    assert 0.9 * 100_000 < room + orders <= 100_000
    source.close()
