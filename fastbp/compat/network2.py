"""The book's `network2`: costs, better initial weights, L2 regularization, monitors, and files::

    from fastbp.compat import mnist_loader, network2
    training_data, validation_data, test_data = mnist_loader.load_data_wrapper()
    net = network2.Network([784, 30, 10], cost=network2.CrossEntropyCost)
    net.SGD(training_data, 30, 10, 0.5, lmbda=5.0, evaluation_data=validation_data,
            monitor_evaluation_accuracy=True)

Kernels train and compute outputs.  Where a script has replaced a method, a function or the cost, its own code
runs, a sample at a time.  Pickles that the book's module made name a module ``network2``: they load after
``sys.modules["network2"] = network2``.
"""

import json
import os
import random
import sys
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..data import book_pairs
from ..data.metrics import count_correct
from ..data.parameters import parameter_arrays
from ..engine import formulas, replaced
from ..engine.architecture import State, checked
from ..engine.attributes import lazy
from ..engine.chunks import Chunks, say
from ..engine.packed import Data
from ..engine.replaced import FORWARD
from ..files import durable
from ..options import initializers
from ..options.checks import number, sizes_of
from ..options.network import Options
from ..training import pairs as training_pairs
from ..training.pairs import Pairs
from . import checks
from .mnist_loader import vectorized_result

__all__ = [  # what a script finds in the book's module
    "CrossEntropyCost",
    "Network",
    "QuadraticCost",
    "json",
    "load",
    "np",
    "random",
    "sigmoid",
    "sigmoid_prime",
    "sys",
    "vectorized_result",
]

Array = npt.NDArray[Any]


class Cost(Protocol):
    """A cost: a class with these as static methods, or an object that has them."""

    def fn(self, a: Any, y: Any, /) -> Any:
        """The cost of one sample, of outputs a and targets y."""

    def delta(self, z: Any, a: Any, y: Any, /) -> Any:
        """The error of the output layer: the derivative of that cost by its weighted inputs z."""


def sigmoid(z: Any) -> Any:
    """The logistic function 1 / (1 + exp(-z))."""
    with np.errstate(over="ignore"):
        return 1.0 / (1.0 + np.exp(-z))


def sigmoid_prime(z: Any) -> Any:
    """The derivative of the logistic function."""
    return sigmoid(z) * (1 - sigmoid(z))


class QuadraticCost:
    """``C = |a - y|^2 / 2``."""

    @staticmethod
    def fn(a: Any, y: Any) -> Any:
        """The cost of one sample.

        >>> float(QuadraticCost.fn(np.array([[1.0], [0.0]]), np.array([[0.0], [0.0]])))
        0.5
        """
        return 0.5 * np.linalg.norm(a - y) ** 2

    @staticmethod
    def delta(z: Any, a: Any, y: Any) -> Any:
        """The error of the output layer, dC/dz."""
        return (a - y) * sigmoid_prime(z)


class CrossEntropyCost:
    """C = the sum over the outputs of -y ln(a) - (1 - y) ln(1 - a)."""

    @staticmethod
    def fn(a: Any, y: Any) -> Any:
        """The cost of one sample; a term 0 ln(0) is 0, and an infinite one is the largest number there is.

        >>> float(CrossEntropyCost.fn(np.array([[1.0], [0.0]]), np.array([[1.0], [0.0]])))
        0.0
        """
        with np.errstate(over="ignore"):
            return np.sum(_cross_entropies(a, y))

    @staticmethod
    def delta(z: Any, a: Any, y: Any) -> Any:
        """The error of the output layer, dC/dz, in which sigma'(z) has cancelled."""
        return a - y


