"""Inputs and values brought to mean 0 and deviation 1, column by column."""

from typing import NamedTuple

import numpy as np

_AT_ONCE = 1 << 20  # numbers, so that data of any size are read in one pass


class Scaling(NamedTuple):
    """What is subtracted from each column, and what the difference is divided by: (columns,) float64."""

    mean: np.ndarray
    deviation: np.ndarray

    def scaled(self, rows: np.ndarray) -> np.ndarray:
        """In float64, as the kernels compute it: (x - mean) * (1 / deviation)."""
        return np.asarray((rows.astype(np.float64) - self.mean) * (1.0 / self.deviation))

    def unscaled(self, rows: np.ndarray) -> np.ndarray:
        """The inverse, in float64, for the mean may be far from 0."""
        return np.asarray(rows.astype(np.float64) * self.deviation + self.mean)

    def of_bytes(self, divisor: float) -> "Scaling":
        """The same for bytes that were not divided yet."""
        return Scaling(self.mean * divisor, self.deviation * divisor)


class Moments:
    """Mean and deviation of columns, from rows that come in any number of parts.

    The sums are taken row by row, and parts of so many rows each are merged as Chan, Golub and LeVeque (1979)
    do, so that no digits are lost to a mean far from 0, and the bits are the same on every machine, however
    the rows come.
    """

    def __init__(self, columns: int) -> None:
        self._count = 0
        self._mean, self._squares = np.zeros(columns), np.zeros(columns)
        self._part, self._held = np.empty((max(1, _AT_ONCE // columns), columns)), 0

    def add(self, rows: np.ndarray, divisor: float = 1.0) -> None:
        """Takes in rows (n, columns), divided by `divisor`."""
        first = 0
        while first < len(rows):
            taken = rows[first : first + len(self._part) - self._held]
            room = self._part[self._held : self._held + len(taken)]
            np.divide(taken, divisor, out=room, dtype=np.float64)
            first, self._held = first + len(taken), self._held + len(taken)
            if self._held == len(self._part):
                self._add_held()

    def _add_held(self) -> None:
        if self._held:
            self._add(self._part[: self._held])
        self._held = 0

    def _add(self, part: np.ndarray) -> None:
        n, before = len(part), self._count
        mean = np.add.reduce(part, axis=0) / n
        part -= mean
        squares = np.add.reduce(part * part, axis=0)
        apart = mean - self._mean
        self._count = before + n
        self._mean = self._mean + apart * (n / self._count)
        self._squares = self._squares + squares + apart * apart * (before * n / self._count)

    def scaling(self) -> Scaling:
        """A column that is the same in all rows is divided by 1."""
        self._add_held()
        deviation = np.sqrt(self._squares / max(1, self._count))
        same = deviation <= 1e-12 * np.abs(self._mean)  # what rounding leaves of 0
        return Scaling(self._mean.copy(), np.where(same, 1.0, deviation))
