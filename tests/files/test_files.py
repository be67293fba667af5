"""Networks in files: what a file holds and what comes back."""

import dataclasses
import inspect
import math
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastbp
from fastbp import Network
from fastbp.data.schema import Learnt
from fastbp.engine.architecture import Progress
from fastbp.files import container, network_file, schema
from fastbp.options.network import OPTIONS as OPTION_NAMES
from fastbp.options.network import Options
from saved import RECIPES, network, refused
from toy import LABELS, OPTIONS, X, bits, fitted, fresh


def state(net):
    """Every value but the optimizer's state, whose arrays have no ==."""
    records = vars(net._fastbp).values()
    values = {name: value for record in records for name, value in vars(record).items()}
    return {name: value for name, value in values.items() if name != "optimizer_state"}


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_network_comes_back_whole(path, recipe):
    net = network(recipe)
    net.save(path)
    back = fastbp.load(path)
    assert type(back) is Network
    assert repr(back) == repr(net)
    assert state(back) == state(net)
    assert bits(back) == bits(net)
    assert (back.outputs(X) == net.outputs(X)).all()
    assert back._fastbp.progress.optimizer_state.keys() == net._fastbp.progress.optimizer_state.keys()
    for name, parameters in net._fastbp.progress.optimizer_state.items():
        for arrays, others in zip(back._fastbp.progress.optimizer_state[name], parameters, strict=True):
            assert all(map(np.array_equal, arrays, others))


@pytest.mark.parametrize("recipe", RECIPES)
def test_training_goes_on_after_loading_as_without(path, recipe):
    net = network(recipe)
    net.save(path)
    back = fastbp.load(path)
    again = {**OPTIONS, **RECIPES[recipe][1]}
    for other in (net, back):
        np.random.seed(1)  # noqa: NPY002
        other.fit(X, LABELS, **again)
    assert bits(back) == bits(net)


def test_every_field_of_the_state_is_kept():
    """A new field must be named in schema.py."""
    kept = {*schema.NETWORK, *schema.TRAINED, *network_file._SCALINGS, "optimizer_state"}
    records = Options, Learnt, Progress
    assert kept == {field.name for record in records for field in dataclasses.fields(record)}


def test_the_options_of_a_network_are_its_arguments_and_those_of_a_file():
    arguments = [*inspect.signature(fastbp.Network).parameters]
    assert {*arguments} == {"sizes", "init", *OPTION_NAMES}
    assert tuple(schema.NETWORK) == OPTION_NAMES


def test_a_field_that_came_after_a_file_has_its_default(path):
    arrays, about = network_file.described(network())
    for name in schema.LATER:
        del about["network" if name in schema.NETWORK else "trained"][name]
    container.write(path, arrays, about)
    back = fastbp.load(path)._fastbp
    options = back.options
    assert (options.scale_inputs, options.scale_outputs, back.learnt.classes) == (False, False, None)


def test_an_optimizer_s_state_outlives_another_number_of_layers(path):
    net = network("huber")
    net.weights, net.biases = [np.ones((3, 6))], [np.zeros((3, 1))]
    net.save(path)
    back = fastbp.load(path)
    assert [len(weights) for weights, _ in back._fastbp.progress.optimizer_state.values()] == [3]
    assert bits(back) == bits(net)
    assert (back.sizes, back.num_layers) == ([6, 3], 2), "those of its weights"


def test_a_network_that_could_not_be_loaded_is_not_saved(path):
    net = network()  # of two activations
    net.weights, net.biases = [np.ones((3, 6))], [np.zeros((3, 1))]
    with pytest.raises(ValueError, match=r"(activation|dropout): expected one value, or 0, one per layer"):
        net.save(path)
    assert not path.exists()


class Sub(Network):
    pass


def test_of_a_subclass_the_network_is_loaded(path):
    Sub([3, 2], seed=0).save(path)
    assert type(fastbp.load(path)) is Network


@pytest.mark.parametrize("sizes", [[3], [3, 1]])
def test_small_networks(path, sizes):
    net = Network(sizes, seed=1)
    net.save(path)
    assert repr(fastbp.load(path)) == repr(net)


def test_weights_that_a_user_has_set(path):
    net = Network([3, 2])
    net.weights, net.biases = [[[1, 2], [3, 4], [5, 6]]], [[[0], [0], [1]]]
    net.save(path)
    back = fastbp.load(path)
    assert back.weights[0].tolist() == [[1, 2], [3, 4], [5, 6]]
    assert back.sizes == [2, 3], "those of its weights"


