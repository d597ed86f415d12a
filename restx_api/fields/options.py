"""What is asked of options: by words, by chain, by symbol."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Any

from marshmallow import RAISE, Schema, fields

from domain import symbols
from domain.model import Exchange, InstrumentKind, OrderType, Product, Side
from restx_api.fields import orders
from restx_api.fields.base import EXCHANGES, Action, Choice, Flag, Keyed, Number, Several, Text, Whole, label
from restx_api.fields.instruments import DERIVATIVE_CODES
from services.option_greeks import GreeksRequest
from services.option_orders import Asked, OptionWish

_OFFSET = re.compile(r"ATM|(?:ITM|OTM)(?:[1-9]|[1-4][0-9]|50)")


class Offset(fields.Field[Any]):
    """How far from the money: ATM, ITM1 to ITM50, OTM1 to OTM50, in any case."""

    default_error_messages = {"invalid": "Must be ATM, ITM1 to ITM50 or OTM1 to OTM50."}  # noqa: RUF012

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str) or not _OFFSET.fullmatch(value.upper()):
            raise self.make_error("invalid")
        return value

    def shape(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^([Aa][Tt][Mm]|[IiOo][Tt][Mm]([1-9]|[1-4][0-9]|50))$"}


class Expiry(fields.Field[Any]):
    """DDMMMYY such as 28NOV25, in any case, with or without hyphens."""

    default_error_messages = {"invalid": "Not a valid expiry: write it as 28NOV25."}  # noqa: RUF012

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        found = symbols.parse_expiry(value) if isinstance(value, str) else None
        if found is None:
            raise self.make_error("invalid")
        return found

    def shape(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^[0-3][0-9]-?[A-Za-z]{3}-?[0-9]{2}$", "example": "28NOV25"}


def _kind() -> Choice:
    return Choice(("CE", "PE"), fold="upper", required=True)


def _product() -> Choice:
    return Choice(("MIS", "NRML"), load_default="MIS")


class _OfUnderlying(Keyed):
    """What options are of."""

    underlying = Text(least=1, most=64, required=True)
    exchange = Choice(EXCHANGES, fold="upper", required=True)
    expiry_date = Expiry(load_default=None)


class OptionSymbol(_OfUnderlying):
    """Which option."""

    offset = Offset(required=True)
    option_type = _kind()
    strike_int = Whole(least=1, allow_none=True, load_default=None)
    strategy = label()


class OptionsOrder(_OfUnderlying):
    """One option order in words."""

    strategy = Text(most=128, required=True)
    strike_int = Whole(least=1, allow_none=True, load_default=None)
    offset = Offset(required=True)
    option_type = _kind()
    action = Action(required=True)
    quantity = Whole(least=1, required=True)
    splitsize = Whole(least=0, allow_none=True, load_default=0)
    pricetype = Choice(orders.PRICE_TYPES, load_default="MARKET")
    product = _product()
    price = Number(least=0, load_default=0)
    trigger_price = Number(least=0, load_default=0)
    disclosed_quantity = Whole(least=0, load_default=0)


class OptionLeg(Schema):
    """One leg of several."""

    class Meta:
        unknown = RAISE

    offset = Offset(required=True)
    option_type = _kind()
    action = Action(required=True)
    quantity = Whole(least=1, required=True)
    expiry_date = Expiry(allow_none=True, load_default=None)
    splitsize = Whole(least=0, allow_none=True, load_default=0)
    pricetype = Choice(orders.PRICE_TYPES, load_default="MARKET")
    product = _product()
    price = Number(least=0, load_default=0)
    trigger_price = Number(least=0, load_default=0)
    disclosed_quantity = Whole(least=0, load_default=0)


class OptionsMultiOrder(_OfUnderlying):
    """One to twenty legs on one underlying."""

    strategy = Text(most=128, required=True)
    strike_int = Whole(least=1, allow_none=True, load_default=None)
    legs = Several(OptionLeg, least=1, most=20)


class OptionChain(_OfUnderlying):
    """Which chain, how wide, with or without greeks."""

    expiry_date = Expiry(allow_none=True, load_default=None)
    strike_count = Whole(least=1, most=100, allow_none=True, load_default=None)
    with_greeks = Flag(load_default=False)
    interest_rate = Number(least=0, most=100, allow_none=True, load_default=None)


class SyntheticFuture(_OfUnderlying):
    """Which future to make of a call and a put."""

    expiry_date = Expiry(required=True)


class OneGreeks(Keyed):
    """Which option, and what to value it on."""

    symbol = Text(least=1, most=64, required=True)
    exchange = Choice(DERIVATIVE_CODES, fold="upper", required=True)
    interest_rate = Number(least=0, most=100, allow_none=True, load_default=None)
    forward_price = Number(least=0, allow_none=True, load_default=None)
    underlying_symbol = Text(most=64, allow_none=True, load_default=None)
    underlying_exchange = Choice(EXCHANGES, fold="upper", allow_none=True, load_default=None)
    expiry_time = Text(most=5, allow_none=True, load_default=None)


class GreeksItem(Schema):
    """One option of several."""

    class Meta:
        unknown = RAISE

    symbol = Text(least=1, most=64, required=True)
    exchange = Choice(DERIVATIVE_CODES, fold="upper", required=True)
    underlying_symbol = Text(most=64, allow_none=True, load_default=None)
    underlying_exchange = Choice(EXCHANGES, fold="upper", allow_none=True, load_default=None)


class ManyGreeks(Keyed):
    """One to fifty options."""

    symbols = Several(GreeksItem, least=1, most=50)
    interest_rate = Number(least=0, most=100, allow_none=True, load_default=None)
    expiry_time = Text(most=5, allow_none=True, load_default=None)


def asked(given: dict[str, Any]) -> Asked:
    """What options are wanted of."""
    return Asked(
        underlying=given["underlying"],
        exchange=Exchange(given["exchange"]),
        strategy=given["strategy"],
        strike_step=given["strike_int"],
    )


def wish(given: dict[str, Any], expiry: date | None) -> OptionWish:
    """One option order in words; `expiry` holds where the leg has none of its own."""
    return OptionWish(
        offset=given["offset"],
        kind=InstrumentKind(given["option_type"]),
        side=Side(given["action"]),
        quantity=Decimal(given["quantity"]),
        expiry=given["expiry_date"] or expiry,
        size=Decimal(given["splitsize"] or 0),
        order_type=OrderType(given["pricetype"]),
        product=Product(given["product"]),
        price=given["price"] or None,
        trigger_price=given["trigger_price"] or None,
        disclosed_quantity=Decimal(given["disclosed_quantity"]),
    )


def greeks_request(given: dict[str, Any]) -> GreeksRequest:
    return GreeksRequest(
        symbol=given["symbol"],
        exchange=given["exchange"],
        underlying_symbol=given["underlying_symbol"] or None,
        underlying_exchange=given["underlying_exchange"] or None,
    )
