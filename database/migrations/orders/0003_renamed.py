"""renamed orders"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003_renamed"
down_revision = "0002_conversions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    renamed = sa.text("told_id != broker_order_id")
    op.create_index(
        "ix_intents_renamed", "intents", ["account_id"], sqlite_where=renamed, postgresql_where=renamed
    )


def downgrade() -> None:
    op.drop_index("ix_intents_renamed", "intents")
