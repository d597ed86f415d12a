"""Lists of instruments: several, ordered, bounded, and nobody else's."""

from pathlib import Path

import pytest

from database.engine import open_database
from database.metadata import PLATFORM
from domain.errors import InvalidRequest, NotFound
from services.watchlists import FIRST_ROWS, MOST_LISTS, MOST_ROWS, Watchlists


@pytest.fixture
def lists(tmp_path: Path) -> Watchlists:
    database = open_database("", "platform", tmp_path)
    PLATFORM.create_all(database.engine)
    return Watchlists(database)


def first(lists: Watchlists, user_id: int = 1) -> int:
    return lists.lists(user_id)[0].id


def test_the_first_visit_finds_a_list(lists: Watchlists) -> None:
    assert [found.name for found in lists.lists(1)] == ["Core"]
    assert lists.rows(1, first(lists)) == FIRST_ROWS
    assert len(lists.lists(1)) == 1


def test_rows_are_added_once_moved_and_removed(lists: Watchlists) -> None:
    made = lists.create(1, "  Metals  ")
    for symbol in ("TATASTEEL", "HINDALCO", "TATASTEEL", "VEDL"):
        lists.add(1, made, ("NSE", symbol))
    lists.move(1, made, ("NSE", "VEDL"), 0)
    assert [symbol for _, symbol in lists.rows(1, made)] == ["VEDL", "TATASTEEL", "HINDALCO"]
    lists.remove(1, made, ("NSE", "TATASTEEL"))
    lists.remove(1, made, ("NSE", "NOBODY"))
    assert [symbol for _, symbol in lists.rows(1, made)] == ["VEDL", "HINDALCO"]
    assert [found.name for found in lists.lists(1)] == ["Core", "Metals"]


@pytest.mark.parametrize("name", ["", "   ", "x" * 33, "Core"])
def test_a_list_needs_a_name_of_its_own(lists: Watchlists, name: str) -> None:
    lists.lists(1)
    with pytest.raises(InvalidRequest):
        lists.create(1, name)


def test_lists_and_rows_are_bounded(lists: Watchlists) -> None:
    made = lists.create(1, "Full")
    for number in range(MOST_ROWS):
        lists.add(1, made, ("NSE", f"S{number}"))
    with pytest.raises(InvalidRequest):
        lists.add(1, made, ("NSE", "ONEMORE"))
    for number in range(MOST_LISTS - 2):
        lists.create(1, f"L{number}")
    with pytest.raises(InvalidRequest):
        lists.create(1, "one more")


def test_nobody_touches_anothers_list(lists: Watchlists) -> None:
    mine = first(lists, 1)
    for act in (
        lambda: lists.rows(2, mine),
        lambda: lists.add(2, mine, ("NSE", "X")),
        lambda: lists.rename(2, mine, "y"),
        lambda: lists.delete(2, mine),
    ):
        with pytest.raises(NotFound):
            act()


def test_the_last_list_stays(lists: Watchlists) -> None:
    made = lists.create(1, "Second")
    lists.rename(1, made, "Renamed")
    lists.delete(1, first(lists))
    assert [found.name for found in lists.lists(1)] == ["Renamed"]
    with pytest.raises(InvalidRequest):
        lists.delete(1, made)
