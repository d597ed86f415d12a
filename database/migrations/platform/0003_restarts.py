"""restarts"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003_restarts"
down_revision = "0002_roles_and_alerts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("strategies", sa.Column("restart_of", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("strategies", "restart_of")
