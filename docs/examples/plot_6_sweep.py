"""
A sweep over many networks
==========================

Training holds no GIL, so threads train as many networks as there are cores, on the same arrays. The
estimators of ``fastbp.sklearn`` fit into scikit-learn's searches; joblib says where they run.
"""

import warnings

import joblib
import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV, PredefinedSplit

from fastbp.datasets import load_mnist
from fastbp.sklearn import MLPClassifier

training = load_mnist().training
X, y = training.X[:5000] / np.float32(255), training.y[:5000]
folds = PredefinedSplit(
    np.where(np.arange(5000) < 4000, -1, 0)
)  # the last fifth is held out
widths, rates = [16, 32, 64, 128], [3e-4, 1e-3, 3e-3, 1e-2]
search = GridSearchCV(
    MLPClassifier(
        batch_size=64, max_iter=8, tol=0, n_iter_no_change=8, random_state=0
    ),
    {
        "hidden_layer_sizes": [(width,) for width in widths],
        "learning_rate_init": rates,
    },
    cv=folds,
)
warnings.simplefilter(
    "ignore"
)  # of ConvergenceWarning, where max_iter ends a training
with joblib.parallel_config("threading", n_jobs=2):
    search.fit(X, y)
print(search.best_params_, f"{search.best_score_:.4f}")

# %%
figure, axes = plt.subplots(figsize=(5, 4), layout="constrained")
shares = search.cv_results_["mean_test_score"].reshape(len(widths), len(rates))
image = axes.imshow(shares, cmap="viridis", aspect="auto")
axes.set_xticks(range(len(rates)), [f"{rate:g}" for rate in rates])
axes.set_yticks(range(len(widths)), widths)
axes.set_xlabel("learning rate")
axes.set_ylabel("hidden neurons")
figure.colorbar(image, label="accuracy")

# %%
# On a cluster
# ------------
#
# Only the backend changes. With the address of a Dask scheduler, the search above trains on its workers:
#
# .. code-block:: python
#
#     from dask.distributed import Client
#
#     with Client("scheduler:8786"):
#         with joblib.parallel_config("dask", scatter=[X, y]):
#             search.fit(X, y)
#
# ``scatter`` sends the samples to the workers once, instead of with every network. What a worker was training
# when it died is trained again by another one, to the same bits.
