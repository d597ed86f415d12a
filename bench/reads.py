"""Reads over HTTP: ping beside a bare route, funds, positions, quotes, and an order book of 1,000 orders."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from bench import Context, Figure, median_of
from bench.http_client import Load, Result, drive
from bench.install import ROOT, Install
from bench.orders import SYMBOL, _limit
from commands import ports

_BOOK = 1000
_SECONDS = 3.0


def run(context: Context) -> list[Figure]:
    with Install(context.scratch / "install") as install, bare() as bare_port:
        context.say(f"placing {_BOOK} orders")
        place(install, _BOOK)
        runs = []
        for number in range(context.runs):
            context.say(f"run {number + 1} of {context.runs}")
            runs.append([*_pings(install, bare_port), *_books(install)])
    return median_of(runs)


@contextlib.contextmanager
def bare() -> Iterator[int]:
    """A server with one bare Flask-RESTX route; its port."""
    port = ports.check("127.0.0.1", 0, "FLASK_PORT")
    command = [sys.executable, "-m", "bench.bare", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        while not ports.is_open("127.0.0.1", port):
            time.sleep(0.05)
        try:
            yield port
        finally:
            process.terminate()


def place(install: Install, count: int) -> None:
    """Let `count` limit orders rest."""
    import requests

    (body,) = _limit(install)
    with requests.Session() as session:
        for _ in range(count):
            answer = session.post(f"{install.http}/api/v1/placeorder", json=body, timeout=20)
            if answer.status_code != 200:
                raise RuntimeError(answer.text)


def _pings(install: Install, bare_port: int) -> list[Figure]:
    body = {"apikey": install.key}
    one, many = (_drive(install, "ping", body, clients) for clients in (1, 16))
    bare_one, bare_many = (
        drive(
            Load(
                host="127.0.0.1",
                port=bare_port,
                path="/api/v1/ping",
                bodies=[body],
                clients=n,
                seconds=_SECONDS,
            )
        )
        for n in (1, 16)
    )
    return [
        Figure(
            name="ping p50, 1 client",
            value=one.at(0.5),
            unit="ms",
            target=1.2,
            how="key, validation, limiter on",
        ),
        Figure(name="ping, 16 clients", value=many.rate, unit="/s", target=1000, better="higher"),
        Figure(name="ping p99, 16 clients", value=many.at(0.99), unit="ms"),
        Figure(name="bare route, 1 client", value=bare_one.rate, unit="/s", how="Flask-RESTX, nothing in it"),
        Figure(name="bare route, 16 clients", value=bare_many.rate, unit="/s"),
        Figure(name="ping's share of bare, 1", value=100 * one.rate / bare_one.rate, unit="%"),
        Figure(name="ping's share of bare, 16", value=100 * many.rate / bare_many.rate, unit="%"),
    ]


def _books(install: Install) -> list[Figure]:
    key = {"apikey": install.key}
    figures = []
    for path, body, target in (
        ("funds", key, 3),
        ("positionbook", key, 3),
        ("quotes", {**key, "symbol": SYMBOL, "exchange": "NSE"}, 3),
        ("orderbook", key, 20),
    ):
        result = _drive(install, path, body, 1)
        size = result.bytes_read // max(1, len(result.latencies))
        figures.append(
            Figure(
                name=f"{path} p50, 1 client",
                value=result.at(0.5),
                unit="ms",
                target=target,
                how=f"{size:,} bytes",
            )
        )
    return figures


def _drive(install: Install, path: str, body: dict[str, Any], clients: int) -> Result:
    host, port = install.address
    return drive(
        Load(host=host, port=port, path=f"/api/v1/{path}", bodies=[body], clients=clients, seconds=_SECONDS)
    )
