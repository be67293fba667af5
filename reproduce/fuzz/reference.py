"""Cases against the reference of the tests, plain NumPy that knows nothing of fastbp.

Rounding errors grow as training goes on, in each case by another factor.  So the reference trains four times
more, with numbers that differ by a few rounding errors; a multiple of what these change is allowed.
"""
# ruff: noqa: NPY002  orders without a seed come from NumPy's global generator

import sys
from pathlib import Path
from typing import Any

import numpy as np

import fastbp
from fastbp.options.optimizers import OPTIMIZERS
from fastbp.options.schedules import Schedule

from .cases import Case, made, schedule_of

# Modules of tests/support import each other by bare names, as pytest's pythonpath lets them.
sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "support"))
import reference_functions
import reference_training

_MARGIN = 1000  # times the difference that errors make
_RUNS = 4  # of the reference with such errors
_LEAST = 30  # rounding errors of the largest number, which are allowed in any case
_MOST = 0.1  # the largest allowed difference, relative to that number; beyond, nothing is tested
_KINK = 100  # rounding errors within which a kink may be taken for its other side


class IllConditioned(Exception):
    """Rounding errors alone may change the result much."""


def covered(case: Case) -> Case:
    """The part of a case that the reference has."""
    recipe = {
        name: text
        for name, text in case.recipe.items()
        if name not in ("callbacks", "metrics", "validation_data", "validation_split", "data_seed")
    }
    network = {name: text for name, text in case.network.items() if name != "seed"}
    if "irprop" in recipe.get("optimizer", "").lower():  # signs of rounding errors grow in small batches
        recipe["batch_size"] = "n"
        network.pop("dtype", None)
    return case._replace(recipe=recipe, network=network)


def difference(case: Case, number: int) -> str:
    """What differs from the reference's result by more than rounding; nothing where all agrees.

    Raises
    ------
    IllConditioned
    """
    names = made(covered(case))
    net, recipe = names["network"](), names["recipe"]()
    threads = 1 + number % 3
    with np.errstate(all="ignore"):
        wanted, allowed = _expected(net, names, recipe)
        try:
            history = net.fit(names["X"], names["y"], **recipe, threads=threads)
        except fastbp.DivergenceError:
            if "dtype" not in case.network:
                return "diverged"
            wide = {name: text for name, text in case.network.items() if name != "dtype"}
            if what := difference(case._replace(network=wide), number):
                return what
            raise IllConditioned from None  # a number that float32 does not have
    found = [*net.weights, *net.biases, history.loss]
    labels = [f"{what} {i}" for what in ("weights", "biases") for i in range(len(net.weights))]
    for name, one, other, most in zip([*labels, "costs"], found, wanted, allowed, strict=True):
        error = float(np.max(np.abs(one - other)))
        if not error <= most:
            return f"{name}: off by {error:.2g}, {most:.2g} allowed"
    return ""


def _expected(net: Any, names: dict[str, Any], recipe: dict[str, Any]) -> tuple[list[Any], list[float]]:
    """The reference's arrays, and the largest difference that each may have."""
    eps = float(np.finfo(net.dtype).eps)
    functions = _Functions()
    X, arguments = _arguments(net, names, recipe, functions)
    is_smoothed = isinstance(net._fastbp.options.cost, fastbp.CrossEntropy)

    def run() -> list[Any]:
        weights, biases = (
            [functions.moved(array.astype(float)) for array in arrays] for arrays in (net.weights, net.biases)
        )
        Y = functions.moved(arguments["Y"]) if is_smoothed else arguments["Y"]
        moved = arguments | {"Y": Y}
        done = reference_training.train_reference(weights, biases, functions.moved(X), **moved)
        return [*done.weights, *done.biases, np.array(done.costs)]

    wanted = run()
    functions.size = 4 * eps
    others = [run() for _ in range(_RUNS)]
    allowed = []
    largest = max(float(np.max(np.abs(array))) for array in wanted[:-1])
    for i, array in enumerate(wanted):
        scale = max(float(np.max(np.abs(array))), largest)
        spread = max(float(np.max(np.abs(other[i] - array))) for other in others)
        if not _MARGIN * spread < _MOST * scale < np.inf:
            raise IllConditioned
        errors = _LEAST if i < len(wanted) - 1 else _LEAST + len(X)  # costs of samples are added up
        allowed.append(_MARGIN * spread + errors * eps * scale)
    reached = max(functions.largest, float(np.max(wanted[-1])))
    if functions.nearest < _KINK * eps or reached > np.finfo(net.dtype).max ** 0.5:
        raise IllConditioned
    return wanted, allowed


