"""A user's own arrays, from a NumPy .npz file."""

import os
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import IO, Any

from numpy.typing import NDArray

from fastbp.datasets import bounded, npy
from fastbp.datasets.part import Part, paired

TRAINING = ("X", "y")
TEST = ("X_test", "y_test")
NPY = ".npy"  # what numpy.savez appends to a name
ZIP = b"PK"


def load_npz(path: str | os.PathLike[str]) -> tuple[Part, Part | None]:
    """Load a data set that was stored with ``numpy.savez(path, X=X, y=y, X_test=..., y_test=...)``.

    Parameters
    ----------
    path : str or path-like
        The file. `X_test` and `y_test` may be absent, other arrays are left alone.

    Returns
    -------
    training : Part
        `X` and `y` as they were stored, one sample per row.
    test : Part or None
        `X_test` and `y_test` likewise; None if the file holds neither.

    Raises
    ------
    OSError
        The file is missing or cannot be read.
    ValueError
        The file is no .npz file or is damaged, an array is missing (one of a pair, too), holds pickled
        objects, or has not as many rows as its partner.  No memory is taken for bytes that only a header
        promises, nor for more than 64 MiB that are compressed to less than a thousandth: a zip bomb.

    Examples
    --------
    >>> import numpy as np, os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "xor.npz")
    ...     np.savez(path, X=np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), y=np.array([0, 1, 1, 0]))
    ...     (X, y), test = load_npz(path)
    >>> X.shape, y.tolist(), test
    ((4, 2), [0, 1, 1, 0], None)
    """
    arrays = read_npz(path, TRAINING, TEST)
    name = os.fspath(path)

    def part(X: str, y: str) -> Part:
        return paired(arrays[X], arrays[y], f"{name}[{X}]", f"{name}[{y}]")

    return part(*TRAINING), part(*TEST) if TEST[0] in arrays else None


def load_array(path: str | os.PathLike[str]) -> NDArray[Any]:
    """The array of an .npy file, or X of an .npz file; the content decides, not the name.

    Raises
    ------
    OSError
        The file is missing or cannot be read.
    ValueError
        The file is damaged, holds pickled objects or no X.
    """
    with open(path, "rb") as file:
        if file.read(len(ZIP)) == ZIP:
            return read_npz(path, TRAINING[:1])["X"]
        size = os.fstat(file.fileno()).st_size

        def opened() -> AbstractContextManager[IO[bytes]]:
            file.seek(0)
            return nullcontext(file)

        with _readable(path, ".npy"):
            return npy.read(opened, size, size)


def read_npz(
    path: str | os.PathLike[str], required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> dict[str, NDArray[Any]]:
    """Reads the arrays of these names; the optional ones all or none.

    The zip's directory, the header of each array and the bytes themselves must agree.
    """
    with open(path, "rb") as file:
        with _readable(path, ".npz"):
            archive = zipfile.ZipFile(file)
        names = [member.removesuffix(NPY) for member in archive.namelist() if member.endswith(NPY)]
        expected = required + optional if any(name in names for name in optional) else required
        if any(names.count(name) != 1 for name in expected):
            raise ValueError(
                f"{os.fspath(path)}: holds the arrays {', '.join(names) or '(none)'}; "
                f"expected {', '.join(expected)}, each of them once"
            )
        with _readable(path, ".npz"):
            return {name: _member(archive, name + NPY, os.fstat(file.fileno()).st_size) for name in expected}


@contextmanager
def _readable(path: str | os.PathLike[str], kind: str) -> Iterator[None]:
    """Converts the many kinds of exceptions about damaged bytes to a ValueError that names the file."""
    try:
        yield
    except MemoryError:  # of numbers that are there
        raise
    except Exception as error:
        why = str(error) if type(error) in (ValueError, bounded.Bomb) else repr(error)
        raise ValueError(f"{os.fspath(path)}: not a readable {kind} file of plain arrays: {why}") from error


def _member(archive: zipfile.ZipFile, name: str, most: int) -> NDArray[Any]:
    """Reads an array of an archive of `most` bytes."""
    info = archive.getinfo(name)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"expected {name} stored or deflated, as NumPy writes it")
    if info.compress_size > most or (
        info.compress_type == zipfile.ZIP_STORED and info.file_size != info.compress_size
    ):
        raise ValueError(f"expected {name} of the size that the archive has for it, got {info.file_size:,}")
    return npy.read(lambda: archive.open(info), info.file_size, info.compress_size)
