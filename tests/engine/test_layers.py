"""Activations of hidden layers, and some layers of a network as a network."""

import numpy as np
import pytest
import scipy.sparse

from fastbp import Activation, LeakyReLU, Network, load
from toy import LABELS, X, bits

SIZES = [6, 9, 7, 5, 3]
KINDS = ["relu", LeakyReLU(0.2), "tanh"]


def network(dtype="float64", **options):
    arguments = {"activation": KINDS, "output_activation": "softmax", "cost": "cross_entropy", **options}
    return Network(SIZES, seed=4, dtype=dtype, **arguments)


def by_layers(net, X):
    """The activations of each layer but the last, in NumPy."""
    a, layers = X, []
    functions = [lambda z: np.maximum(z, 0), lambda z: np.where(z > 0, z, 0.2 * z), np.tanh]
    for function, w, b in zip(functions, net.weights, net.biases, strict=False):
        a = function(a @ w.astype(float).T + b.astype(float).T)
        layers.append(a)
    return layers


@pytest.mark.parametrize("layer", range(3))
def test_activations_of_hidden_layers(layer, dtype):
    net = network(dtype, dropout=0.5)
    given = net.outputs(X, layer=layer)
    assert given.dtype == dtype and given.shape == (25, SIZES[layer + 1])
    np.testing.assert_allclose(given, by_layers(net, X)[layer], **CLOSE[dtype])
    assert (given == net.outputs(X, layer=layer - 4)).all()
    assert (given == net.outputs(scipy.sparse.csr_array(X), layer=layer)).all()
    assert (given == net[: layer + 1].outputs(X)).all()


CLOSE = {"float32": {"rtol": 1e-5, "atol": 1e-5}, "float64": {"rtol": 1e-12, "atol": 1e-12}}


def test_the_last_layer_has_the_outputs():
    net = network()
    for layer in (None, 3, -1):
        assert (net.outputs(X, layer=layer) == net.outputs(X)).all()
    scaled = Network([6, 4, 1], activation="tanh", output_activation="linear", scale_outputs=True, seed=0)
    scaled.fit(X, 1e3 + X[:, 0], epochs=1, batch_size=5)
    assert (scaled.outputs(X, layer=1) == scaled.outputs(X)).all() and scaled.outputs(X).min() > 100


@pytest.mark.parametrize("layer", [4, -5, 1.0, "0"])
def test_a_layer_that_is_not_there(layer):
    with pytest.raises((ValueError, TypeError), match="layer: expected an in"):
        network().outputs(X, layer=layer)


def test_layers_of_a_function_of_arrays():
    square = Activation(lambda z: z * z, lambda z: 2 * z)
    net = Network([6, 4, 2], activation=square, seed=0)
    wanted = (X @ net.weights[0].T + net.biases[0].T) ** 2
    np.testing.assert_allclose(net.outputs(X, layer=0), wanted, rtol=1e-12)


def test_layers_of_overridden_methods_are_refused():
    class Own(Network):
        def feedforward(self, a):
            return super().feedforward(a)

    with pytest.raises(ValueError, match="layer: expected Network's own methods, got overridden feedforward"):
        Own([6, 4, 2]).outputs(X, layer=0)


@pytest.mark.parametrize("layers", [slice(1), slice(2), slice(1, 3), slice(3, None), slice(-2, None)])
def test_parts_of_a_network(layers, tmp_path):
    net = network(scale_inputs=True, dropout=[0.1, 0.2, 0.0], frozen=[0, 2])
    net.fit(X, np.array(["a", "b", "c"])[LABELS], epochs=2, batch_size=7)
    begin, end, _ = layers.indices(4)
    part = net[layers]
    inputs = net.outputs(X, layer=begin - 1) if begin else X
    assert (part.outputs(inputs) == net.outputs(X, layer=end - 1)).all()
    assert part.sizes == SIZES[begin : end + 1]
    assert not any(np.shares_memory(a, b) for a in part.weights for b in net.weights)
    if end == 4:
        assert part.predict(inputs).tolist() == net.predict(X).tolist() and part.task == "labels"
    else:
        assert (part.predict(inputs) == part.outputs(inputs)).all() and part.task == "values"
    part.save(tmp_path / "part.fastbp")
    other = load(tmp_path / "part.fastbp")
    assert (other.outputs(inputs) == part.outputs(inputs)).all() and repr(other) == repr(part)
    y = LABELS if end == 4 else part.outputs(inputs)
    before = bits(net)
    part.fit(inputs, np.array(["a", "b", "c"])[y] if end == 4 else y, epochs=1, batch_size=7)
    assert bits(net) == before and part._fastbp.options.frozen == tuple(
        layer - begin for layer in (0, 2) if begin <= layer < end
    )


def test_all_layers_are_a_copy_that_predicts_the_same():
    net = network(input_divisor=4.0)
    net.fit(X, LABELS, epochs=1, batch_size=7)
    whole = net[:]
    assert whole.fingerprint() == net.fingerprint() and whole is not net


@pytest.mark.parametrize("layers", [0, slice(0), slice(2, 1), slice(5, 9), slice(None, None, 2), "0", None])
def test_layers_that_are_no_part(layers):
    with pytest.raises((ValueError, TypeError), match="layers: expected"):
        network()[layers]
    with pytest.raises(TypeError, match="layers: expected a slice"):
        list(network())


def test_a_part_needs_the_scaling():
    with pytest.raises(ValueError, match="scale_inputs: expected a network that fit has trained"):
        network(scale_inputs=True)[:2]
