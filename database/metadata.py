"""One MetaData a store: four files on SQLite, four schemas on PostgreSQL. No key crosses from one to another."""

from __future__ import annotations

from sqlalchemy import MetaData

_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

PLATFORM = MetaData(naming_convention=_NAMES)
ORDERS = MetaData(naming_convention=_NAMES)
PAPER = MetaData(naming_convention=_NAMES)
LOGS = MetaData(naming_convention=_NAMES)

BY_NAME = {"platform": PLATFORM, "orders": ORDERS, "paper": PAPER, "logs": LOGS}
