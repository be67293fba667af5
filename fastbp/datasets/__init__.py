"""Data to train on: MNIST, which is shipped, and readers of a user's own IDX and .npz files."""

from fastbp.datasets.idx import load_idx, read_idx
from fastbp.datasets.npz import load_npz
from fastbp.datasets.part import Part
from fastbp.datasets.shipped import Splits, load_mnist

__all__ = ["Part", "Splits", "load_idx", "load_mnist", "load_npz", "read_idx"]
