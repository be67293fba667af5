"""The loaders: what they return from sound files, and that no damaged one passes."""

import gzip
import hashlib
import io
import itertools
import math
import os
import re
import shutil
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from fastbp.datasets import Part, Splits, load_idx, load_mnist, load_npz, read_idx, shipped
from refusals import assert_refused

MNIST = Path(str(files("fastbp.datasets") / "mnist"))
CODES = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}
MiB = 1 << 20


def header(code, shape):
    return struct.pack(f">HBB{len(shape)}I", 0, code, len(shape), *shape)


def idx_bytes(array):
    return (
        header(CODES[array.dtype.name], array.shape) + array.astype(array.dtype.newbyteorder(">")).tobytes()
    )


def plain(content):
    return content


def gzipped(content):
    return gzip.compress(content, compresslevel=1, mtime=0)


def same(a, b):
    """Equal to the bit, NaN included."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("idx") / "some-idx-ubyte"


SMALL = np.arange(-3, 9, dtype=np.int16).reshape(2, 3, 2)


# ---- read_idx: sound files


@pytest.mark.sampled
@pytest.mark.parametrize("pack", [plain, gzipped])
@pytest.mark.parametrize("dtype", CODES)
@given(data=st.data())
def test_idx_round_trip(path, dtype, pack, data):
    shape = data.draw(st.just(()) | array_shapes(min_dims=1, max_dims=5, min_side=0, max_side=4))
    array = data.draw(arrays(np.dtype(dtype), shape))
    path.write_bytes(pack(idx_bytes(array)))
    got = read_idx(path)
    assert same(got, array)
    assert got.dtype.isnative and got.flags.writeable and got.flags.aligned and got.flags.c_contiguous


def test_idx_bytes_written_by_hand(path):
    path.write_bytes(bytes.fromhex("00000b02 00000001 00000002 0102 fffe"))
    assert read_idx(path).tolist() == [[258, -2]]


def test_idx_larger_than_a_chunk(path):
    array = np.random.default_rng(0).integers(0, 256, (3, MiB), dtype=np.uint8)
    for pack in plain, gzipped:
        path.write_bytes(pack(idx_bytes(array)))
        assert same(read_idx(str(path)), array)


def test_idx_of_several_gzip_members(path):
    content = idx_bytes(SMALL)
    path.write_bytes(gzipped(content[:9]) + gzipped(content[9:]))
    assert same(read_idx(path), SMALL)


# ---- read_idx: damaged files


@pytest.mark.parametrize("pack", [plain, gzipped])
@pytest.mark.parametrize("dtype", CODES)
def test_every_truncation_is_refused(path, dtype, pack):
    content = pack(idx_bytes(np.abs(SMALL).astype(dtype)))
    for length in range(len(content)):
        path.write_bytes(content[:length])
        assert_refused(lambda: read_idx(path), ValueError, path)


def test_truncation_says_where_it_ends(path):
    path.write_bytes(idx_bytes(SMALL)[:-1])
    assert_refused(
        lambda: read_idx(path), ValueError, path, "ends after 23 of the 24 bytes of int16 of shape (2, 3, 2)"
    )


@pytest.mark.parametrize(
    "content",
    [idx_bytes(SMALL) + b"\0", gzipped(idx_bytes(SMALL) + b"\0"), gzipped(idx_bytes(SMALL)) + b"more"],
    ids=["plain", "inside gzip", "after gzip"],
)
def test_trailing_bytes_are_refused(path, content):
    path.write_bytes(content)
    assert_refused(lambda: read_idx(path), ValueError, path)


@pytest.mark.parametrize("dtype", CODES)
def test_no_bit_flip_in_gzip_changes_the_array(path, dtype):
    array = np.abs(SMALL).astype(dtype)
    content = gzipped(idx_bytes(array))
    unnoticed = []
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            assert same(read_idx(path), array)
            unnoticed.append(bit)
        except ValueError as error:
            assert str(path) in str(error)
    payload, trailer = 8 * 10, 8 * (len(content) - 8)  # before: time, system; after: CRC and length
    assert not [bit for bit in unnoticed if bit >= trailer]
    # within: padding, and other ways to say the same
    assert len([bit for bit in unnoticed if bit >= payload]) < (trailer - payload) / 10


@pytest.mark.parametrize(
    "magic", ["00010801", "01000801", "00000a01", "00000001", "0000ff01", "50 4b 03 04", "93 4e 55 4d"]
)
def test_wrong_magic_is_refused(path, magic):
    magic = bytes.fromhex(magic)
    path.write_bytes(magic + struct.pack(">I", 1) + b"\0")
    assert_refused(
        lambda: read_idx(path), ValueError, path, magic.hex(" "), "00 00", "08, 09, 0b, 0c, 0d, 0e"
    )


@pytest.mark.survives("hostile file")
@pytest.mark.parametrize("pack", [plain, gzipped])
@pytest.mark.parametrize("code", CODES.values())
@pytest.mark.parametrize(
    "shape", [(2**32 - 1,), (2**31, 2), (2**32 - 1,) * 3, (2**16,) * 4, (2**32 - 1,) * 255]
)
def test_absurd_sizes_are_refused_without_memory(path, shape, code, pack):
    path.write_bytes(pack(header(code, shape) + bytes(100)))
    tracemalloc.start()
    try:
        assert_refused(lambda: read_idx(path), ValueError, path, "ends after 100 of the ")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * MiB


@pytest.mark.parametrize("shape", [(1,) * 65, (0, *(2**32 - 1,) * 3)])
def test_shapes_beyond_numpy_are_refused(path, shape):
    path.write_bytes(header(CODES["uint8"], shape) + bytes(math.prod(shape)))
    assert_refused(lambda: read_idx(path), ValueError, path, shape)


@given(
    st.sampled_from([b"", b"\0\0", b"\0\0\x08\0", b"\0\0\x0d\1\0\0\0", b"\x1f\x8b\x08"]),
    st.binary(max_size=80),
)
def test_any_bytes_are_refused_or_written_back_equal(path, start, rest):
    content = start + rest
    path.write_bytes(content)
    try:
        assert idx_bytes(read_idx(path)) == content
    except ValueError as error:
        assert str(path) in str(error)


def test_missing_file_and_folder_are_os_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape("absent-idx1-ubyte")):
        read_idx(tmp_path / "absent-idx1-ubyte")
    with pytest.raises(OSError, match=re.escape(str(tmp_path))):
        read_idx(tmp_path)


# ---- load_idx


IMAGES = np.random.default_rng(1).integers(0, 256, (4, 3, 5), dtype=np.uint8)
LABELS = np.array([2, 0, 1, 2], dtype=np.uint8)


def store(folder, part, images=IMAGES, labels=LABELS, packs=(plain, plain)):
    for name, array, pack in zip(("images-idx3", "labels-idx1"), (images, labels), packs, strict=True):
        suffix = ".gz" if pack is gzipped else ""
        (folder / f"{part}-{name}-ubyte{suffix}").write_bytes(pack(idx_bytes(array)))


@pytest.mark.parametrize("packs", [*itertools.product([plain, gzipped], repeat=2)])
def test_load_idx(tmp_path, packs):
    store(tmp_path, "train", packs=packs)
    store(tmp_path, "t10k", IMAGES[:3], LABELS[1:], packs=packs[::-1])
    training, test = load_idx(str(tmp_path))
    for part, images, labels in (training, IMAGES, LABELS), (test, IMAGES[:3], LABELS[1:]):
        X, y = part
        assert isinstance(part, Part)
        assert same(X, images.reshape(-1, 15))
        assert same(y, labels.astype(np.int64))
        assert X.flags.writeable and y.flags.writeable


def test_load_idx_without_a_test_set(tmp_path):
    store(tmp_path, "train")
    training, test = load_idx(tmp_path)
    assert same(training.X, IMAGES.reshape(4, 15))
    assert test is None


def test_load_idx_reads_the_plain_file_where_both_lie(tmp_path):
    store(tmp_path, "train", packs=(gzipped, gzipped))
    store(tmp_path, "train", images=255 - IMAGES)
    assert same(load_idx(tmp_path)[0].X, 255 - IMAGES.reshape(4, 15))


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 2, 3, 3), (0, 3, 5), (4, 0, 5)])
@pytest.mark.parametrize("dtype", CODES)
def test_load_idx_flattens_images_of_any_shape_and_type(tmp_path, shape, dtype):
    images = np.arange(math.prod(shape)).astype(dtype).reshape(shape)
    store(tmp_path, "train", images, LABELS[: shape[0]])
    (X, _), _ = load_idx(tmp_path)
    assert same(X, images.reshape(shape[0], math.prod(shape[1:])))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32"])
def test_load_idx_takes_labels_of_any_integer_type(tmp_path, dtype):
    labels = np.array([0, 1, 127, 3], dtype=dtype)
    store(tmp_path, "train", labels=labels)
    assert same(load_idx(tmp_path)[0].y, labels.astype(np.int64))


@pytest.mark.parametrize("part", ["train", "t10k"])
def test_unequal_counts_name_both_files(tmp_path, part):
    store(tmp_path, "train")
    store(tmp_path, part, labels=LABELS[:3])
    assert_refused(
        lambda: load_idx(tmp_path),
        ValueError,
        tmp_path / f"{part}-images-idx3-ubyte has the shape (4, 3, 5)",
        tmp_path / f"{part}-labels-idx1-ubyte the shape (3,)",
    )


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (np.array([0, 1, -1, -7], dtype=np.int8), "label -1 in row 2"),
        (np.array([0, 1, 2, -(2**31)], dtype=np.int32), "label -2147483648 in row 3"),
        (np.zeros(4, np.float32), "float32 of shape (4,)"),
        (np.zeros(4, np.float64), "float64 of shape (4,)"),
        (np.zeros((4, 1), np.uint8), "uint8 of shape (4, 1)"),
        (np.zeros((), np.uint8), "the shape ()"),
    ],
)
def test_wrong_labels_are_refused(tmp_path, labels, told):
    store(tmp_path, "train", labels=labels)
    assert_refused(lambda: load_idx(tmp_path), ValueError, tmp_path / "train-labels-idx1-ubyte", told)


@pytest.mark.parametrize(
    "absent", ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"]
)
def test_half_a_pair_names_the_missing_file(tmp_path, absent):
    store(tmp_path, "train")
    store(tmp_path, "t10k")
    (tmp_path / f"{absent}-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match=f"{re.escape(str(tmp_path))}: no file {absent}-ubyte in"):
        load_idx(tmp_path)


@pytest.mark.parametrize("folder", ["", "absent"])
def test_empty_and_missing_folder_name_both_files(tmp_path, folder):
    both = "train-images-idx3-ubyte and train-labels-idx1-ubyte"
    with pytest.raises(FileNotFoundError, match=f"{re.escape(str(tmp_path / folder))}: no file {both} in"):
        load_idx(tmp_path / folder)


# ---- load_npz


ARRAYS = {
    "X": np.random.default_rng(2).random((5, 3), dtype=np.float32),
    "y": np.array([0, 1, 1, 0, 2]),
    "X_test": np.arange(6.0).reshape(2, 3),
    "y_test": np.array([[0.5, 1.0], [1.5, -2.0]]),
}


def npz_bytes(save=np.savez, **named):
    buffer = io.BytesIO()
    save(buffer, **named)
    return buffer.getvalue()


def zip_bytes(*members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def npy_bytes(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("names", [("X", "y"), ("X", "y", "X_test", "y_test"), ("other", "X", "y")])
def test_load_npz(path, save, names):
    path.write_bytes(npz_bytes(save, **{name: ARRAYS.get(name, np.array(0)) for name in names}))
    training, test = load_npz(str(path))
    assert isinstance(training, Part)
    assert same(training.X, ARRAYS["X"]) and same(training.y, ARRAYS["y"])
    if "X_test" in names:
        assert isinstance(test, Part)
        assert same(test.X, ARRAYS["X_test"]) and same(test.y, ARRAYS["y_test"])
    else:
        assert test is None


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ((), "holds the arrays (none); expected X, y,"),
        (("X",), "holds the arrays X; expected X, y,"),
        (("y", "z"), "holds the arrays y, z; expected X, y,"),
        (("X", "y", "X_test"), "holds the arrays X, y, X_test; expected X, y, X_test, y_test,"),
        (("X", "y_test"), "holds the arrays X, y_test; expected X, y, X_test, y_test,"),
    ],
)
def test_npz_lists_the_names_found_and_expected(path, names, told):
    path.write_bytes(npz_bytes(**{name: ARRAYS.get(name, np.array(0)) for name in names}))
    assert_refused(lambda: load_npz(path), ValueError, path, told)


@pytest.mark.survives("hostile file")
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_npz_with_a_name_twice_is_refused(path):
    members = [(f"{name}.npy", npy_bytes(ARRAYS[name])) for name in ("X", "y", "X")]
    path.write_bytes(zip_bytes(*members))
    assert_refused(lambda: load_npz(path), ValueError, path, "holds the arrays X, y, X;", "once")


@pytest.mark.parametrize(("X", "y"), [("X", "y"), ("X_test", "y_test")])
@pytest.mark.parametrize("wrong", [np.zeros(7), np.zeros((0, 2)), np.array(1)])
def test_npz_of_unequal_counts_names_both_arrays(path, X, y, wrong):
    path.write_bytes(npz_bytes(**{**ARRAYS, y: wrong}))
    shape = ARRAYS[X].shape
    assert_refused(
        lambda: load_npz(path),
        ValueError,
        f"{path}[{X}] has the shape {shape} and {path}[{y}] the shape {wrong.shape}",
    )


class Canary:
    """Unpickling it makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.survives("hostile file")
