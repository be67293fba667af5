"""`data_seed`: networks of different seeds train on the same rows in the same orders."""

import numpy as np
import pytest

from fastbp import ModelCheckpoint, Network
from fastbp.training import sources
from toy import LABELS, OPTIONS, SIZES, X, bits, fitted, fresh


def same_start(seed):
    net = fresh(seed=seed)
    net.parameters = fresh(seed=3).parameters
    return net


def test_orders_are_those_of_the_seed():
    wanted = fitted(net=same_start(7))
    assert bits(fitted(net=same_start(3), data_seed=7)) == bits(wanted)
    assert bits(fitted(net=same_start(None), data_seed=7)) == bits(wanted)
    assert bits(fitted(net=same_start(3))) != bits(wanted)


def test_held_out_rows_are_those_of_the_seed():
    histories = [
        same_start(seed).fit(X, LABELS, **OPTIONS, validation_split=0.3, data_seed=data_seed)
        for seed, data_seed in ((7, None), (3, 7), (3, None))
    ]
    assert histories[0].val_loss == histories[1].val_loss != histories[2].val_loss


def test_each_epoch_has_an_order_of_its_own(monkeypatch):
    orders, order_of = [], sources.order_of
    monkeypatch.setattr(sources, "order_of", lambda *key: orders.append(order_of(*key)) or orders[-1])
    fitted(epochs=3)
    assert len({order.tobytes() for order in orders}) == 3
    assert all(sorted(order) == [*range(len(X))] for order in orders)


def test_blocks_take_orders_of_the_seed():
    nets = [same_start(seed) for seed in (7, 3)]
    for net, data_seed in zip(nets, (None, 7), strict=True):
        net.fit([(X, LABELS)], **OPTIONS, data_seed=data_seed)
    assert bits(nets[0]) == bits(nets[1])


def test_a_training_resumes_with_the_same_seed_alone(tmp_path):
    path = tmp_path / "net.fastbp"
    first = fitted(data_seed=1 << 63, callbacks=ModelCheckpoint(path))
    more = {"callbacks": ModelCheckpoint(path, resume=True), "epochs": 5}
    with pytest.raises(ValueError, match="data_seed was 9223372036854775808, is None"):
        fitted(**more)
    resumed = fitted(**more, data_seed=1 << 63)
    assert bits(resumed) == bits(fitted(epochs=5, data_seed=1 << 63)) != bits(first)
    fitted(callbacks=ModelCheckpoint(path))
    with pytest.raises(ValueError, match="data_seed was None, is 7"):
        fitted(**more, data_seed=7)


@pytest.mark.parametrize("seed", [-1, 1 << 64, 1.5])
def test_what_is_no_seed_is_refused(seed):
    net = Network(SIZES, seed=0)
    with pytest.raises((TypeError, ValueError), match="data_seed: expected"):
        net.fit(X, LABELS, **OPTIONS, data_seed=seed)
    assert np.isfinite(net.parameters).all()
