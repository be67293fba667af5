"""The user's rows as the kernels gather them: types, divisors, labels."""

import numpy as np
import pytest

from experiments import DTYPES, Case, Data, Harness, experiment, train
from reference import one_hot

SMALL = Case((19, 12, 10), 7, 30, ("sigmoid", "sigmoid"))


def run_on(X, Y, dtype, divisor=1.0):
    run = experiment(SMALL, dtype)
    engine = run.engine(SMALL)
    cost = train(engine, Data(X, Y, divisor), run.orders)[-1]
    return engine.parameters.tobytes(), cost, engine.outputs(X, divisor).tobytes()


def test_input_types_of_equal_values_give_equal_bits(dtype):
    X = np.random.default_rng(0).integers(0, 5, (SMALL.n, SMALL.sizes[0]))
    Y = experiment(SMALL, "float32").Y
    runs = [
        run_on(X.astype(kind), Y.astype(y_kind), dtype)
        for kind in ("uint8", "float32", "float64")
        for y_kind in DTYPES
    ]
    assert all(run == runs[0] for run in runs)


def test_float64_input_is_rounded_to_float32_and_float32_is_widened(dtype):
    run = experiment(SMALL, "float64")
    runs = [run_on(X, run.Y, dtype) for X in (run.X, run.X.astype("float32"))]
    wider = run_on(run.X.astype("float32").astype("float64"), run.Y, dtype)
    assert runs[1] == wider
    assert (runs[0] == runs[1]) is (dtype == "float32")


@pytest.mark.parametrize("outputs", [1, 2, 8, 9, 16, 17, 33, 100])
def test_labels_are_one_hot_targets(outputs, dtype):
    case = Case((5, outputs), 7, 2 * outputs + 3, ("sigmoid",))
    run = experiment(case, dtype)
    labels = np.arange(case.n) % outputs
    engines = [run.engine(case), run.engine(case)]
    costs = [
        train(engine, Data(run.X, Y, 255.0), run.orders)[-1]
        for engine, Y in zip(engines, (labels, one_hot(labels, outputs)), strict=True)
    ]
    assert costs[0] == costs[1]
    np.testing.assert_array_equal(engines[0].parameters, engines[1].parameters)


def read_through(X, divisor, dtype):
    """X as the kernels read it: outputs of the identity."""
    k = X.shape[1]
    return Harness((k, k), ("linear",), [np.eye(k, dtype=dtype)], [np.zeros((k, 1), dtype)]).outputs(
        X, divisor
    )


EVERY_BYTE = np.arange(256, dtype=np.uint8)


@pytest.mark.parametrize("k", [1, 7, 32, 47, 256])
def test_bytes_divided_by_255_are_correctly_rounded(k, dtype):
    X = np.resize(EVERY_BYTE, (-(-256 // k), k))
    np.testing.assert_array_equal(read_through(X, 255.0, dtype), X.astype(dtype) / np.dtype(dtype).type(255))


def divisors(dtype):
    """Every small integer, and numbers of any size that neither they nor their reciprocals leave `dtype`."""
    sizes = 10 ** np.random.default_rng(0).uniform(-30, 30, 1500)
    return [*range(1, 1025), *(float(x) for x in sizes.astype(dtype))]


def test_bytes_divided_by_anything_are_correctly_rounded(dtype):
    exact = EVERY_BYTE.astype(dtype)
    for divisor in divisors(dtype):
        found = read_through(EVERY_BYTE[:, np.newaxis], float(divisor), dtype)[:, 0]
        np.testing.assert_array_equal(found, exact / np.dtype(dtype).type(divisor), f"divided by {divisor!r}")
