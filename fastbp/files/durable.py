"""Files that are written whole or not at all, whatever happens."""

import errno
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, NoReturn

_ABANDONED = 60.0  # seconds after which a temporary file on Windows is one of a process that was killed
_PAUSES = (0.01, 0.05, 0.1, 0.3, 0.5)  # seconds between attempts to rename
_UNSYNCED = (errno.EINVAL, errno.ENOTSUP)  # of folders, on some networks' file systems
_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file to write, which takes the place of the one at `path` when the block has ended.

    Whatever happens, even a power failure, the old file or the new one is there, whole.  The new one is
    written beside it, flushed to the disk, and renamed; it has the old one's owner and mode.  A link stays
    a link.  A temporary file of a process that was killed is removed by the next one that writes there.

    Raises
    ------
    OSError
        The error names `path`.  The old file is unchanged, unless only the folder could not be flushed.
    ValueError
        If `path` is not a regular file.
    """
    target = os.path.realpath(os.fsdecode(path))
    temporary = ""
    try:
        existing = status(target)
        if existing and not stat.S_ISREG(existing.st_mode):
            refuse(os.fspath(path), existing.st_mode)
        _sweep(target)
        while True:
            temporary = f"{_prefix(target)}{os.getpid()}-{os.urandom(4).hex()}.tmp"
            with open(temporary, "xb", opener=_private if existing else None) as file:
                if not _claimed(file.fileno(), temporary):
                    continue
                copy_owner_and_mode(existing, file.fileno())
                yield file
                file.flush()
                _flush(file.fileno())
                if sys.platform == "win32":
                    file.close()  # it does not rename an open file; elsewhere the lock is held until then
                _replace(temporary, target)
            break
        _sync(os.path.dirname(target))
    except OSError as error:
        _name(error, path, temporary)
        raise
    finally:
        if temporary:
            with suppress(OSError):
                os.unlink(temporary)


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Names `path` in an OSError of the block that names no file, as that of a full disk."""
    try:
        yield
    except OSError as error:
        _name(error, path)
        raise


def _name(error: OSError, path: str | os.PathLike[str], temporary: str = "") -> None:
    """Names `path` in an error that names nothing, or only the temporary file."""
    if error.errno is not None and error.filename in (None, temporary):
        error.filename = os.fspath(path)
        del error.filename2  # set to None, it would be named too


def _private(path: str, flags: int) -> int:
    """Opens a file that nobody else can read until it gets the mode of the file that it replaces."""
    return os.open(path, flags, 0o600)


def status(path: str) -> os.stat_result | None:
    """The status of the file at `path`, or None where there is none."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return os.stat(path)
    return None


def copy_owner_and_mode(former: os.stat_result | None, file: int) -> None:
    """Gives a new file the owner and the mode of the former one, which it will replace."""
    if former is None or sys.platform == "win32":
        return
    new = os.fstat(file)
    if (former.st_uid, former.st_gid) != (new.st_uid, new.st_gid):
        try:
            os.fchown(file, former.st_uid, former.st_gid)
        except PermissionError as error:
            raise PermissionError(error.errno, "its owner and group cannot be kept") from error
    if former.st_mode != os.fstat(file).st_mode:
        os.fchmod(file, stat.S_IMODE(former.st_mode))


def _prefix(target: str) -> str:
    folder, name = os.path.split(target)
    return os.path.join(folder, f".{name[:50]}.fastbp-")  # a name has 255 bytes, a character up to 4


def _lock(file: int) -> None:
    """Locks a temporary file; raises an OSError if another process holds it, or no file can be locked."""
    try:
        import fcntl
    except ImportError:  # on Windows
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _claimed(file: int, temporary: str) -> bool:
    """Locks a new temporary file; returns False if another process has removed it before."""
    try:
        _lock(file)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks, where no sweep removes anything
        return True
    return os.path.lexists(temporary)


def _sweep(target: str) -> None:
    """Removes temporary files of the same target whose writers are gone."""
    folder, start = os.path.split(_prefix(target))
    with suppress(OSError):
        for name in os.listdir(folder):
            if name.startswith(start) and name.endswith(".tmp"):
                path = os.path.join(folder, name)
                if sys.platform == "win32":  # it does not remove a file that is open
                    with suppress(OSError):
                        if time.time() - os.stat(path).st_mtime > _ABANDONED:  # not one that is being renamed
                            os.unlink(path)
                    continue
                with suppress(OSError), open(path, "rb", opener=_cautious) as file:
                    _lock(file.fileno())
                    os.unlink(path)


def _cautious(path: str, flags: int) -> int:
    """Opens a file that anybody may have put there: follows no link, and waits for no FIFO's writer."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


def _flush(file: int) -> None:
    """Flushes a file to the disk, on macOS beyond the disk's own cache, where that is possible."""
    if sys.platform == "darwin":
        import fcntl

        with suppress(OSError):
            fcntl.fcntl(file, fcntl.F_FULLFSYNC)
            return
    os.fsync(file)


def _replace(temporary: str, target: str) -> None:
    """Renames a file; Windows refuses while a reader has the target open, so it is tried for a second."""
    for pause in _PAUSES if sys.platform == "win32" else ():
        with suppress(PermissionError):
            return os.replace(temporary, target)
        time.sleep(pause)
    return os.replace(temporary, target)


def _sync(folder: str) -> None:
    """Flushes a renaming to the disk."""
    if sys.platform == "win32":
        return
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    except OSError as error:
        if error.errno not in _UNSYNCED:
            raise
    finally:
        os.close(file)


def kind(mode: int) -> str:
    """A noun for the kind of a path that is not a regular file."""
    return _KINDS.get(stat.S_IFMT(mode), "a device")


def refuse(path: str, mode: int) -> NoReturn:
    raise ValueError(f"{path}: expected a file, got {kind(mode)}")
