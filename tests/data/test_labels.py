"""Labels as people have them: kept, learnt from, and given back."""

import pickle

import numpy as np
import pandas
import polars
import pytest

import fastbp
from fastbp import Network
from toy import LABELS, OPTIONS, N, X, bits, fitted, fresh

ANIMALS = np.array(["cat", "dog", "eel"])[LABELS]
TUPLES = np.fromiter([(label, "x") for label in LABELS.tolist()], object)
DAYS = np.datetime64("2026-01-30") + LABELS.astype("timedelta64[D]")
NANOSECONDS = np.datetime64("2026-01-30T12:00:00.123456789") + LABELS.astype(
    "timedelta64[ns]"
)  # finer than Python's own
NUMPY = tuple(map(int, np.__version__.split(".")[:2]))
KINDS = {
    "text": (ANIMALS, ["cat", "dog", "eel"]),
    **({"text of any length": (ANIMALS.astype("T"), ["cat", "dog", "eel"])} if NUMPY >= (2,) else {}),
    "a list of text": (ANIMALS.tolist(), ["cat", "dog", "eel"]),
    "objects": (ANIMALS.astype(object), ["cat", "dog", "eel"]),
    "numbers from 1": (LABELS + 1, [1, 2, 3]),
    "negative numbers": (LABELS - 1, [-1, 0, 1]),
    "whole floats": (LABELS * 10.0, [0.0, 10.0, 20.0]),
    "text and numbers": ([["a", 7, "b"][label] for label in LABELS], ["a", 7, "b"]),
    "tuples": (TUPLES, [(0, "x"), (1, "x"), (2, "x")]),
    "a list of tuples": (TUPLES.tolist(), [(0, "x"), (1, "x"), (2, "x")]),
    "tuples of any length": ([[(), ("a",), ("b", 1)][label] for label in LABELS], [(), ("a",), ("b", 1)]),
    "numbers as objects": ((LABELS + 1).astype(object), [1, 2, 3]),
    "text and numbers as objects": (np.array(["a", 7, "b"], object)[LABELS], ["a", 7, "b"]),
    "bytes": (ANIMALS.astype("S3"), [b"cat", b"dog", b"eel"]),
    "a list of dates": (DAYS.tolist(), DAYS[:3].tolist()),
    "a column of dates": (pandas.Series(DAYS), DAYS[:3].astype("M8[s]").tolist()),
    "dates of polars": (polars.Series(DAYS), DAYS[:3].tolist()),
    "categories": (pandas.Series(ANIMALS, dtype="category"), ["cat", "dog", "eel"]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_any_kind_are_learnt_and_given_back(kind):
    y, classes = KINDS[kind]
    net = fitted(y=y)
    assert net.task == "labels"
    assert net.classes_.tolist() == classes
    assert bits(net) == bits(fitted()), "as the numbers of the classes are"
    places = fitted().predict(X)
    assert net.predict(X).tolist() == [classes[place] for place in places]
    assert net.score(X, y) == fitted().score(X, LABELS)
    assert (net.predict_proba(X) == fitted().predict_proba(X)).all()
    for found, wanted in zip(net.gradients(X, y), fitted().gradients(X, LABELS), strict=True):
        assert all(map(np.array_equal, found, wanted))


@pytest.mark.parametrize("kind", KINDS)
def test_classes_are_sorted_where_they_can_be(kind):
    y, classes = KINDS[kind]
    order = np.argsort(-LABELS, kind="stable")  # the last label is seen first
    net = fitted(X[order], y[order] if isinstance(y, np.ndarray) else [y[row] for row in order.tolist()])
    assert net.classes_.tolist() == (classes[::-1] if kind.startswith("text and numbers") else classes)


@pytest.mark.parametrize("times", [DAYS, NANOSECONDS, np.timedelta64(5, "h") * (LABELS + 1)])
def test_times_keep_their_unit_and_are_known_in_any_other(times, tmp_path):
    net = fitted(y=times)
    assert bits(net) == bits(fitted())
    places = fitted().predict(X)
    assert net.classes_.dtype == net.predict(X).dtype == times.dtype
    assert (net.predict(X) == np.unique(times)[places]).all()
    for unit in {"ns", np.datetime_data(times.dtype)[0]}:
        other = times.astype(f"{times.dtype.kind}8[{unit}]")
        assert net.score(X, other) == net.score(X, times) == fitted().score(X, LABELS)
    restored = pickle.loads(pickle.dumps(net))
    assert (restored.predict(X) == net.predict(X)).all()
    in_blocks = fitted([(X[:9], times[:9]), (X[9:], times[9:].astype(f"{times.dtype.kind}8[ns]"))], None)
    assert (in_blocks.classes_ == np.unique(times)).all()
    with pytest.raises(ValueError, match=r"y\[0\]: expected one of .*, got "):
        net.score(X[:1], times[:1] + np.timedelta64(1000, np.datetime_data(times.dtype)[0]))
    with pytest.raises(TypeError, match=r"expected labels that are text or numbers, got n.*; train on text"):
        net.save(tmp_path / "net")


def test_times_that_were_learnt_are_not_cut_to_a_coarser_unit():
    net = fitted(y=np.timedelta64(5, "h") * (LABELS + 1))
    with pytest.raises(ValueError, match=r"y\[0\]: expected one of .*, got "):
        net.score(X[:1], np.zeros(1, "m8[D]"))


@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_any_kind_are_learnt_from_blocks(kind):
    y, classes = KINDS[kind]
    net = fitted([(X[:9], y[:9]), (X[9:], y[9:])], None, net=fresh(), shuffle=False)
    assert net.classes_.tolist() == classes
    assert bits(net) == bits(fitted(y=y, shuffle=False))


def test_tuples_of_numbers_are_rows_of_values():
    rows = [(0.25, 0.5, 1.0)] * N
    assert fitted(y=rows).task == "values"


def test_whole_numbers_as_objects_are_values_of_one_output():
    y = np.arange(N).astype(object)
    net, wanted = (fitted(y=y, net=fresh([6, 9, 1])) for y in (y, y.astype(np.int64)))
    assert net.task == "value" and bits(net) == bits(wanted)


def test_numbers_from_0_are_what_they_were():
    net = fitted()
    assert net._fastbp.learnt.classes is None
    assert net.classes_.tolist() == [0, 1, 2]
    assert net.predict(X).dtype == np.int64
    assert Network([3, 1]).classes_.tolist() == [0, 1]


@pytest.mark.parametrize("labels", [["no", "yes"], [("a",), ("b",)], ["b", 1]])
def test_two_classes_of_one_output(labels):
    y = np.empty(N, object)
    y[:] = [labels[label % 2] for label in LABELS]
    net, wanted = fitted(y=y, net=fresh([6, 9, 1])), fitted(y=LABELS % 2, net=fresh([6, 9, 1]))
    assert net.task == "binary"
    assert bits(net) == bits(wanted)
    assert net.predict(X).tolist() == [labels[place] for place in wanted.predict(X)]
    assert net.predict_proba(X).shape == (N, 2)
    assert net.score(X, y) == wanted.score(X, LABELS % 2)


def test_weights_of_classes_by_their_labels():
    weights = {"cat": 3.0, "eel": 0.5}
    assert bits(fitted(y=ANIMALS, class_weight=weights)) == bits(fitted(class_weight={0: 3.0, 2: 0.5}))
    assert bits(fitted(y=ANIMALS, class_weight="balanced")) == bits(fitted(class_weight="balanced"))
    with pytest.raises(ValueError, match="class_weight: expected labels 'cat', 'dog', 'eel', got 'cow'"):
        fitted(y=ANIMALS, class_weight={"cow": 1})


def test_validation_data_and_metrics_have_the_labels():
    seen = []

    def look(y, outputs):
        seen.append(set(y))
        return 0.0

    fitted(y=ANIMALS, validation_data=(X[:9], ANIMALS[:9]), metrics=look, epochs=1)
    assert seen == [{"cat", "dog", "eel"}] * 2


def test_classes_are_kept(tmp_path):
    net = fitted(y=ANIMALS)
    net.save(tmp_path / "net")
    for other in (pickle.loads(pickle.dumps(net)), fastbp.load(tmp_path / "net")):
        assert other.classes_.tolist() == ["cat", "dog", "eel"]
        assert (other.predict(X) == net.predict(X)).all()
        other.fit(X[:2], ["dog", "cat"], **OPTIONS)
        assert other.classes_.tolist() == ["cat", "dog", "eel"], "a later fit may lack some"


def test_classes_may_be_set_before_the_first_data_have_all():
    net = fresh()
    net.classes_ = ["cat", "dog", "eel"]
    rows = LABELS < 2
    net.fit(X[rows], ANIMALS[rows], **OPTIONS)
    assert net.score(X, ANIMALS) >= 0
    for labels in (["cat", "dog"], ["cat", "dog", "cat"]):
        with pytest.raises(ValueError, match="classes_: expected 3 different labels for 3 outputs, got"):
            net.classes_ = labels


@pytest.mark.survives("few rows or classes")
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["cat", "dog"] * 12 + ["cat"], "y: expected 3 different labels for 3 outputs, got 2: 'cat', 'dog'"),
        ([*"abcd"] * 6 + ["a"], "y: expected 3 different labels for 3 outputs, got 4: 'a', 'b', 'c', 'd'"),
        (["cat", None] * 12 + ["cat"], r"y\[1\]: expected a label, got None"),
        ([*ANIMALS[:-1].tolist(), float("nan")], r"y\[24\]: expected a label, got nan"),
        (np.arange(N) % 4, r"y\[3\]: expected a label 0 .. 2, got 3"),
        (np.where(np.arange(N) == 7, -1, LABELS), r"y\[7\]: expected a label 0 .. 2, got -1"),
        (LABELS + 0.5, r"y\[0\]: expected a label 0 .. 2, got 0.5"),
        ([[1]] * 3 + [["a"]] * 22, r"y\[3, 0\]: expected a number, got 'a'"),
        (np.array([["a", "b", "c"]] * N), r"y\[0, 0\]: expected a number, got 'a'"),
        ([*[("a", 1)] * 24, ("b", [2])], r"y\[24\]: expected a label, got \('b', \[2\]\)"),
        (pandas.Series(["cat"] * 24 + [None], dtype="string"), r"y\[24\]: expected a label, got <NA>"),
        (
            np.where(np.arange(N) == 5, np.datetime64("NaT", "D"), DAYS),
            r"y\[5\]: expected a label, got .*NaT",
        ),
    ],
)
def test_labels_that_are_refused(y, message):
    with pytest.raises((TypeError, ValueError), match=message):
        fitted(y=y)


