"""Every recipe that `fit` takes, against the reference in tests/support/reference_training.py."""
# ruff: noqa: NPY002  orders without a seed come from NumPy's global generator

import math

import numpy as np
import pytest

import fastbp
from fastbp import Network
from fastbp.options.optimizers import OPTIMIZERS
from fastbp.options.schedules import SCHEDULES
from ids import named
from reference import one_hot
from reference_functions import elu, gelu_tanh, huber, leaky_relu, quantile
from reference_training import mask, train_reference

SIZES = [6, 17, 9, 3]
N, BATCH, EPOCHS = 60, 13, 3  # the last batch of an epoch is shorter
STEPS = EPOCHS * math.ceil(N / BATCH)
X = np.random.default_rng(0).normal(size=(N, 6))
LABELS = np.random.default_rng(1).integers(0, 3, N)
VALUES = np.random.default_rng(2).uniform(0, 1, (N, 3))
SHARES = np.random.default_rng(3).uniform(0.2, 2, N)
RATES = {"sgd": 0.3, "momentum": 0.05, "nesterov": 0.05}
NAMES = {"activation": "activations"}  # of an argument in the reference
NETWORK = {"activation": "tanh", "output_activation": "softmax", "cost": "cross_entropy"}


def tolerance(dtype):
    return {"rtol": 2e-3, "atol": 2e-4} if dtype == "float32" else {"rtol": 1e-8, "atol": 1e-10}


def masks_of(net, generator):
    """step -> the factors of both hidden layers; without a seed their key is drawn before the first order."""
    high, low = generator.randint(0, 1 << 32, 2, np.uint64).tolist()
    rates = np.broadcast_to(net._fastbp.options.dropout, 2)
    starts = range(0, N, BATCH)

    def masks(step):
        rows = min(BATCH, N - starts[step % len(starts)])
        return [
            mask(high << 32 | low, step, layer, 3, (rows, SIZES[layer + 1]), rate)
            for layer, rate in enumerate(rates)
        ]

    return masks


def assert_like_the_reference(dtype, *, network=NETWORK, y=LABELS, fit=(), reference=()):
    """`fit` and `reference` are what the two are given beside the common options."""
    np.random.seed(5)
    net = Network(SIZES, dtype=dtype, init="glorot_normal", **network)
    generator = np.random.RandomState()
    generator.set_state(np.random.get_state())
    masks = masks_of(net, generator) if "dropout" in network else None
    orders = [generator.permutation(N) for _ in range(EPOCHS)]
    options = {"optimizer": "sgd", "learning_rate": 0.1, "batch_size": BATCH, **dict(fit)}
    common = {name: value for name, value in options.items() if name in ("l2", "l1", "clip_norm")}
    names = {NAMES.get(name, name): value for name, value in network.items() if name != "dropout"}
    expected = train_reference(
        net.weights,
        net.biases,
        X,
        one_hot(y, 3) if y.ndim == 1 else y,
        orders,
        **{
            "batch_size": options["batch_size"],
            "rates": options["learning_rate"],
            **common,
            **names,
            "masks": masks,
            **dict(reference),
        },
    )
    history = net.fit(X, y, epochs=EPOCHS, **options)
    for found, wanted in zip(net.weights + net.biases, expected.weights + expected.biases, strict=True):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, wanted, **tolerance(dtype))
    np.testing.assert_allclose(history.loss, expected.costs, **tolerance(dtype))
    return net


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer(name, dtype):
    batch = N if name == "irprop" else BATCH  # signs of rounding errors grow where batches are small
    fit = {"optimizer": name, "learning_rate": RATES.get(name, 0.003), "batch_size": batch}
    assert_like_the_reference(dtype, fit=fit, reference={"optimizer": name})


