"""A platform for the pages: real users, keys and sessions over temporary files, trading services played by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from argon2 import PasswordHasher
from cryptography.fernet import Fernet
from flask import Flask

import blueprints
from database.crypto import Vault
from database.engine import open_database
from database.metadata import PLATFORM
from domain.errors import PlatformError
from domain.model import (
    Exchange,
    Funds,
    Holding,
    Instrument,
    InstrumentKind,
    Order,
    OrderState,
    OrderType,
    Position,
    Product,
    Side,
    Trade,
)
from services.accounts import Accounts, Caller
from services.browser import Browser, build_browser
from services.sessions import SessionState

NOON = datetime(2026, 11, 24, 6, 30, tzinfo=UTC)
PASSWORD = "correct horse battery"


class Hands:
    """A clock that is set by hand; noon in India to begin with."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


def share(symbol: str, name: str = "") -> Instrument:
    return Instrument(
        symbol=symbol,
        exchange=Exchange.NSE,
        kind=InstrumentKind.EQUITY,
        name=name or symbol,
        lot_size=1,
        tick_size=Decimal("0.05"),
        broker_symbol=symbol,
        broker_exchange="NSE",
        broker_token=str(abs(hash(symbol)) % 10**6),
    )


def option(strike: int = 25950, right: InstrumentKind = InstrumentKind.CALL) -> Instrument:
    return Instrument(
        symbol=f"NIFTY01DEC26{strike}{right}",
        exchange=Exchange.NFO,
        kind=right,
        name="NIFTY",
        lot_size=75,
        tick_size=Decimal("0.05"),
        expiry=date(2026, 12, 1),
        strike=Decimal(strike),
        freeze_quantity=1800,
        broker_symbol=f"NIFTY26D01{strike}{right}",
        broker_exchange="NFO",
        broker_token=str(strike),
    )


def order(number: int = 1, **changes: Any) -> Order:
    values: dict[str, Any] = {
        "order_id": f"2611240000{number:04}",
        "symbol": "RELIANCE",
        "exchange": Exchange.NSE,
        "side": Side.BUY,
        "quantity": Decimal(100),
        "order_type": OrderType.LIMIT,
        "product": Product.INTRADAY,
        "state": OrderState.OPEN,
        "placed_at": NOON - timedelta(minutes=number),
        "updated_at": NOON - timedelta(minutes=number),
        "price": Decimal("1536.5"),
    }
    return Order(**(values | changes))


@dataclass
class Books:
    """What the broker would say; set `error` to make every read fail with it."""

    orders: list[Order] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)
    holdings: list[Holding] = field(default_factory=list)
    funds: Funds = field(
        default_factory=lambda: Funds(available=Decimal("8423107.50"), used=Decimal("718204.50"))
    )
    error: PlatformError | None = None

    def read(self, what: str) -> Any:
        if self.error is not None:
            raise self.error
        return getattr(self, what)


class FakeOrders:
    def __init__(self, books: Books) -> None:
        self.books = books

    def book(self, caller: Caller) -> list[Order]:
        return list(self.books.read("orders"))


class FakePortfolio:
    def __init__(self, books: Books) -> None:
        self.books = books

    def trades(self, caller: Caller) -> list[Trade]:
        return list(self.books.read("trades"))

    def positions(self, caller: Caller) -> list[Position]:
        return list(self.books.read("positions"))

    def holdings(self, caller: Caller) -> list[Holding]:
        return list(self.books.read("holdings"))

    def funds(self, caller: Caller) -> Funds:
        funds: Funds = self.books.read("funds")
        return funds


class FakeInstruments:
    def __init__(self) -> None:
        self.rows = [share("RELIANCE", "RELIANCE INDUSTRIES"), share("SBIN"), option(), option(26000)]

    def get(self, broker: str, exchange: str, symbol: str) -> Instrument | None:
        return next((row for row in self.rows if (row.exchange, row.symbol) == (exchange, symbol)), None)

    def search(
        self, broker: str, query: str, exchange: str | None = None, limit: int = 500
    ) -> list[Instrument]:
        words = query.upper().split()
        fits = [r for r in self.rows if all(word in f"{r.symbol} {r.name}" for word in words)]
        return [row for row in fits if exchange in (None, row.exchange)][:limit]


class FakeSessions:
    def state(self, account: Any) -> SessionState:
        return SessionState(word="ok")


class Stage:
    """A Flask app with every page, and hands on what stands behind it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.clock = Hands()
        self.books = Books()
        self.database = open_database("", "platform", folder)
        PLATFORM.create_all(self.database.engine)
        self.vault = Vault((Fernet.generate_key().decode(),), "pepper" * 8)
        hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
        self.accounts = Accounts(self.database, self.vault, self.clock, lambda _account: None, hasher)
        self.browser: Browser = build_browser(self.database, self.vault, self.clock)
        self.settings = SimpleNamespace(
            **{
                "app_key": "k" * 40,
                "host_server": "http://127.0.0.1:5000",
                "websocket_url": "ws://127.0.0.1:8765",
                "trusted_proxies": (),
                "session_expiry_time": time(3, 0),
                **settings,
            }
        )
        self.platform = SimpleNamespace(
            settings=self.settings,
            clock=self.clock,
            databases={"platform": self.database},
            vault=self.vault,
            accounts=self.accounts,
            orders=FakeOrders(self.books),
            portfolio=FakePortfolio(self.books),
            instruments=FakeInstruments(),
            sessions=FakeSessions(),
        )
        self.app = Flask("stage", template_folder=str(Path(blueprints.__file__).parent / "templates"))
        self.app.extensions["platform"] = self.platform
        blueprints.register(self.app, self.browser)

    def visitor(self, address: str = "10.0.0.7") -> Visitor:
        return Visitor(self, address)

    def owner(self, name: str = "asha") -> Visitor:
        """A visitor who has signed in; the user is made on the first call."""
        if not any(user.name == name for user in self.accounts.users()):
            self.accounts.add_user(name, PASSWORD, admin=True)
        visitor = self.visitor()
        answer = visitor.post("/login", username=name, password=PASSWORD)
        assert answer.status_code == 303, answer.text
        return visitor


class Visitor:
    """A browser: keeps cookies, finds the form's token on the page it posts from."""

    def __init__(self, stage: Stage, address: str) -> None:
        self.client = stage.app.test_client()
        self.address = address

    def get(self, path: str, **headers: str) -> Any:
        return self.client.get(path, headers=headers, environ_base={"REMOTE_ADDR": self.address})

    def post(
        self, path: str, token: str | None = None, data: dict[str, Any] | None = None, **fields: Any
    ) -> Any:
        """POST a form with this session's token (or the one given)."""
        body = {"csrf_token": self.token() if token is None else token, **(data or {}), **fields}
        return self.client.post(path, data=body, environ_base={"REMOTE_ADDR": self.address})

    def token(self) -> str:
        page = self.get("/forgot").text
        start = page.index('name="csrf_token" value="') + 25
        return str(page[start : page.index('"', start)])
