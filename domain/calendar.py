"""When markets trade: sessions, holidays, special days, settlement days, square-off. Pure; facts are passed in.

All answers are aware datetimes in IST or dates of the exchange's own day; the machine's zone plays no part.
Not for contracts' last days: `domain/expiry.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum

from domain.clock import IST
from domain.model import Exchange

Session = tuple[datetime, datetime]
"""(open, close), aware, IST; open is inside, close is not."""


class DayType(StrEnum):
    """What a calendar row says of a day. OPEN exists in overrides only: it takes a holiday back."""

    CLOSED = "CLOSED"
    PARTIAL = "PARTIAL"
    SPECIAL = "SPECIAL"
    MUHURAT = "MUHURAT"
    SETTLEMENT_HOLIDAY = "SETTLEMENT_HOLIDAY"
    WEEKEND = "WEEKEND"
    OPEN = "OPEN"


class HolidayType(StrEnum):
    """The public API's word for a day of the holiday list."""

    TRADING = "TRADING_HOLIDAY"
    SETTLEMENT = "SETTLEMENT_HOLIDAY"
    SPECIAL = "SPECIAL_SESSION"


@dataclass(frozen=True, slots=True, kw_only=True)
class HolidayFact:
    """One row of the calendar: `group` is EQUITY, CURRENCY, COMMODITY or one exchange's code (overrides)."""

    day: date
    group: str
    name: str
    type: DayType
    open: time | None = None
    close: time | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFact:
    """Hours of one session of one exchange; `last` None while they hold."""

    exchange: Exchange
    session: str
    open: time
    close: time
    first: date
    last: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holiday:
    """One day of the public holiday list; `open` holds (exchange, open, close) of what trades."""

    day: date
    name: str
    type: HolidayType
    closed: tuple[Exchange, ...]
    open: tuple[tuple[Exchange, datetime, datetime], ...]
    note: str = ""


GROUP = {
    Exchange.NSE: "EQUITY",
    Exchange.BSE: "EQUITY",
    Exchange.NFO: "EQUITY",
    Exchange.BFO: "EQUITY",
    Exchange.NSE_INDEX: "EQUITY",
    Exchange.BSE_INDEX: "EQUITY",
    Exchange.CDS: "CURRENCY",
    Exchange.BCD: "CURRENCY",
    Exchange.MCX: "COMMODITY",
    Exchange.NCO: "COMMODITY",
    Exchange.NCDEX: "COMMODITY",
    Exchange.MCX_INDEX: "COMMODITY",
}
GROUPS = ("EQUITY", "CURRENCY", "COMMODITY")

LISTED = (
    Exchange.NSE,
    Exchange.BSE,
    Exchange.NFO,
    Exchange.BFO,
    Exchange.MCX,
    Exchange.BCD,
    Exchange.CDS,
    Exchange.NCO,
)
"""The exchanges of the public calendar, in the order of its answers (CRYPTO follows on ordinary days)."""

ROLL = time(3, 0)
"""When a paper trading day, and every broker session, ends (IST)."""

PAPER_EXPIRY = time(15, 30)
"""When contracts of the paper exchange's own market expire (IST)."""

_MIDNIGHT = time(0, 0)
_HOURS = {
    "EQUITY": (time(9, 15), time(15, 30)),
    "CURRENCY": (time(9, 0), time(17, 0)),
    "COMMODITY": (time(9, 0), time(23, 55)),
}
_PUBLIC_HOURS = _HOURS | {
    Exchange.NFO: (time(9, 15), time(15, 40)),
    Exchange.BFO: (time(9, 15), time(15, 40)),
}
_SESSION_OF = {
    Exchange.NSE_INDEX: Exchange.NSE,
    Exchange.BSE_INDEX: Exchange.BSE,
    Exchange.MCX_INDEX: Exchange.MCX,
}
_CONTINUOUS = ("CONTINUOUS", "CONTINUOUS_OTHER")
_FIXED = {(1, 26), (5, 1), (8, 15), (10, 2), (12, 25)}
"""Holidays by date alone, for years no circular has named yet."""

