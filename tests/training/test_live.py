"""Callbacks that show a training in progress: notebooks and TensorBoard."""

import sys
from html.parser import HTMLParser
from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import fastbp
from fastbp import Activation, Callback, History, LivePlot, ModelCheckpoint, Network, TensorBoard
from fastbp.engine.summary import table
from fastbp.training import live
from toy import LABELS, OPTIONS, X, bits, fresh

mpl.use("Agg")
plt.close(plt.figure())  # pyplot looks for IPython when it draws first


# ---------------------------------------------------------------- notebooks


class Cells(HTMLParser):
    """The texts of a table's cells; that every element which begins ends is checked."""

    def __init__(self, text):
        super().__init__()
        self.texts, self.open = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        if tag in ("td", "th", "caption"):
            self.texts.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts[-1] += data


def test_a_notebook_shows_what_the_summary_says():
    net = Network([784, 30, 20, 10], activation=["relu", "tanh"], dropout=0.2, frozen=1, seed=0)
    said = " ".join(Cells(net._repr_html_()).texts)
    assert said.startswith(repr(net))
    assert said.partition(")")[2].split()[-20:] == table(net).split()[-20:]
    for word in table(net).split():
        assert word in said


def test_a_summary_shows_its_lines_where_its_representation_is_shown():
    net = Network([4, 3, 2], seed=0)
    assert repr(net.summary()) == str(net.summary()) and "\n" in repr(net.summary())


def test_a_notebook_shows_the_last_epochs_of_a_history():
    history = History({"loss": [i / 8 for i in range(30)], "val_loss": [0.5] * 30}, ["a < b"])
    text = history._repr_html_()
    cells = Cells(text.partition("<p>")[0]).texts
    assert cells[:4] == ["epoch", "loss", "val_loss", "..."]
    assert cells[4:7] == ["11", "1.25", "0.5"] and cells[-3:] == ["30", "3.625", "0.5"]
    assert text.endswith("<p>a &lt; b</p>")
    assert Cells(History({"loss": [1.0]})._repr_html_()).texts == ["epoch", "loss", "1", "1"]


def test_html_is_escaped():
    def hostile(z):
        return z

    hostile.__name__ = "<script>alert(1)</script>"
    text = Network([2, 3, 1], activation=Activation(hostile, hostile))._repr_html_()
    assert "<script>" not in text
    assert "<script>alert(1)</script>" in Cells(text).texts
    assert Network([3])._repr_html_() == repr(Network([3]))


def test_notebooks_show_a_summary_as_a_table():
    net = Network([3, 5, 2], seed=0)
    assert net.summary()._repr_html_() == net._repr_html_() and repr(net.summary()) == net.summary()


@pytest.fixture
def notebook(monkeypatch):
    """The pictures that a notebook has shown, a list."""
    shown = []

    class Handle:
        def update(self, image):
            shown.append(image)

    def display(image, display_id):
        assert display_id is True and not shown
        shown.append(image)
        return Handle()

    module = SimpleNamespace(
        display=SimpleNamespace(display=display, Image=lambda data: data),
        get_ipython=lambda: SimpleNamespace(kernel=object()),
    )
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", module.display)
    return shown


def test_a_live_plot_draws_and_changes_nothing(notebook):
    net, other = fresh(), fresh()
    before = plt.get_fignums()
    net.fit(X, LABELS, **OPTIONS, validation_split=0.2, callbacks=LivePlot(pause=0.0))
    assert len(notebook) == OPTIONS["epochs"] + 1
    assert all(picture.startswith(b"\x89PNG") for picture in notebook)
    assert plt.get_fignums() == before
    other.fit(X, LABELS, **OPTIONS, validation_split=0.2)
    assert bits(net) == bits(other)


def test_a_live_plot_pauses(notebook):
    fresh().fit(X, LABELS, **OPTIONS, callbacks=LivePlot("loss", pause=1000.0))
    assert len(notebook) == 2, "the first epoch and the end"


def test_a_live_plot_shows_what_an_interrupted_training_has(notebook):
    def stop(net, history):
        if history.epochs == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fresh().fit(X, LABELS, **OPTIONS, callbacks=[LivePlot("loss", pause=1000.0), stop])
    assert len(notebook) == 2, "the first epoch and the interrupt"
    assert notebook[0] != notebook[1]


def test_a_training_interrupted_in_its_first_epoch_has_nothing_to_show(notebook):
    class Stop(Callback):
        def on_epoch_begin(self, run):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fresh().fit(X, LABELS, **OPTIONS, callbacks=[LivePlot(), Stop()])
    assert not notebook


