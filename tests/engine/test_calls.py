"""Single calls repeat no work of earlier ones, and have the bits of long calls."""

import builtins
import itertools
import os

import numpy as np
import pytest

import fastbp
from fastbp import Network
from fastbp.data import schema
from fastbp.engine import machine
from fastbp.engine import packed as engine_packed
from fastbp.engine.kernels.vector import shape_of
from fastbp.engine.layout import PanelShape, layout

RANDOM = np.random.default_rng(0)


def short_calls(sizes):
    net = Network(sizes, seed=0)
    X, y = RANDOM.random((150, sizes[0])), RANDOM.integers(0, sizes[-1], 150)
    for rows in (1, 3, 96, 97):
        net.predict(X[:rows])
    net.value_and_gradient(X[:50], y[:50])
    net.value_and_gradient(X, y, threads=1)
    net.fit(X[:5], y[:5], epochs=1, batch_size=5, threads=1)
    net.fit(X, y, epochs=2, batch_size=150)
    net.SGD([(x[:, None], np.eye(sizes[-1])[:, [label]]) for x, label in zip(X, y, strict=True)], 1, 150, 0.1)


@pytest.fixture
def unasked(monkeypatch):
    """Makes every question about the machine an error."""

    def asked(*arguments, **options):
        raise AssertionError("asked the machine")

    short_calls([5, 4, 2])  # the cache's size and machine code are asked for once a process
    for place, name in (
        *((builtins, "open"), (os, "open"), (os, "cpu_count"), (os, "sched_getaffinity")),
        *((machine, "cpus"), (engine_packed, "free_cpus")),
    ):
        monkeypatch.setattr(place, name, asked, raising=False)


@pytest.mark.parametrize("sizes", [[784, 30, 10], [8, 32, 3]])
def test_a_short_call_asks_nothing_of_the_machine(sizes, unasked):
    short_calls(sizes)


def test_a_long_one_takes_what_there_is(monkeypatch):
    teams, real = [], engine_packed.run
    monkeypatch.setattr(engine_packed, "free_cpus", lambda: 3)
    monkeypatch.setattr(
        engine_packed,
        "run",
        lambda members, *rest, **how: teams.append(members) or real(members, *rest, **how),
    )
    net = Network([784, 30, 10], seed=0)
    X = RANDOM.random((2000, 784))
    whole = net.outputs(X)
    assert teams == [3]
    for row in (0, 95, 96, 1999):
        np.testing.assert_array_equal(net.outputs(X[row : row + 1])[0], whole[row])
    assert teams == [3]
    y = np.zeros(2000, int)
    net.fit(X[:5], y[:5], epochs=1, batch_size=5, validation_data=(X, y))
    assert teams == [3, 1, 3], "few rows to train on, and many to validate on"


FORMS = {
    "in Fortran's order": np.asfortranarray,
    "every second": lambda w: np.repeat(np.repeat(w, 2, 0), 2, 1)[::2, ::2],
    "backwards": lambda w: w[::-1, ::-1].copy()[::-1, ::-1],
    "not aligned": lambda w: np.frombuffer(b"x" + w.tobytes(), np.uint8)[1:].view(w.dtype).reshape(w.shape),
    "byte-swapped": lambda w: w.astype(w.dtype.newbyteorder()),
    "nested lists": lambda w: w.tolist(),
    "longdouble": lambda w: w.astype(np.longdouble),
}


@pytest.mark.parametrize("form", FORMS)
def test_weights_in_any_form_give_the_same_bits(form, dtype):
    net = Network([7, 37, 3], dtype=dtype, seed=0)
    X, y = RANDOM.random((5, 7)), np.array([0, 1, 2, 1, 0])
    outputs, (value, gradient) = net.outputs(X), net.value_and_gradient(X, y)
    net.weights, net.biases = (
        [FORMS[form](array) for array in arrays] for arrays in (net.weights, net.biases)
    )
    np.testing.assert_array_equal(net.outputs(X), outputs)
    assert net.outputs(X[2:3]).tobytes() == outputs[2:3].tobytes()
    found = net.value_and_gradient(X, y)
    assert (found[0], found[1].tobytes()) == (value, gradient.tobytes())


