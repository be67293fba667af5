"""Estimators and pipelines, exported: C, ONNX, skl2onnx and files of networks answer as the model does."""

import ctypes
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest

pytest.importorskip("sklearn", "1.6")

from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

import fastbp
from fastbp.export import save, to_c, to_onnx
from fastbp.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
ROOT = pathlib.Path(__file__).parents[2]
COMPILER = shutil.which("cc")
NEEDS_CC = pytest.mark.skipif(COMPILER is None, reason="no C compiler")
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wdouble-promotion", "-Wshadow", "-Werror", "-O1")
RANDOM = np.random.default_rng(0)
X = 50 + RANDOM.normal(size=(60, 4)) * [1, 10, 0.1, 3]
GAPS = np.where(RANDOM.uniform(size=X.shape) < 0.1, np.nan, X)
LABELS = np.digitize(X[:, 0], [49.5, 50.5])
TARGETS = {
    "labels": LABELS,
    "text": np.array(["a", 'b"*/', "é"])[LABELS],
    "binary": LABELS > 0,
    "numbers": np.array([3, 7])[(LABELS > 0).astype(int)],
    "several": np.stack([LABELS > 0, LABELS > 1], axis=1).astype(int),
    "value": 1000 + X[:, 1],
    "values": X[:, :2],
}
CLOSE = {"float32": {"rtol": 1e-4, "atol": 1e-4}, "float64": {"rtol": 1e-11, "atol": 1e-11}}
STEPS = {
    "alone": (),
    "standard": (StandardScaler,),
    "range": (MinMaxScaler,),
    "gaps": (SimpleImputer, StandardScaler),
    "scaled first": (MinMaxScaler, SimpleImputer, StandardScaler),
}


def fitted(kind, steps, dtype):
    """A model of those steps, the samples that it reads, and what it predicts of them."""
    y = TARGETS[kind]
    estimator = MLPRegressor if kind.startswith("value") else MLPClassifier
    last = estimator(hidden_layer_sizes=(6,), activation="tanh", max_iter=3, random_state=0)
    rows = (GAPS if SimpleImputer in STEPS[steps] else X).astype(dtype)
    if steps == "alone":
        rows = (rows - 50) / 10
    model = make_pipeline(*(step() for step in STEPS[steps]), last).fit(rows, y)
    return (model if STEPS[steps] else model[-1]), rows, model.predict(rows)


def by_onnx(model, rows):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    (given,) = session.get_inputs()
    assert given.type == {"float32": "tensor(float)", "float64": "tensor(double)"}[str(rows.dtype)]
    return dict(zip(names, session.run(None, {given.name: rows}), strict=True))


def by_c(folder, name, rows, outputs, result):
    """Compiles the file of that name; returns outputs and the indices of labels, if it tells them."""
    library = folder / f"{name}.so"
    command = [COMPILER, *STRICT, "-shared", "-fPIC", "-o", library, folder / f"{name}.c", "-lm"]
    subprocess.run(command, check=True)
    loaded = ctypes.CDLL(library)
    found, labels = np.empty((len(rows), outputs), result), []
    for row, out in zip(np.ascontiguousarray(rows), found, strict=True):
        pointer = row.ctypes.data_as(ctypes.c_void_p)
        getattr(loaded, name)(pointer, out.ctypes.data_as(ctypes.c_void_p))
        if hasattr(loaded, f"{name}_label"):
            labels.append(getattr(loaded, f"{name}_label")(pointer))
    return found, labels


CASES = [(kind, "gaps") for kind in TARGETS] + [("labels", steps) for steps in STEPS if steps != "gaps"]


def test_gaps_are_filled_with_a_constant(tmp_path):
    imputer = SimpleImputer(strategy="constant", fill_value=-1.5)
    model = make_pipeline(imputer, StandardScaler(), MLPRegressor(max_iter=3, random_state=0))
    model.fit(GAPS, TARGETS["value"])
    to_onnx(model, tmp_path / "model.onnx")
    found = by_onnx(tmp_path / "model.onnx", GAPS)["outputs"][:, 0]
    np.testing.assert_allclose(found, model.predict(GAPS), rtol=1e-11)