def test_npz_runs_no_pickle(path, tmp_path):
    canary = tmp_path / "sung"
    path.write_bytes(npz_bytes(X=ARRAYS["X"], y=np.array([Canary(canary)], dtype=object)))
    assert_refused(lambda: load_npz(path), ValueError, path, "expected numbers or text, got pickled objects")
    assert not canary.exists()


@pytest.mark.parametrize("content", [b"", b"PK", npy_bytes(ARRAYS["X"]), idx_bytes(SMALL)])
def test_what_is_no_npz_is_refused(path, content):
    path.write_bytes(content)
    assert_refused(lambda: load_npz(path), ValueError, path, "not a readable .npz file", "BadZipFile")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damaged_npz_is_refused_or_equal(path, save):
    arrays = {name: ARRAYS[name] for name in ("X", "y")}
    content = npz_bytes(save, **arrays)
    cuts = [content[:length] for length in range(len(content))]
    flips = [
        content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :] for at in range(len(content))
    ]
    refusals = 0
    for damaged in cuts + flips:
        path.write_bytes(damaged)
        try:
            training, _ = load_npz(path)
            assert same(training.X, arrays["X"]) and same(training.y, arrays["y"])
        except ValueError as error:
            assert str(path) in str(error)
            refusals += 1
    assert refusals > len(cuts)


