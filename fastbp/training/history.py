"""The history that `fit` returns: lists of numbers, one number per epoch."""

import math
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from ..options.checks import OF_EVERY_HISTORY
from . import curves

_SHOWN = 20  # epochs in a notebook's table, the last ones


class History(Mapping[str, list[float]]):
    """A mapping of lists with one number per epoch, under the names that Keras gives them.

    "loss" is the mean cost during training, without penalties; "seconds" the time it took; "learning_rate"
    that of the epoch's last step; "threads" the size of the team that trained at its end.  Validation data
    add "val_loss" and "val_accuracy" (labels) or "val_r2" (values), in whose place each of the ``metrics`` is
    under its name, and with ``"val_"`` before it.  Names are attributes as well.  A notebook shows a table of
    the last epochs; tables and plots count epochs from 1, as ``verbose=True`` does.

    Attributes
    ----------
    notes : list of str
        Observations that may explain why training failed, if it made ten steps at least or diverged, and
        reasons why it ended early.
    speeds : dict of int to float
        Samples per second by team size, as last measured: why ``threads="auto"`` chose as it did.

    Examples
    --------
    >>> history = History()
    >>> history.append({"loss": 0.5, "val_loss": 0.75})
    >>> history["loss"], history.val_loss, list(history)
    ([0.5], [0.75], ['loss', 'seconds', 'learning_rate', 'threads', 'val_loss'])
    """

    def __init__(self, lists: Mapping[str, list[float]] = {}, notes: Iterable[str] = ()) -> None:
        self._lists: dict[str, list[float]] = {name: [] for name in OF_EVERY_HISTORY} | dict(lists)
        self.notes = list(notes)
        self.speeds: dict[int, float] = {}

    def __getitem__(self, name: str) -> list[float]:
        return self._lists[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lists)

    def __len__(self) -> int:
        return len(self._lists)

    def __getattr__(self, name: str) -> list[float]:
        lists: dict[str, list[float]] = vars(self).get("_lists", {})  # a copy has no attributes at first
        if name in lists:
            return lists[name]
        raise AttributeError(f"History has no {name!r}, but {', '.join(lists)}")

    def __repr__(self) -> str:
        last = [f"{name}={values[-1]:.4g}" for name, values in self._lists.items() if values]
        return f"History(epochs={self.epochs}{''.join(', ' + text for text in last)})"

    def _repr_html_(self) -> str:
        """A table of the last epochs for notebooks, and the notes."""
        columns = self._columns()

        def row(cell: str, texts: Iterable[str]) -> str:
            cells = (f'<{cell} style="text-align: right">{escape(text)}</{cell}>' for text in texts)
            return f"<tr>{''.join(cells)}</tr>"

        first = max(0, self.epochs - _SHOWN)
        rows = ["<tr><td>...</td></tr>"] if first else []
        for epoch in range(first, self.epochs):
            rows.append(
                row("td", [str(epoch + 1), *(f"{numbers[epoch]:.4g}" for numbers in columns.values())])
            )
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        head = row("th", ["epoch", *columns])
        return f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>{notes}"

    def _columns(self) -> dict[str, list[float]]:
        """The lists that have a number for every epoch."""
        return {name: numbers for name, numbers in self._lists.items() if len(numbers) == self.epochs}

    @property
    def epochs(self) -> int:
        """The number of epochs that have ended."""
        return len(self._lists["loss"])

    @property
    def validation_loss(self) -> list[float]:
        """The name that "val_loss" had in 0.1.0."""
        return self._lists.get("val_loss", [])

    @property
    def validation_score(self) -> list[float]:
        """The accuracy or R^2 of the validation data, as 0.1.0 named it."""
        return self._lists.get("val_accuracy", self._lists.get("val_r2", []))

    def append(self, numbers: Mapping[str, float]) -> None:
        """Adds an epoch; a number that it or an earlier one lacks is NaN there."""
        lists, epochs = self._lists, self.epochs
        for name, values in lists.items():
            if values and name not in numbers:
                values.append(math.nan)
        for name, number in numbers.items():
            if len(values := lists.setdefault(name, [])) < epochs:
                values += [math.nan] * (epochs - len(values))
            values.append(number)

    def plot(self, *names: str, ax: Any = None) -> Any:
        """Learning curves by matplotlib (``pip install '.[plot]'``): see `fastbp.plot.history`.

        >>> axes = History({"loss": [0.5, 0.25]}).plot("loss")
        >>> axes.get_xlabel(), axes.lines[0].get_ydata().tolist()
        ('epoch', [0.5, 0.25])
        """
        return curves.history(self, *names, ax=ax)

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row per epoch; its index, "epoch", counts from 1.

        Raises
        ------
        ImportError
            Where pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise ImportError("History.to_frame: expected pandas, which pip installs") from error
        index = pandas.RangeIndex(1, self.epochs + 1, name="epoch")
        return pandas.DataFrame(self._columns(), index)
