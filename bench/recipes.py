"""``python -m bench.recipes``: what a recipe costs beside plain gradient descent, on one core.

Each recipe trains a network of its own for an epoch of digits kept as uint8, in turns with all others; shown
is the median, over the rounds, of its time by that of plain SGD with sigmoids and the quadratic cost in the
same round.
"""

import argparse
import statistics
from typing import Any, NamedTuple

from fastbp import Network
from fastbp.options.optimizers import OPTIMIZERS

from .suite.networks import PIXELS, Case, digits, start

CASES = (Case((784, 128, 10), 64), Case((784, 512, 512, 10), 128))
RATE = 1e-3  # small, so that no network ends in a state that computes faster or slower


class Recipe(NamedTuple):
    """Arguments of Network and of fit."""

    network: dict[str, Any]
    fit: dict[str, Any]


SOFTMAX = {"output_activation": "softmax", "cost": "cross_entropy"}
PLAIN = Recipe({}, {})
RECIPES = {
    **{name: Recipe({}, {"optimizer": name}) for name in OPTIMIZERS if name not in ("sgd", "irprop")},
    "relu, softmax, cross-entropy": Recipe({"activation": "relu", **SOFTMAX}, {}),
    "the same with adam": Recipe({"activation": "relu", **SOFTMAX}, {"optimizer": "adam"}),
    **{name: Recipe({"activation": name}, {}) for name in ("tanh", "gelu", "silu", "elu", "softplus")},
    "dropout 0.2": Recipe({"dropout": 0.2}, {}),
    "l2 and l1": Recipe({}, {"l2": 1e-6, "l1": 1e-7}),
    "clip_norm": Recipe({}, {"clip_norm": 1.0}),
}


def seconds(net: Network, X: Any, y: Any, case: Case, recipe: Recipe, threads: int) -> float:
    options = {"learning_rate": RATE, **recipe.fit}
    history = net.fit(X, y, epochs=1, batch_size=case.batch_size, threads=threads, **options)
    return history.seconds[0]


def measure(case: Case, dtype: str, names: list[str], rounds: int, threads: int) -> None:
    samples = min(50_000, max(2 * case.batch_size, int(3e10 / case.flops())))
    X, y = digits(samples)
    recipes = {"sgd": PLAIN, **{name: RECIPES[name] for name in names}}
    nets = {}
    for name, recipe in recipes.items():
        nets[name] = Network(case.sizes, dtype=dtype, seed=0, **PIXELS, **recipe.network)
        nets[name].weights, nets[name].biases = start(case, dtype)
    times: dict[str, list[float]] = {name: [] for name in recipes}
    for turn in range(rounds + 1):
        for name, recipe in recipes.items():
            found = seconds(nets[name], X, y, case, recipe, threads)
            if turn:  # the first compiles
                times[name].append(found)
    plain = times.pop("sgd")
    steps = -(-samples // case.batch_size)
    step = 1e6 * statistics.median(plain) / steps
    print(f"\n{case.name}, {dtype}, {threads} thread(s): sgd {step:.1f} us per step")
    for name, found_times in times.items():
        ratios = [one / other for one, other in zip(found_times, plain, strict=True)]
        print(
            f"  {name:30} {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipes", nargs="*", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--cases", type=int, nargs="*", default=range(len(CASES)))
    parser.add_argument("--dtypes", nargs="*", default=["float32"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    for number in options.cases:
        for dtype in options.dtypes:
            measure(CASES[number], dtype, options.recipes, options.rounds, options.threads)


if __name__ == "__main__":
    main()
