"""The kernels that Python calls: a chunk of mini-batches, and a forward pass over many samples.

Both take a network as ``layout`` packs it, and rows of the user's data as they lie in memory.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import types

from .dense import Memory, backward, forward, layer_of, output, update
from .gather import LABELS, Ahead, gather, one_hot
from .jit import inlined, kernel
from .team import Member, barrier, share
from .tiles import ceil_div
from .vector import constants, pointer, shift


class Net(NamedTuple):
    """A packed network; see ``layout.Layout`` for the plan."""

    parameters: np.ndarray
    scratch: np.ndarray
    plan: np.ndarray


class Rows(NamedTuple):
    """Rows of the user's data as bytes [n, size], each of `count` numbers stored as `kind` (rows.KINDS)."""

    raw: np.ndarray
    count: int
    kind: int
    divisor: float  # of uint8


class Run(NamedTuple):
    """The positions of the order to train on, in batches of how many, and the learning rate."""

    first: int
    last: int
    batch_size: int
    learning_rate: float


_i64, _f64 = types.int64, types.float64
_bytes = types.Array(types.uint8, 2, "C", readonly=True)
_rows = types.NamedTuple([_bytes, _i64, _i64, _f64], Rows)
_run = types.NamedTuple([_i64, _i64, _i64, _f64], Run)
_member = types.NamedTuple([_i64, _i64], Member)


def _net(dtype: Any) -> Any:
    numbers = types.float32[::1] if dtype == np.float32 else types.float64[::1]
    return types.NamedTuple([numbers, numbers, _i64[:, ::1]], Net)


@inlined
def _memory(net: Net, member: Member) -> Memory:
    """Pointers into the packed network; the member's own row of zeros is set."""
    nr, _, _ = constants(pointer(net.scratch, 0))
    _, _, _, rows, private, private_size, copy, _, _ = net.plan[0]
    own = pointer(net.scratch, private + member.rank * private_size)
    for j in range(nr):
        own[j] = 0
    parameters = pointer(net.parameters, 0)
    updated = parameters if copy < 0 else pointer(net.scratch, copy)
    return Memory(parameters, updated, pointer(net.scratch, 0), own, rows)


