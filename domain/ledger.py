"""What the paper exchange keeps: one record a row. The exchange makes them, storage keeps them.

An account's rows belong to a generation; a reset begins the next one and leaves the old rows as they were.
Money is rupees, exact; a ledger entry's seven amounts always sum to zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from domain.model import Exchange, Instrument, IntentKind, Order, Product, Trade

ZERO = Decimal(0)


class EntryKind(StrEnum):
    """Why money moved."""

    CAPITAL = "CAPITAL"
    RESERVE = "RESERVE"
    FILL = "FILL"
    CHARGE = "CHARGE"
    SETTLE = "SETTLE"
    CONVERT = "CONVERT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """Rupees on the seven ledger accounts. Assets and expenses grow upwards, income and capital downwards.

    cash       free to spend
    orders     reserved by working orders
    positions  blocked by open positions
    stock      holdings, at cost
    charges    taxes and fees paid
    realised   profit booked (a gain is negative here: income is a credit)
    capital    what the account was given (negative)
    """

    cash: Decimal = ZERO
    orders: Decimal = ZERO
    positions: Decimal = ZERO
    stock: Decimal = ZERO
    charges: Decimal = ZERO
    realised: Decimal = ZERO
    capital: Decimal = ZERO

    def total(self) -> Decimal:
        """0 for whatever may be booked."""
        return (
            self.cash
            + self.orders
            + self.positions
            + self.stock
            + self.charges
            + self.realised
            + self.capital
        )

    def plus(self, other: Amounts) -> Amounts:
        """The two added, account by account."""
        return Amounts(
            cash=self.cash + other.cash,
            orders=self.orders + other.orders,
            positions=self.positions + other.positions,
            stock=self.stock + other.stock,
            charges=self.charges + other.charges,
            realised=self.realised + other.realised,
            capital=self.capital + other.capital,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One balanced booking. `number` is gapless within the account's generation, from 1."""

    account: str
    generation: int
    number: int
    kind: EntryKind
    at: datetime
    amounts: Amounts
    order_id: str = ""
    trade_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperAccount:
    """One paper account. `terms` holds what differs from the exchange's defaults, as text.

    feed  the market it trades on; day  the trading day it stands in; reset_at  None before the first reset
    """

    name: str
    feed: str
    generation: int
    starting_capital: Decimal
    opened_at: datetime
    day: date
    reset_at: datetime | None = None
    reset_count: int = 0
    terms: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperOrder:
    """An order with what only its exchange knows.

    value      sum of filled quantity x price, rupees (the average is derived)
    reserved   rupees set aside for what is still open; reference  the price that was reckoned with
    live_at    ticks up to here came before it; triggered  a stop that has fired
    charged    taxes and fees booked so far
    """

    account: str
    generation: int
    order: Order
    value: Decimal
    reserved: Decimal
    live_at: datetime
    reference: Decimal | None = None
    triggered: bool = False
    fresh: bool = False
    charged: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperTrade:
    """A fill and the profit it booked."""

    account: str
    generation: int
    trade: Trade
    realised: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperPosition:
    """A net position. `cost` has the quantity's sign (short < 0); `opened_on` is the day its life began."""

    account: str
    generation: int
    exchange: Exchange
    symbol: str
    product: Product
    quantity: Decimal
    cost: Decimal
    margin: Decimal
    realised_today: Decimal
    realised_total: Decimal
    opened_on: date
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperHolding:
    """Delivery shares at cost; quantity 0 ends it."""

    account: str
    generation: int
    exchange: Exchange
    symbol: str
    quantity: Decimal
    cost: Decimal
    settles_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperAnswer:
    """What a request was told; asked again with the same id it is told the same. `code` "" means accepted."""

    client_order_id: str
    account: str
    kind: IntentKind
    order_id: str
    code: str
    words: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperUpdate:
    """One transition of one order, numbered without gaps within the account, from 1."""

    account: str
    seq: int
    order: Order


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperDay:
    """How an account stood when a trading day ended. `equity` is everything at market."""

    account: str
    generation: int
    day: date
    cash: Decimal
    used: Decimal
    holdings: Decimal
    realised: Decimal
    realised_today: Decimal
    unrealised: Decimal
    charges: Decimal
    equity: Decimal


@dataclass(slots=True)
class LedgerChanges:
    """What one transaction keeps: new rows, and the last version of changed ones."""

    accounts: list[PaperAccount] = field(default_factory=list)
    instruments: list[Instrument] = field(default_factory=list)
    orders: list[PaperOrder] = field(default_factory=list)
    trades: list[PaperTrade] = field(default_factory=list)
    positions: list[PaperPosition] = field(default_factory=list)
    holdings: list[PaperHolding] = field(default_factory=list)
    entries: list[LedgerEntry] = field(default_factory=list)
    updates: list[PaperUpdate] = field(default_factory=list)
    answers: list[PaperAnswer] = field(default_factory=list)
    days: list[PaperDay] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in LedgerChanges.__slots__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerState:
    """Everything the exchange needs to go on after a start.

    orders, trades  those of the session, and every working order; answers  the recent ones, oldest first
    balances        per account, summed from the entries of its generation
    numbers         per account, (last entry number, last update seq)
    """

    accounts: list[PaperAccount]
    instruments: list[Instrument]
    orders: list[PaperOrder]
    trades: list[PaperTrade]
    positions: list[PaperPosition]
    holdings: list[PaperHolding]
    balances: dict[str, Amounts]
    numbers: dict[str, tuple[int, int]]
    answers: list[PaperAnswer]
    last_change: datetime | None
