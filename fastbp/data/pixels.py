"""Pixels: the divisor of bytes, and warnings of samples in another scale than those of the training."""

from typing import Any, Literal

import numpy as np

from ..options.checks import positive
from ..options.network import Options
from .arrays import first_rows, warn
from .sparse import Samples, SparseRows, dense

Scale = Literal["divided", "whole"]


def divisors(
    inputs: Any, uint8: Any, scale_inputs: bool, dtype: np.dtype
) -> tuple[float | None, float | None]:
    """Checks `input_divisor` and `uint8_divisor`, at most one of which may be set."""
    if inputs is not None and uint8 is not None:
        raise ValueError("input_divisor, uint8_divisor: expected one of them, got both")
    if inputs is not None and scale_inputs:
        raise ValueError(
            f"input_divisor: expected None beside scale_inputs=True, which scales columns, got {inputs!r}"
        )
    return (
        None if inputs is None else _divisor("input_divisor", inputs, dtype),
        None if uint8 is None else _divisor("uint8_divisor", uint8, dtype),
    )


def _divisor(name: str, value: Any, dtype: np.dtype) -> float:
    """A divisor by which 1 and 255 have quotients that are normal numbers of `dtype`."""
    divisor = positive(name, value)
    limits = np.finfo(dtype)
    least, most = 255 / float(limits.max), 1 / float(limits.tiny)
    if not least <= divisor <= most:
        raise ValueError(f"{name}: expected {least:.3g} to {most:.3g} for {dtype}, got {divisor}")
    return divisor


def divided(samples: Samples, divisor: float | None, dtype: np.dtype) -> Samples:
    """Checked samples divided by the network's `input_divisor`; kernels themselves divide those of uint8.

    The quotient is that of two numbers of `dtype`, as in the kernels.
    """
    if divisor in (None, 1.0) or samples.dtype == np.uint8:
        return samples
    if isinstance(samples, SparseRows):
        values = dense(divided(samples.values, divisor, dtype))
        return SparseRows(samples.starts, samples.columns, values, samples.shape[1])
    return np.asarray(np.divide(samples.astype(dtype, copy=False), divisor, dtype=dtype))


def scale_of(X: Samples, options: Options) -> Scale | None:
    """Tells whether samples X, not yet divided, look like pixels: "whole" numbers up to 255, or in 0 .. 1.

    Returns None if neither is certain.  Only the first rows are read.
    """
    seen = dense(first_rows(X))
    if not seen.size or seen.min() < 0:
        return None
    largest = seen.max()
    whole = seen.dtype == np.uint8 or (np.floor(seen) == seen).all()
    if whole:
        divides_bytes = X.dtype == np.uint8 and options.uint8_divisor not in (None, 1.0)
        return "divided" if divides_bytes else "whole" if 1 < largest <= 255 else None
    return "divided" if largest <= 1 else None


def check_scale(name: str, X: Samples, options: Options, trained: Scale | None) -> None:
    """Calls `warn_of_other_scale` for checked samples, unless their largest number fits the scale."""
    if trained is None:
        return
    if isinstance(X, np.ndarray) and X.dtype.kind == "f" and X.size:
        largest = float(dense(first_rows(X)).max())
        if (largest <= 1) == (trained == "divided"):
            return
    warn_of_other_scale(name, scale_of(X, options), trained)


def warn_of_other_scale(name: str, scale: Scale | None, trained: Scale | None) -> None:
    """Warns of samples in another scale than those of the training."""
    texts = {"divided": "numbers from 0 to 1", "whole": "whole numbers up to 255"}
    if scale and trained and scale != trained:
        warn(
            f"{name}: expected {texts[trained]}, as the network was trained on, got {texts[scale]}; "
            "give both as they are, with Network(..., input_divisor=255), or both divided"
        )


def warn_of_bytes(name: str, X: Samples, options: Options, trained: Scale | None) -> None:
    """Warns of bytes that may be pixels, before the first training, if the user has chosen no divisor."""
    chosen = options.scale_inputs or trained or options.input_divisor or options.uint8_divisor
    if X.dtype == np.uint8 and not chosen and scale_of(X, options) == "whole":
        warn(
            f"{name}: uint8 numbers above 1 are taken as they are; Network(..., input_divisor=255) brings "
            "pixels to 0 .. 1 as they are read, input_divisor=1 says that they are meant as they are"
        )


def warn_of_undivided_targets(y: np.ndarray, X: Samples, options: Options) -> None:
    """Warns of an autoencoder's targets that are not divided as its inputs are."""
    if (
        y.shape == X.shape
        and options.bytes_divisor != 1
        and "whole" == scale_of(y, options) == scale_of(X, options)
    ):
        warn(
            f"y: whole numbers up to 255 are not divided, as those of X are by {options.bytes_divisor:g}; "
            f"give y / {options.bytes_divisor:g}"
        )
