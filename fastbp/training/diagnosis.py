"""Explanations of a failure: notes on a training that diverged, or that learns nothing.

They follow from at most 1,000 samples, and from the counts of all labels.  Nothing is drawn at random.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..data.arrays import are_finite
from ..data.sparse import dense
from ..engine import formulas
from ..engine.architecture import Architecture, Parts
from ..engine.attributes import lazy
from ..engine.kernels.jit import LOADING
from ..engine.packed import NOTHING, Data
from ..options import activations, costs

_ROWS = 1000
_NUMBERS, _FEW = 1 << 22, 100  # wide samples, which may be sparse: fewer rows, but at least so many
_LEARNT = 0.01  # the least `_gain` of a training that has learnt something
_FAR = 10.0  # the root mean square from which numbers are far from unit scale
_NEAR_0, _SMALL = 0.05, 1e-3  # inputs, or a range of targets, below these are far below unit scale
_STUCK = 0.01  # a derivative below it passes almost nothing on, such as that of a sigmoid beyond 0.99
_SAME = 1e-2  # signals with a standard deviation below it hardly differ between samples

_LEAST_STEPS = 10  # steps before which no training can have learnt much
_FIRST_STEPS = 1000  # steps after which a training that has learnt nothing is explained

_BY_MEANS = ("quadratic", "cross_entropy", "poisson")  # costs whose best constant answers are means

_SLOW = "; try ten times the learning rate of {:g}, optimizer='adam', or less regularisation"


class _Targets(NamedTuple):
    """Targets (outputs, m), and the share of each in the mean cost, (outputs, m) or (1, m)."""

    y: np.ndarray
    share: np.ndarray


class _Layer(NamedTuple):
    """A layer's activations and derivatives (units, m) for m samples."""

    name: str
    kind: activations.Kind
    a: np.ndarray
    derivative: np.ndarray


