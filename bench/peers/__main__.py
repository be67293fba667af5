"""``python -m bench.peers``: the same training, by fastbp and by what a user would pick instead.

Every peer trains the same network on the same samples from the same weights, one after the other, in a random
order each round; the medians of their epochs are shown, and beside each the largest difference of any weight
from a float64 reference after an epoch in the same order.  All of it is measured in a process that may use
one core, and in another with two.  ``--write`` puts the tables into docs/performance.md and the READMEs, and
makes docs/peers.svg and peers.json.
"""

import argparse
import contextlib
import functools
import io
import json
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from fastbp import Network
from fastbp.compat import network2

from .. import pages, pinned
from ..suite.networks import (
    DIGITS,
    SMALL,
    Case,
    difference,
    pairs_of_digits,
    reference,
    reference_network2,
    reference_training,
    start,
    targets,
)
from . import OURS, PEERS, NumPy, Peer, Recipe, table

MODERN = Recipe((), 0, 1e-3, "relu", "softmax", "cross_entropy", "adam")
SMALLER = MODERN._replace(sizes=(784, 128, 10), batch_size=64)
LARGER = MODERN._replace(sizes=(784, 512, 512, 10), batch_size=128)
LARGEST = MODERN._replace(sizes=(784, 2048, 2048, 10), batch_size=512)
FIRST = DIGITS[0]._replace(learning_rate=0.5)  # at the book's 3.0 the cross-entropy is chaotic


def book(case: Case) -> Recipe:
    return Recipe(*case)


ROWS: tuple[tuple[Recipe, str, int], ...] = (
    (book(FIRST), "float32", 50_000),
    (book(DIGITS[1]), "float32", 50_000),
    (book(DIGITS[2]), "float32", 50_000),
    (book(DIGITS[3]), "float32", 10_240),
    (book(SMALL[0]), "float32", 10_000),
    (book(SMALL[1]), "float32", 200),
    (book(SMALL[2]), "float32", 10_000),
    (book(FIRST), "float64", 50_000),
    (book(DIGITS[2]), "float64", 50_000),
    (SMALLER, "float32", 50_000),
    (SMALLER, "float64", 50_000),
    (LARGER, "float32", 50_000),
    (LARGER, "float64", 50_000),
    (LARGEST, "float32", 10_240),
    (SMALLER._replace(optimizer="momentum", learning_rate=0.02), "float32", 50_000),
    (LARGER._replace(optimizer="momentum", learning_rate=0.02), "float32", 50_000),
    *(
        (
            recipe._replace(compute_dtype="bfloat16", optimizer=optimizer, learning_rate=rate),
            "float32",
            10_240,
        )
        for recipe in (LARGER, LARGEST)
        for optimizer, rate in (("sgd", 0.1), ("adam", 1e-3))
    ),
)
SETTLE = 0.05  # seconds between peers, for threads that go on spinning after their work