_SQUARE_OFF = {
    Exchange.NSE: 10,
    Exchange.BSE: 10,
    Exchange.NFO: 15,
    Exchange.BFO: 15,
    Exchange.CDS: 15,
    Exchange.BCD: 15,
}
_SQUARE_OFF_ELSEWHERE = 25


class Calendar:
    """Sessions and holidays from dated facts; an override beats a fact of the same day and group."""

    def __init__(
        self,
        holidays: Iterable[HolidayFact],
        sessions: Iterable[SessionFact],
        overrides: Iterable[HolidayFact] = (),
    ) -> None:
        self._days: dict[tuple[date, str], HolidayFact] = {(row.day, row.group): row for row in holidays}
        self._known_years = {row.day.year for row in self._days.values()}
        self._days |= {(row.day, row.group): row for row in overrides}
        self._sessions: dict[tuple[Exchange, str], list[SessionFact]] = {}
        for row in sessions:
            self._sessions.setdefault((row.exchange, row.session), []).append(row)

    # -- trading
    def sessions(self, exchange: Exchange, day: date, *, closing_auction: bool = False) -> list[Session]:
        """When an exchange trades continuously on a day, in order; [] when it does not.

        closing_auction  for a share that closes by auction: its continuous book ends earlier
        """
        if exchange not in GROUP:
            return [_span(day, _MIDNIGHT, None)]
        row = self.row(exchange, day)
        if row is not None and row.type is not DayType.OPEN:
            if row.open is not None and row.close is not None and row.type is not DayType.SETTLEMENT_HOLIDAY:
                return [_span(day, row.open, row.close)]
            if row.type in (DayType.CLOSED, DayType.WEEKEND):
                return []
        elif row is None and (day.weekday() >= 5 or self._is_fixed_holiday(day)):
            return []
        return [_span(day, *self.hours(exchange, day, closing_auction=closing_auction))]

    def hours(self, exchange: Exchange, day: date, *, closing_auction: bool = False) -> tuple[time, time]:
        """Ordinary continuous hours in force on a date, whether or not it is a trading day."""
        exchange = _SESSION_OF.get(exchange, exchange)
        names = ("CONTINUOUS_CAS_STOCKS", *_CONTINUOUS) if closing_auction else _CONTINUOUS
        for name in names:
            for row in self._sessions.get((exchange, name), ()):
                if row.first <= day and (row.last is None or day <= row.last):
                    return row.open, row.close
        return _HOURS[GROUP[exchange]]

    def is_trading_day(self, exchange: Exchange, day: date) -> bool:
        """Whether the exchange has any session that day."""
        return bool(self.sessions(exchange, day))

    def is_open(self, exchange: Exchange, at: datetime, *, closing_auction: bool = False) -> bool:
        """Whether the continuous book is open at an aware instant."""
        day = at.astimezone(IST).date()
        spans = self.sessions(exchange, day, closing_auction=closing_auction)
        return any(opens <= at < closes for opens, closes in spans)

    def next_trading_day(self, exchange: Exchange, day: date) -> date:
        """The first trading day after `day`."""
        return next(each for each in _forward(day) if self.is_trading_day(exchange, each))

    def previous_trading_day(self, exchange: Exchange, day: date) -> date:
        """The last trading day before `day`."""
        return next(each for each in _backward(day) if self.is_trading_day(exchange, each))

    def on_or_before(self, exchange: Exchange, day: date) -> date:
        """`day` when the exchange trades in ordinary hours then, else the last such day before.

        It is where an expiry that falls on a holiday moves to.
        """
        while not self._is_ordinary(exchange, day):
            day -= timedelta(days=1)
        return day

    def trading_day(self, at: datetime) -> date:
        """The exchange's date at an aware instant."""
        return at.astimezone(IST).date()

    # -- settlement and square-off
    def settlement_day(self, exchange: Exchange, traded: date, lag: int = 1) -> date:
        """T+`lag`: skips weekends, closed days, settlement holidays and special sessions on days otherwise closed."""
        days = (each for each in _forward(traded) if self._settles(exchange, each))
        for _ in range(lag - 1):
            next(days)
        return next(days)

    def square_off(self, exchange: Exchange, day: date, *, closing_auction: bool = False) -> datetime | None:
        """When intraday positions are closed that day; None when there is no session or the market never closes."""
        if exchange not in GROUP:
            return None
        spans = self.sessions(exchange, day, closing_auction=closing_auction)
        if not spans:
            return None
        before = timedelta(minutes=_SQUARE_OFF.get(exchange, _SQUARE_OFF_ELSEWHERE))
        opens, closes = spans[-1]
        return max(opens, closes - before)

    # -- the public calendar
    def holidays(self, year: int) -> list[Holiday]:
        """Every day of a year that the calendar has a row for, ascending; [] for a year nobody has announced."""
        days = sorted({day for day, _ in self._days if day.year == year})
        found = (self.holiday(day) for day in days)
        return [each for each in found if each is not None]

    def holiday(self, day: date) -> Holiday | None:
        """The public list's entry for one day; None for an ordinary day or weekend."""
        rows = {group: row for group in GROUPS if (row := self._days.get((day, group))) is not None}
        rows |= {e.value: row for e in LISTED if (row := self._days.get((day, e.value))) is not None}
        rows = {key: row for key, row in rows.items() if row.type is not DayType.OPEN}
        if not rows:
            return None
        types = {row.type for row in rows.values()}
        main = next(iter(rows.values()))
        return Holiday(
            day=day,
            name=main.name,
            type=_public_type(rows, types),
            closed=tuple(e for e in LISTED if not self.sessions(e, day)),
            open=tuple(self._open_on(day, _public_type(rows, types))),
            note=main.note,
        )

    def timings(self, day: date) -> list[tuple[Exchange, datetime, datetime]]:
        """Public opening hours of a day: (exchange, open, close), in the calendar's order; [] means closed."""
        holiday = self.holiday(day)
        if holiday is not None and not self._is_display_only(day):
            if holiday.type is HolidayType.SETTLEMENT:
                return [*self._ordinary(day, set(LISTED) - set(holiday.closed)), _crypto(day)]
            return list(holiday.open)
        if day.weekday() >= 5 and not any(self.sessions(e, day) for e in LISTED):
            return [_crypto(day)]
        return [*self._ordinary(day, set(LISTED)), _crypto(day)]

    def row(self, exchange: Exchange, day: date) -> HolidayFact | None:
        """The calendar's row for an exchange on a day: its own (an override), else its group's."""
        return self._days.get((day, exchange.value)) or self._days.get((day, GROUP.get(exchange, "")))

    # -- inner
    def _open_on(self, day: date, type_: HolidayType) -> Iterator[tuple[Exchange, datetime, datetime]]:
        if type_ is HolidayType.SETTLEMENT:
            return
        for exchange in LISTED:
            row = self.row(exchange, day)
            spans = self.sessions(exchange, day)
            if row is not None and row.open is not None:
                yield from ((exchange, *span) for span in spans)
            elif spans:
                yield from self._ordinary(day, {exchange})

    @staticmethod
    def _ordinary(day: date, exchanges: set[Exchange]) -> Iterator[tuple[Exchange, datetime, datetime]]:
        for exchange in LISTED:
            if exchange in exchanges:
                hours = _PUBLIC_HOURS.get(exchange) or _PUBLIC_HOURS[GROUP[exchange]]
                yield (exchange, *_span(day, *hours))

    def _is_display_only(self, day: date) -> bool:
        rows = [row for group in GROUPS if (row := self._days.get((day, group))) is not None]
        return bool(rows) and all(row.type is DayType.WEEKEND for row in rows)

    def _is_ordinary(self, exchange: Exchange, day: date) -> bool:
        row = self.row(exchange, day)
        if row is not None and row.type in (DayType.SPECIAL, DayType.MUHURAT):
            return False
        return self.is_trading_day(exchange, day)

    def _settles(self, exchange: Exchange, day: date) -> bool:
        row = self.row(exchange, day)
        if row is not None and row.type is DayType.SETTLEMENT_HOLIDAY:
            return False
        return day.weekday() < 5 and self._is_ordinary(exchange, day)

    def _is_fixed_holiday(self, day: date) -> bool:
        return day.year not in self._known_years and (day.month, day.day) in _FIXED


