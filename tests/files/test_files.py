"""Networks in files: what comes back, what is refused, and what is on the disk whatever fails."""

import contextlib
import copy
import dataclasses
import errno
import inspect
import json
import math
import os
import pickle
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import fastbp
from command import said
from fastbp import Network
from fastbp.engine.architecture import OPTIONS as OPTION_NAMES
from fastbp.engine.architecture import State
from fastbp.files import container, durable, network_file, schema
from toy import LABELS, OPTIONS, X, bits, fitted, fresh

RECIPES = {
    "plain": ({}, {}),
    "everything": (
        {
            "activation": [fastbp.LeakyReLU(0.02), "gelu"],
            "output_activation": "softmax",
            "cost": "cross_entropy",
            "dropout": [0.1, 0.2],
            "frozen": [0],
            "dtype": "float32",
            "uint8_divisor": 7.0,
        },
        {"optimizer": fastbp.AdamW(weight_decay=0.1), "learning_rate": 0.01},
    ),
    "unseeded": ({"seed": None, "dropout": 0.3}, {"optimizer": "rmsprop", "learning_rate": 0.01}),
    "huber": (
        {"cost": fastbp.Huber(0.5), "output_activation": "linear"},
        {"optimizer": "nesterov", "learning_rate": 0.01},
    ),
}


def network(recipe="everything", epochs=2):
    np.random.seed(0)  # noqa: NPY002  of the network without a seed
    options, training = RECIPES[recipe]
    net = fresh([6, 9, 8, 3], **options)
    net.fit(X, LABELS, **{**OPTIONS, **training, "epochs": epochs})
    return net


def state(net):
    """Every field but the optimizer's state, whose arrays have no ==."""
    return {
        field.name: getattr(net._fastbp, field.name)
        for field in dataclasses.fields(State)
        if field.name != "optimizer_state"
    }


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.fastbp"


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
    assert back._fastbp.optimizer_state.keys() == net._fastbp.optimizer_state.keys()
    for name, parameters in net._fastbp.optimizer_state.items():
        for arrays, others in zip(back._fastbp.optimizer_state[name], parameters, strict=True):
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
    assert kept == {field.name for field in dataclasses.fields(State)}


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
    assert (back.scale_inputs, back.scale_outputs, back.classes) == (False, False, None)


def test_an_optimizer_s_state_outlives_another_number_of_layers(path):
    net = network("huber")
    net.weights, net.biases = [np.ones((3, 6))], [np.zeros((3, 1))]
    net.save(path)
    back = fastbp.load(path)
    assert [len(weights) for weights, _ in back._fastbp.optimizer_state.values()] == [3]
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
        weights, _ = fastbp.load(path)._fastbp.optimizer_state["nu"]
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


# What is refused


@contextlib.contextmanager
def at_most(seconds):
    """Fails instead of waiting for ever."""

    def fail(*arguments):
        raise AssertionError("it waits")  # not a TimeoutError, which is an OSError

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def refused(path, match=None):
    with pytest.raises(ValueError, match=match) as caught:
        fastbp.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def small_file(path):
    net = fresh([2, 2])
    net.save(path)
    return path.read_bytes()


def test_every_truncation_is_refused(path):
    whole = small_file(path)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        refused(path, "truncated|empty|expected a network saved|damaged")
    path.write_bytes(whole + b" ")
    refused(path, "damaged: there are bytes after its last array")


