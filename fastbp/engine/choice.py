"""The engine of networks that train together: in lanes of vectors where that pays, else one by one."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..data.sparse import SparseRows
from .architecture import Architecture, Parameters
from .lane_data import LaneData, LaneSpec
from .lanes import LaneEngine
from .one_by_one import OneByOne


def engine_of(
    architecture: Architecture,
    parameters: Sequence[Parameters],
    batch_size: int,
    members: int,
    spec: LaneSpec,
    states: Sequence[Mapping[str, Parameters]],
    data: LaneData,
    has_own_orders: bool,
) -> Any:
    """Packs networks for a team of at most so many members; no bit depends on which engine it is."""
    has_own_rows = has_own_orders or data.has_own_samples or data.has_own_scalings
    is_sparse = isinstance(data.X, SparseRows)
    pays = LaneEngine.pays(architecture, len(parameters), members, has_own_rows)
    if pays and not is_sparse:
        return LaneEngine(architecture, parameters, batch_size, members, spec, states)
    listed = is_sparse and data.of(0).is_listed
    return OneByOne(architecture, parameters, batch_size, members, spec, states, listed)