class AlwaysOpen:
    """The paper exchange's own market: every day is one session from roll to roll. Answers as Calendar does."""

    def sessions(self, exchange: Exchange, day: date, *, closing_auction: bool = False) -> list[Session]:
        return [(datetime.combine(day, ROLL, IST), datetime.combine(day + timedelta(days=1), ROLL, IST))]

    def is_trading_day(self, exchange: Exchange, day: date) -> bool:
        return True

    def is_open(self, exchange: Exchange, at: datetime, *, closing_auction: bool = False) -> bool:
        return True

    def next_trading_day(self, exchange: Exchange, day: date) -> date:
        return day + timedelta(days=1)

    def previous_trading_day(self, exchange: Exchange, day: date) -> date:
        return day - timedelta(days=1)

    def on_or_before(self, exchange: Exchange, day: date) -> date:
        return day

    def trading_day(self, at: datetime) -> date:
        """The day whose 03:00 IST came last."""
        return (at.astimezone(IST) - timedelta(hours=ROLL.hour, minutes=ROLL.minute)).date()

    def settlement_day(self, exchange: Exchange, traded: date, lag: int = 1) -> date:
        return traded + timedelta(days=lag)

    def square_off(self, exchange: Exchange, day: date, *, closing_auction: bool = False) -> datetime | None:
        return None


