"""conversions"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from database import types

revision = "0002_conversions"
down_revision = "0001_first"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("intents", sa.Column("to_product", sa.String(length=8), nullable=True))
    op.add_column("intents", sa.Column("held_from", types.Quantity(), nullable=True))
    op.add_column("intents", sa.Column("held_to", types.Quantity(), nullable=True))


def downgrade() -> None:
    op.drop_column("intents", "held_to")
    op.drop_column("intents", "held_from")
    op.drop_column("intents", "to_product")
