"""Networks of one architecture in the lanes of vectors, and the calls into their kernels."""

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..data.scaling import Scaling
from ..options import activations, costs, optimizers
from ..options.activations import Activation
from ..options.costs import Cost
from .architecture import Architecture, Parameters
from .formulas import Numpy
from .kernels import lane_step
from .kernels.dense import SAMPLES_AT_ONCE
from .kernels.gather import DTYPE_CODES, LABELS, SCALED
from .kernels.lane_step import LaneRows, LaneSamples, LaneSteps
from .kernels.lane_step import Lanes as LaneNet
from .kernels.lane_step import Options as LaneOptions
from .kernels.lanes import COLUMNS
from .kernels.records import LANE_LAYER, LANE_PLAN
from .kernels.team import Member, run
from .kernels.vector import shape_of
from .lane_data import LaneData, LaneSpec
from .layout import BLOCK, aligned_zeros
from .packed import NOTHING

_LINE = 64  # bytes of a cache line
# Samples that go through all layers at once: as many as keep a layer's activations in the second-level cache.
_ROWS = (64, 32, 16)
_CACHED = 160 << 10  # bytes
# (Most weights in a matrix, least measured speedup of lanes over one by one): a Zen 2 core, float32 and
# float64 (`python -m bench.ensembles --widths`).
_SPEEDS = ((16 * 16, 1.35), (32 * 32, 1.25), (64 * 64, 1.15), (96 * 96, 1.08))
# Inputs of samples that are gathered for each lane, likewise: a Zen 3 core (`--inputs`).
_MOST_OWN_INPUTS = 64


