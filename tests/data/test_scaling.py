"""Inputs and targets scaled as they are read."""

import pickle
import tracemalloc

import numpy as np
import pandas
import polars
import pytest
from scipy import sparse

import fastbp
from experiments import DTYPES
from fastbp import Network
from fastbp.data.scaling import Moments, Scaling, of_pairs
from fastbp.engine.replaced import Hooks

N = 200
random = np.random.default_rng(3)
RAW = random.standard_normal((N, 4))
X = RAW * [10, 1e-3, 1, 0] + [101325, 0, -5, 7.3]  # far from unit scale, and one constant column
Y = np.stack([X[:, 0], 1e6 * X[:, 2]], axis=1) + RAW[:, :2]
OPTIONS = {"epochs": 3, "batch_size": 16, "optimizer": "adam", "learning_rate": 0.01}


def network(sizes=(4, 8, 2), **options):
    options = {"activation": "tanh", "output_activation": "linear", "seed": 0, **options}
    return Network(list(sizes), **options)


def both(**options):
    return network(scale_inputs=True, scale_outputs=True, **options)


def standardised(values):
    varies = np.ptp(values, axis=0) > 0
    scaled = (values - values.mean(axis=0)) / np.where(varies, values.std(axis=0), 1.0)
    return np.where(varies, scaled, 0.0)


# What is learnt


def learnt(rows):
    moments = Moments(rows.shape[1])
    moments.add(rows)
    return moments.scaling("X")


