"""Commands by which anyone rebuilds fastbp and finds the bits that we found: ``python -m reproduce.NAME``."""
