"""Benchmarks: `suite` is what asv runs; the others are commands, run with ``python -m``."""
