"""Ensembles: each network has the bits that it has alone, and together they predict."""

import copy
import pickle

import numpy as np
import pandas
import pytest

import fastbp
from alone import assert_same_bits
from fastbp import Adam, AdamW, Ensemble, Network
from fastbp.data.metrics import METRICS
from fastbp.data.targets import Targets

pytestmark = pytest.mark.usefixtures("engine")
COUNT, N = 5, 31
RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((N, 3))
VALUES = np.stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]], axis=1)
LABELS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)
OWN_X = RANDOM.standard_normal((COUNT, N, 3))
OWN_Y = np.stack([VALUES + 0.1 * i for i in range(COUNT)])
WEIGHTS = RANDOM.integers(0, 3, (COUNT, N)).astype(float)
RATES = [0.01, 0.003, 0.02, 0.001, 0.005]
VALUE_NET = {"activation": "tanh", "output_activation": "linear"}
LABEL_NET = {"activation": "relu", "output_activation": "softmax", "cost": "cross_entropy"}
FIT = {"epochs": 3, "batch_size": 8}
ADAM = {"optimizer": "adam", "learning_rate": RATES}


def ensemble(outputs=2, **options):
    return Ensemble(COUNT, [3, 6, 4, outputs], **{"seed": 0, **VALUE_NET, **options})


CASES = {  # options of the networks, of fit, and the names of those that each network has one of
    "sgd": ({}, {"learning_rate": RATES}),
    "one rate": ({}, {"learning_rate": 0.05}),
    "default rate": ({}, {"optimizer": "momentum"}),
    "penalties": ({}, {**ADAM, "l2": [0.0, 0.1, 0.2, 0.01, 0.0], "l1": [0.01] * COUNT}),
    "sgd, some with penalties": ({}, {"learning_rate": 0.05, "l2": [0.0, 0.1, 0.0, 0.0, 0.3]}),
    "clipped": ({}, {"learning_rate": 0.05, "clip_norm": [0.5, 0.1, None, 0.2, 1.0]}),
    "betas": ({}, {**ADAM, "optimizer": [Adam(beta_1=b) for b in (0.8, 0.9, 0.5, 0.0, 0.95)]}),
    "one row": ({}, {**ADAM, "optimizer": [Adam(), AdamW(), Adam(0.5), AdamW(0.8), Adam(epsilon=1e-4)]}),
    "irprop": ({}, {"optimizer": "irprop", "batch_size": N, "learning_rate": RATES}),
    "dropout": ({"dropout": [0.0, 0.1, 0.2, 0.5, 0.3]}, ADAM),
    "dropout of layers": ({"dropout": RANDOM.uniform(0, 0.5, (COUNT, 2))}, ADAM),
    "schedule": ({}, {**ADAM, "schedule": "cosine"}),
    "own schedule": ({}, {"schedule": lambda step: 0.1 / (1 + step), "l2": [0.1, 0.2, 0.1, 0.0, 0.0]}),
    "weights of all": ({}, {**ADAM, "sample_weight": WEIGHTS[0]}),
    "weights of each": ({}, {**ADAM, "sample_weight": WEIGHTS}),
    "float32": ({"dtype": "float32"}, ADAM),
    "scaled": ({"scale_inputs": True, "scale_outputs": True}, ADAM),
    "folds and scaled": ({"scale_inputs": True, "scale_outputs": True}, {**ADAM, "sample_weight": WEIGHTS}),
    "split": ({}, {**ADAM, "validation_split": 0.25}),
    "split and scaled": ({"scale_inputs": True, "scale_outputs": True}, {**ADAM, "validation_split": 0.25}),
    "validation": ({}, {**ADAM, "validation_data": (X[:9], VALUES[:9], WEIGHTS[0, :9])}),
    "metrics": ({}, {**ADAM, "metrics": ["mae", "mse"], "validation_split": 0.25}),
    "in order": ({}, {**ADAM, "shuffle": False}),
    "one order": ({}, {**ADAM, "data_seed": 7}),
    "one order and split": ({}, {**ADAM, "data_seed": 7, "validation_split": 0.25}),
    "frozen": ({"frozen": 0}, ADAM),
    "user's function": ({"activation": fastbp.Activation(np.tanh, lambda z: 1 - np.tanh(z) ** 2)}, ADAM),
    "seeds": ({"seed": [3, 3, 4, 4, 1 << 63]}, ADAM),
    "init": ({"init": [RANDOM.standard_normal((COUNT, 6, 3)), np.ones((4, 6)), np.zeros((2, 4))]}, ADAM),
}
EACH = ("learning_rate", "l2", "l1", "clip_norm")


