"""The task of a network, by which predict, predict_proba and score interpret its outputs."""

import copy
import pickle

import numpy as np
import pandas
import pytest

from fastbp import Network
from fastbp.data import metrics
from fastbp.data.targets import checked_targets
from refusals import assert_refused

N = 25
X = np.random.default_rng(0).normal(size=(N, 4))
LABELS = np.arange(N) % 3
BITS = LABELS % 2
VALUES = np.random.default_rng(1).random((N, 3))
FLOAT64 = np.dtype(np.float64)
DTYPES = ["float32", "float64"]
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
    """A network with sigmoids and cross-entropy learns zeros and ones as several labels."""
    y = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]])
    found = checked_targets(y, 4, 3, FLOAT64, multilabel=True)
    assert found.task == "multilabel" and found.array.dtype == np.float64
    assert checked_targets(y == 1, 4, 3, FLOAT64, multilabel=True).task == "multilabel"
    assert checked_targets(y, 4, 3, FLOAT64).task == "values"
    assert checked_targets(y.astype(float), 4, 3, FLOAT64, multilabel=True).task == "values"
    assert checked_targets(y + 1, 4, 3, FLOAT64, multilabel=True).task == "values"
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
    options = {"epochs": 1, "batch_size": 5, "learning_rate": 0.1, "validation_data": (X, y)}
    calls = {"score": lambda: net.score(X, y), "fit": lambda: net.fit(X, TARGETS[trained_on][0], **options)}
    assert_refused(calls[method], ValueError, *words)


# ---------------------------------------------------------------- what numbers mean, whatever type holds them

INDICATORS = (np.random.default_rng(3).random((N, 4)) < 0.5).astype(np.uint8)
PIXELS = np.random.default_rng(2).integers(0, 256, (N, 4)).astype(np.uint8)
TYPES = {
    "uint8": np.asarray,
    "bool": lambda X: X.astype(bool),
    "int64": lambda X: X.astype(np.int64),
    "float32": lambda X: X.astype(np.float32),
    "float64": lambda X: X.astype(np.float64),
    "float16": lambda X: X.astype(np.float16),
    "frame": lambda X: pandas.DataFrame(X, columns=list("abcd")),
    "list": lambda X: X.tolist(),
    "blocks": lambda X: [(X[:7], LABELS[:7]), (X[7:], LABELS[7:])],
}


def fit(net, X, **options):
    return net.fit(X, LABELS, epochs=1, batch_size=5, learning_rate=1e-3, **options)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("divisor", [None, 1.0, 255.0, 3.0])
def test_the_same_numbers_give_the_same_network_and_the_same_answers_in_any_type(dtype, divisor):
    numbers = INDICATORS if divisor is None else PIXELS
    trained = {}
    for name, convert in TYPES.items():
        if name == "bool" and numbers is PIXELS:
            continue
        net = Network([4, 5, 3], dtype=dtype, input_divisor=divisor, seed=0)
        y = None if name == "blocks" else LABELS
        net.fit(convert(numbers), y, epochs=2, batch_size=N, shuffle=False, learning_rate=0.5)
        trained[name] = net
    assert len({net.fingerprint() for net in trained.values()}) == 1
    net = trained["uint8"]
    given = {name: convert(numbers) for name, convert in TYPES.items() if name != "blocks"}
    if numbers is PIXELS:
        del given["bool"]
    outputs, losses = net.outputs(numbers), set()
    for X_of_type in given.values():
        assert np.array_equal(net.outputs(X_of_type), outputs)
        assert net.score(X_of_type, LABELS) == net.score(numbers, LABELS)
        assert net.value_and_gradient(X_of_type, LABELS)[0] == net.value_and_gradient(numbers, LABELS)[0]
        history = copy.copy(net).fit(
            numbers, LABELS, epochs=1, batch_size=5, validation_data=(X_of_type, LABELS)
        )
        losses.add(history.val_loss[0])
    assert len(losses) == 1


