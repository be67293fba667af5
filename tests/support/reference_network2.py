"""The book's second network in plain NumPy, one sample at a time: what `fastbp.compat.network2` has to do."""
# ruff: noqa: NPY002  it draws from NumPy's global generator

import json
import random
import sys
from itertools import pairwise

import numpy as np

import reference
from reference import sigmoid, sigmoid_prime


class QuadraticCost:
    @staticmethod
    def fn(a, y):
        return 0.5 * np.linalg.norm(a - y) ** 2

    @staticmethod
    def delta(z, a, y):
        return (a - y) * sigmoid_prime(z)


class CrossEntropyCost:
    @staticmethod
    def fn(a, y):
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return np.sum(np.nan_to_num(-y * np.log(a) - (1 - y) * np.log(1 - a)))

    @staticmethod
    def delta(z, a, y):
        return a - y


class Network(reference.Network):
    def __init__(self, sizes, cost=CrossEntropyCost):
        self.num_layers = len(sizes)
        self.sizes = sizes
        self.default_weight_initializer()
        self.cost = cost

    def default_weight_initializer(self):
        self.large_weight_initializer()
        self.weights = [w / np.sqrt(w.shape[1]) for w in self.weights]

    def large_weight_initializer(self):
        self.biases = [np.random.randn(j, 1) for j in self.sizes[1:]]
        self.weights = [np.random.randn(j, k) for k, j in pairwise(self.sizes)]

    def SGD(
        self,
        training_data,
        epochs,
        mini_batch_size,
        eta,
        lmbda=0.0,
        evaluation_data=None,
        monitor_evaluation_cost=False,
        monitor_evaluation_accuracy=False,
        monitor_training_cost=False,
        monitor_training_accuracy=False,
        early_stopping_n=0,
    ):
        n = len(training_data)
        evaluation_cost, evaluation_accuracy, training_cost, training_accuracy = [], [], [], []
        best, waited = 0, 0
        for epoch in range(epochs):
            random.shuffle(training_data)
            for start in range(0, n, mini_batch_size):
                self.update_mini_batch(training_data[start : start + mini_batch_size], eta, lmbda, n)
            print(f"Epoch {epoch} training complete", flush=True)
            if monitor_training_cost:
                training_cost.append(self.total_cost(training_data, lmbda))
                print(f"Cost on training data: {training_cost[-1]}")
            if monitor_training_accuracy:
                accuracy = self.accuracy(training_data, convert=True)
                training_accuracy.append(accuracy)
                print(f"Accuracy on training data: {accuracy} / {n}")
            if monitor_evaluation_cost:
                evaluation_cost.append(self.total_cost(evaluation_data, lmbda, convert=True))
                print(f"Cost on evaluation data: {evaluation_cost[-1]}")
            if monitor_evaluation_accuracy:
                accuracy = self.accuracy(evaluation_data)
                evaluation_accuracy.append(accuracy)
                print(f"Accuracy on evaluation data: {accuracy} / {len(evaluation_data)}")
            sys.stdout.flush()
            if early_stopping_n > 0:
                best, waited = (accuracy, 0) if accuracy > best else (best, waited + 1)
                if waited == early_stopping_n:
                    break
        return evaluation_cost, evaluation_accuracy, training_cost, training_accuracy

    def update_mini_batch(self, mini_batch, eta, lmbda, n):
        sum_b, sum_w = self.summed_gradients(mini_batch)
        rate, kept = eta / len(mini_batch), 1 - eta * (lmbda / n)
        self.weights = [kept * w - rate * total for w, total in zip(self.weights, sum_w, strict=True)]
        self.biases = [b - rate * total for b, total in zip(self.biases, sum_b, strict=True)]

    def backprop(self, x, y):
        zs, activations = [], [x]
        for b, w in zip(self.biases, self.weights, strict=True):
            zs.append(np.dot(w, activations[-1]) + b)
            activations.append(sigmoid(zs[-1]))
        nabla_b, nabla_w = [self.cost.delta(zs[-1], activations[-1], y)], []
        for layer in reversed(range(self.num_layers - 1)):
            nabla_w.insert(0, np.dot(nabla_b[0], activations[layer].T))
            if layer:
                nabla_b.insert(0, np.dot(self.weights[layer].T, nabla_b[0]) * sigmoid_prime(zs[layer - 1]))
        return nabla_b, nabla_w

    def accuracy(self, data, convert=False):
        return sum(int(np.argmax(self.feedforward(x)) == (np.argmax(y) if convert else y)) for x, y in data)

    def total_cost(self, data, lmbda, convert=False):
        cost = 0.0
        for x, y in data:
            if convert:
                y = vectorized_result(y, self.sizes[-1])
            cost += self.cost.fn(self.feedforward(x), y) / len(data)
        return cost + 0.5 * (lmbda / len(data)) * sum(np.linalg.norm(w) ** 2 for w in self.weights)

    def save(self, filename):
        content = {
            "sizes": self.sizes,
            "weights": [w.tolist() for w in self.weights],
            "biases": [b.tolist() for b in self.biases],
            "cost": self.cost.__name__,
        }
        with open(filename, "w") as file:
            json.dump(content, file)


def vectorized_result(j, outputs=10):
    e = np.zeros((outputs, 1))
    e[j] = 1.0
    return e


def load(filename):
    with open(filename) as file:
        content = json.load(file)
    net = Network(content["sizes"], cost=getattr(sys.modules[__name__], content["cost"]))
    net.weights = [np.array(w) for w in content["weights"]]
    net.biases = [np.array(b) for b in content["biases"]]
    return net
