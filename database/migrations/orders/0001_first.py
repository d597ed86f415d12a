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
        "approvals",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("intent_id", sa.String(length=16), nullable=True),
        sa.Column("plan_id", sa.Integer(), nullable=True),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("expires_at", types.UtcTime(), nullable=True),
        sa.Column("decided_at", types.UtcTime(), nullable=True),
        sa.Column("decided_by", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approvals")),
    )
    op.create_index("ix_approvals_account_state", "approvals", ["account_id", "state"], unique=False)
    op.create_table(
        "audit",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", types.UtcTime(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=True),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("door", sa.String(length=16), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("strategy", sa.String(length=128), nullable=False),
        sa.Column("algo_id", sa.String(length=32), nullable=False),
        sa.Column("action", sa.String(length=48), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_account_at", "audit", ["account_id", "at"], unique=False)
    op.create_table(
        "controls",
        sa.Column("account_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("strategy", sa.String(length=128), nullable=False),
        sa.Column("max_quantity", types.Quantity(), nullable=True),
        sa.Column("max_value", types.Money(), nullable=True),
        sa.Column("max_open_orders", sa.Integer(), nullable=True),
        sa.Column("max_orders_per_day", sa.Integer(), nullable=True),
        sa.Column("max_orders_per_second", sa.Integer(), nullable=True),
        sa.Column("max_day_loss", types.Money(), nullable=True),
        sa.Column("price_collar_percent", types.Quantity(), nullable=True),
        sa.Column("duplicate_window_ms", sa.Integer(), nullable=True),
        sa.Column("allowed_symbols", sa.Text(), nullable=True),
        sa.Column("allowed_products", sa.Text(), nullable=True),
        sa.Column("split_entries", sa.Boolean(), nullable=False),
        sa.Column("queue_seconds", sa.Integer(), nullable=False),
        sa.Column("algo_id", sa.String(length=32), nullable=False),
        sa.Column("changed_at", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "strategy", name=op.f("pk_controls")),
    )
    op.create_table(
        "event_numbers",
        sa.Column("account_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_event_numbers")),
    )
    op.create_table(
        "intent_steps",
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("intent_id", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("at", types.UtcTime(), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_intent_steps")),
    )
    op.create_index(op.f("ix_intent_steps_intent_id"), "intent_steps", ["intent_id"], unique=False)
    op.create_table(
        "intents",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("broker", sa.String(length=32), nullable=False),
        sa.Column("door", sa.String(length=16), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("key_id", sa.Integer(), nullable=True),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("strategy", sa.String(length=128), nullable=False),
        sa.Column("algo_id", sa.String(length=32), nullable=False),
        sa.Column("plan_id", sa.Integer(), nullable=True),
        sa.Column("leg", sa.Integer(), nullable=True),
        sa.Column("symbol", sa.String(length=64), nullable=False),
        sa.Column("exchange", sa.String(length=16), nullable=False),
        sa.Column("side", sa.String(length=4), nullable=False),
        sa.Column("quantity", types.Quantity(), nullable=False),
        sa.Column("order_type", sa.String(length=8), nullable=False),
        sa.Column("product", sa.String(length=8), nullable=False),
        sa.Column("price", types.Money(), nullable=True),
        sa.Column("trigger_price", types.Money(), nullable=True),
        sa.Column("disclosed_quantity", types.Quantity(), nullable=False),
        sa.Column("reduces", sa.Boolean(), nullable=False),
        sa.Column("target_order_id", sa.String(length=64), nullable=False),
        sa.Column("idempotency_key", sa.String(length=128), nullable=True),
        sa.Column("body_hash", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("broker_order_id", sa.String(length=64), nullable=True),
        sa.Column("told_id", sa.String(length=64), nullable=True),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("sent_at", types.UtcTime(), nullable=True),
        sa.Column("settled_at", types.UtcTime(), nullable=True),
        sa.Column("deadline", types.UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_intents")),
        sa.UniqueConstraint(
            "account_id", "idempotency_key", name=op.f("uq_intents_account_id_idempotency_key")
        ),
    )
    op.create_index("ix_intents_broker_order", "intents", ["account_id", "broker_order_id"], unique=False)
    op.create_index("ix_intents_created", "intents", ["account_id", "created_at"], unique=False)
    op.create_index("ix_intents_plan", "intents", ["plan_id"], unique=False)
    op.create_index("ix_intents_state", "intents", ["state", "account_id"], unique=False)
    op.create_index("ix_intents_told", "intents", ["account_id", "told_id"], unique=False)
    op.create_table(
        "kept_replies",
        sa.Column("account_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("idempotency_key", sa.String(length=128), nullable=False),
        sa.Column("body_hash", sa.String(length=64), nullable=False),
        sa.Column("reply", sa.Text(), nullable=True),
        sa.Column("claimed_at", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "idempotency_key", name=op.f("pk_kept_replies")),
    )
    op.create_index("ix_kept_replies_claimed", "kept_replies", ["claimed_at"], unique=False)
    op.create_table(
        "kill_switches",
        sa.Column("account_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("engaged_at", types.UtcTime(), nullable=False),
        sa.Column("engaged_by", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("flatten", sa.Boolean(), nullable=False),
        sa.Column("acted_at", types.UtcTime(), nullable=True),
        sa.Column("report", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_kill_switches")),
    )
    op.create_table(
        "order_events",
        sa.Column("account_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", types.UtcTime(), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("broker", sa.String(length=32), nullable=False),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("client_order_id", sa.String(length=16), nullable=False),
        sa.Column("symbol", sa.String(length=64), nullable=False),
        sa.Column("exchange", sa.String(length=16), nullable=False),
        sa.Column("side", sa.String(length=4), nullable=False),
        sa.Column("quantity", types.Quantity(), nullable=False),
        sa.Column("filled", types.Quantity(), nullable=False),
        sa.Column("disclosed_quantity", types.Quantity(), nullable=False),
        sa.Column("order_type", sa.String(length=8), nullable=False),
        sa.Column("product", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("price", types.Money(), nullable=True),
        sa.Column("trigger_price", types.Money(), nullable=True),
        sa.Column("average_price", types.Money(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("status_word", sa.String(length=64), nullable=False),
        sa.Column("strategy", sa.String(length=128), nullable=False),
        sa.Column("placed_at", types.UtcTime(), nullable=False),
        sa.Column("updated_at", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "seq", name=op.f("pk_order_events")),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("broker", sa.String(length=32), nullable=False),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("client_order_id", sa.String(length=16), nullable=False),
        sa.Column("symbol", sa.String(length=64), nullable=False),
        sa.Column("exchange", sa.String(length=16), nullable=False),
        sa.Column("side", sa.String(length=4), nullable=False),
        sa.Column("quantity", types.Quantity(), nullable=False),
        sa.Column("filled", types.Quantity(), nullable=False),
        sa.Column("disclosed_quantity", types.Quantity(), nullable=False),
        sa.Column("order_type", sa.String(length=8), nullable=False),
        sa.Column("product", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("price", types.Money(), nullable=True),
        sa.Column("trigger_price", types.Money(), nullable=True),
        sa.Column("average_price", types.Money(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("status_word", sa.String(length=64), nullable=False),
        sa.Column("strategy", sa.String(length=128), nullable=False),
        sa.Column("placed_at", types.UtcTime(), nullable=False),
        sa.Column("updated_at", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
        sa.UniqueConstraint(
            "account_id", "broker", "order_id", name=op.f("uq_orders_account_id_broker_order_id")
        ),
    )
    op.create_index("ix_orders_placed", "orders", ["account_id", "placed_at"], unique=False)
    op.create_index("ix_orders_state", "orders", ["account_id", "state"], unique=False)
    op.create_table(
        "plan_legs",
        sa.Column("plan_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("leg", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("intent_id", sa.String(length=16), nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("plan_id", "leg", name=op.f("pk_plan_legs")),
    )
    op.create_table(
        "plans",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("door", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=128), nullable=True),
        sa.Column("body_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("deadline", types.UtcTime(), nullable=False),
        sa.Column("finished_at", types.UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plans")),
        sa.UniqueConstraint(
            "account_id", "idempotency_key", name=op.f("uq_plans_account_id_idempotency_key")
        ),
    )
    op.create_index("ix_plans_state", "plans", ["state"], unique=False)
    op.create_table(
        "send_slots",
        sa.Column("account_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("exchange", sa.String(length=16), nullable=False),
        sa.Column("sent", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "exchange", name=op.f("pk_send_slots")),
    )
    op.create_table(
        "signals",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("webhook", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=12), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("smart", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("received_at", types.UtcTime(), nullable=False),
        sa.Column("acted_at", types.UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signals")),
    )
    op.create_index("ix_signals_state", "signals", ["state"], unique=False)
    op.create_index("ix_signals_webhook", "signals", ["webhook", "id"], unique=False)
    op.create_table(
        "smart_targets",
        sa.Column("account_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("exchange", sa.String(length=16), nullable=False),
        sa.Column("symbol", sa.String(length=64), nullable=False),
        sa.Column("product", sa.String(length=8), nullable=False),
        sa.Column("holder", sa.String(length=32), nullable=False),
        sa.Column("until", types.UtcTime(), nullable=False),
        sa.Column("expected", types.Quantity(), nullable=True),
        sa.Column("expected_at", types.UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("account_id", "exchange", "symbol", "product", name=op.f("pk_smart_targets")),
    )
    op.create_table(
        "trigger_legs",
        sa.Column("trigger_id", sa.String(length=24), nullable=False),
        sa.Column("leg", sa.String(length=4), nullable=False),
        sa.Column("fires", sa.String(length=5), nullable=False),
        sa.Column("trigger_price", types.Money(), nullable=True),
        sa.Column("order_type", sa.String(length=8), nullable=False),
        sa.Column("price", types.Money(), nullable=True),
        sa.Column("offset", types.Money(), nullable=True),
        sa.Column("trail", types.Money(), nullable=True),
        sa.Column("best", types.Money(), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("order_id", sa.String(length=64), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("trigger_id", "leg", name=op.f("pk_trigger_legs")),
    )
    op.create_table(
        "triggers",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("broker", sa.String(length=32), nullable=False),
        sa.Column("origin", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("symbol", sa.String(length=64), nullable=False),
        sa.Column("exchange", sa.String(length=16), nullable=False),
        sa.Column("product", sa.String(length=8), nullable=False),
        sa.Column("side", sa.String(length=4), nullable=False),
        sa.Column("quantity", types.Quantity(), nullable=False),
        sa.Column("strategy", sa.String(length=128), nullable=False),
        sa.Column("parent_intent_id", sa.String(length=16), nullable=True),
        sa.Column("resident_id", sa.String(length=64), nullable=True),
        sa.Column("last_price", types.Money(), nullable=True),
        sa.Column("degraded", sa.Integer(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("updated_at", types.UtcTime(), nullable=False),
        sa.Column("expires_at", types.UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_triggers")),
    )
    op.create_index("ix_triggers_account", "triggers", ["account_id", "state"], unique=False)
    op.create_index("ix_triggers_parent", "triggers", ["parent_intent_id"], unique=False)
    op.create_index("ix_triggers_state", "triggers", ["state"], unique=False)
    op.create_table(
        "update_cursors",
        sa.Column("account_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("broker", sa.String(length=32), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "broker", name=op.f("pk_update_cursors")),
    )
    op.create_table(
        "webhook_squareoffs",
        sa.Column("webhook", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.PrimaryKeyConstraint("webhook", "day", name=op.f("pk_webhook_squareoffs")),
    )


def downgrade() -> None:
    op.drop_table("webhook_squareoffs")
    op.drop_table("update_cursors")
    op.drop_index("ix_triggers_state", table_name="triggers")
    op.drop_index("ix_triggers_parent", table_name="triggers")
    op.drop_index("ix_triggers_account", table_name="triggers")
    op.drop_table("triggers")
    op.drop_table("trigger_legs")
    op.drop_table("smart_targets")
    op.drop_index("ix_signals_webhook", table_name="signals")
    op.drop_index("ix_signals_state", table_name="signals")
    op.drop_table("signals")
    op.drop_table("send_slots")
    op.drop_index("ix_plans_state", table_name="plans")
    op.drop_table("plans")
    op.drop_table("plan_legs")
    op.drop_index("ix_orders_state", table_name="orders")
    op.drop_index("ix_orders_placed", table_name="orders")
    op.drop_table("orders")
    op.drop_table("order_events")
    op.drop_table("kill_switches")
    op.drop_index("ix_kept_replies_claimed", table_name="kept_replies")
    op.drop_table("kept_replies")
    op.drop_index("ix_intents_told", table_name="intents")
    op.drop_index("ix_intents_state", table_name="intents")
    op.drop_index("ix_intents_plan", table_name="intents")
    op.drop_index("ix_intents_created", table_name="intents")
    op.drop_index("ix_intents_broker_order", table_name="intents")
    op.drop_table("intents")
    op.drop_index(op.f("ix_intent_steps_intent_id"), table_name="intent_steps")
    op.drop_table("intent_steps")
    op.drop_table("event_numbers")
    op.drop_table("controls")
    op.drop_index("ix_audit_account_at", table_name="audit")
    op.drop_table("audit")
    op.drop_index("ix_approvals_account_state", table_name="approvals")
    op.drop_table("approvals")
