"""``network.py`` under its old name: this is `fastbp.network` itself, so that patches of it are seen."""

import sys

from .. import network

sys.modules[__name__] = network
