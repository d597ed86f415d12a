"""roles and alerts"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from database import types

revision = "0002_roles_and_alerts"
down_revision = "0001_first"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "strategy_alerts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("strategy_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("at", types.UtcTime(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("tail", sa.Text(), nullable=False),
        sa.Column("seen_at", types.UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_strategy_alerts")),
    )
    op.create_index(op.f("ix_strategy_alerts_user_id"), "strategy_alerts", ["user_id"], unique=False)
    op.create_table(
        "account_members",
        sa.Column("account_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_account_members_account_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_account_members_user_id")),
        sa.PrimaryKeyConstraint("account_id", "user_id", name=op.f("pk_account_members")),
    )
    op.create_index(op.f("ix_account_members_user_id"), "account_members", ["user_id"], unique=False)
    op.add_column("strategy_runs", sa.Column("sweep", sa.String(length=8), nullable=False, server_default=""))
    op.create_index(op.f("ix_strategy_runs_sweep"), "strategy_runs", ["sweep"], unique=False)
    op.add_column("users", sa.Column("role", sa.String(length=8), nullable=False, server_default="trader"))
    op.execute("UPDATE users SET role = 'admin' WHERE is_admin")
    op.drop_column("users", "is_admin")


def downgrade() -> None:
    op.add_column("users", sa.Column("is_admin", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute("UPDATE users SET is_admin = true WHERE role = 'admin'")
    op.drop_column("users", "role")
    op.drop_index(op.f("ix_strategy_runs_sweep"), table_name="strategy_runs")
    op.drop_column("strategy_runs", "sweep")
    op.drop_index(op.f("ix_account_members_user_id"), table_name="account_members")
    op.drop_table("account_members")
    op.drop_index(op.f("ix_strategy_alerts_user_id"), table_name="strategy_alerts")
    op.drop_table("strategy_alerts")
