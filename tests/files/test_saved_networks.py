"""Pickles of this version and of former ones, `repr` and `summary`; and names, the same everywhere."""

import argparse
import inspect
import pickle
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import fastbp
import reference_functions
import reference_training
from fastbp import Network
from fastbp.cli import train
from fastbp.options import activations, costs, initializers, optimizers, schedules
from toy import LABELS, N, X, bits

# ---------------------------------------------------------------- pickles


class Sub(Network):
    pass


def empty(kind):
    return kind.__new__(kind)


class Former:
    """Pickles as fastbp 0.1.0 did, whose networks held their options as private attributes."""

    def __init__(self, kind, **private):
        rng = np.random.default_rng(0)
        self.kind, self.private = kind, private
        dtype = private.get("_dtype", np.float64)
        self.weights = [rng.normal(size=shape).astype(dtype) for shape in ((9, 6), (3, 9))]
        self.biases = [rng.normal(size=(size, 1)).astype(dtype) for size in (9, 3)]

    def __reduce_ex__(self, protocol):
        state = {"num_layers": 3, "sizes": [6, 9, 3], "weights": self.weights, "biases": self.biases}
        return empty, (self.kind,), {**state, **self.private}


@pytest.mark.survives("old file")
@pytest.mark.parametrize("kind", [Network, Sub])
def test_a_pickle_of_0_1_predicts_and_trains_on(kind):
    private = {
        "_dtype": np.dtype("float32"),
        "_activation": "relu",
        "_output": "linear",
        "_divisor": 2.0,
        "_task": "labels",
        "_random": np.random.RandomState(1),
    }
    former = Former(kind, **private)
    net = pickle.loads(pickle.dumps(former))
    wanted = Network(
        [6, 9, 3], init=former.weights, dtype="float32", activation="relu", output_activation="linear",
        uint8_divisor=2.0,
    )  # fmt: skip
    wanted.biases = former.biases
    assert type(net) is kind and net.task == "labels"
    pixels = np.abs(X).astype(np.uint8)
    np.testing.assert_array_equal(net.outputs(pixels), wanted.outputs(pixels))
    options = {"epochs": 2, "batch_size": 7, "optimizer": "adam", "shuffle": False}
    assert net.fit(X, LABELS, **options).loss == wanted.fit(X, LABELS, **options).loss
    assert bits(net) == bits(wanted)
    assert set(vars(net)) == {"num_layers", "sizes", "weights", "biases", "_fastbp"}


def test_a_subclass_s_own_private_names_stay():
    """A subclass may use the private names that networks of 0.1.0 had."""
    net = Sub([6, 9, 3])
    net._task, net._dtype = "mine", "mine"
    twin = pickle.loads(pickle.dumps(net))
    assert (twin._task, twin._dtype, twin.task, twin.dtype) == ("mine", "mine", None, np.float64)


def pickled(name):
    """What the pickle holds, which was written with NumPy 2."""
    pytest.importorskip("numpy._core")
    return pickle.loads((Path(__file__).parent / "saved" / f"{name}.pickle").read_bytes())


@pytest.mark.survives("old file")
@pytest.mark.parametrize("version", ["0.1.0", "0.2.0"])
def test_a_pickle_of_an_earlier_release_predicts_its_bits(version):
    """Each was written by that release, with what its networks answered."""
    content = pickled(version)
    net, X, pixels = (content[name] for name in ("network", "X", "pixels"))
    if version == "0.1.0":
        assert np.array_equal(net.outputs(X), content["outputs"])
        assert np.array_equal(net.outputs(pixels), content["of_pixels"])
        net.fit(X, np.arange(30) % 3, epochs=1, batch_size=10)
        return
    assert np.array_equal(net.outputs(X), content["outputs"])
    assert np.array_equal(net.outputs(pixels), content["of_pixels"])  # bytes are still divided
    assert np.array_equal(content["scaled"].outputs(X), content["of_scaled"])
    assert content["record"].loss == content["history"]["loss"]
    assert net.classes_.tolist() == ["a", "b", "c"] and net._fastbp.progress.optimizer == fastbp.Adam(
        beta_1=0.8
    )
    net.fit(X, np.array(["a", "b", "c"])[np.arange(30) % 3], epochs=1, batch_size=10, optimizer="adam")


