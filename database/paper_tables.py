"""Tables of the paper exchange's book (`paper.db`). A ledger entry that does not sum to zero is refused here."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from database.metadata import PAPER
from database.types import Money, Quantity, UtcTime

LEDGER_ACCOUNTS = ("cash", "orders", "positions", "stock", "charges", "realised", "capital")


def _whose(*, key: bool = False) -> tuple[Column[Any], ...]:
    return (
        Column("account", String(64), primary_key=key, nullable=False),
        Column("generation", Integer, primary_key=key, nullable=False, autoincrement=False),
    )


def _what(*, key: bool = False) -> tuple[Column[Any], ...]:
    return (
        Column("exchange", String(16), primary_key=key, nullable=False),
        Column("symbol", String(64), primary_key=key, nullable=False),
    )


ACCOUNTS = Table(
    "paper_accounts",
    PAPER,
    Column("name", String(64), primary_key=True),
    Column("feed", String(64), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("starting_capital", Money, nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("day", Date, nullable=False),
    Column("reset_at", UtcTime),
    Column("reset_count", Integer, nullable=False),
    Column("terms", JSON, nullable=False),
)

INSTRUMENTS = Table(
    "paper_instruments",
    PAPER,
    *_what(key=True),
    Column("kind", String(8), nullable=False),
    Column("name", String(128), nullable=False),
    Column("lot_size", Integer, nullable=False),
    Column("tick_size", Money, nullable=False),
    Column("broker_symbol", String(128), nullable=False),
    Column("broker_exchange", String(32), nullable=False),
    Column("broker_token", String(64), nullable=False),
    Column("expiry", Date),
    Column("strike", Money),
    Column("freeze_quantity", BigInteger),
    Column("contract_value", Quantity, nullable=False),
)

ORDERS = Table(
    "paper_orders",
    PAPER,
    Column("order_id", String(16), primary_key=True),
    *_whose(),
    Column("client_order_id", String(64)),
    *_what(),
    Column("side", String(4), nullable=False),
    Column("product", String(8), nullable=False),
    Column("quantity", Quantity, nullable=False),
    Column("order_type", String(8), nullable=False),
    Column("price", Money),
    Column("trigger_price", Money),
    Column("disclosed_quantity", Quantity, nullable=False),
    Column("strategy", String(128), nullable=False),
    Column("state", String(16), nullable=False),
    Column("filled", Quantity, nullable=False),
    Column("value", Money, nullable=False),
    Column("average_price", Money),
    Column("reserved", Money, nullable=False),
    Column("reference", Money),
    Column("charged", Money, nullable=False),
    Column("triggered", Boolean, nullable=False),
    Column("fresh", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("placed_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("live_at", UtcTime, nullable=False),
    UniqueConstraint("client_order_id"),
    Index("ix_paper_orders_state", "state"),
    Index("ix_paper_orders_placed_at", "placed_at"),
)

TRADES = Table(
    "paper_trades",
    PAPER,
    Column("trade_id", String(16), primary_key=True),
    *_whose(),
    Column("order_id", String(16), nullable=False),
    *_what(),
    Column("side", String(4), nullable=False),
    Column("product", String(8), nullable=False),
    Column("quantity", Quantity, nullable=False),
    Column("price", Money, nullable=False),
    Column("realised", Money, nullable=False),
    Column("strategy", String(128), nullable=False),
    Column("traded_at", UtcTime, nullable=False),
    Index("ix_paper_trades_account", "account", "generation", "traded_at"),
    Index("ix_paper_trades_traded_at", "traded_at"),
)

POSITIONS = Table(
    "paper_positions",
    PAPER,
    *_whose(key=True),
    *_what(key=True),
    Column("product", String(8), primary_key=True),
    Column("quantity", Quantity, nullable=False),
    Column("cost", Money, nullable=False),
    Column("margin", Money, nullable=False),
    Column("realised_today", Money, nullable=False),
    Column("realised_total", Money, nullable=False),
    Column("opened_on", Date, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
)

HOLDINGS = Table(
    "paper_holdings",
    PAPER,
    *_whose(key=True),
    *_what(key=True),
    Column("quantity", Quantity, nullable=False),
    Column("cost", Money, nullable=False),
    Column("settles_on", Date, nullable=False),
)

ENTRIES = Table(
    "paper_entries",
    PAPER,
    *_whose(key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("order_id", String(16), nullable=False),
    Column("trade_id", String(16), nullable=False),
    Column("at", UtcTime, nullable=False),
    *(Column(name, Money, nullable=False) for name in LEDGER_ACCOUNTS),
    CheckConstraint(" + ".join(LEDGER_ACCOUNTS) + " = 0", name="balanced"),
    Index("ix_paper_entries_at", "at"),
)

UPDATES = Table(
    "paper_updates",
    PAPER,
    Column("account", String(64), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),
)

ANSWERS = Table(
    "paper_answers",
    PAPER,
    Column("client_order_id", String(64), primary_key=True),
    Column("account", String(64), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("order_id", String(16), nullable=False),
    Column("code", String(32), nullable=False),
    Column("words", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("ix_paper_answers_at", "at"),
)

DAYS = Table(
    "paper_days",
    PAPER,
    *_whose(key=True),
    Column("day", Date, primary_key=True),
    *(
        Column(name, Money, nullable=False)
        for name in (
            "cash",
            "used",
            "holdings",
            "realised",
            "realised_today",
            "unrealised",
            "charges",
            "equity",
        )
    ),
)
