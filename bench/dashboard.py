"""``python -m bench.dashboard [COMMITS]``: runs the suite over commits; leaves a page that needs no network.

COMMITS is a range as git takes it (``HEAD~5..HEAD``), or ``HEAD^!`` for the last one alone.  Results that are
there already are kept; without COMMITS only the page is made anew, in ``.asv/html``.

asv's own page loads scripts from other hosts.  Here the same come from npm packages of pinned versions; each
is checked, by the digest that asv's page names for it, or by the one written down here.
"""

import argparse
import base64
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
CONFIGURATION = ROOT / "asv.conf.json"


class Asset(NamedTuple):
    """A file of a package, in place of what asv's page loads from an address that ends in `replaces`."""

    package: str
    file: str
    replaces: str
    digest: str = ""  # where its bytes are not those whose digest asv's page names


ASSETS = (
    Asset("jquery@3.3.1", "dist/jquery.min.js", "jquery-3.3.1.min.js"),
    Asset(
        "flot@0.8.3",
        "jquery.flot.js",
        "jquery.flot.min.js",
        "sha256-t7kx8nPDixJ3ucbB9OBcTsCYhaSHvdrzJ54tfkmjjhI=",
    ),
    Asset(
        "flot@0.8.3",
        "jquery.flot.time.js",
        "jquery.flot.time.min.js",
        "sha256-pYLIMq3HE4prBar2HxbrrCdHAfG+Sv6nfnOaHDS5xBo=",
    ),
    Asset(
        "flot@0.8.3",
        "jquery.flot.selection.js",
        "jquery.flot.selection.min.js",
        "sha256-5shfbB6+S02inYriOMfFBgKD8F9+8FT2uRgX0CwJKRg=",
    ),
    Asset(
        "flot@0.8.3",
        "jquery.flot.categories.js",
        "jquery.flot.categories.min.js",
        "sha256-boFmSyjqeVxzSQb0qhVhRkCnWsf705mn+5CEBAaYNRo=",
    ),
    Asset("flot-orderbars@1.0.0", "js/jquery.flot.orderBars.js", "jquery.flot.orderBars.js"),
    Asset(
        "stupid-table-plugin@1.1.3",
        "stupidtable.min.js",
        "stupidtable.min.js",
        "sha256-RkI4Dyjr6e18rCUXk7KB74YgxDhiBdkniPmxL1zOtOA=",
    ),
    Asset("blueimp-md5@2.19.0", "js/md5.min.js", "md5.min.js"),
    Asset("bootstrap@3.1.1", "dist/js/bootstrap.min.js", "bootstrap.min.js"),
    Asset("bootstrap@3.1.1", "dist/css/bootstrap.min.css", "bootstrap.min.css"),
)
_REFERENCE = re.compile(
    r'<(?:script|link)[^>]*?(?:src|href)="(?P<address>https?://[^"]+)"'
    r'[^>]*?integrity="(?P<integrity>[^"]+)"[^>]*>(?:</script>)?'
)


def unpack(package: str, folder: Path) -> Path:
    """The package's files, fetched by npm into `folder`."""
    try:
        done = subprocess.run(
            ["npm", "pack", "--silent", package], cwd=folder, capture_output=True, text=True, check=True
        )
    except FileNotFoundError:
        raise SystemExit("bench.dashboard: needs npm (of Node.js) for the scripts of asv's page") from None
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"bench.dashboard: npm pack {package} failed: {error.stderr.strip()}") from None
    archive = folder / done.stdout.split()[-1]
    target = folder / archive.stem
    with tarfile.open(archive) as packed:
        packed.extractall(target, filter="data")
    return target / "package"


def digest(content: bytes, kind: str) -> str:
    """The digest as pages write it: the kind of hash, and its base64."""
    return f"{kind}-{base64.b64encode(hashlib.new(kind, content).digest()).decode()}"


