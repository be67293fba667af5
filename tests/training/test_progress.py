"""The progress of a training on stdout: in a terminal, in a notebook, and elsewhere."""

import contextlib
import io
import re
import sys
import threading
from types import SimpleNamespace

import pytest

from fastbp.training import progress
from terminal import Terminal, shown_by

LINE = "epoch   {0}/3  loss {1}  validation 0.9000  0.500 s  2,000 samples/s"
LINES = [LINE.format(number, loss) for number, loss in enumerate(("1.00000", "0.50000", "0.33333"), 1)]
bars = pytest.mark.parametrize("bar", ["own", "tqdm"])


class Clock:
    """Stands for the module `time`."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(progress, "time", self)

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@pytest.fixture
def choose(monkeypatch):
    """Makes a bar of one's own or of tqdm the one that is found."""

    def chosen(bar):
        monkeypatch.setenv("COLUMNS", "100")
        if bar == "own":
            monkeypatch.setitem(sys.modules, "tqdm.auto", None)  # as if it were not installed

    return chosen


def history(epochs, **more):
    loss = [1 / (1 + epoch) for epoch in range(epochs)]
    same = {"seconds": 0.5, "learning_rate": 0.1, "val_loss": 0.2, "val_accuracy": 0.9, **more}
    return {"loss": loss, **{name: [number] * epochs for name, number in same.items()}}


