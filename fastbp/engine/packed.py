"""A network packed for the kernels, and the calls into them."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..data.scaling import Scaling
from ..data.sparse import Samples, SparseRows
from ..options import activations, costs, optimizers
from ..options.activations import Activation
from ..options.costs import Cost
from .architecture import Architecture, Parameters
from .attributes import lazy
from .kernels import custom, step
from .kernels import sparse as stored
from .kernels.bfloat16 import TILES, kernels_for
from .kernels.gather import DTYPE_CODES, LABELS, SCALED
from .kernels.records import FUSED, GRADIENT
from .kernels.team import Member, member_of, run
from .kernels.tiles import SIDE
from .kernels.vector import shape_of
from .layout import BLOCK, Layout, PanelShape, aligned_zeros, layout
from .machine import free_cpus, second_level_cache

_DENSE = 0.1  # sparse rows that store at least this share of their numbers are gathered to dense blocks
_INFERENCE_ROWS = 96  # most rows of a block in a forward pass: whole tiles
_TILE = 12  # rows of whole tiles, which blocks of wide layers have at least
_INFERENCE_FLOPS = 1e9  # most operations per call and member, so that an interrupt is noticed soon
_MEMBER_FLOPS = 2e7  # least operations per call and member of a forward pass that pay for a thread
# No array: recognized by `is` where targets of no rows are empty too, elsewhere by its size
NOTHING: np.ndarray = np.zeros(0)


class Data(NamedTuple):
    """Samples X (n, inputs), dense or sparse, as uint8, float32 or float64; targets (n, outputs), dense, of
    the same types, or labels (n,).
    """

    X: Samples
    targets: np.ndarray
    divisor: float  # of uint8 samples
    weights: np.ndarray = NOTHING  # of samples (n,), float64, or none
    inputs: Scaling | None = None  # of the samples, once they are divided
    outputs: Scaling | None = None  # of the targets, and so of the network's outputs

    def subset(self, rows: np.ndarray | None) -> "Data":
        """The data with copies of some rows; all of the data if `rows` is None."""
        if rows is None:
            return self
        weights = self.weights[rows] if self.weights.size else self.weights
        return self._replace(X=self.X[rows], targets=self.targets[rows], weights=weights)

    def flops(self, architecture: Architecture) -> int:
        """Floating-point operations to train on one sample, fewer for what sparse rows do not store."""
        if isinstance(self.X, SparseRows) and self.is_listed:
            inputs = 1 + len(self.X.values) // len(self.X)
            architecture = architecture._replace(sizes=(inputs, *architecture.sizes[1:]))
        return architecture.flops()

    @property
    def is_listed(self) -> bool:
        """Tells whether the first layer reads the stored numbers of sparse rows, not dense blocks of them."""
        X = self.X
        if not isinstance(X, SparseRows) or self.inputs is not None:
            return False
        most = min(len(X.values), BLOCK * X.shape[1])  # of a block, whose indices are int32
        return most < 1 << 31 and len(X.values) < _DENSE * X.size


class UpdateSpec(NamedTuple):
    """The update that kernels make: an optimizer's row, `FUSED` for plain gradient descent, or `GRADIENT`.

    `FUSED` also applies l2, as a factor of the weights, which float32 may round to 1.
    """

    optimizer: str | int = FUSED
    clip_norm: float = 0.0
    key: int = 0  # of dropout's masks


_PLAIN = UpdateSpec()
_UNSCALED = np.zeros(1)
_FIRST = np.arange(_INFERENCE_ROWS, dtype=np.int64)  # the rows of samples that are a single block


def _rows(array: np.ndarray, count: int, divisor: float, scaling: Scaling | None) -> step.Rows:
    kind = LABELS if array.ndim == 1 else DTYPE_CODES[array.dtype]
    width = array.itemsize * (1 if array.ndim == 1 else array.shape[1])
    raw = np.asarray(array).view(np.uint8)
    raw = raw.reshape(len(array), width) if array.ndim == 1 else raw
    if scaling is None:
        return step.Rows(raw, count, kind, divisor, _UNSCALED, _UNSCALED)
    return step.Rows(raw, count, kind + SCALED, divisor, scaling.mean, 1.0 / scaling.deviation)


_NO_TARGETS = _rows(np.zeros(0, np.int64), 1, 1.0, None)


def _stored(data: Data, dtype: np.dtype, block: int, listed: bool) -> stored.Stored:
    """The record of sparse rows, without room for the lists of a block."""
    X, scaling = data.X, data.inputs
    assert isinstance(X, SparseRows)
    pixels, singles, doubles = (X.values if X.dtype == kind else np.zeros(0, kind) for kind in DTYPE_CODES)
    return stored.Stored(
        X.starts,
        X.columns,
        pixels,
        singles,
        doubles,
        count=X.shape[1],
        kind=DTYPE_CODES[X.dtype] + (0 if scaling is None else SCALED),
        divisor=data.divisor,
        mean=_UNSCALED if scaling is None else scaling.mean,
        factor=_UNSCALED if scaling is None else 1.0 / scaling.deviation,
        block=block,
        most=max(1, int(np.sort(X.lengths)[-block:].sum())) if listed else 0,
        integers=np.zeros(0, np.int32),
        numbers=np.zeros(1, dtype),
    )


def _with_room(X: Any) -> Any:
    """Copies the record with scratch arrays for one member's lists of sparse rows."""
    if not isinstance(X, stored.Stored):
        return X
    integers, numbers = 0, 1
    if X.most:
        columns = shape_of(X.numbers.dtype).columns
        integers, numbers = stored.room_of(X.block, X.most, X.count, columns)
    return X._replace(integers=np.zeros(integers, np.int32), numbers=np.zeros(numbers, X.numbers.dtype))


