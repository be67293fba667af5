"""The kernels that Python calls for networks in lanes: a chunk of training steps, and a forward pass.

A *group* has a network in each lane of a vector.  A member of the team takes whole groups, one after
another, so that none waits for another.  Within a group, some samples at a time go through all layers and
leave their share of the gradient in a chain; see `lanes`.
"""

from typing import Any, NamedTuple

import numba
import numpy as np
from numba import types

from ...options.optimizers import NUMBERS
from .barrier import add_one, assembled
from .dense import SAMPLES_AT_ONCE
from .gather import LABELS, SCALED, Units, ends, gather, one_hot
from .jit import helper, inlined, kernel
from .lane_output import add_costs, cost_delta, costs, softmax, softmax_delta, weigh
from .lanes import (
    COLUMNS,
    Masks,
    Matrix,
    Weights,
    activate,
    add_squares,
    advance,
    drop,
    fold,
    interleave,
    multiply,
    multiply_derivative,
    multiply_shared,
    spread,
)
from .output import COUPLED, CUSTOM, FIRST_OF_LOGITS, SOFTMAX, Sums
from .panels import Formula
from .records import FUSED, LANE_LAYER, LANE_PLAN
from .step import DECAY, L1, L2, RATE, SCALE
from .team import Member
from .vector import clear, constants, pointer, shift

CONSTANTS = 3  # vectors before the numbers of a step
BLOCK = 512  # as layout.BLOCK: the samples whose deltas are added for a bias in one chain


class Lanes(NamedTuple):
    """Packed groups of networks and a scratch for each member.

    ``plan`` is a LANE_PLAN, ``layers`` are LANE_LAYERs, the first of them the inputs.  ``targets`` hold the
    gradients, or the new weights, of a batch that takes several chains.  ``networks`` has the network in each
    lane of a group, or -1.
    """

    parameters: np.ndarray  # (groups, numbers)
    state: np.ndarray
    targets: np.ndarray
    scratch: np.ndarray  # (members, numbers)
    doubles: np.ndarray
    integers: np.ndarray
    plan: np.ndarray
    layers: np.ndarray
    networks: np.ndarray  # (groups, lanes)


class Options(NamedTuple):
    """What differs by network: whether it trains, its clip norm (0: none), its key of dropout's masks, the
    number of its first step, and its rates of dropout, one a hidden layer.
    """

    active: np.ndarray
    clip_norms: np.ndarray
    keys: np.ndarray
    first_steps: np.ndarray
    dropout: np.ndarray


class LaneRows(NamedTuple):
    """Rows of the user's data, as `step.Rows`, of all networks or of one after another.

    ``next_raw`` and ``next_scaling`` are the numbers from what one network reads to what the next does, 0
    where they read the same.  `is_shared` tells if all lanes have the same rows, in the same order.
    """

    raw: np.ndarray
    count: int
    kind: int
    divisor: float
    mean: np.ndarray
    factor: np.ndarray
    next_raw: int
    next_scaling: int
    is_shared: int


class LaneSamples(NamedTuple):
    """Inputs, targets, weights (or none), and the order of rows; one for all or one a network."""

    X: LaneRows
    Y: LaneRows
    weights: np.ndarray  # flat
    next_weights: int
    orders: np.ndarray  # (1 or networks, positions)


class LaneSteps(NamedTuple):
    """The range of positions to train on, the batch size, and each network's numbers of each step."""

    first: int
    last: int
    batch_size: int
    numbers: np.ndarray


class Work(NamedTuple):
    """Pointers to a group's numbers and into the member's memory."""

    parameters: Any
    state: Any
    stride: int  # from one state to the next
    target: Any
    scratch: Any
    chains: Any
    numbers: Any  # a vector of zeros, two of ones, then those of a step for weights and for biases
    gathered: Any
    costs: Any  # float64 vectors, one a sample
    weights: Any
    totals: Any  # float64 vectors, here and below: running costs
    clipped: Any
    factors: Any  # three
    rates: Any  # of dropout in a layer
    squares: Any  # one an output of any layer
    networks: Any  # int64 vectors, here and below: the network of each lane
    active: Any  # whether its weights may change
    everyone: Any
    keys: Any
    words: Any


