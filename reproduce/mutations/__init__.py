"""Deliberate faults, each of which a test must catch: ``python -m reproduce.mutations``."""
