"""
Weights from and to PyTorch
===========================

``from_torch`` takes an ``nn.Sequential`` or its state dict, whose arrays may be NumPy's, so that this page
runs without PyTorch. Here one network learns ten digits elsewhere, and its first layer serves another task.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from fastbp import Network
from fastbp.interop import from_torch

X, y = load_digits(return_X_y=True)
options = {"activation": "relu", "output_activation": "softmax", "seed": 0}
theirs = Network([64, 64, 10], cost="cross_entropy", input_divisor=16, **options)
theirs.fit(X, y, epochs=30, batch_size=32, optimizer="adam")
state = {  # as torch.load("model.pt") has it; weights are (outputs, inputs) there as here
    "0.weight": theirs.weights[0],
    "0.bias": theirs.biases[0][:, 0],
    "2.weight": theirs.weights[1],
    "2.bias": theirs.biases[1][:, 0],
}
net = from_torch(state, activation="relu", output_activation="softmax")
print(np.array_equal(net.outputs(X / 16), theirs.outputs(X)), net)

# %%
# For the other way, ``to_torch(net)`` is an ``nn.Sequential`` of the same outputs but for rounding.
#
# Few labels
# ----------
#
# Is a digit even? With 60 labels a network that keeps the first layer does better than one begun anew.

even, labelled, rest = y % 2, slice(0, 60), slice(60, None)
scores = {}
for name, first in (("anew", None), ("transferred", net)):
    new = Network(
        [64, 64, 2],
        cost="cross_entropy",
        frozen=[] if first is None else 0,
        **options,
    )
    if first is not None:
        new.weights = [first.weights[0], new.weights[1]]
        new.biases = [first.biases[0], new.biases[1]]
    new.fit(
        X[labelled] / 16,
        even[labelled],
        epochs=60,
        batch_size=20,
        optimizer="adam",
    )
    scores[name] = new.score(X[rest] / 16, even[rest])
figure, axes = plt.subplots(figsize=(4, 3), layout="constrained")
axes.bar(*zip(*scores.items(), strict=True), color=["#56B4E9", "#0072B2"])
axes.set(ylabel="accuracy", ylim=(0.5, 1))
