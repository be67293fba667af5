"""One layer over a mini-batch: forward, then its counterparts backward and update.

Letters: m samples of the batch, x [m, inputs] what enters, a [m, outputs] the activation, d [m, outputs]
the delta (dC/dz), W [inputs, outputs] the weights, all in panels of NR columns.  Every function does one
member's share of a phase; members own outputs, so none waits for another inside a phase.
"""

from typing import Any, NamedTuple

from .gather import Ahead, ask, lines
from .jit import inlined
from .math import activate, costs, hidden_delta, output_delta, transposed
from .team import Member, share
from .tile import bias, dot, outer
from .tiles import PARTS, after, begin_of, ceil_div, count, share_of, units
from .vector import constants, pointer, shift

# Of an update: 2 x 16 KiB of operands with AVX-512.  A constant, for the bits depend on it.
SAMPLES_AT_ONCE = 128


class Layer(NamedTuple):
    """Sizes, offsets into the parameters (weights, biases) and into the scratch (the others)."""

    inputs: int
    outputs: int
    activation: int
    weights: int
    panel: int  # numbers from one panel of weights to the next
    biases: int
    a: int
    delta: int
    delta_t: int  # the delta transposed, for the layer below; negative where there is none


class Memory(NamedTuple):
    """Pointers, and how many rows (samples) the panels of a block have room for."""

    parameters: Any  # what is read,
    updated: Any  # and what an update writes: the same, or a copy while a batch has more blocks to come
    scratch: Any
    private: Any  # one member's own: a row of zeros, then a square tile
    rows: int


@inlined
def layer_of(plan: Any, number: int) -> Layer:
    row = plan[number]
    return Layer(row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8])


