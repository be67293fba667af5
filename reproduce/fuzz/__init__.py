"""Random networks, data and recipes, each trained in several ways: ``python -m reproduce.fuzz``."""
