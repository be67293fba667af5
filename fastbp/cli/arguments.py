"""What the text of an argument must be; argparse says where it was."""

import math
from argparse import ArgumentTypeError
from collections.abc import Callable
from contextlib import suppress


def whole(least: int, most: float = math.inf) -> Callable[[str], int]:
    """An integer between the two."""
    expected = f"an integer of at least {least}" if most == math.inf else f"an integer {least} .. {most}"

    def convert(text: str) -> int:
        with suppress(ValueError):
            if least <= (number := int(text)) <= most:
                return number
        raise ArgumentTypeError(f"expected {expected}, got {text!r}")

    return convert


def number(expected: str, is_good: Callable[[float], bool]) -> Callable[[str], float]:
    """A finite number that is good; `expected` says which are."""

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
    """The neurons of every layer."""
    found = [whole(1)(size) for size in text.split(",")]
    if len(found) < 2:
        raise ArgumentTypeError(f"expected at least two layers, such as 784,30,10, got {text!r}")
    return found


def threads(text: str) -> int | str:
    """A number of threads, or auto."""
    return text if text == "auto" else whole(1)(text)
