"""
Windows of a series
===================

A network that reads the last values of a series predicts the next one. ``sliding_window_view`` makes the
windows without a copy, and the network scales them itself.
"""

import matplotlib.pyplot as plt
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from fastbp import EarlyStopping, Network

random = np.random.default_rng(0)
hours = np.arange(24 * 200)
series = (
    20 + 6 * np.sin(2 * np.pi * hours / 24) + 3 * np.sin(2 * np.pi * hours / 168)
)
series += np.convolve(0.4 * random.standard_normal(len(hours)), np.ones(6), "same")

window, ahead = 48, 12  # two days are read, half a day is predicted
X = sliding_window_view(series[:-ahead], window)
y = sliding_window_view(series[window:], ahead)
past = len(X) * 4 // 5  # train on the past, test on what came later
net = Network(
    [window, 64, ahead],
    activation="relu",
    output_activation="linear",
    scale_inputs=True,
    scale_outputs=True,
    dtype="float32",
    seed=0,
)
history = net.fit(
    X[:past],
    y[:past],
    epochs=60,
    batch_size=64,
    optimizer="adam",
    validation_split=0.1,
    callbacks=EarlyStopping(patience=5, restore_best_weights=True),
)
later, truth = X[past + window :], y[past + window :]
error = np.abs(net.predict(later) - truth).mean(axis=0)
naive = np.abs(later[:, -24 : -24 + ahead] - truth).mean(axis=0)  # as a day before
print(f"mean error {error.mean():.2f}, as a day before {naive.mean():.2f}")

# %%
figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
shown = slice(0, 24 * 4)
axes.plot(truth[shown, -1], color="0.4", label="measured")
axes.plot(
    net.predict(later[shown])[:, -1],
    color="#0072B2",
    label=f"predicted {ahead} hours before",
)
axes.set_xlabel("hour")
axes.legend()
