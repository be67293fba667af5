"""Files that a command writes: checked before the command works for hours."""

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from ..files import durable
from .failure import FAILED, Failure

if TYPE_CHECKING:
    from ..network import Network


def writable(option: str, path: str, read: Mapping[str, str | None]) -> str:
    """Resolves the path of a file that the command will write, and checks that this is possible.

    The file must not be a device, nor one of the files that the command reads (`read`, by argument) under
    whatever name.
    """
    target = os.path.realpath(path)
    try:
        existing = durable.status(target)
        if existing and not stat.S_ISREG(existing.st_mode):
            kind = durable.kind(existing.st_mode)
            raise Failure(f"{option} {path}: expected a file, got {kind}")
        for argument, read_path in read.items():
            for name in _files_of(read_path):
                if existing and os.path.exists(name) and os.path.samestat(existing, os.stat(name)):
                    raise Failure(
                        f"{option} {path}: expected another file, got {name}, which {argument} reads"
                    )
        if existing:
            open(target, "r+b").close()
        temporary = os.path.join(os.path.dirname(target), f".fastbp-{os.getpid()}-{os.urandom(4).hex()}.tmp")
        try:
            with open(temporary, "xb") as file:
                durable.copy_owner_and_mode(existing, file.fileno())
        finally:
            with suppress(OSError):
                os.unlink(temporary)
    except OSError as error:
        raise Failure(f"{option} {path}: cannot be written: {error.strerror}") from error
    return target


def _files_of(data_path: str | None) -> list[str]:
    """Lists the file itself, or those of a folder that may be IDX files."""
    if data_path is None or not os.path.isdir(data_path):
        return [data_path] if data_path else []
    with suppress(OSError):
        names = (name for name in os.listdir(data_path) if name.removesuffix(".gz").endswith("-ubyte"))
        return [os.path.join(data_path, name) for name in names]
    return []


def save(net: "Network", target: str, path: str) -> None:
    """Saves the network to `target`, which `path` names; the file is never half-written."""
    try:
        net.save(target)
    except (OSError, ValueError) as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Failure(f"--save {path}: {text}; not saved", FAILED) from error
