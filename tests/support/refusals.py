"""What tests expect of a call that is refused: the error's type, and words of its message."""

import pytest


def assert_refused(call, error, *words):
    """The call raises that error, whose message holds every one of the words."""
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert str(word) in str(caught.value)
