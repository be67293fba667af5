"""Numbers far from 1: outputs and costs of huge logits, and whole networks of wildly varying sizes."""

import math
from itertools import pairwise

import numpy as np
import pytest
from test_elementary import EXACT, EXTENDED, exact

from experiments import Data, Harness
from fastbp import Network
from fastbp.options.activations import ACTIVATIONS
from reference_functions import MATCHED, cost_of, costs_from_logits, delta_of, output_of

INF = math.inf

# ---------------------------------------------------------------- outputs and costs


def engine_of(z, output_activation, **recipe):
    """A network whose weighted inputs are z for the input 0."""
    z = np.array(z)[:, np.newaxis]
    return Harness((1, len(z)), (output_activation,), [np.zeros_like(z)], [z], **recipe)


def outputs_of(z, output_activation):
    return engine_of(z, output_activation).outputs(np.zeros((1, 1), z.dtype))[0]


def trained_cost(z, y, output_activation, cost):
    engine = engine_of(z, output_activation, cost=cost)
    data = Data(np.zeros((1, 1), z.dtype), np.array(y, z.dtype)[np.newaxis], 1.0)
    assert engine.train(data, np.arange(1), (0, 1), 0.0) == (1 if math.isfinite(engine.cost) else 0)
    return engine.cost


@pytest.mark.parametrize(
    ("z", "wanted"),
    [
        ([1e4, 0.0, -1e4], [1, 0, 0]),
        ([3e38, -3e38, 0.0], [1, 0, 0]),
        ([3e38] * 4, [0.25] * 4),
        ([-3e38] * 4, [0.25] * 4),
        ([-INF, 0.0, 0.0], [0, 0.5, 0.5]),
        ([0.0, -800.0], [1, 0]),
        ([-1e-40, 1e-40], [0.5, 0.5]),
        ([math.nan, 0.0], [math.nan] * 2),
    ],
)
def test_softmax_of_special_numbers(z, wanted, dtype):
    np.testing.assert_array_equal(outputs_of(np.array(z, dtype), "softmax"), wanted)


@EXTENDED
@pytest.mark.parametrize("outputs", [2, 9, 1000])
def test_softmax_adds_up_to_one(outputs, dtype):
    rng = np.random.default_rng(outputs)
    for scale in (0.0, 1.0, 30.0, 1e4):
        z = rng.normal(scale=scale, size=outputs).astype(dtype)
        found = outputs_of(z, "softmax").astype(EXACT)
        info = np.finfo(dtype)
        assert abs(found.sum() - 1) <= (1 + outputs / 8) * info.eps
        wanted = output_of(z.astype(EXACT)[np.newaxis], "softmax")[0]
        allowed = (8 + z.max() - z) * EXACT(info.eps) * wanted  # z - max is rounded
        assert (np.abs(found - wanted) <= allowed + 2 * info.smallest_normal).all()


LOGITS = [0.0, 1e-3, 30.0, 200.0, 1e4, 1e8, 3e38]


@pytest.mark.parametrize("z", LOGITS)
def test_cross_entropy_of_huge_logits(z, dtype):
    z = float(np.array(z, dtype))
    softplus = math.log1p(math.exp(-z))  # the cost where the network is right
    for shift in (0.0, -z, z if z < 1e38 else 0.0):
        pair = np.array([shift, shift + z], dtype)
        gap = float(pair[1]) - float(pair[0])
        right = math.log1p(math.exp(-gap))
        for y, wanted in (([0, 1], right), ([1, 0], gap + right), ([0.5, 0.5], gap / 2 + right)):
            found = trained_cost(pair, y, "softmax", "cross_entropy")
            rounding = float(np.finfo(dtype).eps)  # of the sum of exponentials
            assert found == pytest.approx(wanted, rel=1e-14, abs=rounding)
    for sign, y, wanted in ((1, 1, softplus), (1, 0, z + softplus), (-1, 0, softplus), (-1, 1, z + softplus)):
        found = trained_cost(np.array([sign * z], dtype), [y], "sigmoid", "cross_entropy")
        assert found == pytest.approx(wanted, rel=1e-14, abs=1e-300)


def test_cost_of_a_right_softmax_keeps_its_digits():
    """Far from 0 as well: the largest z is taken off before the logarithm of the sum."""
    for top in (0.0, 1e3, 1e9):
        found = trained_cost(np.array([top, top - 10.0]), [1, 0], "softmax", "cross_entropy")
        assert found == pytest.approx(math.log1p(math.exp(-10.0)), 1e-11)


