"""Processes whose kernels compute by the tile instructions of AMX, emulated where the CPU has none."""

import ctypes
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from fastbp.engine.kernels import bfloat16

SOURCE = Path(__file__).with_suffix(".c")
COUNTED = ("ldtilecfg", "tilerelease", "tilezero", "tileloadd", "tilestored", "tdpbf16ps", "live")


def why_not():
    """The reason why this machine cannot emulate them, or an empty string."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "tile instructions are emulated on Linux and x86-64 alone"
    features = llvm.get_host_cpu_features()
    if not (features.get("avx2") and features.get("fma")):
        return "the emulator needs AVX2 and FMA"
    if has_unit():
        refusal = bfloat16.permission()
        return f"a unit that is there cannot be emulated: {refusal}" if refusal else ""
    return "" if shutil.which("cc") else "no cc, which compiles the emulator"


def has_unit():
    """Tells whether this CPU executes the instructions itself."""
    features = llvm.get_host_cpu_features()
    return bool(features.get("amx-tile") and features.get("amx-bf16"))


def built(folder):
    """The emulator, compiled into a folder; None where the CPU needs none."""
    if has_unit():
        return None
    library = Path(folder) / "emulated_tiles.so"
    flags = ["-O3", "-mavx2", "-mfma", "-ffp-contract=off", "-shared", "-fPIC"]
    subprocess.run(["cc", *flags, SOURCE, "-o", library], check=True)
    return library


def environment():
    """The variables of a process that compiles for this CPU, with tiles."""
    features = {**llvm.get_host_cpu_features(), "amx-tile": True, "amx-bf16": True}
    listed = ",".join(f"{'+' if has else '-'}{name}" for name, has in features.items())
    return {"NUMBA_CPU_NAME": llvm.get_host_cpu_name(), "NUMBA_CPU_FEATURES": listed, "FASTBP_AMX": "1"}


@intrinsic
def _state_in_use(typingctx):
    """The parts of this thread's state that are not as they were at first (XINUSE)."""

    def emit(context, b, signature, arguments):
        kind = ir.FunctionType(ir.IntType(64), [ir.IntType(32)])
        read = cgutils.get_or_insert_function(b.module, kind, "llvm.x86.xgetbv")
        return b.call(read, [ir.IntType(32)(1)])

    return types.int64(), emit


@njit
def holds_tiles():
    """Tells whether this thread holds a configuration of tiles."""
    return _state_in_use() >> 17 & 1


class Tiles:
    """Every network of bfloat16 in this process is computed by tiles, which a library emulates if given.

    Vectors have the 16 lanes that they have on all CPUs with tiles, and LLVM splits them.  Every scratch
    begins as NaN, so that padding which is not written shows.
    """

    def __init__(self, library):
        from fastbp.engine import packed
        from fastbp.engine.kernels import vector

        self._library = None
        if library:
            self._library = ctypes.CDLL(library)
            assert self._library.install() == 0
            bfloat16.permission = lambda: ""
        vector.width = bfloat16.width = lambda: (64, 32)
        assert bfloat16.why_no_tiles() == ""
        packed.kernels_for = lambda sizes, batch_size: bfloat16.TILES
        zeros = packed.aligned_zeros

        def poisoned(size, dtype):
            array = zeros(size, dtype)
            if sys._getframe(1).f_code.co_name in ("_scratch", "net"):
                array[...] = np.nan
            return array

        packed.aligned_zeros = poisoned

    def counts(self):
        """How often each emulated instruction ran, and how many threads hold a configuration.

        Of a unit that is there, whether this thread does.
        """
        if not self._library:
            return {"live": int(holds_tiles())}
        counts = (ctypes.c_long * len(COUNTED))()
        self._library.counted(counts)
        return dict(zip(COUNTED, counts, strict=True))
