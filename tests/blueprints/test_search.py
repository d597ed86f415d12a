"""The order in which hits are shown."""

from dataclasses import replace
from datetime import date

from blueprints.search import nearest_first
from domain.model import InstrumentKind
from tests.blueprints.broker import option, share


def test_of_contracts_that_differ_by_expiry_the_nearest_comes_first() -> None:
    """By alphabet February's future stood before this month's."""
    future = replace(option(), kind=InstrumentKind.FUTURE, strike=None)
    february, january, december = (
        replace(future, symbol=f"NIFTY{day:%d%b%y}FUT".upper(), expiry=day)
        for day in (date(2027, 2, 23), date(2027, 1, 25), date(2026, 12, 29))
    )
    call, company = option(), share("NIFTYBEES")
    shown = nearest_first([february, call, january, company, december])
    assert shown == [december, call, january, company, february]
