"""`fastbp.Network` as the book's class: golden values, construction, SGD; same draws, lines and weights."""

import copy
import random
import re
from dataclasses import replace

import numpy as np
import pytest

import fastbp.compat.network
import fastbp.network
import reference
from book_class import (
    MODULES,
    SIZES,
    assert_same_run,
    labelled,
    make_data,
    random_states,
    seeded,
    several_depths,
    train,
    train_both,
    train_on,
)
from fastbp import Network
from reference import assert_close, one_hot

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


@pytest.mark.survives("another network than the book's")
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


@pytest.mark.survives("another network than the book's")
@pytest.mark.parametrize("epochs", [1, 3])
@pytest.mark.parametrize("n", [0, 1, 2, 5, 100, 1000, 5000])
def test_list_order_and_random_state(n, epochs):
    run, expected = train_both([2, 3], make_data([2, 3], n), epochs, 10, 0.5)
    assert_same_run(run, expected)


@pytest.mark.survives("another network than the book's")
@pytest.mark.sampled
@pytest.mark.parametrize("seed", range(45))
def test_random_networks(seed):
    chance = random.Random(seed)
    sizes = [chance.randint(1, 40) for _ in range(chance.randint(2, 5))]
    data = make_data(sizes, chance.randint(1, 60), seed=seed)
    batch, eta = chance.randint(1, 20), chance.uniform(0.1, 5)
    assert_same_run(*train_both(sizes, data, 3, batch, eta, labelled(data)))


def test_order_accumulates_over_calls_on_one_list():
    runs = train_both(SIZES, make_data(SIZES, 23), 2, 4, 0.5)
    assert_same_run(*train_on(runs, 1, 5, 0.5))


@pytest.mark.survives("another network than the book's")
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


@pytest.mark.survives("another network than the book's")
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
