"""
A regression on tabular data
============================

Columns in any units are brought to unit scale by the network itself, which is saved with what it needs for
that.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes

import fastbp
from fastbp import Network

X, y = load_diabetes(return_X_y=True, scaled=False)
order = np.random.default_rng(0).permutation(len(X))
train, test = order[:342], order[342:]

net = Network(
    [10, 16, 1],
    activation="tanh",
    output_activation="linear",
    scale_inputs=True,
    scale_outputs=True,
    seed=0,
)
history = net.fit(
    X[train],
    y[train],
    epochs=200,
    batch_size=32,
    optimizer="adam",
    l2=0.003,
    validation_split=0.2,
    callbacks=fastbp.EarlyStopping(
        "val_loss", patience=20, restore_best_weights=True
    ),
)
print(
    f"R^2 of {net.score(X[test], y[test]):.2f} on what it has never seen, {history.epochs} epochs"
)

# %%
# What is predicted, against what was measured:

predicted = net.predict(X[test])
figure, axes = plt.subplots(figsize=(4.5, 4.5), layout="constrained")
axes.scatter(y[test], predicted, s=14)
axes.plot([y.min(), y.max()], [y.min(), y.max()], color="0.5", lw=1)
axes.set_xlabel("measured")
axes.set_ylabel("predicted")

# %%
history.plot("loss", "val_loss")
