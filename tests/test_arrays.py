"""`Network` on arrays: what fit, predict, outputs and score take, refuse, leave alone and survive."""
# ruff: noqa: NPY002  without a seed, a network draws from NumPy's global generator

import contextlib
import copy
import hashlib
import os
import pickle
import random
import signal
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastbp import DivergenceError, Network
from fastbp.kernels import step
from fastbp.kernels.math import ACTIVATION_CODES
from reference import assert_close, fit_reference, one_hot

DTYPES = ["float64", "float32"]
dtypes = pytest.mark.parametrize("dtype", DTYPES)

# Small integers, so that every number type holds them and no conversion rounds
SIZES = [6, 9, 3]
N = 25
X = np.random.default_rng(0).integers(-4, 5, (N, 6)).astype(np.float64)
LABELS = np.arange(N) % 3
VALUES = np.random.default_rng(1).integers(0, 2, (N, 3)).astype(np.float64)
OPTIONS = {"epochs": 3, "batch_size": 7, "learning_rate": 0.5}


def fresh(sizes=SIZES, seed=3, **options):
    return Network(sizes, seed=seed, **options)


def fitted(X=X, y=LABELS, net=None, **options):
    net = fresh() if net is None else net
    net.fit(X, y, **{**OPTIONS, **options})
    return net


def bits(net):
    return b"".join(array.tobytes() for array in (*net.weights, *net.biases))


def sha(*arrays):
    """Of the values, which are small: the padding of a long double is anything."""
    plain = [np.ascontiguousarray(array, np.float64) for array in arrays]
    return [hashlib.sha256(array.tobytes()).hexdigest() for array in plain]


# ---------------------------------------------------------------- what it computes


@dtypes
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", [1, 7, N, 100])
def test_fit_against_the_reference(batch_size, shuffle, dtype):
    """The first weights and then each epoch's order come from RandomState(seed)."""
    net, generator = fresh(dtype=dtype), np.random.RandomState(3)
    assert_close(net.biases, [generator.randn(9, 1).astype(dtype), generator.randn(3, 1).astype(dtype)], 0, 0)
    assert_close(
        net.weights, [generator.randn(9, 6).astype(dtype), generator.randn(3, 9).astype(dtype)], 0, 0
    )
    orders = [generator.permutation(N) if shuffle else np.arange(N) for _ in range(3)]
    start = net.weights, net.biases
    fitted(net=net, batch_size=batch_size, shuffle=shuffle)
    wanted = fit_reference(*start, X, one_hot(LABELS, 3), orders, batch_size, 0.5, dtype)
    tolerance = (1e-9, 1e-11) if dtype == "float64" else (1e-4, 1e-5)
    assert_close([net.weights, net.biases], [*map(list, wanted)], *tolerance)


