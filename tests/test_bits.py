"""The same bits on every CPU and in every release."""

import hashlib
import math
import platform
from itertools import pairwise

import llvmlite.binding as llvm
import numpy as np
import pytest

from experiments import DTYPES, MIXED, Case, Experiment, in_new_process, train, trained


def digest(*arrays):
    """SHA-256 of the numbers, little-endian."""
    hashed = hashlib.sha256()
    for array in arrays:
        hashed.update(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes())
    return hashed.hexdigest()


def fingerprints(most=math.inf):
    """{case and dtype: hash of weights, biases and cost}, for cases of at most so many products."""
    found = {}
    for case in MIXED:
        if case.n * sum(k * j for k, j in pairwise(case.sizes)) > most:
            continue
        for dtype in DTYPES:
            engine = trained(case, dtype)
            weights, biases = engine.unpack()
            found[f"{case}, {dtype}"] = digest(*weights, *biases, np.float64([engine.cost]))
    return found


def runs_here(features):
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    available = llvm.get_host_cpu_features()
    return all(available.get(feature) for feature in features)


@pytest.mark.parametrize(
    ("cpu", "needs", "most"),
    [("haswell", ["avx2", "fma"], 10**9), ("x86-64", [], 10**6)],  # slow, without an instruction for FMA
    ids=["haswell", "x86-64"],
)
def test_other_cpus_give_the_same_bits(cpu, needs, most):
    if not runs_here(needs):
        pytest.skip(f"this machine does not run code for {cpu}")
    there = in_new_process(f"test_bits.fingerprints({most})", NUMBA_CPU_NAME=cpu, NUMBA_CPU_FEATURES="")
    assert len(there) > 100
    assert there == fingerprints(most)


def dyadic(shape, seed, dtype):
    """Numbers between -1 and 1 from integers alone: exact, and the same everywhere."""
    places = np.arange(math.prod(shape), dtype=np.int64).reshape(shape)
    return (((places * 2654435761 + seed * 40503) % 4096 - 2048) / 2048).astype(dtype)


GOLDEN_CASES = {
    "sigmoid": Case((19, 33, 16, 5), 13, 60, ("sigmoid",) * 3),
    "tanh": Case((19, 33, 16, 5), 13, 60, ("tanh", "tanh", "sigmoid")),
    "relu": Case((19, 33, 16, 5), 13, 60, ("relu", "relu", "linear")),
    "linear": Case((19, 33, 16, 5), 13, 60, ("linear", "linear", "sigmoid")),
    "large": Case((150, 70, 10), 300, 330, ("tanh", "sigmoid")),
}


def golden_run(case, dtype, members):
    layers = list(enumerate(pairwise(case.sizes)))
    weights = [dyadic((j, k), seed, dtype) / 4 for seed, (k, j) in layers]
    biases = [dyadic((j, 1), seed + 10, dtype) for seed, (_, j) in layers]
    k, j = case.sizes[0], case.sizes[-1]
    X = (np.arange(case.n * k, dtype=np.int64) * 97 % 256).astype(np.uint8).reshape(case.n, k)
    orders = [(np.arange(case.n) * 7 + epoch) % case.n for epoch in range(4)]
    run = Experiment(weights, biases, X, np.arange(case.n) % j, orders)
    engine = run.engine(case, members)
    costs = train(engine, run.data, orders, 0.25)
    weights, biases = engine.unpack()
    return digest(*weights, *biases, engine.outputs(X), np.float64(costs))


# Hold on every machine and for every release. A change of these bits breaks the promise that a seed, data and
# a version give the same bits on any CPU; where it is meant, it is a new version and goes to the changelog.
GOLDEN = {
    "float32": {
        "sigmoid": "a758fcdd598a453add6a93d1f10f2f72168e2aa10c1e00bec04b06014c3f6fc6",
        "tanh": "b232eeebb5c4799a96627acd27333c2a409b0b849f391b8a0c4b07b265452ece",
        "relu": "86ec1240abfe0cbdd56942b067484d1c04e80f26deb6d12f4eead39fb80da82b",
        "linear": "04d671282fe56c1e152502b770cfeeb2ea53be924a666492e476a6534b3830eb",
        "large": "d24c14affad870a29db303a7542234a4bcd92ad29ad4d686ce802cef37170d31",
    },
    "float64": {
        "sigmoid": "f3f69419724f731eb152348151ac0a8f7f0b81479e7dcba9354d9a31919a33e8",
        "tanh": "9bf8a51d0098f1f4efbee4591f8cb490261814fe041ed29a6423a58f9b4d4282",
        "relu": "2fb58fb488252674a4618061b3386ddbd3d34a0bc10d3f34156cc9c28e9ad106",
        "linear": "dcadbaa4071b173043c1bcb5c1907327a73819ab8284276c0f14607f59798d8f",
        "large": "992d75ed050d2e929c512093232cc67fc921a5379be960413e2e09ba0fbaa6d4",
    },
}


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("name", GOLDEN_CASES)
def test_golden_hashes(name, members, dtype):
    assert golden_run(GOLDEN_CASES[name], dtype, members) == GOLDEN[dtype][name]
