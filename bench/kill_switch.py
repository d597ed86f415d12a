"""How long after somebody asks for the kill switch an order is still taken, while clients send without a pause."""

from __future__ import annotations

import http.client
import json
import threading
import time
from typing import Any

from bench.install import Install

CLIENTS = 4
_BEFORE, _AFTER = 0.5, 0.7


def blocked_after(install: Install, order: dict[str, Any]) -> float:
    """Milliseconds from the request for the switch to the last answer that took an order, those on their way included;
    0 when none came after it. Releases the switch. Raises RuntimeError when nothing was taken, or never refused.
    """
    answered: list[tuple[float, bool]] = []
    over = threading.Event()
    clients = [threading.Thread(target=_place, args=(install, order, answered, over)) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        time.sleep(_BEFORE)
        asked = time.perf_counter()
        _post(_connection(install), "killswitch", {"apikey": order["apikey"], "action": "engage"})
        time.sleep(_AFTER)
    finally:
        over.set()
        for client in clients:
            client.join()
        install.manage("kill", "--user", "bench", "--release")
    if {taken for _, taken in answered} != {True, False}:
        raise RuntimeError("the kill switch was not measured: nothing was taken, or never refused")
    return max(max(moment - asked for moment, taken in answered if taken), 0.0) * 1e3


def _place(
    install: Install, order: dict[str, Any], answered: list[tuple[float, bool]], over: threading.Event
) -> None:
    connection = _connection(install)
    while not over.is_set():
        taken = _post(connection, "placeorder", order) == 200
        answered.append((time.perf_counter(), taken))


def _connection(install: Install) -> http.client.HTTPConnection:
    host, port = install.address
    return http.client.HTTPConnection(host, port, timeout=120)


def _post(connection: http.client.HTTPConnection, path: str, body: dict[str, Any]) -> int:
    connection.request("POST", f"/api/v1/{path}", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    return answer.status
