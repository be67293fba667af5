"""The readers, a valid file for each, and what a reader may do with any other file."""

import contextlib
import functools
import io
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

import fastbp
from fastbp import EarlyStopping, ModelCheckpoint, Network, ReduceLROnPlateau
from fastbp.cli import table
from fastbp.compat import network2
from fastbp.datasets import idx, npz
from fastbp.engine.kernels import cache, shuffle

from . import formats

X = np.random.default_rng(0).integers(-4, 5, (24, 6)) / 4
LABELS = np.array(["cat", "dog", "eel"])[np.arange(24) % 3]


class Wrong(Exception):
    """A reader has done what it must not do."""


class Reader(NamedTuple):
    """A reader of files, and a maker of valid and of changed ones.

    `make` writes a valid file to a path.  `read` reads one, goes on with what it got, and raises `Wrong`
    where that is of no use.  It may raise `errors`; a message is one line that begins with the path.
    """

    make: Callable[[str], Any]
    change: formats.Format
    read: Callable[[str], Any]
    errors: tuple[type[Exception], ...] = (ValueError,)
    names_path: bool = True


def expect(holds: Any, what: str) -> None:
    if not holds:
        raise Wrong(what)


# ---------------------------------------------------------------- networks


def _saved(path: str) -> None:
    net = Network([6, 5, 3], activation=[fastbp.ELU(0.5)], dropout=0.1, scale_inputs=True, seed=3)
    net.fit(X, LABELS, epochs=2, batch_size=5, optimizer=fastbp.AdamW(weight_decay=0.1), learning_rate=0.01)
    net.save(path)


def _load(path: str) -> None:
    """Loads a network, which is either refused or predicts, trains on, and is saved and loaded alike."""
    net = fastbp.load(path)
    if not net.weights:
        return
    some = np.zeros((3, net.weights[0].shape[1]))
    expect(len(net.predict(some)) == 3, "it does not predict")
    again = f"{path}.again"
    try:
        net.save(again)
        expect(fastbp.load(again).fingerprint() == net.fingerprint(), "it is saved as another network")
    finally:
        with contextlib.suppress(OSError):
            os.unlink(again)


def _checkpointed(path: str, stop: int = 7) -> fastbp.Network:
    """Trains for a while, or to the end where there is a checkpoint."""
    np.random.seed(5)  # noqa: NPY002
    net = Network([6, 5, 3], activation=[fastbp.LeakyReLU(0.1)], dropout=0.1)
    keepers = [
        EarlyStopping("loss", patience=9, restore_best_weights=True),
        ReduceLROnPlateau("loss", patience=9),
        ModelCheckpoint(path, every=10**9, resume=True),
    ]
    steps = []

    def until(run: Any) -> None:
        steps.append(1)
        if len(steps) == stop:
            raise KeyboardInterrupt

    class Stop(fastbp.Callback):
        every = 1

        def on_step(self, run: Any) -> None:
            until(run)

    with contextlib.suppress(KeyboardInterrupt):
        net.fit(
            X,
            LABELS,
            epochs=3,
            batch_size=5,
            optimizer="adam",
            learning_rate=0.01,
            callbacks=[*keepers, Stop()],
        )
    return net


def _resume(path: str) -> None:
    net = _checkpointed(path, stop=10**9)
    expect(np.isfinite(net.parameters).all(), "it goes on with numbers that are not finite")


def _ensemble_saved(path: str) -> None:
    fastbp.Ensemble(2, [6, 5, 3], seed=0).fit(X, LABELS, epochs=1, batch_size=5)
    several = fastbp.Ensemble(2, [6, 5, 3], seed=0)
    several.fit(X, LABELS, epochs=1, batch_size=5, optimizer="momentum", learning_rate=0.1)
    several.save(path)


def _ensemble_load(path: str) -> None:
    several = fastbp.load_ensemble(path)
    expect(len(several.predict(np.zeros((3, several[0].sizes[0])))) == 3, "it does not predict")


def _book_saved(path: str) -> None:
    network2.Network([3, 4, 2]).save(path)


def _book_load(path: str) -> None:
    net = network2.load(path)
    expect(net.feedforward(np.zeros((net.sizes[0], 1))).shape == (net.sizes[-1], 1), "it does not predict")


# ---------------------------------------------------------------- data


def _arrays(*arrays: np.ndarray) -> None:
    for array in arrays:
        expect(isinstance(array, np.ndarray) and array.dtype.kind != "O", f"no plain array: {array!r:.80}")


def _idx_written(path: str) -> None:
    Path(path).write_bytes(bytes([0, 0, 8, 2, 0, 0, 0, 3, 0, 0, 0, 4]) + bytes(range(12)))


