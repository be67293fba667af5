"""The computation: packed networks, forward passes and gradients, compiled (`kernels/`) or in NumPy."""
