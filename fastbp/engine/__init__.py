"""The engines: packed networks, forward passes and gradients, compiled (`kernels/`) or in NumPy."""
