"""The border: whatever a user hands over is checked, coerced and named here, once; kernels never check.

Every input error of the package is raised in this folder and says what was given, what was expected and
where.
"""

# ruff: noqa: F403
from .arrays import *
from .book import *
from .environment import *
from .files import *
from .frames import *
from .options import *
from .own import *
from .pairs import *
from .pictures import *
from .schema import UnknownFieldError as UnknownFieldError
from .streams import *
from .weights import *
