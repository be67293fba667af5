"""A network without its weights: its architecture, options and progress."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ..data.parameters import checked_parameters, float_type
from ..data.pixels import divisors
from ..data.scaling import Scaling
from ..data.schema import Learnt, Schema
from ..data.targets import Task
from ..options import activations, checks, costs, random_streams
from ..options.network import Options
from ..options.optimizers import Optimizer, state_names

Record = TypeVar("Record")
Parameters = tuple[list[np.ndarray], list[np.ndarray]]  # weights [(n_out, n_in)] and biases [(n_out, 1)]


class Architecture(NamedTuple):
    """The properties of a network that kernels need; `activations` has one for each layer but the inputs."""

    sizes: tuple[int, ...]
    activations: tuple[activations.Kind, ...]
    dtype: np.dtype
    cost: costs.Kind = "quadratic"
    dropout: tuple[float, ...] = ()  # the rate of each hidden layer, or nothing
    frozen: tuple[int, ...] = ()  # layers, counted as weights are, whose weights stay
    compute_dtype: str | None = None  # of what products read, unless it is `dtype`

    @property
    def is_compiled(self) -> bool:
        """Tells whether kernels can compute it: Numba's ``njit`` must have compiled the user's functions."""
        objects = [kind for kind in (*self.activations, self.cost) if not isinstance(kind, str)]
        return not objects or all(
            hasattr(function, "py_func")
            for kind in objects
            if isinstance(kind, (activations.Activation, costs.Cost))
            for function in (kind.function, kind.derivative)
        )

    def target_scaling(self, outputs: Scaling | None) -> Scaling | None:
        """The scaling of targets (n, columns) where that of the outputs is known."""
        if outputs is None or not costs.definition_of(self.cost).is_paired:
            return outputs
        return Scaling(outputs.mean[::2], outputs.deviation[::2])

    def a_target_for_each(
        self, targets: np.ndarray, outputs: Scaling | None
    ) -> tuple[np.ndarray, Scaling | None]:
        """Targets and their scaling with a column for each output, as kernels read them; labels stay."""
        if not costs.definition_of(self.cost).is_paired:
            return targets, outputs or self.smoothing
        scaling = self.target_scaling(outputs)
        twice = None if scaling is None else Scaling(*(np.repeat(numbers, 2) for numbers in scaling))
        return np.repeat(targets, 2, axis=1), twice

    @property
    def smoothing(self) -> Scaling | None:
        """The scaling of targets that smooths labels: y becomes (1 - s) y + s / k; None if there is none."""
        share = costs.smoothing_of(self.cost)
        if not share:
            return None
        odds = self.sizes[-1] if self.activations[-1] == "softmax" else 2
        columns = np.ones(self.sizes[-1])
        return Scaling(-share / odds / (1 - share) * columns, columns / (1 - share))

    def flops(self) -> int:
        """Floating-point operations to train on one sample, padding not counted.

        4 per weight (forward, update) and 2 more where the layer's input needs a delta.
        """
        weights = [n_in * n_out for n_in, n_out in itertools.pairwise(self.sizes)]
        return 4 * sum(weights) + 2 * sum(weights[1:])


@dataclass(frozen=True)
class Progress:
    """The counts of a network's training, and its optimizer."""

    epochs: int = 0  # epochs whose order has been drawn
    batches: int = 0  # mini-batches whose dropout masks have been drawn
    masks: int | None = None  # the key of dropout's masks, if it was drawn without a seed
    optimizer: Optimizer | None = None
    began: int = 0  # the value of `batches` at which the optimizer's state started
    optimizer_state: dict[str, Parameters] = field(default_factory=dict, compare=False)  # by name


@dataclass(frozen=True)
class State:
    """All that a network keeps beside the book's four attributes, in one attribute, ``_fastbp``.

    So no private name of a subclass collides with one of ours.  The defaults are the class's, for a pickle of
    the book's class holds the four attributes alone.  A state is replaced, never changed, for a shallow copy
    of the network shares it.
    """

    options: Options = field(default_factory=Options)
    learnt: Learnt = field(default_factory=Learnt)
    progress: Progress = field(default_factory=Progress)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "State":
        """The state whose records hold these values, and defaults for all other fields."""

        def record(kind: Any) -> Any:
            return kind(**{item.name: values[item.name] for item in fields(kind) if item.name in values})

        return cls(record(Options), record(Learnt), record(Progress))

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        """Restores a pickle; one of fastbp 0.2.0 has no records, and its optimizer's state has no names."""
        if "options" not in attributes:
            if unnamed := attributes.get("memory", ()):
                names = state_names(attributes["optimizer"].row)
                attributes = {**attributes, "optimizer_state": dict(zip(names, unnamed, strict=True))}
            attributes = vars(State.of(attributes))
        vars(self).update(attributes)


def changed(record: Record, **changes: Any) -> Record:
    """A copy of a dataclass with other values of some fields, without the calls that `replace` makes."""
    copy = object.__new__(type(record))
    vars(copy).update(vars(record), **changes)
    return copy


