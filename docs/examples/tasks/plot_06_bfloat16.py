"""
A wide network in bfloat16
==========================

``compute_dtype="bfloat16"`` rounds what products read, and keeps weights and sums in float32. Results are
the same bits on every x86-64 CPU, with matrix units or without.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastbp import Network

random = np.random.default_rng(0)
X = random.standard_normal((2000, 16), np.float32)
y = np.tanh(X[:, 0] - X[:, 1])
histories = {}
for compute_dtype in ("float32", "bfloat16"):
    net = Network(
        [16, 256, 256, 1],
        activation="relu",
        output_activation="linear",
        dtype="float32",
        compute_dtype=compute_dtype,
        seed=0,
    )
    histories[compute_dtype] = net.fit(
        X[:1600],
        y[:1600],
        epochs=5,
        batch_size=100,
        optimizer="adam",
        validation_data=(X[1600:], y[1600:]),
    )
    r2 = net.score(X[1600:], y[1600:])
    print(f"{compute_dtype}: R^2 {r2:.3f}, weights {net.dtype}")

# %%
# The curves differ no more than those of two seeds.

figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
for (name, history), color in zip(
    histories.items(), ["#0072B2", "#D55E00"], strict=True
):
    axes.plot(range(1, 6), history.val_loss, "o-", ms=3, color=color, label=name)
axes.set_xlabel("epoch")
axes.set_ylabel("val_loss")
axes.legend()
