"""The words of the public socket: what a client may say and the exact shape of every answer.

Nothing here knows connections or the bus. Shapes are those of the public contract.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from domain.model import OrderEvent, OrderState, StreamMode

Message = dict[str, Any]

MODE_WORDS: Final = "Invalid mode. Use 1 (LTP), 2 (Quote) or 3 (Depth)"
_MODES: Final = {"1": 1, "2": 2, "3": 3, "ltp": 1, "quote": 2, "depth": 3}
_STATUS: Final = {
    OrderState.TRIGGER_PENDING: "trigger pending",
    OrderState.COMPLETE: "complete",
    OrderState.CANCELLED: "cancelled",
    OrderState.EXPIRED: "cancelled",
    OrderState.REJECTED: "rejected",
}


class Problem(Exception):
    """A request that gets the contract's error frame. `code` is one of the contract's codes."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Entry(NamedTuple):
    """One instrument of a request. `mode` None when the entry names none; `fault` "" when it is well formed."""

    symbol: str
    exchange: str
    mode: StreamMode | None
    fault: str = ""


def parse(raw: bytes) -> Message:
    """A client's frame. Raises Problem for what is not a JSON object."""
    try:
        message = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Problem("INVALID_JSON", "Invalid JSON message") from error
    if not isinstance(message, dict):
        raise Problem("INVALID_JSON", "Invalid JSON message")
    return message


def verb(message: Message) -> str:
    """`action`, or `type` where there is no action. Raises Problem for what is not a word."""
    word = message.get("action") or message.get("type")
    if not isinstance(word, str):
        raise Problem("INVALID_ACTION", f"Invalid action: {word!s:.64}")
    return word


def mode_of(value: object) -> StreamMode | None:
    """1, 2, 3, their text, or the label in any case; None for anything else (True is not 1)."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    number = _MODES.get(str(value).strip().lower())
    return None if number is None else StreamMode(number)


def entries(message: Message) -> list[Entry]:
    """The instruments of a subscribe or unsubscribe; malformed ones carry their fault. [] when none is named."""
    listed = message.get("symbols") or message.get("instruments")
    if isinstance(listed, list) and listed:
        return [_entry(item) for item in listed]
    if "symbol" in message and "exchange" in message:
        return [_entry({"symbol": message["symbol"], "exchange": message["exchange"]})]
    return []


def _entry(item: object) -> Entry:
    if not isinstance(item, dict):
        return Entry("", "", None, "Each entry must be an object with symbol and exchange")
    symbol, exchange = item.get("symbol"), item.get("exchange")
    if not isinstance(symbol, str) or not isinstance(exchange, str) or not symbol or not exchange:
        return Entry(_short(symbol), _short(exchange), None, "symbol and exchange are required")
    if "mode" not in item or item["mode"] is None:
        return Entry(symbol, exchange, None)
    mode = mode_of(item["mode"])
    return Entry(symbol, exchange, mode, "" if mode else MODE_WORDS)


def _short(value: object) -> str:
    return value[:64] if isinstance(value, str) else ""


# -- answers
def error(code: str, message: str) -> bytes:
    """The error frame; it has no `type`."""
    return orjson.dumps({"status": "error", "code": code, "message": message})


def authenticated(broker: str, user: str, features: Mapping[str, bool], opted: Mapping[str, bool]) -> bytes:
    """`opted` are the extensions a client asked for and gets; absent when it asked for none."""
    frame: Message = {
        "type": "auth",
        "status": "success",
        "message": "Authentication successful",
        "broker": broker,
        "user_id": user,
        "supported_features": dict(features),
    }
    return orjson.dumps({**frame, "features": dict(opted)} if opted else frame)


def subscribed(results: Sequence[Message], broker: str, request: Message) -> bytes:
    failed = any(result["status"] == "error" for result in results)
    frame = {
        "type": "subscribe",
        "status": "partial" if failed else "success",
        "subscriptions": results,
        "message": "Subscription processing complete",
        "broker": broker,
    }
    return _reply(frame, request)


def unsubscribed(
    successful: Sequence[Message], failed: Sequence[Message], broker: str, request: Message
) -> bytes:
    status = "success" if not failed else "partial" if successful else "error"
    frame = {
        "type": "unsubscribe",
        "status": status,
        "message": "Unsubscription processing complete",
        "successful": successful,
        "failed": failed,
        "broker": broker,
    }
    return _reply(frame, request)


def orders_answer(kind: str, message: str, request: Message, **extra: object) -> bytes:
    return _reply({"type": kind, "status": "success", "message": message, **extra}, request)


def pong(now_ms: int, request: Message) -> bytes:
    frame: Message = {"type": "pong", "status": "success", "server_timestamp": now_ms}
    if "timestamp" in request:
        frame["client_timestamp"] = request["timestamp"]
    if "_pingId" in request:
        frame["_pingId"] = request["_pingId"]
    return orjson.dumps(frame)


def broker_info(broker: str, state: str, user: str) -> bytes:
    frame = {"type": "broker_info", "status": "success", "broker": broker, "adapter_status": state}
    return orjson.dumps({**frame, "user_id": user})


def supported_brokers(names: Iterable[str]) -> bytes:
    listed = list(names)
    return orjson.dumps(
        {"type": "supported_brokers", "status": "success", "brokers": listed, "count": len(listed)}
    )


def watching(topics: Sequence[str], request: Message) -> bytes:
    """Extension: the bells a page now hears."""
    return _reply({"type": "watch", "status": "success", "topics": list(topics)}, request)


def changed(what: str, which: str = "") -> bytes:
    """Extension: something the page shows is no longer what it was."""
    return orjson.dumps({"type": "changed", "what": what, **({"id": which} if which else {})})


def feed_status(broker: str, state: str, since: int, words: str) -> bytes:
    """Extension: live, stale, reconnecting or expired, and since when (epoch ms)."""
    frame = {"type": "feed_status", "broker": broker, "state": state, "since": since, "message": words}
    return orjson.dumps(frame)


def market_parts(symbol: str, exchange: str, mode: int, broker: str) -> tuple[bytes, bytes]:
    """What stands before and after `data` in a market-data frame."""
    head = orjson.dumps({"type": "market_data", "symbol": symbol, "exchange": exchange, "mode": mode})
    return head[:-1] + b',"data":', b',"broker":' + orjson.dumps(broker) + b"}"


def order_update(event: OrderEvent, user: str) -> bytes:
    """The flat event of the contract, with `seq` and `state` added. Whole quantities are integers."""
    order = event.order
    return orjson.dumps(
        {
            "type": "order_update",
            "user_id": user,
            "mode": event.mode.value,
            "broker": "sandbox" if event.mode.value == "analyze" else event.broker,
            "orderid": order.order_id,
            "symbol": order.symbol,
            "exchange": order.exchange.value,
            "action": order.side.value,
            "quantity": _quantity(order.quantity),
            "price": float(order.price or 0),
            "trigger_price": float(order.trigger_price or 0),
            "pricetype": order.order_type.value,
            "product": order.product.value,
            "order_status": _STATUS.get(order.state, "open"),
            "filled_quantity": _quantity(order.filled),
            "pending_quantity": _quantity(order.pending),
            "average_price": float(order.average_price or 0),
            "rejection_reason": order.reason,
            "state": order.state.value,
            "seq": event.seq,
        }
    )


def _quantity(value: Any) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def _reply(frame: Message, request: Message) -> bytes:
    identity = request.get("request_id")
    return orjson.dumps(frame if identity is None else {**frame, "request_id": identity})
