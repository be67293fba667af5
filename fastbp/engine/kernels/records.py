"""Records of a network's sizes, codes and offsets, which Python fills and kernels read."""

import numpy as np

LAYER = np.dtype(  # one layer; an offset counts numbers in the parameters or in the scratch
    [
        ("inputs", np.int64),
        ("outputs", np.int64),
        ("activation", np.int64),  # its code (options.activations.CODES)
        ("parameter", np.float64),  # of the activation
        ("address", np.int64),  # of a user's own activation
        ("weights", np.int64),  # offset into the parameters
        ("panel", np.int64),  # numbers from one panel of weights to the next
        ("biases", np.int64),  # offset into the parameters
        ("a", np.int64),  # offset into the scratch
        ("delta", np.int64),  # offset into the scratch
        ("delta_t", np.int64),  # offset of the transposed delta; negative where no layer below needs it
        ("delta_t_panel", np.int64),  # numbers from one panel of it to the next
        ("dropout", np.float64),  # the probability that a unit is dropped
        ("frozen", np.int64),  # 1 where weights and biases stay as they are
    ]
)

PLAN = np.dtype(  # the network and its batches
    [
        ("cost", np.int64),  # its code (options.costs.code_of)
        ("parameter", np.float64),  # of the cost
        ("address", np.int64),  # of a user's own cost
        ("optimizer", np.int64),  # the code of its row, or FUSED or GRADIENT
        ("x", np.int64),  # offset of a block of inputs in the scratch
        ("x_next", np.int64),  # and of another: the two are used in turn
        ("y", np.int64),  # offset of the block's targets
        (
            "own",
            np.int64,
        ),  # numbers from a member's inputs and targets to the next's; 0: all share a block
        ("private", np.int64),  # offset of the first member's private memory
        ("private_size", np.int64),  # numbers
        ("shared", np.int64),  # offset of what the blocks of a batch share: a copy of the parameters or a
        # gradient; negative where a batch is one block
        ("rows", np.int64),  # the rows that the panels of a block have room for
        ("block", np.int64),  # the most samples of a block
        ("clip_norm", np.float64),  # the largest norm of a gradient; 0: not clipped
        ("key", np.int64),  # of dropout's masks
        ("first_trainable", np.int64),  # the lowest layer that learns
        ("cached", np.int64),  # numbers that are trusted to stay in the second-level cache
        ("listed", np.int64),  # 1 where a block of samples is lists of stored numbers (kernels.sparse)
    ]
)
FUSED = -1  # plain gradient descent, fused into the update
GRADIENT = -2  # no step: the gradient of the batch is left in `shared`

# ---------------------------------------------------------------- networks in the lanes of vectors

LANE_LAYER = np.dtype(  # one layer; offsets and strides count numbers
    [
        ("inputs", np.int64),
        ("outputs", np.int64),
        ("activation", np.int64),  # its code
        ("parameter", np.float64),  # of the activation
        ("weights", np.int64),  # offset into a group's parameters: a matrix of inputs x outputs
        ("weights_row", np.int64),  # from one row of it to the next
        ("biases", np.int64),  # offset into a group's parameters
        ("a", np.int64),  # offset into a member's scratch: a matrix of samples x outputs
        ("delta", np.int64),  # the same
        ("row", np.int64),  # from one row of both to the next
        ("frozen", np.int64),  # 1 where weights and biases stay as they are
    ]
)

LANE_PLAN = np.dtype(  # the networks and their batches; offsets are those of a member's scratch
    [
        ("cost", np.int64),  # its code
        ("parameter", np.float64),  # of the cost
        ("optimizer", np.int64),  # the code of its row, or FUSED
        ("x", np.int64),  # offset of the inputs: a lane matrix, or panels that all lanes share
        ("x_row", np.int64),  # from one sample to the next, in the matrix
        ("y", np.int64),  # offset of the targets
        ("y_row", np.int64),
        ("gathered", np.int64),  # offset of a panel of rows for each lane, before they are interleaved
        ("products", np.int64),  # offset of weighted inputs, or deltas before their derivative, while used
        ("products_row", np.int64),
        ("chains", np.int64),  # offset of the gradient of the chains that are being summed
        ("numbers", np.int64),  # offset of constants and the numbers of a step
        ("rows", np.int64),  # samples that go through all layers at once
        ("first_trainable", np.int64),  # the lowest layer that learns
        ("clips", np.int64),  # 1 where the gradient of any network is clipped
    ]
)