class _Functions:
    """The reference's functions, with errors of `size` in numbers and in derivatives of about 1.

    `nearest` is how near numbers came to where a derivative jumps; 0 itself is on one side in any arithmetic.
    `largest` is the largest exponential.
    """

    def __init__(self) -> None:
        self.size, self.nearest, self.largest = 0.0, np.inf, 0.0
        self._rng = np.random.default_rng(0)

    def _errors(self, array: Any) -> Any:
        return self.size * self._rng.uniform(-1, 1, array.shape)

    def moved(self, array: Any) -> Any:
        return array * (1 + self._errors(array))

    def watched(self, x: Any) -> Any:
        self.nearest = min(self.nearest, float(np.abs(x[x != 0]).min(initial=np.inf)))
        return x

    def bounded(self, a: Any) -> Any:
        self.largest = max(self.largest, float(np.abs(a).max(initial=0)))
        return a

    def activation(self, kind: Any) -> Any:
        """The reference's for an activation of fastbp."""
        functions = reference_functions
        if kind == "softmax":
            return kind
        if isinstance(kind, str):
            function, derivative = functions.ACTIVATIONS[kind]
        elif isinstance(kind, fastbp.Activation):
            function, derivative = kind.function, kind.derivative
        elif isinstance(kind, fastbp.GELU):
            function, derivative = functions.gelu() if kind.approximate == "none" else functions.gelu_tanh()
        elif isinstance(kind, fastbp.ELU):
            function, derivative = functions.elu(kind.alpha)
        else:
            function, derivative = functions.leaky_relu(kind.slope)
        if kind in ("relu", "leaky_relu") or isinstance(kind, (fastbp.LeakyReLU, fastbp.ELU)):
            return functions.Activation(function, lambda z: derivative(self.watched(z)))
        if kind == "exponential":
            return functions.Activation(lambda z: self.bounded(function(z)), derivative)
        if kind == "linear":
            return functions.Activation(function, derivative)
        return functions.Activation(function, lambda z: derivative(z) + self._errors(z))

    def cost(self, kind: Any, output: Any) -> Any:
        """The reference's for a cost of fastbp, with errors in signs, whose sums may cancel."""
        functions = reference_functions
        if kind == "hinge":
            return self._jumping(functions.hinge(1), lambda a, y: 1 - np.where(y > 0, a, -a))
        if kind in ("absolute", "quantile"):
            return self._jumping(functions.COSTS[kind], np.subtract)
        if isinstance(kind, fastbp.Quantile):
            return self._jumping(functions.quantile(kind.level), np.subtract)
        if isinstance(kind, fastbp.CrossEntropy):
            return "cross_entropy"  # of targets that `_arguments` has smoothed
        if isinstance(kind, fastbp.Focal):
            focal = functions.categorical_focal if output == "softmax" else functions.binary_focal
            function, derivative = focal(kind.gamma)
            return functions.Cost(
                lambda a, y: function(self.moved(a), y), lambda a, y: derivative(self.moved(a), y)
            )
        if isinstance(kind, fastbp.Huber):
            function, derivative = functions.huber(kind.delta)
            return functions.Cost(function, lambda a, y: self.moved(derivative(a, y)))
        return kind

    def _jumping(self, cost: Any, distance: Any) -> Any:
        """The cost, whose derivative jumps where the distance is 0."""

        def derivative(a: Any, y: Any) -> Any:
            self.watched(distance(a, y))
            return self.moved(cost.derivative(a, y))

        return reference_functions.Cost(cost.function, derivative)


