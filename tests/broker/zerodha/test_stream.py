"""Kite's packets: the published one, every size round-tripped through the simulator's writer, and broken frames."""

from __future__ import annotations

import base64
import json
import struct
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.zerodha.stream import parse_frame, scrip
from config import SystemClock
from domain.market import Tick
from domain.model import Exchange, Instrument, InstrumentKind
from tests.simulators import kite_wire as wire
from tests.simulators.market import HandMarket, listing

SHARED = Path(__file__).parents[4] / "shared" / "data" / "kite"
TODAY = SystemClock().now().date()
ROWS = listing(TODAY)
MARKET = HandMarket(SystemClock(), 0, {one.key: price for one, price in ROWS})


def instrument(symbol: str, exchange: Exchange, token: int, tick: str = "0.05") -> Instrument:
    return Instrument(
        symbol=symbol,
        exchange=exchange,
        kind=InstrumentKind.EQUITY,
        name=symbol,
        lot_size=1,
        tick_size=Decimal(tick),
        broker_symbol=symbol,
        broker_exchange=exchange.value,
        broker_token=str(token),
    )


def kite_scrips() -> list[wire.Scrip]:
    return [wire.Scrip(one, number) for number, (one, _) in enumerate(ROWS, 1594)]


def ours(scrips: list[wire.Scrip]) -> dict:
    named = [
        Instrument(
            **{
                name: getattr(s.instrument, name)
                for name in ("symbol", "exchange", "kind", "name", "lot_size", "tick_size")
            },
            broker_symbol=s.symbol,
            broker_exchange=s.exchange,
            broker_token=str(s.token),
        )
        for s in scrips
    ]
    return dict(scrip(one) for one in named)


@pytest.mark.shared
def test_the_published_quote_packet_means_the_published_quote() -> None:
    if not SHARED.exists():
        pytest.skip("needs ../shared/data/kite")
    packet = base64.b64decode((SHARED / "ticker_quote.packet").read_text())
    told = json.loads((SHARED / "ticker_quote.json").read_text())
    (tick,) = parse_frame(wire.frame([packet]), dict([scrip(instrument("INFY", Exchange.NSE, 408065))]), 5)
    assert (tick.symbol, tick.mode, tick.last_price, tick.volume) == ("INFY", 2, 1573.15, 1175986)
    assert (tick.open, tick.high, tick.low, tick.close) == tuple(told["ohlc"].values())
    assert tick.average_price == told["average_price"]
    assert (tick.total_buy_quantity, tick.total_sell_quantity) == (256511, 360503)


@pytest.mark.parametrize("mode", ["ltp", "quote", "full"])
def test_every_segment_comes_back_as_it_was_written(mode: str) -> None:
    scrips = kite_scrips()
    ticks = [MARKET.tick(s.instrument) for s in scrips]
    frame = wire.frame([wire.packet(s, t, mode) for s, t in zip(scrips, ticks, strict=True)])
    got = parse_frame(frame, ours(scrips), ticks[0].timestamp)
    assert len(got) == len(ticks)
    for wanted, tick in zip(ticks, got, strict=True):
        assert (tick.exchange, tick.symbol, tick.last_price) == (
            wanted.exchange,
            wanted.symbol,
            wanted.last_price,
        )
        if mode != "ltp":
            assert tick[6:10] == wanted[6:10], "open, high, low, close"
        if mode == "full" and wanted.bids:
            assert (tick.bids, tick.asks, tick.open_interest) == (
                wanted.bids,
                wanted.asks,
                wanted.open_interest,
            )
            assert tick.ltt == wanted.ltt


def test_currency_and_commodity_prices_have_their_own_divisor() -> None:
    currency, nco = 1001 * 256 + 3, 1002 * 256 + 12
    known = dict(
        [scrip(instrument("USDINR", Exchange.CDS, currency)), scrip(instrument("GOLD", Exchange.NCO, nco))]
    )
    frame = wire.frame([struct.pack(">II", currency, 885_025_000), struct.pack(">II", nco, 123_450_000)])
    assert [tick.last_price for tick in parse_frame(frame, known, 1)] == [88.5025, 12345.0]


def test_a_heartbeat_is_nothing() -> None:
    assert parse_frame(b"\x00", {}, 1) == []
    assert parse_frame(b"\x00\x00", {}, 1) == []


@given(st.data())
def test_a_broken_frame_gives_only_what_came_whole(data: st.DataObject) -> None:
    scrips = kite_scrips()[:6]
    modes = [data.draw(st.sampled_from(["ltp", "quote", "full"])) for _ in scrips]
    packets = [wire.packet(s, MARKET.tick(s.instrument), m) for s, m in zip(scrips, modes, strict=True)]
    frame, known = wire.frame(packets), ours(scrips)
    whole = parse_frame(frame, known, 7)
    cut = data.draw(st.integers(0, len(frame)))
    part = parse_frame(frame[:cut], known, 7)
    assert part == whole[: len(part)]


@given(st.binary(max_size=400))
def test_any_bytes_are_read_without_an_accident(frame: bytes) -> None:
    for tick in parse_frame(frame, ours(kite_scrips()), 7):
        assert isinstance(tick, Tick)