def test_float32_stays_near_float64():
    one, other = (fitted(net=fresh(dtype=dtype), epochs=20) for dtype in DTYPES)
    assert one.outputs(X).dtype == np.float64 and other.outputs(X).dtype == np.float32
    np.testing.assert_allclose(one.outputs(X), other.outputs(X), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("output", ACTIVATION_CODES)
@pytest.mark.parametrize("activation", ACTIVATION_CODES)
def test_outputs_agree_with_feedforward(activation, output):
    net = fitted(net=fresh(activation=activation, output_activation=output), learning_rate=0.001)
    np.testing.assert_allclose(net.outputs(X), net.feedforward(X.T).T, rtol=1e-12, atol=1e-12)


def test_labels_are_learnt():
    net = fitted(net=fresh([6, 30, 3]), epochs=400, learning_rate=2.0)
    assert net.score(X, LABELS) == 1.0
    np.testing.assert_array_equal(net.predict(X), LABELS)


def test_predictions_of_labels():
    net = fitted()
    outputs = net.outputs(X)
    assert outputs.shape == (N, 3)
    np.testing.assert_array_equal(net.predict(X), outputs.argmax(axis=1))
    assert net.score(X, LABELS) == np.mean(outputs.argmax(axis=1) == LABELS)


@pytest.mark.parametrize("kind", [int, "uint8", bool])
def test_one_output_and_zeros_and_ones_are_two_classes(kind):
    y = (LABELS == 1).astype(kind)
    net = fitted(X, y, fresh([6, 9, 1]))
    assert net.predict(X).tolist() == (net.outputs(X)[:, 0] >= 0.5).astype(int).tolist()
    assert net.score(X, y) == np.mean(net.predict(X) == y)


@pytest.mark.parametrize("y", [LABELS - 1, LABELS, LABELS / 4, (LABELS == 1).astype(float)])
def test_one_output_and_other_numbers_are_values(y):
    net = fitted(X, y, fresh([6, 9, 1], output_activation="linear"), learning_rate=0.01)
    outputs = net.outputs(X)
    np.testing.assert_array_equal(net.predict(X), outputs[:, 0])
    wanted = 1 - np.sum((outputs[:, 0] - y) ** 2) / np.sum((y - y.mean()) ** 2)
    assert net.score(X, y) == pytest.approx(wanted, rel=1e-12)
    assert net.score(X, y.reshape(-1, 1)) == net.score(X, y)


def test_values_of_several_outputs():
    net = fitted(y=VALUES)
    np.testing.assert_array_equal(net.predict(X), net.outputs(X))
    residual = np.sum((net.predict(X) - VALUES) ** 2)
    assert net.score(X, VALUES) == pytest.approx(1 - residual / np.sum((VALUES - VALUES.mean(axis=0)) ** 2))


@pytest.mark.parametrize(("error", "score"), [(0.0, 1.0), (0.5, 0.0)])
def test_score_of_values_that_are_all_the_same(error, score):
    net = fresh([1, 1], output_activation="linear")
    net.weights, net.biases = [np.zeros((1, 1))], [np.ones((1, 1))]
    assert net.score([[1.0], [2.0]], [1.0 + error, 1.0 + error]) == score


@pytest.mark.parametrize(("outputs", "shape"), [(3, (N,)), (1, (N, 1))])
def test_predictions_before_any_fit(outputs, shape):
    assert fresh([6, 9, outputs]).predict(X).shape == shape


def test_one_hot_values_and_labels_train_alike():
    assert bits(fitted(y=one_hot(LABELS, 3))) == bits(fitted(y=LABELS))


def test_fit_goes_on_where_it_was():
    """Epochs in two calls are the epochs in one."""
    assert bits(fitted(net=fitted(epochs=2), epochs=3)) == bits(fitted(epochs=5))


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(rows):
    net, before = fresh(), bits(fresh())
    history = net.fit(X[:rows], LABELS[:rows], **OPTIONS)
    assert len(history.loss) == 3 and np.isfinite(history.loss).all()
    assert (bits(net) == before) == (rows == 0)
    assert net.outputs(X[:rows]).shape == (rows, 3)
    assert net.predict(X[:rows]).shape == (rows,)


@pytest.mark.parametrize("y", [LABELS, VALUES], ids=["labels", "values"])
def test_score_of_no_rows_is_nan_or_refused(y):
    """But no warning of NumPy's from within."""
    net = fitted(y=y)
    with contextlib.suppress(ValueError):
        assert np.isnan(net.score(X[:0], y[:0]))
    with contextlib.suppress(ValueError):
        history = net.fit(X, y, validation_data=(X[:0], y[:0]), **OPTIONS)
        assert np.isnan(history.validation_score).all() and len(history.validation_loss) == 3


# ---------------------------------------------------------------- arrays of every kind


def in_strides(array, *index):
    """A view of that index into a larger array which holds `array` there."""
    shape = [size * (abs(part.step or 1)) for size, part in zip(array.shape, index, strict=True)]
    larger = np.full(shape, 99, array.dtype)
    larger[index] = array
    return larger[index]


def misaligned(array):
    buffer = np.zeros(array.nbytes + 1, np.uint8)
    copied = np.frombuffer(buffer.data, array.dtype, array.size, offset=1).reshape(array.shape)
    copied[...] = array
    assert not copied.flags.aligned
    return copied


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


ARRANGEMENTS = {
    "plain": lambda array: array.copy(),
    "list": lambda array: array.tolist(),
    "F-order": np.asfortranarray,
    "every third row": lambda array: in_strides(array, *[slice(None, None, 3)] * array.ndim),
    "backwards": lambda array: in_strides(array, *[slice(None, None, -1)] * array.ndim),
    "read-only": read_only,
    "misaligned": misaligned,
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "little-endian": lambda array: array.astype(array.dtype.newbyteorder("<")),
}
NUMBERS = ["float16", "float32", "float64", "longdouble", "int8", "int16", "int32", "int64"]
UNSIGNED = ["uint8", "uint16", "uint64", "bool"]
arrangements = pytest.mark.parametrize("arrange", ARRANGEMENTS)


def results(X, y, dtype):
    net = fresh(dtype=dtype, uint8_divisor=1.0)
    history = net.fit(X, y, validation_data=(X, y), **OPTIONS)
    return (
        bits(net),
        history.loss,
        history.validation_loss,
        history.validation_score,
        net.predict(X).tobytes(),
        net.outputs(X).tobytes(),
        net.score(X, y),
    )


def arranged(array, kind, arrange):
    if arrange == "misaligned" and np.dtype(kind).itemsize == 1:
        pytest.skip("bytes are never misaligned")
    return ARRANGEMENTS[arrange](array.astype(kind))


@arrangements
@pytest.mark.parametrize("kind", NUMBERS + UNSIGNED)
@dtypes
def test_samples_of_every_kind_and_arrangement(kind, arrange, dtype):
    """As the plain float64 copy, by the kernels that are there already, and the array as it was."""
    plain = {"bool": X > 0}.get(kind, abs(X) if kind in UNSIGNED else X).astype(np.float64)
    expected, compiled = results(plain, LABELS, dtype), step.train.cache_info().misses
    given = arranged(plain, kind, arrange)
    before = sha(given)
    assert results(given, LABELS, dtype) == expected
    assert sha(given) == before
    assert step.train.cache_info().misses == compiled


@arrangements
@pytest.mark.parametrize("kind", NUMBERS + UNSIGNED[:-1])
def test_labels_of_every_kind_and_arrangement(kind, arrange):
    given = arranged(LABELS, kind, arrange)
    before = sha(given)
    assert results(X, given, "float64") == results(X, LABELS, "float64")
    assert sha(given) == before


@arrangements
@pytest.mark.parametrize("kind", NUMBERS + UNSIGNED)
@dtypes
def test_values_of_every_kind_and_arrangement(kind, arrange, dtype):
    given = arranged(VALUES, kind, arrange)
    before = sha(given)
    assert results(X, given, dtype) == results(X, VALUES, dtype)
    assert sha(given) == before


@dtypes
@pytest.mark.parametrize("mode", ["r", "c"])
@pytest.mark.parametrize("kind", ["uint8", "float32", "float64", ">f8", "int16"])
def test_memory_mapped_samples(kind, mode, dtype, tmp_path):
    plain = abs(X)
    plain.astype(kind).tofile(tmp_path / "X")
    mapped = np.memmap(tmp_path / "X", kind, mode, shape=X.shape)
    assert results(mapped, LABELS, dtype) == results(plain, LABELS, dtype)
    assert (tmp_path / "X").read_bytes() == plain.astype(kind).tobytes()


@dtypes
@pytest.mark.parametrize("divisor", [255.0, 1.0, 3.5])
def test_bytes_are_divided(divisor, dtype):
    pixels = np.random.default_rng(0).integers(0, 256, (N, 6), np.uint8)
    divided = pixels.astype(dtype) / np.dtype(dtype).type(divisor)
    nets = [
        fitted(array, LABELS, fresh(dtype=dtype, uint8_divisor=divisor), learning_rate=0.01)
        for array in (pixels, divided)
    ]
    assert bits(nets[0]) == bits(nets[1])
    np.testing.assert_array_equal(nets[0].outputs(pixels), nets[0].outputs(divided))


def test_bytes_are_divided_by_255_unless_told_otherwise():
    pixels = np.arange(N * 6, dtype=np.uint8).reshape(N, 6)
    assert bits(fitted(pixels)) == bits(fitted(pixels / 255))


# ---------------------------------------------------------------- random numbers


def global_states():
    kind, keys, *rest = np.random.get_state()
    return random.getstate(), (kind, keys.tolist(), *rest)


def test_a_seeded_network_leaves_the_global_generators_alone():
    before = global_states()
    net = fitted(validation_data=(X, LABELS))
    net.predict(X), net.outputs(X), net.score(X, LABELS)
    assert global_states() == before


def test_without_a_seed_the_global_generator_drives_everything():
    def run():
        np.random.seed(3)
        return bits(fitted(net=Network(SIZES)))

    before = random.getstate()
    one = run()
    assert one == run() == bits(fitted(net=fresh(seed=3)))
    assert random.getstate() == before
    wanted = np.random.RandomState(3)
    wanted.randn(9 + 3 + 9 * 6 + 3 * 9)
    for _ in range(3):
        wanted.permutation(N)
    assert np.random.randn() == wanted.randn()
    assert bits(fitted(net=Network(SIZES))) != one


def test_equal_seeds_give_equal_bits_and_others_do_not():
    assert (
        bits(fitted(net=fresh(seed=5))) == bits(fitted(net=fresh(seed=5))) != bits(fitted(net=fresh(seed=6)))
    )


@dtypes
def test_threads_change_no_bit(dtype, monkeypatch):
    monkeypatch.setenv("FASTBP_NUM_THREADS", "4")
    X = np.random.default_rng(0).normal(size=(700, 64))
    y = np.arange(700) % 10
    options = {"batch_size": 256, "validation_data": (X[:300], y[:300])}  # large enough for "auto" to share

    def run(threads):
        net = fresh([64, 128, 10], dtype=dtype)
        history = net.fit(X, y, **{**OPTIONS, **options}, threads=threads)
        return bits(net), history.loss, history.validation_loss, net.outputs(X).tobytes()

    expected = run(1)
    for threads in (2, 3, 4, 50, "auto"):
        assert run(threads) == expected


# ---------------------------------------------------------------- history, validation, callbacks


def test_history_without_validation():
    history = fresh().fit(X, LABELS, **OPTIONS)
    assert len(history.loss) == len(history.seconds) == 3
    assert history.validation_loss == history.validation_score == []
    assert all(isinstance(loss, float) and loss > 0 for loss in history.loss)
    assert all(seconds >= 0 for seconds in history.seconds)


@pytest.mark.parametrize("y", [LABELS, VALUES])
def test_loss_of_a_whole_batch_is_the_cost_before_it(y):
    net = fresh()
    wanted = y if y.ndim == 2 else one_hot(y, 3)
    costs = [np.mean(np.sum((net.outputs(X) - wanted) ** 2, axis=1)) / 2]

    def callback(net, history):
        costs.append(np.mean(np.sum((net.outputs(X) - wanted) ** 2, axis=1)) / 2)

    history = net.fit(X, y, epochs=4, batch_size=N, learning_rate=0.5, callbacks=[callback])
    np.testing.assert_allclose(history.loss, costs[:-1], rtol=1e-12)


@pytest.mark.parametrize("y", [LABELS, VALUES])
def test_validation_after_every_epoch(y):
    held_out, scores, costs = (X[:10] + 1, y[:10]), [], []

    def callback(net, history):
        scores.append(net.score(*held_out))
        error = net.outputs(held_out[0]) - (y[:10] if y.ndim == 2 else one_hot(y[:10], 3))
        costs.append(np.mean(np.sum(error**2, axis=1)) / 2)
        assert len(history.validation_score) == len(history.loss) == len(scores)

    net = fresh()
    history = net.fit(X, y, validation_data=held_out, callbacks=[callback], **OPTIONS)
    assert history.validation_score == scores
    np.testing.assert_allclose(history.validation_loss, costs, rtol=1e-12)
    assert bits(net) == bits(fitted(y=y))


def test_no_epochs():
    net = fresh()
    history = net.fit(X, LABELS, **{**OPTIONS, "epochs": 0})
    assert history.loss == history.seconds == []
    assert bits(net) == bits(fresh())


@pytest.mark.parametrize("stop", [True, np.True_])
def test_a_callback_stops_training(stop):
    def callback(net, history):
        return stop if len(history.loss) == 2 else None

    net = fresh()
    history = net.fit(X, LABELS, callbacks=[callback], **{**OPTIONS, "epochs": 9})
    assert len(history.loss) == len(history.seconds) == 2
    assert bits(net) == bits(fitted(epochs=2))


def test_callbacks_that_return_something_else_do_not_stop():
    history = fresh().fit(X, LABELS, callbacks=[lambda *_: 1, lambda *_: "yes", lambda *_: False], **OPTIONS)
    assert len(history.loss) == 3


def test_every_callback_is_called_in_order_with_the_network():
    calls, net = [], fresh()
    callbacks = [
        lambda given, history: calls.append((1, given is net, len(history.loss))) or True,
        lambda given, history: calls.append((2, given is net, len(history.loss))),
    ]
    net.fit(X, LABELS, callbacks=callbacks, **OPTIONS)
    assert calls == [(1, True, 1), (2, True, 1)]


def halve(net, history=None):
    net.weights = [w / 2 for w in net.weights]
    net.biases[0][:] += 1


def test_a_callback_edits_the_weights():
    expected = fresh()
    for _ in range(3):
        halve(fitted(net=expected, epochs=1))
    assert bits(fitted(callbacks=[halve])) == bits(expected)


@pytest.mark.parametrize("layer", [0, 1])
def test_a_callback_that_changes_shapes_is_refused(layer):
    def callback(net, history):
        net.weights[layer] = np.ones((20, SIZES[layer]))
        net.biases[layer] = np.ones((20, 1))

    net = fresh()
    with pytest.raises(ValueError, match="weights"):
        fitted(net=net, callbacks=[callback])
    assert bits(net) == bits(fitted(epochs=1))


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError, SystemExit])
def test_a_callback_raises(error):
    def callback(net, history):
        if len(history.loss) == 2:
            raise error("here")

    net = fresh()
    with pytest.raises(error, match="here"):
        fitted(net=net, callbacks=[callback])
    assert bits(net) == bits(fitted(epochs=2))
    assert bits(fitted(net=net, epochs=1)) == bits(fitted(epochs=3))


