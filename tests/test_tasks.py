"""What a network was trained for belongs to it: what predict, predict_proba and score make of its outputs."""

import copy
import pickle

import numpy as np
import pytest

from fastbp import Network, metrics, validate

N = 25
X = np.random.default_rng(0).normal(size=(N, 4))
LABELS = np.arange(N) % 3
BITS = LABELS % 2
VALUES = np.random.default_rng(1).random((N, 3))
FLOAT64 = np.dtype(np.float64)
TARGETS = {  # name -> y, outputs, task
    "labels": (LABELS, 3, "labels"),
    "labels as floats": (LABELS.astype(float), 3, "labels"),
    "binary": (BITS, 1, "binary"),
    "binary of bools": (BITS == 1, 1, "binary"),
    "values": (VALUES, 3, "values"),
    "one-hot rows": (np.eye(3)[LABELS], 3, "values"),
    "a column of values": (VALUES[:, :1], 1, "values"),
    "a column of bits": (BITS[:, None], 1, "values"),
    "value": (VALUES[:, 0], 1, "value"),
    "floats 0 and 1": (BITS.astype(float), 1, "value"),
    "integers beyond 1": (LABELS, 1, "value"),
}
every_target = pytest.mark.parametrize("name", TARGETS)


def trained(y, outputs, net=None, **options):
    net = Network([4, 5, outputs], seed=0, **options) if net is None else net
    net.fit(X, y, epochs=1, batch_size=5, learning_rate=0.1)
    return net


# ---------------------------------------------------------------- what is kept


@every_target
def test_the_task_is_what_y_was(name):
    y, outputs, task = TARGETS[name]
    net = Network([4, 5, outputs], seed=0)
    assert net.task is None
    assert trained(y, outputs, net).task == task


@pytest.mark.parametrize(
    "clone",
    [copy.copy, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))],
    ids=["copy", "deep", "pickle"],
)
def test_a_clone_has_the_task_and_another_of_its_own(clone):
    net = trained(BITS, 1)
    twin = clone(net)
    assert twin.task == "binary"
    trained(VALUES[:, 0], 1, twin)
    assert (net.task, twin.task) == ("binary", "value")


def test_fit_again_with_another_kind_of_y_changes_the_task():
    net = trained(LABELS, 3)
    assert trained(VALUES, 3, net).task == "values" and net.predict(X).shape == (N, 3)
    assert trained(LABELS, 3, net).task == "labels" and net.predict(X).shape == (N,)


def test_refused_targets_leave_the_task():
    net = trained(VALUES, 3)
    with pytest.raises(ValueError):
        trained(np.arange(N) % 4, 3, net)
    assert net.task == "values"


# ---------------------------------------------------------------- what comes out


@every_target
def test_predict_has_the_shape_of_y(name):
    """So that y - net.predict(X) is no matrix."""
    y, outputs, task = TARGETS[name]
    net = trained(y, outputs)
    raw, predicted = net.outputs(X), net.predict(X)
    assert raw.shape == (N, outputs)
    assert predicted.shape == y.shape
    expected = {
        "labels": lambda: raw.argmax(axis=1),
        "binary": lambda: (raw[:, 0] >= 0.5).astype(int),
        "values": lambda: raw,
        "value": lambda: raw[:, 0],
    }[task]()
    np.testing.assert_array_equal(predicted, expected)
    assert predicted.dtype == expected.dtype


def test_before_any_training_several_outputs_give_labels():
    net = Network([4, 3], seed=0)
    np.testing.assert_array_equal(net.predict(X), net.outputs(X).argmax(axis=1))
    np.testing.assert_allclose(net.predict_proba(X).sum(axis=1), 1)
    assert net.score(X, LABELS) == np.mean(net.predict(X) == LABELS)


