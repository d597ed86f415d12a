"""first"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from database import types

revision = "0001_first"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "paper_accounts",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("feed", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("starting_capital", types.Money(), nullable=False),
        sa.Column("opened_at", types.UtcTime(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("reset_at", types.UtcTime(), nullable=True),
        sa.Column("reset_count", sa.Integer(), nullable=False),
        sa.Column("terms", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_paper_accounts")),
    )
    op.create_table(
        "paper_answers",
        sa.Column("client_order_id", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("order_id", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("at", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("client_order_id", name=op.f("pk_paper_answers")),
    )
    op.create_index("ix_paper_answers_at", "paper_answers", ["at"], unique=False)
    op.create_table(
        "paper_days",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("cash", types.Money(), nullable=False),
        sa.Column("used", types.Money(), nullable=False),
        sa.Column("holdings", types.Money(), nullable=False),
        sa.Column("realised", types.Money(), nullable=False),
        sa.Column("realised_today", types.Money(), nullable=False),
        sa.Column("unrealised", types.Money(), nullable=False),
        sa.Column("charges", types.Money(), nullable=False),
        sa.Column("equity", types.Money(), nullable=False),
        sa.PrimaryKeyConstraint("account", "generation", "day", name=op.f("pk_paper_days")),
    )
    op.create_table(
        "paper_entries",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("order_id", sa.String(length=16), nullable=False),
        sa.Column("trade_id", sa.String(length=16), nullable=False),
        sa.Column("at", types.UtcTime(), nullable=False),
        sa.Column("cash", types.Money(), nullable=False),
        sa.Column("orders", types.Money(), nullable=False),
        sa.Column("positions", types.Money(), nullable=False),
        sa.Column("stock", types.Money(), nullable=False),
        sa.Column("charges", types.Money(), nullable=False),
        sa.Column("realised", types.Money(), nullable=False),
        sa.Column("capital", types.Money(), nullable=False),
        sa.CheckConstraint(
            "cash + orders + positions + stock + charges + realised + capital = 0", name="balanced"
        ),
        sa.PrimaryKeyConstraint("account", "generation", "number", name=op.f("pk_paper_entries")),
    )
    op.create_index("ix_paper_entries_at", "paper_entries", ["at"], unique=False)
    op.create_table(
        "paper_holdings",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("exchange", sa.String(length=16), nullable=False),
        sa.Column("symbol", sa.String(length=64), nullable=False),
        sa.Column("quantity", types.Quantity(), nullable=False),
        sa.Column("cost", types.Money(), nullable=False),
        sa.Column("settles_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint(
            "account", "generation", "exchange", "symbol", name=op.f("pk_paper_holdings")
        ),
    )
    op.create_table(
        "paper_instruments",
        sa.Column("exchange", sa.String(length=16), nullable=False),
        sa.Column("symbol", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("lot_size", sa.Integer(), nullable=False),
        sa.Column("tick_size", types.Money(), nullable=False),
        sa.Column("broker_symbol", sa.String(length=128), nullable=False),
        sa.Column("broker_exchange", sa.String(length=32), nullable=False),
        sa.Column("broker_token", sa.String(length=64), nullable=False),
        sa.Column("expiry", sa.Date(), nullable=True),
        sa.Column("strike", types.Money(), nullable=True),
        sa.Column("freeze_quantity", sa.BigInteger(), nullable=True),
        sa.Column("contract_value", types.Quantity(), nullable=False),
        sa.PrimaryKeyConstraint("exchange", "symbol", name=op.f("pk_paper_instruments")),
    )
    op.create_table(
        "paper_orders",
        sa.Column("order_id", sa.String(length=16), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("client_order_id", sa.String(length=64), nullable=True),
        sa.Column("exchange", sa.String(length=16), nullable=False),
        sa.Column("symbol", sa.String(length=64), nullable=False),
        sa.Column("side", sa.String(length=4), nullable=False),
        sa.Column("product", sa.String(length=8), nullable=False),
        sa.Column("quantity", types.Quantity(), nullable=False),
        sa.Column("order_type", sa.String(length=8), nullable=False),
        sa.Column("price", types.Money(), nullable=True),
        sa.Column("trigger_price", types.Money(), nullable=True),
        sa.Column("disclosed_quantity", types.Quantity(), nullable=False),
        sa.Column("strategy", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("filled", types.Quantity(), nullable=False),
        sa.Column("value", types.Money(), nullable=False),
        sa.Column("average_price", types.Money(), nullable=True),
        sa.Column("reserved", types.Money(), nullable=False),
        sa.Column("reference", types.Money(), nullable=True),
        sa.Column("charged", types.Money(), nullable=False),
        sa.Column("triggered", sa.Boolean(), nullable=False),
        sa.Column("fresh", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("placed_at", types.UtcTime(), nullable=False),
        sa.Column("updated_at", types.UtcTime(), nullable=False),
        sa.Column("live_at", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("order_id", name=op.f("pk_paper_orders")),
        sa.UniqueConstraint("client_order_id", name=op.f("uq_paper_orders_client_order_id")),
    )
    op.create_index("ix_paper_orders_placed_at", "paper_orders", ["placed_at"], unique=False)
    op.create_index("ix_paper_orders_state", "paper_orders", ["state"], unique=False)
    op.create_table(
        "paper_positions",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("exchange", sa.String(length=16), nullable=False),
        sa.Column("symbol", sa.String(length=64), nullable=False),
        sa.Column("product", sa.String(length=8), nullable=False),
        sa.Column("quantity", types.Quantity(), nullable=False),
        sa.Column("cost", types.Money(), nullable=False),
        sa.Column("margin", types.Money(), nullable=False),
        sa.Column("realised_today", types.Money(), nullable=False),
        sa.Column("realised_total", types.Money(), nullable=False),
        sa.Column("opened_on", sa.Date(), nullable=False),
        sa.Column("changed_at", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint(
            "account", "generation", "exchange", "symbol", "product", name=op.f("pk_paper_positions")
        ),
    )
    op.create_table(
        "paper_trades",
        sa.Column("trade_id", sa.String(length=16), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("order_id", sa.String(length=16), nullable=False),
        sa.Column("exchange", sa.String(length=16), nullable=False),
        sa.Column("symbol", sa.String(length=64), nullable=False),
        sa.Column("side", sa.String(length=4), nullable=False),
        sa.Column("product", sa.String(length=8), nullable=False),
        sa.Column("quantity", types.Quantity(), nullable=False),
        sa.Column("price", types.Money(), nullable=False),
        sa.Column("realised", types.Money(), nullable=False),
        sa.Column("strategy", sa.String(length=128), nullable=False),
        sa.Column("traded_at", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("trade_id", name=op.f("pk_paper_trades")),
    )
    op.create_index(
        "ix_paper_trades_account", "paper_trades", ["account", "generation", "traded_at"], unique=False
    )
    op.create_index("ix_paper_trades_traded_at", "paper_trades", ["traded_at"], unique=False)
    op.create_table(
        "paper_updates",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account", "seq", name=op.f("pk_paper_updates")),
    )


def downgrade() -> None:
    op.drop_table("paper_updates")
    op.drop_index("ix_paper_trades_traded_at", table_name="paper_trades")
    op.drop_index("ix_paper_trades_account", table_name="paper_trades")
    op.drop_table("paper_trades")
    op.drop_table("paper_positions")
    op.drop_index("ix_paper_orders_state", table_name="paper_orders")
    op.drop_index("ix_paper_orders_placed_at", table_name="paper_orders")
    op.drop_table("paper_orders")
    op.drop_table("paper_instruments")
    op.drop_table("paper_holdings")
    op.drop_index("ix_paper_entries_at", table_name="paper_entries")
    op.drop_table("paper_entries")
    op.drop_table("paper_days")
    op.drop_index("ix_paper_answers_at", table_name="paper_answers")
    op.drop_table("paper_answers")
    op.drop_table("paper_accounts")
