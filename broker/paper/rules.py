"""What the exchange asks of an order, and what it blocks for one: terms of an account, checks, margins. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from domain.errors import InvalidRequest
from domain.model import CASH, QUOTE_ONLY, Exchange, Instrument, OrderType, Product, Side, products_of
from domain.money import PAISA, on_grid
from domain.outcomes import Refused

INDEX_UNDERLYINGS = frozenset(
    {
        "NIFTY",
        "BANKNIFTY",
        "FINNIFTY",
        "MIDCPNIFTY",
        "NIFTYNXT50",
        "NIFTYFPI",
        "SENSEX",
        "BANKEX",
        "SENSEX50",
        "FOCIT",
    }
)
NEVER = "Never"
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
BROKERAGES = ("", "Zerodha", "Tradejini", "Fyers")
_LARGEST = Decimal(1_000_000_000)
_CAPITALS = tuple(Decimal(n) for n in (100_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000))


class FillMode(StrEnum):
    """How an order meets the market.

    DEPTH  walks the quoted levels, a tick's quantity at a time
    QUOTE  all at the best bid or ask
    TOUCH  all as soon as the last price touches, at the last price (resting limits at their limit)
    """

    DEPTH = "depth"
    QUOTE = "quote"
    TOUCH = "touch"


class OptionMargin(StrEnum):
    """What a short option blocks: its premium, or a part of the contract's value."""

    PREMIUM = "premium"
    CONTRACT = "contract"


