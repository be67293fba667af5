"""The columns of a table to train on: inputs, targets, and weights of the samples."""

import difflib
import math
import re
import shlex
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from . import table

if TYPE_CHECKING:
    from numpy.typing import NDArray

ENDINGS = (".csv", ".tsv", ".txt", ".parquet")
EXACT = 2**53  # larger floats are whole numbers whatever was meant
_MOST_LABELS = 20  # different whole numbers that are labels; more are values
_NO_VALUE = {"", "na", "n/a", "#n/a", "nan", "null"}  # cells of a target, in lower case
_WHOLE = re.compile(r"[+-]?[0-9]+")
_PADDED = re.compile(r"[+-]?0[0-9]")
_DATE = re.compile(r"\s*\d{1,4}([-/.])(\d{1,2}|[A-Z][a-z]{2})\1\d{1,4}(\D.*)?")
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d*,\d+\s*")
_FILL = (
    "fill missing numbers first, by pandas' fillna or scikit-learn's SimpleImputer, or delete such rows "
    "(docs/recipes.md, Missing numbers)"
)


class Roles(NamedTuple):
    """The columns that options name, and the task, if one was chosen."""

    targets: tuple[str, ...]
    weights: str | None = None
    dropped: tuple[str, ...] = ()
    task: str | None = None


class Columns(NamedTuple):
    """The numbers of a table: X (rows, inputs), y, and the weight of each row, if there are weights.

    y is (rows,) text, integers (labels) or floats (values); or (rows, targets) zeros and ones, or floats.
    """

    X: "NDArray[Any]"
    y: "NDArray[Any]"
    weights: "NDArray[Any] | None"
    inputs: tuple[str, ...]
    task: str
    why: str


def load(path: str, roles: Roles, first: Columns | None = None) -> Columns:
    """Reads a table with a header of names; every error is a line that says where and what to do.

    The inputs are all columns that the roles do not name.  A second table has the inputs of the `first`, and
    its targets are read as those were.
    """
    inputs = first.inputs if first else None
    with table.opened(path) as rows:
        each = iter(rows)
        names = _names(next(each, []), roles, inputs)
        body = _Body(names, roles, inputs)
        for cells in each:
            body.add(cells, rows.line)
    if not body.lines:
        raise ValueError(f"{path}: expected rows below the names of the columns, got none")
    places = _Places(path, rows.unit, body.lines)
    columns = [
        _numbers_or_text(column, name, _Reading.of(roles, first, name), places)
        for name, column in zip(roles.targets, body.targets, strict=True)
    ]
    if first is None:
        _check_different(roles, columns, places)
    y, task, why = _targets(roles._replace(task=first.task if first else roles.task), columns, places)
    return Columns(body.samples(places), y, body.checked_weights(places), body.inputs, task, why)


def counters(X: "NDArray[Any]", inputs: Sequence[str]) -> list[str]:
    """Returns notes on columns that count the rows, by which a sorted table can be learned by heart."""
    import numpy as np

    counts = (X - X[0] == np.arange(len(X))[:, None]).all(axis=0)
    return [
        f"column {name!r} counts the rows: --drop {shlex.quote(name)} leaves it out"
        for name, is_counter in zip(inputs, counts, strict=True)
        if is_counter
    ]


class _Places(NamedTuple):
    """The line of each row, for errors about a row."""

    path: str
    unit: str
    lines: Sequence[int]

    def error(self, row: Any, message: str) -> ValueError:
        return ValueError(f"{self.path}, {self.unit} {self.lines[int(row)]}: {message}")


class _Body:
    """The rows of a table, as they are read: numbers of inputs, text of targets.

    Attributes
    ----------
    inputs : tuple of str
    targets : list of list of str
        The cells of each target.
    lines : array of int
        The line of each row.
    """

    def __init__(self, names: list[str], roles: Roles, inputs: tuple[str, ...] | None) -> None:
        used = {*roles.targets, *roles.dropped, roles.weights}
        self.inputs = inputs or tuple(name for name in names if name not in used)
        if not self.inputs:
            raise ValueError(f"expected columns beside those of the options, got {table.listed(names)}")
        self.targets: list[list[str]] = [[] for _ in roles.targets]
        self.lines = array("q")
        self._names, self._weights_name = names, roles.weights
        self._of_inputs = [names.index(name) for name in self.inputs]
        self._of_targets = [names.index(name) for name in roles.targets]
        self._shown = [repr(name) for name in self.inputs]
        self._numbers, self._weights = array("d"), array("d")

    def add(self, cells: list[str], line: int) -> None:
        if len(cells) != len(self._names):
            raise ValueError(f"expected {len(self._names)} cells, one for each name, got {len(cells)}")
        try:
            self._numbers.extend(table.numbers([cells[at] for at in self._of_inputs], self._shown))
        except table.NotANumber as error:
            raise ValueError(f"{error}; {_advice(error.cell, self.inputs[error.position])}") from error
        if self._weights_name is not None:
            cell = cells[self._names.index(self._weights_name)]
            self._weights.extend(table.numbers([cell], [repr(self._weights_name)]))
        for at, column in zip(self._of_targets, self.targets, strict=True):
            column.append(cells[at].strip())
        self.lines.append(line)

    def samples(self, places: _Places) -> "NDArray[Any]":
        """Returns X (rows, inputs), which must be finite."""
        import numpy as np

        X = np.frombuffer(self._numbers).reshape(-1, len(self.inputs))
        if not np.isfinite(X).all():
            row, column = np.argwhere(~np.isfinite(X))[0]
            advice = f"; {_FILL}" if np.isnan(X[row, column]) else ""
            raise places.error(
                row, f"expected a finite number in column {self._shown[column]}, got {X[row, column]}{advice}"
            )
        return X

    def checked_weights(self, places: _Places) -> "NDArray[Any] | None":
        """Returns the weight of each row, if there are weights, which must not be negative nor all 0."""
        import numpy as np

        if self._weights_name is None:
            return None
        weights, name = np.frombuffer(self._weights), repr(self._weights_name)
        for row, weight in enumerate(weights):
            if not 0 <= weight < math.inf:
                raise places.error(row, f"expected a weight of at least 0 in column {name}, got {weight}")
        if not weights.any():
            raise ValueError(f"{places.path}: expected weights above 0 in column {name}, got zeros alone")
        return weights


