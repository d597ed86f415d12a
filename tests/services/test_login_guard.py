"""Guessing is slow, and never locks out the owner at a known browser."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from database.engine import Database, open_database
from database.metadata import PLATFORM
from services.login_guard import TRIES, TRIES_OF_ADDRESS, LockedOut, LoginGuard


class Hands:
    def __init__(self) -> None:
        self.at = datetime(2026, 11, 24, 3, 30, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return 0.0


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = open_database("", "platform", tmp_path)
    PLATFORM.create_all(database.engine)
    return database


@pytest.fixture
def guard(database: Database, clock: Hands) -> LoginGuard:
    return LoginGuard(database, clock)


def miss(guard: LoginGuard, name: str = "asha", address: str = "10.0.0.9", device: str = "") -> int:
    attempt = guard.begin(name, "password", address=address, agent="", device=device)
    guard.failed(attempt)
    return attempt.left


def test_ten_tries_a_quarter_of_an_hour(guard: LoginGuard, clock: Hands) -> None:
    assert [miss(guard) for _ in range(TRIES)] == list(range(TRIES - 1, -1, -1))
    with pytest.raises(LockedOut) as locked:
        miss(guard)
    assert locked.value.until == clock.at + timedelta(minutes=15)
    clock.at = locked.value.until
    assert miss(guard) == TRIES - 1


def test_rotating_addresses_and_spelling_do_not_help(guard: LoginGuard) -> None:
    for turn in range(TRIES):
        miss(guard, "ASHA" if turn % 2 else "asha", f"10.0.1.{turn}")
    with pytest.raises(LockedOut):
        miss(guard, "Asha", "10.9.9.9")


def test_the_owner_at_a_known_device_is_not_shut_out(guard: LoginGuard) -> None:
    for turn in range(TRIES):
        miss(guard, address=f"10.0.1.{turn}")
    owner = guard.begin("asha", "password", address="10.0.1.1", agent="", device="d" * 64)
    guard.succeeded(owner)


def test_a_stolen_device_gets_ten_tries_too(guard: LoginGuard) -> None:
    for _ in range(TRIES):
        miss(guard, device="d" * 64)
    with pytest.raises(LockedOut):
        miss(guard, device="d" * 64)


def test_one_address_trying_many_names_is_stopped(guard: LoginGuard) -> None:
    for turn in range(TRIES_OF_ADDRESS):
        miss(guard, f"user{turn}")
    with pytest.raises(LockedOut):
        miss(guard, "another")


def test_a_restart_forgets_nothing(guard: LoginGuard, database: Database, clock: Hands) -> None:
    for _ in range(TRIES):
        miss(guard)
    with pytest.raises(LockedOut):
        miss(LoginGuard(database, clock))


def test_parallel_guesses_cannot_outrun_the_count(guard: LoginGuard) -> None:
    def guess(_: int) -> bool:
        try:
            guard.begin("asha", "password", address="10.0.0.9", agent="")
        except LockedOut:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        let_through = sum(pool.map(guess, range(60)))
    assert let_through == TRIES


def test_the_page_lists_tries_and_the_busiest_addresses(guard: LoginGuard) -> None:
    miss(guard, "asha", "10.0.0.1")
    for _ in range(3):
        miss(guard, "ravi", "10.0.0.2")
    assert [attempt.subject for attempt in guard.latest("ASHA")] == ["asha"]
    assert [(address, count) for address, count, _ in guard.busiest_addresses()] == [
        ("10.0.0.2", 3),
        ("10.0.0.1", 1),
    ]


def test_old_tries_are_dropped(guard: LoginGuard, clock: Hands) -> None:
    miss(guard)
    clock.at += timedelta(days=91)
    assert guard.forget_old() == 1
