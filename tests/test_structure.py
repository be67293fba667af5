"""Imports point one way: network -> seed, fitting, arrays -> run -> training -> engine -> kernels."""

import ast
from pathlib import Path

import pytest

import fastbp

PACKAGE = Path(fastbp.__file__).parent
THIRD_PARTY = {"numpy", "numba", "llvmlite"}
ALLOWED = {  # file or folder -> what of the package, and what of others, it may import when it is imported
    "kernels": ({"kernels", "__version__"}, THIRD_PARTY),
    "sparse.py": (set(), {"numpy"}),
    "validate": ({"sparse", "validate"}, {"numpy"}),
    "generator.py": (set(), {"numpy"}),
    "activations.py": ({"kernels"}, set()),
    "costs.py": (set(), set()),
    "optimizers.py": ({"kernels"}, set()),
    "schedules.py": (set(), set()),
    "initializers.py": (set(), set()),
    "layout.py": ({"kernels"}, {"numpy"}),
    "scaling.py": ({"sparse", "validate"}, {"numpy"}),
    "labels.py": ({"validate"}, {"numpy"}),
    "architecture.py": (
        {"activations", "costs", "generator", "optimizers", "scaling", "validate"},
        {"numpy"},
    ),
    "metrics.py": ({"validate"}, {"numpy"}),
    "plain.py": (
        {"activations", "architecture", "costs", "generator", "kernels", "scaling", "sparse", "validate"},
        {"numpy"},
    ),
    "machine.py": ({"validate"}, set()),
    "engine.py": (
        {"activations", "architecture", "costs", "kernels", "layout", "machine", "scaling", "sparse"},
        {"numpy"},
    ),
    "pace.py": ({"architecture", "kernels", "machine"}, {"numpy"}),
    "training.py": ({"engine", "pace"}, {"numpy"}),
    "recipe.py": ({"optimizers", "schedules"}, {"numpy"}),
    "history.py": (set(), set()),
    "evaluation.py": ({"engine", "generator", "labels", "metrics", "validate"}, {"numpy"}),
    "checkpoint.py": ({"files", "history", "schema", "validate"}, {"numpy"}),
    "callbacks.py": ({"checkpoint", "durable", "progress", "training", "validate"}, {"numpy"}),
    "run.py": (
        {"architecture", "callbacks", "engine", "history", "recipe", "seed", "training", "validate"},
        {"numpy"},
    ),
    "progress.py": ({"training"}, set()),
    "diagnosis.py": ({"activations", "architecture", "costs", "engine", "plain", "sparse"}, {"numpy"}),
    "seed.py": (
        {
            *("architecture", "engine", "kernels", "machine", "metrics", "optimizers", "pace", "plain"),
            *("training", "validate"),
        },
        {"numpy"},
    ),
    "arrays.py": (
        {
            *("architecture", "costs", "engine", "kernels", "labels", "layout", "machine", "metrics"),
            *("optimizers", "pace", "plain", "scaling", "seed", "sparse", "training", "validate"),
        },
        {"numpy"},
    ),
    "blocks.py": (
        {
            *("architecture", "arrays", "engine", "generator", "kernels", "labels", "scaling", "sparse"),
            "validate",
        },
        {"numpy"},
    ),
    "fitting.py": (
        {
            *("architecture", "arrays", "blocks", "callbacks", "checkpoint", "diagnosis", "engine"),
            *("evaluation", "generator", "history", "metrics", "pace", "plain", "recipe", "run", "scaling"),
            *("kernels", "schedules", "seed", "sparse", "training", "validate"),
        },
        {"numpy"},
    ),
    "gradient_check.py": ({"architecture", "arrays", "validate"}, {"numpy"}),
    "summary.py": ({"activations", "architecture", "costs"}, set()),
    "plot.py": ({"architecture", "arrays", "history", "plain", "sparse", "validate"}, {"numpy"}),
    "watch.py": ({"callbacks", "plot", "validate"}, {"numpy"}),
    "network.py": (
        {
            *(
                "activations",
                "architecture",
                "arrays",
                "callbacks",
                "costs",
                "files",
                "fitting",
                "history",
                "recipe",
                "gradient_check",
                "initializers",
                "optimizers",
            ),
            *("plain", "schedules", "seed", "summary", "validate"),
        },
        {"numpy"},
    ),
    "sklearn.py": ({"callbacks", "network", "optimizers", "run", "validate"}, {"numpy"}),
    "durable.py": (set(), set()),
    "schema.py": ({"activations", "costs", "optimizers", "validate"}, {"numpy"}),
    "files.py": (
        {
            *("activations", "architecture", "costs", "durable", "kernels", "scaling", "schema"),
            "validate",
        },
        {"numpy"},
    ),
    "export": ({"activations", "architecture", "durable", "export", "scaling", "validate"}, {"numpy"}),
    "datasets": ({"datasets"}, {"numpy"}),
    "compat": (
        {
            *(
                "architecture",
                "compat",
                "datasets",
                "durable",
                "engine",
                "initializers",
                "machine",
                "metrics",
            ),
            *("network", "plain", "seed", "training", "validate"),
        },
        {"numpy"},
    ),
    "cli": (
        {"__version__", "activations", "cli", "costs", "durable", "initializers", "optimizers", "schedules"},
        set(),
    ),
}


def imports(path):
    """(modules of the package, third-party modules) that a file imports at its top level."""
    inside, outside = set(), set()
    depth = len(path.relative_to(PACKAGE).parts) - 1
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Import):
            outside |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            outside.add(node.module.split(".")[0])
        elif isinstance(node, ast.ImportFrom) and node.level > depth:
            inside |= {node.module.split(".")[0]} if node.module else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inside.add(path.relative_to(PACKAGE).parts[0])
    return inside, outside & THIRD_PARTY


@pytest.mark.parametrize("place", ALLOWED)
def test_imports_point_one_way(place):
    inside, outside = ALLOWED[place]
    path = PACKAGE / place
    for file in path.rglob("*.py") if path.is_dir() else [path]:
        found_inside, found_outside = imports(file)
        assert found_inside <= inside, file
        assert found_outside <= outside, file


def test_every_place_is_known():
    places = {
        path.name for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert places == {*ALLOWED, "__init__.py", "__main__.py"}
