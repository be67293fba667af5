"""
Averages of weights
===================

At a constant learning rate the weights keep jumping about a minimum, and their average lies nearer to it.
``AverageWeights`` leaves the network with that average, in place of a schedule that has to know its end.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastbp import AverageWeights, Network

random = np.random.default_rng(0)
X = random.uniform(-1, 1, (2000, 8)).astype(np.float32)
y = np.sin(3 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.3 * random.standard_normal(2000)
X_test = random.uniform(-1, 1, (3000, 8)).astype(np.float32)
y_test = np.sin(3 * X_test[:, 0]) + X_test[:, 1] * X_test[:, 2]
epochs = np.arange(4, 29, 6)
ways = {
    "constant": {},
    "averaged": {"callbacks": AverageWeights(0.99)},
    "cosine": {"schedule": "cosine"},
}
scores = {}
for way, options in ways.items():
    scores[way] = []
    for count in epochs:
        net = Network(
            [8, 64, 1],
            activation="relu",
            output_activation="linear",
            dtype="float32",
            seed=0,
        )
        net.fit(
            X,
            y,
            epochs=int(count),
            batch_size=32,
            optimizer="adam",
            learning_rate=0.01,
            **options,
        )
        scores[way].append(1 - net.score(X_test, y_test))
    print(f"{way}: 1 - R^2 of {scores[way][-1]:.4f} after {epochs[-1]} epochs")

# %%
# Each point is a training of its own that ends there.

figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
for (way, values), color in zip(
    scores.items(), ["0.6", "#0072B2", "#D55E00"], strict=True
):
    axes.plot(epochs, values, "o-", ms=3, color=color, label=way)
axes.set_xlabel("epochs")
axes.set_ylabel("1 - R^2 on noiseless test data")
axes.legend()
