"""Files of networks: one open format that holds no code, for networks and trainings.

The layout is that of safetensors, whose library reads it: the length of a header as eight bytes, the header
as JSON, which names the arrays, and the arrays themselves.  Its ``__metadata__`` holds the format's version,
a SHA-256 of all the rest, and, as JSON text, what the arrays are a network by.
"""

import hashlib
import itertools
import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from typing import IO, Any

import numpy as np

from . import activations, costs, durable, schema, validate
from .architecture import Parameters, State, checked
from .kernels.optimizers import states_of
from .scaling import Scaling

_FORMAT = b'{"__metadata__":{"format":"fastbp '  # after the header's length, then the version
_VERSION = b"1"
_DIGEST = _FORMAT + _VERSION + b'","sha256":"'  # then 64 digits, zeros where the digest itself is computed
_TYPES: dict[str, np.dtype] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "I64": np.dtype("<i8"),
    "U8": np.dtype("u1"),
}
_AT_ONCE = 1 << 24  # bytes
_LONGEST = 100_000_000  # bytes of a header, as in the safetensors library
_DIMENSIONS = 32  # of an array, as in any version of NumPy
_OWN = (activations.Activation, costs.Cost)  # hold functions, which no file does
_SCALINGS = ("input_scaling", "output_scaling")
_FUNCTIONS = ("activation", "output_activation", "cost")  # fields of a State that may be a user's own
_COMPUTED_BY = ("activation", "output_activation", "cost", "dtype")  # what a fingerprint has


# ---------------------------------------------------------------- arrays with metadata


