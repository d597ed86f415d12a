"""One broker under test: its simulator, our adapter logged in to it, and the instruments of its own master."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

from broker import catalog
from broker.interface import Broker, BrokerSession, Tokens
from broker.manifest import Capabilities, Manifest
from broker.stream import BrokerStream, StreamSinks, Want
from config import SystemClock
from domain.market import Tick
from domain.model import (
    CASH,
    QUOTE_ONLY,
    Exchange,
    Instrument,
    ModifyOrder,
    Order,
    OrderType,
    PlaceOrder,
    Product,
    Side,
)
from domain.outcomes import Accepted, Outcome
from tests.simulators.faces import simulator
from tests.simulators.server import Simulator

_tags = count(1)


class World:
    """See the module docstring. Rates are a thousand a second here: pacing has tests of its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.clock = SystemClock()
        self.cls = _hurried(catalog.load(name))
        self.manifest: Manifest = self.cls.manifest
        self.can: Capabilities = self.manifest.can
        self.simulator: Simulator = simulator(name)
        self.simulator.strict = True
        self.simulator.start()
        self.tokens = self.log_in()
        self._renewing = threading.Lock()
        self.instruments: dict[tuple[Exchange, str], Instrument] = {}
        self._by_broker: dict[tuple[str, str], Instrument] = {}
        self.broker: Broker = self.connect(self.tokens)
        self.learn_instruments()
        self.simulator.requests.clear()

    # -- opening
    def log_in(self, **changed: str) -> Tokens:
        """The login that a person would do, with the callback's code where there is one."""
        if self.manifest.login.kind == "none":
            return Tokens(user_id=self.simulator.user, values={})
        return self.cls.log_in({**self.simulator.credentials, **changed}, self.simulator.urls, self.clock)

    def connect(self, tokens: Tokens) -> Broker:
        broker = self.cls(self.session(tokens), self.find, self.clock)
        broker.renew_data = self.renew_data
        return broker

    def renew_data(self, refused: Mapping[str, str]) -> dict[str, str] | None:
        """As the platform does (`services/sessions.py`), without its rest between two logins."""
        with self._renewing:
            if refused == self.tokens.values:
                fresh = self.cls.log_in_data(self.simulator.credentials, self.simulator.urls, self.clock)
                self.tokens = replace(self.tokens, values={**refused, **fresh})
            return self.tokens.values

    def session(self, tokens: Tokens | None = None) -> BrokerSession:
        values = (tokens or self.tokens).values
        now = self.clock.now()
        return BrokerSession(account="1", tokens=values, urls=self.simulator.urls, opened_at=now)

    @property
    def has_wire(self) -> bool:
        """Whether requests leave for somebody else's servers, where things can go wrong on the way."""
        return bool(self.manifest.urls)

    def learn_instruments(self) -> None:
        if "instruments" not in self.can.reads:
            self._learn(self.simulator.instruments.values())  # type: ignore[attr-defined]
            return
        with tempfile.TemporaryDirectory() as folder:
            rows = list(self.broker.fetch_instruments(Path(folder), lambda *_: None))
        self._learn(rows)

    def _learn(self, rows: Iterable[object]) -> None:
        for row in rows:
            assert isinstance(row, Instrument), row
            self.instruments[row.exchange, row.symbol] = row
            self._by_broker[row.broker_exchange, row.broker_symbol] = row
        for row in self.instruments.values():
            self._by_broker[row.broker_exchange, row.broker_token] = row

    def find(self, broker_exchange: str, text: str) -> Instrument | None:
        return self._by_broker.get((broker_exchange, text))

    def close(self) -> None:
        self.broker.close()
        self.simulator.stop()

    # -- asking
    def instrument(self, exchange: Exchange = Exchange.NSE, symbol: str = "INFY") -> Instrument:
        return self.instruments[exchange, symbol]

    def one_of(self, exchange: Exchange) -> Instrument | None:
        """Some instrument of an exchange that the simulator lists; None when it lists none."""
        return next((one for key, one in self.instruments.items() if key[0] is exchange), None)

    def tradable(self) -> Iterable[Instrument]:
        """One instrument of each exchange that takes orders."""
        for exchange in sorted(self.can.exchanges - QUOTE_ONLY):
            if (one := self.one_of(exchange)) is not None:
                yield one

    def last_price(self, instrument: Instrument) -> Decimal:
        return Decimal(str(self.simulator.market.quote(self._there(instrument), self.clock.now()).last_price))  # type: ignore[union-attr]

    def request(
        self,
        *,
        instrument: Instrument | None = None,
        side: Side = Side.BUY,
        lots: int = 1,
        order_type: OrderType = OrderType.LIMIT,
        product: Product | None = None,
        rests: bool = True,
    ) -> PlaceOrder:
        """An order: with `rests` priced so that it stays in the book, else so that it trades at once."""
        one = instrument or self.instrument()
        last = self.last_price(one)
        away = 1 - side.sign * Decimal("0.1") if rests else 1 + side.sign * Decimal("0.05")
        beyond = 1 + side.sign * Decimal("0.1")
        return PlaceOrder(
            client_order_id=f"t{next(_tags):05d}{int(time.time()):010d}",
            instrument=one,
            side=side,
            quantity=Decimal(lots * one.lot_size),
            order_type=order_type,
            product=product or self.product(one),
            price=self._price(one, last * (beyond if order_type.has_trigger else away)),
            trigger_price=self._price(one, last * beyond) if order_type.has_trigger else None,
        )

    def product(self, instrument: Instrument) -> Product:
        wanted = (Product.INTRADAY, Product.DELIVERY if instrument.exchange in CASH else Product.CARRY)
        return next(product for product in wanted if product in self.can.products)

    def change(self, order: PlaceOrder, order_id: str, **terms: Any) -> ModifyOrder:
        kept = {
            name: getattr(order, name)
            for name in ("instrument", "side", "quantity", "order_type", "product", "price", "trigger_price")
        }
        return ModifyOrder(client_order_id=f"m{next(_tags):015d}", order_id=order_id, **{**kept, **terms})

    def placed(self, order: PlaceOrder) -> str:
        """The id of an order that must be accepted."""
        outcome: Outcome = self.broker.place(order)
        assert isinstance(outcome, Accepted), outcome
        return outcome.order_id

    def order(self, order_id: str) -> Order:
        found = self.broker.fetch_order(order_id)
        assert found is not None, f"{order_id} is not in the book"
        return found

    def tick(self, instrument: Instrument, price: float | Decimal, quantity: int | None = None) -> None:
        self.simulator.tick(instrument.exchange, instrument.symbol, float(price), quantity)

    def sent(self, op: str) -> int:
        """How many requests of an operation have reached the simulator."""
        return sum(request.op == op for request in self.simulator.requests)

    def taken(self) -> list[dict[str, Any]]:
        """The orders that really exist at the broker."""
        return self.simulator.truth()["orders"]  # type: ignore[return-value]

    def _there(self, instrument: Instrument) -> Instrument:
        return self.simulator.instrument(instrument.exchange, instrument.symbol)

    @staticmethod
    def _price(one: Instrument, price: Decimal) -> Decimal:
        return (price / one.tick_size).to_integral_value() * one.tick_size

    # -- the stream
    @contextlib.asynccontextmanager
    async def stream(self, limits: dict[str, int] | None = None) -> AsyncIterator[Feed]:
        cls = self.cls.stream
        assert cls is not None
        feed = Feed(self, cls, limits or {})
        feed.stream.start()
        try:
            yield feed
        finally:
            await feed.stream.stop()


