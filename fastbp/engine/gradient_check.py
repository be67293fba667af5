"""Backpropagation checked against central differences, layer by layer."""

from typing import Any, NamedTuple

import numpy as np

from ..options import checks
from . import gradients
from .architecture import checked

_SHOWN = 40  # parameters of each array that are compared, spread over all of it


class LayerCheck(NamedTuple):
    """The largest difference in one array, a layer's weights or its biases."""

    layer: int
    array: str
    compared: int
    error: float  # |a - n| / max(|a| + |n|, 1e-3 of the largest gradient in the array)


class GradientReport(list[LayerCheck]):
    """One entry for each array; prints as a table."""

    def __str__(self) -> str:
        lines = [f"{'layer':>5}  {'array':<8} {'compared':>8}  largest relative difference"]
        lines += [f"{c.layer:>5}  {c.array:<8} {c.compared:>8}  {c.error:.2e}" for c in self]
        return "\n".join(lines)

    @property
    def error(self) -> float:
        """The largest relative difference in any array."""
        return max((check.error for check in self), default=0.0)


def check(net: Any, X: Any, y: Any, step: float) -> GradientReport:
    """Compares backpropagation with central differences in float64, whatever the network's own type."""
    step = checks.positive("step", step)
    wide = _widened(net)
    architecture, weights, biases = checked(wide)
    objective = gradients.Objective(wide, X, y, threads=1)
    _, gradient = objective(weights, biases)

    def value() -> float:
        return objective(weights, biases)[0]

    report = GradientReport()
    for layer in range(len(weights)):
        if layer in architecture.frozen:
            continue
        for name, arrays, nabla in (("weights", weights, gradient[0]), ("biases", biases, gradient[1])):
            flat, exact = arrays[layer].reshape(-1), nabla[layer].reshape(-1)
            indices = np.unique(np.linspace(0, len(flat) - 1, _SHOWN).astype(int))
            floor = 1e-3 * float(np.max(np.abs(exact))) or 1e-12
            worst = 0.0
            for index in indices:
                before = flat[index]
                sides = []
                for sign in (1, -1):
                    flat[index] = before + sign * step
                    sides.append(value())
                flat[index] = before
                numerical = (sides[0] - sides[1]) / (2 * step)
                scale = max(abs(numerical) + abs(float(exact[index])), floor)
                worst = max(worst, abs(numerical - float(exact[index])) / scale)
            report.append(LayerCheck(layer, name, len(indices), worst))
    return report


def _widened(net: Any) -> Any:
    """A copy of the network in float64, whose arrays may be changed."""
    import copy
    from dataclasses import replace

    wide = copy.copy(net)
    options = replace(net._fastbp.options, dtype=np.dtype(np.float64), compute_dtype=None)
    wide._fastbp = replace(net._fastbp, options=options)
    wide.weights = [np.array(w, np.float64, order="C") for w in net.weights]
    wide.biases = [np.array(b, np.float64, order="C") for b in net.biases]
    return wide
