"""Parse brokers' bytes on one core: full-mode ticker packets into ticks with ten levels, a master into instruments."""

from __future__ import annotations

import gc
import random
import struct
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from bench import Context, Figure, median_of
from broker.zerodha import instruments
from broker.zerodha.stream import Scrip, parse_frame, scrip
from domain.model import Exchange, Instrument, InstrumentKind

_MASTER = Path(__file__).parents[2] / "shared" / "data" / "instruments" / "kite_nfo_bfo_2026-08-21.csv.gz"
_PACKETS = 200
_FRAMES = 100
_TARGET = 300_000


def run(context: Context) -> list[Figure]:
    frames, scrips = _full_frames()
    usual = gc.get_threshold()
    gc.set_threshold(50_000, 20, 100)  # as the stream role sets it: ticks make no cycles
    try:
        runs = [[_kite(frames, scrips), *_kite_master(context)] for _ in range(context.runs)]
    finally:
        gc.set_threshold(*usual)
    return median_of(runs)


def _kite_master(context: Context) -> list[Figure]:
    if not _MASTER.exists():
        context.say("the Kite master is not here: only packets are parsed")
        return []
    begun, used = time.perf_counter(), time.process_time()
    found = sum(isinstance(row, Instrument) for row in instruments.read(_MASTER))
    seconds, busy = time.perf_counter() - begun, time.process_time() - used
    how = f"{found:,} contracts of NFO and BFO, unpacked and read into instruments"
    return [
        Figure(name="kite F&O master", value=seconds, unit="s", target=1.0, how=how),
        Figure(name="kite F&O master, processor", value=busy, unit="s", how="the same, processor time"),
    ]


def _kite(frames: list[bytes], scrips: dict[int, Scrip]) -> Figure:
    def parse() -> int:
        return sum(len(parse_frame(frame, scrips, 1_700_000_000_000)) for frame in frames)

    return Figure(
        name="kite full-mode quotes",
        value=_rate(parse),
        unit="quotes/s",
        target=_TARGET,
        better="higher",
        how=f"{_FRAMES} frames of {_PACKETS} packets of 184 bytes, no two alike, into Tick with ten levels",
    )


def _rate(parse: Callable[[], int], seconds: float = 1.0) -> float:
    parse()
    done, begun = 0, time.perf_counter()
    while (spent := time.perf_counter() - begun) < seconds:
        done += parse()
    return done / spent


def _full_frames() -> tuple[list[bytes], dict[int, Scrip]]:
    drawn = random.Random(7)
    tokens = [number * 256 + 2 for number in range(40_000, 40_000 + _PACKETS)]
    scrips = dict(scrip(_instrument(token)) for token in tokens)
    return [_frame([_packet(token, drawn) for token in tokens]) for _ in range(_FRAMES)], scrips


def _instrument(token: int) -> Instrument:
    return Instrument(
        symbol=f"NIFTY28MAR24{token}CE",
        exchange=Exchange.NFO,
        kind=InstrumentKind.CALL,
        name="NIFTY",
        lot_size=65,
        tick_size=Decimal("0.05"),
        broker_symbol=str(token),
        broker_exchange="NFO",
        broker_token=str(token),
    )


def _packet(token: int, drawn: random.Random) -> bytes:
    last = drawn.randrange(1000, 50_000)
    head = [token, last, 65, last, drawn.randrange(1 << 24), 500, 700, last, last + 900, last - 900, last]
    tail = [1_700_000_000, drawn.randrange(1 << 24), 0, 0, 1_700_000_000]
    levels = [
        number
        for n in range(1, 11)
        for number in (drawn.randrange(1, 9000), last + 5 * (n - 5), drawn.randrange(1, 90))
    ]
    return struct.pack(">16I" + "IIH2x" * 10, *head, *tail, *levels)


def _frame(packets: list[bytes]) -> bytes:
    return struct.pack(">H", len(packets)) + b"".join(struct.pack(">H", len(p)) + p for p in packets)
