"""Trained models for other runtimes and processes: `to_onnx`, `to_c` and `save`."""

import os
from typing import Any

from .files import network_file
from .files.c_source import to_c
from .files.onnx_model import to_onnx
from .files.pipelines import network_without_fills

__all__ = ["save", "to_c", "to_onnx"]


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Writes the network of an estimator or a pipeline to a file, from which `load` reads a `Network`.

    It predicts the model's labels or values from the X that the model reads.

    Parameters
    ----------
    model : Network, estimator of fastbp.sklearn, or Pipeline
        The steps of a pipeline before its estimator may be StandardScaler and MinMaxScaler, which become the
        scaling of the network.
    path : str or path-like

    Raises
    ------
    OSError
        As for `Network.save`.
    ValueError
        For a step of a pipeline that a network cannot have.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import fastbp
    >>> from fastbp.sklearn import MLPClassifier
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X, y = load_wine(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), MLPClassifier((8,), tol=0.01, random_state=0)).fit(X, y)
    >>> path = pathlib.Path(tempfile.mkdtemp(), "wine.fastbp")
    >>> save(model, path)
    >>> bool((fastbp.load(path).predict(X) == model.predict(X)).all())
    True
    """
    network_file.save(network_without_fills(model), path)
