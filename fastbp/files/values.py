"""Checks of values that a file holds as JSON, of which ``schema.py`` is composed.

A check takes a name and a value, and raises a ValueError that says which value was expected there.
"""

import dataclasses
import reprlib
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NoReturn

Check = Callable[[str, Any], None]


class UnknownFieldError(ValueError):
    """A file has a field that this version does not know."""


def _refuse(name: str, expected: str, value: Any) -> NoReturn:
    raise ValueError(f"{name}: expected {expected}, got {reprlib.repr(value)}")


def whole(least: int = 0, below: int = 1 << 63) -> Check:
    """An integer of at least `least` and below `below`."""
    most = below - 1 if below < 1 << 32 else f"2^{below.bit_length() - 1} - 1"

    def check(name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value < below:
            _refuse(name, f"an integer from {least} to {most}", value)

    return check


def real(least: float = -sys.float_info.max) -> Check:
    """A finite number of at least `least`."""
    words = f"a finite number of at least {least:g}" if least > -sys.float_info.max else "a finite number"

    def check(name: str, value: Any) -> None:
        if not _is_number(value) or not least <= value <= sys.float_info.max:
            _refuse(name, words, value)

    return check


def share(name: str, value: Any) -> None:
    """A number of at least 0 and below 1."""
    if not _is_number(value) or not 0 <= value < 1:
        _refuse(name, "a number from 0 to below 1", value)


def number(name: str, value: Any) -> None:
    """A number, which may be infinite or NaN."""
    if not isinstance(value, float):
        real()(name, value)


def ordered(name: str, value: Any) -> None:
    """A number that can be compared: not NaN."""
    number(name, value)
    if value != value:
        _refuse(name, "a number other than NaN", value)


def text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        _refuse(name, "text", value)


def true_or_false(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        _refuse(name, "true or false", value)


def label(name: str, value: Any) -> None:
    """A label that a file can hold: text or a number."""
    if type(value) not in (str, int, float, bool) or value != value:
        _refuse(name, "a label, text or a number", value)


def anything(name: str, value: Any) -> None:
    """Any value of JSON."""


def one_of(*values: Any) -> Check:
    def check(name: str, value: Any) -> None:
        if not any(type(value) is type(known) and value == known for known in values):
            _refuse(name, "one of " + ", ".join(map(repr, values)), value)

    return check


def optional(rule: Check, nothing: Any = None) -> Check:
    """A value that `rule` accepts, or `nothing`."""

    def check(name: str, value: Any) -> None:
        if not (type(value) is type(nothing) and value == nothing):
            rule(name, value)

    return check


def each(rule: Check) -> Check:
    """A list whose items `rule` accepts."""

    def check(name: str, value: Any) -> None:
        if not isinstance(value, list):
            _refuse(name, "a list", value)
        for index, item in enumerate(value):
            rule(f"{name}[{index}]", item)

    return check


def one_or_each(rule: Check) -> Check:
    """A value that `rule` accepts, or a list of such values."""
    several = each(rule)
    return lambda name, value: (several if isinstance(value, list) else rule)(name, value)


def row(*rules: Check) -> Check:
    """A list of as many items as `rules`, each accepted by the rule in its position."""

    def check(name: str, value: Any) -> None:
        if not isinstance(value, list) or len(value) != len(rules):
            _refuse(name, f"a list of {len(rules)}", value)
        for index, (rule, item) in enumerate(zip(rules, value, strict=True)):
            rule(f"{name}[{index}]", item)

    return check


def by_name(rule: Check, always: Collection[str] = ()) -> Check:
    """An object with any names, `always` among them, whose values `rule` accepts."""

    def check(name: str, value: Any) -> None:
        _has(name, value, always)
        for key, item in value.items():
            rule(f"{name}.{key}", item)

    return check


def fields(rules: Mapping[str, Check], later: Collection[str] = ()) -> Check:
    """An object with the names of `rules`; older files may lack those in `later`."""

    def check(name: str, value: Any) -> None:
        _has(name, value, [key for key in rules if key not in later])
        for key, item in value.items():
            full = f"{name}.{key}" if name else key
            if key not in rules:
                raise UnknownFieldError(full)
            rules[key](full, item)

    return check


def option_of(names: Collection[str], kinds: Mapping[str, Any], user_defined: bool = False) -> Check:
    """A name, an object of a class in `kinds` by its fields, or, with `user_defined`, a user's class."""
    known, objects = ("one of " + ", ".join(map(repr, some)) for some in (names or kinds, kinds))

    def check(name: str, value: Any) -> None:
        if isinstance(value, str) and value in names:
            return
        if user_defined and isinstance(value, dict) and [*value] == ["own"] and isinstance(value["own"], str):
            return
        if not isinstance(value, dict) or {*value} != {"kind", "options"}:
            _refuse(name, known, value)
        if not isinstance(value["kind"], str) or value["kind"] not in kinds:
            _refuse(f"{name}.kind", objects, value["kind"])
        kind, options = kinds[value["kind"]], value["options"]
        names_of_kind = [field.name for field in dataclasses.fields(kind)]
        fields(dict.fromkeys(names_of_kind, anything))(f"{name}.options", options)
        try:
            kind(**options)
        except (ArithmeticError, TypeError, ValueError) as error:
            raise ValueError(f"{name}.options: {error}") from error

    return check


def _has(name: str, value: Any, names: Iterable[str]) -> None:
    """Refuses a value that is not an object of JSON, or lacks one of `names`."""
    if not isinstance(value, dict):
        _refuse(name, "an object of JSON", value)
    if missing := [key for key in names if key not in value]:
        raise ValueError(f"{name}.{missing[0]}".lstrip(".") + ": expected a value, got none")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
