"""The options of a network: the arguments of `Network` that its objects keep."""

from dataclasses import dataclass, fields

import numpy as np

from . import activations, checks, costs

_FLOAT64 = np.dtype(np.float64)


@dataclass(frozen=True)
class Options:
    """The checked arguments that a network keeps, in the order in which files and ``repr`` have them.

    This is the one list of their names; `Network` and `options_of`, which checks each, have them besides.
    """

    activation: activations.Kind | tuple[activations.Kind, ...] = "sigmoid"  # of all hidden layers, or each
    output_activation: activations.Kind = "sigmoid"
    cost: costs.Kind = "quadratic"
    dropout: float | tuple[float, ...] = 0.0
    frozen: tuple[int, ...] = ()
    input_divisor: float | None = None  # None if the user has chosen none
    uint8_divisor: float | None = None  # for uint8 samples alone, in networks of fastbp 0.2
    seed: int | None = None
    dtype: np.dtype = _FLOAT64
    scale_inputs: bool = False
    scale_outputs: bool = False
    compute_dtype: str | None = None  # of what products read, unless it is `dtype`

    @property
    def bytes_divisor(self) -> float:
        """The number by which kernels divide samples of type uint8."""
        return self.input_divisor or self.uint8_divisor or 1.0

    def activations(self, layers: int) -> tuple[activations.Kind, ...]:
        """The activation of each of `layers` layers, the inputs not counted."""
        if not layers:
            return ()
        if isinstance(self.activation, str):
            return (*[self.activation] * (layers - 1), self.output_activation)
        return (*checks.layers("activation", self.activation, layers - 1), self.output_activation)


OPTIONS = tuple(option.name for option in fields(Options))
