"""``python -m bench.tiles``: cycles of the microkernel's inner loops on CPUs that are not at hand.

Each tile is compiled for the CPU, and LLVM's model of it (`llvm-mca`, which Debian's package llvm has) counts
the cycles of a turn.  A model is no measurement: it sees no caches.  Where the CPU has a matrix unit, so are
the routines that use it, for one block of 32 x 32 numbers; the unit makes one product of 2 x 2 tiles in 64.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core.registry import cpu_target

from fastbp.engine.kernels import microkernel, tiles
from fastbp.engine.kernels.vector import F32, F64, shape

TURNS = 200
TILED = ("sapphirerapids", "emeraldrapids", "graniterapids")
MAKERS = {"dot": microkernel._dot_tile, "outer": microkernel._outer_tile}
Maker = Callable[[ir.Module], ir.Function]
BLOCKS: tuple[tuple[str, Maker, str, int], ...] = (  # name, routine, an instruction of its loop, turns
    ("samples or activations", tiles.signals, "vpermt2w", 16),
    ("deltas", tiles.deltas, "vpermt2w", 16),
    ("weights", partial(tiles.weights, are_steps=True), "vpermt2w", 16),
    ("end of an update", tiles.outer, "vfmadd", 16),
)


def assembly(maker: Maker) -> str:
    """The routine's code for the CPU that Numba compiles for."""
    triple, cpu, features = cpu_target.target_context.codegen().magic_tuple()
    module = ir.Module()
    module.triple = triple
    tile = maker(module)
    tile.linkage = "external"
    tile.attributes.discard("alwaysinline")
    target = llvm.Target.from_triple(triple)
    machine = target.create_target_machine(cpu=cpu, features=features, opt=3)
    parsed = llvm.parse_assembly(str(module))
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
    builder.getModulePassManager().run(parsed, builder)
    return str(machine.emit_assembly(parsed))


def inner_loop(text: str, counted: str = "fmadd") -> list[str]:
    """The lines of the loop with the most multiply-adds of those without another in them.

    Or with the most of another instruction.
    """
    lines, labels, loops = text.splitlines(), dict[str, int](), []
    for number, line in enumerate(lines):
        if label := re.match(r"(\.?L\w+):", line):
            labels[label[1]] = number
        jump = re.match(r"\s+j\w+\s+(\.?L\w+)", line)
        if jump and jump[1] in labels:
            body = lines[labels[jump[1]] + 1 : number + 1]
            if not any(re.match(r"\.?L\w+:", inner) for inner in body):
                loops.append(body)
    return max(loops, key=lambda body: occurrences(body, counted))


def occurrences(lines: list[str], instruction: str) -> int:
    return sum(instruction in line for line in lines)


def cycles(mca: str, cpu: str, lines: list[str]) -> float:
    """The cycles of one turn of a loop of these lines."""
    code = "\n".join(line for line in lines if not re.match(r"\.?L\w+:", line))
    done = subprocess.run(
        [mca, f"-mcpu={cpu}", f"-iterations={TURNS}"],
        input=code + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    return int(re.search(r"Total Cycles:\s+(\d+)", done.stdout)[1]) / TURNS  # type: ignore[index]


def show_blocks(mca: str) -> None:
    """Prints a line for each routine of the matrix unit, where this process's CPU has one."""
    _, cpu, _ = cpu_target.target_context.codegen().magic_tuple()
    text = assembly(partial(tiles._product, rows=2, columns=2))
    body = inner_loop(text, "tdpbf16ps")
    blocks = occurrences(body, "tdpbf16ps") / 4
    loads = occurrences(body, "tileloadd") / blocks
    print(
        f"{cpu:16} product of blocks: {len(body) / blocks:.0f} instructions, 4 products and {loads:.0f} loads"
    )
    for name, maker, counted, turns in BLOCKS:
        text = assembly(maker)
        total = turns * cycles(mca, cpu, inner_loop(text, counted))
        if "vshuf" in text:  # transposes, after the loop
            lines = [line for line in text.splitlines() if re.match(r"\s+v(shuf|perm|insert|mov)\w+", line)]
            last = text.splitlines().index(inner_loop(text, counted)[-1])
            after = [line for line in text.splitlines()[last + 1 :] if line in lines]
            total += cycles(mca, cpu, after)
        print(f"{cpu:16} {name}: {total:.0f} cycles")


def show(element: ir.Type, mca: str) -> None:
    """Prints a line for each tile of this process's CPU."""
    _, cpu, _ = cpu_target.target_context.codegen().magic_tuple()
    s = shape(element)
    for kind, most in (("dot", s.dot_rows), ("outer", s.outer_rows)):
        for vectors in range(s.vectors, 0, -1):
            rows = most * s.vectors // vectors if kind == "outer" else most
            maker = partial(MAKERS[kind], element=element, rows=rows, vectors=vectors)
            body = inner_loop(assembly(maker))
            turn, products = cycles(mca, cpu, body), occurrences(body, "fmadd")
            print(
                f"{cpu:16} {element} {kind:5} {rows:2} x {vectors}: {turn:6.2f} cycles for {products:2} "
                f"vector FMAs, {turn / products:.2f} each",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cpus", nargs="*", default=("sapphirerapids", "znver4", "znver2"))
    parser.add_argument("--mca", default="llvm-mca", help="the program, as llvm-mca-19")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)  # a process for one CPU
    options = parser.parse_args()
    if options.here:
        for element in (F32, F64):
            show(element, options.mca)
        if "+amx-bf16" in cpu_target.target_context.codegen().magic_tuple()[2]:
            show_blocks(options.mca)
        return
    if not shutil.which(options.mca):
        print(f"skipped: {options.mca} is not installed")
        return
    for cpu in options.cpus:
        features = "+amx-tile,+amx-bf16" if cpu in TILED else ""
        environment = {**os.environ, "NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": features}
        command = [sys.executable, "-m", "bench.tiles", "--here", "--mca", options.mca]
        subprocess.run(command, env=environment, check=True)


if __name__ == "__main__":
    main()
