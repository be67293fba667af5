"""Schedules: the learning rate of each step, by name or by an object with options.

Steps are counted from 0 since the optimizer's state began, so that a second `fit` goes on where the first
ended.  A schedule that has an end spans the steps of one call of `fit`, unless ``steps`` says where it ends.

``warmup=n`` raises the rate linearly over the first n steps: step i < n takes (i + 1) / n of it.  Then the
schedule begins, at the full rate, its steps counted from there; where it ends is not moved.

The rates have the same bits on every platform (no libm), and however many of them are asked for at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from . import checks

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]
    Steps = npt.NDArray[np.int64]

_LOG_100 = 4.605170185988092


@dataclass(frozen=True)
class Schedule:
    """The base of the schedules below.  `fit` also accepts any function of the step."""

    warmup = 0  # no field: one_cycle is a warm-up itself

    def __post_init__(self) -> None:
        owner = type(self).__name__
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None or field.default is not None:
                object.__setattr__(self, field.name, _checked(owner, field.name, value))
        steps = getattr(self, "steps", None)
        if steps is not None and steps <= self.warmup:
            raise ValueError(f"{owner}.steps: expected more than warmup, {self.warmup}, got {steps}")

    @property
    def spans_call(self) -> bool:
        """True where the rates depend on the step at which the call of `fit` ends."""
        return False

    def rates(self, learning_rate: float, first: int, count: int, begin: int, end: int) -> Array:
        """The rates of `count` steps from `first`, in a call whose steps are `begin` .. `end` - 1."""
        import numpy as np

        steps = np.arange(first, first + count, dtype=np.int64)
        with np.errstate(over="ignore", under="ignore"):  # `rates_of` refuses infinity, and names the step
            rates: Array = learning_rate * self._factors(np.maximum(steps, self.warmup), begin, end)
        if first < self.warmup:
            rates *= np.minimum(steps + 1, self.warmup) / self.warmup
        return rates

    def _factors(self, steps: Steps, begin: int, end: int) -> Array:
        """Factors of the learning rate at `steps`, all of them after the warm-up."""
        raise NotImplementedError


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate at every step.

    >>> Constant(warmup=4).rates(0.1, 0, 6, 0, 6)
    array([0.025, 0.05 , 0.075, 0.1  , 0.1  , 0.1  ])
    """

    warmup: int = 0

    def rates(self, learning_rate: float, first: int, count: int, begin: int, end: int) -> Array:
        import numpy as np

        if first < self.warmup:
            return super().rates(learning_rate, first, count, begin, end)
        return np.full(count, learning_rate, np.float64)

    def _factors(self, steps: Steps, begin: int, end: int) -> Array:
        import numpy as np

        return np.ones(len(steps))