@pytest.mark.parametrize(("kind", "steps"), CASES)
def test_onnx_and_files_of_models(kind, steps, dtype, tmp_path):
    model, rows, predicted = fitted(kind, steps, dtype)
    to_onnx(model, tmp_path / "model.onnx")
    found = by_onnx(tmp_path / "model.onnx", rows)
    assert found["outputs"].dtype == dtype
    if kind.startswith("value"):
        np.testing.assert_allclose(found["outputs"].reshape(predicted.shape), predicted, **CLOSE[dtype])
    else:
        assert found["label"].tolist() == predicted.tolist()
    if SimpleImputer in STEPS[steps]:
        with pytest.raises(ValueError, match="model: expected no SimpleImputer"):
            save(model, tmp_path / "net")
        if steps != "gaps":
            return
        model, rows = model[1:], model[:1].transform(rows)
    save(model, tmp_path / "net")
    net = fastbp.load(tmp_path / "net")
    if kind.startswith("value"):
        np.testing.assert_allclose(net.predict(rows), predicted, **CLOSE[dtype])
    else:
        assert net.predict(rows).tolist() == predicted.tolist()
        np.testing.assert_allclose(net.predict_proba(rows), model.predict_proba(rows), **CLOSE[dtype])


@NEEDS_CC
@pytest.mark.parametrize("embedded", [False, True])
@pytest.mark.parametrize(("kind", "steps"), CASES)
def test_c_of_models(kind, steps, embedded, dtype, tmp_path):
    model, rows, predicted = fitted(kind, steps, dtype)
    to_c(model, tmp_path / "told.c", name="told", embedded=embedded)
    kept = "float32" if embedded else dtype
    estimator = model[-1] if STEPS[steps] else model
    outputs, labels = by_c(tmp_path, "told", rows.astype(kept), estimator.n_outputs_, kept)
    if kind.startswith("value"):
        np.testing.assert_allclose(outputs.reshape(predicted.shape), predicted, **CLOSE[kept])
    elif kind != "several":
        assert estimator.classes_[labels].tolist() == predicted.tolist()
    else:
        assert (outputs > 0.5).astype(int).tolist() == predicted.tolist()
    text = (tmp_path / "told.c").read_text()
    assert not embedded or ("double" not in text and "alloc" not in text)
    assert re.search(r"static (const )?(float|double) (even\[4\], )?odd\[6\];", text) or not embedded


@NEEDS_CC
def test_the_comment_and_the_header_of_a_c_file(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["width", "height*/", "mass /* kg", "é"])
    model = make_pipeline(StandardScaler(), MLPClassifier((6,), max_iter=3, random_state=0))
    model.fit(frame, TARGETS["text"])
    to_c(model, tmp_path / "wine.c", name="wine", header=True)
    text = (tmp_path / "wine.c").read_text()
    comment = text[: text.index("*/")]
    to_c(make_pipeline(SimpleImputer(), model[-1]).fit(frame, TARGETS["text"]), tmp_path / "gaps.c")
    assert "0: width\n" in (tmp_path / "gaps.c").read_text()
    example = re.search(r"(double x\[4\].*puts\(.*?\);)", comment, re.DOTALL)[1]
    assert "0: width\n" in comment and "1: height_/\n" in comment and "void wine(const double *x, " in comment
    for source in ("main.c", "main.cc"):
        lines = ["#include <stdio.h>", '#include "wine.h"', "int main(void)", "{", example, "return 0;", "}"]
        (tmp_path / source).write_text("\n".join(lines))
    subprocess.run([COMPILER, *STRICT, "-o", "wine", "main.c", "wine.c", "-lm"], check=True, cwd=tmp_path)
    done = subprocess.run([tmp_path / "wine"], capture_output=True, check=True)
    assert done.stdout.decode().strip() in {*TARGETS["text"]}
    if cpp := shutil.which("c++"):
        subprocess.run([cpp, "-c", "main.cc", "-o", "main.o"], check=True, cwd=tmp_path)
        subprocess.run([COMPILER, "-c", *STRICT, "wine.c"], check=True, cwd=tmp_path)
        subprocess.run([cpp, "-o", "both", "main.o", "wine.o", "-lm"], check=True, cwd=tmp_path)
    with pytest.raises(ValueError, match=r"path: expected a name that does not end in \.h"):
        to_c(model, tmp_path / "wine.h", header=True)
    wide = fastbp.Network([1, 1], init=[[[1e200]]])
    with pytest.raises(ValueError, match=r"weights\[0\]\[0, 0\]: expected a finite float32, got inf"):
        to_c(wide, tmp_path / "wide.c", embedded=True)


