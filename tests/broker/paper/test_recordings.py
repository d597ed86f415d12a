"""Recordings by their files' names, the clock that shows them, and fills that a tape alone decides."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from broker.paper.exchange import PaperExchange
from broker.paper.numbers import Numbers
from broker.paper.recordings import Recordings, key_of, read_recordings
from broker.paper.rules import Terms
from domain.clock import IST
from domain.model import Exchange, InstrumentKey, OrderType, PlaceOrder, Product, Side, Trade
from tests.broker.paper.market_kit import HandClock, share
from tests.broker.paper.test_replay import OPENS, calendar, later

BAR = "2025-08-26T09:15:00+05:30,100,102,99,101,40\n2025-08-26T09:20:00+05:30,101,102,99,100,40\n"
CANDLES = f"timestamp,open,high,low,close,volume\n{BAR}"
TICKS = "timestamp,last_price,volume\n2025-08-26T09:14:59+05:30,100.5,5\n2025-08-26T09:30:00+05:30,101,9\n"
RELIANCE = InstrumentKey(Exchange.NSE, "RELIANCE")


def recorded(folder: Path, **files: str) -> Recordings:
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text)
    return read_recordings([folder], calendar())


def test_a_files_name_tells_its_instrument(tmp_path: Path) -> None:
    assert key_of(tmp_path / "NSE_RELIANCE_5m.csv.gz") == RELIANCE
    assert key_of(tmp_path / "NSE_INDEX_NIFTY_1m.csv") == (Exchange.NSE_INDEX, "NIFTY")
    assert key_of(tmp_path / "NFO_NIFTY28AUG2524500CE.csv").symbol == "NIFTY28AUG2524500CE"
    for name in ("RELIANCE.csv", "NSE_.csv", "LSE_BP_1m.csv"):
        with pytest.raises(ValueError, match=name):
            key_of(tmp_path / name)


def test_of_two_recordings_the_finer_is_shown(tmp_path: Path) -> None:
    found = recorded(tmp_path, NSE_RELIANCE_5m=CANDLES, NSE_RELIANCE_ticks=TICKS, NSE_INFY_5m=CANDLES)
    assert found.tapes[RELIANCE].length == 0
    assert found.tapes[InstrumentKey(Exchange.NSE, "INFY")].length == 300
    assert (found.first, found.last) == (OPENS - timedelta(seconds=1), later(minutes=15))


def test_what_cannot_be_replayed_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no recording"):
        read_recordings([tmp_path], calendar())
    (tmp_path / "NSE_RELIANCE_5m.csv").write_text(CANDLES + "2025-08-26T09:25:00+05:30,1,2,x,1,4\n")
    with pytest.raises(ValueError, match=r"NSE_RELIANCE_5m.csv, row 4"):
        read_recordings([tmp_path], calendar())


@pytest.mark.clock
def test_an_interrupted_replay_goes_on_where_its_book_stands(tmp_path: Path) -> None:
    found, real = recorded(tmp_path, NSE_RELIANCE_5m=CANDLES), HandClock()
    assert found.clock(real, None, 100, None).now() == OPENS
    assert found.clock(real, later(minutes=2), 1, OPENS).now() == later(minutes=2)
    assert found.clock(real, None, 1, later(minutes=5)).now() == later(minutes=5)
    with pytest.raises(ValueError, match="data directory of its own"):
        found.clock(real, None, 1, datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(ValueError, match="the recording ends at"):
        found.clock(real, datetime(2025, 9, 1, tzinfo=IST), 1, None)


# -- the same tape twice
def tick_file(path: Path, seed: int) -> None:
    draw, price, volume = random.Random(seed), 1000.0, 0
    lines = ["timestamp,last_price,volume,bid,ask,bid_quantity,ask_quantity"]
    at = int(OPENS.timestamp() * 1000)
    for _ in range(4_000):
        at += draw.randrange(1, 900)
        price = round(price + draw.choice((-0.3, -0.1, 0, 0.1, 0.3)), 1)
        volume += draw.randrange(1, 50)
        lines.append(
            f"{at},{price},{volume},{price - 0.1:.1f},{price + 0.1:.1f},{draw.randrange(1, 80)},{draw.randrange(1, 80)}"
        )
    path.write_text("\n".join(lines))


def order(draw: random.Random, number: int) -> PlaceOrder:
    kind = draw.choice(list(OrderType))
    near = Decimal(1000) + Decimal(draw.randrange(-60, 60)) / 10
    return PlaceOrder(
        client_order_id=f"{number:016d}",
        instrument=share(),
        side=draw.choice((Side.BUY, Side.SELL)),
        quantity=Decimal(draw.randrange(1, 40)),
        order_type=kind,
        product=Product.INTRADAY,
        price=near if kind in (OrderType.LIMIT, OrderType.STOP_LIMIT) else Decimal(0),
        trigger_price=near if kind in (OrderType.STOP_LIMIT, OrderType.STOP_MARKET) else Decimal(0),
    )


def played(folder: Path, seed: int, looks: int) -> list[Trade]:
    """The trades of 120 drawn orders, placed at fixed moments; between them the market is looked at `looks` times."""
    found, clock, draw = read_recordings([folder], calendar()), HandClock(OPENS), random.Random(seed)
    market = found.market(calendar(), clock, "paper")
    venue = PaperExchange(
        market, Numbers(lambda _: 0, lambda _: 0), Terms(), lambda order, at, house: Decimal(0)
    )
    for number in range(120):
        until = clock.moment + timedelta(seconds=12)
        venue.place("1", order(draw, number), clock.moment)
        for _ in range(looks):
            since = clock.moment
            clock.moment = since + timedelta(seconds=12 / looks)
            for tick in market.ticks(venue.watched(), since, clock.moment):
                venue.on_tick(tick)
        assert clock.moment == until
    return venue.accounts["1"].trades


def test_the_same_tick_tape_twice_gives_identical_fills(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}")
    tick_file(tmp_path / "NSE_RELIANCE_ticks.csv", seed)
    first = played(tmp_path, seed, 1)
    assert len(first) > 40
    assert played(tmp_path, seed, 1) == first
    assert played(tmp_path, seed, 48) == first, "how often the market is looked at changes no fill"
