"""``python -m bench.tiles``: cycles of the microkernel's inner loops on CPUs that are not at hand.

Each tile is compiled for the CPU, and LLVM's model of it (`llvm-mca`, which Debian's package llvm has) counts
the cycles of a turn.  A model is no measurement: it sees no caches.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core.registry import cpu_target

from fastbp.engine.kernels import microkernel
from fastbp.engine.kernels.vector import F32, F64, shape

TURNS = 200
MAKERS = {"dot": microkernel._dot_tile, "outer": microkernel._outer_tile}


def assembly(kind: str, element: ir.Type, rows: int, vectors: int) -> str:
    """The tile's code for the CPU that Numba compiles for."""
    triple, cpu, features = cpu_target.target_context.codegen().magic_tuple()
    module = ir.Module()
    module.triple = triple
    tile = MAKERS[kind](module, element, rows, vectors)
    tile.linkage = "external"
    tile.attributes.discard("alwaysinline")
    target = llvm.Target.from_triple(triple)
    machine = target.create_target_machine(cpu=cpu, features=features, opt=3)
    parsed = llvm.parse_assembly(str(module))
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
    builder.getModulePassManager().run(parsed, builder)
    return str(machine.emit_assembly(parsed))


def inner_loop(text: str) -> list[str]:
    """The lines of the loop with the most multiply-adds of those without another in them."""
    lines, labels, loops = text.splitlines(), dict[str, int](), []
    for number, line in enumerate(lines):
        if label := re.match(r"(\.?L\w+):", line):
            labels[label[1]] = number
        jump = re.match(r"\s+j\w+\s+(\.?L\w+)", line)
        if jump and jump[1] in labels:
            body = lines[labels[jump[1]] + 1 : number + 1]
            if not any(re.match(r"\.?L\w+:", inner) for inner in body):
                loops.append(body)
    return max(loops, key=lambda body: sum("fmadd" in line for line in body))


def show(element: ir.Type, mca: str) -> None:
    """Prints a line for each tile of this process's CPU."""
    _, cpu, _ = cpu_target.target_context.codegen().magic_tuple()
    s = shape(element)
    for kind, most in (("dot", s.dot_rows), ("outer", s.outer_rows)):
        for vectors in range(s.vectors, 0, -1):
            rows = most * s.vectors // vectors if kind == "outer" else most
            body = inner_loop(assembly(kind, element, rows, vectors))
            done = subprocess.run(
                [mca, f"-mcpu={cpu}", f"-iterations={TURNS}"],
                input="\n".join(body) + "\n",
                capture_output=True,
                text=True,
                check=True,
            )
            cycles = int(re.search(r"Total Cycles:\s+(\d+)", done.stdout)[1]) / TURNS  # type: ignore[index]
            products = sum("fmadd" in line for line in body)
            print(
                f"{cpu:16} {element} {kind:5} {rows:2} x {vectors}: {cycles:6.2f} cycles for {products:2} "
                f"vector FMAs, {cycles / products:.2f} each",
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
        return
    if not shutil.which(options.mca):
        print(f"skipped: {options.mca} is not installed")
        return
    for cpu in options.cpus:
        environment = {**os.environ, "NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": ""}
        command = [sys.executable, "-m", "bench.tiles", "--here", "--mca", options.mca]
        subprocess.run(command, env=environment, check=True)


if __name__ == "__main__":
    main()
