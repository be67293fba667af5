"""A user's own arrays, from a NumPy .npz file."""

import os
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbp.datasets.part import Part, paired

TRAINING = ("X", "y")
TEST = ("X_test", "y_test")
NPY = ".npy"  # what numpy.savez appends to a name


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
        objects, or has not as many rows as its partner.

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
    name = os.fspath(path)
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                found = [member.removesuffix(NPY) for member in archive.namelist() if member.endswith(NPY)]
                arrays = {array: _read(archive, array) for array in TRAINING + TEST if array in found}
        except Exception as error:  # on damaged bytes zipfile, zlib, ast and NumPy raise a dozen kinds
            raise ValueError(f"{name}: not a readable .npz file of plain arrays: {error!r}") from error
    has_test = any(array in found for array in TEST)
    expected = TRAINING + TEST if has_test else TRAINING
    if any(found.count(array) != 1 for array in expected):
        raise ValueError(
            f"{name}: holds the arrays {', '.join(found) or '(none)'}; "
            f"expected {', '.join(expected)}, each of them once"
        )

    def part(X: str, y: str) -> Part:
        return paired(arrays[X], arrays[y], f"{name}[{X}]", f"{name}[{y}]")

    return part(*TRAINING), part(*TEST) if has_test else None


def _read(archive: zipfile.ZipFile, array: str) -> NDArray[Any]:
    with archive.open(array + NPY) as member:
        values: NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
        if member.read(1):  # reading to the end also compares the checksum
            raise ValueError(f"more bytes in array {array} than its shape {values.shape} needs")
    return values
