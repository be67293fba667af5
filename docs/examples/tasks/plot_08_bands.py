"""
Bands around a prediction
=========================

Two ways to learn how far measurements scatter: quantiles, one network each, with no assumption; or a mean
and a deviation from one network with the cost ``gaussian``.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastbp import Network, Quantile

random = np.random.default_rng(0)
x = random.uniform(-3, 3, 1500)
y = np.sin(x) + (0.1 + 0.15 * (x + 3) / 2) * random.standard_normal(len(x))
options = {"activation": "tanh", "output_activation": "linear", "seed": 0}
recipe = {
    "epochs": 60,
    "batch_size": 50,
    "optimizer": "adam",
    "learning_rate": 0.01,
}

ends = {}
for level in (0.1, 0.5, 0.9):
    net = Network([1, 32, 1], cost=Quantile(level), **options)
    net.fit(x[:, None], y, schedule="cosine", **recipe)
    ends[level] = net
normal = Network([1, 32, 2], cost="gaussian", **options)
normal.fit(x[:, None], y, schedule="cosine", **recipe)

# %%
# Four fifths of new measurements should lie in each band: within 1.28 deviations of a normal mean.

new = random.uniform(-3, 3, 2000)
new_y = np.sin(new) + (0.1 + 0.15 * (new + 3) / 2) * random.standard_normal(
    len(new)
)
low, high = (ends[level].predict(new[:, None]) for level in (0.1, 0.9))
mean, std = normal.predict(new[:, None], return_std=True)
print(f"between quantiles: {np.mean((low < new_y) & (new_y < high)):.3f}")
print(f"within deviations: {np.mean(np.abs(new_y - mean) < 1.2816 * std):.3f}")

# %%
grid = np.linspace(-3, 3, 200)[:, None]
mean, std = normal.predict(grid, return_std=True)
bands = {
    "quantiles": [ends[level].predict(grid) for level in (0.1, 0.5, 0.9)],
    "gaussian": [mean - 1.2816 * std, mean, mean + 1.2816 * std],
}
figure, both = plt.subplots(
    1, 2, figsize=(8, 3.2), sharey=True, layout="constrained"
)
for axes, (name, (low, middle, high)) in zip(both, bands.items(), strict=True):
    axes.plot(x, y, ".", ms=2, color="0.7")
    axes.fill_between(grid[:, 0], low, high, color="#56B4E9", alpha=0.5, lw=0)
    axes.plot(grid, middle, color="#0072B2")
    axes.set_title(name)
