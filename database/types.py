"""Exact column types. SQLite would keep Numeric as float and DateTime without a zone, so both are forbidden."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

_SCALE = Decimal(10) ** 8
_LIMIT = 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_units(value: Decimal) -> int:
    """A Decimal as whole 1e-8 units. Raises ValueError for more than 8 decimals, NaN, or what BIGINT can't hold."""
    scaled = value * _SCALE
    whole = int(scaled) if scaled.is_finite() else 0
    if whole != scaled:
        raise ValueError(f"cannot be stored exactly: {value}")
    if abs(whole) > _LIMIT:
        raise ValueError(f"too large to be stored: {value}")
    return whole


def from_units(units: int) -> Decimal:
    """The Decimal of whole 1e-8 units, without trailing zeros beyond the point."""
    whole, rest = divmod(units, 10**8)
    return Decimal(whole) if rest == 0 else (Decimal(units) / _SCALE).normalize()


class _Exact(TypeDecorator[Decimal]):
    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        return None if value is None else to_units(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else from_units(value)


class Money(_Exact):
    """Rupees, BIGINT of 1e-8."""

    cache_ok = True


class Quantity(_Exact):
    """Units, BIGINT of 1e-8 (crypto trades fractions)."""

    cache_ok = True


def to_micros(moment: datetime) -> int:
    """Epoch microseconds of an aware datetime. Raises ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError(f"naive time: {moment!r}")
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def from_micros(micros: int) -> datetime:
    """Aware UTC datetime of epoch microseconds."""
    return _EPOCH + timedelta(microseconds=micros)


class UtcTime(TypeDecorator[datetime]):
    """Aware datetimes as BIGINT epoch microseconds; always read back in UTC."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_micros(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_micros(value)
