"""Weights, biases, tasks and labels that a user gives a network, which then predicts at once."""

import copy
import pickle

import numpy as np
import pytest

from fastbp import Network
from refusals import assert_refused
from toy import LABELS, OPTIONS, X, bits, fresh

random = np.random.default_rng(0)
WEIGHTS = [random.standard_normal((9, 6)), random.standard_normal((3, 9))]
BIASES = [random.standard_normal(9), random.standard_normal(3)]


def expected_outputs(weights=WEIGHTS, biases=BIASES):
    hidden = np.tanh(X @ weights[0].T + biases[0])
    return 1 / (1 + np.exp(-(hidden @ weights[1].T + biases[1])))


@pytest.mark.parametrize("kind", [list, tuple, "nested"])
def test_flat_biases_become_columns(kind):
    net = fresh(activation="tanh")
    net.weights = WEIGHTS
    net.biases = [b.tolist() for b in BIASES] if kind == "nested" else kind(BIASES)
    assert [b.shape for b in net.biases] == [(9, 1), (3, 1)]
    np.testing.assert_allclose(net.outputs(X), expected_outputs(), rtol=1e-12)
    np.testing.assert_allclose(net.feedforward(X.T).T, expected_outputs(), rtol=1e-12)
    net.fit(X, LABELS, **OPTIONS)


def test_what_needs_no_change_is_kept_as_the_same_object():
    net, weights, biases = fresh(), [w.copy() for w in WEIGHTS], [b.reshape(-1, 1) for b in BIASES]
    net.weights, net.biases = weights, biases
    assert net.weights is weights and net.biases is biases
    biases[0][:] = 7.0
    assert net.biases[0][0, 0] == 7.0
    assert {"weights", "biases"} <= vars(net).keys()
    for other in (copy.copy(net), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert bits(other) == bits(net)


def test_a_class_with_methods_of_its_own_keeps_what_it_assigns():
    class Flat(Network):
        def feedforward(self, a):
            return (self.weights[0] @ np.ravel(a) + self.biases[0]).reshape(-1, 1)

    net = Flat([6, 3])
    net.weights, net.biases = [np.ones((3, 6))], [np.arange(3.0)]
    assert net.biases[0].shape == (3,)
    assert net.feedforward(X[0])[:, 0].tolist() == [X[0].sum(), X[0].sum() + 1, X[0].sum() + 2]


def test_deleted_weights_are_missing():
    net = fresh()
    del net.weights
    with pytest.raises(AttributeError, match="'Network' object has no attribute 'weights'"):
        print(net.weights)


def assigned(**arrays):
    net = fresh()
    for name, value in arrays.items():
        setattr(net, name, value)


def by_item():
    net = fresh()
    net.biases[1] = np.zeros(3)
    net.predict(X)


def named(task, outputs=3, **options):
    Network([6, outputs], **options).task = task


REFUSED = {
    "weights: flat": (lambda: assigned(weights=[np.ones(6)]), ValueError, "weights[0]: expected", "got (6,)"),
    "weights: chain": (
        lambda: assigned(weights=[np.ones((9, 6)), np.ones((3, 8))]),
        ValueError,
        "weights[1]: expected shape (outputs, 9)",
        "got (3, 8)",
    ),
    "weights: text": (lambda: assigned(weights=[[["a"]]]), TypeError, "weights[0]: expected numbers"),
    "biases: row": (lambda: assigned(biases=[np.ones((1, 9))]), ValueError, "biases[0]: expected", "(1, 9)"),
    "biases: number": (lambda: assigned(biases=[1.0]), ValueError, "biases[0]: expected shape", "got ()"),
    "biases: text": (lambda: assigned(biases=[["a"]]), TypeError, "biases[0]: expected numbers"),
    "biases: item": (by_item, ValueError, "biases[1]: expected shape (3, 1), got (3,)", "net.biases = [...]"),
    "from_weights: none": (lambda: Network.from_weights([], []), ValueError, "weights: expected a list"),
    "from_weights: one array": (lambda: Network.from_weights(WEIGHTS[0], BIASES), ValueError, "a list"),
    "from_weights: fewer": (
        lambda: Network.from_weights(WEIGHTS, BIASES[:1]),
        ValueError,
        "biases: expected 2 arrays",
        "got 1",
    ),
    "from_weights: biases": (
        lambda: Network.from_weights(WEIGHTS, BIASES[::-1]),
        ValueError,
        "biases[0]: expected shape (9,) or (9, 1), got (3,)",
    ),
    "from_weights: nan": (
        lambda: Network.from_weights(WEIGHTS, [BIASES[0] * np.nan, BIASES[1]]),
        ValueError,
        "biases[0][0, 0]: expected a finite float64, got nan",
    ),
    "from_weights: classes": (
        lambda: Network.from_weights(WEIGHTS, BIASES, classes=["no", "yes"]),
        ValueError,
        "classes_: expected 3 different labels",
    ),
    "task: name": (lambda: named("label"), ValueError, "task: expected one of 'labels'", "got 'label'"),
    "task: one": (lambda: named("binary"), ValueError, "task: expected one of 'labels', 'multilabel'"),
    "task: many": (lambda: named("labels", 1), ValueError, "task: expected one of 'binary', 'multilabel'"),
    "task: scaled": (lambda: named("values", scale_inputs=True), ValueError, "scale_inputs: expected"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    assert_refused(*REFUSED[case])


def test_a_network_of_weights_classifies_at_once():
    names = ["ant", "bee", "cat"]
    net = Network.from_weights(WEIGHTS, BIASES, activation="tanh", classes=names, dtype="float32")
    assert net.dtype == np.float32 and not np.shares_memory(net.weights[0], WEIGHTS[0])
    outputs = expected_outputs()
    np.testing.assert_allclose(net.outputs(X), outputs, rtol=1e-4)
    assert net.predict(X).tolist() == [names[label] for label in outputs.argmax(axis=1)]
    wanted = outputs / outputs.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(net.predict_proba(X), wanted, rtol=1e-4)
    assert 0 <= net.score(X, np.array(names)[LABELS]) <= 1


@pytest.mark.parametrize("how", ["classes", "classes_", "task"])
def test_one_output_decides_between_two_labels(how, tmp_path):
    w, b = [WEIGHTS[0][:1]], [np.array([0.1])]
    net = Network.from_weights(w, b, classes=["no", "yes"] if how == "classes" else None)
    assert how == "classes" or net.predict(X).dtype == np.float64  # values
    if how == "classes_":
        net.classes_ = ["no", "yes"]
    if how == "task":
        net.task = "binary"
    share = 1 / (1 + np.exp(-(X @ w[0].T + b[0])))
    np.testing.assert_allclose(net.predict_proba(X), np.hstack([1 - share, share]), rtol=1e-12)
    labels = net.classes_[(share[:, 0] >= 0.5).astype(int)]
    assert net.predict(X).tolist() == labels.tolist() and len(set(labels.tolist())) == 2
    net.save(tmp_path / "net.fastbp")


def test_a_task_decides_what_is_predicted():
    net = Network.from_weights(WEIGHTS, BIASES, activation="tanh")
    outputs = net.outputs(X)
    for task, wanted in (
        ("labels", outputs.argmax(axis=1)),
        ("multilabel", outputs >= 0.5),
        ("values", outputs),
        (None, outputs.argmax(axis=1)),
    ):
        net.task = task
        assert net.task == task
        np.testing.assert_array_equal(net.predict(X), wanted)
