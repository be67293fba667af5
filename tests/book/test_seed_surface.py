"""`fastbp.Network` does what the seed's class does: same draws, same lines, same weights."""
# ruff: noqa: NPY002  the seed draws from NumPy's global generator

import contextlib
import copy
import io
import random
import re
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastbp.compat.network
import fastbp.network
import reference
from fastbp import Network
from fastbp.compat import mnist_loader
from fastbp.data import book_pairs
from reference import assert_close, fit_reference, numerical_gradient, one_hot

MODULES = [fastbp.network, fastbp.compat.network]
SIZES = [4, 5, 3]
several_depths = pytest.mark.parametrize("sizes", [[4, 3], [4, 5, 3], [2, 3, 4, 3, 1]], ids=str)


# ---------------------------------------------------------------- one experiment, done with either class


@dataclass
class Run:
    """A network, trained, and every trace the training left."""

    net: object
    samples: list  # the list handed to SGD, as SGD left it
    stdout: str
    random_states: tuple


class Stdout(io.StringIO):
    """Calls `on_line(text so far)` when a new line has been flushed: what somebody watching would see."""

    def __init__(self, on_line):
        super().__init__()
        self.on_line, self.lines = on_line, 0

    def flush(self):
        if self.getvalue().count("\n") > self.lines:
            self.lines = self.getvalue().count("\n")
            self.on_line(self.getvalue())


def make_data(sizes, n, seed=1):
    """n pairs of an input column and a one-hot target column."""
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(n, sizes[0])), one_hot(rng.integers(sizes[-1], size=n), sizes[-1])
    return [(x[:, np.newaxis], y[:, np.newaxis]) for x, y in zip(X, Y, strict=True)]


def labelled(data):
    return [(x, int(np.argmax(y))) for x, y in data]


def random_states():
    """State of both global generators, comparable with ==."""
    kind, keys, *rest = np.random.get_state()
    return random.getstate(), (kind, keys.tolist(), *rest)


def seeded(build, sizes, seed=0):
    random.seed(seed)
    np.random.seed(seed)
    return build(sizes)


def train(net, samples, *arguments, raises=None, on_epoch=lambda run: None, **keywords):
    """SGD on the list itself; `on_epoch(run so far)` follows each line that reaches stdout."""
    stdout = Stdout(lambda text: on_epoch(Run(net, samples, text, random_states())))
    with contextlib.redirect_stdout(stdout), pytest.raises(raises) if raises else contextlib.nullcontext():
        assert net.SGD(samples, *arguments, **keywords) is None
    return Run(net, samples, stdout.getvalue(), random_states())


def train_both(sizes, data, *arguments, builds=(Network, reference.Network), seed=0, **keywords):
    """The same experiment with `fastbp.Network` and with the reference, each on its own copy of the list."""
    return [train(seeded(build, sizes, seed), list(data), *arguments, **keywords) for build in builds]


def train_on(runs, *arguments, **keywords):
    """Trains the networks of both runs further on their lists, from equal random states."""
    further = []
    for run in runs:
        random.seed(5)
        further.append(train(run.net, run.samples, *arguments, **keywords))
    return further


def assert_same_run(run, expected, rtol=1e-9, atol=1e-11):
    assert_close(run.net.weights, expected.net.weights, rtol, atol)
    assert_close(run.net.biases, expected.net.biases, rtol, atol)
    assert list(map(id, run.samples)) == list(map(id, expected.samples)), "the list is in another order"
    assert run.stdout == expected.stdout
    assert run.random_states == expected.random_states


def assert_same_answers(net, expected, data):
    """One sample through every method that computes and changes nothing."""
    x, y = data[0]
    assert_close(net.feedforward(x), expected.feedforward(x))
    assert_close(net.backprop(x, y), expected.backprop(x, y))
    assert net.evaluate(labelled(data)) == expected.evaluate(labelled(data))


# ---------------------------------------------------------------- golden values (nielsen_behaviour.md, A.6)

