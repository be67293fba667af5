"""A user's script passes ``mypy --strict``: every example of the README does."""

import subprocess
import sys

import pytest
from test_docs import ROOT, examples

pytest.importorskip("mypy", reason="mypy is of the extra dev")


def test_the_readme_is_typed(tmp_path):
    settings = "[mypy]\nstrict = True\n[mypy-scipy.*,sklearn.*,joblib.*]\nignore_missing_imports = True\n"
    settings += "[mypy-numba.*]\nfollow_imports = skip\n"  # whose types refuse ``@njit`` without parentheses
    for number, block in enumerate(examples("README.md")):
        if "@njit" in block:  # whose functions Numba types
            settings += f"[mypy-example_{number}]\ndisallow_untyped_defs = False\n"
            settings += "disallow_untyped_decorators = False\n"
        (tmp_path / f"example_{number}.py").write_text(block, "utf-8")
    (tmp_path / "mypy.ini").write_text(settings, "utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", tmp_path / "mypy.ini"]
    command += sorted(tmp_path.glob("example_*.py"))
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
