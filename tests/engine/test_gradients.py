"""The kernels' gradient against central differences, and their cost."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from experiments import ACTIVATIONS, BLOCK, MIXED, Case, experiment
from reference_functions import costs_from_logits
from reference_training import forward

STEP = 2e-5  # of the central differences
BOUNDED = [name for name in ACTIVATIONS if name != "exponential"]  # its numbers outgrow every tolerance
KINKED = ("relu", "leaky_relu", "elu")


def difference_along(run, names, array, direction):
    """The central difference of the mean cost as `array` moves in `direction`; None across a kink."""
    costs, sides = [], []
    for sign in (1, -1):
        array += sign * STEP * direction
        zs, _ = forward(run.weights, run.biases, names[:-1], run.X)
        array -= sign * STEP * direction
        costs.append(costs_from_logits(zs[-1], run.Y, names[-1], "quadratic").mean())
        sides.append([z > 0 for z, name in zip(zs, names, strict=True) if name in KINKED])
    if not all(map(np.array_equal, *sides)):
        return None
    return (costs[0] - costs[1]) / (2 * STEP)


def directions(rng, shape):
    """Directions of length 1: two of all numbers, and five of a single one."""
    yield from rng.choice([-1.0, 1.0], (2, *shape)) / math.sqrt(math.prod(shape))
    for place in rng.integers(math.prod(shape), size=5):
        alone = np.zeros(shape)
        alone.flat[place] = 1.0
        yield alone


@pytest.mark.survives("wrong gradient", each=30)
@pytest.mark.sampled
@pytest.mark.parametrize("hidden", BOUNDED)
@given(
    output=st.sampled_from(BOUNDED),
    sizes=st.lists(st.integers(1, 64), min_size=2, max_size=7),
    m=st.integers(1, 37),
    members=st.integers(1, 2),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=30, deadline=None)
def test_gradient_against_central_differences(hidden, output, sizes, m, members, seed):
    names = (hidden,) * (len(sizes) - 2) + (output,)
    case = Case(tuple(sizes), m, m, names)
    run = experiment(case, "float64", 1, seed)
    compared = 0
    rng = np.random.default_rng(seed)
    for arrays, gradients in zip((run.weights, run.biases), run.gradient(case, members), strict=True):
        for array, gradient in zip(arrays, gradients, strict=True):
            atol = 1e-9 + 1e-6 * float(np.linalg.norm(gradient))
            for direction in directions(rng, array.shape):
                slope = difference_along(run, names, array, direction)
                if slope is not None:
                    compared += 1
                    np.testing.assert_allclose(np.sum(gradient * direction), slope, 1e-5, atol)
    assume(compared)


@pytest.mark.parametrize("case", MIXED[::2], ids=str)
def test_loss_is_the_mean_quadratic_cost(case, dtype):
    """The weights are those before each batch, the outputs the kernel's, so float32 suits float64 too."""
    run = experiment(case, dtype)
    engine, order, wanted = run.engine(case), run.orders[0], 0.0
    losses = engine.losses
    for first in range(0, case.n, case.batch):
        rows = order[first : first + case.batch]
        error = engine.outputs(run.X[rows]).astype(np.float64) - run.Y[rows]
        engine.train(run.data, order, (first, first + len(rows)))
        costs = 0.5 * np.sum(error**2, axis=1)
        last = costs[(len(rows) - 1) // BLOCK * BLOCK :]
        kept = losses[1 : 1 + len(last)]  # of the last block
        np.testing.assert_allclose(kept, last, 1e-14)
        for loss in [*costs[: len(rows) - len(last)], *kept]:
            wanted += loss
        if len(rows) <= BLOCK:
            assert losses[0] == wanted  # in the order of the samples, to the bit
        np.testing.assert_allclose(losses[0], wanted, 1e-13)
        wanted = losses[0]


@pytest.mark.parametrize("members", [1, 2])
def test_training_stops_before_the_update_of_a_batch_without_a_finite_cost(dtype, members):
    case = Case((3, 5, 2), 4, 18, ("relu", "linear"))
    run = experiment(case, dtype)
    order = np.arange(case.n)
    run.X[9, 1] = np.inf
    engine, stopped = run.engine(case, members), run.engine(case)
    assert engine.train(run.data, order, (0, case.n)) == 8
    stopped.train(run.data, order, (0, 8), losses=False)
    np.testing.assert_array_equal(engine.parameters, stopped.parameters)
    assert not np.isfinite(engine.cost)
