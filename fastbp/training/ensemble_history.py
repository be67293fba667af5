"""The record that `Ensemble.fit` returns: epochs x networks."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from . import curves
from .history import History

Array = npt.NDArray[np.float64]
OF_EPOCHS = ("seconds", "threads")  # one number per epoch, not one per network


class EnsembleHistory(Mapping[str, Array]):
    """A mapping of arrays (epochs, networks), under the names of a `History`.

    "seconds" and "threads" are (epochs,), for all networks train together.  A network has NaN for epochs that
    it did not train to their end, because it had stopped or diverged: ``np.nanargmin(history.val_loss[-1])``
    is the best of those that trained on, ``np.nanargmin(history.last("val_loss"))`` the best of all.  Names
    are attributes as well.

    Attributes
    ----------
    notes : list of str
        Observations that may explain why training failed, and reasons why it ended early, each with the
        number of its network.
    trained_epochs : ndarray (networks,)
        How many epochs each network trained to their end.
    diverged : ndarray (networks,)
        Whether the cost or a weight of each network became infinite or NaN.

    Examples
    --------
    >>> history = EnsembleHistory(2)
    >>> history.append({"loss": np.array([0.5, 0.25])}, {"seconds": 0.1, "threads": 1})
    >>> history.append({"loss": np.array([np.nan, 0.125])}, {"seconds": 0.1, "threads": 1})
    >>> history.loss.shape, history.trained_epochs.tolist(), history.last("loss").tolist()
    ((2, 2), [1, 2], [0.5, 0.125])
    >>> history.network(0).loss
    [0.5]
    """

    def __init__(
        self, networks: int, arrays: Mapping[str, Array] = {}, notes: Iterable[tuple[int, str]] = ()
    ) -> None:
        self._networks = networks
        self._rows: dict[str, list[Any]] = {name: list(array) for name, array in arrays.items()}
        self._rows = {"loss": [], "seconds": [], "learning_rate": [], "threads": []} | self._rows
        self._notes = list(notes)  # of each network, or of all where it is -1
        self.diverged = np.zeros(networks, bool)

    def __getitem__(self, name: str) -> Array:
        rows = self._rows[name]
        shape = (len(rows),) if name in OF_EPOCHS else (len(rows), self._networks)
        return np.array(rows, np.float64).reshape(shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __getattr__(self, name: str) -> Array:
        rows = vars(self).get("_rows", {})  # not yet of a copy in the making
        if name in rows:
            return self[name]
        raise AttributeError(f"EnsembleHistory has no {name!r}, but {', '.join(rows)}")

    def __repr__(self) -> str:
        means = self.means() if self.epochs else {}
        shown = [f"networks={self._networks}", f"epochs={self.epochs}"]
        return f"EnsembleHistory({', '.join(shown + [f'{name}={means[name][-1]:.4g}' for name in means])})"

    @property
    def epochs(self) -> int:
        """The number of epochs that have ended."""
        return len(self._rows["loss"])

    @property
    def trained_epochs(self) -> npt.NDArray[np.int64]:
        """How many epochs each network trained to their end, (networks,)."""
        return np.asarray(np.isfinite(self["loss"]).sum(axis=0))

    @property
    def notes(self) -> list[str]:
        """Notes on all networks, each with the number of its own."""
        return [f"network {i}: {text}" if i >= 0 else text for i, text in self._notes]

    @property
    def own_notes(self) -> list[tuple[int, str]]:
        """The notes, each with the number of its network, or -1 where it is of all."""
        return list(self._notes)

    def note(self, text: str, network: int = -1) -> None:
        """Adds a note on a network, or on all."""
        self._notes.append((network, text))

    def append(self, numbers: Mapping[str, Array], of_all: Mapping[str, float]) -> None:
        """Adds an epoch: numbers of the networks, and those of all of them together.

        A number that it or an earlier epoch lacks is NaN there.
        """
        epochs, epoch_numbers = self.epochs, {**numbers, **of_all}
        for name in {**self._rows, **epoch_numbers}:
            rows, lacking = self._rows.setdefault(name, []), np.full(self._networks, math.nan)
            rows += [math.nan if name in OF_EPOCHS else lacking] * (epochs - len(rows))
            rows.append(epoch_numbers.get(name, math.nan if name in OF_EPOCHS else lacking))

    def last(self, name: str) -> Array:
        """The last number of each network by that name of the history, (networks,); NaN where it has none.

        >>> EnsembleHistory(3).last("loss")
        array([nan, nan, nan])
        """
        last = np.full(self._networks, math.nan)
        for row in self._rows[name]:
            last = np.where(np.isnan(row), last, row)
        return last

    def losses_of(self, i: int) -> list[float]:
        """The mean costs of the epochs that network `i` trained."""
        losses = [float(row[i]) for row in self._rows["loss"]]
        return [loss for loss in losses if math.isfinite(loss)]

    def numbers_of(self, i: int) -> dict[str, float]:
        """The numbers of network `i` in the last epoch."""
        return {
            name: float(rows[-1] if name in OF_EPOCHS else rows[-1][i]) for name, rows in self._rows.items()
        }

    def network(self, i: int) -> History:
        """The history of network `i`, as `fit` of it alone returns it but for seconds and threads."""
        i = range(self._networks)[i]
        epochs = int(self.trained_epochs[i])
        lists = {
            name: [float(row if name in OF_EPOCHS else row[i]) for row in rows[:epochs]]
            for name, rows in self._rows.items()
        }
        return History(lists, [text for network, text in self._notes if network in (i, -1)])

    def means(self) -> History:
        """The means over the networks that trained an epoch, as the history of one.

        >>> history = EnsembleHistory(2)
        >>> history.append({"loss": np.array([0.5, 0.25])}, {"seconds": 0.1, "threads": 1})
        >>> history.means().loss
        [0.375]
        """
        history = History(notes=self.notes)
        for epoch in range(self.epochs):
            history.append(self.mean(epoch))
        return history

    def mean(self, epoch: int) -> dict[str, float]:
        """The means of an epoch, counted from 0, over the networks that trained it."""
        return {name: _mean(np.asarray(rows[epoch])) for name, rows in self._rows.items()}

    def plot(self, *names: str, ax: Any = None) -> Any:
        """Learning curves of the means by matplotlib: see `fastbp.plot.history`."""
        return curves.history(self.means(), *names, ax=ax)


def _mean(row: Array) -> float:
    counted = row[np.isfinite(row)]
    return float(counted.mean()) if counted.size else math.nan
