"""The vocabulary of the platform: one word for one thing, used by every room.

What is owed is Decimal (orders, trades, positions, holdings, funds); what is only seen is float
(ticks, quotes, depth, candles). Quantities are units, never lots. Times are aware datetimes.
Not for JSON: public field names live in `restx_api/fields`, brokers' names in each `wire.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import NamedTuple


class Exchange(StrEnum):
    """Where an instrument trades; the value is the public API's code."""

    NSE = "NSE"
    NFO = "NFO"
    CDS = "CDS"
    BSE = "BSE"
    BFO = "BFO"
    BCD = "BCD"
    MCX = "MCX"
    NCDEX = "NCDEX"
    NCO = "NCO"
    NSE_INDEX = "NSE_INDEX"
    BSE_INDEX = "BSE_INDEX"
    MCX_INDEX = "MCX_INDEX"
    GLOBAL_INDEX = "GLOBAL_INDEX"
    CRYPTO = "CRYPTO"


QUOTE_ONLY = frozenset({Exchange.NSE_INDEX, Exchange.BSE_INDEX, Exchange.MCX_INDEX, Exchange.GLOBAL_INDEX})
CASH = frozenset({Exchange.NSE, Exchange.BSE})
DERIVATIVES = frozenset(
    {
        Exchange.NFO,
        Exchange.BFO,
        Exchange.MCX,
        Exchange.CDS,
        Exchange.NCO,
        Exchange.BCD,
        Exchange.NCDEX,
        Exchange.CRYPTO,
    }
)


class Product(StrEnum):
    """How long a position is meant to be held; the value is the public API's code."""

    INTRADAY = "MIS"
    DELIVERY = "CNC"
    CARRY = "NRML"


def products_of(exchange: Exchange) -> frozenset[Product]:
    """The products an exchange takes; none where nothing is traded."""
    if exchange in QUOTE_ONLY:
        return frozenset()
    return frozenset({Product.INTRADAY, Product.DELIVERY if exchange in CASH else Product.CARRY})


class Side(StrEnum):
    """Which way an order trades. Never a sign; positions are signed, sides are not."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY

    @property
    def sign(self) -> int:
        """+1 for BUY, -1 for SELL: the direction in which a fill moves a position."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    """How an order is priced; the value is the public API's `pricetype`."""

    MARKET = "MARKET"
    LIMIT = "LIMIT"
    STOP_LIMIT = "SL"
    STOP_MARKET = "SL-M"

    @property
    def has_price(self) -> bool:
        return self in (OrderType.LIMIT, OrderType.STOP_LIMIT)

    @property
    def has_trigger(self) -> bool:
        return self in (OrderType.STOP_LIMIT, OrderType.STOP_MARKET)


class InstrumentKind(StrEnum):
    """What an instrument is; the value is the public master's `instrumenttype`."""

    EQUITY = "EQ"
    INDEX = "INDEX"
    FUTURE = "FUT"
    CALL = "CE"
    PUT = "PE"
    PERPETUAL = "PERPFUT"
    SPOT = "SPOT"

    @property
    def is_option(self) -> bool:
        return self in (InstrumentKind.CALL, InstrumentKind.PUT)

    @property
    def is_future(self) -> bool:
        return self in (InstrumentKind.FUTURE, InstrumentKind.PERPETUAL)


class OrderState(StrEnum):
    """An order as the broker knows it. A partial fill is OPEN with filled > 0, not a state.

    UNKNOWN is a row whose status word we cannot read: the word is kept, other rows are served.
    """

    PENDING = "PENDING"
    OPEN = "OPEN"
    TRIGGER_PENDING = "TRIGGER_PENDING"
    UNKNOWN = "UNKNOWN"
    COMPLETE = "COMPLETE"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"

    @property
    def is_final(self) -> bool:
        return self in FINAL_ORDER_STATES

    @property
    def is_working(self) -> bool:
        return not self.is_final


FINAL_ORDER_STATES = frozenset(
    {OrderState.COMPLETE, OrderState.CANCELLED, OrderState.REJECTED, OrderState.EXPIRED}
)


