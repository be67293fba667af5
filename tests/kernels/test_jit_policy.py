"""One module decides how each function is compiled."""

import ast
import importlib
from pathlib import Path

import pytest
from numba.core.dispatcher import Dispatcher

import fastbp

SOURCES = sorted(Path(fastbp.__file__).parent.rglob("*.py"))

JIT = Path("kernels", "jit.py")
COMPILERS = {"njit", "jit", "vectorize", "guvectorize", "cfunc", "stencil", "generated_jit", "jitclass"}
LOOSE = {"fast", "nnan", "ninf", "nsz", "arcp", "contract", "afn", "reassoc"}  # LLVM's fast-math flags
modules = pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)


def nodes(path, kind):
    return [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, kind)]


@modules
def test_one_place_decides_how_code_is_compiled(path):
    if path.match(str(JIT)):
        return
    imports = [alias for node in nodes(path, ast.Import) for alias in node.names]
    numba = {alias.asname or alias.name for alias in imports if alias.name == "numba"}
    used = {node.attr for node in nodes(path, ast.Attribute) if getattr(node.value, "id", None) in numba}
    for node in nodes(path, ast.ImportFrom):
        if node.module and node.module.split(".")[0] == "numba":
            used |= {alias.name for alias in node.names}
    assert not used & COMPILERS


@modules
def test_no_fastmath_anywhere(path):
    settings_ = [
        (key.value, value)
        for node in nodes(path, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant)
    ]
    settings_ += [(word.arg, word.value) for node in nodes(path, ast.Call) for word in node.keywords]
    for name, value in settings_:
        assert name != "flags", f"line {value.lineno}: flags of an LLVM instruction"
        if name == "fastmath":
            assert isinstance(value, ast.Constant) and value.value is False
    assert not LOOSE & {node.value for node in nodes(path, ast.Constant) if isinstance(node.value, str)}


def inlined_functions():
    """{where: jit function} of every module of kernels."""
    names = [path.stem for path in SOURCES if path.parent.name == "kernels" and path.stem != "__init__"]
    return {
        f"{name}.{key}": value
        for name in names
        for key, value in vars(importlib.import_module(f"fastbp.engine.kernels.{name}")).items()
        if isinstance(value, Dispatcher)
    }


@pytest.mark.parametrize("where", INNER := inlined_functions())
def test_options_of_inlined_functions(where):
    function = INNER[where]
    options = function.targetoptions
    assert options.get("nogil") is True
    assert options.get("error_model") == "numpy"
    assert not options.get("fastmath") and not options.get("parallel")
    assert function.py_func.__defaults__ is None and function.py_func.__kwdefaults__ is None
