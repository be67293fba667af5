"""Files that would take much more memory than they have bytes are refused before they do."""

import functools
import gzip
import io
import struct
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import pytest

from command import ENVIRONMENT, refused, said
from fastbp import Network
from fastbp.datasets import bounded, load_npz

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the memory of a process")
MiB = 1 << 20
LARGE = 96 * MiB
SLACK = 24 * MiB  # of what a process takes for other things

CHILD = """
import re, sys
from pathlib import Path
from fastbp.datasets import load_npz, npz, read_idx

def peak():  # of this program; ru_maxrss would hold that of the process that started it, too
    return 1024 * int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])

read = {"npz": load_npz, "idx": read_idx, "array": lambda path: npz.load_array(path)}[sys.argv[1]]
before = peak()
try:
    read(sys.argv[2])
    print("read")
except ValueError as error:
    print(error)
print(peak() - before)
"""


def reading(kind, path):
    """Reads a file in a separate process; returns the message, and the bytes by which the process grows."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, kind, path], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    *said, grown = done.stdout.splitlines()
    return "\n".join(said), int(grown)


def npy(shape, numbers=b"", dtype="|u1", version=1):
    file = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    write = np.lib.format.write_array_header_1_0 if version == 1 else np.lib.format.write_array_header_2_0
    write(file, header)
    return file.getvalue() + numbers


def headed(header):
    """An .npy file of any header, and no numbers."""
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header


@functools.cache
def deflated(size, begin=b""):
    """A stream of so many zeros, made in no more memory than a piece of them."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    parts = [packer.compress(begin)]
    for first in range(0, size, MiB):
        parts.append(packer.compress(bytes(min(MiB, size - first))))
    return b"".join([*parts, packer.flush()])


