"""Weights and biases of a layer between their plain arrays and panels."""

from typing import Any

import numpy as np
from numba import types

from .jit import kernel
from .vector import constants, pointer, shift, smallest_normal

_COLUMNS = 16  # numbers of a plain row at once: whole cache lines, which stay until all rows have been taken


def _signature(dtype: Any) -> Any:
    element = types.float32 if dtype == np.float32 else types.float64
    i = types.int64
    return types.void(element[:, ::1], element[:, ::1], element[::1], i, i, i, types.boolean)


@kernel(_signature)
def move(w: Any, b: Any, packed: Any, weights: int, panel: int, biases: int, packs: bool) -> None:
    """Fills a layer's panels with w (n_out, n_in) and b (n_out, 1), or these with what the panels hold.

    Panels get 0 for subnormal numbers.

    `weights` and `biases` say where the layer's begin in `packed`, `panel` is the distance of two panels.
    """
    nr, _ = constants(pointer(packed, 0))
    outputs, inputs = w.shape
    plain, bias, biases_there = pointer(w, 0), pointer(b, 0), pointer(packed, biases)
    for first in range(0, outputs, nr):
        there = pointer(packed, weights + first // nr * panel)
        here = shift(plain, first * inputs)
        columns = min(nr, outputs - first)
        for begin in range(0, inputs, _COLUMNS):
            end = min(begin + _COLUMNS, inputs)
            for j in range(columns):
                for k in range(begin, end):
                    if packs:
                        there[k * nr + j] = here[j * inputs + k]
                    else:
                        here[j * inputs + k] = there[k * nr + j]
    for j in range(outputs):
        if packs:
            biases_there[j] = bias[j]
        else:
            bias[j] = biases_there[j]
    if packs:
        least = smallest_normal(plain)
        for i in range(weights, biases + outputs):  # -0 stays: what was not trained is given back as it was
            number = packed[i]
            packed[i] = 0 if number != 0 and abs(number) < least else number