def test_verbose_prints_a_line_an_epoch(capsys):
    fitted(verbose=True, validation_data=(X, LABELS))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for number, line in enumerate(lines, 1):
        for word in (f"{number}/3", "loss", "validation", "samples/s"):
            assert word in line
    fitted()
    assert capsys.readouterr().out == ""


# ---------------------------------------------------------------- divergence


def assert_usable(net):
    for array in (*net.weights, *net.biases):
        assert np.isfinite(array).all()
    assert np.isfinite(net.outputs(X / 100)).all()
    net.fit(X / 100, LABELS, epochs=1, batch_size=N, learning_rate=1e-9)


@dtypes
@pytest.mark.parametrize("rate", [1e3, 1e10, 1e30])
@pytest.mark.parametrize("batch_size", [7, N])
@pytest.mark.parametrize(
    "names", [("relu", "linear"), ("linear", "linear"), ("tanh", "linear")], ids="-".join
)
def test_divergence(names, batch_size, rate, dtype):
    net = fresh(activation=names[0], output_activation=names[1], dtype=dtype)
    with pytest.raises(DivergenceError) as caught:
        fitted(net=net, epochs=2000, batch_size=batch_size, learning_rate=rate)
    assert isinstance(caught.value, ArithmeticError)
    for words in ("epoch ", f"of {N}", "no longer finite", f"learning_rate {rate:g}", "smaller"):
        assert words in str(caught.value)
    assert all(np.isfinite(array).all() for array in (*net.weights, *net.biases))


