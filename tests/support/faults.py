"""The faults that fastbp survives, what it promises in each, and how often a run of the tests has tried them.

A test that is marked ``survives(fault)`` tries a fault once, or as often as it says by
``record_property("tried", n)``, or, where each of its cases makes others, by ``survives(fault, each=n)``.
"""

import os
import re
from collections import Counter
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "promised.md"

FAULTS = {  # part -> fault -> what is promised; the worst comes first
    "A wrong network without a word": {
        "wrong gradient": "Gradients agree with central differences, for every activation and cost.",
        "another network than the book's": "`SGD` draws, shuffles, trains and prints as in the book.",
        "spoilt label": "`ValueError` names the row and the value, before any kernel runs.",
        "spoilt sample": "`ValueError` names the cell and the value, before training, or in its block.",
        "divergence": "`DivergenceError`; the network keeps its last finite weights.",
        "resumed training": "Ends with the bits of a training that was never stopped.",
        "number of threads": "No number of threads changes a bit.",
        "another CPU": "No instruction set changes a bit.",
        "stale machine code": "An edited kernel is compiled anew.",
        "altered array": "No call writes into the caller's arrays.",
        "unusual array": "Any type and layout of memory trains as a plain copy does, or is refused.",
    },
    "Lost work": {
        "kill while saving": "The old file or the new one is there, whole; none older than the last saved.",
        "failing write": "The old file is there, no temporary one is, and an `OSError` names the file.",
        "damaged file": "One line names the file; nothing of it is used.",
        "hostile file": "Refused in bounds of time and memory; nothing in it is executed.",
        "Ctrl-C": "No kernel is called after it; the network is usable, the training resumes to its bits.",
        "SIGTERM": "A checkpoint is left, from which the training resumes to its bits.",
    },
    "Crashes and hangs": {
        "fits in many threads": "Each ends with the bits of a serial run.",
        "fork after a fit": "Children, their children and pools of processes train to the same bits.",
        "joblib": "Searches have the results of a serial run, and loky's workers share the CPUs.",
        "few CPUs": "One CPU, or a quota of a control group: no more threads than that. No libgomp needed.",
        "damaged machine code": "Compiled anew, with one warning.",
        "no place for machine code": "Imports, trains and warns once.",
        "cold cache": "Processes that start at once compile and train without an error.",
        "little memory": "`MemoryError`, or `ValueError` for shapes that cannot be; indices have 64 bits.",
        "leak": "Resident memory grows by less than 1 MB after the first calls.",
    },
    "Misuse and bad luck": {
        "estimator's contract": "scikit-learn's own checks pass.",
        "few rows or classes": "A documented result, or a `ValueError`.",
        "failing callback": "The exception passes through, the network is that of the last step.",
        "closed output": "What was learnt is saved.",
        "old file": "Files and pickles of every release load and predict their bits; pickles need the NumPy "
        "that wrote them, or a later one.",
        "rebuilt package": "The wheel and the sdist have the same bytes from anywhere.",
        "subnormal number": "None is in weights, states, activations or deltas.",
        "signal while importing": "One line, and the exit status that shells expect.",
        "zip bomb": "Refused before it takes memory.",
        "right checksum, wrong value": "One line names the file and the value.",
    },
}
PROMISES = {fault: promise for faults in FAULTS.values() for fault, promise in faults.items()}
NUMBERS = {fault: number for number, fault in enumerate(PROMISES, 1)}

_HEAD = """\
# What is promised

What fastbp survives, the worst fault first, and how often the last full run of the tests tried it. That run
makes this page: `pytest --full`, or `pytest --full -m survives` for these tests alone. By default a tenth is
tried.

"""


def marks(item):
    """Yields the fault and the number of cases of each mark of a test."""
    for mark in item.iter_markers("survives"):
        (fault,) = mark.args
        if fault not in PROMISES:
            raise pytest.UsageError(
                f"{item.nodeid}: expected a fault of tests/support/faults.py, got {fault!r}"
            )
        yield fault, mark.kwargs.get("each", 1)


class Record:
    """A plugin of pytest that counts the faults of a run, shows them at its end, and renews the page."""

    def __init__(self, config):
        self.tried, self.survived, self.tests = Counter(), Counter(), {}
        chosen = config.args_source is not pytest.Config.ArgsSource.TESTPATHS or config.option.keyword
        self.is_whole = not chosen and config.option.markexpr in ("", "survives")
        self.is_full = config.getoption("--full")

    def pytest_collection_modifyitems(self, items):
        for item in items:
            item.user_properties += [("survives", list(pair)) for pair in marks(item)]

    def pytest_runtest_logreport(self, report):
        if report.skipped or (report.when != "call" and report.passed):
            return
        said = [value for name, value in report.user_properties if name == "tried"]
        for fault, each in (value for name, value in report.user_properties if name == "survives"):
            tried = sum(said) if said else each
            self.tried[fault] += tried
            self.survived[fault] += tried if report.passed else tried - 1
            self.tests.setdefault(fault, set()).add(re.sub(r"\[.*", "", report.nodeid, flags=re.DOTALL))

    def pytest_terminal_summary(self, terminalreporter):
        if not self.is_whole or not self.tried:
            return
        terminalreporter.section("faults: tried, survived")
        for fault, number in NUMBERS.items():
            terminalreporter.line(f"{number:3} {fault:32} {self.tried[fault]:8,} {self.survived[fault]:8,}")
        if self.is_full:
            PAGE.write_text(page(self.tried, self.survived, self.tests), "utf-8")


def page(tried, survived, tests):
    """The page of the docs: a table for each part, and the machine of the run."""
    from bench import pages  # here, because a run of the tests needs no benchmarks

    text = _HEAD
    for part, faults in FAULTS.items():
        text += f"## {part}\n\n| | fault | what is promised | tried | survived | by |\n"
        text += "| --- | --- | --- | --- | --- | --- |\n"
        for fault, promise in faults.items():
            files = sorted({test.partition("::")[0] for test in tests.get(fault, ())})
            counts = f"{tried[fault]:,} | {survived[fault]:,}"
            by = ", ".join(f"`{file}`" for file in files)
            text += f"| {NUMBERS[fault]} | {fault} | {promise} | {counts} | {by} |\n"
        text += "\n"
    return f"{text}{pages.measured(pages.machine())} {os.cpu_count()} CPUs.\n"
