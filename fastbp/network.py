"""``Network``: the seed's class, call for call, on compiled kernels; and a second surface for arrays.

The seed is the class of Michael Nielsen's *Neural Networks and Deep Learning*, chapters 1 and 2.  A network
whose methods, or whose module's ``sigmoid``, a user has replaced is trained by exactly what he wrote.
"""

import itertools
import random
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from . import arrays, plain, seed, validate
from .architecture import State, from_0_1
from .kernels.math import ACTIVATION_CODES
from .seed import Pairs
from .training import Callbacks, History

__all__ = ["Network", "np", "random", "sigmoid", "sigmoid_prime"]  # what a script finds in the seed's module

Array = npt.NDArray[Any]


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
    activation : {"sigmoid", "tanh", "relu", "linear"}, or a list of them
        Of all hidden layers, or of each.
    output_activation : {"sigmoid", "tanh", "relu", "linear"}
        Of the last layer.
    dtype : {"float64", "float32"}
        Of weights and arithmetic.  float32 is about twice as fast.
    seed : int, optional
        Draws the first weights, and the order of samples in `fit`, from a generator of the network's own,
        ``numpy.random.RandomState(seed)``.  Without it they come from NumPy's global one, as the seed's do.
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

    _fastbp = State()  # every network's until it has one of its own

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: str | Sequence[str] = "sigmoid",
        output_activation: str = "sigmoid",
        dtype: npt.DTypeLike = "float64",
        seed: int | None = None,
        uint8_divisor: float = 255.0,
    ) -> None:
        plain_sizes = validate.sizes_of(sizes)
        self.num_layers = len(plain_sizes)
        self.sizes = sizes
        float_type = validate.float_type(dtype)
        hidden = validate.layers("activation", activation, max(0, self.num_layers - 2))
        for name in [activation] if isinstance(activation, str) else hidden:
            validate.choice("activation", name, ACTIVATION_CODES)
        state = State(
            float_type,
            activation if isinstance(activation, str) else hidden,
            validate.choice("output_activation", output_activation, ACTIVATION_CODES),
            validate.divisor("uint8_divisor", uint8_divisor, float_type),
            generator=None if seed is None else np.random.RandomState(validate.count("seed", seed, 0)),
        )
        if state != State():
            self._fastbp = state
        draw: Callable[..., Array] = (state.generator or np.random).randn
        self.biases = [draw(n_out, 1).astype(state.dtype, copy=False) for n_out in plain_sizes[1:]]
        self.weights = [
            draw(n_out, n_in).astype(state.dtype, copy=False)
            for n_in, n_out in itertools.pairwise(plain_sizes)
        ]

    @property
    def dtype(self) -> np.dtype:
        """The type of weights and arithmetic."""
        return self._fastbp.dtype

    @property
    def task(self) -> validate.Task | None:
        """What `fit` has last trained the network for, by its y; None before.

        "labels", "binary" (0 or 1, one output), "multilabel" (0 or 1 for each output), "values" (a row of
        them) or "value" (one, y being flat).
        """
        return self._fastbp.task

    def __setstate__(self, state: Any) -> None:
        """Also takes what fastbp 0.1.0 pickled."""
        attributes, slots = state if isinstance(state, tuple) else (state, {})
        vars(self).update(from_0_1(attributes) if type(self) is Network else attributes)
        for name, value in slots.items():  # of a subclass
            setattr(self, name, value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self.sizes)}, dtype={str(self._fastbp.dtype)!r})"

    # The seed's surface: samples are column vectors

    def feedforward(self, a: npt.ArrayLike) -> Array:
        """The network's output for input `a`, of shape (inputs, 1), or (inputs, m) for m samples.

        >>> Network([3, 4, 2], seed=0).feedforward([[0.1], [0.2], [0.3]]).shape
        (2, 1)
        """
        output: Array = plain.feedforward(self, _HOOKS.module, a)
        return output

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

        Each epoch prints ``Epoch 0 : 9123 / 10000``, or ``Epoch 0 complete`` without test data; the book's
        own line has no space before the colon.
        """
        seed.SGD(self, _HOOKS, training_data, epochs, mini_batch_size, eta, test_data)

    def update_mini_batch(self, mini_batch: Sequence[tuple[Any, Any]], eta: float) -> None:
        """One step down the gradient averaged over `mini_batch`, a list of (x, y).

        ``weights`` and ``biases`` become new lists of new arrays.
        """
        seed.update_mini_batch(self, _HOOKS, mini_batch, eta)

    def backprop(self, x: Any, y: Any) -> tuple[list[Array], list[Array]]:
        """The gradient of the cost of one sample: (nabla_b, nabla_w), shaped as biases and weights.

        The four equations: delta = dC/da * sigma'(z) at the output, delta = (w^T delta) * sigma'(z) below,
        dC/db = delta, dC/dw[j, k] = a[k] delta[j].

        >>> nabla_b, nabla_w = Network([3, 2], seed=0).backprop(np.zeros((3, 1)), np.ones((2, 1)))
        >>> nabla_w[0].shape
        (2, 3)
        """
        return plain.backprop(self, _HOOKS.module, x, y)

    def evaluate(self, test_data: Pairs) -> int:
        """How many of `test_data`, a list of (x, label), the largest output names the label of."""
        return seed.evaluate(self, _HOOKS, test_data)

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
            integers 0 and 1 are two classes and other numbers values.  See `task`.
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
        callbacks : callable, or an iterable of them
            Each is called as ``callback(network, history)`` after an epoch and may change the weights;
            training stops early when one returns True.
        verbose : bool
            Prints a line an epoch.

        Returns
        -------
        History

        Where a subclass or a patch has replaced one of the seed's methods or functions, training goes through
        `update_mini_batch`, a sample at a time, in NumPy; the history's loss is the quadratic cost even so.

        Raises
        ------
        ValueError, TypeError
            For data that do not fit; nothing has been changed then.
        RuntimeWarning
            For pixels as uint8, which are divided, beside pixels as other numbers, which are not.
        DivergenceError
            When the cost or a weight is no longer finite; the last finite weights are kept.

        Examples
        --------
        >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
        >>> net = Network([1, 16, 1], seed=0, activation="tanh", output_activation="linear")
        >>> history = net.fit(X, X**2, epochs=500, batch_size=10, learning_rate=0.05)
        >>> history.loss[-1] < 1e-3
        True
        """
        return arrays.fit(
            self,
            _HOOKS,
            X,
            y,
            epochs,
            batch_size,
            learning_rate,
            validation_data,
            shuffle,
            threads,
            callbacks,
            verbose,
        )

    def predict(self, X: npt.ArrayLike) -> Array:
        """What the network says of each row of X, in the shape of the y that `fit` was given.

        Labels (samples,); for two classes of one output, 0 or 1; for several labels at once, zeros and ones
        (samples, outputs); else values.  A network that `fit` has not trained gives labels where it has more
        than one output, and values (samples, 1) where it has one.
        """
        return arrays.predict(self, _HOOKS, X)

    def predict_proba(self, X: npt.ArrayLike) -> Array:
        """The probabilities of the labels, (samples, labels); rows add up to one.

        Of two classes learnt by one output there are two columns, that of 0 first.  With outputs of sigmoids,
        which need not add up to one, each is divided by their sum.  Where several labels may hold at once,
        each has its own probability.

        Raises
        ------
        ValueError
            For a network that is trained for values, or whose outputs are no probabilities: see `outputs`.
        """
        return arrays.predict_proba(self, _HOOKS, X)

    def outputs(self, X: npt.ArrayLike) -> Array:
        """The outputs themselves, (samples, outputs): `feedforward` for rows."""
        return arrays.outputs(self, _HOOKS, X)

    def score(self, X: npt.ArrayLike, y: npt.ArrayLike) -> float:
        """The share of rows predicted right; for values the coefficient of determination R^2.

        What the network is trained for decides, never y, which must be of that kind.
        """
        return arrays.score(self, _HOOKS, X, y)


_HOOKS = seed.Hooks(sys.modules[__name__], Network)