def make_local(page: Path) -> None:
    """Copies every asset beside the page and refers to it there."""
    text = page.read_text()
    folder = page.parent / "assets"
    folder.mkdir(exist_ok=True)
    wanted = {asset.replaces: asset for asset in ASSETS}
    with tempfile.TemporaryDirectory() as temporary:
        packages = {asset.package: unpack(asset.package, Path(temporary)) for asset in ASSETS}

        def local(found: re.Match[str]) -> str:
            asset = wanted.pop(found["address"].rsplit("/", 1)[-1])
            content = (packages[asset.package] / asset.file).read_bytes()
            expected = asset.digest or found["integrity"]
            got = digest(content, expected.split("-", 1)[0])
            if got != expected:
                raise SystemExit(f"bench.dashboard: {asset.package} {asset.file}: {got}, not {expected}")
            name = Path(asset.file).name
            (folder / name).write_bytes(content)
            if name.endswith(".css"):
                return f'<link rel="stylesheet" href="assets/{name}">'
            return f'<script src="assets/{name}"></script>'

        text = _REFERENCE.sub(local, text)
    if wanted or re.search(r'<(script|link)[^>]*"https?://', text):
        raise SystemExit(f"bench.dashboard: asv's page is not as expected; unused: {sorted(wanted)}")
    page.write_text(text)


def newest(results: Path) -> dict[str, str]:
    """When, where and what was measured last."""
    found = []
    for path in results.glob("*/*.json"):
        if path.name == "machine.json":
            continue
        result = json.loads(path.read_text())
        column = result["result_columns"].index("started_at")
        started = [entry[column] for entry in result["results"].values() if len(entry) > column]
        if any(started):
            machine = json.loads((path.parent / "machine.json").read_text())
            found.append((max(filter(None, started)), machine, result["commit_hash"]))
    if not found:
        raise SystemExit(f"bench.dashboard: nothing was measured yet in {results}; give commits to run")
    when, machine, commit = max(found, key=lambda entry: entry[0])
    return {
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(when / 1000)),
        "where": f"{machine['machine']}: {machine.get('cpu', '')}, {machine.get('num_cpu', '?')} CPUs",
        "commit": commit[:8],
    }


def tell_newest(page: Path, found: dict[str, str]) -> None:
    line = f"last measured {found['when']}, commit {found['commit']}, on {found['where']}"
    text = page.read_text()
    begin, body, rest = text.partition("<body>")
    if not body:
        raise SystemExit("bench.dashboard: asv's page has no body")
    style = (
        "position: fixed; bottom: 0; right: 20px; margin: 0; padding: 2px 8px; background: white; z-index: 9"
    )
    page.write_text(f'{begin}{body}\n    <p id="measured" style="{style}">{line}</p>{rest}')


def asv(*arguments: str) -> None:
    status = subprocess.run([sys.executable, "-m", "asv", *arguments], cwd=ROOT).returncode
    if status not in (0, 2):  # 2: a benchmark failed, which the page shows
        raise SystemExit(f"bench.dashboard: asv {' '.join(arguments)} ended with status {status}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("commits", nargs="?", help="a range of commits to run the suite over")
    parser.add_argument("--bench", default="", help="only benchmarks whose name matches")
    parser.add_argument("--config", type=Path, default=CONFIGURATION, help="asv's configuration")
    options = parser.parse_args()
    configuration = json.loads(options.config.read_text())
    folder = options.config.parent
    chosen = ["--config", str(options.config)]
    if options.commits:
        asv("machine", "--yes", *chosen)
        only = ["--bench", options.bench] if options.bench else []
        asv("run", "--skip-existing", "--launch-method", "spawn", *chosen, *only, options.commits)
    found = newest(folder / configuration["results_dir"])
    asv("publish", *chosen)
    page = folder / configuration["html_dir"] / "index.html"
    make_local(page)
    tell_newest(page, found)
    print(f"{page}: open it from any web server, such as: python -m http.server -d {page.parent}")


if __name__ == "__main__":
    main()