def _names(header: list[str], roles: Roles, inputs: tuple[str, ...] | None) -> list[str]:
    """Returns the names of the columns, which must differ; those of the options must be among them."""
    names = [cell.strip() for cell in header]
    listed = table.listed(names)
    if not names:
        raise ValueError("expected a table, whose first line names the columns, got an empty file")
    if not {*roles.targets} & {*names} and all(map(_is_no_name, names)):
        raise ValueError(f"expected the names of the columns, got {listed}; add a first line of names")
    if len({*names}) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"expected names of columns that differ, got {twice!r} {names.count(twice)} times")
    if not roles.targets:
        raise ValueError(f"expected --target and the column to learn, one of {listed}")
    if inputs:
        weights = () if roles.weights is None else (roles.weights,)
        if missing := [name for name in (*inputs, *roles.targets, *weights) if name not in names]:
            raise ValueError(f"expected the columns of --data, got {listed}, without {table.listed(missing)}")
        return names
    if "" in names and "" not in roles.dropped:
        raise ValueError(
            f"expected a name of every column, got none of column {names.index('') + 1}; if it is an index, "
            "such as pandas writes, leave it out: --drop ''"
        )
    _check_options(names, roles)
    return names


def _check_options(names: list[str], roles: Roles) -> None:
    """Refuses options that name no column, or one that another option names."""
    known: dict[str, str] = {}
    named = {"--target": roles.targets, "--drop": roles.dropped, "--weights": (roles.weights,)}
    for option, name in ((option, name) for option, several in named.items() for name in several):
        if name is None:
            continue
        if name not in names:
            close = difflib.get_close_matches(name, names, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"{option}: expected a column of {table.listed(names)}, got {name!r}{hint}")
        if name in known:
            raise ValueError(f"{option}: expected another column, got {name!r}, as in {known[name]}")
        known[name] = option


def _is_no_name(cell: str) -> bool:
    return table.is_number(cell) or table.is_missing(cell)


def _advice(cell: str, name: str) -> str:
    """Says what to do about an input that is no number."""
    leave_out = f"leave the column out: --drop {shlex.quote(name)}"
    if cell.strip().lower() in _NO_VALUE:
        return _FILL
    if _DECIMAL_COMMA.fullmatch(cell):
        return "write decimals with a point"
    if _DATE.fullmatch(cell):
        return f"make a number of each date, such as the days since the first one, or {leave_out}"
    return f"make a column of zeros and ones for each text, as pandas.get_dummies does, or {leave_out}"


# Targets


class _Reading(NamedTuple):
    """How the cells of a target are read.

    Attributes
    ----------
    numbers : str
        Why every cell is a number, if that is sure.
    is_text, are_labels : bool
        Whether the cells are text for sure, and whether they are labels.
    has_truths : bool
        Whether true and false are the same however they are written.
    """

    numbers: str = ""
    is_text: bool = False
    are_labels: bool = False
    has_truths: bool = True

    @classmethod
    def of(cls, roles: Roles, first: Columns | None, name: str) -> "_Reading":
        """Follows from the options, or from how a `first` table was read."""
        if len(roles.targets) > 1:
            return cls(f"as in each of several targets (text is learned alone: --target {shlex.quote(name)})")
        if roles.task == "values":
            return cls("as --task values says")
        if first is None:
            return cls(are_labels=roles.task == "labels")
        if first.y.dtype.kind != "U":
            return cls("as in --data")
        return cls(is_text=True, has_truths=all(map(table.is_truth, {*first.y.tolist()})))


def _check_different(roles: Roles, columns: list["NDArray[Any]"], places: _Places) -> None:
    """Refuses a target that is the same in every row."""
    for name, column in zip(roles.targets, columns, strict=True):
        if (column == column[0]).all():
            raise ValueError(
                f"{places.path}: expected different values in the target {name!r}, got "
                f"{str(column[0])!r} in every row: there is nothing to learn"
            )