def parts(options, i):
    """The options of network `i` alone."""
    own = dict(options)
    for name in EACH:
        if isinstance(own.get(name), list):
            own[name] = own[name][i]
    if isinstance(own.get("optimizer"), list):
        own["optimizer"] = own["optimizer"][i]
    if np.ndim(own.get("sample_weight")) == 2:
        own["sample_weight"] = own["sample_weight"][i]
    return own


def fit_alone(together, i, X, y, options):
    net = together[i]
    return net, net.fit(X, y, **{**FIT, **parts(options, i)})


@pytest.mark.parametrize("case", CASES)
def test_each_network_has_the_bits_that_it_has_alone(case):
    network, options = CASES[case]
    together = ensemble(**network)
    alone = [fit_alone(together, i, X, VALUES, options) for i in range(COUNT)]
    history = together.fit(X, VALUES, **{**FIT, **options})
    assert_same_bits(together, history, *zip(*alone, strict=True))


def test_networks_that_have_learnt_unlike_columns_are_kept_and_read(tmp_path):
    """Of arrays and of frames; frames of other names are refused."""
    frame, together = pandas.DataFrame(X, columns=list("abc")), ensemble()
    with pytest.raises(ValueError, match=r"X\[1\]: expected the columns 'a', 'b', 'c', as of network 0, got"):
        Ensemble(2, [3, 2], seed=0, **VALUE_NET).fit([frame, frame[list("cba")]], VALUES, **FIT)
    together.fit([frame, *[X] * (COUNT - 1)], VALUES, **FIT)
    together.save(tmp_path / "ensemble")
    read = fastbp.load_ensemble(tmp_path / "ensemble")
    assert read.fingerprint() == together.fingerprint() == copy.copy(together).fingerprint()
    assert len(together[:2]) == 2


def test_initial_networks_are_those_of_their_seeds():
    together = ensemble(dropout=[0.1, 0.2, 0.3, 0.4, 0.5])
    assert len({*together.seeds}) == COUNT and together.seeds == ensemble().seeds
    for i, seed in enumerate(together.seeds):
        net = Network([3, 6, 4, 2], seed=seed, dropout=0.1 * (i + 1), **VALUE_NET)
        assert (together[i].parameters == net.parameters).all()
    assert Ensemble(3, [2, 1], seed=0).seeds == Ensemble(5, [2, 1], seed=0).seeds[:3]


def test_seeds_are_numbers_that_every_reader_of_json_keeps():
    seeds = Ensemble(64, [1, 1], seed=0).seeds
    assert len({*seeds}) == 64 and all(int(float(seed)) == seed for seed in seeds)


@pytest.mark.parametrize("own", ["X", "y", "both"])
def test_each_network_may_have_samples_and_targets_of_its_own(own):
    given = OWN_X if own != "y" else X, OWN_Y if own != "X" else VALUES
    together = ensemble(scale_inputs=True)
    alone = [
        fit_alone(together, i, *(part[i] if part.ndim == 3 else part for part in given), ADAM)
        for i in range(COUNT)
    ]
    history = together.fit(*given, **FIT, **ADAM)
    assert_same_bits(together, history, *zip(*alone, strict=True))
    if own != "y":
        for i, (net, _) in enumerate(alone):
            assert together.outputs(OWN_X)[i].tobytes() == net.outputs(OWN_X[i]).tobytes()


def test_each_network_may_have_one_sample_of_its_own():
    together = Ensemble(COUNT, [3, 2, 1], seed=0, **VALUE_NET)
    alone = [fit_alone(together, i, OWN_X[i, :1], OWN_Y[i, :1, 0], ADAM) for i in range(COUNT)]
    history = together.fit(OWN_X[:, :1], OWN_Y[:, :1, 0], **FIT, **ADAM)
    assert_same_bits(together, history, *zip(*alone, strict=True))


