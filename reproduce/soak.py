"""Random trainings that are given trouble, for hours: each must end with the bits of one that was left alone.

    python -m reproduce.soak --minutes 120
    python -m reproduce.soak --seed 4711  # one case

The trouble is one of `TROUBLES`: kills, Ctrl-C and SIGTERM with resumes from checkpoints, threads and forks
that train at once, a full disk, little memory, few descriptors, signals while the command is importing.  A
case is one of ``reproduce.fuzz``, trained for more epochs.  Exit status: 1 if there is a mismatch.
"""

import argparse
import contextlib
import errno
import hashlib
import importlib
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from random import Random, SystemRandom
from typing import Any

import numpy as np

from fastbp import ModelCheckpoint, load

from .fuzz import cases, ways
from .fuzz.cases import Case
from .report import Report

_SECONDS = 120.0  # of a child, before it counts as hanging
_REPORT = 60.0  # seconds between lines
_OF_CASES = ("pandas", "scipy.sparse")  # which a child would wait for that is forked as a thread imports them
_LINE = re.compile(rb"fastbp: (interrupted|ended by SIGTERM)\n")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--first", type=int, help="the first seed (default: any)")
    parser.add_argument("--seed", type=int, help="this case alone")
    options = parser.parse_args()
    for name in _OF_CASES:
        importlib.import_module(name)
    os.environ.setdefault("FASTBP_NUM_THREADS", "3")
    report = Report()
    if options.seed is not None:
        check(options.seed, report)
    else:
        first = SystemRandom().randrange(10**9) if options.first is None else options.first
        print(f"seeds from {first} on", flush=True)
        run(first, options.minutes * 60, report)
    print(report)
    return 1 if report.wrong else 0


def run(first: int, seconds: float, report: Report) -> None:
    """Checks cases for so many seconds."""
    end, due, seed = time.monotonic() + seconds, time.monotonic() + _REPORT, first
    while time.monotonic() < end:
        check(seed, report)
        seed += 1
        if time.monotonic() > due:
            print(f"seed {seed}: {report}", flush=True)
            due = time.monotonic() + _REPORT


def check(seed: int, report: Report) -> None:
    """Gives a case trouble, and prints what is not as it should be."""
    chance = Random(seed)
    case = drawn(seed)
    name = chance.choice(list(TROUBLES))
    with tempfile.TemporaryDirectory() as folder:
        trouble = Trouble(case, chance, os.path.join(folder, "run.fastbp"))
        what = TROUBLES[name](trouble)
    report.cases += 1
    report.counts[name] += 1
    if what:
        report.tell(f"{name}: {what} (--seed {seed})")


def drawn(seed: int) -> Case:
    """A case whose training takes long enough to be disturbed."""
    case = cases.draw(seed)
    return case._replace(recipe=case.recipe | {"epochs": str(Random(seed).choice((10, 30, 90)))})


# ---------------------------------------------------------------- trainings in children


def digest(case: Case, *callbacks: Any, **options: Any) -> bytes:
    """A hash of all that must be the same."""

    def train(X: Any, y: Any, network: Any, recipe: Any, number: int) -> Any:
        every = [*recipe().get("callbacks", ()), *callbacks]
        return [ways.trained(network(), X, y, **recipe(callbacks=every, **options))]

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = ways.facts(case, train, 0)
    return hashlib.sha256(repr(found).encode()).digest()


class Child:
    """A forked process that makes a call; ``result()`` waits for its exit code and what the call returned."""

    def __init__(self, call: Callable[[], bytes]) -> None:
        self._ours, theirs = os.pipe()
        sys.stdout.flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # NumPy's BLAS keeps a thread
            self.pid = os.fork()
        if self.pid:
            os.close(theirs)
            return
        status = 1
        try:
            os.close(self._ours)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
            os.write(theirs, call())
            status = 0
        except KeyboardInterrupt:
            status = 130
        except SystemExit as end:
            status = int(end.code or 0)
        except (OSError, MemoryError) as error:  # a limit's
            status = 75
            with contextlib.suppress(OSError):
                os.write(theirs, f"{type(error).__name__}: {error}".encode())
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def result(self) -> tuple[int | None, bytes]:
        """The exit code, minus a signal's number, and the result; None where the child hung."""
        end = time.monotonic() + _SECONDS
        code = None
        while code is None and time.monotonic() < end:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            code = os.waitstatus_to_exitcode(status) if done else None
            time.sleep(0.002)
        if code is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        with os.fdopen(self._ours, "rb") as file:
            return code, file.read()


