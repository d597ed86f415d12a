"""What the pages read beyond trading: requests, logs, charges; and who is at the other end of a connection."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from broker import facts
from database import migrate
from database.crypto import Vault
from database.engine import open_database
from domain.clock import Clock
from domain.errors import InvalidRequest, Unauthorized
from domain.model import Product, Side
from services.accounts import Accounts
from services.addresses import Proxies
from services.charges import Charges
from services.first_run import FirstRun
from services.log_reader import LogReader
from services.request_log import RequestLog, RequestRow, quantile
from tests.services.order_world import RELIANCE

NOW = datetime(2026, 11, 24, 6, 30, tzinfo=UTC)


class Hands(Clock):
    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0


def row(route: str = "/orders", millis: float = 1.0, status: int = 200, age: int = 0) -> RequestRow:
    return RequestRow(
        at=NOW - timedelta(minutes=age),
        method="GET",
        route=route,
        status=status,
        micros=int(millis * 1000),
        user_id=1,
        address="10.0.0.7",
    )


@pytest.fixture
def requests(tmp_path: Path) -> RequestLog:
    migrate.upgrade_all("", tmp_path)
    return RequestLog(open_database("", "logs", tmp_path), Hands())


def test_requests_add_up_by_route(requests: RequestLog) -> None:
    for millis in range(1, 101):
        requests.note(row(millis=millis))
    requests.note(row("/kill", 5, 500))
    requests.note(row("/old", 5, age=61))
    requests.flush()
    orders, kill = requests.by_route(60)
    assert (orders.route, orders.count, orders.failed, orders.p50, orders.p95) == ("/orders", 100, 0, 51, 96)
    assert (kill.failed, kill.slowest) == (1, 5)
    requests.close()


def test_what_waits_is_written_at_the_end(requests: RequestLog, tmp_path: Path) -> None:
    writers = [threading.Thread(target=lambda: [requests.note(row()) for _ in range(500)]) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    requests.close()
    again = RequestLog(open_database("", "logs", tmp_path), Hands())
    assert sum(one.count for one in again.by_route(60)) == 2000
    again.close()


def test_the_share_of_nothing_is_nothing() -> None:
    assert quantile([], 0.95) == 0.0
    assert quantile([3.0], 0.99) == 3.0


# -- logs
def write(path: Path, *events: str) -> None:
    lines = [
        json.dumps({"time": f"2026-11-24T06:{n // 60:02}:{n % 60:02}+00:00", "role": "web", "event": event})
        for n, event in enumerate(events)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_a_log_longer_than_a_chunk_is_read_from_its_end(tmp_path: Path) -> None:
    write(tmp_path / "web-1.log", *(f"{number} {'å' * 500}" for number in range(1000)))
    found = [int(line.event.split()[0]) for line in LogReader(tmp_path).tail(limit=700)]
    assert found == list(range(300, 1000))


def test_the_newest_file_of_each_role_is_read(tmp_path: Path) -> None:
    write(tmp_path / "web-1.log", "old")
    write(tmp_path / "web-2.log", "new")
    write(tmp_path / "worker-9.log", "other")
    (tmp_path / "web-2.log").open("a").write('{"time": 5}\n[]\n\x00\n{"time": "2026-11-24T06')
    reader = LogReader(tmp_path)
    assert reader.roles() == ["web", "worker"]
    assert sorted(line.event for line in reader.tail()) == ["new", "other"]
    assert [line.event for line in reader.tail(role="worker")] == ["other"]


# -- charges
def test_an_orders_taxes_are_those_of_its_segment_and_side() -> None:
    charges = Charges(facts.rows("charges"))

    def cost(product: Product, side: Side, house: str = "") -> Decimal:
        return charges.estimate(RELIANCE, product, side, Decimal(100), Decimal(1500), NOW, house)

    intraday, delivery = cost(Product.INTRADAY, Side.SELL), cost(Product.DELIVERY, Side.SELL)
    assert 0 < cost(Product.INTRADAY, Side.BUY) < intraday < delivery
    assert cost(Product.INTRADAY, Side.SELL, "Zerodha") > intraday
    assert cost(Product.INTRADAY, Side.SELL, "Nobody & Sons") == intraday


# -- the first minute
def test_the_code_makes_one_administrator(tmp_path: Path) -> None:
    migrate.upgrade_all("", tmp_path)
    platform, vault = (
        open_database("", "platform", tmp_path),
        Vault((Fernet.generate_key().decode(),), "p" * 40),
    )
    accounts = Accounts(platform, vault, Hands(), lambda account_id: None)
    first = FirstRun(platform, vault)
    old, code = first.new_code(), first.new_code()
    assert old is not None and code is not None
    with pytest.raises(Unauthorized):
        first.make_admin(accounts, old, "asha", "correct horse battery")
    with pytest.raises(InvalidRequest):
        first.make_admin(accounts, code, "asha", "short")
    made = first.make_admin(accounts, code.lower().replace("-", " "), "asha", "correct horse battery")
    assert made.is_admin and first.is_over() and first.new_code() is None
    with pytest.raises(Unauthorized):
        first.make_admin(accounts, code, "eve", "correct horse battery")
    platform.close()


# -- addresses
@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", "1.1.1.1", "203.0.113.9"),
        ("127.0.0.1", "1.1.1.1", "1.1.1.1"),
        ("127.0.0.1", "6.6.6.6, 1.1.1.1", "1.1.1.1"),
        ("127.0.0.1", "6.6.6.6, 1.1.1.1, 10.0.0.2", "1.1.1.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "<script>", "127.0.0.1"),
        ("127.0.0.1", "::ffff:1.1.1.1", "1.1.1.1"),
        ("not an address", "1.1.1.1", "not an address"),
    ],
)
def test_only_trusted_proxies_are_believed(peer: str, forwarded: str, client: str) -> None:
    assert Proxies(["127.0.0.0/8", "10.0.0.0/8"]).client(peer, forwarded) == client
