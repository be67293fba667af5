"""Fully connected neural networks, trained by backpropagation on CPUs, compiled.

``Network`` replaces the class of that name in a ``network.py`` script; its ``fit`` trains on arrays.
"""

__version__ = "0.2.0"

TYPE_CHECKING = False  # True for type checkers; `typing` takes longer to import than a signal may wait
if TYPE_CHECKING:
    from typing import Any

    from .activations import ELU, GELU, Activation, LeakyReLU
    from .callbacks import (
        Callback,
        CSVLogger,
        EarlyStopping,
        ModelCheckpoint,
        ProgressBar,
        ReduceLROnPlateau,
        TimeLimit,
    )
    from .costs import Cost, Huber
    from .files import load
    from .history import History
    from .network import Network, sigmoid, sigmoid_prime
    from .optimizers import SGD, Adam, AdamW, IRprop, Momentum, Nesterov, RMSprop
    from .schedules import Constant, Cosine, Exponential, OneCycle, Step
    from .training import DivergenceError
    from .watch import LivePlot, TensorBoard

__all__ = [
    "ELU",
    "GELU",
    "SGD",
    "Activation",
    "Adam",
    "AdamW",
    "CSVLogger",
    "Callback",
    "Constant",
    "Cosine",
    "Cost",
    "DivergenceError",
    "EarlyStopping",
    "Exponential",
    "History",
    "Huber",
    "IRprop",
    "LeakyReLU",
    "LivePlot",
    "ModelCheckpoint",
    "Momentum",
    "Nesterov",
    "Network",
    "OneCycle",
    "ProgressBar",
    "RMSprop",
    "ReduceLROnPlateau",
    "Step",
    "TensorBoard",
    "TimeLimit",
    "__version__",
    "load",
    "sigmoid",
    "sigmoid_prime",
]

_HOMES = {
    "activations": ("ELU", "GELU", "Activation", "LeakyReLU"),
    "callbacks": (
        *("Callback", "CSVLogger", "EarlyStopping", "ModelCheckpoint", "ProgressBar", "ReduceLROnPlateau"),
        "TimeLimit",
    ),
    "costs": ("Cost", "Huber"),
    "files": ("load",),
    "history": ("History",),
    "network": ("Network", "sigmoid", "sigmoid_prime"),
    "optimizers": ("SGD", "Adam", "AdamW", "IRprop", "Momentum", "Nesterov", "RMSprop"),
    "schedules": ("Constant", "Cosine", "Exponential", "OneCycle", "Step"),
    "training": ("DivergenceError",),
    "watch": ("LivePlot", "TensorBoard"),
}


def __getattr__(name: str) -> "Any":
    """Imports a public name when it is first asked for, for ``fastbp --help`` needs no Numba."""
    from importlib import import_module

    for home, names in _HOMES.items():
        if name == home or name in names:
            module = import_module(f".{home}", __name__)
            globals()[name] = found = module if name == home else getattr(module, name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_HOMES})
