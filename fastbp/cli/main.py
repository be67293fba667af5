"""``fastbp``: its commands, its exit statuses, and one line on stderr about an error."""

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TextIO

from .. import __version__
from . import export, info, predict, train
from .failure import FAILED, PIPE_CLOSED, Failure, reason
from .interrupt import Interrupt


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command ``fastbp``.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the command's name; those of the process if not given.

    Returns
    -------
    int
        The exit status: 0 for success, 1 for a failure while it ran, 2 for bad arguments or files, 128 + n
        after signal n (130 after Ctrl-C), 141 where nobody reads the output.  Errors are one line on stderr.

    Examples
    --------
    >>> main(["--version"])
    fastbp 0.2.0
    0
    """
    _open_streams()
    interrupt = Interrupt()
    try:
        with interrupt.listening(restore=argv is not None):  # not in the command, whose status is settled
            status = _run(argv, interrupt)
            sys.stdout.flush()
            if not status:
                interrupt.check()  # where an import has swallowed the exception
    except BaseException as error:
        status = _ended_by(error, interrupt)
    return status


def _open_streams() -> None:
    """Replaces closed streams by the null device, and makes every file name printable."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        if isinstance(stream := getattr(sys, name), io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _run(argv: Sequence[str] | None, interrupt: Interrupt) -> int:
    options = None
    with suppress(SystemExit):  # after --help or --version
        options = _parser().parse_args(argv)
    if options is None:
        return 0
    run: Callable[[argparse.Namespace, Interrupt], int] = options.run
    return run(options, interrupt)


def _ended_by(error: BaseException, interrupt: Interrupt) -> int:
    """Returns the exit status for an error and prints a line about it; raises internal errors."""
    interrupted = interrupt.signum or isinstance(
        error, KeyboardInterrupt
    )  # an import may turn it into another error
    _print("", sys.stdout)
    if isinstance(error, BrokenPipeError):
        return interrupt.status if interrupted else PIPE_CLOSED
    if interrupted:
        status, line = interrupt.status, f"fastbp: {interrupt}"
    elif isinstance(error, Failure):
        status, line = error.status, f"fastbp: error: {error}"
    elif isinstance(error, (MemoryError, OSError)):
        status, line = FAILED, f"fastbp: error: {reason(error)}"
    else:
        raise error
    _print(f"{line}\n", sys.stderr)
    return status


def _print(text: str, stream: TextIO) -> None:
    """Prints if possible; else drops the stream, whose flush at exit would fail and change the status."""
    try:
        print(text, end="", file=stream, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise Failure(f"{message} (see {self.prog} --help)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="fastbp",
        description="Trains fully connected neural networks by backpropagation on CPUs.",
        epilog="fastbp COMMAND --help describes a command's options.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"fastbp {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    train.add_to(commands)
    predict.add_to(commands)
    export.add_to(commands)
    info.add_to(commands)
    return parser
