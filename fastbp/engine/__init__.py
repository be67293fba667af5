"""What computes: a network packed for the kernels, forward passes, gradients, and the same in NumPy."""
