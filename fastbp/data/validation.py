"""Checks of the arguments about validation samples."""

from typing import Any

from ..options.checks import rate


def checked_split(split: Any, data: Any, samples: int) -> float:
    """The share of the samples that `fit` is to hold out."""
    share = rate("validation_split", split)
    if share and data is not None:
        raise ValueError("validation_split, validation_data: expected one of them, got both")
    if share and not 0 < int(samples * share) < samples:
        raise ValueError(
            "validation_split: expected a share that leaves samples to train on and to hold out, "
            f"got {share:g} of {samples}"
        )
    return share


def checked_validation_data(value: Any) -> tuple[Any, Any, Any]:
    """Unpacks X, y and the weights of the samples, which may be None."""
    if not isinstance(value, (tuple, list)) or len(value) not in (2, 3):
        got = type(value).__name__ + (f" of {len(value)}" if isinstance(value, (tuple, list)) else "")
        raise TypeError(f"validation_data: expected (X, y) or (X, y, sample_weight), got {got}")
    X, y, *weights = value
    return X, y, weights[0] if weights else None
