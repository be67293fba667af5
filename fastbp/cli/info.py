"""``fastbp info`` tells what training would run on."""

import argparse
import os
import platform
from contextlib import suppress
from typing import Any

from .. import __version__
from .interrupt import Interrupt


def add_to(commands: Any) -> None:
    info = commands.add_parser("info", help="show versions, CPU and cache", allow_abbrev=False)
    info.description = "Show versions, what Numba compiles for, and the cache of compiled kernels."
    info.set_defaults(run=_run)


def _run(options: argparse.Namespace, interrupt: Interrupt) -> int:
    import llvmlite
    import numba
    import numpy as np
    from numba.core.registry import cpu_target

    from ..kernels import jit, team, vector

    triple, cpu, _ = cpu_target.target_context.codegen().magic_tuple()
    try:
        folder, state = str(jit.cache_folder()), _state(str(jit.cache_folder()))
    except RuntimeError as error:  # nobody's home folder
        folder, state = "none", f"{error}; set NUMBA_CACHE_DIR"
    rows = {
        "fastbp": __version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "Numba": numba.__version__,
        "llvmlite": llvmlite.__version__,
        "CPU": _cpu_name(),
        "compiled for": f"{cpu}, {triple}",
        "vector width": f"{8 * vector.width()[0]} bits",
        "fused multiply-add": "yes" if vector.has_fma() else "no: same results, many times slower",
        "CPUs usable": team.cpus(),
        "cache folder": folder,
        "cache": state,
    }
    for name, value in rows.items():
        print(f"{name:<20}{value}")
    return 0


def _cpu_name() -> str:
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "unknown"


def _state(folder: str) -> str:
    """What lies in the cache folder and whether more can."""
    import tempfile

    sizes = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):  # another process may have removed it
                sizes.append(entry.stat().st_size)
    nearest = os.path.abspath(folder)
    while not os.path.exists(nearest):
        nearest = os.path.dirname(nearest)
    try:
        tempfile.TemporaryFile(dir=nearest).close()
        writable = "writable"
    except OSError as error:
        writable = f"not writable ({error.strerror}): every process compiles; set NUMBA_CACHE_DIR"
    return f"{len(sizes)} files, {sum(sizes):,} bytes, {writable}"
