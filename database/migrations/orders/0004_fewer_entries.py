"""indexes of intents name only the rows that have what they are for: each entry is a page more to write for an order"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004_fewer_entries"
down_revision = "0003_renamed"
branch_labels = None
depends_on = None

_PARTS = {
    "ix_intents_broker_order": (["account_id", "broker_order_id"], "broker_order_id IS NOT NULL"),
    "ix_intents_plan": (["plan_id"], "plan_id IS NOT NULL"),
    "ix_intents_target": (["account_id", "target_order_id"], "target_order_id != ''"),
}


def upgrade() -> None:
    for name in ("ix_intents_broker_order", "ix_intents_plan", "ix_intents_told", "ix_intents_renamed"):
        op.drop_index(name, "intents")
    for name, (columns, words) in _PARTS.items():
        where = sa.text(words)
        op.create_index(name, "intents", columns, sqlite_where=where, postgresql_where=where)
    op.create_index(
        "ix_intents_told",
        "intents",
        ["account_id", "told_id"],
        sqlite_where=sa.text("told_id IS NOT broker_order_id"),
        postgresql_where=sa.text("told_id IS DISTINCT FROM broker_order_id"),
    )


def downgrade() -> None:
    for name in (*_PARTS, "ix_intents_told"):
        op.drop_index(name, "intents")
    op.create_index("ix_intents_broker_order", "intents", ["account_id", "broker_order_id"])
    op.create_index("ix_intents_plan", "intents", ["plan_id"])
    op.create_index("ix_intents_told", "intents", ["account_id", "told_id"])
    renamed = sa.text("told_id != broker_order_id")
    op.create_index(
        "ix_intents_renamed", "intents", ["account_id"], sqlite_where=renamed, postgresql_where=renamed
    )
