"""Data: arrays, frames, sparse rows, labels and weights as an engine reads them, and every error in them."""
