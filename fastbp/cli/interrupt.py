"""Ctrl-C and other signals: they end the process without losing a network in training."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .signals import DEFAULTS, end, words


class Interrupted(KeyboardInterrupt):
    """Is not KeyboardInterrupt itself, for then Python may end the process by SIGINT, whatever its status.

    It does so after a KeyboardInterrupt has left an `exec` of text, as `dataclass` calls it, though it was
    caught later.
    """


class Interrupt:
    """The first signal raises Interrupted unless `held`; `signum` is its number, and 0 before.

    That exception is swallowed in a finalizer or a callback from C: callers check `signum` after those.
    """

    def __init__(self) -> None:
        self.held = False
        self.signum = 0

    def __call__(self, signum: int, frame: object) -> None:
        first = not self.signum
        self.signum = self.signum or signum
        if first and not self.held:
            raise Interrupted

    @property
    def status(self) -> int:
        """The exit status after the signal, as a shell counts."""
        return 128 + (self.signum or signal.SIGINT)

    def __str__(self) -> str:
        return words(self.signum)

    def check(self) -> None:
        if self.signum:
            raise Interrupted

    @contextmanager
    def listening(self, restore: bool) -> Iterator[None]:
        """Handles the signals that have their default handlers, or those of the command's start; restores
        the defaults at the end, or ignores the signals from there on.

        Leaves the other signals to the caller's handlers, and ignored ones ignored: Ctrl-C in a shell's
        background job, SIGHUP under nohup.
        """
        handled = [n for n, handler in DEFAULTS.items() if signal.getsignal(n) in (handler, end)]
        unraisable = sys.unraisablehook

        def hook(what: Any) -> None:
            if not (self.signum and issubclass(what.exc_type, KeyboardInterrupt)):
                unraisable(what)

        sys.unraisablehook = hook
        try:
            for signum in handled:
                signal.signal(signum, self)
            yield
        finally:
            self.held = True
            for signum in handled:
                signal.signal(signum, DEFAULTS[signum] if restore else signal.SIG_IGN)
            sys.unraisablehook = unraisable