@helper
def _work(net: Lanes, group: int, member: Member) -> Work:
    plan, scratch = net.plan[0], pointer(net.scratch, member.rank * net.scratch.shape[1])
    _, lanes = constants(scratch)
    size = net.parameters.shape[1]
    doubles = pointer(net.doubles, member.rank * net.doubles.shape[1])
    integers = pointer(net.integers, member.rank * net.integers.shape[1])
    after = shift(doubles, 2 * plan.rows * lanes)
    return Work(
        pointer(net.parameters, group * size),
        pointer(net.state, group * net.state.shape[1]),
        size,
        pointer(net.targets, group * net.targets.shape[1]),
        scratch,
        shift(scratch, plan.chains),
        shift(scratch, plan.numbers),
        shift(scratch, plan.gathered),
        doubles,
        shift(doubles, plan.rows * lanes),
        after,
        shift(after, lanes),
        shift(after, 2 * lanes),
        shift(after, 5 * lanes),
        shift(after, 6 * lanes),
        integers,
        shift(integers, lanes),
        shift(integers, 2 * lanes),
        shift(integers, 3 * lanes),
        shift(integers, 4 * lanes),
    )


@helper
def _zeros(work: Work) -> Matrix:
    return Matrix(work.numbers, 0, 0)


# ---------------------------------------------------------------- the phases, each inlined once in a kernel


