"""Records of a network's sizes, codes and offsets, which Python fills and kernels read."""

import numpy as np

# Of a layer: sizes; the activation, its parameter and the address of a user's own; offsets into the
# parameters (weights, biases) and into the scratch (a, delta, and delta_t, the delta transposed, negative
# where no layer below asks for it); the numbers from one panel of weights to the next; the rate of dropout.
LAYER = np.dtype(
    [
        ("inputs", np.int64),
        ("outputs", np.int64),
        ("activation", np.int64),
        ("parameter", np.float64),
        ("address", np.int64),
        ("weights", np.int64),
        ("panel", np.int64),
        ("biases", np.int64),
        ("a", np.int64),
        ("delta", np.int64),
        ("delta_t", np.int64),
        ("dropout", np.float64),
        ("frozen", np.int64),
    ]
)

# Of the network: the cost, its parameter and the address of a user's own; the optimizer; offsets into the
# scratch (two blocks of inputs, taken in turn, and the targets; from a member's own of these to the next
# member's, or 0 where all share them; the first member's private memory, and what the blocks of a batch
# share: a copy of the parameters or a gradient, negative where there is none); the size of a member's memory;
# the rows that a block has room for, and its samples; the norm to which gradients are clipped, or 0; the key
# of dropout's masks; the first layer that learns; the numbers that the second-level cache is trusted to keep;
# 1 where a block of samples is lists of what it stores (kernels.sparse), else 0.
PLAN = np.dtype(
    [
        ("cost", np.int64),
        ("parameter", np.float64),
        ("address", np.int64),
        ("optimizer", np.int64),
        ("x", np.int64),
        ("x_next", np.int64),
        ("y", np.int64),
        ("own", np.int64),
        ("private", np.int64),
        ("private_size", np.int64),
        ("shared", np.int64),
        ("rows", np.int64),
        ("block", np.int64),
        ("clip_norm", np.float64),
        ("key", np.int64),
        ("first_trainable", np.int64),
        ("cached", np.int64),
        ("listed", np.int64),
    ]
)
# Instead of an optimizer: plain gradient descent, fused into the update; or nothing but the gradient.
FUSED, GRADIENT = -1, -2
