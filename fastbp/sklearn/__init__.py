"""scikit-learn's multi-layer perceptrons on fastbp's kernels: the import is the only line to change.

>>> from sklearn.datasets import load_iris
>>> from fastbp.sklearn import MLPClassifier
>>> X, y = load_iris(return_X_y=True)
>>> MLPClassifier(max_iter=1000, random_state=0).fit(X, y).score(X, y) > 0.95
True

And ensembles of them, and a grid search, which train many networks together.  Needs scikit-learn
(``pip install '.[sklearn]'``); nothing else of the package imports it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    import sklearn.base  # noqa: F401
    from sklearn.utils.validation import validate_data as _  # noqa: F401  which came with 1.6
except ImportError as error:
    raise ImportError(
        f"fastbp.sklearn: expected scikit-learn 1.6 or later ({error}); "
        "pip install '.[sklearn]' in fastbp's source folder"
    ) from error

from .perceptron import MLPClassifier, MLPRegressor

if TYPE_CHECKING:
    from .ensemble import MLPEnsembleClassifier, MLPEnsembleRegressor
    from .search import MLPGridSearchCV

__all__ = [
    "MLPClassifier",
    "MLPEnsembleClassifier",
    "MLPEnsembleRegressor",
    "MLPGridSearchCV",
    "MLPRegressor",
]

_HOMES = {  # of names that are imported when first asked for: a worker that fits one estimator needs neither
    "MLPEnsembleClassifier": "ensemble",
    "MLPEnsembleRegressor": "ensemble",
    "MLPGridSearchCV": "search",
}


def __getattr__(name: str) -> Any:
    """Imports an ensemble or the search when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
