"""Searches by joblib: the results of one process, and workers that share the CPUs."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", "1.6")

from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from command import ENVIRONMENT
from fastbp.engine.machine import cpus, free_cpus
from fastbp.sklearn import MLPClassifier

X = np.random.default_rng(0).normal(size=(900, 60)).astype(np.float32)
LABELS = X[:, :5].argmax(axis=1)
GRID = {"alpha": [1e-4, 1e-2], "learning_rate_init": [0.01, 0.03]}
SEARCHES = [  # of which every third runs by default
    *(("loky", 2), ("loky", -1), ("loky", 1), ("multiprocessing", 2), ("multiprocessing", -1)),
    *(("multiprocessing", 1), ("threading", -1), ("threading", 2), ("threading", 1)),
]
PROGRAM = (
    "import json, sys, test_joblib; "
    "print(json.dumps(getattr(test_joblib, sys.argv[1])(sys.argv[2], int(sys.argv[3]))))"
)


def search(backend, n_jobs):
    """The scores of a search, large enough that each of its trainings takes a team where it may."""
    import joblib

    warnings.simplefilter("ignore", ConvergenceWarning)
    model = MLPClassifier((300,), batch_size=300, max_iter=6, random_state=0)
    with joblib.parallel_config(backend, n_jobs=n_jobs):
        found = GridSearchCV(model, GRID, cv=2).fit(X, LABELS)
    return [found.cv_results_[f"split{i}_test_score"].tolist() for i in range(2)]


def of_each_call(backend, n_jobs):
    """The CPUs that the work of each of several calls may take."""
    import joblib

    with joblib.parallel_config(backend, n_jobs=n_jobs):
        return joblib.Parallel()(joblib.delayed(free_cpus)() for _ in range(4))


@pytest.fixture(scope="module")
def alone():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return search("threading", 1)


def in_another_process(function, backend, n_jobs):
    """The result of a function of this file."""
    environment = {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)])}
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, function, backend, str(n_jobs)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, timeout=300, check=True)
    return json.loads(done.stdout)


@pytest.mark.sampled
@pytest.mark.survives("joblib")
@pytest.mark.parametrize(("backend", "n_jobs"), SEARCHES)
def test_searches_by_every_backend(backend, n_jobs, alone):
    assert in_another_process("search", backend, n_jobs) == alone


@pytest.mark.survives("joblib")
def test_workers_of_loky_share_the_cpus():
    n_jobs = 2
    assert all(
        1 <= free <= max(1, cpus() // n_jobs) for free in in_another_process("of_each_call", "loky", n_jobs)
    )