GOLDEN_X = [np.array([[0.1 * i], [1 - 0.2 * i]]) for i in range(5)]
GOLDEN_LABELS = [0, 1, 0, 1, 1]
GOLDEN_START = [
    [[1.764052345967664], [0.4001572083672233], [0.9787379841057392]],
    [[2.240893199201458], [1.8675579901499675]],
    [
        [-0.977277879876411, 0.9500884175255894],
        [-0.1513572082976979, -0.10321885179355784],
        [0.41059850193837233, 0.144043571160878],
    ],
    [
        [1.454273506962975, 0.7610377251469934, 0.12167501649282841],
        [0.44386323274542566, 0.33367432737426683, 1.4940790731576061],
    ],
]
GOLDEN_NABLA_B = [
    [[0.0006296339171354956], [0.0020061300649609048], [0.006952349011964922]],
    [[-0.0002450344939669496], [0.025141849009233566]],
]
GOLDEN_NABLA_W2 = [
    [-0.00022980705062397547, -0.00014057479511354044, -0.00018487957978858006],
    [0.023579431917959255, 0.014423725476484501, 0.018969633232788784],
]
GOLDEN_B2_AFTER_1 = [[2.1321332282902214], [1.7934521143898836]]
GOLDEN_W2_AFTER_1 = [
    [1.3602098762602652, 0.6985706462182838, 0.03930258389483062],
    [0.3756146151459653, 0.2911884549599413, 1.4381415110561993],
]
GOLDEN_B2_AFTER_10 = [[0.4107432489171803], [0.7611814554816796]]
GOLDEN_W1_AFTER_10 = [
    [-1.1438697066198877, 0.8335921714792307],
    [-0.24108910469626338, -0.2935690931607083],
    [0.6002953338070665, -0.5536107776829192],
]


@pytest.mark.parametrize("module", [reference, *MODULES], ids=lambda module: module.__name__)
def test_golden_values(module):
    targets = one_hot(GOLDEN_LABELS, 2)[:, :, np.newaxis]
    data = list(zip(GOLDEN_X, targets, strict=True))
    test_data = list(zip(GOLDEN_X, GOLDEN_LABELS, strict=True))
    net = seeded(module.Network, [2, 3, 2])
    for actual, expected in zip(net.biases + net.weights, GOLDEN_START, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-9)

    nabla_b, nabla_w = net.backprop(*data[0])
    for actual, expected in zip(nabla_b, GOLDEN_NABLA_B, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-9)
    np.testing.assert_allclose(nabla_w[0], np.hstack([np.zeros((3, 1)), GOLDEN_NABLA_B[0]]), rtol=1e-9)
    np.testing.assert_allclose(nabla_w[1], GOLDEN_NABLA_W2, rtol=1e-9)

    run = train(net, list(data), 1, 2, 3.0, test_data)
    assert [id(pair) for pair in run.samples] == [id(data[i]) for i in [2, 1, 0, 4, 3]]
    assert run.stdout == "Epoch 0 : 2 / 5\n"
    np.testing.assert_allclose(net.biases[1], GOLDEN_B2_AFTER_1, rtol=1e-9)
    np.testing.assert_allclose(net.weights[1], GOLDEN_W2_AFTER_1, rtol=1e-9)

    train(net, list(data), 9, 2, 3.0)
    np.testing.assert_allclose(net.biases[1], GOLDEN_B2_AFTER_10, rtol=1e-9)
    np.testing.assert_allclose(net.weights[0], GOLDEN_W1_AFTER_10, rtol=1e-9)


# ---------------------------------------------------------------- modules and construction


