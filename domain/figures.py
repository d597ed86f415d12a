"""Numbers as people in India write them: 12,34,567.50."""

from __future__ import annotations

import re
from decimal import Decimal

MINUS = "\u2212"
ABSENT = "\u2013"
Number = int | float | Decimal


def grouped(whole: str) -> str:
    """Digits grouped the Indian way: 12345678 is 1,23,45,678."""
    head, tail = whole[:-3], whole[-3:]
    pairs = re.findall(r"\d{1,2}(?=(?:\d{2})*$)", head)
    return ",".join([*pairs, tail]) if head else tail


def inr(value: Number | None, places: int = 2) -> str:
    """1234567.5 is 12,34,567.50; None is a dash."""
    if value is None:
        return ABSENT
    whole, _, part = f"{abs(value):.{places}f}".partition(".")
    text = grouped(whole) + (f".{part}" if part else "")
    return (MINUS if value < 0 and text.strip("0.,") else "") + text
