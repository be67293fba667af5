"""Networks that train alone, as the reference of those that train in an ensemble."""

import numpy as np

SAME = ("seconds", "threads")  # names of a history that are a machine's


def assert_same_bits(ensemble, history, nets, histories):
    """Weights, optimizers' states, counts and numbers of each epoch."""
    for i, (net, wanted) in enumerate(zip(nets, histories, strict=True)):
        mine, own = ensemble[i], history.network(i)
        for a, b in zip(mine.weights + mine.biases, net.weights + net.biases, strict=True):
            assert a.tobytes() == b.tobytes(), f"network {i}"
        assert mine._fastbp == net._fastbp, f"network {i}"
        assert [*own] == [*wanted] or not wanted.epochs
        for name in wanted:
            if name not in SAME:
                np.testing.assert_array_equal(own[name], wanted[name], err_msg=f"{name} of network {i}")
        states = (mine._fastbp.progress.optimizer_state, net._fastbp.progress.optimizer_state)
        assert [*states[0]] == [*states[1]]
        for a, b in zip(*(state.values() for state in states), strict=True):
            assert [x.tobytes() for x in (*a[0], *a[1])] == [x.tobytes() for x in (*b[0], *b[1])]
        assert own.notes == wanted.notes