@pytest.mark.parametrize("package", ["fastbp", "fastbp.compat"])
def test_names_a_script_may_use(package):
    names = {}
    exec(f"from {package} import network\nfrom {package}.network import *", names)
    module = names["network"]
    assert names.keys() - {"__builtins__", "network"} == {
        "Network",
        "np",
        "random",
        "sigmoid",
        "sigmoid_prime",
    }
    assert names["np"] is module.np is np
    assert names["random"] is module.random is random
    assert names["sigmoid"] is module.sigmoid
    assert names["sigmoid_prime"] is module.sigmoid_prime
    assert names["Network"] is module.Network
    assert issubclass(module.Network, Network)


@pytest.mark.parametrize("z", [0, 0.0, 0.3, np.array([0, 1]), np.linspace(-700, 700, 57).reshape(3, 19)])
def test_sigmoid_and_its_derivative(z):
    np.testing.assert_allclose(fastbp.network.sigmoid(z), reference.sigmoid(z), rtol=1e-14)
    np.testing.assert_allclose(fastbp.network.sigmoid_prime(z), reference.sigmoid_prime(z), rtol=1e-14)


def test_sigmoid_of_huge_arguments():
    z = np.array([[-1e308, -1e4, -800.0, 800.0, 1e4]])
    np.testing.assert_array_equal(fastbp.network.sigmoid(z), [[0, 0, 0, 1, 1]])
    np.testing.assert_array_equal(fastbp.network.sigmoid_prime(z), np.zeros((1, 5)))


@pytest.mark.parametrize("sizes", [[784, 30, 10], [784, 10], (2, 3, 4, 1), [1, 1], [6]], ids=str)
def test_start_is_drawn_as_the_seed_draws_it(sizes):
    expected = seeded(reference.Network, sizes)
    states = random_states()
    net = seeded(Network, sizes)
    assert random_states() == states
    assert_close([net.biases, net.weights], [expected.biases, expected.weights], rtol=0, atol=0)


@pytest.mark.parametrize("sizes", [[2, 3, 1], (2, 3, 1)], ids=str)
def test_attributes(sizes):
    net = Network(sizes)
    assert net.sizes is sizes
    assert net.num_layers == 3
    assert type(net.weights) is type(net.biases) is list
    assert {"num_layers", "sizes", "biases", "weights"} <= vars(net).keys()


# ---------------------------------------------------------------- SGD: order, batches, lines


@pytest.mark.parametrize("epochs", [1, 3])
@pytest.mark.parametrize("n", [0, 1, 2, 5, 100, 1000, 5000])
def test_list_order_and_random_state(n, epochs):
    run, expected = train_both([2, 3], make_data([2, 3], n), epochs, 10, 0.5)
    assert_same_run(run, expected)


def test_order_accumulates_over_calls_on_one_list():
    runs = train_both(SIZES, make_data(SIZES, 23), 2, 4, 0.5)
    assert_same_run(*train_on(runs, 1, 5, 0.5))


@pytest.mark.parametrize(
    "n, epochs, batch",
    [(10, 2, 5), (11, 3, 4), (7, 2, 1), (5, 2, 50), (1, 2, 1), (10, 0, 3), (0, 2, 3), (0, 0, 3)],
)
@several_depths
def test_batches(sizes, n, epochs, batch):
    data = make_data(sizes, n)
    assert_same_run(*train_both(sizes, data, epochs, batch, 3, labelled(data)))


@pytest.mark.parametrize(
    "test_data", [None, [], labelled(make_data(SIZES, 9, seed=2))], ids=["none", "empty", "9"]
)
def test_lines(test_data):
    run, expected = train_both(SIZES, make_data(SIZES, 6), 2, 2, 0.5, test_data)
    assert_same_run(run, expected)
    pattern = (
        r"Epoch 0 : \d / 9\nEpoch 1 : \d / 9\n" if test_data else r"Epoch 0 complete\nEpoch 1 complete\n"
    )
    assert re.fullmatch(pattern, run.stdout)


