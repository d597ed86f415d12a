"""The last trading days of contracts, from the exchanges' rules. Pure: rules, calendar and date are passed in.

An expiry that falls on a holiday (or a special session) moves to the trading day before.
"""

from __future__ import annotations

import calendar as months_of
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice

from domain.calendar import Calendar
from domain.model import Exchange, InstrumentKind
from domain.symbols import MONTHS

_WEEKDAY = {name: number for number, name in enumerate(("MON", "TUE", "WED", "THU", "FRI"))}
_QUARTERS = frozenset({3, 6, 9, 12})
_HORIZON = 84
"""Months looked ahead: the longest listed option ends within six years."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryRule:
    """When one family of contracts ends.

    underlyings  () means every underlying of the exchange that no other rule names
    futures      whether futures follow it; `options` likewise
    rule         weekly DAY · last DAY · third DAY · day N · month_end · business_before_month_end N · before_future N
    months       numbers of the months used; empty means all
    after        quarter rules begin after the serial months, half-year rules after the quarters
    """

    exchange: Exchange
    underlyings: tuple[str, ...]
    futures: bool
    options: bool
    rule: str
    months: frozenset[int]
    count: int
    since: date


def expiry_rule(row: Mapping[str, str]) -> ExpiryRule:
    """Read one row of `expiry_rules.csv`. Raises ValueError or KeyError for what it does not hold."""
    named = row["months"]
    chosen = _QUARTERS if named == "quarters" else frozenset(MONTHS.index(m) + 1 for m in named.split())
    _verb(row["rule"])
    return ExpiryRule(
        exchange=Exchange(row["exchange"]),
        underlyings=() if row["underlyings"] == "*" else tuple(row["underlyings"].split()),
        futures="FUT" in row["kinds"].split(),
        options="OPT" in row["kinds"].split(),
        rule=row["rule"],
        months=chosen,
        count=int(row["count"]),
        since=date.fromisoformat(row["from_date"]),
    )


class Expiries:
    """Which contracts are listed on a date."""

    def __init__(self, rules: Iterable[ExpiryRule], calendar: Calendar) -> None:
        self._rules = tuple(rules)
        self._named = {(rule.exchange, name) for rule in self._rules for name in rule.underlyings}
        self._calendar = calendar

    def futures(self, exchange: Exchange, underlying: str, today: date) -> list[date]:
        """Last trading days of the listed futures, ascending, `today` included; [] where there are none."""
        return self._listed(exchange, underlying, today, futures=True)

    def options(self, exchange: Exchange, underlying: str, today: date) -> list[date]:
        """Last trading days of the listed options, ascending, `today` included; [] where there are none."""
        return self._listed(exchange, underlying, today, futures=False)

    def of(self, exchange: Exchange, underlying: str, kind: InstrumentKind, today: date) -> list[date]:
        """Either of the two by instrument kind."""
        listed = self.options if kind.is_option else self.futures
        return listed(exchange, underlying, today)

    def _listed(self, exchange: Exchange, underlying: str, today: date, *, futures: bool) -> list[date]:
        found: list[date] = []
        for rule in self._rules_for(exchange, underlying):
            if (rule.futures if futures else rule.options) and rule.since <= today:
                found += islice(self._after(rule, underlying, today, found), rule.count)
        return sorted(found)

    def _rules_for(self, exchange: Exchange, underlying: str) -> list[ExpiryRule]:
        """Monthly rules first, so that weekly ones know what is taken; quarter and half-year ones last."""
        named = (exchange, underlying) in self._named
        mine = [
            rule
            for rule in self._rules
            if rule.exchange is exchange
            and (underlying in rule.underlyings if named else not rule.underlyings)
        ]
        return sorted(mine, key=lambda rule: (rule.rule.startswith("weekly"), len(rule.months) % 12 == 2))

    def _after(self, rule: ExpiryRule, underlying: str, today: date, taken: Sequence[date]) -> Iterator[date]:
        """Days of a rule that are not over and not taken. Long-dated rules start behind what is taken."""
        long_dated = bool(rule.months) and bool(taken)
        for day in self._days(rule, underlying, today):
            if day < today or day in taken or (long_dated and day < max(taken)):
                continue
            yield day

    def _days(self, rule: ExpiryRule, underlying: str, today: date) -> Iterator[date]:
        verb, argument = _verb(rule.rule)
        if verb == "weekly":
            yield from self._weekly(rule.exchange, argument, today)
        elif verb == "before_future":
            for future in self.futures(rule.exchange, underlying, today):
                yield self._business_before(rule.exchange, future, argument)
        else:
            for year, month in _months(today):
                if not rule.months or month in rule.months:
                    yield self._in_month(rule.exchange, verb, argument, year, month)

    def _weekly(self, exchange: Exchange, weekday: int, today: date) -> Iterator[date]:
        day = today + timedelta(days=(weekday - today.weekday()) % 7)
        while True:
            yield self._calendar.on_or_before(exchange, day)
            day += timedelta(days=7)

    def _in_month(self, exchange: Exchange, verb: str, argument: int, year: int, month: int) -> date:
        last = date(year, month, months_of.monthrange(year, month)[1])
        if verb == "last":
            day = last - timedelta(days=(last.weekday() - argument) % 7)
        elif verb == "third":
            first = date(year, month, 1)
            day = first + timedelta(days=(argument - first.weekday()) % 7 + 14)
        elif verb == "day":
            day = date(year, month, argument)
        elif verb == "month_end":
            day = last
        else:
            return self._business_before(exchange, self._calendar.on_or_before(exchange, last), argument)
        return self._calendar.on_or_before(exchange, day)

    def _business_before(self, exchange: Exchange, day: date, count: int) -> date:
        for _ in range(count):
            day = self._calendar.on_or_before(exchange, day - timedelta(days=1))
        return day


def _verb(rule: str) -> tuple[str, int]:
    """Split a rule into verb and number. Raises ValueError for a rule nobody knows."""
    verb, _, argument = rule.partition(" ")
    if verb in ("weekly", "last", "third") and argument in _WEEKDAY:
        return verb, _WEEKDAY[argument]
    if verb in ("day", "business_before_month_end", "before_future") and argument.isdecimal():
        return verb, int(argument)
    if rule == "month_end":
        return rule, 0
    raise ValueError(f"not an expiry rule: {rule!r}")


def _months(today: date) -> Iterator[tuple[int, int]]:
    first = today.year * 12 + today.month - 1
    return ((number // 12, number % 12 + 1) for number in range(first, first + _HORIZON))
