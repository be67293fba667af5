"""``python -m bench.accuracy``: seconds of training until the test digits are first 97, 98 and 98.5 % right.

The median of five seeds, tested after every epoch: for fastbp by the recipe chosen for it, for each peer by
the same recipe and by its own best of a search.  There every recipe of `SEARCH` is trained from one seed, and
the one that is first at a goal is trained from all of them.  A recipe's schedule ends with its last epoch.

All train on the 60,000 digits of MNIST's training file, in float32: fastbp on the bytes, which it divides as
it reads them, peers on the quotients.  Only training counts: not compilation,
nor the epochs that find a peer's best number of threads, nor the test.  ``--write`` puts picture and table
into docs/.
"""

import argparse
import functools
import itertools
import json
import math
import statistics
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastbp.datasets import load_mnist

from . import pages, pinned
from .peers import Fastbp, Jax, Peer, Recipe, ScikitLearn, Torch, TorchCompiled
from .peers.peer import Weights
from .suite.networks import reference

RECIPE = Recipe((), 64, 5e-3, "relu", "softmax", "cross_entropy", "adamw", "one_cycle", weight_decay=0.1)
GOALS = {  # per cent of the test digits -> the recipe by which fastbp is there first
    97.0: RECIPE._replace(
        sizes=(784, 160, 10), learning_rate=1e-2, optimizer="adam", weight_decay=0.0, epochs=1
    ),
    98.0: RECIPE._replace(sizes=(784, 160, 64, 10), learning_rate=7e-3, epochs=3),
    98.5: RECIPE._replace(sizes=(784, 256, 64, 10), epochs=7),
}
LARGE = RECIPE._replace(batch_size=256, learning_rate=7e-3)
SEARCH = (
    *GOALS.values(),
    LARGE._replace(sizes=(784, 256, 10), batch_size=128, learning_rate=1e-2, epochs=1),
    LARGE._replace(sizes=(784, 256, 10), learning_rate=1.5e-2, epochs=4),
    LARGE._replace(sizes=(784, 256, 64, 10), learning_rate=1e-2, epochs=7),
    LARGE._replace(sizes=(784, 512, 256, 10), epochs=5),
    RECIPE._replace(
        sizes=(784, 512, 256, 10),
        batch_size=128,
        learning_rate=3e-3,
        optimizer="adam",
        weight_decay=0.0,
        dropout=0.2,
        epochs=8,
    ),
)


class FastbpOnBytes(Fastbp):
    """Trains on the digits as MNIST has them, and divides them as it reads; peers take them divided."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.X = np.rint(self.X * 255).astype(np.uint8)


KINDS: tuple[type[Peer], ...] = (FastbpOnBytes, ScikitLearn, Torch, TorchCompiled, Jax)
SETTLE = 0.05  # seconds between peers, for threads that go on spinning after their work
Reached = dict[float, float]  # goal -> seconds


@functools.cache
def data() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """X, one-hot Y, and X and labels of the test, float32 between 0 and 1."""
    training, validation, test = load_mnist()
    X = np.concatenate([training.X, validation.X])
    Y = reference.one_hot(np.concatenate([training.y, validation.y]), 10).astype(np.float32)
    return (X / 255).astype(np.float32), Y, (test.X / 255).astype(np.float32), test.y


def start(recipe: Recipe, seed: int) -> tuple[Weights, Weights]:
    """He's normal weights, and biases of 0."""
    draw, pairs = np.random.default_rng(seed).standard_normal, list(itertools.pairwise(recipe.sizes))
    weights = [(draw((n_out, n_in)) * math.sqrt(2 / n_in)).astype(np.float32) for n_in, n_out in pairs]
    return weights, [np.zeros((n_out, 1), np.float32) for _, n_out in pairs]


def accuracy(trained: Weights) -> float:
    """Per cent of the test digits that networks of ReLU get right."""
    _, _, a, labels = data()
    layers = len(trained) // 2
    for layer, (w, b) in enumerate(zip(trained[:layers], trained[layers:], strict=True)):
        a = a @ w.T + b.T
        if layer < layers - 1:
            a = np.maximum(a, 0)
    return 100 * float((a.argmax(axis=1) == labels).mean())