def _cross_entropies(a: Any, y: Any) -> Any:
    """The cross-entropy of each output."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(-y * np.log(a) - (1 - y) * np.log(1 - a))


_SQUARES, _SHORT = QuadraticCost.fn, CrossEntropyCost.delta  # kept, because a script may replace them
_QUADRATIC, _CROSS_ENTROPY = State(), State(Options(cost="cross_entropy"))
_ROWS_AT_ONCE = 2048  # of costs: they stay in cache


class Network:
    """The book's second network, of sigmoids.

    Parameters
    ----------
    sizes : sequence of int
        Neurons in each layer, inputs first.  The object itself is kept as ``sizes``.
    cost : class or object
        `CrossEntropyCost`, `QuadraticCost`, or a user's own with functions ``fn(a, y)`` and
        ``delta(z, a, y)``, which are called for one sample at a time.

    Attributes
    ----------
    num_layers : int
    sizes : sequence of int
    biases : list of arrays (n_out, 1)
    weights : list of arrays (n_out, n_in)
    cost : class or object

    Raises
    ------
    ValueError, TypeError
        For arguments that are not as described.

    Examples
    --------
    >>> net = Network([784, 30, 10], cost=CrossEntropyCost)
    >>> [w.shape for w in net.weights]
    [(30, 784), (10, 30)]
    """

    biases: list[Array]
    weights: list[Array]
    _fastbp_hooks: replaced.Hooks  # set below, for it keeps this class

    def __init__(self, sizes: Sequence[int], cost: Cost = CrossEntropyCost) -> None:
        self.num_layers = len(sizes_of(sizes))
        self.sizes = sizes
        self.default_weight_initializer()
        self.cost = checks.book_cost("cost", cost)

    @property
    def _fastbp(self) -> State:
        """The state that kernels need, by the present cost: a network keeps only the book's attributes."""
        return _CROSS_ENTROPY if self.cost.delta is _SHORT else _QUADRATIC

    def default_weight_initializer(self) -> None:
        """Draws biases, standard normal, and weights whose deviation is 1 / sqrt(inputs of the neuron).

        They come from NumPy's global generator, all biases before the weights.
        """
        self._initialize("lecun_normal")

    def large_weight_initializer(self) -> None:
        """Draws biases and weights, standard normal, as those of the book's first network."""
        self._initialize("normal")

    def _initialize(self, name: str) -> None:
        sizes = sizes_of(self.sizes)
        weights, biases = initializers.initial(sizes, [name] * (len(sizes) - 1), None)
        self.biases, self.weights = biases, weights

    def feedforward(self, a: npt.ArrayLike) -> Array:
        """The network's output for input `a`, of shape (inputs, 1), or (inputs, m) for m samples."""
        output: Array = formulas.feedforward(self, a)
        return output

    def SGD(
        self,
        training_data: Pairs,
        epochs: int,
        mini_batch_size: int,
        eta: float,
        lmbda: float = 0.0,
        evaluation_data: Pairs | None = None,
        monitor_evaluation_cost: bool = False,
        monitor_evaluation_accuracy: bool = False,
        monitor_training_cost: bool = False,
        monitor_training_accuracy: bool = False,
        early_stopping_n: int = 0,
    ) -> tuple[list[float], list[int], list[float], list[int]]:
        """Trains by mini-batch stochastic gradient descent, as the book's method of that name.

        Parameters
        ----------
        training_data : list of (x, y)
            Column vectors x (inputs, 1) and y (outputs, 1).  A list is shuffled in place by the standard
            library's ``random``, once per epoch; anything else is copied into a list first.
        epochs, mini_batch_size : int
        eta : float
            The learning rate.
        lmbda : float
            The cost gains lmbda / (2 n) times the sum of the squared weights, for n training samples.
        evaluation_data : list of (x, label), optional
            Is looked at after every epoch.
        monitor_evaluation_cost, monitor_evaluation_accuracy : bool
        monitor_training_cost, monitor_training_accuracy : bool
            What is printed and returned for every epoch: `total_cost` and `accuracy`.
        early_stopping_n : int
            Training ends after so many epochs in a row that do not surpass the best accuracy: on evaluation
            data where that is monitored, else on training data.  0 is never.  The last weights are kept.

        Returns
        -------
        evaluation_cost, evaluation_accuracy, training_cost, training_accuracy : list
            A float or int per epoch, or nothing where the monitor is off.

        Each epoch prints ``Epoch 0 training complete`` and a line per monitor.  There is no empty line after
        them, as there is none in the Python 3 ports.

        Raises
        ------
        ValueError, TypeError
            For data that do not fit, a monitor that has no data, or early stopping without a monitor of
            accuracy; nothing has been changed then.
        """
        pairs = training_pairs.listed(training_data)
        held_out = [] if evaluation_data is None else training_pairs.listed(evaluation_data)
        training = _Monitor("training", len(pairs), monitor_training_cost, monitor_training_accuracy)
        evaluation = _Monitor(
            "evaluation", len(held_out), monitor_evaluation_cost, monitor_evaluation_accuracy
        )
        checks.monitored_data(evaluation_data, evaluation.is_on)
        watched = evaluation if evaluation.of_accuracy else training
        patience = checks.patience(early_stopping_n, watched.of_accuracy)

        def begin(chunks: Chunks | None) -> training_pairs.Report:
            evaluated = None
            if chunks and evaluation.is_on:
                evaluated = _read(self, held_out, "evaluation_data", True, evaluation.of_cost)

            def report(epoch: int) -> bool:
                say(f"Epoch {epoch} training complete")
                for monitor, data, by_methods in (
                    (training, chunks and chunks.data, _Methods(self, pairs, False)),
                    (evaluation, evaluated, _Methods(self, held_out, True)),
                ):
                    monitor.look(
                        _Kernels(self, chunks.engine, data) if chunks and data else by_methods, lmbda
                    )
                return 0 < patience == watched.epochs_since_best()

            return report

        training_pairs.descend(self, pairs, epochs, mini_batch_size, (eta, lmbda, len(pairs)), begin)
        return evaluation.costs, evaluation.accuracies, training.costs, training.accuracies

    def update_mini_batch(
        self, mini_batch: Sequence[tuple[Any, Any]], eta: float, lmbda: float, n: int
    ) -> None:
        """One step down the gradient averaged over `mini_batch`, a list of (x, y).

        Weights, not biases, are multiplied by 1 - eta lmbda / n as well, for a training set of `n`.
        ``weights`` and ``biases`` become new lists of new arrays.
        """
        training_pairs.update_mini_batch(self, mini_batch, eta, lmbda, n)

    def backprop(self, x: Any, y: Any) -> tuple[list[Array], list[Array]]:
        """The gradient of the cost of one sample: (nabla_b, nabla_w), shaped as biases and weights."""
        return formulas.backprop(self, x, y, self.cost.delta)

    def accuracy(self, data: Pairs, convert: bool = False) -> int:
        """The number of samples of `data`, a list of (x, label), whose largest output is that of the label.

        With `convert` it is a list of (x, y), as training data are; the largest of y is the label.
        """
        pairs = training_pairs.listed(data)
        if not convert:
            return training_pairs.evaluate(self, pairs)
        if not _is_computed(self):
            return sum(int(np.argmax(self.feedforward(x)) == np.argmax(y)) for x, y in pairs)
        return _judged(self, pairs, labelled=False).correct()

    def total_cost(self, data: Pairs, lmbda: float, convert: bool = False) -> float:
        """The mean cost over `data`, a list of (x, y), and the penalty: lmbda / (2 n) times the sum of the
        squared weights, where n is the length of `data`.

        With `convert` it is a list of (x, label); y is then 1 at the label, and 0 at the other outputs.
        """
        pairs = training_pairs.listed(data)
        if _is_computed(self, "fn", *(["vectorized_result"] if convert else [])):
            return _judged(self, pairs, convert, costed=True).cost(lmbda)
        cost = 0.0
        for x, y in pairs:
            each = self.cost.fn(self.feedforward(x), _vectorized(self, y) if convert else y)
            cost += number("cost.fn", each) / len(pairs)
        return cost + _penalty(self, lmbda, len(pairs))

    def save(self, filename: str | os.PathLike[str]) -> None:
        """Writes sizes, weights, biases and the name of the cost's class as JSON, for `load`.

        Whatever happens, there is the old file afterwards or the new one, whole.
        """
        cost = self.cost if isinstance(self.cost, type) else type(self.cost)
        weights, biases = parameter_arrays(self.weights, self.biases)
        content = {
            "sizes": list(sizes_of(self.sizes)),
            "weights": [w.tolist() for w in weights],
            "biases": [b.tolist() for b in biases],
            "cost": cost.__name__,
        }
        text = json.dumps(content)
        with durable.writing(filename) as file:
            file.write(text.encode())


