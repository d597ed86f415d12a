"""Place-order over HTTP on a paper account, the durable journal in the path.

MARKET orders buy and sell in turn, so the position stays flat; LIMIT orders rest below the market. The disk's own
fdatasync is measured beside, because three durable commits stand in each order's way.
"""

from __future__ import annotations

from typing import Any

from bench import Context, Figure, disk_figures, median_of
from bench.http_client import Load, Result, drive
from bench.install import Install
from bench.kill_switch import CLIENTS, blocked_after

SYMBOL = "SBIN"
_SECONDS = 4.0


def run(context: Context) -> list[Figure]:
    disk = disk_figures(context.scratch)
    with Install(context.scratch / "install") as install:
        runs = []
        for number in range(context.runs):
            context.say(f"run {number + 1} of {context.runs}")
            runs.append(_measure(install))
    return [*disk, *median_of(runs)]


def _measure(install: Install) -> list[Figure]:
    market = _drive(install, _market(install.key), clients=1)
    limit = _drive(install, _limit(install), clients=1)
    many = _drive(install, _market(install.key), clients=16)
    return [
        Figure(name="MARKET p50, 1 client", value=market.at(0.5), unit="ms", target=3, how=_how(market)),
        Figure(name="MARKET p99, 1 client", value=market.at(0.99), unit="ms", target=12),
        Figure(name="LIMIT p50, 1 client", value=limit.at(0.5), unit="ms", target=3, how=_how(limit)),
        Figure(name="LIMIT p99, 1 client", value=limit.at(0.99), unit="ms", target=12),
        Figure(
            name="orders, 16 clients", value=many.rate, unit="/s", target=450, better="higher", how=_how(many)
        ),
        Figure(name="p99, 16 clients", value=many.at(0.99), unit="ms", target=120),
        Figure(
            name="kill switch: last order taken after it",
            value=blocked_after(install, _limit(install)[0]),
            unit="ms",
            target=100,
            how=f"{CLIENTS} clients",
        ),
    ]


def _how(result: Result) -> str:
    errors = f", {sum(result.errors.values())} errors {next(iter(result.errors))}" if result.errors else ""
    return f"{len(result.latencies)} orders{errors}"


def _drive(install: Install, bodies: list[dict[str, Any]], clients: int) -> Result:
    host, port = install.address
    return drive(
        Load(
            host=host, port=port, path="/api/v1/placeorder", bodies=bodies, clients=clients, seconds=_SECONDS
        )
    )


def _order(key: str, side: str, price_type: str, price: str = "0") -> dict[str, Any]:
    return {
        "apikey": key,
        "strategy": "bench",
        "symbol": SYMBOL,
        "exchange": "NSE",
        "action": side,
        "pricetype": price_type,
        "product": "MIS",
        "quantity": "1",
        "price": price,
    }


def _market(key: str) -> list[dict[str, Any]]:
    return [_order(key, side, "MARKET") for side in ("BUY", "SELL")]


def _limit(install: Install) -> list[dict[str, Any]]:
    """A buy in whole rupees (every tick size divides them) 5 % below the last price: never filled within a run."""
    last = quote(install)
    return [_order(install.key, "BUY", "LIMIT", f"{int(last * 0.95)}")]


def quote(install: Install) -> float:
    """The last price of the bench's symbol."""
    import requests

    body = {"apikey": install.key, "symbol": SYMBOL, "exchange": "NSE"}
    answer = requests.post(f"{install.http}/api/v1/quotes", json=body, timeout=10).json()
    return float(answer["data"]["ltp"])