def test_labels_that_are_text_and_weights_of_classes():
    names = np.array(["red", "green", "blue"])[LABELS]
    options = {**ADAM, "class_weight": "balanced", "validation_split": 0.2}
    together = ensemble(3, **LABEL_NET)
    alone = [fit_alone(together, i, X, names, options) for i in range(COUNT)]
    history = together.fit(X, names, **FIT, **options)
    assert_same_bits(together, history, *zip(*alone, strict=True))
    assert together.classes_.tolist() == ["blue", "green", "red"]
    assert {*together.predict(X)} <= {*names}


def test_validation_data_of_all_weigh_by_the_classes_of_each():
    own = np.stack([np.roll(LABELS, i) % (2 + i % 2) for i in range(COUNT)])
    options = {**ADAM, "class_weight": "balanced", "validation_data": (X[:9], LABELS[:9])}
    together = ensemble(3, **LABEL_NET)
    alone = [fit_alone(together, i, X, own[i], options) for i in range(COUNT)]
    history = together.fit(X, own, **FIT, **options)
    assert_same_bits(together, history, *zip(*alone, strict=True))


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_accuracy_on_rows_that_all_networks_hold_out(outputs, weighted):
    network = LABEL_NET if outputs > 1 else {"output_activation": "sigmoid", "cost": "cross_entropy"}
    y = LABELS if outputs > 1 else LABELS > 0
    options = {
        **ADAM,
        "data_seed": 3,
        "validation_split": 0.3,
        "metrics": ["accuracy", "mse"][: 1 + weighted],
    }
    if weighted:
        options["sample_weight"] = WEIGHTS[0]
    together = ensemble(outputs, **network)
    alone = [fit_alone(together, i, X, y, options) for i in range(COUNT)]
    history = together.fit(X, y, **FIT, **options)
    assert_same_bits(together, history, *zip(*alone, strict=True))


def test_labels_of_each_network():
    own = np.stack([np.roll(LABELS, i) for i in range(COUNT)])
    together = ensemble(3, **LABEL_NET)
    alone = [fit_alone(together, i, X, own[i], ADAM) for i in range(COUNT)]
    history = together.fit(X, own, **FIT, **ADAM)
    assert_same_bits(together, history, *zip(*alone, strict=True))


def test_sparse_rows():
    sparse = pytest.importorskip("scipy.sparse")
    rows = sparse.random(N, 300, 0.02, "csr", random_state=0)
    together = Ensemble(3, [300, 4, 2], seed=1, **VALUE_NET)
    alone = [fit_alone(together, i, rows, VALUES, {"optimizer": "adam"}) for i in range(3)]
    history = together.fit(rows, VALUES, **FIT, optimizer="adam")
    assert_same_bits(together, history, *zip(*alone, strict=True))
    assert together.outputs(rows)[1].tobytes() == alone[1][0].outputs(rows).tobytes()


def test_pixels():
    pixels = RANDOM.integers(0, 256, (N, 3)).astype(np.uint8)
    for given in (pixels, pixels.astype(float)):
        together = ensemble(input_divisor=255)
        alone = [fit_alone(together, i, given, VALUES, ADAM) for i in range(COUNT)]
        history = together.fit(given, VALUES, **FIT, **ADAM)
        assert_same_bits(together, history, *zip(*alone, strict=True))


@pytest.mark.parametrize("own", ["X", "validation_data"])
def test_bytes_beside_numbers_are_refused_where_bytes_are_divided(own):
    pixels = RANDOM.integers(0, 256, (N, 3)).astype(np.uint8)
    mixed = [pixels, pixels.astype(float)]
    given = {"X": pixels, "validation_data": (mixed, VALUES)} if own != "X" else {"X": mixed}
    together = Ensemble(2, [3, 4, 2], seed=0, input_divisor=255)
    before, message = together.fingerprint(), "X: expected uint8 of every network or .* got float64, uint8"
    with pytest.raises(ValueError, match=message):
        together.fit(**given, y=VALUES, **FIT)
    with pytest.raises(ValueError, match=message):
        together.outputs(mixed)
    assert together.fingerprint() == before
    together = Ensemble(2, [3, 4, 2], seed=[0, 0], input_divisor=1)
    assert (np.diff(together.outputs(mixed), axis=0) == 0).all()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_second_fit_goes_on_where_the_first_ended(threads):
    together = ensemble(dropout=0.1)
    alone = [fit_alone(together, i, X, VALUES, {**ADAM, "epochs": 5})[0] for i in range(COUNT)]
    for epochs in (2, 0, 3):
        together.fit(X, VALUES, **{**FIT, **ADAM, "epochs": epochs, "threads": threads})
    assert together.fingerprint() == [net.fingerprint() for net in alone]
    assert [net._fastbp for net in together] == [net._fastbp for net in alone]


