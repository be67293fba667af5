"""Some layers of a network as a network of its own."""

from typing import Any

import numpy as np

from ..options.network import Options
from .architecture import Parameters, Progress, State, changed, checked, schema_of


def part_of(net: Any, begin: int, end: int) -> tuple[list[int], Parameters, State]:
    """The sizes, copies of the weights and biases, and the state of the layers `begin` .. `end` - 1.

    The first layer reads X as the network does, the last one has the network's cost, task and labels; the
    training's progress is left out.
    """
    architecture, weights, biases = checked(net)
    schema_of(net, architecture).scalings()  # raises where one has not been learnt
    state: State = net._fastbp
    options, learnt = state.options, state.learnt
    is_first, is_last = begin == 0, end == len(weights)
    options = changed(
        options,
        frozen=tuple(layer - begin for layer in options.frozen if begin <= layer < end),
        **{name: _hidden(getattr(options, name), begin, end) for name in ("activation", "dropout")},
    )
    if not is_first:
        names = ("input_divisor", "uint8_divisor", "scale_inputs")
        options = changed(options, **{name: getattr(Options, name) for name in names})
        learnt = changed(learnt, scale=None, feature_names=None, input_scaling=None)
    if not is_last:
        last = architecture.activations[end - 1]
        options = changed(options, output_activation=last, cost=Options.cost, scale_outputs=False)
        learnt = changed(learnt, task="values", classes=None, target_names=None, output_scaling=None)
    sizes = list(architecture.sizes[begin : end + 1])
    copies = [np.array(w) for w in weights[begin:end]], [np.array(b) for b in biases[begin:end]]
    return sizes, copies, State(options, learnt, Progress())


def _hidden(value: Any, begin: int, end: int) -> Any:
    """An option of the hidden layers between `begin` and `end`: one value, or one for each of them."""
    return value[begin : end - 1] if isinstance(value, tuple) else value