def test_every_flipped_bit_is_refused(path, request):
    whole = bytearray(small_file(path))
    flips = min(8 * len(whole), 5000 if request.config.getoption("--full") else 500)
    for bit in np.random.default_rng(0).choice(8 * len(whole), flips, replace=False).tolist():
        whole[bit // 8] ^= 1 << bit % 8
        path.write_bytes(whole)
        refused(path)
        whole[bit // 8] ^= 1 << bit % 8
    path.write_bytes(whole)
    fastbp.load(path)


class Canary:
    def __reduce__(self):
        return os.system, ("touch canary",)


def test_nothing_of_another_format_is_executed(path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "other.npz", X=np.array([Canary()], object))
    contents = [b"", b"text", pickle.dumps(Canary()), (tmp_path / "other.npz").read_bytes(), bytes(1000)]
    for content in contents:
        path.write_bytes(content)
        refused(path, "expected a network saved by fastbp")
    assert not (tmp_path / "canary").exists()


def signed(header, data=b""):
    """A file with a right checksum, whatever its header says."""
    import hashlib

    text = written(header) if isinstance(header, dict) else header
    start = len(text).to_bytes(8, "little") + text.encode()
    place = start.index(b"0" * 64)
    digest = hashlib.sha256(start + data).hexdigest().encode()
    return start[:place] + digest + start[place + 64 :] + data


def written(header):
    return json.dumps(header, separators=(",", ":"))


def header(**entries):
    about = {"format": "fastbp 1", "sha256": "0" * 64, "fastbp": "{}"}
    return {"__metadata__": about, **entries}


def entry(shape, begin, end, dtype="F64"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    "content",
    [
        signed(header(a=entry([2**62], 0, 2**65))),
        signed(header(a=entry([-1], 0, -8))),
        signed(header(a=entry([1.0], 0, 8)), bytes(8)),
        signed(header(a=entry([True], 0, 8)), bytes(8)),
        signed(header(a=entry([1], 0, 8, "PYTHON")), bytes(8)),
        signed(header(a=entry([1], 0, 8), b=entry([1], 0, 8)), bytes(8)),
        signed(header(a=entry([1], 8, 16)), bytes(16)),
        signed(header(a=entry([1], 0, 16)), bytes(16)),
        signed(header(a=7)),
        signed(header(a=entry([0, 2**62], 0, 0))),
        signed(header(a=entry([1] * 65, 0, 8)), bytes(8)),
        signed(header(a=entry([10**4000] * 3000, 0, 8)), bytes(8)),  # whose product takes minutes
        signed(written(header(a=entry([1], 0, 8)))[:-1] + f',"a":{written(entry([1], 0, 8))}}}', bytes(8)),
        signed(written(header())[:-1] + ',"a":' + "[" * 100_000),
        (2**63).to_bytes(8, "little") + signed(header())[8:],
    ],
)
def test_hostile_files_are_refused(path, content):
    path.write_bytes(content)
    with at_most(seconds=20):
        refused(path, "truncated|damaged: its (header|arrays)|bytes after")


def test_a_file_of_no_network_is_refused(path):
    path.write_bytes(signed(header()))
    assert container.read(path) == ({}, {})
    refused(path, "damaged: version: expected a value, got none")


def test_a_later_format_is_told_from_damage(path):
    content = small_file(path).replace(b'"fastbp 1"', b'"fastbp 2"', 1)
    path.write_bytes(content)
    refused(path, "needs a later version of fastbp")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda about: about["network"].update(dropout=5.0), "dropout: expected a number from 0"),
        (lambda about: about["network"].update(cost="none"), "cost: expected one of"),
        (lambda about: about["trained"].update(task="guess"), "task: expected one of"),
        (lambda about: about["trained"].update(batches=-3), "trained.batches: expected an integer from 0"),
        (lambda about: about["trained"].update(optimizer={"kind": "os", "options": {}}), "damaged"),
        (lambda about: about.pop("network"), "damaged"),
        (lambda about: about["network"].update(activation=json.loads("[" * 900 + "]" * 900)), "damaged"),
        (lambda about: about["network"].update(activation={"kind": "LeakyReLU", "options": []}), "damaged"),
        (lambda about: about["trained"].update(mood="good"), "needs a later version of fastbp.*mood"),
        (lambda about: about["trained"].update(batches=2**64), "batches: expected .* to 2\\^64 - 1"),
        (lambda about: about["trained"].update(optimizer="adam"), "optimizer: expected one of 'SGD'"),
        (
            lambda about: about.update(sizes=[6, math.inf]),
            r"sizes\[1\]: expected an integer from 1 to 2\^63 - 1",
        ),
    ],
)
def test_networks_that_cannot_be_are_refused(path, change, match):
    arrays, about = network_file.described(fresh())
    about = copy.deepcopy(about)
    change(about)
    container.write(path, arrays, about)
    refused(path, match)
    status, _, err = said("info", path)
    assert (status, len(err)) in ((0, 0), (2, 1)), "it tells what can be told, or what is wrong"


