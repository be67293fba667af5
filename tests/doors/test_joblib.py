"""Searches by joblib: the results of one process, and no more threads at work than there are CPUs for."""

import json
import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", "1.6")

from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from command import ENVIRONMENT
from fastbp.engine.machine import cpus
from fastbp.sklearn import MLPClassifier

X = np.random.default_rng(0).normal(size=(900, 60)).astype(np.float32)
LABELS = X[:, :5].argmax(axis=1)
GRID = {"alpha": [1e-4, 1e-2], "learning_rate_init": [0.01, 0.03]}
SEARCHES = [  # of which every third runs by default
    *(("loky", 2), ("loky", -1), ("loky", 1), ("multiprocessing", 2), ("multiprocessing", -1)),
    *(("multiprocessing", 1), ("threading", -1), ("threading", 2), ("threading", 1)),
]
PROGRAM = (
    "import json, sys, test_joblib; print(json.dumps(test_joblib.search(sys.argv[1], int(sys.argv[2]))))"
)


def search(backend, n_jobs):
    """The scores of a search, large enough that each of its trainings takes a team where it may."""
    import joblib

    warnings.simplefilter("ignore", ConvergenceWarning)
    model = MLPClassifier((300,), batch_size=300, max_iter=12, random_state=0)
    with joblib.parallel_config(backend, n_jobs=n_jobs):
        found = GridSearchCV(model, GRID, cv=3).fit(X, LABELS)
    return [found.cv_results_[f"split{i}_test_score"].tolist() for i in range(3)]


def threads_at_work(session):
    """The threads that are running or ready to, in all processes of a session."""
    count = 0
    for task in Path("/proc").glob("[0-9]*/task/[0-9]*"):
        try:
            state, _, _, of_session = (task / "stat").read_text().rpartition(")")[2].split()[:4]
        except (OSError, ValueError):
            continue
        count += of_session == str(session) and state == "R"
    return count


@pytest.fixture(scope="module")
def alone():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return search("threading", 1)


@pytest.mark.sampled
@pytest.mark.survives("joblib")
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("backend", "n_jobs"), SEARCHES)
def test_searches_by_every_backend(backend, n_jobs, alone):
    environment = {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)])}
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, backend, str(n_jobs)],
        env=environment,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    seen, over = [], threading.Event()

    def watch():
        while not over.wait(0.02):
            seen.append(threads_at_work(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    out, _ = process.communicate(timeout=300)
    over.set()
    watcher.join()
    assert process.returncode == 0
    assert json.loads(out) == alone
    often = sorted(seen)[
        len(seen) * 19 // 20
    ]  # for a moment a pool has helpers besides, as it starts and ends
    assert often <= cpus() + 2
