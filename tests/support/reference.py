"""The seed's network in plain NumPy, one sample at a time, and what the tests need to compare with it.

Letters: n samples, m batch, k inputs, j outputs of a layer. Samples are columns in `Network` (the seed's
convention) and rows in `fit_reference`.
"""
# ruff: noqa: NPY002  the seed draws from NumPy's global generator

import random
from itertools import pairwise

import numpy as np


class Network:
    """The reference for `fastbp.Network`, call for call."""

    def __init__(self, sizes):
        self.num_layers = len(sizes)
        self.sizes = sizes
        self.biases = [np.random.randn(j, 1) for j in sizes[1:]]
        self.weights = [np.random.randn(j, k) for k, j in pairwise(sizes)]

    def feedforward(self, a):
        for b, w in zip(self.biases, self.weights, strict=True):
            a = sigmoid(np.dot(w, a) + b)
        return a

    def SGD(self, training_data, epochs, mini_batch_size, eta, test_data=None):
        n_test = len(test_data) if test_data else 0
        n = len(training_data)
        for epoch in range(epochs):
            random.shuffle(training_data)
            for start in range(0, n, mini_batch_size):
                self.update_mini_batch(training_data[start : start + mini_batch_size], eta)
            if test_data:
                print(f"Epoch {epoch} : {self.evaluate(test_data)} / {n_test}", flush=True)
            else:
                print(f"Epoch {epoch} complete", flush=True)

    def update_mini_batch(self, mini_batch, eta):
        sum_b, sum_w = self.summed_gradients(mini_batch)
        rate = eta / len(mini_batch)
        self.weights = [w - rate * total for w, total in zip(self.weights, sum_w, strict=True)]
        self.biases = [b - rate * total for b, total in zip(self.biases, sum_b, strict=True)]

    def summed_gradients(self, mini_batch):
        sum_b = [np.zeros(b.shape) for b in self.biases]
        sum_w = [np.zeros(w.shape) for w in self.weights]
        for x, y in mini_batch:
            nabla_b, nabla_w = self.backprop(x, y)
            sum_b = [total + nabla for total, nabla in zip(sum_b, nabla_b, strict=True)]
            sum_w = [total + nabla for total, nabla in zip(sum_w, nabla_w, strict=True)]
        return sum_b, sum_w

    def backprop(self, x, y):
        zs, activations = [], [x]
        for b, w in zip(self.biases, self.weights, strict=True):
            zs.append(np.dot(w, activations[-1]) + b)
            activations.append(sigmoid(zs[-1]))
        nabla_b, nabla_w = [], []
        for layer in reversed(range(self.num_layers - 1)):
            if layer == self.num_layers - 2:
                upstream = self.cost_derivative(activations[-1], y)
            else:
                upstream = np.dot(self.weights[layer + 1].T, nabla_b[0])
            nabla_b.insert(0, upstream * sigmoid_prime(zs[layer]))
            nabla_w.insert(0, np.dot(nabla_b[0], activations[layer].T))
        return nabla_b, nabla_w

    def cost_derivative(self, output_activations, y):
        return output_activations - y

    def evaluate(self, test_data):
        return sum(int(np.argmax(self.feedforward(x)) == label) for x, label in test_data)


def sigmoid(z):
    with np.errstate(over="ignore"):  # exp(-z) = inf is right: the quotient is then 0
        return 1.0 / (1.0 + np.exp(-z))


def sigmoid_prime(z):
    return sigmoid(z) * (1 - sigmoid(z))


def fit_reference(weights, biases, X, Y, orders, batch_size, learning_rate, dtype):
    """SGD by whole mini-batches in `dtype`: X (n, k), Y (n, j), one permutation of the rows an epoch."""
    dtype = np.dtype(dtype)
    weights, biases = [w.astype(dtype) for w in weights], [b.astype(dtype) for b in biases]
    X, Y = X.astype(dtype), Y.astype(dtype)
    for order in map(np.asarray, orders):
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            activations = [X[rows]]
            for w, b in zip(weights, biases, strict=True):
                activations.append(sigmoid(activations[-1] @ w.T + b.T))
            rate = dtype.type(learning_rate / len(rows))
            upstream = activations[-1] - Y[rows]
            for layer in reversed(range(len(weights))):
                out = activations[layer + 1]
                delta = upstream * out * (1 - out)  # (m, j)
                upstream = delta @ weights[layer]  # (m, k), with the weights of before the update
                weights[layer] = weights[layer] - rate * (delta.T @ activations[layer])
                biases[layer] = biases[layer] - rate * delta.sum(axis=0)[:, np.newaxis]
    return weights, biases


def numerical_gradient(f, array, eps):
    """Central differences of the scalar f(array); `array` is changed in place and restored."""
    gradient = np.empty(array.shape)
    for index in np.ndindex(array.shape):
        value = array[index]
        array[index] = value + eps
        above = f(array)
        array[index] = value - eps
        gradient[index] = (above - f(array)) / (2 * eps)
        array[index] = value
    return gradient


def one_hot(labels, n):
    """(len(labels), n) float64 rows, each 0 but for a 1 at its label."""
    return np.eye(n)[np.asarray(labels, dtype=int)]


def assert_close(actual, expected, rtol=1e-9, atol=1e-11):
    """The same nesting, types, shapes, dtypes and, within the tolerance, values."""
    assert type(actual) is type(expected), f"{type(actual)} is not {type(expected)}"
    if isinstance(expected, list | tuple):
        assert len(actual) == len(expected), f"{len(actual)} items, expected {len(expected)}"
        for one, other in zip(actual, expected, strict=True):
            assert_close(one, other, rtol, atol)
    elif expected is not None:
        assert np.asarray(actual).dtype == np.asarray(expected).dtype
        assert np.shape(actual) == np.shape(expected), f"{np.shape(actual)} is not {np.shape(expected)}"
        np.testing.assert_allclose(actual, expected, rtol, atol)