@dtypes
def test_divergence_keeps_the_last_finite_weights(dtype):
    """Those of as many whole epochs as its message counts."""
    net = fresh(output_activation="linear", dtype=dtype)
    with pytest.raises(DivergenceError) as caught:
        fitted(net=net, epochs=500, batch_size=N, learning_rate=30.0)
    epochs = int(str(caught.value).split("epoch ")[1].split(",")[0])
    assert epochs > 2
    expected = fitted(
        net=fresh(output_activation="linear", dtype=dtype), epochs=epochs, batch_size=N, learning_rate=30.0
    )
    assert bits(net) == bits(expected)


def test_divergence_of_weights_alone():
    """With sigmoids the cost is finite whatever the weights are."""
    net = fresh([6, 3], dtype="float32")
    net.biases, net.weights = [b * 0 for b in net.biases], [w * 0 for w in net.weights]
    before = bits(net)
    with pytest.raises(DivergenceError, match="a weight is no longer finite"):
        fitted(1e3 * X, net=net, batch_size=N, learning_rate=1e38)
    assert bits(net) == before
    assert_usable(net)


def test_divergence_in_a_later_epoch_keeps_validation_and_callbacks():
    seen = []
    net = fresh(output_activation="linear")
    with pytest.raises(DivergenceError):
        fitted(
            net=net,
            epochs=500,
            learning_rate=3.0,
            validation_data=(X, LABELS),
            callbacks=[lambda net, history: seen.append(bits(net))],
        )
    assert seen
    assert all(np.isfinite(array).all() for array in (*net.weights, *net.biases))


