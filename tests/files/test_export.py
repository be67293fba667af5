"""Exported networks answer as they do here: ONNX by onnxruntime, C by the system's compiler."""

import ctypes
import itertools
import shutil
import subprocess

import numpy as np
import onnx
import onnxruntime
import pytest

from command import run
from fastbp import ELU, GELU, Activation, Cost, LeakyReLU, Network, load
from fastbp.datasets import load_mnist
from fastbp.export import to_c, to_onnx
from fastbp.files import c_source
from fastbp.files.exported import Layer
from fastbp.options.activations import ACTIVATIONS

COMPILER = shutil.which("cc")
NEEDS_CC = pytest.mark.skipif(COMPILER is None, reason="no C compiler")
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wdouble-promotion", "-Wshadow", "-Werror", "-O1")
X = np.random.default_rng(0).normal(size=(50, 3)) * 2
TOLERANCE = {"float32": {"rtol": 1e-5, "atol": 1e-6}, "float64": {"rtol": 1e-12, "atol": 1e-14}}
HIDDEN = (*ACTIVATIONS, LeakyReLU(0.3), ELU(0.5), GELU("tanh"))


def tasks(dtype):
    """Trained networks of every task, by name."""
    y = np.arange(50) % 3
    rows = {
        "labels": ([3, 4, 3], y, {"output_activation": "softmax", "cost": "cross_entropy"}),
        "sigmoids": ([3, 4, 3], y, {}),
        "numbers": ([3, 4, 3], np.array([2, 5, 9])[y], {}),
        "text": ([3, 4, 3], np.array(["a", 'b"\\??/x', "é"])[y], {}),
        "binary": ([3, 4, 1], y // 2, {"cost": "cross_entropy"}),
        "binary text": ([3, 4, 1], np.where(y > 1, "yes", "no"), {"cost": "cross_entropy"}),
        "multilabel": ([3, 4, 2], np.stack([y > 0, y > 1], 1), {"cost": "cross_entropy"}),
        "hinge": ([3, 4, 1], y // 2, {"output_activation": "linear", "cost": "hinge"}),
        "hinges": ([3, 4, 2], np.stack([y > 0, y > 1], 1), {"output_activation": "linear", "cost": "hinge"}),
        "gaussian": ([3, 4, 2], X[:, 0], {"output_activation": "linear", "cost": "gaussian"}),
        "value": ([3, 4, 1], X[:, 0], {"output_activation": "linear"}),
        "values": ([3, 4, 5, 2], X[:, :2], {"output_activation": "linear", "scale_inputs": True}),
        "scaled": ([3, 2], 1e4 + 1e3 * X[:, :2], {"output_activation": "linear", "scale_outputs": True}),
        "both": (
            [3, 4, 1],
            1e4 + 1e3 * X[:, 0],
            {"output_activation": "linear", "scale_inputs": True, "scale_outputs": True},
        ),
    }
    for name, (sizes, y, options) in rows.items():
        net = Network(sizes, activation="tanh", dtype=dtype, seed=1, **options)
        net.fit(X, y, epochs=3, batch_size=5, optimizer="adam", learning_rate=0.01)
        yield name, net
    for number, kind in enumerate(HIDDEN):
        weights = [np.random.default_rng(number).normal(size=shape) / 2 for shape in ((6, 3), (4, 6))]
        options = {"init": weights, "dtype": dtype}
        yield (
            f"activation {number}",
            Network([3, 6, 4], activation=kind, output_activation="linear", **options),
        )
        yield f"output {number}", Network([3, 6, 4], output_activation=kind, **options)


def by_onnx(path, X):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"X": X}), strict=True))


def compiled(folder, nets):
    """A library of every network, each by its name."""
    files = []
    for name, net in nets.items():
        to_c(net, folder / f"{name}.c", name=name)
        files.append(folder / f"{name}.c")
    command = [COMPILER, *STRICT, "-shared", "-fPIC", "-o", folder / "all.so", *files, "-lm"]
    subprocess.run(command, check=True)
    return ctypes.CDLL(folder / "all.so")


def by_c(library, name, net, X):
    """Outputs, and labels where there are some."""
    X = np.ascontiguousarray(X, net.dtype)
    wanted = net.outputs(X[:1])
    outputs = np.empty((len(X), wanted.shape[1]), wanted.dtype)
    function = getattr(library, name)
    for x, row in zip(X, outputs, strict=True):
        function(x.ctypes.data_as(ctypes.c_void_p), row.ctypes.data_as(ctypes.c_void_p))
    if not hasattr(library, f"{name}_label"):
        return outputs, None
    label = getattr(library, f"{name}_label")
    places = [label(x.ctypes.data_as(ctypes.c_void_p)) for x in X]
    classes = (ctypes.c_char_p * len(net.classes_)).in_dll(library, f"{name}_labels")
    return outputs, [classes[place].decode() for place in places]


