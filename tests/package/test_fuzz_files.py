"""Changed files, to every reader: none harms it, and what would is found."""

import math
import os
import signal
import time

import numpy as np
import pytest

from reproduce.fuzz_files import __main__ as fuzz
from reproduce.fuzz_files import formats, readers

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads /proc, and forks")


@pytest.mark.survives("hostile file")
@pytest.mark.parametrize("name", readers.READERS)
def test_changed_files_are_refused_or_of_use(name, full, record_property, capsys):
    files = 3000 if full else 60
    report = fuzz.run([name], 0, math.inf, files)
    assert not report.wrong
    assert report.counts == {name: files}
    record_property("tried", files)


@pytest.mark.parametrize("name", readers.READERS)
def test_a_file_follows_from_its_seed(name, tmp_path):
    content = readers.valid(name, str(tmp_path))
    drawn = [formats.drawn(seed, readers.READERS[name].change, content) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def refused_as(error):
    def read(path):
        raise error(path)

    return read


HARMS = {  # what a reader must not do -> what is told
    "crash": (lambda path: os.kill(os.getpid(), signal.SIGSEGV), "ends the process with -11"),
    "exit": (lambda path: os._exit(3), "ends the process with 3"),
    "hang": (lambda path: time.sleep(60), "takes more than 0.3 seconds"),
    "memory": (lambda path: np.ones(1 << 28), "MemoryError: "),
    "memory, as another error": (
        refused_as(lambda path: ValueError(f"{path}: MemoryError()")),
        "too much memory",
    ),
    "another error": (refused_as(KeyError), "KeyError: "),
    "lines": (refused_as(lambda path: ValueError(f"{path}: a\nb")), "says "),
    "no path": (refused_as(lambda path: ValueError("damaged")), "says 'damaged'"),
    "a command": (lambda path: os.system("true"), "os.system (b'true'"),
    "no use": (lambda path: readers.expect(False, "it does not predict"), "Wrong: it does not predict"),
}


@pytest.mark.parametrize("harm", HARMS)
def test_what_harms_is_told_and_the_next_files_are_read(harm, monkeypatch, capsys):
    harmful, told = HARMS[harm]

    def read(path):
        with open(path, "rb") as file:
            if file.read() == b"3":
                harmful(path)

    monkeypatch.setattr(fuzz, "_SECONDS", 0.3)
    monkeypatch.setattr(formats, "drawn", lambda seed, change, content: str(seed).encode())
    monkeypatch.setitem(readers.READERS, "csv", readers.READERS["csv"]._replace(read=read))
    report = fuzz.run(["csv"], 1, math.inf, 5)
    assert [told in wrong for wrong in report.wrong] == [True], report.wrong
    assert report.wrong[0].endswith(" (--reader 'csv' --seed 3)")
    assert report.counts == {"csv": 5}


def test_a_file_is_kept_by_its_seed(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(fuzz.tempfile, "tempdir", None)
    assert fuzz._one("npy", 3) == 0
    path, verdict = capsys.readouterr().out.splitlines()
    assert os.path.exists(path) and verdict == "as it should be"