def _targets(roles: Roles, columns: list["NDArray[Any]"], places: _Places) -> tuple["NDArray[Any]", str, str]:
    """Returns y, its task, "labels" or "values", and why it is that."""
    if len(columns) > 1:
        return _several(roles, columns, places)
    (column,), (name,) = columns, roles.targets
    if column.dtype.kind == "U":
        is_text = not all(map(_WHOLE.fullmatch, column))
        why = "is text" if is_text else "has digits that numbers lose (--task values would learn numbers)"
        return column, "labels", f"as {name} {why}"
    return _one(column, name, roles.task, places)


def _numbers_or_text(cells: list[str], name: str, reading: _Reading, places: _Places) -> "NDArray[Any]":
    """Converts a target: floats where every cell holds a number, else text; truths as Python writes them."""
    import numpy as np

    target = f"in the target {name!r}"
    kinds = []
    for row, cell in enumerate(cells):
        if cell.lower() in _NO_VALUE:
            raise places.error(row, f"expected a label or a number {target}, got {cell!r}; delete such rows")
        kinds.append(table.is_number(cell) and (bool(reading.numbers) or not table.is_truth(cell)))
    is_text = not any(kinds) or _is_code(cells, kinds, reading.are_labels)
    if reading.is_text or (is_text and not reading.numbers):
        are_truths = reading.has_truths and all(map(table.is_truth, cells))
        return np.array([cell.capitalize() for cell in cells] if are_truths else cells)
    if all(kinds):
        numbers = np.array(table.numbers(cells, [name] * len(cells)))
        if len(infinite := np.flatnonzero(~np.isfinite(numbers))):
            raise places.error(infinite[0], f"expected a finite number {target}, got {cells[infinite[0]]!r}")
        return numbers
    if reading.numbers:
        row = kinds.index(False)
        raise places.error(row, f"expected a number {target}, {reading.numbers}, got {cells[row]!r}")
    if reading.are_labels:
        return np.array(cells)
    row = kinds.index(not kinds[0])
    raise places.error(
        row,
        f"expected {'a number' if kinds[0] else 'text'} {target}, as in the rows before, got "
        f"{cells[row]!r}; --task labels reads all as text",
    )


def _is_code(cells: list[str], kinds: list[bool], are_labels: bool) -> bool:
    """Tells whether whole numbers are labels whose digits a float would not keep."""
    if not all(kinds) or not all(map(_WHOLE.fullmatch, cells)):
        return False
    if any(map(_PADDED.match, cells)):
        return True
    is_large = max(abs(float(cell)) for cell in cells) >= EXACT
    return is_large and (are_labels or _are_few(len({*cells}), len(cells)))


def _are_few(different: int, rows: int) -> bool:
    return different <= min(_MOST_LABELS, rows // 2)


def _one(
    column: "NDArray[Any]", name: str, task: str | None, places: _Places
) -> tuple["NDArray[Any]", str, str]:
    """Decides whether a column of numbers is labels or values."""
    import numpy as np

    fractions = np.flatnonzero(column != np.floor(column))
    count = len(np.unique(column))
    if task == "labels" and len(fractions):
        row = fractions[0]
        raise places.error(row, f"expected a label in the target {name!r}, got {column[row]}")
    large = np.flatnonzero(np.abs(column) >= EXACT)
    if task == "labels" and len(large):
        row = large[0]
        raise places.error(row, f"expected a label below 2**53 in the target {name!r}, got {column[row]}")
    are_few = not len(fractions) and not len(large) and _are_few(count, len(column))
    if task == "labels" or (task is None and are_few):
        why = f"as {name} has {count:,} different whole numbers (--task values would learn numbers)"
        return column.astype(np.int64), "labels", f"as --task {task} says" if task else why
    numbers = "numbers" if len(fractions) else "whole numbers"
    hint = "" if len(fractions) else " (--task labels would learn classes)"
    why = f"as {name} has {count:,} different {numbers}{hint}"
    return column, "values", f"as --task {task} says" if task else why


def _several(roles: Roles, columns: list["NDArray[Any]"], places: _Places) -> tuple["NDArray[Any]", str, str]:
    """Joins several targets: zeros and ones, several labels at once, or numbers."""
    import numpy as np

    y = np.column_stack(columns)
    are_labels = bool(((y == 0) | (y == 1)).all())
    task = roles.task or ("labels" if are_labels else "values")
    if task == "labels" and not are_labels:
        row, column_number = np.argwhere((y != 0) & (y != 1))[0]
        raise places.error(
            row,
            f"expected 0 or 1 in the target {roles.targets[column_number]!r}, as several targets are labels, "
            f"got {y[row, column_number]}",
        )
    kind = "zeros and ones" if are_labels else "numbers"
    why = f"as --task {task} says" if roles.task else f"as the targets are {kind}"
    return y.astype(np.int64) if task == "labels" else y, task, why
