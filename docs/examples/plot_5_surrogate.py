"""
A surrogate of a simulation
===========================

A network takes the place of a slow simulation, here of a damped oscillator, and gives derivatives by its
inputs as well: enough to fit the simulation's parameters to a measurement by a gradient.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastbp import Network

TIMES = np.linspace(0, 10, 40)


def simulation(frequency, damping):
    """The position over time; imagine that it took a minute."""
    return np.exp(-damping * TIMES) * np.cos(frequency * TIMES)


random = np.random.default_rng(0)
parameters = random.uniform([0.5, 0.05], [2.0, 0.5], size=(2000, 2))
curves = np.array([simulation(*pair) for pair in parameters])
net = Network(
    [2, 64, 64, len(TIMES)],
    activation="tanh",
    output_activation="linear",
    scale_inputs=True,
    dtype="float32",
    seed=0,
)
net.fit(
    parameters[:1800],
    curves[:1800],
    epochs=300,
    batch_size=32,
    optimizer="adam",
    learning_rate=0.003,
    schedule="cosine",
)
print(
    f"R^2 of {net.score(parameters[1800:], curves[1800:]):.5f} on simulations it has never seen"
)

# %%
# Which parameters made this noisy measurement? ``input_gradient`` gives the derivative of the cost by the
# inputs, so that they are found by descending from a first guess.

true = np.array([1.4, 0.2])
measured = simulation(*true) + 0.05 * random.normal(size=len(TIMES))
guess = np.array([[1.2, 0.35]])
for _ in range(400):
    guess = guess - 0.01 * net.input_gradient(guess, measured[None])
print(
    f"frequency {guess[0, 0]:.3f}, damping {guess[0, 1]:.3f}; the measurement had {true[0]} and {true[1]}"
)

# %%
figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
axes.plot(TIMES, measured, "o", ms=3, color="0.4", label="measured")
axes.plot(
    TIMES,
    net.predict(guess)[0],
    color="#0072B2",
    label="network, with the parameters found",
)
axes.set_xlabel("time")
axes.legend()
