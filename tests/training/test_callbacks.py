"""Callbacks, and the lines of `verbose`."""

import numpy as np
import pytest

from toy import LABELS, OPTIONS, SIZES, X, bits, fitted, fresh


@pytest.mark.parametrize("stop", [True, np.True_])
def test_a_callback_stops_training(stop):
    def callback(net, history):
        return stop if len(history.loss) == 2 else None

    net = fresh()
    history = net.fit(X, LABELS, callbacks=[callback], **{**OPTIONS, "epochs": 9})
    assert len(history.loss) == len(history.seconds) == 2
    assert bits(net) == bits(fitted(epochs=2))


def test_callbacks_that_return_something_else_do_not_stop():
    history = fresh().fit(X, LABELS, callbacks=[lambda *_: 1, lambda *_: "yes", lambda *_: False], **OPTIONS)
    assert len(history.loss) == 3


def test_every_callback_is_called_in_order_with_the_network():
    calls, net = [], fresh()
    callbacks = [
        lambda given, history: calls.append((1, given is net, len(history.loss))) or True,
        lambda given, history: calls.append((2, given is net, len(history.loss))),
    ]
    net.fit(X, LABELS, callbacks=callbacks, **OPTIONS)
    assert calls == [(1, True, 1), (2, True, 1)]


def halve(net, history=None):
    net.weights = [w / 2 for w in net.weights]
    net.biases[0][:] += 1


def test_a_callback_edits_the_weights():
    expected = fresh()
    for _ in range(3):
        halve(fitted(net=expected, epochs=1))
    assert bits(fitted(callbacks=[halve])) == bits(expected)


@pytest.mark.survives("failing callback")
@pytest.mark.parametrize("layer", [0, 1])
def test_a_callback_that_changes_shapes_is_refused(layer):
    def callback(net, history):
        net.weights[layer] = np.ones((20, SIZES[layer]))
        net.biases[layer] = np.ones((20, 1))

    net = fresh()
    with pytest.raises(ValueError, match="weights"):
        fitted(net=net, callbacks=[callback])
    assert bits(net) == bits(fitted(epochs=1))


@pytest.mark.survives("failing callback")
@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError, SystemExit])
def test_a_callback_raises(error):
    def callback(net, history):
        if len(history.loss) == 2:
            raise error("here")

    net = fresh()
    with pytest.raises(error, match="here"):
        fitted(net=net, callbacks=[callback])
    assert bits(net) == bits(fitted(epochs=2))
    assert bits(fitted(net=net, epochs=1)) == bits(fitted(epochs=3))


def test_verbose_prints_a_line_an_epoch(capsys):
    fitted(verbose=True, validation_data=(X, LABELS))
    said = capsys.readouterr().out.splitlines()
    lines = [line for line in said if not line.startswith("note: ")]
    assert len(lines) == 3
    for number, line in enumerate(lines, 1):
        for word in (f"{number}/3", "loss", "validation", "samples/s"):
            assert word in line
    fitted()
    assert capsys.readouterr().out == ""
