"""Codes: each works once, near its time, and recovery codes stand in for a lost phone."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyotp
import pytest
from argon2 import PasswordHasher
from cryptography.fernet import Fernet

from database.crypto import Vault
from database.engine import open_database
from database.metadata import PLATFORM
from domain.errors import InvalidRequest, Unauthorized
from services.accounts import Accounts
from services.first_run import FirstRun
from services.second_factor import SecondFactor


class Hands:
    def __init__(self) -> None:
        self.at = datetime(2026, 11, 24, 3, 30, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return 0.0


class World:
    """A store with the services under test."""

    def __init__(self, folder: Path) -> None:
        database = open_database("", "platform", folder)
        PLATFORM.create_all(database.engine)
        vault = Vault((Fernet.generate_key().decode(),), "pepper" * 8)
        self.clock = Hands()
        hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        self.accounts = Accounts(database, vault, self.clock, lambda _account: None, hasher)
        self.factor = SecondFactor(database, vault, self.clock)
        self.first_run = FirstRun(database, vault)

    def enrolled(self) -> tuple[int, pyotp.TOTP, list[str]]:
        user = self.accounts.add_user("asha", "correct horse")
        offer = self.factor.offer(user.id, user.name)
        totp = pyotp.TOTP(offer.secret)
        codes = self.factor.confirm(user.id, totp.at(self.clock.at))
        self.clock.at += timedelta(minutes=5)
        return user.id, totp, codes


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_an_offer_stays_the_same_until_confirmed(world: World) -> None:
    user = world.accounts.add_user("asha", "correct horse")
    first, second = world.factor.offer(user.id, "asha"), world.factor.offer(user.id, "asha")
    assert first == second and first.secret in first.uri and first.path.startswith("M")
    assert not world.factor.is_on(user.id)
    with pytest.raises(Unauthorized):
        world.factor.confirm(user.id, "000000")


def test_a_code_works_once(world: World) -> None:
    user_id, totp, _ = world.enrolled()
    code = totp.at(world.clock.at)
    world.factor.check(user_id, f"{code[:3]} {code[3:]}")
    with pytest.raises(Unauthorized):
        world.factor.check(user_id, code)


@pytest.mark.parametrize(("seconds", "fine"), [(-30, True), (30, True), (-90, False), (90, False)])
def test_a_code_is_good_near_its_time(world: World, seconds: int, fine: bool) -> None:
    user_id, totp, _ = world.enrolled()
    code = totp.at(world.clock.at + timedelta(seconds=seconds))
    if fine:
        world.factor.check(user_id, code)
        return
    with pytest.raises(Unauthorized):
        world.factor.check(user_id, code)


def test_an_older_code_does_not_work_after_a_newer_one(world: World) -> None:
    user_id, totp, _ = world.enrolled()
    world.factor.check(user_id, totp.at(world.clock.at))
    with pytest.raises(Unauthorized):
        world.factor.check(user_id, totp.at(world.clock.at - timedelta(seconds=30)))


def test_recovery_codes_work_once_each(world: World) -> None:
    user_id, _, codes = world.enrolled()
    assert len(set(codes)) == 8
    world.factor.check(user_id, codes[0].lower())
    with pytest.raises(Unauthorized):
        world.factor.check(user_id, codes[0])
    assert world.factor.recovery_codes_left(user_id) == 7


@pytest.mark.parametrize("code", ["", "12345", "1234567", "१२३४५६", "abcdef", "      "])
def test_what_is_not_a_code_is_refused(world: World, code: str) -> None:
    user_id, _, _ = world.enrolled()
    with pytest.raises(Unauthorized):
        world.factor.check(user_id, code)


def test_codes_can_be_turned_off_and_offered_anew(world: World) -> None:
    user_id, totp, _ = world.enrolled()
    with pytest.raises(InvalidRequest):
        world.factor.offer(user_id, "asha")
    world.factor.turn_off(user_id)
    assert world.factor.offer(user_id, "asha").secret != totp.secret


def test_the_printed_code_makes_one_administrator(world: World) -> None:
    code = world.first_run.new_code()
    assert code is not None and world.first_run.accepts(code.lower())
    with pytest.raises(Unauthorized):
        world.first_run.make_admin(world.accounts, "0000-0000", "asha", "correct horse")
    with pytest.raises(InvalidRequest):
        world.first_run.make_admin(world.accounts, code, "asha", "short")
    assert world.first_run.make_admin(world.accounts, code, "asha", "correct horse").is_admin
    with pytest.raises(Unauthorized):
        world.first_run.make_admin(world.accounts, code, "ravi", "correct horse")
    assert world.first_run.is_over() and world.first_run.new_code() is None


def test_a_restart_voids_the_code_before(world: World) -> None:
    first, second = world.first_run.new_code(), world.first_run.new_code()
    assert first is not None and second is not None
    assert not world.first_run.accepts(first) and world.first_run.accepts(second)
