"""Sparse samples: rows that store only some of their numbers; the others are 0."""

from typing import Any

import numpy as np


class SparseRows:
    """Rows in the compressed format that SciPy calls CSR.

    Row i stores values[starts[i]:starts[i + 1]] in the columns of the same slice, which ascend.

    Attributes
    ----------
    starts : ndarray (rows + 1,), int64
    columns : ndarray, int32
    values : ndarray, any type of numbers
    shape : (rows, columns)
    """

    ndim = 2

    def __init__(self, starts: np.ndarray, columns: np.ndarray, values: np.ndarray, width: int) -> None:
        self.starts, self.columns, self.values = starts, columns, values
        self.shape = len(starts) - 1, width

    @property
    def dtype(self) -> Any:
        return self.values.dtype

    @property
    def size(self) -> int:
        return self.shape[0] * self.shape[1]

    @property
    def lengths(self) -> np.ndarray:
        """The number of stored numbers of each row."""
        return np.diff(self.starts)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | np.ndarray) -> "SparseRows":
        """Some of the rows; a slice shares their memory."""
        width = self.shape[1]
        if isinstance(rows, slice):
            first, last, _ = rows.indices(len(self))
            last = max(first, last)
            begin, end = int(self.starts[first]), int(self.starts[last])
            starts = self.starts[first : last + 1] - begin
            return SparseRows(starts, self.columns[begin:end], self.values[begin:end], width)
        begins, lengths = self.starts[:-1][rows], self.lengths[rows]
        starts = np.concatenate([[0], np.cumsum(lengths)])
        stored = np.repeat(begins - starts[:-1], lengths) + np.arange(starts[-1])
        return SparseRows(starts, self.columns[stored], self.values[stored], width)

    def toarray(self) -> np.ndarray:
        """All numbers, as an array (rows, columns)."""
        array = np.zeros(self.shape, self.dtype)
        array[self._row_of_each(), self.columns] = self.values
        array += np.zeros((), self.dtype)  # a stored -0 is 0, as SciPy has it
        return array

    def index_of(self, stored: int) -> tuple[int, int]:
        """The row and the column of a stored number."""
        return int(np.searchsorted(self.starts, stored, "right")) - 1, int(self.columns[stored])

    def canonical(self) -> "SparseRows":
        """The rows with ascending columns; values of the same row and column are added."""
        if self._ascends():
            return self
        rows = self._row_of_each()
        order = np.lexsort((self.columns, rows))  # stable, so that values are added as they are stored
        rows, columns = rows[order], self.columns[order]
        new = np.ones(len(order), bool)
        new[1:] = (rows[1:] != rows[:-1]) | (columns[1:] != columns[:-1])
        values = np.zeros(np.count_nonzero(new), self.dtype)
        np.add.at(values, np.cumsum(new) - 1, self.values[order])
        starts = np.concatenate([[0], np.cumsum(np.bincount(rows[new], minlength=len(self)))])
        return SparseRows(starts, columns[new], values, self.shape[1])

    def _ascends(self) -> bool:
        above = self.columns[1:] > self.columns[:-1]
        begins = self.starts[1:-1]
        above[begins[(begins > 0) & (begins < len(self.columns))] - 1] = True
        return bool(above.all())

    def _row_of_each(self) -> np.ndarray:
        return np.repeat(np.arange(len(self)), self.lengths)


Samples = np.ndarray | SparseRows


def dense(X: Samples) -> np.ndarray:
    """Converts sparse rows to an array; an array is returned without a copy."""
    return X.toarray() if isinstance(X, SparseRows) else X


def is_sparse(X: Any) -> bool:
    """Tells whether X is a sparse matrix or array of SciPy."""
    return type(X) is not np.ndarray and hasattr(X, "tocsr") and hasattr(X, "nnz")


def compressed(X: Any, name: str) -> SparseRows:
    """Converts a sparse matrix of SciPy, without a copy if it is CSR with sorted columns."""
    csr = X.tocsr()
    rows, width = csr.shape if len(csr.shape) == 2 else (1, *csr.shape)
    starts = np.require(csr.indptr, np.int64, ["C", "ALIGNED"])
    stored = int(starts[-1])
    columns, values = np.asarray(csr.indices)[:stored], np.asarray(csr.data)[:stored]
    whole = starts[0] == 0 and (np.diff(starts) >= 0).all() and len(columns) == len(values) == stored
    if not whole or (stored and not 0 <= columns.min() <= columns.max() < width):
        raise ValueError(
            f"{name}: expected a valid sparse matrix of {rows} rows and {width} columns, got indices outside "
            "of them; X.check_format() says which"
        )
    columns = np.require(columns, np.int32, ["C", "ALIGNED"])
    return SparseRows(starts, columns, values, width).canonical()
