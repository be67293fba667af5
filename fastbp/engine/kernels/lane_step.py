"""The kernels that Python calls for networks in lanes: a chunk of training steps, and a forward pass.

A *group* has a network in each lane of a vector.  A member of the team takes whole groups, one after
another, so that none waits for another.  Within a group, some samples at a time go through all layers and
leave their share of the gradient in a chain; see `lanes`.
"""

from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ...options.optimizers import NUMBERS
from .dense import SAMPLES_AT_ONCE
from .gather import LABELS, Units, gather, one_hot
from .jit import helper, inlined, kernel
from .lane_output import cost_delta, costs, softmax, softmax_delta, weigh
from .lanes import (
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
from .output import CUSTOM, FIRST_OF_LOGITS, SOFTMAX
from .panels import Formula
from .records import FUSED, LANE_LAYER, LANE_PLAN
from .step import DECAY, L1, L2, RATE, SCALE
from .team import Member, barrier
from .vector import I64, constants, pointer, shift

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
    numbers: Any  # a vector of zeros, one of ones, then those of a step
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
    _, lanes, _ = constants(scratch)
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


# ---------------------------------------------------------------- rows of data


@inlined
def _gather_panel(
    rows: LaneRows, orders: np.ndarray, network: int, first: int, begin: int, count: int, target: Any
) -> None:
    """One panel, from column `first` on, of a network's rows at the positions from `begin` on."""
    nr, _, _ = constants(target)
    size = rows.raw.shape[1]
    source = pointer(rows.raw, network * rows.next_raw)
    positions = pointer(orders, (network if orders.shape[0] > 1 else 0) * orders.shape[1] + begin)
    if rows.kind == LABELS:
        one_hot(first, target, count, source, size, positions)
    else:
        here = shift(source, first * (size // rows.count))
        scaling = network * rows.next_scaling + first
        units = Units(rows.divisor, pointer(rows.mean, scaling), pointer(rows.factor, scaling))
        gather(rows.kind, min(nr, rows.count - first), target, count, here, size, positions, units)


@inlined
def _gather_lanes(
    rows: LaneRows, orders: np.ndarray, begin: int, count: int, target: Any, row: int, work: Work, room: int
) -> None:
    """Rows of every lane to a lane matrix of that stride; `room` is that of a gathered panel."""
    nr, lanes, _ = constants(target)
    for first in range(0, rows.count, nr):
        columns = min(nr, rows.count - first)
        there = Matrix(shift(target, first * lanes), row, lanes)
        for lane in range(1 if rows.is_shared else lanes):
            network = work.networks[lane]
            if network >= 0:
                panel = shift(work.gathered, lane * room)
                _gather_panel(rows, orders, network, first, begin, count, panel)
        if rows.is_shared:
            spread(count, columns, there, Matrix(work.gathered, nr, 1))
        else:
            interleave(count, columns, there, Matrix(work.gathered, nr, room))


@inlined
def _gather_samples(
    net: Lanes, work: Work, samples: LaneSamples, begin: int, count: int, wants_y: bool
) -> None:
    """The inputs, and with them targets and weights."""
    nr, lanes, _ = constants(work.scratch)
    plan, X, Y, orders = net.plan[0], samples.X, samples.Y, samples.orders
    x, room = shift(work.scratch, plan.x), plan.rows * nr
    if X.is_shared:
        for first in range(0, X.count, nr):
            _gather_panel(X, orders, 0, first, begin, count, shift(x, first * plan.rows))
    else:
        _gather_lanes(X, orders, begin, count, x, plan.x_row, work, room)
    if wants_y:
        _gather_lanes(Y, orders, begin, count, shift(work.scratch, plan.y), plan.y_row, work, room)
        if samples.weights.size:
            for lane in range(lanes):
                network = max(0, work.networks[lane])
                row = network if orders.shape[0] > 1 else 0
                for i in range(count):
                    position = orders[row, begin + i]
                    weight = samples.weights[network * samples.next_weights + position]
                    work.weights[i * lanes + lane] = weight


# ---------------------------------------------------------------- forward and backward


@inlined
def _forward_first(net: Lanes, work: Work, m: int, is_shared: bool) -> None:
    """The weighted input of the first layer; inputs that all lanes share lie in panels."""
    nr, lanes, _ = constants(work.scratch)
    plan, layer = net.plan[0], net.layers[1]
    x, w = shift(work.scratch, plan.x), shift(work.parameters, layer.weights)
    z = Matrix(shift(work.scratch, layer.a), layer.row, lanes)
    start = Matrix(shift(work.parameters, layer.biases), 0, lanes)
    if is_shared:
        for first in range(0, layer.inputs, nr):
            p = Matrix(shift(x, first * plan.rows), nr, 1)
            q = Matrix(shift(w, first * layer.weights_row), layer.weights_row, lanes)
            multiply_shared(m, layer.outputs, z, start, p, q, min(nr, layer.inputs - first))
            start = z
    else:
        q = Matrix(w, layer.weights_row, lanes)
        multiply(m, layer.outputs, z, start, Matrix(x, plan.x_row, lanes), q, layer.inputs)


@inlined
def _forward(
    net: Lanes, work: Work, m: int, samples: LaneSamples, options: Options, step: int, sample: int
) -> None:
    """Activations of every layer but the last, which is left at its weighted input.

    `step` counts those of the chunk, negative for no dropout; `sample` the samples of the batch before.
    """
    _, lanes, _ = constants(work.scratch)
    last = net.layers.shape[0] - 1
    for number in range(1, last + 1):
        layer = net.layers[number]
        a = Matrix(shift(work.scratch, layer.a), layer.row, lanes)
        if number == 1:
            _forward_first(net, work, m, samples.X.is_shared)
        else:
            below = net.layers[number - 1]
            p = Matrix(shift(work.scratch, below.a), below.row, lanes)
            q = Matrix(shift(work.parameters, layer.weights), layer.weights_row, lanes)
            start = Matrix(shift(work.parameters, layer.biases), 0, lanes)
            multiply(m, layer.outputs, a, start, p, q, layer.inputs)
        if number < last:
            d = Matrix(shift(work.scratch, layer.delta), layer.row, lanes)
            activate(Formula(layer.activation, layer.parameter, 0), m, layer.outputs, a, d)
            if step >= 0 and options.dropout.shape[1]:
                masks = _masks(work, options, step, number, last)
                drop(m, layer.outputs, a, d, masks, sample * layer.outputs, layer.outputs)


@helper
def _masks(work: Work, options: Options, step: int, number: int, last: int) -> Masks:
    """The masks of a layer in a step of the chunk."""
    _, lanes, _ = constants(work.scratch)
    for lane in range(lanes):
        network = max(0, work.networks[lane])
        work.keys[lane] = options.keys[network]
        work.words[lane] = (options.first_steps[network] + step) * last + number - 1
        work.rates[lane] = options.dropout[network, number - 1]
    return Masks(work.keys, work.words, work.rates)


@inlined
def _finish(net: Lanes, work: Work, m: int, wanted: int) -> None:
    """Turns z of the last layer into a, da/dz and, where `wanted`, the samples' costs."""
    _, lanes, _ = constants(work.scratch)
    plan, layer = net.plan[0], net.layers[net.layers.shape[0] - 1]
    cost = Formula(plan.cost, plan.parameter, 0)
    a = Matrix(shift(work.scratch, layer.a), layer.row, lanes)
    d = Matrix(shift(work.scratch, layer.delta), layer.row, lanes)
    y = Matrix(shift(work.scratch, plan.y), plan.y_row, lanes)
    has_logits_form = FIRST_OF_LOGITS <= plan.cost < CUSTOM  # dC/dz is a - y
    if wanted and has_logits_form:
        costs(cost, m, layer.outputs, work.costs, a, y)
    if layer.activation == SOFTMAX:
        softmax(m, layer.outputs, a, d, y, work.costs, wanted)
    else:
        activate(Formula(layer.activation, layer.parameter, 0), m, layer.outputs, a, d)
    if wanted and not has_logits_form:
        costs(cost, m, layer.outputs, work.costs, a, y)


@inlined
def _output(net: Lanes, work: Work, m: int, is_weighted: bool) -> None:
    """d = dC/dz of the last layer, and the samples' costs."""
    _, lanes, _ = constants(work.scratch)
    plan, layer = net.plan[0], net.layers[net.layers.shape[0] - 1]
    _finish(net, work, m, 1)
    a = Matrix(shift(work.scratch, layer.a), layer.row, lanes)
    d = Matrix(shift(work.scratch, layer.delta), layer.row, lanes)
    y = Matrix(shift(work.scratch, plan.y), plan.y_row, lanes)
    cost_delta(Formula(plan.cost, plan.parameter, 0), m, layer.outputs, d, a, y)
    if layer.activation == SOFTMAX and not FIRST_OF_LOGITS <= plan.cost < CUSTOM:
        softmax_delta(m, layer.outputs, d, a)
    if is_weighted:
        weigh(m, layer.outputs, d, work.costs, work.weights)


@inlined
def _update(net: Lanes, work: Work, number: int, m: int, sample: int, is_shared: bool) -> None:
    """Adds the samples' terms to the chains of a layer's gradient, which begin anew every so many samples."""
    nr, lanes, _ = constants(work.scratch)
    plan, layer = net.plan[0], net.layers[number]
    row = layer.weights_row
    chain = Matrix(shift(work.chains, layer.weights), row, lanes)
    d = Matrix(shift(work.scratch, layer.delta), layer.row, lanes)
    start = _zeros(work) if sample % SAMPLES_AT_ONCE == 0 else chain
    if number == 1 and is_shared:
        for first in range(0, layer.inputs, nr):
            x = Matrix(shift(work.scratch, plan.x + first * plan.rows), 1, nr)
            here = Matrix(shift(chain.first, first * row), row, lanes)
            begin = _zeros(work) if sample % SAMPLES_AT_ONCE == 0 else here
            multiply_shared(min(nr, layer.inputs - first), layer.outputs, here, begin, x, d, m)
    elif number == 1:
        x = Matrix(shift(work.scratch, plan.x), lanes, plan.x_row)
        multiply(layer.inputs, layer.outputs, chain, start, x, d, m)
    else:
        below = net.layers[number - 1]
        x = Matrix(shift(work.scratch, below.a), lanes, below.row)
        multiply(layer.inputs, layer.outputs, chain, start, x, d, m)
    biases = Matrix(shift(work.chains, layer.biases), lanes, 0)
    start = _zeros(work) if sample % BLOCK == 0 else biases
    ones = Matrix(shift(work.numbers, lanes), 0, 0)
    multiply(layer.outputs, 1, biases, start, Matrix(d.first, lanes, layer.row), ones, m)


@inlined
def _backward(net: Lanes, work: Work, m: int, sample: int, is_shared: bool) -> None:
    """From the last layer to the lowest that learns: its terms of the gradient, and the delta below."""
    _, lanes, _ = constants(work.scratch)
    plan = net.plan[0]
    first = plan.first_trainable
    for number in range(net.layers.shape[0] - 1, first - 1, -1):
        layer, below = net.layers[number], net.layers[number - 1]
        if number > first:
            products = Matrix(shift(work.scratch, plan.products), below.row, lanes)
            p = Matrix(shift(work.scratch, layer.delta), layer.row, lanes)
            q = Matrix(shift(work.parameters, layer.weights), lanes, layer.weights_row)
            multiply(m, layer.inputs, products, _zeros(work), p, q, layer.outputs)
            d = Matrix(shift(work.scratch, below.delta), below.row, lanes)
            multiply_derivative(m, layer.inputs, d, products)
        if not layer.frozen:
            _update(net, work, number, m, sample, is_shared)


# ---------------------------------------------------------------- steps


@helper
def _start(net: Lanes, work: Work, offset: int, row: int, is_first: bool) -> Matrix:
    """What a chain is added to: what earlier chains of the batch have left, else the weights, or zeros."""
    _, lanes, _ = constants(work.scratch)
    if not is_first:
        return Matrix(shift(work.target, offset), row, lanes)
    if net.plan[0].optimizer == FUSED:
        return Matrix(shift(work.parameters, offset), row, lanes)
    return Matrix(work.numbers, 0, 0)


@helper
def _set_numbers(net: Lanes, work: Work, steps: LaneSteps, step: int, samples: int) -> None:
    """The numbers of a step by lane, for weights and then for biases; see `step._set_numbers`.

    For `FUSED`, the factors of a batch's first chain and of later ones.
    """
    _, lanes, _ = constants(work.scratch)
    h = shift(work.numbers, 2 * lanes)
    h_biases = shift(h, NUMBERS * lanes)
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
def _fold(net: Lanes, work: Work, now: int, of_biases: bool) -> None:
    """Adds the chains of weights, or of biases, to the batch's target after `now` of its samples."""
    _, lanes, _ = constants(work.scratch)
    for number in range(max(1, net.plan[0].first_trainable), net.layers.shape[0]):
        layer = net.layers[number]
        if not layer.frozen:
            offset, row = (layer.biases, 0) if of_biases else (layer.weights, layer.weights_row)
            is_first = now <= (BLOCK if of_biases else SAMPLES_AT_ONCE)
            rows = 1 if of_biases else layer.inputs
            factors = shift(work.numbers, lanes)  # ones
            if net.plan[0].optimizer == FUSED:
                factors = shift(work.numbers, (2 if is_first and not of_biases else 2 + NUMBERS) * lanes)
            target = Matrix(shift(work.target, offset), row, lanes)
            chain = Matrix(shift(work.chains, offset), row, lanes)
            start = _start(net, work, offset, row, is_first)
            fold(rows, layer.outputs, target, chain, start, factors, work.everyone)


@inlined
def _clip(net: Lanes, work: Work, options: Options, steps: LaneSteps, step: int, samples: int) -> None:
    """Sets each lane's factor that makes its gradient's norm at most its own; the gradient is in the target.

    The norm is over all layers that learn.
    """
    _, lanes, _ = constants(work.scratch)
    for lane in range(lanes):
        given = steps.numbers[max(0, work.networks[lane]), step]
        work.factors[lane] = 1.0 / samples
        work.factors[lanes + lane] = given[L2]
        work.factors[2 * lanes + lane] = given[L1]
    total, squares = work.clipped, work.squares
    for lane in range(lanes):
        total[lane] = 0.0
    for number in range(max(1, net.plan[0].first_trainable), net.layers.shape[0]):
        layer = net.layers[number]
        if not layer.frozen:
            count = layer.outputs
            for i in range(count * lanes):
                squares[i] = 0.0
            g = Matrix(shift(work.target, layer.biases), 0, lanes)
            add_squares(1, count, g, _zeros(work), work.factors, squares)
            g = Matrix(shift(work.target, layer.weights), layer.weights_row, lanes)
            w = Matrix(shift(work.parameters, layer.weights), layer.weights_row, lanes)
            add_squares(layer.inputs, count, g, w, work.factors, squares)
            for i in range(count):
                for lane in range(lanes):
                    total[lane] += squares[i * lanes + lane]
    for lane in range(lanes):
        norm, most = np.sqrt(total[lane]), options.clip_norms[max(0, work.networks[lane])]
        total[lane] = most / norm if most > 0 and norm > most else 1.0


@inlined
def _step_part(
    net: Lanes, work: Work, offset: int, rows: int, columns: int, row: int, start: Matrix, h: Any
) -> None:
    """The step of a layer's weights or biases, in the lanes that are active."""
    _, lanes, _ = constants(work.scratch)
    first, chain = shift(work.parameters, offset), shift(work.chains, offset)
    optimizer = net.plan[0].optimizer
    if optimizer == FUSED:
        w = Matrix(first, row, lanes)
        fold(rows, columns, w, Matrix(chain, row, lanes), start, h, work.active)
    else:
        weights = Weights(first, shift(work.state, offset), work.stride, row)
        g = _zeros(work) if net.plan[0].clips else Matrix(chain, row, lanes)
        advance(optimizer, rows, columns, weights, g, start, h, work.active)


@inlined
def _finish_batch(
    net: Lanes, work: Work, options: Options, steps: LaneSteps, step: int, samples: int
) -> None:
    """Makes the step of a batch of so many samples: from its chains, or from its target and last chains."""
    _, lanes, _ = constants(work.scratch)
    is_only, is_only_of_biases = samples <= SAMPLES_AT_ONCE, samples <= BLOCK
    if net.plan[0].clips:
        _fold(net, work, samples, False)
        _fold(net, work, samples, True)
        _clip(net, work, options, steps, step, samples)
        is_only = is_only_of_biases = False
    _set_numbers(net, work, steps, step, samples)
    h = shift(work.numbers, 2 * lanes)
    h_biases = shift(h, NUMBERS * lanes)
    h_later = h if net.plan[0].optimizer != FUSED or is_only else h_biases
    for number in range(max(1, net.plan[0].first_trainable), net.layers.shape[0]):
        layer = net.layers[number]
        if not layer.frozen:
            start = _start(net, work, layer.weights, layer.weights_row, is_only)
            _step_part(
                net, work, layer.weights, layer.inputs, layer.outputs, layer.weights_row, start, h_later
            )
            start = _start(net, work, layer.biases, 0, is_only_of_biases)
            _step_part(net, work, layer.biases, 1, layer.outputs, 0, start, h_biases)


@helper
def _begin_group(net: Lanes, work: Work, group: int) -> None:
    """Fills the member's vectors that stay the same for a group."""
    _, lanes, _ = constants(work.scratch)
    for lane in range(lanes):
        work.networks[lane] = net.networks[group, lane]
        work.everyone[lane] = 1
        work.clipped[lane] = 1.0
        work.numbers[lane] = 0.0
        work.numbers[lanes + lane] = work.numbers[2 * lanes + lane] = 1.0


@helper
def _begin_training(work: Work, options: Options, losses: Any) -> bool:
    """Fills the lanes that train and their running costs; tells if there is any."""
    _, lanes, _ = constants(work.scratch)
    any_active = False
    for lane in range(lanes):
        network = max(0, work.networks[lane])
        is_active = work.networks[lane] >= 0 and options.active[network] != 0
        work.active[lane] = is_active
        work.totals[lane] = losses[network]
        any_active = any_active or is_active
    return any_active


@helper
def _add_costs(work: Work, m: int) -> None:
    _, lanes, _ = constants(work.scratch)
    for i in range(m):
        for lane in range(lanes):
            work.totals[lane] += work.costs[i * lanes + lane]


@helper
def _stop_diverged(work: Work, batch: int, losses: Any, reached: Any) -> bool:
    """Stops the lanes whose cost is not finite, before the step of this batch; tells if any goes on."""
    _, lanes, _ = constants(work.scratch)
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
    _, lanes, _ = constants(work.scratch)
    for lane in range(lanes):
        if work.active[lane]:
            losses[work.networks[lane]] = work.totals[lane]
            reached[work.networks[lane]] = position


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


@intrinsic
def _next(typingctx: Any, queue: Any) -> Any:
    """Takes the next number of a queue that members share."""

    def emit(context: Any, b: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        return b.atomic_rmw("add", arguments[0], I64(1), "monotonic")

    return types.int64(queue), emit


@inlined
def _train_group(
    net: Lanes,
    work: Work,
    options: Options,
    samples: LaneSamples,
    steps: LaneSteps,
    losses: Any,
    reached: Any,
) -> None:
    """A chunk of training of the group whose lanes `_begin_group` has filled."""
    total, is_weighted, is_shared = samples.orders.shape[1], samples.weights.size > 0, samples.X.is_shared
    begin, step = steps.first, 0
    while begin < steps.last:
        batch = begin // steps.batch_size * steps.batch_size
        batch_end = min(batch + steps.batch_size, total)
        here = begin - batch
        chain_end = batch + (here // SAMPLES_AT_ONCE + 1) * SAMPLES_AT_ONCE
        end = min(min(begin + net.plan[0].rows, chain_end), batch_end)
        m, now = end - begin, end - batch
        _gather_samples(net, work, samples, begin, m, True)
        _forward(net, work, m, samples, options, step, here)
        _output(net, work, m, is_weighted)
        _add_costs(work, m)
        _backward(net, work, m, here, is_shared)
        is_over = end == batch_end
        if (is_over or now % BLOCK == 0) and not _stop_diverged(work, batch, losses, reached):
            break
        if is_over:
            _finish_batch(net, work, options, steps, step, batch_end - batch)
            step += 1
        elif now % SAMPLES_AT_ONCE == 0:
            if net.plan[0].optimizer == FUSED:
                _set_numbers(net, work, steps, step, batch_end - batch)
            _fold(net, work, now, False)
            if now % BLOCK == 0:
                _fold(net, work, now, True)
        begin = end
    _end_group(work, begin, losses, reached)


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
    barrier(pointer(flags, 0), member.rank, member.size)
    while True:
        group = _next(pointer(queue, 0))
        if group >= net.parameters.shape[0]:
            break
        work = _work(net, group, member)
        _begin_group(net, work, group)
        if _begin_training(work, options, losses):
            _train_group(net, work, options, samples, steps, losses, reached)


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
    barrier(pointer(flags, 0), member.rank, member.size)
    first, last = span
    layer = net.layers[net.layers.shape[0] - 1]
    while True:
        group = _next(pointer(queue, 0))
        if group >= net.parameters.shape[0]:
            break
        work = _work(net, group, member)
        _begin_group(net, work, group)
        _, lanes, _ = constants(work.scratch)
        for begin in range(first, last, net.plan[0].rows):
            m = min(net.plan[0].rows, last - begin)
            _gather_samples(net, work, samples, begin, m, losses.size > 0)
            _forward(net, work, m, samples, options, -1, 0)
            _finish(net, work, m, losses.size > 0)
            a = shift(work.scratch, layer.a)
            for lane in range(lanes):
                network = work.networks[lane]
                if network >= 0:
                    for i in range(m):
                        for j in range(layer.outputs):
                            out[network, begin + i, j] = a[i * layer.row + j * lanes + lane]
                        if losses.size:
                            weight = work.weights[i * lanes + lane] if samples.weights.size else 1.0
                            losses[network, begin + i] = work.costs[i * lanes + lane] * weight
