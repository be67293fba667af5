"""Networks from and to Keras."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..network import Network
from ..options.activations import ELU, OUTPUT_ACTIVATIONS, LeakyReLU
from .steps import (
    Activation,
    Dense,
    Dropout,
    Scale,
    Step,
    network_from_steps,
    standardized,
    with_scaling_folded,
)

_SLOPE = 0.2  # of Keras's activation "leaky_relu"


def from_keras(model: Any, **options: Any) -> Network:
    """A network with the weights of a Keras model, and equal outputs.

    Parameters
    ----------
    model : keras.Sequential
        Of ``Dense``, activations that `Network` has, ``Dropout``, and ``BatchNormalization``,
        ``Normalization`` and ``Rescaling``, which go into the weights or, where nothing is before them, into
        the scaling of inputs.
    **options
        Those of `Network.from_weights`, such as ``classes``.  The type is the model's, float32 or float64.

    Raises
    ------
    ValueError
        For a model or a layer of another kind, a functional model and a user's own class among them, and for
        a model that has no weights yet.

    Examples
    --------
    >>> import keras  # doctest: +SKIP
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])  # doctest: +SKIP
    >>> net = from_keras(model)  # doctest: +SKIP
    """
    if type(model).__name__ != "Sequential" or not _is_of_keras(type(model)):
        raise ValueError(
            f"from_keras: expected keras.Sequential, got {type(model).__name__}; of a model whose layers "
            "follow each other, pass keras.Sequential(model.layers)"
        )
    if not model.built:
        raise ValueError(
            "from_keras: expected a model that knows its inputs, got one without weights; "
            "begin it with keras.Input, or call it once"
        )
    steps = [step for layer in model.layers for step in _of_layer(layer)]
    return network_from_steps(steps, "from_keras", options)


def _is_of_keras(thing: Any) -> bool:
    """Tells whether a class or a function is Keras's own, and not a user's of the same name."""
    return str(getattr(thing, "__module__", "")).partition(".")[0] in ("keras", "tf_keras", "tensorflow")


def _of_layer(layer: Any) -> Iterator[Step]:
    kind, config, arrays = type(layer).__name__, layer.get_config(), layer.get_weights()
    arrays = [array if array.dtype == np.float64 else array.astype(np.float32) for array in arrays]
    match kind if _is_of_keras(type(layer)) else type(layer):
        case "Dense" if len(arrays) == 1 + config["use_bias"]:  # no adapters, no scales of int8
            w = np.ascontiguousarray(arrays[0].T)
            yield Dense(w, arrays[1] if config["use_bias"] else np.zeros(len(w), w.dtype))
            yield Activation(_kind(layer.activation, config["activation"]))
        case "Activation":
            yield Activation(_kind(layer.activation, config["activation"]))
        case "LeakyReLU":
            yield Activation(LeakyReLU(config["negative_slope"]))
        case "ELU":
            yield Activation(ELU(config["alpha"]))
        case "Softmax" if config["axis"] in (1, -1):
            yield Activation("softmax")
        case "ReLU" if config["max_value"] is None and not config["threshold"]:
            slope = config["negative_slope"]
            yield Activation(LeakyReLU(float(slope)) if slope else "relu")
        case "Dropout":
            yield Dropout(config["rate"])
        case "BatchNormalization":
            *learnt, mean, variance = arrays
            deviation = np.sqrt(variance.astype(np.float64) + config["epsilon"])
            factor = learnt.pop(0) if config["scale"] else 1.0
            yield standardized(mean, deviation, factor, learnt[0] if config["center"] else 0.0)
        case "Normalization" if not config.get("invert"):
            yield standardized(*(np.asarray(array, np.float64).ravel() for array in _moments(layer)))
        case "Rescaling":
            yield Scale(config["scale"], config["offset"])
        case "InputLayer" | "Flatten":
            pass
        case _:
            raise ValueError(
                "from_keras: expected keras.Sequential of Dense, activations, Dropout, BatchNormalization, "
                "Normalization and Rescaling, Keras's own classes, not quantized, and without adapters, "
                f"max_value, threshold, invert or an axis of samples, got {layer!r}"
            )


def _moments(layer: Any) -> tuple[Any, Any]:
    """The mean and the deviation of a layer that normalises its inputs."""
    mean, variance = layer.get_weights()[:2] if layer.get_weights() else (layer.mean, layer.variance)
    return mean, np.maximum(np.sqrt(np.asarray(variance, np.float64)), 1e-7)  # as Keras bounds it


def _kind(function: Any, name: Any) -> Any:
    """Translates an activation of Keras for `Network`; a user's own function may have the same name."""
    if not _is_of_keras(function):
        raise ValueError(f"from_keras: expected activations of Keras's own, got {function!r}")
    name = {"swish": "silu"}.get(name, name) if isinstance(name, str) else name
    if name == "leaky_relu":
        return LeakyReLU(_SLOPE)
    if not isinstance(name, str) or name not in OUTPUT_ACTIVATIONS:
        known = ", ".join(map(repr, OUTPUT_ACTIVATIONS))
        raise ValueError(f"from_keras: expected activations of {known}, got {name!r}")
    return OUTPUT_ACTIVATIONS[name]


def to_keras(net: Network) -> Any:
    """A ``keras.Sequential`` with the network's weights, and equal outputs; in the network's type.

    Scaling and `input_divisor` go into the weights of the first and the last layer; dropout is left out.
    Keras 3 multiplies numbers of float64 in float32.

    Raises
    ------
    ImportError
        Without Keras or its backend.
    ValueError
        For an activation that Keras does not name, a user's own, scaled outputs that are not linear, or
        weights that overflow with the scaling in them.

    Examples
    --------
    >>> model = to_keras(Network([2, 3, 1], seed=0))  # doctest: +SKIP
    """
    try:
        import keras
    except ImportError as error:
        raise ImportError(
            f"to_keras: expected Keras and its backend, got {error}; pip install keras, or set KERAS_BACKEND "
            "to the backend that is installed"
        ) from error
    parts = with_scaling_folded(net, "to_keras")
    dtype = str(parts.dtype)
    model = keras.Sequential([keras.Input((parts.sizes[0],), dtype=dtype)])
    for layer in parts.layers:
        name = layer.activation
        if name == "gelu_tanh":
            raise ValueError("to_keras: expected activations that Keras names, got the tanh form of gelu")
        own = name in ("leaky_relu", "elu")  # with a number
        dense = keras.layers.Dense(len(layer.biases), activation=None if own else name, dtype=dtype)
        model.add(dense)
        dense.set_weights([layer.weights.T, layer.biases])
        if own:
            kind = keras.layers.LeakyReLU if name == "leaky_relu" else keras.layers.ELU
            number = {"negative_slope" if name == "leaky_relu" else "alpha": layer.number}
            model.add(kind(**number, dtype=dtype))
    return model