def test_mean_and_deviation():
    found = learnt(X)
    np.testing.assert_allclose(found.mean, X.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(found.deviation[:3], X.std(axis=0)[:3], rtol=1e-12)
    assert found.mean[3] == 7.3 and found.deviation[3] == 1.0


@pytest.mark.parametrize("columns", [1, 2, 30000])
def test_any_division_of_the_rows_gives_the_same_bits(columns):
    rows = np.random.default_rng(0).normal(1e6, 1, (300000 // columns, columns))
    whole, parts = Moments(columns), Moments(columns)
    whole.add(rows)
    for first in range(0, len(rows), 77):
        parts.add(rows[first : first + 77])
    for found, wanted in zip(parts.scaling("X"), whole.scaling("X"), strict=True):
        assert found.tobytes() == wanted.tobytes()
    np.testing.assert_allclose(whole.scaling("X").mean, rows.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(whole.scaling("X").deviation, rows.std(axis=0), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("value", [0.1, 1e300, -1e-300, 0.0, 255])
def test_a_constant_column_is_moved_to_0(value):
    found = learnt(np.full((100000, 3), value))
    assert (found.mean == value).all() and (found.deviation == 1).all()


def test_a_first_row_far_off_costs_no_digits():
    column = np.r_[1e9, np.random.default_rng(0).normal(size=99999)][:, None]
    found = learnt(column)
    np.testing.assert_allclose(found.deviation, column.std(axis=0), rtol=1e-9)


def test_only_rows_that_are_trained_on_are_learnt_from():
    half = Network([1, 1], scale_inputs=True, seed=0, output_activation="linear")
    column = np.linspace(0, 1, 100)[:, None]
    half.fit(column, column[:, 0], epochs=1, batch_size=10, validation_split=0.5)
    rows = learnt(column)
    assert half._fastbp.learnt.input_scaling.mean != rows.mean


@pytest.mark.parametrize("split", [0.0, 0.25])
def test_rows_of_weight_0_are_not_learnt_from(split):
    weights = (np.arange(N) % 3 > 0).astype(float)
    spoilt_X, spoilt_y = (np.where(weights[:, None] > 0, rows, 1e9) for rows in (X, Y))
    found = []
    for samples, values in ((X, Y), (spoilt_X, spoilt_y)):
        net = both()
        net.fit(samples, values, sample_weight=weights, validation_split=split, **OPTIONS)
        found.append(net._fastbp.learnt)
    if not split:
        np.testing.assert_array_equal(found[0].input_scaling, learnt(X[weights > 0]))
    np.testing.assert_array_equal(found[0].input_scaling, found[1].input_scaling)
    np.testing.assert_array_equal(found[0].output_scaling, found[1].output_scaling)


def test_weights_that_are_all_0_have_no_part_in_a_scaling():
    net = both()
    net.partial_fit(X, Y, sample_weight=np.zeros(N))
    np.testing.assert_array_equal(net._fastbp.learnt.input_scaling, learnt(X))


def test_networks_with_the_same_weights_share_a_scaling():
    together = fastbp.Ensemble(2, [4, 1], seed=0, output_activation="linear", scale_inputs=True)
    together.fit(X, Y[:, 0], epochs=1, batch_size=50, sample_weight=np.arange(N) % 2)
    first, second = (net._fastbp.learnt.input_scaling for net in together._networks)
    assert first is second


def test_a_scaling_is_learnt_from_some_rows_without_a_copy_of_them():
    rows = np.zeros((20_000, 100))
    net = Network([100, 1], scale_inputs=True, seed=0, output_activation="linear")
    net.fit(rows[:10], rows[:10, 0], epochs=0, batch_size=10)
    net = Network([100, 1], scale_inputs=True, seed=0, output_activation="linear")
    tracemalloc.start()
    try:
        net.fit(rows, rows[:, 0], epochs=0, batch_size=10, validation_split=0.5)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < rows.nbytes / 3


def test_a_second_fit_keeps_the_scaling():
    net = both()
    net.fit(X, Y, **OPTIONS)
    first = net._fastbp.learnt.input_scaling
    net.fit(2 * X, Y, **OPTIONS)
    assert net._fastbp.learnt.input_scaling is first


# What is learnt from


@pytest.mark.parametrize("own", ["kernels", "arrays", "methods"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_training_is_that_on_scaled_data(dtype, own, monkeypatch):
    if own == "methods":
        monkeypatch.setattr(Hooks, "replaced", lambda *_: True)
    options = {"dtype": dtype}
    if own == "arrays":
        options["cost"] = fastbp.Cost(lambda a, y: (a - y) ** 2 / 2, lambda a, y: a - y)
    training = OPTIONS if own != "methods" else {"epochs": 3, "batch_size": 16, "learning_rate": 0.01}
    net, plain = both(**options), network(**options)
    history = net.fit(X, Y, validation_data=(X[:50], Y[:50]), **training)
    wanted = plain.fit(standardised(X), standardised(Y), **training)
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-8, "atol": 1e-9}
    np.testing.assert_allclose(net.parameters, plain.parameters, **tolerance)
    np.testing.assert_allclose(history.loss, wanted.loss, **tolerance)
    outputs = plain.outputs(standardised(X)) * Y.std(axis=0) + Y.mean(axis=0)
    np.testing.assert_allclose(net.outputs(X), outputs, rtol=1e-6)
    assert net.predict(X).dtype == np.float64
    assert net.score(X[:50], Y[:50]) == pytest.approx(history.val_r2[-1], rel=1e-12)
    score = 1 - np.sum((net.outputs(X) - Y) ** 2) / np.sum((Y - Y.mean(axis=0)) ** 2)
    assert net.score(X, Y) == pytest.approx(score, rel=1e-9)


def test_metrics_are_in_the_units_of_y():
    seen = []

    def worst(y, outputs):
        seen.append((y, outputs))
        return float(np.abs(y - outputs).max())

    net = both()
    history = net.fit(X, Y, metrics=[worst, "mae"], **OPTIONS)
    np.testing.assert_array_equal(seen[-1][0], Y)
    np.testing.assert_array_equal(seen[-1][1], net.outputs(X))
    assert history["mae"][-1] == pytest.approx(np.abs(net.outputs(X) - Y).mean())


def test_flat_values():
    net = network((4, 8, 1), scale_inputs=True, scale_outputs=True)
    net.fit(X, Y[:, 0], **{**OPTIONS, "epochs": 60})
    assert net.predict(X).shape == (N,) and net.score(X, Y[:, 0]) > 0.9


def test_float64_data_keep_their_digits_in_a_float32_network():
    wide = np.random.default_rng(0).normal(1e9, 1, (N, 1))
    net = network((1, 1), dtype="float32", init=[np.ones((1, 1))], scale_inputs=True, scale_outputs=True)
    net.fit(wide, wide[:, 0], epochs=1, batch_size=N, learning_rate=1e-9)
    np.testing.assert_allclose(net.predict(wide), wide[:, 0], rtol=0, atol=1e-5)


SECONDS = 1_700_000_000 + 10 * np.arange(N)[:, None]
AS = {
    "int64": lambda rows: rows,
    "uint64": lambda rows: rows.astype(np.uint64),
    "big-endian": lambda rows: rows.astype(">i8"),
    "uint32": lambda rows: rows.astype(np.uint32),
    "objects": lambda rows: rows.astype(object),
    "lists": lambda rows: rows.tolist(),
    "long double": lambda rows: rows.astype(np.longdouble),
    "frame": lambda rows: pandas.DataFrame(rows),
    "nullable": lambda rows: pandas.DataFrame(rows).astype("Int64"),
    "polars": lambda rows: polars.DataFrame(rows),
    "sparse": sparse.csr_array,
}


@pytest.mark.parametrize("given", AS)
def test_integers_keep_their_digits_in_a_float32_network(given):
    """The mean is subtracted in float64, and only the result is rounded to float32."""
    y = SECONDS[:, 0] % 60 / 60
    bits = []
    for rows, values in ((AS[given](SECONDS), AS[given](SECONDS)), (SECONDS * 1.0, SECONDS * 1.0)):
        net = network((1, 8, 1), dtype="float32", scale_inputs=True)
        history = net.fit(rows, y, validation_data=(rows, y), **OPTIONS)
        assert len(np.unique(net.outputs(rows))) == N
        gradient = net.input_gradient(rows, y)
        bits.append([net.parameters, net.outputs(rows), gradient, history.val_loss, net.score(rows, y)])
        targets = network((1, 8, 1), dtype="float32", scale_outputs=True)
        targets.fit(y[:, None], values, **OPTIONS)
        bits[-1] += [targets.parameters, targets.outputs(y[:, None])]
    for found, wanted in zip(*bits, strict=True):
        assert np.array_equal(found, wanted)


def test_integers_in_blocks_keep_their_digits():
    y = SECONDS[:, 0] % 60 / 60
    nets = [network((1, 8, 1), dtype="float32", scale_inputs=True) for _ in range(2)]
    for net, rows in zip(nets, (SECONDS, SECONDS * 1.0), strict=True):
        net.fit([(rows[:70], y[:70]), (rows[70:], y[70:])], **OPTIONS)
    assert np.array_equal(nets[0].parameters, nets[1].parameters)
    assert len(np.unique(nets[0].outputs(SECONDS))) == N


ROUNDED = {  # X, options, which column is named and with what hint
    "int64": (SECONDS, {}, r"X\[:, 0\]: .* at most 16,777,216, .* float32 .*scale_inputs=True"),
    "negative": (-SECONDS, {}, r"X\[:, 0\]: .* float32"),
    "uint32": (SECONDS.astype(np.uint32), {}, r"X\[:, 0\]: .* float32"),
    "objects": (SECONDS.astype(object), {}, r"X\[:, 0\]: .* float32"),
    "whole floats": (SECONDS * 1.0, {}, r"X\[:, 0\]: .* float32"),
    "a frame of several kinds": (
        pandas.DataFrame({"a": np.linspace(0, 1, N), "b": SECONDS[:, 0]}),
        {},
        r"X\[:, 1\]: .* float32",
    ),
    "float64": (
        SECONDS * 10**9,
        {"dtype": "float64"},
        r"X\[:, 0\]: .* at most 9,007,199,254,740,992, .* float64 .*subtract an offset",
    ),
    "sparse": (sparse.csr_matrix(np.hstack([SECONDS % 7, SECONDS])), {}, r"X\[:, 1\]: .* float32"),
    "scaled": (SECONDS.astype(np.uint64) * 10**9, {"scale_inputs": True}, r"X\[:, 0\]: .* float64 .*offset"),
}


@pytest.mark.parametrize("as_blocks", [False, True])
@pytest.mark.parametrize("case", ROUNDED)
def test_digits_that_are_lost_are_told(case, as_blocks):
    rows, options, message = ROUNDED[case]
    net = network((rows.shape[1], 2, 1), **{"dtype": "float32", **options})
    y = np.linspace(0, 1, N)
    data = ([(rows[:9], y[:9]), (rows[9:], y[9:])],) if as_blocks else (rows, y)
    with pytest.warns(RuntimeWarning, match=message) as told:
        net.fit(*data, epochs=1, batch_size=N, learning_rate=1e-30)
    assert len({str(warning.message) for warning in told}) == 1
    if not as_blocks:
        assert len(told) == 1 and told[0].filename == __file__
    net.predict(rows)


def test_digits_of_targets_that_are_lost_are_told():
    net = network((1, 2, 1), dtype="float32")
    with pytest.warns(
        RuntimeWarning, match=r"y: expected whole numbers .* float32 rounds; .*scale_outputs=True"
    ):
        net.fit(np.zeros((N, 1)), SECONDS[:, 0], epochs=1, batch_size=N, learning_rate=1e-30)


@pytest.mark.parametrize(
    ("rows", "options"),
    [
        (SECONDS, {"dtype": "float64"}),
        (SECONDS, {"scale_inputs": True}),
        (SECONDS.astype(np.float32), {}),
        (np.full((N, 1), 1 << 24), {}),
        (np.full((N, 1), -(1 << 24)), {}),
        (SECONDS + 0.5, {}),
        (np.arange(N)[:, None].astype(np.int16), {}),
        (np.arange(N)[:, None] * 1e20, {}),
    ],
)
def test_digits_that_are_kept_are_not_told_of(rows, options):
    net = network((1, 2, 1), **{"dtype": "float32", **options})
    net.fit(rows, np.linspace(0, 1, N), epochs=0, batch_size=N)


def test_bytes_and_the_floats_that_they_stand_for_give_the_same_bits(dtype):
    pixels = np.random.default_rng(0).integers(0, 256, (N, 20)).astype(np.uint8)
    y = pixels[:, 0] % 3
    found = []
    for given in (pixels, pixels.astype(float), pixels.astype(int)):
        net = Network([20, 9, 3], dtype=dtype, seed=0, scale_inputs=True)
        net.fit(given, y, **OPTIONS)
        found.append((net.parameters.tobytes(), net.outputs(given).tobytes()))
    assert found[0] == found[1]


@pytest.mark.parametrize("stored", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("columns", [1, 15, 16, 31, 32, 47, 64])
def test_kernels_and_numpy_scale_to_the_same_bits(stored, columns, dtype):
    rows = np.random.default_rng(0).integers(0, 200, (40, columns)).astype(stored)
    net = Network(
        [columns, columns], dtype=dtype, init=[np.eye(columns)], output_activation="linear", scale_inputs=True
    )
    net.fit(rows, np.zeros((40, columns)), epochs=0, batch_size=1)
    assert net._fastbp.learnt.input_scaling is not None
    wanted = net._fastbp.learnt.input_scaling.scaled(rows).astype(dtype)
    np.testing.assert_array_equal(net.outputs(rows), wanted)


def test_the_team_and_the_chunks_change_no_bit(dtype):
    bits = set()
    for threads in (1, 2):
        net = both(dtype=dtype)
        net.fit(X, Y, threads=threads, **OPTIONS)
        bits.add(net.parameters.tobytes())
    assert len(bits) == 1


# What stands around it


def test_a_pickle_and_a_file_keep_the_scaling(tmp_path):
    net = both(dtype="float32")
    net.fit(X, Y, **OPTIONS)
    net.save(tmp_path / "net")
    for back in (pickle.loads(pickle.dumps(net)), fastbp.load(tmp_path / "net")):
        assert back._fastbp == net._fastbp and repr(back) == repr(net)
        assert back.outputs(X).tobytes() == net.outputs(X).tobytes()
        assert back.score(X, Y) == net.score(X, Y)
        other = pickle.loads(pickle.dumps(net))
        for trained in (back, other):
            trained.fit(X, Y, **OPTIONS)
        assert back.parameters.tobytes() == other.parameters.tobytes()


def test_a_checkpoint_keeps_the_scaling(tmp_path):
    whole, part = both(), both()
    whole.fit(X, Y, **{**OPTIONS, "epochs": 4})
    path = tmp_path / "checkpoint"
    part.fit(X, Y, callbacks=fastbp.ModelCheckpoint(path), **{**OPTIONS, "epochs": 2})
    again = both()
    again.fit(X, Y, callbacks=fastbp.ModelCheckpoint(path, resume=True), **{**OPTIONS, "epochs": 4})
    assert again.parameters.tobytes() == whole.parameters.tobytes()
    assert again.outputs(X).tobytes() == whole.outputs(X).tobytes()


@pytest.mark.parametrize("stored", ["uint8", "float64"])
def test_the_input_gradient_is_by_the_users_inputs(stored):
    rows = np.random.default_rng(0).integers(0, 256, (N, 4)).astype(stored)
    y = rows[:, :2] / 7.0
    net = both(uint8_divisor=1.0)
    net.fit(rows, y, **OPTIONS)
    found = net.input_gradient(rows[:5], y[:5])
    step = 1e-4
    for column in range(4):
        sides = []
        for sign in (1, -1):
            moved = rows[:5].astype(float)
            moved[:, column] += sign * step
            each = [net.value_and_gradient(moved[i : i + 1], y[i : i + 1])[0] for i in range(5)]
            sides.append(np.array(each))
        np.testing.assert_allclose(found[:, column], (sides[0] - sides[1]) / (2 * step), rtol=1e-5, atol=1e-9)


def test_gradients_are_of_the_cost_of_scaled_targets():
    net = both()
    net.fit(X, Y, **OPTIONS)
    plain = network()
    plain.parameters = net.parameters
    value, gradient = net.value_and_gradient(X, Y)
    wanted, other = plain.value_and_gradient(standardised(X), standardised(Y))
    assert value == pytest.approx(wanted, rel=1e-9)
    np.testing.assert_allclose(gradient, other, rtol=1e-6, atol=1e-12)
    assert net.check_gradients(X, Y).error < 1e-6


def test_before_any_fit_there_is_no_scaling():
    net = both()
    for call in (lambda: net.outputs(X), lambda: net.predict(X), lambda: net.value_and_gradient(X, Y)):
        with pytest.raises(ValueError, match=r"scale_inputs: expected a network that fit has trained"):
            call()
    net.fit(X, Y, **{**OPTIONS, "epochs": 0})
    assert np.isfinite(net.value_and_gradient(X, Y)[0])


def test_columns_are_what_the_network_sees():
    net = both()
    net.fit(X, Y, **OPTIONS)
    seen = net._fastbp.learnt.input_scaling.scaled(X)
    columns = net._fastbp.learnt.output_scaling.unscaled(net.feedforward(seen.T).T)
    np.testing.assert_allclose(net.outputs(X), columns, rtol=1e-12)


def test_a_failure_is_explained_by_what_the_network_sees():
    net = both()
    noise = 1e6 + 1e6 * np.random.default_rng(0).standard_normal((N, 2))
    history = net.fit(X, noise, epochs=10, batch_size=N, learning_rate=1e-9)
    assert any("nothing learnt" in note for note in history.notes)
    assert not any("scale" in note for note in history.notes)


# What is refused


@pytest.mark.parametrize("y", [np.arange(N) % 2, np.eye(2, dtype=int)[np.arange(N) % 2]])
def test_labels_are_not_scaled(y):
    outputs = 1 if y.ndim == 1 else 2
    net = network((4, outputs), output_activation="sigmoid", scale_outputs=True)
    if outputs == 2:
        y = y.argmax(axis=1)
    with pytest.raises(ValueError, match=r"scale_outputs: expected values as y, got (binary|labels)"):
        net.fit(X, y, **OPTIONS)
    assert net.task is None


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"scale_inputs": "yes"}, TypeError, "scale_inputs: expected True or False, got 'yes'"),
        ({"scale_outputs": 1}, TypeError, "scale_outputs: expected True or False, got 1"),
        (
            {"scale_outputs": True, "cost": "cross_entropy", "output_activation": "sigmoid"},
            ValueError,
            "scale_outputs: expected a cost of any values, such as 'quadratic', got 'cross_entropy'",
        ),
    ],
)
def test_refused_options(options, error, words):
    with pytest.raises(error) as caught:
        network(**options)
    assert words in str(caught.value)


def test_numbers_whose_squares_overflow_are_refused():
    net = network((1, 1), scale_inputs=True)
    with pytest.raises(ValueError, match=r"X\[:, 0\]: expected numbers whose mean and deviation are finite"):
        net.fit([[1e200], [-1e200]], [0.0, 1.0], **OPTIONS)
    assert net._fastbp.learnt.input_scaling is None


def test_the_scaling_of_pairs_does_not_go_by_numpys_log(monkeypatch):
    """Its last digit depends on the CPU, and the scaling is in the fingerprint."""
    expected = np.log([0.5, 3.0])
    monkeypatch.setattr(np, "log", None)
    found = of_pairs(Scaling(np.zeros(2), np.array([0.5, 3.0])))
    np.testing.assert_allclose(found.mean, [0.0, 2 * expected[0], 0.0, 2 * expected[1]], rtol=1e-15)
