"""A broker that is played by hand, behind the real platform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from broker import catalog
from broker.interface import Broker
from broker.paper.rules import Terms
from domain.conversion import ConvertPosition
from domain.errors import BrokerUnavailable
from domain.ledger import PaperDay
from domain.market import Candle, Depth, DepthLevel, Quote
from domain.model import (
    CancelOrder,
    Exchange,
    Funds,
    Holding,
    Instrument,
    InstrumentKind,
    Margin,
    ModifyOrder,
    Order,
    OrderState,
    OrderType,
    PlaceOrder,
    Position,
    Product,
    Side,
    Trade,
)
from domain.outcomes import Accepted, Ambiguous, Outcome, Refused


def share(symbol: str, name: str = "") -> Instrument:
    return Instrument(
        symbol=symbol,
        exchange=Exchange.NSE,
        kind=InstrumentKind.EQUITY,
        name=name or symbol,
        lot_size=1,
        tick_size=Decimal("0.05"),
        freeze_quantity=100_000,
        broker_symbol=symbol,
        broker_exchange="NSE",
        broker_token=f"E{symbol}",
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
        broker_token=f"O{strike}{right}",
    )


INDEX = replace(
    share("NIFTY", "NIFTY 50"), exchange=Exchange.NSE_INDEX, kind=InstrumentKind.INDEX, broker_token="I1"
)
MASTER = [
    share("RELIANCE", "RELIANCE INDUSTRIES"),
    share("SBIN"),
    share("INFY"),
    option(),
    option(26000),
    INDEX,
]


@dataclass
class Books:
    """What the broker would say. `answers` script what happens to the next orders."""

    orders: list[Order] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)
    holdings: list[Holding] = field(default_factory=list)
    funds: Funds = field(
        default_factory=lambda: Funds(available=Decimal("8423107.50"), used=Decimal("718204.50"))
    )
    answers: list[Outcome] = field(default_factory=list)
    sent: list[PlaceOrder | ModifyOrder | CancelOrder | ConvertPosition] = field(default_factory=list)
    terms: Terms = field(default_factory=Terms)
    days: list[PaperDay] = field(default_factory=list)
    generation: int = 1
    down: bool = False


class HandBroker(Broker):
    """Takes orders, fills market orders at 1,536.90, and reads from `books`."""

    manifest = catalog.manifest("paper")
    books: Books

    def _up(self) -> None:
        if self.books.down:
            raise BrokerUnavailable("paper", text="The paper exchange does not answer")

    def _place(self, order: PlaceOrder) -> Outcome:
        self.books.sent.append(order)
        answer = self.books.answers.pop(0) if self.books.answers else None
        if isinstance(answer, Refused | Ambiguous):
            return answer
        filled = order.order_type is OrderType.MARKET
        made = Order(
            order_id=f"26112400{len(self.books.orders) + 1:06}",
            client_order_id=order.client_order_id,
            symbol=order.instrument.symbol,
            exchange=order.instrument.exchange,
            side=order.side,
            quantity=order.quantity,
            filled=order.quantity if filled else Decimal(0),
            order_type=order.order_type,
            product=order.product,
            price=order.price,
            trigger_price=order.trigger_price,
            average_price=Decimal("1536.9") if filled else None,
            state=OrderState.COMPLETE if filled else OrderState.OPEN,
            placed_at=self.clock.now(),
            updated_at=self.clock.now(),
        )
        self.books.orders.append(made)
        return Accepted(made.order_id)

    def _modify(self, change: ModifyOrder) -> Outcome:
        self.books.sent.append(change)
        self._swap(
            change.order_id, quantity=change.quantity, price=change.price, order_type=change.order_type
        )
        return Accepted(change.order_id)

    def _cancel(self, wish: CancelOrder) -> Outcome:
        self.books.sent.append(wish)
        self._swap(wish.order_id, state=OrderState.CANCELLED)
        return Accepted(wish.order_id)

    def _convert(self, wish: ConvertPosition) -> Outcome:
        self.books.sent.append(wish)
        answer = self.books.answers.pop(0) if self.books.answers else None
        if isinstance(answer, Refused | Ambiguous):
            return answer
        for at, row in enumerate(self.books.positions):
            if (row.symbol, row.product) == (wish.instrument.symbol, wish.product):
                units = wish.quantity * wish.side.sign
                self.books.positions[at] = replace(row, quantity=row.quantity - units)
                self.books.positions.append(replace(row, quantity=units, product=wish.to_product))
                break
        return Accepted(wish.client_order_id)

    def _swap(self, order_id: str, **changes: Any) -> None:
        self.books.orders = [
            replace(one, **changes) if one.order_id == order_id else one for one in self.books.orders
        ]

    def _fetch_orders(self) -> list[Order]:
        self._up()
        return list(self.books.orders)

    def _fetch_order(self, order_id: str) -> Order | None:
        self._up()
        return next((one for one in self.books.orders if one.order_id == order_id), None)

    def _fetch_trades(self) -> list[Trade]:
        self._up()
        return list(self.books.trades)

    def _fetch_positions(self) -> list[Position]:
        self._up()
        return list(self.books.positions)

    def _fetch_holdings(self) -> list[Holding]:
        self._up()
        return list(self.books.holdings)

    def _fetch_funds(self) -> Funds:
        self._up()
        return self.books.funds

    def _fetch_margin(self, orders: Sequence[PlaceOrder]) -> Margin:
        self._up()
        return Margin(total=sum(((o.price or Decimal(1537)) * o.quantity / 5 for o in orders), Decimal(0)))

    def _fetch_quotes(self, instruments: Sequence[Instrument]) -> list[Quote | None]:
        self._up()
        return [quote(one, self.clock.now()) for one in instruments]

    def _fetch_depth(self, instrument: Instrument) -> Depth:
        self._up()
        return Depth(
            quote=quote(instrument, self.clock.now()),
            bids=tuple(DepthLevel(1536.9 - n / 10, 600 + n, 4) for n in range(5)),
            asks=tuple(DepthLevel(1537.0 + n / 10, 300 + n, 3) for n in range(5)),
            total_buy_quantity=184306,
            total_sell_quantity=211942,
        )

    def _fetch_candles(self, instrument: Instrument, interval: str, start: date, end: date) -> list[Candle]:
        first = int(datetime(2026, 11, 24, 4, 0, tzinfo=self.clock.now().tzinfo).timestamp())
        return [Candle(first + 300 * n, 1536.0, 1538.0, 1535.0, 1537.0, 100 + n) for n in range(3)]

    # -- what only a paper account has
    def fetch_terms(self) -> dict[str, str]:
        self._up()
        return self.books.terms.texts()

    def change_terms(self, changes: dict[str, str]) -> dict[str, str]:
        self.books.terms = self.books.terms.changed(changes)
        return self.fetch_terms()

    def reset(self) -> int:
        self.books.generation += 1
        return self.books.generation

    def fetch_days(self, generation: int = 0) -> list[PaperDay]:
        self._up()
        return list(self.books.days)


def quote(instrument: Instrument, at: datetime) -> Quote:
    return Quote(
        symbol=instrument.symbol,
        exchange=instrument.exchange,
        last_price=1537.0,
        open=1546.4,
        high=1552.0,
        low=1533.1,
        close=1548.5,
        volume=322154,
        at=at,
        bid=1536.9,
        ask=1537.0,
    )


def order(at: datetime, number: int = 1, **changes: Any) -> Order:
    """A working limit order, placed `number` minutes before `at`."""
    values: dict[str, Any] = {
        "order_id": f"2611240000{number:04}",
        "symbol": "RELIANCE",
        "exchange": Exchange.NSE,
        "side": Side.BUY,
        "quantity": Decimal(100),
        "order_type": OrderType.LIMIT,
        "product": Product.INTRADAY,
        "state": OrderState.OPEN,
        "placed_at": at - timedelta(minutes=number),
        "updated_at": at - timedelta(minutes=number),
        "price": Decimal("1536.5"),
    }
    return Order(**(values | changes))


def position(**changes: Any) -> Position:
    """100 RELIANCE bought at 1,531.45, worth 555.00 more now."""
    values: dict[str, Any] = {
        "symbol": "RELIANCE",
        "exchange": Exchange.NSE,
        "product": Product.INTRADAY,
        "quantity": Decimal(100),
        "average_price": Decimal("1531.45"),
        "last_price": 1537.0,
        "realised": Decimal(0),
        "unrealised": Decimal("555.00"),
    }
    return Position(**(values | changes))
