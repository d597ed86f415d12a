"""What a hosted strategy's fields may be, and what they are until its owner says otherwise."""

from __future__ import annotations

from domain.errors import InvalidRequest
from domain.model import Exchange
from domain.strategies import RunLimits, Schedule, ScheduleKind, Window

EXCHANGES = (
    *(Exchange.NSE, Exchange.BSE, Exchange.NFO, Exchange.BFO, Exchange.MCX),
    *(Exchange.BCD, Exchange.CDS, Exchange.NCO, Exchange.CRYPTO),
)
_BOUNDS = {
    "memory_mb": (32, 65_536),
    "processes": (1, 4096),
    "files": (16, 65_536),
    "disk_mb": (1, 65_536),
    "cpu": (5, 6400),
    "output_kb": (1, 10_240),
    "heartbeat": (0, 3600),
    "grace": (1, 120),
}


def check_limits(limits: RunLimits) -> None:
    """Raises InvalidRequest naming the field."""
    for name, (least, most) in _BOUNDS.items():
        if not least <= getattr(limits, name) <= most:
            raise InvalidRequest(f"{name} is {least} to {most}.", name)


def default_schedule(exchange: Exchange) -> Schedule:
    """What a strategy runs by until its owner says otherwise."""
    if exchange is Exchange.CRYPTO:
        return Schedule(kind=ScheduleKind.ALWAYS)
    return Schedule(windows=(Window(start="09:00", stop="16:00"),), days=("mon", "tue", "wed", "thu", "fri"))


def checked_name(name: str) -> str:
    """Without the space around it. Raises InvalidRequest."""
    name = name.strip()
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise InvalidRequest("A name is 1 to 100 printable characters.", "strategy_name")
    return name


def checked_exchange(exchange: Exchange) -> Exchange:
    """One by whose hours strategies may run. Raises InvalidRequest."""
    if exchange not in EXCHANGES:
        raise InvalidRequest(f"Strategies run by the hours of {', '.join(EXCHANGES)}.", "exchange")
    return exchange
