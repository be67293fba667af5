"""Checks of options: names, numbers, and objects; errors say what was expected and what was passed."""

import datetime
import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, Literal

OF_EVERY_HISTORY = ("loss", "seconds", "learning_rate", "threads")


def sizes_of(sizes: Sequence[int]) -> tuple[int, ...]:
    """The numbers of neurons as plain integers."""
    try:
        plain = tuple(operator.index(size) for size in sizes)
    except TypeError:
        raise TypeError(f"sizes: expected integers such as [784, 30, 10], got {sizes!r}") from None
    if not plain or min(plain) < 1:
        raise ValueError(f"sizes: expected at least one layer, each of at least 1 neuron, got {sizes!r}")
    return plain


def choice(name: str, value: Any, choices: Iterable[str]) -> str:
    known = list(choices)
    if value not in known:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, known))}, got {value!r}")
    return str(value)


def option(name: str, value: Any, known: Mapping[str, Any], base: Any) -> Any:
    """Returns the option that a name stands for, or the value itself where it is an instance of `base`."""
    if isinstance(value, str) and value in known:
        return known[value]
    if isinstance(value, base) and not isinstance(value, str):
        return value
    hint = ""
    if isinstance(value, type):
        hint = f"; write {value.__name__}()"
    elif callable(value):
        hint = "; fastbp.Activation and fastbp.Cost make one of functions"
    names = ", ".join(map(repr, known))
    raise ValueError(f"{name}: expected one of {names}, or an object with options, got {value!r}{hint}")


def schedule(value: Any, known: Mapping[str, Any], base: Any) -> Any:
    """Returns a schedule by its name, the object itself, or a function of the step."""
    if callable(value) and not isinstance(value, type):
        return value
    chosen = option("schedule", value, known, base)
    return chosen() if isinstance(chosen, type) else chosen


def seed(name: str, value: Any) -> int:
    """An integer that fits 64 bits."""
    plain = count(name, value, 0)
    if plain >= 1 << 64:
        raise ValueError(f"{name}: expected an integer below 2^64, got {plain}")
    return plain


def frozen_layers(value: Any, layers: int) -> tuple[int, ...]:
    """Returns indices into `layers` weights, each once, in order."""
    try:
        indices = list(value)
    except TypeError:  # one index
        indices = [value]
    if any(map(is_flag, indices)):
        raise TypeError(f"frozen: expected indices of weights, such as [0], got {value!r}")
    indices = [integer("frozen", index) for index in indices]
    for index in indices:
        if not -layers <= index < layers:
            raise ValueError(
                f"frozen: expected indices of weights, from 0 to {layers - 1}, got {index} in {value!r}"
            )
    return tuple(sorted({index % layers for index in indices}))


