"""``fastbp info``."""

import os
import re
import sys
from pathlib import Path

import llvmlite
import numba
import numpy as np
import pytest

import fastbp
from command import ENVIRONMENT, run, said
from fastbp.engine.kernels import cache, vector
from fastbp.engine.machine import cpus


def test_info(tmp_path):
    done = run("info", env={**ENVIRONMENT, "NUMBA_CACHE_DIR": str(tmp_path / "cache")})
    assert (done.returncode, done.stderr, list(tmp_path.iterdir())) == (0, "", [])  # nothing was compiled
    told = {line[:20].rstrip(): line[20:] for line in done.stdout.splitlines()}
    assert told["fastbp"] == fastbp.__version__
    assert told["Python"] == ".".join(map(str, sys.version_info[:3]))
    assert (told["NumPy"], told["Numba"], told["llvmlite"]) == (
        np.__version__,
        numba.__version__,
        llvmlite.__version__,
    )
    assert told["CPU"]
    assert re.fullmatch(r"\S+, \S+-\S+", told["compiled for"])
    assert told["vector width"] == f"{8 * vector.width()[0]} bits"
    assert told["fused multiply-add"].startswith("yes" if vector.has_fma() else "no")
    assert told["bfloat16 products"].startswith("by ")
    assert told["CPUs usable"] == str(cpus())
    assert told["cache folder"] == str(tmp_path / "cache" / "fastbp" / cache.cache_folder().name)
    assert told["cache"] == "0 files, 0 bytes, writable"


@pytest.mark.parametrize(
    ("labels", "shown"),
    [
        (["no, never", "yes"], "'no, never', 'yes'"),
        ([3, 7], "3, 7"),
        ([*range(1, 31)], f"{', '.join(map(str, range(1, 21)))} ... (30 of them)"),
    ],
)
def test_info_about_labels(tmp_path, labels, shown):
    net = fastbp.Network([1, len(labels)])
    net.classes_ = labels
    net.save(tmp_path / "net")
    assert f"labels              {shown}" in said("info", tmp_path / "net")[1]


def test_info_about_fma_is_what_the_cpu_says():
    try:
        flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        flags = None
    if flags is None or os.environ.get("NUMBA_CPU_NAME"):
        pytest.skip("the CPU's flags are not known")
    assert vector.has_fma() == ("fma" in flags[1].split())


def test_info_about_a_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path)
    (tmp_path / "a").write_bytes(b"123")
    (tmp_path / "b").write_bytes(bytes(2000))
    assert said("info")[1][-1].split(maxsplit=1)[1] == "2 files, 2,003 bytes, writable"
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path / "a" / "fastbp")
    assert "0 files, 0 bytes, not used (Not a directory)" in said("info")[1][-1]

    shared = tmp_path / "base" / "fastbp"
    shared.mkdir(parents=True)
    shared.chmod(0o777)
    monkeypatch.setattr(cache, "cache_folder", lambda: shared / "kernels")
    (shared / "kernels").mkdir()
    assert f"not used (others may write {shared}: chmod go-w)" in said("info")[1][-1]

    (shared / "kernels").rmdir()  # which kernels would make, and would not in this folder
    assert f"not used (others may write {shared}: chmod go-w)" in said("info")[1][-1]
    assert not list(shared.iterdir())

    def nobody():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(cache, "cache_folder", nobody)
    assert said("info")[1][-1].endswith("Could not determine home directory.; set NUMBA_CACHE_DIR")
