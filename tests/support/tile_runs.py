"""Random trainings and predictions in bfloat16, whose bits two forms of the kernels must share."""

import hashlib
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from numba import njit

from emulated_tiles import Tiles
from fastbp import Activation, DivergenceError, Network
from fastbp.options.activations import ACTIVATIONS
from fastbp.options.optimizers import OPTIMIZERS

WIDTHS = (1, 3, 10, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 100)
BATCHES = (1, 7, 16, 31, 32, 33, 128, 200, 513)
GOLDEN = Path(__file__).parents[1] / "kernels" / "tdpbf16ps.npz"
SQUARE = Activation(njit(lambda z: z * abs(z)), njit(lambda z: 2 * abs(z)))


def digest(*arrays):
    """The hash of the bits of float32s, all NaN the same."""
    hashed = hashlib.sha256()
    for array in arrays:
        array = np.array(array, np.float32)
        array[np.isnan(array)] = np.nan
        hashed.update(repr(array.shape).encode() + array.tobytes())
    return hashed.hexdigest()[:16]


def drawn(seed, compiles):
    """The network, data and recipe of a case; `compiles` permits those that need further compiling."""
    rng = np.random.default_rng([seed, 1999])
    sizes = [int(width) for width in rng.choice(WIDTHS, rng.integers(2, 5))]
    batch = int(rng.choice(BATCHES))
    n = batch + int(rng.integers(0, min(batch, 60) + 1))
    hidden = [str(name) for name in rng.choice(list(ACTIVATIONS), max(0, len(sizes) - 2))]
    if compiles and hidden and rng.random() < 0.2:
        hidden[0] = SQUARE
    options = {"activation": hidden, "output_activation": "linear", "seed": seed}
    if sizes[-1] > 1 and rng.random() < 0.5:
        options |= {"output_activation": "softmax", "cost": "cross_entropy"}
    if rng.random() < 0.4:
        options["dropout"] = float(rng.uniform(0.1, 0.6))
    if rng.random() < 0.3:
        options["frozen"] = (int(rng.integers(len(sizes) - 1)),)
    is_bytes, is_sparse = rng.random() < 0.3, compiles and rng.random() < 0.25
    X = rng.integers(0, 256, (n, sizes[0]), np.uint8) if is_bytes else rng.standard_normal((n, sizes[0]))
    if is_bytes:
        options["input_divisor"] = 255
    elif rng.random() < 0.3:
        options["scale_inputs"] = True
    if is_sparse:
        X[rng.random(X.shape) > rng.choice([0.05, 0.6])] = 0
    y = rng.standard_normal((n, sizes[-1])).astype(np.float32)
    if "cost" in options:
        y = rng.integers(0, sizes[-1], n)
        y[: min(n, sizes[-1])] = np.arange(sizes[-1])[:n]
    recipe = {
        "batch_size": batch,
        "epochs": int(rng.integers(1, 4)) if batch > 1 else 1,
        "learning_rate": float(10 ** rng.uniform(-3, -1.5)),
        "optimizer": str(rng.choice(list(OPTIMIZERS))),
        "l2": float(rng.choice([0.0, 0.0, 0.01])),
        "clip_norm": None if rng.random() < 0.7 else 0.5,
        "threads": int(rng.integers(1, 4)),
        "data_seed": seed,
    }
    if rng.random() < 0.4:  # whose step is fused with the product
        recipe |= {"optimizer": "sgd", "l2": 0.0, "clip_norm": None}
    if rng.random() < 0.3:
        recipe["sample_weight"] = rng.uniform(0.2, 2, n)
    return SimpleNamespace(
        sizes=sizes, options=options, X=X, y=y, recipe=recipe, is_sparse=is_sparse, rng=rng
    )


def run(seed, compiles):
    """{what: digest} of a case."""
    case = drawn(seed, compiles)
    X = case.X
    if case.is_sparse:
        from scipy.sparse import csr_matrix

        X = csr_matrix(X)
    net = Network(case.sizes, dtype="float32", compute_dtype="bfloat16", **case.options)
    found = {"case": repr((case.sizes, case.options, case.recipe)).replace(repr(SQUARE), "square")}
    try:
        found["losses"] = digest(net.fit(X, case.y, **case.recipe)["loss"])
    except DivergenceError as error:
        found["diverged"] = str(error)
    found["weights"] = digest(*net.weights, *net.biases)
    for name, (weights, biases) in net._fastbp.progress.optimizer_state.items():
        found[name] = digest(*weights, *biases)
    rows = int(case.rng.integers(1, 101))
    found["some outputs"] = digest(net.outputs(X[:rows]))
    found["outputs"] = digest(net.outputs(X))
    value, gradient = net.value_and_gradient(X, case.y, threads=case.recipe["threads"])
    found["gradient"] = digest(gradient, value)
    if not case.is_sparse:
        found["gradient by inputs"] = digest(net.input_gradient(X[:rows], case.y[:rows]))
    return found


def runs(seeds, compiles):
    return {str(seed): run(seed, compiles) for seed in seeds}


def by_tiles(library, seeds, compiles):
    """Those by the tile instructions, golden tiles that were right, and the counts of what was emulated."""
    tiles = Tiles(library)
    equal = golden()
    os.environ["FASTBP_NUM_THREADS"] = "3"
    return {"equal": equal, "runs": runs(seeds, compiles), "counts": tiles.counts()}


def golden():
    """How many numbers of the golden tiles the kernels' product makes."""
    from fastbp.engine.kernels.microkernel import dot
    from fastbp.engine.kernels.operands import Strided, begin_tiles, end_tiles
    from fastbp.engine.kernels.vector import pointer

    @njit
    def product(c, start, a, b, mark):
        begin_tiles(pointer(mark, 0))
        here = Strided(pointer(start, 0), 16)
        dot(pointer(mark, 0), 16, 1, pointer(c, 0), here, Strided(pointer(a, 0), 0), pointer(b, 0), 32)
        end_tiles(pointer(mark, 0))

    tiles, equal = np.load(GOLDEN), 0
    for A, B, C, D in zip(*(tiles[name] for name in "ABCD"), strict=True):
        c, b = np.zeros((32, 32), np.float32), np.zeros((2, 256), np.float32)
        b[0] = np.ascontiguousarray(B).view(np.float32).ravel()
        a = np.ascontiguousarray(A).view(np.float32).ravel()
        product(c, np.ascontiguousarray(C, np.float32).ravel(), a, b.ravel(), np.zeros(1, np.int32))
        found = c[:16, :16]
        equal += int(((found.view(np.uint32) == D.view(np.uint32)) | np.isnan(found) & np.isnan(D)).sum())
    return equal
