"""Lines of progress on stdout."""

import sys
import time

from .history import History
from .training import say


class Progress:
    """A bar within an epoch on a terminal, a line after it."""

    def __init__(self) -> None:
        self._bar = hasattr(sys.stdout, "isatty") and sys.stdout.isatty()
        self._shown = 0.0

    def begin(self, epochs: int, samples: int | None) -> None:
        self.epochs, self.samples = epochs, samples

    def chunk(self, epoch: int, done: int, mean_cost: float) -> None:
        now = time.monotonic()
        if self._bar and now - self._shown > 0.1:
            self._shown = now
            filled = 30 * done // max(1, self.samples or 1)
            say(f"\repoch {epoch + 1:>3}/{self.epochs} [{'#' * filled:<30}]", end="")

    def epoch_end(self, history: History) -> None:
        parts = [f"epoch {history.epochs:>3}/{self.epochs}", f"loss {history.loss[-1]:.5f}"]
        if history.validation_score:
            parts.append(f"validation {history.validation_score[-1]:.4f}")
        seconds = history.seconds[-1]
        parts.append(f"{seconds:.3f} s")
        parts.append(f"{(self.samples or 0) / max(seconds, 1e-9):,.0f} samples/s")
        say(("\r\x1b[K" if self._bar else "") + "  ".join(parts))

    def end(self) -> None:
        pass
