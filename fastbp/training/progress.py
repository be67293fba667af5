"""Progress on stdout: one live bar in a terminal or a notebook, and a line per epoch that stays, anywhere."""

import datetime
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from ..engine.chunks import say

_PAUSE = 0.1  # least seconds between two states of a bar
_BAR = 30  # most characters of a bar
_IN_ITS_OWN_PLACE = ("loss", "seconds", "learning_rate", "threads", "val_loss", "val_accuracy", "val_r2")


class Progress:
    """A training's progress.  The bar, with its time left, spans all epochs."""

    _bar: "_Bar | None" = None

    def begin(self, epochs: int, samples: int | None) -> None:
        """Begins to show epochs of so many samples each, None where the number is unknown."""
        self.epochs, self._samples = epochs, samples
        self._samples_done, self._shown = 0, 0.0
        self._within = False  # whether an epoch has begun whose line is not written yet
        self._bar = _bar()

    def chunk(self, epoch: int, samples_done: int, mean_cost: float) -> None:
        """Shows that samples of an epoch, counted from 0, are done, and their mean cost."""
        self._samples_done, self._within = samples_done, True
        now = time.monotonic()
        if self._bar and now - self._shown >= _PAUSE:
            self._shown = now
            samples = self._samples or 0
            label = f"epoch {epoch + 1:>3}/{self.epochs}"
            self._bar.show(_BarState(label, epoch * samples + samples_done, self.epochs * samples, mean_cost))

    def epoch_end(self, history: Mapping[str, Sequence[float]]) -> None:
        """Writes the line of the history's last epoch."""
        self._samples = self._samples_done or self._samples
        self._within = False
        self.note(_line(history, self.epochs, self._samples or 0))

    def note(self, text: str) -> None:
        """Writes a line that stays."""
        if self._bar:
            self._bar.write(text)
        else:
            say(text)

    def end(self) -> None:
        """Removes the bar, or ends its line where an epoch was interrupted."""
        if self._bar:
            self._bar.end(stays=self._within)
        self._bar = None


def _line(history: Mapping[str, Sequence[float]], epochs: int, samples: int) -> str:
    last = {name: numbers[-1] for name, numbers in history.items() if numbers}
    parts = [f"epoch {len(history['loss']):>3}/{epochs}", f"loss {last['loss']:.5f}"]
    scores = [last[name] for name in ("val_accuracy", "val_r2") if name in last]
    parts += [f"validation {score:.4f}" for score in scores[:1]]
    parts += [f"{name} {number:.4f}" for name, number in last.items() if name not in _IN_ITS_OWN_PLACE]
    seconds = last["seconds"]
    parts += [f"{seconds:.3f} s", f"{samples / max(seconds, 1e-9):,.0f} samples/s"]
    parts += [f"{threads} threads"] if (threads := last.get("threads", 1)) > 1 else []
    return "  ".join(parts)


class _BarState(NamedTuple):
    """The contents of a bar."""

    label: str
    samples_done: int
    total: int  # 0 where it is not known yet
    cost: float


class _Bar(Protocol):
    def show(self, state: _BarState) -> None: ...
    def write(self, line: str) -> None: ...
    def end(self, stays: bool) -> None: ...


def _bar() -> _Bar | None:
    """A bar for a terminal or a notebook; None for a file, a pipe or any other stdout."""
    if not (hasattr(sys.stdout, "isatty") and sys.stdout.isatty()) and not _in_notebook():
        return None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return _OneLineBar()
    return _Tqdm(tqdm)


def _in_notebook() -> bool:
    """Tells whether a notebook's kernel runs this; its stdout is no terminal but takes carriage returns."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", ())


class _OneLineBar:
    """A bar in one line that is rewritten, cut to the terminal's width so that it does not wrap."""

    def __init__(self) -> None:
        self._length = 0  # of the text in the line
        self._first: tuple[float, int] | None = (
            None  # seconds and samples, when the first chunk had been done
        )

    def show(self, state: _BarState) -> None:
        now = time.monotonic()
        started_at, samples_before = self._first = self._first or (now, state.samples_done)
        rate = (state.samples_done - samples_before) / (now - started_at) if now > started_at else 0.0
        parts = [state.label, f"loss {state.cost:.5f}"]
        if rate > 0 and state.total:
            parts.append(
                f"{datetime.timedelta(seconds=round((state.total - state.samples_done) / rate))} left"
            )
        if rate > 0:
            parts.append(f"{rate:,.0f} samples/s")
        columns = shutil.get_terminal_size().columns - 1
        while len("  ".join(parts)) > columns and len(parts) > 1:
            parts.pop()
        size = min(_BAR, columns - len("  ".join([*parts, "[]"])))
        if state.total and size >= 5:
            filled = min(size, size * state.samples_done // state.total)
            parts.insert(1, f"[{'#' * filled:<{size}}]")
        line = "  ".join(parts)[:columns]
        say("\r" + line.ljust(self._length), end="")
        self._length = len(line)

    def write(self, line: str) -> None:
        say((f"\r{'':{self._length}}\r" if self._length else "") + line)
        self._length = 0

    def end(self, stays: bool) -> None:
        if self._length:
            say("")


class _Tqdm:
    """A bar by tqdm, which supports notebooks and their widgets."""

    def __init__(self, tqdm: Any) -> None:
        # Its monitoring thread would only redraw what is late, and outlives the training.
        self._type: Any = type("tqdm", (tqdm,), {"monitor_interval": 0})
        self._bar: Any = None

    def show(self, state: _BarState) -> None:
        total = state.total or None
        if self._bar is not None and self._bar.total != total:  # blocks have been counted
            self.end(stays=False)
        if self._bar is None:
            self._bar = self._type(
                total=total,
                initial=state.samples_done,
                desc=state.label,
                file=sys.stdout,
                dynamic_ncols=True,
                unit=" samples",
                unit_scale=True,
            )
        self._bar.n = state.samples_done
        self._bar.set_description_str(state.label, refresh=False)
        self._bar.set_postfix_str(f"loss {state.cost:.5f}")

    def write(self, line: str) -> None:
        self._type.write(line, file=sys.stdout)

    def end(self, stays: bool) -> None:
        if self._bar is not None:
            self._bar.leave = stays
            self._bar.close()
            self._bar = None