@pytest.mark.survives("old file")
@pytest.mark.parametrize("optimizer", ["momentum", "adam", "irprop", "sgd"])
def test_an_optimizer_s_state_that_0_2_pickled_trains_on_with_the_same_bits(optimizer):
    """In 0.2 the state was a tuple called memory."""
    options = {"epochs": 2, "batch_size": 7, "optimizer": optimizer, "learning_rate": 0.01}
    net = Network([6, 9, 3], seed=0)
    net.fit(X, LABELS, **options)
    records = vars(net._fastbp).values()  # whose fields stood side by side
    attributes = {name: value for record in records for name, value in vars(record).items()}
    attributes["memory"] = tuple(attributes.pop("optimizer_state").values())
    former = empty(type(net._fastbp))
    former.__setstate__(pickle.loads(pickle.dumps(attributes)))
    twin = pickle.loads(pickle.dumps(net))
    twin._fastbp = former
    for one in (net, twin):
        one.fit(X, LABELS, **options)
    assert bits(twin) == bits(net)


def test_a_pickle_of_a_state_without_records_trains_on_with_the_same_bits():
    """Options, what training had learnt, and its counts once were the fields of one record.

    The pickle holds two networks that momentum had trained, what they answered and where they went next.
    """
    content = pickled("flat_state")
    net, scaled, X = (content[name] for name in ("network", "scaled", "X"))
    assert np.array_equal(net.outputs(X), content["outputs"])
    assert np.array_equal(scaled.outputs(X), content["of_scaled"])
    assert net.classes_.tolist() == ["no", "some", "yes"]
    assert net.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    options = {"epochs": 2, "batch_size": 10, "optimizer": "momentum", "learning_rate": 0.01}
    net.fit(X, content["labels"], **options)
    np.random.seed(2)  # noqa: NPY002  of the network without a seed
    scaled.fit(X, content["values"], **options)
    for one, parameters in zip((net, scaled), content["trained_on"], strict=True):
        assert np.array_equal(one.parameters, parameters)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_keeps_the_whole_recipe(protocol):
    net = Network(
        [6, 9, 8, 3], activation=["gelu", fastbp.LeakyReLU(0.2)], output_activation="softmax",
        cost=fastbp.Huber(0.5), dropout=[0.1, 0.2], frozen=1, dtype="float32", seed=2**64 - 1,
    )  # fmt: skip
    net.fit(X, LABELS, epochs=1, batch_size=7, optimizer=fastbp.Adam(0.8))
    twin = pickle.loads(pickle.dumps(net, protocol))
    assert repr(twin) == repr(net)
    for one in (net, twin):
        one.fit(X, LABELS, epochs=2, batch_size=7, optimizer=fastbp.Adam(0.8))
    assert bits(twin) == bits(net)


# ---------------------------------------------------------------- repr and summary


@pytest.mark.parametrize(
    "written",
    [
        "Network([6, 9, 3], dtype='float64')",
        "Network([6], dtype='float64')",
        "Network([6, 9, 3], activation='relu', cost='huber', seed=3, dtype='float32')",
        "Network([6, 9, 3], activation=LeakyReLU(slope=0.2), cost=Huber(delta=0.5), dtype='float64')",
        "Network([6, 9, 8, 3], activation=['gelu', ELU(alpha=2.0)], output_activation='softmax', "
        "cost='cross_entropy', dropout=[0.1, 0.2], frozen=[0, 2], uint8_divisor=2.0, dtype='float64')",
        "Network([6, 9, 3], output_activation='leaky_relu', dropout=0.5, frozen=[1], dtype='float64')",
        "Network([6, 9, 3], activation=GELU(approximate='tanh'), dtype='float64')",
    ],
)
def test_repr_is_what_one_writes(written):
    net = eval(written, {name: getattr(fastbp, name) for name in fastbp.__all__})
    assert repr(net) == written


def test_repr_of_what_differs_from_the_default_alone():
    assert repr(Sub([2, 1], init="he_normal")) == "Sub([2, 1], dtype='float64')"
    own = fastbp.Activation(np.tanh, np.cos)
    assert "activation=Activation(function=<ufunc 'tanh'>" in repr(Network([2, 2, 1], activation=own))


