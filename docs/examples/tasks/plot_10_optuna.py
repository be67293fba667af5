"""
A search by Optuna
==================

Optuna proposes widths, activations and rates, and ``OptunaPruning`` ends trials early that are worse than
others at the same epoch. ``pip install optuna`` installs it.
"""

import matplotlib.pyplot as plt
import numpy as np
import optuna

from fastbp import DivergenceError, Network, OptunaPruning

random = np.random.default_rng(0)
X = random.uniform(-1, 1, (1500, 8)).astype(np.float32)
y = np.sin(3 * X[:, 0]) + X[:, 1] * X[:, 2]


def objective(trial):
    net = Network(
        [8, trial.suggest_int("width", 8, 64, log=True), 1],
        activation=trial.suggest_categorical(
            "activation", ["relu", "tanh", "silu"]
        ),
        output_activation="linear",
        dtype="float32",
        seed=0,
    )
    history = net.fit(
        X,
        y,
        epochs=20,
        batch_size=32,
        optimizer="adam",
        learning_rate=trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True),
        validation_split=0.2,
        callbacks=OptunaPruning(trial, "val_loss"),
    )
    return history.val_loss[-1]


optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.create_study(
    sampler=optuna.samplers.TPESampler(seed=0),
    pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
)
study.optimize(objective, n_trials=25, catch=DivergenceError)
ended = sum(trial.state.name == "PRUNED" for trial in study.trials)
print(f"{ended} of 25 trials ended early; best {study.best_value:.4f}")
print(study.best_params)

# %%
figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
for trial in study.trials:
    steps = trial.intermediate_values
    is_best = trial.number == study.best_trial.number
    axes.plot(steps.keys(), steps.values(), color="#D55E00" if is_best else "0.75")
axes.set(yscale="log", xlabel="epoch", ylabel="val_loss")
