"""Costs: a name, and the formula of one output, summed over a sample's outputs and averaged over samples.

That a cost is such a mean, and a function of the outputs (and of constants, the targets y), are the two
assumptions that backpropagation makes.  `ROWS` are (v, a, y) -> (C, dC/da), over an operator type `v` as in
kernels.activations.  `LOGITS` are (v, z, y) -> C, from the weighted input z of the output activation with
which dC/dz is simply a - y: stable where the output saturates.
"""


def quadratic(v, a, y):
    error = a - y
    return 0.5 * error * error, error


def huber(v, a, y, delta=1.0):
    """Quadratic up to an error of delta, linear beyond."""
    error = a - y
    size = v.abs(error)
    bounded = v.minimum(size, delta)
    return bounded * v.fma(-0.5, bounded, size), v.copysign(bounded, error)


def absolute(v, a, y):
    error = a - y
    return v.abs(error), v.sign(error)


def poisson(v, a, y):
    """The negative logarithm of a Poisson probability, without log(y!)."""
    return a - v.where(y > 0, y * v.log(a), 0.0), 1 - v.where(y > 0, y / a, 0.0)  # a may be 0 where y is


def sigmoid_cross_entropy(v, z, y):
    """-y log(a) - (1 - y) log(1 - a)."""
    size, miss = v.abs(z), v.where(z < 0, y, 1 - y)
    return v.where(v.abs(miss) > 0, miss * size, 0.0) + v.log1p(
        v.exp(-size)
    )  # 0 where z is infinite and right


def softmax_cross_entropy(v, z, y):
    """-y log(a), where z is the weighted input minus the logarithm of all outputs' summed exponentials."""
    return v.where(y > 0, -y * z, 0.0)


def exponential_poisson(v, z, y):
    return v.exp(z) - v.where(y > 0, y * z, 0.0)


ROWS = {row.__name__: row for row in (quadratic, huber, absolute, poisson)}
LOGITS = {
    ("cross_entropy", "sigmoid"): sigmoid_cross_entropy,
    ("cross_entropy", "softmax"): softmax_cross_entropy,
    ("poisson", "exponential"): exponential_poisson,
}
FIRST_OF_LOGITS = len(ROWS)
CUSTOM = len(ROWS) + len(LOGITS)


def code_of(cost: str, output_activation: str) -> int:
    """The number by which kernels know a cost together with the activation of the outputs."""
    if (cost, output_activation) in LOGITS:
        return FIRST_OF_LOGITS + list(LOGITS).index((cost, output_activation))
    return CUSTOM if cost == "custom" else list(ROWS).index(cost)
