"""A desk for the HTTP door: the order path's small world behind a Flask application."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from domain.errors import InstrumentNotFound, NotFound
from domain.market import Candle, Depth, DepthLevel, Quote
from domain.model import (
    Exchange,
    Funds,
    Holding,
    Instrument,
    Margin,
    Mode,
    OrderMode,
    PlaceOrder,
    Position,
    Product,
    Trade,
)
from domain.strategies import Strategy
from restx_api import api
from services.accounts import Caller
from services.audit import Audit
from services.chart_settings import ChartSettings
from services.history import History
from services.kill_switch import KillSwitch
from services.market_calendar import MarketCalendar
from services.once import Once
from services.parked_gtts import ParkedGtts
from services.portfolio import Portfolio
from services.reconciliation import Reconciliation
from services.sessions import SessionState
from services.strategy_host import Started
from services.triggers import Triggers
from tests.services.order_world import CATALOG, MANIFEST, NOW, ScriptedBroker, World

ORDER = {
    "strategy": "Python",
    "symbol": "RELIANCE",
    "action": "BUY",
    "exchange": "NSE",
    "pricetype": "MARKET",
    "product": "MIS",
    "quantity": "1",
}

SETTINGS: dict[str, object] = {
    "web_threads": 16,
    "api_rate_limit": "100000 per second",
    "order_rate_limit": "100000 per second",
    "smart_order_rate_limit": "100000 per second",
    "greeks_rate_limit": "100000 per second",
    "telegram_rate_limit": "100000 per second",
    "whatsapp_rate_limit": "100000 per second",
    "portfolio_api_rate_limit": "100000 per second",
    "portfolio_tearsheet_rate_limit": "100000 per second",
    "sip_api_rate_limit": "100000 per second",
    "login_rate_limit_min": "100000 per second",
    "redis_url": "",
    "trusted_proxies": (),
    "cors_enabled": True,
    "cors_allowed_origins": ("http://127.0.0.1:5000",),
    "cors_allowed_methods": ("GET", "POST"),
    "cors_allowed_headers": ("Content-Type",),
    "cors_exposed_headers": (),
    "cors_allow_credentials": False,
    "cors_max_age": 600,
}


class MoneyBroker(ScriptedBroker):
    """The scripted broker, with trades, holdings, funds and margin."""

    manifest = replace(
        MANIFEST,
        can=replace(
            MANIFEST.can,
            reads=frozenset({"orders", "trades", "positions", "holdings", "funds", "margin", "candles"}),
            intervals=("1m", "5m", "15m", "10m", "1h", "D"),
        ),
    )

    def _fetch_candles(self, instrument: Instrument, interval: str, start: date, end: date) -> list[Candle]:
        opened = int(datetime(2026, 11, 20, 3, 45, tzinfo=UTC).timestamp())
        if interval == "D":
            return [Candle(opened // 86400 * 86400, 1190.0, 1210.5, 1180.0, 1200.0, 5000)]
        return [Candle(opened + 60 * n, 1190.0, 1191.0, float("nan"), 1190.5, 100 + n) for n in range(3)]

    def _fetch_trades(self) -> list[Trade]:
        return [
            Trade(
                trade_id=f"T{number}",
                order_id=order.order_id,
                symbol=order.symbol,
                exchange=order.exchange,
                side=order.side,
                product=order.product,
                quantity=order.quantity,
                price=Decimal("1200.05"),
                traded_at=order.updated_at,
            )
            for number, order in enumerate(self.script.orders.values(), 1)
        ]

    def _fetch_holdings(self) -> list[Holding]:
        return [
            Holding(
                symbol="INFY",
                exchange=Exchange.NSE,
                quantity=Decimal(10),
                average_price=Decimal("1500"),
                last_price=1485.5,
                settles_on=date(2026, 11, 25),
            )
        ]

    def _fetch_funds(self) -> Funds:
        return Funds(
            available=Decimal("9999000.5"),
            used=Decimal("1000"),
            realised=Decimal("12.345"),
            unrealised=Decimal("-7.1"),
            total_realised=Decimal("112.345"),
            last_reset=NOW,
            reset_count=2,
        )

    def _fetch_margin(self, orders: Any) -> Margin:
        assert all(isinstance(order, PlaceOrder) for order in orders)
        return Margin(total=Decimal("240.5") * len(orders), span=Decimal(0))


class FakeMarketData:
    """Quotes for what the catalogue lists; one of them is not a number."""

    def quote(self, caller: Caller, symbol: str, exchange: Exchange) -> Quote:
        if (exchange, symbol) not in CATALOG:
            raise InstrumentNotFound(symbol, exchange)
        return Quote(
            symbol=symbol,
            exchange=exchange,
            last_price=1200.05,
            open=1190.0,
            high=1210.0,
            low=float("nan"),
            close=1188.0,
            volume=12345,
            at=datetime(2026, 11, 23, 5, 0, tzinfo=UTC),
            bid=1200.0,
            ask=1200.1,
            bid_quantity=5,
            ask_quantity=7,
        )

    def quotes(self, caller: Caller, pairs: list[tuple[str, Exchange]]) -> list[Quote | InstrumentNotFound]:
        found: list[Quote | InstrumentNotFound] = []
        for symbol, exchange in pairs:
            known = (exchange, symbol) in CATALOG
            found.append(
                self.quote(caller, symbol, exchange) if known else InstrumentNotFound(symbol, exchange)
            )
        return found

    def depth(self, caller: Caller, symbol: str, exchange: Exchange) -> Depth:
        return Depth(
            quote=self.quote(caller, symbol, exchange),
            bids=(DepthLevel(1200.0, 5), DepthLevel(1199.9, 50)),
            asks=tuple(DepthLevel(1200.1 + step / 10, 7) for step in range(7)),
            total_buy_quantity=55,
            total_sell_quantity=49,
        )


class FakeInstruments:
    """The catalogue of the small world, searched by substring."""

    def get(self, broker: str, exchange: str, symbol: str) -> Instrument | None:
        return CATALOG.get((exchange, symbol))

    def row_id(self, broker: str, exchange: str, symbol: str) -> int | None:
        return 7 if (exchange, symbol) in CATALOG else None

    def search(
        self, broker: str, query: str, exchange: str | None = None, limit: int = 500
    ) -> list[Instrument]:
        words = query.upper().split()
        rows = [row for row in CATALOG.values() if exchange in (None, row.exchange)]
        return [row for row in rows if all(word in row.symbol for word in words)]

    def expiries(self, broker: str, name: str, exchange: str, kind: str) -> list[date]:
        return [date(2026, 12, 1), date(2027, 1, 5)] if (name, exchange) == ("NIFTY", "NFO") else []

    def rows(self, broker: str, exchange: str | None = None) -> Iterator[Instrument]:
        return (row for row in CATALOG.values() if exchange in (None, row.exchange))


class FakeStrategyHost:
    """One strategy that does as it is told."""

    def listed(self, caller: Caller) -> list[Strategy]:
        return [
            Strategy(
                id="s_1",
                user_id=caller.user_id,
                account_id=caller.account.id,
                name="one",
                exchange=Exchange.NSE,
                entry="main.py",
                created_at=NOW,
                modified_at=NOW,
            )
        ]

    def start(self, caller: Caller, strategy_id: str, *, force: bool) -> Started:
        self.find(strategy_id)
        return Started(armed=not force, reason="opens at 09:15", next_start=NOW)

    def stop(self, caller: Caller, strategy_id: str) -> bool:
        self.find(strategy_id)
        return True

    @staticmethod
    def find(strategy_id: str) -> None:
        if strategy_id != "s_1":
            raise NotFound("No such strategy.")


class Desk:
    """A served API, two users with keys, and what stands behind it."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.world = World(folder)
        broker = MoneyBroker(self.world.script, self.world.clock)
        self.world.orders._sessions.broker = broker  # type: ignore[attr-defined]
        sessions = SimpleNamespace(broker_for=lambda a: broker, data_broker_for=lambda a: broker)
        catalog = self.world.orders._instruments
        portfolio = Portfolio(self.world.orders_db, catalog, sessions)
        clock, market = self.world.clock, cast("Any", FakeMarketData())
        self.platform: Any = SimpleNamespace(
            settings=SimpleNamespace(**{**SETTINGS, **settings}),
            clock=self.world.clock,
            accounts=self.world.accounts,
            orders=self.world.orders,
            portfolio=portfolio,
            order_plans=self.world.plans,
            smart_orders=self.world.smart,
            sweeps=self.world.sweeps,
            reconciler=self.world.reconciler,
            reconciliation=self._reconciliation(broker),
            kill_switch=KillSwitch(
                self.world.orders_db,
                clock,
                self.world.accounts,
                self.world.sweeps,
                Audit(self.world.orders_db, clock),
            ),
            once=Once(self.world.orders_db, clock, clock.sleep),
            strategy_host=FakeStrategyHost(),
            chart_settings=ChartSettings(self.world.platform),
            market_data=market,
            triggers=Triggers(
                self.world.orders_db,
                clock,
                sessions,
                self.world.orders,
                market,
                Audit(self.world.orders_db, clock),
            ),
            instruments=FakeInstruments(),
            history=History(catalog, sessions, MarketCalendar(self.world.platform, self.world.clock)),
            calendar=MarketCalendar(self.world.platform, self.world.clock),
        )
        self.platform.parked_gtts = ParkedGtts(
            self.world.plan_book, self.world.accounts, self.platform.triggers
        )
        self.app = Flask("desk")
        api.register(self.app, self.platform)
        self.client: FlaskClient = self.app.test_client()
        self.key = self.world.accounts.create_key(self.world.user.id)
        self.reading_key = self.world.accounts.create_key(self.world.user.id, scopes={"read"})

    def _reconciliation(self, broker: MoneyBroker) -> Reconciliation:
        sessions = SimpleNamespace(broker_for=lambda a: broker, state=lambda a: SessionState(word="ok"))
        world = self.world
        return Reconciliation(
            world.platform,
            world.orders_db,
            world.clock,
            world.accounts.every_account,
            sessions,
            world.updates,
            world.reconciler,
        )

    def post(self, path: str, body: Any = None, *, key: str | None = "", **options: Any) -> TestResponse:
        """POST a JSON body with the desk's key added ("" that key, None none)."""
        if isinstance(body, dict) or body is None:
            body = dict(body or {})
            if key is not None:
                body.setdefault("apikey", key or self.key)
        return self.client.post(f"/api/v1{path}", data=json.dumps(body), **options)

    def go_live(self, *, semi_auto: bool = False) -> None:
        """Give the user a live account as their default one, and a key for it."""
        accounts, user = self.world.accounts, self.world.user
        account = accounts.add_account(user.id, "live", "scripted")
        caller = accounts.caller_of_user(user.id, account.id)
        accounts.set_mode(caller, Mode.LIVE)
        if semi_auto:
            accounts.set_order_mode(caller, OrderMode.SEMI_AUTO)
        self.key = accounts.create_key(user.id, account_id=account.id)

    def hold(self, symbol: str, quantity: int) -> None:
        """Let the broker show a position."""
        self.world.script.positions.append(
            Position(
                symbol=symbol,
                exchange=Exchange.NSE,
                product=Product.INTRADAY,
                quantity=Decimal(quantity),
                average_price=Decimal("1190.004"),
                last_price=1200.05,
                realised=Decimal("1.005"),
                unrealised=Decimal("100.46"),
            )
        )

    def close(self) -> None:
        self.world.close()