class Feed:
    """Our stream against the simulator, with what it told kept in lists."""

    def __init__(self, world: World, cls: type[BrokerStream], limits: dict[str, int]) -> None:
        self.world = world
        self.ticks: list[Tick] = []
        self.orders: list[Order] = []
        self.states: list[str] = []
        manifest = replace(world.manifest, limits=replace(world.manifest.limits, **limits))
        quick = type(
            cls.__name__,
            (cls,),
            {"manifest": manifest, "first_pause": 0.02, "longest_pause": 0.2, "watch_every": 0.05,
             "batch_pause": 0.0},
        )  # fmt: skip
        sinks = StreamSinks(self.ticks.extend, self.orders.extend, lambda state, _: self.states.append(state))
        self.stream: BrokerStream = quick(
            "test", world.session(), world.find, world.clock, sinks, lambda: True
        )

    def want(self, *wants: tuple[Instrument, int]) -> None:
        self.stream.want({w.key: w for w in (Want(one, mode) for one, mode in wants)})

    async def until(self, done: Callable[[], Any], seconds: float = 5.0) -> Any:
        """Wait until `done()` is truthy; the value. Fails when it never is."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if value := done():
                return value
            await asyncio.sleep(0.01)
        raise AssertionError(f"never happened; states {self.states}, {len(self.ticks)} ticks")

    async def tick_of(self, instrument: Instrument, price: float) -> Tick:
        """The first tick of an instrument at a price."""

        def seen() -> Tick | None:
            return next(
                (t for t in self.ticks if t.symbol == instrument.symbol and t.last_price == price), None
            )

        found: Tick = await self.until(seen)
        return found


def _hurried(cls: type[Broker]) -> type[Broker]:
    limits = cls.manifest.limits
    quick = replace(limits, requests=dict.fromkeys(limits.requests, 1000.0), per_minute={})
    return type(cls.__name__, (cls,), {"manifest": replace(cls.manifest, limits=quick)})