class IntentKind(StrEnum):
    """What a journal row asks of the broker."""

    PLACE = "PLACE"
    MODIFY = "MODIFY"
    CANCEL = "CANCEL"
    CONVERT = "CONVERT"


class IntentState(StrEnum):
    """Our journal's state. Only broker evidence leaves UNKNOWN."""

    PARKED = "PARKED"
    QUEUED = "QUEUED"
    SENDING = "SENDING"
    UNKNOWN = "UNKNOWN"
    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    EXPIRED = "EXPIRED"

    @property
    def is_final(self) -> bool:
        return self in (IntentState.ACCEPTED, IntentState.REFUSED, IntentState.EXPIRED)


class Mode(StrEnum):
    """Whether an account's orders reach a real broker (LIVE) or the paper exchange (ANALYZE)."""

    LIVE = "live"
    ANALYZE = "analyze"


class OrderMode(StrEnum):
    """AUTO sends at once; SEMI_AUTO parks orders for approval in the Action Center."""

    AUTO = "auto"
    SEMI_AUTO = "semi_auto"


class StreamMode(IntEnum):
    """How much of a tick a subscriber wants; the number is the WebSocket API's mode."""

    LTP = 1
    QUOTE = 2
    DEPTH = 3

    @property
    def label(self) -> str:
        return {1: "LTP", 2: "Quote", 3: "Depth"}[self.value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One tradable (or quotable) thing, as one broker's master lists it.

    symbol           canonical symbol of the public grammar, e.g. NIFTY28MAR2420800CE
    name             company name for equities; the underlying's exact base for derivatives
    expiry           last trading date; None where nothing expires
    strike           rupees; None for what is not an option
    lot_size         units an order must be a multiple of; 1 in cash
    tick_size        rupees
    freeze_quantity  largest quantity of one order, units; None when not known (then not enforced)
    contract_value   what P&L per unit and point is multiplied by; 1 but for crypto and some commodities
    broker_*         this broker's own spelling and identifier
    """

    symbol: str
    exchange: Exchange
    kind: InstrumentKind
    name: str
    lot_size: int
    tick_size: Decimal
    broker_symbol: str
    broker_exchange: str
    broker_token: str
    expiry: date | None = None
    strike: Decimal | None = None
    freeze_quantity: int | None = None
    contract_value: Decimal = Decimal(1)

    @property
    def key(self) -> InstrumentKey:
        return InstrumentKey(self.exchange, self.symbol)


class InstrumentKey(NamedTuple):
    """The pair that names an instrument everywhere outside a broker's room."""

    exchange: Exchange
    symbol: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """What a door asks for, before anything is looked up.

    price          limit price, rupees; None when the type has none
    trigger_price  rupees; None when the type has none
    strategy       free label of the caller
    reduce_only    True when the door knows that this can only shrink a position (square-off)
    """

    symbol: str
    exchange: Exchange
    side: Side
    quantity: Decimal
    order_type: OrderType = OrderType.MARKET
    product: Product = Product.INTRADAY
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    disclosed_quantity: Decimal = Decimal(0)
    strategy: str = ""
    reduce_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOrder:
    """A resolved, gated order on its way to a broker.

    client_order_id  16 of [a-z0-9], ours, unique for ever; travels in the broker's tag field
    urgent           proven to reduce a position: goes before others where calls are paced
    """

    client_order_id: str
    instrument: Instrument
    side: Side
    quantity: Decimal
    order_type: OrderType
    product: Product
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    disclosed_quantity: Decimal = Decimal(0)
    strategy: str = ""
    algo_id: str = ""
    urgent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifyOrder:
    """The full new terms of a working order; quantity is the total, not the remainder."""

    client_order_id: str
    order_id: str
    instrument: Instrument
    side: Side
    quantity: Decimal
    order_type: OrderType
    product: Product
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    disclosed_quantity: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder:
    """A wish to end a working order. `order_id` is the broker's."""

    client_order_id: str
    order_id: str
    instrument: Instrument | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order, as the broker last reported it.

    client_order_id  our tag when the broker carries one, else ""
    quantity, filled units, never lots; 0 <= filled <= quantity
    price            None when the type has none
    average_price    rupees per unit; None until the first fill
    placed_at        when the broker took it; updated_at when it last changed
    reason           the broker's own words when REJECTED, else ""
    status_word      the broker's own status word, kept for the timeline
    """

    order_id: str
    symbol: str
    exchange: Exchange
    side: Side
    quantity: Decimal
    order_type: OrderType
    product: Product
    state: OrderState
    placed_at: datetime
    updated_at: datetime
    client_order_id: str = ""
    filled: Decimal = Decimal(0)
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    average_price: Decimal | None = None
    disclosed_quantity: Decimal = Decimal(0)
    reason: str = ""
    status_word: str = ""
    strategy: str = ""

    @property
    def pending(self) -> Decimal:
        """Units that may still trade; 0 once final."""
        return Decimal(0) if self.state.is_final else self.quantity - self.filled


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One fill. `price` is per unit; `trade_id` is the exchange's and unique within the account."""

    trade_id: str
    order_id: str
    symbol: str
    exchange: Exchange
    side: Side
    product: Product
    quantity: Decimal
    price: Decimal
    traded_at: datetime
    strategy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A net position of one instrument and product.

    quantity       signed units, short < 0; 0 for a position closed today
    average_price  of the open quantity; None when flat
    last_price     None when not known
    realised       rupees booked today; None where the broker does not say
    unrealised     rupees on the open quantity; None where it cannot be computed
    total_realised rupees booked since the account began; None where not known (live brokers)
    """

    symbol: str
    exchange: Exchange
    product: Product
    quantity: Decimal
    average_price: Decimal | None = None
    last_price: float | None = None
    realised: Decimal | None = None
    unrealised: Decimal | None = None
    total_realised: Decimal | None = None
    contract_value: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Settled (or settling) delivery shares. `settles_on` None when settled; `sold_today` is what `quantity` counts no
    more because it was sold today, where the broker says so."""

    symbol: str
    exchange: Exchange
    quantity: Decimal
    average_price: Decimal
    last_price: float | None = None
    settles_on: date | None = None
    product: Product = Product.DELIVERY
    sold_today: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Funds:
    """Money of one account, rupees. The last block is kept by the paper exchange only (else None)."""

    available: Decimal
    used: Decimal
    collateral: Decimal = Decimal(0)
    realised: Decimal = Decimal(0)
    unrealised: Decimal = Decimal(0)
    total_realised: Decimal | None = None
    starting_capital: Decimal | None = None
    charges: Decimal | None = None
    last_reset: datetime | None = None
    reset_count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """What a set of orders would block, rupees. Parts are None where the broker gives no split."""

    total: Decimal
    span: Decimal | None = None
    exposure: Decimal | None = None
    benefit: Decimal | None = None


class GttKind(StrEnum):
    """One trigger, or two of which the first to fire cancels the other; the value is the public book's."""

    SINGLE = "single"
    OCO = "two-leg"


@dataclass(frozen=True, slots=True, kw_only=True)
class GttLeg:
    """One trigger and the order that it releases. `price` is None for MARKET."""

    trigger_price: Decimal
    side: Side
    quantity: Decimal
    product: Product
    order_type: OrderType = OrderType.LIMIT
    price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceGtt:
    """A good-till-triggered wish. Legs in ascending trigger order: one for SINGLE, two for OCO.

    last_price  the instrument's price now, which tells the broker from which side each trigger is crossed
    """

    instrument: Instrument
    kind: GttKind
    legs: tuple[GttLeg, ...]
    last_price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Gtt:
    """One active trigger, as the broker keeps it. `status` is the broker's word, in lower case."""

    trigger_id: str
    kind: GttKind
    status: str
    symbol: str
    exchange: Exchange
    legs: tuple[GttLeg, ...]
    last_price: Decimal | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEvent:
    """One transition of one order, in the account's own numbering (seq has no gaps, starts at 1)."""

    account_id: int
    seq: int
    order: Order
    at: datetime
    source: str = ""
    mode: Mode = Mode.ANALYZE
    broker: str = "paper"
    extra: dict[str, str] = field(default_factory=dict)
