"""Files that are damaged, hostile or of another kind are refused, within bounds of time and memory."""

import copy
import json
import math
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

import fastbp
from command import said
from fastbp import Network
from fastbp.files import container, network_file
from reproduce.fuzz_files.formats import signed
from saved import at_most, network, refused, small_file
from toy import LABELS, OPTIONS, X, bits, fresh


@pytest.mark.survives("damaged file")
def test_every_truncation_is_refused(path, record_property):
    whole = small_file(path)
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        refused(path, "truncated|empty|expected a network saved|damaged")
    path.write_bytes(whole + b" ")
    refused(path, "damaged: there are bytes after its last array")
    record_property("tried", len(whole) + 1)


@pytest.mark.survives("damaged file")
def test_every_flipped_bit_is_refused(path, full, record_property):
    whole = bytearray(small_file(path))
    flips = min(8 * len(whole), 10_000 if full else 500)
    for bit in np.random.default_rng(0).choice(8 * len(whole), flips, replace=False).tolist():
        whole[bit // 8] ^= 1 << bit % 8
        path.write_bytes(whole)
        refused(path)
        whole[bit // 8] ^= 1 << bit % 8
    path.write_bytes(whole)
    fastbp.load(path)
    record_property("tried", flips)


class Canary:
    def __reduce__(self):
        return os.system, ("touch canary",)


@pytest.mark.survives("hostile file", each=5)
def test_nothing_of_another_format_is_executed(path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "other.npz", X=np.array([Canary()], object))
    contents = [b"", b"text", pickle.dumps(Canary()), (tmp_path / "other.npz").read_bytes(), bytes(1000)]
    for content in contents:
        path.write_bytes(content)
        refused(path, "expected a network saved by fastbp")
    assert not (tmp_path / "canary").exists()


def written(header):
    return json.dumps(header, separators=(",", ":"))


def header(**entries):
    about = {"format": "fastbp 1", "sha256": "0" * 64, "fastbp": "{}"}
    return {"__metadata__": about, **entries}


def entry(shape, begin, end, dtype="F64"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.survives("hostile file")
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


@pytest.mark.parametrize("metadata", ["null", "3", "true", '"ensemble"', "[]", "[[1]]"])
def test_metadata_that_are_no_object_are_refused(path, metadata):
    path.write_bytes(signed({"__metadata__": {"format": "fastbp 1", "sha256": "0" * 64, "fastbp": metadata}}))
    refused(path, "damaged: its header cannot be read: expected an object of JSON, got")
    with pytest.raises(ValueError, match="damaged: its header cannot be read: expected an object of JSON"):
        fastbp.load_ensemble(path)


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
    assert set(back._fastbp.progress.optimizer_state) == set(names)


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


@pytest.mark.survives("hostile file")
def test_reading_takes_no_more_than_twice_the_file(path):
    """Reads in a separate process, whose peak of memory is that of reading alone."""
    net = Network([1000, 2000, 1000], seed=0)
    net.save(path)
    code = (
        "import resource, sys, fastbp\nfrom fastbp import Network\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "before = peak(); net = fastbp.load(sys.argv[1]); print(peak() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1.3 * path.stat().st_size, "twice is promised"