@pytest.mark.parametrize("shape", [(2**40,), (2**63,), (2**62, 4), (-1,), (10**30,), (3, 2, 5), (1,)])
def test_npz_of_another_size_than_its_shape_is_refused(path, shape):
    described = io.BytesIO()
    np.lib.format.write_array_header_1_0(described, {"descr": "<f8", "fortran_order": False, "shape": shape})
    path.write_bytes(
        zip_bytes(("X.npy", described.getvalue() + bytes(48)), ("y.npy", npy_bytes(ARRAYS["y"])))
    )
    assert_refused(lambda: load_npz(path), ValueError, path, "not a readable .npz file")


def test_missing_npz_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.npz"):
        load_npz(tmp_path / "absent.npz")


# ---- MNIST


N_TRAINING, N_VALIDATION, N_TEST = 50_000, 10_000, 10_000
DIGITS_OF_TRAINING_FILE = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
DIGITS_OF_TEST_FILE = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
SHA256 = {  # of the canonical files, uncompressed
    "train-images": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
GZ_FILES = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
]


@pytest.fixture(scope="module")
def mnist():
    return load_mnist()


def test_mnist_types_and_shapes(mnist):
    training, validation, test = mnist
    assert isinstance(mnist, Splits)
    assert training is mnist.training and validation is mnist.validation and test is mnist.test
    for part, n in zip(mnist, (N_TRAINING, N_VALIDATION, N_TEST), strict=True):
        assert isinstance(part, Part)
        assert part.X.shape == (n, 784) and part.X.dtype == np.uint8
        assert part.y.shape == (n,) and part.y.dtype == np.int64
        assert part.X.flags.c_contiguous and part.X.flags.writeable and part.y.flags.writeable


