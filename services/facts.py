"""What the gate's limits need to know of the world, read from the account's own broker and feed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from database import events as event_rows
from database.engine import Database
from domain.clock import Clock
from domain.errors import PlatformError
from domain.model import OrderRequest, Side
from services.accounts import Caller
from services.market_data import MarketData
from services.portfolio import Portfolio
from services.risk import Facts

log = logging.getLogger(__name__)

FRESH_SECONDS = 60.0


def with_news(
    orders_store: Database, read: Callable[[Caller, OrderRequest], Facts]
) -> Callable[[Caller, OrderRequest], Facts]:
    """`read`, noting first which order news was known: what fills after that may not be in the position it reads."""

    def noted(caller: Caller, request: OrderRequest) -> Facts:
        with orders_store.read() as connection:
            news = event_rows.last_seq(connection, caller.account.id)
        return replace(read(caller, request), news=news)

    return noted


class FactReader:
    """Reads Facts; what cannot be read stays None, and the limit that needs it refuses."""

    def __init__(self, portfolio: Portfolio, market_data: MarketData, clock: Clock) -> None:
        self._portfolio = portfolio
        self._market_data = market_data
        self._clock = clock

    def read(self, caller: Caller, request: OrderRequest) -> Facts:
        return Facts(
            position=self._position(caller, request),
            last_price=self._last_price(caller, request),
            day_pnl=self._day_pnl(caller),
        )

    def _position(self, caller: Caller, request: OrderRequest) -> Decimal | None:
        try:
            line = (request.symbol, request.exchange, request.product)
            if request.side is Side.BUY:
                return self._portfolio.open_quantity(caller, *line)
            return self._portfolio.closable(caller, *line) or Decimal(0)
        except PlatformError as error:
            log.warning("position not read account=%s: %s", caller.account.id, error)
            return None

    def _last_price(self, caller: Caller, request: OrderRequest) -> Decimal | None:
        try:
            quote = self._market_data.quote(caller, request.symbol, request.exchange)
        except PlatformError as error:
            log.warning("price not read account=%s symbol=%s: %s", caller.account.id, request.symbol, error)
            return None
        age = (self._clock.now() - quote.at).total_seconds()
        return Decimal(repr(quote.last_price)) if quote.last_price > 0 and age <= FRESH_SECONDS else None

    def _day_pnl(self, caller: Caller) -> Decimal | None:
        try:
            funds = self._portfolio.funds(caller)
        except PlatformError as error:
            log.warning("funds not read account=%s: %s", caller.account.id, error)
            return None
        return funds.realised + funds.unrealised
