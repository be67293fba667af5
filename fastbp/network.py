"""``Network``: the seed's class, call for call, on compiled kernels; and a second surface for arrays.

The seed is the class of Michael Nielsen's *Neural Networks and Deep Learning*, chapters 1 and 2.  A network
whose methods, or whose module's ``sigmoid``, a user has replaced is trained by exactly what he wrote.
"""

import itertools
import operator
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from . import validate
from .engine import Architecture, Data, Engine, team_size
from .kernels.math import ACTIVATION_CODES
from .kernels.random import shuffle as shuffle_natively
from .kernels.team import cpus
from .training import Callbacks, Chunks, History, Report, descend, mean_cost

Array = npt.NDArray[Any]
Pairs = Iterable[tuple[Any, Any]]


def sigmoid(z: Any) -> Any:
    """The logistic function 1 / (1 + exp(-z)).

    >>> float(sigmoid(0.0)), float(sigmoid(-1000.0))
    (0.5, 0.0)
    """
    with np.errstate(over="ignore"):
        return 1.0 / (1.0 + np.exp(-z))


def sigmoid_prime(z: Any) -> Any:
    """The derivative of the logistic function, sigmoid(z) (1 - sigmoid(z)).

    >>> float(sigmoid_prime(0.0))
    0.25
    """
    return sigmoid(z) * (1 - sigmoid(z))