def test_before_any_training_one_output_gives_values():
    net = Network([4, 1], seed=0)
    np.testing.assert_array_equal(net.predict(X), net.outputs(X))
    assert net.score(X, BITS) == pytest.approx(r2(net.predict(X)[:, 0], BITS))
    with pytest.raises(ValueError, match="not trained for labels"):
        net.predict_proba(X)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_probabilities_of_labels_add_up_to_one(dtype):
    net = trained(LABELS, 3, dtype=dtype)
    raw, probabilities = net.outputs(X), net.predict_proba(X)
    assert probabilities.dtype == dtype and probabilities.shape == (N, 3)
    assert abs(raw.sum(axis=1) - 1).min() > 1e-3  # sigmoids do not
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(probabilities, raw / raw.sum(axis=1, keepdims=True), rtol=1e-6)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), net.predict(X))


def test_probabilities_of_two_classes_have_two_columns():
    net = trained(BITS, 1)
    raw = net.outputs(X)[:, 0]
    np.testing.assert_array_equal(net.predict_proba(X), np.column_stack([1 - raw, raw]))


def test_probabilities_where_every_sigmoid_is_0():
    net = Network([1, 3], dtype="float32")
    net.weights, net.biases = [np.zeros((3, 1))], [np.full((3, 1), -1e4)]
    assert net.outputs([[1.0]]).max() == 0
    np.testing.assert_allclose(net.predict_proba([[1.0]]), np.full((1, 3), 1 / 3), rtol=1e-6)


@pytest.mark.parametrize(
    ("y", "outputs", "output_activation", "words"),
    [
        (VALUES, 3, "sigmoid", "not trained for labels"),
        (VALUES[:, 0], 1, "sigmoid", "not trained for labels"),
        (LABELS, 3, "linear", "linear"),
        (BITS, 1, "tanh", "tanh"),
    ],
    ids=["values", "value", "linear", "tanh"],
)
def test_predict_proba_is_for_probabilities(y, outputs, output_activation, words):
    net = trained(y, outputs, output_activation=output_activation)
    with pytest.raises(ValueError, match=words) as caught:
        net.predict_proba(X)
    assert "outputs(X)" in str(caught.value)


def test_several_labels_at_once():
    """What a network with sigmoids and cross-entropy learns of zeros and ones."""
    y = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]])
    found = validate.targets(y, 4, 3, FLOAT64, multilabel=True)
    assert found.task == "multilabel" and found.array.dtype == np.float64
    assert validate.targets(y == 1, 4, 3, FLOAT64, multilabel=True).task == "multilabel"
    assert validate.targets(y, 4, 3, FLOAT64).task == "values"
    assert validate.targets(y.astype(float), 4, 3, FLOAT64, multilabel=True).task == "values"
    assert validate.targets(y + 1, 4, 3, FLOAT64, multilabel=True).task == "values"
    outputs = np.where(y, 0.5, 0.4)
    outputs[3] = 0.9, 0.9, 0.1
    predicted = metrics.decided(outputs, "multilabel")
    assert predicted.tolist() == [[1, 0, 1], [0, 0, 0], [1, 1, 1], [1, 1, 0]]
    assert metrics.score(outputs, found) == 0.75  # rows that are right altogether
    assert metrics.probabilities(outputs, "multilabel") is outputs


# ---------------------------------------------------------------- score: by the task, never by what y holds


def r2(predicted, y):
    return 1 - np.sum((predicted - y) ** 2) / np.sum((y - y.mean(axis=0)) ** 2)


@every_target
def test_score(name):
    y, outputs, task = TARGETS[name]
    net = trained(y, outputs)
    predicted = net.predict(X)
    wanted = np.mean(predicted == y) if task in ("labels", "binary") else r2(predicted, y)
    assert net.score(X, y) == pytest.approx(wanted, rel=1e-12)
    history = net.fit(X, y, epochs=1, batch_size=5, learning_rate=0.1, validation_data=(X, y))
    assert history.validation_score == [net.score(X, y)]


def test_score_of_values_that_look_like_labels_is_still_that_of_values():
    net = trained(VALUES[:, 0], 1)
    assert net.score(X, BITS) == pytest.approx(r2(net.predict(X), BITS))
    assert net.score(X, BITS[:, None]) == net.score(X, BITS)


def test_score_of_labels_that_look_like_values_is_still_that_of_labels():
    net = trained(BITS, 1)
    assert net.score(X, BITS.astype(float)) == np.mean(net.predict(X) == BITS)
    net = trained(LABELS, 3)
    assert net.score(X, LABELS.astype(np.float32)) == np.mean(net.predict(X) == LABELS)


