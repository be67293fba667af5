"""Arrays of every kind and arrangement, which are read as they are and left alone."""

import numpy as np
import pytest

from experiments import compilations
from toy import LABELS, OPTIONS, VALUES, N, X, bits, fitted, fresh, sha


def in_strides(array, *index):
    """A view of that index into a larger array which holds `array` there."""
    shape = [size * (abs(part.step or 1)) for size, part in zip(array.shape, index, strict=True)]
    larger = np.full(shape, 99, array.dtype)
    larger[index] = array
    return larger[index]


def misaligned(array):
    buffer = np.zeros(array.nbytes + 1, np.uint8)
    copied = np.frombuffer(buffer.data, array.dtype, array.size, offset=1).reshape(array.shape)
    copied[...] = array
    assert not copied.flags.aligned
    return copied


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


ARRANGEMENTS = {
    "plain": lambda array: array.copy(),
    "list": lambda array: array.tolist(),
    "F-order": np.asfortranarray,
    "every third row": lambda array: in_strides(array, *[slice(None, None, 3)] * array.ndim),
    "backwards": lambda array: in_strides(array, *[slice(None, None, -1)] * array.ndim),
    "read-only": read_only,
    "misaligned": misaligned,
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "little-endian": lambda array: array.astype(array.dtype.newbyteorder("<")),
}
NUMBERS = ["float16", "float32", "float64", "longdouble", "int8", "int16", "int32", "int64"]
UNSIGNED = ["uint8", "uint16", "uint64", "bool"]
arrangements = pytest.mark.parametrize("arrange", ARRANGEMENTS)


def results(X, y, dtype):
    net = fresh(dtype=dtype, uint8_divisor=1.0)
    history = net.fit(X, y, validation_data=(X, y), **OPTIONS)
    return (
        bits(net),
        history.loss,
        history.validation_loss,
        history.validation_score,
        net.predict(X).tobytes(),
        net.outputs(X).tobytes(),
        net.score(X, y),
    )


def arranged(array, kind, arrange):
    if arrange == "misaligned" and np.dtype(kind).itemsize == 1:
        pytest.skip("bytes are never misaligned")
    return ARRANGEMENTS[arrange](array.astype(kind))


@pytest.mark.survives("unusual array")
@pytest.mark.survives("altered array")
@arrangements
@pytest.mark.parametrize("kind", NUMBERS + UNSIGNED)
def test_samples_of_every_kind_and_arrangement(kind, arrange, dtype):
    """Outputs are those of a plain float64 copy; nothing is compiled, and the array is unchanged."""
    plain = {"bool": X > 0}.get(kind, abs(X) if kind in UNSIGNED else X).astype(np.float64)
    expected, compiled = results(plain, LABELS, dtype), compilations()
    given = arranged(plain, kind, arrange)
    before = sha(given)
    assert results(given, LABELS, dtype) == expected
    assert sha(given) == before
    assert compilations() == compiled


@pytest.mark.survives("unusual array")
@pytest.mark.survives("altered array")
@arrangements
@pytest.mark.parametrize("kind", NUMBERS + UNSIGNED[:-1])
def test_labels_of_every_kind_and_arrangement(kind, arrange):
    given = arranged(LABELS, kind, arrange)
    before = sha(given)
    assert results(X, given, "float64") == results(X, LABELS, "float64")
    assert sha(given) == before


@pytest.mark.survives("unusual array")
@pytest.mark.survives("altered array")
@arrangements
@pytest.mark.parametrize("kind", NUMBERS + UNSIGNED)
def test_values_of_every_kind_and_arrangement(kind, arrange, dtype):
    given = arranged(VALUES, kind, arrange)
    before = sha(given)
    assert results(X, given, dtype) == results(X, VALUES, dtype)
    assert sha(given) == before


@pytest.mark.survives("unusual array")
@pytest.mark.survives("altered array")
@pytest.mark.parametrize("mode", ["r", "c"])
@pytest.mark.parametrize("kind", ["uint8", "float32", "float64", ">f8", "int16"])
def test_memory_mapped_samples(kind, mode, dtype, tmp_path):
    plain = abs(X)
    plain.astype(kind).tofile(tmp_path / "X")
    mapped = np.memmap(tmp_path / "X", kind, mode, shape=X.shape)
    assert results(mapped, LABELS, dtype) == results(plain, LABELS, dtype)
    assert (tmp_path / "X").read_bytes() == plain.astype(kind).tobytes()


@pytest.mark.parametrize("divisor", [255.0, 1.0, 3.5])
def test_bytes_are_divided(divisor, dtype):
    pixels = np.random.default_rng(0).integers(0, 256, (N, 6), np.uint8)
    divided = pixels.astype(dtype) / np.dtype(dtype).type(divisor)
    nets = [
        fitted(array, LABELS, fresh(dtype=dtype, uint8_divisor=divisor), learning_rate=0.01)
        for array in (pixels, divided)
    ]
    assert bits(nets[0]) == bits(nets[1])
    np.testing.assert_array_equal(nets[0].outputs(pixels), nets[0].outputs(divided))
