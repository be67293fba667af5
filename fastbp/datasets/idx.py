"""IDX, the file format of MNIST and its relatives.

A file is two zero bytes, a byte for the type, a byte for the number of dimensions, each dimension as a
big-endian uint32, then the numbers themselves, big-endian, the last dimension fastest. Often all of that
is gzipped.
"""

import gzip
import io
import math
import os
import struct
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.datasets import bounded
from fastbp.datasets.part import Part, paired

TYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}
TRAINING = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte")
TEST = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
GZIP = b"\x1f\x8b"  # no IDX file begins with these bytes, so the name does not matter


def read_idx(path: str | os.PathLike[str]) -> NDArray[Any]:
    """Read one IDX file, gzipped or not.

    Parameters
    ----------
    path : str or path-like
        The file. Whether it is gzipped is seen from its content.

    Returns
    -------
    ndarray
        uint8, int8, int16, int32, float32 or float64 in native byte order, with the file's shape; writable.

    Raises
    ------
    OSError
        The file is missing or cannot be read.
    ValueError
        The file is damaged: not IDX, truncated, followed by other bytes, or its gzip checksum fails.
        No memory is taken for bytes that only a header promises, nor for more than 64 MiB that are compressed
        to less than a thousandth: a zip bomb.

    Examples
    --------
    >>> from importlib.resources import files
    >>> mnist = files("fastbp.datasets") / "mnist"
    >>> read_idx(mnist / "t10k-labels-idx1-ubyte.gz")[:5]
    array([7, 2, 1, 0, 4], dtype=uint8)
    """
    with open(path, "rb") as file:
        return parse(file, os.fspath(path))


def load_idx(folder: str | os.PathLike[str]) -> tuple[Part, Part | None]:
    """Load a data set stored under MNIST's file names, such as Fashion-MNIST.

    Parameters
    ----------
    folder : str or path-like
        Holds ``train-images-idx3-ubyte`` and ``train-labels-idx1-ubyte`` and, where there is a test set,
        ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte``, each plain or with ``.gz`` appended;
        where both lie there, the plain one is read.

    Returns
    -------
    training : Part
        X of shape (n, pixels), each image flattened, in the file's own type; y int64 of shape (n,).
    test : Part or None
        None if the folder holds neither test file.

    Raises
    ------
    OSError
        A file is missing (one of a pair, too) or cannot be read.
    ValueError
        A file is damaged (see `read_idx`), there are not as many labels as images, or a label is negative or
        no integer.

    Examples
    --------
    >>> from importlib.resources import files
    >>> training, test = load_idx(files("fastbp.datasets") / "mnist")
    >>> training.X.shape, test.X.shape
    ((60000, 784), (10000, 784))
    """
    has_test = any(_find(folder, name) for name in TEST)
    return _load(folder, TRAINING), _load(folder, TEST) if has_test else None


def labelled(images: NDArray[Any], labels: NDArray[Any], images_name: str, labels_name: str) -> Part:
    """Flattened images and int64 labels, checked; the names are for errors."""
    X, y = paired(images, labels, images_name, labels_name)
    if y.ndim > 1 or y.dtype.kind not in "iu":
        raise ValueError(
            f"{labels_name}: {y.dtype} of shape {y.shape}, expected labels: one integer per sample"
        )
    if len(negative := np.flatnonzero(y < 0)):
        row = negative[0]
        raise ValueError(f"{labels_name}: label {y[row]} in row {row}, expected labels of 0 and above")
    return Part(X.reshape(len(X), math.prod(X.shape[1:])), y.astype(np.int64))


