"""Random numbers: seeds, the global generators, and the shuffle of the standard library."""
# ruff: noqa: NPY002  without a seed, a network draws from NumPy's global generator

import random

import numpy as np
import pytest

from fastbp import Network
from fastbp.engine.kernels.shuffle import shuffle
from toy import LABELS, SIZES, N, X, bits, fitted, fresh


def global_states():
    kind, keys, *rest = np.random.get_state()
    return random.getstate(), (kind, keys.tolist(), *rest)


def test_a_seeded_network_leaves_the_global_generators_alone():
    before = global_states()
    net = fitted(validation_data=(X, LABELS))
    net.predict(X), net.predict_proba(X), net.score(X, LABELS)
    assert global_states() == before


def test_without_a_seed_the_global_generator_drives_everything():
    def run():
        np.random.seed(3)
        return bits(fitted(net=Network(SIZES)))

    before = random.getstate()
    one = run()
    assert one == run()
    assert random.getstate() == before
    wanted = np.random.RandomState(3)
    wanted.randn(9 + 3 + 9 * 6 + 3 * 9)
    for _ in range(3):
        wanted.permutation(N)
    assert np.random.randn() == wanted.randn()
    assert bits(fitted(net=Network(SIZES))) != one


def test_equal_seeds_give_equal_bits_and_others_do_not():
    assert (
        bits(fitted(net=fresh(seed=5))) == bits(fitted(net=fresh(seed=5))) != bits(fitted(net=fresh(seed=6)))
    )


def lengths():
    powers = {2**power + offset for power in range(1, 13) for offset in (-1, 0, 1)}
    return sorted({*range(10), *powers, 623, 624, 625, 5000})


@pytest.mark.parametrize("n", lengths())
def test_shuffle_is_that_of_the_standard_library(n):
    for seed in range(5):
        random.seed(seed)
        for _ in range(seed * 157):  # begin at different words of the generator's block
            random.random()
        version, words, gauss = random.getstate()
        state, order, expected = np.array(words, np.uint32), np.arange(n), list(range(n))
        shuffle(None)(state, order)
        random.shuffle(expected)
        assert order.tolist() == expected
        assert random.getstate() == (version, tuple(state.tolist()), gauss)
