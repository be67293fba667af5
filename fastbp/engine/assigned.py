"""The attributes `weights` and `biases` of a network, which check what a user assigns to them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .replaced import Hooks


class Assigned:
    """A list of arrays that a user may assign, kept in the network's ``__dict__`` under its own name.

    `checked` returns the list to keep, and raises for arrays that no network can have.  Where a user has
    replaced one of the methods, these alone decide what they take, and all is kept as it is.
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
        hooks: Hooks = net._fastbp_hooks
        vars(net)[self._name] = arrays if hooks.replaced(net, *hooks.training) else self._checked(arrays)

    def __delete__(self, net: Any) -> None:
        del vars(net)[self._name]