class Prepared(NamedTuple):
    """A network's layout and records; `user_code` keeps the machine code of a user's functions alive."""

    layout: Layout
    plan: np.ndarray
    layers: np.ndarray
    user_code: list[Any]


@functools.lru_cache(64)
def _prepare(
    architecture: Architecture,
    batch_size: int,
    members: int,
    update_spec: UpdateSpec,
    input_gradient: bool = False,
    listed: bool = False,
    tiles: bool = False,
) -> Prepared:
    """The layout, and its records filled with the codes, parameters and rates of this network."""
    dtype = architecture.dtype
    shape = shape_of(dtype)
    shared = update_spec.clip_norm > 0 or update_spec.optimizer == GRADIENT
    network_layout = layout(
        architecture.sizes,
        batch_size,
        members,
        dtype,
        PanelShape(shape.columns, SIDE, SIDE) if tiles else PanelShape(shape.columns, shape.lanes, 1),
        second_level_cache().size,
        shared,
        input_gradient,
        listed,
    )
    plan, layers = network_layout.plan.copy(), network_layout.layers.copy()
    user_code = [
        compiled(kind.function, kind.derivative, dtype) if isinstance(kind, (Activation, Cost)) else None
        for kind, compiled in (
            *((kind, custom.activation) for kind in architecture.activations),
            (architecture.cost, custom.cost),
        )
    ]
    addresses = [functions.address if functions else 0 for functions in user_code]
    name, plan["parameter"] = costs.name_and_parameter(architecture.cost)
    plan["cost"] = costs.code_of(name, activations.name_and_parameter(architecture.activations[-1])[0])
    plan["address"] = addresses[-1]
    row = update_spec.optimizer
    plan["optimizer"] = optimizers.CODES[row] if isinstance(row, str) else row
    plan["clip_norm"] = update_spec.clip_norm
    plan["key"] = np.uint64(update_spec.key).astype(np.int64)
    for number, (layer, kind) in enumerate(zip(layers[1:], architecture.activations, strict=True)):
        name, layer["parameter"] = activations.name_and_parameter(kind)
        layer["activation"] = activations.CODES[name]
        layer["address"] = addresses[number]
        layer["frozen"] = number in architecture.frozen
        if number < len(architecture.dropout):
            layer["dropout"] = architecture.dropout[number]
    learning = [number for number in range(1, len(layers)) if not layers[number]["frozen"]]
    plan["first_trainable"] = 0 if input_gradient else min(learning, default=len(layers))
    return Prepared(network_layout, plan, layers, user_code)


