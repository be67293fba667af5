"""Names of a test's parameters."""

import re


def named(value):
    """The value as text that is the same in every process."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))
