"""Networks from and to other libraries: the same outputs, where the library is installed."""

import sys

import numpy as np
import pytest

from fastbp import ELU, GELU, Activation, LeakyReLU, Network, interop
from refusals import assert_refused

random = np.random.default_rng(0)
X = random.standard_normal((20, 5))
CLOSE = {"float32": {"rtol": 2e-5, "atol": 2e-6}, "float64": {"rtol": 1e-9, "atol": 1e-10}}
EVERY = ["sigmoid", "tanh", "relu", "silu", "softplus", "linear", LeakyReLU(0.3), ELU(0.7), GELU()]


def network(kind="relu", output="softmax", dtype="float64", sizes=(5, 8, 7, 3), **options):
    cost = "cross_entropy" if output in ("softmax", "sigmoid") else "quadratic"
    return Network(
        list(sizes), activation=kind, output_activation=output, cost=cost, dtype=dtype, seed=1, **options
    )


def scaled(kind="relu", sizes=(5, 8, 1)):
    """A network with scalings that training has learnt, and samples in their units."""
    net = network(kind, "linear", sizes=sizes, scale_inputs=True, scale_outputs=True)
    rows = X * [1, 10, 100, 0.1, 1] + [0, 50, 0, 1, -3]
    net.fit(rows, 1e3 + 10 * X[:, :1], epochs=2, batch_size=5)
    return net, rows


# ---------------------------------------------------------------- steps


def test_steps_become_layers():
    from fastbp.interop import steps

    w, v = random.standard_normal((4, 5)), random.standard_normal((2, 4))
    shift, factor = random.standard_normal((2, 5))
    net = steps.network_from_steps(
        [
            steps.Scale(1.0, shift),
            steps.Scale(factor, 2.0),
            steps.Dense(w, np.zeros(4)),
            steps.Scale(1.0, np.arange(4.0)),
            steps.Activation("tanh"),
            steps.Scale(0.5, 1.0),
            steps.Dense(v, np.ones(2)),
            steps.Scale(np.array([2.0, 3.0]), 0.0),
        ],
        "test",
        {},
    )
    hidden = np.tanh(((X + shift) * factor + 2) @ w.T + np.arange(4))
    wanted = ((0.5 * hidden + 1) @ v.T + 1) * [2, 3]
    np.testing.assert_allclose(net.outputs(X), wanted, rtol=1e-12, atol=1e-12)


def test_first_scaling_keeps_all_digits():
    from fastbp.interop import steps

    mean, w = np.full(5, 1e6), random.standard_normal((4, 5)).astype("float32")
    first = steps.standardized(mean, np.full(5, 2.0)), steps.Scale(4.0, 1.0)
    net = steps.network_from_steps([*first, steps.Dense(w, np.zeros(4, "float32"))], "test", {})
    rows = (mean + X).astype("float32")
    np.testing.assert_allclose(net.outputs(rows), ((rows - mean) * 2 + 1) @ w.T, rtol=1e-5, atol=1e-5)
    divided = steps.network_from_steps([*first, steps.Dense(w, np.zeros(4))], "test", {"input_divisor": 2.0})
    np.testing.assert_allclose(divided.outputs(2 * mean + X), (X + 1) @ w.T, rtol=1e-5, atol=1e-5)
    net.fit(rows, X[:, :4], epochs=1, batch_size=5)
    np.testing.assert_allclose(net._fastbp.learnt.input_scaling.mean, mean - 0.5)


# ---------------------------------------------------------------- scikit-learn


def fitted(model, y):
    with pytest.warns(UserWarning, match="converge"):
        return model.set_params(max_iter=5, random_state=0).fit(X, y)


