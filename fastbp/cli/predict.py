"""``fastbp predict`` predicts a table of samples with a saved network."""

import argparse
import csv
import io
import os
import stat
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..options.costs import definition_of
from . import saving, table
from .failure import FAILED, Failure, check_variables, reason
from .interrupt import Interrupt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..network import Network

_AT_ONCE = 10_000  # rows

_TEXT = """\
Predict every sample of a file with a saved network, and write CSV with a header.

DATA is a table of numbers as text, a row per sample, its columns separated by commas, semicolons, tabs or
spaces, with or without a header of names; a Parquet file; an array saved by numpy.save; an .npz file with an
array X; or an IDX file, plain or .gz.  A network that was trained on a table or a data frame finds its
columns by their names in the header, in any order and among others, which may hold anything.  Without a
header, and for other networks, columns must be in the order of the inputs.  True and false are read as 1 and
0.  Samples are in the units of the training.

The answers have a row per sample, below the name of each target, or of each label with --proba."""


def add_to(commands: Any) -> None:
    predict = commands.add_parser(
        "predict",
        help="predict with a saved network",
        description=_TEXT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    predict.add_argument("model", metavar="MODEL", help="a file that fastbp train or Network.save wrote")
    predict.add_argument("data", metavar="DATA", help="the samples")
    predict.add_argument(
        "--header",
        action=argparse.BooleanOptionalAction,
        help="whether the first line of a table names its columns (default: detected)",
    )
    what = predict.add_mutually_exclusive_group()
    what.add_argument(
        "--proba", action="store_true", help="write the probabilities of the labels, a column for each"
    )
    what.add_argument("--outputs", action="store_true", help="write the outputs of the last layer")
    predict.add_argument("--output", metavar="PATH", help="write to this file (default: stdout)")
    predict.set_defaults(run=_run)


def _run(options: argparse.Namespace, interrupt: Interrupt) -> int:
    from ..files import durable
    from ..network import load

    if options.output is not None:
        saving.writable("--output", options.output, {"MODEL": options.model, "DATA": options.data})
    check_variables()
    try:
        net = load(options.model)
        X = _samples(net, options)
    except ImportError as error:
        raise Failure(error, FAILED) from error
    except (OSError, ValueError) as error:
        raise Failure(reason(error)) from error
    try:
        header, rows = _answers(net, X, options)
    except (TypeError, ValueError) as error:
        raise Failure(f"{options.data}: {reason(error)}") from error
    lines = _lines(header, rows)
    if options.output is None:
        if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
            sys.stdout.reconfigure(encoding="utf-8")  # as tables are read
        sys.stdout.writelines(lines)
        return 0
    try:
        with durable.writing(options.output) as file:
            file.writelines(line.encode(errors="backslashreplace") for line in lines)
    except (OSError, ValueError) as error:
        raise Failure(f"--output {reason(error)}", FAILED) from error
    return 0


def _lines(header: list[str], rows: "NDArray[Any]") -> Iterator[str]:
    """Yields CSV text, many lines at a time."""
    for first in range(-_AT_ONCE, len(rows), _AT_ONCE):
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([header] if first < 0 else rows[first : first + _AT_ONCE].tolist())
        yield text.getvalue()


def _answers(net: "Network", X: "NDArray[Any]", options: argparse.Namespace) -> tuple[list[str], Any]:
    """Returns the names of the columns, and the rows."""
    targets = list(net._fastbp.learnt.target_names or ())
    classes = [str(label) for label in getattr(net, "classes_", range(max(2, net.sizes[-1])))]
    if options.proba:
        rows = net.predict_proba(X)
        names = [classes] if net.task != "multilabel" else [targets, classes]
    elif options.outputs:
        rows = net.outputs(X)
        names = [targets, classes] if targets else []
        if definition_of(net._fastbp.options.cost).is_paired:
            of_each = targets or ["value"]
            names = [[f"{name} {part}" for name in of_each for part in ("mean", "log variance")]]
    else:
        rows = net.predict(X)
        names = [targets]
        if rows.ndim == 1:
            rows = rows[:, None]
            names.append(["value" if net.task == "value" else "label"])
    default = [f"output {number}" for number in range(rows.shape[1])]
    return next((name for name in names if len(name) == rows.shape[1]), default), rows


def _samples(net: "Network", options: argparse.Namespace) -> "NDArray[Any]":
    from ..datasets import read_idx
    from ..datasets.npz import load_array

    path = options.data
    if path.endswith((".npy", ".npz")):
        kind, load = "a file of NumPy's", load_array
    else:
        if stat.S_ISFIFO(os.stat(path).st_mode):
            raise ValueError(
                f"{path}: expected a file, which is read twice, got a pipe; save the table first"
            )
        with open(path, "rb") as file:
            start = file.read(2)
        if options.header is not None and table.is_parquet(path):
            raise ValueError(f"{path}: expected a table of text with --header or --no-header, got Parquet")
        if start not in (b"\0\0", b"\x1f\x8b"):
            return table.read(path, options.header, list(getattr(net, "feature_names_in_", [])))
        kind, load = "an IDX file", read_idx
    if options.header is not None:
        raise ValueError(f"{path}: expected a table of text with --header or --no-header, got {kind}")
    return _rows(load(path))


def _rows(samples: "NDArray[Any]") -> "NDArray[Any]":
    return samples.reshape(len(samples), -1) if samples.ndim > 1 and samples.size else samples