@pytest.mark.parametrize(
    ("name", "array", "match"),
    [
        ("weights.0", np.zeros(3), r"weights\[0\]: expected shape"),
        ("weights.0", np.zeros(()), r"weights\[0\]: expected shape"),
        ("weights.2", np.zeros((3, 3)), "damaged.*biases.2"),
        ("optimizer.0.weights.0", np.zeros((9, 6)), "damaged.*state, none, or none, got optimizer.0"),
    ],
)
def test_arrays_of_no_network_are_refused(path, name, array, match):
    arrays, about = network_file.described(fresh())
    container.write(path, arrays | {name: array}, about)
    refused(path, match)


@pytest.mark.parametrize(
    ("kept", "match"),
    [
        (("optimizer.mu",), "expected .*state, optimizer.mu, optimizer.nu, or none, got optimizer.mu"),
        (("optimizer.0",), "expected .*state, optimizer.0, optimizer.1, or none, got optimizer.0"),
        (
            ("optimizer.mu", "optimizer.1"),
            "optimizer.mu, optimizer.nu, or none, got optimizer.1, optimizer",
        ),
        (("optimizer.2",), "expected .*state, optimizer.0, optimizer.1, or none, got optimizer.2"),
    ],
)
def test_half_an_optimizer_s_state_is_refused(path, kept, match):
    arrays, about = network_file.described(network())
    weights, biases = (
        {name.removeprefix("optimizer.mu"): array for name, array in arrays.items() if name.startswith(begin)}
        for begin in ("optimizer.mu.weights", "optimizer.mu.biases")
    )
    others = {name: array for name, array in arrays.items() if not name.startswith("optimizer.")}
    for prefix in kept:
        others |= {f"{prefix}{name}": array for name, array in (weights | biases).items()}
    container.write(path, others, about)
    refused(path, match)


@pytest.mark.parametrize(
    ("optimizer", "names"),
    [
        ("momentum", ("velocity",)),
        ("nesterov", ("velocity",)),
        ("rmsprop", ("nu",)),
        ("adam", ("mu", "nu")),
        ("adamw", ("mu", "nu")),
        ("irprop", ("step", "sign")),
    ],
)
def test_an_optimizer_s_state_has_names_and_those_numbered_by_0_2_are_read(path, optimizer, names):
    options = {**OPTIONS, "optimizer": optimizer, "learning_rate": 0.01}
    net = fresh(seed=1)
    net.fit(X, LABELS, **options)
    arrays, about = network_file.described(net)
    parts = [name for name in arrays if name.startswith("optimizer.")]
    assert list(dict.fromkeys(name.split(".")[1] for name in parts)) == list(names)
    for number, name in enumerate(names):
        for part in [part for part in parts if part.startswith(f"optimizer.{name}.")]:
            arrays[part.replace(name, str(number))] = arrays.pop(part)
    container.write(path, arrays, about)
    back = fastbp.load(path)
    for other in (net, back):
        other.fit(X, LABELS, **options)
    assert bits(back) == bits(net)
    assert set(back._fastbp.optimizer_state) == set(names)


def test_sizes_without_weights_take_no_memory(path):
    _, about = network_file.described(fresh())
    container.write(path, {}, about | {"sizes": [10**9] * 3})
    assert fastbp.load(path).weights == []


def test_a_header_that_the_library_would_not_read_is_neither_written_nor_read(path, monkeypatch):
    small_file(path)
    monkeypatch.setattr(container, "_LONGEST", 100)
    refused(path, "damaged: its header is too long")
    with pytest.raises(ValueError, match="not written: more than 100 bytes"):
        fresh().save(path)


def test_what_no_file_can_hold_is_named(path):
    with pytest.raises(TypeError, match=r"net.fastbp: a: expected an array of float64, .*, got int32"):
        container.write(path, {"a": np.zeros(2, np.int32)}, {})
    with pytest.raises(TypeError, match=r"net.fastbp: expected text, numbers, lists and dicts .* set "):
        container.write(path, {}, {"a": {1}})
    assert not path.exists()


def test_a_folder_and_a_fifo_are_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises((ValueError, OSError), match=r"expected a file, got a folder|directory"):
        fastbp.load(tmp_path)
    net = network(epochs=0)
    with at_most(seconds=5):
        refused(tmp_path / "fifo", "expected a file, got a FIFO")
        for target in (tmp_path, tmp_path / "fifo"):
            with pytest.raises(ValueError, match="expected a file, got"):
                net.save(target)


