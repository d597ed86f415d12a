"""Requests to services outside that are no broker: only to addresses that the operator set, or at a person's press."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import urllib3

from database import strategies as rows
from database.engine import Database
from domain.errors import Unavailable
from domain.strategies import StrategyState, Wanted

log = logging.getLogger(__name__)

_LONGEST = 200
_TIMEOUT = urllib3.Timeout(connect=3.0, read=4.0)


def ask(url: str) -> str:
    """One GET, without a cookie, a redirect or a retry; at most 200 bytes of the answer. Raises Unavailable.

    Words name the host alone: the rest of an address may be a secret.
    """
    host = urlsplit(url).hostname
    try:
        with urllib3.PoolManager(num_pools=1, retries=False, timeout=_TIMEOUT) as pool:
            answer = pool.request("GET", url, redirect=False, preload_content=False)
            body = answer.read(_LONGEST)
            answer.release_conn()
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise Unavailable(f"{host} does not answer.") from error
    if answer.status != 200:
        raise Unavailable(f"{host} answered {answer.status}.")
    return str(body.decode("ascii", "replace"))


class VitalSign:
    """Tells a watcher outside that this install works. Silence is the alarm, so a dead machine raises it too."""

    def __init__(
        self,
        store: Database,
        url: str,
        ports: Sequence[tuple[str, int]],
        tell: Callable[[str], object] = ask,
    ) -> None:
        """`ports` are host and port of the web server and of the feed."""
        self._db = store
        self._url = url
        self._ports = ports
        self._tell = tell
        self._said = ""

    def beat(self) -> None:
        """Tell it, unless something is down. For the worker, each minute; why it is silent is logged once."""
        words = self.missing()
        if not words:
            try:
                self._tell(self._url)
            except Unavailable as error:
                words = f"the watcher outside was not reached: {error}"
        if words != self._said:
            log.warning("no vital sign: %s", words) if words else log.info("vital sign told")
        self._said = words

    def missing(self) -> str:
        """What does not work, "" for nothing."""
        for name, address in zip(("the API", "the price feed"), self._ports, strict=True):
            try:
                socket.create_connection(address, 1.0).close()
            except OSError:
                return f"{name} does not answer"
        with self._db.read() as connection:
            down = [each.name for each in rows.every(connection) if _is_down(each.state, each.wanted)]
        return f"strategies that failed: {', '.join(down[:5])}" if down else ""


def _is_down(state: StrategyState, wanted: Wanted) -> bool:
    return state is StrategyState.FAILED and wanted is not Wanted.STOPPED
