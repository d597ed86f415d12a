"""Sessions that really die."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from database.engine import Database, open_database
from database.metadata import PLATFORM
from services.browser_sessions import MOST_SESSIONS, BrowserSessions


class Hands:
    """A clock that is set by hand; 09:00 IST on a Tuesday to begin with."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 24, 3, 30, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = open_database("", "platform", tmp_path)
    PLATFORM.create_all(database.engine)
    return database


@pytest.fixture
def told() -> list[int]:
    return []


@pytest.fixture
def sessions(database: Database, clock: Hands, told: list[int]) -> BrowserSessions:
    return BrowserSessions(database, clock, ended=told.append)


def begin(sessions: BrowserSessions, user_id: int | None = 1, **more: str) -> str:
    return sessions.begin(user_id, {"n": 1}, address="10.0.0.1", agent="Firefox", **more)[0]


def test_a_cookie_opens_its_session_and_no_cookie_is_kept(
    sessions: BrowserSessions, database: Database
) -> None:
    cookie = begin(sessions)
    opened = sessions.open(cookie)
    assert opened is not None and opened.user_id == 1 and opened.data == {"n": 1}
    with database.read() as connection:
        everything = str(connection.exec_driver_sql("SELECT * FROM browser_sessions").all())
    assert cookie not in everything


@pytest.mark.parametrize("cookie", ["", "x", "a" * 43, "a" * 5000])
def test_an_unknown_cookie_opens_nothing(sessions: BrowserSessions, cookie: str) -> None:
    assert sessions.open(cookie) is None


def test_signing_in_replaces_the_guest_session(sessions: BrowserSessions, told: list[int]) -> None:
    guest = begin(sessions, None)
    opened = sessions.open(guest)
    assert opened is not None
    signed_in = begin(sessions, replaces=opened.hash)
    assert sessions.open(guest) is None and sessions.open(signed_in) is not None
    assert told == [1]


@pytest.mark.clock
def test_three_in_the_morning_in_india_ends_it(sessions: BrowserSessions, clock: Hands) -> None:
    cookie = begin(sessions)
    clock.at = datetime(2026, 11, 24, 21, 29, 59, tzinfo=UTC)
    assert sessions.open(cookie) is not None
    clock.at += timedelta(seconds=1)
    assert sessions.open(cookie) is None


def test_a_guest_session_lasts_an_hour(sessions: BrowserSessions, clock: Hands) -> None:
    cookie = begin(sessions, None)
    clock.at += timedelta(hours=1)
    assert sessions.open(cookie) is None


def test_ending_all_spares_one_and_tells(sessions: BrowserSessions, told: list[int]) -> None:
    here, there = begin(sessions), begin(sessions)
    mine = sessions.open(here)
    assert mine is not None
    assert sessions.end_all(1, but=mine.hash) == 1
    assert sessions.open(there) is None and sessions.open(here) is not None
    assert told == [1]


def test_what_an_ended_session_saves_does_not_bring_it_back(sessions: BrowserSessions) -> None:
    cookie = begin(sessions)
    opened = sessions.open(cookie)
    assert opened is not None
    sessions.end(opened)
    assert sessions.save(opened) is False and sessions.open(cookie) is None


def test_a_session_lives_until_it_is_ended(sessions: BrowserSessions) -> None:
    signed_in, guest = sessions.open(begin(sessions)), sessions.open(begin(sessions, None))
    assert signed_in is not None and guest is not None
    assert sessions.lives(signed_in.hash) and not sessions.lives(guest.hash) and not sessions.lives("0" * 64)
    sessions.end(signed_in)
    assert not sessions.lives(signed_in.hash)


def test_nobody_ends_anothers_session(sessions: BrowserSessions) -> None:
    cookie = begin(sessions, 1)
    opened = sessions.open(cookie)
    assert opened is not None
    assert not sessions.end_of_user(2, opened.hash)
    assert sessions.end_of_user(1, opened.hash)


def test_the_session_seen_longest_ago_makes_room(sessions: BrowserSessions, clock: Hands) -> None:
    cookies = []
    for _ in range(MOST_SESSIONS + 1):
        cookies.append(begin(sessions))
        clock.at += timedelta(seconds=1)
    assert [sessions.open(cookie) is None for cookie in cookies] == [True] + [False] * MOST_SESSIONS


def test_a_device_is_known_and_trusted_for_its_user_only(sessions: BrowserSessions, clock: Hands) -> None:
    device = sessions.keep_device("", 1, agent="Firefox", trust=True)
    assert sessions.knows_device(device, 1) and sessions.trusts_device(device, 1)
    assert not sessions.knows_device(device, 2) and not sessions.knows_device("", 1)
    clock.at += timedelta(days=30)
    assert sessions.knows_device(device, 1) and not sessions.trusts_device(device, 1)


def test_a_changed_password_stops_trust_but_not_acquaintance(sessions: BrowserSessions) -> None:
    device = sessions.keep_device("", 1, agent="Firefox", trust=True)
    sessions.end_all(1)
    assert sessions.knows_device(device, 1) and not sessions.trusts_device(device, 1)


def test_use_is_noted_once_a_minute(sessions: BrowserSessions, clock: Hands) -> None:
    cookie = begin(sessions)
    clock.at += timedelta(seconds=61)
    opened = sessions.open(cookie)
    assert opened is not None
    sessions.touch(opened, "10.0.0.2")
    again = sessions.open(cookie)
    assert again is not None and again.seen_at == clock.at and again.address == "10.0.0.2"
