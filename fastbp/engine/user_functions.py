"""Checks of a user's functions and methods: where they can be used, and the values they return."""

from typing import Any

import numpy as np

from ..data.targets import Task
from ..options import activations


def plain_recipe(recipe: Any, architecture: Any, weights: np.ndarray, replaced: list[str]) -> None:
    """Refuses options that overridden methods, which train by plain SGD, would ignore."""
    ignored = {
        "optimizer": recipe.optimizer.row != "sgd",
        "l2": recipe.l2,
        "l1": recipe.l1,
        "clip_norm": recipe.clip_norm,
        "dropout": any(architecture.dropout),
        "frozen": architecture.frozen,
        "sample_weight or class_weight": weights.size,
    }
    names = ", ".join(name for name, is_set in ignored.items() if is_set)
    if names:
        raise ValueError(
            f"{names}: cannot be combined with an overridden {', '.join(replaced)}, which trains by plain "
            "SGD; remove the option, or pass a fastbp.Cost or fastbp.Activation instead of overriding"
        )


def unreplaced(replaced: list[str], what: str, hint: str) -> None:
    """Refuses what kernels alone compute if a user has overridden methods."""
    if replaced:
        raise ValueError(
            f"{what}: expected Network's own methods, got overridden {', '.join(replaced)}; {hint}"
        )


def unreplaced_layers(replaced: list[str]) -> None:
    """Refuses the activations of a hidden layer if a user has overridden the methods that compute them."""
    if replaced:
        raise ValueError(
            f"layer: expected Network's own methods, got overridden {', '.join(replaced)}, which give the "
            "outputs alone"
        )


def no_compute_dtype(architecture: Any) -> None:
    """Refuses products of another type where NumPy computes them, by functions or methods of a user."""
    if architecture.compute_dtype:
        raise ValueError(
            "compute_dtype: expected None with functions of arrays or overridden methods, which NumPy runs "
            f"in {architecture.dtype}, got {architecture.compute_dtype!r}; compile the functions by "
            "numba.njit, or remove compute_dtype"
        )


def user_values(name: str, values: Any, like: np.ndarray) -> np.ndarray:
    """The return value of a user's function, in the shape and type of its argument.

    A derivative may be one number for all.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected to return numbers, got dtype {array.dtype}")
    if array.shape != like.shape and not (name.endswith("derivative") and not array.shape):
        raise ValueError(
            f"{name}: expected to return shape {like.shape}, that of its argument, got {array.shape}"
        )
    return np.broadcast_to(array.astype(like.dtype, copy=False), like.shape)


def user_outputs(columns: list[Any], outputs: int) -> np.ndarray:
    """The columns (outputs, 1) that a user's own feedforward returned, as rows (n, outputs)."""
    for column in columns:
        if np.shape(column) != (outputs, 1):
            raise ValueError(f"feedforward: expected to return shape ({outputs}, 1), got {np.shape(column)}")
    return np.hstack(columns).T if columns else np.empty((0, outputs))


def with_deviations(has_them: bool, cost: Any) -> None:
    """Refuses to give standard deviations that a network has not learnt."""
    if not has_them:
        raise ValueError(
            f"return_std: expected a network with cost='gaussian', which learns deviations, got {cost!r}"
        )


def probable(outputs: np.ndarray, task: Task, output_activation: activations.Kind) -> None:
    """Refuses outputs that are not probabilities; those of a user's function are judged by their values."""
    why = ""
    if task in ("value", "values"):
        why = "the network is not trained for labels"
    elif not activations.definition_of(output_activation).is_probability:
        why = f"outputs of {output_activation} are no probabilities"
    elif outputs.size and not 0 <= outputs.min() <= outputs.max() <= 1:
        why = f"outputs from {outputs.min():g} to {outputs.max():g} are no probabilities"
    if why:
        raise ValueError(f"predict_proba: {why}; outputs(X) gives the outputs themselves")
