"""``fastbp info`` describes the machine, or a saved network or checkpoint."""

import argparse
import os
import platform
from contextlib import suppress
from typing import Any

from .. import __version__
from .failure import Failure, check_variables, reason
from .interrupt import Interrupt


def add_to(commands: Any) -> None:
    info = commands.add_parser(
        "info", help="show versions, CPU and cache, or the contents of a saved file", allow_abbrev=False
    )
    info.description = (
        "Show versions, the CPU that Numba compiles for, and the cache of compiled kernels; or verify the "
        "checksum of a saved network or checkpoint and show its contents."
    )
    info.add_argument("file", metavar="FILE", nargs="?", help="a network or a checkpoint")
    info.set_defaults(run=_run)


def _run(options: argparse.Namespace, interrupt: Interrupt) -> int:
    for name, value in (_of_machine() if options.file is None else _of_file(options.file)).items():
        print(f"{name:<20}{value}")
    return 0


def _of_file(path: str) -> dict[str, Any]:
    """Describes a saved network or a checkpoint; names user-defined functions without loading them."""
    from ..files import container, network_file

    try:
        arrays, metadata = container.read(path)
        network_file.check(path, arrays, metadata)
        rows = {
            "file": f"{path}, {os.path.getsize(path):,} bytes, checksum good",
            "written by": f"fastbp {metadata['version']}",
            **network_file.in_words(metadata),
            "fingerprint": network_file.fingerprint(arrays, metadata),
            "arrays": f"{len(arrays)}, {sum(array.size for array in arrays.values()):,} numbers",
        }
        if training := metadata["training"]:
            rows["checkpoint"] = _progress(training)
    except (OSError, ValueError) as error:
        raise Failure(reason(error)) from error
    return rows


def _progress(training: dict[str, Any]) -> str:
    """Describes the progress of a checkpoint's training."""
    position, losses = training["position"], training["history"]["loss"]
    loss = f", loss {losses[-1]:.5f}" if losses else ""
    samples = position["before"] + position["done"]
    return f"epoch {position['epoch']}, step {position['step']}{loss}; {samples} samples into the next epoch"


def _of_machine() -> dict[str, Any]:
    import llvmlite
    import numba
    import numpy as np

    from ..engine.kernels import bfloat16, cache, jit, vector
    from ..engine.machine import cpus, second_level_cache

    check_variables()
    triple, cpu, _ = jit.target()
    try:
        folder, state = str(cache.cache_folder()), _state(str(cache.cache_folder()))
    except RuntimeError as error:  # nobody's home folder
        folder, state = "none", f"{error}; set NUMBA_CACHE_DIR"
    return {
        "fastbp": __version__,
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "Numba": numba.__version__,
        "llvmlite": llvmlite.__version__,
        "CPU": _cpu_name(),
        "compiled for": f"{cpu}, {triple}",
        "vector width": f"{8 * vector.width()[0]} bits",
        "fused multiply-add": "yes" if vector.has_fma() else "no: same results, many times slower",
        "bfloat16 products": bfloat16.form(),
        "CPUs usable": cpus(),
        "second-level cache": _in_words(*second_level_cache()),
        "cache folder": folder,
        "cache": state,
    }


def _in_words(size: int, source: str) -> str:
    return f"{size >> 10} KiB per CPU ({source})"


def _cpu_name() -> str:
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "unknown"


def _state(folder: str) -> str:
    """Describes the contents of the cache folder, and whether it is writable."""
    import tempfile

    from ..engine.kernels import cache

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
        if os.path.lexists(os.path.dirname(folder)):  # and is one that kernels would keep code in
            with cache.opened_folder():
                pass
        writable = "writable"
    except OSError as error:
        writable = f"not used ({error.strerror or error}): every process compiles; set NUMBA_CACHE_DIR"
    return f"{len(sizes)} files, {sum(sizes):,} bytes, {writable}"
