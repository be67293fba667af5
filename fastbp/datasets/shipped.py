"""MNIST, whose files are in the folder beside this file."""

import hashlib
import io
from importlib.resources import files
from typing import Any, NamedTuple

from numpy.typing import NDArray

from fastbp.datasets import idx
from fastbp.datasets.part import Part

FOLDER = files("fastbp.datasets") / "mnist"  # also where the package is imported from a zip file
N_TRAINING = 50_000  # of the 60,000 in the training file; the rest are for validation


class Splits(NamedTuple):
    """The three parts of a data set; unpacks as ``training, validation, test = splits``.

    Attributes
    ----------
    training, validation, test : Part

    Examples
    --------
    >>> load_mnist().validation.y[:5].tolist()
    [3, 8, 6, 9, 6]
    """

    training: Part
    validation: Part
    test: Part


def load_mnist() -> Splits:
    """Load the MNIST handwritten digits, which are part of this package.

    Returns
    -------
    Splits
        Parts of 50,000 (training), 10,000 (validation) and 10,000 (test) samples, in MNIST's order: the first
        50,000 and the last 10,000 of its training file, and its test file. X is uint8 of shape (n, 784), an
        image of 28 x 28 per row, 0 (background) to 255 (ink), which ``Network(..., input_divisor=255)``
        brings to 0 .. 1 as it reads them; y is int64 of shape (n,), the digits 0 to 9.
        Every call returns new arrays, the caller's to change.

    Raises
    ------
    FileNotFoundError
        A file is missing from the installed package.
    ValueError
        A file's SHA-256 is not the one that was shipped.

    Notes
    -----
    By Yann LeCun, Corinna Cortes and Christopher J. C. Burges, under CC BY-SA 3.0.

    Examples
    --------
    >>> training, validation, test = load_mnist()
    >>> X, y = training
    >>> X.shape, X.dtype.name, y[:5].tolist()
    ((50000, 784), 'uint8', [5, 0, 4, 1, 9])
    """
    X, y = _load(*idx.TRAINING)
    return Splits(
        training=Part(X[:N_TRAINING], y[:N_TRAINING]),
        validation=Part(X[N_TRAINING:], y[N_TRAINING:]),
        test=_load(*idx.TEST),
    )


def _load(images: str, labels: str) -> Part:
    return idx.labelled(_read(images), _read(labels), images, labels)


def _read(name: str) -> NDArray[Any]:
    file = FOLDER / f"{name}.gz"
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if f"{digest}  {file.name}".encode() not in (FOLDER / "SHA256SUMS").read_bytes().splitlines():
        raise ValueError(
            f"{file}: its SHA-256 is {digest}, expected the one in SHA256SUMS beside it: "
            "one of the two is damaged, install fastbp again"
        )
    return idx.parse(io.BytesIO(content), str(file))