def _row_of(columns: int, lanes: int, size: int) -> int:
    """Numbers from one row of a lane matrix to the next: an odd number of lines, or of a tile's columns.

    Powers of two apart, the entries of a column would all fall into the same sets of a cache.
    """
    unit = max(COLUMNS, _LINE // (lanes * size))  # entries
    units = -(-columns // unit)
    return (units | 1) * unit * lanes


class _Layout(NamedTuple):
    """Where everything lies, in numbers: see LANE_PLAN and LANE_LAYER."""

    plan: np.ndarray
    layers: np.ndarray
    parameters: int  # of a group
    scratch: int  # of a member, and so the doubles and the integers
    doubles: int
    integers: int


@functools.lru_cache(64)
def _layout(architecture: Architecture, optimizer: str | int, clips: bool) -> _Layout:
    sizes, dtype = architecture.sizes, architecture.dtype
    shape = shape_of(dtype)
    lanes = shape.lanes
    plan, layers = np.zeros(1, LANE_PLAN), np.zeros(len(sizes), LANE_LAYER)
    parameters = scratch = 0

    def row_of(columns: int) -> int:
        return _row_of(columns, lanes, dtype.itemsize)

    widest = row_of(max(sizes[1:])) * dtype.itemsize
    rows = next((rows for rows in _ROWS if rows * widest <= _CACHED), _ROWS[-1])

    def take(numbers: int) -> int:
        nonlocal scratch
        scratch += (numbers := -(-numbers // _LINE) * _LINE)
        return scratch - numbers

    name, plan["parameter"] = costs.name_and_parameter(architecture.cost)
    plan["cost"] = costs.code_of(name, activations.name_and_parameter(architecture.activations[-1])[0])
    plan["optimizer"] = optimizers.CODES[optimizer] if isinstance(optimizer, str) else optimizer
    plan["rows"], plan["clips"] = rows, clips
    plan["numbers"] = take((lane_step.CONSTANTS + 2 * optimizers.NUMBERS) * lanes)
    plan["gathered"] = take((rows + 1) * shape.columns * lanes)
    plan["x_row"], plan["y_row"] = row_of(sizes[0]), row_of(sizes[-1])
    panels = -(-sizes[0] // shape.columns) * shape.columns
    plan["x"] = take(rows * max(row_of(sizes[0]), panels))
    plan["y"] = take(rows * row_of(sizes[-1]))
    plan["products_row"] = row_of(COLUMNS)
    plan["products"] = take(rows * max(row_of(sizes[-1]), row_of(COLUMNS)))
    layers[0]["outputs"], layers[0]["a"], layers[0]["row"] = sizes[0], plan["x"][0], plan["x_row"][0]
    for number, (n_in, n_out) in enumerate(itertools.pairwise(sizes), 1):
        layer, kind = layers[number], architecture.activations[number - 1]
        layer["inputs"], layer["outputs"], layer["row"] = n_in, n_out, row_of(n_out)
        name, layer["parameter"] = activations.name_and_parameter(kind)
        layer["activation"] = activations.CODES[name]
        layer["frozen"] = number - 1 in architecture.frozen
        layer["weights"], layer["weights_row"] = parameters, row_of(n_out)
        parameters += n_in * row_of(n_out)
        layer["biases"] = parameters
        parameters += row_of(n_out)
        layer["a"], layer["delta"] = take(rows * row_of(n_out)), take(rows * row_of(n_out))
    plan["chains"] = take(parameters)
    learning = [number for number in range(1, len(layers)) if not layers[number]["frozen"]]
    plan["first_trainable"] = min(learning, default=len(layers))
    doubles = (2 * rows + 6 + max(sizes)) * lanes
    return _Layout(plan, layers, parameters, scratch, doubles, 5 * lanes)


class _Scratch(NamedTuple):
    """The memory of members, a row each."""

    numbers: np.ndarray
    doubles: np.ndarray
    integers: np.ndarray


class LaneEngine:
    """Packed networks of one architecture and their optimizer states, a network in each lane of a vector.

    Attributes
    ----------
    active : ndarray
        Which networks `train` trains, (networks,) bool; may be set between calls.
    members : int
        The size of the team, whose members train one group of networks each at a time.  May be set to any
        smaller number.
    """

    waited = np.zeros(1)  # no member waits for another

    def __init__(
        self,
        architecture: Architecture,
        parameters: Sequence[Parameters],
        batch_size: int,
        members: int,
        spec: LaneSpec,
        states: Sequence[Mapping[str, Parameters]] = (),
    ) -> None:
        self.architecture, self.batch_size, self.members = architecture, batch_size, members
        self.active = np.ones(len(parameters), bool)
        self._spec = spec
        self._data: tuple[LaneData, bool, tuple[LaneRows, LaneRows]] | None = None
        is_clipped = bool(np.any(spec.clip_norms))
        self._layout = _layout(architecture._replace(dropout=()), spec.optimizer, is_clipped)
        self._lanes = shape_of(architecture.dtype).lanes
        networks, lanes = len(parameters), self._lanes
        groups = -(-networks // lanes)
        self._networks = np.full((groups, lanes), -1, np.int64)
        self._networks.ravel()[:networks] = np.arange(networks)
        row = spec.optimizer
        self._state_names = optimizers.state_names(row) if isinstance(row, str) else ()
        size = self._layout.parameters
        self._parameters = self._zeros(groups, size)
        self._state = self._zeros(groups, len(self._state_names) * size)
        self._targets = self._zeros(groups, size if batch_size > SAMPLES_AT_ONCE or is_clipped else 0)
        self._scratch: _Scratch | None = None
        for i, (weights, biases) in enumerate(parameters):
            self.pack(i, weights, biases)
        for i, state in enumerate(states):
            for part, name in enumerate(self._state_names):
                if name in state:
                    self._move(self._state[:, part * size :], i, state[name], True)

    def _zeros(self, count: int, size: int) -> np.ndarray:
        return aligned_zeros(count * size, self.architecture.dtype).reshape(count, size)

    @staticmethod
    def pays(
        architecture: Architecture,
        networks: int,
        members: int = 1,
        has_own_rows: bool = False,
    ) -> bool:
        """Tells whether a team of `members` trains so many networks in less time in lanes than one by one.

        With `has_own_rows` each network has its own samples, or its own order or scaling of them.  User
        functions are not compiled for lanes.  The batch size does not matter.
        """
        kinds = (*architecture.activations, architecture.cost)
        if costs.definition_of(architecture.cost).is_paired:
            return False
        if architecture.compute_dtype or any(isinstance(kind, (Activation, Cost)) for kind in kinds):
            return False
        first, *others = (n_in * n_out for n_in, n_out in itertools.pairwise(architecture.sizes))
        if has_own_rows and architecture.sizes[0] > _MOST_OWN_INPUTS:
            return False
        largest = max(first if has_own_rows else first // 3, *others, 0)  # shared inputs lie in one lane
        speed = next((speed for weights, speed in _SPEEDS if largest <= weights), 0.0)
        lanes = shape_of(architecture.dtype).lanes
        groups = -(-networks // lanes)
        return -(-groups // members) * lanes < -(-networks // members) * speed

    def __len__(self) -> int:
        return len(self.active)

    @property
    def block(self) -> int:
        """The samples that are taken at once: a call of `train` may end after any block of a batch."""
        return min(self.batch_size, BLOCK)

    def new_losses(self) -> np.ndarray:
        """Room for the running costs (networks,)."""
        return np.zeros(len(self))

    # ------------------------------------------------------------ weights

    def _move(self, packed: np.ndarray, i: int, parameters: Parameters, packs: bool) -> None:
        """Fills the lane of network `i` with weights and biases, or these with what it holds."""
        group, lane = divmod(i, self._lanes)
        flat = packed[group]
        for layer, weights, biases in zip(self._layout.layers[1:], *parameters, strict=True):
            n_in, n_out, row = int(layer["inputs"]), int(layer["outputs"]), int(layer["weights_row"])
            first, end = int(layer["weights"]), int(layer["biases"])
            there = flat[first:end].reshape(n_in, row // self._lanes, self._lanes)[:, :n_out, lane]
            bias = flat[end:][: n_out * self._lanes].reshape(n_out, self._lanes)[:, lane]
            if packs:
                there[...], bias[...] = Numpy.flushed(weights.T), Numpy.flushed(biases[:, 0])
            else:
                weights[...], biases[:, 0] = there.T, bias

    def _unpacked(self, packed: np.ndarray, i: int) -> Parameters:
        sizes, dtype = self.architecture.sizes, self.architecture.dtype
        weights = [np.empty((n_out, n_in), dtype) for n_in, n_out in itertools.pairwise(sizes)]
        biases = [np.empty((n_out, 1), dtype) for n_out in sizes[1:]]
        self._move(packed, i, (weights, biases), False)
        return weights, biases

    def pack(self, i: int, weights: Sequence[np.ndarray], biases: Sequence[np.ndarray]) -> None:
        self._move(self._parameters, i, (list(weights), list(biases)), True)

    def unpack(self, i: int) -> Parameters:
        """New arrays of the weights and biases of network `i`."""
        return self._unpacked(self._parameters, i)

    def unpack_state(self, i: int) -> dict[str, Parameters]:
        """New arrays of the optimizer's state of network `i`, by name."""
        size = self._layout.parameters
        return {
            name: self._unpacked(self._state[:, part * size :], i)
            for part, name in enumerate(self._state_names)
        }

    def snapshot(self) -> tuple[np.ndarray, np.ndarray]:
        """Copies of the packed weights and states of all networks, for `restore`."""
        return self._parameters.copy(), self._state.copy()

    def restore(self, i: int, snapshot: tuple[np.ndarray, np.ndarray]) -> None:
        """Brings network `i` back to the snapshot, with its optimizer's state."""
        group, lane = divmod(i, self._lanes)
        for packed, kept in zip((self._parameters, self._state), snapshot, strict=True):
            packed[group, lane :: self._lanes] = kept[group, lane :: self._lanes]

    def is_finite(self) -> np.ndarray:
        """Tells of each network whether all of its weights are finite."""
        finite = np.isfinite(self._parameters.reshape(len(self._parameters), -1, self._lanes)).all(axis=1)
        by_network: np.ndarray = finite.ravel()[: len(self)]
        return by_network

    # ------------------------------------------------------------ samples

    def _rows(self, data: LaneData, has_one_order: bool) -> tuple[LaneRows, LaneRows]:
        if self._data is None or self._data[0] is not data or self._data[1] != has_one_order:
            sizes = self.architecture.sizes
            assert isinstance(data.X, np.ndarray)
            scalings = data.outputs or self.architecture.smoothing
            X = _rows(data.X, data.has_own_samples, sizes[0], data.divisor, data.inputs, has_one_order)
            Y = (
                _rows(np.zeros(0, np.int64), False, 1, 1.0, None, True)
                if data.targets is NOTHING
                else _rows(data.targets, data.has_own_targets, sizes[-1], 1.0, scalings, has_one_order)
            )
            self._data = data, has_one_order, (X, Y)
        return self._data[2]

    def _samples(self, data: LaneData, orders: np.ndarray) -> LaneSamples:
        X, Y = self._rows(data, len(orders) == 1)
        weights = np.ascontiguousarray(data.weights, np.float64)
        return LaneSamples(
            X, Y, weights.ravel(), weights.shape[1] if weights.ndim == 2 else 0, np.ascontiguousarray(orders)
        )

    def _net(self) -> LaneNet:
        layout, members = self._layout, self.members
        if self._scratch is None or len(self._scratch.numbers) < members:
            self._scratch = _Scratch(
                self._zeros(members, layout.scratch),
                aligned_zeros(members * layout.doubles, np.float64).reshape(members, -1),
                np.zeros((members, layout.integers), np.int64),
            )
        return LaneNet(
            self._parameters,
            self._state,
            self._targets,
            self._scratch.numbers,
            self._scratch.doubles,
            self._scratch.integers,
            layout.plan,
            layout.layers,
            self._networks,
        )

    def _options(self, first_steps: np.ndarray, has_dropout: bool) -> LaneOptions:
        spec, networks = self._spec, len(self)
        clip_norms = spec.clip_norms if spec.clip_norms.size else np.zeros(networks)
        keys = spec.keys if spec.keys.size else np.zeros(networks, np.uint64)
        rates = spec.dropout if has_dropout and np.any(spec.dropout) else np.zeros((networks, 0))
        return LaneOptions(
            self.active.astype(np.int64),
            np.ascontiguousarray(clip_norms, np.float64),
            np.ascontiguousarray(keys, np.uint64).view(np.int64),
            np.ascontiguousarray(first_steps, np.int64),
            np.ascontiguousarray(rates, np.float64),
        )

    # ------------------------------------------------------------ the kernels

    def train(
        self,
        data: LaneData,
        orders: np.ndarray,
        positions: tuple[int, int],
        numbers: np.ndarray,
        first_step: np.ndarray,
        losses: np.ndarray,
        position: np.ndarray,
    ) -> None:
        """Trains the active networks on the rows `orders[:, positions[0]:positions[1]]`.

        `orders` is (1, n) if all share one order, else (networks, n).  `numbers` (networks, steps, numbers)
        holds those of each step, of which the first is `first_step` of the network.  `losses` holds running
        costs, `position` where each network ended: at the first position of a batch whose cost was not
        finite, else at the last.
        """
        kernel = lane_step.train_lanes(self.architecture.dtype)
        samples = self._samples(data, orders)
        steps = LaneSteps(*positions, self.batch_size, np.ascontiguousarray(numbers, np.float64))
        arguments = self._net(), self._options(first_step, True), samples, steps, losses, position
        queue = np.zeros(1, np.int64)

        def work(member: Member, flags: np.ndarray) -> None:
            kernel(*arguments, (flags, queue), member)

        run(min(self.members, len(self._networks)), work)

    def outputs(self, data: LaneData, rows: np.ndarray | None = None) -> np.ndarray:
        """The outputs (networks, n, outputs), each network's in its own units."""
        return self.infer(data, NOTHING, rows)

    def infer(self, data: LaneData, losses: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """The outputs, and each sample's cost to `losses` (networks, n), where there is room.

        `rows` is (n,) for all networks, (networks, n) for each, or None for all samples.
        """
        kernel = lane_step.infer_lanes(self.architecture.dtype)
        orders = np.atleast_2d(np.arange(data.X.shape[-2], dtype=np.int64) if rows is None else rows)
        n = orders.shape[1]
        out = np.empty((len(self), n, self.architecture.sizes[-1]), self.architecture.dtype)
        samples = self._samples(data, orders)
        costs_of_samples = losses if losses.size else np.zeros((0, 0))
        net, options = self._net(), self._options(np.zeros(len(self)), False)
        most = _samples_of_a_call(self.architecture, len(self))
        for begin in range(0, n, most):
            span, queue = (begin, min(n, begin + most)), np.zeros(1, np.int64)

            def work(member: Member, flags: np.ndarray, span: Any = span, queue: Any = queue) -> None:
                kernel(net, options, samples, span, out, costs_of_samples, (flags, queue), member)

            run(min(self.members, len(self._networks)), work)
        return out


_INFERENCE_FLOPS = 1e9  # of a call, so that an interrupt is answered soon


def _samples_of_a_call(architecture: Architecture, networks: int) -> int:
    return _ROWS[0] * max(1, int(_INFERENCE_FLOPS / (_ROWS[0] * networks * architecture.flops())))


def _rows(
    array: np.ndarray, has_own: bool, count: int, divisor: float, scalings: Any, has_one_order: bool
) -> LaneRows:
    """Samples or targets as kernels read them: (n, count) or labels (n,), or so for each network."""
    kind = LABELS if array.dtype == np.int64 else DTYPE_CODES[array.dtype]
    array = np.ascontiguousarray(array)
    rows = array.reshape(-1, 1 if kind == LABELS else count).view(np.uint8)
    next_raw = rows.size // len(array) if has_own else 0
    mean = factor = np.zeros(1)
    next_scaling = 0
    if scalings is not None:
        kind += SCALED
        each = (scalings,) if isinstance(scalings, Scaling) else scalings
        next_scaling = count if len(each) > 1 else 0
        mean = np.concatenate([scaling.mean for scaling in each])
        factor = np.concatenate([1.0 / scaling.deviation for scaling in each])
    is_shared = has_one_order and not next_raw and not next_scaling
    return LaneRows(rows, count, kind, divisor, mean, factor, next_raw, next_scaling, is_shared)