@pytest.mark.parametrize("use", ["fit", "predict", "blocks"])
def test_bytes_above_1_are_said_to_be_taken_as_they_are_until_somebody_says_so(use):
    net = Network([4, 5, 3], seed=0)
    with pytest.warns(RuntimeWarning, match="uint8 numbers above 1 are taken as they are") as caught:
        if use == "fit":
            fit(net, PIXELS)
        elif use == "blocks":
            net.fit([(PIXELS, LABELS)], epochs=1, batch_size=5)
        else:
            net.predict(PIXELS)
    assert len(caught) == 1 and caught[0].filename == __file__
    if use != "predict":
        fit(net, PIXELS)  # is said once
        net.predict(PIXELS.astype(float))
    for said in (
        {"input_divisor": 1},
        {"input_divisor": 255},
        {"uint8_divisor": 1},
        {"scale_inputs": True},
    ):
        fit(Network([4, 5, 3], **said, seed=0), PIXELS)
    fit(Network([4, 5, 3], seed=0), INDICATORS)


def test_an_autoencoders_targets_that_are_not_divided_are_warned_of():
    net = Network([4, 3, 4], input_divisor=255, seed=0)
    with pytest.warns(
        RuntimeWarning, match="y: whole numbers up to 255 are not divided, as those of X are by 255"
    ):
        net.fit(PIXELS, PIXELS, epochs=1, batch_size=5)
    net.fit(PIXELS, PIXELS / 255, epochs=1, batch_size=5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_divisor_divides_to_the_bit_as_the_user_would_and_input_gradients_are_by_the_users_numbers(dtype):
    divided = (PIXELS / 255).astype(dtype)
    net, twin = (Network([4, 5, 3], dtype=dtype, input_divisor=divisor, seed=0) for divisor in (255, None))
    fit(net, PIXELS)
    fit(twin, divided)
    assert np.array_equal(net.parameters, twin.parameters)
    assert np.array_equal(net.outputs(PIXELS), twin.outputs(divided))
    by_divided = twin.input_gradient(divided, LABELS)
    assert np.array_equal(net.input_gradient(PIXELS, LABELS), by_divided / np.dtype(dtype).type(255))


def test_a_network_of_0_2_divides_bytes_alone():
    net = Network([4, 5, 3], uint8_divisor=255, seed=0)
    assert np.array_equal(net.outputs(PIXELS), net.outputs(PIXELS / 255))
    assert not np.array_equal(net.outputs(PIXELS), net.outputs(PIXELS.astype(float)))


# ---------------------------------------------------------------- numbers in another scale than was learnt

KINDS = {"uint8": PIXELS, "float": PIXELS.astype(float), "int": PIXELS.astype(int), "divided": PIXELS / 255}
OTHER_SCALE = [  # of the divisor, what was learnt, what is given
    *(({"uint8_divisor": 255}, "uint8", kind) for kind in ("float", "int")),
    ({"uint8_divisor": 255}, "float", "uint8"),
    *(({"input_divisor": 255}, kind, "divided") for kind in ("uint8", "float")),
    *(({"input_divisor": 1}, kind, "divided") for kind in ("uint8", "int")),
    *(({}, "divided", kind) for kind in ("uint8", "int", "float")),
]


@pytest.mark.parametrize("case", OTHER_SCALE, ids=str)
@pytest.mark.parametrize("use", ["predict", "predict_proba", "outputs", "score", "fit", "validation"])
def test_pixels_in_another_scale_are_warned_of(case, use):
    divisor, learnt, given = case
    net = Network([4, 5, 3], **divisor, seed=0)
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
    assert text.startswith("validation_X: expected" if use == "validation" else "X: expected")
    assert "numbers from 0 to 1" in text and "whole numbers up to 255" in text
    assert warning.filename == __file__


HARMLESS = {  # name -> samples learnt, samples given, divisor of bytes alone
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
    elif len(given):
        net.fit(given, LABELS[: len(given)], epochs=1, batch_size=5, learning_rate=1e-3)
