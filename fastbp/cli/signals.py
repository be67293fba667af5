"""Signal handlers of the command's start, installed before any slow import.

``signal`` itself imports ``enum``, so this file takes its functions from ``_signal``, which is built in.
"""

import _signal  # type: ignore[import-not-found]
import os

DEFAULTS = {  # the handlers that Python begins with, by signal
    getattr(_signal, name): handler
    for name, handler in (
        ("SIGINT", _signal.default_int_handler),
        ("SIGTERM", _signal.SIG_DFL),
        ("SIGHUP", _signal.SIG_DFL),
    )
    if hasattr(_signal, name)
}


def take() -> None:
    """Handles the signals that by default end the process with a traceback or silently."""
    for signum, handler in DEFAULTS.items():
        if _signal.getsignal(signum) == handler:
            _signal.signal(signum, end)


def end(signum: int, frame: object) -> None:
    """Ends the process, which has done nothing yet, without an exception, which an import could swallow."""
    try:
        os.write(2, f"fastbp: {words(signum)}\n".encode())
    except OSError:  # a closed stderr
        pass
    finally:
        os._exit(128 + signum)


def words(signum: int) -> str:
    """Says how the process was ended by this signal."""
    names = {getattr(_signal, name, 0): name for name in ("SIGTERM", "SIGHUP")}
    return f"ended by {names[signum]}" if signum in names else "interrupted"
