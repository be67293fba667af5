"""``fastbp train --report``: a page that holds what was trained, and loads nothing."""

import hashlib
import re
import signal
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

import fastbp
from command import POINTS, POSIX, refused, said, start, write
from fastbp import Network
from fastbp.cli import data, report
from fastbp.datasets import load_npz

SMALL = "--hidden", 9, "--epochs", 5


class Page(HTMLParser):
    """The texts of a page, its addresses, and whether its elements are closed."""

    def __init__(self, path):
        super().__init__()
        self.texts, self.addresses, self.open = [], [], []
        self.feed(path.read_text("utf-8"))
        assert not self.open

    def handle_starttag(self, tag, attributes):
        if tag != "meta":
            self.open.append(tag)
        self.addresses += [
            value for name, value in attributes if name in ("src", "href", "xlink:href", "data")
        ]
        self.addresses += re.findall(r"url\((.*?)\)", " ".join(value or "" for _, value in attributes))

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.texts.append(text.strip())


@pytest.fixture
def table(tmp_path):
    (X, y), _ = load_npz(POINTS)
    path = tmp_path / "animals.csv"
    rows = [",".join(map(repr, row)) + f",{'cde'[label]}" for row, label in zip(X.tolist(), y, strict=True)]
    path.write_text("\n".join(["one,two,three,<four>,five,kind", *rows]) + "\n")
    return path


def test_a_page_about_labels(tmp_path, table):
    page, saved = tmp_path / "report.html", tmp_path / "net"
    arguments = "--data", table, "--target", "kind", *SMALL, "--report", page, "--save", saved
    status, lines, err = said("train", *arguments)
    assert (status, err) == (0, [])
    assert lines[-4:-2] == [f"saved {saved}", f"saved {page}"]
    shown = Page(page)
    assert all(address.startswith(("#", "data:")) for address in shown.addresses) and shown.addresses
    net = fastbp.load(saved)
    for text in (
        lines[-1],
        net.fingerprint(),
        fastbp.__version__,
        np.__version__,
        hashlib.sha256(table.read_bytes()).hexdigest(),
        "training 160, validation 20, test 20",
        "5: one, two, three, <four>, five",
        "labels of kind, as kind is text",
        "5 of 5",
        "Learning curves",
        "<four>",
        "predicted",
    ):
        assert text in shown.texts, text
    assert page.read_text("utf-8").count("<svg") == 2
    again = tmp_path / "again.html"
    assert said("train", *arguments, "--report", again, "--threads", 1)[0] == 0
    different = [a for a, b in zip(Page(page).texts, Page(again).texts, strict=True) if a != b]
    assert len(different) == 1 and different[0].endswith("threads auto")
    assert said("train", *arguments, "--report", again)[0] == 0
    assert again.read_bytes() == page.read_bytes()


def test_importance_is_the_fall_of_the_score():
    X = np.random.RandomState(0).randn(300, 3)
    net = Network([3, 1], output_activation="linear", init=[np.array([[2.0, 0.0, 1.0]])], seed=0)
    y = net.outputs(X)
    net.fit(X, y, epochs=0, batch_size=1)
    falls = report.importance(net, data.Rows(X, y), seed=0)
    assert falls[1] == 0
    assert falls == pytest.approx([2 * 4 / 5, 0, 2 * 1 / 5], rel=0.15)  # 2 shares of the variance
    assert np.array_equal(falls, report.importance(net, data.Rows(X, y), seed=0))
    weights = (np.arange(300) < 100).astype(float)
    heavy = report.importance(net, data.Rows(X, y, weights), seed=0)
    assert not np.array_equal(heavy, falls)


def test_importance_and_residuals_are_of_rows_drawn_by_the_seed(monkeypatch):
    part = data.Rows(np.arange(9.0)[:, None], np.arange(9.0), np.arange(9.0) % 2)
    assert report._drawn(part, 4, 0).y.tolist() == [1, 3, 5, 7], "others weigh nothing"
    assert np.array_equal(report._drawn(data.Rows(part.X, part.y), 9, 0).y, part.y)
    drawn = {tuple(report._drawn(data.Rows(part.X, part.y), 4, seed).y.tolist()) for seed in range(5)}
    assert len(drawn) > 1
    assert all(len(rows) == 4 and [*rows] == sorted(rows) for rows in drawn)


def test_a_page_that_cannot_be_written_takes_no_result_with_it(tmp_path, monkeypatch):
    def broken(training):
        raise ValueError("no page")

    monkeypatch.setattr(report, "_page", broken)
    saved = tmp_path / "net"
    arguments = "--data", POINTS, *SMALL, "--save", saved, "--report", tmp_path / "page.html"
    status, lines, err = said("train", *arguments)
    assert (status, err, lines[-3]) == (1, ["fastbp: error: --report no page"], f"saved {saved}")
    assert lines[-1].startswith("test accuracy")


def test_pages_about_values_searches_and_wide_data(tmp_path, monkeypatch):
    (X, y), _ = load_npz(POINTS)
    path = write(tmp_path / "values.npz", test=False, X=X, y=np.stack([X[:, 0], X[:, 1]], axis=1))
    page = tmp_path / "page.html"
    assert said("train", "--data", path, *SMALL, "--report", page)[0] == 0
    shown = Page(page)
    assert shown.texts.count("true - predicted") == 2
    assert "column 4" in shown.texts
    monkeypatch.setattr(report, "_MOST_COLUMNS", 4)
    monkeypatch.setattr(report, "_MOST_CLASSES", 2)
    arguments = "--search", "hidden=3,4", "--epochs", 2, "--report", page
    assert said("train", "--data", POINTS, *arguments)[0] == 0
    shown = Page(page)
    for text in (
        "hidden=3",
        "hidden=4",
        "validation accuracy",
        "No confusion matrix is drawn for 3 labels.",
        "Not measured: there are 5 columns, more than 4.",
    ):
        assert text in shown.texts, text
    folds = "--folds", 3, "--save", tmp_path / "net", "--report", page
    assert said("train", "--data", path, *SMALL, *folds)[0] == 0
    shown = Page(page)
    assert {"fold 1", "fold 3", "mean and standard deviation"} <= {*shown.texts}
    assert "Test" not in shown.texts
    rows = write(tmp_path / "rows.npz", test=False, y=np.eye(3, dtype=int)[y])
    assert said("train", "--data", rows, *SMALL, "--report", page)[0] == 0
    Page(page)


@POSIX
def test_a_training_that_a_signal_ends_has_a_page(tmp_path):
    page = tmp_path / "page.html"
    process = start("--data", POINTS, "--epochs", 10**6, "--report", page)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    early = next(line for line in out.splitlines() if line.startswith("interrupted in epoch"))
    assert early in Page(page).texts


def test_refusals(tmp_path, monkeypatch):
    page = tmp_path / "page.html"
    refused(said("train", "--report", tmp_path / "no" / "page"), "--report", "cannot be written")
    both = "--save", page, "--report", page
    refused(
        said("train", "--data", POINTS, *both), f"--report {page}: expected another file than --save writes"
    )
    refused(said("train", "--data", POINTS, "--report", POINTS), "got", "which --data reads")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    outcome = said("train", "--data", POINTS, "--report", page)
    refused(outcome, "--report: expected matplotlib; pip install '.[plot]'", status=1)
    assert not page.exists()
