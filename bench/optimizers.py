"""``python -m bench.optimizers``: each optimizer of fastbp against PyTorch's, in float64.

Both train the same network from the same weights on the same batches in the same order, for a hundred steps;
what is printed is the largest difference of any weight or bias, relative to the largest of its layer.  Above
1e-6 the command fails.
"""

import itertools
import sys
from typing import Any

import numpy as np

import fastbp

SIZES = (20, 16, 12, 5)
STEPS, BATCH = 100, 32
LIMIT = 1e-6


def pairs(torch: Any) -> list[tuple[Any, dict[str, Any], Any]]:
    """(fastbp's, options of fit, PyTorch's for a list of parameters)."""
    optim = torch.optim
    descent, adaptive = {"learning_rate": 0.05}, {"learning_rate": 0.01}
    adam = {"lr": 0.01, "betas": (0.8, 0.99), "eps": 1e-7}
    return [
        (fastbp.SGD(), descent, lambda p: optim.SGD(p, 0.05)),
        (fastbp.SGD(), {**descent, "l2": 0.01}, lambda p: optim.SGD(weights(p), 0.05, weight_decay=0.01)),
        (fastbp.Momentum(0.8), descent, lambda p: optim.SGD(p, 0.05, momentum=0.8)),
        (fastbp.Nesterov(0.8), descent, lambda p: optim.SGD(p, 0.05, momentum=0.8, nesterov=True)),
        (fastbp.RMSprop(0.8, 1e-7), adaptive, lambda p: optim.RMSprop(p, 0.01, alpha=0.8, eps=1e-7)),
        (fastbp.Adam(0.8, 0.99, 1e-7), adaptive, lambda p: optim.Adam(p, **adam)),
        (fastbp.AdamW(0.8, 0.99, 1e-7, 0.1), adaptive, lambda p: optim.AdamW(p, weight_decay=0.1, **adam)),
        (fastbp.IRprop(), adaptive, lambda p: optim.Rprop(p, 0.01)),
    ]
