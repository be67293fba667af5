"""Reads numbers from a file that may lie about its size: no memory is taken for bytes that are not there."""

from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 1 << 20  # bytes
_USUAL = 16  # bytes per compressed byte; if a file promises more, they are counted before any is kept
_MOST = 1000  # bytes per compressed byte: DEFLATE reaches 1032, for one byte repeated without end
_HARMLESS = 1 << 26  # bytes that may be compressed like that


class Bomb(ValueError):
    """An error about bytes that are compressed more than data can be."""


def refuse_bomb(size: int, compressed: int) -> None:
    """Refuses an array that would take much memory and can only repeat one number."""
    if size > max(_HARMLESS, _MOST * compressed):
        raise Bomb(
            f"expected at most {_MOST} bytes per compressed byte, as of any data, got {size:,} bytes from "
            f"{compressed:,}: a zip bomb, or the same number again and again"
        )


def is_suspect(size: int, compressed: int) -> bool:
    """Tells whether bytes must be counted before any is kept, because their declared size may be wrong."""
    return size > _USUAL * compressed


def count(file: IO[bytes], most: int) -> int:
    """Counts the bytes that follow without keeping them; returns `most` + 1 if there are more than `most`."""
    total = 0
    while total <= most and (part := file.read(min(_AT_ONCE, most + 1 - total))):
        total += len(part)
    return total


def numbers(file: IO[bytes], count: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Reads the next `count` numbers, or as many as there are."""
    array = np.empty(count, dtype)
    if not array.nbytes:
        return array
    view, filled = array.view(np.uint8).data, 0
    while part := file.read(min(_AT_ONCE, len(view) - filled)):
        view[filled : filled + len(part)] = part
        filled += len(part)
    return array[: filled // dtype.itemsize]