@pytest.mark.parametrize("labels", [["b", "a", "c"], ["no", "yes"]])
@pytest.mark.parametrize("kind", ["logistic", "tanh", "relu", "identity"])
def test_classifiers_of_scikit_learn(kind, labels):
    neural = pytest.importorskip("sklearn.neural_network")
    y = np.array(labels)[np.arange(20) % len(labels)]
    model = fitted(neural.MLPClassifier((6, 4), activation=kind), y)
    net = interop.from_sklearn(model)
    np.testing.assert_allclose(net.predict_proba(X), model.predict_proba(X), rtol=1e-10, atol=1e-12)
    assert net.predict(X).tolist() == model.predict(X).tolist() and net.score(X, y) == model.score(X, y)
    back = interop.to_sklearn(net)
    np.testing.assert_allclose(back.predict_proba(X), model.predict_proba(X), rtol=1e-10, atol=1e-12)
    assert back.predict(X).tolist() == model.predict(X).tolist()
    assert back.classes_.tolist() == model.classes_.tolist()


@pytest.mark.parametrize("outputs", [1, 2])
def test_regressors_of_scikit_learn(outputs):
    neural = pytest.importorskip("sklearn.neural_network")
    y = X[:, 0] if outputs == 1 else X[:, :2]
    model = fitted(neural.MLPRegressor(hidden_layer_sizes=(6,)), y)
    net = interop.from_sklearn(model)
    np.testing.assert_allclose(net.predict(X), model.predict(X), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(interop.to_sklearn(net).predict(X), model.predict(X), rtol=1e-9, atol=1e-12)


def test_counts_of_scikit_learn():
    neural = pytest.importorskip("sklearn.neural_network")
    model = neural.MLPRegressor(hidden_layer_sizes=(6,))
    if "loss" not in model.get_params():
        pytest.skip("scikit-learn before 1.7")
    model = fitted(model.set_params(loss="poisson"), np.arange(20.0))
    net = interop.from_sklearn(model)
    assert net._fastbp.options.cost == "poisson"
    np.testing.assert_allclose(net.predict(X), model.predict(X), rtol=1e-9)


def test_several_labels_at_once_of_scikit_learn():
    neural = pytest.importorskip("sklearn.neural_network")
    Y = (X[:, :3] > 0).astype(int)
    model = fitted(neural.MLPClassifier((6,)), Y)
    net = interop.from_sklearn(model)
    assert net.task == "multilabel"
    assert (net.predict(X) == model.predict(X)).all()
    assert (interop.to_sklearn(net).predict(X) == model.predict(X)).all()


@pytest.mark.parametrize("labels", [["b", "c", "a"], ["yes", "no"], [1, 0]])
def test_labels_that_are_not_sorted(labels):
    pytest.importorskip("sklearn")
    outputs, output = (3, "softmax") if len(labels) == 3 else (1, "sigmoid")
    net = network("tanh", output, sizes=(5, 6, outputs))
    net.classes_ = labels
    back = interop.to_sklearn(net)
    assert back.predict(X).tolist() == net.predict(X).tolist() and len({*net.predict(X)}) > 1
    ordered = net.predict_proba(X)[:, np.argsort(labels)]
    np.testing.assert_allclose(back.predict_proba(X), ordered, rtol=1e-10, atol=1e-12)


def test_one_of_several_labels_is_a_binary_classifier_of_scikit_learn():
    pytest.importorskip("sklearn")
    net = network("tanh", "sigmoid", sizes=(5, 6, 1))
    net.fit(X, (X[:, :1] > 0).astype(int), epochs=2, batch_size=5)
    back = interop.to_sklearn(net)
    assert net.task == "multilabel" and back.predict(X).tolist() == net.predict(X).ravel().tolist()


@pytest.mark.parametrize("columns", [1, 2])
def test_means_of_gaussian_outputs_are_those_of_scikit_learn(columns):
    pytest.importorskip("sklearn")
    net = Network(
        [5, 4, 2 * columns], output_activation="linear", cost="gaussian", scale_outputs=True, seed=0
    )
    net.fit(X, X[:, 0] if columns == 1 else X[:, :2], epochs=2, batch_size=5)
    model = interop.to_sklearn(net)
    np.testing.assert_allclose(model.predict(X), net.predict(X), rtol=1e-9)
    assert model.n_outputs_ == columns


@pytest.mark.parametrize("outputs, output", [(3, "softmax"), (1, "linear")])
def test_models_of_scikit_learn_train_on(outputs, output):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("sklearn")
    frame, y = pandas.DataFrame(X, columns=list("abcde")), np.arange(20) % 3
    net = network("tanh", output, sizes=(5, 6, outputs))
    net.fit(frame, y, epochs=1, batch_size=5)
    model = interop.to_sklearn(net)
    np.testing.assert_allclose(model.predict(frame), net.predict(frame), rtol=1e-9)
    before = model.coefs_[0].copy()
    model.partial_fit(frame, y)
    assert (model.coefs_[0] != before).any() and model.n_features_in_ == 5
    with pytest.warns(UserWarning, match="converge"):
        model.set_params(warm_start=True, max_iter=2).fit(frame, y)


def test_scaling_is_in_the_weights_of_scikit_learn():
    pytest.importorskip("sklearn")
    net, rows = scaled()
    np.testing.assert_allclose(interop.to_sklearn(net).predict(rows), net.predict(rows)[:, 0], rtol=1e-9)


# ---------------------------------------------------------------- ONNX


def written(net, tmp_path):
    pytest.importorskip("onnx")
    interop.to_onnx(net, tmp_path / "net.onnx")
    return interop.from_onnx(tmp_path / "net.onnx")


@pytest.mark.parametrize("kind", [*EVERY, "exponential", GELU("tanh")], ids=str)
def test_networks_to_onnx_and_back(kind, dtype, tmp_path):
    net = network(kind, dtype=dtype)
    back = written(net, tmp_path)
    assert back.dtype == dtype and (back.parameters == net.parameters).all()
    assert repr(back._fastbp.options.activations(3)) == repr(net._fastbp.options.activations(3)) or (
        kind == "linear"
    )
    assert (back.outputs(X) == net.outputs(X)).all()


@pytest.mark.parametrize("kind", EVERY, ids=str)
def test_divided_networks_to_onnx_and_back(kind, dtype, tmp_path):
    net = Network([3, 5, 2], activation=kind, input_divisor=255.0, dtype=dtype, seed=0)
    rows, tolerance = np.random.default_rng(0).random((20, 3)) * 255, 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(written(net, tmp_path).outputs(rows), net.outputs(rows), rtol=tolerance)


def test_scaled_networks_to_onnx_and_back(tmp_path):
    net, rows = scaled()
    np.testing.assert_allclose(written(net, tmp_path).outputs(rows), net.outputs(rows), rtol=1e-9)


def onnx_model(nodes, constants, outputs=("y",), inputs=("x",)):
    onnx = pytest.importorskip("onnx")
    values = [
        [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names]
        for names in (inputs, outputs)
    ]
    made = [onnx.helper.make_node(*node[:3], **(node[3] if len(node) > 3 else {})) for node in nodes]
    tensors = [onnx.numpy_helper.from_array(np.asarray(a, "float32"), n) for n, a in constants.items()]
    return onnx.helper.make_model(
        onnx.helper.make_graph(made, "graph", *values, tensors),
        opset_imports=[onnx.helper.make_opsetid("", 20)],
        ir_version=8,
    )


def test_first_output_of_onnx_is_the_first_of_floats():
    nodes = [("MatMul", ["x", "w"], ["z"]), ("Softmax", ["z"], ["y"]), ("ArgMax", ["y"], ["label"])]
    model = onnx_model(nodes, {"w": W}, outputs=("label", "y", "z"))
    model.graph.output[0].type.tensor_type.elem_type = 7  # int64
    assert interop.from_onnx(model)._fastbp.options.output_activation == "softmax"


def test_softplus_keeps_small_numbers_in_onnx(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    net = Network.from_weights([[[1.0]]], [[0.0]], output_activation="softplus", dtype="float32")
    written(net, tmp_path)
    rows = np.float32([[-50.0], [-17.0], [-1.0], [30.0]])
    (outputs,) = runtime.InferenceSession(tmp_path / "net.onnx").run(["outputs"], {"X": rows})
    np.testing.assert_allclose(outputs, net.outputs(rows), rtol=1e-6)


W, V, SHIFT = random.standard_normal((5, 4)), random.standard_normal((2, 4)), random.standard_normal(5)
NODES = {
    "MatMul and Add": [("MatMul", ["x", "w"], ["h"]), ("Add", ["c", "h"], ["z"])],
    "Gemm": [("Gemm", ["x", "w", "c"], ["z"], {"alpha": 0.5, "beta": 2.0})],
    "scaled": [
        ("Constant", [], ["two"], {"value_float": 2.0}),
        ("Sub", ["x", "s"], ["t"]),
        ("Mul", ["t", "two"], ["u"]),
        ("Div", ["u", "s"], ["v"]),
        ("MatMul", ["v", "w"], ["h"]),
        ("Sub", ["c", "h"], ["z"]),
    ],
}
OPERATORS = ["Relu", "Sigmoid", "Tanh", "Softplus", "Exp", "Elu", "LeakyRelu", "Gelu"]


@pytest.mark.parametrize("kind", OPERATORS)
@pytest.mark.parametrize("case", NODES)
def test_graphs_of_onnx(case, kind):
    runtime = pytest.importorskip("onnxruntime")
    attributes = {"Elu": {"alpha": 0.5}, "LeakyRelu": {"alpha": 0.25}}.get(kind, {})
    nodes = [
        *NODES[case],
        (kind, ["z"], ["a"], attributes),
        ("Gemm", ["a", "v_"], ["g"], {"transB": 1}),
        ("Softmax", ["g"], ["y"]),
    ]
    model = onnx_model(nodes, {"w": W, "c": np.arange(4) / 4, "s": SHIFT, "v_": V})
    net = interop.from_onnx(model)
    session = runtime.InferenceSession(model.SerializeToString())
    (wanted,) = session.run(None, {"x": X.astype("float32")})
    np.testing.assert_allclose(net.outputs(X), wanted, rtol=1e-4, atol=1e-6)


# ---------------------------------------------------------------- PyTorch


def sequential(nn, torch, kind, dtype):
    bn = nn.BatchNorm1d(8)
    with torch.no_grad():
        for array in (bn.weight, bn.bias, bn.running_mean, bn.running_var):
            array.copy_(torch.rand(8) + 0.1)
    layers = [nn.Sequential(nn.Linear(5, 8), bn, kind, nn.Dropout(0.25)), nn.Linear(8, 3, bias=False)]
    return nn.Sequential(*layers, nn.Softmax(1)).to(getattr(torch, dtype)).eval()


NAMES = ["Identity", "Sigmoid", "Tanh", "ReLU", "LeakyReLU", "ELU", "GELU", "SiLU", "Softplus"]


@pytest.mark.parametrize("name", NAMES)
def test_models_of_pytorch(name, dtype):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    model = sequential(torch.nn, torch, getattr(torch.nn, name)(), dtype)
    net = interop.from_torch(model)
    wanted = model(torch.from_numpy(X.astype(dtype))).detach().numpy()
    assert net.dtype == dtype and net._fastbp.options.dropout == (0.25,)
    np.testing.assert_allclose(net.outputs(X), wanted, **CLOSE[dtype])
    back = interop.to_torch(net)
    given = back(torch.from_numpy(X.astype(dtype))).detach().numpy()
    np.testing.assert_allclose(given, wanted, **CLOSE[dtype])
    assert any(isinstance(module, torch.nn.Dropout) and module.p == 0.25 for module in back)


@pytest.mark.parametrize("kind", EVERY, ids=str)
def test_networks_to_pytorch(kind):
    torch = pytest.importorskip("torch")
    net = network(kind)
    given = interop.to_torch(net)(torch.from_numpy(X)).detach().numpy()
    np.testing.assert_allclose(given, net.outputs(X), **CLOSE["float64"])


def test_scaling_is_in_the_weights_of_pytorch():
    torch = pytest.importorskip("torch")
    net, rows = scaled("gelu")
    given = interop.to_torch(net)(torch.from_numpy(rows)).detach().numpy()
    np.testing.assert_allclose(given, net.outputs(rows), rtol=1e-9)


def test_state_dicts():
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3, bias=False))
    net = interop.from_torch(model.state_dict(), activation="tanh", output_activation="softmax")
    wanted = torch.softmax(model(torch.from_numpy(X.astype("float32"))), 1).detach().numpy()
    np.testing.assert_allclose(net.outputs(X), wanted, **CLOSE["float32"])


