"""Tables and a picture of all peers."""

import math
from collections.abc import Callable
from typing import Any

from ..pages import DOCS, INK, measured, pyplot
from ..pages import OURS as BLUE
from . import OURS, PEERS, Fastbp, FastbpOne, FastbpTwo

Row = dict[str, Any]  # network, recipe, dtype, samples, cores, peers, skipped
KINDS = (*OURS, *PEERS)


def seconds(row: Row, name: str) -> float:
    return float(row["peers"][name]["seconds"])


def best_peer(row: Row) -> float:
    """Seconds of the fastest that is not fastbp; NaN where none is installed."""
    found = (seconds(row, kind.name) for kind in PEERS if kind.name in row["peers"])
    return min(found, default=math.nan)


def best_fixed(row: Row) -> float:
    """Seconds of fastbp by the better of one thread and two."""
    return min(seconds(row, kind.name) for kind in (FastbpOne, FastbpTwo) if kind.name in row["peers"])


def ratio(row: Row) -> str:
    """The best peer's seconds by those of fastbp as it is called, and by its better number of threads."""
    return f"**{best_peer(row) / seconds(row, Fastbp.name):.1f}** ({best_peer(row) / best_fixed(row):.1f})"


def show(row: Row) -> None:
    cores = f"{row['cores']} core" + "s" * (row["cores"] > 1)
    print(f"\n{title(row)}, {cores}: seconds per epoch of {row['samples']} samples")
    for name, found in row["peers"].items():
        times = found["seconds"] / seconds(row, Fastbp.name)
        used = f"  {found['setting']}" if found["setting"] else ""
        print(f"  {name:46} {found['seconds']:10.6f}  {times:7.1f} x  |dw| {found['difference']:.0e}{used}")
    for name, why in row["skipped"].items():
        print(f"  {name:46} skipped: {why}")


def title(row: Row) -> str:
    return ", ".join(part for part in (row["network"], row["optimizer"], row["dtype"]) if part != "sgd")


def tables(found: dict[str, Any]) -> str:
    """The tables in Markdown: the book's recipe, then the others; seconds where most cores were used."""
    most = max(row["cores"] for row in found["rows"])
    texts = [
        f"Seconds per epoch on {most} cores, and the largest difference of any weight from the float64 "
        f"reference after one. {measured(found['machine'])} The last lines divide the seconds of the "
        'fastest peer by those of fastbp as it is called, with `threads="auto"`, and, in parentheses, by '
        "those of its better fixed number of threads.",
    ]
    for name, belongs in PARTS:
        rows = [row for row in found["rows"] if belongs(row)]
        if rows:
            texts += [f"{name}:", table(rows, most)]
    skipped = sorted({name for row in found["rows"] for name in row["skipped"]})
    if skipped:
        texts.append(f"Not installed, skipped: {', '.join(skipped)}.")
    return "\n\n".join(texts)


def is_mixed(row: Row) -> bool:
    return bool(row["dtype"] == "bfloat16")


PARTS: tuple[tuple[str, Callable[[Row], bool]], ...] = (
    (
        "Sigmoids, the quadratic cost, plain gradient descent",
        lambda row: row["optimizer"] == "sgd" and not is_mixed(row),
    ),
    (
        "ReLU, softmax, the cross-entropy, with Adam or momentum",
        lambda row: row["optimizer"] != "sgd" and not is_mixed(row),
    ),
    ("ReLU, softmax, the cross-entropy, with products of bfloat16", is_mixed),
)


def table(rows: list[Row], most: int) -> str:
    """Peers down, networks across, the difference of weights beside the time."""
    columns = [row for row in rows if row["cores"] == most]
    lines = [
        f"| | {' | '.join(title(row) for row in columns)} |",
        f"| --- |{' --- |' * len(columns)}",
        f"| samples | {' | '.join(str(row['samples']) for row in columns)} |",
    ]
    for kind in KINDS:
        cells = []
        for row in columns:
            one = row["peers"].get(kind.name)
            cells.append(f"{one['seconds']:.3g} ({one['difference']:.0e})" if one else "")
        if any(cells):
            lines.append(f"| {kind.name} | {' | '.join(cells)} |")
    for cores in sorted({row["cores"] for row in rows}, reverse=True):
        there = {title(row): ratio(row) for row in rows if row["cores"] == cores}
        where = f", {cores} core" + "s" * (cores > 1)
        lines.append(
            f"| **best peer / fastbp**{where} | {' | '.join(there[title(row)] for row in columns)} |"
        )
    return "\n".join(lines)


def summary(found: dict[str, Any]) -> str:
    """Networks down, cores across: how many times as long the fastest peer takes."""
    cores = sorted({row["cores"] for row in found["rows"]}, reverse=True)
    names = dict.fromkeys(map(title, found["rows"]))
    ratios = {(title(row), row["cores"]): best_peer(row) / seconds(row, Fastbp.name) for row in found["rows"]}
    lines = [f"| best peer / fastbp | {' | '.join(map(str, cores))} |", f"| --- |{' --- |' * len(cores)}"]
    lines += [f"| {name} | {' | '.join(f'{ratios[name, n]:.1f}' for n in cores)} |" for name in names]
    return "\n".join(lines)


def draw(found: dict[str, Any]) -> None:
    """docs/peers.svg: every peer's seconds as a multiple of fastbp's, where most cores were used."""
    plt = pyplot()
    most = max(row["cores"] for row in found["rows"])
    rows = [row for row in found["rows"] if row["cores"] == most]
    figure, axes = plt.subplots(figsize=(5.2, 7.5), layout="constrained")
    for kind, marker in zip(PEERS, "sv^D<>Xp", strict=True):
        there = [
            (seconds(row, kind.name) / seconds(row, Fastbp.name), i)
            for i, row in enumerate(rows)
            if kind.name in row["peers"]
        ]
        if there:
            axes.plot(*zip(*there, strict=True), marker, label=kind.name, markersize=6, alpha=0.9)
    axes.axvline(1, color=BLUE, lw=2, label=Fastbp.name)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("times the seconds of fastbp")
    names = [f"{row['network']}\n{title(row).removeprefix(row['network'] + ', ')}" for row in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.invert_yaxis()
    axes.grid(axis="x")
    figure.legend(loc="outside lower center", labelcolor=INK, framealpha=0)
    figure.savefig(DOCS / "peers.svg", metadata={"Date": None})
