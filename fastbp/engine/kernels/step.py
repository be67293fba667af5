"""The kernels that Python calls: a chunk of training steps, and a forward pass over many samples.

Both take a network as ``layout`` packs it, and rows of the user's data as they lie in memory.
"""

from typing import Any, NamedTuple

import numba
import numpy as np
from numba import types

from ...options.optimizers import COMMON, NUMBERS
from .barrier import assembled, barrier
from .bfloat16 import BFLOAT16, TILES
from .dense import (
    TileUpdate,
    Workspace,
    backward,
    forward,
    numbers,
    operand_at,
    squares,
    step_all,
    update,
    write_blocks,
)
from .gather import LABELS, SCALED, Prefetch, Units, ends, gather, one_hot
from .jit import helper, inlined, kernel
from .operands import (
    begin_tiles,
    block_rows,
    end_tiles,
    pointer_if_any,
    round_all,
    round_gathered,
    second,
    words,
)
from .output import Sums, finish, output
from .panels import Mask
from .records import FUSED, GRADIENT, LAYER, PLAN
from .shares import ceil_div
from .sparse import (
    Block,
    Stored,
    forward_listed,
    gather_lists,
    gather_panels,
    list_by_panels,
    lists_of,
    update_listed,
)
from .team import WHOLE, Member, share
from .vector import clear, constants, pointer, shift

SCALE, L2, L1, DECAY, RATE = range(len(COMMON))


class Net(NamedTuple):
    """A packed network; ``plan`` is a PLAN, ``layers`` are LAYERs, the first of them the inputs.

    ``squares`` has room for one float64 per output of any layer, where gradients are clipped.
    """

    parameters: np.ndarray
    state: np.ndarray
    scratch: np.ndarray
    plan: np.ndarray
    layers: np.ndarray
    squares: np.ndarray
    rounded: np.ndarray | None = None  # the parameters as products of bfloat16 read them


class Rows(NamedTuple):
    """Rows of the user's data as bytes [n, size], `count` numbers of type `kind` (gather.DTYPE_CODES)."""

    raw: np.ndarray
    count: int
    kind: int
    divisor: float  # of uint8
    mean: np.ndarray  # of a scaled kind, with the factor, one number a column; else one number
    factor: np.ndarray


class Samples(NamedTuple):
    """Inputs, targets, weights (none, or one per row), and the order in which rows are taken."""

    X: Rows | Stored
    Y: Rows
    weights: np.ndarray
    order: np.ndarray


class StepRange(NamedTuple):
    """The range of positions to train on, the samples of an epoch, the batch size, how many steps came
    before, and each step's numbers (options.optimizers).
    """

    first: int
    last: int
    epoch: int
    batch_size: int
    step: int
    numbers: np.ndarray


_i64, _f64 = types.int64, types.float64
_bytes = types.Array(types.uint8, 2, "C", readonly=True)
_doubles = types.Array(_f64, 1, "C", readonly=True)
_rows = types.NamedTuple([_bytes, _i64, _i64, _f64, _doubles, _doubles], Rows)


def _array(element: Any) -> Any:
    return types.Array(element, 1, "C", readonly=True)


def _samples(X: Any) -> Any:
    return types.NamedTuple([X, _rows, _doubles, _array(_i64)], Samples)


def _stored(dtype: Any) -> Any:
    values = [_array(element) for element in (types.uint8, types.float32, _f64)]
    room = [types.int32[::1], _net(dtype).types[0]]
    fields = [
        _array(_i64),
        _array(types.int32),
        *values,
        _i64,
        _i64,
        _f64,
        _doubles,
        _doubles,
        _i64,
        _i64,
        *room,
    ]
    return types.NamedTuple(fields, Stored)


_step_range = types.NamedTuple([*[_i64] * 5, _f64[:, ::1]], StepRange)
_member = types.NamedTuple([_i64] * 4, Member)


def _net(dtype: Any) -> Any:
    operands = {BFLOAT16: types.float32[::1], TILES: types.int32[::1]}
    rounded = operands[dtype] if isinstance(dtype, str) else types.none
    floats = types.float32[::1] if isinstance(dtype, str) or dtype == np.float32 else types.float64[::1]
    plan, layers = (numba.from_dtype(record)[::1] for record in (PLAN, LAYER))
    return types.NamedTuple([floats, floats, floats, plan, layers, _f64[::1], rounded], Net)


