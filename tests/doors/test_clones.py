"""Copies and pickles of a network, and arrays held from before."""

import copy
import pickle

import numpy as np
import pytest

from toy import LABELS, VALUES, X, bits, fitted, fresh, sha

CLONES = {
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "pickle": lambda net: pickle.loads(pickle.dumps(net)),
}


@pytest.mark.parametrize("clone", CLONES)
@pytest.mark.parametrize("y", [LABELS, VALUES], ids=["labels", "values"])
def test_clones_predict_equally(clone, y, dtype):
    net = fitted(
        y=y, net=fresh(dtype=dtype, activation="tanh", output_activation="linear", uint8_divisor=3.0)
    )
    cloned = CLONES[clone](net)
    pixels = abs(X).astype(np.uint8)
    for given in (X, pixels):
        np.testing.assert_array_equal(cloned.predict(given), net.predict(given))
        np.testing.assert_array_equal(cloned.outputs(given), net.outputs(given))
    assert cloned.score(X, y) == net.score(X, y)
    if clone != "copy.copy":  # which shares the generator
        assert bits(fitted(y=y, net=cloned)) == bits(fitted(y=y, net=net))


def test_arrays_held_from_before_never_change():
    net = fitted()
    held = [*net.weights, *net.biases]
    before = sha(*held)
    fitted(net=net)
    assert sha(*held) == before
