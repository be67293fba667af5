"""
The whole picture
=================

Change one weight a little and follow the change through the network: it changes one activation, that one
changes all activations of the next layer, and so on, until the cost has changed. This chapter computes that
by hand for a small network and adds up all paths that the change takes. The sum is the derivative of
:doc:`/backpropagation`, whose equations compute it in a better order.
"""

from itertools import product

import matplotlib.pyplot as plt
import numpy as np

from fastbp import Network, sigmoid, sigmoid_prime

net = Network([3, 4, 3, 2], seed=3)
x = np.array([[0.3], [0.8], [0.5]])
y = np.array([[1.0], [0.0]])
LAYER, J, K = 0, 1, 2  # net.weights[LAYER][J, K] is the weight that is changed


def forward(net):
    """Weighted inputs and activations of every layer after the inputs."""
    zs, activations, a = [], [], x
    for w, b in zip(net.weights, net.biases, strict=True):
        zs.append(w @ a + b)
        a = sigmoid(zs[-1])
        activations.append(a)
    return zs, activations


def cost(activations):
    return 0.5 * float(np.sum((activations[-1] - y) ** 2))


# %%
# The network, drawn
# ------------------
#
# The weight :math:`w^2_{jk}` leads from the third input to the second neuron of the first hidden layer.
# Lines show where a change of it goes, through the outputs to the cost :math:`C`.


def draw(axes, strengths, title):
    """Neurons as circles, weights as lines, the wider the stronger, dashed where negative."""
    place = {
        (i, n): (i, (size - 1) / 2 - n)
        for i, size in enumerate(net.sizes)
        for n in range(size)
    }
    for i, strength in enumerate(strengths):
        for (j, k), value in np.ndenumerate(strength):
            ends = np.array([place[i, k], place[i + 1, j]]).T
            axes.plot(*ends, color="0.85", lw=0.8, zorder=0)
            if value:
                color = "#D55E00" if (i, j, k) == (LAYER, J, K) else "#0072B2"
                style = "-" if value > 0 else "--"
                axes.plot(
                    *ends, style, color=color, lw=0.5 + 4 * abs(value), zorder=1
                )
    cost_place = (len(net.sizes) - 0.3, 0)
    for m, strength in enumerate(strengths[-1]):
        ends = np.array([place[len(net.sizes) - 1, m], cost_place]).T
        axes.plot(
            *ends, color="#0072B2" if strength.any() else "0.85", lw=0.8, zorder=0
        )
    middle = np.mean([place[LAYER, K], place[LAYER + 1, J]], axis=0)
    for spot, label in ((middle, r"$\Delta w$"), (cost_place, "$C$")):
        axes.text(
            *spot,
            label,
            ha="center",
            va="center",
            bbox={"fc": "white", "ec": "none", "pad": 2},
        )
    axes.scatter(
        *np.array(list(place.values())).T,
        s=380,
        c="white",
        edgecolors="0.3",
        zorder=2,
    )
    axes.set_title(title)
    axes.set_axis_off()
    axes.margins(0.08)


def reached(*others):
    """The changed weight, and these weights (layer, j, k) of later layers."""
    strengths = [np.zeros_like(w) for w in net.weights]
    for layer, j, k in ((LAYER, J, K), *others):
        strengths[layer][j, k] = 0.4
    return strengths


_, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
draw(axes[0], reached(), "a weight is changed ...")
draw(axes[1], reached((1, 0, J), (2, 1, 0)), "... one path to the cost ...")
everywhere = [(1, i, J) for i in range(3)] + [
    (2, m, i) for m in range(2) for i in range(3)
]
draw(axes[2], reached(*everywhere), "... and all of them")

# %%
# Followed step by step
# ---------------------
#
# The weight changes by :math:`\Delta w`. Its neuron's weighted input then changes by :math:`a_k \Delta w`,
# and its activation by about :math:`\sigma'(z_j) a_k \Delta w`. Each neuron of the next layer sees that
# change times the weight that leads to it, and passes it on times its own :math:`\sigma'`; a layer later,
# the changes that come from several neurons add up:
#
# .. math:: \Delta a^{l+1}_i \approx \sigma'(z^{l+1}_i) \sum_j w^{l+1}_{ij} \Delta a^l_j
#
# At the end the cost changes by about :math:`\sum_m \frac{\partial C}{\partial a^L_m} \Delta a^L_m`. So all
# changes can be predicted from the unchanged network. The prediction stands beside what is seen when the
# weight is really changed and the network computed again. Neurons are counted from 0, as in the arrays:

CHANGE = 0.01
zs, before = forward(net)
net.weights[LAYER][J, K] += CHANGE
_, after = forward(net)
net.weights[LAYER][J, K] -= CHANGE

predicted = np.zeros_like(before[0])
predicted[J] = sigmoid_prime(zs[0][J]) * x[K] * CHANGE
print("                      predicted         seen")
for layer in range(3):
    if layer:
        predicted = sigmoid_prime(zs[layer]) * (net.weights[layer] @ predicted)
    for neuron, (guess, seen) in enumerate(
        zip(predicted, after[layer] - before[layer], strict=True)
    ):
        print(
            f"layer {layer + 2}, neuron {neuron}  {guess[0]:12.8f} {seen[0]:12.8f}"
        )