@pytest.mark.parametrize(
    ("optimizer", "name", "options"),
    [
        (fastbp.Momentum(0.5), "momentum", {"momentum": 0.5}),
        (fastbp.Nesterov(0.5), "nesterov", {"momentum": 0.5}),
        (fastbp.RMSprop(0.8, 1e-4), "rmsprop", {"rho": 0.8, "epsilon": 1e-4}),
        (fastbp.Adam(0.8, 0.99, 1e-5, 0.1), "adam", {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-5,
                                                     "weight_decay": 0.1}),
        (fastbp.AdamW(weight_decay=0.5), "adamw", {"weight_decay": 0.5}),
        (fastbp.IRprop(1.5, 0.3, 1e-4, 0.1), "irprop", {"grow": 1.5, "shrink": 0.3, "least": 1e-4,
                                                        "most": 0.1}),
    ],
    ids=repr,
)  # fmt: skip
def test_options_of_optimizer(optimizer, name, options):
    fit = {"optimizer": optimizer, "learning_rate": 0.01, "batch_size": N if name == "irprop" else BATCH}
    assert_like_the_reference("float64", fit=fit, reference={"optimizer": name, "options": options})


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_usual_rate(name):
    def fitted(**options):
        net = Network(SIZES, seed=0, **NETWORK)
        net.fit(X, LABELS, epochs=1, batch_size=BATCH, optimizer=name, **options)
        return net.parameters

    wanted = 0.01 if name in ("sgd", "momentum", "nesterov") else 0.001
    np.testing.assert_array_equal(fitted(), fitted(learning_rate=wanted))


# ---------------------------------------------------------------- schedules

OBJECTS = [
    *[kind() for kind in SCHEDULES.values()],
    fastbp.Constant(warmup=4),
    fastbp.Step(4, factor=0.5, warmup=3),
    fastbp.Exponential(0.9, warmup=2),
    fastbp.Cosine(final=0.1, steps=11, warmup=5),
    fastbp.OneCycle(rise=0.4, start=0.1, final=0.01),
]


@pytest.mark.parametrize("schedule", OBJECTS, ids=repr)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_schedule(schedule, optimizer):
    rates = schedule.rates(0.1, 0, STEPS, 0, STEPS)
    assert_like_the_reference(
        "float64",
        fit={"optimizer": optimizer, "schedule": schedule},
        reference={"optimizer": optimizer, "rates": rates},
    )


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_name_is_its_object(name):
    def fitted(schedule):
        net = Network(SIZES, seed=0, **NETWORK)
        net.fit(X, LABELS, epochs=1, batch_size=BATCH, learning_rate=0.1, schedule=schedule)
        return net.parameters

    np.testing.assert_array_equal(fitted(name), fitted(SCHEDULES[name]()))


def test_any_callable_gives_the_rate_itself(dtype):
    rates = [0.3 / (1 + step) for step in range(STEPS)]
    fit = {"schedule": lambda step: 0.3 / (1 + step), "learning_rate": 77.0}
    assert_like_the_reference(dtype, fit=fit, reference={"rates": rates})


def test_a_second_call_goes_on_in_a_schedule_or_begins_its_span():
    """Steps are counted on; what spans a call, such as half a cosine, spans each."""
    asked = []
    net = Network(SIZES, seed=0, **NETWORK)
    for _ in range(2):
        net.fit(X, LABELS, epochs=1, batch_size=30, schedule=lambda step: asked.append(step) or 0.1)
    assert asked == [0, 1, 2, 3]
    one, two = Network(SIZES, seed=0, **NETWORK), Network(SIZES, seed=0, **NETWORK)
    for _ in range(2):
        one.fit(X, LABELS, epochs=2, batch_size=20, learning_rate=0.1, schedule="cosine")
    rates = [*fastbp.Cosine().rates(0.1, 0, 6, 0, 6)] * 2
    two.fit(X, LABELS, epochs=4, batch_size=20, schedule=rates.__getitem__)
    np.testing.assert_array_equal(one.parameters, two.parameters)


