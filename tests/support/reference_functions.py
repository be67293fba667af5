"""Activations, outputs and costs in plain float64 NumPy: slow, obvious, and independent of fastbp.

Letters: m samples of a batch, j outputs of a layer. Samples are rows.
"""

import math
from typing import NamedTuple

import numpy as np

# ---------------------------------------------------------------- activations


def sigmoid(z):
    """Neither exponential overflows."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, e) / (1.0 + e)


def normal_cdf(z):
    return 0.5 * (1.0 + np.vectorize(math.erf, otypes=[float])(z / math.sqrt(2.0)))


def normal_pdf(z):
    return np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)


class Activation(NamedTuple):
    function: object  # z -> a
    derivative: object  # z -> da/dz


def leaky_relu(slope=0.01):
    return Activation(lambda z: np.where(z > 0, z, slope * z), lambda z: np.where(z > 0, 1.0, slope))


def elu(alpha=1.0):
    """ELU, which takes the exponential of z that are not positive only."""
    return Activation(
        lambda z: np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0))),
        lambda z: np.where(z > 0, 1.0, alpha * np.exp(np.minimum(z, 0))),
    )


def gelu():
    return Activation(lambda z: z * normal_cdf(z), lambda z: normal_cdf(z) + z * normal_pdf(z))


def gelu_tanh():
    """The form with a tanh: 0.5 z (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3)))."""

    def inner(z):
        return math.sqrt(2.0 / math.pi) * (z + 0.044715 * z**3)

    def derivative(z):
        t = np.tanh(inner(z))
        slope = math.sqrt(2.0 / math.pi) * (1.0 + 3.0 * 0.044715 * z**2)
        return 0.5 * (1.0 + t) + 0.5 * z * (1.0 - t * t) * slope

    return Activation(lambda z: 0.5 * z * (1.0 + np.tanh(inner(z))), derivative)


ACTIVATIONS = {
    "sigmoid": Activation(sigmoid, lambda z: sigmoid(z) * sigmoid(-z)),
    "tanh": Activation(np.tanh, lambda z: 1.0 / np.cosh(np.clip(z, -350, 350)) ** 2),
    "relu": Activation(lambda z: np.maximum(z, 0.0), lambda z: np.where(z > 0, 1.0, 0.0)),
    "leaky_relu": leaky_relu(),
    "elu": elu(),
    "gelu": gelu(),
    "gelu_tanh": gelu_tanh(),
    "silu": Activation(lambda z: z * sigmoid(z), lambda z: sigmoid(z) * (1.0 + z * sigmoid(-z))),
    "softplus": Activation(lambda z: np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z))), sigmoid),
    "linear": Activation(lambda z: z, np.ones_like),
    "exponential": Activation(np.exp, np.exp),
}


def activation_of(given):
    """`given`: a name, or an Activation."""
    return ACTIVATIONS[given] if isinstance(given, str) else given


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def log_softmax(z):
    shifted = z - z.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def output_of(z, output_activation):
    return softmax(z) if output_activation == "softmax" else activation_of(output_activation).function(z)


# ---------------------------------------------------------------- costs


class Cost(NamedTuple):
    """The cost of every sample, (a, y) -> (m,), and dC/da, (a, y) -> (m, j)."""

    function: object
    derivative: object


def huber(delta=1.0):
    def function(a, y):
        e = np.abs(a - y)
        return np.where(e <= delta, 0.5 * e * e, delta * (e - 0.5 * delta)).sum(axis=1)

    return Cost(function, lambda a, y: np.clip(a - y, -delta, delta))


def quantile(level=0.5):
    def function(a, y):
        return np.maximum(level * (y - a), (level - 1) * (y - a)).sum(axis=1)

    return Cost(function, lambda a, y: np.where(a > y, 1 - level, np.where(a < y, -level, 0.0)))


def hinge(exponent):
    """max(0, 1 - s a)^exponent of the side s, -1 or 1."""

    def derivative(a, y):
        side = np.where(y > 0, 1.0, -1.0)
        margin = 1.0 - side * a
        return np.where(margin > 0, -side * exponent * np.abs(margin) ** (exponent - 1), 0.0)

    return Cost(
        lambda a, y: (np.maximum(1.0 - np.where(y > 0, a, -a), 0.0) ** exponent).sum(axis=1), derivative
    )


def binary_focal(gamma=2.0):
    """The cross-entropy of each output, times (1 - p)^gamma for the probability p of the answer."""

    def function(a, y):
        ones = np.where(y == 0, 0.0, -y * (1 - a) ** gamma * np.log(a))
        return (ones + np.where(y == 1, 0.0, -(1 - y) * a**gamma * np.log1p(-a))).sum(axis=1)

    def derivative(a, y):
        ones = gamma * (1 - a) ** (gamma - 1) * np.log(a) - (1 - a) ** gamma / a
        zeros = -gamma * a ** (gamma - 1) * np.log1p(-a) + a**gamma / (1 - a)
        return y * ones + (1 - y) * zeros

    return Cost(function, derivative)


def categorical_focal(gamma=2.0):
    def function(a, y):
        return -np.where(y == 0, 0.0, y * (1 - a) ** gamma * np.log(a)).sum(axis=1)

    return Cost(
        function, lambda a, y: y * (gamma * (1 - a) ** (gamma - 1) * np.log(a) - (1 - a) ** gamma / a)
    )


def smoothed_targets(y, share, output_activation):
    """Targets (m, j) that are moved towards even odds."""
    return (1 - share) * y + share / (y.shape[1] if output_activation == "softmax" else 2)


def smoothed(share, output_activation):
    """The cross-entropy of smoothed targets."""

    def moved(y):
        return smoothed_targets(y, share, output_activation)

    plain = COSTS[f"cross_entropy, {output_activation}"]
    return Cost(lambda a, y: plain.function(a, moved(y)), lambda a, y: plain.derivative(a, moved(y)))


def gaussian():
    """The negative log-likelihood of normal variables, whose means and log-variances take turns."""

    def function(a, y):
        return 0.5 * (a[:, 1::2] + (y - a[:, ::2]) ** 2 * np.exp(-a[:, 1::2])).sum(axis=1)

    def derivative(a, y):
        gradient = np.empty_like(a)
        gradient[:, ::2] = (a[:, ::2] - y) * np.exp(-a[:, 1::2])
        gradient[:, 1::2] = 0.5 - 0.5 * (y - a[:, ::2]) ** 2 * np.exp(-a[:, 1::2])
        return gradient

    return Cost(function, derivative)


def binary_cross_entropy(a, y):
    """Each output is a probability of its own; 0 log 0 is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(y == 0, 0.0, y * np.log(a)) + np.where(y == 1, 0.0, (1 - y) * np.log1p(-a))
    return -terms.sum(axis=1)


