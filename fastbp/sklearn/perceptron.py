"""scikit-learn's multi-layer perceptrons on fastbp's kernels."""

import contextlib
import copy
import itertools
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state, column_or_1d, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import check_is_fitted, validate_data

from ..data import frames
from ..data.arrays import warn
from ..data.sparse import is_sparse
from ..data.targets import Task
from ..data.validation import checked_validation_data
from ..data.weights import check_some_weight, sample_weights
from ..engine.chunks import DivergenceError
from ..network import Network, objective, recipe_of
from ..options import checks
from ..options.activations import SCIKIT_LEARNS
from ..options.costs import CrossEntropy
from ..options.costs import Kind as Cost
from ..options.optimizers import SGD, Momentum, Nesterov, Optimizer, _ScikitAdam
from ..training import fit as training
from ..training.plan import Plan
from . import skl2onnx_converter
from .layers import LayerArrays, checked_layers, sizes_of
from .watch import Watch

_SOLVERS = ("lbfgs", "sgd", "adam")
_MOST_SEED = 2**31
_NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
    "preprocessed."
)


class NotFiniteError(DivergenceError, ValueError):
    """Training has diverged; a ValueError, as scikit-learn raises it."""


class Job(NamedTuple):
    """Checked samples and targets that an estimator trains on."""

    X: Any
    targets: np.ndarray
    weights: np.ndarray | None
    validation: dict[str, Any]  # arguments of `Plan`
    is_partial: bool  # whether it is an epoch of `partial_fit`


class Trained(Protocol):
    """An estimator that was trained ahead of its `fit`."""

    @property
    def result(self) -> Any:
        """The estimator, or the exception that `fit` raises."""

    def suits(self, estimator: Any, X: Any, y: Any) -> bool:
        """Tells whether it is what that `fit` would make of X and y."""


_AHEAD: ContextVar[list[Trained]] = ContextVar("estimators that were trained ahead")


@contextlib.contextmanager
def ahead(trained: Iterable[Trained]) -> Iterator[None]:
    """Lets each `fit` within the block take over an estimator that is trained already, in their order."""
    token = _AHEAD.set(list(trained))
    try:
        yield
    finally:
        _AHEAD.reset(token)


def _trained_ahead(estimator: Any, X: Any, y: Any) -> Any:
    """The estimator or the exception that this `fit` would give, if it is known; those before it are left."""
    waiting = _AHEAD.get([])
    for index, trained in enumerate(waiting):
        if trained.suits(estimator, X, y):
            del waiting[: index + 1]
            return trained.result
    return None


def _is_stochastic(estimator: Any) -> bool:
    if estimator.solver == "lbfgs":
        raise AttributeError(f"partial_fit: expected a solver of mini-batches, got {estimator.solver!r}")
    return True


