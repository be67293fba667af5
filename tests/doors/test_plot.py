"""Pictures hold the numbers that they are drawn from."""

import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from fastbp import History, Network, plot
from fastbp.datasets import load_mnist

mpl.use("Agg")
LISTS = {
    "loss": [0.5, 0.25, 0.125],
    "seconds": [1.0] * 3,
    "val_loss": [0.6, 0.3, 0.4],
    "val_accuracy": [0.1, 0.2, 0.3],
}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def curves(axes):
    """{name: numbers} of the lines drawn, over epochs from 1."""
    for line in axes.lines:
        assert line.get_xdata().tolist() == list(range(1, 1 + len(line.get_ydata())))
    return {line.get_label(): list(line.get_ydata()) for line in axes.lines}


def test_a_history_has_a_panel_for_costs_and_one_for_scores():
    history = History(LISTS)
    costs, scores = history.plot()
    assert curves(costs) == {name: LISTS[name] for name in ("loss", "val_loss")}
    assert curves(scores) == {"val_accuracy": LISTS["val_accuracy"]}
    assert [line.get_linestyle() for line in costs.lines] == ["-", "--"]
    assert len({line.get_color() for line in costs.lines}) == 1
    assert [(ax.get_xlabel(), ax.get_ylabel()) for ax in (costs, scores)] == [
        ("epoch", "loss"),
        ("epoch", "accuracy"),
    ]
    axes = history.plot("seconds", "val_accuracy")
    assert list(curves(axes)) == ["seconds", "val_accuracy"]
    own = plt.figure().add_subplot()
    assert history.plot(ax=own) is own
    assert len(own.lines) == 3
    with pytest.raises(ValueError, match=r"names: expected one of 'loss', .* got 'acc'"):
        history.plot("acc")


def test_curves_of_a_mapping_by_the_module():
    assert list(curves(plot.history({"loss": [0.5, 0.25]}))) == ["loss"]


def test_weights_are_images():
    net = Network([6, 5, 2], seed=0)
    axes = plot.weights(net, shape=(2, 3))
    for ax, row in zip(axes.flat, net.weights[0], strict=False):
        assert np.array_equal(ax.images[0].get_array(), row.reshape(2, 3))
        assert ax.images[0].get_clim() == (-abs(net.weights[0]).max(), abs(net.weights[0]).max())
    assert [bool(ax.images) for ax in axes.flat] == [True] * 5 + [False]
    assert plot.weights(Network([9, 3, 1], seed=0), most=2).shape == (1, 2)
    with pytest.raises(ValueError, match=r"shape: expected \(height, width\) .* of 6 inputs, got None"):
        plot.weights(net)
    for shape in ((2, 2), (-2, -3), (2.0, 3), [2, 3], (6,)):
        with pytest.raises(ValueError, match=r"shape: expected \(height, width\) of an image of 6 inputs"):
            plot.weights(net, shape=shape)
    with pytest.raises(ValueError, match="most: expected at least 1, got 0"):
        plot.weights(net, shape=(2, 3), most=0)
    for layer in (2, -1, 0.5):
        with pytest.raises(ValueError, match="layer: expected a number from 0 to 1"):
            plot.weights(net, layer)


@pytest.mark.parametrize("names", [None, ["no", "yes"]])
def test_a_confusion_matrix_counts(names):
    net = Network([1, 1], init=[np.array([[1.0]])], seed=0)
    X, y = np.array([[-1.0], [-1.0], [1.0], [1.0], [1.0]]), np.array([0, 1, 1, 1, 1])
    if names:
        net.classes_ = names
        y = np.array(names)[y]
    net.fit(X, y, epochs=0, batch_size=1)
    ax = plot.confusion_matrix(net, X, y)
    assert {(*text.get_position()[::-1], text.get_text()) for text in ax.texts} == {
        *((0, 0, "1"), (1, 0, "1"), (1, 1, "3"))
    }
    assert [label.get_text() for label in ax.get_yticklabels()] == (names or ["0", "1"])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "true")
    assert ax.get_title() == "4 of 5 right"
    *_, outputs = plot.activations(net, X[0])
    assert [label.get_text() for label in outputs.get_yticklabels()] == [names[1] if names else "1"]
    own = plt.figure().add_subplot()
    assert plot.confusion_matrix(net, X, y, ax=own) is own
    with pytest.raises(ValueError, match="y: expected 5 labels, one per row of X, got 4"):
        plot.confusion_matrix(net, X, y[:4])
    with pytest.raises(ValueError, match=r"y\[0\]: expected one of"):
        plot.confusion_matrix(net, X, ["maybe"] * 5)


