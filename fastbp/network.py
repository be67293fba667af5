"""``Network``: the class of Michael Nielsen's *Neural Networks and Deep Learning*, chapters 1 and 2, call for
call, on compiled kernels; and a second interface for arrays.

Other files call that class "the book's".  Where a user has replaced one of its methods, or the module's
``sigmoid``, training runs exactly what the user wrote.
"""

import os
import random
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from .data.labels import checked_classes, hashable
from .data.metrics import METRICS
from .data.parameters import (
    assigned_biases,
    assigned_weights,
    checked_parameters,
    initial_arrays,
    initial_biases,
    sizes_of_weights,
    unflattened,
)
from .data.targets import Task, assigned_task, required
from .engine import formulas, gradient_check, gradients, inference, part, replaced, summary
from .engine.architecture import State, checked, from_0_1, options_of, schema_of
from .engine.attributes import Assigned
from .files import network_file
from .options import checks, initializers
from .options.activations import Kind as Activation
from .options.activations import name_and_parameter
from .options.costs import Kind as Cost
from .options.costs import name_and_parameter as cost_name_and_parameter
from .options.network import OPTIONS, Options
from .options.optimizers import OPTIMIZERS, Optimizer
from .options.schedules import SCHEDULES, Schedule
from .options.step_numbers import Recipe
from .training import fit, rates
from .training import pairs as training_pairs
from .training.history import History
from .training.pairs import Pairs
from .training.plan import Plan
from .training.run import Callback
from .training.scores import SCORES

__all__ = [
    "Network",
    "np",
    "random",
    "sigmoid",
    "sigmoid_prime",
]  # the names of the book's module