class Network:
    """A fully connected network, trained by backpropagation and mini-batch stochastic gradient descent.

    Layer l computes a = activation(w a' + b) from the activation a' of the layer before.  The cost of a
    sample is the quadratic one, |a - y|^2 / 2.

    Parameters
    ----------
    sizes : sequence of int
        Neurons in each layer, inputs first.  The object itself is kept as ``sizes``.
    dtype : {"float64", "float32"}
        Of weights and arithmetic.  float32 is about twice as fast.
    seed : int, optional
        Draws the first weights, and the order of samples in `fit`, from a generator of the network's own,
        ``numpy.random.RandomState(seed)``.  Without it they come from NumPy's global one, as the seed's do.
    activation, output : {"sigmoid", "tanh", "relu", "linear"}
        Of the hidden layers and of the last layer.
    uint8_divisor : float
        Samples of type uint8 are divided by it as they are read: 255 makes pixels 0 .. 1, exactly
        ``X / 255`` rounded to `dtype`; 1 leaves them as they are.

    Attributes
    ----------
    num_layers : int
    sizes : sequence of int
    weights : list of arrays (n_out, n_in)
        ``weights[l][j, k]`` leads from neuron k of layer l to neuron j of the next.  May be set.
    biases : list of arrays (n_out, 1)

    Raises
    ------
    ValueError, TypeError
        For arguments that are not as described.

    Examples
    --------
    The exclusive or, by full-batch descent:

    >>> import numpy as np
    >>> X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> net = Network([2, 3, 1], seed=1)
    >>> history = net.fit(X, np.array([0, 1, 1, 0]), epochs=2000, batch_size=4, learning_rate=5.0)
    >>> net.predict(X)
    array([0, 1, 1, 0])
    """

    # The defaults are the class's, for a pickle of the seed's class holds the four public attributes alone.
    _dtype = np.dtype(np.float64)
    _activation = _output = "sigmoid"
    _divisor = 255.0
    _task: validate.Task | None = None
    _random: np.random.RandomState | None = None

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        dtype: npt.DTypeLike = "float64",
        seed: int | None = None,
        activation: str = "sigmoid",
        output: str = "sigmoid",
        uint8_divisor: float = 255.0,
    ) -> None:
        plain = validate.sizes_of(sizes)
        self.num_layers = len(plain)
        self.sizes = sizes
        options = {
            "_dtype": validate.float_type(dtype),
            "_activation": validate.choice("activation", activation, ACTIVATION_CODES),
            "_output": validate.choice("output", output, ACTIVATION_CODES),
            "_divisor": validate.positive("uint8_divisor", uint8_divisor),
        }
        for name, value in options.items():
            if value != getattr(Network, name):
                setattr(self, name, value)
        if seed is not None:
            self._random = np.random.RandomState(validate.count("seed", seed, 0))
        draw: Callable[..., Array] = self._generator().randn
        self.biases = [draw(n_out, 1).astype(self._dtype, copy=False) for n_out in plain[1:]]
        self.weights = [
            draw(n_out, n_in).astype(self._dtype, copy=False) for n_in, n_out in itertools.pairwise(plain)
        ]

    @property
    def dtype(self) -> np.dtype:
        """The type of weights and arithmetic."""
        return self._dtype

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self.sizes)}, dtype={str(self._dtype)!r})"

    # The seed's surface: samples are column vectors

    def feedforward(self, a: npt.ArrayLike) -> Array:
        """The network's output for input `a`, of shape (inputs, 1), or (inputs, m) for m samples.

        >>> Network([3, 4, 2], seed=0).feedforward([[0.1], [0.2], [0.3]]).shape
        (2, 1)
        """
        signal = validate.column_vectors(a, self.weights[0].shape[1] if self.weights else self.sizes[0])
        for function, b, w in zip(self._functions(), self.biases, self.weights, strict=True):
            signal = function(np.dot(w, signal) + b)
        return signal

    def SGD(
        self,
        training_data: Pairs,
        epochs: int,
        mini_batch_size: int,
        eta: float,
        test_data: Pairs | None = None,
    ) -> None:
        """Trains by mini-batch stochastic gradient descent, as the seed's method of that name.

        Parameters
        ----------
        training_data : list of (x, y)
            Column vectors x (inputs, 1) and y (outputs, 1).  A list is shuffled in place by the standard
            library's ``random``, once an epoch; anything else is copied into a list first.
        epochs, mini_batch_size : int
        eta : float
            The learning rate; the step is eta / (samples in the mini-batch) times the summed gradient.
        test_data : list of (x, label), optional
            Evaluated after every epoch.

        Each epoch prints ``Epoch 0: 9123 / 10000``, or ``Epoch 0 complete`` without test data.
        """
        pairs = training_data if isinstance(training_data, list) else list(training_data)
        tests = None
        if test_data is not None:
            tests = test_data if isinstance(test_data, list) else list(test_data)
        if self._is_customised():
            self._descend_plainly(pairs, epochs, mini_batch_size, eta, tests)
        else:
            self._descend_compiled(pairs, epochs, mini_batch_size, eta, tests)

    def update_mini_batch(self, mini_batch: Sequence[tuple[Any, Any]], eta: float) -> None:
        """One step down the gradient averaged over `mini_batch`, a list of (x, y).

        ``weights`` and ``biases`` become new lists of new arrays.
        """
        if self._is_customised():
            self._update_plainly(mini_batch, eta)
            return
        if not len(mini_batch):
            raise ZeroDivisionError(
                "update_mini_batch: expected at least one (x, y), got an empty mini-batch"
            )
        engine, data = self._engine_for_pairs(mini_batch, len(mini_batch), threads=1)
        engine.train(data, np.arange(len(mini_batch)), (0, len(mini_batch)), eta)
        self.weights, self.biases = engine.unpack()

    def backprop(self, x: Any, y: Any) -> tuple[list[Array], list[Array]]:
        """The gradient of the cost of one sample: (nabla_b, nabla_w), shaped as biases and weights.

        The four equations: delta = dC/da * sigma'(z) at the output, delta = (w^T delta) * sigma'(z) below,
        dC/db = delta, dC/dw[j, k] = a[k] delta[j].

        >>> nabla_b, nabla_w = Network([3, 2], seed=0).backprop(np.zeros((3, 1)), np.ones((2, 1)))
        >>> nabla_w[0].shape
        (2, 3)
        """
        activations, zs = [x], []
        functions = self._functions()
        for function, b, w in zip(functions, self.biases, self.weights, strict=True):
            zs.append(np.dot(w, activations[-1]) + b)
            activations.append(function(zs[-1]))
        primes = [_PRIMES[name](z, a) for name, z, a in zip(self._names(), zs, activations[1:], strict=True)]
        delta = self.cost_derivative(activations[-1], y) * primes[-1]
        nabla_b, nabla_w = [delta], [np.dot(delta, np.transpose(activations[-2]))]
        for layer in range(len(self.weights) - 1, 0, -1):
            delta = np.dot(self.weights[layer].T, delta) * primes[layer - 1]
            nabla_b.insert(0, delta)
            nabla_w.insert(0, np.dot(delta, np.transpose(activations[layer - 1])))
        return nabla_b, nabla_w

    def evaluate(self, test_data: Pairs) -> int:
        """How many of `test_data`, a list of (x, label), the largest output names the label of."""
        tests = test_data if isinstance(test_data, list) else list(test_data)
        if self._is_customised():
            return sum(int(np.argmax(self.feedforward(x)) == validate._one_label(y)) for x, y in tests)
        engine = self._engine()
        X, labels = validate.test_pairs(tests, engine.architecture.sizes[0], self._dtype)
        return _count_correct(engine, X, labels)

    def cost_derivative(self, output_activations: Any, y: Any) -> Any:
        """dC/da of the quadratic cost, a - y.  A subclass may have another."""
        return output_activations - y

    # Arrays: rows are samples

    def fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        epochs: int,
        batch_size: int,
        learning_rate: float,
        validation_data: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
        shuffle: bool = True,
        threads: int | str = "auto",
        callbacks: Callbacks = (),
        verbose: bool = False,
    ) -> History:
        """Trains on arrays.

        Parameters
        ----------
        X : array (samples, inputs)
            uint8 (divided by ``uint8_divisor``), float32 or float64 are read where they lie, memory-mapped
            or read-only as well; other number types are copied.
        y : array (samples,) or (samples, outputs)
            Labels 0 .. outputs - 1, learnt as one-hot targets; or values.  With one output, (samples,)
            integers 0 and 1 are two classes and other numbers values.
        epochs, batch_size : int
            The last batch of an epoch is shorter where `batch_size` does not divide the samples.
        learning_rate : float
            The step is learning_rate / (samples in the batch) times the summed gradient.
        validation_data : (X, y), optional
            Its cost and score are taken after every epoch.
        shuffle : bool
            Whether every epoch takes the samples in a new order.
        threads : int or "auto"
            Members of the team that shares each batch, at most the CPUs this process may use; "auto" takes
            one where a batch is too small to share.  The result has the same bits for any number.
        callbacks : sequence of callables
            Each is called as ``callback(network, history)`` after an epoch and may change the weights;
            training stops early when one returns True.
        verbose : bool
            Prints a line an epoch.

        Returns
        -------
        History

        Raises
        ------
        ValueError, TypeError
            For data that do not fit; nothing has been changed then.
        DivergenceError
            When the cost or a weight is no longer finite; the last finite weights are kept.

        Examples
        --------
        >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
        >>> net = Network([1, 16, 1], seed=0, activation="tanh", output="linear")
        >>> history = net.fit(X, X**2, epochs=500, batch_size=10, learning_rate=0.05)
        >>> history.loss[-1] < 1e-3
        True
        """
        epochs = validate.count("epochs", epochs, 0)
        batch_size = validate.count("batch_size", batch_size)
        rate = validate.positive("learning_rate", learning_rate)
        threads = validate.threads_of(threads)
        X, found = self._checked(X, y)
        validation = None
        if validation_data is not None:
            held_out = validate.pair("validation_data", validation_data)
            validation = self._scorable(*held_out, "validation_")
        architecture, weights, biases = self._trained()
        batch_size = min(batch_size, max(1, len(X)))
        members = team_size(threads, architecture, batch_size)
        engine = Engine(architecture, weights, biases, batch_size, members)
        self._task = found.task
        report = Report(epochs, len(X), verbose)
        generator = self._generator()

        def orders() -> Array:
            return generator.permutation(len(X)) if shuffle else np.arange(len(X))

        def after_epoch(history: History) -> bool:
            if validation is not None:
                outputs = engine.outputs(validation[0], self._divisor, members)
                history.validation_loss.append(mean_cost(outputs, validation[1].array))
                history.validation_score.append(self._score(outputs, validation[1]))
            report.epoch(history)
            if not callbacks:
                return False
            self.weights, self.biases = engine.unpack()
            answers = [callback(self, history) for callback in callbacks]
            self._repack(engine)
            return any(isinstance(answer, (bool, np.bool_)) and answer for answer in answers)

        chunks = Chunks(engine, Data(X, found.array, self._divisor), report.progress)
        try:
            return descend(chunks, orders, epochs, rate, after_epoch)
        finally:
            self.weights, self.biases = engine.unpack()

    def predict(self, X: npt.ArrayLike) -> Array:
        """Labels (samples,), or values (samples, outputs), as the network was trained by `fit`.

        A network that `fit` has not trained gives labels where it has more than one output.
        """
        outputs = self.predict_proba(X)
        task = self._task or ("labels" if outputs.shape[1] > 1 else "values")
        return _decided(outputs, task)

    def predict_proba(self, X: npt.ArrayLike) -> Array:
        """The outputs themselves, (samples, outputs).  Those of sigmoids need not add up to one."""
        engine = self._engine()
        samples = validate.samples(X, engine.architecture.sizes[0], self._dtype)
        return engine.outputs(samples, self._divisor, cpus())

    def score(self, X: npt.ArrayLike, y: npt.ArrayLike) -> float:
        """The share of right labels; for values the coefficient of determination R^2."""
        samples, found = self._scorable(X, y)
        return self._score(self._engine().outputs(samples, self._divisor, cpus()), found)

    # How it is done

    def _names(self) -> list[str]:
        """The activation of every layer."""
        return [self._activation] * (len(self.weights) - 1) + [self._output] * (len(self.weights) > 0)

    def _functions(self) -> list[Any]:
        return [sigmoid if name == "sigmoid" else _FUNCTIONS[name] for name in self._names()]

    def _trained(self) -> tuple[Architecture, list[Array], list[Array]]:
        """What is to be packed; the sizes are those of the weights, which a user may have set."""
        weights, biases = validate.parameters(self.weights, self.biases, self._dtype)
        sizes = (weights[0].shape[1], *(len(w) for w in weights))
        return Architecture(sizes, tuple(self._names()), self._dtype), weights, biases

    def _repack(self, engine: Engine) -> None:
        """Gives the weights, which a user's function may have changed, back to a training engine."""
        architecture, weights, biases = self._trained()
        validate.same_sizes(architecture.sizes, engine.architecture.sizes)
        engine.pack(weights, biases)

    def _engine(self) -> Engine:
        return Engine(*self._trained())

    def _engine_for_pairs(
        self, pairs: Sequence[Any], batch_size: int, threads: int | str, often: bool = False
    ) -> tuple[Engine, Data]:
        """`often`: whether the pairs are read so often that making bytes of pixels pays."""
        architecture, weights, biases = self._trained()
        inputs, outputs = architecture.sizes[0], architecture.sizes[-1]
        X, Y, divisor = validate.training_pairs(pairs, inputs, outputs, self._dtype, often)
        members = team_size(threads, architecture, batch_size)
        return Engine(architecture, weights, biases, batch_size, members), Data(X, Y, divisor)

    def _generator(self) -> Any:
        return np.random if self._random is None else self._random

    def _checked(self, X: Any, y: Any, prefix: str = "") -> tuple[Array, validate.Targets]:
        sizes = self._trained()[0].sizes
        samples = validate.samples(X, sizes[0], self._dtype, prefix + "X")
        return samples, validate.targets(y, len(samples), sizes[-1], self._dtype, prefix + "y")

    def _scorable(self, X: Any, y: Any, prefix: str = "") -> tuple[Array, validate.Targets]:
        samples, found = self._checked(X, y, prefix)
        validate.count(f"rows of {prefix}X", len(samples))
        return samples, found

    def _score(self, outputs: Array, found: validate.Targets) -> float:
        wanted = found.array
        if found.task == "values":
            residual = float(np.sum((outputs.astype(np.float64) - wanted) ** 2))
            spread = float(np.sum((wanted - wanted.mean(axis=0, dtype=np.float64)) ** 2))
            return 1.0 - residual / spread if spread else float(residual == 0.0)
        return float(np.mean(_decided(outputs, found.task) == wanted.reshape(-1)))

    def _is_customised(self) -> bool:
        """Whether a subclass, or a patch of class, instance or module, replaced what kernels do."""
        return (
            sigmoid is not _SEED_SIGMOID
            or sigmoid_prime is not _SEED_SIGMOID_PRIME
            or any(map(self._has_replaced, _COMPILED))
        )

    def _has_replaced(self, name: str) -> bool:
        return name in vars(self) or getattr(type(self), name) is not _SEED_METHODS[name]

    def _descend_compiled(
        self, pairs: list[Any], epochs: int, mini_batch_size: int, eta: float, tests: list[Any] | None
    ) -> None:
        if epochs < 1:
            return
        n = len(pairs)
        seen = np.fromiter(pairs, object, n)
        order = np.arange(n)
        size = operator.index(mini_batch_size)
        engine, data = self._engine_for_pairs(pairs, max(1, min(size, n)), "auto", epochs > 2)
        chunks = Chunks(engine, data)
        own_evaluate = self._has_replaced("evaluate")
        held_out = None
        if tests and not own_evaluate:
            held_out = validate.test_pairs(tests, engine.architecture.sizes[0], self._dtype)
        for epoch in range(epochs):
            _shuffle(order)
            pairs[:] = seen[order].tolist()
            if size == 0:
                raise ValueError("mini_batch_size: expected at least 1, got 0")
            try:
                if size > 0:
                    chunks.epoch(order, eta)
            finally:
                self.weights, self.biases = engine.unpack()
            if not tests:
                print(f"Epoch {epoch} complete", flush=True)
                continue
            correct = _count_correct(engine, *held_out) if held_out else self.evaluate(tests)
            if own_evaluate:  # it may have changed the weights
                self._repack(engine)
            print(f"Epoch {epoch}: {correct} / {len(tests)}", flush=True)

    # The plain path: the seed's own loops, for what a user has replaced

    def _descend_plainly(
        self, pairs: list[Any], epochs: int, mini_batch_size: int, eta: float, tests: list[Any] | None
    ) -> None:
        for epoch in range(epochs):
            random.shuffle(pairs)
            for start in range(0, len(pairs), mini_batch_size):
                self.update_mini_batch(pairs[start : start + mini_batch_size], eta)
            if tests:
                print(f"Epoch {epoch}: {self.evaluate(tests)} / {len(tests)}", flush=True)
            else:
                print(f"Epoch {epoch} complete", flush=True)

    def _update_plainly(self, mini_batch: Sequence[tuple[Any, Any]], eta: float) -> None:
        nabla_b = [np.zeros(b.shape) for b in self.biases]
        nabla_w = [np.zeros(w.shape) for w in self.weights]
        for x, y in mini_batch:
            delta_b, delta_w = self.backprop(x, y)
            nabla_b = [total + part for total, part in zip(nabla_b, delta_b, strict=False)]
            nabla_w = [total + part for total, part in zip(nabla_w, delta_w, strict=False)]
        step = eta / len(mini_batch)
        self.weights = [w - step * nabla for w, nabla in zip(self.weights, nabla_w, strict=False)]
        self.biases = [b - step * nabla for b, nabla in zip(self.biases, nabla_b, strict=False)]