def _arguments(net: Any, names: dict[str, Any], recipe: dict[str, Any], functions: _Functions) -> Any:
    """X and the other arguments of the reference's training."""
    options, n = net._fastbp.options, len(names["y"])
    batch = min(recipe["batch_size"], n)
    layers, generator = len(net.weights), np.random.RandomState()
    generator.set_state(np.random.get_state())
    masks = None
    dropout = np.broadcast_to(options.dropout, layers - 1)
    if dropout.any():
        high, low = generator.randint(0, 1 << 32, 2, np.uint64).tolist()
        masks = _masks(high << 32 | low, net.sizes, dropout, n, batch)
    shuffles = recipe.get("shuffle", True)
    orders = [generator.permutation(n) if shuffles else np.arange(n) for _ in range(recipe["epochs"])]
    name, own = _optimizer(recipe)
    activations = [functions.activation(kind) for kind in options.activations(layers)]
    cost = functions.cost(options.cost, options.output_activation)
    if (cost, options.output_activation) in reference_functions.MATCHED:
        activations[-1] = options.output_activation
    l2 = recipe.get("l2", 0.0)
    if name == "adam" and "clip_norm" in recipe:  # which clips the decay as other penalties
        l2 += own.pop("weight_decay")
    labels = _targets(names["y"], net.sizes[-1])
    Y = labels.astype(float)
    if options.scale_outputs:
        Y = _scaled(Y)
    if isinstance(options.cost, fastbp.CrossEntropy):
        share = options.cost.label_smoothing
        Y = reference_functions.smoothed_targets(Y, share, options.output_activation)
    return _samples(names["X"], options), {
        "Y": Y,
        "orders": orders,
        "batch_size": batch,
        "rates": _rates(recipe, len(orders) * -(-n // batch)),
        "activations": activations[:-1],
        "output_activation": activations[-1],
        "cost": cost,
        "optimizer": name,
        "options": own,
        "l2": l2,
        "l1": recipe.get("l1", 0.0),
        "clip_norm": recipe.get("clip_norm"),
        "sample_weight": _weights(labels, recipe),
        "frozen": options.frozen,
        "masks": masks,
    }


def _samples(X: Any, options: Any) -> Any:
    X = np.asarray(X.toarray() if hasattr(X, "toarray") else X)
    if options.scale_inputs:
        return _scaled(X.astype(float))
    divisor = options.input_divisor or (options.uint8_divisor if X.dtype == np.uint8 else None) or 1
    return (X.astype(options.dtype) / options.dtype.type(divisor)).astype(float)


def _scaled(array: Any) -> Any:
    deviation = array.std(axis=0)
    return (array - array.mean(axis=0)) / np.where(deviation > 1e-12, deviation, 1.0)


def _targets(y: Any, outputs: int) -> Any:
    if y.ndim == 1 and outputs > 1 and y.dtype.kind != "f":
        return np.eye(outputs)[np.unique(y, return_inverse=True)[1] if y.dtype.kind == "U" else y]
    return y.reshape(len(y), -1)


def _weights(targets: Any, recipe: dict[str, Any]) -> Any:
    weights = np.asarray(recipe.get("sample_weight", 1.0), float) * np.ones(len(targets))
    spec = recipe.get("class_weight")
    if spec is None:
        return weights
    classes = targets.argmax(axis=1) if targets.shape[1] > 1 else targets[:, 0].astype(int)
    counts = np.bincount(classes)
    if spec == "balanced":
        return weights * len(classes) / np.count_nonzero(counts) / counts[classes]
    return weights * [spec.get(int(label), 1.0) for label in classes]


def _optimizer(recipe: dict[str, Any]) -> tuple[str, dict[str, float]]:
    given = recipe.get("optimizer", "sgd")
    given = OPTIMIZERS[given] if isinstance(given, str) else given
    former = {"up": "grow", "down": "shrink", "smallest": "least", "largest": "most"}
    return type(given).__name__.lower(), {
        former.get(name, name): value for name, value in vars(given).items()
    }


def _rates(recipe: dict[str, Any], steps: int) -> Any:
    schedule = schedule_of(recipe)
    if isinstance(schedule, Schedule):
        return schedule.rates(recipe["learning_rate"], 0, steps, 0, steps)
    return [schedule(step) for step in range(steps)]


def _masks(key: int, sizes: Any, dropout: Any, n: int, batch: int) -> Any:
    """The factors of the hidden layers' outputs in a step."""
    steps = -(-n // batch)

    def masks(step: int) -> Any:
        rows = min(batch, n - step % steps * batch)
        return [
            reference_training.mask(key, step, layer, len(sizes) - 1, (rows, sizes[layer + 1]), float(rate))
            for layer, rate in enumerate(dropout)
        ]

    return masks