def test_another_process_predicts_the_same_bits(path):
    net = Network([6, 9, 3], activation="tanh", scale_inputs=True, seed=0)
    net.fit(X, np.array(["cat", "dog", "eel"])[LABELS], epochs=5, batch_size=5, optimizer="adam")
    net.save(path)
    np.save(path.with_suffix(".npy"), X)
    code = (
        "import sys, numpy as np, fastbp; net = fastbp.load(sys.argv[1]); X = np.load(sys.argv[2]); "
        "print(net.predict_proba(X).tobytes().hex(), *net.predict(X))"
    )
    command = [sys.executable, "-c", code, str(path), str(path.with_suffix(".npy"))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [net.predict_proba(X).tobytes().hex(), *net.predict(X)]


def test_a_path_may_be_text_and_a_link_stays_one(tmp_path, path):
    link = tmp_path / "link"
    link.symlink_to(path)
    network().save(str(link))
    assert link.is_symlink()
    assert bits(fastbp.load(str(path))) == bits(network())


def test_a_users_own_functions_are_not_in_a_file(path):
    cost = fastbp.Cost(lambda a, y: (a - y) ** 2, lambda a, y: 2 * (a - y))
    net = fresh(cost=cost)
    net.save(path)
    assert b"lambda" not in path.read_bytes()
    with pytest.raises(ValueError, match=r"expected the network.s user-defined functions, .* cost="):
        fastbp.load(path)
    assert bits(fitted(net=fastbp.load(path, cost=cost))) == bits(fitted(net=net))


def test_the_layout_is_that_of_safetensors(path):
    library = pytest.importorskip("safetensors.numpy")
    net = network()
    net.save(path)
    found = library.load_file(path)
    assert (found["weights.1"] == net.weights[1]).all()


def test_arrays_are_aligned_whatever_the_length_of_the_metadata(path):
    for length in range(8):
        container.write(path, {"numbers": np.ones(1)}, {"text": "x" * length})
        assert int.from_bytes(path.read_bytes()[:8], "little") % 8 == 0


def test_the_mode_is_kept(path):
    path.write_bytes(b"old")
    path.chmod(0o640)
    network().save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("number", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["weights.1", "biases.0", "optimizer.nu.weights.0", "input_scaling.mean"])
def test_numbers_that_are_not_finite_are_neither_read_nor_saved(path, name, number):
    net = fresh(scale_inputs=True)
    net.fit(X, LABELS, **OPTIONS, optimizer="rmsprop")
    arrays, about = network_file.described(net)
    array = arrays[name].copy()
    array.flat[0] = number
    container.write(path, {**arrays, name: array}, about)
    if name.startswith("optimizer") and number == math.inf:  # a square may overflow
        weights, _ = fastbp.load(path)._fastbp.progress.optimizer_state["nu"]
        assert weights[0].flat[0] == math.inf
        return
    refused(
        path, f"damaged: .*{name.split('.')[-2]}.* expected .*finite|damaged: {name}.* expected numbers, got"
    )
    if name[:6] in ("weight", "biases"):
        kind, layer = name.split(".")
        getattr(net, kind)[int(layer)].flat[0] = number
        before = path.read_bytes()
        with pytest.raises(
            ValueError, match=rf"{path}: not saved: {name}\[0, 0\]: expected finite numbers, got"
        ):
            net.save(path)
        assert path.read_bytes() == before


def test_an_optimizer_of_a_user_s_own_is_refused_at_once(path):
    class Slower(fastbp.Adam):
        row = "adam"

    net = fitted(optimizer=Slower())
    with pytest.raises(
        ValueError, match=r"not saved: trained.optimizer.kind: expected one of 'SGD'.*, got 'Slower'"
    ):
        net.save(path)


@pytest.mark.survives("old file")
def test_a_file_of_this_version_loads_for_ever():
    net = fastbp.load(Path(__file__).parent / "saved" / "0.2.0.fastbp")
    assert net.outputs(X[:2] / 4).tobytes().hex() == "cb33583ec1cd003f984a923e0bfb703e544ee23e2634a53e"
    assert net._fastbp.progress.optimizer == fastbp.AdamW(weight_decay=0.1)
    assert list(net._fastbp.progress.optimizer_state) == ["mu", "nu"]


def test_a_folder_that_is_missing_is_named_once(tmp_path):
    path = str(tmp_path / "none" / "net")
    with pytest.raises(FileNotFoundError) as caught:
        fastbp.Network([2, 1]).save(path)
    assert str(caught.value) == f"[Errno 2] No such file or directory: {path!r}"
