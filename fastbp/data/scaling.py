"""Scaling of inputs and values to mean 0 and deviation 1, column by column."""

from typing import Any, NamedTuple

import numpy as np

from ..options import random_streams
from .sparse import Samples, dense

_AT_ONCE = 1 << 16  # numbers of a block
_LEAST = float(np.finfo(np.float64).tiny)  # the least deviation, whose reciprocal is finite
_NOISE = 4 * float(np.finfo(np.float64).eps)  # a deviation of at most this share of the mean is rounding


class Scaling(NamedTuple):
    """The mean of each column, which is subtracted, and the deviation, a divisor: (columns,) float64."""

    mean: np.ndarray
    deviation: np.ndarray

    def scaled(self, rows: np.ndarray) -> np.ndarray:
        """(x - mean) * (1 / deviation) in float64, as the kernels compute it."""
        return np.asarray((rows.astype(np.float64) - self.mean) * (1.0 / self.deviation))

    def unscaled(self, rows: np.ndarray) -> np.ndarray:
        """The inverse of `scaled`, in float64, because the mean may be far from 0."""
        return np.asarray(rows.astype(np.float64) * self.deviation + self.mean)


def of_pairs(targets: Scaling) -> Scaling:
    """The scaling of outputs that are a mean and the logarithm of a variance for each target."""
    means = np.stack([targets.mean, 2 * random_streams.log(targets.deviation)], axis=1)
    deviations = np.stack([targets.deviation, np.ones(len(targets.mean))], axis=1)
    return Scaling(means.reshape(-1), deviations.reshape(-1))


class Moments:
    """Mean and deviation of columns, updated with any number of rows.

    The bits are the same on every machine and for any division of the rows into calls.  Rows are merged a
    block of a fixed size at a time, and only by operations on single numbers, because NumPy's sums may use
    another order in another version.
    """

    def __init__(self, columns: int) -> None:
        self._block = np.empty((max(1, _AT_ONCE // columns), columns))
        self._filled = 0  # rows of the block
        self._count = 0  # rows merged
        self._first = np.zeros(columns)  # the first row, which is subtracted from all
        self._mean = np.zeros(columns)
        self._squares = np.zeros(columns)  # sums of squared differences from the mean

    def add(self, rows: Samples, divisor: float = 1.0, dtype: Any = np.float64) -> None:
        """Adds rows (n, columns); bytes are divided first, in the network's type as in the kernels."""
        added = 0
        while added < len(rows):
            piece = dense(rows[added : added + len(self._block) - self._filled])
            if rows.dtype == np.uint8:
                piece = np.divide(piece, divisor, dtype=dtype)
            self._block[self._filled : self._filled + len(piece)] = piece
            self._filled += len(piece)
            added += len(piece)
            if self._filled == len(self._block):
                self._merge()

    def scaling(self, name: str) -> Scaling:
        """The scaling that follows from the rows so far; a constant column gets deviation 1."""
        if self._filled:
            self._merge()
        mean = self._first + self._mean
        with np.errstate(over="ignore", invalid="ignore"):
            deviation = np.sqrt(self._squares / max(1, self._count))
            constant = deviation <= np.maximum(_LEAST, _NOISE * np.abs(mean))
        deviation = np.where(constant, 1.0, deviation)
        _finite_moments(name, mean, deviation)
        return Scaling(mean, deviation)

    def _merge(self) -> None:
        """Merges the block, by the formula of Chan, Golub and LeVeque (1979)."""
        block, n, before = self._block[: self._filled], self._filled, self._count
        if not before:
            self._first = block[0].copy()
        with np.errstate(over="ignore", invalid="ignore"):
            block -= self._first
            mean = _sum(block.copy()) / n
            block -= mean
            block *= block
            between = mean - self._mean
            self._mean += between * (n / (before + n))
            self._squares += between * between * (before * n / (before + n))
            self._squares += _sum(block)
        self._filled, self._count = 0, before + n


def _sum(block: np.ndarray) -> np.ndarray:
    """The sum of the rows of a block, which it overwrites: halves are added until one row is left."""
    n = len(block)
    while n > 1:
        half = n // 2
        block[:half] += block[n - half : n]
        n -= half
    return np.asarray(block[0])


def _finite_moments(name: str, mean: np.ndarray, deviation: np.ndarray) -> None:
    """Refuses columns whose deviation overflows, such as those with numbers beyond 1e154."""
    good = np.isfinite(mean) & np.isfinite(deviation)
    if not good.all():
        column = int(np.argmin(good))
        raise ValueError(
            f"{name}[:, {column}]: expected numbers whose mean and deviation are finite, to scale them, got "
            f"mean {mean[column]:g}, deviation {deviation[column]:g}"
        )


def check_scaling(name: str, scaling: Any, columns: int) -> None:
    """Refuses a mean and a deviation that do not suit so many columns."""
    if scaling is None:
        return
    for what, numbers in zip(("means", "deviations"), scaling, strict=True):
        if numbers.shape != (columns,) or numbers.dtype != np.float64 or not np.isfinite(numbers).all():
            raise ValueError(
                f"{name}: expected {columns} finite {what} in float64, got shape {numbers.shape}"
            )
    if (scaling[1] <= 0).any():
        raise ValueError(f"{name}: expected deviations above 0")


def learnt_scaling(scales: bool, scaling: Any, name: str) -> Any:
    """Returns the scaling; refuses to go without it if the network scales."""
    if scales and scaling is None:
        raise ValueError(
            f"{name}: expected a network that fit has trained, for the scaling is learnt there; "
            "fit(..., epochs=0) learns it alone"
        )
    return scaling
