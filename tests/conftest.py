"""What tests of several subjects take as fixtures."""

import pytest

pytest.register_assert_rewrite("book_class", "experiments", "reference", "terminal", "toy")  # for messages


def pytest_addoption(parser):
    parser.addoption(
        "--full", action="store_true", help="run the tests of endurance in full, for many minutes"
    )


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    """Runs the test once per dtype of a network."""
    return request.param


@pytest.fixture
def guarded(monkeypatch):
    """Guards what the package allocates from here on; ``guarded.check()`` finds what was written outside."""
    from experiments import Guarded  # here, so that tests of the surface need none of the package's insides

    guard = Guarded()
    guard.install(monkeypatch)
    return guard