# ---------------------------------------------------------------- penalties, clipping, weights, frozen layers


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize(
    "recipe",
    [
        {"l2": 0.1},
        {"l1": 0.02},
        {"clip_norm": 0.05},
        {"clip_norm": 1e3},
        {"l2": 0.1, "l1": 0.02, "clip_norm": 0.1},
    ],
    ids=named,
)
def test_penalties_and_clipping(recipe, optimizer, dtype):
    assert_like_the_reference(
        dtype, fit={"optimizer": optimizer, **recipe}, reference={"optimizer": optimizer}
    )


def test_the_book_s_and_scikit_learn_s_penalties_as_l2():
    """The docstring's words: lmbda = l2 n, alpha = l2 batch_size."""
    net = Network([1, 1], init=[np.ones((1, 1))], output_activation="linear")
    net.fit(np.zeros((4, 1)), np.zeros((4, 1)), epochs=1, batch_size=2, learning_rate=0.5, l2=0.1)
    lmbda, alpha = 0.1 * 4, 0.1 * 2
    assert net.weights[0][0, 0] == pytest.approx((1 - 0.5 * lmbda / 4) ** 2)
    assert net.weights[0][0, 0] == pytest.approx((1 - 0.5 * alpha / 2) ** 2)


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop"])
@pytest.mark.parametrize(
    ("fit", "weights"),
    [
        ({"sample_weight": SHARES}, SHARES),
        ({"sample_weight": SHARES.astype(np.float32).tolist()}, SHARES.astype(np.float32)),
        ({"sample_weight": LABELS}, LABELS),
        ({"class_weight": {0: 2.0, 2: 0}}, np.choose(LABELS, [2.0, 1.0, 0.0])),
        ({"class_weight": "balanced"}, (N / 3 / np.bincount(LABELS))[LABELS]),
        ({"class_weight": {np.int64(1): 3}, "sample_weight": SHARES}, SHARES * np.choose(LABELS, [1, 3, 1])),
    ],
    ids=["floats", "list", "integers", "classes", "balanced", "both"],
)
def test_weights_of_samples_and_classes(fit, weights, optimizer, dtype):
    fit = {"optimizer": optimizer, "learning_rate": 0.01, **fit}
    assert_like_the_reference(dtype, fit=fit, reference={"optimizer": optimizer, "sample_weight": weights})


def test_class_weight_of_two_classes_and_one_output():
    bits = (LABELS == 1).astype(int)
    options = {"epochs": 2, "batch_size": BATCH, "learning_rate": 0.1}
    nets = [Network([6, 5, 1], seed=0, cost="cross_entropy") for _ in range(2)]
    nets[0].fit(X, bits, class_weight={1: 4.0}, **options)
    nets[1].fit(X, bits, sample_weight=1 + 3.0 * bits, **options)
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)


@pytest.mark.parametrize("dropout", [0.3, [0.0, 0.5], (0.2, 0.4)], ids=named)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_dropout(dropout, optimizer, dtype):
    assert_like_the_reference(
        dtype,
        network={**NETWORK, "dropout": dropout},
        fit={"optimizer": optimizer, "learning_rate": 0.01},
        reference={"optimizer": optimizer},
    )


@pytest.mark.parametrize("frozen", [0, 1, -1, [0, 2], (0, 1, 2)], ids=named)
@pytest.mark.parametrize("l2", [0.0, 0.5])  # a penalty of a frozen layer has no part in the norm
@pytest.mark.parametrize("optimizer", ["sgd", "momentum"])
def test_frozen(frozen, optimizer, l2):
    layers = tuple(layer % 3 for layer in np.atleast_1d(frozen))
    net = assert_like_the_reference(
        "float64",
        network={**NETWORK, "frozen": frozen},
        fit={"optimizer": optimizer, "clip_norm": 0.3, "l2": l2},
        reference={"optimizer": optimizer, "frozen": layers},
    )
    np.random.seed(5)
    for layer, (w, first) in enumerate(
        zip(net.weights, Network(SIZES, init="glorot_normal").weights, strict=True)
    ):
        assert np.array_equal(w, first) == (layer in layers)


