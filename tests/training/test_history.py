"""The history of a training, what is measured for it, and what is held out."""

import copy
import pickle
import sys

import numpy as np
import pytest

from fastbp import History
from toy import LABELS, OPTIONS, VALUES, N, X, bits, fresh


def history_of(y=LABELS, **options):
    net = fresh(output_activation="linear" if y is VALUES else "sigmoid")
    return net, net.fit(X / 4, y, **{**OPTIONS, "learning_rate": 0.1, **options})


def test_the_names_and_lengths():
    _, history = history_of()
    assert list(history) == ["loss", "seconds", "learning_rate", "threads"]
    _, history = history_of(validation_data=(X, LABELS))
    assert list(history) == ["loss", "seconds", "learning_rate", "threads", "val_loss", "val_accuracy"]
    assert {len(history[name]) for name in history} == {3}
    _, history = history_of(VALUES, validation_data=(X, VALUES))
    assert list(history)[-2:] == ["val_loss", "val_r2"]
    assert history.validation_score == history["val_r2"] == history.val_r2


def test_lists_stay_of_one_length():
    history = History()
    for numbers in ({"loss": 2.0}, {"loss": 1.0, "val_loss": 3.0}, {"loss": 0.5}):
        history.append(numbers)
    np.testing.assert_array_equal(history["val_loss"], [np.nan, 3.0, np.nan])
    assert history.loss == [2.0, 1.0, 0.5]


def test_it_is_a_mapping_of_plain_lists():
    _, history = history_of(validation_split=0.2)
    assert dict(history) == {name: history[name] for name in history}
    assert all(type(number) in (int, float) for numbers in history.values() for number in numbers)
    assert pickle.loads(pickle.dumps(history)) == copy.deepcopy(history) == history
    assert repr(history).startswith("History(epochs=3, loss=")
    with pytest.raises(KeyError):
        history["none"]
    with pytest.raises(AttributeError, match="'none', but loss, seconds"):
        assert history.none


def test_a_frame_needs_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="expected pandas"):
        History().to_frame()


def test_a_frame_has_a_row_per_epoch():
    pytest.importorskip("pandas")
    _, history = history_of()
    frame = history.to_frame()
    assert frame.shape == (3, 4)
    assert frame["loss"].tolist() == history.loss
    assert (frame.index.name, list(frame.index)) == ("epoch", [1, 2, 3])  # counted as plots and bars do
    history = History()
    history.append({"loss": 0.5})
    assert history.to_frame().columns.tolist() == ["loss"]


def test_metrics_of_training_and_validation_data():
    def largest(y, outputs):
        return np.abs(outputs).max() + len(y)

    net, history = history_of(metrics=["accuracy", "mse", largest], validation_data=(X[:9] / 4, LABELS[:9]))
    assert list(history)[4:] == [
        *("val_loss", "val_accuracy", "val_mse", "val_largest"),
        *("accuracy", "mse", "largest"),
    ]
    outputs = net.outputs(X / 4)
    assert history.accuracy[-1] == net.score(X / 4, LABELS)
    assert history.mse[-1] == pytest.approx(np.mean((outputs - np.eye(3)[LABELS]) ** 2), rel=1e-12)
    assert history.val_largest[-1] == np.abs(outputs[:9]).max() + 9


def test_metrics_of_values():
    net, history = history_of(VALUES, metrics=("r2", "mae"))
    assert history.r2[-1] == net.score(X / 4, VALUES)
    assert history.mae[-1] == pytest.approx(np.mean(np.abs(net.outputs(X / 4) - VALUES)), rel=1e-12)


def test_metrics_change_no_bit():
    assert bits(history_of(metrics="accuracy")[0]) == bits(history_of()[0])


def test_an_unknown_metric_is_refused():
    with pytest.raises(ValueError, match=r"metrics: expected one of 'accuracy'.*got 'auc'"):
        history_of(metrics="auc")


@pytest.mark.parametrize("share", [0.2, 0.4, 0.9])
def test_a_split_trains_on_the_rest_and_holds_out_each_label_alike(share):
    seen = {}

    def rows(y, outputs):
        seen[len(y)] = y
        return 0.0

    history_of(metrics=rows, validation_split=share)
    held_out = int(N * share)
    assert set(seen) == {held_out, N - held_out}
    counts = np.bincount(seen[held_out], minlength=3)
    assert np.abs(counts - np.bincount(LABELS) * share).max() <= 1
    assert sorted([*seen[held_out], *seen[N - held_out]]) == sorted(LABELS)


def test_a_split_is_the_same_in_every_call_and_trains_as_on_the_rows_alone():
    net, history = history_of(validation_split=0.2, shuffle=False)
    _, again = history_of(validation_split=0.2, shuffle=False)
    assert history.val_loss == again.val_loss
    from fastbp.data.targets import Targets
    from fastbp.training.evaluation import held_out

    rows, others = held_out(Targets(LABELS, "labels"), 0.2, 3)
    other, expected = history_of(shuffle=False, epochs=0)
    expected = other.fit(
        X[rows] / 4,
        LABELS[rows],
        **{**OPTIONS, "learning_rate": 0.1},
        shuffle=False,
        validation_data=(X[others] / 4, LABELS[others]),
    )
    assert bits(net) == bits(other)
    assert history.val_loss == expected.val_loss


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation_split": 1.0}, "validation_split: expected a number from 0 to below 1"),
        ({"validation_split": 0.01}, "expected a share that leaves samples to train on and to hold out"),
        ({"validation_split": 0.5, "validation_data": (X, LABELS)}, "expected one of them, got both"),
    ],
)
def test_splits_that_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        history_of(**options)