# ---------------------------------------------------------------- what is refused


def with_cell(array, place, value):
    array = np.array(array, np.float64)
    array[place] = value
    return array


def fit_with(sizes=SIZES, dtype="float64", X=X, y=LABELS, **options):
    return fresh(sizes, dtype=dtype).fit(X, y, **{**OPTIONS, **options})


def network_of(weights, biases):
    net = fresh()
    net.weights = [np.zeros(shape) for shape in weights]
    net.biases = [np.zeros(shape) for shape in biases]
    return net


COLUMN, TARGET = np.zeros((6, 1)), np.zeros((3, 1))


def sgd(*pairs, **keywords):
    return fresh().SGD(list(pairs), 1, 2, 0.1, **keywords)


REFUSED = {
    # the network
    "sizes: floats": (lambda: Network([6, 2.5]), TypeError, "sizes: expected integers", "[6, 2.5]"),
    "sizes: number": (lambda: Network(6), TypeError, "sizes: expected integers", "got 6"),
    "sizes: none": (lambda: Network([]), ValueError, "sizes: expected at least one layer", "got []"),
    "sizes: zero": (lambda: Network([6, 0, 3]), ValueError, "at least 1 neuron", "got [6, 0, 3]"),
    "activation": (lambda: fresh(activation="step"), ValueError, "activation:", "'tanh'", "got 'step'"),
    "output": (
        lambda: fresh(output_activation=["relu"]),
        ValueError,
        "output_activation:",
        "'sigmoid'",
        "got ['relu']",
    ),
    "dtype: half": (lambda: fresh(dtype="float16"), ValueError, "'float32' or 'float64'", "got 'float16'"),
    "dtype: swapped": (lambda: fresh(dtype=">f8"), ValueError, "'float32' or 'float64'", "got '>f8'"),
    "dtype: no such": (lambda: fresh(dtype="real"), ValueError, "'float32' or 'float64'", "got 'real'"),
    "seed: float": (lambda: fresh(seed=1.0), TypeError, "seed: expected an integer", "got 1.0"),
    "seed: negative": (lambda: fresh(seed=-1), ValueError, "seed: expected at least 0", "got -1"),
    "divisor: zero": (lambda: fresh(uint8_divisor=0), ValueError, "uint8_divisor:", "above 0", "got 0"),
    "divisor: text": (lambda: fresh(uint8_divisor="x"), TypeError, "uint8_divisor: expected a number", "'x'"),
    "weights: none": (lambda: Network([6]).predict(X), ValueError, "weights, biases", "0 and 0"),
    "weights: count": (
        lambda: network_of([(9, 6), (3, 9)], [(9, 1)]).predict(X),
        ValueError,
        "weights, biases",
        "2 and 1",
    ),
    "weights: vector": (
        lambda: network_of([(6,)], [(6, 1)]).predict(X),
        ValueError,
        "weights[0]",
        "got (6,)",
    ),
    "weights: chain": (
        lambda: network_of([(9, 6), (3, 8)], [(9, 1), (3, 1)]).predict(X),
        ValueError,
        "weights[1]: expected shape (outputs, 9)",
        "got (3, 8)",
    ),
    "biases": (
        lambda: network_of([(9, 6), (3, 9)], [(9, 1), (3,)]).predict(X),
        ValueError,
        "biases[1]: expected shape (3, 1)",
        "got (3,)",
    ),
    # fit's numbers
    "epochs: float": (lambda: fit_with(epochs=1.5), TypeError, "epochs: expected an integer", "got 1.5"),
    "epochs: negative": (lambda: fit_with(epochs=-1), ValueError, "epochs: expected at least 0", "got -1"),
    "batch_size: zero": (
        lambda: fit_with(batch_size=0),
        ValueError,
        "batch_size: expected at least 1",
        "got 0",
    ),
    "batch_size: text": (lambda: fit_with(batch_size="9"), TypeError, "batch_size: expected an int", "'9'"),
    "rate: zero": (lambda: fit_with(learning_rate=0), ValueError, "learning_rate:", "above 0", "got 0"),
    "rate: negative": (lambda: fit_with(learning_rate=-1), ValueError, "learning_rate:", "got -1"),
    "rate: nan": (lambda: fit_with(learning_rate=np.nan), ValueError, "learning_rate:", "finite", "got nan"),
    "rate: inf": (lambda: fit_with(learning_rate=np.inf), ValueError, "learning_rate:", "finite", "got inf"),
    "rate: none": (lambda: fit_with(learning_rate=None), TypeError, "learning_rate:", "number", "got None"),
    "threads: zero": (lambda: fit_with(threads=0), ValueError, "threads: expected at least 1", "got 0"),
    "threads: text": (lambda: fit_with(threads="all"), TypeError, "threads: expected an integer", "'all'"),
    # X
    "X: width": (lambda: fit_with(X=X[:, :5]), ValueError, "X: expected shape (samples, 6)", "got (25, 5)"),
    "X: one sample": (lambda: fit_with(X=X[0]), ValueError, "got (6,)", "X.reshape(1, -1)"),
    "X: one feature": (
        lambda: fit_with([1, 3], X=X[:, 0]),
        ValueError,
        "X: expected shape (samples, 1)",
        "got (25,)",
        "X.reshape(-1, 1)",
    ),
    "X: cube": (lambda: fit_with(X=X.reshape(N, 2, 3)), ValueError, "expected shape", "got (25, 2, 3)"),
    "X: number": (lambda: fit_with(X=1.0), ValueError, "X: expected shape", "got ()"),
    "X: text": (lambda: fit_with(X=X.astype(str)), TypeError, "X: expected numbers", "got dtype <U"),
    "X: objects": (lambda: fit_with(X=X.astype(object)), TypeError, "X: expected numbers", "dtype object"),
    "X: complex": (lambda: fit_with(X=X + 1j), TypeError, "X: expected numbers", "dtype complex128"),
    "X: dates": (lambda: fit_with(X=X.astype("M8[s]")), TypeError, "X: expected numbers", "datetime64"),
    "X: NaN": (lambda: fit_with(X=with_cell(X, (4, 2), np.nan)), ValueError, "X[4, 2]", "finite", "got nan"),
    "X: inf": (
        lambda: fit_with(X=with_cell(X, (24, 5), np.inf)),
        ValueError,
        "X[24, 5]",
        "finite",
        "got inf",
    ),
    "X: -inf": (lambda: fit_with(X=with_cell(X, (0, 0), -np.inf)), ValueError, "X[0, 0]", "got -inf"),
    "X: too large": (
        lambda: fit_with(dtype="float32", X=with_cell(X, (3, 1), 1e39)),
        ValueError,
        "X[3, 1]: expected a finite float32",
        "got 1e+39",
    ),
    "predict: width": (lambda: fresh().predict(X[:, :2]), ValueError, "(samples, 6)", "got (25, 2)"),
    "outputs: NaN": (
        lambda: fresh().outputs(with_cell(X, (1, 1), np.nan)),
        ValueError,
        "X[1, 1]",
        "got nan",
    ),
    "score: length": (
        lambda: fresh().score(X, LABELS[1:]),
        ValueError,
        "y: expected 25 labels",
        "got shape (24,)",
    ),
    # y
    "y: length": (
        lambda: fit_with(y=LABELS[:9]),
        ValueError,
        "y: expected 25 labels or shape (25, 3)",
        "X has 25 rows",
        "got shape (9,)",
    ),
    "y: number": (lambda: fit_with(y=1), ValueError, "y: expected 25 labels", "got shape ()"),
    "y: cube": (lambda: fit_with(y=np.zeros((N, 3, 1))), ValueError, "y: expected 25", "(25, 3, 1)"),
    "y: width": (
        lambda: fit_with(y=VALUES[:, :2]),
        ValueError,
        "y: expected shape (25, 3) for a network of 3 outputs",
        "got (25, 2)",
        "labels have shape (25,)",
    ),
    "y: column of labels": (lambda: fit_with(y=LABELS[:, None]), ValueError, "got (25, 1)", "shape (25,)"),
    "y: too large a label": (
        lambda: fit_with(y=with_cell(LABELS, 5, 3).astype(int)),
        ValueError,
        "y[5]: expected a label 0 .. 2",
        "got 3",
    ),
    "y: negative": (lambda: fit_with(y=with_cell(LABELS, 24, -1).astype(int)), ValueError, "y[24]", "got -1"),
    "y: fraction": (
        lambda: fit_with(y=with_cell(LABELS, 7, 1.5)),
        ValueError,
        "y[7]: expected a label",
        "1.5",
    ),
    "y: NaN label": (lambda: fit_with(y=with_cell(LABELS, 2, np.nan)), ValueError, "y[2]: expected", "nan"),
    "y: inf label": (lambda: fit_with(y=with_cell(LABELS, 0, np.inf)), ValueError, "y[0]: expected", "inf"),
    "y: huge label": (
        lambda: fit_with(y=np.full(N, 2**64 - 1, np.uint64)),
        ValueError,
        "y[0]: expected",
        "18446744073709551615",
    ),
    "y: text": (lambda: fit_with(y=LABELS.astype(str)), TypeError, "y: expected integer labels 0 .. 2", "<U"),
    "y: text for values": (
        lambda: fit_with([6, 1], y=LABELS.astype(str)),
        TypeError,
        "y: expected numbers",
        "got dtype <U",
    ),
    "y: NaN value": (lambda: fit_with(y=with_cell(VALUES, (8, 1), np.nan)), ValueError, "y[8, 1]", "nan"),
    "y: NaN for one output": (
        lambda: fit_with([6, 1], y=with_cell(LABELS, 6, np.nan)),
        ValueError,
        "y[6, 0]: expected a finite float64",
        "got nan",
    ),
    "y: too large": (
        lambda: fit_with(dtype="float32", y=with_cell(VALUES, (2, 2), 1e300)),
        ValueError,
        "y[2, 2]: expected a finite float32",
        "got 1e+300",
    ),
    # validation data
    "validation: X": (
        lambda: fit_with(validation_data=(X[:, :2], LABELS)),
        ValueError,
        "validation_X: expected shape (samples, 6)",
        "got (25, 2)",
    ),
    "validation: y": (
        lambda: fit_with(validation_data=(X, LABELS + 1)),
        ValueError,
        "validation_y[2]: expected a label 0 .. 2",
        "got 3",
    ),
    "validation: not a pair": (
        lambda: fit_with(validation_data=(X,)),
        (TypeError, ValueError),
        "validation_data",
    ),
    # the seed's surface
    "feedforward: vector": (
        lambda: fresh().feedforward(np.zeros(6)),
        ValueError,
        "a: expected shape (6, 1) or (6, m)",
        "got (6,)",
        "a.reshape(-1, 1)",
    ),
    "SGD: not pairs": (lambda: sgd((COLUMN,)), ValueError, "training_data: expected a list of pairs"),
    "SGD: x": (
        lambda: sgd((COLUMN, TARGET), (COLUMN[:4], TARGET)),
        ValueError,
        "training_data[1]: expected x of shape (6, 1)",
        "got (4, 1)",
    ),
    "SGD: y": (
        lambda: sgd((COLUMN, 2)),
        ValueError,
        "training_data[0]: expected y of shape (3, 1)",
        "got ()",
        "vectorized_result",
    ),
    "SGD: text": (
        lambda: sgd((COLUMN.astype(str), TARGET)),
        TypeError,
        "training_data x: expected numbers",
        "<U",
    ),
    "SGD: test data": (
        lambda: sgd((COLUMN, TARGET), test_data=[(COLUMN[:2], 1)]),
        ValueError,
        "test_data[0]: expected x of shape (6, 1)",
        "got (2, 1)",
    ),
    "evaluate: not pairs": (lambda: fresh().evaluate([3]), ValueError, "test_data: expected a list of pairs"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    call, error, *words = REFUSED[case]
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("given", [{"X": X[:, :2]}, {"y": LABELS + 1}, {"validation_data": (X, LABELS + 1)}])
def test_refused_data_change_nothing(given):
    net = fresh()
    with pytest.raises(ValueError):
        fitted(**{"net": net, **given})
    assert bits(fitted(net=net)) == bits(fitted())


def test_bad_cell_far_down_a_large_array():
    """Finite numbers are checked in blocks."""
    large = np.zeros((300_000, 6))
    large[299_999, 3] = np.nan
    with pytest.raises(ValueError, match=r"X\[299999, 3\]"):
        fresh().predict(large)


# ---------------------------------------------------------------- interrupted, copied, shared


@contextlib.contextmanager
def interrupted_after(seconds):
    """Expects the KeyboardInterrupt that a signal makes of what runs meanwhile, and that at once."""

    def send():
        time.sleep(seconds)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    threads, sent = threading.active_count(), []
    sender = threading.Thread(target=send, daemon=True)
    with pytest.raises(KeyboardInterrupt):
        sender.start()
        yield
    assert time.monotonic() - sent[0] < 2.0  # a chunk of 50 ms, on a busy machine
    sender.join()
    assert threading.active_count() == threads


signals = pytest.mark.skipif(sys.platform == "win32", reason="os.kill sends no SIGINT there")


@signals
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("seconds", [0.01, 0.03, 0.08, 0.17])
def test_interrupted_by_a_signal_between_epochs(seconds, threads):
    """Whole epochs of one batch each: the weights are those of as many as were counted, or of one more."""
    done, net = [], fresh()
    options = {"batch_size": N, "shuffle": False, "threads": threads}
    with interrupted_after(seconds):
        fitted(net=net, epochs=10**9, callbacks=[lambda *_: done.append(1)], **options)
    expected = fitted(epochs=len(done), **options)
    assert bits(net) in (bits(expected), bits(fitted(net=expected, epochs=1, **options)))


@signals
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("seconds", [0.05, 0.11, 0.23])
def test_interrupted_by_a_signal_within_a_long_epoch(seconds, threads):
    X, y = np.random.default_rng(0).normal(size=(20_000, 100)), np.arange(20_000) % 10
    net = fresh([100, 200, 10])
    before = bits(net)
    options = {"batch_size": 10, "learning_rate": 0.1, "threads": threads}
    with interrupted_after(seconds):
        net.fit(X, y, epochs=10**9, **options)
    assert bits(net) != before
    assert all(np.isfinite(array).all() for array in (*net.weights, *net.biases))
    net.fit(X[:50], y[:50], epochs=1, **options)


CLONES = {
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "pickle": lambda net: pickle.loads(pickle.dumps(net)),
}


@pytest.mark.parametrize("clone", CLONES)
@pytest.mark.parametrize("y", [LABELS, VALUES], ids=["labels", "values"])
@dtypes
def test_clones_predict_equally(clone, y, dtype):
    net = fitted(
        y=y, net=fresh(dtype=dtype, activation="tanh", output_activation="linear", uint8_divisor=3.0)
    )
    cloned = CLONES[clone](net)
    pixels = abs(X).astype(np.uint8)
    for given in (X, pixels):
        np.testing.assert_array_equal(cloned.predict(given), net.predict(given))
        np.testing.assert_array_equal(cloned.outputs(given), net.outputs(given))
    assert cloned.score(X, y) == net.score(X, y)
    if clone != "copy.copy":  # which shares the generator
        assert bits(fitted(y=y, net=cloned)) == bits(fitted(y=y, net=net))


def test_arrays_held_from_before_never_change():
    net = fitted()
    held = [*net.weights, *net.biases]
    before = sha(*held)
    fitted(net=net)
    assert sha(*held) == before


def test_eight_threads_fit_at_once():
    def run(seed):
        net = fitted(net=fresh(seed=seed), epochs=40, threads=1 + seed % 2, validation_data=(X, LABELS))
        return bits(net), net.outputs(X).tobytes()

    expected = [run(seed) for seed in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(run, range(8))) == expected
        assert list(pool.map(run, range(8))) == expected


def wait_for(pid, seconds=30):
    """The exit code of a child process; None, and its end, where it takes too long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def in_child(call):
    """The exit code of a forked process: 0 where `call()` is true."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # NumPy's BLAS keeps a thread
        pid = os.fork()
    if not pid:
        try:
            os._exit(0 if call() else 1)
        finally:
            os._exit(2)
    return wait_for(pid)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("threads", [1, 2])
def test_fork_after_fit(threads):
    expected = bits(fitted(threads=threads))

    def same():
        return bits(fitted(threads=threads)) == expected

    assert in_child(same) == 0
    assert in_child(lambda: in_child(same) == 0) == 0
    assert same()
