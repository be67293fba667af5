"""Fully connected neural networks, trained by backpropagation on CPUs, compiled.

``Network`` replaces the class of that name in a ``network.py`` script; its ``fit`` trains on arrays.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .network import Network, sigmoid, sigmoid_prime
    from .training import DivergenceError, History

__all__ = ["DivergenceError", "History", "Network", "__version__", "sigmoid", "sigmoid_prime"]

_HOMES = {
    "network": ("Network", "sigmoid", "sigmoid_prime"),
    "training": ("DivergenceError", "History"),
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first asked for, for ``fastbp --help`` needs no Numba."""
    for home, names in _HOMES.items():
        if name == home or name in names:
            module = import_module(f".{home}", __name__)
            globals()[name] = found = module if name == home else getattr(module, name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_HOMES})
