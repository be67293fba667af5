"""The one policy by which everything here is compiled and cached.

What Python calls is a ``kernel``, compiled for an explicit signature on first use.  Of the functions it is
made of, those with vector IR are ``inlined`` before lowering, because Numba would otherwise optimise the same
tiles several times.  But Numba copies all of an inlined function at every place it is called from, and what
has inlined it again; so the others are each a ``helper``, compiled once and inlined by LLVM.

Machine code is kept on disk: see `cache`.
"""

import _thread
import functools
import os
import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from numba import cfunc, njit
from numba.core import config
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from .cache import _Cache

_TO_BEGIN = 1.0  # seconds within which a thread begins that ever will
_OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": False}

# llvmlite and Numba hold locks while code is compiled or loaded, and a child would wait for a thread that it
# does not have: a fork waits until no other thread is doing so.  Whatever of fastbp calls LLVM holds this.
LOADING = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=LOADING.acquire, after_in_parent=LOADING.release, after_in_child=LOADING.release
    )


def undisturbed(work: Callable[[], Any]) -> Any:
    """Holds LOADING and returns what `work` returns; what signal handlers raise meanwhile is raised after it.

    Amid llvmlite's code an exception may be lost in a finalizer or a callback from C, or memory freed twice.
    So another thread works, for handlers run in the main thread alone; not where this one holds a lock that
    the work needs, or where no thread can begin.
    """

    def locked() -> Any:
        with LOADING:
            return work()

    held = LOADING._is_owned() or global_compiler_lock.is_locked()  # type: ignore[attr-defined]
    if threading.current_thread() is not threading.main_thread() or held or sys.is_finalizing():
        return locked()
    found = SimpleNamespace(value=None, error=None, has_begun=False, is_over=False)
    over = threading.Lock()
    over.acquire()

    def run() -> None:
        found.has_begun = True
        try:
            found.value = locked()
        except BaseException as error:
            found.error = error
        finally:
            found.is_over = True
            over.release()

    try:
        _thread.start_new_thread(run, ())
    except (RuntimeError, MemoryError):
        return locked()
    raised = None
    try:
        while not found.is_over:
            has_waited = False
            try:
                has_waited = not over.acquire(timeout=_TO_BEGIN)
            except BaseException as error:
                raised = raised or error
            if has_waited and not found.has_begun:  # it has no memory for its first frame
                found.value = locked()
                break
        for error in (raised, found.error):
            if error is not None:
                raise error
        return found.value
    finally:
        raised = error = found.error = None  # whose tracebacks hold this frame


inlined = functools.partial(njit, inline="always", **_OPTIONS)
# Without a wrapper a helper costs less to compile, but Python must not call it: that is a segmentation fault.
helper = functools.partial(njit, forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, **_OPTIONS)


def callback(signature: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorates a function that kernels call through its ``address``; made of a user's, it is not cached."""

    def decorate(function: Callable[..., Any]) -> Any:
        with LOADING:
            return cfunc(signature, error_model="numpy")(function)

    return decorate


def target() -> tuple[str, str, str]:
    """The triple, name and features of the CPU that Numba compiles for."""
    triple, name, features = undisturbed(lambda: cpu_target.target_context.codegen().magic_tuple())
    return triple, name, features


# ---------------------------------------------------------------- kernels


def kernel(
    signature_for: Callable[[Any], Any], *, nogil: bool = True
) -> Callable[[Callable[..., Any]], Callable[[Any], Any]]:
    """Decorates a kernel that Python calls: ``kernel(key)`` is the code for ``signature_for(key)``."""

    def decorate(function: Callable[..., Any]) -> Callable[[Any], Any]:
        @functools.cache
        def compiled(key: Any) -> Any:
            if config.DISABLE_JIT:
                raise RuntimeError(
                    f"NUMBA_DISABLE_JIT is set ({config.DISABLE_JIT}), but fastbp's kernels exist only as "
                    "compiled code: unset it and start Python again"
                )
            cache = _Cache(f"{function.__name__}-{key}", target())

            def code() -> Any:
                dispatcher = njit(no_cfunc_wrapper=True, **_OPTIONS | {"nogil": nogil})(function)
                dispatcher._cache = cache
                # The compiled call itself: it takes read-only arrays in tuples, which a dispatcher refuses.
                return dispatcher.compile(signature_for(key))

            if cache.is_kept():
                return undisturbed(code)
            with LOADING:
                return code()

        return functools.update_wrapper(compiled, function)

    return decorate
