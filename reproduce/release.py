"""Checks and makes a release: ``python -m reproduce.release``, which needs the extra release.

In turn: version, changelog and tree agree; all tests pass, in full; the wheel and the sdist are built, and
built again with the same bytes; their contents are checked; dependencies are audited, by a database that must
answer; hashes and a bill of materials (CycloneDX) are written to dist/.  Nothing is tagged or uploaded: the
commands for that are printed.  Exit status: 0 if everything holds, else 1, with a line for each fault.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from . import rebuild

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
LOCKED = "reproduce/requirements/run.txt"
_NEEDED = {  # of every archive; a wheel's own folder, ``fastbp-<version>.dist-info``, is left out
    ".whl": ("fastbp/__init__.py", "fastbp/py.typed"),
    ".gz": ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "tests/conftest.py"),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--skip-tests", action="store_true", help="for a look at everything else")
    options = parser.parse_args()
    version = version_of((ROOT / "fastbp" / "__init__.py").read_text("utf-8"))
    faults = [*disagreements(version, (ROOT / "CHANGELOG.md").read_text("utf-8")), *_tree(version)]
    if not options.skip_tests:
        faults += _run(".ci/run")
        faults += _run(sys.executable, "-m", "pytest", "--full", "-n", "auto")
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    faults += _run(sys.executable, "-m", "build", "--outdir", "dist")
    files = sorted(path for path in DIST.glob("*") if path.suffix in _NEEDED)
    for path in files:
        faults += _run(sys.executable, "-m", "reproduce.rebuild", f"dist/{path.name}")
        faults += contents(path)
    names = [f"dist/{path.name}" for path in files]
    faults += _run(sys.executable, "-m", "twine", "check", "--strict", *names)
    faults += _run(sys.executable, "-m", "pip_audit", "--strict", "--require-hashes", "-r", LOCKED)
    faults += _bill_of_materials(DIST / f"fastbp-{version}.cdx.json", version)
    sums = "".join(f"{rebuild.digest(path)}  {path.name}\n" for path in sorted(DIST.iterdir()))
    (DIST / "SHA256SUMS").write_text(sums, "utf-8")
    print(sums, end="")
    for fault in faults:
        print(f"release: {fault}", file=sys.stderr)
    if not faults:
        print(f"git tag -s v{version} -m 'fastbp {version}' && git push origin v{version}")
        print("twine upload", *names)
    return 1 if faults else 0


def version_of(source: str) -> str:
    """The version that `fastbp/__init__.py` states."""
    found = re.search(r'^__version__ = "([^"]+)"$', source, re.MULTILINE)
    if not found:
        raise ValueError('fastbp/__init__.py: expected a line __version__ = "..."')
    return found[1]


def disagreements(version: str, changelog: str) -> Iterator[str]:
    """What keeps the changelog from being that of the version: its first heading is the version."""
    heading = next((line for line in changelog.splitlines() if line.startswith("## ")), "")
    if heading != f"## {version}":
        yield f"CHANGELOG.md: expected '## {version}' as its first heading, got {heading!r}"
    if not re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", version):
        yield f"fastbp/__init__.py: expected a version such as 0.3.0 or 0.3.0rc1, got {version}"


def contents(path: Path) -> Iterator[str]:
    """What a wheel or an sdist lacks, and what does not belong into it."""
    members = rebuild.members(path)
    inner = members
    if path.suffix == ".gz":  # under the folder fastbp-<version>
        inner = {name.partition("/")[2]: member for name, member in members.items()}
    for name in _NEEDED[path.suffix]:
        if name not in inner:
            yield f"{path.name}: expected {name} in it"
    for name in inner:
        is_left_over = name.endswith((".pyc", ".so", ".orig", ".rej", "~")) or "__pycache__" in name
        is_foreign = path.suffix == ".whl" and not re.match(r"fastbp(-[^/]+\.dist-info)?/", name)
        if is_left_over or is_foreign:
            yield f"{path.name}: {name} does not belong into it"


def _tree(version: str) -> Iterator[str]:
    git = "git", "-C", str(ROOT)
    if changed := rebuild.run(*git, "status", "--porcelain"):
        yield f"git: expected a clean tree, got {len(changed.splitlines())} changed files"
    if rebuild.run(*git, "tag", "--list", f"v{version}"):
        yield f"git: the tag v{version} exists"


def _bill_of_materials(path: Path, version: str) -> list[str]:
    """Writes the wheel's bill of materials, a CycloneDX document of the locked dependencies."""
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", LOCKED, "--pyproject", "pyproject.toml"]
    options = ["--mc-type", "library", "--output-reproducible", "--of", "JSON", "-o", f"dist/{path.name}"]
    if faults := _run(*command, *options):
        return faults
    bill = json.loads(path.read_text("utf-8"))
    bill["metadata"]["component"]["version"] = version  # pyproject.toml leaves it to the source
    root = next(entry for entry in bill["dependencies"] if entry["ref"] == "root-component")
    root["dependsOn"] = [component["bom-ref"] for component in bill["components"]]
    path.write_text(json.dumps(bill, indent=2) + "\n", "utf-8")
    return []


def _run(*command: str) -> list[str]:
    """Runs a command in the repository; says in a line that it has failed, if it has."""
    print("$", *command, flush=True)
    status = subprocess.run(command, cwd=ROOT).returncode
    return [f"{' '.join(command[:4])} ... ended with {status}"] if status else []


if __name__ == "__main__":
    sys.exit(main())