Array = npt.NDArray[Any]
Callbacks = Callback | Callable[..., object] | Iterable[Callback | Callable[..., object]]
Blocks = Iterable[tuple[Any, Any]] | Callable[[], Iterable[tuple[Any, Any]]]
Metric = str | Callable[..., float]
Validation = tuple[Any, Any] | tuple[Any, Any, Any]


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
    """A fully connected network, trained by backpropagation and mini-batch gradient descent.

    Layer l computes a = activation(w a' + b) from the activation a' of the layer before.

    Parameters
    ----------
    sizes : sequence of int
        Neurons in each layer, inputs first.  The object itself is kept as ``sizes``.
    activation : str or object, or a list of them
        Activation of all hidden layers, or of each: "sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu",
        "silu", "softplus", "linear", "exponential"; `LeakyReLU`, `ELU` or `GELU` with options; or a user's
        own `Activation`.
    output_activation : str or object
        Activation of the last layer: any of these, or "softmax".
    cost : str or object
        "quadratic", ``|a - y|^2 / 2``; "cross_entropy", with outputs of sigmoids (several labels at once) or
        a softmax, or `CrossEntropy` with label smoothing; "focal" or `Focal`; "hinge", "squared_hinge";
        "huber" or `Huber`; "absolute"; "log_cosh"; "quantile" or `Quantile`; "poisson"; "gaussian", which has
        two outputs for each value in turn, a mean and a log variance; or a user's own `Cost`.
    init : str or list of arrays, optional
        Initial weights: "normal" (the book's), "lecun_normal" (the book's later ones), "glorot_uniform",
        "glorot_normal", "he_normal", "he_uniform", "orthogonal", or the arrays themselves.  Without it
        "normal" for sigmoids with the quadratic cost, as in the book's class; else "he_normal" for
        layers of the relu family (relu, leaky_relu, elu, gelu, silu) and "glorot_uniform" for others.  Biases
        begin at 0, but as standard normal numbers with "normal" and "lecun_normal".
    dtype : {"float64", "float32"}
        Type of weights and arithmetic.  float32 is about twice as fast.
    seed : int, optional
        Initial weights, the orders of samples in `fit` and dropout masks then come from fastbp's own
        generator, with the same numbers on every machine.  Without it they come from NumPy's global one,
        as those of the book's class do.
    dropout : float or list of float
        The share of hidden units that a training step drops, of all hidden layers or of each; the others are
        divided by 1 - dropout.
    frozen : int or list of int
        Indices into ``weights`` of layers that training does not change.
    input_divisor : float, optional
        Samples are divided by it as they are read: 255 brings pixels to 0 .. 1, exactly ``X / 255`` rounded
        to `dtype`, whatever type holds them.  Those of uint8 stay bytes in memory, others are copied.
    uint8_divisor : float, optional
        As `input_divisor`, but for samples of type uint8 alone; networks saved by fastbp 0.2 have 255.
    scale_inputs, scale_outputs : bool
        If True, each column of X, or of values y, is scaled to mean 0 and deviation 1 as it is read.  The
        first `fit` learns means and deviations, which belong to the network from then on.  Integers of any
        type are float64 until the mean is subtracted.  `predict`, `outputs` and `score` are in the units of
        y; costs and the methods for column vectors are in the network's.
    compute_dtype : {"bfloat16"}, optional
        Type of the operands of matrix products.  "bfloat16", with `dtype` float32, rounds weights, inputs,
        activations and deltas to bfloat16 where they enter a product, forward, backward and in updates;
        weights, sums and all else stay float32.  Results are bit-identical on every x86-64 CPU, but differ
        from those without it.

    Attributes
    ----------
    num_layers : int
    sizes : sequence of int
    weights : list of arrays (n_out, n_in)
        ``weights[l][j, k]`` leads from neuron k of layer l to neuron j of the next.  May be set.
    biases : list of arrays (n_out, 1)
        May be set; flat ones (n_out,) become columns.

    Raises
    ------
    ValueError, TypeError
        For arguments that are not as described.

    Examples
    --------
    The exclusive or, by full-batch descent:

    >>> import numpy as np
    >>> X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> net = Network([2, 8, 2], activation="tanh", output_activation="softmax", cost="cross_entropy", seed=0)
    >>> y = np.array([0, 1, 1, 0])
    >>> history = net.fit(X, y, epochs=200, batch_size=4, optimizer="adam", learning_rate=0.05)
    >>> net.predict(X)
    array([0, 1, 1, 0])
    """

    _fastbp = State()  # every network's until it has one of its own
    _fastbp_hooks: replaced.Hooks  # set below, for it keeps this class
    weights, biases = Assigned(assigned_weights), Assigned(assigned_biases)

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: Activation | Sequence[Activation] = "sigmoid",
        output_activation: Activation = "sigmoid",
        cost: Cost = "quadratic",
        init: str | Sequence[npt.ArrayLike] | None = None,
        dtype: npt.DTypeLike = "float64",
        seed: int | None = None,
        dropout: float | Sequence[float] = 0.0,
        frozen: int | Sequence[int] = (),
        input_divisor: float | None = None,
        uint8_divisor: float | None = None,
        scale_inputs: bool = False,
        scale_outputs: bool = False,
        compute_dtype: str | None = None,
    ) -> None:
        arguments = dict(locals())
        plain_sizes = checks.sizes_of(sizes)
        self.num_layers = len(plain_sizes)
        self.sizes = sizes
        options = options_of(plain_sizes, {name: arguments[name] for name in OPTIONS})
        if options != Options() or type(self) is not Network:  # pickles of 0.1.0 have no state
            self._fastbp = State(options)
        layers = self.num_layers - 1
        rows = [row for row, _ in map(name_and_parameter, options.activations(layers))]
        names = initializers.default_init(rows, cost_name_and_parameter(options.cost)[0])
        if isinstance(init, str):
            names = [checks.choice("init", init, initializers.INITIALIZERS)] * layers
        if init is None or isinstance(init, str):
            weights, biases = initializers.initial(plain_sizes, names, options.seed)
        else:
            weights = initial_arrays(init, plain_sizes, options.dtype)
            biases = [np.zeros((n_out, 1)) for n_out in plain_sizes[1:]]
        self.biases = [b.astype(options.dtype, copy=False) for b in biases]
        self.weights = [w.astype(options.dtype, copy=False) for w in weights]

    @classmethod
    def from_weights(
        cls,
        weights: Sequence[npt.ArrayLike],
        biases: Sequence[npt.ArrayLike],
        *,
        classes: Sequence[Any] | None = None,
        **options: Any,
    ) -> "Network":
        """A network of these weights, which predicts at once and may be trained on.

        Parameters
        ----------
        weights : list of arrays (n_out, n_in)
        biases : list of arrays (n_out,) or (n_out, 1)
        classes : sequence, optional
            The label of each output, or two labels for one output; see `classes_`.
        **options
            Those of `Network` but `init`.  The arrays are copied, in `dtype`.

        Raises
        ------
        ValueError, TypeError
            For arrays of other shapes, numbers that are not finite, and options that `Network` refuses.

        Examples
        --------
        >>> weights, biases = [[[1.0, -1.0], [-1.0, 1.0]]], [[0.0, 0.5]]
        >>> net = Network.from_weights(weights, biases, classes=["no", "yes"], output_activation="softmax")
        >>> net.predict([[2.0, 0.0], [0.0, 2.0]])
        array(['no', 'yes'], dtype='<U3')
        """
        sizes = sizes_of_weights(weights)
        net = cls(sizes, init=weights, **options)
        net.biases = initial_biases(biases, sizes, net.dtype)
        if classes is not None:
            net.classes_ = classes
        return net

    @property
    def dtype(self) -> np.dtype:
        """The type of weights and arithmetic."""
        return self._fastbp.options.dtype

    @property
    def task(self) -> Task | None:
        """The kind of y that `fit` last trained the network for; None before.  May be set.

        "labels", "binary" (0 or 1, one output), "multilabel" (0 or 1 for each output), "values" (a row of
        them) or "value" (one, y being flat).

        >>> net = Network([3, 5, 1], seed=0)
        >>> net.task = "binary"
        >>> net.predict_proba(np.zeros((4, 3))).shape
        (4, 2)
        """
        return self._fastbp.learnt.task

    @task.setter
    def task(self, task: Task | None) -> None:
        schema = schema_of(self, checked(self).architecture)
        if task is not None:
            schema.scalings()  # raises where one has not been learnt
        task = assigned_task(task, schema.columns, schema.options.scale_outputs)
        self._fastbp = replace(self._fastbp, learnt=replace(self._fastbp.learnt, task=task))

    @property
    def classes_(self) -> Array:
        """The label that each output stands for, or 0 and 1 where there is one output.  May be set.

        An untrained network predicts labels once they are set.

        They are 0, 1, 2 ... unless `fit` first learnt other labels: text, dates (``datetime64``), or
        anything that has a hash, in sorted order; or other numbers.

        >>> net = Network([1, 3, 2], seed=0)
        >>> history = net.fit([[0.0], [1.0]], ["no", "yes"], epochs=1, batch_size=2)
        >>> net.classes_
        array(['no', 'yes'], dtype='<U3')
        """
        return inference.classes(self)

    @classes_.setter
    def classes_(self, labels: Sequence[Any]) -> None:
        classes = checked_classes(hashable(list(labels), "classes_"), len(self.biases[-1]), "classes_")
        self._fastbp = replace(self._fastbp, learnt=replace(self._fastbp.learnt, classes=classes))

    @property
    def feature_names_in_(self) -> Array:
        """The column names of the frame that `fit` trained on, an array of `str` objects.

        Later frames of pandas or polars must have the same columns in the same order.  Raises AttributeError
        unless the network was trained on a frame whose column names are all strings.

        >>> import pandas
        >>> X = pandas.DataFrame({"width": [0.0, 1.0], "height": [2.0, 1.0]})
        >>> net = Network([2, 3, 2], seed=0)
        >>> history = net.fit(X, [0, 1], epochs=1, batch_size=2)
        >>> net.feature_names_in_
        array(['width', 'height'], dtype=object)
        """
        names = self._fastbp.learnt.feature_names
        if names is None:
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute 'feature_names_in_': it was not trained "
                "on a frame whose column names are all strings"
            )
        return np.array(names, object)

    @property
    def parameters(self) -> Array:
        """All weights and biases as one array: layer by layer, weights row by row, then biases.  May be set.

        >>> net = Network([2, 3, 1], seed=0)
        >>> net.parameters = net.parameters * 0.5
        >>> net.parameters.shape
        (13,)
        """
        pairs = zip(*checked_parameters(self.weights, self.biases, self.dtype), strict=True)
        return np.concatenate([array.reshape(-1) for pair in pairs for array in pair])

    @parameters.setter
    def parameters(self, flat: npt.ArrayLike) -> None:
        self.weights, self.biases = unflattened(flat, self.weights, self.biases, self.dtype)

    def __setstate__(self, state: Any) -> None:
        """Restores a pickle, also one of fastbp 0.1.0."""
        attributes, slots = state if isinstance(state, tuple) else (state, {})
        vars(self).update(attributes if "_fastbp" in attributes else from_0_1(attributes))
        for name, value in slots.items():  # of a subclass
            setattr(self, name, value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({summary.arguments(self.sizes, self._fastbp.options)})"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the network durably to a file, from which `load` reads it in any process.

        Raises
        ------
        OSError
            Where the file cannot be written; an earlier file at `path` is unchanged then.

        Examples
        --------
        >>> import os, tempfile
        >>> from fastbp import load
        >>> path = os.path.join(tempfile.mkdtemp(), "net.fastbp")
        >>> net = Network([3, 5, 2], seed=0)
        >>> net.save(path)
        >>> bool((load(path).parameters == net.parameters).all())
        True
        """
        network_file.save(self, path)

    def __getitem__(self, layers: slice) -> "Network":
        """Some layers in a row as a `Network` of copies of their weights: ``net[:2]`` has the first two.

        Layers are counted as in ``weights``.  A slice that includes the first layer reads X as the network
        does, scaled or divided.  One that includes the last keeps its cost, task and labels; any other
        predicts activations.  Optimizer state is not copied.

        Raises
        ------
        TypeError, ValueError
            For anything but a slice of at least one layer; for scalings that `fit` has not learnt.

        Examples
        --------
        The two halves of an autoencoder:

        >>> X = np.random.default_rng(0).random((50, 6))
        >>> net = Network([6, 4, 2, 4, 6], activation="tanh", output_activation="linear", seed=0)
        >>> history = net.fit(X, X, epochs=1, batch_size=10)
        >>> encoder, decoder = net[:2], net[2:]
        >>> encoder.predict(X).shape
        (50, 2)
        >>> bool((decoder.predict(encoder.predict(X)) == net.predict(X)).all())
        True
        """
        begin, end = checks.consecutive("layers", layers, len(self.weights))
        sizes, parameters, state = part.part_of(self, begin, end)
        return network_from_saved(network_file.SavedNetwork(sizes, *parameters, state))

    def fingerprint(self) -> str:
        """SHA-256 in hexadecimal of what defines the network's outputs and cost: layers, weights, scaling.

        Two networks have the same fingerprint where all of these are bit-identical, on whatever machine each
        was trained.  Training leaves no trace in it: neither the seed nor dropout nor the optimizer's state.
        A user's own functions enter by their names only.

        >>> Network([2, 3, 1], seed=0).fingerprint()[:16]
        '417247bed07fc3e4'
        """
        return network_file.fingerprint(*network_file.described(self))

    def summary(self) -> str:
        """A table of the layers, with the cost and the number of parameters.

        >>> print(Network([784, 30, 10], dropout=0.2).summary())
        layer  units  activation  parameters  dropout
            0     30  sigmoid         23,550      0.2
            1     10  sigmoid            310
        784 inputs, 23,860 parameters in float64; cost quadratic; 95,880 flops to train on a sample
        """
        return summary.table(self)

    def _repr_html_(self) -> str:
        """The table of layers as notebooks show it."""
        return summary.html(self) if len(self.weights) else repr(self)

    # The book's interface: samples are column vectors

    def feedforward(self, a: npt.ArrayLike) -> Array:
        """The network's output for input `a`, of shape (inputs, 1), or (inputs, m) for m samples.

        >>> Network([3, 4, 2], seed=0).feedforward([[0.1], [0.2], [0.3]]).shape
        (2, 1)
        """
        output: Array = formulas.feedforward(self, a)
        return output

    def SGD(
        self,
        training_data: Pairs,
        epochs: int,
        mini_batch_size: int,
        eta: float,
        test_data: Pairs | None = None,
    ) -> None:
        """Trains by mini-batch stochastic gradient descent, as the book's method of that name.

        Parameters
        ----------
        training_data : list of (x, y)
            Column vectors x (inputs, 1) and y (outputs, 1).  A list is shuffled in place by the standard
            library's ``random``, once per epoch; anything else is copied into a list first.
        epochs, mini_batch_size : int
        eta : float
            The learning rate; the step is eta / (samples in the mini-batch) times the summed gradient.
        test_data : list of (x, label), optional
            Evaluated after every epoch.

        Notes
        -----
        Each epoch prints ``Epoch 0 : 9123 / 10000``, or ``Epoch 0 complete`` without test data; the book's
        own line has no space before the colon.
        """
        training_pairs.SGD(self, training_data, epochs, mini_batch_size, eta, test_data)

    def update_mini_batch(self, mini_batch: Sequence[tuple[Any, Any]], eta: float) -> None:
        """One step down the gradient averaged over `mini_batch`, a list of (x, y).

        ``weights`` and ``biases`` become new lists of new arrays.
        """
        training_pairs.update_mini_batch(self, mini_batch, eta)

    def backprop(self, x: Any, y: Any) -> tuple[list[Array], list[Array]]:
        """The gradient of the cost of one sample: (nabla_b, nabla_w), shaped as biases and weights.

        The four equations: delta = dC/da * sigma'(z) at the output, delta = (w^T delta) * sigma'(z) below,
        dC/db = delta, dC/dw[j, k] = a[k] delta[j].

        >>> nabla_b, nabla_w = Network([3, 2], seed=0).backprop(np.zeros((3, 1)), np.ones((2, 1)))
        >>> nabla_w[0].shape
        (2, 3)
        """
        has_user_cost = replaced.is_replaced(self, "cost_derivative")
        return formulas.backprop(self, x, y, formulas.output_error(self, has_user_cost))

    def evaluate(self, test_data: Pairs) -> int:
        """The number of pairs (x, label) in `test_data` whose label is the index of the largest output."""
        return training_pairs.evaluate(self, test_data)

    def cost_derivative(self, output_activations: Any, y: Any) -> Any:
        """dC/da of the network's cost: a - y of the quadratic one.  A subclass may have another."""
        return formulas.cost_derivative(self, output_activations, y)

    # Arrays: rows are samples

    def fit(
        self,
        X: npt.ArrayLike | Blocks,
        y: npt.ArrayLike | None = None,
        *,
        epochs: int,
        batch_size: int,
        learning_rate: float | None = None,
        optimizer: str | Optimizer = "sgd",
        schedule: str | Schedule | Callable[[int], float] = "constant",
        l2: float = 0.0,
        l1: float = 0.0,
        clip_norm: float | None = None,
        sample_weight: npt.ArrayLike | None = None,
        class_weight: Mapping[Any, float] | str | None = None,
        validation_data: Validation | None = None,
        validation_split: float = 0.0,
        metrics: Metric | Iterable[Metric] = (),
        shuffle: bool = True,
        data_seed: int | None = None,
        buffer_bytes: int = 1 << 28,
        threads: int | str = "auto",
        callbacks: Callbacks = (),
        verbose: bool = False,
    ) -> History:
        """Trains on arrays, or on blocks of them that need not fit into memory together.

        A second call continues where the first ended, the optimizer's state included: n calls of one epoch
        give bit-identical weights to one call of n epochs, unless a schedule spans the call.  Another
        optimizer begins anew.

        Parameters
        ----------
        X : array (samples, inputs)
            uint8, float32 or float64 in C order are read where they lie, memory-mapped or read-only as well,
            and so are the rows of a sparse matrix of SciPy in CSR format; other types and orders are copied,
            other sparse formats converted to CSR.  The same numbers give the same network in any type.

            Without y: blocks of samples, each a pair of such an X and its y, which may have any number of
            rows.  X is then a function without arguments that returns an iterator of blocks, called for every
            epoch; or a list of them, or another iterable that can be iterated again; or an iterator, for one
            epoch only.  A thread reads blocks while others are trained on.  An exception of the iterator ends
            `fit`.  Where labels that are not 0, 1, 2 ..., a scaling or the end of a schedule must be known
            first, there is one more pass over the blocks, before training.
        y : array (samples,) or (samples, outputs), optional
            Labels, learnt as one-hot targets: 0 .. outputs - 1, or text, dates or anything else that has a
            hash, as many different ones as outputs; see `classes_`.  Or values: numbers, or rows of them.
            Tuples are labels, except tuples of numbers alone, which are rows of values.  Probabilities as the
            targets of a softmax may add up to 1 +- 0.001, and are divided by their sum.  With one output,
            (samples,) integers 0 and 1, or two different texts, are two classes and other numbers values.
            See `task`.
        epochs, batch_size : int
            The last batch of an epoch is shorter where `batch_size` does not divide the samples.
        learning_rate : float, optional
            Step size.  Defaults to 0.01 for "sgd", "momentum" and "nesterov", and to 0.001 for others.
        optimizer : str or object
            "sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw" or "irprop" (for full batches); or an
            object with options, such as ``Adam(beta_1=0.8)``.
        schedule : str, object or callable
            Learning rate of each step: "constant", "step", "exponential", "cosine" or "one_cycle"; an object
            with options, such as ``Cosine(warmup=100)``; or a function from the step, counted from 0, to the
            rate.
        l2, l1 : float
            The cost gains l2 / 2 times the sum of w^2 and l1 times that of abs(w), over weights, not biases.
            The book's lmbda is l2 = lmbda / samples, scikit-learn's alpha is l2 = alpha / batch_size.
        clip_norm : float, optional
            Largest norm of the whole gradient, penalties included; longer gradients are scaled down to it.
        sample_weight : array (samples,), optional
            Factors of the samples' costs; a batch's cost is the sum of w C over the batch's length.  They
            apply to held-out rows and to `metrics` as well; scalings are not learnt from rows of weight 0.
            Not for blocks.
        class_weight : dict of label to float, or "balanced", optional
            Factors of the costs of labels; "balanced", which is not for blocks, gives every class the same
            total weight, with mean 1.  They apply to validation data and to `metrics` as well, so that with
            "balanced" the accuracy on training data, and on data that are divided into classes alike, is the
            mean of the classes' accuracies.
        validation_data : (X, y) or (X, y, sample_weight), optional
            Data whose cost and score are computed after every epoch: the cost as the sum of w C over the
            number of rows, as in training, the score as a weighted mean.
        validation_split : float
            The share of X, of each label alike, that is held out as validation data instead; the same rows
            in every call.  Not for blocks.
        metrics : str or callable, or an iterable of them
            Measures after every epoch instead of the score, on validation and on training data, which takes a
            forward pass over them: "accuracy", "r2", "mse", "mae"; scores of scikit-learn by name, such as
            "f1" or "roc_auc" (``sklearn.metrics.get_scorer_names``); or functions of (y, outputs) that
            return a number.  A function with an argument ``sample_weight``, as those of ``sklearn.metrics``
            have, is called with the weights, or None; others are not weighted.
        shuffle : bool
            If True, every epoch takes the samples in a new order.
        data_seed : int, optional
            Seed of the orders of the samples, and of the choice of rows that `validation_split` holds out,
            instead of the network's own: networks of different seeds then train on the same rows in the same
            orders.
        buffer_bytes : int
            Memory in which blocks are shuffled, beside that of the two or so that are being read: rows fill
            its two halves by turns, and each half is shuffled.  Neither the order nor, without `shuffle`, any
            bit depends on the sizes of blocks.
        threads : int or "auto"
            Members of the team that shares each batch, at most the CPUs this process may use, or those that
            FASTBP_NUM_THREADS says.  "auto" tries several numbers while it trains, at a cost of about 2 % of
            the time, and keeps the fastest; steps of fewer than 100,000 operations have one member, and no
            trial.  `History` has that number and the speed of each.  Any number gives the same bits.
        callbacks : Callback or callable, or an iterable of them
            `EarlyStopping`, `ReduceLROnPlateau`, `ModelCheckpoint`, `AverageWeights`, `TimeLimit`,
            `CSVLogger`, `ProgressBar`, `LivePlot`, `TensorBoard`, `OptunaPruning` or a user's own `Callback`.
            A function is called as ``callback(network, history)`` after an epoch and may change the weights;
            training stops early when it returns True.
        verbose : bool
            If True, shows a `ProgressBar`, or a line per epoch where stdout is no terminal.

        Returns
        -------
        History

        Raises
        ------
        ValueError, TypeError
            For invalid arguments or data; the network is unchanged then.
        DivergenceError
            When the cost or a weight is no longer finite; the last finite weights are kept.

        Warns
        -----
        RuntimeWarning
            For whole numbers up to 255 beside numbers from 0 to 1, which may be pixels that were divided; and
            for uint8 numbers above 1 without `input_divisor`.  For whole numbers that float32 or float64
            rounds, beyond 2^24 or 2^53.

        Notes
        -----
        Where a subclass or a patch has replaced one of the book's methods or functions, training goes through
        `update_mini_batch`, a sample at a time, in NumPy, and takes no optimizer but "sgd".

        Examples
        --------
        >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
        >>> net = Network([1, 16, 1], seed=0, activation="tanh", output_activation="linear")
        >>> history = net.fit(X, X**2, epochs=200, batch_size=10, optimizer="adam", learning_rate=0.01)
        >>> history.loss[-1] < 1e-3
        True
        """
        plan = Plan(
            recipe=recipe_of(optimizer, learning_rate, schedule, l2, l1, clip_norm),
            epochs=checks.count("epochs", epochs, 0),
            batch_size=checks.count("batch_size", batch_size),
            threads=checks.threads_of(threads),
            callbacks=fit.callbacks_of(callbacks, verbose),
            metrics=checks.metrics(metrics, METRICS, SCORES),
            sample_weight=sample_weight,
            class_weight=class_weight,
            validation_data=validation_data,
            validation_split=validation_split,
            shuffle=checks.flag("shuffle", shuffle),
            data_seed=None if data_seed is None else checks.seed("data_seed", data_seed),
            buffer_bytes=buffer_bytes,
        )
        return fit.fit(self, X, y, plan)

    def partial_fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        optimizer: str | Optimizer | None = None,
        schedule: str | Schedule | Callable[[int], float] = "constant",
        l2: float = 0.0,
        l1: float = 0.0,
        clip_norm: float | None = None,
        sample_weight: npt.ArrayLike | None = None,
        class_weight: Mapping[Any, float] | str | None = None,
        threads: int | str = "auto",
    ) -> History:
        """One epoch of `fit` on samples as they come, in a new order.

        Where the network is trained already, y is of the same kind as it was; see `task`.  Arguments that are
        not named here are those of `fit`.

        Parameters
        ----------
        X, y : arrays
            As for `fit`.
        batch_size : int, optional
            Defaults to 200, or to all samples where there are fewer.
        optimizer : str or object, optional
            Defaults to that of the last training, whose state continues, or to "sgd".

        Examples
        --------
        >>> random = np.random.default_rng(0)
        >>> net = Network([2, 8, 2], output_activation="softmax", cost="cross_entropy", seed=0)
        >>> for _ in range(40):
        ...     X = random.standard_normal((100, 2))
        ...     history = net.partial_fit(X, X[:, 0] > 0, optimizer="adam", learning_rate=0.1)
        >>> bool(net.score(X, X[:, 0] > 0) > 0.9)
        True
        """
        y = required("y", y)
        if optimizer is None:
            optimizer = self._fastbp.progress.optimizer or "sgd"
        plan = Plan(
            recipe=recipe_of(optimizer, learning_rate, schedule, l2, l1, clip_norm),
            epochs=1,
            batch_size=200 if batch_size is None else checks.count("batch_size", batch_size),
            threads=checks.threads_of(threads),
            task=self.task,
            sample_weight=sample_weight,
            class_weight=class_weight,
        )
        return fit.fit(self, X, y, plan)

    def find_learning_rate(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        batch_size: int,
        optimizer: str | Optimizer = "sgd",
        smallest: float = 1e-6,
        largest: float = 10.0,
        steps: int = 100,
        **options: Any,
    ) -> rates.LearningRates:
        """Trains a copy while the learning rate grows, and suggests a rate; the network stays as it is.

        The search ends after `steps` steps, or once the cost is four times its lowest or no longer finite
        (Smith 2017).  NumPy's global generator stays as it is, too.

        Parameters
        ----------
        X, y : arrays
            As for `fit`; no blocks.
        batch_size, optimizer
            Those that the network will be trained with; a suggestion is for them alone.
        smallest, largest : float
            The first and the last learning rate.
        steps : int
            The rate grows by the same factor from step to step.
        **options
            Other arguments of `fit`, such as ``l2`` and ``sample_weight``, but those that are the search's
            own: ``epochs``, ``learning_rate`` and ``callbacks``.

        Returns
        -------
        LearningRates
            With ``rates``, ``losses``, ``suggestion`` and ``plot()``.

        Examples
        --------
        >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
        >>> net = Network([1, 16, 1], seed=0, activation="tanh", output_activation="linear")
        >>> recipe = {"batch_size": 10, "optimizer": "adam"}
        >>> found = net.find_learning_rate(X, X**2, **recipe)
        >>> history = net.fit(X, X**2, epochs=50, learning_rate=found.suggestion, **recipe)
        >>> bool(history.loss[-1] < history.loss[0] / 10)
        True
        """
        arguments = {"batch_size": batch_size, "optimizer": optimizer, **options}
        return rates.find(self, X, required("y", y), (smallest, largest), steps, arguments)

    @overload
    def predict(self, X: npt.ArrayLike, *, return_std: Literal[False] = False) -> Array: ...
    @overload
    def predict(self, X: npt.ArrayLike, *, return_std: Literal[True]) -> tuple[Array, Array]: ...
    @overload
    def predict(self, X: npt.ArrayLike, *, return_std: bool) -> Array | tuple[Array, Array]: ...
    def predict(self, X: npt.ArrayLike, *, return_std: bool = False) -> Any:
        """Predicts each row of X, in the shape of the y that `fit` was trained on.

        Labels (samples,); for two classes of one output, 0 or 1; for several labels at once, zeros and ones
        (samples, outputs); else values.  A network that `fit` has not trained gives labels where it has more
        than one output, and values (samples, 1) where it has one, unless `classes_` or `task` says otherwise.

        With `return_std`, the standard deviation of each value as well, which a network of the cost
        "gaussian" has learnt; for others it is a ValueError.

        >>> X = np.linspace(-1, 1, 64).reshape(-1, 1)
        >>> net = Network([1, 8, 2], activation="tanh", output_activation="linear", cost="gaussian", seed=0)
        >>> history = net.fit(X, X[:, 0], epochs=1, batch_size=8, optimizer="adam")
        >>> mean, std = net.predict(X, return_std=True)
        >>> mean.shape, std.shape
        ((64,), (64,))
        """
        return inference.predict(self, X, checks.flag("return_std", return_std))

    def predict_proba(self, X: npt.ArrayLike) -> Array:
        """The probabilities of the labels, (samples, labels); rows add up to one.

        Two classes learnt by one output have two columns, that of 0 first.  Outputs of sigmoids, which need
        not add up to one, are divided by their sum.  Where several labels may hold at once, each has its own
        probability.

        Raises
        ------
        ValueError
            For a network that is trained for values, or whose outputs are no probabilities: see `outputs`.
        """
        return inference.predict_proba(self, X)

    def outputs(self, X: npt.ArrayLike, layer: int | None = None) -> Array:
        """The outputs themselves, (samples, outputs): `feedforward` for rows.

        With `layer`, an index into ``weights``, the activations of that layer instead, (samples, neurons):
        0 is the first hidden layer and -1 the last.  Hidden layers cannot be asked for where `feedforward`
        is overridden (ValueError).

        >>> Network([3, 5, 4, 2], seed=0).outputs(np.zeros((6, 3)), layer=1).shape
        (6, 4)
        """
        return inference.outputs(self, X, layer)

    def score(self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> float:
        """The share of rows predicted right; for values the coefficient of determination R^2.

        The network's `task` decides which, and y must be of that kind.  With `sample_weight`
        (samples,) each row counts by its weight.  Both are as in scikit-learn, ``accuracy_score`` and
        ``r2_score(..., multioutput="variance_weighted")``: one coefficient of all outputs together.
        """
        return inference.score(self, X, y, sample_weight)

    # Gradients

    def value_and_gradient(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        sample_weight: npt.ArrayLike | None = None,
        class_weight: Mapping[Any, float] | str | None = None,
        l2: float = 0.0,
        l1: float = 0.0,
        threads: int | str = "auto",
    ) -> tuple[float, Array]:
        """The mean cost over the rows of X, penalties included, and its gradient, laid out like `parameters`.

        Dropout is off, and frozen layers have zeros.  Other arguments are those of `fit`.

        Examples
        --------
        Full-batch training by SciPy's L-BFGS-B:

        >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
        >>> net = Network([1, 8, 1], activation="tanh", output_activation="linear", seed=0)
        >>> def objective(parameters):
        ...     net.parameters = parameters
        ...     return net.value_and_gradient(X, X**2)
        >>> from scipy.optimize import minimize  # doctest: +SKIP
        >>> result = minimize(objective, net.parameters, jac=True, method="L-BFGS-B")  # doctest: +SKIP
        >>> value, gradient = objective(net.parameters)
        >>> gradient.shape
        (25,)
        """
        mean_cost = objective(
            self, X, y, sample_weight=sample_weight, class_weight=class_weight, l2=l2, l1=l1, threads=threads
        )
        value, (weights, biases) = mean_cost(*mean_cost.start)
        pairs = zip(weights, biases, strict=True)
        return value, np.concatenate([array.reshape(-1) for pair in pairs for array in pair])

    def gradients(
        self, X: npt.ArrayLike, y: npt.ArrayLike, *, threads: int | str = "auto"
    ) -> tuple[list[Array], list[Array]]:
        """The gradient of the mean cost, shaped as ``weights`` and ``biases``: `backprop` for rows."""
        mean_cost = objective(self, X, y, threads=threads)
        return mean_cost(*mean_cost.start)[1]

    def input_gradient(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Array:
        """dC/dx of each row's own cost, (samples, inputs): how the cost would change with each input.

        It is the derivative by X as it is given, also with `scale_inputs` and `input_divisor`; with
        `uint8_divisor`, by the divided numbers.  With `scale_outputs` the cost is that of scaled values, as
        in training.
        """
        return gradients.input_gradient(self, X, y)

    def check_gradients(
        self, X: npt.ArrayLike, y: npt.ArrayLike, *, step: float = 1e-5
    ) -> gradient_check.GradientReport:
        """Backpropagation against central differences of width 2 `step`, up to 40 numbers of each array.

        In float64, whatever the network's type; a user's own activation and cost too.  Differences above 1e-6
        or so hint at a wrong derivative, unless a kink (of relu, say) lies within the step.

        >>> X, y = np.linspace(0, 1, 12).reshape(4, 3), np.array([0, 1, 1, 0])
        >>> net = Network([3, 5, 2], activation="gelu", output_activation="softmax", cost="cross_entropy")
        >>> net.check_gradients(X, y).error < 1e-6
        True
        """
        return gradient_check.check(self, X, y, step)


def objective(net: Network, X: Any, y: Any, **options: Any) -> gradients.Objective:
    """`Network.value_and_gradient` as a function of weights and biases, for many calls over the same data."""
    return gradients.Objective(net, X, y, **options)


def load(
    path: str | os.PathLike[str], *, activation: Any = None, output_activation: Any = None, cost: Any = None
) -> "Network":
    """Reads a network that `Network.save`, a `ModelCheckpoint` or ``fastbp train`` wrote.

    It predicts the same bits, and `fit` continues with the optimizer's state as if there had been no file.
    A subclass's file gives a `Network` with its weights.

    Parameters
    ----------
    path : str or path-like
    activation, output_activation, cost : object, optional
        The user's own functions that the network had, which files do not hold, as for `Network`.  Each is
        ignored where the network had none.

    Returns
    -------
    Network

    Raises
    ------
    OSError
        For a file that cannot be read.
    ValueError
        For a file that is damaged, truncated, of another format or of a later version.

    Examples
    --------
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "net.fastbp")
    >>> net = Network([3, 2], seed=0)
    >>> net.save(path)
    >>> load(path)
    Network([3, 2], seed=0, dtype='float64')
    """
    user_functions = {"activation": activation, "output_activation": output_activation, "cost": cost}
    return network_from_saved(network_file.load(os.fspath(path), user_functions))


def network_from_saved(saved: network_file.SavedNetwork) -> Network:
    """The network that a file holds."""
    net = Network.__new__(Network)
    net.num_layers, net.sizes = len(saved.sizes), saved.sizes
    net.weights, net.biases = saved.weights, saved.biases
    if saved.state != State():
        net._fastbp = saved.state
    return net


def recipe_of(optimizer: Any, learning_rate: Any, schedule: Any, l2: Any, l1: Any, clip_norm: Any) -> Recipe:
    """Checks the arguments that define a step."""
    chosen: Optimizer = checks.option("optimizer", optimizer, OPTIMIZERS, Optimizer)
    return Recipe(
        chosen,
        checks.positive("learning_rate", chosen.usual_rate if learning_rate is None else learning_rate),
        checks.schedule(schedule, SCHEDULES, Schedule),
        checks.nonnegative("l2", l2),
        checks.nonnegative("l1", l1),
        0.0 if clip_norm is None else checks.positive("clip_norm", clip_norm),
    )


Network._fastbp_hooks = replaced.Hooks(sys.modules[__name__], Network)
