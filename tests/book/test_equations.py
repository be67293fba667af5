"""The seed's own example and its four equations, each under its name: by NumPy and by the compiled kernels.

The equations are those of `backpropagation.md` and of the book's second chapter.  The gradient that kernels
take is seen in the step they make: w - w' = eta / m sum dC/dw, here with one sample and eta = 1.
"""

import numpy as np
import pytest

from fastbp import Network

SIZES = [784, 40, 30, 20, 10]
SMALL = [6, 5, 4, 3]
EPSILON = 1e-5

NET = Network(SMALL, seed=0)
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(6, 1)), RNG.random((3, 1))


def test_five_layers_of_784_40_30_20_10_neurons():
    net = Network(SIZES)
    assert net.num_layers == 5
    assert [b.shape for b in net.biases] == [(40, 1), (30, 1), (20, 1), (10, 1)]
    assert [w.shape for w in net.weights] == [(40, 784), (30, 40), (20, 30), (10, 20)]
    nabla_b, nabla_w = net.backprop(np.ones((784, 1)), np.ones((10, 1)))
    assert [nabla.shape for nabla in nabla_b] == [b.shape for b in net.biases]
    assert [nabla.shape for nabla in nabla_w] == [w.shape for w in net.weights]
    net.update_mini_batch([(np.ones((784, 1)), np.ones((10, 1)))], 3.0)
    assert [w.shape for w in net.weights] == [(40, 784), (30, 40), (20, 30), (10, 20)]


def by_numpy():
    return NET.backprop(X, Y)


def by_kernels():
    net = stepped([(X, Y)], 1.0)
    return differences(NET.biases, net.biases), differences(NET.weights, net.weights)


def stepped(batch, eta):
    net = Network(SMALL)
    net.weights, net.biases = NET.weights, NET.biases
    net.update_mini_batch(batch, eta)
    return net


def differences(before, after):
    return [was - new for was, new in zip(before, after, strict=True)]


paths = pytest.mark.parametrize("gradient", [by_numpy, by_kernels])


def sigma(z):
    return 1 / (1 + np.exp(-z))


def sigma_prime(z):
    return np.exp(-z) / (1 + np.exp(-z)) ** 2


def forward():
    """Weighted inputs z^l and activations a^l, a^0 being the input."""
    zs, activations = [], [X]
    for w, b in zip(NET.weights, NET.biases, strict=True):
        zs.append(w @ activations[-1] + b)
        activations.append(sigma(zs[-1]))
    return zs, activations


def cost(layer=None, place=None, nudge=0.0, of="z"):
    """C = |y - a^L|^2 / 2, with one number of one layer, z or w, moved by `nudge`."""
    a = X
    for number, (w, b) in enumerate(zip(NET.weights, NET.biases, strict=True)):
        w, shift = w.copy(), np.zeros(b.shape)
        if number == layer:
            (shift if of == "z" else w)[place] += nudge
        a = sigma(w @ a + b + shift)
    return np.sum((Y - a) ** 2) / 2


def slope(layer, place, of="z"):
    """dC by central differences."""
    return (cost(layer, place, EPSILON, of) - cost(layer, place, -EPSILON, of)) / (2 * EPSILON)


def delta_by_differences(layer):
    """delta^l = dC/dz^l, which is what it means."""
    return np.array([[slope(layer, (j, 0))] for j in range(SMALL[layer + 1])])


def close(found, expected, rtol=1e-10):
    np.testing.assert_allclose(found, expected, rtol, atol=1e-12)


@paths
def test_BP1_the_error_of_the_output_layer(gradient):
    """delta^L = nabla_a C * sigma'(z^L)."""
    zs, activations = forward()
    delta = gradient()[0][-1]
    close(delta, (activations[-1] - Y) * sigma_prime(zs[-1]))
    close(delta, delta_by_differences(2), 1e-6)


@paths
@pytest.mark.parametrize("layer", [0, 1])
def test_BP2_the_error_of_a_layer_by_that_of_the_next(gradient, layer):
    """delta^l = (w^(l+1)^T delta^(l+1)) * sigma'(z^l)."""
    zs, _ = forward()
    deltas = gradient()[0]
    close(deltas[layer], (NET.weights[layer + 1].T @ deltas[layer + 1]) * sigma_prime(zs[layer]))
    close(deltas[layer], delta_by_differences(layer), 1e-6)


@paths
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_BP3_the_slope_in_a_bias_is_the_error(gradient, layer):
    """dC/db^l_j = delta^l_j: a bias moves z as z itself is moved."""
    close(gradient()[0][layer], delta_by_differences(layer), 1e-6)


@paths
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_BP4_the_slope_in_a_weight_is_input_times_error(gradient, layer):
    """dC/dw^l_jk = a^(l-1)_k delta^l_j."""
    _, activations = forward()
    nabla_b, nabla_w = gradient()
    close(nabla_w[layer], nabla_b[layer] @ activations[layer].T)
    for j, k in np.ndindex(nabla_w[layer].shape):
        close(nabla_w[layer][j, k], slope(layer, (j, k), "w"), 1e-5)


def test_the_step_is_eta_over_m_times_the_summed_gradient():
    """w -> w - eta / m sum_x delta (a)^T, and b likewise, for a mini-batch of m = 3."""
    batch = [(X, Y), (2 * X, 1 - Y), (X - 1, Y / 2)]
    gradients = [NET.backprop(x, y) for x, y in batch]
    net = stepped(batch, 0.6)
    for found, before, which in ((net.biases, NET.biases, 0), (net.weights, NET.weights, 1)):
        for layer, array in enumerate(found):
            close(array, before[layer] - 0.6 / 3 * sum(parts[which][layer] for parts in gradients))
