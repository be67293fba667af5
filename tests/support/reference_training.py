"""Every recipe's gradient and training in plain float64 NumPy: slow, obvious, and independent of fastbp.

Letters: m samples of a batch, k inputs, j outputs of a layer. Samples are rows.
"""

import math
from typing import NamedTuple

import numpy as np

from reference_functions import activation_of, costs_from_logits, delta_of, output_of

# ---------------------------------------------------------------- gradients


def forward(weights, biases, activations, X, masks=None):
    """Every layer's z (m, j) and what the next one reads: a (m, j), times its mask in a hidden layer.

    `activations` are those of the hidden layers, so one less than layers; the last a is not taken.
    """
    a, zs, inputs = X, [], [X]
    for layer, (w, b) in enumerate(zip(weights, biases, strict=True)):
        zs.append(a @ w.T + b.T)
        if layer < len(activations):
            a = activation_of(activations[layer]).function(zs[-1])
            if masks is not None:
                a = a * masks[layer]
            inputs.append(a)
    return zs, inputs


def outputs(weights, biases, activations, output_activation, X):
    """The network's (m, j)."""
    zs, _ = forward(weights, biases, activations, X)
    return output_of(zs[-1], output_activation)


class Gradient(NamedTuple):
    value: float  # the mean cost of the samples, and the regularisers'
    weights: list
    biases: list
    X: np.ndarray  # with respect to the samples
    costs: np.ndarray  # (m,), of every sample, times its weight


def value_and_gradient(
    weights,
    biases,
    X,
    Y,
    *,
    activations=(),
    output_activation="sigmoid",
    cost="quadratic",
    l2=0.0,
    l1=0.0,
    sample_weight=None,
    masks=None,
):
    """The value is sum(w_i C_i) / m + l2 / 2 sum(w^2) + l1 sum(|w|); biases are not regularised.

    `masks` are the factors (m, j) of every hidden layer's outputs: 0, or 1 / (1 - rate).
    """
    m = len(X)
    share = np.ones(m) if sample_weight is None else np.asarray(sample_weight, np.float64)
    zs, inputs = forward(weights, biases, activations, X, masks)
    costs = share * costs_from_logits(zs[-1], Y, output_activation, cost)
    delta = share[:, np.newaxis] * delta_of(zs[-1], Y, output_activation, cost)
    gradients_w, gradients_b = [], []
    for layer in reversed(range(len(weights))):
        regular = l2 * weights[layer] + l1 * np.sign(weights[layer])
        gradients_w.insert(0, delta.T @ inputs[layer] / m + regular)
        gradients_b.insert(0, delta.sum(axis=0)[:, np.newaxis] / m)
        upstream = delta @ weights[layer]
        if layer:
            delta = upstream * activation_of(activations[layer - 1]).derivative(zs[layer - 1])
            if masks is not None:
                delta = delta * masks[layer - 1]
    penalty = sum(0.5 * l2 * (w * w).sum() + l1 * np.abs(w).sum() for w in weights)
    return Gradient(costs.sum() / m + penalty, gradients_w, gradients_b, upstream / m, costs)


# ---------------------------------------------------------------- optimizers

# Each is (w, g, state of w, rate, options) -> w; `decay` is 0 for biases


def sgd(w, g, state, rate, decay):
    return w - rate * g


def momentum(w, g, state, rate, decay, momentum=0.9):
    state["v"] = momentum * state.get("v", 0.0) + g
    return w - rate * state["v"]


def nesterov(w, g, state, rate, decay, momentum=0.9):
    state["v"] = momentum * state.get("v", 0.0) + g
    return w - rate * (g + momentum * state["v"])


def rmsprop(w, g, state, rate, decay, rho=0.9, epsilon=1e-8):
    state["s"] = rho * state.get("s", 0.0) + (1.0 - rho) * g * g
    return w - rate * g / (np.sqrt(state["s"]) + epsilon)


def adam(w, g, state, rate, decay, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=0.0):
    """The decay is an L2 term of the gradient's."""
    g = g + decay * weight_decay * w
    state["t"] = state.get("t", 0) + 1
    state["m"] = beta_1 * state.get("m", 0.0) + (1.0 - beta_1) * g
    state["s"] = beta_2 * state.get("s", 0.0) + (1.0 - beta_2) * g * g
    m = state["m"] / (1.0 - beta_1 ** state["t"])
    s = state["s"] / (1.0 - beta_2 ** state["t"])
    return w - rate * m / (np.sqrt(s) + epsilon)


def adamw(w, g, state, rate, decay, weight_decay=0.01, **options):
    """The decay is of the weights themselves, before the step."""
    return adam(w - rate * decay * weight_decay * w, g, state, rate, 0, **options)


