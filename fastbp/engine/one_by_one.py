"""Networks that train together, each by an engine of its own: what `LaneEngine` does, for any network."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from . import numpy_engine
from .architecture import Architecture, Parameters
from .kernels.team import Member, run
from .lane_data import LaneData, LaneSpec
from .packed import NOTHING, Engine, UpdateSpec

_KEPT = 3  # data whose parts are kept: those of training, validation and metrics


class OneByOne:
    """Engines of networks of one architecture, which members of a team train in turn.

    Attributes
    ----------
    active : ndarray
        Which networks `train` trains, (networks,) bool; may be set between calls.
    members : int
        The size of the team, whose members train one network each at a time.  May be set.
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
        listed: bool = False,
    ) -> None:
        self.architecture, self.batch_size, self.members = architecture, batch_size, members
        self.active = np.ones(len(parameters), bool)
        self._parts: dict[int, tuple[LaneData, list[Any]]] = {}  # of the data that were read last
        self._engines = [
            self._engine(i, parameters[i], spec, states[i] if states else {}, listed)
            for i in range(len(parameters))
        ]
        self._room = np.stack([engine.new_losses() for engine in self._engines])

    def _engine(
        self, i: int, parameters: Parameters, spec: LaneSpec, state: Mapping[str, Parameters], listed: bool
    ) -> Any:
        """The engine of network `i` alone."""
        dropout = tuple(spec.dropout[i].tolist()) if spec.dropout.size else self.architecture.dropout
        architecture = self.architecture._replace(dropout=dropout if any(dropout) else ())
        clip_norm = float(spec.clip_norms[i]) if spec.clip_norms.size else 0.0
        key = int(spec.keys[i]) if spec.keys.size and architecture.dropout else 0
        if not architecture.is_compiled:
            row = spec.optimizer if isinstance(spec.optimizer, str) else "sgd"
            return numpy_engine.Engine(architecture, *parameters, self.batch_size, row, clip_norm, key, state)
        update_spec = UpdateSpec(spec.optimizer, clip_norm, key)
        return Engine(architecture, *parameters, self.batch_size, 1, update_spec, state, listed=listed)

    def __len__(self) -> int:
        return len(self._engines)

    @property
    def block(self) -> int:
        """The samples that are taken at once: a call of `train` may end after any block of a batch."""
        block: int = self._engines[0].block
        return block

    def new_losses(self) -> np.ndarray:
        """Room for the running costs (networks,), which `train` keeps true whenever it is interrupted."""
        self._room = np.zeros_like(self._room)
        return self._room[:, 0]

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
        """Trains the active networks; arguments are those of `LaneEngine.train`."""
        # Losses of `new_losses` are a view of `_room`, which the kernels write together with the weights, so
        # that an interrupt leaves them true; others are copied once a kernel has returned.
        room = self._room if losses.base is self._room else None
        parts = self._parts_of(data)

        def work(i: int) -> None:
            costs = self._engines[i].new_losses() if room is None else room[i]
            costs[0] = losses[i]
            order = orders[i if len(orders) > 1 else 0]
            self._engines[i].train(
                parts[i], order, positions, numbers[i], int(first_step[i]), costs, position[i : i + 1]
            )
            losses[i] = costs[0]

        self._share(np.flatnonzero(self.active).tolist(), work)

    def outputs(self, data: LaneData, rows: np.ndarray | None = None) -> np.ndarray:
        """The outputs (networks, n, outputs), each network's in its own units."""
        return self.infer(data, NOTHING, rows)

    def infer(self, data: LaneData, losses: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """The outputs, and each sample's cost to `losses` (networks, n), where there is room.

        `rows` is (n,) for all networks, (networks, n) for each, or None for all samples.
        """
        parts = self._parts_of(data)
        n = parts[0].X.shape[0] if rows is None else rows.shape[-1]
        out = np.empty((len(self), n, self.architecture.sizes[-1]), self.architecture.dtype)

        def work(i: int) -> None:
            order = rows[i] if rows is not None and rows.ndim == 2 else rows
            out[i] = self._engines[i].infer(parts[i], losses[i] if losses.size else NOTHING, 1, order)

        self._share(list(range(len(self))), work)
        return out

    def _parts_of(self, data: LaneData) -> list[Any]:
        if id(data) not in self._parts:
            if len(self._parts) > _KEPT:
                self._parts.clear()
            self._parts[id(data)] = data, [data.of(i) for i in range(len(self))]
        return self._parts[id(data)][1]

    def _share(self, networks: list[int], work: Callable[[int], None]) -> None:
        """Calls ``work(i)`` for each network, by a team whose members take the next when they are free."""
        rest = iter(networks)

        def take(member: Member, flags: np.ndarray) -> None:
            for i in rest:
                work(i)

        run(max(1, min(self.members, len(networks))), take, meets=False)

    def pack(self, i: int, weights: Sequence[np.ndarray], biases: Sequence[np.ndarray]) -> None:
        self._engines[i].pack(weights, biases)

    def unpack(self, i: int) -> Parameters:
        """New arrays of the weights and biases of network `i`."""
        parameters: Parameters = self._engines[i].unpack()
        return parameters

    def unpack_state(self, i: int) -> dict[str, Parameters]:
        """New arrays of the optimizer's state of network `i`, by name."""
        state: dict[str, Parameters] = self._engines[i].unpack_state()
        return state

    def snapshot(self) -> list[Any]:
        """Copies of the packed weights and states of all networks, for `restore`."""
        return [engine.snapshot() for engine in self._engines]

    def restore(self, i: int, snapshot: list[Any]) -> None:
        """Brings network `i` back to the snapshot, with its optimizer's state."""
        self._engines[i].restore(snapshot[i])

    def is_finite(self) -> np.ndarray:
        """Tells of each network whether all of its weights are finite."""
        return np.array([np.isfinite(engine.parameters).all() for engine in self._engines])
