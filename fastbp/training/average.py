"""An average of the weights of many steps."""

from typing import NamedTuple

import numpy as np

from ..options import checks
from .run import Callback, CallbackState, Run


class _Average(NamedTuple):
    """An average, which is replaced and never changed, for an exception may come at any moment."""

    updates: int = 0
    weights: tuple[np.ndarray, ...] = ()
    biases: tuple[np.ndarray, ...] = ()


class AverageWeights(Callback):
    """Averages the weights over the last steps, and leaves the network with the averages.

    After every `every` steps each average moves towards its weight w: average + (1 - d) (w - average).  d is
    `decay`, or (1 + n) / (10 + n) while that is less, so that early updates n = 0, 1, 2 ... forget the first
    weights.  Averages are more even than the last weights where the learning rate does not fall.

    Numbers of the history are of the weights themselves.  The network gets the averages when training ends,
    unless an exception ends it; of two callbacks that set weights then, such as `EarlyStopping`, the later
    one decides.  A checkpoint keeps the averages for a resumed training, which ends with the same bits.

    Parameters
    ----------
    decay : float
        From 0 to below 1: with 0.999 about the last 1,000 updates count.
    every : int
        Steps from one update to the next.  An update interrupts training and passes over all weights, so a
        larger number costs less.

    Examples
    --------
    >>> from fastbp import Network
    >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
    >>> net = Network([1, 8, 1], activation="tanh", output_activation="linear", seed=0)
    >>> average = AverageWeights(0.99)
    >>> history = net.fit(X, X**2, epochs=20, batch_size=10, learning_rate=0.1, callbacks=average)
    """

    def __init__(self, decay: float = 0.999, every: int = 1) -> None:
        self.decay, self.every = checks.rate("decay", decay), checks.count("every", every)
        self._average = _Average()

    def on_train_begin(self, run: Run) -> None:
        self._average = _Average()

    def on_step(self, run: Run) -> None:
        updates, *before = self._average
        net = run.kept()
        kept = min(self.decay, (1 + updates) / (10 + updates))
        averages = (
            tuple(old + (1 - kept) * (new - old) for old, new in zip(arrays or present, present, strict=True))
            for arrays, present in zip(before, (net.weights, net.biases), strict=True)
        )
        self._average = _Average(updates + 1, *averages)

    def on_train_end(self, run: Run) -> None:
        if self._average.updates:
            run.network.weights = [w.copy() for w in self._average.weights]
            run.network.biases = [b.copy() for b in self._average.biases]

    def state(self) -> CallbackState:
        updates, weights, biases = self._average
        return {"updates": updates, "weights": list(weights), "biases": list(biases)}

    def restore(self, state: CallbackState) -> None:
        self._average = _Average(state["updates"], tuple(state["weights"]), tuple(state["biases"]))
