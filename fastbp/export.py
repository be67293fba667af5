"""Trained networks for other runtimes: `to_onnx` and `to_c`."""

from .files.c_source import to_c
from .files.onnx_model import to_onnx

__all__ = ["to_c", "to_onnx"]
