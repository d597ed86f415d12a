"""order stages"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from database import types

revision = "0002_order_stages"
down_revision = "0001_first"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "order_stages",
        sa.Column(
            "seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("intent_id", sa.String(length=16), nullable=False),
        sa.Column("at", types.UtcTime(), nullable=False),
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("broker", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("outcome", sa.String(length=10), nullable=False),
        sa.Column("ours_micros", sa.BigInteger(), nullable=False),
        sa.Column("broker_micros", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_order_stages")),
    )
    op.create_index("ix_order_stages_at", "order_stages", ["at"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_order_stages_at", table_name="order_stages")
    op.drop_table("order_stages")