@helper
def _workspace(net: Net, member: Member) -> Workspace:
    """Pointers into the packed network; the member's own row of zeros is set."""
    nr, _ = constants(pointer(net.scratch, 0))
    plan = net.plan[0]
    own = pointer(net.scratch, plan.private + member.rank * plan.private_size)
    clear(nr, own)
    parameters = pointer(net.parameters, 0)
    target = parameters if plan.shared < 0 else pointer(net.scratch, plan.shared)
    state, stride = pointer(net.state, 0), net.parameters.size
    scratch = pointer(net.scratch, 0)
    rounded = pointer_if_any(net.rounded)
    return Workspace(parameters, target, state, stride, scratch, own, plan.rows, rounded, plan.cached)


@inlined
def _gather(rows: Rows, positions: Any, count: int, target: Any, work: Workspace) -> None:
    """`count` rows of the user's data, at those positions, to the first rows of panels."""
    nr, _ = constants(work.scratch)
    size = rows.raw.shape[1]
    source, mean, factor = pointer(rows.raw, 0), pointer(rows.mean, 0), pointer(rows.factor, 0)
    for first in range(0, rows.count, nr):
        panel = shift(target, first * work.rows)
        if rows.kind % SCALED == LABELS:
            one_hot(first, panel, count, source, size, positions, ends(rows.kind, mean, factor))
        else:
            columns = min(nr, rows.count - first)
            here = shift(source, first * (size // rows.count))
            units = Units(rows.divisor, shift(mean, first), shift(factor, first))
            gather(rows.kind, columns, panel, count, here, size, positions, units)


@helper
def _own_rows(rounded: Any, rows: int, plan: Any, member: Member) -> tuple[int, int]:
    """The rows of a block that a member gathers: all, where it has a block of its own."""
    if plan.own:
        return 0, rows
    height = block_rows(rounded)
    if not height:
        return share(rows, member)
    first, last = share(ceil_div(rows, height), member)
    return min(rows, first * height), min(rows, last * height)


@helper
def _ahead(rounded: Any, samples: Samples, plan: Any, begin: int, end: int, member: Member) -> Prefetch:
    """This member's rows of the block order[begin:end]."""
    X, Y, order = samples.X, samples.Y, samples.order
    first, last = _own_rows(rounded, max(0, min(end, order.size) - begin), plan, member)
    x, y, positions = pointer(X.raw, 0), pointer(Y.raw, 0), pointer(order, 0)
    return Prefetch(x, X.raw.shape[1], y, Y.raw.shape[1], positions, begin + first, begin + last, 0)


@helper
def _copy(size: int, target: Any, source: Any, member: Member) -> None:
    """The member's part of so many numbers."""
    first, last = share(size, member)
    for i in range(first, last):
        target[i] = source[i]


@inlined
def _forward_all(
    net: Net, work: Workspace, x: Any, m: int, step: int, sample: int, flags: Any, member: Member
) -> None:
    """Activations of every layer but the last, which is left at its weighted input.

    Where samples are lists, the first layer has its own already, which are `x`.  `step` keys dropout's masks,
    negative for none; `sample` counts the samples of the batch before this block.
    """
    last = net.layers.shape[0] - 1
    signal = x
    for number in range(1 + net.plan[0].listed, last + 1):
        layer = net.layers[number]
        mask = Mask(net.plan[0].key, step * last + number - 1 if step >= 0 else -1)
        forward(layer, work, signal, m, number < last, mask, sample, member)
        barrier(flags, member.rank, member.size)
        signal = shift(work.scratch, layer.a)


@inlined
def _backward_all(
    net: Net, work: Workspace, x: Any, m: int, rule: TileUpdate, ahead: Prefetch, flags: Any, member: Member
) -> None:
    """From the last layer to the lowest that learns, or to the inputs where that is 0.

    At each it takes the delta of the layer below, then this layer's update.

    A layer is updated only after the barrier that follows the delta below it, for that product reads its
    weights.  The next product reads other weights, so none is needed between the two.  Where samples are
    lists, the first layer is left to `_backward_stored`.
    """
    nothing = Prefetch(ahead.raw, 0, ahead.targets, 0, ahead.order, 0, 0, 0)
    first_trainable = net.plan[0].first_trainable
    first = max(1 + net.plan[0].listed, first_trainable)
    for number in range(net.layers.shape[0] - 1, first - 1, -1):
        layer, below = net.layers[number], net.layers[number - 1]
        signal = shift(work.scratch, below.a) if number > 1 else x
        if number > first_trainable:
            backward(layer, below, work, m, member)
            barrier(flags, member.rank, member.size)
        if not layer.frozen:
            update(layer, work, signal, m, rule, ahead if number == first else nothing, member)


@helper
def _set_numbers(work: Workspace, given: Any, scale: float, clipped: float) -> None:
    """The numbers of a step: gradients are multiplied by `scale`, and with their penalties by `clipped`."""
    h = numbers(work)
    h_biases = shift(h, NUMBERS)
    for i in range(given.size):
        h[i] = given[i]
        h_biases[i] = given[i]
    h[SCALE] = h_biases[SCALE] = scale * clipped
    h[L2] = given[L2] * clipped
    h[L1] = given[L1] * clipped
    h_biases[L2] = h_biases[L1] = h_biases[DECAY] = 0


@inlined
def _clipped(net: Net, work: Workspace, given: Any, scale: float, flags: Any, member: Member) -> float:
    """The factor that makes the gradient's norm, over all layers that learn, at most the plan's."""
    out = pointer(net.squares, 0)
    for number in range(1, net.layers.shape[0]):
        layer = net.layers[number]
        if not layer.frozen:
            squares(layer, work, scale, given[L2], given[L1], out, member)
        out = shift(out, layer.outputs)
    barrier(flags, member.rank, member.size)
    total = 0.0
    for i in range(net.squares.size):
        total += net.squares[i]
    norm = np.sqrt(total)
    return net.plan[0].clip_norm / norm if norm > net.plan[0].clip_norm else 1.0


@inlined
def _finish_batch(net: Net, work: Workspace, given: Any, samples: int, flags: Any, member: Member) -> None:
    """Makes the step from what the blocks of a batch have accumulated."""
    optimizer = net.plan[0].optimizer
    if optimizer == FUSED:
        _copy(net.parameters.size, work.parameters, work.target, member)
        first, last = share(net.parameters.size, member)
        round_all(work.rounded, first, last, work.parameters)
        if block_rows(work.rounded):
            barrier(flags, member.rank, member.size)
            for number in range(1, net.layers.shape[0]):
                write_blocks(net.layers[number], work.rounded, work.parameters, member)
    elif optimizer != GRADIENT:
        scale, clipped = 1.0 / samples, 1.0
        if net.plan[0].clip_norm > 0:
            clipped = _clipped(net, work, given, scale, flags, member)
        _set_numbers(work, given, scale, clipped)
        for number in range(max(1, net.plan[0].first_trainable), net.layers.shape[0]):
            layer = net.layers[number]
            if not layer.frozen:
                step_all(layer, work, optimizer, member)
    barrier(flags, member.rank, member.size)


class Cursor(NamedTuple):
    """A block order[begin:end] of the batch order[batch:batch_end] that is being trained on."""

    begin: int
    end: int
    batch: int
    batch_end: int
    epoch_end: int
    step: int  # of the chunk
    finished: int  # samples of the batch that the block before has ended, else 0


@helper
def _first_block(steps: StepRange, block: int) -> Cursor:
    """The block at position `steps.first` of an order of whole epochs, the first of which begins at 0."""
    begin, size = steps.first, steps.batch_size
    epoch = begin // steps.epoch * steps.epoch
    batch = epoch + (begin - epoch) // size * size
    batch_end = min(batch + size, epoch + steps.epoch)
    return Cursor(begin, min(begin + block, batch_end), batch, batch_end, epoch + steps.epoch, 0, 0)


@helper
def _next_block(cursor: Cursor, steps: StepRange, block: int, samples: int) -> Cursor:
    """The block after one that has been trained on; it is empty at the end of the order of `samples`."""
    begin, batch, batch_end, step, finished = cursor.end, cursor.batch, cursor.batch_end, cursor.step, 0
    epoch_end = cursor.epoch_end
    if begin == batch_end:
        finished = batch_end - batch
        step += 1
        batch = begin
        if begin == epoch_end:
            epoch_end = min(begin + steps.epoch, samples)
        batch_end = min(batch + steps.batch_size, epoch_end)
    return Cursor(begin, min(begin + block, batch_end), batch, batch_end, epoch_end, step, finished)


@helper
def _begin_batches(net: Net, work: Workspace, member: Member) -> None:
    """Prepares what the blocks of a batch share: a copy of the weights, or a gradient of zeros."""
    if net.plan[0].optimizer == FUSED:
        _copy(net.parameters.size, work.target, work.parameters, member)
    else:
        first, last = share(net.parameters.size, member)
        clear(last - first, shift(work.target, first))


@helper
def _tile_update(net: Net, given: Any, samples: int, first: bool) -> TileUpdate:
    """The update by one block of a batch of so many samples; `first` if no block came before."""
    optimizer, rate = net.plan[0].optimizer, given[RATE]
    steps = net.plan[0].shared < 0
    if optimizer == FUSED:
        return TileUpdate(steps, False, 0, -rate / samples, 1.0 - rate * given[L2] if first else 1.0)
    return TileUpdate(steps, steps, optimizer, 1.0, 0.0 if steps else 1.0)


# ---------------------------------------------------------------- sparse rows


@inlined
def _block_at(scratch: Any, offset: int, rows: Rows) -> Any:
    return shift(scratch, offset)


@helper
def _rows_at_once(work: Workspace) -> int:
    """The most rows of a block of inputs that lie side by side when they are gathered."""
    return block_rows(work.rounded) // 2 if block_rows(work.rounded) else work.rows


@helper
def _row_at(row: int, x: Any, work: Workspace) -> Any:
    """Where a row of a block of inputs is gathered; of blocks of operands, see `round_gathered`."""
    nr, _ = constants(work.scratch)
    height = block_rows(work.rounded)
    if height == 0:
        return shift(x, row * nr)
    within = row % height
    is_second = 2 * within // height
    half = is_second * second(work.rounded, work.rows * nr)
    return shift(x, words(work.rounded, (row - within) * nr) + half + (within - is_second * height // 2) * nr)


@inlined
def _round_block(columns: int, first: int, count: int, x: Any, work: Workspace) -> None:
    """Rounds `count` rows of a block of inputs from `first` on, where products read rounded numbers."""
    nr, _ = constants(work.scratch)
    height = block_rows(work.rounded) if block_rows(work.rounded) else work.rows
    for column in range(0, columns, nr):
        for row in range(0, count, height):
            here = operand_at(column * work.rows, first + row, x, work)
            round_gathered(work.rounded, min(height, count - row), columns - column, here)


@inlined
def _gather_rows(rows: Rows, positions: Any, first: int, count: int, x: Any, work: Workspace) -> None:
    """`count` rows, at those positions, to the rows of a block from `first` on."""
    for row in range(0, count, _rows_at_once(work)):
        here = _row_at(first + row, x, work)
        _gather(rows, shift(positions, row), min(_rows_at_once(work), count - row), here, work)
    _round_block(rows.count, first, count, x, work)


@inlined
def _block_of_stored(scratch: Any, offset: int, rows: Stored) -> Block:
    return Block(shift(scratch, offset), lists_of(rows))


@inlined
def _gather_stored(rows: Stored, positions: Any, first: int, count: int, x: Block, work: Workspace) -> None:
    """The same; each member makes lists of all rows for itself."""
    if rows.most > 0:
        gather_lists(rows, positions, count, x.lists)
    else:
        for row in range(0, count, _rows_at_once(work)):
            here = _row_at(first + row, x.panels, work)
            gather_panels(rows, shift(positions, row), min(_rows_at_once(work), count - row), here, work)
        _round_block(rows.count, first, count, x.panels, work)


@helper
def _nothing_ahead(
    rounded: Any, samples: Samples, plan: Any, begin: int, end: int, member: Member
) -> Prefetch:
    """Rows of which lists are made are not prefetched."""
    x, y, positions = pointer(samples.X.bytes, 0), pointer(samples.Y.raw, 0), pointer(samples.order, 0)
    return Prefetch(x, 0, y, 0, positions, 0, 0, 0)


@inlined
def _forward_stored(
    net: Net, work: Workspace, x: Block, m: int, step: int, sample: int, flags: Any, member: Member
) -> None:
    signal = x.panels
    if net.plan[0].listed:
        last = net.layers.shape[0] - 1
        layer = net.layers[1]
        mask = Mask(net.plan[0].key, step * last if step >= 0 else -1)
        forward_listed(layer, work, x, m, last > 1, mask, sample, member)
        barrier(flags, member.rank, member.size)
        signal = shift(work.scratch, layer.a)
    _forward_all(net, work, signal, m, step, sample, flags, member)


@inlined
def _backward_stored(
    net: Net, work: Workspace, x: Block, m: int, rule: TileUpdate, ahead: Prefetch, flags: Any, member: Member
) -> None:
    _backward_all(net, work, x.panels, m, rule, ahead, flags, member)
    layer = net.layers[1]
    if net.plan[0].listed and not layer.frozen:
        list_by_panels(layer.inputs, m, x.lists)
        update_listed(layer, work, x, m, rule, ahead, member)


# ---------------------------------------------------------------- the kernels


def _gather_block_by(gather_x: Any) -> Any:
    """The gather of a block by ``gather_x(rows, positions, first, count, x, work)``."""

    @inlined
    def gather_block(
        samples: Samples, plan: Any, begin: int, end: int, x: Any, y: Any, work: Workspace, member: Member
    ) -> None:
        """This member's rows of the block order[begin:end] to x and y."""
        nr, _ = constants(work.scratch)
        first, last = _own_rows(work.rounded, end - begin, plan, member)
        mine = pointer(samples.order, begin + first)
        gather_x(samples.X, mine, first, last - first, x, work)
        _gather(samples.Y, mine, last - first, shift(y, first * nr), work)

    return gather_block


def _train_by(block_at: Any, gather_block: Any, ahead_of: Any, forward_all: Any, backward_all: Any) -> Any:
    """The kernel that trains, for one kind of rows."""

    def train(
        net: Net, samples: Samples, steps: StepRange, losses: Any, reached: Any, flags: Any, member: Member
    ) -> None:
        """One member's part of a chunk of training on the rows order[steps.first:steps.last].

        Batches count from the beginning of their epoch.  `losses` is empty, or the running cost, room for one
        cost per sample of a block, and room for the costs of epochs that end: then training stops before the
        step of a batch whose cost is not finite.  reached[0] becomes the position in the order it came to.

        A batch is taken in blocks; where it has several, they share a copy of the weights or a gradient until
        the last is done, and a chunk may end after any of them.
        """
        flags_here = pointer(flags, 0)
        if not assembled(flags_here, member.rank, member.size):
            return
        work = _workspace(net, member)
        begin_tiles(work.rounded)
        scratch, plan = work.scratch, net.plan[0]
        inputs = shift(scratch, plan.own * member.rank)
        x, x_next = block_at(inputs, plan.x, samples.X), block_at(inputs, plan.x_next, samples.X)
        y = shift(inputs, plan.y)
        total = losses[0] if losses.size else 0.0
        at = _first_block(steps, plan.block)
        if plan.shared >= 0 and at.begin == at.batch:
            _begin_batches(net, work, member)
        while True:
            gather_block(samples, plan, at.begin, at.end, x, y, work, member)
            barrier(flags_here, member.rank, member.size)
            if plan.shared >= 0 and at.finished:
                _finish_batch(net, work, steps.numbers[at.step - 1], at.finished, flags_here, member)
            if at.begin >= steps.last:
                break
            m, batch_samples, here = at.end - at.begin, at.batch_end - at.batch, at.begin - at.batch
            forward_all(net, work, x, m, steps.step + at.step, here, flags_here, member)
            positions = pointer(samples.order, at.begin)
            output(net, work, y, m, losses[1:], samples.weights, positions, member)
            barrier(flags_here, member.rank, member.size)
            if losses.size:
                for i in range(m):
                    total += losses[1 + i]
                if not np.isfinite(total):
                    break
                if at.end == at.epoch_end and losses.size > 1 + plan.block:
                    losses[plan.block + at.epoch_end // steps.epoch] = total
                    total = 0.0
            coming = at.end + plan.block  # two blocks ahead: the next is gathered too soon for a prefetch
            ahead = ahead_of(work.rounded, samples, plan, coming, coming + plan.block, member)
            rule = _tile_update(net, steps.numbers[at.step], batch_samples, here == 0)
            if rule.at_once:
                _set_numbers(work, steps.numbers[at.step], 1.0 / batch_samples, 1.0)
            backward_all(net, work, x, m, rule, ahead, flags_here, member)
            at = _next_block(at, steps, plan.block, samples.order.size)
            x, x_next = x_next, x
        if member.rank == 0:
            reached[0] = at.begin if np.isfinite(total) else at.batch
            if losses.size:
                losses[0] = total
        end_tiles(work.rounded)

    return train


def _infer_by(block_at: Any, gather_x: Any, forward_all: Any) -> Any:
    """The kernel that infers, for one kind of rows."""

    def infer(net: Net, samples: Samples, out: Any, losses: Any, first: int, last: int) -> None:
        """out[i] = the outputs for the row order[i], first <= i < last; losses[i] its cost, if wanted."""
        alone = Member(0, 1, 0, WHOLE)
        work = _workspace(net, alone)
        begin_tiles(work.rounded)
        nr, _ = constants(work.scratch)
        plan, layer = net.plan[0], net.layers[net.layers.shape[0] - 1]
        x, y = block_at(work.scratch, plan.x, samples.X), shift(work.scratch, plan.y)
        flags = pointer(samples.order, 0)  # any address: one member reads no flags
        a = shift(work.scratch, layer.a)
        for begin in range(first, last, plan.block):
            m = min(plan.block, last - begin)
            positions = pointer(samples.order, begin)
            gather_x(samples.X, positions, 0, m, x, work)
            forward_all(net, work, x, m, -1, 0, flags, alone)
            if losses.size:
                _gather(samples.Y, positions, m, y, work)
                output(net, work, y, m, losses[begin:], samples.weights, positions, alone)
            else:
                finish(layer, work, 0, m, y, Sums(0, 0.0, pointer(losses, 0), 0))
            for panel in range(ceil_div(out.shape[1], nr)):
                for i in range(m):
                    row = (panel * work.rows + i) * nr
                    for j in range(min(nr, out.shape[1] - panel * nr)):
                        out[begin + i, panel * nr + j] = a[row + j]
        end_tiles(work.rounded)

    return infer


def _signature_of_train(dtype: Any, X: Any) -> Any:
    return types.void(_net(dtype), _samples(X), _step_range, _f64[::1], _i64[::1], _i64[::1], _member)


def _signature_of_infer(dtype: Any, X: Any) -> Any:
    return types.void(_net(dtype), _samples(X), _net(dtype).types[0].copy(ndim=2), _f64[::1], _i64, _i64)


def _named(name: str, function: Any) -> Any:
    """With the name by which its machine code is kept."""
    function.__name__ = name
    return function


_gather_block = _gather_block_by(_gather_rows)
train = kernel(lambda dtype: _signature_of_train(dtype, _rows))(
    _train_by(_block_at, _gather_block, _ahead, _forward_all, _backward_all)
)
infer = kernel(lambda dtype: _signature_of_infer(dtype, _rows))(
    _infer_by(_block_at, _gather_rows, _forward_all)
)

_gather_block_stored = _gather_block_by(_gather_stored)
train_stored = kernel(lambda dtype: _signature_of_train(dtype, _stored(dtype)))(
    _named(
        "train_stored",
        _train_by(_block_of_stored, _gather_block_stored, _nothing_ahead, _forward_stored, _backward_stored),
    )
)
infer_stored = kernel(lambda dtype: _signature_of_infer(dtype, _stored(dtype)))(
    _named("infer_stored", _infer_by(_block_of_stored, _gather_stored, _forward_stored))
)


@kernel(lambda key: types.void(_net(key).types[6], types.float32[::1], _net(key).types[4]))
def round_parameters(rounded: np.ndarray, parameters: np.ndarray, layers: np.ndarray) -> None:
    """Makes of the parameters what products of bfloat16 read."""
    target, source = pointer_if_any(rounded), pointer(parameters, 0)
    round_all(target, 0, parameters.size, source)
    for number in range(1, layers.shape[0]):
        write_blocks(layers[number], target, source, Member(0, 1, 0, WHOLE))
