"""Functions and methods of a user's own: where they cannot serve, and what they return."""

from typing import Any

import numpy as np

from ..data.arrays import Task
from ..options import activations


def plain_recipe(recipe: Any, architecture: Any, weights: np.ndarray, replaced: list[str]) -> None:
    """Refuses what a user's own methods, which train by plain gradient descent, would not be asked for."""
    asked = {
        "optimizer": recipe.optimizer.row != "sgd",
        "l2": recipe.l2,
        "l1": recipe.l1,
        "clip_norm": recipe.clip_norm,
        "dropout": any(architecture.dropout),
        "frozen": architecture.frozen,
        "sample_weight or class_weight": weights.size,
    }
    names = ", ".join(name for name, given in asked.items() if given)
    if names:
        raise ValueError(
            f"{names}: expected none where {', '.join(replaced)} is the user's own, which trains by plain "
            "gradient descent; an own cost or activation is fastbp.Cost or fastbp.Activation"
        )


def unreplaced(replaced: list[str]) -> None:
    """Refuses to tell the gradient of what kernels do not compute."""
    if replaced:
        raise ValueError(
            f"gradients of rows: expected Network's own methods, but these are replaced: "
            f"{', '.join(replaced)}; backprop gives the gradient of one sample by them"
        )


def own_values(name: str, values: Any, like: np.ndarray) -> np.ndarray:
    """What a user's own function gave, in the shape and type of what it was given; a derivative may be one
    number for all.
    """
    found = np.asarray(values)
    if found.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected to return numbers, got dtype {found.dtype}")
    if found.shape != like.shape and not (name.endswith("derivative") and not found.shape):
        raise ValueError(f"{name}: expected to return shape {like.shape}, as it was given, got {found.shape}")
    return np.broadcast_to(found.astype(like.dtype, copy=False), like.shape)


def own_outputs(columns: list[Any], outputs: int) -> np.ndarray:
    """The columns (outputs, 1) that a user's own feedforward gave, as rows (n, outputs)."""
    for column in columns:
        if np.shape(column) != (outputs, 1):
            raise ValueError(f"feedforward: expected to return shape ({outputs}, 1), got {np.shape(column)}")
    return np.hstack(columns).T if columns else np.empty((0, outputs))


def probable(outputs: np.ndarray, task: Task, output_activation: activations.Kind) -> None:
    """Refuses what predict_proba has no probabilities of; the outputs tell of a user's own functions."""
    why = ""
    if task in ("value", "values"):
        why = "the network is not trained for labels"
    elif not activations.definition_of(output_activation).is_probability:
        why = f"outputs of {output_activation} are no probabilities"
    elif outputs.size and not 0 <= outputs.min() <= outputs.max() <= 1:
        why = f"outputs from {outputs.min():g} to {outputs.max():g} are no probabilities"
    if why:
        raise ValueError(f"predict_proba: {why}; outputs(X) gives the outputs themselves")
