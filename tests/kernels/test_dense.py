"""Whole runs on the compiled kernels: against the reference, against themselves, to the bit."""

import numpy as np
import pytest

from experiments import MIXED, RAGGED, TOLERANCE, Case, Harness, bits, experiment, some, trained
from reference import fit_reference
from reference_training import outputs


@pytest.mark.parametrize("case", RAGGED, ids=str)
def test_whole_run(case, dtype):
    run = experiment(case, dtype)
    engine = trained(case, dtype, change=Harness.poison)
    expected = fit_reference(run.weights, run.biases, run.X, run.Y, run.orders, case.batch, 0.5, dtype)
    for found, wanted in zip(engine.unpack(), expected, strict=True):
        for a, b in zip(found, wanted, strict=True):
            assert a.dtype == b.dtype and a.shape == b.shape
            np.testing.assert_allclose(a, b, **TOLERANCE[dtype])
    np.testing.assert_array_equal(engine.parameters, engine.packed_afresh(), "padding is no longer zero")


@pytest.mark.sampled
@pytest.mark.parametrize("case", MIXED, ids=str)
def test_members_poison_and_chunks_change_no_bit(case, dtype):
    expected = bits(case, dtype, rate=0.05)
    for members in (2, 3, 4):
        assert bits(case, dtype, members, Harness.poison, rate=0.05) == expected
    assert bits(case, dtype, 1, Harness.poison, rate=0.05, batches=1) == expected


@some
@pytest.mark.parametrize("members", [8, 64])
def test_many_more_members_than_cores(case, dtype, members):
    assert bits(case, dtype, members) == bits(case, dtype)


@some
@pytest.mark.parametrize("batches", [1, 2, 3])
@pytest.mark.parametrize("members", [1, 3])
def test_chunks_of_any_length(case, dtype, batches, members):
    assert bits(case, dtype, members, batches=batches) == bits(case, dtype)


@some
def test_a_span_of_positions_is_a_run_on_those_rows(case, dtype):
    """train(..., (first, last)) reads nothing of the order but order[first:last]."""
    run = experiment(case, dtype)
    data, order = run.data, run.orders[0]
    part, alone = run.engine(case), run.engine(case)
    assert part.train(data, order, (13, 39), losses=False) == 39
    assert alone.train(data, order[13:39].copy(), (0, 26), losses=False) == 26
    np.testing.assert_array_equal(part.parameters, alone.parameters)
    assert part.train(data, order, (26, 26), losses=False) == 26
    np.testing.assert_array_equal(part.parameters, alone.parameters)


@pytest.mark.parametrize("case", RAGGED[::3], ids=str)
def test_inference_against_numpy(case, dtype):
    run = experiment(case, dtype)
    expected = outputs(run.weights, run.biases, case.names[:-1], case.names[-1], run.X)
    found = run.engine(case).outputs(run.X)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, **TOLERANCE[dtype])


@pytest.mark.parametrize("n", [0, 1, 2, 95, 96, 97, 191, 192, 193, 500])
def test_inference_of_a_row_depends_on_nothing_else(n, dtype):
    case = Case((17, 33, 9), 4, 500, ("tanh", "sigmoid"))
    run = experiment(case, dtype)
    engine = run.engine(case)
    one_by_one = np.concatenate([engine.outputs(x[np.newaxis]) for x in run.X])
    for members in (1, 2, 3, 7):
        found = engine.outputs(run.X[:n], members=members)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, one_by_one[:n])