def prepared(kind: type[Peer], recipe: Recipe) -> Peer | None:
    """Compiled, warm, and with the best of its settings; None if the peer cannot train that."""
    if kind.own(recipe) is None:
        return None
    X, Y, _, _ = data()
    peer = kind(recipe, "float32", X, Y)
    order, times = np.arange(len(X)), []
    for setting in peer.settings:
        peer.use(setting)
        for _ in range(2 if len(peer.settings) > 1 else 1):
            peer.reset(*start(recipe, 0))
            begin = time.perf_counter()
            peer.run(order, 1)
            took = time.perf_counter() - begin
        times.append(took)
    peer.setting = peer.settings[min(range(len(times)), key=times.__getitem__)]
    return peer


def reach(peer: Peer, seed: int, goals: tuple[float, ...], limit: float) -> Reached:
    """Seconds of training after which each goal was first reached, if it was."""
    random, found = np.random.default_rng([seed, 1]), Reached()
    orders = [random.permutation(len(peer.X)) for _ in range(peer.recipe.epochs)]

    def score(spent: float, trained: Weights) -> bool:
        percent = accuracy(trained)
        for goal in goals:
            if percent >= goal:
                found.setdefault(goal, spent)
        return len(found) == len(goals) or spent > limit

    time.sleep(SETTLE)
    peer.use(peer.setting)
    peer.reset(*start(peer.recipe, seed), seed)
    peer.curve(orders, score)
    return found


