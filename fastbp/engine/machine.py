"""This machine's resources: the CPUs that may be used, and the second-level cache of one."""

import functools
import os
import sys
from _thread import start_new_thread
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ..options import environment

_PER_CPU = 4  # threads that FASTBP_NUM_THREADS may ask for, per CPU of the machine
_CPUS = Path("/sys/devices/system/cpu")
_OWN_GROUPS = "/proc/self/cgroup"
_GROUPS = "/sys/fs/cgroup"
_OWN_THREADS = ("gevent", "eventlet")  # libraries whose threads are all on one of the system
_SMALLEST = 1 << 12  # bytes; a smaller number from the system is not the size of a cache


def cpus() -> int:
    """CPUs this process may use: FASTBP_NUM_THREADS, else its affinity and its control group's quota.

    FASTBP_NUM_THREADS may ask for more threads than the machine has CPUs, up to four times as many.  Where
    gevent or eventlet has replaced Python's threads, a team would wait for itself, so there is one.
    """
    if str(start_new_thread.__module__).partition(".")[0] in _OWN_THREADS:
        return 1
    if threads := environment.threads_variable():
        return min(threads, _PER_CPU * (os.cpu_count() or 1))
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([available, *(max(1, quota) for quota in _quotas())])


def _quotas() -> Iterator[int]:
    """The whole CPUs that each of the process's control groups, and of those above them, allows.

    A container may see the path of its group on the host, of which it has no folder but the top one.
    """
    with suppress(OSError, ValueError):
        for line in _read(_OWN_GROUPS).splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "cpu" not in controllers.split(","):
                continue
            path = path.rstrip("/")
            while True:
                with suppress(OSError, ValueError):
                    yield _quota(f"{_GROUPS}/{controllers}{path}", 1 if controllers else 2)
                if not path:
                    break
                path = path.rpartition("/")[0]


def _quota(folder: str, version: int) -> int:
    """The quota of a group, by version 1 or 2 of control groups; ValueError or OSError where it has none."""
    if version == 2:
        quota, period = _read(f"{folder}/cpu.max").split()  # "max" where nothing is limited
    else:
        quota, period = _read(f"{folder}/cpu.cfs_quota_us"), _read(f"{folder}/cpu.cfs_period_us")
    if int(quota) < 0:
        raise ValueError("no quota")
    return int(quota) // int(period)


def free_cpus() -> int:
    """CPUs for work whose number of threads the user has not chosen: `cpus`, or a scheduler's lower limit.

    joblib and Dask limit their workers by NUMBA_NUM_THREADS or OMP_NUM_THREADS.  FASTBP_NUM_THREADS overrides
    both.  All of these may change while a process runs, so no result is cached.  The call takes tens of
    microseconds, so work for one thread starts without it.
    """
    most = cpus()
    if environment.threads_variable():
        return most
    limits = [_number(name) for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS")]
    return min([most, *(number for number in limits if number)])


def _number(variable: str) -> int:
    """The number in an environment variable that is not ours, the first of a list; 0 where it holds none."""
    with suppress(ValueError):
        return max(0, int(os.environ.get(variable, "").partition(",")[0]))
    return 0


class Cache(NamedTuple):
    """The bytes of second-level cache that one thread may use, and the source of that number.

    They decide the order of work and its division among threads, never a bit of the result.
    """

    size: int = 512 << 10
    source: str = "assumed, for the system does not tell"


@functools.cache
def second_level_cache() -> Cache:
    """The second-level cache of the first CPU that may be used, or its part of one that several CPUs share.

    FASTBP_L2 overrides it, as in ``FASTBP_L2=512K``.
    """
    if size := environment.cache_variable():
        return Cache(size, "FASTBP_L2")
    with suppress(OSError, ValueError, AttributeError):
        size = _by_sysctl() if sys.platform == "darwin" else _by_sysfs()
        if size >= _SMALLEST:
            return Cache(size, "the system")
    return Cache()


def _bytes(text: str) -> int:
    units = {"K": 1 << 10, "M": 1 << 20}
    return int(text.rstrip("KM")) * units.get(text[-1], 1)


def _by_sysfs() -> int:
    """The size by Linux's folder for each cache of each CPU."""
    for folder in (_CPUS / f"cpu{min(os.sched_getaffinity(0))}" / "cache").glob("index*"):
        if _read(folder / "level") == "2":
            return _bytes(_read(folder / "size")) // _count(_read(folder / "shared_cpu_list"))
    return 0


def _read(path: str | Path) -> str:
    """The text of a short file of the system's, without what `open` does besides, for calls count CPUs."""
    file = os.open(path, os.O_RDONLY)
    try:
        return os.read(file, 1 << 16).decode().strip()
    finally:
        os.close(file)


def _count(cpus: str) -> int:
    """The number of CPUs in a list such as 0-3,8."""
    parts = [part.split("-") for part in cpus.split(",")]
    return sum(1 + int(ends[-1]) - int(ends[0]) for ends in parts)


def _by_sysctl() -> int:
    """The size on macOS; of the fast cores, where there are two kinds."""
    import ctypes

    library = ctypes.CDLL(None)

    def value_of(name: str) -> int:
        value, size = ctypes.c_int64(0), ctypes.c_size_t(8)
        library.sysctlbyname(name.encode(), ctypes.byref(value), ctypes.byref(size), None, 0)
        return value.value

    fast = value_of("hw.perflevel0.l2cachesize") // max(1, value_of("hw.perflevel0.cpusperl2"))
    return fast or value_of("hw.l2cachesize")
