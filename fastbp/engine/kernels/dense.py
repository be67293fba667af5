"""One layer over a mini-batch: forward, then its counterparts backward and update.

Letters: m samples of the batch, x [m, inputs] what enters, a [m, outputs] the activation, d [m, outputs]
first its derivative da/dz, then the delta dC/dz, W [inputs, outputs] the weights, all in panels of NR
columns.  Every function does one member's share of a phase; members own outputs, so none waits for another
inside a phase.
"""

from typing import Any, NamedTuple

import numpy as np

from ...options.activations import CODES
from ...options.optimizers import NUMBERS
from .apply import apply
from .gather import Prefetch, line_count, prefetch_next
from .jit import helper, inlined
from .microkernel import bias, dot, dot_rows, outer
from .operands import (
    Strided,
    block_rows,
    if_wanted,
    prefetch_rounded,
    read_by_products,
    round_rows,
    rounded_at,
    second,
    words,
    write_block,
    write_deltas,
    write_signals,
    write_weights,
)
from .output import delta_t
from .panels import Formula, Mask, activate, drop, multiply_transposed
from .shares import PARTS, Cursor, Share, after, begin_of, ceil_div, count, share_of, units
from .team import Member, share
from .vector import clear, constants, shift

CUSTOM = CODES["custom"]

# Of an update: 2 x 16 KiB of operands with AVX-512.  A constant, for the bits depend on it.
SAMPLES_AT_ONCE = 128


class Workspace(NamedTuple):
    """Pointers, and how many rows (samples) the panels of a block have room for."""

    parameters: Any
    target: Any  # what `update` writes: the parameters, a copy of them, or the gradient of a whole batch
    state: Any  # of the optimizer, in panels like the parameters
    stride: int  # numbers from one state of a weight to the next
    scratch: Any
    private: (
        Any  # one member's own: a row of zeros, a square tile, the numbers of a step for weights and biases
    )
    rows: int
    rounded: Any  # weights as products of bfloat16 read them, in panels like the parameters; None elsewhere
    cached: int  # numbers that stay in the second-level cache


class TileUpdate(NamedTuple):
    """The use of a tile of the gradient: target = kept target + scale tile, or the optimizer's step."""

    steps: bool  # it changes the parameters themselves
    at_once: bool
    optimizer: int
    scale: float
    kept: float


class Target(NamedTuple):
    """A tile that an update writes."""

    first: Any  # pointer to its numbers
    words: Strided  # where products read them, if the tile is of weights


class Deltas(NamedTuple):
    """The deltas of a panel of outputs."""

    rows: Any  # pointer to those of the samples
    blocks: Any  # pointer to the operands made of the same, where products read tiles
    stride: int  # from those of one block of samples to the next
    columns: int  # outputs of the panel


@helper
def square(work: Workspace) -> Any:
    """The member's own square tile."""
    nr, _ = constants(work.scratch)
    return shift(work.private, nr)


@helper
def numbers(work: Workspace) -> Any:
    """The numbers of a step for weights; NUMBERS further on are those for biases."""
    nr, _ = constants(work.scratch)
    return shift(work.private, nr + nr * nr)


