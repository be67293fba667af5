"""``python -m bench.peers``: the same training, by fastbp and by what a user would pick instead.

Every peer trains the same network on the same samples in the same order from the same weights, in turn; the
medians of their epochs are shown, and beside each the largest difference of any weight from the float64
reference after the first.  ``--write`` puts the table into README.md and makes docs/peers.svg and peers.json.
"""

import argparse
import contextlib
import importlib.metadata
import io
import json
import platform
import random
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fastbp import Network
from fastbp.kernels.team import cpus

from .suite.networks import DIGITS, SMALL, Case, difference, digits, reference, start, targets
from .trainers import PEERS, CrossEntropy, Fastbp, FastbpTeam, Peer

ROOT = Path(__file__).parent.parent
FIRST = DIGITS[0]._replace(learning_rate=0.5)  # at the book's 3.0 the cross-entropy is chaotic
ROWS: tuple[tuple[Case, str, int], ...] = (
    (FIRST, "float32", 50_000),
    (DIGITS[1], "float32", 50_000),
    (DIGITS[2], "float32", 50_000),
    (DIGITS[3], "float32", 10_240),
    (SMALL[0], "float32", 10_000),
    (SMALL[1], "float32", 200),
    (SMALL[2], "float32", 10_000),
    (FIRST, "float64", 50_000),
    (DIGITS[2], "float64", 50_000),
)
SETTLE = 0.05  # seconds between peers, for threads that go on spinning after their work


def seconds(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def compare(case: Case, dtype: str, samples: int, rounds: int) -> dict[str, Any]:
    """One row: every peer's median seconds of an epoch and largest difference, or why it is skipped."""
    X, Y = targets(case, samples)
    orders = [np.random.RandomState(turn).permutation(samples) for turn in range(rounds)]
    weights, biases = reference.fit_reference(
        *start(case, np.float64), X, Y, orders[:1], case.batch_size, case.learning_rate, np.float64
    )
    other = CrossEntropy(case, "float64", X, Y)
    other.epoch(orders[0])
    wanted = {True: [*weights, *biases], False: other.trained()}
    X, Y = X.astype(dtype), Y.astype(dtype)
    running: list[Peer] = []
    skipped = {}
    for kind in PEERS:
        if not kind.can(case, samples):
            continue
        try:
            running.append(kind(case, dtype, X, Y))
        except ImportError as error:
            skipped[kind.name] = str(error)
    again = max(1, int(2e8 / (case.flops() * samples)))  # epochs too short to time are repeated
    times: dict[str, list[float]] = {peer.name: [] for peer in running}
    differences = {}
    for peer in running:
        peer.epoch(orders[0])
        differences[peer.name] = difference(peer.trained(), wanted[peer.quadratic])
        for _ in range(peer.trials):
            peer.epoch(orders[0])
    for order in orders:
        for peer in running:
            time.sleep(SETTLE)
            runs = 1 if times[peer.name] and times[peer.name][0] > 0.2 else again
            spent = seconds(
                lambda peer=peer, order=order, runs=runs: [peer.epoch(order) for _ in range(runs)]
            )
            times[peer.name].append(spent / runs)
    found = {
        name: {"seconds": statistics.median(spent), "difference": differences[name]}
        for name, spent in times.items()
    }
    return {"network": case.name, "dtype": dtype, "samples": samples, "peers": found, "skipped": skipped}


def ours(row: dict[str, Any]) -> float:
    """Seconds of the better of one thread and two."""
    return min(row["peers"][kind.name]["seconds"] for kind in (Fastbp, FastbpTeam))


def best_peer(row: dict[str, Any]) -> tuple[float, str]:
    """Its seconds and name."""
    own = {Fastbp.name, FastbpTeam.name}
    return min((found["seconds"], name) for name, found in row["peers"].items() if name not in own)


def show(row: dict[str, Any]) -> None:
    print(f"\n{row['network']}, {row['dtype']}, seconds an epoch of {row['samples']} samples")
    for name, found in row["peers"].items():
        ratio = found["seconds"] / ours(row)
        print(f"  {name:46} {found['seconds']:10.6f}  {ratio:7.1f} x  |dw| {found['difference']:.0e}")
    for name, why in row["skipped"].items():
        print(f"  {name:46} skipped: {why}")


def machine() -> dict[str, Any]:
    """What was measured on, when, and with which versions."""
    cpu = platform.processor()
    with contextlib.suppress(OSError):
        cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())[1]
    versions = {"Python": platform.python_version()}
    for name in ("numpy", "scikit-learn", "torch", "jax"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": cpu,
        "cpus": cpus(),
        "versions": versions,
    }


