"""``python -m bench.picture``: trains as ``fastbp train`` does and draws what was learned, for the README."""

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from fastbp import Network
from fastbp.datasets import load_mnist

TARGET = Path(__file__).parent.parent / "docs" / "digits.png"
COLUMNS = 8


def main() -> None:
    mpl.use("Agg")
    training, _, test = load_mnist()
    net = Network([784, 30, 10], input_divisor=255, dtype="float32", seed=0)
    history = net.fit(
        training.X, training.y, epochs=30, batch_size=10, learning_rate=3.0, validation_data=(test.X, test.y)
    )
    accuracy = 100 * np.array(history.validation_score)

    figure = plt.figure(figsize=(9, 3.2), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.3))
    curve = left.subplots()
    curve.plot(np.cumsum(history.seconds), accuracy, marker=".", color="#1f5fa8")
    curve.set(xlabel="seconds of training", ylabel="test accuracy (%)")
    curve.set_title(f"[784, 30, 10]: {accuracy[-1]:.2f} % in {sum(history.seconds):.1f} s", fontsize=10)
    curve.grid(alpha=0.3)

    predicted = net.predict(test.X)
    right_ones = np.flatnonzero(predicted == test.y)[: 2 * COLUMNS]
    wrong_ones = np.flatnonzero(predicted != test.y)[:COLUMNS]
    for axes, i in zip(right.subplots(3, COLUMNS).flat, [*right_ones, *wrong_ones], strict=True):
        axes.imshow(test.X[i].reshape(28, 28), cmap="gray_r")
        color = "#1f7a3a" if predicted[i] == test.y[i] else "#b3261e"
        axes.set_title(str(predicted[i]), color=color, fontsize=11, pad=2)
        axes.axis("off")
    right.suptitle("test digits and what the network reads; last row: mistakes", fontsize=9)
    figure.savefig(TARGET, dpi=130, metadata={"Software": None})
    print(f"{accuracy[-1]:.2f} % after {sum(history.seconds):.2f} s of training; drawn to {TARGET}")


if __name__ == "__main__":
    main()
