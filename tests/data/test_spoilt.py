"""One label or one number that is spoilt, wherever it is and however it is given: its place is named."""

import itertools
import re

import numpy as np
import pytest
import scipy.sparse

from fastbp.engine.packed import Engine
from toy import LABELS, OPTIONS, N, X, bits, fresh

BLOCK = 7  # rows


@pytest.fixture
def no_kernel(monkeypatch):
    """Fails where an engine of kernels is made, which is after all checks of arrays."""

    def fail(*arguments, **named):
        raise AssertionError("an engine is made before the data are checked")

    monkeypatch.setattr(Engine, "__init__", fail)


def some(cases, full):
    """All cases, or about a tenth of them."""
    return list(cases) if full else list(cases)[::11]


def refusal(call, net):
    """The message of the ValueError that a call raises, which leaves the network as it was."""
    before = bits(net)
    with pytest.raises(ValueError) as caught:
        call()
    assert bits(net) == before
    return str(caught.value)


LABEL_VALUES = [3, -1, 2**40, -(2**62), 1.5, 2.0**60, np.nan, np.inf, -np.inf]
LABEL_WAYS = {
    "fit": lambda net, y: net.fit(X, y, **OPTIONS),
    "a list": lambda net, y: net.fit(X, y.tolist(), **OPTIONS),
    "validation_data": lambda net, y: net.fit(X, LABELS, validation_data=(X, y), **OPTIONS),
    "partial_fit": lambda net, y: net.partial_fit(X, y),
    "value_and_gradient": lambda net, y: net.value_and_gradient(X, y),
}


@pytest.mark.survives("spoilt label")
def test_a_spoilt_label_is_named_before_any_kernel_runs(full, record_property, no_kernel):
    cases = some(itertools.product(LABEL_VALUES, LABEL_WAYS, range(N)), full)
    for value, way, row in cases:
        y = LABELS.astype(float if isinstance(value, float) else np.int64)
        y[row] = value
        net = fresh()
        message = refusal(lambda net=net, y=y, way=way: LABEL_WAYS[way](net, y), net)
        place = f"validation_y[{row}]: " if way == "validation_data" else f"y[{row}]: "
        assert message.startswith(place), (value, way, message)
        assert f"got {y[row]}" in message, (value, way, message)
    record_property("tried", len(cases))


def mapped(array, folder):
    """A copy of an array that is read from the disk."""
    array.tofile(folder / "X")
    return np.memmap(folder / "X", array.dtype, "r", shape=array.shape)


SAMPLE_WAYS = {
    "fit": lambda net, X, folder: net.fit(X, LABELS, **OPTIONS),
    "a list": lambda net, X, folder: net.fit(X.tolist(), LABELS, **OPTIONS),
    "columns first": lambda net, X, folder: net.fit(np.asfortranarray(X), LABELS, **OPTIONS),
    "float32": lambda net, X, folder: net.fit(X.astype(np.float32), LABELS, **OPTIONS),
    "a memory map": lambda net, X, folder: net.fit(mapped(X, folder), LABELS, **OPTIONS),
    "a memory map of float32": lambda net, X, folder: net.predict(mapped(X.astype("f4"), folder)),
    "a sparse matrix": lambda net, X, folder: net.fit(scipy.sparse.csr_matrix(X), LABELS, **OPTIONS),
    "validation_data": lambda net, spoilt, folder: net.fit(
        X, LABELS, validation_data=(spoilt, LABELS), **OPTIONS
    ),
    "predict": lambda net, X, folder: net.predict(X),
    "score": lambda net, X, folder: net.score(X, LABELS),
    "value_and_gradient": lambda net, X, folder: net.value_and_gradient(X, LABELS),
    "input_gradient": lambda net, X, folder: net.input_gradient(X, LABELS),
}
NOT_FINITE = (np.nan, np.inf, -np.inf)


@pytest.mark.survives("spoilt sample")
def test_a_spoilt_number_is_named_before_any_kernel_runs(full, record_property, no_kernel, tmp_path):
    places = itertools.product(range(N), range(X.shape[1]))
    cases = some(zip(itertools.product(places, SAMPLE_WAYS), itertools.cycle(NOT_FINITE), strict=False), full)
    for (place, way), value in cases:
        spoilt = X.copy()
        spoilt[place] = value
        net = fresh()
        message = refusal(lambda net=net, way=way, x=spoilt: SAMPLE_WAYS[way](net, x, tmp_path), net)
        name = "validation_X" if way == "validation_data" else "X"
        wanted = rf"{name}\[{place[0]}, {place[1]}\]: expected a finite float\d\d, got {value}"
        assert re.match(wanted, message), (way, message)
    record_property("tried", len(cases))


@pytest.mark.survives("spoilt sample")
def test_a_spoilt_number_of_a_block_is_named_in_its_block(full, record_property):
    """Blocks are read ahead of training, by one at most, so that no later one has been asked for."""
    places = list(itertools.product(range(N), range(X.shape[1])))
    cases = some(zip(places, itertools.cycle(NOT_FINITE), strict=False), full)
    for (row, column), value in cases:
        spoilt, asked = X.copy(), []
        spoilt[row, column] = value

        def blocks(spoilt=spoilt, asked=asked):
            for first in range(0, N, BLOCK):
                asked.append(first)
                yield spoilt[first : first + BLOCK], LABELS[first : first + BLOCK]

        with pytest.raises(ValueError) as caught:
            fresh().fit(blocks, batch_size=4, epochs=2, learning_rate=0.1)
        number = row // BLOCK
        wanted = rf"block {number}: X\[{row % BLOCK}, {column}\]: expected a finite float64, got {value}"
        assert re.match(wanted, str(caught.value)), caught.value
        assert len(asked) <= number + 2
    record_property("tried", len(cases))
