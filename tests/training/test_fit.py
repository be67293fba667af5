"""`fit`: what it computes, and the history it returns."""

import numpy as np
import pytest

import fastbp
from fastbp.engine.team_size import TeamTuner
from fastbp.options.random_streams import Stream, key, uniform
from fastbp.training import evaluation
from reference import assert_close, fit_reference, one_hot
from toy import LABELS, OPTIONS, VALUES, N, X, bits, fitted, fresh


def permuted(u):
    """Fisher and Yates's permutation of as many positions as there are uniform numbers."""
    order = list(range(len(u)))
    for i in reversed(range(1, len(u))):
        j = int(u[i] * (i + 1))
        order[i], order[j] = order[j], order[i]
    return order


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", [1, 7, N, 100])
def test_fit_against_the_reference(batch_size, shuffle, dtype):
    """The first weights and then each epoch's order come from the seed's own streams."""
    net = fresh(dtype=dtype)
    for layer, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        for name, array in ("weights", w), ("biases", b):
            drawn = Stream(key(3, name, layer)).standard_normal(array.shape)
            assert_close(array, drawn.astype(dtype), 0, 0)
    orders = [permuted(uniform(key(3, "order", epoch), N)) if shuffle else np.arange(N) for epoch in range(3)]
    start = net.weights, net.biases
    fitted(net=net, batch_size=batch_size, shuffle=shuffle)
    wanted = fit_reference(*start, X, one_hot(LABELS, 3), orders, batch_size, 0.5, dtype)
    tolerance = (1e-9, 1e-11) if dtype == "float64" else (1e-4, 1e-5)
    assert_close([net.weights, net.biases], [*map(list, wanted)], *tolerance)


def test_float32_stays_near_float64():
    one, other = (fitted(net=fresh(dtype=dtype), epochs=20) for dtype in ("float64", "float32"))
    assert one.outputs(X).dtype == np.float64 and other.outputs(X).dtype == np.float32
    np.testing.assert_allclose(one.outputs(X), other.outputs(X), rtol=1e-3, atol=1e-4)


def test_one_hot_values_and_labels_train_alike():
    assert bits(fitted(y=one_hot(LABELS, 3))) == bits(fitted(y=LABELS))


def test_fit_goes_on_where_it_was():
    """Epochs in two calls are the epochs in one."""
    assert bits(fitted(net=fitted(epochs=2), epochs=3)) == bits(fitted(epochs=5))


@pytest.mark.survives("few rows or classes")
@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(rows):
    net, before = fresh(), bits(fresh())
    if rows:
        history = net.fit(X[:rows], LABELS[:rows], **OPTIONS)
        assert len(history.loss) == 3 and np.isfinite(history.loss).all()
    else:
        with pytest.raises(ValueError, match="rows of X: expected at least 1, got 0"):
            net.fit(X[:rows], LABELS[:rows], **OPTIONS)
    assert (bits(net) == before) == (rows == 0)
    assert net.outputs(X[:rows]).shape == (rows, 3)
    assert net.predict(X[:rows]).shape == (rows,)


@pytest.mark.survives("few rows or classes")
@pytest.mark.parametrize("width", [0, 5, 7])
@pytest.mark.parametrize(
    ("call", "options"),
    [
        ("fit", OPTIONS),
        ("partial_fit", {"batch_size": 2, "learning_rate": 0.1}),
        ("gradients", {}),
        ("score", {}),
        ("outputs", None),
        ("predict", None),
    ],
)
def test_rows_of_another_width_are_refused(call, options, width):
    net = fitted()
    before, rows = bits(net), np.ones((4, width))
    with pytest.raises(ValueError, match=rf"X: expected shape .* of 6 inputs, got \(4, {width}\)"):
        getattr(net, call)(rows, *([] if options is None else [LABELS[:4]]), **options or {})
    assert bits(net) == before


@pytest.mark.survives("few rows or classes")
@pytest.mark.parametrize("label", [0, 2, True, 1.0])
def test_one_class_of_those_that_the_outputs_have(label):
    net = fitted(y=np.full(N, label), epochs=40)
    assert (net.predict(X) == label).mean() > 0.9


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


# What a short call does not repeat


def test_the_numbers_of_a_few_steps_are_computed_once(monkeypatch):
    tables, real = [], fastbp.Adam.numbers
    monkeypatch.setattr(fastbp.Adam, "numbers", lambda *arguments: tables.append(1) or real(*arguments))
    fitted(epochs=1, batch_size=-(-N // 16), optimizer="adam", learning_rate=1e-3)
    assert len(tables) == 1


def test_metrics_by_name_are_not_inspected(monkeypatch):
    inspected = []
    monkeypatch.setattr(evaluation, "_takes_weights", inspected.append)
    fitted(metrics=["accuracy", "mse"], validation_split=0.2)
    assert not inspected


def test_samples_that_a_chunk_can_hold_are_one_chunk(monkeypatch):
    """Also where the last batch is shorter."""
    ends = []

    class Watching(fastbp.Callback):
        def on_chunk(self, run):
            ends.append(run.done)

    monkeypatch.setattr(TeamTuner, "next", lambda self: (1, N))
    fitted(epochs=2, batch_size=N // 2 - 1, callbacks=Watching())
    assert ends == [N, N]
