"""Noren's socket: JSON text, `t`/`tk`/`tf` for the touchline, `d`/`dk`/`df` for depth, `o`/`om` for orders.

A first frame of an instrument is whole, later ones hold only what changed, all as strings. So each line keeps what
it has heard, by exchange and token; a token alone is unique on one exchange only.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from broker import fields
from broker.families.noren import wire
from broker.stream import BrokerStream, Frame, Want
from broker.stream_line import Line
from domain.market import DepthLevel, Tick
from domain.model import Instrument, StreamMode

log = logging.getLogger(__name__)

_TICKS = frozenset({"tk", "tf", "dk", "df"})
_NUMBERS = frozenset(
    ["lp", "o", "h", "l", "c", "v", "ap", "oi", "ltq", "tbq", "tsq", "uc", "lc", "ft"]
    + [f"{side}{what}{n}" for side in "bs" for what in "pqo" for n in range(1, 6)]
)
_KEPT_OVER_ZERO = frozenset({"o", "h", "l", "c", "ap"})


class NorenStream(BrokerStream):
    """Tokens: user_id, account_id, access_token. The login is a frame; a house may stay silent when it refuses."""

    answers_login = True
    heartbeat_every = 30.0
    silence = 120.0
    batch = 50
    order_line = True

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._known: dict[str, Instrument] = {}
        self._heard: dict[int, dict[str, dict[str, float]]] = {}

    def url(self) -> str:
        return self.session.urls.get("stream") or self.manifest.urls["stream"]

    def on_connected(self, line: Line) -> None:
        self._heard[line.number] = {}

    def build_login(self) -> Iterable[Frame]:
        yield login_frame(self.session.tokens)

    def build_welcome(self, line: Line) -> Iterable[Frame]:
        if line.number == 0:
            yield _frame(t="o", actid=self.session.tokens["account_id"])

    def build_heartbeat(self) -> Frame:
        return _frame(t="h")

    def build_subscribe(self, wants: Sequence[Want]) -> Iterable[Frame]:
        self._known.update((key_of(want.instrument), want.instrument) for want in wants)
        return subscription(wants, "t", "d")

    def build_unsubscribe(self, wants: Sequence[Want]) -> Iterable[Frame]:
        """What was heard goes too: wanted again, or in a lower mode, an instrument begins with its next whole frame."""
        for heard in self._heard.values():
            for want in wants:
                heard.pop(key_of(want.instrument), None)
        return subscription(wants, "u", "ud")

    def parse(self, frame: Frame, line: Line) -> list[Tick]:
        told = fields.row(orjson.loads(frame))
        kind = told.get("t")
        if kind in _TICKS:
            return self._tick(told, line, kind in ("dk", "df"))
        if kind in ("ak", "ck"):
            self._answered(told, line)
        elif kind == "om":
            self.on_orders([wire.parse_order(told, self.find)])
        return []

    def _answered(self, told: fields.Row, line: Line) -> None:
        if str(told.get("s")).upper() == "OK":
            line.logged_in()
        else:
            line.login_refused(fields.maybe_text(told, "emsg") or "the stream refused the login")

    def _tick(self, told: fields.Row, line: Line, deep: bool) -> list[Tick]:
        token = fields.text(told, "tk")
        key = f"{told['e']}|{token}" if told.get("e") else self._only_one(token)
        instrument = self._known.get(key)
        if instrument is None:
            return []
        heard = self._heard.setdefault(line.number, {}).setdefault(key, {})
        for name in told.keys() & _NUMBERS:
            number = fields.real(told, name)
            if number or name not in _KEPT_OVER_ZERO:
                heard[name] = number
        if "lp" not in heard:
            return []
        return [_tick(instrument, heard, deep or "tbq" in heard, int(self.clock.now().timestamp() * 1000))]

    def _only_one(self, token: str) -> str:
        """Some rows come without an exchange: the one instrument of that token, when there is just one."""
        keys = [key for key in self._known if key.endswith(f"|{token}")]
        return keys[0] if len(keys) == 1 else ""


def login_frame(tokens: Mapping[str, str]) -> str:
    user, account, token = (tokens[name] for name in ("user_id", "account_id", "access_token"))
    return _frame(t="a", uid=user, actid=account, source="API", accesstoken=token)


def _tick(one: Instrument, heard: dict[str, float], deep: bool, now: int) -> Tick:
    get = heard.get
    return Tick(
        exchange=one.exchange.value,
        symbol=one.symbol,
        mode=StreamMode.DEPTH if deep else StreamMode.QUOTE,
        last_price=heard["lp"],
        ltt=int(get("ft", 0)) * 1000 or now,
        timestamp=now,
        open=get("o", 0.0),
        high=get("h", 0.0),
        low=get("l", 0.0),
        close=get("c", 0.0),
        volume=int(get("v", 0)),
        average_price=get("ap", 0.0),
        last_quantity=int(get("ltq", 0)),
        total_buy_quantity=int(get("tbq", 0)),
        total_sell_quantity=int(get("tsq", 0)),
        open_interest=int(get("oi", 0)),
        bid=get("bp1", 0.0),
        ask=get("sp1", 0.0),
        bid_quantity=int(get("bq1", 0)),
        ask_quantity=int(get("sq1", 0)),
        bids=_levels(heard, "b") if deep else (),
        asks=_levels(heard, "s") if deep else (),
        upper_circuit=get("uc", 0.0),
        lower_circuit=get("lc", 0.0),
    )


def _levels(heard: dict[str, float], side: str) -> tuple[DepthLevel, ...]:
    get = heard.get
    return tuple(
        DepthLevel(get(f"{side}p{n}", 0.0), int(get(f"{side}q{n}", 0)), int(get(f"{side}o{n}", 0)))
        for n in range(1, 6)
        if f"{side}p{n}" in heard
    )


def subscription(wants: Sequence[Want], touchline: str, depth: str) -> Iterable[str]:
    for kind, deep in ((touchline, False), (depth, True)):
        keys = [key_of(want.instrument) for want in wants if (want.mode == StreamMode.DEPTH) is deep]
        if keys:
            yield _frame(t=kind, k="#".join(keys))


def key_of(instrument: Instrument) -> str:
    """How frames name an instrument; a token alone is not enough."""
    return f"{instrument.broker_exchange}|{instrument.broker_token}"


def _frame(**told: str) -> str:
    return orjson.dumps(told).decode()
