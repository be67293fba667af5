"""The column names of frames of pandas and polars."""

from collections.abc import Sequence
from typing import Any

import numpy as np

_SHOWN = 8  # names in an error


def feature_names(X: Any) -> tuple[str, ...] | None:
    """The names of a frame's columns; None for other arrays, and if a name is not text."""
    if isinstance(X, np.ndarray) or (columns := getattr(X, "columns", None)) is None:
        return None
    names = list(columns)
    return tuple(map(str, names)) if names and all(isinstance(name, str) for name in names) else None


def learnt_names(model: Any) -> tuple[str, ...] | None:
    """The names of the columns that a model of scikit-learn's kind was fitted on, if they had names."""
    names = getattr(model, "feature_names_in_", None)
    return None if names is None else tuple(map(str, names))


def same_features(
    name: str, names: tuple[str, ...] | None, trained: tuple[str, ...] | None
) -> tuple[str, ...] | None:
    """The names that the network keeps; refuses a frame whose columns differ or have another order."""
    if names is not None and trained is not None and names != trained:
        hint = ""
        if missing := [column for column in trained if column not in names]:
            hint = f"; it lacks {_listed(missing)}"
        elif len(names) == len({*names}):
            ordered = "X.columns" if name == "validation_X" else "net.feature_names_in_"
            hint = f"; {name}[list({ordered})] has them in that order"
        raise ValueError(
            f"{name}: expected the columns {_listed(trained)}, as in training, got {_listed(names)}{hint}"
        )
    return names if trained is None else trained


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:_SHOWN])) + (", ..." if len(names) > _SHOWN else "")