@inlined
def _gather(net: Lanes, work: Work, samples: LaneSamples, begin: int, count: int, wants_y: bool) -> None:
    """Rows of the samples at the positions from `begin` on, with targets and weights if these are wanted.

    Inputs that all lanes share stay panels of one lane; others become lane matrices.
    """
    nr, lanes = constants(work.scratch)
    plan, orders = net.plan[0], samples.orders
    room = (
        plan.rows + 1
    ) * nr  # of a lane's panel: not a power of two, lest all fall into one set of a cache
    for part in range(2 if wants_y else 1):
        rows, offset, row = samples.X, plan.x, plan.x_row
        if part:
            rows, offset, row = samples.Y, plan.y, plan.y_row
        size, stays = rows.raw.shape[1], part == 0 and rows.is_shared
        for first in range(0, rows.count, nr):
            columns = min(nr, rows.count - first)
            panels = shift(work.scratch, offset + first * plan.rows) if stays else work.gathered
            for lane in range(1 if rows.is_shared else lanes):
                network = max(0, work.networks[lane])
                source = pointer(rows.raw, network * rows.next_raw)
                positions = pointer(orders, _order_of(network, orders) + begin)
                panel = shift(panels, lane * room)
                scaling = network * rows.next_scaling
                mean, factor = pointer(rows.mean, scaling), pointer(rows.factor, scaling)
                if rows.kind % SCALED == LABELS:
                    one_hot(first, panel, count, source, size, positions, ends(rows.kind, mean, factor))
                else:
                    units = Units(rows.divisor, shift(mean, first), shift(factor, first))
                    here = shift(source, first * (size // rows.count))
                    gather(rows.kind, columns, panel, count, here, size, positions, units)
            there = Matrix(shift(work.scratch, offset + first * lanes), row, lanes)
            if not rows.is_shared:
                interleave(count, columns, there, Matrix(panels, nr, room))
            elif not stays:
                spread(count, columns, there, Matrix(panels, nr, 1))
    if wants_y and samples.weights.size:
        _gather_weights(work, samples, begin, count)


@helper
def _order_of(network: int, orders: np.ndarray) -> int:
    """Where the order of a network begins."""
    return (network if orders.shape[0] > 1 else 0) * orders.shape[1]


@helper
def _gather_weights(work: Work, samples: LaneSamples, begin: int, count: int) -> None:
    _, lanes = constants(work.scratch)
    positions = pointer(samples.orders, begin)
    for lane in range(lanes):
        network = max(0, work.networks[lane])
        order = shift(positions, _order_of(network, samples.orders))
        weights = pointer(samples.weights, network * samples.next_weights)
        for i in range(count):
            work.weights[i * lanes + lane] = weights[order[i]]


@inlined
def _forward(
    net: Lanes, work: Work, m: int, is_shared: bool, options: Options, step: int, sample: int
) -> None:
    """Activations of every layer but the last, whose weighted input is left in the products.

    Of hidden layers a few columns are taken at a time, as wide as a tile, whose weighted input stays in the
    first-level cache, as in `_backward`.

    `step` counts those of the chunk, negative for no dropout; `sample` the samples of the batch before.
    """
    nr, lanes = constants(work.scratch)
    plan, last = net.plan[0], net.layers.shape[0] - 1
    x = Matrix(shift(work.scratch, plan.x), plan.x_row, lanes)
    products = shift(work.scratch, plan.products)
    for number in range(1, last + 1):
        layer = net.layers[number]
        row = layer.weights_row
        a, d = shift(work.scratch, layer.a), shift(work.scratch, layer.delta)
        width = COLUMNS if number < last else layer.outputs
        z = Matrix(products, plan.products_row if number < last else layer.row, lanes)
        for unit in range(0, layer.outputs, width):
            columns, here = min(width, layer.outputs - unit), unit * lanes
            start = Matrix(shift(work.parameters, layer.biases + here), 0, lanes)
            w = shift(work.parameters, layer.weights + here)
            if number == 1 and is_shared:
                for first in range(0, layer.inputs, nr):
                    p = Matrix(shift(x.first, first * plan.rows), nr, 1)
                    q = Matrix(shift(w, first * row), row, lanes)
                    multiply_shared(m, columns, z, start, p, q, min(nr, layer.inputs - first))
                    start = z
            else:
                multiply(m, columns, z, start, x, Matrix(w, row, lanes), layer.inputs)
            if number < last:
                formula = Formula(layer.activation, layer.parameter, 0)
                a_here, d_here = (
                    Matrix(shift(a, here), layer.row, lanes),
                    Matrix(shift(d, here), layer.row, lanes),
                )
                activate(formula, m, columns, z, a_here, d_here)
        if number < last and step >= 0 and options.dropout.shape[1]:
            masks = _masks(work, options, step, number, last)
            a_all, d_all = Matrix(a, layer.row, lanes), Matrix(d, layer.row, lanes)
            drop(m, layer.outputs, a_all, d_all, masks, sample * layer.outputs, layer.outputs)
        x = Matrix(a, layer.row, lanes)


@helper
def _masks(work: Work, options: Options, step: int, number: int, last: int) -> Masks:
    """The masks of a layer in a step of the chunk."""
    _, lanes = constants(work.scratch)
    for lane in range(lanes):
        network = max(0, work.networks[lane])
        work.keys[lane] = options.keys[network]
        work.words[lane] = (options.first_steps[network] + step) * last + number - 1
        work.rates[lane] = options.dropout[network, number - 1]
    return Masks(work.keys, work.words, work.rates)


@inlined
def _output(net: Lanes, work: Work, m: int, wants_costs: bool, learns: bool, is_weighted: bool) -> None:
    """Outputs a of the last layer from z and, where it `learns`, d = dC/dz; and the samples' costs."""
    _, lanes = constants(work.scratch)
    plan, layer = net.plan[0], net.layers[net.layers.shape[0] - 1]
    cost = Formula(plan.cost, plan.parameter, 0)
    z = Matrix(shift(work.scratch, plan.products), layer.row, lanes)
    a = Matrix(shift(work.scratch, layer.a), layer.row, lanes)
    d = Matrix(shift(work.scratch, layer.delta), layer.row, lanes)
    y = Matrix(shift(work.scratch, plan.y), plan.y_row, lanes)
    has_logits_form = FIRST_OF_LOGITS <= plan.cost < CUSTOM
    if wants_costs and has_logits_form:
        costs(cost, m, layer.outputs, work.costs, z, y)
    if layer.activation == SOFTMAX:
        softmax(m, layer.outputs, z, a, d, y, Sums(cost.code, cost.parameter, work.costs, int(wants_costs)))
    else:
        activate(Formula(layer.activation, layer.parameter, 0), m, layer.outputs, z, a, d)
    if wants_costs and not has_logits_form:
        costs(cost, m, layer.outputs, work.costs, a, y)
    if learns:
        cost_delta(cost, m, layer.outputs, d, a, y)
        if layer.activation == SOFTMAX and (plan.cost == COUPLED or not has_logits_form):
            softmax_delta(m, layer.outputs, d, a, int(has_logits_form))
    if is_weighted:
        weigh(m, layer.outputs, d, work.costs, work.weights)


@inlined
def _backward(net: Lanes, work: Work, m: int, sample: int, is_shared: bool) -> None:
    """From the last layer to the lowest that learns: the delta below, and the terms of its gradient.

    The chains of a gradient begin anew every so many samples of a batch.
    """
    nr, lanes = constants(work.scratch)
    plan, zeros = net.plan[0], _zeros(work)
    for number in range(net.layers.shape[0] - 1, plan.first_trainable - 1, -1):
        layer, below = net.layers[number], net.layers[number - 1]
        row, delta = layer.weights_row, shift(work.scratch, layer.delta)
        if number > plan.first_trainable:
            products = Matrix(shift(work.scratch, plan.products), plan.products_row, lanes)
            for first in range(0, layer.inputs, COLUMNS):
                columns = min(COLUMNS, layer.inputs - first)
                q = Matrix(shift(work.parameters, layer.weights + first * row), lanes, row)
                multiply(m, columns, products, zeros, Matrix(delta, layer.row, lanes), q, layer.outputs)
                d = Matrix(shift(work.scratch, below.delta + first * lanes), below.row, lanes)
                multiply_derivative(m, columns, d, products)
        if layer.frozen:
            continue
        chain = Matrix(shift(work.chains, layer.weights), row, lanes)
        is_new, d = sample % SAMPLES_AT_ONCE == 0, Matrix(delta, layer.row, lanes)
        if number == 1 and is_shared:
            for first in range(0, layer.inputs, nr):
                x = Matrix(shift(work.scratch, plan.x + first * plan.rows), 1, nr)
                here = Matrix(shift(chain.first, first * row), row, lanes)
                start = zeros if is_new else here
                multiply_shared(min(nr, layer.inputs - first), layer.outputs, here, start, x, d, m)
        else:
            x = Matrix(shift(work.scratch, below.a), lanes, below.row)
            multiply(layer.inputs, layer.outputs, chain, zeros if is_new else chain, x, d, m)
        biases = Matrix(shift(work.chains, layer.biases), lanes, 0)
        ones = Matrix(shift(work.numbers, lanes), 0, 0)
        start = zeros if sample % BLOCK == 0 else biases
        multiply(layer.outputs, 1, biases, start, Matrix(delta, lanes, layer.row), ones, m)


@helper
def _part(layer: Any, of_biases: int) -> tuple[int, int, int]:
    """The offset, the rows and their stride of a layer's weights, or of its biases."""
    return (layer.biases, 1, 0) if of_biases else (layer.weights, layer.inputs, layer.weights_row)


@helper
def _start(net: Lanes, work: Work, offset: int, row: int, is_first: bool) -> Matrix:
    """What a chain is added to: what earlier chains of the batch have left, else the weights, or zeros."""
    _, lanes = constants(work.scratch)
    if not is_first:
        return Matrix(shift(work.target, offset), row, lanes)
    if net.plan[0].optimizer == FUSED:
        return Matrix(shift(work.parameters, offset), row, lanes)
    return Matrix(work.numbers, 0, 0)


@helper
def _numbers(work: Work, of_biases: bool) -> Any:
    """The numbers of a step."""
    _, lanes = constants(work.scratch)
    return shift(work.numbers, (CONSTANTS + NUMBERS if of_biases else CONSTANTS) * lanes)


@helper
def _set_numbers(net: Lanes, work: Work, steps: LaneSteps, step: int, samples: int) -> None:
    """The numbers of a step by lane, for weights and then for biases; see `step._set_numbers`.

    For `FUSED`, the factors of a batch's first chain of weights, and of other chains.
    """
    _, lanes = constants(work.scratch)
    h, h_biases = _numbers(work, False), _numbers(work, True)
    for lane in range(lanes):
        network = max(0, work.networks[lane])
        given = steps.numbers[network, step]
        if net.plan[0].optimizer == FUSED:
            h[lane] = h_biases[lane] = -given[RATE] / samples
            h[lanes + lane] = 1.0 - given[RATE] * given[L2]
            h_biases[lanes + lane] = 1.0
        else:
            clipped = work.clipped[lane]
            for i in range(NUMBERS):
                h[i * lanes + lane] = h_biases[i * lanes + lane] = given[i]
            h[SCALE * lanes + lane] = h_biases[SCALE * lanes + lane] = 1.0 / samples * clipped
            h[L2 * lanes + lane] = given[L2] * clipped
            h[L1 * lanes + lane] = given[L1] * clipped
            for i in (L2, L1, DECAY):
                h_biases[i * lanes + lane] = 0.0


@inlined
def _fold(net: Lanes, work: Work, now: int, with_biases: bool) -> None:
    """Adds the chains to the batch's target after `now` of its samples."""
    _, lanes = constants(work.scratch)
    for number in range(max(1, net.plan[0].first_trainable), net.layers.shape[0]):
        layer = net.layers[number]
        for of_biases in range(0 if layer.frozen else 1 + with_biases):
            offset, rows, row = _part(layer, of_biases)
            is_first = now <= (BLOCK if of_biases else SAMPLES_AT_ONCE)
            factors = shift(work.numbers, lanes)  # ones
            if net.plan[0].optimizer == FUSED:
                factors = _numbers(work, not is_first or of_biases)
            target = Matrix(shift(work.target, offset), row, lanes)
            chain = Matrix(shift(work.chains, offset), row, lanes)
            start = _start(net, work, offset, row, is_first)
            fold(rows, layer.outputs, target, chain, start, factors, work.everyone)


@inlined
def _clip(net: Lanes, work: Work, options: Options, steps: LaneSteps, step: int, samples: int) -> None:
    """Sets each lane's factor that makes its gradient's norm at most its own; the gradient is in the target.

    The norm is over all layers that learn.
    """
    _, lanes = constants(work.scratch)
    _set_factors(work, steps, step, samples)
    for number in range(max(1, net.plan[0].first_trainable), net.layers.shape[0]):
        layer = net.layers[number]
        if not layer.frozen:
            for of_biases in range(1, -1, -1):
                offset, rows, row = _part(layer, of_biases)
                if of_biases:
                    clear(layer.outputs * lanes, work.squares)
                g = Matrix(shift(work.target, offset), row, lanes)
                w = _zeros(work) if of_biases else Matrix(shift(work.parameters, offset), row, lanes)
                add_squares(rows, layer.outputs, g, w, work.factors, work.squares)
            _add_to_norm(work, layer.outputs)
    for lane in range(lanes):
        norm, most = np.sqrt(work.clipped[lane]), options.clip_norms[max(0, work.networks[lane])]
        work.clipped[lane] = most / norm if most > 0 and norm > most else 1.0


@helper
def _set_factors(work: Work, steps: LaneSteps, step: int, samples: int) -> None:
    """The factors of gradients and penalties, of which `_clip` takes the norm, which is 0 as yet."""
    _, lanes = constants(work.scratch)
    for lane in range(lanes):
        given = steps.numbers[max(0, work.networks[lane]), step]
        work.factors[lane] = 1.0 / samples
        work.factors[lanes + lane] = given[L2]
        work.factors[2 * lanes + lane] = given[L1]
        work.clipped[lane] = 0.0


@helper
def _add_to_norm(work: Work, units: int) -> None:
    _, lanes = constants(work.scratch)
    for i in range(units):
        for lane in range(lanes):
            work.clipped[lane] += work.squares[i * lanes + lane]


@inlined
def _advance(net: Lanes, work: Work, samples: int) -> None:
    """Makes the step of a batch of so many samples: from its chains, or from its target and last chains."""
    _, lanes = constants(work.scratch)
    plan = net.plan[0]
    optimizer, zeros = plan.optimizer, _zeros(work)
    for number in range(max(1, plan.first_trainable), net.layers.shape[0]):
        layer = net.layers[number]
        for of_biases in range(0 if layer.frozen else 2):
            offset, rows, row = _part(layer, of_biases)
            is_first = not plan.clips and samples <= (BLOCK if of_biases else SAMPLES_AT_ONCE)
            start = _start(net, work, offset, row, is_first)
            chain = zeros if plan.clips else Matrix(shift(work.chains, offset), row, lanes)
            w = shift(work.parameters, offset)
            if optimizer == FUSED:
                h = _numbers(work, not is_first or of_biases)
                fold(rows, layer.outputs, Matrix(w, row, lanes), chain, start, h, work.active)
            else:
                h = _numbers(work, of_biases)
                weights = Weights(w, shift(work.state, offset), work.stride, row)
                advance(optimizer, rows, layer.outputs, weights, chain, start, h, work.active)


# ---------------------------------------------------------------- a group


@helper
def _begin_group(net: Lanes, work: Work, group: int) -> None:
    """Fills the member's vectors that stay the same for a group."""
    _, lanes = constants(work.scratch)
    for lane in range(lanes):
        work.networks[lane] = net.networks[group, lane]
        work.everyone[lane] = -1
        work.clipped[lane] = 1.0
        work.numbers[lane] = 0.0
        work.numbers[lanes + lane] = work.numbers[2 * lanes + lane] = 1.0


@helper
def _begin_training(work: Work, options: Options, losses: Any) -> bool:
    """Fills the lanes that train and their running costs; tells if there is any."""
    _, lanes = constants(work.scratch)
    any_active = False
    for lane in range(lanes):
        network = max(0, work.networks[lane])
        is_active = work.networks[lane] >= 0 and options.active[network] != 0
        work.active[lane] = -is_active
        work.totals[lane] = losses[network]
        any_active = any_active or is_active
    return any_active


@helper
def _stop_diverged(work: Work, batch: int, losses: Any, reached: Any) -> bool:
    """Stops the lanes whose cost is not finite, before the step of this batch; tells if any goes on."""
    _, lanes = constants(work.scratch)
    goes_on = False
    for lane in range(lanes):
        if work.active[lane]:
            if np.isfinite(work.totals[lane]):
                goes_on = True
            else:
                work.active[lane] = 0
                losses[work.networks[lane]] = work.totals[lane]
                reached[work.networks[lane]] = batch
    return goes_on


@helper
def _end_group(work: Work, position: int, losses: Any, reached: Any) -> None:
    _, lanes = constants(work.scratch)
    for lane in range(lanes):
        if work.active[lane]:
            losses[work.networks[lane]] = work.totals[lane]
            reached[work.networks[lane]] = position


@helper
def _copy_outputs(net: Lanes, work: Work, begin: int, m: int, out: Any, losses: Any) -> None:
    """Copies the outputs of m samples, and their costs where there is room, to each network's rows."""
    _, lanes = constants(work.scratch)
    layer = net.layers[net.layers.shape[0] - 1]
    a = shift(work.scratch, layer.a)
    for lane in range(lanes):
        network = work.networks[lane]
        if network >= 0:
            for i in range(m):
                for j in range(layer.outputs):
                    out[network, begin + i, j] = a[i * layer.row + j * lanes + lane]
                if losses.size:
                    losses[network, begin + i] = work.costs[i * lanes + lane]


@helper
def _span(begin: int, batch_size: int, total: int, rows: int) -> tuple[int, int, int, bool]:
    """The samples from a position on that are trained on at once: at most `rows` of a batch and of a chain.

    How many of the batch came before, the position after them, the batch's samples, and if it is over then.
    """
    batch = begin // batch_size * batch_size
    batch_end = min(batch + batch_size, total)
    here = begin - batch
    chain_end = begin - here % SAMPLES_AT_ONCE + SAMPLES_AT_ONCE
    end = min(min(begin + rows, chain_end), batch_end)
    return here, end, batch_end - batch, end == batch_end


# ---------------------------------------------------------------- the kernels


def _records(dtype: Any) -> tuple[Any, ...]:
    """Numba's types of the arguments that both kernels have."""
    i, doubles = types.int64, types.float64
    element = types.float32 if dtype == np.float32 else doubles
    plan, layers = (numba.from_dtype(record)[::1] for record in (LANE_PLAN, LANE_LAYER))
    numbers = element[:, ::1]
    net = types.NamedTuple(
        [numbers, numbers, numbers, numbers, doubles[:, ::1], i[:, ::1], plan, layers, i[:, ::1]], Lanes
    )
    options = types.NamedTuple([i[::1], doubles[::1], i[::1], i[::1], doubles[:, ::1]], Options)

    def read(kind: Any, dimensions: int) -> Any:
        return types.Array(kind, dimensions, "C", readonly=True)

    fields = [read(types.uint8, 2), i, i, doubles, read(doubles, 1), read(doubles, 1), i, i, i]
    rows = types.NamedTuple(fields, LaneRows)
    samples = types.NamedTuple([rows, rows, read(doubles, 1), i, read(i, 2)], LaneSamples)
    member = types.NamedTuple([i] * 4, Member)
    return element, net, options, samples, types.UniTuple(i[::1], 2), member


def _signature_of_train(dtype: Any) -> Any:
    _, net, options, samples, shared, member = _records(dtype)
    i, doubles = types.int64, types.float64
    steps = types.NamedTuple([i, i, i, doubles[:, :, ::1]], LaneSteps)
    return types.void(net, options, samples, steps, doubles[::1], i[::1], shared, member)


def _signature_of_infer(dtype: Any) -> Any:
    element, net, options, samples, shared, member = _records(dtype)
    span = types.UniTuple(types.int64, 2)
    out, losses = element[:, :, ::1], types.float64[:, ::1]
    return types.void(net, options, samples, span, out, losses, shared, member)


@kernel(_signature_of_train)
def train_lanes(
    net: Lanes,
    options: Options,
    samples: LaneSamples,
    steps: LaneSteps,
    losses: Any,
    reached: Any,
    shared: tuple[Any, Any],
    member: Member,
) -> None:
    """Trains the groups that `shared`, flags of a barrier and a queue, leaves to this member.

    A network begins at losses[i], which becomes its running cost, and reached[i] the position that it came
    to: that of the batch before whose step its cost was not finite, or the last.
    """
    flags, queue = shared
    orders, clips = samples.orders, net.plan[0].clips
    if not assembled(pointer(flags, 0), member.rank, member.size):
        return
    while True:
        group = add_one(pointer(queue, 0))
        if group >= net.parameters.shape[0]:
            break
        work = _work(net, group, member)
        _begin_group(net, work, group)
        begin, step = steps.first, 0
        last = steps.last if _begin_training(work, options, losses) else begin
        while begin < last:
            here, end, samples_of_batch, is_over = _span(
                begin, steps.batch_size, orders.shape[1], net.plan[0].rows
            )
            m, now = end - begin, here + end - begin
            _gather(net, work, samples, begin, m, True)
            _forward(net, work, m, samples.X.is_shared, options, step, here)
            _output(net, work, m, True, True, samples.weights.size > 0)
            add_costs(m, work.totals, work.costs, work.scratch)
            _backward(net, work, m, here, samples.X.is_shared)
            if (is_over or now % BLOCK == 0) and not _stop_diverged(work, begin - here, losses, reached):
                break
            is_full = now % SAMPLES_AT_ONCE == 0
            if is_over or is_full:
                _set_numbers(net, work, steps, step, samples_of_batch)
            if (is_over and clips) or (is_full and not is_over):
                _fold(net, work, now, is_over or now % BLOCK == 0)
            if is_over:
                if clips:
                    _clip(net, work, options, steps, step, samples_of_batch)
                    _set_numbers(net, work, steps, step, samples_of_batch)
                _advance(net, work, samples_of_batch)
                step += 1
            begin = end
        _end_group(work, begin, losses, reached)


@kernel(_signature_of_infer)
def infer_lanes(
    net: Lanes,
    options: Options,
    samples: LaneSamples,
    span: tuple[int, int],
    out: Any,
    losses: Any,
    shared: tuple[Any, Any],
    member: Member,
) -> None:
    """out[network, i] = the outputs for the row order[i], i in `span`.

    And losses[network, i] = its cost, where there is room.
    """
    flags, queue = shared
    if not assembled(pointer(flags, 0), member.rank, member.size):
        return
    first, last = span
    while True:
        group = add_one(pointer(queue, 0))
        if group >= net.parameters.shape[0]:
            break
        work = _work(net, group, member)
        _begin_group(net, work, group)
        for begin in range(first, last, net.plan[0].rows):
            m = min(net.plan[0].rows, last - begin)
            _gather(net, work, samples, begin, m, losses.size > 0)
            _forward(net, work, m, samples.X.is_shared, options, -1, 0)
            _output(net, work, m, losses.size > 0, False, losses.size > 0 and samples.weights.size > 0)
            _copy_outputs(net, work, begin, m, out, losses)
