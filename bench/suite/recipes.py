"""Seconds of an epoch with every optimizer and regulariser, on 10,000 digits, float32, one thread."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from .networks import (
    DIGITS,
    PIXELS,
    Case,
    Prepared,
    digits,
    network,
    not_yet,
    reference_training,
    start,
    targets,
)
from .training import fit

NETWORKS = {case.name: case for case in (Case((784, 128, 10), 64), DIGITS[2])}
SAMPLES = 10_000


class Recipe(NamedTuple):
    learning_rate: float
    fit: Mapping[str, Any] = MappingProxyType({})  # options of `fit`
    network: Mapping[str, Any] = MappingProxyType({})  # and of the network


RECIPES = {
    "sgd": Recipe(0.5),
    "momentum": Recipe(0.1, {"optimizer": "momentum"}),
    "nesterov": Recipe(0.1, {"optimizer": "nesterov"}),
    "rmsprop": Recipe(0.001, {"optimizer": "rmsprop"}),
    "adam": Recipe(0.001, {"optimizer": "adam"}),
    "adamw": Recipe(0.001, {"optimizer": "adamw"}),
    "irprop, full batch": Recipe(0.001, {"optimizer": "irprop"}),
    "relu, softmax, cross_entropy": Recipe(
        0.1, network={"activation": "relu", "output_activation": "softmax", "cost": "cross_entropy"}
    ),
    "dropout": Recipe(0.5, network={"dropout": 0.2}),
    "l1, l2": Recipe(0.5, {"l1": 1e-6, "l2": 1e-4}),
    "clip_norm": Recipe(0.5, {"clip_norm": 0.1}),
}


def check(recipe: Recipe, case: Case, samples: int = 640) -> None:
    """Asserts that an epoch's step is that of the reference to 1 % of its length."""
    X, Y = targets(case, samples)
    net = network(case.sizes, "float32", **recipe.network)
    net.weights, net.biases = start(case, "float32")
    with not_yet():
        fit(net, X.astype("float32"), Y.astype("float32"), case, shuffle=False, **recipe.fit)
    if "dropout" in recipe.network:
        return  # its masks are fastbp's own
    options = {**recipe.network, **recipe.fit}
    wanted = reference_training.train_reference(
        *start(case, np.float64),
        X,
        Y,
        [np.arange(samples)],
        batch_size=case.batch_size,
        rates=case.learning_rate,
        activations=options.pop("activation", "sigmoid"),
        **options,
    )
    before, found, right = (
        np.concatenate([array.ravel() for array in (*weights, *biases)])
        for weights, biases in (start(case, np.float64), (net.weights, net.biases), wanted[:2])
    )
    off = np.linalg.norm(found - right) / np.linalg.norm(right - before)
    assert off < 0.01, f"the step is off by {off} of its length"


class Recipes(Prepared):
    """Sigmoids and the quadratic cost but for what a recipe's name says; its ratio to "sgd" is its price."""

    params = (list(RECIPES), list(NETWORKS))
    param_names = ("recipe", "network")

    def prepare(self, name: str, network_name: str) -> None:
        recipe = RECIPES[name]
        case = NETWORKS[network_name]._replace(learning_rate=recipe.learning_rate)
        if "full batch" in name:
            case = case._replace(batch_size=SAMPLES)
        check(recipe, case)
        self.case, self.options = case, recipe.fit
        self.X, self.y = digits(SAMPLES)
        self.net = network(case.sizes, "float32", **PIXELS, **recipe.network)
        self.net.weights, self.net.biases = start(case, "float32")
        first, last = (self.time_epoch() for _ in range(2))
        assert last < first, (first, last)

    def time_epoch(self, *_: Any) -> float:
        return fit(self.net, self.X, self.y, self.case, **self.options)
