"""What every broker looks like to the services: the calls, their answers, and the capability check.

`place`, `modify`, `cancel` and `convert` return an Outcome and raise only InvalidRequest and NotSupported, before
anything is sent. Reads return data or raise a BrokerError; an empty list is data. A subclass supplies the `_` methods.
Instances are used from many threads at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from broker.manifest import Manifest
from broker.postback import Postback
from domain.clock import Clock
from domain.conversion import ConvertPosition
from domain.errors import NotSupported
from domain.market import Candle, Depth, Quote
from domain.masters import BadRow
from domain.model import (
    CancelOrder,
    Exchange,
    Funds,
    Gtt,
    Holding,
    Instrument,
    Margin,
    ModifyOrder,
    Order,
    OrderType,
    PlaceGtt,
    PlaceOrder,
    Position,
    Product,
    Trade,
)
from domain.outcomes import Outcome

if TYPE_CHECKING:
    from broker.stream import BrokerStream

InstrumentLookup = Callable[[str, str], Instrument | None]
"""(broker_exchange, broker_token or broker_symbol) -> Instrument of the account's own master, None when unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSession:
    """One account's live login.

    account   our account id, as text; paper accounts are known by it at the exchange
    tokens    what login returned (never logged); empty for paper
    urls      overrides of the manifest's URLs, by role (a simulator, a test)
    counted   folder in which all processes count this account's calls; None counts them in this process alone
    """

    account: str
    tokens: dict[str, str]
    urls: dict[str, str]
    opened_at: datetime
    expires_at: datetime | None = None
    counted: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What a login gives. `values` is secret: kept encrypted and handed back as BrokerSession.tokens.

    expires_at  when the broker ends the session; None when it does not say
    """

    user_id: str
    values: dict[str, str]
    expires_at: datetime | None = None


def _nobody_listens() -> None:
    """What a broker calls when its session is over, until somebody wants to know."""


RenewData = Callable[[Mapping[str, str]], dict[str, str] | None]
"""The tokens that were refused for market data -> those to go on with, once; None when there are none to be had."""


def nobody_renews(refused: Mapping[str, str]) -> dict[str, str] | None:
    """Market data that is over stays over, until somebody can log in for it."""
    return None


class Broker:
    """A broker, for one session. See the module docstring for what may be raised."""

    manifest: ClassVar[Manifest]
    stream: ClassVar[type[BrokerStream] | None] = None
    """Its live feed; None when it has none of its own."""

    def __init_subclass__(cls) -> None:
        """A member of a family gives its facts to the family's stream."""
        super().__init_subclass__()
        if cls.stream is not None and "manifest" in vars(cls):
            cls.stream = type(cls.stream.__name__, (cls.stream,), {"manifest": cls.manifest})

    def __init__(self, session: BrokerSession, find: InstrumentLookup, clock: Clock) -> None:
        self.session = session
        self.find = find
        self.on_over: Callable[[], None] = _nobody_listens
        self.renew_data: RenewData = nobody_renews
        self.clock = clock

    # -- login
    @classmethod
    def login_page(cls, values: Mapping[str, str], urls: Mapping[str, str], state: str) -> str:
        """Where to send the person's browser; "" when the login has no page.

        values  the stored fields of the manifest's login form; urls as BrokerSession.urls
        state   comes back in the redirect where the broker carries it
        """
        return ""

    @classmethod
    def log_in(cls, values: Mapping[str, str], urls: Mapping[str, str], clock: Clock) -> Tokens:
        """Open a session with the stored fields and what was asked or came back in the redirect.

        Raises LoginFailed with the broker's words, BrokerUnavailable when it was not reached.
        """
        raise NotSupported(f"{cls.manifest.title} has no login")

    @classmethod
    def log_in_data(cls, values: Mapping[str, str], urls: Mapping[str, str], clock: Clock) -> dict[str, str]:
        """Open the market data's own session anew from the stored fields; the tokens to replace. Raises as `log_in`."""
        raise NotSupported(f"{cls.manifest.title} has one session for orders and market data")

    def log_out(self) -> None:
        """End the session at the broker, as far as it offers that. Never raises for a session already over."""

    @classmethod
    def read_postback(cls, body: bytes) -> Postback:
        """Read an order update that came by HTTP. Raises InvalidRequest for what is none."""
        raise NotSupported(f"{cls.manifest.title} sends no postbacks that can be proven")

    # -- orders
    def place(self, order: PlaceOrder) -> Outcome:
        """Send a new order once."""
        self.check(order.instrument.exchange, order.order_type, order.product)
        return self._place(order)

    def check(self, exchange: Exchange, order_type: OrderType, product: Product) -> None:
        """Raise NotSupported for what the manifest does not declare; asked before an order is journalled."""
        can = self.manifest.can
        if exchange not in can.exchanges:
            raise NotSupported(f"{self.manifest.title} does not trade {exchange}")
        if order_type not in can.order_types:
            raise NotSupported(f"{self.manifest.title} does not take {order_type} orders")
        if product not in can.products:
            raise NotSupported(f"{self.manifest.title} does not take product {product}")

    def modify(self, change: ModifyOrder) -> Outcome:
        """Replace the terms of a working order."""
        can = self.manifest.can
        if not can.modify:
            raise NotSupported(f"{self.manifest.title} cannot modify orders")
        if change.order_type not in can.order_types:
            raise NotSupported(f"{self.manifest.title} does not take {change.order_type} orders")
        return self._modify(change)

    def cancel(self, wish: CancelOrder) -> Outcome:
        """End a working order."""
        return self._cancel(wish)

    def convert(self, wish: ConvertPosition) -> Outcome:
        """Hold a part of a position under another product. The Accepted id is the wish's own: brokers give none."""
        self.check_convert(wish.instrument.exchange, wish.to_product)
        return self._convert(wish)

    def check_convert(self, exchange: Exchange, to_product: Product) -> None:
        """Raise NotSupported for a conversion that the manifest does not declare; asked before it is journalled."""
        can = self.manifest.can
        if not can.convert:
            raise NotSupported(f"{self.manifest.title} cannot convert positions through its API")
        if exchange not in can.exchanges or to_product not in can.products:
            raise NotSupported(f"{self.manifest.title} does not take product {to_product} on {exchange}")

    # -- triggers kept by the broker
    def place_gtt(self, wish: PlaceGtt) -> Outcome:
        """Leave a good-till-triggered order; the Accepted id is the trigger's."""
        self._can_gtt(wish)
        return self._place_gtt(wish)

    def modify_gtt(self, trigger_id: str, wish: PlaceGtt) -> Outcome:
        """Replace the prices and quantity of an active trigger."""
        self._can_gtt(wish)
        return self._modify_gtt(trigger_id, wish)

    def cancel_gtt(self, trigger_id: str) -> Outcome:
        """Remove an active trigger."""
        self._can_gtt(None)
        return self._cancel_gtt(trigger_id)

    def fetch_gtts(self) -> list[Gtt]:
        """Active triggers, newest first."""
        self._can_gtt(None)
        return self._fetch_gtts()

    # -- books
    def fetch_orders(self) -> list[Order]:
        """Today's orders, oldest first; complete or an error, never a part."""
        self._can_read("orders")
        return self._fetch_orders()

    def fetch_order(self, order_id: str) -> Order | None:
        """One of today's orders; None when the complete book does not hold it."""
        self._can_read("orders")
        return self._fetch_order(order_id)

    def fetch_trades(self) -> list[Trade]:
        """Today's fills, oldest first."""
        self._can_read("trades")
        return self._fetch_trades()

    def fetch_positions(self) -> list[Position]:
        """Net positions, those closed today included."""
        self._can_read("positions")
        return self._fetch_positions()

    def fetch_holdings(self) -> list[Holding]:
        self._can_read("holdings")
        return self._fetch_holdings()

    def fetch_funds(self) -> Funds:
        self._can_read("funds")
        return self._fetch_funds()

    def fetch_margin(self, orders: Sequence[PlaceOrder]) -> Margin:
        """What these orders together would block."""
        self._can_read("margin")
        return self._fetch_margin(orders)

    # -- market data
    def fetch_quotes(self, instruments: Sequence[Instrument]) -> list[Quote | None]:
        """One quote an instrument, in the order asked; None where the broker has none."""
        self._can_read("quotes")
        return self._fetch_quotes(instruments)

    def fetch_depth(self, instrument: Instrument) -> Depth:
        self._can_read("depth")
        return self._fetch_depth(instrument)

    def fetch_candles(self, instrument: Instrument, interval: str, start: date, end: date) -> list[Candle]:
        """Bars of one interval, both dates included, ascending. NotSupported for an undeclared interval."""
        self._can_read("candles")
        if interval not in self.manifest.can.intervals:
            raise NotSupported(f"{self.manifest.title} has no interval '{interval}'")
        return self._fetch_candles(instrument, interval, start, end)

    def fetch_instruments(
        self, folder: Path, progress: Callable[[str, int, int], None]
    ) -> Iterable[Instrument | BadRow]:
        """Download and parse the master. `progress(stage, done, total)`; `folder` is for temporary files.

        Rows that cannot be read come as BadRow. The files must stay until the rows have been taken.
        """
        self._can_read("instruments")
        return self._fetch_instruments(folder, progress)

    def close(self) -> None:
        """Give back sockets and pools. Safe to call twice."""

    # -- for subclasses
    def _can_read(self, what: str) -> None:
        if what not in self.manifest.can.reads:
            raise NotSupported(f"{self.manifest.title} does not offer {what}")

    def _can_gtt(self, wish: PlaceGtt | None) -> None:
        offered = self.manifest.can.gtt
        if not offered or (wish is not None and wish.kind.value not in offered):
            raise NotSupported(f"{self.manifest.title} does not offer GTT orders of this kind")

    def _place(self, order: PlaceOrder) -> Outcome:
        raise NotSupported("place")

    def _modify(self, change: ModifyOrder) -> Outcome:
        raise NotSupported("modify")

    def _cancel(self, wish: CancelOrder) -> Outcome:
        raise NotSupported("cancel")

    def _convert(self, wish: ConvertPosition) -> Outcome:
        raise NotSupported("convert")

    def _place_gtt(self, wish: PlaceGtt) -> Outcome:
        raise NotSupported("gtt")

    def _modify_gtt(self, trigger_id: str, wish: PlaceGtt) -> Outcome:
        raise NotSupported("gtt")

    def _cancel_gtt(self, trigger_id: str) -> Outcome:
        raise NotSupported("gtt")

    def _fetch_gtts(self) -> list[Gtt]:
        raise NotSupported("gtt")

    def _fetch_orders(self) -> list[Order]:
        raise NotSupported("orders")

    def _fetch_order(self, order_id: str) -> Order | None:
        return next((order for order in self._fetch_orders() if order.order_id == order_id), None)

    def _fetch_trades(self) -> list[Trade]:
        raise NotSupported("trades")

    def _fetch_positions(self) -> list[Position]:
        raise NotSupported("positions")

    def _fetch_holdings(self) -> list[Holding]:
        raise NotSupported("holdings")

    def _fetch_funds(self) -> Funds:
        raise NotSupported("funds")

    def _fetch_margin(self, orders: Sequence[PlaceOrder]) -> Margin:
        raise NotSupported("margin")

    def _fetch_quotes(self, instruments: Sequence[Instrument]) -> list[Quote | None]:
        raise NotSupported("quotes")

    def _fetch_depth(self, instrument: Instrument) -> Depth:
        raise NotSupported("depth")

    def _fetch_candles(self, instrument: Instrument, interval: str, start: date, end: date) -> list[Candle]:
        raise NotSupported("candles")

    def _fetch_instruments(
        self, folder: Path, progress: Callable[[str, int, int], None]
    ) -> Iterable[Instrument | BadRow]:
        raise NotSupported("instruments")