class Trouble:
    """A case, its choices, the path of its checkpoint, and the result and the seconds of a serial run."""

    def __init__(self, case: Case, chance: Random, path: str) -> None:
        self.case, self.chance, self.path = case, chance, path
        begin = time.monotonic()
        code, self.wanted = Child(lambda: digest(case, threads=1)).result()
        self.seconds = time.monotonic() - begin
        if code != 0:
            raise RuntimeError(f"the serial run ended with {code}")

    def keeper(self, every: Any) -> ModelCheckpoint:
        return ModelCheckpoint(self.path, every, resume=True)

    def train(self, every: Any = "epoch") -> bytes:
        return digest(self.case, self.keeper(every), threads=self.chance.randint(1, 3))

    def last(self, every: Any = "epoch") -> str:
        """What is wrong with a training that goes on undisturbed to its end; nothing if all is right."""
        code, found = Child(lambda: self.train(every)).result()
        if code != 0:
            return f"resumed, it ended with {code} {found!r}"
        return "" if found == self.wanted else "other bits"

    def is_whole(self) -> bool:
        """Tells whether the checkpoint is there and loads, or is not there."""
        with contextlib.suppress(FileNotFoundError):
            names = ("activation", "output_activation", "cost")
            made = cases.made(self.case)["network"]()
            own = {name: getattr(made._fastbp.options, name) for name in names}
            load(self.path, **{name: value for name, value in own.items() if "Activation" in repr(value)})
        return True


def stopped(trouble: Trouble, signals: tuple[int, ...]) -> str:
    """Stops a training a few times, whenever, and resumes it."""
    every = trouble.chance.choice((1, 2, 7, "epoch", 10**9))
    stops = []
    for _ in range(trouble.chance.randint(1, 4)):
        child = Child(lambda: trouble.train(every))
        seconds, signum = trouble.chance.uniform(0, 1.5 * trouble.seconds), trouble.chance.choice(signals)
        stops.append((signal.Signals(signum).name, seconds))
        time.sleep(seconds)
        os.kill(child.pid, signum)
        code, found = child.result()
        if code == 0 and found != trouble.wanted:
            return "other bits of a training that a signal came late for"
        if code not in (0, 130, 143, -signum):
            return f"{signal.Signals(signum).name} ended it with {code}"
        trouble.is_whole()
    what = trouble.last(every)
    return what and f"{what} after {stops}, with a checkpoint every {every}"


