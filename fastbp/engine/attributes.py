"""Attributes that check what is assigned to them, and those that are computed when they are first read."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


class Assigned:
    """A network's weights or biases: a list of arrays that a user may assign, kept in its ``__dict__``.

    `checked` returns the list to keep, and raises for arrays that no network can have.  If the user has
    replaced a training method or function, any value is stored unchecked.
    """

    def __init__(self, checked: Callable[[Any], Any]) -> None:
        self._checked = checked

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, net: Any, owner: type | None = None) -> Any:
        if net is None:
            return self
        try:
            return vars(net)[self._name]
        except KeyError:
            raise AttributeError(f"{type(net).__name__!r} object has no attribute {self._name!r}") from None

    def __set__(self, net: Any, arrays: Sequence[Any] | np.ndarray) -> None:
        hooks = net._fastbp_hooks
        vars(net)[self._name] = arrays if hooks.replaced(net, *hooks.training) else self._checked(arrays)

    def __delete__(self, net: Any) -> None:
        del vars(net)[self._name]


def assign(net: Any, weights: Any, biases: Any, **others: Any) -> None:
    """Assigns trained weights, biases and other attributes at once: no signal handler comes between two."""
    of_class = type(net)
    if all(isinstance(getattr(of_class, name, None), Assigned) for name in ("weights", "biases")):
        vars(net).update(others, weights=weights, biases=biases)
        return
    for name, value in (*others.items(), ("weights", weights), ("biases", biases)):  # a user's own properties
        setattr(net, name, value)


def surely(write: Callable[[], None]) -> None:
    """Calls `write`; if a signal handler interrupts it, calls it again, then re-raises."""
    try:
        write()
    except BaseException:
        write()
        raise


class lazy:
    """Decorates a method: `functools.cached_property` without the lock that it has before Python 3.12.

    A child that is forked while another thread holds such a lock waits for it for ever.
    """

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make, self.__doc__ = make, make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        return instance.__dict__.setdefault(self._name, self._make(instance))
