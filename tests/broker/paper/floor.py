"""A trading floor for tests: a market moved by hand, a clock moved by hand, and the paper exchange between them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from broker.paper import settlement, statements
from broker.paper.account import Account
from broker.paper.booked import BookedOrder
from broker.paper.charges import no_charges
from broker.paper.exchange import PaperExchange
from broker.paper.market import rolling_day
from broker.paper.numbers import Numbers
from broker.paper.rules import Terms
from domain.conversion import ConvertPosition
from domain.ledger import LedgerChanges
from domain.market import Candle, Depth, DepthLevel, Quote, Tick
from domain.model import (
    CancelOrder,
    Exchange,
    Funds,
    Instrument,
    InstrumentKind,
    ModifyOrder,
    OrderType,
    PlaceOrder,
    Position,
    Product,
    Side,
)
from domain.outcomes import Outcome

D = Decimal
START = datetime(2026, 8, 24, 4, 0, tzinfo=UTC)
LEVELS = 5
PLENTY = 1_000_000


def instrument(
    symbol: str = "RELIANCE",
    exchange: Exchange = Exchange.NSE,
    kind: InstrumentKind = InstrumentKind.EQUITY,
    **more: Any,
) -> Instrument:
    values: dict[str, Any] = {
        "name": symbol,
        "lot_size": 1,
        "tick_size": D("0.05"),
        "broker_symbol": symbol,
        "broker_exchange": exchange.value,
        "broker_token": symbol,
        **more,
    }
    return Instrument(symbol=symbol, exchange=exchange, kind=kind, **values)


SHARE = instrument()
FUTURE = instrument(
    "NIFTY29SEP26FUT",
    Exchange.NFO,
    InstrumentKind.FUTURE,
    name="NIFTY",
    lot_size=65,
    tick_size=D("0.1"),
    expiry=date(2026, 9, 29),
)
CALL = instrument(
    "NIFTY29SEP2625000CE",
    Exchange.NFO,
    InstrumentKind.CALL,
    name="NIFTY",
    lot_size=65,
    expiry=date(2026, 9, 29),
    strike=D(25000),
)
CRUDE = instrument(
    "CRUDEOIL19OCT26FUT",
    Exchange.MCX,
    InstrumentKind.FUTURE,
    name="CRUDEOIL",
    tick_size=D(1),
    expiry=date(2026, 10, 19),
    contract_value=D(100),
)
RUPEE = instrument(
    "USDINR28SEP26FUT",
    Exchange.CDS,
    InstrumentKind.FUTURE,
    name="USDINR",
    tick_size=D("0.0025"),
    expiry=date(2026, 9, 28),
    contract_value=D(1000),
)
INDEX = instrument("NIFTY", Exchange.NSE_INDEX, InstrumentKind.INDEX)


class Hands:
    """The clock: it stands still until it is moved."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def forward(self, **by: float) -> datetime:
        self.at += timedelta(**by)
        return self.at


