"""fastbp, and what a user could train with instead: each a class that trains from given weights."""

from .by_hand import Book, NumPy
from .fann import Fann
from .jax_scan import Jax
from .ours import Fastbp, FastbpOne, FastbpTwo
from .peer import Peer
from .pytorch import Torch, TorchByHand, TorchCompiled
from .recipe import Recipe
from .scikit_learn import ScikitLearn

__all__ = [
    "OURS",
    "PEERS",
    "Fastbp",
    "Jax",
    "NumPy",
    "Peer",
    "Recipe",
    "ScikitLearn",
    "Torch",
    "TorchCompiled",
]

OURS: tuple[type[Peer], ...] = (Fastbp, FastbpOne, FastbpTwo)
PEERS: tuple[type[Peer], ...] = (Book, NumPy, ScikitLearn, Torch, TorchByHand, TorchCompiled, Jax, Fann)