def _npy_written(path: str) -> None:
    with open(path, "wb") as file:
        np.save(file, X)


def _npz_written(path: str) -> None:
    with open(path, "wb") as file:
        np.savez_compressed(file, X=X, y=np.arange(24))


def _npz_read(path: str) -> None:
    training, test = npz.load_npz(path)
    for part in (training, test) if test else (training,):
        _arrays(*part)
        expect(len(part.X) == len(part.y), "X and y have not as many rows")


def _csv_written(path: str) -> None:
    np.savetxt(path, X[:4], delimiter=",", header="a,b,c,d,e,f", comments="")


def _csv_read(path: str) -> None:
    for header in (None, True, False):
        with contextlib.suppress(ValueError) if header is not None else contextlib.nullcontext():
            found = table.read(path, header, [])
            _arrays(found)
            expect(found.dtype == np.float64 and found.ndim == 2, "no table of numbers")


# ---------------------------------------------------------------- machine code


@functools.cache
def _code_folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="fuzz-"))


def _own_cache() -> Any:
    return mock.patch.object(cache.config, "CACHE_DIR", str(_code_folder()))


def _code_written(path: str) -> None:
    """Compiles a small kernel into a cache of its own."""
    shuffle.permute.cache_clear()
    with _own_cache(), contextlib.redirect_stderr(io.StringIO()):
        shuffle.permute(None)
    (file,) = _code_folder().rglob("*.bin")
    Path(path).write_bytes(file.read_bytes())


def _code_read(path: str) -> None:
    """Looks for the kernel where the cache has the file in its place: damage costs a warning."""
    (file,) = _code_folder().rglob("*.bin")
    whole, content = file.read_bytes(), Path(path).read_bytes()
    if content == whole:
        return
    reader = object.__new__(cache._Cache)
    reader._name = file.name
    try:
        file.write_bytes(content)
        cache._warn_once.cache_clear()
        with warnings.catch_warnings(record=True) as caught, _own_cache(), cache.opened_folder() as opened:
            warnings.simplefilter("always")
            found = reader._load(opened, None)
    finally:
        file.write_bytes(whole)
    expect(found is None, "damaged machine code is used")
    expect(
        [str(w.message) for w in caught if "cannot be used" in str(w.message)], "nothing is said of damage"
    )


READERS = {
    "network": Reader(_saved, formats.container, _load),
    "checkpoint": Reader(_checkpointed, formats.container, _resume),
    "ensemble": Reader(_ensemble_saved, formats.container, _ensemble_load),
    "idx": Reader(_idx_written, formats.idx, lambda path: _arrays(idx.read_idx(path))),
    "npy": Reader(_npy_written, formats.npy, lambda path: _arrays(npz.load_array(path))),
    "npz": Reader(_npz_written, formats.npz, _npz_read),
    "csv": Reader(_csv_written, formats.csv, _csv_read),
    "network2": Reader(
        *(_book_saved, formats.book_json, _book_load, (ValueError, TypeError, AttributeError)),
        names_path=False,
    ),
    "machine code": Reader(_code_written, formats.machine_code, _code_read),
}

# ---------------------------------------------------------------- what a reader does with a file

_RUNS = re.compile(
    r"(os\.(system|exec|posix_spawn|spawn|fork|startfile|putenv)|subprocess|socket|pickle|ctypes\.dlopen)"
)
_watched: list[str] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _watched and _RUNS.match(event):
        _watched.append(f"{event} {arguments!r:.80}")


@functools.cache
def _begin_to_watch() -> None:
    sys.addaudithook(_watch)  # which cannot be removed


def valid(name: str, folder: str) -> bytes:
    """The bytes of a valid file of a reader, which it reads."""
    path = os.path.join(folder, f"valid-{name.replace(' ', '-')}")
    READERS[name].make(path)
    READERS[name].read(path)
    return Path(path).read_bytes()


def verdict(name: str, path: str) -> str:
    """What is wrong with the way in which a file is read; nothing where it is rightly refused, or of use."""
    _begin_to_watch()
    _watched[:] = ["on"]
    reader = READERS[name]
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            reader.read(path)
    except reader.errors as error:
        message = str(error)
        if "MemoryError" in message:
            return f"takes too much memory: {message}"
        if "\n" in message or (reader.names_path and not message.startswith(path)):
            return f"says {message!r:.300}"
    except Exception as error:
        return f"{type(error).__name__}: {error!s:.300}"
    finally:
        seen, _watched[:] = _watched[1:], []
    return f"runs {seen}" if seen else ""