change = float(np.sum((before[-1] - y) * predicted))
print(f"the cost           {change:12.8f} {cost(after) - cost(before):12.8f}")

# %%
# The sum over paths
# ------------------
#
# A path leads from the changed weight to one output, by one neuron of each layer. Along a path the change
# is multiplied at every neuron by its :math:`\sigma'` and at every connection by its weight, and at the end
# by how the cost depends on that output. Written out, for a network of this depth,
#
# .. math::
#
#     \frac{\partial C}{\partial w^2_{jk}} = \sum_{i, m} \frac{\partial C}{\partial a^4_m} \,
#     \sigma'(z^4_m) w^4_{mi} \, \sigma'(z^3_i) w^3_{ij} \, \sigma'(z^2_j) \, a^1_k
#
# There are as many paths as ways to choose a neuron of every later layer: the product of their widths. What
# a path multiplies after it has reached layer 3, ``end``, is added up by neuron of that layer too.

later = net.sizes[LAYER + 2 :]
print(f"{np.prod(later)} paths, {' times '.join(map(str, later))}")
total, ends = 0.0, np.zeros_like(before[1])
for i, m in product(*map(range, later)):
    end = (
        (before[2][m, 0] - y[m, 0])
        * sigmoid_prime(zs[2][m, 0])
        * net.weights[2][m, i]
        * sigmoid_prime(zs[1][i, 0])
    )
    path = end * net.weights[1][i, J] * sigmoid_prime(zs[0][J, 0]) * x[K, 0]
    ends[i] += end
    total += path
    print(f"by neuron {i} of layer 3 to output {m}: {path:12.8f}")
nabla_b, nabla_w = net.backprop(x, y)
by_backpropagation = nabla_w[LAYER][J, K]
print(f"the sum over all paths:             {total:12.8f}")
print(f"backpropagation:                    {by_backpropagation:12.8f}")
assert np.isclose(total, by_backpropagation, rtol=1e-12)

# %%
# They agree but for rounding. So backpropagation adds up all paths without walking any of them alone. It
# starts at the cost and keeps a single number for each neuron, :math:`\delta`, the sum over all paths from
# its weighted input to the cost. For layer 3 those are the sums of ``end``:

for i, (paths, delta) in enumerate(zip(ends, nabla_b[1], strict=True)):
    print(f"neuron {i} of layer 3: paths {paths[0]:12.8f}, error {delta[0]:12.8f}")
assert np.allclose(ends, nabla_b[1], rtol=1e-12, atol=0)

# %%
# BP2 makes the numbers of one layer from those of the next: paths that end alike share that end, and it is
# computed once. In a network of ten layers of a hundred neurons each, there are :math:`100^8` paths to the
# outputs from a weight that leads to the second layer, and BP2 adds them up with eighty thousand
# multiplications by weights.
#
# What a connection carries of the derivative is the sum over the paths through it. Divided by the whole
# derivative it is a share; dashed lines are those of the opposite sign, which take away from the sum:

arriving, shares = np.zeros_like(before[0]), reached()
arriving[J] = sigmoid_prime(zs[0][J]) * x[K]
for layer in (1, 2):
    carried = nabla_b[layer] * net.weights[layer] * arriving.T
    shares[layer] = carried / total
    arriving = sigmoid_prime(zs[layer]) * (net.weights[layer] @ arriving)
    assert np.isclose(carried.sum(), total)
    print(
        f"from layer {layer + 1} to {layer + 2}, by neuron:",
        *(f"{share:.0%}" for share in shares[layer].sum(1)),
    )
_, axes = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
draw(axes, shares, "the connections' shares in the derivative")

# %%
# How little is a little?
# -----------------------
#
# A prediction is exact only in the limit. Its error is of the order of :math:`(\Delta w)^2`, the first term
# that the derivative leaves out: a tenth of the change has a hundredth of the error. That holds until
# changes are so small that the rounding of the cost hides the error:

changes = np.logspace(-8, 0, 33)
errors = []
for step in changes:
    net.weights[LAYER][J, K] += step
    seen = cost(forward(net)[1]) - cost(before)
    net.weights[LAYER][J, K] -= step
    errors.append(abs(seen - by_backpropagation * step))
exact = changes > 1e-4
print(
    f"slope above 1e-4: {np.polyfit(np.log(changes[exact]), np.log(np.array(errors)[exact]), 1)[0]:.2f}"
)
_, axes = plt.subplots(figsize=(6, 4), layout="constrained")
axes.loglog(
    changes,
    np.maximum(errors, 1e-18),
    "o-",
    color="#0072B2",
    label="|seen - predicted|",
)
axes.loglog(
    changes,
    changes**2 * errors[-9] / changes[-9] ** 2,
    "--",
    color="0.5",
    label="slope 2",
)
axes.set_xlabel(r"$\Delta w$")
axes.set_ylabel("error of the predicted change of the cost")
axes.grid(alpha=0.3)
axes.legend()
