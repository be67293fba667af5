"""Networks from and to PyTorch, Keras, scikit-learn and ONNX: outputs are equal but for rounding.

The other library is imported when a network is written for it; reading one imports nothing but onnx.
"""

from ..files.onnx_model import to_onnx
from .keras import from_keras, to_keras
from .onnx import from_onnx
from .pytorch import from_torch, to_torch
from .sklearn import from_sklearn, to_sklearn

__all__ = [
    "from_keras",
    "from_onnx",
    "from_sklearn",
    "from_torch",
    "to_keras",
    "to_onnx",
    "to_sklearn",
    "to_torch",
]
