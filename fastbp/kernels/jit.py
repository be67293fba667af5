"""The one policy by which everything here is compiled and cached.

A kernel that Python calls is an ``entry``, compiled for an explicit signature on first use and kept on
disk.  Numba's own cache does not notice an edit in another file: here the cache folder is named by a
digest of all kernel sources, so stale code cannot be found.  The functions it is made of are ``inner``:
inlined before lowering, because Numba would otherwise make machine code of each of them as well (9.9 s
of compiling for float32 against 4.2 s).
"""

import functools
import hashlib
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit
from numba.core import config
from numba.core.caching import CompileResultCacheImpl, FunctionCache, NullCache, _CacheLocator

from .. import __version__

_OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": False}

inner = functools.partial(njit, inline="always", **_OPTIONS)


@functools.cache
def _digest() -> str:
    """Of every kernel source, the package's version and what else changes machine code."""
    digest = hashlib.sha256(f"{__version__} {config.OPT} {config.BOUNDSCHECK}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:20]


def cache_folder() -> Path:
    """Where machine code is kept: in NUMBA_CACHE_DIR, else in the user's own cache folder."""
    if config.CACHE_DIR:
        base = Path(config.CACHE_DIR)
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "fastbp" / _digest()


class _Locator(_CacheLocator):
    def __init__(self, function: Callable[..., Any]) -> None:
        self._name = f"{function.__module__}.{function.__qualname__}"

    def ensure_cache_path(self) -> None:
        os.makedirs(self.get_cache_path(), mode=0o700, exist_ok=True)  # pickles: for their owner alone

    def get_cache_path(self) -> str:
        return str(cache_folder())

    def get_source_stamp(self) -> str:
        return _digest()

    def get_disambiguator(self) -> str:
        return self._name

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> "_Locator":
        return cls(py_func)


class _Implementation(CompileResultCacheImpl):
    _locator_classes = (_Locator,)


@functools.cache
def _warn_once(what: str) -> None:
    warnings.warn(f"fastbp: {what}", RuntimeWarning, stacklevel=2)


@functools.cache
def _announce(cached: str) -> None:
    print(f"fastbp: compiling kernels, once for this machine ({cached})", file=sys.stderr, flush=True)


class _Cache(FunctionCache):
    """Numba's cache, but one that is corrupt, unwritable or raced for costs a compile and one warning."""

    _impl_class = _Implementation

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            found = super().load_overload(sig, target_context)
        except Exception as error:  # whatever a damaged pickle raises
            found = None
            _warn_once(f"cached machine code in {self.cache_path} is unreadable ({error!r}): compiling anew")
            self._forget()
        if found is None:
            _announce(f"kept in {self.cache_path}")
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception as error:  # a damaged index, a full disk, a folder made read-only
            _warn_once(f"compiled kernels cannot be kept in {self.cache_path} ({error}): set NUMBA_CACHE_DIR")

    def _forget(self) -> None:
        """Removes the damaged index, so that the next save starts a new one."""
        for index in Path(self.cache_path).glob(f"{self._impl.filename_base}*.nbi"):
            index.unlink(missing_ok=True)


def _cache_for(function: Callable[..., Any]) -> Any:
    try:
        folder = cache_folder()
        os.makedirs(folder, mode=0o700, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        return _Cache(function)
    except (OSError, RuntimeError) as error:  # RuntimeError: no home folder
        _warn_once(f"compiled kernels cannot be kept ({error}): every process compiles; set NUMBA_CACHE_DIR")
        _announce("not kept")
        return NullCache()


def entry(signature_for: Callable[[Any], Any]) -> Callable[[Callable[..., Any]], Callable[[Any], Any]]:
    """Decorates a kernel that Python calls: ``kernel(key)`` is the code for ``signature_for(key)``."""

    def decorate(function: Callable[..., Any]) -> Callable[[Any], Any]:
        @functools.cache
        def compiled(key: Any) -> Any:
            dispatcher = njit(**_OPTIONS)(function)
            dispatcher._cache = _cache_for(function)
            # The compiled call itself: it takes read-only arrays inside tuples, which a dispatcher refuses.
            return dispatcher.compile(signature_for(key))

        return functools.update_wrapper(compiled, function)

    return decorate