@pytest.mark.survives("few rows or classes")
@pytest.mark.parametrize("first", [ANIMALS, LABELS])
def test_other_labels_than_were_learnt_are_refused(first):
    net = fitted(y=first)
    before = bits(net)
    for call in (
        lambda: net.score(X[:3], ["cat", "dog", "cow"]),
        lambda: net.fit(X[:3], ["cat", "dog", "cow"], **OPTIONS),
        lambda: net.gradients(X[:3], ["cat", "dog", "cow"]),
    ):
        row = 2 if first is ANIMALS else 0
        with pytest.raises(ValueError, match=rf"y\[{row}\]: expected one of .*, got 'c"):
            call()
    with pytest.raises(ValueError, match=r"validation_y\[0\]: expected one of"):
        fresh().fit(X, LABELS, validation_data=(X, ANIMALS), **OPTIONS)
    assert bits(net) == before


def test_labels_that_no_file_holds_are_refused(tmp_path):
    net = fitted(y=KINDS["tuples"][0])
    with pytest.raises(TypeError, match=r"expected labels that are text or numbers, got \(0, 'x'\)"):
        net.save(tmp_path / "net")
    checkpoint = fastbp.ModelCheckpoint(tmp_path / "net")
    net = fresh()
    with pytest.raises(TypeError, match=r"expected labels that are text or numbers, got \(0, 'x'\)"):
        net.fit(X, TUPLES, callbacks=checkpoint, **OPTIONS)
    assert bits(net) == bits(fresh()) and not list(tmp_path.iterdir())


@pytest.mark.parametrize("way", ["fit", "partial_fit", "blocks"])
def test_labels_outlive_a_training_for_values(way):
    """A network whose labels have been set keeps them, however it is given its values."""
    X = np.linspace(-1, 1, 12).reshape(6, 2)
    net = Network([2, 3, 2], seed=0)
    net.fit(X, X, epochs=1, batch_size=2)
    net.classes_ = ["left", "right"]
    if way == "partial_fit":
        net.partial_fit(X, X)
    else:
        net.fit(*((X, X) if way == "fit" else ([(X, X)],)), epochs=1, batch_size=2)
    assert (net.task, net.classes_.tolist()) == ("values", ["left", "right"])