def test_reading_takes_no_more_than_twice_the_file(path):
    """In a process of its own, whose peak is that of this alone."""
    net = Network([1000, 2000, 1000], seed=0)
    net.save(path)
    code = (
        "import resource, sys, fastbp\nfrom fastbp import Network\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "before = peak(); net = fastbp.load(sys.argv[1]); print(peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1.3 * path.stat().st_size, "twice is promised"


# Durability

CALLS = ("open", "write", "flush", "fsync", "fchmod", "replace", "fsync of the folder")


class Failing:
    """Makes the n-th call fail of what a durable write asks of the system."""

    def __init__(self, monkeypatch, n):
        self.left, self.calls = n, []
        real = {name: getattr(os, name) for name in ("fsync", "replace", "open", "fchmod")}
        for name, function in real.items():
            monkeypatch.setattr(os, name, self.counted(name, function))
        real_open = open

        def opened(file, mode="r", *more, **named):
            if "x" not in mode:
                return real_open(file, mode, *more, **named)
            self.count("open file")
            return Watched(self, real_open(file, mode, *more, **named))

        monkeypatch.setattr(durable, "open", opened, raising=False)

    def count(self, name):
        self.calls.append(name)
        self.left -= 1
        if self.left == 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def counted(self, name, function):
        def call(*arguments, **named):
            self.count(name)
            return function(*arguments, **named)

        return call


class Watched:
    def __init__(self, failing, file):
        self.failing, self.file = failing, file

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def __getattr__(self, name):
        real = getattr(self.file, name)
        return self.failing.counted(name, real) if name in ("write", "flush") else real


def test_whichever_call_fails_the_old_file_or_the_new_is_there(path):
    old, new = network("plain"), network("huber")
    path.unlink(missing_ok=True)
    seen = []
    for n in range(1, 100):
        old.save(path)
        path.chmod(0o640)
        with pytest.MonkeyPatch.context() as monkeypatch:
            failing = Failing(monkeypatch, n)
            try:
                new.save(path)
                error = None
            except OSError as caught:
                error = caught
        assert os.listdir(path.parent) == [path.name], failing.calls
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        kept = bits(fastbp.load(path))
        if error is None:
            assert kept == bits(new)
            break
        assert error.errno == errno.EIO
        assert str(path) in str(error)
        seen.append(failing.calls[-1])
        assert kept == bits(new if "replace" in failing.calls[:-1] else old)
    assert {"open file", "write", "flush", "fsync", "fchmod", "replace"} <= set(seen)
    assert seen[-2:] == ["open", "fsync"], "the folder's"


def test_what_is_written_is_flushed_and_on_the_disk_before_it_has_the_name(path):
    with pytest.MonkeyPatch.context() as monkeypatch:
        failing = Failing(monkeypatch, 10**9)
        network().save(path)
    steps = [name for name in failing.calls if name in ("write", "flush", "fsync", "replace")]
    while steps[:2] == ["write", "write"]:
        del steps[0]
    assert steps == ["write", "flush", "fsync", "replace", "fsync"], "the folder's last"


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_no_temporary_is_left_whatever_is_raised(path, error, monkeypatch):
    network().save(path)
    before = path.read_bytes()

    def raises(*arguments):
        raise error

    monkeypatch.setattr(os, "fsync", raises)
    with pytest.raises(error):
        network("plain").save(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


class AtOpcode:
    """A trace function that raises at the n-th opcode of a durable write."""

    def __init__(self, n):
        self.left = n

    def __call__(self, frame, event, arg):
        if frame.f_code.co_filename != durable.__file__:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self


@pytest.mark.filterwarnings("ignore:unclosed file")  # interrupted before `with` has it: freed, it is closed
def test_an_interrupt_at_every_opcode(tmp_path):
    path = tmp_path / "file"
    for n in range(1, 10_000):
        path.write_bytes(b"old")
        sys.settrace(AtOpcode(n))
        try:
            with durable.writing(path) as file:
                file.write(b"new")
            break
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
        assert path.read_bytes() in (b"old", b"new"), n
        assert os.listdir(tmp_path) == ["file"], n
    assert n > 100
    assert path.read_bytes() == b"new"


def test_writers_at_once_do_not_sweep_each_other_s_files(tmp_path):
    path, failures = tmp_path / "file", []

    def work(content):
        for _ in range(100):
            try:
                with durable.writing(path) as file:
                    file.write(content)
            except OSError as error:
                failures.append(error)

    threads = [threading.Thread(target=work, args=[bytes([n]) * 1000]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert os.listdir(tmp_path) == ["file"]
    assert len(set(path.read_bytes())) == 1


def test_a_sweep_touches_nothing_but_files(tmp_path):
    """Which anybody may put into a folder that all may write to."""
    start = durable._prefix(str(tmp_path / "file"))
    os.mkfifo(f"{start}fifo.tmp")
    other = tmp_path / "other"
    other.write_bytes(b"other")
    os.symlink(other, f"{start}link.tmp")
    Path(f"{start}left.tmp").write_bytes(b"left behind")
    with at_most(seconds=5), durable.writing(tmp_path / "file") as file:
        file.write(b"new")
    assert other.read_bytes() == b"other"
    assert not os.path.exists(f"{start}left.tmp")
    assert os.path.islink(f"{start}link.tmp")


def test_names_as_long_as_they_can_be(tmp_path):
    for name in ("a" * 255, "\N{SNOWMAN}" * 85):
        with durable.writing(tmp_path / name) as file:
            file.write(b"new")
        assert (tmp_path / name).read_bytes() == b"new"


def test_nobody_else_can_read_a_new_file_before_it_has_its_mode(path, monkeypatch):
    path.write_bytes(b"secret")
    path.chmod(0o600)
    modes, keep = [], durable.keep
    monkeypatch.setattr(
        durable, "keep", lambda found, file: (modes.append(os.fstat(file).st_mode & 0o077), keep(found, file))
    )
    fresh().save(path)
    assert modes == [0]


def test_a_folder_that_cannot_be_flushed_is_no_failure(path, monkeypatch):
    real = os.fsync

    def fsync(file):
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    fresh().save(path)
    assert bits(fastbp.load(path)) == bits(fresh())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("this system mounts no tmpfs")
    try:
        small, large = fresh(), Network([100, 400], seed=0)
        small.save(disk / "net")
        with pytest.raises(OSError, match=r"No space left.*net'") as caught:
            large.save(disk / "net")
        assert caught.value.errno == errno.ENOSPC
        assert bits(fastbp.load(disk / "net")) == bits(small)
        assert os.listdir(disk) == ["net"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


SAVING = """
import sys
import numpy as np
from fastbp import Network
net = Network([300, 300], seed=0)
for number in range(10**9):
    net.biases[0][:] = number
    net.weights[0][:] = number
    net.save(sys.argv[1])
    print(number, flush=True)
"""


def test_a_kill_while_saving_leaves_a_whole_file(path, request):
    kills = 200 if request.config.getoption("--full") else 8
    random = np.random.default_rng(0)
    for _ in range(kills):
        with subprocess.Popen(
            [sys.executable, "-c", SAVING, str(path)], stdout=subprocess.PIPE, text=True
        ) as process:
            process.stdout.readline()  # it has begun
            time.sleep(random.uniform(0, 0.02))
            process.send_signal(signal.SIGKILL)
            said = [line for line in process.stdout.read().splitlines() if line]
        net = fastbp.load(path)
        number = net.biases[0][0, 0]
        assert number >= int(said[-1]) if said else True, "older than the last that was told"
        assert (net.weights[0] == number).all() and (net.biases[0] == number).all()
        files_left = [name for name in os.listdir(path.parent) if name != path.name]
        assert len(files_left) <= 1
        fresh().save(path)
        assert os.listdir(path.parent) == [path.name], "the next one that writes there clears up"


def test_a_file_of_this_version_loads_for_ever():
    net = fastbp.load(Path(__file__).parent / "saved" / "0.2.0.fastbp")
    assert net.outputs(X[:2] / 4).tobytes().hex() == "cb33583ec1cd003f984a923e0bfb703e544ee23e2634a53e"
    assert net._fastbp.optimizer == fastbp.AdamW(weight_decay=0.1)
    assert list(net._fastbp.optimizer_state) == ["mu", "nu"]


def test_a_folder_that_is_missing_is_named_once(tmp_path):
    path = str(tmp_path / "none" / "net")
    with pytest.raises(FileNotFoundError) as caught:
        fastbp.Network([2, 1]).save(path)
    assert str(caught.value) == f"[Errno 2] No such file or directory: {path!r}"
