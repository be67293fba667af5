"""``network.py`` under its old name: this is `fastbp.network` itself, so that patches of it are seen."""

import sys

from .. import network
from ..network import *  # noqa: F403  for type checkers, which do not follow the next line

sys.modules[__name__] = network
