"""Every recipe that `fit` takes, against the reference in tests/reference_training.py."""
# ruff: noqa: NPY002  orders without a seed come from NumPy's global generator

import math

import numpy as np
import pytest

import fastbp
from fastbp import Network
from fastbp.optimizers import OPTIMIZERS
from fastbp.schedules import SCHEDULES
from ids import named
from reference import one_hot
from reference_functions import elu, gelu_tanh, huber, leaky_relu
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
    rates = np.broadcast_to(net._fastbp.dropout, 2)
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
@pytest.mark.parametrize("optimizer", ["sgd", "momentum"])
def test_frozen(frozen, optimizer):
    layers = tuple(layer % 3 for layer in np.atleast_1d(frozen))
    net = assert_like_the_reference(
        "float64",
        network={**NETWORK, "frozen": frozen},
        fit={"optimizer": optimizer, "clip_norm": 0.3},
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
