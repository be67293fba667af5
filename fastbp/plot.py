"""Pictures of trainings and networks, by matplotlib (``pip install '.[plot]'``).

Each function draws by pyplot and returns the axes, to be changed or saved further:
``axes.figure.savefig(...)``.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .data.arrays import array
from .data.labels import indices_of, labels_or_numbers
from .data.parameters import parameter_arrays
from .data.samples import checked_samples
from .data.sparse import dense
from .engine import formulas, inference
from .engine.architecture import checked, schema_of
from .options import checks
from .training import plot_checks
from .training.curves import COLORS, history, pyplot

__all__ = ["activations", "confusion_matrix", "history", "residuals", "weights"]

_BAR_LIMIT = 60  # neurons of a layer whose bars are drawn with gaps


def weights(net: Any, layer: int = 0, *, shape: tuple[int, int] | None = None, most: int = 64) -> Any:
    """The weights of each neuron of a layer as an image, red where positive and blue where negative.

    Parameters
    ----------
    net : Network
    layer : int
        As in ``net.weights``; the first is 0.
    shape : (int, int), optional
        Height and width of an image; by default a square, where the number of inputs is one.
    most : int
        Neurons to draw, at least 1.

    Returns
    -------
    array of axes

    Raises
    ------
    ImportError
        Without matplotlib.
    ValueError
        For a layer that does not exist, or a shape of another number of inputs.

    Examples
    --------
    >>> from fastbp import Network
    >>> axes = weights(Network([9, 4, 2], seed=0))
    >>> axes.shape, axes[0, 0].images[0].get_array().shape
    ((2, 2), (3, 3))
    """
    plt = pyplot("plot.weights")
    layers, _ = parameter_arrays(net.weights, net.biases)
    w = np.asarray(layers[plot_checks.index("layer", layer, len(layers))])[: checks.count("most", most)]
    height, width = plot_checks.image_shape("shape", shape, w.shape[1])
    columns = math.ceil(math.sqrt(len(w)))
    rows = math.ceil(len(w) / columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(1.1 * columns, 1.1 * rows + 0.4), squeeze=False, layout="constrained"
    )
    most_of_all = float(np.abs(w).max()) or 1.0
    for ax in axes.flat:
        ax.set_axis_off()
    for number, (ax, row) in enumerate(zip(axes.flat, w, strict=False)):
        image = row.reshape(height, width)
        drawn = ax.imshow(image, cmap="RdBu_r", vmin=-most_of_all, vmax=most_of_all)
        ax.set_title(str(number), fontsize=7, pad=2)
    figure.colorbar(drawn, ax=axes, shrink=0.8, label="weight")
    figure.suptitle(f"weights of layer {layer}, neuron by neuron")
    return axes


def confusion_matrix(net: Any, X: Any, y: Any, *, ax: Any = None) -> Any:
    """Counts of predicted labels, a row per true label and a column per predicted one.

    Parameters
    ----------
    net : Network
        Trained for labels; see `Network.task`.
    X : array (samples, inputs)
    y : array (samples,)
        Labels.
    ax : matplotlib axes, optional

    Returns
    -------
    axes

    Raises
    ------
    ImportError
        Without matplotlib.
    ValueError
        For a network that is not trained for labels, or labels that it does not know.

    Examples
    --------
    >>> from fastbp import Network
    >>> net = Network([1, 2], init=[np.array([[-1.0], [1.0]])], seed=0)
    >>> X, y = [[-2.0], [3.0], [-1.0]], ["no", "yes", "yes"]
    >>> ended = net.fit(X, y, epochs=0, batch_size=1)
    >>> confusion_matrix(net, X, y).get_title()
    '2 of 3 right'
    """
    plt = pyplot("plot.confusion_matrix")
    counts, names = _confusion(net, X, y)
    if ax is None:
        side = 2.5 + 0.35 * len(names)
        _, ax = plt.subplots(figsize=(side, side), layout="constrained")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (true, predicted), count in np.ndenumerate(counts):
        if count:
            color = "white" if shares[true, predicted] > 0.6 else "black"
            ax.text(predicted, true, str(count), ha="center", va="center", color=color, fontsize=8)
    ax.set_xticks(range(len(names)), names, rotation=90 if max(map(len, names)) > 3 else 0)
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    ax.set_title(f"{counts.trace():,} of {counts.sum():,} right")
    return ax


def _confusion(net: Any, X: Any, y: Any) -> tuple[np.ndarray, list[str]]:
    """Counts (labels, labels), true by predicted, and the labels."""
    plot_checks.trained_for_labels(net.task)
    labels = inference.classes(net).tolist()
    indices = {label: index for index, label in enumerate(labels)}
    predicted = indices_of(net.predict(X).tolist(), indices, "predicted")
    true = indices_of(labels_or_numbers(y, "y").tolist(), indices, "y")
    plot_checks.same_rows("y", len(true), len(predicted))
    counts = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(counts, (true, predicted), 1)
    return counts, list(map(str, labels))


def residuals(net: Any, X: Any, y: Any, *, output: int = 0, ax: Any = None) -> Any:
    """True minus predicted values of an output over the predicted ones, and a line where they agree.

    Parameters
    ----------
    net : Network
        Trained for values; see `Network.task`.
    X : array (samples, inputs)
    y : array (samples,) or (samples, outputs)
        Values, in their own units.
    output : int
        Column of y.
    ax : matplotlib axes, optional

    Returns
    -------
    axes

    Raises
    ------
    ImportError
        Without matplotlib.
    ValueError
        For a network that is not trained for values, y of another shape than its predictions, or an output
        that it does not have.

    Examples
    --------
    >>> from fastbp import Network
    >>> net = Network([1, 1], output_activation="linear", init=[np.array([[2.0]])], seed=0)
    >>> axes = residuals(net, [[1.0], [2.0]], [[2.5], [3.5]])
    >>> axes.collections[0].get_offsets().tolist()
    [[2.0, 0.5], [4.0, -0.5]]
    """
    plt = pyplot("plot.residuals")
    plot_checks.trained_for_values(net.task)
    predicted = np.asarray(net.predict(X))
    true = plot_checks.same_shape("y", array(y, "y"), predicted.shape).reshape(len(predicted), -1)
    predicted = predicted.reshape(true.shape)
    column = plot_checks.index("output", output, true.shape[1])
    if ax is None:
        _, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
    ax.scatter(predicted[:, column], (true - predicted)[:, column], s=12, color=COLORS[0], alpha=0.5)
    ax.axhline(0.0, color="gray", linewidth=1)
    ax.set_xlabel("predicted")
    ax.set_ylabel("true - predicted")
    return ax


def activations(net: Any, x: Any, *, shape: tuple[int, int] | None = None) -> Any:
    """One sample's inputs and the activations of every layer.

    Parameters
    ----------
    net : Network
    x : array (inputs,)
        One sample, as a row of `Network.fit`'s X.
    shape : (int, int), optional
        Height and width of an image of the inputs; by default a square, or bars if they make no square.

    Returns
    -------
    array of axes
        The inputs, each layer, the outputs.

    Raises
    ------
    ImportError
        Without matplotlib.
    ValueError
        For anything but one sample with the network's number of inputs, or a shape of another number.

    Examples
    --------
    >>> from fastbp import Network
    >>> axes = activations(Network([3, 4, 2], seed=0), [0.5, -1.0, 2.0])
    >>> [(ax.get_title(), len(ax.patches)) for ax in axes]
    [('inputs', 3), ('layer 0', 4), ('outputs', 2)]
    """
    plt = pyplot("plot.activations")
    signals = _signals(net, x)
    labels = [str(label) for label in inference.classes(net)]
    if net.task == "binary":
        labels = labels[1:]  # the one that the output is large for
    elif net.task not in ("labels", None):
        labels = []
    ratios = [1.2, *[1.0] * (len(signals) - 1)]
    _, axes = plt.subplots(
        1, len(signals), figsize=(2.4 * len(signals), 3.2), width_ratios=ratios, layout="constrained"
    )
    side = math.isqrt(len(signals[0]))
    if shape is not None or (side * side == len(signals[0]) and side > 1):
        axes[0].imshow(
            signals[0].reshape(plot_checks.image_shape("shape", shape, len(signals[0]))), cmap="gray"
        )
        axes[0].set_axis_off()
    else:
        _bars(axes[0], signals[0], [])
        axes[0].set_xlabel("value")
        axes[0].set_ylabel("input")
    axes[0].set_title("inputs")
    for number, (ax, signal) in enumerate(zip(axes[1:], signals[1:], strict=True)):
        last = number == len(signals) - 2
        _bars(ax, signal, labels if last and len(labels) == len(signal) else [])
        ax.set_title("outputs" if last else f"layer {number}")
        ax.set_xlabel("value" if last else "activation")
        ax.set_ylabel("output" if last else "neuron")
    return axes


def _signals(net: Any, x: Any) -> list[np.ndarray]:
    """The inputs and hidden activations as the network computes them, and the outputs in the units of y."""
    architecture, weights, biases = checked(net)
    schema = schema_of(net, architecture)
    options = schema.options
    x = array(x, "x").reshape(1, -1)
    row = dense(checked_samples(x, architecture.sizes[0], architecture.dtype, "x"))
    a = row[0] / (options.bytes_divisor if row.dtype == np.uint8 else options.input_divisor or 1.0)
    if (scaling := schema.scalings()[0]) is not None:
        a = scaling.scaled(a)
    layers = formulas.forward(architecture.activations[:-1], weights[:-1], biases[:-1], a[:, None])
    return [a, *(activation.ravel() for _, activation, _ in layers), net.outputs(row)[0]]


def _bars(ax: Any, signal: np.ndarray, names: Sequence[str]) -> None:
    height = 1.0 if len(signal) > _BAR_LIMIT else 0.8
    ax.barh(range(len(signal)), signal, height=height, color=COLORS[0])
    ax.set_ylim(len(signal) - 0.5, -0.5)
    if names:
        ax.set_yticks(range(len(signal)), names)
    else:
        ax.yaxis.get_major_locator().set_params(integer=True)
