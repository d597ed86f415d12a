"""Quotes of many instruments by one short stream, where a house counts its calls too closely to ask for each.

A first frame of an instrument is whole, and named as the rows of GetQuotes are. The socket is a second one beside the
account's feed; it is opened for one question, and closed once everything has come or nothing more comes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Final

import orjson
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from broker import fields
from broker.families.noren.stream import key_of, login_frame, subscription
from broker.fields import Row
from broker.interface import BrokerSession
from broker.stream import Want
from domain.clock import Clock
from domain.model import QUOTE_ONLY, Instrument, StreamMode

log = logging.getLogger(__name__)

_OPEN: Final = 3.0
_WHOLE: Final = 4.0
_QUIET: Final = 1.0
"""Seconds without a frame after which no more is expected: what the house does not know, it passes over."""
_BATCH: Final = 50
_LARGEST: Final = 1 << 20


def collect(
    address: str, session: BrokerSession, instruments: Sequence[Instrument], clock: Clock
) -> dict[str, Row]:
    """Whole frames by `key_of`; fewer than asked where the socket failed, was refused, or brought no more."""
    wanted, found = {key_of(one) for one in instruments}, dict[str, Row]()
    try:
        with connect(
            address, open_timeout=_OPEN, close_timeout=0.5, max_size=_LARGEST, compression=None, proxy=None
        ) as socket:
            socket.send(login_frame(session.tokens))
            for row in _rows(socket, clock):
                if row.get("t") in ("ak", "ck") and not _asked(socket, row, instruments):
                    break
                key = f"{row.get('e')}|{row.get('tk')}"
                if row.get("t") in ("tk", "dk") and key in wanted:
                    found[key] = row
                if len(found) == len(wanted):
                    break
    except (OSError, WebSocketException, ValueError) as error:
        log.warning("quotes by stream ended early account=%s why=%s", session.account, type(error).__name__)
    log.debug("quotes by stream account=%s came=%s of=%s", session.account, len(found), len(wanted))
    return found


def _asked(socket: ClientConnection, answer: Row, instruments: Sequence[Instrument]) -> bool:
    """Subscribe once the login is accepted; False when it is refused. Indices have no depth."""
    if str(answer.get("s")).upper() != "OK":
        return False
    for start in range(0, len(instruments), _BATCH):
        some = instruments[start : start + _BATCH]
        wants = [
            Want(one, StreamMode.QUOTE if one.exchange in QUOTE_ONLY else StreamMode.DEPTH) for one in some
        ]
        for frame in subscription(wants, "t", "d"):
            socket.send(frame)
    return True


def _rows(socket: ClientConnection, clock: Clock) -> Iterator[Row]:
    """What comes, until the time is over or the socket is quiet."""
    end = clock.monotonic() + _WHOLE
    while (left := end - clock.monotonic()) > 0:
        try:
            frame = socket.recv(timeout=min(left, _QUIET))
        except TimeoutError:
            return
        yield fields.row(orjson.loads(frame))