@helper
def outputs_of(layer: Any, work: Workspace, others: int, terms: int, member: Member) -> tuple[int, Share]:
    """A member's share of the layer's outputs x others, and how many outputs a unit has.

    They are a panel's, or a vector's where there are fewer panels than members: then each reads and writes
    its own cache lines of the weights alone.  A block of operands is never divided.
    """
    nr, lanes = constants(work.scratch)
    width = nr if block_rows(work.rounded) or layer.outputs > nr * (member.size - 1) else lanes
    vectors = ceil_div(layer.outputs, lanes)
    return width, share_of(vectors, width // lanes, others, terms * width, work.cached, member)


@helper
def weights_of(unit: Cursor, layer: Any, width: int, nr: int) -> int:
    """Where the weights of a unit of an update lie: a panel of outputs, or `width` of it, x one of inputs."""
    first = unit.panel * width
    return layer.weights + first // nr * layer.panel + unit.other * nr * nr + first % nr


@helper
def operand_of(unit: Cursor, layer: Any, work: Workspace, width: int, nr: int) -> Strided:
    """Where the words of these weights lie that products read."""
    before = unit.other * nr * nr
    offset = weights_of(unit, layer, width, nr) - before + words(work.rounded, before)
    return Strided(rounded_at(work.rounded, offset), second(work.rounded, layer.panel))


@helper
def way_to(unit: Cursor, offset: int, layer: Any, width: int, nr: int) -> int:
    """How far beyond `offset` the weights of the next unit lie; 0 after the last."""
    return 0 if unit.panel == unit.last_panel else weights_of(unit, layer, width, nr) - offset


@helper
def operand_at(panel: int, row: int, block: Any, work: Workspace) -> Strided:
    """Where the operands of samples from `row` on begin, in the panel at that place in a block."""
    nr, _ = constants(work.scratch)
    first = shift(block, panel + words(work.rounded, row * nr))
    return Strided(first, second(work.rounded, work.rows * nr))


def forward_by(product: Any) -> Any:
    """The forward pass of a layer over samples that ``product`` knows how to read.

    ``product(layer, work, x, row, size, a, b, w)`` makes a tile, a = x w + b, of the size (rows, vectors),
    from the sample at `row` on.
    """

    @inlined
    def forward(
        layer: Any, work: Workspace, x: Any, m: int, hidden: bool, mask: Mask, sample: int, member: Member
    ) -> None:
        """a = activation(x W + b) and d = da/dz, both with dropout; the last layer is left at z.

        A unit is one tile of samples in one panel of outputs.  `sample` counts the samples of the batch
        before the first of x.
        """
        formula = Formula(layer.activation, layer.parameter, layer.address)
        nr, lanes = constants(work.scratch)
        side = block_rows(work.rounded)
        tiles = ceil_div(m, dot_rows(work.rounded, work.scratch))
        width, mine = outputs_of(layer, work, tiles, layer.inputs, member)
        for number in range(PARTS):
            cursor = begin_of(number, mine)
            for _ in range(units(cursor)):
                first, tile = cursor.panel * width, cursor.other
                panel, column = first // nr, first % nr
                row = tile * side if side else m * tile // tiles
                rows = (min(m, row + side) if side else m * (tile + 1) // tiles) - row
                vectors = ceil_div(min(width, layer.outputs - first), lanes)
                offset = (panel * work.rows + row) * nr + column
                b = shift(work.parameters, layer.biases + first)
                weights = read_by_products(work.parameters, work.rounded)
                right = second(work.rounded, layer.panel)
                w = shift(weights, layer.weights + panel * layer.panel + right + column)
                z = square(work) if side and hidden else shift(work.scratch, layer.a + offset)
                product(layer, work, x, row, (rows, vectors), z, b, w)
                if hidden:
                    d = shift(work.scratch, layer.delta + offset)
                    activate(formula, rows, vectors, z, d)
                    if mask.word >= 0 and layer.dropout > 0:
                        unit = (sample + row) * layer.outputs + first
                        drop(rows, vectors, z, d, mask, unit, layer.outputs, layer.dropout)
                    if side and layer.activation == CUSTOM:  # which may be subnormal
                        round_rows(work.rounded, rows, vectors, z)
                    a = operand_at(layer.a + panel * work.rows * nr + column, row, work.scratch, work)
                    write_signals(work.rounded, (rows, vectors), layer.outputs - first, a, z)
                cursor = after(cursor, mine)

    return forward


@inlined
def _product(
    layer: Any, work: Workspace, x: Any, row: int, size: tuple[int, int], a: Any, b: Any, w: Any
) -> None:
    rows, vectors = size
    nr, _ = constants(work.scratch)
    panels = Strided(shift(x, words(work.rounded, row * nr)), work.rows * nr)
    dot(work.rounded, rows, vectors, a, Strided(b, 0), panels, w, layer.inputs)


forward = forward_by(_product)


@inlined
def backward(layer: Any, below: Any, work: Workspace, m: int, member: Member) -> None:
    """d of `below` *= d W^T; a unit is one panel of inputs x one of samples."""
    nr, lanes = constants(work.scratch)
    zeros, g = Strided(work.private, 0), square(work)
    sample_panels = ceil_div(m, nr)
    mine = share_of(ceil_div(layer.inputs, nr), 1, sample_panels, layer.outputs * nr, work.cached, member)
    for number in range(PARTS):
        cursor = begin_of(number, mine)
        for _ in range(units(cursor)):
            panel, sample = cursor.panel, cursor.other * nr
            inputs, samples = min(nr, layer.inputs - panel * nr), min(nr, m - sample)
            tiles = ceil_div(inputs, dot_rows(work.rounded, work.scratch))
            d_t = delta_t(layer, work, 0, sample)
            for tile in range(tiles):
                row = inputs * tile // tiles
                rows = inputs * (tile + 1) // tiles - row
                weights = read_by_products(work.parameters, work.rounded)
                here = layer.weights + words(work.rounded, (panel * nr + row) * nr)
                w, right = Strided(shift(weights, here), layer.panel), shift(d_t.first, d_t.stride)
                vectors = ceil_div(samples, lanes)
                dot(work.rounded, rows, vectors, shift(g, row * nr), zeros, w, right, layer.outputs)
            d = shift(work.scratch, below.delta + (panel * work.rows + sample) * nr)
            multiply_transposed(inputs, samples, d, g)
            if below.inputs > 0:  # the gradient by the network's inputs is no operand
                round_rows(work.rounded, samples, ceil_div(inputs, lanes), d)
            if below.delta_t >= 0:
                target = delta_t(below, work, panel * nr, sample)
                write_deltas(work.rounded, samples, inputs, target, d)
            cursor = after(cursor, mine)


def update_by(gradient: Any) -> Any:
    """The update of a layer over samples that ``gradient`` knows how to read.

    ``gradient(work, x, panel, m, size, g, d, rule)`` makes a tile, g = kept g + scale x^T d, of the size
    (rows, vectors), for a panel of inputs, and its words where it makes a step.
    """

    @inlined
    def update(
        layer: Any, work: Workspace, x: Any, m: int, rule: TileUpdate, ahead: Prefetch, member: Member
    ) -> None:
        """target = kept target + scale x^T d, or at once the optimizer's step by x^T d.

        A unit is a panel of outputs x one of inputs.  Samples are taken `SAMPLES_AT_ONCE`, so that both
        operands of a unit lie in the first-level cache.  Meanwhile the rows `ahead` are prefetched, some
        lines per unit, for all at once would fill the queue.
        """
        nr, lanes = constants(work.scratch)
        input_panels = ceil_div(layer.inputs, nr)
        width, mine = outputs_of(layer, work, input_panels, m, member)
        lines_per_unit = ceil_div(line_count(ahead), max(1, count(mine)))
        h = numbers(work)
        for number in range(PARTS):
            cursor = begin_of(number, mine)
            for _ in range(units(cursor)):
                first, k = cursor.panel * width, cursor.other
                panel, column = first // nr, first % nr
                vectors = ceil_div(min(width, layer.outputs - first), lanes)
                d = shift(work.scratch, layer.delta + panel * work.rows * nr + column)
                blocks = delta_t(layer, work, first, 0).first
                deltas = Deltas(d, blocks, layer.delta_t_panel, layer.outputs - first)
                if k == 0:
                    offset = layer.biases + first
                    g = square(work) if rule.at_once else shift(work.target, offset)
                    if rule.at_once:
                        clear(nr, g)
                    bias(vectors, g, d, m, rule.scale)
                    if rule.at_once:
                        b, state = shift(work.parameters, offset), shift(work.state, offset)
                        apply(rule.optimizer, 1, vectors, b, g, state, work.stride, shift(h, NUMBERS), 0)
                offset = weights_of(cursor, layer, width, nr)
                rows = min(nr, layer.inputs - k * nr)
                g = square(work) if rule.at_once else shift(work.target, offset)
                w, state = shift(work.parameters, offset), shift(work.state, offset)
                there = operand_of(cursor, layer, work, width, nr)
                if rule.steps:
                    prefetch_rounded(there, rows)
                gradient(work, x, k, m, (rows, vectors), Target(g, there), deltas, rule)
                following = after(cursor, mine)
                if rule.at_once:
                    coming = way_to(following, offset, layer, width, nr)
                    apply(rule.optimizer, rows, vectors, w, g, state, work.stride, h, coming)
                    write_weights(there, (rows, vectors), w)
                ahead = prefetch_next(ahead, lines_per_unit)
                cursor = following

    return update


@inlined
def _gradient(
    work: Workspace, x: Any, panel: int, m: int, size: tuple[int, int], g: Target, d: Deltas, rule: TileUpdate
) -> None:
    nr, _ = constants(work.scratch)
    x_here = shift(x, panel * work.rows * nr + second(work.rounded, work.rows * nr))
    for sample in range(0, m, SAMPLES_AT_ONCE):
        terms = min(SAMPLES_AT_ONCE, m - sample)
        kept = rule.kept if sample == 0 else 1.0
        x_now, d_now = shift(x_here, words(work.rounded, sample * nr)), shift(d.rows, sample * nr)
        if block_rows(work.rounded):
            d_now = shift(d.blocks, sample // nr * d.stride)
        writes = rule.steps and not rule.at_once and sample + terms == m
        place = Strided(if_wanted(g.words.first, writes), g.words.stride)
        outer(d.columns, place, size, g.first, x_now, Strided(d_now, d.stride), terms, rule.scale, kept)


update = update_by(_gradient)


@inlined
def step_all(layer: Any, work: Workspace, optimizer: int, member: Member) -> None:
    """The optimizer's step by a whole batch's gradient, which is cleared; the units are those of `update`."""
    nr, lanes = constants(work.scratch)
    input_panels = ceil_div(layer.inputs, nr)
    width, mine = outputs_of(layer, work, input_panels, 1, member)
    h = numbers(work)
    for number in range(PARTS):
        cursor = begin_of(number, mine)
        for _ in range(units(cursor)):
            first, k = cursor.panel * width, cursor.other
            vectors = ceil_div(min(width, layer.outputs - first), lanes)
            if k == 0:
                offset = layer.biases + first
                b, g = shift(work.parameters, offset), shift(work.target, offset)
                state = shift(work.state, offset)
                apply(optimizer, 1, vectors, b, g, state, work.stride, shift(h, NUMBERS), 0)
                clear(vectors * lanes, g)
            offset = weights_of(cursor, layer, width, nr)
            following = after(cursor, mine)
            coming = way_to(following, offset, layer, width, nr)
            rows = min(nr, layer.inputs - k * nr)
            w, g = shift(work.parameters, offset), shift(work.target, offset)
            apply(optimizer, rows, vectors, w, g, shift(work.state, offset), work.stride, h, coming)
            write_weights(operand_of(cursor, layer, work, width, nr), (rows, vectors), w)
            for row in range(rows):
                clear(vectors * lanes, shift(g, row * nr))
            cursor = following


@helper
def write_blocks(layer: Any, rounded: Any, parameters: Any, member: Member) -> None:
    """Writes the weights of a layer as products read them, where operands have blocks."""
    nr, _ = constants(parameters)
    blocks = ceil_div(layer.inputs, nr)
    first, last = share(ceil_div(layer.outputs, nr) * blocks, member)
    for number in range(first, last):
        panel, block = layer.weights + number // blocks * layer.panel, number % blocks * nr * nr
        there = Strided(rounded_at(rounded, panel + words(rounded, block)), second(rounded, layer.panel))
        write_block(there, shift(parameters, panel + block))


@helper
def squares(
    layer: Any, work: Workspace, scale: float, l2: float, l1: float, out: Any, member: Member
) -> None:
    """out[j] = the sum of the squared gradients of unit j's bias and weights, in float64, inputs ascending.

    The gradients are `scale` times the target's, with those of the penalties.
    """
    nr, _ = constants(work.scratch)
    panels = ceil_div(layer.outputs, nr)
    begin, end = share(panels, member)
    for panel in range(begin, end):
        columns = min(nr, layer.outputs - panel * nr)
        b = shift(work.target, layer.biases + panel * nr)
        g = shift(work.target, layer.weights + panel * layer.panel)
        w = shift(work.parameters, layer.weights + panel * layer.panel)
        for j in range(columns):
            gradient = scale * b[j]
            out[panel * nr + j] = gradient * gradient
        for k in range(layer.inputs):
            for j in range(columns):
                weight = np.float64(w[k * nr + j])
                gradient = scale * g[k * nr + j] + l2 * weight + l1 * np.sign(weight)
                out[panel * nr + j] += gradient * gradient
