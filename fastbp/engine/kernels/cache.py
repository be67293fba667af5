"""Machine code on disk, one file per kernel, signature and CPU.

Numba's own cache is not used: it does not notice an edit in another file, mixes up processes that write at
once, and hands the user whatever a damaged file holds.  Here the folder's name is a digest of all kernel
sources and every file begins with its own checksum, so that code is never stale and damage costs a compile
and one warning.

The files are pickles, and a pickle runs whatever its writer wants; a checksum is no signature.  So only what
nobody but the user can have written is read.
"""

import functools
import hashlib
import os
import pickle
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import IO, Any

import llvmlite
import numba
from numba.core import config
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.runtime.nrt import rtsys
from numba.core.serialize import dumps

from ... import __version__


@functools.cache
def _digest() -> str:
    """The digest of every kernel source, the versions and whatever else changes machine code."""
    versions = __version__, numba.__version__, llvmlite.__version__, sys.version
    digest = hashlib.sha256(repr((*versions, config.OPT, config.BOUNDSCHECK)).encode())
    package = files(__package__.partition(".")[0])
    folders = package / "engine" / "kernels", package / "options"
    sources = [source for folder in folders for source in folder.iterdir() if source.name.endswith(".py")]
    for source in sorted(sources, key=str):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:20]


def cache_folder() -> Path:
    """The folder that keeps machine code: in NUMBA_CACHE_DIR, else in the user's own cache folder."""
    if config.CACHE_DIR:
        base = Path(config.CACHE_DIR)
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "fastbp" / _digest()


# Elsewhere (Windows) access control lists guard a user's folders, and no file is opened relative to one.
_OWNERS = hasattr(os, "geteuid") and {os.open, os.mkdir, os.rename, os.unlink} <= os.supports_dir_fd


_NO_LINK = os.O_NOFOLLOW if _OWNERS else 0


@contextmanager
def opened_folder() -> Iterator[int | None]:
    """The cache folder, made if need be, as a descriptor; None where the platform has none.

    The base above it may be anyone's, and whoever may write there may swap our folders for others at any
    time.  So each is checked once it is open, and what lies in it is reached through its descriptor.
    """
    folder = cache_folder()
    if not _OWNERS:
        folder.mkdir(parents=True, exist_ok=True)
        yield None
        return
    folder.parents[1].mkdir(parents=True, exist_ok=True)
    with ExitStack() as opened:
        descriptor = None
        for path in (folder.parent, folder):
            name = path if descriptor is None else path.name
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=descriptor)
            try:
                descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | _NO_LINK, dir_fd=descriptor)
            except OSError as error:
                raise OSError(f"{path}: expected a folder, not a link: {error.strerror}") from error
            opened.callback(os.close, descriptor)
            _check_owner(descriptor, path)
        yield descriptor


def _check_owner(descriptor: int, what: object) -> None:
    """Refuses what another user has written or may write."""
    if not _OWNERS:
        return
    status = os.fstat(descriptor)
    if status.st_uid != os.geteuid():
        raise PermissionError(f"{what} belongs to user {status.st_uid}, not to {os.geteuid()}")
    if status.st_mode & 0o022:
        raise PermissionError(f"others may write {what}: chmod go-w")


def _path(name: str, folder: int | None) -> str:
    return name if folder is not None else str(cache_folder() / name)


def _open(name: str, mode: str, folder: int | None) -> IO[bytes]:
    def opener(path: str, flags: int) -> int:
        return os.open(path, flags | _NO_LINK, 0o600, dir_fd=folder)

    return open(_path(name, folder), mode, opener=opener)


@functools.cache
def _warn_once(what: str) -> None:
    warnings.warn(f"fastbp: {what}", RuntimeWarning, stacklevel=2)


def _warn_not_kept(error: Exception) -> None:
    _warn_once(f"compiled kernels cannot be kept ({error}): every process compiles; set NUMBA_CACHE_DIR")


@functools.cache
def _announce(cached: str) -> None:
    if sys.stderr is not None:
        with suppress(OSError, ValueError):  # a full disk, a reader that has gone, a closed file
            print(f"fastbp: compiling kernels ({cached})", file=sys.stderr, flush=True)


class _Cache(NullCache):
    """The cache of one dispatcher's compiled code: one file that begins with its SHA-256."""

    def __init__(self, name: str, target: tuple[str, str, str]) -> None:
        self._name = f"{name}-{hashlib.sha256(repr(target).encode()).hexdigest()[:16]}.bin"

    def is_kept(self) -> bool:
        """Tells whether there is such a file, which may be damaged."""
        with suppress(OSError, RuntimeError):  # RuntimeError: no home folder
            return os.path.exists(_path(self._name, None))
        return False

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        # Numba's own cache calls `refresh`, which imports all that a compile may need, SciPy's BLAS as well:
        # most of the first `fit` of a process.  Code that is compiled needs the memory manager alone.
        rtsys.initialize(target_context)
        try:
            with opened_folder() as folder:
                code = self._load(folder, target_context)
        except (OSError, RuntimeError) as error:  # RuntimeError: no home folder
            _warn_not_kept(error)
            _announce("not kept")
            return None
        if code is None:
            _announce(f"once for this machine: kept in {cache_folder()}")
        return code

    def _load(self, folder: int | None, target_context: Any) -> Any:
        try:
            with _open(self._name, "rb", folder) as file:
                _check_owner(file.fileno(), "a file there")
                content = file.read()
            if hashlib.sha256(content[32:]).digest() != content[:32]:
                raise ValueError("its checksum is wrong")
            return CompileResult._rebuild(target_context, *pickle.loads(content[32:]))
        except FileNotFoundError:
            pass
        except Exception as error:  # damage, or whatever a pickle raises
            _warn_once(f"cached machine code in {cache_folder()} cannot be used ({error}): compiling anew")
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        content = dumps(data._reduce())
        temporary = f"{self._name}.{os.urandom(8).hex()}"
        try:
            with opened_folder() as folder:
                paths = _path(temporary, folder), _path(self._name, folder)
                try:
                    with _open(temporary, "xb", folder) as file:
                        file.write(hashlib.sha256(content).digest() + content)
                    os.replace(*paths, src_dir_fd=folder, dst_dir_fd=folder)
                except BaseException:
                    with suppress(FileNotFoundError):
                        os.unlink(paths[0], dir_fd=folder)
                    raise
        except (OSError, RuntimeError) as error:  # a full disk, a folder made read-only
            _warn_not_kept(error)
