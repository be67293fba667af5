"""The page of ``--report``: one HTML file about a training, which loads nothing from elsewhere."""

import argparse
import hashlib
import io
import os
import platform
import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import __version__
from ..files import durable
from . import data, recipe
from .failure import FAILED, Failure
from .search import Found

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..network import Network
    from ..training.history import History

_PARTS = ("training", "validation", "test")
_MOST_COLUMNS = 200  # inputs whose importance is measured
_MOST_ROWS = 1000  # rows of the test part that it is measured on
_REPEATS = 5  # shuffles of a column
_MOST_CLASSES = 40  # rows of a confusion matrix
_MOST_POINTS = 2000  # points of residuals
_MOST_NAMES = 50  # names of columns that are listed

_STYLE = """\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse } td, th { padding: .2em 1em .2em 0; text-align: left; vertical-align: top }
th { font-weight: 600; white-space: nowrap }
td.number { text-align: right; font-variant-numeric: tabular-nums }
.bar { background: #0072B2; height: .8em } code { overflow-wrap: anywhere }
svg { max-width: 100%; height: auto }
"""


class Training(NamedTuple):
    """A training that has ended, and what is known of it."""

    dataset: data.Dataset
    parts: dict[str, data.Rows]
    options: argparse.Namespace
    net: "Network"
    history: "History | None"
    found: Found | None
    verdict: list[str]


def check_pictures() -> None:
    """Refuses to train for a report where no picture can be drawn."""
    from ..training.curves import pyplot

    try:
        pyplot("--report")
    except ImportError as error:
        raise Failure(error, FAILED) from error


def write(path: str, training: Training) -> None:
    """Writes the page to `path`; the same training gives the same bytes."""
    try:
        with durable.writing(path) as file:
            file.write(_page(training).encode(errors="backslashreplace"))
    except (OSError, ValueError) as error:
        raise Failure(f"--report {error}", FAILED) from error


def _page(training: Training) -> str:
    title = escape(
        f"{os.path.basename(training.dataset.name)}: {', '.join(training.dataset.targets or ['y'])}"
    )
    body = "\n".join(f"<h2>{escape(name)}</h2>\n{text}" for name, text in _sections(training) if text)
    lead = "".join(f"<p>{escape(line)}</p>" for line in training.verdict)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        f"<style>\n{_STYLE}</style></head>\n<body><h1>{title}</h1>\n{lead}\n{body}\n</body></html>\n"
    )


def _sections(training: Training) -> Iterator[tuple[str, str]]:
    """Yields the headings of the page and the HTML below each."""
    import matplotlib

    matplotlib.use("agg")  # which opens no window
    options, net, test = training.options, training.net, training.parts.get("test")
    yield "Data", _pairs(_data(training))
    network, _, steps = recipe.described(options).partition("; ")
    epochs = f"{training.history.epochs if training.history else 0} of {options.epochs}"
    yield "Recipe", _pairs({"network": network.removeprefix("network "), "training": steps, "epochs": epochs})
    if training.found:
        yield "Scores", _scores(training.found)
    if training.history and training.history.epochs:
        yield "Learning curves", _curves(training.history)
    if test is not None:
        yield "Test", "".join(_test_pictures(training, test))
        yield "Importance of columns", _importance(training, test)
    yield "Versions", _pairs(_versions(net))


def _data(training: Training) -> dict[str, str]:
    """Describes the data, row by row of a table."""
    dataset, parts, options = training.dataset, training.parts, training.options
    inputs = dataset.inputs or ()
    columns = f"{training.net.sizes[0]:,}"
    if inputs:
        more = ", ..." if len(inputs) > _MOST_NAMES else ""
        columns += f": {', '.join(inputs[:_MOST_NAMES])}{more}"
    weights = {"weights": options.weights} if options.weights else {}
    digest = {"SHA-256": _digest(dataset.name)} if os.path.isfile(dataset.name) else {}
    return {
        "file": dataset.name,
        **digest,
        "samples": ", ".join(f"{kind} {len(parts[kind].y):,}" for kind in _PARTS if kind in parts),
        "inputs": columns,
        "learned": f"{dataset.task} of {', '.join(dataset.targets or ['y'])}, {dataset.why}",
        **weights,
    }