def all_seeds(peers: list[Peer], goal: float, how: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The result of each of the peers, which take turns: seconds of each seed, or None where it fails."""
    seconds: dict[str, list[float | None]] = {peer.name: [] for peer in peers}
    for seed in range(options.seeds):
        for peer in peers:
            found = reach(peer, seed, (goal,), options.limit)
            seconds[peer.name].append(found.get(goal))
    about = {"goal": goal, "how": how}
    return [
        {**about, "peer": peer.name, "recipe": peer.recipe.text, "seconds": seconds[peer.name]}
        for peer in peers
    ]


def own_best(kind: type[Peer], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The result for each goal of the recipe that is there first from one seed, and then from most."""
    found: dict[float, list[tuple[float, Recipe]]] = {goal: [] for goal in options.goals}
    for recipe in SEARCH[: options.search]:
        if peer := prepared(kind, recipe):
            for goal, spent in reach(peer, 0, tuple(options.goals), options.limit).items():
                found[goal].append((spent, recipe))
    for goal, candidates in found.items():
        for _, recipe in sorted(candidates):
            peer = prepared(kind, recipe)
            assert peer is not None
            (result,) = all_seeds([peer], goal, "own", options)
            if median(result["seconds"]) < math.inf:
                yield result
                break


def measure(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Results, and what is skipped."""
    kinds = []
    for kind in KINDS:
        try:
            prepared(kind, GOALS[options.goals[0]])
            kinds.append(kind)
        except ImportError as error:
            yield {"peer": kind.name, "skipped": str(error)}
    for goal in options.goals:
        peers = [peer for kind in kinds if (peer := prepared(kind, GOALS[goal]))]
        yield from all_seeds(peers, goal, "same", options)
    for kind in kinds:
        if kind is not FastbpOnBytes:
            yield from own_best(kind, options)


def median(seconds: list[float | None]) -> float:
    """Infinite where most seeds do not reach the goal."""
    return statistics.median(math.inf if spent is None else spent for spent in seconds)


def medians(found: dict[str, Any]) -> dict[tuple[str, str], dict[float, float]]:
    """(peer, how) -> goal -> median seconds of all seeds."""
    lines: dict[tuple[str, str], dict[float, float]] = {}
    for result in found["results"]:
        line = lines.setdefault((result["peer"], result["how"]), {})
        line[result["goal"]] = median(result["seconds"])
    names = [kind.name for kind in KINDS]
    return dict(sorted(lines.items(), key=lambda line: (names.index(line[0][0]), line[0][1] == "own")))


def name(peer: str, how: str) -> str:
    if peer == Fastbp.name:
        return "fastbp"
    return f"{peer}, {'same recipe' if how == 'same' else 'own best'}"


def table(found: dict[str, Any]) -> str:
    """The table in Markdown."""
    lines, goals = medians(found), found["goals"]
    ours = lines[Fastbp.name, "same"]
    rows = [f"| | {' | '.join(f'{goal:g} %' for goal in goals)} |", f"| --- |{' --- |' * len(goals)}"]
    for key, reached in lines.items():
        cells = (reached.get(goal, math.inf) for goal in goals)
        shown = (f"{spent:.3g}" if spent < math.inf else f"over {found['limit']:g}" for spent in cells)
        rows.append(f"| {name(*key)} | {' | '.join(shown)} |")
    others = [reached for (peer, _), reached in lines.items() if peer != Fastbp.name]
    best = {goal: min((one.get(goal, math.inf) for one in others), default=math.inf) for goal in goals}
    shown = (f"**{best[goal] / ours[goal]:.1f}**" if best[goal] < math.inf else "" for goal in goals)
    rows.append(f"| **best peer / fastbp** | {' | '.join(shown)} |")
    recipes = [f"{goal:g} % by {GOALS[goal].text}" for goal in goals]
    return "\n".join(
        [
            "Seconds of training until that share of the test digits is right, median of "
            f"{found['seeds']} seeds, on {found['cores']} cores. {pages.measured(found['machine'])}",
            "",
            *rows,
            "",
            f"Recipes: {'; '.join(recipes)}. [How it is measured](benchmarks.md).",
        ]
    )


def draw(found: dict[str, Any]) -> None:
    """docs/accuracy.svg: a line for each peer, from the seconds of the first goal to those of the last."""
    plt = pages.pyplot()
    lines = medians(found)
    rows = [place + 0.45 * (place > 0) for place in range(len(lines))]  # the first has numbers below it
    figure, axes = plt.subplots(figsize=(5.2, 0.8 + 0.42 * len(lines)), layout="constrained")
    for y, ((peer, how), reached) in zip(rows, lines.items(), strict=True):
        there = {goal: spent for goal, spent in reached.items() if spent < math.inf}
        color = pages.OURS if peer == Fastbp.name else pages.INK
        axes.text(
            0, y - 0.36, name(peer, how), color=color, transform=axes.get_yaxis_transform(), va="center"
        )
        axes.plot(
            list(there.values()), [y] * len(there), "-", color=color, lw=3 if color != pages.INK else 1.2
        )
        for (goal, spent), marker in zip(there.items(), "os^D", strict=False):
            face = "none" if how == "same" and peer != Fastbp.name else color
            axes.plot(spent, y, marker, color=color, markerfacecolor=face, markersize=8)
            if peer == Fastbp.name:
                axes.annotate(
                    f"{goal:g} %: {spent:.2g} s", (spent, y), (0, -9), textcoords="offset points",
                    ha="center", va="top", color=color,
                )  # fmt: skip
    axes.set_yticks([])
    axes.set_ylim(rows[-1] + 0.5, -0.7)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(plt.LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    goals = ", ".join(f"{goal:g}" for goal in found["goals"])
    axes.set_xlabel(f"seconds until {goals} % of the test digits are right ({found['cores']} cores)")
    axes.grid(axis="x")
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.savefig(pages.DOCS / "accuracy.svg", metadata={"Date": None})


def show(result: dict[str, Any]) -> None:
    if "skipped" in result:
        print(f"{result['peer']:30} skipped: {result['skipped']}")
        return
    times = " ".join("never" if spent is None else f"{spent:.3f}" for spent in result["seconds"])
    print(
        f"{result['goal']:g} %  {name(result['peer'], result['how']):40} "
        f"{median(result['seconds']):8.3f} s  ({times})  {result['recipe']}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--goals", type=float, nargs="*", default=list(GOALS), choices=list(GOALS), help="per cent"
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--limit", type=float, default=60.0, help="seconds after which a training is given up"
    )
    parser.add_argument(
        "--search", type=int, default=len(SEARCH), help="recipes of the search that each peer tries"
    )
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument(
        "--write", action="store_true", help="docs/performance.md, accuracy.svg and accuracy.json"
    )
    parser.add_argument("--json", action="store_true", help=argparse.SUPPRESS)  # the process that is pinned
    options = parser.parse_args()
    if options.json:
        for result in measure(options):
            print(json.dumps(result), flush=True)
        return
    cores = min(options.cores, len(pinned.cores()))
    arguments = ["--json"]
    for option in ("seeds", "limit", "search"):
        arguments += [f"--{option}", str(getattr(options, option))]
    arguments += ["--goals", *map(str, options.goals)]
    results = []
    for result in pinned.run("bench.accuracy", arguments, cores):
        show(result)
        results.append(result)
    if options.write:
        about = {"machine": pages.machine(), "cores": cores, "seeds": options.seeds, "goals": options.goals}
        about["limit"] = options.limit
        found = {**about, "results": [result for result in results if "seconds" in result]}
        pages.keep("accuracy.json", found)
        pages.replace(pages.PERFORMANCE, "accuracy", table(found))
        draw(found)


if __name__ == "__main__":
    main()
