"""The border: whatever a user hands over is checked, coerced and named here, once; kernels never check.

Every input error of the package is raised in this file and says what was given, what was expected and where.
"""

import datetime
import itertools
import json
import operator
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple, NoReturn, get_args

import numpy as np

Task = Literal["labels", "binary", "multilabel", "values", "value"]
Scale = Literal["divided", "whole"]

_KEPT = (
    np.dtype(np.uint8),
    np.dtype(np.float32),
    np.dtype(np.float64),
)  # types that kernels read as they are
_CHECKED_AT_ONCE = 1 << 20  # numbers, so that a memory-mapped array is never read whole


class Targets(NamedTuple):
    """What to learn: labels (n,) as int64, or numbers (n, outputs) as float32 or float64."""

    array: np.ndarray
    task: Task
    classes: tuple[Any, ...] | None = None  # what labels stand for, where they are not 0, 1, 2 ... themselves


def sizes_of(sizes: Sequence[int]) -> tuple[int, ...]:
    """The numbers of neurons as plain integers."""
    try:
        plain = tuple(operator.index(size) for size in sizes)
    except TypeError:
        raise TypeError(f"sizes: expected integers such as [784, 30, 10], got {sizes!r}") from None
    if not plain or min(plain) < 1:
        raise ValueError(f"sizes: expected at least one layer, each of at least 1 neuron, got {sizes!r}")
    return plain


def choice(name: str, value: Any, choices: Iterable[str]) -> str:
    known = list(choices)
    if value not in known:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, known))}, got {value!r}")
    return str(value)


def option(name: str, value: Any, known: Mapping[str, Any], base: Any) -> Any:
    """What a name stands for, or an object with options, an instance of `base`."""
    if isinstance(value, str) and value in known:
        return known[value]
    if isinstance(value, base) and not isinstance(value, str):
        return value
    hint = ""
    if isinstance(value, type):
        hint = f"; write {value.__name__}()"
    elif callable(value):
        hint = "; fastbp.Activation and fastbp.Cost make one of functions"
    names = ", ".join(map(repr, known))
    raise ValueError(f"{name}: expected one of {names}, or an object with options, got {value!r}{hint}")


def schedule(value: Any, known: Mapping[str, Any], base: Any) -> Any:
    """An object that schedules rates, or a function of the step."""
    if callable(value) and not isinstance(value, type):
        return value
    found = option("schedule", value, known, base)
    return found() if isinstance(found, type) else found


def seed(name: str, value: Any) -> int:
    """An integer that fits 64 bits."""
    found = count(name, value, 0)
    if found >= 1 << 64:
        raise ValueError(f"{name}: expected an integer below 2^64, got {found}")
    return found


def suits_output(cost: str, output_activation: Any, allowed: Sequence[str], outputs: int) -> None:
    """Refuses a cost that is not defined for what the outputs may be, and a softmax of one."""
    if allowed and output_activation not in allowed:
        names = " or ".join(map(repr, allowed))
        raise ValueError(
            f"output_activation: expected {names} for the cost {cost!r}, got {output_activation!r}"
        )
    if output_activation == "softmax" and outputs == 1:
        raise ValueError(
            "output_activation: expected at least 2 outputs for 'softmax', got 1, whose softmax is always 1"
        )


def frozen_layers(value: Any, layers: int) -> tuple[int, ...]:
    """Places of `layers` weights, each once."""
    try:
        places = list(value)
    except TypeError:  # one place
        places = [value]
    if any(isinstance(place, (bool, np.bool_)) for place in places):
        raise TypeError(f"frozen: expected places in weights, such as [0], got {value!r}")
    found = [integer("frozen", place) for place in places]
    for place in found:
        if not -layers <= place < layers:
            raise ValueError(
                f"frozen: expected places in weights, from 0 to {layers - 1}, got {place} in {value!r}"
            )
    return tuple(sorted({place % layers for place in found}))


def float_type(dtype: Any) -> np.dtype:
    for known in (np.dtype(np.float32), np.dtype(np.float64)):
        try:
            if known == dtype:
                return known
        except TypeError:  # what NumPy says of a dtype it does not know
            break
    raise ValueError(f"dtype: expected 'float32' or 'float64', got {dtype!r}")


