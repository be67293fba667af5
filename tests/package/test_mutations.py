"""The table of deliberate faults: each can be made, and names tests that exist."""

import ast
import shutil
from pathlib import Path

import pytest

from reproduce.mutations import __main__ as mutations
from reproduce.mutations.table import MUTATIONS, Mutation

ROOT = Path(__file__).parents[2]


def named(mutation):
    return f"{mutation.file}: {mutation.why}"


@pytest.mark.parametrize("mutation", MUTATIONS, ids=named)
def test_a_fault_can_be_made(mutation):
    """The text before occurs once, the file is still Python with the text after, and its tests exist."""
    text = (ROOT / "fastbp" / mutation.file).read_text("utf-8")
    ast.parse(mutations.mutated(text, mutation))
    assert mutation.before != mutation.after and mutation.why and mutation.tests
    for test in mutation.tests:
        path, _, name = test.partition("::")
        assert (f"\ndef {name}(" if name else "def test_") in (ROOT / "tests" / path).read_text("utf-8"), test


def test_every_fault_is_there_once():
    assert len({(each.file, each.before, each.after) for each in MUTATIONS}) == len(MUTATIONS)
    rooms = {each.file.split("/")[0] for each in MUTATIONS}
    assert rooms >= {"options", "data", "engine", "training", "files", "compat", "sklearn"}


@pytest.mark.parametrize(
    ("after", "test", "outcome"),
    [
        ("return -1", "test_one.py::test_sum", "caught"),
        ("return b + a", "test_one.py::test_sum", "NOT CAUGHT"),
        ("return -1", "test_one.py::test_other", "NO TEST RAN"),
    ],
)
def test_what_became_of_a_fault(tmp_path, after, test, outcome):
    copy = tmp_path / "copy"
    (copy / "tests").mkdir(parents=True)
    (copy / "fastbp").mkdir()
    (copy / "fastbp" / "__init__.py").touch()
    source = copy / "fastbp" / "one.py"
    source.write_text("def total(a, b):\n    return a + b\n")
    program = "from fastbp.one import total\n\n\ndef test_sum():\n    assert total(1, 2) == 3\n"
    (copy / "tests" / "test_one.py").write_text(program)
    mutation = Mutation("one.py", "return a + b", after, "a wrong sum", (test,))
    assert mutations.tried(mutation, copy) == outcome
    assert source.read_text() == "def total(a, b):\n    return a + b\n"
    shutil.rmtree(copy)


def test_a_text_that_is_not_there_once_is_refused():
    mutation = Mutation("one.py", "a", "b", "a letter", ("test_one.py",))
    with pytest.raises(ValueError, match=r"one.py: expected 'a' once, found it 2 times"):
        mutations.mutated("aa", mutation)
