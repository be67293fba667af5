"""Checks of saved files: their form, and that their values and arrays agree."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from ..data.parameters import checked_parameters


def check_labels(path: str, labels: tuple[Any, ...]) -> None:
    """Refuses labels that the file format cannot hold."""
    for label in labels:
        if type(label) not in (str, int, float, bool):
            raise TypeError(
                f"{path}: expected labels that are text or numbers, got {label!r}; train on text of them, "
                "such as [str(label) for label in y], or pickle the network"
            )


def file_begins(path: str, begin: bytes, format_: bytes, version: bytes) -> None:
    """Refuses a file of another format, or of a later version."""
    other = {b"": "an empty file"}.get(begin, "a file of another format")
    begins = begin != b"" and begin.startswith(format_[: len(begin)])
    file_is(path, begins, f"expected a network saved by fastbp, got {other}")
    theirs = begin[len(format_) :].partition(b'"')[0]
    later = theirs.isdigit() and int(theirs) > int(version)
    file_is(path, not later, f"format {theirs.decode(errors='replace')} needs a later version of fastbp")
    file_is(
        path, len(begin) < len(format_) + len(version) or theirs == version, "damaged: its header differs"
    )


def file_is(path: str, good: bool, otherwise: str) -> None:
    if not good:
        raise ValueError(f"{path}: {otherwise}")


def not_understood(path: str, otherwise: str, error: Exception) -> NoReturn:
    """Raises an error about the contents of a file, in one readable line."""
    why = " ".join((repr(error) if isinstance(error, LookupError) else str(error)).split())
    raise ValueError(f"{path}: {otherwise}: {why[:200]}") from error


def is_network(path: str, metadata: Mapping[str, Any]) -> None:
    """Refuses the file of an ensemble where that of one network is expected."""
    if "ensemble" in metadata:
        raise ValueError(f"{path}: expected a network, got an ensemble; fastbp.load_ensemble reads it")


def is_ensemble(path: str, metadata: Mapping[str, Any]) -> None:
    """Refuses the file of one network where that of an ensemble is expected."""
    if "ensemble" not in metadata:
        raise ValueError(f"{path}: expected an ensemble, got a network; fastbp.load reads it")


def stored_array(name: str, array: Any, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    """Refuses an array that is missing, or of another type or shape."""
    if array is None or array.dtype != dtype or array.shape != shape:
        got = "none" if array is None else f"{array.dtype} of shape {array.shape}"
        raise ValueError(f"{name}: expected an array of {dtype} of shape {shape}, got {got}")


def storable(path: str, name: str, array: np.ndarray, known: Sequence[np.dtype]) -> None:
    """Refuses an array of a type that the file format cannot hold."""
    if array.dtype not in known:
        types = ", ".join(map(str, known))
        raise TypeError(f"{path}: {name}: expected an array of {types}, got {array.dtype}")


def as_json(path: str, metadata: Mapping[str, Any]) -> str:
    try:
        return json.dumps(metadata)
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"{path}: expected text, numbers, lists and dicts to write: {error}") from None


def optimizer_state_whole(stored: Collection[str], names: Sequence[str]) -> None:
    """Refuses a part of an optimizer's state without the others."""
    if stored and set(stored) != set(names):
        expected = ", ".join(f"optimizer.{name}" for name in names) or "none"
        got = ", ".join(f"optimizer.{name}" for name in sorted(stored))
        raise ValueError(f"optimizer: expected the arrays of its whole state, {expected}, or none, got {got}")


def functions_passed(path: str, missing: Sequence[str]) -> None:
    """Refuses to load a network of a user's functions without them."""
    if missing:
        names = ", ".join(f"{name}=" for name in missing)
        raise ValueError(
            f"{path}: expected the network's user-defined functions, which no file holds, got none; "
            f"pass load {names}..."
        )


