"""
An autoencoder
==============

A network that gives back its inputs through two neurons finds two numbers for each sample. A slice of the
network is a network: ``net[:3]`` encodes, ``net[3:]`` decodes.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from fastbp import Network

X, y = load_digits(return_X_y=True)
net = Network(
    [64, 64, 32, 2, 32, 64, 64],
    activation=["tanh", "tanh", "linear", "tanh", "tanh"],
    output_activation="sigmoid",
    cost="cross_entropy",
    input_divisor=16,
    dtype="float32",
    seed=0,
)
history = net.fit(
    X,
    X / 16,
    epochs=60,
    batch_size=32,
    optimizer="adam",
    learning_rate=0.003,
)
encoder, decoder = net[:3], net[3:]
codes = encoder.predict(X)
print(
    f"codes {codes.shape}; cost from {history.loss[0]:.1f} to {history.loss[-1]:.1f}"
)

# %%
# The codes, coloured by digits that the network has not been told:

figure, axes = plt.subplots(figsize=(6, 4.5), layout="constrained")
points = axes.scatter(*codes.T, c=y, s=6, cmap="tab10")
figure.colorbar(points, ticks=range(10), label="digit")

# %%
# Digits above, and what two numbers tell of them below:

figure, axes = plt.subplots(2, 8, figsize=(7, 2), layout="constrained")
for i in range(8):
    axes[0, i].imshow(X[i].reshape(8, 8), cmap="gray_r")
    axes[1, i].imshow(
        decoder.predict(codes[i : i + 1]).reshape(8, 8), cmap="gray_r"
    )
for one in axes.flat:
    one.set_axis_off()
print(
    f"mean error of a pixel {16 * np.abs(net.outputs(X) - X / 16).mean():.2f} of 16"
)
