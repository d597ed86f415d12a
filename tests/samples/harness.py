"""Runs one sample: a call and the exact request it makes, a captured envelope and the exact records it means.

A sample is a JSON file: `op` with `given`, then `requests` (what must leave) and `replies` with `expect` (what must
come of them). `captured` names a file of ../shared/data instead of a reply. `_session.json` of the folder has the
tokens and the instruments.
"""

from __future__ import annotations

import dataclasses
import json
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec

from broker import catalog
from broker.http import Call, Reply
from broker.interface import BrokerSession
from broker.sequence import RestBroker
from domain.clock import IST
from domain.conversion import ConvertPosition
from domain.errors import PlatformError
from domain.market import DepthLevel
from domain.model import (
    CancelOrder,
    Exchange,
    GttKind,
    GttLeg,
    Instrument,
    InstrumentKind,
    ModifyOrder,
    OrderType,
    PlaceGtt,
    PlaceOrder,
    Product,
    Side,
)

FOLDER = Path(__file__).parent
SHARED = Path(__file__).parents[3] / "shared" / "data"
NOW = datetime(2026, 11, 25, 10, 0, 0, tzinfo=IST)


class FixedClock:
    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0


class RecordedHttp:
    """Stands where the HTTP client stands: keeps what would leave, answers what was captured."""

    def __init__(self, replies: list[Reply]) -> None:
        self.calls: list[Call] = []
        self._replies = replies

    def send(self, call: Call) -> Reply:
        self.calls.append(call)
        return self._replies[min(len(self.calls), len(self._replies)) - 1]

    def close(self) -> None:
        pass


def samples() -> list[Path]:
    return sorted(path for path in FOLDER.glob("*/*.json") if not path.name.startswith("_"))


def broker_for(name: str, replies: list[Reply]) -> tuple[RestBroker, RecordedHttp, dict[str, Instrument]]:
    setup = json.loads((FOLDER / name / "_session.json").read_text())
    known = [_instrument(row) for row in setup["instruments"]]
    by_broker = {(i.broker_exchange, i.broker_symbol): i for i in known}
    by_broker |= {(i.broker_exchange, i.broker_token): i for i in known}
    session = BrokerSession(account="1", tokens=setup["tokens"], urls={}, opened_at=NOW)
    cls = catalog.load(name)
    broker = cls(session, lambda exchange, text: by_broker.get((exchange, text)), FixedClock())
    assert isinstance(broker, RestBroker)
    http = RecordedHttp(replies)
    broker.http = http  # type: ignore[assignment]
    return broker, http, {f"{i.exchange}:{i.symbol}": i for i in known}


def run(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]], Any]:
    """(the sample, the requests made, what came of it as plain data)."""
    sample = json.loads(path.read_text())
    broker, http, known = broker_for(path.parent.name, _replies(sample))
    try:
        result = plain(_ask(broker, sample["op"], sample.get("given", {}), known))
    except PlatformError as error:
        result = {"raises": type(error).__name__, "words": str(error)}
    return sample, [shown(call, broker) for call in http.calls], result


def shown(call: Call, broker: RestBroker) -> dict[str, Any]:
    """A request as a sample writes it."""
    base = max((url for url in broker.manifest.urls.values() if call.url.startswith(url)), key=len)
    secret = set(broker.session.tokens.values())
    headers = {
        name: value
        for name, value in call.headers.items()
        if name != "Accept-Encoding" and not any(one in value for one in secret)
    }
    return {
        "method": call.method,
        "path": call.url.removeprefix(base),
        "query": [list(pair) for pair in call.query],
        "headers": headers,
        "body": call.body.decode(),
    }


