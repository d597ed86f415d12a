"""Noren's frames: partial updates build on what was heard, by exchange and token, anew for each socket."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from broker import catalog
from broker.interface import BrokerSession
from broker.stream import BrokerStream, StreamSinks, Want
from broker.stream_line import Line, LoginRefused
from config import SystemClock
from domain.market import DepthLevel, Tick
from domain.model import Exchange, Instrument, InstrumentKind, Order, OrderState

CLOCK = SystemClock()
SBIN = Instrument(
    symbol="SBIN",
    exchange=Exchange.NSE,
    kind=InstrumentKind.EQUITY,
    name="SBIN",
    lot_size=1,
    tick_size=Decimal("0.05"),
    broker_symbol="SBIN-EQ",
    broker_exchange="NSE",
    broker_token="3045",
)
OTHER = replace(
    SBIN, symbol="X", exchange=Exchange.NFO, broker_exchange="NFO", broker_symbol="X26", kind="FUT"
)


class Heard:
    """A stream with nothing behind it, its first line, and what it told."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        cls = catalog.load("shoonya").stream
        assert cls is not None
        tokens = {"user_id": "FA1", "account_id": "FA1", "access_token": "t"}
        session = BrokerSession(account="1", tokens=tokens, urls={}, opened_at=CLOCK.now())
        sinks = StreamSinks(lambda _: None, self.orders.extend, lambda *_: None)
        self.stream: BrokerStream = cls("f", session, lambda *_: SBIN, CLOCK, sinks, lambda: True)
        self.line = Line(self.stream, 0)
        list(self.stream.build_subscribe([Want(SBIN, 2), Want(OTHER, 3)]))

    def says(self, **frame: Any) -> list[Tick]:
        return self.stream.parse(json.dumps(frame), self.line)


def test_a_partial_frame_keeps_what_was_heard() -> None:
    heard = Heard()
    heard.says(
        t="tk",
        e="NSE",
        tk="3045",
        lp="530.50",
        o="529",
        h="533",
        l="526.1",
        c="528.8",
        v="10",
        ft="1773114300",
    )
    (tick,) = heard.says(t="tf", e="NSE", tk="3045", lp="531.00", v="12")
    assert (tick.last_price, tick.open, tick.high, tick.close, tick.volume) == (531, 529, 533, 528.8, 12)
    assert tick.ltt == 1773114300000


def test_a_zero_does_not_wipe_the_day() -> None:
    heard = Heard()
    heard.says(t="tk", e="NSE", tk="3045", lp="530.50", o="529", c="528.8")
    (tick,) = heard.says(t="tf", e="NSE", tk="3045", lp="531.00", o="0.00", c="0")
    assert (tick.open, tick.close) == (529, 528.8)


def test_a_token_is_known_by_its_exchange() -> None:
    heard = Heard()
    (first,) = heard.says(t="tk", e="NSE", tk="3045", lp="530.50")
    (second,) = heard.says(t="dk", e="NFO", tk="3045", lp="99.00", bp1="98.95", bq1="50", bo1="2")
    assert (first.symbol, first.last_price, second.symbol, second.last_price) == ("SBIN", 530.5, "X", 99.0)
    assert second.bids[0] == DepthLevel(98.95, 50, 2)
    assert heard.says(t="tf", tk="3045", lp="1.00") == [], "two exchanges have this token: nobody is meant"


def test_a_frame_without_exchange_is_read_where_the_token_is_unique() -> None:
    heard = Heard()
    heard.stream._known.pop("NFO|3045")  # type: ignore[attr-defined]
    (tick,) = heard.says(t="tk", tk="3045", lp="530.50")
    assert tick.symbol == "SBIN"


def test_a_new_socket_forgets() -> None:
    heard = Heard()
    heard.says(t="tk", e="NSE", tk="3045", lp="530.50", o="529")
    heard.stream.on_connected(heard.line)
    assert heard.says(t="tf", e="NSE", tk="3045", o="530") == []
    (tick,) = heard.says(t="tk", e="NSE", tk="3045", lp="531.00")
    assert tick.open == 530


@pytest.mark.parametrize("price", ["NaN", "inf", "-", {"a": 1}, [1], True])
def test_an_unreadable_price_is_no_tick(price: object) -> None:
    with pytest.raises(ValueError, match="lp"):
        Heard().says(t="tk", e="NSE", tk="3045", lp=price)


def test_the_login_answer_is_heard() -> None:
    heard = Heard()
    heard.says(t="ak", uid="FA1", s="OK")
    with pytest.raises(LoginRefused):
        heard.says(t="ak", uid="FA1", s="NOT_OK")


def test_an_unknown_status_is_read_by_its_report() -> None:
    heard = Heard()
    row = {
        "t": "om", "norenordno": "1", "exch": "NSE", "tsym": "SBIN-EQ", "qty": "1", "trantype": "B",
        "prctyp": "LMT", "prc": "530", "pcode": "I", "norentm": "19:40:00 13-12-2026", "remarks": "",
    }  # fmt: skip
    heard.says(**row, status="ODD", reporttype="Canceled")
    heard.says(**row, status="ODD", reporttype="Fill")
    assert [order.state for order in heard.orders] == [OrderState.CANCELLED, OrderState.UNKNOWN]
    assert heard.orders[1].status_word == "ODD"


def test_a_lowered_mode_shows_no_depth_of_before() -> None:
    heard = Heard()
    deep, light = Want(SBIN, 3), Want(SBIN, 2)
    list(heard.stream.build_subscribe([deep]))
    book = {"bp1": "530.45", "bq1": "5", "sp1": "530.55", "sq1": "5", "tbq": "900", "tsq": "800"}
    (tick,) = heard.says(t="dk", e="NSE", tk="3045", lp="530.50", **book)
    assert tick.mode == 3 and tick.bids
    list(heard.stream.build_unsubscribe([deep]))
    list(heard.stream.build_subscribe([light]))
    (tick,) = heard.says(t="tk", e="NSE", tk="3045", lp="541.00")
    assert (tick.mode, tick.bids, tick.asks, tick.bid, tick.total_buy_quantity) == (2, (), (), 0.0, 0)


def test_what_is_wanted_again_is_not_shown_at_the_price_of_before() -> None:
    heard = Heard()
    wanted = Want(SBIN, 2)
    heard.says(t="tk", e="NSE", tk="3045", lp="530.50", o="529")
    list(heard.stream.build_unsubscribe([wanted]))
    list(heard.stream.build_subscribe([wanted]))
    assert heard.says(t="tf", e="NSE", tk="3045", v="12") == [], "its price is not known any more"
    (tick,) = heard.says(t="tk", e="NSE", tk="3045", lp="541.00")
    assert (tick.last_price, tick.open) == (541, 0)