def write(
    path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]
) -> None:
    """Writes arrays of float64, float32, int64 or uint8, and what JSON can hold, durably."""
    target = os.fspath(path)
    names = {dtype: name for name, dtype in _TYPES.items()}
    plain = {name: np.asarray(array, array.dtype.newbyteorder("<"), "C") for name, array in arrays.items()}
    for name, array in plain.items():
        validate.storable(target, name, array, list(names))
    header: dict[str, Any] = {
        "__metadata__": {
            "format": f"fastbp {_VERSION.decode()}",
            "sha256": "0" * 64,
            "fastbp": validate.as_json(target, metadata),
        }
    }
    end = 0
    for name, array in plain.items():
        begin, end = end, end + array.nbytes
        header[name] = {
            "dtype": names[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that arrays are aligned
    validate.file_is(target, len(text) <= _LONGEST, f"not written: more than {_LONGEST:,} bytes of metadata")
    start = len(text).to_bytes(8, "little") + text
    digest = hashlib.sha256(start)
    for array in plain.values():
        digest.update(array.data if array.size else b"")
    place = 8 + len(_DIGEST)
    start = start[:place] + digest.hexdigest().encode() + start[place + 64 :]
    with durable.writing(path) as file:
        file.write(start)
        for array in plain.values():
            file.write(array.data if array.size else b"")


def read(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the metadata that `write` was given; nothing in the file is ever executed.

    Raises
    ------
    ValueError
        Which says what is wrong with the file.
    """
    name = os.fspath(path)
    if not stat.S_ISREG(mode := os.stat(path).st_mode):  # nor opened: a FIFO would wait for a writer
        durable.refuse(name, mode)
    with open(path, "rb") as file:
        start = file.read(8 + len(_DIGEST) + 64)
        validate.file_begins(name, start[8:], _FORMAT, _VERSION)
        length = int.from_bytes(start[:8], "little")
        size = os.fstat(file.fileno()).st_size - 8 - length
        validate.file_is(name, size >= 0 and len(start) == 8 + len(_DIGEST) + 64, "truncated")
        validate.file_is(name, length <= _LONGEST, "damaged: its header is too long")
        text = start[8:] + file.read(max(0, length + 8 - len(start)))
        place = len(_DIGEST)
        digest = hashlib.sha256(start[:8] + text[:place] + b"0" * 64)
        digest.update(memoryview(text)[place + 64 :])
        with understood(name, "damaged: its header cannot be read"):
            header = json.loads(text, object_pairs_hook=_unequal)
            metadata = json.loads(header.pop("__metadata__")["fastbp"], object_pairs_hook=_unequal)
            entries = [(key, *_entry(value)) for key, value in header.items()]
        end = 0
        for _, _, _, begin, last in entries:
            validate.file_is(name, begin == end, "damaged: its arrays do not follow one another")
            end = last
        validate.file_is(name, size >= end, "truncated")
        validate.file_is(name, size == end, "damaged: there is more in it than its arrays")
        arrays = {}
        for key, dtype, shape, _, _ in entries:
            arrays[key] = array = np.empty(shape, dtype)
            _fill(file, array, digest)
    validate.file_is(
        name, digest.hexdigest().encode() == text[place : place + 64], "damaged: its checksum differs"
    )
    return arrays, metadata


@contextmanager
def understood(path: str, otherwise: str) -> Iterator[None]:
    """The file is to blame for whatever goes wrong while what it says is taken apart."""
    try:
        yield
    except validate.UnknownFieldError as error:
        validate.file_is(path, False, f"needs a later version of fastbp, which knows {error}")
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        validate.not_understood(path, otherwise, error)


def _unequal(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, each of whose names is there once."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _entry(value: Any) -> tuple[np.dtype, tuple[int, ...], int, int]:
    """Type, shape and place of an array; anything else than that raises an exception."""
    dtype, shape = _TYPES[value["dtype"]], tuple(value["shape"])
    begin, end = value["data_offsets"]
    numbers = (*shape, begin, end)
    is_good = len(shape) <= _DIMENSIONS and all(type(n) is int and 0 <= n < 1 << 63 for n in numbers)
    # NumPy refuses a shape that would be too large but for a 0 in it
    if not is_good or math.prod(n or 1 for n in shape) * dtype.itemsize >= 1 << 63:
        raise ValueError("no shape or place of an array")
    if end - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError("the place of an array does not have its size")
    return dtype, shape, begin, end


def _fill(file: IO[bytes], array: np.ndarray, digest: Any) -> None:
    """Reads an array, and takes it into the digest."""
    view = memoryview(array.reshape(-1).view(np.uint8).data)
    for first in range(0, len(view), _AT_ONCE):
        part = view[first : first + _AT_ONCE]
        file.readinto(part)  # type: ignore[attr-defined]
        digest.update(part)


# ---------------------------------------------------------------- networks


def described(net: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """A network as arrays and what JSON can hold."""
    from . import __version__

    state: State = net._fastbp
    weights: list[np.ndarray] = []
    biases: list[np.ndarray] = []
    sizes = [int(size) for size in net.sizes]
    if len(net.weights):
        architecture, weights, biases = checked(net)
        sizes = list(architecture.sizes)
    arrays = _named("", (weights, biases))
    for number, memory in enumerate(state.memory):
        arrays |= _named(f"optimizer.{number}.", memory)
    for name in _SCALINGS:
        if (scaling := getattr(state, name)) is not None:
            arrays |= {f"{name}.{part}": getattr(scaling, part) for part in Scaling._fields}
    metadata = {
        "version": __version__,
        "sizes": sizes,
        "network": {name: _plain(getattr(state, name)) for name in schema.NETWORK},
        "training": None,
        "trained": {name: _plain(getattr(state, name)) for name in schema.TRAINED},
    }
    return arrays, metadata


def network_from(
    path: str,
    arrays: Mapping[str, np.ndarray],
    metadata: Mapping[str, Any],
    own: Mapping[str, Any],
    otherwise: str = "damaged",
) -> Any:
    """The network of a file, all of whose values are checked, those of a checkpoint included.

    `own` has the activations and the cost of a user's own functions.
    """
    with understood(path, otherwise):
        schema.check(metadata)
    options = {name: schema.object_of(value) for name, value in metadata["network"].items()}
    functions = [name for name, value in options.items() if _has_own(value)]
    validate.functions_given(path, [name for name in functions if own.get(name) is None])
    options |= {name: own[name] for name in functions}
    with understood(path, otherwise):
        return _network(metadata, arrays, options)


def _network(metadata: Mapping[str, Any], arrays: Mapping[str, np.ndarray], options: dict[str, Any]) -> Any:
    """The network of metadata that suit the schema, with its `options` as `Network` takes them."""
    from .network import Network

    sizes, dtype = metadata["sizes"], np.dtype(options["dtype"])
    trained = {name: schema.object_of(value) for name, value in metadata["trained"].items()}
    weights, biases = _listed("", arrays)
    validate.sizes_of(sizes)
    inputs = outputs = 0
    if weights:
        validate.stored_parameters("", weights, biases, dtype)
        shapes = [weights[0].shape[1], *map(len, weights)]
        validate.equal("sizes", sizes, shapes, "the shape of weights")
        inputs, outputs = shapes[0], shapes[-1]
    numbers = {name.split(".")[1] for name in arrays if name.startswith("optimizer.")}
    memory = tuple(_listed(f"optimizer.{number}.", arrays) for number in range(len(numbers)))
    for number, parameters in enumerate(memory):
        validate.stored_parameters(f"optimizer.{number}.", *parameters, dtype, infinite=True)
    states = 0 if trained["optimizer"] is None else states_of(trained["optimizer"].row)
    validate.count_of_states(len(memory), states)
    scalings: dict[str, Any] = {name: _scaling(name, arrays) for name in _SCALINGS}
    for name, columns in zip(_SCALINGS, (inputs, outputs), strict=True):
        validate.scaling(name, scalings[name], columns)
    for flag, name in zip(("scale_inputs", "scale_outputs"), _SCALINGS, strict=True):
        learnt = scalings[name] is not None
        wanted = options.get(flag, False) and (learnt or trained["task"] is not None)
        validate.equal(f"the arrays of {name}", learnt, wanted, f"network.{flag}")
    if trained.get("classes") is not None:
        trained["classes"] = validate.classes(trained["classes"], outputs, "trained.classes")
    if trained.get("feature_names") is not None:
        trained["feature_names"] = tuple(trained["feature_names"])
        validate.equal("the length of trained.feature_names", len(trained["feature_names"]), inputs, "sizes")
    known = {*_named("", (weights, biases)), *schema.check_arrays(metadata, arrays, (weights, biases))}
    for number, parameters in enumerate(memory):
        known |= {*_named(f"optimizer.{number}.", parameters)}
    known |= {f"{name}.{part}" for name in _SCALINGS if scalings[name] for part in Scaling._fields}
    validate.stored_arrays(arrays, known)
    widths = [1] * len(weights) + [max(1, outputs)]  # no memory for what is replaced
    zeros = [np.zeros((n_out, n_in)) for n_in, n_out in itertools.pairwise(widths)]
    net = Network(widths, **options, init=zeros)
    net.sizes, net.num_layers, net.weights, net.biases = sizes, len(sizes), weights, biases
    net._fastbp = replace(net._fastbp, **trained, **scalings, memory=memory)
    return net


def check(path: str, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> None:
    """Raises the ValueError of `load`; in the place of a user's own functions stand others."""
    function = activations.Activation(abs, abs)
    stand_ins = {**dict.fromkeys(_FUNCTIONS, function), "cost": costs.Cost(max, max)}
    network_from(path, arrays, metadata, stand_ins)


def functions_of(net: Any) -> dict[str, Any]:
    """The options of a network that are a user's own functions, which no file holds."""
    options = {name: getattr(net._fastbp, name) for name in _FUNCTIONS}
    return {name: value for name, value in options.items() if _has_own(_plain(value))}


def keep(net: Any, path: str, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> None:
    """Writes a network, as it is `described`, after making sure that it can be read again."""
    text = validate.as_json(path, metadata)
    network_from(path, arrays, json.loads(text), functions_of(net), "not saved")
    write(path, arrays, metadata)


def fingerprint(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> str:
    """`Network.fingerprint`, of a network as it is `described`."""
    network = metadata["network"]
    told = {name: network[name] for name in _COMPUTED_BY}
    told["uint8_divisor"] = network.get("input_divisor") or network.get("uint8_divisor") or 1.0
    if not isinstance(told["activation"], list):
        told["activation"] = [told["activation"]] * (len(metadata["sizes"]) - 2)
    told["classes"] = metadata["trained"].get("classes")
    digest = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode())
    for name in sorted(arrays):
        if not name.startswith(("optimizer.", "training.")):
            array = arrays[name]
            digest.update(f"{name} {array.shape}".encode())
            digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


def in_words(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What a file says of its network: names and values."""
    network, trained = metadata["network"], metadata["trained"]
    shown = {name: value for name, value in network.items() if value not in (None, 0.0, [])}
    return {
        "sizes": ", ".join(map(str, metadata["sizes"])),
        **{name: _word(value) for name, value in shown.items()},
        **({"columns": ", ".join(names)} if (names := trained.get("feature_names")) else {}),
        "trained for": trained["task"] or "nothing yet",
        "epochs": trained["epochs"],
        "steps": trained["batches"],
        "optimizer": _word(trained["optimizer"]),
    }


def _word(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_word, value))
    if isinstance(value, dict):
        return f"{value['own']} of a user's own" if "own" in value else repr(schema.object_of(value))
    return "none" if value is None else str(value)


def save(net: Any, path: str | os.PathLike[str]) -> None:
    """`Network.save`."""
    validate.plain_labels(os.fspath(path), net._fastbp.classes or ())
    keep(net, os.fspath(path), *described(net))


def load(
    path: str | os.PathLike[str], *, activation: Any = None, output_activation: Any = None, cost: Any = None
) -> Any:
    """The network that `Network.save`, a `ModelCheckpoint` or ``fastbp train`` wrote.

    It predicts the same bits, and `fit` goes on with the optimizer's state as if there had been no file.  Of
    a subclass, it is a `Network` with its weights.

    Parameters
    ----------
    path : str or path-like
    activation, output_activation, cost : object, optional
        What the network had of a user's own functions, which no file holds; as `Network` takes it.  Each is
        looked at only where it had.

    Returns
    -------
    Network

    Raises
    ------
    OSError
        For a file that cannot be read.
    ValueError
        For a file that is damaged, truncated, of another format or of a later version.

    Examples
    --------
    >>> import os, tempfile
    >>> from fastbp import Network
    >>> path = os.path.join(tempfile.mkdtemp(), "net.fastbp")
    >>> net = Network([3, 2], seed=0)
    >>> net.save(path)
    >>> load(path)
    Network([3, 2], seed=0, dtype='float64')
    """
    given = {"activation": activation, "output_activation": output_activation, "cost": cost}
    return network_from(os.fspath(path), *read(path), given)


def _scaling(name: str, arrays: Mapping[str, np.ndarray]) -> Scaling | None:
    names = [f"{name}.{part}" for part in Scaling._fields]
    if names[0] not in arrays:
        return None
    validate.arrays_there(arrays, names)
    return Scaling(*(arrays[name] for name in names))


def _named(prefix: str, parameters: Parameters) -> dict[str, np.ndarray]:
    return {
        f"{prefix}{kind}.{layer}": array
        for kind, arrays in zip(("weights", "biases"), parameters, strict=True)
        for layer, array in enumerate(arrays)
    }


def _listed(prefix: str, arrays: Mapping[str, np.ndarray]) -> Parameters:
    layers = sum(name.startswith(f"{prefix}weights.") for name in arrays)
    names = [[f"{prefix}{kind}.{layer}" for layer in range(layers)] for kind in ("weights", "biases")]
    validate.arrays_there(arrays, itertools.chain(*names))
    weights, biases = ([arrays[name] for name in listed] for listed in names)
    return weights, biases


def _plain(value: Any) -> Any:
    """What JSON can hold, of a field of the state; `schema.object_of` takes it back."""
    if isinstance(value, _OWN):
        return {"own": type(value).__name__}
    if is_dataclass(value):
        options = {field.name: getattr(value, field.name) for field in fields(value)}
        return {"kind": type(value).__name__, "options": options}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, np.dtype) else value


def _has_own(value: Any) -> bool:
    """Whether an option, as a file has it, is a user's own function, or one of its list is."""
    if isinstance(value, list):
        return any(map(_has_own, value))
    return isinstance(value, dict) and "own" in value