def integer(name: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: expected an integer, got {value!r}") from None


def count(name: str, value: Any, least: int = 1) -> int:
    """An integer of at least `least`."""
    whole = integer(name, value)
    if whole < least:
        raise ValueError(f"{name}: expected at least {least}, got {whole}")
    return whole


def number(name: str, value: Any) -> float:
    """A number, which may lie in an array of one; no text."""
    one = value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
    try:
        if not isinstance(one, (str, bytes)):
            return float(one)
    except (OverflowError, TypeError, ValueError):
        pass
    raise TypeError(f"{name}: expected a number, got {value!r}")


def positive(name: str, value: Any) -> float:
    """A finite number above zero."""
    found = number(name, value)
    if not 0 < found < np.inf:
        raise ValueError(f"{name}: expected a finite number above 0, got {found}")
    return found


def nonnegative(name: str, value: Any) -> float:
    """A finite number, zero or more."""
    found = number(name, value)
    if not 0 <= found < np.inf:
        raise ValueError(f"{name}: expected a finite number of at least 0, got {found}")
    return found


def rate(name: str, value: Any) -> float:
    """A share from 0 up to, but not, 1, such as that of neurons which dropout leaves out."""
    found = number(name, value)
    if not 0 <= found < 1:
        raise ValueError(f"{name}: expected a number from 0 to below 1, got {found}")
    return found


def layers(name: str, value: Any, count: int) -> tuple[Any, ...]:
    """One value for each of `count` layers: a list holds them, anything else stands for all."""
    if not isinstance(value, (list, tuple, np.ndarray)):
        return (value,) * count
    if len(value) != count:
        raise ValueError(
            f"{name}: expected one value, or {count}, one per layer, got {len(value)}: {value!r}"
        )
    return tuple(value)


def divisor(name: str, value: Any, dtype: np.dtype) -> float:
    """What bytes are divided by: the quotients of 1 and 255 are ordinary numbers of `dtype`."""
    found = positive(name, value)
    limits = np.finfo(dtype)
    least, most = 255 / float(limits.max), 1 / float(limits.tiny)
    if not least <= found <= most:
        raise ValueError(f"{name}: expected {least:.3g} to {most:.3g} for {dtype}, got {found}")
    return found


def callbacks(value: Any, base: type) -> list[Any]:
    """Functions and objects of the class `base`, one or any number of them."""
    try:
        found = list(value)
    except TypeError:
        found = [value]
    for callback in found:
        if isinstance(callback, type) and issubclass(callback, base):
            raise TypeError(f"callbacks: expected an object, got the class; write {callback.__name__}()")
        if not isinstance(callback, base) and not callable(callback):
            raise TypeError(
                f"callbacks: expected functions of (network, history) or fastbp.Callback, got {callback!r}"
            )
    return found


def monitored(name: str, history: Mapping[str, list[float]]) -> float:
    """The last number that the history has by a name."""
    if not history.get(name):
        hint = "; validation_data or validation_split gives it" if name.startswith("val_") else ""
        names = ", ".join(map(repr, history))
        raise ValueError(f"monitor: expected a name of the history, {names}, got {name!r}{hint}")
    return history[name][-1]


def moments(name: str, value: Any) -> Any:
    """When something is done: after every "epoch", so many steps, or so much time."""
    if value == "epoch":
        return value
    if isinstance(value, datetime.timedelta):
        positive(f"{name}, in seconds,", value.total_seconds())
        return value
    if isinstance(value, (str, float)):
        raise TypeError(f"{name}: expected 'epoch', a number of steps or a timedelta, got {value!r}")
    return count(name, value)


def metrics(value: Any, known: Mapping[str, Any]) -> dict[str, Any]:
    """Name to function: names that are known, and functions of (y, outputs), one or any number of them."""
    found = {}
    for metric in [value] if isinstance(value, str) or callable(value) else value:
        if callable(metric):
            found[getattr(metric, "__name__", type(metric).__name__)] = metric
        else:
            name = choice("metrics", metric, known)
            found[name] = known[name]
    return found


def held_out(split: Any, data: Any, samples: int) -> float:
    """The share of the samples that `fit` is to hold out."""
    found = rate("validation_split", split)
    if found and data is not None:
        raise ValueError("validation_split, validation_data: expected one of them, got both")
    if found and not 0 < int(samples * found) < samples:
        raise ValueError(
            "validation_split: expected a share that leaves samples to train on and to hold out, "
            f"got {found:g} of {samples}"
        )
    return found


def same_network(saved: Any, net: Any) -> None:
    """Refuses to resume the training of another network."""
    there, here = repr(saved), repr(net)
    if there.partition("(")[2] != here.partition("(")[2]:
        raise ValueError(f"network: expected {there}, whose training the checkpoint is of, got {here}")


def checkpoint(path: str, training: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint holds of a training, of a call of `fit` with the same arguments."""
    if not isinstance(training, dict):
        raise ValueError(f"{path}: expected a checkpoint to resume from, got a network alone")
    there = training["arguments"]
    other = [name for name in arguments if there.get(name) != arguments[name]]
    if other:
        differences = "; ".join(f"{name} was {there.get(name)!r}, is {arguments[name]!r}" for name in other)
        raise ValueError(
            f"{path}: expected the arguments of the training that is resumed, got others: {differences}"
        )
    return training


def pair(name: str, value: Any) -> tuple[Any, Any]:
    """(X, y)."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"{name}: expected a pair (X, y), got {type(value).__name__}")
    return value[0], value[1]


def threads_of(value: Any) -> int | Literal["auto"]:
    return "auto" if value == "auto" else count("threads", value)


def given(name: str, value: Any) -> Any:
    """What is not None."""
    if value is None:
        raise TypeError(f"{name}: expected labels or values, one per row of X, got None")
    return value


# Blocks: pairs (X, y), one after the other


def blocks(given: Any, epochs: int) -> tuple[Callable[[], Iterator[Any]], bool]:
    """What begins a pass over blocks, and whether it can do so again."""
    is_iterable = isinstance(given, Iterable) and not isinstance(given, (np.ndarray, str, bytes))
    if not is_iterable and not callable(given):
        raise TypeError(
            "y: expected labels or values beside an array; without y, X is an iterable of blocks (X, y) or a "
            f"function that begins one, got {type(given).__name__}"
        )

    def begin() -> Iterator[Any]:
        found = given if is_iterable else given()
        if not isinstance(found, Iterable):
            raise TypeError(f"X: expected a function that returns an iterator of blocks, got {found!r}")
        return iter(found)

    again = not isinstance(given, Iterator)
    if not again and epochs > 1:
        raise ValueError(
            f"epochs: expected 1 for an iterator of blocks, which gives them once, got {epochs}; for more, X "
            "is a function without arguments that returns a new iterator, or a list"
        )
    return begin, again


def block(name: str, value: Any) -> tuple[np.ndarray, np.ndarray]:
    """X and y of a block, of as many rows each."""
    X, y = pair(name, value)
    X, y = array(X, f"{name}: X"), labels_or_numbers(y, f"{name}: y")
    if not X.ndim or not y.ndim or len(X) != len(y):
        raise ValueError(f"{name}: expected as many rows of X and of y, got shapes {X.shape} and {y.shape}")
    return X, y


def suits_blocks(
    sample_weight: Any, class_weight: Any, validation_split: Any, measures: Any, validation_data: Any
) -> None:
    """Refuses what needs all samples at once."""
    if sample_weight is not None:
        raise ValueError("sample_weight: expected None for blocks; class_weight takes a dict of them")
    if isinstance(class_weight, str):
        raise ValueError(
            f"class_weight: expected a dict of label to weight for blocks, got {class_weight!r}, "
            "which all samples must be counted for"
        )
    if rate("validation_split", validation_split):
        raise ValueError(
            f"validation_split: expected 0 for blocks, got {validation_split!r}; give validation_data"
        )
    if measures and validation_data is None:
        raise ValueError("metrics: expected validation_data beside them, for blocks are not measured again")


def pool_rows(most: int, batch_size: int, row_bytes: int) -> int:
    """How many rows a pool takes: whole batches, of at most so many."""
    if most < batch_size:
        raise ValueError(
            f"buffer_bytes: expected at least {batch_size * row_bytes}, two batches of {batch_size}, "
            f"got {most * row_bytes}"
        )
    return most // batch_size * batch_size


def some_samples(found: int) -> None:
    """Refuses blocks without a row."""
    if not found:
        raise ValueError(
            "X: expected blocks with samples in every pass, got none; an iterator gives its blocks once, and "
            "a function must return a new one"
        )


def enough_samples(missing: int) -> None:
    """Refuses to resume with fewer samples than were trained on."""
    if missing:
        raise ValueError(f"X: expected the blocks of the training that is resumed, got {missing} rows fewer")


def passes_again(again: bool, what: str) -> None:
    """Refuses an iterator where all blocks must be seen before training."""
    if not again:
        raise ValueError(
            f"X: expected a list of blocks, or a function that returns a new iterator, for {what} must be "
            "known before training; got an iterator, which gives its blocks once"
        )


def same_kind(name: str, dtype: np.dtype, first: np.dtype) -> None:
    """Refuses bytes, which are divided, among other numbers."""
    if (dtype == np.uint8) != (first == np.uint8):
        raise TypeError(f"{name}: expected {first}, as in the first block, got {dtype}")


# Arrays: rows are samples


def array(values: Any, name: str) -> np.ndarray:
    """A plain array, of nested lists as well."""
    if isinstance(values, np.ma.MaskedArray):
        raise TypeError(
            f"{name}: expected an array without a mask, got a masked array; "
            "leave out what is masked, or fill it by .filled(value)"
        )
    try:
        return np.asarray(values)
    except ValueError:  # NumPy on lists of unequal lengths
        raise ValueError(f"{name}: expected an array, got lists of unequal lengths") from None


def samples(X: Any, inputs: int, dtype: np.dtype, name: str = "X") -> np.ndarray:
    """X as a C-contiguous (n, inputs) array of uint8, float32 or float64, every number finite in `dtype`.

    An array that is so already is not copied.
    """
    found = _numbers(X, dtype, name)
    if found.ndim != 2 or found.shape[1] != inputs:
        hint = ""
        if found.ndim == 1:
            one = "X.reshape(-1, 1)" if inputs == 1 else "X.reshape(1, -1)"
            hint = f"; one {'feature' if inputs == 1 else 'sample'} is {one}"
        raise ValueError(
            f"{name}: expected shape (samples, {inputs}) for a network of {inputs} inputs, "
            f"got {found.shape}{hint}"
        )
    _check_finite(found, dtype, name)
    return np.ascontiguousarray(found)


def labels_or_numbers(y: Any, name: str) -> np.ndarray:
    """y as an array; a list of text and other things is not made text throughout."""
    found = array(y, name)
    if found.dtype.kind == "U" and not isinstance(y, np.ndarray) and found.ndim == 1:
        plain = list(y)
        if not all(isinstance(label, str) for label in plain):
            found = np.empty(len(plain), object)
            found[:] = plain
    return found


def hashable(labels: list[Any], name: str) -> list[Any]:
    """Labels that can be told apart: no lists, no missing ones."""
    for row, label in enumerate(labels):
        if label is None or label != label or label.__hash__ is None:
            raise ValueError(f"{name}[{row}]: expected a label, got {label!r}")
    return labels


def classes(found: list[Any], outputs: int, name: str) -> tuple[Any, ...]:
    """Different labels, one per output, or two where there is one output."""
    wanted = max(2, outputs)
    if len(found) != wanted:
        shown = ", ".join(map(repr, found[:5])) + (", ..." if len(found) > 5 else "")
        raise ValueError(
            f"{name}: expected {wanted} different labels for {outputs} outputs, got {len(found)}: {shown}"
        )
    return tuple(found)


def places(labels: list[Any], known: Mapping[Any, int], name: str) -> np.ndarray:
    """The place of each label."""
    try:
        return np.fromiter((known[label] for label in labels), np.int64, len(labels))
    except (KeyError, TypeError):
        pass
    row, label = next((i, label) for i, label in enumerate(hashable(labels, name)) if label not in known)
    raise ValueError(f"{name}[{row}]: expected one of {', '.join(map(repr, known))}, got {label!r}")


def plain_labels(path: str, labels: tuple[Any, ...]) -> None:
    """Refuses labels that no file of ours can hold."""
    for label in labels:
        if type(label) not in (str, int, float, bool):
            raise TypeError(f"{path}: expected labels that are text or numbers, got {label!r}")


def learnt(scales: bool, scaling: Any, name: str) -> Any:
    """The scaling that `fit` has learnt, where the network is to scale."""
    if scales and scaling is None:
        raise ValueError(
            f"{name}: expected a network that fit has trained, for the scaling is learnt there; "
            "fit(..., epochs=0) learns it alone"
        )
    return scaling


def finite_moments(name: str, mean: np.ndarray, deviation: np.ndarray) -> None:
    """Refuses columns, such as of numbers beyond 1e154, whose deviation is beyond float64."""
    good = np.isfinite(mean) & np.isfinite(deviation)
    if not good.all():
        column = int(np.argmin(good))
        raise ValueError(
            f"{name}[:, {column}]: expected numbers whose mean and deviation are finite, to scale them, got "
            f"mean {mean[column]:g}, deviation {deviation[column]:g}"
        )


def scaling(name: str, found: Any, columns: int) -> None:
    """Refuses a mean and a deviation that do not suit so many columns."""
    if found is None:
        return
    for what, numbers in zip(("means", "deviations"), found, strict=True):
        if numbers.shape != (columns,) or numbers.dtype != np.float64 or not np.isfinite(numbers).all():
            raise ValueError(
                f"{name}: expected {columns} finite {what} in float64, got shape {numbers.shape}"
            )
    if (found[1] <= 0).any():
        raise ValueError(f"{name}: expected deviations above 0")


def values_are_scaled(task: Task) -> None:
    if task not in ("value", "values"):
        raise ValueError(f"scale_outputs: expected values as y, got {task}, which are not scaled")


def scales_outputs(cost: str) -> None:
    """Refuses a cost that is defined for some values alone."""
    if cost in ("cross_entropy", "poisson"):
        raise ValueError(f"scale_outputs: expected a cost of any values, such as 'quadratic', got {cost!r}")


def flag(name: str, value: Any) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: expected True or False, got {value!r}")
    return bool(value)


def targets(
    y: Any,
    rows: int,
    outputs: int,
    dtype: np.dtype,
    name: str = "y",
    task: Task | None = None,
    multilabel: bool = False,
) -> Targets:
    """y as what it is to be learnt as, by its shape and type, or as the targets of a `task`.

    (n,) integers below `outputs` are labels; with one output, zeros and ones of an integer type are two
    classes and other numbers are values.  (n, outputs) numbers are values; or, where the network can learn
    `multilabel` targets, zeros and ones of an integer type are that.
    """
    found = array(y, name)
    if found.ndim not in (1, 2) or len(found) != rows:
        raise ValueError(
            f"{name}: expected {rows} labels or shape ({rows}, {outputs}), as X has {rows} rows, "
            f"got shape {found.shape}"
        )
    flat = found.ndim == 1
    labels = flat and outputs > 1
    if task is not None and labels != (task == "labels"):
        hint = "; y.argmax(axis=1) makes labels of one-hot rows" if task == "labels" else ""
        shape = f"({rows},)" if task == "labels" else f"({rows}, {outputs})"
        raise ValueError(
            f"{name}: expected shape {shape}, as the network was trained for {task}, got {found.shape}{hint}"
        )
    if labels:
        return Targets(_labels(found, outputs, name), "labels")
    bits = found.dtype.kind in "biu" and found.size > 0 and found.min() >= 0 and found.max() <= 1
    if task is None and flat:
        task = "binary" if bits else "value"
    elif task is None:
        task = "multilabel" if bits and multilabel else "values"
    found = _numbers(found.reshape(-1, 1) if flat else found, dtype, name)
    if found.shape[1] != outputs:
        raise ValueError(
            f"{name}: expected shape ({rows}, {outputs}) for a network of {outputs} outputs, "
            f"got {found.shape}; labels have shape ({rows},)"
        )
    _check_finite(found, dtype, name)
    if task in ("binary", "multilabel"):
        _check_bits(found, task, name)
    return Targets(found.astype(dtype, order="C", copy=False), task)


def suits_cost(found: Targets, cost: str, output_activation: Any, name: str) -> None:
    """Refuses targets that the cost is not defined for."""
    wanted = found.array
    if wanted.ndim == 1 or not wanted.size:
        return
    if cost == "cross_entropy":
        _check_cells(wanted, (wanted >= 0) & (wanted <= 1), name, "0 to 1, as the cost is 'cross_entropy'")
        if output_activation == "softmax":
            sums = wanted.sum(axis=1, dtype=np.float64)
            if not np.allclose(sums, 1.0, rtol=0, atol=1e-3):
                row = int(np.argmax(np.abs(sums - 1.0)))
                raise ValueError(
                    f"{name}[{row}]: expected probabilities, which add up to 1, for a softmax, got a sum of "
                    f"{sums[row]:g}; sample_weight gives a row more or less weight"
                )
    elif cost == "poisson":
        _check_cells(wanted, wanted >= 0, name, "a count of at least 0, as the cost is 'poisson'")


def _check_cells(found: np.ndarray, good: np.ndarray, name: str, expected: str) -> None:
    if not good.all():
        row, column = np.argwhere(~good)[0]
        raise ValueError(f"{name}[{row}, {column}]: expected {expected}, got {found[row, column]}")


def classes_of(found: Targets) -> np.ndarray:
    """The label of each row, for what weighs classes."""
    if found.task not in ("labels", "binary"):
        raise ValueError(f"class_weight: expected labels as y, (n,) integers, got {found.task}")
    return found.array.reshape(-1).astype(np.int64)


def _check_bits(found: np.ndarray, task: Task, name: str) -> None:
    good = (found == 0) | (found == 1)
    _check_cells(found, good, name, f"0 or 1, as the network was trained for {task}")


def _numbers(values: Any, dtype: np.dtype, name: str) -> np.ndarray:
    """An array in one of the kept types and native byte order."""
    found = array(values, name)
    if found.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected numbers, got dtype {found.dtype}")
    native = found.dtype.newbyteorder("=")
    if native in _KEPT:
        return found.astype(native, copy=False)
    return found.astype(np.float32 if native == np.float16 else dtype)


def _check_finite(array: np.ndarray, dtype: np.dtype, name: str) -> None:
    if array.dtype.kind != "f" or not array.size:
        return
    largest = np.finfo(dtype).max
    step = max(1, _CHECKED_AT_ONCE // array.shape[1])
    for first in range(0, len(array), step):
        block = array[first : first + step]
        if not -largest <= block.min() <= block.max() <= largest:  # NaN fails every comparison
            row, column = np.argwhere(~(np.abs(block) <= largest))[0]
            raise ValueError(
                f"{name}[{first + row}, {column}]: expected a finite {dtype}, got {block[row, column]}"
            )


def _labels(array: np.ndarray, outputs: int, name: str) -> np.ndarray:
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected integer labels 0 .. {outputs - 1}, got dtype {array.dtype}")
    good = (array >= 0) & (array < outputs)
    if array.dtype.kind == "f":
        good &= np.floor(array) == array
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(f"{name}[{row}]: expected a label 0 .. {outputs - 1}, got {array[row]}")
    return np.ascontiguousarray(array, np.int64)


_SEEN_FOR_SCALE = 1 << 16  # numbers


def scale(X: np.ndarray, divisor: float) -> Scale | None:
    """Whether checked samples X are bytes, which are divided, or whole numbers up to 255 that are not.

    None where neither is certain.  The first rows tell.
    """
    if not len(X):
        return None
    if X.dtype == np.uint8:
        return "divided"
    seen = X[: max(1, _SEEN_FOR_SCALE // X.shape[1])]
    whole = 255 / divisor < seen.max() <= 255 and seen.min() >= 0 and (np.floor(seen) == seen).all()
    return "whole" if whole else None


def same_scale(name: str, given: Scale | None, trained: Scale | None, divisor: float, depth: int) -> None:
    """Warns, at the line `depth` calls above, of samples in another scale than those that were learnt."""
    if given is None or trained is None or given == trained:
        return
    texts = {
        "divided": f"uint8 samples, which are divided by {divisor:g}",
        "whole": "other numbers up to 255, which are not divided",
    }
    warnings.warn(
        f"{name}: got {texts[given]}, but the network is trained on {texts[trained]}; "
        f"give both as uint8, or both divided",
        RuntimeWarning,
        stacklevel=depth + 2,
    )


def sample_weights(weights: Any, rows: int, name: str = "sample_weight") -> np.ndarray:
    """One finite weight of at least 0 a sample, (rows,) float64."""
    found = _numbers(weights, np.dtype(np.float64), name)
    if found.shape != (rows,):
        raise ValueError(f"{name}: expected shape ({rows},), one per row of X, got {found.shape}")
    found = found.astype(np.float64)
    good = (found >= 0) & (found < np.inf)
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(f"{name}[{row}]: expected a finite number of at least 0, got {found[row]}")
    return found


def class_weights(spec: Any, labels: np.ndarray, classes: Sequence[Any]) -> np.ndarray:
    """The weight of each sample's class, (n,) float64; `labels` (n,) are checked places in `classes`.

    `spec` maps classes to weights, 1 where it names none; or is "balanced": n / (classes seen * samples of
    the class), so that every class seen weighs the same and the weights' mean is 1.
    """
    if isinstance(spec, str) and spec == "balanced":
        samples = np.bincount(labels, minlength=len(classes))
        weights = len(labels) / (max(1, np.count_nonzero(samples)) * np.maximum(samples, 1.0))
        return np.asarray(weights[labels])
    if not isinstance(spec, Mapping):
        raise TypeError(f"class_weight: expected a dict of label to weight or 'balanced', got {spec!r}")
    weights = np.ones(len(classes))
    places = {label: place for place, label in enumerate(classes)}
    for label, weight in spec.items():
        if label not in places:
            raise ValueError(f"class_weight: expected labels {', '.join(map(repr, classes))}, got {label!r}")
        weights[places[label]] = nonnegative(f"class_weight[{label!r}]", weight)
    return np.asarray(weights[labels])


# The seed's data: pairs of column vectors


def training_pairs(
    pairs: Sequence[Any],
    inputs: int,
    outputs: int,
    dtype: np.dtype,
    as_bytes: bool,
    name: str = "training_data",
) -> tuple[np.ndarray, np.ndarray, float]:
    """[(x (inputs, 1), y (outputs, 1))] as X (n, inputs), Y (n, outputs) and the divisor of bytes X.

    Numbers are taken as they are; with `as_bytes`, where all x are pixels that were divided, as bytes again.
    """
    xs, ys = _unzip(pairs, name)
    hint = "; mnist_loader.vectorized_result(j) makes it of j"
    y_columns = _columns(ys, outputs, name, "y", hint)
    Y = _stacked(y_columns, outputs, dtype, f"{name} y").astype(dtype, copy=False)
    columns = _columns(xs, inputs, name, "x")
    for divisor in _DIVISORS if as_bytes else ():
        X = _as_bytes(columns, inputs, divisor, dtype)
        if X is not None:
            return X, Y, divisor
    return _stacked(columns, inputs, dtype, f"{name} x"), Y, 1.0


def test_pairs(
    pairs: Sequence[Any], inputs: int, dtype: np.dtype, name: str = "test_data", outputs: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """[(x (inputs, 1), label)] as X (n, inputs), labels (n,); a one-hot label counts as its largest place.

    Given the number of `outputs`, each label must be that of one.
    """
    xs, ys = _unzip(pairs, name)
    labels = np.asarray([label if np.ndim(label) == 0 else one_label(label) for label in ys])
    if outputs and len(labels):
        labels = _labels(labels, outputs, name)
    columns = _columns(xs, inputs, name, "x")
    return _stacked(columns, inputs, dtype, f"{name} x"), labels


def label(value: Any, outputs: int, name: str) -> int:
    """That of one of the outputs."""
    return int(_labels(np.array([one_label(value)]), outputs, name)[0])


def one_label(label: Any) -> Any:
    found = np.asarray(label)
    return found.flat[0] if found.size == 1 else np.argmax(found)


def _unzip(pairs: Sequence[Any], name: str) -> tuple[list[Any], list[Any]]:
    try:
        return [x for x, _ in pairs], [y for _, y in pairs]
    except (TypeError, ValueError):
        raise ValueError(f"{name}: expected a list of pairs (x, y), got items such as {pairs[0]!r}") from None


def _columns(columns: list[Any], size: int, name: str, letter: str, hint: str = "") -> list[np.ndarray]:
    """Arrays of shape (size, 1)."""
    arrays = [
        column if type(column) is np.ndarray else array(column, f"{name} {letter}") for column in columns
    ]
    for i, column in enumerate(arrays):
        if column.shape != (size, 1) and not (size == 1 and column.size == 1):
            raise ValueError(f"{name}[{i}]: expected {letter} of shape ({size}, 1), got {column.shape}{hint}")
    return [column.reshape(1, 1) for column in arrays] if size == 1 else arrays


def _stacked(columns: list[np.ndarray], size: int, dtype: np.dtype, name: str) -> np.ndarray:
    if not columns:
        return np.empty((0, size), dtype)
    return np.ascontiguousarray(_numbers(np.concatenate(columns).reshape(-1, size), dtype, name))


_DIVISORS = (256.0, 255.0)  # by which pixels are usually divided
_AT_ONCE = 128  # columns turned to bytes together: they stay in cache


def _as_bytes(columns: list[np.ndarray], size: int, divisor: float, dtype: np.dtype) -> np.ndarray | None:
    """Bytes (n, size) that, divided, are the very numbers of the columns in `dtype`; None if there are none.

    A byte is an eighth of a float64 to read, and is divided to the same bits.
    """
    stored = columns[0].dtype if columns else dtype
    if stored.kind != "f" or not stored.isnative:
        return None
    every, wanted = (np.divide(np.arange(256), divisor, dtype=kind) for kind in (stored, dtype))
    if (every.astype(dtype) != wanted).any():
        return None
    X = np.empty((len(columns), size), np.uint8)
    for first in range(0, len(columns), _AT_ONCE):
        block = np.concatenate(columns[first : first + _AT_ONCE]).reshape(-1, size)
        if block.dtype != stored:
            return None
        with np.errstate(invalid="ignore", over="ignore"):
            scaled = np.multiply(block, divisor, dtype=stored)
            pixels = np.rint(scaled, out=scaled).astype(np.uint8)
        if not np.array_equal(np.divide(pixels, divisor, out=scaled, dtype=stored), block):
            return None
        X[first : first + len(block)] = pixels
    return X


def parameter_arrays(weights: Sequence[Any], biases: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The network's weights and biases as plain arrays, for a user may have set nested lists."""

    def plain(name: str, arrays: Sequence[Any]) -> list[Any]:
        return [a if type(a) is np.ndarray else array(a, f"{name}[{i}]") for i, a in enumerate(arrays)]

    return plain("weights", weights), plain("biases", biases)


def some_layers(weights: Sequence[Any], biases: Sequence[Any]) -> None:
    """Refuses what has nothing to train."""
    if len(weights) != len(biases) or not len(weights):
        alone = "" if len(weights) or len(biases) else "; a network of one layer has nothing to train"
        raise ValueError(
            f"weights, biases: expected as many of each, at least 1, "
            f"got {len(weights)} and {len(biases)}{alone}"
        )


def parameters(
    weights: Sequence[Any], biases: Sequence[Any], dtype: np.dtype
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The network's weights [(n_out, n_in)] and biases [(n_out, 1)] in `dtype`."""
    some_layers(weights, biases)
    ws, bs = parameter_arrays(weights, biases)
    for name, arrays in ("weights", ws), ("biases", bs):
        for i, found in enumerate(arrays):
            if found.dtype.kind not in "biuf":
                raise TypeError(f"{name}[{i}]: expected numbers, got dtype {found.dtype}")
            arrays[i] = found.astype(dtype, copy=False)
    for i, (w, b) in enumerate(zip(ws, bs, strict=True)):
        if w.ndim != 2 or (i and w.shape[1] != ws[i - 1].shape[0]):
            inputs = ws[i - 1].shape[0] if i else "inputs"
            raise ValueError(f"weights[{i}]: expected shape (outputs, {inputs}), got {w.shape}")
        if b.shape != (w.shape[0], 1):
            raise ValueError(f"biases[{i}]: expected shape ({w.shape[0]}, 1), got {b.shape}")
    return ws, bs


def initial_arrays(arrays: Any, sizes: Sequence[int], dtype: np.dtype) -> list[np.ndarray]:
    """First weights that a user gives as ``init``, [(n_out, n_in)]: finite, copied, in `dtype`."""
    shapes = [(n_out, n_in) for n_in, n_out in itertools.pairwise(sizes)]
    several = isinstance(arrays, (list, tuple)) or np.ndim(arrays)
    if not several or len(arrays) != len(shapes):
        got = f"{len(arrays)}" if several else repr(arrays)
        raise ValueError(
            f"init: expected a name, or {len(shapes)} arrays of weights, one per layer, got {got}"
        )
    weights = []
    for i, (given, shape) in enumerate(zip(arrays, shapes, strict=True)):
        found = _numbers(given, dtype, f"init[{i}]")
        if found.shape != shape:
            raise ValueError(f"init[{i}]: expected shape {shape}, got {found.shape}")
        _check_finite(found, dtype, f"init[{i}]")
        weights.append(found.astype(dtype))
    return weights


def unflattened(
    flat: Any, weights: Sequence[Any], biases: Sequence[Any], dtype: np.dtype
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """One array of all parameters, layer by layer, in the shapes of the present ones."""
    found = _numbers(flat, dtype, "parameters")
    arrays = [array for pair in zip(*parameters(weights, biases, dtype), strict=True) for array in pair]
    total = sum(array.size for array in arrays)
    if found.shape != (total,):
        raise ValueError(f"parameters: expected shape ({total},), got {found.shape}")
    pieces, start = [], 0
    for present in arrays:
        pieces.append(found[start : start + present.size].reshape(present.shape).astype(dtype))
        start += present.size
    return pieces[::2], pieces[1::2]


def same_sizes(sizes: Sequence[int], expected: Sequence[int]) -> None:
    """Refuses weights whose shapes were changed while they were trained."""
    if tuple(sizes) != tuple(expected):
        raise ValueError(f"weights: expected layers {list(expected)} while training, got {list(sizes)}")


def column_vectors(a: Any, inputs: int) -> np.ndarray:
    """a as (inputs, m): one sample a column."""
    found = array(a, "a")
    if found.ndim != 2 or found.shape[0] != inputs:
        hint = "; a.reshape(-1, 1) makes a column of it" if found.ndim == 1 else ""
        raise ValueError(f"a: expected shape ({inputs}, 1) or ({inputs}, m), got {found.shape}{hint}")
    return found


# Files


def file_begins(path: str, found: bytes, wanted: bytes, version: bytes) -> None:
    """Refuses what another program wrote, or a later version."""
    other = {b"": "an empty file"}.get(found, "a file of another format")
    begins = found.startswith(wanted[: len(found)]) and bool(found)
    file_is(path, begins, f"no network saved by fastbp, but {other}")
    theirs = found[len(wanted) :].partition(b'"')[0]
    later = theirs.isdigit() and int(theirs) > int(version)
    file_is(
        path, not later, f"of format {theirs.decode(errors='replace')}, which needs a later version of fastbp"
    )
    file_is(path, len(found) < len(wanted) + len(version) or theirs == version, "damaged: its header differs")


def file_is(path: str, good: bool, otherwise: str) -> None:
    if not good:
        raise ValueError(f"{path}: {otherwise}")


def not_understood(path: str, otherwise: str, error: Exception) -> NoReturn:
    """Says of a file what is wrong with it, in one line that can be read."""
    why = " ".join((repr(error) if isinstance(error, LookupError) else str(error)).split())
    raise ValueError(f"{path}: {otherwise}: {why[:200]}") from error


def storable(path: str, name: str, array: np.ndarray, known: Sequence[np.dtype]) -> None:
    """Refuses an array of a type that no file of ours holds."""
    if array.dtype not in known:
        types = ", ".join(map(str, known))
        raise TypeError(f"{path}: {name}: expected an array of {types}, got {array.dtype}")


def as_json(path: str, metadata: Mapping[str, Any]) -> str:
    try:
        return json.dumps(metadata)
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"{path}: expected text, numbers, lists and dicts to write: {error}") from None


def count_of_states(found: int, wanted: int) -> None:
    """An optimizer's state is there whole, or not at all."""
    if found not in (0, wanted):
        raise ValueError(f"optimizer: expected {wanted} numbers per weight as its state, got {found}")


def functions_given(path: str, missing: Sequence[str]) -> None:
    """Refuses to load a network of a user's own functions without them."""
    if missing:
        names = ", ".join(f"{name}=" for name in missing)
        raise ValueError(
            f"{path}: its network has functions of its own, which no file holds; load takes {names}..."
        )


def trained(state: Any, found: Mapping[str, Any], memory: Any) -> Any:
    """The state of a network with what training has brought it to, which a file tells."""
    for name, known in (("task", get_args(Task)), ("scale", get_args(Scale))):
        if found[name] is not None:
            choice(name, found[name], known)
    for name in ("epochs", "batches", "began"):
        seed(name, found[name])
    if found["masks"] is not None:
        seed("masks", found["masks"])
    labels = found.get("classes")
    found = {**found, "classes": None if labels is None else tuple(hashable(labels, "classes"))}
    return replace(state, **found, memory=memory)


# A user's own methods


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


# What comes out


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


def probable(outputs: np.ndarray, task: Task, output_activation: str) -> None:
    """Refuses what predict_proba has no probabilities of; the outputs tell of a user's own functions."""
    why = ""
    if task in ("value", "values"):
        why = "the network is not trained for labels"
    elif output_activation not in ("sigmoid", "softmax"):
        why = f"outputs of {output_activation} are no probabilities"
    elif outputs.size and not 0 <= outputs.min() <= outputs.max() <= 1:
        why = f"outputs from {outputs.min():g} to {outputs.max():g} are no probabilities"
    if why:
        raise ValueError(f"predict_proba: {why}; outputs(X) gives the outputs themselves")


# The book's second network


def book_cost(name: str, cost: Any) -> Any:
    """A cost, as a class or an object: the book's or a user's own."""
    if not callable(getattr(cost, "delta", None)):
        raise (AttributeError if name.endswith(": cost") else TypeError)(
            f"{name}: expected CrossEntropyCost, QuadraticCost, or a class with functions fn(a, y) and "
            f"delta(z, a, y), got {cost!r}"
        )
    return cost


def monitored_data(evaluation_data: Any, is_on: bool) -> None:
    if is_on and evaluation_data is None:
        raise TypeError("evaluation_data: expected a list of (x, label) for its monitors, got None")


def patience(epochs: Any, by_accuracy: bool) -> int:
    """After how many epochs without a better accuracy to stop; 0 is never."""
    found = integer("early_stopping_n", epochs)
    if found > 0 and not by_accuracy:
        raise ValueError(
            "early_stopping_n: expected monitor_evaluation_accuracy or monitor_training_accuracy with it, "
            "which it goes by, got neither"
        )
    return found


class BookNetwork(NamedTuple):
    """What a file of network2 says."""

    sizes: list[int]
    weights: list[np.ndarray]
    biases: list[np.ndarray]
    cost: str


def book_network(path: Any, file: Any) -> BookNetwork:
    """What network2's `save` writes, its keys in any order."""
    keys = BookNetwork._fields
    try:
        content = json.load(file)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected the JSON that network2 saves: {error}") from None
    if not isinstance(content, dict) or not content.keys() >= set(keys):
        raise ValueError(f"{path}: expected an object with {', '.join(keys)}, as network2 saves it")
    sizes = list(sizes_of(content["sizes"]))
    arrays = {}
    for key, widths in ("weights", sizes[:-1]), ("biases", [1] * (len(sizes) - 1)):
        shapes, given = list(zip(sizes[1:], widths, strict=True)), content[key]
        names = [f"{path}: {key}[{i}]" for i in range(len(shapes))]
        if not isinstance(given, list) or len(given) != len(shapes):
            raise ValueError(f"{path}: {key}: expected a list of {len(shapes)}, for the sizes {sizes}")
        arrays[key] = [
            _numbers(each, np.dtype(np.float64), name) for name, each in zip(names, given, strict=True)
        ]
        for name, shape, found in zip(names, shapes, arrays[key], strict=True):
            if found.shape != shape:
                raise ValueError(f"{name}: expected shape {shape}, got {found.shape}")
    return BookNetwork(sizes, **arrays, cost=str(content["cost"]))


def path_of_digits(path: Any) -> None:
    """Refuses a path of other data than the shipped digits, which the book's loader reads whatever it is."""
    names = ("mnist.pkl.gz", "mnist.pkl", "mnist_py3k.pkl.gz")
    if path is not None and os.path.basename(os.fspath(path)) not in names:
        raise ValueError(
            f"path: expected that of {', '.join(names)}, whose digits fastbp ships, got {path!r}; "
            "fastbp.datasets reads other files"
        )
