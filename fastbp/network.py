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
from .architecture import State
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
    dtype : {"float64", "float32"}
        Of weights and arithmetic.  float32 is about twice as fast.
    seed : int, optional
        Draws the first weights, and the order of samples in `fit`, from a generator of the network's own,
        ``numpy.random.RandomState(seed)``.  Without it they come from NumPy's global one, as the seed's do.
    activation, output_activation : {"sigmoid", "tanh", "relu", "linear"}
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

    _fastbp = State()

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: str = "sigmoid",
        output_activation: str = "sigmoid",
        dtype: npt.DTypeLike = "float64",
        seed: int | None = None,
        uint8_divisor: float = 255.0,
    ) -> None:
        plain_sizes = validate.sizes_of(sizes)
        self.num_layers = len(plain_sizes)
        self.sizes = sizes
        state = State(
            validate.float_type(dtype),
            validate.choice("activation", activation, ACTIVATION_CODES),
            validate.choice("output_activation", output_activation, ACTIVATION_CODES),
            validate.positive("uint8_divisor", uint8_divisor),
            generator=None if seed is None else np.random.RandomState(validate.count("seed", seed, 0)),
        )
        if state != State():
            self._fastbp = state
        draw: Callable[..., Array] = state.random.randn
        self.biases = [draw(n_out, 1).astype(state.dtype, copy=False) for n_out in plain_sizes[1:]]
        self.weights = [
            draw(n_out, n_in).astype(state.dtype, copy=False)
            for n_in, n_out in itertools.pairwise(plain_sizes)
        ]

    @property
    def dtype(self) -> np.dtype:
        """The type of weights and arithmetic."""
        return self._fastbp.dtype

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

        Each epoch prints ``Epoch 0: 9123 / 10000``, or ``Epoch 0 complete`` without test data.
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
        >>> net = Network([1, 16, 1], seed=0, activation="tanh", output_activation="linear")
        >>> history = net.fit(X, X**2, epochs=500, batch_size=10, learning_rate=0.05)
        >>> history.loss[-1] < 1e-3
        True
        """
        return arrays.fit(
            self,
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
        """Labels (samples,), or values (samples, outputs), as the network was trained by `fit`.

        A network that `fit` has not trained gives labels where it has more than one output.
        """
        return arrays.predict(self, X)

    def predict_proba(self, X: npt.ArrayLike) -> Array:
        """The outputs themselves, (samples, outputs).  Those of sigmoids need not add up to one."""
        return arrays.outputs(self, X)

    def score(self, X: npt.ArrayLike, y: npt.ArrayLike) -> float:
        """The share of right labels; for values the coefficient of determination R^2."""
        return arrays.score(self, X, y)


_HOOKS = seed.Hooks(sys.modules[__name__], Network)