def irprop(w, g, state, rate, decay, shrink=0.5, grow=1.2, least=1e-6, most=50.0):
    """iRPROP-: signs alone; after a change of sign a weight rests for one step."""
    product = np.sign(g) * np.sign(state.get("g", np.zeros_like(g)))  # that of tiny numbers would be 0
    step = state.get("step", np.full_like(g, rate))
    step = np.where(product > 0, np.minimum(step * grow, most), step)
    step = np.where(product < 0, np.maximum(step * shrink, least), step)
    g = np.where(product < 0, 0.0, g)
    state["g"], state["step"] = g, step
    return w - np.sign(g) * step


OPTIMIZERS = {
    "sgd": sgd,
    "momentum": momentum,
    "nesterov": nesterov,
    "rmsprop": rmsprop,
    "adam": adam,
    "adamw": adamw,
    "irprop": irprop,
}


def clipped(gradients, clip_norm):
    """The arrays, together scaled down to that norm where theirs is larger."""
    norm = math.sqrt(sum(float((g * g).sum()) for g in gradients))
    return [g * (clip_norm / norm) for g in gradients] if norm > clip_norm else gradients


# ---------------------------------------------------------------- dropout


def mixed(x, steps, bits):
    for shift, factor in steps:
        x ^= x >> shift
        x = x * factor & ((1 << bits) - 1)
    return x


def mask(masks, step, layer, layers, shape, rate):
    """The factors of a layer's outputs (m, j), in plain integers; `masks` is the key of all."""
    word = step * layers + layer
    key = mixed(
        (masks + (word + 1) * 0x9E3779B97F4A7C15) % (1 << 64),
        ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)),
        64,
    )
    hashed = ((16, 0x21F0AAAD), (15, 0xD35A2D97), (15, 1))
    numbers = []
    for unit in range(shape[0] * shape[1]):
        x = mixed(unit ^ (key & 0xFFFFFFFF), hashed, 32)
        numbers.append(mixed((x + (key >> 32)) & 0xFFFFFFFF, hashed, 32))
    kept = np.array(numbers).reshape(shape) >= int(rate * 2**32)
    return kept / (1 - rate)


# ---------------------------------------------------------------- training


class Trained(NamedTuple):
    weights: list
    biases: list
    costs: list  # of every epoch: the mean cost of its samples, each before its batch's step


def train_reference(
    weights,
    biases,
    X,
    Y,
    orders,
    *,
    batch_size,
    rates,
    activations="sigmoid",
    output_activation="sigmoid",
    cost="quadratic",
    optimizer="sgd",
    options=None,
    l2=0.0,
    l1=0.0,
    clip_norm=None,
    sample_weight=None,
    frozen=(),
    masks=None,
):
    """Mini-batches of the rows of X (n, k) and Y (n, j), in one permutation of them per epoch.

    `rates`: a number, or one per step; `activations`: a name or Activation for all hidden layers, or a list;
    `options`: the optimizer's; `clip_norm`: of the gradient, regularisers included, of all layers that are
    trained; `sample_weight`: (n,); `frozen`: positions in `weights`; `masks`: step -> the factors (m, j)
    of every hidden layer's outputs.
    """
    weights = [np.array(w, np.float64) for w in weights]
    biases = [np.array(b, np.float64) for b in biases]
    X, Y = np.asarray(X, np.float64), np.asarray(Y, np.float64)
    if not isinstance(activations, list):
        activations = [activations] * (len(weights) - 1)
    steps = sum(-(-len(order) // batch_size) for order in orders)
    rates = np.broadcast_to(rates, steps)
    layers = [layer for layer in range(len(weights)) if layer not in frozen]
    states = [({}, {}) for _ in weights]
    update, step, costs = OPTIMIZERS[optimizer], 0, []
    for order in map(np.asarray, orders):
        costs.append(0.0)
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            found = value_and_gradient(
                weights,
                biases,
                X[rows],
                Y[rows],
                activations=activations,
                output_activation=output_activation,
                cost=cost,
                l2=l2,
                l1=l1,
                sample_weight=None if sample_weight is None else np.asarray(sample_weight)[rows],
                masks=None if masks is None else masks(step),
            )
            costs[-1] += found.costs.sum() / len(order)
            gradients = [found.weights[i] for i in layers] + [found.biases[i] for i in layers]
            if clip_norm is not None:
                gradients = clipped(gradients, clip_norm)
            for number, layer in enumerate(layers):
                of_weights, of_biases = gradients[number], gradients[len(layers) + number]
                state_w, state_b = states[layer]
                rate, chosen = rates[step], options or {}
                weights[layer] = update(weights[layer], of_weights, state_w, rate, 1, **chosen)
                biases[layer] = update(biases[layer], of_biases, state_b, rate, 0, **chosen)
            step += 1
    return Trained(weights, biases, costs)
