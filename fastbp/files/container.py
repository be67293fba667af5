"""The file format: one open format that holds no code, for networks and trainings.

The layout is that of safetensors, whose library reads it: the length of a header as eight bytes, the header
as JSON, which names the arrays, and the arrays themselves.  Its ``__metadata__`` holds the format's version,
a SHA-256 of all the rest, and, as JSON text, the metadata that make a network of the arrays.
"""

import hashlib
import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

import numpy as np

from . import checks, durable, values

_FORMAT = b'{"__metadata__":{"format":"fastbp '  # after the header's length, then the version
_VERSION = b"1"
_DIGEST = _FORMAT + _VERSION + b'","sha256":"'  # then 64 digits, zeros where the digest itself is computed
_TYPES: dict[str, np.dtype] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "I64": np.dtype("<i8"),
    "U8": np.dtype("u1"),
}
_AT_ONCE = 1 << 24  # bytes
_LONGEST = 100_000_000  # bytes of a header, as in the safetensors library
_DIMENSIONS = 32  # of an array, as in any version of NumPy


def write(
    path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]
) -> None:
    """Writes arrays of float64, float32, int64 or uint8, and metadata that JSON can hold, durably."""
    target = os.fspath(path)
    names = {dtype: name for name, dtype in _TYPES.items()}
    plain = {name: np.asarray(array, array.dtype.newbyteorder("<"), "C") for name, array in arrays.items()}
    for name, array in plain.items():
        checks.storable(target, name, array, list(names))
    header: dict[str, Any] = {
        "__metadata__": {
            "format": f"fastbp {_VERSION.decode()}",
            "sha256": "0" * 64,
            "fastbp": checks.as_json(target, metadata),
        }
    }
    end = 0
    for name, array in plain.items():
        begin, end = end, end + array.nbytes
        header[name] = {
            "dtype": names[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that arrays are aligned
    checks.file_is(target, len(text) <= _LONGEST, f"not written: more than {_LONGEST:,} bytes of metadata")
    start = len(text).to_bytes(8, "little") + text
    digest = hashlib.sha256(start)
    for array in plain.values():
        digest.update(array.data if array.size else b"")
    offset = 8 + len(_DIGEST)
    start = start[:offset] + digest.hexdigest().encode() + start[offset + 64 :]
    with durable.writing(path) as file:
        file.write(start)
        for array in plain.values():
            file.write(array.data if array.size else b"")


def read(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Reads the arrays and the metadata that `write` has written; executes nothing in the file.

    Raises
    ------
    ValueError
        If the file is damaged, or has another format or version.
    """
    name = os.fspath(path)
    mode = os.stat(path).st_mode  # before opening the file, because a FIFO would wait for a writer
    if not stat.S_ISREG(mode):
        durable.refuse(name, mode)
    with open(path, "rb") as file:
        start = file.read(8 + len(_DIGEST) + 64)
        checks.file_begins(name, start[8:], _FORMAT, _VERSION)
        length = int.from_bytes(start[:8], "little")
        size = os.fstat(file.fileno()).st_size - 8 - length
        checks.file_is(name, size >= 0 and len(start) == 8 + len(_DIGEST) + 64, "truncated")
        checks.file_is(name, length <= _LONGEST, "damaged: its header is too long")
        text = start[8:] + file.read(max(0, length + 8 - len(start)))
        offset = len(_DIGEST)
        digest = hashlib.sha256(start[:8] + text[:offset] + b"0" * 64)
        digest.update(memoryview(text)[offset + 64 :])
        with understood(name, "damaged: its header cannot be read"):
            header = _object(text)
            metadata = _object(header.pop("__metadata__")["fastbp"])
            entries = [(key, *_entry(value)) for key, value in header.items()]
        end = 0
        for _, _, _, begin, last in entries:
            checks.file_is(name, begin == end, "damaged: its arrays are not contiguous")
            end = last
        checks.file_is(name, size >= end, "truncated")
        checks.file_is(name, size == end, "damaged: there are bytes after its last array")
        arrays = {}
        for key, dtype, shape, _, _ in entries:
            arrays[key] = array = np.empty(shape, dtype)
            _fill(file, array, digest)
    checks.file_is(
        name, digest.hexdigest().encode() == text[offset : offset + 64], "damaged: its checksum differs"
    )
    return arrays, metadata


@contextmanager
def understood(path: str, otherwise: str) -> Iterator[None]:
    """Converts any error of the block, which reads values of a file, to a ValueError that names `path`."""
    try:
        yield
    except values.UnknownFieldError as error:
        checks.file_is(path, False, f"needs a later version of fastbp, which knows {error}")
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        checks.not_understood(path, otherwise, error)


def _object(text: str | bytes) -> dict[str, Any]:
    """An object of JSON."""
    value = json.loads(text, object_pairs_hook=_unequal)
    if not isinstance(value, dict):
        raise ValueError(f"expected an object of JSON, got {type(value).__name__}")
    return value


def _unequal(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, whose keys must differ."""
    unique = dict(pairs)
    if len(unique) < len(pairs):
        raise ValueError("duplicate key")
    return unique


def _entry(value: Any) -> tuple[np.dtype, tuple[int, ...], int, int]:
    """Type, shape and offsets of an array; an invalid entry raises an exception."""
    dtype, shape = _TYPES[value["dtype"]], tuple(value["shape"])
    begin, end = value["data_offsets"]
    numbers = (*shape, begin, end)
    is_good = len(shape) <= _DIMENSIONS and all(type(n) is int and 0 <= n < 1 << 63 for n in numbers)
    # NumPy refuses a shape that would be too large but for a 0 in it
    if not is_good or math.prod(n or 1 for n in shape) * dtype.itemsize >= 1 << 63:
        raise ValueError("invalid shape or data_offsets")
    if end - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError("data_offsets do not match shape and dtype")
    return dtype, shape, begin, end


def _fill(file: IO[bytes], array: np.ndarray, digest: Any) -> None:
    """Reads an array, and updates the digest with it."""
    view = memoryview(array.reshape(-1).view(np.uint8).data)
    for first in range(0, len(view), _AT_ONCE):
        part = view[first : first + _AT_ONCE]
        file.readinto(part)  # type: ignore[attr-defined]
        digest.update(part)
