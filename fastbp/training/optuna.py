"""Searches by Optuna: trials that are not promising end early."""

from typing import Any

from .run import Callback, Run


class OptunaPruning(Callback):
    """Reports a number of the history to a trial of Optuna after every epoch, and ends trials that it prunes.

    Parameters
    ----------
    trial : optuna.Trial
    monitor : str
        A name of the history; the study's direction says whether lower or higher is better.

    Raises
    ------
    optuna.TrialPruned
        Out of `fit`, where the study's pruner says so; ``study.optimize`` handles it.

    Examples
    --------
    >>> import optuna  # doctest: +SKIP
    >>> def objective(trial):  # doctest: +SKIP
    ...     rate = trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
    ...     pruning = OptunaPruning(trial, "val_loss")
    ...     return Network([8, 32, 2]).fit(X, y, learning_rate=rate, callbacks=pruning, ...).val_loss[-1]
    """

    monitor: str

    def __init__(self, trial: Any, monitor: str = "val_loss") -> None:
        self.trial, self.monitor = trial, monitor

    def on_train_begin(self, run: Run) -> None:
        for epoch in range(1, run.history.epochs + 1):  # of a training that is resumed
            self._report(run, epoch)

    def on_epoch_end(self, run: Run) -> None:
        self._report(run, run.history.epochs)

    def _report(self, run: Run, epoch: int) -> None:
        number = run.history[self.monitor][epoch - 1]
        self.trial.report(number, epoch)
        if self.trial.should_prune():
            import optuna

            raise optuna.TrialPruned(f"{self.monitor} {number:g} after epoch {epoch}")
