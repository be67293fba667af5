"""The search for a learning rate, which leaves the network and NumPy's generator as they were."""

import numpy as np
import pytest

from fastbp import DivergenceError, Network
from toy import LABELS, X, bits

OPTIONS = {"output_activation": "softmax", "cost": "cross_entropy", "activation": "tanh"}


def network(seed=3, **options):
    return Network([6, 9, 3], seed=seed, **{**OPTIONS, **options})


def test_rates_grow_and_costs_are_means_over_batches():
    net = network()
    found = net.find_learning_rate(X, LABELS, batch_size=25, smallest=1e-9, largest=1e-8, steps=12)
    np.testing.assert_allclose(found.rates, np.geomspace(1e-9, 1e-8, 12), rtol=1e-12)
    wanted, _ = net.value_and_gradient(X, LABELS)  # rates so small change nothing
    np.testing.assert_allclose(found.losses, wanted, rtol=1e-6)


def test_costs_of_batches_across_epochs():
    """Batches of 7, 7, 7 and 4: smoothed costs of the batches, by hand."""
    net = network()
    rates = {"smallest": 1e-12, "largest": 1e-11, "steps": 9}
    found = net.find_learning_rate(X, LABELS, batch_size=7, shuffle=False, **rates)
    mean, wanted = 0.0, []
    for step in range(9):
        rows = slice(7 * (step % 4), 7 * (step % 4) + 7)
        mean = 0.9 * mean + 0.1 * net.value_and_gradient(X[rows], LABELS[rows])[0]
        wanted.append(mean / (1 - 0.9 ** (step + 1)))
    np.testing.assert_allclose(found.losses, wanted, rtol=1e-8)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_suggestion_trains(optimizer):
    net = network()
    found = net.find_learning_rate(X, LABELS, batch_size=7, optimizer=optimizer)
    assert found.suggestion == float(f"{found.rates[found.losses.argmin()] / 10:.1e}")
    fit = {"epochs": 20, "batch_size": 7, "optimizer": optimizer}
    history = net.fit(X, LABELS, learning_rate=found.suggestion, **fit)
    assert history.loss[-1] < 0.8 * history.loss[0]
    assert f"{found.suggestion:g}" in repr(found)


def test_the_search_ends_where_the_cost_grows():
    options = {"activation": "linear", "output_activation": "linear", "cost": "quadratic"}
    values = X @ np.ones((6, 3))
    for largest in (1e6, 1e300):
        net = network(**options)
        found = net.find_learning_rate(X, values, batch_size=25, largest=largest)
        assert len(found.rates) == len(found.losses) < 100 and np.isfinite(found.losses).all()
    with pytest.raises(DivergenceError, match="smallest: expected a rate"):
        network(**options).find_learning_rate(X, 1e200 * values, batch_size=25, smallest=1.0)


@pytest.mark.parametrize("seed", [3, None])
def test_nothing_is_changed(seed):
    np.random.seed(0)  # noqa: NPY002
    nets = [network(seed)]
    np.random.seed(0)  # noqa: NPY002
    nets.append(network(seed))
    for net in nets:
        np.random.seed(1)  # noqa: NPY002
        net.fit(X, LABELS, epochs=2, batch_size=7, optimizer="adam")
        if net is nets[0]:
            before = bits(net), net.task, net._fastbp
            net.find_learning_rate(X, LABELS, batch_size=7, optimizer="adam", steps=10)
            assert (bits(net), net.task, net._fastbp) == before
        net.fit(X, LABELS, epochs=2, batch_size=7, optimizer="adam")
    assert bits(nets[0]) == bits(nets[1])


def test_the_curve():
    plt = pytest.importorskip("matplotlib.pyplot")
    found = network().find_learning_rate(X, LABELS, batch_size=7, steps=10)
    axes = found.plot()
    assert axes.get_xscale() == "log" and len(axes.lines) == 2
    assert found.plot(axes) is axes
    plt.close("all")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"smallest": 0}, "smallest: expected a finite number above 0, got 0.0"),
        ({"smallest": 1.0, "largest": 1.0}, "largest: expected a rate above the smallest, 1, got 1.0"),
        ({"steps": 1}, "steps: expected at least 2, got 1"),
        ({"batch_size": 0}, "batch_size: expected at least 1, got 0"),
        ({"optimizer": "best"}, "optimizer: expected one of"),
        ({"epochs": 1}, "epochs: expected no such argument"),
        ({"learning_rate": 0.1}, "learning_rate: expected no such argument"),
        ({"callbacks": []}, "callbacks: expected no such argument"),
    ],
)
def test_refused(options, words):
    with pytest.raises((ValueError, TypeError), match=words):
        network().find_learning_rate(X, LABELS, **{"batch_size": 7, **options})
    with pytest.raises(TypeError, match="y: expected labels or values"):
        network().find_learning_rate(X, None, batch_size=7)