# ---------------------------------------------------------------- Keras


@pytest.mark.parametrize(
    "name",
    ["linear", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "exponential"],
)
def test_models_of_keras(name):
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    layers = keras.layers
    norm = layers.Normalization()
    norm.adapt(X)
    model = keras.Sequential(
        [
            keras.Input((5,)),
            norm,
            layers.Dense(8, name),
            layers.Dropout(0.5),
            layers.BatchNormalization(epsilon=0.1),
            layers.Dense(6),
            layers.LeakyReLU(negative_slope=0.1),
            layers.Dense(3, use_bias=False),
            layers.Activation("softmax"),
        ]
    )
    net = interop.from_keras(model)
    np.testing.assert_allclose(net.outputs(X), model.predict(X, verbose=0), **CLOSE["float32"])
    given = interop.to_keras(net).predict(X, verbose=0)
    np.testing.assert_allclose(given, net.outputs(X), **CLOSE["float32"])


def with_adapter(keras):
    dense = keras.layers.Dense(3)
    model = keras.Sequential([keras.Input((5,)), dense])
    dense.enable_lora(2)
    return model


def functional(keras):
    inputs = keras.Input((5,))
    return keras.Model(inputs, keras.layers.Dense(5)(inputs) + inputs)


def relu(z):
    return 2 * z