def test_mnist_digits(mnist):
    training, validation, test = mnist
    assert training.y[:5].tolist() == [5, 0, 4, 1, 9]
    assert test.y[:5].tolist() == [7, 2, 1, 0, 4]
    assert np.bincount(np.concatenate([training.y, validation.y])).tolist() == DIGITS_OF_TRAINING_FILE
    assert np.bincount(test.y).tolist() == DIGITS_OF_TEST_FILE


def test_mnist_is_the_canonical_one_in_its_order(mnist):
    training, validation, test = mnist
    for name, parts in ("train", (training, validation)), ("t10k", (test,)):
        X = np.concatenate([part.X for part in parts])
        y = np.concatenate([part.y for part in parts]).astype(np.uint8)
        assert hashlib.sha256(idx_bytes(X.reshape(-1, 28, 28))).hexdigest() == SHA256[f"{name}-images"]
        assert hashlib.sha256(idx_bytes(y)).hexdigest() == SHA256[f"{name}-labels"]


def test_every_call_returns_new_arrays(mnist):
    before = [array.copy() for part in mnist for array in part]
    again = load_mnist()
    for part in again:
        part.X[...] = 1
        part.y[...] = 1
    after = [array for part in mnist for array in part]
    assert all(map(same, before, after))
    assert not any(np.shares_memory(a.X, b.X) for a, b in itertools.combinations(mnist, 2))


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of the MNIST folder, from which load_mnist then reads."""
    folder = tmp_path / "mnist"
    shutil.copytree(MNIST, folder)
    monkeypatch.setattr(shipped, "FOLDER", folder)
    return folder


def test_copied_mnist_folder_loads(copy, mnist):
    assert all(same(a, b) for a, b in zip(load_mnist().test, mnist.test, strict=True))


@pytest.mark.parametrize("where", [0, 4, 0.5, -1])
@pytest.mark.parametrize("name", GZ_FILES)
def test_one_wrong_bit_in_mnist_is_refused(copy, name, where):
    content = bytearray((copy / name).read_bytes())
    content[int(where * len(content)) if isinstance(where, float) else where] ^= 0x10
    (copy / name).write_bytes(content)
    assert_refused(load_mnist, ValueError, copy / name, hashlib.sha256(content).hexdigest(), "SHA256SUMS")


@pytest.mark.parametrize("name", GZ_FILES)
def test_other_sound_data_in_place_of_mnist_are_refused(copy, name):
    array = read_idx(copy / name)
    (copy / name).write_bytes(gzipped(idx_bytes(array[::-1])))
    assert_refused(load_mnist, ValueError, copy / name, "SHA256SUMS")


@pytest.mark.parametrize("name", GZ_FILES)
def test_mnist_file_without_a_checksum_is_refused(copy, name):
    sums = (copy / "SHA256SUMS").read_text()
    (copy / "SHA256SUMS").write_text(sums.replace(name, f"other-{name}"))
    assert_refused(load_mnist, ValueError, copy / name, "SHA256SUMS")


@pytest.mark.parametrize("name", [*GZ_FILES, "SHA256SUMS"])
def test_missing_mnist_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(FileNotFoundError, match=re.escape(str(copy / name))):
        load_mnist()


def test_checksum_file_may_have_windows_line_ends(copy):
    sums = (copy / "SHA256SUMS").read_bytes()
    (copy / "SHA256SUMS").write_bytes(sums.replace(b"\n", b"\r\n"))
    assert load_mnist().test.y.shape == (N_TEST,)


def test_mnist_loads_from_a_zipped_package(tmp_path):
    package = MNIST.parent
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as archive:
        archive.writestr("fastbp/__init__.py", "")
        for file in [*package.glob("*.py"), *MNIST.iterdir()]:
            archive.write(file, file.relative_to(package.parent.parent))
    program = "import fastbp.datasets as d; print(d.__file__, d.load_mnist().test.y[:5].tolist())"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "package.zip")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip().endswith("[7, 2, 1, 0, 4]") and "package.zip" in run.stdout
