"""FANN, a C library."""

import ctypes
import ctypes.util
import itertools
from typing import Any

import numpy as np

from .peer import Peer, Weights
from .recipe import Recipe


class Fann(Peer):
    """It trains on one sample at a time and keeps a (1 - a) above 0.01."""

    name = "FANN (C, a sample at a time)"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        double = self.dtype == "float64"
        found = ctypes.util.find_library("doublefann" if double else "floatfann")
        if not found:
            raise ImportError("libfann is not installed")
        self.fann = fann = ctypes.CDLL(found)
        fann.fann_create_standard_array.restype = ctypes.c_void_p
        sizes = self.recipe.sizes
        self.net = ctypes.c_void_p(
            fann.fann_create_standard_array(len(sizes), (ctypes.c_uint * len(sizes))(*sizes))
        )
        sigmoid = 3  # a / (1 + exp(-2 s z)), s the steepness
        fann.fann_set_activation_function_hidden(self.net, sigmoid)
        fann.fann_set_activation_function_output(self.net, sigmoid)
        half = (ctypes.c_double if double else ctypes.c_float)(0.5)
        fann.fann_set_activation_steepness_hidden(self.net, half)
        fann.fann_set_activation_steepness_output(self.net, half)
        fann.fann_set_learning_rate(self.net, ctypes.c_float(self.recipe.learning_rate))
        fann.fann_set_train_error_function(self.net, 0)  # the difference itself, not its atanh
        number = "f8" if double else "f4"
        kind = np.dtype([("from", "u4"), ("to", "u4"), ("weight", number)], align=True)
        self.connections = np.empty(fann.fann_get_total_connections(self.net), kind)
        self.fann.fann_get_connection_array(self.net, self.connections.ctypes)
        self.inputs = np.ascontiguousarray(self.X)
        self.wanted = np.ascontiguousarray(self.Y)

    def reset(self, weights: Weights, biases: Weights, seed: int = 0) -> None:
        layers = zip(weights, biases, strict=True)  # a neuron's weights lie together, its bias last
        self.connections["weight"] = np.concatenate([np.hstack([w, b]).ravel() for w, b in layers])
        self.fann.fann_set_weight_array(self.net, self.connections.ctypes, len(self.connections))

    def epoch(self, order: np.ndarray) -> None:
        train, net = self.fann.fann_train, self.net
        width, count = self.inputs.strides[0], self.wanted.strides[0]
        x, y = self.inputs.ctypes.data, self.wanted.ctypes.data
        for i in order.tolist():
            train(net, ctypes.c_void_p(x + i * width), ctypes.c_void_p(y + i * count))

    def trained(self) -> Weights:
        self.fann.fann_get_connection_array(self.net, self.connections.ctypes)
        weights, biases, place = [], [], 0
        for n_in, n_out in itertools.pairwise(self.recipe.sizes):
            layer = self.connections["weight"][place : place + n_out * (n_in + 1)].reshape(n_out, n_in + 1)
            weights.append(layer[:, :-1])
            biases.append(layer[:, -1:])
            place += layer.size
        return [*weights, *biases]

    @classmethod
    def own(cls, recipe: Recipe) -> Recipe | None:
        return recipe if recipe.is_book and recipe.batch_size == 1 else None