@pytest.mark.parametrize("test_data", [None, labelled(make_data(SIZES, 9))], ids=["none", "9"])
def test_each_line_appears_when_its_epoch_ends(test_data):
    seen = {Network: [], reference.Network: []}

    def look(run):  # the shallow copy holds the arrays of its epoch: they must not change later
        seen[type(run.net)].append(replace(run, net=copy.copy(run.net), samples=list(run.samples)))

    train_both(SIZES, make_data(SIZES, 30), 4, 7, 0.5, test_data, on_epoch=look)
    assert len(seen[Network]) == 4
    for run, expected in zip(*seen.values(), strict=True):
        assert_same_run(run, expected)


def test_mini_batch_size_0_fails_after_the_first_shuffle():
    run, expected = train_both(SIZES, make_data(SIZES, 10), 2, 0, 0.5, raises=ValueError)
    assert_same_run(run, expected)
    assert run.stdout == ""
    assert_same_run(*train_both(SIZES, make_data(SIZES, 10), 0, 0, 0.5))


# ---------------------------------------------------------------- SGD: what data may look like

KINDS = {
    "float32": lambda a: a.astype(np.float32),
    "float16": lambda a: a.astype(np.float16),
    "int": lambda a: np.rint(3 * a).astype(int),
    "uint8": lambda a: np.rint(20 * abs(a)).astype(np.uint8),
    "bool": lambda a: a > 0,
    "byte-swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "column of C matrix": lambda a: np.hstack([a, a, a])[:, 1:2],
    "column of F matrix": lambda a: np.asfortranarray(np.hstack([a, a, a]))[:, 1:2],
    "every other row": lambda a: np.repeat(a, 2, axis=0)[::2],
    "upside down": lambda a: a[::-1].copy()[::-1],
    "read-only": lambda a: np.broadcast_to(a, a.shape),
    "misaligned": lambda a: np.frombuffer(b"\0" + a.tobytes(), a.dtype, offset=1).reshape(a.shape),
}