def integer(name: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: expected an integer, got {value!r}") from None


def count(name: str, value: Any, least: int = 1) -> int:
    """An integer of at least `least`."""
    whole = integer(name, value)
    if whole < least:
        raise ValueError(f"{name}: expected at least {least}, got {whole}")
    return whole


def index(name: str, value: Any, length: int) -> int:
    """An index into so many layers, from 0; negative ones count from the end."""
    whole = integer(name, value)
    if not -length <= whole < length:
        raise ValueError(f"{name}: expected an index of a layer, from 0 to {length - 1}, got {whole}")
    return whole % length


def consecutive(name: str, value: Any, length: int) -> tuple[int, int]:
    """The first of some layers in a row, at least one of `length`, and the one after the last."""
    if not isinstance(value, slice):
        raise TypeError(f"{name}: expected a slice, such as net[:2], got {value!r}")
    begin, end, step = value.indices(length)
    if step != 1 or end <= begin:
        raise ValueError(f"{name}: expected at least one of {length} layers, in a row, got {value!r}")
    return begin, end


def number(name: str, value: Any) -> float:
    """A number, which may lie in an array of one; no text."""
    one = value.item() if getattr(value, "size", 0) == 1 else value
    try:
        if not isinstance(one, (str, bytes)):
            return float(one)
    except (OverflowError, TypeError, ValueError):
        pass
    raise TypeError(f"{name}: expected a number, got {value!r}")


def positive(name: str, value: Any) -> float:
    """A finite number above zero."""
    plain = number(name, value)
    if not 0 < plain < math.inf:
        raise ValueError(f"{name}: expected a finite number above 0, got {plain}")
    return plain


def positive_or_none(name: str, value: Any) -> float | None:
    """A finite number above zero, or None."""
    return None if value is None else positive(name, value)


def nonnegative(name: str, value: Any) -> float:
    """A finite number, zero or more."""
    plain = number(name, value)
    if not 0 <= plain < math.inf:
        raise ValueError(f"{name}: expected a finite number of at least 0, got {plain}")
    return plain


def is_real(value: Any) -> bool:
    """Tells whether a value is a real number, neither a bool nor text."""
    return isinstance(value, Real) and not isinstance(value, bool)


def require(name: str, is_valid: bool, expected: str, value: Any) -> None:
    """Refuses the value of an object's option."""
    if not is_valid:
        raise ValueError(f"{name}: expected {expected}, got {value!r}")


def finite(name: str, value: Any) -> float:
    """The value of an object's option, a finite number."""
    require(name, is_real(value) and math.isfinite(value), "a finite number", value)
    return float(value)


def functions(owner: Any, *names: str) -> None:
    """Refuses an object whose attributes of these names are not functions."""
    for name in names:
        if not callable(value := getattr(owner, name)):
            raise TypeError(f"{type(owner).__name__}.{name}: expected a function, got {value!r}")


def rate(name: str, value: Any) -> float:
    """A number from 0 to below 1, such as the share of neurons that dropout leaves out."""
    plain = number(name, value)
    if not 0 <= plain < 1:
        raise ValueError(f"{name}: expected a number from 0 to below 1, got {plain}")
    return plain


def layers(name: str, value: Any, count: int) -> tuple[Any, ...]:
    """One value for each of `count` layers: a list holds them, anything else stands for all."""
    if not (isinstance(value, (list, tuple)) or getattr(value, "ndim", False)):
        return (value,) * count
    if len(value) != count:
        raise ValueError(
            f"{name}: expected one value, or {count}, one per layer, got {len(value)}: {value!r}"
        )
    return tuple(value)


def callbacks(value: Any, base: type) -> list[Any]:
    """Functions and objects of the class `base`, one or any number of them."""
    try:
        several = list(value)
    except TypeError:
        several = [value]
    for callback in several:
        if isinstance(callback, type) and issubclass(callback, base):
            raise TypeError(f"callbacks: expected an object, got the class; write {callback.__name__}()")
        if not isinstance(callback, base) and not callable(callback):
            raise TypeError(
                f"callbacks: expected functions of (network, history) or fastbp.Callback, got {callback!r}"
            )
    return several


def monitor(name: str, names: Iterable[str]) -> None:
    """Refuses to watch a number that is not among those of the history."""
    if name not in names:
        hint = "; validation_data or validation_split gives it" if name.startswith("val_") else ""
        raise ValueError(
            f"monitor: expected a name of the history, {', '.join(map(repr, names))}, got {name!r}{hint}"
        )


def no_monitor(monitor: Any) -> None:
    """Refuses to keep the best of an ensemble by one number, where each network has its own."""
    if monitor is not None:
        raise ValueError(
            f"ModelCheckpoint.monitor: expected None for an ensemble, got {monitor!r}; "
            "EarlyStopping(restore_best_weights=True) keeps the best weights of each network"
        )


def moments(name: str, value: Any) -> Any:
    """The moments of a callback: after every "epoch", so many steps, or so much time."""
    if value == "epoch":
        return value
    if isinstance(value, datetime.timedelta):
        positive(f"{name}, in seconds,", value.total_seconds())
        return value
    if isinstance(value, (str, float)):
        raise TypeError(f"{name}: expected 'epoch', a number of steps or a timedelta, got {value!r}")
    return count(name, value)


def metrics(value: Any, known: Mapping[str, Any], scores: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the function of each metric by its name, of one or any number of names and functions.

    Names are known ones, or those of scikit-learn's scores, which an error does not list.
    """
    functions: dict[str, Any] = {}
    is_one = isinstance(value, str) or callable(value) or not isinstance(value, Iterable)
    for metric in [value] if is_one else value:
        if callable(metric):
            name, function = getattr(metric, "__name__", type(metric).__name__), metric
        elif isinstance(metric, str) and (metric in known or metric in scores):
            name, function = metric, known[metric] if metric in known else scores[metric]
        else:
            names = ", ".join(map(repr, known))
            raise ValueError(
                f"metrics: expected one of {names}, a score of scikit-learn such as 'f1', or a function, "
                f"got {metric!r}"
            )
        is_taken = name in OF_EVERY_HISTORY or name.startswith("val_")
        if is_taken or (name in functions and functions[name] is not function):
            raise ValueError(
                "metrics: expected functions with names that neither others nor numbers of the history "
                f"have, got one with the name {name!r}; give it another by def or __name__"
            )
        functions[name] = function
    return functions


def threads_of(value: Any) -> int | Literal["auto"]:
    return "auto" if value == "auto" else count("threads", value)


def is_flag(value: Any) -> bool:
    """Tells whether a value is a bool of Python's or of NumPy's."""
    return isinstance(value, bool) or type(value).__name__ in ("bool", "bool_")


def flag(name: str, value: Any) -> bool:
    if not is_flag(value):
        raise TypeError(f"{name}: expected True or False, got {value!r}")
    return bool(value)
