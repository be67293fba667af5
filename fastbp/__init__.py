"""Fully connected neural networks, trained by backpropagation on CPUs, compiled.

``Network`` replaces the class of that name in a ``network.py`` script; its ``fit`` trains on arrays.
"""

__version__ = "0.1.0"

from .network import Network, sigmoid, sigmoid_prime
from .training import DivergenceError, History

__all__ = ["DivergenceError", "History", "Network", "__version__", "sigmoid", "sigmoid_prime"]
