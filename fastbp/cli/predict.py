"""``fastbp predict`` lets a saved network answer for a table of samples."""

import argparse
import csv
import io
from typing import TYPE_CHECKING, Any

from .failure import FAILED, Failure, reason
from .interrupt import Interrupt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..network import Network

_TEXT = """\
Let a saved network answer for every sample of a file, as CSV with a header.

DATA is a table of numbers as CSV, a row per sample, with or without a header; an array saved by numpy.save;
an .npz file with an array X; or an IDX file, plain or .gz.  Samples of uint8 are divided as in training."""


def add_to(commands: Any) -> None:
    predict = commands.add_parser(
        "predict",
        help="let a saved network predict",
        description=_TEXT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    predict.add_argument("model", metavar="MODEL", help="a file that fastbp train or Network.save wrote")
    predict.add_argument("data", metavar="DATA", help="the samples")
    what = predict.add_mutually_exclusive_group()
    what.add_argument(
        "--proba", action="store_true", help="write the probabilities of the labels, a column for each"
    )
    what.add_argument("--outputs", action="store_true", help="write the outputs as they are")
    predict.add_argument("--output", metavar="PATH", help="write to this file (default: stdout)")
    predict.set_defaults(run=_run)


def _run(options: argparse.Namespace, interrupt: Interrupt) -> int:
    from .. import durable, files

    try:
        net, X = files.load(options.model), _samples(options.data)
    except (OSError, ValueError) as error:
        raise Failure(reason(error)) from error
    try:
        header, rows = _answers(net, X, options)
    except (TypeError, ValueError) as error:
        raise Failure(f"{options.data}: {reason(error)}") from error
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows.tolist())
    if options.output is None:
        print(text.getvalue(), end="", flush=True)
        return 0
    try:
        with durable.writing(options.output) as file:
            file.write(text.getvalue().encode())
    except (OSError, ValueError) as error:
        raise Failure(f"--output {reason(error)}", FAILED) from error
    return 0


def _answers(net: "Network", X: "NDArray[Any]", options: argparse.Namespace) -> tuple[list[str], Any]:
    """The names of the columns, and the rows."""
    classes = [str(label) for label in getattr(net, "classes_", range(max(2, net.sizes[-1])))]
    if options.proba:
        rows = net.predict_proba(X)
        return classes, rows
    rows = net.outputs(X) if options.outputs else net.predict(X)
    if rows.ndim == 1:
        name = "value" if net.task == "value" else "label"
        return [name], rows[:, None]
    return [f"output {number}" for number in range(rows.shape[1])], rows


def _samples(path: str) -> "NDArray[Any]":
    import numpy as np

    from ..datasets import read_idx

    if path.endswith(".npy"):
        return _rows(np.load(path, allow_pickle=False))
    if path.endswith(".npz"):
        with np.load(path, allow_pickle=False) as arrays:
            if "X" not in arrays:
                raise ValueError(f"{path}: expected an array X, got {', '.join(arrays) or 'none'}")
            return _rows(arrays["X"])
    with open(path, "rb") as file:
        start = file.read(2)
    if start in (b"\0\0", b"\x1f\x8b"):
        return _rows(read_idx(path))
    return _table(path)


def _rows(samples: "NDArray[Any]") -> "NDArray[Any]":
    return samples.reshape(len(samples), -1) if samples.ndim > 1 else samples


def _table(path: str) -> "NDArray[Any]":
    """The numbers of a CSV file; its first line is a header if it holds anything else."""
    import numpy as np

    rows = []
    with open(path, encoding="utf-8-sig", newline="") as file:
        for number, row in enumerate(csv.reader(file), 1):
            if not row:
                continue
            try:
                rows.append([float(cell) for cell in row])
            except ValueError as error:
                if number > 1:
                    raise ValueError(f"{path}, line {number}: {error}") from error
                continue
            if len(row) != len(rows[0]):
                raise ValueError(
                    f"{path}, line {number}: expected {len(rows[0])} numbers as above, got {len(row)}"
                )
    return np.array(rows, np.float64).reshape(len(rows), -1)
