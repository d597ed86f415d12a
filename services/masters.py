"""Bring a broker's master into use: downloaded through an account's session, checked, and swapped in."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from domain.errors import NotSupported
from domain.masters import LoadReport
from services.accounts import Account
from services.instruments import Instruments
from services.sessions import Sessions

Progress = Callable[[str, int, int], None]


def load_master(
    sessions: Sessions, instruments: Instruments, account: Account, progress: Progress, *, force: bool = False
) -> LoadReport:
    """Load the master of an account's broker; `progress(stage, done, total)` in bytes, total 0 when not known.

    Takes seconds. Raises SessionOver and BrokerError as reads do, DamagedMaster for what must not replace the one
    in use, NotSupported for a paper account, whose master needs no broker.
    """
    broker = sessions.data_broker_for(account)
    if broker.manifest.name != account.broker or broker.manifest.login.kind == "none":
        raise NotSupported(f"{account.name} is not logged in to {account.broker}.")
    with tempfile.TemporaryDirectory(prefix="master-") as folder:
        rows = broker.fetch_instruments(Path(folder), progress)
        return instruments.load_rows(account.broker, rows, broker.manifest.title, force=force)