@pytest.mark.parametrize(
    ("z", "y", "output", "cost", "wanted"),
    [
        (INF, 1, "sigmoid", "cross_entropy", 0),
        (INF, 0, "sigmoid", "cross_entropy", INF),
        (-INF, 0, "sigmoid", "cross_entropy", 0),
        (-INF, 1, "sigmoid", "cross_entropy", INF),
        (-INF, 0, "exponential", "poisson", 0),
        (-INF, 2, "exponential", "poisson", INF),
        (-1e4, 2, "exponential", "poisson", 2e4),
        (-1e4, 0, "softplus", "poisson", 0),
        (-1e4, 1, "softplus", "poisson", INF),
        (-1e4, 0, "sigmoid", "poisson", 0),
    ],
)
def test_costs_at_the_end_of_the_range(z, y, output, cost, wanted, dtype):
    assert trained_cost(np.array([z], dtype), [y], output, cost) == wanted


@pytest.mark.parametrize("output", ["softplus", "sigmoid", "exponential"])
def test_poisson_of_no_count_and_no_rate(output, dtype):
    """a = y = 0: the step must not be 0 / 0."""
    engine = engine_of(np.array([-1e4], dtype), output, cost="poisson")
    engine.train(Data(np.zeros((1, 1), dtype), np.zeros((1, 1), dtype), 1.0), np.arange(1), (0, 1), 1.0)
    assert engine.unpack()[1][0][0, 0] == -1e4


# ---------------------------------------------------------------- networks


def test_a_unit_that_is_off_learns_nothing():
    """The delta from above overflows in float32; its product with a derivative of 0 would be NaN."""
    net = Network([1, 1, 1], activation="relu", output_activation="linear", dtype="float32")
    net.weights, net.biases = [[[2.0]], [[1e25]]], [[[-3.0]], [[0.0]]]
    net.fit([[1.0]], [[-1e15]], epochs=1, batch_size=1, learning_rate=1e-15)
    assert [w.item() for w in net.weights] == [2.0, np.float32(1e25)]
    assert [b.item() for b in net.biases] == [-3.0, -1.0]


def test_input_gradient_tells_whose_cost_is_infinite():
    net = Network([2, 1], output_activation="linear", dtype="float64")
    net.weights, net.biases = [[[2.0, 3.0]]], [[[0.0]]]
    found = net.input_gradient(np.ones((3, 2)), [[1.0], [1e200], [4.0]])
    np.testing.assert_array_equal(found, [[8, 12], [math.nan] * 2, [2, 3]])


def test_opposite_steps_leave_the_error_that_a_product_was_rounded_by():
    """NumPy, which rounds before it adds, comes back to 0; see docs/design/formulas.md."""
    net = Network([1, 1], output_activation="linear", cost="absolute", dtype="float32")
    net.weights, net.biases = [[[0.0]]], [[[0.0]]]
    y = np.repeat([[-1.0], [1.0]], 3, axis=0)
    net.fit(np.zeros((6, 1)), y, epochs=1, batch_size=3, learning_rate=0.1, shuffle=False)
    assert 0 < abs(net.biases[0].item()) <= np.spacing(np.float32(0.1)) / 2


COSTS_OF = {
    "linear": ("quadratic", "huber", "hinge", "squared_hinge"),
    "sigmoid": ("quadratic", "huber", "cross_entropy", "focal", "poisson"),
    "softmax": ("quadratic", "huber", "cross_entropy", "focal"),
    "softplus": ("quadratic", "huber", "poisson"),
    "exponential": ("huber", "poisson"),
}


