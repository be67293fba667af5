"""The parts of the READMEs and of docs/ that commands with ``--write`` renew."""

import contextlib
import importlib.metadata
import json
import platform
import re
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
READMES = (ROOT / "README.md", ROOT / "README.zh.md")
PERFORMANCE = DOCS / "performance.md"
INK = "#808a94"  # text and lines that are read on white and on black alike
OURS = "#2f81f7"


def replace(page: Path, name: str, text: str) -> None:
    """Puts `text` between a page's ``<!-- name -->`` and ``<!-- /name -->``."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, _, rest = page.read_text("utf-8").partition(begin)
    _, _, after = rest.partition(end)
    if not after:
        raise SystemExit(f"bench: {page} has no place between {begin} and {end}")
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", "utf-8")


def keep(name: str, found: Any) -> None:
    (DOCS / name).write_text(json.dumps(found, indent=1) + "\n")


def machine() -> dict[str, Any]:
    """The machine, the day and the versions of a measurement."""
    cpu = platform.processor()
    with contextlib.suppress(OSError, TypeError):
        cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())[1]
    versions = {"Python": platform.python_version()}
    for name in ("numpy", "scikit-learn", "torch", "jax"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {"date": time.strftime("%Y-%m-%d"), "cpu": cpu, "versions": versions}


def measured(on: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in on["versions"].items())
    return f"Measured {on['date']} on {on['cpu']}; {versions}."


def pyplot() -> Any:
    """matplotlib.pyplot, for pictures that have no background and the same bytes for the same data."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    mpl.use("Agg")
    inks = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "grid.color")
    plt.rcParams.update(dict.fromkeys(inks, INK))
    plt.rcParams.update({"svg.hashsalt": "fastbp", "savefig.transparent": True, "grid.alpha": 0.3})
    return plt
