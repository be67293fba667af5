"""Data: checks and converts arrays, frames, sparse rows, labels and weights for an engine."""