REFUSED_OF_KERAS = {
    "functional": (functional, "expected keras.Sequential, got Functional"),
    "adapter": (with_adapter, "and without adapters", "got <Dense"),
    "not built": (lambda keras: keras.Sequential([keras.layers.Dense(3)]), "a model that knows its inputs"),
    "own function": (lambda keras: [keras.layers.Dense(3, relu)], "expected activations of Keras's own"),
    "axis": (
        lambda keras: [keras.layers.Dense(3), keras.layers.Softmax(0)],
        "an axis of samples, got <Softmax",
    ),
    "bound": (
        lambda keras: [keras.layers.Dense(3), keras.layers.ReLU(max_value=6)],
        "max_value, threshold",
        "got <ReLU",
    ),
}


@pytest.mark.parametrize("case", REFUSED_OF_KERAS)
def test_refused_models_of_keras(case):
    keras = pytest.importorskip("keras")
    make, *words = REFUSED_OF_KERAS[case]
    model = make(keras)
    if isinstance(model, list):
        model = keras.Sequential([keras.Input((5,)), *model])
    assert_refused(lambda: interop.from_keras(model), ValueError, *words)


@pytest.mark.parametrize("kind", EVERY, ids=str)
def test_networks_to_keras(kind):
    keras = pytest.importorskip("keras")
    net = network(kind, dtype="float32")
    model = interop.to_keras(net)
    np.testing.assert_allclose(model.predict(X, verbose=0), net.outputs(X), **CLOSE["float32"])
    assert isinstance(model, keras.Sequential)


