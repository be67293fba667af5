"""Imports: those that each room may make, no circles, and those that may be inside functions."""

import ast
import graphlib
from pathlib import Path

import pytest

import fastbp

PACKAGE = Path(fastbp.__file__).parent
THIRD_PARTY = {"numpy", "numba", "llvmlite"}
ROOMS = {  # room -> the rooms that its files may import, and the libraries
    "options": ((), {"numpy"}),
    "data": (("options",), {"numpy"}),
    "engine": (("options", "data"), THIRD_PARTY),
    "files": (("options", "data", "engine"), {"numpy"}),
    "training": (("options", "data", "engine", "files"), {"numpy"}),
    "network": (("options", "data", "engine", "files", "training"), {"numpy"}),
    "ensemble": (("options", "data", "engine", "files", "training", "network"), {"numpy"}),
    "plot": (("options", "data", "engine", "training"), {"numpy"}),
    "export": (("files",), set()),
    "interop": (("options", "data", "engine", "files", "network"), {"numpy"}),
    "sklearn": (("options", "data", "engine", "files", "training", "network", "ensemble"), {"numpy"}),
    "compat": (("options", "data", "engine", "files", "training", "network", "datasets"), {"numpy"}),
    "datasets": ((), {"numpy"}),
    "cli": (("options", "files"), set()),  # the rest comes late, for --help needs no NumPy
    "__main__": (("cli",), set()),
}
LATE = {"cli", "__main__"}  # import in functions what takes time
NO_NUMPY = ("activations", "costs", "optimizers", "schedules", "initializers", "checks")  # names for --help


def module_of(path):
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"}


def imports(name):
    """(module, whether it is imported at the top) of each import in a file, of libraries as well."""
    path = MODULES[name]
    tree = ast.parse(path.read_text("utf-8"))
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(tree):
        top = node in tree.body
        if isinstance(node, ast.Import):
            yield from ((alias.name, top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module, top
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] + (node.module.split(".") if node.module else [])
            for alias in node.names:
                whole = ".".join([*base, alias.name])
                yield "." + (whole if whole in MODULES else ".".join(base)), top


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_one_way(name):
    room = name.split(".")[0]
    rooms, libraries = ROOMS[room]
    for imported, top in imports(name):
        if imported.startswith(".") and imported != ".":
            other = imported[1:].split(".")[0]
            assert other in (room, *rooms) or (room in LATE and not top), imported
        elif imported.split(".")[0] in THIRD_PARTY:
            assert imported.split(".")[0] in libraries or not top, imported


def test_there_is_no_circle():
    graph = {
        name: {
            imported[1:]
            for imported, _ in imports(name)
            if imported.startswith(".") and imported[1:] in MODULES and imported[1:] != name
        }
        for name in MODULES
    }
    graphlib.TopologicalSorter(graph).prepare()  # raises a CycleError that names one


@pytest.mark.parametrize("name", [name for name in MODULES if name.split(".")[0] not in LATE])
def test_nothing_of_the_package_is_imported_late(name):
    late = {imported for imported, top in imports(name) if imported.startswith(".") and not top}
    # which needs NumPy; and what a worker that fits one estimator does not need
    assert late <= {".options.random_streams", ".sklearn.ensemble", ".sklearn.search"}


@pytest.mark.parametrize("name", NO_NUMPY)
def test_options_are_named_without_numpy(name):
    assert "numpy" not in {imported for imported, top in imports(f"options.{name}") if top}


def test_every_room_is_known():
    assert {name.split(".")[0] for name in MODULES} == {*ROOMS}


def test_no_name_is_taken_for_a_late_module():
    assert set(dir(fastbp)) == {*fastbp.__all__, *fastbp._MODULES}
