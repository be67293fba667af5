"""
Rare classes
============

Where one sample in thirty is of the class that matters, a network that never finds it is right 97 times in
a hundred. Balanced accuracy sees that, and weights of classes change it; the focal cost helps a little more.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split

from fastbp import Focal, Network

X, y = make_classification(
    4000, 20, n_informative=6, weights=[0.97], class_sep=0.8, random_state=0
)
X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=0)
ways = {
    "cross_entropy": ("cross_entropy", None),
    "class_weight": ("cross_entropy", "balanced"),
    "focal": (Focal(gamma=2), None),
    "both": (Focal(gamma=2), "balanced"),
}
found = {}
for way, (cost, class_weight) in ways.items():
    net = Network(
        [20, 32, 1], activation="relu", cost=cost, scale_inputs=True, seed=0
    )
    history = net.fit(
        X,
        y,
        epochs=20,
        batch_size=64,
        optimizer="adam",
        class_weight=class_weight,
        metrics="roc_auc",
        validation_split=0.2,
    )
    right = net.predict(X_test) == y_test
    found[way] = right[y_test == 1].mean(), right[y_test == 0].mean()
    auc = history["val_roc_auc"][-1]
    print(f"{way}: AUC {auc:.3f}, balanced accuracy {np.mean(found[way]):.3f}")

# %%
# Weights of classes move the decision towards the rare class. The focal cost alone does not, but its
# probabilities spread more around 0.5, so that a threshold of one's own has more to choose from.

figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
places = np.arange(len(found))
for offset, side, color in ((-0.2, 0, "#D55E00"), (0.2, 1, "#56B4E9")):
    shares = [pair[side] for pair in found.values()]
    label = "rare class found" if side == 0 else "common class right"
    axes.bar(places + offset, shares, 0.38, color=color, label=label)
axes.set_xticks(places, found)
axes.legend(loc="lower left")
