"""``python -m bench.bfloat16``: ``compute_dtype="bfloat16"`` beside float32, its speed or its results.

``speed``: epochs in turn, by one thread, on the first of MNIST's digits; the least seconds of each, and their
ratios.  Where the process has a matrix unit, both forms of bfloat16's products run.  ``results``: for every
seed the epochs after which a recipe of `bench.accuracy` is at its goal, and the share of the test digits that
is right at the end; and R^2 of half of scikit-learn's diabetes data by the other half.
"""

import argparse
import contextlib
import statistics
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastbp import AdamW, Network
from fastbp.datasets import load_mnist
from fastbp.engine import packed
from fastbp.engine.kernels.bfloat16 import BFLOAT16, TILES, form, why_no_tiles

from .accuracy import GOALS
from .suite.networks import DIGITS, Case, digits

TYPES = ("float32", "bfloat16")
CLASSIFIER = {"activation": "relu", "output_activation": "softmax", "cost": "cross_entropy"}


def network(sizes: Any, compute_dtype: str, seed: int = 0, **options: Any) -> Network:
    return Network(list(sizes), dtype="float32", compute_dtype=compute_dtype, seed=seed, **options)


def forms() -> dict[str, str]:
    """What is timed, and the key of its kernels."""
    units = {} if why_no_tiles() else {"bfloat16 by the matrix unit": TILES}
    return {"float32": "", "bfloat16 by FMA": BFLOAT16, **units}


@contextlib.contextmanager
def computed_by(key: str) -> Iterator[None]:
    """Computes all networks of bfloat16 by the kernels of that key."""
    before, packed.kernels_for = packed.kernels_for, lambda sizes, batch_size: key
    try:
        yield
    finally:
        packed.kernels_for = before


def speed(case: Case, optimizer: str, samples: int, epochs: int) -> None:
    X, y = digits(samples)
    keys = forms()
    nets = {kind: network(case.sizes, kind.split()[0], input_divisor=255, **CLASSIFIER) for kind in keys}
    recipe = {"batch_size": case.batch_size, "learning_rate": 1e-3, "optimizer": optimizer, "threads": 1}
    seconds: dict[str, list[float]] = {kind: [] for kind in keys}
    for _ in range(epochs + 1):
        for kind, net in nets.items():
            begin = time.perf_counter()
            with computed_by(keys[kind]):
                net.fit(X, y, epochs=1, **recipe)
            seconds[kind].append(time.perf_counter() - begin)
    least, middle = (
        {kind: pick(times[1:]) for kind, times in seconds.items()} for pick in (min, statistics.median)
    )
    steps = -(-samples // case.batch_size)
    print(f"{case.name}, {optimizer}; bfloat16 is computed {form()}")
    for kind in keys:
        ratios = " and ".join(f"{times['float32'] / times[kind]:.2f}" for times in (least, middle))
        step = f"{1e6 * least[kind] / steps:.1f} us per step"
        print(f"  {kind}: {step}, speed {ratios} of float32's (least, median)", flush=True)


def mnist(goal: float, seeds: int) -> None:
    """Trains by the recipe of a goal."""
    training, validation, held_out = load_mnist()
    X, y = np.concatenate([training.X, validation.X]), np.concatenate([training.y, validation.y])
    recipe = GOALS[goal]
    options = {
        "optimizer": AdamW(weight_decay=recipe.weight_decay) if recipe.weight_decay else recipe.optimizer,
        "learning_rate": recipe.learning_rate,
        "schedule": recipe.schedule,
        "batch_size": recipe.batch_size,
    }
    for kind in TYPES:
        reached, final = [], []
        for seed in range(seeds):
            net = network(recipe.sizes, kind, seed, input_divisor=255, **CLASSIFIER)
            scores: list[float] = []

            def test(net: Network, history: Any, scores: list[float] = scores) -> None:
                scores.append(net.score(held_out.X, held_out.y))

            net.fit(X, y, epochs=recipe.epochs, callbacks=[test], **options)
            reached.append(next((i + 1 for i, score in enumerate(scores) if 100 * score >= goal), None))
            final.append(100 * scores[-1])
        shown = ", ".join(f"{score:.2f}" for score in final)
        print(
            f"{goal:g} %, {kind}: in epochs {reached}; at the end {shown}, "
            f"median {statistics.median(final):.2f}",
            flush=True,
        )


def diabetes(seeds: int) -> None:
    from sklearn.datasets import load_diabetes

    X, y = load_diabetes(return_X_y=True)
    half = np.random.default_rng(0).permutation(len(X)) % 2 == 0
    for kind in TYPES:
        scores = []
        for seed in range(seeds):
            net = network(
                [10, 32, 1],
                kind,
                seed,
                activation="tanh",
                output_activation="linear",
                scale_inputs=True,
                scale_outputs=True,
            )
            net.fit(X[half], y[half], epochs=60, batch_size=16, optimizer="adam", learning_rate=2e-3, l2=0.02)
            scores.append(net.score(X[~half], y[~half]))
        shown = ", ".join(f"{score:.4f}" for score in scores)
        print(f"diabetes, {kind}: R^2 {shown}, median {statistics.median(scores):.4f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("speed", "results"))
    parser.add_argument("--cases", type=int, nargs="*", default=(1, 2), help="networks of bench.roofline")
    parser.add_argument("--optimizer", default="sgd")
    parser.add_argument("--samples", type=int, default=6_400)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    if options.what == "speed":
        for number in options.cases:
            speed(DIGITS[number], options.optimizer, options.samples, options.epochs)
        return
    for goal in GOALS:
        mnist(goal, options.seeds)
    diabetes(options.seeds)


if __name__ == "__main__":
    main()