def plain(value: Any) -> Any:
    """Records as JSON can write them: money as text, moments as ISO, absent as null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        inside = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"is": type(value).__name__, **inside}
    if isinstance(value, DepthLevel):
        return [plain(part) for part in msgspec.structs.astuple(value)]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Decimal):
        return f"{value.normalize():f}" if value else "0"
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def _replies(sample: dict[str, Any]) -> list[Reply]:
    if "captured" in sample:
        return [
            Reply(sample.get("status", 200), "application/json", (SHARED / sample["captured"]).read_bytes())
        ]
    return [
        Reply(one.get("status", 200), "application/json", json.dumps(one["body"]).encode())
        if "body" in one
        else Reply(one.get("status", 200), one.get("type", "text/html"), one["text"].encode())
        for one in sample.get("replies", [{"body": None}])
    ]


def _ask(broker: RestBroker, op: str, given: dict[str, Any], known: dict[str, Instrument]) -> Any:
    instrument = known.get(given.get("instrument", ""))
    if op == "place":
        return broker.place(PlaceOrder(client_order_id=given["tag"], **_terms(given, instrument)))
    if op == "modify":
        order_id = given["order_id"]
        return broker.modify(
            ModifyOrder(client_order_id="m1", order_id=order_id, **_terms(given, instrument))
        )
    if op == "cancel":
        return broker.cancel(CancelOrder(client_order_id="c1", order_id=given["order_id"]))
    if op == "convert":
        return broker.convert(
            ConvertPosition(
                client_order_id="v000000000000001",
                instrument=known[given["instrument"]],
                side=Side(given.get("side", "BUY")),
                quantity=Decimal(given["quantity"]),
                product=Product(given["product"]),
                to_product=Product(given["to_product"]),
            )
        )
    if op == "margin":
        rows = [
            PlaceOrder(client_order_id="x", **_terms(row, known[row["instrument"]]))
            for row in given["orders"]
        ]
        return broker.fetch_margin(rows)
    if op == "place gtt":
        return broker.place_gtt(_gtt(given, known))
    if op == "modify gtt":
        return broker.modify_gtt(given["trigger_id"], _gtt(given, known))
    if op == "cancel gtt":
        return broker.cancel_gtt(given["trigger_id"])
    if op == "quotes":
        return broker.fetch_quotes([known[name] for name in given["instruments"]])
    if op == "depth":
        return broker.fetch_depth(known[given["instrument"]])
    if op == "candles":
        start, end = date.fromisoformat(given["start"]), date.fromisoformat(given["end"])
        return broker.fetch_candles(known[given["instrument"]], given["interval"], start, end)
    return getattr(broker, f"fetch_{op}")()


def _terms(given: dict[str, Any], instrument: Instrument | None) -> dict[str, Any]:
    assert instrument is not None
    prices = {name: Decimal(given[name]) for name in ("price", "trigger_price") if name in given}
    return {
        "instrument": instrument,
        "side": Side(given.get("side", "BUY")),
        "quantity": Decimal(given["quantity"]),
        "order_type": OrderType(given.get("order_type", "LIMIT")),
        "product": Product(given.get("product", "MIS")),
        **prices,
    }


def _gtt(given: dict[str, Any], known: dict[str, Instrument]) -> PlaceGtt:
    legs = tuple(
        GttLeg(
            trigger_price=Decimal(leg["trigger_price"]),
            side=Side(leg["side"]),
            quantity=Decimal(leg["quantity"]),
            product=Product(leg["product"]),
            order_type=OrderType(leg.get("order_type", "LIMIT")),
            price=Decimal(leg["price"]) if "price" in leg else None,
        )
        for leg in given["legs"]
    )
    last = Decimal(given["last_price"])
    return PlaceGtt(
        instrument=known[given["instrument"]], kind=GttKind(given["kind"]), legs=legs, last_price=last
    )


def _instrument(row: dict[str, Any]) -> Instrument:
    return Instrument(
        symbol=row["symbol"],
        exchange=Exchange(row["exchange"]),
        kind=InstrumentKind(row.get("kind", "EQ")),
        name=row.get("name", row["symbol"]),
        lot_size=row.get("lot_size", 1),
        tick_size=Decimal(row.get("tick_size", "0.05")),
        expiry=date.fromisoformat(row["expiry"]) if "expiry" in row else None,
        strike=Decimal(row["strike"]) if "strike" in row else None,
        broker_symbol=row.get("broker_symbol", row["symbol"]),
        broker_exchange=row.get("broker_exchange", row["exchange"]),
        broker_token=row.get("broker_token", row["symbol"]),
    )
