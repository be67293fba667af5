"""The gradient against central differences of the cost, for every activation, cost and regulariser."""

import math
from itertools import product

import numpy as np

from fastbp import GELU, Network
from fastbp.options.activations import ACTIVATIONS, OUTPUT_ACTIVATIONS
from fastbp.options.costs import COSTS, DEFINITIONS

HIDDEN = {**ACTIVATIONS, "gelu, tanh": GELU("tanh")}
PAIRS = [
    (cost, output)
    for cost, output in product(COSTS, [*OUTPUT_ACTIVATIONS, "gelu, tanh"])
    if DEFINITIONS[cost].takes(output)
]
SIZES, N = [4, 5, 3, 2], 11
REGULARISERS = {
    "none": {},
    "l2": {"l2": 0.1},
    "l1": {"l1": 0.05},
    "weights": {"sample_weight": np.linspace(0, 2, N)},
}
STEP = 1e-5  # of the differences


def network(hidden, output, cost, dtype):
    """A network with the same numbers in either dtype."""
    net = Network(
        SIZES,
        activation=HIDDEN[hidden],
        output_activation=HIDDEN.get(output, output),
        cost=cost,
        dtype=dtype,
        init="glorot_uniform",
        seed=1,
    )
    net.parameters = np.random.default_rng(2).normal(size=net.parameters.size).astype(np.float32) / 4
    return net


def data(cost, output):
    """X and y, which float32 holds: shares, which add up to one for a softmax; counts; labels; numbers."""
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(N, SIZES[0])).astype(np.float32), rng.integers(0, 65, (N, SIZES[-1])) / 64
    y[0] = 0.0, 1.0
    if cost == "poisson":
        return X, np.floor(4 * y)
    if cost in ("hinge", "squared_hinge"):
        return X, np.round(y).astype(np.int64)
    if output == "softmax":
        y[:, 1] = 1 - y[:, 0]
    y = y if cost in ("cross_entropy", "focal") else 3 * y - 1.5
    return X, y[:, :1] if cost == "gaussian" else y


def slopes(net, X, y, **options):
    """(a direction, the cost's slope along it), by differences of width 2 `STEP`; none across a kink."""
    rng = np.random.default_rng(4)
    start = net.parameters
    _, gradient = net.value_and_gradient(X, y, threads=1, **options)
    most = 1e-3 * STEP * float(np.linalg.norm(gradient))  # a kink's effect is of order `STEP`
    one = np.eye(start.size)[rng.integers(start.size)]
    for direction in (*rng.choice([-1.0, 1.0], (2, start.size)) / math.sqrt(start.size), one):
        values = []
        for side in (-1, 0, 1):
            net.parameters = start + side * STEP * direction
            values.append(net.value_and_gradient(X, y, threads=1, **options)[0])
        net.parameters = start
        if abs(values[0] - 2 * values[1] + values[2]) < most:
            yield direction, (values[2] - values[0]) / (2 * STEP)


def largest_differences(hidden, output, cost, regulariser):
    """{dtype: the largest |gradient . direction - slope|, relative to the gradient's norm}."""
    X, y = data(cost, output)
    options = REGULARISERS[regulariser]
    wide = network(hidden, output, cost, "float64")
    found = list(slopes(wide, X, y, **options))
    assert len(found) >= 2, (hidden, output, cost, regulariser)
    differences = {}
    for dtype in ("float64", "float32"):
        net = wide if dtype == "float64" else network(hidden, output, cost, dtype)
        _, gradient = net.value_and_gradient(X, y, threads=1, **options)
        assert gradient.dtype == dtype
        errors = [abs(float(gradient @ direction) - slope) for direction, slope in found]
        differences[dtype] = max(errors) / float(np.linalg.norm(gradient))
    return differences