class _Perceptron(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """The base of both estimators, which define their outputs and how y becomes targets."""

    _y_numeric = False
    _outputs_in_loss = 1  # by which the reported loss is divided
    _loss_of_targets = 0.0  # which is added to it
    _rate_factor = 1.0  # of the learning rate, which an earlier training has set

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        validation_data: tuple[Any, Any] | tuple[Any, Any, Any] | None = None,
    ) -> Any:
        """Trains on X (n_samples, n_features), dense or sparse, and y.

        Parameters
        ----------
        sample_weight : array of shape (n_samples,), optional
            Factors of the samples' costs, also in the score of ``early_stopping``.  Their mean is irrelevant,
            except to "lbfgs", where they also weigh against `alpha`, as in scikit-learn.
        validation_data : (X, y) or (X, y, sample_weight), optional
            Data for ``early_stopping``, instead of a part of X.

        Returns
        -------
        The estimator.

        Raises
        ------
        ValueError
            For invalid arguments or data; and for training that diverges, as a `DivergenceError`.  With
            ``early_stopping`` that is a ConvergenceWarning, and the best weights are kept.
        """
        trained = _trained_ahead(self, X, y)
        if isinstance(trained, Exception):
            raise trained
        if trained is not None:
            self.__dict__.update(vars(trained))
            return self
        return self._fit(self.prepared(X, y, sample_weight, validation_data))

    def _take(self, parameters: dict[str, Any]) -> None:
        """Keeps the arguments of `__init__` unchanged, as scikit-learn requires."""
        for name in self._get_param_names():
            setattr(self, name, parameters[name])

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any) -> Any:
        if self.early_stopping:
            raise ValueError(
                "partial_fit does not support early_stopping=True; use fit, or early_stopping=False"
            )
        return self._fit(self.prepared(X, y, sample_weight, None, is_partial=True))

    def prepared(
        self, X: Any, y: Any, sample_weight: Any, validation_data: Any, is_partial: bool = False
    ) -> Job:
        """Checks arguments and data, and builds the network."""
        self._check_numbers()
        goes_on = self.warm_start or is_partial
        if validation_data is not None and not self.early_stopping:
            raise ValueError("validation_data: expected early_stopping=True, which alone uses them")
        X, targets = self._checked(X, y, not (goes_on and "network_" in vars(self)), is_partial)
        if goes_on:
            self._adopt()
        first = not (goes_on and "network_" in vars(self))
        weights = self._weights(y, sample_weight)
        self._loss_of_targets = self._least_loss(targets, weights)
        validation: dict[str, Any] = {}
        if validation_data is not None:
            validation["validation_data"] = self._checked_validation(validation_data, y)
        elif self.early_stopping:
            validation["validation_split"] = self._share_held_out(targets)
        random = check_random_state(self.random_state)
        if first or not is_partial:
            self._begin(X, random, None if first else self.network_)
        return Job(X, targets, weights, validation, is_partial)

    def _check_numbers(self) -> None:
        """Refuses arguments that are wrong for any data, before an earlier training is lost."""
        checks.choice("solver", self.solver, _SOLVERS)
        checks.choice("learning_rate", self.learning_rate, ("constant", "invscaling", "adaptive"))
        checks.nonnegative("alpha", self.alpha)
        checks.positive("learning_rate_init", self.learning_rate_init)
        checks.count("max_iter", self.max_iter, 0)
        checks.threads_of(self.threads)
        self._optimizer()
        self._size_of_batch(sys.maxsize)

    def _fit(self, job: Job) -> Any:
        if self.solver == "lbfgs":
            self._minimize(job.X, job.targets, job.weights)
        else:
            self._descend(job)
        self.check_finite()
        return self

    def check_finite(self) -> None:
        """Refuses weights that training has left infinite or NaN."""
        if not all(np.isfinite(array).all() for array in (*self.network_.weights, *self.network_.biases)):
            raise ValueError(_NOT_FINITE)

    def _checked(self, X: Any, y: Any, first: bool, is_partial: bool) -> tuple[Any, np.ndarray]:
        X, y = validate_data(
            self,
            X,
            y.toarray() if is_sparse(y) else y,
            accept_sparse="csr",
            multi_output=True,
            y_numeric=self._y_numeric,
            dtype=(np.float64, np.float32),
            reset=first,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, self._targets(y, first, is_partial)

    def _checked_validation(self, data: Any, learnt: Any) -> tuple[Any, Any, np.ndarray | None]:
        """Samples, targets and weights of validation data; `learnt` is the y of the training data."""
        X, y, sample_weight = checked_validation_data(data)
        X, targets = self._checked(X, y, first=False, is_partial=True)
        weights = self._weights(y, sample_weight, learnt, "validation_sample_weight")
        return X, targets, None if weights is None else weights / weights.mean()

    def _targets(self, y: np.ndarray, first: bool, is_partial: bool) -> np.ndarray:
        raise NotImplementedError

    def _share_held_out(self, targets: np.ndarray) -> float:
        """The share of the rows for early stopping: of at least two rows, or it is refused."""
        samples = len(targets)
        least = math.ceil(checks.rate("validation_fraction", self.validation_fraction) * samples)
        if least < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your "
                f"dataset: expected at least 2 samples held out, got {least} of {samples}"
            )
        share: float = self.validation_fraction
        return share if int(share * samples) >= 2 else (least + 0.5) / samples

    def _least_loss(self, targets: np.ndarray, weights: np.ndarray | None) -> float:
        """The number to add to our cost for scikit-learn's."""
        return 0.0

    def _weights(
        self, y: Any, sample_weight: Any, learnt: Any = None, name: str = "sample_weight"
    ) -> np.ndarray | None:
        """The weights of the rows of y; "balanced" ones are computed from `learnt`, or from y itself."""
        if sample_weight is None:
            return None
        weights = sample_weights(sample_weight, len(np.asarray(y)), name)
        check_some_weight(name, weights)
        return weights

    def _begin(self, X: Any, random: Any, before: Network | None) -> None:
        """Builds a network, with the weights of the one before or with scikit-learn's initial ones."""
        hidden = self.hidden_layer_sizes
        sizes = [X.shape[1], *(hidden if isinstance(hidden, Iterable) else [hidden]), self.n_outputs_]
        weights, biases = [], []
        for n_in, n_out in itertools.pairwise(sizes):
            bound = np.sqrt((2.0 if self.activation == "logistic" else 6.0) / (n_in + n_out))
            weights.append(random.uniform(-bound, bound, (n_in, n_out)).T)
            biases.append(random.uniform(-bound, bound, n_out)[:, None])
        if before is not None and list(before.sizes) != sizes:
            raise ValueError(
                f"hidden_layer_sizes: expected {tuple(before.sizes[1:-1])}, as of the network that training "
                f"goes on with, got {hidden!r}; warm_start=False begins anew"
            )
        self.network_ = self._built(sizes, X.dtype, random)
        if before is not None:
            weights, biases = before.weights, before.biases
        self.network_.weights = [w.astype(X.dtype) for w in weights]
        self.network_.biases = [b.astype(X.dtype) for b in biases]
        self._reset(anew=before is None)

    def _built(self, sizes: Sequence[int], dtype: np.dtype, random: Any) -> Network:
        names = self.activation if _is_list(self.activation) else [self.activation] * (len(sizes) - 2)
        activations = [SCIKIT_LEARNS.get(name, name) if isinstance(name, str) else name for name in names]
        return Network(
            sizes,
            activation=activations if activations else "relu",
            output_activation=SCIKIT_LEARNS.get(str(self.out_activation_), str(self.out_activation_)),
            cost=self._cost(),
            dtype=dtype,
            seed=int(random.randint(_MOST_SEED)),
            dropout=self.dropout,
            compute_dtype=self.compute_dtype,
        )

    def _reset(self, anew: bool) -> None:
        """Sets what training keeps up to date, for a new network or for more training of the same one."""
        self.__dict__.pop("_given", None)
        self.n_layers_ = self.network_.num_layers
        self._rate_factor = 1.0
        if anew:
            self.t_ = 0
            self.loss_curve_: list[float] = []
        if anew or (self.validation_scores_ is not None) != self.early_stopping:
            self._waits = 0
            self.best_loss_ = None if self.early_stopping else np.inf
            self.validation_scores_: list[float] | None = [] if self.early_stopping else None
            self.best_validation_score_ = -np.inf if self.early_stopping else None

    def _adopt(self) -> None:
        """Builds the network of `coefs_` and `intercepts_`, if both were set before there was one."""
        given = vars(self).get("_given", {})
        if "network_" in vars(self) or len(given) < 2:
            return
        sizes = sizes_of(given["coefs_"])
        self._assume(sizes)
        narrow = all(np.asarray(w).dtype == np.float32 for w in given["coefs_"])
        dtype = np.dtype(np.float32 if narrow else np.float64)
        net = self._built(sizes, dtype, check_random_state(self.random_state))
        for name, arrays in given.items():
            _set_layers(net, name, arrays)
        self.network_ = net
        self._reset(anew=True)

    def to_network(self) -> Network:
        """A copy of the trained network as a `Network`, whose `predict` has the estimator's labels or values.

        An output of exactly 0.5 is the second of two classes there, and the first one here.
        """
        check_is_fitted(self)
        self._adopt()
        net = copy.deepcopy(self.network_)
        names = frames.learnt_names(self)
        learnt = replace(net._fastbp.learnt, task=self._task(), classes=None, feature_names=names)
        net._fastbp = replace(net._fastbp, learnt=learnt)
        return net

    def _task(self) -> Task:
        raise NotImplementedError

    def _cost(self) -> Cost:
        raise NotImplementedError

    def onnx_shape_calculator(self) -> Callable[..., None]:
        """The function by which skl2onnx finds the types of the outputs."""
        return skl2onnx_converter.set_types

    def onnx_converter(self) -> Callable[..., None]:
        """The function by which skl2onnx converts the estimator."""
        return skl2onnx_converter.convert

    def _assume(self, sizes: Sequence[int]) -> None:
        """Sets the attributes that follow from the sizes of a network, where they are not set."""
        for name, size in (("n_features_in_", sizes[0]), ("n_outputs_", sizes[-1])):
            if self.__dict__.setdefault(name, size) != size:
                expected = f"{name} = {getattr(self, name)}"
                raise ValueError(f"coefs_: expected arrays that suit {expected}, got layers of sizes {sizes}")

    def _size_of_batch(self, rows: int) -> int:
        if isinstance(self.batch_size, str):
            checks.choice("batch_size", self.batch_size, ("auto",))
            return min(200, rows)
        size = checks.count("batch_size", self.batch_size)
        if size > rows:
            warn(f"batch_size: {size} is more than the {rows} samples; it is reduced to that", UserWarning)
        return min(size, rows)

    def _optimizer(self) -> Optimizer:
        if self.solver == "adam":
            return _ScikitAdam(self.beta_1, self.beta_2, self.epsilon)
        if not self.momentum:
            return SGD()
        return (Nesterov if self.nesterovs_momentum else Momentum)(self.momentum)

    def planned(self, job: Job) -> tuple[Plan, Watch]:
        """How to train on mini-batches, by scikit-learn's rules between epochs, which are a callback."""
        size = self._size_of_batch(job.X.shape[0])
        penalty, weights = self.alpha / size, job.weights
        watch = Watch(self, penalty, self.early_stopping, job.is_partial)
        if self.validation_scores_:  # of an earlier training that this one continues
            watch.best = [w.copy() for w in self.network_.weights], [b.copy() for b in self.network_.biases]
        plan = Plan(
            recipe=recipe_of(self._optimizer(), self.learning_rate_init, "constant", penalty, 0.0, None),
            epochs=1 if job.is_partial else self.max_iter,
            batch_size=size,
            sample_weight=None if weights is None else weights / weights.mean(),
            shuffle=self.shuffle,
            threads=checks.threads_of(self.threads),
            callbacks=training.callbacks_of([watch, *(self.callbacks or ())], verbose=False),
            **job.validation,
        )
        return plan, watch

    def _descend(self, job: Job) -> None:
        plan, watch = self.planned(job)
        try:
            epochs = training.fit(self.network_, job.X, job.targets, plan).epochs
        except KeyboardInterrupt:
            warn("fit: interrupted; the present weights are kept", UserWarning)
            epochs = -1
        except DivergenceError as error:
            self.end_diverged(watch, error)
            return
        self.finish(watch, epochs)

    def end_diverged(self, watch: Watch, error: DivergenceError) -> None:
        """Ends a training that diverged: with the best weights of early stopping, or else by an error."""
        if not watch.best:
            raise NotFiniteError(f"{_NOT_FINITE} {error}") from error
        watch.end_diverged()
        warn(f"fit: diverged; the weights of the best epoch are kept: {error}", ConvergenceWarning)
        self.network_.weights, self.network_.biases = watch.best

    def finish(self, watch: Watch, epochs: int) -> None:
        """Ends a training of so many epochs: warns if there were too few, and takes the best weights."""
        if not watch.is_partial and epochs == self.max_iter:
            warn(
                f"fit: max_iter={self.max_iter} epochs are over before convergence; increase max_iter",
                ConvergenceWarning,
            )
        if watch.best:
            self.network_.weights, self.network_.biases = watch.best

    def _minimize(self, X: Any, targets: np.ndarray, weights: np.ndarray | None) -> None:
        """L-BFGS-B over all samples at once."""
        from scipy.optimize import minimize

        net, total = self.network_, X.shape[0] if weights is None else float(weights.sum())
        l2, weights = self.alpha / total, None if weights is None else weights * (X.shape[0] / total)

        cost = objective(net, X, targets, sample_weight=weights, l2=l2, threads=self.threads)
        latest = net.parameters.astype(np.float64)

        def value_and_gradient(parameters: np.ndarray) -> tuple[float, np.ndarray]:
            nonlocal latest
            latest = parameters
            value, gradient = cost.flat(parameters)
            self.loss_curve_.append(value / self._outputs_in_loss + self._loss_of_targets)
            return value, gradient

        iterations = itertools.count(1)

        def show(_: np.ndarray) -> None:
            print(f"Iteration {next(iterations)}, loss = {self.loss_curve_[-1]:.8f}")

        options = {"maxfun": self.max_fun, "maxiter": self.max_iter, "gtol": self.tol}
        try:
            result = minimize(
                value_and_gradient,
                latest,
                method="L-BFGS-B",
                jac=True,
                options=options,
                callback=show if self.verbose else None,
            )
            latest = result.x
        finally:
            net.parameters = latest
        self.n_iter_ = min(result.nit, self.max_iter)
        self.loss_ = self.best_loss_ = result.fun / self._outputs_in_loss + self._loss_of_targets
        self.t_ += X.shape[0] * self.n_iter_
        if result.status:
            warn(f"fit: L-BFGS-B ended early: {result.message}", ConvergenceWarning)

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        self._adopt()
        dtype = self.network_.weights[0].dtype
        X = validate_data(self, X, accept_sparse="csr", dtype=(np.float64, np.float32), reset=False)
        outputs: np.ndarray = self.network_.outputs(X.astype(dtype, copy=False))
        return outputs

    @property
    def coefs_(self) -> list[np.ndarray]:
        """The weights of each layer (inputs, outputs): views of ``network_.weights``.  May be set."""
        return self._layers("coefs_")

    @coefs_.setter
    def coefs_(self, arrays: Sequence[Any]) -> None:
        self._set("coefs_", arrays)

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """The biases of each layer (outputs,): views of ``network_.biases``.  May be set."""
        return self._layers("intercepts_")

    @intercepts_.setter
    def intercepts_(self, arrays: Sequence[Any]) -> None:
        self._set("intercepts_", arrays)

    def _layers(self, name: str) -> list[np.ndarray]:
        if "network_" in vars(self):
            net: Network = self.network_
            arrays = [w.T for w in net.weights] if name == "coefs_" else [b[:, 0] for b in net.biases]
            return LayerArrays(arrays, lambda changed: self._set(name, changed))
        given: list[np.ndarray] | None = vars(self).get("_given", {}).get(name)
        if given is None:
            raise AttributeError(f"{type(self).__name__} has no {name!r} before it is fitted")
        return given

    def _set(self, name: str, arrays: Sequence[Any]) -> None:
        """Sets the network's arrays; without a network keeps them, from which `_adopt` builds one."""
        if "network_" in vars(self):
            _set_layers(self.network_, name, arrays)
        else:
            self._given = {**vars(self).get("_given", {}), name: list(arrays)}

    def __sklearn_is_fitted__(self) -> bool:
        return "network_" in vars(self) or len(vars(self).get("_given", {})) == 2

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _set_layers(net: Network, name: str, arrays: Sequence[Any]) -> None:
    """Gives a network the weights of `coefs_` or the biases of `intercepts_`, which must have its shapes."""
    shapes = [w.shape[::-1] if name == "coefs_" else w.shape[:1] for w in net.weights]
    layers = checked_layers(name, arrays, shapes)
    if name == "coefs_":
        net.weights = [np.array(w.T, net.dtype, order="C") for w in layers]
    else:
        net.biases = [np.array(b[:, None], net.dtype) for b in layers]