@dataclass(frozen=True)
class Step(Schedule):
    """The rate is multiplied by `factor` after every `every` steps; by default after each third of the call.

    >>> Step().rates(1.0, 0, 6, 0, 6).round(3)
    array([1.  , 1.  , 0.1 , 0.1 , 0.01, 0.01])
    >>> Step(4, factor=0.5).rates(1.0, 0, 6, 0, 6)
    array([1. , 1. , 1. , 1. , 0.5, 0.5])
    """

    every: int | None = None
    factor: float = 0.1
    warmup: int = 0

    @property
    def spans_call(self) -> bool:
        return self.every is None

    def _factors(self, steps: Steps, begin: int, end: int) -> Array:
        if self.every is not None:
            return powers(self.factor, (steps - self.warmup) // self.every)
        start, end = _span(begin, end, self.warmup)
        return powers(self.factor, 3 * (steps - start) // (end - start))


@dataclass(frozen=True)
class Exponential(Schedule):
    """The rate is multiplied by `factor` after every `every` steps.

    By default the factor is such that 1 % of the rate is left at the end of the call.

    >>> Exponential().rates(1.0, 0, 4, 0, 4).round(3)
    array([1.   , 0.316, 0.1  , 0.032])
    >>> Exponential(0.5).rates(1.0, 0, 4, 0, 4)
    array([1.   , 0.5  , 0.25 , 0.125])
    """

    factor: float | None = None
    every: int = 1
    warmup: int = 0

    @property
    def spans_call(self) -> bool:
        return self.factor is None

    def _factors(self, steps: Steps, begin: int, end: int) -> Array:
        if self.factor is not None:
            return powers(self.factor, (steps - self.warmup) // self.every)
        start, end = _span(begin, end, self.warmup)
        # With `every` beyond the span, all powers are 0, so the factor does not matter.
        return powers(1.0 / _exp(_LOG_100 * self.every / (end - start)), (steps - start) // self.every)


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from the rate down to `final` times the rate (Loshchilov and Hutter 2017).

    It reaches that at the end of the call, after the last step, or at step `steps` and then stays there.

    >>> Cosine().rates(1.0, 0, 4, 0, 4).round(3)
    array([1.   , 0.854, 0.5  , 0.146])
    """

    final: float = 0.0
    steps: int | None = None
    warmup: int = 0

    @property
    def spans_call(self) -> bool:
        return self.steps is None

    def _factors(self, steps: Steps, begin: int, end: int) -> Array:
        start, end = _span(begin, end, self.warmup, self.steps)
        return _fall(_left(steps, start, end), self.final)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """One cycle (Smith and Topin 2019): half a cosine from `start` times the rate up to the rate, over the
    first part `rise` of the steps, then half a cosine down to `final` times the rate.

    It ends with the call, after the last step, or at step `steps` and then stays there.

    >>> OneCycle(rise=0.5, start=0.1).rates(1.0, 0, 8, 0, 8).round(3)
    array([0.1  , 0.232, 0.55 , 0.868, 1.   , 0.854, 0.5  , 0.147])
    """

    rise: float = 0.3
    start: float = 1 / 25
    final: float = 1e-4
    steps: int | None = None

    @property
    def spans_call(self) -> bool:
        return self.steps is None

    def _factors(self, steps: Steps, begin: int, end: int) -> Array:
        import numpy as np

        left = _left(steps, *_span(begin, end, 0, self.steps))
        passed = 1.0 - left
        up = _fall(np.minimum(passed / self.rise, 1.0), self.start)
        down = _fall(np.minimum(left / (1.0 - self.rise), 1.0), self.final)
        return np.where(passed < self.rise, up, down)


SCHEDULES: dict[str, Callable[[], Schedule]] = {
    "constant": Constant,
    "step": Step,
    "exponential": Exponential,
    "cosine": Cosine,
    "one_cycle": OneCycle,
}


def rates_of(
    schedule: Schedule | Callable[[int], float],
    learning_rate: float,
    first: int,
    count: int,
    begin: int,
    end: int,
) -> Array:
    """`Schedule.rates`, checked; a callable returns the rate itself, whatever `learning_rate` is."""
    import numpy as np

    if isinstance(schedule, Schedule):
        rates = schedule.rates(learning_rate, first, count, begin, end)
    else:
        steps = range(first, first + count)
        rates = np.array([_number(f"schedule at step {step}", schedule(step)) for step in steps], float)
    good = (rates >= 0.0) & (rates < np.inf)
    if not good.all():
        i = int(np.argmin(good))
        raise ValueError(
            f"schedule at step {first + i}: expected a finite rate of at least 0, got {rates[i]}"
        )
    return rates


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name}: expected a number, got {value!r}") from None


def _checked(owner: str, option: str, value: Any) -> float:
    """The value of an option of the schedule `owner`, as an int or a float."""
    name = f"{owner}.{option}"
    if option in ("every", "steps", "warmup"):
        return checks.count(name, value, 0 if option == "warmup" else 1)
    if option == "factor":
        return checks.positive(name, value)
    number = _number(name, value)
    if option == "rise" and not 0.0 < number < 1.0:
        raise ValueError(f"{name}: expected a number above 0 and below 1, got {number}")
    if not 0.0 <= number <= 1.0:
        raise ValueError(f"{name}: expected a number from 0 to 1, a part of the learning rate, got {number}")
    return number


def _span(begin: int, end: int, warmup: int, steps: int | None = None) -> tuple[int, int]:
    """The first step after the warm-up, and the end: of the call, or of a schedule that has `steps`."""
    start, end = (max(begin, warmup), end) if steps is None else (warmup, steps)
    return start, max(end, start + 1)  # a call may end within the warm-up


def _left(steps: Steps, start: int, end: int) -> Array:
    """The part of `start` .. `end` that lies ahead, from 1 to 0."""
    import numpy as np

    left: Array = np.maximum(end - steps, 0) / (end - start)
    return left


def _fall(left: Array, final: float) -> Array:
    """Half a cosine, from 1 where `left` is 1 to `final` where it is 0."""
    import numpy as np

    x = np.minimum(left, 1.0 - left) * (math.pi / 2)  # at most pi / 4, and exactly 0 at both ends
    square = x * x
    series = np.ones(len(x))
    for k in range(18, 0, -2):  # the sine's Taylor series
        series = 1.0 - series * square / (k * (k + 1))
    low = (x * series) * (x * series)  # sin^2 (pi t / 2) = (1 - cos pi t) / 2
    half = np.where(left < 0.5, low, 1.0 - low)
    return half + final * (1.0 - half)


def _exp(x: float) -> float:
    """The exponential function of 0 <= x < 5, by its series."""
    total = 1.0
    for k in range(40, 0, -1):
        total = 1.0 + total * x / k
    return total


def powers(base: float, exponents: Steps) -> Array:
    """`base` to whole powers by squaring, in products that IEEE rounds alike everywhere; ``pow`` is not."""
    import numpy as np

    squares = []
    for _ in range(int(exponents.max(initial=0)).bit_length()):
        squares.append(base)
        base *= base
    digits = exponents >> np.arange(len(squares))[:, None] & 1
    powers = np.ones(len(exponents))
    for factors in np.where(digits, np.array(squares, float)[:, None], 1.0):
        powers *= factors
    return powers