def test_a_confusion_matrix_is_of_labels():
    X = np.linspace(-1, 1, 8).reshape(4, 2)
    several = np.array([[1, 0], [0, 0], [1, 1], [0, 1]])
    for y, task in ((X[:, 0], "value"), (X, "values"), (several, "multilabel")):
        net = Network(
            [2, 2 if y.ndim > 1 else 1], cost="cross_entropy" if task == "multilabel" else "quadratic"
        )
        net.fit(X, y, epochs=0, batch_size=2)
        with pytest.raises(ValueError, match=f"expected a network trained for labels, got one for {task}$"):
            plot.confusion_matrix(net, X, y)


def test_outputs_are_in_the_unit_of_y():
    X = np.random.default_rng(0).normal(size=(20, 3))
    net = Network([3, 4, 1], output_activation="linear", scale_outputs=True, seed=0)
    net.fit(X, 100 * X[:, 0] + 7, epochs=1, batch_size=5)
    inputs, hidden, outputs = plot.activations(net, X[0])
    assert [bar.get_width() for bar in inputs.patches] == X[0].tolist()
    assert [bar.get_width() for bar in outputs.patches] == net.outputs(X[:1])[0].tolist()
    hidden.figure.canvas.draw()
    low, high = sorted(hidden.get_ylim())
    assert [tick for tick in hidden.get_yticks() if low < tick < high] == [0, 1, 2, 3]


@pytest.mark.parametrize("scaled", [False, True])
def test_a_sample_is_followed_through_every_layer(scaled):
    X = np.random.default_rng(0).normal(size=(20, 4)) * 3 + 1
    net = Network(
        [4, 3, 2],
        activation=["relu"],
        output_activation="softmax",
        cost="cross_entropy",
        scale_inputs=scaled,
        seed=0,
    )
    net.fit(X, np.arange(20) % 2, epochs=1, batch_size=5)
    inputs, hidden, outputs = plot.activations(net, X[7])
    assert [bar.get_width() for bar in outputs.patches] == pytest.approx(net.outputs(X[7:8])[0])
    assert len(hidden.patches) == 3
    assert inputs.images[0].get_array().shape == (2, 2)
    assert [label.get_text() for label in outputs.get_yticklabels()] == ["0", "1"]
    with pytest.raises(ValueError, match="x: expected shape"):
        plot.activations(net, X)


def test_a_digit_is_an_image():
    training, _, test = load_mnist()
    net = Network([784, 10, 10], input_divisor=255, seed=0)
    net.fit(training.X[:100], training.y[:100], epochs=1, batch_size=10)
    inputs, _, outputs = plot.activations(net, test.X[0])
    np.testing.assert_allclose(inputs.images[0].get_array(), test.X[0].reshape(28, 28) / 255)
    assert [bar.get_width() for bar in outputs.patches] == pytest.approx(net.outputs(test.X[:1])[0])


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(
        ImportError,
        match=r"History.plot: expected matplotlib; pip install '\.\[plot\]' in fastbp's source folder",
    ):
        History(LISTS).plot()


def test_the_curves_of_a_history_are_here_as_well():
    axes = plot.history({"loss": [2.0, 1.0], "val_loss": [3.0, 2.0]}, "loss", "val_loss")
    assert [list(line.get_ydata()) for line in axes.get_lines()] == [[2.0, 1.0], [3.0, 2.0]]


def test_residuals_are_true_minus_predicted():
    X = np.random.RandomState(0).rand(20, 3)
    y = np.stack([X[:, 0], X.sum(axis=1)], axis=1)
    net = Network([3, 4, 2], output_activation="linear", seed=0)
    net.fit(X, y, epochs=1, batch_size=10, learning_rate=0.01)
    axes = plot.residuals(net, X, y, output=1)
    predicted = net.predict(X)[:, 1]
    drawn = axes.collections[0].get_offsets()
    assert np.allclose(drawn, np.stack([predicted, y[:, 1] - predicted], axis=1))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true - predicted")
    own = plt.figure().add_subplot()
    one = Network([3, 1], output_activation="linear", seed=0)
    one.fit(X, y[:, 0], epochs=1, batch_size=10, learning_rate=0.01)
    assert plot.residuals(one, X, y[:, 0], ax=own) is own
    with pytest.raises(ValueError, match=r"y: expected shape \(20,\), as predictions have, got \(20, 2\)"):
        plot.residuals(one, X, y)
    with pytest.raises(ValueError, match="output: expected a number from 0 to 1, got 2"):
        plot.residuals(net, X, y, output=2)
    net.fit(X, np.arange(20) % 2, epochs=1, batch_size=10)
    with pytest.raises(
        ValueError, match=r"plot\.residuals: expected a network trained for values, got one for"
    ):
        plot.residuals(net, X, y)