class ExpiryPrice(StrEnum):
    """What an option is worth when it expires: intrinsic value, its last price, or nothing."""

    INTRINSIC = "intrinsic"
    LTP = "ltp"
    ZERO = "zero"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How one paper account is run. Leverages divide an order's value; times are IST.

    slippage_bps   hundredths of a percent against every aggressive fill, onto the tick
    participation  share of the quoted quantity that one order may take of a tick, 0 < x <= 1
    charges        taxes and fees are booked by `charges.py`
    reset_day      weekday on which the account begins again, at reset_time; NEVER by default
    brokerage      whose tariff is booked with them, one of BROKERAGES; "" for none
    """

    starting_capital: Decimal = Decimal(10_000_000)
    equity_mis_leverage: Decimal = Decimal(5)
    equity_cnc_leverage: Decimal = Decimal(1)
    futures_leverage: Decimal = Decimal(10)
    option_buy_leverage: Decimal = Decimal(1)
    option_sell_leverage: Decimal = Decimal(1)
    option_margin: OptionMargin = OptionMargin.PREMIUM
    fill: FillMode = FillMode.DEPTH
    latency_ms: int = 0
    slippage_bps: Decimal = Decimal(0)
    participation: Decimal = Decimal(1)
    charges: bool = False
    brokerage: str = ""
    option_expiry_settlement: ExpiryPrice = ExpiryPrice.INTRINSIC
    nse_bse_square_off_time: str = "15:15"
    cds_bcd_square_off_time: str = "16:45"
    mcx_square_off_time: str = "23:30"
    ncdex_square_off_time: str = "17:00"
    reset_day: str = NEVER
    reset_time: str = "00:00"

    def changed(self, values: Mapping[str, str]) -> Terms:
        """These terms with some replaced. Raises InvalidRequest naming the field that is unknown or wrong."""
        known = {item.name for item in fields(Terms)}
        read: dict[str, Any] = {}
        for name, value in values.items():
            if name not in known:
                raise InvalidRequest(f"The paper account has no setting '{name}'", name)
            read[name] = _read(name, value)
        return Terms(**{item.name: read.get(item.name, getattr(self, item.name)) for item in fields(Terms)})

    def texts(self) -> dict[str, str]:
        """Every term as text, the way `changed` reads it."""
        shown = {item.name: getattr(self, item.name) for item in fields(Terms)}
        return {name: _text(value) for name, value in shown.items()}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read(name: str, value: str) -> Any:
    try:
        if name.endswith("_time"):
            return _clock_time(value)
        if name in _WORDS:
            return _WORDS[name](value)
        if name == "charges":
            return {"true": True, "false": False}[value.lower()]
        return _number(name, value)
    except (ValueError, KeyError, InvalidOperation) as error:
        raise InvalidRequest(f"{name}: '{value}' cannot be used", name) from error


def _one_of(*words: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value not in words:
            raise ValueError(value)
        return value

    return read


_WORDS: dict[str, Callable[[str], str]] = {
    "brokerage": _one_of(*BROKERAGES),
    "reset_day": _one_of(NEVER, *WEEKDAYS),
    "option_margin": OptionMargin,
    "fill": FillMode,
    "option_expiry_settlement": ExpiryPrice,
}


def _number(name: str, value: str) -> Decimal | int:
    number = Decimal(value)
    low, high = _RANGES[name]
    if not (number.is_finite() and low <= number <= high):
        raise ValueError(value)
    if name == "starting_capital" and number not in _CAPITALS:
        raise ValueError(value)
    return int(number) if name == "latency_ms" else number


_LEVERAGE = (Decimal(1), Decimal(50))
_RANGES: dict[str, tuple[Decimal, Decimal]] = {
    "starting_capital": (_CAPITALS[0], _CAPITALS[-1]),
    "equity_mis_leverage": _LEVERAGE,
    "equity_cnc_leverage": _LEVERAGE,
    "futures_leverage": _LEVERAGE,
    "option_buy_leverage": _LEVERAGE,
    "option_sell_leverage": _LEVERAGE,
    "latency_ms": (Decimal(0), Decimal(60_000)),
    "slippage_bps": (Decimal(0), Decimal(1_000)),
    "participation": (Decimal("0.01"), Decimal(1)),
}


def _clock_time(value: str) -> str:
    hour, _, minute = value.partition(":")
    if not (len(hour) == len(minute) == 2 and (hour + minute).isascii() and (hour + minute).isdigit()):
        raise ValueError(value)
    if int(hour) > 23 or int(minute) > 59:
        raise ValueError(value)
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTerms:
    """What may be asked of an order, with the prices its type has no use for dropped."""

    quantity: Decimal
    order_type: OrderType
    price: Decimal | None
    trigger_price: Decimal | None
    disclosed_quantity: Decimal = Decimal(0)

    @classmethod
    def of(
        cls,
        quantity: Decimal,
        order_type: OrderType,
        price: Decimal | None,
        trigger_price: Decimal | None,
        disclosed_quantity: Decimal = Decimal(0),
    ) -> OrderTerms:
        return cls(
            quantity=quantity,
            order_type=order_type,
            price=price if order_type.has_price else None,
            trigger_price=trigger_price if order_type.has_trigger else None,
            disclosed_quantity=disclosed_quantity,
        )


def check(instrument: Instrument, product: Product, terms: OrderTerms) -> Refused | None:
    """Why the exchange would not take such an order, whoever sends it; None when it would."""
    return next(_faults(instrument, product, terms), None)


def _faults(instrument: Instrument, product: Product, terms: OrderTerms) -> Iterator[Refused]:
    if instrument.exchange in QUOTE_ONLY:
        yield Refused("EXCHANGE", f"{instrument.exchange} is quoted only: it takes no orders")
    if (fault := check_product(instrument.exchange, product)) is not None:
        yield fault
    if not (terms.quantity.is_finite() and terms.disclosed_quantity.is_finite()):
        yield Refused("QUANTITY", "Quantity must be a number")
    elif terms.quantity > _LARGEST or terms.disclosed_quantity > _LARGEST:
        yield Refused("QUANTITY", f"Quantity is above {_LARGEST:,}")
    elif terms.quantity <= 0 or terms.quantity % 1 != 0:
        yield Refused("QUANTITY", "Quantity must be a positive whole number")
    elif terms.quantity % instrument.lot_size != 0:
        yield Refused("LOT", f"Quantity must be a multiple of the lot size {instrument.lot_size}")
    if instrument.freeze_quantity is not None and terms.quantity > instrument.freeze_quantity:
        words = f"Quantity is above the freeze quantity {instrument.freeze_quantity} of one order"
        yield Refused("FREEZE", words)
    yield from _price_faults(instrument, terms)


def _price_faults(instrument: Instrument, terms: OrderTerms) -> Iterator[Refused]:
    wanted = (
        (terms.order_type.has_price, terms.price, "Price", "PRICE"),
        (terms.order_type.has_trigger, terms.trigger_price, "Trigger price", "TRIGGER"),
    )
    for needed, value, label, code in wanted:
        if not needed:
            continue
        if value is None or not value.is_finite() or value <= 0:
            yield Refused(code, f"{label} is required for a {terms.order_type} order")
        elif value > _LARGEST:
            yield Refused(code, f"{label} is above {_LARGEST:,}")
        elif not on_grid(value, instrument.tick_size):
            yield Refused("TICK", f"{label} must be a multiple of the tick size {instrument.tick_size}")


def check_product(exchange: Exchange, product: Product) -> Refused | None:
    """Why nothing is held on an exchange under a product; None when it can be."""
    allowed = products_of(exchange)
    if product in allowed:
        return None
    return Refused("PRODUCT", f"{exchange} takes product {' or '.join(sorted(allowed))}, not {product}")


def margin(
    instrument: Instrument, product: Product, side: Side, quantity: Decimal, price: Decimal, terms: Terms
) -> Decimal:
    """Rupees that opening `quantity` at `price` blocks, up to the paisa."""
    if not quantity:
        return Decimal(0)
    value = price * quantity * instrument.contract_value / _leverage(instrument, product, side, terms)
    if _by_contract(instrument, side, terms):
        value = _contract_margin(instrument, quantity, price)
    return value.quantize(PAISA, ROUND_CEILING)


def _leverage(instrument: Instrument, product: Product, side: Side, terms: Terms) -> Decimal:
    if instrument.kind.is_option:
        return terms.option_buy_leverage if side is Side.BUY else terms.option_sell_leverage
    if instrument.kind.is_future:
        return terms.futures_leverage
    if instrument.exchange not in CASH:
        return Decimal(1)
    return terms.equity_mis_leverage if product is Product.INTRADAY else terms.equity_cnc_leverage


def _by_contract(instrument: Instrument, side: Side, terms: Terms) -> bool:
    return (
        terms.option_margin is OptionMargin.CONTRACT
        and side is Side.SELL
        and instrument.kind.is_option
        and instrument.strike is not None
    )


def _contract_margin(instrument: Instrument, quantity: Decimal, premium: Decimal) -> Decimal:
    """12.5 % of the strike's value for index options, 20 % for others, and the premium on top."""
    assert instrument.strike is not None
    share = Decimal("0.125") if instrument.name in INDEX_UNDERLYINGS else Decimal("0.2")
    return (instrument.strike * share + premium) * quantity * instrument.contract_value


def whole_lots(quantity: Decimal, instrument: Instrument) -> Decimal:
    """The largest tradable quantity up to `quantity`."""
    return (quantity / instrument.lot_size).to_integral_value(ROUND_FLOOR) * instrument.lot_size
