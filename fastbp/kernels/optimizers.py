"""Optimizers: a name, and the update of one weight: (v, w, g, *state, h) -> (w, *state).

g is the gradient and h holds the numbers of the step by name; the state begins as zeros.  `v` is an operator
type, as in kernels.activations.  `h.new` and the like are 1 - rho, computed in
float64 and rounded once.
"""

from typing import Any

# Numbers of a step that every optimizer has: what gradients are multiplied by (1 / m), the factors of the
# penalties, decoupled decay, and the rate.
COMMON = ("scale", "l2", "l1", "decay", "rate")


def penalised(v: Any, w: Any, g: Any, h: Any) -> Any:
    """The mean gradient, with those of l2 w^2 / 2 and l1 |w|."""
    return v.fma(g, h.scale, v.fma(h.l2, w, h.l1 * v.sign(w)))


def sgd(v, w, g, h):
    return (v.fma(-h.rate, g, w),)


def momentum(v, w, g, m, h):
    m = v.fma(h.momentum, m, g)
    return v.fma(-h.rate, m, w), m


def nesterov(v, w, g, m, h):
    m = v.fma(h.momentum, m, g)
    return v.fma(-h.rate, v.fma(h.momentum, m, g), w), m


def rmsprop(v, w, g, s, h):
    """Hinton 2012, lecture 6e."""
    s = v.fma(h.new, g * g - s, s)
    return w - h.rate * g / (v.sqrt(s) + h.epsilon), s


def adam(v, w, g, m, s, h):
    """Kingma and Ba 2015, with both corrections of bias in h; decay as Loshchilov and Hutter 2019 have it."""
    m = v.fma(h.new_m, g - m, m)
    s = v.fma(h.new_s, g * g - s, s)
    w = v.fma(-h.decay, w, w)
    return w - h.rate * m / v.fma(v.sqrt(s), h.root, h.epsilon), m, s


def irprop(v, w, g, step, before, h):
    """iRPROP-, Igel and Huesken 2000; the first step of a weight is the rate.

    Of the gradient before only the sign is kept, or 0 after a turn: products of small gradients would be
    subnormal, which is slow, or 0.
    """
    step = v.where(step > 0, step, h.rate)
    sign = v.sign(g)
    turned = sign * before
    step = v.where(turned > 0, v.minimum(step * h.up, h.largest), step)
    step = v.where(turned < 0, v.maximum(step * h.down, h.smallest), step)
    sign = v.where(turned < 0, 0.0, sign)
    return w - sign * step, step, sign


ROWS: dict[str, tuple[Any, tuple[str, ...]]] = {  # name -> row, the names of its own numbers
    "sgd": (sgd, ()),
    "momentum": (momentum, ("momentum",)),
    "nesterov": (nesterov, ("momentum",)),
    "rmsprop": (rmsprop, ("new", "epsilon")),
    "adam": (adam, ("new_m", "new_s", "root", "epsilon")),
    "irprop": (irprop, ("up", "down", "smallest", "largest")),
}
NUMBERS = len(COMMON) + max(len(own) for _, own in ROWS.values())
CODES = {name: code for code, name in enumerate(ROWS)}


def states_of(name: str) -> int:
    """How many numbers an optimizer keeps for each weight."""
    row, _ = ROWS[name]
    return int(row.__code__.co_argcount) - 4
