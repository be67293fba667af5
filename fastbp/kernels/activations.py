"""Activations: a name, and its formula over an operator type `v`: (v, z) -> (a, da/dz).

Behind `v` stands vector IR (kernels.elementary) or NumPy (plain): the row is the kernel, the plain path and
what a gradient check compares.  A third parameter is the activation's own, with its default.
"""

import math


def sigmoid(v, z):
    e = v.exp(-v.abs(z))
    a = v.where(z < 0, e, 1.0) / (1 + e)
    return a, a * (1 - a)


def tanh(v, z):
    f = v.expm1(-2 * v.abs(z))  # keeps its digits near zero
    a = v.copysign(f / (2 + f), z)
    return a, 1 - a * a


def relu(v, z):
    return v.maximum(z, 0.0), v.where(z > 0, 1.0, 0.0)


def leaky_relu(v, z, slope=0.01):
    factor = v.where(z > 0, 1.0, slope)
    return z * factor, factor


def elu(v, z, alpha=1.0):
    """Clevert et al. 2016."""
    below = alpha * v.expm1(v.minimum(z, 0.0))
    return v.where(z > 0, z, below), v.where(z > 0, 1.0, below + alpha)


def gelu(v, z):
    """Hendrycks and Gimpel 2016: z times the normal distribution function."""
    p, density = v.normal(z)
    return z * p, v.fma(z, density, p)


def gelu_tanh(v, z):
    """The approximation by a tanh, with 1 + tanh(u) = 2 sigmoid(2 u)."""
    c = 2 * math.sqrt(2 / math.pi)
    x = v.maximum(v.minimum(z, 50.0), -50.0)  # beyond, the sigmoid is 0 or 1, and a cube might overflow
    s, slope = sigmoid(v, c * x * v.fma(0.044715 * x, x, 1.0))
    return z * s, v.fma(x * slope, c * v.fma(0.134145 * x, x, 1.0), s)


def silu(v, z):
    s, slope = sigmoid(v, z)
    return z * s, v.fma(z, slope, s)


def softplus(v, z):
    """log(1 + exp(z))."""
    e = v.exp(-v.abs(z))
    return v.maximum(z, 0.0) + v.log1p(e), v.where(z < 0, e, 1.0) / (1 + e)


def exponential(v, z):
    a = v.exp(z)
    return a, a


def linear(v, z):
    return z, 1.0


ROWS = {
    row.__name__: row
    for row in (
        sigmoid,
        tanh,
        relu,
        leaky_relu,
        elu,
        gelu,
        gelu_tanh,
        silu,
        softplus,
        exponential,
        linear,
    )
}
CODES = {name: code for code, name in enumerate(ROWS)}
# A softmax takes all outputs of a sample at once, and a user's own function is called through its address:
# neither is a row.
CODES |= {name: len(CODES) + i for i, name in enumerate(("softmax", "custom"))}
