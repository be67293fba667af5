"""
A session in a notebook
=======================

What a network is, how its training goes, where it errs: a notebook shows the summary and the history as
tables, and ``verbose=True`` a bar.
"""

from sklearn.datasets import load_digits

import fastbp
from fastbp import Network

X, y = load_digits(return_X_y=True)
net = Network(
    [64, 64, 10],
    activation="relu",
    output_activation="softmax",
    cost="cross_entropy",
    input_divisor=16,
    seed=0,
)
print(net.summary())

# %%
history = net.fit(
    X[:1400],
    y[:1400],
    epochs=30,
    batch_size=32,
    optimizer="adam",
    validation_split=0.2,
    metrics=["accuracy", "f1_macro"],
    callbacks=fastbp.EarlyStopping(
        "val_f1_macro", patience=10, restore_best_weights=True
    ),
)
print(history)

# %%
# ``history`` is a mapping of lists, ``history.to_frame()`` a data frame, and ``history.plot()`` draws it:

history.plot("loss", "val_loss", "val_f1_macro")

# %%
# Which digits are taken for which, and the weights of the first neurons as images:

fastbp.plot.confusion_matrix(net, X[1400:], y[1400:])

# %%
fastbp.plot.weights(net, most=16)

# %%
# A second ``fit`` goes on where the first ended.

net.fit(X[:1400], y[:1400], epochs=5, batch_size=32, optimizer="adam")
print(f"accuracy {net.score(X[1400:], y[1400:]):.3f}")