class MLPClassifier(ClassifierMixin, _Perceptron):  # type: ignore[misc]
    """`sklearn.neural_network.MLPClassifier`, trained by fastbp.

    Parameters have scikit-learn's names, meanings and defaults, and with the same ``random_state`` the
    initial weights are the same numbers; the orders of the samples are not.  The cost is the cross-entropy of
    a softmax, or of sigmoids for two classes and for several labels at once.

    Parameters
    ----------
    activation : str, object or a list of them
        One for all hidden layers or one for each, any of `Network`'s besides scikit-learn's.
    class_weight : dict or "balanced", optional
        By label.
    dropout : float or a list of floats
        Of the hidden layers; see `Network`.
    verbose : bool
        If True, prints scikit-learn's lines; for a bar, pass a `ProgressBar` to `callbacks`.
    threads : int or "auto"
        See `Network.fit`.
    callbacks : iterable of Callback, optional
        See `Network.fit`.
    compute_dtype : {"bfloat16"}, optional
        See `Network`.  It needs X of type float32.
    label_smoothing : float
        Share by which targets move towards even odds; see `fastbp.CrossEntropy`.

    The others are scikit-learn's.

    Attributes
    ----------
    network_ : Network
        The trained network.
    coefs_, intercepts_ : lists of arrays (inputs, outputs) and (outputs,)
        Its weights and biases.  May be set, also before a `fit`, which begins with them where ``warm_start``
        is True, as `partial_fit` does.
    classes_, loss_, best_loss_, loss_curve_, validation_scores_, best_validation_score_, t_, n_iter_,
    n_features_in_, n_layers_, n_outputs_, out_activation_
        As scikit-learn has them.  `loss_curve_` has the cost of every evaluation for "lbfgs".

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X, y = load_wine(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), MLPClassifier((16,), learning_rate_init=0.02, random_state=0))
    >>> model.fit(X, y).score(X, y)
    1.0
    """

    classes_: np.ndarray
    _several: bool  # whether a sample has several labels at once

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        class_weight: Any = None,
        dropout: Any = 0.0,
        threads: int | str = "auto",
        callbacks: Any = None,
        compute_dtype: str | None = None,
        label_smoothing: float = 0.0,
    ) -> None:
        self._take(locals())

    def _cost(self) -> Cost:
        return CrossEntropy(self.label_smoothing) if self.label_smoothing else "cross_entropy"

    @available_if(_is_stochastic)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> "MLPClassifier":
        """One epoch on new samples; `classes` lists all labels and is needed in the first call."""
        if not hasattr(self, "classes_"):
            if classes is None:
                raise ValueError("classes: expected all labels in the first call of partial_fit, got None")
            self._known = np.arange(np.shape(y)[1]) if _is_multilabel(y) else unique_labels(classes)
        elif classes is not None and not np.array_equal(self.classes_, unique_labels(classes)):
            raise ValueError(f"classes: expected {self.classes_}, as in the first call, got {classes}")
        else:
            self._known = self.classes_
        fitted: MLPClassifier = self._partial_fit(X, y, sample_weight)
        return fitted

    def _targets(self, y: np.ndarray, first: bool, is_partial: bool) -> np.ndarray:
        check_classification_targets(y)
        several = _is_multilabel(y)
        present = np.arange(y.shape[1]) if several else unique_labels(y)
        known, known_several = (
            (self._known if is_partial else present, several) if first else (self.classes_, self._several)
        )
        if self.warm_start and not is_partial and not np.array_equal(present, known):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                f"Previously got {known}, `y` has {present}"
            )
        others = np.setdiff1d(present, known)
        if len(others) or several != known_several:
            raise ValueError(f"y: expected labels among {known}, got {others if len(others) else present}")
        if first:
            self.classes_, self._several = known, several
            self.n_outputs_ = len(known) if several or len(known) > 2 else 1
            self.out_activation_ = "softmax" if not several and self.n_outputs_ > 1 else "logistic"
        if several:
            return np.asarray(y, np.int64)
        return np.searchsorted(self.classes_, y)

    def _assume(self, sizes: Sequence[int]) -> None:
        super()._assume(sizes)
        known = self.__dict__
        known.setdefault("out_activation_", "softmax" if sizes[-1] > 1 else "logistic")
        known.setdefault("_several", self.out_activation_ == "logistic" and sizes[-1] > 1)
        known.setdefault("classes_", np.arange(max(2, sizes[-1])))

    def _share_held_out(self, targets: np.ndarray) -> float:
        """Refuses a class of one sample where there are two classes, as scikit-learn does."""
        if self.n_outputs_ == 1 and not self._several:
            counts = np.bincount(targets, minlength=2)
            few = [f"{bool(i)}" for i in (0, 1) if counts[i] == 1]
            if few:
                labels = ", ".join(f"{bool(i)} is {label}" for i, label in enumerate(self.classes_))
                raise ValueError(
                    "The least populated classes in y have only 1 member, of which early_stopping can hold "
                    f"none out: expected at least 2. Classes with too few members are: {few} ({labels})"
                )
        return super()._share_held_out(targets)

    def _weights(
        self, y: Any, sample_weight: Any, learnt: Any = None, name: str = "sample_weight"
    ) -> np.ndarray | None:
        if self.class_weight is not None:
            if learnt is None or self.class_weight != "balanced":
                each = compute_sample_weight(self.class_weight, y)
            else:
                both, rows = np.concatenate([learnt, y]), len(np.asarray(learnt))
                each = compute_sample_weight("balanced", both, indices=np.arange(rows))[rows:]
            sample_weight = (
                each if sample_weight is None else each * sample_weights(sample_weight, len(each), name)
            )
        return super()._weights(y, sample_weight, learnt, name)

    def to_network(self) -> Network:
        net = super().to_network()
        labels = self.classes_.tolist()
        if not self._several and labels != [*range(max(2, self.n_outputs_))]:
            net.classes_ = labels
        return net

    def _task(self) -> Task:
        if self._several:
            return "multilabel"
        return "labels" if self.n_outputs_ > 1 else "binary"

    def predict(self, X: Any) -> np.ndarray:
        """The labels (n_samples,), or zeros and ones (n_samples, n_outputs) for several at once."""
        outputs = self._outputs(X)
        if self._several:
            return (outputs > 0.5).astype(np.int64)
        indices = outputs.argmax(axis=1) if self.n_outputs_ > 1 else (outputs[:, 0] > 0.5).astype(np.int64)
        labels: np.ndarray = self.classes_[np.minimum(indices, len(self.classes_) - 1)]
        return labels

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class (n_samples, n_classes), of each label where there are several."""
        outputs = self._outputs(X)
        return np.hstack([1 - outputs, outputs]) if self.n_outputs_ == 1 and not self._several else outputs

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """The logarithm of `predict_proba`."""
        with np.errstate(divide="ignore"):
            logarithms: np.ndarray = np.log(self.predict_proba(X))
        return logarithms

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _is_multilabel(y: Any) -> bool:
    return bool(type_of_target(y).startswith("multilabel"))


_LOSSES = {"squared_error": ("quadratic", "identity"), "poisson": ("poisson", "exp")}  # cost and outputs


class MLPRegressor(RegressorMixin, _Perceptron):  # type: ignore[misc]
    """`sklearn.neural_network.MLPRegressor`, trained by fastbp; see `MLPClassifier`.

    Parameters
    ----------
    loss : str
        "squared_error", or "poisson" for counts and rates.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import scale
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = MLPRegressor(hidden_layer_sizes=20, solver="lbfgs", alpha=10, max_iter=2000, random_state=0)
    >>> model.fit(scale(X), scale(y)).score(scale(X), scale(y)) > 0.5
    True
    """

    _y_numeric = True

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: Any = 0.0,
        threads: int | str = "auto",
        callbacks: Any = None,
        compute_dtype: str | None = None,
    ) -> None:
        self._take(locals())

    @available_if(_is_stochastic)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> "MLPRegressor":
        """One epoch on new samples."""
        fitted: MLPRegressor = self._partial_fit(X, y, sample_weight)
        return fitted

    def _targets(self, y: np.ndarray, first: bool, is_partial: bool) -> np.ndarray:
        outputs = 1 if y.ndim == 1 else y.shape[1]
        if first:
            self.n_outputs_ = outputs
            self._take_loss()
        if outputs != self.n_outputs_:
            raise ValueError(f"y: expected {self.n_outputs_} columns, as before, got {outputs}")
        return y.astype(np.float64)

    def _task(self) -> Task:
        return "values" if self.n_outputs_ > 1 else "value"

    def _cost(self) -> Cost:
        return _LOSSES[self.loss][0]

    def _take_loss(self) -> None:
        _, self.out_activation_ = _LOSSES[checks.choice("loss", self.loss, _LOSSES)]
        self._outputs_in_loss = self.n_outputs_

    def _assume(self, sizes: Sequence[int]) -> None:
        super()._assume(sizes)
        self._take_loss()

    def _least_loss(self, targets: np.ndarray, weights: np.ndarray | None) -> float:
        """Half a deviance is our cost and this number, by which it is 0 where outputs are the targets."""
        if self.loss != "poisson":
            return 0.0
        each = targets * np.log(np.where(targets > 0, targets, 1.0)) - targets
        if weights is not None:
            each = each.reshape(len(each), -1) * (weights / weights.mean())[:, None]
        return float(np.sum(each)) / targets.size

    def predict(self, X: Any) -> np.ndarray:
        """The values (n_samples,), or (n_samples, n_outputs) where there are several."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self.n_outputs_ == 1 else outputs
