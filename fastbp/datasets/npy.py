"""One array in NumPy's .npy format, whose header is checked before memory is taken for its numbers."""

import io
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from fastbp.datasets import bounded

_LONGEST_HEADER = 12 + 10_000  # bytes, as NumPy itself reads from files that are not trusted
_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read(opened: Callable[[], AbstractContextManager[IO[bytes]]], size: int, compressed: int) -> NDArray[Any]:
    """Reads an array from a file of `size` bytes, which `opened` opens; it has `compressed` bytes on disk."""
    with opened() as file:
        shape, fortran_order, dtype, start = _header(file.read(_LONGEST_HEADER))
    expected = start + math.prod(shape) * dtype.itemsize
    description = f"{dtype} of shape {shape}"
    if size == expected and compressed < size:
        bounded.refuse_bomb(size, compressed)
        if bounded.is_suspect(size, compressed):
            with opened() as file:
                size = bounded.count(file, expected)
    if size != expected:
        raise ValueError(f"expected {expected:,} bytes, for {description}, got {size:,}")
    with opened() as file:
        file.read(start)
        values = bounded.numbers(file, math.prod(shape), dtype)
        if values.nbytes < size - start or file.read(1):  # the end of a zip's member: compares its checksum
            raise ValueError(f"expected {expected:,} bytes, for {description}, got others")
    return values.reshape(shape[::-1]).T if fortran_order else values.reshape(shape)


def _header(begin: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, order and type of an array, and where its numbers start."""
    file = io.BytesIO(begin)
    version = np.lib.format.read_magic(file)
    if version not in _READERS:
        raise ValueError(f"expected version 1.0 or 2.0 of the .npy format, got {version}")
    try:
        shape, fortran_order, dtype = _READERS[version](file)
    except Exception as error:  # of which some have lines of advice, and Python's parser any kind
        raise ValueError("its header is damaged, expected a dict of type, order and shape") from error
    if dtype.hasobject:
        raise ValueError("expected numbers or text, got pickled objects, which could run code")
    if any(n < 0 for n in shape) or dtype.subdtype or not (dtype.itemsize or 0 in shape):
        raise ValueError(f"expected an array of numbers or text, got {dtype} of shape {shape}")
    return shape, fortran_order, dtype, file.tell()