def load(filename: str | os.PathLike[str]) -> Network:
    """The network that `Network.save`, the book's or this one, has written.

    As in the book, a network is drawn first, from NumPy's global generator.

    Raises
    ------
    ValueError, TypeError
        For a file of anything else.
    AttributeError
        For a cost by a name that this module does not have; a script may set it.
    """
    module = sys.modules[__name__]
    with open(filename, encoding="utf-8") as file:
        saved = checks.book_network(filename, file)
    cost = checks.book_cost(f"{filename}: cost", getattr(module, saved.cost, saved.cost))
    net = Network(saved.sizes, cost)
    net.weights, net.biases = saved.weights, saved.biases
    return net


# Monitors


class _Monitor:
    """The monitors of one data set: the cost, the accuracy or both, one number per epoch."""

    def __init__(self, name: str, samples: int, of_cost: Any, of_accuracy: Any) -> None:
        self.name, self.samples = name, samples
        self.of_cost, self.of_accuracy = bool(of_cost), bool(of_accuracy)
        self.is_on = self.of_cost or self.of_accuracy
        self.costs: list[float] = []
        self.accuracies: list[int] = []

    def look(self, judge: Any, lmbda: float) -> None:
        if self.of_cost:
            cost = judge.cost(lmbda)
            say(f"Cost on {self.name} data: {cost}")
            self.costs.append(_plain_number(cost))
        if self.of_accuracy:
            correct = judge.correct()
            say(f"Accuracy on {self.name} data: {correct} / {self.samples}")
            self.accuracies.append(_plain_number(correct))

    def epochs_since_best(self) -> int:
        best, waited = 0, 0
        for accuracy in self.accuracies:
            best, waited = (accuracy, 0) if accuracy > best else (best, waited + 1)
        return waited


