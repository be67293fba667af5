"""The examples of README and docs/recipes.md run as they stand, one after another."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

ROOT = Path(__file__).parents[1]


def examples(name):
    text = (ROOT / name).read_text("utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def run(blocks, namespace):
    for block in blocks:
        exec(compile(block, block.partition("\n")[0], "exec"), namespace)
    return namespace


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_the_recipes(capsys):
    blocks = [block for block in examples("docs/recipes.md") if "sklearn" not in block]
    assert len(blocks) > 12
    found = run(blocks, {})
    assert found["net"].score(found["X"], found["y"]) > 0.9
    assert Path("log.csv").stat().st_size and Path("run.fastbp").exists()


def test_the_recipes_with_data_of_scikit_learn(capsys):
    blocks = [block for block in examples("docs/recipes.md") if "sklearn" in block]
    assert len(blocks) == 4
    assert all(len(block.splitlines()) < 15 for block in blocks)
    several = next(block for block in examples("docs/recipes.md") if "ThreadPool" in block)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        run([examples("docs/recipes.md")[0], several, *blocks], {})
    said = capsys.readouterr().out
    scores = [float(number) for number in re.findall(r"(\d\.\d+)$", said, re.MULTILINE)]
    assert np.greater(scores, [0.9, 0.5, 0.4, 0.4, 0.9]).all(), said


@pytest.mark.parametrize("number", range(len(examples("README.md"))))
def test_the_readme(number, monkeypatch, capsys):
    block = examples("README.md")[number]
    if "# after" in block:  # and what was before
        block = block[block.index("# after") :].replace("30, 10, 3.0", "1, 10, 3.0")
    block = block.replace("    30,\n    10,\n", "    1,\n    10,\n")
    run([block.replace("epochs=10,", "epochs=1,")], {})
