"""Files with a right checksum and wrong values: refused by one line that names the value, or of use."""

import copy
import itertools
import os
import re

import numpy as np
import pytest

import fastbp
from command import said
from fastbp import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau, TimeLimit
from fastbp.files import container
from toy import X, fresh

REMOVED, ADDED = object(), object()
VALUES = [None, -1, 0, 1, 1.5, 10**30, "x", [], {}, True, float("nan"), float("inf"), REMOVED, ADDED]
LABELS = np.array(["cat", "dog", "eel"])[np.arange(25) % 3]
OPTIONS = {"epochs": 4, "batch_size": 4, "learning_rate": 0.05, "threads": 1}


class Stop(fastbp.Callback):
    every = 1

    def __init__(self, step):
        self.at = step

    def on_step(self, run):
        if run.step == self.at:
            raise KeyboardInterrupt


def blocks():
    for first in range(0, 25, 6):
        yield X[first : first + 6] / 4, LABELS[first : first + 6]


class Training:
    """A call of `fit` that is stopped in the midst of its third epoch, and may go on."""

    def __init__(self, path, blocks=None):
        self.path, self.blocks = path, blocks

    def __call__(self, *more):
        np.random.seed(5)  # noqa: NPY002
        net = fresh(seed=None, dropout=0.1, activation=[fastbp.LeakyReLU(0.1)], scale_inputs=not self.blocks)
        keepers = [
            EarlyStopping("loss", patience=9, restore_best_weights=True),
            ReduceLROnPlateau("loss", patience=9),
            TimeLimit(1e9),
            ModelCheckpoint(self.path.with_name("best"), monitor="loss"),
            ModelCheckpoint(self.path, every=10**9, resume=True),
        ]
        options = {**OPTIONS, "optimizer": "adam", "callbacks": [*keepers, *more]}
        if self.blocks:
            history = net.fit(self.blocks, buffer_bytes=1600, **options)
        else:
            history = net.fit(X / 4, LABELS, **options)
        return net, history


def saved(tmp_path, kind):
    """A file, and what goes on from it."""
    path = tmp_path / "net.fastbp"
    if kind == "network":
        net = fresh(scale_inputs=True, activation=[fastbp.ELU(0.5)], frozen=[0])
        net.fit(X / 4, LABELS, optimizer=fastbp.AdamW(weight_decay=0.1), **OPTIONS)
        net.save(path)
        return path, lambda: (fastbp.load(path), None)
    train = Training(path, blocks if kind == "blocks" else None)
    with pytest.raises(KeyboardInterrupt):
        train(Stop(18))
    return path, train


def places(value, place=()):
    """The place of every value in the metadata, of containers too."""
    if place:
        yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*place, key))


def changed(about, place, value):
    """The metadata with another value at a place; None where that is no change."""
    about = copy.deepcopy(about)
    holder = about
    for key in place[:-1]:
        holder = holder[key]
    there = holder[place[-1]]
    if value is REMOVED:
        del holder[place[-1]]
    elif value is ADDED:
        if isinstance(there, dict):
            there["more"] = 1
        elif isinstance(there, list):
            there.append("more")
        else:
            return None
    elif repr(there) == repr(value):
        return None
    else:
        holder[place[-1]] = value
    return about


# Where another value may be as good: the network predicts then, and its training goes on
GOOD_IN_ANY = (
    r"version|network\.(scale_(in|out)puts|input_divisor|compute_dtype)"
    r"|trained\.(masks|feature_names|target_names)"
)
GOOD_IN_NETWORK = (
    r"network\.(activation\.0\.options\.alpha|dropout|frozen|frozen\.0|uint8_divisor|seed)"
    r"|trained\.(epochs|batches|began|classes|classes\.\d|optimizer\.options\.\w+)"
)
GOOD_IN_CHECKPOINT = (
    r"training\.arguments\.(l1|l2|clip_norm|validation_split)"  # 0 for 0.0
    r"|training\.arguments\.(some samples|y and weights) \(CRC\)"
    r"|trained\.optimizer\.options\.weight_decay"  # alike
    r"|training\.position\.(factor|stopped|loss|seconds|rate|begun|told)|training\.history\.\w+\.\d|training\.notes"
    r"|training\.callbacks\.\d\.(best|wait|cooling|spent)|training\.callbacks\.5"
    r"|training\.kinds|training\.kinds\.[45]|training\.generator\.[123]"
)


@pytest.mark.survives("right checksum, wrong value")
@pytest.mark.parametrize("kind", ["network", "checkpoint", "blocks"])
def test_whatever_value_is_changed(tmp_path, monkeypatch, kind, record_property):
    """The value is refused in one line that names it and the file, or the network trains on."""
    monkeypatch.setattr(os, "fsync", lambda file: None)
    path, go_on = saved(tmp_path, kind)
    arrays, about = container.read(path)
    good = re.compile(f"{GOOD_IN_ANY}|{GOOD_IN_NETWORK if kind == 'network' else GOOD_IN_CHECKPOINT}")
    tried = 0
    for place, value in itertools.product(places(about), VALUES):
        if (other := changed(about, place, value)) is None:
            continue
        name, tried = ".".join(map(str, place)), tried + 1
        container.write(path, arrays, other)
        try:
            assert fastbp.load(path).predict(X).shape == (25,)
            net, history = go_on()
        except ValueError as error:
            message = str(error)
            assert message.startswith(f"{path}: ") and "\n" not in message, (name, value)
            assert re.search("expected .*, got |needs a later version", message), (name, value, message)
        else:
            assert good.fullmatch(name), (name, value)
            assert np.isfinite(net.parameters).all(), (name, value)
            ended = name.endswith((".stopped", ".spent"))
            assert history is None or ended or history.epochs == 4, (name, value)
    assert tried > (500 if kind == "network" else 1400)
    record_property("tried", tried)


@pytest.mark.survives("right checksum, wrong value")
@pytest.mark.parametrize("kind", ["network", "checkpoint"])
def test_info_tells_what_load_would_refuse(tmp_path, kind):
    path, _ = saved(tmp_path, kind)
    arrays, about = container.read(path)
    for place, value in itertools.product(places(about), [None, -1, REMOVED]):
        if (other := changed(about, place, value)) is None:
            continue
        container.write(path, arrays, other)
        try:
            fastbp.load(path)
            wanted = 0, []
        except ValueError as error:
            wanted = 2, [f"fastbp: error: {error}"]
        status, _, err = said("info", path)
        assert (status, err) == wanted, (place, value)