def test_weights_that_a_user_writes_into_count_at_once(dtype):
    net = Network([7, 37, 3], dtype=dtype, seed=0)
    X = RANDOM.random((1, 7))
    before = net.outputs(X)
    for array in (*net.weights, *net.biases):
        kept, array[...] = array.copy(), 0
        assert net.outputs(X).tobytes() != before.tobytes()
        array[...] = kept
        assert net.outputs(X).tobytes() == before.tobytes()


@pytest.mark.parametrize(
    "sizes", [(1, 1), (1, 2, 1), (17, 8, 16, 9), (3, 33, 1), (16, 7), (700, 31, 65), (2049, 3)]
)
def test_panels_hold_the_weights(sizes, dtype):
    shape = shape_of(dtype)
    nr = shape.columns
    found = layout(sizes, 4, 1, np.dtype(dtype), PanelShape(nr, shape.lanes, 1), 1 << 20)
    weights = [RANDOM.random((m, n)).astype(dtype) for n, m in itertools.pairwise(sizes)]
    biases = [RANDOM.random((m, 1)).astype(dtype) for m in sizes[1:]]
    packed = found.pack(weights, biases)
    again = found.unpack(packed)
    for ours, theirs in zip((*again[0], *again[1]), (*weights, *biases), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for layer, w, b in zip(found.layers[1:], weights, biases, strict=True):
        for j, row in enumerate(w):
            place = packed[int(layer["weights"]) + j // nr * int(layer["panel"]) + j % nr :][
                : nr * len(row) : nr
            ]
            np.testing.assert_array_equal(place, row)
            place[:] = 0
        place = packed[int(layer["biases"]) :][: len(b)]
        np.testing.assert_array_equal(place, b[:, 0])
        place[:] = 0
    assert not packed.any()  # what lies between is zeros


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("options", [{}, {"l2": 0.1, "l1": 0.01, "sample_weight": np.arange(40.0)}])
def test_an_objective_is_the_same_at_every_call(options, own, dtype):
    square = fastbp.Cost(lambda a, y: (a - y) ** 2, lambda a, y: 2 * (a - y))
    net = Network([5, 9, 3], dtype=dtype, seed=0, dropout=0.3, frozen=[1], cost=square if own else "huber")
    X, y = RANDOM.random((40, 5)), RANDOM.integers(0, 3, 40)
    objective = fastbp.network.objective(net, X, y, **options)
    for scale in (1.0, np.nan, 0.5):
        net.parameters = net.parameters * scale if scale == scale else np.full_like(net.parameters, 1e30)
        value, gradient = net.value_and_gradient(X, y, **options)
        found, (weights, biases) = objective(net.weights, net.biases)
        assert found == value or found != found
        flat = [array.reshape(-1) for pair in zip(weights, biases, strict=True) for array in pair]
        np.testing.assert_array_equal(np.concatenate(flat), gradient)
        found, flat = objective.flat(net.parameters.astype(np.float64))
        assert (flat.dtype, found == value or found != found) == (np.float64, True)
        np.testing.assert_array_equal(flat, gradient)


def test_lbfgs_checks_its_data_once(monkeypatch):
    datasets = pytest.importorskip("sklearn.datasets")
    from fastbp.sklearn import MLPClassifier

    checked, real = [], schema.checked_samples
    monkeypatch.setattr(schema, "checked_samples", lambda *given: checked.append(1) or real(*given))
    model = MLPClassifier((10,), solver="lbfgs", max_iter=20, random_state=0)
    with pytest.warns(UserWarning, match="L-BFGS"):
        model.fit(*datasets.load_iris(return_X_y=True))
    assert (len(checked), len(model.loss_curve_) > 20) == (1, True)


def test_lbfgs_that_is_interrupted_keeps_what_was_tried_last(monkeypatch):
    pytest.importorskip("sklearn")
    from fastbp.sklearn import MLPClassifier

    tried, real = [], fastbp.engine.gradients.Objective.flat

    def interrupted(objective, parameters):
        tried.append(parameters)
        if len(tried) == 9:
            raise KeyboardInterrupt
        return real(objective, parameters)

    monkeypatch.setattr(fastbp.engine.gradients.Objective, "flat", interrupted)
    model = MLPClassifier((4,), solver="lbfgs", random_state=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(RANDOM.random((30, 3)), np.arange(30) % 3)
    np.testing.assert_array_equal(model.network_.parameters, tried[-1])