def stored_parameters(
    prefix: str, weights: Sequence[Any], biases: Sequence[Any], dtype: np.dtype, infinite: bool = False
) -> None:
    """Refuses arrays that are not the weights and biases of one network in `dtype`.

    They must be finite, or, with `infinite`, not NaN: a square in an optimizer's state may overflow.
    """
    checked_parameters(weights, biases, dtype)
    for kind, arrays in ("weights", weights), ("biases", biases):
        for layer, array in enumerate(arrays):
            name = f"{prefix}{kind}.{layer}"
            equal(f"the type of {name}", str(array.dtype), str(dtype), "network.dtype")
            good = ~np.isnan(array) if infinite else np.isfinite(array)
            if not good.all():
                row, column = np.argwhere(~good)[0]
                expected = "numbers" if infinite else "finite numbers"
                raise ValueError(f"{name}[{row}, {column}]: expected {expected}, got {array[row, column]}")


def stored_arrays(stored: Collection[str], known: Collection[str]) -> None:
    """Refuses a file whose arrays are not those that its metadata names."""
    arrays_there(stored, known)
    for name in stored:
        if name not in known:
            raise ValueError(f"arrays: expected only those that the metadata name, got {name!r} as well")


def arrays_there(stored: Collection[str], names: Iterable[str]) -> None:
    """Refuses a file that lacks one of the arrays `names`."""
    for name in names:
        if name not in stored:
            raise ValueError(f"{name}: expected an array, got none")


def at_most(name: str, value: int, most: int, source: str) -> None:
    """Refuses a number above another, the `source`."""
    if value > most:
        raise ValueError(f"{name}: expected at most {most}, as {source} says, got {value}")


def known(name: str, value: Any, source: str) -> None:
    """Refuses None if another value, the `source`, requires this one."""
    if value is None:
        raise ValueError(f"{name}: expected a value beside that of {source}, got None")


def equal(name: str, value: Any, expected: Any, source: str) -> None:
    """Refuses a value that is not the one which follows from another, the `source`."""
    if value != expected:
        raise ValueError(f"{name}: expected {expected}, as {source} says, got {value}")


def between_batches(samples_done: int, size: int, samples: int) -> None:
    """Refuses a position in an epoch that lies within a batch, or beyond the samples."""
    if samples_done != samples and (samples_done % size or samples_done > samples):
        raise ValueError(
            f"training.position.done: expected a multiple of batch_size, {size}, up to {samples} samples, "
            f"got {samples_done}"
        )


def consistent(name: str, good: bool, values: Mapping[str, Any]) -> None:
    """Refuses values that contradict each other."""
    if not good:
        shown = ", ".join(f"{key} {value}" for key, value in values.items())
        raise ValueError(f"{name}: expected consistent values, got {shown}")


def generator_words(name: str, words: Any) -> None:
    """Refuses an array that is not a state of NumPy's Mersenne Twister."""
    if words is None or words.dtype != np.int64 or words.shape != (624,):
        got = "none" if words is None else f"{words.dtype} of shape {words.shape}"
        raise ValueError(f"{name}: expected an array of int64 of shape (624,), got {got}")
    if not 0 <= words.min() <= words.max() < 1 << 32:
        raise ValueError(f"{name}: expected integers of 32 bits, got {words.min()} to {words.max()}")


def arrays_like(name: str, arrays: Sequence[np.ndarray], parameters: Sequence[np.ndarray]) -> None:
    """Refuses arrays whose shapes or types differ from the network's."""
    if [array.shape for array in arrays] != [array.shape for array in parameters]:
        shapes = ", ".join(str(array.shape) for array in parameters)
        got = ", ".join(str(array.shape) for array in arrays)
        raise ValueError(f"{name}: expected arrays of shapes {shapes}, as the network has, got {got}")
    for number, (array, other) in enumerate(zip(arrays, parameters, strict=True)):
        if array.dtype != other.dtype or not np.isfinite(array).all():
            raise ValueError(f"{name}{number}: expected finite numbers in {other.dtype}, got others")