def table(found: dict[str, Any]) -> str:
    """As Markdown: peers down, networks across, the difference of weights beside the time."""
    rows = found["rows"]
    on = found["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in on["versions"].items())
    head = [f"{row['network']}, {row['dtype']}" for row in rows]
    lines = [
        f"Seconds an epoch, and the largest difference of any weight from the float64 reference after one. "
        f"Measured {on['date']} on {on['cpus']} cores of {on['cpu']}; {versions}.",
        "",
        f"| | {' | '.join(head)} |",
        f"| --- |{' --- |' * len(rows)}",
        f"| samples | {' | '.join(str(row['samples']) for row in rows)} |",
    ]
    for kind in PEERS:
        cells = []
        for row in rows:
            one = row["peers"].get(kind.name)
            cells.append(f"{one['seconds']:.3g} ({one['difference']:.0e})" if one else "")
        lines.append(f"| {kind.name} | {' | '.join(cells)} |")
    ratios = [f"**{best_peer(row)[0] / ours(row):.1f}**" for row in rows]
    lines.append(f"| **best peer / fastbp** | {' | '.join(ratios)} |")
    skipped = sorted({name for row in rows for name in row["skipped"]})
    if skipped:
        lines += ["", f"Not installed, skipped: {', '.join(skipped)}."]
    return "\n".join(lines)


def draw(found: dict[str, Any], path: Path) -> None:
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "fastbp"
    rows = found["rows"]
    figure, axes = plt.subplots(figsize=(9, 4.6), layout="constrained")
    markers = "osv^D<>Xph"
    for kind, marker in zip(PEERS, markers, strict=True):
        if kind in (Fastbp, FastbpTeam):
            continue
        there = [
            (i, row["peers"][kind.name]["seconds"] / ours(row))
            for i, row in enumerate(rows)
            if kind.name in row["peers"]
        ]
        if there:
            axes.plot(*zip(*there, strict=True), marker, label=kind.name, markersize=6, alpha=0.8)
    axes.axhline(1, color="#1f5fa8", lw=2, label="fastbp")
    axes.set_yscale("log")
    axes.set_ylabel("times the seconds of fastbp")
    axes.set_xticks(
        range(len(rows)),
        [f"{row['network']}\n{row['dtype']}" for row in rows],
        rotation=30,
        ha="right",
        fontsize=8,
    )
    axes.grid(alpha=0.3, axis="y")
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(path, metadata={"Date": None})


def write(found: dict[str, Any]) -> None:
    docs = ROOT / "docs"
    (docs / "peers.json").write_text(json.dumps(found, indent=1) + "\n")
    draw(found, docs / "peers.svg")
    readme = ROOT / "README.md"
    begin, end = "<!-- peers -->", "<!-- /peers -->"
    before, _, rest = readme.read_text().partition(begin)
    _, _, after = rest.partition(end)
    if not after:
        raise SystemExit(f"bench.peers: {readme} has no place between {begin} and {end}")
    readme.write_text(f"{before}{begin}\n\n{table(found)}\n\n{end}{after}")


def drop_in(epochs: int) -> None:
    """The seed's script itself: lists of column vectors, shuffle, conversion and lines included."""
    case = DIGITS[0]
    X, labels = digits()
    X, Y = X / np.float32(256), reference.one_hot(labels, 10)
    pairs = [(x[:, None], y[:, None]) for x, y in zip(X, Y, strict=True)]

    def run(net: Any, epochs: int) -> float:
        random.seed(0)
        with contextlib.redirect_stdout(io.StringIO()):
            return seconds(lambda: net.SGD(list(pairs), epochs, case.batch_size, case.learning_rate)) / epochs

    run(Network(case.sizes), 1)
    seed = statistics.median(run(reference.Network(list(case.sizes)), 1) for _ in range(3))
    print(f"\ndrop-in SGD, {case.name}, seconds an epoch: seed {seed:.3f}")
    for dtype in ("float32", "float64"):
        for count in (1, epochs):
            found = statistics.median(run(Network(case.sizes, dtype=dtype), count) for _ in range(5))
            print(
                f"  fastbp {dtype}, {count:2} epoch(s) a call: {found:.4f}, {seed / found:.1f} times faster"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=range(len(ROWS)), help="numbers of the rows")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="README.md, docs/peers.json and docs/peers.svg")
    parser.add_argument(
        "--drop-in", type=int, metavar="EPOCHS", help="only the seed's script, as it is called"
    )
    options = parser.parse_args()
    if options.drop_in:
        drop_in(options.drop_in)
        return
    rows = []
    for number in options.rows:
        rows.append(compare(*ROWS[number], options.rounds))
        show(rows[-1])
    if options.write:
        write({"machine": machine(), "rows": rows})


if __name__ == "__main__":
    main()
