"""Nothing is read or written outside the arrays."""

import ctypes
import mmap
import sys

import numpy as np
import pytest

from experiments import DTYPES, MIXED, Case, Data, Guarded, Harness, experiment, in_new_process, trained

CANARY, GUARD = Guarded.CANARY, Guarded.ZONE


@pytest.mark.parametrize("members", [1, 3])
def test_nothing_is_written_outside_parameters_and_scratch(members, dtype, guarded):
    for case in MIXED:
        run = experiment(case, dtype)
        engine = trained(case, dtype, members, Harness.poison, rate=0.05)
        engine.outputs(run.X, members=members)
        guarded.check()


def test_losses_are_written_up_to_the_batch(dtype):
    case = Case((9, 17), 13, 8, ("sigmoid",))  # fewer samples than the batch has room for
    run = experiment(case, dtype)
    engine, room = run.engine(case, 2), np.full(2 * GUARD, CANARY)
    losses = engine.losses = room[GUARD : GUARD + len(engine.losses)]
    losses[0] = 0.0
    engine.train(run.data, run.orders[0], (0, case.n))
    assert (losses[: 1 + case.n] > 0).all()
    assert (losses[1 + case.n :] == CANARY).all()
    assert (room[:GUARD] == CANARY).all() and (room[GUARD + len(losses) :] == CANARY).all()


@pytest.mark.parametrize(("first", "last"), [(0, 0), (0, 1), (3, 50), (7, 150), (0, 200)])
def test_inference_writes_its_rows_alone(first, last, dtype):
    case = Case((9, 33), 96, 200, ("sigmoid",))
    run = experiment(case, dtype)
    engine = run.engine(case)
    out = np.full((case.n, 33), CANARY, dtype)
    engine.infer_into(out, run.X, first, last)
    np.testing.assert_array_equal(out[first:last], engine.outputs(run.X)[first:last])
    assert (out[:first] == CANARY).all() and (out[last:] == CANARY).all()


def before_a_forbidden_page(array):
    """A copy of `array` that ends where memory may not be read."""
    page = mmap.PAGESIZE
    room = -(-array.nbytes // page) * page
    memory = mmap.mmap(-1, room + page)
    raw = np.frombuffer(memory, np.uint8)
    forbidden = ctypes.c_void_p(raw.ctypes.data + room)
    assert ctypes.CDLL(None).mprotect(forbidden, ctypes.c_size_t(page), 0) == 0  # 0 is PROT_NONE
    copy = raw[room - array.nbytes : room].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def read_up_to_forbidden_pages():
    """Trains and infers where one byte too far ends the process."""
    for case in MIXED[::4]:
        for dtype in DTYPES:
            run = experiment(case, dtype)
            engine = run.engine(case, members=2)
            engine.move_memory(before_a_forbidden_page)
            order = before_a_forbidden_page(run.orders[0])
            labels = np.arange(case.n) % case.sizes[-1]
            for kind in ("uint8", *DTYPES):
                X, *targets = map(before_a_forbidden_page, (run.X.astype(kind), run.Y, labels))
                for Y in targets:
                    engine.train(Data(X, Y, 255.0), order, (0, case.n))
                engine.outputs(X)


@pytest.mark.skipif(sys.platform == "win32", reason="mprotect")
def test_nothing_is_read_outside_the_arrays():
    in_new_process("test_memory.read_up_to_forbidden_pages()")
