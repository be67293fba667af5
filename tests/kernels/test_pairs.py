"""Two fused multiply-adds of bfloat16 at once: assembly and packed operands; bits are in test_bfloat16."""

import platform

import numpy as np
import pytest
from numba import njit, types
from numba.extending import intrinsic

import machine_code
from experiments import in_new_process
from fastbp.engine.kernels import pairs
from fastbp.engine.kernels.vector import call, pointer, shape_of

WITH_PAIRS = {"NUMBA_CPU_NAME": "znver4", "NUMBA_CPU_FEATURES": "+avx512bf16,+sse4a"}
INTEL = {"NUMBA_CPU_NAME": "sapphirerapids", "NUMBA_CPU_FEATURES": "+avx512bf16"}


def assembly():
    """{function: lines} of both products, for the CPU that Numba compiles for."""
    from llvmlite import ir
    from numba.core.registry import cpu_target

    from fastbp.engine.kernels import groups

    triple, cpu, features = cpu_target.target_context.codegen().magic_tuple()
    module = ir.Module()
    module.triple = triple
    for maker in (groups.dot, groups.outer):
        maker(module).linkage = "external"
    bodies = machine_code.bodies(machine_code.assembly(module, cpu, features))
    return {name: machine_code.instructions(body) for name, body in bodies.items()}


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="Numba compiles for x86-64 there")
def test_the_assembly_for_a_cpu_with_pairs():
    """Of four terms each number takes two instructions, and the numbers of a tile stay in registers."""
    bodies = in_new_process("test_pairs.assembly()", **WITH_PAIRS)
    for kind in ("dot", "outer"):
        body = bodies[f"grouped_{kind}_6x2"]
        places = [number for number, line in enumerate(body) if line.startswith("vdpbf16ps")]
        assert len(places) >= 48 and len(places) % 24 == 0  # the loop's, and those of one to three terms left
        assert not any("rsp" in line for line in body[places[0] : places[23]]), "a number is spilled"
        assert not any(line.startswith("vfmadd") for line in body)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="Numba compiles for x86-64 there")
def test_intel_makes_one_at_a_time():
    bodies = in_new_process("test_pairs.assembly()", **INTEL)
    lines = bodies["grouped_dot_6x2"]
    assert any(line.startswith("vfmadd") for line in lines)
    assert not any(line.startswith("vdpbf16ps") for line in lines)


# ---------------------------------------------------------------- packed operands

ROW = 40


@intrinsic
def packed_rows(typingctx, rows, terms, words, p, p_panel):
    i = types.int64
    return call(lambda module: pairs.pack_rows(module, ROW), (i, i, words, p, i))


@intrinsic
def packed_columns(typingctx, terms, words, p):
    return call(pairs.pack_columns, (types.int64, words, p))


@njit
def pack(by_rows, rows, terms, words, p):
    if by_rows:
        packed_rows(rows, terms, pointer(words, 0), pointer(p, 0), p.shape[1] * p.shape[2])
    else:
        packed_columns(terms, pointer(words, 0), pointer(p, 0))


def halves(words):
    """The upper and the lower half of each word."""
    bits = words.view(np.uint32)
    return bits >> 16, bits & 0xFFFF


@pytest.mark.parametrize("terms", [1, 2, 3, 4, 5, 31, 32, 33, 40])
@pytest.mark.parametrize("by_rows", [True, False])
def test_of_four_terms_each_chain_has_a_word_with_the_first_above(by_rows, terms):
    """Also where there are fewer, and whatever lies behind them."""
    columns = shape_of(np.dtype(np.float32)).columns
    panels = -(-terms // columns) + 1
    rows = 3 if by_rows else columns
    p = np.full((panels, rows, columns) if by_rows else (1, 44, columns), np.nan, np.float32)
    numbers = np.arange(1, 1 + terms * rows, dtype=np.uint32).reshape(terms, rows)
    for k, row in np.ndindex(terms, rows):
        there = (k // columns, row, k % columns) if by_rows else (0, k, row)
        p.view(np.uint32)[there] = numbers[k, row] << 16 | 0x1234  # as a NaN may have below
    words = np.full((rows, ROW) if by_rows else (24, columns), np.nan, np.float32)
    pack(by_rows, rows, terms, words, p)
    padded = np.zeros((-(-terms // 4) * 4, rows), np.uint32)
    padded[:terms] = numbers
    for quad in range(len(padded) // 4):
        for half in (0, 1):
            place = (slice(None), 2 * quad + half) if by_rows else 2 * quad + half
            above, below = halves(words[place])
            np.testing.assert_array_equal(above, padded[4 * quad + half])
            np.testing.assert_array_equal(below, padded[4 * quad + half + 2])
