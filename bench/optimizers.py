"""``python -m bench.optimizers``: each optimizer of fastbp against PyTorch's, in float64.

Both train the same network from the same weights on the same batches for a hundred steps.  For each optimizer
the command prints the largest difference of any weight or bias, relative to the largest of its array, and the
largest distance that any has moved; it fails where a difference exceeds 1e-6.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import fastbp

SIZES = (20, 16, 12, 5)
STEPS, BATCH = 100, 32
RATE = 0.01
LIMIT = 1e-6


class Pair(NamedTuple):
    ours: Any
    theirs: Callable[[list[Any], list[Any]], Any]  # PyTorch's, of weights and biases
    l2: float = 0.0
    full_batch: bool = False


def pairs(optim: Any) -> list[Pair]:
    """Options are not the defaults, lest one be forgotten; regularisers are for weights, not for biases."""
    adam = {"lr": RATE, "betas": (0.8, 0.99), "eps": 1e-4}

    def decaying(decay: float, w: list[Any], b: list[Any]) -> list[dict[str, Any]]:
        return [{"params": w, "weight_decay": decay}, {"params": b, "weight_decay": 0.0}]

    return [
        Pair(fastbp.SGD(), lambda w, b: optim.SGD([*w, *b], RATE)),
        Pair(fastbp.SGD(), lambda w, b: optim.SGD(decaying(0.1, w, b), RATE), l2=0.1),
        Pair(fastbp.Momentum(0.8), lambda w, b: optim.SGD([*w, *b], RATE, momentum=0.8)),
        Pair(fastbp.Nesterov(0.8), lambda w, b: optim.SGD([*w, *b], RATE, momentum=0.8, nesterov=True)),
        Pair(fastbp.RMSprop(0.8, 1e-4), lambda w, b: optim.RMSprop([*w, *b], RATE, alpha=0.8, eps=1e-4)),
        Pair(fastbp.Adam(0.8, 0.99, 1e-4), lambda w, b: optim.Adam([*w, *b], **adam)),
        Pair(fastbp.Adam(0.8, 0.99, 1e-4, 0.1), lambda w, b: optim.Adam(decaying(0.1, w, b), **adam)),
        Pair(fastbp.AdamW(0.8, 0.99, 1e-4, 0.1), lambda w, b: optim.AdamW(decaying(0.1, w, b), **adam)),
        Pair(fastbp.IRprop(), lambda w, b: optim.Rprop([*w, *b], RATE), full_batch=True),
    ]


def by_fastbp(pair: Pair, X: Any, labels: Any, weights: Any, biases: Any, batch_size: int) -> list[Any]:
    net = fastbp.Network(
        SIZES, activation="tanh", output_activation="softmax", cost="cross_entropy", dtype="float64"
    )
    net.weights, net.biases = [w.copy() for w in weights], [b.copy() for b in biases]
    net.fit(
        X,
        labels,
        epochs=STEPS * batch_size // len(X),
        batch_size=batch_size,
        learning_rate=RATE,
        optimizer=pair.ours,
        l2=pair.l2,
        shuffle=False,
    )
    return [*net.weights, *net.biases]


def by_torch(torch: Any, pair: Pair, X: Any, labels: Any, weights: Any, biases: Any, size: int) -> list[Any]:
    w = [torch.tensor(a, requires_grad=True) for a in weights]
    b = [torch.tensor(a[:, 0], requires_grad=True) for a in biases]
    optimizer = pair.theirs(w, b)
    x, y = torch.tensor(X), torch.tensor(labels)
    for step in range(STEPS):
        rows = slice(step * size % len(X), step * size % len(X) + size)
        a = x[rows]
        for layer in range(len(w)):
            z = torch.nn.functional.linear(a, w[layer], b[layer])
            a = z.tanh()
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(z, y[rows]).backward()
        optimizer.step()
    return [*(p.detach().numpy() for p in w), *(p.detach().numpy()[:, None] for p in b)]


def compare(torch: Any, pair: Pair) -> tuple[float, float]:
    """The largest relative difference, and the largest relative distance from the start."""
    random = np.random.default_rng(0)
    shapes = list(zip(SIZES[1:], SIZES, strict=False))
    weights = [random.standard_normal(shape) / np.sqrt(shape[1]) for shape in shapes]
    biases = [random.standard_normal((n_out, 1)) for n_out, _ in shapes]
    batch_size = 400 if pair.full_batch else BATCH
    X = random.standard_normal((batch_size if pair.full_batch else STEPS // 2 * BATCH, SIZES[0]))
    labels = random.integers(0, SIZES[-1], len(X))
    found = by_fastbp(pair, X, labels, weights, biases, batch_size)
    wanted = by_torch(torch, pair, X, labels, weights, biases, batch_size)

    def largest(arrays: list[Any]) -> float:
        pairs = zip(arrays, wanted, strict=True)
        return max(float(abs(one - other).max() / abs(other).max()) for one, other in pairs)

    return largest(found), largest([*weights, *biases])


def main() -> None:
    try:
        import torch
    except ImportError as error:
        print(f"skipped: {error}")
        return
    torch.set_num_threads(1)
    worst = 0.0
    print(f"{STEPS} steps against PyTorch {torch.__version__}: largest difference (and distance moved)")
    for pair in pairs(torch.optim):
        off, moved = compare(torch, pair)
        worst = max(worst, off)
        l2 = f", l2={pair.l2:g}" if pair.l2 else ""
        print(f"  {pair.ours!r}{l2}: {off:.1e} ({moved:.1e})")
    if not worst <= LIMIT:
        raise SystemExit(f"bench.optimizers: expected differences of at most {LIMIT:g}, got {worst:.1e}")


if __name__ == "__main__":
    main()