def _digest(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _versions(net: "Network") -> dict[str, str]:
    import numba
    import numpy as np

    return {
        "fingerprint": net.fingerprint(),
        "fastbp": __version__,
        "NumPy": np.__version__,
        "Numba": numba.__version__,
        "Python": platform.python_version(),
    }


def _scores(found: Found) -> str:
    """Tabulates the score of each recipe of a search, and those of the folds of the best."""
    best = found.ranking[0]
    html = ""
    if best.candidate.words:
        rows = [[one.candidate.words, one.in_words] for one in found.ranking]
        html = _table(["recipe", found.score], rows)
    if len(best.scores) > 1:
        rows = [[f"fold {fold}", f"{score:.4f}"] for fold, score in enumerate(best.scores, 1)]
        html += _table(["", found.score], [*rows, ["mean and standard deviation", best.in_words]])
    return html


# Pictures


def _curves(history: "History") -> str:
    from ..plot import history as drawn

    axes = drawn(history)
    notes = "".join(f"<p>{escape(note)}</p>" for note in history.notes)
    return _svg(getattr(axes, "flat", [axes])[0].figure, "curves") + notes


def _drawn(part: data.Rows, most: int, seed: int) -> data.Rows:
    """Returns the rows that count, or so many of them, drawn by the seed, because rows may be sorted."""
    import numpy as np

    rows = np.arange(len(part.y)) if part.weights is None else np.flatnonzero(part.weights > 0)
    if len(rows) > most:
        rows = np.sort(np.random.RandomState(seed).permutation(rows)[:most])
    return part.at(rows)


def _test_pictures(training: Training, test: data.Rows) -> Iterator[str]:
    """Yields a confusion matrix, or the residuals of each value."""
    from ..plot import confusion_matrix, residuals

    net, targets = training.net, training.dataset.targets
    if net.task in ("labels", "binary"):
        classes = len(net.classes_)
        if classes > _MOST_CLASSES:
            yield f"<p>No confusion matrix is drawn for {classes:,} labels.</p>"
            return
        yield _svg(confusion_matrix(net, test.X, test.y).figure, "confusion")
    elif net.task in ("value", "values"):
        points = _drawn(test, _MOST_POINTS, training.options.seed)
        for output in range(1 if test.y.ndim == 1 else test.y.shape[1]):
            axes = residuals(net, points.X, points.y, output=output)
            if targets:
                axes.set_xlabel(f"predicted {targets[output]}")
            yield _svg(axes.figure, f"residuals {output}")


def _svg(figure: Any, name: str) -> str:
    """Returns the picture as an element that may stand in a page, and closes the figure."""
    import matplotlib
    import matplotlib.pyplot as plt

    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    plt.close(figure)
    svg = text.getvalue()
    svg = re.sub(r"(?s)<metadata>.*?</metadata>", "", svg[svg.index("<svg") :])
    return re.sub(r' id="[a-zA-Z]+_\d+"', "", svg)  # groups' names, which would be those of other pictures


# Importance


def _importance(training: Training, test: data.Rows) -> str:
    """Tabulates by how much the score falls when a column's numbers are shuffled among the samples."""
    import numpy as np

    columns = test.X.shape[1]
    if columns > _MOST_COLUMNS:
        return f"<p>Not measured: there are {columns:,} columns, more than {_MOST_COLUMNS}.</p>"
    drawn = _drawn(test, _MOST_ROWS, training.options.seed)
    falls = importance(training.net, drawn, training.options.seed)
    names = training.dataset.inputs or [f"column {number}" for number in range(columns)]
    order = np.argsort(-falls, kind="stable")
    largest = max(float(falls.max()), 1e-300)
    rows = [
        f'<tr><td>{escape(names[at])}</td><td class="number">{falls[at]:.4f}</td>'
        f'<td style="width: 20em"><div class="bar" style="width: {max(0.0, 100 * falls[at] / largest):.1f}%">'
        "</div></td></tr>"
        for at in order.tolist()
    ]
    score = "accuracy" if training.dataset.task == "labels" else "R^2"
    return (
        f"<p>By how much the {score} of {len(drawn.y):,} test samples falls when the numbers of a column are "
        f"shuffled among them, the mean of {_REPEATS} shuffles.</p>\n<table>{''.join(rows)}</table>"
    )


def importance(net: "Network", part: data.Rows, seed: int) -> "NDArray[Any]":
    """Returns the mean fall of the score (columns,) when a column is shuffled, by the seed."""
    import numpy as np

    random = np.random.RandomState(seed)
    orders = [random.permutation(len(part.y)) for _ in range(_REPEATS)]
    whole = net.score(part.X, part.y, sample_weight=part.weights)
    shuffled = part.X.copy()
    falls = np.zeros(part.X.shape[1])
    for column in range(len(falls)):
        for order in orders:
            shuffled[:, column] = part.X[order, column]
            falls[column] += whole - net.score(shuffled, part.y, sample_weight=part.weights)
        shuffled[:, column] = part.X[:, column]
    return falls / _REPEATS


# Tables


def _pairs(rows: dict[str, str]) -> str:
    body = "".join(
        f"<tr><th>{escape(name)}</th><td><code>{escape(value)}</code></td></tr>"
        for name, value in rows.items()
    )
    return f"<table>{body}</table>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    titles = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{titles}</tr>{body}</table>"
