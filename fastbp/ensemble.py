"""``Ensemble``: many networks that train together, each to the bits that it has alone."""

import copy
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from .data import per_network
from .data.metrics import METRICS
from .data.targets import required
from .engine import ensemble_inference, summary
from .files import container, ensemble_file
from .network import Callbacks, Metric, Network, Validation, network_from_saved, recipe_of
from .options import checks, random_streams
from .options.costs import definition_of
from .options.optimizers import Optimizer
from .options.schedules import Schedule
from .options.step_numbers import Recipe
from .training import ensemble_fit, fit
from .training.ensemble_history import EnsembleHistory
from .training.plan import Plan
from .training.scores import SCORES

Array = npt.NDArray[Any]
Numbers = float | Sequence[float] | Array  # one of all networks, or one of each
Method = Literal["mean", "vote"]
Index = slice | Sequence[int] | Sequence[bool] | Array


class Ensemble:
    """Networks of the same sizes and functions, which train together and differ in their numbers.

    Network i ends with the very bits (weights, history, stopping epoch) that a `Network` with its seed and
    numbers has if it is trained alone.

    Parameters
    ----------
    networks : int
        How many there are.
    sizes : sequence of int
        As for `Network`, and so are all arguments that are not named here.
    seed : int or sequence of int, optional
        One seed, from which that of each network follows, or the seed of each; without it one is drawn from
        NumPy's global generator.  See ``seeds``.
    dropout : float or list of float
        One rate; or one of each hidden layer, as for `Network`; or of each network, (networks,) or
        (networks, hidden layers).
    init : str or list of arrays, optional
        As for `Network`; an array of a layer may be (networks, n_out, n_in).

    Attributes
    ----------
    seeds : tuple of int
        The seed of each network.
    history : EnsembleHistory or None
        The history of the last `fit`, which returned it as well.

    Examples
    --------
    Four networks learn a curve, and disagree where they have seen no data:

    >>> import numpy as np
    >>> X = np.linspace(-1, 1, 40).reshape(-1, 1)
    >>> ensemble = Ensemble(4, [1, 16, 1], activation="tanh", output_activation="linear", seed=0)
    >>> history = ensemble.fit(X, X**3, epochs=200, batch_size=10, optimizer="adam", learning_rate=0.01)
    >>> mean, std = ensemble.predict([[0.0], [4.0]], return_std=True)
    >>> bool(std[1, 0] > 10 * std[0, 0])
    True
    >>> best = ensemble[int(np.nanargmin(history.loss[-1]))]
    >>> best.sizes
    [1, 16, 1]
    """

    def __init__(
        self,
        networks: int,
        sizes: Sequence[int],
        *,
        seed: int | Sequence[int] | None = None,
        dropout: Numbers | Sequence[Sequence[float]] = 0.0,
        init: str | Sequence[npt.ArrayLike] | None = None,
        **options: Any,
    ) -> None:
        count = checks.count("networks", networks)
        plain_sizes = checks.sizes_of(sizes)
        layers = checks.count("layers of sizes", len(plain_sizes), 2) - 1
        seeds = _seeds(seed, count)
        rates = _dropout(dropout, count, layers - 1)
        inits = _inits(init, count)
        self._networks = [
            Network(sizes, seed=seeds[i], dropout=rates[i], init=inits[i], **options) for i in range(count)
        ]
        _check_alike(self._networks[:1])
        self.history: EnsembleHistory | None = None

    @classmethod
    def of(cls, networks: Iterable[Network]) -> "Ensemble":
        """An ensemble of copies of networks, whose sizes and functions are the same.

        They have learnt the same labels, or values, of the same columns, or none is trained.

        >>> Ensemble.of([Network([2, 3, 1], seed=5), Network([2, 3, 1], seed=7)]).seeds
        (5, 7)
        """
        ensemble = cls._of(networks)
        per_network.check_trained_alike([net._fastbp.learnt for net in ensemble._networks])
        return ensemble

    @classmethod
    def _of(cls, networks: Iterable[Network]) -> "Ensemble":
        """An ensemble of copies of networks, whatever they have learnt."""
        ensemble = cls.__new__(cls)
        ensemble._networks = [copy.deepcopy(net) for net in networks]
        checks.count("networks", len(ensemble._networks))
        _check_alike(ensemble._networks)
        ensemble.history = None
        return ensemble

    @property
    def seeds(self) -> tuple[int | None, ...]:
        return tuple(net._fastbp.options.seed for net in self._networks)

    @property
    def sizes(self) -> Sequence[int]:
        """The neurons of each layer, inputs first."""
        return self._networks[0].sizes

    @property
    def dtype(self) -> np.dtype:
        """The type of weights and arithmetic."""
        return self._networks[0].dtype

    @property
    def task(self) -> str | None:
        """The kind of y that `fit` last trained the networks for; see `Network.task`."""
        return self._networks[0].task

    @property
    def classes_(self) -> Array:
        """The label that each output stands for; see `Network.classes_`."""
        return self._networks[0].classes_

    @property
    def parameters(self) -> Array:
        """The weights and biases of each network, (networks, parameters); see `Network.parameters`.

        May be set.
        """
        return np.stack([net.parameters for net in self._networks])

    @parameters.setter
    def parameters(self, flat: npt.ArrayLike) -> None:
        rows = np.asarray(flat)
        if rows.shape != (shape := self.parameters.shape):
            raise ValueError(f"parameters: expected shape {shape}, got {rows.shape}")
        with fit.unchanged_if_it_fails(*self._networks):
            for net, row in zip(self._networks, rows, strict=True):
                net.parameters = row

    def __len__(self) -> int:
        return len(self._networks)

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> Network: ...
    @overload
    def __getitem__(self, index: Index) -> "Ensemble": ...
    def __getitem__(self, index: Any) -> Any:
        """A copy of one network, or an ensemble of copies of several, by a slice, a list or a mask."""
        if isinstance(index, slice) or np.ndim(index):
            indices = np.arange(len(self))[index]
            return Ensemble._of([self._networks[i] for i in indices.tolist()])
        return copy.deepcopy(self._networks[checks.integer("index", index)])

    def __iter__(self) -> Iterator[Network]:
        """Copies of the networks."""
        return (self[i] for i in range(len(self)))

    def __copy__(self) -> "Ensemble":
        return Ensemble._of(self._networks)

    def __repr__(self) -> str:
        net = self._networks[0]
        dropout = [one._fastbp.options.dropout for one in self._networks]
        of_all: Any = dropout[0] if all(one == dropout[0] for one in dropout) else dropout
        options = replace(net._fastbp.options, seed=None, dropout=of_all)
        return f"{type(self).__name__}({len(self)}, {summary.arguments(net.sizes, options)})"

    def summary(self) -> str:
        """The table of layers of one network, with the number of networks.

        >>> print(Ensemble(64, [8, 32, 1], seed=0).summary())
        layer  units  activation  parameters  dropout
            0     32  sigmoid            288
            1      1  sigmoid             33
        8 inputs, 321 parameters in float64; cost quadratic; 1,216 flops to train on a sample
        64 networks
        """
        return summary.Table(f"{summary.table(self._networks[0])}\n{len(self)} networks")

    def fingerprint(self) -> list[str]:
        """The `Network.fingerprint` of each network."""
        return [net.fingerprint() for net in self._networks]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the networks durably to one file, from which `load_ensemble` reads them in any process.

        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "ensemble.fastbp")
        >>> ensemble = Ensemble(3, [2, 4, 1], seed=0)
        >>> ensemble.save(path)
        >>> load_ensemble(path).fingerprint() == ensemble.fingerprint()
        True
        """
        ensemble_file.save(self._networks, path)

    # Training

    def fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        epochs: int,
        batch_size: int,
        learning_rate: Numbers | None = None,
        optimizer: str | Optimizer | Sequence[Optimizer] = "sgd",
        schedule: str | Schedule | Callable[[int], float] = "constant",
        l2: Numbers = 0.0,
        l1: Numbers = 0.0,
        clip_norm: Numbers | Sequence[float | None] | None = None,
        sample_weight: npt.ArrayLike | None = None,
        class_weight: Mapping[Any, float] | str | None = None,
        validation_data: Validation | None = None,
        validation_split: float = 0.0,
        metrics: Metric | Iterable[Metric] = (),
        shuffle: bool = True,
        data_seed: int | None = None,
        threads: int | str = "auto",
        callbacks: Callbacks = (),
        verbose: bool = False,
    ) -> EnsembleHistory:
        """Trains all networks, each as `Network.fit` trains it alone with its own numbers.

        Arguments are those of `Network.fit`, and these may have one number per network:

        Parameters
        ----------
        X : array (samples, inputs) or (networks, samples, inputs)
            Samples of all networks, or of each.  Sparse ones and frames are of all.
        y : array (samples,) or (samples, outputs), or one such array per network
        learning_rate, l2, l1, clip_norm : float or list of float
            One number, or one per network; a `clip_norm` of None clips nothing.
        optimizer : str, object or list of objects
            One, or one per network, all of one formula: ``[Adam(beta_1=b) for b in (0.8, 0.9)]``.
        sample_weight : array (samples,) or (networks, samples), optional
            Folds and bootstraps are weights of 0, 1, 2 ...
        validation_data : (X, y) or (X, y, sample_weight), optional
            Of all networks, or of each.
        validation_split : float
            The rows that are held out follow from the seed of each network, or from `data_seed`.
        data_seed : int, optional
            Seed of one order of the samples for all networks: each row is read once for all.  By default each
            network has the order of its own seed.
        threads : int or "auto"
            Members of a team that share the networks.
        callbacks : Callback or callable, or an iterable of them
            `EarlyStopping` and `ReduceLROnPlateau` watch each network by itself: one that stops is frozen, at
            its best weights if they are to be restored, and the others train on.  `ModelCheckpoint` (without
            `monitor`) writes the whole ensemble; `TimeLimit` and `ProgressBar` see all.  A function is called
            as ``callback(ensemble, history)`` and ends the training when it returns True; weights that it
            changes have no effect.

        Returns
        -------
        EnsembleHistory

        Raises
        ------
        ValueError, TypeError
            For invalid arguments or data; the ensemble is unchanged then.
        DivergenceError
            When every network has diverged.

        Notes
        -----
        A network whose cost or weights are no longer finite keeps its last finite weights and has a note in
        the history; the others train on.

        Examples
        --------
        A sweep over learning rates, on one order of the samples:

        >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
        >>> rates = np.geomspace(1e-3, 1, 4)
        >>> ensemble = Ensemble(4, [1, 8, 1], activation="tanh", output_activation="linear", seed=[0] * 4)
        >>> history = ensemble.fit(
        ...     X, X**2, epochs=50, batch_size=10, optimizer="adam", learning_rate=rates, data_seed=0
        ... )
        >>> history.loss.shape, int(np.nanargmin(history.loss[-1]))
        ((50, 4), 2)
        """
        recipes = self._recipes(optimizer, learning_rate, schedule, l2, l1, clip_norm)
        plan = Plan(
            recipe=recipes[0],
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
        )
        plans = [replace(plan, recipe=recipe) for recipe in recipes]
        self.history = ensemble_fit.fit(self, self._networks, X, required("y", y), plans)
        return self.history

    def _recipes(
        self, optimizer: Any, learning_rate: Any, schedule: Any, l2: Any, l1: Any, clip_norm: Any
    ) -> list[Recipe]:
        """The checked arguments that define the steps of each network."""
        count = len(self)
        several = isinstance(optimizer, (list, tuple))
        if several and len(optimizer) != count:
            raise ValueError(
                f"optimizer: expected one, or one per network ({count}), got {len(optimizer)} of them"
            )
        optimizers = optimizer if several else [optimizer] * count
        rates = [None] * count
        if learning_rate is not None:
            rates = per_network.numbers("learning_rate", learning_rate, count, checks.positive)
        norms = [None] * count
        if clip_norm is not None:
            norms = per_network.numbers("clip_norm", clip_norm, count, checks.positive_or_none)
        penalties = [
            per_network.numbers(name, value, count, checks.nonnegative)
            for name, value in (("l2", l2), ("l1", l1))
        ]
        each = zip(optimizers, rates, [schedule] * count, *penalties, norms, strict=True)
        recipes = [recipe_of(*arguments) for arguments in each]
        rows = [recipe.optimizer.row for recipe in recipes]
        if len({*rows}) > 1:
            raise ValueError(
                f"optimizer: expected optimizers of one formula, got {', '.join(sorted({*rows}))}"
            )
        return recipes

    # Predictions

    @overload
    def predict(self, X: npt.ArrayLike, *, method: Method = "mean") -> Array: ...
    @overload
    def predict(
        self, X: npt.ArrayLike, *, return_std: Literal[True], method: Method = "mean"
    ) -> tuple[Array, Array]: ...
    def predict(self, X: npt.ArrayLike, *, return_std: bool = False, method: Method = "mean") -> Any:
        """Predicts each row of X by all networks together, in the shape of y.

        Parameters
        ----------
        X : array (samples, inputs) or (networks, samples, inputs)
        return_std : bool
            If True, the standard deviation over the networks as well, for networks trained for values.
        method : {"mean", "vote"}
            Values are the mean of the networks'.  Labels are those of the largest mean probability, or those
            that most networks predict.
        """
        if not return_std:
            return ensemble_inference.decided(self._networks, X, method)
        if self.task not in ("value", "values"):
            raise ValueError(
                f"return_std: expected networks trained for values, got {self.task}; "
                "predict_proba(X, return_std=True) has the deviation of each probability"
            )
        checks.choice("method", method, ("mean",))
        mean, std = ensemble_inference.mean_and_deviation(self._networks, self.outputs(X))
        return (mean[:, 0], std[:, 0]) if self.task == "value" else (mean, std)

    @overload
    def predict_proba(self, X: npt.ArrayLike) -> Array: ...
    @overload
    def predict_proba(self, X: npt.ArrayLike, *, return_std: Literal[True]) -> tuple[Array, Array]: ...
    def predict_proba(self, X: npt.ArrayLike, *, return_std: bool = False) -> Any:
        """The mean over the networks of `Network.predict_proba`, and with `return_std` the deviation."""
        mean, std = ensemble_inference.probabilities(self._networks, X)
        return (mean, std) if return_std else mean

    def outputs(self, X: npt.ArrayLike) -> Array:
        """The outputs of each network, (networks, samples, outputs)."""
        return ensemble_inference.outputs(self._networks, X)

    def score(self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> float:
        """The score of the mean prediction, as `Network.score` has it."""
        return ensemble_inference.score(self._networks, X, y, sample_weight)

    def scores(self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> Array:
        """The score of each network, (networks,)."""
        return ensemble_inference.scores(self._networks, X, y, sample_weight)

    def value_and_gradient(
        self, X: npt.ArrayLike, y: npt.ArrayLike, *, l2: Numbers = 0.0, l1: Numbers = 0.0, **options: Any
    ) -> tuple[Array, Array]:
        """`Network.value_and_gradient` of each: (networks,) and (networks, parameters)."""
        count = len(self)
        parts = per_network.parts("", X, y, None, count, self.sizes[-1]) or [(X, y, None)] * count
        penalties = [
            per_network.numbers(name, value, count, checks.nonnegative)
            for name, value in (("l2", l2), ("l1", l1))
        ]
        pairs = []
        for net, (X_here, y_here, _), l2_here, l1_here in zip(self._networks, parts, *penalties, strict=True):
            pairs.append(net.value_and_gradient(X_here, y_here, l2=l2_here, l1=l1_here, **options))
        return np.array([value for value, _ in pairs]), np.stack([gradient for _, gradient in pairs])


def load_ensemble(
    path: str | os.PathLike[str], *, activation: Any = None, output_activation: Any = None, cost: Any = None
) -> Ensemble:
    """Reads an ensemble that `Ensemble.save` or a `ModelCheckpoint` wrote; see `load` for its arguments.

    Raises
    ------
    OSError
        For a file that cannot be read.
    ValueError
        For a file that is damaged, of another format or of a later version, or of one network.
    """
    user_functions = {"activation": activation, "output_activation": output_activation, "cost": cost}
    saved = ensemble_file.load(os.fspath(path), user_functions)
    with container.understood(os.fspath(path), "damaged"):
        return Ensemble._of(map(network_from_saved, saved))


def _seeds(seed: Any, count: int) -> list[int]:
    """The seed of each network; those that follow from one have 53 bits, which any reader of JSON keeps."""
    if seed is None:
        drawn = np.random.randint(0, 1 << 53, count, np.int64)  # noqa: NPY002  the global generator
        return [int(number) for number in drawn]
    if np.ndim(seed):
        return per_network.numbers("seed", seed, count, checks.seed)
    key = random_streams.key(checks.seed("seed", seed), "networks")
    return [int(word) for word in random_streams.words(key, count) >> 11]


def _dropout(dropout: Any, count: int, hidden: int) -> list[Any]:
    """The `dropout` of each network."""
    shape = per_network.shape_of(dropout)
    if shape == (count, hidden):
        return [list(rates) for rates in dropout]
    if shape not in ((), (hidden,), (count,)):
        raise ValueError(
            f"dropout: expected one number, one per hidden layer ({hidden}), one per network ({count}), or "
            f"({count}, {hidden}) of them, got shape {shape}"
        )
    return list(dropout) if shape == (count,) != (hidden,) else [dropout] * count


def _inits(init: Any, count: int) -> list[Any]:
    """The `init` of each network."""
    if isinstance(init, str) or not np.iterable(init):
        return [init] * count
    layers = [np.asarray(layer) for layer in init]
    for i, layer in enumerate(layers):
        if layer.ndim == 3 and len(layer) != count:
            raise ValueError(f"init[{i}]: expected one array per network ({count}), got {len(layer)}")
    return [[layer[i] if layer.ndim == 3 else layer for layer in layers] for i in range(count)]


def _check_alike(networks: Sequence[Network]) -> None:
    """Refuses networks that differ in more than numbers, and those whose outputs are pairs."""
    first = networks[0]
    for i, net in enumerate(networks):
        if type(net) is not Network:
            raise TypeError(f"networks[{i}]: expected a fastbp.Network, got {type(net).__name__}")
        cost = net._fastbp.options.cost
        if definition_of(cost).is_paired:
            raise ValueError(
                f"cost: expected a cost with one output for each value, got {cost!r}, whose deviations an "
                "ensemble does not combine; choose another, and predict(X, return_std=True) has the "
                "deviation of the networks"
            )
        mine, other = (summary.arguments(n.sizes, _plain(n)) for n in (first, net))
        if mine != other:
            raise ValueError(f"networks[{i}]: expected Network({mine}), as networks[0], got Network({other})")


def _plain(net: Network) -> Any:
    """The options of a network without those that may differ between networks of an ensemble."""
    return replace(net._fastbp.options, seed=None, dropout=0.0)
