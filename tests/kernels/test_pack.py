"""Weights between their plain arrays and panels, of every width up to some panels and a rest."""

import itertools

import numpy as np
import pytest

from fastbp.engine.architecture import Architecture
from fastbp.engine.kernels.vector import shape_of
from fastbp.engine.packed import Engine

SIZES = (1, 3, 7, 8, 9, 16, 17, 31, 33, 47, 64, 70)


def engine(inputs, outputs, dtype, weights):
    rng = np.random.default_rng(0)
    biases = [rng.normal(size=(outputs, 1)).astype(dtype)]
    architecture = Architecture((inputs, outputs), ("sigmoid",), np.dtype(dtype))
    return Engine(architecture, [weights], biases), biases


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_each_number_has_its_place_and_comes_back(dtype):
    columns = shape_of(np.dtype(dtype)).columns
    for inputs, outputs in itertools.product(SIZES, SIZES):
        weights = np.arange(1, 1 + inputs * outputs).reshape(outputs, inputs).astype(dtype)
        packed, biases = engine(inputs, outputs, dtype, weights)
        offset, panel, _ = packed._layout.offsets[0]
        panels = np.zeros((-(-outputs // columns) * columns, inputs), dtype)
        panels[:outputs] = weights
        for number, rows in enumerate(panels.reshape(-1, columns, inputs)):
            begin = offset + number * panel
            found = packed.parameters[begin : begin + inputs * columns].reshape(inputs, columns)
            np.testing.assert_array_equal(found, rows.T, f"{inputs} inputs, {outputs} outputs")
        (unpacked,), (bias,) = packed.unpack()
        np.testing.assert_array_equal(unpacked, weights)
        np.testing.assert_array_equal(bias, biases[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_subnormal_numbers_become_0_and_the_others_keep_their_bits(dtype):
    least = np.finfo(dtype).smallest_normal
    numbers = np.array([least, -least, least / 2, -least / 2, -0.0, np.nan, -np.inf, 1.5], dtype)
    kept = np.where(np.abs(numbers) == least / 2, np.zeros(1, dtype), numbers)
    rng = np.random.default_rng(0)
    for inputs, outputs in itertools.product(SIZES, SIZES):
        places = rng.integers(len(numbers), size=(outputs, inputs))
        packed, _ = engine(inputs, outputs, dtype, numbers[places])
        (unpacked,), _ = packed.unpack()
        assert unpacked.tobytes() == kept[places].tobytes(), f"{inputs} inputs, {outputs} outputs"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_subnormal_number_of_a_panel_comes_back(dtype):
    """Or else no test would see one that a kernel has left."""
    tiny = np.finfo(dtype).smallest_subnormal
    for inputs, outputs in itertools.product(SIZES, SIZES):
        packed, _ = engine(inputs, outputs, dtype, np.ones((outputs, inputs), dtype))
        packed.parameters[...] = tiny
        (unpacked,), (bias,) = packed.unpack()
        assert (unpacked == tiny).all() and (bias == tiny).all()