def test_a_network_of_an_ensemble_shares_nothing_with_it():
    together = ensemble()
    together.fit(X, VALUES, **FIT, **ADAM)
    before = together.fingerprint()
    net = together[1]
    net.weights[0][...] = 0.0
    net.fit(X, VALUES, **FIT)
    for one in together:
        one.biases[0][...] = 7.0
    assert together.fingerprint() == before
    twin = copy.copy(together)
    twin.fit(X, VALUES, **FIT)
    assert together.fingerprint() == before != twin.fingerprint()


def test_copies_and_pickles_train_on_alike():
    together = ensemble(dropout=0.2)
    together.fit(X, VALUES, **FIT, **ADAM)
    twins = [copy.deepcopy(together), copy.copy(together), pickle.loads(pickle.dumps(together))]
    for one in (together, *twins):
        one.fit(X, VALUES, **FIT, **ADAM)
    assert all(twin.fingerprint() == together.fingerprint() for twin in twins)
    assert (twins[2].history.loss == together.history.loss).all()


def test_parts_of_an_ensemble():
    together = ensemble()
    prints = together.fingerprint()
    assert together[1:3].fingerprint() == prints[1:3]
    assert together[[4, 0]].fingerprint() == [prints[4], prints[0]]
    assert together[np.arange(COUNT) > 2].fingerprint() == prints[3:]
    assert together[-1].fingerprint() == prints[-1]
    with pytest.raises(IndexError):
        together[COUNT]
    assert len(together) == COUNT == len([*together])


# ---------------------------------------------------------------- predictions


def fitted(outputs, y, **options):
    together = ensemble(outputs, **options)
    together.fit(X, y, **FIT, **ADAM)
    return together


def test_values_are_means_with_their_deviation():
    together = fitted(2, VALUES)
    each = np.stack([net.predict(X) for net in together])
    mean, std = together.predict(X, return_std=True)
    np.testing.assert_array_equal(together.outputs(X), each)
    np.testing.assert_array_equal(together.predict(X), each.mean(axis=0))
    np.testing.assert_array_equal((mean, std), (each.mean(axis=0), each.std(axis=0)))
    assert together.score(X, VALUES) == METRICS["r2"](mean, Targets(VALUES, "values"))
    np.testing.assert_array_equal(together.scores(X, VALUES), [net.score(X, VALUES) for net in together])


def test_one_value():
    together = fitted(1, VALUES[:, 0], scale_outputs=True)
    mean, std = together.predict(X, return_std=True)
    each = np.stack([net.predict(X) for net in together])
    assert mean.shape == std.shape == (N,)
    np.testing.assert_array_equal(mean, each.mean(axis=0))


def test_labels_by_mean_and_by_vote():
    together = fitted(3, LABELS, **LABEL_NET)
    each = np.stack([net.predict_proba(X) for net in together])
    mean, std = together.predict_proba(X, return_std=True)
    np.testing.assert_allclose(mean, each.mean(axis=0), atol=1e-15)
    np.testing.assert_allclose(std, each.std(axis=0), atol=1e-15)
    assert (together.predict(X) == mean.argmax(axis=1)).all()
    votes = [[np.sum(each[:, row].argmax(axis=1) == label) for label in range(3)] for row in range(N)]
    assert (together.predict(X, method="vote") == np.argmax(votes, axis=1)).all()
    assert together.score(X, LABELS) == np.mean(together.predict(X) == LABELS)
    with pytest.raises(ValueError, match="return_std: expected networks trained for values, got labels"):
        together.predict(X, return_std=True)


