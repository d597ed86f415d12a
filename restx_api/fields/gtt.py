"""Good-till-triggered orders: one trigger (SINGLE) or two of which the first to fire ends the other (OCO)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from marshmallow import EXCLUDE, ValidationError, fields, pre_load, validates_schema

from domain.clock import IST
from domain.model import Exchange, OrderType, Product, Side
from restx_api.fields import records
from restx_api.fields.base import EXCHANGES, Action, Choice, Keyed, Lenient, Number, Text, label, symbol
from restx_api.fields.orders import whole_unless_crypto
from restx_api.fields.shapes import INTEGER, NUMBER, STRING, array, data, obj, one_of, sandboxed, success
from services.triggers import GttRequest, Trigger

_PRICES = ("triggerprice_sl", "triggerprice_tg", "stoploss", "target")


class Moment(fields.Field[Any]):
    """An instant: `YYYY-MM-DD`, with a time, or with a zone; without one it is India's."""

    default_error_messages = {"invalid": "Not a valid datetime."}  # noqa: RUF012

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str) or not value.isascii():
            raise self.make_error("invalid")
        try:
            found = datetime.fromisoformat(value)
        except ValueError as error:
            raise self.make_error("invalid") from error
        return found if found.tzinfo else found.replace(tzinfo=IST)

    def shape(self) -> dict[str, Any]:
        return {"type": "string", "example": "2026-12-31 15:30:00"}


class PlaceGtt(Keyed):
    """A GTT. Fields that are not named here are ignored, and "" means that a price is not given."""

    class Meta:
        unknown = EXCLUDE

    strategy = Text(most=128, required=True)
    trigger_type = Choice(("SINGLE", "OCO"), fold="upper", required=True)
    exchange = Choice(EXCHANGES, required=True)
    symbol = symbol()
    action = Action(required=True)
    product = Choice(("CNC", "NRML"), required=True)
    quantity = Number(above=0, required=True)
    pricetype = Choice(("LIMIT", "MARKET"), load_default="LIMIT")
    price = Number(least=0, required=True)
    triggerprice_sl = Number(least=0, allow_none=True, load_default=0)
    triggerprice_tg = Number(least=0, allow_none=True, load_default=0)
    stoploss = Number(least=0, allow_none=True, load_default=None)
    target = Number(least=0, allow_none=True, load_default=None)
    expires_at = Moment(allow_none=True, load_default=None)

    @pre_load
    def _absent(self, given: Any, **kwargs: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: None if name in _PRICES and value == "" else value for name, value in given.items()}

    @validates_schema
    def _legs(self, given: dict[str, Any], **kwargs: Any) -> None:
        whole_unless_crypto(given["quantity"], given["exchange"])
        below, above = given["triggerprice_sl"], given["triggerprice_tg"]
        if given["trigger_type"] == "SINGLE":
            if bool(below) == bool(above):
                words = "A SINGLE GTT takes one of triggerprice_sl and triggerprice_tg."
                raise ValidationError(words, "triggerprice_sl")
            return
        for name in _PRICES:
            if not given[name]:
                raise ValidationError("Must be greater than 0 for OCO.", name)
        if below >= above:
            raise ValidationError("Must be below triggerprice_tg.", "triggerprice_sl")


class ModifyGtt(PlaceGtt):
    """The full new terms of an active GTT."""

    trigger_id = Text(least=1, most=64, required=True)


class GttId(Lenient):
    """Which GTT."""

    strategy = label()
    trigger_id = Text(least=1, most=64, required=True)


def gtt_request(given: dict[str, Any]) -> GttRequest:
    """The domain's request; a price of zero means none."""
    single = given["trigger_type"] == "SINGLE"
    return GttRequest(
        symbol=given["symbol"],
        exchange=Exchange(given["exchange"]),
        side=Side(given["action"]),
        product=Product(given["product"]),
        quantity=given["quantity"],
        order_type=OrderType(given["pricetype"]),
        below=given["triggerprice_sl"] or None,
        above=given["triggerprice_tg"] or None,
        price=(given["price"] or None) if single else None,
        below_price=None if single else given["stoploss"],
        above_price=None if single else given["target"],
        strategy=given["strategy"],
        expires_at=given["expires_at"],
    )


def row(trigger: Trigger) -> dict[str, Any]:
    """One active GTT; its legs ascend by trigger price."""
    legs = sorted(trigger.legs, key=lambda leg: leg.trigger_price or Decimal(0))
    return {
        "trigger_id": trigger.id,
        "trigger_type": "single" if len(legs) == 1 else "two-leg",
        "status": trigger.state,
        "symbol": trigger.symbol,
        "exchange": trigger.exchange,
        "trigger_prices": [records.price(leg.trigger_price) for leg in legs],
        "last_price": records.price(trigger.last_price),
        "legs": [
            {
                "action": trigger.side,
                "quantity": records.quantity(trigger.quantity),
                "price": records.price(leg.price),
                "pricetype": leg.order_type,
                "product": trigger.product,
            }
            for leg in legs
        ],
        "strategy": trigger.strategy,
        "created_at": records.ist(trigger.created_at),
        "updated_at": "" if trigger.updated_at == trigger.created_at else records.ist(trigger.updated_at),
        "expires_at": "" if trigger.expires_at is None else records.ist(trigger.expires_at),
    }


KEPT = sandboxed(success({"trigger_id": STRING}))
PLACED = sandboxed(success({}, {"trigger_id": STRING, "message": STRING, "pending_order_id": INTEGER}))
_LEG = obj(
    {
        "action": one_of("BUY", "SELL"),
        "quantity": NUMBER,
        "price": NUMBER,
        "pricetype": one_of("LIMIT", "MARKET"),
        "product": one_of("CNC", "NRML"),
    }
)
BOOK = sandboxed(
    data(
        array(
            obj(
                {
                    **dict.fromkeys(("trigger_id", "status", "symbol", "strategy"), STRING),
                    **dict.fromkeys(("created_at", "updated_at", "expires_at"), STRING),
                    "trigger_type": one_of("single", "two-leg"),
                    "exchange": one_of(*EXCHANGES),
                    "trigger_prices": array(NUMBER, least=1, most=2),
                    "last_price": NUMBER,
                    "legs": array(_LEG, least=1, most=2),
                }
            )
        )
    )
)
