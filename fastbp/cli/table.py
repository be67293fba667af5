"""Tables: their rows as text, their header, and cells that hold no number."""

import csv
import itertools
import math
import re
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DELIMITERS = "\t;,"  # a cell between the former may hold the latter, and spaces
_NUMBER = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*")
_LIKE_NUMBER = re.compile(r"\s*[+-]?\.?\d")  # 1_000 or 0,5 are more likely written wrong than names
_WHOLE = re.compile(r"\s*[0-9]{1,18}\s*")
_MISSING = {
    "",
    "na",
    "n/a",
    "#n/a",
    "nan",
    "null",
    "none",
    "inf",
    "infinity",
}  # in lower case, without a sign
_TRUTHS = {"false": 0.0, "true": 1.0}  # in lower case
_SHOWN = 8  # cells in an error
_PARQUET = b"PAR1"


class NotANumber(ValueError):
    """A cell of a column of numbers that holds none; `position` is the column's among those read."""

    def __init__(self, position: int, column: str, cell: str) -> None:
        super().__init__(f"expected a number in column {column}, got {listed([cell])}")
        self.position, self.cell = position, cell


def read(path: str, has_header: bool | None, names: Sequence[str]) -> "NDArray[Any]":
    """Reads the samples of a table, one per row.

    If the table has a header and `names` are given, selects those columns, in that order.  If `has_header`
    is None, detects the header, and refuses a first line that may be a header as well as a sample.
    """
    import numpy as np

    table, columns, positions, labels = array("d"), 0, None, [""]
    with opened(path) as rows:
        for cells in rows:
            if not columns:
                columns = len(cells)
                labels = [str(number + 1) for number in range(columns)]
                decided = rows.has_header if has_header is None else has_header
                if _is_header(cells, names) if decided is None else decided:
                    if names:
                        positions, labels = _columns_of(cells, names), [repr(name) for name in names]
                    continue
            if len(cells) != columns:
                raise ValueError(f"expected {columns} numbers as above, got {len(cells)}")
            sample = numbers(cells if positions is None else [cells[i] for i in positions], labels)
            if not math.isfinite(sum(sample)):
                _check_finite(sample, labels)
            table.extend(sample)
    if not table:
        raise ValueError(f"{path}: expected a table of numbers, got none")
    return np.frombuffer(table).reshape(-1, len(labels))


@contextmanager
def opened(path: str) -> Iterator["_Rows | _ParquetRows"]:
    """Opens a table, and names the file and the line in the errors of the block."""
    rows: _Rows | _ParquetRows
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = _ParquetRows(path) if is_parquet(path) else _Rows(file)
        try:
            yield rows
        except UnicodeDecodeError as error:
            hint = "save the table as UTF-8, which Excel calls CSV UTF-8"
            raise ValueError(f"{path}: expected text in UTF-8: {error}; {hint}") from error
        except (ValueError, csv.Error) as error:
            raise ValueError(f"{path}, {rows.unit} {rows.line}: {error}") from error


