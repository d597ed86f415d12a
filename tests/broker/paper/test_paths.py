"""Paths: exact at every level, continuous, as lively as they claim to be, and correlated through their factors."""

from __future__ import annotations

from itertools import pairwise
from math import log, sqrt
from statistics import correlation, fmean, pstdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.paper.noise import Noise, excursion_table, normal_table
from broker.paper.paths import LOOKS, Model, Paths

DAILY = 0.0126
CHIPS = Model("CHIPS", 500.0, DAILY, (("~market", 0.6), ("~software", 0.4)), sqrt(1 - 0.52))
CODE = Model("CODE", 1500.0, DAILY, (("~market", 0.6), ("~software", 0.4)), sqrt(1 - 0.52))
LOANS = Model("LOANS", 80.0, DAILY, (("~market", 0.6), ("~finance", 0.4)), sqrt(1 - 0.52))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**40), day=st.integers(0, 12_000), hour=st.integers(0, 23))
def test_extremes_and_ends_are_the_same_at_every_level(seed: int, day: int, hour: int) -> None:
    paths = Paths(seed)
    whole, part = paths.day(CHIPS, day), paths.hour(CHIPS, day, hour)
    assert (max(part.highs), min(part.lows)) == (whole.highs[hour], whole.lows[hour])
    assert (part.nodes[0], part.nodes[-1]) == (whole.nodes[hour], whole.nodes[hour + 1])
    assert (part.activity[0], part.activity[-1]) == (whole.activity[hour], whole.activity[hour + 1])
    for at in (0, 29, 59):
        minute = paths.minute(CHIPS, day, hour * 60 + at)
        assert len(minute.prices) == LOOKS
        assert (minute.prices[0], minute.prices[-1]) == (part.nodes[at], part.nodes[at + 1])
        assert (max(minute.prices), min(minute.prices)) == (part.highs[at], part.lows[at])
        assert list(minute.activity) == sorted(minute.activity)


def test_one_day_opens_where_the_other_ended() -> None:
    paths = Paths(3)
    for day in range(9000, 9040):
        assert (
            paths.day(CHIPS, day).nodes[-1]
            == paths.day(CHIPS, day + 1).nodes[0]
            == paths.start(CHIPS, day + 1)
        )


def test_a_stretch_is_the_extremes_of_its_minutes() -> None:
    paths = Paths(4)
    for first, last in ((0, 1440), (0, 60), (7, 8), (50, 130), (61, 119), (600, 750), (719, 721)):
        minutes = [paths.extent(CHIPS, 9000, minute, minute + 1) for minute in range(first, last)]
        whole = paths.extent(CHIPS, 9000, first, last)
        assert whole == (max(high for high, _ in minutes), min(low for _, low in minutes))


def test_the_order_of_questions_does_not_matter() -> None:
    forward, backward = Paths(5), Paths(5)
    moments = [(9000 + step // 5, step * 97 % 1440) for step in range(40)]
    there = [forward.minute(CHIPS, *moment).prices for moment in moments]
    back = [backward.minute(CHIPS, *moment).prices for moment in reversed(moments)]
    assert there == back[::-1]


def test_moves_are_as_large_as_the_model_says() -> None:
    paths = Paths(6)
    opens = [log(paths.start(CHIPS, day)) for day in range(4000, 7000)]
    assert pstdev(b - a for a, b in pairwise(opens)) == pytest.approx(DAILY, rel=0.06)
    ranges = [
        log(max(day.highs) / min(day.lows))
        for day in (paths.day(CHIPS, number) for number in range(5000, 5300))
    ]
    assert fmean(ranges) == pytest.approx(1.596 * DAILY, rel=0.08)
    nodes = [log(price) for hour in range(24) for price in paths.hour(CHIPS, 5000, hour).nodes[:-1]]
    assert pstdev(b - a for a, b in pairwise(nodes)) == pytest.approx(DAILY / sqrt(1440), rel=0.25)


def test_a_price_wanders_about_its_level_for_ever() -> None:
    paths = Paths(7)
    far = max(abs(log(paths.start(CHIPS, day) / CHIPS.level)) for day in range(0, 12_000, 3))
    assert 5 * DAILY < far < 16 * DAILY


def test_shared_factors_correlate_days_and_minutes() -> None:
    paths = Paths(8)

    def days(model: Model) -> list[float]:
        opens = [log(paths.start(model, day)) for day in range(4000, 6000)]
        return [b - a for a, b in pairwise(opens)]

    def minutes(model: Model) -> list[float]:
        nodes = [log(price) for hour in range(24) for price in paths.hour(model, 5000, hour).nodes[:-1]]
        return [b - a for a, b in pairwise(nodes)]

    for moves, loose in ((days, 0.07), (minutes, 0.15)):
        near = correlation(moves(CHIPS), moves(CODE))
        apart = correlation(moves(CHIPS), moves(LOANS))
        assert near == pytest.approx(0.52, abs=loose)
        assert apart == pytest.approx(0.36, abs=loose)


def test_noise_is_keyed_by_seed_and_name_alone() -> None:
    assert Noise(1).normals("a", 5) == Noise(1).normals("a", 9)[:5]
    assert Noise(1).normals("a", 5) != Noise(2).normals("a", 5)
    assert Noise(1).normals("a", 5) != Noise(1).normals("b", 5)
    walk = Noise(1).bridge("a", 60)
    assert (len(walk), walk[0], walk[-1]) == (61, 0.0, 0.0)


def test_the_tables_have_the_laws_moments() -> None:
    assert fmean(normal_table()) == pytest.approx(0, abs=1e-9)
    assert pstdev(normal_table()) == pytest.approx(1, abs=1e-3)
    assert fmean(excursion_table()) == pytest.approx(0.5, abs=1e-3)
    assert min(excursion_table()) > 0