def options_of(sizes: Sequence[int], options: Mapping[str, Any]) -> Options:
    """The options of a new network, each checked; `options` are the arguments of `Network`."""
    layers = len(sizes) - 1
    dtype = float_type(options["dtype"])
    by_inputs, by_uint8 = divisors(
        options["input_divisor"], options["uint8_divisor"], options["scale_inputs"], dtype
    )
    seed = options["seed"]
    chosen = Options(
        dtype=dtype,
        activation=_of_each("activation", options["activation"], layers - 1, _activation),
        output_activation=checks.option(
            "output_activation",
            options["output_activation"],
            activations.OUTPUT_ACTIVATIONS,
            activations.Kind,
        ),
        cost=checks.option("cost", options["cost"], costs.COSTS, costs.Kind),
        dropout=_of_each("dropout", options["dropout"], layers - 1, checks.rate),
        frozen=checks.frozen_layers(options["frozen"], layers),
        input_divisor=by_inputs,
        uint8_divisor=by_uint8,
        seed=None if seed is None else checks.seed("seed", seed),
        scale_inputs=checks.flag("scale_inputs", options["scale_inputs"]),
        scale_outputs=checks.flag("scale_outputs", options["scale_outputs"]),
        compute_dtype=_compute_dtype(options["compute_dtype"], dtype),
    )
    outputs = sizes[-1] if layers else 2
    costs.check_network(chosen.cost, chosen.output_activation, outputs, chosen.scale_outputs)
    return chosen


def _compute_dtype(value: Any, dtype: np.dtype) -> str | None:
    """The type of what products read, or None where it is that of the weights."""
    if value is None or value is dtype.type or value == dtype.name:
        return None
    is_single = dtype == np.float32
    if value == "bfloat16" and not is_single:
        raise ValueError(
            f"compute_dtype: expected {dtype.name!r} or None with dtype={dtype.name!r}, got 'bfloat16'; "
            "bfloat16 needs weights in float32: pass dtype='float32'"
        )
    checks.choice("compute_dtype", value, (dtype.name, "bfloat16") if is_single else (dtype.name,))
    return "bfloat16"


def _activation(name: str, value: Any) -> activations.Kind:
    kind: activations.Kind = checks.option(name, value, activations.ACTIVATIONS, activations.Kind)
    return kind


def _of_each(name: str, value: Any, hidden: int, check: Callable[[str, Any], Any]) -> Any:
    """One checked value of all hidden layers, or a tuple of one for each."""
    if not isinstance(value, (list, tuple)) and not np.ndim(value):
        return check(name, value)
    return tuple(check(name, item) for item in checks.layers(name, value, max(0, hidden)))


class Parts(NamedTuple):
    """A network taken apart for an engine."""

    architecture: Architecture
    weights: list[np.ndarray]
    biases: list[np.ndarray]


def checked(net: Any) -> Parts:
    """The network's checked parts; sizes follow from the weights, which a user may have set."""
    options: Options = net._fastbp.options
    weights, biases = checked_parameters(net.weights, net.biases, options.dtype)
    sizes = (weights[0].shape[1], *(len(w) for w in weights))
    dropout = checks.layers("dropout", options.dropout, len(weights) - 1) if options.dropout != 0 else ()
    architecture = Architecture(
        sizes,
        options.activations(len(weights)),
        options.dtype,
        options.cost,
        dropout if any(dropout) else (),
        options.frozen,
        options.compute_dtype,
    )
    return Parts(architecture, weights, biases)


def schema_of(net: Any, architecture: Architecture, task: Task | None = None) -> Schema:
    """How the network reads X and y, where y must suit the `task`, unless that is None."""
    state: State = net._fastbp
    return Schema(architecture.sizes[0], architecture.sizes[-1], state.options, state.learnt, task)


def mask_key(net: Any) -> int:
    """The key of dropout's masks: the seed's, or one that is drawn from NumPy's global generator, once."""
    state: State = net._fastbp
    if state.options.seed is not None:
        return random_streams.key(state.options.seed, "mask")
    masks = state.progress.masks
    if masks is None:
        high, low = np.random.randint(0, 1 << 32, 2, np.uint64).tolist()  # noqa: NPY002  the global one
        masks = high << 32 | low
        net._fastbp = replace(state, progress=replace(state.progress, masks=masks))
    return masks


_FORMER = {
    "_dtype": "dtype",
    "_activation": "activation",
    "_output": "output_activation",
    "_divisor": "uint8_divisor",
    "_task": "task",
}


def from_0_1(attributes: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a network that fastbp 0.1.0 pickled, with its private ones in one state.

    Its generator is left out: orders of samples then come from NumPy's global one.
    """
    former = {_FORMER[name]: value for name, value in attributes.items() if name in _FORMER}
    kept = {name: value for name, value in attributes.items() if name not in (*_FORMER, "_random")}
    return (
        {**kept, "_fastbp": State.of({"uint8_divisor": 255.0, **former})}
        if len(kept) < len(attributes)
        else kept
    )
