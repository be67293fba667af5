"""Networks from and to scikit-learn's perceptrons."""

from typing import Any

import numpy as np

from ..files.exported import Layer
from ..network import Network
from ..options.activations import SCIKIT_LEARNS
from .steps import Activation, Dense, Step, network_from_steps, with_scaling_folded

_OURS = SCIKIT_LEARNS | {name: name for name in ("tanh", "relu", "softmax")}
_THEIRS = {ours: theirs for theirs, ours in _OURS.items()}


def from_sklearn(model: Any, **options: Any) -> Network:
    """A network with the weights of a fitted ``MLPClassifier`` or ``MLPRegressor``, and equal predictions.

    Parameters
    ----------
    model : sklearn.neural_network.MLPClassifier or MLPRegressor
    **options
        Those of `Network.from_weights`.  The type is the model's.

    Raises
    ------
    ValueError
        For a model that is not fitted, or of another class.

    Examples
    --------
    >>> from sklearn.neural_network import MLPClassifier
    >>> X, y = [[0.0], [1.0]], ["no", "yes"]
    >>> model = MLPClassifier((3,), solver="lbfgs", random_state=0).fit(X, y)
    >>> from_sklearn(model).predict(X)
    array(['no', 'yes'], dtype='<U3')
    """
    if not hasattr(model, "coefs_") or not hasattr(model, "out_activation_"):
        raise ValueError(f"from_sklearn: expected a fitted MLPClassifier or MLPRegressor, got {model!r}")
    output = _ours(model.out_activation_)
    steps: list[Step] = []
    for w, b in zip(model.coefs_, model.intercepts_, strict=True):
        steps += [Dense(np.ascontiguousarray(w.T), b), Activation(_ours(model.activation))]
    steps[-1] = Activation(output)
    if output == "exponential":
        options = {"cost": "poisson", **options}
    net = network_from_steps(steps, "from_sklearn", options)
    several = model.n_outputs_ > 1
    if not hasattr(model, "classes_"):
        net.task = "values" if several else "value"
    elif several and output == "sigmoid":
        net.task = "multilabel"
    else:
        net.task = "labels" if several else "binary"
        if "classes" not in options:
            net.classes_ = model.classes_.tolist()
    return net


def _ours(name: Any) -> str:
    if not isinstance(name, str) or name not in _OURS:
        raise ValueError(f"from_sklearn: expected activations that scikit-learn has, got {name!r}")
    return _OURS[name]


def to_sklearn(net: Network) -> Any:
    """A fitted ``MLPClassifier`` or ``MLPRegressor`` with the network's weights, and equal predictions.

    The network's task decides which; of several labels at once a single one is a classifier of 0 and 1, and
    of the cost ``gaussian`` the means are kept.  Scaling and `input_divisor` go into the weights of the first
    and the last layer.  ``partial_fit`` and ``warm_start`` train on.

    Raises
    ------
    ImportError
        Without scikit-learn.
    ValueError
        For activations that scikit-learn does not have, or that differ between hidden layers; a classifier of
        other outputs than a softmax or, for one output or several labels at once, sigmoids; a regressor of
        other outputs than linear ones; scaled outputs that are not linear; weights that overflow with the
        scaling in them; labels that scikit-learn does not take.

    Examples
    --------
    >>> net = Network([2, 3, 2], output_activation="softmax", cost="cross_entropy", seed=0)
    >>> to_sklearn(net).predict_proba([[0.0, 1.0]]).shape
    (1, 2)
    """
    try:
        from sklearn.neural_network import MLPClassifier, MLPRegressor
    except ImportError as error:
        raise ImportError(
            "to_sklearn: expected scikit-learn; pip install '.[sklearn]' in fastbp's source folder"
        ) from error
    parts = with_scaling_folded(net, "to_sklearn")
    layers = list(parts.layers)
    if parts.is_paired:
        layers[-1] = layers[-1]._replace(weights=layers[-1].weights[::2], biases=layers[-1].biases[::2])
    hidden, output = {layer.activation for layer in layers[:-1]} or {"relu"}, layers[-1].activation
    expected = {"labels": "softmax", "binary": "sigmoid", "multilabel": "sigmoid"}.get(parts.task, "linear")
    if len(hidden) > 1 or not hidden <= {"linear", "sigmoid", "tanh", "relu"}:
        raise ValueError(
            "to_sklearn: expected one of scikit-learn's activations in all hidden layers, "
            f"got {', '.join(sorted(hidden))}"
        )
    if output != expected:
        raise ValueError(
            f"to_sklearn: expected {expected!r} outputs of a network for {parts.task}, got {output!r}"
        )
    is_classifier = parts.task not in ("value", "values")
    kind = MLPClassifier if is_classifier else MLPRegressor
    model = kind(hidden_layer_sizes=tuple(parts.sizes[1:-1]), activation=_THEIRS[hidden.pop()])
    if is_classifier:
        several = parts.task == "multilabel" and parts.sizes[-1] > 1
        labels = np.eye(parts.sizes[-1], dtype=int) if several else list(parts.classes or (0, 1))
        model._label_binarizer = _binarizer(labels)
        model.classes_ = model._label_binarizer.classes_
        layers[-1] = _sorted(layers[-1], parts.classes, model.classes_.tolist())
    model.coefs_ = [np.ascontiguousarray(layer.weights.T) for layer in layers]
    model.intercepts_ = [layer.biases.copy() for layer in layers]
    model.n_layers_, model.n_outputs_ = len(parts.sizes), len(layers[-1].biases)
    model.n_features_in_, model.out_activation_ = parts.sizes[0], _THEIRS[output]
    model.n_iter_, model.t_ = 0, 0
    model.loss_curve_, model.best_loss_, model._no_improvement_count = [], np.inf, 0  # to train on
    if parts.columns:
        model.feature_names_in_ = np.array(parts.columns, object)
    return model


def _binarizer(labels: Any) -> Any:
    """The object by which scikit-learn tells labels apart."""
    from sklearn.preprocessing import LabelBinarizer

    try:
        return LabelBinarizer().fit(labels)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"to_sklearn: expected labels that scikit-learn takes, all text or all int64, got {labels}; set "
            "net.classes_ to others"
        ) from error


def _sorted(layer: Layer, classes: tuple[Any, ...], ordered: list[Any]) -> Layer:
    """The last layer, whose outputs stand for `classes`, for the order that scikit-learn sorts them in."""
    places = [ordered.index(label) for label in classes]
    if len(layer.biases) == len(places):
        order = np.argsort(places)
        return layer._replace(weights=layer.weights[order], biases=layer.biases[order])
    if places == [1, 0]:  # one sigmoid, of the second label
        return layer._replace(weights=-layer.weights, biases=-layer.biases)
    return layer
