"""Ctrl-C, which is to lose nothing that was learned."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Interrupt:
    """Ctrl-C: the first raises KeyboardInterrupt unless `held`; it and later ones are `seen`.

    One that arrives in a finalizer or a callback from C is swallowed there: hence who looks at `seen` later.
    """

    def __init__(self) -> None:
        self.seen = self.held = False

    def __call__(self, signum: int, frame: object) -> None:
        first, self.seen = not self.seen, True
        if first and not self.held:
            raise KeyboardInterrupt

    def check(self) -> None:
        if self.seen:
            raise KeyboardInterrupt

    @contextmanager
    def listening(self, restore: bool) -> Iterator[None]:
        if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            yield  # ignored, as in a shell's background job, or the caller's own affair
            return
        unraisable = sys.unraisablehook

        def hook(what: Any) -> None:
            if not issubclass(what.exc_type, KeyboardInterrupt):
                unraisable(what)

        sys.unraisablehook = hook
        signal.signal(signal.SIGINT, self)
        try:
            yield
        finally:
            self.held = True
            signal.signal(signal.SIGINT, signal.default_int_handler if restore else signal.SIG_IGN)
            sys.unraisablehook = unraisable
