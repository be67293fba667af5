"""Saving is durable: the disk holds the whole old file or the whole new one, whatever fails."""

import errno
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import fastbp
from children import signalled
from experiments import in_new_process
from fastbp import Network
from fastbp.files import durable
from saved import at_most, network
from toy import bits, fresh

CALLS = ("open", "write", "flush", "fsync", "fchmod", "replace", "fsync of the folder")


class Failing:
    """Makes the n-th call fail of what a durable write asks of the system."""

    def __init__(self, monkeypatch, n):
        self.left, self.calls = n, []
        real = {name: getattr(os, name) for name in ("fsync", "replace", "open", "fchmod")}
        for name, function in real.items():
            monkeypatch.setattr(os, name, self.counted(name, function))
        real_open = open

        def opened(file, mode="r", *more, **named):
            if "x" not in mode:
                return real_open(file, mode, *more, **named)
            self.count("open file")
            return WatcherStates(self, real_open(file, mode, *more, **named))

        monkeypatch.setattr(durable, "open", opened, raising=False)

    def count(self, name):
        self.calls.append(name)
        self.left -= 1
        if self.left == 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def counted(self, name, function):
        def call(*arguments, **named):
            self.count(name)
            return function(*arguments, **named)

        return call


class WatcherStates:
    def __init__(self, failing, file):
        self.failing, self.file = failing, file

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def __getattr__(self, name):
        real = getattr(self.file, name)
        return self.failing.counted(name, real) if name in ("write", "flush") else real


@pytest.mark.survives("failing write")
def test_whichever_call_fails_the_old_file_or_the_new_is_there(path, record_property):
    old, new = network("plain"), network("huber")
    path.unlink(missing_ok=True)
    seen = []
    for n in range(1, 100):
        old.save(path)
        path.chmod(0o640)
        with pytest.MonkeyPatch.context() as monkeypatch:
            failing = Failing(monkeypatch, n)
            try:
                new.save(path)
                error = None
            except OSError as caught:
                error = caught
        assert os.listdir(path.parent) == [path.name], failing.calls
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        kept = bits(fastbp.load(path))
        if error is None:
            assert kept == bits(new)
            break
        assert error.errno == errno.EIO
        assert str(path) in str(error)
        seen.append(failing.calls[-1])
        assert kept == bits(new if "replace" in failing.calls[:-1] else old)
    assert {"open file", "write", "flush", "fsync", "fchmod", "replace"} <= set(seen)
    assert seen[-2:] == ["open", "fsync"], "the folder's"
    record_property("tried", n)


def test_windows_waits_for_those_who_read_the_old_file(path, monkeypatch):
    net, replace, refused = network(), os.replace, []

    def refuse_twice(*arguments):
        if len(refused) < 2:
            refused.append(PermissionError(errno.EACCES, "used by another process"))
            raise refused[-1]
        replace(*arguments)

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(os, "replace", refuse_twice)
    net.save(path)
    assert len(refused) == 2 and bits(fastbp.load(path)) == bits(net)


def test_windows_removes_temporary_files_that_it_has_not_open(path, monkeypatch):
    left = path.with_name(f".{path.name}.fastbp-1-abcd.tmp")
    left.touch()
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(durable, "_lock", None)  # which would open it
    durable._sweep(str(path))
    assert left.exists(), "another process may be about to rename it"
    os.utime(left, (0, 0))
    durable._sweep(str(path))
    assert not left.exists()


def test_what_is_written_is_flushed_and_on_the_disk_before_it_has_the_name(path):
    net = network()  # which may compile kernels, and keep them
    with pytest.MonkeyPatch.context() as monkeypatch:
        failing = Failing(monkeypatch, 10**9)
        net.save(path)
    steps = [name for name in failing.calls if name in ("write", "flush", "fsync", "replace")]
    while steps[:2] == ["write", "write"]:
        del steps[0]
    assert steps == ["write", "flush", "fsync", "replace", "fsync"], "the folder's last"