def assert_trains_alike_and_keeps(data):
    before = copy.deepcopy(data)
    for epochs in 2, 3:  # from three on, pixels are kept as bytes where that loses nothing
        assert_same_run(*train_both(SIZES, data, epochs, 4, 0.5, labelled(data)))
    assert_close(data, before, rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_kind_of_arrays(kind):
    assert_trains_alike_and_keeps([(KINDS[kind](x), y) for x, y in make_data(SIZES, 11)])
    assert_trains_alike_and_keeps([(x, KINDS[kind](y)) for x, y in make_data(SIZES, 11)])


def test_every_kind_in_one_list_of_lists():
    data = make_data(SIZES, len(KINDS))
    assert_trains_alike_and_keeps(
        [[kind(x), kind(y)] for kind, (x, y) in zip(KINDS.values(), data, strict=True)]
    )


def test_iterators_are_copied_into_lists():
    data, test_data = make_data(SIZES, 11), labelled(make_data(SIZES, 9))
    run = train(seeded(Network, SIZES), iter(data), 2, 4, 0.5, (pair for pair in test_data))
    expected = train(seeded(reference.Network, SIZES), list(data), 2, 4, 0.5, test_data)
    assert_same_run(replace(run, samples=expected.samples), expected)


@pytest.mark.parametrize("sizes", [[2, 3, 4], [2, 3, 1]], ids=str)
def test_one_list_to_train_and_to_test_on(sizes):
    data = make_data(sizes, 11)
    if sizes[-1] == 1:  # targets of one number: 0 or 1, which `evaluate` reads as a label
        data = [(x, np.array([[i % 2]])) for i, (x, _) in enumerate(data)]
        test_data = [(x, y.item()) for x, y in data]
    else:
        test_data = labelled(data)
    samples = list(data)
    run = train(seeded(Network, sizes), samples, 3, 4, 0.5, test_data=samples)
    expected = train(seeded(reference.Network, sizes), list(data), 3, 4, 0.5, test_data=test_data)
    assert_same_run(run, expected)


def test_data_edited_between_calls():
    data = make_data(SIZES, 11)
    runs = train_both(SIZES, data, 2, 4, 0.5)
    for x, y in data:
        x *= -2
        y[:] = 1 - y
    new = make_data(SIZES, 1, seed=3)[0]
    for run in runs:
        run.samples[4] = new
    assert_same_run(*train_on(runs, 2, 4, 0.5))


# ---------------------------------------------------------------- feedforward, backprop, one mini-batch


INPUTS = {
    "column": np.ones((4, 1)),
    "matrix": np.linspace(-3, 3, 28).reshape(4, 7),
    "F matrix": np.arange(28).reshape(4, 7, order="F"),
    "strided": np.linspace(-3, 3, 56).reshape(4, 14)[:, ::2],
    "nested list": [[0], [0.5], [1], [2]],
    "float32": np.full((4, 1), 0.1, np.float32),
    "bool": np.array([[True], [False], [True], [True]]),
}


@pytest.mark.parametrize("a", INPUTS.values(), ids=INPUTS)
def test_feedforward(a):
    net, expected = seeded(Network, SIZES), seeded(reference.Network, SIZES)
    assert_close(net.feedforward(a), expected.feedforward(a), rtol=1e-12, atol=0)


def test_feedforward_without_layers_is_the_identity():
    a = np.array([[0.3], [-2.0]])
    np.testing.assert_array_equal(Network([2]).feedforward(a), a)


@pytest.mark.parametrize(
    "call",
    [
        lambda net, x: net.SGD([(x, x)], 1, 1, 0.5),
        lambda net, x: net.update_mini_batch([(x, x)], 0.5),
        lambda net, x: net.backprop(x, x),
        lambda net, x: net.fit(x.T, x.T, epochs=1, batch_size=1, learning_rate=0.5),
        lambda net, x: net.predict(x.T),
        lambda net, x: net.outputs(x.T),
        lambda net, x: net.score(x.T, [1]),
    ],
)
@pytest.mark.parametrize("own", [False, True], ids=["", "own"])
def test_a_network_of_one_layer_has_nothing_to_train(call, own):
    cls = type("Own", (Network,), {"cost_derivative": lambda self, a, y: a - y}) if own else Network
    with pytest.raises(ValueError, match=r"weights, biases.*a network of one layer has nothing to train"):
        call(cls([2]), np.ones((2, 1)))


def test_a_network_of_one_layer_is_evaluated_as_the_seeds():
    data = [(np.array([[0.3], [-2.0]]), 0), (np.array([[0.3], [2.0]]), 0)]
    assert Network([2]).evaluate(data) == reference.Network([2]).evaluate(data) == 1
    assert_same_run(*train_both([2], [], 0, 1, 0.5))


def test_feedforward_of_hugely_negative_z_is_0():
    net = Network([1, 3])
    net.weights, net.biases = [np.array([[-1e4], [-1e300], [1e4]])], [np.zeros((3, 1))]
    np.testing.assert_array_equal(net.feedforward(np.ones((1, 1))), [[0], [0], [1]])


@pytest.mark.parametrize("shape", [(4,), (3, 1), (1, 4)], ids=str)
def test_feedforward_refuses_another_shape(shape):
    with pytest.raises(ValueError, match=re.escape(str(shape))):
        Network(SIZES).feedforward(np.ones(shape))


@pytest.mark.parametrize("m", [1, 6])
@several_depths
def test_backprop(sizes, m):
    net, expected = seeded(Network, sizes), seeded(reference.Network, sizes)
    x, y = (np.hstack(columns) for columns in zip(*make_data(sizes, m), strict=True))
    gradients = net.backprop(x, y)
    assert [g.shape for g in gradients[0]] == [(j, m) for j in sizes[1:]]
    assert_close(gradients, expected.backprop(x, y), rtol=1e-12, atol=1e-15)
    for gradient in gradients[0] + gradients[1]:
        gradient[:] = 7.0  # they are the caller's
    assert_close(net.backprop(x, y), expected.backprop(x, y), rtol=1e-12, atol=1e-15)
    assert_close([net.weights, net.biases], [expected.weights, expected.biases], rtol=0, atol=0)


@several_depths
def test_backprop_against_central_differences(sizes):
    net, (x, y) = seeded(Network, sizes), make_data(sizes, 1)[0]
    nabla_b, nabla_w = net.backprop(x, y)
    for gradient, array in zip(nabla_b + nabla_w, net.biases + net.weights, strict=True):
        numeric = numerical_gradient(lambda _: np.sum((net.feedforward(x) - y) ** 2) / 2, array, 1e-5)
        np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("m", [1, 2, 7])
def test_update_mini_batch(m):
    net, expected = seeded(Network, SIZES), seeded(reference.Network, SIZES)
    for each in (net, expected):
        assert each.update_mini_batch(make_data(SIZES, m), 3) is None
    assert_close([net.weights, net.biases], [expected.weights, expected.biases], rtol=1e-12, atol=1e-14)


ETAS = {"[1]": np.array([0.5]), "()": np.array(0.5), "[1, 1]": np.array([[0.5]])}


@pytest.mark.parametrize("own", [False, True], ids=["", "own"])
@pytest.mark.parametrize("eta", ETAS.values(), ids=ETAS)
def test_eta_in_an_array_of_one(eta, own):
    cls = type("Own", (Network,), {"cost_derivative": lambda self, a, y: a - y}) if own else Network
    runs = train_both(SIZES, make_data(SIZES, 11), 2, 4, eta, builds=[cls, reference.Network])
    assert_same_run(*runs)
    for run in runs:
        run.net.update_mini_batch(make_data(SIZES, 3), eta)
    assert_close(runs[0].net.weights, runs[1].net.weights)


@pytest.mark.parametrize("own", [False, True], ids=["", "own"])
@pytest.mark.parametrize(
    "eta", ["3.0", b"3", None, [0.5, 0.5], np.array([0.5, 0.5]), np.array(["3"]), 1j], ids=str
)
def test_eta_that_is_no_number_is_refused(eta, own):
    cls = type("Own", (Network,), {"cost_derivative": lambda self, a, y: a - y}) if own else Network
    net, data = cls(SIZES, seed=0), make_data(SIZES, 11)
    samples = list(data)
    with pytest.raises(TypeError, match="eta: expected a number, got"):
        net.SGD(samples, 2, 4, eta)
    assert list(map(id, samples)) == list(map(id, data))
    with pytest.raises(TypeError, match="eta: expected a number, got"):
        net.update_mini_batch(samples, eta)
    assert_close(net.weights, Network(SIZES, seed=0).weights, rtol=0, atol=0)


def test_eta_of_an_own_update_may_be_anything():
    class Own(Network):
        def update_mini_batch(self, mini_batch, eta):
            etas.append(eta)

    etas = []
    train(Own(SIZES), make_data(SIZES, 2), 1, 4, ["0.1", None])
    assert etas == [["0.1", None]]


@pytest.mark.parametrize(("name", "epochs", "size"), [("epochs", 1.0, 4), ("mini_batch_size", 1, 10.0)])
def test_epochs_and_mini_batch_size_are_integers(name, epochs, size):
    with pytest.raises(TypeError, match=f"{name}: expected an integer, got"):
        Network(SIZES).SGD(make_data(SIZES, 2), epochs, size, 0.5)


def test_empty_mini_batch():
    net, start = seeded(Network, SIZES), seeded(Network, SIZES)
    with pytest.raises(ZeroDivisionError):
        net.update_mini_batch([], 0.5)
    assert_close([net.weights, net.biases], [start.weights, start.biases], rtol=0, atol=0)


ARGUMENTS = {
    "feedforward": {"a": np.ones((4, 1))},
    "cost_derivative": {"output_activations": np.ones((3, 2)), "y": np.arange(6).reshape(3, 2)},
    "backprop": dict(zip("xy", make_data(SIZES, 1)[0], strict=True)),
    "update_mini_batch": {"mini_batch": make_data(SIZES, 3), "eta": 0.5},
    "evaluate": {"test_data": labelled(make_data(SIZES, 9))},
    "SGD": {
        "training_data": make_data(SIZES, 9),
        "epochs": 1,
        "mini_batch_size": 4,
        "eta": 0.5,
        "test_data": labelled(make_data(SIZES, 5)),
    },
}


@pytest.mark.parametrize("by_name", [False, True], ids=["positional", "by name"])
@pytest.mark.parametrize("method", ARGUMENTS)
def test_arguments_and_random_draws_of(method, by_name, capsys):
    answers = []
    for build in (Network, reference.Network):
        net = seeded(build, SIZES)
        arguments = {k: list(v) if isinstance(v, list) else v for k, v in ARGUMENTS[method].items()}
        call = getattr(net, method)
        answer = call(**arguments) if by_name else call(*arguments.values())
        answers.append(([answer, net.weights, net.biases], random_states(), capsys.readouterr().out))
    assert_close(answers[0][0], answers[1][0])
    assert answers[0][1:] == answers[1][1:]


def test_constructor_and_functions_take_arguments_by_name():
    assert Network(sizes=[2, 3]).sizes == [2, 3]
    assert fastbp.network.sigmoid(z=0.0) == 0.5
    assert fastbp.network.sigmoid_prime(z=0.0) == 0.25


# ---------------------------------------------------------------- evaluate


LABELS = {
    "int": int,
    "int64": np.int64,
    "uint8": np.uint8,
    "float": float,
    "()": np.array,
    "(1,)": lambda label: np.array([label]),
    "(1, 1)": lambda label: np.array([[label]]),
    "one-hot (j,)": lambda label: one_hot([label], 3)[0],
    "one-hot (j, 1)": lambda label: one_hot([label], 3).T,
}


@pytest.mark.parametrize("form", LABELS.values(), ids=LABELS)
def test_evaluate_and_the_forms_of_a_label(form):
    test_data = labelled(make_data(SIZES, 60))
    right = seeded(reference.Network, SIZES).evaluate(test_data)
    count = seeded(Network, SIZES).evaluate([(x, form(label)) for x, label in test_data])
    assert type(count) is int
    assert 0 < count == right < 60


def test_evaluate_takes_an_iterator_and_an_empty_list():
    net, test_data = seeded(Network, SIZES), labelled(make_data(SIZES, 60))
    assert net.evaluate(iter(test_data)) == net.evaluate(test_data)
    assert net.evaluate([]) == 0
    assert type(net.evaluate([])) is int


@pytest.mark.parametrize(
    "z, chosen",
    [
        ([1, np.nan, 5, np.nan], 1),
        ([np.nan, 1, np.nan, 5], 0),
        ([0, 2, 2, 1], 1),
        ([-9, 50, 60, 70], 1),  # sigmoid is 1 for all three
        ([-900, -800, -900, -850], 0),  # and 0 for these
        ([-np.inf, np.inf, 0, np.inf], 1),
        ([-3, -2, -1, -2], 2),
    ],
    ids=str,
)
def test_evaluate_takes_the_first_maximum_and_nan_for_one(z, chosen):
    net = Network([1, 4])
    net.weights, net.biases = [np.zeros((4, 1))], [np.array(z, dtype=float).reshape(4, 1)]
    assert [net.evaluate([(np.ones((1, 1)), label)]) for label in range(4)] == list(one_hot([chosen], 4)[0])


@pytest.mark.parametrize("form", [LABELS["int"], LABELS["(1, 1)"]], ids=["int", "(1, 1)"])
def test_evaluate_with_one_output_always_predicts_0(form):
    net, data = Network([2, 3, 1]), make_data([2, 3, 1], 12)
    assert net.evaluate([(x, form(i % 3 > 0)) for i, (x, _) in enumerate(data)]) == 4


# ---------------------------------------------------------------- long runs


def test_many_epochs():
    sizes = [8, 12, 10, 4]
    data = make_data(sizes, 300)
    assert_same_run(*train_both(sizes, data, 10, 7, 1.0, labelled(data)))


@given(
    sizes=st.lists(st.integers(1, 40), min_size=2, max_size=5),
    n=st.integers(0, 25),
    batch=st.integers(1, 30),
    epochs=st.integers(0, 3),
    eta=st.floats(0, 5),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_any_network(sizes, n, batch, epochs, eta, seed):
    data = make_data(sizes, n, seed)
    assert_same_run(*train_both(sizes, data, epochs, batch, eta, labelled(data), seed=seed))


def test_mini_batch_reference_agrees_with_the_seed():
    data, epochs = make_data(SIZES, 23), 3
    net = seeded(reference.Network, SIZES)
    start = net.weights, net.biases
    orders, order = [], list(range(23))
    for _ in range(epochs):
        random.shuffle(order)
        orders.append(list(order))
    random.seed(0)
    train(net, list(data), epochs, 4, 0.5)
    X, Y = (np.hstack(columns).T for columns in zip(*data, strict=True))
    fitted = fit_reference(*start, X, Y, orders, 4, 0.5, np.float64)
    assert_close(fitted, (net.weights, net.biases))


@pytest.fixture(scope="module")
def mnist():
    return list(mnist_loader.load_data_wrapper()[0])


@pytest.mark.parametrize(
    "dtype, tolerance", [(np.float64, 1e-8), (np.float32, 1e-4)], ids=["float64", "float32"]
)
def test_an_epoch_of_mnist(mnist, dtype, tolerance):
    """Summing in another order moves weights by 1e-14 (float32: 4e-6); at the book's rate of 3.0 by 0.5."""
    net = seeded(lambda sizes: Network(sizes, dtype=dtype), [784, 30, 10], seed=1)
    start = net.weights, net.biases
    run = train(net, list(mnist), 1, 10, 0.5)
    seeded(reference.Network, net.sizes, seed=1)  # for its random draws
    order = list(range(50_000))
    random.shuffle(order)
    assert random_states() == run.random_states
    assert list(map(id, run.samples)) == [id(mnist[i]) for i in order]
    X, Y = (np.hstack(columns).T for columns in zip(*mnist, strict=True))
    expected = fit_reference(*start, X, Y, [order], 10, 0.5, dtype)
    assert_close((net.weights, net.biases), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("stored", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("divisor", [255, 256])
def test_divided_pixels_are_kept_as_bytes_only_where_the_numbers_are_the_same(dtype, stored, divisor):
    pixels = np.random.default_rng(0).integers(0, 256, (300, 7)).astype(stored)
    X = pixels / stored(divisor)
    pairs = [(x[:, None], np.ones((1, 1))) for x in X]
    kept, _, used = book_pairs.training_pairs(pairs, 7, 1, np.dtype(dtype), True)
    divided = kept / np.dtype(dtype).type(used) if kept.dtype == np.uint8 else kept.astype(dtype)
    assert divided.tobytes() == X.astype(dtype).tobytes()
    assert (kept.dtype == np.uint8) == (divisor == 256 or X.itemsize >= np.dtype(dtype).itemsize)


@pytest.mark.parametrize("odd", [-1 / 256, 1.0, 0.001, np.nan, np.inf, 1e30])
def test_one_number_that_is_no_divided_pixel_keeps_all_as_they_are(odd):
    X = np.random.default_rng(0).integers(0, 256, (300, 7)) / 256
    X[299, 6] = odd
    pairs = [(x[:, None], np.ones((1, 1))) for x in X]
    kept, _, divisor = book_pairs.training_pairs(pairs, 7, 1, np.dtype("f8"), True)
    assert divisor == 1.0 and kept.tobytes() == X.tobytes()