class Baseline:
    """The answers that need no training, and their costs, by which a training is measured."""

    def __init__(self, architecture: Architecture, data: Data, order: np.ndarray) -> None:
        self._architecture, self._data, self._order = architecture, data, order

    @lazy
    def rows(self) -> np.ndarray:
        """The rows of the data that are looked at, from all over the order."""
        most = min(len(self._order), _ROWS, max(_FEW, _NUMBERS // self._architecture.sizes[0]))
        return self._order[np.linspace(0, len(self._order) - 1, most).astype(np.int64)]

    @lazy
    def seen(self) -> _Targets:
        """The targets of these rows."""
        return _targets_of(self._architecture, self._data, self.rows)

    @lazy
    def every(self) -> _Targets:
        """The targets of all rows where these are labels, else of the rows that are looked at."""
        if self._data.targets.ndim == 1:
            return _counted(self._architecture, self._data.targets, self._data.weights)
        seen: _Targets = self.seen
        return seen

    @lazy
    def answer(self) -> np.ndarray:
        """The best constant answer."""
        return _constant(self._architecture, self.every)

    @lazy
    def costs(self) -> tuple[float, float]:
        """The costs of the best constant answer and of a perfect one."""
        return _costs(self._architecture, self.every, self.answer)


def notes(
    parts: Parts,
    data: Data,
    order: np.ndarray,
    rate: float,
    losses: Sequence[float],
    diverged: bool,
    early: bool = False,
    baseline: "Baseline | None" = None,
) -> list[str]:
    """Writes sentences on why training failed, most likely cause first; none where it did not fail.

    It failed if it `diverged`, or if after two epochs or more its cost is not 1 % better than that of the
    best constant answer; `early` in training, only if the cost does not improve by 1 % per epoch either.

    Parameters
    ----------
    parts : Parts
        The network, with its present weights.
    data, order : Data, ndarray
        The training data, and the order of the rows that are trained on.
    rate : float
        The initial learning rate.
    losses : sequence of float
        The mean costs of the epochs so far.
    baseline : Baseline, optional
        That of the data and the order, where it is known already.
    """
    architecture, weights, _ = parts
    if not len(order) or not (diverged or len(losses) > 1) or (diverged and _not_finite(parts)):
        return []
    baseline = baseline or Baseline(architecture, data, order)
    layers: list[_Layer] = []
    with np.errstate(all="ignore"):
        if not diverged:
            former, gain = (_gain(loss, *baseline.costs) for loss in losses[-2:])
            if not gain < 10 * _LEARNT or (early and gain - former > _LEARNT * (1 - former)):
                return []  # as nearly always, before the forward pass
            rows, seen = baseline.rows, baseline.seen
            layers, z = _forward(parts, _inputs(data, rows))
            each = formulas.cost_of(architecture.cost, architecture.activations[-1], z, layers[-1].a, seen.y)
            cost = float(np.sum(seen.share * each))
            constant, perfect = _costs(architecture, seen, baseline.answer)
            if not _gain(cost, constant, perfect) < _LEARNT:
                return []
        reasons = [
            *_target_notes(architecture, baseline.every, data.targets.ndim == 1),
            *_input_notes(_inputs(data, baseline.rows)),
            *_rate_notes(rate, losses, diverged),
            *_unit_notes(architecture, layers, weights),
        ]
    if not diverged:
        advice = "" if reasons else _SLOW.format(rate)
        reasons.append(
            f"nothing learnt: the cost is {cost:.4g}, that of a constant answer {constant:.4g}{advice}"
        )
    return reasons


def is_due(ended: int, epochs: int, steps: int) -> bool:
    """Tells whether a training is looked at after so many ended epochs, which made so many steps.

    True after the last epoch, given `_LEAST_STEPS` steps, and after the epoch that reached `_FIRST_STEPS`; in
    place of the first epoch, after the second.
    """
    if ended < 2 or steps < _LEAST_STEPS:
        return False
    is_early = steps >= _FIRST_STEPS and (ended == 2 or steps * (ended - 1) < _FIRST_STEPS * ended)
    return ended == epochs or is_early


def divergence(parts: Parts, place: str, what: str, rate: float, notes: Sequence[str]) -> str:
    """The message of a training that diverged at that place, with `notes` on why.

    `parts` is the network as it is kept.
    """
    if name := _not_finite(parts):
        return f"{place}: {name} had numbers before the epoch that are not finite; assign others"
    return (
        f"{place}: {what} is no longer finite with learning_rate {rate:g}; the last finite weights are kept. "
        + ("; ".join(notes) or "Try a smaller learning_rate")
    )


def _not_finite(parts: Parts) -> str:
    """The name of the first weights or biases that are not all finite; empty where all are."""
    for name, arrays in (("weights", parts.weights), ("biases", parts.biases)):
        for layer, array in enumerate(arrays):
            if not are_finite(array):
                return f"{name}[{layer}]"
    return ""


# The costs of answers


def _targets_of(architecture: Architecture, data: Data, rows: np.ndarray) -> _Targets:
    scaling = architecture.target_scaling(data.outputs)
    targets = data.targets[rows] if scaling is None else scaling.scaled(data.targets[rows])
    weights = data.weights[rows] if data.weights.size else NOTHING
    one_hot = targets.ndim == 1
    y = np.equal.outer(np.arange(architecture.sizes[-1]), targets) if one_hot else np.transpose(targets)
    share = weights if weights.size else np.ones(len(targets))
    return _Targets(y.astype(np.float64), share[None, :] / len(targets))


def _counted(architecture: Architecture, labels: np.ndarray, weights: np.ndarray) -> _Targets:
    """All one-hot targets: two columns, for a target is 1 or 0, each with its share of the rows."""
    ones = np.bincount(labels, weights if weights.size else None, architecture.sizes[-1]) / len(labels)
    return _Targets(np.tile([1.0, 0.0], (len(ones), 1)), np.stack([ones, ones.sum() - ones], axis=1))


def _constant(architecture: Architecture, targets: _Targets) -> np.ndarray:
    """The best answer (outputs, 1): means, or the best of five from the mean of each output to its median.

    The median is the best for the absolute cost, a quantile for that of its level, and for huber and log_cosh
    it lies between mean and median.  The outputs of a softmax are not chosen one by one.
    """
    y, share = targets.y, np.broadcast_to(targets.share, targets.y.shape)
    mean = np.sum(share * y, axis=1, keepdims=True) / np.sum(share, axis=1, keepdims=True)
    name, _ = costs.name_and_parameter(architecture.cost)
    if name in _BY_MEANS or architecture.activations[-1] == "softmax":
        return _reached(architecture, mean)
    ranks = np.argsort(y, axis=1)
    upto = np.cumsum(np.take_along_axis(share, ranks, axis=1), axis=1)
    level = architecture.cost.level if isinstance(architecture.cost, costs.Quantile) else 0.5
    middle = np.argmax(upto >= upto[:, -1:] * level, axis=1)[:, None]
    median = np.take_along_axis(y, np.take_along_axis(ranks, middle, axis=1), axis=1)
    answers = [_reached(architecture, mean + part * (median - mean)) for part in (0.0, 0.25, 0.5, 0.75, 1.0)]
    each = [np.sum(_cost(architecture, targets, answer), axis=1, keepdims=True) for answer in answers]
    return np.asarray(np.choose(np.argmin(each, axis=0), answers))


def _reached(architecture: Architecture, y: np.ndarray) -> np.ndarray:
    """The possible outputs nearest to `y`."""
    return np.asarray(np.clip(y, *_reach(architecture.activations[-1])))


@functools.lru_cache(64)
def _reach(kind: activations.Kind) -> tuple[float, float]:
    """The least and the largest activation; infinite for a user's function."""
    if isinstance(kind, activations.Activation):
        return -np.inf, np.inf
    if kind == "softmax":
        return 0.0, 1.0
    a, _ = formulas.activation(kind, np.array([-1e6, *np.linspace(-10, 10, 401), 1e6]))
    low, high = float(np.min(a)), float(np.max(a))
    return (-np.inf if low < -100 else low), (np.inf if high > 100 else high)


def _cost(architecture: Architecture, targets: _Targets, a: np.ndarray) -> np.ndarray:
    """The contribution of each output to the mean cost."""
    if not costs.is_least_at_targets(architecture.cost):  # a user's function may need compiling besides
        return np.full(targets.y.shape, np.nan)
    output = architecture.activations[-1]
    c, _ = formulas.cost(architecture.cost, output, np.broadcast_to(a, targets.y.shape), targets.y)
    return np.asarray(targets.share * c)


def _total(architecture: Architecture, targets: _Targets, a: np.ndarray) -> float:
    return float(np.sum(_cost(architecture, targets, a)))


def _costs(architecture: Architecture, targets: _Targets, answer: np.ndarray) -> tuple[float, float]:
    """The costs of a constant answer and of a perfect one, which is not 0 for shares and counts."""
    perfect = _reached(architecture, targets.y)
    return _total(architecture, targets, answer), _total(architecture, targets, perfect)


def _gain(cost: float, constant: float, perfect: float) -> float:
    """The gain of `cost` over the best constant answer's cost, 0, towards a perfect one's, 1; maybe NaN."""
    return float((constant - cost) / np.maximum(constant - perfect, 1e-6 * abs(constant) + 1e-300))


# The signals of samples


def _inputs(data: Data, rows: np.ndarray) -> np.ndarray:
    """The rows' samples as columns, as the network computes with them."""
    X = dense(data.X[rows])
    x = X / data.divisor if X.dtype == np.uint8 else X.astype(np.float64)
    return np.transpose(x if data.inputs is None else data.inputs.scaled(x))


def _forward(parts: Parts, x: np.ndarray) -> tuple[list[_Layer], np.ndarray]:
    """The layers, and the weighted input of the last."""
    layers = []
    kinds = parts.architecture.activations
    with LOADING:  # a fork waits, for it would wait for ever for BLAS's threads at work
        for number, (z, a, derivative) in enumerate(formulas.forward(kinds, parts.weights, parts.biases, x)):
            last = number == len(kinds) - 1
            name = "output layer" if last else f"layer {number + 1}" if number else "first layer"
            layers.append(_Layer(name, kinds[number], a, np.broadcast_to(derivative, z.shape)))
    return layers, z


# Observations


def _target_notes(architecture: Architecture, targets: _Targets, are_labels: bool) -> Iterator[str]:
    y, kind = targets.y, architecture.activations[-1]
    low, high = _reach(kind)
    if are_labels:
        if np.count_nonzero(targets.share[:, 0]) == 1:
            yield f"labels: all {np.argmax(targets.share[:, 0])}, so there is nothing to tell apart"
        return
    most = int(np.argmax(np.mean(y * y, axis=1)))
    far, spread = np.mean(y[most] ** 2) > _FAR**2, np.ptp(y, axis=1).max()
    column = f"column {most}, " if len(y) > 1 else ""
    if spread == 0 and y.shape[1] > 1:
        yield f"targets: {column}all {y[most, 0]:g}, so there is nothing to learn"
    elif y.min() < low - 1e-6 or y.max() > high + 1e-6:
        better = (*costs.definition_of(architecture.cost).outputs, "linear")[0]
        name, _ = activations.name_and_parameter(kind)
        yield (
            f"targets: {_span(y)}, but outputs of {name} reach from {low:.2g} to "
            f"{high:.2g}; output_activation={better!r}{', scale_outputs=True' if far else ''}"
        )
    elif far or 0 < spread < _SMALL:
        yield (
            f"targets: {column}{_span(y[most])}; scale them to about unit scale, or "
            "Network(..., scale_outputs=True)"
        )


def _input_notes(x: np.ndarray) -> Iterator[str]:
    scale = np.sqrt(np.mean(x * x, axis=1))
    far, most = np.count_nonzero(scale > _FAR), int(np.argmax(scale))
    advice = "scale them to about unit scale, or Network(..., scale_inputs=True)"
    if far:
        others = f", and {far - 1} more of {len(x)} columns are far from unit scale" if far > 1 else ""
        yield f"inputs: column {most} is {_span(x[most])}, median {np.median(x[most]):.3g}{others}; {advice}"
    elif x.shape[1] > 1 and not np.ptp(x, axis=1).any():
        yield "inputs: all samples are the same"
    elif np.abs(x).max() < _NEAR_0:
        yield f"inputs: all are {_span(x)}; {advice}"


def _span(values: np.ndarray) -> str:
    return f"from {np.min(values):.3g} to {np.max(values):.3g}"


def _unit_notes(
    architecture: Architecture, layers: Sequence[_Layer], weights: Sequence[np.ndarray]
) -> Iterator[str]:
    """A note on the first layer that passes no signal: its units are stuck, all alike, or hardly differ."""
    has_logits_form = formulas.has_logits_form(architecture.cost, architecture.activations[-1])
    for layer, w in zip(layers[:-1] if has_logits_form else layers, weights, strict=False):
        stuck = np.mean(np.mean(np.abs(layer.derivative) < _STUCK, axis=1) >= 0.95)
        is_hidden = layer is not layers[-1]
        if is_hidden and len(w) > 1 and not np.ptp(w, axis=0).any():
            yield f"{layer.name}: all units have the same weights, and always will; begin with random ones"
            return
        if stuck >= 0.5:
            saturates = np.isfinite(_reach(layer.kind)).all()
            state = "saturated (beyond 0.99 of their range)" if saturates else "dead (derivative below 0.01)"
            other = "smaller initial weights" if saturates else "activation='leaky_relu'"
            yield (
                f"{layer.name}: {100 * stuck:.0f} % of its units are {state} on at least 95 % of samples; "
                f"try a smaller learning_rate, or {other if is_hidden else 'another cost'}"
            )
            return
        spread = np.std(layer.a, axis=1).max()
        if is_hidden and spread < _SAME:
            yield (
                f"{layer.name}: its signals differ by {spread:.1g} between samples; try larger initial "
                "weights, tanh or relu, or less l2 and l1"
            )
            return


def _rate_notes(rate: float, losses: Sequence[float], diverged: bool) -> Iterator[str]:
    lowest = min(losses, default=np.inf)
    if losses and losses[-1] - lowest > 0.02 * abs(lowest):
        yield f"learning rate {rate:g}: the cost rose from {lowest:.3g} to {losses[-1]:.3g}; try a tenth"
    elif diverged:
        yield f"learning rate {rate:g}: its steps lead too far; try a tenth"
