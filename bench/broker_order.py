"""A live order through the platform against the local Zerodha simulator, beside its own SDK calling it directly.

Orders come in bursts, as a basket's do, of as many as the exchange's ten a second allow; and one alone, when every
process has slept and the processor's caches are others'.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil

from bench import Context, Figure, disk_figures, median_of, percentile
from bench.install import Install
from tests.broker.sdk.environments import python_with, simulated

_ORDERS = 64
_BURST = 8
_REST = 1.1  # the gate and the broker take ten orders in any second
_ALONE = 0.15
_SDK = "kiteconnect==5.2.2"
_DIRECT = """
import json, sys, time
from kiteconnect import KiteConnect
told = json.loads(sys.argv[1])
kite = KiteConnect(told["credentials"]["api_key"], told["credentials"]["access_token"], root=told["rest"])
orders, burst, rest = int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
spent = []
for n in range(orders):
    if n % burst == 0:
        time.sleep(rest)
    begun = time.perf_counter()
    kite.place_order("regular", "NSE", "INFY", "BUY", 1, "MIS", "LIMIT", price=1450 + n * 0.1, tag="bench")
    spent.append((time.perf_counter() - begun) * 1e3)
print(json.dumps(spent))
"""


def run(context: Context) -> list[Figure]:
    context.say(f"making an environment for {_SDK} where there is none yet")
    python = python_with("kiteconnect", _SDK, "setuptools<81")
    with simulated("zerodha") as told, Install(context.scratch / "install") as install:
        key = _live_account(install, told)
        runs = [_once(install, told, key, python) for _ in range(context.runs)]
    return [*median_of(runs), *disk_figures(context.scratch)]


def _once(install: Install, told: dict[str, Any], key: str, python: Path) -> list[Figure]:
    together = f"{_ORDERS} resting limit orders, {_BURST} at a time one after the other"
    alone = f"{_ORDERS} resting limit orders, one each {_ALONE} s"
    return [
        *_beside(
            install, told, key, python, burst=_BURST, rest=_REST, name="order", how=together, target=1.5
        ),
        *_beside(
            install, told, key, python, burst=1, rest=_ALONE, name="order alone", how=alone, target=None
        ),
    ]


def _beside(
    install: Install,
    told: dict[str, Any],
    key: str,
    python: Path,
    *,
    burst: int,
    rest: float,
    name: str,
    how: str,
    target: float | None,
) -> list[Figure]:
    """The same orders by the SDK and through the platform."""
    direct = _direct(python, told, burst, rest)
    web = _web(install)
    used = _processor(web)
    through = _through(install, key, burst, rest)
    busy = (_processor(web) - used) / _ORDERS * 1e3
    p50, sdk = percentile(through, 0.5), percentile(direct, 0.5)
    return [
        Figure(name=f"{name}, platform p50", value=p50, unit="ms", how=how),
        Figure(name=f"{name}, platform p99", value=percentile(through, 0.99), unit="ms"),
        Figure(name=f"{name}, SDK p50", value=sdk, unit="ms", how=_SDK),
        Figure(name=f"{name}, added p50", value=p50 - sdk, unit="ms", target=target, how="the difference"),
        Figure(name=f"{name}, web's processor", value=busy, unit="ms", how="an order; all that the role did"),
    ]


def _through(install: Install, key: str, burst: int, rest: float) -> list[float]:
    connection = http.client.HTTPConnection(*install.address)
    spent = []
    for number in range(_ORDERS):
        if number % burst == 0:
            time.sleep(rest)
        order = {
            "apikey": key, "strategy": "bench", "symbol": "INFY", "exchange": "NSE", "action": "BUY", "product": "MIS",
            "pricetype": "LIMIT", "quantity": 1, "price": round(1450 + number * 0.1, 1),
        }  # fmt: skip
        begun = time.perf_counter()
        _post(connection, "/api/v1/placeorder", order)
        spent.append((time.perf_counter() - begun) * 1e3)
    connection.close()
    return spent


def _post(connection: http.client.HTTPConnection, path: str, body: dict[str, Any]) -> dict[str, Any]:
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    told: dict[str, Any] = json.loads(answer.read())
    if told.get("status") != "success":
        raise RuntimeError(f"{path}: HTTP {answer.status} {told}")
    return told


def _web(install: Install) -> psutil.Process:
    children = psutil.Process(install.process.pid).children(recursive=True)
    return next(each for each in children if "web" in " ".join(each.cmdline()))


def _processor(process: psutil.Process) -> float:
    """Seconds of processor that it has used."""
    spent = process.cpu_times()
    return float(spent.user + spent.system)


def _direct(python: Path, told: dict[str, Any], burst: int, rest: float) -> list[float]:
    """Milliseconds an order, one by one."""
    arguments = [str(python), "-c", _DIRECT, json.dumps(told), str(_ORDERS), str(burst), str(rest)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    spent: list[float] = json.loads(done.stdout)
    return spent


def _live_account(install: Install, told: dict[str, Any]) -> str:
    """An account at the simulated broker, logged in and live; its API key."""
    install.manage("account", "add", "broker", "--user", "bench", "--broker", "zerodha")
    install.manage("broker", "login", "broker", "--user", "bench", "--stdin", words=json.dumps(told))
    key = install.manage("apikey", "create", "--user", "bench", "--account", "broker").strip()
    connection = http.client.HTTPConnection(*install.address)
    _post(connection, "/api/v1/analyzer/toggle", {"apikey": key, "mode": False})
    connection.close()
    return key