# ---------------------------------------------------------------- activations and costs


@pytest.mark.parametrize(
    ("given", "reference"),
    [
        (["relu", "silu"], ["relu", "silu"]),
        (("elu", "leaky_relu"), ["elu", "leaky_relu"]),
        ([fastbp.LeakyReLU(0.2), fastbp.ELU(0.5)], [leaky_relu(0.2), elu(0.5)]),
        ([fastbp.GELU("tanh"), "gelu"], [gelu_tanh(), "gelu"]),
        (fastbp.LeakyReLU(slope=-0.3), leaky_relu(-0.3)),
        ("softplus", "softplus"),
    ],
    ids=named,
)
def test_activations(given, reference, dtype):
    assert_like_the_reference(
        dtype, network={**NETWORK, "activation": given}, reference={"activations": reference}
    )


@pytest.mark.parametrize(
    ("cost", "output", "expected", "y"),
    [
        ("quadratic", "linear", "quadratic", VALUES),
        ("quadratic", "softmax", "quadratic", LABELS),
        ("cross_entropy", "sigmoid", "cross_entropy", VALUES),
        ("cross_entropy", "softmax", "cross_entropy", VALUES / VALUES.sum(axis=1, keepdims=True)),
        ("huber", "linear", "huber", VALUES),
        (fastbp.Huber(delta=0.2), "tanh", huber(0.2), 3 * VALUES),
        ("absolute", "linear", "absolute", 9 * VALUES),
        ("log_cosh", "linear", "log_cosh", 3 * VALUES),
        ("quantile", "linear", "quantile", 9 * VALUES),
        (fastbp.Quantile(0.9), "tanh", quantile(0.9), 3 * VALUES),
        ("poisson", "exponential", "poisson", np.floor(9 * VALUES)),
        ("poisson", "softplus", "poisson", np.floor(9 * VALUES)),
    ],
    ids=named,
)  # fmt: skip
def test_costs(cost, output, expected, y, dtype):
    assert_like_the_reference(
        dtype,
        network={"activation": "tanh", "output_activation": output, "cost": cost},
        y=y,
        fit={"learning_rate": 0.01},
        reference={"cost": expected},
    )


# Weights where quality is measured

KINDS = {  # y, outputs, network
    "labels": (LABELS, 3, NETWORK),
    "binary": (LABELS % 2, 1, {"cost": "cross_entropy"}),
    "multilabel": ((VALUES > 0.5).astype(int), 3, {"cost": "cross_entropy"}),
    "value": (VALUES[:, 0], 1, {"output_activation": "linear"}),
    "values": (VALUES, 3, {"output_activation": "linear"}),
}
SOME = np.where(np.arange(N) % 3 == 0, 0.0, SHARES)  # a third of the rows do not count
FEW = {"epochs": 2, "batch_size": BATCH, "learning_rate": 0.1}


def measured_by_hand(net, y, weights):
    """The sum of w C over the rows' number, and the weighted accuracy or R^2, row by row."""
    total = right = residual = spread = 0.0
    mean = sum(w * row for w, row in zip(weights, y, strict=True)) / sum(weights)
    for x, row, w in zip(X, y, weights, strict=True):
        cost, _ = net.value_and_gradient(x[None], row[None])
        total += w * cost
        right += w * np.all(net.predict(x[None])[0] == row)
        residual += w * np.sum((net.outputs(x[None])[0] - row) ** 2)
        spread += w * np.sum((row - mean) ** 2)
    is_value = net.task in ("value", "values")
    return total / len(y), 1 - residual / spread if is_value else right / sum(weights)


