"""The file that a trained network is saved in."""

import argparse
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from . import data
from .failure import FAILED, Failure

if TYPE_CHECKING:
    from ..network import Network

_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}


@contextmanager
def _beside(target: str) -> Iterator[str]:
    """A name for a temporary file in the same folder, which is gone afterwards."""
    name = os.path.join(os.path.dirname(target), f".fastbp-{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        yield name
    finally:
        with suppress(OSError):
            os.unlink(name)


def writable(path: str, data_path: str | None) -> str:
    """The file that `path` leads to, which can be written as far as can be known before training.

    It is no device, and none of the files that are trained on, by whatever name they go.
    """
    if not path.endswith(".npz"):
        raise Failure(f"--save {path}: expected a name that ends in .npz")
    target = os.path.realpath(path)
    found = _status(target)
    if found and not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "a device")
        raise Failure(f"--save {path}: cannot be written: {kind}, expected a file")
    for read in _files_of(data_path):
        if found and (other := _status(read)) and os.path.samestat(found, other):
            raise Failure(f"--save {path}: is {read}, which --data reads, expected another file")
    try:
        if found:
            open(target, "r+b").close()
        with _beside(target) as temporary, open(temporary, "xb") as file:
            _keep(found, file.fileno())
    except OSError as error:
        raise Failure(f"--save {path}: cannot be written: {error.strerror}") from error
    return target


def _status(path: str) -> os.stat_result | None:
    with suppress(OSError):
        return os.stat(path)
    return None


def _files_of(data_path: str | None) -> list[str]:
    """The file that `data_path` is, or those in the folder that may be IDX files."""
    if data_path is None or not os.path.isdir(data_path):
        return [data_path] if data_path else []
    with suppress(OSError):
        names = (name for name in os.listdir(data_path) if not name.endswith(".npz"))
        return [os.path.join(data_path, name) for name in names]
    return []


def _keep(found: os.stat_result | None, file: int) -> None:
    """Gives a new file the owner and the mode of the one whose place it will take."""
    if found is None or sys.platform == "win32":
        return
    own = os.fstat(file)
    if (found.st_uid, found.st_gid) != (own.st_uid, own.st_gid):
        try:
            os.fchown(file, found.st_uid, found.st_gid)
        except PermissionError as error:
            raise PermissionError(error.errno, "its owner and group cannot be kept") from error
    if found.st_mode != os.fstat(file).st_mode:
        os.fchmod(file, stat.S_IMODE(found.st_mode))


def save(net: "Network", target: str, options: argparse.Namespace) -> None:
    """Writes another file and puts it in place of `target`, which is never half-written."""
    import numpy as np

    arrays: dict[str, Any] = {
        "sizes": np.array(net.sizes),
        "dtype": np.array(options.dtype),
        "activation": np.array(options.activation),
        "output_activation": np.array(options.output_activation),
        "cost": np.array(options.cost or "quadratic"),
        "uint8_divisor": np.array(data.UINT8_DIVISOR),
        "task": np.array(net.task),
    }
    for layer, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        arrays |= {f"w{layer}": w, f"b{layer}": b}
    try:
        with _beside(target) as temporary:
            with open(temporary, "xb") as file:
                _keep(_status(target), file.fileno())  # first, for nobody else may read it meanwhile
                np.savez(file, **arrays)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
    except OSError as error:
        raise Failure(f"--save {options.save}: {error.strerror or error}; not saved", FAILED) from error
