"""Machine code kept on disk: found again, never stale, and no more than a warning where it is damaged.

One small kernel, ``permute``, stands for all of them.
"""

import hashlib
import os
import pickle
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from llvmlite.binding import ffi
from numba import types
from numba.core import config

import fastbp
import kernel_runs
from children import forked, wait_for
from experiments import in_new_process
from fastbp import Network
from fastbp.engine import formulas, packed
from fastbp.engine.architecture import Architecture
from fastbp.engine.kernels import cache as kernels_cache
from fastbp.engine.kernels import jit, vector
from fastbp.engine.kernels.shuffle import permute
from fastbp.options.random_streams import uniform
from kernel_runs import permuted

PACKAGE = Path(fastbp.__file__).parent
SOURCES = sorted(  # of machine code
    str(path.relative_to(PACKAGE))
    for folder in ("engine/kernels", "options")
    for path in PACKAGE.joinpath(folder).glob("*.py")
)


class Outcome(NamedTuple):
    order: list  # what the kernel gave
    compiled: bool
    warnings: int


def expected():
    """The order of `permuted` by its uniform numbers in NumPy."""
    order = list(range(700))
    for i, u in reversed(list(enumerate(uniform(7, 700).tolist()))):
        j = int(u * (i + 1))
        order[i], order[j] = order[j], order[i]
    return order


FOUND = Outcome(expected(), compiled=False, warnings=0)
COMPILED = Outcome(expected(), compiled=True, warnings=0)
REPAIRED = Outcome(expected(), compiled=True, warnings=1)


# ---------------------------------------------------------------- processes, real and imitated


