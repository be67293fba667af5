"""What SECURITY.md promises of the source: nothing is unpickled, evaluated or imported by a computed name."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "fastbp"
# Calls that run code which is given as data, or start what is named by data
RUNS_DATA = {"eval", "exec", "compile", "__import__", "import_module", "system", "popen", "Popen", "urlopen"}
UNPICKLES = {"load", "loads", "Unpickler"}
MODULES = {"pickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
ALLOWED = {
    ("engine/kernels/cache.py", "pickle.loads"),  # what nobody but the user can have written
    ("__init__.py", "import_module"),  # names out of the package's own tables
    ("sklearn/__init__.py", "import_module"),  # likewise
}


def suspicious(source):
    """Names of the calls in a module that SECURITY.md speaks of."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in MODULES:
            yield from (f"{node.module}.{name.name}" for name in node.names)
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and not is_false(node.value):
            yield "allow_pickle"
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Name) and called.id in RUNS_DATA:
            yield called.id
        if isinstance(called, ast.Attribute):
            of = called.value.id if isinstance(called.value, ast.Name) else ""
            if of in MODULES and called.attr in UNPICKLES:
                yield f"{of}.{called.attr}"
            elif called.attr in RUNS_DATA - {
                "compile",
                "eval",
            }:  # methods: re.compile, eval of a PyTorch module
                yield called.attr


def is_false(node):
    return isinstance(node, ast.Constant) and node.value is False


def test_no_data_run_as_code():
    found = {
        (path.relative_to(PACKAGE).as_posix(), name)
        for path in PACKAGE.rglob("*.py")
        for name in suspicious(path.read_text("utf-8"))
    }
    assert found == ALLOWED


@pytest.mark.parametrize(
    "line",
    [
        "eval(text)",
        "exec(text)",
        "__import__(name)",
        "importlib.import_module(name)",
        "pickle.load(file)",
        "joblib.load(path)",
        "from pickle import loads",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=flag)",
        "os.system(command)",
        "subprocess.Popen(command)",
    ],
)
def test_the_check_sees(line):
    assert list(suspicious(line))