def chunks(shown, clock, epoch, parts=8):
    for done in range(1000 // parts, 1001, 1000 // parts):
        clock.now += 0.5 / parts
        shown.chunk(epoch, done, 1 / done)


def train(clock, stdout, epochs=3, samples=1000):
    """Shows a `fit` of three epochs of half a second each, of which only the first `epochs` run."""
    shown = progress.Progress()
    with contextlib.redirect_stdout(stdout):
        shown.begin(3, samples)
        for epoch in range(epochs):
            chunks(shown, clock, epoch)
            shown.epoch_end(history(epoch + 1))
    return shown


def test_lines_alone_where_stdout_is_a_file(clock):
    stdout = io.StringIO()
    with contextlib.redirect_stdout(stdout):
        train(clock, stdout).end()
    assert stdout.getvalue().splitlines() == LINES


def test_stdout_that_can_only_write(clock):
    written = []
    with contextlib.redirect_stdout(SimpleNamespace(write=written.append)):
        train(clock, sys.stdout).end()
    assert "".join(written).splitlines() == LINES


def test_other_metrics_and_values_in_lines(capsys):
    shown = progress.Progress()
    shown.begin(1, 50)
    numbers = {"loss": [0.25], "seconds": [0.1], "learning_rate": [1], "val_loss": [1], "mae": [2]}
    shown.epoch_end({**numbers, "val_r2": [-0.5], "val_mae": [3.0]})
    shown.epoch_end({**numbers, "threads": [1], "val_r2": [-0.5], "val_mae": [3.0]})
    shown.epoch_end({**numbers, "threads": [2], "val_r2": [-0.5], "val_mae": [3.0]})
    line = "epoch   1/1  loss 0.25000  validation -0.5000  mae 2.0000  val_mae 3.0000  0.100 s  500 samples/s"
    assert capsys.readouterr().out.splitlines() == [line, line, line + "  2 threads"]
    shown.epoch_end({"loss": [0.25], "seconds": [0.0], "learning_rate": [1]})
    assert capsys.readouterr().out.startswith("epoch   1/1  loss 0.25000  0.000 s  ")


@bars
def test_a_terminal_keeps_the_lines_and_no_bar(bar, choose, clock):
    choose(bar)
    stdout = Terminal()
    shown = train(clock, stdout)
    shown.end()
    assert stdout.screen() == [*LINES, ""]
    assert "\repoch   2/3" in stdout.getvalue() and "loss 0.00160" in stdout.getvalue()


def test_what_the_bar_shows(choose, clock):
    choose("own")
    stdout = Terminal()
    train(clock, stdout, epochs=1)
    shown = stdout.getvalue().split("\r")
    assert shown[1] == f"epoch   1/3  [{'#':<30}]  loss 0.00800"
    assert shown[2].rstrip() == f"epoch   1/3  [{'###':<30}]  loss 0.00267  0:00:01 left  2,000 samples/s"
    assert shown[-2].strip() == ""


def test_nothing_is_left_of_a_longer_state(choose, clock, monkeypatch):
    choose("own")
    monkeypatch.setenv("COLUMNS", "200")
    stdout = Terminal()
    shown = progress.Progress()
    with contextlib.redirect_stdout(stdout):
        shown.begin(1, 1000)
        for done, cost in ((100, 1e90), (200, 1.0)):
            clock.now += 1
            shown.chunk(0, done, cost)
    assert stdout.screen() == [f"epoch   1/1  [{'######':<30}]  loss 1.00000  0:00:08 left  100 samples/s"]


@bars
def test_at_most_ten_states_a_second(bar, choose, clock):
    choose(bar)
    stdout = Terminal()
    shown = progress.Progress()
    with contextlib.redirect_stdout(stdout):
        shown.begin(3, 1000)
        chunks(shown, clock, 0, parts=500)
    assert 4 <= len(set(re.findall(r"loss \d\.\d+", stdout.getvalue()))) <= 6


@pytest.mark.parametrize("columns", [1, 10, 20, 30, 45, 60, 79, 80, 200])
def test_the_bar_fits_the_terminal(columns, choose, clock, monkeypatch):
    choose("own")
    monkeypatch.setenv("COLUMNS", str(columns))
    stdout = Terminal()
    train(clock, stdout).end()
    shown = re.findall(r"\r([^\r\n]*)(?=\r)", stdout.getvalue())
    assert shown and max(map(len, shown)) < max(columns, 2)
    assert stdout.screen() == [*LINES, ""]
    if columns >= 45:
        assert all("loss 0.0" in part and "left" in part for part in shown[1:4])
        assert all(part.rstrip().endswith(("left", "samples/s")) for part in shown[1:4])


@bars
def test_an_epoch_that_is_broken_off_leaves_its_bar_in_a_line(bar, choose, clock):
    choose(bar)
    stdout = Terminal()
    shown = train(clock, stdout, epochs=1)
    with contextlib.redirect_stdout(stdout):
        clock.now += 1
        shown.chunk(1, 400, 0.125)
        shown.end()
        shown.end()
        print("KeyboardInterrupt")
    first, broken, after, last = stdout.screen()
    assert (first, after, last) == (LINES[0], "KeyboardInterrupt", "")
    assert re.match(r"epoch   2/3.* loss 0\.125", broken)


@bars
def test_ends_before_anything_was_done(bar, choose):
    choose(bar)
    stdout = Terminal()
    with contextlib.redirect_stdout(stdout):
        progress.Progress().end()
        shown = progress.Progress()
        shown.begin(3, 1000)
        shown.end()
    assert stdout.getvalue() == ""


@bars
def test_samples_that_are_counted_in_the_first_epoch(bar, choose, clock):
    choose(bar)
    stdout = Terminal()
    train(clock, stdout, samples=None).end()
    first, later = stdout.getvalue().split(LINES[0])
    assert "loss 0.0" in first and "samples/s" in first
    assert not re.search("#|%|left", first)
    assert re.search(r"\[#+ *\].* left" if bar == "own" else "4[0-9]%.*00:0", later)
    assert stdout.screen() == [*LINES, ""]


def test_a_training_that_is_resumed(choose, clock):
    """Samples trained on in another process do not count for the speed."""
    choose("own")
    stdout = Terminal()
    shown = progress.Progress()
    with contextlib.redirect_stdout(stdout):
        shown.begin(100, 1000)
        chunks(shown, clock, 90)
    assert "epoch  91/100" in stdout.screen()[0] and " 0:00:05 left  2,000 samples/s" in stdout.screen()[0]


@bars
def test_a_notebook_shows_a_bar(bar, choose, clock, monkeypatch):
    choose(bar)
    for config, shows in (({"IPKernelApp": {}}, True), ({"TerminalIPythonApp": {}}, False)):
        ipython = SimpleNamespace(get_ipython=lambda config=config: SimpleNamespace(config=config))
        monkeypatch.setitem(sys.modules, "IPython", ipython)
        stdout = io.StringIO()
        train(clock, stdout).end()
        assert ("\r" in stdout.getvalue()) == shows
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))  # only imported
    assert not progress._in_notebook()


def test_tqdm_leaves_no_thread(choose, clock):
    choose("tqdm")
    before = set(threading.enumerate())
    train(clock, Terminal()).end()
    assert set(threading.enumerate()) <= before


@bars
def test_a_real_terminal(bar):
    code = f"""
import sys, time
if {bar == "own"}:
    sys.modules["tqdm.auto"] = None
from fastbp.training.progress import Progress
shown = Progress()
shown.begin(2, 100)
for epoch in range(2):
    for done in (50, 100):
        time.sleep(0.11)
        shown.chunk(epoch, done, 0.5)
    shown.epoch_end({{"loss": [1.0] * (epoch + 1), "seconds": [0.5]}})
shown.end()
print("done")
"""
    shown = shown_by([sys.executable, "-c", code], columns=50)
    assert shown.screen() == [
        *(f"epoch   {n}/2  loss 1.00000  0.500 s  200 samples/s" for n in (1, 2)), "done", ""
    ]  # fmt: skip
    assert max(len(part) for part in re.findall(r"\r([^\r\n]*)(?=\r)", shown.getvalue())) in (48, 49)