@pytest.mark.parametrize("kind", TARGETS)
def test_skl2onnx_finds_a_converter(kind, dtype):
    skl2onnx = pytest.importorskip("skl2onnx")
    model, rows, predicted = fitted(kind, "standard", dtype)
    found = by_onnx(skl2onnx.to_onnx(model, rows[:1]).SerializeToString(), rows)
    if kind.startswith("value"):
        np.testing.assert_allclose(found["variable"].reshape(predicted.shape), predicted, **CLOSE[dtype])
    else:
        assert found["label"].tolist() == predicted.tolist()
        assert found["probabilities"].dtype == dtype
        np.testing.assert_allclose(found["probabilities"], model.predict_proba(rows), **CLOSE[dtype])


def test_pixels_that_a_pipeline_scales_are_not_taken_for_undivided_ones(tmp_path):
    pixels = RANDOM.integers(0, 256, (60, 4))
    model = make_pipeline(MinMaxScaler(), MLPRegressor(hidden_layer_sizes=(2,), max_iter=2))
    save(model.fit(pixels, X[:, 0]), tmp_path / "net")
    net = fastbp.load(tmp_path / "net")
    np.testing.assert_allclose(net.predict(pixels), model.predict(pixels), rtol=1e-11)
    net.fit(pixels, X[:, 0], epochs=1, batch_size=20)


def test_an_estimator_as_a_network_is_another_one():
    model = MLPClassifier((6,), max_iter=3, random_state=0).fit(X, TARGETS["text"])
    net = model.to_network()
    assert net.task == "labels" and net.classes_.tolist() == model.classes_.tolist()
    net.weights[0][:] = 0
    assert model.coefs_[0].all()
    given = MLPRegressor()
    given.coefs_, given.intercepts_ = [np.ones((4, 1))], [np.zeros(1)]
    np.testing.assert_allclose(given.to_network().predict(X), X.sum(axis=1))


def test_what_cannot_be_folded(tmp_path):
    last = MLPRegressor(hidden_layer_sizes=(2,), max_iter=2).fit(X, X[:, 0])
    fits = make_pipeline(MinMaxScaler(clip=True), last).fit(X, X[:, 0])
    empty = np.where(np.arange(4) == 1, np.nan, X)
    cases = [
        (make_pipeline(StandardScaler(), last), "expected a fitted pipeline, got StandardScaler"),
        (fits, r"step 0 of the pipeline: expected one of StandardScaler, .*got MinMaxScaler with clip"),
        (make_pipeline(RobustScaler().fit(X), last), "expected one of .*, got RobustScaler; .*skl2onnx$"),
        (make_pipeline(ColumnTransformer([("few", MinMaxScaler(), [0])]), last), "got ColumnTransformer; "),
        (make_pipeline(SimpleImputer(missing_values=0).fit(X), last), "expected a SimpleImputer of NaN"),
        (make_pipeline(SimpleImputer(add_indicator=True).fit(X), last), "expected a SimpleImputer of NaN"),
        (make_pipeline(SimpleImputer().fit(empty), last), "expected a SimpleImputer of NaN"),
    ]
    for model, message in cases:
        for write in (to_c, to_onnx):
            with pytest.raises(ValueError, match=message):
                write(model, tmp_path / "model.c")
    for model, name in ((LogisticRegression(), "LogisticRegression"), (Pipeline([]), "NoneType"), (3, "int")):
        with pytest.raises(TypeError, match=f"model: expected a Network, an MLPClassifier .* got {name}"):
            save(model, tmp_path / "model.c")
    with pytest.raises(NotFittedError):
        to_c(MLPClassifier(), tmp_path / "model.c")
    assert not [*tmp_path.iterdir()]
    to_c(make_pipeline("passthrough", last), tmp_path / "model.c")


@pytest.mark.skipif(
    not all(map(shutil.which, ("arm-none-eabi-gcc", "qemu-system-arm"))), reason="no compiler or board"
)
def test_a_microcontroller_tells_the_same_labels():
    command = [sys.executable, "-m", "bench.microcontroller"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "1,000 of 1,000 labels are equal" in done.stdout