# Activations on the plain path: name -> function of z, derivative from z and a = function(z)
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0.0),
    "linear": lambda z: z,
}
_PRIMES: dict[str, Callable[..., Any]] = {
    "sigmoid": lambda z, a: sigmoid_prime(z),
    "tanh": lambda z, a: 1.0 - a * a,
    "relu": lambda z, a: np.where(a > 0, 1.0, 0.0),
    "linear": lambda z, a: 1.0,
}

_SEED_SIGMOID, _SEED_SIGMOID_PRIME = sigmoid, sigmoid_prime
_COMPILED = ("feedforward", "update_mini_batch", "backprop", "cost_derivative")  # what kernels stand for
_SEED_METHODS = {name: getattr(Network, name) for name in (*_COMPILED, "evaluate")}
_STANDARD_SHUFFLE = random.shuffle


def _shuffle(order: Array) -> None:
    """``random.shuffle(order)``: the same order, and the same state of ``random`` afterwards."""
    if random.shuffle != _STANDARD_SHUFFLE:
        random.shuffle(cast(Any, order))
        return
    version, words, gauss = random.getstate()
    state = np.array(words, np.uint32)
    shuffle_natively(None)(state, order)
    random.setstate((version, tuple(state.tolist()), gauss))


def _count_correct(engine: Engine, X: Array, labels: Array) -> int:
    if not len(X):
        return 0
    return int(np.count_nonzero(np.argmax(engine.outputs(X, 1.0, cpus()), axis=1) == labels))


def _decided(outputs: Array, task: validate.Task) -> Array:
    if task == "labels":
        return np.asarray(np.argmax(outputs, axis=1))
    return (outputs[:, 0] >= 0.5).astype(np.int64) if task == "binary" else outputs
