"""The faults of ``tests/support/faults.py``: tests try each, and the page of the docs has its counts."""

import ast
import re
from pathlib import Path

import pytest

import faults

TESTS = Path(__file__).parents[1]
ROW = re.compile(r"^\| (\d+) \| (.*?) \| (.*?) \| ([\d,]+) \| ([\d,]+) \| (.*) \|$", re.MULTILINE)
pytest_plugins = ["pytester"]


def marked():
    """The faults that marks of tests name."""
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.survives":
                yield node.args[0].value


def test_every_fault_is_tried_and_every_mark_names_one():
    assert {*marked()} == {*faults.PROMISES}


def test_the_page_has_every_fault_and_none_was_fatal():
    """Otherwise make it anew: ``pytest --full -m survives``."""
    rows = ROW.findall(faults.PAGE.read_text("utf-8"))
    assert [(int(number), fault) for number, fault, *_ in rows] == [
        (number, fault) for fault, number in faults.NUMBERS.items()
    ]
    for number, fault, promise, tried, survived, by in rows:
        assert promise == faults.PROMISES[fault], number
        assert tried == survived != "0", fault
        files = re.findall(r"`(.*?)`", by)
        assert files and all((TESTS.parent / file).exists() for file in files), fault


CASES = """
import pytest

@pytest.mark.survives("leak")
@pytest.mark.survives("joblib")
@pytest.mark.parametrize("i", range(3))
def test_one(i):
    assert i != 1

@pytest.mark.survives("leak", each=5)
def test_five():
    pass

@pytest.mark.survives("leak")
def test_many(record_property):
    record_property("tried", 100)

@pytest.mark.survives("leak")
def test_none():
    pytest.skip()
"""
PLUGIN = """
import faults

def pytest_addoption(parser):
    parser.addoption("--full", action="store_true")

def pytest_configure(config):
    config.addinivalue_line("markers", "survives")
    config.pluginmanager.register(faults.Record(config))
"""


def ran(pytester, monkeypatch, *options, cases=CASES):
    monkeypatch.setattr(faults, "PAGE", pytester.path / "promised.md")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:cacheprovider -p no:xdist")
    pytester.makeconftest(PLUGIN)
    pytester.makepyfile(test_cases=cases)
    pytester.makeini("[pytest]\ntestpaths = .")
    return pytester.inline_run(*options), pytester.path / "promised.md"


@pytest.mark.parametrize("options", [(), ("--full",), ("--full", "-m", "survives")])
def test_what_a_run_tells(options, pytester, monkeypatch, capsys):
    _, page = ran(pytester, monkeypatch, *options)
    shown = capsys.readouterr().out
    assert re.search(r"^ +\d+ leak +108 +107$", shown, re.MULTILINE)
    assert re.search(r"^ +\d+ joblib +3 +2$", shown, re.MULTILINE)
    assert page.exists() == ("--full" in options)
    if options:
        counts = {fault: found for _, fault, _, *found, _ in ROW.findall(page.read_text("utf-8"))}
        assert counts["leak"] == ["108", "107"] and counts["joblib"] == ["3", "2"]
        assert counts["zip bomb"] == ["0", "0"]


@pytest.mark.parametrize("options", [("-k", "one"), ("test_cases.py",), ("-m", "not survives")])
def test_a_part_of_the_tests_tells_nothing(options, pytester, monkeypatch, capsys):
    _, page = ran(pytester, monkeypatch, "--full", *options)
    assert "faults" not in capsys.readouterr().out
    assert not page.exists()


def test_a_mark_that_names_no_fault_is_refused(pytester, monkeypatch, capsys):
    found, _ = ran(pytester, monkeypatch, cases=CASES.replace('"joblib"', '"job"'))
    assert found.ret == pytest.ExitCode.USAGE_ERROR
    assert "expected a fault of tests/support/faults.py, got 'job'" in capsys.readouterr().err
