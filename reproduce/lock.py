"""Renews the requirements with their hashes: ``python -m reproduce.lock``, which needs uv (the extra dev).

One file serves every platform and Python from the oldest that pyproject.toml allows::

    pip install --require-hashes -r reproduce/requirements/run.txt
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = Path(__file__).parent / "requirements"
EXTRAS = {"run": [], "test": ["--extra", "test"], "bench": ["--extra", "bench"]}
_HEADER = "# Made by `python -m reproduce.lock`.\n"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, extra in EXTRAS.items():
        _compile(name, "pyproject.toml", *extra)
    (FOLDER / "build.in").write_text(f"build\n{_backend()}\n", "utf-8")
    _compile("build", str(FOLDER / "build.in"))
    (FOLDER / "build.in").unlink()


def _backend() -> str:
    """The build backend that pyproject.toml names."""
    line = next(
        line for line in (ROOT / "pyproject.toml").read_text("utf-8").splitlines() if "requires = " in line
    )
    return line.split('"')[1]


def _compile(name: str, *source: str) -> None:
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
    command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--python-version", "3.10"]
    done = subprocess.run([*command, *source], cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
    (FOLDER / f"{name}.txt").write_text(_HEADER + done.stdout, "utf-8")
    print(f"{name}.txt: {done.stdout.count('==')} packages")


if __name__ == "__main__":
    main()