# ---------------------------------------------------------------- errors


class Conv2d:
    pass


def fake(module, name, base=object, **attributes):
    """A class as another library, which may not be installed, has it."""
    return type(name, (base,), {"__module__": module, **attributes})


Unknown = fake("torch.nn.modules.container", "Sequential", list)
Linear = fake("torch.nn.modules.linear", "Linear", weight=np.ones((1, 2)), bias=None)


def activation_of_torch(name, **attributes):
    return lambda: interop.from_torch(Unknown([fake("torch.nn.modules.activation", name, **attributes)()]))


def sequential_of_keras(**attributes):
    return lambda: interop.from_keras(fake("keras.models", "Sequential", **attributes)())


SQUARE = Activation(lambda z: z * z, lambda z: 2 * z)


def graph(*nodes, **options):
    return lambda: interop.from_onnx(
        onnx_model(nodes, {"w": W, "b": np.zeros(4), "rows": np.ones((4, 1)), "ten": 10.0}, **options)
    )


def with_classes(labels):
    net = network()
    net.classes_ = labels
    return net


REFUSED = {
    "torch: layer": (
        lambda: interop.from_torch(Unknown([Conv2d()])),
        "expected nn.Sequential of Linear",
        "Conv2d",
    ),
    "torch: beta": (activation_of_torch("Softplus", beta=3), "expected Softplus of beta=1"),
    "torch: threshold": (
        activation_of_torch("Softplus", beta=1, threshold=1),
        "of a threshold of 20 or more",
    ),
    "torch: dim": (activation_of_torch("Softmax", dim=0), "and Softmax over columns"),
    "torch: statistics": (
        activation_of_torch("BatchNorm1d", running_mean=None),
        "BatchNorm1d with running statistics",
    ),
    "torch: user's class": (
        lambda: interop.from_torch(fake("models", "Sequential", list)([Linear()])),
        "expected nn.Sequential of Linear",
        "got <class 'models.Sequential'>",
    ),
    "torch: hooks": (
        lambda: interop.from_torch(fake("torch.nn.modules.linear", "Linear", _forward_hooks={0: print})()),
        "expected modules without forward hooks, got some on Linear",
    ),
    "torch: channels": (
        lambda: interop.from_torch(
            Unknown(
                [
                    fake(
                        "torch.nn.modules.batchnorm",
                        "BatchNorm1d",
                        running_mean=np.zeros(3),
                        running_var=np.ones(3),
                        eps=0.0,
                        weight=None,
                        bias=None,
                    )(),
                    Linear(),
                ]
            )
        ),
        "scale by one number, or one for each of 2 columns, got 3",
    ),
    "torch: empty": (
        lambda: interop.from_torch({}),
        "from_torch: expected at least one layer of weights",
        "none",
    ),
    "torch: activation": (
        lambda: interop.from_torch({"0.weight": np.ones((3, 2)), "1.weight": np.ones((1, 3))}),
        "from_torch: expected activation=",
    ),
    "torch: state": (
        lambda: interop.from_torch({"bn.weight": np.ones(3)}),
        "from_torch: expected weights and biases of linear layers, got 'bn.weight' (3,)",
    ),
    "keras: model": (lambda: interop.from_keras(3), "from_keras: expected keras.Sequential, got int"),
    "keras: functional": (
        lambda: interop.from_keras(fake("keras.models", "Functional", layers=[])()),
        "from_keras: expected keras.Sequential, got Functional",
    ),
    "keras: not built": (sequential_of_keras(built=False), "expected a model that knows its inputs"),
    "sklearn: model": (lambda: interop.from_sklearn(3), "from_sklearn: expected a fitted MLPClassifier"),
    "sklearn: hidden": (lambda: interop.to_sklearn(network("gelu")), "all hidden layers, got gelu"),
    "sklearn: mixed": (lambda: interop.to_sklearn(network(["relu", "tanh"])), "got relu, tanh"),
    "sklearn: labels": (
        lambda: interop.to_sklearn(with_classes([0.5, 1.5, 2.5])),
        "to_sklearn: expected labels that scikit-learn takes",
        "[0.5, 1.5, 2.5]",
    ),
    "sklearn: mixed labels": (lambda: interop.to_sklearn(with_classes([1, "b", 2])), "got [1, 'b', 2]"),
    "sklearn: outputs": (
        lambda: interop.to_sklearn(network(output="sigmoid")),
        "to_sklearn: expected 'softmax' outputs of a network for labels, got 'sigmoid'",
    ),
    "own": (lambda: interop.to_sklearn(network(SQUARE)), "expected a built-in activation"),
    "onnx: operator": (graph(("Sin", ["x"], ["y"])), "from_onnx: expected operators among Gemm", "got Sin"),
    "onnx: branch": (
        graph(("MatMul", ["x", "w"], ["h"]), ("Relu", ["h"], ["a"]), ("Tanh", ["h"], ["y"])),
        "from_onnx: expected an activation that Network has, got Relu, Tanh after 'h'",
    ),
    "onnx: no output": (
        graph(("MatMul", ["x", "w"], ["h"]), ("Relu", ["h"], ["a"])),
        "from_onnx: expected one operator after each, up to an output, got none after 'a'",
    ),
    "onnx: residual": (
        graph(("MatMul", ["x", "w"], ["h"]), ("Sin", ["h"], ["a"]), ("Add", ["a", "h"], ["y"])),
        "from_onnx: expected an activation that Network has, got Sin, Add after 'h'",
    ),
    "onnx: axis": (
        graph(("MatMul", ["x", "w"], ["h"]), ("Softmax", ["h"], ["y"], {"axis": 0})),
        "from_onnx: expected Softmax over columns, got axis=0",
    ),
    "onnx: model": (lambda: interop.from_onnx(None), "expected a path or an onnx.ModelProto, got NoneType"),
    "onnx: cast": (
        graph(("MatMul", ["x", "w"], ["h"]), ("Cast", ["h"], ["y"], {"to": 7})),
        "from_onnx: expected Cast to floats, got to=7 after 'h'",
    ),
    "onnx: constant of rows": (
        graph(("MatMul", ["x", "w"], ["h"]), ("Add", ["h", "rows"], ["y"])),
        "expected constants of one number for each column, got shape (4, 1)",
    ),
    "onnx: bounded": (
        graph(
            ("MatMul", ["x", "w"], ["h"]),
            ("Relu", ["h"], ["a"]),
            ("Greater", ["h", "ten"], ["above"]),
            ("Where", ["above", "ten", "a"], ["y"]),
        ),
        "from_onnx: expected an activation that Network has, got Relu, Greater, Where after 'h'",
    ),
    "onnx: inputs": (graph(("Add", ["x", "z"], ["y"]), inputs=("x", "z")), "expected a graph of one input"),
    "onnx: no constant": (graph(("MatMul", ["x", "q"], ["y"])), "expected MatMul of a tensor and a constant"),
    "onnx: two activations": (
        graph(("MatMul", ["x", "w"], ["h"]), ("Relu", ["h"], ["a"]), ("Tanh", ["a"], ["y"])),
        "from_onnx: expected layers of weights, with at most one activation after each",
    ),
    "onnx: scaled at the end": (
        graph(("MatMul", ["x", "w"], ["h"]), ("Relu", ["h"], ["a"]), ("Mul", ["a", "b"], ["y"])),
        "from_onnx: expected at least one layer of weights, and the outputs after it",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    call, *words = REFUSED[case]
    assert_refused(call, ValueError, *words)


def test_scaled_outputs_must_be_linear():
    net = network("relu", "tanh", sizes=(5, 3, 1), scale_outputs=True)
    net.fit(X, X[:, :1], epochs=1, batch_size=20)
    with pytest.raises(
        ValueError, match="to_sklearn: expected linear outputs where they are scaled, got 'tanh'"
    ):
        interop.to_sklearn(net)


@pytest.mark.parametrize("to", [interop.to_torch, interop.to_sklearn], ids=["torch", "sklearn"])
def test_weights_that_overflow_with_the_scaling(to):
    pytest.importorskip("torch" if to is interop.to_torch else "sklearn")
    net = network("relu", "linear", dtype="float32", sizes=(5, 3, 1), scale_inputs=True)
    net.fit(X * 1e-40, X[:, :1], epochs=1, batch_size=20)
    assert_refused(lambda: to(net), ValueError, "expected weights of layer 0 that are finite in float32")


def test_a_file_that_is_no_model_of_onnx(tmp_path):
    pytest.importorskip("onnx")
    (tmp_path / "net.onnx").write_text("hello")
    assert_refused(lambda: interop.from_onnx(tmp_path / "net.onnx"), ValueError, "expected a file of ONNX in")


def test_a_mean_that_weights_cannot_subtract():
    pytest.importorskip("sklearn")
    net = network("tanh", "linear", dtype="float32", sizes=(5, 3, 1), scale_inputs=True)
    net.fit(X + 1e6 * np.eye(5)[3], X[:, :1], epochs=1, batch_size=20)
    with pytest.warns(
        RuntimeWarning, match="to_sklearn: the mean of column 3 is 1e[+]06 times its deviation"
    ):
        interop.to_sklearn(net)


def test_errors_of_keras_name_its_backend(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    assert_refused(
        lambda: interop.to_keras(network()), ImportError, "pip install keras, or set KERAS_BACKEND"
    )