def test_two_classes_of_one_output_and_several_labels_at_once():
    binary = fitted(1, LABELS > 0, output_activation="sigmoid", cost="cross_entropy")
    mean = np.mean([net.predict_proba(X) for net in binary], axis=0)
    np.testing.assert_allclose(binary.predict_proba(X), mean, atol=1e-15)
    assert (binary.predict(X) == (mean[:, 1] >= 0.5)).all()
    votes = np.mean([net.predict(X) for net in binary], axis=0)
    assert (binary.predict(X, method="vote") == (votes > 0.5)).all()
    bits = np.stack([LABELS > 0, LABELS > 1], axis=1).astype(int)
    several = fitted(2, bits, output_activation="sigmoid", cost="cross_entropy")
    mean = np.mean([net.predict_proba(X) for net in several], axis=0)
    assert (several.predict(X) == (mean >= 0.5)).all()
    assert several.predict(X, method="vote").shape == bits.shape


def test_value_and_gradient_of_each():
    together = fitted(2, VALUES)
    values, gradients = together.value_and_gradient(X, VALUES, l2=[0.1 * i for i in range(COUNT)])
    for i, net in enumerate(together):
        value, gradient = net.value_and_gradient(X, VALUES, l2=0.1 * i)
        assert values[i] == value and (gradients[i] == gradient).all()
    together.parameters = together.parameters * 0.5
    assert (together[2].parameters == together.parameters[2]).all()
    before = together.fingerprint()
    with pytest.raises(TypeError, match="expected a number, got None"):
        together.parameters = np.where(np.arange(COUNT)[:, None] == 1, None, 0.5 * together.parameters)
    assert together.fingerprint() == before


def test_a_patched_module_predicts_by_the_patch_and_does_not_train(monkeypatch):
    together = ensemble(activation="sigmoid")
    monkeypatch.setattr(fastbp.network, "sigmoid", lambda z: z)
    np.testing.assert_array_equal(together.outputs(X)[3], together[3].outputs(X))
    with pytest.raises(ValueError, match="overridden sigmoid"):
        together.fit(X, VALUES, **FIT)


def test_it_prints():
    together = ensemble(dtype="float32")
    assert (
        repr(together)
        == "Ensemble(5, [3, 6, 4, 2], activation='tanh', output_activation='linear', dtype='float32')"
    )
    assert repr(Ensemble(2, [2, 3, 1], dropout=[0.1, 0.2])).endswith("dropout=[0.1, 0.2], dtype='float64')")
    assert "dropout=0.1," in repr(Ensemble(2, [2, 3, 1], dropout=0.1))
    history = together.fit(X, VALUES, **FIT)
    assert repr(history).startswith("EnsembleHistory(networks=5, epochs=3, loss=")
    assert repr(ensemble().fit(X, VALUES, **{**FIT, "epochs": 0})) == "EnsembleHistory(networks=5, epochs=0)"


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"learning_rate": [0.1] * 4},
            r"learning_rate: expected one number, or one per network \(5\), got 4",
        ),
        (
            {"learning_rate": [0.1, 0.1, -1, 0.1, 0.1]},
            r"learning_rate\[2\]: expected a finite number above 0",
        ),
        ({"l1": [[0.1], [0.1, 0.2]]}, r"l1: expected one number, or one per network \(5\), got uneven lists"),
        (
            {"sample_weight": (np.arange(N * COUNT) < N).reshape(COUNT, N), "validation_split": 0.2},
            "network 1: weights of the validation data: expected at least one above 0",
        ),
        ({"l2": [[0.1] * COUNT]}, r"l2: expected one number, or one per network \(5\), got shape \(1, 5\)"),
        ({"optimizer": ["adam"] * 2}, r"optimizer: expected one, or one per network \(5\), got 2"),
        (
            {"optimizer": ["adam", "sgd"] * 2 + ["sgd"]},
            "optimizer: expected optimizers of one formula, got adam",
        ),
        ({"callbacks": fastbp.CSVLogger("x.csv")}, "callbacks: expected EarlyStopping, .* got CSVLogger"),
        (
            {"sample_weight": WEIGHTS[:2]},
            r"sample_weight: expected shape \(samples,\) for all networks, or one",
        ),
        ({"sample_weight": -WEIGHTS - 1}, r"network 0: sample_weight\[0\]: expected a finite number"),
        ({"y": OWN_Y[:2]}, r"y: expected shape .* per network \(5\), got shape \(2, 31, 2\)"),
        ({"X": OWN_X[:, :, :2]}, r"network 0: X: expected shape \(samples, 3\)"),
        ({"y": np.where(np.arange(COUNT)[:, None, None] == 3, np.nan, OWN_Y)}, "network 3: y"),
        ({"batch_size": 0}, "batch_size: expected at least 1"),
    ],
)
def test_what_is_refused_changes_nothing(options, message):
    together = ensemble()
    before, states = together.fingerprint(), [net._fastbp for net in together]
    options = {"X": X, "y": VALUES, **FIT, **options}
    with pytest.raises((TypeError, ValueError), match=message):
        together.fit(options.pop("X"), options.pop("y"), **options)
    assert together.fingerprint() == before and [net._fastbp for net in together] == states


