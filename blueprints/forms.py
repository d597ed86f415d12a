"""Reading forms: numbers as people type them here, and orders."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from domain.errors import InvalidRequest
from domain.model import CASH, Exchange, Instrument, OrderRequest, OrderType, Product, Side
from services.triggers import Exits, read_level

_NUMBER = re.compile(r"[0-9]{1,3}(?:,?[0-9]{1,3})*(?:\.[0-9]{1,8})?", re.ASCII)
_LONGEST = 24
_WORDS = {
    "quantity": "Quantity",
    "price": "Price",
    "trigger_price": "Trigger",
    "disclosed_quantity": "Disclosed",
}
Word = TypeVar("Word", bound=StrEnum)


def new_form_key() -> str:
    """What makes two arrivals of one rendered form the same order."""
    return f"page-{secrets.token_hex(12)}"


def body_hash(form: Mapping[str, str]) -> str:
    """Digest of what a form asks for; its token and where it leads back do not count."""
    asked = sorted((name, value) for name, value in form.items() if name not in ("csrf_token", "back"))
    return hashlib.sha256(repr(asked).encode()).hexdigest()


def number(form: Mapping[str, str], field: str) -> Decimal | None:
    """A field as people type numbers: 1,536.90. None when empty. Raises InvalidRequest naming the field."""
    text = form.get(field, "").strip()
    if not text:
        return None
    if len(text) > _LONGEST or not _NUMBER.fullmatch(text):
        raise InvalidRequest(f"{_WORDS.get(field, field)}: write digits, such as 1,536.90.", field)
    return Decimal(text.replace(",", ""))


def word(kind: type[Word], form: Mapping[str, str], field: str) -> Word:
    """A field that is one of a few words. Raises InvalidRequest naming the field."""
    try:
        return kind(form.get(field, ""))
    except ValueError as error:
        raise InvalidRequest(f"Choose one of {', '.join(kind)}.", field) from error


def order_request(form: Mapping[str, str], instrument: Instrument) -> OrderRequest:
    """The ticket's fields; a quantity in lots becomes units. Raises InvalidRequest naming the field."""
    quantity = number(form, "quantity")
    if quantity is None or quantity <= 0:
        raise InvalidRequest("Say how many: a quantity above 0.", "quantity")
    if form.get("unit") == "lots":
        quantity *= instrument.lot_size
    return OrderRequest(
        symbol=instrument.symbol,
        exchange=instrument.exchange,
        side=word(Side, form, "action"),
        quantity=quantity,
        order_type=word(OrderType, form, "pricetype"),
        product=word(Product, form, "product"),
        price=number(form, "price"),
        trigger_price=number(form, "trigger_price"),
        disclosed_quantity=number(form, "disclosed_quantity") or Decimal(0),
    )


def products(exchange: Exchange) -> list[tuple[str, str]]:
    """Products of an exchange, the one that ends today first."""
    second = ("CNC", "Delivery CNC") if exchange in CASH else ("NRML", "Carry NRML")
    return [("MIS", "Intraday MIS"), second]


EXIT_FIELDS = {"stoploss": "stop", "trailing_sl": "trail"}
"""What the triggers call a field, and what the pages call it."""


def exits_of(form: Mapping[str, str]) -> Exits:
    """Stop and target as prices (distances when `counted` is points), the trail always a distance.

    Raises InvalidRequest naming the field.
    """
    levels = {}
    for name in ("stop", "target", "trail"):
        text = form.get(name, "").replace(",", "").strip()
        if text:
            points = name == "trail" or form.get("counted") == "points"
            levels[name] = read_level(name, f"{text}pt" if points and not text.endswith("pt") else text)
    return Exits(**levels)