def test_a_failing_live_plot_leaves_no_figure_and_does_not_keep_a_checkpoint_from_being_written(
    notebook, monkeypatch, tmp_path
):
    def fail(*arguments, **options):
        raise OSError("no room")

    callback, path = LivePlot(pause=0.0), tmp_path / "run"
    checkpoint = ModelCheckpoint(path, every=10**6)  # steps: of this training only where it is interrupted
    before = plt.get_fignums()

    def break_it(net, history):
        monkeypatch.setattr("matplotlib.figure.Figure.savefig", fail)

    with pytest.raises(OSError, match="no room"):
        fresh().fit(X, LABELS, **OPTIONS, callbacks=[callback, break_it, checkpoint])
    assert len(notebook) == 1
    assert plt.get_fignums() == before
    assert fastbp.load(path).task == "labels"


def test_a_live_plot_needs_a_notebook(notebook, monkeypatch):
    net = fresh()
    before = bits(net)
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: None)
    with pytest.raises(RuntimeError, match="expected a notebook"):
        net.fit(X, LABELS, **OPTIONS, callbacks=LivePlot())
    monkeypatch.setitem(sys.modules, "IPython", None)
    with pytest.raises(ImportError, match="LivePlot: expected IPython"):
        net.fit(X, LABELS, **OPTIONS, callbacks=LivePlot())
    assert bits(net) == before
    with pytest.raises(ValueError, match="pause: expected"):
        LivePlot(pause=-1)


def test_a_live_plot_needs_matplotlib_before_it_trains(notebook, monkeypatch):
    net = fresh()
    before = bits(net)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(
        ImportError,
        match=r"LivePlot: expected matplotlib; pip install '\.\[plot\]' in fastbp's source folder",
    ):
        net.fit(X, LABELS, **OPTIONS, callbacks=LivePlot())
    assert bits(net) == before


# ---------------------------------------------------------------- TensorBoard


def events(folder):
    """{tag: [(epoch, number)]} of all files in a run's folder."""
    from tensorboardX.event_file_writer import EventFileWriter  # noqa: F401  it is there
    from tensorboardX.proto.event_pb2 import Event

    found = {}
    for path in sorted(folder.iterdir()):
        data, place = path.read_bytes(), 0
        while place < len(data):
            length = int.from_bytes(data[place : place + 8], "little")
            event = Event.FromString(data[place + 12 : place + 12 + length])
            place += 16 + length
            for value in event.summary.value:
                found.setdefault(value.tag, []).append((event.step, value.simple_value))
    return found


def test_tensorboard_has_the_history(tmp_path):
    history = fresh().fit(X, LABELS, **OPTIONS, validation_split=0.2, callbacks=TensorBoard(tmp_path))
    train, validation = events(tmp_path / "train"), events(tmp_path / "validation")
    assert set(train) == {"loss", "seconds", "learning_rate", "threads"}
    assert set(validation) == {"loss", "accuracy"}
    for found, prefix in ((train, ""), (validation, "val_")):
        for tag, pairs in found.items():
            assert [epoch for epoch, _ in pairs] == list(range(1, OPTIONS["epochs"] + 1))
            assert np.allclose([number for _, number in pairs], history[prefix + tag])


def test_without_validation_there_is_no_such_run(tmp_path):
    fresh().fit(X, LABELS, **OPTIONS, callbacks=TensorBoard(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["train"]


def test_a_resumed_training_has_each_epoch_once(tmp_path):
    def train(*more):
        callbacks = [TensorBoard(tmp_path / "log"), *more, ModelCheckpoint(tmp_path / "run", resume=True)]
        return fresh(seed=0).fit(X, LABELS, **OPTIONS | {"epochs": 4}, callbacks=callbacks)

    def stop(net, history):
        if history.epochs == 3:
            raise KeyboardInterrupt

    (tmp_path / "log" / "train").mkdir(parents=True)
    (tmp_path / "log" / "train" / "notes.txt").write_text("mine")
    with pytest.raises(KeyboardInterrupt):
        train(stop)
    (earlier,) = (tmp_path / "log" / "train").glob("events*")
    earlier.rename(earlier.with_name("events.out.tfevents.1.an-earlier-second.fastbp"))
    history = train()
    (tmp_path / "log" / "train" / "notes.txt").unlink()  # which was left alone
    losses = events(tmp_path / "log" / "train")["loss"]
    assert losses == [(epoch, pytest.approx(loss)) for epoch, loss in enumerate(history.loss, 1)]


def test_the_writer_of_pytorch_serves_too(tmp_path, monkeypatch):
    import tensorboardX

    monkeypatch.setitem(
        sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=tensorboardX.SummaryWriter)
    )
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    data = {"epochs": 2, "batch_size": 1, "callbacks": TensorBoard(tmp_path)}
    Network([1, 2], seed=0).fit([[0.0], [1.0]], [0, 1], **data)
    assert [path.name for path in tmp_path.iterdir()] == ["train"]


def test_without_tensorboard(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ImportError, match=r"pip install '\.\[tensorboard\]' in fastbp's source folder"):
        fresh().fit(X, LABELS, **OPTIONS, callbacks=fastbp.TensorBoard(tmp_path))
    assert live.TensorBoard is fastbp.TensorBoard