def test_summary_counts_and_names():
    tangent = fastbp.Activation(np.tanh, lambda z: 1 - np.tanh(z) ** 2)
    net = Network(
        [784, 1000, 30, 10], activation=[tangent, fastbp.GELU("tanh")], output_activation="softmax",
        cost=fastbp.Huber(), dropout=[0.25, 0], frozen=0, dtype="float32",
    )  # fmt: skip
    assert net.summary().splitlines() == [
        "layer  units  activation      parameters  dropout",
        "    0  1,000  tanh        785,000 frozen     0.25",
        "    1     30  gelu_tanh           30,030",
        "    2     10  softmax                310",
        "784 inputs, 815,340 parameters in float32; cost huber; 3,317,800 flops to train on a sample",
    ]
    net.weights = [np.ones((5, 4)), np.ones((3, 5)), np.ones((2, 3))]
    net.biases = [np.ones((5, 1)), np.ones((3, 1)), np.ones((2, 1))]
    assert net.summary().splitlines()[1].split() == ["0", "5", "tanh", "25", "frozen", "0.25"]
    assert net.summary().splitlines()[-1].startswith("4 inputs, 51 parameters")


# ---------------------------------------------------------------- names


def test_every_name_has_a_row_and_every_row_a_name():
    kinds = [*activations.ACTIVATIONS.values(), fastbp.GELU("tanh")]
    assert {activations.name_and_parameter(kind)[0] for kind in kinds} == set(activations.ROWS)
    assert set(activations.OUTPUT_ACTIVATIONS) == {*activations.ACTIVATIONS, "softmax"}
    pairs = list(product(costs.COSTS, activations.OUTPUT_ACTIVATIONS))
    legal = [pair for pair in pairs if costs.DEFINITIONS[pair[0]].takes(pair[1])]
    for cost, output in legal:
        costs.code_of(costs.name_and_parameter(costs.COSTS[cost])[0], output)
    assert {(cost, output) for cost, output in costs.LOGITS} <= set(legal)
    assert {kind.row for kind in optimizers.OPTIMIZERS.values()} == set(optimizers.ROWS)


def test_every_name_has_an_independent_form_in_the_tests():
    assert set(reference_functions.ACTIVATIONS) >= set(activations.ACTIVATIONS)
    assert {name.split(",")[0] for name in reference_functions.COSTS} == set(costs.COSTS)
    assert set(reference_training.OPTIMIZERS) == set(optimizers.OPTIMIZERS)


@pytest.mark.parametrize(
    ("option", "names"),
    [
        ("--activation", activations.ACTIVATIONS),
        ("--output-activation", activations.OUTPUT_ACTIVATIONS),
        ("--cost", costs.COSTS),
        ("--init", initializers.INITIALIZERS),
        ("--optimizer", optimizers.OPTIMIZERS),
        ("--schedule", schedules.SCHEDULES),
    ],
)
def test_the_command_line_and_the_docstrings_have_the_same_names(option, names):
    commands = argparse.ArgumentParser().add_subparsers()
    train.add_to(commands)
    actions = {
        text: action for action in commands.choices["train"]._actions for text in action.option_strings
    }
    assert list(actions[option].choices) == list(names)
    documented = inspect.getdoc(Network.fit if option in ("--optimizer", "--schedule") else Network)
    for name in names:
        assert f'"{name}"' in documented, name


def test_what_may_stand_for_a_name_is_public():
    kinds = [
        *(
            kind
            for name, kind in vars(optimizers).items()
            if not name.startswith("_") and hasattr(kind, "row")
        ),
        *schedules.SCHEDULES.values(),
        *(
            type(kind)
            for kind in {**activations.ACTIVATIONS, **costs.COSTS}.values()
            if not isinstance(kind, str)
        ),
        activations.Activation,
        costs.Cost,
    ]
    for kind in kinds:
        if kind is optimizers._ScikitAdam:  # of an estimator that has scikit-learn's own names
            continue
        assert kind.__name__ in fastbp.__all__ and getattr(fastbp, kind.__name__) is kind


def test_the_names_of_the_default_weights_are_those_of_initializers():
    for activation in activations.ACTIVATIONS:
        for cost in costs.COSTS:
            assert set(initializers.default_init([activation], cost)) <= set(initializers.INITIALIZERS)
    assert Network([N, 2], init="orthogonal", seed=0).weights[0].shape == (2, N)