class Engine:
    """Packed weights and optimizer state, and a scratch for batches of at most `batch_size` on a team."""

    def __init__(
        self,
        architecture: Architecture,
        weights: Sequence[np.ndarray],
        biases: Sequence[np.ndarray],
        batch_size: int = _INFERENCE_ROWS,
        members: int = 1,
        update_spec: UpdateSpec = _PLAIN,
        state: Mapping[str, Parameters] = {},
        input_gradient: bool = False,
        listed: bool = False,
    ) -> None:
        self.architecture = architecture
        self.batch_size = batch_size
        self.members = members  # the size of the team that trains; may be set to any smaller number
        self.bounds: Sequence[int] = ()  # of the members' shares, which are equal if there are no bounds
        self.waited = NOTHING  # seconds that each member waited for others in the last call of `train`
        self._update_spec, self._initial_state = update_spec, state
        self._most = members
        listed = listed and architecture.compute_dtype is None
        self._listed = listed  # whether training data are sparse rows read directly
        self._read: tuple[Data, list[Any], step.Rows] | None = None
        self._kernels: Any = architecture.dtype  # their key
        if architecture.compute_dtype is not None:
            self._kernels = kernels_for(architecture.sizes, batch_size)
        self._has_tiles = self._kernels == TILES
        self._prepared = _prepare(
            architecture, batch_size, members, update_spec, input_gradient, listed, self._has_tiles
        )
        self._layout, self._plan, self._layers, _ = self._prepared
        self._rounded: np.ndarray | None = None  # the parameters as products of another type read them
        if architecture.compute_dtype is not None:
            words = np.int32 if self._has_tiles else architecture.dtype
            self._rounded = aligned_zeros(self._layout.parameters, words)
        self.pack(weights, biases)

    @lazy
    def _scratch(self) -> np.ndarray:
        return aligned_zeros(self._layout.scratch, self.architecture.dtype)

    @lazy
    def _squares(self) -> np.ndarray:
        return np.zeros(sum(self.architecture.sizes[1:]))

    @lazy
    def _state(self) -> np.ndarray:
        return self._packed_state(self._initial_state)

    @property
    def _state_names(self) -> tuple[str, ...]:
        row = self._update_spec.optimizer
        return optimizers.state_names(row) if isinstance(row, str) else ()

    def _packed_state(self, state: Mapping[str, Parameters]) -> np.ndarray:
        """The optimizer's state, packed part by part; zeros where there is none yet."""
        names, size = self._state_names, self._layout.parameters
        packed = aligned_zeros(len(names) * size, self.architecture.dtype)
        for i, name in enumerate(names):
            if name in state:
                self._layout.pack_into(packed[i * size :][:size], *state[name])
        return packed

    def pack(self, weights: Sequence[np.ndarray], biases: Sequence[np.ndarray]) -> None:
        self.parameters = self._layout.pack(weights, biases)
        if self._listed:  # a dense step makes 0 of -0 everywhere, a sparse one where the batch has numbers
            self.parameters += 0.0
        self._round()

    def _round(self) -> None:
        """Makes what products read of the parameters, unless it is these themselves."""
        if self._rounded is not None:
            step.round_parameters(self._kernels)(self._rounded, self.parameters, self._layers)

    def unpack(self) -> Parameters:
        """New arrays of the weights and biases."""
        return self._layout.unpack(self.parameters)

    def unpack_state(self) -> dict[str, Parameters]:
        """New arrays of the optimizer's state by name, each shaped as weights and biases."""
        parts = self._state.reshape(-1, self._layout.parameters)
        return dict(zip(self._state_names, map(self._layout.unpack, parts), strict=True))

    def snapshot(self) -> tuple[np.ndarray, np.ndarray]:
        """Copies of the packed weights and state, for `restore`."""
        return self.parameters.copy(), self._state.copy()

    def restore(self, snapshot: tuple[np.ndarray, np.ndarray]) -> None:
        self.parameters[...], self._state[...] = snapshot
        self._round()

    def _rows_of(self, data: Data, block: int, listed: bool, members: int) -> tuple[list[Any], step.Rows]:
        """The rows of samples, one record for each member, and the rows of targets."""
        sizes = self.architecture.sizes
        X = (
            _stored(data, self.architecture.dtype, block, listed)
            if isinstance(data.X, SparseRows)
            else _rows(data.X, sizes[0], data.divisor, data.inputs)
        )
        Y = _NO_TARGETS
        if data.targets is not NOTHING:
            targets, scaling = self.architecture.a_target_for_each(data.targets, data.outputs)
            Y = _rows(targets, sizes[-1], 1.0, scaling)
        return [_with_room(X) for _ in range(members)], Y

    def _samples(self, data: Data, order: np.ndarray, rank: int = 0) -> step.Samples:
        """The samples that a member trains on."""
        if self._read is None or self._read[0] is not data:  # not in a later epoch
            self._read = data, *self._rows_of(data, self.block, self._listed, self._most)
        _, X, Y = self._read
        return step.Samples(X[rank], Y, data.weights, order)

    def _net(self) -> step.Net:
        parameters, squares = self.parameters, self._squares
        return step.Net(
            parameters, self._state, self._scratch, self._plan, self._layers, squares, self._rounded
        )

    def train(
        self,
        data: Data,
        order: np.ndarray,
        positions: tuple[int, int],
        numbers: np.ndarray,
        first_step: int = 0,
        losses: np.ndarray = NOTHING,
        position: np.ndarray | None = None,
        epoch: int = 0,
    ) -> int:
        """Trains on the rows order[positions[0]:positions[1]]; returns the position at which it ended.

        `numbers` has a row for each step (see `Optimizer.numbers`), the first of which is `first_step`.
        The kernel itself writes losses[0] and position[0] together with the weights, so that the three agree
        even if an exception is raised meanwhile.  The order may be that of several epochs, of `epoch` samples
        each (`new_losses`).
        """
        net = self._net()
        samples = [self._samples(data, order, rank) for rank in range(self.members)]
        span = step.StepRange(*positions, epoch or len(order), self.batch_size, first_step, numbers)
        kernel = (step.train_stored if isinstance(data.X, SparseRows) else step.train)(self._kernels)
        position = np.zeros(1, np.int64) if position is None else position
        position[0] = positions[0]

        members = self.members
        bounds = self.bounds if members > 1 and len(self.bounds) > members else ()

        def work(member: Member, flags: np.ndarray) -> None:
            if bounds and member.size == members:
                member = member_of(member.rank, members, bounds)
            kernel(net, samples[member.rank], span, losses, position, flags, member)

        self.waited = run(members, work)
        return int(position[0])

    @property
    def block(self) -> int:
        """The number of samples of a block; a chunk of training may end after any block of a batch."""
        return min(self.batch_size, BLOCK)

    def new_losses(self, epochs: int = 0) -> np.ndarray:
        """Room for the running cost, one per sample of a block, and one per epoch of several."""
        return np.zeros(1 + self.block + epochs)

    def gradient(self) -> Parameters:
        """The sums over the samples of a batch that `train` left, where the optimizer is `GRADIENT`."""
        start = int(self._plan["shared"][0])
        return self._layout.unpack(self._scratch[start : start + self._layout.parameters])

    def input_delta(self, count: int) -> np.ndarray:
        """The gradient of each sample's cost by its inputs, for the block that was trained on last."""
        start = int(self._layers["delta"][0])
        return self._layout.unpack_rows(self._scratch, start, count, self.architecture.sizes[0])

    def begin_input_delta(self) -> None:
        """Fills the inputs' derivative, as if their activation were linear."""
        start, size = int(self._layers["delta"][0]), self._layout.columns
        length = -(-self.architecture.sizes[0] // size) * size * int(self._plan["rows"][0])
        self._scratch[start : start + length] = 1.0

    def outputs(
        self, X: Samples, divisor: float, members: int = 0, inputs: Scaling | None = None
    ) -> np.ndarray:
        """The network's outputs (n, outputs) for samples X (n, inputs), in its own units."""
        return self.infer(Data(X, NOTHING, divisor, inputs=inputs), NOTHING, members)

    def infer(
        self, data: Data, losses: np.ndarray, members: int = 0, rows: np.ndarray | None = None
    ) -> np.ndarray:
        """The outputs of all or some rows; writes each sample's cost to `losses` (n,), unless it is empty.

        With 0 `members`, the team has as many as pay.  A call into the kernels takes a bounded time, after
        which an interrupt is noticed.
        """
        architecture = self.architecture
        if architecture.dropout:
            architecture = architecture._replace(dropout=())
        n = len(data.X if rows is None else rows)
        listed = data.is_listed and architecture.compute_dtype is None
        listed = listed and bool(np.isfinite(self.parameters).all())  # 0 times infinity is NaN
        size = min(_rows_of_block(architecture, listed), 1 << max(0, n - 1).bit_length())  # of few, few
        order = rows if rows is not None else _FIRST[:n] if n <= size else np.arange(n, dtype=np.int64)
        blocks_layout, plan, layers, _ = _prepare(
            architecture, size, 1, _PLAIN, listed=listed, tiles=self._has_tiles
        )
        kernel = (step.infer_stored if isinstance(data.X, SparseRows) else step.infer)(self._kernels)
        out = np.empty((n, architecture.sizes[-1]), architecture.dtype)
        blocks = -(-n // size)
        members, at_once = (
            (1, 1) if n <= size else _team_for(data.flops(architecture) * size, blocks, members)
        )
        X, Y = self._rows_of(data, size, listed, members)
        samples = [step.Samples(rows, Y, data.weights, order) for rows in X]

        def net() -> step.Net:
            """The kernels' record of the network, with a scratch for one member."""
            parameters, scratch = self.parameters, aligned_zeros(blocks_layout.scratch, blocks_layout.dtype)
            return step.Net(parameters, parameters[:0], scratch, plan, layers, NOTHING, self._rounded)

        if n <= size:
            kernel(net(), samples[0], out, losses, 0, n)
            return out
        nets = [net() for _ in range(members)]

        def work(member: Member, flags: np.ndarray) -> None:
            first, last = (
                min(n, (begin + (end - begin) * part // member.size) * size)
                for part in (member.rank, member.rank + 1)
            )
            kernel(nets[member.rank], samples[member.rank], out, losses, first, last)

        for begin in range(0, blocks, at_once):
            end = min(blocks, begin + at_once)
            run(members, work, meets=False)
        return out


def _rows_of_block(architecture: Architecture, listed: bool) -> int:
    """The rows of a block of a forward pass: whole tiles, whose widest activations stay in cache."""
    widest = max(architecture.sizes[1:] if listed else architecture.sizes) * architecture.dtype.itemsize
    room = second_level_cache().size // widest // _TILE * _TILE
    return min(_INFERENCE_ROWS, max(_TILE, room))


def _team_for(training_flops: float, blocks: int, members: int) -> tuple[int, int]:
    """The members of a forward pass over whole blocks, and the blocks of one call into the kernels.

    `training_flops` are those of a training on one block.
    CPUs are counted only if the work is enough for more than one.
    """
    flops = training_flops / 2
    if not members:
        members = max(1, int(blocks * flops / _MEMBER_FLOPS))
        members = min(members, free_cpus()) if members > 1 else 1
    members = max(1, min(members, blocks))
    return members, members * max(1, int(_INFERENCE_FLOPS / flops))