def in_threads(trouble: Trouble) -> str:
    """Trains in several threads at once, which may not share NumPy's global generator."""
    if "seed" not in trouble.case.network:
        return trouble.last()
    count = trouble.chance.choice((2, 3, 8))

    def train() -> bytes:
        found: list[bytes] = []
        threads = [
            threading.Thread(target=lambda i=i: found.append(digest(trouble.case, threads=1 + i % 3)))
            for i in range(count)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return b"".join(set(found))

    code, found = Child(train).result()
    return "" if (code, found) == (0, trouble.wanted) else f"{count} threads: {code}, other bits"


def in_forks(trouble: Trouble) -> str:
    """Forks children, which train, while a thread trains."""
    if "seed" not in trouble.case.network:
        return trouble.last()

    def train() -> bytes:
        found: list[bytes] = []
        thread = threading.Thread(target=lambda: found.append(digest(trouble.case, threads=2)))
        thread.start()
        for _ in range(3):
            time.sleep(trouble.chance.uniform(0, 0.5 * trouble.seconds))
            code, of_child = Child(lambda: digest(trouble.case, threads=2)).result()
            found.append(of_child if code == 0 else f"child: {code}".encode())
        thread.join()
        return b"".join(set(found))

    code, found = Child(train).result()
    return "" if (code, found) == (0, trouble.wanted) else f"forks: {code}, other bits or {found[:99]!r}"


def limited(trouble: Trouble, which: int, most: int, of_size: bool = False) -> str:
    """Trains under a limit, which may end it by an OSError or a MemoryError, and then without.

    Machine code is loaded before the limit holds: where LLVM lacks memory, it ends the process.  `of_size`
    adds the address space that is in use then.
    """
    every = trouble.chance.choice((1, "epoch"))

    def train() -> bytes:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        for threads in (1, 2, 3):
            digest(trouble.case, threads=threads)
        with open("/proc/self/statm") as file:
            size = int(file.read().split()[0]) * resource.getpagesize() if of_size else 0
        resource.setrlimit(which, (size + most, resource.getrlimit(which)[1]))
        return trouble.train(every)

    code, found = Child(train).result()
    if code not in (0, 75) or (code == 0 and found != trouble.wanted):
        return f"a limit of {most} ended it with {code} {found[:200]!r}"
    if code == 75 and b"Error" not in found:
        return f"a limit of {most} gave {found[:200]!r}"
    left = [name for name in os.listdir(os.path.dirname(trouble.path)) if name != "run.fastbp"]
    if left:
        return f"a limit of {most} left {left}"
    trouble.is_whole()
    return trouble.last(every)


def small_files(trouble: Trouble) -> str:
    return limited(trouble, resource.RLIMIT_FSIZE, trouble.chance.choice((0, 100, 2000, 20_000)))


def few_files(trouble: Trouble) -> str:
    return limited(trouble, resource.RLIMIT_NOFILE, trouble.chance.choice((4, 6, 8, 10, 20)))


def little_memory(trouble: Trouble) -> str:
    most = trouble.chance.choice((0, 1 << 16, 1 << 20, 1 << 23, 1 << 25))
    return limited(trouble, resource.RLIMIT_AS, most, of_size=True)


def full_disk(trouble: Trouble) -> str:
    """Trains with checkpoints on a small file system, where this process may mount one."""
    folder = os.path.dirname(trouble.path)
    size = f"size={trouble.chance.choice((16, 32, 64))}k"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        return small_files(trouble)
    filler = os.path.join(folder, "filler")
    try:
        with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as file:
            while True:
                file.write(bytes(trouble.chance.choice((1000, 4096))))
        if trouble.chance.random() < 0.7:
            os.truncate(filler, max(0, os.path.getsize(filler) - trouble.chance.choice((0, 4096, 16384))))
        code, found = Child(lambda: trouble.train(1)).result()
        full = os.strerror(errno.ENOSPC).encode()
        if (
            code not in (0, 75)
            or (code == 0 and found != trouble.wanted)
            or (code == 75 and full not in found)
        ):
            return f"a full disk ended it with {code} {found[:200]!r}"
        if left := [name for name in os.listdir(folder) if name not in ("run.fastbp", "filler")]:
            return f"a full disk left {left}"
        os.unlink(filler)
        trouble.is_whole()
        with tempfile.TemporaryDirectory() as other:  # where there is room
            if os.path.exists(trouble.path):
                with open(trouble.path, "rb") as file:
                    content = file.read()
                trouble.path = os.path.join(other, "run.fastbp")
                with open(trouble.path, "wb") as file:
                    file.write(content)
            else:
                trouble.path = os.path.join(other, "run.fastbp")
            return trouble.last(1)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def importing(trouble: Trouble) -> str:
    """Sends a signal while the command begins: one line, and the status that shells expect."""
    signum = trouble.chance.choice((signal.SIGINT, signal.SIGTERM))
    process = subprocess.Popen(
        [sys.executable, "-m", "fastbp", "info"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    time.sleep(trouble.chance.uniform(0, 1.0))
    process.send_signal(signum)
    _, err = process.communicate(timeout=_SECONDS)
    if process.returncode in (0, -signum) and not err:  # before Python runs any code of ours, or after all
        return ""
    if process.returncode == 128 + signum and _LINE.fullmatch(err):
        return ""
    is_pythons = b"site" in err or b"runpy" in err or b"encodings" in err  # Ctrl-C in Python's own beginning
    return "" if is_pythons and b"fastbp" not in err else f"status {process.returncode}, {err[-300:]!r}"


TROUBLES: dict[str, Callable[[Trouble], str]] = {
    "kills": lambda trouble: stopped(trouble, (signal.SIGKILL,)),
    "signals": lambda trouble: stopped(trouble, (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)),
    "threads": in_threads,
    "forks": in_forks,
    "full disk": full_disk,
    "small files": small_files,
    "few descriptors": few_files,
    "little memory": little_memory,
    "importing": importing,
}


if __name__ == "__main__":
    sys.exit(main())
