"""Modules that a fresh process imports to unpickle a network or an estimator, as a worker of joblib does."""

import json
import pickle
import subprocess
import sys

import pytest

from fastbp import Network
from fastbp.sklearn import MLPClassifier

_UNPICKLE = "import json, pickle, sys; pickle.load(sys.stdin.buffer); print(json.dumps(sorted(sys.modules)))"


def modules(program, given=b""):
    done = subprocess.run([sys.executable, "-c", program], input=given, capture_output=True, check=True)
    return set(json.loads(done.stdout))


@pytest.fixture(scope="module")
def of_numba():
    return modules("import json, sys, numba; print(json.dumps(sorted(sys.modules)))")


def ours(names):
    return {name for name in names if name.partition(".")[0] == "fastbp"}


def test_a_network_needs_numba_and_hardly_more(of_numba):
    found = modules(_UNPICKLE, pickle.dumps(Network([3, 4, 2], seed=0)))
    others = found - of_numba - ours(found)
    assert len(ours(found)) <= 97 and len(others) <= 10, others
    assert not any(
        name.startswith(("fastbp.sklearn", "fastbp.ensemble", "sklearn", "pandas")) for name in found
    )


def test_an_estimator_needs_no_search_and_no_ensemble():
    found = modules(_UNPICKLE, pickle.dumps(MLPClassifier()))
    unneeded = ("sklearn.model_selection", "sklearn.metrics", "sklearn.pipeline", "sklearn.preprocessing")
    assert not found & {*unneeded, "fastbp.ensemble", "fastbp.sklearn.search", "fastbp.sklearn.ensemble"}
    assert len(ours(found)) <= 105


_FIRST_FIT = """
import json, sys
import numpy as np
from fastbp import Network

net, before = Network([4, 3, 2], seed=0), {*sys.modules}
net.fit(np.ones((8, 4)), np.arange(8) % 2, epochs=1, batch_size=4, learning_rate=0.1, threads=2)
print(json.dumps(sorted({*sys.modules} - before)))
"""


def test_a_first_fit_imports_nothing():
    """A child that is forked amid an import in another thread would wait for that thread's lock for ever."""
    modules(_FIRST_FIT)  # which may compile
    assert modules(_FIRST_FIT) == set()


def test_late_names_are_public():
    import fastbp.sklearn

    assert {*fastbp.sklearn.__all__} == {*dir(fastbp.sklearn)}
    assert all(getattr(fastbp.sklearn, name).__name__ == name for name in fastbp.sklearn.__all__)
    with pytest.raises(AttributeError, match="no attribute 'MLPNothing'"):
        _ = fastbp.sklearn.MLPNothing