def parse(file: io.BufferedIOBase, name: str) -> NDArray[Any]:
    """The array of an IDX file, gzipped or not, open at its beginning; the name is for errors."""
    zipped = file.read(len(GZIP)) == GZIP
    length = file.seek(0, os.SEEK_END)

    def opened() -> AbstractContextManager[Any]:
        file.seek(0)
        return gzip.GzipFile(fileobj=file) if zipped else nullcontext(file)

    try:
        with opened() as content:
            shape, dtype, start = _header(content, name)
        size = start + math.prod(shape) * dtype.itemsize
        _check_end(_inflated(file, opened, size) if zipped else length, size, shape, dtype, name)
        with opened() as content:
            content.read(start)
            array = bounded.numbers(content, math.prod(shape), dtype)
            end = start + array.nbytes + len(content.read(1))  # also compares the checksum of a gzip file
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{name}: damaged gzip file: {error}") from error
    except bounded.Bomb as error:
        raise ValueError(f"{name}: {error}") from error
    _check_end(end, size, shape, dtype, name)
    if not dtype.isnative:
        array = array.byteswap(inplace=True).view(dtype.newbyteorder("="))
    try:
        return array.reshape(shape)
    except ValueError as error:  # too many dimensions, or a zero among huge ones
        raise ValueError(f"{name}: an array of shape {shape} does not fit NumPy: {error}") from error


def _inflated(file: io.BufferedIOBase, opened: Callable[[], AbstractContextManager[Any]], size: int) -> int:
    """The number of bytes in a gzip file that should have `size`; `size` + 1 if it has more.

    Its last four bytes have the size of the last member, which may be wrong or not the only one.
    """
    compressed = file.seek(0, os.SEEK_END)
    file.seek(max(0, compressed - 4))
    size_agrees = int.from_bytes(file.read(4), "little") == size % (1 << 32)
    if size_agrees:
        bounded.refuse_bomb(size, compressed)
    if size_agrees and not bounded.is_suspect(size, compressed):
        return size
    with opened() as content:
        counted = bounded.count(content, size)
    if counted == size:
        bounded.refuse_bomb(size, compressed)
    return counted


def _check_end(end: int, size: int, shape: tuple[int, ...], dtype: np.dtype[Any], name: str) -> None:
    """Refuses a file whose length differs from that in its header."""
    start = size - math.prod(shape) * dtype.itemsize
    if end < size:
        raise ValueError(
            f"{name}: ends after {end - start} of the {size - start} bytes of {dtype.name} of shape {shape}"
        )
    if end > size:
        raise ValueError(
            f"{name}: more bytes than the {size - start} of {dtype.name} of shape {shape}, expected the end"
        )


def _header(file: io.BufferedIOBase, name: str) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Shape and type of the array, and where its numbers start."""
    magic = _take(file, 4, name, "the magic number")
    zeros, code, ndim = struct.unpack(">HBB", magic)
    if zeros or code not in TYPES:
        types = ", ".join(f"{code:02x}" for code in TYPES)
        raise ValueError(
            f"{name}: begins with the bytes {magic.hex(' ')}, expected those of an IDX file: "
            f"00 00, a type ({types}), the number of dimensions"
        )
    shape = struct.unpack(f">{ndim}I", _take(file, 4 * ndim, name, f"the {ndim} dimensions"))
    return shape, TYPES[code], 4 + 4 * ndim


def _take(file: io.BufferedIOBase, size: int, name: str, what: str) -> bytes:
    """Reads the next bytes of a header; refuses a file that ends before them."""
    data = file.read(size)
    if len(data) < size:
        raise ValueError(f"{name}: ends after {len(data)} of the {size} bytes of {what}")
    return data


def _load(folder: str | os.PathLike[str], names: tuple[str, str]) -> Part:
    images, labels = (_find(folder, name) for name in names)
    if not images or not labels:
        missing = " and ".join(name for name, path in zip(names, (images, labels), strict=True) if not path)
        raise FileNotFoundError(f"{os.fspath(folder)}: no file {missing} in this folder, with or without .gz")
    return labelled(read_idx(images), read_idx(labels), str(images), str(labels))


def _find(folder: str | os.PathLike[str], name: str) -> Path | None:
    paths = Path(folder, name), Path(folder, f"{name}.gz")
    return next((path for path in paths if path.is_file()), None)
