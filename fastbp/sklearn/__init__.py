"""scikit-learn's multi-layer perceptrons on fastbp's kernels: the import is the only line to change.

>>> from sklearn.datasets import load_iris
>>> from fastbp.sklearn import MLPClassifier
>>> X, y = load_iris(return_X_y=True)
>>> MLPClassifier(max_iter=1000, random_state=0).fit(X, y).score(X, y) > 0.95
True

And ensembles of them, and a grid search, which train many networks together.  Needs scikit-learn
(``pip install '.[sklearn]'``); nothing else of the package imports it.
"""

try:
    import sklearn.base  # noqa: F401
    from sklearn.utils.validation import validate_data as _  # noqa: F401  which came with 1.6
except ImportError as error:
    raise ImportError(
        f"fastbp.sklearn: expected scikit-learn 1.6 or later ({error}); "
        "pip install '.[sklearn]' in fastbp's source folder"
    ) from error

from .ensemble import MLPEnsembleClassifier, MLPEnsembleRegressor
from .perceptron import MLPClassifier, MLPRegressor
from .search import MLPGridSearchCV

__all__ = [
    "MLPClassifier",
    "MLPEnsembleClassifier",
    "MLPEnsembleRegressor",
    "MLPGridSearchCV",
    "MLPRegressor",
]
