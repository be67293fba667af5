"""A member's walk through its share of a phase."""

from itertools import product

import numba
import pytest

from fastbp.engine.kernels import shares, team


@numba.njit
def walked(vectors, most, others, reused, cached, member):
    """The units (panel, other) of a member, in its order."""
    found = []
    mine = shares.share_of(vectors, most, others, reused, cached, member)
    for number in range(shares.PARTS):
        place = shares.begin_of(number, mine)
        for _ in range(shares.units(place)):
            found.append((place.panel, place.other))
            place = shares.after(place, mine)
    return found


@pytest.mark.parametrize("members", [1, 2, 3, 8])
@pytest.mark.parametrize("reused", [1, 500, 1000])
def test_walks_are_all_units_once_and_weigh_the_same(members, reused):
    for vectors, most, others in product((1, 2, 5, 7, 16), (1, 2), (1, 3, 11)):
        walks = [
            walked(vectors, most, others, reused, 1000, team.member_of(n, members)) for n in range(members)
        ]
        panels = -(-vectors // most)
        assert sorted(unit for walk in walks for unit in walk) == list(product(range(panels), range(others)))
        weights = [sum(min(most, vectors - panel * most) for panel, _ in walk) for walk in walks]
        assert max(weights) - min(weights) <= 2 * most
