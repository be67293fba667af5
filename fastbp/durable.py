"""Files that are written whole or not at all, whatever happens."""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, NoReturn

_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file to write, which takes the place of the one at `path` when the block has ended.

    Whatever happens, even a power failure, there is the old file or the new one, whole.  The new one is
    written beside it, flushed to the disk, and renamed; it has the old one's owner and mode.  A link stays
    a link.  What a process that was killed left behind is removed by the next one that writes there.

    Raises
    ------
    OSError
        Which names `path`; the old file is as it was then.
    ValueError
        Where `path` is no file.
    """
    target = os.path.realpath(path)
    temporary = ""
    try:
        found = status(target)
        if found and not stat.S_ISREG(found.st_mode):
            refuse(os.fspath(path), found.st_mode)
        _sweep(target)
        temporary = f"{_prefix(target)}{os.getpid()}-{os.urandom(4).hex()}.tmp"
        with open(temporary, "xb") as file:
            _lock(file.fileno())
            keep(found, file.fileno())  # first, for nobody else may read it meanwhile
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        _sync(os.path.dirname(target))
    except OSError as error:
        if error.filename in (None, temporary):
            error.filename, error.filename2 = os.fspath(path), None
        raise
    finally:
        if temporary:
            with suppress(OSError):
                os.unlink(temporary)


def status(path: str) -> os.stat_result | None:
    """That of what is at `path`, if anything is."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return os.stat(path)
    return None


def keep(found: os.stat_result | None, file: int) -> None:
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


def _prefix(target: str) -> str:
    folder, name = os.path.split(target)
    return os.path.join(folder, f".{name[:100]}.fastbp-")


def _lock(file: int) -> bool:
    """Marks a temporary file as somebody's; False if it is another's."""
    try:
        import fcntl
    except ImportError:  # Windows, which removes no file that is open
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _sweep(target: str) -> None:
    """Removes temporary files of the same target whose writers are gone."""
    folder, start = os.path.split(_prefix(target))
    with suppress(OSError):
        for name in os.listdir(folder):
            if name.startswith(start) and name.endswith(".tmp"):
                path = os.path.join(folder, name)
                with suppress(OSError), open(path, "rb") as file:
                    if _lock(file.fileno()):
                        os.unlink(path)


def _sync(folder: str) -> None:
    """Puts a renaming on the disk."""
    if sys.platform == "win32":
        return
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def kind(mode: int) -> str:
    """What something is that is no file."""
    return _KINDS.get(stat.S_IFMT(mode), "a device")


def refuse(path: str, mode: int) -> NoReturn:
    raise ValueError(f"{path}: expected a file, got {kind(mode)}")