def test_networks_must_learn_the_same_labels():
    names = np.array([["red", "green", "blue"], ["red", "green", "grey"]])[:, LABELS]
    together = Ensemble(2, [3, 3], seed=0, **LABEL_NET | {"activation": "tanh"})
    with pytest.raises(
        ValueError, match=r"y\[1\]: expected labels 'blue', .*, as network 0 learns, got labels"
    ):
        together.fit(X, names, **FIT)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"networks": 0}, "networks: expected at least 1, got 0"),
        ({"sizes": [3]}, "layers of sizes: expected at least 2, got 1"),
        ({"seed": [1, 2]}, r"seed: expected one number, or one per network \(5\), got 2 numbers"),
        (
            {"dropout": [0.1, 0.2, 0.3]},
            r"dropout: expected one number, one per hidden layer \(2\), one per netw",
        ),
        (
            {"init": [np.zeros((2, 6, 3)), np.zeros((4, 6)), np.zeros((2, 4))]},
            r"init\[0\]: expected one array",
        ),
        ({"init": 5}, "init: expected a name, or 3 arrays of weights, one per layer, got 5"),
        ({"dropout": [[0.1], [0.2, 0.3]]}, r"dropout: expected a number, got \[0\.1\]"),
    ],
)
def test_what_makes_no_ensemble(options, message):
    options = {"networks": COUNT, "sizes": [3, 6, 4, 2], **options}
    with pytest.raises((TypeError, ValueError), match=message):
        Ensemble(options.pop("networks"), options.pop("sizes"), **options)


def test_networks_that_differ_make_no_ensemble():
    nets = [Network([3, 4, 2], seed=0), Network([3, 5, 2], seed=0)]
    with pytest.raises(ValueError, match=r"networks\[1\]: expected Network\(\[3, 4, 2\]"):
        Ensemble.of(nets)
    with pytest.raises(ValueError, match="networks: expected at least 1"):
        Ensemble.of([])
    new, *trained = [Network([3, 4, 2], seed=seed) for seed in range(3)]
    for net, names in zip(trained, (["cat", "dog"], ["eel", "fox"]), strict=True):
        net.fit(X, np.resize(names, N), epochs=1, batch_size=8)
    with pytest.raises(
        ValueError, match=r"networks\[1\]: expected labels 'cat', 'dog', as networks\[0\] has learnt"
    ):
        Ensemble.of(trained)
    for nets in ([new, trained[0]], [trained[0], new]):
        with pytest.raises(ValueError, match=r"networks\[1\]: expected .*nothing yet"):
            Ensemble.of(nets)
    trained = [Network([3, 4, 2], seed=seed) for seed in range(2)]
    pandas = pytest.importorskip("pandas")
    for net, names in zip(trained, ("abc", "cba"), strict=True):
        net.fit(pandas.DataFrame(X, columns=list(names)), VALUES, epochs=1, batch_size=8)
    with pytest.raises(ValueError, match=r"networks\[1\]: expected the columns 'a', 'b', 'c', as .* got the"):
        Ensemble.of(trained)
    trained[0] = Network([3, 4, 2], seed=0)
    trained[0].fit(X, VALUES, epochs=1, batch_size=8)
    with pytest.raises(ValueError, match=r"networks\[1\]: expected columns without names, as .* got the col"):
        Ensemble.of(trained)
    with pytest.raises(TypeError, match=r"networks\[0\]: expected a fastbp.Network, got int"):
        Ensemble.of([3])
