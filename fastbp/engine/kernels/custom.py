"""A user's own activation or cost, compiled apart, called by its address: no kernel is recompiled."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from .jit import callback


def _numbers(dtype: Any) -> Any:
    return types.CPointer(types.float32 if np.dtype(dtype) == np.float32 else types.float64)


@functools.lru_cache(64)
def activation(function: Callable[..., Any], derivative: Callable[..., Any], dtype: Any) -> Any:
    """The function that kernels.panels.activate calls for n numbers: a holds z, then the activation."""
    numbers = _numbers(dtype)

    def fill(n, a, d):
        for i in range(n):
            z = a[i]
            a[i] = function(z)
            d[i] = derivative(z)

    return callback(types.void(types.int64, numbers, numbers))(fill)


@functools.lru_cache(64)
def cost(function: Callable[..., Any], derivative: Callable[..., Any], dtype: Any) -> Any:
    """The function that kernels.output.cost_delta calls for n outputs: sums costs, multiplies d by dC/da."""
    numbers = _numbers(dtype)

    def fill(n, a, y, d):
        total = 0.0
        for i in range(n):
            total += function(a[i], y[i])
            d[i] *= derivative(a[i], y[i])
        return total

    return callback(types.float64(types.int64, numbers, numbers, numbers))(fill)