MarketCalendar = Calendar | AlwaysOpen


def next_roll(at: datetime) -> datetime:
    """The first 03:00 IST after an aware instant."""
    local = at.astimezone(IST)
    roll = datetime.combine(local.date(), ROLL, IST)
    return roll if local < roll else roll + timedelta(days=1)


def holiday_fact(row: Mapping[str, str]) -> HolidayFact:
    """Read one row of `holidays.csv`. Raises ValueError or KeyError for what it does not hold."""
    return HolidayFact(
        day=date.fromisoformat(row["date"]),
        group=row["exchange_group"],
        name=row["name"],
        type=DayType(row["type"]),
        open=_time(row["open"]),
        close=_time(row["close"]),
        note=row["note"],
    )


def session_fact(row: Mapping[str, str]) -> SessionFact:
    """Read one row of `sessions.csv`. Raises ValueError or KeyError for what it does not hold."""
    return SessionFact(
        exchange=Exchange(row["exchange"]),
        session=row["session"],
        open=time.fromisoformat(row["open"]),
        close=time.fromisoformat(row["close"]),
        first=date.fromisoformat(row["from_date"]),
        last=date.fromisoformat(row["to_date"]) if row["to_date"] else None,
    )


def _public_type(rows: Mapping[str, HolidayFact], types: set[DayType]) -> HolidayType:
    """What people call the day: special when anything trades out of turn, else what it is for shares."""
    if types & {DayType.SPECIAL, DayType.MUHURAT}:
        return HolidayType.SPECIAL
    equity = rows.get("EQUITY")
    for_shares = equity is not None and equity.type is DayType.SETTLEMENT_HOLIDAY
    return (
        HolidayType.SETTLEMENT if for_shares or types == {DayType.SETTLEMENT_HOLIDAY} else HolidayType.TRADING
    )


def _crypto(day: date) -> tuple[Exchange, datetime, datetime]:
    return Exchange.CRYPTO, *_span(day, _MIDNIGHT, time(23, 59, 59))


def _span(day: date, opens: time, closes: time | None) -> Session:
    """`closes` None means the following midnight."""
    end = datetime.combine(day + timedelta(days=1), _MIDNIGHT, IST)
    return datetime.combine(day, opens, IST), end if closes is None else datetime.combine(day, closes, IST)


def _time(text: str) -> time | None:
    return time.fromisoformat(text) if text else None


def _forward(day: date) -> Iterator[date]:
    while True:
        day += timedelta(days=1)
        yield day


def _backward(day: date) -> Iterator[date]:
    while True:
        day -= timedelta(days=1)
        yield day
