"""
Uncertainty, and a sweep of networks
====================================

An ensemble trains many small networks together. Where they have seen no data they disagree, and their
deviation is a measure of what a prediction is worth: for a surrogate of a simulation, or a model of a sensor.
"""

from statistics import NormalDist

import matplotlib.pyplot as plt
import numpy as np

from fastbp import Adam, EarlyStopping, Ensemble

random = np.random.default_rng(0)
x = np.concatenate([random.uniform(-3, -0.5, 60), random.uniform(1, 2.5, 60)])
noise = 0.1
y = np.sin(2 * x) + noise * random.standard_normal(len(x))
ensemble = Ensemble(
    32,
    [1, 32, 32, 1],
    activation="tanh",
    output_activation="linear",
    dtype="float32",
    seed=0,
)
bootstraps = [
    np.bincount(random.integers(0, len(x), len(x)), minlength=len(x))
    for _ in range(32)
]
ensemble.fit(
    x[:, None],
    y,
    epochs=400,
    batch_size=20,
    optimizer="adam",
    learning_rate=0.005,
    sample_weight=bootstraps,
)
grid = np.linspace(-4, 4, 400)
mean, std = ensemble.predict(grid[:, None], return_std=True)

# %%
# The band is narrow where there are data and wide where there are none.

figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
axes.fill_between(
    grid, mean - 2 * std, mean + 2 * std, color="#56B4E9", alpha=0.4, lw=0
)
axes.plot(grid, mean, color="#0072B2", label="mean, and two deviations")
axes.plot(grid, np.sin(2 * grid), "--", color="0.4", lw=1, label="truth")
axes.plot(x, y, "o", ms=3, color="#D55E00", label="data")
axes.set_ylim(-3, 3)
axes.legend(loc="lower right")

# %%
# Are the bands right?
# --------------------
#
# A band should hold the share of new measurements that it promises. It needs the noise of a measurement as
# well, here that of the residuals of held-out data. Each share is drawn over the one that a normal
# distribution promises; on the diagonal both agree, and below it the bands are too narrow. Residuals contain
# the error of the networks as well, so that the bands with noise are a little too wide.

new_x = np.concatenate(
    [random.uniform(-3, -0.5, 500), random.uniform(1, 2.5, 500)]
)
new_y = np.sin(2 * new_x) + noise * random.standard_normal(1000)
mean, std = ensemble.predict(new_x[:, None], return_std=True)
residual = np.std(new_y[::2] - mean[::2])  # of one half, to measure on the other
promised = np.linspace(0.05, 0.95, 19)
widths = [NormalDist().inv_cdf((1 + share) / 2) for share in promised]
off = np.abs(new_y - mean)[1::2]
figure, axes = plt.subplots(figsize=(4, 4), layout="constrained")
axes.plot([0, 1], [0, 1], color="0.7", lw=1)
for deviation, color, label in (
    (std[1::2], "#D55E00", "networks alone"),
    (np.hypot(std[1::2], residual), "#0072B2", "networks and noise"),
):
    held = [np.mean(off <= width * deviation) for width in widths]
    axes.plot(promised, held, "o-", ms=3, color=color, label=label)
axes.set_xlabel("share promised")
axes.set_ylabel("share of new measurements in the band")
axes.legend()

# %%
# A sweep of 256 networks
# -----------------------
#
# Networks of an ensemble may differ in all their numbers. Here 16 learning rates meet 16 values of Adam's
# ``beta_1``, on one order of the samples, and each network stops when it no longer improves.

samples = random.uniform(-1, 1, (2000, 4)).astype(np.float32)
values = np.sin(3 * samples[:, 0]) * samples[:, 1] + samples[:, 2] ** 2
rates, betas = np.geomspace(1e-4, 0.3, 16), np.linspace(0, 0.99, 16)
sweep = Ensemble(
    256,
    [4, 16, 16, 1],
    activation="tanh",
    output_activation="linear",
    dtype="float32",
    seed=[0] * 256,
)
history = sweep.fit(
    samples[:1600],
    values[:1600],
    epochs=40,
    batch_size=64,
    optimizer=[Adam(beta_1=beta) for beta in np.repeat(betas, 16)],
    learning_rate=np.tile(rates, 16),
    data_seed=0,
    validation_data=(samples[1600:], values[1600:]),
    callbacks=EarlyStopping(patience=5, restore_best_weights=True),
)
scores = sweep.scores(samples[1600:], values[1600:])
best = sweep[int(np.argmax(scores))]
print(
    f"R^2 of {scores.max():.4f}, epochs from {history.trained_epochs.min()} to {history.epochs}"
)

# %%
figure, axes = plt.subplots(figsize=(5, 4), layout="constrained")
image = axes.pcolormesh(
    rates, betas, scores.reshape(16, 16), vmin=0, vmax=1, cmap="viridis"
)
axes.set_xscale("log")
axes.set_xlabel("learning rate")
axes.set_ylabel("beta_1")
figure.colorbar(image, label="R^2")