@pytest.mark.parametrize(
    ("trained_on", "y", "words"),
    [
        ("labels", np.eye(3)[LABELS], ("expected shape (25,)", "trained for labels", "(25, 3)", "argmax")),
        ("values", LABELS, ("expected shape (25, 3)", "trained for values", "got (25,)")),
        ("binary", BITS + 1.5, ("y[0, 0]: expected 0 or 1", "trained for binary", "got 1.5")),
        ("binary", LABELS, ("y[2, 0]: expected 0 or 1", "got 2")),
    ],
)
@pytest.mark.parametrize("method", ["score", "fit"])
def test_another_kind_of_y_is_refused(method, trained_on, y, words):
    net = trained(*TARGETS[trained_on][:2])
    with pytest.raises(ValueError) as caught:
        if method == "score":
            net.score(X, y)
        else:
            options = {"epochs": 1, "batch_size": 5, "learning_rate": 0.1}
            net.fit(X, TARGETS[trained_on][0], **options, validation_data=(X, y))
    for word in words:
        assert word in str(caught.value)


# ---------------------------------------------------------------- pixels as bytes beside pixels as numbers

PIXELS = np.random.default_rng(2).integers(0, 256, (N, 4)).astype(np.uint8)
KINDS = {"uint8": PIXELS, "float": PIXELS.astype(float), "int": PIXELS.astype(int), "divided": PIXELS / 255}


def fit(net, X, **options):
    return net.fit(X, LABELS, epochs=1, batch_size=5, learning_rate=1e-3, **options)


@pytest.mark.parametrize(("learnt", "given"), [("uint8", "float"), ("uint8", "int"), ("float", "uint8")])
@pytest.mark.parametrize("use", ["predict", "predict_proba", "outputs", "score", "fit", "validation"])
def test_undivided_pixels_beside_divided_ones_are_warned_of(learnt, given, use):
    net = Network([4, 5, 3], seed=0)
    with pytest.warns(RuntimeWarning) as caught:
        if use == "validation":
            fit(net, KINDS[learnt], validation_data=(KINDS[given], LABELS))
        else:
            fit(net, KINDS[learnt])
            {
                "fit": lambda: fit(net, KINDS[given]),
                "score": lambda: net.score(KINDS[given], LABELS),
            }.get(use, lambda: getattr(net, use)(KINDS[given]))()
    (warning,) = caught
    text = str(warning.message)
    assert text.startswith("validation_X: got" if use == "validation" else "X: got")
    for words in (
        "uint8 samples, which are divided by 255",
        "other numbers up to 255, which are not divided",
    ):
        assert words in text
    assert warning.filename == __file__


HARMLESS = {  # name -> samples learnt, samples given, divisor
    "divided by the user": (PIXELS, PIXELS / 255, 255),
    "bytes after divided": (PIXELS / 255, PIXELS, 255),
    "standardised": (PIXELS, X, 255),
    "large fractions": (PIXELS, 30 * X, 255),
    "halves": (PIXELS, PIXELS + 0.5, 255),
    "zeros and ones": (PIXELS, (PIXELS > 9).astype(float), 255),
    "negative": (PIXELS, -PIXELS.astype(float), 255),
    "beyond 255": (PIXELS, np.full((N, 4), 300.0), 255),
    "not divided": (PIXELS, PIXELS.astype(float), 1),
    "no rows": (PIXELS, PIXELS[:0].astype(float), 255),
    "floats": (PIXELS.astype(float), PIXELS.astype(float), 255),
    "bytes": (PIXELS, PIXELS, 255),
}


@pytest.mark.parametrize("use", ["predict", "fit"])
@pytest.mark.parametrize("case", HARMLESS)
def test_no_false_alarm(case, use):
    learnt, given, divisor = HARMLESS[case]
    net = Network([4, 5, 3], seed=0, uint8_divisor=divisor)
    fit(net, learnt)
    if use == "predict":
        net.predict(given)
    else:
        net.fit(given, LABELS[: len(given)], epochs=1, batch_size=5, learning_rate=1e-3)