class HandMarket:
    """Prices as last shown. Each side has five levels a tick apart, `quantity` on each."""

    feed = "paper"

    def __init__(self, clock: Hands) -> None:
        self.clock = clock
        self.last: dict[tuple[Exchange, str], Tick] = {}

    def show(self, one: Instrument, last: str | Decimal, *, spread: int = 1, quantity: int = PLENTY) -> Tick:
        """Trade at `last`; bid and ask stand `spread` ticks below and above it (0: at it)."""
        step, price = one.tick_size, D(last)
        bids = [max(step, price - step * (spread + n)) for n in range(LEVELS)]
        asks = [price + step * (spread + n) for n in range(LEVELS)]
        return self._keep(one, price, self._levels(bids, quantity), self._levels(asks, quantity), quantity)

    def show_book(
        self,
        one: Instrument,
        last: str,
        bids: Iterable[tuple[str, int]],
        asks: Iterable[tuple[str, int]],
        traded: int = 1,
    ) -> Tick:
        """The same with the levels given."""
        levels = [tuple(DepthLevel(float(price), size) for price, size in side) for side in (bids, asks)]
        return self._keep(one, D(last), levels[0], levels[1], traded)

    def show_last(self, one: Instrument, last: str) -> Tick:
        """A feed that knows the last price alone."""
        return self._keep(one, D(last), (), (), 0)

    @staticmethod
    def _levels(prices: list[Decimal], quantity: int) -> tuple[DepthLevel, ...]:
        return tuple(DepthLevel(float(price), quantity, 1) for price in prices)

    def _keep(
        self,
        one: Instrument,
        price: Decimal,
        bids: tuple[DepthLevel, ...],
        asks: tuple[DepthLevel, ...],
        traded: int,
    ) -> Tick:
        at = int(self.clock.now().timestamp() * 1000)
        tick = Tick(
            exchange=one.exchange.value,
            symbol=one.symbol,
            mode=3,
            last_price=float(price),
            ltt=at,
            timestamp=at,
            last_quantity=traded,
            bid=bids[0].price if bids else 0.0,
            ask=asks[0].price if asks else 0.0,
            bid_quantity=bids[0].quantity if bids else 0,
            ask_quantity=asks[0].quantity if asks else 0,
            bids=bids,
            asks=asks,
        )
        self.last[one.exchange, one.symbol] = tick
        return tick

    def quote(self, instrument: Instrument, at: datetime) -> Quote | None:
        tick = self.last.get((instrument.exchange, instrument.symbol))
        if tick is None:
            return None
        return Quote(
            symbol=instrument.symbol,
            exchange=instrument.exchange,
            last_price=tick.last_price,
            open=tick.last_price,
            high=tick.last_price,
            low=tick.last_price,
            close=tick.last_price,
            volume=1,
            at=datetime.fromtimestamp(tick.timestamp / 1000, UTC),
            bid=tick.bid,
            ask=tick.ask,
            bid_quantity=tick.bid_quantity,
            ask_quantity=tick.ask_quantity,
        )

    def depth(self, instrument: Instrument, at: datetime) -> Depth | None:
        quote = self.quote(instrument, at)
        if quote is None:
            return None
        tick = self.last[instrument.exchange, instrument.symbol]
        return Depth(quote=quote, bids=tick.bids, asks=tick.asks)

    def ticks(self, instruments: Iterable[Instrument], since: datetime, until: datetime) -> list[Tick]:
        low, high = since.timestamp() * 1000, until.timestamp() * 1000
        keys = [(one.exchange, one.symbol) for one in instruments]
        shown = [self.last[key] for key in keys if key in self.last]
        return [tick for tick in shown if low < tick.timestamp <= high]

    def candles(self, instrument: Instrument, interval: str, start: date, end: date) -> list[Candle]:
        return []

    def trading_day(self, at: datetime) -> date:
        return rolling_day(at)