def seconds(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


@functools.cache
def wanted(recipe: Recipe, samples: int) -> list[np.ndarray]:
    """The weights after an epoch, in float64."""
    X, Y = targets(recipe.case, samples)
    weights, biases = start(recipe.case, np.float64)
    order = first_order(samples)
    if (
        recipe.optimizer not in reference_training.OPTIMIZERS
    ):  # scikit-learn's Adam, by what is checked itself
        peer = NumPy(recipe, "float64", X, Y)
        peer.reset(weights, biases)
        peer.epoch(order)
        return peer.trained()
    found = reference_training.train_reference(
        weights,
        biases,
        X,
        Y,
        [order],
        batch_size=recipe.batch_size,
        rates=recipe.learning_rate,
        activations=recipe.activation,
        output_activation=recipe.output_activation,
        cost=recipe.cost,
        optimizer=recipe.optimizer,
    )
    return [*found.weights, *found.biases]


def first_order(samples: int) -> np.ndarray:
    return np.random.RandomState(0).permutation(samples)


def compare(recipe: Recipe, dtype: str, samples: int, rounds: int) -> table.Row:
    """The row of a recipe: every peer's median seconds and largest difference, or why it is skipped."""
    wanted.cache_clear()
    X, Y = (part.astype(dtype) for part in targets(recipe.case, samples))
    running: list[Peer] = []
    skipped = {}
    for kind in (*OURS, *PEERS):
        if kind.can(recipe, samples):
            try:
                running.append(kind(recipe, dtype, X, Y))
            except ImportError as error:
                skipped[kind.name] = str(error)
    again = max(1, int(2e8 / (recipe.case.flops() * samples)))  # epochs too short to time are repeated
    found: dict[str, dict[str, Any]] = {}
    repeats: dict[str, int] = {}
    times: dict[str, list[float]] = {peer.name: [] for peer in running}
    order = first_order(samples)
    for peer in running:
        peer.use(peer.settings[0])
        peer.reset(*start(recipe.case, dtype))
        peer.epoch(order)
        off = difference(peer.trained(), wanted(peer.own(recipe), samples))
        trials = []
        for setting in peer.settings:
            peer.use(setting)
            peer.run(order, 1)
            trials.append(seconds(functools.partial(peer.run, order, 1)))
        best = min(range(len(trials)), key=trials.__getitem__)
        found[peer.name] = {"difference": off, "setting": peer.settings[best]}
        repeats[peer.name] = 1 if trials[best] > 0.2 else again
    for turn in range(rounds):
        order = np.random.RandomState(turn).permutation(samples)
        for peer in random.Random(turn).sample(running, len(running)):  # none always follows the same one
            time.sleep(SETTLE)
            peer.use(found[peer.name]["setting"])
            epochs = repeats[peer.name]
            times[peer.name].append(seconds(functools.partial(peer.run, order, epochs)) / epochs)
    for name, spent in times.items():
        found[name]["seconds"] = statistics.median(spent)
    return {
        "network": recipe.name,
        "optimizer": recipe.optimizer,
        "dtype": recipe.compute_dtype or dtype,
        "samples": samples,
        "cores": len(pinned.cores()),
        "peers": found,
        "skipped": skipped,
    }


def drop_in(epochs: int) -> None:
    """The book's two scripts themselves: lists of column vectors, shuffle, conversion and lines included."""
    case = DIGITS[0]
    pairs, tests = pairs_of_digits()
    tests = tests[:10_000]

    def run(net: Any, epochs: int, *rest: Any) -> float:
        random.seed(0)
        with contextlib.redirect_stdout(io.StringIO()):
            return seconds(lambda: net.SGD(list(pairs), epochs, case.batch_size, *rest)) / epochs

    def median(make: Callable[[], Any], rounds: int, *rest: Any) -> float:
        return statistics.median(run(make(), *rest) for _ in range(rounds))

    def compare(name: str, book: Callable[[], Any], ours: dict[str, Callable[[], Any]], *rest: Any) -> None:
        theirs = median(book, 3, 1, *rest)
        print(f"\n{name}, {case.name}, seconds per epoch: the book's {theirs:.3f}")
        for dtype, make in ours.items():
            run(make(), 1, *rest)
            for count in (1, epochs):
                found = median(make, 5, count, *rest)
                times = theirs / found
                print(f"  fastbp {dtype}, {count:2} epoch(s) a call: {found:.4f}, {times:.1f} times faster")

    sizes = list(case.sizes)
    first = {dtype: functools.partial(Network, sizes, dtype=dtype) for dtype in ("float32", "float64")}
    compare("network", lambda: reference.Network(sizes), first, case.learning_rate)
    for name, monitors in ("no monitor", False), ("all monitors", True):
        compare(
            f"network2, cross-entropy, lmbda, {name}",
            lambda: reference_network2.Network(sizes),
            {"float64": lambda: network2.Network(sizes)},
            *(0.5, 5.0, tests, *[monitors] * 4),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=range(len(ROWS)), help="numbers of the rows")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cores", type=int, nargs="*", default=(1, 2), help="numbers of cores")
    parser.add_argument(
        "--write", action="store_true", help="the READMEs, docs/performance.md, peers.json and peers.svg"
    )
    parser.add_argument(
        "--drop-in", type=int, metavar="EPOCHS", help="only the book's scripts, as they are called"
    )
    parser.add_argument("--json", action="store_true", help=argparse.SUPPRESS)  # a process that is pinned
    options = parser.parse_args()
    if options.drop_in:
        drop_in(options.drop_in)
        return
    if options.json:
        for number in options.rows:
            print(json.dumps(compare(*ROWS[number], options.rounds)), flush=True)
        return
    rows = []
    for cores in sorted({min(count, len(pinned.cores())) for count in options.cores}):
        arguments = ["--json", "--rounds", str(options.rounds), "--rows", *map(str, options.rows)]
        for row in pinned.run("bench.peers", arguments, cores):
            table.show(row)
            rows.append(row)
    if options.write:
        found = {"machine": pages.machine(), "rows": rows}
        pages.keep("peers.json", found)
        pages.replace(pages.PERFORMANCE, "peers", table.tables(found))
        for readme in pages.READMES:
            pages.replace(readme, "peers", table.summary(found))
        table.draw(found)


if __name__ == "__main__":
    main()