@pytest.mark.parametrize("kind", KINDS)
def test_validation_data_have_weights(kind):
    y, outputs, options = KINDS[kind]
    net = Network([6, 9, outputs], seed=0, **options)
    history = net.fit(X, y, validation_data=(X, y, SOME), **FEW)
    loss, score = measured_by_hand(net, y, SOME)
    assert history.val_loss[-1] == pytest.approx(loss, rel=1e-10)
    assert history.validation_score[-1] == pytest.approx(score, rel=1e-10)
    assert net.score(X, y, SOME) == history.validation_score[-1] != net.score(X, y)
    unweighted = Network([6, 9, outputs], seed=0, **options)
    plain = unweighted.fit(X, y, validation_data=(X, y, None), **FEW)
    assert (unweighted.parameters == net.parameters).all() and plain.loss == history.loss
    alike = unweighted.fit(X, y, validation_data=(X, y, np.full(N, 2.0)), **FEW)
    assert alike.val_loss[-1] == pytest.approx(2 * unweighted.value_and_gradient(X, y)[0], rel=1e-10)
    assert alike.validation_score[-1] == pytest.approx(unweighted.score(X, y), rel=1e-12)


@pytest.mark.parametrize("split", [{"validation_split": 0.3}, {}])
def test_rows_of_weight_0_are_measured_nowhere(split):
    histories = []
    for bad in (0.0, 1e6):
        y = np.where(SOME == 0, bad, VALUES[:, 0])
        options = {**FEW, **split, "sample_weight": SOME, "metrics": ["r2", "mse", "mae"]}
        if not split:
            options["validation_data"] = X, y, SOME
        net = Network([6, 9, 1], output_activation="linear", seed=0)
        found = net.fit(X, y, **options)
        histories.append({name: found[name] for name in found if name != "seconds"})
    assert histories[0] == histories[1]
    assert {"r2", "val_r2", "val_mse", "mae"} <= histories[0].keys()


def test_a_row_of_weight_0_may_have_an_infinite_cost():
    net = Network([1, 1], output_activation="linear", init=[np.ones((1, 1))])
    x, y = np.array([[1e200], [1.0], [2.0]]), np.array([0.0, 1.0, 2.5])
    history = net.fit(
        x[1:], y[1:], epochs=1, batch_size=2, learning_rate=1e-30, validation_data=(x, y, [0, 1, 1])
    )
    assert history.val_loss == [pytest.approx(0.125 / 3)]
    assert history.val_r2 == [net.score(x[1:], y[1:])] == [net.score(x, y, [0, 1, 1])]


@pytest.mark.parametrize("as_blocks", [False, True])
def test_weights_of_classes_hold_for_validation_data(as_blocks):
    by_class = {0: 3.0, 2: 0.25}
    each = np.choose(LABELS, [3.0, 1.0, 0.25])
    data = ([(X, LABELS)],) if as_blocks else (X, LABELS)
    found = []
    options = {**FEW, "learning_rate": 1e-300}  # so that both networks stay alike
    for class_weight, weights in ((by_class, SHARES), (None, each * SHARES)):
        net = Network(SIZES, seed=0, **NETWORK)
        validation = X[:20], LABELS[:20], weights[:20]
        history = net.fit(*data, class_weight=class_weight, validation_data=validation, **options)
        found.append((history.val_loss, history.val_accuracy))
    assert found[0] == found[1]


def test_balanced_classes_of_validation_data_weigh_as_those_trained_on():
    """Labels of validation data are not counted: three of label 0 weigh three times as much as one."""
    rare = np.r_[np.zeros(50, int), np.ones(10, int)]
    net = Network([6, 9, 1], cost="cross_entropy", seed=0)
    held_out = X[:4], np.array([0, 0, 0, 1])
    history = net.fit(X, rare, class_weight="balanced", validation_data=held_out, **FEW)
    weights = np.array([0.6, 0.6, 0.6, 3.0])
    assert history.val_accuracy[-1] == pytest.approx(net.score(*held_out, weights))
    value, _ = net.value_and_gradient(*held_out, sample_weight=weights)
    assert history.val_loss[-1] == pytest.approx(value)