def zipped(path, **members):
    """A zip of deflate streams, each with the size that its directory is to tell; X first."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, (stream, _) in members.items():
            archive.writestr(f"{name}.npy", stream)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
    place = content.index(b"PK\1\2")
    for info, (_, size) in zip(infos, members.values(), strict=True):
        for at, method, told in ((info.header_offset, 8, 22), (place, 10, 24)):
            struct.pack_into("<H", content, at + method, zipfile.ZIP_DEFLATED)
            struct.pack_into("<I", content, at + told, size)
        place = content.index(b"PK\1\2", place + 4) if info is not infos[-1] else place
    path.write_bytes(content)


def small(array):
    file = io.BytesIO()
    np.save(file, array)
    content = file.getvalue()
    return deflated(0, content), len(content)


JUNK = np.random.default_rng(0).bytes(MiB)  # makes what is compressed look less well compressed


def honest(path, size=LARGE):
    """Zeros that are all there, as the header and the directory say."""
    head = npy((size,))
    zipped(path, X=(deflated(size, head), len(head) + size), y=small(np.zeros(3)))


def of_another_directory(path):
    head = npy((4,))
    zipped(path, X=(deflated(LARGE, head), len(head) + LARGE), y=small(np.zeros(3)))


def of_another_header(path):
    head = npy((2**62,))
    zipped(path, X=(deflated(LARGE, head), len(head) + LARGE), y=small(np.zeros(3)))


def that_ends_early(path):
    head = npy((2 * LARGE,))
    zipped(path, X=(deflated(LARGE, head) + JUNK, len(head) + 2 * LARGE), y=small(np.zeros(3)))


def of_a_long_header(path):
    head = b"\x93NUMPY\2\0" + struct.pack("<I", LARGE)
    zipped(path, X=(deflated(LARGE, head), len(head) + LARGE), y=small(np.zeros(3)))


def of_another_method(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("X.npy", npy((LARGE // 4,), bytes(LARGE // 4)))
        archive.writestr("y.npy", npy((1,), b"\0"))


def of_more_than_the_archive(path):
    """The directory tells of more compressed bytes than there are in the file."""
    honest(path)
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.index(b"PK\1\2") + 20, 2**31)
    path.write_bytes(content)


BOMBS = [honest, of_another_directory, of_another_header, that_ends_early, of_a_long_header]
BOMBS += [of_another_method, of_more_than_the_archive]


@pytest.mark.survives("zip bomb")
@pytest.mark.sampled
@LINUX
@pytest.mark.parametrize("kind", ["npz", "array"])
@pytest.mark.parametrize("bomb", BOMBS)
def test_npz(tmp_path, bomb, kind):
    path = tmp_path / "bomb.npz"
    bomb(path)
    assert path.stat().st_size < 2 * MiB
    words, grown = reading(kind, path)
    assert words.startswith(f"{path}: not a readable .npz file of plain arrays: ")
    assert "Bomb(" not in words, "no class of ours is named"
    assert grown < SLACK, words


def idx(path, begin, junk, told):
    """A gzip file of zeros after a beginning, at whose end so many bytes are told."""
    checksum = zlib.crc32(begin)
    for _ in range(LARGE // MiB):
        checksum = zlib.crc32(bytes(MiB), checksum)
    head = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    path.write_bytes(head + deflated(LARGE, begin) + junk + struct.pack("<II", checksum, told))


def header(*shape):
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)


@pytest.mark.survives("zip bomb")
@LINUX
@pytest.mark.parametrize(
    ("shape", "told", "junk", "words"),
    [
        ((LARGE,), 8 + LARGE, b"", "a zip bomb"),
        ((2**32 - 1,) * 3, 16 + LARGE, b"", f"ends after {LARGE} of the {(2**32 - 1) ** 3} bytes"),
        ((4,), 8 + LARGE, b"", "more bytes than the 4 of uint8"),
        ((2 * LARGE,), 8 + 2 * LARGE, JUNK, "damaged gzip file"),
        ((2 * LARGE,), 8 + LARGE, JUNK, "damaged gzip file"),
    ],
)
def test_gzipped_idx(tmp_path, shape, told, junk, words):
    path = tmp_path / "bomb"
    idx(path, header(*shape), junk, told)
    said, grown = reading("idx", path)
    assert said.startswith(f"{path}: ") and words in said
    assert grown < SLACK


@pytest.mark.survives("zip bomb")
@pytest.mark.survives("zip bomb")
@LINUX
@pytest.mark.parametrize("kind", ["idx", "npz"])
def test_a_bomb_in_a_bomb(tmp_path, kind):
    """The inner one is not opened."""
    path, inner = tmp_path / "bomb", tmp_path / "inner"
    honest(inner)
    for _ in range(2):
        inner.write_bytes(gzip.compress(inner.read_bytes()))
    if kind == "idx":
        path.write_bytes(gzip.compress(inner.read_bytes()))
    else:
        content = inner.read_bytes()
        zipped(path, X=(deflated(0, content), len(content)), y=small(np.zeros(3)))
    said, grown = reading(kind, path)
    assert said.startswith(f"{path}: ") and (
        "expected those of an IDX file" in said or "not a readable" in said
    )
    assert grown < SLACK


@LINUX
def test_a_bomb_of_several_gzip_members(tmp_path):
    path, member = tmp_path / "bomb", gzip.compress(bytes(LARGE // 4))
    path.write_bytes(gzip.compress(header(LARGE)) + 4 * member)
    said, grown = reading("idx", path)
    assert "a zip bomb" in said
    assert grown < SLACK


@pytest.fixture(scope="module")
def one_hot():
    """Data that are sparse: 96 MiB of float32, of which all but one number a row are 0."""
    found = np.zeros((6144, 4096), np.float32)
    found[np.arange(6144), np.random.default_rng(0).integers(0, 4096, 6144)] = 1
    return found


@pytest.mark.sampled
@LINUX
@pytest.mark.parametrize("kind", ["npz", "array", "npy", "idx", "idx.gz"])
def test_data_are_read_in_little_more_than_their_memory(tmp_path, one_hot, kind):
    path = tmp_path / f"data.{kind}"
    if kind == "npy":
        np.save(path, one_hot)
    elif kind.startswith("idx"):
        content = struct.pack(">HBB2I", 0, 0x0D, 2, *one_hot.shape) + one_hot.astype(">f4").tobytes()
        path.write_bytes(gzip.compress(content, 6) if kind.endswith("gz") else content)
    else:
        with open(path, "wb") as file:
            np.savez_compressed(file, X=one_hot, y=np.zeros(len(one_hot)))
    if kind != "npy" and kind != "idx":
        assert one_hot.nbytes > 500 * path.stat().st_size
    words, grown = reading({"npy": "array", "idx.gz": "idx"}.get(kind, kind), path)
    assert words == "read"
    assert one_hot.nbytes < grown < one_hot.nbytes + SLACK


def test_small_constant_data_are_read(tmp_path):
    path = tmp_path / "data.npz"
    np.savez_compressed(path, X=np.zeros((1000, 1000)), y=np.zeros(1000))
    assert reading("npz", path)[0] == "read"


def test_the_command_refuses_bombs(tmp_path):
    net, path = tmp_path / "net", tmp_path / "bomb.npz"
    Network([3, 1], seed=0).save(net)
    honest(path)
    refused(said("predict", net, path), path, "a zip bomb")
    refused(said("train", "--data", path), path, "a zip bomb")


@pytest.mark.survives("hostile file")
@pytest.mark.parametrize(
    ("content", "part"),
    [
        (npy((2**63,), bytes(8)), "expected 9,223,372,036,854,775,936 bytes"),
        (npy((3,), bytes(4)), "expected 131 bytes, for uint8 of shape (3,), got 132"),
        (npy((3,), bytes(2)), "expected 131 bytes, for uint8 of shape (3,), got 130"),
        (npy((-1,), b""), "expected an array of numbers or text, got uint8 of shape (-1,)"),
        (npy((2**62,), b"", "|S0"), "expected an array of numbers or text, got |S0 of shape"),
        (npy((2,), bytes(32), "(2,)<f8"), "expected an array of numbers or text"),
        (npy((2**62, 2**62, 0), b""), "not a readable .npy file"),
        (headed(b"(" * 200), "not a readable .npy file of plain arrays: its header is damaged"),
        (headed(b" " * 20_000), "not a readable .npy file of plain arrays: its header is damaged"),
        (headed(b"{'shape': (3,)}"), "not a readable .npy file of plain arrays: its header is damaged"),
        (b"\x93NUMPY\3\0" + bytes(200), "expected version 1.0 or 2.0 of the .npy format, got (3, 0)"),
        (b"\x93NUMPY\2\0" + struct.pack("<I", 2**32 - 1) + bytes(9), "not a readable .npy file"),
    ],
)
def test_npy_files_that_are_not_what_they_say(tmp_path, content, part):
    net, path = tmp_path / "net", tmp_path / "data.npy"
    Network([3, 1], seed=0).save(net)
    path.write_bytes(content)
    refused(said("predict", net, path), path, part)


def test_too_little_memory_for_numbers_that_are_there_is_no_damage(tmp_path, monkeypatch):
    np.savez(tmp_path / "data.npz", X=np.zeros((3, 2)), y=np.zeros(3))

    def refuse(*arguments):
        raise MemoryError

    monkeypatch.setattr(bounded, "numbers", refuse)
    with pytest.raises(MemoryError):
        load_npz(tmp_path / "data.npz")


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [">f4", "<i2", "?", "u1", "<f8"])
def test_npy_files_of_any_order_and_type(tmp_path, order, dtype):
    X = (np.arange(12).reshape(4, 3) % 5).astype(dtype)
    net, path = Network([3, 2], input_divisor=1, seed=0), tmp_path / "data.npy"
    net.save(tmp_path / "net")
    np.save(path, np.asarray(X, order=order))
    status, lines, _ = said("predict", tmp_path / "net", path, "--outputs")
    found = np.array([[float(cell) for cell in line.split(",")] for line in lines[1:]])
    assert status == 0
    assert (found == net.outputs(X)).all()