def is_parquet(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(len(_PARQUET)) == _PARQUET


class _ParquetRows:
    """Iterator over the rows of a Parquet file, as the text that CSV would have; the first are the names."""

    line, unit, has_header = 0, "row", True

    def __init__(self, path: str) -> None:
        self._path = path

    def __iter__(self) -> Iterator[list[str]]:
        try:
            import polars
        except ImportError as error:
            raise ImportError(
                f"{self._path}: expected polars, which reads Parquet; pip install '.[parquet]' in fastbp's "
                "source folder"
            ) from error
        try:
            frame = polars.read_parquet(self._path)
        except Exception as error:  # of many kinds
            raise ValueError(f"not a readable Parquet file: {error}") from error
        yield frame.columns
        for self.line, cells in enumerate(frame.iter_rows(), 1):
            yield ["" if cell is None else str(cell) for cell in cells]


class _Rows:
    """Iterator over the cells of each line that is not blank; `line` is the number of the last line read."""

    line, unit, has_header = 0, "line", None

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def __iter__(self) -> Iterator[list[str]]:
        delimiter = self._delimiter()
        self._file.seek(0)
        lines = (" ".join(line.split()) for line in self._file) if delimiter == " " else self._file
        reader = csv.reader(lines, delimiter=delimiter or ",")
        blank = 0
        while True:
            try:
                cells = next(reader, None)
            finally:
                self.line = reader.line_num
            if cells is None:
                return
            if not cells or (delimiter and len(cells) == 1 and not cells[0].strip()):
                blank = blank or self.line
            elif blank and not delimiter:
                raise ValueError(
                    "expected a number in every line, as there is one column, got none in the blank line "
                    f"{blank}"
                )
            else:
                yield cells

    def _delimiter(self) -> str | None:
        """Detects the separator of columns from the first two lines; None for a single column.

        One that splits both into as many cells goes before one that is in either of them.
        """
        for delimiter in _DELIMITERS:
            self._file.seek(0)
            with suppress(csv.Error):  # which reading the line will raise again
                counts = self._first_counts(delimiter)
                if len(counts) == 2 and counts[0] == counts[1] > 1:
                    return delimiter
        self._file.seek(0)
        lines: list[str] = []
        for line in self._file:
            if line.strip("\r\n "):
                lines.insert(0, line)  # the second line tells more: names may hold any character
            if len(lines) == 2:
                break
        for line in lines:
            for delimiter in _DELIMITERS:
                with suppress(csv.Error):  # which reading the line will raise again
                    if len(next(csv.reader([line], delimiter=delimiter))) > 1:
                        return delimiter
        return " " if lines and len(lines[0].split()) > 1 else None

    def _first_counts(self, delimiter: str) -> list[int]:
        """Counts the cells of each of the first two lines that are not blank."""
        rows = csv.reader(self._file, delimiter=delimiter)
        cells = (len(row) for row in rows if len(row) > 1 or "".join(row).strip())
        return list(itertools.islice(cells, 2))


def _is_header(cells: list[str], names: Sequence[str]) -> bool:
    """Decides whether a first line names the columns.

    Whole numbers that rise by one may be column numbers or years; the first cell beside them is a name then.
    """
    has_names = bool(names) and {name.strip() for name in names} <= {cell.strip() for cell in cells}
    if has_names and not all(map(is_number, cells)):
        return True
    numbers = [cell for cell in cells if is_number(cell)]
    others = [cell for cell in cells if not is_number(cell) and not is_missing(cell)]
    words = [cell for cell in others if not _LIKE_NUMBER.match(cell)]
    counts = bool(numbers) and _goes_up(numbers)
    if words and (not numbers or (counts and words[0] is cells[0])):
        return True
    if others or has_names or (counts and (len(numbers) > 1 or int(numbers[0]) == 0)):
        raise ValueError(
            f"expected the names of columns or the numbers of a sample, got {listed(cells)}, which may be "
            "either; --header or --no-header tells which"
        )
    return False


def _goes_up(numbers: list[str]) -> bool:
    """Checks that the numbers are whole and each is one more than the previous."""
    if not all(map(_WHOLE.fullmatch, numbers)):
        return False
    first = int(numbers[0])
    return [int(number) for number in numbers] == [*range(first, first + len(numbers))]


def is_number(cell: str) -> bool:
    """Tells whether a cell holds a number, or true or false, which are read as 1 and 0."""
    return _NUMBER.fullmatch(cell) is not None or is_truth(cell)


def is_truth(cell: str) -> bool:
    return cell.strip().lower() in _TRUTHS


def is_missing(cell: str) -> bool:
    return cell.strip().lower().lstrip("+-") in _MISSING


def _columns_of(cells: list[str], names: Sequence[str]) -> list[int]:
    """Finds the column of each name."""
    positions: dict[str, list[int]] = {}
    for position, cell in enumerate(cells):
        positions.setdefault(cell.strip(), []).append(position)
    for name in names:
        if (count := len(positions.get(name.strip(), []))) != 1:
            raise ValueError(
                f"expected one column {name!r}, as the network was trained on, got {count or 'none'} in "
                f"{listed(cells)}"
            )
    return [positions[name.strip()][0] for name in names]


def numbers(cells: list[str], columns: Sequence[str]) -> list[float]:
    """Converts the cells of a row; `columns` names each in an error."""
    text = "".join(cells)
    if text.isascii() and "_" not in text:  # else Python reads numbers that no other program writes
        with suppress(ValueError):
            return list(map(float, cells))
    for position, cell in enumerate(cells):
        if not is_number(cell):
            raise NotANumber(position, columns[position], cell)
    return [_TRUTHS[cell.strip().lower()] if is_truth(cell) else float(cell) for cell in cells]


def _check_finite(sample: list[float], columns: Sequence[str]) -> None:
    for number, column in zip(sample, columns, strict=True):
        if not math.isfinite(number):
            raise ValueError(f"expected a finite number in column {column}, got {number}")


def listed(cells: Sequence[str]) -> str:
    """Quotes the first cells, shortened, for an error."""
    shown = ", ".join(repr(cell if len(cell) < 50 else f"{cell[:40]}...") for cell in cells[:_SHOWN])
    return shown + (", ..." if len(cells) > _SHOWN else "")
