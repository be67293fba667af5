"""Products of bfloat16 by AMX, emulated where the CPU has no such unit, and the assembly of their code."""

import platform
import sys
from functools import partial
from pathlib import Path

import pytest

import emulated_tiles
import machine_code
import tile_runs
from experiments import in_new_process
from fastbp.engine import packed
from fastbp.engine.kernels import bfloat16

reason = emulated_tiles.why_not()
computes_by_tiles = pytest.mark.skipif(bool(reason), reason=reason)
# Among them is each batch size, number of threads, depth, remainder of a width by 32, and kind of step.
VARIED = (3, 5, 6, 9, 10, 14, 19, 21, 39, 71, 77, 94)
ON_SAPPHIRE_RAPIDS = {"NUMBA_CPU_NAME": "sapphirerapids", "NUMBA_CPU_FEATURES": "+amx-tile,+amx-bf16"}


@computes_by_tiles
@pytest.mark.parametrize("compiles", [False, True], ids=["dense", "further kernels"])
def test_the_bits_are_those_of_fused_multiply_adds(compiles, tmp_path, monkeypatch, request):
    """Golden tiles first; then trainings, predictions and gradients of random networks."""
    is_full = request.config.getoption("--full")
    if compiles and not is_full:
        pytest.skip("compiles the kernels of sparse rows: run with --full")
    monkeypatch.setenv("FASTBP_NUM_THREADS", "3")
    monkeypatch.setattr(packed, "kernels_for", lambda sizes, batch_size: bfloat16.BFLOAT16)
    seeds = list(range(100, 200) if compiles else range(100) if is_full else VARIED)
    library = emulated_tiles.built(tmp_path)
    call = f"tile_runs.by_tiles({library and str(library)!r}, {seeds}, {compiles})"
    there = in_new_process(call, **emulated_tiles.environment())
    assert there["equal"] == 20_480
    here = tile_runs.runs(seeds, compiles)
    for seed, found in there["runs"].items():
        assert found == here[seed], f"seed {seed}"
    counts = there["counts"]
    assert counts["live"] == 0, "a thread keeps its tiles"
    if library:
        assert counts["ldtilecfg"] == counts["tilerelease"] > len(seeds)
        assert counts["tdpbf16ps"] > 100 * len(seeds)


# ---------------------------------------------------------------- assembly


def assembly():
    """{function: lines} of a product of each kind, for the CPU that Numba compiles for."""
    from llvmlite import ir
    from numba.core.registry import cpu_target

    from fastbp.engine.kernels import tiles

    triple, cpu, features = cpu_target.target_context.codegen().magic_tuple()
    module = ir.Module()
    module.triple = triple
    for maker in (
        tiles.dot,
        tiles.outer,
        tiles.signals,
        tiles.deltas,
        partial(tiles.weights, are_steps=True),
    ):
        function = maker(module)
        kind = function.function_type
        caller = ir.Function(module, kind, f"around_{function.name}")
        b = ir.IRBuilder(caller.append_basic_block())
        tiles.configure(b)
        b.call(function, caller.args)
        tiles.release(b)
        b.ret_void()
    bodies = machine_code.bodies(machine_code.assembly(module, cpu, features))
    return {name: machine_code.instructions(body) for name, body in bodies.items()}


def numbers(lines, instruction):
    return sum(line.split()[0] == instruction for line in lines)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="Numba compiles for x86-64 there")
def test_the_assembly_for_a_cpu_with_tiles():
    bodies = in_new_process("test_tiles.assembly()", **ON_SAPPHIRE_RAPIDS)
    for rows in (1, 2):
        for columns in (1, 2):
            body = bodies[f"tiles_{rows}x{columns}"]
            of_c = rows * columns
            turns = numbers(body, "tdpbf16ps") // of_c  # LLVM unrolls the loop
            assert numbers(body, "tdpbf16ps") == turns * of_c > 0
            assert numbers(body, "tilezero") == of_c
            assert numbers(body, "tileloadd") == of_c + turns * (rows + columns), "a tile is loaded again"
            assert numbers(body, "tilestored") == of_c, "a tile is spilled"
            assert not numbers(body, "callq")
    for name, body in bodies.items():
        if name.startswith("around_"):
            kinds = [line.split()[0] for line in body]
            assert kinds.count("ldtilecfg") == 1
            begin = kinds.index("ldtilecfg")
            assert "retq" not in kinds[:begin]
            for place in (i for i, kind in enumerate(kinds) if kind == "retq"):
                assert "tilerelease" in kinds[begin:place]
    for name in ("tiles_of_signals", "tiles_of_deltas", "tiles_of_weights_1"):
        assert any("zmm" in line for line in bodies[name])


# ---------------------------------------------------------------- the choice


def why_no_tiles():
    return bfloat16.why_no_tiles()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is asked")
def test_a_refusal_is_no_error():
    """Linux refuses where there is no such unit, and whoever forbids the call refuses as well."""
    if "amx_tile" in Path("/proc/cpuinfo").read_text():
        pytest.skip("this CPU has tiles")
    found = in_new_process("test_tiles.why_no_tiles()", **ON_SAPPHIRE_RAPIDS)
    assert found.startswith("Linux does not grant the matrix unit (")
    assert in_new_process("test_tiles.why_no_tiles()", **ON_SAPPHIRE_RAPIDS, FASTBP_AMX="0") == "FASTBP_AMX=0"


def test_networks_that_would_leave_tiles_empty_are_computed_otherwise(monkeypatch):
    monkeypatch.setattr(bfloat16, "why_no_tiles", lambda: "")
    for sizes, batch, kind in (
        ((784, 512, 512, 10), 128, bfloat16.TILES),
        ((784, 30, 10), 12, bfloat16.TILES),
        ((784, 30, 10), 10, bfloat16.BFLOAT16),
        ((784, 512, 10), 1, bfloat16.BFLOAT16),
        ((8, 16, 2), 1000, bfloat16.BFLOAT16),
    ):
        assert bfloat16.kernels_for(sizes, batch) == kind, (sizes, batch)
    monkeypatch.setattr(bfloat16, "why_no_tiles", lambda: "none here")
    assert bfloat16.kernels_for((512, 512), 128) == bfloat16.BFLOAT16
    assert "none here" in bfloat16.form()


@pytest.mark.parametrize("text", ["2", "yes", " "])
def test_a_variable_that_is_refused(text, monkeypatch):
    monkeypatch.setenv("FASTBP_AMX", text)
    from fastbp.options.environment import check_variables

    with pytest.raises(ValueError, match=r"^FASTBP_AMX: expected 0 or 1, got '.*'; unset it to use"):
        check_variables()
    for valid in ("", "0", "1"):
        monkeypatch.setenv("FASTBP_AMX", valid)
        check_variables()
