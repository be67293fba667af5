"""The file that a trained network is saved in."""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from . import data
from .failure import FAILED, Failure

if TYPE_CHECKING:
    from ..network import Network


@contextmanager
def _beside(target: str) -> Iterator[str]:
    """A name for a temporary file in the same folder, which is gone afterwards."""
    name = os.path.join(os.path.dirname(target), f".fastbp-{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        yield name
    finally:
        with suppress(OSError):
            os.unlink(name)


def writable(path: str) -> str:
    """The file that `path` leads to, which can be written as far as can be known now."""
    if not path.endswith(".npz"):
        raise Failure(f"--save {path}: expected a name that ends in .npz")
    target = os.path.realpath(path)
    try:
        if os.path.exists(target):
            open(target, "r+b").close()
        with _beside(target) as temporary:
            open(temporary, "xb").close()
    except OSError as error:
        raise Failure(f"--save {path}: cannot be written: {error.strerror}") from error
    return target


def save(net: "Network", target: str, options: argparse.Namespace) -> None:
    """Writes another file and puts it in place of `target`, which is never half-written."""
    import numpy as np

    arrays: dict[str, Any] = {
        "sizes": np.array(net.sizes),
        "dtype": np.array(options.dtype),
        "activation": np.array(options.activation),
        "output": np.array(options.output),
        "uint8_divisor": np.array(data.UINT8_DIVISOR),
    }
    for layer, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        arrays |= {f"w{layer}": w, f"b{layer}": b}
    try:
        with _beside(target) as temporary:
            with open(temporary, "xb") as file:
                np.savez(file, **arrays)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
    except OSError as error:
        raise Failure(f"--save {options.save}: {error.strerror or error}; not saved", FAILED) from error