@pytest.fixture(scope="module", params=["float32", "float64"])
def digits(request):
    """A trained network, the test digits as it sees them, and what it says of them."""
    training, _, test = load_mnist()
    net = Network(
        [784, 30, 10],
        activation="relu",
        output_activation="softmax",
        cost="cross_entropy",
        input_divisor=255,
        dtype=request.param,
        seed=0,
    )
    net.fit(training.X[:10_000], training.y[:10_000], epochs=1, batch_size=32, optimizer="adam")
    assert net.score(*test) > 0.85
    return net, test.X.astype(net.dtype), net.outputs(test.X), net.predict(test.X)


def test_onnx_says_the_same_of_every_digit(digits, tmp_path):
    net, X, outputs, labels = digits
    to_onnx(net, tmp_path / "net.onnx")
    found = by_onnx(tmp_path / "net.onnx", X)
    np.testing.assert_array_equal(found["label"], labels)
    np.testing.assert_allclose(found["outputs"], outputs, **TOLERANCE[str(net.dtype)])


@NEEDS_CC
def test_c_says_the_same_of_every_digit(digits, tmp_path):
    net, X, outputs, labels = digits
    found, texts = by_c(compiled(tmp_path, {"digit": net}), "digit", net, X)
    assert len(texts) == 10_000
    assert texts == list(map(str, labels))
    np.testing.assert_allclose(found, outputs, **TOLERANCE[str(net.dtype)])


def test_onnx_of_every_kind(dtype, tmp_path):
    for name, net in tasks(dtype):
        path = tmp_path / f"{name}.onnx"
        to_onnx(net, path)
        onnx.checker.check_model(path, full_check=True)
        found = by_onnx(path, X.astype(dtype))
        wanted = net.outputs(X.astype(dtype))
        # onnxruntime has the error function in float32 alone
        narrow = dtype == "float64" and name.split()[-1] == str(HIDDEN.index("gelu"))
        tolerance = {"rtol": 1e-5, "atol": 1e-6} if narrow else TOLERANCE[dtype]
        np.testing.assert_allclose(found["outputs"], wanted, **tolerance, err_msg=name)
        assert found["outputs"].dtype == dtype
        predicted = net.predict(X.astype(dtype))
        if net.task in ("value", "values"):
            assert list(found) == ["outputs"]
        else:
            assert found["label"].tolist() == predicted.tolist(), name


def test_onnx_of_silu_in_float64_has_nothing_that_runtimes_fuse(tmp_path):
    """onnxruntime 1.19 to 1.23 replace z sigmoid(z) by an operator of float32 alone."""
    to_onnx(
        Network([3, 4, 3], dtype="float64", activation="silu", output_activation="linear"),
        tmp_path / "net.onnx",
    )
    assert "Sigmoid" not in {node.op_type for node in onnx.load(tmp_path / "net.onnx").graph.node}


@NEEDS_CC
def test_c_of_every_kind_in_one_program(dtype, tmp_path):
    nets = {name.replace(" ", "_"): net for name, net in tasks(dtype)}
    library = compiled(tmp_path, nets)
    for name, net in nets.items():
        outputs, texts = by_c(library, name, net, X)
        wanted = X.astype(dtype)
        np.testing.assert_allclose(outputs, net.outputs(wanted), **TOLERANCE[dtype], err_msg=name)
        if net.task in ("labels", "binary") or texts:
            assert texts == list(map(str, net.predict(wanted))), name
        else:
            assert net.task in ("value", "values", "multilabel")


@NEEDS_CC
def test_large_logits_and_ties(dtype, tmp_path):
    cross = {"cost": "cross_entropy", "dtype": dtype}
    large = Network([3, 3], output_activation="softmax", init=[np.eye(3) * 2000], **cross)
    tied = Network([3, 1], init=[np.zeros((1, 3))], **cross)
    tied.fit(X, np.arange(50) % 2, epochs=0, batch_size=5)
    assert tied.predict(X).tolist() == [1] * 50  # of outputs of 0.5
    nets = {"large": large, "tied": tied}
    library = compiled(tmp_path, nets)
    for name, net in nets.items():
        wanted, labels = net.outputs(X.astype(dtype)), net.predict(X.astype(dtype)).tolist()
        outputs, texts = by_c(library, name, net, X)
        to_onnx(net, tmp_path / f"{name}.onnx")
        found = by_onnx(tmp_path / f"{name}.onnx", X.astype(dtype))
        np.testing.assert_allclose(outputs, wanted, **TOLERANCE[dtype])
        np.testing.assert_allclose(found["outputs"], wanted, **TOLERANCE[dtype])
        assert found["label"].tolist() == list(map(int, texts)) == labels


