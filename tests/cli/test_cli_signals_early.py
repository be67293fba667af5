"""Signals while the command is still importing: its status, and one line."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from command import ENVIRONMENT, POINTS, POSIX, ROOT

SIGNALS = {"SIGINT": "interrupted", "SIGTERM": "ended by SIGTERM", "SIGHUP": "ended by SIGHUP"}

# At every import, a copy of the process is sent a signal and goes on; what it says and how it ends is noted.
PROGRAM = """
import _thread, json, os, sys
import _signal as signal

here = _thread.get_ident()
names, begin, every, *argv = json.loads(sys.argv[1])
sys.argv = ["fastbp", *argv]
seen, noted = [], []

class Finder:
    active = True

    def find_spec(self, name, path=None, target=None):
        if not Finder.active or _thread.get_ident() != here:  # whose copy would end with that thread
            return None
        seen.append(name)
        for place, signum in enumerate(names):
            if (len(seen) + place) % every:
                continue
            ours, theirs = os.pipe()
            child = os.fork()
            if not child:
                Finder.active = False
                os.dup2(theirs, 1)
                os.dup2(theirs, 2)
                os.close(ours)
                os.close(theirs)
                os.kill(os.getpid(), getattr(signal, signum))
                return None
            os.close(theirs)
            said = b""
            while part := os.read(ours, 4096):
                said += part
            os.close(ours)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            noted.append([name, signum, status, said.decode(errors="replace")])

sys.meta_path.insert(0, Finder())
status = 1
try:
    exec(begin)
except SystemExit as end:
    status = end.code
if Finder.active:
    Finder.active = False
    with open(sys.__stdout__.fileno(), "w", closefd=False) as file:
        print("\\n" + json.dumps([status, seen, noted]), file=file)
else:
    sys.exit(status)
"""

ENTRY = re.search(r'^fastbp = "([\w.]+):(\w+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
BEGINNINGS = {
    "console script": f"from {ENTRY[1]} import {ENTRY[2]}; sys.exit({ENTRY[2]}())",
    "module": "import runpy; runpy.run_module('fastbp', run_name='__main__', alter_sys=True)",
}


def imports(begin, *arguments, every=1):
    """The modules that the command looks for, and (module, signal, status, output) of each signal."""
    told = json.dumps([list(SIGNALS), BEGINNINGS[begin], every, *map(str, arguments)])
    done = subprocess.run(
        [sys.executable, "-S", "-c", PROGRAM, told],
        env={**ENVIRONMENT, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
        capture_output=True,
        text=True,
        timeout=600,
        preexec_fn=lambda: [signal.signal(getattr(signal, name), signal.SIG_DFL) for name in SIGNALS],
    )
    assert done.stderr == ""
    status, seen, noted = json.loads(done.stdout.splitlines()[-1])
    assert status == 0
    return seen, noted


SHOWN_BY_C = "numba._devicearray"  # whose importer, in C, prints the exception of a failed import


def wrong(noted):
    """The notes of any other end than a status as a shell counts it and one line."""
    return [
        note
        for note in noted
        if note[0] != SHOWN_BY_C
        and note[2:] != [128 + getattr(signal, note[1]), f"fastbp: {SIGNALS[note[1]]}\n"]
    ]


@pytest.mark.survives("signal while importing")
@POSIX
@pytest.mark.parametrize("begin", BEGINNINGS)
def test_a_signal_at_any_import_of_the_command(begin, record_property):
    seen, noted = imports(begin, "--version")
    first = seen.index("fastbp.cli.signals") + 1
    assert all(name.startswith("fastbp") for name in seen[seen.index("fastbp") : first]), (
        "nothing else before"
    )
    later = [note for note in noted if seen.index(note[0]) >= first]
    assert len(later) > 100
    assert wrong(later) == []
    record_property("tried", len(later))


@pytest.mark.survives("signal while importing")
@POSIX
@pytest.mark.parametrize("command", [("info",), ("train", "--data", POINTS, "--epochs", 1)])
def test_a_signal_at_many_imports_of_what_computes(command, record_property):
    seen, noted = imports("console script", *command, every=30)
    late = [note for note in noted if seen.index(note[0]) > seen.index("numpy")]
    assert len(late) > 30
    assert wrong(late) == []
    record_property("tried", len(late))


# Python remembers a KeyboardInterrupt that leaves an `exec` of text, and may end by SIGINT for it.
IN_EXEC = """
import os, signal, sys
import fastbp.cli.main as command

text = "import os, signal\\nos.kill(os.getpid(), signal.SIGTERM)\\nfor _ in range(10**7): pass"
command._run = lambda *_: exec(text)
sys.exit(command.main())
"""


@POSIX
def test_a_signal_within_executed_text_keeps_its_status(tmp_path):
    (tmp_path / "program.py").write_text(IN_EXEC)
    done = subprocess.run(
        [sys.executable, "-m", "program"],
        cwd=tmp_path,
        env={**ENVIRONMENT, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL),
    )
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, "fastbp: ended by SIGTERM\n")
