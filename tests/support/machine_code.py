"""The assembly of routines, as LLVM makes it for a CPU."""

import re

import llvmlite.binding as llvm


def assembly(module, cpu="", features=""):
    """The text for a module of `llvmlite.ir`, whose triple is set, at the optimisation of kernels."""
    machine = llvm.Target.from_triple(module.triple).create_target_machine(cpu=cpu, features=features, opt=3)
    parsed = llvm.parse_assembly(str(module))
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
    builder.getModulePassManager().run(parsed, builder)
    return machine.emit_assembly(parsed)


def bodies(text):
    """{function: its text} of assembly."""
    return dict(re.findall(r"^(\w+):[^\n]*\n(.*?)^\.Lfunc_end", text, re.MULTILINE | re.DOTALL))


def instructions(body):
    """The lines of a function that are instructions."""
    return [line.strip() for line in body.splitlines() if re.match(r"\s+[a-z]", line)]