@inlined
def forward(layer: Layer, memory: Memory, x: Any, m: int, member: Member) -> None:
    """a = activation(x W + b); a unit is one tile of samples in one panel of outputs."""
    nr, lanes, most_rows = constants(memory.scratch)
    tiles = ceil_div(m, most_rows)
    mine = share_of(ceil_div(layer.outputs, lanes), nr // lanes, tiles, layer.inputs * nr, member)
    for number in range(PARTS):
        cursor = begin_of(number, mine)
        for _ in range(units(cursor)):
            panel, tile = cursor.panel, cursor.other
            row = m * tile // tiles
            rows = m * (tile + 1) // tiles - row
            vectors = ceil_div(min(nr, layer.outputs - panel * nr), lanes)
            a = shift(memory.scratch, layer.a + (panel * memory.rows + row) * nr)
            b = shift(memory.parameters, layer.biases + panel * nr)
            w = shift(memory.parameters, layer.weights + panel * layer.panel)
            dot(rows, vectors, a, b, 0, shift(x, row * nr), memory.rows * nr, w, layer.inputs)
            activate(layer.activation, rows, vectors, a)
            cursor = after(cursor, mine)


@inlined
def output(layer: Layer, memory: Memory, y: Any, m: int, losses: Any, member: Member) -> None:
    """d = dC/da * activation'(z) of the last layer; a unit is one vector's worth of samples.

    Where `losses` has room, also each sample's cost |a - y|^2 / 2.
    """
    nr, lanes, _ = constants(memory.scratch)
    first, last = share(ceil_div(m, lanes), member)
    for unit in range(first, last):
        row = unit * lanes
        rows = min(lanes, m - row)
        for panel in range(ceil_div(layer.outputs, nr)):
            offset = (panel * memory.rows + row) * nr
            columns = min(nr, layer.outputs - panel * nr)
            d = shift(memory.scratch, layer.delta + offset)
            a = shift(memory.scratch, layer.a + offset)
            output_delta(layer.activation, rows, columns, d, a, shift(y, offset))
            if layer.delta_t >= 0:
                transposed(rows, columns, delta_t(layer, memory, panel * nr, row), d)
        if losses.size:
            a = shift(memory.scratch, layer.a + row * nr)
            costs(rows, layer.outputs, memory.rows * nr, pointer(losses, row), a, shift(y, row * nr))


@inlined
def delta_t(layer: Layer, memory: Memory, neuron: int, sample: int) -> Any:
    """Where the transposed delta of that neuron and sample lies, its panels padded to whole blocks."""
    nr, lanes, _ = constants(memory.scratch)
    padded = ceil_div(layer.outputs, lanes) * lanes
    return shift(memory.scratch, layer.delta_t + (sample // nr * padded + neuron) * nr + sample % nr)


@inlined
def backward(layer: Layer, below: Layer, memory: Memory, m: int, member: Member) -> None:
    """d of `below` = (d W^T) * activation'(z of below); a unit is one panel of inputs x one of samples."""
    nr, lanes, most_rows = constants(memory.scratch)
    zeros, g = memory.private, shift(memory.private, nr)
    sample_panels = ceil_div(m, nr)
    mine = share_of(ceil_div(layer.inputs, nr), 1, sample_panels, layer.outputs * nr, member)
    for number in range(PARTS):
        cursor = begin_of(number, mine)
        for _ in range(units(cursor)):
            panel, sample = cursor.panel, cursor.other * nr
            inputs, samples = min(nr, layer.inputs - panel * nr), min(nr, m - sample)
            tiles = ceil_div(inputs, most_rows)
            d_t = delta_t(layer, memory, 0, sample)
            for tile in range(tiles):
                row = inputs * tile // tiles
                rows = inputs * (tile + 1) // tiles - row
                w = shift(memory.parameters, layer.weights + (panel * nr + row) * nr)
                vectors = ceil_div(samples, lanes)
                dot(rows, vectors, shift(g, row * nr), zeros, 0, w, layer.panel, d_t, layer.outputs)
            row = (panel * memory.rows + sample) * nr
            d = shift(memory.scratch, below.delta + row)
            hidden_delta(below.activation, inputs, samples, d, shift(memory.scratch, below.a + row), g)
            if below.delta_t >= 0:
                transposed(samples, inputs, delta_t(below, memory, panel * nr, sample), d)
            cursor = after(cursor, mine)


@inlined
def update(layer: Layer, memory: Memory, x: Any, m: int, scale: float, ahead: Ahead, member: Member) -> None:
    """W += scale x^T d and b += scale sum(d); a unit is one panel of outputs x one of inputs.

    Samples are taken `SAMPLES_AT_ONCE`, so that both operands of a unit lie in the first-level cache.
    Meanwhile the rows `ahead` are asked for, some lines a unit, for all at once would fill the queue.
    """
    nr, lanes, _ = constants(memory.scratch)
    input_panels = ceil_div(layer.inputs, nr)
    mine = share_of(ceil_div(layer.outputs, lanes), nr // lanes, input_panels, m * nr, member)
    at_once = ceil_div(lines(ahead), max(1, count(mine)))
    for number in range(PARTS):
        cursor = begin_of(number, mine)
        for _ in range(units(cursor)):
            panel, k = cursor.panel, cursor.other
            vectors = ceil_div(min(nr, layer.outputs - panel * nr), lanes)
            d = shift(memory.scratch, layer.delta + panel * memory.rows * nr)
            if k == 0:
                bias(vectors, shift(memory.updated, layer.biases + panel * nr), d, m, scale)
            w = shift(memory.updated, layer.weights + panel * layer.panel + k * nr * nr)
            rows = min(nr, layer.inputs - k * nr)
            x_here = shift(x, k * memory.rows * nr)
            for sample in range(0, m, SAMPLES_AT_ONCE):
                terms = min(SAMPLES_AT_ONCE, m - sample)
                outer(rows, vectors, w, shift(x_here, sample * nr), shift(d, sample * nr), terms, scale)
            ahead = ask(ahead, at_once)
            cursor = after(cursor, mine)