def test_c_says_how_outputs_are_read(tmp_path):
    meanings = {
        "labels": "3 numbers: the probability of each label\n",
        "sigmoids": "3 numbers: the sigmoid of each label, which predict_proba divides by their sum\n",
        "multilabel": "2 numbers: the probability of each label\n",
        "gaussian": "2 numbers: a mean and a log variance v for each value, in the units of the training; ",
    }
    for name, net in tasks("float64"):
        to_c(net, tmp_path / "net.c")
        assert f"   outputs  {meanings.get(name, '')}" in (tmp_path / "net.c").read_text()


@NEEDS_CC
def test_numbers_that_differ_in_their_exponent_alone(tmp_path):
    net = Network([3, 2, 2, 1], activation=[LeakyReLU(1e-16), LeakyReLU(1e16)], seed=0)
    outputs, _ = by_c(compiled(tmp_path, {"steep": net}), "steep", net, X)
    np.testing.assert_allclose(outputs, net.outputs(X), **TOLERANCE["float64"])


def test_any_activation_with_a_number_has_it_in_its_name(monkeypatch):
    monkeypatch.setitem(c_source._ACTIVATIONS, "another", "return {number} * z;")
    layers = [Layer(np.zeros((1, 1)), np.zeros(1), "another", number) for number in (0.5, 2.0)]
    assert [c_source._function_name(layer, "f") for layer in layers] == ["f_another_0_5", "f_another_2_0"]


def test_labels_beyond_int64_are_text_in_onnx(tmp_path):
    net = Network([3, 2], seed=0)
    net.fit(X, [(1, 2**70)[i % 2] for i in range(50)], epochs=1, batch_size=5)
    to_onnx(net, tmp_path / "net.onnx")
    assert by_onnx(tmp_path / "net.onnx", X)["label"].tolist() == list(map(str, net.predict(X)))


def test_the_same_network_has_the_same_bytes(tmp_path):
    for write, end in ((to_onnx, "onnx"), (to_c, "c")):
        texts = set()
        for number in range(2):
            write(Network([3, 4, 2], seed=0), tmp_path / f"{number}.{end}")
            texts.add((tmp_path / f"{number}.{end}").read_bytes())
        assert len(texts) == 1


def test_what_cannot_be_exported(tmp_path):
    own = Activation(np.sin, np.cos)
    for write, (options, message) in itertools.product(
        (to_onnx, to_c),
        [
            ({"activation": own}, "activation of layer 0: expected a built-in activation"),
            ({"scale_inputs": True}, "scale_inputs: expected a network that fit has trained"),
        ],
    ):
        with pytest.raises(ValueError, match=message):
            write(Network([2, 3, 1], seed=0, **options), tmp_path / "net")
    broken = Network([2, 3, 1], seed=0)
    broken.weights[1][0, 2] = np.nan
    for write in (to_onnx, to_c):
        with pytest.raises(ValueError, match=r"weights\[1\]\[0, 2\]: expected a finite float64, got nan"):
            write(broken, tmp_path / "net")
    for name in (*("", "1st", "a-b", "é", "_x", "x", "outputs", None), *("double", "class", "exp", "fabsf")):
        with pytest.raises(ValueError, match="name: expected a name in C"):
            to_c(Network([2, 1]), tmp_path / "net", name=name)
    assert not list(tmp_path.iterdir())
    to_c(Network([2, 1], cost=Cost(np.subtract, np.subtract)), tmp_path / "net")


def test_without_onnx(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install '\.\[onnx\]' in fastbp's source folder"):
        to_onnx(Network([2, 1]), tmp_path / "net.onnx")


def test_the_command(tmp_path):
    net = Network([3, 4, 2], seed=0)
    net.save(tmp_path / "net.fastbp")
    for out, options in (("net.onnx", ()), ("net.c", ("--name", "mine", "--header", "--embedded"))):
        done = run("export", tmp_path / "net.fastbp", tmp_path / out, *options)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert b"static float odd[4]" in (tmp_path / "net.c").read_bytes()
    assert b"void mine(const float" in (tmp_path / "net.h").read_bytes()
    found = by_onnx(tmp_path / "net.onnx", X)
    np.testing.assert_allclose(found["outputs"], net.outputs(X), **TOLERANCE["float64"])
    for arguments, message in [
        (("net.fastbp", "net.txt"), "net.txt: expected a name that ends in .onnx or .c"),
        (("net.fastbp", "new.onnx", "--header"), "--header, --embedded: expected a file of C, got"),
        (("none.fastbp", "new.c"), "none.fastbp"),
        (("net.fastbp", "new.c", "--name", "int"), "name: expected a name in C"),
    ]:
        model, out, *options = arguments
        done = run("export", tmp_path / model, tmp_path / out, *options)
        assert (done.returncode, done.stdout) == (2, "")
        assert message in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.c", "net.fastbp", "net.h", "net.onnx"]
    net.save(tmp_path / "net.h")
    done = run("export", tmp_path / "net.h", tmp_path / "net.c", "--header")
    assert done.returncode == 2 and "net.h: expected another file, got" in done.stderr
    assert load(tmp_path / "net.h").fingerprint() == net.fingerprint()
