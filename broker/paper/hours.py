"""When the markets of one feed trade, and what that means for orders and positions. Pure; the calendar is passed in.

On an always-open calendar there is no square-off and a DAY order ends when the day turns.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta

from broker.paper.market import EXPIRY_TIME
from broker.paper.rules import Terms
from domain.calendar import MarketCalendar
from domain.clock import IST
from domain.model import Exchange, Instrument

_PREOPEN = timedelta(minutes=15)
_TERM = {
    Exchange.CDS: "cds_bcd_square_off_time",
    Exchange.BCD: "cds_bcd_square_off_time",
    Exchange.MCX: "mcx_square_off_time",
    Exchange.NCO: "mcx_square_off_time",
    Exchange.NCDEX: "ncdex_square_off_time",
}


class Hours:
    """Answers from the calendar in force (`calendar` is asked each time). Moments are aware, days the exchange's."""

    def __init__(self, calendar: Callable[[], MarketCalendar]) -> None:
        self._calendar = calendar

    def is_open(self, exchange: Exchange, at: datetime) -> bool:
        """Whether orders meet the market at that moment."""
        return self._calendar().is_open(exchange, at)

    def last_close(self, exchange: Exchange, now: datetime) -> datetime:
        """The last end of a session up to now: DAY orders from before it are over."""
        calendar = self._calendar()
        day = calendar.trading_day(now)
        closes = [close for _, close in calendar.sessions(exchange, day) if close <= now]
        if not closes:
            before = calendar.previous_trading_day(exchange, day)
            closes = [close for _, close in calendar.sessions(exchange, before)]
        return closes[-1]

    def square_off(self, exchange: Exchange, terms: Terms, day: date) -> datetime | None:
        """When intraday positions end on a day; None when they do not that day.

        The account's own time where the session has it, else (a special session) the calendar's.
        """
        calendar = self._calendar()
        usual = calendar.square_off(exchange, day)
        if usual is None:
            return None
        own = getattr(terms, _TERM.get(exchange, "nse_bse_square_off_time"))
        moment = datetime.combine(day, time.fromisoformat(own), IST)
        opens, closes = calendar.sessions(exchange, day)[-1]
        return moment if opens < moment <= closes else usual

    def fence(self, exchange: Exchange, terms: Terms, now: datetime) -> str:
        """Why no intraday position may be opened now, in words; "" when one may."""
        calendar = self._calendar()
        day = calendar.trading_day(now)
        if calendar.square_off(exchange, calendar.next_trading_day(exchange, day)) is None:
            return ""
        ends = self.square_off(exchange, terms, day)
        if ends is None:
            return f"{exchange} is closed today: no MIS position can be opened"
        opens = calendar.sessions(exchange, day)[0][0]
        if now >= ends:
            return f"MIS positions on {exchange} were squared off at {ends:%H:%M}: none can be opened any more today"
        if now < opens - _PREOPEN:
            return f"MIS positions on {exchange} can be opened from {opens - _PREOPEN:%H:%M}"
        return ""

    def settles_on(self, exchange: Exchange, bought: date) -> date:
        """The day on which delivery shares bought on a day arrive."""
        return self._calendar().settlement_day(exchange, bought)

    def expires_at(self, instrument: Instrument) -> datetime | None:
        """When a contract stops trading; None for what does not expire."""
        if instrument.expiry is None:
            return None
        spans = self._calendar().sessions(instrument.exchange, instrument.expiry)
        closes = spans[-1][1] if spans else None
        if closes is None or closes.astimezone(IST).date() > instrument.expiry:
            return datetime.combine(instrument.expiry, EXPIRY_TIME, IST)
        return closes
