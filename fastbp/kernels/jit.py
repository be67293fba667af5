"""The one policy by which everything here is compiled and cached.

What Python calls is a ``kernel``, compiled for an explicit signature on first use.  The functions it is
made of are ``inlined`` before lowering, because Numba would otherwise make machine code of each of them as
well (9.9 s of compiling for float32 against 4.2 s).

Machine code is kept on disk, one file for each kernel, signature and CPU.  Numba's own cache is not used: it
does not notice an edit in another file, mixes up processes that write at once, and hands what a damaged
file holds to the user.  Here the folder's name is a digest of all kernel sources and every file begins with
its own, so that code is never stale and damage costs a compile and one warning.
"""

import functools
import hashlib
import os
import pickle
import sys
import tempfile
import warnings
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numba
from numba import cfunc, njit
from numba.core import config
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from .. import __version__

_OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": False}

inlined = functools.partial(njit, inline="always", **_OPTIONS)


def callback(signature: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorates what kernels call through its ``address``; made of a user's functions, it is not kept."""
    return cfunc(signature, error_model="numpy")


@functools.cache
def _digest() -> str:
    """Of every kernel source, the versions and what else changes machine code."""
    versions = __version__, numba.__version__, sys.version, config.OPT, config.BOUNDSCHECK
    digest = hashlib.sha256(repr(versions).encode())
    sources = [source for source in files(__package__).iterdir() if source.name.endswith(".py")]
    for source in sorted(sources, key=lambda source: source.name):
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


@functools.cache
def _warn_once(what: str) -> None:
    warnings.warn(f"fastbp: {what}", RuntimeWarning, stacklevel=2)


@functools.cache
def _announce(cached: str) -> None:
    print(f"fastbp: compiling kernels, once for this machine ({cached})", file=sys.stderr, flush=True)


class _Cache(NullCache):
    """What a dispatcher asks for compiled code, and gives it to: one file, its SHA-256 first."""

    def __init__(self, name: str, target: tuple[str, str, str]) -> None:
        self._name = f"{name}-{hashlib.sha256(repr(target).encode()).hexdigest()[:16]}.bin"

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        target_context.refresh()
        try:
            content = (cache_folder() / self._name).read_bytes()
            if hashlib.sha256(content[32:]).digest() != content[:32]:
                raise ValueError("its checksum is wrong")
            return CompileResult._rebuild(target_context, *pickle.loads(content[32:]))
        except FileNotFoundError:
            pass
        except Exception as error:  # damage, or whatever a pickle raises
            _warn_once(f"cached machine code in {cache_folder()} is unreadable ({error}): compiling anew")
        _announce(f"kept in {cache_folder()}")
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        content = dumps(data._reduce())
        try:
            with tempfile.NamedTemporaryFile(dir=cache_folder(), delete=False) as file:
                try:
                    file.write(hashlib.sha256(content).digest() + content)
                    file.close()
                    os.replace(file.name, cache_folder() / self._name)
                except BaseException:
                    os.unlink(file.name)
                    raise
        except OSError as error:  # a full disk, a folder made read-only
            _warn_once(f"compiled kernels cannot be kept in {cache_folder()} ({error}): set NUMBA_CACHE_DIR")


def _cache_for(name: str, target: tuple[str, str, str]) -> NullCache:
    try:
        os.makedirs(cache_folder(), mode=0o700, exist_ok=True)  # pickles: for their owner alone
        tempfile.TemporaryFile(dir=cache_folder()).close()
        return _Cache(name, target)
    except (OSError, RuntimeError) as error:  # RuntimeError: no home folder
        _warn_once(f"compiled kernels cannot be kept ({error}): every process compiles; set NUMBA_CACHE_DIR")
        _announce("not kept")
        return NullCache()


def kernel(signature_for: Callable[[Any], Any]) -> Callable[[Callable[..., Any]], Callable[[Any], Any]]:
    """Decorates a kernel that Python calls: ``kernel(key)`` is the code for ``signature_for(key)``."""

    def decorate(function: Callable[..., Any]) -> Callable[[Any], Any]:
        @functools.cache
        def compiled(key: Any) -> Any:
            dispatcher = njit(**_OPTIONS)(function)
            target = dispatcher.targetctx.codegen().magic_tuple()
            dispatcher._cache = _cache_for(f"{function.__name__}-{key}", target)
            # The compiled call itself: it takes read-only arrays inside tuples, which a dispatcher refuses.
            return dispatcher.compile(signature_for(key))

        return functools.update_wrapper(compiled, function)

    return decorate