class _Methods:
    """Judges by the network's own methods, called as the book calls them."""

    def __init__(self, net: Network, pairs: list[Any], labelled: bool) -> None:
        self.net, self.pairs, self.labelled = net, pairs, labelled

    def cost(self, lmbda: float) -> Any:
        return self.net.total_cost(self.pairs, lmbda, **({"convert": True} if self.labelled else {}))

    def correct(self) -> Any:
        return self.net.accuracy(self.pairs, **({} if self.labelled else {"convert": True}))


class _Kernels:
    """Judges by the outputs that an engine computes, once, for data (n, inputs)."""

    def __init__(self, net: Network, engine: Any, data: Data) -> None:
        self.net, self.engine, self.data = net, engine, data

    @lazy
    def _outputs(self) -> Array:
        outputs: Array = self.engine.outputs(self.data.X, self.data.divisor)
        return outputs

    def cost(self, lmbda: float) -> float:
        """The mean cost by the book's formula from the outputs, which is not stable where those saturate."""
        n, targets = len(self._outputs), self.data.targets
        penalty, total = _penalty(self.net, lmbda, n), 0.0
        if targets.ndim == 1:
            targets = np.eye(self._outputs.shape[1])[targets]
        for first in range(0, n, _ROWS_AT_ONCE):
            a, y = (rows[first : first + _ROWS_AT_ONCE] for rows in (self._outputs, targets))
            each = 0.5 * (a - y) ** 2 if self.net.cost.fn is _SQUARES else _cross_entropies(a, y)
            with np.errstate(over="ignore"):
                total += float(np.sum(np.sum(each, axis=1) / n))
        return total + penalty

    def correct(self) -> int:
        targets = self.data.targets
        labels = targets if targets.ndim == 1 or not len(targets) else np.argmax(targets, axis=1)
        return count_correct(self._outputs, labels)


def _is_computed(net: Network, *names: str) -> bool:
    """Tells whether kernels may compute instead of `feedforward` and the methods of these names."""
    return len(net.weights) > 0 and not replaced.is_replaced(net, *FORWARD, *names)


def _read(net: Network, pairs: list[Any], name: str, labelled: bool, costed: bool) -> Data:
    """The pairs as kernels read them: with labels (n,), each one of an output where costs are wanted, or with
    targets (n, outputs).
    """
    sizes, _, dtype, *_ = checked(net)[0]
    if not labelled:
        return Data(*book_pairs.training_pairs(pairs, sizes[0], sizes[-1], dtype, False, name))
    return Data(*book_pairs.test_pairs(pairs, sizes[0], dtype, name, sizes[-1] if costed else 0), 1.0)


def _judged(net: Network, pairs: list[Any], labelled: bool, costed: bool = False) -> _Kernels:
    return _Kernels(net, replaced.inference_engine(checked(net)), _read(net, pairs, "data", labelled, costed))


def _penalty(net: Network, lmbda: float, n: int) -> float:
    squares = sum(float(np.sum(np.square(w))) for w in net.weights)  # BLAS would wake its threads
    return 0.5 * (number("lmbda", lmbda) / n) * squares


def _vectorized(net: Network, label: Any) -> Any:
    """A column like that of `vectorized_result`, of as many rows as there are outputs, not ten."""
    if replaced.is_replaced(net, "vectorized_result"):
        return net._fastbp_hooks.module.vectorized_result(label)
    outputs = net.sizes[-1]
    return np.eye(outputs)[:, [book_pairs.label(label, outputs, "data")]]


def _plain_number(value: Any) -> Any:
    """A number that json can write, made of one of NumPy's where a user's own method gave that."""
    return value.item() if isinstance(value, np.generic) else value


Network._fastbp_hooks = replaced.Hooks(
    sys.modules[__name__],
    Network,
    training=(*FORWARD, "sigmoid_prime", "update_mini_batch", "backprop", "delta"),
    judging=("accuracy", "total_cost", "fn", "vectorized_result"),
    costs=(QuadraticCost, CrossEntropyCost),
)
