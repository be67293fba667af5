"""
Why backpropagation is efficient
================================

:doc:`/backpropagation` has the equations. This chapter asks what they save. It computes the same gradient
in two ways, by one changed forward pass per weight and by one backward pass, over networks from a hundred
weights to a million, and compares the seconds.

The obvious way
---------------

A derivative says how much the cost changes when a weight does. So change one weight by a little
:math:`\\epsilon`, run the network again, and see how the cost has changed:

.. math:: \\frac{\\partial C}{\\partial w} \\approx \\frac{C(w + \\epsilon e) - C(w)}{\\epsilon}

where :math:`e` is 1 for this weight and 0 for all others. It needs no calculus, it works for any cost, and
it is easy to get right. But every weight takes a forward pass of its own: a network of a million weights
takes a million and one of them for a single gradient.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

from fastbp import Network

SAMPLES = 1000
random = np.random.default_rng(0)


def network(width):
    """Two hidden layers; the cost is the quadratic one."""
    net = Network([width, width, width, 4], init="glorot_uniform", seed=0)
    return net, random.normal(size=(SAMPLES, width)), random.random((SAMPLES, 4))


def cost(net, X, y):
    """One forward pass for all samples."""
    return 0.5 * np.mean(np.sum((net.outputs(X) - y) ** 2, axis=1))


def by_differences(net, X, y, places, epsilon=1e-6):
    """The derivatives by some of the parameters, each by a forward pass of its own."""
    parameters, before = net.parameters, cost(net, X, y)
    found = []
    for place in places:
        changed = parameters.copy()
        changed[place] += epsilon
        net.parameters = changed
        found.append((cost(net, X, y) - before) / epsilon)
    net.parameters = parameters
    return np.array(found)


# %%
# Both give the same gradient. For a network small enough to change every weight:

net, X, y = network(6)
_, gradient = net.value_and_gradient(X, y)
differences = by_differences(net, X, y, range(len(gradient)))
print(
    f"{len(gradient)} parameters, the largest derivative is {np.abs(gradient).max():.4f}"
)
print(
    f"the two gradients differ by {np.abs(gradient - differences).max():.1e} at most"
)
assert np.allclose(gradient, differences, atol=1e-5)

# %%
# The seconds of each
# -------------------
#
# A larger network is not changed in all its weights here: thirty of them, drawn at random, are changed, and
# the seconds of one pass are multiplied by the number of passes, which is that of the parameters and one for
# the unchanged network. So the seconds by differences of all but the smallest networks are estimates.
# Backpropagation is timed as it is, with the forward pass that it needs; the last column says how many
# forward passes take as long. Each time is the best of two or more.


def best_of(times, function, *arguments):
    """Seconds of the fastest call."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        function(*arguments)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


CHANGED = 30
parameters, obvious, backward = [], [], []
print("parameters   differences     backprop       ratio  in forward passes")
for width in (6, 16, 48, 150, 400, 700):
    net, X, y = network(width)
    places = random.integers(net.parameters.size, size=CHANGED)
    parameters.append(net.parameters.size)
    one_pass = best_of(2, by_differences, net, X, y, places) / (CHANGED + 1)
    obvious.append(one_pass * (parameters[-1] + 1))
    backward.append(best_of(7, net.value_and_gradient, X, y))
    forward = best_of(7, cost, net, X, y)
    print(
        f"{parameters[-1]:>10,}  {obvious[-1]:10.3f} s  {backward[-1]:9.5f} s  "
        f"{obvious[-1] / backward[-1]:10,.0f}  {backward[-1] / forward:17.1f}"
    )

# %%
# On logarithmic axes a time that grows like a power of the number of parameters is a straight line, and its
# slope is that power. It is fitted to the three largest networks, for the smaller ones spend much of their
# time on being called.


def slope(seconds):
    return np.polyfit(np.log(parameters[3:]), np.log(seconds[3:]), 1)[0]


_, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
for seconds, label, color in (
    (obvious, "one changed forward pass per weight", "#D55E00"),
    (backward, "backpropagation", "#0072B2"),
):
    axes.loglog(
        parameters,
        seconds,
        "o-",
        color=color,
        label=f"{label}: slope {slope(seconds):.2f}",
    )
axes.set_xlabel("parameters")
axes.set_ylabel(f"seconds per gradient of {SAMPLES} samples")
axes.grid(alpha=0.3)
axes.legend()
print(
    f"slopes: {slope(obvious):.2f} by differences, {slope(backward):.2f} by backpropagation"
)

# %%
# Why the slopes are 2 and 1
# --------------------------
#
# Count what a processor does for one sample. In a forward pass every weight is multiplied by an activation
# and added to a sum: 2 operations per weight. The obvious way makes as many passes as there are weights, so
# :math:`n` weights take about :math:`2 n^2` operations: the slope is 2.
#
# A backward pass uses every weight twice. BP2 multiplies it by an error and adds that to a sum, which
# carries the error to the layer below; BP4 multiplies an activation by an error, which is the weight's
# derivative, and adds it up over samples. That makes 4 operations per weight, and 6 with the forward pass
# before it. So the whole gradient takes about the time of **three forward passes**, however many weights
# there are: :math:`6 n` operations, and a slope of 1. The first matrix of weights needs no BP2, for no error
# of the inputs is wanted. In the larger ones of these networks it holds about half of the weights, which
# makes 5 operations per weight, or 2.5 forward passes. The last column above is what was measured.
#
# The measured slopes tend to be a little lower, for weights are not all that takes time. Activation
# functions are computed once per neuron, and a network of the same depth with a hundred times the weights has
# only ten times the neurons. Besides, smaller products of matrices use the processor less well.
#
# What is shared
# --------------
#
# The obvious way computes everything anew for every weight, though almost all of it is the same each time.
# A changed weight of one layer leaves all layers before it as they were, and what comes after the neuron
# that it leads to does not depend on which of the neuron's weights was changed.
#
# The error :math:`\delta^l_j` is what all these computations have in common: how the cost depends on
# everything that comes after the weighted input of neuron j. It is computed once per neuron instead of once
# per weight, and BP2 computes those of a whole layer from those of the next one, instead of following each
# of them to the end. What is left to do for a single weight is one multiplication, BP4.
#
# Going backward matters. The same chain rule may be applied from the inputs to the outputs, and then gives
# how *all* activations depend on *one* weight; this takes a pass per weight again. A network has many
# weights and a single cost, and starting at the cost gives how one cost depends on all weights, in one
# pass.