class Wild:
    """A random small network, samples and a few steps, in numbers from 1e-30 to 1e30 (1e300 in float64)."""

    def __init__(self, seed):
        self.rng = rng = np.random.default_rng(seed)
        self.dtype = str(rng.choice(["float32", "float64"]))
        self.top = 30 if self.dtype == "float32" else int(rng.choice([30, 300]))
        depth, n = rng.integers(1, 5), rng.integers(1, 9)
        self.sizes = [int(size) for size in rng.integers(1, rng.choice([9, 41]), depth + 1)]
        layers = list(pairwise(self.sizes))
        self.weights = [self.numbers((j, k)) for k, j in layers]
        self.biases = [self.numbers((j, 1)) * self.dtype_of(rng.integers(2)) for _, j in layers]
        self.X, self.Y = self.numbers((n, self.sizes[0])), self.numbers((n, self.sizes[-1]))
        self.hidden = [str(rng.choice(["relu", *ACTIVATIONS])) for _ in layers[1:]]
        outputs = ["linear", *ACTIVATIONS, *["softmax"] * (self.sizes[-1] > 1)]
        self.output = str(rng.choice(outputs))
        self.cost = str(rng.choice(COSTS_OF.get(self.output, ("quadratic", "huber"))))
        if self.cost in ("cross_entropy", "focal", "poisson", "hinge", "squared_hinge"):
            self.Y = np.eye(self.sizes[-1], dtype=self.dtype)[rng.integers(self.sizes[-1], size=n)]
            if "hinge" in self.cost:
                self.Y = self.Y.astype(np.int64)
        self.rate = float(10.0 ** rng.uniform(*rng.choice([(-self.top, 3), (-3, 0)])))
        self.batch, self.epochs = int(rng.integers(1, n + 1)), int(rng.integers(1, 4))

    def dtype_of(self, number):
        return np.dtype(self.dtype).type(number)

    def numbers(self, shape):
        """Random numbers about 1, about one other size, or of all sizes."""
        kind = self.rng.integers(3)
        exponent = 0 if kind == 0 else self.rng.uniform(-self.top, self.top, () if kind == 1 else shape)
        return (
            (self.rng.normal(size=shape) * 10.0**exponent)
            .clip(-(10.0**self.top), 10.0**self.top)
            .astype(self.dtype)
        )

    def fitted(self):
        net = Network(
            self.sizes,
            activation=self.hidden,
            output_activation=self.output,
            cost=self.cost,
            dtype=self.dtype,
            seed=0,
        )
        net.weights, net.biases = self.weights, self.biases
        net.fit(
            self.X,
            self.Y,
            epochs=self.epochs,
            batch_size=self.batch,
            learning_rate=self.rate,
            shuffle=False,
        )
        return [*net.weights, *net.biases]

    @np.errstate(all="ignore")
    def in_numpy(self, dtype):
        """The parameters, the largest number in each on the way, and whether every cost was finite."""
        number = np.dtype(dtype).type
        layers = len(self.weights)
        w, b = ([array.astype(dtype) for array in arrays] for arrays in (self.weights, self.biases))
        largest = [np.abs(array).max() for array in (*w, *b)]
        finite = True
        for start in [*range(0, len(self.X), self.batch)] * self.epochs:
            rows = slice(start, start + self.batch)
            signals, primes, y = [self.X[rows].astype(dtype)], [], self.Y[rows].astype(dtype)
            for name, weights, biases in zip([*self.hidden, self.output], w, b, strict=True):
                z = signals[-1] @ weights.T + biases.T
                a, prime = activated(name, z)
                signals.append(a)
                primes.append(prime)
            costs = costs_from_logits(z.astype(float), y.astype(float), self.output, self.cost)
            finite &= bool(np.isfinite(costs).all())
            if self.output == "softmax" or (self.cost, self.output) in MATCHED:
                delta = delta_of(z, y, self.output, self.cost).astype(dtype)
            else:
                delta = cost_of(self.cost, self.output).derivative(a, y) * prime
            rate = number(self.rate / len(y))
            for layer in reversed(range(layers)):
                below = delta @ w[layer]
                w[layer] = w[layer] - rate * (delta.T @ signals[layer])
                b[layer] = b[layer] - rate * delta.sum(axis=0)[:, np.newaxis]
                if layer:  # a unit that is off learns nothing
                    delta = np.where(primes[layer - 1] == 0, number(0), below * primes[layer - 1])
            largest = [max(most, np.abs(array).max()) for most, array in zip(largest, (*w, *b), strict=True)]
        return [*w, *b], largest, finite


def activated(name, z):
    """a and da/dz in the type of z; the latter as everyone has it, with what a lost near 1."""
    if name == "softmax":
        return output_of(z, name), None
    a, prime, _ = (array.astype(z.dtype) for array in exact(name, z))
    return a, {"sigmoid": a * (1 - a), "tanh": 1 - a * a}.get(name, prime)


@EXTENDED
@pytest.mark.parametrize("seed", range(200))
def test_where_numpy_is_finite_so_are_the_kernels(seed):
    """In the same type; errors are compared with those of NumPy, as a share of the largest number on the way.

    The kernels' activations and deltas below the smallest normal number are 0, which sums of them show.  The
    absolute cost is left out, for the sign of a difference of rounding errors is anything.
    """
    run = Wild(seed)
    theirs, _, finite = run.in_numpy(run.dtype)
    if not (finite and all(np.isfinite(array).all() for array in theirs)):
        return
    wanted, largest, _ = run.in_numpy(EXACT)
    for one, other, best, most in zip(run.fitted(), theirs, wanted, largest, strict=True):
        allowed = np.abs(other - best).max() + 8 * np.finfo(run.dtype).eps * most
        least = EXACT(np.finfo(run.dtype).smallest_normal)
        assert np.abs(one - best).max() <= 100 * (allowed + least)
