"""Files that are changed by a grammar or by bytes, to every reader: each is refused in one line, or of use.

    python -m reproduce.fuzz_files --minutes 15
    python -m reproduce.fuzz_files --reader npz --seed 4711   # one file, which is kept
    python -m reproduce.fuzz_files --reader npy --atheris     # by coverage, where atheris is installed

Readers: network, checkpoint, ensemble, idx, npy, npz, csv, network2, machine code.  Cases run in processes of
their own with little more memory than they begin with: one that crashes, hangs, takes too much memory, raises
another error, or starts anything is printed with its seed.  Exit status: 1 if there is one.
"""

import argparse
import mmap
import os
import random
import re
import resource
import signal
import struct
import sys
import tempfile
import time
import types
import warnings
from collections.abc import Iterator
from pathlib import Path

from ..report import Report
from . import formats, readers

_AT_ONCE = 200  # cases of a process
_SECONDS = 30.0  # of a case
_MEMORY = 512 << 20  # bytes of address space more than a process begins with
_REPORT = 30.0  # seconds between lines


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--reader", choices=readers.READERS, help="this one alone (default: all)")
    parser.add_argument("--first", type=int, help="the first seed (default: any)")
    parser.add_argument("--seed", type=int, help="this file alone")
    parser.add_argument("--atheris", action="store_true", help="guided by coverage (pip install atheris)")
    options = parser.parse_args()
    os.environ["FASTBP_NUM_THREADS"] = "1"
    names = [options.reader] if options.reader else list(readers.READERS)
    if options.atheris:
        return _by_coverage(names[0], options.minutes)
    if options.seed is not None:
        return _one(names[0], options.seed)
    first = random.SystemRandom().randrange(10**9) if options.first is None else options.first
    print(f"seeds from {first} on", flush=True)
    report = run(names, first, options.minutes * 60)
    print(report)
    return 1 if report.wrong else 0


def run(names: list[str], first: int, seconds: float, most: int = 10**12) -> Report:
    """Tries files of every reader for so many seconds, or until there are so many of each."""
    report, end = Report("files", "wrong"), time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        contents = {name: readers.valid(name, folder) for name in names}
        due = time.monotonic() + _REPORT
        done = 0
        while time.monotonic() < end and done < most:
            count = min(_AT_ONCE, most - done)
            for name in names:
                _several(name, range(first + done, first + done + count), contents[name], folder, report, end)
            done += count
            if time.monotonic() > due:
                print(report, flush=True)
                due = time.monotonic() + _REPORT
    return report


def _several(name: str, seeds: range, content: bytes, folder: str, report: Report, end: float) -> None:
    """Tries files in children: one that dies or hangs is told, and the next goes on after it."""
    position = seeds.start
    while position < seeds.stop and time.monotonic() < end:
        shared = mmap.mmap(-1, 8)  # the seed of the file that is read
        struct.pack_into("<q", shared, 0, position)
        ours, theirs = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # NumPy's BLAS keeps a thread
            pid = os.fork()
        if not pid:
            status = 1
            try:
                os.close(ours)
                status = _child(name, range(position, seeds.stop), content, folder, theirs, shared)
            finally:
                os._exit(status)
        os.close(theirs)
        how = _watched(pid, shared)
        with os.fdopen(ours, errors="replace") as said:
            for line in said:
                seed, _, what = line.rstrip("\n").partition(" ")
                report.tell(_told(name, int(seed), what))
        (last,) = struct.unpack_from("<q", shared)
        tried = last - position + (how != "")
        report.cases += tried
        report.counts[name] += tried
        if how:
            report.tell(_told(name, last, how))
        position = last + (how != "")


def _told(name: str, seed: int, what: str) -> str:
    return f"{what} (--reader {name!r} --seed {seed})"


def _child(name: str, seeds: range, content: bytes, folder: str, told: int, shared: mmap.mmap) -> int:
    path = os.path.join(folder, f"case-{os.getpid()}")
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + _MEMORY, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for seed in seeds:
        struct.pack_into("<q", shared, 0, seed)
        Path(path).write_bytes(formats.drawn(seed, readers.READERS[name].change, content))
        what = readers.verdict(name, path)
        if what:
            os.write(told, f"{seed} {what}\n".encode(errors="backslashreplace"))
    struct.pack_into("<q", shared, 0, seeds.stop)
    os.unlink(path)
    return 0


def _watched(pid: int, shared: mmap.mmap) -> str:
    """What ended a child but the end of its work; nothing where that did."""
    seen, since = b"", time.monotonic()
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return f"ends the process with {code}" if code else ""
        if shared[:8] != seen:
            seen, since = shared[:8], time.monotonic()
        elif time.monotonic() - since > _SECONDS:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return f"takes more than {_SECONDS:g} seconds"
        time.sleep(0.005)


def _one(name: str, seed: int) -> int:
    """Reads the file of a seed here, and keeps it."""
    with tempfile.TemporaryDirectory() as folder:
        content = readers.valid(name, folder)
    path = Path(tempfile.gettempdir(), f"fuzz-{name.replace(' ', '-')}-{seed}")
    path.write_bytes(formats.drawn(seed, readers.READERS[name].change, content))
    print(path)
    what = readers.verdict(name, str(path))
    print(what or "as it should be")
    return 1 if what else 0


def _by_coverage(name: str, minutes: float) -> int:
    """Has atheris change the bytes of files, by the code that they reach."""
    try:
        import atheris
    except ImportError:
        sys.exit("--atheris: expected the package atheris, which is not installed; pip install atheris")
    folder = tempfile.mkdtemp(prefix="fuzz-")
    content, corpus = readers.valid(name, folder), Path(folder, "corpus")
    corpus.mkdir()
    for seed in range(50):
        found = content if not seed else formats.drawn(seed, readers.READERS[name].change, content)
        (corpus / str(seed)).write_bytes(found[: 1 << 16])
    path = os.path.join(folder, "case")

    def one(data: bytes) -> None:
        Path(path).write_bytes(data)
        if what := readers.verdict(name, path):
            raise AssertionError(what)

    for function in _functions():
        atheris.instrument_func(function)
    atheris.Setup(
        [sys.argv[0], f"-max_total_time={int(minutes * 60)}", "-rss_limit_mb=2048", str(corpus)], one
    )
    atheris.Fuzz()
    return 0


def _functions() -> Iterator[types.FunctionType]:
    """The functions and methods of the modules that read files."""
    for name, module in list(sys.modules.items()):
        if not re.match(r"fastbp\.(files|datasets|data|compat|cli)\.|(zipfile|gzip|csv|json)(\.|$)", name):
            continue
        holders = [module, *(value for value in vars(module).values() if isinstance(value, type))]
        for holder in holders:
            for value in vars(holder).values():
                if isinstance(value, types.FunctionType) and value.__module__ == name:
                    yield value


if __name__ == "__main__":
    sys.exit(main())
