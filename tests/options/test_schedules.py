"""Schedules: against formulas of libm, in pieces to the bit, and what they refuse."""

import hashlib
import math
from itertools import pairwise

import numpy as np
import pytest

import fastbp.options.schedules
from fastbp.options.schedules import SCHEDULES, Constant, Cosine, Exponential, OneCycle, Step, rates_of

RATE = 0.3
STEPS = 1000


def half_cosine(t):
    return (1 + math.cos(math.pi * t)) / 2


def one_cycle(t, rise=0.3, start=1 / 25, final=1e-4):
    if t < rise:
        return start + (1 - start) * half_cosine(1 - t / rise)
    return final + (1 - final) * half_cosine((t - rise) / (1 - rise))


# The rate of step i of a first call of STEPS, divided by the learning rate
CASES = {
    Constant(): lambda i: 1.0,
    Constant(warmup=30): lambda i: min((i + 1) / 30, 1),
    Step(): lambda i: 0.1 ** (3 * i // STEPS),
    Step(factor=0.5, warmup=100): lambda i: (i + 1) / 100 if i < 100 else 0.5 ** (3 * (i - 100) // 900),
    Step(70, factor=0.7): lambda i: 0.7 ** (i // 70),
    Step(70, warmup=10): lambda i: (i + 1) / 10 if i < 10 else 0.1 ** ((i - 10) // 70),
    Exponential(): lambda i: 0.01 ** (i / STEPS),
    Exponential(every=10, warmup=50): lambda i: (
        (i + 1) / 50 if i < 50 else 0.01 ** (10 * ((i - 50) // 10) / 950)
    ),
    Exponential(0.99): lambda i: 0.99**i,
    Exponential(1.01, every=3, warmup=7): lambda i: (i + 1) / 7 if i < 7 else 1.01 ** ((i - 7) // 3),
    Cosine(): lambda i: half_cosine(i / STEPS),
    Cosine(final=0.1, warmup=100): lambda i: (
        (i + 1) / 100 if i < 100 else 0.1 + 0.9 * half_cosine((i - 100) / 900)
    ),
    Cosine(steps=600): lambda i: half_cosine(min(i / 600, 1)),
    Cosine(steps=600, warmup=100): lambda i: (
        (i + 1) / 100 if i < 100 else half_cosine(min((i - 100) / 500, 1))
    ),
    OneCycle(): lambda i: one_cycle(i / STEPS),
    OneCycle(rise=0.6, start=0, final=0.5, steps=800): lambda i: one_cycle(min(i / 800, 1), 0.6, 0, 0.5),
}
schedules = pytest.mark.parametrize("schedule", CASES, ids=repr)


def first_call(schedule):
    return rates_of(schedule, RATE, 0, STEPS, 0, STEPS)


@schedules
def test_rates_against_the_formula(schedule):
    expected = [RATE * CASES[schedule](i) for i in range(STEPS)]
    np.testing.assert_allclose(first_call(schedule), expected, rtol=1e-12, atol=1e-16)


@pytest.mark.sampled
@schedules
@pytest.mark.parametrize("begin", [0, 40, 5000])
def test_the_same_bits_in_pieces(schedule, begin):
    end = begin + STEPS
    whole = rates_of(schedule, RATE, begin, STEPS, begin, end)
    for size in (1, 7, 256):
        cuts = [*range(begin, end, size), end]
        pieces = [rates_of(schedule, RATE, i, j - i, begin, end) for i, j in pairwise(cuts)]
        assert np.concatenate(pieces).tobytes() == whole.tobytes()


def test_bits_are_fixed():
    hashed = hashlib.sha256()
    for schedule in CASES:
        hashed.update(first_call(schedule).astype("<f8").tobytes())
    assert hashed.hexdigest()[:16] == DIGEST


DIGEST = "17806ed6fec6afb5"


@schedules
def test_the_full_rate_is_reached_exactly(schedule):
    at = {OneCycle: 300 if schedule == OneCycle() else 480}.get(type(schedule), schedule.warmup)
    assert first_call(schedule)[at] == RATE


@pytest.mark.parametrize("schedule", [Cosine(final=0.2, steps=100), OneCycle(final=0.2, steps=100)], ids=repr)
def test_a_schedule_stays_where_it_ended(schedule):
    assert (rates_of(schedule, RATE, 100, 50, 90, 150) == RATE * 0.2).all()


# ---------------------------------------------------------------- several calls


@pytest.mark.parametrize(
    "schedule",
    [Constant(30), Step(70, warmup=10), Exponential(0.99, warmup=10), Cosine(steps=600), OneCycle(steps=600)],
    ids=repr,
)
def test_a_second_call_goes_on(schedule):
    calls = [rates_of(schedule, RATE, i, 100, i, i + 100) for i in range(0, STEPS, 100)]
    assert np.concatenate(calls).tobytes() == first_call(schedule).tobytes()


@pytest.mark.parametrize("schedule", [Step(), Exponential(), Cosine(), OneCycle()], ids=repr)
def test_a_second_call_begins_anew_where_the_call_is_the_end(schedule):
    assert rates_of(schedule, RATE, 500, STEPS, 500, 500 + STEPS).tobytes() == first_call(schedule).tobytes()


@pytest.mark.parametrize("kind", [Step, Exponential, Cosine])
def test_a_call_may_end_within_the_warm_up(kind):
    schedule = kind(warmup=100)
    rising = [RATE * (i + 1) / 100 for i in range(100)]
    np.testing.assert_allclose(rates_of(schedule, RATE, 0, 60, 0, 60), rising[:60])
    second = rates_of(schedule, RATE, 60, 90, 60, 150)
    np.testing.assert_allclose(second[:40], rising[60:])
    after = rates_of(kind(), RATE, 0, 50, 0, 50)
    assert second[40:].tobytes() == after.tobytes()


def test_no_steps():
    for schedule in (*CASES, lambda step: 0.1):
        assert rates_of(schedule, RATE, 5, 0, 5, 5).shape == (0,)


# ---------------------------------------------------------------- names, callables, options


def test_names():
    assert list(SCHEDULES) == ["constant", "step", "exponential", "cosine", "one_cycle"]
    for make in SCHEDULES.values():
        assert first_call(make()).shape == (STEPS,)


@schedules
def test_prints_as_it_is_written(schedule):
    assert eval(repr(schedule), vars(fastbp.options.schedules)) == schedule


def test_options_are_kept_as_plain_numbers():
    schedule = Step(np.int64(5), factor=np.float32(0.5), warmup=np.uint8(3))
    assert repr(schedule) == "Step(every=5, factor=0.5, warmup=3)"
    with pytest.raises(AttributeError):
        schedule.every = 6


def test_a_callable_gives_the_rate_itself():
    rates = rates_of(lambda step: np.float32(1 / (1 + step)), RATE, 2, 3, 0, 10)
    assert rates.dtype == np.float64
    np.testing.assert_allclose(rates, [1 / 3, 1 / 4, 1 / 5], rtol=1e-7)


@pytest.mark.parametrize(
    ("schedule", "error", "message"),
    [
        (lambda step: math.nan, ValueError, "schedule at step 4: .* finite rate of at least 0, got nan"),
        (lambda step: 6.0 - step, ValueError, "schedule at step 7: .* at least 0, got -1.0"),
        (lambda step: math.inf, ValueError, "schedule at step 4: .* got inf"),
        (lambda step: None if step == 6 else 1, TypeError, "schedule at step 6: expected a number, got None"),
        (lambda step: "fast", TypeError, "schedule at step 4: expected a number, got 'fast'"),
        (Exponential(1e100), ValueError, "schedule at step 4: .* got inf"),
        (Exponential(1e77), ValueError, "schedule at step 5: .* got inf"),
    ],
)
def test_impossible_rates(schedule, error, message):
    with pytest.raises(error, match=message):
        rates_of(schedule, RATE, 4, 5, 0, 10)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Constant(-1), ValueError, r"Constant\.warmup: expected at least 0, got -1"),
        (lambda: Constant(None), TypeError, r"Constant\.warmup: expected an integer, got None"),
        (lambda: Step(0), ValueError, r"Step\.every: expected at least 1, got 0"),
        (lambda: Step(2.5), TypeError, r"Step\.every: expected an integer, got 2\.5"),
        (lambda: Step(5, factor=0), ValueError, r"Step\.factor: expected a finite number above 0"),
        (lambda: Exponential(math.nan), ValueError, r"Exponential\.factor: expected a finite number above 0"),
        (lambda: Cosine(final=1.5), ValueError, r"Cosine\.final: expected a number from 0 to 1"),
        (lambda: Cosine(final="low"), TypeError, r"Cosine\.final: expected a number, got 'low'"),
        (
            lambda: Cosine(steps=5, warmup=5),
            ValueError,
            r"Cosine\.steps: expected more than warmup, 5, got 5",
        ),
        (lambda: OneCycle(steps=0), ValueError, r"OneCycle\.steps: expected at least 1, got 0"),
        (lambda: OneCycle(rise=1), ValueError, r"OneCycle\.rise: expected a number above 0 and below 1"),
        (lambda: OneCycle(start=-0.1), ValueError, r"OneCycle\.start: expected a number from 0 to 1"),
        (lambda: OneCycle(final=math.nan), ValueError, r"OneCycle\.final: expected a number from 0 to 1"),
    ],
)
def test_impossible_options(make, error, message):
    with pytest.raises(error, match=message):
        make()