@pytest.mark.survives("failing write")
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_no_temporary_is_left_whatever_is_raised(path, error, monkeypatch):
    network().save(path)
    before = path.read_bytes()

    def raises(*arguments):
        raise error

    monkeypatch.setattr(os, "fsync", raises)
    with pytest.raises(error):
        network("plain").save(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


class AtOpcode:
    """A trace function that raises at the n-th opcode of a durable write."""

    def __init__(self, n):
        self.left = n

    def __call__(self, frame, event, arg):
        if frame.f_code.co_filename != durable.__file__:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self


@pytest.mark.survives("failing write")
@pytest.mark.filterwarnings("ignore:unclosed file")  # interrupted before `with` has it: freed, it is closed
def test_an_interrupt_at_every_opcode(tmp_path, record_property):
    path = tmp_path / "file"
    sys.settrace(AtOpcode(10**9))  # Python 3.12 and 3.13 tell no opcode of what is traced for the first time
    with durable.writing(path) as file:
        file.write(b"old")
    sys.settrace(None)
    for n in range(1, 10_000):
        path.write_bytes(b"old")
        sys.settrace(AtOpcode(n))
        try:
            with durable.writing(path) as file:
                file.write(b"new")
            break
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
        assert path.read_bytes() in (b"old", b"new"), n
        assert os.listdir(tmp_path) == ["file"], n
    assert n > 100
    assert path.read_bytes() == b"new"
    record_property("tried", n)


def test_writers_at_once_do_not_sweep_each_other_s_files(tmp_path):
    path, failures = tmp_path / "file", []

    def work(content):
        for _ in range(100):
            try:
                with durable.writing(path) as file:
                    file.write(content)
            except OSError as error:
                failures.append(error)

    threads = [threading.Thread(target=work, args=[bytes([n]) * 1000]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert os.listdir(tmp_path) == ["file"]
    assert len(set(path.read_bytes())) == 1


def test_a_sweep_touches_nothing_but_files(tmp_path):
    """Anybody may put other things into a folder that all may write to."""
    start = durable._prefix(str(tmp_path / "file"))
    os.mkfifo(f"{start}fifo.tmp")
    other = tmp_path / "other"
    other.write_bytes(b"other")
    os.symlink(other, f"{start}link.tmp")
    Path(f"{start}left.tmp").write_bytes(b"left behind")
    with at_most(seconds=5), durable.writing(tmp_path / "file") as file:
        file.write(b"new")
    assert other.read_bytes() == b"other"
    assert not os.path.exists(f"{start}left.tmp")
    assert os.path.islink(f"{start}link.tmp")


def test_names_as_long_as_they_can_be(tmp_path):
    for name in ("a" * 255, "\N{SNOWMAN}" * 85):
        with durable.writing(tmp_path / name) as file:
            file.write(b"new")
        assert (tmp_path / name).read_bytes() == b"new"


def test_nobody_else_can_read_a_new_file_before_it_has_its_mode(path, monkeypatch):
    path.write_bytes(b"secret")
    path.chmod(0o600)
    modes, copy = [], durable.copy_owner_and_mode

    def copy_owner_and_mode(former, file):
        modes.append(os.fstat(file).st_mode & 0o077)
        copy(former, file)

    monkeypatch.setattr(durable, "copy_owner_and_mode", copy_owner_and_mode)
    fresh().save(path)
    assert modes == [0]


def test_a_folder_that_cannot_be_flushed_is_no_failure(path, monkeypatch):
    real = os.fsync

    def fsync(file):
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    fresh().save(path)
    assert bits(fastbp.load(path)) == bits(fresh())


@pytest.mark.survives("failing write")
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], check=False)
    if mounted.returncode:
        pytest.skip("this system mounts no tmpfs")
    try:
        small, large = fresh(), Network([100, 400], seed=0)
        small.save(disk / "net")
        with pytest.raises(OSError, match=r"No space left.*net'") as caught:
            large.save(disk / "net")
        assert caught.value.errno == errno.ENOSPC
        assert bits(fastbp.load(disk / "net")) == bits(small)
        assert os.listdir(disk) == ["net"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def save_on_and_on(net, path, number, told):
    """Saves networks whose weights are all a number, the next in each, and tells each that is saved."""
    while True:
        for array in (*net.weights, *net.biases):
            array[...] = number
        net.save(path)
        os.write(told, number.to_bytes(8, "little"))
        number += 1


def kills(path, megabytes, times):
    """Kills processes that save: each leaves a whole file, which is none older than the last that was told.

    Returns the names of the files that are left in the folder.
    """
    width = int((megabytes * 125_000) ** 0.5)
    net, chance, last = Network([width, width], seed=0), random.Random(0), 0
    net.parameters = np.zeros_like(net.parameters)
    begin = time.monotonic()
    net.save(path)
    seconds = 1.5 * (time.monotonic() - begin)
    for _ in range(times):
        ours, theirs = os.pipe()
        moment, arguments = chance.uniform(0, seconds), (net, path, last + 1, theirs)
        killed = signalled(signal.SIGKILL, moment, save_on_and_on, *arguments)
        os.close(theirs)
        told = os.read(ours, 1 << 20)
        os.close(ours)
        saved = fastbp.load(path)
        number = int(saved.biases[0][0, 0])
        assert killed == -signal.SIGKILL
        assert number >= (int.from_bytes(told[-8:], "little") if told else last)
        assert all((array == number).all() for array in (*saved.weights, *saved.biases))
        assert len(os.listdir(os.path.dirname(path))) <= 2, (
            "the next that writes removes what the last has left"
        )
        last = number
    fresh().save(path)
    return os.listdir(os.path.dirname(path))


@pytest.mark.survives("kill while saving")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("megabytes", [1, 20])
def test_a_kill_while_saving_leaves_a_whole_file(path, megabytes, full, record_property):
    times = 250 if full else 15
    left = in_new_process(f"test_durability.kills({str(path)!r}, {megabytes}, {times})")
    assert left == [path.name]
    record_property("tried", times)
