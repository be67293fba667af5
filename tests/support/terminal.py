"""A terminal as tests need one: what was written to it, and what is then to be seen."""

import contextlib
import io
import os
import re
import struct
import subprocess

import pytest


class Terminal(io.StringIO):
    """Keeps what is written; `screen` is what is to be seen."""

    def isatty(self):
        return True

    def screen(self):
        lines, column = [""], 0
        for part in re.split(r"(\r|\n)", self.getvalue()):
            if part == "\n":
                lines.append("")
            if part in ("\r", "\n"):
                column = 0
            else:
                lines[-1] = lines[-1][:column] + part + lines[-1][column + len(part) :]
                column += len(part)
        return [line.rstrip() for line in lines]


def shown_by(command, environment=None, columns=80):
    """A terminal of so many columns to which a process has written, which must end well."""
    fcntl, pty, termios = (pytest.importorskip(name) for name in ("fcntl", "pty", "termios"))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {name: value for name, value in (environment or os.environ).items() if name != "COLUMNS"}
    written = b""
    with subprocess.Popen(command, stdout=theirs, env=environment) as process:
        os.close(theirs)
        with contextlib.suppress(OSError):  # Linux: the other side is closed
            while part := os.read(ours, 4096):
                written += part
    os.close(ours)
    assert process.returncode == 0
    terminal = Terminal()
    terminal.write(written.decode().replace("\r\n", "\n"))
    return terminal