class Floor:
    """One account, "1", on one market."""

    def __init__(self, **terms: str) -> None:
        self.clock = Hands()
        self.market = HandMarket(self.clock)
        self.exchange = PaperExchange(
            self.market, Numbers(lambda _: 0, lambda _: 0), Terms().changed(terms), no_charges
        )
        self.timekeeper = settlement.Timekeeper(settlement.underlying_lookup(self._lookup))
        self._ids = count(1)
        self.account_name = "1"

    @staticmethod
    def _lookup(exchange: Exchange, symbol: str) -> Instrument | None:
        return INDEX if (exchange, symbol) == (INDEX.exchange, INDEX.symbol) else None

    @property
    def account(self) -> Account:
        return self.exchange.account(self.account_name, self.clock.now())

    def client_id(self) -> str:
        return f"c{next(self._ids):015d}"

    def place(
        self,
        one: Instrument = SHARE,
        side: Side = Side.BUY,
        quantity: int | str = 100,
        order_type: OrderType = OrderType.MARKET,
        product: Product = Product.INTRADAY,
        price: str | Decimal | None = None,
        trigger: str | Decimal | None = None,
        **more: Any,
    ) -> Outcome:
        order = PlaceOrder(
            client_order_id=more.pop("client_order_id", None) or self.client_id(),
            instrument=one,
            side=side,
            quantity=D(quantity),
            order_type=order_type,
            product=product,
            price=None if price is None else D(price),
            trigger_price=None if trigger is None else D(trigger),
            **more,
        )
        return self.exchange.place(self.account_name, order, self.clock.now())

    def buy(self, *args: Any, **more: Any) -> BookedOrder:
        return self.taken(self.place(*args, **more))

    def sell(self, one: Instrument = SHARE, *args: Any, **more: Any) -> BookedOrder:
        return self.taken(self.place(one, Side.SELL, *args, **more))

    def taken(self, outcome: Outcome) -> BookedOrder:
        order_id = getattr(outcome, "order_id", "")
        assert order_id in self.account.orders, outcome
        return self.account.orders[order_id]

    def limit(self, side: Side, price: str, quantity: int = 100, **more: Any) -> BookedOrder:
        more = {"one": SHARE, "product": Product.INTRADAY, **more}
        return self.taken(
            self.place(side=side, quantity=quantity, order_type=OrderType.LIMIT, price=price, **more)
        )

    def modify(self, order: BookedOrder, **changes: Any) -> Outcome:
        terms = order.terms
        values: dict[str, Any] = {
            "quantity": terms.quantity,
            "order_type": terms.order_type,
            "price": terms.price,
            "trigger_price": terms.trigger_price,
        } | {key: D(value) if key != "order_type" else value for key, value in changes.items()}
        change = ModifyOrder(
            client_order_id=self.client_id(),
            order_id=order.order_id,
            instrument=order.instrument,
            side=order.side,
            product=order.line.product,
            **values,
        )
        return self.exchange.modify(self.account_name, change, self.clock.now())

    def cancel(self, order: BookedOrder | str) -> Outcome:
        order_id = order if isinstance(order, str) else order.order_id
        wish = CancelOrder(client_order_id=self.client_id(), order_id=order_id)
        return self.exchange.cancel(self.account_name, wish, self.clock.now())

    def convert(
        self,
        one: Instrument = SHARE,
        quantity: int | str | Decimal = 100,
        product: Product = Product.INTRADAY,
        to: Product = Product.DELIVERY,
        side: Side = Side.BUY,
        client_order_id: str = "",
    ) -> Outcome:
        wish = ConvertPosition(
            client_order_id=client_order_id or self.client_id(),
            instrument=one,
            side=side,
            quantity=D(quantity),
            product=product,
            to_product=to,
        )
        return self.exchange.convert(self.account_name, wish, self.clock.now())

    def tick(self, one: Instrument, last: str | Decimal, **how: Any) -> None:
        """A second later the market trades at `last`, and resting orders meet it."""
        self.clock.forward(seconds=1)
        self.exchange.on_tick(self.market.show(one, last, **how))

    def keep_time(self) -> None:
        self.timekeeper.keep(self.exchange, self.clock.now())

    def next_day(self) -> None:
        self.clock.forward(days=1)
        self.keep_time()

    def funds(self) -> Funds:
        return statements.funds(self.exchange, self.account, self.clock.now())

    def positions(self) -> list[Position]:
        return statements.positions(self.exchange, self.account, self.clock.now())

    def position(self, one: Instrument = SHARE, product: Product = Product.INTRADAY) -> Position:
        rows = [p for p in self.positions() if p.symbol == one.symbol and p.product is product]
        assert len(rows) == 1, rows
        return rows[0]

    def take(self) -> LedgerChanges:
        return self.exchange.take_changes()

    def check_books(self) -> None:
        """The identities that hold after every step."""
        account, money = self.account, self.account.balances
        lines = list(account.lines.values())
        working = [order for order in account.orders.values() if order.state.is_working]
        assert money.total() == 0
        assert money.capital == -account.record.starting_capital
        assert money.orders == sum((order.reserved for order in working), D(0))
        assert money.positions == sum((line.margin for line in lines), D(0))
        assert money.stock == sum((held.cost for held in account.shares.values()), D(0))
        assert all(order.told == order.snapshot() for order in account.orders.values())
        for line in lines:
            assert line.quantity or not (line.cost or line.margin)
            assert (line.quantity > 0) == (line.cost > 0) or line.cost == 0
            assert line.margin >= 0
            for side in (Side.BUY, Side.SELL):
                for order, need in line.needs(side, account.terms):
                    assert order.reserved == need, (order.snapshot(), need)
