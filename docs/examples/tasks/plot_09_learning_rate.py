"""
Finding a learning rate
=======================

``find_learning_rate`` trains a copy for a hundred steps while the rate grows, and suggests a tenth of the
rate at which the cost was lowest. The network stays as it is.
"""

from contextlib import suppress

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from fastbp import DivergenceError, Network

X, y = load_digits(return_X_y=True)


def fresh():
    return Network(
        [64, 64, 10],
        activation="relu",
        output_activation="softmax",
        cost="cross_entropy",
        input_divisor=16,
        seed=0,
    )


recipe = {"batch_size": 32, "optimizer": "adam"}
found = fresh().find_learning_rate(X, y, **recipe)
found.plot()
print(found)

# %%
# Three epochs at rates around it:

rates = found.suggestion * np.array([0.01, 0.1, 1, 10, 100])
scores = []
for rate in rates:
    net = fresh()
    with suppress(DivergenceError):  # the last finite weights are kept
        net.fit(X[:1400], y[:1400], epochs=3, learning_rate=rate, **recipe)
    scores.append(net.score(X[1400:], y[1400:]))
figure, axes = plt.subplots(figsize=(5, 3), layout="constrained")
axes.plot(rates, scores, "o-", color="#0072B2")
axes.axvline(found.suggestion, color="#D55E00", ls="--")
axes.set_xscale("log")
axes.set_xlabel("learning rate")
axes.set_ylabel("accuracy after 3 epochs")
