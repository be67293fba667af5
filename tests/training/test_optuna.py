"""Trials of Optuna: what is reported, and where they end."""

import sys
from types import SimpleNamespace

import pytest

from fastbp import ModelCheckpoint, Network, OptunaPruning
from toy import LABELS, OPTIONS, X


class Trial:
    def __init__(self, ends=99):
        self.reports, self.ends = [], ends

    def report(self, number, step):
        self.reports.append((step, number))

    def should_prune(self):
        return len(self.reports) >= self.ends


class Pruned(Exception):
    pass


def trained(trial, *monitor, **options):
    callback = OptunaPruning(trial, *monitor)
    return Network([6, 9, 3], seed=3).fit(X, LABELS, **{**OPTIONS, **options}, callbacks=callback)


def test_a_trial_gets_the_numbers_of_epochs():
    trial = Trial()
    history = trained(trial, validation_split=0.2)
    assert trial.reports == list(enumerate(history.val_loss, 1))


def test_a_trial_is_pruned(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", SimpleNamespace(TrialPruned=Pruned))
    trial = Trial(ends=2)
    with pytest.raises(Pruned, match=r"loss 0\.\d+ after epoch 2"):
        trained(trial, "loss")
    assert len(trial.reports) == 2


def test_a_trial_gets_the_numbers_of_a_training_that_is_resumed(tmp_path):
    trials, trial = [Trial(), Trial()], Trial()
    for one in trials:
        keeper = ModelCheckpoint(tmp_path / "run", resume=True)
        Network([6, 9, 3], seed=3).fit(X, LABELS, **OPTIONS, callbacks=[keeper, OptunaPruning(one, "loss")])
    trained(trial, "loss")
    assert trials[0].reports == trials[1].reports == trial.reports


def test_a_number_that_is_not_there():
    with pytest.raises(ValueError, match=r"monitor: expected a name of the history.*validation_data"):
        trained(Trial())


def test_a_study():
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(pruner=optuna.pruners.ThresholdPruner(upper=1e-9))
    study.optimize(lambda trial: trained(trial, "loss").loss[-1], n_trials=2)
    assert [trial.state.name for trial in study.trials] == ["PRUNED"] * 2
    assert [list(trial.intermediate_values) for trial in study.trials] == [[1]] * 2