@inlined
def _gather(rows: Rows, positions: Any, count: int, target: Any, memory: Memory) -> None:
    """`count` rows of the user's data, at those positions, to the first rows of panels."""
    nr, _, _ = constants(memory.scratch)
    size = rows.raw.shape[1]
    source = pointer(rows.raw, 0)
    for first in range(0, rows.count, nr):
        panel = shift(target, first * memory.rows)
        if rows.kind == LABELS:
            one_hot(first, panel, count, source, size, positions)
        else:
            columns = min(nr, rows.count - first)
            here = shift(source, first * (size // rows.count))
            gather(rows.kind, columns, panel, count, here, size, positions, rows.divisor)


@inlined
def _gather_block(
    X: Rows, Y: Rows, order: Any, positions: Any, x: Any, y: Any, memory: Memory, member: Member
) -> None:
    """Rows order[begin:end] to x and y."""
    nr, _, _ = constants(memory.scratch)
    begin, end = positions
    first, last = share(end - begin, member)
    mine = pointer(order, begin + first)
    _gather(X, mine, last - first, shift(x, first * nr), memory)
    _gather(Y, mine, last - first, shift(y, first * nr), memory)


@inlined
def _ahead(X: Rows, Y: Rows, order: Any, begin: int, end: int, member: Member) -> Ahead:
    """This member's rows of the block order[begin:end]."""
    first, last = share(max(0, min(end, order.size) - begin), member)
    x, y, positions = pointer(X.raw, 0), pointer(Y.raw, 0), pointer(order, 0)
    return Ahead(x, X.raw.shape[1], y, Y.raw.shape[1], positions, begin + first, begin + last, 0)


@inlined
def _copy(size: int, target: Any, source: Any, member: Member) -> None:
    """The member's part of so many numbers."""
    first, last = share(size, member)
    for i in range(first, last):
        target[i] = source[i]


@inlined
def _forward_all(net: Net, memory: Memory, x: Any, m: int, flags: Any, member: Member) -> None:
    signal = x
    for number in range(1, net.plan.shape[0]):
        layer = layer_of(net.plan, number)
        forward(layer, memory, signal, m, member)
        barrier(flags, member.rank, member.size)
        signal = shift(memory.scratch, layer.a)


@inlined
def _descend_all(
    net: Net, memory: Memory, x: Any, m: int, scale: float, ahead: Ahead, flags: Any, member: Member
) -> None:
    """From the last layer to the first: the delta of the layer below, then this layer's update.

    An update waits until every member has read the weights for the delta below; the delta two layers
    below needs no flags of its own, for it reads other weights.
    """
    nothing = Ahead(ahead.raw, 0, ahead.targets, 0, ahead.order, 0, 0, 0)
    for number in range(net.plan.shape[0] - 1, 0, -1):
        layer = layer_of(net.plan, number)
        signal = x
        if number > 1:
            below = layer_of(net.plan, number - 1)
            signal = shift(memory.scratch, below.a)
            backward(layer, below, memory, m, member)
            barrier(flags, member.rank, member.size)
        coming = ahead if number == 1 else nothing
        update(layer, memory, signal, m, scale, coming, member)


@kernel(
    lambda dtype: _i64(
        _net(dtype),
        _rows,
        _rows,
        types.Array(_i64, 1, "C", readonly=True),
        _run,
        _f64[::1],
        _i64[::1],
        _member,
    )
)
def train(net: Net, X: Rows, Y: Rows, order: Any, run: Run, losses: Any, flags: Any, member: Member) -> int:
    """One member's part of a chunk of mini-batch gradient descent on rows order[run.first:run.last].

    `losses` is empty, or the running cost and room for one cost a sample: then the run stops before the
    update of the first batch whose cost is not finite.  Returns the position in the order it came to.

    A batch is taken in blocks; updates of one that has several go to a copy until its last block is done.
    """
    memory = _memory(net, member)
    scratch = memory.scratch
    x, x_next, y = (
        shift(scratch, net.plan[0, 0]),
        shift(scratch, net.plan[0, 1]),
        shift(scratch, net.plan[0, 2]),
    )
    blocks, block = net.plan[0, 6] >= 0, net.plan[0, 7]
    flags = pointer(flags, 0)
    total = losses[0] if losses.size else 0.0
    batch = (run.first, min(run.first + run.batch_size, run.last))
    begin, end = run.first, min(run.first + block, batch[1])
    if blocks:
        _copy(net.parameters.size, memory.updated, memory.parameters, member)
    _gather_block(X, Y, order, (begin, end), x, y, memory, member)
    barrier(flags, member.rank, member.size)
    while begin < run.last:
        m = end - begin
        _forward_all(net, memory, x, m, flags, member)
        output(layer_of(net.plan, net.plan.shape[0] - 1), memory, y, m, losses[1:], member)
        barrier(flags, member.rank, member.size)
        if losses.size:
            for i in range(m):
                total += losses[1 + i]
            if not np.isfinite(total):
                begin = batch[0]
                break
        coming = end + block  # a step ahead: what is asked for in the same step comes too late
        ahead = _ahead(X, Y, order, coming, coming + block, member)
        scale = -run.learning_rate / (batch[1] - batch[0])
        _descend_all(net, memory, x, m, scale, ahead, flags, member)
        begin = end
        whole = begin == batch[1]
        if whole:
            batch = (begin, min(begin + run.batch_size, run.last))
        end = min(begin + block, batch[1])
        _gather_block(X, Y, order, (begin, end), x_next, y, memory, member)
        barrier(flags, member.rank, member.size)
        if whole and blocks:
            _copy(net.parameters.size, memory.parameters, memory.updated, member)
            barrier(flags, member.rank, member.size)
        x, x_next = x_next, x
    if losses.size and member.rank == 0:
        losses[0] = total
    return begin


@kernel(lambda dtype: types.void(_net(dtype), _rows, _net(dtype).types[0].copy(ndim=2), _i64, _i64))
def infer(net: Net, X: Rows, out: Any, first: int, last: int) -> None:
    """out[i] = the network's outputs for row i, for first <= i < last."""
    alone = Member(0, 1)
    memory = _memory(net, alone)
    nr, _, _ = constants(memory.scratch)
    x, flags = shift(memory.scratch, net.plan[0, 0]), pointer(np.zeros(1, np.int64), 0)
    a = shift(memory.scratch, layer_of(net.plan, net.plan.shape[0] - 1).a)
    positions = np.arange(first, last)
    for begin in range(first, last, memory.rows):
        m = min(memory.rows, last - begin)
        _gather(X, pointer(positions, begin - first), m, x, memory)
        _forward_all(net, memory, x, m, flags, alone)
        for panel in range(ceil_div(out.shape[1], nr)):
            for i in range(m):
                row = (panel * memory.rows + i) * nr
                for j in range(min(nr, out.shape[1] - panel * nr)):
                    out[begin + i, panel * nr + j] = a[row + j]
