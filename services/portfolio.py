"""What an account holds and owes: trades, positions, holdings, funds, and what orders would block.

Every call asks the account's own broker. A book that cannot be read raises; it is never taken for an empty one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Protocol

from sqlalchemy import func, select

from broker.interface import Broker
from database import intents as intent_rows
from database.engine import Database
from database.intents import INTENTS
from domain.errors import InvalidRequest
from domain.model import (
    QUOTE_ONLY,
    Exchange,
    Funds,
    Holding,
    Instrument,
    Margin,
    Mode,
    OrderRequest,
    PlaceOrder,
    Position,
    Product,
    Trade,
)
from services.accounts import Account, Caller


class Instruments(Protocol):
    def get(self, broker: str, exchange: str, symbol: str) -> Instrument | None: ...


class Sessions(Protocol):
    def broker_for(self, account: Account) -> Broker: ...

    def data_broker_for(self, account: Account) -> Broker: ...


class Portfolio:
    """Reads the books of any account. All methods raise SessionOver and what the broker's reads raise."""

    def __init__(self, orders: Database, instruments: Instruments, sessions: Sessions) -> None:
        self._db = orders
        self._instruments = instruments
        self._sessions = sessions

    def trades(self, caller: Caller) -> list[Trade]:
        """Today's fills, oldest first, under the order ids that clients were told."""
        trades = self._sessions.broker_for(caller.account).fetch_trades()
        with self._db.read() as connection:
            names = intent_rows.renamed(connection, caller.account.id)
        if not names:
            return trades
        return [replace(t, order_id=names[t.order_id]) if t.order_id in names else t for t in trades]

    def positions(self, caller: Caller) -> list[Position]:
        """Net positions, those closed today included."""
        return self._sessions.broker_for(caller.account).fetch_positions()

    def open_quantity(self, caller: Caller, symbol: str, exchange: Exchange, product: Product) -> Decimal:
        """Signed units held; 0 when the book was read and shows none."""
        for held in self.positions(caller):
            if (held.symbol, held.exchange, held.product) == (symbol, exchange, product):
                return held.quantity
        return Decimal(0)

    def closable(self, caller: Caller, symbol: str, exchange: Exchange, product: Product) -> Decimal | None:
        """Signed units that an exit may close: the position and, for delivery, the shares held beside it; None when the
        books were read and list neither, which is no proof that there is nothing: a book may lag behind."""
        broker = self._sessions.broker_for(caller.account)
        listed = [
            row.quantity
            for row in broker.fetch_positions()
            if (row.symbol, row.exchange, row.product) == (symbol, exchange, product)
        ]
        if product is Product.DELIVERY and "holdings" in broker.manifest.can.reads:
            shares = broker.fetch_holdings()
            mine = [row for row in shares if (row.symbol, row.exchange) == (symbol, exchange)]
            sold = -sum(listed, Decimal(0))
            listed += [row.quantity for row in mine]
            # A sale of today stands among the positions: a holding that is less by it already would count it twice.
            listed += (
                [min(max(sold, Decimal(0)), sum((row.sold_today for row in mine), Decimal(0)))]
                if mine
                else []
            )
        return sum(listed, Decimal(0)) if listed else None

    def holdings(self, caller: Caller) -> list[Holding]:
        return self._sessions.broker_for(caller.account).fetch_holdings()

    def funds(self, caller: Caller) -> Funds:
        return self._sessions.broker_for(caller.account).fetch_funds()

    def paper_requests(self, caller: Caller) -> int:
        """How many requests of this account the journal holds that went to the paper exchange."""
        query = select(func.count()).where(
            INTENTS.c.account_id == caller.account.id, INTENTS.c.mode == Mode.ANALYZE.value
        )
        with self._db.read() as connection:
            return connection.execute(query).scalar_one()

    def margin(self, caller: Caller, requests: Sequence[OrderRequest]) -> Margin:
        """What these orders together would block. Raises InvalidRequest naming the position, from 1."""
        broker = self._sessions.data_broker_for(caller.account)
        orders = [self._order(broker, number, request) for number, request in enumerate(requests, 1)]
        return broker.fetch_margin(orders)

    def _order(self, broker: Broker, number: int, request: OrderRequest) -> PlaceOrder:
        instrument = self._instruments.get(broker.manifest.name, request.exchange, request.symbol)
        if instrument is None:
            words = f"Symbol '{request.symbol}' not found on exchange '{request.exchange}'"
            raise InvalidRequest(f"Position {number}: {words}", "positions")
        if request.exchange in QUOTE_ONLY:
            raise InvalidRequest(f"Position {number}: {request.exchange} is quote-only", "positions")
        if request.order_type.has_price and not request.price:
            raise InvalidRequest(f"Position {number}: price must be more than 0", "positions")
        if request.order_type.has_trigger and not request.trigger_price:
            raise InvalidRequest(f"Position {number}: trigger_price must be more than 0", "positions")
        return PlaceOrder(
            client_order_id="",
            instrument=instrument,
            side=request.side,
            quantity=request.quantity,
            order_type=request.order_type,
            product=request.product,
            price=request.price,
            trigger_price=request.trigger_price,
        )
