"""Training: sources of samples, the run with its epochs, callbacks, history and checkpoints."""
