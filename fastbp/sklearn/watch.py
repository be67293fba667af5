"""scikit-learn's rules between epochs: the loss curve, when to stop, the learning rate, what is printed."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..training.run import Callback, Run

_SLOWEST = 1e-6  # learning rate at which "adaptive" ends


@dataclass
class Watch(Callback):
    """The rules for one training of an estimator, whose fitted attributes it keeps up to date."""

    estimator: Any
    penalty: float  # per half the sum of squared weights, in the loss
    early: bool  # whether the validation score decides when to stop
    is_partial: bool  # whether this is a single epoch of `partial_fit`
    best: tuple[list[np.ndarray], list[np.ndarray]] | None = None  # weights and biases of the best score

    def on_train_begin(self, run: Run) -> None:
        run.rate_factor = self.estimator._rate_factor

    def on_epoch_end(self, run: Run) -> None:
        fitted = self.estimator
        loss = run.history.loss[-1] / fitted._outputs_in_loss + fitted._loss_of_targets
        if self.penalty:
            loss += 0.5 * self.penalty * sum(float(np.vdot(w, w)) for w in run.kept().weights)
        self._append(loss, 1 if self.is_partial else len(run.history.loss))
        fitted.t_ += run.samples
        if self.early:
            self._take_score(run.history.validation_score[-1], run)
        else:
            self._wait(loss > fitted.best_loss_ - fitted.tol)
            fitted.best_loss_ = min(loss, fitted.best_loss_)
        self._adapt(run)
        fitted._rate_factor = run.rate_factor

    def end_diverged(self) -> None:
        """Counts the epoch in which training diverged, whose loss and score are NaN."""
        self._append(math.nan, self.estimator.n_iter_ + 1)
        self.estimator.validation_scores_.append(math.nan)

    def _append(self, loss: float, epoch: int) -> None:
        fitted = self.estimator
        fitted.loss_ = loss
        fitted.loss_curve_.append(loss)
        fitted.n_iter_ = epoch
        self._print(f"Iteration {epoch}, loss = {loss:.8f}")

    def _take_score(self, score: float, run: Run) -> None:
        fitted = self.estimator
        fitted.validation_scores_.append(score)
        self._print(f"Validation score: {score:f}")
        self._wait(score < fitted.best_validation_score_ + fitted.tol)
        if score > fitted.best_validation_score_:
            fitted.best_validation_score_ = score
            net = run.kept()
            self.best = [w.copy() for w in net.weights], [b.copy() for b in net.biases]

    def _wait(self, without_gain: bool) -> None:
        self.estimator._waits = self.estimator._waits + 1 if without_gain else 0

    def _adapt(self, run: Run) -> None:
        """Sets the learning rate after an epoch; ends the training when the loss no longer improves."""
        fitted = self.estimator
        rule = fitted.learning_rate if fitted.solver == "sgd" else "constant"
        if rule == "invscaling":
            run.rate_factor = (fitted.t_ + 1) ** -fitted.power_t
        if fitted._waits > fitted.n_iter_no_change:
            what = "Validation score" if self.early else "Training loss"
            epochs = f"{fitted.n_iter_no_change:g} consecutive epochs"
            why = f"{what} did not improve more than tol={fitted.tol:f} for {epochs}."
            if rule == "adaptive" and fitted.learning_rate_init * run.rate_factor > _SLOWEST:
                run.rate_factor /= 5
                fitted._waits = 0
                self._print(f"{why} Setting learning rate to {fitted.learning_rate_init * run.rate_factor:f}")
            elif not self.is_partial:
                run.stop(why)
                self._print(f"{why}{' Learning rate too small.' * (rule == 'adaptive')} Stopping.")

    def _print(self, line: str) -> None:
        if self.estimator.verbose:
            print(line)
