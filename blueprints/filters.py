"""How numbers, times and names are written on a page. The tick painter (`static/js/format.js`) writes the same."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from flask import Flask

from domain.clock import IST
from domain.figures import ABSENT, MINUS, Number, inr
from domain.model import Exchange, Instrument


def signed(value: Number | None, places: int = 2) -> str:
    """Like `inr`, with + before a gain; zero has no sign."""
    text = inr(value, places)
    return ("+" if value is not None and value > 0 and text.strip("0.,") else "") + text


def units(value: Number | None) -> str:
    """A quantity: whole numbers without decimals, fractions as they are."""
    if value is None:
        return ABSENT
    exact = Decimal(value)
    places = 0 if exact == exact.to_integral_value() else -int(exact.normalize().as_tuple().exponent)
    return inr(exact, places)


def plain(value: Number | None) -> str | None:
    """A number as a form field takes it: 1536.5. None stays None."""
    return None if value is None else f"{Decimal(str(value)).normalize():f}"


def signed_units(value: Number | None) -> str:
    text = units(value)
    return ("+" if value is not None and value > 0 else "") + text


def compact(value: Number | None) -> str:
    """Lakh and crore where space is short: 2.41 Cr, 18.40 L."""
    if value is None:
        return ABSENT
    size = abs(float(value))
    if size < 10**5:
        return inr(value, 0)
    unit, name = (10**7, "Cr") if size >= 10**7 else (10**5, "L")
    return f"{MINUS if value < 0 else ''}{size / unit:.2f} {name}"


def direction(value: Number | None) -> str:
    """The class that colours a number: up, down or flat."""
    return "up" if value and value > 0 else "down" if value and value < 0 else "flat"


def percent(part: Number | None, base: Number | None) -> str:
    """`part` as a signed percentage of `base`; a dash where there is no base."""
    if part is None or not base:
        return ABSENT
    return f"{signed(float(part) / abs(float(base)) * 100)}%"


def points(values: Sequence[float], width: int = 72, height: int = 22) -> str:
    """Values as the points of an SVG line."""
    if len(values) < 2:
        values = [*values, *values] or [0.0, 0.0]
    low, high = min(values), max(values)
    span = (high - low) or 1
    step = width / (len(values) - 1)
    return " ".join(
        f"{i * step:.1f},{height - 1 - (v - low) / span * (height - 2):.1f}" for i, v in enumerate(values)
    )


def clock_time(moment: datetime | None, millis: bool = False) -> str:
    """Time of day in India: 13:24:07."""
    if moment is None:
        return ABSENT
    text = moment.astimezone(IST).strftime("%H:%M:%S")
    return f"{text}.{moment.microsecond // 1000:03}" if millis else text


def stamp(moment: datetime | None, now: datetime | None = None) -> str:
    """Time in India: today without a date, this year without a year (2 Dec 18:40)."""
    if moment is None:
        return ABSENT
    local, today = moment.astimezone(IST), (now or datetime.now(UTC)).astimezone(IST)
    if local.date() == today.date():
        return local.strftime("%H:%M:%S")
    year = "" if local.year == today.year else f" {local.year}"
    return f"{local.day} {local.strftime('%b')}{year} {local.strftime('%H:%M')}"


def day(value: date | None) -> str:
    """2 Dec 2025."""
    return ABSENT if value is None else f"{value.day} {value.strftime('%b %Y')}"


def duration(seconds: float | None) -> str:
    """0.2 s · 41 s · 4 min · 16 h 35 m · 3 d 4 h."""
    if seconds is None:
        return ABSENT
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} m" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def millis(value: Number | None) -> str:
    """Milliseconds, the finer the fewer: 0.04 · 6.2 · 142."""
    return inr(value, 1) if value is None else inr(value, 2 if value < 1 else 1 if value < 100 else 0)


def places(tick_size: Decimal | None) -> int:
    """How many decimals a price on this grid has; two at least."""
    if tick_size is None:
        return 2
    return max(2, -int(tick_size.normalize().as_tuple().exponent))


_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrom", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def browser(agent: str) -> str:
    """What people call a browser: Chrome on Windows. A program is called what it calls itself."""
    if not agent.startswith("Mozilla/"):
        return agent[:60] or "Unknown browser"
    name = next((name for mark, name in _BROWSERS if mark in agent), "A browser")
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    return f"{name} on {system}" if system else name


_FAR = timedelta(days=300)


def title(instrument: Instrument, today: date | None = None) -> str:
    """The name people say: NIFTY 9 DEC 25950 CE, RELIANCE. The year is said when it is far from `today`."""
    if instrument.expiry is None:
        return instrument.symbol
    due = f"{instrument.expiry.day} {instrument.expiry.strftime('%b').upper()}"
    if today is not None and instrument.expiry - today > _FAR:
        due += f" {instrument.expiry.year}"
    if instrument.strike is None:
        return f"{instrument.name} {due} FUT"
    return f"{instrument.name} {due} {instrument.strike.normalize():f} {instrument.kind.value}"


def hours(spans: Sequence[tuple[Exchange, datetime, datetime]]) -> list[tuple[str, str]]:
    """(times, exchanges that share them), in the order given."""
    found: dict[str, list[str]] = {}
    for exchange, opens, closes in spans:
        times = " to ".join(f"{at.astimezone(IST):%H:%M}" for at in (opens, closes))
        found.setdefault(times, []).append(exchange.value)
    return [(times, " ".join(names)) for times, names in found.items()]


def install(app: Flask) -> None:
    """Make the filters known to the templates."""
    filters: dict[str, Any] = {
        "inr": inr,
        "signed": signed,
        "units": units,
        "plain": plain,
        "signed_units": signed_units,
        "compact": compact,
        "dir": direction,
        "percent": percent,
        "points": points,
        "clock": clock_time,
        "stamp": stamp,
        "day": day,
        "duration": duration,
        "millis": millis,
        "hours": hours,
        "places": places,
        "browser": browser,
        "title_of": title,
    }
    app.jinja_env.filters.update(filters)
