"""Converters from an argument's text, for argparse, which names the option in its message."""

import math
from argparse import ArgumentTypeError
from collections.abc import Callable
from contextlib import suppress


def whole(least: int, most: float = math.inf) -> Callable[[str], int]:
    """Returns a converter to integers from `least` to `most`."""
    expected = f"an integer of at least {least}" if most == math.inf else f"an integer {least} .. {most}"

    def convert(text: str) -> int:
        with suppress(ValueError):
            if least <= (number := int(text)) <= most:
                return number
        raise ArgumentTypeError(f"expected {expected}, got {text!r}")

    return convert


def number(expected: str, is_good: Callable[[float], bool]) -> Callable[[str], float]:
    """Returns a converter to finite numbers for which `is_good` holds, as `expected` says in words."""

    def convert(text: str) -> float:
        with suppress(ValueError):
            if math.isfinite(value := float(text)) and is_good(value):
                return value
        raise ArgumentTypeError(f"expected {expected}, got {text!r}")

    return convert


positive = number("a finite number above 0", lambda value: value > 0)
at_least_0 = number("a finite number of at least 0", lambda value: value >= 0)
share = number("a number from 0 to below 1", lambda value: 0 <= value < 1)


def sizes(text: str) -> list[int]:
    """Converts the numbers of neurons of every layer."""
    numbers = [whole(1)(size) for size in text.split(",")]
    if len(numbers) < 2:
        raise ArgumentTypeError(f"expected at least two layers, such as 784,30,10, got {text!r}")
    return numbers


def threads(text: str) -> int | str:
    """Converts a number of threads, or auto."""
    return text if text == "auto" else whole(1)(text)