def test_balanced_classes_make_the_held_out_accuracy_the_mean_of_theirs():
    rare = np.r_[np.zeros(50, int), np.ones(10, int)]
    net = Network([6, 9, 1], cost="cross_entropy", seed=0)

    def recalls(y, outputs):
        right = (outputs[:, 0] >= 0.5) == y
        return np.mean([right[y == label].mean() for label in (0, 1)])

    history = net.fit(
        X, rare, class_weight="balanced", validation_split=0.2, metrics=["accuracy", recalls], **FEW
    )
    np.testing.assert_allclose(history["val_accuracy"], history["val_recalls"])
    np.testing.assert_allclose(history["accuracy"], history["recalls"])


def test_a_metric_of_ones_own_is_given_the_weights_it_asks_for():
    seen = []

    def weighted(y, outputs, sample_weight="none"):
        seen.append(sample_weight)
        return 0.0

    def plain(y, outputs):
        return float(len(y))

    net = Network([6, 9, 1], output_activation="linear", seed=0)
    y = VALUES[:, 0]
    history = net.fit(
        X, y, metrics=[weighted, plain, "mae"], sample_weight=SOME, validation_data=(X[:9], y[:9]), **FEW
    )
    np.testing.assert_array_equal(seen[1], SOME)
    assert seen[0] is None and len(seen) == 4
    assert history["val_plain"] == [9.0] * 2 and history["plain"] == [N] * 2
    expected = np.average(np.abs(net.predict(X) - y), weights=SOME)
    assert history["mae"][-1] == pytest.approx(expected)


def test_scores_are_those_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    net = Network([6, 9, 1], output_activation="linear", seed=0)
    y = VALUES[:, 0]
    history = net.fit(X, y, metrics=["r2", metrics.r2_score], sample_weight=SOME, validation_split=0.3, **FEW)
    np.testing.assert_allclose(history["val_r2"], history["val_r2_score"])
    np.testing.assert_allclose(history["r2"], history["r2_score"])
    assert net.score(X, y, SOME) == pytest.approx(metrics.r2_score(y, net.predict(X), sample_weight=SOME))
    labels = Network(SIZES, seed=0, **NETWORK)
    labels.fit(X, LABELS, **FEW)
    expected = metrics.accuracy_score(LABELS, labels.predict(X), sample_weight=SOME)
    assert labels.score(X, LABELS, SOME) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"sample_weight": np.zeros(N), "validation_split": 0.3},
            "weights of the validation data: expected at least one above 0, got all zero",
        ),
        (
            {"sample_weight": np.zeros(N), "metrics": "mse"},
            "weights of the training data: expected at least one above 0, got all zero",
        ),
        ({"validation_data": (X, VALUES[:, 0], np.zeros(N))}, "weights of the validation data: expected"),
        (
            {"validation_data": (X, VALUES[:, 0], SHARES[:-1])},
            r"validation_sample_weight: expected shape \(60,\)",
        ),
        (
            {"validation_data": (X, VALUES[:, 0], -SHARES)},
            r"validation_sample_weight\[0\]: expected a finite number of at least 0",
        ),
        (
            {"validation_data": (X,)},
            r"validation_data: expected \(X, y\) or \(X, y, sample_weight\), got tuple of 1",
        ),
    ],
)
def test_weights_that_measure_nothing_are_refused(options, message):
    net = Network([6, 9, 1], output_activation="linear", seed=0)
    before = net.parameters
    with pytest.raises((TypeError, ValueError), match=message):
        net.fit(X, VALUES[:, 0], **FEW, **options)
    assert (net.parameters == before).all() and net.task is None


def test_a_score_by_weights_that_are_all_0_is_refused():
    with pytest.raises(ValueError, match="sample_weight: expected at least one above 0, got all zero"):
        Network([6, 9, 1], seed=0).score(X, VALUES[:, 0], np.zeros(N))