def start(cache, package=PACKAGE.parent, run="permuted", **environment):
    """A new process that prints one of `kernel_runs` with the kernels of `package`."""
    inherited = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    support = Path(kernel_runs.__file__).parent
    path = os.pathsep.join(map(str, (package, support)))
    kept = {} if cache is None else {"NUMBA_CACHE_DIR": str(cache)}
    program = f"from kernel_runs import {run}; print({run}())"
    return subprocess.Popen(
        [sys.executable, "-W", "always::RuntimeWarning", "-c", program],
        env={**inherited, "PYTHONPATH": path, **kept, **environment},
        cwd=support,  # which Python looks into first
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outcome(process):
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    numbers = [int(number) for number in re.findall(r"-?\d+", stdout)]
    return Outcome(numbers, "fastbp: compiling" in stderr, stderr.count("RuntimeWarning: fastbp: "))


def new_process(*arguments, **keywords):
    return outcome(start(*arguments, **keywords))


def forget_kernels():
    for loaded in (permute, kernels_cache._warn_once, kernels_cache._announce, kernels_cache._digest):
        loaded.cache_clear()


@pytest.fixture
def session(tmp_path, monkeypatch, capfd):
    """``session()``: what a new process would come to, in this one, with its cache in `tmp_path`."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))

    def run():
        forget_kernels()
        capfd.readouterr()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            order = permuted()
        return Outcome(order, "fastbp: compiling" in capfd.readouterr().err, len(caught))

    yield run
    forget_kernels()


@pytest.fixture(scope="module")
def compiled_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("warm")
    assert new_process(folder) == COMPILED
    return folder


@pytest.fixture
def warm(compiled_once, tmp_path):
    """`tmp_path`, with the cache that a process has left there."""
    return Path(shutil.copytree(compiled_once, tmp_path, dirs_exist_ok=True))


def the_file(folder):
    (path,) = folder.rglob("*.bin")
    return path


# ---------------------------------------------------------------- found again


def test_compiled_once_for_all_processes(warm, session):
    assert new_process(warm) == FOUND
    assert session() == FOUND


@pytest.mark.survives("cold cache", each=3)
def test_processes_race_for_a_cold_cache(tmp_path):
    racing = [start(tmp_path) for _ in range(3)]
    for process in racing:
        order, _, warned = outcome(process)
        assert (order, warned) == (expected(), 0)
    assert new_process(tmp_path) == FOUND
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


def children(folder, count, signum=0, seconds=0.0):
    """Exit codes of forked processes that compile at once in a cold cache: 0 where each has the right order.

    A signal is sent to each after so many seconds, where one is given.
    """
    config.CACHE_DIR = str(folder)
    forget_kernels()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    pids = [forked(lambda: permuted() == expected()) for _ in range(count)]
    if signum:
        time.sleep(seconds)
        for pid in pids:
            os.kill(pid, signum)
    return [wait_for(pid, 120) for pid in pids]


def cold_rounds(folder, rounds):
    """How many rounds of 16 processes end well, each of which leaves one file of machine code."""
    for number in range(rounds):
        cache = Path(folder, str(number))
        assert children(cache, 16) == [0] * 16
        assert len([path for path in cache.rglob("*") if path.is_file()]) == 1
    return rounds


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_stderr_that_cannot_be_written_stops_no_training(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    code = "from kernel_runs import permuted; print(permuted())"
    for stderr in ("2>/dev/full", "2>&-"):
        command = f'"{sys.executable}" -c "{code}" {stderr}'
        done = subprocess.run(command, shell=True, env=environment, stdout=subprocess.PIPE, text=True)
        assert (done.returncode, done.stdout) == (0, f"{permuted()}\n")
        shutil.rmtree(tmp_path)


@pytest.mark.survives("cold cache")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_sixteen_processes_on_a_cold_cache(tmp_path, full, record_property):
    rounds = 20 if full else 1
    assert in_new_process(f"test_cache.cold_rounds({str(tmp_path)!r}, {rounds})") == rounds
    record_property("tried", 16 * rounds)


def fork_amid(call, wanted, where, name):
    """The exit code of a child that is forked while a thread is in the function `name`, and then calls it."""
    inside, function = threading.Event(), getattr(where, name)

    def slowly(*arguments, **options):
        with ffi.lib._lock:  # as all calls of LLVM do
            inside.set()
            time.sleep(0.5)
        return function(*arguments, **options)

    setattr(where, name, slowly)
    thread = threading.Thread(target=call)
    thread.start()
    inside.wait()
    setattr(where, name, function)
    status = wait_for(forked(lambda: call() == wanted), 20)
    thread.join()
    return status


def fork_amid_loading():
    permuted()
    forget_kernels()
    return fork_amid(permuted, expected(), kernels_cache._Cache, "load_overload")


def fork_amid_a_question():
    wanted = vector.width()
    vector.width.cache_clear()
    return fork_amid(vector.width, wanted, vector, "_assembly_of_an_fma")


def fork_amid_compiling_a_users_function():
    def compiled():
        return jit.callback("float64(float64)")(lambda z: 0.5 * z).ctypes(3.0)

    return fork_amid(compiled, 1.5, jit, "cfunc")


def fork_amid_making_an_engines_memory():
    architecture = Architecture((3, 4, 2), ("sigmoid", "sigmoid"), np.dtype(np.float64))
    parameters = [np.zeros((4, 3)), np.zeros((2, 4))], [np.zeros((4, 1)), np.zeros((2, 1))]

    def memory():
        return packed.Engine(architecture, *parameters)._scratch.size

    return fork_amid(memory, memory(), packed, "aligned_zeros")


FORKS = [
    "fork_amid_making_an_engines_memory",
    "fork_amid_loading",
    "fork_amid_a_question",
    "fork_amid_compiling_a_users_function",
]


@pytest.mark.survives("fork after a fit")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("fork", FORKS)
def test_a_fork_while_another_thread_holds_what_a_child_needs(fork):
    assert in_new_process(f"test_cache.{fork}()") == 0


def test_a_fork_waits_for_the_products_of_a_diagnosis(monkeypatch):
    """They are BLAS's, for whose threads a child would wait for ever."""
    held, forward = [], formulas.forward

    def noted(*arguments):
        held.append(jit.LOADING._is_owned())
        return forward(*arguments)

    monkeypatch.setattr(formulas, "forward", noted)
    net = Network([2, 3, 1], seed=0)
    net.fit(np.eye(20, 2), np.arange(20.0), epochs=10, batch_size=5, learning_rate=1e-9)
    assert held and all(held)


def interrupted_amid_loading():
    """Tells whether Ctrl-C amid the loading of machine code is raised, and not before that is done."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    permuted()
    forget_kernels()
    load, loaded = kernels_cache._Cache.load_overload, []

    def slowly(*arguments):
        time.sleep(0.2)  # until the main thread waits
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
        code = load(*arguments)
        loaded.append(True)
        return code

    kernels_cache._Cache.load_overload = slowly
    try:
        permuted()
    except KeyboardInterrupt:
        kernels_cache._Cache.load_overload = load
        return loaded == [True] and permuted() == expected()
    return False


@pytest.mark.survives("Ctrl-C")
@pytest.mark.skipif(os.name != "posix", reason="no signals between processes")
def test_an_interrupt_waits_until_machine_code_is_loaded():
    assert in_new_process("test_cache.interrupted_amid_loading()")


def stopped_compiles(folder, times):
    """Ctrl-C and kills amid compiling: the next process that compiles there finds nothing damaged."""
    begin, chance = time.monotonic(), random.Random(0)
    assert children(Path(folder, "first"), 1) == [0]
    seconds = time.monotonic() - begin
    for number in range(times):
        cache, signum = Path(folder, str(number)), (signal.SIGINT, signal.SIGKILL)[number % 2]
        (status,) = children(cache, 1, signum, chance.uniform(0, seconds))
        assert status in (0, 2, -signum), "done, ended by KeyboardInterrupt, or killed"
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert children(cache, 1) == [0]
        assert len([path for path in cache.rglob("*.bin")]) == 1
    return times


@pytest.mark.survives("Ctrl-C")
@pytest.mark.survives("damaged machine code")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_compile_that_is_stopped(tmp_path, full, record_property):
    times = 40 if full else 4
    assert in_new_process(f"test_cache.stopped_compiles({str(tmp_path)!r}, {times})") == times
    record_property("tried", times)


def key_for(wanted):
    return types.int64(types.float32[::1] if wanted == 4 else types.float64[::1])


@pytest.mark.parametrize(("first", "second"), [(4, 8), (8, 4)])
def test_kernels_saved_at_once_for_two_types_are_not_mixed_up(first, second, session, monkeypatch):
    """Two processes compile one kernel for different types and save it, one inside the other's save."""

    @jit.kernel(key_for)
    def itemsize(array):
        return array.itemsize

    save, waiting = kernels_cache._Cache.save_overload, []

    def interleaved(cache, signature, code):
        if not waiting:  # the first is about to write: here comes the second
            waiting.append(True)
            itemsize(second)
        save(cache, signature, code)

    with monkeypatch.context() as patch:
        patch.setattr(kernels_cache._Cache, "save_overload", interleaved)
        itemsize(first)
    itemsize.cache_clear()  # a third process
    for size in (4, 8):
        assert itemsize(size)(np.zeros(3, f"f{size}")) == size


# ---------------------------------------------------------------- damaged

DAMAGES = {
    "last byte missing": lambda content: content[:-1],
    "garbage": lambda content: random.Random(0).randbytes(len(content)),
    "zeros": lambda content: bytes(len(content)),
    "another pickle": lambda content: pickle.dumps(["not", "it"]),
    "missing module": lambda content: content.replace(b"numba.core", b"rumba.core"),
}


def damage(path, how):
    before = path.read_bytes()
    path.write_bytes(DAMAGES[how](before))
    assert path.read_bytes() != before


@pytest.mark.survives("damaged machine code")
@pytest.mark.parametrize("how", DAMAGES)
def test_damaged_file(how, session, warm):
    damage(the_file(warm), how)
    assert session() == REPAIRED
    assert session() == FOUND


def test_damaged_file_in_real_processes(warm):
    damage(the_file(warm), "last byte missing")
    assert new_process(warm) == REPAIRED
    assert new_process(warm) == FOUND


@pytest.mark.survives("damaged machine code", each=4)
def test_truncated_anywhere(session, warm):
    path = the_file(warm)
    content = path.read_bytes()
    for part in (0, 1, 6, 11):
        path.write_bytes(content[: len(content) * part // 12])
        assert session() == REPAIRED


@pytest.mark.survives("damaged machine code")
def test_damaged_at_random(session, warm, full, record_property):
    """Cut off, lengthened, or overwritten anywhere by other bytes, by zeros or by a piece of itself."""
    path, chance, times = the_file(warm), random.Random(0), 300 if full else 12
    content = path.read_bytes()
    for number in range(times):
        first, last = sorted(chance.sample(range(len(content) + 1), 2))
        moved = chance.randrange(len(content) - (last - first) + 1)
        pieces = chance.randbytes(last - first), bytes(last - first), content[moved : moved + last - first]
        damaged = (
            content[:last],
            content + pieces[0],
            *(content[:first] + piece + content[last:] for piece in pieces),
        )[number % 5]
        path.write_bytes(damaged)
        assert session() == (FOUND if damaged == content else REPAIRED), number
    record_property("tried", times)


@pytest.mark.survives("damaged machine code")
@pytest.mark.parametrize("part", [0.02, 0.9])
def test_one_changed_bit(part, warm):
    """Runs in a separate process, because damaged machine code may do anything."""
    path = the_file(warm)
    content = bytearray(path.read_bytes())
    content[int(part * len(content))] ^= 4
    path.write_bytes(content)
    assert new_process(warm) == REPAIRED


def test_good_checksum_of_something_else(session, warm):
    content = pickle.dumps(["not", "it"])
    the_file(warm).write_bytes(hashlib.sha256(content).digest() + content)
    assert session() == REPAIRED
    assert session() == FOUND


def test_missing_file_is_compiled_without_a_word_of_warning(session, warm):
    the_file(warm).unlink()
    assert session() == COMPILED
    assert session() == FOUND


# ---------------------------------------------------------------- planted by another user: a pickle runs code

owners = pytest.mark.skipif(
    not kernels_cache._OWNERS, reason="access control lists instead of owners and modes"
)
NOBODY = 65534


@owners
@pytest.mark.parametrize("mask", [0o002, 0o022])
def test_only_the_user_may_write_what_is_kept(mask, session, tmp_path):
    before = os.umask(mask)
    try:
        session()
    finally:
        os.umask(before)
    kept = list(tmp_path.rglob("*"))
    assert len(kept) == 3  # two folders and a file
    assert all(path.stat().st_mode & 0o077 == 0 for path in kept)


class Planted:
    """Leaves a folder, `canary`, wherever it is unpickled."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return os.mkdir, (str(self.canary),)


def plant(file, canary):
    content = pickle.dumps(Planted(canary))
    file.write_bytes(hashlib.sha256(content).digest() + content)


def replaced_by_a_link(path):
    target = path.with_name("elsewhere")
    path.rename(target)
    path.symlink_to(target)


def given_away(path):
    if os.geteuid():
        pytest.skip("only root gives files away")
    os.chown(path, NOBODY, NOBODY)


UNSAFE = {
    "writable by its group": lambda path: path.chmod(path.stat().st_mode | 0o020),
    "writable by all": lambda path: path.chmod(path.stat().st_mode | 0o002),
    "of another user": given_away,
    "a link": replaced_by_a_link,
}
unsafe = pytest.mark.parametrize("how", UNSAFE)


@owners
def test_planted_file_runs_where_nothing_is_unsafe(session, warm, tmp_path):
    """Shows that the tests below can fail: only owner, mode and link keep such a file from running."""
    plant(the_file(warm), tmp_path / "canary")
    assert session() == REPAIRED
    assert (tmp_path / "canary").exists()


@owners
@unsafe
@pytest.mark.parametrize("above", [0, 1])
def test_unsafe_folder_is_neither_read_nor_written(above, how, session, warm, tmp_path):
    file = the_file(warm)
    plant(file, tmp_path / "canary")
    planted = file.read_bytes()
    UNSAFE[how](file.parents[above])
    for _ in range(2):
        assert session() == REPAIRED
        assert not (tmp_path / "canary").exists()
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert file.read_bytes() == planted


@owners
@unsafe
def test_unsafe_file_is_replaced(how, session, warm, tmp_path):
    file = the_file(warm)
    plant(file, tmp_path / "canary")
    UNSAFE[how](file)
    assert session() == REPAIRED
    assert not (tmp_path / "canary").exists()
    assert not file.is_symlink()
    assert session() == FOUND


@owners
def test_base_that_all_may_write_is_safe_until_a_folder_is_swapped(session, tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    base.chmod(0o777)
    config.CACHE_DIR = str(base)
    assert session() == COMPILED
    assert session() == FOUND
    plant(the_file(base), tmp_path / "canary")
    given_away(base / "fastbp")
    assert session() == REPAIRED
    assert not (tmp_path / "canary").exists()


@owners
def test_folder_swapped_while_it_is_read(session, warm, tmp_path, monkeypatch):
    """The planted folder would be safe by what `stat` says: only the descriptor tells them apart."""
    shutil.copytree(warm / "fastbp", tmp_path / "planted")
    plant(the_file(tmp_path / "planted"), tmp_path / "canary")
    opened = []

    def open_and_swap(path, flags, mode=0o777, *, dir_fd=None):
        descriptor = os_open(path, flags, mode, dir_fd=dir_fd)
        opened.append(path)
        if len(opened) == 2:  # both folders
            (warm / "fastbp").rename(tmp_path / "aside")
            (tmp_path / "planted").rename(warm / "fastbp")
        return descriptor

    os_open = os.open
    monkeypatch.setattr(kernels_cache.os, "open", open_and_swap)
    assert session() == FOUND
    assert len(opened) == 3 and not (tmp_path / "canary").exists()


def test_platform_without_owners(session, tmp_path, monkeypatch):
    monkeypatch.setattr(kernels_cache, "_OWNERS", False)
    monkeypatch.setattr(kernels_cache, "_NO_LINK", 0)
    assert session() == COMPILED
    assert session() == FOUND
    damage(the_file(tmp_path), "zeros")
    assert session() == REPAIRED


# ---------------------------------------------------------------- nowhere to keep it


@pytest.mark.survives("no place for machine code")
def test_folder_that_cannot_be_made(tmp_path):
    file = tmp_path / "file"
    file.write_text("in the way")
    assert new_process(file / "below") == REPAIRED
    assert file.read_text() == "in the way"


@pytest.mark.survives("no place for machine code", each=2)
@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the cache of a user lies elsewhere")
def test_home_that_is_none(tmp_path):
    file = tmp_path / "file"
    file.write_text("in the way")
    assert new_process(None, XDG_CACHE_HOME="", HOME=str(file)) == REPAIRED
    assert new_process(None, XDG_CACHE_HOME=str(tmp_path / "cache"), HOME=str(file)) == COMPILED
    assert the_file(tmp_path / "cache" / "fastbp")


@pytest.mark.survives("no place for machine code")
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_read_only_folder(session, tmp_path):
    tmp_path.chmod(0o500)
    assert session() == REPAIRED
    assert not list(tmp_path.iterdir())


@pytest.mark.survives("no place for machine code")
def test_failing_write(session, monkeypatch, tmp_path):
    def fail(*paths, **folders):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(kernels_cache.os, "replace", fail)
        assert session() == REPAIRED
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert session() == COMPILED
    assert session() == FOUND


# ---------------------------------------------------------------- never stale


@pytest.fixture
def copy(tmp_path):
    """A copy of the package, in a folder of its own."""
    folder = tmp_path / "copy"
    shutil.copytree(PACKAGE, folder / "fastbp", ignore=shutil.ignore_patterns("__pycache__", "*.npz", "*.gz"))
    return folder


def edit(path, old, new):
    """Leaves size and time of the file as they were, so that nothing but its content tells."""
    before, text = path.stat(), path.read_text("utf-8")
    assert text.count(old) == 1 and len(old) == len(new)
    path.write_text(text.replace(old, new), "utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)  # Python's own cache goes by size and time


# In a function that the kernel calls: an edit of the kernel itself Numba would notice
MIX, OTHER_MIX = "(z >> np.uint64(27))", "(z >> np.uint64(26))"


@pytest.mark.survives("stale machine code")
def test_edited_kernel_gives_the_new_result(copy, warm):
    source = copy / "fastbp" / "engine" / "kernels" / "shuffle.py"
    assert new_process(warm, copy) == FOUND
    edit(source, MIX, OTHER_MIX)
    order, compiled, warned = new_process(warm, copy)
    assert order != expected() and sorted(order) == list(range(700))
    assert (compiled, warned) == (True, 0)
    edit(source, OTHER_MIX, MIX)
    assert new_process(warm, copy) == FOUND


@pytest.mark.survives("stale machine code")
@pytest.mark.parametrize("name", SOURCES)
def test_every_kernel_source_names_the_folder(name, copy, monkeypatch):
    """Numba's own cache looks at the kernel's file alone, and a row's formula is in another."""
    monkeypatch.setattr(kernels_cache, "files", lambda package: copy / package)
    folders = []
    for comment in ("", "# 1", "# 2", ""):
        source = PACKAGE.joinpath(name).read_text("utf-8") + comment
        copy.joinpath("fastbp", name).write_text(source, "utf-8")
        kernels_cache._digest.cache_clear()
        folders.append(kernels_cache.cache_folder())
    kernels_cache._digest.cache_clear()
    assert len(set(folders)) == 3 and folders[0] == folders[-1]


@pytest.mark.parametrize("option", ["OPT", "BOUNDSCHECK"])
def test_every_option_names_the_folder(option, monkeypatch):
    kernels_cache._digest.cache_clear()
    before = kernels_cache.cache_folder()
    monkeypatch.setattr(config, option, 1 if getattr(config, option) != 1 else 0)
    kernels_cache._digest.cache_clear()
    assert kernels_cache.cache_folder() != before
    monkeypatch.undo()
    kernels_cache._digest.cache_clear()
    assert kernels_cache.cache_folder() == before


def test_another_version_has_another_folder(monkeypatch):
    before = kernels_cache.cache_folder()
    monkeypatch.setattr(kernels_cache, "__version__", "0.0.0")
    kernels_cache._digest.cache_clear()
    assert kernels_cache.cache_folder() != before
    kernels_cache._digest.cache_clear()


def zipped(folder, path):
    with zipfile.ZipFile(path, "w") as file:
        for source in sorted(folder.rglob("*.py")):
            file.write(source, source.relative_to(folder))
    return path


@pytest.mark.survives("stale machine code")
def test_package_in_a_zip_is_never_stale(copy, tmp_path):
    path = tmp_path / "fastbp.zip"
    assert new_process(tmp_path, zipped(copy, path)).order == expected()
    edit(copy / "fastbp" / "engine" / "kernels" / "shuffle.py", MIX, OTHER_MIX)
    assert new_process(tmp_path, zipped(copy, path)).order != expected()


@pytest.mark.survives("no place for machine code")
def test_a_package_in_a_zip_trains(copy, tmp_path):
    """With the machine code of the package itself, whose sources have the same digest."""
    process = start(config.CACHE_DIR or None, zipped(copy, tmp_path / "fastbp.zip"), run="trained")
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert stdout == f"{kernel_runs.trained()}\n"


# ---------------------------------------------------------------- nothing compiled at all


def test_jit_that_is_disabled():
    """The package and its plain path still work; the first kernel says what is set and what to do."""
    process = start(None, run="trained_without_jit", NUMBA_DISABLE_JIT="1")
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert re.fullmatch(r"RuntimeError: NUMBA_DISABLE_JIT is set \(1\).*: unset it .*\n", stdout)


def test_code_that_is_kept_needs_nothing_of_the_compiler():
    """Which Numba would import all the same, and SciPy's BLAS with it: most of a first `fit`."""
    call = "kernel_runs.modules_after_a_fit()"
    in_new_process(call)
    assert in_new_process(call) == []


def refused(*_):
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize("start", [refused, lambda *_: None], ids=["refused", "never begins"])
def test_code_is_loaded_where_no_thread_begins(start, monkeypatch):
    monkeypatch.setattr(jit, "_TO_BEGIN", 0.01)
    monkeypatch.setattr(jit._thread, "start_new_thread", start)
    assert jit.undisturbed(lambda: 5) == 5


def test_code_is_loaded_where_this_thread_loads_other_code():
    with jit.LOADING:
        assert jit.undisturbed(lambda: 5) == 5