def categorical_cross_entropy(a, y):
    """The outputs are the probabilities of one choice; 0 log 0 is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return -np.where(y == 0, 0.0, y * np.log(a)).sum(axis=1)


COSTS = {
    "quadratic": Cost(lambda a, y: 0.5 * ((a - y) ** 2).sum(axis=1), lambda a, y: a - y),
    "huber": huber(),
    "absolute": Cost(lambda a, y: np.abs(a - y).sum(axis=1), lambda a, y: np.sign(a - y)),
    "log_cosh": Cost(lambda a, y: np.log(np.cosh(a - y)).sum(axis=1), lambda a, y: np.tanh(a - y)),
    "quantile": quantile(),
    "poisson": Cost(lambda a, y: (a - y * np.log(a)).sum(axis=1), lambda a, y: 1.0 - y / a),
    "hinge": hinge(1),
    "squared_hinge": hinge(2),
    "gaussian": gaussian(),
    "focal, sigmoid": binary_focal(),
    "focal, softmax": categorical_focal(),
    "cross_entropy, sigmoid": Cost(binary_cross_entropy, lambda a, y: (a - y) / (a * (1.0 - a))),
    "cross_entropy, softmax": Cost(categorical_cross_entropy, lambda a, y: -y / a),
}


def cost_of(given, output_activation):
    """`given`: a name, or a Cost."""
    if given in ("cross_entropy", "focal"):
        given = f"{given}, {output_activation}"
    return COSTS[given] if isinstance(given, str) else given


def costs_from_logits(z, y, output_activation, cost):
    """Every sample's cost (m,), by the form that is exact for large z where there is one."""
    if (cost, output_activation) == ("cross_entropy", "sigmoid"):
        return (ACTIVATIONS["softplus"].function(z) - y * z).sum(axis=1)
    if (cost, output_activation) == ("cross_entropy", "softmax"):
        return -(y * log_softmax(z)).sum(axis=1)
    if (cost, output_activation) == ("poisson", "exponential"):
        return (np.exp(z) - y * z).sum(axis=1)
    return cost_of(cost, output_activation).function(output_of(z, output_activation), y)


def delta_by_chain(z, y, output_activation, cost):
    """dC/dz (m, j) by the chain rule: dC/da times da/dz, which for softmax is a matrix per sample."""
    a = output_of(z, output_activation)
    upstream = cost_of(cost, output_activation).derivative(a, y)
    if output_activation == "softmax":
        return a * (upstream - (upstream * a).sum(axis=1, keepdims=True))
    return upstream * activation_of(output_activation).derivative(z)


MATCHED = (("cross_entropy", "sigmoid"), ("cross_entropy", "softmax"), ("poisson", "exponential"))


def delta_of(z, y, output_activation, cost):
    """dC/dz (m, j); where output and cost match, in short: a - y, or a sum(y) - y for a softmax."""
    if (cost, output_activation) not in MATCHED:
        return delta_by_chain(z, y, output_activation, cost)
    a = output_of(z, output_activation)
    return (a * y.sum(axis=1, keepdims=True) if output_activation == "softmax" else a) - y
