"""Fully connected neural networks, trained by backpropagation on CPUs, compiled.

``Network`` replaces the class of that name in a ``network.py`` script; its ``fit`` trains on arrays.
"""

import sys

__version__ = "0.2.0"

TYPE_CHECKING = False  # True for type checkers; `typing` takes longer to import than a signal may wait
if TYPE_CHECKING:
    from typing import Any

    from .engine.chunks import DivergenceError
    from .ensemble import Ensemble, load_ensemble
    from .network import Network, load, sigmoid, sigmoid_prime
    from .options.activations import ELU, GELU, Activation, LeakyReLU
    from .options.costs import Cost, CrossEntropy, Focal, Huber, Quantile
    from .options.optimizers import SGD, Adam, AdamW, IRprop, Momentum, Nesterov, RMSprop
    from .options.schedules import Constant, Cosine, Exponential, OneCycle, Step
    from .training.average import AverageWeights
    from .training.callbacks import (
        CSVLogger,
        EarlyStopping,
        ModelCheckpoint,
        ProgressBar,
        ReduceLROnPlateau,
        TimeLimit,
    )
    from .training.ensemble_history import EnsembleHistory
    from .training.history import History
    from .training.live import LivePlot, TensorBoard
    from .training.optuna import OptunaPruning
    from .training.rates import LearningRates
    from .training.run import Callback

__all__ = [
    "ELU",
    "GELU",
    "SGD",
    "Activation",
    "Adam",
    "AdamW",
    "AverageWeights",
    "CSVLogger",
    "Callback",
    "Constant",
    "Cosine",
    "Cost",
    "CrossEntropy",
    "DivergenceError",
    "EarlyStopping",
    "Ensemble",
    "EnsembleHistory",
    "Exponential",
    "Focal",
    "History",
    "Huber",
    "IRprop",
    "LeakyReLU",
    "LearningRates",
    "LivePlot",
    "ModelCheckpoint",
    "Momentum",
    "Nesterov",
    "Network",
    "OneCycle",
    "OptunaPruning",
    "ProgressBar",
    "Quantile",
    "RMSprop",
    "ReduceLROnPlateau",
    "Step",
    "TensorBoard",
    "TimeLimit",
    "__version__",
    "load",
    "load_ensemble",
    "sigmoid",
    "sigmoid_prime",
]

_HOMES = {  # where public names are defined
    "ensemble": ("Ensemble", "load_ensemble"),
    "training.ensemble_history": ("EnsembleHistory",),
    "network": ("Network", "load", "sigmoid", "sigmoid_prime"),
    "options.activations": ("ELU", "GELU", "Activation", "LeakyReLU"),
    "options.costs": ("Cost", "CrossEntropy", "Focal", "Huber", "Quantile"),
    "options.optimizers": ("SGD", "Adam", "AdamW", "IRprop", "Momentum", "Nesterov", "RMSprop"),
    "options.schedules": ("Constant", "Cosine", "Exponential", "OneCycle", "Step"),
    "engine.chunks": ("DivergenceError",),
    "training.run": ("Callback",),
    "training.callbacks": (
        *("CSVLogger", "EarlyStopping", "ModelCheckpoint", "ProgressBar", "ReduceLROnPlateau", "TimeLimit"),
    ),
    "training.average": ("AverageWeights",),
    "training.history": ("History",),
    "training.optuna": ("OptunaPruning",),
    "training.rates": ("LearningRates",),
    "training.live": ("LivePlot", "TensorBoard"),
}
_MODULES = (
    "compat",
    "datasets",
    "export",
    "interop",
    "network",
    "plot",
    "sklearn",
)  # imported when first asked for


_FORMER = {  # modules by the names that pickles of earlier releases have for them
    "activations": "options.activations",
    "architecture": "engine.architecture",
    "callbacks": "training.callbacks",
    "costs": "options.costs",
    "history": "training.history",
    "optimizers": "options.optimizers",
    "scaling": "data.scaling",
    "schedules": "options.schedules",
}


class _FormerNames:
    """A finder and loader of modules by their former names."""

    def find_spec(self, name: str, path: "Any" = None, target: "Any" = None) -> "Any":
        package, _, former = name.partition(".")
        if package != __name__ or former not in _FORMER:
            return None
        from importlib.machinery import ModuleSpec

        return ModuleSpec(name, self)  # type: ignore[arg-type]

    def create_module(self, spec: "Any") -> "Any":
        from importlib import import_module

        module = import_module(f".{_FORMER[spec.name.partition('.')[2]]}", __name__)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: "Any") -> None:
        module.__spec__ = self._spec  # its own, which the import has replaced


sys.meta_path.append(_FormerNames())


def __getattr__(name: str) -> "Any":
    """Imports a public name when it is first asked for, for ``fastbp --help`` needs no Numba."""
    from importlib import import_module

    for home, names in (*_HOMES.items(), *((module, (module,)) for module in _MODULES)):
        if name in names:
            module = import_module(f".{home}", __name__)
            globals()[name] = value = module if name == home else getattr(module, name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES})
