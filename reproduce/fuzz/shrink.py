"""Makes a case that fails smaller, as long as it fails."""

import time
from collections.abc import Callable, Iterator

from .cases import Case

_SECONDS = 60
_KEPT = ("epochs", "batch_size", "learning_rate")  # which `fit` or the ways ask for
_PLAIN_X = "random(1).normal(size=(n, sizes[0]))"
_PLAIN_Y = "random(3).normal(size=(n, sizes[-1]))"


def smallest(case: Case, fails: Callable[[Case], bool]) -> Case:
    """The smallest case that fails, found by leaving out one thing after another."""
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until:
        smaller = next((each for each in _smaller(case) if each != case and fails(each)), None)
        if smaller is None:
            break
        case = smaller
    return case


def _smaller(case: Case) -> Iterator[Case]:
    """Cases with less in them, those with much less first."""
    for part in ("recipe", "network"):
        texts = getattr(case, part)
        for left in (name for name in texts if name not in _KEPT):
            yield case._replace(**{part: {name: text for name, text in texts.items() if name != left}})
    yield case._replace(X=_PLAIN_X)
    yield case._replace(y=_PLAIN_Y)
    yield from (case._replace(n=n) for n in _less(case.n))
    for name in ("epochs", "batch_size"):
        number = case.recipe[name]
        for less in _less(int(number)):
            yield case._replace(recipe=case.recipe | {name: str(less)})
    for i, size in enumerate(case.sizes):
        if 0 < i < len(case.sizes) - 1:
            yield case._replace(sizes=case.sizes[:i] + case.sizes[i + 1 :])
        yield from (
            case._replace(sizes=(*case.sizes[:i], less, *case.sizes[i + 1 :])) for less in _less(size)
        )


def _less(number: int) -> list[int]:
    return [less for less in (1, number // 2, number - 1) if 0 < less < number]
