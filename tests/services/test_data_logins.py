"""Market data whose own session ended is logged in to once, by one of all threads and processes, and then not again."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path

import pytest

from config import SystemClock
from database import leases
from domain.clock import IST
from domain.errors import BrokerError, BrokerUnavailable
from domain.model import Exchange, Instrument, InstrumentKind, Mode
from domain.roles import Role
from services.accounts import Account
from services.data_logins import REST, DataLogins
from services.platform import Platform, build_platform
from tests.blueprints.stage import Hands, prepare, settings
from tests.simulators.faces import simulator
from tests.simulators.server import Simulator


class Shifted(SystemClock):
    """The real clock, begun at noon in India, far from the daily cut; `ahead` is added to its date."""

    def __init__(self) -> None:
        now = super().now()
        self.ahead = datetime.combine(now.astimezone(IST).date(), time_of_day(12), IST) - now

    def now(self) -> datetime:
        return super().now() + self.ahead


@pytest.fixture
def house() -> Iterator[Simulator]:
    with simulator("iifl") as started:
        yield started


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Platform]:
    prepare(tmp_path)
    with closing(build_platform(settings(tmp_path), clock=Shifted())) as made:
        yield made


@pytest.fixture
def worker(tmp_path: Path, web: Platform) -> Iterator[Platform]:
    """Another process, as far as the store can tell."""
    with closing(build_platform(settings(tmp_path), clock=web.clock)) as made:
        yield made


@pytest.fixture
def account(web: Platform, house: Simulator) -> Account:
    user = web.accounts.add_user("asha", "correct horse battery", role=Role.ADMIN)
    made = replace(web.accounts.add_account(user.id, "Desk", "iifl"), mode=Mode.LIVE)
    names = ("api_key", "api_secret", "api_key_market", "api_secret_market")
    web.sessions.save_credentials(made, {name: house.credentials[name] for name in names}, house.urls)
    web.sessions.log_in(made, {})
    house.requests.clear()
    return made


@pytest.fixture
def share(house: Simulator) -> Instrument:
    number = str(house.by_instrument[Exchange.NSE, "INFY"].number)  # type: ignore[attr-defined]
    there = house.instrument("NSE", "INFY")
    assert there.kind is InstrumentKind.EQUITY
    return replace(there, broker_exchange="NSECM", broker_token=number)


def logins(house: Simulator) -> int:
    return sum("auth/login" in request.path for request in house.requests)


def price(platform: Platform, account: Account, share: Instrument) -> float:
    (quote,) = platform.sessions.data_broker_for(account).fetch_quotes([share])
    assert quote is not None
    return quote.last_price


def test_all_threads_of_all_processes_go_on_by_one_login(
    web: Platform, worker: Platform, account: Account, share: Instrument, house: Simulator
) -> None:
    for platform in (web, worker):
        assert price(platform, account, share) == 1500
    house.expire_tokens("market")
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda n: price((web, worker)[n % 2], account, share), range(16)))
    assert found == [1500.0] * 16
    assert logins(house) == 1


def test_the_orders_session_and_its_serial_are_left_as_they_were(
    web: Platform, account: Account, share: Instrument, house: Simulator
) -> None:
    serial, before = web.sessions.live_session(account)
    house.expire_tokens("market")
    price(web, account, share)
    after = web.sessions.live_session(account)
    assert after[0] == serial
    assert after[1].tokens["access_token"] == before.tokens["access_token"]
    assert after[1].tokens["market_token"] != before.tokens["market_token"]
    assert web.sessions.state(account).word == "ok"


def test_a_fight_over_the_keys_is_not_fought(
    web: Platform, worker: Platform, account: Account, share: Instrument, house: Simulator
) -> None:
    """Each login ends the other program's session: one in ten minutes is all that we take part with."""
    house.expire_tokens("market")
    price(web, account, share)
    house.expire_tokens("market")
    began = time.monotonic()
    for platform in (web, worker):
        with pytest.raises(BrokerError, match="market data session has ended"):
            price(platform, account, share)
    assert logins(house) == 1 and time.monotonic() - began < 4
    web.clock.ahead += REST + timedelta(seconds=1)  # type: ignore[attr-defined]
    assert price(worker, account, share) == 1500
    assert logins(house) == 2


def test_a_persons_login_lets_the_next_end_be_healed_at_once(
    web: Platform, account: Account, share: Instrument, house: Simulator
) -> None:
    house.expire_tokens("market")
    price(web, account, share)
    web.sessions.log_in(account, {})
    house.expire_tokens("market")
    assert price(web, account, share) == 1500


def test_refused_keys_are_tried_once_and_stay_out_of_the_log(
    web: Platform, account: Account, share: Instrument, house: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    kept = dict(house.credentials)
    house.credentials["api_secret_market"] = "changed at the broker"
    house.expire_tokens("market")
    for _ in range(3):
        with pytest.raises(BrokerError, match="market data session has ended"):
            price(web, account, share)
    assert logins(house) == 1
    tokens = web.sessions.live_session(account)[1].tokens
    assert "no new login for market data" in caplog.text
    for secret in (kept["api_secret_market"], kept["api_key_market"], *tokens.values()):
        assert len(secret) < 8 or secret not in caplog.text


def test_an_ended_login_is_not_brought_back(web: Platform, account: Account, house: Simulator) -> None:
    refused = web.sessions.live_session(account)[1].tokens
    web.sessions.ended(account)
    assert web.sessions.renew_data(account, refused) is None
    assert logins(house) == 0


def test_logging_out_ends_the_newest_market_session(
    web: Platform, worker: Platform, account: Account, share: Instrument, house: Simulator
) -> None:
    price(worker, account, share)
    house.expire_tokens("market")
    price(web, account, share)
    worker.sessions.log_out(account)
    assert house.tokens == {}


def test_whoever_waits_for_a_dead_one_goes_on_without_and_the_next_takes_its_turn(web: Platform) -> None:
    clock = Hands()
    logins = DataLogins(web.sessions._db, clock, pause=clock.sleep)
    turn = timedelta(seconds=30)
    web.sessions._db.write(lambda c: leases.take(c, "data login 7", "died", clock.now(), turn))
    began = clock.now()
    assert logins.once(7, lambda: None, lambda: "fresh") is None
    assert timedelta(seconds=8) <= clock.now() - began < timedelta(seconds=9)
    clock.sleep(23)
    assert logins.once(7, lambda: None, lambda: "fresh") == "fresh"


def test_a_broker_that_is_not_reached_is_asked_again_soon(web: Platform) -> None:
    clock = Hands()
    logins = DataLogins(web.sessions._db, clock, pause=clock.sleep)

    def unreachable() -> str:
        raise BrokerUnavailable("iifl", text="did not answer")

    assert logins.once(7, lambda: None, unreachable) is None
    assert logins.once(7, lambda: None, lambda: "fresh") is None
    clock.sleep(31)
    assert logins.once(7, lambda: None, lambda: "fresh") == "fresh"
